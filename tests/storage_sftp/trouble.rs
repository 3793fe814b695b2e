//! Lines that break, and servers that go away, are full, or say nothing.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use souvenir::engine::Error;
use souvenir::engine::job::{CancelReason, Job, Warning};
use souvenir::engine::storage::sftp::{SftpOptions, SftpStorage};
use souvenir::engine::storage::{
    Credentials, Lock, SftpAddress, Storage, StorageError, StorageErrorKind, StorageResult,
};

use crate::common::engine::{Backup, names};
use crate::common::proxy::Proxy;
use crate::common::sshd::{Setting, Sshd};
use crate::common::tree::noise;

fn put(storage: &dyn Storage, name: &str, bytes: &[u8]) -> StorageResult<()> {
    let mut upload = storage.create(name)?;
    for part in bytes.chunks(100_000) {
        upload
            .write_all(part)
            .map_err(|error| error.downcast::<StorageError>().expect("an error of the place"))?;
    }
    upload.finish()
}

fn left(server: &Sshd) -> Vec<String> {
    names(&server.folder()).into_iter().filter(|name| name != ".ssh").collect()
}

#[test]
fn an_upload_survives_cuts_at_any_moment() {
    let server = Sshd::start();
    let proxy = Proxy::to(server.port);
    server.also_know(proxy.port);
    let bytes = noise(3, 9_000_000);
    let mut cuts = 0;
    for moment in 0..24_i64 {
        let storage = server.storage_at(proxy.port, "");
        // The first ones break the sign-in, the last ones what comes after the data.
        let at = if moment < 16 { 500 + moment * 600_000 } else { 9_030_000 + (moment - 16) * 1500 };
        proxy.cut_after(at);
        let name = format!("file-{moment}");
        let before = proxy.cuts();
        put(&storage, &name, &bytes).unwrap();
        cuts += proxy.cuts() - before;
        proxy.cut_after(-1);
        assert!(fs::read(server.folder().join(&name)).unwrap() == bytes, "{moment}");
        fs::remove_file(server.folder().join(&name)).unwrap();
        assert_eq!(left(&server), [""; 0], "{moment}");
    }
    assert!(cuts >= 16, "only {cuts} cuts");
}

#[test]
fn a_download_survives_cuts() {
    let server = Sshd::start();
    let proxy = Proxy::to(server.port);
    server.also_know(proxy.port);
    let bytes = noise(4, 9_000_000);
    fs::write(server.folder().join("file"), &bytes).unwrap();
    let storage = server.storage_at(proxy.port, "");
    let mut reader = storage.open_from("file", 1000).unwrap();
    let mut read = Vec::new();
    let mut buffer = vec![0; 50_000];
    for round in 0.. {
        if round % 40 == 20 {
            proxy.cut();
        }
        match reader.read(&mut buffer).unwrap() {
            0 => break,
            count => read.extend_from_slice(&buffer[..count]),
        }
    }
    assert!(read == bytes[1000..]);
    assert!(proxy.cuts() >= 2);
}

#[test]
fn a_server_that_is_restarted_is_waited_for() {
    let server = Sshd::start();
    let storage = server.storage("");
    let bytes = noise(5, 12_000_000);
    let mut upload = storage.create("file").unwrap();
    let (first, second) = bytes.split_at(7_000_000);
    upload.write_all(first).unwrap();
    server.kill();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(700));
            server.run();
        });
        upload.write_all(second).unwrap();
        upload.finish().unwrap();
    });
    assert!(fs::read(server.folder().join("file")).unwrap() == bytes);
    let mut reader = storage.open("file").unwrap();
    let mut read = vec![0; 5_000_000];
    reader.read_exact(&mut read).unwrap();
    server.kill();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(700));
            server.run();
        });
        reader.read_to_end(&mut read).unwrap();
    });
    assert!(read == bytes);
    // One that does not come back is given up.
    server.kill();
    let begun = Instant::now();
    assert_eq!(storage.list().unwrap_err().kind, StorageErrorKind::Unreachable);
    assert!(begun.elapsed() < Duration::from_secs(20));
    server.run();
    assert_eq!(storage.list().unwrap().len(), 1);
}

