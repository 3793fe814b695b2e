//! Every way to sign in.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use souvenir::engine::job::{Job, Question};
use souvenir::engine::storage::sftp::{Setup, SftpOptions, SftpStorage, set_up_key};
use souvenir::engine::storage::{
    Credentials, SftpAddress, Storage, StorageErrorKind, StorageResult, WantedCredential,
};

use crate::common::sshd::{PASSWORD, Setting, Sshd, attended, can_have_passwords, make_key, nobody_is_asked};

/// Lists the folder, and answers what is asked from `answers`, in order.
fn list(
    address: SftpAddress,
    options: SftpOptions,
    password: Option<&str>,
    answers: &[&str],
) -> (StorageResult<usize>, Vec<(WantedCredential, bool)>) {
    let mut answers = answers.iter();
    let mut asked = Vec::new();
    let credentials = Credentials { secret: password.map(Into::into), ..Credentials::default() };
    let result = attended(
        move |job| {
            let storage = SftpStorage::at(&address, &credentials, &options, job);
            storage.list().map(|files| files.len())
        },
        |question| match question {
            Question::Credential { request, reply } => {
                assert!(request.location.starts_with("sftp://"));
                asked.push((request.wanted, request.previous_was_wrong));
                reply.send(answers.next().map(|answer| (*answer).into())).unwrap();
            }
            other => panic!("{other:?}"),
        },
    );
    (result, asked)
}

#[test]
fn key_files_of_every_kind() {
    let server = Sshd::start();
    fs::remove_file(server.ssh_file("id_ed25519")).unwrap();
    for (kind, name) in [("ed25519", "id_ed25519"), ("ecdsa", "id_ecdsa"), ("rsa", "id_rsa")] {
        for passphrase in ["", "secret words"] {
            let key = server.ssh_file(name);
            let _ = fs::remove_file(&key);
            make_key(&key, kind, passphrase);
            server.authorize(&key);
            let (result, asked) =
                list(server.address(""), server.options(), None, &["wrong", "wrong too", passphrase]);
            assert_eq!(result.unwrap(), 0, "{kind}");
            let wanted = WantedCredential::KeyPassphrase { path: key.clone() };
            let expected = [false, true, true].map(|was_wrong| (wanted.clone(), was_wrong));
            assert_eq!(asked, if passphrase.is_empty() { vec![] } else { expected.to_vec() });
            fs::remove_file(&key).unwrap();
        }
    }
    // The old form of key files, which says so in its head.
    let key = server.ssh_file("id_rsa");
    let status = Command::new("ssh-keygen")
        .args(["-q", "-t", "rsa", "-m", "PEM", "-N", "secret words", "-f"])
        .arg(&key)
        .status();
    assert!(status.unwrap().success());
    server.authorize(&key);
    let (result, asked) = list(server.address(""), server.options(), None, &["secret words"]);
    assert_eq!((result.unwrap(), asked.len()), (0, 1));
    // Three wrong answers are enough, and no answer is one.
    for answers in [&["a", "b", "c", "secret words"][..], &[]] {
        let (result, asked) = list(server.address(""), server.options(), None, answers);
        let error = result.unwrap_err();
        assert_eq!((error.kind, asked.len()), (StorageErrorKind::Credentials, answers.len().clamp(1, 3)));
        assert!(error.to_string().contains("id_rsa"), "{error}");
    }
}

struct Agent {
    child: Child,
    socket: std::path::PathBuf,
}

impl Agent {
    fn start(folder: &Path) -> Self {
        let socket = folder.join("agent");
        let child =
            Command::new("ssh-agent").args(["-D", "-a"]).arg(&socket).stdout(Stdio::null()).spawn().unwrap();
        while !socket.exists() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        Self { child, socket }
    }

