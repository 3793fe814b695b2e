//! A key on its way out of the keyring: as files that the gpg command line would write, and that it takes
//! in again without this program.
//!
//! A secret key leaves gpg-agent only for one who can unlock it, and stays locked with its passphrase.

use std::fs::DirBuilder;
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use gpgme::ExportMode;
use pgp::crypto::public_key::PublicKeyAlgorithm;
use pgp::packet::PacketHeader;
use pgp::types::{PacketLength, PublicParams, Tag};
use zeroize::Zeroizing;

use super::error::{CryptoError, UnusableReason};
use super::keys::{self, Key, Keyring};
use super::passphrases::{PassphraseFor, Passphrases, Purpose};
use super::status;
use super::talk::{Answers, Talk, Wanted};
use super::trust;
use crate::engine::error::{Error, Result};
use crate::engine::job::Job;

/// A secret key as gpg exports it, locked with its passphrase. Wiped from memory when dropped.
#[derive(Clone)]
pub struct SecretKey {
    bytes: Zeroizing<Vec<u8>>,
}

/// The files that an export wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFiles {
    /// The secret key with all its parts; armoured.
    pub secret: PathBuf,
    /// The public key with everything on it; armoured.
    pub public: PathBuf,
    /// The owner trust, as `gpg --import-ownertrust` reads it.
    pub trust: PathBuf,
}

/// How a secret key is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// With everything on it, armoured: a file.
    Armoured,
    /// With its newest own signatures only, binary: as short as it can be.
    Minimal,
}

impl SecretKey {
    /// The key as OpenPGP packets.
    pub fn expose(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether all parts of it are locked with a passphrase.
    ///
    /// Fails with [`CryptoError::Other`] if it cannot be understood.
    pub fn is_locked(&self) -> Result<bool, CryptoError> {
        let mut rest = &self.bytes[..];
        let mut is_locked = true;
        while !rest.is_empty() {
            let (tag, length) = packet_start(&mut rest).ok_or_else(not_understood)?;
            let body = rest.split_off(..length).ok_or_else(not_understood)?;
            if matches!(tag, Tag::SecretKey | Tag::SecretSubkey) {
                is_locked &= s2k_usage(body).ok_or_else(not_understood)? != 0;
            }
        }
        Ok(is_locked)
    }
}

fn not_understood() -> CryptoError {
    CryptoError::Other("reading the exported secret key: it has a form that is not known".to_owned())
}

/// The tag of a packet and the length of its body in bytes, if that is known from its start (RFC 4880, 4.2).
fn packet_start(rest: &mut &[u8]) -> Option<(Tag, usize)> {
    let header = PacketHeader::try_from_reader(rest).ok()?;
    match header.packet_length() {
        PacketLength::Fixed(length) => Some((header.tag(), usize::try_from(length).ok()?)),
        _ => None,
    }
}

/// The octet of a secret key's packet that is 0 if the secret is not locked (RFC 4880, 5.5.3; RFC 9580, 5.5.3). The
/// secret itself is not read: gpg writes numbers with leading zeros, of which not every reader makes the same checksum.
fn s2k_usage(body: &[u8]) -> Option<u8> {
    let (&version, rest) = body.split_first()?;
    let (&algorithm, mut fields) = rest.get(4..)?.split_first()?;
    let public_bytes = if version >= 5 {
        let length = u32::from_be_bytes(fields.split_off(..4)?.try_into().ok()?);
        Some(usize::try_from(length).ok()?)
    } else {
        None
    };
    PublicParams::try_from_reader(PublicKeyAlgorithm::from(algorithm), public_bytes, &mut fields).ok()?;
    fields.first().copied()
}

impl Keyring {
    /// The secret key of `id` with all that is needed to use it, and nothing more: no signatures of others,
    /// none that newer ones replace. gpg takes it in by itself; the public key is part of it.
    ///
    /// Asks for its passphrase. Fails with [`CryptoError::MissingSecretKey`], with
    /// [`UnusableReason::OnCard`] if a card keeps it, and as all that unlocks a key.
    pub fn export_secret(&self, id: &str, passphrases: &Passphrases, job: &Job) -> Result<SecretKey> {
        Ok(SecretKey { bytes: self.exported_secret(id, Form::Minimal, passphrases, job)? })
    }

