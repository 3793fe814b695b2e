//! What can be known of a folder without writing to it. Blocking: not for the main loop.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use gio::prelude::*;

use crate::engine::path::EntryPath;
use crate::engine::scan::reach;

/// What a folder is like as a place for backups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderFacts {
    /// Whether it exists.
    pub state: FolderState,
    /// Whether this person may write into it, or make it.
    pub writable: bool,
    /// Whether its file system is mounted read-only.
    pub read_only: bool,
    /// Bytes that can still be written, where known.
    pub free_bytes: Option<u64>,
    /// Which file system it is on, to compare with others.
    pub file_system: Option<String>,
}

/// Whether a folder is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FolderState {
    /// It is.
    Present,
    /// It is not, but the folder that would hold it is.
    Creatable,
    /// Neither is there: a drive that is away, or a mistyped path.
    Missing,
    /// Something else has that name.
    NotAFolder,
}

/// Looks at a folder.
pub fn inspect(folder: &Path) -> FolderFacts {
    let state = if folder.is_dir() {
        FolderState::Present
    } else if folder.symlink_metadata().is_ok() {
        FolderState::NotAFolder
    } else if folder.parent().is_some_and(Path::is_dir) {
        FolderState::Creatable
    } else {
        FolderState::Missing
    };
    let nearest = match state {
        FolderState::Creatable => folder.parent().unwrap_or(folder).to_owned(),
        _ => folder.to_owned(),
    };
    let file = gio::File::for_path(&nearest);
    let writable = matches!(state, FolderState::Present | FolderState::Creatable)
        && file
            .query_info("access::can-write", gio::FileQueryInfoFlags::NONE, gio::Cancellable::NONE)
            .is_ok_and(|info| info.boolean("access::can-write"));
    let system = file.query_filesystem_info("filesystem::*", gio::Cancellable::NONE).ok();
    FolderFacts {
        state,
        writable,
        read_only: system.as_ref().is_some_and(|info| info.boolean("filesystem::readonly")),
        free_bytes: system
            .as_ref()
            .filter(|info| info.has_attribute("filesystem::free"))
            .map(|info| info.attribute_uint64("filesystem::free")),
        file_system: file_system_of(&nearest),
    }
}

/// Why nothing can be put into a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// It, or one of those that would hold it, is a file.
    File,
    /// This person may not write there, or not make it.
    Forbidden,
    /// Its file system is mounted read-only.
    ReadOnly,
}

/// Whether something can be put into a folder, which is made if need be with those that hold it.
pub fn open_to(folder: &Path) -> Result<(), Closed> {
    let nearest = folder.ancestors().find(|path| path.symlink_metadata().is_ok());
    let facts = inspect(nearest.unwrap_or(folder));
    match facts.state {
        FolderState::NotAFolder => Err(Closed::File),
        _ if facts.read_only => Err(Closed::ReadOnly),
        _ if !facts.writable => Err(Closed::Forbidden),
        _ => Ok(()),
    }
}

/// Which file system a path is on.
pub fn file_system_of(path: &Path) -> Option<String> {
    gio::File::for_path(path)
        .query_info("id::filesystem", gio::FileQueryInfoFlags::NONE, gio::Cancellable::NONE)
        .ok()?
        .attribute_string("id::filesystem")
        .map(Into::into)
}

/// The person's own folder as a backup has it: at its real place, to which `/home` may be a link.
pub fn home_in_backups() -> &'static EntryPath {
    static HOME: LazyLock<EntryPath> =
        LazyLock::new(|| EntryPath::from_user(&reach(&glib::home_dir()).folder).unwrap_or_default());
    &HOME
}

/// A path as a person types it: a leading `~` is their home, and it must lead from the root.
pub fn from_typed(text: &str) -> Option<PathBuf> {
    let text = text.trim();
    let path = match text.strip_prefix('~') {
        Some("") => glib::home_dir(),
        Some(rest) => glib::home_dir().join(rest.strip_prefix('/')?),
        None => PathBuf::from(text),
    };
    path.is_absolute().then(|| path.components().collect())
}

/// A path as a person reads it, with `~` for the way to their home. Bytes that are no text are replaced, so this
/// does not lead back to the path.
pub fn to_shown(path: &Path) -> String {
    match path.strip_prefix(glib::home_dir()) {
        Ok(rest) if !rest.as_os_str().is_empty() => format!("~/{}", glib::filename_display_name(rest)),
        _ => glib::filename_display_name(path).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_paths() {
        assert_eq!(from_typed("~"), Some(glib::home_dir()));
        assert_eq!(from_typed(" ~/a/ "), Some(glib::home_dir().join("a")));
        assert_eq!(from_typed("/a//b/./c/"), Some("/a/b/c".into()));
        for none in ["", "a", "~other/x", "file:///a"] {
            assert_eq!(from_typed(none), None, "{none}");
        }
    }

    #[test]
    fn a_file_on_the_way_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(open_to(&folder.path().join("new/newer")), Ok(()));
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert_eq!(open_to(&file), Err(Closed::File));
        assert_eq!(open_to(&file.join("new/newer")), Err(Closed::File));
        std::os::unix::fs::symlink("nowhere", folder.path().join("link")).unwrap();
        assert_eq!(open_to(&folder.path().join("link")), Err(Closed::File));
    }

    #[test]
    fn a_folder_that_could_be_made_is_told_from_one_that_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let facts = inspect(folder.path());
        assert_eq!((facts.state, facts.writable), (FolderState::Present, true));
        assert!(facts.free_bytes.is_some());
        let facts = inspect(&folder.path().join("new"));
        assert_eq!((facts.state, facts.writable), (FolderState::Creatable, true));
        let facts = inspect(&folder.path().join("away/new"));
        assert_eq!((facts.state, facts.writable), (FolderState::Missing, false));
        std::fs::write(folder.path().join("file"), "").unwrap();
        let facts = inspect(&folder.path().join("file"));
        assert_eq!((facts.state, facts.writable), (FolderState::NotAFolder, false));
    }
}