    fn add(&self, key: &Path) {
        let added = Command::new("ssh-add").arg(key).env("SSH_AUTH_SOCK", &self.socket).output().unwrap();
        assert!(added.status.success(), "{added:?}");
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn the_keys_of_the_agent() {
    let server = Sshd::start();
    let agent = Agent::start(server.scratch.path());
    for kind in ["ed25519", "rsa", "ecdsa"] {
        let key = server.scratch.path().join(format!("elsewhere-{kind}"));
        make_key(&key, kind, "");
        agent.add(&key);
        server.authorize(&key);
        fs::remove_file(&key).unwrap();
        let options = SftpOptions { agent: Some(agent.socket.clone()), ..server.options() };
        let (result, asked) = list(server.address(""), options.clone(), None, &[]);
        assert_eq!((result.unwrap(), asked.len()), (0, 0), "{kind}");
        // Only those that the configuration names.
        fs::write(server.ssh_file("config"), "IdentitiesOnly yes\n").unwrap();
        let (result, _) = list(server.address(""), options.clone(), None, &[]);
        assert_eq!(result.unwrap_err().kind, StorageErrorKind::Credentials);
        let named = format!("IdentitiesOnly yes\nIdentityFile {}\n", key.display());
        fs::write(server.ssh_file("config"), named).unwrap();
        assert_eq!(list(server.address(""), options, None, &[]).0.unwrap(), 0);
        fs::remove_file(server.ssh_file("config")).unwrap();
    }
    let gone = SftpOptions { agent: Some("/nowhere".into()), ..server.options() };
    let (result, _) = list(server.address(""), gone, None, &[]);
    assert_eq!(result.unwrap_err().kind, StorageErrorKind::Credentials);
}

#[test]
fn what_the_configuration_says() {
    let server = Sshd::start();
    fs::rename(server.ssh_file("id_ed25519"), server.scratch.path().join("a key")).unwrap();
    let address = SftpAddress { user: None, host: "nas".to_owned(), port: None, path: String::new() };
    let config = format!(
        "Host n?s !other\n  HostName 127.0.0.1\n  Port {}\n  User {}\n  IdentityFile \"{}/a key\"\nHost *\n  User wrong\n",
        server.port,
        server.address("").user.unwrap(),
        server.scratch.path().display()
    );
    fs::write(server.ssh_file("config"), config).unwrap();
    let (result, asked) = list(address, server.options(), None, &[]);
    assert_eq!((result.unwrap(), asked.len()), (0, 0));
}

#[test]
fn the_key_file_that_is_named() {
    let server = Sshd::start();
    let chosen = server.scratch.path().join("a key for this server");
    make_key(&chosen, "ed25519", "");
    server.authorize(&chosen);
    let sign_in = |key_file: Option<&Path>| {
        let credentials = Credentials { key_file: key_file.map(Path::to_owned), ..Credentials::default() };
        let storage =
            SftpStorage::at(&server.address(""), &credentials, &server.options(), &Job::unattended());
        storage.list().map(|files| files.len())
    };
    assert_eq!(sign_in(None).unwrap_err().kind, StorageErrorKind::Credentials);
    assert_eq!(sign_in(Some(&chosen)).unwrap(), 0);
    // Then the usual ones, which a server may count as wrong attempts, are not tried.
    server.authorize(&server.ssh_file("id_ed25519"));
    let error = sign_in(Some(&chosen)).unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Credentials);
    assert!(!error.to_string().contains("id_ed25519,"), "{error}");
    let error = sign_in(Some(&server.scratch.path().join("gone"))).unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Credentials, "{error}");
}

/// A server that lets in with a password alone.
fn with_password(lines: &[&str]) -> Option<Sshd> {
    if !can_have_passwords() {
        println!("only root can give a server passwords of its own");
        return None;
    }
    let lines = lines.iter().map(|line| (*line).to_owned()).collect();
    let server = Sshd::with(Setting { passwords: true, lines, ..Setting::default() });
    fs::write(server.folder().join(".ssh/authorized_keys"), "").unwrap();
    Some(server)
}

fn passwords_are_asked_for(server: &Sshd) {
    let user = server.address("").user.unwrap();
    let wanted = WantedCredential::Password { user };
    let (result, asked) = list(server.address(""), server.options(), None, &["wrong", PASSWORD]);
    assert_eq!(result.unwrap(), 0);
    assert_eq!(asked, [(wanted.clone(), false), (wanted.clone(), true)]);
    // One that is known beforehand is not asked for, unless it is wrong.
    let (result, asked) = list(server.address(""), server.options(), Some(PASSWORD), &[]);
    assert_eq!((result.unwrap(), asked.len()), (0, 0));
    let (result, asked) = list(server.address(""), server.options(), Some("old"), &[PASSWORD]);
    assert_eq!((result.unwrap(), asked), (0, vec![(wanted.clone(), true)]));
    let (result, asked) = list(server.address(""), server.options(), None, &["a", "b", "c", PASSWORD]);
    let error = result.unwrap_err();
    assert_eq!((error.kind, asked.len()), (StorageErrorKind::Credentials, 3), "{error}");
    let (result, asked) = list(server.address(""), server.options(), None, &[]);
    assert_eq!((result.unwrap_err().kind, asked.len()), (StorageErrorKind::Credentials, 1));
}

