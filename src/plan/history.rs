//! What became of a plan's runs: one line of JSON each, in the XDG data folder.
//!
//! The history is a convenience and never a truth about the backups: a line that cannot be read is
//! passed over, a missing file means that nothing is known.

mod warning;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use super::Destination;
use super::alarm::Alarm;
use super::path_text;
use super::proof::{Drilled, Verified};
use super::store::write_whole;

pub use warning::{RunWarning, WarningKind, full_path};

/// How many runs of a plan are remembered.
const KEPT_RUNS: usize = 200;

/// How many warnings of a run are remembered; the rest is only counted.
pub const KEPT_WARNINGS: usize = 1000;

/// One run of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// What was run.
    #[serde(default)]
    pub task: Task,
    /// When it began, in seconds since 1970.
    pub started_secs: i64,
    /// When it ended, in seconds since 1970.
    pub ended_secs: i64,
    /// How it ended.
    pub outcome: Outcome,
    /// How many warnings there were.
    #[serde(default)]
    pub warning_count: u64,
    /// The first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<RunWarning>,
    /// What was deleted after a backup, if anything was to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<Removed>,
    /// That much more had changed than ever before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<Alarm>,
    /// Whether it began by itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub automatic: bool,
    /// Why it did not come to its end, where that says when it is to be tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
}

/// Why a run was stopped or failed, where that says when it is to be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The machine went on battery.
    Battery,
    /// The machine began to save power.
    PowerSaver,
    /// A game began.
    Game,
    /// The network became one that costs.
    Metered,
    /// The session or the machine ended.
    Shutdown,
    /// The drive went away.
    DriveAway,
    /// A person is needed: nobody answered a question, or what was answered is wrong.
    Person,
    /// Anything that a newer version tells apart.
    #[serde(other)]
    Other,
}

/// What a run was for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// To make a backup.
    #[default]
    Backup,
    /// To read stored files and compare them with what was written.
    Verify,
    /// To restore a sample and compare it.
    Drill,
    /// To copy the backups to another destination, and go on there.
    Move,
    /// To bring back files from a snapshot.
    Restore,
}

/// Files that were brought back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// The time of the snapshot, in seconds since 1970.
    pub set_secs: i64,
    /// The folder they are in.
    #[serde(with = "path_text")]
    pub folder: PathBuf,
    /// Entries written.
    pub entry_count: u64,
    /// Entries that were left alone because something was there.
    pub skipped_count: u64,
    /// Bytes of file contents written.
    pub written_bytes: u64,
}

/// Backups that were copied to another destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// Where they were.
    pub from: Destination,
    /// Where they are.
    pub to: Destination,
    /// How many snapshots there are.
    pub snapshot_count: u64,
    /// Bytes that were copied; less than there are if some were there already.
    pub copied_bytes: u64,
}

/// Snapshots that were deleted by the plan's rules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// Their times, in seconds since 1970.
    pub set_secs: Vec<i64>,
    /// Bytes that were freed.
    pub deleted_bytes: u64,
}

/// How a run ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Outcome {
    /// A set was made.
    Finished {
        /// Whether the set stands on its own; none where that was not noted yet.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        full: Option<bool>,
        /// Entries in the set.
        entry_count: u64,
        /// Paths that were gone since the set before.
        #[serde(default)]
        deleted_count: u64,
        /// Bytes of file contents read.
        source_bytes: u64,
        /// Bytes stored.
        stored_bytes: u64,
    },
    /// Stored files were read.
    Verified(Verified),
    /// A sample was restored.
    Drilled(Drilled),
    /// The backups are at another destination.
    Moved(Box<Moved>),
    /// Files were brought back.
    Restored(Restored),
    /// It was stopped on request.
    #[default]
    Stopped,
    /// It failed, and this is what the person was told.
    Failed(Problem),
}

/// A failure in words for people: what happened, to what, and what to do now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What happened.
    pub what: String,
    /// The folder, file or key that it happened to; may be empty.
    #[serde(default)]
    pub subject: String,
    /// What to do now; may be empty.
    #[serde(default)]
    pub advice: String,
    /// The technical text, for whoever helps.
    #[serde(default)]
    pub details: String,
}

impl Run {
    /// Whether the backups that were made before were not at the destination any more.
    pub fn lost_earlier(&self) -> bool {
        self.warnings.iter().any(|warning| warning.kind == WarningKind::EarlierGone)
    }

    /// The time of the newest snapshot in which it found damage, in seconds since 1970.
    pub fn newest_damaged_secs(&self) -> Option<i64> {
        match &self.outcome {
            Outcome::Verified(found) => found.newest_damaged_secs(),
            Outcome::Drilled(found) => found.found_damage_in_backup().then_some(found.set_secs),
            Outcome::Finished { .. }
            | Outcome::Moved(_)
            | Outcome::Restored(_)
            | Outcome::Stopped
            | Outcome::Failed(_) => None,
        }
    }

