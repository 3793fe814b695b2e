//! The program is killed in the middle: whatever moment it is, the destination stays valid for duplicity,
//! everything earlier restores, and the next run goes on with what is finished.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::deleting::Deleting;
use common::duplicity::{url, versions};
use common::engine::{Backup, Options, names, run};
use common::gpg::Home;
use common::tree::{Tree, assert_same, edit, look, noise};
use souvenir::engine::chain::removal::Policy;
use souvenir::engine::format::time::SetTime;
use souvenir::engine::job::Job;
use souvenir::engine::prune::{Mode, PruneRequest, prune};
use souvenir::engine::storage::LocalFolder;

const FIRST: i64 = 1_700_000_000;

/// Moments at which the program is killed; many more if everything is to be tested.
fn moments() -> u32 {
    if std::env::var_os("SOUVENIR_TEST_ALL").is_some() { 70 } else { 9 }
}

fn cli(arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_souvenir-cli"))
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// How long it takes undisturbed.
fn duration(arguments: &[&str]) -> Duration {
    let begun = Instant::now();
    assert!(cli(arguments).wait().unwrap().success());
    begun.elapsed()
}

fn kill_after(arguments: &[&str], wait: Duration) {
    let mut child = cli(arguments);
    std::thread::sleep(wait);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Kills a backup when so many volumes are finished, or, for the last moment, when the set is just being
/// given its names.
fn kill_backup(arguments: &[&str], to: &Path, moment: u32) {
    let mut child = cli(arguments);
    let is_due = |left: &[String]| {
        if moment + 1 == moments() {
            left.iter().any(|name| name.starts_with(".unfinished-list-"))
        } else {
            left.iter().filter(|name| is_finished_volume(name)).count() >= moment as usize % 10
        }
    };
    while !is_due(&names(to)) && child.try_wait().unwrap().is_none() {}
    std::thread::sleep(Duration::from_millis((moment / 10).into()));
    child.kill().unwrap();
    child.wait().unwrap();
}

fn is_finished_volume(name: &str) -> bool {
    name.starts_with(".unfinished-") && !name.starts_with(".unfinished-new-") && name.contains(".vol")
}

/// Whether some files of the new set have their own names, and the manifest does not.
fn is_between_names(left: &[String]) -> bool {
    let manifest = left.iter().find_map(|name| name.strip_prefix(".unfinished-list-"));
    manifest.is_some_and(|manifest| {
        let of_set = manifest.trim_end_matches("manifest");
        left.iter().any(|name| name.starts_with(of_set)) && !left.iter().any(|name| name == manifest)
    })
}

/// A tree of some 12 MB, one large file among it.
fn make_tree(root: &Path) {
    for index in 0..300_usize {
        let path = root.join(format!("folder-{}/file-{index}", index % 7));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, noise(index as u64, index * 100)).unwrap();
    }
    fs::write(root.join("large"), noise(1, 8_000_000)).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for name in names(from) {
        fs::copy(from.join(&name), to.join(&name)).unwrap();
    }
}

struct Killed {
    scratch: tempfile::TempDir,
    backup: Backup,
}

impl Killed {
    /// A destination with a full set, and a tree that has changed since.
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let source = scratch.path().join("source");
        make_tree(&source);
        let mut backup = Backup::new(&source, &scratch.path().join("base"));
        backup.volume_bytes = 1 << 20;
        Self { scratch, backup }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }
}

