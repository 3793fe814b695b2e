//! Backups copied from place to place: byte by byte the same, whole or invisible, never overwritten, and gone on
//! with; duplicity reads the copies.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::duplicity::{url, versions};
use common::engine::{Backup, Outcome, PASSPHRASE, error, names, run, to_key};
use common::gpg::Home;
use common::hooked::Hooked;
use common::odd::Odd;
use common::sshd::Sshd;
use common::tree::{assert_same, edit, look, make_small, noise};
use souvenir::engine::Error;
use souvenir::engine::copy::{self, CopyRequest, CopySummary, Known, Mode, Voucher, Which, copy};
use souvenir::engine::crypto::{Encryption, Protection};
use souvenir::engine::job::{CancelReason, Job, Warning};
use souvenir::engine::status::status;
use souvenir::engine::storage::{LocalFolder, Lock, Storage};

const FIRST: i64 = 1_700_000_000;

/// Three sets in two chains, of a tree in several volumes.
struct Made {
    scratch: tempfile::TempDir,
    home: Home,
    backup: Backup,
}

impl Made {
    fn new(protection: impl FnOnce(&Home) -> Protection) -> Self {
        let (scratch, home) = (tempfile::tempdir().unwrap(), Home::new());
        let source = scratch.path().join("source");
        make_small(&source);
        fs::write(source.join("large"), noise(2, 4_000_000)).unwrap();
        let backup =
            Backup::new(&source, &scratch.path().join("from")).protected(protection(&home), home.keyring());
        backup.clone().at(FIRST).back_up();
        edit(&source, 4, 8);
        fs::write(source.join("more"), noise(3, 3_000_000)).unwrap();
        backup.clone().incremental().at(FIRST + 100).back_up();
        edit(&source, 5, 8);
        backup.clone().at(FIRST + 200).back_up();
        Self { scratch, home, backup }
    }

    fn plain() -> Self {
        Self::new(|_| Protection::none())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn from(&self) -> PathBuf {
        self.path("from")
    }

    fn file(&self, part: &str) -> PathBuf {
        let found = names(&self.from()).into_iter().find(|name| name.contains(part));
        self.from().join(found.unwrap())
    }

    fn copying(&self) -> Copying {
        Copying {
            backup: self.backup.clone(),
            to: Arc::new(LocalFolder::new(self.path("to"))),
            which: Which::Chains,
            known: Known::ByHash,
            voucher: Voucher::Manifests,
            mode: Mode::Copy,
        }
    }
}

/// A copy with all it takes.
#[derive(Clone)]
struct Copying {
    backup: Backup,
    to: Arc<dyn Storage>,
    which: Which,
    known: Known,
    voucher: Voucher,
    mode: Mode,
}

impl Copying {
    fn to(mut self, to: Arc<dyn Storage>) -> Self {
        self.to = to;
        self
    }

    fn from(mut self, from: Arc<dyn Storage>) -> Self {
        self.backup.storage = from;
        self
    }

    fn with(&self, job: &Job) -> souvenir::engine::Result<CopySummary> {
        let request = CopyRequest {
            from: &*self.backup.storage,
            to: &*self.to,
            keyring: &self.backup.keyring(),
            passphrases: &self.backup.passphrases(),
            which: self.which,
            known: self.known,
            voucher: self.voucher,
            mode: self.mode,
        };
        copy(&request, job)
    }

    fn attempt(&self) -> Outcome<CopySummary> {
        let this = self.clone();
        run(move |job| this.with(job))
    }

    fn run(&self) -> CopySummary {
        let (summary, warnings) = self.attempt();
        assert_eq!(warnings, []);
        summary.unwrap()
    }
}

fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    names(folder).into_iter().map(|name| (name.clone(), fs::read(folder.join(name)).unwrap())).collect()
}

fn assert_copied(from: &Path, to: &Path) {
    assert_eq!(names(from), names(to));
    assert!(contents(from) == contents(to));
}

fn protections() -> [fn(&Home) -> Protection; 3] {
    [
        |_| Protection::none(),
        |_| Protection { encryption: Encryption::Passphrase, sign_key: None },
        |home| to_key(&home.key("owner", PASSPHRASE), false, None),
    ]
}

