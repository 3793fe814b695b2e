//! Writing sealed files: bytes go in, an OpenPGP message comes out.

use std::io::{self, Write};

use gpgme::{Data, EncryptFlags};

use super::error::CryptoError;
use super::keys::{self, Keyring};
use super::packets::PacketWatch;
use super::passphrases::{PassphraseFor, Passphrases, Purpose};
use super::pipe::{self, PipeReader, PipeWriter};
use super::talk::{self, Answers, Talk};
use super::worker::Worker;
use super::{Encryption, Protection, status};
use crate::engine::error::{Error, Result};
use crate::engine::job::{Control, Job};
use crate::engine::storage::StorageError;

/// Seals files the way a [`Protection`] says. One serves a whole operation, and several threads at once.
#[derive(Clone)]
pub struct Sealer {
    keyring: Keyring,
    answers: Answers,
    plan: Plan,
}

/// What was found out once, so that a file costs one run of gpg and no more.
#[derive(Clone)]
struct Plan {
    /// None when the protection says that nothing is encrypted.
    recipients: Option<Vec<gpgme::Key>>,
    /// Key ids of the subkeys of recipients that are not to be named.
    hidden: Vec<[u8; 8]>,
    signer: Option<gpgme::Key>,
}

/// Whether gpg compresses before it encrypts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// As gpg does by itself: ZIP or ZLIB at level 6, at some 60 MB/s.
    #[default]
    Default,
    /// Not at all: for data that does not get smaller, several times as fast.
    None,
}

impl Sealer {
    /// Looks up the keys, unlocks the one that signs, and makes sure that the passphrase is there, asking
    /// for what is missing.
    ///
    /// Fails with the error that [`Keyring::check`] finds, with [`CryptoError::WrongPassphrase`],
    /// [`CryptoError::PassphraseNeeded`] or [`CryptoError::AgentLocked`]. With
    /// [`Encryption::None`] nothing of this is done, and [`Sealer::seal`] fails.
    pub fn new(
        keyring: &Keyring,
        protection: &Protection,
        passphrases: &Passphrases,
        job: &Job,
    ) -> Result<Self> {
        let answers = Answers { passphrases: passphrases.clone(), job: job.clone(), purpose: Purpose::Seal };
        let mut plan = Plan { recipients: None, hidden: Vec::new(), signer: None };
        match &protection.encryption {
            Encryption::None => return Ok(Self { keyring: keyring.clone(), answers, plan }),
            Encryption::Passphrase => {
                passphrases.archive(job)?;
                plan.recipients = Some(Vec::new());
            }
            Encryption::Keys(wanted) => {
                // gpg takes an empty list for a wish to use a passphrase.
                if wanted.is_empty() {
                    return Err(CryptoError::Other("no key is given to encrypt to".to_owned()).into());
                }
                let mut recipients = Vec::with_capacity(wanted.len());
                for recipient in wanted {
                    let key = keyring.recipient(&recipient.key)?;
                    if recipient.hidden {
                        plan.hidden.extend(key.subkeys().filter_map(|subkey| key_id(&subkey)));
                    }
                    recipients.push(key);
                }
                plan.recipients = Some(recipients);
            }
        }
        if let Some(id) = &protection.sign_key {
            let signer = keyring.signer(id)?;
            unlock(keyring, &signer, &answers)?;
            plan.signer = Some(signer);
        }
        Ok(Self { keyring: keyring.clone(), answers, plan })
    }