#[test]
fn names_are_changed_and_files_deleted_once_even_if_the_answer_is_lost() {
    let server = Sshd::start();
    let proxy = Proxy::to(server.port);
    server.also_know(proxy.port);
    let storage = server.storage_at(proxy.port, "");
    storage.list().unwrap();
    // Answers are on their way for a while, and the line breaks before they arrive.
    proxy.delay(Duration::from_millis(150));
    let cut_soon = || {
        std::thread::sleep(Duration::from_millis(230));
        proxy.cut();
        proxy.delay(Duration::ZERO);
    };
    fs::write(server.folder().join("old"), "x").unwrap();
    std::thread::scope(|scope| {
        scope.spawn(cut_soon);
        storage.delete("old").unwrap();
    });
    assert!(!server.folder().join("old").exists());
    assert_eq!(storage.delete("old").unwrap_err().kind, StorageErrorKind::NotFound);
    for wait in [230, 530, 560] {
        fs::write(server.folder().join("from"), "x").unwrap();
        proxy.delay(Duration::from_millis(150));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(wait));
                proxy.cut();
                proxy.delay(Duration::ZERO);
            });
            storage.rename("from", "to").unwrap();
        });
        assert_eq!(left(&server), ["to"]);
        fs::remove_file(server.folder().join("to")).unwrap();
    }
}

#[test]
fn silence_ends_in_time() {
    let server = Sshd::start();
    let proxy = Proxy::to(server.port);
    server.also_know(proxy.port);
    let bytes = noise(6, 8_000_000);
    // The line goes silent for longer than the limit, then comes back.
    let storage = server.storage_at(proxy.port, "");
    let mut upload = storage.create("file").unwrap();
    upload.write_all(&bytes[..4_000_000]).unwrap();
    proxy.silence(true);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(2500));
            proxy.cut();
            proxy.silence(false);
        });
        upload.write_all(&bytes[4_000_000..]).unwrap();
        upload.finish().unwrap();
    });
    assert!(fs::read(server.folder().join("file")).unwrap() == bytes);
    // A server that has stopped, and stays so.
    let storage = server.storage("");
    storage.list().unwrap();
    server.freeze(true);
    let begun = Instant::now();
    let error = storage.list().unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Timeout, "{error}");
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
    server.freeze(false);
    assert_eq!(storage.list().unwrap().len(), 1);
}

#[test]
fn a_cancel_is_noticed_in_every_wait() {
    let server = Sshd::start();
    let proxy = Proxy::to(server.port);
    server.also_know(proxy.port);
    let address = SftpAddress { port: Some(proxy.port), ..server.address("") };
    let mut options = server.options();
    options.times.silence = Duration::from_secs(60);
    options.times.connect = Duration::from_secs(60);
    for in_what in ["connecting", "listing", "writing", "waiting to try again"] {
        let job = Job::unattended();
        let storage = SftpStorage::at(&address, &Credentials::default(), &options, &job);
        let mut upload = None;
        if in_what != "connecting" {
            storage.list().unwrap();
            upload = Some(storage.create("never").unwrap());
        }
        proxy.silence(true);
        let control = job.control().clone();
        let canceller = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(500));
            control.cancel(CancelReason::User);
            Instant::now()
        });
        let error = match (in_what, &mut upload) {
            ("writing", Some(upload)) => loop {
                if let Err(error) = upload.write_all(&[1; 100_000]) {
                    break error.downcast().unwrap();
                }
            },
            ("waiting to try again", _) => {
                server.kill();
                proxy.cut();
                storage.list().unwrap_err()
            }
            _ => storage.list().unwrap_err(),
        };
        let cancelled = canceller.join().unwrap();
        assert_eq!(error.kind, StorageErrorKind::Cancelled(CancelReason::User), "{in_what}: {error}");
        assert!(cancelled.elapsed() < Duration::from_millis(1500), "{in_what}: {:?}", cancelled.elapsed());
        proxy.silence(false);
        proxy.cut();
        drop(upload);
        if in_what == "waiting to try again" {
            server.run();
        }
        for name in left(&server) {
            fs::remove_file(server.folder().join(name)).unwrap();
        }
    }
}

#[test]
fn after_a_cancel_things_are_put_in_order() {
    let server = Sshd::start();
    let job = Job::unattended();
    let storage = SftpStorage::at(&server.address(""), &Credentials::default(), &server.options(), &job);
    let Lock::Held(lock) = storage.lock("test").unwrap() else { panic!() };
    let mut upload = storage.create("never").unwrap();
    upload.write_all(&noise(1, 5_000_000)).unwrap();
    job.control().cancel(CancelReason::User);
    drop(upload);
    drop(lock);
    assert_eq!(left(&server), [""; 0]);
}

