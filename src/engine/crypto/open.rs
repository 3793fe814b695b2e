//! Reading sealed files: an OpenPGP message goes in, its contents come out.
//!
//! Contents come out before gpg has seen the end of the file, so they are only to be trusted once
//! [`OpenReader`] came to its end without an error. A file that was cut off or changed never seems to
//! end in order.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use gpgme::{Data, DecryptFlags};

use super::error::{CryptoError, KeyName, SealDamage};
use super::keys::Keyring;
use super::passphrases::{PassphraseFor, Passphrases, Purpose};
use super::pipe::{self, PipeReader, PipeWriter};
use super::replay::{FirstLock, Replay};
use super::status::{self, Facts, SessionKey, SignatureFact, Verdict};
use super::talk::{self, Answers, Talk, Wanted};
use super::worker::Worker;
use crate::engine::error::{Error, Result};
use crate::engine::job::{Control, Job};
use crate::engine::storage::StorageError;

/// Opens sealed files. One serves a whole operation, and several threads at once.
#[derive(Clone)]
pub struct Opener {
    keyring: Keyring,
    answers: Answers,
    expected: Option<Expected>,
    card_keys: Arc<OnceLock<Vec<String>>>,
}

/// The key by which every file must be signed.
#[derive(Debug, Clone)]
struct Expected {
    name: KeyName,
    /// Fingerprints of the primary key and all subkeys.
    fingerprints: Vec<String>,
}

/// What the signature of a file is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignatureState {
    /// There is none.
    Unsigned,
    /// It is right.
    Good(Signer),
    /// It is right, but it or its key has expired since.
    GoodButExpired(Signer),
    /// It is right, but the key was revoked.
    GoodButRevoked(Signer),
    /// It could not be checked, most often because the keyring does not have its key.
    Unchecked(KeyName),
}

/// Who signed a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// Fingerprint of the key that signed, often a subkey. duplicity's `--sign-key` wants this one.
    pub fingerprint: String,
    /// Fingerprint of its primary key.
    pub primary: String,
    /// Name and address of the owner.
    pub user_id: Option<String>,
}

impl Opener {
    /// Opens with the secret keys of a keyring and the passphrases that are known or can be asked for.
    ///
    /// With a `sign_key`, given as for [`Keyring::find`], every file must be signed by that key or one of
    /// its subkeys. A signature that expired later is accepted, a revoked one is not. Fails with
    /// [`CryptoError::MissingPublicKey`] when the keyring does not have the key. Without one signatures
    /// are checked but not demanded, and gpg is not needed yet.
    pub fn new(
        keyring: &Keyring,
        passphrases: &Passphrases,
        sign_key: Option<&str>,
        job: &Job,
    ) -> Result<Self> {
        let answers = Answers::new(passphrases.clone(), job.clone(), Purpose::Open);
        let expected = sign_key.map(|key| Expected::find(keyring, key)).transpose()?;
        Ok(Self { keyring: keyring.clone(), answers, expected, card_keys: Arc::default() })
    }

    /// The same for files that may be damaged where they say how to open them: nobody is asked for a passphrase, and
    /// none is found to be wrong.
    pub fn without_questions(&self) -> Self {
        Self { answers: self.answers.of_what_is_known(), ..self.clone() }
    }

    /// Whether every file must be signed by a certain key.
    pub fn demands_signature(&self) -> bool {
        self.expected.is_some()
    }

