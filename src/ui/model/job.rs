//! A running engine verb as widgets see it. The only receiver of a job's events and progress.

use std::cell::{Cell, RefCell};
use std::time::Instant;

use glib::prelude::*;
use glib::subclass::Signal;
use glib::subclass::prelude::*;

use super::rate::Rate;
use crate::engine::error::Result;
use crate::engine::job::{self, CancelReason, Control, Event, Job, JobHandle, Phase, Progress, Question};
use crate::i18n::{gettext, gettext_f, ngettext_f};
use crate::plan::history::{Cause, KEPT_WARNINGS, Problem, RunWarning, full_path};
use crate::plan::turn::Turn;
use crate::platform::secrets::SecretsError;
use crate::ui::{error_text, words};

/// What a job does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "SouvenirJobKind")]
pub enum JobKind {
    /// Makes a backup.
    #[default]
    Backup,
    /// Brings files back.
    Restore,
    /// Reads stored files and compares them with what was written.
    Verify,
    /// Restores a sample and compares it.
    Drill,
    /// Copies backups to another destination.
    Move,
    /// Only looks.
    Look,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "SouvenirJobState")]
pub enum JobState {
    /// It runs, or is paused.
    #[default]
    Running,
    /// It did what it should.
    Finished,
    /// It was stopped on request.
    Stopped,
    /// It failed.
    Failed,
}

mod imp {
    use super::*;
    use std::sync::OnceLock;

    #[derive(Default, glib::Properties)]
    #[properties(wrapper_type = super::JobModel)]
    pub struct JobModel {
        /// What the job is doing, in a word or two.
        #[property(get)]
        pub title: RefCell<String>,
        /// From 0 to 1; meaningful where `measured` is set.
        #[property(get)]
        pub fraction: Cell<f64>,
        /// Whether it is known how much there is to do.
        #[property(get)]
        pub measured: Cell<bool>,
        /// Files done of how many.
        #[property(get)]
        pub files: RefCell<String>,
        /// Bytes done of how many.
        #[property(get)]
        pub bytes: RefCell<String>,
        /// How fast it goes.
        #[property(get)]
        pub rate: RefCell<String>,
        /// How long it will still take.
        #[property(get, name = "time-left")]
        pub time_left: RefCell<String>,
        /// The entry that is being worked on.
        #[property(get, name = "current-path")]
        pub current_path: RefCell<String>,
        #[property(get)]
        pub paused: Cell<bool>,
        /// Whether it was asked to stop.
        #[property(get)]
        pub stopping: Cell<bool>,
        #[property(get, builder(JobState::default()))]
        pub state: Cell<JobState>,
        #[property(get, name = "warning-count")]
        pub warning_count: Cell<u64>,

        pub kind: Cell<JobKind>,
        pub automatic: Cell<bool>,
        pub waits_for_turn: Cell<bool>,
        pub keyring_error: RefCell<Option<SecretsError>>,
        pub started_secs: Cell<i64>,
        pub control: RefCell<Option<Control>>,
        pub question: RefCell<Option<Question>>,
        pub warnings: RefCell<Vec<RunWarning>>,
        pub problem: RefCell<Option<Problem>>,
        pub speed: RefCell<Rate>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for JobModel {
        const NAME: &'static str = "SouvenirJob";
        type Type = super::JobModel;
    }

    #[glib::derived_properties]
    impl ObjectImpl for JobModel {
        fn signals() -> &'static [Signal] {
            static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
            SIGNALS
                .get_or_init(|| vec![Signal::builder("question").build(), Signal::builder("ended").build()])
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct JobModel(ObjectSubclass<imp::JobModel>);
}

impl JobModel {
    /// Runs `work` on a thread of its own. `done` gets its result on the main loop, after the
    /// properties have been set and before `ended` is emitted.
    pub fn run<T, W, D>(kind: JobKind, name: &str, work: W, done: D) -> Self
    where
        T: Send + 'static,
        W: FnOnce(&Job) -> Result<T> + Send + 'static,
        D: FnOnce(&Self, Result<T>) + 'static,
    {
        let model: Self = glib::Object::new();
        let imp = model.imp();
        imp.kind.set(kind);
        imp.started_secs.set(now_secs());
        model.set_title(Phase::default(), false);
        match job::spawn(name, work) {
            Ok(JobHandle { events, progress, control }) => {
                imp.control.replace(Some(control));
                // The model lives until its job has ended, whether or not a widget still looks.
                let receiver = model.clone();
                glib::spawn_future_local(async move {
                    while let Ok(event) = events.recv().await {
                        if let Event::Finished(result) = event {
                            receiver.finish(result, done);
                            break;
                        }
                        receiver.take_event(event);
                    }
                });
                let watcher = model.downgrade();
                glib::spawn_future_local(async move {
                    while let Ok(news) = progress.recv().await {
                        let Some(model) = watcher.upgrade() else { break };
                        model.take_progress(&news);
                    }
                });
            }
            Err(error) => {
                let model = model.clone();
                glib::idle_add_local_once(move || model.finish(Err(error), done));
            }
        }
        model
    }

