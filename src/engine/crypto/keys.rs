//! The keys of a person, as gpg keeps them.

use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gpgme::KeyListMode;
use jiff::Timestamp;

use super::agent::Agent;
use super::error::{AgentTrouble, CryptoError, KeyName, UnusableReason};
use super::home::{self, own_home};
use super::passphrases::{Passphrases, Purpose, Secret};
use super::status;
use super::talk::{Answers, Talk, Wanted};
use super::{Encryption, Protection};
use crate::engine::error::Result;
use crate::engine::job::Job;

/// Which keys are used, and who asks for their passphrases. Clones mean the same keyring.
#[derive(Debug, Clone)]
pub struct Keyring {
    home: Option<PathBuf>,
    agent_asks: bool,
    agent: Agent,
}

impl Default for Keyring {
    /// The keyring of the person (`GNUPGHOME` or `~/.gnupg`); inside a sandbox one of the application's own in its data
    /// folder, unless `GNUPGHOME` names another. The folder is made.
    fn default() -> Self {
        let home = own_home();
        if let Some(home) = &home {
            home::make(home);
        }
        Self { home, agent_asks: true, agent: Agent::default() }
    }
}

impl Keyring {
    /// The keyring in this folder, rather than the one that [`Keyring::default`] means. The path must be shorter
    /// than about 80 bytes, since sockets are made in it.
    pub fn at(home: impl Into<PathBuf>) -> Self {
        Self { home: Some(home.into()), ..Self::default() }
    }

    /// The same keyring, where gpg-agent's own pinentry may ask or not: for a card and its PIN, and for passphrases of keys
    /// where the agent lets nobody else ask. If it may not, the card must be there and all that was entered already.
    pub fn with_agent_asking(self, agent_asks: bool) -> Self {
        Self { agent_asks, ..self }
    }

    /// Whether the agent's pinentry may ask.
    pub(super) fn agent_asks(&self) -> bool {
        self.agent_asks
    }

    /// Whether the agent lets nobody else ask for passphrases of keys.
    pub(super) fn agent_asks_alone(&self) -> bool {
        self.agent.asks_alone(self.home())
    }