    /// Begins a file that gpg may compress. See [`Sealer::seal_with`].
    pub fn seal<W: Write + Send + 'static>(&self, sink: W) -> Result<SealWriter<W>> {
        self.seal_with(sink, Compression::Default)
    }

    /// Begins a file: what is written into the result reaches `sink` encrypted, and signed if the
    /// protection says so. A thread and a process of gpg work behind it; about 1 MiB is on its way at
    /// most.
    ///
    /// A passphrase makes a file cost 0.1 s, because gpg stretches it anew for each.
    pub fn seal_with<W: Write + Send + 'static>(
        &self,
        sink: W,
        compression: Compression,
    ) -> Result<SealWriter<W>> {
        if self.plan.recipients.is_none() {
            return Err(Error::Internal("a file is to be sealed, but nothing is to be encrypted".to_owned()));
        }
        let control = self.answers.job.control().clone();
        control.check()?;
        let (input, source) = pipe::pipe(&control);
        let sealer = self.clone();
        let worker = Worker::start("seal", move || sealer.run(source, sink, compression))?;
        Ok(SealWriter { input: Some(input), worker: Some(worker), control })
    }

    /// The work of one file, on its own thread.
    fn run<W: Write + Send>(&self, mut source: PipeReader, sink: W, compression: Compression) -> Outcome<W> {
        let control = self.answers.job.control();
        let mut sink = Sink {
            inner: sink,
            watch: PacketWatch::new(self.plan.hidden.clone()),
            error: None,
            control: control.clone(),
        };
        let talk = Talk::new(self.answers.clone());
        let result = self.encrypt(&talk, &mut source, &mut sink, compression);
        if let Some(error) = sink.error {
            return Err(Failure::Stream(error));
        }
        if let Some(error) = talk.failure() {
            return Err(Failure::Ours(error));
        }
        let facts = talk.facts();
        match result {
            Ok(()) if facts.is_sealed(self.plan.signer.is_some()) && sink.watch.is_whole() => Ok(sink.inner),
            Ok(()) => Err(CryptoError::Other("gpg stopped before the file was whole".to_owned()).into()),
            Err(Stop::Crypto(error)) => Err(error.into()),
            Err(Stop::Gpg(error)) => {
                if let Some(reason) = control.cancelled() {
                    return Err(Failure::Ours(Error::Cancelled(reason)));
                }
                if let Some(refusal) = talk.refusal() {
                    return Err(refusal.into());
                }
                if facts.is_passphrase_wrong() {
                    let what = facts.needs.unwrap_or(PassphraseFor::Archive);
                    return Err(CryptoError::WrongPassphrase { what }.into());
                }
                Err(facts.seal_error(error).into())
            }
        }
    }

    fn encrypt<W: Write + Send>(
        &self,
        talk: &Talk,
        source: &mut PipeReader,
        sink: &mut Sink<W>,
        compression: Compression,
    ) -> Result<(), Stop> {
        let recipients = self.plan.recipients.as_deref().unwrap_or_default();
        let mut context = talk.context(&self.keyring, recipients.is_empty())?;
        // Exactly the plan's recipients: neither trust nor an `encrypt-to` in gpg.conf changes them.
        let mut flags = EncryptFlags::ALWAYS_TRUST | EncryptFlags::NO_ENCRYPT_TO;
        if compression == Compression::None {
            flags |= EncryptFlags::NO_COMPRESS;
        }
        let mut plain = Data::from_reader(talk.input(source)).map_err(|error| Stop::Gpg(error.error()))?;
        let mut sealed = Data::from_writer(sink).map_err(|error| Stop::Gpg(error.error()))?;
        talk::enlarge(&mut plain)?;
        talk::enlarge(&mut sealed)?;
        match &self.plan.signer {
            Some(signer) => {
                context.add_signer(signer).map_err(status::plain)?;
                context.sign_and_encrypt_with_flags(recipients, &mut plain, &mut sealed, flags).map(drop)
            }
            None => context.encrypt_with_flags(recipients, &mut plain, &mut sealed, flags).map(drop),
        }
        .map_err(Stop::Gpg)
    }
}

/// Makes sure that the key can sign, asking for its passphrase if need be: gpg would ask only after the
/// last byte of the first file.
fn unlock(keyring: &Keyring, signer: &gpgme::Key, answers: &Answers) -> Result<()> {
    loop {
        answers.job.check()?;
        let talk = Talk::new(answers.clone());
        let mut context = talk.context(keyring, false)?;
        context.add_signer(signer).map_err(status::plain)?;
        let result = context.sign_detached("Souvenir", Vec::new());
        drop(context);
        let facts = talk.facts();
        match result {
            Ok(_) if facts.is_signed() => return Ok(()),
            Ok(_) => return Err(CryptoError::Other("no signature was made".to_owned()).into()),
            Err(error) => {
                if let Some(failure) = talk.failure() {
                    return Err(failure);
                }
                if let Some(refusal) = talk.refusal() {
                    return Err(refusal.into());
                }
                if facts.is_passphrase_wrong() {
                    if talk.learn_from_refusal() {
                        continue;
                    }
                    let what = PassphraseFor::from(keys::name_of(signer, ""));
                    return Err(CryptoError::WrongPassphrase { what }.into());
                }
                return Err(facts.seal_error(error).into());
            }
        }
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealer")
            .field("keyring", &self.keyring)
            .field("recipients", &self.plan.recipients.as_ref().map(Vec::len))
            .field("signs", &self.plan.signer.is_some())
            .finish_non_exhaustive()
    }
}

