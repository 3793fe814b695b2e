//! What Souvenir keeps beyond duplicity: extended attributes, access control lists, fractions of a second,
//! several names of one file, and holes. duplicity restores all the rest of the same sets.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use common::duplicity::{url, versions};
use common::engine::{Backup, Options};
use common::gpg::Home;
use common::tree::{assert_same, look, noise};
use souvenir::engine::format::time::SetTime;

fn set_time(path: &Path, nanos: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000) + Duration::from_nanos(nanos);
    File::open(path).unwrap().set_modified(time).unwrap();
}

fn run(program: &str, arguments: &[&str], path: &Path) -> String {
    let output = Command::new(program).args(arguments).arg(path).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().lines().skip(1).map(|line| format!("{line}\n")).collect()
}

/// An access control list with owners that exist in every sandbox: one's own.
fn access(rights: &str) -> String {
    format!("u:{}:{rights},g:{}:r", nix::unistd::Uid::current(), nix::unistd::Gid::current())
}

fn make_tree(root: &Path) {
    fs::create_dir_all(root.join("folder")).unwrap();
    fs::write(root.join("file"), "contents").unwrap();
    fs::write(root.join("folder/names"), noise(1, 100_000)).unwrap();
    fs::hard_link(root.join("folder/names"), root.join("another name")).unwrap();
    fs::hard_link(root.join("folder/names"), root.join("zz")).unwrap();
    let sparse = File::create(root.join("sparse")).unwrap();
    sparse.set_len(1 << 20).unwrap();
    sparse.write_at(&noise(2, 4096), 8192).unwrap();
    sparse.write_at(&noise(3, 5000), 700_000).unwrap();
    for name in ["file", "folder"] {
        run("setfattr", &["-n", "user.colour=é%", "-v", "0x00ff0a3d"], &root.join(name));
        run("setfacl", &["-m", &access("rw")], &root.join(name));
    }
    run("setfacl", &["-d", "-m", &access("r")], &root.join("folder"));
    set_time(&root.join("folder"), 123_456_789);
    set_time(&root.join("file"), 1);
}

/// What `look` does not see.
fn assert_same_extras(one: &Path, other: &Path) {
    for name in ["file", "folder", "folder/names", "sparse"] {
        let (one, other) = (one.join(name), other.join(name));
        let attributes = |path: &Path| run("getfattr", &["-d", "-m", "-", "-e", "hex"], path);
        assert_eq!(attributes(&one), attributes(&other), "{name}");
        let access = |path: &Path| run("getfacl", &["-n", "-p"], path);
        assert_eq!(access(&one), access(&other), "{name}");
        let (one, other) = (fs::metadata(one).unwrap(), fs::metadata(other).unwrap());
        assert_eq!((one.mtime(), one.mtime_nsec()), (other.mtime(), other.mtime_nsec()), "{name}");
        // What the file system needs for itself differs from time to time.
        let is_dense = |data: &fs::Metadata| data.blocks() * 512 > data.len() / 2;
        assert_eq!(is_dense(&one), is_dense(&other), "{name}: {} blocks", other.blocks());
    }
    let inode = |name| fs::metadata(other.join(name)).unwrap().ino();
    assert_eq!((inode("folder/names"), inode("folder/names")), (inode("another name"), inode("zz")));
}

