//! What is wrong with the place of the backups, in words.

use crate::engine::storage::{StorageError, StorageErrorKind};
use crate::i18n::{gettext, gettext_f};
use crate::ui::words;

/// What to do about a full destination, with the numbers that are known.
pub(super) fn no_space(needed_bytes: Option<u64>, free_bytes: Option<u64>) -> String {
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

pub(super) fn storage(error: &StorageError) -> (String, String, String) {
    use StorageErrorKind as K;
    let is_server = error.location.contains("://");
    let (what, advice) = match error.kind {
        K::NotFound if is_server => (
            gettext("The destination is not there"),
            gettext("Look whether its folder was moved or renamed on the server."),
        ),
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
        K::Unreachable if is_server => (
            gettext("The server cannot be reached"),
            gettext(
                "Look whether this computer is connected to the network and the address is right, then try again.",
            ),
        ),
        K::Unreachable => (
            gettext("The destination went away"),
            gettext("Look whether the drive is still connected, then try again."),
        ),
        K::Away => {
            (gettext("The drive is not connected"), gettext("Connect it; the backup then goes on by itself."))
        }
        K::TooLarge => (
            gettext("The destination does not hold files of this size"),
            gettext(
                "Volumes are kept small, but the list of everything in a backup is one file. A drive with a FAT file system \
                 takes files of 4 GB at most: use a drive with another one, such as exFAT or ext4.",
            ),
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
        K::NoSuchHost => (
            gettext("There is no server of this name"),
            gettext("Check the name, and whether this computer is connected to the network."),
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
