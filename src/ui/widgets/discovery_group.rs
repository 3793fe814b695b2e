//! The backups on the drives that are connected, each a row to be chosen. Where there are none, nothing is seen of it.

use std::cell::RefCell;
use std::sync::OnceLock;

use adw::prelude::*;
use adw::subclass::prelude::*;
use glib::BoxedAnyObject;
use glib::subclass::Signal;

use super::destination_report::dates_text;
use super::drive_watch::watch_drives;
use crate::engine::discover::{Discovery, discover};
use crate::engine::error::Result;
use crate::engine::job::{CancelReason, Job};
use crate::engine::storage::DriveAddress;
use crate::plan::Destination;
use crate::ui::describe;
use crate::ui::model::{JobKind, JobModel};

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "discovery_group.ui")]
    pub struct DiscoveryGroup {
        #[template_child]
        pub looking_row: TemplateChild<adw::ActionRow>,
        /// Those that were looked at last.
        pub drives: RefCell<Vec<DriveAddress>>,
        pub rows: RefCell<Vec<adw::ActionRow>>,
        pub search: RefCell<Option<JobModel>>,
        pub watch: RefCell<Option<glib::JoinHandle<()>>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for DiscoveryGroup {
        const NAME: &'static str = "SouvenirDiscoveryGroup";
        type Type = super::DiscoveryGroup;
        type ParentType = adw::PreferencesGroup;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for DiscoveryGroup {
        fn signals() -> &'static [Signal] {
            static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
            SIGNALS.get_or_init(|| {
                vec![Signal::builder("chosen").param_types([BoxedAnyObject::static_type()]).build()]
            })
        }
    }

    impl WidgetImpl for DiscoveryGroup {
        // It is not seen before there is a drive, and is there all the same.
        fn root(&self) {
            self.parent_root();
            self.watch.replace(Some(watch_drives(&*self.obj(), super::DiscoveryGroup::set_drives)));
        }

        fn unroot(&self) {
            if let Some(watch) = self.watch.take() {
                watch.abort();
            }
            self.obj().stop_searching();
            // Where it is seen again, for instance in a bottom sheet, it searches anew.
            self.drives.take();
            self.parent_unroot();
        }
    }
    impl PreferencesGroupImpl for DiscoveryGroup {}
}

glib::wrapper! {
    /// See the module.
    pub struct DiscoveryGroup(ObjectSubclass<imp::DiscoveryGroup>)
        @extends adw::PreferencesGroup, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl DiscoveryGroup {
    /// Calls `handler` with the place whose row was chosen.
    pub fn connect_chosen(&self, handler: impl Fn(&Destination) + 'static) -> glib::SignalHandlerId {
        self.connect_local("chosen", false, move |values| {
            if let Some(Ok(boxed)) = values.get(1).map(glib::Value::get::<BoxedAnyObject>) {
                handler(&boxed.borrow::<Destination>());
            }
            None
        })
    }

    fn set_drives(&self, drives: Vec<DriveAddress>) {
        let imp = self.imp();
        if *imp.drives.borrow() == drives {
            return;
        }
        imp.drives.replace(drives.clone());
        self.stop_searching();
        self.show_found(&[]);
        imp.looking_row.set_visible(true);
        self.set_visible(!drives.is_empty());
        let (group, looked_at) = (self.downgrade(), drives.clone());
        let work = move |job: &Job| discover_on(&drives, job);
        let search = JobModel::run(JobKind::Look, "souvenir-discover", work, move |_, found| {
            // It fails only when nobody wants to know any more.
            let (Ok(found), Some(group)) = (found, group.upgrade()) else { return };
            if *group.imp().drives.borrow() != looked_at {
                return;
            }
            group.imp().looking_row.set_visible(false);
            group.set_visible(!found.is_empty());
            group.show_found(&found);
        });
        imp.search.replace(Some(search));
    }

    fn stop_searching(&self) {
        if let Some(search) = self.imp().search.take() {
            search.stop(CancelReason::User);
        }
    }

    fn show_found(&self, found: &[(Destination, Discovery)]) {
        for row in self.imp().rows.take() {
            self.remove(&row);
        }
        let rows = found.iter().map(|(destination, discovery)| {
            let row = adw::ActionRow::builder()
                .use_markup(false)
                .title(describe::destination(destination))
                .subtitle(dates_text(&discovery.set_times))
                .activatable(true)
                .build();
            row.add_suffix(&gtk::Image::from_icon_name("go-next-symbolic"));
            let (group, destination) = (self.downgrade(), destination.clone());
            row.connect_activated(move |_| {
                if let Some(group) = group.upgrade() {
                    group.emit_by_name::<()>("chosen", &[&BoxedAnyObject::new(destination.clone())]);
                }
            });
            self.add(&row);
            row
        });
        self.imp().rows.replace(rows.collect());
    }
}

/// The backups on some drives. One that is pulled out meanwhile has none.
fn discover_on(drives: &[DriveAddress], job: &Job) -> Result<Vec<(Destination, Discovery)>> {
    let mut found = Vec::new();
    for drive in drives {
        let Ok(root) = drive.folder() else { continue };
        for discovery in discover(&root, job)? {
            let DriveAddress { uuid, name, .. } = drive.clone();
            found.push((Destination::Drive { uuid, name, path: discovery.folder.clone() }, discovery));
        }
    }
    Ok(found)
}
