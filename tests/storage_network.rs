//! Backups in folders on the network that GVfs reaches: the real one, on a bus of its own, with real servers.

#![cfg(feature = "desktop")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "common/dav.rs"]
#[allow(dead_code, reason = "other tests need the rest")]
mod dav;
#[path = "common/desktop.rs"]
mod desktop;
#[path = "common/nfs.rs"]
mod nfs;
#[path = "common/samba.rs"]
mod samba;

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::contract::{Place, keeps_the_contract};
use common::duplicity::versions;
use common::engine::{Backup, names};
use common::gpg::Home;
use common::proxy::Proxy;
use common::sshd::{Sshd, attended, nobody_is_asked};
use common::tree::{assert_same, edit, look, make_small, noise};
use dav::{Fate, PASSWORD, Server, USER};
use desktop::{SshAgent, in_session, in_session_alone, kill_carriers, mount, options, sign_in};
use nfs::Nfs;
use samba::Samba;
use souvenir::engine::job::{CancelReason, Job, Question};
use souvenir::engine::storage::{Address, Lock, NetworkAddress, Storage, StorageErrorKind, StorageResult};
use souvenir::kit::commands;
use souvenir::platform::network::{NetworkOptions, NetworkStorage, NetworkTimes, is_supported};

const FIRST: i64 = 1_700_000_000;

fn storage(address: &NetworkAddress, job: &Job) -> NetworkStorage {
    NetworkStorage::at(address, options(), job).unwrap()
}

fn dav_address(port: u16, path: &str) -> NetworkAddress {
    NetworkAddress::parse(&format!("dav://{USER}@127.0.0.1:{port}{path}")).unwrap()
}

