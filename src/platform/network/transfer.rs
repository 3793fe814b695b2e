//! Files on their way to and from a folder on the network, and whatever else comes piece by piece.

use std::io::{self, Read, Write};
use std::mem;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gio::prelude::*;
use gio::{Cancellable, FileCopyFlags, FileCreateFlags, IOErrorEnum};
use tempfile::NamedTempFile;

use super::place::{Place, Stop, size_of};
use crate::engine::storage::{
    StorageError, StorageErrorKind, StorageResult, UPLOAD_PREFIX, Upload, spool_folder,
};

/// What is kept in memory of a file that is to be sent, in bytes.
const IN_MEMORY_BYTES: usize = 4 << 20;

/// Bytes that are read at once.
const PART_BYTES: usize = 256 << 10;

/// Pieces that lie ready for whoever takes them.
const PIECES_AHEAD: usize = 8;

/// How long the end of an upload that nobody wants any more may take.
const TIDY_LIMIT: Duration = Duration::from_secs(5);

/// The slowest line that is waited for, in bytes a second.
const SLOWEST_BYTES_PER_SEC: u64 = 8 << 10;

type Piece<T> = Result<Option<T>, glib::Error>;

/// What a thread hands over piece by piece. It ends soon after this is dropped.
pub(super) struct Feed<T> {
    /// Ends with nothing, or with an error. A thread that just goes away has not handed over everything.
    pieces: async_channel::Receiver<Piece<T>>,
    first: Option<Piece<T>>,
    /// How often the folder had been mounted when this began.
    mount_count: u64,
    _stop: Stop,
}

/// Where a thread puts its pieces.
pub(super) struct Pieces<T>(async_channel::Sender<Piece<T>>);

impl<T> Pieces<T> {
    /// Hands over a piece. Whether anybody wants more.
    pub fn send(&self, piece: T) -> bool {
        self.0.send_blocking(Ok(Some(piece))).is_ok()
    }
}

impl<T: Send + 'static> Feed<T> {
    /// Lets a thread do its work, and waits for the first piece, for so long at most. The folder is mounted if it
    /// is not.
    pub fn begin(
        place: &Place,
        limit: Duration,
        action: &'static str,
        location: &str,
        work: impl Fn(&Cancellable, &Pieces<T>) -> Result<(), glib::Error> + Send + Sync + 'static,
    ) -> StorageResult<Self> {
        let work = Arc::new(work);
        place.mounted(action, location, || {
            let (stop, mount_count) = (Stop(Cancellable::new()), place.mount_count());
            let (sender, pieces) = async_channel::bounded(PIECES_AHEAD);
            let (work, cancellable) = (Arc::clone(&work), stop.0.clone());
            let begin = async {
                tokio::task::spawn_blocking(move || {
                    let end = work(&cancellable, &Pieces(sender.clone())).map(|()| None);
                    // Fails only when nobody wants it any more.
                    let _ = sender.send_blocking(end);
                });
                pieces.recv().await
            };
            let first = place.line().wait_at_most(limit, action, location, begin)?;
            Ok(match first {
                Ok(Err(error)) => Err(error),
                Ok(first) => Ok(Self { pieces, first: Some(first), mount_count, _stop: stop }),
                Err(_) => Err(went_away()),
            })
        })
    }

    /// The next piece, if it comes in so long; none after the last.
    pub fn next(
        &mut self,
        place: &Place,
        limit: Duration,
        action: &'static str,
        location: &str,
    ) -> StorageResult<Option<T>> {
        let piece = match self.first.take() {
            Some(first) => first,
            None => {
                let next = place.line().wait_at_most(limit, action, location, self.pieces.recv())?;
                next.unwrap_or_else(|_| Err(went_away()))
            }
        };
        piece.map_err(|error| place.failed(&error, self.mount_count, action, location))
    }
}

fn went_away() -> glib::Error {
    glib::Error::new(IOErrorEnum::Closed, "it ended before everything had come")
}

/// A file that comes.
pub(super) struct Download {
    place: Arc<Place>,
    location: String,
    feed: Option<Feed<glib::Bytes>>,
    current: glib::Bytes,
    taken: usize,
}