#[test]
fn every_file_arrives_as_it_is_and_duplicity_restores_the_copy() {
    // Both versions of duplicity for the first, the newest for the others.
    for (made_with, protection) in [0, 1, 1].into_iter().zip(protections()) {
        let made = Made::new(protection);
        let summary = made.copying().run();
        assert_copied(&made.from(), &made.path("to"));
        assert_eq!(summary.sets.len(), 3);
        assert!(summary.sets.iter().all(|set| set.outcome == copy::Outcome::Copied));
        assert_eq!(summary.file_count, names(&made.from()).len() as u64);
        let bytes: usize = contents(&made.from()).values().map(Vec::len).sum();
        assert_eq!(summary.copied_bytes, bytes as u64);
        made.backup.clone().stored_in(Arc::new(LocalFolder::new(made.path("to")))).verify();
        for (index, program) in versions(made.home.path()).iter().enumerate().skip(made_with) {
            let target = made.path(&format!("restored-{index}"));
            let place = url(&made.path("to"));
            program.run(&["restore", &place, target.to_str().unwrap()]);
            assert_same(&look(&made.path("source")), &look(&target), "duplicity's restore of the copy");
            program.run(&["verify", "--compare-data", &place, made.path("source").to_str().unwrap()]);
            let said = program.run(&["collection-status", &place]);
            assert!(said.contains("No orphaned or incomplete backup sets found"), "{said}");
        }
    }
}

#[test]
fn from_a_folder_to_a_server_and_back() {
    let made = Made::new(|home| to_key(&home.key("owner", PASSPHRASE), false, None));
    let server = Sshd::start();
    made.copying().to(Arc::new(server.storage("copy"))).run();
    assert_copied(&made.from(), &server.folder().join("copy"));
    let back = made.copying().from(Arc::new(server.storage("copy")));
    back.run();
    assert_copied(&made.from(), &made.path("to"));
    for program in versions(made.home.path()) {
        let target = tempfile::tempdir().unwrap();
        let target = target.path().join("restored");
        program.run(&["restore", &url(&made.path("to")), target.to_str().unwrap()]);
        assert_same(&look(&made.path("source")), &look(&target), "the restore");
    }
    // Nobody holds a lock any more, and a second time there is nothing to do.
    let again = back.run();
    assert_eq!((again.file_count, again.warning_count), (0, 0));
    assert!(again.sets.iter().all(|set| set.outcome == copy::Outcome::Present));
    assert_copied(&made.from(), &server.folder().join("copy"));
}

#[test]
fn backups_of_duplicity_are_copied_with_all_their_files() {
    let home = Home::new();
    for program in versions(home.path()) {
        let scratch = tempfile::tempdir().unwrap();
        let (source, from, to) =
            (scratch.path().join("source"), scratch.path().join("from"), scratch.path().join("to"));
        make_small(&source);
        fs::write(source.join("large"), noise(2, 3_000_000)).unwrap();
        program.run(&["full", "--volsize", "1", source.to_str().unwrap(), &url(&from)]);
        edit(&source, 1, 5);
        std::thread::sleep(Duration::from_millis(1100));
        program.run(&["incremental", source.to_str().unwrap(), &url(&from)]);
        let protection = Protection { encryption: Encryption::Passphrase, sign_key: None };
        let backup = Backup::new(&source, &from).protected(protection, home.keyring());
        let copying = Copying {
            backup,
            to: Arc::new(LocalFolder::new(&to)),
            which: Which::Chains,
            known: Known::ByHash,
            voucher: Voucher::Manifests,
            mode: Mode::Copy,
        };
        copying.run();
        assert_copied(&from, &to);
        let target = scratch.path().join("target");
        program.run(&["restore", &url(&to), target.to_str().unwrap()]);
        assert_same(&look(&source), &look(&target), "the restore");
        // duplicity goes on with the copy, and the next copy brings nothing back.
        edit(&source, 2, 5);
        std::thread::sleep(Duration::from_millis(1100));
        program.run(&["incremental", source.to_str().unwrap(), &url(&to)]);
        assert_eq!(copying.run().file_count, 0);
    }
}

