//! Damage of every kind to every kind of stored file: each is found and named, nothing stored is
//! changed, and whatever else can be restored is restored.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use common::engine::{Backup, Options, error, names, to_key};
use common::gpg::Home;
use common::tree::noise;
use souvenir::engine::crypto::Protection;
use souvenir::engine::error::{Damage, ForeignRepository};
use souvenir::engine::job::Warning;
use souvenir::engine::path::EntryPath;
use souvenir::engine::storage::StorageErrorKind;
use souvenir::engine::verify::Which;
use souvenir::engine::{Error, Result};

/// What is done to a stored file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Harm {
    CutShort,
    OneBit,
    Empty,
    Missing,
    /// Its contents are those of another file of the set.
    Swapped,
}

const HARMS: [Harm; 5] = [Harm::CutShort, Harm::OneBit, Harm::Empty, Harm::Missing, Harm::Swapped];

struct Stored {
    scratch: tempfile::TempDir,
    backup: Backup,
}

impl Stored {
    /// Several files in several volumes; the last one spans three.
    fn new(protection: Protection, home: &Home) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let source = scratch.path().join("source");
        fs::create_dir(&source).unwrap();
        for (index, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
            fs::write(source.join(name), noise(index as u64, 1_000_000)).unwrap();
        }
        fs::write(source.join("e"), noise(9, 4_000_000)).unwrap();
        let backup =
            Backup::new(&source, &scratch.path().join("destination")).protected(protection, home.keyring());
        backup.back_up();
        Self { scratch, backup }
    }

    fn destination(&self) -> PathBuf {
        self.scratch.path().join("destination")
    }

    fn file(&self, part: &str) -> PathBuf {
        let name = names(&self.destination()).into_iter().find(|name| name.contains(part)).unwrap();
        self.destination().join(name)
    }

    /// Harms a file, calls `check`, sees that nothing stored has changed, and undoes the harm.
    fn with(&self, part: &str, harm: Harm, check: impl FnOnce(&str)) {
        let file = self.file(part);
        let whole = fs::read(&file).unwrap();
        match harm {
            Harm::CutShort => fs::write(&file, &whole[..whole.len() * 2 / 3]).unwrap(),
            Harm::OneBit => {
                let mut harmed = whole.clone();
                harmed[whole.len() / 2] ^= 4;
                fs::write(&file, harmed).unwrap();
            }
            Harm::Empty => fs::write(&file, b"").unwrap(),
            Harm::Missing => fs::remove_file(&file).unwrap(),
            Harm::Swapped => drop(fs::copy(self.file(".vol2."), &file).unwrap()),
        }
        let before = contents(&self.destination());
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        println!("{name}: {harm:?}");
        check(&name);
        assert_eq!(contents(&self.destination()), before, "nothing stored may change");
        fs::write(&file, whole).unwrap();
    }
}

fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    names(folder).into_iter().map(|name| (name.clone(), fs::read(folder.join(&name)).unwrap())).collect()
}

/// Checks that what was restored is right, and gives the names.
fn right_files(source: &Path, target: &Path) -> Vec<String> {
    let restored = names(target);
    for name in &restored {
        assert!(fs::read(target.join(name)).unwrap() == fs::read(source.join(name)).unwrap(), "{name}");
    }
    restored
}

/// What verifying names, each with the first and last entry in it.
fn verified(backup: &Backup) -> Vec<(String, Option<(String, String)>)> {
    let (result, warnings) = backup.try_verify(Which::At(None));
    let damaged = result.unwrap().damaged;
    assert_eq!(warnings.len(), damaged.len(), "{warnings:?}");
    let text = |(first, last): (EntryPath, EntryPath)| (first.to_string(), last.to_string());
    damaged.into_iter().map(|damaged| (damaged.file, damaged.held.map(text))).collect()
}

