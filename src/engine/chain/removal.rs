//! What of the chains may be deleted, and in which order. Nothing here touches a file.
//!
//! The rules of time are duplicity's: a chain goes whole, and only if all of it is old. Two things hold
//! whatever is asked for. The active chain is never touched. And of a set that stays, everything stays
//! that it builds on.

use std::cmp::Reverse;
use std::num::NonZeroU32;

use jiff::tz::TimeZone;

use super::retention::{self, Reason, Rules};
use super::signatures::SignatureChains;
use super::{Chain, Collection, Set};
use crate::engine::format::name::{FileName, Part, SetKind};
use crate::engine::format::time::SetTime;
use crate::engine::storage::StoredFile;

/// Which sets are to go.
#[derive(Debug, Clone)]
pub enum Policy {
    /// Chains that ended before that time. A chain that reached it stays whole.
    OlderThan(SetTime),
    /// Chains that ended before the full set that is the N-th, counted from the newest.
    AllButFull(NonZeroU32),
    /// Of the same chains the incremental sets only.
    IncrementalOfAllButFull(NonZeroU32),
    /// What the rules do not keep, and nothing kept builds on.
    Retention {
        /// The rules. Without any nothing goes.
        rules: Rules,
        /// Whose hours and days count.
        zone: TimeZone,
    },
}

/// What goes, and why the rest stays.
#[derive(Debug, Default)]
pub struct Removal<'a> {
    /// For each chain of which something goes its sets that go, last first; the newest chain first.
    pub chains: Vec<Vec<&'a Set>>,
    /// Sets of which only the signatures are left, and these are old enough too; newest first.
    pub signatures: Vec<&'a Set>,
    /// Sets of chains that stay, in order of the chains.
    pub kept: Vec<Kept<'a>>,
}

/// A set that stays.
#[derive(Debug)]
pub struct Kept<'a> {
    /// The set.
    pub set: &'a Set,
    /// Why.
    pub reasons: Vec<Reason>,
}

impl Collection {
    /// What goes by that policy.
    pub fn removal(&self, policy: &Policy) -> Removal<'_> {
        let decided = self.decide(policy);
        let mut removal = Removal::default();
        for (chain, mut reasons) in self.chains.iter().zip(decided.reasons) {
            if self.is_partly_hidden(&chain.sets[reasons.len()..]) {
                let more = chain.sets.len() - reasons.len();
                reasons.extend(std::iter::repeat_n(vec![Reason::PartlyHidden], more));
            }
            let (kept, doomed) = chain.sets.split_at(reasons.len());
            let kept = kept.iter().zip(reasons).map(|(set, reasons)| Kept { set, reasons });
            removal.kept.extend(kept);
            if !doomed.is_empty() {
                removal.chains.push(doomed.iter().rev().collect());
            }
        }
        // Chains are in order of their ends.
        removal.chains.reverse();
        if let Some(time) = decided.signatures_before {
            let goes = |set: &&Set| decided.full_too || !set.kind.is_full();
            removal.signatures =
                SignatureChains::new(self).left_behind(time).into_iter().filter(goes).collect();
            removal.signatures.retain(|set| !self.is_partly_hidden(std::slice::from_ref(*set)));
        }
        removal
    }

    /// For each chain why its first sets stay; those behind them go.
    fn decide(&self, policy: &Policy) -> Decided {
        let nothing = Decided {
            reasons: self.chains.iter().map(|chain| vec![vec![Reason::Young]; chain.sets.len()]).collect(),
            signatures_before: None,
            full_too: true,
        };
        match policy {
            Policy::OlderThan(time) => self.older_than(*time, false),
            Policy::AllButFull(count) => {
                self.nth_full(*count).map_or(nothing, |time| self.older_than(time, false))
            }
            Policy::IncrementalOfAllButFull(count) => {
                self.nth_full(*count).map_or(nothing, |time| self.older_than(time, true))
            }
            Policy::Retention { rules, .. } if rules.is_empty() => nothing,
            Policy::Retention { rules, zone } => {
                let times: Vec<Vec<SetTime>> = self
                    .chains
                    .iter()
                    .map(|chain| chain.sets.iter().map(|set| set.kind.time()).collect())
                    .collect();
                Decided {
                    reasons: retention::keep(&times, rules, zone),
                    signatures_before: self.chains.last().map(Chain::start),
                    full_too: true,
                }
            }
        }
    }

    /// Chains that ended before `time`, apart from the active one, go; or only their incremental sets.
    fn older_than(&self, time: SetTime, keep_full: bool) -> Decided {
        let active = self.chains.len().saturating_sub(1);
        let reasons = |(index, chain): (usize, &Chain)| -> Vec<Vec<Reason>> {
            let young = chain.sets.iter().map(|set| set.kind.time()).find(|set| *set >= time);
            let why = |set: &Set| match young {
                Some(_) if set.kind.time() >= time => vec![Reason::Young],
                Some(by) => vec![Reason::Needed { by }],
                None => vec![Reason::Active],
            };
            if index == active || young.is_some() {
                chain.sets.iter().map(why).collect()
            } else if keep_full {
                vec![vec![Reason::Full]]
            } else {
                Vec::new()
            }
        };
        Decided {
            reasons: self.chains.iter().enumerate().map(reasons).collect(),
            signatures_before: Some(time),
            full_too: !keep_full,
        }
    }

    /// The time of the full set that is the N-th, counted from the newest.
    fn nth_full(&self, count: NonZeroU32) -> Option<SetTime> {
        let mut starts: Vec<SetTime> = self.chains.iter().map(Chain::start).collect();
        starts.sort_by_key(|start| Reverse(*start));
        starts.get(usize::try_from(count.get() - 1).ok()?).copied()
    }

    /// Whether something is there that belongs to these sets, or builds on them, and is not counted.
    fn is_partly_hidden(&self, sets: &[Set]) -> bool {
        let builds_on = |hidden: &SetKind, set: &Set| match hidden {
            SetKind::Incremental { start, .. } => *start == set.kind.time(),
            SetKind::Full { .. } => false,
        };
        sets.iter()
            .any(|set| self.partly_hidden.iter().any(|hidden| *hidden == set.kind || builds_on(hidden, set)))
    }
}

