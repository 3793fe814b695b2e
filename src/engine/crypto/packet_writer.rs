//! A packet whose length is not known beforehand (RFC 4880, 4.2.2.4): its body is cut into parts, each
//! behind its own length.

use std::io::{self, Write};

use pgp::types::Tag;

/// Bytes that wait until there are enough for a part. The first part needs 512. It is below 8,384, so
/// that the length of what is left at the end fits into two octets.
const MIN_PART_BYTES: usize = 8192;

/// The longest part has two to the power of this many bytes.
const MAX_PART_BITS: u32 = 30;

/// Writes the body of one packet. What is written in large pieces passes through without being copied.
///
/// After an error the packet is broken and must be given up.
pub(super) struct PacketWriter<W> {
    inner: W,
    /// What stands before the next length.
    before: Vec<u8>,
    waiting: Vec<u8>,
}

impl<W: Write> PacketWriter<W> {
    /// Begins a packet. Nothing is written yet.
    pub(super) fn new(inner: W, tag: Tag) -> Self {
        Self::behind(Vec::new(), inner, tag)
    }

    /// Begins a packet behind others. Nothing is written yet.
    pub(super) fn behind(packets: Vec<u8>, inner: W, tag: Tag) -> Self {
        let mut before = packets;
        before.push(tag.encode());
        Self { inner, before, waiting: Vec::new() }
    }

    /// Where the packet goes. Writing there would break it.
    pub(super) fn get_mut(&mut self) -> &mut W {
        &mut self.inner
    }

    /// Ends the packet.
    pub(super) fn finish(mut self) -> io::Result<W> {
        // A last part may be empty.
        let length = self.waiting.len();
        match length {
            0..192 => self.before.push(low_octet(length)),
            _ => self.before.extend([192 + low_octet((length - 192) >> 8), low_octet(length - 192)]),
        }
        self.write_part(&[])?;
        Ok(self.inner)
    }

    /// Writes a part behind its length, which stands at the end of `before`.
    fn write_part(&mut self, rest: &[u8]) -> io::Result<()> {
        self.before.append(&mut self.waiting);
        self.inner.write_all(&self.before)?;
        self.before.clear();
        if rest.is_empty() { Ok(()) } else { self.inner.write_all(rest) }
    }
}

impl<W: Write> Write for PacketWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        loop {
            let available = self.waiting.len() + rest.len();
            if available < MIN_PART_BYTES {
                self.waiting.extend_from_slice(rest);
                return Ok(bytes.len());
            }
            let bits = available.ilog2().min(MAX_PART_BITS);
            let (part, after) = rest.split_at((1 << bits) - self.waiting.len());
            self.before.push(224 + low_octet(bits as usize));
            self.write_part(part)?;
            rest = after;
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn low_octet(number: usize) -> u8 {
    (number & 0xff) as u8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packet(pieces: &[&[u8]]) -> Vec<u8> {
        let mut writer = PacketWriter::behind(vec![1, 2], Vec::new(), Tag::LiteralData);
        for piece in pieces {
            writer.write_all(piece).unwrap();
        }
        writer.finish().unwrap()
    }

    /// The body that a reader sees, and the lengths of its parts, of which only the last is exact.
    fn read(packet: &[u8]) -> (Vec<u8>, Vec<usize>) {
        assert_eq!(packet[..3], [1, 2, 0xcb]);
        let (mut rest, mut body, mut lengths) = (&packet[3..], Vec::new(), Vec::new());
        loop {
            let (length, octets, is_last) = match rest[0] {
                first @ 0..=191 => (usize::from(first), 1, true),
                first @ 192..=223 => ((usize::from(first) - 192) * 256 + usize::from(rest[1]) + 192, 2, true),
                first => (1 << (first & 0x1f), 1, false),
            };
            body.extend_from_slice(&rest[octets..octets + length]);
            rest = &rest[octets + length..];
            lengths.push(length);
            if is_last {
                assert!(rest.is_empty());
                return (body, lengths);
            }
        }
    }

    #[test]
    fn a_short_packet_has_an_exact_length() {
        assert_eq!(packet(&[]), [1, 2, 0xcb, 0]);
        assert_eq!(packet(&[b"a", b"b"]), [1, 2, 0xcb, 2, b'a', b'b']);
        for length in [191, 192, 8191] {
            assert_eq!(read(&packet(&[&vec![7; length]])), (vec![7; length], vec![length]));
        }
    }

    #[test]
    fn a_packet_that_ends_with_a_part_has_an_empty_last_one() {
        assert_eq!(read(&packet(&[&[7; 8192]])).1, [8192, 0]);
        assert_eq!(read(&packet(&[&[7; 8192 + 1]])).1, [8192, 1]);
        assert_eq!(read(&packet(&[&[7; 512], &[7; 65536], &[7; 7680]])).1, [65536, 8192, 0]);
    }

    #[test]
    fn nothing_is_written_before_there_is_a_part() {
        struct Unwritable;
        impl Write for Unwritable {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut writer = PacketWriter::new(Unwritable, Tag::LiteralData);
        writer.write_all(&[0; 8191]).unwrap();
        assert!(writer.write_all(&[0]).is_err());
    }

    proptest! {
        #[test]
        fn any_pieces_come_back(lengths in prop::collection::vec(0_usize..40_000, 0..12)) {
            let pieces: Vec<Vec<u8>> =
                lengths.iter().enumerate().map(|(index, length)| vec![index as u8; *length]).collect();
            let borrowed: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let (body, parts) = read(&packet(&borrowed));
            prop_assert_eq!(body, pieces.concat());
            prop_assert!(parts.len() == 1 || parts[0] >= 512);
        }
    }
}
