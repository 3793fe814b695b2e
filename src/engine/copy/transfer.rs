//! One stored file on its way from one place to another: its bytes are not changed, and their hash is known at
//! the end.

use std::io::{self, Read, Write};

use sha1::{Digest, Sha1};

use crate::engine::crypto::CryptoError;
use crate::engine::error::{Damage, Error, Fault, Result};
use crate::engine::format::manifest::HashAlgorithm;
use crate::engine::job::Job;
use crate::engine::storage::{Storage, StorageError, StorageErrorKind, StoredFile};
use crate::engine::stored::{BUFFER_BYTES, about, hexadecimal, unreadable};

/// What a manifest says of a volume.
pub(super) type Hash = (HashAlgorithm, String);

/// Why a file is not at the other place.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Something is wrong with the file: other sets may still be copied.
    File {
        /// Its name.
        name: String,
        /// What is wrong.
        reason: String,
        /// How it is damaged where it comes from; none if it is not.
        fault: Option<Fault>,
    },
    /// Something is wrong with more than the file.
    All(Error),
}

impl Trouble {
    fn damaged(name: &str, error: &Error) -> Self {
        Self::File { name: name.to_owned(), reason: error.to_string(), fault: Some(error.into()) }
    }

    /// The file is not like that at the other place.
    pub fn conflict(name: &str, reason: impl Into<String>) -> Self {
        Self::File { name: name.to_owned(), reason: reason.into(), fault: None }
    }
}

impl<E: Into<Error>> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self::All(error.into())
    }
}

/// The two places.
#[derive(Clone, Copy)]
pub(super) struct Places<'a> {
    pub from: &'a dyn Storage,
    pub to: &'a dyn Storage,
    pub job: &'a Job,
}

/// The hashes of bytes that passed.
#[derive(Default)]
struct Hashes {
    sha1: Sha1,
    /// Only where a manifest has no other.
    md5: Option<md5::Md5>,
    size_bytes: u64,
}

impl Hashes {
    fn for_hash(expected: Option<&Hash>) -> Self {
        let wants_md5 = matches!(expected, Some((HashAlgorithm::Md5, _)));
        Self { md5: wants_md5.then(md5::Md5::default), ..Self::default() }
    }

    fn update(&mut self, bytes: &[u8]) {
        self.sha1.update(bytes);
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
        self.size_bytes += bytes.len() as u64;
    }

    /// The SHA-1, if the bytes are those that were expected.
    fn finish(self, file: &StoredFile, expected: Option<&Hash>) -> Result<String, Damage> {
        let sha1 = hexadecimal(&self.sha1.finalize());
        if let Some((algorithm, expected)) = expected {
            let found = match (algorithm, self.md5) {
                (HashAlgorithm::Md5, Some(md5)) => hexadecimal(&md5.finalize()),
                _ => sha1.clone(),
            };
            if found != *expected && self.size_bytes == 0 {
                return Err(Damage::Empty);
            }
            if found != *expected {
                let (algorithm, expected) = (algorithm.name(), expected.clone());
                return Err(Damage::HashMismatch { algorithm, expected, found });
            }
        }
        if self.size_bytes < file.size_bytes {
            return Err(Damage::CutShort);
        }
        Ok(sha1)
    }
}

impl Places<'_> {
    /// Copies `file` to `target`, and tells its SHA-1. What is not `expected` never gets that name.
    pub fn copy(&self, file: &StoredFile, expected: Option<&Hash>, target: &str) -> Result<String, Trouble> {
        let location = || format!("{}/{target}", self.to.location());
        let written = |source| {
            Error::from_stream(source, |source| StorageError::from_io("writing", location(), source).into())
        };
        let mut reader = self.from.open(&file.name).map_err(|error| self.of_source(&file.name, error))?;
        let mut upload = self.to.create(target)?;
        let hashes = self.pass(&file.name, &mut reader, expected, |bytes| {
            upload.write_all(bytes).map_err(written)?;
            self.job.bytes_done(bytes.len() as u64);
            Ok(())
        })?;
        let sha1 = hashes.finish(file, expected).map_err(|damage| self.damaged(&file.name, damage))?;
        upload.finish()?;
        Ok(sha1)
    }

    /// The SHA-1 of a file where it comes from, if that is what was `expected`.
    pub fn source_hash(&self, file: &StoredFile, expected: Option<&Hash>) -> Result<String, Trouble> {
        let mut reader = self.from.open(&file.name).map_err(|error| self.of_source(&file.name, error))?;
        let hashes = self.pass(&file.name, &mut reader, expected, |_| Ok(()))?;
        hashes.finish(file, expected).map_err(|damage| self.damaged(&file.name, damage))
    }

    /// Whether the file `name` at the other place is `file`, by a hash that is known or by its SHA-1.
    pub fn is_same(&self, name: &str, file: &StoredFile, hash: &Hash) -> Result<bool> {
        let mut reader = self.to.open(name)?;
        let mut hashes = Hashes::for_hash(Some(hash));
        let mut buffer = vec![0; BUFFER_BYTES];
        while let Some(count) =
            self.read(&mut reader, &mut buffer).map_err(|error| unreadable(name, error))?
        {
            hashes.update(&buffer[..count]);
        }
        let is_whole = hashes.size_bytes == file.size_bytes;
        Ok(is_whole && hashes.finish(file, Some(hash)).is_ok())
    }

    /// Reads what the source has to its end.
    fn pass(
        &self,
        name: &str,
        reader: &mut dyn Read,
        expected: Option<&Hash>,
        mut take: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<Hashes, Trouble> {
        let mut hashes = Hashes::for_hash(expected);
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let read = self.read(reader, &mut buffer);
            let Some(count) = read.map_err(|error| self.of_source(name, unreadable(name, error)))? else {
                return Ok(hashes);
            };
            hashes.update(&buffer[..count]);
            take(&buffer[..count])?;
        }
    }

    /// Reads once. `None` at the end.
    fn read(&self, reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            self.job.check().map_err(Error::into_stream)?;
            match reader.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) => return Ok(None),
                Ok(count) => {
                    self.job.bytes_stored(count as u64);
                    return Ok(Some(count));
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn damaged(&self, name: &str, damage: Damage) -> Trouble {
        Trouble::damaged(name, &Error::damaged(name, damage))
    }

    /// An error in reading a file where it comes from: is it the file, or the place?
    pub fn of_source(&self, name: &str, error: impl Into<Error>) -> Trouble {
        use CryptoError as C;
        let error = about(name, error.into());
        let is_of_the_file = match &error {
            Error::Damaged { .. } => true,
            Error::Crypto { source, .. } => {
                matches!(source, C::Damaged(_) | C::BadSignature { .. } | C::Other(_))
            }
            // A bad place on the disk looks like a drive that is gone.
            Error::Storage(error) => error.kind != StorageErrorKind::Away && self.from.list().is_ok(),
            _ => false,
        };
        if !is_of_the_file {
            return Trouble::All(error);
        }
        Trouble::damaged(name, &error)
    }
}
