//! Base32 (RFC 4648, 6): what `base32 --decode` of the coreutils reads, what a code holds in its short
//! way of writing, and what can be typed without mistaking one character for another.

use zeroize::Zeroizing;

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The bytes in base32, filled up with `=` to whole groups of eight.
pub(super) fn encode(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(bytes.len().div_ceil(5) * 8));
    for group in bytes.chunks(5) {
        let mut padded = [0; 8];
        padded[3..3 + group.len()].copy_from_slice(group);
        let bits = u64::from_be_bytes(padded);
        let digits = (group.len() * 8).div_ceil(5);
        for position in 0..8 {
            let digit = (bits >> (35 - 5 * position)) & 31;
            text.push(if position < digits { char::from(ALPHABET[digit as usize]) } else { '=' });
        }
    }
    text
}

/// The bytes that were written; None if that is not base32. Small letters count like large ones.
pub(super) fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let digits = text.trim_end_matches('=');
    // A rest of one, three or six digits is nothing that whole bytes would leave.
    if matches!(digits.len() % 8, 1 | 3 | 6) || text.len() - digits.len() > 6 {
        return None;
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(digits.len() * 5 / 8));
    let (mut held, mut held_bits) = (0_u32, 0);
    for character in digits.bytes() {
        let digit = ALPHABET.iter().position(|known| *known == character.to_ascii_uppercase())?;
        held = (held << 5) | digit as u32;
        held_bits += 5;
        if held_bits >= 8 {
            held_bits -= 8;
            bytes.push((held >> held_bits) as u8);
            held &= (1 << held_bits) - 1;
        }
    }
    (held == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_samples_of_the_standard() {
        for (plain, coded) in [
            ("", ""),
            ("f", "MY======"),
            ("fo", "MZXQ===="),
            ("foo", "MZXW6==="),
            ("foob", "MZXW6YQ="),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI======"),
        ] {
            assert_eq!(*encode(plain.as_bytes()), coded);
            assert_eq!(**decode(coded).unwrap(), *plain.as_bytes());
            assert_eq!(**decode(&coded.to_lowercase()).unwrap(), *plain.as_bytes());
        }
        for other in ["M", "MZX", "MZXW6Y", "0000", "MZ XQ", "MZ", "========"] {
            assert!(decode(other).is_none(), "{other}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(&**decode(&encode(&bytes)).unwrap(), &bytes[..]);
        }
    }
}