#[test]
fn a_cancel_does_not_wait_for_a_slow_line() {
    let server = Sshd::start();
    let proxy = Proxy::to(server.port);
    server.also_know(proxy.port);
    let job = Job::unattended();
    let address = SftpAddress { port: Some(proxy.port), ..server.address("") };
    let storage = SftpStorage::at(&address, &Credentials::default(), &server.options(), &job);
    let mut upload = storage.create("never").unwrap();
    // Something always comes, so no single wait is long; but what the window holds takes a quarter of a minute.
    proxy.slow(200_000);
    upload.write_all(&noise(1, 3_300_000)).unwrap();
    job.control().cancel(CancelReason::User);
    let cancelled = Instant::now();
    drop(upload);
    assert!(cancelled.elapsed() < Duration::from_secs(6), "{:?}", cancelled.elapsed());
}

#[test]
fn a_slow_line_is_no_silence() {
    let server = Sshd::start();
    let proxy = Proxy::to(server.port);
    server.also_know(proxy.port);
    proxy.slow(1_000_000);
    let storage = server.storage_at(proxy.port, "");
    let bytes = noise(8, 4_500_000);
    put(&storage, "file", &bytes).unwrap();
    assert!(fs::read(server.folder().join("file")).unwrap() == bytes);
    assert_eq!(proxy.cuts(), 0);
}

#[test]
fn several_files_go_over_one_slow_connection() {
    let server = Sshd::start();
    let proxy = Proxy::to(server.port);
    server.also_know(proxy.port);
    proxy.slow(8_000_000);
    let options = SftpOptions { connections: 1, ..server.options() };
    let address = SftpAddress { port: Some(proxy.port), ..server.address("") };
    let storage = SftpStorage::at(&address, &Credentials::default(), &options, &Job::unattended());
    let files: Vec<_> = (0..3).map(|number| (format!("file-{number}"), noise(number, 9_000_000))).collect();
    std::thread::scope(|scope| {
        for (name, bytes) in &files {
            scope.spawn(|| put(&storage, name, bytes).unwrap());
        }
    });
    for (name, bytes) in &files {
        assert!(fs::read(server.folder().join(name)).unwrap() == *bytes, "{name}");
    }
    assert_eq!(server.log().matches("Accepted publickey").count(), 1, "{}", server.log());
}

/// A small file system of its own, which only root can have.
struct Small(tempfile::TempDir);

impl Small {
    fn mount(options: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "none"])
            .arg(folder.path())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            Some(Self(folder))
        } else {
            println!("nobody but root can have a file system of its own");
            None
        }
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_is_said() {
    let Some(small) = Small::mount("size=6m") else { return };
    let server = Sshd::start();
    let storage = server.storage(small.0.path().to_str().unwrap());
    put(&storage, "fits", &noise(1, 2_000_000)).unwrap();
    let free = storage.free_bytes().unwrap().unwrap();
    assert!((2 << 20..5 << 20).contains(&free), "{free}");
    let error = put(&storage, "too large", &noise(2, 20_000_000)).unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Full, "{error}");
    assert_eq!(names(small.0.path()), ["fits"], "nothing of it stays");
    // A backup warns beforehand, since the server tells, and what is finished stays.
    let source = server.scratch.path().join("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("file"), noise(1, 9_000_000)).unwrap();
    let storage = Arc::new(server.storage(small.0.path().to_str().unwrap()));
    let (result, warnings) = Backup::new(&source, Path::new("unused")).stored_in(storage).try_back_up();
    let Err(Error::NoSpace { needed_bytes: Some(needed), .. }) = result else { panic!("{result:?}") };
    assert!((4 << 20..9 << 20).contains(&needed), "{needed}");
    let [Warning::LittleSpace { needed_bytes, free_bytes, .. }] = warnings[..] else {
        panic!("{warnings:?}")
    };
    assert!(needed_bytes >= 9_000_000 && (2 << 20..5 << 20).contains(&free_bytes));
    let left = names(small.0.path());
    assert!(
        left.len() > 1 && left.iter().all(|name| name == "fits" || name.starts_with(".unfinished-")),
        "{left:?}"
    );
}

#[test]
fn what_may_not_be_written_is_said() {
    if let Some(small) = Small::mount("size=1m,ro") {
        let server = Sshd::start();
        let error = put(&server.storage(small.0.path().to_str().unwrap()), "file", b"x").unwrap_err();
        assert!(matches!(error.kind, StorageErrorKind::ReadOnly | StorageErrorKind::Other), "{error}");
    }
    // A server that lets nobody write.
    let lines = vec!["ForceCommand internal-sftp -R".to_owned()];
    let server = Sshd::with(Setting { lines, ..Setting::default() });
    let path = server.folder().to_str().unwrap().to_owned();
    let error = put(&server.storage(&path), "file", b"x").unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Permission, "{error}");
}