    /// What the job does.
    pub fn kind(&self) -> JobKind {
        self.imp().kind.get()
    }

    /// Whether it began by itself: then nobody is asked anything.
    pub fn is_automatic(&self) -> bool {
        self.imp().automatic.get()
    }

    /// Whether another job has to end before this one begins.
    pub fn waits_for_turn(&self) -> bool {
        self.imp().waits_for_turn.get()
    }

    /// Says whether it began by itself.
    pub fn set_automatic(&self, automatic: bool) {
        self.imp().automatic.set(automatic);
    }

    /// Says that it is not known what is remembered for its questions.
    pub fn set_keyring_error(&self, error: SecretsError) {
        self.imp().keyring_error.replace(Some(error));
    }

    /// Whether it failed for want of an answer that may be remembered.
    pub fn lacked_keyring(&self) -> bool {
        self.state() == JobState::Failed && self.imp().keyring_error.borrow().is_some()
    }

    /// When it began, in seconds since 1970.
    pub fn started_secs(&self) -> i64 {
        self.imp().started_secs.get()
    }

    /// Whether it has not ended yet.
    pub fn is_running(&self) -> bool {
        self.state() == JobState::Running
    }

    /// The warnings so far; only the first thousand are kept.
    pub fn warnings(&self) -> Vec<RunWarning> {
        self.imp().warnings.borrow().clone()
    }

    /// Why it failed, if it did.
    pub fn problem(&self) -> Option<Problem> {
        self.imp().problem.borrow().clone()
    }

    /// Asks the job to stop.
    pub fn stop(&self, reason: CancelReason) {
        if let Some(control) = &*self.imp().control.borrow() {
            control.cancel(reason);
        }
        if self.is_running() && !self.imp().stopping.replace(true) {
            self.set_text(&self.imp().title, gettext("Stopping"), "title");
            self.set_text(&self.imp().time_left, String::new(), "time-left");
            self.notify_stopping();
        }
    }

    /// Holds the job, or lets it go on.
    pub fn set_paused(&self, paused: bool) {
        let imp = self.imp();
        if let Some(control) = &*imp.control.borrow() {
            if paused { control.pause() } else { control.resume() }
        }
        if imp.paused.replace(paused) != paused {
            imp.speed.borrow_mut().interrupt();
            self.set_text(&imp.rate, String::new(), "rate");
            self.set_text(&imp.time_left, String::new(), "time-left");
            self.notify_paused();
        }
    }

    /// What the job waits for somebody to answer. Dropping it is a refusal.
    pub fn take_question(&self) -> Option<Question> {
        self.imp().question.take()
    }

    /// Calls `handler` whenever the job asks something.
    pub fn connect_question(&self, handler: impl Fn(&Self) + 'static) -> glib::SignalHandlerId {
        self.connect_local("question", false, move |values| {
            if let Some(Ok(job)) = values.first().map(glib::Value::get::<Self>) {
                handler(&job);
            }
            None
        })
    }

    /// Calls `handler` once the job has ended.
    pub fn connect_ended(&self, handler: impl Fn(&Self) + 'static) -> glib::SignalHandlerId {
        self.connect_local("ended", false, move |values| {
            if let Some(Ok(job)) = values.first().map(glib::Value::get::<Self>) {
                handler(&job);
            }
            None
        })
    }

    fn take_event<T>(&self, event: Event<T>) {
        let imp = self.imp();
        match event {
            Event::Phase(phase) => self.set_title(phase, false),
            Event::Warning(warning) => {
                let mut warnings = imp.warnings.borrow_mut();
                if warnings.len() < KEPT_WARNINGS || warning.is_kept_always() {
                    warnings.push(RunWarning::from(&warning));
                }
                drop(warnings);
                imp.warning_count.set(imp.warning_count.get() + 1);
                self.notify_warning_count();
            }
            Event::Question(question) => {
                if imp.stopping.get() {
                    return;
                }
                imp.question.replace(Some(question));
                self.emit_by_name::<()>("question", &[]);
            }
            Event::Finished(_) => {}
        }
    }

    fn finish<T>(&self, result: Result<T>, done: impl FnOnce(&Self, Result<T>)) {
        let imp = self.imp();
        imp.question.take();
        let state = match &result {
            Ok(_) => JobState::Finished,
            Err(error) if error.is_cancelled() => JobState::Stopped,
            Err(error) => {
                let needs_person = Cause::of(error) == Some(Cause::Person);
                let problem = match &*imp.keyring_error.borrow() {
                    Some(keyring) if needs_person => error_text::keyring_problem(keyring, error),
                    _ => error_text::problem(error),
                };
                imp.problem.replace(Some(problem));
                JobState::Failed
            }
        };
        imp.state.set(state);
        done(self, result);
        self.notify_state();
        self.emit_by_name::<()>("ended", &[]);
    }

