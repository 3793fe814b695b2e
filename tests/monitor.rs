//! The monitor on a real bus. In the place of the window's program it finds a script, which notes how it is called and lets
//! the command line do the work; so what is due is really backed up, and no display is needed.
#![cfg(feature = "desktop")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use souvenir::engine::crypto::Protection;
use souvenir::plan::history::{History, Outcome, Run, Task};
use souvenir::plan::schedule::{Every, Schedule};
use souvenir::plan::{Destination, Plan, Plans};

/// How long something may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// Ends with its owner.
struct Process(Child);

impl Process {
    fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).spawn().unwrap())
    }

    /// Starts it and reads its first line, which says that it is ready.
    fn ready(command: &mut Command) -> (Self, String) {
        let mut process = Self::start(command.stdout(Stdio::piped()));
        let mut line = String::new();
        BufReader::new(process.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "{command:?} did not start");
        (process, line.trim().to_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails only where it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A session with two buses, a home, and the monitor beside a script.
struct Session {
    folder: tempfile::TempDir,
    _system_bus: Process,
    _session_bus: Process,
    addresses: [(&'static str, String); 2],
}

impl Session {
    /// A session whose script does `work` for what is due.
    fn new(work: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bus = || {
            Process::ready(Command::new("dbus-daemon").args(["--session", "--nofork", "--print-address=1"]))
        };
        let ((system_bus, system), (session_bus, session)) = (bus(), bus());
        let addresses = [("DBUS_SYSTEM_BUS_ADDRESS", system), ("DBUS_SESSION_BUS_ADDRESS", session)];
        let session = Self { folder, _system_bus: system_bus, _session_bus: session_bus, addresses };
        fs::create_dir_all(session.path("bin")).unwrap();
        fs::create_dir_all(session.path("documents")).unwrap();
        fs::write(session.path("documents/letter"), "Dear reader").unwrap();
        // Its own copy: what belongs together is looked for beside the program.
        fs::copy(env!("CARGO_BIN_EXE_souvenir-monitor"), session.path("bin/souvenir-monitor")).unwrap();
        let script = format!(
            "#!/bin/sh\necho \"$@\" >>'{}'\ncase $1 in --scheduled=*) {work} ;; esac\n",
            session.path("calls").display()
        );
        fs::write(session.path("bin/souvenir"), script).unwrap();
        fs::set_permissions(session.path("bin/souvenir"), fs::Permissions::from_mode(0o755)).unwrap();
        session
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .envs(self.addresses.clone())
            .env("HOME", self.folder.path())
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("XDG_DATA_HOME", self.path("data"))
            .env("XDG_STATE_HOME", self.path("state"))
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("CLI", env!("CARGO_BIN_EXE_souvenir-cli"))
            .env("GSETTINGS_BACKEND", "memory")
            .env("GIO_USE_VFS", "local")
            .env("SOUVENIR_LOG", "souvenir_monitor=debug");
        command
    }

    fn monitor(&self) -> Process {
        Process::start(&mut self.command(self.path("bin/souvenir-monitor")))
    }

    fn service(&self, name: &str, state: &str) -> Process {
        fs::write(self.path(name), state).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/window/services.py");
        let (process, said) =
            Process::ready(self.command("/usr/bin/python3").args([script, name]).arg(self.path(name)));
        assert_eq!(said, "ready");
        process
    }

    fn set(&self, name: &str, state: &str) {
        // At once, so that no half of it is read.
        fs::write(self.path("new-state"), state).unwrap();
        fs::rename(self.path("new-state"), self.path(name)).unwrap();
    }

    /// Keeps a plan whose last moment was missed.
    fn keep(&self, every: Every) -> Plan {
        let destination = Destination::Folder { path: self.path("backups") };
        let schedule = Schedule { every, since: Some(0), prove: false, ..Schedule::default() };
        let plan = Plan::new("Documents", vec![self.path("documents")], destination, Protection::none());
        let plan = Plan { id: "documents".into(), schedule, ..plan };
        let (mut plans, _) = Plans::open(&self.path("config/souvenir"));
        plans.remove(&plan.id);
        plans.add(plan.clone());
        plans.save().unwrap();
        plan
    }

    fn calls(&self, option: &str) -> Vec<String> {
        let calls = fs::read_to_string(self.path("calls")).unwrap_or_default();
        calls.lines().filter(|line| line.starts_with(option)).map(str::to_owned).collect()
    }

    fn runs(&self) -> Vec<Run> {
        History::open(&self.path("data/souvenir/history")).runs("documents").unwrap()
    }

    fn wait_for(&self, what: &str, condition: impl FnMut() -> bool) {
        wait_for(&format!("{what}; calls: {:?}, runs: {:?}", self.calls(""), self.runs()), condition);
    }
}

fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

const BACK_UP: &str = "\"$CLI\" plan run --due";

fn is_made(runs: &[Run]) -> bool {
    matches!(runs, [run] if matches!(run.outcome, Outcome::Finished { .. }) && run.task == Task::Backup)
}

/// That nothing more happens can only be seen by giving it time: the monitor looks when something changes.
fn give_it_time(session: &Session) {
    for _ in 0..4 {
        session.keep(Every::Month);
        std::thread::sleep(Duration::from_millis(700));
    }
}

#[test]
fn two_monitors_start_what_is_due_once() {
    let session = Session::new(BACK_UP);
    session.keep(Every::Month);
    let (mut first, mut second) = (session.monitor(), session.monitor());
    session.wait_for("a backup", || is_made(&session.runs()));
    let mut ended = || [&mut first, &mut second].map(|monitor| monitor.0.try_wait().unwrap().is_some());
    wait_for("the end of one of them", || ended().contains(&true));
    give_it_time(&session);
    assert_eq!(session.calls("--scheduled"), ["--scheduled=documents --task=backup"]);
    assert!(ended().contains(&false), "one of them stays");
    assert!(is_made(&session.runs()) && session.runs()[0].automatic);
}

#[test]
fn a_plan_that_gets_a_schedule_is_watched_and_without_any_the_monitor_ends() {
    let session = Session::new(BACK_UP);
    session.keep(Every::Never);
    let mut monitor = session.monitor();
    wait_for("its end", || monitor.0.try_wait().unwrap().is_some());
    assert_eq!(session.calls(""), [] as [String; 0]);
    session.keep(Every::Month);
    let mut monitor = session.monitor();
    session.wait_for("a backup", || is_made(&session.runs()));
    session.keep(Every::Never);
    wait_for("its end", || monitor.0.try_wait().unwrap().is_some());
}

#[test]
fn a_run_outlives_the_monitor_and_is_not_begun_again() {
    // It holds the plan's lock until the file says that it may go on.
    let session = Session::new("while ! [ -e \"$HOME/go-on\" ]; do sleep 0.1; done; \"$CLI\" plan run --due");
    session.keep(Every::Month);
    let first = session.monitor();
    session.wait_for("a call", || session.calls("--scheduled").len() == 1);
    // The window takes the lock with its first step; the script stands for the time before that, too.
    let locks = session.path("state/souvenir/locks");
    fs::create_dir_all(&locks).unwrap();
    let lock = fs::File::create(locks.join("documents")).unwrap();
    let held = nix::fcntl::Flock::lock(lock, nix::fcntl::FlockArg::LockExclusiveNonblock).unwrap();
    drop(first);
    let _second = session.monitor();
    give_it_time(&session);
    assert_eq!(session.calls("--scheduled").len(), 1, "somebody runs it");
    drop(held);
    fs::write(session.path("go-on"), "").unwrap();
    session.wait_for("a backup", || is_made(&session.runs()));
    give_it_time(&session);
    assert!(is_made(&session.runs()), "{:?}", session.runs());
}

#[test]
fn on_battery_it_waits_and_says_so_once() {
    let session = Session::new(BACK_UP);
    session.keep(Every::Month);
    let _power = session.service("power", "true");
    let first = session.monitor();
    session.wait_for("a word", || !session.calls("--waits").is_empty());
    give_it_time(&session);
    drop(first);
    let _second = session.monitor();
    give_it_time(&session);
    assert_eq!(session.calls(""), ["--waits=documents --reason=battery"]);
    assert_eq!(session.runs(), []);
    session.set("power", "false");
    session.wait_for("a backup", || is_made(&session.runs()));
    assert_eq!(session.calls("--waits").len(), 1);
}

#[test]
fn a_game_holds_it_back_until_its_end() {
    let session = Session::new(BACK_UP);
    session.keep(Every::Month);
    let _games = session.service("games", "1");
    let _monitor = session.monitor();
    session.wait_for("a word", || session.calls("--waits") == ["--waits=documents --reason=game"]);
    session.set("games", "2");
    session.set("games", "0");
    session.wait_for("a backup", || is_made(&session.runs()));
}

#[test]
fn a_program_that_leaves_no_trace_is_left_alone_for_a_while() {
    let session = Session::new("exit 1");
    session.keep(Every::Month);
    let _monitor = session.monitor();
    session.wait_for("a call", || session.calls("--scheduled").len() == 1);
    give_it_time(&session);
    assert_eq!(session.calls("--scheduled").len(), 1);
}
