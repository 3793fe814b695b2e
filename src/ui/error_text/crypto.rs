//! What gpg and keys have to say, in words.

use crate::engine::crypto::{AgentTrouble, CryptoError, KeyName, PassphraseFor, SealDamage, UnusableReason};
use crate::i18n::{gettext, gettext_f};

pub(super) fn gpg(error: &CryptoError) -> (String, String, String) {
    match error {
        CryptoError::WrongPassphrase { what } => (
            gettext("The passphrase is wrong"),
            passphrase_for(what),
            gettext("Check the keyboard layout and Caps Lock, and try again."),
        ),
        CryptoError::PassphraseNeeded { what } => (
            gettext("The passphrase is needed"),
            passphrase_for(what),
            gettext("Try again and type the passphrase."),
        ),
        CryptoError::MissingSecretKey { keys } => (
            gettext("The secret key is not on this computer"),
            keys.iter().map(key_name).collect::<Vec<_>>().join(", "),
            gettext("Import the secret key, or insert the card that holds it, then try again."),
        ),
        CryptoError::MissingPublicKey { key } => (
            gettext("The key is not on this computer"),
            key_name(key),
            gettext("Import the key, or choose another one for this backup."),
        ),
        CryptoError::ExpiredKey { key } => (
            gettext("The key has expired"),
            key_name(key),
            gettext(
                "Extend its validity, or choose another key. Backups made with it can still be restored.",
            ),
        ),
        CryptoError::RevokedKey { key } => (
            gettext("The key was revoked"),
            key_name(key),
            gettext("Choose another key. Backups made with it can still be restored."),
        ),
        CryptoError::UnusableKey { key, reason } => {
            (gettext("The key cannot be used"), key_name(key), unusable(reason))
        }
        CryptoError::NoKeyFound => (
            gettext("There is no key in it"),
            String::new(),
            gettext("Choose a file that GnuPG or Souvenir exported, or the folder with such files."),
        ),
        CryptoError::AgentLocked(trouble) => {
            (gettext("The key could not be unlocked"), String::new(), agent(*trouble))
        }
        CryptoError::BadSignature { key } => (
            gettext("The signature is not right"),
            key_name(key),
            gettext("This file was changed after it was signed. Do not trust it; use another backup."),
        ),
        CryptoError::NotSigned { expected } => (
            gettext("The backup is not signed"),
            key_name(expected),
            gettext(
                "A signature by this key is demanded. Do not trust this backup unless you know why it has none.",
            ),
        ),
        CryptoError::WrongSigner { expected, found } => (
            gettext("The backup is signed by another key"),
            key_name(found),
            gettext_f(
                "A signature by {key} is demanded. Do not trust this backup unless you know the other key.",
                &[("key", &key_name(expected))],
            ),
        ),
        CryptoError::Damaged(damage) => (
            match damage {
                SealDamage::NotOpenPgp | SealDamage::NotEncrypted => {
                    gettext("A file of the backup is not what it should be")
                }
                _ => gettext("A file of the backup is damaged"),
            },
            String::new(),
            gettext(
                "It was cut short or changed after it was written. Try an older backup, and make a new backup soon.",
            ),
        ),
        CryptoError::GpgMissing => (
            gettext("GnuPG is not installed"),
            String::new(),
            gettext("Install GnuPG 2.2 or newer. It protects your backups."),
        ),
        _ => (gettext("GnuPG reported a problem"), String::new(), gettext("The details say what it was.")),
    }
}

fn unusable(reason: &UnusableReason) -> String {
    match reason {
        UnusableReason::Disabled => {
            gettext("It is switched off on this computer. Switch it on, or choose another key.")
        }
        UnusableReason::NoEncryption => gettext("It cannot encrypt. Choose another key."),
        UnusableReason::NoSigning => gettext("It cannot sign. Choose another key."),
        UnusableReason::OnCard => {
            gettext("A card keeps its secret part and gives it to nobody. Keep the card itself safe.")
        }
        UnusableReason::Ambiguous => gettext("Several keys have this name. Choose the right one."),
        _ => gettext("Choose another key."),
    }
}

fn agent(trouble: AgentTrouble) -> String {
    match trouble {
        AgentTrouble::NoPinentry => {
            gettext("The program that asks for the passphrase is not installed. Install “pinentry-gnome3”.")
        }
        AgentTrouble::NoCard => gettext(
            "Its card is not there, or wants its PIN. Insert the card and try again: then the PIN is asked for.",
        ),
        AgentTrouble::NotAsked => gettext(
            "Its passphrase is not known now, and on this computer only GnuPG itself asks for it. Start the work by hand: \
             then it is asked for.",
        ),
        AgentTrouble::TakesNoPassphrase => gettext(
            "GnuPG is set up on this computer to take no passphrase from other programs. Remove the line \
             “no-allow-loopback-pinentry” from the file gpg-agent.conf in its folder, and log out and in again.",
        ),
        AgentTrouble::PinBlocked => gettext(
            "The PIN of its card was wrong too often. Unblock the card in a terminal: gpg --card-edit",
        ),
        AgentTrouble::Declined => gettext(
            "The question for the passphrase, or for the card, was cancelled. Try again and answer it.",
        ),
        AgentTrouble::TimedOut => {
            gettext("The question for the passphrase was not answered in time. Try again.")
        }
        _ => gettext("The program that guards your keys does not answer. Log out and in again."),
    }
}

/// A key as people know it.
fn key_name(key: &KeyName) -> String {
    match &key.user_id {
        Some(user_id) => user_id.clone(),
        None if key.is_hidden() => gettext("a key that the backup does not name"),
        None => key.id.clone(),
    }
}

/// What a passphrase is for.
fn passphrase_for(what: &PassphraseFor) -> String {
    match what {
        PassphraseFor::Archive => gettext("This backup"),
        PassphraseFor::Key { user_id: Some(user_id), .. } => user_id.clone(),
        PassphraseFor::Key { id, .. } => id.clone(),
    }
}
