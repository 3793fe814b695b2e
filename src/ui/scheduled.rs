//! What happens by itself, and what other programs ask for: runs that are due, and words about what waits. The monitor
//! asks on the command line, which comes to the instance that has the window, if there is one.

use adw::prelude::*;
use adw::subclass::prelude::*;
use glib::variant::ToVariant;

use super::application::{Application, notification_id};
use super::describe;
use super::log::RunPage;
use super::model::{JobKind, JobModel, JobState, PlanObject, Repository};
use super::questions::PATIENCE;
use super::safekeeping::Unproved;
use crate::i18n::{gettext, gettext_f};
use crate::plan::history::{Cause, Outcome, Run, WarningKind};
use crate::plan::schedule::{Chore, Reason};

/// What the options are called. They are for the monitor, and not translated.
const OPTIONS: [(&str, &str, &str); 4] = [
    ("scheduled", "Run what is due for a plan", "PLAN"),
    ("task", "What is due: backup, verify or drill", "TASK"),
    ("waits", "Say that a plan waits", "PLAN"),
    ("reason", "What it waits for", "REASON"),
];

/// How the program ends when nothing was begun.
const NOT_BEGUN: u8 = 1;

impl Application {
    /// Adds the options of the command line.
    pub(super) fn add_options(&self) {
        for (name, description, argument) in OPTIONS {
            self.add_main_option(
                name,
                glib::Char::from(0),
                glib::OptionFlags::HIDDEN,
                glib::OptionArg::String,
                description,
                Some(argument),
            );
        }
    }

    /// Does what the command line says; without a word, it shows the window.
    pub(super) fn follow(&self, line: &gio::ApplicationCommandLine) -> glib::ExitCode {
        let options = line.options_dict();
        let text = |name: &str| options.lookup::<String>(name).ok().flatten();
        let application = self.clone();
        let hold = self.hold();
        let chore = text("task").and_then(|name| Chore::of_name(&name)).unwrap_or(Chore::Backup);
        if let Some(plan) = text("scheduled") {
            let line = line.clone();
            // Whoever called waits until the line is dropped.
            glib::spawn_future_local(async move {
                if !application.run_scheduled(&plan, chore).await {
                    line.set_exit_code(NOT_BEGUN.into());
                }
                drop((line, hold));
            });
        } else if let Some(plan) = text("waits") {
            let reason = text("reason").and_then(|name| Reason::of_name(&name));
            glib::spawn_future_local(async move {
                if let (Some(plan), Some(reason)) = (application.store().await.find(&plan), reason) {
                    application.tell_of_wait(&plan, chore, reason);
                }
                drop(hold);
            });
        } else {
            self.activate();
        }
        glib::ExitCode::SUCCESS
    }

    /// Adds the actions that the monitor and notifications ask for.
    pub(super) fn set_up_schedule_actions(&self) {
        let with_plan = |name: &str, act: fn(&Self, PlanObject)| {
            gio::ActionEntry::builder(name)
                .parameter_type(Some(glib::VariantTy::STRING))
                .activate(move |application: &Self, _, id| {
                    let (application, id) = (application.clone(), id.and_then(glib::Variant::get::<String>));
                    glib::spawn_future_local(async move {
                        let plan = application.store().await.find(&id.unwrap_or_default());
                        application.show_window();
                        if let Some(plan) = plan {
                            act(&application, plan);
                        }
                    });
                })
                .build()
        };
        let stop = gio::ActionEntry::builder("stop-scheduled")
            .parameter_type(Some(glib::VariantTy::new("(ss)").expect("two texts are a type")))
            .activate(|application: &Self, _, wish| {
                if let Some((id, reason)) = wish.and_then(glib::Variant::get::<(String, String)>) {
                    application.stop_scheduled(&id, Reason::of_name(&reason));
                }
            });
        self.add_action_entries([
            with_plan("show-plan", |application, plan| application.show_plan(&plan)),
            with_plan("show-newest-run", |application, plan| {
                application.show_plan(&plan);
                if let (Some(window), Some(run)) = (application.window(), plan.newest_run()) {
                    window.push(&RunPage::new(&plan, &run));
                }
            }),
            with_plan("back-up-plan", |application, plan| {
                application.show_plan(&plan);
                if let Some(window) = application.window() {
                    window.back_up(&plan);
                }
            }),
            stop.build(),
        ]);
    }

    fn show_plan(&self, plan: &PlanObject) {
        if let Some(window) = self.window() {
            window.show_plan(plan);
        }
    }

