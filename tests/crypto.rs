//! Sealing and opening with the real gpg: what comes out, what other programs make of it, and every way
//! in which it goes wrong.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking")]

mod common;

use std::fs::Permissions;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::gpg::Home;
use common::sealing::{crypto_error, open, open_signed, ours, seal, secrets, signed, to_keys};
use souvenir::engine::crypto::{
    AgentTrouble, CryptoError, Encryption, KeyAlgorithm, KeyState, Keyring, NewKey, Opener, PassphraseFor,
    PassphraseRequest, Passphrases, Protection, Recipient, SealDamage, Sealer, Secret, SignatureState,
    UnusableReason,
};
use souvenir::engine::error::{Error, Result};
use souvenir::engine::job::{self, CancelReason, Event, Job, JobHandle, Question};
use souvenir::engine::storage::StorageErrorKind;

/// A sink whose contents can be looked at afterwards.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes that do not repeat soon and do not compress.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Runs `work` with somebody there who gives these answers in turn and then declines.
fn attended<T: Send + 'static>(
    answers: &[&str],
    work: impl FnOnce(&Job) -> Result<T> + Send + 'static,
) -> (Result<T>, Vec<PassphraseRequest>) {
    let mut answers = answers.iter();
    let mut asked = Vec::new();
    let handle = job::spawn("attended", work).unwrap();
    loop {
        match handle.events.recv_blocking().unwrap() {
            Event::Question(Question::Passphrase { request, reply }) => {
                asked.push(request);
                reply.send(answers.next().map(|answer| Secret::from(*answer))).unwrap();
            }
            Event::Finished(result) => return (result, asked),
            _ => {}
        }
    }
}

fn key_of(what: &PassphraseFor) -> &str {
    match what {
        PassphraseFor::Key { id, .. } => id,
        PassphraseFor::Archive => panic!("not a key"),
    }
}

fn packets(home: &Home, sealed: &[u8], passphrase: &str) -> String {
    // It fails where it cannot decrypt, after it listed what it can.
    let output = home.try_gpg(&["--passphrase", passphrase, "--list-packets"], sealed);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

// What comes out

#[test]
fn every_protection_comes_back_and_gpg_reads_it() {
    let home = Home::new();
    let keyring = home.keyring();
    let alice = home.key("Alice <alice@example.org>", "pass");
    let bob = home.key("Bob <bob@example.org>", "pass");
    let passphrases = secrets("pass");
    let hidden = Protection {
        encryption: Encryption::Keys(vec![Recipient { key: alice.clone(), hidden: true }]),
        sign_key: None,
    };
    let protections = [
        Protection::passphrase(),
        to_keys(&[&alice]),
        to_keys(&[&alice, &bob]),
        hidden,
        signed(Protection::passphrase(), &bob),
        signed(to_keys(&[&alice]), &bob),
    ];
    for protection in &protections {
        for length in [0, 1, 300_001] {
            let plain = noise(length);
            let sealed = seal(&keyring, protection, &passphrases, &plain).unwrap();
            let (back, state) = open(&keyring, &passphrases, &sealed).unwrap();
            assert!(back == plain, "{protection:?} {length}");
            assert_eq!(matches!(state, SignatureState::Good(_)), protection.sign_key.is_some(), "{state:?}");
            assert!(
                home.gpg(&["--passphrase", "pass", "--decrypt"], &sealed) == plain,
                "{protection:?} {length}"
            );

            let listing = packets(&home, &sealed, "pass");
            assert!(listing.contains("mdc_method: 2"), "an integrity-protected packet: {listing}");
            assert!(!listing.contains("tag=20"), "{listing}");
            assert!(listing.contains("compressed packet"), "{listing}");
            assert_eq!(listing.contains("onepass_sig"), protection.sign_key.is_some(), "{listing}");
            assert_eq!(
                listing.contains("symkey enc packet"),
                protection.encryption == Encryption::Passphrase
            );
        }
    }
}

#[test]
fn files_that_gpg_made_are_opened() {
    let home = Home::new();
    let alice = home.key("Alice <alice@example.org>", "pass");
    let plain = noise(100_000);
    let recipient = ["--recipient", alice.as_str()];
    let by_passphrase = ["--passphrase", "pass"];
    let with = |options: &[&str]| home.gpg(&[&by_passphrase, &recipient, options].concat(), &plain);
    for sealed in [
        home.gpg(&["--passphrase", "pass", "--symmetric", "--cipher-algo", "TWOFISH"], &plain),
        with(&["--encrypt", "--armor"]),
        with(&["--encrypt", "--compress-algo", "bzip2"]),
        with(&["--encrypt", "--throw-keyids", "--sign"]),
        with(&["--encrypt", "--symmetric"]),
    ] {
        let (back, _) = open(&home.keyring(), &secrets("pass"), &sealed).unwrap();
        assert!(back == plain);
    }
}

#[test]
fn nothing_is_compressed_when_that_is_said() {
    let home = Home::new();
    let job = Job::unattended();
    let sealer = Sealer::new(&home.keyring(), &Protection::passphrase(), &secrets("pass"), &job).unwrap();
    let plain = vec![b'a'; 1 << 20];
    let mut writer = sealer.seal(Vec::new()).unwrap();
    writer.expect_compressible(false).unwrap();
    writer.write_all(&plain).unwrap();
    let sealed = writer.finish().unwrap();
    assert!(sealed.len() > plain.len() && sealed.len() < plain.len() + 1000);
    assert!(open(&home.keyring(), &secrets("pass"), &sealed).unwrap().0 == plain);
    assert!(
        seal(&home.keyring(), &Protection::passphrase(), &secrets("pass"), &plain).unwrap().len() < 10_000
    );
}

#[test]
fn some_recipients_are_hidden_and_some_are_not() {
    let home = Home::new();
    let alice = home.key("Alice <alice@example.org>", "");
    let bob = home.key("Bob <bob@example.org>", "");
    let recipients =
        vec![Recipient { key: alice.clone(), hidden: false }, Recipient { key: bob.clone(), hidden: true }];
    let protection = Protection { encryption: Encryption::Keys(recipients), sign_key: None };
    let plain = noise(200_000);
    let sealed = seal(&home.keyring(), &protection, &Passphrases::new(), &plain).unwrap();

    let listing = packets(&home, &sealed, "");
    let subkey = |user_id: &str| home.fingerprints(user_id)[1][24..].to_owned();
    assert!(listing.contains(&subkey("Alice <alice@example.org>")), "{listing}");
    assert!(!listing.contains(&subkey("Bob <bob@example.org>")), "{listing}");
    assert!(listing.contains("keyid 0000000000000000"), "{listing}");

    for owner in [&alice, &bob] {
        let other = Home::new();
        let secret = home.gpg(&["--export-secret-keys", owner], b"");
        other.gpg(&["--import"], &secret);
        assert!(open(&other.keyring(), &Passphrases::new(), &sealed).unwrap().0 == plain);
    }
}

#[test]
fn large_streams_take_little_memory() {
    let home = Home::new();
    let keyring = home.keyring();
    let job = Job::unattended();
    let sealer = Sealer::new(&keyring, &Protection::passphrase(), &secrets("pass"), &job).unwrap();
    let opener = Opener::new(&keyring, &secrets("pass"), None, &job).unwrap();
    let before = resident_peak_kib();
    let path = home.file("large.gpg");
    let mut writer = sealer.seal(std::fs::File::create(&path).unwrap()).unwrap();
    let piece = noise(1 << 20);
    for _ in 0..300 {
        writer.write_all(&piece).unwrap();
    }
    writer.finish().unwrap();
    let mut reader = opener.open(std::fs::File::open(&path).unwrap()).unwrap();
    let mut back = vec![0; 1 << 20];
    for _ in 0..300 {
        reader.read_exact(&mut back).unwrap();
        assert!(back == piece);
    }
    assert_eq!(reader.finish().unwrap(), SignatureState::Unsigned);
    let grown = resident_peak_kib() - before;
    // Other tests run at the same time in this process.
    assert!(grown < 100 * 1024, "{grown} KiB");
}

fn resident_peak_kib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

// What is written

/// The tags of a file's packets in turn, and whether all of them are of the new format.
fn layout(listing: &str) -> (Vec<u8>, bool) {
    let headers = listing.lines().filter(|line| line.starts_with("# off="));
    let field = |line: &str, name: &str| {
        line.split(' ').find_map(|word| word.strip_prefix(name)).expect("a field").to_owned()
    };
    let (mut tags, mut are_new) = (Vec::new(), true);
    for header in headers {
        tags.push(field(header, "tag=").parse().unwrap());
        are_new &= u8::from_str_radix(&field(header, "ctb="), 16).unwrap() >= 0xc0;
    }
    (tags, are_new)
}

/// The words that follow `label` in a listing.
fn words_after<'a>(listing: &'a str, label: &str) -> Vec<&'a str> {
    let after = listing.split(label).skip(1);
    after.map(|rest| rest.split([' ', '\n', ',']).find(|word| !word.is_empty()).unwrap()).collect()
}