    /// The public key of `id`, armoured.
    pub fn export_public(&self, id: &str) -> Result<Vec<u8>, CryptoError> {
        let raw = self.find_raw(id)?;
        let mut context = self.context()?;
        context.set_armor(true);
        let mut public = Vec::new();
        context.export_keys([&raw], ExportMode::empty(), &mut public).map_err(status::plain)?;
        if public.is_empty() {
            return Err(CryptoError::MissingPublicKey { key: keys::name_of(&raw, id) });
        }
        Ok(public)
    }

    /// Writes the secret key, the public key and the owner trust of `id` as three files into `folder`, which
    /// is made if need be. They are readable by their owner only. Nothing is overwritten.
    ///
    /// Fails as [`Keyring::export_secret`] does, with [`Error::KeyFileExists`] or with
    /// [`Error::KeyFileUnwritable`]; then none of them is left behind.
    pub fn export_to(
        &self,
        id: &str,
        folder: &Path,
        passphrases: &Passphrases,
        job: &Job,
    ) -> Result<KeyFiles> {
        let raw = self.find_raw(id)?;
        let key =
            Key::read(&raw).ok_or_else(|| CryptoError::MissingPublicKey { key: keys::name_of(&raw, id) })?;
        let files = KeyFiles::of(&key, folder);
        if let Some(taken) = files.paths().into_iter().find(|path| path.symlink_metadata().is_ok()) {
            return Err(Error::KeyFileExists(taken.to_owned()));
        }
        let secret = self.exported_secret(&key.fingerprint, Form::Armoured, passphrases, job)?;
        let public = self.export_public(&key.fingerprint)?;
        let trust = trust::line_of(&raw);
        make_private_folder(folder)?;
        let contents = [secret.as_slice(), &public, trust.as_bytes()];
        let mut written: Vec<&Path> = Vec::new();
        for (path, bytes) in files.paths().into_iter().zip(contents) {
            if let Err(error) = write_private(path, bytes) {
                for path in written {
                    // It was made a moment ago; if it cannot go, the first error is the one to tell.
                    let _ = std::fs::remove_file(path);
                }
                return Err(error);
            }
            written.push(path);
        }
        Ok(files)
    }

    fn exported_secret(
        &self,
        id: &str,
        form: Form,
        passphrases: &Passphrases,
        job: &Job,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let raw = self.find_raw(id)?;
        let name = || keys::name_of(&raw, id);
        if raw.subkeys().any(|subkey| subkey.is_card_key()) {
            return Err(CryptoError::UnusableKey { key: name(), reason: UnusableReason::OnCard }.into());
        }
        if !raw.subkeys().any(|subkey| subkey.is_secret()) {
            return Err(self.without_secret(vec![name()]).into());
        }
        let answers = Answers::new(passphrases.clone(), job.clone(), Purpose::Open);
        loop {
            job.check()?;
            let talk = Talk::new(answers.clone());
            match self.export_once(&raw, form, &talk) {
                Err(Error::Crypto { source: CryptoError::WrongPassphrase { .. }, .. })
                    if !talk.is_refused() && talk.learn_from_refusal() => {}
                result => return result,
            }
        }
    }

