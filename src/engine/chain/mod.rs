//! Sets and chains: what the files of a destination are together, which set serves a time, and what may
//! be deleted ([`removal`], [`retention`], [`leftovers`]).

pub mod leftovers;
mod policy;
pub mod removal;
pub mod retention;
#[cfg(test)]
pub(crate) mod samples;
mod signatures;

use std::collections::{BTreeMap, HashSet};

pub use policy::{FullPolicy, FullReason, Outlook};

use super::format::name::{Codec, FileName, Part, SetKind};
use super::format::time::SetTime;
use super::storage::StoredFile;

/// The files of one set.
#[derive(Debug, Clone)]
pub struct Set {
    /// Full or incremental, and its times.
    pub kind: SetKind,
    /// The manifest. Without it the set was never finished.
    pub manifest: Option<StoredFile>,
    /// The signatures.
    pub signatures: Option<StoredFile>,
    /// The volumes by their numbers.
    pub volumes: BTreeMap<u32, StoredFile>,
    /// What is never read: statistics, and second files for a part that is there already.
    pub others: Vec<StoredFile>,
    /// Bytes of all its files.
    pub stored_bytes: u64,
}

impl Set {
    fn new(kind: SetKind) -> Self {
        let volumes = BTreeMap::new();
        Self { kind, manifest: None, signatures: None, volumes, others: Vec::new(), stored_bytes: 0 }
    }

    /// Whether the set was finished. Nothing else makes a set exist.
    pub fn is_complete(&self) -> bool {
        self.manifest.is_some()
    }

    /// Whether any of its files is an OpenPGP file.
    pub fn is_encrypted(&self) -> bool {
        self.files().any(|file| FileName::parse(&file.name).is_some_and(|name| name.codec == Codec::OpenPgp))
    }

    /// All files of the set, in no particular order.
    pub fn files(&self) -> impl Iterator<Item = &StoredFile> {
        self.manifest.iter().chain(&self.signatures).chain(self.volumes.values()).chain(&self.others)
    }

    /// Numbers below the highest one whose volumes are not there; of a set without any volume, 1. That
    /// volumes are missing at the end only the manifest can tell.
    pub fn missing_volumes(&self) -> Vec<u32> {
        let last = self.volumes.keys().next_back().map_or(1, |last| *last);
        (1..=last).filter(|number| !self.volumes.contains_key(number)).collect()
    }

    /// Names of further files that claim to be that volume. Its hash tells which of them is.
    pub fn other_files_for(&self, number: u32) -> Vec<String> {
        let is_it = |file: &&StoredFile| {
            FileName::parse(&file.name).is_some_and(|name| name.part == Part::Volume(number))
        };
        self.others.iter().filter(is_it).map(|file| file.name.clone()).collect()
    }

    fn take(&mut self, part: Part, file: StoredFile) {
        self.stored_bytes += file.size_bytes;
        let replaced = match part {
            Part::Volume(number) => self.volumes.insert(number, file),
            Part::Manifest => self.manifest.replace(file),
            Part::Signatures => self.signatures.replace(file),
            Part::Statistics => Some(file),
        };
        self.others.extend(replaced);
    }

    /// A name to call the set by: its manifest's, or another file's if it has none.
    pub fn name(&self) -> String {
        self.files().next().map_or_else(String::new, |file| file.name.clone())
    }
}

/// A full set and the incremental ones that build on it, oldest first; never empty.
#[derive(Debug, Clone)]
pub struct Chain {
    /// The sets.
    pub sets: Vec<Set>,
}

impl Chain {
    /// The first moment that the chain holds.
    pub fn start(&self) -> SetTime {
        self.sets[0].kind.time()
    }

    /// The last moment that the chain holds.
    pub fn end(&self) -> SetTime {
        self.sets[self.sets.len() - 1].kind.time()
    }
}

