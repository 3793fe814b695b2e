//! What a set says of a path, between the database and an [`Entry`].

use rusqlite::{Connection, Row};

use super::extras;
use super::failure::Failure;
use crate::engine::format::entry::{Entry, EntryKind};
use crate::engine::path::EntryPath;

/// What one set says of a path. Its columns in the database are [`COLUMNS`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) set: i64,
    attributes: Option<i64>,
    pub(super) mtime: i64,
    pub(super) size_bytes: Option<u64>,
    target: Option<Box<[u8]>>,
    extras: Option<Vec<u8>>,
}

/// The columns that [`Version::read`] takes, of the table `versions AS v`.
pub(super) const COLUMNS: &str = "v.set_id, v.attributes, v.mtime, v.size, v.target, v.extras";

impl Version {
    /// Reads a version from the columns from `first` on.
    pub(super) fn read(row: &Row<'_>, first: usize) -> Result<Self, rusqlite::Error> {
        Ok(Self {
            set: row.get(first)?,
            attributes: row.get(first + 1)?,
            mtime: row.get::<_, Option<i64>>(first + 2)?.unwrap_or(0),
            size_bytes: row.get::<_, Option<i64>>(first + 3)?.map(i64::cast_unsigned),
            target: row.get::<_, Option<Vec<u8>>>(first + 4)?.map(Vec::into_boxed_slice),
            extras: row.get(first + 5)?,
        })
    }

    /// Whether it says that the path is gone.
    pub(super) fn is_gone(&self) -> bool {
        self.attributes.is_none()
    }

    /// Whether the path is the same in both, as far as is known: a size that duplicity did not store is no
    /// difference.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        let sizes = self.size_bytes.zip(other.size_bytes);
        (self.attributes, self.mtime, &self.target) == (other.attributes, other.mtime, &other.target)
            && sizes.is_none_or(|(one, two)| one == two)
            && extras::are_alike(self.extras.as_deref(), other.extras.as_deref())
    }
}

/// What many entries have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Attributes {
    /// The letter that `ls` shows.
    pub(super) kind: u8,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) user: Option<Box<str>>,
    pub(super) group: Option<Box<str>>,
    pub(super) device: (u32, u32),
}

impl Attributes {
    /// Those of an entry.
    pub(super) fn of(entry: &Entry) -> Self {
        let (kind, device) = match &entry.kind {
            EntryKind::File => (b'-', (0, 0)),
            EntryKind::Directory => (b'd', (0, 0)),
            EntryKind::Symlink(_) => (b'l', (0, 0)),
            EntryKind::Fifo => (b'p', (0, 0)),
            EntryKind::CharDevice(major, minor) => (b'c', (*major, *minor)),
            EntryKind::BlockDevice(major, minor) => (b'b', (*major, *minor)),
        };
        Self {
            kind,
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            user: entry.user.clone(),
            group: entry.group.clone(),
            device,
        }
    }

    /// What a version with these attributes is.
    pub(super) fn kind_of(&self, version: &Version) -> EntryKind {
        match self.kind {
            b'd' => EntryKind::Directory,
            b'l' => EntryKind::Symlink(version.target.clone().unwrap_or_default()),
            b'p' => EntryKind::Fifo,
            b'c' => EntryKind::CharDevice(self.device.0, self.device.1),
            b'b' => EntryKind::BlockDevice(self.device.0, self.device.1),
            _ => EntryKind::File,
        }
    }

    /// Reads them from the columns of [`ATTRIBUTES`].
    pub(super) fn read(row: &Row<'_>) -> Result<(i64, Self), rusqlite::Error> {
        let text = |column| row.get::<_, Option<String>>(column).map(|text| text.map(String::into_boxed_str));
        let attributes = Self {
            kind: row.get(1)?,
            mode: row.get(2)?,
            uid: row.get(3)?,
            gid: row.get(4)?,
            user: text(5)?,
            group: text(6)?,
            device: (row.get(7)?, row.get(8)?),
        };
        Ok((row.get(0)?, attributes))
    }
}

/// Reads all of them.
pub(super) const ATTRIBUTES: &str =
    "SELECT id, kind, mode, uid, gid, owner, owners, major, minor FROM attributes";

/// Makes entries of versions.
pub(super) struct Entries(Vec<Option<Attributes>>);

impl Entries {
    pub(super) fn load(connection: &Connection) -> Result<Self, Failure> {
        let mut all = Vec::new();
        let mut statement = connection.prepare(ATTRIBUTES)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (id, attributes) = Attributes::read(row)?;
            // Ids are given out in a row.
            let index = usize::try_from(id).unwrap_or(0);
            if all.len() <= index {
                all.resize(index + 1, None);
            }
            all[index] = Some(attributes);
        }
        Ok(Self(all))
    }

    /// The entry of a version that is not gone.
    pub(super) fn entry(&self, path: EntryPath, version: &Version) -> Result<Entry, Failure> {
        let attributes = self.attributes(version)?;
        let extras = match &version.extras {
            Some(bytes) => Some(extras::decode(bytes).ok_or(rusqlite::Error::QueryReturnedNoRows)?),
            None => None,
        };
        Ok(Entry {
            path,
            kind: attributes.kind_of(version),
            mode: attributes.mode,
            uid: attributes.uid,
            gid: attributes.gid,
            user: attributes.user.clone(),
            group: attributes.group.clone(),
            mtime: version.mtime,
            size_bytes: version.size_bytes,
            extras: extras.map(Box::new),
        })
    }

    /// What a version that is not gone has in common with many others.
    pub(super) fn attributes(&self, version: &Version) -> Result<&Attributes, Failure> {
        let id = version.attributes.unwrap_or(0);
        let attributes = usize::try_from(id).ok().and_then(|index| self.0.get(index)?.as_ref());
        // The database holds only what was taken in together with its attributes.
        Ok(attributes.ok_or(rusqlite::Error::QueryReturnedNoRows)?)
    }
}
