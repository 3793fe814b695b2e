//! Servers that are known, unknown, or not the ones that they were.

use std::fs;
use std::process::Command;
use std::sync::{Arc, Mutex};

use souvenir::engine::job::Question;
use souvenir::engine::storage::sftp::SftpStorage;
use souvenir::engine::storage::{Credentials, HostKey, Storage, StorageErrorKind, StorageResult};

use crate::common::sshd::{Setting, Sshd, attended};

/// Lists the folder; what was asked about the server's key is answered and kept.
fn list(server: &Sshd, accept: bool) -> (StorageResult<usize>, Vec<HostKey>) {
    let (address, options) = (server.address(""), server.options());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let result = attended(
        move |job| {
            let storage = SftpStorage::at(&address, &Credentials::default(), &options, job);
            storage.list().map(|files| files.len())
        },
        |question| match question {
            Question::HostKey { key, reply } => {
                asked.lock().unwrap().push(key);
                reply.send(accept).unwrap();
            }
            other => panic!("{other:?}"),
        },
    );
    let asked = asked.lock().unwrap().clone();
    (result, asked)
}

fn printed_by_ssh_keygen(server: &Sshd) -> String {
    let key = server.scratch.path().join("host-ed25519.pub");
    let output = Command::new("ssh-keygen").arg("-lf").arg(key).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn an_unknown_server_is_asked_about_once() {
    for hash in [false, true] {
        let server = Sshd::start();
        let known_hosts = server.ssh_file("known_hosts");
        fs::remove_file(&known_hosts).unwrap();
        if hash {
            fs::write(server.ssh_file("config"), "HashKnownHosts yes\n").unwrap();
        }
        let (result, asked) = list(&server, false);
        assert_eq!(result.unwrap_err().kind, StorageErrorKind::HostKey);
        assert!(!known_hosts.exists());
        assert_eq!(asked[0].fingerprint, printed_by_ssh_keygen(&server));
        assert_eq!(asked[0].host, format!("[127.0.0.1]:{}", server.port));
        let (result, asked) = list(&server, true);
        assert_eq!((result.unwrap(), asked.len()), (0, 1));
        let (result, asked) = list(&server, false);
        assert_eq!((result.unwrap(), asked.len()), (0, 0), "it is known by now");
        let text = fs::read_to_string(&known_hosts).unwrap();
        assert_eq!(text.starts_with("|1|"), hash, "{text}");
        // ssh finds it too.
        let name = format!("[127.0.0.1]:{}", server.port);
        let found = Command::new("ssh-keygen").args(["-F", &name, "-f"]).arg(&known_hosts).output().unwrap();
        assert!(found.status.success());
    }
}

#[test]
fn names_that_ssh_has_hashed_are_found() {
    let server = Sshd::start();
    let known_hosts = server.ssh_file("known_hosts");
    let hashed = Command::new("ssh-keygen").args(["-H", "-f"]).arg(&known_hosts).output().unwrap();
    assert!(hashed.status.success());
    assert!(fs::read_to_string(&known_hosts).unwrap().starts_with("|1|"));
    let (result, asked) = list(&server, false);
    assert_eq!((result.unwrap(), asked.len()), (0, 0));
}

#[test]
fn a_server_with_another_key_is_not_talked_to() {
    let server = Sshd::start();
    let other = Sshd::start();
    let key = fs::read_to_string(other.scratch.path().join("host-ed25519.pub")).unwrap();
    let before = format!("[127.0.0.1]:{} {key}", server.port);
    fs::write(server.ssh_file("known_hosts"), &before).unwrap();
    let (result, asked) = list(&server, true);
    let error = result.unwrap_err();
    assert_eq!((error.kind, asked.len()), (StorageErrorKind::HostKey, 0));
    let text = error.to_string();
    assert!(text.contains("another key than before") && text.contains("ssh-keygen -R"), "{text}");
    assert_eq!(fs::read_to_string(server.ssh_file("known_hosts")).unwrap(), before);
    assert!(!server.log().contains("Accepted"), "nothing was sent");
}

#[test]
fn of_several_keys_the_one_that_is_known_is_wanted() {
    let server = Sshd::with(Setting { host_keys: vec!["rsa", "ecdsa", "ed25519"], ..Setting::default() });
    for kind in ["rsa", "ecdsa", "ed25519"] {
        server.know(server.port, kind);
        let (result, asked) = list(&server, false);
        assert_eq!((result.unwrap(), asked.len()), (0, 0), "{kind}");
    }
}
