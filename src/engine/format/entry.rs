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
    /// What only Souvenir keeps; none if duplicity made the set.
    pub extras: Option<Box<Extras>>,
}

/// What Souvenir keeps of an entry beyond what duplicity does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extras {
    /// Nanoseconds of the modification time.
    pub mtime_nanos: u32,
    /// What shows whether somebody has touched the entry, kept beside its signature.
    pub touched: Option<Touched>,
    /// The same for all names of one file; none for a file with one name.
    pub hard_link: Option<Box<[u8]>>,
    /// Whether the file takes less room than its size: it has holes.
    pub is_sparse: bool,
    /// Extended attributes in the order of their names.
    pub xattrs: Xattrs,
}

/// What changes whenever anything about an entry does, on the machine that it is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Touched {
    /// Time of the last change of the inode: seconds and nanoseconds.
    pub ctime: (i64, u32),
    /// Number of the inode.
    pub inode: u64,
}

/// Name and value of an extended attribute.
pub type Xattr = (Box<[u8]>, Box<[u8]>);

/// Extended attributes in the order of their names.
pub type Xattrs = Vec<Xattr>;

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
            extras: None,
        }
    }

    /// Whether mode, owner and time are those of `other`.
    pub fn has_attributes_of(&self, other: &Self) -> bool {
        let attributes = |entry: &Self| (entry.mode, entry.uid, entry.gid);
        attributes(self) == attributes(other) && self.has_time_of(other)
    }

    /// Whether the time is that of `other`: to the nanosecond if both know it, else in whole seconds.
    /// The format has none before 1970.
    pub fn has_time_of(&self, other: &Self) -> bool {
        let nanos = |entry: &Self| entry.extras.as_ref().map(|extras| extras.mtime_nanos);
        let same_nanos = match (nanos(self), nanos(other)) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        };
        let (one, other) = (self.mtime.max(0), other.mtime.max(0));
        one == other && (one == 0 || same_nanos)
    }

    /// Which names are one file, if this one has several.
    pub fn hard_link(&self) -> Option<&[u8]> {
        self.extras.as_ref()?.hard_link.as_deref()
    }

    /// Extended attributes.
    pub fn xattrs(&self) -> &[Xattr] {
        self.extras.as_ref().map_or(&[], |extras| &extras.xattrs)
    }
}
