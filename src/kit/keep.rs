//! A copy of a key in another place: its files, its recovery kit, or both.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::{Kit, KitPlace};
use crate::engine::crypto::{Key, KeyFiles, Keyring, Passphrases, file_stem, write_private};
use crate::engine::error::{Error, Result};
use crate::engine::job::Job;

/// What is to be kept, and where.
pub struct KeepRequest<'a> {
    /// Where the key is.
    pub keyring: &'a Keyring,
    /// The key.
    pub key: &'a Key,
    /// Where the copy goes; made if it is missing.
    pub folder: &'a Path,
    /// What of it.
    pub what: Keep,
    /// The backups that the key opens.
    pub places: &'a [KitPlace],
}

/// What is to be kept of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// The secret key, the public key and the owner trust as files.
    Files,
    /// The recovery kit.
    Kit,
    /// Both.
    FilesAndKit,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The files of the key.
    pub files: Option<KeyFiles>,
    /// The recovery kit.
    pub kit: Option<PathBuf>,
}

/// Where the recovery kit of a key is, or would be.
pub fn kit_path(key: &Key, folder: &Path) -> PathBuf {
    folder.join(format!("{}.recovery-kit.pdf", file_stem(key)))
}

/// Writes a copy of a key. Asks for its passphrase; overwrites nothing.
///
/// Fails as [`Keyring::export_to`] and [`Kit::save`] do; then nothing of the copy is left behind.
pub fn keep(request: &KeepRequest<'_>, passphrases: &Passphrases, job: &Job) -> Result<Kept> {
    let KeepRequest { keyring, key, folder, what, places } = request;
    let mut kit = None;
    if *what != Keep::Files {
        let path = kit_path(key, folder);
        if path.symlink_metadata().is_ok() {
            return Err(Error::KeyFileExists(path));
        }
        let secret = keyring.export_secret(&key.fingerprint, passphrases, job)?;
        // Before anything is written: whatever can go wrong with it is known then.
        kit = Some((path, Kit { key, secret: &secret, places, made: Timestamp::now() }.pdf()?));
    }
    let files = match what {
        Keep::Kit => {
            crate::engine::crypto::make_private_folder(folder)?;
            None
        }
        Keep::Files | Keep::FilesAndKit => {
            Some(keyring.export_to(&key.fingerprint, folder, passphrases, job)?)
        }
    };
    let mut kept = Kept { files, kit: None };
    if let Some((path, bytes)) = kit {
        if let Err(error) = write_private(&path, &bytes) {
            for file in kept.files.iter().flat_map(KeyFiles::paths) {
                // It was made a moment ago; if it cannot go, the first error is the one to tell.
                let _ = std::fs::remove_file(file);
            }
            return Err(error);
        }
        kept.kit = Some(path);
    }
    Ok(kept)
}
