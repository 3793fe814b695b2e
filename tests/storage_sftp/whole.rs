//! Whole backups on a server: ours, the command line's, and duplicity's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::common::duplicity::{Duplicity, versions};
use crate::common::engine::{Backup, Options, PASSPHRASE, names, to_key};
use crate::common::gpg::Home;
use crate::common::program::expect;
use crate::common::proxy::Proxy;
use crate::common::sshd::{PASSWORD, Setting, Sshd, can_have_passwords};
use crate::common::tree::{assert_same, edit, look, make_everything, make_small, noise};
use souvenir::engine::job::{Job, Warning};
use souvenir::engine::storage::sftp::{SftpOptions, SftpStorage, Times};
use souvenir::engine::storage::{Backoff, Credentials, SftpAddress};

const FIRST: i64 = 1_700_000_000;

fn url(server: &Sshd, path: &str) -> String {
    format!("sftp://{}@127.0.0.1:{}/{path}", server.address("").user.unwrap(), server.port)
}

fn make_tree(root: &Path) {
    for index in 0..150_usize {
        let path = root.join(format!("folder-{}/file-{index}", index % 7));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, noise(index as u64, index * 100)).unwrap();
    }
    fs::write(root.join("large"), noise(1, 7_000_000)).unwrap();
}

/// What is left of a damaged volume on a server, and of a set whose manifest is damaged.
#[test]
fn what_is_left_of_damaged_files_comes_back() {
    let server = Sshd::start();
    let source = server.scratch.path().join("source");
    make_tree(&source);
    let home = Home::new();
    let key = home.key("reader", "");
    let mut backup = Backup::new(&source, Path::new("unused"))
        .stored_in(Arc::new(server.storage("backups")))
        .protected(to_key(&key, false, Some(&key)), home.keyring());
    backup.back_up();
    backup.sign_key = Some(key);
    let stored = server.folder().join("backups");
    let harm = |part: &str| {
        let name = names(&stored).into_iter().find(|name| name.contains(part)).unwrap();
        let mut contents = fs::read(stored.join(&name)).unwrap();
        let middle = contents.len() / 2;
        contents[middle] ^= 1;
        fs::write(stored.join(name), contents).unwrap();
    };
    for part in [".vol1.", ".manifest."] {
        harm(part);
        let target = server.scratch.path().join(part);
        let (result, warnings) = backup.try_restore(&target, Options::default());
        result.unwrap();
        let is_lost = |warning: &&Warning| matches!(warning, Warning::NotRestored { .. });
        let lost = warnings.iter().filter(is_lost).count();
        let (before, after) = (look(&source), look(&target));
        assert!(lost <= 3 && after.len() + lost == before.len(), "{part}: {warnings:?}");
        assert!(after.iter().all(|(name, looks)| before.get(name) == Some(looks)), "{part}");
    }
}

#[test]
fn backups_come_back_byte_by_byte() {
    let server = Sshd::start();
    let source = server.scratch.path().join("source");
    make_everything(&source);
    fs::write(source.join("large"), noise(9, 4_000_000)).unwrap();
    let backup = Backup::new(&source, Path::new("unused")).stored_in(Arc::new(server.storage("a/b")));
    let first = look(&source);
    backup.clone().at(FIRST).try_back_up().0.unwrap();
    edit(&source, 1, 20);
    let second = look(&source);
    backup.clone().incremental().at(FIRST + 100).try_back_up().0.unwrap();
    let stored = names(&server.folder().join("a/b"));
    assert!(stored.iter().all(|name| name.starts_with("duplicity-")), "{stored:?}");
    assert!(stored.len() > 6, "{stored:?}");
    for (time, expected) in [(FIRST, first), (FIRST + 100, second)] {
        let target = server.scratch.path().join(format!("target-{time}"));
        backup.restore_at(time, &target);
        let mut expected = expected;
        // Sockets cannot be backed up.
        expected.retain(|name, _| look(&target).contains_key(name) || !is_socket(&source, name));
        assert_same(&expected, &look(&target), "the restore");
    }
    backup.verify();
}

fn is_socket(root: &Path, name: &[u8]) -> bool {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::FileTypeExt;
    let path = root.join(std::ffi::OsStr::from_bytes(name));
    path.symlink_metadata().is_ok_and(|metadata| metadata.file_type().is_socket())
}

