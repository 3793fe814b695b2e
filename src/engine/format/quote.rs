//! How the manifest writes values that have blanks or quotes in them.

/// Bytes that make a value need quotes: ASCII white space as Python sees it, backslash and quotes.
fn needs_quoting(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r' | b'\\' | b'"' | b'\'')
}

/// Writes a value: as it is, or in double quotes with `\xHH` for the bytes that need it.
pub fn quote(value: &[u8]) -> Vec<u8> {
    if !value.iter().copied().any(needs_quoting) {
        return value.to_vec();
    }
    let mut quoted = vec![b'"'];
    for &byte in value {
        if needs_quoting(byte) {
            quoted.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
        } else {
            quoted.push(byte);
        }
    }
    quoted.push(b'"');
    quoted
}

/// Reads a value that [`quote`] or duplicity wrote. `None` if a quote is left open or an escape is
/// not `\xHH`.
pub fn unquote(written: &[u8]) -> Option<Vec<u8>> {
    let Some(inner) = written.strip_prefix(b"\"") else {
        return Some(written.to_vec());
    };
    let mut rest = inner.strip_suffix(b"\"")?;
    let mut value = Vec::with_capacity(rest.len());
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'\\' {
            let (digits, tail) = rest.strip_prefix(b"x")?.split_at_checked(2)?;
            let text = str::from_utf8(digits).ok()?;
            let hexadecimal = digits.iter().all(u8::is_ascii_hexdigit);
            value.push(hexadecimal.then(|| u8::from_str_radix(text, 16).ok())??);
            rest = tail;
        } else {
            value.push(byte);
        }
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn as_duplicity_writes_it() {
        assert_eq!(quote(b"sp ace/old"), b"\"sp\\x20ace/old\"");
        assert_eq!(quote(b"plain\xff\x01"), b"plain\xff\x01");
        assert_eq!(unquote(b"\"\\x61b\"").unwrap(), b"ab");
        assert_eq!(unquote(b"\"open"), None);
        assert_eq!(unquote(b"\"\\n\""), None);
        assert_eq!(unquote(b"\"\\x+1\""), None);
    }

    proptest! {
        #[test]
        fn every_value_comes_back(value: Vec<u8>) {
            let written = quote(&value);
            prop_assert!(!written.contains(&b'\n') && !written.contains(&b' '));
            prop_assert_eq!(unquote(&written), Some(value));
        }
    }
}