    fn set_title(&self, phase: Phase, trying_again: bool) {
        if self.stopping() {
            return;
        }
        self.imp().waits_for_turn.set(phase == Phase::Waiting);
        let title = match phase {
            _ if trying_again => gettext("Connection Lost, Trying Again"),
            Phase::Preparing => gettext("Preparing"),
            Phase::Waiting => match self.imp().control.borrow().as_ref().and_then(Turn::before) {
                Some(name) => gettext_f("Waiting for “{name}”", &[("name", &name)]),
                None => gettext("Preparing"),
            },
            Phase::BackingUp => gettext("Backing Up"),
            Phase::Finishing => gettext("Finishing"),
            Phase::Restoring => gettext("Restoring"),
            Phase::Listing => gettext("Reading the Backup"),
            Phase::Verifying => gettext("Checking the Backup"),
            Phase::Deleting => gettext("Deleting Old Backups"),
            Phase::Copying => gettext("Copying the Backups"),
        };
        self.set_text(&self.imp().title, title, "title");
    }

    fn take_progress(&self, news: &Progress) {
        let imp = self.imp();
        self.set_title(news.phase, news.trying_again);
        let counted = news.total_known && news.total_files > 0;
        let total = counted || news.total_known && news.total_bytes > 0;
        self.set_text(&imp.files, files_text(news, counted), "files");
        self.set_text(&imp.bytes, bytes_text(news, total), "bytes");
        self.set_text(&imp.current_path, current_text(news), "current-path");
        // To delete a large file is no more work than to delete a small one.
        let by_files = news.phase == Phase::Deleting;
        if total {
            let part = |done: u64, all: u64| if all == 0 { 1.0 } else { done.min(all) as f64 / all as f64 };
            let files = part(news.done_files, news.total_files);
            let bytes = part(done_bytes(news), news.total_bytes);
            let fraction = match (by_files, counted) {
                (true, _) => files,
                // Small files cost more than their bytes, so both count.
                (false, true) => 0.9 * bytes + 0.1 * files,
                (false, false) => bytes,
            };
            imp.fraction.set(fraction);
            self.notify_fraction();
        }
        if imp.measured.replace(total) != total {
            self.notify_measured();
        }
        if imp.paused.get() || imp.stopping.get() {
            return;
        }
        let now = Instant::now();
        let mut speed = imp.speed.borrow_mut();
        let (done, all) =
            if by_files { (news.done_files, news.total_files) } else { (done_bytes(news), news.total_bytes) };
        speed.note(now, done);
        let rate = speed.per_sec().filter(|rate| *rate > 0).map(|rate| rate_text(rate, by_files));
        let left = speed.secs_left(now, all.saturating_sub(done)).filter(|_| total).map(words::time_left);
        drop(speed);
        self.set_text(&imp.rate, rate.unwrap_or_default(), "rate");
        self.set_text(&imp.time_left, left.unwrap_or_default(), "time-left");
    }

    fn set_text(&self, field: &RefCell<String>, text: String, property: &str) {
        if *field.borrow() != text {
            field.replace(text);
            self.notify(property);
        }
    }
}

/// Where nothing is restored or backed up, what was read of the stored files is what was done.
fn done_bytes(news: &Progress) -> u64 {
    match news.phase {
        Phase::Listing => news.stored_bytes.min(news.total_bytes),
        _ => news.done_bytes,
    }
}

fn rate_text(rate: u64, by_files: bool) -> String {
    if by_files {
        ngettext_f("{count} file/s", "{count} files/s", rate, &[("count", &words::count(rate))])
    } else {
        gettext_f("{size}/s", &[("size", &words::size(rate))])
    }
}

fn files_text(news: &Progress, total: bool) -> String {
    let done = words::count(news.done_files);
    if total {
        ngettext_f(
            "{done} of {total} file",
            "{done} of {total} files",
            news.total_files,
            &[("done", &done), ("total", &words::count(news.total_files))],
        )
    } else if news.done_files > 0 {
        ngettext_f("{done} file", "{done} files", news.done_files, &[("done", &done)])
    } else {
        String::new()
    }
}

fn bytes_text(news: &Progress, total: bool) -> String {
    let done = words::size(done_bytes(news));
    if total {
        gettext_f("{done} of {total}", &[("done", &done), ("total", &words::size(news.total_bytes))])
    } else if done_bytes(news) > 0 {
        done
    } else {
        String::new()
    }
}

fn current_text(news: &Progress) -> String {
    if news.current_path.is_root() { String::new() } else { full_path(&news.current_path) }
}

fn now_secs() -> i64 {
    glib::real_time() / 1_000_000
}
