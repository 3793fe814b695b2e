//! Chains that duplicity made: every time of them, whole and in parts.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::common::cases::case;
use crate::common::duplicity::{Duplicity, url, versions};
use crate::common::engine::{Backup, Options, error, names};
use crate::common::gpg::Home;
use crate::common::tree::{
    Tree, assert_same, below, change_something, edit, look, make_everything, make_small, noise,
};
use souvenir::engine::Error;
use souvenir::engine::crypto::{Encryption, Protection};
use souvenir::engine::format::time::SetTime;
use souvenir::engine::path::EntryPath;
use souvenir::engine::status::Weakness;

/// The time of a set, by its number in the destination.
fn time(number: usize) -> i64 {
    1_700_000_000 + number as i64 * 100_000
}

/// A tree, and a destination that duplicity backs it up to.
struct Theirs {
    scratch: tempfile::TempDir,
    source: PathBuf,
    stored: PathBuf,
    /// What the tree was like at the time of each set.
    states: Vec<Tree>,
}

impl Theirs {
    fn new(make: impl FnOnce(&Path)) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let (source, stored) = (scratch.path().join("source"), scratch.path().join("stored"));
        make(&source);
        Self { scratch, source, stored, states: Vec::new() }
    }

    fn set(&mut self, program: &Duplicity, verb: &str, options: &[&str]) {
        let (time, place) = (time(self.states.len()).to_string(), url(&self.stored));
        let common = [verb, "--volsize", "1", "--current-time", &time];
        program.run(&[&common[..], options, &[self.source.to_str().unwrap(), &place]].concat());
        self.states.push(look(&self.source));
    }

    fn backup(&self) -> Backup {
        Backup::new(&self.source, &self.stored)
    }

    /// A new path to restore to.
    fn target(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }
}

/// A full set and three incremental ones, the second of which changes nothing. At every time everything
/// comes back, is listed, and so does one file of several volumes, one folder, and what is gone is gone.
fn every_time_comes_back(program: &Duplicity, options: &[&str]) {
    let mut theirs = Theirs::new(make_everything);
    theirs.set(program, "full", options);
    change_something(&theirs.source);
    fs::remove_dir_all(theirs.source.join("dir.d")).unwrap();
    theirs.set(program, "incremental", options);
    theirs.set(program, "incremental", options);
    edit(&theirs.source.join("sizes"), 7, 6);
    fs::create_dir(theirs.source.join("dir.d")).unwrap();
    fs::write(theirs.source.join("dir.d/z"), "back again").unwrap();
    theirs.set(program, "incremental", options);
    assert_ne!(theirs.states[1], theirs.states[3]);

    let backup = theirs.backup();
    let status = backup.status();
    assert_eq!((status.chains.len(), status.chains[0].sets.len(), status.leftovers.len()), (1, 4, 0));
    // Statistics belong to their sets.
    let stored_bytes = status.chains[0].sets.iter().map(|set| set.stored_bytes).sum::<u64>();
    let size = |name: &String| theirs.stored.join(name).metadata().unwrap().len();
    assert_eq!(stored_bytes, names(&theirs.stored).iter().map(size).sum::<u64>());
    let statistics_count = names(&theirs.stored).iter().filter(|name| name.contains("jsonstat")).count();
    assert_eq!(statistics_count, if options.contains(&"--jsonstat") { 4 } else { 0 });
    for (number, expected) in theirs.states.iter().enumerate() {
        let target = theirs.target(&number.to_string());
        let summary = backup.restore_at(time(number), &target);
        assert_eq!(summary.set_time.epoch(), time(number));
        assert_same(expected, &look(&target), &format!("all of {number}"));

        let listed = backup.list_at(time(number)).entries;
        let mut paths: Vec<_> = expected.keys().map(|name| EntryPath::from_bytes(name).unwrap()).collect();
        paths.sort();
        assert_eq!(listed.into_iter().map(|entry| entry.path).collect::<Vec<_>>(), paths);

        for path in ["sizes/2500000", "sizes", "dir.d", "big/2/1", "names", "renamed"] {
            let target = theirs.target(&format!("{number}-{}", path.replace('/', "-")));
            let at = Options { time: SetTime::from_epoch(time(number)), ..Options::only(path.as_bytes()) };
            let (result, warnings) = backup.try_restore(&target, at);
            assert_eq!(warnings, [], "{path} of {number}");
            let expected = below(expected, path.as_bytes());
            if expected.is_empty() {
                let failure = result.unwrap_err();
                assert!(matches!(failure, Error::PathNotInBackup { .. }), "{path} of {number}: {failure}");
                assert!(!target.exists());
            } else {
                assert!(result.unwrap().volume_count <= summary.volume_count);
                assert_same(&expected, &look(&target), &format!("{path} of {number}"));
            }
        }
    }
    backup.verify();
}

