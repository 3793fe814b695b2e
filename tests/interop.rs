//! Souvenir and the real duplicity on the same backups, both ways, in every protection.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use common::cases::{Case, case, duplicity};
use common::duplicity::{Duplicity, statistic, url, versions};
use common::engine::{Backup, Options, PASSPHRASE, to_key};
use common::gpg::Home;
use common::tree::{Looks, assert_same, change_something, edit, look, make_everything, make_small, noise};
use souvenir::engine::crypto::Keyring;
use souvenir::engine::format::time::SetTime;

/// Makes a test of `check` for every protection.
macro_rules! in_every_protection {
    ($($module:ident: $check:ident;)*) => {$(
        mod $module {
            #[test]
            fn none() { super::with("none", super::$check); }
            #[test]
            fn passphrase() { super::with("passphrase", super::$check); }
            #[test]
            fn signed_passphrase() { super::with("signed passphrase", super::$check); }
            #[test]
            fn signed_to_a_key() { super::with("signed to a key", super::$check); }
            #[test]
            fn hidden_key() { super::with("hidden key", super::$check); }
        }
    )*};
}

in_every_protection! {
    duplicity_lists_verifies_and_restores_our_full_sets: reads;
    duplicity_extends_our_full_set_and_restores_both_times: extends;
    we_list_and_restore_duplicitys_full_sets: is_read;
    both_go_on_where_the_other_stopped: takes_turns;
}

fn with(name: &str, check: fn(&Case, &Duplicity, Keyring, &Path)) {
    let home = Home::new();
    let case = case(&home, name);
    for program in &versions(home.path())[case.versions.clone()] {
        println!("{program:?}");
        let scratch = tempfile::tempdir().unwrap();
        check(&case, program, home.keyring(), scratch.path());
    }
}

fn reads(case: &Case, program: &Duplicity, keyring: Keyring, scratch: &Path) {
    let (source, destination) = (scratch.join("source"), scratch.join("destination"));
    make_everything(&source);
    let backup = Backup::new(&source, &destination).protected(case.protection.clone(), keyring);
    let summary = backup.back_up();
    assert!(summary.volume_count > 3, "{} volumes", summary.volume_count);
    let place = url(&destination);

    let verified = duplicity(program, case, &["verify", "--compare-data", &place, source.to_str().unwrap()]);
    assert!(verified.contains(" 0 difference(s) found"), "{verified}");

    let status = duplicity(program, case, &["collection-status", &place]);
    assert!(status.contains("No orphaned or incomplete backup sets found"), "{status}");

    let listed = duplicity(program, case, &["list-current-files", &place]);
    let count = listed.lines().filter(|line| line.contains(" 20") || line.contains(" 19")).count();
    assert!(count as u64 >= summary.entry_count, "{count} of {} in\n{listed}", summary.entry_count);

    let target = scratch.join("restored");
    duplicity(program, case, &["restore", &place, target.to_str().unwrap()]);
    assert_same(&look(&source), &look(&target), "duplicity's restore");

    // One file that lies in the middle volumes, by its path.
    let one = scratch.join("one");
    let path = ["--path-to-restore", "sizes/2500000", &place, one.to_str().unwrap()];
    duplicity(program, case, &[&["restore"], &path[..]].concat());
    assert_eq!(fs::read(&one).unwrap(), fs::read(source.join("sizes/2500000")).unwrap());
}

fn extends(case: &Case, program: &Duplicity, keyring: Keyring, scratch: &Path) {
    let (source, destination) = (scratch.join("source"), scratch.join("destination"));
    make_everything(&source);
    let backup =
        Backup::new(&source, &destination).protected(case.protection.clone(), keyring).at(1_700_000_000);
    backup.back_up();
    let before = look(&source);
    let place = url(&destination);
    let extend = |time: &str| {
        duplicity(program, case, &["incremental", "--current-time", time, source.to_str().unwrap(), &place])
    };

    // Nothing changed: this proves order, attributes and root of our signatures.
    let unchanged = extend("1700000100");
    for name in ["NewFiles", "DeletedFiles", "ChangedFiles", "DeltaEntries"] {
        assert_eq!(statistic(&unchanged, name), 0, "{unchanged}");
    }

    change_something(&source);
    let after = look(&source);
    let changed = extend("1700000200");
    // One byte of 2.5 MB and a few at its end: this proves the signatures themselves.
    assert!(statistic(&changed, "RawDeltaSize") < 50_000, "{changed}");

    for (time, expected) in [("1700000000", &before), ("1700000100", &before), ("1700000200", &after)] {
        let target = scratch.join(time);
        duplicity(program, case, &["restore", "--time", time, &place, target.to_str().unwrap()]);
        assert_same(expected, &look(&target), time);
    }
    // What duplicity added did not touch ours.
    let options = Options {
        time: souvenir::engine::format::time::SetTime::from_epoch(1_700_000_050),
        ..Options::default()
    };
    let (result, warnings) = backup.try_restore(&scratch.join("ours"), options);
    result.unwrap();
    assert_eq!(warnings, []);
    assert_same(&before, &look(&scratch.join("ours")), "our restore of our set");
}

