//! Whether much more has changed than ever before, as when a program encrypts everything that it finds. Then
//! nothing old is deleted until the person has said that it is well.
//!
//! Only incremental sets tell what has changed. Four things make an alarm, so that an ordinary day makes none:
//! there were three such sets before, two hundred entries or more changed or went away, they are a quarter
//! of all that the last full set had, and four times as many as in any set before.

use serde::{Deserialize, Serialize};

use super::history::{Outcome, Run};

/// Sets that there must have been, to know what is usual.
const LEAST_SETS: usize = 3;
/// Fewer changes than this are never too many.
const LEAST_CHANGES: u64 = 200;
/// The part of all entries that has to be reached: one in so many.
const PART: u64 = 4;
/// How many times more than ever before.
const TIMES: u64 = 4;

/// Much more has changed than ever before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// Entries that changed, came or went.
    pub changed_count: u64,
    /// The most that it was before.
    pub usual_count: u64,
    /// All entries of the last full set.
    pub total_count: u64,
}

/// Looks at a backup that was just made, with the runs before it, oldest first.
pub fn judge(before: &[Run], made: &Outcome) -> Option<Alarm> {
    let Outcome::Finished { full: Some(false), entry_count, deleted_count, .. } = made else { return None };
    let changed_count = entry_count + deleted_count;
    let increments: Vec<u64> = before.iter().filter_map(increment).collect();
    let usual_count = *increments.iter().max()?;
    let total_count = before.iter().rev().find_map(|run| match run.outcome {
        Outcome::Finished { full: Some(true), entry_count, .. } => Some(entry_count),
        _ => None,
    })?;
    let is_alarming = increments.len() >= LEAST_SETS
        && changed_count >= LEAST_CHANGES
        && changed_count.saturating_mul(PART) >= total_count
        && changed_count >= usual_count.saturating_mul(TIMES);
    is_alarming.then_some(Alarm { changed_count, usual_count, total_count })
}

/// How much an incremental set changed. One that raised an alarm does not make the next one usual.
fn increment(run: &Run) -> Option<u64> {
    match run.outcome {
        Outcome::Finished { full: Some(false), entry_count, deleted_count, .. } if run.alarm.is_none() => {
            Some(entry_count + deleted_count)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(full: bool, entry_count: u64, deleted_count: u64) -> Outcome {
        Outcome::Finished { full: Some(full), entry_count, deleted_count, source_bytes: 0, stored_bytes: 0 }
    }

    fn runs(outcomes: &[Outcome]) -> Vec<Run> {
        let run = |(at, outcome): (usize, &Outcome)| Run {
            started_secs: at as i64,
            ended_secs: at as i64,
            outcome: outcome.clone(),
            ..Run::default()
        };
        outcomes.iter().enumerate().map(run).collect()
    }

    #[test]
    fn only_much_more_than_ever_before_is_alarming() {
        let usual = runs(&[set(true, 1000, 0), set(false, 10, 0), set(false, 60, 20), set(false, 5, 0)]);
        let alarm = Alarm { changed_count: 320, usual_count: 80, total_count: 1000 };
        assert_eq!(judge(&usual, &set(false, 200, 120)), Some(alarm), "changed and gone count together");
        assert_eq!(judge(&usual, &set(false, 319, 0)), None, "not four times as much");
        assert_eq!(judge(&usual, &set(true, 1000, 0)), None, "of a full set everything is new");
        assert_eq!(judge(&usual[..3], &set(false, 900, 0)), None, "too few to know what is usual");
        let quiet = runs(&[set(true, 100, 0), set(false, 1, 0), set(false, 1, 0), set(false, 1, 0)]);
        assert_eq!(judge(&quiet, &set(false, 199, 0)), None, "few");
        assert!(judge(&quiet, &set(false, 200, 0)).is_some());
        let large = runs(&[set(true, 2000, 0), set(false, 1, 0), set(false, 1, 0), set(false, 1, 0)]);
        assert_eq!(judge(&large, &set(false, 499, 0)), None, "less than a quarter");
        assert!(judge(&large, &set(false, 500, 0)).is_some());
    }

    #[test]
    fn an_alarm_is_not_what_is_usual() {
        let mut before = runs(&[set(true, 1000, 0), set(false, 9, 0), set(false, 9, 0), set(false, 9, 0)]);
        before.extend(runs(&[set(false, 900, 0)]));
        assert_eq!(judge(&before, &set(false, 900, 0)), None);
        before[4].alarm = judge(&before[..4], &before[4].outcome.clone());
        assert!(judge(&before, &set(false, 900, 0)).is_some(), "the second wave is one, too");
    }
}
