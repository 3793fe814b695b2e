//! `plans.toml`: where the plans are kept.
//!
//! The file is replaced as a whole: a temporary, synced, renamed. A file that cannot be understood is
//! moved aside under a name of its own and the person is told; one that cannot be read, or that a
//! newer version wrote, is left alone, and nothing is written until that is solved.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Plan, new_id};

const FILE_NAME: &str = "plans.toml";

/// The version of the file's layout that this program writes.
const VERSION: u32 = 1;

/// The plans of this person, and the file that they are kept in.
#[derive(Debug, Clone)]
pub struct Plans {
    folder: PathBuf,
    plans: Vec<Plan>,
    /// Set while the file holds something that must not be overwritten.
    protected: bool,
}

/// Why the file with the plans could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlansProblem {
    /// It cannot be understood, and was moved aside.
    Broken {
        /// Where it is now.
        kept_as: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// It cannot be read, or cannot be moved aside. It is left as it is.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// A newer version wrote it. It is left as it is.
    Newer {
        /// The file.
        path: PathBuf,
    },
}

#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    #[serde(default, rename = "plan")]
    plans: Vec<Plan>,
}

#[derive(Deserialize)]
struct VersionOnly {
    version: u32,
}

impl Plans {
    /// The folder for the plans under the XDG config folder.
    pub fn default_folder() -> Option<PathBuf> {
        directories::ProjectDirs::from("", "", "souvenir").map(|dirs| dirs.config_dir().to_owned())
    }

    /// Reads the plans in `folder`. A missing file means that there are none yet.
    pub fn open(folder: &Path) -> (Self, Option<PlansProblem>) {
        let mut plans = Self { folder: folder.to_owned(), plans: Vec::new(), protected: false };
        let path = plans.file();
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return (plans, None),
            Err(error) => {
                plans.protected = true;
                return (plans, Some(PlansProblem::Unreadable { path, reason: error.to_string() }));
            }
        };
        let problem = match parse(&bytes) {
            Ok(found) => {
                plans.plans = found;
                None
            }
            Err(ParseProblem::Newer) => {
                plans.protected = true;
                Some(PlansProblem::Newer { path })
            }
            Err(ParseProblem::Broken(reason)) => Some(match keep_aside(&path) {
                Ok(kept_as) => PlansProblem::Broken { kept_as, reason },
                Err(error) => {
                    plans.protected = true;
                    PlansProblem::Unreadable { path, reason: error.to_string() }
                }
            }),
        };
        (plans, problem)
    }

    /// The plans in `folder`, for programs that do not look after the file: it stays as it is, whatever is in it. On
    /// failure there is a sentence that says why.
    pub fn look(folder: &Path) -> Result<Vec<Plan>, String> {
        let path = folder.join(FILE_NAME);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(format!("{} cannot be read: {error}", path.display())),
        };
        parse(&bytes).map_err(|problem| match problem {
            ParseProblem::Newer => format!("{} was written by a newer version of Souvenir", path.display()),
            ParseProblem::Broken(reason) => format!("{} cannot be understood: {reason}", path.display()),
        })
    }

    /// The plans, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &Plan> {
        self.plans.iter()
    }

    /// Adds a plan, giving it another id should its own be taken.
    pub fn add(&mut self, mut plan: Plan) -> &Plan {
        while self.plans.iter().any(|other| other.id == plan.id) {
            plan.id = new_id();
        }
        self.plans.push(plan);
        &self.plans[self.plans.len() - 1]
    }

    /// Puts a changed plan in the place of the one with its id.
    pub fn replace(&mut self, plan: Plan) {
        if let Some(old) = self.plans.iter_mut().find(|old| old.id == plan.id) {
            *old = plan;
        }
    }

    /// Forgets a plan. Its backups are not touched.
    pub fn remove(&mut self, id: &str) {
        self.plans.retain(|plan| plan.id != id);
    }

    /// Writes the file.
    pub fn save(&self) -> io::Result<()> {
        if self.protected {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                format!("{} could not be read and is not overwritten", self.file().display()),
            ));
        }
        let document = Document { version: VERSION, plans: self.plans.clone() };
        let text = toml::to_string_pretty(&document).map_err(io::Error::other)?;
        write_whole(&self.file(), text.as_bytes())
    }

    fn file(&self) -> PathBuf {
        self.folder.join(FILE_NAME)
    }
}

enum ParseProblem {
    Newer,
    Broken(String),
}

fn parse(bytes: &[u8]) -> Result<Vec<Plan>, ParseProblem> {
    let broken = |error: &dyn std::fmt::Display| ParseProblem::Broken(error.to_string());
    let text = std::str::from_utf8(bytes).map_err(|error| broken(&error))?;
    // The version first: the rest of a newer file may well look broken to this program.
    let VersionOnly { version } = toml::from_str(text).map_err(|error| broken(&error))?;
    if version > VERSION {
        return Err(ParseProblem::Newer);
    }
    let document: Document = toml::from_str(text).map_err(|error| broken(&error))?;
    Ok(document.plans)
}

