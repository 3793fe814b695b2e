//! librsync: the signatures that a later delta is made against. The only room that knows the library.

use std::io::{self, BufRead, Read};

use librsync::{Signature, SignatureType};

/// Bytes of the strong sum that a signature keeps of a block; duplicity's choice.
const STRONG_SUM_LEN: usize = 8;

/// Bytes of the head of a signature: magic, block length and strong sum length, each a big-endian u32.
const HEAD_LEN: usize = 12;

/// Smallest block that signatures are made of, in bytes.
const MIN_BLOCK: u64 = 512;

/// The length in bytes of the blocks that a file of `size` bytes is signed in.
///
/// It is a power of two near the square root of the size, so that a signature grows with the square
/// root too, and so that a file can be cut at any multiple of it: the signature of the whole is then
/// the signatures of the parts in a row. Every length is readable by every version of duplicity.
pub fn block_len(size: u64) -> u64 {
    size.isqrt().next_power_of_two().max(MIN_BLOCK)
}

/// Reads `input` to its end and returns its signature: rollsum and MD4, magic `0x72730136`, as every
/// librsync reads it. An error of the input comes back as it is.
pub fn signature(input: impl BufRead, block_len: u64) -> io::Result<Vec<u8>> {
    let block_len = usize::try_from(block_len).map_err(io::Error::other)?;
    let mut signature = Signature::with_buf_read(input, block_len, STRONG_SUM_LEN, SignatureType::MD4)
        .map_err(io::Error::other)?;
    let mut bytes = Vec::new();
    signature.read_to_end(&mut bytes)?;
    Ok(bytes)
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

    #[test]
    fn the_head_is_as_the_format_says() {
        let bytes = signature(&b""[..], 512).unwrap();
        assert_eq!(bytes, b"rs\x016\0\0\x02\0\0\0\0\x08");
        assert_eq!(signature(&[7; 1025][..], 512).unwrap().len(), HEAD_LEN + 3 * HEAD_LEN);
    }

    #[test]
    fn parts_join_to_the_signature_of_the_whole() {
        let data: Vec<u8> = (0..300_000_u32).map(|number| (number.wrapping_mul(number) >> 7) as u8).collect();
        let whole = signature(&data[..], 1024).unwrap();
        let parts: Vec<_> = data.chunks(64 * 1024).map(|part| signature(part, 1024).unwrap()).collect();
        assert_eq!(join_signatures(&parts), whole);
    }
}
