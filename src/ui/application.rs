//! The application: one instance, its actions and shortcuts, and the care for running jobs. A job goes on
//! without a window, keeps the computer awake if a person began it, and ends with a notification if nobody looks.

use std::cell::{Cell, OnceCell, RefCell};
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::SystemTime;

use adw::prelude::*;
use adw::subclass::prelude::*;

use super::accelerators::{BACK_UP, CLOSE, HELP, KEYS, QUIT, RESTORE_FROM, SET_UP, SHORTCUTS};
use super::model::{JobKind, JobModel, PlanObject, PlanStore, Repository};
use super::questions::{Answers, answer_unasked};
use super::window::Window;
use crate::config;
use crate::engine::job::CancelReason;
use crate::i18n::gettext;
use crate::plan::history::Problem;
use crate::platform::folder;
use crate::platform::handover;
use crate::platform::machine::MachineWatch;

mod imp {
    use super::*;

    #[derive(Default)]
    pub struct Application {
        pub store: OnceCell<PlanStore>,
        /// What is wrong with the file of the plans, until it was shown.
        pub store_problem: RefCell<Option<Problem>>,
        pub machine: OnceCell<Rc<MachineWatch>>,
        pub jobs: RefCell<Vec<JobModel>>,
        /// Set when the person wants to leave although a job runs.
        pub quitting: Cell<bool>,
        /// How much is still to be done before the program ends.
        pub unfinished: Cell<u32>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Application {
        const NAME: &'static str = "SouvenirApplication";
        type Type = super::Application;
        type ParentType = adw::Application;
    }

    impl ObjectImpl for Application {}

    impl ApplicationImpl for Application {
        fn startup(&self) {
            self.parent_startup();
            gtk::Window::set_default_icon_name(config::APP_ID);
            self.obj().set_up_actions();
            self.obj().watch_drives();
            // It is looked for once, and not on the main loop.
            drop(gio::spawn_blocking(folder::home_in_backups));
            drop(gio::spawn_blocking(|| handover::remove_old(&glib::user_cache_dir(), SystemTime::now())));
        }

        fn command_line(&self, line: &gio::ApplicationCommandLine) -> glib::ExitCode {
            self.obj().follow(line)
        }

        fn activate(&self) {
            self.parent_activate();
            self.obj().show_window();
        }
    }

    impl GtkApplicationImpl for Application {}
    impl AdwApplicationImpl for Application {}
}

glib::wrapper! {
    /// See the module.
    pub struct Application(ObjectSubclass<imp::Application>)
        @extends adw::Application, gtk::Application, gio::Application,
        @implements gio::ActionGroup, gio::ActionMap;
}

impl Default for Application {
    fn default() -> Self {
        let application: Self = glib::Object::builder()
            .property("application-id", config::APP_ID)
            .property("resource-base-path", "/io/github/souvenir_backup/Souvenir")
            .property("flags", gio::ApplicationFlags::HANDLES_COMMAND_LINE)
            .build();
        application.add_options();
        application
    }
}

impl Application {
    /// Whether a job runs that must not be lost with the window.
    pub fn is_busy(&self) -> bool {
        !self.imp().quitting.get() && self.imp().jobs.borrow().iter().any(|job| job.kind() != JobKind::Look)
    }

    /// Goes on with the backups that wait for a drive when something is mounted. The kernel tells of that
    /// through its table of mounts (see proc_pid_mountinfo(5)), also where no service for drives runs.
    fn watch_drives(&self) {
        let table = match std::fs::File::open("/proc/self/mountinfo") {
            Ok(table) => table,
            Err(error) => {
                tracing::warn!(%error, "drives that come will not be seen");
                return;
            }
        };
        let application = self.downgrade();
        let news = glib::IOCondition::PRI | glib::IOCondition::ERR;
        glib_unix::unix_fd_add_local(table.as_raw_fd(), news, move |_, _| {
            let _open = &table;
            let Some(application) = application.upgrade() else { return glib::ControlFlow::Break };
            application.resume_waiting();
            glib::ControlFlow::Continue
        });
    }

    fn resume_waiting(&self) {
        self.take_machine();
        let (Some(window), Some(store)) = (self.window(), self.imp().store.get()) else { return };
        let is_back = |plan: &PlanObject| plan.is_waiting() && plan.plan().destination.folder().is_some();
        for plan in store.iter().filter(is_back) {
            window.back_up(&plan);
        }
    }

    /// Cares for a job until it ends.
    pub fn watch(&self, job: &JobModel, repository: &Repository) {
        self.imp().jobs.borrow_mut().push(job.clone());
        let lasting = job.kind() != JobKind::Look;
        let hold = lasting.then(|| self.hold());
        // What began by itself begins again by itself. A session that cannot be inhibited answers with no cookie.
        let cookie = (lasting && !job.is_automatic()).then(|| {
            let flags = gtk::ApplicationInhibitFlags::LOGOUT | gtk::ApplicationInhibitFlags::SUSPEND;
            self.inhibit(self.window().as_ref(), flags, Some(&gettext("A backup or a restore is running")))
        });
        let answers = Rc::new(Answers::default());
        let (application, place, given) = (self.downgrade(), repository.clone(), answers.clone());
        job.connect_question(move |job| {
            let Some(application) = application.upgrade() else { return };
            let (job, place, given) = (job.clone(), place.clone(), given.clone());
            glib::spawn_future_local(async move {
                if job.is_automatic() {
                    answer_unasked(&job, &place, &given).await;
                } else {
                    application.answer(&job, &place, &given).await;
                }
            });
        });
        let (application, place) = (self.downgrade(), repository.clone());
        let held = RefCell::new(Some((hold, cookie)));
        job.connect_ended(move |job| {
            let Some(application) = application.upgrade() else { return };
            let held = held.take();
            if let Some((_, Some(cookie))) = held
                && cookie != 0
            {
                application.uninhibit(cookie);
            }
            application.imp().jobs.borrow_mut().retain(|other| other != job);
            application.keep_answers(job, &place, &answers);
            application.tell_of_end(job, &place);
            application.close_hidden_window();
        });
    }

