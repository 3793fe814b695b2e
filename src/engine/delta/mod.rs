//! librsync: signatures of files, deltas against them, and patches. The only room that knows the library.

use std::io::{self, BufRead, Read, Seek};

use librsync::{Delta, Patch, Signature, SignatureType};

/// The strong sum that a signature keeps of a block. librsync has BLAKE2 since 1.0; pieces with the same
/// MD4 can be made by anybody.
const STRONG_SUM: SignatureType = SignatureType::Blake2;

/// Bytes of the strong sum; duplicity's choice.
const STRONG_SUM_LEN: usize = 8;

/// Bytes of the head of a signature: magic, block length and strong sum length, each a big-endian u32.
const HEAD_LEN: usize = 12;

/// The kinds of signatures: rollsum or, since librsync 2.2, RabinKarp, with one of two strong sums.
const MAGIC_MD4: u32 = 0x7273_0136;
const MAGIC_BLAKE2: u32 = 0x7273_0137;
const MAGIC_RK_MD4: u32 = 0x7273_0146;
const MAGIC_RK_BLAKE2: u32 = 0x7273_0147;

/// Smallest block that signatures are made of, in bytes.
const MIN_BLOCK: u64 = 512;

/// What is signed at once, in bytes, unless a block is larger.
const SIGN_BYTES: usize = 64 * 1024;

/// The first bytes of a delta (librsync's `RS_DELTA_MAGIC`).
const DELTA_MAGIC: [u8; 4] = *b"rs\x026";

/// librsync's `RS_OP_END`.
const DELTA_END: u8 = 0;

/// librsync's `RS_OP_COPY_N1_N8`: a start of one byte and a length of eight follow.
const DELTA_COPY: u8 = 0x48;

/// The length in bytes of the blocks that a file of `size` bytes is signed in.
///
/// It is a power of two near the square root of the size, so that a signature grows with the square
/// root too, and so that a file can be cut at any multiple of it: the signature of the whole is then
/// the signatures of the parts in a row. Every length is readable by every version of duplicity.
pub fn block_len(size: u64) -> u64 {
    size.isqrt().next_power_of_two().max(MIN_BLOCK)
}

/// Signs a file as its bytes come by: rollsum and BLAKE2, magic `0x72730137`, unless it is to be like a
/// signature that is there.
#[derive(Debug)]
pub struct SignatureWriter {
    strong_sum: SignatureType,
    strong_sum_len: usize,
    block_len: usize,
    /// Bytes that are signed at once: whole blocks.
    portion: usize,
    pending: Vec<u8>,
    signature: Vec<u8>,
}

impl SignatureWriter {
    /// Begins a signature. `block_len` is in bytes.
    pub fn new(block_len: u64) -> io::Result<Self> {
        Self::with(STRONG_SUM, STRONG_SUM_LEN, block_len)
    }

    /// Begins a signature of the kind of another, so that the two are equal if what they sign is.
    /// `InvalidData` if that is no signature, or of a kind that cannot be made.
    fn like(signature: &[u8]) -> io::Result<Self> {
        let no_such_kind =
            || io::Error::new(io::ErrorKind::InvalidData, "the signature is of a kind that cannot be made");
        let head = Head::read(signature).ok_or_else(no_such_kind)?;
        let strong_sum = match head.magic {
            MAGIC_MD4 => SignatureType::MD4,
            MAGIC_BLAKE2 => SignatureType::Blake2,
            _ => return Err(no_such_kind()),
        };
        let strong_sum_len = usize::try_from(head.strong_sum_len).map_err(|_| no_such_kind())?;
        Self::with(strong_sum, strong_sum_len, head.block_len.into())
    }

    fn with(strong_sum: SignatureType, strong_sum_len: usize, block_len: u64) -> io::Result<Self> {
        let block_len = usize::try_from(block_len).map_err(io::Error::other)?;
        let portion = SIGN_BYTES.next_multiple_of(block_len);
        let (pending, signature) = (Vec::new(), Vec::new());
        Ok(Self { strong_sum, strong_sum_len, block_len, portion, pending, signature })
    }

    /// Takes the next bytes of the file.
    pub fn push(&mut self, mut data: &[u8]) -> io::Result<()> {
        while !data.is_empty() {
            if self.pending.is_empty() && data.len() >= self.portion {
                let (now, rest) = data.split_at(data.len() / self.portion * self.portion);
                self.sign(now)?;
                data = rest;
                continue;
            }
            let taken = (self.portion - self.pending.len()).min(data.len());
            self.pending.extend_from_slice(&data[..taken]);
            data = &data[taken..];
            if self.pending.len() == self.portion {
                self.sign_pending()?;
            }
        }
        Ok(())
    }

    /// The signature of everything that came by.
    pub fn finish(mut self) -> io::Result<Vec<u8>> {
        if !self.pending.is_empty() || self.signature.is_empty() {
            self.sign_pending()?;
        }
        Ok(self.signature)
    }

    fn sign_pending(&mut self) -> io::Result<()> {
        let mut pending = std::mem::take(&mut self.pending);
        let result = self.sign(&pending);
        pending.clear();
        self.pending = pending;
        result
    }

