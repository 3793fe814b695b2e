//! Looking into backups on the command line: what is printed, and what is returned.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use common::engine::{PASSPHRASE, names};
use common::gpg::Home;
use serde_json::Value;

struct Scratch {
    folder: tempfile::TempDir,
    /// Of gpg, whose agent ends with it.
    home: Home,
}

impl Scratch {
    /// Two backups of a folder, between which a file went, one changed and one came.
    fn new(protection: &[&str]) -> Self {
        let scratch = Self { folder: tempfile::tempdir().unwrap(), home: Home::new() };
        fs::create_dir_all(scratch.path("source/folder/deep")).unwrap();
        fs::write(scratch.path("source/folder/Gone.txt"), "12345").unwrap();
        fs::write(scratch.path("source/folder/changed"), "1").unwrap();
        fs::write(scratch.path("source/folder/deep/file"), "").unwrap();
        fs::write(scratch.path("source").join(OsStr::from_bytes(b"\xff")), "").unwrap();
        let back_up = |time| {
            let arguments =
                [&["backup", "--no-cache", "--current-time", time], protection, &["source", "to"]].concat();
            scratch.expect_with(0, Some(PASSPHRASE), &arguments);
        };
        back_up("1700000000");
        fs::remove_file(scratch.path("source/folder/Gone.txt")).unwrap();
        fs::write(scratch.path("source/folder/changed"), "22").unwrap();
        fs::write(scratch.path("source/new"), "333").unwrap();
        back_up("1700100000");
        scratch
    }

    fn plain() -> Self {
        Self::new(&["--no-encryption"])
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn expect(&self, code: i32, arguments: &[&str]) -> (String, String) {
        self.expect_with(code, None, arguments)
    }

    fn expect_with(&self, code: i32, passphrase: Option<&str>, arguments: &[&str]) -> (String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_souvenir-cli"));
        command.current_dir(self.folder.path()).args(arguments).stdin(Stdio::null());
        command.env_remove("PASSPHRASE").env_remove("SIGN_PASSPHRASE");
        command
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("TZ", "UTC")
            .env("GNUPGHOME", self.home.path());
        if let Some(passphrase) = passphrase {
            command.env("PASSPHRASE", passphrase);
        }
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let (printed, told) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{printed}\n{told}");
        (printed, told)
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.expect(0, &[&["--json"], arguments].concat()).0).unwrap()
    }
}

/// The values of one key.
fn column(array: &Value, key: &str) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    array.as_array().unwrap().iter().map(|value| text(&value[key])).collect()
}

#[test]
fn a_list_is_the_same_with_and_without_the_catalogue() {
    let scratch = Scratch::plain();
    for arguments in [
        &["list", "to"][..],
        &["list", "to", "--time", "1700000000"],
        &["list", "to", "folder"],
        &["list", "to", "/folder/", "--recursive"],
        &["list", "to", "folder/deep/file"],
        &["list", "to", "."],
        &["--json", "list", "to"],
        &["--json", "list", "to", "folder", "--time", "1700000000"],
    ] {
        let with = scratch.expect(0, arguments);
        let without = scratch.expect(0, &[arguments, &["--no-catalog"]].concat());
        assert!(!with.0.is_empty());
        assert_eq!(with, without, "{arguments:?}");
    }
    let listed = |arguments: &[&str]| column(&scratch.json(arguments)["entries"], "path");
    assert_eq!(
        listed(&["list", "to"]),
        [".", "folder", "folder/changed", "folder/deep", "folder/deep/file", "new", "\\xff"]
    );
    assert_eq!(listed(&["list", "to", "folder"]), ["folder/changed", "folder/deep"]);
    assert_eq!(
        listed(&["list", "to", "folder", "--time", "1700000000"]),
        ["folder/Gone.txt", "folder/changed", "folder/deep"]
    );
    for extra in [&[][..], &["--no-catalog"], &["--recursive"]] {
        let (_, told) = scratch.expect(3, &[&["list", "to", "folder/Gone.txt"], extra].concat());
        assert!(told.contains("Gone.txt is not in the backup"), "{told}");
        scratch.expect(2, &[&["list", "to", "../x"], extra].concat());
    }
}

