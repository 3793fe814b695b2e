//! Keys on their way into the keyring: files as gpg exports them, or a folder of such files.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use gpgme::ImportFlags;
use zeroize::Zeroizing;

use super::error::CryptoError;
use super::keys::{Key, Keyring};
use super::status;
use super::trust;
use crate::engine::error::{Error, Result};

/// The largest file that is taken for a key. Public keys with very many signatures have some megabytes.
const MAX_FILE_BYTES: u64 = 32 << 20;

/// The endings that files with keys have, in a folder that also holds others.
const KEY_ENDINGS: [&str; 5] = ["asc", "gpg", "key", "pgp", "txt"];

/// What is to be taken in. Wiped from memory when dropped.
#[derive(Clone, Default)]
pub struct KeyMaterial {
    keys: Vec<Zeroizing<Vec<u8>>>,
    trust: String,
}

/// What came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportReport {
    /// The keys that were found, also those that were there already.
    pub keys: Vec<ImportedKey>,
}

/// A key that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedKey {
    /// The key as it is in the keyring now.
    pub key: Key,
    /// Whether the keyring did not have it.
    pub is_new: bool,
    /// Whether its secret part was not there before and is there now.
    pub secret_is_new: bool,
    /// Whether its owner trust came with it.
    pub has_trust: bool,
}

impl KeyMaterial {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is nothing to take in.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Adds the contents of a file: keys, armoured or not, or owner trust.
    pub fn add(&mut self, bytes: Vec<u8>) {
        let bytes = Zeroizing::new(bytes);
        match std::str::from_utf8(&bytes) {
            Ok(text) if trust::is_trust(text) => {
                self.trust.push_str(text);
                self.trust.push('\n');
            }
            _ => self.keys.push(bytes),
        }
    }

    /// Adds a file.
    ///
    /// Fails with [`Error::KeyFileUnreadable`].
    pub fn add_file(&mut self, path: &Path) -> Result<()> {
        self.add(read_key_file(path)?);
        Ok(())
    }
}

/// The files of `path` that may hold keys: itself, or if it is a folder those in it that are named like it,
/// or have one of some more `endings` (in small letters).
///
/// Fails with [`Error::KeyFileUnreadable`].
pub fn key_files(path: &Path, endings: &[&str]) -> Result<Vec<PathBuf>> {
    let unreadable = |source| Error::KeyFileUnreadable { path: path.to_owned(), source };
    if !path.metadata().map_err(unreadable)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in path.read_dir().map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        let ending = file.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
        let is_named = |ending: &str| KEY_ENDINGS.contains(&ending) || endings.contains(&ending);
        if ending.as_deref().is_some_and(is_named) && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// The contents of a file that may hold a key.
///
/// Fails with [`Error::KeyFileUnreadable`], also if it is far too large.
pub fn read_key_file(path: &Path) -> Result<Vec<u8>> {
    let unreadable = |source| Error::KeyFileUnreadable { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(unreadable(io::Error::other("it is too large for a key")));
    }
    Ok(bytes)
}

impl Keyring {
    /// Takes keys in, with the owner trust that comes with them. Needs no passphrase: a secret key stays
    /// locked with the one that it has.
    ///
    /// Fails with [`CryptoError::NoKeyFound`] if there is no key, and as all that starts gpg.
    pub fn import(&self, material: &KeyMaterial) -> Result<ImportReport, CryptoError> {
        let before: HashMap<String, bool> =
            self.list()?.into_iter().map(|key| (key.fingerprint, key.has_secret)).collect();
        let mut found: Vec<String> = Vec::new();
        let mut with_secret = HashSet::new();
        for bytes in &material.keys {
            let mut context = self.context()?;
            let result = context.import(&bytes[..]).map_err(status::plain)?;
            for import in result.imports() {
                let Ok(fingerprint) = import.fingerprint().map(str::to_ascii_uppercase) else { continue };
                import.result().map_err(status::plain)?;
                if import.status().contains(ImportFlags::SECRET) {
                    with_secret.insert(fingerprint.clone());
                }
                if !found.contains(&fingerprint) {
                    found.push(fingerprint);
                }
            }
        }
        if found.is_empty() {
            return Err(CryptoError::NoKeyFound);
        }
        // Trust is for one's own keys: a file must not make gpg trust somebody else's.
        let trusted = self.import_trust(&material.trust, &with_secret)?;
        let keys = found
            .iter()
            .map(|fingerprint| {
                let key = self.find(fingerprint)?;
                let had_secret = before.get(fingerprint).copied();
                Ok(ImportedKey {
                    is_new: had_secret.is_none(),
                    secret_is_new: key.has_secret && had_secret != Some(true),
                    has_trust: trusted.contains(fingerprint),
                    key,
                })
            })
            .collect::<Result<Vec<_>, CryptoError>>()?;
        Ok(ImportReport { keys })
    }
}
