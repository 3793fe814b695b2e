//! Making one volume: reading files, writing the tar and, in the same pass, their signatures.
//!
//! A chunk's header is written after the chunk was read, so a file that shrinks, grows or vanishes
//! while it is read never breaks the archive.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use nix::sys::stat::{SFlag, fstat};

use super::changes::{Change, SMALL_FILE, xattrs_of};
use super::fingerprint::fingerprint;
use super::intake::{Intake, read_up_to};
use super::new_set::NewSet;
use super::plan::{Contents, Piece, VolumePlan};
use crate::engine::delta::{DeltaPart, block_len, copying_delta, delta};
use crate::engine::error::{Error, Result};
use crate::engine::format::difftar::{CHUNK, Place, Record, header};
use crate::engine::format::entry::{Entry, EntryKind, Xattrs};
use crate::engine::format::manifest::{Boundary, HashAlgorithm, VolumeInfo};
use crate::engine::format::name::Part;
use crate::engine::format::tar;
use crate::engine::job::Warning;
use crate::engine::path::EntryPath;
use crate::engine::scan::{SourceEntry, Stamp, extras_of, left_out_because, reason, xattrs};
use crate::engine::stored::{StoredWriter, looks_compressible};

/// A volume that is stored.
pub struct VolumeMade {
    /// What the manifest says of it.
    pub info: VolumeInfo,
    /// The signatures of what is in it.
    pub signatures: Signatures,
    /// What is in it; a file counts in the volume where it ends.
    pub counts: Counts,
    /// Bytes of the stored file.
    pub stored_bytes: u64,
}

/// How much is in a set or a volume.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Entries stored as a whole or as a difference.
    pub entry_count: u64,
    /// Of these, files stored as a difference to an earlier state.
    pub delta_count: u64,
    /// Paths recorded to be gone.
    pub deleted_count: u64,
    /// Bytes of file contents read.
    pub source_bytes: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.entry_count += other.entry_count;
        self.delta_count += other.delta_count;
        self.deleted_count += other.deleted_count;
        self.source_bytes += other.source_bytes;
    }
}

/// The signatures that belong to a volume.
pub enum Signatures {
    /// Tar blocks without an end.
    Entries(Vec<u8>),
    /// The signature of a piece of a file; with its last piece comes the file's entry.
    Piece {
        /// The signature, with its head.
        signature: Vec<u8>,
        /// The file, once it is whole.
        file: Option<Entry>,
    },
}

/// Makes and stores a volume, unless an interrupted run has done that already. Then its entries are only
/// read for their signatures.
pub fn make_volume(set: &NewSet<'_>, plan: VolumePlan) -> Result<VolumeMade> {
    let fingerprint = fingerprint(&plan, set.request.protection);
    let number = plan.number;
    let finished = set.finished_before(number, &fingerprint);
    let writer = match &finished {
        Some(_) => StoredWriter::nowhere(),
        None => set.create(Part::Volume(number))?,
    };
    let warnings_before = set.job.warning_count();
    let (writer, mut made) = fill_volume(set, plan, writer)?;
    let stored = match finished {
        Some(stored) => stored,
        // What came of a file that changed meanwhile is not what a later run would make.
        None if set.job.warning_count() > warnings_before => set.finish_volume(writer, number, None)?,
        None => set.finish_volume(writer, number, Some(fingerprint))?,
    };
    made.stored_bytes = stored.size_bytes;
    made.info.hash = Some((HashAlgorithm::Sha1, stored.sha1));
    Ok(made)
}

