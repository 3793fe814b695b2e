//! The body of a packet, out of its parts (RFC 4880, 4.2).

use std::fmt;
use std::io::{self, BufRead, Read};

use pgp::types::PacketLength;

/// Reads a body as far as it is there: where a length or data are missing it ends.
pub(super) struct PacketReader<R> {
    inner: R,
    /// Bytes of the part at hand that are still to come.
    left: u64,
    is_last: bool,
}

impl<R: BufRead> PacketReader<R> {
    /// Reads the rest of a packet whose header, with its first length, has been read.
    pub(super) fn new(inner: R, first: PacketLength) -> Self {
        let (left, is_last) = part(first);
        Self { inner, left, is_last }
    }

    /// What the packet stands in.
    pub(super) fn into_inner(self) -> R {
        self.inner
    }
}

fn part(length: PacketLength) -> (u64, bool) {
    match length {
        PacketLength::Fixed(length) => (length.into(), true),
        PacketLength::Partial(length) => (length.into(), false),
        PacketLength::Indeterminate => (u64::MAX, true),
    }
}

impl<R: BufRead> Read for PacketReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.left == 0 && !self.is_last {
            (self.left, self.is_last) = match PacketLength::try_from_reader(&mut self.inner) {
                Ok(length) => part(length),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => (0, true),
                Err(error) => return Err(error),
            };
        }
        let count = (&mut self.inner).take(self.left).read(buffer)?;
        self.left -= count as u64;
        Ok(count)
    }
}

impl<R> fmt::Debug for PacketReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PacketReader(…)")
    }
}
