//! When a new full set is due, though the chain could be extended.

use std::fmt;
use std::time::Duration;

use super::{Chain, Set};
use crate::engine::format::time::SetTime;

const SECONDS_A_DAY: u64 = 86_400;

/// How far a chain may go before a new full set begins another. What is `None` sets no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FullPolicy {
    /// Age of the full set.
    pub max_age: Option<Duration>,
    /// Incremental sets on the full one. A restore opens them all.
    pub max_increments: Option<u32>,
    /// Bytes of all incremental sets together, in percent of the full set's.
    pub max_delta_percent: Option<u32>,
    /// Chains that began before then are left as they are: they are protected in another way.
    pub protected_since: Option<SetTime>,
    /// The newest set in which damage was found. What builds on it could not be restored wholly.
    pub damaged: Option<SetTime>,
}

impl Default for FullPolicy {
    /// Three months, a hundred sets, or as much again as the full set.
    fn default() -> Self {
        Self {
            max_age: Some(Duration::from_secs(90 * SECONDS_A_DAY)),
            max_increments: Some(100),
            max_delta_percent: Some(100),
            protected_since: None,
            damaged: None,
        }
    }
}

/// Why a full set is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FullReason {
    /// It was asked for.
    Asked,
    /// There is no complete backup to build on.
    First,
    /// The full set of the chain is that old.
    Age {
        /// In whole days.
        days: u64,
    },
    /// That many incremental sets build on the full one.
    Increments {
        /// How many.
        count: u32,
    },
    /// The incremental sets together have become large.
    DeltaShare {
        /// In percent of the full set's bytes.
        percent: u64,
    },
    /// A set of the chain has no signatures, so nobody can tell what has changed since.
    NoSignatures {
        /// The set's name.
        set: String,
    },
    /// Volumes of a set of the chain are not there, so what builds on it could not be restored wholly.
    MissingVolumes {
        /// The set's name.
        set: String,
    },
    /// Damage was found in a set of the chain.
    Damaged,
    /// The chain was made by another machine or of another folder.
    OtherSource {
        /// Folder and machine of the chain.
        found: String,
    },
    /// The chain is encrypted and the new set is not to be, or the other way round; or it is encrypted
    /// for others.
    Protection,
}

impl fmt::Display for FullReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => f.write_str("it was asked for"),
            Self::First => f.write_str("there is no backup to build on"),
            Self::Age { days } => write!(f, "the last full backup is {days} days old"),
            Self::Increments { count } => write!(f, "{count} backups build on the last full one"),
            Self::DeltaShare { percent } => {
                write!(f, "what was added since the last full backup has come to {percent} % of its size")
            }
            Self::NoSignatures { set } => write!(f, "{set} has no signatures to compare with"),
            Self::MissingVolumes { set } => write!(f, "volumes of {set} are missing"),
            Self::Damaged => f.write_str("damage was found in the backups that it would build on"),
            Self::OtherSource { found } => write!(f, "the last backup is of {found}"),
            Self::Protection => f.write_str("the protection is another one than before"),
        }
    }
}

/// How far a chain is on its way to a new full set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlook {
    /// Why the next set will be a full one, if it will.
    pub due: Option<FullReason>,
    /// When the age of the chain will make it so at the latest.
    pub due_by: Option<SetTime>,
    /// Incremental sets so far.
    pub increment_count: u32,
    /// Their bytes, in percent of the full set's.
    pub delta_percent: u64,
}

impl FullPolicy {
    /// What becomes of a chain as it grows, seen at `now`.
    pub fn outlook(&self, chain: &Chain, now: SetTime) -> Outlook {
        let (increment_count, delta_percent) = growth(chain);
        let due_by = self.max_age.and_then(|most| {
            let seconds = chain.start().epoch().checked_add(i64::try_from(most.as_secs()).ok()?)?;
            SetTime::from_epoch(seconds)
        });
        let due = chain.cannot_be_extended().or_else(|| self.full_is_due(chain, now));
        Outlook { due, due_by, increment_count, delta_percent }
    }

    /// Whether the chain is protected in another way than new sets are to be.
    pub fn leaves(&self, chain: &Chain) -> bool {
        self.protected_since.is_some_and(|since| chain.start() < since)
    }

    /// Why a set at `now` should not extend the chain but be a full one; `None` if it may extend it.
    pub fn full_is_due(&self, chain: &Chain, now: SetTime) -> Option<FullReason> {
        if self.leaves(chain) {
            return Some(FullReason::Protection);
        }
        if self.damaged.is_some_and(|damaged| chain.start() <= damaged) {
            return Some(FullReason::Damaged);
        }
        let age_secs = u64::try_from(now.epoch() - chain.start().epoch()).unwrap_or(0);
        if self.max_age.is_some_and(|most| age_secs >= most.as_secs()) {
            return Some(FullReason::Age { days: age_secs / SECONDS_A_DAY });
        }
        let (count, percent) = growth(chain);
        if self.max_increments.is_some_and(|most| count >= most) {
            return Some(FullReason::Increments { count });
        }
        if self.max_delta_percent.is_some_and(|most| percent >= u64::from(most)) {
            return Some(FullReason::DeltaShare { percent });
        }
        None
    }
}

/// The number of incremental sets, and their bytes in percent of the full set's.
fn growth(chain: &Chain) -> (u32, u64) {
    let bytes = |sets: &[Set]| sets.iter().map(|set| set.stored_bytes).sum::<u64>();
    let (full, increments) = chain.sets.split_at(1);
    let percent = bytes(increments).saturating_mul(100) / bytes(full).max(1);
    (u32::try_from(increments.len()).unwrap_or(u32::MAX), percent)
}

