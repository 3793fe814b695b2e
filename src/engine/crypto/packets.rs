//! The packets of what gpg writes (RFC 4880, section 4), looked at on their way out.
//!
//! Two things are done here that gpgme offers no way to ask for: some recipients of a file stay hidden
//! while others are named, and a file that ends in the middle of a packet is not taken for a whole one.

use std::io;

/// Where the stream of packets stands.
#[derive(Debug)]
pub(super) struct PacketWatch {
    /// Key ids to be replaced by zeros.
    hidden: Vec<[u8; 8]>,
    /// What came before the encrypted data, as long as it is not whole.
    head: Vec<u8>,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Among the packets with the session key.
    Head,
    /// At a length octet of the encrypted data. Some of a longer length are collected.
    Length { collected: u64, missing: u8 },
    /// In a part of the encrypted data. More follow, or not.
    Part { left: u64, is_last: bool },
}

/// Packet tags.
const PUBLIC_KEY_SESSION_KEY: u8 = 1;
const SYMMETRIC_SESSION_KEY: u8 = 3;
const PROTECTED_DATA: u8 = 18;
const AEAD_DATA: u8 = 20;

/// The head holds a few hundred bytes for each recipient.
const MAX_HEAD_BYTES: usize = 1 << 20;

impl PacketWatch {
    /// Hides the recipients with these key ids. An id is that of the subkey that encrypts.
    pub(super) fn new(hidden: Vec<[u8; 8]>) -> Self {
        Self { hidden, head: Vec::new(), place: Place::Head }
    }

    /// Takes in the next bytes and gives `write` what may go out.
    pub(super) fn pass(
        &mut self,
        bytes: &[u8],
        mut write: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        if self.place != Place::Head {
            self.follow(bytes)?;
            return write(bytes);
        }
        self.head.extend_from_slice(bytes);
        let Some(end) = self.scan_head()? else { return Ok(()) };
        let mut head = std::mem::take(&mut self.head);
        self.hide(&mut head[..end])?;
        self.place = Place::Length { collected: 0, missing: 1 };
        self.follow(&head[end + 1..])?;
        write(&head)
    }

    /// Whether the packets are whole.
    pub(super) fn is_whole(&self) -> bool {
        self.place == Place::Part { left: 0, is_last: true }
    }

    /// The offset of the encrypted data's packet, once it is there.
    fn scan_head(&self) -> io::Result<Option<usize>> {
        let mut offset = 0;
        while let Some(header) = Header::read(&self.head[offset..])? {
            match header.tag {
                PROTECTED_DATA | AEAD_DATA if header.is_new_format => return Ok(Some(offset)),
                PUBLIC_KEY_SESSION_KEY | SYMMETRIC_SESSION_KEY => match header.body {
                    Some((start, length)) if offset + start + length <= self.head.len() => {
                        offset += start + length
                    }
                    _ => break,
                },
                _ => return Err(unexpected()),
            }
        }
        if self.head.len() > MAX_HEAD_BYTES { Err(unexpected()) } else { Ok(None) }
    }

    fn hide(&self, head: &mut [u8]) -> io::Result<()> {
        let mut offset = 0;
        while let Some(Header { tag, body: Some((start, length)), .. }) = Header::read(&head[offset..])? {
            let body = &mut head[offset + start..offset + start + length];
            // A version octet, then the key id (RFC 4880, 5.1).
            if tag == PUBLIC_KEY_SESSION_KEY
                && let Some(id) = body.get_mut(1..9)
                && self.hidden.iter().any(|hidden| hidden[..] == *id)
            {
                id.fill(0);
            }
            offset += start + length;
        }
        Ok(())
    }

    fn follow(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.place = match self.place {
                Place::Head => return Err(unexpected()),
                Place::Part { left: 0, is_last: true } => return Err(unexpected()),
                Place::Part { left: 0, is_last: false } => Place::Length { collected: 0, missing: 1 },
                Place::Part { left, is_last } => {
                    let taken = left.min(bytes.len() as u64);
                    bytes = &bytes[usize::try_from(taken).unwrap_or(bytes.len())..];
                    Place::Part { left: left - taken, is_last }
                }
                Place::Length { collected, missing } => {
                    let octet = bytes[0];
                    bytes = &bytes[1..];
                    next_length(collected, missing, octet)
                }
            };
        }
        Ok(())
    }
}

