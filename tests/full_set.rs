//! Full sets written and read back by Souvenir alone: what is kept, what is warned of, and how files
//! that change under the reader are dealt with.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking")]

mod common;

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::engine::{Backup, Options, PASSPHRASE, error, is_cancelled, names, run_with};
use common::hooked::{Hook, Hooked};
use common::tree::{assert_same, look, make_everything, make_socket, noise};
use nix::unistd::{Uid, setfsuid};
use souvenir::engine::backup::{BackupKind, BackupRequest, BackupSummary, Compare, backup};
use souvenir::engine::copies::Copies;
use souvenir::engine::crypto::{Passphrases, Protection, Secret};
use souvenir::engine::job::{CancelReason, Job, Warning};
use souvenir::engine::path::EntryPath;
use souvenir::engine::restore::Conflict;
use souvenir::engine::scan::{RuleKind, Selection};
use souvenir::engine::storage::LocalFolder;
use souvenir::engine::{Error, Result};

struct Scratch(tempfile::TempDir);

impl Scratch {
    fn new() -> Self {
        let scratch = Self(tempfile::tempdir().unwrap());
        fs::create_dir(scratch.source()).unwrap();
        scratch
    }

    fn source(&self) -> PathBuf {
        self.0.path().join("source")
    }

    fn destination(&self) -> PathBuf {
        self.0.path().join("destination")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn backup(&self) -> Backup {
        Backup::new(&self.source(), &self.destination())
    }
}

fn path(text: &str) -> EntryPath {
    EntryPath::from_bytes(text.as_bytes()).unwrap()
}

#[test]
fn everything_comes_back() {
    let scratch = Scratch::new();
    make_everything(&scratch.source());
    for protection in [Protection::none(), Protection::passphrase()] {
        let name = format!("{:?}", protection.encryption);
        let mut backup = scratch.backup();
        backup.storage = Arc::new(LocalFolder::new(scratch.path(&format!("to {name}"))));
        backup.protection = protection;
        let summary = backup.back_up();
        let before = look(&scratch.source());
        assert_eq!(summary.entry_count, before.len() as u64);
        let restored = backup.restore(&scratch.path(&name));
        assert_same(&before, &look(&scratch.path(&name)), &name);
        assert_eq!(restored.entry_count, summary.entry_count);
        assert_eq!(restored.written_bytes, summary.source_bytes);
        let sizes: u64 = backup.list().entries.iter().map(|entry| entry.size_bytes.unwrap()).sum();
        assert_eq!(sizes, summary.source_bytes);
    }
}

#[test]
fn a_sparse_file_stays_sparse() {
    let scratch = Scratch::new();
    File::create(scratch.source().join("sparse")).unwrap().set_len(300 << 20).unwrap();
    let backup = scratch.backup();
    backup.back_up();
    backup.restore(&scratch.path("restored"));
    let data = fs::metadata(scratch.path("restored/sparse")).unwrap();
    assert_eq!(data.len(), 300 << 20);
    assert!(std::os::unix::fs::MetadataExt::blocks(&data) < 1000);
}

#[test]
fn paths_longer_than_the_system_takes_at_once_come_back() {
    let scratch = Scratch::new();
    // 40 components of 200 bytes: 8,040 bytes, made from inside, since no single call could.
    let deep = |root: &Path, at_the_end: &str| {
        let name = "n".repeat(200);
        let script = format!("cd \"$0\"; for i in $(seq 40); do {at_the_end}");
        let status = Command::new("sh").arg("-c").arg(&script).arg(root).env("NAME", name).status().unwrap();
        assert!(status.success());
    };
    deep(
        &scratch.source(),
        "mkdir \"$NAME\"; cd -P \"$NAME\"; done; echo deep > file; ln -s file link; mkfifo fifo; chmod 500 .",
    );
    let backup = scratch.backup();
    let summary = backup.back_up();
    assert_eq!(summary.entry_count, 1 + 40 + 3);
    backup.restore(&scratch.path("restored"));
    deep(
        &scratch.path("restored"),
        "cd -P \"$NAME\"; done; test \"$(cat link)\" = deep && test -p fifo && test \"$(stat -c %a .)\" = 500",
    );
}

#[test]
fn sockets_are_left_out_with_a_word() {
    let scratch = Scratch::new();
    make_socket(&scratch.source().join("socket"));
    fs::write(scratch.source().join("file"), "x").unwrap();
    let backup = scratch.backup();
    let (result, warnings) = backup.try_back_up();
    assert_eq!(result.unwrap().entry_count, 2);
    assert_eq!(warnings, [Warning::SocketLeftOut { path: path("socket") }]);
}

#[test]
fn a_destination_in_the_source_is_left_out_with_a_word() {
    let scratch = Scratch::new();
    fs::write(scratch.source().join("file"), "x").unwrap();
    let inside = scratch.source().join("sub/backups");
    let backup = Backup::new(&scratch.source(), &inside);
    // The first time the folder does not exist yet, the second time it does.
    let (first, _) = backup.try_back_up();
    first.unwrap();
    let (second, warnings) = backup.try_back_up();
    assert_eq!(second.unwrap().entry_count, 3, "root, file and sub");
    assert_eq!(warnings, [Warning::DestinationLeftOut { path: path("sub/backups") }]);

    let same = Backup::new(&scratch.source(), &scratch.source());
    assert!(matches!(error(same.try_back_up()), Error::DestinationIsSource(_)));
}

#[test]
fn rules_choose_what_is_backed_up() {
    let scratch = Scratch::new();
    for name in ["keep/a.txt", "keep/b.tmp", "drop/keep.txt", "drop/c.txt", "d.tmp"] {
        let file = scratch.source().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, name).unwrap();
    }
    let source = scratch.source().display().to_string();
    let backup = scratch
        .backup()
        .rule(RuleKind::Exclude, "**.tmp")
        .rule(RuleKind::Include, format!("{source}/drop/keep.txt"))
        .rule(RuleKind::Exclude, format!("{source}/drop"));
    backup.back_up();
    let listed: Vec<_> = backup.list().entries.iter().map(|entry| entry.path.to_string()).collect();
    assert_eq!(listed, [".", "drop", "drop/keep.txt", "keep", "keep/a.txt"]);