impl Chain {
    /// Why nothing can be built on the chain; `None` if it can be extended.
    pub fn cannot_be_extended(&self) -> Option<FullReason> {
        let lacks_volumes = |set: &&Set| !set.missing_volumes().is_empty();
        if let Some(set) = self.sets.iter().find(lacks_volumes) {
            return Some(FullReason::MissingVolumes { set: set.name() });
        }
        let bare = self.sets.iter().find(|set| set.signatures.is_none())?;
        Some(FullReason::NoSignatures { set: bare.name() })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Collection;
    use super::*;
    use crate::engine::storage::StoredFile;

    /// A full set of 1000 bytes on the first of January 2024, and an incremental one of each size a day.
    fn chain(increments: &[u64]) -> Chain {
        let day = |number: usize| format!("202401{:02}T000000Z", number + 1);
        let file = |name: String, size_bytes| StoredFile { name, size_bytes };
        let mut files = vec![
            file(format!("duplicity-full.{}.manifest", day(0)), 1000),
            file(format!("duplicity-full.{}.vol1.difftar.gz", day(0)), 0),
            file(format!("duplicity-full-signatures.{}.sigtar.gz", day(0)), 0),
        ];
        for (index, size) in increments.iter().enumerate() {
            let times = format!("{}.to.{}", day(index), day(index + 1));
            files.push(file(format!("duplicity-inc.{times}.manifest"), *size));
            files.push(file(format!("duplicity-inc.{times}.vol1.difftar.gz"), 0));
            files.push(file(format!("duplicity-new-signatures.{times}.sigtar.gz"), 0));
        }
        Collection::new(files).chains.remove(0)
    }

    fn due(chain: &Chain, now: &str) -> Option<FullReason> {
        let policy = FullPolicy { max_increments: Some(3), ..FullPolicy::default() };
        policy.full_is_due(chain, SetTime::parse(now).unwrap())
    }

    #[test]
    fn each_limit_counts() {
        let ordinary = chain(&[10, 10]);
        assert_eq!(due(&ordinary, "20240103T120000Z"), None);
        assert_eq!(due(&ordinary, "20240330T235959Z"), None);
        assert_eq!(due(&ordinary, "20240331T000000Z"), Some(FullReason::Age { days: 90 }));
        assert_eq!(due(&ordinary, "20230101T000000Z"), None, "the clock went back");
        assert_eq!(due(&chain(&[1, 1, 1]), "20240104T120000Z"), Some(FullReason::Increments { count: 3 }));
        assert_eq!(
            due(&chain(&[600, 399]), "20240103T120000Z"),
            None,
            "a little less than the full set again"
        );
        assert_eq!(
            due(&chain(&[600, 400]), "20240103T120000Z"),
            Some(FullReason::DeltaShare { percent: 100 })
        );
    }

    #[test]
    fn the_outlook_tells_how_far_it_is() {
        let now = SetTime::parse("20240103T120000Z").unwrap();
        let outlook = FullPolicy::default().outlook(&chain(&[100, 150]), now);
        let due_by = SetTime::parse("20240331T000000Z");
        assert_eq!(outlook, Outlook { due: None, due_by, increment_count: 2, delta_percent: 25 });
        assert!(FullPolicy::default().outlook(&chain(&[1000]), now).due.is_some());
    }

    #[test]
    fn without_limits_a_chain_goes_on_for_ever() {
        let policy = FullPolicy {
            max_age: None,
            max_increments: None,
            max_delta_percent: None,
            protected_since: None,
            damaged: None,
        };
        let now = SetTime::parse("20990101T000000Z").unwrap();
        assert_eq!(policy.full_is_due(&chain(&[5000; 20]), now), None);
    }

    #[test]
    fn a_chain_from_before_another_protection_is_left() {
        let chain = chain(&[10]);
        let now = SetTime::parse("20240103T000000Z").unwrap();
        let due = |since: &str| {
            let policy = FullPolicy { protected_since: SetTime::parse(since), ..FullPolicy::default() };
            policy.full_is_due(&chain, now)
        };
        // Its full set counts, and not the increment after that.
        assert_eq!(due("20240101T000001Z"), Some(FullReason::Protection));
        assert_eq!(due("20240101T000000Z"), None);
    }

    #[test]
    fn a_chain_is_left_when_damage_was_found_in_it_and_not_when_it_is_older() {
        let chain = chain(&[10]);
        let now = SetTime::parse("20240103T000000Z").unwrap();
        let due = |damaged: &str| {
            let policy = FullPolicy { damaged: SetTime::parse(damaged), ..FullPolicy::default() };
            policy.full_is_due(&chain, now)
        };
        assert_eq!(due("20240101T000000Z"), Some(FullReason::Damaged));
        assert_eq!(due("20240102T000000Z"), Some(FullReason::Damaged));
        assert_eq!(due("20231231T235959Z"), None);
    }

    #[test]
    fn a_set_without_signatures_cannot_be_built_on() {
        let mut chain = chain(&[10]);
        assert_eq!(chain.cannot_be_extended(), None);
        chain.sets[1].signatures = None;
        assert!(matches!(chain.cannot_be_extended(), Some(FullReason::NoSignatures { .. })));
    }

    #[test]
    fn a_set_without_volumes_cannot_be_built_on() {
        let mut chain = chain(&[10, 10]);
        chain.sets[1].volumes.clear();
        let Some(FullReason::MissingVolumes { set }) = chain.cannot_be_extended() else { panic!() };
        assert!(set.contains("20240102T000000Z"), "{set}");
    }
}