#[test]
fn no_catalogue_is_no_catalogue() {
    let scratch = Scratch::plain();
    scratch.expect(0, &["list", "--no-catalog", "to"]);
    scratch.expect(3, &["list", "not there"]);
    scratch.expect(3, &["search", "not there", "x"]);
    assert!(!scratch.path("cache").exists());
    // Where none can be kept.
    fs::write(scratch.path("cache"), "no folder").unwrap();
    scratch.expect(0, &["list", "to"]);
    let (_, told) = scratch.expect(3, &["search", "to", "x"]);
    assert!(told.contains("catalogue"), "{told}");
}

#[test]
fn deleted_files_are_found() {
    let scratch = Scratch::plain();
    let (printed, _) = scratch.expect(0, &["search", "to", "gone"]);
    assert_eq!(printed, "           5 2023-11-14 22:13 only  folder/Gone.txt\n");
    let (printed, _) = scratch.expect(0, &["search", "to", "NEW"]);
    assert_eq!(printed, "           3 2023-11-16 02:00 until now  new\n");
    let found =
        |arguments: &[&str]| column(&scratch.json(&[&["search", "to"], arguments].concat())["hits"], "path");
    assert_eq!(found(&["folder/*"]), ["folder/Gone.txt", "folder/changed", "folder/deep"]);
    assert_eq!(found(&["*.txt"]), ["folder/Gone.txt"]);
    assert_eq!(found(&["*.txt", "--literal"]), [] as [&str; 0]);
    let gone = scratch.json(&["search", "to", "gone"])["hits"][0].clone();
    assert_eq!(gone["spans"][0]["last"], "20231114T221320Z");
    assert_eq!(gone["spans"][0]["gone"], "20231116T020000Z");
    let (printed, told) = scratch.expect(0, &["search", "--limit", "1", "to", "e"]);
    assert!(printed.lines().count() == 1 && told.contains("--limit"), "{printed}{told}");
    let (_, told) = scratch.expect(2, &["search", "to", "[z-a]"]);
    assert!(told.contains("[z-a]"), "{told}");
}

#[test]
fn histories_and_changes_are_told() {
    let scratch = Scratch::plain();
    let history = scratch.json(&["history", "to", "folder/Gone.txt"])["versions"].clone();
    assert_eq!(column(&history, "change"), ["added", "deleted"]);
    assert_eq!(column(&history, "set_time"), ["20231114T221320Z", "20231116T020000Z"]);
    let (printed, _) = scratch.expect(0, &["history", "to", "/folder/changed"]);
    let lines: Vec<_> = printed.lines().collect();
    assert!(lines[0].starts_with("20231114T221320Z (2023-11-14 22:13) full        added                1 "));
    assert!(lines[1].starts_with("20231116T020000Z (2023-11-16 02:00) incremental modified             2 "));
    let (_, told) = scratch.expect(3, &["history", "to", "never"]);
    assert!(told.contains("never"), "{told}");

    let changes = scratch.json(&["changes", "to", "1700000000", "20231116T020000Z"]);
    let changes: Vec<(String, String)> =
        column(&changes["changes"], "path").into_iter().zip(column(&changes["changes"], "change")).collect();
    let of = |path: &str| changes.iter().find(|(found, _)| found == path).map(|(_, change)| change.as_str());
    assert_eq!(of("folder/Gone.txt"), Some("deleted"));
    assert_eq!(of("folder/changed"), Some("modified"));
    assert_eq!(of("new"), Some("added"));
    assert_eq!(of("folder/deep"), None);
    let (printed, _) = scratch.expect(0, &["changes", "to", "1700000000", "1700100000"]);
    assert!(printed.contains("modified                    1 -> 2  folder/changed\n"), "{printed}");
}

