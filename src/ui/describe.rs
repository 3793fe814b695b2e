//! Plans in words: their folders, destination and protection.

use std::path::{Path, PathBuf};

use crate::engine::crypto::{Encryption, Protection};
use crate::i18n::{gettext, gettext_f, ngettext_f};
use crate::plan::Destination;
use crate::platform::folder;
use crate::ui::words;

/// A folder by its name.
pub fn folder_name(path: &Path) -> String {
    if path == glib::home_dir() {
        return gettext("Home");
    }
    path.file_name().map_or_else(|| "/".to_owned(), |name| glib::filename_display_name(name).into())
}

/// A name for a plan with these folders.
pub fn plan_name(folders: &[PathBuf]) -> String {
    match folders {
        [] => String::new(),
        [only] => folder_name(only),
        [first, ..] => gettext_f("{folder} and Others", &[("folder", &folder_name(first))]),
    }
}

/// Paths, one to a line.
pub fn path_lines(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| folder::to_shown(path)).collect::<Vec<_>>().join("\n")
}

/// The folders of a plan in one line.
pub fn folders(included: &[PathBuf], ignored: &[PathBuf]) -> String {
    let names = included.iter().map(|path| folder_name(path)).collect::<Vec<_>>().join(", ");
    if ignored.is_empty() {
        return names;
    }
    let count = ignored.len() as u64;
    ngettext_f(
        "{folders}, without {count} folder",
        "{folders}, without {count} folders",
        count,
        &[("folders", &names), ("count", &words::count(count))],
    )
}

/// A destination in one line.
pub fn destination(destination: &Destination) -> String {
    match destination {
        Destination::Folder { path } => folder::to_shown(path),
    }
}

/// A key that protects, and perhaps signs.
pub fn key(user_id: &str, sign: bool) -> String {
    if sign {
        gettext_f("The key of {owner}, which also signs", &[("owner", user_id)])
    } else {
        gettext_f("The key of {owner}", &[("owner", user_id)])
    }
}

/// A protection in one line. `owner` is whose key it is, where that is known.
pub fn protection(protection: &Protection, owner: Option<&str>) -> String {
    match &protection.encryption {
        Encryption::None => gettext("None: everybody can read it"),
        Encryption::Passphrase => gettext("A passphrase"),
        Encryption::Keys(recipients) => {
            let first = recipients.first().map(|recipient| recipient.key.as_str()).unwrap_or_default();
            key(owner.unwrap_or(first), protection.sign_key.is_some())
        }
    }
}
