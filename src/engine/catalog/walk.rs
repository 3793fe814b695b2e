//! Everything below a path at a time, as a stream in the order of the format.

use rusqlite::{Connection, Statement, params};

use super::Catalog;
use super::failure::Failure;
use super::lookup;
use super::records::{COLUMNS, Entries, Version};
use super::timeline::{MissingSet, Moment};
use crate::engine::error::{Error, Result};
use crate::engine::format::entry::Entry;
use crate::engine::format::time::SetTime;
use crate::engine::job::Job;
use crate::engine::path::EntryPath;

/// How many entries of a folder are in memory at once.
const PAGE: usize = 512;

/// A path in a folder.
pub(super) struct Node {
    id: i64,
    pub(super) name: Vec<u8>,
    /// What it is in the state, if it is there.
    pub(super) version: Option<Version>,
    /// Whether there was ever anything below it.
    has_children: bool,
}

/// A folder that the walk is in.
struct Level {
    id: i64,
    path: EntryPath,
    /// The name that comes before those that are still to be read.
    last: Vec<u8>,
    /// What has been read, in reverse.
    page: Vec<Node>,
    is_done: bool,
}

impl Catalog {
    /// Hands over the entry at a path and all entries below it at a time, the newest state if none is
    /// given. Gives the time of the set, and which sets the state would need but are not in the catalogue.
    ///
    /// Fails if nothing is there, unless that is only because sets are missing. Memory grows with the depth
    /// of the tree only.
    pub fn entries_below(
        &self,
        path: &EntryPath,
        time: Option<SetTime>,
        job: &Job,
        mut take: impl FnMut(Entry) -> Result<()>,
    ) -> Result<(SetTime, Vec<MissingSet>)> {
        self.reading(|connection| {
            let moment = self.moment(connection, time)?;
            let entries = Entries::load(connection)?;
            let start = lookup::find(connection, path)?;
            let mut is_empty = true;
            if let Some(id) = start {
                let own = moment.newest(lookup::versions(connection, id)?);
                if let Some(version) = own {
                    is_empty = false;
                    take(entries.entry(path.clone(), &version)?)?;
                }
                let mut walk = Walk::new(connection, id, path.clone())?;
                while let Some((path, version)) = walk.next(&moment, job)? {
                    is_empty = false;
                    take(entries.entry(path, &version)?)?;
                }
            }
            if is_empty && !path.is_root() && moment.missing.is_empty() {
                return Err(Error::PathNotInBackup { path: path.clone() }.into());
            }
            Ok((moment.set_time, moment.missing))
        })
    }
}

struct Walk<'c> {
    children: Children<'c>,
    levels: Vec<Level>,
}

impl<'c> Walk<'c> {
    fn new(connection: &'c Connection, id: i64, path: EntryPath) -> Result<Self, Failure> {
        let mut walk = Self { children: Children::new(connection)?, levels: Vec::new() };
        walk.enter(id, path);
        Ok(walk)
    }

    fn enter(&mut self, id: i64, path: EntryPath) {
        self.levels.push(Level { id, path, last: Vec::new(), page: Vec::new(), is_done: false });
    }

    fn next(&mut self, moment: &Moment, job: &Job) -> Result<Option<(EntryPath, Version)>, Failure> {
        while let Some(level) = self.levels.last_mut() {
            if level.page.is_empty() && !level.is_done {
                job.check()?;
                level.is_done = !self.children.page(level.id, &level.last, moment, &mut level.page)?;
                level.page.reverse();
            }
            let Some(node) = level.page.pop() else {
                self.levels.pop();
                continue;
            };
            let path = level.path.join(&node.name);
            level.last = node.name;
            // What is gone now may still have something below it, in what a chain says.
            if node.has_children {
                self.enter(node.id, path.clone());
            }
            if let Some(version) = node.version {
                return Ok(Some((path, version)));
            }
        }
        Ok(None)
    }
}

/// Reads folders in pages.
pub(super) struct Children<'c>(Statement<'c>);

impl<'c> Children<'c> {
    pub(super) fn new(connection: &'c Connection) -> Result<Self, Failure> {
        let statement = connection.prepare(&format!(
            "SELECT p.id, p.name, EXISTS (SELECT 1 FROM paths c WHERE c.parent = p.id), {COLUMNS}
             FROM (SELECT id, name FROM paths WHERE parent = ?1 AND name > ?2 ORDER BY name LIMIT {PAGE}) p
             LEFT JOIN versions v ON v.path = p.id
             ORDER BY p.name"
        ))?;
        Ok(Self(statement))
    }

    /// Reads what comes behind the name `last` in a folder. Says whether there was anything.
    pub(super) fn page(
        &mut self,
        id: i64,
        last: &[u8],
        moment: &Moment,
        page: &mut Vec<Node>,
    ) -> Result<bool, Failure> {
        let mut rows = self.0.query(params![id, last])?;
        let mut versions = Vec::new();
        while let Some(row) = rows.next()? {
            let id = row.get(0)?;
            if page.last().is_none_or(|node| node.id != id) {
                close(page, &mut versions, moment);
                let node = Node { id, name: row.get(1)?, version: None, has_children: row.get(2)? };
                page.push(node);
            }
            // A path that only others lie below has none.
            if row.get::<_, Option<i64>>(3)?.is_some() {
                versions.push(Version::read(row, 3)?);
            }
        }
        close(page, &mut versions, moment);
        Ok(!page.is_empty())
    }
}

/// Gives the last node what is left of its versions.
fn close(page: &mut [Node], versions: &mut Vec<Version>, moment: &Moment) {
    if let Some(node) = page.last_mut() {
        node.version = moment.newest(versions.drain(..));
    }
}