    /// Begins to open a file. A thread and a process of gpg work behind it; about 1 MiB is on its way at
    /// most.
    ///
    /// When a passphrase turns out wrong the next known one is tried, and then a person asked; the start
    /// of the file is kept for that. Errors come from [`OpenReader`].
    pub fn open<R: Read + Send + 'static>(&self, source: R) -> Result<OpenReader> {
        let control = self.answers.job.control().clone();
        control.check()?;
        let (sink, output) = pipe::pipe(&control);
        let opener = self.clone();
        let worker = Worker::start("open", move || opener.run(source, sink))?;
        Ok(OpenReader { output: Some(output), worker: Some(worker), control, signature: None })
    }

    /// The work of one file, on its own thread.
    fn run<R: Read + Send>(&self, source: R, pipe: PipeWriter) -> Outcome {
        let has_plaintext = Arc::new(AtomicBool::new(false));
        let mut source = Replay::new(source, Arc::clone(&has_plaintext));
        let mut sink = Sink { pipe, has_plaintext };
        let wanted = self.wanted_for(&mut source)?;
        let answers = self.answers.for_another_file();
        loop {
            self.answers.job.check()?;
            let talk = Talk::new(answers.clone());
            let result = self.decrypt(&talk, &mut source, &mut sink, wanted);
            if let Some(error) = source.take_error() {
                return Err(Failure::Stream(error));
            }
            if let Some(error) = talk.failure() {
                return Err(error.into());
            }
            if let Some(reason) = self.answers.job.control().cancelled() {
                return Err(Error::Cancelled(reason).into());
            }
            let facts = talk.facts();
            let error = match result {
                Ok(()) if facts.is_decrypted() => {
                    talk.learn_from_success();
                    let signature = self.judge(&facts)?;
                    sink.pipe.finish().map_err(Failure::Stream)?;
                    return Ok(signature);
                }
                Ok(()) => gpgme::Error::NO_DATA,
                Err(Stop::Crypto(error)) => return Err(error.into()),
                Err(Stop::Gpg(error)) => error,
            };
            if facts.is_passphrase_wrong() {
                if let Some(refusal) = talk.refusal() {
                    return Err(self.named(refusal).into());
                }
                if talk.learn_from_refusal() && source.rewind() {
                    continue;
                }
                let what = facts.needs.unwrap_or(PassphraseFor::Archive);
                return Err(CryptoError::WrongPassphrase { what }.into());
            }
            return Err(self.named(facts.open_error(error)).into());
        }
    }

    /// What gpg may want to be told to open a file.
    fn wanted_for<R: Read>(&self, source: &mut Replay<R>) -> Result<Wanted, Failure> {
        match source.first_lock().map_err(Failure::Stream)? {
            Some(FirstLock::Passphrase) => return Ok(Wanted::Archive),
            Some(FirstLock::Key) => {}
            None => return Ok(Wanted::Key),
        }
        let on_cards = self.card_keys()?;
        if on_cards.is_empty() {
            return Ok(Wanted::Key);
        }
        let mut recipients = source.key_ids().map_err(Failure::Stream)?.into_iter().map(KeyName::id);
        let is_on_card = |key: KeyName| key.is_hidden() || on_cards.contains(&key.id);
        Ok(if recipients.any(is_on_card) { Wanted::Pin } else { Wanted::Key })
    }

    /// Long ids of the keys whose secret parts are on cards, looked for once.
    fn card_keys(&self) -> Result<&[String], CryptoError> {
        if let Some(known) = self.card_keys.get() {
            return Ok(known);
        }
        let found = self.keyring.decrypting_card_keys()?;
        Ok(self.card_keys.get_or_init(|| found))
    }

    fn decrypt<R: Read + Send>(
        &self,
        talk: &Talk,
        source: &mut Replay<R>,
        sink: &mut Sink,
        wanted: Wanted,
    ) -> Result<(), Stop> {
        let mut context = talk.context(&self.keyring, wanted)?;
        let mut sealed = Data::from_reader(talk.input(source)).map_err(|error| Stop::Gpg(error.error()))?;
        let mut plain = Data::from_writer(sink).map_err(|error| Stop::Gpg(error.error()))?;
        talk::enlarge(&mut sealed)?;
        talk::enlarge(&mut plain)?;
        context.decrypt_with_flags(&mut sealed, &mut plain, DecryptFlags::VERIFY).map_err(Stop::Gpg)?;
        Ok(())
    }

    /// The session key of a message. Whether its data are whole does not matter.
    pub(super) fn session_key(&self, message: &[u8]) -> Result<SessionKey> {
        let answers = self.answers.for_another_file();
        let mut source = Replay::new(message, Arc::default());
        let wanted = match self.wanted_for(&mut source) {
            Ok(wanted) => wanted,
            Err(Failure::Ours(error)) => return Err(error),
            Err(Failure::Stream(error)) => return Err(Error::Internal(error.to_string())),
        };
        loop {
            self.answers.job.check()?;
            let talk = Talk::new(answers.clone());
            let mut context = talk.context(&self.keyring, wanted)?;
            context.set_flag("export-session-key", "1").map_err(status::plain)?;
            let mut sealed =
                Data::from_reader(talk.input(&mut source)).map_err(|error| status::plain(error.error()))?;
            // What comes out is not looked at, nor whether that was all.
            let mut plain = Data::from_writer(io::sink()).map_err(|error| status::plain(error.error()))?;
            let result = context.decrypt(&mut sealed, &mut plain);
            drop((context, sealed));
            if let Some(error) = talk.failure() {
                return Err(error);
            }
            let mut facts = talk.facts();
            if facts.is_passphrase_wrong() && talk.learn_from_refusal() && source.rewind() {
                continue;
            }
            let error = result.err().unwrap_or(gpgme::Error::NO_DATA);
            return facts.session_key.take().ok_or_else(|| facts.open_error(error).into());
        }
    }

    /// What the signatures are worth, and whether that is enough.
    fn judge(&self, facts: &Facts) -> Result<SignatureState, CryptoError> {
        let signatures = facts.signatures();
        if let Some(bad) = signatures.iter().find(|signature| signature.verdict == Verdict::Bad) {
            return Err(CryptoError::BadSignature { key: self.keyring.name(bad.name()) });
        }
        let Some(expected) = &self.expected else {
            return Ok(signatures.first().map_or(SignatureState::Unsigned, state));
        };
        let by_expected = |signature: &&SignatureFact| expected.fits(&signature.key);
        let Some(signature) = signatures.iter().find(by_expected) else {
            let expected = expected.name.clone();
            return Err(match signatures.first() {
                None => CryptoError::NotSigned { expected },
                Some(other) => CryptoError::WrongSigner { expected, found: self.keyring.name(other.name()) },
            });
        };
        match signature.verdict {
            Verdict::Good | Verdict::Expired => Ok(state(signature)),
            Verdict::Revoked => Err(CryptoError::RevokedKey { key: expected.name.clone() }),
            Verdict::Bad => Err(CryptoError::BadSignature { key: expected.name.clone() }),
            Verdict::NoKey => Err(CryptoError::MissingPublicKey { key: signature.name() }),
            Verdict::Unchecked => Err(CryptoError::Other("the signature could not be checked".to_owned())),
        }
    }

    /// The error with the names that the keyring knows.
    fn named(&self, error: CryptoError) -> CryptoError {
        let name = |key| self.keyring.name(key);
        match error {
            CryptoError::MissingSecretKey { keys } => {
                self.keyring.without_secret(keys.into_iter().map(name).collect())
            }
            CryptoError::BadSignature { key } => CryptoError::BadSignature { key: name(key) },
            other => other,
        }
    }
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opener")
            .field("keyring", &self.keyring)
            .field("expected", &self.expected)
            .finish_non_exhaustive()
    }
}

