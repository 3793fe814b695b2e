//! One path, or one folder, at a time.

use rusqlite::{Connection, OptionalExtension, params};

use super::failure::Failure;
use super::records::{COLUMNS, Entries, Version};
use super::schema::ROOT;
use super::timeline::{MissingSet, Moment, Timeline};
use super::{Catalog, walk};
use crate::engine::error::{Error, Result};
use crate::engine::format::entry::Entry;
use crate::engine::format::time::SetTime;
use crate::engine::path::EntryPath;

/// What was in a folder at a time.
#[derive(Debug, Clone)]
pub struct Directory {
    /// The time of the set.
    pub set_time: SetTime,
    /// Entries directly in the folder, in the order of the format.
    pub entries: Vec<Entry>,
    /// Sets that the state would need, but that are not in the catalogue.
    pub missing: Vec<MissingSet>,
}

impl Catalog {
    /// What was directly in a folder at a time; the newest state if none is given. Of anything but a folder
    /// the listing is empty. Fails if the path was not there, unless that is only because sets are missing.
    pub fn directory(&self, path: &EntryPath, time: Option<SetTime>) -> Result<Directory> {
        self.reading(|connection| {
            let moment = self.moment(connection, time)?;
            let entries = Entries::load(connection)?;
            // A root that no set has a word on is there nevertheless.
            let can_be_missed = path.is_root() || !moment.missing.is_empty();
            if !can_be_missed && self.at(connection, &moment, &entries, path)?.is_none() {
                return Err(Error::PathNotInBackup { path: path.clone() }.into());
            }
            let mut directory =
                Directory { set_time: moment.set_time, entries: Vec::new(), missing: moment.missing.clone() };
            let Some(id) = find(connection, path)? else { return Ok(directory) };
            let mut children = walk::Children::new(connection)?;
            let mut page = Vec::new();
            let mut last = Vec::new();
            while children.page(id, &last, &moment, &mut page)? {
                for node in page.drain(..) {
                    if let Some(version) = &node.version {
                        directory.entries.push(entries.entry(path.join(&node.name), version)?);
                    }
                    last = node.name;
                }
            }
            Ok(directory)
        })
    }

    /// What was at a path at a time; none if nothing was.
    pub fn entry(&self, path: &EntryPath, time: Option<SetTime>) -> Result<Option<Entry>> {
        self.reading(|connection| {
            let moment = self.moment(connection, time)?;
            self.at(connection, &moment, &Entries::load(connection)?, path)
        })
    }

    /// The sets that make up the state at a time.
    pub(super) fn moment(&self, connection: &Connection, time: Option<SetTime>) -> Result<Moment, Failure> {
        let location = || connection.query_row("SELECT location FROM about", [], |row| row.get(0));
        match Timeline::load(connection)?.moment(time) {
            Some(moment) => Ok(moment),
            None => Err(Error::NoBackup { location: location()? }.into()),
        }
    }

    pub(super) fn at(
        &self,
        connection: &Connection,
        moment: &Moment,
        entries: &Entries,
        path: &EntryPath,
    ) -> Result<Option<Entry>, Failure> {
        let Some(id) = find(connection, path)? else { return Ok(None) };
        let newest = moment.newest(versions(connection, id)?);
        newest.map(|version| entries.entry(path.clone(), &version)).transpose()
    }
}

/// The id of a path, if any set ever had it or something below it.
pub(super) fn find(connection: &Connection, path: &EntryPath) -> Result<Option<i64>, Failure> {
    let mut statement = connection.prepare("SELECT id FROM paths WHERE parent = ?1 AND name = ?2")?;
    let mut id = ROOT;
    for component in path.components() {
        match statement.query_row(params![id, component], |row| row.get(0)).optional()? {
            Some(child) => id = child,
            None => return Ok(None),
        }
    }
    Ok(Some(id))
}

/// All that the sets say of a path.
pub(super) fn versions(connection: &Connection, path: i64) -> Result<Vec<Version>, Failure> {
    let mut statement = connection.prepare(&format!("SELECT {COLUMNS} FROM versions v WHERE v.path = ?1"))?;
    let versions = statement.query_map([path], |row| Version::read(row, 0))?;
    Ok(versions.collect::<Result<_, _>>()?)
}
