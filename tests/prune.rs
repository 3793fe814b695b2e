//! Deleting old backups: the same chains pruned by the real duplicity in one copy and by us in another,
//! and deletions that are stopped half-way.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use common::deleting::Deleting;
use common::duplicity::{Duplicity, url, versions};
use common::engine::{names, run};
use common::tree::{Looks, assert_same, look};
use souvenir::engine::Error;
use souvenir::engine::chain::Collection;
use souvenir::engine::chain::removal::Policy;
use souvenir::engine::format::time::SetTime;
use souvenir::engine::job::{Job, Warning};
use souvenir::engine::prune::{
    CleanupRequest, CleanupSummary, Mode, PruneRequest, PruneSummary, cleanup, prune,
};
use souvenir::engine::storage::{LocalFolder, Storage, StorageErrorKind};

/// The time of the N-th set, from 1: three chains of three sets each. An orphan is older than all.
fn time(number: i64) -> i64 {
    1_700_000_000 + number * 100_000
}

fn debians() -> Duplicity {
    versions(Path::new("/nonexistent")).remove(0)
}

fn newest() -> Duplicity {
    versions(Path::new("/nonexistent")).remove(1)
}

/// Three chains that duplicity made, an incremental set that lost its full one, and what the source was
/// like at each time.
struct Made {
    scratch: tempfile::TempDir,
    source: PathBuf,
    states: BTreeMap<i64, BTreeMap<Vec<u8>, Looks>>,
}

impl Made {
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let (source, stored) = (scratch.path().join("source"), scratch.path().join("stored"));
        fs::create_dir(&source).unwrap();
        let mut states = BTreeMap::new();
        for number in -1_i64..=9 {
            for name in ["always".to_owned(), format!("new-{number}")] {
                // duplicity sees a change only if the time is another one to the second.
                let written = SystemTime::UNIX_EPOCH + Duration::from_secs(time(number).unsigned_abs());
                fs::write(source.join(&name), format!("as of {number}")).unwrap();
                File::options().write(true).open(source.join(name)).unwrap().set_modified(written).unwrap();
            }
            let verb = if matches!(number, -1 | 1 | 4 | 7) { "full" } else { "incremental" };
            back_up(&debians(), verb, &source, &stored, number);
            states.insert(time(number), look(&source));
        }
        for name in names(&stored).iter().filter(|name| name.contains("full") && name.contains(&stamp(-1))) {
            fs::remove_file(stored.join(name)).unwrap();
        }
        Self { scratch, source, states }
    }

    /// A copy, to be spoiled.
    fn copy(&self) -> Copied<'_> {
        self.copy_of(&self.scratch.path().join("stored"))
    }

    fn copy_of(&self, stored: &Path) -> Copied<'_> {
        let folder = tempfile::tempdir_in(self.scratch.path()).unwrap();
        for name in names(stored) {
            fs::copy(stored.join(&name), folder.path().join(&name)).unwrap();
        }
        Copied { made: self, folder }
    }
}

fn back_up(program: &Duplicity, verb: &str, source: &Path, stored: &Path, number: i64) {
    let (at, place) = (time(number).to_string(), url(stored));
    program.run(&[verb, "--no-encryption", "--current-time", &at, source.to_str().unwrap(), &place]);
}

fn stamp(number: i64) -> String {
    SetTime::from_epoch(time(number)).unwrap().to_string()
}

/// A copy of the chains.
struct Copied<'a> {
    made: &'a Made,
    folder: tempfile::TempDir,
}

