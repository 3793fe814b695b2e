//! The plans of the window on the command line: what is due is run, once, and noted where the window finds it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::gpg::Home;
use common::program::expect;
use common::tree::{assert_same, look, noise};
use jiff::Timestamp;
use nix::fcntl::{Flock, FlockArg};
use serde_json::Value;

use souvenir::engine::crypto::Protection;
use souvenir::plan::history::{Cause, History, Outcome, Run, Task};
use souvenir::plan::schedule::{Every, Schedule};
use souvenir::plan::{Destination, LeftOut, Plan, Plans};

const DAY_SECS: i64 = 86_400;

/// A home with a folder `documents`, and whatever plans a test wants.
struct Desk {
    folder: tempfile::TempDir,
    gnupg: Home,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap(), gnupg: Home::new() };
        fs::create_dir(desk.path("documents")).unwrap();
        fs::write(desk.path("documents/letter"), "Dear reader").unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A plan that backs up the documents to a folder of its own name.
    fn plan(&self, name: &str, every: Every) -> Plan {
        let destination = Destination::Folder { path: self.path(&format!("backups-{name}")) };
        let schedule = Schedule { every, since: Some(0), prove: false, ..Schedule::default() };
        let plan = Plan::new(name, vec![self.path("documents")], destination, Protection::none());
        Plan { id: name.to_lowercase(), schedule, ..plan }
    }

    fn keep(&self, plans: &[&Plan]) {
        let (mut kept, problem) = Plans::open(&self.path("config/souvenir"));
        assert_eq!(problem, None);
        for plan in plans {
            kept.remove(&plan.id);
            kept.add((*plan).clone());
        }
        kept.save().unwrap();
    }

    fn history(&self) -> History {
        History::open(&self.path("data/souvenir/history"))
    }

    fn runs(&self, plan: &Plan) -> Vec<Run> {
        self.history().runs(&plan.id).unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_souvenir-cli"));
        command
            .args(arguments)
            .env("GNUPGHOME", self.gnupg.path())
            .env("HOME", self.folder.path())
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("XDG_DATA_HOME", self.path("data"))
            .env("XDG_STATE_HOME", self.path("state"))
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("TZ", "UTC")
            .env_remove("PASSPHRASE")
            .env_remove("SIGN_PASSPHRASE")
            .stdin(Stdio::null());
        // Without a terminal, as a timer has none.
        use std::os::unix::process::CommandExt;
        command.process_group(0);
        command
    }

    fn expect(&self, code: i32, arguments: &[&str]) -> (String, String) {
        expect(code, self.command(arguments))
    }

    fn next(&self) -> Vec<Value> {
        let (printed, _) = self.expect(0, &["--json", "plan", "next"]);
        serde_json::from_str(&printed).unwrap()
    }
}

fn is_finished(run: &Run) -> bool {
    matches!(run.outcome, Outcome::Finished { .. })
}

fn restored(desk: &Desk, plan: &Plan) -> PathBuf {
    let Destination::Folder { path } = &plan.destination else { panic!("{plan:?}") };
    let target = desk.path(&format!("restored-{}", plan.name));
    let place = path.display().to_string();
    desk.expect(0, &["restore", "--force", &place, target.to_str().unwrap()]);
    target.join(Path::new(&plan.folders[0]).strip_prefix("/").unwrap())
}

#[test]
fn what_is_due_is_run_once_and_noted() {
    let desk = Desk::new();
    let (due, quiet) = (desk.plan("Due", Every::Month), desk.plan("Quiet", Every::Never));
    desk.keep(&[&due, &quiet]);
    let (printed, _) = desk.expect(0, &["plan", "list"]);
    assert!(printed.contains("Due\n") && printed.contains("every month on day 1 at 20:00"), "{printed}");
    assert!(printed.contains("only by hand") && printed.contains("not backed up yet"), "{printed}");
    assert_eq!(desk.next()[0]["state"], "due");
    assert_eq!(desk.next()[1]["state"], "by hand");

    let (printed, _) = desk.expect(0, &["plan", "run", "--due"]);
    assert!(printed.starts_with("Due: a full backup") && !printed.contains("Quiet"), "{printed}");
    assert_same(&look(&desk.path("documents")), &look(&restored(&desk, &due)), "restored");
    let runs = desk.runs(&due);
    assert!(
        matches!(&runs[..], [run] if is_finished(run) && run.automatic && run.task == Task::Backup),
        "{runs:?}"
    );
    assert_eq!(desk.next()[0]["state"], "planned");
    let begin = desk.next()[0]["begin"].as_i64().unwrap();
    let begin = Timestamp::from_second(begin).unwrap().to_string();
    assert!(begin.ends_with("-01T20:00:00Z"), "{begin}");

    let (printed, told) = desk.expect(0, &["plan", "run", "--due"]);
    assert_eq!((printed.as_str(), told.as_str()), ("", ""));
    assert_eq!(desk.runs(&due), runs);
    assert_eq!(desk.runs(&quiet), []);
}

