//! The window in a real desktop session, driven by keyboard and mouse as people and assistive
//! technology do. What is done stands in `tests/window`.
#![cfg(feature = "gui")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/dav.rs"]
#[allow(dead_code, reason = "other tests need the rest")]
mod dav;
#[path = "common/s3.rs"]
#[allow(dead_code, reason = "other tests need the rest")]
mod s3;

use std::path::Path;
use std::process::Command;

fn run(script: &str, arguments: &[&str]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("/usr/bin/python3")
        .arg(folder.join("tests/window").join(script))
        .arg(env!("CARGO_BIN_EXE_souvenir"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("Python is there");
    let text = String::from_utf8_lossy(&output.stdout);
    let problems = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script} failed\n{text}\n{problems}");
}

/// The whole way of a new user: set up, back up, back up again, browse, restore, all of it equal.
#[test]
fn tour() {
    run("tour.py", &[]);
}

/// Every page in the smallest window and in German, whose words are longer, without a complaint of GTK.
#[test]
fn every_page_narrow_and_dark() {
    run("screenshots.py", &["narrow-dark-de"]);
}

#[test]
fn every_page_narrow_with_large_text_and_high_contrast() {
    run("screenshots.py", &["narrow-light-de-large-contrast"]);
}

/// A deleted file is found, and an old version of a file is compared and restored.
#[test]
fn browser() {
    run("browser.py", &[env!("CARGO_BIN_EXE_souvenir-cli")]);
}

/// A key on a smart card, whose PIN is asked for only where a person wants something.
#[test]
fn card() {
    run("card.py", &[]);
}

/// Files are dragged out of a snapshot and dropped on another program.
#[test]
fn dragging() {
    run("dragging.py", &[env!("CARGO_BIN_EXE_souvenir-cli")]);
}

/// A folder of a hundred thousand files: how long the main loop was blocked.
#[test]
fn browser_with_very_many_files() {
    run("browser_size.py", &[env!("CARGO_BIN_EXE_souvenir-cli")]);
}

/// A drive that is pulled out in the middle of a backup, and comes back.
#[test]
fn drive() {
    run("drive.py", &[]);
}

/// Stored files that are missing, and backups that are gone.
#[test]
fn lost() {
    run("lost.py", &[]);
}

/// Backups on a real SSH server that nobody knows yet, with a key that has a passphrase.
#[test]
fn server() {
    run("server.py", &[]);
}

/// Backups in an object store, with a secret that is wrong first.
#[test]
fn bucket() {
    let server = s3::Server::start();
    run("bucket.py", &[&server.endpoint(), s3::BUCKET, s3::KEY_ID, s3::SECRET]);
}

/// Backups in a folder on a WebDAV server.
#[test]
fn webdav() {
    let server = dav::Server::start();
    let port = server.address("").port.unwrap();
    run("webdav.py", &[&format!("http://127.0.0.1:{port}/Backups"), dav::USER, dav::PASSWORD]);
}

/// Backups in a network folder: the desktop's dialog, and what it remembers.
#[test]
fn network() {
    let server = dav::Server::start();
    let port = server.address("").port.unwrap().to_string();
    run("network.py", &[&port, dav::USER, dav::PASSWORD]);
}

/// Two plans that are to be backed up at once.
#[test]
fn turns() {
    run("turns.py", &[]);
}

/// What every kind of work shows and obeys; closing the window, starting again, and the end of the session meanwhile.
#[test]
fn jobs() {
    run("jobs.py", &["narrow", "dark"]);
}

/// The settings of a plan: folders, another passphrase, another destination, and its end.
#[test]
fn settings() {
    run("settings.py", &[env!("CARGO_BIN_EXE_souvenir-cli"), "narrow", "dark"]);
}

/// A passphrase that is changed twice and remembered each time.
#[test]
fn passphrases() {
    run("passphrases.py", &[]);
}

/// A schedule: the monitor, a run at its time, waiting, failing, and the end of it.
#[test]
fn schedule() {
    run("schedule.py", &["wide", "light"]);
}

/// The way of a new user by the keyboard alone.
#[test]
fn keyboard() {
    run("keyboard.py", &["wide", "light"]);
}

#[test]
fn keyboard_narrow() {
    run("keyboard.py", &["narrow", "light"]);
}

/// What is backed up and what is left out, and what makes a backup big.
#[test]
fn folders() {
    run("folders.py", &[env!("CARGO_BIN_EXE_souvenir-cli"), "narrow", "light"]);
}

/// A computer that has another name than the one of the last backup.
#[test]
fn renamed() {
    run("renamed.py", &["narrow", "light"]);
}

/// What bad input gets, in every field.
#[test]
fn fields() {
    run("fields.py", &["narrow", "light"]);
}

/// Runs by themselves while the passwords of the desktop are locked.
#[test]
fn alone() {
    run("alone.py", &["narrow", "light"]);
}

/// Old snapshots are deleted by the rules of the plan, and the log says which.
#[test]
fn keeping() {
    run("keeping.py", &[env!("CARGO_BIN_EXE_souvenir-cli"), "narrow", "light"]);
}

/// Checks, a test of a restore, damage and its explanation, and very many changes at once.
#[test]
fn health() {
    run("health.py", &[env!("CARGO_BIN_EXE_souvenir-cli"), "wide", "dark"]);
}

/// A new key, its copy and recovery kit; and with these the backup is restored on a new computer.
#[test]
fn keys() {
    run("keys.py", &[]);
}