/// A key that signs, with a part of some kind that encrypts.
fn key_that_encrypts_by(home: &Home, algorithm: &str) -> String {
    let user_id = format!("{algorithm} <{algorithm}@example.org>");
    home.gpg(&["--passphrase", "", "--quick-gen-key", &user_id, "ed25519", "sign", "never"], b"");
    let key = home.fingerprints(&user_id)[0].clone();
    home.gpg(&["--passphrase", "", "--quick-add-key", &key, algorithm, "encr", "never"], b"");
    key
}

#[test]
fn packets_are_those_that_the_format_names() {
    let home = Home::new();
    let alice = home.key("Alice <alice@example.org>", "");
    let bob = home.key("Bob <bob@example.org>", "");
    let to_both = || {
        let hidden = Recipient { key: bob.clone(), hidden: true };
        let named = Recipient { key: alice.clone(), hidden: false };
        Protection { encryption: Encryption::Keys(vec![named, hidden]), sign_key: None }
    };
    for (protection, tags) in [
        (Protection::passphrase(), &[3, 18, 8, 11][..]),
        (signed(Protection::passphrase(), &bob), &[3, 18, 8, 4, 11, 2]),
        (to_keys(&[&alice]), &[1, 18, 8, 11]),
        (signed(to_both(), &bob), &[1, 1, 18, 8, 4, 11, 2]),
    ] {
        let sealed = seal(&home.keyring(), &protection, &secrets("pass"), b"contents").unwrap();
        let listing = packets(&home, &sealed, "pass");
        let (found, are_new) = layout(&listing);
        assert_eq!(found, tags, "{listing}");
        // The signature is as gpg made it.
        assert_eq!(are_new, protection.sign_key.is_none(), "{listing}");
        assert!(listing.contains("compressed packet: algo=1"), "{listing}");
        assert!(listing.contains("mode b (62), created 0, name=\"\""), "{listing}");
        if protection.encryption == Encryption::Passphrase {
            assert!(listing.contains("version 4, cipher 9, aead 0, s2k 3, hash 10, seskey"), "{listing}");
            assert!(listing.contains("count 65011712 (255)"), "{listing}");
        }
    }
}

#[test]
fn a_passphrase_is_stretched_once_for_many_files() {
    let home = Home::new();
    let sealer = || {
        let protection = Protection::passphrase();
        Sealer::new(&home.keyring(), &protection, &secrets("pass"), &Job::unattended()).unwrap()
    };
    let seal_with = |sealer: &Sealer| {
        let mut writer = sealer.seal(Vec::new()).unwrap();
        writer.write_all(b"contents").unwrap();
        writer.finish().unwrap()
    };
    let (first, second) = (sealer(), sealer());
    let files = [seal_with(&first), seal_with(&first), seal_with(&second)];
    let salts =
        files.each_ref().map(|file| words_after(&packets(&home, file, "pass"), "salt ")[0].to_owned());
    assert_eq!(salts[0], salts[1]);
    assert_ne!(salts[0], salts[2]);
    let session_keys = files.each_ref().map(|file| {
        let shown = home.try_gpg(&["--passphrase", "pass", "--show-session-key", "--decrypt"], file);
        assert_eq!(shown.stdout, b"contents");
        words_after(&String::from_utf8_lossy(&shown.stderr), "session key: '9:")[0].to_owned()
    });
    assert_ne!(session_keys[0], session_keys[1]);
    assert_ne!(session_keys[0], session_keys[2]);
}

#[test]
fn every_kind_of_key_is_encrypted_to() {
    let home = Home::new();
    let plain = noise(20_000);
    let mut keys: Vec<(String, bool)> = [
        ("cv25519", true),
        ("rsa2048", true),
        ("nistp256", true),
        ("nistp384", true),
        ("nistp521", true),
        // Left to gpg.
        ("brainpoolP256r1", false),
        ("secp256k1", false),
        ("elg1024", false),
    ]
    .map(|(algorithm, is_ours)| (key_that_encrypts_by(&home, algorithm), is_ours))
    .into();
    let whole = "Whole <whole@example.org>";
    home.gpg(&["--passphrase", "", "--quick-gen-key", whole, "rsa2048", "sign,encr", "never"], b"");
    keys.push((home.fingerprints(whole)[0].clone(), true));

    let check = |recipients: Vec<Recipient>, sign_key: Option<String>, are_ours: bool| {
        let count = recipients.len();
        let protection = Protection { encryption: Encryption::Keys(recipients), sign_key };
        let sealed = seal(&home.keyring(), &protection, &Passphrases::new(), &plain).unwrap();
        assert!(home.gpg(&["--decrypt"], &sealed) == plain, "{protection:?}");
        let listing = packets(&home, &sealed, "");
        assert_eq!(words_after(&listing, "pubkey enc packet: version").len(), count, "{listing}");
        // gpg writes these packets in the old format.
        assert_eq!(sealed[0] == 0xc1, are_ours, "{protection:?}");
        listing
    };
    for (key, is_ours) in &keys {
        let listing = check(vec![Recipient { key: key.clone(), hidden: false }], None, *is_ours);
        let recipient = words_after(&listing, "keyid ")[0];
        assert!(home.keyring().find(recipient).unwrap().fingerprint == *key, "{listing}");
        let listing = check(vec![Recipient { key: key.clone(), hidden: true }], None, *is_ours);
        assert!(words_after(&listing, "keyid ")[0].bytes().all(|digit| digit == b'0'), "{listing}");
    }
    let all = |are_ours: fn(bool) -> bool| -> Vec<Recipient> {
        let keys = keys.iter().filter(|(_, is_ours)| are_ours(*is_ours));
        keys.enumerate()
            .map(|(index, (key, _))| Recipient { key: key.clone(), hidden: index % 2 == 0 })
            .collect()
    };
    check(all(|_| true), Some(keys[0].0.clone()), false);
    check(all(|is_ours| is_ours), Some(keys[0].0.clone()), true);
}