fn backups_are_gone_on_with(verb: &str) {
    let killed = Killed::new();
    killed.backup.clone().at(FIRST).back_up();
    let (source, base) = (killed.path("source"), killed.path("base"));
    let before = look(&source);
    edit(&source.join("folder-1"), 1, 20);
    fs::write(source.join("large"), noise(2, 9_000_000)).unwrap();
    let after = look(&source);
    let home = Home::new();
    let programs = versions(home.path());

    let arguments = |to: &str| -> Vec<String> {
        let options = ["backup", verb, "--no-encryption", "--volume-size", "1"];
        options.into_iter().map(str::to_owned).chain([source.to_str().unwrap().into(), to.into()]).collect()
    };
    let mut reused = 0;
    for moment in 0..moments() {
        let to = killed.path(&format!("to-{moment}"));
        copy(&base, &to);
        let arguments = arguments(to.to_str().unwrap());
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        kill_backup(&arguments, &to, moment);
        let left = names(&to);
        println!("{verb} {moment}: {left:?}");
        // Whatever is left, both duplicities read it as it is, and so do we.
        let program = &programs[moment as usize % 2];
        let target = killed.path(&format!("theirs-{moment}"));
        let time = FIRST.to_string();
        program.run(&["restore", "--no-encryption", "--time", &time, &url(&to), target.to_str().unwrap()]);
        assert_same(&before, &look(&target), "duplicity's restore of the earlier state");
        // Only between the first and the last of its renamings can a set be seen that is not whole.
        if !is_between_names(&left) {
            let status = program.run(&["collection-status", "--no-encryption", &url(&to)]);
            assert!(status.contains("No orphaned or incomplete backup sets found"), "{status}");
        }
        let mut backup = Backup::new(&source, &to);
        backup.volume_bytes = 1 << 20;
        let target = killed.path(&format!("ours-{moment}"));
        let options = Options { time: SetTime::from_epoch(FIRST), ..Options::default() };
        let (result, warnings) = backup.try_restore(&target, options);
        result.unwrap();
        assert_eq!(warnings, []);
        assert_same(&before, &look(&target), "our restore of the earlier state");

        // The next run finishes what was begun, with the volumes that are there.
        assert!(cli(&arguments).wait().unwrap().success());
        let stored = names(&to);
        assert!(stored.iter().all(|name| name.starts_with("duplicity-")), "{stored:?}");
        let kept = left.iter().filter(|name| is_finished_volume(name));
        reused += kept.filter(|name| stored.iter().any(|stored| name.ends_with(stored))).count();
        let target = killed.path(&format!("newest-{moment}"));
        backup.restore(&target);
        assert_same(&after, &look(&target), "the newest state");
        for name in ["to", "theirs", "ours", "newest"] {
            fs::remove_dir_all(killed.path(&format!("{name}-{moment}"))).unwrap();
        }
    }
    assert!(reused > 0, "the moments were too few or too early");
}

#[test]
fn a_full_backup_that_is_killed_is_gone_on_with() {
    backups_are_gone_on_with("--full");
}

#[test]
fn an_incremental_backup_that_is_killed_is_gone_on_with() {
    backups_are_gone_on_with("--incremental");
}

#[test]
fn a_restore_that_is_killed_leaves_only_whole_files() {
    let killed = Killed::new();
    killed.backup.back_up();
    let (source, base) = (killed.path("source"), killed.path("base"));
    let arguments = |target: &Path| -> Vec<String> {
        ["restore", "--force", base.to_str().unwrap(), target.to_str().unwrap()].map(str::to_owned).to_vec()
    };
    let trial = arguments(&killed.path("trial"));
    let whole = duration(&trial.iter().map(String::as_str).collect::<Vec<_>>());
    let expected = look(&source);
    for moment in 0..moments() {
        let target = killed.path(&format!("target-{moment}"));
        let arguments = arguments(&target);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        kill_after(&arguments, whole * moment / moments());
        for (name, looks) in if target.exists() { look(&target) } else { Default::default() } {
            let is_temporary = String::from_utf8_lossy(&name).contains(".souvenir-restore-");
            // Folders get their attributes once nothing more can come for them.
            if !is_temporary && !target.join(std::str::from_utf8(&name).unwrap()).is_dir() {
                assert_eq!(expected.get(&name), Some(&looks), "{}", name.escape_ascii());
            }
        }
        assert!(cli(&arguments).wait().unwrap().success());
        let restored: std::collections::BTreeMap<_, _> = look(&target)
            .into_iter()
            .filter(|(name, _)| !String::from_utf8_lossy(name).contains(".souvenir-restore-"))
            .collect();
        for (name, looks) in &expected {
            assert_eq!(restored.get(name), Some(looks), "{}", name.escape_ascii());
        }
    }
}

