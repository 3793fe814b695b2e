//! Files that are believed only after their hash was compared with the one in their manifest.
//!
//! A folder on this machine is read twice: once for the hash, once for what is in the file. From anywhere
//! else a file comes once, into a temporary file: what is used is what was compared, and nothing goes over
//! the line a second time.

use std::io::{self, Read, Seek, Write};

use sha1::{Digest, Sha1};
use tempfile::SpooledTempFile;

use super::{BUFFER_BYTES, Counts, Source, StoredReader, about, codec_of, hexadecimal, unreadable};
use crate::engine::crypto::Opener;
use crate::engine::error::{Damage, Error, Result};
use crate::engine::format::manifest::HashAlgorithm;
use crate::engine::job::Job;
use crate::engine::storage::{Storage, spool_folder};

/// What comes from elsewhere is kept in memory up to this size, in bytes.
const IN_MEMORY_BYTES: usize = 1 << 20;

impl StoredReader {
    /// Opens the one of several files with the same place in a set that has the hash, and tells its name.
    /// Usually there is but one; a destination may hold a second, sealed or compressed in another way. If
    /// none has it, the error is what is wrong with `name`. What is read counts as done.
    pub fn open_by_hash<'n>(
        storage: &dyn Storage,
        name: &'n str,
        others: &'n [String],
        hash: (HashAlgorithm, &str),
        opener: &Opener,
        job: &Job,
    ) -> Result<(&'n str, Self)> {
        let open = |name: &'n str| {
            let reader = open_if_hash(storage, name, hash, opener, job);
            reader.map(|reader| (name, reader)).map_err(|error| about(name, error))
        };
        let error = match open(name) {
            Err(error @ Error::Damaged { .. }) => error,
            result => return result,
        };
        for other in others {
            match open(other) {
                Err(Error::Damaged { .. }) => {}
                result => return result,
            }
        }
        Err(error)
    }
}

fn open_if_hash(
    storage: &dyn Storage,
    name: &str,
    hash: (HashAlgorithm, &str),
    opener: &Opener,
    job: &Job,
) -> Result<StoredReader> {
    let inner = storage.open(name)?;
    if storage.local_folder().is_some() {
        check_hash(Source::new(inner, Counts::FirstHalf, job), &mut io::sink(), name, hash)?;
        let again = Source::new(storage.open(name)?, Counts::SecondHalf, job);
        return StoredReader::unwrap(again, name, codec_of(name), opener);
    }
    let source = Source::new(inner, Counts::Done, job);
    let mut spool = tempfile::spooled_tempfile_in(IN_MEMORY_BYTES, spool_folder());
    check_hash(source, &mut spool, name, hash)?;
    spool.rewind().map_err(spool_failed)?;
    let source = Source::new(Box::new(Spool(spool)), Counts::Nothing, job);
    StoredReader::unwrap(source, name, codec_of(name), opener)
}

/// Reads `source` to its end, into `copy`, and compares its hash with that in the manifest.
fn check_hash(
    mut source: Source,
    copy: &mut dyn Write,
    name: &str,
    (algorithm, expected): (HashAlgorithm, &str),
) -> Result<()> {
    let mut sha1 = Sha1::new();
    let mut md5 = md5::Md5::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut is_empty = true;
    loop {
        let count = match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(unreadable(name, error)),
        };
        is_empty = false;
        let bytes = &buffer[..count];
        match algorithm {
            HashAlgorithm::Sha1 => sha1.update(bytes),
            HashAlgorithm::Md5 => md5.update(bytes),
        }
        copy.write_all(bytes).map_err(spool_failed)?;
    }
    let found = match algorithm {
        HashAlgorithm::Sha1 => hexadecimal(&sha1.finalize()),
        HashAlgorithm::Md5 => hexadecimal(&md5.finalize()),
    };
    if found == expected {
        Ok(())
    } else if is_empty {
        Err(Error::damaged(name, Damage::Empty))
    } else {
        let expected = expected.to_owned();
        Err(Error::damaged(name, Damage::HashMismatch { algorithm: algorithm.name(), expected, found }))
    }
}

pub(super) fn spool_failed(source: io::Error) -> Error {
    Error::Local { action: "keeping a stored file in a temporary one", source }
}

/// A file that was brought here. An error in reading it is this machine's, and not damage.
struct Spool(SpooledTempFile);

impl Read for Spool {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                Err(spool_failed(error).into_stream())
            }
            result => result,
        }
    }
}
