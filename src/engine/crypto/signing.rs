//! Signatures over what is sealed in this process. gpg makes them, beside it, and sees the contents once
//! as they pass; the secret key stays with its agent.

use std::io::Read;

use gpgme::Data;
use pgp::packet::{OnePassSignature, Packet, PacketParser, PacketTrait, Signature, SignatureType};
use pgp::types::KeyId;

use super::error::CryptoError;
use super::keys::{self, Keyring};
use super::passphrases::PassphraseFor;
use super::pipe::PipeReader;
use super::piped::Piped;
use super::status;
use super::talk::{self, Answers, Talk, Wanted};
use crate::engine::error::{Error, Result};

/// Makes sure that the key can sign, asking for its passphrase if need be: gpg would ask only after the
/// last byte of the first file. Gives the signature that was made for a trial.
pub(super) fn unlock(keyring: &Keyring, signer: &gpgme::Key, answers: &Answers) -> Result<Vec<u8>> {
    loop {
        answers.job.check()?;
        let talk = Talk::new(answers.clone());
        match sign(keyring, signer, &talk, "Souvenir".as_bytes()) {
            Err(error) if is_wrong_passphrase(&error) && !talk.is_refused() && talk.learn_from_refusal() => {}
            result => return result,
        }
    }
}

fn is_wrong_passphrase(error: &Error) -> bool {
    matches!(error, Error::Crypto { source: CryptoError::WrongPassphrase { .. }, .. })
}

/// What gpg may want to be told to sign by a key.
pub(super) fn wanted_by(signer: &gpgme::Key) -> Wanted {
    let is_on_card = signer.subkeys().any(|part| part.can_sign() && !part.is_bad() && part.is_card_key());
    if is_on_card { Wanted::Pin } else { Wanted::Key }
}

/// One detached signature.
fn sign(keyring: &Keyring, signer: &gpgme::Key, talk: &Talk, source: impl Read + Send) -> Result<Vec<u8>> {
    let mut signature = Vec::new();
    let mut context = talk.context(keyring, wanted_by(signer))?;
    context.add_signer(signer).map_err(status::plain)?;
    let result = {
        let mut plain =
            Data::from_reader(talk.input(source)).map_err(|error| status::plain(error.error()))?;
        talk::enlarge(&mut plain)?;
        context.sign_detached(&mut plain, &mut signature)
    };
    drop(context);
    let facts = talk.facts();
    match result {
        Ok(_) if facts.is_signed() => Ok(signature),
        Ok(_) => Err(CryptoError::Other("no signature was made".to_owned()).into()),
        Err(error) => Err(talk.seal_failure(&facts, error, PassphraseFor::from(keys::name_of(signer, "")))),
    }
}

/// Signs files by one key, in a way that is known before the first of them ends.
#[derive(Clone)]
pub(super) struct FileSigner {
    keyring: Keyring,
    answers: Answers,
    key: gpgme::Key,
    manner: Manner,
}

/// What the packet in front of the contents has to say of the signature behind them.
#[derive(Clone, PartialEq, Eq)]
struct Manner {
    announcement: OnePassSignature,
    issuer: KeyId,
}

impl Manner {
    /// The manner of a signature by one key. None if it is of a kind that is left to gpg: several
    /// signatures at once, or other versions than 4.
    fn of(signature: &[u8]) -> Option<Self> {
        let mut packets = PacketParser::new(signature);
        let (Some(Ok(Packet::Signature(signature))), None) = (packets.next(), packets.next()) else {
            return None;
        };
        let (config, issuer) = (signature.config()?, issuer(&signature)?);
        let announcement =
            OnePassSignature::v3(SignatureType::Binary, config.hash_alg, config.pub_alg, issuer);
        announcement.matches(&signature).then_some(Self { announcement, issuer })
    }
}

/// RFC 4880, 5.2.3.5.
fn issuer(signature: &Signature) -> Option<KeyId> {
    match signature.issuer_key_id()[..] {
        [id] => Some(*id),
        _ => None,
    }
}

impl FileSigner {
    /// Learns from the signature that was made for a trial. None if only gpg can put such signatures
    /// into a file.
    pub(super) fn new(keyring: &Keyring, key: &gpgme::Key, trial: &[u8], answers: &Answers) -> Option<Self> {
        let manner = Manner::of(trial)?;
        Some(Self { keyring: keyring.clone(), answers: answers.clone(), key: key.clone(), manner })
    }

    /// The packet that announces the signature (RFC 4880, 5.4).
    pub(super) fn announcement(&self) -> Result<Vec<u8>, CryptoError> {
        let mut packet = Vec::new();
        self.manner
            .announcement
            .to_writer_with_header(&mut packet)
            .map_err(|error| CryptoError::Other(format!("announcing a signature: {error}")))?;
        Ok(packet)
    }

    /// Begins the signature of a file, whose contents are written into it. In the end comes the packet. A
    /// thread and a process of gpg work behind it.
    pub(super) fn begin(&self) -> Result<Piped<Vec<u8>>> {
        let signer = self.clone();
        Piped::start("sign", self.answers.job.control(), move |source| {
            signer.run(source).map_err(Error::into_stream)
        })
    }

    /// The work of one file, on its own thread.
    fn run(&self, source: PipeReader) -> Result<Vec<u8>> {
        let talk = Talk::new(self.answers.clone());
        let signature = sign(&self.keyring, &self.key, &talk, source)?;
        if Manner::of(&signature).is_some_and(|manner| manner == self.manner) {
            return Ok(signature);
        }
        // The settings of gpg or the key may have changed meanwhile.
        Err(CryptoError::Other("gpg signed in another way than before; try again".to_owned()).into())
    }
}
