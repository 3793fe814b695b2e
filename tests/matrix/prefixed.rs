//! Sets whose files have something in front of their names (duplicity's `--file-prefix` options): they are
//! not read, and nothing is done to them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::duplicity::{url, versions};
use crate::common::engine::{Backup, Options, error, names};
use crate::common::gpg::Home;
use crate::common::tree::{assert_same, edit, look, make_small};
use souvenir::engine::Error;
use souvenir::engine::backup::BackupKind;
use souvenir::engine::chain::{FullPolicy, FullReason};

const EACH: [&str; 6] =
    ["--file-prefix-archive", "A_", "--file-prefix-manifest", "M_", "--file-prefix-signature", "S_"];
const ALL: [&str; 2] = ["--file-prefix", "P."];
const VOLUMES: [&str; 2] = ["--file-prefix-archive", "A_"];

fn contents(stored: &Path) -> BTreeMap<String, Vec<u8>> {
    names(stored).into_iter().map(|name| (name.clone(), fs::read(stored.join(name)).unwrap())).collect()
}

/// Our command line, which may warn of what stays.
fn ours(arguments: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_souvenir-cli")).args(arguments).output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 1)), "{arguments:?}: {output:?}");
}

/// All files of the sets have prefixes: the place is an empty one to us.
#[test]
fn sets_with_prefixes_are_passed_over_and_stay_as_they_are() {
    let home = Home::new();
    let programs = versions(home.path());
    for (prefixes, program) in [(&EACH[..], &programs[0]), (&ALL[..], &programs[1])] {
        let scratch = tempfile::tempdir().unwrap();
        let (source, stored) = (scratch.path().join("source"), scratch.path().join("stored"));
        make_small(&source);
        let (source_text, place) = (source.to_str().unwrap(), url(&stored));
        let theirs = |verb: &str, rest: &[&str]| {
            program.run(&[&[verb, "--no-encryption"], prefixes, rest].concat());
        };
        theirs("full", &["--volsize", "1", "--current-time", "1700000000", source_text, &place]);
        let before = look(&source);
        let files = contents(&stored);

        let backup = Backup::new(&source, &stored);
        assert!(backup.status().chains.is_empty());
        let failure = error(backup.try_restore(&scratch.path().join("nothing"), Options::default()));
        assert!(matches!(failure, Error::NoBackup { .. }), "{failure}");
        // Our own sets beside them, which are then deleted again.
        edit(&source, 1, 5);
        backup.clone().at(1_600_000_000).back_up();
        let after = look(&source);
        backup.restore(&scratch.path().join("ours"));
        assert_same(&after, &look(&scratch.path().join("ours")), "our restore");
        backup.clone().at(1_800_000_000).back_up();
        let place_text = stored.to_str().unwrap();
        for verb in [
            &["cleanup", "--untouched-for", "0s"][..],
            &["remove-older-than", "1750000000"],
            &["remove-all-but-n-full", "1"],
            &["prune", "--keep-daily", "1"],
        ] {
            ours(&[verb, &[place_text]].concat());
        }
        let mut left = contents(&stored);
        left.retain(|name, _| !name.starts_with("duplicity-"));
        assert!(left == files, "{:?} became {:?}", files.keys(), left.keys());
        theirs("restore", &[&place, scratch.path().join("theirs").to_str().unwrap()]);
        assert_same(&before, &look(&scratch.path().join("theirs")), "duplicity's restore");
    }
}

/// Only the volumes have a prefix: manifest and signatures look like those of a set that lost its volumes.
/// It is said, nothing is built on it, and nothing of it is deleted.
#[test]
fn nothing_is_built_on_a_set_whose_volumes_have_a_prefix() {
    let home = Home::new();
    for program in versions(home.path()) {
        let scratch = tempfile::tempdir().unwrap();
        let (source, stored) = (scratch.path().join("source"), scratch.path().join("stored"));
        make_small(&source);
        let (source_text, place) = (source.to_str().unwrap(), url(&stored));
        let options = ["--no-encryption", "--current-time", "1700000000", source_text, &place];
        program.run(&[&["full"], &VOLUMES[..], &options].concat());
        let before = look(&source);
        let files = contents(&stored);

        let backup = Backup::new(&source, &stored);
        let status = backup.status();
        assert_eq!(status.chains[0].sets[0].missing_volumes, [1]);
        let target = scratch.path().join("nothing");
        let failure = error(backup.try_restore(&target, Options::default()));
        assert!(matches!(failure, Error::Damaged { .. }), "{failure}");
        assert!(!target.exists() || look(&target).len() <= 1, "{:?}", look(&target).keys());
        edit(&source, 1, 5);
        let failure = error(backup.clone().incremental().try_back_up());
        assert!(matches!(failure, Error::CannotExtend { .. }), "{failure}");
        let mut next = backup.clone().at(1_800_000_000);
        next.kind = BackupKind::Auto(FullPolicy::default());
        let reason = next.back_up().full_because;
        assert!(matches!(reason, Some(FullReason::MissingVolumes { .. })), "{reason:?}");
        ours(&["cleanup", "--untouched-for", "0s", stored.to_str().unwrap()]);
        ours(&["remove-all-but-n-full", "1", stored.to_str().unwrap()]);
        backup.restore(&scratch.path().join("ours"));
        assert_same(&look(&source), &look(&scratch.path().join("ours")), "our restore");
        let mut left = contents(&stored);
        left.retain(|name, _| files.contains_key(name));
        assert!(left == files, "{:?} became {:?}", files.keys(), left.keys());
        // Of its own set duplicity restores everything, once ours is out of its way.
        let theirs = scratch.path().join("theirs");
        let options = ["--no-encryption", "--time", "1700000000", &place, theirs.to_str().unwrap()];
        program.run(&[&["restore"], &VOLUMES[..], &options].concat());
        assert_same(&before, &look(&theirs), "duplicity's restore");
    }
}
