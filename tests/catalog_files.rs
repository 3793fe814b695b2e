//! What may happen to a catalogue: a broken file, another version, several processes at once, a cancel,
//! damage at the destination, too little room.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use common::catalog::{Place, below, found, history, path, sync};
use common::engine::{error, is_cancelled, names, run};
use common::gpg::Home;
use common::synthetic::{file, folder, gone, kind, link, write_set};
use common::tree::{edit, make_small, noise};
use souvenir::engine::Error;
use souvenir::engine::catalog::{Catalog, Change, SetState, enforce_limit, is_damage};
use souvenir::engine::crypto::Protection;
use souvenir::engine::format::time::SetTime;
use souvenir::engine::job::{CancelReason, Control, Job};
use souvenir::engine::path::EntryPath;
use souvenir::engine::storage::{LocalFolder, Lock, Storage, StorageResult, StoredFile, Upload};

/// A place with two chains, the first of three sets.
fn two_chains() -> Place {
    let mut place = Place::new();
    make_small(&place.source());
    place.full();
    for seed in 0..2 {
        edit(&place.source(), seed, 8);
        place.incremental();
    }
    edit(&place.source(), 2, 8);
    place.full();
    place
}

fn database(place: &Place) -> PathBuf {
    place.folder().join("catalog.sqlite")
}

#[test]
fn whatever_is_wrong_with_the_file_a_new_one_is_made() {
    let place = two_chains();
    drop(place.sync());
    let whole = fs::read(database(&place)).unwrap();
    let with_word = |at: usize, word: u32| {
        let mut bytes = whole.clone();
        bytes[at..at + 4].copy_from_slice(&word.to_be_bytes());
        bytes
    };
    for (what, bytes) in [
        ("no database", b"these are no tables".repeat(1000)),
        ("less than a header", whole[..50].to_vec()),
        ("cut short", whole[..whole.len() / 2].to_vec()),
        ("an older version", with_word(60, 0)),
        ("a later version", with_word(60, 1000)),
        ("another program's", with_word(68, 1)),
        ("a broken first page", [&whole[..100], &noise(1, 8092), &whole[8192..]].concat()),
    ] {
        fs::write(database(&place), bytes).unwrap();
        let catalog = place.open();
        assert_eq!(catalog.overview().unwrap().path_count, 1, "{what}");
        drop(catalog);
        let (catalog, summary) = place.sync();
        assert_eq!(summary.taken_count, 4, "{what}");
        place.check(&catalog);
    }
    fs::write(database(&place), "").unwrap();
    assert_eq!(place.sync().1.taken_count, 4);
    fs::remove_dir_all(place.cache()).unwrap();
    assert_eq!(place.sync().1.taken_count, 4);
}

#[test]
fn damage_inside_is_found_when_it_is_met_and_mended_by_the_next() {
    let place = two_chains();
    drop(place.sync());
    let whole = fs::read(database(&place)).unwrap();
    // Everything but the page that says what tables there are.
    fs::write(database(&place), [&whole[..8192], &noise(2, whole.len() - 8192)].concat()).unwrap();
    let catalog = place.open();
    let failed = catalog.directory(&EntryPath::root(), None).unwrap_err();
    assert!(is_damage(&failed), "{failed}");
    drop(catalog);
    let (catalog, summary) = place.sync();
    assert_eq!(summary.taken_count, 4);
    place.check(&catalog);
    drop(catalog);
    // Sound tables that contradict each other.
    let tables = rusqlite::Connection::open(database(&place)).unwrap();
    tables.execute_batch("DELETE FROM attributes").unwrap();
    drop(tables);
    let catalog = place.open();
    let failed = catalog.entries_below(&EntryPath::root(), None, &Job::unattended(), |_| Ok(())).unwrap_err();
    assert!(is_damage(&failed), "{failed}");
    drop(catalog);
    assert_eq!(place.sync().1.taken_count, 4);
    // A suspicion that is not true costs nothing.
    fs::write(place.folder().join("suspect"), "").unwrap();
    assert_eq!(place.sync().1.taken_count, 0);
    assert!(!names(&place.folder()).contains(&"suspect".to_owned()));
}

