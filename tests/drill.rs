//! Proving a backup: a folder compared with it, and a sample that is really restored.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::engine::{Backup, PASSPHRASE, names, run};
use common::gpg::Home;
use common::tree::{edit, make_everything, make_small, noise};
use souvenir::engine::Result;
use souvenir::engine::crypto::{Passphrases, Protection, Secret};
use souvenir::engine::drill::{DrillRequest, DrillSummary, Mismatch, drill};
use souvenir::engine::job::Warning;
use souvenir::engine::storage::LocalFolder;
use souvenir::engine::verify::{CompareRequest, CompareSummary, DifferenceKind, compare};

struct Scratch {
    folder: tempfile::TempDir,
    home: Home,
}

impl Scratch {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), home: Home::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn backup(&self) -> Backup {
        Backup::new(&self.path("source"), &self.path("to"))
            .protected(Protection::passphrase(), self.home.keyring())
    }

    fn compare(&self) -> CompareSummary {
        let (root, storage, keyring) =
            (self.path("source"), LocalFolder::new(self.path("to")), self.home.keyring());
        let (result, warnings) = run(move |job| {
            let passphrases = passphrases();
            compare(
                &CompareRequest {
                    storage: &storage,
                    keyring: &keyring,
                    passphrases: &passphrases,
                    time: None,
                    root: &root,
                },
                job,
            )
        });
        assert_eq!(warnings, []);
        result.unwrap()
    }

    fn drill(&self, sample_count: usize, seed: u64) -> (Result<DrillSummary>, Vec<Warning>) {
        let (root, storage, keyring) =
            (self.path("source"), LocalFolder::new(self.path("to")), self.home.keyring());
        let scratch = self.folder.path().to_owned();
        run(move |job| {
            let passphrases = passphrases();
            drill(
                &DrillRequest {
                    storage: &storage,
                    keyring: &keyring,
                    passphrases: &passphrases,
                    sign_key: None,
                    time: None,
                    sample_count,
                    max_file_bytes: 1 << 20,
                    root: Some(&root),
                    scratch: &scratch,
                    seed: Some(seed),
                },
                job,
            )
        })
    }
}

fn passphrases() -> Passphrases {
    let passphrases = Passphrases::new();
    passphrases.set_archive(Secret::new(PASSPHRASE));
    passphrases
}

fn differences(summary: &CompareSummary) -> Vec<(String, DifferenceKind)> {
    summary.differences.iter().map(|difference| (difference.path.to_string(), difference.kind)).collect()
}

#[test]
fn every_difference_is_told_and_no_other() {
    let scratch = Scratch::new();
    make_everything(&scratch.path("source"));
    scratch.backup().back_up();
    let same = scratch.compare();
    assert_eq!((differences(&same), same.difference_count), (vec![], 0));
    assert!(same.entry_count > 40, "{}", same.entry_count);

    let file = |name: &str| scratch.path("source").join(name);
    let modified = fs::metadata(file("sizes/2500000")).unwrap().modified().unwrap();
    // The same size, the same time: only the contents tell.
    fs::write(file("sizes/2500000"), noise(77, 2_500_000)).unwrap();
    fs::File::open(file("sizes/2500000")).unwrap().set_modified(modified).unwrap();
    fs::set_permissions(file("ab"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    fs::remove_file(file("links/loop")).unwrap();
    fs::write(file("zzz"), "new").unwrap();
    let found = differences(&scratch.compare());
    use DifferenceKind::{Attributes, Contents, Missing, New};
    for expected in [
        ("sizes/2500000".to_owned(), Contents),
        ("ab".to_owned(), Attributes),
        ("links/loop".to_owned(), Missing),
        ("zzz".to_owned(), New),
    ] {
        assert!(found.contains(&expected), "{expected:?} in {found:?}");
    }
    // Folders have other times, and that is all.
    let other = found.iter().filter(|(path, _)| file(path).is_dir()).count();
    assert_eq!(found.len(), other + 5, "with the other name of ab: {found:?}");
}

#[test]
fn a_sample_is_restored_and_proved() {
    let scratch = Scratch::new();
    make_small(&scratch.path("source"));
    for index in 0..60_u64 {
        fs::write(scratch.path("source").join(format!("file-{index}")), noise(index, 30_000)).unwrap();
    }
    scratch.backup().at(1_700_000_000).back_up();
    edit(&scratch.path("source"), 1, 10);
    scratch.backup().at(1_700_000_100).incremental().back_up();
    let before = names(scratch.folder.path());
    let (result, warnings) = scratch.drill(20, 1);
    let summary = result.unwrap();
    assert_eq!(warnings, []);
    assert_eq!((summary.sample_count, summary.proved_count, summary.equal_to_source_count), (20, 20, 20));
    assert_eq!((&summary.failures[..], summary.set_time.epoch()), (&[][..], 1_700_000_100));
    assert_eq!(names(scratch.folder.path()), before, "the scratch folder is gone");

    // What has changed since is proved by its signature only.
    for entry in fs::read_dir(scratch.path("source")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() && path.symlink_metadata().unwrap().is_file() {
            fs::write(path, "changed since").unwrap();
        }
    }
    let summary = scratch.drill(1000, 2).0.unwrap();
    assert_eq!(summary.proved_count, summary.sample_count);
    assert!(summary.equal_to_source_count < 10 && summary.sample_count > 50, "{summary:?}");
}

#[test]
fn a_drill_finds_what_is_damaged() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("source")).unwrap();
    for index in 0..8_u64 {
        fs::write(scratch.path("source").join(format!("file-{index}")), noise(index, 900_000)).unwrap();
    }
    scratch.backup().back_up();
    let volume = names(&scratch.path("to")).into_iter().find(|name| name.contains(".vol3.")).unwrap();
    damage(&scratch.path("to").join(volume));
    let (result, warnings) = scratch.drill(100, 1);
    let summary = result.unwrap();
    assert_eq!(summary.failures.len(), 1, "{summary:?}");
    assert_eq!(summary.failures[0].mismatch, Mismatch::NotRestored, "{summary:?}");
    assert_eq!(summary.proved_count, 7);
    assert!(warnings.iter().any(|warning| matches!(warning, Warning::Damaged { .. })), "{warnings:?}");
}

fn damage(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).unwrap();
}