impl Copied<'_> {
    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn names(&self) -> Vec<String> {
        names(self.path())
    }

    fn storage(&self) -> Arc<dyn Storage> {
        Arc::new(LocalFolder::new(self.path()))
    }

    /// A newest incremental set whose run was killed before it stored the files with these parts in
    /// their names. The names of the others.
    fn add_unfinished(&self, without: &[&str]) -> Vec<String> {
        back_up(&debians(), "incremental", &self.made.source, self.path(), 10);
        let (missing, stored): (Vec<_>, Vec<_>) = self
            .names()
            .into_iter()
            .filter(|name| name.contains(&stamp(10)))
            .partition(|name| without.iter().any(|part| name.contains(part)));
        for name in missing {
            fs::remove_file(self.path().join(name)).unwrap();
        }
        stored
    }

    /// Restores the state of a time, which must be what it was.
    fn check(&self, program: &Duplicity, at: i64) {
        let target = tempfile::tempdir_in(self.made.scratch.path()).unwrap();
        let target = target.path().join("restored");
        let (at_text, place) = (at.to_string(), url(self.path()));
        let arguments = ["restore", "--no-encryption", "--time", &at_text, &place, target.to_str().unwrap()];
        program.run(&arguments);
        assert_same(&self.made.states[&at], &look(&target), &format!("{program:?} at {at}"));
    }

    /// The last times of the chains that are there.
    fn chain_ends(&self) -> Vec<i64> {
        let files = self.storage().list().unwrap();
        Collection::new(files).chains.iter().map(|chain| chain.end().epoch()).collect()
    }
}

/// Our command line, which must end with that code. Gives what it printed.
fn ours(code: i32, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_souvenir-cli")).args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}{told}");
    text
}

/// What is left where duplicity did it, and where we did it.
fn survivors(program: &Duplicity, from: &Copied<'_>, verb: &[&str]) -> (Vec<String>, Vec<String>) {
    let (theirs, mine) = (from.made.copy_of(from.path()), from.made.copy_of(from.path()));
    let place = url(theirs.path());
    program.run(&[verb, &["--force", "--no-encryption", &place]].concat());
    let extra: &[&str] = if verb[0] == "cleanup" { &["--untouched-for", "0s"] } else { &[] };
    let untouched = mine.names();
    let place = mine.path().to_str().unwrap();
    ours(0, &[verb, &["--dry-run"], extra, &[place]].concat());
    assert_eq!(mine.names(), untouched, "a dry run deletes nothing");
    ours(0, &[verb, extra, &[place]].concat());
    (theirs.names(), mine.names())
}

fn removals(beyond_the_active_chain: bool) -> Vec<Vec<String>> {
    let texts = |words: [&str; 2]| words.map(str::to_owned).to_vec();
    let mut verbs = Vec::new();
    // Before all, on the very end of a chain, just after it, within the next one, within the active one.
    let mut times = vec![time(0), time(3), time(3) + 1, time(5), time(6) + 1, time(8)];
    if beyond_the_active_chain {
        times.extend([time(9) + 1, time(99)]);
    }
    verbs.extend(times.iter().map(|at| texts(["remove-older-than", &at.to_string()])));
    for verb in ["remove-all-but-n-full", "remove-all-inc-of-but-n-full"] {
        verbs.extend(["1", "2", "3", "4"].map(|number| texts([verb, number])));
    }
    verbs
}

/// 3.0.4 deletes the signatures of the active chain if the time is beyond it; that is not tried with it.
#[test]
fn the_same_survives_as_with_debians_duplicity() {
    the_same_survives(&debians(), &removals(false));
}

#[test]
fn the_same_survives_as_with_the_newest_duplicity() {
    the_same_survives(&newest(), &removals(true));
}

fn the_same_survives(program: &Duplicity, verbs: &[Vec<String>]) {
    let made = Made::new();
    let chains = made.copy();
    for unfinished in [false, true] {
        if unfinished {
            chains.add_unfinished(&["manifest", "sigtar"]);
        }
        for verb in verbs {
            println!("{verb:?}, with an unfinished set: {unfinished}");
            let verb: Vec<&str> = verb.iter().map(String::as_str).collect();
            let (theirs, mine) = survivors(program, &chains, &verb);
            assert_eq!(theirs, mine, "{verb:?}");
        }
    }
}

/// If its signatures are there, the newest duplicity deletes an unfinished last set, whatever it was
/// asked to delete. We leave that to `cleanup`, since the set may be in the making.
#[test]
fn an_unfinished_set_is_all_that_we_leave_more_than_the_newest_duplicity() {
    let made = Made::new();
    let chains = made.copy();
    let unfinished = chains.add_unfinished(&["manifest"]);
    assert_eq!(unfinished.len(), 2);
    for verb in [["remove-older-than", &time(5).to_string()], ["remove-all-inc-of-but-n-full", "1"]] {
        let (theirs, mut mine) = survivors(&newest(), &chains, &verb);
        assert!(unfinished.iter().all(|name| mine.contains(name)), "{mine:?}");
        mine.retain(|name| !unfinished.contains(name));
        assert_eq!(theirs, mine, "{verb:?}");
    }
}

