//! The real duplicity, in the versions that the test environment has.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::engine::PASSPHRASE;

/// One version of duplicity, with a keyring of its own choice.
#[derive(Debug, Clone)]
pub struct Duplicity {
    program: PathBuf,
    gnupg_home: PathBuf,
}

/// duplicity of Debian 13 and the newest release.
pub fn versions(gnupg_home: &Path) -> Vec<Duplicity> {
    let newest = std::env::var_os("SOUVENIR_TEST_DUPLICITY_NEWEST")
        .expect("the tests run in the environment that ./dev makes, which has the newest duplicity");
    [PathBuf::from("/usr/bin/duplicity"), PathBuf::from(newest)]
        .into_iter()
        .map(|program| Duplicity { program, gnupg_home: gnupg_home.to_owned() })
        .collect()
}

impl Duplicity {
    /// duplicity, which remembers what it did in `cache`.
    pub fn command(&self, cache: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env("LC_ALL", "C.UTF-8")
            .env("XDG_CACHE_HOME", cache)
            .env("GNUPGHOME", &self.gnupg_home)
            .env("PASSPHRASE", PASSPHRASE)
            .env("SIGN_PASSPHRASE", PASSPHRASE);
        command
    }

    /// Runs duplicity with a fresh cache, so that it reads what is stored and not what it remembers.
    pub fn try_run<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Output {
        let cache = tempfile::tempdir().unwrap();
        self.command(cache.path()).args(arguments).output().unwrap()
    }

    /// Runs duplicity in a folder, where relative paths begin.
    pub fn try_run_in(&self, folder: &Path, arguments: &[OsString]) -> Output {
        let cache = tempfile::tempdir().unwrap();
        self.command(cache.path()).current_dir(folder).args(arguments).output().unwrap()
    }

    /// Runs duplicity as [`try_run`](Self::try_run) does; it must succeed. Gives what was printed.
    pub fn run<A: AsRef<OsStr>>(&self, arguments: &[A]) -> String {
        succeeded(arguments, &self.try_run(arguments))
    }

    /// The same with a cache that lasts.
    pub fn run_remembering<A: AsRef<OsStr>>(&self, cache: &Path, arguments: &[A]) -> String {
        succeeded(arguments, &self.command(cache).args(arguments).output().unwrap())
    }
}

fn succeeded<A: AsRef<OsStr>>(arguments: &[A], output: &Output) -> String {
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let arguments: Vec<_> = arguments.iter().map(AsRef::as_ref).collect();
    assert!(output.status.success(), "duplicity {arguments:?}: {}\n{text}", output.status);
    text
}

/// The folder as duplicity wants it.
pub fn url(folder: &Path) -> String {
    format!("file://{}", folder.display())
}

/// The number in a line `NAME 12 …` of duplicity's statistics.
pub fn statistic(text: &str, name: &str) -> u64 {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
        .and_then(|rest| rest.split(' ').next()?.parse().ok())
        .unwrap_or_else(|| panic!("no {name} in:\n{text}"))
}
