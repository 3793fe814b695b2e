//! Writing sealed files: bytes go in, an OpenPGP message comes out.
//!
//! Files are compressed and encrypted here, in the call that writes. gpg is asked for signatures only,
//! or for everything where it has to be ([`by_gpg`](super::by_gpg)).

use std::io::{self, Write};
use std::sync::Arc;

use super::by_gpg::GpgSealer;
use super::error::CryptoError;
use super::keys::Keyring;
use super::message::Message;
use super::passphrases::{PassphraseFor, Passphrases, Purpose};
use super::piped::{Piped, failed_before};
use super::session_key::{Lock, RecipientKey, StretchedPassphrase};
use super::signing::{self, FileSigner};
use super::talk::{self, Answers};
use super::{Encryption, Protection, Recipient};
use crate::engine::error::{Error, Result};
use crate::engine::job::{Control, Job};
use crate::engine::storage::StorageError;

/// Bytes that are worked on before the control is looked at again.
const STEP_BYTES: usize = 1 << 20;

/// Seals files the way a [`Protection`] says. One serves a whole operation, and several threads at once.
#[derive(Clone)]
pub struct Sealer {
    control: Control,
    way: Arc<Way>,
}

/// Who seals. Found out once, so that a file costs little.
enum Way {
    /// Nobody: nothing is to be encrypted.
    None,
    /// This process.
    Here { lock: Lock, signer: Option<FileSigner> },
    /// gpg.
    ByGpg(GpgSealer),
}

impl Sealer {
    /// Looks up the keys, unlocks the one that signs, and makes sure that the passphrase is there, asking
    /// for what is missing. A passphrase is stretched, which takes a tenth of a second or two.
    ///
    /// Fails with the error that [`Keyring::check`] finds, with [`CryptoError::WrongPassphrase`],
    /// [`CryptoError::PassphraseNeeded`], [`CryptoError::AgentLocked`] or [`CryptoError::GpgMissing`]. With
    /// [`Encryption::None`] nothing of this is done, and [`Sealer::seal`] fails.
    pub fn new(
        keyring: &Keyring,
        protection: &Protection,
        passphrases: &Passphrases,
        job: &Job,
    ) -> Result<Self> {
        let way = if protection.is_openpgp() {
            // What could not be opened here is not sealed either.
            drop(keyring.context()?);
            Way::find(keyring, protection, passphrases, job)?
        } else {
            Way::None
        };
        Ok(Self { control: job.control().clone(), way: Arc::new(way) })
    }

    /// Begins a file: what is written into the result reaches `sink` encrypted, and signed if the
    /// protection says so. A file takes about half a mebibyte of memory. If it is signed, a thread and a
    /// process of gpg work behind it, with another mebibyte on its way at most.
    pub fn seal<W: Write + Send + 'static>(&self, sink: W) -> Result<SealWriter<W>> {
        self.control.check()?;
        let file = match &*self.way {
            Way::None => {
                let text = "a file is to be sealed, but nothing is to be encrypted";
                return Err(Error::Internal(text.to_owned()));
            }
            Way::Here { lock, signer } => {
                let (key, packets) = lock.session_key()?;
                let announcement = signer.as_ref().map_or(Ok(Vec::new()), FileSigner::announcement)?;
                let message = Message::begin(sink, packets, key, &announcement).map_err(unsealed)?;
                let signature = signer.as_ref().map(FileSigner::begin).transpose()?;
                File::Here(Box::new(message), signature)
            }
            Way::ByGpg(sealer) => File::ByGpg(sealer.seal(sink)?),
        };
        Ok(SealWriter { file: Some(file), control: self.control.clone() })
    }
}