#[test]
fn a_plan_is_run_by_its_name_and_proved() {
    let desk = Desk::new();
    let plan = desk.plan("Letters", Every::Never);
    desk.keep(&[&plan]);
    desk.expect(0, &["plan", "run", "Letters"]);
    fs::write(desk.path("documents/second"), "And another one").unwrap();
    let (printed, _) = desk.expect(0, &["--json", "plan", "run", "Letters"]);
    let value: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(value["run"]["outcome"]["full"], false, "{printed}");
    desk.expect(0, &["plan", "run", "--task", "verify", "Letters"]);
    desk.expect(0, &["plan", "run", "--task", "drill", "Letters"]);
    let runs = desk.runs(&plan);
    assert_eq!(
        runs.iter().map(|run| run.task).collect::<Vec<_>>(),
        [Task::Backup, Task::Backup, Task::Verify, Task::Drill]
    );
    assert!(
        matches!(&runs[2].outcome, Outcome::Verified(found) if found.damaged_count == 0 && found.file_count > 0)
    );
    assert!(
        matches!(&runs[3].outcome, Outcome::Drilled(found) if found.proved_count == 2 && found.equal_count == 2)
    );
    assert!(runs.iter().all(|run| !run.automatic));

    // Damage is found, and has a code of its own.
    let volume = fs::read_dir(desk.path("backups-Letters")).unwrap().map(|entry| entry.unwrap().path());
    let volume = volume.into_iter().find(|path| path.to_string_lossy().contains(".difftar")).unwrap();
    fs::write(&volume, noise(1, 2000)).unwrap();
    desk.expect(1, &["plan", "run", "--task", "verify", "Letters"]);
    // Nothing is built on it. The full set that is made instead is gone on with.
    for is_full in [true, false] {
        fs::write(desk.path("documents/third"), format!("And one more: {is_full}")).unwrap();
        let (printed, _) = desk.expect(0, &["--json", "plan", "run", "Letters"]);
        let value: Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(value["run"]["outcome"]["full"], is_full, "{printed}");
    }
    assert_same(&look(&desk.path("documents")), &look(&restored(&desk, &plan)), "restored");

    let (_, told) = desk.expect(2, &["plan", "run", "Leters"]);
    assert!(told.contains("there is no plan \"Leters\""), "{told}");
    desk.expect(2, &["plan", "run"]);
    assert_eq!(desk.runs(&plan).len(), 7);
}

#[test]
fn checks_come_at_their_own_pace() {
    let desk = Desk::new();
    let mut plan = desk.plan("Old", Every::Hour);
    plan.schedule.prove = true;
    let now = Timestamp::now().as_second();
    plan.schedule.since = Some(now - 70 * DAY_SECS);
    desk.keep(&[&plan]);
    let (printed, _) = desk.expect(0, &["plan", "run", "--due"]);
    let lines: Vec<_> = printed.lines().collect();
    assert!(
        lines.len() == 3 && lines[1].contains(" checked, 0 damaged") && lines[2].contains(" restored"),
        "{printed}"
    );
    let (printed, _) = desk.expect(0, &["plan", "run", "--due"]);
    assert!(printed.is_empty() || printed.contains("backup") || printed.contains("changes"), "{printed}");
    let proofs = desk.runs(&plan).iter().filter(|run| run.task != Task::Backup).count();
    assert_eq!(proofs, 2);
}

#[test]
fn one_program_at_a_time() {
    let desk = Desk::new();
    let plan = desk.plan("Shared", Every::Day);
    desk.keep(&[&plan]);
    let locks = desk.path("state/souvenir/locks");
    fs::create_dir_all(&locks).unwrap();
    let file = fs::File::options().write(true).create_new(true).open(locks.join(&plan.id)).unwrap();
    fs::write(locks.join(&plan.id), "4711").unwrap();
    let held = Flock::lock(file, FlockArg::LockExclusiveNonblock).unwrap();
    assert_eq!(desk.next()[0]["state"], "running");
    let (_, told) = desk.expect(3, &["plan", "run", "Shared"]);
    assert!(told.contains("process 4711"), "{told}");
    let (printed, told) = desk.expect(0, &["plan", "run", "--due"]);
    assert_eq!((printed.as_str(), told.as_str()), ("", ""), "whoever runs it cares for it");
    assert_eq!(desk.runs(&plan), [], "it was not this program's run");
    drop(held);
    desk.expect(0, &["plan", "run", "--due"]);
    assert!(is_finished(&desk.runs(&plan)[0]));
}

