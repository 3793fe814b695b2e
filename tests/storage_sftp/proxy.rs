//! Servers that are reached by way of another one, with OpenSSH's own client.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use souvenir::engine::job::Job;
use souvenir::engine::storage::sftp::SftpStorage;
use souvenir::engine::storage::{Credentials, SftpAddress, Storage, StorageError, StorageErrorKind};

use crate::common::engine::Backup;
use crate::common::sshd::{Sshd, make_key};
use crate::common::tree::{assert_same, look, make_small, noise};

const FIRST: i64 = 1_700_000_000;

/// A server, one to go through, and what the configuration says of the way.
fn behind(gate: &Sshd, way: &str) -> Sshd {
    let server = Sshd::start();
    let user = server.address("").user.unwrap();
    let host = |name: &str, at: &Sshd| {
        format!(
            "Host {name}\n  HostName 127.0.0.1\n  Port {}\n  User {user}\n  IdentityFile {}\n  UserKnownHostsFile {}\n",
            at.port,
            at.ssh_file("id_ed25519").display(),
            at.ssh_file("known_hosts").display()
        )
    };
    let way = way.replace("CONFIG", server.ssh_file("config").to_str().unwrap());
    let config = format!("{}  {way}\n{}", host("nas", &server), host("gate", gate));
    fs::write(server.ssh_file("config"), config).unwrap();
    server
}

fn storage(server: &Sshd) -> SftpStorage {
    let address = SftpAddress { user: None, host: "nas".to_owned(), port: None, path: String::new() };
    SftpStorage::at(&address, &Credentials::default(), &server.options(), &Job::unattended())
}

fn failure(server: &Sshd) -> StorageError {
    storage(server).list().unwrap_err()
}

/// How many programs lead to a server.
fn guides(server: &Sshd) -> usize {
    let target = format!("[127.0.0.1]:{}", server.port);
    let is_guide = |path: &Path| {
        fs::read(path.join("cmdline")).is_ok_and(|line| {
            let line = String::from_utf8_lossy(&line).into_owned();
            line.starts_with("ssh\0") && line.contains(&target)
        })
    };
    fs::read_dir("/proc").unwrap().flatten().filter(|entry| is_guide(&entry.path())).count()
}

#[test]
fn a_backup_goes_through_another_server() {
    for way in ["ProxyJump gate", "ProxyCommand ssh -F \"CONFIG\" -W [%h]:%p gate"] {
        let gate = Sshd::start();
        let server = behind(&gate, way);
        let scratch = tempfile::tempdir().unwrap();
        let source = scratch.path().join("source");
        make_small(&source);
        fs::write(source.join("large"), noise(9, 9_000_000)).unwrap();
        let place = Arc::new(storage(&server));
        let backup = Backup::new(&source, Path::new("unused")).stored_in(place);
        backup.clone().at(FIRST).back_up();
        backup.restore(&scratch.path().join("target"));
        assert_same(&look(&source), &look(&scratch.path().join("target")), way);
        assert!(gate.log().contains("Accepted publickey"), "{way}: {}", gate.log());
        drop(backup);
        assert_eq!(guides(&server), 0, "{way}: nothing is left running");
    }
}

#[test]
fn several_servers_are_gone_through() {
    let (first, second) = (Sshd::start(), Sshd::start());
    let server = behind(&second, "ProxyJump first,gate");
    let user = server.address("").user.unwrap();
    let config = fs::read_to_string(server.ssh_file("config")).unwrap();
    let more = format!(
        "Host first\n  HostName 127.0.0.1\n  Port {}\n  User {user}\n  IdentityFile {}\n  UserKnownHostsFile {}\n",
        first.port,
        first.ssh_file("id_ed25519").display(),
        first.ssh_file("known_hosts").display()
    );
    fs::write(server.ssh_file("config"), config + &more).unwrap();
    assert_eq!(storage(&server).list().unwrap().len(), 0);
    assert!(first.log().contains("Accepted publickey") && second.log().contains("Accepted publickey"));
}

#[test]
fn a_server_on_the_way_that_goes_down_is_waited_for() {
    let gate = Sshd::start();
    let server = behind(&gate, "ProxyJump gate");
    let place = storage(&server);
    assert_eq!(place.list().unwrap().len(), 0);
    gate.kill();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_secs(1));
            gate.run();
        });
        assert_eq!(place.list().unwrap().len(), 0, "it is there again");
    });
    gate.kill();
    let error = place.list().unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Unreachable, "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
}

/// Nobody waits for what will not change.
#[test]
fn a_way_that_leads_nowhere_is_told_at_once() {
    let gate = Sshd::start();
    let begun = Instant::now();
    let other_key = |gate: &Sshd| {
        fs::remove_file(gate.ssh_file("id_ed25519")).unwrap();
        make_key(&gate.ssh_file("id_ed25519"), "ed25519", "");
    };
    let forgotten = Sshd::start();
    fs::write(forgotten.ssh_file("known_hosts"), "").unwrap();
    let strange = Sshd::start();
    other_key(&strange);
    for (gate, way, says) in [
        (&gate, "ProxyCommand no-such-program %h", "not found"),
        (&gate, "ProxyJump -oProxyCommand=true", "cannot be given"),
        (&gate, "ProxyCommand nc %x", "%x in ProxyCommand"),
        (&forgotten, "ProxyJump gate", "Host key verification failed"),
        (&strange, "ProxyJump gate", "Permission denied"),
    ] {
        let error = failure(&behind(gate, way));
        assert_eq!(error.kind, StorageErrorKind::Other, "{way}: {error}");
        assert!(error.to_string().contains(says), "{way}: {error}");
    }
    assert!(begun.elapsed() < Duration::from_secs(30));
    // It can be taken back for a host.
    assert!(storage(&behind(&gate, "ProxyJump none")).list().is_ok());
}