    /// Appends the signature of whole blocks; only the last one of a file may be shorter.
    fn sign(&mut self, data: &[u8]) -> io::Result<()> {
        let mut part = Signature::with_buf_read(data, self.block_len, self.strong_sum_len, self.strong_sum)
            .map_err(io::Error::other)?;
        let from = self.signature.len();
        part.read_to_end(&mut self.signature)?;
        if from > 0 {
            let head = HEAD_LEN.min(self.signature.len() - from);
            self.signature.drain(from..from + head);
        }
        Ok(())
    }
}

/// Whether a file that `read` gives piece by piece, as [`Read::read`] does, has the contents that `signature` was made
/// of. `InvalidData` if that is no signature, or of a kind that cannot be made; an error of `read` comes back as it is.
pub fn is_signature_of(
    signature: &[u8],
    mut read: impl FnMut(&mut [u8]) -> io::Result<usize>,
) -> io::Result<bool> {
    let mut found = SignatureWriter::like(signature)?;
    let mut buffer = vec![0; SIGN_BYTES];
    loop {
        match read(&mut buffer) {
            Ok(0) => return Ok(found.finish()? == signature),
            Ok(count) => found.push(&buffer[..count])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Joins the signatures of the parts of one file, each cut at a multiple of the block length.
pub fn join_signatures(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut whole = Vec::with_capacity(parts.iter().map(Vec::len).sum());
    for (index, part) in parts.iter().enumerate() {
        let skipped = if index == 0 { 0 } else { HEAD_LEN.min(part.len()) };
        whole.extend_from_slice(&part[skipped..]);
    }
    whole
}

/// The block length in bytes that a stored signature was made with; `None` if it is no signature of
/// librsync. Signatures of duplicity have lengths of its own choice.
pub fn block_len_of(signature: &[u8]) -> Option<u64> {
    Head::read(signature).map(|head| head.block_len.into())
}

/// The head of a signature.
struct Head {
    magic: u32,
    block_len: u32,
    strong_sum_len: u32,
}

impl Head {
    fn read(signature: &[u8]) -> Option<Self> {
        let head = signature.get(..HEAD_LEN)?;
        let word = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (magic, block_len, strong_sum_len) = (word(0), word(4), word(8));
        let is_known = matches!(magic, MAGIC_MD4 | MAGIC_BLAKE2 | MAGIC_RK_MD4 | MAGIC_RK_BLAKE2);
        (is_known && block_len > 0).then_some(Self { magic, block_len, strong_sum_len })
    }
}

/// The delta from what `signature` was made of to `new`, read from the result as `new` is read.
///
/// Any kind of librsync signature will do. `InvalidData` if it is none; an error of `new` comes back as
/// it is.
pub fn delta<R: BufRead>(new: R, mut signature: &[u8]) -> io::Result<impl Read + use<R>> {
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "a signature is malformed");
    block_len_of(signature).ok_or_else(malformed)?;
    Delta::with_buf_read(new, &mut signature).map_err(|_| malformed())
}

/// A delta that takes over the whole basis of `size` bytes, for a file of which only attributes changed.
pub fn copying_delta(size: u64) -> Vec<u8> {
    let mut delta = DELTA_MAGIC.to_vec();
    if size > 0 {
        delta.extend([DELTA_COPY, 0]);
        delta.extend(size.to_be_bytes());
    }
    delta.push(DELTA_END);
    delta
}

/// The delta of one piece of a file as a part of the delta of the whole. All parts refer to the same
/// signature, and in a row they are one delta.
#[derive(Debug)]
pub struct DeltaPart<R> {
    inner: R,
    /// Bytes of the head that are still to be left out.
    to_skip: usize,
    is_last: bool,
    /// The last byte that was read: the end mark, unless more follows.
    held: Option<u8>,
}

impl<R: Read> DeltaPart<R> {
    /// The part that `piece` is, of which only the first keeps its head and only the last its end.
    pub fn new(piece: R, is_first: bool, is_last: bool) -> Self {
        Self { inner: piece, to_skip: if is_first { 0 } else { DELTA_MAGIC.len() }, is_last, held: None }
    }
}

impl<R: Read> Read for DeltaPart<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.to_skip > 0 {
            let mut head = [0; DELTA_MAGIC.len()];
            let count = self.inner.read(&mut head[..self.to_skip])?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.to_skip -= count;
        }
        if self.is_last || buffer.is_empty() {
            return self.inner.read(buffer);
        }
        // Whatever comes, one byte stays behind: the end mark is the last of all.
        if self.held.is_none() {
            let mut first = [0];
            if self.inner.read(&mut first)? == 0 {
                return Ok(0);
            }
            self.held = Some(first[0]);
        }
        let count = self.inner.read(buffer)?;
        if count > 0
            && let Some(held) = self.held.replace(buffer[count - 1])
        {
            buffer.copy_within(..count - 1, 1);
            buffer[0] = held;
        }
        Ok(count)
    }
}