fn is_read(case: &Case, program: &Duplicity, keyring: Keyring, scratch: &Path) {
    let (source, destination) = (scratch.join("source"), scratch.join("destination"));
    make_everything(&source);
    let place = url(&destination);
    duplicity(program, case, &["full", "--volsize", "1", source.to_str().unwrap(), &place]);

    let backup = Backup::new(&source, &destination).protected(case.protection.clone(), keyring);
    let expected = look(&source);
    let listed: Vec<_> =
        backup.list().entries.into_iter().map(|entry| entry.path.as_bytes().to_vec()).collect();
    let mut expected_names: Vec<_> = expected.keys().cloned().collect();
    expected_names.sort_by_key(|name| souvenir::engine::path::EntryPath::from_bytes(name).unwrap());
    assert_eq!(listed, expected_names);
    assert_eq!(backup.status().chains.len(), 1);

    let target = scratch.join("restored");
    let summary = backup.restore(&target);
    assert!(summary.volume_count > 3);
    assert_same(&expected, &look(&target), "our restore");

    let one = scratch.join("one");
    for (path, may_need) in [("a-dir/q", 1), ("sizes/2500000", summary.volume_count)] {
        let (result, warnings) = backup.try_restore(&one, Options::only(path.as_bytes()));
        assert!(result.unwrap().volume_count <= may_need, "only the volumes that are needed");
        assert_eq!(warnings, []);
        assert_eq!(fs::read(&one).unwrap(), fs::read(source.join(path)).unwrap());
        fs::remove_file(&one).unwrap();
    }
}

/// Who makes a set of a chain.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Author {
    We,
    Duplicity,
}

/// A chain that we and duplicity make together.
struct Shared<'a> {
    case: &'a Case,
    program: &'a Duplicity,
    backup: Backup,
    source: PathBuf,
    destination: PathBuf,
    scratch: &'a Path,
    /// The time of each set, and what the tree looked like then.
    states: Vec<(i64, BTreeMap<Vec<u8>, Looks>)>,
}

impl<'a> Shared<'a> {
    fn new(case: &'a Case, program: &'a Duplicity, keyring: Keyring, scratch: &'a Path) -> Self {
        let (source, destination) = (scratch.join("source"), scratch.join("destination"));
        let backup = Backup::new(&source, &destination).protected(case.protection.clone(), keyring);
        Self { case, program, backup, source, destination, scratch, states: Vec::new() }
    }

    fn back_up(&mut self, author: Author) {
        let time = 1_700_000_000 + self.states.len() as i64 * 100_000;
        let is_full = self.states.is_empty();
        match author {
            Author::We => {
                let mut backup = self.backup.clone().at(time);
                if !is_full {
                    backup = backup.incremental();
                }
                assert_eq!(backup.back_up().is_full(), is_full);
            }
            Author::Duplicity => {
                let verb = if is_full { "full" } else { "incremental" };
                let (time, place) = (time.to_string(), url(&self.destination));
                let source = self.source.to_str().unwrap();
                let arguments = [verb, "--volsize", "1", "--current-time", &time, source, &place];
                duplicity(self.program, self.case, &arguments);
            }
        }
        self.states.push((time, look(&self.source)));
    }

    /// Every state is restored by both.
    fn check(&self) {
        let place = url(&self.destination);
        let status = duplicity(self.program, self.case, &["collection-status", &place]);
        assert!(status.contains("No orphaned or incomplete backup sets found"), "{status}");
        for (time, expected) in &self.states {
            let ours = self.scratch.join(format!("ours-{time}"));
            let options = Options { time: SetTime::from_epoch(*time), ..Options::default() };
            let (result, warnings) = self.backup.try_restore(&ours, options);
            assert_eq!(result.unwrap().set_time.epoch(), *time);
            assert_eq!(warnings, [], "{time}");
            assert_same(expected, &look(&ours), &format!("our restore of {time}"));
            let theirs = self.scratch.join(format!("theirs-{time}"));
            let (text, target) = (time.to_string(), theirs.to_str().unwrap());
            let restored = ["restore", "--time", &text, &place, target];
            duplicity(self.program, self.case, &restored);
            assert_same(expected, &look(&theirs), &format!("duplicity's restore of {time}"));
        }
        let listed = self.backup.list().entries;
        let (_, newest) = self.states.last().unwrap();
        assert_eq!(listed.len(), newest.len());
        let verified = duplicity(
            self.program,
            self.case,
            &["verify", "--compare-data", &place, self.source.to_str().unwrap()],
        );
        assert!(verified.contains(" 0 difference(s) found"), "{verified}");
    }
}

