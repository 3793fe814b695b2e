//! Takes one set into the tables.

use std::collections::HashMap;

use rusqlite::{Connection, Statement, params};

use super::extras;
use super::failure::Failure;
use super::records::{ATTRIBUTES, Attributes};
use super::schema::ROOT;
use crate::engine::format::difftar::Record;
use crate::engine::format::entry::EntryKind;
use crate::engine::format::time::SetTime;
use crate::engine::job::Job;
use crate::engine::known::{Head, SetSignatures};
use crate::engine::path::EntryPath;

/// What taking a set in came to.
pub(super) struct Taken {
    /// What the set says of how many paths.
    pub(super) entry_count: u64,
    /// Of these, all but folders of which only the time is another: it changes with what is in them.
    pub(super) change_count: u64,
    /// The first of the paths that were not known before; those after it are not either.
    pub(super) first_new: Option<i64>,
}

/// Writes all that a set says into the tables. Memory grows with the depth of the tree and with the
/// number of different owners and modes, not with the number of entries. The set is given with the time of the full one
/// that it builds on, and its own.
pub(super) fn take_in(
    connection: &Connection,
    (set, chain_start, time): (i64, SetTime, SetTime),
    mut signatures: SetSignatures,
    job: &Job,
) -> Result<Taken, Failure> {
    let mut intake = Intake::new(connection, set, (chain_start.epoch(), time.epoch()))?;
    let (mut entry_count, mut change_count) = (0, 0);
    while let Some(head) = signatures.take()? {
        job.entry_started(&head.entry.path);
        change_count += u64::from(intake.take(&head)?);
        job.entry_done();
        entry_count += 1;
    }
    Ok(Taken { entry_count, change_count, first_new: intake.first_new })
}

struct Intake<'c> {
    set: i64,
    /// Sets of these times, the second left out, are what the set builds on; in seconds since 1970.
    builds_on: (i64, i64),
    find_before: Statement<'c>,
    find_path: Statement<'c>,
    add_path: Statement<'c>,
    add_version: Statement<'c>,
    add_attributes: Statement<'c>,
    attributes: HashMap<Attributes, i64>,
    /// The folders above the path that was taken last, and that path.
    above: Vec<Node>,
    first_new: Option<i64>,
}

struct Node {
    name: Box<[u8]>,
    id: i64,
    /// Then nothing can be known below it either.
    is_new: bool,
}

impl<'c> Intake<'c> {
    fn new(connection: &'c Connection, set: i64, builds_on: (i64, i64)) -> Result<Self, Failure> {
        let mut attributes = HashMap::new();
        let mut statement = connection.prepare(ATTRIBUTES)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (id, found) = Attributes::read(row)?;
            attributes.insert(found, id);
        }
        Ok(Self {
            set,
            builds_on,
            find_before: connection.prepare(
                "SELECT attributes FROM versions JOIN sets ON id = set_id
                 WHERE path = ?1 AND time >= ?2 AND time < ?3 ORDER BY time DESC LIMIT 1",
            )?,
            find_path: connection.prepare("SELECT id FROM paths WHERE parent = ?1 AND name = ?2")?,
            add_path: connection.prepare("INSERT INTO paths (parent, name) VALUES (?1, ?2)")?,
            add_version: connection.prepare("INSERT INTO versions VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?,
            add_attributes: connection.prepare(
                "INSERT INTO attributes (kind, mode, uid, gid, owner, owners, major, minor)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?,
            attributes,
            above: Vec::new(),
            first_new: None,
        })
    }

    /// Takes an entry in. False if it is a folder of which only the time is another.
    fn take(&mut self, head: &Head) -> Result<bool, Failure> {
        let entry = &head.entry;
        let path = self.path(&entry.path)?;
        if head.record == Record::Deleted {
            let nothing: Option<i64> = None;
            self.add_version.execute(params![path, self.set, nothing, nothing, nothing, nothing, nothing])?;
            return Ok(true);
        }
        let attributes = self.attributes(Attributes::of(entry))?;
        let target = match &entry.kind {
            EntryKind::Symlink(target) => Some(&**target),
            _ => None,
        };
        let size = entry.size_bytes.map(u64::cast_signed);
        let extras = entry.extras.as_deref().map(extras::encode);
        self.add_version.execute(params![path, self.set, attributes, entry.mtime, size, target, extras])?;
        Ok(entry.kind != EntryKind::Directory || self.attributes_before(path)? != Some(attributes))
    }

    /// The attributes that a path had before the set. A full one builds on nothing.
    fn attributes_before(&mut self, path: i64) -> Result<Option<i64>, Failure> {
        let (chain_start, time) = self.builds_on;
        if chain_start == time {
            return Ok(None);
        }
        let mut rows = self.find_before.query(params![path, chain_start, time])?;
        Ok(rows.next()?.map(|row| row.get(0)).transpose()?.flatten())
    }

    /// The id of a path, which is added if it is new. Paths come in the order of the format, so most of
    /// the way is that of the path before.
    fn path(&mut self, path: &EntryPath) -> Result<i64, Failure> {
        let common = path
            .components()
            .zip(&self.above)
            .take_while(|(component, node)| *component == &*node.name)
            .count();
        self.above.truncate(common);
        for component in path.components().skip(common) {
            let (parent, parent_is_new) =
                self.above.last().map_or((ROOT, false), |node| (node.id, node.is_new));
            let found = if parent_is_new { None } else { self.find(parent, component)? };
            let (id, is_new) = match found {
                Some(id) => (id, false),
                None => (self.add_path.insert(params![parent, component])?, true),
            };
            if is_new {
                self.first_new.get_or_insert(id);
            }
            self.above.push(Node { name: component.into(), id, is_new });
        }
        Ok(self.above.last().map_or(ROOT, |node| node.id))
    }

    fn find(&mut self, parent: i64, name: &[u8]) -> Result<Option<i64>, Failure> {
        let mut rows = self.find_path.query(params![parent, name])?;
        Ok(rows.next()?.map(|row| row.get(0)).transpose()?)
    }

    fn attributes(&mut self, attributes: Attributes) -> Result<i64, Failure> {
        if let Some(id) = self.attributes.get(&attributes) {
            return Ok(*id);
        }
        let (major, minor) = attributes.device;
        let id = self.add_attributes.insert(params![
            attributes.kind,
            attributes.mode,
            attributes.uid,
            attributes.gid,
            attributes.user,
            attributes.group,
            major,
            minor
        ])?;
        self.attributes.insert(attributes, id);
        Ok(id)
    }
}
