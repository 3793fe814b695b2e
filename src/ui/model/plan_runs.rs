//! What is run for a plan, and what is remembered of it.

use std::time::Duration;

use gio::prelude::*;
use glib::subclass::prelude::*;

use super::{JobKind, JobModel, PlanObject};
use crate::engine::backup::BackupKind;
use crate::engine::chain::FullPolicy;
use crate::engine::crypto::Keyring;
use crate::engine::error::{Error, Result};
use crate::engine::job::Job;
use crate::engine::verify::Which;
use crate::plan::history::{Cause, Outcome, Restored, Run, Task};
use crate::plan::run::{Done, Means};
use crate::plan::schedule::Chore;
use crate::plan::turn::Turn;
use crate::plan::{Destination, Plan};
use crate::platform::calm;

/// Who wants something to be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// A person, who can be asked.
    Person,
    /// The schedule.
    Schedule,
}

impl PlanObject {
    /// Starts a backup. None if a job is running already.
    pub fn back_up(&self) -> Option<JobModel> {
        self.make_backup(self.plan().full_policy(&self.runs()), By::Person)
    }

    /// Starts a full backup. None if a job is running already.
    pub fn back_up_fully(&self) -> Option<JobModel> {
        // One that was asked for would want the passphrase of the chain before, even where there is a new one.
        self.make_backup(
            FullPolicy { max_age: Some(Duration::ZERO), ..self.plan().full_policy(&self.runs()) },
            By::Person,
        )
    }

    /// Starts to read stored files and compare them with what was written. None if a job is running already.
    pub fn verify(&self, which: Which) -> Option<JobModel> {
        self.run(Task::Verify, By::Person, move |plan, means, job| plan.verify(which, means, job))
    }

    /// Starts to restore a sample of the newest snapshot and compare it. None if a job is running already.
    pub fn drill(&self) -> Option<JobModel> {
        self.test_restore(By::Person)
    }

    /// Starts to move all backups to another destination. None if a job is running already. The plan stays where it is.
    pub fn move_to(&self, to: Destination) -> Option<JobModel> {
        self.run(Task::Move, By::Person, move |plan, means, job| plan.move_to(&to, means, job))
    }

    /// Starts what the schedule wants. None if a job is running already.
    pub fn run_by_itself(&self, chore: Chore) -> Option<JobModel> {
        match chore {
            Chore::Backup => self.make_backup(self.plan().full_policy(&self.runs()), By::Schedule),
            Chore::Verify => {
                let newest = Which::At(None);
                self.run(Task::Verify, By::Schedule, move |plan, means, job| plan.verify(newest, means, job))
            }
            Chore::Drill => self.test_restore(By::Schedule),
        }
    }

    fn make_backup(&self, policy: FullPolicy, by: By) -> Option<JobModel> {
        if self.job().is_some() {
            return None;
        }
        self.repository().set_renewing(self.awaits_passphrase());
        let kind = BackupKind::Auto(policy);
        self.run(Task::Backup, by, move |plan, means, job| plan.back_up(kind, means, job))
    }

    fn test_restore(&self, by: By) -> Option<JobModel> {
        // What lies in /tmp may lie in memory.
        let scratch = glib::user_cache_dir().join("souvenir");
        self.run(Task::Drill, by, move |plan, means, job| plan.drill(&scratch, means, job))
    }