/// Everything at a destination that belongs to backups.
#[derive(Debug, Clone, Default)]
pub struct Collection {
    /// Chains of complete sets in order of their ends; the last is the active one.
    pub chains: Vec<Chain>,
    /// Complete incremental sets that follow no other set.
    pub orphaned: Vec<Set>,
    /// Sets without a manifest.
    pub incomplete: Vec<Set>,
    /// Files whose names look like ours but are of a kind that cannot be read (S/MIME).
    pub unreadable: Vec<StoredFile>,
    /// Sets that have more files here than are counted: of a kind that cannot be read, or with
    /// something in front of their names (duplicity's `--file-prefix`). Nothing of them is deleted.
    pub partly_hidden: HashSet<SetKind>,
}

impl Collection {
    /// Groups the files of a destination. Files that are none of a backup's are passed over.
    pub fn new(files: impl IntoIterator<Item = StoredFile>) -> Self {
        let mut collection = Self::default();
        let mut sets: BTreeMap<(SetTime, SetTime, bool), Set> = BTreeMap::new();
        for file in files {
            let Some(name) = FileName::parse(&file.name) else {
                // What begins with a dot is ours, and no set's yet.
                if !file.name.starts_with('.') {
                    let prefixed = FileName::parse_prefixed(&file.name);
                    collection.partly_hidden.extend(prefixed.map(|name| name.set));
                }
                continue;
            };
            if name.codec == Codec::Smime {
                collection.partly_hidden.insert(name.set);
                collection.unreadable.push(file);
                continue;
            }
            let (start, end) = match name.set {
                SetKind::Full { time } => (time, time),
                SetKind::Incremental { start, end } => (start, end),
            };
            // By end time, as duplicity sorts them.
            let key = (end, start, name.set.is_full());
            sets.entry(key).or_insert_with(|| Set::new(name.set)).take(name.part, file);
        }
        let (complete, incomplete): (Vec<_>, Vec<_>) = sets.into_values().partition(Set::is_complete);
        collection.incomplete = incomplete;
        let (full, incremental): (Vec<_>, Vec<_>) = complete.into_iter().partition(|set| set.kind.is_full());
        collection.chains = full.into_iter().map(|set| Chain { sets: vec![set] }).collect();
        for set in incremental {
            collection.place(set);
        }
        collection.chains.sort_by_key(Chain::end);
        collection
    }

    /// An incremental set joins the first chain that ends where it starts; one with the same start as a
    /// chain's last and a later end takes that one's place.
    fn place(&mut self, set: Set) {
        let SetKind::Incremental { start, end } = set.kind else { return };
        if let Some(chain) = self.chains.iter_mut().find(|chain| chain.end() == start) {
            chain.sets.push(set);
            return;
        }
        let replaceable = self.chains.iter_mut().filter_map(|chain| chain.sets.last_mut()).find(|last| {
            matches!(last.kind, SetKind::Incremental { start: known, end: older } if known == start && older < end)
        });
        match replaceable {
            Some(last) => self.orphaned.push(std::mem::replace(last, set)),
            None => self.orphaned.push(set),
        }
    }

    /// The sets that make up the state at `time`, full one first; the newest state if none is given.
    /// `None` if there is no complete set at all.
    ///
    /// The chain that covers the time serves it; else the last one that ended before; else the oldest.
    pub fn sets_for(&self, time: Option<SetTime>) -> Option<&[Set]> {
        let Some(time) = time else {
            return self.chains.last().map(|chain| chain.sets.as_slice());
        };
        let chain = self
            .chains
            .iter()
            .find(|chain| chain.start() <= time && time <= chain.end())
            .or_else(|| self.chains.iter().rev().find(|chain| chain.end() < time))
            .or_else(|| self.chains.iter().min_by_key(|chain| chain.start()))?;
        let count = chain.sets.iter().take_while(|set| set.kind.time() <= time).count().max(1);
        Some(&chain.sets[..count])
    }

    /// The latest time of any set, finished or not: a new one has to be later.
    pub fn latest_time(&self) -> Option<SetTime> {
        self.sets().map(|set| set.kind.time()).max()
    }

