//! Sealing and opening a few bytes, and the errors that come of it.

use std::io::{self, Read, Write};

use souvenir::engine::crypto::{
    CryptoError, Encryption, Keyring, Opener, Passphrases, Protection, Recipient, Sealer, SignatureState,
};
use souvenir::engine::error::{Error, Result};
use souvenir::engine::job::Job;

pub fn to_keys(keys: &[&str]) -> Protection {
    let recipients = keys.iter().map(|key| Recipient { key: (*key).to_owned(), hidden: false }).collect();
    Protection { encryption: Encryption::Keys(recipients), sign_key: None }
}

pub fn signed(protection: Protection, key: &str) -> Protection {
    Protection { sign_key: Some(key.to_owned()), ..protection }
}

pub fn secrets(archive: &str) -> Passphrases {
    let passphrases = Passphrases::new();
    passphrases.set_archive(archive.into());
    passphrases
}

pub fn seal(
    keyring: &Keyring,
    protection: &Protection,
    passphrases: &Passphrases,
    plain: &[u8],
) -> Result<Vec<u8>> {
    let sealer = Sealer::new(keyring, protection, passphrases, &Job::unattended())?;
    let mut writer = sealer.seal(Vec::new())?;
    writer.write_all(plain).map_err(ours)?;
    writer.finish()
}

pub fn open(
    keyring: &Keyring,
    passphrases: &Passphrases,
    sealed: &[u8],
) -> Result<(Vec<u8>, SignatureState)> {
    open_signed(keyring, passphrases, None, sealed, &Job::unattended())
}

pub fn open_signed(
    keyring: &Keyring,
    passphrases: &Passphrases,
    signer: Option<&str>,
    sealed: &[u8],
    job: &Job,
) -> Result<(Vec<u8>, SignatureState)> {
    let mut reader =
        Opener::new(keyring, passphrases, signer, job)?.open(io::Cursor::new(sealed.to_vec()))?;
    let mut plain = Vec::new();
    reader.read_to_end(&mut plain).map_err(ours)?;
    let state = reader.finish()?;
    Ok((plain, state))
}

/// The error of ours that a stream's error carries.
pub fn ours(error: io::Error) -> Error {
    *error.into_inner().expect("an error of ours").downcast::<Error>().expect("an error of ours")
}

pub fn crypto_error<T: std::fmt::Debug>(result: Result<T>) -> CryptoError {
    match result {
        Err(Error::Crypto { source, .. }) => source,
        other => panic!("not a crypto error: {other:?}"),
    }
}
