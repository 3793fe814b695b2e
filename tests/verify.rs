//! Looking whether stored files are as they were written: ours and the real duplicity's, in chains.
//! What is damaged in which way is in `damage.rs`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use common::deleting::Deleting;
use common::duplicity::{url, versions};
use common::engine::{Backup, SMALL_VOLUMES, error, is_cancelled, names, run_with, to_key};
use common::gpg::Home;
use common::sshd::attended;
use common::tree::{change_something, look, make_everything, noise};
use souvenir::engine::Error;
use souvenir::engine::backup::BackupKind;
use souvenir::engine::crypto::{CryptoError, Keyring, Passphrases, Protection};
use souvenir::engine::format::time::SetTime;
use souvenir::engine::job::{CancelReason, Job, Question};
use souvenir::engine::storage::{LocalFolder, Storage, StorageErrorKind};
use souvenir::engine::verify::{VerifyRequest, Which, verify};

struct Place {
    scratch: tempfile::TempDir,
    source: PathBuf,
    stored: PathBuf,
}

impl Place {
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let (source, stored) = (scratch.path().join("source"), scratch.path().join("stored"));
        Self { scratch, source, stored }
    }

    fn backup(&self) -> Backup {
        Backup::new(&self.source, &self.stored)
    }

    fn file(&self, part: &str) -> PathBuf {
        let found = names(&self.stored).into_iter().find(|name| name.contains(part));
        self.stored.join(found.unwrap_or_else(|| panic!("no {part}")))
    }
}

/// Every kind of entry, in full and incremental sets of several volumes, one of which changes nothing.
#[test]
fn sets_of_duplicity_are_as_they_were_written() {
    let home = Home::new();
    for (program, options) in versions(home.path()).into_iter().zip([&["--no-encryption"][..], &[]]) {
        println!("{program:?}");
        let place = Place::new();
        make_everything(&place.source);
        let (source, url) = (place.source.to_str().unwrap(), url(&place.stored));
        let make = |verb: &str, time: &str| {
            let common = [verb, "--volsize", "1", "--current-time", time];
            program.run(&[&common[..], options, &[source, &url]].concat());
        };
        make("full", "1700000000");
        make("incremental", "1700000100");
        change_something(&place.source);
        fs::remove_dir_all(place.source.join("sizes")).unwrap();
        make("incremental", "1700000200");
        make("full", "1700000300");

        let backup = place.backup().protected(Protection::passphrase(), home.keyring());
        let summary = backup.verify();
        let times: Vec<i64> = summary.set_times.iter().map(|time| time.epoch()).collect();
        assert_eq!(times, [1_700_000_000, 1_700_000_100, 1_700_000_200, 1_700_000_300]);
        let stored = names(&place.stored);
        assert_eq!(summary.file_count, stored.len() as u64);
        let bytes = |name: &String| place.stored.join(name).metadata().unwrap().len();
        assert_eq!(summary.checked_bytes, stored.iter().map(bytes).sum::<u64>());
        assert!(summary.entry_count > look(&place.source).len() as u64);

        // Of a chain what makes up the state of a time.
        let volume = place.file("to.20231114T221640Z.vol1.difftar");
        fs::write(&volume, "not a volume").unwrap();
        let damaged = |epoch| {
            let (result, _) = backup.try_verify(Which::At(SetTime::from_epoch(epoch)));
            result.unwrap().damaged.len()
        };
        assert_eq!([1_700_000_150, 1_700_000_200, 1_700_000_300].map(damaged), [0, 1, 0]);
    }
}

/// Ours too, and those that duplicity and we make by turns.
#[test]
fn chains_by_turns_are_as_they_were_written() {
    let home = Home::new();
    let place = Place::new();
    make_everything(&place.source);
    // Its delta is cut into pieces that are made side by side.
    fs::write(place.source.join("huge"), noise(5, 20_000_000)).unwrap();
    let mut backup = place.backup();
    backup.clone().at(1_700_000_000).back_up();
    backup.kind = BackupKind::Incremental;
    change_something(&place.source);
    let mut huge = noise(5, 20_000_000);
    for at in (0..huge.len()).step_by(1_000_003) {
        huge[at] ^= 1;
    }
    huge.splice(9_000_000..9_000_000, noise(6, 3_000_000));
    fs::write(place.source.join("huge"), huge).unwrap();
    backup.clone().at(1_700_000_100).back_up();
    fs::remove_dir_all(place.source.join("sizes")).unwrap();
    let place_url = url(&place.stored);
    let source = place.source.to_str().unwrap();
    let arguments = ["--no-encryption", "--volsize", "1", "--current-time", "1700000200", source, &place_url];
    versions(home.path())[1].run(&[&["incremental"], &arguments[..]].concat());
    fs::write(place.source.join("new"), "new").unwrap();
    backup.clone().at(1_700_000_300).back_up();
    let summary = backup.verify();
    assert_eq!(summary.set_times.len(), 4);
    assert_eq!(backup.status().chains.len(), 1);
}

