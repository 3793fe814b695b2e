//! Where backups are kept: a folder or an SSH server, with the fields of each.

use std::sync::OnceLock;

use adw::prelude::*;
use adw::subclass::prelude::*;
use glib::subclass::Signal;

use super::{PathRow, show_hint};
use crate::engine::storage::{Address, AddressError, SftpAddress};
use crate::i18n::gettext;
use crate::plan::Destination;

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "destination_chooser.ui")]
    pub struct DestinationChooser {
        #[template_child]
        pub kinds: TemplateChild<adw::ToggleGroup>,
        #[template_child]
        pub stack: TemplateChild<gtk::Stack>,
        #[template_child]
        pub folder_row: TemplateChild<PathRow>,
        #[template_child]
        pub host_row: TemplateChild<adw::EntryRow>,
        #[template_child]
        pub user_row: TemplateChild<adw::EntryRow>,
        #[template_child]
        pub port_row: TemplateChild<adw::EntryRow>,
        #[template_child]
        pub path_row: TemplateChild<adw::EntryRow>,
        #[template_child]
        pub hint_label: TemplateChild<gtk::Label>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for DestinationChooser {
        const NAME: &'static str = "SouvenirDestinationChooser";
        type Type = super::DestinationChooser;
        type ParentType = gtk::Box;

        fn class_init(class: &mut Self::Class) {
            PathRow::ensure_type();
            class.bind_template();
            class.bind_template_callbacks();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for DestinationChooser {
        fn constructed(&self) {
            self.parent_constructed();
            let chooser = self.obj().downgrade();
            self.folder_row.connect_chosen(move |_| {
                if let Some(chooser) = chooser.upgrade() {
                    chooser.emit_by_name::<()>("entered", &[]);
                }
            });
            self.kinds.bind_property("active-name", &*self.stack, "visible-child-name").sync_create().build();
            let chooser = self.obj().downgrade();
            self.kinds.connect_active_name_notify(move |_| {
                if let Some(chooser) = chooser.upgrade() {
                    chooser.imp().on_changed();
                }
            });
        }

        fn signals() -> &'static [Signal] {
            static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
            SIGNALS
                .get_or_init(|| vec![Signal::builder("changed").build(), Signal::builder("entered").build()])
        }
    }

    impl WidgetImpl for DestinationChooser {}
    impl BoxImpl for DestinationChooser {}

    #[gtk::template_callbacks]
    impl DestinationChooser {
        #[template_callback]
        pub fn on_changed(&self) {
            self.obj().clear_problem();
            self.obj().emit_by_name::<()>("changed", &[]);
        }

        #[template_callback]
        fn on_entered(&self) {
            self.obj().emit_by_name::<()>("entered", &[]);
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct DestinationChooser(ObjectSubclass<imp::DestinationChooser>)
        @extends gtk::Box, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget, gtk::Orientable;
}

impl DestinationChooser {
    /// Fills in a place. Of a drive that is away there is no folder to fill in.
    pub fn fill(&self, destination: &Destination) {
        let imp = self.imp();
        match destination {
            Destination::Sftp(address) => {
                imp.kinds.set_active_name(Some("sftp"));
                imp.host_row.set_text(&address.host);
                imp.user_row.set_text(address.user.as_deref().unwrap_or_default());
                imp.port_row.set_text(&address.port.map(|port| port.to_string()).unwrap_or_default());
                imp.path_row.set_text(&address.path);
            }
            Destination::Folder { path } => imp.folder_row.set_path(path),
            Destination::Drive { .. } => {
                if let Some(path) = destination.folder() {
                    imp.folder_row.set_path(&path);
                }
            }
        }
    }

    /// What the fields say. Where they do not say enough, it is said beside them, and there is none.
    pub fn read(&self) -> Option<Destination> {
        match self.fields() {
            Ok(destination) => {
                self.clear_problem();
                Some(destination)
            }
            Err((row, text)) => {
                self.show_problem(&text);
                row.add_css_class("error");
                row.grab_focus();
                None
            }
        }
    }

    /// Whether the fields say enough to look at the place.
    pub fn is_complete(&self) -> bool {
        self.fields().is_ok()
    }

    /// Says what is wrong with the place that is chosen.
    pub fn show_problem(&self, text: &str) {
        show_hint(&self.imp().hint_label, text);
    }

    /// Marks the field that most likely is wrong.
    pub fn mark(&self) {
        let imp = self.imp();
        match imp.kinds.active_name().as_deref() {
            Some("sftp") => imp.host_row.add_css_class("error"),
            _ => imp.folder_row.add_css_class("error"),
        }
    }

    /// Calls `handler` with every change of a field.
    pub fn connect_changed(&self, handler: impl Fn() + 'static) -> glib::SignalHandlerId {
        self.connect_local("changed", false, move |_| {
            handler();
            None
        })
    }

    /// Calls `handler` when a folder was chosen, or a field was left with the Enter key.
    pub fn connect_entered(&self, handler: impl Fn() + 'static) -> glib::SignalHandlerId {
        self.connect_local("entered", false, move |_| {
            handler();
            None
        })
    }

    fn clear_problem(&self) {
        let imp = self.imp();
        show_hint(&imp.hint_label, "");
        for row in
            [imp.folder_row.upcast_ref::<gtk::Widget>(), imp.host_row.upcast_ref(), imp.port_row.upcast_ref()]
        {
            row.remove_css_class("error");
        }
    }

    fn fields(&self) -> Result<Destination, (gtk::Widget, String)> {
        match self.imp().kinds.active_name().as_deref() {
            Some("sftp") => self.server(),
            _ => self.folder(),
        }
    }

    fn folder(&self) -> Result<Destination, (gtk::Widget, String)> {
        let row = &*self.imp().folder_row;
        let problem = || row.problem().unwrap_or_default();
        let path = row.path().ok_or_else(|| (row.clone().upcast(), problem()))?;
        Ok(Destination::Folder { path })
    }

    fn server(&self) -> Result<Destination, (gtk::Widget, String)> {
        let imp = self.imp();
        let host = imp.host_row.text().trim().to_owned();
        let wrong_host = |text: String| (imp.host_row.clone().upcast(), text);
        if host.is_empty() {
            return Err(wrong_host(gettext("Type the name of the server.")));
        }
        // People paste whole addresses.
        if host.contains("://") {
            return match Address::parse(host.as_ref()) {
                Ok(Address::Sftp(address)) => Ok(Destination::Sftp(address)),
                Err(AddressError::Password) => Err(wrong_host(gettext(
                    "Leave the password out of the address. You are asked for it if it is needed.",
                ))),
                _ => Err(wrong_host(gettext("This is not the address of an SSH server."))),
            };
        }
        if host.contains(['/', '@', ' ']) {
            return Err(wrong_host(gettext("Type only the name of the server, such as backup.example.org.")));
        }
        let port = match imp.port_row.text().trim() {
            "" => None,
            text => match text.parse() {
                Ok(port @ 1..) => Some(port),
                _ => {
                    let text = gettext("A port is a number between 1 and 65535. Most servers have 22.");
                    return Err((imp.port_row.clone().upcast(), text));
                }
            },
        };
        let user = Some(imp.user_row.text().trim().to_owned()).filter(|user| !user.is_empty());
        let path = imp.path_row.text().trim().to_owned();
        Ok(Destination::Sftp(SftpAddress { user, host, port, path }))
    }
}
