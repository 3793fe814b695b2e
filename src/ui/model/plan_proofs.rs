//! Looking whether a plan's backups can be trusted.

use super::{JobKind, JobModel, PlanObject};
use crate::engine::crypto::Keyring;
use crate::engine::drill::{DrillRequest, drill};
use crate::engine::error::{Error, Result};
use crate::engine::job::Job;
use crate::engine::verify::{VerifyRequest, Which, verify};
use crate::plan::ROOT;
use crate::plan::history::{Outcome, Run, Task};
use crate::plan::proof::{Drilled, Verified};

/// How many files a test of a restore brings back.
pub const SAMPLE_FILES: usize = 200;

/// Larger files are passed over by a test of a restore, in bytes.
const LARGEST_SAMPLE: u64 = 64 << 20;

impl PlanObject {
    /// Starts to read stored files and compare them with what was written. None if a job is running already.
    pub fn verify(&self, which: Which) -> Option<JobModel> {
        let plan = self.plan();
        let repository = self.repository();
        let passphrases = repository.passphrases();
        // Of all snapshots no single key needs to have signed; a signature that is wrong is still told.
        let newest = self.sets().last().map(|set| set.time);
        let one_signer = which != Which::All || !repository.had_other_protection();
        let sign_key =
            newest.filter(|_| one_signer).and_then(|time| repository.sign_key(time)).map(str::to_owned);
        self.run_proof(JobKind::Verify, Task::Verify, move |job| {
            plan.destination.expect_present(true)?;
            let storage = plan.access().open(job)?;
            let request = VerifyRequest {
                storage: &*storage,
                keyring: &Keyring::default(),
                passphrases: &passphrases,
                sign_key: sign_key.as_deref(),
                which,
            };
            Ok(Outcome::Verified(Verified::from(&verify(&request, job)?)))
        })
    }

    /// Starts to restore a sample of the newest snapshot and compare it. None if a job is running already.
    pub fn drill(&self) -> Option<JobModel> {
        let plan = self.plan();
        let repository = self.repository();
        let passphrases = repository.passphrases();
        let newest = self.sets().last().map(|set| set.time);
        let sign_key = newest.and_then(|time| repository.sign_key(time)).map(str::to_owned);
        // What lies in /tmp may lie in memory.
        let scratch = glib::user_cache_dir().join("souvenir");
        self.run_proof(JobKind::Drill, Task::Drill, move |job| {
            plan.destination.expect_present(true)?;
            std::fs::create_dir_all(&scratch)
                .map_err(|source| Error::Local { action: "making a scratch folder", source })?;
            let storage = plan.access().open(job)?;
            let request = DrillRequest {
                storage: &*storage,
                keyring: &Keyring::default(),
                passphrases: &passphrases,
                sign_key: sign_key.as_deref(),
                time: None,
                sample_count: SAMPLE_FILES,
                max_file_bytes: LARGEST_SAMPLE,
                root: Some(ROOT.as_ref()),
                scratch: &scratch,
                seed: None,
            };
            Ok(Outcome::Drilled(Drilled::from(&drill(&request, job)?)))
        })
    }

    /// The newest check or test that came to an end at this destination.
    pub fn last_proof(&self) -> Option<Run> {
        let is_proof = |run: &Run| matches!(run.outcome, Outcome::Verified(_) | Outcome::Drilled(_));
        self.runs_here().into_iter().rev().find(is_proof)
    }

    fn run_proof(
        &self,
        kind: JobKind,
        task: Task,
        work: impl FnOnce(&Job) -> Result<Outcome> + Send + 'static,
    ) -> Option<JobModel> {
        if self.job().is_some() {
            return None;
        }
        let object = self.clone();
        let job = JobModel::run(kind, "proof", work, move |job, result| {
            let run =
                Run { task, ..Self::run_of(job, result.unwrap_or_else(|error| Self::failure(job, &error))) };
            object.take_run(run);
        });
        self.take_job(&job);
        Some(job)
    }
}
