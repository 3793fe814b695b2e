//! Searching for names in all snapshots at once.

use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;
use std::ops::ControlFlow;

use rusqlite::Connection;

use super::failure::Failure;
use super::pattern::Pattern;
use super::records::{COLUMNS, Entries, Version};
use super::schema::ROOT;
use super::timeline::{MissingSet, Timeline};
use super::{Catalog, names};
use crate::engine::error::Result;
use crate::engine::format::entry::Entry;
use crate::engine::format::time::SetTime;
use crate::engine::job::Job;
use crate::engine::path::EntryPath;

/// What a search found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Paths in the order of the format.
    pub hits: Vec<Hit>,
    /// Whether there are more than were asked for.
    pub is_cut: bool,
    /// Sets that are not in the catalogue and could have had more.
    pub missing: Vec<MissingSet>,
}

/// A path that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// What it is in the newest set that has it.
    pub entry: Entry,
    /// When it was there, oldest first; never empty.
    pub spans: Vec<Span>,
}

/// Sets in a row that have a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first of them.
    pub first: SetTime,
    /// The last of them.
    pub last: SetTime,
    /// The set in which it is gone; none if it was never seen to be.
    pub gone: Option<SetTime>,
}

impl Catalog {
    /// Searches all snapshots, what was deleted since among them, for at most `limit` paths.
    pub fn search(&self, pattern: &Pattern, limit: usize, job: &Job) -> Result<Found> {
        self.reading(|connection| {
            let timeline = Timeline::load(connection)?;
            let entries = Entries::load(connection)?;
            let mut paths = Paths::new(connection)?;
            let mut versions_of =
                connection.prepare(&format!("SELECT {COLUMNS} FROM versions v WHERE v.path = ?1"))?;
            let mut found = Found { hits: Vec::new(), is_cut: false, missing: timeline.missing() };
            // Looking at the folders of all names that fit takes far longer than this look at all names.
            if let Some(needle) = &pattern.needle
                && !names::has(connection, needle, job)?
            {
                return Ok(found);
            }
            let parents =
                pattern.parent.as_ref().map(|name| names::all(connection, name, job)).transpose()?;
            let mut folders: HashMap<i64, Option<bool>> = HashMap::new();
            let mut last = (0, None);
            names::search(connection, &pattern.name, job, |id, folder| {
                if parents.as_ref().is_some_and(|parents| !parents.contains(folder)) {
                    return Ok(ControlFlow::Continue(()));
                }
                // Many entries are in one folder, and mostly in a row.
                if last.0 != folder {
                    let fits = match folders.entry(folder) {
                        MapEntry::Occupied(known) => *known.get(),
                        MapEntry::Vacant(new) => *new.insert(pattern.fits_in(&paths.path(folder)?)),
                    };
                    last = (folder, fits);
                }
                let (_, fits) = last;
                if fits == Some(false) || fits.is_none() && !pattern.fits(&paths.path(id)?) {
                    return Ok(ControlFlow::Continue(()));
                }
                let rows = versions_of.query_map([id], |row| Version::read(row, 0))?;
                let versions = rows.collect::<Result<Vec<_>, _>>()?;
                let (spans, newest) = spans(&timeline, &versions);
                // Without any it is only the way to others.
                let Some(newest) = newest else { return Ok(ControlFlow::Continue(())) };
                if found.hits.len() == limit {
                    found.is_cut = true;
                    return Ok(ControlFlow::Break(()));
                }
                found.hits.push(Hit { entry: entries.entry(paths.path(id)?, newest)?, spans });
                Ok(ControlFlow::Continue(()))
            })?;
            found.hits.sort_by(|one, other| one.entry.path.cmp(&other.entry.path));
            Ok(found)
        })
    }
}

/// When a path was there, and the newest version of it.
fn spans<'a>(timeline: &'a Timeline, versions: &'a [Version]) -> (Vec<Span>, Option<&'a Version>) {
    let mut spans: Vec<Span> = Vec::new();
    let mut newest = None;
    for state in timeline.states(versions).filter(|state| state.known) {
        let time = state.set.kind.time();
        match (spans.last_mut().filter(|span| span.gone.is_none()), state.version) {
            (Some(span), Some(_)) => span.last = time,
            (Some(span), None) => span.gone = Some(time),
            (None, Some(_)) => spans.push(Span { first: time, last: time, gone: None }),
            (None, None) => {}
        }
        newest = state.version.or(newest);
    }
    (spans, newest)
}

/// Makes paths of ids.
pub(super) struct Paths<'c> {
    statement: rusqlite::Statement<'c>,
    folders: HashMap<i64, EntryPath>,
}

/// How many folders are remembered at most.
const REMEMBERED: usize = 10_000;

impl<'c> Paths<'c> {
    pub(super) fn new(connection: &'c Connection) -> Result<Self, Failure> {
        let statement = connection.prepare("SELECT parent, name FROM paths WHERE id = ?1")?;
        Ok(Self { statement, folders: HashMap::new() })
    }

    pub(super) fn path(&mut self, id: i64) -> Result<EntryPath, Failure> {
        // From the entry up to the root or a folder that is known, and down again.
        let mut names: Vec<(i64, Vec<u8>)> = Vec::new();
        let mut at = id;
        let mut path = loop {
            if at == ROOT {
                break EntryPath::root();
            }
            if let Some(known) = self.folders.get(&at) {
                break known.clone();
            }
            // Nothing is as deep as that but a circle, which only damage makes.
            if names.len() > MOST_COMPONENTS {
                return Err(rusqlite::Error::QueryReturnedNoRows.into());
            }
            let (parent, name) = self.statement.query_row([at], |row| Ok((row.get(0)?, row.get(1)?)))?;
            names.push((at, name));
            at = parent;
        };
        while let Some((at, name)) = names.pop() {
            path = path.join(&name);
            if at != id {
                if self.folders.len() >= REMEMBERED {
                    self.folders.clear();
                }
                self.folders.insert(at, path.clone());
            }
        }
        Ok(path)
    }
}

/// More components than any path has.
const MOST_COMPONENTS: usize = 1 << 20;