#[test]
fn every_time_and_part_of_debians_chains_comes_back() {
    let home = Home::new();
    every_time_comes_back(&versions(home.path())[0], &["--no-encryption", "--no-compression"]);
}

#[test]
fn every_time_and_part_of_the_newest_chains_comes_back() {
    let home = Home::new();
    every_time_comes_back(&versions(home.path())[1], &["--no-encryption", "--no-compression", "--jsonstat"]);
}

/// What is not compressed ends without an end of a tar in older versions: a set that changes nothing has a
/// volume of no bytes.
#[test]
fn a_set_that_changes_nothing_may_have_an_empty_volume() {
    let home = Home::new();
    let mut theirs = Theirs::new(make_small);
    let options = ["--no-encryption", "--no-compression"];
    theirs.set(&versions(home.path())[0], "full", &options);
    theirs.set(&versions(home.path())[0], "incremental", &options);
    let sizes = fs::read_dir(&theirs.stored).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len());
    assert_eq!(sizes.filter(|size| *size == 0).count(), 1);
    let backup = theirs.backup();
    assert_eq!(backup.restore(&theirs.target("restored")).set_time.epoch(), time(1));
    assert_same(&theirs.states[1], &look(&theirs.target("restored")), "the newest state");
    backup.verify();
    // And it is gone on with. The time of the root is another one to the second, which is all that
    // duplicity keeps.
    fs::write(theirs.source.join("new"), "new").unwrap();
    fs::File::open(&theirs.source).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(backup.at(time(2)).incremental().back_up().entry_count, 2);
}

/// Before, on, between and after the sets of two chains: the state that comes back is the one that
/// duplicity takes.
#[test]
fn each_moment_belongs_to_the_set_that_duplicity_takes() {
    let home = Home::new();
    let programs = versions(home.path());
    let mut theirs = Theirs::new(make_small);
    for number in 0..4 {
        edit(&theirs.source, number as u64, 4);
        let verb = if number % 2 == 0 { "full" } else { "incremental" };
        theirs.set(&programs[number / 2], verb, &["--no-encryption"]);
    }
    let backup = theirs.backup();
    let moments = [
        (time(0) - 1, 0),
        (time(0), 0),
        (time(0) + 1, 0),
        (time(1) - 1, 0),
        (time(1), 1),
        (time(1) + 1, 1),
        (time(2) - 1, 1),
        (time(2), 2),
        (time(3) - 1, 2),
        (time(3), 3),
        (time(3) + 99, 3),
    ];
    for (index, (moment, number)) in moments.into_iter().enumerate() {
        let ours = theirs.target(&format!("ours-{moment}"));
        let summary = backup.restore_at(moment, &ours);
        assert_eq!(summary.set_time.epoch(), time(number), "{moment}");
        assert_same(&theirs.states[number], &look(&ours), &format!("ours of {moment}"));
        assert_eq!(backup.list_at(moment).set_time.epoch(), time(number), "{moment}");
        let (target, moment, place) =
            (theirs.target(&format!("theirs-{moment}")), moment.to_string(), url(&theirs.stored));
        let arguments = ["restore", "--no-encryption", "--time", &moment, &place, target.to_str().unwrap()];
        programs[index % 2].run(&arguments);
        assert_same(&theirs.states[number], &look(&target), &format!("theirs of {moment}"));
    }
}

