//! What stores say no to, and lines that fail.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::common::sshd::attended;
use crate::common::tree::noise;
use crate::s3::{Answer, BUCKET, KEY_ID, SECRET, Server};
use souvenir::engine::job::{CancelReason, Job, Question};
use souvenir::engine::storage::{S3Address, Storage, StorageErrorKind, StorageResult, WantedCredential};

fn put(storage: &dyn Storage, name: &str, bytes: &[u8]) -> StorageResult<()> {
    let mut upload = storage.create(name)?;
    // An error of the place, as it is.
    upload.write_all(bytes).map_err(|error| error.downcast().unwrap())?;
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
fn who_is_not_known_does_not_get_in() {
    let server = Server::start();
    let job = Job::unattended();
    let wrong = server.storage_at(&server.address("a"), Some("wrong"), &job);
    assert_eq!(kind(wrong.list()), StorageErrorKind::Credentials);
    let nobody = server.storage_at(&server.address("a"), None, &job);
    assert_eq!(kind(nobody.list()), StorageErrorKind::Credentials);
    assert_eq!(server.asked().len(), 1, "without a secret nothing is asked of the store");
}

#[test]
fn a_secret_is_asked_for_until_it_is_right() {
    let server = Arc::new(Server::start());
    let mut asked = Vec::new();
    let mut answers = ["wrong", "wrong again", SECRET].into_iter();
    let files = attended(
        {
            let server = Arc::clone(&server);
            move |job| {
                let storage = server.storage_at(&server.address("a"), None, job);
                put(&storage, "file", b"it").unwrap();
                storage.list().unwrap().len()
            }
        },
        |question| {
            let Question::Credential { request, reply } = question else { panic!("{question:?}") };
            asked.push((request.wanted, request.previous_was_wrong));
            reply.send(answers.next().map(Into::into)).unwrap();
        },
    );
    assert_eq!(files, 1);
    let wanted = WantedCredential::SecretKey { key_id: KEY_ID.to_owned() };
    assert_eq!(asked, [(wanted.clone(), false), (wanted.clone(), true), (wanted, true)]);
}

#[test]
fn a_bucket_that_is_not_there_is_named() {
    let server = Server::start();
    let address = S3Address { bucket: "nobodys".to_owned(), ..server.address("a") };
    let storage = server.storage_at(&address, Some(SECRET), &Job::unattended());
    assert_eq!(kind(storage.list()), StorageErrorKind::NoSuchBucket);
}

#[test]
fn what_a_store_says_is_understood() {
    for (status, code, expected) in [
        (403, "AccessDenied", StorageErrorKind::Permission),
        (403, "RequestTimeTooSkewed", StorageErrorKind::ClockWrong),
        (400, "AuthorizationHeaderMalformed", StorageErrorKind::WrongRegion),
        (301, "PermanentRedirect", StorageErrorKind::WrongRegion),
        (400, "ExpiredToken", StorageErrorKind::Credentials),
        (507, "", StorageErrorKind::Full),
    ] {
        let server = Server::start();
        server.answer_with(move |_| Some(Answer::Instead(status, code)));
        assert_eq!(kind(server.storage("a").list()), expected, "{code}");
    }
    let server = Server::start();
    put(&server.storage("a"), "cold", b"it").unwrap();
    server.answer_with(|asked| (asked.method == "GET").then_some(Answer::Instead(403, "InvalidObjectState")));
    assert_eq!(kind(server.storage("a").open("cold")), StorageErrorKind::Archived);
}

#[test]
fn a_store_that_wants_to_be_asked_later_is_asked_later() {
    let server = Server::start();
    let count = AtomicUsize::new(0);
    server.answer_with(move |_| match count.fetch_add(1, Ordering::SeqCst) % 3 {
        0 => Some(Answer::Instead(503, "SlowDown")),
        1 => Some(Answer::Instead(500, "InternalError")),
        _ => None,
    });
    let storage = server.storage("a");
    let bytes = noise(1, 13_000_000);
    put(&storage, "large", &bytes).unwrap();
    put(&storage, "small", &bytes[..10]).unwrap();
    assert!(get(&storage, "large") == bytes);
    storage.rename("large", "renamed").unwrap();
    storage.delete("small").unwrap();
    assert_eq!(storage.list().unwrap().len(), 1);

    // One that never wants to be asked is given up.
    server.answer_with(|_| Some(Answer::Instead(503, "SlowDown")));
    let begun = Instant::now();
    assert_eq!(kind(storage.list()), StorageErrorKind::Busy);
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn answers_that_are_lost_do_no_harm() {
    let server = Server::start();
    let storage = server.storage("a");
    let bytes = noise(1, 12_000_000);
    // Of everything that changes something, the first answer is lost.
    let mut seen = std::collections::HashSet::new();
    server.answer_with(move |asked| {
        let changes = asked.method != "GET" && asked.method != "HEAD";
        (changes && seen.insert((asked.method.clone(), asked.target.clone())))
            .then_some(Answer::Afterwards(500, "InternalError"))
    });
    put(&storage, "small", b"small").unwrap();
    put(&storage, "large", &bytes).unwrap();
    storage.rename("large", "renamed").unwrap();
    assert!(get(&storage, "renamed") == bytes);
    assert_eq!(get(&storage, "small"), b"small");
    assert_eq!(kind(put(&storage, "small", b"other")), StorageErrorKind::AlreadyExists);
    storage.delete("small").unwrap();
    assert_eq!(storage.list().unwrap().len(), 1);
}

#[test]
fn a_store_without_conditions_still_replaces_nothing() {
    let server = Server::start();
    server.answer_with(|asked| {
        asked.headers.contains_key("if-none-match").then_some(Answer::Instead(501, "NotImplemented"))
    });
    let storage = server.storage("a");
    put(&storage, "file", b"first").unwrap();
    assert_eq!(kind(put(&storage, "file", b"second")), StorageErrorKind::AlreadyExists);
    let bytes = noise(1, 12_000_000);
    put(&storage, "large", &bytes).unwrap();
    assert_eq!(get(&storage, "file"), b"first");
    assert!(get(&storage, "large") == bytes);
    // Also if the first thing that is sent is large.
    let storage = server.storage("a");
    put(&storage, "large too", &bytes).unwrap();
    assert!(get(&storage, "large too") == bytes);
}

#[test]
fn a_store_that_falls_silent_is_given_up_and_a_stop_ends_the_wait() {
    let server = Server::start();
    server.answer_with(|_| Some(Answer::Silence));
    let begun = Instant::now();
    assert_eq!(kind(server.storage("a").list()), StorageErrorKind::Timeout);
    assert!(begun.elapsed() < Duration::from_secs(60));

    let job = Job::unattended();
    let control = job.control().clone();
    let storage = server.storage_at(&server.address("a"), Some(SECRET), &job);
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        control.cancel(CancelReason::Metered);
    });
    let begun = Instant::now();
    assert_eq!(kind(storage.list()), StorageErrorKind::Cancelled(CancelReason::Metered));
    assert!(begun.elapsed() < Duration::from_secs(3));

    // Nobody listens there any more.
    let gone = S3Address { endpoint: Some("http://127.0.0.1:9".to_owned()), ..server.address("a") };
    let storage = server.storage_at(&gone, Some(SECRET), &Job::unattended());
    assert_eq!(kind(storage.list()), StorageErrorKind::Unreachable);
}

