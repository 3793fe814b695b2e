//! A tree and a destination for runs that are killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::duplicity::{Duplicity, url};
use crate::common::engine::{Backup, names};
use crate::common::tree::{Tree, assert_same, look, make_small, noise};
use souvenir::engine::format::time::SetTime;

pub const FIRST: i64 = 1_700_000_000;
pub const SECOND: i64 = 1_700_100_000;
pub const THIRD: i64 = 1_700_200_000;

/// A tree, a destination, and what duplicity remembers of it.
pub struct Place {
    scratch: tempfile::TempDir,
    pub source: PathBuf,
    pub stored: PathBuf,
    cache: PathBuf,
}

impl Place {
    pub fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let path = |name: &str| scratch.path().join(name);
        let place = Self { source: path("source"), stored: path("stored"), cache: path("cache"), scratch };
        make_small(&place.source);
        place
    }

    /// Our backups of the tree there, without encryption.
    pub fn backup(&self) -> Backup {
        Backup::new(&self.source, &self.stored)
    }

    /// A path to restore to.
    pub fn target(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// What duplicity is told to make a set.
    pub fn arguments(&self, verb: &str, time: i64) -> Vec<String> {
        let (time, source) = (time.to_string(), self.source.to_str().unwrap().to_owned());
        let common = [verb, "--no-encryption", "--volsize", "1", "--current-time", &time];
        let mut arguments: Vec<String> = common.map(str::to_owned).to_vec();
        arguments.extend([source, url(&self.stored)]);
        arguments
    }

    /// duplicity makes a set, and remembers it.
    pub fn duplicity(&self, program: &Duplicity, verb: &str, time: i64) -> String {
        program.run_remembering(&self.cache, &self.arguments(verb, time))
    }

    /// Lets duplicity begin a set and kills it when three volumes of it and more are there.
    pub fn kill_duplicity(&self, program: &Duplicity, verb: &str, time: i64) {
        let stamp = SetTime::from_epoch(time).unwrap().to_string();
        let mut child = program
            .command(&self.cache)
            .args(self.arguments(verb, time))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        let is_volume = |name: &&String| name.contains(&stamp) && name.contains("difftar");
        while !self.stored.exists() || names(&self.stored).iter().filter(is_volume).count() < 4 {
            assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
            assert!(begun.elapsed() < Duration::from_secs(60), "it does nothing");
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let left = names(&self.stored);
        assert!(!left.iter().any(|name| name.contains(&stamp) && name.contains("manifest")), "{left:?}");
    }

    /// duplicity restores what the tree is like, or was.
    pub fn duplicity_restores(&self, program: &Duplicity, time: Option<i64>, expected: &Tree) {
        let target = tempfile::tempdir_in(self.scratch.path()).unwrap();
        let target = target.path().join("restored");
        let (time, place) = (time.map(|time| time.to_string()), url(&self.stored));
        let time = time.as_ref().map_or(vec![], |time| vec!["--time", time]);
        let rest = [&place, target.to_str().unwrap()];
        program.run(&[&["restore", "--no-encryption"], &time[..], &rest].concat());
        assert_same(expected, &look(&target), &format!("{program:?} restores {time:?}"));
    }

    /// Clears away what nobody is making any more.
    pub fn clean_up(&self) {
        souvenir_cli(&["cleanup", "--untouched-for", "0s", self.stored.to_str().unwrap()]);
    }
}

/// Our command line, which must succeed.
pub fn souvenir_cli(arguments: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_souvenir-cli")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}

/// Enough for many more volumes than those after which duplicity is killed: on a busy machine it takes a
/// while until the killer has its turn.
pub fn grow(source: &Path, seed: u64) {
    fs::write(source.join("large"), noise(seed, 40_000_000)).unwrap();
}
