//! Failures and warnings in words for people: what happened, to what, and what to do now.
//!
//! Made from the engine's variants, never from its English texts; those are the technical details.

use crate::engine::crypto::{AgentTrouble, CryptoError, KeyName, PassphraseFor, SealDamage, UnusableReason};
use crate::engine::error::{Damage, Error, ForeignRepository};
use crate::engine::storage::{StorageError, StorageErrorKind};
use crate::i18n::{gettext, gettext_f, ngettext_f};
use crate::plan::history::{Problem, RunWarning, WarningKind};
use crate::ui::words;

/// A failure in words.
pub fn problem(error: &Error) -> Problem {
    let (what, subject, advice) = parts(error);
    Problem { what, subject, advice, details: chain(error) }
}

/// The texts of an error and of what caused it, without saying anything twice.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

fn parts(error: &Error) -> (String, String, String) {
    match error {
        Error::Cancelled(_) => (gettext("Stopped"), String::new(), String::new()),
        Error::Storage(error) => storage(error),
        Error::NoSpace { location, needed_bytes, free_bytes, .. } => {
            (gettext("The destination is full"), location.clone(), no_space(*needed_bytes, *free_bytes))
        }
        Error::Crypto { file, source } => {
            let (what, subject, advice) = crypto(source);
            let subject = if subject.is_empty() { file.clone().unwrap_or_default() } else { subject };
            (what, subject, advice)
        }
        Error::SourceMissing(path) => (
            gettext("The folder to back up does not exist"),
            path.display().to_string(),
            gettext(
                "If it is on a removable drive, connect the drive. If it was moved, set up the backup with its new place.",
            ),
        ),
        Error::SourceUnreadable { path, .. } => (
            gettext("The folder to back up cannot be read"),
            path.display().to_string(),
            gettext("Look whether you may open this folder, then try again."),
        ),
        Error::SourceEmpty(path) => (
            gettext("There is nothing to back up"),
            // The root of all plans: it says nothing about the folders of this one.
            if path.as_os_str() == "/" { String::new() } else { path.display().to_string() },
            gettext("The folders are empty, or everything in them is left out. Choose other folders."),
        ),
        Error::DestinationIsSource(path) => (
            gettext("The destination is the folder to back up itself"),
            path.display().to_string(),
            gettext("Choose another folder for the backup: one beside it, or better on another drive."),
        ),
        Error::SamePlace { location } => (
            gettext("The backups are there already"),
            location.clone(),
            gettext("Choose another place to copy them to."),
        ),
        Error::NotAllCopied { location, set_count } => (
            ngettext_f(
                "{count} snapshot could not be copied",
                "{count} snapshots could not be copied",
                *set_count,
                &[("count", &words::count(*set_count))],
            ),
            location.clone(),
            gettext(
                "Backups are still made at the old destination, and nothing was deleted. The log says which files could \
                 not be copied, and why. If older backups are damaged, start anew at the new destination, and keep the old \
                 ones for what can still be restored from them.",
            ),
        ),
        Error::Pattern { pattern, reason } => (
            gettext("A pattern for what is left out cannot be used"),
            pattern.clone(),
            gettext_f("Change the pattern: {reason}.", &[("reason", reason)]),
        ),
        Error::ForeignRepository { location, kind } => {
            (foreign(*kind), location.clone(), foreign_advice(*kind))
        }
        Error::NoBackup { location } => (
            gettext("There is no backup here"),
            location.clone(),
            gettext(
                "Choose the folder that holds the backup. Its files have names that begin with “duplicity”.",
            ),
        ),
        Error::PathNotInBackup { path } => (
            gettext("This is not in the backup of that time"),
            path.to_string(),
            gettext("Choose another backup."),
        ),
        Error::Damaged { file, damage } => (
            damage_text(damage),
            file.clone(),
            gettext("Nothing was changed. Try an older backup, and make a new backup soon."),
        ),
        Error::Target { path, .. } => (
            gettext("The folder to restore into cannot be written"),
            path.display().to_string(),
            gettext(
                "Look whether you may write there and whether there is space left, or choose another folder.",
            ),
        ),
        Error::TargetNotEmpty(path) => (
            gettext("The folder to restore into is not empty"),
            path.display().to_string(),
            gettext("Choose an empty or a new folder."),
        ),
        Error::Busy { holder, .. } => (
            gettext("Another backup is at work at this destination"),
            holder.clone(),
            gettext("Wait until it is done, then try again."),
        ),
        Error::NothingToTry { location } => (
            gettext("There is no file that could be tried"),
            location.clone(),
            gettext("Make a backup with files in it first."),
        ),
        Error::CannotExtend { location, .. } => (
            gettext("There is no backup that could be continued"),
            location.clone(),
            gettext("Make a full backup instead."),
        ),
        Error::OtherSource { found } => (
            gettext("The last backup is of something else"),
            found.clone(),
            gettext("Make a full backup, or choose another destination for this one."),
        ),
        Error::TimeNotLater { existing } => (
            gettext("The clock of this computer is wrong"),
            existing.clone(),
            gettext(
                "There is already a backup of this time or a later one. Set the clock right, then try again.",
            ),
        ),
        Error::KeyFileUnreadable { path, .. } => (
            gettext("The key could not be read from there"),
            path.display().to_string(),
            gettext("Look whether the file is there and whether you may read it, or choose another one."),
        ),
        Error::KeyFileUnwritable { path, .. } => (
            gettext("The key could not be saved there"),
            path.display().to_string(),
            gettext(
                "Look whether you may write there and whether there is space left, or choose another folder.",
            ),
        ),
        Error::KeyFileExists(path) => (
            gettext("A file of this name is there already"),
            path.display().to_string(),
            gettext("Nothing was overwritten. Choose another folder."),
        ),
        Error::Local { .. } => (
            gettext("This computer could not do its part"),
            String::new(),
            gettext("Look whether the disk with your home folder is full, then try again."),
        ),
        Error::Internal(_) => (
            gettext("Souvenir has made a mistake"),
            String::new(),
            gettext(
                "Your files and your finished backups are not touched. Please report this with the details.",
            ),
        ),
    }
}