impl Download {
    /// Begins to read a file at `offset` bytes.
    pub fn begin(place: &Arc<Place>, name: &str, offset: u64) -> StorageResult<Self> {
        let (file, location) = (place.file(name), place.location_of(name));
        let limit = place.options().times.silence;
        let feed = Feed::begin(place, limit, "reading", &location, move |cancellable, parts| {
            read_into(&file, offset, cancellable, parts)
        })?;
        let current = glib::Bytes::from_static(b"");
        Ok(Self { place: Arc::clone(place), location, feed: Some(feed), current, taken: 0 })
    }
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let limit = self.place.options().times.silence;
        while self.taken == self.current.len() && !buffer.is_empty() {
            let Some(feed) = &mut self.feed else { return Ok(0) };
            match feed.next(&self.place, limit, "reading", &self.location)? {
                Some(part) => (self.current, self.taken) = (part, 0),
                None => self.feed = None,
            }
        }
        let rest = &self.current[self.taken..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.taken += count;
        Ok(count)
    }
}

/// Hands over a file from `offset` bytes on, until nobody wants more.
fn read_into(
    file: &gio::File,
    offset: u64,
    cancellable: &Cancellable,
    parts: &Pieces<glib::Bytes>,
) -> Result<(), glib::Error> {
    let stream = file.read(Some(cancellable))?;
    let mut to_skip = 0;
    if offset > 0 {
        // Not every server takes a place behind the end for what it is.
        if offset >= size_of(file, cancellable)? {
            return Ok(());
        }
        let place = i64::try_from(offset).unwrap_or(i64::MAX);
        match stream.seek(place, glib::SeekType::Set, Some(cancellable)) {
            Err(error) if error.matches(IOErrorEnum::NotSupported) => to_skip = offset,
            result => result?,
        }
    }
    loop {
        let part = stream.read_bytes(PART_BYTES, Some(cancellable))?;
        if part.is_empty() {
            return Ok(());
        }
        let skipped = usize::try_from(to_skip).unwrap_or(usize::MAX).min(part.len());
        to_skip -= skipped as u64;
        if skipped < part.len() && !parts.send(glib::Bytes::from_bytes(&part, skipped..part.len())) {
            return Ok(());
        }
    }
}

/// A file that goes. It is kept here until it is whole, so that it can be sent again.
pub(super) struct NetworkUpload {
    place: Arc<Place>,
    name: String,
    spool: Spool,
}

/// What was written so far.
enum Spool {
    Memory(Vec<u8>),
    /// A file with a name, which GVfs reads by itself.
    Disk(NamedTempFile, u64),
}

impl NetworkUpload {
    /// Begins a file. Nothing is sent before it is whole.
    pub fn begin(place: &Arc<Place>, name: &str) -> StorageResult<Self> {
        match place.size("writing", name) {
            Ok(_) => {
                let reason = "there is one of that name";
                let location = place.location_of(name);
                return Err(StorageError::new(StorageErrorKind::AlreadyExists, "writing", location, reason));
            }
            // Some servers say the second where the folder is yet to be made; sending tells.
            Err(error) if matches!(error.kind, StorageErrorKind::NotFound | StorageErrorKind::NotAFolder) => {
            }
            Err(error) => return Err(error),
        }
        Ok(Self { place: Arc::clone(place), name: name.to_owned(), spool: Spool::Memory(Vec::new()) })
    }
}