struct Decided {
    reasons: Vec<Vec<Vec<Reason>>>,
    /// Signatures that were left behind go if all of their chain is older than this.
    signatures_before: Option<SetTime>,
    /// Whether those of full sets go too.
    full_too: bool,
}

impl Set {
    /// The files of the set in the order in which they are deleted.
    ///
    /// The manifest is the first: without it there is no set, whatever else is still there. Then come
    /// the volumes from the highest down, the signatures and the rest. Of a set that has no manifest
    /// the signatures are the first: left alone, they would keep duplicity from extending the chain.
    pub fn in_deletion_order(&self) -> Vec<&StoredFile> {
        let finished = self.is_complete();
        let rank = |file: &&StoredFile| match FileName::parse(&file.name).map(|name| name.part) {
            Some(Part::Manifest) => (0, Reverse(0)),
            Some(Part::Signatures) if !finished => (1, Reverse(0)),
            Some(Part::Volume(number)) => (2, Reverse(number)),
            Some(Part::Signatures) => (3, Reverse(0)),
            Some(Part::Statistics) | None => (4, Reverse(0)),
        };
        let mut files: Vec<_> = self.files().collect();
        files.sort_by_key(rank);
        files
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{collection, day, days, full, incremental};
    use super::*;

    /// Days 1 2 3, then 4 5, then 6 7 8.
    fn three_chains() -> Vec<String> {
        [
            full(1),
            incremental(1, 2),
            incremental(2, 3),
            full(4),
            incremental(4, 5),
            full(6),
            incremental(6, 7),
            incremental(7, 8),
        ]
        .concat()
    }

    fn count(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).unwrap()
    }

    fn doomed(found: &Collection, policy: &Policy) -> Vec<Vec<u32>> {
        found.removal(policy).chains.into_iter().map(days).collect()
    }

    #[test]
    fn a_chain_goes_only_if_all_of_it_is_older() {
        let found = collection(three_chains());
        for (time, expected) in [
            (day(1), &[][..]),
            (day(2), &[]),
            // Strictly: the chain ends on this very day.
            (day(3), &[]),
            (day(4), &[&[3, 2, 1][..]]),
            (day(5), &[&[3, 2, 1]]),
            (day(6), &[&[5, 4], &[3, 2, 1]]),
            (day(8), &[&[5, 4], &[3, 2, 1]]),
            // Never the active chain.
            (day(31), &[&[5, 4], &[3, 2, 1]]),
        ] {
            assert_eq!(doomed(&found, &Policy::OlderThan(time)), expected, "{time}");
        }
    }

    #[test]
    fn full_sets_are_counted_from_the_newest() {
        let found = collection(three_chains());
        for (number, expected) in
            [(1, &[&[5, 4][..], &[3, 2, 1]][..]), (2, &[&[3, 2, 1]]), (3, &[]), (9, &[])]
        {
            assert_eq!(doomed(&found, &Policy::AllButFull(count(number))), expected, "{number}");
        }
        for (number, expected) in [(1, &[&[5][..], &[3, 2]][..]), (2, &[&[3, 2]]), (3, &[])] {
            let policy = Policy::IncrementalOfAllButFull(count(number));
            assert_eq!(doomed(&found, &policy), expected, "{number}");
        }
    }

