//! What has changed since the last set: the walk and what the chain knows, side by side.
//!
//! Both come in the order of the format, so one look at each entry is enough and memory does not grow
//! with the tree.

use std::fs::File;
use std::io::{self, Read};
use std::iter::Peekable;
use std::os::unix::fs::FileExt;

use super::Compare;
use crate::engine::delta::{block_len_of, delta, is_signature_of};
use crate::engine::error::{Error, Result};
use crate::engine::format::entry::{Entry, EntryKind, Xattrs};
use crate::engine::job::{Job, Warning};
use crate::engine::known::KnownTree;
use crate::engine::path::EntryPath;
use crate::engine::scan::{Found, Selection, SourceEntry, Tree, Walk, xattrs};

/// What a set says of one path.
#[derive(Debug, Clone)]
pub enum Change {
    /// The whole of it.
    Whole(SourceEntry),
    /// The difference of a regular file to the state that this signature was made of.
    Delta(SourceEntry, Vec<u8>),
    /// Attributes of a regular file whose contents, which have this signature, are the same.
    Attributes(SourceEntry, Vec<u8>),
    /// It is gone.
    Deleted(EntryPath),
}

impl Change {
    /// Whether it is of a file that is there, or of what else there is that is no folder. People count files.
    pub fn is_of_file(&self) -> bool {
        match self {
            Self::Whole(source) | Self::Delta(source, _) | Self::Attributes(source, _) => {
                source.entry.kind != EntryKind::Directory
            }
            Self::Deleted(_) => false,
        }
    }

    /// The path it is about.
    pub fn path(&self) -> &EntryPath {
        match self {
            Self::Whole(source) | Self::Delta(source, _) | Self::Attributes(source, _) => &source.entry.path,
            Self::Deleted(path) => path,
        }
    }
}

/// Up to this size in bytes, both the delta and the whole of a file are made and the smaller one is
/// stored. Larger files are probed.
pub const SMALL_FILE: u64 = 512 * 1024;

/// Bytes that are tried at each of three places of a large file.
const PROBE_BYTES: usize = 128 * 1024;

/// Folders of a plan that should be there but are not: what was known of them stays as it is.
#[derive(Debug, Clone)]
pub struct Absent<'a> {
    folders: Vec<EntryPath>,
    selection: Option<&'a Selection>,
}

impl<'a> Absent<'a> {
    /// Nothing is.
    pub fn nothing() -> Self {
        Self { folders: Vec::new(), selection: None }
    }

    /// Looks which folders are, and warns of them.
    pub fn look(selection: &'a Selection, tree: &Tree, job: &Job) -> Self {
        let folders = selection.missing_folders(tree);
        for path in &folders {
            job.warn(Warning::FolderMissing { path: path.clone() });
        }
        Self { folders, selection: Some(selection) }
    }

    /// Takes note of one that went away since, and warns of it.
    fn take(&mut self, path: EntryPath, job: &Job) {
        if !self.folders.iter().any(|folder| folder.starts_with(&path)) {
            job.warn(Warning::FolderMissing { path: path.clone() });
            self.folders.push(path);
        }
    }

    /// Whether a known path that was not found may belong to one of them. Where a link is missing nobody knows what it
    /// led to, so then that is everything that no folder of the plan holds.
    fn keeps(&self, path: &EntryPath) -> bool {
        let may_be_behind_link = || self.selection.is_some_and(|selection| !selection.reaches(path));
        !self.folders.is_empty()
            && (self.folders.iter().any(|folder| path.starts_with(folder) || folder.starts_with(path))
                || may_be_behind_link())
    }
}

/// Iterates over what a set has to say, in the order of the format.
pub struct Changes<'a> {
    tree: &'a Tree,
    walk: Peekable<Walk<'a>>,
    known: KnownTree,
    compare: Compare,
    absent: Absent<'a>,
    /// What is known at and below this path stays as it is.
    unknown: Option<EntryPath>,
    /// Whether a full set is made: then everything is new.
    is_full: bool,
    /// Whether large files that a delta would not make smaller are told as new ones.
    probes: bool,
    job: &'a Job,
}

impl<'a> Changes<'a> {
    /// Everything the walk finds, as for a full set.
    pub fn everything(tree: &'a Tree, walk: Walk<'a>, absent: Absent<'a>, job: &'a Job) -> Self {
        Self {
            tree,
            walk: walk.peekable(),
            known: KnownTree::empty(),
            compare: Compare::Attributes,
            absent,
            unknown: None,
            is_full: true,
            probes: false,
            job,
        }
    }