#[test]
fn only_volumes_are_kept_in_the_class_for_volumes() {
    let server = Server::start();
    // The only class that this server knows; usually nothing says so.
    let address = S3Address { storage_class: Some("STANDARD".to_owned()), ..server.address("a") };
    let storage = server.storage_at(&address, Some(SECRET), &Job::unattended());
    let set = "duplicity-full.20231114T221320Z";
    let bytes = noise(1, 6_000_000);
    for (part, class) in [("vol1.difftar.gz", Some("STANDARD")), ("manifest", None)] {
        put(&storage, "unfinished", &bytes).unwrap();
        server.asked();
        let name = format!("{set}.{part}");
        storage.rename("unfinished", &name).unwrap();
        let asked = server.asked();
        let copied = asked.iter().filter_map(|asked| asked.headers.get("x-amz-copy-source"));
        let copied: Vec<_> = copied.map(|source| source.to_str().unwrap()).collect();
        assert_eq!(copied, [format!("{BUCKET}/a/unfinished")], "{name}: {asked:?}");
        let found = asked.iter().find_map(|asked| asked.headers.get("x-amz-storage-class"));
        assert_eq!(found.map(|class| class.to_str().unwrap()), class, "{name}");
        assert!(get(&storage, &name) == bytes);
    }
    assert_eq!(storage.list().unwrap().len(), 2);
}
