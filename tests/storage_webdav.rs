//! Backups in a folder on a WebDAV server.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "common/dav.rs"]
mod dav;

use std::collections::HashSet;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::contract::{Place, keeps_the_contract};
use common::duplicity::versions;
use common::engine::{Backup, PASSPHRASE, names, to_key};
use common::gpg::Home;
use common::sshd::attended;
use common::tree::{assert_same, edit, look, make_small, noise};
use dav::{Fate, PASSWORD, Server, USER};
use souvenir::engine::job::{CancelReason, Job, Question};
use souvenir::engine::storage::{
    Lock, Storage, StorageErrorKind, StorageResult, WantedCredential, try_writing,
};

const FIRST: i64 = 1_700_000_000;

#[test]
fn a_folder_on_a_server_keeps_the_contract() {
    let server = Server::start();
    let folder = server.folder().join("not yet/there");
    keeps_the_contract(&Place {
        storage: Arc::new(server.patient_storage("/not yet/there")),
        second: Arc::new(server.patient_storage("/not yet/there/")),
        many: 100_000,
        longest_name: 200,
        refused: "",
        fill: Box::new({
            let folder = folder.clone();
            move |count| {
                (0..count).for_each(|number| fs::write(folder.join(format!("many-{number}")), "").unwrap())
            }
        }),
        really_there: Box::new(move || names(&folder).into_iter().collect()),
    });
}

fn put(storage: &dyn Storage, name: &str, bytes: &[u8]) -> StorageResult<()> {
    let mut upload = storage.create(name)?;
    upload.write_all(bytes).unwrap();
    upload.finish()
}

fn get(storage: &dyn Storage, name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    storage.open(name).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

fn kind<T>(result: StorageResult<T>) -> StorageErrorKind {
    result.err().expect("it must fail").kind
}

#[test]
fn a_password_is_asked_for_until_it_is_right() {
    let server = Arc::new(Server::start());
    let job = Job::unattended();
    assert_eq!(kind(server.storage_with("/", Some("wrong"), &job).list()), StorageErrorKind::Credentials);
    assert_eq!(kind(server.storage_with("/", None, &job).list()), StorageErrorKind::Credentials);
    let mut asked = Vec::new();
    let mut answers = ["wrong", PASSWORD].into_iter();
    attended(
        {
            let server = Arc::clone(&server);
            move |job| put(&server.storage_with("/", None, job), "file", b"it").unwrap()
        },
        |question| {
            let Question::Credential { request, reply } = question else { panic!("{question:?}") };
            asked.push((request.wanted, request.previous_was_wrong));
            reply.send(answers.next().map(Into::into)).unwrap();
        },
    );
    let wanted = WantedCredential::Password { user: USER.to_owned() };
    assert_eq!(asked, [(wanted.clone(), false), (wanted, true)]);
}

#[test]
fn what_a_server_says_is_understood() {
    for (status, expected) in [
        (403, StorageErrorKind::Permission),
        (507, StorageErrorKind::Full),
        (413, StorageErrorKind::TooLarge),
        (423, StorageErrorKind::Busy),
        (503, StorageErrorKind::Busy),
        (301, StorageErrorKind::Other),
    ] {
        let server = Server::start();
        server.decide_with(move |method, _| (method == "PUT").then_some(Fate::Refused(status)));
        assert_eq!(kind(put(&server.storage("/"), "file", b"it")), expected, "{status}");
        assert_eq!(kind(try_writing(&server.storage("/"))), expected, "{status}");
        assert!(names(&server.folder()).is_empty());
    }
}

#[test]
fn answers_that_are_lost_do_no_harm() {
    let server = Server::start();
    let storage = server.storage("/a");
    let bytes = noise(1, 9_000_000);
    let mut seen = HashSet::new();
    server.decide_with(move |method, path| {
        let is_first = seen.insert((method.to_owned(), path.to_owned()));
        (is_first && method != "MKCOL").then_some(Fate::DoneBut(502))
    });
    put(&storage, "file", b"file").unwrap();
    put(&storage, "large", &bytes).unwrap();
    storage.rename("large", "renamed").unwrap();
    assert!(get(&storage, "renamed") == bytes);
    assert_eq!(kind(put(&storage, "file", b"other")), StorageErrorKind::AlreadyExists);
    storage.delete("file").unwrap();
    assert_eq!(names(&server.folder().join("a")), ["renamed"]);
}

#[test]
fn after_a_cancel_things_are_put_in_order() {
    let server = Server::start();
    let job = Job::unattended();
    let storage = server.storage_with("/", Some(PASSWORD), &job);
    let Lock::Held(lock) = storage.lock("test").unwrap() else { panic!() };
    let mut upload = storage.create("never").unwrap();
    upload.write_all(&noise(1, 5_000_000)).unwrap();
    job.control().cancel(CancelReason::User);
    drop(upload);
    drop(lock);
    assert_eq!(names(&server.folder()), [""; 0]);
}

#[test]
fn a_backup_comes_back_although_the_server_is_moody() {
    let server = Server::start();
    let scratch = tempfile::tempdir().unwrap();
    let source = scratch.path().join("source");
    make_small(&source);
    fs::write(source.join("large"), noise(9, 9_000_000)).unwrap();
    let backup = Backup::new(&source, Path::new("unused")).stored_in(Arc::new(server.storage("/a/b")));
    let count = AtomicUsize::new(0);
    server.decide_with(move |_, _| match count.fetch_add(1, Ordering::SeqCst) % 9 {
        2 => Some(Fate::Refused(503)),
        _ => None,
    });
    backup.clone().at(FIRST).back_up();
    edit(&source, 1, 20);
    let second = look(&source);
    backup.clone().incremental().at(FIRST + 100).back_up();
    let stored = names(&server.folder().join("a/b"));
    assert!(stored.iter().all(|name| name.starts_with("duplicity-")), "{stored:?}");
    let target = scratch.path().join("target");
    backup.restore(&target);
    assert_same(&second, &look(&target), "the restore");
    backup.verify();
}

#[test]
fn duplicity_and_the_command_line_read_what_is_there() {
    let home = Home::new();
    let key = home.key("owner", PASSPHRASE);
    for (index, program) in versions(home.path()).iter().enumerate() {
        let server = Server::start();
        let scratch = tempfile::tempdir().unwrap();
        let source = scratch.path().join("source");
        make_small(&source);
        let backup = Backup::new(&source, Path::new("unused"))
            .protected(to_key(&key, false, None), home.keyring())
            .stored_in(Arc::new(server.storage("/ours")));
        backup.clone().at(FIRST).back_up();
        let port = server.address("").port.unwrap();
        let url = format!("webdav://{USER}@127.0.0.1:{port}/ours");
        let to = scratch.path().join(format!("theirs-{index}"));
        let cache = tempfile::tempdir().unwrap();
        let output = program
            .command(cache.path())
            .env("FTP_PASSWORD", PASSWORD)
            .args(["restore", &url, to.to_str().unwrap()])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_same(&look(&source), &look(&to), "duplicity's restore of ours");

        let output = Command::new(env!("CARGO_BIN_EXE_souvenir-cli"))
            .args(["status", &url])
            .env("HOME", scratch.path())
            .env("FTP_PASSWORD", PASSWORD)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