#[test]
fn of_several_parts_of_a_key_the_one_is_taken_that_gpg_takes() {
    let home = Home::new();
    let at = |time: &str, arguments: &[&str]| {
        home.gpg(&[&["--passphrase", "", "--faked-system-time", time], arguments].concat(), b"");
    };
    let recipients_of = |sealed: &[u8]| {
        let listing = packets(&home, sealed, "");
        words_after(&listing, "keyid ").into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let check = |key: &str, count: usize| {
        let ours = seal(&home.keyring(), &to_keys(&[key]), &Passphrases::new(), b"contents").unwrap();
        let by_gpg = home.gpg(&["--recipient", key, "--encrypt"], b"contents");
        assert_eq!(recipients_of(&ours), recipients_of(&by_gpg));
        assert_eq!(recipients_of(&ours).len(), count);
    };
    at("20200101T000000!", &["--quick-gen-key", "Alice", "rsa2048", "sign,encr", "never"]);
    let alice = home.fingerprints("Alice")[0].clone();
    check(&alice, 1);
    for (time, validity) in [
        ("20200601T000000!", "never"),
        // Two in one second.
        ("20220101T000000!", "never"),
        ("20220101T000000!", "never"),
        ("20210101T000000!", "never"),
        // Over.
        ("20230101T000000!", "1d"),
    ] {
        at(time, &["--quick-add-key", &alice, "cv25519", "encr", validity]);
        check(&alice, 1);
    }
    assert_eq!(home.fingerprints("Alice").len(), 6);

    // Who encrypts to this key is asked to encrypt to another as well.
    home.key("Bob", "");
    let subkey = home.fingerprints("Bob")[1].clone();
    home.gpg(&["--passphrase", "", "--quick-add-adsk", &alice, &subkey], b"");
    check(&alice, 2);
}

#[test]
fn files_of_every_length_are_whole() {
    let home = Home::new();
    let alice = home.key("Alice <alice@example.org>", "");
    let job = Job::unattended();
    let sealer = Sealer::new(&home.keyring(), &to_keys(&[&alice]), &Passphrases::new(), &job).unwrap();
    // Around the limits of lengths and of parts, without the six bytes of the header.
    let around = [186_usize, 8186, 16_378, 65_530, 131_066];
    let lengths = [0, 1].into_iter().chain(around.iter().flat_map(|limit| limit - 1..=limit + 1));
    for (index, length) in lengths.enumerate() {
        let plain = noise(length);
        let mut writer = sealer.seal(Vec::new()).unwrap();
        writer.expect_compressible(index % 2 == 0).unwrap();
        // At once and in small pieces.
        match index % 3 {
            0 => plain.chunks(1000).for_each(|piece| writer.write_all(piece).unwrap()),
            _ => writer.write_all(&plain).unwrap(),
        }
        let sealed = writer.finish().unwrap();
        assert!(home.gpg(&["--decrypt"], &sealed) == plain, "{length}");
    }

    // Ten megabytes, in which text and noise alternate and are not always what was announced.
    let mut writer = sealer.seal(Vec::new()).unwrap();
    let noise = noise(10_000_000);
    let (mut plain, mut number) = (Vec::new(), 0_usize);
    while plain.len() < 10_000_000 {
        number += 1;
        let length = (number * 7919 * number) % 150_000;
        let start = plain.len();
        if number % 3 == 0 {
            plain.extend((0..length).map(|index| b"all work and no play "[(index + number) % 21]));
        } else {
            plain.extend_from_slice(&noise[..length]);
        }
        writer.expect_compressible(number % 3 == 0 || number % 5 == 0).unwrap();
        writer.write_all(&plain[start..]).unwrap();
    }
    let sealed = writer.finish().unwrap();
    assert!(sealed.len() < plain.len() * 7 / 10, "{} of {}", sealed.len(), plain.len());
    assert!(home.gpg(&["--decrypt"], &sealed) == plain);
}

// Passphrases

#[test]
fn a_wrong_passphrase_is_that_and_nothing_else() {
    let home = Home::new();
    let alice = home.key("Alice <alice@example.org>", "pass");
    let plain = noise(300_000);
    let sealed = seal(&home.keyring(), &Protection::passphrase(), &secrets("pass"), &plain).unwrap();
    let wrong = crypto_error(open(&home.keyring(), &secrets("Pass"), &sealed));
    assert_eq!(wrong, CryptoError::WrongPassphrase { what: PassphraseFor::Archive });
    let missing = crypto_error(open(&home.keyring(), &Passphrases::new(), &sealed));
    assert_eq!(missing, CryptoError::PassphraseNeeded { what: PassphraseFor::Archive });

    let sealed = seal(&home.keyring(), &to_keys(&[&alice]), &Passphrases::new(), &plain).unwrap();
    home.forget();
    match crypto_error(open(&home.keyring(), &secrets("Pass"), &sealed)) {
        CryptoError::WrongPassphrase { what } => assert!(alice.ends_with(key_of(&what)), "{what}"),
        other => panic!("{other:?}"),
    }
    match crypto_error(open(&home.keyring(), &Passphrases::new(), &sealed)) {
        CryptoError::PassphraseNeeded { what } => {
            assert!(alice.ends_with(key_of(&what)));
            assert!(what.to_string().contains("Alice <alice@example.org>"), "{what}");
        }
        other => panic!("{other:?}"),
    }
    // The archive's passphrase serves the key too, as with duplicity; one of its own goes before it.
    assert!(open(&home.keyring(), &secrets("pass"), &sealed).unwrap().0 == plain);
    home.forget();
    let own = secrets("Pass");
    own.set_key(&alice, "pass".into());
    assert!(open(&home.keyring(), &own, &sealed).unwrap().0 == plain);
}

#[test]
fn a_person_is_asked_until_the_answer_is_right() {
    let home = Home::new();
    let plain = noise(3_000_000);
    let sealed = seal(&home.keyring(), &Protection::passphrase(), &secrets("pass"), &plain).unwrap();
    let keyring = home.keyring();
    let file = sealed.clone();
    let (result, asked) = attended(&["one", "two", "pass"], move |job| {
        open_signed(&keyring, &secrets("zero"), None, &file, job)
    });
    assert!(result.unwrap().0 == plain);
    let wrong = PassphraseRequest { previous_was_wrong: true, ..PassphraseRequest::archive() };
    assert_eq!(asked, [wrong.clone(), wrong.clone(), wrong.clone()]);

    let keyring = home.keyring();
    let file = sealed.clone();
    let (result, asked) =
        attended(&["one"], move |job| open_signed(&keyring, &Passphrases::new(), None, &file, job));
    assert_eq!(crypto_error(result), CryptoError::WrongPassphrase { what: PassphraseFor::Archive });
    assert_eq!(asked, [PassphraseRequest::archive(), wrong]);
}

#[test]
fn many_workers_ask_once() {
    let home = Home::new();
    let plain = noise(50_000);
    let sealed = seal(&home.keyring(), &Protection::passphrase(), &secrets("pass"), &plain).unwrap();
    for (answers, questions) in [(&["pass"][..], 1), (&["wrong", "pass"][..], 2), (&[][..], 1)] {
        let keyring = home.keyring();
        let file = sealed.clone();
        let (result, asked) = attended(answers, move |job| {
            let passphrases = Passphrases::new();
            std::thread::scope(|scope| {
                let workers: Vec<_> = (0..4)
                    .map(|_| scope.spawn(|| open_signed(&keyring, &passphrases, None, &file, job)))
                    .collect();
                workers.into_iter().map(|worker| worker.join().unwrap()).collect::<Result<Vec<_>>>()
            })
        });
        assert_eq!(asked.len(), questions);
        match result {
            Ok(opened) => assert!(opened.iter().all(|(back, _)| *back == plain)),
            Err(error) => {
                let expected = CryptoError::PassphraseNeeded { what: PassphraseFor::Archive };
                assert_eq!(crypto_error::<()>(Err(error)), expected);
            }
        }
    }
}

#[test]
fn a_new_passphrase_is_typed_twice_and_kept() {
    let home = Home::new();
    let keyring = home.keyring();
    let (result, asked) = attended(&["pass"], move |job| {
        let passphrases = Passphrases::new();
        assert_eq!(passphrases.new_archive(job)?, Secret::from("pass"));
        let sealer = Sealer::new(&keyring, &Protection::passphrase(), &passphrases, job)?;
        let mut writer = sealer.seal(Vec::new())?;
        writer.write_all(b"contents").map_err(ours)?;
        writer.finish()
    });
    assert_eq!(asked, [PassphraseRequest::new_archive()]);
    assert!(asked[0].confirm);
    assert_eq!(open(&home.keyring(), &secrets("pass"), &result.unwrap()).unwrap().0, b"contents");
}

#[test]
fn the_signing_key_is_unlocked_before_anything_is_written() {
    let home = Home::new();
    let alice = home.key("Alice <alice@example.org>", "alice's");
    let bob = home.key("Bob <bob@example.org>", "bob's");
    let protection = signed(to_keys(&[&alice]), &bob);
    home.forget();
    let job = Job::unattended();
    match crypto_error(Sealer::new(&home.keyring(), &protection, &secrets("alice's"), &job)) {
        CryptoError::WrongPassphrase { what } => assert!(bob.ends_with(key_of(&what)), "{what}"),
        other => panic!("{other:?}"),
    }
    match crypto_error(Sealer::new(&home.keyring(), &protection, &Passphrases::new(), &job)) {
        CryptoError::PassphraseNeeded { what } => assert!(bob.ends_with(key_of(&what)), "{what}"),
        other => panic!("{other:?}"),
    }
    let passphrases = secrets("alice's");
    passphrases.set_sign("bob's".into());
    let sealed = seal(&home.keyring(), &protection, &passphrases, b"contents").unwrap();
    home.forget();
    let (back, state) = open_signed(&home.keyring(), &passphrases, Some(&bob), &sealed, &job).unwrap();
    assert_eq!(back, b"contents");
    let SignatureState::Good(signer) = state else { panic!("{state:?}") };
    assert_eq!((signer.primary, signer.user_id), (bob, Some("Bob <bob@example.org>".to_owned())));
}

#[test]
fn a_passphrase_and_a_signature_take_two_passphrases() {
    let home = Home::new();
    let bob = home.key("Bob <bob@example.org>", "bob's");
    home.forget();
    let passphrases = secrets("archive's");
    passphrases.set_sign("bob's".into());
    let protection = signed(Protection::passphrase(), &bob);
    let sealed = seal(&home.keyring(), &protection, &passphrases, b"contents").unwrap();
    let job = Job::unattended();
    let (back, _) =
        open_signed(&home.keyring(), &secrets("archive's"), Some("bob@example.org"), &sealed, &job).unwrap();
    assert_eq!(back, b"contents");
}

#[test]
fn a_hidden_recipient_is_found_among_keys_with_other_passphrases() {
    let home = Home::new();
    let alice = home.key("Alice <alice@example.org>", "alice's");
    home.key("Bob <bob@example.org>", "bob's");
    home.key("Carol <carol@example.org>", "carol's");
    let hidden = Recipient { key: alice, hidden: true };
    let protection = Protection { encryption: Encryption::Keys(vec![hidden]), sign_key: None };
    let plain = noise(300_000);
    let sealed = seal(&home.keyring(), &protection, &Passphrases::new(), &plain).unwrap();
    home.forget();
    assert!(open(&home.keyring(), &secrets("alice's"), &sealed).unwrap().0 == plain);
    home.forget();
    let wrong = crypto_error(open(&home.keyring(), &secrets("nobody's"), &sealed));
    assert!(matches!(wrong, CryptoError::WrongPassphrase { .. }), "{wrong:?}");
}

#[test]
fn cancelling_ends_the_wait_for_a_passphrase() {
    let home = Home::new();
    let sealed = seal(&home.keyring(), &Protection::passphrase(), &secrets("pass"), &noise(10_000)).unwrap();
    let keyring = home.keyring();
    let file = sealed.clone();
    let opens = job::spawn("opens", move |job| {
        open_signed(&keyring, &Passphrases::new(), None, &file, job).map(drop)
    });
    let keyring = home.keyring();
    let seals = job::spawn("seals", move |job| {
        Sealer::new(&keyring, &Protection::passphrase(), &Passphrases::new(), job).map(drop)
    });
    for handle in [opens.unwrap(), seals.unwrap()] {
        let question = wait_for_question(&handle);
        let asked = Instant::now();
        handle.control.cancel(CancelReason::User);
        let Event::Finished(result) = handle.events.recv_blocking().unwrap() else { panic!("not the end") };
        assert!(matches!(result, Err(Error::Cancelled(CancelReason::User))), "{result:?}");
        assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
        drop(question);
    }
}

fn wait_for_question<T>(handle: &JobHandle<T>) -> Question {
    loop {
        match handle.events.recv_blocking().unwrap() {
            Event::Question(question) => return question,
            Event::Finished(_) => panic!("nothing was asked"),
            _ => {}
        }
    }
}

#[test]
fn passphrases_may_be_long_and_odd() {
    let home = Home::new();
    let protection = Protection::passphrase();
    for passphrase in ["  spaces  ", "Größe 漢字 🎁", "%41\\x\t", &"x".repeat(255)] {
        let sealed = seal(&home.keyring(), &protection, &secrets(passphrase), b"contents").unwrap();
        assert_eq!(home.gpg(&["--passphrase", passphrase, "--decrypt"], &sealed), b"contents");
        assert_eq!(open(&home.keyring(), &secrets(passphrase), &sealed).unwrap().0, b"contents");
    }
    let too_long = "x".repeat(256);
    let refused = crypto_error(seal(&home.keyring(), &protection, &secrets(&too_long), b"contents"));
    assert!(refused.to_string().contains("longer than 255 bytes"), "{refused}");
}

#[test]
fn secrets_do_not_show() {
    let passphrases = secrets("verysecret");
    let request = PassphraseRequest::archive();
    let text = format!("{:?} {passphrases:?} {request:?}", Secret::from("verysecret"));
    assert!(!text.contains("verysecret"), "{text}");
    let home = Home::new();
    let sealer = Sealer::new(&home.keyring(), &Protection::passphrase(), &passphrases, &Job::unattended());
    let writer = sealer.as_ref().unwrap().seal(Vec::new());
    assert_eq!(format!("{writer:?}"), "Ok(SealWriter(…))");
    let text = format!("{sealer:?}");
    assert!(text.contains("here") && !text.contains("verysecret"), "{text}");
    assert_eq!(Secret::from_reader(&b"first\r\nsecond"[..]).unwrap(), Secret::from("first"));
    assert_eq!(Secret::new("one\ntwo"), Secret::from("one"));
    assert_eq!(Secret::from_reader(&b"no line ending"[..]).unwrap().expose(), b"no line ending");
}

// Keys and the agent

#[test]
fn a_missing_secret_key_is_named() {
    let home = Home::new();
    let alice = home.key("Alice <alice@example.org>", "pass");
    let public = home.gpg(&["--export", &alice], b"");
    let sealed = seal(&home.keyring(), &to_keys(&[&alice]), &Passphrases::new(), b"contents").unwrap();

    let stranger = Home::new();
    let CryptoError::MissingSecretKey { keys } =
        crypto_error(open(&stranger.keyring(), &secrets("pass"), &sealed))
    else {
        panic!("another error");
    };
    assert_eq!(keys.len(), 1);
    assert!(home.fingerprints("Alice <alice@example.org>")[1].ends_with(&keys[0].id));

    stranger.gpg(&["--import"], &public);
    let CryptoError::MissingSecretKey { keys } =
        crypto_error(open(&stranger.keyring(), &secrets("pass"), &sealed))
    else {
        panic!("another error");
    };
    assert_eq!(keys[0].user_id.as_deref(), Some("Alice <alice@example.org>"));
    let protection = signed(Protection::passphrase(), &alice);
    let unable = stranger.keyring().check(&protection).unwrap_err();
    assert!(matches!(unable, CryptoError::MissingSecretKey { .. }), "{unable:?}");
}

#[test]
fn keys_are_checked_by_name_before_anything_is_written() {
    let home = Home::new();
    let good = home.key("Good <good@example.org>", "");
    let expired =
        home.key_with("Old <old@example.org>", "", "1d", &["--faked-system-time", "20200101T000000"]);
    let revoked = home.key("Revoked <revoked@example.org>", "");
    let certificate = std::fs::read_to_string(home.file(&format!("openpgp-revocs.d/{revoked}.rev"))).unwrap();
    home.gpg(&["--import"], certificate.replace(":-----", "-----").as_bytes());
    home.gpg(&["--passphrase", "", "--quick-gen-key", "Signer <signer@example.org>", "ed25519", "sign"], b"");
    let signer = home.fingerprints("Signer <signer@example.org>")[0].clone();
    let keyring = home.keyring();
    let check = |key: &str| keyring.check(&to_keys(&[&good, key])).unwrap_err();

    keyring.check(&to_keys(&[&good])).unwrap();
    keyring.check(&signed(to_keys(&[&good]), &signer)).unwrap();
    let name = |error: CryptoError| match error {
        CryptoError::ExpiredKey { key }
        | CryptoError::RevokedKey { key }
        | CryptoError::MissingPublicKey { key }
        | CryptoError::UnusableKey { key, .. } => key,
        other => panic!("{other:?}"),
    };
    assert!(matches!(check(&expired), CryptoError::ExpiredKey { .. }), "{:?}", check(&expired));
    assert_eq!(name(check(&expired)).user_id.as_deref(), Some("Old <old@example.org>"));
    assert!(matches!(check(&revoked), CryptoError::RevokedKey { .. }), "{:?}", check(&revoked));
    let misfit = check(&signer);
    assert!(
        matches!(misfit, CryptoError::UnusableKey { reason: UnusableReason::NoEncryption, .. }),
        "{misfit:?}"
    );
    for unknown in ["0123456789ABCDEF", "nobody@example.org", "not an id"] {
        assert!(matches!(check(unknown), CryptoError::MissingPublicKey { .. }), "{:?}", check(unknown));
        assert_eq!(name(check(unknown)).id, unknown);
    }
    let old_signer = keyring.check(&signed(Protection::passphrase(), &expired)).unwrap_err();
    assert!(matches!(old_signer, CryptoError::ExpiredKey { .. }), "{old_signer:?}");
    let refused = crypto_error(seal(&keyring, &to_keys(&[&expired]), &Passphrases::new(), b""));
    assert!(matches!(refused, CryptoError::ExpiredKey { .. }), "{refused:?}");
    assert!(seal(&keyring, &to_keys(&[]), &Passphrases::new(), b"").is_err());

    let states: Vec<_> = keyring.list().unwrap().into_iter().map(|key| (key.name, key.state)).collect();
    for expected in [
        ("Good", KeyState::Usable),
        ("Old", KeyState::Expired),
        ("Revoked", KeyState::Revoked),
        ("Signer", KeyState::NoEncryption),
    ] {
        assert!(states.contains(&(expected.0.to_owned(), expected.1)), "{states:?}");
    }
}

#[test]
fn a_key_that_expires_between_check_and_use_is_refused() {
    let home = Home::new();
    let brief = home.key_with("Brief <brief@example.org>", "", "seconds=3", &[]);
    let job = Job::unattended();
    let sealer = Sealer::new(&home.keyring(), &to_keys(&[&brief]), &Passphrases::new(), &job).unwrap();
    std::thread::sleep(Duration::from_secs(4));
    let result = sealer.seal(Vec::new()).and_then(|writer| writer.finish());
    let error = crypto_error(result);
    assert!(matches!(error, CryptoError::ExpiredKey { .. } | CryptoError::UnusableKey { .. }), "{error:?}");
}

#[test]
fn keys_are_found_by_every_kind_of_id() {
    let home = Home::new();
    let made = home
        .keyring()
        .generate(&NewKey {
            name: "Zoë Ångström".to_owned(),
            email: "zoe@example.org".to_owned(),
            algorithm: KeyAlgorithm::Ed25519,
            expires: Some(Duration::from_secs(40 * 24 * 3600)),
            passphrase: Some("zoë's".into()),
        })
        .unwrap();
    assert_eq!(made.user_id, "Zoë Ångström <zoe@example.org>");
    assert_eq!((made.name.as_str(), made.email.as_str()), ("Zoë Ångström", "zoe@example.org"));
    assert_eq!(made.algorithm, "ed25519");
    assert!(made.can_encrypt && made.can_sign && made.has_secret);
    assert_eq!((made.state, made.subkeys.len()), (KeyState::Usable, 1));
    let valid = made.expires.unwrap().as_second() - made.created.unwrap().as_second();
    assert!((39 * 24 * 3600..41 * 24 * 3600).contains(&valid), "{valid}");

    let fingerprint = made.fingerprint.clone();
    let spaced =
        fingerprint.as_bytes().chunks(4).map(|four| std::str::from_utf8(four).unwrap()).collect::<Vec<_>>();
    for id in [
        fingerprint.clone(),
        fingerprint.to_lowercase(),
        spaced.join(" "),
        fingerprint[24..].to_owned(),
        fingerprint[32..].to_owned(),
        format!("0x{}", &fingerprint[24..]),
        made.subkeys[0].clone(),
        made.subkeys[0][24..].to_owned(),
        "zoe@example.org".to_owned(),
        "<zoe@example.org>".to_owned(),
    ] {
        assert_eq!(home.keyring().find(&id).unwrap(), made, "{id}");
    }
    assert!(home.keyring().find("oe@example.org").is_err(), "half an address is none");
    assert!(home.keyring().find("Zoë").is_err(), "a name is no id");

    home.forget();
    let sealed = seal(&home.keyring(), &to_keys(&[&fingerprint]), &Passphrases::new(), b"contents").unwrap();
    assert!(open(&home.keyring(), &secrets("zoe's"), &sealed).is_err());
    assert!(open(&home.keyring(), &secrets("zoë's"), &sealed).is_ok());
}

#[test]
fn generated_keys_may_be_large_and_unprotected() {
    let home = Home::new();
    let new = NewKey {
        name: "Old Style".to_owned(),
        email: String::new(),
        algorithm: KeyAlgorithm::Rsa4096,
        expires: None,
        passphrase: None,
    };
    let made = home.keyring().generate(&new).unwrap();
    assert_eq!(
        (made.algorithm.as_str(), made.user_id.as_str(), made.expires),
        ("rsa4096", "Old Style", None)
    );
    home.forget();
    let protection = signed(to_keys(&[&made.fingerprint]), &made.fingerprint);
    let sealed = seal(&home.keyring(), &protection, &Passphrases::new(), b"contents").unwrap();
    assert_eq!(open(&home.keyring(), &Passphrases::new(), &sealed).unwrap().0, b"contents");
    for name in ["", "  ", "a<b", "a\nb"] {
        assert!(
            home.keyring().generate(&NewKey { name: name.to_owned(), ..new.clone() }).is_err(),
            "{name:?}"
        );
    }
}

#[test]
fn weak_keys_are_marked() {
    let home = Home::new();
    home.gpg(&["--passphrase", "", "--quick-gen-key", "Weak <weak@example.org>", "rsa2048"], b"");
    let weak = home.fingerprints("Weak <weak@example.org>")[0].clone();
    home.gpg(&["--passphrase", "", "--quick-add-key", &weak, "rsa2048", "encr"], b"");
    let key = home.keyring().find("weak@example.org").unwrap();
    assert_eq!(key.state, KeyState::Weak);
    assert!(key.state.is_usable() && key.can_encrypt);
}

#[test]
fn an_agent_that_cannot_ask_is_a_locked_one() {
    let home = Home::new();
    let alice = home.key("Alice <alice@example.org>", "pass");
    let sealed = seal(&home.keyring(), &to_keys(&[&alice]), &Passphrases::new(), b"contents").unwrap();
    let keyring = home.keyring();
    let sealing = signed(to_keys(&[&alice]), &alice);
    let job = Job::unattended();

    // The agent lets nobody else ask.
    let settings = |pinentry: &Path| {
        let pinentry = pinentry.display();
        home.agent_settings(&format!("no-allow-loopback-pinentry\npinentry-program {pinentry}\n"));
    };
    settings(Path::new("/nonexistent/pinentry"));
    let locked = CryptoError::AgentLocked(AgentTrouble::NoPinentry);
    assert_eq!(crypto_error(open(&keyring, &secrets("pass"), &sealed)), locked);
    assert_eq!(crypto_error(Sealer::new(&keyring, &sealing, &secrets("pass"), &job)), locked);

    let declines = pinentry(&home, "echo 'ERR 83886179 Operation cancelled'");
    settings(&declines);
    let declined = CryptoError::AgentLocked(AgentTrouble::Declined);
    assert_eq!(crypto_error(open(&keyring, &secrets("pass"), &sealed)), declined);
    assert_eq!(crypto_error(Sealer::new(&keyring, &sealing, &secrets("pass"), &job)), declined);

    // A backup's own passphrase is not the agent's business, but gpg would have it ask.
    let by_passphrase = seal(&keyring, &Protection::passphrase(), &secrets("pass"), b"contents").unwrap();
    let takes_none = CryptoError::AgentLocked(AgentTrouble::TakesNoPassphrase);
    assert_eq!(crypto_error(open(&keyring, &secrets("pass"), &by_passphrase)), takes_none);

    pinentry(&home, "echo 'D pass'; echo OK");
    home.forget();
    assert_eq!(open(&keyring, &Passphrases::new(), &sealed).unwrap().0, b"contents");
    assert!(Sealer::new(&keyring, &sealing, &Passphrases::new(), &job).is_ok());

    home.agent_settings("an-option-that-does-not-exist\n");
    let keyring = home.keyring();
    let unreachable = CryptoError::AgentLocked(AgentTrouble::Unreachable);
    assert_eq!(crypto_error(open(&keyring, &secrets("pass"), &sealed)), unreachable);
    assert_eq!(crypto_error(open(&keyring, &secrets("pass"), &by_passphrase)), unreachable);
    // Only to open, gpg needs it.
    let sealed_alone = seal(&keyring, &Protection::passphrase(), &secrets("pass"), b"contents").unwrap();
    home.agent_settings("");
    assert_eq!(open(&keyring, &secrets("pass"), &sealed_alone).unwrap().0, b"contents");
    home.agent_settings("an-option-that-does-not-exist\n");
    assert_eq!(crypto_error(Sealer::new(&keyring, &sealing, &secrets("pass"), &job)), unreachable);
}

#[test]
fn nobody_is_asked_who_must_not_be() {
    let home = Home::new();
    let alice = home.key("Alice <alice@example.org>", "pass");
    let sealed = seal(&home.keyring(), &to_keys(&[&alice]), &Passphrases::new(), b"contents").unwrap();
    let answers = pinentry(&home, "echo 'D pass'; echo OK");
    home.agent_settings(&format!("no-allow-loopback-pinentry\npinentry-program {}\n", answers.display()));
    let quiet = home.keyring().with_agent_asking(false);
    let sealing = signed(to_keys(&[&alice]), &alice);
    let job = Job::unattended();
    let locked = CryptoError::AgentLocked(AgentTrouble::NotAsked);
    assert_eq!(crypto_error(open(&quiet, &secrets("pass"), &sealed)), locked);
    assert_eq!(crypto_error(Sealer::new(&quiet, &sealing, &secrets("pass"), &job)), locked);

    // What the agent knows needs no question.
    assert!(Sealer::new(&home.keyring(), &sealing, &Passphrases::new(), &job).is_ok());
    assert!(Sealer::new(&quiet, &sealing, &Passphrases::new(), &job).is_ok());
    assert_eq!(open(&quiet, &Passphrases::new(), &sealed).unwrap().0, b"contents");
}

/// A pinentry that answers questions for a passphrase in this way.
fn pinentry(home: &Home, answer: &str) -> PathBuf {
    let path = home.file("pinentry");
    let script = format!(
        "#!/bin/sh\necho OK\nwhile read line; do case $line in \
         GETPIN*) {answer};; BYE*) echo OK; exit;; *) echo OK;; esac; done\n"
    );
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
    path
}

// Signatures

#[test]
fn a_signature_is_demanded_by_the_right_key() {
    let home = Home::new();
    let alice = home.key("Alice <alice@example.org>", "");
    let bob = home.key("Bob <bob@example.org>", "");
    let keyring = home.keyring();
    let job = Job::unattended();
    let passphrases = secrets("pass");
    let unsigned = seal(&keyring, &Protection::passphrase(), &passphrases, b"contents").unwrap();
    let by_bob = seal(&keyring, &signed(Protection::passphrase(), &bob), &passphrases, b"contents").unwrap();

    match crypto_error(open_signed(&keyring, &passphrases, Some(&bob), &unsigned, &job)) {
        CryptoError::NotSigned { expected } => assert_eq!(expected.id, bob),
        other => panic!("{other:?}"),
    }
    match crypto_error(open_signed(&keyring, &passphrases, Some(&alice), &by_bob, &job)) {
        CryptoError::WrongSigner { expected, found } => {
            assert_eq!((expected.id, found.id), (alice.clone(), bob.clone()));
        }
        other => panic!("{other:?}"),
    }
    for id in [&bob[..], &bob[24..], &bob[32..], "bob@example.org"] {
        assert!(open_signed(&keyring, &passphrases, Some(id), &by_bob, &job).is_ok(), "{id}");
    }
    let stranger = Home::new();
    let (_, state) = open(&stranger.keyring(), &passphrases, &by_bob).unwrap();
    let SignatureState::Unchecked(key) = state else { panic!("{state:?}") };
    assert!(bob.ends_with(&key.id));
    let unknown = crypto_error(open_signed(&stranger.keyring(), &passphrases, Some(&bob), &by_bob, &job));
    assert!(matches!(unknown, CryptoError::MissingPublicKey { .. }), "{unknown:?}");
}

#[test]
fn a_signature_by_a_subkey_counts_for_the_key() {
    let home = Home::new();
    let bob = home.key("Bob <bob@example.org>", "");
    home.gpg(&["--passphrase", "", "--quick-add-key", &bob, "ed25519", "sign"], b"");
    let subkey = home.fingerprints("Bob <bob@example.org>")[2].clone();
    let job = Job::unattended();
    let passphrases = secrets("pass");
    let sealed =
        seal(&home.keyring(), &signed(Protection::passphrase(), &bob), &passphrases, b"contents").unwrap();
    for id in [&bob, &subkey] {
        let (_, state) = open_signed(&home.keyring(), &passphrases, Some(id), &sealed, &job).unwrap();
        let SignatureState::Good(signer) = state else { panic!("{state:?}") };
        assert_eq!((&signer.fingerprint, &signer.primary), (&subkey, &bob));
    }
}

#[test]
fn gpg_finds_our_signatures_good() {
    let home = Home::new();
    let make = |user_id: &str, algorithm: &str| {
        home.gpg(&["--passphrase", "", "--quick-gen-key", user_id, algorithm, "sign", "never"], b"");
        home.fingerprints(user_id)[0].clone()
    };
    let recipient = home.key("Reader <reader@example.org>", "");
    let mut signers: Vec<(String, String)> = ["ed25519", "rsa2048", "nistp256", "brainpoolP256r1", "dsa1024"]
        .map(|algorithm| make(&format!("Signer by {algorithm}"), algorithm))
        .map(|key| (key.clone(), key))
        .into();
    let with_subkey = make("Signer by subkey", "ed25519");
    home.gpg(&["--passphrase", "", "--quick-add-key", &with_subkey, "rsa2048", "sign"], b"");
    let subkey = home.fingerprints("Signer by subkey")[1].clone();
    signers.push((with_subkey, subkey));

    for (key, signing) in &signers {
        for length in [0, 300_000] {
            let plain = noise(length);
            let protection = signed(to_keys(&[&recipient]), key);
            let sealed = seal(&home.keyring(), &protection, &Passphrases::new(), &plain).unwrap();
            assert_eq!(sealed[0], 0xc1, "sealed here");
            let output = home.try_gpg(&["--status-fd", "2", "--decrypt"], &sealed);
            assert!(output.stdout == plain);
            let status = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{status}");
            assert!(status.contains(&format!("GOODSIG {}", &signing[24..])), "{status}");
            assert!(status.contains(&format!("VALIDSIG {signing}")), "{status}");
            let (_, state) = open(&home.keyring(), &Passphrases::new(), &sealed).unwrap();
            let SignatureState::Good(signer) = state else { panic!("{state:?}") };
            assert_eq!((&signer.fingerprint, &signer.primary), (signing, key));
        }
    }
}

#[test]
fn gpg_may_be_set_to_sign_twice() {
    let home = Home::new();
    let alice = home.key("Alice <alice@example.org>", "");
    let bob = home.key("Bob <bob@example.org>", "");
    std::fs::write(home.file("gpg.conf"), format!("local-user {alice}\n")).unwrap();
    let protection = signed(to_keys(&[&alice]), &bob);
    let sealed = seal(&home.keyring(), &protection, &Passphrases::new(), b"contents").unwrap();
    let output = home.try_gpg(&["--status-fd", "2", "--decrypt"], &sealed);
    assert_eq!(output.stdout, b"contents");
    let status = String::from_utf8_lossy(&output.stderr);
    for key in [&alice, &bob] {
        assert!(status.contains(&format!("GOODSIG {}", &key[24..])), "{status}");
    }
}

#[test]
fn a_signature_that_is_not_the_announced_one_is_not_stored() {
    let home = Home::new();
    let alice = home.key("Alice <alice@example.org>", "");
    let job = Job::unattended();
    let protection = signed(to_keys(&[&alice]), &alice);
    let sealer = Sealer::new(&home.keyring(), &protection, &Passphrases::new(), &job).unwrap();
    std::fs::write(home.file("gpg.conf"), "digest-algo SHA384\n").unwrap();
    let mut writer = sealer.seal(Vec::new()).unwrap();
    writer.write_all(b"contents").unwrap();
    let error = crypto_error(writer.finish());
    assert!(error.to_string().contains("in another way"), "{error}");
    seal(&home.keyring(), &protection, &Passphrases::new(), b"contents").unwrap();
}

/// A signed message of gpg with one bit of its contents changed, then encrypted: its checksum is right,
/// its signature is not.
fn with_bad_signature(home: &Home, signer: &str, recipient: &str, plain: &[u8]) -> Vec<u8> {
    let mut inner = home.gpg(&["--compress-algo", "none", "--local-user", signer, "--sign"], plain);
    let middle = inner.len() / 2;
    inner[middle] ^= 1;
    home.gpg(&["--no-literal", "--recipient", recipient, "--encrypt"], &inner)
}

#[test]
fn a_bad_signature_is_always_an_error() {
    let home = Home::new();
    let alice = home.key("Alice <alice@example.org>", "");
    let bob = home.key("Bob <bob@example.org>", "");
    let sealed = with_bad_signature(&home, &bob, &alice, &noise(300_000));
    for expected in [None, Some(bob.as_str()), Some(alice.as_str())] {
        let result = open_signed(&home.keyring(), &Passphrases::new(), expected, &sealed, &Job::unattended());
        match crypto_error(result) {
            CryptoError::BadSignature { key } => {
                assert_eq!(key.user_id.as_deref(), Some("Bob <bob@example.org>"));
                assert!(bob.ends_with(&key.id));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn signatures_outlive_their_key_but_not_its_revocation() {
    let home = Home::new();
    let old = home.key_with("Old <old@example.org>", "", "1d", &["--faked-system-time", "20200101T000000"]);
    let revoked = home.key("Revoked <revoked@example.org>", "");
    let seal_by = |key: &str, options: &[&str]| {
        let mut arguments = vec!["--local-user", key, "--passphrase", "pass", "--sign", "--symmetric"];
        arguments.splice(0..0, options.iter().copied());
        home.gpg(&arguments, b"contents")
    };
    let by_old = seal_by(&old, &["--faked-system-time", "20200101T000100"]);
    let by_revoked = seal_by(&revoked, &[]);
    let certificate = std::fs::read_to_string(home.file(&format!("openpgp-revocs.d/{revoked}.rev"))).unwrap();
    home.gpg(&["--import"], certificate.replace(":-----", "-----").as_bytes());

    let job = Job::unattended();
    let passphrases = secrets("pass");
    let keyring = home.keyring();
    let (_, state) = open_signed(&keyring, &passphrases, Some(&old), &by_old, &job).unwrap();
    assert!(matches!(state, SignatureState::GoodButExpired(_)), "{state:?}");
    let (_, state) = open(&keyring, &passphrases, &by_revoked).unwrap();
    assert!(matches!(state, SignatureState::GoodButRevoked(_)), "{state:?}");
    let refused = crypto_error(open_signed(&keyring, &passphrases, Some(&revoked), &by_revoked, &job));
    assert!(matches!(refused, CryptoError::RevokedKey { .. }), "{refused:?}");
}

// Damage

#[test]
fn damage_is_never_a_clean_end() {
    let home = Home::new();
    let alice = home.key("Alice <alice@example.org>", "");
    let plain = noise(300_000);
    let altered = CryptoError::Damaged(SealDamage::Altered);
    for protection in [Protection::passphrase(), to_keys(&[&alice])] {
        let sealed = seal(&home.keyring(), &protection, &secrets("pass"), &plain).unwrap();
        let opens = |damaged: &[u8]| crypto_error(open(&home.keyring(), &secrets("pass"), damaged));
        for kept in [sealed.len() - 1, sealed.len() / 2, 20_000] {
            assert_eq!(opens(&sealed[..kept]), altered, "{kept} of {}", sealed.len());
        }
        for flipped in [sealed.len() - 3, sealed.len() / 2] {
            let mut damaged = sealed.clone();
            damaged[flipped] ^= 0x10;
            assert_eq!(opens(&damaged), altered, "bit of {flipped} of {}", sealed.len());
        }
        // Hardly more than the packet with the session key is left.
        for kept in [5, 30, 120] {
            let error = opens(&sealed[..kept]);
            assert!(matches!(error, CryptoError::Damaged(_)), "{kept}: {error:?}");
        }
    }
    let not_openpgp = CryptoError::Damaged(SealDamage::NotOpenPgp);
    for other in [&b""[..], b"just a text", &[0; 5000], &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]] {
        assert_eq!(crypto_error(open(&home.keyring(), &secrets("pass"), other)), not_openpgp);
    }
    let in_the_clear = home.gpg(&["--local-user", &alice, "--sign"], &plain);
    let not_encrypted = crypto_error(open(&home.keyring(), &secrets("pass"), &in_the_clear));
    assert_eq!(not_encrypted, CryptoError::Damaged(SealDamage::NotEncrypted));
}

#[test]
fn after_an_error_there_are_only_errors() {
    let home = Home::new();
    let plain = noise(2_000_000);
    let sealed = seal(&home.keyring(), &Protection::passphrase(), &secrets("pass"), &plain).unwrap();
    let opener = Opener::new(&home.keyring(), &secrets("pass"), None, &Job::unattended()).unwrap();
    let mut reader = opener.open(io::Cursor::new(sealed[..sealed.len() - 100].to_vec())).unwrap();
    let mut back = Vec::new();
    assert!(reader.read_to_end(&mut back).is_err());
    assert!(plain.starts_with(&back));
    for _ in 0..3 {
        assert!(reader.read(&mut [0; 10]).is_err());
    }
    assert!(reader.finish().is_err());
}

#[test]
fn a_gpg_that_is_killed_is_noticed() {
    let home = Home::new();
    let keyring = home.keyring();
    let job = Job::unattended();
    let kill = || {
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            let running = home.running();
            if let Some(process) = running.first() {
                Command::new("kill").arg("-9").arg(process.to_string()).status().unwrap();
                return;
            }
            assert!(Instant::now() < until, "gpg does not run");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    let alice = home.key("Alice <alice@example.org>", "");
    let protection = signed(Protection::passphrase(), &alice);
    let sealer = Sealer::new(&keyring, &protection, &secrets("pass"), &job).unwrap();
    let sink = Shared::default();
    let mut writer = sealer.seal(sink.clone()).unwrap();
    writer.write_all(&noise(3_000_000)).unwrap();
    while sink.bytes().len() < 100_000 {
        std::thread::sleep(Duration::from_millis(5));
    }
    kill();
    let result = writer.finish();
    assert!(matches!(crypto_error(result.map(drop)), CryptoError::Other(_)));

    let plain = noise(8_000_000);
    let sealed = seal(&keyring, &Protection::passphrase(), &secrets("pass"), &plain).unwrap();
    let mut reader =
        Opener::new(&keyring, &secrets("pass"), None, &job).unwrap().open(io::Cursor::new(sealed)).unwrap();
    reader.read_exact(&mut [0; 1000]).unwrap();
    kill();
    let mut rest = Vec::new();
    let error = reader.read_to_end(&mut rest).unwrap_err();
    assert!(matches!(ours(error), Error::Crypto { source: CryptoError::Other(_), .. }));
    assert!(rest.len() < plain.len());
}

// The streams at the other side

/// Fails after some bytes, and tells when it is gone.
struct Failing {
    left: usize,
    error: fn() -> io::Error,
    is_gone: Arc<AtomicBool>,
}

impl Write for Failing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err((self.error)());
        }
        let count = bytes.len().min(self.left);
        self.left -= count;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Failing {
    fn drop(&mut self) {
        self.is_gone.store(true, Ordering::SeqCst);
    }
}

#[test]
fn the_errors_of_a_sink_come_back_as_themselves() {
    let home = Home::new();
    let job = Job::unattended();
    let sealer = Sealer::new(&home.keyring(), &Protection::passphrase(), &secrets("pass"), &job).unwrap();
    let full: fn() -> io::Error = || io::ErrorKind::StorageFull.into();
    let own: fn() -> io::Error = || io::Error::other(Error::SourceEmpty("/marker".into()));
    for left in [0, 10, 1_000_000] {
        let sink = |error| Failing { left, error, is_gone: Arc::default() };

        // While writing, after which there is nothing but errors.
        let mut writer = sealer.seal(sink(full)).unwrap();
        let error = writer.write_all(&noise(5_000_000)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(writer.write_all(b"more").is_err());
        assert!(writer.finish().is_err());
        let mut writer = sealer.seal(sink(own)).unwrap();
        let error = ours(writer.write_all(&noise(5_000_000)).unwrap_err());
        assert!(matches!(error, Error::SourceEmpty(_)), "{error:?}");
    }
    // At the end.
    let sink = |error| Failing { left: 10, error, is_gone: Arc::default() };
    let mut writer = sealer.seal(sink(full)).unwrap();
    writer.write_all(b"short").unwrap();
    match writer.finish().map(drop) {
        Err(Error::Storage(error)) => assert_eq!(error.kind, StorageErrorKind::Full),
        other => panic!("{other:?}"),
    }
    let mut writer = sealer.seal(sink(own)).unwrap();
    writer.write_all(b"short").unwrap();
    assert!(matches!(writer.finish().map(drop), Err(Error::SourceEmpty(_))));
}

/// Gives some bytes, then fails.
struct FailingSource(io::Cursor<Vec<u8>>);

impl Read for FailingSource {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self.0.read(bytes)? {
            0 => Err(io::ErrorKind::ConnectionReset.into()),
            count => Ok(count),
        }
    }
}

#[test]
fn the_errors_of_a_source_come_back_as_themselves() {
    let home = Home::new();
    let sealed = seal(&home.keyring(), &Protection::passphrase(), &secrets("pass"), &noise(400_000)).unwrap();
    let opener = Opener::new(&home.keyring(), &secrets("pass"), None, &Job::unattended()).unwrap();
    for kept in [0, 1, 3000, sealed.len() - 1, sealed.len()] {
        let mut reader = opener.open(FailingSource(io::Cursor::new(sealed[..kept].to_vec()))).unwrap();
        let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{kept}");
    }
}

#[test]
fn an_unfinished_file_takes_its_sink_with_it() {
    let home = Home::new();
    let job = Job::unattended();
    let alice = home.key("Alice <alice@example.org>", "");
    let by_gpg = key_that_encrypts_by(&home, "brainpoolP256r1");
    let gone = || {
        let until = Instant::now() + Duration::from_secs(5);
        while !home.running().is_empty() {
            assert!(Instant::now() < until, "gpg is left behind");
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    for protection in
        [Protection::passphrase(), signed(Protection::passphrase(), &alice), to_keys(&[&by_gpg])]
    {
        let sealer = Sealer::new(&home.keyring(), &protection, &secrets("pass"), &job).unwrap();
        for length in [0, 10, 3_000_000] {
            let is_gone = Arc::new(AtomicBool::new(false));
            let sink = Failing { left: usize::MAX, error: || unreachable!(), is_gone: Arc::clone(&is_gone) };
            let mut writer = sealer.seal(sink).unwrap();
            writer.write_all(&noise(length)).unwrap();
            drop(writer);
            assert!(is_gone.load(Ordering::SeqCst), "{length}");
            gone();
        }
    }
    // Likewise a file that is not read to its end.
    let sealed =
        seal(&home.keyring(), &Protection::passphrase(), &secrets("pass"), &noise(5_000_000)).unwrap();
    let opener = Opener::new(&home.keyring(), &secrets("pass"), None, &job).unwrap();
    let mut reader = opener.open(io::Cursor::new(sealed)).unwrap();
    reader.read_exact(&mut [0; 10]).unwrap();
    drop(reader);
    gone();
}

#[test]
fn cancelling_stops_a_file_in_the_middle() {
    let home = Home::new();
    let alice = home.key("Alice <alice@example.org>", "");
    let by_gpg = key_that_encrypts_by(&home, "brainpoolP256r1");
    for protection in
        [Protection::passphrase(), signed(Protection::passphrase(), &alice), to_keys(&[&by_gpg])]
    {
        let keyring = home.keyring();
        let sink = Shared::default();
        let seen = sink.clone();
        let handle = job::spawn("seals", move |job| {
            let sealer = Sealer::new(&keyring, &protection, &secrets("pass"), job)?;
            let mut writer = sealer.seal(sink)?;
            let piece = noise(100_000);
            loop {
                writer.write_all(&piece).map_err(ours)?;
                std::thread::sleep(Duration::from_millis(1));
            }
            #[allow(unreachable_code)]
            Ok(())
        })
        .unwrap();
        while seen.bytes().len() < 1_000_000 {
            std::thread::sleep(Duration::from_millis(5));
        }
        handle.control.cancel(CancelReason::Metered);
        let asked = Instant::now();
        let Event::Finished(result) = handle.events.recv_blocking().unwrap() else { panic!("not the end") };
        assert!(matches!(result, Err(Error::Cancelled(CancelReason::Metered))), "{result:?}");
        assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    }
}

#[test]
fn several_files_are_sealed_and_opened_side_by_side() {
    let home = Home::new();
    let alice = home.key("Alice <alice@example.org>", "pass");
    home.forget();
    let job = Job::unattended();
    let protection = signed(to_keys(&[&alice]), &alice);
    let sealer = Sealer::new(&home.keyring(), &protection, &secrets("pass"), &job).unwrap();
    let opener = Opener::new(&home.keyring(), &secrets("pass"), Some(&alice), &job).unwrap();
    std::thread::scope(|scope| {
        for number in 0..6 {
            let (sealer, opener) = (&sealer, &opener);
            scope.spawn(move || {
                let plain = noise(400_000 + number);
                let mut writer = sealer.seal(Vec::new()).unwrap();
                writer.write_all(&plain).unwrap();
                let sealed = writer.finish().unwrap();
                let mut back = Vec::new();
                opener.open(io::Cursor::new(sealed)).unwrap().read_to_end(&mut back).unwrap();
                assert!(back == plain);
            });
        }
    });
}

#[test]
fn without_encryption_gpg_is_not_needed_and_nothing_is_sealed() {
    let keyring = Keyring::at("/nonexistent");
    let job = Job::unattended();
    let sealer = Sealer::new(&keyring, &Protection::none(), &Passphrases::new(), &job).unwrap();
    assert!(matches!(sealer.seal(Vec::new()), Err(Error::Internal(_))));
    keyring.check(&Protection::none()).unwrap();
}