#[test]
fn without_its_passphrase_it_waits_for_a_person() {
    let desk = Desk::new();
    let mut plan = desk.plan("Sealed", Every::Hour);
    plan.protection = Protection::passphrase();
    desk.keep(&[&plan]);
    let without_terminal = |arguments: &[&str], passphrase: Option<&str>| {
        let mut command = Command::new("setsid");
        let inner = desk.command(arguments);
        command.arg("--wait").arg(inner.get_program()).args(inner.get_args());
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.stdin(Stdio::null());
        if let Some(passphrase) = passphrase {
            command.env("PASSPHRASE", passphrase);
        }
        command
    };
    let (_, told) = expect(3, without_terminal(&["plan", "run", "--due"], None));
    assert!(told.contains("Sealed: ") && told.contains("passphrase"), "{told}");
    assert_eq!(desk.runs(&plan)[0].cause, Some(Cause::Person));
    let (printed, _) = expect(0, without_terminal(&["plan", "run", "--due"], None));
    assert_eq!(printed, "", "nothing is tried again");
    let (printed, _) = desk.expect(0, &["plan", "next"]);
    assert!(printed.contains("waits for you"), "{printed}");
    expect(0, without_terminal(&["plan", "run", "Sealed"], Some("four slow snails")));
    assert_eq!(desk.next()[0]["state"], "planned");
}

#[test]
fn what_failed_is_tried_again_later() {
    let desk = Desk::new();
    let mut plan = desk.plan("Blocked", Every::Day);
    fs::write(desk.path("file"), "in the way").unwrap();
    plan.destination = Destination::Folder { path: desk.path("file/backups") };
    desk.keep(&[&plan]);
    desk.expect(3, &["plan", "run", "--due"]);
    let runs = desk.runs(&plan);
    assert!(matches!(&runs[0].outcome, Outcome::Failed(problem) if !problem.what.is_empty()), "{runs:?}");
    let next = &desk.next()[0];
    assert_eq!((&next["state"], &next["reasons"][0]), (&"waiting".into(), &"retry".into()));
    let again = next["look_again"].as_i64().unwrap() - runs[0].ended_secs;
    assert!((590..=610).contains(&again), "{again}");
    desk.expect(0, &["plan", "run", "--due"]);
    assert_eq!(desk.runs(&plan).len(), 1);

    // By hand it may be tried at once.
    fs::remove_file(desk.path("file")).unwrap();
    desk.expect(0, &["plan", "run", "Blocked"]);
    assert_eq!(desk.next()[0]["state"], "planned");
}

#[test]
fn folders_behind_links_are_backed_up_where_they_are() {
    let desk = Desk::new();
    for folder in ["real/me/skipped", "music"] {
        fs::create_dir_all(desk.path(folder)).unwrap();
    }
    for file in ["real/me/letter", "real/me/skipped/huge", "music/song"] {
        fs::write(desk.path(file), file).unwrap();
    }
    symlink("real", desk.path("home")).unwrap();
    symlink(desk.path("music"), desk.path("real/songs")).unwrap();
    let plan = Plan {
        folders: vec![desk.path("home/me"), desk.path("home/songs")],
        left_out: LeftOut { folders: vec![desk.path("home/me/skipped")], ..LeftOut::default() },
        ..desk.plan("Linked", Every::Day)
    };
    desk.keep(&[&plan]);
    desk.expect(0, &["plan", "run", "--due"]);
    let me = restored(&desk, &plan);
    let top = me.parent().unwrap().parent().unwrap();
    assert_eq!(fs::read_to_string(top.join("real/me/letter")).unwrap(), "real/me/letter");
    assert_eq!(fs::read_to_string(me.join("letter")).unwrap(), "real/me/letter", "the link is there too");
    assert_eq!(fs::read_to_string(top.join("music/song")).unwrap(), "music/song");
    assert_eq!(fs::read_link(top.join("real/songs")).unwrap(), desk.path("music"));
    assert!(!me.join("skipped").exists());
}