    fn run(
        &self,
        task: Task,
        by: By,
        work: impl FnOnce(&Plan, &Means<'_>, &Job) -> Result<Done> + Send + 'static,
    ) -> Option<JobModel> {
        if self.job().is_some() {
            return None;
        }
        let (plan, runs, repository) = (self.plan(), self.runs(), self.repository());
        let passphrases = repository.passphrases();
        let work = move |job: &Job| {
            if by == By::Schedule {
                calm::lower_priority();
            }
            let _turn = Turn::take(&plan.name, job)?;
            // Nothing comes up by itself.
            let keyring = Keyring::default().with_agent_asking(by != By::Schedule);
            work(&plan, &Means { runs: &runs, keyring: &keyring, passphrases: &passphrases }, job)
        };
        let (kind, name) = match task {
            Task::Backup => (JobKind::Backup, "backup"),
            Task::Verify => (JobKind::Verify, "proof"),
            Task::Drill => (JobKind::Drill, "proof"),
            Task::Move => (JobKind::Move, "move"),
            Task::Restore => (JobKind::Restore, "restore"),
        };
        let object = self.clone();
        let job = JobModel::run(kind, name, work, move |job, result| {
            if task == Task::Backup && repository.is_renewing() && result.is_ok() {
                repository.take_renewal();
            }
            object.take_result(job, task, result);
        });
        job.set_automatic(by == By::Schedule);
        self.imp().waiting.set(false);
        self.take_job(&job);
        Some(job)
    }

    fn take_result(&self, job: &JobModel, task: Task, result: Result<Done>) {
        let run = run_of(job, task);
        let run = match result {
            Ok(Done { outcome, removed, alarm }) => Run { outcome, removed, alarm, ..run },
            // A plan that somebody else runs is backed up by them.
            Err(Error::Busy { .. }) if job.is_automatic() => return self.drop_job(),
            Err(error) => {
                let cause = Cause::of(&error);
                // A person's own backup goes on once the drive is back; for others the schedule cares.
                let waits = cause == Some(Cause::DriveAway) && task == Task::Backup && !job.is_automatic();
                self.imp().waiting.set(waits);
                // The storage of passwords will be there, and then nobody is needed.
                let nobody_helps = !job.is_automatic() || job.lacked_keyring();
                let cause = cause.filter(|cause| *cause != Cause::Person || !nobody_helps);
                let outcome = job.problem().map_or(Outcome::Stopped, Outcome::Failed);
                Run { outcome, cause, ..run }
            }
        };
        self.take_run(run);
    }

    /// Shows that a job runs.
    fn take_job(&self, job: &JobModel) {
        self.imp().job.replace(Some(job.clone()));
        let refresh = || {
            let plan = self.downgrade();
            move |_: &JobModel| {
                if let Some(plan) = plan.upgrade() {
                    plan.refresh();
                }
            }
        };
        job.connect_paused_notify(refresh());
        job.connect_title_notify(refresh());
        self.notify_job();
        self.refresh();
    }

    /// Shows that the job runs no longer.
    fn drop_job(&self) {
        self.imp().job.replace(None);
        self.notify_job();
        self.refresh();
    }

    /// Takes note of runs that another program has made.
    pub async fn reload_runs(&self) {
        let Some(history) = self.imp().history.get().cloned() else { return };
        let id = self.id();
        let Ok(Ok(runs)) = gio::spawn_blocking(move || history.runs(&id)).await else { return };
        // What is not written yet is newer.
        let imp = self.imp();
        if imp.unwritten_count.get() == 0 && *imp.runs.borrow() != runs {
            imp.runs.replace(runs);
            imp.looks.note_change();
            self.refresh();
            self.look();
        }
    }

    /// Waits until the run that has just ended is in the history, where other programs see it.
    pub async fn wait_until_written(&self) {
        if let Some(writing) = self.imp().writing.take() {
            // It fails only when the program ends.
            let _ = writing.await;
        }
    }

    /// Remembers that files were brought back, or were to be.
    pub fn take_restore(&self, job: &JobModel, restored: Option<Restored>) {
        let outcome = match restored {
            Some(restored) => Outcome::Restored(restored),
            None => job.problem().map_or(Outcome::Stopped, Outcome::Failed),
        };
        self.remember(Run { outcome, ..run_of(job, Task::Restore) });
        self.refresh();
    }

    /// Remembers a run, and looks what the destination is like after it.
    fn take_run(&self, run: Run) {
        self.imp().looks.note_change();
        self.remember(run);
        self.drop_job();
        self.look();
    }

    fn remember(&self, run: Run) {
        let imp = self.imp();
        imp.runs.borrow_mut().push(run.clone());
        if let Some(history) = imp.history.get().cloned() {
            let (id, plan) = (self.id(), self.clone());
            imp.unwritten_count.set(imp.unwritten_count.get() + 1);
            // Without a window the program would end before it is written.
            let hold = gio::Application::default().map(|application| application.hold());
            let earlier = imp.writing.take();
            let writing = glib::spawn_future_local(async move {
                // In the order in which they ended.
                if let Some(earlier) = earlier {
                    let _ = earlier.await;
                }
                let written = gio::spawn_blocking(move || history.append(&id, &run)).await;
                plan.imp().unwritten_count.set(plan.imp().unwritten_count.get() - 1);
                match written {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::warn!(%error, "the run could not be remembered"),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
                drop(hold);
            });
            imp.writing.replace(Some(writing));
        }
    }
}

/// What is known of a run by its job, as long as nothing is said of how it ended.
fn run_of(job: &JobModel, task: Task) -> Run {
    Run {
        task,
        started_secs: job.started_secs(),
        ended_secs: glib::real_time() / 1_000_000,
        warning_count: job.warning_count(),
        warnings: job.warnings(),
        automatic: job.is_automatic(),
        ..Run::default()
    }
}
