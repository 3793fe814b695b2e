//! Runs that were killed, duplicity's and ours, and what is left of them: we read what the others went on
//! with, do without what nobody went on with, and clear it away.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::duplicity::{Duplicity, url, versions};
use crate::common::engine::{Backup, Options, error, names};
use crate::common::gpg::Home;
use crate::common::tree::{assert_same, edit, look, make_small, noise};
use souvenir::engine::Error;
use souvenir::engine::backup::BackupKind;
use souvenir::engine::chain::{FullPolicy, FullReason};
use souvenir::engine::format::time::SetTime;
use souvenir::engine::job::Warning;
use souvenir::engine::status::Unused;

const FIRST: i64 = 1_700_000_000;
const SECOND: i64 = 1_700_100_000;
const THIRD: i64 = 1_700_200_000;

/// A tree, a destination, and what duplicity remembers of it.
struct Place {
    scratch: tempfile::TempDir,
    source: PathBuf,
    stored: PathBuf,
    cache: PathBuf,
}

impl Place {
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let path = |name: &str| scratch.path().join(name);
        let place = Self { source: path("source"), stored: path("stored"), cache: path("cache"), scratch };
        make_small(&place.source);
        place
    }

    fn backup(&self) -> Backup {
        Backup::new(&self.source, &self.stored)
    }

    fn target(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn arguments(&self, verb: &str, time: i64) -> Vec<String> {
        let (time, source) = (time.to_string(), self.source.to_str().unwrap().to_owned());
        let common = [verb, "--no-encryption", "--volsize", "1", "--current-time", &time];
        let mut arguments: Vec<String> = common.map(str::to_owned).to_vec();
        arguments.extend([source, url(&self.stored)]);
        arguments
    }

    fn duplicity(&self, program: &Duplicity, verb: &str, time: i64) -> String {
        program.run_remembering(&self.cache, &self.arguments(verb, time))
    }

    /// Lets duplicity begin a set and kills it when three volumes of it and more are there.
    fn kill_duplicity(&self, program: &Duplicity, verb: &str, time: i64) {
        let stamp = SetTime::from_epoch(time).unwrap().to_string();
        let mut child = program
            .command(&self.cache)
            .args(self.arguments(verb, time))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        let is_volume = |name: &&String| name.contains(&stamp) && name.contains("difftar");
        while !self.stored.exists() || names(&self.stored).iter().filter(is_volume).count() < 4 {
            assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
            assert!(begun.elapsed() < Duration::from_secs(60), "it does nothing");
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let left = names(&self.stored);
        assert!(!left.iter().any(|name| name.contains(&stamp) && name.contains("manifest")), "{left:?}");
    }

    /// duplicity restores what the tree is like, or was.
    fn duplicity_restores(&self, program: &Duplicity, time: Option<i64>, expected: &Tree) {
        let target = tempfile::tempdir_in(self.scratch.path()).unwrap();
        let target = target.path().join("restored");
        let (time, place) = (time.map(|time| time.to_string()), url(&self.stored));
        let time = time.as_ref().map_or(vec![], |time| vec!["--time", time]);
        let rest = [&place, target.to_str().unwrap()];
        program.run(&[&["restore", "--no-encryption"], &time[..], &rest].concat());
        assert_same(expected, &look(&target), &format!("{program:?} restores {time:?}"));
    }

    fn clean_up(&self) {
        souvenir_cli(&["cleanup", "--untouched-for", "0s", self.stored.to_str().unwrap()]);
    }
}

type Tree = std::collections::BTreeMap<Vec<u8>, crate::common::tree::Looks>;

fn souvenir_cli(arguments: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_souvenir-cli")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}

/// Enough for a dozen volumes that duplicity does not finish before it is killed.
fn grow(source: &Path, seed: u64) {
    fs::write(source.join("large"), noise(seed, 12_000_000)).unwrap();
}

/// duplicity is killed and goes on. It makes the last volume again, and unless it was killed just then,
/// that one stands twice in the manifest: the last word counts. It is tried until that has happened.
fn what_duplicity_went_on_with_is_read(program: &Duplicity) {
    let is_seen = |_| {
        let place = Place::new();
        duplicity_goes_on(&place, program);
        let found = names(&place.stored);
        let manifests = found.iter().filter(|name| name.ends_with(".manifest"));
        manifests.filter(|name| names_a_volume_twice(&place.stored.join(name))).count() > 0
    };
    assert!((0..5).any(is_seen), "no volume ever stands twice in a manifest");
}

fn names_a_volume_twice(manifest: &Path) -> bool {
    let text = fs::read_to_string(manifest).unwrap();
    let mut volumes: Vec<_> = text.lines().filter(|line| line.starts_with("Volume ")).collect();
    let count = volumes.len();
    volumes.sort_unstable();
    volumes.dedup();
    volumes.len() < count
}

fn duplicity_goes_on(place: &Place, program: &Duplicity) {
    grow(&place.source, 1);
    place.kill_duplicity(program, "full", FIRST);
    place.duplicity(program, "backup", FIRST + 100);
    let first = look(&place.source);
    grow(&place.source, 2);
    edit(&place.source.join("folder"), 1, 5);
    place.kill_duplicity(program, "incremental", SECOND);
    place.duplicity(program, "backup", SECOND + 100);
    let second = look(&place.source);

    let backup = place.backup();
    let status = backup.status();
    assert_eq!((status.chains.len(), status.chains[0].sets.len(), status.leftovers.len()), (1, 2, 0));
    backup.verify();
    for (set, expected) in status.chains[0].sets.iter().zip([&first, &second]) {
        let time = set.time.epoch();
        let target = place.target(&time.to_string());
        backup.restore_at(time, &target);
        assert_same(expected, &look(&target), "our restore");
        assert_eq!(backup.list_at(time).entries.len(), expected.len());
    }
    // And we go on with it.
    edit(&place.source, 3, 5);
    backup.at(THIRD).incremental().back_up();
    place.duplicity_restores(program, None, &look(&place.source));
}

#[test]
fn what_debians_duplicity_went_on_with_is_read() {
    what_duplicity_went_on_with_is_read(&versions(Home::new().path())[0]);
}

#[test]
fn what_the_newest_duplicity_went_on_with_is_read() {
    what_duplicity_went_on_with_is_read(&versions(Home::new().path())[1]);
}

/// duplicity is killed and nobody goes on: that is said, everything else comes back, and our next backup
/// builds on what is whole. After a cleanup both duplicities read and extend all of it.
fn what_nobody_went_on_with_is_no_obstacle(program: &Duplicity) {
    let home = Home::new();
    let place = Place::new();
    place.duplicity(program, "full", FIRST);
    let first = look(&place.source);
    grow(&place.source, 1);
    edit(&place.source.join("folder"), 1, 5);
    place.kill_duplicity(program, "incremental", SECOND);

    let backup = place.backup();
    let status = backup.status();
    assert_eq!((status.chains.len(), status.chains[0].sets.len()), (1, 1));
    let [leftover] = &status.leftovers[..] else { panic!("{:?}", status.leftovers) };
    assert_eq!((leftover.why, leftover.time.unwrap().epoch()), (Unused::Unfinished, SECOND));
    assert!(leftover.file_count >= 4);
    backup.restore(&place.target("first"));
    assert_same(&first, &look(&place.target("first")), "what is whole");
    assert_eq!(backup.list().entries.len(), first.len());
    backup.verify();

    let (result, warnings) = backup.clone().at(THIRD).incremental().try_back_up();
    assert_eq!(result.unwrap().set_time.epoch(), THIRD);
    assert!(matches!(&warnings[..], [Warning::Incomplete { .. }]), "{warnings:?}");
    let third = look(&place.source);
    backup.restore(&place.target("third"));
    assert_same(&third, &look(&place.target("third")), "our set beside the leftover");
    place.clean_up();
    assert_eq!(backup.status().leftovers, []);
    for (index, program) in versions(home.path()).iter().enumerate() {
        place.duplicity_restores(program, Some(FIRST), &first);
        place.duplicity_restores(program, Some(THIRD), &third);
        let status = program.run(&["collection-status", "--no-encryption", &url(&place.stored)]);
        assert!(status.contains("No orphaned or incomplete backup sets found"), "{status}");
        edit(&place.source, 9 + index as u64, 3);
        program.run(&place.arguments("incremental", THIRD + 100 * (index as i64 + 1)));
    }
    backup.restore(&place.target("last"));
    assert_same(&look(&place.source), &look(&place.target("last")), "what both duplicities added");
}

#[test]
fn what_nobody_went_on_with_is_no_obstacle_after_debians_duplicity() {
    what_nobody_went_on_with_is_no_obstacle(&versions(Home::new().path())[0]);
}

#[test]
fn what_nobody_went_on_with_is_no_obstacle_after_the_newest_duplicity() {
    what_nobody_went_on_with_is_no_obstacle(&versions(Home::new().path())[1]);
}

/// The very first backup was killed: there is none, and the next run begins with a full set.
#[test]
fn a_first_backup_that_duplicity_did_not_finish_is_none() {
    let home = Home::new();
    let programs = versions(home.path());
    let place = Place::new();
    grow(&place.source, 1);
    place.kill_duplicity(&programs[0], "full", FIRST);
    let mut backup = place.backup();
    assert!(backup.status().chains.is_empty());
    let failure = error(backup.try_restore(&place.target("none"), Options::default()));
    assert!(matches!(failure, Error::NoBackup { .. }), "{failure}");
    backup.kind = BackupKind::Auto(FullPolicy::default());
    let (result, warnings) = backup.clone().at(SECOND).try_back_up();
    assert_eq!(result.unwrap().full_because, Some(FullReason::First));
    assert!(matches!(&warnings[..], [Warning::Incomplete { .. }]), "{warnings:?}");
    backup.restore(&place.target("ours"));
    assert_same(&look(&place.source), &look(&place.target("ours")), "our restore");
    place.clean_up();
    for program in &programs {
        place.duplicity_restores(program, None, &look(&place.source));
    }
}

/// Our own run is killed half-way. Before and after our cleanup, both duplicities see a whole chain and
/// extend it, and our next run does not mind what they did.
#[test]
fn duplicity_extends_a_chain_on_which_we_were_killed() {
    let home = Home::new();
    for (program, cleaned) in versions(home.path()).iter().zip([false, true]) {
        let place = Place::new();
        place.backup().at(FIRST).back_up();
        grow(&place.source, 1);
        let mut child = Command::new(env!("CARGO_BIN_EXE_souvenir-cli"))
            .args(["backup", "--incremental", "--no-encryption", "--volume-size", "1"])
            .args([&place.source, &place.stored])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let is_ours = |name: &&String| name.starts_with(".unfinished-");
        while names(&place.stored).iter().filter(is_ours).count() < 3 {
            assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        }
        child.kill().unwrap();
        child.wait().unwrap();
        if cleaned {
            place.clean_up();
        }
        let status = program.run(&["collection-status", "--no-encryption", &url(&place.stored)]);
        assert!(status.contains("No orphaned or incomplete backup sets found"), "{status}");
        place.duplicity(program, "incremental", SECOND);
        place.duplicity_restores(program, None, &look(&place.source));
        edit(&place.source, 1, 5);
        let backup = place.backup();
        backup.clone().at(THIRD).incremental().back_up();
        let left = names(&place.stored);
        assert!(left.iter().all(|name| name.starts_with("duplicity-")), "{left:?}");
        backup.restore(&place.target("ours"));
        assert_same(&look(&place.source), &look(&place.target("ours")), "our restore");
        place.duplicity_restores(program, None, &look(&place.source));
    }
}

/// A manifest that is all there is of a set: of a later full one, and of an incremental one.
#[test]
fn a_bare_manifest_is_said_and_not_built_on() {
    let home = Home::new();
    let program = &versions(home.path())[0];
    for verb in ["full", "incremental"] {
        let place = Place::new();
        place.duplicity(program, "full", FIRST);
        let first = look(&place.source);
        edit(&place.source, 1, 5);
        place.duplicity(program, verb, SECOND);
        let second = SetTime::from_epoch(SECOND).unwrap().to_string();
        for name in names(&place.stored) {
            if name.contains(&second) && !name.ends_with("manifest") {
                fs::remove_file(place.stored.join(name)).unwrap();
            }
        }
        let mut backup = place.backup();
        let weak = backup.status().chains.iter().flat_map(|chain| chain.sets.clone()).last().unwrap();
        assert_eq!((weak.missing_volumes, weak.has_signatures), (vec![1], false));
        backup.restore_at(FIRST, &place.target("first"));
        assert_same(&first, &look(&place.target("first")), "what is whole");
        let (result, warnings) = backup.try_restore(&place.target("second"), Options::default());
        assert!(result.is_err() || !warnings.is_empty(), "{verb}: {result:?}");
        backup.kind = BackupKind::Auto(FullPolicy::default());
        let made = backup.clone().at(THIRD).back_up();
        assert!(matches!(made.full_because, Some(FullReason::MissingVolumes { .. })), "{made:?}");
        backup.restore(&place.target("third"));
        assert_same(&look(&place.source), &look(&place.target("third")), "our next set");
        place.duplicity_restores(program, None, &look(&place.source));
        // It says that it exists, so it goes as a backup goes, once it is old.
        place.clean_up();
        assert!(names(&place.stored).iter().any(|name| name.contains(&second)));
        souvenir_cli(&["remove-all-but-n-full", "1", place.stored.to_str().unwrap()]);
        assert!(!names(&place.stored).iter().any(|name| name.contains(&second)));
        place.duplicity_restores(program, None, &look(&place.source));
    }
}

/// What is left when a full disk or a power cut ends a run: volumes that end early, files that are not
/// whole, locks of nobody. Nothing of it stops a restore, a backup or duplicity after our cleanup.
#[test]
fn scraps_are_said_skipped_and_cleared_away() {
    let home = Home::new();
    let programs = versions(home.path());
    let place = Place::new();
    place.duplicity(&programs[1], "full", FIRST);
    let first = look(&place.source);
    let (start, end) = (SetTime::from_epoch(FIRST).unwrap(), SetTime::from_epoch(SECOND).unwrap());
    let scraps = [
        (format!("duplicity-inc.{start}.to.{end}.vol1.difftar.gz"), &noise(1, 5000)[..]),
        (format!("duplicity-inc.{start}.to.{end}.vol2.difftar.gz"), b""),
        (format!("duplicity-inc.{start}.to.{end}.vol2.difftar.gpg"), b"\x85"),
        (format!("duplicity-new-signatures.{start}.to.{end}.sigtar.gz"), b"\x1f\x8b"),
        (format!("duplicity-full.{end}.vol1.difftar.gz"), b"\x1f\x8b\x08"),
        (".souvenir-upload-abc".to_owned(), b"half a volume"),
        (".souvenir-lock".to_owned(), b"process 1 on another machine"),
        ("lockfile".to_owned(), b""),
    ];
    for (name, contents) in &scraps {
        fs::write(place.stored.join(name), contents).unwrap();
    }
    let backup = place.backup();
    let status = backup.status();
    assert_eq!((status.chains.len(), status.chains[0].sets.len()), (1, 1));
    let mut why: Vec<_> = status.leftovers.iter().map(|found| (found.why, found.file_count)).collect();
    why.sort_by_key(|(_, count)| *count);
    assert_eq!(why.len(), 3, "{why:?}");
    assert_eq!(why[2], (Unused::Unfinished, 4));
    backup.restore(&place.target("first"));
    assert_same(&first, &look(&place.target("first")), "beside the scraps");
    backup.verify();
    edit(&place.source, 1, 5);
    let (result, warnings) = backup.clone().at(THIRD).incremental().try_back_up();
    assert_eq!(result.unwrap().set_time.epoch(), THIRD);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    place.clean_up();
    let left = names(&place.stored);
    // What is nobody's stays.
    let scraps: Vec<_> = left.iter().filter(|name| scraps.iter().any(|(scrap, _)| scrap == *name)).collect();
    assert_eq!(scraps, ["lockfile"], "{left:?}");
    backup.restore(&place.target("third"));
    assert_same(&look(&place.source), &look(&place.target("third")), "our set");
    for program in &programs {
        place.duplicity_restores(program, Some(FIRST), &first);
        place.duplicity_restores(program, None, &look(&place.source));
    }
}

/// One volume lies there twice, once sealed and once not: the one whose hash the manifest has is it,
/// whatever the order of their names.
#[test]
fn of_two_files_for_one_volume_the_right_one_is_taken() {
    for (added, is_first) in [("difftar", true), ("difftar.gpg", false), ("difftar.z", false)] {
        let place = Place::new();
        let backup = place.backup();
        backup.clone().at(FIRST).back_up();
        let stored = names(&place.stored);
        let volume = stored.iter().find(|name| name.contains(".vol2.")).unwrap();
        let other = volume.replace("difftar.gz", added);
        assert_eq!(other < *volume, is_first || added == "difftar.gpg");
        fs::write(place.stored.join(&other), noise(3, 70_000)).unwrap();
        let target = place.target("restored");
        backup.restore(&target);
        assert_same(&look(&place.source), &look(&target), added);
        assert_eq!(backup.try_verify(souvenir::engine::verify::Which::All).0.unwrap().damaged, []);
        edit(&place.source, 1, 5);
        backup.clone().at(SECOND).incremental().back_up();
        backup.restore(&place.target("second"));
        assert_same(&look(&place.source), &look(&place.target("second")), added);
    }
}
