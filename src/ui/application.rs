//! The application: one instance, its actions and shortcuts, and the care for running jobs. A job goes on
//! without a window, keeps the computer awake, and ends with a notification if nobody looks.

use std::cell::{Cell, OnceCell, RefCell};
use std::os::fd::AsRawFd;
use std::rc::Rc;

use adw::prelude::*;
use adw::subclass::prelude::*;

use super::accelerators::{BACK_UP, CLOSE, KEYS, QUIT, RESTORE_FROM, SET_UP, SHORTCUTS};
use super::model::{JobKind, JobModel, JobState, PlanObject, PlanStore, Repository};
use super::questions::Answers;
use super::window::Window;
use crate::config;
use crate::engine::job::CancelReason;
use crate::i18n::{gettext, gettext_f};

mod imp {
    use super::*;

    #[derive(Default)]
    pub struct Application {
        pub store: OnceCell<PlanStore>,
        pub loading: Cell<bool>,
        pub jobs: RefCell<Vec<JobModel>>,
        /// Set when the person wants to leave although a job runs.
        pub quitting: Cell<bool>,
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
        glib::Object::builder()
            .property("application-id", config::APP_ID)
            .property("resource-base-path", "/io/github/souvenir_backup/Souvenir")
            .build()
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
        // A session that cannot be inhibited answers with no cookie at all.
        let cookie = lasting.then(|| {
            let flags = gtk::ApplicationInhibitFlags::LOGOUT | gtk::ApplicationInhibitFlags::SUSPEND;
            self.inhibit(self.window().as_ref(), flags, Some(&gettext("A backup or a restore is running")))
        });
        let answers = Rc::new(Answers::default());
        let (application, place, given) = (self.downgrade(), repository.clone(), answers.clone());
        job.connect_question(move |job| {
            let Some(application) = application.upgrade() else { return };
            let (job, place, given) = (job.clone(), place.clone(), given.clone());
            glib::spawn_future_local(async move { application.answer(&job, &place, &given).await });
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

    fn tell_of_end(&self, job: &JobModel, place: &Repository) {
        let seen = self.window().is_some_and(|window| window.is_visible() && window.is_active());
        if seen || job.kind() == JobKind::Look || job.state() == JobState::Stopped {
            return;
        }
        let name = &[("name", place.title())];
        let (title, body) = match (job.kind(), job.state()) {
            (JobKind::Backup, JobState::Failed) => (
                gettext_f("“{name}” could not be backed up", name),
                job.problem().map(|problem| problem.what).unwrap_or_default(),
            ),
            (JobKind::Verify | JobKind::Drill, JobState::Failed) => (
                gettext_f("“{name}” could not be checked", name),
                job.problem().map(|problem| problem.what).unwrap_or_default(),
            ),
            (JobKind::Move, JobState::Failed) => (
                gettext_f("The backups of “{name}” could not be moved", name),
                job.problem().map(|problem| problem.what).unwrap_or_default(),
            ),
            (_, JobState::Failed) => (
                gettext_f("“{name}” could not be restored", name),
                job.problem().map(|problem| problem.what).unwrap_or_default(),
            ),
            (JobKind::Backup, _) if job.warnings().iter().any(|warning| warning.kind.is_loss()) => (
                gettext_f("“{name}” is backed up, but not completely", name),
                gettext("Some files were left out. Open Souvenir to see which."),
            ),
            (JobKind::Backup, _) => (gettext_f("“{name}” is backed up", name), String::new()),
            (JobKind::Verify | JobKind::Drill, _) => {
                (gettext_f("“{name}” was checked", name), gettext("Open Souvenir to see what was found."))
            }
            (JobKind::Move, _) => (gettext_f("The backups of “{name}” are moved", name), String::new()),
            _ => (gettext_f("Files from “{name}” are restored", name), String::new()),
        };
        let notification = gio::Notification::new(&title);
        notification.set_body(Some(&body).filter(|body| !body.is_empty()).map(String::as_str));
        self.send_notification(Some(&notification_id(place)), &notification);
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

    fn show_window(&self) {
        if let Some(window) = self.window() {
            window.present();
            return;
        }
        let window = Window::new(self);
        if let Some(store) = self.imp().store.get() {
            window.set_store(store);
        } else if !self.imp().loading.replace(true) {
            let (application, window) = (self.clone(), window.clone());
            glib::spawn_future_local(async move {
                let (store, problem) = PlanStore::load().await;
                let store = application.imp().store.get_or_init(|| store);
                window.set_store(store);
                if let Some(problem) = problem {
                    window.show_problem(&problem);
                }
            });
        }
        window.present();
    }

    fn set_up_actions(&self) {
        let about =
            gio::ActionEntry::builder("about").activate(|application: &Self, _, _| application.show_about());
        let quit = gio::ActionEntry::builder("quit").activate(|application: &Self, _, _| {
            let application = application.clone();
            glib::spawn_future_local(async move { application.leave().await });
        });
        self.add_action_entries([about.build(), quit.build()]);
        for (action, keys) in [
            ("app.quit", QUIT),
            ("window.close", CLOSE),
            ("win.set-up", SET_UP),
            ("win.restore-from", RESTORE_FROM),
            ("win.back-up", BACK_UP),
            ("win.keys", KEYS),
            ("win.shortcuts", SHORTCUTS),
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
