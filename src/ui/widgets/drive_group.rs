//! The drives that are connected, and a folder on one of them. One that is connected later appears by itself.

use std::cell::{Cell, RefCell};
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use adw::prelude::*;
use adw::subclass::prelude::*;
use glib::subclass::Signal;

use super::drive_watch::watch_drives;
use crate::engine::storage::DriveAddress;
use crate::i18n::{gettext, gettext_f};
use crate::plan::Destination;

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "drive_group.ui")]
    pub struct DriveGroup {
        #[template_child]
        pub drive_row: TemplateChild<adw::ComboRow>,
        #[template_child]
        pub missing_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub folder_row: TemplateChild<adw::EntryRow>,
        #[template_child]
        pub browse_button: TemplateChild<gtk::Button>,
        /// Those that can be chosen.
        pub drives: RefCell<Vec<DriveAddress>>,
        /// One that was chosen before, and may be away.
        pub wanted: RefCell<Option<DriveAddress>>,
        /// A folder whose name may be no text, of which the row shows only a picture.
        pub chosen: RefCell<Option<PathBuf>>,
        pub filling: Cell<bool>,
        pub watch: RefCell<Option<glib::JoinHandle<()>>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for DriveGroup {
        const NAME: &'static str = "SouvenirDriveGroup";
        type Type = super::DriveGroup;
        type ParentType = adw::PreferencesGroup;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
            class.bind_template_callbacks();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for DriveGroup {
        fn constructed(&self) {
            self.parent_constructed();
            self.obj().show_folder(Path::new(&gettext("Backups")));
        }

        fn signals() -> &'static [Signal] {
            static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
            SIGNALS.get_or_init(|| {
                vec![
                    Signal::builder("changed").build(),
                    Signal::builder("entered").build(),
                    Signal::builder("chosen").param_types([gio::File::static_type()]).build(),
                ]
            })
        }
    }

    impl WidgetImpl for DriveGroup {
        fn map(&self) {
            self.parent_map();
            self.watch.replace(Some(watch_drives(&*self.obj(), super::DriveGroup::set_drives)));
        }

        fn unmap(&self) {
            if let Some(watch) = self.watch.take() {
                watch.abort();
            }
            self.parent_unmap();
        }
    }
    impl PreferencesGroupImpl for DriveGroup {}

    #[gtk::template_callbacks]
    impl DriveGroup {
        #[template_callback]
        fn on_drive_changed(&self) {
            if !self.filling.get() {
                // Should it go away, no other one takes its place.
                self.wanted.replace(self.obj().drive());
                self.obj().emit_by_name::<()>("changed", &[]);
            }
        }

        #[template_callback]
        fn on_folder_changed(&self) {
            if !self.filling.get() {
                self.chosen.replace(None);
                self.obj().emit_by_name::<()>("changed", &[]);
            }
        }

        #[template_callback]
        fn on_entered(&self) {
            self.obj().emit_by_name::<()>("entered", &[]);
        }

        #[template_callback]
        async fn on_browse(&self) {
            let group = self.obj();
            let dialog = gtk::FileDialog::builder().title(gettext("Choose a Folder")).modal(true).build();
            if let Some(root) = group.root_of_drive() {
                dialog.set_initial_folder(Some(&gio::File::for_path(root)));
            }
            let window = group.root().and_downcast::<gtk::Window>();
            // An error means that nothing was chosen.
            if let Ok(file) = dialog.select_folder_future(window.as_ref()).await {
                group.emit_by_name::<()>("chosen", &[&file]);
            }
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct DriveGroup(ObjectSubclass<imp::DriveGroup>)
        @extends adw::PreferencesGroup, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl DriveGroup {
    /// Fills in a folder on a drive, which may be away.
    pub fn fill(&self, drive: &DriveAddress) {
        let imp = self.imp();
        imp.wanted.replace(Some(drive.clone()));
        self.show_folder(&drive.path);
        let drives = imp.drives.borrow().clone();
        self.set_drives(drives);
        if let Some(position) = imp.drives.borrow().iter().position(|other| other.uuid == drive.uuid) {
            imp.drive_row.set_selected(u32::try_from(position).unwrap_or(0));
        }
        self.emit_by_name::<()>("changed", &[]);
    }

    /// What is chosen, or the row that does not say enough and what is to be done there.
    pub fn read(&self) -> Result<Destination, (gtk::Widget, String)> {
        let imp = self.imp();
        let Some(drive) = self.drive() else {
            let text = gettext("Connect a drive, or choose another kind of place.");
            return Err((imp.missing_row.clone().upcast(), text));
        };
        let typed = || PathBuf::from(imp.folder_row.text().trim().trim_matches('/'));
        let path = imp.chosen.borrow().clone().unwrap_or_else(typed);
        if path.components().any(|part| !matches!(part, Component::Normal(_))) {
            let text = gettext("Type the name of a folder on the drive, such as Backups.");
            return Err((imp.folder_row.clone().upcast(), text));
        }
        // Whoever has it looked at means this one.
        imp.wanted.replace(Some(drive.clone()));
        Ok(Destination::Drive { uuid: drive.uuid, name: drive.name, path })
    }

    /// Marks the row that most likely is wrong.
    pub fn mark(&self) {
        self.imp().folder_row.add_css_class("error");
    }

    /// Marks nothing.
    pub fn unmark(&self) {
        let imp = self.imp();
        for row in [
            imp.drive_row.upcast_ref::<gtk::Widget>(),
            imp.missing_row.upcast_ref(),
            imp.folder_row.upcast_ref(),
        ] {
            row.remove_css_class("error");
        }
    }

    /// Calls `handler` with a folder from the file chooser, which may be anywhere.
    pub fn connect_chosen(&self, handler: impl Fn(&gio::File) + 'static) -> glib::SignalHandlerId {
        self.connect_local("chosen", false, move |values| {
            if let Some(Ok(folder)) = values.get(1).map(glib::Value::get::<gio::File>) {
                handler(&folder);
            }
            None
        })
    }

    fn drive(&self) -> Option<DriveAddress> {
        self.imp().drives.borrow().get(self.imp().drive_row.selected() as usize).cloned()
    }

    fn root_of_drive(&self) -> Option<PathBuf> {
        DriveAddress { path: PathBuf::new(), ..self.drive()? }.folder().ok()
    }

    fn show_folder(&self, path: &Path) {
        let imp = self.imp();
        imp.filling.set(true);
        imp.folder_row.set_text(&glib::filename_display_name(path));
        imp.filling.set(false);
        imp.chosen.replace(Some(path.to_owned()));
    }

    fn set_drives(&self, mut drives: Vec<DriveAddress>) {
        let imp = self.imp();
        let is_away = |drive: &DriveAddress| drives.iter().all(|other| other.uuid != drive.uuid);
        let away = imp.wanted.borrow().clone().filter(is_away);
        let names: Vec<String> = drives
            .iter()
            .map(|drive| drive.name.clone())
            .chain(away.iter().map(|drive| gettext_f("{name}, not connected", &[("name", &drive.name)])))
            .collect();
        drives.extend(away);
        let shown = imp.drive_row.model().and_downcast::<gtk::StringList>();
        let shows = |names: &[String]| {
            let shown = shown.iter().flat_map(|shown| (0..shown.n_items()).filter_map(|at| shown.string(at)));
            shown.eq(names.iter().map(String::as_str))
        };
        if *imp.drives.borrow() == drives && shows(&names) {
            return;
        }
        let before = self.drive();
        imp.filling.set(true);
        imp.drives.replace(drives.clone());
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        imp.drive_row.set_model(Some(&gtk::StringList::new(&names)));
        let is_chosen =
            |drive: &DriveAddress| before.as_ref().is_some_and(|before| before.uuid == drive.uuid);
        let position = drives.iter().position(is_chosen).unwrap_or(0);
        imp.drive_row.set_selected(u32::try_from(position).unwrap_or(0));
        imp.filling.set(false);
        imp.missing_row.set_visible(drives.is_empty());
        imp.drive_row.set_visible(!drives.is_empty());
        imp.browse_button.set_visible(!drives.is_empty());
        if self.drive().map(|drive| drive.uuid) != before.map(|drive| drive.uuid) {
            self.emit_by_name::<()>("changed", &[]);
        }
    }
}
