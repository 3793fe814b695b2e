//! Plain copies of manifests and signatures on this machine.
//!
//! To find out what has changed, a backup reads the signatures of its chain. At the destination they are
//! sealed, so that would need the secret key or its passphrase each time, and a download. With copies
//! kept from when they were written, a backup to a key needs the public key only, as duplicity's does
//! with its own cache. They hold names in clear text, so only their owner may read them; they can be
//! deleted at any time, and are made again when they are next read.

use std::fs::{self, DirBuilder, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha1::{Digest, Sha1};

use super::crypto::Opener;
use super::error::Result;
use super::format::name::Codec;
use super::job::Job;
use super::storage::{LocalFolder, Storage, StoredFile};
use super::stored::{StoredReader, hexadecimal};

/// The copies of one destination's files.
#[derive(Debug, Clone)]
pub struct Copies {
    /// None where no copies are kept.
    folder: Option<PathBuf>,
    /// Whether there may be new ones.
    makes_new: bool,
}

impl Copies {
    /// No copies are kept; everything is read from the destination.
    pub fn none() -> Self {
        Self { folder: None, makes_new: false }
    }

    /// The copies of what is at `storage`, in a folder of their own below `cache`.
    pub fn of(cache: &Path, storage: &dyn Storage) -> Self {
        Self { folder: Some(folder_of(cache, storage).join("copies")), makes_new: true }
    }

    /// The same, but no others are made of what is read.
    pub fn without_new(self) -> Self {
        Self { makes_new: false, ..self }
    }

    /// The usual cache folder of this program for this person, if they have a home.
    pub fn usual_cache() -> Option<PathBuf> {
        directories::ProjectDirs::from("", "", "souvenir").map(|folders| folders.cache_dir().to_owned())
    }

    /// Opens a small stored file: its copy, or, making one, the file itself. A copy that cannot be made is
    /// no failure.
    pub(crate) fn open(
        &self,
        storage: &dyn Storage,
        file: &StoredFile,
        opener: &Opener,
        job: &Job,
    ) -> Result<StoredReader> {
        let Some(folder) = &self.folder else { return StoredReader::open(storage, &file.name, opener, job) };
        let name = name_of(file);
        let open = || StoredReader::open_as(&LocalFolder::new(folder), &name, Codec::Gzip, opener, job);
        if let Ok(copy) = open() {
            return Ok(copy);
        }
        let mut original = StoredReader::open(storage, &file.name, opener, job)?;
        let Some(mut copy) = self.begin() else { return Ok(original) };
        let copied = io::copy(&mut original, &mut copy);
        copied.map_err(|error| super::stored::unreadable(&file.name, error))?;
        original.finish()?;
        copy.keep(file);
        match open() {
            Ok(copy) => Ok(copy),
            // The disk may be full.
            Err(_) => StoredReader::open(storage, &file.name, opener, job),
        }
    }

    /// Begins a copy of a file that is being written. `None` where none can be kept.
    pub(crate) fn begin(&self) -> Option<NewCopy> {
        let folder = self.folder.as_ref().filter(|_| self.makes_new)?;
        let begun = DirBuilder::new().recursive(true).mode(0o700).create(folder).and_then(|()| {
            let file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
            Ok(GzEncoder::new(BufWriter::new(file), Compression::fast()))
        });
        match begun {
            Ok(encoder) => Some(NewCopy { folder: folder.clone(), encoder: Some(encoder) }),
            Err(error) => {
                tracing::warn!(%error, folder = %folder.display(), "no copy can be kept");
                None
            }
        }
    }

    /// Deletes all copies. False if none are kept.
    pub(crate) fn delete_all(&self) -> bool {
        self.keep_only(&[]);
        self.folder.is_some()
    }

    /// Deletes the copies of files that are not there any more.
    pub(crate) fn keep_only(&self, files: &[StoredFile]) {
        let Some(folder) = &self.folder else { return };
        let wanted: std::collections::HashSet<String> = files.iter().map(name_of).collect();
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let is_wanted = entry.file_name().to_str().is_some_and(|name| wanted.contains(name));
            if !is_wanted && let Err(error) = fs::remove_file(entry.path()) {
                tracing::warn!(%error, "an old copy stays");
            }
        }
    }
}

/// The folder below `cache` for what is kept of a destination: named after a hash of its [`Storage::key`].
pub(crate) fn folder_of(cache: &Path, storage: &dyn Storage) -> PathBuf {
    cache.join(hexadecimal(&Sha1::digest(storage.key().as_os_str().as_bytes())[..8]))
}

/// A name that also tells the size of the file at the destination: a copy of another file of that name,
/// which somebody may have put there, is not taken for one of this.
fn name_of(file: &StoredFile) -> String {
    format!("{}.{}", file.name, file.size_bytes)
}

/// A copy that is being written. A failure to write it is no failure of anything else: then there will
/// be no copy.
#[derive(Debug)]
pub(crate) struct NewCopy {
    folder: PathBuf,
    /// None once something failed.
    encoder: Option<GzEncoder<BufWriter<tempfile::NamedTempFile>>>,
}

impl NewCopy {
    /// Completes the copy: it is one of `file`.
    pub(crate) fn keep(self, file: &StoredFile) {
        let Some(encoder) = self.encoder else { return };
        let kept = encoder
            .finish()
            .and_then(|writer| writer.into_inner().map_err(io::IntoInnerError::into_error))
            .and_then(|temporary| Ok(temporary.persist(self.folder.join(name_of(file)))?));
        if let Err(error) = kept.map(|_: File| ()) {
            tracing::warn!(%error, "no copy is kept");
        }
    }
}

impl Write for NewCopy {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(encoder) = &mut self.encoder
            && let Err(error) = encoder.write_all(bytes)
        {
            tracing::warn!(%error, "no copy is kept");
            self.encoder = None;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
