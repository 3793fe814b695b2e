//! Making one volume: reading files, writing the tar and, in the same pass, their signatures.
//!
//! A chunk's header is written after the chunk was read, so a file that shrinks, grows or vanishes
//! while it is read never breaks the archive.

use std::fs::File;
use std::io::{self, BufRead, Read, Seek, SeekFrom};

use nix::sys::stat::{SFlag, fstat};

use super::NewSet;
use super::plan::{Contents, Piece, VolumePlan};
use crate::engine::delta::{block_len, signature};
use crate::engine::error::{Error, Result};
use crate::engine::format::difftar::{CHUNK, Place, Record, header};
use crate::engine::format::entry::{Entry, EntryKind};
use crate::engine::format::manifest::{Boundary, HashAlgorithm, VolumeInfo};
use crate::engine::format::name::Part;
use crate::engine::format::tar;
use crate::engine::job::Warning;
use crate::engine::path::EntryPath;
use crate::engine::scan::{SourceEntry, Stamp, left_out_because, reason};
use crate::engine::stored::{StoredWriter, looks_compressible};

/// A volume that is stored.
pub struct VolumeMade {
    /// What the manifest says of it.
    pub info: VolumeInfo,
    /// The signatures of what is in it.
    pub signatures: Signatures,
    /// Entries in it; a file counts in the volume where it ends.
    pub entry_count: u64,
    /// Bytes of file contents read.
    pub source_bytes: u64,
    /// Bytes of the stored file.
    pub stored_bytes: u64,
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

/// Makes and stores a volume.
pub fn make_volume(set: &NewSet<'_>, plan: VolumePlan) -> Result<VolumeMade> {
    let mut volume = Volume {
        set,
        tar: tar::Writer::new(set.create(Part::Volume(plan.number))?),
        entry_count: 0,
        source_bytes: 0,
    };
    let (start, end, signatures) = match plan.contents {
        Contents::Entries(entries) => {
            let boundary = |entry: Option<&SourceEntry>| {
                Boundary::entry(entry.map_or_else(EntryPath::root, |entry| entry.entry.path.clone()))
            };
            let (start, end) = (boundary(entries.first()), boundary(entries.last()));
            let mut signatures = tar::Writer::new(Vec::new());
            for entry in entries {
                set.job.check()?;
                set.job.entry_started(&entry.entry.path);
                volume.entry(entry, &mut signatures)?;
                set.job.entry_done();
            }
            (start, end, Signatures::Entries(signatures.into_inner()))
        }
        Contents::Piece(piece) => {
            set.job.entry_started(&piece.file.entry.path);
            let block = |offset: u64| Some(offset / CHUNK as u64 + 1);
            let path = &piece.file.entry.path;
            let start = Boundary { path: path.clone(), block: block(piece.offset) };
            let last = (piece.offset + piece.len).saturating_sub(u64::from(!piece.is_last));
            let end = Boundary { path: path.clone(), block: block(last).filter(|_| !piece.is_last) };
            (start, end, volume.piece(piece)?)
        }
    };
    let Volume { mut tar, entry_count, source_bytes, .. } = volume;
    tar.end().map_err(|error| tar.get_mut().fail(error))?;
    let stored = set.finish(tar.into_inner())?;
    Ok(VolumeMade {
        info: VolumeInfo { number: plan.number, start, end, hash: Some((HashAlgorithm::Sha1, stored.sha1)) },
        signatures,
        entry_count,
        source_bytes,
        stored_bytes: stored.size_bytes,
    })
}

struct Volume<'a> {
    set: &'a NewSet<'a>,
    tar: tar::Writer<StoredWriter>,
    entry_count: u64,
    source_bytes: u64,
}

