//! What can go wrong with keys, passphrases and sealed files: one variant for each thing that a
//! person does differently about it.

use std::fmt;

use super::passphrases::PassphraseFor;
use crate::engine::error::Error;

/// A failure of gpg, a key, a passphrase or a sealed file. `Display` says what happened and what may
/// help; the fields carry what a translated text needs. A cancel is [`Error::Cancelled`] instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CryptoError {
    /// The passphrase does not open the file or unlock the key, and nobody gave another one.
    #[error("the passphrase for {what} is wrong; check it, and the keyboard layout, and try again")]
    WrongPassphrase {
        /// What it was for.
        what: PassphraseFor,
    },

    /// A passphrase is needed, and nobody was there to type it or they declined.
    #[error("the passphrase for {what} is needed, but was not given")]
    PassphraseNeeded {
        /// What it is for.
        what: PassphraseFor,
    },

    /// The file is encrypted to keys whose secret part is not in the keyring, or the key that is to
    /// sign has no secret part there.
    #[error(
        "the secret key is not in the keyring: {}; import it, or insert the card that holds it",
        list(keys)
    )]
    MissingSecretKey {
        /// The keys, any one of which would do. The file may keep their names to itself: then the id
        /// is all zeros.
        keys: Vec<KeyName>,
    },

    /// The keyring has no such key.
    #[error("the key {key} is not in the keyring; import it, or choose another")]
    MissingPublicKey {
        /// The key asked for.
        key: KeyName,
    },

    /// The key has expired.
    #[error("the key {key} has expired; extend its validity, or choose another")]
    ExpiredKey {
        /// The key.
        key: KeyName,
    },

    /// The key was revoked by its owner.
    #[error("the key {key} is revoked; choose another")]
    RevokedKey {
        /// The key.
        key: KeyName,
    },

    /// The key exists but cannot do what is asked of it.
    #[error("the key {key} cannot be used: {reason}")]
    UnusableKey {
        /// The key.
        key: KeyName,
        /// Why not.
        reason: UnusableReason,
    },

    /// What was to be taken in holds no key.
    #[error("there is no OpenPGP key in it; choose a file that gpg exported, or the folder with such files")]
    NoKeyFound,

    /// gpg-agent, which holds the secret keys, could not ask for a passphrase.
    #[error("gpg-agent could not unlock the key: {0}")]
    AgentLocked(AgentTrouble),

    /// The file carries a signature that is not right: it was changed after it was signed.
    #[error("the signature by {key} is not right: the file was changed after it was signed; do not trust it")]
    BadSignature {
        /// The key that the signature claims.
        key: KeyName,
    },

    /// A signature is demanded and there is none.
    #[error("the file is not signed, but a signature by {expected} is required")]
    NotSigned {
        /// The key demanded.
        expected: KeyName,
    },

    /// A signature by one key is demanded and there is one by another.
    #[error("the file is signed by {found}, but a signature by {expected} is required")]
    WrongSigner {
        /// The key demanded.
        expected: KeyName,
        /// The key found.
        found: KeyName,
    },

    /// The sealed file is damaged.
    #[error("{0}")]
    Damaged(SealDamage),

    /// The program gpg is not installed, or too old.
    #[error("the program gpg is not installed or too old; install GnuPG 2.2 or newer")]
    GpgMissing,

    /// Anything else gpg says.
    #[error("gpg failed: {0}")]
    Other(String),
}

impl From<CryptoError> for Error {
    fn from(source: CryptoError) -> Self {
        Self::Crypto { file: None, source }
    }
}

/// Which key an error is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyName {
    /// Fingerprint or key id in hexadecimal, or what was asked for.
    pub id: String,
    /// Name and address of the owner, if the keyring knows them.
    pub user_id: Option<String>,
}

impl KeyName {
    /// A key of which no more than the id is known.
    pub fn id(id: impl Into<String>) -> Self {
        Self { id: id.into(), user_id: None }
    }

    /// Whether this stands for a recipient that the file does not name.
    pub fn is_hidden(&self) -> bool {
        !self.id.is_empty() && self.id.bytes().all(|digit| digit == b'0')
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.user_id {
            Some(user_id) => write!(f, "{user_id} ({})", self.id),
            None if self.is_hidden() => f.write_str("(hidden recipient)"),
            None => f.write_str(&self.id),
        }
    }
}

fn list(keys: &[KeyName]) -> String {
    keys.iter().map(KeyName::to_string).collect::<Vec<_>>().join(", ")
}

/// Why a key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnusableReason {
    /// Its owner disabled it in the keyring.
    #[error("it is disabled in the keyring; enable it, or choose another")]
    Disabled,
    /// It has no part that encrypts.
    #[error("it cannot encrypt; choose another")]
    NoEncryption,
    /// It has no part that signs.
    #[error("it cannot sign; choose another")]
    NoSigning,
    /// gpg finds it defective.
    #[error("gpg finds it invalid; choose another")]
    Invalid,
    /// A card keeps its secret part.
    #[error("a card keeps its secret part and gives it to nobody; keep the card itself safe")]
    OnCard,
    /// The id fits several keys.
    #[error("this id fits more than one key; give the whole fingerprint")]
    Ambiguous,
    /// Something else, in gpg's words.
    #[error("{0}")]
    Other(String),
}

/// Why gpg-agent could not ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AgentTrouble {
    /// It has no program to ask with, or that has no screen or terminal.
    #[error(
        "it has no pinentry program to ask for the passphrase with; install one, or unlock the key first"
    )]
    NoPinentry,
    /// The card that has the key is not there, or its PIN was not entered, and nobody was to be asked.
    #[error("the card that has it is not there, or its PIN was not entered; insert it and try again")]
    NoCard,
    /// It lets nobody else ask for the passphrase, and was not to ask.
    #[error("it alone may ask for the passphrase, and was not to; unlock the key first")]
    NotAsked,
    /// It lets nobody else ask, so it takes no passphrase of a backup or of a new key.
    #[error(
        "it takes no passphrase from other programs; remove \"no-allow-loopback-pinentry\" from gpg-agent.conf, and run \
         \"gpgconf --kill gpg-agent\""
    )]
    TakesNoPassphrase,
    /// The PIN of the card was wrong too often.
    #[error("the PIN of the card was wrong too often; unblock it with \"gpg --card-edit\"")]
    PinBlocked,
    /// The person closed its question.
    #[error("its question for the passphrase was cancelled; try again")]
    Declined,
    /// Its question was not answered in time.
    #[error("its question for the passphrase was not answered in time; try again")]
    TimedOut,
    /// It cannot be started or reached.
    #[error("it cannot be reached; run \"gpgconf --kill gpg-agent\" and try again")]
    Unreachable,
}

/// How a sealed file is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealDamage {
    /// It is no OpenPGP data at all.
    #[error("the file is not an OpenPGP file")]
    NotOpenPgp,
    /// It is OpenPGP data, but not encrypted.
    #[error("the file is not encrypted")]
    NotEncrypted,
    /// Its contents do not fit its checksum (the MDC of RFC 4880, 5.14), or it ends too early.
    #[error("the file is damaged: it was cut short or changed after it was written")]
    Altered,
}