/// What to do about a full destination, with the numbers that are known.
fn no_space(needed_bytes: Option<u64>, free_bytes: Option<u64>) -> String {
    let advice = gettext("Make space there, and the next backup goes on with what is finished.");
    let Some(free) = free_bytes.map(words::size) else { return advice };
    let numbers = match needed_bytes {
        Some(needed) => gettext_f(
            "Up to {needed} may still be needed, and {free} are free.",
            &[("needed", &words::size(needed)), ("free", &free)],
        ),
        None => gettext_f("{free} are free.", &[("free", &free)]),
    };
    format!("{numbers} {advice}")
}

fn storage(error: &StorageError) -> (String, String, String) {
    use StorageErrorKind as K;
    let (what, advice) = match error.kind {
        K::NotFound => (
            gettext("The destination is not there"),
            gettext(
                "If it is on a drive, connect the drive. Otherwise look whether the folder was moved or renamed.",
            ),
        ),
        K::AlreadyExists => (
            gettext("The destination already has a file of this name"),
            gettext("Nothing was overwritten. Wait a second and try again."),
        ),
        K::Permission => (
            gettext("You are not allowed to use the destination"),
            gettext("Change the permissions of this folder, or choose another one."),
        ),
        K::ReadOnly => (
            gettext("The destination can only be read"),
            gettext(
                "The drive is write-protected or was connected for reading only. Unlock or reconnect it, or choose another destination.",
            ),
        ),
        K::Full => (
            gettext("The destination is full"),
            gettext(
                "Make space there, or choose a larger destination. Backups that were finished before are complete.",
            ),
        ),
        K::NotAFolder => (
            gettext("The destination is not a folder"),
            gettext("Something else has this name. Choose a folder."),
        ),
        K::Unreachable => (
            gettext("The destination went away"),
            gettext("Look whether the drive is still connected, then try again."),
        ),
        K::Away => {
            (gettext("The drive is not connected"), gettext("Connect it; the backup then goes on by itself."))
        }
        K::TooLarge => (
            gettext("The drive cannot hold files of this size"),
            gettext("Its file system takes files of 4 GB at most. Set the volume size to less than that."),
        ),
        K::HostKey => (
            gettext("The server may not be the right one"),
            gettext(
                "Nothing was sent to it. The details say which key it shows. Ask its administrator whether that is right.",
            ),
        ),
        K::Credentials => (
            gettext("The server does not let you in"),
            gettext("Check the user name, and the password or the key."),
        ),
        K::Timeout => (gettext("The destination does not answer"), gettext("Try again in a while.")),
        K::Busy => (
            gettext("The server has too much to do"),
            gettext("It asked several times to be left alone for a while. Try again later."),
        ),
        K::NoSuchBucket => (
            gettext("There is no bucket of this name"),
            gettext("Check the name, or make the bucket on the pages of your provider."),
        ),
        K::WrongRegion => (
            gettext("The bucket is in another region"),
            gettext("The details may say which. Correct the region of the destination."),
        ),
        K::ClockWrong => (
            gettext("The clock of this computer is wrong"),
            gettext(
                "The server believes nobody whose time differs from its own. Set the clock right, then try again.",
            ),
        ),
        K::Certificate => (
            gettext("The server cannot prove who it is"),
            gettext(
                "Its certificate is not trusted on this computer. Nothing was sent to it. Check the address, or ask its administrator.",
            ),
        ),
        K::Archived => (
            gettext("The backup is in an archive of the provider"),
            gettext("Bring its files back on the pages of your provider, which takes hours, then try again."),
        ),
        _ => (
            gettext("The destination could not be used"),
            gettext("Try again. If it happens again, choose another destination."),
        ),
    };
    (what, error.location.clone(), advice)
}