#[test]
fn a_whole_backup_over_a_line_that_breaks() {
    let server = Sshd::start();
    let proxy = Proxy::to(server.port);
    server.also_know(proxy.port);
    let source = server.scratch.path().join("source");
    make_tree(&source);
    // On a busy machine an answer takes a while.
    let options = SftpOptions {
        times: Times::default(),
        backoff: Backoff { give_up_after: Duration::from_secs(120), ..server.options().backoff },
        ..server.options()
    };
    let address = SftpAddress { port: Some(proxy.port), ..server.address("backup") };
    let storage = Arc::new(SftpStorage::at(&address, &Credentials::default(), &options, &Job::unattended()));
    let backup = Backup::new(&source, Path::new("unused")).stored_in(storage);
    let target = server.scratch.path().join("target");
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Each connection gets something done, so it comes to an end however slow the machine is.
            let mut passed = 0;
            while !done.load(std::sync::atomic::Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(20));
                if proxy.passed() > passed + 2_000_000 {
                    proxy.cut();
                    passed = proxy.passed();
                }
            }
        });
        proxy.slow(8_000_000);
        backup.back_up();
        backup.restore(&target);
        done.store(true, std::sync::atomic::Ordering::SeqCst);
    });
    assert_same(&look(&source), &look(&target), "the restore");
    let stored = names(&server.folder().join("backup"));
    assert!(stored.iter().all(|name| name.starts_with("duplicity-")), "{stored:?}");
    assert!(proxy.cuts() > 2);
}

/// The command line, at home where the server is known.
fn command(server: &Sshd, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_souvenir-cli"));
    command
        .args(arguments)
        .env("HOME", server.home())
        .env("XDG_CACHE_HOME", server.scratch.path().join("cache"))
        .env_remove("SSH_AUTH_SOCK")
        .env_remove("FTP_PASSWORD")
        .stdin(Stdio::null());
    command
}

