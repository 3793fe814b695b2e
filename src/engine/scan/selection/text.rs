//! Paths as text for the patterns, which speak of characters: `?` is one `é`, not one of its bytes.
//!
//! A byte that is no UTF-8 becomes a character of its own, as it does in duplicity, and so do the
//! bytes of the few characters that are needed for that. So different paths stay different.

use std::borrow::Cow;

/// The first of 256 characters at the end of Unicode, which are for private use.
const FIRST: u32 = 0x10_FF00;

/// The text that patterns are matched against.
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        // What begins with these two bytes lies in the last quarter of the last plane.
        Ok(text) if !bytes.windows(2).any(|pair| pair == b"\xf4\x8f") => Cow::Borrowed(text),
        _ => Cow::Owned(escaped(bytes)),
    }
}

fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if u32::from(character) < FIRST {
                text.push(character);
            } else {
                push_bytes(&mut text, character.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        push_bytes(&mut text, chunk.invalid());
    }
    text
}

/// Text as it can be shown: what stands for a byte becomes a sign of replacement.
pub fn readable(text: &str) -> String {
    let shown =
        |character| if u32::from(character) < FIRST { character } else { char::REPLACEMENT_CHARACTER };
    text.chars().map(shown).collect()
}

fn push_bytes(text: &mut String, bytes: &[u8]) {
    text.extend(bytes.iter().filter_map(|byte| char::from_u32(FIRST + u32::from(*byte))));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_bytes_are_different_text() {
        assert_eq!(text("é/ü".as_bytes()), "é/ü");
        assert_eq!(text(b"a\xff\xfe").chars().count(), 3);
        assert_ne!(text(b"\xff"), text("\u{10FFFF}".as_bytes()));
        assert_ne!(text(b"\xff"), text("\u{10FFFF}\u{10FFFF}".as_bytes()));
        assert_eq!(text("\u{10FEFF}".as_bytes()), "\u{10FEFF}");
    }
}
