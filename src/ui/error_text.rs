//! Failures and warnings in words for people: what happened, to what, and what to do now.
//!
//! Made from the engine's variants, never from its English texts; those are the technical details.

mod crypto;
mod place;

use crate::engine::drill::Mismatch;
use crate::engine::error::{Damage, Error, Fault, ForeignRepository};
use crate::i18n::{gettext, gettext_f, ngettext_f};
use crate::plan::history::{Problem, RunWarning, WarningKind};
use crate::plan::proof::{DamagedStored, FailedFile};
use crate::platform::secrets::SecretsError;
use crate::ui::words;

/// A failure in words.
pub fn problem(error: &Error) -> Problem {
    let (what, subject, advice) = parts(error);
    Problem { what, subject, advice, details: chain(error) }
}

/// A failure of what nobody could be asked about, since it is not known what is remembered.
pub fn keyring_problem(keyring: &SecretsError, error: &Error) -> Problem {
    Problem {
        advice: match keyring {
            SecretsError::Locked => gettext(
                "It is remembered with your other passwords, which are locked. Unlock them, for example by signing in again with your password: it is tried again by itself.",
            ),
            _ => gettext(
                "It could not be looked up with your other passwords. It is tried again by itself; or back up once by hand.",
            ),
        },
        details: format!("{}: {keyring}", chain(error)),
        ..problem(error)
    }
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
        Error::Storage(error) => place::storage(error),
        Error::NoSpace { location, needed_bytes, free_bytes, .. } => (
            gettext("The destination is full"),
            location.clone(),
            place::no_space(*needed_bytes, *free_bytes),
        ),
        Error::Crypto { file, source } => {
            let (what, subject, advice) = crypto::gpg(source);
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
            gettext("The folder for the backups contains a folder that is to be backed up"),
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

/// What is wrong with a stored file, as a report says it.
pub fn damage(damaged: &DamagedStored) -> String {
    fault(damaged.fault).unwrap_or_else(|| damaged.reason.clone())
}

fn fault(fault: Fault) -> Option<String> {
    Some(match fault {
        Fault::Missing => gettext("It is missing"),
        Fault::Empty => gettext("It is empty"),
        Fault::Changed => gettext("It has changed since it was written"),
        Fault::CutShort => gettext("It is cut short"),
        Fault::Malformed => gettext("It cannot be understood"),
        Fault::Sealed => gettext("It cannot be decrypted"),
        Fault::Signature => gettext("Its signature is not right"),
        Fault::Unreadable => gettext("It cannot be read"),
        Fault::Lost => gettext("What is stored of it is damaged or missing"),
        Fault::Other => return None,
    })
}

/// What is wrong with a file of a sample, as a report says it.
pub fn mismatch(failed: &FailedFile) -> String {
    match failed.mismatch {
        Mismatch::NotRestored => gettext("It was not restored"),
        Mismatch::NotAsBackedUp => gettext("Its contents are not what was backed up"),
        Mismatch::NotAsOriginal => gettext("It differs from the original, though that looks unchanged"),
        Mismatch::Unreadable => gettext_f("It cannot be read: {reason}", &[("reason", &failed.reason)]),
        Mismatch::Other => failed.reason.clone(),
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
        WarningKind::EarlierGone => {
            gettext("The backups that were here are gone; this one begins from the start")
        }
        WarningKind::Damaged => gettext("Is damaged; what else there is has been used"),
        WarningKind::Untold => gettext("Is damaged, so that nobody can tell what else is missing"),
        WarningKind::NotRestored => gettext("Could not be restored"),
        WarningKind::AttributeNotSet => gettext("Is restored, but not with all its attributes"),
        WarningKind::AttributesLeftOut => gettext("Is backed up, but not with all its attributes"),
        WarningKind::NotDeleted => gettext("Could not be deleted"),
        WarningKind::LittleSpace => gettext("May have too little space for the whole backup"),
        WarningKind::NotCopied => gettext("Could not be copied"),
        WarningKind::Incomplete => gettext("Belongs to an unfinished backup and is not used"),
        WarningKind::Other => gettext("Was noted by another version of Souvenir"),
    };
    let fault = warning.fault.and_then(fault);
    if let (WarningKind::Damaged, Some(fault)) = (warning.kind, &fault) {
        return gettext_f("{reason}. What else there is has been used.", &[("reason", fault)]);
    }
    match fault.unwrap_or_else(|| warning.reason.clone()) {
        reason if reason.is_empty() => text,
        reason => gettext_f("{text}: {reason}", &[("text", &text), ("reason", &reason)]),
    }
}

/// The same with the technical words, for whoever helps.
pub fn warning_in_full(warning: &RunWarning) -> String {
    let text = self::warning(warning);
    // Where there is no kind of fault, they are in it already.
    if warning.fault.is_none_or(|fault| fault == Fault::Other) || warning.reason.is_empty() {
        text
    } else {
        format!("{text} ({})", warning.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::crypto::{CryptoError, KeyName, PassphraseFor};
    use crate::engine::storage::StorageError;
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
