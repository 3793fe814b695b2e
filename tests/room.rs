//! Destinations with too little space, and those that hold no large files: said before and after, and gone on
//! with once there is room.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use common::tree::noise;

struct Scratch {
    folder: tempfile::TempDir,
}

impl Scratch {
    /// A source of so many bytes that cannot be compressed, in files of a mebibyte.
    fn new(mebibytes: u64) -> Self {
        let scratch = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(scratch.path("source")).unwrap();
        for number in 0..mebibytes {
            fs::write(scratch.path("source").join(format!("{number:03}")), noise(number, 1 << 20)).unwrap();
        }
        scratch
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a script in a mount namespace of its own, in which it may mount what it likes.
    fn run(&self, script: &str) -> (String, String) {
        let map: &[&str] = if nix::unistd::Uid::effective().is_root() {
            &["--mount"]
        } else {
            &["--mount", "--map-root-user"]
        };
        let Output { status, stdout, stderr } = Command::new("unshare")
            .args(map)
            .args(["sh", "-c", &format!("set -e; mkdir to; {script}; exit 7")])
            .env("CLI", env!("CARGO_BIN_EXE_souvenir-cli"))
            .env("XDG_CACHE_HOME", self.path("cache"))
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        let (printed, told) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
        assert_eq!(status.code(), Some(7), "{printed}\n{told}");
        (printed, told)
    }
}

const BACK_UP: &str = "code=0; \"$CLI\" backup --full --no-encryption --volume-size 1 source to || code=$?; \
    echo \"code $code\"";

#[test]
fn a_really_full_disk_is_said_and_gone_on_with() {
    let scratch = Scratch::new(12);
    let (printed, told) = scratch.run(&format!(
        "mount -t tmpfs -o size=8m tmpfs to; {BACK_UP}; ls -A to; echo --; ls -lA to; \
         mount -o remount,size=64m to; {BACK_UP}; ls -A to; \"$CLI\" restore to back; \"$CLI\" verify to"
    ));
    let (first, second) = printed.split_once("--\n").unwrap();
    assert!(first.starts_with("code 3\n"), "{printed}");
    let left: Vec<&str> = first.lines().skip(1).collect();
    assert!(left.len() > 3, "what is finished stays: {left:?}");
    let is_finished = |name: &&str| name.starts_with(".unfinished-") && !name.contains("-new-");
    assert!(left.iter().all(is_finished), "nothing visible, nothing half made: {left:?}");
    for word in [
        "may be too little space: up to 12.0 MiB may be needed, and 8.0 MiB are free",
        "No space left",
        "may still be needed",
        "are free",
        "goes on with what is finished",
    ] {
        assert!(told.contains(word), "{word}: {told}");
    }
    assert!(second.contains("code 0\n"), "{second}\n{told}");
    let volumes = left.iter().map(|name| &name[name.find("duplicity-").unwrap()..]);
    for volume in volumes {
        assert!(second.lines().any(|name| name == volume), "{volume} was taken as it was:\n{second}");
    }
    for number in 0..12 {
        let file = format!("{number:03}");
        assert!(fs::read(scratch.path("back").join(&file)).unwrap() == noise(number, 1 << 20), "{file}");
    }
}

#[test]
fn a_disk_that_is_large_enough_is_not_warned_of() {
    let scratch = Scratch::new(6);
    let (printed, told) = scratch.run(&format!("mount -t tmpfs -o size=20m tmpfs to; {BACK_UP}; {BACK_UP}"));
    assert_eq!(printed.matches("code 0").count(), 2, "{printed}\n{told}");
    // For a third one there is no room any more, as the second one shows.
    let scratch = Scratch::new(6);
    let (printed, told) = scratch
        .run(&format!("mount -t tmpfs -o size=15m tmpfs to; {BACK_UP}; {BACK_UP}; {BACK_UP}; ls -A to"));
    assert_eq!(
        (printed.matches("code 0").count(), printed.matches("code 3").count()),
        (2, 1),
        "{printed}\n{told}"
    );
    assert_eq!(told.matches("too little space").count(), 1, "{told}");
    assert_eq!(printed.lines().filter(|name| name.ends_with(".manifest")).count(), 2, "{printed}");
}

#[test]
fn a_file_system_without_large_files_is_said() {
    let scratch = Scratch::new(6);
    // No file may be larger than two mebibytes; whoever is told so by a signal is not killed.
    let (printed, told) = scratch.run(
        "code=0; (trap '' XFSZ; ulimit -f 4096; \"$CLI\" backup --no-encryption --volume-size 5 source to) || code=$?; \
         echo \"code $code\"; ls -A to",
    );
    assert_eq!(printed, "code 3\n", "{told}");
    assert!(told.contains("File too large"), "{told}");
}

#[test]
fn what_is_compressed_well_needs_no_more_than_the_last_time() {
    let scratch = Scratch::new(1);
    fs::write(scratch.path("source/zeros"), vec![0; 30 << 20]).unwrap();
    let (printed, told) = scratch.run(&format!("mount -t tmpfs -o size=20m tmpfs to; {BACK_UP}; {BACK_UP}"));
    // The first time nobody knows.
    assert_eq!(printed.matches("code 1").count(), 1, "{printed}\n{told}");
    assert_eq!(told.matches("up to 31.0 MiB may be needed").count(), 1, "{told}");
    assert_eq!(printed.matches("code 0").count(), 1, "{printed}\n{told}");
}
