//! A stream that can start again as long as it has only just begun.
//!
//! What was read is kept until the first contents come out, for another attempt with another
//! passphrase. That is little: gpg asks before it reads on.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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

    /// Whether the first packet is one for a passphrase (tag 3 of RFC 4880, 4.3).
    pub(super) fn begins_with_passphrase(&mut self) -> io::Result<bool> {
        let mut first = [0];
        let count = read_some(&mut self.source, &mut first)?;
        self.kept.extend_from_slice(&first[..count]);
        Ok(count > 0 && matches!(first[0], 0x8c..=0x8f | 0xc3))
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