    /// Does something that is to be done before the program ends: a window that was closed during a job goes with its
    /// end, and the program with the window.
    pub(super) fn before_the_end(&self, work: impl Future<Output = ()> + 'static) {
        let (application, hold) = (self.clone(), self.hold());
        self.imp().unfinished.set(self.imp().unfinished.get() + 1);
        glib::spawn_future_local(async move {
            work.await;
            let unfinished = &application.imp().unfinished;
            unfinished.set(unfinished.get() - 1);
            drop(hold);
        });
    }

    /// A window that was closed while a job ran has been waiting for its end.
    fn close_hidden_window(&self) {
        if !self.is_busy()
            && let Some(window) = self.window().filter(|window| !window.is_visible())
        {
            window.destroy();
        }
    }

    pub(super) fn window(&self) -> Option<Window> {
        self.windows().into_iter().find_map(|window| window.downcast().ok())
    }

    pub(super) fn show_window(&self) {
        if let Some(window) = self.window() {
            window.present();
            return;
        }
        let window = Window::new(self);
        let (application, shown) = (self.clone(), window.clone());
        glib::spawn_future_local(async move {
            shown.set_store(&application.store().await);
            if let Some(problem) = application.imp().store_problem.take() {
                shown.show_problem(&problem);
            }
        });
        window.present();
    }

    /// The plans, which are read when somebody first wants to know.
    pub(super) async fn store(&self) -> PlanStore {
        let imp = self.imp();
        if let Some(store) = imp.store.get() {
            return store.clone();
        }
        let (loaded, problem) = PlanStore::load().await;
        if imp.store.get().is_none() {
            imp.store_problem.replace(problem);
        }
        let store = imp.store.get_or_init(|| loaded).clone();
        imp.machine.get_or_init(|| {
            let application = self.downgrade();
            MachineWatch::start(move || {
                if let Some(application) = application.upgrade() {
                    application.take_machine();
                }
            })
        });
        self.take_machine();
        store
    }

    /// Tells the plans what the machine is like, so that they know what they wait for.
    fn take_machine(&self) {
        if let (Some(store), Some(machine)) = (self.imp().store.get(), self.imp().machine.get()) {
            store.set_machine(machine.now());
        }
    }

    fn set_up_actions(&self) {
        let about =
            gio::ActionEntry::builder("about").activate(|application: &Self, _, _| application.show_about());
        let quit = gio::ActionEntry::builder("quit").activate(|application: &Self, _, _| {
            let application = application.clone();
            glib::spawn_future_local(async move { application.leave().await });
        });
        self.add_action_entries([about.build(), quit.build()]);
        self.set_up_schedule_actions();
        for (action, keys) in [
            ("app.quit", QUIT),
            ("window.close", CLOSE),
            ("win.set-up", SET_UP),
            ("win.restore-from", RESTORE_FROM),
            ("win.back-up", BACK_UP),
            ("win.keys", KEYS),
            ("win.shortcuts", SHORTCUTS),
            ("win.help", HELP),
        ] {
            self.set_accels_for_action(action, keys);
        }
    }

    /// Quits; a running job is stopped first, if the person means it.
    async fn leave(&self) {
        let imp = self.imp();
        if self.is_busy() {
            let Some(window) = self.window() else { return };
            window.present();
            let stop = super::dialogs::confirm_destructive(
                &window,
                &gettext("Stop and Quit?"),
                &gettext(
                    "A backup or a restore is still running. You can close the window instead: \
                     then it goes on, and tells you when it is done.",
                ),
                &gettext("_Stop and Quit"),
            )
            .await;
            if !stop {
                return;
            }
            imp.quitting.set(true);
            let jobs = imp.jobs.borrow().clone();
            for job in &jobs {
                job.stop(CancelReason::User);
            }
            while imp.jobs.borrow().iter().any(|job| job.is_running()) {
                glib::timeout_future(std::time::Duration::from_millis(20)).await;
            }
        }
        while imp.unfinished.get() > 0 {
            glib::timeout_future(std::time::Duration::from_millis(20)).await;
        }
        for window in self.windows() {
            window.close();
        }
        self.quit();
    }

    fn show_about(&self) {
        let about = adw::AboutDialog::builder()
            .application_name("Souvenir")
            .application_icon(config::APP_ID)
            .version(config::VERSION)
            .developer_name(gettext("The Souvenir contributors"))
            .comments(gettext(
                "Backups that only you can read, and that you can open with free tools for ever.",
            ))
            .license_type(gtk::License::Gpl30)
            // Translators: your names, one to a line; shown in the about dialog.
            .translator_credits(translators())
            .build();
        about.present(self.window().as_ref());
    }
}

pub(super) fn notification_id(place: &Repository) -> String {
    format!("plan-{}", place.plan_id().unwrap_or("none"))
}

fn translators() -> String {
    // The text itself stands for "nobody".
    let credits = gettext("translator-credits");
    if credits == "translator-credits" { String::new() } else { credits }
}
