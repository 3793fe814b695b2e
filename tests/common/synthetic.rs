//! Sets that no tree was behind: signature files made of nothing but entries.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use souvenir::engine::format::difftar::{Place, Record, header};
use souvenir::engine::format::entry::{Entry, EntryKind, Extras, Touched};
use souvenir::engine::format::name::{Codec, FileName, Part, SetKind};
use souvenir::engine::format::tar::Writer;
use souvenir::engine::format::time::SetTime;
use souvenir::engine::path::EntryPath;
use souvenir::engine::storage::{Lock, Storage, StorageResult, StoredFile, Upload};

/// What a set says of a path.
pub type Said = (Record, Entry);

/// A full set, or one that builds on another; times in seconds since 1970.
pub fn kind(start: Option<i64>, time: i64) -> SetKind {
    let end = SetTime::from_epoch(time).unwrap();
    match start {
        Some(start) => SetKind::Incremental { start: SetTime::from_epoch(start).unwrap(), end },
        None => SetKind::Full { time: end },
    }
}

pub fn file(path: EntryPath, size: u64, mtime: i64) -> Said {
    let entry = Entry {
        mode: 0o644,
        uid: 1000,
        gid: 1000,
        user: Some("ada".into()),
        group: Some("ada".into()),
        mtime,
        size_bytes: Some(size),
        // As Souvenir itself notes of every entry.
        extras: Some(Box::new(Extras {
            mtime_nanos: 123_456_789,
            touched: Some(Touched { ctime: (mtime, 987_654_321), inode: 1 << 20 }),
            ..Extras::default()
        })),
        ..Entry::gone(path)
    };
    (Record::Signature, entry)
}

pub fn folder(path: EntryPath, mtime: i64) -> Said {
    let (_, entry) = file(path, 0, mtime);
    (Record::Snapshot, Entry { kind: EntryKind::Directory, mode: 0o755, ..entry })
}

pub fn link(path: EntryPath, target: &[u8], mtime: i64) -> Said {
    let (_, entry) = file(path, 0, mtime);
    (Record::Snapshot, Entry { kind: EntryKind::Symlink(target.into()), mode: 0o777, ..entry })
}

pub fn gone(path: EntryPath) -> Said {
    (Record::Deleted, Entry::gone(path))
}

/// The names of a set's manifest and of its signatures.
pub fn names(set: SetKind) -> [String; 2] {
    [Part::Manifest, Part::Signatures].map(|part| FileName { set, part, codec: Codec::Plain }.to_string())
}

/// Puts a set into a folder that says this, in the order of the format.
pub fn write_set(destination: &Path, set: SetKind, said: impl IntoIterator<Item = Said>) {
    let [manifest, signatures] = names(set);
    let mut bytes = Vec::new();
    Signatures::new(said.into_iter()).read_to_end(&mut bytes).unwrap();
    fs::create_dir_all(destination).unwrap();
    fs::write(destination.join(signatures), bytes).unwrap();
    fs::write(destination.join(manifest), "").unwrap();
}

/// A signature tar that is made while it is read.
pub struct Signatures<I> {
    said: I,
    tar: Writer<Vec<u8>>,
    at: usize,
    is_done: bool,
}

impl<I: Iterator<Item = Said>> Signatures<I> {
    pub fn new(said: I) -> Self {
        Self { said, tar: Writer::new(Vec::new()), at: 0, is_done: false }
    }
}

impl<I: Iterator<Item = Said>> Read for Signatures<I> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.tar.get_mut().len() {
            self.tar.get_mut().clear();
            self.at = 0;
            while !self.is_done && self.tar.get_mut().len() < 65536 {
                match self.said.next() {
                    Some((record, entry)) => {
                        self.tar.entry(&header(Place::Signatures, record, &entry, 0), b"")?;
                    }
                    None => {
                        self.tar.end()?;
                        self.is_done = true;
                    }
                }
            }
        }
        let bytes = &self.tar.get_mut()[self.at..];
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        self.at += count;
        Ok(count)
    }
}

/// What the set with that number says.
pub type Generator = fn(usize) -> Box<dyn Iterator<Item = Said> + Send>;

/// A destination whose sets are made while they are read.
#[derive(Debug)]
pub struct Generated {
    pub sets: Vec<SetKind>,
    pub said: Generator,
}

impl Storage for Generated {
    fn location(&self) -> String {
        "generated".to_owned()
    }

    fn list(&self) -> StorageResult<Vec<StoredFile>> {
        let names = self.sets.iter().flat_map(|set| names(*set));
        Ok(names.map(|name| StoredFile { name, size_bytes: 1 }).collect())
    }

    fn list_folders(&self) -> StorageResult<Vec<String>> {
        Ok(Vec::new())
    }

    fn open_from(&self, name: &str, offset: u64) -> StorageResult<Box<dyn Read + Send>> {
        assert_eq!(offset, 0);
        let number = self.sets.iter().position(|set| names(*set)[1] == name).unwrap();
        Ok(Box::new(Signatures::new((self.said)(number))))
    }

    fn create(&self, _: &str) -> StorageResult<Box<dyn Upload>> {
        unreachable!("nothing is stored")
    }

    fn rename(&self, _: &str, _: &str) -> StorageResult<()> {
        unreachable!("nothing is stored")
    }

    fn lock(&self, _: &str) -> StorageResult<Lock> {
        unreachable!("nothing is stored")
    }

    fn delete(&self, _: &str) -> StorageResult<()> {
        unreachable!("nothing is deleted")
    }

    fn free_bytes(&self) -> StorageResult<Option<u64>> {
        Ok(None)
    }
}
