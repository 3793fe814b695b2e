//! Another protection than before: the next set begins a chain, and both chains open with what is theirs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;

use common::engine::{Backup, error, to_key};
use common::gpg::Home;
use common::tree::{assert_same, look};
use souvenir::engine::Error;
use souvenir::engine::backup::BackupKind;
use souvenir::engine::chain::{FullPolicy, FullReason};
use souvenir::engine::crypto::{CryptoError, Protection};
use souvenir::engine::format::time::SetTime;

const FIRST: i64 = 1_700_000_000;

/// Extends the newest chain, unless it began before then.
fn since(mut backup: Backup, epoch: i64, now: i64) -> Backup {
    let protected_since = SetTime::from_epoch(epoch);
    // A tiny full set is soon outgrown.
    let policy = FullPolicy { protected_since, max_delta_percent: None, ..FullPolicy::default() };
    backup.kind = BackupKind::Auto(policy);
    backup.at(now)
}

fn with_passphrase(mut backup: Backup, passphrase: &str) -> Backup {
    backup.passphrase = Some(passphrase.to_owned());
    backup
}

#[test]
fn another_passphrase_begins_a_chain() {
    let folder = tempfile::tempdir().unwrap();
    let (source, to) = (folder.path().join("source"), folder.path().join("to"));
    fs::create_dir(&source).unwrap();
    fs::write(source.join("letter"), "first").unwrap();
    let home = Home::new();
    let backup = Backup::new(&source, &to).protected(Protection::passphrase(), home.keyring());
    let old = with_passphrase(backup.clone(), "the old one");
    let new = with_passphrase(backup, "the new one");

    since(old.clone(), FIRST, FIRST).back_up();
    fs::write(source.join("letter"), "second").unwrap();
    let second = since(old.clone(), FIRST, FIRST + 10).back_up();
    assert!(!second.is_full());
    let before = look(&source);

    // Without the change another passphrase is refused, so that none comes into a chain by a slip.
    let refused = error(since(new.clone(), FIRST, FIRST + 20).try_back_up());
    let Error::Crypto { source: CryptoError::WrongPassphrase { .. }, .. } = refused else {
        panic!("{refused}")
    };

    let changed = FIRST + 11;
    fs::write(source.join("letter"), "third").unwrap();
    let third = since(new.clone(), changed, FIRST + 20).back_up();
    assert_eq!(third.full_because, Some(FullReason::Protection));
    fs::write(source.join("letter"), "fourth").unwrap();
    let fourth = since(new.clone(), changed, FIRST + 30).back_up();
    assert!(!fourth.is_full(), "the new chain is extended");

    old.restore_at(FIRST + 10, &folder.path().join("old"));
    assert_same(&before, &look(&folder.path().join("old")), "the old chain");
    new.restore(&folder.path().join("new"));
    assert_same(&look(&source), &look(&folder.path().join("new")), "the new chain");
    let wrong = error(new.try_list(SetTime::from_epoch(FIRST)));
    let Error::Crypto { source: CryptoError::WrongPassphrase { .. }, .. } = wrong else { panic!("{wrong}") };
}

#[test]
fn another_key_begins_a_chain() {
    let folder = tempfile::tempdir().unwrap();
    let (source, to) = (folder.path().join("source"), folder.path().join("to"));
    fs::create_dir(&source).unwrap();
    fs::write(source.join("letter"), "first").unwrap();
    let home = Home::new();
    let (old, new) = (home.key("old", ""), home.key("new", ""));
    let sealed = |key: &str| Backup::new(&source, &to).protected(to_key(key, false, None), home.keyring());

    since(sealed(&old), FIRST, FIRST).back_up();
    let second = since(sealed(&new), FIRST + 5, FIRST + 10).back_up();
    assert_eq!(second.full_because, Some(FullReason::Protection));
    fs::write(source.join("letter"), "second").unwrap();
    assert!(!since(sealed(&new), FIRST + 5, FIRST + 20).back_up().is_full());

    // With the old key gone the new chain is whole.
    home.gpg(&["--yes", "--delete-secret-and-public-key", &old], b"");
    sealed(&new).restore(&folder.path().join("new"));
    assert_same(&look(&source), &look(&folder.path().join("new")), "the new chain");
    let (gone, _) = sealed(&new).try_list(SetTime::from_epoch(FIRST));
    assert!(gone.is_err());
}
