//! OpenPGP: keys, sealing what is stored, opening it again. The only room that knows gpgme and pgp.
//!
//! Files are sealed in this process (`message`); that takes public keys and passphrases only. gpg runs as
//! a program of its own behind gpgme, signs and opens, so secret keys stay with gpg-agent; one that its
//! owner exports passes through, locked with its passphrase. Stored files are streams: nothing here holds a
//! whole one in memory.

mod agent;
mod by_gpg;
mod deflate;
mod error;
mod export;
mod home;
mod import;
mod keys;
mod message;
mod open;
mod orphans;
mod packet_reader;
mod packet_writer;
mod packets;
mod passphrases;
mod pipe;
mod piped;
mod protect;
mod remains;
mod replay;
mod seal;
mod session_key;
mod signing;
mod status;
mod talk;
mod trust;
mod worker;

pub use deflate::DEFLATE_LEVEL;
pub use error::{AgentTrouble, CryptoError, KeyName, SealDamage, UnusableReason};
pub use export::{KeyFiles, SecretKey, file_stem, make_private_folder, write_private};
pub use home::end_own_agent;
pub use import::{ImportReport, ImportedKey, KeyMaterial, key_files, read_key_file};
pub use keys::{Key, KeyAlgorithm, KeyState, Keyring, NewKey};
pub use open::{OpenReader, Opener, SignatureState, Signer};
pub use passphrases::{PassphraseFor, PassphraseRequest, Passphrases, Secret};
pub use remains::RemainsReader;
pub use seal::{SealWriter, Sealer};

use serde::{Deserialize, Serialize};

/// How a backup is protected at its destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protection {
    /// Who can read it.
    pub encryption: Encryption,
    /// The key that signs every stored file, as a fingerprint or key id; none for unsigned files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_key: Option<String>,
}

/// Who can read a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encryption {
    /// Everybody who can read the destination. Volumes are gzip files.
    None,
    /// Whoever knows the passphrase.
    Passphrase,
    /// The owners of these keys.
    Keys(Vec<Recipient>),
}

/// A key that a backup is encrypted to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// Fingerprint or key id, hexadecimal.
    pub key: String,
    /// Whether the stored files keep to themselves whose key it is (key id 0 in the packet).
    #[serde(default)]
    pub hidden: bool,
}

impl Protection {
    /// No encryption and no signature.
    pub fn none() -> Self {
        Self { encryption: Encryption::None, sign_key: None }
    }

    /// A passphrase, unsigned.
    pub fn passphrase() -> Self {
        Self { encryption: Encryption::Passphrase, sign_key: None }
    }

    /// Whether the stored files are OpenPGP files.
    pub fn is_openpgp(&self) -> bool {
        self.encryption != Encryption::None
    }
}