fn key_id(subkey: &gpgme::Subkey<'_>) -> Option<[u8; 8]> {
    let id = u64::from_str_radix(subkey.id().ok()?, 16).ok()?;
    Some(id.to_be_bytes())
}

type Outcome<W> = std::result::Result<W, Failure>;

/// Why a file could not be sealed.
enum Failure {
    /// The sink's own error.
    Stream(io::Error),
    Ours(Error),
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

/// Where gpg's output goes. Keeps the sink's error, which gpgme would reduce to a number.
struct Sink<W> {
    inner: W,
    watch: PacketWatch,
    error: Option<io::Error>,
    control: Control,
}

impl<W: Write> Write for Sink<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.error.is_some() || self.control.cancelled().is_some() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let inner = &mut self.inner;
        if let Err(error) = self.watch.pass(bytes, |bytes| inner.write_all(bytes)) {
            self.error = Some(error);
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes one sealed file. Dropped before [`SealWriter::finish`], gpg is stopped and the sink dropped
/// unfinished.
///
/// Errors of [`Write`] are the sink's own, or carry an [`Error`]. They may be of earlier bytes.
pub struct SealWriter<W> {
    /// None once something failed.
    input: Option<PipeWriter>,
    worker: Option<Worker<Outcome<W>>>,
    control: Control,
}

impl<W> SealWriter<W> {
    /// Waits until everything is sealed and written, and gives the sink back.
    ///
    /// An error that the sink gave comes back as itself if it carries an [`Error`], else as
    /// [`Error::Storage`].
    pub fn finish(mut self) -> Result<W> {
        let ended = match self.input.as_mut() {
            Some(input) => input.finish(),
            None => Err(failed_before()),
        };
        let outcome = match ended {
            Ok(()) => self.outcome(),
            Err(error) => Err(Failure::Stream(self.explain(error))),
        };
        outcome.map_err(|failure| match failure {
            Failure::Ours(error) => error,
            Failure::Stream(error) => Error::from_stream(error, |error| {
                StorageError::from_io("writing", "the sealed file", error).into()
            }),
        })
    }

    fn outcome(&mut self) -> Outcome<W> {
        match self.worker.take() {
            Some(worker) => worker.wait(&self.control).unwrap_or_else(|error| Err(Failure::Ours(error))),
            None => Err(Failure::Stream(failed_before())),
        }
    }

    /// The reason behind an error of the pipe.
    fn explain(&mut self, error: io::Error) -> io::Error {
        if error.kind() != io::ErrorKind::BrokenPipe {
            return error;
        }
        match self.outcome() {
            Err(Failure::Stream(error)) => error,
            Err(Failure::Ours(error)) => error.into_stream(),
            Ok(_) => Error::Internal("gpg was done before its input was".to_owned()).into_stream(),
        }
    }
}

fn failed_before() -> io::Error {
    Error::Internal("the sealed file has failed before".to_owned()).into_stream()
}

impl<W> Write for SealWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(input) = self.input.as_mut() else { return Err(failed_before()) };
        match input.write(bytes) {
            Ok(count) => Ok(count),
            Err(error) => {
                let error = self.explain(error);
                self.input = None;
                Err(error)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W> Drop for SealWriter<W> {
    fn drop(&mut self) {
        self.input = None;
        if let Some(worker) = self.worker.take() {
            worker.let_go();
        }
    }
}

impl<W> std::fmt::Debug for SealWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealWriter(…)")
    }
}
