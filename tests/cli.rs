//! The command line as a person or a script uses it: what it prints, and what it returns.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::engine::{PASSPHRASE, names};
use common::gpg::Home;
use common::tree::{assert_same, look, noise};
use serde_json::Value;

struct Scratch {
    folder: tempfile::TempDir,
    /// Nobody's own keyring is touched.
    gnupg: Home,
}

impl Scratch {
    fn new() -> Self {
        let scratch = Self { folder: tempfile::tempdir().unwrap(), gnupg: Home::new() };
        fs::create_dir_all(scratch.path("source/folder")).unwrap();
        fs::write(scratch.path("source/folder/file"), "contents").unwrap();
        fs::write(scratch.path("source/other.tmp"), "other").unwrap();
        scratch
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The command in the scratch folder, without anything in its environment that it could use.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_souvenir-cli"));
        command
            .current_dir(self.folder.path())
            .args(arguments)
            .env("GNUPGHOME", self.gnupg.path())
            .env_remove("PASSPHRASE")
            .env_remove("SIGN_PASSPHRASE")
            .env("XDG_CACHE_HOME", self.path("cache"))
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs it, which must end with that code, and gives standard output and error.
    fn expect(&self, code: i32, arguments: &[&str]) -> (String, String) {
        expect(code, &self.run(arguments))
    }
}

fn expect(code: i32, output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (printed, told) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{printed}\n{told}");
    (printed, told)
}

#[test]
fn a_round_trip_without_encryption() {
    let scratch = Scratch::new();
    let place = format!("file://{}", scratch.path("to").display());
    let (printed, told) = scratch.expect(0, &["backup", "--no-encryption", "source", &place]);
    assert!(printed.starts_with("Backed up 4 entries") && told.is_empty(), "{printed}{told}");
    let (printed, _) = scratch.expect(0, &["list", "to"]);
    assert_eq!(printed.lines().count(), 4);
    assert!(printed.contains(" folder/file\n"), "{printed}");
    let (printed, _) = scratch.expect(0, &["status", "to"]);
    assert!(printed.contains(" full ") && printed.contains("not encrypted"), "{printed}");
    scratch.expect(0, &["restore", "to", "restored"]);
    assert_same(&look(&scratch.path("source")), &look(&scratch.path("restored")), "restored");

    // A second time the target is in use; one file goes anywhere.
    let (_, told) = scratch.expect(3, &["restore", "to", "restored"]);
    assert!(told.contains("not empty"), "{told}");
    scratch.expect(0, &["restore", "--force", "to", "restored"]);
    scratch.expect(0, &["restore", "--path", "folder/file", "to", "one"]);
    assert_eq!(fs::read(scratch.path("one")).unwrap(), b"contents");
}

#[test]
fn rules_count_in_the_order_in_which_they_are_typed() {
    let scratch = Scratch::new();
    let listed = |to: &str, rules: &[&str]| {
        let common = ["--json", "backup", "--no-encryption", "source", to];
        scratch.expect(0, &[&common[..], rules].concat());
        let (printed, _) = scratch.expect(0, &["--json", "list", to]);
        let listing: Value = serde_json::from_str(&printed).unwrap();
        let entries = listing["entries"].as_array().unwrap();
        entries.iter().map(|entry| entry["path"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let both = ["--include", "source/other.tmp", "--exclude", "**.tmp"];
    assert_eq!(listed("1", &both), [".", "folder", "folder/file", "other.tmp"]);
    let turned = ["--exclude", "**.tmp", "--include", "source/other.tmp", "--exclude", "source/none"];
    assert_eq!(listed("2", &turned), [".", "folder", "folder/file"]);
}

#[test]
fn a_source_is_the_same_however_its_path_is_written() {
    let scratch = Scratch::new();
    scratch.expect(0, &["backup", "--no-encryption", "source", "to"]);
    scratch.expect(0, &["backup", "--no-encryption", "--incremental", ".//source/.", "to"]);
}

#[test]
fn passphrases_come_from_a_file_a_descriptor_or_the_environment() {
    let scratch = Scratch::new();
    fs::write(scratch.path("secret"), format!("{PASSPHRASE}\n")).unwrap();
    fs::write(scratch.path("wrong"), "wrong").unwrap();
    scratch.expect(0, &["backup", "--passphrase-file", "secret", "source", "to"]);
    scratch.expect(0, &["restore", "--passphrase-file", "secret", "to", "1"]);

    let output = scratch.command(&["list", "to"]).env("PASSPHRASE", PASSPHRASE).output().unwrap();
    expect(0, &output);

    let mut child = scratch
        .command(&["restore", "--passphrase-fd", "0", "to", "2"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(PASSPHRASE.as_bytes()).unwrap();
    expect(0, &child.wait_with_output().unwrap());
    assert_same(&look(&scratch.path("1")), &look(&scratch.path("2")), "both");

    let (_, told) = scratch.expect(3, &["restore", "--passphrase-file", "wrong", "to", "3"]);
    assert!(told.contains("passphrase") && told.contains("wrong"), "{told}");
    assert!(!scratch.path("3").exists());
    // Nobody to ask.
    let (_, told) = scratch.expect(3, &["list", "--no-catalog", "to"]);
    assert!(told.contains("passphrase") && told.contains("needed"), "{told}");
    scratch.expect(2, &["list", "--passphrase-file", "nowhere", "to"]);
}

#[test]
fn the_passphrase_is_asked_for_on_a_terminal() {
    let scratch = Scratch::new();
    // script makes a terminal; the answers are typed ahead.
    let type_in = |command: &str, answers: &str| {
        let program = env!("CARGO_BIN_EXE_souvenir-cli");
        let mut child = Command::new("script")
            .args([
                "--quiet",
                "--return",
                "--echo",
                "never",
                "--command",
                &format!("{program} {command}"),
                "/dev/null",
            ])
            .current_dir(scratch.folder.path())
            .env_remove("PASSPHRASE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        for answer in answers.lines() {
            std::thread::sleep(Duration::from_millis(700));
            stdin.write_all(format!("{answer}\n").as_bytes()).unwrap();
        }
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    // The first time the two do not match.
    let (code, printed) = type_in("backup source to", "good\ngod\ngood\ngood");
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.contains("not the same"), "{printed}");
    assert!(!printed.contains("god"), "what is typed is not shown: {printed}");
    let (code, printed) = type_in("restore to restored", "bad\ngood");
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.contains("not right"), "{printed}");
    assert_same(&look(&scratch.path("source")), &look(&scratch.path("restored")), "restored");
}

#[test]
fn keys_encrypt_and_sign() {
    let scratch = Scratch::new();
    let home = Home::new();
    let (reader, signer) = (home.key("reader@example.org", ""), home.key("signer", ""));
    let gnupg = home.path().to_str().unwrap();
    let expect =
        |code, arguments: &[&str]| scratch.expect(code, &[&["--gnupg-home", gnupg], arguments].concat());
    let keys =
        ["--encrypt-key", "reader@example.org", "--hidden-encrypt-key", &signer, "--sign-key", &signer];
    expect(0, &[&["backup"], &keys[..], &["source", "to"]].concat());
    expect(0, &["restore", "--sign-key", &signer, "to", "1"]);
    let (_, told) = expect(3, &["restore", "--sign-key", &reader, "to", "2"]);
    assert!(told.contains("signed by"), "{told}");
    let (_, told) = expect(3, &["backup", "--encrypt-key", "nobody@example.org", "source", "new"]);
    assert!(told.contains("nobody@example.org") && told.contains("keyring"), "{told}");
    assert!(!scratch.path("new").exists(), "nothing was begun");
}

#[test]
fn the_environment_of_gpg_has_no_passphrase() {
    let scratch = Scratch::new();
    let home = Home::new();
    // gpg works as long as it signs.
    let signer = home.key("signer", PASSPHRASE);
    fs::write(scratch.path("source/large"), noise(1, 100 << 20)).unwrap();
    let gnupg = home.path().to_str().unwrap();
    let mut child = scratch
        .command(&["--gnupg-home", gnupg, "backup", "--sign-key", &signer, "source", "to"])
        .env("PASSPHRASE", PASSPHRASE)
        .env("SIGN_PASSPHRASE", PASSPHRASE)
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let environment = loop {
        let found = home.running().into_iter().find_map(|id| fs::read(format!("/proc/{id}/environ")).ok());
        if let Some(environment) = found.filter(|environment| !environment.is_empty()) {
            break String::from_utf8_lossy(&environment).into_owned();
        }
        assert!(begun.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(5));
    };
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(environment.contains("PATH="), "{environment}");
    assert!(!environment.contains("PASSPHRASE"), "{environment}");
}

#[test]
fn wrong_usage_is_told_apart_from_failure() {
    let scratch = Scratch::new();
    for arguments in [
        &[][..],
        &["backup"],
        &["frobnicate"],
        &["backup", "--no-encryption", "--encrypt-key", "x", "source", "to"],
        &["backup", "--volume-size", "0", "source", "to"],
        &["backup", "source", "rsync://host/path"],
        &["restore", "--time", "yesterday", "to", "x"],
        &["backup", "--no-encryption", "--exclude", "a//b", "source", "to"],
        &["restore", "--path", "../x", "to", "x"],
    ] {
        let (_, told) = scratch.expect(2, arguments);
        assert!(!told.is_empty());
    }
    for arguments in [
        &["backup", "--no-encryption", "missing", "to"][..],
        &["restore", "missing", "x"],
        &["list", "missing"],
    ] {
        let (_, told) = scratch.expect(3, arguments);
        assert!(told.contains("missing"), "{told}");
    }
}

#[test]
fn a_damaged_volume_is_a_warning_with_its_own_code() {
    let scratch = Scratch::new();
    scratch.expect(0, &["backup", "--no-encryption", "source", "to"]);
    let volume = names(&scratch.path("to")).into_iter().find(|name| name.contains(".vol")).unwrap();
    fs::write(scratch.path("to").join(&volume), "not a volume").unwrap();
    let (_, told) = scratch.expect(3, &["restore", "to", "restored"]);
    assert!(told.contains(&volume), "{told}");
    fs::write(scratch.path("source/large"), noise(1, 3 << 20)).unwrap();
    scratch.expect(0, &["backup", "--no-encryption", "--volume-size", "1", "source", "more"]);
    let volume = names(&scratch.path("more")).into_iter().find(|name| name.contains(".vol3.")).unwrap();
    fs::remove_file(scratch.path("more").join(&volume)).unwrap();
    let (_, told) = scratch.expect(1, &["--json", "restore", "more", "restored"]);
    for line in told.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(line["warning"].is_string(), "{line}");
    }
    assert!(told.contains(&volume) && told.contains("missing"), "{told}");
}

#[test]
fn a_signal_stops_it_cleanly() {
    let scratch = Scratch::new();
    fs::write(scratch.path("source/large"), noise(1, 300 << 20)).unwrap();
    for signal in ["INT", "TERM"] {
        let child = scratch
            .command(&["backup", "--volume-size", "5", "source", "to"])
            .env("PASSPHRASE", PASSPHRASE)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Once it is writing, it is in the middle of it.
        let begun = Instant::now();
        let is_writing =
            || names(&scratch.path("to")).iter().any(|name| name.starts_with(".souvenir-upload-"));
        while !scratch.path("to").exists() || !is_writing() {
            assert!(begun.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(10));
        }
        let status = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
        assert!(status.success());
        let (_, told) = expect(130, &child.wait_with_output().unwrap());
        assert!(told.contains("cancelled"), "{told}");
        let left = names(&scratch.path("to"));
        assert!(left.iter().all(|name| name.starts_with(".unfinished-")), "{signal}: {left:?}");
    }
    // The next one goes on with what is finished.
    scratch.expect(0, &["backup", "--no-encryption", "--volume-size", "5", "source", "to"]);
    let left = names(&scratch.path("to"));
    assert!(left.iter().all(|name| name.starts_with("duplicity-full")), "{left:?}");
}

/// Runs a script in a mount namespace of its own, in which it may mount what it likes.
fn in_own_mounts(scratch: &Scratch, script: &str) -> Output {
    let map: &[&str] =
        if nix::unistd::Uid::effective().is_root() { &["--mount"] } else { &["--mount", "--map-root-user"] };
    Command::new("unshare")
        .args(map)
        .args(["sh", "-c", &format!("mkdir -p to && {script}")])
        .env("CLI", env!("CARGO_BIN_EXE_souvenir-cli"))
        .current_dir(scratch.folder.path())
        .output()
        .unwrap()
}

#[test]
fn a_full_or_read_only_target_ends_a_restore_with_a_word() {
    let scratch = Scratch::new();
    fs::write(scratch.path("source/large"), noise(1, 12 << 20)).unwrap();
    scratch.expect(0, &["backup", "--no-encryption", "source", "stored"]);
    let script =
        "mount -t tmpfs -o size=8m tmpfs to && \"$CLI\" restore stored to/x; echo \"code $?\"; exit 7";
    let (printed, told) = expect(7, &in_own_mounts(&scratch, script));
    assert_eq!(printed, "code 3\n", "{told}");
    assert!(told.contains("No space left") && told.contains("to/x"), "{told}");
}

#[test]
fn a_read_only_destination_is_said() {
    let scratch = Scratch::new();
    let script = "mount -t tmpfs -o ro tmpfs to && \"$CLI\" backup --no-encryption source to; echo \"code $?\"; exit 7";
    let (printed, told) = expect(7, &in_own_mounts(&scratch, script));
    assert_eq!(printed, "code 3\n", "{told}");
    assert!(told.contains("Read-only file system"), "{told}");
}

#[test]
fn help_completions_and_the_manual_page_are_made_from_one_place() {
    let scratch = Scratch::new();
    let (help, _) = scratch.expect(0, &["--help"]);
    assert!(help.contains("Examples:") && help.contains("130"), "{help}");
    for shell in ["bash", "zsh", "fish"] {
        let (completions, _) = scratch.expect(0, &["completions", shell]);
        assert!(completions.contains("volume-size"), "{shell}");
    }
    scratch.expect(0, &["man-pages", "man"]);
    assert!(names(&scratch.path("man")).contains(&"souvenir-cli.1".to_owned()));
    let page = fs::read_to_string(scratch.path("man/souvenir-cli-backup.1")).unwrap();
    for word in [".TH", "PASSPHRASE", "\\-\\-volume\\-size", "hidden\\-encrypt\\-key"] {
        assert!(page.contains(word), "{word} is missing in\n{page}");
    }
    assert!(!page.contains("current\\-time"), "hidden options stay hidden");
}

#[test]
fn output_that_nobody_reads_to_its_end_is_no_failure() {
    let scratch = Scratch::new();
    scratch.expect(0, &["backup", "--no-encryption", "source", "to"]);
    let command = format!("{} list to | head -n 1", env!("CARGO_BIN_EXE_souvenir-cli"));
    let output = Command::new("bash")
        .args(["-o", "pipefail", "-c", &command])
        .env("XDG_CACHE_HOME", scratch.path("cache"))
        .current_dir(scratch.folder.path())
        .output()
        .unwrap();
    expect(0, &output);
}

#[test]
fn status_says_what_is_missing_and_what_is_not_used() {
    let scratch = Scratch::new();
    fs::write(scratch.path("source/large"), noise(1, 4 << 20)).unwrap();
    for now in ["1700000000", "1700000100", "1700000200"] {
        let options = ["backup", "--full", "--no-encryption", "--volume-size", "1", "--current-time", now];
        scratch.expect(0, &[&options[..], &["source", "to"]].concat());
    }
    let (printed, _) = scratch.expect(0, &["status", "to"]);
    assert!(printed.contains("3 sets in 3 chains"), "{printed}");
    assert!(!printed.contains("without") && !printed.contains("not used"), "{printed}");

    let file = |part: &str| {
        let name = names(&scratch.path("to")).into_iter().find(|name| name.contains(part)).unwrap();
        scratch.path("to").join(name)
    };
    for part in [
        "full.20231114T221320Z.vol2",
        "full.20231114T221320Z.vol3",
        "signatures.20231114T221500Z",
        "full.20231114T221640Z.manifest",
    ] {
        fs::remove_file(file(part)).unwrap();
    }
    fs::write(scratch.path("to/.souvenir-upload-x"), "half").unwrap();
    let (printed, _) = scratch.expect(0, &["status", "to"]);
    for part in [
        "without volume 2-3",
        "weakest link is 20231114T221320Z",
        "without signatures",
        "not finished: duplicity-full",
        "not whole: .souvenir-upload-x",
        "souvenir-cli cleanup",
        "2 sets in 2 chains",
    ] {
        assert!(printed.contains(part), "no {part} in\n{printed}");
    }
    let (printed, _) = scratch.expect(0, &["--json", "status", "to"]);
    let status: Value = serde_json::from_str(&printed).unwrap();
    let set = &status["chains"][0]["sets"][0];
    for key in ["time", "full", "volumes", "stored_bytes", "encrypted"] {
        assert!(!set[key].is_null(), "{key} is told as ever");
    }
    assert_eq!(set["missing_volumes"], serde_json::json!([2, 3]));
    assert_eq!(status["chains"][0]["weakest_link"]["weakness"], "missing volumes");
    assert_eq!(status["chains"][1]["sets"][0]["signatures"], false);
    assert_eq!(status["incomplete"].as_array().unwrap().len(), 1, "as ever");
    let kinds: Vec<_> = status["leftovers"].as_array().unwrap().iter().map(|left| &left["kind"]).collect();
    assert_eq!(kinds, ["unfinished", "upload"]);
}

#[test]
fn times_are_typed_as_for_duplicity() {
    let scratch = Scratch::new();
    for now in ["1700000000", "1700086400"] {
        scratch.expect(0, &["backup", "--no-encryption", "--current-time", now, "source", "to"]);
    }
    let (printed, _) = scratch.expect(0, &["status", "to"]);
    let printed_time = printed.lines().nth(1).unwrap().split(' ').next().unwrap().to_owned();
    for (time, set) in [
        (printed_time.as_str(), "20231114T221320Z"),
        ("1D", "20231114T221320Z"),
        ("23h59m", "20231114T221320Z"),
        ("2023-11-15T00:13:20+02:00", "20231114T221320Z"),
        ("now", "20231115T221320Z"),
        ("0s", "20231115T221320Z"),
        ("1700086400", "20231115T221320Z"),
        ("2023/11/18", "20231115T221320Z"),
    ] {
        let arguments = ["--json", "list", "--current-time", "1700086400", "--time", time, "to"];
        let (printed, _) = scratch.expect(0, &arguments);
        let listing: Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(listing["set_time"], set, "{time}");
        let target = format!("restored-{}", time.replace('/', "-"));
        let arguments = ["--json", "restore", "--current-time", "1700086400", "--time", time, "to", &target];
        let (printed, _) = scratch.expect(0, &arguments);
        assert!(printed.contains(set), "{time}: {printed}");
    }
    for (time, advice) in [("3d", "3D"), ("2026-03-01T12:00", "2026-03-01T12:00:00"), ("soon", "3D")] {
        let (_, told) = scratch.expect(2, &["list", "--time", time, "to"]);
        assert!(told.contains(advice), "{told}");
    }
}

#[test]
fn the_current_time_can_be_fixed() {
    let scratch = Scratch::new();
    scratch.expect(0, &["backup", "--no-encryption", "--current-time", "1700000000", "source", "to"]);
    assert!(Path::new(&scratch.path("to/duplicity-full.20231114T221320Z.manifest")).exists());
    let (_, told) =
        scratch.expect(3, &["backup", "--no-encryption", "--current-time", "1700000000", "source", "to"]);
    assert!(told.contains("20231114T221320Z"), "{told}");
}

#[test]
fn conflicts_several_paths_and_a_look_before_a_restore() {
    let scratch = Scratch::new();
    scratch.expect(0, &["backup", "--no-encryption", "source", "to"]);
    let restored = |name: &str| fs::read_to_string(scratch.path("back").join(name)).ok();
    let (printed, _) = scratch.expect(0, &["restore", "--dry-run", "--json", "to", "back"]);
    let seen: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((&seen["files"], &seen["file_bytes"], &seen["conflicts"]), (&2.into(), &13.into(), &0.into()));
    assert!(!scratch.path("back").exists());

    let both = ["restore", "--path", "folder/file", "--path", "other.tmp", "to", "back"];
    scratch.expect(0, &both);
    assert_eq!(restored("folder/file").unwrap(), "contents");
    scratch.expect(3, &both);
    let change = || fs::write(scratch.path("back/other.tmp"), "mine").unwrap();
    change();
    let (printed, _) = scratch.expect(0, &["restore", "--dry-run", "to", "back"]);
    assert!(printed.contains("already there: 2") && printed.contains("1 volume with"), "{printed}");
    let (printed, _) = scratch.expect(0, &["restore", "--dry-run", "--json", "to", "back"]);
    let seen: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((&seen["conflicts"], &seen["differing_there"]), (&2.into(), &1.into()), "{printed}");
    for (conflict, now, beside) in [
        ("skip", "mine", None),
        ("keep-both", "mine", Some("other")),
        // Ours was written after the backup.
        ("newer-wins", "mine", Some("other")),
        ("replace", "other", Some("other")),
    ] {
        scratch.expect(0, &["restore", "--conflict", conflict, "to", "back"]);
        assert_eq!(restored("other.tmp").as_deref(), Some(now), "{conflict}");
        assert_eq!(restored("other (restored).tmp").as_deref(), beside, "{conflict}");
        assert_eq!(restored("folder/file (restored)"), None, "the same is not kept twice");
        change();
    }
    let old = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    fs::File::options().write(true).open(scratch.path("back/other.tmp")).unwrap().set_modified(old).unwrap();
    scratch.expect(0, &["restore", "--conflict", "newer-wins", "to", "back"]);
    assert_eq!(restored("other.tmp").as_deref(), Some("other"), "what is older is replaced");
}

#[test]
fn a_backup_is_proved_and_the_report_kept() {
    let scratch = Scratch::new();
    scratch.expect(0, &["backup", "--no-encryption", "source", "to"]);
    let (printed, _) = scratch.expect(0, &["verify", "to", "source"]);
    assert!(printed.contains("0 differences"), "{printed}");
    let drill = ["drill", "--json", "--report", "reports/drills.jsonl", "to", "source"];
    for _ in 0..2 {
        let (printed, _) = scratch.expect(0, &drill);
        let report: Value = serde_json::from_str(&printed).unwrap();
        assert_eq!((&report["files"], &report["equal_to_source"]), (&2.into(), &2.into()), "{printed}");
    }
    let reports = fs::read_to_string(scratch.path("reports/drills.jsonl")).unwrap();
    assert_eq!(reports.lines().count(), 2, "{reports}");

    fs::write(scratch.path("source/folder/file"), "CONTENTS").unwrap();
    let (printed, _) = scratch.expect(1, &["verify", "to", "source"]);
    assert!(printed.contains("folder/file: has other contents\n"), "{printed}");
}

#[test]
fn a_key_is_made_exported_and_taken_in_elsewhere() {
    let scratch = Scratch::new();
    fs::write(scratch.path("secret"), format!("{PASSPHRASE}\n")).unwrap();
    let made = ["--json", "key", "create", "Ada Lovelace", "--email", "ada@example.org"];
    let how = ["--expires", "2Y", "--passphrase-file", "secret"];
    let (printed, _) = scratch.expect(0, &[&made[..], &how].concat());
    let key: Value = serde_json::from_str(&printed).unwrap();
    let fingerprint = key["fingerprint"].as_str().unwrap();
    assert_eq!(key["user_id"], "Ada Lovelace <ada@example.org>");
    let validity = key["expires"].as_i64().unwrap() - key["created"].as_i64().unwrap();
    assert_eq!(validity, 2 * 365 * 86_400);
    let (printed, _) = scratch.expect(0, &["key", "list"]);
    assert!(printed.contains(fingerprint) && printed.contains("ed25519"), "{printed}");

    scratch.expect(0, &["backup", "--encrypt-key", "ada@example.org", "source", "to"]);
    scratch.gnupg.forget();
    let export = ["key", "export", "ada@example.org", "safe", "--passphrase-file", "secret"];
    let (printed, _) = scratch.expect(0, &export);
    assert!(printed.contains("safe/Ada-Lovelace_"), "{printed}");
    let (_, told) = scratch.expect(3, &export);
    assert!(told.contains("not overwritten"), "{told}");

    // On another machine.
    let other = Scratch::new();
    let place = scratch.path("to");
    let restore = ["restore", "--passphrase-file", "secret", place.to_str().unwrap(), "restored"];
    fs::copy(scratch.path("secret"), other.path("secret")).unwrap();
    let (_, told) = other.expect(3, &restore);
    assert!(told.contains("secret key"), "{told}");
    let (printed, _) = other.expect(0, &["key", "import", scratch.path("safe").to_str().unwrap()]);
    assert!(printed.contains("with its secret part; its owner trust was set"), "{printed}");
    other.expect(0, &restore);
    assert_same(&look(&scratch.path("source")), &look(&other.path("restored")), "restored");

    // A third one has only the paper, here as the document.
    let kit = ["key", "kit", "ada@example.org", "paper", "to", "--passphrase-file", "secret"];
    let (printed, _) = scratch.expect(0, &kit);
    assert!(printed.contains(".recovery-kit.pdf"), "{printed}");
    let third = Scratch::new();
    fs::copy(scratch.path("secret"), third.path("secret")).unwrap();
    let (printed, _) = third.expect(0, &["key", "import", scratch.path("paper").to_str().unwrap()]);
    assert!(printed.contains("with its secret part"), "{printed}");
    third.expect(0, &restore);

    let (_, told) = other.expect(3, &["key", "import", "secret"]);
    assert!(told.contains("no OpenPGP key"), "{told}");
    let (_, told) = other.expect(3, &["key", "create", "Nobody"]);
    assert!(told.contains("passphrase for the key Nobody is needed"), "{told}");
    let (printed, _) = other.expect(0, &["--json", "key", "create", "Nobody", "--no-passphrase"]);
    assert!(printed.contains("\"has_secret\":true"), "{printed}");
    other.expect(2, &["key", "create", "Nobody", "--expires", "0s"]);
}
