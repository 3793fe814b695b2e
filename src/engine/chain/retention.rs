//! Which snapshots are worth keeping, by rules such as "one of each of the last seven days".
//!
//! First the rules choose snapshots, as if each stood for itself: every rule takes the newest snapshot
//! of each of the last N hours, days and so on that have one. The newest of all always stays. Then the
//! chains have their say: what a chosen snapshot builds on stays too. So of a chain that is past, its
//! end can go, or all of it.

use jiff::tz::TimeZone;

use crate::engine::format::time::SetTime;

/// How many snapshots are kept of each kind. A rule more, or a larger number, never keeps less.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Hours of which the newest snapshot is kept; hours without one do not count.
    pub hourly: u32,
    /// Days, in the same way.
    pub daily: u32,
    /// Weeks, which begin on Mondays.
    pub weekly: u32,
    /// Months.
    pub monthly: u32,
    /// Years.
    pub yearly: u32,
    /// All snapshots from then on are kept.
    pub within: Option<SetTime>,
}

impl Rules {
    /// Whether there is no rule at all.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Why a set stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It is the newest of all.
    Newest,
    /// It lies in the time in which everything is kept.
    Within,
    /// It is the newest of an hour that counts.
    Hourly,
    /// It is the newest of a day that counts.
    Daily,
    /// It is the newest of a week that counts.
    Weekly,
    /// It is the newest of a month that counts.
    Monthly,
    /// It is the newest of a year that counts.
    Yearly,
    /// A later set that stays builds on it.
    Needed {
        /// The time of the next set that stays for a reason of its own.
        by: SetTime,
    },
    /// It is not as old as what was to go.
    Young,
    /// It is old, but of the chain that new sets are added to.
    Active,
    /// Only incremental sets were to go.
    Full,
    /// There is more of it, or of what builds on it, than can be told.
    PartlyHidden,
}

/// For each chain, why its first sets stay; those behind them go. `chains` has the times of the sets,
/// the full one first in each.
pub fn keep(chains: &[Vec<SetTime>], rules: &Rules, zone: &TimeZone) -> Vec<Vec<Vec<Reason>>> {
    let mut reasons: Vec<Vec<Vec<Reason>>> =
        chains.iter().map(|times| vec![Vec::new(); times.len()]).collect();
    let mut snapshots: Vec<(SetTime, usize, usize)> = chains
        .iter()
        .enumerate()
        .flat_map(|(chain, times)| times.iter().enumerate().map(move |(set, time)| (*time, chain, set)))
        .collect();
    snapshots.sort_unstable_by(|one, other| other.cmp(one));

    if let Some((_, chain, set)) = snapshots.first() {
        reasons[*chain][*set].push(Reason::Newest);
    }
    for (time, chain, set) in &snapshots {
        if rules.within.is_some_and(|start| *time >= start) {
            reasons[*chain][*set].push(Reason::Within);
        }
    }
    for (reason, count, period) in [
        (Reason::Hourly, rules.hourly, Period::Hour),
        (Reason::Daily, rules.daily, Period::Day),
        (Reason::Weekly, rules.weekly, Period::Week),
        (Reason::Monthly, rules.monthly, Period::Month),
        (Reason::Yearly, rules.yearly, Period::Year),
    ] {
        let mut left = count;
        let mut last = None;
        for (time, chain, set) in &snapshots {
            let this = period.of(*time, zone);
            if left == 0 {
                break;
            }
            if last != Some(this) {
                reasons[*chain][*set].push(reason);
                last = Some(this);
                left -= 1;
            }
        }
    }

    for (times, reasons) in chains.iter().zip(&mut reasons) {
        let kept = reasons.iter().rposition(|reasons| !reasons.is_empty()).map_or(0, |last| last + 1);
        reasons.truncate(kept);
        let mut needed_by = None;
        for (time, reasons) in times.iter().zip(reasons.iter_mut()).rev() {
            match needed_by {
                Some(by) if reasons.is_empty() => reasons.push(Reason::Needed { by }),
                _ => needed_by = Some(*time),
            }
        }
    }
    reasons
}

#[derive(Clone, Copy)]
enum Period {
    Hour,
    Day,
    Week,
    Month,
    Year,
}

