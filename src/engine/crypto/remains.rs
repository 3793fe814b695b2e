//! What is left of a sealed file that is damaged.
//!
//! gpg only opens the lock in front of the file here, and tells the session key. The data are decrypted and decompressed
//! in this process: when something is wrong gpg gives up without handing on the last of what it has, which of a small
//! file is all.

use std::fmt;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::sync::{Arc, Mutex, PoisonError};

use flate2::bufread::{DeflateDecoder, ZlibDecoder};
use pgp::composed::{DecryptionOptions, Message, PlainSessionKey, TheRing};
use pgp::packet::PacketHeader;
use pgp::ser::Serialize;
use pgp::types::Tag;

use super::error::{CryptoError, SealDamage};
use super::open::Opener;
use super::packet_reader::PacketReader;
use super::protect::UncheckedReader;
use super::status::SessionKey;
use crate::engine::error::{Error, Result};
use crate::engine::storage::StorageError;

/// What holds the packets in front of the data, for a hundred recipients.
const BEGINNING_BYTES: u64 = 64 << 10;

/// Of the data, enough for gpg to begin; less than the first part that any program writes.
const DATA_BYTES: u32 = 256;

/// Packets that may stand around and in front of the contents: one that is compressed, and signatures announced.
const MAX_PACKETS: usize = 16;

/// Reads a sealed file as far as it can be read. Nothing vouches for what comes out.
///
/// Errors of [`Read`] carry an [`Error`]: that the file is damaged, or what else is in the way.
pub struct RemainsReader {
    /// None once something failed.
    contents: Option<Box<dyn Read + Send>>,
    trouble: Trouble,
}

/// What the file's own stream failed with.
type Trouble = Arc<Mutex<Option<io::Error>>>;

impl Opener {
    /// Opens a file that is known to be damaged.
    ///
    /// Fails if the key cannot be had, be it since the file is damaged there.
    pub fn open_remains<R: Read + Send + 'static>(&self, mut source: R) -> Result<RemainsReader> {
        let mut beginning = Vec::new();
        source.by_ref().take(BEGINNING_BYTES).read_to_end(&mut beginning).map_err(of_source)?;
        let locks = Locks::read(&beginning).ok_or_else(altered)?;
        let key = self.session_key(&locks.with_some_data(&beginning).ok_or_else(altered)?)?;
        let trouble = Trouble::default();
        let sealed = Sealed { inner: Cursor::new(beginning).chain(source), trouble: Arc::clone(&trouble) };
        let contents = open(BufReader::new(sealed), &locks, key).map_err(|error| reason(&trouble, &error))?;
        Ok(RemainsReader { contents: Some(contents), trouble })
    }
}

/// What stands in front of the data.
struct Locks {
    /// Bytes of the packets with the session key.
    length: usize,
    /// The header of the packet with the data.
    data: PacketHeader,
    /// Where that header ends.
    data_at: usize,
}

impl Locks {
    fn read(beginning: &[u8]) -> Option<Self> {
        let mut rest = beginning;
        loop {
            let length = beginning.len() - rest.len();
            let header = PacketHeader::try_from_reader(&mut rest).ok()?;
            match header.tag() {
                Tag::PublicKeyEncryptedSessionKey | Tag::SymKeyEncryptedSessionKey => {
                    let length = usize::try_from(header.packet_length().maybe_len()?).ok()?;
                    rest = rest.get(length..)?;
                }
                Tag::SymEncryptedProtectedData | Tag::GnupgAeadData => {
                    return Some(Self { length, data: header, data_at: beginning.len() - rest.len() });
                }
                _ => return None,
            }
        }
    }

    /// A message of these locks and the first of the data: gpg does not begin to decrypt what is cut off in the middle
    /// of its first part.
    fn with_some_data(&self, beginning: &[u8]) -> Option<Vec<u8>> {
        let length = self.data.packet_length().maybe_len().unwrap_or(DATA_BYTES).min(DATA_BYTES);
        let data = beginning.get(self.data_at..)?.get(..usize::try_from(length).ok()?)?;
        let mut message = beginning.get(..self.length)?.to_vec();
        PacketHeader::new_fixed(self.data.tag(), length).to_writer(&mut message).ok()?;
        message.extend_from_slice(data);
        Some(message)
    }
}