    /// The folder, unless it is the one that gpg takes by itself.
    pub fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }

    /// Every key, usable or not, in the order of the keyring.
    ///
    /// Fails with [`CryptoError::GpgMissing`] or [`CryptoError::Other`].
    pub fn list(&self) -> Result<Vec<Key>, CryptoError> {
        Ok(self.listing(None)?.iter().filter_map(Key::read).collect())
    }

    /// The key with this fingerprint or key id (8, 16 or 40 hexadecimal digits, of the primary key or a
    /// subkey) or e-mail address. Of several with one address the newest usable one.
    ///
    /// Fails with [`CryptoError::MissingPublicKey`] if there is none, and with
    /// [`CryptoError::UnusableKey`] if an id fits several.
    pub fn find(&self, id: &str) -> Result<Key, CryptoError> {
        let found = self.find_raw(id)?;
        Key::read(&found).ok_or_else(|| CryptoError::MissingPublicKey { key: KeyName::id(id) })
    }

    /// Makes a key pair that can certify, sign and decrypt. Takes seconds.
    pub fn generate(&self, new: &NewKey) -> Result<Key, CryptoError> {
        let parameters = new.parameters()?;
        let passphrases = Passphrases::new();
        if let Some(secret) = &new.passphrase {
            passphrases.set_archive(secret.clone());
        }
        let talk = Talk::new(Answers::new(passphrases, Job::unattended(), Purpose::Seal));
        let mut context = talk.context(self, Wanted::Archive)?;
        let made = context
            .generate_key(parameters, None::<gpgme::Data<'_>>, None::<gpgme::Data<'_>>)
            .map_err(|error| talk.facts().seal_error(error))?;
        let fingerprint = made.fingerprint().unwrap_or_default().to_owned();
        drop(context);
        self.find(&fingerprint)
    }

    /// Whether everything that `protection` needs is in the keyring and usable, before anything is
    /// written. The error names the first key that is not. Secret keys are looked for, not unlocked.
    pub fn check(&self, protection: &Protection) -> Result<(), CryptoError> {
        if let Encryption::Keys(recipients) = &protection.encryption {
            for recipient in recipients {
                self.recipient(&recipient.key)?;
            }
        }
        if let Some(key) = protection.sign_key.as_ref().filter(|_| protection.is_openpgp()) {
            self.signer(key)?;
        }
        Ok(())
    }

    /// A key to encrypt to.
    pub(super) fn recipient(&self, id: &str) -> Result<gpgme::Key, CryptoError> {
        let raw = self.find_raw(id)?;
        usable(&raw, id, Role::Encrypt)?;
        Ok(raw)
    }

    /// A key to sign with.
    pub(super) fn signer(&self, id: &str) -> Result<gpgme::Key, CryptoError> {
        let raw = self.find_raw(id)?;
        usable(&raw, id, Role::Sign)?;
        let has_secret =
            raw.subkeys().any(|subkey| subkey.can_sign() && !subkey.is_bad() && subkey.is_secret());
        if has_secret { Ok(raw) } else { Err(self.without_secret(vec![name_of(&raw, id)])) }
    }

    /// The error for keys without their secret parts. gpg finds none either when it cannot reach the agent
    /// that has them.
    pub(super) fn without_secret(&self, keys: Vec<KeyName>) -> CryptoError {
        match self.agent_answers() {
            Ok(true) => CryptoError::MissingSecretKey { keys },
            Ok(false) => CryptoError::AgentLocked(AgentTrouble::Unreachable),
            Err(error) => error,
        }
    }

    /// Long ids of keys that decrypt, and whose secret parts are on cards.
    pub(super) fn decrypting_card_keys(&self) -> Result<Vec<String>, CryptoError> {
        let ids = |raw: &gpgme::Key| {
            let on_card = raw.subkeys().filter(|subkey| subkey.can_encrypt() && subkey.is_card_key());
            on_card.filter_map(|subkey| Some(subkey.id().ok()?.to_owned())).collect::<Vec<_>>()
        };
        Ok(self.listing(None)?.iter().flat_map(ids).collect())
    }

    fn agent_answers(&self) -> Result<bool, CryptoError> {
        let (passphrases, job) = (Passphrases::new(), Job::unattended());
        let talk = Talk::new(Answers::new(passphrases, job, Purpose::Open));
        let mut context = talk.context(self, Wanted::Key)?;
        let first = context.secret_keys().map_err(status::plain)?.next();
        drop(context);
        Ok(match first {
            Some(key) => key.is_ok(),
            None => !talk.facts().has_complaint(),
        })
    }

    /// The id with its owner's name, if the keyring knows the key.
    pub(super) fn name(&self, key: KeyName) -> KeyName {
        if key.user_id.is_some() || key.is_hidden() {
            return key;
        }
        match self.find_raw(&key.id) {
            Ok(found) => name_of(&found, &key.id),
            Err(_) => key,
        }
    }

    pub(super) fn find_raw(&self, id: &str) -> Result<gpgme::Key, CryptoError> {
        let missing = || CryptoError::MissingPublicKey { key: KeyName::id(id) };
        let pattern = pattern(id).ok_or_else(missing)?;
        let by_address = pattern.starts_with('<');
        let mut found = self.listing(Some(&pattern))?;
        if !by_address && found.len() > 1 {
            let key = KeyName::id(id);
            return Err(CryptoError::UnusableKey { key, reason: UnusableReason::Ambiguous });
        }
        found.sort_by_key(|key| {
            (!key.is_bad(), key.primary_key().and_then(|primary| primary.creation_time()))
        });
        found.pop().ok_or_else(missing)
    }

    fn listing(&self, pattern: Option<&str>) -> Result<Vec<gpgme::Key>, CryptoError> {
        let mut context = self.context()?;
        context.set_key_list_mode(KeyListMode::LOCAL | KeyListMode::WITH_SECRET).map_err(status::plain)?;
        let pattern = pattern.and_then(|pattern| CString::new(pattern).ok());
        let keys = context.find_keys(pattern).map_err(status::plain)?;
        keys.collect::<gpgme::Result<Vec<_>>>().map_err(status::plain)
    }
}

/// What gpg looks for: ids exactly, addresses exactly, and nothing that it would take for a part of a
/// name.
fn pattern(id: &str) -> Option<String> {
    let compact: String = id.chars().filter(|character| !character.is_whitespace()).collect();
    let digits = compact.strip_prefix("0x").unwrap_or(&compact);
    if matches!(digits.len(), 8 | 16 | 40) && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Some(format!("0x{digits}"));
    }
    let address = compact.trim_start_matches('<').trim_end_matches('>');
    (address.contains('@') && !address.contains('\0')).then(|| format!("<{address}>"))
}

pub(super) fn name_of(key: &gpgme::Key, asked: &str) -> KeyName {
    let id = key.fingerprint().unwrap_or(asked).to_owned();
    KeyName { id, user_id: user_id(key) }
}

