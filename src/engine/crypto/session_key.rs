//! The packets in front of an encrypted one: its session key, locked for everybody who may open it.
//!
//! Public keys come out of the keyring and need no secrets. Keys of kinds that are not handled here are
//! left to gpg.

use std::time::SystemTime;

use gpgme::ExportMode;
use pgp::composed::RawSessionKey;
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{
    Packet, PacketHeader, PacketParser, PacketTrait, PublicKey, PublicKeyEncryptedSessionKey, PublicSubkey,
    SignatureType, SymKeyEncryptedSessionKey,
};
use pgp::types::{EncryptionKey, KeyDetails, KeyId, StringToKey, Tag};
use rand_core::{OsRng, RngCore};

use super::error::{CryptoError, KeyName};
use super::keys::{self, Keyring};
use super::passphrases::Secret;
use super::protect::{BLOCK_BYTES, CIPHER};
use super::status;

/// The strength with which passphrases are stretched, coded as in RFC 4880, 3.7.1.3: 65,011,712 bytes
/// are hashed, the most that there is and what gpg takes on a quick machine.
const STRETCH: u8 = 0xff;

/// Who can open a file.
pub(super) enum Lock {
    /// Whoever knows the passphrase.
    Passphrase(StretchedPassphrase),
    /// The owners of these keys.
    Keys(Vec<RecipientKey>),
}

impl Lock {
    /// A new session key and the packets that lock it.
    ///
    /// Fails with [`CryptoError::ExpiredKey`] if a key has expired meanwhile.
    pub(super) fn session_key(&self) -> Result<(RawSessionKey, Vec<u8>), CryptoError> {
        let key = random_key()?;
        let mut packets = Vec::new();
        match self {
            Self::Passphrase(passphrase) => passphrase.lock(&key, &mut packets)?,
            Self::Keys(keys) => {
                for recipient in keys {
                    recipient.lock(&key, &mut packets)?;
                }
            }
        }
        Ok((key, packets))
    }
}

fn random_key() -> Result<RawSessionKey, CryptoError> {
    let mut bytes = zeroize::Zeroizing::new(vec![0; CIPHER.key_size()]);
    OsRng.try_fill_bytes(&mut bytes).map_err(|error| failed("making a session key", error))?;
    Ok(bytes.into())
}

fn failed(action: &str, error: impl std::fmt::Display) -> CryptoError {
    CryptoError::Other(format!("{action}: {error}"))
}

/// A passphrase made into a key, once for all files of an operation: that takes a tenth of a second or two.
///
/// Every file's session key is locked with it, from the same start of the cipher stream. So of two session
/// keys it can be seen in which bits of the first 15 bytes they differ. That tells nothing of either; and
/// whoever is given one of them still misses 17 bytes, 136 bits, of every other.
pub(super) struct StretchedPassphrase {
    how: StringToKey,
    key: RawSessionKey,
}

impl StretchedPassphrase {
    pub(super) fn new(passphrase: &Secret) -> Result<Self, CryptoError> {
        let mut salt = [0; 8];
        OsRng.try_fill_bytes(&mut salt).map_err(|error| failed("salting the passphrase", error))?;
        let how = StringToKey::IteratedAndSalted { hash_alg: HashAlgorithm::Sha512, salt, count: STRETCH };
        let key = how
            .derive_key(passphrase.expose(), CIPHER.key_size())
            .map_err(|error| failed("stretching the passphrase", error))?;
        Ok(Self { how, key })
    }

    /// RFC 4880, 5.3.
    fn lock(&self, key: &RawSessionKey, packets: &mut Vec<u8>) -> Result<(), CryptoError> {
        let action = "locking a session key with the passphrase";
        let mut locked = zeroize::Zeroizing::new(vec![u8::from(CIPHER)]);
        locked.extend_from_slice(key.as_ref());
        CIPHER
            .encrypt_with_iv_regular(self.key.as_ref(), &[0; BLOCK_BYTES], &mut locked)
            .map_err(|error| failed(action, error))?;
        let packet = SymKeyEncryptedSessionKey::V4 {
            packet_header: PacketHeader::new_fixed(Tag::SymKeyEncryptedSessionKey, 0),
            sym_algorithm: CIPHER,
            s2k: self.how.clone(),
            encrypted_key: locked.to_vec().into(),
        };
        packet.to_writer_with_header(packets).map_err(|error| failed(action, error))
    }
}

