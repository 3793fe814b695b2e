//! Keys that leave a keyring and come into another one: what the real gpg makes of ours, and we of its.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::gpg::Home;
use souvenir::engine::crypto::{
    CryptoError, ImportReport, KeyFiles, KeyMaterial, Keyring, PassphraseRequest, Passphrases, Secret,
    key_files,
};
use souvenir::engine::error::{Error, Result};
use souvenir::engine::job::{self, Event, Job, Question};

const PASSPHRASE: &str = "four slow snails";

fn secrets(passphrase: &str) -> Passphrases {
    let passphrases = Passphrases::new();
    passphrases.set_archive(Secret::from(passphrase));
    passphrases
}

fn export(home: &Home, id: &str, folder: &Path, passphrase: &str) -> Result<KeyFiles> {
    home.keyring().export_to(id, folder, &secrets(passphrase), &Job::unattended())
}

fn import(keyring: &Keyring, paths: &[&Path]) -> Result<ImportReport> {
    let mut material = KeyMaterial::new();
    for file in paths.iter().flat_map(|path| key_files(path, &[]).unwrap()) {
        material.add_file(&file)?;
    }
    Ok(keyring.import(&material)?)
}

/// What somebody else seals for the key, and whether its owner can open it.
fn opens(home: &Home, sealed: &[u8], passphrase: &str) -> bool {
    let output = home.try_gpg(&["--passphrase", passphrase, "--decrypt"], sealed);
    output.status.success() && output.stdout == b"contents"
}

fn sealed_for(home: &Home, fingerprint: &str) -> Vec<u8> {
    home.gpg(&["--encrypt", "--recipient", fingerprint], b"contents")
}

/// Runs `work` with somebody there who gives these answers in turn and then declines.
fn attended<T: Send + 'static>(
    answers: &[&str],
    work: impl FnOnce(&Job) -> Result<T> + Send + 'static,
) -> (Result<T>, Vec<PassphraseRequest>) {
    let mut answers = answers.iter();
    let mut asked = Vec::new();
    let handle = job::spawn("attended", work).unwrap();
    loop {
        match handle.events.recv_blocking().unwrap() {
            Event::Question(Question::Passphrase { request, reply }) => {
                asked.push(request);
                reply.send(answers.next().map(|answer| Secret::from(*answer))).unwrap();
            }
            Event::Finished(result) => return (result, asked),
            _ => {}
        }
    }
}

fn crypto_error<T: std::fmt::Debug>(result: Result<T>) -> CryptoError {
    match result.unwrap_err() {
        Error::Crypto { source, .. } => source,
        other => panic!("{other:?}"),
    }
}

/// Every kind of key, with and without a passphrase.
fn every_key(test: impl Fn(&Home, &str, &str)) {
    let home = Home::new();
    let curve = home.key("Ada Lovelace <ada@example.org>", PASSPHRASE);
    test(&home, &curve, PASSPHRASE);
    let open = home.key("Oskar Offen <oskar@example.org>", "");
    test(&home, &open, "");
    home.gpg(&["--passphrase", PASSPHRASE, "--quick-gen-key", "Old <old@example.org>", "rsa4096"], b"");
    let rsa = home.fingerprints("Old <old@example.org>")[0].clone();
    home.gpg(&["--passphrase", PASSPHRASE, "--quick-add-key", &rsa, "rsa4096", "encr"], b"");
    test(&home, &rsa, PASSPHRASE);
}

#[test]
fn gpg_takes_in_what_we_export() {
    every_key(|home, fingerprint, passphrase| {
        let sealed = sealed_for(home, fingerprint);
        home.forget();
        let folder = tempfile::tempdir().unwrap();
        let files = export(home, fingerprint, &folder.path().join("new/folder"), passphrase).unwrap();
        for path in files.paths() {
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
        }
        let name = files.secret.file_name().unwrap().to_str().unwrap();
        assert!(name.contains(fingerprint) && name.ends_with(".secret.asc"), "{name}");
        assert_eq!(fs::read_dir(folder.path().join("new/folder")).unwrap().count(), 3);
        assert_eq!(folder.path().join("new/folder").metadata().unwrap().permissions().mode() & 0o777, 0o700);

        let other = Home::new();
        assert!(!opens(&other, &sealed, passphrase));
        // The trust of a person's own gpg, which does not take every key for right.
        let real = |arguments: &[&str], input: &[u8]| {
            other.gpg(&[&["--trust-model", "pgp"], arguments].concat(), input)
        };
        real(&["--import", files.secret.to_str().unwrap()], b"");
        real(&["--import-ownertrust", files.trust.to_str().unwrap()], b"");
        real(&["--encrypt", "--recipient", fingerprint], b"contents");
        assert!(opens(&other, &sealed, passphrase));
        assert!(passphrase.is_empty() || !opens(&Home::new(), &sealed, passphrase));
        let trust = String::from_utf8(other.gpg(&["--export-ownertrust"], b"")).unwrap();
        assert!(trust.contains(&format!("{fingerprint}:6:")), "{trust}");

        let third = Home::new();
        third.gpg(&["--import", files.public.to_str().unwrap()], b"");
        let key = third.keyring().find(fingerprint).unwrap();
        assert!(key.can_encrypt && !key.has_secret);
    });
}