fn at(server: &Server, path: &str) -> NetworkAddress {
    dav_address(server.address("").port.unwrap(), path)
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

/// Puts a folder, which is mounted and not there yet, through everything. Answers are waited for as long as they
/// usually are: a busy machine takes its time to list very many files.
fn contract(address: &NetworkAddress, folder: PathBuf, many: usize, refused: &'static str) {
    let options = NetworkOptions { times: NetworkTimes::default(), ..options() };
    let patient_storage = || NetworkStorage::at(address, options, &Job::unattended()).unwrap();
    keeps_the_contract(&Place {
        storage: Arc::new(patient_storage()),
        second: Arc::new(patient_storage()),
        many,
        longest_name: 200,
        refused,
        fill: Box::new({
            let folder = folder.clone();
            move |count| {
                (0..count).for_each(|number| fs::write(folder.join(format!("many-{number}")), "").unwrap())
            }
        }),
        really_there: Box::new(move || names(&folder).into_iter().collect()),
    });
}

#[test]
fn a_webdav_folder_keeps_the_contract() {
    in_session("a_webdav_folder_keeps_the_contract", || {
        let server = Server::start();
        let address = at(&server, "/not yet/there");
        mount(&address, USER, &[PASSWORD]).unwrap();
        contract(&address, server.folder().join("not yet/there"), 100_000, "");
    });
}

#[test]
fn an_ssh_folder_keeps_the_contract() {
    in_session("an_ssh_folder_keeps_the_contract", || {
        let server = Sshd::start();
        let _agent = SshAgent::with(&server.ssh_file("id_ed25519"));
        let folder = server.folder().join("not yet/there");
        let address = ssh_address(&server, &folder);
        mount(&address, "", &[]).unwrap();
        contract(&address, folder, 100_000, "");
    });
}

fn ssh_address(server: &Sshd, folder: &Path) -> NetworkAddress {
    let user = server.address("").user.unwrap();
    let text = format!("sftp://{user}@127.0.0.1:{}{}", server.port, folder.display());
    NetworkAddress::parse(&text).unwrap()
}

#[test]
fn a_windows_share_keeps_the_contract() {
    if !samba::can_run() {
        return eprintln!("only root can run Samba's server");
    }
    in_session("a_windows_share_keeps_the_contract", || {
        let server = Samba::start();
        let address = server.address("not yet/there");
        mount(&address, "root", &[samba::PASSWORD]).unwrap();
        // What names on such shares cannot have.
        contract(&address, server.folder().join("not yet/there"), 100_000, "?*:");
    });
}

#[test]
fn an_nfs_folder_keeps_the_contract() {
    if !nfs::can_run() {
        return eprintln!("only root can run an NFS server");
    }
    in_session_alone("an_nfs_folder_keeps_the_contract", || {
        let server = Nfs::start();
        let address = server.address("not yet/there");
        mount(&address, "", &[]).unwrap();
        contract(&address, server.folder().join("not yet/there"), 100_000, "");
        comes_back(&server.address("Backups of Ada"), &server.folder().join("Backups of Ada"));
    });
}

/// As the recovery kit says.
#[test]
fn duplicity_reads_what_is_there_through_the_desktop() {
    in_session("duplicity_reads_what_is_there_through_the_desktop", || {
        let server = Server::start();
        let scratch = tempfile::tempdir().unwrap();
        let source = scratch.path().join("source");
        make_small(&source);
        let address = at(&server, "/Backups of Ada");
        mount(&address, USER, &[PASSWORD]).unwrap();
        let place = Arc::new(storage(&address, &Job::unattended()));
        Backup::new(&source, Path::new("unused")).stored_in(place).at(FIRST).back_up();
        let url = commands::place(&Address::Network(address));
        let to = scratch.path().join("theirs");
        // Of the versions that the tests have, this one can speak with GIO.
        let home = Home::new();
        versions(home.path())[0].run(&["restore", "--no-encryption", &url, to.to_str().unwrap()]);
        assert_same(&look(&source), &look(&to), "duplicity's restore of ours");
    });
}

#[test]
fn somebody_is_asked_until_the_password_is_right() {
    in_session("somebody_is_asked_until_the_password_is_right", || {
        let server = Arc::new(Server::start());
        let address = at(&server, "/a");
        assert!(is_supported("dav") && !is_supported("gopher"));
        // Nobody is there to sign in.
        assert_eq!(kind(storage(&address, &Job::unattended()).list()), StorageErrorKind::Credentials);
        // Somebody is, and gives up.
        let declined = attended(
            {
                let address = address.clone();
                move |job| kind(storage(&address, job).list())
            },
            |question| sign_in(question, USER, &["wrong"]),
        );
        assert_eq!(declined, StorageErrorKind::Credentials);
        let mut asked = 0;
        attended(
            {
                let address = address.clone();
                move |job| put(&storage(&address, job), "file", b"it").unwrap()
            },
            |question| {
                asked += 1;
                sign_in(question, USER, &["wrong", PASSWORD]);
            },
        );
        assert_eq!(asked, 1);
        // What is mounted stays so, also for others.
        assert_eq!(get(&storage(&address, &Job::unattended()), "file"), b"it");
    });
}

#[test]
fn a_backup_comes_back_although_gvfs_ends_in_the_middle() {
    in_session("a_backup_comes_back_although_gvfs_ends_in_the_middle", || {
        let server = Arc::new(Server::start());
        let scratch = tempfile::tempdir().unwrap();
        let source = scratch.path().join("source");
        make_small(&source);
        fs::write(source.join("large"), noise(9, 9_000_000)).unwrap();
        let address = at(&server, "/a/b");
        let count = AtomicUsize::new(0);
        let killed = Arc::new(AtomicUsize::new(0));
        server.decide_with({
            let killed = Arc::clone(&killed);
            move |_, _| {
                if count.fetch_add(1, Ordering::SeqCst) % 40 == 39 {
                    killed.fetch_add(kill_carriers("gvfsd-dav"), Ordering::SeqCst);
                }
                None
            }
        });
        let mut asked = 0;
        let (from, to) = (source.clone(), scratch.path().join("target"));
        let second = attended(
            {
                let address = address.clone();
                move |job| {
                    let backup =
                        Backup::new(&from, Path::new("unused")).stored_in(Arc::new(storage(&address, job)));
                    backup.clone().at(FIRST).back_up();
                    edit(&from, 1, 20);
                    let second = look(&from);
                    backup.clone().incremental().at(FIRST + 100).back_up();
                    backup.restore(&to);
                    backup.verify();
                    second
                }
            },
            |question| {
                asked += 1;
                sign_in(question, USER, &[PASSWORD]);
            },
        );
        let killed = killed.load(Ordering::SeqCst);
        assert!(killed >= 3 && asked >= 3, "{killed} ended, {asked} questions");
        let stored = names(&server.folder().join("a/b"));
        assert!(stored.iter().all(|name| name.starts_with("duplicity-")), "{stored:?}");
        assert_same(&second, &look(&scratch.path().join("target")), "the restore");
    });
}

#[test]
fn a_backup_on_a_windows_share_comes_back() {
    if !samba::can_run() {
        return eprintln!("only root can run Samba's server");
    }
    in_session("a_backup_on_a_windows_share_comes_back", || {
        let server = Samba::start();
        let address = server.address("Backups of Ada");
        mount(&address, "root", &[samba::PASSWORD]).unwrap();
        comes_back(&address, &server.folder().join("Backups of Ada"));
    });
}

/// A backup of two sets in a folder, which is mounted.
fn comes_back(address: &NetworkAddress, folder: &Path) {
    let scratch = tempfile::tempdir().unwrap();
    let source = scratch.path().join("source");
    make_small(&source);
    fs::write(source.join("large"), noise(9, 9_000_000)).unwrap();
    let place = Arc::new(storage(address, &Job::unattended()));
    let backup = Backup::new(&source, Path::new("unused")).stored_in(place);
    backup.clone().at(FIRST).back_up();
    edit(&source, 1, 20);
    let second = look(&source);
    backup.clone().incremental().at(FIRST + 100).back_up();
    backup.restore(&scratch.path().join("target"));
    backup.verify();
    assert_same(&second, &look(&scratch.path().join("target")), "the restore");
    let stored = names(folder);
    assert!(stored.iter().all(|name| name.starts_with("duplicity-")), "{stored:?}");
}

#[test]
fn what_a_server_refuses_leaves_nothing() {
    in_session("what_a_server_refuses_leaves_nothing", || {
        let server = Server::start();
        let address = at(&server, "/");
        mount(&address, USER, &[PASSWORD]).unwrap();
        for status in [403, 507] {
            server.decide_with(move |method, _| (method == "PUT").then_some(Fate::Refused(status)));
            let place = storage(&address, &Job::unattended());
            for size in [2, 5_000_000] {
                // GVfs of Debian 13 tells these apart in its text alone.
                let error = put(&place, "file", &noise(1, size)).unwrap_err();
                assert!(!error.is_retryable(), "{status}: {error}");
            }
            assert!(names(&server.folder()).is_empty());
        }
    });
}

#[test]
fn a_server_that_is_away_or_falls_silent_is_given_up() {
    in_session("a_server_that_is_away_or_falls_silent_is_given_up", || {
        // Nobody listens there.
        let away = storage(&dav_address(9, "/a"), &Job::unattended());
        let begun = Instant::now();
        assert_eq!(kind(away.list()), StorageErrorKind::Unreachable);

        let server = Server::start();
        let proxy = Proxy::to(server.address("").port.unwrap());
        let address = dav_address(proxy.port, "/");
        mount(&address, USER, &[PASSWORD]).unwrap();
        put(&storage(&address, &Job::unattended()), "file", b"it").unwrap();
        proxy.silence(true);
        assert_eq!(kind(storage(&address, &Job::unattended()).list()), StorageErrorKind::Timeout);
        assert!(begun.elapsed() < Duration::from_secs(90), "{:?}", begun.elapsed());

        // A stop ends the wait.
        let job = Job::unattended();
        let control = job.control().clone();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(300));
            control.cancel(CancelReason::Metered);
        });
        let begun = Instant::now();
        let stopped = kind(storage(&address, &job).list());
        assert_eq!(stopped, StorageErrorKind::Cancelled(CancelReason::Metered));
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    });
}