/// A public key that encrypts.
pub(super) struct RecipientKey {
    key: Part,
    /// Whether the file does not say whose it is.
    is_hidden: bool,
    name: KeyName,
    expires: Option<SystemTime>,
}

/// Which part of a person's key it is.
enum Part {
    Primary(PublicKey),
    Subkey(PublicSubkey),
}

impl RecipientKey {
    /// Takes the part of a usable key that gpg would encrypt to. None if that is of a kind that only gpg
    /// can encrypt to.
    pub(super) fn find(
        keyring: &Keyring,
        key: &gpgme::Key,
        is_hidden: bool,
    ) -> Result<Option<Self>, CryptoError> {
        let name = keys::name_of(key, "");
        let Some(chosen) = encryption_part(key) else { return Ok(None) };
        let expires =
            key.primary_key().into_iter().chain(Some(chosen)).filter_map(|part| part.expiration_time()).min();
        let fingerprint = chosen.fingerprint().unwrap_or_default();
        let exported = export(keyring, key)?;
        let Some(key) = Part::find(&exported, fingerprint) else { return Ok(None) };
        let found = Self { key, is_hidden, name, expires };
        // Some kinds are known, but not encrypted to.
        let can_encrypt = found.lock(&random_key()?, &mut Vec::new());
        Ok(can_encrypt.is_ok().then_some(found))
    }

    /// RFC 4880, 5.1.
    fn lock(&self, key: &RawSessionKey, packets: &mut Vec<u8>) -> Result<(), CryptoError> {
        if self.expires.is_some_and(|expires| expires <= SystemTime::now()) {
            return Err(CryptoError::ExpiredKey { key: self.name.clone() });
        }
        let locked = match &self.key {
            Part::Primary(recipient) => lock_to(recipient, key),
            Part::Subkey(recipient) => lock_to(recipient, key),
        };
        let write = |mut packet: PublicKeyEncryptedSessionKey| {
            if self.is_hidden
                && let PublicKeyEncryptedSessionKey::V3 { id, .. } = &mut packet
            {
                *id = KeyId::WILDCARD;
            }
            packet.to_writer_with_header(packets)
        };
        locked.and_then(write).map_err(|error| failed("locking a session key", error))
    }
}

fn lock_to(
    recipient: &impl EncryptionKey,
    key: &RawSessionKey,
) -> pgp::errors::Result<PublicKeyEncryptedSessionKey> {
    PublicKeyEncryptedSessionKey::from_session_key_v3(OsRng, key, CIPHER, &recipient)
}

fn export(keyring: &Keyring, key: &gpgme::Key) -> Result<Vec<u8>, CryptoError> {
    let mut bytes = Vec::new();
    let mut context = keyring.context()?;
    context.export_keys([key], ExportMode::MINIMAL, &mut bytes).map_err(status::plain)?;
    Ok(bytes)
}

impl Part {
    /// The key with this fingerprint. gpg has looked at the signatures that bind it.
    fn find(exported: &[u8], fingerprint: &str) -> Option<Self> {
        let is_wanted = |key: &dyn KeyDetails| format!("{:X}", key.fingerprint()) == fingerprint;
        let mut found = None;
        for packet in PacketParser::new(exported) {
            match packet {
                Ok(Packet::PublicKey(key)) if is_wanted(&key) => found = Some(Self::Primary(key)),
                Ok(Packet::PublicSubkey(key)) if is_wanted(&key) => found = Some(Self::Subkey(key)),
                // Another subkey that whatever is for this key shall be encrypted to as well: gpg's affair.
                Ok(Packet::Signature(binding))
                    if binding.typ() == Some(SignatureType::SubkeyBinding) && binding.key_flags().adsk() =>
                {
                    return None;
                }
                _ => {}
            }
        }
        found
    }
}

/// The part of a usable key that gpg encrypts to: the newest subkey that can, else the primary key.
fn encryption_part(key: &gpgme::Key) -> Option<gpgme::Subkey<'_>> {
    let fits = |part: &gpgme::Subkey<'_>| {
        part.can_encrypt()
            && !part.is_bad()
            && part.creation_time().is_none_or(|created| created <= SystemTime::now())
    };
    // Of those made in the same second gpg takes the first, `max_by_key` the last.
    let subkeys: Vec<_> = key.subkeys().skip(1).filter(fits).collect();
    let newest = subkeys.into_iter().rev().max_by_key(gpgme::Subkey::creation_time);
    newest.or_else(|| key.primary_key().filter(fits))
}