    let bad = scratch.backup().rule(RuleKind::Exclude, "a//b");
    assert!(matches!(error(bad.try_back_up()), Error::Pattern { .. }));
}

/// A set of these folders in their places below a root.
fn back_up_folders(
    root: &Path,
    folders: &[PathBuf],
    destination: &Path,
    kind: BackupKind,
    job: &Job,
) -> Result<BackupSummary> {
    let request = BackupRequest {
        root,
        selection: &Selection::from_folders(folders, &[])?,
        storage: &LocalFolder::new(destination),
        protection: &Protection::none(),
        keyring: &Default::default(),
        passphrases: &Passphrases::new(),
        volume_bytes: 1 << 20,
        set_time: None,
        kind,
        compare: Compare::Attributes,
        copies: &Copies::none(),
        allow_source_mismatch: false,
    };
    backup(&request, job)
}

#[test]
fn a_folder_that_is_missing_makes_no_other_new() {
    let scratch = Scratch::new();
    for folder in ["srv/deep/a", "srv/deep/b"] {
        fs::create_dir_all(scratch.source().join(folder)).unwrap();
        fs::write(scratch.source().join(folder).join("file"), "x").unwrap();
    }
    let back_up = |kind| {
        let (source, destination) = (scratch.source(), scratch.destination());
        common::engine::run(move |job| {
            let folders = ["/srv/deep/a", "/srv/deep/b"].map(PathBuf::from);
            back_up_folders(&source, &folders, &destination, kind, job)
        })
    };
    back_up(BackupKind::Full).0.unwrap();
    fs::rename(scratch.source().join("srv/deep/a"), scratch.path("away")).unwrap();
    fs::write(scratch.source().join("srv/deep/b/file"), "yz").unwrap();
    let (made, warnings) = back_up(BackupKind::Incremental);
    let made = made.unwrap();
    assert_eq!(warnings, [Warning::FolderMissing { path: path("srv/deep/a") }]);
    // The file, and the folder that has a new time for what was taken out of it.
    assert_eq!((made.entry_count, made.deleted_count), (2, 0));
    scratch.backup().restore(&scratch.path("restored"));
    assert_eq!(fs::read(scratch.path("restored/srv/deep/a/file")).unwrap(), b"x");
    assert_eq!(fs::read(scratch.path("restored/srv/deep/b/file")).unwrap(), b"yz");
}

