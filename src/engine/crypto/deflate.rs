//! The compressed stream inside a sealed file, which may change between compressing and storing at
//! any place.
//!
//! It is raw DEFLATE (RFC 1951), the algorithm "ZIP" of RFC 4880, 9.3: zlib's own header and checksum
//! would add nothing, since everything lies under the checksum of the encrypted packet. What does not
//! get smaller is put into stored blocks here, which costs next to nothing; zlib-rs cannot change its
//! level in mid-stream.

use std::io::{self, Write};

use flate2::{Compress, Compression, FlushCompress, Status};

/// Level at which stored files are compressed, encrypted or not. In zlib-rs level 3 costs a fifth more
/// time than level 2 and makes mixed data one percent smaller; level 1 is a third faster, but leaves a
/// sixth more.
pub const DEFLATE_LEVEL: u32 = 2;

/// Bytes that the compressor hands on at once.
const OUTPUT_BYTES: usize = 64 * 1024;

/// The longest stored block (RFC 1951, 3.2.4).
const MAX_BLOCK_BYTES: usize = 0xffff;

/// Bytes that wait for more before they become a stored block.
const MIN_BLOCK_BYTES: usize = 32 * 1024;

/// Compresses what is written into it.
///
/// After an error the stream is broken and must be given up.
pub(super) struct Deflater<W> {
    inner: W,
    compressor: Compress,
    /// What the compressor made; while storing, what waits to become a block.
    buffer: Vec<u8>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The compressor has nothing and remembers nothing.
    Fresh,
    Compressing,
    Storing,
}

impl<W: Write> Deflater<W> {
    /// Begins a stream that is compressed. Nothing is written yet.
    pub(super) fn new(inner: W) -> Self {
        let compressor = Compress::new(Compression::new(DEFLATE_LEVEL), false);
        Self { inner, compressor, buffer: Vec::with_capacity(OUTPUT_BYTES), state: State::Fresh }
    }

    /// Says whether what comes next is worth compressing.
    pub(super) fn expect_compressible(&mut self, compressible: bool) -> io::Result<()> {
        match (compressible, self.state) {
            (true, State::Storing) => {
                self.store_block(&[])?;
                self.state = State::Fresh;
            }
            (false, State::Compressing) => {
                // To a whole byte, and without a memory: the compressor does not see what is stored, so
                // it must not refer to what was before it.
                self.compress(&[], FlushCompress::Full)?;
                self.hand_on()?;
                self.state = State::Storing;
            }
            (false, State::Fresh) => self.state = State::Storing,
            (true, State::Fresh | State::Compressing) | (false, State::Storing) => {}
        }
        Ok(())
    }

    /// Ends the stream.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.expect_compressible(true)?;
        self.compress(&[], FlushCompress::Finish)?;
        self.hand_on()?;
        Ok(self.inner)
    }

    fn compress(&mut self, mut bytes: &[u8], flush: FlushCompress) -> io::Result<()> {
        loop {
            let before = self.compressor.total_in();
            let status =
                self.compressor.compress_vec(bytes, &mut self.buffer, flush).map_err(io::Error::other)?;
            let taken = usize::try_from(self.compressor.total_in() - before).unwrap_or(bytes.len());
            bytes = &bytes[taken..];
            let is_full = self.buffer.len() == self.buffer.capacity();
            if is_full {
                self.hand_on()?;
            }
            let is_done = match flush {
                FlushCompress::Finish => status == Status::StreamEnd,
                FlushCompress::None => bytes.is_empty(),
                // There may be more while the output is full.
                _ => !is_full,
            };
            if is_done {
                return Ok(());
            }
        }
    }

    fn hand_on(&mut self) -> io::Result<()> {
        self.inner.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    fn store(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while self.buffer.len() + bytes.len() >= MIN_BLOCK_BYTES {
            let (now, later) = bytes.split_at(bytes.len().min(MAX_BLOCK_BYTES - self.buffer.len()));
            self.store_block(now)?;
            bytes = later;
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// Writes what waits, and `rest`, as one block.
    fn store_block(&mut self, rest: &[u8]) -> io::Result<()> {
        let length = u16::try_from(self.buffer.len() + rest.len())
            .map_err(|_| io::Error::other("a stored block is too long"))?;
        if length == 0 {
            return Ok(());
        }
        let [low, high] = length.to_le_bytes();
        self.inner.write_all(&[0, low, high, !low, !high])?;
        self.hand_on()?;
        self.inner.write_all(rest)
    }
}

impl<W: Write> Write for Deflater<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        if self.state == State::Storing {
            self.store(bytes)?;
        } else {
            self.state = State::Compressing;
            self.compress(bytes, FlushCompress::None)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::DeflateDecoder;
    use proptest::prelude::*;

    use super::*;

    fn deflated(pieces: &[(bool, &[u8])]) -> Vec<u8> {
        let mut deflater = Deflater::new(Vec::new());
        for (compressible, bytes) in pieces {
            deflater.expect_compressible(*compressible).unwrap();
            deflater.write_all(bytes).unwrap();
        }
        deflater.finish().unwrap()
    }

    fn inflated(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut decoder = DeflateDecoder::new(bytes);
        decoder.read_to_end(&mut out).unwrap();
        assert_eq!(decoder.total_in(), bytes.len() as u64, "bytes behind the end");
        out
    }

    #[test]
    fn an_empty_stream_is_one() {
        assert_eq!(inflated(&deflated(&[])), b"");
        assert_eq!(inflated(&deflated(&[(false, b""), (true, b""), (false, b"")])), b"");
    }

    #[test]
    fn stored_bytes_keep_their_size() {
        let plain = vec![7; 1 << 20];
        for step in [1000, 65_536, 100_000] {
            let pieces: Vec<_> = plain.chunks(step).map(|piece| (false, piece)).collect();
            let stored = deflated(&pieces);
            assert!(stored.len() > plain.len() && stored.len() < plain.len() + 250, "{}", stored.len());
            assert!(inflated(&stored) == plain);
        }
        assert!(deflated(&[(true, &plain)]).len() < 10_000);
    }

    #[test]
    fn a_match_never_reaches_over_stored_bytes() {
        let text = b"the same words over and over, the same words. ".repeat(50);
        let other = [0xa5; 5000];
        let pieces: [(bool, &[u8]); 5] =
            [(true, &text), (false, &other), (true, &text), (false, &text), (true, &text)];
        let plain: Vec<u8> = pieces.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
        assert!(inflated(&deflated(&pieces)) == plain);
    }

    proptest! {
        #[test]
        fn any_pieces_come_back(
            pieces in prop::collection::vec((any::<bool>(), any::<u8>(), 1_usize..200, 0_usize..70_000), 0..10),
        ) {
            let pieces: Vec<(bool, Vec<u8>)> = pieces
                .into_iter()
                .map(|(compressible, first, period, length)| {
                    let byte = |index: usize| first.wrapping_add(((index % period) * (index % 7)) as u8);
                    (compressible, (0..length).map(byte).collect())
                })
                .collect();
            let borrowed: Vec<(bool, &[u8])> =
                pieces.iter().map(|(compressible, bytes)| (*compressible, bytes.as_slice())).collect();
            let plain: Vec<u8> = pieces.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
            prop_assert!(inflated(&deflated(&borrowed)) == plain);
        }
    }
}
