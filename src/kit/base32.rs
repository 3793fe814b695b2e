//! Base32 (RFC 4648, 6): what `base32 --decode` of the coreutils reads, what a code holds in its short
//! way of writing, and what can be typed without mistaking one character for another.

use data_encoding::BASE32;
use zeroize::Zeroizing;

/// The bytes in base32, filled up with `=` to whole groups of eight.
pub(super) fn encode(bytes: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(BASE32.encode(bytes))
}

/// The bytes that were written; None if that is not base32. Small letters count like large ones.
pub(super) fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let text = Zeroizing::new(text.to_ascii_uppercase());
    BASE32.decode(text.as_bytes()).ok().map(Zeroizing::new)
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
        for other in ["M", "MZX", "MZXW6Y", "MZXW6", "0000", "MZ XQ===", "MZ======", "========"] {
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