impl Expected {
    fn find(keyring: &Keyring, key: &str) -> Result<Self, CryptoError> {
        let found = keyring.find(key)?;
        let name = KeyName { id: found.fingerprint.clone(), user_id: Some(found.user_id) };
        let fingerprints = std::iter::once(found.fingerprint).chain(found.subkeys).collect();
        Ok(Self { name, fingerprints })
    }

    /// `key` is a fingerprint, or a key id where gpg does not tell more.
    fn fits(&self, key: &str) -> bool {
        key.len() >= 16 && self.fingerprints.iter().any(|fingerprint| fingerprint.ends_with(key))
    }
}

fn state(signature: &SignatureFact) -> SignatureState {
    let signer = Signer {
        fingerprint: signature.key.clone(),
        primary: signature.primary.clone().unwrap_or_else(|| signature.key.clone()),
        user_id: signature.user_id.clone(),
    };
    match signature.verdict {
        Verdict::Good => SignatureState::Good(signer),
        Verdict::Expired => SignatureState::GoodButExpired(signer),
        Verdict::Revoked => SignatureState::GoodButRevoked(signer),
        Verdict::NoKey | Verdict::Unchecked | Verdict::Bad => SignatureState::Unchecked(signature.name()),
    }
}

type Outcome = std::result::Result<SignatureState, Failure>;

