//! A folder tree reached through its root only.
//!
//! Every path is opened below the root's descriptor without following a symbolic link on the way, so
//! that nobody who can write to the tree leads a backup or a restore elsewhere. Paths longer than the
//! system takes at once (4,096 bytes) are opened in pieces.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::{Mode, fstatat};

use crate::engine::path::EntryPath;

/// Paths up to this many bytes are given to the system at once.
const PIECE_BYTES: usize = 4000;

const FOLDER: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC).union(OFlag::O_NOFOLLOW);

/// A folder that is not read, but only gone through: for that it need not be readable.
const PASSAGE: OFlag = FOLDER.union(OFlag::O_PATH);

/// A folder tree.
#[derive(Debug)]
pub struct Tree {
    root: OwnedFd,
    path: PathBuf,
    /// Kernels before 5.6 and some sandboxes have no `openat2`; then each component is opened by itself.
    has_openat2: AtomicBool,
}

impl Tree {
    /// Opens the root, which may be reached through symbolic links.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = openat(AT_FDCWD, path, flags, Mode::empty())?;
        Ok(Self { root, path: path.to_owned(), has_openat2: AtomicBool::new(true) })
    }

    /// The root's path, as it was given.
    pub fn root_path(&self) -> &Path {
        &self.path
    }

    /// The root's descriptor.
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Opens a folder of the tree.
    pub fn open_folder(&self, path: &EntryPath) -> io::Result<OwnedFd> {
        if path.is_root() {
            return self.root.try_clone();
        }
        self.open_below(path.as_bytes(), FOLDER)
    }

    /// Opens a folder of the tree to reach what lies in it, but not to list it.
    pub fn open_passage(&self, path: &EntryPath) -> io::Result<OwnedFd> {
        if path.is_root() {
            return self.root.try_clone();
        }
        self.open_below(path.as_bytes(), PASSAGE)
    }

    /// Opens a file of the tree for reading. Never waits for the other end of a named pipe.
    pub fn open_file(&self, path: &EntryPath) -> io::Result<File> {
        let flags =
            OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        self.open_below(path.as_bytes(), flags).map(File::from)
    }

    /// Whether a folder of the tree holds an entry of that name, of whatever kind. None can be seen in
    /// a folder that cannot be opened.
    pub fn holds(&self, folder: &EntryPath, name: &[u8]) -> bool {
        let look =
            |folder: OwnedFd| fstatat(&folder, OsStr::from_bytes(name), AtFlags::AT_SYMLINK_NOFOLLOW).is_ok();
        self.open_folder(folder).is_ok_and(look)
    }

    fn open_below(&self, path: &[u8], flags: OFlag) -> io::Result<OwnedFd> {
        let mut base: Option<OwnedFd> = None;
        let mut rest = path;
        loop {
            let from = base.as_ref().map_or(self.root.as_fd(), OwnedFd::as_fd);
            let limit = if self.has_openat2.load(Ordering::Relaxed) { PIECE_BYTES } else { 0 };
            let (piece, after) = split_piece(rest, limit);
            let piece_flags = if after.is_empty() { flags } else { PASSAGE };
            match self.open_piece(from, piece, piece_flags) {
                Ok(opened) if after.is_empty() => return Ok(opened),
                Ok(opened) => {
                    base = Some(opened);
                    rest = after;
                }
                Err(Errno::ENOSYS) if limit > 0 => self.has_openat2.store(false, Ordering::Relaxed),
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn open_piece(&self, from: BorrowedFd<'_>, piece: &[u8], flags: OFlag) -> Result<OwnedFd, Errno> {
        let piece = OsStr::from_bytes(piece);
        if self.has_openat2.load(Ordering::Relaxed) {
            openat2(from, piece, OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_NO_SYMLINKS))
        } else {
            // One component: O_NOFOLLOW is all it needs.
            openat(from, piece, flags, Mode::empty())
        }
    }
}

/// As many whole components as fit into `limit` bytes, at least one, and what is left.
fn split_piece(path: &[u8], limit: usize) -> (&[u8], &[u8]) {
    if path.len() <= limit {
        return (path, b"");
    }
    let cut = path[..limit.min(path.len())]
        .iter()
        .rposition(|byte| *byte == b'/')
        .or_else(|| path.iter().position(|byte| *byte == b'/'));
    cut.map_or((path, b""), |at| (&path[..at], &path[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn pieces_are_whole_components() {
        assert_eq!(split_piece(b"a/b/c", 10), (&b"a/b/c"[..], &b""[..]));
        assert_eq!(split_piece(b"aa/bb/cc", 5), (&b"aa"[..], &b"bb/cc"[..]));
        assert_eq!(split_piece(b"aa/bb/cc", 6), (&b"aa/bb"[..], &b"cc"[..]));
        assert_eq!(split_piece(b"aa/bb", 0), (&b"aa"[..], &b"bb"[..]));
        assert_eq!(split_piece(b"aaaa", 2), (&b"aaaa"[..], &b""[..]));
    }

    #[test]
    fn no_link_is_followed_below_the_root() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("real")).unwrap();
        fs::write(folder.path().join("real/file"), "x").unwrap();
        symlink("real", folder.path().join("link")).unwrap();
        for has_openat2 in [true, false] {
            let tree = Tree::open(folder.path()).unwrap();
            tree.has_openat2.store(has_openat2, Ordering::Relaxed);
            let path = |text: &str| EntryPath::from_bytes(text.as_bytes()).unwrap();
            assert!(tree.open_file(&path("real/file")).is_ok());
            assert!(tree.open_file(&path("link/file")).is_err());
            assert!(tree.open_folder(&path("link")).is_err());
            assert!(tree.open_file(&path("link")).is_err());
        }
    }
}