#[test]
fn the_same_survives_a_cleanup() {
    let made = Made::new();
    let chains = made.copy();
    for unfinished in [false, true] {
        if unfinished {
            chains.add_unfinished(&["manifest", "sigtar"]);
        }
        for program in [debians(), newest()] {
            let (theirs, mine) = survivors(&program, &chains, &["cleanup"]);
            assert_eq!(theirs, mine, "{program:?}");
            assert!(!mine.iter().any(|name| name.contains(&stamp(0)) || name.contains(&stamp(10))));
            assert_eq!(mine.len(), 27, "{mine:?}");
        }
    }
}

/// What 3.0.4 itself cannot mend: it leaves the signatures, and then refuses to go on.
#[test]
fn after_our_cleanup_duplicity_goes_on() {
    let made = Made::new();
    for program in [debians(), newest()] {
        let chains = made.copy();
        chains.add_unfinished(&["manifest"]);
        ours(0, &["cleanup", "--untouched-for", "0s", chains.path().to_str().unwrap()]);
        assert_eq!(chains.names().len(), 27);
        back_up(&program, "incremental", &made.source, chains.path(), 11);
        assert_eq!(chains.chain_ends().last(), Some(&time(11)));
    }
}

fn prune_in(storage: Arc<dyn Storage>, policy: &Policy) -> (Result<PruneSummary, Error>, Vec<Warning>) {
    let policy = policy.clone();
    run(move |job: &Job| {
        prune(&PruneRequest { storage: &*storage, policy: &policy, mode: Mode::Delete }, job)
    })
}

fn cleanup_in(storage: Arc<dyn Storage>, untouched_for: Duration) -> CleanupSummary {
    let (result, warnings) = run(move |job: &Job| {
        let now = SystemTime::now();
        cleanup(&CleanupRequest { storage: &*storage, mode: Mode::Delete, untouched_for, now }, job)
    });
    assert_eq!(warnings, []);
    result.unwrap()
}

/// Stops after each file in turn. Whatever is whole then can be restored, and a second run with a
/// cleanup makes an end of it.
fn every_interruption_is_survived(program: &Duplicity) {
    let made = Made::new();
    let thorough = std::env::var_os("SOUVENIR_TEST_ALL").is_some();
    let one = NonZeroU32::MIN;
    for (policy, file_count) in [(Policy::AllButFull(one), 18), (Policy::IncrementalOfAllButFull(one), 12)] {
        let whole = made.copy();
        let (summary, _) = prune_in(whole.storage(), &policy);
        assert_eq!(summary.unwrap().file_count, file_count as u64);
        for stop in 0..file_count {
            println!("{policy:?} is stopped after {stop} files");
            let chains = made.copy();
            let storage = Deleting::stopping_after(chains.storage(), stop);
            let (result, _) = prune_in(storage.clone(), &policy);
            let error = result.unwrap_err();
            assert!(matches!(&error, Error::Storage(error) if error.kind == StorageErrorKind::Unreachable));
            assert_eq!(storage.deleted().len(), stop);
            let ends = chains.chain_ends();
            assert_eq!(ends.last(), Some(&time(9)));
            // The newest state always, and those of the chains that are on their way out now and then.
            let is_tried = |end: &&i64| **end == time(9) || stop % 3 == 0 || thorough;
            for end in ends.iter().filter(is_tried) {
                chains.check(program, *end);
            }
            let (result, warnings) = prune_in(chains.storage(), &policy);
            result.unwrap();
            assert_eq!(warnings, []);
            cleanup_in(chains.storage(), Duration::ZERO);
            cleanup_in(whole.storage(), Duration::ZERO);
            assert_eq!(chains.names(), whole.names(), "after a second run");
        }
    }
}

#[test]
fn debians_duplicity_restores_after_every_interruption() {
    every_interruption_is_survived(&debians());
}

#[test]
fn the_newest_duplicity_restores_after_every_interruption() {
    every_interruption_is_survived(&newest());
}