#[test]
fn a_bit_anywhere_never_does_more_than_cost_the_catalogue() {
    let place = two_chains();
    drop(place.sync());
    let whole = fs::read(database(&place)).unwrap();
    for round in 0..40_usize {
        let at = usize::try_from(u32::from_le_bytes(noise(round as u64, 4).try_into().unwrap())).unwrap();
        let mut bytes = whole.clone();
        bytes[at % whole.len()] ^= 1 << (round % 8);
        fs::write(database(&place), bytes).unwrap();
        // Names and numbers may be other ones; nothing panics, and errors say that it is damage.
        let (summary, _) = place.try_sync();
        if let Err(error) = summary {
            assert!(is_damage(&error), "{error}");
        }
        let catalog = place.open();
        let job = Job::unattended();
        for time in place.times() {
            if let Err(error) = catalog.entries_below(&EntryPath::root(), Some(time), &job, |_| Ok(())) {
                assert!(is_damage(&error) || matches!(error, Error::NoBackup { .. }), "{error}");
            }
        }
    }
    Catalog::empty(&place.cache(), &*place.backup.storage).unwrap();
    place.check(&place.sync().0);
}

/// What the catalogues of the fixtures are of.
fn make_fixture_sets(destination: &Path) {
    let (first, second, third) = (1_700_000_000, 1_700_100_000, 1_700_200_000);
    write_set(
        destination,
        kind(None, first),
        [
            folder(path(""), first),
            folder(path("Letters"), first),
            file(path("Letters/1998.txt"), 1998, 883_612_800),
            file(path(b"Letters/\xff"), 0, 5),
            link(path("latest"), b"Letters/1998.txt", first),
        ],
    );
    let changed = [
        folder(path("Letters"), second),
        gone(path("Letters/1998.txt")),
        file(path("Letters/2023.txt"), 2023, second),
    ];
    write_set(destination, kind(Some(first), second), changed);
    write_set(destination, kind(None, third), [folder(path(""), third), file(path("fresh"), 1, third)]);
}

fn fixture(version: u32) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/catalog");
    folder.join(format!("version-{version}.sqlite"))
}

#[test]
fn a_catalogue_of_an_earlier_version_is_made_anew() {
    let place = Place::new();
    make_fixture_sets(&place.destination());
    drop(place.open());
    for version in [1, 2] {
        fs::copy(fixture(version), database(&place)).unwrap();
        let (catalog, summary) = place.sync();
        assert_eq!(summary.taken_count, 3);
        place.check(&catalog);
        assert_eq!(found(&catalog, "Letters/1998"), ["Letters/1998.txt"]);
    }
}

#[test]
fn a_catalogue_of_this_version_is_read() {
    let place = Place::new();
    drop(place.open());
    fs::copy(fixture(3), database(&place)).unwrap();
    let catalog = place.open();
    let overview = catalog.overview().unwrap();
    let counts: Vec<_> = overview.sets.iter().map(|set| (set.entry_count, set.change_count)).collect();
    // The folder of which only the time changed is no change.
    assert_eq!(counts, [(5, 5), (3, 2), (2, 2)]);
    assert!(overview.sets.iter().all(|set| set.state == SetState::Taken));
    let at = |time| SetTime::from_epoch(time).unwrap();
    let (first, second, third) = (at(1_700_000_000), at(1_700_100_000), at(1_700_200_000));
    let listed = |time| -> Vec<_> {
        below(&catalog, "", time).into_iter().map(|entry| entry.path.to_string()).collect()
    };
    assert_eq!(listed(first), [".", "Letters", "Letters/1998.txt", "Letters/\\xff", "latest"]);
    assert_eq!(listed(second), [".", "Letters", "Letters/2023.txt", "Letters/\\xff", "latest"]);
    assert_eq!(listed(third), [".", "fresh"]);
    assert_eq!(found(&catalog, "1998"), ["Letters/1998.txt"]);
    let expected = [(first, Change::Added, Some(1998)), (second, Change::Deleted, None)];
    assert_eq!(history(&catalog, "Letters/1998.txt"), expected);
    drop(catalog);
    // And it is what would be made today.
    make_fixture_sets(&place.destination());
    let (catalog, summary) = place.sync();
    assert_eq!(summary.taken_count, 0);
    place.check(&catalog);
}