fn every_harm_is_found(protection: Protection, home: &Home) {
    let stored = Stored::new(protection, home);
    let lost = |first: &str, last: &str| Some((first.to_owned(), last.to_owned()));
    assert_eq!(stored.backup.verify().file_count, 9);
    let restore = |target: &str| {
        let target = stored.scratch.path().join(target);
        let _ = fs::remove_dir_all(&target);
        (stored.backup.try_restore(&target, Options::default()), target)
    };
    for harm in HARMS {
        // Volume 1 is a, volume 3 is c, volumes 5 to 7 are e.
        for (part, left, first, last) in
            [(".vol1.", "bcde", ".", "a"), (".vol3.", "abde", "c", "c"), (".vol6.", "abcd", "e", "e")]
        {
            stored.with(part, harm, |name| {
                assert_eq!(verified(&stored.backup), [(name.to_owned(), lost(first, last))]);
                let ((result, warnings), target) = restore("volume");
                result.unwrap();
                let named =
                    |warning: &Warning| matches!(warning, Warning::Damaged { file, .. } if file == name);
                assert!(warnings.iter().any(named), "{warnings:?}");
                assert_eq!(right_files(&stored.backup.root, &target).concat(), left, "{warnings:?}");
            });
        }
        // Which bit of a plain manifest it is decides what comes of it; see below.
        if harm != Harm::OneBit || stored.backup.protection.is_openpgp() {
            stored.with(".manifest", harm, |name| {
                if harm != Harm::Missing {
                    // The last volume that half a manifest names may have lost its hash.
                    assert_eq!(verified(&stored.backup)[0], (name.to_owned(), None));
                }
                let ((result, warnings), target) = restore("manifest");
                if harm == Harm::Missing {
                    assert!(matches!(result, Err(Error::NoBackup { .. })), "{result:?}");
                    return;
                }
                // The signatures vouch for the volumes.
                result.unwrap();
                let told = format!("{warnings:?}");
                assert!(told.contains(name), "{told}");
                assert_eq!(right_files(&stored.backup.root, &target).concat(), "abcde", "{told}");
            });
        }
        stored.with("sigtar", harm, |name| {
            assert_eq!(verified(&stored.backup), [(name.to_owned(), None)]);
            let failure = error(stored.backup.try_list(None));
            // A set without signatures is called by its own name.
            assert!(harm == Harm::Missing || failure.to_string().contains(name), "{failure}");
            // Signatures are not needed to restore.
            let ((result, warnings), target) = restore("signatures");
            result.unwrap();
            assert_eq!(warnings, []);
            assert_eq!(right_files(&stored.backup.root, &target).concat(), "abcde");
        });
    }
}

#[test]
fn every_harm_is_found_without_encryption() {
    every_harm_is_found(Protection::none(), &Home::new());
}

#[test]
fn every_harm_is_found_with_a_key() {
    let home = Home::new();
    let key = home.key("reader", "");
    every_harm_is_found(to_key(&key, false, Some(&key)), &home);
}

#[test]
fn of_a_volume_that_is_not_what_the_manifest_says_the_signatures_decide() {
    let stored = Stored::new(Protection::none(), &Home::new());
    let manifest = stored.file(".manifest");
    let text = fs::read_to_string(&manifest).unwrap();
    let digit = text.rfind("SHA1 ").unwrap() + 5;
    let other = if text.as_bytes()[digit] == b'0' { "1" } else { "0" };
    fs::write(&manifest, [&text[..digit], other, &text[digit + 1..]].concat()).unwrap();
    let target = stored.scratch.path().join("manifest");
    let (result, warnings) = stored.backup.try_restore(&target, Options::default());
    result.unwrap();
    let named =
        |warning: &Warning| matches!(warning, Warning::Damaged { file, .. } if file.contains(".vol7."));
    assert!(warnings.iter().any(named), "{warnings:?}");
    assert_eq!(right_files(&stored.backup.root, &target).concat(), "abcde");

    // Without them nothing vouches for it.
    stored.with("sigtar", Harm::CutShort, |_| {
        let target = stored.scratch.path().join("without signatures");
        let (result, _) = stored.backup.try_restore(&target, Options::default());
        result.unwrap();
        assert_eq!(right_files(&stored.backup.root, &target).concat(), "abcd");
    });
}

#[test]
fn the_wrong_passphrase_is_said_and_nothing_is_written() {
    let home = Home::new();
    let mut stored = Stored::new(Protection::passphrase(), &home);
    stored.backup.passphrase = Some("wrong".to_owned());
    let target = stored.scratch.path().join("restored");
    for failure in [
        error(stored.backup.try_restore(&target, Options::default())),
        error(stored.backup.try_list(None)),
        error(stored.backup.try_verify(Which::All)),
    ] {
        let text = failure.to_string();
        assert!(matches!(failure, Error::Crypto { .. }) && text.contains("passphrase"), "{text}");
    }
    assert!(!target.exists());
}

fn backup_to(destination: &Path, source: &Path) -> Result<()> {
    Backup::new(source, destination).try_back_up().0.map(drop)
}