#[test]
fn the_order_is_newest_chain_first_and_manifests_first() {
    let made = Made::new();
    let chains = made.copy();
    let storage = Deleting::stopping_after(chains.storage(), usize::MAX);
    prune_in(storage.clone(), &Policy::AllButFull(NonZeroU32::MIN)).0.unwrap();
    let order: Vec<(usize, String)> = storage
        .deleted()
        .into_iter()
        .map(|name| {
            let number = (1..=9).rev().find(|number| name.contains(&stamp(*number))).unwrap();
            let part = ["manifest", "difftar", "sigtar"].into_iter().find(|part| name.contains(part));
            (usize::try_from(number).unwrap(), part.unwrap().to_owned())
        })
        .collect();
    let expected: Vec<(usize, String)> = [6, 5, 4, 3, 2, 1]
        .into_iter()
        .flat_map(|number| ["manifest", "difftar", "sigtar"].map(|part| (number, part.to_owned())))
        .collect();
    assert_eq!(order, expected);
}

#[test]
fn a_file_that_stays_is_a_warning_and_the_rest_goes() {
    let made = Made::new();
    let chains = made.copy();
    // The manifest of the middle set of the first chain, and a volume of the second.
    let refuse = |name: &str, _| {
        let stays = (name.contains(&format!("{}.manifest", stamp(2))))
            || name.contains(&format!("{}.vol1", stamp(5)));
        stays.then_some(io::ErrorKind::PermissionDenied)
    };
    let storage = Deleting::new(chains.storage(), Box::new(refuse));
    let (result, warnings) = prune_in(storage, &Policy::AllButFull(NonZeroU32::MIN));
    let summary = result.unwrap();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings.iter().all(|warning| matches!(warning, Warning::NotDeleted { .. })), "{warnings:?}");
    assert_eq!(summary.warning_count, 2);
    assert_eq!(summary.file_count, 18 - 6 - 1);
    // What the set that stays builds on stays too: its state can still be restored.
    assert_eq!(chains.chain_ends(), [time(2), time(9)]);
    chains.check(&newest(), time(2));
}

#[test]
fn what_may_be_in_the_making_stays() {
    let made = Made::new();
    let chains = made.copy();
    let unfinished = chains.add_unfinished(&["manifest", "sigtar"]).remove(0);
    let upload = chains.path().join(".souvenir-upload-x1");
    fs::write(&upload, "half a volume").unwrap();
    let whole = chains.names();
    let day = Duration::from_secs(86_400);
    let age = |path: &Path, age: Duration| {
        File::options().write(true).open(path).unwrap().set_modified(SystemTime::now() - age).unwrap();
    };
    let volume = chains.path().join(&unfinished);

    // All is new; then only what is not whole yet is; then only the set is.
    let found = cleanup_in(chains.storage(), day);
    assert_eq!(found.in_use.len(), 2, "{found:?}");
    age(&volume, day * 2);
    let found = cleanup_in(chains.storage(), day);
    assert_eq!(found.in_use.len(), 2, "somebody is writing: {found:?}");
    assert!(upload.exists() && volume.exists());
    age(&volume, Duration::ZERO);
    age(&upload, day * 2);
    let found = cleanup_in(chains.storage(), day);
    assert_eq!(
        (found.in_use, found.single_files),
        (vec![unfinished.clone()], vec![".souvenir-upload-x1".to_owned()])
    );
    assert!(volume.exists() && !upload.exists());
    // A clock that is ahead says nothing.
    File::options().write(true).open(&volume).unwrap().set_modified(SystemTime::now() + day * 9).unwrap();
    assert_eq!(cleanup_in(chains.storage(), day).in_use.len(), 1);
    age(&volume, day + Duration::from_secs(60));
    let found = cleanup_in(chains.storage(), day);
    assert_eq!((found.unfinished.len(), found.in_use.len()), (1, 0));
    assert!(!volume.exists());
    let orphans = whole.iter().filter(|name| name.contains(&stamp(0))).count();
    assert_eq!(chains.names().len(), whole.len() - orphans - 2, "the rest is as it was");
}