/// Writes what is planned for a volume, which is to be finished then. Its hash and size are still to come.
fn fill_volume(
    set: &NewSet<'_>,
    plan: VolumePlan,
    writer: StoredWriter,
) -> Result<(StoredWriter, VolumeMade)> {
    let tar = tar::Writer::new(writer);
    let mut volume = Volume { set, tar, chunk: Vec::new(), counts: Counts::default() };
    let (start, end, signatures) = match plan.contents {
        Contents::Entries(changes) => {
            let boundary = |change: Option<&Change>| {
                Boundary::entry(change.map_or_else(EntryPath::root, |change| change.path().clone()))
            };
            let (start, end) = (boundary(changes.first()), boundary(changes.last()));
            let mut signatures = tar::Writer::new(Vec::new());
            for change in changes {
                set.job.check()?;
                set.job.entry_started(change.path());
                let is_of_file = change.is_of_file();
                volume.change(change, &mut signatures)?;
                if is_of_file {
                    set.job.entry_done();
                }
            }
            (start, end, Signatures::Entries(signatures.into_inner()))
        }
        Contents::Piece(piece) => {
            set.job.entry_started(&piece.file.entry.path);
            let path = piece.file.entry.path.clone();
            let (is_last, first) = (piece.is_last, first_chunk(&piece));
            let (signatures, next) = volume.piece(piece)?;
            // Of a file's last chunk duplicity writes no number.
            let last = (next - 1).max(first);
            let end = Boundary { path: path.clone(), block: (!is_last).then_some(last) };
            (Boundary { path, block: Some(first) }, end, signatures)
        }
    };
    let Volume { mut tar, counts, .. } = volume;
    tar.end().map_err(|error| tar.get_mut().fail(error))?;
    let info = VolumeInfo { number: plan.number, start, end, hash: None };
    Ok((tar.into_inner(), VolumeMade { info, signatures, counts, stored_bytes: 0 }))
}

/// The number of a piece's first chunk. How many chunks the delta of an earlier piece has is not known
/// while pieces are made side by side, so numbers leave room for the most there can be: a delta of
/// which nothing is known already is a little larger than its file. Readers take the chunks as they come.
fn first_chunk(piece: &Piece) -> u64 {
    let before = piece.offset / CHUNK as u64;
    if piece.basis.is_some() { before * 2 + 1 } else { before + 1 }
}

struct Volume<'a> {
    set: &'a NewSet<'a>,
    tar: tar::Writer<StoredWriter>,
    /// The chunk that is being written; kept for its memory.
    chunk: Vec<u8>,
    counts: Counts,
}

/// How the contents of a file are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum As {
    Snapshot,
    Diff,
}

/// The chunks of a file that a volume holds.
struct Run {
    /// Number of the first one.
    first: u64,
    /// Whether the file ends with the run: then its last chunk is a short one, even if it is empty.
    ends: bool,
}

const WHOLE_FILE: Run = Run { first: 1, ends: true };