#[test]
fn what_lies_beside_a_plans_folders_is_not_looked_at() {
    let scratch = Scratch::new();
    let shared = scratch.source().join("shared");
    fs::create_dir_all(shared.join("mine/deep")).unwrap();
    fs::write(shared.join("mine/deep/file"), "x").unwrap();
    fs::write(shared.join("theirs"), "x").unwrap();
    // Nobody but root can list it, but one can go through it.
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o311)).unwrap();
    fs::set_permissions(scratch.0.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let (folders, destination) = (vec![shared.join("mine")], scratch.destination());
    let (result, warnings) = common::engine::run(move |job| {
        // Root's power over files is gone from this thread and those it starts.
        if Uid::effective().is_root() {
            setfsuid(Uid::from_raw(65534));
        }
        back_up_folders(Path::new("/"), &folders, &destination, BackupKind::Full, job)
    });
    result.unwrap();
    assert_eq!(warnings, []);
    let listed = scratch.backup().list().entries;
    let ends_with = |end: &str| listed.iter().any(|entry| entry.path.as_bytes().ends_with(end.as_bytes()));
    assert!(ends_with("shared/mine/deep/file") && ends_with("shared"));
    assert!(!ends_with("theirs"));
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_plan_of_folders_keeps_their_places() {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.source().join("in/deep")).unwrap();
    fs::write(scratch.source().join("in/deep/file"), "x").unwrap();
    fs::write(scratch.source().join("out"), "x").unwrap();
    let folders = vec![scratch.source().join("in"), scratch.source().join("missing")];
    let destination = scratch.destination();
    let (result, warnings) = common::engine::run(move |job| {
        back_up_folders(Path::new("/"), &folders, &destination, BackupKind::Full, job)
    });
    result.unwrap();
    let missing = EntryPath::from_user(&scratch.source().join("missing")).unwrap();
    assert_eq!(warnings, [Warning::FolderMissing { path: missing }]);

    // One file back under another name, and the folder to where it was.
    let backup = scratch.backup();
    let file = EntryPath::from_user(&scratch.source().join("in/deep/file")).unwrap();
    backup.try_restore(&scratch.path("one"), Options::only(file.as_bytes())).0.unwrap();
    assert_eq!(fs::read(scratch.path("one")).unwrap(), b"x");
    fs::remove_dir_all(scratch.source().join("in")).unwrap();
    let folder = EntryPath::from_user(&scratch.source().join("in")).unwrap();
    let original = Options { paths: vec![folder], conflict: Conflict::Skip, ..Options::default() };
    let (result, warnings) = backup.try_restore(Path::new("/"), original);
    assert_eq!(result.unwrap().entry_count, 3);
    assert_eq!(warnings, []);
    assert_eq!(fs::read(scratch.source().join("in/deep/file")).unwrap(), b"x");
}