impl Way {
    fn find(
        keyring: &Keyring,
        protection: &Protection,
        passphrases: &Passphrases,
        job: &Job,
    ) -> Result<Self> {
        let answers = Answers::new(passphrases.clone(), job.clone(), Purpose::Seal);
        let wanted = match &protection.encryption {
            Encryption::Keys(wanted) => wanted.as_slice(),
            Encryption::None | Encryption::Passphrase => &[],
        };
        let mut recipients = Vec::with_capacity(wanted.len());
        for recipient in wanted {
            recipients.push((recipient, keyring.recipient(&recipient.key)?));
        }
        let mut lock = match &protection.encryption {
            Encryption::None | Encryption::Passphrase => {
                let passphrase = passphrases.archive(job)?;
                if !talk::fits_agent(&passphrase) {
                    return Err(talk::too_long(&PassphraseFor::Archive).into());
                }
                Some(Lock::Passphrase(StretchedPassphrase::new(&passphrase)?))
            }
            // gpg would take an empty list for a wish to use a passphrase.
            Encryption::Keys(wanted) if wanted.is_empty() => {
                return Err(CryptoError::Other("no key is given to encrypt to".to_owned()).into());
            }
            Encryption::Keys(_) => lock_to(keyring, &recipients)?.map(Lock::Keys),
        };
        let signer = protection.sign_key.as_deref().map(|id| keyring.signer(id)).transpose()?;
        let mut file_signer = None;
        if let Some(signer) = &signer {
            let trial = signing::unlock(keyring, signer, &answers)?;
            file_signer = FileSigner::new(keyring, signer, &trial, &answers);
            if file_signer.is_none() {
                lock = None;
            }
        }
        if let Some(lock) = lock {
            return Ok(Self::Here { lock, signer: file_signer });
        }
        tracing::debug!("gpg itself seals, since a key or signature is of an uncommon kind");
        let hidden = recipients.iter().filter(|(recipient, _)| recipient.hidden);
        let hidden = hidden.flat_map(|(_, key)| key.subkeys().filter_map(|part| key_id(&part))).collect();
        let recipients = recipients.into_iter().map(|(_, key)| key).collect();
        Ok(Self::ByGpg(GpgSealer { keyring: keyring.clone(), answers, recipients, hidden, signer }))
    }
}

/// None if a key is of a kind that only gpg can encrypt to.
fn lock_to(
    keyring: &Keyring,
    recipients: &[(&Recipient, gpgme::Key)],
) -> Result<Option<Vec<RecipientKey>>, CryptoError> {
    recipients.iter().map(|(recipient, key)| RecipientKey::find(keyring, key, recipient.hidden)).collect()
}

fn key_id(subkey: &gpgme::Subkey<'_>) -> Option<[u8; 8]> {
    let id = u64::from_str_radix(subkey.id().ok()?, 16).ok()?;
    Some(id.to_be_bytes())
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let way = match &*self.way {
            Way::None => "none",
            Way::Here { .. } => "here",
            Way::ByGpg(_) => "by gpg",
        };
        f.debug_struct("Sealer").field("way", &way).finish_non_exhaustive()
    }
}

/// Writes one sealed file. Dropped before [`SealWriter::finish`], gpg is stopped and the sink dropped
/// unfinished.
///
/// Errors of [`Write`] are the sink's own, or carry an [`Error`]. They may be of earlier bytes.
pub struct SealWriter<W> {
    /// None once something failed.
    file: Option<File<W>>,
    control: Control,
}

enum File<W> {
    /// And its signature, if it is signed.
    Here(Box<Message<W>>, Option<Piped<Vec<u8>>>),
    ByGpg(Piped<W>),
}

impl<W: Write> SealWriter<W> {
    /// Says whether what comes next is worth compressing, which is assumed at first. It is obeyed within
    /// a few KiB, except where gpg compresses.
    pub fn expect_compressible(&mut self, compressible: bool) -> io::Result<()> {
        let result = match &mut self.file {
            None => Err(failed_before()),
            Some(File::Here(message, _)) => message.expect_compressible(compressible),
            Some(File::ByGpg(_)) => Ok(()),
        };
        self.keep(result)
    }

    /// Waits until everything is sealed and written, and gives the sink back.
    ///
    /// An error that the sink gave comes back as itself if it carries an [`Error`], else as
    /// [`Error::Storage`].
    pub fn finish(mut self) -> Result<W> {
        self.check().map_err(unsealed)?;
        match self.file.take() {
            None => Err(failed_before()),
            Some(File::Here(message, signature)) => signature
                .map_or(Ok(Vec::new()), Piped::finish)
                .and_then(|signature| message.finish(&signature)),
            Some(File::ByGpg(file)) => file.finish(),
        }
        .map_err(unsealed)
    }

    fn check(&self) -> io::Result<()> {
        match self.control.cancelled() {
            Some(reason) => Err(Error::Cancelled(reason).into_stream()),
            None => Ok(()),
        }
    }

    /// After an error there are only errors.
    fn keep<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        if result.is_err() {
            self.file = None;
        }
        result
    }
}

/// What becomes of the error of a stream.
fn unsealed(error: io::Error) -> Error {
    Error::from_stream(error, |error| StorageError::from_io("writing", "the sealed file", error).into())
}

impl<W: Write> Write for SealWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let step = &bytes[..bytes.len().min(STEP_BYTES)];
        let result = self.check().and_then(|()| match &mut self.file {
            None => Err(failed_before()),
            Some(File::Here(message, signature)) => {
                if let Some(signature) = signature {
                    signature.write_all(step)?;
                }
                message.write_all(step).map(|()| step.len())
            }
            Some(File::ByGpg(file)) => file.write(step),
        });
        self.keep(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W> std::fmt::Debug for SealWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealWriter(…)")
    }
}
