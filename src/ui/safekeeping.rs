//! Whether people still know their passphrases, what was done so that keys are not lost, and whose backups they wanted to
//! see. Reads and writes files off the main loop.

use std::path::Path;

use crate::engine::crypto::{Encryption, PassphraseFor, Secret};
use crate::engine::format::time::SetTime;
use crate::i18n::gettext;
use crate::kit::Keep;
use crate::plan::Plan;
use crate::plan::safekeeping::{FORGOTTEN_AFTER_SECS, KeyCare, Safekeeping};
use crate::platform::secrets::{self, Owner};

/// Works with the notes; the answer is none where they cannot be kept.
async fn with_notes<T: Send + 'static>(
    work: impl FnOnce(&mut Safekeeping) -> T + Send + 'static,
) -> Option<T> {
    let worked = gio::spawn_blocking(move || {
        Safekeeping::default_folder().map(|folder| Safekeeping::change(&folder, work))
    });
    match worked.await {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Notes that a passphrase was typed, and right.
pub async fn note_typed(owner: &Owner) {
    note_typed_at(owner, SetTime::now().epoch()).await;
}

async fn note_typed_at(owner: &Owner, time_secs: i64) {
    let whose = owner.to_string();
    if let Some(Err(error)) = with_notes(move |notes| notes.note_typed(&whose, time_secs)).await {
        tracing::warn!(%error, "that a passphrase was typed is not noted");
    }
}

/// Why a copy of a key does not belong into a folder, if the backups that it opens are kept there.
pub fn beside_backups(folder: &Path, backups: &Path) -> Option<String> {
    folder.starts_with(backups).then(|| {
        gettext(
            "The backups themselves are kept there: whoever finds them would find the key, too. Choose another folder.",
        )
    })
}

/// Notes that a key was kept in a folder, or printed.
pub async fn note_kept(fingerprint: String, what: Keep) {
    let now = Some(SetTime::now().epoch());
    let care = match what {
        Keep::Files => KeyCare { copied_secs: now, kit_secs: None },
        Keep::Kit => KeyCare { copied_secs: None, kit_secs: now },
        Keep::FilesAndKit => KeyCare { copied_secs: now, kit_secs: now },
    };
    if let Some(Err(error)) = with_notes(move |notes| notes.note_key_care(&fingerprint, care)).await {
        tracing::warn!(%error, "that a key was copied is not noted");
    }
}

/// Notes that somebody wants to see the backups of another computer.
pub async fn accept_host(place: String, host: String) {
    if let Some(Err(error)) = with_notes(move |notes| notes.accept_host(&place, &host)).await {
        tracing::warn!(%error, "that the backups of another computer were opened is not noted");
    }
}

/// What was done so that a key is not lost.
pub async fn key_care(fingerprint: String) -> KeyCare {
    with_notes(move |notes| notes.key_care(&fingerprint)).await.unwrap_or_default()
}

/// A passphrase that only this computer remembers, as far as anybody can tell.
#[derive(Debug, Clone)]
pub struct Unproved {
    owner: Owner,
    /// The passphrase.
    pub secret: Secret,
    /// When it was typed last, in seconds since 1970.
    pub since_secs: i64,
}

impl Unproved {
    /// Whether somebody has to show that they still know what opens a plan's backups: it is remembered for them, and
    /// they have not typed it for two months. `begun_secs` is the oldest run that is known, for where nothing is noted.
    pub async fn of(plan: &Plan, begun_secs: Option<i64>) -> Option<Self> {
        let owner = match &plan.protection.encryption {
            Encryption::None => None,
            Encryption::Passphrase => Owner::of(&PassphraseFor::Archive, Some(&plan.id)),
            Encryption::Keys(recipients) => recipients.first().and_then(|recipient| {
                Owner::of(&PassphraseFor::Key { id: recipient.key.clone(), user_id: None }, None)
            }),
        }?;
        let whose = owner.to_string();
        let typed = with_notes(move |notes| notes.typed_secs(&whose)).await.flatten();
        let since_secs = match typed {
            Some(typed_secs) => typed_secs,
            // Not every run is remembered for so long.
            None => {
                note_typed_at(&owner, begun_secs?).await;
                begun_secs?
            }
        };
        if SetTime::now().epoch() - since_secs < FORGOTTEN_AFTER_SECS {
            return None;
        }
        let secret = secrets::look_up_unlocked(&owner).await.ok().flatten()?;
        Some(Self { owner, secret, since_secs })
    }

    /// Notes that they do.
    pub async fn prove(&self) {
        note_typed(&self.owner).await;
    }
}
