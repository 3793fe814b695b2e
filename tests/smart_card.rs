//! A key on a smart card: GnuPG's own smart card daemon, PC/SC, a reader, and a card made for the tests.
//!
//! One test, since there is one reader.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::gpg::Home;
use common::sealing::{crypto_error, open, open_signed, seal, secrets, signed, to_keys};
use souvenir::engine::crypto::{
    AgentTrouble, CryptoError, PassphraseFor, Passphrases, Protection, SignatureState, UnusableReason,
};
use souvenir::engine::job::Job;

const PIN: &str = "123456";
/// Where the reader waits for a card.
const READER_PORT: &str = "35963";
const READER_SOCKET: &str = "/run/pcscd/pcscd.comm";

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn start_reader() -> Running {
    assert!(!Path::new(READER_SOCKET).exists(), "another pcscd runs");
    // Without polkit, which the tests do not start.
    let child = Command::new("pcscd")
        .args(["--foreground", "--disable-polkit"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("pcscd is there");
    let reader = Running(child);
    wait_for("the reader", || Path::new(READER_SOCKET).exists());
    reader
}

fn insert_card() -> Running {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/common/openpgp_card.py");
    let child = Command::new("/usr/bin/python3")
        .arg(program)
        .arg(READER_PORT)
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python is there");
    let mut card = Running(child);
    let mut said = String::new();
    BufReader::new(card.0.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "inserted\n");
    card
}

fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(30), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The agent's pinentry, which answers every question for a PIN with what a file says, and declines to insert a card.
struct PinPad {
    pin: PathBuf,
    asked: PathBuf,
}

impl PinPad {
    fn new(home: &Home) -> Self {
        let pad = Self { pin: home.file("pin"), asked: home.file("asked") };
        let program = home.file("pinentry");
        let script = format!(
            "#!/bin/sh\necho OK\nwhile read line; do echo \"$line\" >> {asked}; case $line in \
             GETPIN*) echo \"D $(cat {pin})\"; echo OK;; CONFIRM*) echo 'ERR 83886179 Operation cancelled';; \
             BYE*) echo OK; exit;; *) echo OK;; esac; done\n",
            asked = pad.asked.display(),
            pin = pad.pin.display(),
        );
        fs::write(&program, script).unwrap();
        Command::new("chmod").arg("+x").arg(&program).status().unwrap();
        home.agent_settings(&format!("pinentry-program {}\n", program.display()));
        pad.set(PIN);
        pad
    }

    fn set(&self, pin: &str) {
        fs::write(&self.pin, format!("{pin}\n")).unwrap();
    }

    /// Lets the agent forget that the PIN was entered.
    fn lock(&self, home: &Home) {
        home.forget();
        wait_for("the card", || home.try_gpg(&["--card-status"], b"").status.success());
        self.asked();
    }

    /// How often a PIN was asked for, and how often the card, since this was looked at last.
    fn asked(&self) -> (usize, usize) {
        let lines = fs::read_to_string(&self.asked).unwrap_or_default();
        fs::write(&self.asked, "").unwrap();
        let count = |command: &str| lines.lines().filter(|line| line.starts_with(command)).count();
        (count("GETPIN"), count("CONFIRM"))
    }
}

/// Wrong PINs that the card still takes.
fn tries_left(home: &Home) -> usize {
    let status = String::from_utf8(home.gpg(&["--card-status"], b"")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("PIN retry counter : ")).unwrap();
    line.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_key_on_a_card_signs_and_decrypts() {
    let _reader = start_reader();
    let home = Home::new();
    fs::write(home.file("scdaemon.conf"), "disable-ccid\n").unwrap();
    let pad = PinPad::new(&home);
    let card = insert_card();
    wait_for("the card", || home.try_gpg(&["--card-status"], b"").status.success());
    home.gpg(
        &["--pinentry-mode", "ask", "--quick-gen-key", "Card <card@example.org>", "card", "default", "never"],
        b"",
    );
    let fingerprint = home.fingerprints("Card <card@example.org>")[0].clone();
    let (keyring, none) = (home.keyring(), Passphrases::new());

    let key = keyring.find(&fingerprint).unwrap();
    assert!(key.is_on_card && key.has_secret && key.can_encrypt && key.can_sign);
    assert_eq!(key.algorithm, "ed25519");
    let protection = signed(to_keys(&[&fingerprint]), &fingerprint);
    keyring.check(&protection).unwrap();

    // The agent asks for the PIN, not this program: nobody could be asked through the job.
    pad.asked();
    let sealed = seal(&keyring, &protection, &none, b"contents").unwrap();
    assert!(pad.asked().0 > 0);
    let (plain, state) =
        open_signed(&keyring, &none, Some(&fingerprint), &sealed, &Job::unattended()).unwrap();
    assert_eq!(plain, b"contents");
    assert!(matches!(state, SignatureState::Good(_)), "{state:?}");
    assert_eq!(home.gpg(&["--pinentry-mode", "ask", "--decrypt"], &sealed), b"contents");

    // Other passphrases are not tried as a PIN, which would block the card.
    let by_passphrase = signed(Protection::passphrase(), &fingerprint);
    let other = secrets("not the PIN");
    other.set_sign("not the PIN either".into());
    let sealed_by_passphrase = seal(&keyring, &by_passphrase, &other, b"contents").unwrap();
    assert_eq!(open(&keyring, &other, &sealed_by_passphrase).unwrap().0, b"contents");
    assert_eq!(open(&keyring, &other, &sealed).unwrap().0, b"contents");
    assert_eq!(tries_left(&home), 3);

    // A wrong PIN is said; it was tried no more often than the agent asked for it.
    pad.lock(&home);
    pad.set("654321");
    match crypto_error(seal(&keyring, &protection, &none, b"contents")) {
        CryptoError::WrongPassphrase { what: PassphraseFor::Key { user_id, .. } } => {
            assert_eq!(user_id.as_deref(), Some("Card <card@example.org>"));
        }
        other => panic!("{other:?}"),
    }
    let (asked, _) = pad.asked();
    assert_eq!(tries_left(&home), 3 - asked);
    pad.set(PIN);
    seal(&keyring, &protection, &none, b"contents").unwrap();
    assert_eq!(tries_left(&home), 3);

    // Where nothing may come up by itself, nothing is asked.
    pad.lock(&home);
    let locked = CryptoError::AgentLocked(AgentTrouble::NoCard);
    let quiet = keyring.clone().with_agent_asking(false);
    assert_eq!(crypto_error(seal(&quiet, &protection, &none, b"contents")), locked);
    assert_eq!(crypto_error(open(&quiet, &none, &sealed)), locked);
    assert_eq!(pad.asked(), (0, 0));
    // What was decrypted once, the card goes on with.
    assert_eq!(open(&keyring, &none, &sealed).unwrap().0, b"contents");
    assert_eq!(open(&quiet, &none, &sealed).unwrap().0, b"contents");

    // The card gives its secret to nobody.
    match home.keyring().export_secret(&fingerprint, &none, &Job::unattended()) {
        Err(souvenir::engine::error::Error::Crypto { source, .. }) => {
            assert!(matches!(source, CryptoError::UnusableKey { reason: UnusableReason::OnCard, .. }));
        }
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("the secret key was exported"),
    }

    // A card that refuses every PIN by now is not one whose PIN was wrong.
    pad.lock(&home);
    pad.set("654321");
    let blocked = CryptoError::AgentLocked(AgentTrouble::PinBlocked);
    let refused = (0..4).map(|_| crypto_error(seal(&keyring, &protection, &none, b"contents")));
    let refused: Vec<_> = refused.collect();
    assert_eq!(tries_left(&home), 0);
    assert_eq!(refused.last(), Some(&blocked), "{refused:?}");

    // Without the card, it is asked for once, and gpg does not ask for ever.
    drop(card);
    home.forget();
    pad.asked();
    let declined = CryptoError::AgentLocked(AgentTrouble::Declined);
    assert_eq!(crypto_error(seal(&keyring, &protection, &none, b"contents")), declined);
    assert_eq!(pad.asked(), (0, 1));
    assert_eq!(crypto_error(seal(&quiet, &protection, &none, b"contents")), locked);
    assert_eq!(pad.asked(), (0, 0));
    let without = crypto_error(open(&quiet, &none, &sealed));
    assert!(without == locked || matches!(without, CryptoError::MissingSecretKey { .. }), "{without:?}");
    assert_eq!(open(&keyring, &other, &sealed_by_passphrase).unwrap().0, b"contents");
}