/// What `delta` makes of `basis`, as a stream.
///
/// `InvalidData` where the delta is none, or asks for bytes that the basis does not have.
pub fn patch<'a, B: Read + Seek + 'a, D: BufRead + 'a>(basis: B, delta: D) -> io::Result<impl Read + 'a> {
    Patch::with_buf_read(basis, delta).map(Patched).map_err(io::Error::other)
}

/// Tells a delta that does not fit from a stream that failed.
struct Patched<'a, B, D>(Patch<'a, B, D>);

impl<B, D: BufRead> Read for Patched<'_, B, D> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| match error.downcast::<librsync::Error>() {
            Ok(librsync::Error::Io(error)) => error,
            Ok(error) => io::Error::new(io::ErrorKind::InvalidData, error.to_string()),
            Err(error) => error,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_length_follows_the_square_root() {
        for (size, expected) in [
            (0, 512),
            (263_168, 512),
            (1 << 20, 1024),
            ((1 << 20) + 1, 1024),
            (1_050_625, 2048),
            (300 << 30, 1 << 20),
        ] {
            assert_eq!(block_len(size), expected, "{size}");
        }
        assert!(block_len(u64::MAX).is_power_of_two());
    }

    fn signature(data: &[u8], block_len: u64) -> Vec<u8> {
        let mut writer = SignatureWriter::new(block_len).unwrap();
        writer.push(data).unwrap();
        writer.finish().unwrap()
    }

    fn noise(len: u32) -> Vec<u8> {
        (0..len).map(|number| (number.wrapping_mul(number) >> 7) as u8).collect()
    }

    fn read(mut reader: impl Read) -> Vec<u8> {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn the_head_is_as_the_format_says() {
        let bytes = signature(b"", 512);
        assert_eq!(bytes, b"rs\x017\0\0\x02\0\0\0\0\x08");
        assert_eq!(block_len_of(&bytes), Some(512));
        assert_eq!(block_len_of(b"rs\x019\0\0\x02\0\0\0\0\x08"), None);
        assert_eq!(signature(&[7; 1025], 512).len(), HEAD_LEN + 3 * HEAD_LEN);
    }

    #[test]
    fn it_does_not_matter_how_the_bytes_come() {
        let data = noise(300_001);
        for block_len in [512, 1024, 131_072] {
            let whole = signature(&data, block_len);
            for step in [1000, 65_536, 100_000] {
                let mut writer = SignatureWriter::new(block_len).unwrap();
                data.chunks(step).for_each(|chunk| writer.push(chunk).unwrap());
                assert_eq!(writer.finish().unwrap(), whole, "{block_len} {step}");
            }
            for (kind, len) in [(SignatureType::MD4, 8), (SignatureType::MD4, 16), (SignatureType::Blake2, 8)]
            {
                let library = Signature::with_buf_read(&data[..], block_len as usize, len, kind);
                let library = read(library.unwrap());
                let mut alike = SignatureWriter::like(&library).unwrap();
                alike.push(&data).unwrap();
                assert_eq!(alike.finish().unwrap(), library, "{block_len} {len}");
                assert!(kind == SignatureType::MD4 || library == whole);
            }
        }
    }

    #[test]
    fn a_patch_undoes_a_delta() {
        let old = noise(200_000);
        let mut new = old.clone();
        new.splice(70_000..70_010, *b"inserted text");
        for (new, limit) in [(new, 2000), (old.clone(), 100), (Vec::new(), 100), (noise(10), 100)] {
            let delta = read(delta(&new[..], &signature(&old, 512)).unwrap());
            assert!(delta.len() < limit, "{}", delta.len());
            assert_eq!(read(patch(io::Cursor::new(&old), &delta[..]).unwrap()), new);
        }
        for basis in [&old[..], b""] {
            let delta = copying_delta(basis.len() as u64);
            assert_eq!(read(patch(io::Cursor::new(basis), &delta[..]).unwrap()), basis);
        }
    }

    #[test]
    fn the_deltas_of_pieces_are_one_delta() {
        let old = noise(400_000);
        let mut new = noise(500_000);
        new[250_000] ^= 1;
        let signature = signature(&old, 1024);
        for cuts in [vec![0, 500_000], vec![0, 131_072, 131_072 * 2, 500_000], vec![0, 131_072, 500_000]] {
            let mut joined = Vec::new();
            for (index, cut) in cuts.windows(2).enumerate() {
                let piece = delta(&new[cut[0]..cut[1]], &signature).unwrap();
                joined.extend(read(DeltaPart::new(piece, index == 0, index + 2 == cuts.len())));
            }
            assert_eq!(read(patch(io::Cursor::new(&old), &joined[..]).unwrap()), new, "{cuts:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let error = delta(&b"new"[..], b"no signature at all").map(drop).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        for bad in [&b"rs\x026\x45\x05\x10\0"[..], b"nonsense", b""] {
            let mut out = Vec::new();
            assert!(patch(io::Cursor::new(b"short"), bad).unwrap().read_to_end(&mut out).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn parts_join_to_the_signature_of_the_whole() {
        let data = noise(300_000);
        let whole = signature(&data, 1024);
        let parts: Vec<_> = data.chunks(64 * 1024).map(|part| signature(part, 1024)).collect();
        assert_eq!(join_signatures(&parts), whole);
    }
}
