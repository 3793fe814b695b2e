//! How fast the command line goes to and from a destination, beside what it was told.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::engine::names;
use common::sshd::Sshd;
use common::tree::{assert_same, look, noise};

struct Place {
    server: Sshd,
}

impl Place {
    /// A tree of 3,000,000 bytes that cannot be compressed, in several files.
    fn new() -> Self {
        let server = Sshd::start();
        let source = server.scratch.path().join("source");
        fs::create_dir(&source).unwrap();
        for number in 0..6 {
            fs::write(source.join(number.to_string()), noise(number, 500_000)).unwrap();
        }
        Self { server }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.server.scratch.path().join(name)
    }

    fn url(&self) -> String {
        format!("sftp://{}@127.0.0.1:{}/backup", self.server.address("").user.unwrap(), self.server.port)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_souvenir-cli"));
        command
            .args(arguments)
            .env("HOME", self.server.home())
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env_remove("SSH_AUTH_SOCK")
            .current_dir(self.server.scratch.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    /// Seconds that it takes; it must succeed.
    fn seconds(&self, arguments: &[&str]) -> f64 {
        let begun = Instant::now();
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        begun.elapsed().as_secs_f64()
    }
}

#[test]
fn transfers_take_as_long_as_the_limits_say() {
    let place = Place::new();
    let url = place.url();
    for to in ["folder", &url] {
        let backup =
            ["backup", "--no-encryption", "--volume-size", "1", "--limit-upload", "1M", "source", to];
        let elapsed = place.seconds(&backup);
        assert!((2.5..15.0).contains(&elapsed), "{elapsed} s for 3 MB at 1 MiB/s to {to}");
    }
    let target = place.path("target");
    let elapsed = place.seconds(&["restore", "--limit-download", "1M", &url, target.to_str().unwrap()]);
    assert!((2.5..15.0).contains(&elapsed), "{elapsed} s for 3 MB at 1 MiB/s back");
    assert_same(&look(&place.path("source")), &look(&target), "the restore");
    // Between two places both count.
    for limit in ["--limit-upload", "--limit-download"] {
        let elapsed = place.seconds(&["copy", limit, "1M", &url, &format!("copy{limit}")]);
        assert!((2.5..15.0).contains(&elapsed), "{elapsed} s for a copy with {limit}");
    }
}

#[test]
fn ctrl_c_ends_a_transfer_that_is_held_back() {
    let place = Place::new();
    for arguments in [
        &["backup", "--no-encryption", "--limit-upload", "1k", "source", "slow"][..],
        &["restore", "--limit-download", "1k", "stored", "target"],
    ] {
        place.seconds(&["backup", "--no-encryption", "--volume-size", "1", "source", "stored"]);
        let mut child = place.command(arguments).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(700));
        assert!(child.try_wait().unwrap().is_none(), "{arguments:?}");
        let begun = Instant::now();
        let status = Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status().unwrap();
        assert!(status.success());
        assert_eq!(child.wait().unwrap().code(), Some(130));
        assert!(begun.elapsed() < Duration::from_secs(3), "{arguments:?}: {:?}", begun.elapsed());
    }
    assert!(names(&place.path("slow")).iter().all(|name| name.starts_with(".unfinished-")));
}

#[test]
fn a_limit_that_is_none_is_refused() {
    let place = Place::new();
    for limit in ["0", "fast", "1MB"] {
        let output =
            place.command(&["backup", "--limit-upload", limit, "source", "folder"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{limit}");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(told.contains("500k"), "{told}");
    }
}
