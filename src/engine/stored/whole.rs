//! Files that are used before their end is reached, and must be known to be whole by then.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::hashed::spool_failed;
use super::{Counts, Source, StoredReader, about, codec_of};
use crate::engine::crypto::Opener;
use crate::engine::error::Result;
use crate::engine::job::Job;
use crate::engine::storage::{Storage, spool_folder};

/// A file that was read to its end, and is as its checksums and its signature say.
#[derive(Debug)]
pub struct WholeFile {
    name: String,
    /// The file as it was then, if it is not in a folder on this machine: what is used is what was read.
    spool: Option<Arc<File>>,
}

impl WholeFile {
    /// Reads a file to its end. Fails if it is not whole.
    pub fn read(storage: &dyn Storage, name: &str, opener: &Opener, job: &Job) -> Result<Self> {
        let inner = storage.open(name).map_err(|error| about(name, error.into()))?;
        let spool = match storage.local_folder() {
            Some(_) => None,
            None => Some(Arc::new(tempfile::tempfile_in(spool_folder()).map_err(spool_failed)?)),
        };
        let inner = match &spool {
            Some(spool) => Box::new(Tee { inner, copy: Arc::clone(spool) }),
            None => inner,
        };
        let source = Source::new(inner, Counts::Stored, job);
        StoredReader::unwrap(source, name, codec_of(name), opener)?.finish()?;
        Ok(Self { name: name.to_owned(), spool })
    }

    /// Opens it again.
    pub fn open(&self, storage: &dyn Storage, opener: &Opener, job: &Job) -> Result<StoredReader> {
        let Some(spool) = &self.spool else { return StoredReader::open(storage, &self.name, opener, job) };
        let spool = SpoolReader { file: Arc::clone(spool), position: 0 };
        let source = Source::new(Box::new(spool), Counts::Nothing, job);
        StoredReader::unwrap(source, &self.name, codec_of(&self.name), opener)
    }
}

/// Keeps a copy of what is read.
struct Tee {
    inner: Box<dyn Read + Send>,
    copy: Arc<File>,
}

impl Read for Tee {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        (&*self.copy).write_all(&buffer[..count]).map_err(|error| spool_failed(error).into_stream())?;
        Ok(count)
    }
}

/// Reads a temporary file from its beginning, whoever else does. An error is this machine's, and not damage.
struct SpoolReader {
    file: Arc<File>,
    position: u64,
}

impl Read for SpoolReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match self.file.read_at(buffer, self.position) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                return Err(spool_failed(error).into_stream());
            }
            result => result?,
        };
        self.position += count as u64;
        Ok(count)
    }
}