#[test]
fn a_destination_that_is_no_place_for_a_backup_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let path = |name: &str| scratch.path().join(name);
    let source = path("source");
    fs::create_dir(&source).unwrap();

    // Nothing to back up.
    assert!(matches!(backup_to(&path("to"), &path("missing")), Err(Error::SourceMissing(_))));
    assert!(matches!(backup_to(&path("to"), &source), Err(Error::SourceEmpty(_))));
    assert!(!path("to").exists(), "nothing was begun");
    fs::write(source.join("file"), "x").unwrap();
    assert!(matches!(backup_to(&path("to"), &source.join("file")), Err(Error::SourceUnreadable { .. })));

    // A restic repository and a Borg one.
    fs::create_dir_all(path("restic/keys")).unwrap();
    fs::write(path("restic/config"), "x").unwrap();
    fs::create_dir_all(path("borg/data")).unwrap();
    fs::write(path("borg/config"), "x").unwrap();
    fs::write(path("borg/hints.1"), "x").unwrap();
    for (name, expected) in [("restic", ForeignRepository::Restic), ("borg", ForeignRepository::Borg)] {
        let failure = backup_to(&path(name), &source).unwrap_err();
        assert!(matches!(failure, Error::ForeignRepository { kind, .. } if kind == expected), "{failure:?}");
        assert_eq!(Backup::new(&source, &path(name)).status().foreign, Some(expected));
    }

    // Files of other people beside the backup are no harm and stay.
    fs::create_dir(path("shared")).unwrap();
    fs::write(path("shared/letter.odt"), "mine").unwrap();
    backup_to(&path("shared"), &source).unwrap();
    assert_eq!(fs::read(path("shared/letter.odt")).unwrap(), b"mine");

    // A file where a folder should be.
    let failure = backup_to(&path("shared/letter.odt"), &source).unwrap_err();
    let kind = |failure: &Error| match failure {
        Error::Storage(error) => error.kind,
        other => panic!("{other:?}"),
    };
    assert_eq!(kind(&failure), StorageErrorKind::NotAFolder);

    // Nothing there to restore.
    for name in ["nowhere", "restic"] {
        let failure = error(Backup::new(&source, &path(name)).try_restore(&path("out"), Options::default()));
        match name {
            "nowhere" => assert_eq!(kind(&failure), StorageErrorKind::NotFound),
            _ => assert!(matches!(failure, Error::NoBackup { .. }), "{failure:?}"),
        }
    }
}

#[test]
fn half_a_set_is_said_and_left_alone() {
    let scratch = tempfile::tempdir().unwrap();
    let (source, destination) = (scratch.path().join("source"), scratch.path().join("destination"));
    fs::create_dir(&source).unwrap();
    fs::write(source.join("file"), "x").unwrap();
    let backup = Backup::new(&source, &destination);
    backup.clone().at(1_700_000_000).back_up();
    backup.clone().at(1_700_000_100).back_up();
    fs::remove_file(destination.join("duplicity-full.20231114T221500Z.manifest")).unwrap();
    let half = names(&destination);

    let status = backup.status();
    assert_eq!((status.chains.len(), status.incomplete.len()), (1, 1));
    let restored = backup.restore(&scratch.path().join("restored"));
    assert_eq!(restored.set_time.epoch(), 1_700_000_000);
    let (result, warnings) = backup.try_back_up();
    result.unwrap();
    assert!(matches!(&warnings[..], [Warning::Incomplete { name }] if name.contains("20231114T221500Z")));
    assert!(half.iter().all(|name| names(&destination).contains(name)));
}

/// Where the signatures still tell what was in a damaged volume, each file that is lost is named; where they do not, that is.
#[test]
fn what_is_lost_is_named_or_said_to_be_unknown() {
    let home = Home::new();
    let stored = Stored::new(Protection::none(), &home);
    let untold = |warnings: &[Warning]| {
        warnings.iter().filter(|warning| matches!(warning, Warning::Untold { .. })).count()
    };
    let restored =
        |name: &str| stored.backup.try_restore(&stored.scratch.path().join(name), Options::default());
    stored.with(".vol3.", Harm::Empty, |_| {
        let (result, warnings) = restored("named");
        result.unwrap();
        assert_eq!(untold(&warnings), 0, "{warnings:?}");
        assert!(
            warnings.iter().any(|warning| matches!(warning, Warning::NotRestored { .. })),
            "{warnings:?}"
        );
        stored.with(".sigtar.", Harm::Empty, |_| {
            let (result, warnings) = restored("unknown");
            result.unwrap();
            assert_eq!(untold(&warnings), 1, "{warnings:?}");
            // However many volumes are damaged, that is one file.
            stored.with(".vol1.", Harm::Empty, |_| {
                let (result, warnings) = restored("unknown twice");
                assert_eq!(result.unwrap().damaged_count, 3);
                assert_eq!(untold(&warnings), 1, "{warnings:?}");
            });
        });
    });
}