/// Renames a broken file to a free name beside it.
fn keep_aside(path: &Path) -> io::Result<PathBuf> {
    let stamp = jiff::Zoned::now().strftime("%Y-%m-%d-%H%M%S").to_string();
    let mut number = 0;
    loop {
        let suffix = if number == 0 { String::new() } else { format!("-{number}") };
        let kept_as = path.with_file_name(format!("plans-broken-{stamp}{suffix}.toml"));
        // A link fails where a rename would overwrite.
        match std::fs::hard_link(path, &kept_as) {
            Ok(()) => {
                std::fs::remove_file(path)?;
                return Ok(kept_as);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            // File systems without hard links.
            Err(_) if !kept_as.exists() => {
                std::fs::rename(path, &kept_as)?;
                return Ok(kept_as);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Puts `bytes` at `path` so that after a crash there is either the old file or the new one.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Somebody's own arrangement, such as a link into a folder that is synchronised, stays.
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(&path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::crypto::{Encryption, Protection, Recipient};
    use crate::plan::{Destination, LeftOut};
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    fn sample() -> Plan {
        let odd = PathBuf::from(OsStr::from_bytes(b"/home/anna/caf\xe9\n\"100%\""));
        let mut plan = Plan::new(
            "Documents",
            vec!["/home/anna".into(), odd.clone()],
            Destination::Folder { path: odd.join("backups") },
            Protection {
                encryption: Encryption::Keys(vec![Recipient { key: "ABCD".into(), hidden: true }]),
                sign_key: Some("ABCD".into()),
            },
        );
        plan.left_out = LeftOut {
            folders: vec![odd.join("cache")],
            presets: vec!["caches".to_owned()],
            patterns: vec!["*.iso".to_owned()],
        };
        plan
    }

    #[test]
    fn plans_come_back_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let (mut plans, problem) = Plans::open(&folder.path().join("new"));
        assert_eq!(problem, None);
        let mut others = Vec::new();
        for protection in [Protection::none(), Protection::passphrase()] {
            let mut plan = sample();
            plan.protection = protection;
            others.push(plans.add(plan).clone());
        }
        let first = plans.add(sample()).clone();
        plans.save().unwrap();
        let (again, problem) = Plans::open(&folder.path().join("new"));
        assert_eq!(problem, None);
        assert_eq!(again.iter().collect::<Vec<_>>(), [&others[0], &others[1], &first]);
        assert_eq!(Plans::look(&folder.path().join("new")).unwrap(), again.plans);
        assert_eq!(Plans::look(&folder.path().join("none")).unwrap(), []);
    }

    #[test]
    fn limits_are_kept_and_may_be_missing() {
        let folder = tempfile::tempdir().unwrap();
        let (mut plans, _) = Plans::open(folder.path());
        let mut plan = sample();
        plan.rates.upload_limit = std::num::NonZeroU64::new(512);
        plans.add(plan.clone());
        plans.save().unwrap();
        let path = folder.path().join(FILE_NAME);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("\nupload_limit = 512\n") && !text.contains("download_limit"), "{text}");
        let (again, problem) = Plans::open(folder.path());
        assert_eq!((again.iter().next(), problem), (Some(&plan), None));
        std::fs::write(&path, text.replace("upload_limit = 512\n", "")).unwrap();
        let (again, problem) = Plans::open(folder.path());
        assert_eq!((again.iter().next().map(|plan| plan.rates), problem), (Some(Default::default()), None));
    }

    #[test]
    fn ids_are_not_used_twice() {
        let folder = tempfile::tempdir().unwrap();
        let (mut plans, _) = Plans::open(folder.path());
        let plan = sample();
        plans.add(plan.clone());
        plans.add(plan);
        let ids: Vec<_> = plans.iter().map(|plan| plan.id.clone()).collect();
        assert_ne!(ids[0], ids[1]);
        plans.remove(&ids[0]);
        assert_eq!(plans.iter().count(), 1);
    }

    #[test]
    fn a_broken_file_is_kept_aside() {
        for broken in
            [&b"version = 1\n[[plan]]\nname ="[..], b"", b"\xff\xfe", b"version = 1\n[[plan]]\nid = 3\n"]
        {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(FILE_NAME);
            std::fs::write(&path, broken).unwrap();
            Plans::look(folder.path()).unwrap_err();
            assert_eq!(std::fs::read(&path).unwrap(), broken, "looking changes nothing");
            let (mut plans, problem) = Plans::open(folder.path());
            let Some(PlansProblem::Broken { kept_as, .. }) = problem else { panic!("{problem:?}") };
            assert_eq!(std::fs::read(&kept_as).unwrap(), broken);
            plans.add(sample());
            plans.save().unwrap();
            std::fs::write(&path, broken).unwrap();
            let (_, problem) = Plans::open(folder.path());
            let Some(PlansProblem::Broken { kept_as: second, .. }) = problem else { panic!("{problem:?}") };
            assert_ne!(kept_as, second);
        }
    }

    #[test]
    fn a_newer_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        std::fs::write(&path, "version = 2\nplan = \"elsewhere\"\n").unwrap();
        let (plans, problem) = Plans::open(folder.path());
        assert_eq!(problem, Some(PlansProblem::Newer { path: path.clone() }));
        assert!(plans.save().is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"version = 2\nplan = \"elsewhere\"\n");
    }
}