/// Why a file could not be opened.
enum Failure {
    /// The source's own error.
    Stream(io::Error),
    Ours(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

impl From<CryptoError> for Failure {
    fn from(error: CryptoError) -> Self {
        Self::Ours(error.into())
    }
}

/// Why gpg stopped.
enum Stop {
    Gpg(gpgme::Error),
    Crypto(CryptoError),
}

impl From<CryptoError> for Stop {
    fn from(error: CryptoError) -> Self {
        Self::Crypto(error)
    }
}

/// Where gpg's output goes.
struct Sink {
    pipe: PipeWriter,
    has_plaintext: Arc<AtomicBool>,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !bytes.is_empty() {
            self.has_plaintext.store(true, Ordering::Release);
        }
        self.pipe.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads one sealed file. Its end is only reached when everything was there, unchanged and, if that is
/// demanded, rightly signed.
///
/// Errors of [`Read`] are the source's own, or carry an [`Error`].
pub struct OpenReader {
    /// None once something failed or the end was reached.
    output: Option<PipeReader>,
    worker: Option<Worker<Outcome>>,
    control: Control,
    signature: Option<SignatureState>,
}

impl OpenReader {
    /// Reads what is left, and says what the signature is worth.
    ///
    /// An error that the source gave comes back as itself if it carries an [`Error`], else as
    /// [`Error::Storage`].
    pub fn finish(mut self) -> Result<SignatureState> {
        io::copy(&mut self, &mut io::sink()).map_err(|error| {
            Error::from_stream(error, |error| {
                StorageError::from_io("reading", "the sealed file", error).into()
            })
        })?;
        self.signature
            .take()
            .ok_or_else(|| Error::Internal("a sealed file ended without a verdict".to_owned()))
    }

    /// Whether everything came out in order, and why not.
    fn settle(&mut self) -> io::Result<()> {
        self.output = None;
        let Some(worker) = self.worker.take() else { return Err(failed_before()) };
        match worker.wait(&self.control) {
            Ok(Ok(signature)) => {
                self.signature = Some(signature);
                Ok(())
            }
            Ok(Err(Failure::Stream(error))) => Err(error),
            Ok(Err(Failure::Ours(error))) | Err(error) => Err(error.into_stream()),
        }
    }
}

fn failed_before() -> io::Error {
    Error::Internal("the sealed file has failed before".to_owned()).into_stream()
}

impl Read for OpenReader {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let Some(output) = self.output.as_mut() else {
            return if self.signature.is_some() { Ok(0) } else { Err(failed_before()) };
        };
        match output.read(bytes) {
            Ok(0) if bytes.is_empty() => Ok(0),
            Ok(0) => self.settle().map(|()| 0),
            Ok(count) => Ok(count),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => match self.settle() {
                Err(error) => Err(error),
                Ok(()) => Err(Error::from(CryptoError::Damaged(SealDamage::Altered)).into_stream()),
            },
            Err(error) => {
                self.output = None;
                Err(error)
            }
        }
    }
}

impl Drop for OpenReader {
    fn drop(&mut self) {
        self.output = None;
        if let Some(worker) = self.worker.take() {
            worker.let_go();
        }
    }
}

impl std::fmt::Debug for OpenReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OpenReader(…)")
    }
}