#[test]
#[ignore = "writes the fixture of a new version of the schema"]
fn write_the_fixture() {
    let place = Place::new();
    make_fixture_sets(&place.destination());
    drop(place.sync());
    fs::copy(database(&place), fixture(3)).unwrap();
}

/// Cancels the job when that many files have been opened and the last is being read.
#[derive(Debug)]
struct Tripping {
    inner: Arc<dyn Storage>,
    control: Control,
    opens: AtomicUsize,
    trips_at: usize,
}

struct TrippingFile {
    inner: Box<dyn Read + Send>,
    control: Option<Control>,
}

impl Read for TrippingFile {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if let Some(control) = &self.control {
            control.cancel(CancelReason::User);
        }
        Ok(count)
    }
}

impl Storage for Tripping {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn list(&self) -> StorageResult<Vec<StoredFile>> {
        self.inner.list()
    }

    fn list_folders(&self) -> StorageResult<Vec<String>> {
        self.inner.list_folders()
    }

    fn open_from(&self, name: &str, offset: u64) -> StorageResult<Box<dyn Read + Send>> {
        let trips = self.opens.fetch_add(1, Ordering::Relaxed) + 1 == self.trips_at;
        let control = trips.then(|| self.control.clone());
        Ok(Box::new(TrippingFile { inner: self.inner.open_from(name, offset)?, control }))
    }

    fn create(&self, name: &str) -> StorageResult<Box<dyn Upload>> {
        self.inner.create(name)
    }

    fn rename(&self, from: &str, to: &str) -> StorageResult<()> {
        self.inner.rename(from, to)
    }

    fn lock(&self, holder: &str) -> StorageResult<Lock> {
        self.inner.lock(holder)
    }

    fn delete(&self, name: &str) -> StorageResult<()> {
        self.inner.delete(name)
    }

    fn free_bytes(&self) -> StorageResult<Option<u64>> {
        self.inner.free_bytes()
    }

    fn local_folder(&self) -> Option<&Path> {
        self.inner.local_folder()
    }
}

#[test]
fn a_cancel_keeps_what_was_taken_in() {
    let place = two_chains();
    for trips_at in 1..=4 {
        Catalog::empty(&place.cache(), &*place.backup.storage).unwrap();
        let (mut backup, cache) = (place.backup.clone(), place.cache());
        let outcome = run(move |job| {
            let (inner, control) = (Arc::clone(&backup.storage), job.control().clone());
            backup.storage = Arc::new(Tripping { inner, control, opens: AtomicUsize::new(0), trips_at });
            let mut catalog = Catalog::open(&cache, &*backup.storage)?;
            sync(&mut catalog, &backup, job)
        });
        assert!(is_cancelled(&outcome, CancelReason::User), "{outcome:?}");
        let catalog = place.open();
        let sets = catalog.overview().unwrap().sets;
        let taken = sets.iter().filter(|set| set.state == SetState::Taken).count();
        assert_eq!((sets.len(), taken), (4, trips_at - 1));
        // The newest chain comes first; what is not there yet is said.
        let newest = catalog.directory(&EntryPath::root(), None).unwrap();
        assert_eq!(newest.missing.is_empty(), trips_at > 1);
        drop(catalog);
        let (catalog, summary) = place.sync();
        assert_eq!(summary.taken_count, 5 - trips_at as u64);
        place.check(&catalog);
    }
}