#[test]
fn what_the_next_backup_goes_on_with_stays() {
    let made = Made::new();
    let chains = made.copy();
    let almost = chains.add_unfinished(&["manifest"]);
    let manifest = format!("duplicity-inc.{}.to.{}.manifest", stamp(9), stamp(10));
    let ours = [
        format!(".unfinished-list-{manifest}"),
        format!(
            ".unfinished-{}-{}-{}",
            "0".repeat(32),
            "0".repeat(16),
            manifest.replace("manifest", "vol2.difftar.gz")
        ),
    ];
    let old = SystemTime::now() - Duration::from_secs(9 * 86_400);
    for name in almost.iter().chain(&ours) {
        let path = chains.path().join(name);
        File::options().create(true).append(true).open(path).unwrap().set_modified(old).unwrap();
    }
    // What has no set of its own yet is nobody's reason to keep an old chain.
    let (result, warnings) = prune_in(chains.storage(), &Policy::AllButFull(NonZeroU32::MIN));
    assert_eq!((result.unwrap().file_count, warnings), (18, vec![]));
    let found = cleanup_in(chains.storage(), Duration::from_secs(86_400));
    assert_eq!((found.unfinished.len(), found.in_use.len()), (0, 1), "{found:?}");
    let left = chains.names();
    assert!(almost.iter().chain(&ours).all(|name| left.contains(name)), "{left:?}");
    let found = cleanup_in(chains.storage(), Duration::ZERO);
    assert_eq!((found.unfinished.len(), found.in_use.len()), (1, 0), "{found:?}");
}

#[test]
fn nothing_is_deleted_while_a_backup_is_under_way() {
    let made = Made::new();
    let chains = made.copy();
    let storage = chains.storage();
    let lock = storage.lock("somebody").unwrap();
    let before = chains.names();
    let place = chains.path().to_str().unwrap();
    for verb in [&["remove-all-but-n-full", "1"][..], &["cleanup", "--untouched-for", "0s"]] {
        ours(3, &[verb, &[place]].concat());
        ours(0, &[verb, &["--dry-run", place]].concat());
    }
    assert_eq!(chains.names(), before);
    drop(lock);
    ours(0, &["remove-all-but-n-full", "1", place]);
    assert!(!chains.names().iter().any(|name| name.contains("lock")), "{:?}", chains.names());
}

#[test]
fn repositories_of_others_are_left_alone() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("config"), "x").unwrap();
    fs::create_dir(place.path().join("keys")).unwrap();
    ours(3, &["cleanup", place.path().to_str().unwrap()]);
    ours(3, &["remove-older-than", "1D", place.path().to_str().unwrap()]);
}

#[test]
fn the_command_line_says_what_goes_and_what_stays() {
    let made = Made::new();
    let chains = made.copy();
    let place = chains.path().to_str().unwrap();
    let before = chains.names();
    for usage in
        [&["prune", place][..], &["remove-all-but-n-full", "0", place], &["remove-older-than", "3d", place]]
    {
        ours(2, usage);
    }
    let arguments = ["prune", "--keep-daily", "2", "--keep-monthly", "1", "--dry-run", place];
    let text = ours(0, &arguments);
    assert!(text.contains(&format!("would delete {} (", stamp(6))), "{text}");
    assert!(text.contains("the newest of all") && text.contains("needs it"), "{text}");
    assert_eq!(chains.names(), before);

    let now = time(9).to_string();
    let arguments = ["--json", "--current-time", &now, "prune", "--keep-within", "3D", place];
    let value: serde_json::Value = serde_json::from_str(&ours(0, &arguments)).unwrap();
    assert_eq!(value["dry_run"], false);
    let times = |key: &str| {
        let sets = value[key].as_array().unwrap();
        sets.iter().map(|set| set["time"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(times("deleted"), [6, 5, 4, 3, 2, 1].map(stamp));
    assert_eq!(times("kept"), [7, 8, 9].map(stamp));
    assert_eq!(value["files"], 18);
    assert_eq!(value["kept"][0]["reasons"][0], "within");
    assert!(value["deleted_bytes"].as_u64().unwrap() > 0);
    chains.check(&newest(), time(8));

    let text = ours(0, &["remove-all-but-n-full", "1", place]);
    assert!(text.contains("nothing to delete"), "{text}");
    let value: serde_json::Value =
        serde_json::from_str(&ours(0, &["--json", "cleanup", "--dry-run", place])).unwrap();
    assert_eq!(value["orphaned"][0]["time"], stamp(0));
}