#[test]
fn a_path_that_is_not_there_is_said() {
    let home = Home::new();
    let stored = Stored::new(Protection::none(), &home);
    // What is in a damaged volume is there all the same.
    stored.with(".vol3.", Harm::Empty, |name| {
        let failure =
            error(stored.backup.try_restore(&stored.scratch.path().join("out"), Options::only(b"c")));
        assert!(matches!(&failure, Error::Damaged { file, .. } if file == name), "{failure:?}");
    });
    for missing in ["nothing", "a/below", "zzz"] {
        let failure = error(
            stored.backup.try_restore(&stored.scratch.path().join("out"), Options::only(missing.as_bytes())),
        );
        assert!(matches!(failure, Error::PathNotInBackup { .. }), "{failure:?}");
    }
}

#[test]
fn hostile_archives_do_not_leave_the_target() {
    let scratch = tempfile::tempdir().unwrap();
    let source = scratch.path().join("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("file"), "x").unwrap();
    let destination = scratch.path().join("destination");
    let backup = Backup::new(&source, &destination);
    backup.back_up();

    // The volume is replaced by one that does not come from a backup, with a manifest to match.
    let volume = names(&destination).into_iter().find(|name| name.contains(".vol")).unwrap();
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    let mut add = |name: &[u8], kind: tar::EntryType, link: &str, data: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(if kind == tar::EntryType::Directory { 0o755 } else { 0o644 });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(data.len() as u64);
        header.set_cksum();
        tar.append(&header, data).unwrap();
    };
    let outside = scratch.path().join("outside");
    fs::create_dir(&outside).unwrap();
    use tar::EntryType as T;
    add(b"snapshot/./", T::Directory, "", b"");
    add(b"snapshot/a", T::Symlink, outside.to_str().unwrap(), b"");
    add(b"snapshot/a/through-the-link", T::Regular, "", b"bad");
    add(b"snapshot/b", T::Regular, "", b"good");
    add(b"snapshot/b", T::Regular, "", b"twice");
    add(b"snapshot/aa", T::Regular, "", b"out of order");
    add(b"deleted/c", T::Regular, "", b"");
    add(b"snapshot/d", T::Regular, "", b"good");
    add(b"snapshot/../escaped", T::Regular, "", b"bad");
    let bytes = tar.into_inner().unwrap().finish().unwrap();
    fs::write(destination.join(&volume), &bytes).unwrap();
    let manifest = names(&destination).into_iter().find(|name| name.contains("manifest")).unwrap();
    use sha1::Digest;
    let hash: String = sha1::Sha1::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let text = format!("Volume 1:\n    StartingPath   .  \n    EndingPath     z  \n    Hash SHA1 {hash}\n");
    fs::write(destination.join(manifest), text).unwrap();

    let target = scratch.path().join("target");
    let (result, warnings) = backup.try_restore(&target, Options::default());
    result.unwrap();
    assert_eq!(names(&outside), [] as [String; 0]);
    assert!(!scratch.path().join("escaped").exists());
    assert_eq!(names(&target), ["a", "b", "d"]);
    assert_eq!(fs::read(target.join("b")).unwrap(), b"good");
    // The entry through the link, the second b, the one out of order, the deletion, and the way out,
    // which makes the whole volume suspect. The signatures know of one more file in it.
    assert_eq!(warnings.len(), 6, "{warnings:?}");
    assert!(matches!(&warnings[4], Warning::Damaged { file, .. } if *file == volume), "{warnings:?}");
    let is_file = |path: &EntryPath| path.as_bytes() == b"file";
    assert!(matches!(&warnings[5], Warning::NotRestored { path, .. } if is_file(path)), "{warnings:?}");
}

#[test]
fn damage_texts_name_the_file() {
    let text = Error::damaged("duplicity-full.x", Damage::CutShort).to_string();
    assert_eq!(text, "the stored file duplicity-full.x is damaged: it is cut short");
}