#[test]
fn damaged_signatures_are_noted_and_the_others_used() {
    let place = two_chains();
    let times = place.times();
    let signatures = |number: usize| {
        let word = format!("{}.sigtar", times[number]);
        let name = names(&place.destination()).into_iter().find(|name| name.contains(&word)).unwrap();
        place.destination().join(name)
    };
    for number in [0, 1, 3] {
        for harm in ["cut short", "one bit", "empty", "missing"] {
            println!("{number} {harm}");
            Catalog::empty(&place.cache(), &*place.backup.storage).unwrap();
            let file = signatures(number);
            let whole = fs::read(&file).unwrap();
            match harm {
                "cut short" => fs::write(&file, &whole[..whole.len() / 2]).unwrap(),
                "one bit" => {
                    let mut bytes = whole.clone();
                    bytes[whole.len() / 2] ^= 4;
                    fs::write(&file, bytes).unwrap();
                }
                "empty" => fs::write(&file, "").unwrap(),
                _ => fs::remove_file(&file).unwrap(),
            }
            let (summary, warnings) = place.try_sync();
            let summary = summary.unwrap();
            assert_eq!((summary.taken_count, summary.unreadable_count), (3, 1));
            assert_eq!(warnings.len(), 1, "{warnings:?}");
            let catalog = place.open();
            for (index, time) in times.iter().enumerate() {
                let in_chain = if index < 3 { 0..=index } else { 3..=3 };
                let directory = catalog.directory(&EntryPath::root(), Some(*time)).unwrap();
                if in_chain.contains(&number) {
                    assert_eq!(directory.missing.len(), 1, "{index}");
                    assert_eq!(directory.missing[0].time, times[number]);
                    assert!(directory.missing[0].reason.is_some());
                } else {
                    assert_eq!(below(&catalog, "", *time), place.read(*time).unwrap());
                }
            }
            drop(catalog);
            // It is not read again and again, nor warned of.
            assert_eq!(place.sync().1.unreadable_count, 0);
            fs::write(&file, whole).unwrap();
            if harm == "one bit" {
                Catalog::empty(&place.cache(), &*place.backup.storage).unwrap();
            }
            place.check(&place.sync().0);
        }
    }
}

#[test]
fn a_key_is_needed_for_new_sets_only() {
    let home = Home::new();
    let mut place = Place::new().protected(Protection::passphrase(), &home);
    make_small(&place.source());
    place.full();
    let right = place.backup.passphrase.clone();
    place.backup.passphrase = Some("wrong".to_owned());
    assert!(matches!(error(place.try_sync()), Error::Crypto { .. }));
    let sets = place.open().overview().unwrap().sets;
    assert!(sets.iter().all(|set| set.state == SetState::Waiting), "a wrong passphrase is no damage");
    place.backup.passphrase = right.clone();
    assert_eq!(place.sync().1.taken_count, 1);
    place.backup.passphrase = None;
    let (catalog, summary) = place.sync();
    assert_eq!(summary.taken_count, 0);
    assert_eq!(found(&catalog, "four"), ["folder/deep/four"]);
    drop(catalog);

    // A later chain with another passphrase: the older one has to wait, if it is not known yet.
    // Souvenir makes none such, but passphrases are changed with other programs.
    let mut other = Place::new().protected(Protection::passphrase(), &home);
    other.time = place.time;
    other.backup.passphrase = Some("another".to_owned());
    make_small(&other.source());
    other.full();
    for name in names(&other.destination()) {
        fs::copy(other.destination().join(&name), place.destination().join(&name)).unwrap();
    }
    place.backup.passphrase = other.backup.passphrase.clone();
    Catalog::empty(&place.cache(), &*place.backup.storage).unwrap();
    let (summary, warnings) = place.try_sync();
    let summary = summary.unwrap();
    assert_eq!((summary.taken_count, summary.locked_count, warnings.len()), (1, 1, 1));
    let newest = *place.times().last().unwrap();
    assert_eq!(below(&place.open(), "", newest), place.read(newest).unwrap());
    place.backup.passphrase = right;
    let (catalog, summary) = place.sync();
    assert_eq!(summary.taken_count, 1);
    assert!(catalog.overview().unwrap().sets.iter().all(|set| set.state == SetState::Taken));
}