/// A destination with an old chain of two sets and a new one of one; the states by their times.
fn two_chains(killed: &Killed) -> Vec<(i64, Tree)> {
    let source = killed.path("source");
    fs::remove_file(source.join("large")).unwrap();
    let mut backup = killed.backup.clone();
    backup.volume_bytes = 1 << 18;
    let mut states = Vec::new();
    for (number, is_full) in [true, false, true].into_iter().enumerate() {
        let time = FIRST + number as i64 * 1000;
        let backup = backup.clone().at(time);
        if is_full { backup } else { backup.incremental() }.back_up();
        states.push((time, look(&source)));
        edit(&source.join("folder-1"), number as u64, 20);
    }
    states
}

/// The process that is killed while it removes the old chain. It takes its time, so that it can be.
#[test]
#[ignore = "runs in a process of its own"]
fn removes_slowly() {
    let Some(from) = std::env::var_os(REMOVED_FROM) else { return };
    let hesitate = |_: &str, _| {
        std::thread::sleep(Duration::from_millis(10));
        None
    };
    let storage = Deleting::new(Arc::new(LocalFolder::new(from)), Box::new(hesitate));
    let policy = Policy::AllButFull(NonZeroU32::MIN);
    let (result, _) = run(move |job: &Job| {
        prune(&PruneRequest { storage: &*storage, policy: &policy, mode: Mode::Delete }, job)
    });
    result.unwrap();
}

/// Tells that process where.
const REMOVED_FROM: &str = "SOUVENIR_TEST_REMOVED_FROM";

#[test]
fn a_removal_that_is_killed_leaves_whole_sets() {
    let killed = Killed::new();
    let states = two_chains(&killed);
    let base = killed.path("base");
    let whole = names(&base);
    let of_newest = whole.iter().filter(|name| name.contains(&stamp(states[2].0)));
    let of_newest: Vec<_> = of_newest.cloned().collect();
    let doomed = (whole.len() - of_newest.len()) as u32;
    let mut halfway = 0;
    let home = Home::new();
    let programs = versions(home.path());
    for moment in 0..moments() {
        let to = killed.path(&format!("to-{moment}"));
        copy(&base, &to);
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "removes_slowly", "--ignored"])
            .env(REMOVED_FROM, &to)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let is_due = || {
            let left = names(&to).iter().filter(|name| whole.contains(name)).count();
            whole.len() - left >= (doomed * moment / moments()) as usize
        };
        while !is_due() && child.try_wait().unwrap().is_none() {}
        child.kill().unwrap();
        child.wait().unwrap();

        // What is left of the old chain is whole: its manifests are the first to go.
        let left = names(&to);
        let gone = whole.iter().filter(|name| !left.contains(name)).count() as u32;
        halfway += u32::from(gone > 0 && gone < doomed);
        for (time, state) in &states {
            let exists = left.iter().any(|name| name.contains(&stamp(*time)) && name.ends_with("manifest"));
            if !exists {
                continue;
            }
            let target = killed.path(&format!("theirs-{moment}-{time}"));
            let (time, place) = (time.to_string(), url(&to));
            let arguments = ["restore", "--no-encryption", "--time", &time, &place, target.to_str().unwrap()];
            programs[moment as usize % 2].run(&arguments);
            assert_same(state, &look(&target), &format!("at {time} after {moment}"));
            fs::remove_dir_all(target).unwrap();
        }
        // The next run finishes it; what no set has any more a cleanup takes.
        let remove = ["remove-all-but-n-full", "1", to.to_str().unwrap()];
        assert!(cli(&remove).wait().unwrap().success());
        let cleanup = ["cleanup", "--untouched-for", "0s", to.to_str().unwrap()];
        assert!(cli(&cleanup).wait().unwrap().success());
        let kept: Vec<_> = names(&to);
        assert_eq!(kept, of_newest, "after {moment}");
        fs::remove_dir_all(to).unwrap();
    }
    assert!(halfway > moments() / 2, "the moments were too late");
}

fn stamp(time: i64) -> String {
    SetTime::from_epoch(time).unwrap().to_string()
}
