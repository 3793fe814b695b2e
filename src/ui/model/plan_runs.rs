//! What is run for a plan, and what is remembered of it.

use glib::subclass::prelude::*;

use super::{JobKind, JobModel, JobState, PlanObject};
use crate::engine::backup::{BackupKind, BackupRequest, BackupSummary, Compare, backup};
use crate::engine::copies::Copies;
use crate::engine::crypto::Keyring;
use crate::engine::error::{Error, Result};
use crate::engine::job::Job;
use crate::engine::storage::{Address, StorageErrorKind};
use crate::plan::ROOT;
use crate::plan::history::{Outcome, Run};
use crate::ui::error_text;

impl PlanObject {
    /// Starts a backup. None if a job is running already.
    pub fn back_up(&self) -> Option<JobModel> {
        if self.job().is_some() {
            return None;
        }
        let plan = self.plan();
        let repository = self.repository();
        let renews = self.awaits_passphrase();
        repository.set_renewing(renews);
        let passphrases = repository.passphrases();
        let expected = self.expects_backups();
        let destination = plan.destination.clone();
        self.imp().waiting.set(false);
        let make = move |job: &Job| {
            plan.destination.expect_present(expected)?;
            let selection = plan.selection()?;
            let storage = plan.destination.open(job)?;
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
                kind: BackupKind::Auto(plan.full_policy()),
                compare: Compare::Attributes,
                copies: &Copies::usual_cache()
                    .map_or_else(Copies::none, |cache| Copies::of(&cache, &*storage)),
                allow_source_mismatch: false,
            };
            backup(&request, job)
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
            object.take_result(job, &result)
        });
        self.imp().job.replace(Some(job.clone()));
        self.notify_job();
        self.refresh();
        Some(job)
    }

    fn take_result(&self, job: &JobModel, result: &Result<BackupSummary>) {
        let imp = self.imp();
        let outcome = match result {
            Ok(summary) => Outcome::Finished {
                full: Some(summary.is_full()),
                entry_count: summary.entry_count,
                source_bytes: summary.source_bytes,
                stored_bytes: summary.stored_bytes,
            },
            Err(_) if job.state() == JobState::Stopped => Outcome::Stopped,
            Err(error) => Outcome::Failed(error_text::problem(error)),
        };
        imp.waiting.set(matches!(result, Err(Error::Storage(error)) if error.kind == StorageErrorKind::Away));
        let run = Run {
            started_secs: job.started_secs(),
            ended_secs: glib::real_time() / 1_000_000,
            outcome,
            warning_count: job.warning_count(),
            warnings: job.warnings(),
        };
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