#[test]
fn everything_comes_back_and_duplicity_restores_the_rest() {
    let home = Home::new();
    let scratch = tempfile::tempdir().unwrap();
    let path = |name: &str| scratch.path().join(name);
    let source = path("source");
    make_tree(&source);
    let backup = Backup::new(&source, &path("destination"));
    backup.clone().at(1_700_000_000).back_up();
    backup.restore(&path("restored"));
    assert_same(&look(&source), &look(&path("restored")), "our restore");
    assert_same_extras(&source, &path("restored"));
    for (index, program) in versions(home.path()).iter().enumerate() {
        let target = path(&format!("theirs-{index}"));
        let place = url(&path("destination"));
        program.run(&["restore", "--no-encryption", &place, target.to_str().unwrap()]);
        assert_same(&look(&source), &look(&target), "duplicity's restore");
    }
    // duplicity adds a set, which does not carry the extras on; ours does again what it knows.
    fs::write(source.join("file"), "changed").unwrap();
    let source_text = source.to_str().unwrap();
    let place = url(&path("destination"));
    let arguments = ["--no-encryption", "--current-time", "1700000100", source_text, &place];
    versions(home.path())[0].run(&[&["incremental"][..], &arguments].concat());
    backup.restore(&path("after"));
    assert_same(&look(&source), &look(&path("after")), "our restore of duplicity's set");
    fs::write(source.join("file"), "changed again").unwrap();
    set_time(&source.join("file"), 5_000_000_000);
    backup.clone().at(1_700_000_200).incremental().back_up();
    backup.restore(&path("newest"));
    assert_same_extras(&source, &path("newest"));
}

#[test]
fn a_change_of_these_alone_makes_an_entry() {
    let scratch = tempfile::tempdir().unwrap();
    let path = |name: &str| scratch.path().join(name);
    let source = path("source");
    make_tree(&source);
    let backup = Backup::new(&source, &path("destination"));
    let mut time = 1_700_000_000;
    backup.clone().at(time).back_up();
    let mut entries = |change: &dyn Fn()| {
        change();
        time += 10;
        let summary = backup.clone().at(time).incremental().back_up();
        let target = path(&time.to_string());
        let options = Options { time: SetTime::from_epoch(time), ..Options::default() };
        let (result, warnings) = backup.try_restore(&target, options);
        result.unwrap();
        assert_eq!(warnings, []);
        assert_same(&look(&source), &look(&target), "the newest state");
        if source.join("zz").exists() {
            assert_same_extras(&source, &target);
        }
        summary.entry_count
    };
    let file = source.join("file");
    assert_eq!(entries(&|| ()), 0);
    assert_eq!(entries(&|| drop(run("setfattr", &["-n", "user.colour=é%", "-v", "0x01"], &file))), 1);
    assert_eq!(entries(&|| drop(run("setfacl", &["-m", &access("r")], &source.join("folder")))), 1);
    assert_eq!(entries(&|| set_time(&file, 2)), 1, "a nanosecond later");
    // The same size and the same time, but other contents.
    let rewrite = || {
        fs::write(&file, "CONTENTS").unwrap();
        set_time(&file, 2);
    };
    assert_eq!(entries(&rewrite), 1);
    assert_eq!(entries(&|| ()), 0, "and it is known from then on");
    // The root has changed, and the inode with the two names that are left.
    assert_eq!(entries(&|| fs::remove_file(source.join("zz")).unwrap()), 3);
    // The last one is not one of several any more.
    assert_eq!(entries(&|| fs::remove_file(source.join("another name")).unwrap()), 2);
}

/// The state that a difference builds on ends in a hole, which is not there before the file is given its length.
#[test]
fn a_file_that_ends_in_a_hole_comes_back_in_every_state() {
    let scratch = tempfile::tempdir().unwrap();
    let source = scratch.path().join("source");
    fs::create_dir(&source).unwrap();
    let backup = Backup::new(&source, &scratch.path().join("destination"));
    let file = source.join("file");
    fs::write(&file, noise(1, 300_000)).unwrap();
    File::options().write(true).open(&file).unwrap().set_len(1 << 20).unwrap();
    for state in 0..3_u32 {
        // Contents that are the same are copied as a whole.
        fs::set_permissions(&file, Permissions::from_mode(0o600 + state)).unwrap();
        let at = backup.clone().at(1_700_000_000 + i64::from(state) * 100);
        if state == 0 {
            at.back_up()
        } else {
            at.incremental().back_up()
        };
        let target = scratch.path().join(format!("restored {state}"));
        backup.restore(&target);
        assert!(fs::read(target.join("file")).unwrap() == fs::read(&file).unwrap(), "{state}");
    }
}