impl Volume<'_> {
    fn change(&mut self, change: Change, signatures: &mut tar::Writer<Vec<u8>>) -> Result<()> {
        let (source, basis) = match change {
            Change::Deleted(path) => {
                let gone = Entry::gone(path);
                self.header_only(Record::Deleted, &gone)?;
                self.counts.deleted_count += 1;
                return self.sign(signatures, Record::Deleted, &gone, &[]);
            }
            Change::Attributes(mut source, signature) => {
                let found = xattrs_of(self.set.tree, &source.entry);
                self.keep_xattrs(&mut source.entry, found);
                let delta = copying_delta(source.entry.size_bytes.unwrap_or(0));
                self.put(As::Diff, &source.entry, WHOLE_FILE, &mut &delta[..])?;
                self.set.job.bytes_done(source.entry.size_bytes.unwrap_or(0));
                self.count(As::Diff);
                return self.sign(signatures, Record::Signature, &source.entry, &signature);
            }
            Change::Whole(mut source) if source.entry.kind != EntryKind::File => {
                let found = xattrs_of(self.set.tree, &source.entry);
                self.keep_xattrs(&mut source.entry, found);
                self.header_only(Record::Snapshot, &source.entry)?;
                self.count(As::Snapshot);
                return self.sign(signatures, Record::Snapshot, &source.entry, &[]);
            }
            Change::Whole(source) => (source, None),
            Change::Delta(source, basis) => (source, Some(basis)),
        };
        match self.whole_file(source, basis.as_deref())? {
            Some((entry, signature)) => self.sign(signatures, Record::Signature, &entry, &signature),
            None => Ok(()),
        }
    }

    fn header_only(&mut self, record: Record, entry: &Entry) -> Result<()> {
        let header = header(Place::Volume, record, entry, 0);
        self.tar.entry(&header, &[]).map_err(|error| self.tar.get_mut().fail(error))
    }

    fn sign(
        &self,
        signatures: &mut tar::Writer<Vec<u8>>,
        record: Record,
        entry: &Entry,
        signature: &[u8],
    ) -> Result<()> {
        signatures
            .entry(&header(Place::Signatures, record, entry, signature.len() as u64), signature)
            .map_err(|source| Error::Local { action: "collecting signatures", source })
    }

    fn count(&mut self, stored: As) {
        self.counts.entry_count += 1;
        self.counts.delta_count += u64::from(stored == As::Diff);
    }

    /// Stores a file that fits into the volume. `None` if it is left out, with a warning.
    fn whole_file(&mut self, source: SourceEntry, basis: Option<&[u8]>) -> Result<Option<(Entry, Vec<u8>)>> {
        let job = self.set.job;
        let path = source.entry.path.clone();
        let (file, stamp, mut entry) = match self.open(&source.entry) {
            Ok(opened) => opened,
            Err(error) => {
                job.warn(left_out_because(path, &error));
                return Ok(None);
            }
        };
        self.keep_xattrs(&mut entry, xattrs(&file));
        let size = entry.size_bytes.unwrap_or(0);
        let mut intake = Intake::new(job, &file, size, block_len(size)).map_err(reading)?;
        // Nothing is written of a file whose beginning cannot be read.
        if let Some(error) = intake.begin().map_err(reading)? {
            job.warn(left_out_because(path, &error));
            return Ok(None);
        }
        let stored = match basis {
            None => self.put(As::Snapshot, &entry, WHOLE_FILE, &mut intake).map(|_| As::Snapshot),
            Some(basis) if size <= SMALL_FILE => self.put_smaller(&entry, basis, &mut intake),
            Some(basis) => {
                let mut delta = delta(&mut intake, basis).map_err(reading)?;
                self.put(As::Diff, &entry, WHOLE_FILE, &mut delta).map(|_| As::Diff)
            }
        }?;
        let (signature, read_bytes, failure) = intake.finish().map_err(reading)?;
        self.counts.source_bytes += read_bytes;
        self.count(stored);
        self.tell_changes(&path, &file, stamp, failure);
        entry.size_bytes = Some(read_bytes);
        Ok(Some((entry, signature)))
    }

    /// Stores a small file as a difference to `basis` or as a whole, whichever takes less.
    fn put_smaller(&mut self, entry: &Entry, basis: &[u8], intake: &mut Intake<'_>) -> Result<As> {
        let (mut whole, mut difference) = (Vec::new(), Vec::new());
        intake.read_to_end(&mut whole).map_err(reading)?;
        delta(&whole[..], basis).and_then(|mut delta| delta.read_to_end(&mut difference)).map_err(reading)?;
        let (stored, data) =
            if difference.len() < whole.len() { (As::Diff, &difference) } else { (As::Snapshot, &whole) };
        self.put(stored, entry, WHOLE_FILE, &mut &data[..])?;
        Ok(stored)
    }

    /// Stores a piece of a large file, and tells the number of the chunk that comes after it. Its length
    /// is fixed by the plan, since other pieces are read at the same time: what is missing is zeros,
    /// with a warning.
    fn piece(&mut self, mut piece: Piece) -> Result<(Signatures, u64)> {
        let job = self.set.job;
        // Its header stands with the first piece, its signature comes with the last.
        if piece.offset == 0 || piece.is_last {
            let found = xattrs_of(self.set.tree, &piece.file.entry);
            self.keep_xattrs(&mut piece.file.entry, found);
        }
        let entry = &piece.file.entry;
        let size = entry.size_bytes.unwrap_or(0);
        let opened = self.open(entry).and_then(|(mut file, stamp, _)| {
            file.seek(SeekFrom::Start(piece.offset))?;
            Ok((file, stamp))
        });
        let (file, stamp, failure) = match opened {
            Ok((file, stamp)) => (file, Some(stamp), None),
            // The pieces before are stored already, so this one has to be something.
            Err(error) => {
                let nothing =
                    File::open("/dev/null").map_err(|source| Error::Local { action: "reading", source })?;
                (nothing, None, Some(error))
            }
        };
        let mut intake =
            Intake::new(job, &file, piece.len, block_len(size)).map_err(reading)?.padded(failure);
        let run = Run { first: first_chunk(&piece), ends: piece.is_last };
        let (stored, next) = match &piece.basis {
            None => (As::Snapshot, self.put(As::Snapshot, entry, run, &mut intake)?),
            Some(basis) => {
                let delta = delta(&mut intake, basis).map_err(reading)?;
                let mut part = DeltaPart::new(delta, piece.offset == 0, piece.is_last);
                (As::Diff, self.put(As::Diff, entry, run, &mut part)?)
            }
        };
        let (signature, read_bytes, failure) = intake.finish().map_err(reading)?;
        self.counts.source_bytes += read_bytes;
        match stamp {
            Some(_) => self.tell_changes(&entry.path, &file, piece.file.stamp, failure),
            None => job.warn(cut_short(entry.path.clone(), failure)),
        }
        if piece.is_last {
            self.count(stored);
            job.entry_done();
        }
        let file = piece.is_last.then_some(piece.file.entry);
        Ok((Signatures::Piece { signature, file }, next))
    }

    /// Writes `data` in chunks, and tells the number of the chunk that comes after them.
    fn put(&mut self, stored: As, entry: &Entry, run: Run, data: &mut impl Read) -> Result<u64> {
        let mut number = run.first;
        loop {
            self.chunk.clear();
            read_up_to(data, CHUNK, &mut self.chunk).map_err(reading)?;
            let is_short = self.chunk.len() < CHUNK;
            if self.chunk.is_empty() && !run.ends {
                return Ok(number);
            }
            let is_whole = is_short && run.ends && number == 1;
            let record = match (stored, is_whole) {
                (As::Snapshot, true) => Record::Snapshot,
                (As::Snapshot, false) => Record::SnapshotChunk(number),
                (As::Diff, true) => Record::Diff,
                (As::Diff, false) => Record::DiffChunk(number),
            };
            let header = header(Place::Volume, record, entry, self.chunk.len() as u64);
            self.tar.get_mut().expect_compressible(looks_compressible(&self.chunk))?;
            self.tar.entry(&header, &self.chunk).map_err(|error| self.tar.get_mut().fail(error))?;
            number += 1;
            if is_short {
                return Ok(number);
            }
        }
    }

    /// Notes the extended attributes; without them the rest of the entry is still worth keeping.
    fn keep_xattrs(&self, entry: &mut Entry, found: io::Result<Xattrs>) {
        match (found, &mut entry.extras) {
            (Ok(found), Some(extras)) => extras.xattrs = found,
            // Whoever reads the contents tells of a file that is gone or closed.
            (Err(error), _)
                if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) =>
            {
                let reason = format!("its extended attributes are left out: {}", reason(&error));
                self.set.job.warn(Warning::AttributesLeftOut { path: entry.path.clone(), reason });
            }
            _ => {}
        }
    }

    /// Opens a regular file and takes its attributes as they are now.
    fn open(&self, found: &Entry) -> io::Result<(File, Stamp, Entry)> {
        let file = self.set.tree.open_file(&found.path)?;
        let stat = fstat(&file)?;
        if stat.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFREG.bits() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let mut entry = found.clone();
        entry.mode = stat.st_mode & 0o7777;
        entry.mtime = stat.st_mtime;
        entry.extras = Some(Box::new(extras_of(true, &stat)));
        entry.size_bytes = Some(u64::try_from(stat.st_size).unwrap_or(0));
        if (entry.uid, entry.gid) != (stat.st_uid, stat.st_gid) {
            (entry.uid, entry.gid) = (stat.st_uid, stat.st_gid);
            (entry.user, entry.group) = (None, None);
        }
        Ok((file, Stamp::of(&stat), entry))
    }

    fn tell_changes(&self, path: &EntryPath, file: &File, before: Stamp, failure: Option<io::Error>) {
        let path = path.clone();
        if failure.is_some() {
            self.set.job.warn(cut_short(path, failure));
        } else if fstat(file).is_ok_and(|stat| Stamp::of(&stat) != before) {
            self.set.job.warn(Warning::ChangedWhileRead { path });
        }
    }
}

fn cut_short(path: EntryPath, failure: Option<io::Error>) -> Warning {
    Warning::CutShort { path, reason: failure.as_ref().map_or_else(String::new, reason) }
}

/// The error of a stream that is not the file's own, which the intake keeps to itself.
fn reading(error: io::Error) -> Error {
    Error::from_stream(error, |source| Error::Local { action: "computing a signature", source })
}