/// What is asked for once is tried on every file after that, whatever order the chains come in.
#[test]
fn each_chain_may_have_a_passphrase_of_its_own() {
    let home = Home::new();
    let place = Place::new();
    fs::create_dir(&place.source).unwrap();
    fs::create_dir(&place.stored).unwrap();
    fs::write(place.source.join("file"), noise(1, 3_000_000)).unwrap();
    let backup = |stored: &Path, passphrase: &str| {
        let mut backup =
            Backup::new(&place.source, stored).protected(Protection::passphrase(), home.keyring());
        backup.passphrase = Some(passphrase.to_owned());
        backup
    };
    for (number, passphrase) in ["first", "second", "third"].into_iter().enumerate() {
        // One chain after the other, as a plan makes them; here each is made alone and then put beside the others.
        let alone = place.scratch.path().join(passphrase);
        backup(&alone, passphrase).at(1_700_000_000 + number as i64).back_up();
        for name in names(&alone) {
            fs::copy(alone.join(&name), place.stored.join(name)).unwrap();
        }
    }
    let backup = backup(&place.stored, "third");
    // Who does not have the others cannot look, which is no damage.
    let (result, warnings) = backup.try_verify(Which::All);
    let error = result.unwrap_err();
    let Error::Crypto { source: CryptoError::WrongPassphrase { .. }, .. } = error else { panic!("{error}") };
    assert_eq!(warnings, []);

    // The oldest snapshot is read first.
    let mut answers = vec!["second", "first"];
    let (storage, keyring, passphrases) = (backup.storage.clone(), home.keyring(), backup.passphrases());
    let work = move |job: &Job| {
        let which = Which::All;
        let request = VerifyRequest {
            storage: &*storage,
            keyring: &keyring,
            passphrases: &passphrases,
            sign_key: None,
            which,
        };
        verify(&request, job).unwrap()
    };
    let summary = attended(work, |question| {
        let Question::Passphrase { request, reply } = question else { panic!("{question:?}") };
        let is_second = answers.len() == 1;
        assert_eq!((request.previous_was_wrong, request.opened_others), (true, is_second));
        reply.send(Some(answers.pop().expect("each is asked for once").into())).unwrap();
    });
    assert_eq!((summary.damaged, summary.set_times.len()), (Vec::new(), 3));
}

#[test]
fn a_signature_is_demanded_only_if_its_key_is_named() {
    let home = Home::new();
    let (signer, other) = (home.key("signer", ""), home.key("other", ""));
    let place = Place::new();
    fs::create_dir(&place.source).unwrap();
    fs::write(place.source.join("file"), noise(1, 3_000_000)).unwrap();
    let mut backup = place.backup().protected(to_key(&signer, false, Some(&signer)), home.keyring());
    backup.back_up();
    backup.verify();
    backup.sign_key = Some(signer);
    backup.verify();
    backup.sign_key = Some(other);
    let (result, warnings) = backup.try_verify(Which::All);
    let damaged = result.unwrap().damaged;
    // Nothing vouches for the volumes.
    assert_eq!(damaged.len(), 2, "manifest and signatures: {damaged:?}");
    assert!(damaged.iter().all(|damaged| damaged.reason.contains("signed by")), "{damaged:?}");
    assert_eq!(warnings.len(), 2);
}

#[test]
fn without_the_key_nothing_is_called_damaged() {
    let home = Home::new();
    let key = home.key("reader", "");
    let place = Place::new();
    fs::create_dir(&place.source).unwrap();
    fs::write(place.source.join("file"), "x").unwrap();
    let backup = place.backup().protected(to_key(&key, false, None), home.keyring());
    backup.back_up();
    let empty = Home::new();
    let elsewhere = backup.clone().protected(backup.protection.clone(), empty.keyring());
    let failure = error(elsewhere.try_verify(Which::All));
    // Where one file can be opened, one that names another key is damaged.
    let signatures = place.file("sigtar");
    let whole = fs::read(&signatures).unwrap();
    let mut other_key = whole.clone();
    other_key[8] ^= 1;
    fs::write(&signatures, other_key).unwrap();
    let (result, _) = backup.try_verify(Which::All);
    assert_eq!(result.unwrap().damaged.len(), 1);
    fs::write(&signatures, whole).unwrap();
    backup.verify();
    assert!(
        matches!(&failure, Error::Crypto { source: CryptoError::MissingSecretKey { .. }, .. }),
        "{failure:?}"
    );
    fs::remove_file(place.file("manifest")).unwrap();
    assert!(matches!(error(backup.try_verify(Which::All)), Error::NoBackup { .. }));
}

