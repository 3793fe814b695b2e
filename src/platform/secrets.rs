//! Passphrases in the Secret Service, or in the sandbox's own keyring. Only what a person wants to be
//! remembered goes there.

use std::fmt;

use oo7::dbus::Service;

use crate::config::APP_ID;
use crate::engine::crypto::{PassphraseFor, Secret};
use crate::engine::sandbox::is_sandboxed;
use crate::engine::storage::{CredentialRequest, WantedCredential};

/// Why a passphrase could not be looked up or remembered.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// There is no Secret Service, or it does not answer.
    #[error("no password storage is available: {0}")]
    Unavailable(String),
    /// Something is remembered there, and nobody was to be asked to unlock it.
    #[error("the password storage is locked")]
    Locked,
    /// It refused, for example because its question was dismissed.
    #[error("the password storage refused: {0}")]
    Refused(String),
}

/// Whose passphrase it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// The backups of the plan with this id.
    Plan(String),
    /// The backups of the plan with this id from the next chain on.
    NextOfPlan(String),
    /// Older backups of a plan: its id, and a number.
    EarlierOfPlan(String),
    /// The key with this long id.
    Key(String),
    /// Somebody's account on a server.
    Account(String),
    /// A key file.
    KeyFile(String),
}

impl Owner {
    /// Under what the passphrase for `what` is remembered; nothing for backups that belong to no plan.
    pub fn of(what: &PassphraseFor, plan_id: Option<&str>) -> Option<Self> {
        match what {
            PassphraseFor::Archive => plan_id.map(|id| Self::Plan(id.to_owned())),
            PassphraseFor::Key { id, .. } => Some(Self::Key(long_id(id))),
        }
    }

    /// Under what a passphrase of older backups of a plan is remembered; numbers begin with one.
    pub fn earlier(plan_id: &str, number: usize) -> Self {
        Self::EarlierOfPlan(format!("{plan_id} {number}"))
    }

    /// Under what the answer to a place's question is remembered; nothing for what is asked anew each time.
    pub fn of_credential(request: &CredentialRequest) -> Option<Self> {
        match &request.wanted {
            WantedCredential::Password { user } | WantedCredential::SecretKey { key_id: user } => {
                Some(Self::Account(format!("{user} {}", server_of(&request.location))))
            }
            WantedCredential::KeyPassphrase { path } => Some(Self::KeyFile(path.display().to_string())),
            WantedCredential::Prompt { .. } => None,
        }
    }

    fn attributes(&self) -> [(&'static str, &str); 3] {
        let (kind, id) = match self {
            Self::Plan(id) => ("plan", id),
            Self::NextOfPlan(id) => ("next-of-plan", id),
            Self::EarlierOfPlan(id) => ("earlier-of-plan", id),
            Self::Key(id) => ("key", id),
            Self::Account(name) => ("account", name),
            Self::KeyFile(path) => ("key-file", path),
        };
        [("application", APP_ID), ("kind", kind), ("id", id)]
    }
}

/// As it stands in the notes on passphrases.
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [_, (_, kind), (_, id)] = self.attributes();
        write!(f, "{kind} {id}")
    }
}

/// The passphrase, if it is remembered.
pub async fn look_up(owner: &Owner) -> Result<Option<Secret>, SecretsError> {
    let Some(item) = item_of(owner).await? else { return Ok(None) };
    if item.is_locked().await.map_err(refused)? {
        item.unlock().await.map_err(refused)?;
    }
    Ok(Some(secret_in(&item).await?))
}

/// The same without asking anybody: what is locked is an error.
pub async fn look_up_unlocked(owner: &Owner) -> Result<Option<Secret>, SecretsError> {
    let Some(item) = item_of(owner).await? else { return Ok(None) };
    if item.is_locked().await.map_err(refused)? {
        return Err(SecretsError::Locked);
    }
    Ok(Some(secret_in(&item).await?))
}

/// Remembers a passphrase, in the place of an older one. The label is what a password manager shows.
pub async fn remember(owner: &Owner, label: &str, secret: &Secret) -> Result<(), SecretsError> {
    let keyring = keyring().await?;
    keyring.unlock().await.map_err(refused)?;
    keyring.create_item(label, &owner.attributes()[..].to_vec(), secret.expose(), true).await.map_err(refused)
}

/// Forgets a passphrase; one that is not remembered is no error.
pub async fn forget(owner: &Owner) -> Result<(), SecretsError> {
    let Some(keyring) = existing_keyring().await? else { return Ok(()) };
    keyring.delete(&owner.attributes()[..].to_vec()).await.map_err(refused)
}

