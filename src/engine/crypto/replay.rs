//! A stream that can start again as long as it has only just begun.
//!
//! What was read is kept until the first contents come out, for another attempt with another
//! passphrase. That is little: gpg asks before it reads on.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pgp::packet::{Packet, PacketParser};

/// Of a file, what holds the packets of a dozen recipients.
const RECIPIENTS_BYTES: usize = 8 << 10;

/// Who can open a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FirstLock {
    /// Whoever knows a passphrase.
    Passphrase,
    /// The owner of a key.
    Key,
}

/// The source of gpg's input.
pub(super) struct Replay<R> {
    source: R,
    kept: Vec<u8>,
    position: usize,
    has_plaintext: Arc<AtomicBool>,
    error: Option<io::Error>,
}

impl<R: Read> Replay<R> {
    pub(super) fn new(source: R, has_plaintext: Arc<AtomicBool>) -> Self {
        Self { source, kept: Vec::new(), position: 0, has_plaintext, error: None }
    }

    /// What the first packet says of who can open the file (tags 1 and 3 of RFC 4880, 4.3).
    pub(super) fn first_lock(&mut self) -> io::Result<Option<FirstLock>> {
        self.read_ahead(1)?;
        Ok(match self.kept.first() {
            Some(0x84..=0x87 | 0xc1) => Some(FirstLock::Key),
            Some(0x8c..=0x8f | 0xc3) => Some(FirstLock::Passphrase),
            _ => None,
        })
    }

    /// Long ids of the keys that can open the file, in the order of the packets; all zeros for one that it does not
    /// name.
    pub(super) fn key_ids(&mut self) -> io::Result<Vec<String>> {
        self.read_ahead(RECIPIENTS_BYTES)?;
        let ids = PacketParser::new(&self.kept[..]).map_while(|packet| match packet {
            Ok(Packet::PublicKeyEncryptedSessionKey(lock)) => {
                Some(lock.id().ok()?.to_string().to_uppercase())
            }
            _ => None,
        });
        Ok(ids.collect())
    }

    fn read_ahead(&mut self, wanted: usize) -> io::Result<()> {
        let missing = wanted.saturating_sub(self.kept.len());
        self.source.by_ref().take(missing as u64).read_to_end(&mut self.kept).map(drop)
    }

    /// The source's own error, which gpgme would reduce to a number.
    pub(super) fn take_error(&mut self) -> Option<io::Error> {
        self.error.take()
    }

    /// Goes back to the beginning, if that is still there.
    pub(super) fn rewind(&mut self) -> bool {
        self.position = 0;
        !self.has_plaintext.load(Ordering::Acquire)
    }
}

impl<R: Read> Read for Replay<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.position < self.kept.len() {
            let count = bytes.len().min(self.kept.len() - self.position);
            bytes[..count].copy_from_slice(&self.kept[self.position..self.position + count]);
            self.position += count;
            return Ok(count);
        }
        let count = read_some(&mut self.source, bytes).map_err(|error| {
            self.error = Some(error);
            io::Error::from(io::ErrorKind::BrokenPipe)
        })?;
        if self.has_plaintext.load(Ordering::Acquire) {
            self.kept = Vec::new();
            self.position = 0;
        } else {
            self.kept.extend_from_slice(&bytes[..count]);
            self.position = self.kept.len();
        }
        Ok(count)
    }
}

fn read_some(source: &mut impl Read, bytes: &mut [u8]) -> io::Result<usize> {
    loop {
        match source.read(bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
