//! Whole backups in a bucket: ours, the command line's, and duplicity's.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::common::duplicity::{Duplicity, versions};
use crate::common::engine::{Backup, PASSPHRASE, to_key};
use crate::common::gpg::Home;
use crate::common::program::expect;
use crate::common::tree::{assert_same, edit, look, make_small, noise};
use crate::s3::{Answer, BUCKET, KEY_ID, SECRET, Server};

const FIRST: i64 = 1_700_000_000;

fn objects(server: &Server, prefix: &str) -> BTreeSet<String> {
    server.really_there(prefix)
}

#[test]
fn a_backup_comes_back_although_the_store_is_moody() {
    let server = Server::start();
    let scratch = tempfile::tempdir().unwrap();
    let source = scratch.path().join("source");
    make_small(&source);
    fs::write(source.join("large"), noise(9, 9_000_000)).unwrap();
    let backup = Backup::new(&source, Path::new("unused")).stored_in(Arc::new(server.storage("p")));
    let count = AtomicUsize::new(0);
    server.answer_with(move |_| match count.fetch_add(1, Ordering::SeqCst) % 7 {
        2 => Some(Answer::Instead(503, "SlowDown")),
        5 => Some(Answer::Afterwards(500, "InternalError")),
        _ => None,
    });
    let first = look(&source);
    backup.clone().at(FIRST).back_up();
    edit(&source, 1, 20);
    let second = look(&source);
    backup.clone().incremental().at(FIRST + 100).back_up();
    let stored = objects(&server, "p");
    assert!(stored.iter().all(|name| name.starts_with("duplicity-")), "{stored:?}");
    for (time, expected) in [(FIRST, first), (FIRST + 100, second)] {
        let target = scratch.path().join(format!("target-{time}"));
        backup.restore_at(time, &target);
        assert_same(&expected, &look(&target), "the restore");
    }
    backup.verify();
}

/// The command line, with the server and its key in the environment.
fn command(server: &Server, home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_souvenir-cli"));
    command
        .args(arguments)
        .env("HOME", home)
        .env("XDG_CACHE_HOME", home.join("cache"))
        .env("AWS_ENDPOINT_URL", server.endpoint())
        .env("AWS_ACCESS_KEY_ID", KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", SECRET)
        .stdin(Stdio::null());
    command
}

#[test]
fn every_verb_takes_a_bucket() {
    let server = Server::start();
    let home = tempfile::tempdir().unwrap();
    let source = home.path().join("source");
    make_small(&source);
    let (place, source) = (format!("s3://{BUCKET}/p"), source.to_str().unwrap().to_owned());
    let target = home.path().join("target");
    let ours = |arguments: &[&str]| command(&server, home.path(), arguments);
    expect(0, ours(&["backup", "--no-encryption", &source, &place]));
    edit(Path::new(&source), 3, 5);
    expect(0, ours(&["backup", "--no-encryption", "--incremental", &source, &place]));
    let verbs: [&[&str]; 9] = [
        &["status", &place],
        &["list", &place],
        &["search", &place, "a"],
        &["verify", "--all", &place],
        &["verify", &place, &source],
        &["drill", &place],
        &["prune", "--keep-daily", "1", &place],
        &["remove-all-inc-of-but-n-full", "1", &place],
        &["cleanup", &place],
    ];
    for arguments in verbs {
        expect(0, ours(arguments));
    }
    expect(0, ours(&["restore", &place, target.to_str().unwrap()]));

    // Who signs in, from the files of Amazon's tools, and the service from an option.
    let mut files = ours(&["status", "--s3-endpoint-url", &server.endpoint(), &place]);
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"] {
        files.env_remove(name);
    }
    fs::create_dir(home.path().join(".aws")).unwrap();
    let keys = format!("[default]\naws_access_key_id = {KEY_ID}\naws_secret_access_key = {SECRET}\n");
    fs::write(home.path().join(".aws/credentials"), keys).unwrap();
    expect(0, files);

    let mut wrong = ours(&["status", &place]);
    wrong.env("AWS_SECRET_ACCESS_KEY", "wrong");
    let (_, said) = expect(3, wrong);
    assert!(said.contains("SignatureDoesNotMatch"), "{said}");
    let (_, said) = expect(3, ours(&["backup", "--no-encryption", &source, "s3://nobodys/a"]));
    assert!(said.contains("NoSuchBucket"), "{said}");
}

