//! What came of looking whether backups can be trusted, as it is remembered.

use serde::{Deserialize, Serialize};

use super::history::full_path;
use crate::engine::drill::{DrillSummary, Failure, Mismatch};
use crate::engine::error::Fault;
use crate::engine::verify::VerifySummary;

/// How many files that are not right are remembered of one run.
const KEPT_FILES: usize = 1000;

/// What was found when stored files were read and compared with what was written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// The times of the snapshots, in seconds since 1970, oldest first.
    pub set_secs: Vec<i64>,
    /// Files that were read, with those that are missing.
    pub file_count: u64,
    /// Their bytes.
    pub checked_bytes: u64,
    /// How many are not right.
    pub damaged_count: u64,
    /// The first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<DamagedStored>,
}

/// A stored file that is not right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DamagedStored {
    /// Its name at the destination.
    pub file: String,
    /// The time of its snapshot, in seconds since 1970.
    pub set_secs: i64,
    /// What is wrong with it.
    #[serde(default)]
    pub fault: Fault,
    /// The same in technical words.
    pub reason: String,
    /// The first and the last entry in it, as people know them, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<(String, String)>,
}

/// What was found when a random sample was restored and compared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drilled {
    /// The time of the snapshot, in seconds since 1970.
    pub set_secs: i64,
    /// Files that were tried.
    pub sample_count: u64,
    /// Their bytes.
    pub restored_bytes: u64,
    /// Files whose contents are what was backed up.
    pub proved_count: u64,
    /// Of these, files that also equal the originals, which have not changed since.
    pub equal_count: u64,
    /// How many files are not as they were.
    pub failure_count: u64,
    /// How many stored files were found to be damaged, also where the files that were tried came back all the same.
    #[serde(default)]
    pub damaged_count: u64,
    /// The first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<FailedFile>,
}

/// A file of the sample that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedFile {
    /// The file, as people know it.
    pub path: String,
    /// What is wrong with it.
    #[serde(default)]
    pub mismatch: Mismatch,
    /// What the system said; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

impl From<&VerifySummary> for Verified {
    fn from(summary: &VerifySummary) -> Self {
        let damaged = summary.damaged.iter().take(KEPT_FILES).map(|damaged| DamagedStored {
            file: damaged.file.clone(),
            set_secs: damaged.set_time.epoch(),
            fault: damaged.fault,
            reason: damaged.reason.clone(),
            held: damaged.held.as_ref().map(|(first, last)| (full_path(first), full_path(last))),
        });
        Self {
            set_secs: summary.set_times.iter().map(|time| time.epoch()).collect(),
            file_count: summary.file_count,
            checked_bytes: summary.checked_bytes,
            damaged_count: summary.damaged.len() as u64,
            damaged: damaged.collect(),
        }
    }
}

impl From<&DrillSummary> for Drilled {
    fn from(summary: &DrillSummary) -> Self {
        let failures = summary.failures.iter().take(KEPT_FILES);
        Self {
            set_secs: summary.set_time.epoch(),
            sample_count: summary.sample_count,
            restored_bytes: summary.restored_bytes,
            proved_count: summary.proved_count,
            equal_count: summary.equal_to_source_count,
            failure_count: summary.failures.len() as u64,
            damaged_count: summary.damaged_count,
            failed: failures.map(FailedFile::from).collect(),
        }
    }
}

impl From<&Failure> for FailedFile {
    fn from(failure: &Failure) -> Self {
        let Failure { path, mismatch, reason } = failure;
        Self { path: full_path(path), mismatch: *mismatch, reason: reason.clone() }
    }
}

impl Verified {
    /// Whether each file that is damaged is remembered.
    pub fn is_all_named(&self) -> bool {
        self.damaged.len() as u64 == self.damaged_count
    }

    /// The time of the newest snapshot that a damaged file belongs to, or may belong to, in seconds since 1970.
    pub fn newest_damaged_secs(&self) -> Option<i64> {
        if self.is_all_named() {
            self.damaged.iter().map(|file| file.set_secs).max()
        } else {
            self.set_secs.iter().copied().max()
        }
    }
}

