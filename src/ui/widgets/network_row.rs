//! A row for a folder on the network: its address typed, pasted, or chosen in the file chooser.

use std::path::PathBuf;
use std::sync::OnceLock;

use adw::prelude::*;
use adw::subclass::prelude::*;
use glib::subclass::Signal;

use crate::engine::storage::{NetworkAddress, NetworkAddressError};
use crate::i18n::{gettext, gettext_f};
use crate::platform::network;

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "network_row.ui")]
    pub struct NetworkRow {}

    #[glib::object_subclass]
    impl ObjectSubclass for NetworkRow {
        const NAME: &'static str = "SouvenirNetworkRow";
        type Type = super::NetworkRow;
        type ParentType = adw::EntryRow;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
            class.bind_template_callbacks();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for NetworkRow {
        fn signals() -> &'static [Signal] {
            static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
            SIGNALS.get_or_init(|| {
                vec![Signal::builder("chosen").param_types([gio::File::static_type()]).build()]
            })
        }
    }

    impl WidgetImpl for NetworkRow {}
    impl ListBoxRowImpl for NetworkRow {}
    impl PreferencesRowImpl for NetworkRow {}
    impl EntryRowImpl for NetworkRow {}

    #[gtk::template_callbacks]
    impl NetworkRow {
        #[template_callback]
        fn on_changed(&self) {
            self.obj().remove_css_class("error");
        }

        #[template_callback]
        async fn on_browse(&self) {
            let row = self.obj();
            let dialog =
                gtk::FileDialog::builder().title(gettext("Choose a Network Folder")).modal(true).build();
            if let Ok(address) = row.address() {
                dialog.set_initial_folder(Some(&gio::File::for_uri(&address.uri)));
            }
            let window = row.root().and_downcast::<gtk::Window>();
            // An error means that nothing was chosen.
            if let Ok(folder) = dialog.select_folder_future(window.as_ref()).await {
                row.emit_by_name::<()>("chosen", &[&folder]);
            }
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct NetworkRow(ObjectSubclass<imp::NetworkRow>)
        @extends adw::EntryRow, adw::PreferencesRow, gtk::ListBoxRow, gtk::Widget,
        @implements gtk::Accessible, gtk::Actionable, gtk::Buildable, gtk::ConstraintTarget, gtk::Editable;
}

impl NetworkRow {
    /// What is typed; if it is no address of which this computer knows what to do, why not, in words.
    pub fn address(&self) -> Result<NetworkAddress, String> {
        let text = self.text();
        if text.trim().is_empty() {
            return Err(gettext("Type the address of the folder, such as smb://server/share/folder."));
        }
        let address = NetworkAddress::parse(&text).map_err(|error| problem(&error))?;
        if network::is_supported(address.scheme()) {
            return Ok(address);
        }
        Err(gettext_f(
            "This computer cannot reach addresses that begin with {scheme}://. The package “gvfs-backends” of your system may bring what is missing.",
            &[("scheme", address.scheme())],
        ))
    }

    /// Shows an address.
    pub fn set_address(&self, address: &NetworkAddress) {
        self.set_text(&address.uri);
    }

    /// Calls `handler` with the folder that was chosen in the file chooser, which need not be on the network.
    pub fn connect_chosen(&self, handler: impl Fn(&gio::File) + 'static) -> glib::SignalHandlerId {
        self.connect_local("chosen", false, move |values| {
            if let Some(Ok(folder)) = values.get(1).map(glib::Value::get::<gio::File>) {
                handler(&folder);
            }
            None
        })
    }
}

/// Where a folder that was chosen really is. GVfs also shows folders on the network below a folder of this
/// computer.
pub fn place_of(folder: &gio::File) -> Option<Result<PathBuf, NetworkAddress>> {
    if folder.is_native() {
        return folder.path().map(Ok);
    }
    NetworkAddress::parse(&folder.uri()).ok().map(Err)
}

fn problem(error: &NetworkAddressError) -> String {
    match error {
        NetworkAddressError::Malformed => {
            gettext("This is not the address of a network folder. One looks like smb://server/share/folder.")
        }
        NetworkAddressError::Scheme(scheme) if scheme == "http" || scheme == "https" => {
            gettext("Begin the address of a WebDAV folder with davs://, or choose “WebDAV” above.")
        }
        NetworkAddressError::Scheme(_) => {
            gettext("The address of a network folder begins with smb://, nfs://, davs:// or sftp://.")
        }
        NetworkAddressError::NoServer => gettext("The address names no server."),
        NetworkAddressError::NoShare => {
            gettext("Add the name of the share, as in smb://server/share/folder.")
        }
        NetworkAddressError::Password => {
            gettext("Leave the password out of the address. You are asked for it if it is needed.")
        }
    }
}