    /// What the walk finds to be different from `known`.
    pub fn since(
        tree: &'a Tree,
        walk: Walk<'a>,
        known: KnownTree,
        absent: Absent<'a>,
        compare: Compare,
        job: &'a Job,
    ) -> Self {
        let (walk, is_full, probes) = (walk.peekable(), false, true);
        Self { tree, walk, known, compare, absent, unknown: None, is_full, probes, job }
    }

    /// The same for who wants to know what differs, and makes no delta.
    pub fn without_probing(self) -> Self {
        Self { probes: false, ..self }
    }

    /// Whether there is anything beside the root.
    pub fn finds_something(walk: Walk<'_>) -> Result<bool> {
        let entries = walk.filter(|found| !matches!(found, Ok(Found::Unknown(_) | Found::Missing(_))));
        let first: Vec<_> = entries.take(2).collect::<Result<_>>()?;
        Ok(first.len() == 2)
    }

    fn step(&mut self) -> Result<Option<Change>> {
        loop {
            while let Some(Ok(Found::Missing(path))) =
                self.walk.next_if(|found| matches!(found, Ok(Found::Missing(_))))
            {
                self.absent.take(path, self.job);
            }
            let found = match self.walk.peek() {
                Some(Ok(found)) => Some(found),
                Some(Err(_)) => return self.walk.next().transpose().map(|_| None),
                None => None,
            };
            let known = self.known.peek()?;
            let found_path = found.map(|found| match found {
                Found::Entry(source) => &source.entry.path,
                Found::Unknown(path) | Found::Missing(path) => path,
            });
            let is_known_first = match (found_path, known) {
                (None, None) => return Ok(None),
                (Some(found), Some(known)) => known.path < *found,
                (found, _) => found.is_none(),
            };
            if is_known_first {
                let Some(known) = self.known.take()? else { continue };
                if !self.stays(&known.path) {
                    return Ok(Some(Change::Deleted(known.path)));
                }
                continue;
            }
            match self.walk.next().transpose()? {
                Some(Found::Entry(source)) => {
                    if let Some(change) = self.compare(source)? {
                        return Ok(Some(change));
                    }
                }
                Some(Found::Unknown(path)) => self.unknown = Some(path),
                Some(Found::Missing(_)) | None => {}
            }
        }
    }

    /// Whether a known path that was not found is to stay as it is, since nobody can tell.
    fn stays(&self, path: &EntryPath) -> bool {
        let is_unknown = self.unknown.as_ref().is_some_and(|unknown| path.starts_with(unknown));
        is_unknown || self.absent.keeps(path)
    }

    /// What the set has to say of an entry, in front of which nothing is left of what is known.
    fn compare(&mut self, source: SourceEntry) -> Result<Option<Change>> {
        if self.is_full {
            return Ok(Some(Change::Whole(source)));
        }
        let known = self.known.peek()?.filter(|known| known.path == source.entry.path).cloned();
        let Some(known) = known else { return Ok(Some(Change::Whole(source))) };
        let change = self.change(source, &known)?;
        self.known.take()?;
        Ok(change)
    }

    fn change(&mut self, source: SourceEntry, known: &Entry) -> Result<Option<Change>> {
        let entry = &source.entry;
        if entry.kind != EntryKind::File || known.kind != EntryKind::File {
            return Ok(if self.is_same_other(entry, known) {
                self.unchanged(entry)
            } else {
                Some(Change::Whole(source))
            });
        }
        let has_same_size = known.size_bytes.is_none_or(|size| entry.size_bytes == Some(size));
        let looks_same = has_same_size && entry.has_time_of(known);
        let has_same_attributes = entry.has_attributes_of(known);
        let is_untouched = looks_same && has_same_attributes && !is_touched(entry, known);
        if is_untouched && self.compare == Compare::Attributes {
            return Ok(self.unchanged(entry));
        }
        let Some(signature) = self.known.signature()? else { return Ok(Some(Change::Whole(source))) };
        // If something else explains why the inode has changed, size and time are believed.
        let is_explained = !has_same_attributes || self.has_other_extras(entry, known);
        let has_same_contents = if self.compare == Compare::Attributes
            && looks_same
            && known.size_bytes.is_some()
            && is_explained
        {
            true
        } else if self.compare == Compare::Contents || looks_same {
            // A file that cannot be read is met again, and warned of, by whoever stores it; what cannot be
            // compared is stored as a difference.
            self.has_signature(entry, &signature).unwrap_or(false)
        } else {
            false
        };
        if has_same_contents {
            return Ok(if is_untouched {
                self.unchanged(entry)
            } else {
                Some(Change::Attributes(source, signature))
            });
        }
        let size = entry.size_bytes.unwrap_or(0);
        if self.probes && size > SMALL_FILE && !self.is_worth_a_delta(entry, &signature).unwrap_or(false) {
            return Ok(Some(Change::Whole(source)));
        }
        Ok(Some(Change::Delta(source, signature)))
    }