#[test]
fn after_a_cancel_things_are_put_in_order() {
    in_session("after_a_cancel_things_are_put_in_order", || {
        let server = Server::start();
        let address = at(&server, "/");
        mount(&address, USER, &[PASSWORD]).unwrap();
        let job = Job::unattended();
        let place = storage(&address, &job);
        let Lock::Held(lock) = place.lock("test").unwrap() else { panic!() };
        let mut upload = place.create("never").unwrap();
        upload.write_all(&noise(1, 5_000_000)).unwrap();
        job.control().cancel(CancelReason::User);
        drop(upload);
        drop(lock);
        assert_eq!(names(&server.folder()), [""; 0]);
    });
}

#[test]
fn where_nothing_is_wanted_nobody_is_asked() {
    in_session("where_nothing_is_wanted_nobody_is_asked", || {
        let server = Sshd::start();
        let _agent = SshAgent::with(&server.ssh_file("id_ed25519"));
        let address = ssh_address(&server, &server.folder());
        // The agent knows the key, and GVfs trusts every server on this machine.
        attended(move |job| put(&storage(&address, job), "file", b"it").unwrap(), nobody_is_asked);
        assert_eq!(fs::read(server.folder().join("file")).unwrap(), b"it");
    });
}

#[test]
fn a_question_is_one_for_the_folder() {
    in_session("a_question_is_one_for_the_folder", || {
        let server = Server::start();
        let address = at(&server, "/a");
        let asked = address.clone();
        let work = move |job: &Job| kind(storage(&address, job).list());
        let end = attended(work, |question| match question {
            // Who drops it refuses.
            Question::Mount { address, .. } => assert_eq!(address, asked),
            other => panic!("{other:?}"),
        });
        assert_eq!(end, StorageErrorKind::Credentials);
    });
}