#[test]
fn a_backup_that_is_killed_is_gone_on_with() {
    let server = Sshd::start();
    let source = server.scratch.path().join("source");
    make_tree(&source);
    let place = url(&server, "backup");
    let folder = server.folder().join("backup");
    let arguments =
        ["backup", "--no-encryption", "--volume-size", "1", source.to_str().unwrap(), place.as_str()];
    let is_finished =
        |name: &String| name.starts_with(".unfinished-") && !name.contains("-new-") && name.contains(".vol");
    let mut child: Child =
        command(&server, &arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while !folder.exists() || names(&folder).iter().filter(|name| is_finished(name)).count() < 2 {
        assert!(child.try_wait().unwrap().is_none() && begun.elapsed() < Duration::from_secs(60));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let left: Vec<_> = names(&folder).into_iter().filter(is_finished).collect();
    assert!(!left.is_empty());
    expect(0, command(&server, &arguments));
    let stored = names(&folder);
    assert!(stored.iter().all(|name| name.starts_with("duplicity-")), "{stored:?}");
    assert!(left.iter().any(|name| stored.iter().any(|stored| name.ends_with(stored))), "{left:?}");
    let target = server.scratch.path().join("target");
    expect(0, command(&server, &["restore", &place, target.to_str().unwrap()]));
    assert_same(&look(&source), &look(&target), "the restore");
}

#[test]
fn every_verb_takes_an_address() {
    let server = Sshd::start();
    let source = server.scratch.path().join("source");
    make_small(&source);
    let (place, source) = (url(&server, "backup"), source.to_str().unwrap().to_owned());
    let target = server.scratch.path().join("target");
    expect(0, command(&server, &["backup", "--no-encryption", &source, &place]));
    edit(Path::new(&source), 3, 5);
    expect(0, command(&server, &["backup", "--no-encryption", "--incremental", &source, &place]));
    let verbs: [&[&str]; 11] = [
        &["status", &place],
        &["list", &place],
        &["list", "--no-catalog", &place],
        &["search", &place, "a"],
        &["catalog", &place],
        &["verify", "--all", &place],
        &["verify", &place, &source],
        &["drill", &place],
        &["prune", "--keep-daily", "1", &place],
        &["remove-all-inc-of-but-n-full", "1", &place],
        &["cleanup", &place],
    ];
    for arguments in verbs {
        expect(0, command(&server, arguments));
    }
    expect(0, command(&server, &["restore", &place, target.to_str().unwrap()]));
    // Who is not known and cannot be asked about is not talked to.
    fs::remove_file(server.ssh_file("known_hosts")).unwrap();
    let (_, said) = expect(3, command(&server, &["status", &place]));
    assert!(said.contains("SHA256:"), "{said}");
}

#[test]
fn the_command_line_and_passwords() {
    if !can_have_passwords() {
        println!("only root can give a server passwords of its own");
        return;
    }
    let server = Sshd::with(Setting { passwords: true, ..Setting::default() });
    fs::write(server.folder().join(".ssh/authorized_keys"), "").unwrap();
    fs::create_dir(server.folder().join("backup")).unwrap();
    let place = url(&server, "backup");
    let with = |password: &str, arguments: &[&str]| {
        let mut command = command(&server, arguments);
        command.env("FTP_PASSWORD", password);
        command
    };
    let (_, said) = expect(3, command(&server, &["status", &place]));
    assert!(said.contains("does not let"), "{said}");
    expect(3, with("wrong", &["status", &place]));
    expect(0, with(PASSWORD, &["status", &place]));
    let (said, _) = expect(0, with(PASSWORD, &["ssh-setup", &place]));
    assert!(said.contains("id_ed25519_souvenir"), "{said}");
    expect(0, command(&server, &["status", &place]));
    let (said, _) = expect(0, command(&server, &["--json", "ssh-setup", &place]));
    assert!(said.contains("\"made_key\": false") || said.contains("\"made_key\":false"), "{said}");
    expect(2, command(&server, &["ssh-setup", "/a/folder"]));
}

/// duplicity, at home where the server is known.
fn duplicity(program: &Duplicity, server: &Sshd, arguments: &[&str]) -> String {
    let cache = tempfile::tempdir().unwrap();
    let output = program
        .command(cache.path())
        .env("HOME", server.home())
        .env_remove("SSH_AUTH_SOCK")
        .args(arguments)
        .output()
        .unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "duplicity {arguments:?}: {}\n{said}", output.status);
    said
}

#[test]
fn duplicity_reads_on_a_server_what_we_stored_there_and_the_other_way_round() {
    let home = Home::new();
    let key = home.key("owner", PASSPHRASE);
    for (index, program) in versions(home.path()).iter().enumerate() {
        let server = Sshd::start();
        let source = server.scratch.path().join("source");
        make_small(&source);
        fs::write(source.join("large"), noise(2, 4_000_000)).unwrap();
        let target = |name: &str| -> PathBuf { server.scratch.path().join(format!("{name}-{index}")) };
        let protection = to_key(&key, false, None);

        // Ours, restored and gone on with by duplicity.
        let backup = Backup::new(&source, Path::new("unused"))
            .protected(protection.clone(), home.keyring())
            .stored_in(Arc::new(server.storage("ours")));
        backup.clone().at(FIRST).back_up();
        edit(&source, 4, 8);
        backup.clone().incremental().at(FIRST + 100).back_up();
        let ours = url(&server, "ours");
        let to = target("theirs");
        duplicity(program, &server, &["restore", &ours, to.to_str().unwrap()]);
        assert_same(&look(&source), &look(&to), "duplicity's restore of ours");
        let status = duplicity(program, &server, &["collection-status", &ours]);
        assert!(status.contains("No orphaned or incomplete backup sets found"), "{status}");
        edit(&source, 5, 8);
        let keys = ["--encrypt-key", key.as_str()];
        let source_text = source.to_str().unwrap();
        let extend = ["incremental", keys[0], keys[1], "--allow-source-mismatch", source_text, &ours];
        duplicity(program, &server, &extend);
        let to = target("ours-after-theirs");
        backup.restore(&to);
        assert_same(&look(&source), &look(&to), "our restore after duplicity went on");

        // Theirs, restored and gone on with by us, through the absolute path.
        let absolute = server.folder().join("theirs");
        let theirs = url(&server, absolute.to_str().unwrap());
        duplicity(program, &server, &["full", keys[0], keys[1], "--volsize", "1", source_text, &theirs]);
        let backup = Backup::new(&source, Path::new("unused"))
            .protected(protection.clone(), home.keyring())
            .stored_in(Arc::new(server.storage("theirs")));
        let to = target("ours");
        backup.restore(&to);
        assert_same(&look(&source), &look(&to), "our restore of duplicity's");
        edit(&source, 6, 8);
        // A set of the same second would get the next one, which duplicity does not look into yet.
        std::thread::sleep(Duration::from_millis(1100));
        backup.clone().incremental().back_up();
        let to = target("theirs-after-ours");
        duplicity(program, &server, &["restore", &theirs, to.to_str().unwrap()]);
        assert_same(&look(&source), &look(&to), "duplicity's restore after we went on");
    }
}