    fn export_once(&self, raw: &gpgme::Key, form: Form, talk: &Talk) -> Result<Zeroizing<Vec<u8>>> {
        let mut context = talk.context(self, Wanted::Key)?;
        context.set_armor(form == Form::Armoured);
        let mode = match form {
            Form::Armoured => ExportMode::SECRET,
            Form::Minimal => ExportMode::SECRET | ExportMode::MINIMAL,
        };
        let mut bytes = Zeroizing::new(Vec::new());
        let pattern = raw.fingerprint().unwrap_or_default();
        let result = context.export([pattern], mode, &mut *bytes);
        drop(context);
        // gpg leaves out what it could not unlock, and gpgme calls that a success.
        let facts = talk.facts();
        let error = match result {
            Ok(()) if facts.has_complaint() || bytes.is_empty() || talk.has_failed() => {
                gpgme::Error::NO_SECKEY
            }
            Ok(()) => return Ok(bytes),
            Err(error) => error,
        };
        Err(talk.seal_failure(&facts, error, PassphraseFor::from(keys::name_of(raw, pattern))))
    }
}

impl KeyFiles {
    /// Where the files of a key are, or would be: `Ada-Lovelace_FINGERPRINT.secret.asc` and its siblings.
    pub fn of(key: &Key, folder: &Path) -> Self {
        let stem = file_stem(key);
        let file = |ending: &str| folder.join(format!("{stem}.{ending}"));
        Self { secret: file("secret.asc"), public: file("public.asc"), trust: file("ownertrust.txt") }
    }

    /// All of them.
    pub fn paths(&self) -> [&Path; 3] {
        [&self.secret, &self.public, &self.trust]
    }
}

/// A name for files of a key, without an ending: the owner's name as far as it does well in a file name,
/// and the fingerprint.
pub fn file_stem(key: &Key) -> String {
    let name = if key.name.is_empty() { &key.user_id } else { &key.name };
    let words: Vec<&str> =
        name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let mut stem: String = words.join("-").chars().take(40).collect();
    if !stem.is_empty() {
        stem.push('_');
    }
    stem + &key.fingerprint
}

/// Makes a folder that only its owner may look into; one that is there already stays as it is.
///
/// Fails with [`Error::KeyFileUnwritable`].
pub fn make_private_folder(folder: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|source| Error::KeyFileUnwritable { path: folder.to_owned(), source })
}

/// Writes a file that only its owner may read, whole or not at all, and never over another one.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let unwritable = |source| Error::KeyFileUnwritable { path: path.to_owned(), source };
    let write = || {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        // tempfile makes its files with mode 0600.
        let mut file = tempfile::Builder::new()
            .prefix(".souvenir-key-")
            .tempfile_in(folder.unwrap_or_else(|| Path::new(".")))?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist_noclobber(path).map(drop).map_err(|error| error.error)
    };
    write().map_err(|error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => Error::KeyFileExists(path.to_owned()),
        _ => unwritable(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet of an Ed25519 key as gpg writes it, with the octet that says whether it is locked.
    fn packet(usage: u8) -> Vec<u8> {
        let mut body = vec![4, 0, 0, 0, 1, 22];
        body.extend([9, 0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01]);
        body.extend([0x01, 0x07]);
        // The base point of the curve.
        body.extend([0x40, 0x58]);
        body.extend([0x66; 31]);
        body.push(usage);
        // A secret that begins with a zero, of which it has 256 bits all the same.
        body.extend([0x01, 0x00, 0x00]);
        body.extend([7; 31]);
        body.extend([0, 218]);
        let mut packet = vec![0x94, u8::try_from(body.len()).unwrap()];
        packet.extend(body);
        packet
    }

    #[test]
    fn a_key_is_locked_if_all_its_parts_are() {
        let is_locked = |bytes: Vec<u8>| SecretKey { bytes: Zeroizing::new(bytes) }.is_locked();
        assert!(!is_locked(packet(0)).unwrap());
        assert!(is_locked(packet(254)).unwrap());
        assert!(!is_locked([packet(254), packet(0)].concat()).unwrap());
        let short = packet(0);
        assert!(is_locked(short[..20].to_vec()).is_err());
    }
}
