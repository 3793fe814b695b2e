//! What a run of a plan does, the same from the window, from the command line and by itself: one verb of the
//! engine at the plan's destination, and what follows from it.

use std::path::Path;

use super::alarm::{self, Alarm};
use super::history::{Cause, Moved, Outcome, Removed, Run, Task};
use super::lock::PlanLock;
use super::proof::{Drilled, Verified};
use super::{Access, Destination, Keep, Plan, ROOT};
use crate::engine::backup::{BackupKind, BackupRequest, BackupSummary, Compare, backup};
use crate::engine::chain::FullReason;
use crate::engine::copies::Copies;
use crate::engine::copy::{self, CopyRequest, Known, Voucher};
use crate::engine::crypto::{CryptoError, Keyring, Passphrases};
use crate::engine::drill::{DrillRequest, drill};
use crate::engine::error::{Error, Result};
use crate::engine::format::time::SetTime;
use crate::engine::job::{CancelReason, Job, Warning};
use crate::engine::prune::{Mode, PruneRequest, prune};
use crate::engine::status::status;
use crate::engine::storage::{Address, Storage, StorageErrorKind};
use crate::engine::verify::{VerifyRequest, Which, verify};

/// How many files a test of a restore brings back.
pub const SAMPLE_FILES: usize = 200;

/// Larger files are passed over by a test of a restore, in bytes.
const LARGEST_SAMPLE: u64 = 64 << 20;

/// What a run takes beside the plan.
#[derive(Debug)]
pub struct Means<'a> {
    /// The runs that are remembered, oldest first.
    pub runs: &'a [Run],
    /// Where gpg's keys are.
    pub keyring: &'a Keyring,
    /// Passphrases that are known already; others are asked for.
    pub passphrases: &'a Passphrases,
}

/// What came of a run.
#[derive(Debug, Clone)]
pub struct Done {
    /// How it ended.
    pub outcome: Outcome,
    /// What was deleted after a backup, if anything was to be.
    pub removed: Option<Removed>,
    /// That much more had changed than ever before.
    pub alarm: Option<Alarm>,
}

impl From<Outcome> for Done {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, removed: None, alarm: None }
    }
}