#[test]
fn without_a_key_what_is_written_is_read_back() {
    let made = Made::new(|home| to_key(&home.key("owner", PASSPHRASE), false, None));
    let mut copying = made.copying();
    copying.backup = copying.backup.protected(Protection::none(), Home::new().keyring());
    assert!(matches!(error(copying.attempt()), Error::Crypto { .. }));
    assert!(names(&made.path("to")).is_empty());
    copying.voucher = Voucher::ReadingBack;
    copying.run();
    assert_copied(&made.from(), &made.path("to"));
    assert_eq!(copying.run().file_count, 0);
}

#[test]
fn a_place_that_loses_bytes_is_found_out() {
    let made = Made::plain();
    let inner = LocalFolder::new(made.path("to"));
    let odd = Odd { inner, is_lossy: true, renames: AtomicUsize::new(usize::MAX) };
    let (summary, warnings) = made.copying().to(Arc::new(odd)).attempt();
    assert!(summary.unwrap().sets.iter().all(|set| set.outcome == copy::Outcome::NotCopied));
    let told = |warning: &Warning| {
        matches!(warning, Warning::NotCopied { name, reason }
            if name.contains("sigtar") && reason.contains("something else"))
    };
    assert_eq!(warnings.iter().filter(|warning| told(warning)).count(), 2, "{warnings:?}");
    assert_eq!(names(&made.path("to")), [""; 0]);
}

/// A volume of the incremental set.
const INCREMENTAL: &str = "Z.to.20231114T221500Z.vol2.";

#[test]
fn a_wrong_byte_is_found_and_named_and_nothing_of_its_set_is_seen() {
    for protection in [protections()[0], protections()[2]] {
        let made = Made::new(protection);
        for part in ["duplicity-full.20231114T221320Z.vol2.", "full-signatures.20231114T221320Z", INCREMENTAL]
        {
            let file = made.file(part);
            let name = file.file_name().unwrap().to_str().unwrap().to_owned();
            let whole = fs::read(&file).unwrap();
            let mut harmed = whole.clone();
            harmed[whole.len() / 2] ^= 4;
            fs::write(&file, &harmed).unwrap();
            let (summary, warnings) = made.copying().attempt();
            assert!(
                warnings
                    .iter()
                    .any(|warning| matches!(warning, Warning::Damaged { file, .. } if *file == name)),
                "{name}: {warnings:?}"
            );
            let full_is_there = part == INCREMENTAL;
            let outcomes: Vec<_> = summary.unwrap().sets.iter().map(|set| set.outcome).collect();
            let first = if full_is_there { copy::Outcome::Copied } else { copy::Outcome::NotCopied };
            assert_eq!(outcomes, [first, copy::Outcome::NotCopied, copy::Outcome::Copied], "{name}");
            let there = names(&made.path("to"));
            assert!(there.iter().all(|name| name.starts_with("duplicity-")), "{there:?}");
            assert_eq!(
                there.iter().any(|name| name.contains("20231114T221320Z.")),
                full_is_there,
                "{there:?}"
            );
            assert!(!there.iter().any(|name| name.contains(".to.")), "{there:?}");
            assert_eq!(fs::read(&file).unwrap(), harmed, "the source is not changed");
            // Mended, all of it is copied.
            fs::write(&file, whole).unwrap();
            made.copying().run();
            assert_copied(&made.from(), &made.path("to"));
            fs::remove_dir_all(made.path("to")).unwrap();
        }
        // A volume that is not there.
        fs::remove_file(made.file("duplicity-full.20231114T221320Z.vol1.")).unwrap();
        let (summary, warnings) = made.copying().attempt();
        assert_eq!(summary.unwrap().sets[0].outcome, copy::Outcome::NotCopied);
        assert!(
            matches!(&warnings[0], Warning::Damaged { file, .. } if file.contains("Z.vol1.")),
            "{warnings:?}"
        );
    }
}

