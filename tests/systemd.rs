//! The timer for people without a desktop, with the real systemd: a manager of units of its own, as each user has one.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use souvenir::engine::crypto::Protection;
use souvenir::plan::history::{History, Outcome, Run};
use souvenir::plan::schedule::{Every, Schedule};
use souvenir::plan::{Destination, Plan, Plans};

/// How long something may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A manager sorts what it runs into groups of its own. Here the machine's groups can only be read, and nothing was
/// booted with systemd. What it leaves in /run would be found by others: gpg's agents have their sockets below /run/user.
const START: &str = "mount -t tmpfs run /run
for at in /sys/fs/cgroup /sys/fs/cgroup/unified; do
  mount -o remount,rw,bind \"$at\" 2>/dev/null
done
mkdir -p /run/systemd/system
exec /usr/lib/systemd/systemd --user --log-target=console";

/// The manager, and whoever it works for.
struct Manager {
    home: tempfile::TempDir,
    process: Child,
}

impl Manager {
    fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("run")).unwrap();
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", START]).stdin(Stdio::null());
        let process = in_home(&mut command, home.path()).spawn().unwrap();
        let manager = Self { home, process };
        let socket = manager.path("run/systemd/private");
        wait_for("systemd", || socket.exists());
        manager
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn systemctl(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--target", &self.process.id().to_string(), "systemctl", "--user"]);
        let output = in_home(command.args(arguments), self.home.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
        said
    }

    /// Installs the units, with our program, and a timer that has not ten minutes.
    fn install(&self) {
        let units = self.path("config/systemd/user");
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/systemd");
        let program = env!("CARGO_BIN_EXE_souvenir-cli");
        for (unit, more) in [
            (
                "souvenir.timer",
                "[Timer]\nOnCalendar=\nOnCalendar=*:*:0/2\nRandomizedDelaySec=0\nAccuracySec=100ms\n",
            ),
            ("souvenir.service", &format!("[Service]\nExecStart=\nExecStart={program} plan run --due\n")),
        ] {
            let folder = units.join(format!("{unit}.d"));
            fs::create_dir_all(&folder).unwrap();
            fs::copy(data.join(unit), units.join(unit)).unwrap();
            fs::write(folder.join("test.conf"), more).unwrap();
        }
        self.systemctl(&["daemon-reload"]);
    }

    fn runs(&self) -> Vec<Run> {
        History::open(&self.path("data/souvenir/history")).runs("documents").unwrap()
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        // It ends what it runs. Fails only where it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn in_home<'a>(command: &'a mut Command, home: &Path) -> &'a mut Command {
    let folders = ["config", "data", "state", "cache"];
    let variables = folders.map(|name| (format!("XDG_{}_HOME", name.to_uppercase()), home.join(name)));
    command
        .envs(variables)
        .env("HOME", home)
        .env("XDG_RUNTIME_DIR", home.join("run"))
        .env_remove("DBUS_SESSION_BUS_ADDRESS")
}

fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn the_timer_runs_what_is_due_once() {
    if !nix::unistd::getuid().is_root() {
        return eprintln!("only root can give a manager groups of its own");
    }
    let manager = Manager::start();
    let documents = manager.path("documents");
    fs::create_dir(&documents).unwrap();
    fs::write(documents.join("letter"), "Dear reader").unwrap();
    let destination = Destination::Folder { path: manager.path("backups") };
    let schedule = Schedule { every: Every::Month, since: Some(0), prove: false, ..Schedule::default() };
    let plan = Plan::new("Documents", vec![documents], destination, Protection::none());
    let (mut plans, _) = Plans::open(&manager.path("config/souvenir"));
    plans.add(Plan { id: "documents".into(), schedule, ..plan });
    plans.save().unwrap();

    manager.install();
    manager.systemctl(&["enable", "--now", "souvenir.timer"]);
    wait_for("a backup", || !manager.runs().is_empty());
    let started =
        || manager.systemctl(&["show", "--property=ExecMainStartTimestampMonotonic", "souvenir.service"]);
    let first = started();
    wait_for("another look", || started() != first);
    wait_for("its end", || {
        manager.systemctl(&["show", "--property=SubState", "souvenir.service"]).contains("dead")
    });
    let runs = manager.runs();
    assert!(matches!(&runs[..], [run] if run.automatic), "{runs:?}");
    assert!(matches!(runs[0].outcome, Outcome::Finished { .. }), "{runs:?}");
    assert!(manager.systemctl(&["show", "--property=Result", "souvenir.service"]).contains("success"));

    // What goes wrong is to be seen.
    fs::remove_dir_all(manager.path("documents")).unwrap();
    let history = manager.path("data/souvenir/history/documents.jsonl");
    fs::remove_file(history).unwrap();
    wait_for("a failure", || {
        manager.systemctl(&["show", "--property=Result", "souvenir.service"]).contains("exit-code")
    });
}