#[test]
fn we_take_in_what_gpg_exports() {
    every_key(|home, fingerprint, passphrase| {
        let sealed = sealed_for(home, fingerprint);
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
        let secret =
            home.gpg(&["--passphrase", passphrase, "--export-secret-keys", "--armor", fingerprint], b"");
        file("mine.secret.asc", &secret);
        file("mine.gpg", &home.gpg(&["--export", fingerprint], b""));
        file("trust.txt", &home.gpg(&["--export-ownertrust"], b""));
        file("holiday.jpg", b"no key");
        fs::create_dir(folder.path().join("folder.asc")).unwrap();

        let other = Home::new();
        let report = import(&other.keyring(), &[folder.path()]).unwrap();
        assert_eq!(report.keys.len(), 1);
        let came = &report.keys[0];
        assert_eq!(came.key.fingerprint, fingerprint);
        assert!(came.is_new && came.secret_is_new && came.has_trust && came.key.has_secret);
        assert!(opens(&other, &sealed, passphrase));
        let trust = String::from_utf8(other.gpg(&["--export-ownertrust"], b"")).unwrap();
        assert_eq!(trust.lines().filter(|line| line.contains(":6:")).count(), 1, "{trust}");

        let again = import(&other.keyring(), &[folder.path()]).unwrap();
        assert!(!again.keys[0].is_new && !again.keys[0].secret_is_new);
    });
}

#[test]
fn the_secret_part_may_come_later() {
    let home = Home::new();
    let fingerprint = home.key("Ada <ada@example.org>", PASSPHRASE);
    let folder = tempfile::tempdir().unwrap();
    let files = export(&home, &fingerprint, folder.path(), PASSPHRASE).unwrap();
    let other = Home::new();
    let first = import(&other.keyring(), &[&files.public, &files.trust]).unwrap();
    assert!(first.keys[0].is_new && !first.keys[0].secret_is_new);
    assert!(!first.keys[0].has_trust, "a stranger's key is not trusted because a file says so");
    assert!(!String::from_utf8(other.gpg(&["--export-ownertrust"], b"")).unwrap().contains(&fingerprint));
    let second = import(&other.keyring(), &[&files.secret]).unwrap();
    assert!(!second.keys[0].is_new && second.keys[0].secret_is_new);
}

#[test]
fn nothing_is_overwritten_and_nothing_half_is_left() {
    let home = Home::new();
    let fingerprint = home.key("Ada <ada@example.org>", PASSPHRASE);
    let folder = tempfile::tempdir().unwrap();
    let files = KeyFiles::of(&home.keyring().find(&fingerprint).unwrap(), folder.path());
    for path in files.paths() {
        fs::write(path, "mine").unwrap();
        match export(&home, &fingerprint, folder.path(), PASSPHRASE).unwrap_err() {
            Error::KeyFileExists(taken) => assert_eq!(taken, path),
            other => panic!("{other}"),
        }
        assert_eq!(fs::read(path).unwrap(), b"mine");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        fs::remove_file(path).unwrap();
    }
    // A file where the folder should be.
    fs::write(folder.path().join("file"), "").unwrap();
    let error = export(&home, &fingerprint, &folder.path().join("file"), PASSPHRASE).unwrap_err();
    assert!(matches!(error, Error::KeyFileUnwritable { .. }), "{error}");
}

#[test]
fn a_key_leaves_only_for_who_can_unlock_it() {
    let home = Home::new();
    let fingerprint = home.key("Ada <ada@example.org>", PASSPHRASE);
    home.forget();
    let folder = tempfile::tempdir().unwrap();
    let wrong = crypto_error(export(&home, &fingerprint, folder.path(), "wrong"));
    assert!(matches!(wrong, CryptoError::WrongPassphrase { .. }), "{wrong}");
    let none = home.keyring().export_secret(&fingerprint, &Passphrases::new(), &Job::unattended());
    let needed = crypto_error(none.map(drop));
    assert!(matches!(needed, CryptoError::PassphraseNeeded { .. }), "{needed}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

    let (keyring, id, place) = (home.keyring(), fingerprint.clone(), folder.path().to_owned());
    let work = move |job: &Job| keyring.export_to(&id, &place, &Passphrases::new(), job);
    let (result, asked) = attended(&["no", "neither", PASSPHRASE], work);
    result.unwrap();
    assert_eq!(
        asked.iter().map(|request| request.previous_was_wrong).collect::<Vec<_>>(),
        [false, true, true]
    );
}

#[test]
fn a_minimal_export_is_short_and_says_whether_it_is_locked() {
    let home = Home::new();
    let locked = home.key("Ada <ada@example.org>", PASSPHRASE);
    let open = home.key("Oskar <oskar@example.org>", "");
    let other = home.key("Bert <bert@example.org>", "");
    home.gpg(&["--default-key", &other, "--quick-sign-key", &locked], b"");
    let exported =
        |id: &str| home.keyring().export_secret(id, &secrets(PASSPHRASE), &Job::unattended()).unwrap();
    let key = exported(&locked);
    assert!(key.is_locked().unwrap() && !exported(&open).is_locked().unwrap());
    assert!(key.expose().len() < 700, "{} bytes", key.expose().len());
    let elsewhere = Home::new();
    elsewhere.gpg(&["--import"], key.expose());
    assert!(opens(&elsewhere, &sealed_for(&home, &locked), PASSPHRASE));
}

#[test]
fn what_is_no_key_is_told() {
    let home = Home::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    for contents in ["", "no key at all", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n"] {
        fs::write(&file, contents).unwrap();
        assert_eq!(crypto_error(import(&home.keyring(), &[&file])), CryptoError::NoKeyFound, "{contents:?}");
    }
    let missing = KeyMaterial::new().add_file(&folder.path().join("none")).unwrap_err();
    assert!(matches!(missing, Error::KeyFileUnreadable { .. }), "{missing}");

    let owner = Home::new();
    let fingerprint = owner.key("Ada <ada@example.org>", "");
    home.gpg(&["--import"], &owner.gpg(&["--export", &fingerprint], b""));
    let secret = crypto_error(export(&home, &fingerprint, folder.path(), ""));
    assert!(matches!(secret, CryptoError::MissingSecretKey { .. }), "{secret}");
}