impl Period {
    /// What all moments of one period have in common. Of an hour that the clock shows twice, there
    /// are two.
    fn of(self, time: SetTime, zone: &TimeZone) -> [i32; 4] {
        let Ok(stamp) = jiff::Timestamp::from_second(time.epoch()) else { return [0; 4] };
        let clock = stamp.to_zoned(zone.clone());
        let (year, month) = (i32::from(clock.year()), i32::from(clock.month()));
        match self {
            Self::Hour => {
                let day = i32::from(clock.day_of_year());
                [year, day, i32::from(clock.hour()), clock.offset().seconds()]
            }
            Self::Day => [year, i32::from(clock.day_of_year()), 0, 0],
            Self::Week => {
                let week = clock.date().iso_week_date();
                [i32::from(week.year()), i32::from(week.week()), 0, 0]
            }
            Self::Month => [year, month, 0, 0],
            Self::Year => [year, 0, 0, 0],
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn time(text: &str) -> SetTime {
        SetTime::parse(&format!("{text}Z")).unwrap()
    }

    /// The kept times with their reasons.
    fn kept(chains: &[&[&str]], rules: &Rules) -> Vec<(String, Vec<Reason>)> {
        let times: Vec<Vec<SetTime>> =
            chains.iter().map(|chain| chain.iter().map(|text| time(text)).collect()).collect();
        let reasons = keep(&times, rules, &TimeZone::UTC);
        let all = times.iter().zip(reasons).flat_map(|(times, reasons)| times.iter().zip(reasons));
        all.map(|(time, reasons)| (time.to_string().trim_end_matches('Z').to_owned(), reasons)).collect()
    }

    const CHAINS: [&[&str]; 3] = [
        &["20240101T080000", "20240102T080000", "20240102T200000"],
        &["20240108T080000", "20240109T080000", "20240110T080000"],
        &["20240201T080000", "20240202T080000", "20240203T080000", "20240203T083000"],
    ];

    #[test]
    fn rules_choose_and_chains_have_their_say() {
        use Reason::{Daily, Monthly, Needed, Newest, Within};
        let active = |mut before: Vec<(String, Vec<Reason>)>, newest: Vec<Reason>| {
            let by = time("20240203T083000");
            for text in ["20240201T080000", "20240202T080000", "20240203T080000"] {
                before.push((text.to_owned(), vec![Needed { by }]));
            }
            before.push(("20240203T083000".to_owned(), newest));
            before
        };
        let none = Rules::default();
        assert_eq!(kept(&CHAINS, &none), active(vec![], vec![Newest]), "only what the newest needs");

        let monthly = Rules { monthly: 2, ..Rules::default() };
        let by = time("20240110T080000");
        let january = vec![
            ("20240108T080000".to_owned(), vec![Needed { by }]),
            ("20240109T080000".to_owned(), vec![Needed { by }]),
            ("20240110T080000".to_owned(), vec![Monthly]),
        ];
        assert_eq!(kept(&CHAINS, &monthly), active(january, vec![Newest, Monthly]));

        // The end of a chain that is past can go.
        let within = Rules { within: Some(time("20240203T083000")), weekly: 0, ..Rules::default() };
        assert_eq!(kept(&CHAINS, &within), active(vec![], vec![Newest, Within]));
        let daily = Rules { daily: 5, ..Rules::default() };
        let names: Vec<_> = kept(&CHAINS, &daily).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names[..2], ["20240108T080000", "20240109T080000"], "days 3, 2, 1 of February, 10 and 9");
        let day = |name: &str| kept(&CHAINS, &daily).into_iter().find(|(found, _)| found == name).unwrap().1;
        assert_eq!(day("20240203T083000"), [Newest, Daily]);
        assert_eq!(day("20240203T080000"), [Needed { by: time("20240203T083000") }]);
        assert_eq!(day("20240109T080000"), [Daily]);
    }

    #[test]
    fn a_chain_that_is_past_loses_its_end() {
        let chains: [&[&str]; 2] =
            [&["20230101T080000", "20231231T080000", "20240101T080000"], &["20250101T080000"]];
        // 2023 has one, 2024 has one; of two years only 2025 and 2024 count, and that one needs all.
        assert_eq!(kept(&chains, &Rules { yearly: 2, ..Rules::default() }).len(), 4);
        let chains: [&[&str]; 2] =
            [&["20230101T080000", "20240101T080000", "20240102T080000"], &["20240103T080000"]];
        let names = |rules| kept(&chains, &rules).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(Rules { yearly: 2, ..Rules::default() }), ["20230101T080000", "20240103T080000"]);
    }