#[test]
fn what_is_there_is_kept_or_replaced_as_asked() {
    let scratch = Scratch::new();
    for name in ["same", "file-for-folder", "link"] {
        fs::write(scratch.source().join(name), "stored").unwrap();
    }
    let backup = scratch.backup();
    backup.back_up();
    let target = scratch.path("target");
    fs::create_dir_all(target.join("file-for-folder")).unwrap();
    fs::write(target.join("file-for-folder/precious"), "x").unwrap();
    fs::write(target.join("same"), "newer").unwrap();
    fs::write(scratch.path("outside"), "outside").unwrap();
    std::os::unix::fs::symlink(scratch.path("outside"), target.join("link")).unwrap();

    assert!(matches!(error(backup.try_restore(&target, Options::default())), Error::TargetNotEmpty(_)));
    let with = |conflict| Options { conflict, ..Options::default() };
    let (result, warnings) = backup.try_restore(&target, with(Conflict::Skip));
    assert_eq!(result.unwrap().skipped_count, 3);
    assert_eq!(warnings, []);
    assert_eq!(fs::read(target.join("same")).unwrap(), b"newer");

    let (result, warnings) = backup.try_restore(&target, with(Conflict::Replace));
    result.unwrap();
    assert!(
        matches!(&warnings[..], [Warning::NotRestored { path, .. }] if *path == self::path("file-for-folder")),
        "{warnings:?}"
    );
    assert_eq!(fs::read(target.join("same")).unwrap(), b"stored");
    assert_eq!(fs::read(target.join("file-for-folder/precious")).unwrap(), b"x");
    assert!(target.join("link").symlink_metadata().unwrap().is_file(), "the link itself was replaced");
    assert_eq!(fs::read(scratch.path("outside")).unwrap(), b"outside");
}

#[test]
fn only_what_differs_is_kept_twice() {
    use std::os::unix::fs::{MetadataExt, symlink};
    let scratch = Scratch::new();
    let source = scratch.source();
    for name in ["differs", "same", "new name"] {
        fs::write(source.join(name), noise(1, 200_000)).unwrap();
    }
    fs::hard_link(source.join("differs"), source.join("other name")).unwrap();
    symlink("same", source.join("link")).unwrap();
    symlink("same", source.join("other link")).unwrap();
    let backup = scratch.backup();
    backup.back_up();

    let target = scratch.path("target");
    fs::create_dir(&target).unwrap();
    let mut of_the_same_size = noise(1, 200_000);
    of_the_same_size[199_999] ^= 1;
    fs::write(target.join("differs"), &of_the_same_size).unwrap();
    fs::write(target.join("same"), noise(1, 200_000)).unwrap();
    symlink("same", target.join("link")).unwrap();
    symlink("elsewhere", target.join("other link")).unwrap();
    let (result, warnings) =
        backup.try_restore(&target, Options { conflict: Conflict::KeepBoth, ..Options::default() });
    assert_eq!(warnings, []);
    assert_eq!(result.unwrap().skipped_count, 2, "the file and the link that are equal");
    let mut names: Vec<_> = fs::read_dir(&target).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    let expected = [
        "differs",
        "differs (restored)",
        "link",
        "new name",
        "other link",
        "other link (restored)",
        "other name",
        "same",
    ];
    assert_eq!(names, expected);
    assert_eq!(fs::read(target.join("differs")).unwrap(), of_the_same_size);
    assert_eq!(fs::read(target.join("differs (restored)")).unwrap(), noise(1, 200_000));
    // What was a name of the file that is restored is none of the one that was there.
    let number = |name: &str| target.join(name).metadata().unwrap().ino();
    assert_eq!(number("other name"), number("differs (restored)"));
    assert_eq!(fs::read_link(target.join("other link")).unwrap(), Path::new("elsewhere"));
}

#[test]
fn a_link_in_the_target_is_no_way_out() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.source().join("folder")).unwrap();
    fs::write(scratch.source().join("folder/file"), "stored").unwrap();
    let backup = scratch.backup();
    backup.back_up();
    let (target, outside) = (scratch.path("target"), scratch.path("outside"));
    fs::create_dir(&target).unwrap();
    fs::create_dir(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, target.join("folder")).unwrap();
    let options = Options { conflict: Conflict::Replace, ..Options::default() };
    let (result, warnings) = backup.try_restore(&target, options);
    result.unwrap();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(fs::read_dir(&outside).unwrap().next().is_none());
}