impl Drilled {
    /// Whether a stored file is damaged, or a file of the backup is not what was backed up. That an original is another
    /// or cannot be read says nothing of the backup.
    pub fn found_damage_in_backup(&self) -> bool {
        let is_of_backup =
            |file: &FailedFile| matches!(file.mismatch, Mismatch::NotRestored | Mismatch::NotAsBackedUp);
        self.damaged_count > 0 || self.failed.iter().any(is_of_backup)
    }
}

/// Which snapshots lose something by damage, and which do not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// Those that a damaged file belongs to, and those that build on them, oldest first.
    pub touched: Vec<i64>,
    /// All others, oldest first.
    pub whole: Vec<i64>,
}

impl Reach {
    /// How far damage reaches. `chains` has the times of the sets, the full one first in each.
    pub fn of(damaged: &[DamagedStored], chains: &[Vec<i64>]) -> Self {
        let mut reach = Self::default();
        for chain in chains {
            let first = chain.iter().position(|time| damaged.iter().any(|file| file.set_secs == *time));
            let (whole, touched) = chain.split_at(first.unwrap_or(chain.len()));
            reach.whole.extend(whole);
            reach.touched.extend(touched);
        }
        reach.whole.sort_unstable();
        reach.touched.sort_unstable();
        reach
    }

    /// Whether the newest snapshot of all is among those that have lost something.
    pub fn is_of_newest(&self) -> bool {
        self.touched.last() > self.whole.last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn damaged(set_secs: i64) -> DamagedStored {
        DamagedStored {
            file: "duplicity-inc.vol1.difftar.gpg".into(),
            set_secs,
            fault: Fault::Missing,
            reason: "it is missing".into(),
            held: None,
        }
    }

    #[test]
    fn where_not_all_damage_is_remembered_it_may_be_in_the_newest_snapshot() {
        let found = |damaged_count| Verified {
            set_secs: vec![1, 2, 3],
            damaged: vec![damaged(2), damaged(1)],
            damaged_count,
            ..Verified::default()
        };
        assert_eq!(found(2).newest_damaged_secs(), Some(2));
        assert_eq!(found(3).newest_damaged_secs(), Some(3));
        assert_eq!(Verified { set_secs: vec![1], ..Verified::default() }.newest_damaged_secs(), None);
    }

    #[test]
    fn an_original_that_is_another_is_no_damage_of_the_backup() {
        let drilled = |mismatch| Drilled {
            failed: vec![FailedFile { path: "letter".into(), mismatch, reason: String::new() }],
            failure_count: 1,
            ..Drilled::default()
        };
        assert!(!drilled(Mismatch::NotAsOriginal).found_damage_in_backup());
        assert!(!drilled(Mismatch::Unreadable).found_damage_in_backup());
        assert!(drilled(Mismatch::NotAsBackedUp).found_damage_in_backup());
        assert!(drilled(Mismatch::NotRestored).found_damage_in_backup());
        assert!(Drilled { damaged_count: 1, ..Drilled::default() }.found_damage_in_backup());
    }

    #[test]
    fn damage_reaches_what_builds_on_it() {
        let chains = [vec![1, 2, 3], vec![4, 5]];
        let reach = Reach::of(&[damaged(2), damaged(3)], &chains);
        assert_eq!(reach, Reach { touched: vec![2, 3], whole: vec![1, 4, 5] });
        assert!(!reach.is_of_newest());
        let reach = Reach::of(&[damaged(4)], &chains);
        assert_eq!(reach, Reach { touched: vec![4, 5], whole: vec![1, 2, 3] });
        assert!(reach.is_of_newest());
        assert_eq!(Reach::of(&[], &chains).touched, [] as [i64; 0]);
        assert!(!Reach::of(&[], &[]).is_of_newest());
    }
}