impl Plan {
    /// Those runs that cared for the backups at the present destination, oldest first. Restores do not.
    pub fn runs_here<'a>(&self, runs: &'a [Run]) -> impl DoubleEndedIterator<Item = &'a Run> {
        let since = self.destination_since.unwrap_or(i64::MIN);
        runs.iter().filter(move |run| run.started_secs >= since && run.task != Task::Restore)
    }

    /// What is known from the newest check and the newest test that came to an end at this destination: the one that
    /// found damage, which the other does not undo, or the newer one.
    pub fn last_proof<'a>(&self, runs: &'a [Run]) -> Option<&'a Run> {
        let newest_first = || self.runs_here(runs).rev();
        let check = newest_first().find(|run| matches!(run.outcome, Outcome::Verified(_)));
        let test = newest_first().find(|run| matches!(run.outcome, Outcome::Drilled(_)));
        [check, test].into_iter().flatten().max_by_key(|run| (run.found_damage(), run.started_secs))
    }

    /// Whether there must be something at the destination after these runs.
    pub fn expects_backups(&self, runs: &[Run]) -> bool {
        self.runs_here(runs).any(|run| matches!(run.outcome, Outcome::Finished { .. }))
    }

    /// The run that changed much more than ever before, as long as nobody has said what to do.
    pub fn open_alarm<'a>(&self, runs: &'a [Run]) -> Option<&'a Run> {
        let answered = self.alarm_answered.unwrap_or(i64::MIN);
        self.runs_here(runs).rev().find(|run| run.alarm.is_some() && run.ended_secs > answered)
    }

    /// Makes a backup, and deletes what the rules let go, unless much more has changed than ever before.
    pub fn back_up(&self, kind: BackupKind, means: &Means<'_>, job: &Job) -> Result<Done> {
        let _lock = PlanLock::take(self)?;
        self.make_backup(kind, means, job).map_err(|error| self.blame(error))
    }

    fn make_backup(&self, kind: BackupKind, means: &Means<'_>, job: &Job) -> Result<Done> {
        self.destination.expect_present(self.expects_backups(means.runs))?;
        if let Some(folder) = self.destination.holding(&self.folders) {
            return Err(Error::DestinationIsSource(folder.to_owned()));
        }
        // Links to them may be there all the same, and are no reason to make a backup of nothing else.
        if let Some(first) =
            self.folders.first().filter(|_| self.folders.iter().all(|folder| !folder.exists()))
        {
            return Err(Error::SourceMissing(first.clone()));
        }
        let selection = self.selection()?;
        let storage = self.access().open(job)?;
        let request = BackupRequest {
            root: ROOT.as_ref(),
            selection: &selection,
            storage: &*storage,
            protection: &self.protection,
            keyring: means.keyring,
            passphrases: means.passphrases,
            volume_bytes: self.volume_bytes(),
            set_time: None,
            kind,
            compare: Compare::Attributes,
            copies: &Copies::usual_cache().map_or_else(Copies::none, |cache| Copies::of(&cache, &*storage)),
            allow_source_mismatch: false,
        };
        let outcome = match backup(&request, job) {
            Ok(summary) => {
                if summary.full_because == Some(FullReason::First) && self.expects_backups(means.runs) {
                    job.warn(Warning::EarlierGone { location: storage.location() });
                }
                finished(&summary)
            }
            // Where the folders are gone, that is what there is to say.
            Err(Error::SourceEmpty(_))
                if let Some(gone) = self.folders.iter().find(|folder| !folder.exists()) =>
            {
                return Err(Error::SourceMissing(gone.clone()));
            }
            Err(error) => return Err(error),
        };
        // Only where something could be lost by it there is something to ask.
        let alarm = if self.keep == Keep::Everything { None } else { alarm::judge(means.runs, &outcome) };
        let held_back = alarm.is_some() || self.open_alarm(means.runs).is_some();
        let removed = if held_back { None } else { remove_old(&self.keep, &*storage, job) };
        Ok(Done { outcome, removed, alarm })
    }

    /// Reads stored files and compares them with what was written.
    pub fn verify(&self, which: Which, means: &Means<'_>, job: &Job) -> Result<Done> {
        let _lock = PlanLock::take(self)?;
        let check = || {
            self.destination.expect_present(true)?;
            let storage = self.access().open(job)?;
            // Of all snapshots no single key needs to have signed; a signature that is wrong is still told.
            let one_signer = which != Which::All || self.earlier_protections.is_empty();
            let sign_key = if one_signer { self.newest_sign_key(&*storage, job)? } else { None };
            let request = VerifyRequest {
                storage: &*storage,
                keyring: means.keyring,
                passphrases: means.passphrases,
                sign_key,
                which,
            };
            Ok(Outcome::Verified(Verified::from(&verify(&request, job)?)).into())
        };
        check().map_err(|error| self.blame(error))
    }

    /// Restores a sample of the newest snapshot below `scratch`, and compares it.
    pub fn drill(&self, scratch: &Path, means: &Means<'_>, job: &Job) -> Result<Done> {
        let _lock = PlanLock::take(self)?;
        let test = || {
            self.destination.expect_present(true)?;
            std::fs::create_dir_all(scratch)
                .map_err(|source| Error::Local { action: "making a scratch folder", source })?;
            let storage = self.access().open(job)?;
            let request = DrillRequest {
                storage: &*storage,
                keyring: means.keyring,
                passphrases: means.passphrases,
                sign_key: self.newest_sign_key(&*storage, job)?,
                time: None,
                sample_count: SAMPLE_FILES,
                max_file_bytes: LARGEST_SAMPLE,
                root: Some(ROOT.as_ref()),
                scratch,
                seed: None,
            };
            Ok(Outcome::Drilled(Drilled::from(&drill(&request, job)?)).into())
        };
        test().map_err(|error| self.blame(error))
    }

    /// Copies all backups to another destination, and compares them. Fails if one of them is not there then. That
    /// the plan goes on there is for the caller to say.
    pub fn move_to(&self, to: &Destination, means: &Means<'_>, job: &Job) -> Result<Done> {
        let _lock = PlanLock::take(self)?;
        let new = Access { destination: to.clone(), ..self.access() };
        let move_all = || {
            self.destination.expect_present(true)?;
            let request = CopyRequest {
                from: &*self.access().open(job)?,
                to: &*new.open(job)?,
                keyring: means.keyring,
                passphrases: means.passphrases,
                which: copy::Which::Chains,
                known: Known::ByHash,
                voucher: Voucher::Manifests,
                mode: copy::Mode::Copy,
            };
            let summary = copy::copy(&request, job)?.all_there()?;
            let moved = Moved {
                from: self.destination.clone(),
                to: to.clone(),
                snapshot_count: summary.sets.len() as u64,
                copied_bytes: summary.copied_bytes,
            };
            Ok(Outcome::Moved(Box::new(moved)).into())
        };
        move_all().map_err(|error| self.blame(error))
    }

    /// The key that must have signed the newest snapshot.
    fn newest_sign_key(&self, storage: &dyn Storage, job: &Job) -> Result<Option<&str>> {
        let status = status(storage, job)?;
        let newest = status.chains.iter().flat_map(|chain| &chain.sets).next_back();
        Ok(newest.and_then(|set| self.sign_key_at(set.time)))
    }

    /// Where the drive is away, whatever failed, failed because of this.
    fn blame(&self, error: Error) -> Error {
        match self.destination.address() {
            Address::Drive(drive) if matches!(error, Error::Storage(_)) => {
                drive.folder().err().map_or(error, Error::from)
            }
            _ => error,
        }
    }
}

impl Cause {
    /// What an error says about when to try again.
    pub fn of(error: &Error) -> Option<Self> {
        use CryptoError as C;
        match error {
            Error::Cancelled(reason) => match reason {
                CancelReason::User => None,
                CancelReason::Metered => Some(Self::Metered),
                CancelReason::Battery => Some(Self::Battery),
                CancelReason::PowerSaver => Some(Self::PowerSaver),
                CancelReason::Game => Some(Self::Game),
                CancelReason::Shutdown => Some(Self::Shutdown),
            },
            Error::Storage(error) => match error.kind {
                StorageErrorKind::Away => Some(Self::DriveAway),
                // Trying again could lock an account.
                StorageErrorKind::Credentials | StorageErrorKind::HostKey => Some(Self::Person),
                _ => None,
            },
            Error::Crypto {
                source: C::Damaged(_) | C::BadSignature { .. } | C::NotSigned { .. }, ..
            } => None,
            Error::Crypto { source: C::WrongSigner { .. } | C::Other(_), .. } => None,
            Error::Crypto { .. } | Error::DestinationIsSource(_) => Some(Self::Person),
            _ => None,
        }
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