    /// Whether it looked at backups and found damage.
    pub fn found_damage(&self) -> bool {
        match &self.outcome {
            Outcome::Verified(found) => found.damaged_count > 0,
            Outcome::Drilled(found) => found.found_damage_in_backup(),
            Outcome::Finished { .. }
            | Outcome::Moved(_)
            | Outcome::Restored(_)
            | Outcome::Stopped
            | Outcome::Failed(_) => false,
        }
    }

    /// Whether it looked at backups and not all was as it should be, be it in the backups or in the originals.
    pub fn found_anything_wrong(&self) -> bool {
        let has_failures = matches!(&self.outcome, Outcome::Drilled(found) if found.failure_count > 0);
        has_failures || self.found_damage()
    }
}

/// The histories of all plans.
#[derive(Debug, Clone)]
pub struct History {
    folder: PathBuf,
}

impl History {
    /// The folder for the histories under the XDG data folder.
    pub fn default_folder() -> Option<PathBuf> {
        directories::ProjectDirs::from("", "", "souvenir").map(|dirs| dirs.data_dir().join("history"))
    }

    /// The histories kept in `folder`, which need not exist yet.
    pub fn open(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// The runs of a plan, oldest first.
    pub fn runs(&self, plan_id: &str) -> io::Result<Vec<Run>> {
        let text = match std::fs::read(self.file(plan_id)) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    /// When the runs of a plan were last written; none if there are none.
    pub fn changed_at(&self, plan_id: &str) -> Option<SystemTime> {
        std::fs::metadata(self.file(plan_id)).and_then(|facts| facts.modified()).ok()
    }

    /// Remembers a run, and forgets the oldest where there are too many.
    pub fn append(&self, plan_id: &str, run: &Run) -> io::Result<()> {
        // Nobody else appends meanwhile.
        let _lock = self.lock()?;
        let mut runs = self.runs(plan_id)?;
        // However many restores there are, they do not crowd out what says how the backups are.
        let is_alike = |other: &Run| (other.task == Task::Restore) == (run.task == Task::Restore);
        let surplus = (runs.iter().filter(|other| is_alike(other)).count() + 1).saturating_sub(KEPT_RUNS);
        let of = |wanted: fn(&Run) -> bool| runs.iter().rposition(wanted);
        let kept = [
            // The newest proofs say when the next ones are due.
            newest(&runs, Task::Verify),
            newest(&runs, Task::Drill),
            // How many entries there are is known from there, and with it what is alarming.
            of(|run| matches!(run.outcome, Outcome::Finished { full: Some(true), .. })),
            // Somebody has to be asked about it.
            of(|run| run.alarm.is_some()),
        ];
        let (mut index, mut alike_count) = (0, 0);
        runs.retain(|other| {
            index += 1;
            alike_count += usize::from(is_alike(other));
            !is_alike(other) || alike_count > surplus || kept.contains(&Some(index - 1))
        });
        let mut text = String::new();
        for run in runs.iter().chain([run]) {
            text.push_str(&serde_json::to_string(run)?);
            text.push('\n');
        }
        write_whole(&self.file(plan_id), text.as_bytes())
    }

    /// Forgets a plan's runs.
    pub fn remove(&self, plan_id: &str) -> io::Result<()> {
        match std::fs::remove_file(self.file(plan_id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn lock(&self) -> io::Result<Flock<File>> {
        std::fs::create_dir_all(&self.folder)?;
        let file = File::create(self.folder.join(".lock"))?;
        Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno.into())
    }

    fn file(&self, plan_id: &str) -> PathBuf {
        self.folder.join(format!("{plan_id}.jsonl"))
    }
}

/// Where the newest run is that did what it should.
fn newest(runs: &[Run], task: Task) -> Option<usize> {
    let is_done = |run: &Run| !matches!(run.outcome, Outcome::Stopped | Outcome::Failed(_));
    runs.iter().rposition(|run| run.task == task && is_done(run))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::crypto::Protection;
    use crate::engine::job::Warning;
    use crate::engine::path::EntryPath;
    use crate::plan::Plan;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    fn run(started_secs: i64) -> Run {
        Run {
            started_secs,
            ended_secs: started_secs + 5,
            outcome: Outcome::Finished {
                full: Some(true),
                entry_count: 3,
                deleted_count: 1,
                source_bytes: 20,
                stored_bytes: 10,
            },
            warning_count: 1,
            warnings: vec![RunWarning::from(&Warning::Unreadable {
                path: EntryPath::from_bytes(b"home/\xff").unwrap(),
                reason: "no".into(),
            })],
            removed: Some(Removed { set_secs: vec![started_secs - 90], deleted_bytes: 7 }),
            ..Run::default()
        }
    }

    #[test]
    fn runs_come_back_in_order_and_the_oldest_go() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::open(&folder.path().join("history"));
        assert_eq!(history.runs("a").unwrap(), []);
        for number in 0..=KEPT_RUNS as i64 {
            history.append("a", &run(number)).unwrap();
        }
        let runs = history.runs("a").unwrap();
        assert_eq!(runs.len(), KEPT_RUNS);
        assert_eq!(runs[0], run(1));
        assert_eq!(history.runs("b").unwrap(), []);
        history.remove("a").unwrap();
        history.remove("a").unwrap();
        assert_eq!(history.runs("a").unwrap(), []);
    }

    #[test]
    fn a_restore_is_remembered_and_is_no_care_for_the_backups() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::open(folder.path());
        let restored = Restored {
            set_secs: 1,
            folder: PathBuf::from(OsStr::from_bytes(b"/home/me/\xff")),
            entry_count: 2,
            skipped_count: 0,
            written_bytes: 3,
        };
        let restore = Run { task: Task::Restore, outcome: Outcome::Restored(restored), ..run(8) };
        history.append("a", &run(7)).unwrap();
        history.append("a", &restore).unwrap();
        let runs = history.runs("a").unwrap();
        assert_eq!(runs, [run(7), restore.clone()]);
        let destination = Destination::Folder { path: "/backups".into() };
        let plan = Plan::new("a", Vec::new(), destination, Protection::none());
        assert_eq!(plan.runs_here(&runs).collect::<Vec<_>>(), [&run(7)]);
        // However many there are, only the oldest of their own kind go.
        for number in 0..=KEPT_RUNS as i64 {
            history.append("a", &Run { started_secs: 100 + number, ..restore.clone() }).unwrap();
        }
        let runs = history.runs("a").unwrap();
        assert_eq!(runs.len(), KEPT_RUNS + 1);
        assert_eq!((&runs[0], runs[1].started_secs), (&run(7), 101));
    }

    #[test]
    fn the_newest_proofs_are_not_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::open(folder.path());
        let proof = |secs, task, outcome| Run { task, outcome, ..run(secs) };
        let verified = proof(2, Task::Verify, Outcome::Verified(Verified::default()));
        let drilled = proof(3, Task::Drill, Outcome::Drilled(Drilled::default()));
        history.append("a", &proof(1, Task::Verify, Outcome::Verified(Verified::default()))).unwrap();
        history.append("a", &verified).unwrap();
        history.append("a", &drilled).unwrap();
        history.append("a", &proof(4, Task::Drill, Outcome::Stopped)).unwrap();
        for number in 10..10 + 2 * KEPT_RUNS as i64 {
            history.append("a", &run(number)).unwrap();
        }
        let runs = history.runs("a").unwrap();
        assert_eq!(runs.len(), KEPT_RUNS + 2);
        assert_eq!(runs[..2], [verified, drilled]);
    }

    #[test]
    fn what_an_alarm_is_judged_by_is_not_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::open(folder.path());
        let made = |full| Outcome::Finished {
            full: Some(full),
            entry_count: 1000,
            deleted_count: 0,
            source_bytes: 0,
            stored_bytes: 0,
        };
        let full = Run { outcome: made(true), ..run(1) };
        let alarm = Some(Alarm { changed_count: 900, usual_count: 1, total_count: 1000 });
        let alarming = Run { outcome: made(false), alarm, ..run(2) };
        history.append("a", &full).unwrap();
        history.append("a", &alarming).unwrap();
        for number in 10..10 + 2 * KEPT_RUNS as i64 {
            history.append("a", &Run { outcome: made(false), ..run(number) }).unwrap();
        }
        let runs = history.runs("a").unwrap();
        assert_eq!(runs.len(), KEPT_RUNS + 2);
        assert_eq!(runs[..2], [full, alarming]);
    }

    #[test]
    fn what_cannot_be_read_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::open(folder.path());
        let mut failed = run(7);
        failed.outcome = Outcome::Failed(Problem { what: "The disk is full".into(), ..Problem::default() });
        history.append("a", &failed).unwrap();
        let path = folder.path().join("a.jsonl");
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("{\"started_secs\": 1\n\n");
        text.push_str(&text.clone().lines().next().unwrap().replace("unreadable", "of-tomorrow"));
        std::fs::write(&path, text).unwrap();
        let runs = history.runs("a").unwrap();
        assert_eq!(runs.len(), 2);
        assert_eq!(runs[0], failed);
        assert_eq!(runs[1].warnings[0].kind, WarningKind::Other);
    }
}
