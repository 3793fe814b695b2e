//! What the entries of volumes and signature tars mean, told by the beginning of their names.

use super::entry::{Entry, EntryKind};
use super::extras;
use super::tar::Header;
use crate::engine::path::EntryPath;

/// Bytes of a file that one entry of a volume holds at most. Larger files come in chunks of exactly
/// this size and a last, shorter one, which may be empty; duplicity finds the place to resume by it.
pub const CHUNK: usize = 64 * 1024;

/// What an entry of a volume or signature tar says of its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// The whole new state; with data for a regular file.
    Snapshot,
    /// A librsync delta against the previous state of a regular file.
    Diff,
    /// The path is gone.
    Deleted,
    /// One chunk of the data of a [`Record::Snapshot`]; the first has number 1.
    SnapshotChunk(u64),
    /// One chunk of a [`Record::Diff`].
    DiffChunk(u64),
    /// A librsync signature of a regular file.
    Signature,
}

/// An entry whose name or type the format does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The name begins with none of the known words.
    #[error("the entry \"{}\" is of no known kind", .0.escape_ascii())]
    UnknownName(Vec<u8>),
    /// The path would lead out of the backup.
    #[error("the entry \"{}\" leads out of the backup", .0.escape_ascii())]
    UnsafePath(Vec<u8>),
    /// The tar type is one that no duplicity backup has, such as a hard link.
    #[error("the entry \"{}\" has the unexpected type {}", .0.escape_ascii(), .1.escape_ascii())]
    UnknownType(Vec<u8>, u8),
}

impl Record {
    /// Splits a stored name into what it says and of which path.
    pub fn parse(name: &[u8]) -> Result<(Self, EntryPath), RecordError> {
        let unknown = || RecordError::UnknownName(name.to_vec());
        let slash = name.iter().position(|byte| *byte == b'/').ok_or_else(unknown)?;
        let (word, path) = (&name[..slash], &name[slash + 1..]);
        let path = path.strip_suffix(b"/").unwrap_or(path);
        let (record, path) = match word {
            b"snapshot" => (Self::Snapshot, path),
            b"diff" => (Self::Diff, path),
            b"deleted" => (Self::Deleted, path),
            b"signature" => (Self::Signature, path),
            b"multivol_snapshot" | b"multivol_diff" => {
                // Of a file called `1` in `big`, chunk 1 is `multivol_snapshot/big/1/1`.
                let last = path.iter().rposition(|byte| *byte == b'/');
                let (path, digits) = last.map_or((&b""[..], path), |at| (&path[..at], &path[at + 1..]));
                let number =
                    str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).ok_or_else(unknown)?;
                let record = if word == b"multivol_diff" {
                    Self::DiffChunk(number)
                } else {
                    Self::SnapshotChunk(number)
                };
                (record, path)
            }
            _ => return Err(unknown()),
        };
        let path = if path == b"." { b"" } else { path };
        let path = EntryPath::from_bytes(path).map_err(|_| RecordError::UnsafePath(name.to_vec()))?;
        Ok((record, path))
    }

    fn name(self, path: &EntryPath) -> Vec<u8> {
        let (word, chunk) = match self {
            Self::Snapshot => ("snapshot", None),
            Self::Diff => ("diff", None),
            Self::Deleted => ("deleted", None),
            Self::Signature => ("signature", None),
            Self::SnapshotChunk(number) => ("multivol_snapshot", Some(number)),
            Self::DiffChunk(number) => ("multivol_diff", Some(number)),
        };
        let mut name = word.as_bytes().to_vec();
        name.push(b'/');
        name.extend_from_slice(path.as_bytes());
        if let Some(number) = chunk {
            if !path.is_root() {
                name.push(b'/');
            }
            name.extend_from_slice(number.to_string().as_bytes());
        }
        name
    }
}

/// In which kind of tar an entry stands: the root is written differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A volume; the root is `snapshot/./`, as duplicity writes it.
    Volume,
    /// A signature tar; the root is `snapshot/`, since duplicity takes `snapshot/./` for another path.
    Signatures,
}

/// The tar header of `entry` as `record`, with `size` bytes of data behind it.
pub fn header(place: Place, record: Record, entry: &Entry, size: u64) -> Header {
    let mut name = record.name(&entry.path);
    if entry.kind == EntryKind::Directory {
        if entry.path.is_root() && place == Place::Volume {
            name.push(b'.');
        }
        if !name.ends_with(b"/") {
            name.push(b'/');
        }
    }
    let mut header = Header {
        name,
        mode: entry.mode,
        uid: entry.uid,
        gid: entry.gid,
        user: entry.user.as_deref().unwrap_or_default().to_owned(),
        group: entry.group.as_deref().unwrap_or_default().to_owned(),
        // duplicity dies of a negative one.
        mtime: entry.mtime.max(0),
        size,
        ..Header::default()
    };
    header.type_flag = match &entry.kind {
        EntryKind::File => b'0',
        EntryKind::Symlink(target) => {
            header.link = target.to_vec();
            header.mode = 0o777;
            b'2'
        }
        EntryKind::CharDevice(major, minor) => {
            header.device = (*major, *minor);
            b'3'
        }
        EntryKind::BlockDevice(major, minor) => {
            header.device = (*major, *minor);
            b'4'
        }
        EntryKind::Directory => b'5',
        EntryKind::Fifo => b'6',
    };
    extras::write(place, record, entry, &mut header);
    header
}