fn open(
    mut sealed: impl BufRead + fmt::Debug + Send + 'static,
    locks: &Locks,
    SessionKey { algorithm, key }: SessionKey,
) -> pgp::errors::Result<Box<dyn Read + Send>> {
    if locks.data.tag() == Tag::GnupgAeadData {
        // Each part has a checksum of its own. The first one that is wrong ends the file.
        let key = PlainSessionKey::V3_4 { sym_alg: algorithm.into(), key: key.into() };
        let decrypt_options = DecryptionOptions::new().enable_gnupg_aead();
        let ring = TheRing { session_keys: vec![key], decrypt_options, ..TheRing::default() };
        let (message, _) = Message::from_bytes(sealed)?.decrypt_the_ring(ring, true)?;
        return Ok(Box::new(if message.is_compressed() { message.decompress()? } else { message }));
    }
    io::copy(&mut sealed.by_ref().take(locks.data_at as u64), &mut io::sink())?;
    let body = PacketReader::new(sealed, locks.data.packet_length());
    let plain = UncheckedReader::new(body, algorithm.into(), key)?;
    Ok(contents(Box::new(BufReader::new(plain)))?)
}

/// The contents of a message that is decrypted. Unlike pgp's own reader this one hands on all that comes before an end
/// that is missing.
fn contents(mut packets: Box<dyn BufRead + Send>) -> io::Result<Box<dyn Read + Send>> {
    // A compressed packet may hold others, without end if it was made for that.
    for _ in 0..MAX_PACKETS {
        let header = PacketHeader::try_from_reader(&mut packets)?;
        let mut body = BufReader::new(PacketReader::new(packets, header.packet_length()));
        let mut octet = [0];
        packets = match header.tag() {
            Tag::CompressedData => {
                body.read_exact(&mut octet)?;
                match octet {
                    // RFC 4880, 9.3.
                    [0] => Box::new(body),
                    [1] => Box::new(BufReader::new(DeflateDecoder::new(body))),
                    [2] => Box::new(BufReader::new(ZlibDecoder::new(body))),
                    _ => return Err(io::ErrorKind::Unsupported.into()),
                }
            }
            Tag::LiteralData => {
                // The kind, the name and the time (RFC 4880, 5.9).
                body.read_exact(&mut octet)?;
                body.read_exact(&mut octet)?;
                io::copy(&mut body.by_ref().take(u64::from(octet[0]) + 4), &mut io::sink())?;
                return Ok(Box::new(body));
            }
            Tag::OnePassSignature | Tag::Signature | Tag::Marker => {
                io::copy(&mut body, &mut io::sink())?;
                body.into_inner().into_inner()
            }
            _ => break,
        };
    }
    Err(io::ErrorKind::InvalidData.into())
}

impl Read for RemainsReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(contents) = &mut self.contents else { return Err(altered().into_stream()) };
        contents.read(buffer).map_err(|error| {
            self.contents = None;
            reason(&self.trouble, &error).into_stream()
        })
    }
}

impl fmt::Debug for RemainsReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RemainsReader(…)")
    }
}

/// A sealed file. Its errors would not come through the decryption unchanged: they are put aside.
struct Sealed<R> {
    inner: R,
    trouble: Trouble,
}

impl<R: Read> Read for Sealed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).map_err(|error| {
            let kind = error.kind();
            if kind != io::ErrorKind::Interrupted {
                self.trouble.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
            kind.into()
        })
    }
}

impl<R> fmt::Debug for Sealed<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(…)")
    }
}

/// What is wrong: what the file's own stream said, or else that the file is not as it was.
fn reason(trouble: &Trouble, error: &dyn fmt::Display) -> Error {
    tracing::debug!(%error, "a damaged file can be read so far");
    let trouble = trouble.lock().unwrap_or_else(PoisonError::into_inner).take();
    trouble.map_or_else(altered, of_source)
}

fn of_source(error: io::Error) -> Error {
    Error::from_stream(error, |error| StorageError::from_io("reading", "the sealed file", error).into())
}

fn altered() -> Error {
    CryptoError::Damaged(SealDamage::Altered).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_in_packets_have_an_end() {
        // A literal packet, then one that is compressed by nothing at all, of unknown length, around it.
        let literal = b"\xcb\x09b\0\0\0\0\0abc".to_vec();
        let nested = |depth: usize| [b"\xa3\0".repeat(depth), literal.clone()].concat();
        let read = |packets: Vec<u8>| {
            let mut found = Vec::new();
            contents(Box::new(Cursor::new(packets)))?.read_to_end(&mut found)?;
            io::Result::Ok(found)
        };
        assert_eq!(read(nested(0)).unwrap(), b"abc");
        assert_eq!(read(nested(2)).unwrap(), b"abc");
        assert_eq!(read(nested(100_000)).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