/// Remembers one more passphrase of older backups of a plan.
pub async fn remember_earlier(plan_id: &str, label: &str, secret: &Secret) -> Result<(), SecretsError> {
    let mut number = 1;
    while let Some(known) = look_up(&Owner::earlier(plan_id, number)).await? {
        if known == *secret {
            return Ok(());
        }
        number += 1;
    }
    remember(&Owner::earlier(plan_id, number), label, secret).await
}

/// Puts the passphrase for the next chain in the place of the plan's, which is kept as an earlier one. One
/// that is not remembered leaves nothing in its place.
pub async fn renew(plan_id: &str, label: &str) -> Result<(), SecretsError> {
    let (present, next) = (Owner::Plan(plan_id.to_owned()), Owner::NextOfPlan(plan_id.to_owned()));
    if let Some(before) = look_up(&present).await? {
        remember_earlier(plan_id, label, &before).await?;
        forget(&present).await?;
    }
    if let Some(new) = look_up(&next).await? {
        remember(&present, label, &new).await?;
        forget(&next).await?;
    }
    Ok(())
}

/// Forgets all passphrases of a plan's backups.
pub async fn forget_plan(plan_id: &str) -> Result<(), SecretsError> {
    let mut number = 1;
    while look_up(&Owner::earlier(plan_id, number)).await?.is_some() {
        forget(&Owner::earlier(plan_id, number)).await?;
        number += 1;
    }
    forget(&Owner::NextOfPlan(plan_id.to_owned())).await?;
    forget(&Owner::Plan(plan_id.to_owned())).await
}

async fn item_of(owner: &Owner) -> Result<Option<oo7::Item>, SecretsError> {
    let Some(keyring) = existing_keyring().await? else { return Ok(None) };
    let items = keyring.search_items(&owner.attributes()[..].to_vec()).await.map_err(refused)?;
    Ok(items.into_iter().next())
}

async fn secret_in(item: &oo7::Item) -> Result<Secret, SecretsError> {
    Ok(Secret::new(item.secret().await.map_err(refused)?.as_bytes()))
}

/// The keyring, which is made where there is none; for that a person may be asked for its new password.
async fn keyring() -> Result<oo7::Keyring, SecretsError> {
    oo7::Keyring::new().await.map_err(unavailable)
}

/// The keyring, if there is one: nobody is asked for the password of a new one to hear that it is empty.
async fn existing_keyring() -> Result<Option<oo7::Keyring>, SecretsError> {
    if !is_sandboxed() {
        let service = Service::new().await.map_err(unavailable)?;
        if service.with_alias(Service::DEFAULT_COLLECTION).await.map_err(unavailable)?.is_none() {
            return Ok(None);
        }
    }
    Ok(Some(keyring().await?))
}

fn unavailable(error: impl fmt::Display) -> SecretsError {
    SecretsError::Unavailable(error.to_string())
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err takes")]
fn refused(error: oo7::Error) -> SecretsError {
    SecretsError::Refused(error.to_string())
}

/// An address without its path: all folders on a server have one password.
fn server_of(location: &str) -> &str {
    let host = location.find("://").map_or(0, |at| at + 3);
    let end = location[host..].find('/').map_or(location.len(), |at| host + at);
    &location[..end]
}

/// The last 16 digits, which a fingerprint and a long key id have in common (RFC 4880, 12.2).
fn long_id(id: &str) -> String {
    let digits: String = id.chars().filter(char::is_ascii_hexdigit).collect::<String>().to_ascii_uppercase();
    digits[digits.len().saturating_sub(16)..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_by_fingerprint_and_by_id() {
        let key = |id: &str| Owner::of(&PassphraseFor::Key { id: id.into(), user_id: None }, None);
        assert_eq!(key("0123456789abcdef0123456789abcdef01234567"), key("89ABCDEF01234567"));
        assert_eq!(Owner::of(&PassphraseFor::Archive, None), None);
        assert_eq!(Owner::of(&PassphraseFor::Archive, Some("a")), Some(Owner::Plan("a".into())));
    }

    #[test]
    fn a_server_has_one_password_for_all_folders() {
        let of = |location: &str| {
            let wanted = WantedCredential::Password { user: "me".into() };
            let (location, previous_was_wrong) = (location.to_owned(), false);
            Owner::of_credential(&CredentialRequest { location, wanted, previous_was_wrong })
        };
        assert_eq!(of("sftp://me@host:22//a"), of("sftp://me@host:22/b"));
        assert_ne!(of("sftp://me@host:22//a"), of("sftp://me@other:22//a"));
        assert_eq!(of("s3://bucket"), Some(Owner::Account("me s3://bucket".into())));
    }
}
