//! Chains of signature files, which duplicity keeps track of apart from those of the sets.

use super::{Collection, Set};
use crate::engine::format::name::SetKind;
use crate::engine::format::time::SetTime;

/// The signature files of a destination, by what they follow.
#[derive(Debug, Default)]
pub(super) struct SignatureChains<'a> {
    chains: Vec<Vec<&'a Set>>,
    /// Those that follow no other signature file.
    unattached: Vec<&'a Set>,
}

impl<'a> SignatureChains<'a> {
    /// Signatures of full sets begin a chain; those of an incremental one join the first chain that
    /// ends where it starts.
    pub fn new(collection: &'a Collection) -> Self {
        let (mut full, mut incremental): (Vec<&Set>, Vec<&Set>) =
            collection.sets().filter(|set| set.signatures.is_some()).partition(|set| set.kind.is_full());
        full.sort_by_key(|set| set.kind.time());
        incremental.sort_by_key(|set| (starts(set), set.kind.time()));
        let mut found =
            Self { chains: full.into_iter().map(|set| vec![set]).collect(), unattached: Vec::new() };
        for set in incremental {
            match found.chains.iter_mut().find(|chain| end(chain) == starts(set)) {
                Some(chain) => chain.push(set),
                None => found.unattached.push(set),
            }
        }
        found
    }

    /// Signature files whose sets are gone, in chains of signatures that ended before `time`; newest first.
    pub fn left_behind(&self, time: SetTime) -> Vec<&'a Set> {
        let old = self.chains.iter().filter(|chain| end(chain) < Some(time)).flatten();
        newest_first(old.copied().filter(is_alone))
    }

    /// Signature files whose sets are gone, and that follow no other signature file; newest first.
    pub fn unattached(&self) -> Vec<&'a Set> {
        newest_first(self.unattached.iter().copied().filter(is_alone))
    }
}

/// Whether signatures are all that there is of a set. A run that is being made has volumes first.
fn is_alone(set: &&Set) -> bool {
    !set.is_complete() && set.volumes.is_empty()
}

fn newest_first<'a>(sets: impl Iterator<Item = &'a Set>) -> Vec<&'a Set> {
    let mut sets: Vec<_> = sets.collect();
    sets.sort_by_key(|set| std::cmp::Reverse(set.kind.time()));
    sets
}

fn starts(set: &Set) -> Option<SetTime> {
    match set.kind {
        SetKind::Full { .. } => None,
        SetKind::Incremental { start, .. } => Some(start),
    }
}

fn end(chain: &[&Set]) -> Option<SetTime> {
    chain.last().map(|set| set.kind.time())
}