    #[test]
    fn weeks_begin_on_mondays_and_days_at_midnight_of_the_zone() {
        // 31 December 2023 is a Sunday, 1 January 2024 a Monday.
        let chains: [&[&str]; 3] = [&["20231230T120000"], &["20231231T233000"], &["20240101T120000"]];
        let reasons = |rules: &Rules, zone: &TimeZone| {
            let times: Vec<Vec<SetTime>> =
                chains.iter().map(|chain| chain.iter().map(|text| time(text)).collect()).collect();
            keep(&times, rules, zone).into_iter().map(|chain| chain.len()).collect::<Vec<_>>()
        };
        let weekly = Rules { weekly: 2, ..Rules::default() };
        assert_eq!(reasons(&weekly, &TimeZone::UTC), [0, 1, 1]);
        let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        assert_eq!(reasons(&weekly, &berlin), [1, 0, 1], "there it is 2024 already");
        let yearly = Rules { yearly: 2, ..Rules::default() };
        assert_eq!(reasons(&yearly, &berlin), [1, 0, 1]);
    }

    #[test]
    fn an_hour_that_the_clock_shows_twice_counts_twice() {
        let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        // 02:30 in summer time and, an hour later, 02:30.
        let times = [vec![time("20231029T003000")], vec![time("20231029T013000")]];
        let kept = keep(&times, &Rules { hourly: 2, ..Rules::default() }, &berlin);
        assert_eq!(kept, [vec![vec![Reason::Hourly]], vec![vec![Reason::Newest, Reason::Hourly]]]);
    }

    /// Chains that follow one another, with sets minutes to months apart.
    fn any_chains() -> impl Strategy<Value = Vec<Vec<SetTime>>> {
        let step = prop_oneof![60_i64..7200, 3600_i64..200_000, 86_400_i64..8_000_000];
        let chain = proptest::collection::vec(step, 1..8);
        proptest::collection::vec(chain, 0..8).prop_map(|chains| {
            let mut now = 1_600_000_000;
            let mut next = |step: i64| {
                now += step;
                SetTime::from_epoch(now).unwrap()
            };
            chains.into_iter().map(|steps| steps.into_iter().map(&mut next).collect()).collect()
        })
    }

    fn any_rules() -> impl Strategy<Value = Rules> {
        let within = proptest::option::of(1_600_000_000_i64..1_800_000_000);
        (0..4_u32, 0..4_u32, 0..4_u32, 0..4_u32, 0..4_u32, within).prop_map(
            |(hourly, daily, weekly, monthly, yearly, within)| Rules {
                hourly,
                daily,
                weekly,
                monthly,
                yearly,
                within: within.and_then(SetTime::from_epoch),
            },
        )
    }

    fn times_kept(chains: &[Vec<SetTime>], rules: &Rules) -> BTreeSet<SetTime> {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let kept = keep(chains, rules, &zone);
        chains.iter().zip(kept).flat_map(|(times, kept)| times[..kept.len()].to_vec()).collect()
    }

    proptest! {
        #[test]
        fn the_newest_stays_and_everything_has_a_reason(chains in any_chains(), rules in any_rules()) {
            let kept = keep(&chains, &rules, &TimeZone::UTC);
            prop_assert_eq!(kept.len(), chains.len());
            for (times, kept) in chains.iter().zip(&kept) {
                // What stays is the beginning of its chain, so nothing that stays misses what it needs.
                prop_assert!(kept.len() <= times.len());
                prop_assert!(kept.iter().all(|reasons| !reasons.is_empty()));
                let last_is_wanted =
                    kept.last().is_none_or(|last| last.iter().all(|why| !matches!(why, Reason::Needed { .. })));
                prop_assert!(last_is_wanted, "nothing stays for a set that goes");
            }
            if let (Some(times), Some(kept)) = (chains.last(), kept.last()) {
                prop_assert_eq!(times.len(), kept.len(), "the active chain stays whole");
                prop_assert!(kept.last().unwrap().contains(&Reason::Newest));
            }
        }

        #[test]
        fn more_rules_never_keep_less(chains in any_chains(), few in any_rules(), more in any_rules()) {
            let both = Rules {
                hourly: few.hourly.max(more.hourly),
                daily: few.daily.max(more.daily),
                weekly: few.weekly.max(more.weekly),
                monthly: few.monthly.max(more.monthly),
                yearly: few.yearly.max(more.yearly),
                within: [few.within, more.within].into_iter().flatten().min(),
            };
            let (with_few, with_more, with_both) =
                (times_kept(&chains, &few), times_kept(&chains, &more), times_kept(&chains, &both));
            prop_assert!(with_few.is_subset(&with_both));
            prop_assert!(with_more.is_subset(&with_both));
        }

        #[test]
        fn everything_within_the_time_stays(chains in any_chains(), rules in any_rules()) {
            let kept = times_kept(&chains, &rules);
            if let Some(start) = rules.within {
                prop_assert!(chains.iter().flatten().all(|time| *time < start || kept.contains(time)));
            }
        }
    }
}