/// Something is done to the source when a volume has taken in some of a large file.
fn while_reading(scratch: &Scratch, change: impl Fn(&Path) + Send + Sync + 'static) -> Backup {
    let (done, source) = (AtomicBool::new(false), scratch.source());
    let hook: Hook = Arc::new(move |name, bytes| {
        if name.contains(".vol") && bytes > 100_000 && !done.swap(true, Ordering::SeqCst) {
            change(&source);
        }
        Ok(())
    });
    let inner = Arc::new(LocalFolder::new(scratch.destination()));
    let mut backup = scratch.backup().stored_in(Arc::new(Hooked { inner, hook }));
    backup.volume_bytes = 64 << 20;
    backup
}

/// Backs up while the source changes, restores without a warning, and gives what was warned of.
fn changed(
    scratch: &Scratch,
    volume_bytes: u64,
    change: impl Fn(&Path) + Send + Sync + 'static,
) -> Vec<Warning> {
    let mut backup = while_reading(scratch, change);
    backup.volume_bytes = volume_bytes;
    let (result, warnings) = backup.try_back_up();
    result.unwrap();
    backup.restore(&scratch.path("restored"));
    warnings
}

#[test]
fn files_that_change_while_they_are_read_never_break_the_archive() {
    const LEN: usize = 8 << 20;
    let shrink: fn(&Path) = |source| {
        File::options().write(true).open(source.join("file")).unwrap().set_len(1_000_000).unwrap();
    };
    let grow: fn(&Path) = |source| {
        File::options().write(true).open(source.join("file")).unwrap().set_len(20 << 20).unwrap();
    };
    let rewrite: fn(&Path) = |source| fs::write(source.join("file"), noise(8, LEN)).unwrap();
    let replace: fn(&Path) = |source| {
        fs::write(source.join("new"), "another").unwrap();
        fs::rename(source.join("new"), source.join("file")).unwrap();
    };
    for (what, change) in [("shrink", shrink), ("grow", grow), ("rewrite", rewrite)] {
        // In one volume, and as a run of volumes that are read side by side.
        for volume_bytes in [64 << 20, 1 << 20] {
            let scratch = Scratch::new();
            fs::write(scratch.source().join("file"), noise(7, LEN)).unwrap();
            fs::write(scratch.source().join("zz"), "the next file").unwrap();
            let warnings = changed(&scratch, volume_bytes, change);
            assert!(
                warnings.contains(&Warning::ChangedWhileRead { path: path("file") }),
                "{what}, {volume_bytes}: {warnings:?}"
            );
            assert_eq!(fs::read(scratch.path("restored/zz")).unwrap(), b"the next file");
            let len = fs::metadata(scratch.path("restored/file")).unwrap().len();
            assert!(len <= LEN as u64, "{what}: {len}");
        }
    }
    // A file that is replaced goes on being read as it was.
    let scratch = Scratch::new();
    fs::write(scratch.source().join("file"), noise(7, LEN)).unwrap();
    changed(&scratch, 64 << 20, replace);
    assert_eq!(fs::read(scratch.path("restored/file")).unwrap(), noise(7, LEN));
}

#[test]
fn files_that_vanish_before_they_are_read_are_left_out_with_a_word() {
    let scratch = Scratch::new();
    fs::write(scratch.source().join("a"), noise(1, 8 << 20)).unwrap();
    fs::write(scratch.source().join("b"), "will be gone").unwrap();
    fs::write(scratch.source().join("c"), "will be a folder").unwrap();
    fs::write(scratch.source().join("d"), "stays").unwrap();
    let warnings = changed(&scratch, 64 << 20, |source| {
        fs::remove_file(source.join("b")).unwrap();
        fs::remove_file(source.join("c")).unwrap();
        fs::create_dir(source.join("c")).unwrap();
    });
    assert_eq!(warnings, [Warning::Vanished { path: path("b") }, Warning::Vanished { path: path("c") }]);
    assert_eq!(fs::read(scratch.path("restored/d")).unwrap(), b"stays");
    assert!(!scratch.path("restored/b").exists());
}