#[test]
fn a_password() {
    let Some(server) = with_password(&[]) else { return };
    passwords_are_asked_for(&server);
}

#[test]
fn the_servers_own_questions() {
    let lines = ["UsePAM yes", "KbdInteractiveAuthentication yes", "PasswordAuthentication no"];
    let Some(server) = with_password(&lines) else { return };
    passwords_are_asked_for(&server);
    assert!(server.log().contains("Accepted keyboard-interactive"), "{}", server.log());
}

#[test]
fn a_key_and_the_servers_questions_together() {
    let lines = [
        "UsePAM yes",
        "KbdInteractiveAuthentication yes",
        "PasswordAuthentication no",
        "AuthenticationMethods publickey,keyboard-interactive",
    ];
    let Some(server) = with_password(&lines) else { return };
    server.authorize(&server.ssh_file("id_ed25519"));
    let (result, asked) = list(server.address(""), server.options(), None, &[PASSWORD]);
    assert_eq!((result.unwrap(), asked.len()), (0, 1));
}

#[test]
fn several_connections_ask_once() {
    let Some(server) = with_password(&[]) else { return };
    let (address, options) = (server.address(""), server.options());
    let mut questions = 0;
    attended(
        move |job| {
            let storage = SftpStorage::at(&address, &Credentials::default(), &options, job);
            let all_begun = std::sync::Barrier::new(4);
            std::thread::scope(|scope| {
                for number in 0..4 {
                    let (storage, all_begun) = (&storage, &all_begun);
                    scope.spawn(move || {
                        let upload = storage.create(&format!("file-{number}")).unwrap();
                        all_begun.wait();
                        upload.finish().unwrap();
                    });
                }
            });
        },
        |question| match question {
            Question::Credential { reply, .. } => {
                questions += 1;
                reply.send(Some(PASSWORD.into())).unwrap();
            }
            other => panic!("{other:?}"),
        },
    );
    assert_eq!(questions, 1);
    assert_eq!(server.log().matches("Accepted password").count(), 4, "{}", server.log());
}

#[test]
fn a_key_instead_of_the_password() {
    let Some(server) = with_password(&[]) else { return };
    let authorized = server.folder().join(".ssh/authorized_keys");
    let foreign = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGh0 somebody, without the end of the line";
    fs::write(&authorized, foreign).unwrap();
    let set_up = |password: Option<&'static str>| {
        let (address, options) = (server.address("backup"), server.options());
        let credentials = Credentials { secret: password.map(Into::into), ..Credentials::default() };
        attended(move |job| set_up_key(&address, &credentials, &options, job), nobody_is_asked)
    };
    let key = server.ssh_file("id_ed25519_souvenir");
    assert_eq!(set_up(Some(PASSWORD)).unwrap(), Setup { key: key.clone(), made_key: true, installed: true });
    let text = fs::read_to_string(&authorized).unwrap();
    let public = fs::read_to_string(key.with_extension("pub")).unwrap();
    assert_eq!(text, format!("{foreign}\n{public}"));
    // From now on nobody is asked.
    let (result, asked) = list(server.address(""), server.options(), None, &[]);
    assert_eq!((result.unwrap(), asked.len()), (0, 0));
    // Again: nothing is made, replaced or added; and if only the server has forgotten it, only that is mended.
    let secret = fs::read(&key).unwrap();
    assert_eq!(set_up(None).unwrap(), Setup { key: key.clone(), made_key: false, installed: false });
    fs::remove_dir_all(server.folder().join(".ssh")).unwrap();
    assert_eq!(set_up(Some(PASSWORD)).unwrap(), Setup { key: key.clone(), made_key: false, installed: true });
    assert_eq!(fs::read_to_string(&authorized).unwrap(), public);
    assert_eq!(fs::read(&key).unwrap(), secret);
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&authorized), mode(authorized.parent().unwrap())), (0o600, 0o700));
    assert_eq!(mode(&key), 0o600);
}
