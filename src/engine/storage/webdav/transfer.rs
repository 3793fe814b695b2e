//! Files on their way to and from a server.

use std::io::{self, Read, Seek, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures_util::stream;
use reqwest::{Body, Response, StatusCode, header};
use tempfile::SpooledTempFile;

use super::place::Place;
use crate::engine::storage::{
    StorageError, StorageErrorKind, StorageResult, UPLOAD_PREFIX, Upload, spool_folder,
};

/// What is kept in memory of a file that is to be sent, in bytes.
const IN_MEMORY_BYTES: usize = 4 << 20;

/// Bytes that are handed over at once.
const PART_BYTES: usize = 256 << 10;

/// How long the end of an upload that nobody wants any more may take.
const TIDY_LIMIT: Duration = Duration::from_secs(20);

/// A file that comes.
pub(super) struct Download {
    place: Arc<Place>,
    location: String,
    answer: Option<Response>,
    current: Bytes,
}

impl Download {
    /// Begins to read a file at `offset` bytes.
    pub fn begin(place: &Arc<Place>, name: &str, offset: u64) -> StorageResult<Self> {
        let location = place.location_of(name);
        let url = place.url(name);
        let request = || {
            let request = place.request("GET", url.clone());
            if offset == 0 { request } else { request.header(header::RANGE, format!("bytes={offset}-")) }
        };
        let mut download = Self { place: Arc::clone(place), location, answer: None, current: Bytes::new() };
        let answer = place.send("reading", &download.location, 0, request)?;
        let mut to_skip = match answer.status() {
            // At its end or behind it.
            StatusCode::RANGE_NOT_SATISFIABLE => return Ok(download),
            StatusCode::PARTIAL_CONTENT => 0,
            // A server need not know ranges, and then sends everything.
            _ => offset,
        };
        download.answer = Some(answer);
        while to_skip > 0 && download.fill()? {
            let count = download.current.len().min(usize::try_from(to_skip).unwrap_or(usize::MAX));
            download.current.advance(count);
            to_skip -= count as u64;
        }
        Ok(download)
    }

    /// Gets the next part. Whether there is one.
    fn fill(&mut self) -> StorageResult<bool> {
        let Some(answer) = &mut self.answer else { return Ok(false) };
        match self.place.next_part(answer, "reading", &self.location)? {
            Some(part) => self.current = part,
            None => self.answer = None,
        }
        Ok(self.answer.is_some())
    }
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !buffer.is_empty() {
            if !self.fill()? {
                return Ok(0);
            }
        }
        let count = self.current.len().min(buffer.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

/// A file that goes. It is kept here until it is whole, since many servers want to know beforehand how long
/// it is, and so it can be sent again.
pub(super) struct DavUpload {
    place: Arc<Place>,
    name: String,
    spool: SpooledTempFile,
    size_bytes: u64,
}

impl DavUpload {
    /// Begins a file. Nothing is sent before it is whole.
    pub fn begin(place: &Arc<Place>, name: &str) -> StorageResult<Self> {
        match place.modified(name) {
            Ok(_) => {
                let reason = "there is one of that name";
                let location = place.location_of(name);
                return Err(StorageError::new(StorageErrorKind::AlreadyExists, "writing", location, reason));
            }
            Err(error) if error.kind == StorageErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let spool = tempfile::spooled_tempfile_in(IN_MEMORY_BYTES, spool_folder());
        Ok(Self { place: Arc::clone(place), name: name.to_owned(), spool, size_bytes: 0 })
    }

    /// Sends the file under a name of its own.
    fn send(&self, name: &str, file: &Arc<Mutex<SpooledTempFile>>) -> StorageResult<()> {
        let url = self.place.url(name);
        let request = || {
            let request = self.place.request("PUT", url.clone());
            request.header(header::CONTENT_LENGTH, self.size_bytes).body(body(Arc::clone(file)))
        };
        let location = self.place.location_of(name);
        match self.place.send("writing", &location, self.size_bytes, request) {
            Err(error) if error.kind == StorageErrorKind::NotFound => {
                self.place.make_folder()?;
                self.place.send("writing", &location, self.size_bytes, request).map(drop)
            }
            result => result.map(drop),
        }
    }
}

/// The file from its beginning on, part by part.
fn body(file: Arc<Mutex<SpooledTempFile>>) -> Body {
    let parts = stream::unfold((file, 0_u64), |(file, offset)| async move {
        let part = {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            let mut part = vec![0; PART_BYTES];
            let read = file.seek(io::SeekFrom::Start(offset)).and_then(|_| file.read(&mut part));
            read.map(|count| {
                part.truncate(count);
                Bytes::from(part)
            })
        };
        match part {
            Ok(part) if part.is_empty() => None,
            Ok(part) => {
                let end = offset + part.len() as u64;
                Some((Ok(part), (file, end)))
            }
            Err(error) => Some((Err(error), (file, offset))),
        }
    });
    Body::wrap_stream(parts)
}

impl Write for DavUpload {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = self.spool.write(buffer)?;
        self.size_bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.spool.flush()
    }
}

impl Upload for DavUpload {
    fn finish(mut self: Box<Self>) -> StorageResult<()> {
        let spool = std::mem::replace(&mut self.spool, SpooledTempFile::new(0));
        let file = Arc::new(Mutex::new(spool));
        let own_name = format!("{UPLOAD_PREFIX}{:016x}", fastrand::u64(..));
        let backoff = self.place.options().backoff;
        let sent = backoff.run(self.place.job(), |_| self.send(&own_name, &file));
        let moved = sent.and_then(|()| {
            backoff.run(self.place.job(), |attempt| match self.place.rename(&own_name, &self.name) {
                // The attempt before may have done it, and only its answer was lost.
                Err(error) if attempt > 0 && error.kind == StorageErrorKind::NotFound => {
                    self.place.modified(&self.name).map(drop).map_err(|_| error)
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
