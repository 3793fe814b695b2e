//! Where backups are kept: a drive, a folder, an SSH or WebDAV server, an object store or a folder on the network, with
//! the fields of each.

mod fields;

use std::cell::Cell;
use std::sync::OnceLock;

use adw::prelude::*;
use adw::subclass::prelude::*;
use glib::subclass::Signal;

use fields::Reading;

use super::drive_group::DriveGroup;
use super::drive_watch::mounted_drives;
use super::network_row::{NetworkRow, place_of};
use super::{PathRow, show_hint};
use crate::engine::storage::{DriveAddress, Drives};
use crate::i18n::gettext;
use crate::plan::{Destination, S3Account, SftpAccount};

/// Services that people rent. Of their addresses only the region differs.
const PROVIDERS: [(&str, &str); 6] = [
    ("Amazon S3", ""),
    ("Backblaze B2", "https://s3.{region}.backblazeb2.com"),
    ("Hetzner", "https://{region}.your-objectstorage.com"),
    ("OVHcloud", "https://s3.{region}.io.cloud.ovh.net"),
    ("Scaleway", "https://s3.{region}.scw.cloud"),
    ("Wasabi", "https://s3.{region}.wasabisys.com"),
];

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "destination_chooser.ui")]
    pub struct DestinationChooser {
        #[template_child]
        pub kinds: TemplateChild<gtk::FlowBox>,
        #[template_child]
        pub stack: TemplateChild<gtk::Stack>,
        #[template_child]
        pub drive_group: TemplateChild<DriveGroup>,
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
        pub key_file_row: TemplateChild<PathRow>,
        #[template_child]
        pub provider_row: TemplateChild<adw::ComboRow>,
        #[template_child]
        pub endpoint_row: TemplateChild<adw::EntryRow>,
        #[template_child]
        pub region_row: TemplateChild<adw::EntryRow>,
        #[template_child]
        pub bucket_row: TemplateChild<adw::EntryRow>,
        #[template_child]
        pub prefix_row: TemplateChild<adw::EntryRow>,
        #[template_child]
        pub key_id_row: TemplateChild<adw::EntryRow>,
        #[template_child]
        pub path_style_row: TemplateChild<adw::SwitchRow>,
        #[template_child]
        pub dav_url_row: TemplateChild<adw::EntryRow>,
        #[template_child]
        pub dav_user_row: TemplateChild<adw::EntryRow>,
        #[template_child]
        pub network_row: TemplateChild<NetworkRow>,
        #[template_child]
        pub hint_label: TemplateChild<gtk::Label>,
        /// Whether anything was chosen or typed.
        pub is_touched: Cell<bool>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for DestinationChooser {
        const NAME: &'static str = "SouvenirDestinationChooser";
        type Type = super::DestinationChooser;
        type ParentType = gtk::Box;

        fn class_init(class: &mut Self::Class) {
            DriveGroup::ensure_type();
            NetworkRow::ensure_type();
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
            let mut names: Vec<String> = PROVIDERS.iter().map(|(name, _)| (*name).to_owned()).collect();
            names.push(gettext("Another One"));
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            self.provider_row.set_model(Some(&gtk::StringList::new(&names)));
            self.on_provider();
            let chooser = self.obj().downgrade();
            let take = move |folder: &gio::File| {
                let (Some(chooser), folder) = (chooser.upgrade(), folder.clone()) else { return };
                glib::spawn_future_local(async move { chooser.take_chosen(&folder).await });
            };
            let take_path = take.clone();
            self.folder_row.connect_chosen(move |row| {
                if let Some(path) = row.path() {
                    take_path(&gio::File::for_path(path));
                }
            });
            self.network_row.connect_chosen(take.clone());
            self.drive_group.connect_chosen(take);
            self.obj().set_kind("folder");
            self.is_touched.set(false);
            let chooser = self.obj().downgrade();
            glib::spawn_future_local(async move {
                let is_drive_there = !mounted_drives().await.is_empty();
                if let Some(chooser) = chooser.upgrade()
                    && is_drive_there
                    && !chooser.imp().is_touched.get()
                {
                    chooser.set_kind("drive");
                }
            });
        }

        fn signals() -> &'static [Signal] {
            static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
            SIGNALS
                .get_or_init(|| vec![Signal::builder("changed").build(), Signal::builder("entered").build()])
        }
    }

    impl WidgetImpl for DestinationChooser {
        /// The tiles are one stop for the Tab key, as a group of radio buttons is: passing by must not choose
        /// another kind. The arrows do.
        fn focus(&self, direction: gtk::DirectionType) -> bool {
            let in_tiles = self.kinds.focus_child().is_some();
            let in_fields = self.stack.focus_child().is_some();
            // It goes to the chosen one.
            let to_tile = || self.kinds.child_focus(gtk::DirectionType::TabForward);
            match direction {
                gtk::DirectionType::TabForward if in_tiles => self.stack.child_focus(direction),
                gtk::DirectionType::TabForward if !in_fields => to_tile(),
                gtk::DirectionType::TabBackward if in_tiles => false,
                gtk::DirectionType::TabBackward => self.stack.child_focus(direction) || to_tile(),
                _ => self.parent_focus(direction),
            }
        }
    }
    impl BoxImpl for DestinationChooser {}

    #[gtk::template_callbacks]
    impl DestinationChooser {
        #[template_callback]
        pub fn on_changed(&self) {
            self.is_touched.set(true);
            self.obj().clear_problem();
            self.obj().emit_by_name::<()>("changed", &[]);
        }

        #[template_callback]
        fn on_kind(&self) {
            let kind = self.obj().kind();
            // Between two choices there is none.
            if !kind.is_empty() {
                self.stack.set_visible_child_name(&kind);
                self.on_changed();
            }
        }

        #[template_callback]
        fn on_entered(&self) {
            self.obj().emit_by_name::<()>("entered", &[]);
        }

        #[template_callback]
        pub fn on_provider(&self) {
            let is_other = self.obj().provider().is_none();
            self.endpoint_row.set_visible(is_other);
            self.path_style_row.set_visible(is_other);
            self.region_row.set_title(&if is_other {
                gettext("Re_gion (optional)")
            } else {
                gettext("Re_gion")
            });
            self.on_changed();
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
    /// Fills in a place.
    pub fn fill(&self, destination: &Destination) {
        let imp = self.imp();
        match destination {
            Destination::Sftp(SftpAccount { address, key_file }) => {
                self.set_kind("sftp");
                imp.host_row.set_text(&address.host);
                imp.user_row.set_text(address.user.as_deref().unwrap_or_default());
                imp.port_row.set_text(&address.port.map(|port| port.to_string()).unwrap_or_default());
                imp.path_row.set_text(&address.path);
                match key_file {
                    Some(file) => imp.key_file_row.set_path(file),
                    None => imp.key_file_row.clear(),
                }
            }
            Destination::WebDav(address) => {
                self.set_kind("webdav");
                let url = address.url().map_or_else(|_| address.path.clone(), String::from);
                imp.dav_url_row.set_text(&url);
                imp.dav_user_row.set_text(address.user.as_deref().unwrap_or_default());
            }
            Destination::S3(S3Account { address, key_id }) => {
                self.set_kind("s3");
                let region = address.region.as_deref().unwrap_or_default();
                let endpoint = address.endpoint.as_deref().unwrap_or_default();
                let of_provider =
                    PROVIDERS.iter().position(|(_, form)| form.replace("{region}", region) == endpoint);
                let chosen = of_provider.filter(|_| !region.is_empty() && !address.path_style);
                imp.provider_row.set_selected(chosen.unwrap_or(PROVIDERS.len()) as u32);
                imp.endpoint_row.set_text(endpoint);
                imp.region_row.set_text(region);
                imp.bucket_row.set_text(&address.bucket);
                imp.prefix_row.set_text(&address.prefix);
                imp.key_id_row.set_text(key_id);
                imp.path_style_row.set_active(address.path_style);
            }
            Destination::Network(address) => {
                self.set_kind("network");
                imp.network_row.set_address(address);
            }
            Destination::Folder { path } => {
                self.set_kind("folder");
                imp.folder_row.set_path(path);
            }
            Destination::Drive { uuid, name, path } => {
                self.set_kind("drive");
                imp.drive_group.fill(&DriveAddress {
                    uuid: uuid.clone(),
                    name: name.clone(),
                    path: path.clone(),
                });
            }
        }
    }

    fn set_kind(&self, name: &str) {
        let kinds = &self.imp().kinds;
        let mut tiles = (0..).map_while(|index| kinds.child_at_index(index));
        if let Some(tile) = tiles.find(|tile| tile.widget_name() == name) {
            kinds.select_child(&tile);
        }
    }

    /// The kind of place that is chosen, by the name of its tile and of its page.
    fn kind(&self) -> glib::GString {
        let chosen = self.imp().kinds.selected_children();
        chosen.first().map(|tile| tile.widget_name()).unwrap_or_default()
    }

    /// What the fields say. Where they do not say enough, it is said beside them, and there is none.
    pub async fn read(&self) -> Option<Destination> {
        let mut reading = self.fields();
        if let Ok(Destination::Sftp(SftpAccount { key_file: Some(file), .. })) = &reading {
            let file = file.clone();
            if !gio::spawn_blocking(move || file.is_file()).await.unwrap_or(true) {
                let text = gettext("There is no such key file. Check the path.");
                reading = Err((self.imp().key_file_row.clone().upcast(), text));
            }
        }
        match reading {
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

    /// Whether the fields say enough to look at the place, and nobody is asked for anything then.
    pub fn is_local_place(&self) -> bool {
        self.fields().is_ok_and(|destination| destination.is_local())
    }

    /// Says what is wrong with the place that is chosen.
    pub fn show_problem(&self, text: &str) {
        show_hint(&self.imp().hint_label, text);
    }

    /// Marks the field that most likely is wrong.
    pub fn mark(&self) {
        let imp = self.imp();
        match &*self.kind() {
            "drive" => imp.drive_group.mark(),
            "sftp" => imp.host_row.add_css_class("error"),
            "s3" => imp.bucket_row.add_css_class("error"),
            "webdav" => imp.dav_url_row.add_css_class("error"),
            "network" => imp.network_row.add_css_class("error"),
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
        imp.drive_group.unmark();
        for row in [
            imp.folder_row.upcast_ref::<gtk::Widget>(),
            imp.host_row.upcast_ref(),
            imp.port_row.upcast_ref(),
            imp.key_file_row.upcast_ref(),
            imp.endpoint_row.upcast_ref(),
            imp.region_row.upcast_ref(),
            imp.bucket_row.upcast_ref(),
            imp.key_id_row.upcast_ref(),
            imp.dav_url_row.upcast_ref(),
            imp.network_row.upcast_ref(),
        ] {
            row.remove_css_class("error");
        }
    }

    /// The provider that is chosen, by the form of its addresses; none for another one.
    fn provider(&self) -> Option<&'static str> {
        let chosen = self.imp().provider_row.selected() as usize;
        PROVIDERS.get(chosen).map(|(_, endpoint)| *endpoint)
    }

    fn fields(&self) -> Reading {
        match &*self.kind() {
            "drive" => self.imp().drive_group.read(),
            "sftp" => self.server(),
            "s3" => self.bucket(),
            "webdav" => self.web_folder(),
            "network" => self.network_folder(),
            _ => self.folder(),
        }
    }

    /// Takes a folder from the file chooser, which shows the network as well as this computer.
    async fn take_chosen(&self, folder: &gio::File) {
        match place_of(folder) {
            Some(Ok(path)) => {
                let asked = path.clone();
                let drive = gio::spawn_blocking(move || Drives::default().drive_of(&asked)).await;
                self.fill(&match drive {
                    Ok(Ok(Some(DriveAddress { uuid, name, path }))) => {
                        Destination::Drive { uuid, name, path }
                    }
                    _ => Destination::Folder { path },
                });
            }
            Some(Err(address)) => self.fill(&Destination::Network(address)),
            None => {
                let text = gettext("Backups cannot be kept in this folder. Choose another one.");
                return self.show_problem(&text);
            }
        }
        self.emit_by_name::<()>("entered", &[]);
    }
}