#[test]
fn nothing_is_overwritten() {
    let made = Made::plain();
    made.copying().run();
    let file = made.path("to").join(made.file("Z.vol2.").file_name().unwrap());
    let whole = fs::read(&file).unwrap();
    let mut other = whole.clone();
    other[10] ^= 1;
    fs::write(&file, &other).unwrap();
    let (summary, warnings) = made.copying().attempt();
    assert_eq!(summary.unwrap().file_count, 0);
    let name = file.file_name().unwrap().to_str().unwrap();
    assert!(
        matches!(&warnings[0], Warning::NotCopied { name: told, reason }
            if told == name && reason.contains("not overwritten")),
        "{warnings:?}"
    );
    assert_eq!(fs::read(&file).unwrap(), other);
    // Going by sizes it is the same.
    let mut by_size = made.copying();
    by_size.known = Known::BySize;
    assert_eq!(by_size.run().file_count, 0);
    fs::write(&file, &other[1..]).unwrap();
    let (_, warnings) = by_size.attempt();
    assert!(matches!(&warnings[0], Warning::NotCopied { name: told, .. } if told == name));
    // A file that is gone is brought back.
    fs::remove_file(&file).unwrap();
    assert_eq!(made.copying().run().file_count, 1);
    assert_copied(&made.from(), &made.path("to"));
    // Another backup of the same second.
    fs::remove_file(&file).unwrap();
    let sealed = file.with_extension("gpg");
    fs::write(&sealed, b"of another backup").unwrap();
    let (_, warnings) = made.copying().attempt();
    assert!(
        matches!(&warnings[0], Warning::NotCopied { reason, .. } if reason.contains("same time")),
        "{warnings:?}"
    );
    assert!(!file.exists() && fs::read(&sealed).unwrap() == b"of another backup");
}

#[test]
fn what_is_copied_of_a_set_is_not_seen_before_the_last_file() {
    let made = Made::plain();
    // The copy is cancelled, or loses its destination, at each file in turn.
    let all = names(&made.from()).len();
    for moment in 0..all {
        for is_cancelled in [true, false] {
            let to = made.path(&format!("to-{moment}-{is_cancelled}"));
            let job = Job::unattended();
            let (control, seen) = (job.control().clone(), AtomicUsize::new(0));
            let hook = move |name: &str, bytes: u64| {
                if bytes == 0 && name.contains("duplicity-") && seen.fetch_add(1, Ordering::SeqCst) == moment
                {
                    if is_cancelled {
                        control.cancel(CancelReason::User);
                    } else {
                        return Err(std::io::ErrorKind::HostUnreachable.into());
                    }
                }
                Ok(())
            };
            let hooked = Hooked { inner: Arc::new(LocalFolder::new(&to)), hook: Arc::new(hook) };
            let result = made.copying().to(Arc::new(hooked)).with(&job);
            match result {
                Err(Error::Cancelled(CancelReason::User)) => assert!(is_cancelled),
                Err(Error::Storage(_)) => assert!(!is_cancelled),
                other => panic!("{other:?}"),
            }
            let found = status(&LocalFolder::new(&to), &Job::unattended()).unwrap();
            assert_eq!(found.resumable_count, 0, "no backup goes on with it");
            for set in found.chains.iter().flat_map(|chain| &chain.sets) {
                assert!(set.missing_volumes.is_empty() && set.has_signatures);
            }
            let sets: usize = found.chains.iter().map(|chain| chain.sets.len()).sum();
            assert!(sets < 3);
            let copying = made.copying().to(Arc::new(LocalFolder::new(&to)));
            let summary = copying.run();
            assert_copied(&made.from(), &to);
            assert_eq!(summary.sets.len(), 3);
        }
    }
}

#[test]
fn a_set_that_was_just_getting_its_names_is_taken_back_and_gone_on_with() {
    let made = Made::plain();
    let mut between_names = 0;
    for renames in 0.. {
        let to = made.path(&format!("to-{renames}"));
        let odd = Odd { inner: LocalFolder::new(&to), is_lossy: false, renames: AtomicUsize::new(renames) };
        let (result, warnings) = made.copying().to(Arc::new(odd)).attempt();
        assert_eq!(warnings, []);
        let is_done = result.is_ok();
        let left = names(&to);
        if left.iter().any(|name| name.starts_with(".unfinished-list-")) {
            between_names += 1;
            // A backup to this place comes first, or a copy.
            if renames % 2 == 0 {
                let source = made.path("source");
                Backup::new(&source, &to).at(FIRST + 1000).back_up();
                let there = names(&to);
                assert!(there.iter().all(|name| name.starts_with("duplicity-")), "{there:?}");
                fs::remove_dir_all(&to).unwrap();
            }
        }
        made.copying().to(Arc::new(LocalFolder::new(&to))).run();
        assert_copied(&made.from(), &to);
        if is_done {
            break;
        }
    }
    assert!(between_names > 6);
}

