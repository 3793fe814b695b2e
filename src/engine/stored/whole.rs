//! Files that are used before their end is reached, and must be known to be whole by then.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::hashed::spool_failed;
use super::{Counts, Source, StoredReader, about, codec_of, unreadable};
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
        let spool = match storage.local_folder() {
            Some(_) => None,
            None => Some(Arc::new(fetch(storage, name, job)?)),
        };
        let file = Self { name: name.to_owned(), spool };
        file.open(storage, opener, job)?.finish()?;
        Ok(file)
    }

    /// Opens it again.
    pub fn open(&self, storage: &dyn Storage, opener: &Opener, job: &Job) -> Result<StoredReader> {
        let Some(spool) = &self.spool else { return StoredReader::open(storage, &self.name, opener, job) };
        let copy = Copy { file: Arc::clone(spool), position: 0 };
        let source = Source::new(Box::new(copy), Counts::Nothing, job);
        StoredReader::unwrap(source, &self.name, codec_of(&self.name), opener)
    }
}

fn fetch(storage: &dyn Storage, name: &str, job: &Job) -> Result<File> {
    let opened = storage.open(name).map_err(|error| about(name, error.into()))?;
    let mut spool = tempfile::tempfile_in(spool_folder()).map_err(spool_failed)?;
    let mut source = Source::new(opened, Counts::Stored, job);
    let mut buffer = vec![0; super::BUFFER_BYTES];
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return Ok(spool),
            Ok(count) => io::Write::write_all(&mut spool, &buffer[..count]).map_err(spool_failed)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(name, error)),
        }
    }
}

/// Reads a temporary file from its beginning, whoever else does. An error is this machine's, and not damage.
struct Copy {
    file: Arc<File>,
    position: u64,
}

impl Read for Copy {
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