/// The record and the entry that a tar header speaks of. The size of a regular file is known where
/// the header or the entry itself tells it.
pub fn entry(header: Header) -> Result<(Record, Entry), RecordError> {
    let (record, path) = Record::parse(&header.name)?;
    let (extras, file_size) = extras::read(&header);
    let kind = match header.type_flag {
        b'0' => EntryKind::File,
        b'2' => EntryKind::Symlink(header.link.into()),
        b'3' => EntryKind::CharDevice(header.device.0, header.device.1),
        b'4' => EntryKind::BlockDevice(header.device.0, header.device.1),
        b'5' => EntryKind::Directory,
        b'6' => EntryKind::Fifo,
        other => return Err(RecordError::UnknownType(header.name, other)),
    };
    let size_bytes = match (record, &kind) {
        (Record::Snapshot, EntryKind::File) => Some(header.size),
        (Record::Signature, EntryKind::File) => file_size,
        (_, EntryKind::File) => None,
        _ => Some(0),
    };
    let known = |name: String| (!name.is_empty()).then(|| name.into_boxed_str());
    let entry = Entry {
        path,
        kind,
        mode: header.mode,
        uid: header.uid,
        gid: header.gid,
        user: known(header.user),
        group: known(header.group),
        mtime: header.mtime,
        size_bytes,
        extras,
    };
    Ok((record, entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str) -> (Record, String) {
        let (record, path) = Record::parse(name.as_bytes()).unwrap();
        (record, path.to_string())
    }

    #[test]
    fn names_say_what_and_where() {
        assert_eq!(parse("snapshot/./"), (Record::Snapshot, ".".into()));
        assert_eq!(parse("snapshot/"), (Record::Snapshot, ".".into()));
        assert_eq!(parse("snapshot/sub/"), (Record::Snapshot, "sub".into()));
        assert_eq!(parse("multivol_snapshot/big/1/1"), (Record::SnapshotChunk(1), "big/1".into()));
        assert_eq!(parse("multivol_diff/a/12"), (Record::DiffChunk(12), "a".into()));
        assert_eq!(parse("multivol_snapshot/7"), (Record::SnapshotChunk(7), ".".into()));
        assert_eq!(parse("deleted/snapshot/x"), (Record::Deleted, "snapshot/x".into()));
    }

    #[test]
    fn what_could_leave_the_target_is_refused() {
        for bad in ["snapshot/../etc", "snapshot//etc", "diff/a/../../b", "snapshot/a//b"] {
            assert!(matches!(Record::parse(bad.as_bytes()), Err(RecordError::UnsafePath(_))), "{bad}");
        }
        for bad in ["etc/passwd", "snapshot", "multivol_snapshot/a/x", ""] {
            assert!(matches!(Record::parse(bad.as_bytes()), Err(RecordError::UnknownName(_))), "{bad}");
        }
        let hard_link = Header { name: b"snapshot/a".to_vec(), type_flag: b'1', ..Header::default() };
        assert!(matches!(entry(hard_link), Err(RecordError::UnknownType(_, b'1'))));
    }

    #[test]
    fn entries_come_back() {
        for kind in [
            EntryKind::File,
            EntryKind::Directory,
            EntryKind::Symlink(b"to\xff".to_vec().into()),
            EntryKind::Fifo,
            EntryKind::CharDevice(1, 3),
            EntryKind::BlockDevice(8, 0),
        ] {
            for path in [EntryPath::root(), EntryPath::from_bytes(b"a/b\xff").unwrap()] {
                let original = Entry {
                    path,
                    mode: if matches!(kind, EntryKind::Symlink(_)) { 0o777 } else { 0o4755 },
                    kind: kind.clone(),
                    uid: 1,
                    gid: 2,
                    user: Some("me".into()),
                    group: None,
                    mtime: 12,
                    size_bytes: Some(0),
                    extras: None,
                };
                for place in [Place::Volume, Place::Signatures] {
                    let stored = header(place, Record::Snapshot, &original, 0);
                    assert_eq!(entry(stored).unwrap(), (Record::Snapshot, original.clone()));
                }
            }
        }
    }
}