    #[test]
    fn what_stays_says_why() {
        let found = collection(three_chains());
        let removal = found.removal(&Policy::OlderThan(day(7)));
        let reasons: Vec<_> =
            removal.kept.into_iter().map(|kept| (days([kept.set])[0], kept.reasons)).collect();
        let needed = Reason::Needed { by: day(7) };
        assert_eq!(
            reasons,
            [(6, vec![needed]), (7, vec![Reason::Young]), (8, vec![Reason::Young])],
            "what is needed is needed by the first that is young enough"
        );
        let removal = found.removal(&Policy::OlderThan(day(9)));
        assert!(removal.kept.iter().all(|kept| kept.reasons == [Reason::Active]));
        assert_eq!(removal.kept.len(), 3);
    }

    #[test]
    fn without_rules_nothing_goes() {
        let found = collection(three_chains());
        let policy = |rules| Policy::Retention { rules, zone: TimeZone::UTC };
        assert_eq!(doomed(&found, &policy(Rules::default())), [] as [Vec<u32>; 0]);
        let rules = Rules { daily: 5, ..Rules::default() };
        assert_eq!(doomed(&found, &policy(rules)), [vec![3, 2, 1]]);
        let rules = Rules { within: Some(day(8)), ..Rules::default() };
        assert_eq!(doomed(&found, &policy(rules)), [vec![5, 4], vec![3, 2, 1]]);
        // Of a chain that is past the end can go. This one begins in the year before.
        let names = [full(1), incremental(1, 9), incremental(9, 10), full(15)].concat();
        let found = collection(names.iter().map(|name| name.replace("20240101T", "20231231T")));
        for (yearly, expected) in [(1, vec![10, 9, 31]), (2, vec![10, 9])] {
            let rules = Rules { yearly, ..Rules::default() };
            assert_eq!(doomed(&found, &policy(rules)), [expected]);
        }
    }

    #[test]
    fn files_go_in_an_order_that_never_leaves_a_damaged_set() {
        let names =
            |set: &Set| set.in_deletion_order().into_iter().map(|file| file.name.clone()).collect::<Vec<_>>();
        let statistics = "duplicity-full.20240101T000000Z.jsonstat.gz".to_owned();
        let second = "duplicity-full.20240101T000000Z.manifest.gpg".to_owned();
        let found = collection([full(1), vec![statistics, second]].concat());
        let order = names(&found.chains[0].sets[0]);
        let ends: Vec<_> = order.iter().map(|name| name.split('.').nth(2).unwrap()).collect();
        assert_eq!(ends, ["manifest", "manifest", "vol2", "vol1", "sigtar", "jsonstat"]);

        let found = collection(full(1).into_iter().filter(|name| !name.contains("manifest")));
        let order = names(&found.incomplete[0]);
        let ends: Vec<_> = order.iter().map(|name| name.split('.').nth(2).unwrap()).collect();
        assert_eq!(ends, ["sigtar", "vol2", "vol1"], "signatures are not left alone");
    }

    #[test]
    fn signatures_that_were_left_behind_go_with_their_chain() {
        let signatures =
            |names: Vec<String>| names.into_iter().filter(|name| name.contains("sigtar")).collect::<Vec<_>>();
        let names = [signatures(full(1)), signatures(incremental(1, 2)), full(4), full(6)];
        let found = collection(names.concat());
        let left = |policy: &Policy| days(found.removal(policy).signatures);
        assert_eq!(left(&Policy::OlderThan(day(2))), [] as [u32; 0], "strictly");
        assert_eq!(left(&Policy::OlderThan(day(3))), [2, 1]);
        assert_eq!(left(&Policy::AllButFull(count(1))), [2, 1]);
        assert_eq!(left(&Policy::IncrementalOfAllButFull(count(1))), [2]);
    }

    #[test]
    fn what_is_only_seen_in_part_stays() {
        // An incremental set of another kind builds on the first chain.
        let hidden = "duplicity-inc.20240102T000000Z.to.20240103T000000Z.manifest.p7m".to_owned();
        let found = collection([full(1), incremental(1, 2), full(4), full(6)].concat());
        assert_eq!(doomed(&found, &Policy::OlderThan(day(6))), [vec![4], vec![2, 1]]);
        let found = collection([full(1), incremental(1, 2), full(4), full(6), vec![hidden]].concat());
        let removal = found.removal(&Policy::OlderThan(day(6)));
        assert_eq!(removal.chains.into_iter().map(days).collect::<Vec<_>>(), [vec![4]]);
        assert_eq!(removal.kept[0].reasons, [Reason::PartlyHidden]);
    }
}