#[test]
fn what_cannot_be_read_is_warned_of_and_the_rest_is_backed_up() {
    let scratch = Scratch::new();
    fs::write(scratch.source().join("readable"), "x").unwrap();
    fs::write(scratch.source().join("secret"), "x").unwrap();
    fs::create_dir(scratch.source().join("closed")).unwrap();
    fs::write(scratch.source().join("closed/inside"), "x").unwrap();
    for (name, mode) in [("secret", 0o000), ("closed", 0o000)] {
        fs::set_permissions(scratch.source().join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let output = somebody(&scratch)
        .args(["--json", "backup", "--no-encryption"])
        .args([scratch.source(), scratch.destination()])
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert_eq!(told.lines().count(), 2, "{told}");
    assert!(told.contains("secret: cannot be read") && told.contains("closed: cannot be read"), "{told}");
    let listed: Vec<_> = scratch.backup().list().entries.iter().map(|entry| entry.path.to_string()).collect();
    assert_eq!(listed, [".", "closed", "readable"]);
    fs::set_permissions(scratch.source().join("closed"), fs::Permissions::from_mode(0o700)).unwrap();
}

/// The program, as somebody who cannot read everything: root does.
fn somebody(scratch: &Scratch) -> Command {
    let program = env!("CARGO_BIN_EXE_souvenir-cli");
    if !Uid::effective().is_root() {
        return Command::new(program);
    }
    fs::set_permissions(scratch.0.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", program]);
    command
}

/// Names of the files at the destination that belong to a set which does not exist yet.
fn unfinished(scratch: &Scratch) -> Vec<String> {
    names(&scratch.destination()).into_iter().filter(|name| name.starts_with(".unfinished-")).collect()
}

/// Backs up and cancels when `at_volume` is being written.
fn cancel_at(scratch: &Scratch, at_volume: &'static str) {
    let control = Arc::new(std::sync::OnceLock::<souvenir::engine::job::Control>::new());
    let at_hook = Arc::clone(&control);
    let hook: Hook = Arc::new(move |name, bytes| {
        if name.contains(at_volume) && (bytes > 0 || at_volume == "sigtar") {
            at_hook.wait().cancel(CancelReason::User);
        }
        Ok(())
    });
    let inner = Arc::new(LocalFolder::new(scratch.destination()));
    let storage = Hooked { inner, hook };
    let source = scratch.source();
    let outcome = run_with(
        move |job| {
            let request = BackupRequest {
                root: &source,
                selection: &Selection::everything(),
                storage: &storage,
                protection: &Protection::none(),
                keyring: &Default::default(),
                passphrases: &Passphrases::new(),
                volume_bytes: 1 << 20,
                set_time: None,
                kind: BackupKind::Full,
                compare: Compare::Attributes,
                copies: &Copies::none(),
                allow_source_mismatch: false,
            };
            backup(&request, job)
        },
        |found| drop(control.set(found)),
    );
    assert!(is_cancelled(&outcome, CancelReason::User), "{at_volume}: {:?}", outcome.0);
}

#[test]
fn a_cancelled_backup_is_gone_on_with() {
    let scratch = Scratch::new();
    fs::write(scratch.source().join("file"), noise(1, 20 << 20)).unwrap();
    fs::write(scratch.source().join("file2"), noise(2, 1000)).unwrap();
    scratch.backup().at(1_700_000_000).back_up();
    let mut before = names(&scratch.destination());
    for (at_volume, change) in [("vol1.", false), ("vol5.", false), ("vol15.", true), ("sigtar", false)] {
        cancel_at(&scratch, at_volume);
        let left = unfinished(&scratch);
        let others: Vec<_> =
            names(&scratch.destination()).into_iter().filter(|name| !left.contains(name)).collect();
        assert_eq!(others, before, "{at_volume}: nothing that another program would see");
        let finished = left.iter().filter(|name| !name.starts_with(".unfinished-new-")).count();
        if change {
            // What was finished is of another file now.
            fs::write(scratch.source().join("file"), noise(3, 20 << 20)).unwrap();
        }

        let written = Arc::new(std::sync::Mutex::new(std::collections::BTreeSet::new()));
        let noted = Arc::clone(&written);
        let hook: Hook = Arc::new(move |name, _| {
            noted.lock().unwrap().insert(name.to_owned());
            Ok(())
        });
        let inner = Arc::new(LocalFolder::new(scratch.destination()));
        let mut backup = scratch.backup().stored_in(Arc::new(Hooked { inner, hook }));
        backup.volume_bytes = 1 << 20;
        let summary = backup.back_up();
        let written = written.lock().unwrap().iter().filter(|name| name.contains(".vol")).count();
        // The volume with nothing but the root has not changed.
        let reused = if change { 1 } else { finished };
        assert_eq!(written + reused, summary.volume_count as usize, "{at_volume}: {left:?}");
        assert_eq!(unfinished(&scratch), [] as [String; 0], "{at_volume}");
        let target = scratch.path(at_volume);
        backup.restore(&target);
        assert_same(&look(&scratch.source()), &look(&target), at_volume);
        before = names(&scratch.destination());
    }
}

#[test]
fn what_was_sealed_with_another_passphrase_is_not_gone_on_with() {
    let scratch = Scratch::new();
    fs::write(scratch.source().join("file"), noise(1, 8 << 20)).unwrap();
    let hook: Hook = Arc::new(|name, _| {
        let gone = std::io::Error::from(std::io::ErrorKind::NetworkDown);
        if name.contains("vol5.") { Err(gone) } else { Ok(()) }
    });
    let inner = Arc::new(LocalFolder::new(scratch.destination()));
    let mut backup = scratch.backup().stored_in(Arc::new(Hooked { inner, hook }));
    backup.protection = Protection::passphrase();
    error(backup.try_back_up());
    assert!(!unfinished(&scratch).is_empty());

    let mut backup = scratch.backup();
    backup.protection = Protection::passphrase();
    backup.passphrase = Some("another one".to_owned());
    backup.back_up();
    assert_eq!(unfinished(&scratch), [] as [String; 0]);
    backup.restore(&scratch.path("restored"));
    assert_same(&look(&scratch.source()), &look(&scratch.path("restored")), "all with one passphrase");
}

#[test]
fn of_two_runs_at_once_the_second_is_told_who_is_at_work() {
    let scratch = Scratch::new();
    fs::write(scratch.source().join("file"), noise(1, 3 << 20)).unwrap();
    let second = scratch.backup();
    let told = Arc::new(std::sync::Mutex::new(None));
    let noted = Arc::clone(&told);
    let hook: Hook = Arc::new(move |_, _| {
        noted.lock().unwrap().get_or_insert_with(|| error(second.try_back_up()).to_string());
        Ok(())
    });
    let inner = Arc::new(LocalFolder::new(scratch.destination()));
    scratch.backup().stored_in(Arc::new(Hooked { inner, hook })).back_up();
    let told = told.lock().unwrap().take().unwrap();
    assert!(told.contains(&format!("process {}", std::process::id())), "{told}");
    assert!(!names(&scratch.destination()).iter().any(|name| name.contains("lock")));
    scratch.backup().back_up();
}

#[test]
fn a_full_destination_is_said_and_what_is_finished_is_gone_on_with() {
    let scratch = Scratch::new();
    fs::write(scratch.source().join("file"), noise(1, 20 << 20)).unwrap();
    scratch.backup().at(1_700_000_000).back_up();
    let before = names(&scratch.destination());
    for protection in [Protection::none(), Protection::passphrase()] {
        for part in ["vol3.", "sigtar", "manifest"] {
            let hook: Hook = Arc::new(move |name, _| {
                if name.contains(part) { Err(std::io::ErrorKind::StorageFull.into()) } else { Ok(()) }
            });
            let inner = Arc::new(LocalFolder::new(scratch.destination()));
            let mut backup = scratch.backup().stored_in(Arc::new(Hooked { inner, hook }));
            backup.protection = protection.clone();
            backup.volume_bytes = 4 << 20;
            let failure = error(backup.try_back_up());
            let is_full = matches!(
                &failure,
                Error::NoSpace { source, free_bytes: Some(_), .. } if source.location.contains(part)
            );
            assert!(is_full, "{part}: {failure:?}");
            let (left, visible): (Vec<_>, Vec<_>) =
                names(&scratch.destination()).into_iter().partition(|name| name.starts_with(".unfinished-"));
            assert_eq!(visible, before, "{part}");
            assert!(!left.is_empty() && left.iter().all(|name| name.contains(".vol")), "{left:?}");
            assert!(!left.iter().any(|name| name.starts_with(".unfinished-new-")), "{left:?}");
            // With space made, the next run takes them as they are.
            let mut backup = scratch.backup();
            backup.protection = protection.clone();
            backup.volume_bytes = 4 << 20;
            backup.back_up();
            let there = names(&scratch.destination());
            assert!(left.iter().all(|left| there.iter().any(|name| left.ends_with(name))), "{left:?}");
            for name in there.iter().filter(|name| !before.contains(name)) {
                fs::remove_file(scratch.destination().join(name)).unwrap();
            }
        }
    }
}

#[test]
fn a_time_is_never_used_twice_even_if_the_clock_goes_back() {
    let scratch = Scratch::new();
    fs::write(scratch.source().join("file"), "x").unwrap();
    let in_the_future = 4_000_000_000;
    scratch.backup().at(in_the_future).back_up();
    assert!(matches!(error(scratch.backup().at(in_the_future).try_back_up()), Error::TimeNotLater { .. }));
    assert!(matches!(error(scratch.backup().at(1_700_000_000).try_back_up()), Error::TimeNotLater { .. }));
    assert_eq!(scratch.backup().back_up().set_time.epoch(), in_the_future + 1);
    assert_eq!(scratch.backup().status().chains.len(), 2);
}

#[test]
fn a_new_passphrase_is_confirmed() {
    let scratch = Scratch::new();
    fs::write(scratch.source().join("file"), "x").unwrap();
    let (source, destination) = (scratch.source(), scratch.destination());
    let mut questions = Vec::new();
    for _ in 0..2 {
        let (source, destination) = (source.clone(), destination.clone());
        let handle = souvenir::engine::job::spawn("asks", move |job| {
            let request = BackupRequest {
                root: &source,
                selection: &Selection::everything(),
                storage: &LocalFolder::new(destination),
                protection: &Protection::passphrase(),
                keyring: &Default::default(),
                passphrases: &Passphrases::new(),
                volume_bytes: 1 << 20,
                set_time: None,
                kind: BackupKind::Full,
                compare: Compare::Attributes,
                copies: &Copies::none(),
                allow_source_mismatch: false,
            };
            backup(&request, job)
        })
        .unwrap();
        while let Ok(event) = handle.events.recv_blocking() {
            use souvenir::engine::job::{Event, Question};
            match event {
                Event::Question(Question::Passphrase { request, reply }) => {
                    questions.push(request.confirm);
                    reply.send(Some(Secret::new(PASSPHRASE))).unwrap();
                }
                Event::Finished(result) => drop(result.unwrap()),
                _ => {}
            }
        }
    }
    assert_eq!(questions, [true, false], "the first is new, the second belongs to what is there");

    // Another one would make a destination that no single passphrase opens.
    let mut backup = scratch.backup();
    backup.protection = Protection::passphrase();
    backup.passphrase = Some("another".to_owned());
    let before = names(&scratch.destination());
    let text = error(backup.try_back_up()).to_string();
    assert!(text.contains("passphrase") && text.contains("wrong"), "{text}");
    assert_eq!(names(&scratch.destination()), before);
}