    /// Every set, finished or not.
    pub fn sets(&self) -> impl Iterator<Item = &Set> {
        let chained = self.chains.iter().flat_map(|chain| &chain.sets);
        chained.chain(&self.orphaned).chain(&self.incomplete)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAYS: [&str; 6] = [
        "20240101T000000Z",
        "20240102T000000Z",
        "20240103T000000Z",
        "20240104T000000Z",
        "20240105T000000Z",
        "20240106T000000Z",
    ];

    fn full(day: usize) -> [String; 3] {
        let time = DAYS[day];
        [
            format!("duplicity-full.{time}.vol1.difftar.gz"),
            format!("duplicity-full-signatures.{time}.sigtar.gz"),
            format!("duplicity-full.{time}.manifest"),
        ]
    }

    fn incremental(from: usize, to: usize) -> [String; 3] {
        let (start, end) = (DAYS[from], DAYS[to]);
        [
            format!("duplicity-inc.{start}.to.{end}.vol1.difftar.gpg"),
            format!("duplicity-new-signatures.{start}.to.{end}.sigtar.gpg"),
            format!("duplicity-inc.{start}.to.{end}.manifest.gpg"),
        ]
    }

    fn collection(names: impl IntoIterator<Item = String>) -> Collection {
        Collection::new(names.into_iter().map(|name| StoredFile { name, size_bytes: 10 }))
    }

    fn days(sets: Option<&[Set]>) -> Vec<usize> {
        let day = |set: &Set| DAYS.iter().position(|day| *day == set.kind.time().to_string()).unwrap();
        sets.unwrap_or_default().iter().map(day).collect()
    }

    fn time(day: usize, seconds: i64) -> Option<SetTime> {
        SetTime::from_epoch(SetTime::parse(DAYS[day]).unwrap().epoch() + seconds)
    }

    #[test]
    fn chains_are_found_and_serve_their_times() {
        let names = [full(1), incremental(1, 2), full(3), incremental(3, 4)].concat();
        let found = collection(names);
        assert_eq!(found.chains.len(), 2);
        assert!(found.chains[0].sets[1].is_encrypted() && !found.chains[0].sets[0].is_encrypted());
        assert_eq!(days(found.sets_for(None)), [3, 4]);
        assert_eq!(days(found.sets_for(time(0, 0))), [1], "before everything: the oldest full set");
        assert_eq!(days(found.sets_for(time(1, 0))), [1]);
        assert_eq!(days(found.sets_for(time(2, -1))), [1]);
        assert_eq!(days(found.sets_for(time(2, 0))), [1, 2]);
        assert_eq!(days(found.sets_for(time(3, -1))), [1, 2], "between two chains: the earlier one");
        assert_eq!(days(found.sets_for(time(5, 0))), [3, 4]);
        assert_eq!(found.latest_time(), time(4, 0));
    }

    #[test]
    fn without_a_manifest_there_is_no_set() {
        let [volume, signatures, _] = full(2);
        let found = collection([full(1).to_vec(), vec![volume, signatures]].concat());
        assert_eq!(days(found.sets_for(None)), [1]);
        assert_eq!(found.incomplete.len(), 1);
        assert_eq!(found.latest_time(), time(2, 0));
        assert!(collection([]).sets_for(None).is_none());
    }

    #[test]
    fn an_incremental_set_without_its_parent_is_orphaned() {
        let found = collection([full(1), incremental(2, 3)].concat());
        assert_eq!(days(found.sets_for(None)), [1]);
        assert_eq!(found.orphaned.len(), 1);
    }

    #[test]
    fn a_later_set_with_the_same_start_takes_the_place() {
        let found = collection([full(1), incremental(1, 2), incremental(1, 3)].concat());
        assert_eq!(days(found.sets_for(None)), [1, 3]);
        assert_eq!(found.orphaned.len(), 1);
    }
}
