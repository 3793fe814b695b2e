//! A folder as people look at it: what was in it at a time, what of that its set changed, and what had
//! been there before.

use rusqlite::Connection;

use super::Catalog;
use super::failure::Failure;
use super::history::{Change, between};
use super::lookup::find;
use super::records::{COLUMNS, Entries, Version};
use super::timeline::{MissingSet, Moment, Timeline};
use crate::engine::error::{Error, Result};
use crate::engine::format::entry::EntryKind;
use crate::engine::format::time::SetTime;
use crate::engine::job::Job;
use crate::engine::path::EntryPath;

/// After how many rows a cancel is looked for.
const CHECKED_ROWS: usize = 512;

/// A folder at a time.
#[derive(Debug, Clone)]
pub struct Contents {
    /// The time of the set.
    pub set_time: SetTime,
    /// What was there, and what had been before, in the order of the format.
    pub items: Vec<Item>,
    /// Sets that the state would need, but that are not in the catalogue.
    pub missing: Vec<MissingSet>,
}

/// Something in a folder. It holds no path, so that a hundred thousand of them are little.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its name in the folder.
    pub name: Box<[u8]>,
    /// What it is, or was when it was last there.
    pub kind: EntryKind,
    /// The twelve permission bits.
    pub mode: u32,
    /// Modification time in whole seconds since 1970.
    pub mtime: i64,
    /// Size in bytes of a regular file, where known.
    pub size_bytes: Option<u64>,
    /// What the set of that time did to it; none in the first set of all, and where the set before is not
    /// known.
    pub change: Option<Change>,
    /// The set in which it was gone, if it was not there at the time.
    pub gone: Option<SetTime>,
}

/// How much there is at some paths and below them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// Entries of every kind.
    pub entry_count: u64,
    /// Bytes of the regular files, as far as their sizes are known.
    pub file_bytes: u64,
    /// Regular files whose size is not known: sets of duplicity do not tell.
    pub unknown_size_count: u64,
}

impl Catalog {
    /// What was directly in a folder at a time, or had been before. Fails if the folder was never there,
    /// unless that is only because sets are missing.
    pub fn contents(&self, path: &EntryPath, time: Option<SetTime>, job: &Job) -> Result<Contents> {
        self.reading(|connection| {
            let timeline = Timeline::load(connection)?;
            let moment = self.moment(connection, time)?;
            let entries = Entries::load(connection)?;
            let can_be_missed = path.is_root() || !moment.missing.is_empty();
            if !can_be_missed && self.at(connection, &moment, &entries, path)?.is_none() {
                return Err(Error::PathNotInBackup { path: path.clone() }.into());
            }
            let mut look = Look::new(&timeline, &moment, &entries);
            if let Some(id) = find(connection, path)? {
                look.read(connection, id, job)?;
            }
            let items = look.items;
            Ok(Contents { set_time: moment.set_time, items, missing: moment.missing })
        })
    }

    /// How much there was at some paths and below them at a time. Of a million entries that takes seconds.
    pub fn amount(&self, paths: &[EntryPath], time: Option<SetTime>, job: &Job) -> Result<Amount> {
        let mut amount = Amount::default();
        for path in paths {
            self.entries_below(path, time, job, |entry| {
                amount.entry_count += 1;
                if entry.kind == EntryKind::File {
                    amount.file_bytes += entry.size_bytes.unwrap_or(0);
                    amount.unknown_size_count += u64::from(entry.size_bytes.is_none());
                }
                Ok(())
            })?;
        }
        Ok(amount)
    }

    /// The deepest folder that holds everything of a time, where there is the first choice to make.
    pub fn first_choice(&self, time: Option<SetTime>, job: &Job) -> Result<EntryPath> {
        let mut path = EntryPath::root();
        let mut children = self.first_two(&path, time, job)?;
        loop {
            let [only] = &children[..] else { return Ok(path) };
            if only.kind != EntryKind::Directory {
                return Ok(path);
            }
            let below = path.join(&only.name);
            children = self.first_two(&below, time, job)?;
            if children.is_empty() {
                return Ok(path);
            }
            path = below;
        }
    }

