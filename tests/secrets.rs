//! Passphrases in the Secret Service: the real one, on a bus of its own.

#![cfg(feature = "desktop")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "common/desktop.rs"]
#[allow(dead_code, reason = "other tests need the rest")]
mod desktop;

use std::env;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use desktop::in_session;
use souvenir::engine::crypto::Secret;
use souvenir::platform::secrets::{self, Owner};

/// GNOME's Secret Service; with a password it has a default keyring, as after a login.
struct Keyring(Child);

impl Keyring {
    fn start(password: Option<&str>) -> Self {
        let mut command = Command::new("gnome-keyring-daemon");
        command.args(["--foreground", "--components=secrets"]).stdin(Stdio::piped()).stdout(Stdio::null());
        if password.is_some() {
            command.arg("--unlock");
        }
        let mut daemon = command.spawn().unwrap();
        daemon.stdin.take().unwrap().write_all(password.unwrap_or_default().as_bytes()).unwrap();
        let waiting = Command::new("gdbus")
            .args(["wait", "--session", "--timeout", "30", "org.freedesktop.secrets"])
            .status()
            .unwrap();
        assert!(waiting.success());
        Self(daemon)
    }
}

impl Drop for Keyring {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    glib::MainContext::new().block_on(future)
}

fn keyrings() -> Vec<String> {
    let folder = Path::new(&env::var_os("XDG_DATA_HOME").unwrap()).join("keyrings");
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn where_there_is_no_keyring_nothing_is_remembered_and_none_is_made() {
    in_session("where_there_is_no_keyring_nothing_is_remembered_and_none_is_made", || {
        let _daemon = Keyring::start(None);
        let owner = Owner::Plan("1".into());
        assert_eq!(wait(secrets::look_up_unlocked(&owner)).unwrap(), None);
        assert_eq!(wait(secrets::look_up(&owner)).unwrap(), None);
        wait(secrets::forget_plan("1")).unwrap();
        assert_eq!(keyrings(), Vec::<String>::new());
    });
}

#[test]
fn what_is_remembered_is_known_until_it_is_forgotten() {
    in_session("what_is_remembered_is_known_until_it_is_forgotten", || {
        let _daemon = Keyring::start(Some("login"));
        let owner = Owner::Plan("1".into());
        for text in ["first", "second"] {
            wait(secrets::remember(&owner, "Backups", &Secret::new(text))).unwrap();
            assert_eq!(wait(secrets::look_up_unlocked(&owner)).unwrap(), Some(Secret::new(text)));
        }
        assert_eq!(wait(secrets::look_up(&Owner::Plan("2".into()))).unwrap(), None);
        wait(secrets::forget_plan("1")).unwrap();
        assert_eq!(wait(secrets::look_up(&owner)).unwrap(), None);
    });
}