/// New-format lengths: RFC 4880, 4.2.2. `collected` is 0 at the first octet, and afterwards the part of
/// the length so far with a leading one above it.
fn next_length(collected: u64, missing: u8, octet: u8) -> Place {
    let value = u64::from(octet);
    if collected == 0 {
        return match octet {
            0..=191 => Place::Part { left: value, is_last: true },
            192..=223 => Place::Length { collected: 0x100 | (value - 192), missing: 1 },
            224..=254 => Place::Part { left: 1 << (octet & 0x1f), is_last: false },
            255 => Place::Length { collected: 1, missing: 4 },
        };
    }
    let collected = collected << 8 | value;
    if missing > 1 {
        return Place::Length { collected, missing: missing - 1 };
    }
    let left = match collected >> 16 {
        1 => (collected & 0xffff) + 192,
        _ => collected & 0xffff_ffff,
    };
    Place::Part { left, is_last: true }
}

/// The header of a packet.
struct Header {
    tag: u8,
    is_new_format: bool,
    /// Where the body starts, and its length, both in bytes; none if the length is partial.
    body: Option<(usize, usize)>,
}

impl Header {
    /// None while the header is not whole.
    fn read(bytes: &[u8]) -> io::Result<Option<Self>> {
        let Some(first) = bytes.first() else { return Ok(None) };
        if first & 0x80 == 0 {
            return Err(unexpected());
        }
        let big_endian = |count: usize| {
            let digits = bytes.get(1..1 + count)?;
            Some(digits.iter().fold(0_usize, |value, digit| value << 8 | usize::from(*digit)))
        };
        if first & 0x40 != 0 {
            let tag = first & 0x3f;
            let body = match (bytes.get(1), bytes.get(2)) {
                (Some(length @ 0..=191), _) => Some((2, usize::from(*length))),
                (Some(high @ 192..=223), Some(low)) => {
                    Some((3, (usize::from(*high) - 192) * 256 + usize::from(*low) + 192))
                }
                _ => None,
            };
            return Ok(Some(Self { tag, is_new_format: true, body }));
        }
        let tag = first >> 2 & 0x0f;
        let octets = match first & 3 {
            kind @ 0..=2 => 1 << kind,
            _ => return Err(unexpected()),
        };
        Ok(big_endian(octets).map(|length| Self {
            tag,
            is_new_format: false,
            body: Some((1 + octets, length)),
        }))
    }
}

fn unexpected() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "gpg wrote packets that do not belong into an encrypted file")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message: a session key for each id, then data in two parts.
    fn message(ids: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for id in ids {
            let mut body = vec![3];
            body.extend([*id; 8]);
            body.extend([18, 0, 7, 77]);
            bytes.extend([0x84, u8::try_from(body.len()).unwrap()]);
            bytes.extend(body);
        }
        bytes.extend([0xd2, 0xe9]);
        bytes.extend([1; 512]);
        bytes.extend([0xc1, 0x02]);
        bytes.extend([2; 256 + 192 + 2]);
        bytes
    }

    fn pass(hidden: &[u8], message: &[u8], step: usize) -> (Vec<u8>, bool) {
        let mut watch = PacketWatch::new(hidden.iter().map(|id| [*id; 8]).collect());
        let mut out = Vec::new();
        for piece in message.chunks(step) {
            watch
                .pass(piece, |bytes| {
                    out.extend_from_slice(bytes);
                    Ok(())
                })
                .unwrap();
        }
        (out, watch.is_whole())
    }

    #[test]
    fn only_the_named_recipients_are_hidden() {
        let before = message(&[5, 6, 7]);
        for step in [1, 2, 3, 30, 5000] {
            let (after, is_whole) = pass(&[6], &before, step);
            assert!(is_whole, "{step}");
            let mut expected = before.clone();
            let at = expected.windows(8).position(|window| window == [6; 8]).unwrap();
            expected[at..at + 8].fill(0);
            assert_eq!(after, expected, "{step}");
        }
    }

    #[test]
    fn a_message_that_is_cut_off_anywhere_is_not_whole() {
        let whole = message(&[5]);
        for end in 0..whole.len() {
            assert!(!pass(&[], &whole[..end], 7).1, "{end}");
        }
        assert!(pass(&[], &whole, 7).1);
    }

    #[test]
    fn lengths_of_five_octets_are_understood() {
        let mut bytes = vec![0xd2, 0xff, 0, 1, 0, 0];
        bytes.extend([3; 65536]);
        assert!(pass(&[], &bytes, 1000).1);
        assert!(!pass(&[], &bytes[..bytes.len() - 1], 1000).1);
    }

    #[test]
    fn other_packets_are_refused() {
        let mut watch = PacketWatch::new(Vec::new());
        assert!(watch.pass(&[0xcb, 3, b'b', 0, 0], |_| Ok(())).is_err(), "literal data in the clear");
        assert!(PacketWatch::new(Vec::new()).pass(b"-----BEGIN", |_| Ok(())).is_err());
    }
}