#[test]
fn backups_are_copied_to_a_bucket_and_from_one_to_a_folder() {
    let server = Server::start();
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    make_small(Path::new(&path("source")));
    fs::write(path("source/large"), noise(5, 3_000_000)).unwrap();
    let ours = |arguments: &[&str]| command(&server, home.path(), arguments);
    let backup = ["backup", "--no-encryption", "--volume-size", "1", &path("source"), &path("from")];
    expect(0, ours(&backup));
    let (bucket, other) = (format!("s3://{BUCKET}/copy"), format!("s3://{BUCKET}/other"));
    for (from, to) in [(&path("from"), &bucket), (&bucket, &other), (&other, &path("to"))] {
        expect(0, ours(&["copy", from, to]));
        let (said, _) = expect(0, ours(&["copy", from, to]));
        assert!(said.contains("There was nothing to copy"), "{said}");
    }
    let files = |folder: &str| -> Vec<(String, Vec<u8>)> {
        let mut files: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
            })
            .collect();
        files.sort();
        files
    };
    assert!(files(&path("from")) == files(&path("to")));

    // To another service, which knows another access key.
    let elsewhere = Server::start_for("AKIAELSEWHERE", "another secret");
    let url = elsewhere.endpoint();
    let service = ["--to-s3-endpoint-url", &url, "--to-s3-access-key-id", "AKIAELSEWHERE"];
    let there = |verb: &[&str]| {
        let mut command = ours(&[verb, &service].concat());
        command.env("TO_AWS_SECRET_ACCESS_KEY", "another secret");
        command
    };
    expect(0, there(&["copy", &bucket, &other]));
    let (said, _) = expect(0, there(&["copy", &bucket, &other]));
    assert!(said.contains("There was nothing to copy"), "{said}");
    assert_eq!(server.really_there("copy/"), elsewhere.really_there("other/"));
    // Nobody is there to say the secret.
    let (_, said) = expect(3, ours(&[&["copy", &bucket, &other][..], &service].concat()));
    assert!(!said.contains("SignatureDoesNotMatch"), "the secret of another key was tried: {said}");
    let stored: BTreeSet<String> = files(&path("from")).into_iter().map(|(name, _)| name).collect();
    assert_eq!((objects(&server, "copy"), objects(&server, "other")), (stored.clone(), stored));
}

#[test]
fn a_backup_that_is_killed_is_gone_on_with() {
    let server = Server::start();
    let home = tempfile::tempdir().unwrap();
    let source = home.path().join("source");
    make_small(&source);
    fs::write(source.join("large"), noise(3, 14_000_000)).unwrap();
    let place = format!("s3://{BUCKET}/p");
    let arguments =
        ["backup", "--no-encryption", "--volume-size", "1", source.to_str().unwrap(), place.as_str()];
    let is_finished =
        |name: &String| name.starts_with(".unfinished-") && !name.contains("-new-") && name.contains(".vol");
    let finished = || -> Vec<String> { objects(&server, "p").into_iter().filter(is_finished).collect() };
    // Slow enough to be killed in the middle.
    server.answer_with(|asked| {
        if asked.method == "PUT" {
            std::thread::sleep(Duration::from_millis(60));
        }
        None
    });
    let mut child = command(&server, home.path(), &arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while finished().len() < 3 {
        assert!(child.try_wait().unwrap().is_none() && begun.elapsed() < Duration::from_secs(60));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let left = finished();
    expect(0, command(&server, home.path(), &arguments));
    let stored = objects(&server, "p");
    assert!(stored.iter().all(|name| name.starts_with("duplicity-")), "{stored:?}");
    assert!(left.iter().any(|name| stored.iter().any(|stored| name.ends_with(stored))), "{left:?}");
    let target = home.path().join("target");
    expect(0, command(&server, home.path(), &["restore", &place, target.to_str().unwrap()]));
    assert_same(&look(&source), &look(&target), "the restore");
}

/// duplicity, with the server and its key.
fn duplicity(program: &Duplicity, server: &Server, arguments: &[&str]) -> String {
    let cache = tempfile::tempdir().unwrap();
    let output = program
        .command(cache.path())
        .env("AWS_ACCESS_KEY_ID", KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", SECRET)
        .args(arguments)
        .args(["--s3-endpoint-url", &server.endpoint(), "--s3-region-name", "us-east-1"])
        .output()
        .unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "duplicity {arguments:?}: {}\n{said}", output.status);
    said
}

#[test]
fn duplicity_reads_in_a_bucket_what_we_stored_there_and_the_other_way_round() {
    let home = Home::new();
    let key = home.key("owner", PASSPHRASE);
    for (index, program) in versions(home.path()).iter().enumerate() {
        let server = Server::start();
        let scratch = tempfile::tempdir().unwrap();
        let source = scratch.path().join("source");
        make_small(&source);
        fs::write(source.join("large"), noise(2, 4_000_000)).unwrap();
        let target = |name: &str| -> PathBuf { scratch.path().join(format!("{name}-{index}")) };
        let backup_in = |prefix: &str| {
            Backup::new(&source, Path::new("unused"))
                .protected(to_key(&key, false, None), home.keyring())
                .stored_in(Arc::new(server.storage(prefix)))
        };
        let source_text = source.to_str().unwrap();
        let keys = ["--encrypt-key", key.as_str()];

        // Ours, restored and gone on with by duplicity.
        let ours = format!("boto3+s3://{BUCKET}/o");
        let backup = backup_in("o");
        backup.clone().at(FIRST).back_up();
        edit(&source, 4, 8);
        backup.clone().incremental().at(FIRST + 100).back_up();
        let to = target("t");
        duplicity(program, &server, &["restore", &ours, to.to_str().unwrap()]);
        assert_same(&look(&source), &look(&to), "duplicity's restore of ours");
        edit(&source, 5, 8);
        duplicity(
            program,
            &server,
            &["incremental", keys[0], keys[1], "--allow-source-mismatch", source_text, &ours],
        );
        let to = target("ours-after-theirs");
        backup.restore(&to);
        assert_same(&look(&source), &look(&to), "our restore after duplicity went on");

        // Theirs, restored by us.
        let theirs = format!("boto3+s3://{BUCKET}/t");
        duplicity(program, &server, &["full", keys[0], keys[1], "--volsize", "1", source_text, &theirs]);
        let to = target("o");
        backup_in("t").restore(&to);
        assert_same(&look(&source), &look(&to), "our restore of duplicity's");
    }
}