#[test]
fn what_was_behind_a_link_that_is_gone_stays_in_the_backup() {
    let desk = Desk::new();
    fs::create_dir_all(desk.path("real/me")).unwrap();
    fs::write(desk.path("real/me/letter"), "x").unwrap();
    symlink("real", desk.path("home")).unwrap();
    let plan = Plan {
        folders: vec![desk.path("home/me"), desk.path("documents")],
        ..desk.plan("Linked", Every::Day)
    };
    desk.keep(&[&plan]);
    desk.expect(0, &["plan", "run", "Linked"]);
    fs::remove_file(desk.path("home")).unwrap();
    fs::write(desk.path("documents/letter"), "another").unwrap();
    let (_, told) = desk.expect(1, &["plan", "run", "Linked"]);
    assert!(told.contains("home/me: is not there"), "{told}");
    let top = restored(&desk, &plan).parent().unwrap().parent().unwrap().to_owned();
    assert_eq!(fs::read(top.join("real/me/letter")).unwrap(), b"x");
    assert_eq!(fs::read(top.join("documents/letter")).unwrap(), b"another");

    // A link alone is nothing to back up.
    symlink("real", desk.path("home")).unwrap();
    fs::rename(desk.path("real/me"), desk.path("away")).unwrap();
    let alone = Plan { folders: vec![desk.path("home/me")], ..desk.plan("Alone", Every::Day) };
    desk.keep(&[&alone]);
    desk.command(&["plan", "run", "Alone"]).status().unwrap();
    let runs = desk.runs(&alone);
    assert!(matches!(&runs[..], [Run { outcome: Outcome::Failed(_), .. }]), "{runs:?}");
}

#[test]
fn nothing_is_left_out_because_the_backups_lie_around_it() {
    let desk = Desk::new();
    fs::create_dir(desk.path("pictures")).unwrap();
    fs::write(desk.path("pictures/sea"), "blue").unwrap();
    let mut plan = desk.plan("Around", Every::Day);
    plan.folders.push(desk.path("pictures"));
    std::os::unix::fs::symlink(desk.path("documents"), desk.path("link")).unwrap();
    for place in ["documents", "", "link"] {
        plan.destination = Destination::Folder { path: desk.path(place) };
        desk.keep(&[&plan]);
        let (_, said) = desk.expect(3, &["plan", "run", "Around"]);
        assert!(said.contains("is the folder to back up itself, or holds it"), "{said}");
        assert!(
            fs::read_dir(desk.path(place))
                .unwrap()
                .all(|entry| { !entry.unwrap().file_name().to_string_lossy().starts_with("duplicity") })
        );
    }
    // Within a folder they are left out of it, as always.
    plan.destination = Destination::Folder { path: desk.path("documents/backups") };
    desk.keep(&[&plan]);
    desk.expect(1, &["plan", "run", "Around"]);
}

#[test]
fn backups_that_are_gone_are_told_of() {
    let desk = Desk::new();
    let plan = desk.plan("Emptied", Every::Day);
    desk.keep(&[&plan]);
    desk.expect(0, &["plan", "run", "Emptied"]);
    for entry in fs::read_dir(plan.destination.folder().unwrap()).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let (_, said) = desk.expect(1, &["plan", "run", "Emptied"]);
    assert!(said.contains("the backups that were here before are gone"), "{said}");
    assert!(desk.runs(&plan)[1].lost_earlier());
    desk.expect(0, &["plan", "run", "Emptied"]);
}

#[test]
fn a_folder_that_is_gone_is_named() {
    let desk = Desk::new();
    let plan = desk.plan("Gone", Every::Day);
    desk.keep(&[&plan]);
    fs::rename(desk.path("documents"), desk.path("papers")).unwrap();
    let (_, said) = desk.expect(3, &["plan", "run", "Gone"]);
    assert!(said.contains(desk.path("documents").to_str().unwrap()), "{said}");
    assert!(!said.contains("nothing to back up"), "{said}");
}

#[test]
fn a_drive_that_is_away_is_waited_for() {
    let desk = Desk::new();
    let mut plan = desk.plan("Drive", Every::Day);
    plan.destination =
        Destination::Drive { uuid: "0000-NONE".into(), name: "Blue".into(), path: "Backups".into() };
    desk.keep(&[&plan]);
    let (printed, _) = desk.expect(0, &["plan", "next"]);
    assert_eq!(printed, "Drive: backup waits for the drive\n");
    desk.expect(0, &["plan", "run", "--due"]);
    assert_eq!(desk.runs(&plan), []);
}

#[test]
fn plans_that_cannot_be_read_are_left_alone() {
    let desk = Desk::new();
    fs::create_dir_all(desk.path("config/souvenir")).unwrap();
    let file = desk.path("config/souvenir/plans.toml");
    fs::write(&file, "version = 1\n[[plan]]\nname =").unwrap();
    let (_, told) = desk.expect(2, &["plan", "run", "--due"]);
    assert!(told.contains("plans.toml cannot be understood"), "{told}");
    assert_eq!(fs::read_dir(desk.path("config/souvenir")).unwrap().count(), 1);
}