/// Each file is opened as its own name says, not as the first of its chain.
#[test]
fn the_protection_may_change_from_set_to_set() {
    let home = Home::new();
    let programs = versions(home.path());
    let signed = case(&home, "signed to a key");
    let signed: Vec<&str> = signed.options.iter().map(String::as_str).collect();
    let mut theirs = Theirs::new(make_small);
    let protections = [
        &["--no-encryption"][..],
        &[],
        &["--no-encryption", "--no-compression"],
        &signed,
        &["--no-encryption"],
    ];
    for (number, options) in protections.into_iter().enumerate() {
        if number > 0 {
            edit(&theirs.source, number as u64, 6);
        }
        let verb = if number == 0 { "full" } else { "incremental" };
        theirs.set(&programs[number % 2], verb, options);
    }
    let passphrase = Protection { encryption: Encryption::Passphrase, sign_key: None };
    let backup = theirs.backup().protected(passphrase, home.keyring());
    edit(&theirs.source, 99, 6);
    backup.clone().at(time(5)).incremental().back_up();
    theirs.states.push(look(&theirs.source));

    let status = backup.status();
    let encrypted: Vec<bool> = status.chains[0].sets.iter().map(|set| set.encrypted).collect();
    assert_eq!(encrypted, [false, true, false, true, false, true]);
    let weakest = status.chains[0].weakest_link().map(|(set, weakness)| (set.time.epoch(), weakness));
    assert_eq!(weakest, Some((time(0), Weakness::NotEncrypted)));
    backup.verify();
    for (number, expected) in theirs.states.iter().enumerate() {
        let target = theirs.target(&format!("ours-{number}"));
        backup.restore_at(time(number), &target);
        assert_same(expected, &look(&target), &format!("ours of {number}"));
        assert_eq!(backup.list_at(time(number)).entries.len(), expected.len());
    }
    for program in &programs {
        let target = tempfile::tempdir_in(theirs.scratch.path()).unwrap();
        let target = target.path().join("restored");
        program.run(&["restore", &url(&theirs.stored), target.to_str().unwrap()]);
        assert_same(&theirs.states[5], &look(&target), &format!("{program:?}"));
    }
    // Whoever has neither key nor passphrase gets the states that need none.
    let mut without = theirs.backup().protected(Protection::none(), Home::new().keyring());
    without.passphrase = None;
    without.restore_at(time(0), &theirs.target("plain"));
    assert_same(&theirs.states[0], &look(&theirs.target("plain")), "without any secret");
    let at = Options { time: SetTime::from_epoch(time(1)), ..Options::default() };
    error(without.try_restore(&theirs.target("sealed"), at));
}

/// duplicity also backs up what is no folder: then the root of the backup is a file or a link.
#[test]
fn the_root_may_be_a_file_or_a_link() {
    let home = Home::new();
    for (index, program) in versions(home.path()).iter().enumerate() {
        let mut file = Theirs::new(|source| fs::write(source, noise(1, 200_000)).unwrap());
        file.set(program, "full", &["--no-encryption"]);
        fs::write(&file.source, noise(2, 300_000)).unwrap();
        File::open(&file.source).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        file.set(program, "incremental", &["--no-encryption"]);
        let mut link = Theirs::new(|source| symlink("/", source).unwrap());
        link.set(program, "full", &["--no-encryption"]);
        for theirs in [&file, &link] {
            let backup = theirs.backup();
            backup.verify();
            for (number, expected) in theirs.states.iter().enumerate() {
                let target = theirs.target(&format!("{index}-{number}"));
                backup.restore_at(time(number), &target);
                assert_same(expected, &look(&target), &format!("{number} by {program:?}"));
                assert_eq!(backup.list_at(time(number)).entries.len(), 1);
            }
        }
    }
}