#[test]
fn several_processes_get_along() {
    let mut place = two_chains();
    let command = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_souvenir-cli"));
        command.args(arguments).arg(place.destination()).env("XDG_CACHE_HOME", place.cache());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let expected: Vec<u8> = command(&["list", "--no-catalog"]).output().unwrap().stdout;
    assert!(!expected.is_empty());
    for _ in 0..3 {
        let _ = fs::remove_dir_all(place.cache());
        let children: Vec<_> = (0..6).map(|_| command(&["list"]).spawn().unwrap()).collect();
        let rebuild = command(&["catalog", "--rebuild"]).spawn().unwrap();
        for child in children {
            let output = child.wait_with_output().unwrap();
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{told}");
            assert_eq!((output.stdout, &*told), (expected.clone(), ""));
        }
        assert!(rebuild.wait_with_output().unwrap().status.success());
    }
    // One that is reading sees one state while another one writes.
    let catalog = place.sync().0;
    let before: Vec<_> = place.times();
    edit(&place.source(), 3, 8);
    place.incremental();
    let mut seen = 0;
    let job = Job::unattended();
    let take = |_| {
        if seen == 0 {
            assert_eq!(place.sync().1.taken_count, 1);
        }
        seen += 1;
        Ok(())
    };
    let newest = catalog.entries_below(&EntryPath::root(), None, &job, take).unwrap().0;
    assert_eq!(Some(&newest), before.last());
    place.check(&catalog);
}

#[test]
fn what_was_not_used_for_longest_makes_room() {
    let scratch = tempfile::tempdir().unwrap();
    let cache = scratch.path().join("cache");
    let storages: Vec<_> = ["one", "two", "three"]
        .map(|name| {
            make_fixture_sets(&scratch.path().join(name));
            LocalFolder::new(scratch.path().join(name))
        })
        .into();
    assert_eq!(enforce_limit(&cache, 0).unwrap(), 0, "there is none yet");
    let sizes: Vec<u64> = storages
        .iter()
        .map(|storage| Catalog::open(&cache, storage).unwrap().overview().unwrap().size_bytes)
        .collect();
    for (age, storage) in storages.iter().enumerate() {
        // As if each had been used an hour after the one before.
        let before = names(&cache);
        drop(Catalog::open(&cache, storage).unwrap());
        assert_eq!(names(&cache), before);
        let hours = Duration::from_secs(3600 * (10 - age as u64));
        for name in &before {
            let lock = fs::File::open(cache.join(name).join("lock")).unwrap();
            if lock.metadata().unwrap().modified().unwrap().elapsed().unwrap() < Duration::from_secs(60) {
                lock.set_modified(SystemTime::now() - hours).unwrap();
            }
        }
    }
    let holds = |cache: &Path| {
        let folders = names(cache).into_iter().map(|name| cache.join(name).join("catalog.sqlite"));
        folders.filter(|file| file.exists()).count()
    };
    assert_eq!(enforce_limit(&cache, sizes.iter().sum::<u64>() * 2).unwrap(), 0);
    assert_eq!(holds(&cache), 3);
    let open = Catalog::open(&cache, &storages[0]).unwrap();
    assert!(enforce_limit(&cache, sizes[0] * 2).unwrap() > 0);
    assert_eq!(holds(&cache), 2, "the second was oldest, the first is in use");
    enforce_limit(&cache, 0).unwrap();
    assert_eq!(holds(&cache), 1);
    assert!(matches!(Catalog::empty(&cache, &storages[0]), Err(Error::Local { .. })), "it is in use");
    drop(open);
    Catalog::empty(&cache, &storages[0]).unwrap();
    assert_eq!(holds(&cache), 0);
}
