//! What changed between two times.

use rusqlite::Connection;

use super::failure::Failure;
use super::history::Change;
use super::records::{COLUMNS, Entries, Version};
use super::search::Paths;
use super::timeline::{MissingSet, Moment};
use super::{Catalog, lookup};
use crate::engine::error::Result;
use crate::engine::format::entry::Entry;
use crate::engine::format::time::SetTime;
use crate::engine::job::Job;
use crate::engine::path::EntryPath;

/// A path that is not the same at two times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathChange {
    /// Where.
    pub path: EntryPath,
    /// What happened; never [`Change::Unchanged`].
    pub change: Change,
    /// What was there at the first time.
    pub before: Option<Entry>,
    /// What was there at the second time.
    pub after: Option<Entry>,
}

/// What changed between two times.
#[derive(Debug, Clone)]
pub struct Changes {
    /// The time of the first set.
    pub from: SetTime,
    /// The time of the second set.
    pub to: SetTime,
    /// What changed, in the order of the format.
    pub changes: Vec<PathChange>,
    /// Sets that the two states would need, but that are not in the catalogue.
    pub missing: Vec<MissingSet>,
}

impl Catalog {
    /// What is not the same at two times. Of two chains every path is compared, which takes some seconds
    /// for a million; within one only what its sets changed. Memory grows with what changed.
    pub fn changes(&self, from: SetTime, to: SetTime, job: &Job) -> Result<Changes> {
        self.reading(|connection| {
            let (before, after) = (self.moment(connection, Some(from))?, self.moment(connection, Some(to))?);
            let entries = Entries::load(connection)?;
            let mut paths = Paths::new(connection)?;
            let mut changes = Vec::new();
            let mut compare = |id: i64, versions: Vec<Version>| -> Result<(), Failure> {
                let (old, new) = (before.newest(versions.iter().cloned()), after.newest(versions));
                let change = match (&old, &new) {
                    (None, None) => return Ok(()),
                    (Some(old), Some(new)) if old.is_same_as(new) => return Ok(()),
                    (Some(_), Some(_)) => Change::Modified,
                    (None, Some(_)) => Change::Added,
                    (Some(_), None) => Change::Deleted,
                };
                let path = paths.path(id)?;
                let entry = |version: Option<Version>| {
                    version.map(|version| entries.entry(path.clone(), &version)).transpose()
                };
                let (before, after) = (entry(old)?, entry(new)?);
                changes.push(PathChange { path, change, before, after });
                Ok(())
            };
            if before.full == after.full {
                for id in touched(connection, &before, &after)? {
                    job.check()?;
                    compare(id, lookup::versions(connection, id)?)?;
                }
            } else {
                every_path(connection, job, &mut compare)?;
            }
            changes.sort_by(|one, other| one.path.cmp(&other.path));
            let mut missing = before.missing;
            missing
                .extend(after.missing.into_iter().filter(|set| !missing.contains(set)).collect::<Vec<_>>());
            Ok(Changes { from: before.set_time, to: after.set_time, changes, missing })
        })
    }
}

/// The paths that the sets which only one of two states of a chain has say something of.
fn touched(connection: &Connection, before: &Moment, after: &Moment) -> Result<Vec<i64>, Failure> {
    let mut statement = connection.prepare("SELECT path FROM versions WHERE set_id = ?1")?;
    let only_in = |one: &Moment, other: &Moment| {
        one.ids.iter().filter(|id| !other.ids.contains(id)).copied().collect::<Vec<_>>()
    };
    let mut paths = Vec::new();
    for set in only_in(before, after).into_iter().chain(only_in(after, before)) {
        for path in statement.query_map([set], |row| row.get(0))? {
            paths.push(path?);
        }
    }
    paths.sort_unstable();
    paths.dedup();
    Ok(paths)
}

/// Hands over all versions, path by path.
fn every_path(
    connection: &Connection,
    job: &Job,
    take: &mut impl FnMut(i64, Vec<Version>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut statement =
        connection.prepare(&format!("SELECT v.path, {COLUMNS} FROM versions v ORDER BY v.path"))?;
    let mut rows = statement.query([])?;
    let (mut path, mut versions) = (None, Vec::new());
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        if path != Some(id) {
            job.check()?;
            if let Some(path) = path {
                take(path, std::mem::take(&mut versions))?;
            }
            path = Some(id);
        }
        versions.push(Version::read(row, 1)?);
    }
    match path {
        Some(path) => take(path, versions),
        None => Ok(()),
    }
}