fn user_id(key: &gpgme::Key) -> Option<String> {
    let id = key.user_ids().find(|id| !id.is_bad()).or_else(|| key.user_ids().next())?;
    Some(id.to_string()).filter(|text| !text.is_empty())
}

/// What a key is wanted for.
#[derive(Debug, Clone, Copy)]
enum Role {
    Encrypt,
    Sign,
}

impl Role {
    fn fits(self, subkey: &gpgme::Subkey<'_>) -> bool {
        match self {
            Self::Encrypt => subkey.can_encrypt(),
            Self::Sign => subkey.can_sign(),
        }
    }

    fn misfit(self) -> UnusableReason {
        match self {
            Self::Encrypt => UnusableReason::NoEncryption,
            Self::Sign => UnusableReason::NoSigning,
        }
    }
}

fn usable(key: &gpgme::Key, asked: &str, role: Role) -> Result<(), CryptoError> {
    let name = || name_of(key, asked);
    if key.is_revoked() {
        return Err(CryptoError::RevokedKey { key: name() });
    }
    if key.is_expired() {
        return Err(CryptoError::ExpiredKey { key: name() });
    }
    if key.is_disabled() {
        return Err(CryptoError::UnusableKey { key: name(), reason: UnusableReason::Disabled });
    }
    if key.is_invalid() {
        return Err(CryptoError::UnusableKey { key: name(), reason: UnusableReason::Invalid });
    }
    let able: Vec<_> = key.subkeys().filter(|subkey| role.fits(subkey)).collect();
    if able.iter().any(|subkey| !subkey.is_bad()) {
        Ok(())
    } else if able.iter().any(|subkey| subkey.is_expired()) {
        Err(CryptoError::ExpiredKey { key: name() })
    } else if able.iter().any(|subkey| subkey.is_revoked()) {
        Err(CryptoError::RevokedKey { key: name() })
    } else {
        Err(CryptoError::UnusableKey { key: name(), reason: role.misfit() })
    }
}

/// A key in the keyring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Fingerprint of the primary key, upper-case hexadecimal.
    pub fingerprint: String,
    /// Name and address, as in `Alice <alice@example.org>`.
    pub user_id: String,
    /// Name of the owner.
    pub name: String,
    /// E-mail address of the owner.
    pub email: String,
    /// Algorithm and size of the primary key, such as `ed25519` or `rsa4096`.
    pub algorithm: String,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// When it expires, if ever.
    pub expires: Option<Timestamp>,
    /// Whether backups can be encrypted to it now.
    pub can_encrypt: bool,
    /// Whether it can sign now, given its secret part.
    pub can_sign: bool,
    /// Whether the secret part is in the keyring or on a known card.
    pub has_secret: bool,
    /// Whether a card keeps a secret part: then it cannot be exported.
    pub is_on_card: bool,
    /// What speaks against using it.
    pub state: KeyState,
    /// Fingerprints of the subkeys. A signature names the subkey that made it.
    pub subkeys: Vec<String>,
}

/// Whether a key can be used to encrypt to, and what speaks against it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// Nothing.
    Usable,
    /// Usable, but weak by today's measure: RSA or ElGamal below 3072 bits, or DSA.
    Weak,
    /// It, or all of it that encrypts, has expired.
    Expired,
    /// It is revoked.
    Revoked,
    /// Its owner disabled it in the keyring.
    Disabled,
    /// gpg finds it defective.
    Invalid,
    /// It has no part that encrypts; it may sign.
    NoEncryption,
}

impl KeyState {
    /// Whether backups can be encrypted to the key.
    pub fn is_usable(self) -> bool {
        matches!(self, Self::Usable | Self::Weak)
    }
}