fn crypto(error: &CryptoError) -> (String, String, String) {
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
        AgentTrouble::Declined => {
            gettext("The question for the passphrase was cancelled. Try again and answer it.")
        }
        AgentTrouble::TimedOut => {
            gettext("The question for the passphrase was not answered in time. Try again.")
        }
        _ => gettext("The program that guards your keys does not answer. Log out and in again."),
    }
}

/// A key as people know it.
pub fn key_name(key: &KeyName) -> String {
    match &key.user_id {
        Some(user_id) => user_id.clone(),
        None if key.is_hidden() => gettext("a key that the backup does not name"),
        None => key.id.clone(),
    }
}

/// What a passphrase is for.
pub fn passphrase_for(what: &PassphraseFor) -> String {
    match what {
        PassphraseFor::Archive => gettext("This backup"),
        PassphraseFor::Key { user_id: Some(user_id), .. } => user_id.clone(),
        PassphraseFor::Key { id, .. } => id.clone(),
    }
}

/// A place that holds another program's backups.
pub fn foreign(kind: ForeignRepository) -> String {
    match kind {
        ForeignRepository::Restic => gettext("This folder holds backups of restic"),
        ForeignRepository::Borg => gettext("This folder holds backups of Borg"),
    }
}

/// What to do about a place that holds another program's backups.
pub fn foreign_advice(kind: ForeignRepository) -> String {
    match kind {
        ForeignRepository::Restic => gettext(
            "Newer versions of Déjà Dup make such backups. Souvenir cannot read them and does not mix its own with them. \
             Choose another folder.",
        ),
        ForeignRepository::Borg => {
            gettext("Souvenir cannot read them and does not mix its own with them. Choose another folder.")
        }
    }
}

fn damage_text(damage: &Damage) -> String {
    match damage {
        Damage::Missing => gettext("A file of the backup is missing"),
        Damage::Empty => gettext("A file of the backup is empty"),
        Damage::HashMismatch { .. } => gettext("A file of the backup has changed since it was written"),
        Damage::CutShort => gettext("A file of the backup is cut short"),
        Damage::Malformed(_) => gettext("A file of the backup cannot be understood"),
    }
}

/// What a warning says of its file.
pub fn warning(warning: &RunWarning) -> String {
    let text = match warning.kind {
        WarningKind::Unreadable => gettext("Could not be read and is not in the backup"),
        WarningKind::Vanished => gettext("Went away before it was read, and is not in the backup"),
        WarningKind::ChangedWhileRead => gettext("Changed while it was read; the copy may mix both states"),
        WarningKind::CutShort => gettext("Could not be read to its end; the copy is not complete"),
        WarningKind::FolderMissing => gettext("Does not exist any more and is not in the backup"),
        WarningKind::SocketLeftOut => gettext("Is a socket, which cannot be backed up"),
        WarningKind::DestinationLeftOut => gettext("Holds the backups themselves and is left out"),
        WarningKind::Damaged => gettext("Is damaged; what else there is has been used"),
        WarningKind::NotRestored => gettext("Could not be restored"),
        WarningKind::AttributeNotSet => gettext("Is restored, but not with all its attributes"),
        WarningKind::AttributesLeftOut => gettext("Is backed up, but not with all its attributes"),
        WarningKind::NotDeleted => gettext("Could not be deleted"),
        WarningKind::LittleSpace => gettext("May have too little space for the whole backup"),
        WarningKind::NotCopied => gettext("Could not be copied"),
        WarningKind::Incomplete => gettext("Belongs to an unfinished backup and is not used"),
        WarningKind::Other => gettext("Was noted by another version of Souvenir"),
    };
    if warning.reason.is_empty() {
        text
    } else {
        gettext_f("{text}: {reason}", &[("text", &text), ("reason", &warning.reason)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn every_failure_says_what_and_what_to_do() {
        let errors = [
            Error::SourceEmpty("/home".into()),
            Error::DestinationIsSource("/home".into()),
            Error::NoBackup { location: "/mnt".into() },
            Error::damaged("duplicity-full.vol1.difftar.gpg", Damage::CutShort),
            Error::crypto(
                "duplicity-full.manifest.gpg",
                CryptoError::WrongPassphrase { what: PassphraseFor::Archive },
            ),
            Error::Crypto { file: None, source: CryptoError::MissingPublicKey { key: KeyName::id("AB") } },
            Error::ForeignRepository { location: "/mnt".into(), kind: ForeignRepository::Restic },
            StorageError::from_io("writing", "/mnt/x", io::Error::from(io::ErrorKind::StorageFull)).into(),
        ];
        for error in errors {
            let problem = problem(&error);
            assert!(!problem.what.is_empty() && !problem.subject.is_empty(), "{problem:?}");
            assert!(problem.advice.ends_with('.'), "{problem:?}");
            assert!(!problem.details.is_empty(), "{problem:?}");
        }
    }

    #[test]
    fn details_do_not_repeat_themselves() {
        let error: Error = StorageError::from_io("writing", "/mnt/x", io::Error::other("odd")).into();
        assert_eq!(chain(&error), "writing /mnt/x: odd");
    }
}
