//! What a place wants to know before it lets anybody in, and who is asked for it.

use std::path::PathBuf;

use crate::engine::crypto::Secret;

/// What is known beforehand; the rest is asked for.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// The password of a server, or the secret access key of an object store.
    pub secret: Option<Secret>,
    /// The access key id of an object store.
    pub key_id: Option<String>,
    /// The session token that belongs to a temporary access key.
    pub session_token: Option<Secret>,
    /// The private key that an SSH server knows: like `IdentityFile` of ssh_config(5) with `IdentitiesOnly`.
    pub key_file: Option<PathBuf>,
}

/// A secret that is needed to get in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CredentialRequest {
    /// The place: an address without secrets.
    pub location: String,
    /// What is needed.
    pub wanted: WantedCredential,
    /// Whether the place refused the last answer.
    pub previous_was_wrong: bool,
}

/// Which secret is needed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum WantedCredential {
    /// The password of this user.
    Password {
        /// The user.
        user: String,
    },
    /// The secret that belongs to an access key of an object store.
    SecretKey {
        /// The id of the key.
        key_id: String,
    },
    /// The passphrase of a key file.
    KeyPassphrase {
        /// The file.
        path: std::path::PathBuf,
    },
    /// Whatever the server asks for in its own words, such as a one-time code.
    Prompt {
        /// The words.
        text: String,
        /// Whether the answer may be shown as it is typed.
        echo: bool,
    },
}

/// The key of a server that is not known yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKey {
    /// The server, with its port if that is not the usual one.
    pub host: String,
    /// The kind of the key, such as `ssh-ed25519`.
    pub algorithm: String,
    /// `SHA256:` and the hash of the key, as `ssh` prints it.
    pub fingerprint: String,
}