    /// Whether what is no regular file, now or before, is the same.
    fn is_same_other(&self, entry: &Entry, known: &Entry) -> bool {
        match (&entry.kind, &known.kind) {
            // Times of links are not compared: duplicity does not restore them.
            (EntryKind::Symlink(target), EntryKind::Symlink(known_target)) => {
                target == known_target && (entry.uid, entry.gid) == (known.uid, known.gid)
            }
            (EntryKind::Directory, EntryKind::Directory) => {
                let may_have_other_extras = is_touched(entry, known);
                entry.has_attributes_of(known)
                    && !(may_have_other_extras && self.has_other_extras(entry, known))
            }
            (kind, known_kind) => kind == known_kind && entry.has_attributes_of(known),
        }
    }

    /// Whether the names or the extended attributes of an entry are others than those that are known. False
    /// if nobody can tell, since duplicity made the set.
    fn has_other_extras(&self, entry: &Entry, known: &Entry) -> bool {
        if known.extras.is_none() {
            return false;
        }
        let found = xattrs_of(self.tree, entry).unwrap_or_default();
        entry.hard_link() != known.hard_link() || found != known.xattrs()
    }

    fn unchanged(&self, entry: &Entry) -> Option<Change> {
        if entry.kind != EntryKind::Directory {
            self.job.entry_done();
        }
        self.job.bytes_done(entry.size_bytes.unwrap_or(0));
        None
    }

    /// Whether the file has the contents that the signature was made of.
    fn has_signature(&self, entry: &Entry, signature: &[u8]) -> io::Result<bool> {
        let mut file = self.tree.open_file(&entry.path)?;
        is_signature_of(signature, |buffer| {
            self.job.check().map_err(Error::into_stream)?;
            file.read(buffer)
        })
    }

    /// Whether a delta of a large file is likely to be smaller than the file: finding out that nothing of
    /// it is known already takes much longer than storing it.
    fn is_worth_a_delta(&self, entry: &Entry, signature: &[u8]) -> io::Result<bool> {
        let file = self.tree.open_file(&entry.path)?;
        let size = entry.size_bytes.unwrap_or(0);
        let last = size.saturating_sub(PROBE_BYTES as u64);
        let block_len = block_len_of(signature).unwrap_or(0);
        // A place must hold at least two blocks to have one that begins where a block began.
        let probe_bytes = PROBE_BYTES.max(usize::try_from(block_len * 3).unwrap_or(usize::MAX));
        for place in [0, last / 2, last] {
            let probe = read_at(&file, place, probe_bytes)?;
            let mut difference = delta(&probe[..], signature)?;
            let delta_bytes = io::copy(&mut difference, &mut io::sink())?;
            if delta_bytes < probe.len() as u64 * 9 / 10 {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether the inode has changed since the set, or is another one. False if nobody can tell.
fn is_touched(entry: &Entry, known: &Entry) -> bool {
    let touched = |entry: &Entry| entry.extras.as_ref().and_then(|extras| extras.touched);
    matches!((touched(entry), touched(known)), (Some(now), Some(then)) if now != then)
}

/// The extended attributes of a file or folder of the tree; of other entries none are kept.
pub fn xattrs_of(tree: &Tree, entry: &Entry) -> io::Result<Xattrs> {
    match entry.kind {
        EntryKind::File => xattrs(&tree.open_file(&entry.path)?),
        EntryKind::Directory => xattrs(&File::from(tree.open_folder(&entry.path)?)),
        _ => Ok(Xattrs::new()),
    }
}

fn read_at(file: &File, place: u64, wanted: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; wanted];
    let mut filled = 0;
    while filled < wanted {
        match file.read_at(&mut bytes[filled..], place + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

impl Iterator for Changes<'_> {
    type Item = Result<Change>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}
