//! Moving a plan's backups to another destination.
//!
//! They are copied and compared, and only when all of them are there does the plan go on at the new place. At
//! the old one they stay as they are.

use super::{JobKind, JobModel, PlanObject, PlanStore};
use crate::engine::copy::{CopyRequest, CopySummary, Known, Mode, Voucher, Which, copy};
use crate::engine::crypto::Keyring;
use crate::engine::job::Job;
use crate::plan::history::{Moved, Outcome, Run, Task};
use crate::plan::{Access, Destination};
use crate::ui::describe;

impl PlanStore {
    /// Starts to move a plan's backups. None if a job is running already.
    pub fn move_backups(&self, object: &PlanObject, to: Destination) -> Option<JobModel> {
        if object.job().is_some() {
            return None;
        }
        let plan = object.plan();
        let passphrases = object.repository().passphrases();
        let (old, new) = (plan.access(), Access { destination: to.clone(), rates: plan.rates });
        let work = move |job: &Job| {
            old.destination.expect_present(true)?;
            let request = CopyRequest {
                from: &*old.open(job)?,
                to: &*new.open(job)?,
                keyring: &Keyring::default(),
                passphrases: &passphrases,
                which: Which::Chains,
                known: Known::ByHash,
                voucher: Voucher::Manifests,
                mode: Mode::Copy,
            };
            copy(&request, job)?.all_there()
        };
        let (store, object) = (self.clone(), object.clone());
        let moving = object.clone();
        let job = JobModel::run(JobKind::Move, "move", work, move |job, result| {
            let (job, result) = (job.clone(), result.map_err(|error| PlanObject::failure(job, &error)));
            glib::spawn_future_local(async move {
                let outcome = match result {
                    Ok(summary) => store.go_on_at(&object, to, &summary).await,
                    Err(failure) => failure,
                };
                object.take_run(Run { task: Task::Move, ..PlanObject::run_of(&job, outcome) });
            });
        });
        moving.take_job(&job);
        Some(job)
    }

    /// Lets the plan go on where its backups are now.
    async fn go_on_at(&self, object: &PlanObject, to: Destination, summary: &CopySummary) -> Outcome {
        let mut plan = object.plan();
        let moved = Moved {
            from: describe::destination(&plan.destination),
            to: describe::destination(&to),
            snapshot_count: summary.sets.len() as u64,
            copied_bytes: summary.copied_bytes,
        };
        plan.destination = to;
        match self.replace(plan).await {
            Ok(()) => Outcome::Moved(moved),
            Err(problem) => Outcome::Failed(problem),
        }
    }
}