impl Volume<'_> {
    fn entry(&mut self, source: SourceEntry, signatures: &mut tar::Writer<Vec<u8>>) -> Result<()> {
        let (record, entry, data) = if source.entry.kind == EntryKind::File {
            let Some((entry, signature)) = self.whole_file(source)? else { return Ok(()) };
            (Record::Signature, entry, signature)
        } else {
            let header = header(Place::Volume, Record::Snapshot, &source.entry, 0);
            self.tar.entry(&header, &[]).map_err(|error| self.tar.get_mut().fail(error))?;
            (Record::Snapshot, source.entry, Vec::new())
        };
        let header = header(Place::Signatures, record, &entry, data.len() as u64);
        signatures
            .entry(&header, &data)
            .map_err(|source| Error::Local { action: "collecting signatures", source })?;
        self.entry_count += 1;
        Ok(())
    }

    /// Stores a file that fits into the volume. `None` if it is left out, with a warning.
    fn whole_file(&mut self, source: SourceEntry) -> Result<Option<(Entry, Vec<u8>)>> {
        let job = self.set.job;
        let path = source.entry.path.clone();
        let (mut file, stamp, mut entry) = match self.open(&source.entry) {
            Ok(opened) => opened,
            Err(error) => {
                job.warn(left_out_because(path, &error));
                return Ok(None);
            }
        };
        let size = entry.size_bytes.unwrap_or(0);
        let mut first = Vec::new();
        // Nothing is written of a file whose beginning cannot be read.
        if let Err(error) =
            read_up_to(&mut file, CHUNK.min(usize::try_from(size).unwrap_or(CHUNK)), &mut first)
        {
            job.warn(left_out_because(path, &error));
            return Ok(None);
        }
        let mut feed = Feed {
            volume: self,
            entry: &entry,
            file: &file,
            to_read: size - first.len() as u64,
            pads: false,
            ends: true,
            next_chunk: 1,
            chunk: first,
            taken: 0,
            state: FeedState::Prefilled,
            read_bytes: 0,
            failure: None,
        };
        let signature = signature(&mut feed, block_len(size)).map_err(stream_failure)?;
        let (read_bytes, failure) = (feed.read_bytes, feed.failure.take());
        self.source_bytes += read_bytes;
        self.tell_changes(&path, &file, stamp, failure);
        entry.size_bytes = Some(read_bytes);
        Ok(Some((entry, signature)))
    }

    /// Stores a piece of a large file. Its length is fixed by the plan, since other pieces are read at
    /// the same time: what is missing is zeros, with a warning.
    fn piece(&mut self, piece: Piece) -> Result<Signatures> {
        let job = self.set.job;
        let path = piece.file.entry.path.clone();
        let size = piece.file.entry.size_bytes.unwrap_or(0);
        let opened = self.open(&piece.file.entry).and_then(|(mut file, stamp, _)| {
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
        let mut feed = Feed {
            volume: self,
            entry: &piece.file.entry,
            file: &file,
            to_read: piece.len,
            pads: true,
            ends: piece.is_last,
            next_chunk: piece.offset / CHUNK as u64 + 1,
            chunk: Vec::new(),
            taken: 0,
            state: FeedState::More,
            read_bytes: 0,
            failure,
        };
        let signature = signature(&mut feed, block_len(size)).map_err(stream_failure)?;
        let (read_bytes, failure) = (feed.read_bytes, feed.failure.take());
        self.source_bytes += read_bytes;
        match stamp {
            Some(_) => self.tell_changes(&path, &file, piece.file.stamp, failure),
            None => job.warn(cut_short(path, failure)),
        }
        self.entry_count += u64::from(piece.is_last);
        if piece.is_last {
            job.entry_done();
        }
        Ok(Signatures::Piece { signature, file: piece.is_last.then_some(piece.file.entry) })
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

fn stream_failure(error: io::Error) -> Error {
    Error::from_stream(error, |source| Error::Local { action: "computing a signature", source })
}

/// Hands a file to librsync chunk by chunk and writes each chunk to the volume on the way.
struct Feed<'a, 'v> {
    volume: &'a mut Volume<'v>,
    entry: &'a Entry,
    file: &'a File,
    /// Bytes of the file that are still to come.
    to_read: u64,
    /// Whether what the file has too little is made up for by zeros.
    pads: bool,
    /// Whether the file ends here: then the last chunk is a short one, even if it is empty.
    ends: bool,
    next_chunk: u64,
    chunk: Vec<u8>,
    taken: usize,
    state: FeedState,
    read_bytes: u64,
    failure: Option<io::Error>,
}

#[derive(PartialEq)]
enum FeedState {
    /// The first chunk was read, but not written.
    Prefilled,
    More,
    Ended,
}

impl Feed<'_, '_> {
    fn next(&mut self) -> io::Result<()> {
        let set = self.volume.set;
        set.job.check().map_err(Error::into_stream)?;
        if self.state == FeedState::More {
            self.read_chunk();
        }
        self.taken = 0;
        self.read_bytes += self.chunk.len() as u64;
        let is_short = self.chunk.len() < CHUNK;
        let more = !is_short && (self.to_read > 0 || self.ends);
        self.state = if more { FeedState::More } else { FeedState::Ended };
        if self.chunk.is_empty() && !self.ends {
            return Ok(());
        }
        let record = if is_short && self.next_chunk == 1 {
            Record::Snapshot
        } else {
            Record::SnapshotChunk(self.next_chunk)
        };
        self.next_chunk += 1;
        let header = header(Place::Volume, record, self.entry, self.chunk.len() as u64);
        let tar = &mut self.volume.tar;
        tar.get_mut().expect_compressible(looks_compressible(&self.chunk)).map_err(Error::into_stream)?;
        tar.entry(&header, &self.chunk).map_err(|error| tar.get_mut().fail(error).into_stream())?;
        set.job.bytes_done(self.chunk.len() as u64);
        Ok(())
    }

    fn read_chunk(&mut self) {
        self.chunk.clear();
        let wanted = CHUNK.min(usize::try_from(self.to_read).unwrap_or(CHUNK));
        if self.failure.is_none()
            && let Err(error) = read_up_to(&mut &*self.file, wanted, &mut self.chunk)
        {
            self.failure = Some(error);
        }
        if self.pads {
            self.chunk.resize(wanted, 0);
        }
        self.to_read = if self.chunk.len() < wanted { 0 } else { self.to_read - wanted as u64 };
    }
}

impl Read for Feed<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Feed<'_, '_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.taken == self.chunk.len() || self.state == FeedState::Prefilled {
            if self.state == FeedState::Ended {
                return Ok(&[]);
            }
            self.next()?;
        }
        Ok(&self.chunk[self.taken..])
    }

    fn consume(&mut self, amount: usize) {
        self.taken += amount;
    }
}

/// Reads until `wanted` bytes are there or the file ends.
fn read_up_to(file: &mut impl Read, wanted: usize, chunk: &mut Vec<u8>) -> io::Result<()> {
    file.take(wanted as u64).read_to_end(chunk).map(drop)
}
