//! Every version of a path.

use super::failure::Failure;
use super::records::{Entries, Version};
use super::timeline::{MissingSet, State, Timeline};
use super::{Catalog, lookup};
use crate::engine::error::{Error, Result};
use crate::engine::format::entry::Entry;
use crate::engine::format::time::SetTime;
use crate::engine::path::EntryPath;

/// What happened to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is new, or there again.
    Added,
    /// Its contents or attributes are other ones.
    Modified,
    /// It is gone.
    Deleted,
    /// A full set stored it once more.
    Unchanged,
}

/// A path in a set that says something of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathVersion {
    /// The time of the set.
    pub set_time: SetTime,
    /// Whether the set stands on its own.
    pub is_full: bool,
    /// What happened since the set before.
    pub change: Change,
    /// What it is then; none if it is gone.
    pub entry: Option<Entry>,
}

impl Catalog {
    /// Every version of a path, the oldest first, and the sets that are not in the catalogue and could have
    /// had more. Fails if no set ever had the path.
    pub fn history(&self, path: &EntryPath) -> Result<(Vec<PathVersion>, Vec<MissingSet>)> {
        self.reading(|connection| {
            let timeline = Timeline::load(connection)?;
            let entries = Entries::load(connection)?;
            let versions = match lookup::find(connection, path)? {
                Some(id) => lookup::versions(connection, id)?,
                None => Vec::new(),
            };
            let history = of(&timeline, &versions, &entries, path)?;
            if history.is_empty() {
                return Err(Error::PathNotInBackup { path: path.clone() }.into());
            }
            Ok((history, timeline.missing()))
        })
    }
}

fn of(
    timeline: &Timeline,
    versions: &[Version],
    entries: &Entries,
    path: &EntryPath,
) -> Result<Vec<PathVersion>, Failure> {
    let mut history = Vec::new();
    let mut before = None;
    for state in timeline.states(versions) {
        if let Some(change) = change(before, &state) {
            let entry = state.version.map(|version| entries.entry(path.clone(), version)).transpose()?;
            let (set_time, is_full) = (state.set.kind.time(), state.set.kind.is_full());
            history.push(PathVersion { set_time, is_full, change, entry });
        }
        if state.known {
            before = state.version;
        }
    }
    Ok(history)
}

/// What happened in a set to what was there before.
fn change(before: Option<&Version>, state: &State<'_>) -> Option<Change> {
    if !state.known {
        return None;
    }
    match (before, state.version) {
        (Some(_), Some(_)) if !state.has_word => None,
        (before, now) => between(before, now),
    }
}

/// What makes one state of a path the next one; none if it is not there in either.
pub(super) fn between(before: Option<&Version>, now: Option<&Version>) -> Option<Change> {
    match (before, now) {
        (None, None) => None,
        (None, Some(_)) => Some(Change::Added),
        (Some(_), None) => Some(Change::Deleted),
        (Some(before), Some(now)) if before.is_same_as(now) => Some(Change::Unchanged),
        (Some(_), Some(_)) => Some(Change::Modified),
    }
}
