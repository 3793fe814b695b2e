//! What is run for a plan, and what is remembered of it.

use std::time::Duration;

use glib::subclass::prelude::*;

use super::{JobKind, JobModel, JobState, PlanObject};
use crate::engine::backup::{BackupKind, BackupRequest, BackupSummary, Compare, backup};
use crate::engine::chain::FullPolicy;
use crate::engine::copies::Copies;
use crate::engine::crypto::Keyring;
use crate::engine::error::{Error, Result};
use crate::engine::format::time::SetTime;
use crate::engine::job::{Job, Warning};
use crate::engine::prune::{Mode, PruneRequest, prune};
use crate::engine::storage::{Address, Storage, StorageErrorKind};
use crate::plan::alarm::{self, Alarm};
use crate::plan::history::{Outcome, Removed, Run};
use crate::plan::{Keep, ROOT};
use crate::ui::error_text;

/// A backup that was made, and what was deleted after it.
struct Made {
    outcome: Outcome,
    removed: Option<Removed>,
    alarm: Option<Alarm>,
}

/// Deletes what the rules let go. That it cannot be deleted is a warning: the backup was made.
fn remove_old(keep: &Keep, storage: &dyn Storage, job: &Job) -> Option<Removed> {
    let policy = keep.policy(SetTime::now())?;
    let request = PruneRequest { storage, policy: &policy, mode: Mode::Delete };
    match prune(&request, job) {
        Ok(summary) => Some(Removed {
            set_secs: summary.deleted.iter().map(|set| set.time.epoch()).collect(),
            deleted_bytes: summary.deleted_bytes,
        }),
        // The next backup does it.
        Err(Error::Cancelled(_)) => None,
        Err(error) => {
            job.warn(Warning::NotDeleted { file: storage.location(), reason: error.to_string() });
            None
        }
    }
}

impl PlanObject {
    /// Starts a backup. None if a job is running already.
    pub fn back_up(&self) -> Option<JobModel> {
        self.make_backup(BackupKind::Auto(self.plan().full_policy()))
    }

    /// Starts a full backup. None if a job is running already.
    pub fn back_up_fully(&self) -> Option<JobModel> {
        // One that was asked for would want the passphrase of the chain before, even where there is a new one.
        let policy = FullPolicy { max_age: Some(Duration::ZERO), ..self.plan().full_policy() };
        self.make_backup(BackupKind::Auto(policy))
    }

    fn make_backup(&self, kind: BackupKind) -> Option<JobModel> {
        if self.job().is_some() {
            return None;
        }
        let plan = self.plan();
        let repository = self.repository();
        let renews = self.awaits_passphrase();
        repository.set_renewing(renews);
        let passphrases = repository.passphrases();
        let expected = self.expects_backups();
        let (before, unanswered) = (self.runs(), self.alarm().is_some());
        let destination = plan.destination.clone();
        self.imp().waiting.set(false);
        let make = move |job: &Job| {
            plan.destination.expect_present(expected)?;
            let selection = plan.selection()?;
            let storage = plan.access().open(job)?;
            let keyring = Keyring::default();
            let request = BackupRequest {
                root: ROOT.as_ref(),
                selection: &selection,
                storage: &*storage,
                protection: &plan.protection,
                keyring: &keyring,
                passphrases: &passphrases,
                volume_bytes: plan.volume_bytes(),
                set_time: None,
                kind,
                compare: Compare::Attributes,
                copies: &Copies::usual_cache()
                    .map_or_else(Copies::none, |cache| Copies::of(&cache, &*storage)),
                allow_source_mismatch: false,
            };
            let outcome = finished(&backup(&request, job)?);
            // Only where something could be lost by it there is something to ask.
            let alarm = if plan.keep == Keep::Everything { None } else { alarm::judge(&before, &outcome) };
            let held_back = alarm.is_some() || unanswered;
            let removed = if held_back { None } else { remove_old(&plan.keep, &*storage, job) };
            Ok(Made { outcome, removed, alarm })
        };
        let work = move |job: &Job| {
            make(job).map_err(|error| match destination.address() {
                // Whatever failed, failed because of this.
                Address::Drive(drive) if matches!(error, Error::Storage(_)) => {
                    drive.folder().err().map_or(error, Error::from)
                }
                _ => error,
            })
        };
        let object = self.clone();
        let job = JobModel::run(JobKind::Backup, "backup", work, move |job, result| {
            if renews && result.is_ok() {
                repository.take_renewal();
            }
            object.take_result(job, result)
        });
        self.take_job(&job);
        Some(job)
    }

    fn take_result(&self, job: &JobModel, result: Result<Made>) {
        let is_away = matches!(&result, Err(Error::Storage(error)) if error.kind == StorageErrorKind::Away);
        self.imp().waiting.set(is_away);
        self.take_run(match result {
            Ok(Made { outcome, removed, alarm }) => Run { removed, alarm, ..Self::run_of(job, outcome) },
            Err(error) => Self::run_of(job, Self::failure(job, &error)),
        });
    }

    /// How a job ended that did not do what it should.
    pub(super) fn failure(job: &JobModel, error: &Error) -> Outcome {
        match job.state() {
            JobState::Stopped => Outcome::Stopped,
            _ => Outcome::Failed(error_text::problem(error)),
        }
    }

    /// A job that ended now.
    pub(super) fn run_of(job: &JobModel, outcome: Outcome) -> Run {
        Run {
            started_secs: job.started_secs(),
            ended_secs: glib::real_time() / 1_000_000,
            outcome,
            warning_count: job.warning_count(),
            warnings: job.warnings(),
            ..Run::default()
        }
    }

    /// Shows that a job runs.
    pub(super) fn take_job(&self, job: &JobModel) {
        self.imp().job.replace(Some(job.clone()));
        self.notify_job();
        self.refresh();
    }

    /// Remembers a run, and looks what the destination is like after it.
    pub(super) fn take_run(&self, run: Run) {
        let imp = self.imp();
        imp.runs.borrow_mut().push(run.clone());
        imp.job.replace(None);
        if let Some(history) = imp.history.get().cloned() {
            let id = self.id();
            gio::spawn_blocking(move || {
                if let Err(error) = history.append(&id, &run) {
                    tracing::warn!(%error, "the run could not be remembered");
                }
            });
        }
        self.notify_job();
        self.refresh();
        self.look();
    }
}

/// What a backup came to, as it is remembered.
fn finished(summary: &BackupSummary) -> Outcome {
    Outcome::Finished {
        full: Some(summary.is_full()),
        entry_count: summary.entry_count,
        deleted_count: summary.deleted_count,
        source_bytes: summary.source_bytes,
        stored_bytes: summary.stored_bytes,
    }
}