    /// Runs what is due, and waits until it has ended and is in the history: whoever asked for it looks there. Whether it
    /// began at all.
    async fn run_scheduled(&self, id: &str, chore: Chore) -> bool {
        let Some(plan) = self.store().await.find(id) else { return false };
        let Some(job) = plan.run_by_itself(chore) else { return false };
        let (sender, receiver) = async_channel::bounded::<()>(1);
        job.connect_ended(move |_| _ = sender.try_send(()));
        self.watch(&job, &plan.repository());
        // Fails only when the sender is gone, and then there is nothing to wait for.
        let _ = receiver.recv().await;
        plan.wait_until_written().await;
        true
    }

    /// Stops what a plan runs, if it began by itself.
    fn stop_scheduled(&self, id: &str, reason: Option<Reason>) {
        let plan = self.imp().store.get().and_then(|store| store.find(id));
        let job = plan.and_then(|plan| plan.job()).filter(JobModel::is_automatic);
        if let (Some(job), Some(reason)) = (job, reason.and_then(Reason::cancel_reason)) {
            job.stop(reason);
        }
    }

    /// Says that something is due and waits.
    fn tell_of_wait(&self, plan: &PlanObject, chore: Chore, reason: Reason) {
        if self.is_seen() {
            return;
        }
        let name = [("name", &*plan.name())];
        let title = match chore {
            Chore::Backup => gettext_f("The backup of “{name}” waits", &name),
            Chore::Verify | Chore::Drill => gettext_f("The check of “{name}” waits", &name),
        };
        let notification = gio::Notification::new(&title);
        notification.set_body(Some(&describe::wait_advice(reason, chore, &plan.plan().destination)));
        self.tell(&plan.id(), &notification, "app.show-plan", chore == Chore::Backup);
    }

    /// Says how a job ended, to whoever does not see it.
    pub(super) fn tell_of_end(&self, job: &JobModel, place: &Repository) {
        if job.kind() == JobKind::Look || job.state() == JobState::Stopped {
            return;
        }
        let plan = self.imp().store.get().and_then(|store| store.find(place.plan_id()?));
        if job.is_automatic() && plan.as_ref().is_none_or(|plan| !is_news(plan)) {
            // What was said before may be over.
            let is_over = |plan: &PlanObject| plan.alarm().is_none() && plan.damage().is_none();
            if job.state() == JobState::Finished && plan.as_ref().is_none_or(is_over) {
                self.withdraw_notification(&notification_id(place));
                if let Some(plan) = plan.filter(|_| job.kind() == JobKind::Drill) {
                    self.ask_to_recall(&plan);
                }
            }
            return;
        }
        if self.is_seen() {
            return;
        }
        let run = plan.and_then(|plan| plan.newest_run());
        let (title, body) = end_text(job, run.as_ref(), place.title());
        let is_in_log = matches!(job.kind(), JobKind::Backup | JobKind::Verify | JobKind::Drill);
        let has_report = is_in_log && run.is_some_and(|run| has_report(&run));
        let action = if has_report { "app.show-newest-run" } else { "app.show-plan" };
        let notification = gio::Notification::new(&title);
        notification.set_body(Some(&body).filter(|body| !body.is_empty()).map(String::as_str));
        let failed_backup = job.kind() == JobKind::Backup && job.state() == JobState::Failed;
        match place.plan_id() {
            Some(id) => self.tell(id, &notification, action, failed_backup),
            None => self.send_notification(Some(&notification_id(place)), &notification),
        }
    }

    /// Shows a notification that leads to a plan by an action, in the place of what was said of it before.
    fn tell(&self, id: &str, notification: &gio::Notification, action: &str, can_back_up: bool) {
        let target = id.to_variant();
        notification.set_default_action_and_target_value(action, Some(&target));
        if can_back_up {
            notification.add_button_with_target_value(
                &gettext("Back Up Now"),
                "app.back-up-plan",
                Some(&target),
            );
        }
        self.send_notification(Some(&format!("plan-{id}")), notification);
    }

    /// Together with the test of a restore, asks whether somebody still knows what opens the backups.
    fn ask_to_recall(&self, plan: &PlanObject) {
        let (application, plan) = (self.clone(), plan.clone());
        self.before_the_end(async move {
            let begun_secs = plan.runs().first().map(|run| run.started_secs);
            let facts = plan.plan();
            let unproved = glib::future_with_timeout(PATIENCE, Unproved::of(&facts, begun_secs)).await;
            if !matches!(unproved, Ok(Some(_))) || application.is_seen() {
                return;
            }
            let notification = gio::Notification::new(&gettext("Do You Still Know the Passphrase?"));
            notification.set_body(Some(&gettext_f(
                "Files of “{name}” were restored and are equal. On another computer that takes the passphrase, which \
                 you have not typed for a long time.",
                &[("name", &plan.name())],
            )));
            // Unlike what is said of a backup, this is not over with the next one.
            let id = plan.id();
            notification.set_default_action_and_target_value("app.show-plan", Some(&id.to_variant()));
            application.send_notification(Some(&format!("recall-{id}")), &notification);
        });
    }

