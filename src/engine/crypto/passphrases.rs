//! The secrets of one operation, and how they are asked for.
//!
//! As with duplicity, the archive's passphrase also unlocks the key that decrypts, and the signing
//! passphrase, or for want of one the archive's, the key that signs. What is missing is asked for
//! through the [`Job`], one question at a time however many workers wait, and kept for the operation.
//! A passphrase that turned out wrong is not tried again for the same thing.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

use super::error::{CryptoError, KeyName};
use crate::engine::error::Result;
use crate::engine::job::Job;

/// A passphrase. Wiped from memory when dropped; never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// A passphrase from bytes. A newline ends it, as gpg would have it: what follows is left out.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        let mut bytes = Zeroizing::new(bytes.into());
        let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
        bytes.truncate(end);
        Self(bytes)
    }

    /// The first line of a file or a pipe, without its line ending. At most 64 KiB are read.
    pub fn from_reader(reader: impl Read) -> io::Result<Self> {
        let mut line = Zeroizing::new(Vec::with_capacity(MAX_LINE_BYTES));
        BufReader::with_capacity(512, reader.take(MAX_LINE_BYTES as u64)).read_until(b'\n', &mut line)?;
        if line.ends_with(b"\n") {
            line.pop();
            if line.ends_with(b"\r") {
                line.pop();
            }
        }
        Ok(Self(line))
    }

    /// The bytes, for whoever must pass them on.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether there is nothing in it. gpg takes no empty passphrase.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

const MAX_LINE_BYTES: usize = 64 * 1024;

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

/// What a passphrase is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PassphraseFor {
    /// The backups themselves.
    Archive,
    /// A secret key.
    Key {
        /// Its fingerprint or key id, hexadecimal.
        id: String,
        /// Name and address of its owner, if known.
        user_id: Option<String>,
    },
}

impl PassphraseFor {
    fn slot(&self) -> Slot {
        match self {
            Self::Archive => Slot::Archive,
            Self::Key { id, .. } => Slot::Key(long_id(id)),
        }
    }
}

impl From<KeyName> for PassphraseFor {
    fn from(key: KeyName) -> Self {
        Self::Key { id: key.id, user_id: key.user_id }
    }
}

impl fmt::Display for PassphraseFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Archive => f.write_str("the backup"),
            Self::Key { id, user_id: Some(user_id) } => write!(f, "the key {user_id} ({id})"),
            Self::Key { id, user_id: None } => write!(f, "the key {id}"),
        }
    }
}

/// A question for a passphrase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassphraseRequest {
    /// What it is for.
    pub what: PassphraseFor,
    /// Whether the last answer was wrong.
    pub previous_was_wrong: bool,
    /// Whether a passphrase opened other files of the archive: what is wrong here may be right there.
    pub opened_others: bool,
    /// Whether it is a new one, to be typed twice.
    pub confirm: bool,
}

impl PassphraseRequest {
    /// The passphrase of backups that exist.
    pub fn archive() -> Self {
        Self::for_what(PassphraseFor::Archive)
    }

    /// A passphrase for backups that are new.
    pub fn new_archive() -> Self {
        Self { confirm: true, ..Self::archive() }
    }

    fn for_what(what: PassphraseFor) -> Self {
        Self { what, previous_was_wrong: false, opened_others: false, confirm: false }
    }
}

/// What gpg wants to do with a key that it needs unlocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Seal,
    Open,
}

/// The secrets of one operation. Clones share them.
#[derive(Clone, Default)]
pub struct Passphrases(Arc<Shared>);

#[derive(Default)]
struct Shared {
    store: Mutex<Store>,
    /// Held while a person is asked.
    asking: Mutex<()>,
}

#[derive(Default)]
struct Store {
    archive: Option<Secret>,
    /// Passphrases of the archive that were given before. Which one opens a file only the file can tell: backups
    /// of different times may have different ones.
    earlier: Vec<Secret>,
    /// The passphrase that opened a file of the archive last.
    opened_last: Option<Secret>,
    sign: Option<Secret>,
    keys: HashMap<String, Secret>,
    wrong: HashMap<Slot, Vec<Secret>>,
    declined: HashSet<Slot>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Slot {
    Archive,
    /// Long key id.
    Key(String),
}

impl Passphrases {
    /// Nothing known yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the archive's passphrase known; an empty one counts as none.
    pub fn set_archive(&self, secret: Secret) {
        let mut store = self.store();
        store.set_archive(filled(secret));
        store.forget_verdicts();
    }

    /// Makes the signing key's passphrase known; an empty one counts as none.
    pub fn set_sign(&self, secret: Secret) {
        let mut store = self.store();
        store.sign = filled(secret);
        store.forget_verdicts();
    }

    /// Makes the passphrase of one key known, which goes before the others for that key. `key` is the
    /// fingerprint or long id of the primary key.
    pub fn set_key(&self, key: &str, secret: Secret) {
        let mut store = self.store();
        if let Some(secret) = filled(secret) {
            store.keys.insert(long_id(key), secret);
        }
        store.forget_verdicts();
    }

    /// The archive's passphrase; asked for if it is not known.
    ///
    /// Fails with [`CryptoError::PassphraseNeeded`] when nobody answers.
    pub fn archive(&self, job: &Job) -> Result<Secret> {
        self.need(PassphraseRequest::archive(), job)
    }

    /// Like [`Passphrases::archive`] for backups that do not exist yet: who has to type it types it twice.
    pub fn new_archive(&self, job: &Job) -> Result<Secret> {
        self.need(PassphraseRequest::new_archive(), job)
    }

