//! The monitor on a real bus. In the place of the window's program it finds a script, which notes how it is called and lets
//! the command line do the work; so what is due is really backed up, and no display is needed.
#![cfg(feature = "desktop")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::Cell;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use souvenir::engine::crypto::Protection;
use souvenir::engine::storage::Address;
use souvenir::plan::history::{History, Outcome, Run, Task};
use souvenir::plan::schedule::{Every, LOOK_AGAIN_SECS, Schedule};
use souvenir::plan::{Destination, Plan, Plans, SftpAccount};

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

    /// A monitor, and what it starts, whose clock `set_clock` sets.
    fn monitor_with_clock(&self) -> Process {
        self.set_clock("+0");
        let faketime = fs::read_dir("/usr/lib").unwrap().flatten();
        let mut libraries = faketime.map(|folder| folder.path().join("faketime/libfaketime.so.1"));
        let mut command = self.command(self.path("bin/souvenir-monitor"));
        command
            .env("LD_PRELOAD", libraries.find(|library| library.exists()).unwrap())
            .env("FAKETIME_TIMESTAMP_FILE", self.path("clock"))
            .env("FAKETIME_NO_CACHE", "1")
            // A clock that is set moves no timers.
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        Process::start(&mut command)
    }

    /// Sets it by so much from the true time, as faketime(1) takes it.
    fn set_clock(&self, ahead: &str) {
        self.set("clock", ahead);
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
        self.keep_at(Destination::Folder { path: self.path("backups") }, every, 0)
    }

    /// Keeps a plan that waits since a moment, in seconds since 1970.
    fn keep_at(&self, destination: Destination, every: Every, since: i64) -> Plan {
        let schedule = Schedule { every, since: Some(since), prove: false, ..Schedule::default() };
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
    let _power = session.service("power", r#"{"OnBattery": true}"#);
    let first = session.monitor();
    session.wait_for("a word", || !session.calls("--waits").is_empty());
    give_it_time(&session);
    drop(first);
    let _second = session.monitor();
    give_it_time(&session);
    assert_eq!(session.calls(""), ["--waits=documents --task=backup --reason=battery"]);
    assert_eq!(session.runs(), []);
    session.set("power", r#"{"OnBattery": false}"#);
    session.wait_for("a backup", || is_made(&session.runs()));
    assert_eq!(session.calls("--waits").len(), 1);
}

#[test]
fn a_game_holds_it_back_until_its_end() {
    let session = Session::new(BACK_UP);
    session.keep(Every::Month);
    let _games = session.service("games", r#"{"ClientCount": 1}"#);
    let _monitor = session.monitor();
    session
        .wait_for("a word", || session.calls("--waits") == ["--waits=documents --task=backup --reason=game"]);
    session.set("games", r#"{"ClientCount": 2}"#);
    session.set("games", r#"{"ClientCount": 0}"#);
    session.wait_for("a backup", || is_made(&session.runs()));
}

#[test]
fn saving_power_holds_it_back_until_its_end() {
    let session = Session::new(BACK_UP);
    session.keep(Every::Month);
    let _profiles = session.service("power-profiles", r#"{"ActiveProfile": "power-saver"}"#);
    let _monitor = session.monitor();
    session.wait_for("a word", || {
        session.calls("--waits") == ["--waits=documents --task=backup --reason=power-saver"]
    });
    session.set("power-profiles", r#"{"ActiveProfile": "balanced"}"#);
    session.wait_for("a backup", || is_made(&session.runs()));
}

/// What NetworkManager says of the network (nm-dbus-types.h).
fn network(state: u32, connectivity: u32, metered: u32) -> String {
    format!("{{\"State\": {state}, \"Connectivity\": {connectivity}, \"Metered\": {metered}}}")
}

#[test]
fn a_network_that_is_no_good_holds_back_what_goes_there() {
    let session = Session::new("true");
    let (full, metered, captive, none) =
        (network(70, 4, 2), network(70, 4, 1), network(60, 2, 2), network(20, 1, 0));
    let _network = session.service("network", &metered);
    let Address::Sftp(server) = Address::parse("sftp://nobody@127.0.0.1/backups".as_ref()).unwrap() else {
        panic!("an address of an SSH server")
    };
    let keep = || {
        session.keep_at(
            Destination::Sftp(SftpAccount { address: server.clone(), key_file: None }),
            Every::Month,
            0,
        )
    };
    keep();
    let _monitor = session.monitor_with_clock();
    let minutes = Cell::new(0);
    let told = |reasons: &[&str]| {
        let expected: Vec<_> = reasons
            .iter()
            .map(|reason| format!("--waits=documents --task=backup --reason={reason}"))
            .collect();
        session.wait_for(&format!("{expected:?}"), || {
            // A network may come within some minutes, so it is not told at once.
            minutes.set(minutes.get() + 1);
            session.set_clock(&format!("+{}m", minutes.get()));
            keep();
            std::thread::sleep(Duration::from_millis(700));
            session.calls("--waits") == expected
        });
    };
    told(&["metered"]);
    session.set("network", &captive);
    told(&["metered", "captive"]);
    session.set("network", &none);
    told(&["metered", "captive", "offline"]);
    assert_eq!(session.calls("--scheduled"), [] as [String; 0]);
    session.set("network", &full);
    session.wait_for("a call", || session.calls("--scheduled").len() == 1);
}

/// What goes to a folder of this computer needs no network.
#[test]
fn no_network_holds_back_what_stays_here() {
    let session = Session::new(BACK_UP);
    let _network = session.service("network", &network(20, 1, 0));
    session.keep(Every::Month);
    let _monitor = session.monitor();
    session.wait_for("a backup", || is_made(&session.runs()));
}

#[test]
fn the_monitor_needs_little_memory() {
    let session = Session::new("true");
    let _power = session.service("power", r#"{"OnBattery": true}"#);
    let (mut plans, _) = Plans::open(&session.path("config/souvenir"));
    let history = History::open(&session.path("data/souvenir/history"));
    let run = Run {
        task: Task::Backup,
        started_secs: 1_700_000_000,
        ended_secs: 1_700_000_060,
        automatic: true,
        ..Run::default()
    };
    for number in 0..20 {
        let plan = Plan { id: format!("plan-{number}"), ..session.keep(Every::Hour) };
        history.append(&plan.id, &run).unwrap();
        let file = session.path(&format!("data/souvenir/history/{}.jsonl", plan.id));
        let line = fs::read_to_string(&file).unwrap();
        fs::write(&file, line.repeat(200)).unwrap();
        plans.add(plan);
    }
    plans.save().unwrap();
    let monitor = session.monitor();
    session.wait_for("a word of each", || session.calls("--waits").len() == 20);
    let status = fs::read_to_string(format!("/proc/{}/status", monitor.0.id())).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let resident_kb: u64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(resident_kb < 15_000, "{resident_kb} kB");
}

#[test]
fn what_was_missed_asleep_is_made_once_on_waking_up() {
    let session = Session::new(BACK_UP);
    let _login = session.service("login", r#"{"PreparingForSleep": false}"#);
    let now = jiff::Timestamp::now().as_second();
    session.keep_at(Destination::Folder { path: session.path("backups") }, Every::Day, now);
    let _monitor = session.monitor_with_clock();
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(session.calls(""), [] as [String; 0]);
    session.set("login", r#"{"PreparingForSleep": true}"#);
    std::thread::sleep(Duration::from_millis(500));
    session.set_clock("+9d");
    let woken = Instant::now();
    session.set("login", r#"{"PreparingForSleep": false}"#);
    session.wait_for("a backup", || is_made(&session.runs()));
    // It did not come to see the clock by chance.
    assert!(
        woken.elapsed() < Duration::from_secs(LOOK_AGAIN_SECS.unsigned_abs() / 2),
        "{:?}",
        woken.elapsed()
    );
}

/// Nobody tells of a clock that is set; it is looked at anyway.
#[test]
fn a_clock_that_is_set_makes_nothing_twice() {
    let session = Session::new(BACK_UP);
    let now = jiff::Timestamp::now().as_second();
    session.keep_at(Destination::Folder { path: session.path("backups") }, Every::Week, now);
    let _monitor = session.monitor_with_clock();
    std::thread::sleep(Duration::from_secs(2));
    session.set_clock("+8d");
    session.wait_for("a backup", || is_made(&session.runs()));
    for ahead in ["-30d", "+0", "+8d"] {
        session.set_clock(ahead);
        // A change of the plan makes it look.
        for _ in 0..2 {
            session.keep_at(Destination::Folder { path: session.path("backups") }, Every::Week, now);
            std::thread::sleep(Duration::from_millis(700));
        }
        assert!(is_made(&session.runs()), "{ahead}: {:?}", session.runs());
    }
    session.set_clock("+16d");
    session.keep_at(Destination::Folder { path: session.path("backups") }, Every::Week, now);
    session.wait_for("another backup", || session.runs().len() == 2);
    assert_eq!(session.calls("--scheduled").len(), 2);
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
