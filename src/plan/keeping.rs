//! How long snapshots are kept, and how often a full one begins a new chain.
//!
//! What the rules let go is deleted after a backup. Chains limit that: what a snapshot that stays builds on
//! stays too (see [`retention`](crate::engine::chain::retention)).

use std::time::Duration;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::engine::chain::FullPolicy;
use crate::engine::chain::removal::Policy;
use crate::engine::chain::retention::{self, Reason, Rules};
use crate::engine::format::time::SetTime;

const DAY_SECS: i64 = 86_400;

/// How long snapshots are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Keep {
    /// For ever.
    #[default]
    Everything,
    /// So many days.
    Days {
        /// How many.
        days: u32,
    },
    /// The newest of each of the last hours, days and so on that have one.
    Thinned(Thinning),
}

/// Of how many hours, days and so on the newest snapshot is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Thinning {
    /// Hours.
    pub hourly: u32,
    /// Days.
    pub daily: u32,
    /// Weeks.
    pub weekly: u32,
    /// Months.
    pub monthly: u32,
    /// Years.
    pub yearly: u32,
}

impl Default for Thinning {
    /// What most people are well served with.
    fn default() -> Self {
        Self { hourly: 24, daily: 7, weekly: 4, monthly: 12, yearly: 5 }
    }
}

/// How often a full snapshot begins a new chain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FullEvery {
    /// When the chain has become old, long or large: see [`FullPolicy`].
    #[default]
    Needed,
    /// Every 7 days.
    Week,
    /// Every 30 days.
    Month,
    /// Every 91 days.
    Quarter,
    /// Every 365 days.
    Year,
    /// Only where there is no other way.
    Never,
}

impl FullEvery {
    /// All of them, the most frequent ones first.
    pub const ALL: [Self; 6] =
        [Self::Needed, Self::Week, Self::Month, Self::Quarter, Self::Year, Self::Never];

    /// The limits that it sets to a chain.
    pub fn policy(self) -> FullPolicy {
        let days = match self {
            Self::Needed => return FullPolicy::default(),
            Self::Week => Some(7),
            Self::Month => Some(30),
            Self::Quarter => Some(91),
            Self::Year => Some(365),
            Self::Never => None,
        };
        let max_age = days.map(|days: u64| Duration::from_secs(days * DAY_SECS.unsigned_abs()));
        FullPolicy {
            max_age,
            max_increments: None,
            max_delta_percent: None,
            protected_since: None,
            damaged: None,
        }
    }
}

impl Keep {
    /// What it lets go at `now`; none if it lets nothing go, whatever there is.
    pub fn rules(&self, now: SetTime) -> Option<Rules> {
        let rules = match self {
            Self::Everything => return None,
            Self::Days { days } => {
                let start = now.epoch() - i64::from((*days).max(1)) * DAY_SECS;
                Rules { within: SetTime::from_epoch(start), ..Rules::default() }
            }
            Self::Thinned(Thinning { hourly, daily, weekly, monthly, yearly }) => Rules {
                hourly: *hourly,
                daily: *daily,
                weekly: *weekly,
                monthly: *monthly,
                yearly: *yearly,
                within: None,
            },
        };
        Some(rules).filter(|rules| !rules.is_empty())
    }

    /// The same for whoever deletes.
    pub fn policy(&self, now: SetTime) -> Option<Policy> {
        self.rules(now).map(|rules| Policy::Retention { rules, zone: TimeZone::system() })
    }

    /// What becomes of chains whose sets have these times.
    pub fn outcome(&self, chains: &[Vec<SetTime>], now: SetTime, zone: &TimeZone) -> Fate {
        let total = chains.iter().map(Vec::len).sum::<usize>();
        let Some(rules) = self.rules(now) else {
            return Fate { kept_count: total, ..Fate::default() };
        };
        let kept = retention::keep(chains, &rules, zone);
        let reasons: Vec<_> = kept.iter().flatten().collect();
        let only_needed =
            |reasons: &&&Vec<Reason>| reasons.iter().all(|reason| matches!(reason, Reason::Needed { .. }));
        let needed_count = reasons.iter().filter(only_needed).count();
        Fate { kept_count: reasons.len(), needed_count, deleted_count: total - reasons.len() }
    }
}

/// How many snapshots stay and go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fate {
    /// Those that stay.
    pub kept_count: usize,
    /// Of these, those that no rule keeps: newer ones build on them.
    pub needed_count: usize,
    /// Those that go.
    pub deleted_count: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(number: i64) -> SetTime {
        SetTime::from_epoch(1_700_000_000 + number * DAY_SECS).unwrap()
    }

    /// Chains of so many sets, one set a day.
    fn chains(lengths: &[i64]) -> Vec<Vec<SetTime>> {
        let mut next = 0;
        let mut chain = |length: &i64| {
            next += length;
            (next - length..next).map(day).collect()
        };
        lengths.iter().map(&mut chain).collect()
    }

    fn fate(keep: &Keep, lengths: &[i64]) -> (usize, usize, usize) {
        let now = day(lengths.iter().sum());
        let fate = keep.outcome(&chains(lengths), now, &TimeZone::UTC);
        (fate.kept_count, fate.needed_count, fate.deleted_count)
    }

    #[test]
    fn everything_stays_where_nothing_is_to_go() {
        assert_eq!(fate(&Keep::Everything, &[5, 5]), (10, 0, 0));
        let none = Thinning { hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 };
        assert_eq!(Keep::Thinned(none).rules(day(1)), None, "a rule that keeps nothing is none");
    }

    #[test]
    fn days_keep_what_they_build_on() {
        // Days 0 to 4 and 5 to 9, seen on day 10.
        assert_eq!(fate(&Keep::Days { days: 6 }, &[5, 5]), (10, 4, 0), "day 4 needs all before it");
        assert_eq!(fate(&Keep::Days { days: 5 }, &[5, 5]), (5, 0, 5));
        assert_eq!(fate(&Keep::Days { days: 2 }, &[5, 5]), (5, 3, 5), "the newest chain stays whole");
        assert_eq!(fate(&Keep::Days { days: 0 }, &[5, 5]), (5, 4, 5), "not less than a day");
    }

    #[test]
    fn thinning_keeps_the_newest_of_each() {
        let keep = Keep::Thinned(Thinning { hourly: 0, daily: 6, weekly: 0, monthly: 0, yearly: 0 });
        assert_eq!(fate(&keep, &[5, 5]), (10, 4, 0));
        assert_eq!(fate(&keep, &[4, 6]), (6, 0, 4));
    }

    #[test]
    fn limits_of_a_chain() {
        assert_eq!(FullEvery::default().policy(), FullPolicy::default());
        let month = FullEvery::Month.policy();
        assert_eq!(month.max_age, Some(Duration::from_secs(30 * 86_400)));
        assert_eq!(month.max_increments, None);
        assert_eq!(FullEvery::Never.policy().max_age, None);
    }
}