    /// The passphrase of a key that is yet to be made: the archive's if it is known; who has to type it types
    /// it twice.
    pub fn new_key(&self, what: PassphraseFor, job: &Job) -> Result<Secret> {
        self.need(PassphraseRequest { confirm: true, ..PassphraseRequest::for_what(what) }, job)
    }

    fn need(&self, request: PassphraseRequest, job: &Job) -> Result<Secret> {
        let what = request.what.clone();
        // Not the one that opened something last, which may have been older.
        if what == PassphraseFor::Archive
            && let Some(known) = self.store().archive.clone()
        {
            return Ok(known);
        }
        match self.find_or_ask(request, Purpose::Open, &[], job)? {
            Some(secret) => Ok(secret),
            None => Err(self.refusal(what, &[]).into()),
        }
    }

    /// A passphrase to try, which is none of those that were `refused`. None when every known one is wrong and
    /// nobody gives another.
    pub(super) fn for_gpg(
        &self,
        what: &PassphraseFor,
        purpose: Purpose,
        refused: &[Secret],
        job: &Job,
    ) -> Result<Option<Secret>> {
        self.find_or_ask(PassphraseRequest::for_what(what.clone()), purpose, refused, job)
    }

    /// The same of those that are known; nobody is asked.
    pub(super) fn known_for_gpg(
        &self,
        what: &PassphraseFor,
        purpose: Purpose,
        refused: &[Secret],
    ) -> Option<Secret> {
        self.store().find(&what.slot(), purpose, refused)
    }

    /// Notes that a file of the archive was opened with the passphrase.
    pub(super) fn accept(&self, secret: Secret) {
        self.store().opened_last = Some(secret);
    }

    /// Notes that gpg found the passphrase of a key wrong.
    pub(super) fn reject(&self, what: &PassphraseFor, secret: &Secret) {
        let mut store = self.store();
        let slot = what.slot();
        if let Slot::Key(id) = &slot
            && store.keys.get(id) == Some(secret)
        {
            store.keys.remove(id);
        }
        let wrong = store.wrong.entry(slot).or_default();
        if !wrong.contains(secret) {
            wrong.push(secret.clone());
        }
    }

    /// The error for a passphrase that nobody gave, instead of those that were `refused`.
    pub(super) fn refusal(&self, what: PassphraseFor, refused: &[Secret]) -> CryptoError {
        if !refused.is_empty() || self.store().has_wrong(&what.slot()) {
            CryptoError::WrongPassphrase { what }
        } else {
            CryptoError::PassphraseNeeded { what }
        }
    }

    fn find_or_ask(
        &self,
        mut request: PassphraseRequest,
        purpose: Purpose,
        refused: &[Secret],
        job: &Job,
    ) -> Result<Option<Secret>> {
        let slot = request.what.slot();
        let mut was_asked = false;
        if let Some(known) = self.store().find(&slot, purpose, refused) {
            return Ok(Some(known));
        }
        let _turn = self.0.asking.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            {
                let store = self.store();
                // Another worker may have asked meanwhile.
                if let Some(known) = store.find(&slot, purpose, refused) {
                    return Ok(Some(known));
                }
                if store.declined.contains(&slot) {
                    return Ok(None);
                }
                request.previous_was_wrong = was_asked || !refused.is_empty() || store.has_wrong(&slot);
                request.opened_others = slot == Slot::Archive && store.opened_last.is_some();
            }
            was_asked = true;
            let answer = job.ask_passphrase(request.clone())?.and_then(filled);
            let mut store = self.store();
            match answer {
                // An answer that is known to be wrong leads to the next question.
                Some(secret) => store.keep(&slot, secret),
                None => {
                    store.declined.insert(slot);
                    return Ok(None);
                }
            }
        }
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.0.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Passphrases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrases(…)")
    }
}

impl Store {
    fn find(&self, slot: &Slot, purpose: Purpose, refused: &[Secret]) -> Option<Secret> {
        let (candidates, earlier) = match slot {
            Slot::Archive => ([self.opened_last.as_ref(), self.archive.as_ref(), None], &*self.earlier),
            Slot::Key(id) => {
                let sign = self.sign.as_ref().filter(|_| purpose == Purpose::Seal);
                ([self.keys.get(id), sign, self.archive.as_ref()], &[][..])
            }
        };
        let wrong = self.wrong.get(slot).map_or(&[][..], Vec::as_slice);
        let is_wrong = |secret: &&Secret| wrong.contains(secret) || refused.contains(secret);
        candidates.into_iter().flatten().chain(earlier).find(|secret| !is_wrong(secret)).cloned()
    }

    fn set_archive(&mut self, secret: Option<Secret>) {
        let before = std::mem::replace(&mut self.archive, secret);
        self.earlier.extend(before.filter(|before| !self.earlier.contains(before)));
    }

    fn keep(&mut self, slot: &Slot, secret: Secret) {
        match slot {
            Slot::Archive => self.set_archive(Some(secret)),
            Slot::Key(id) => {
                self.keys.insert(id.clone(), secret);
            }
        }
    }

    fn has_wrong(&self, slot: &Slot) -> bool {
        self.wrong.get(slot).is_some_and(|wrong| !wrong.is_empty())
    }

    fn forget_verdicts(&mut self) {
        self.wrong.clear();
        self.declined.clear();
    }
}

fn filled(secret: Secret) -> Option<Secret> {
    Some(secret).filter(|secret| !secret.is_empty())
}

/// The last 16 digits, which a fingerprint and a long key id have in common (RFC 4880, 12.2).
fn long_id(id: &str) -> String {
    let digits: String =
        id.chars().filter(char::is_ascii_hexdigit).map(|digit| digit.to_ascii_uppercase()).collect();
    digits[digits.len().saturating_sub(16)..].to_owned()
}
