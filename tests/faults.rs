//! Backups and restores on places that fail in every way, by hundreds of schedules: they end right or with a
//! clear error, never with a wrong file; and once the place is well again, so is the backup.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::engine::{Backup, Options};
use common::faults::{Faults, Faulty, Shared};
use common::tree::{Tree, look, noise};
use souvenir::engine::Error;
use souvenir::engine::job::{Job, Warning};
use souvenir::engine::storage::{Backoff, LocalFolder, Retrying, StorageErrorKind};

const FIRST: i64 = 1_700_000_000;

/// Tried again at once, and given up soon.
const QUICK: Backoff = Backoff {
    first: Duration::from_millis(1),
    longest: Duration::from_millis(2),
    give_up_after: Duration::from_millis(40),
};

fn schedules() -> u64 {
    if std::env::var_os("SOUVENIR_TEST_ALL").is_some() { 3000 } else { 300 }
}

/// What goes wrong under a seed: mostly a little of several things, sometimes much of one.
fn faults_of(seed: u64) -> Faults {
    let mut random = fastrand::Rng::with_seed(seed ^ 0x5eed);
    let mut some = |most: u64| if random.bool() { random.u64(..=most) } else { 0 };
    let mut faults = Faults {
        cut: some(40),
        lost_answer: some(150),
        refused: some(200),
        forbidden: some(8),
        stale: some(100),
        slow: some(50),
        ..Faults::default()
    };
    match seed % 5 {
        0 => faults.room = random.u64(1..400_000),
        1 => faults.corrupt = random.u64(1..150),
        _ => {}
    }
    faults
}

fn make_tree(root: &Path, seed: u64) {
    for index in 0..12_usize {
        let path = root.join(format!("folder-{}/file-{index}", index % 3));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, noise(seed * 100 + index as u64, index * 3_000)).unwrap();
    }
    fs::write(root.join("large"), noise(seed, 220_000)).unwrap();
}

/// What is there of a tree must be right, and what is missing must have been named.
fn nothing_is_wrong(expected: &Tree, target: &Path, warnings: &[Warning], is_whole: bool, what: &str) {
    let found = if target.exists() { look(target) } else { Tree::new() };
    for (name, looks) in &found {
        let text = String::from_utf8_lossy(name);
        // Folders get their attributes once nothing more can come for them.
        if text.contains(".souvenir-restore-") || target.join(&*text).is_dir() {
            continue;
        }
        assert_eq!(expected.get(name), Some(looks), "{what}: {text}");
    }
    if is_whole && warnings.is_empty() {
        assert_eq!(found.len(), expected.len(), "{what}: something is missing, and nothing was said");
    }
}

/// The errors that may come of a place that fails.
fn is_clear(error: &Error) -> bool {
    match error {
        Error::Storage(error) => !matches!(error.kind, StorageErrorKind::Other),
        Error::Damaged { .. } | Error::NoBackup { .. } | Error::TimeNotLater { .. } => true,
        Error::CannotExtend { .. } | Error::PathNotInBackup { .. } | Error::NoSpace { .. } => true,
        _ => false,
    }
}

fn is_about_leftovers(warning: &Warning) -> bool {
    matches!(warning, Warning::Incomplete { .. })
}

fn run(seed: u64, happened: &mut BTreeMap<&'static str, u64>) -> (bool, bool) {
    let scratch = tempfile::tempdir().unwrap();
    let source = scratch.path().join("source");
    make_tree(&source, seed);
    let folder = Arc::new(LocalFolder::new(scratch.path().join("to")));
    let faulty = Faulty::new(folder.clone(), faults_of(seed), seed);
    let retrying = Retrying::new(Arc::new(Shared(Arc::clone(&faulty))), QUICK, &Job::unattended());
    let mut backup = Backup::new(&source, Path::new("unused")).stored_in(Arc::new(retrying));
    backup.volume_bytes = 100_000;
    let what = format!("seed {seed}, {:?}", faults_of(seed));

    let first = look(&source);
    let (result, _) = backup.clone().at(FIRST).try_back_up();
    let has_first = match result {
        Ok(_) => true,
        Err(error) => {
            assert!(is_clear(&error), "{what}: {error:?}");
            false
        }
    };
    fs::write(source.join("large"), noise(seed + 1, 230_000)).unwrap();
    fs::write(source.join("new"), noise(seed + 2, 20_000)).unwrap();
    let second = look(&source);
    let mut again = backup.clone().at(FIRST + 100);
    if has_first {
        again = again.incremental();
    }
    let (result, _) = again.try_back_up();
    let has_second = result.as_ref().map_err(|error| assert!(is_clear(error), "{what}: {error:?}")).is_ok();

    // A restore from the place as it is now.
    let mut restored = false;
    if has_first || has_second {
        let target = scratch.path().join("shaky");
        let expected = if has_second { &second } else { &first };
        let (result, warnings) = backup.try_restore(&target, Options::default());
        match result {
            // A stale list may be one without the newest set.
            Ok(summary) => {
                let is_second = summary.set_time.epoch() == FIRST + 100;
                let expected = if is_second { &second } else { &first };
                nothing_is_wrong(expected, &target, &warnings, true, &what);
                restored = true;
            }
            Err(error) => {
                assert!(is_clear(&error), "{what}: {error:?}");
                if faults_of(seed).stale == 0 {
                    nothing_is_wrong(expected, &target, &warnings, false, &what);
                }
            }
        }
    }

    // The place is well again.
    for (fault, count) in faulty.happened() {
        *happened.entry(fault).or_default() += count;
    }
    faulty.calm();
    let mut backup = backup.stored_in(folder);
    backup.kind = souvenir::engine::backup::BackupKind::Full;
    let (result, warnings) = backup.clone().at(FIRST + 200).try_back_up();
    result.unwrap_or_else(|error| panic!("{what}: {error}"));
    // What nobody could clean up is left out and named.
    assert!(warnings.iter().all(is_about_leftovers), "{what}: {warnings:?}");
    let mut times = vec![(FIRST + 200, &second)];
    times.extend(has_second.then_some((FIRST + 100, &second)));
    times.extend(has_first.then_some((FIRST, &first)));
    for (time, expected) in times {
        let target = scratch.path().join(format!("target-{time}"));
        let options =
            Options { time: souvenir::engine::format::time::SetTime::from_epoch(time), ..Options::default() };
        let (result, warnings) = backup.try_restore(&target, options);
        result.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(warnings.iter().all(is_about_leftovers), "{what}: {warnings:?}");
        common::tree::assert_same(expected, &look(&target), &format!("{what}, time {time}"));
    }
    (has_first && has_second, restored)
}

#[test]
fn no_schedule_of_faults_makes_a_wrong_file() {
    let next = std::sync::atomic::AtomicU64::new(0);
    let totals = std::sync::Mutex::new((0, 0, BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    if seed >= schedules() {
                        break;
                    }
                    let mut happened = BTreeMap::new();
                    let (backed_up, restored) = run(seed, &mut happened);
                    let mut totals = totals.lock().unwrap();
                    totals.0 += u64::from(backed_up);
                    totals.1 += u64::from(restored);
                    for (fault, count) in happened {
                        *totals.2.entry(fault).or_insert(0) += count;
                    }
                }
            });
        }
    });
    let (backed_up, restored, happened) = totals.into_inner().unwrap();
    println!("of {}: {backed_up} backed up twice, {restored} restored; {happened:?}", schedules());
    assert!(backed_up > schedules() / 20 && restored > schedules() / 20);
    assert!(happened.len() >= 8, "{happened:?}");
}
