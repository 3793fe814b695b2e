//! What is noted of keys and passphrases, so that nobody loses them without noticing: when a passphrase was typed last,
//! and when a key was copied and printed. And the backups of which other computers were opened knowingly. No secret is
//! in it.
//!
//! A file that cannot be read counts as an empty one: then a passphrase is asked for once more than needed.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::store::write_whole;

const FILE_NAME: &str = "safekeeping.json";

/// After so long, whoever has not typed a passphrase may have forgotten it: two months, in seconds.
pub const FORGOTTEN_AFTER_SECS: i64 = 60 * 86_400;

/// The notes, and the file that they are kept in.
#[derive(Debug, Clone)]
pub struct Safekeeping {
    path: PathBuf,
    notes: Notes,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Notes {
    /// When a passphrase was typed last, in seconds since 1970, by whose it is.
    typed: BTreeMap<String, i64>,
    /// What became of a key, by its fingerprint.
    keys: BTreeMap<String, KeyCare>,
    /// The computers whose backups somebody wanted to see, by the place.
    hosts: BTreeMap<String, String>,
}

/// What was done so that a key is not lost, in seconds since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyCare {
    /// When its files were copied last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copied_secs: Option<i64>,
    /// When its recovery kit was made last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kit_secs: Option<i64>,
}

impl Safekeeping {
    /// Where the notes of this person usually are. None without a home folder.
    pub fn default_folder() -> Option<PathBuf> {
        directories::ProjectDirs::from("", "", "souvenir").map(|folders| folders.data_dir().to_owned())
    }

    /// Reads the notes in `folder` and changes them, one change after the other.
    pub fn change<T>(folder: &Path, change: impl FnOnce(&mut Self) -> T) -> T {
        static ALONE: Mutex<()> = Mutex::new(());
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut Self::open(folder))
    }

    /// Reads the notes in `folder`.
    pub fn open(folder: &Path) -> Self {
        let path = folder.join(FILE_NAME);
        let read = std::fs::read(&path).and_then(|bytes| Ok(serde_json::from_slice(&bytes)?));
        let notes = read.unwrap_or_else(|error: io::Error| {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(%error, path = %path.display(), "the notes on keys cannot be understood");
            }
            Notes::default()
        });
        Self { path, notes }
    }

    /// When a passphrase was typed last, in seconds since 1970.
    pub fn typed_secs(&self, whose: &str) -> Option<i64> {
        self.notes.typed.get(whose).copied()
    }

    /// Notes that a passphrase was typed, and writes the file.
    pub fn note_typed(&mut self, whose: &str, now_secs: i64) -> io::Result<()> {
        self.notes.typed.insert(whose.to_owned(), now_secs);
        self.save()
    }

    /// What was done so that the key with this fingerprint is not lost.
    pub fn key_care(&self, fingerprint: &str) -> KeyCare {
        self.notes.keys.get(fingerprint).copied().unwrap_or_default()
    }

    /// Notes what was done now, and writes the file; what `care` does not name stays.
    pub fn note_key_care(&mut self, fingerprint: &str, care: KeyCare) -> io::Result<()> {
        let noted = self.notes.keys.entry(fingerprint.to_owned()).or_default();
        noted.copied_secs = care.copied_secs.or(noted.copied_secs);
        noted.kit_secs = care.kit_secs.or(noted.kit_secs);
        self.save()
    }

    /// The computer whose backups at a place somebody wanted to see.
    pub fn accepted_host(&self, place: &str) -> Option<&str> {
        self.notes.hosts.get(place).map(String::as_str)
    }

    /// Notes that they do, and writes the file.
    pub fn accept_host(&mut self, place: &str, host: &str) -> io::Result<()> {
        self.notes.hosts.insert(place.to_owned(), host.to_owned());
        self.save()
    }

    fn save(&self) -> io::Result<()> {
        write_whole(&self.path, &serde_json::to_vec_pretty(&self.notes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_last() {
        let folder = tempfile::tempdir().unwrap();
        let mut notes = Safekeeping::open(folder.path());
        assert_eq!((notes.typed_secs("plan a"), notes.key_care("AB")), (None, KeyCare::default()));
        notes.note_typed("plan a", 7).unwrap();
        notes.note_key_care("AB", KeyCare { copied_secs: Some(8), kit_secs: None }).unwrap();
        notes.note_key_care("AB", KeyCare { copied_secs: None, kit_secs: Some(9) }).unwrap();
        notes.accept_host("/srv", "old").unwrap();
        let notes = Safekeeping::open(folder.path());
        assert_eq!((notes.accepted_host("/srv"), notes.accepted_host("/mnt")), (Some("old"), None));
        assert_eq!(notes.typed_secs("plan a"), Some(7));
        assert_eq!(notes.key_care("AB"), KeyCare { copied_secs: Some(8), kit_secs: Some(9) });
    }

    #[test]
    fn a_broken_file_is_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE_NAME), "{").unwrap();
        let mut notes = Safekeeping::open(folder.path());
        assert_eq!(notes.typed_secs("plan a"), None);
        notes.note_typed("plan a", 7).unwrap();
        assert_eq!(Safekeeping::open(folder.path()).typed_secs("plan a"), Some(7));
    }
}
