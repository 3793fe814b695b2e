//! Files that gpg seals by itself, because a key or a signature is of a kind that nothing here can
//! write: bytes go in, an OpenPGP message comes out. gpg then compresses, too, in its own way.

use std::io::{self, Write};

use gpgme::{Data, EncryptFlags};

use super::error::CryptoError;
use super::keys::Keyring;
use super::packets::PacketWatch;
use super::passphrases::PassphraseFor;
use super::pipe::PipeReader;
use super::piped::Piped;
use super::talk::{self, Answers, Talk, Wanted};
use super::{signing, status};
use crate::engine::error::Result;
use crate::engine::job::Control;

/// Lets gpg seal files.
#[derive(Clone)]
pub(super) struct GpgSealer {
    pub(super) keyring: Keyring,
    pub(super) answers: Answers,
    /// None of them means a passphrase.
    pub(super) recipients: Vec<gpgme::Key>,
    /// Key ids of the subkeys of recipients that are not to be named.
    pub(super) hidden: Vec<[u8; 8]>,
    pub(super) signer: Option<gpgme::Key>,
}

impl GpgSealer {
    /// Begins a file. A thread and a process of gpg work behind it; about 1 MiB is on its way at most.
    pub(super) fn seal<W: Write + Send + 'static>(&self, sink: W) -> Result<Piped<W>> {
        let sealer = self.clone();
        Piped::start("seal", self.answers.job.control(), move |source| sealer.run(source, sink))
    }

    /// The work of one file, on its own thread.
    fn run<W: Write + Send>(&self, mut source: PipeReader, sink: W) -> io::Result<W> {
        let mut sink = Sink {
            inner: sink,
            watch: PacketWatch::new(self.hidden.clone()),
            error: None,
            control: self.answers.job.control().clone(),
        };
        let talk = Talk::new(self.answers.clone());
        let result = self.encrypt(&talk, &mut source, &mut sink);
        if let Some(error) = sink.error {
            return Err(error);
        }
        let facts = talk.facts();
        let error = match result {
            Ok(()) if talk.has_failed() => {
                talk.seal_failure(&facts, gpgme::Error::CANCELED, PassphraseFor::Archive)
            }
            Ok(()) if facts.is_sealed(self.signer.is_some()) && sink.watch.is_whole() => {
                return Ok(sink.inner);
            }
            Ok(()) => CryptoError::Other("gpg stopped before the file was whole".to_owned()).into(),
            Err(Stop::Crypto(error)) => error.into(),
            Err(Stop::Gpg(error)) => talk.seal_failure(&facts, error, PassphraseFor::Archive),
        };
        Err(error.into_stream())
    }

    fn encrypt<W: Write + Send>(
        &self,
        talk: &Talk,
        source: &mut PipeReader,
        sink: &mut Sink<W>,
    ) -> Result<(), Stop> {
        let recipients = &self.recipients;
        let wanted = match &self.signer {
            _ if recipients.is_empty() => Wanted::Archive,
            Some(signer) => signing::wanted_by(signer),
            None => Wanted::Key,
        };
        let mut context = talk.context(&self.keyring, wanted)?;
        // Exactly the plan's recipients: neither trust nor an `encrypt-to` in gpg.conf changes them.
        let flags = EncryptFlags::ALWAYS_TRUST | EncryptFlags::NO_ENCRYPT_TO;
        let mut plain = Data::from_reader(talk.input(source)).map_err(|error| Stop::Gpg(error.error()))?;
        let mut sealed = Data::from_writer(sink).map_err(|error| Stop::Gpg(error.error()))?;
        talk::enlarge(&mut plain)?;
        talk::enlarge(&mut sealed)?;
        match &self.signer {
            Some(signer) => {
                context.add_signer(signer).map_err(status::plain)?;
                context.sign_and_encrypt_with_flags(recipients, &mut plain, &mut sealed, flags).map(drop)
            }
            None => context.encrypt_with_flags(recipients, &mut plain, &mut sealed, flags).map(drop),
        }
        .map_err(Stop::Gpg)
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