#[test]
fn the_catalogue_needs_the_passphrase_once_and_the_drive_no_more() {
    let scratch = Scratch::new(&[]);
    let (_, told) = scratch.expect(3, &["search", "to", "gone"]);
    assert!(told.contains("passphrase"), "{told}");
    scratch.expect_with(0, Some(PASSPHRASE), &["search", "to", "gone"]);
    let (listed, _) = scratch.expect(0, &["list", "to"]);
    let (printed, _) = scratch.expect(0, &["catalog", "to"]);
    assert!(printed.contains(" full ") && printed.contains("indexed"), "{printed}");
    let overview = scratch.json(&["catalog", "to"]);
    assert_eq!(column(&overview["sets"], "indexed"), ["true", "true"]);
    assert!(overview["size_bytes"].as_u64().unwrap() > 0 && overview["paths"] == 8, "{overview}");

    fs::rename(scratch.path("to"), scratch.path("unplugged")).unwrap();
    let (printed, told) = scratch.expect(1, &["list", "to"]);
    assert_eq!(printed, listed);
    assert!(told.contains("known before"), "{told}");
    fs::rename(scratch.path("unplugged"), scratch.path("to")).unwrap();

    scratch.expect_with(0, Some(PASSPHRASE), &["catalog", "--rebuild", "to"]);
    scratch.expect(0, &["list", "to"]);
    scratch.expect(0, &["catalog", "--empty", "to"]);
    let [folder] = names(&scratch.path("cache/souvenir")).try_into().unwrap();
    let left = names(&scratch.path("cache/souvenir").join(folder));
    assert_eq!(left, ["lock", "sync"], "and these have nothing in them");
    scratch.expect(3, &["list", "to"]);
    scratch.expect(2, &["catalog", "--empty", "--rebuild", "to"]);
    // A limit lasts. The one that is open is not taken away from under who looks at it.
    scratch.expect(0, &["catalog", "--limit", "7", "to"]);
    assert_eq!(scratch.json(&["catalog", "to"])["limit_bytes"], 7 << 20);
}

#[test]
fn what_was_backed_up_here_needs_no_passphrase_at_all() {
    let scratch = Scratch::new(&[]);
    scratch.expect_with(0, Some(PASSPHRASE), &["backup", "--full", "source", "more"]);
    let (printed, told) = scratch.expect(0, &["search", "more", "NEW"]);
    assert!(printed.ends_with("  new\n") && told.is_empty(), "{printed}{told}");
    // The index and the copies of what it is made from lie side by side, whatever the place is called.
    let folders = names(&scratch.path("cache/souvenir"));
    assert_eq!(folders.len(), 1);
    let absolute = scratch.path("source/../more");
    scratch.expect(0, &["list", absolute.to_str().unwrap()]);
    assert_eq!(names(&scratch.path("cache/souvenir")), folders);
}

#[test]
fn a_set_that_cannot_be_indexed_is_a_warning() {
    let scratch = Scratch::plain();
    let harm = |word: &str| {
        let name = names(&scratch.path("to")).into_iter().find(|name| name.starts_with(word)).unwrap();
        let whole = fs::read(scratch.path("to").join(&name)).unwrap();
        fs::write(scratch.path("to").join(&name), "harmed").unwrap();
        (name, whole)
    };
    let (name, whole) = harm("duplicity-new-signatures");
    let (printed, told) = scratch.expect(1, &["list", "to"]);
    assert!(printed.contains("Gone.txt"), "what the first set says: {printed}");
    assert!(told.contains(&name) && told.contains("left out"), "{told}");
    let (_, told) = scratch.expect(1, &["catalog", "to"]);
    assert_eq!(told, "");
    // Of a chain without its first set nothing is certain.
    fs::write(scratch.path("to").join(&name), whole).unwrap();
    let (name, _) = harm("duplicity-full-signatures");
    for arguments in [&["list", "to"][..], &["list", "to", "folder"]] {
        let (_, told) = scratch.expect(3, arguments);
        assert!(told.contains(&name), "{told}");
    }
}

#[test]
fn a_damaged_catalogue_is_made_anew_unasked() {
    let scratch = Scratch::plain();
    let (listed, _) = scratch.expect(0, &["list", "to"]);
    let [folder] = names(&scratch.path("cache/souvenir")).try_into().unwrap();
    let file = scratch.path("cache/souvenir").join(folder).join("catalog.sqlite");
    let mut bytes = fs::read(&file).unwrap();
    bytes[8192..].fill(0x55);
    fs::write(&file, bytes).unwrap();
    let (again, told) = scratch.expect(0, &["list", "to"]);
    assert_eq!((again, &*told), (listed, ""));
}
