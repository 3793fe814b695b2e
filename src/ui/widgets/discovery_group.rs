//! The backups on the drives that are connected, each a row to be chosen. Where there are none, nothing is seen of it. A
//! drive that is slow holds back nothing of the others.

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

/// What is known of a drive.
#[derive(Debug)]
pub struct Search {
    drive: DriveAddress,
    /// None once it has ended.
    job: Option<JobModel>,
    /// What was found.
    rows: Vec<adw::ActionRow>,
}

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "discovery_group.ui")]
    pub struct DiscoveryGroup {
        #[template_child]
        pub looking_row: TemplateChild<adw::ActionRow>,
        pub searches: RefCell<Vec<Search>>,
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
            // Where it is seen again, for instance in a bottom sheet, it searches anew.
            self.obj().set_drives(Vec::new());
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
        let mut searches = self.imp().searches.take();
        for gone in searches.extract_if(.., |search| !drives.contains(&search.drive)) {
            if let Some(job) = gone.job {
                job.stop(CancelReason::User);
            }
            gone.rows.iter().for_each(|row| self.remove(row));
        }
        for drive in drives {
            if searches.iter().all(|search| search.drive != drive) {
                searches.push(self.search(drive));
            }
        }
        self.imp().searches.replace(searches);
        self.refresh();
    }

    fn search(&self, drive: DriveAddress) -> Search {
        let (group, looked_at) = (self.downgrade(), drive.clone());
        let work = move |job: &Job| discover_on(&looked_at, job);
        let job = JobModel::run(JobKind::Look, "souvenir-discover", work, move |job, found| {
            // It fails only when nobody wants to know any more.
            if let (Ok(found), Some(group)) = (found, group.upgrade()) {
                group.take_found(job, &found);
            }
        });
        Search { drive, job: Some(job), rows: Vec::new() }
    }

    fn take_found(&self, job: &JobModel, found: &[(Destination, Discovery)]) {
        let mut searches = self.imp().searches.borrow_mut();
        if let Some(search) = searches.iter_mut().find(|search| search.job.as_ref() == Some(job)) {
            search.job = None;
            search.rows =
                found.iter().map(|(destination, discovery)| self.row(destination, discovery)).collect();
            search.rows.iter().for_each(|row| self.add(row));
        }
        drop(searches);
        self.refresh();
    }

    fn refresh(&self) {
        let imp = self.imp();
        let searches = imp.searches.borrow();
        let is_looking = searches.iter().any(|search| search.job.is_some());
        imp.looking_row.set_visible(is_looking);
        self.set_visible(is_looking || searches.iter().any(|search| !search.rows.is_empty()));
    }

    fn row(&self, destination: &Destination, discovery: &Discovery) -> adw::ActionRow {
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
        row
    }
}

/// The backups on a drive. One that is pulled out meanwhile has none.
fn discover_on(drive: &DriveAddress, job: &Job) -> Result<Vec<(Destination, Discovery)>> {
    let Ok(root) = drive.folder() else { return Ok(Vec::new()) };
    let found = discover(&root, job)?.into_iter().map(|discovery| {
        let DriveAddress { uuid, name, .. } = drive.clone();
        (Destination::Drive { uuid, name, path: discovery.folder.clone() }, discovery)
    });
    Ok(found.collect())
}