/// A tar that is not in the order of the format would lose files in a restore, whatever its hash says.
#[test]
fn what_a_whole_file_says_is_looked_at_too() {
    let place = Place::new();
    fs::create_dir(&place.source).unwrap();
    for name in ["a", "b"] {
        fs::write(place.source.join(name), name).unwrap();
    }
    let backup = place.backup();
    backup.back_up();
    let sign = |volume: &Path, bytes: &[u8]| {
        use sha1::Digest;
        fs::write(volume, bytes).unwrap();
        let hash: String = sha1::Sha1::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let manifest = place.file("manifest");
        let text = fs::read_to_string(&manifest).unwrap();
        let at = text.find("SHA1 ").unwrap() + 5;
        fs::write(&manifest, [&text[..at], &hash, &text[at + 40..]].concat()).unwrap();
    };
    let volume = place.file("vol1");
    for (entries, reason) in [
        (&["snapshot/b", "snapshot/a"][..], "a comes after b"),
        (&["signature/a"], "the entry of a does not belong into it"),
        (&["snapshot/c"], "c is in it, and its manifest does not say so"),
        (&["snapshot/../a"], "leads out of the backup"),
        (&["else"], "of no known kind"),
    ] {
        let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), Default::default()));
        for name in entries {
            let mut header = tar::Header::new_ustar();
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(tar::EntryType::Regular);
            header.set_size(0);
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            header.set_cksum();
            tar.append(&header, &b""[..]).unwrap();
        }
        sign(&volume, &tar.into_inner().unwrap().finish().unwrap());
        let (result, _) = backup.try_verify(Which::All);
        let damaged = result.unwrap().damaged;
        assert_eq!(damaged.len(), 1, "{damaged:?}");
        assert!(damaged[0].reason.contains(reason), "{damaged:?}");
    }
}

#[test]
fn manifests_that_leave_out_volumes_are_found() {
    let place = Place::new();
    fs::create_dir(&place.source).unwrap();
    fs::write(place.source.join("file"), noise(1, 5_000_000)).unwrap();
    let backup = place.backup();
    backup.back_up();
    let manifest = place.file("manifest");
    let text = fs::read_to_string(&manifest).unwrap();
    let last = text.rfind("Volume ").unwrap();
    let middle = text.find("Volume 2:").unwrap()..text.find("Volume 3:").unwrap();
    let without_middle = [&text[..middle.start], &text[middle.end..]].concat();
    for shortened in [&text[..last], &without_middle] {
        fs::write(&manifest, shortened).unwrap();
        let damaged = backup.try_verify(Which::All).0.unwrap().damaged;
        assert_eq!(damaged.len(), 1, "{damaged:?}");
        assert!(damaged[0].file.ends_with("manifest"), "{damaged:?}");
    }
}

#[test]
fn it_stops_when_it_is_told_to() {
    let place = Place::new();
    fs::create_dir(&place.source).unwrap();
    fs::write(place.source.join("file"), noise(1, 40 * SMALL_VOLUMES as usize)).unwrap();
    let backup = place.backup();
    backup.back_up();
    let storage: Arc<dyn Storage> = Arc::new(LocalFolder::new(&place.stored));
    let outcome = run_with(
        move |job| {
            let (keyring, passphrases) = (Keyring::default(), Passphrases::new());
            let request = VerifyRequest {
                storage: &*storage,
                keyring: &keyring,
                passphrases: &passphrases,
                sign_key: None,
                which: Which::All,
            };
            verify(&request, job)
        },
        |control| control.cancel(CancelReason::User),
    );
    assert!(is_cancelled(&outcome, CancelReason::User));
}

#[test]
fn the_command_line_names_what_is_damaged() {
    let place = Place::new();
    fs::create_dir(&place.source).unwrap();
    fs::write(place.source.join("file"), noise(1, 5_000_000)).unwrap();
    place.backup().back_up();
    let verify = |code: i32, options: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_souvenir-cli"))
            .args(options)
            .args(["verify", place.stored.to_str().unwrap()])
            .output()
            .unwrap();
        let (text, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{text}{told}");
        (text.into_owned(), told.into_owned())
    };
    let (text, told) = verify(0, &[]);
    assert!(text.contains("as it was written") && told.is_empty(), "{text}{told}");
    let volume = place.file(".vol2.");
    fs::remove_file(&volume).unwrap();
    let (text, told) = verify(1, &[]);
    let name = volume.file_name().unwrap().to_str().unwrap();
    assert!(text.contains("1 problem") && told.contains(name) && told.contains("file"), "{text}{told}");
    let (text, _) = verify(1, &["--json"]);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&value["damaged"][0]["file"], &value["damaged"][0]["first"]), (&name.into(), &"file".into()));
    drop(place.scratch);
    verify(3, &[]);
}

/// A place that is gone is no damage to its files.
#[test]
fn a_place_that_went_away_is_said() {
    let place = Place::new();
    fs::create_dir(&place.source).unwrap();
    let storage = Deleting::new(Arc::new(LocalFolder::new(&place.stored)), Box::new(|_, _| None));
    let failure = error(place.backup().stored_in(storage).try_verify(Which::All));
    assert!(matches!(&failure, Error::Storage(error) if error.kind == StorageErrorKind::NotFound));
}