fn takes_turns(case: &Case, program: &Duplicity, keyring: Keyring, scratch: &Path) {
    use Author::{Duplicity, We};
    for (index, authors) in [[Duplicity, We, Duplicity, We], [We, We, Duplicity, We]].into_iter().enumerate()
    {
        let scratch = scratch.join(index.to_string());
        let mut shared = Shared::new(case, program, keyring.clone(), &scratch);
        make_everything(&shared.source);
        shared.back_up(authors[0]);
        change_something(&shared.source);
        shared.back_up(authors[1]);
        edit(&shared.source, 1, 12);
        shared.back_up(authors[2]);
        edit(&shared.source, 2, 12);
        shared.back_up(authors[3]);
        shared.check();
    }
}

/// Random edits of a random tree by turns; every state comes back from both.
#[test]
fn random_chains_come_back() {
    let home = Home::new();
    let case = case(&home, "none");
    let seeds = if std::env::var_os("SOUVENIR_TEST_ALL").is_some() { 40 } else { 4 };
    for seed in 0..seeds {
        let program = &versions(home.path())[seed % 2];
        let scratch = tempfile::tempdir().unwrap();
        let mut shared = Shared::new(&case, program, home.keyring(), scratch.path());
        make_small(&shared.source);
        for step in 0..6 {
            let author =
                if noise(seed as u64 * 100 + step, 1)[0] < 128 { Author::We } else { Author::Duplicity };
            println!("{seed}: {author:?} makes set {step}");
            shared.back_up(author);
            edit(&shared.source, seed as u64 * 100 + step, 8);
        }
        shared.back_up(Author::We);
        shared.check();
    }
}

/// Copies of what was written take the place of what only the secret key opens.
#[test]
fn a_backup_to_a_key_goes_on_with_the_public_key_alone() {
    let (owner, here) = (Home::new(), Home::new());
    let key = owner.key("owner", "");
    here.gpg(&["--import"], &owner.gpg(&["--export", &key], b""));
    let scratch = tempfile::tempdir().unwrap();
    let (source, destination) = (scratch.path().join("source"), scratch.path().join("destination"));
    make_small(&source);
    let mut backup = Backup::new(&source, &destination).protected(to_key(&key, false, None), here.keyring());
    backup.cache = Some(scratch.path().join("cache"));
    backup.clone().at(1_700_000_000).back_up();
    for step in 1..3 {
        edit(&source, step, 10);
        backup.clone().at(1_700_000_000 + step as i64).incremental().back_up();
    }
    let expected = look(&source);
    let of_owner = backup.clone().protected(to_key(&key, false, None), owner.keyring());
    of_owner.restore(&scratch.path().join("restored"));
    assert_same(&expected, &look(&scratch.path().join("restored")), "the owner's restore");

    // Nobody else reads what is in clear text.
    let folder = fs::read_dir(scratch.path().join("cache")).unwrap().next().unwrap().unwrap().path();
    for path in [folder.clone(), folder.join("copies")] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o077, 0);
    }
    assert_eq!(fs::read_dir(folder.join("copies")).unwrap().count(), 6, "a copy for each of them");
    // Without copies the secret key is needed; damaged ones are made again by whoever has it.
    for path in fs::read_dir(folder.join("copies")).unwrap() {
        fs::write(path.unwrap().path(), "damaged").unwrap();
    }
    of_owner.incremental().back_up();
    fs::remove_dir_all(folder).unwrap();
    let (result, _) = backup.incremental().try_back_up();
    assert!(result.unwrap_err().to_string().contains("secret key"));
}

#[test]
fn the_signer_is_checked_by_both() {
    let home = Home::new();
    let signer = home.key("signer", PASSPHRASE);
    let other = home.key("other", PASSPHRASE);
    let scratch = tempfile::tempdir().unwrap();
    let (source, destination) = (scratch.path().join("source"), scratch.path().join("destination"));
    fs::create_dir(&source).unwrap();
    fs::write(source.join("file"), "contents").unwrap();
    let mut backup =
        Backup::new(&source, &destination).protected(to_key(&signer, false, Some(&signer)), home.keyring());
    backup.back_up();
    for program in versions(home.path()) {
        for (key, code) in [(&signer, Some(0)), (&other, Some(22))] {
            let target = tempfile::tempdir_in(scratch.path()).unwrap();
            let target = target.path().join("restored");
            let place = url(&destination);
            let arguments = ["restore", "--sign-key", &key[24..], &place, target.to_str().unwrap()];
            assert_eq!(program.try_run(&arguments).status.code(), code, "{program:?}");
        }
    }
    backup.sign_key = Some(signer);
    backup.restore(&scratch.path().join("ours"));
    backup.sign_key = Some(other);
    let (result, _) = backup.try_restore(&scratch.path().join("refused"), Options::default());
    let text = result.unwrap_err().to_string();
    assert!(text.contains("signed by") && text.contains("manifest"), "{text}");
}
