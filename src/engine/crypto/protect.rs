//! The body of the integrity-protected data packet, version 1 (RFC 4880, 5.13): AES-256 in CFB mode
//! over a random prefix, the contents and, last, a checksum of both (5.14).

use std::fmt;
use std::io::{self, Read, Write};

use pgp::composed::RawSessionKey;
use pgp::crypto::sym::SymmetricKeyAlgorithm;
use rand_core::{OsRng, RngCore};
use sha1::{Digest, Sha1};
use zeroize::Zeroizing;

/// The version of the body.
const VERSION: u8 = 1;

/// The cipher of everything that is sealed.
pub(super) const CIPHER: SymmetricKeyAlgorithm = SymmetricKeyAlgorithm::AES256;

/// Bytes in a block of it.
pub(super) const BLOCK_BYTES: usize = 16;

/// Bytes that are encrypted at once: whole blocks.
const BUFFER_BYTES: usize = 64 * 1024;

/// Header of the packet with the checksum: its tag is 19, its length 20.
const CHECKSUM_HEADER: [u8; 2] = [0xd3, 0x14];

/// Encrypts what is written into it.
///
/// After an error the packet is broken and must be given up.
pub(super) struct Protector<W> {
    inner: W,
    key: RawSessionKey,
    /// The last encrypted block.
    register: [u8; BLOCK_BYTES],
    /// What is not encrypted yet.
    buffer: Vec<u8>,
    checksum: Sha1,
}

impl<W: Write> Protector<W> {
    /// Begins the body. No more than one byte is written yet.
    pub(super) fn new(mut inner: W, key: RawSessionKey) -> io::Result<Self> {
        inner.write_all(&[VERSION])?;
        // A random block, and its last two bytes once more.
        let mut prefix = [0; BLOCK_BYTES + 2];
        OsRng.try_fill_bytes(&mut prefix[..BLOCK_BYTES]).map_err(io::Error::other)?;
        prefix.copy_within(BLOCK_BYTES - 2..BLOCK_BYTES, BLOCK_BYTES);
        let mut buffer = Vec::with_capacity(BUFFER_BYTES);
        buffer.extend_from_slice(&prefix);
        Ok(Self { inner, key, register: [0; BLOCK_BYTES], buffer, checksum: Sha1::new() })
    }

    /// Ends the body with its checksum.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.buffer.extend_from_slice(&CHECKSUM_HEADER);
        self.checksum.update(&self.buffer);
        let checksum = std::mem::take(&mut self.checksum).finalize();
        self.buffer.extend_from_slice(&checksum);
        self.encrypt()?;
        Ok(self.inner)
    }

    fn encrypt(&mut self) -> io::Result<()> {
        CIPHER
            .encrypt_with_iv_regular(self.key.as_ref(), &self.register, &mut self.buffer)
            .map_err(io::Error::other)?;
        if let Some(last) = self.buffer.last_chunk() {
            self.register = *last;
        }
        self.inner.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

impl<W: Write> Write for Protector<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(BUFFER_BYTES - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            rest = later;
            if self.buffer.len() == BUFFER_BYTES {
                self.checksum.update(&self.buffer);
                self.encrypt()?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Decrypts such a body without looking at its checksum, which comes out last.
pub(super) struct UncheckedReader<R> {
    inner: R,
    algorithm: SymmetricKeyAlgorithm,
    key: Zeroizing<Vec<u8>>,
    /// The last encrypted block.
    register: Vec<u8>,
    buffer: Vec<u8>,
    position: usize,
    /// Bytes of the version and the prefix that are still to be left out.
    to_skip: usize,
}

impl<R: Read> UncheckedReader<R> {
    /// A reader at the beginning of the body. `InvalidData` if that is of another version, or nothing can be encrypted
    /// by `algorithm`.
    pub(super) fn new(
        mut inner: R,
        algorithm: SymmetricKeyAlgorithm,
        key: Zeroizing<Vec<u8>>,
    ) -> io::Result<Self> {
        let mut version = [0];
        inner.read_exact(&mut version)?;
        let block_bytes = algorithm.block_size();
        if version != [VERSION] || block_bytes == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let register = vec![0; block_bytes];
        Ok(Self {
            inner,
            algorithm,
            key,
            register,
            buffer: Vec::new(),
            position: 0,
            to_skip: block_bytes + 2,
        })
    }
}

impl<R: Read> Read for UncheckedReader<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while self.position == self.buffer.len() {
            self.buffer.clear();
            self.position = 0;
            // Whole blocks, but for the end.
            let read = self.inner.by_ref().take(BUFFER_BYTES as u64).read_to_end(&mut self.buffer);
            if let Err(error) = read {
                self.buffer.clear();
                return Err(error);
            }
            if self.buffer.is_empty() {
                return Ok(0);
            }
            let last_at = self.buffer.len().checked_sub(self.register.len());
            let last = last_at.map(|at| self.buffer[at..].to_vec());
            self.algorithm
                .decrypt_with_iv_regular(&self.key, &self.register, &mut self.buffer)
                .map_err(io::Error::other)?;
            if let Some(last) = last {
                self.register = last;
            }
            self.position = self.to_skip.min(self.buffer.len());
            self.to_skip -= self.position;
        }
        let count = (&self.buffer[self.position..]).read(bytes)?;
        self.position += count;
        Ok(count)
    }
}

impl<R> fmt::Debug for UncheckedReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UncheckedReader(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_in_pieces_is_decrypted_as_a_whole() {
        let key = CIPHER.new_session_key(OsRng);
        for length in [0, 1, 13, 14, 15, 65_517, 65_518, 65_519, 200_000] {
            let plain: Vec<u8> = (0..length).map(|index| (index / 3) as u8).collect();
            let mut protector = Protector::new(Vec::new(), key.clone()).unwrap();
            for piece in plain.chunks(1789) {
                protector.write_all(piece).unwrap();
            }
            let sealed = protector.finish().unwrap();
            assert_eq!(sealed[0], 1);
            let mut opened = sealed[1..].to_vec();
            CIPHER.decrypt_with_iv_regular(key.as_ref(), &[0; BLOCK_BYTES], &mut opened).unwrap();
            let (contents, checksum) = opened.split_at(opened.len() - 20);
            assert_eq!(contents[14..16], contents[16..18]);
            assert!(contents[18..] == [&plain[..], &CHECKSUM_HEADER].concat(), "{length}");
            assert_eq!(checksum, Sha1::digest(contents).as_slice());

            let key = Zeroizing::new(key.as_ref().to_vec());
            let mut unchecked = UncheckedReader::new(&sealed[..], CIPHER, key).unwrap();
            let mut read = Vec::new();
            unchecked.read_to_end(&mut read).unwrap();
            assert!(read == opened[18..], "{length}");
        }
    }
}