impl Key {
    /// None if gpg gives a key without a fingerprint.
    pub(super) fn read(raw: &gpgme::Key) -> Option<Self> {
        let fingerprint = raw.fingerprint().ok()?.to_owned();
        let primary = raw.primary_key()?;
        let uid = raw.user_ids().find(|id| !id.is_bad()).or_else(|| raw.user_ids().next());
        let text = |field: Option<Result<&str, Option<std::str::Utf8Error>>>| {
            field.and_then(Result::ok).unwrap_or_default().to_owned()
        };
        let can =
            |role: Role| !raw.is_bad() && raw.subkeys().any(|subkey| role.fits(&subkey) && !subkey.is_bad());
        Some(Self {
            user_id: user_id(raw).unwrap_or_default(),
            name: text(uid.map(|uid| uid.name())),
            email: text(uid.map(|uid| uid.email())),
            algorithm: primary.algorithm_name().unwrap_or_default(),
            created: primary.creation_time().and_then(|time| Timestamp::try_from(time).ok()),
            expires: primary.expiration_time().and_then(|time| Timestamp::try_from(time).ok()),
            can_encrypt: can(Role::Encrypt),
            can_sign: can(Role::Sign),
            has_secret: raw.has_secret() || raw.subkeys().any(|subkey| subkey.is_secret()),
            is_on_card: raw.subkeys().any(|subkey| subkey.is_card_key()),
            state: state_of(raw, &fingerprint),
            subkeys: raw
                .subkeys()
                .skip(1)
                .filter_map(|subkey| Some(subkey.fingerprint().ok()?.to_owned()))
                .collect(),
            fingerprint,
        })
    }
}

fn state_of(raw: &gpgme::Key, fingerprint: &str) -> KeyState {
    match usable(raw, fingerprint, Role::Encrypt) {
        Ok(()) if raw.subkeys().any(|subkey| !subkey.is_bad() && is_weak(&subkey)) => KeyState::Weak,
        Ok(()) => KeyState::Usable,
        Err(CryptoError::ExpiredKey { .. }) => KeyState::Expired,
        Err(CryptoError::RevokedKey { .. }) => KeyState::Revoked,
        Err(CryptoError::UnusableKey { reason: UnusableReason::Disabled, .. }) => KeyState::Disabled,
        Err(CryptoError::UnusableKey { reason: UnusableReason::NoEncryption, .. }) => KeyState::NoEncryption,
        Err(_) => KeyState::Invalid,
    }
}

fn is_weak(subkey: &gpgme::Subkey<'_>) -> bool {
    use gpgme::KeyAlgorithm as A;
    match subkey.algorithm() {
        A::Dsa => true,
        A::Rsa | A::RsaEncrypt | A::RsaSign | A::Elgamal | A::ElgamalEncrypt => subkey.length() < 3072,
        _ => false,
    }
}

/// A key to be made.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Name of the owner.
    pub name: String,
    /// E-mail address of the owner; may be empty.
    pub email: String,
    /// What kind of key.
    pub algorithm: KeyAlgorithm,
    /// How long it is valid from now on; for ever if none.
    pub expires: Option<Duration>,
    /// What unlocks it; none leaves the secret key unprotected on the disk.
    pub passphrase: Option<Secret>,
}

/// The kinds of key that are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyAlgorithm {
    /// Ed25519 to sign and Curve25519 to encrypt: quick and short.
    #[default]
    Ed25519,
    /// RSA with 4096 bits, for programs that know nothing newer.
    Rsa4096,
}

impl KeyAlgorithm {
    fn parameters(self) -> &'static str {
        match self {
            Self::Ed25519 => {
                "Key-Type: EDDSA\nKey-Curve: ed25519\nKey-Usage: cert,sign\n\
                 Subkey-Type: ECDH\nSubkey-Curve: cv25519\nSubkey-Usage: encrypt\n"
            }
            Self::Rsa4096 => {
                "Key-Type: RSA\nKey-Length: 4096\nKey-Usage: cert,sign\n\
                 Subkey-Type: RSA\nSubkey-Length: 4096\nSubkey-Usage: encrypt\n"
            }
        }
    }
}

impl NewKey {
    /// The parameters of gpg's unattended key generation (doc/DETAILS). The passphrase is not among them.
    fn parameters(&self) -> Result<String, CryptoError> {
        let (name, email) = (self.name.trim(), self.email.trim());
        let is_odd = |text: &str| text.contains(['<', '>']) || text.contains(char::is_control);
        if name.is_empty() || is_odd(name) || is_odd(email) {
            let reason = "a key needs a name without angle brackets and control characters";
            return Err(CryptoError::Other(reason.to_owned()));
        }
        let mut text = format!("<GnupgKeyParms format=\"internal\">\n{}", self.algorithm.parameters());
        text += &format!("Name-Real: {name}\n");
        if !email.is_empty() {
            text += &format!("Name-Email: {email}\n");
        }
        match self.expires {
            Some(validity) => text += &format!("Expire-Date: seconds={}\n", validity.as_secs().max(1)),
            None => text += "Expire-Date: 0\n",
        }
        if self.passphrase.as_ref().is_none_or(Secret::is_empty) {
            text += "%no-protection\n";
        }
        Ok(text + "</GnupgKeyParms>\n")
    }
}