    fn is_seen(&self) -> bool {
        self.window().is_some_and(|window| window.is_visible() && window.is_active())
    }
}

/// Whether what a run tells is on its own page. What failed, and what has to be answered, is on that of the plan.
fn has_report(run: &Run) -> bool {
    match run.outcome {
        Outcome::Verified(_) | Outcome::Drilled(_) => true,
        Outcome::Finished { .. } => run.alarm.is_none() && run.warning_count > 0,
        _ => false,
    }
}

/// Whether the end of a plan's newest run, which began by itself, is worth a word: a failure is, once for each moment
/// of the schedule, and once at all as long as a person is needed; files that were left out are, if none were before.
fn is_news(plan: &PlanObject) -> bool {
    let runs = plan.runs_here();
    let Some((run, before)) = runs.split_last() else { return false };
    let before = before.iter().rev().find(|other| other.task == run.task);
    let is_loss = |kind: WarningKind| kind.is_loss() && kind != WarningKind::EarlierGone;
    let has_loss = |run: &Run| run.warnings.iter().any(|warning| is_loss(warning.kind));
    match &run.outcome {
        Outcome::Failed(_) => {
            let zone = jiff::tz::TimeZone::system();
            let slot = plan.plan().schedule.last_slot(run.ended_secs, &zone).unwrap_or(i64::MIN);
            !before.is_some_and(|other| {
                let same = other.cause == run.cause
                    && matches!(other.outcome, Outcome::Failed(_))
                    && other.automatic;
                same && (other.ended_secs >= slot || run.cause == Some(Cause::Person))
            })
        }
        Outcome::Verified(_) | Outcome::Drilled(_) => run.found_anything_wrong(),
        _ => run.alarm.is_some() || run.lost_earlier() || has_loss(run) && !before.is_some_and(has_loss),
    }
}

/// How a job ended, and with it a plan's newest run: a heading, and a sentence that may be empty.
fn end_text(job: &JobModel, run: Option<&Run>, name: &str) -> (String, String) {
    let name = &[("name", name)];
    let problem = || job.problem().map(|problem| problem.what).unwrap_or_default();
    match (job.kind(), job.state()) {
        (JobKind::Backup, JobState::Failed) => {
            (gettext_f("“{name}” could not be backed up", name), problem())
        }
        (JobKind::Verify | JobKind::Drill, JobState::Failed) => {
            (gettext_f("“{name}” could not be checked", name), problem())
        }
        (JobKind::Move, JobState::Failed) => {
            (gettext_f("The backups of “{name}” could not be moved", name), problem())
        }
        (_, JobState::Failed) => (gettext_f("“{name}” could not be restored", name), problem()),
        (JobKind::Backup, _) if run.is_some_and(|run| run.alarm.is_some()) => (
            gettext_f("Much has changed in “{name}”", name),
            gettext("If that was not you, a program may have spoilt your files. Open Souvenir and look."),
        ),
        (JobKind::Backup, _) if run.is_some_and(Run::lost_earlier) => (
            gettext_f("The earlier backups of “{name}” are gone", name),
            gettext("They were not at the destination any more. A new backup was made from the start."),
        ),
        (JobKind::Backup, _) if job.warnings().iter().any(|warning| warning.kind.is_loss()) => (
            gettext_f("“{name}” is backed up, but not completely", name),
            gettext("Some files were left out. Open Souvenir to see which."),
        ),
        (JobKind::Backup, _) => (gettext_f("“{name}” is backed up", name), String::new()),
        (JobKind::Verify | JobKind::Drill, _) if run.is_some_and(Run::found_damage) => {
            (gettext_f("Damage was found in “{name}”", name), gettext("Open Souvenir to see what was found."))
        }
        (JobKind::Verify | JobKind::Drill, _) => {
            (gettext_f("“{name}” was checked", name), gettext("Open Souvenir to see what was found."))
        }
        (JobKind::Move, _) => (gettext_f("The backups of “{name}” are moved", name), String::new()),
        _ if job.warnings().iter().any(|warning| warning.kind.is_loss_of_restore()) => (
            gettext_f("Not everything from “{name}” is restored", name),
            gettext("Open Souvenir to see what is missing."),
        ),
        _ => (gettext_f("Files from “{name}” are restored", name), String::new()),
    }
}
