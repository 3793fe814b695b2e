//! What a desktop has that reaches the network: a session bus of its own with GVfs on it.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::common::sshd::signal;
use gio::prelude::*;
use souvenir::engine::job::Question;
use souvenir::engine::storage::lease::LeaseTimes;
use souvenir::engine::storage::{Backoff, NetworkAddress, StorageResult};
use souvenir::platform::network::{self, NetworkOptions, NetworkTimes};

const MARK: &str = "SOUVENIR_TEST_SESSION";

/// Runs a test, whose name is given, in a session of its own: this program once more, with a bus, a home folder
/// and programs of GVfs that nobody else has.
pub fn in_session(name: &str, test: impl FnOnce()) {
    in_session_by(&["dbus-run-session", "--"], name, test);
}

/// The same with a network of its own, in which this machine is alone. Only root may have one.
pub fn in_session_alone(name: &str, test: impl FnOnce()) {
    let command = "ip link set lo up; exec dbus-run-session -- \"$@\"";
    in_session_by(&["unshare", "--net", "sh", "-c", command, "sh"], name, test);
}

fn in_session_by(command: &[&str], name: &str, test: impl FnOnce()) {
    if env::var_os(MARK).is_some() {
        return test();
    }
    let scratch = tempfile::tempdir().unwrap();
    let folder = |name: &str| -> PathBuf {
        let path = scratch.path().join(name);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o700)).unwrap();
        path
    };
    let (home, run) = (folder("home"), folder("run"));
    let output = Command::new(command[0])
        .args(&command[1..])
        .arg(env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(MARK, "1")
        .env("SSH_AUTH_SOCK", scratch.path().join("agent"))
        .env("XDG_RUNTIME_DIR", run)
        .env("XDG_CONFIG_HOME", home.join(".config"))
        .env("XDG_DATA_HOME", home.join(".local/share"))
        .env("XDG_CACHE_HOME", home.join(".cache"))
        .env("HOME", home)
        .env("GIO_USE_VFS", "gvfs")
        .env("GSETTINGS_BACKEND", "memory")
        .env("GVFS_DISABLE_FUSE", "1")
        .env_remove("DISPLAY")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// Short limits.
pub fn options() -> NetworkOptions {
    NetworkOptions {
        times: NetworkTimes { silence: Duration::from_secs(10), mount: Duration::from_secs(20) },
        backoff: Backoff {
            first: Duration::from_millis(50),
            longest: Duration::from_millis(500),
            give_up_after: Duration::from_secs(8),
        },
        lease: LeaseTimes { interval: Duration::from_millis(500), expiry: Duration::from_secs(10) },
    }
}

/// Mounts a folder as somebody does who types these passwords one after the other, and then declines.
pub fn mount(address: &NetworkAddress, user: &str, passwords: &[&str]) -> StorageResult<()> {
    let context = glib::MainContext::new();
    let mounted = context.with_thread_default(|| {
        let operation = gio::MountOperation::new();
        let user = user.to_owned();
        let left: Vec<String> = passwords.iter().rev().map(|&password| password.to_owned()).collect();
        let left = std::cell::RefCell::new(left);
        // After all others, as a dialog.
        operation.connect_local("ask-password", true, move |values| {
            let operation: gio::MountOperation = values[0].get().unwrap();
            match left.borrow_mut().pop() {
                Some(password) => {
                    operation.set_username(Some(&user));
                    operation.set_password(Some(&password));
                    operation.reply(gio::MountOperationResult::Handled);
                }
                None => operation.reply(gio::MountOperationResult::Aborted),
            }
            None
        });
        // Whether an unknown server is the right one.
        operation.connect_local("ask-question", false, |values| {
            let operation: gio::MountOperation = values[0].get().unwrap();
            operation.stop_signal_emission_by_name("ask-question");
            operation.set_choice(0);
            operation.reply(gio::MountOperationResult::Handled);
            None
        });
        context.block_on(network::mount(address, &operation))
    });
    mounted.unwrap()
}

/// Answers a question for a mount in this way.
pub fn sign_in(question: Question, user: &str, passwords: &[&str]) {
    let Question::Mount { address, reply } = question else { panic!("{question:?}") };
    reply.send(mount(&address, user, passwords)).unwrap();
}

/// Ends the programs of GVfs that carry mounts of a kind, such as `gvfsd-dav`. How many there were.
pub fn kill_carriers(program: &str) -> usize {
    let session = env::var("DBUS_SESSION_BUS_ADDRESS").unwrap();
    let mut count = 0;
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let path = entry.path();
        let is_it = fs::read_link(path.join("exe")).is_ok_and(|exe| exe.ends_with(program));
        let is_ours = is_it
            && fs::read(path.join("environ")).is_ok_and(|variables| {
                variables.split(|byte| *byte == 0).any(|variable| {
                    variable.strip_prefix(b"DBUS_SESSION_BUS_ADDRESS=") == Some(session.as_bytes())
                })
            });
        if is_ours {
            let id = entry.file_name().into_string().unwrap().parse().unwrap();
            signal("KILL", id);
            count += 1;
        }
    }
    count
}

/// An agent that knows a key, for who signs in to an SSH server. It ends when this is dropped.
pub struct SshAgent(Child);

impl SshAgent {
    pub fn with(key: &std::path::Path) -> Self {
        let socket = env::var_os("SSH_AUTH_SOCK").unwrap();
        let child = Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn();
        let agent = Self(child.unwrap());
        let begun = Instant::now();
        while !std::path::Path::new(&socket).exists() {
            assert!(begun.elapsed() < Duration::from_secs(20), "ssh-agent did not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        let added = Command::new("ssh-add").arg("-q").arg(key).status().unwrap();
        assert!(added.success());
        agent
    }
}

impl Drop for SshAgent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
