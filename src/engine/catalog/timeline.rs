//! The sets that a catalogue knows, as chains, and what a path was in each of them.

use std::collections::HashMap;

use rusqlite::Connection;

use super::failure::Failure;
use super::records::Version;
use crate::engine::chain::{Collection, Set};
use crate::engine::format::name::SetKind;
use crate::engine::format::time::SetTime;
use crate::engine::storage::StoredFile;

/// How far the catalogue is with a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetState {
    /// Its signatures have not been read yet.
    Waiting,
    /// All that it says is in the catalogue.
    Taken,
    /// Its signatures cannot be read, and why. They are tried again if the stored file becomes another
    /// one, or when the catalogue is made anew.
    Unreadable(String),
}

/// A set that the catalogue knows.
#[derive(Debug, Clone)]
pub struct IndexedSet {
    /// Full or incremental, and its times.
    pub kind: SetKind,
    /// How far the catalogue is with it.
    pub state: SetState,
    /// What it says of how many paths.
    pub entry_count: u64,
    /// Of these, all but folders of which only the time is another: it changes with what is in them.
    pub change_count: u64,
}

/// A set that a state would need but that is not in the catalogue: where it alone has a word, the state
/// is that of the set before. Without the full set there is next to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingSet {
    /// Its time.
    pub time: SetTime,
    /// Whether it is the full set, on which the others build.
    pub is_full: bool,
    /// Why its signatures could not be read; none if nobody tried yet.
    pub reason: Option<String>,
}

/// A set as the database has it.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) set: IndexedSet,
    pub(super) manifest: String,
    pub(super) signatures: Option<String>,
    pub(super) signature_bytes: u64,
}

impl Row {
    /// The set as a missing one, if it is not in the catalogue.
    fn missing(&self) -> Option<MissingSet> {
        let reason = match &self.set.state {
            SetState::Taken => return None,
            SetState::Waiting => None,
            SetState::Unreadable(reason) => Some(reason.clone()),
        };
        Some(MissingSet { time: self.set.kind.time(), is_full: self.set.kind.is_full(), reason })
    }

    /// Whether these are the very files of a set.
    pub(super) fn is_of(&self, set: &Set) -> bool {
        let name = |file: &Option<StoredFile>| file.as_ref().map(|file| file.name.clone());
        name(&set.manifest).as_ref() == Some(&self.manifest)
            && name(&set.signatures) == self.signatures
            && signature_bytes(set) == self.signature_bytes
    }
}

/// Size in bytes of the signatures of a set; 0 if they are missing.
pub(super) fn signature_bytes(set: &Set) -> u64 {
    set.signatures.as_ref().map_or(0, |file| file.size_bytes)
}

/// The sets in the database.
pub(super) fn rows(connection: &Connection) -> Result<Vec<Row>, Failure> {
    let mut statement = connection.prepare(
        "SELECT id, is_full, start, time, manifest, signatures, signature_bytes, state, reason, entries, changes
         FROM sets",
    )?;
    let mut rows = statement.query([])?;
    let mut sets = Vec::new();
    while let Some(row) = rows.next()? {
        let time = |column| -> Result<SetTime, Failure> {
            let seconds: i64 = row.get(column)?;
            let out_of_range = || rusqlite::Error::IntegralValueOutOfRange(column, seconds);
            Ok(SetTime::from_epoch(seconds).ok_or_else(out_of_range)?)
        };
        let kind = if row.get(1)? {
            SetKind::Full { time: time(3)? }
        } else {
            SetKind::Incremental { start: time(2)?, end: time(3)? }
        };
        let state = match row.get::<_, i64>(7)? {
            0 => SetState::Waiting,
            1 => SetState::Taken,
            _ => SetState::Unreadable(row.get::<_, Option<String>>(8)?.unwrap_or_default()),
        };
        let count = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
        sets.push(Row {
            id: row.get(0)?,
            set: IndexedSet { kind, state, entry_count: count(9)?, change_count: count(10)? },
            manifest: row.get(4)?,
            signatures: row.get(5)?,
            signature_bytes: count(6)?,
        });
    }
    Ok(sets)
}

/// All that the catalogue knows of sets.
pub(super) struct Timeline {
    collection: Collection,
    rows: HashMap<SetKind, Row>,
}

impl Timeline {
    pub(super) fn load(connection: &Connection) -> Result<Self, Failure> {
        let rows = rows(connection)?;
        let file = |name: &String| StoredFile { name: name.clone(), size_bytes: 0 };
        let files = rows.iter().flat_map(|row| [Some(&row.manifest), row.signatures.as_ref()]);
        let collection = Collection::new(files.flatten().map(file));
        Ok(Self { collection, rows: rows.into_iter().map(|row| (row.set.kind, row)).collect() })
    }