impl Write for NetworkUpload {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if let Spool::Memory(bytes) = &mut self.spool
            && bytes.len() + buffer.len() > IN_MEMORY_BYTES
        {
            let mut file = spool_file()?;
            file.write_all(bytes)?;
            self.spool = Spool::Disk(file, bytes.len() as u64);
        }
        match &mut self.spool {
            Spool::Memory(bytes) => {
                bytes.extend_from_slice(buffer);
                Ok(buffer.len())
            }
            Spool::Disk(file, size_bytes) => {
                let count = file.write(buffer)?;
                *size_bytes += count as u64;
                Ok(count)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A temporary file that GVfs can read by itself. In a sandbox it cannot, and is not asked to.
fn spool_file() -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(UPLOAD_PREFIX).tempfile_in(spool_folder())
}

impl Upload for NetworkUpload {
    fn finish(mut self: Box<Self>) -> StorageResult<()> {
        let content = match mem::replace(&mut self.spool, Spool::Memory(Vec::new())) {
            Spool::Memory(bytes) => Content::Memory(Arc::new(bytes)),
            Spool::Disk(file, size_bytes) => Content::Disk(Arc::new(file), size_bytes),
        };
        let own_name = format!("{UPLOAD_PREFIX}{:016x}", fastrand::u64(..));
        let backoff = self.place.options().backoff;
        let sent = backoff.run(self.place.line().job(), |attempt| {
            if attempt > 0 {
                self.place.take_back(TIDY_LIMIT, &own_name);
            }
            content.send(&self.place, &own_name)
        });
        let moved = sent.and_then(|()| {
            backoff.run(self.place.line().job(), |attempt| match self.place.rename(&own_name, &self.name) {
                // The attempt before may have done it, and only its answer was lost.
                Err(error) if attempt > 0 && error.kind == StorageErrorKind::NotFound => {
                    self.place.size("writing", &self.name).map(drop).map_err(|_| error)
                }
                result => result,
            })
        });
        if moved.is_err() {
            self.place.take_back(TIDY_LIMIT, &own_name);
        }
        moved
    }
}

/// A whole file.
#[derive(Clone)]
enum Content {
    Memory(Arc<Vec<u8>>),
    Disk(Arc<NamedTempFile>, u64),
}

impl Content {
    /// Sends it under a name of its own; makes the folder if it is missing.
    fn send(&self, place: &Place, name: &str) -> StorageResult<()> {
        match self.send_once(place, name) {
            // Servers have different words for a folder that is not there.
            Err(error) if !error.is_retryable() && !error.is_cancelled() && place.is_missing()? => {
                place.make_folder()?;
                self.send_once(place, name)
            }
            result => result,
        }
    }

    fn send_once(&self, place: &Place, name: &str) -> StorageResult<()> {
        let (content, file, location) = (self.clone(), place.file(name), place.location_of(name));
        let patience = place.options().times.silence;
        let whole = patience + Duration::from_secs(self.size_bytes() / SLOWEST_BYTES_PER_SEC);
        let mut feed = Feed::begin(place, whole, "writing", &location, move |cancellable, signs| {
            let attempt = || match &content {
                Content::Memory(bytes) => write_bytes(&file, bytes, cancellable),
                Content::Disk(spool, _) => copy_file(spool.path(), &file, cancellable, signs),
            };
            match attempt() {
                // The name is ours alone: an attempt before was cut off.
                Err(error) if error.matches(IOErrorEnum::Exists) => {
                    file.delete(Some(cancellable))?;
                    attempt()
                }
                result => result,
            }
        })?;
        // Not every program of GVfs says how far it is; of one that does, silence means something.
        let mut sign_count = 0;
        let limit = |sign_count| if sign_count > 1 { patience } else { whole };
        while feed.next(place, limit(sign_count), "writing", &location)?.is_some() {
            sign_count += 1;
        }
        match place.size("writing", name)? {
            size if size == self.size_bytes() => Ok(()),
            size => {
                let reason = format!("{size} bytes of {} are there", self.size_bytes());
                Err(StorageError::new(StorageErrorKind::Unreachable, "writing", location, reason))
            }
        }
    }

    fn size_bytes(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Disk(_, size_bytes) => *size_bytes,
        }
    }
}

/// A small file as a stream. What is written so has the time of the server.
fn write_bytes(file: &gio::File, bytes: &Arc<Vec<u8>>, cancellable: &Cancellable) -> Result<(), glib::Error> {
    let stream = file.create(FileCreateFlags::PRIVATE, Some(cancellable))?;
    let (_, error) = stream.write_all(bytes.as_slice(), Some(cancellable))?;
    match error {
        Some(error) => Err(error),
        None => stream.close(Some(cancellable)),
    }
}

/// A large file by GVfs itself: it has more than one part under way, and keeps none of it in memory.
fn copy_file(
    from: &Path,
    to: &gio::File,
    cancellable: &Cancellable,
    signs: &Pieces<()>,
) -> Result<(), glib::Error> {
    let mut show = |_, _| _ = signs.0.try_send(Ok(Some(())));
    gio::File::for_path(from).copy(to, FileCopyFlags::NONE, Some(cancellable), Some(&mut show))
}
