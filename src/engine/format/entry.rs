//! One entry of a tree: what it is and its attributes.

use crate::engine::path::EntryPath;

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A folder.
    Directory,
    /// A symbolic link and where it points, as bytes.
    Symlink(Box<[u8]>),
    /// A named pipe.
    Fifo,
    /// A character device: major and minor number.
    CharDevice(u32, u32),
    /// A block device: major and minor number.
    BlockDevice(u32, u32),
}

/// An entry with its attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it is, relative to the root.
    pub path: EntryPath,
    /// What it is.
    pub kind: EntryKind,
    /// The twelve permission bits.
    pub mode: u32,
    /// Number of the owner.
    pub uid: u32,
    /// Number of the group.
    pub gid: u32,
    /// Name of the owner, where known.
    pub user: Option<Box<str>>,
    /// Name of the group, where known.
    pub group: Option<Box<str>>,
    /// Modification time in whole seconds since 1970.
    pub mtime: i64,
    /// Size in bytes of a regular file, where known; 0 for everything else.
    pub size_bytes: Option<u64>,
}

impl Entry {
    /// The entry that stands for a path which is gone, as `deleted/` records have it: a file without
    /// attributes, whatever it was.
    pub fn gone(path: EntryPath) -> Self {
        Self {
            path,
            kind: EntryKind::File,
            mode: 0,
            uid: 0,
            gid: 0,
            user: None,
            group: None,
            mtime: 0,
            size_bytes: None,
        }
    }

    /// Whether mode, owner and time are those of `other`, as far as the format keeps them: times in
    /// whole seconds, and none before 1970.
    pub fn has_attributes_of(&self, other: &Self) -> bool {
        let attributes = |entry: &Self| (entry.mode, entry.uid, entry.gid, entry.mtime.max(0));
        attributes(self) == attributes(other)
    }
}