/// The command line.
fn cli(made: &Made, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_souvenir-cli"));
    command
        .args(["--gnupg-home", made.home.path().to_str().unwrap()])
        .args(arguments)
        .env("PASSPHRASE", PASSPHRASE)
        .env("XDG_CACHE_HOME", made.path("cache"))
        .current_dir(made.scratch.path())
        .stdin(Stdio::null());
    command
}

fn expect(code: i32, mut command: Command) -> (String, String) {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (printed, told) = (text(output.stdout), text(output.stderr));
    assert_eq!(output.status.code(), Some(code), "{printed}\n{told}");
    (printed, told)
}

#[test]
fn a_copy_that_is_killed_is_gone_on_with() {
    let made = Made::new(|_| Protection { encryption: Encryption::Passphrase, sign_key: None });
    fs::write(made.path("source/huge"), noise(7, 40_000_000)).unwrap();
    made.backup.clone().at(FIRST + 300).back_up();
    let is_finished = |name: &String| name.starts_with(".unfinished-copy-") && !name.contains("copy-new-");
    for moment in 1..4 {
        let to = made.path(&format!("to-{moment}"));
        let mut child = cli(&made, &["copy", "from", to.to_str().unwrap()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while !to.exists()
            || !names(&to).iter().any(|name| name.contains("20231114T221820Z"))
            || names(&to).iter().filter(|name| is_finished(name)).count() < moment * 6
        {
            assert!(begun.elapsed() < Duration::from_secs(60));
            if child.try_wait().unwrap().is_some() {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let left = names(&to);
        let finished = left.iter().filter(|name| is_finished(name)).count();
        println!("{finished} files were finished");
        let said = versions(made.home.path())[1].run(&["collection-status", &url(&to)]);
        assert!(said.contains("No orphaned or incomplete backup sets found"), "{said}");
        let (printed, _) = expect(0, cli(&made, &["--json", "copy", "from", to.to_str().unwrap()]));
        let printed: serde_json::Value = serde_json::from_str(&printed).unwrap();
        let sent = printed["copied_bytes"].as_u64().unwrap();
        let missing: u64 = contents(&made.from())
            .iter()
            .filter(|(name, _)| {
                !left.iter().any(|there| there.ends_with(name.as_str()) && !there.contains("copy-new-"))
            })
            .map(|(_, bytes)| bytes.len() as u64)
            .sum();
        // What is finished is not sent again.
        assert_eq!(sent, missing);
        assert_copied(&made.from(), &to);
    }
}

#[test]
fn what_belongs_to_no_state_is_copied_only_if_asked_for() {
    let made = Made::plain();
    let from = made.from();
    let put = |name: &str| fs::write(from.join(name), noise(1, 1000)).unwrap();
    let prefix = "mine-duplicity-full.20220101T000000Z";
    for name in [
        "duplicity-full.20230101T000000Z.vol1.difftar.gz",
        "duplicity-full.20230102T000000Z.vol1.difftar.p7m",
        "notes.txt",
        &format!("{prefix}.manifest"),
        &format!("{prefix}.vol1.difftar.gz"),
    ] {
        put(name);
    }
    // Follows no other.
    fs::write(from.join("duplicity-inc.20230201T000000Z.to.20230202T000000Z.manifest"), "").unwrap();
    let before = names(&from);
    made.copying().run();
    let there = names(&made.path("to"));
    assert!(there.iter().all(|name| name.contains("202311")), "{there:?}");
    let mut copying = made.copying();
    copying.which = Which::Everything;
    copying.voucher = Voucher::ReadingBack;
    copying.run();
    let mut expected = before;
    expected.retain(|name| name != "notes.txt");
    assert_eq!(names(&made.path("to")), expected);
    assert_eq!(copying.run().file_count, 0);
}

#[test]
fn places_that_cannot_be_copied_to_or_from_are_said() {
    let made = Made::plain();
    // To where it is, by another way.
    std::os::unix::fs::symlink(made.from(), made.path("link")).unwrap();
    let to_itself = made.copying().to(Arc::new(LocalFolder::new(made.path("link"))));
    assert!(matches!(error(to_itself.attempt()), Error::SamePlace { .. }));
    // Over a repository of restic.
    fs::create_dir_all(made.path("restic/keys")).unwrap();
    fs::write(made.path("restic/config"), "").unwrap();
    let to_restic = made.copying().to(Arc::new(LocalFolder::new(made.path("restic"))));
    assert!(matches!(error(to_restic.attempt()), Error::ForeignRepository { .. }));
    let from_restic = made.copying().from(Arc::new(LocalFolder::new(made.path("restic"))));
    assert!(matches!(error(from_restic.attempt()), Error::ForeignRepository { .. }));
    // From an empty place, and one that is not there.
    fs::create_dir(made.path("empty")).unwrap();
    let from_empty = made.copying().from(Arc::new(LocalFolder::new(made.path("empty"))));
    assert!(matches!(error(from_empty.attempt()), Error::NoBackup { .. }));
    let from_nowhere = made.copying().from(Arc::new(LocalFolder::new(made.path("nowhere"))));
    assert!(matches!(error(from_nowhere.attempt()), Error::Storage(_)));
    // While somebody is at work at either of them.
    for busy in ["from", "to"] {
        let Lock::Held(_held) = LocalFolder::new(made.path(busy)).lock("a test").unwrap() else { panic!() };
        let Error::Busy { location, .. } = error(made.copying().attempt()) else { panic!() };
        assert_eq!(Path::new(&location), made.path(busy));
    }
    assert_eq!(names(&made.path("to")), [""; 0]);
    made.copying().run();
    assert_eq!(names(&made.from()), names(&made.path("to")), "no lock is left");
}

#[test]
fn the_command_line_copies_and_says_what() {
    let made = Made::plain();
    let (printed, _) = expect(0, cli(&made, &["copy", "--dry-run", "from", "to"]));
    assert!(printed.contains("would copy") && printed.contains("Would copy 3 sets"), "{printed}");
    assert!(!made.path("to").exists());
    let (printed, _) = expect(0, cli(&made, &["copy", "from", "to"]));
    assert!(printed.contains("Copied 3 sets"), "{printed}");
    assert_copied(&made.from(), &made.path("to"));
    let (printed, _) = expect(0, cli(&made, &["copy", "--by-size", "from", "to"]));
    assert!(printed.contains("There was nothing to copy"), "{printed}");
    let (printed, _) = expect(0, cli(&made, &["--json", "copy", "--dry-run", "from", "to"]));
    let printed: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(printed["sets"][0]["outcome"], "present");
    let file = made.file(".vol1.");
    fs::write(&file, b"x").unwrap();
    let (printed, told) = expect(1, cli(&made, &["copy", "from", "elsewhere"]));
    assert!(printed.contains("not copied"), "{printed}");
    assert!(told.contains(file.file_name().unwrap().to_str().unwrap()), "{told}");
    let (_, told) = expect(3, cli(&made, &["copy", "from", "from"]));
    assert!(told.contains("another place"), "{told}");
    let restored = made.backup.clone().stored_in(Arc::new(LocalFolder::new(made.path("to"))));
    restored.restore(&made.path("restored"));
    assert_same(&look(&made.path("source")), &look(&made.path("restored")), "the restore");
}

#[test]
fn a_backup_clears_away_what_an_interrupted_copy_left() {
    let made = Made::plain();
    let to = made.path("to");
    fs::create_dir(&to).unwrap();
    let left = format!(".unfinished-copy-{}-duplicity-full.20231114T221320Z.vol1.difftar.gz", "a".repeat(40));
    fs::write(to.join(&left), "x").unwrap();
    Backup::new(&made.path("source"), &to).at(FIRST).back_up();
    assert!(!names(&to).contains(&left));
}
