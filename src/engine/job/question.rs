//! What a job asks.

use std::sync::mpsc;

use crate::engine::crypto::{PassphraseRequest, Secret};
use crate::engine::storage::{CredentialRequest, HostKey, NetworkAddress, StorageResult};

/// Something that only a person can answer. Dropping the question is a "no".
#[derive(Debug)]
pub enum Question {
    /// A passphrase is needed.
    Passphrase {
        /// What for, and whether the last answer was wrong.
        request: PassphraseRequest,
        /// Where the answer goes; `None` is a refusal.
        reply: mpsc::SyncSender<Option<Secret>>,
    },
    /// A place wants a secret before it lets us in.
    Credential {
        /// Which, and whether the last answer was wrong.
        request: CredentialRequest,
        /// Where the answer goes; `None` is a refusal.
        reply: mpsc::SyncSender<Option<Secret>>,
    },
    /// A server that is not known yet shows its key.
    HostKey {
        /// The key.
        key: HostKey,
        /// Where the answer goes: whether it is the right server.
        reply: mpsc::SyncSender<bool>,
    },
    /// The last backup was made on a machine of another name.
    OtherHost {
        /// That name.
        found: String,
        /// Where the answer goes: whether to go on with its chain.
        reply: mpsc::SyncSender<bool>,
    },
    /// A folder on the network can only be reached after somebody signed in to its server.
    Mount {
        /// The folder.
        address: NetworkAddress,
        /// Where the answer goes: whether it can be reached now, and else why not.
        reply: mpsc::SyncSender<StorageResult<()>>,
    },
}
