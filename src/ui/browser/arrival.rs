//! Coming to a folder of a snapshot: what is shown there. Runs on the catalogue's thread.

use std::path::{Path, PathBuf};

use crate::engine::catalog::{Catalog, MissingSet};
use crate::engine::error::Result;
use crate::engine::format::entry::EntryKind;
use crate::engine::format::time::SetTime;
use crate::engine::job::Job;
use crate::engine::path::EntryPath;
use crate::engine::scan::reach;
use crate::platform::folder::home_in_backups;
use crate::ui::model::{Arrangement, FolderRows};

/// Where to go.
#[derive(Debug, Clone)]
pub struct Way {
    /// The snapshot.
    pub time: SetTime,
    /// The folder; where looking begins, if none is given.
    pub folder: Option<EntryPath>,
    /// Where looking begins, if that is known.
    pub top: Option<EntryPath>,
    /// The folders that the plan backs up.
    pub roots: Vec<PathBuf>,
    /// How rows are shown.
    pub arrangement: Arrangement,
}

/// A folder that was come to.
#[derive(Debug)]
pub struct Arrival {
    /// The snapshot.
    pub time: SetTime,
    /// Where looking began: what lies above holds nothing else.
    pub top: EntryPath,
    /// What the folder holds.
    pub rows: FolderRows,
    /// How they are shown.
    pub arrangement: Arrangement,
    /// Sets that could have had more to say.
    pub missing: Vec<MissingSet>,
    /// Whether the snapshot's root is that of the file system: only then it is known where its files were.
    pub original_known: bool,
}

/// Goes to a folder, or to the nearest one above it that is there.
pub fn arrive(way: Way, catalog: &Catalog, job: &Job) -> Result<Arrival> {
    let time = Some(way.time);
    let is_folder = |path: &EntryPath| -> Result<bool> {
        Ok(path.is_root()
            || catalog.entry(path, time)?.is_some_and(|entry| entry.kind == EntryKind::Directory))
    };
    let top = match (way.top, &way.roots[..]) {
        (Some(top), _) => top,
        (None, [only]) => match plan_folder(only, is_folder)? {
            Some(folder) => folder,
            None => catalog.first_choice(time, job)?,
        },
        (None, _) => catalog.first_choice(time, job)?,
    };
    let mut folder = way.folder.unwrap_or_else(|| top.clone());
    while !is_folder(&folder)? {
        folder = folder.parent().unwrap_or_default();
    }
    if !folder.starts_with(&top) {
        folder = top.clone();
    }
    let contents = catalog.contents(&folder, time, job)?;
    let missing = contents.missing.clone();
    let home = home_in_backups();
    let original_known = !home.is_root() && catalog.entry(home, time)?.is_some();
    let rows = FolderRows::new(folder, contents, way.arrangement);
    let arrangement = way.arrangement;
    Ok(Arrival { time: way.time, top, rows, arrangement, missing, original_known })
}

/// A plan's folder where it is in a backup: at its real place, if links lead to it. Those are looked at only then.
fn plan_folder(folder: &Path, is_folder: impl Fn(&EntryPath) -> Result<bool>) -> Result<Option<EntryPath>> {
    let find = |path: &Path| {
        let Ok(path) = EntryPath::from_user(path) else { return Ok(None) };
        Ok(is_folder(&path)?.then_some(path))
    };
    match find(folder)? {
        None => find(&reach(folder).folder),
        found => Ok(found),
    }
}
