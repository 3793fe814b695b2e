//! Names without the difference between large and small letters.

/// Appends `name` in lower case. Bytes that are no UTF-8 stay as they are.
pub(super) fn append(name: &[u8], folded: &mut Vec<u8>) {
    for chunk in name.utf8_chunks() {
        let valid = chunk.valid();
        if valid.is_ascii() {
            folded.extend(valid.bytes().map(|byte| byte.to_ascii_lowercase()));
        } else {
            folded.extend_from_slice(text(valid).as_bytes());
        }
        folded.extend_from_slice(chunk.invalid());
    }
}

/// A text in lower case. Letter by letter: what stands around a letter must not matter, or a part of a
/// name would not be found in it.
pub(super) fn text(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}