    fn first_two(&self, path: &EntryPath, time: Option<SetTime>, job: &Job) -> Result<Vec<Item>> {
        self.reading(|connection| {
            let timeline = Timeline::load(connection)?;
            let moment = self.moment(connection, time)?;
            let entries = Entries::load(connection)?;
            let mut look = Look::new(&timeline, &moment, &entries);
            look.most = Some(2);
            if let Some(id) = find(connection, path)? {
                look.read(connection, id, job)?;
            }
            Ok(look.items)
        })
    }
}

struct Look<'a> {
    timeline: &'a Timeline,
    moment: &'a Moment,
    before: Option<Moment>,
    entries: &'a Entries,
    items: Vec<Item>,
    /// So many that are there are enough, and what is gone is not wanted; none if all is.
    most: Option<usize>,
}

impl<'a> Look<'a> {
    fn new(timeline: &'a Timeline, moment: &'a Moment, entries: &'a Entries) -> Self {
        let before = timeline.moment_before(moment.set_time).filter(|before| !before.is_unknown());
        Self { timeline, moment, before, entries, items: Vec::new(), most: None }
    }

    fn read(&mut self, connection: &Connection, folder: i64, job: &Job) -> Result<(), Failure> {
        // What only leads to others has no version and is no item.
        let mut statement = connection.prepare(&format!(
            "SELECT p.id, p.name, {COLUMNS} FROM paths p JOIN versions v ON v.path = p.id
             WHERE p.parent = ?1 AND p.id <> ?1 ORDER BY p.name"
        ))?;
        let mut rows = statement.query([folder])?;
        let (mut open, mut versions) = (None, Vec::new());
        let mut count = 0;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            if open.as_ref().is_none_or(|(last, _)| *last != id) {
                if let Some((_, name)) = open.replace((id, row.get::<_, Vec<u8>>(1)?)) {
                    self.close(name, &versions)?;
                }
                if self.most.is_some_and(|most| self.items.len() >= most) {
                    return Ok(());
                }
                versions.clear();
            }
            versions.push(Version::read(row, 2)?);
            count += 1;
            if count % CHECKED_ROWS == 0 {
                job.check()?;
            }
        }
        match open {
            Some((_, name)) => self.close(name, &versions),
            None => Ok(()),
        }
    }

    /// Makes an item of all that the sets say of a name.
    fn close(&mut self, name: Vec<u8>, versions: &[Version]) -> Result<(), Failure> {
        let now = self.moment.newest_of(versions);
        let (version, gone) = match now {
            Some(version) => (version, None),
            None if self.most.is_some() => return Ok(()),
            None => match self.last_seen(versions) {
                Some((version, gone)) => (version, Some(gone)),
                None => return Ok(()),
            },
        };
        let change = self.before.as_ref().and_then(|before| between(before.newest_of(versions), now));
        let attributes = self.entries.attributes(version)?;
        let item = Item {
            name: name.into(),
            kind: attributes.kind_of(version),
            mode: attributes.mode,
            mtime: version.mtime,
            size_bytes: version.size_bytes,
            change,
            gone,
        };
        self.items.push(item);
        Ok(())
    }

    /// What a name was when it was last there before the time, and the set in which it was gone.
    fn last_seen<'v>(&'v self, versions: &'v [Version]) -> Option<(&'v Version, SetTime)> {
        let mut seen = None;
        let mut gone = None;
        let until = self.moment.set_time;
        let states = self.timeline.states(versions).filter(|state| state.known);
        for state in states.filter(|state| state.set.kind.time() <= until) {
            match state.version {
                Some(version) => (seen, gone) = (Some(version), None),
                None if seen.is_some() => _ = gone.get_or_insert(state.set.kind.time()),
                None => {}
            }
        }
        seen.zip(gone)
    }
}