    /// The sets, chain by chain.
    pub(super) fn indexed(&self) -> Vec<IndexedSet> {
        self.chains().flatten().map(|row| row.set.clone()).collect()
    }

    fn chains(&self) -> impl Iterator<Item = impl Iterator<Item = &Row>> {
        self.collection.chains.iter().map(|chain| self.rows_of(&chain.sets))
    }

    fn rows_of<'a>(&'a self, sets: &'a [Set]) -> impl Iterator<Item = &'a Row> {
        sets.iter().filter_map(|set| self.rows.get(&set.kind))
    }

    /// The sets that make up the state at a time, by the rule that restores go by. `None` if there is
    /// no set at all.
    pub(super) fn moment(&self, time: Option<SetTime>) -> Option<Moment> {
        let sets = self.collection.sets_for(time)?;
        let set_time = sets.last()?.kind.time();
        let mut moment =
            Moment { set_time, full: sets[0].kind, order: Vec::new(), ids: Vec::new(), missing: Vec::new() };
        for row in self.rows_of(sets) {
            match row.missing() {
                Some(set) => moment.missing.push(set),
                None => moment.add(row.id),
            }
        }
        Some(moment)
    }

    /// The state of the set before the one of that time. `None` if there is none.
    pub(super) fn moment_before(&self, time: SetTime) -> Option<Moment> {
        let before = self.rows.keys().map(|kind| kind.time()).filter(|other| *other < time).max()?;
        self.moment(Some(before))
    }

    /// The sets of all chains that are not in the catalogue.
    pub(super) fn missing(&self) -> Vec<MissingSet> {
        self.chains().flatten().filter_map(Row::missing).collect()
    }

    /// What a path was in each set, from the first to the last, given all that the sets say of it.
    pub(super) fn states<'a>(&'a self, versions: &'a [Version]) -> impl Iterator<Item = State<'a>> {
        let mut known = false;
        let mut current = None;
        self.chains().flatten().map(move |row| {
            let word = versions.iter().find(|version| version.set == row.id);
            let is_taken = row.set.state == SetState::Taken;
            if row.set.kind.is_full() {
                (known, current) = (is_taken, None);
            }
            if let Some(version) = word {
                (known, current) = (true, Some(version).filter(|version| !version.is_gone()));
            }
            State { set: &row.set, has_word: word.is_some(), known, version: current }
        })
    }
}

/// What a path was in a set.
pub(super) struct State<'a> {
    pub(super) set: &'a IndexedSet,
    /// Whether the set itself says it; otherwise it is what sets before it said.
    pub(super) has_word: bool,
    /// Whether it is known at all: not if the full set cannot be read.
    pub(super) known: bool,
    /// What it was, if it was there.
    pub(super) version: Option<&'a Version>,
}

/// The sets that make up a state.
pub(super) struct Moment {
    /// The time of the newest of them.
    pub(super) set_time: SetTime,
    /// The full set of the chain.
    pub(super) full: SetKind,
    /// What is not in the catalogue.
    pub(super) missing: Vec<MissingSet>,
    /// By the id of a set: its place in the chain, counted from 1; 0 if it is no part of it.
    order: Vec<usize>,
    /// Ids of the sets, the full one first.
    pub(super) ids: Vec<i64>,
}

impl Moment {
    fn add(&mut self, id: i64) {
        let Ok(index) = usize::try_from(id) else { return };
        if self.order.len() <= index {
            self.order.resize(index + 1, 0);
        }
        self.ids.push(id);
        self.order[index] = self.ids.len();
    }

    fn place(&self, version: &Version) -> usize {
        usize::try_from(version.set).ok().and_then(|index| self.order.get(index)).copied().unwrap_or(0)
    }

    /// Whether nothing is known of the state because its first set cannot be read.
    pub(super) fn is_unknown(&self) -> bool {
        self.missing.iter().any(|set| set.is_full)
    }

    /// See [`Moment::newest`].
    pub(super) fn newest_of<'v>(&self, versions: &'v [Version]) -> Option<&'v Version> {
        let newest = versions.iter().max_by_key(|version| self.place(version))?;
        (self.place(newest) > 0 && !newest.is_gone()).then_some(newest)
    }

    /// The newest of some versions of a path that belongs to the state; none if the path is not there.
    pub(super) fn newest(&self, versions: impl IntoIterator<Item = Version>) -> Option<Version> {
        let newest = versions.into_iter().max_by_key(|version| self.place(version))?;
        (self.place(&newest) > 0 && !newest.is_gone()).then_some(newest)
    }
}
