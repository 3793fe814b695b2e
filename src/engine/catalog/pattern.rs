//! What is searched for: a part of a name, or a shell pattern of it.

use regex::bytes::{Regex, RegexBuilder};

use super::fold;
use crate::engine::error::{Error, Result};
use crate::engine::path::EntryPath;

/// Any byte of a name.
const IN_NAME: &str = "(?-u:[^/\\x00])";

/// What is searched for. Large and small letters are the same.
///
/// A pattern without a slash is about the name of an entry, one with a slash about its path as well: its
/// last part is about the name, and what stands before is about the folders above, so that what only
/// lies below a folder that matches is not found.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// Sees `/name\0`.
    pub(super) name: Regex,
    /// Sees `/path`; only where the pattern has a slash.
    path: Option<Regex>,
}

impl Pattern {
    /// Takes a text with `*`, `?` or `[` for a shell pattern, and any other for a part of a name.
    pub fn new(text: &str) -> Result<Self> {
        if text.contains(['*', '?', '[']) { Self::glob(text) } else { Self::part(text) }
    }

    /// Finds names, or ends of paths, that have this text in them.
    pub fn part(text: &str) -> Result<Self> {
        let folded = fold::text(text);
        let wanted = folded.trim_end_matches('/');
        if wanted.is_empty() {
            return Err(fail(text, "it is empty"));
        }
        let quoted = regex::escape(wanted);
        match wanted.rfind('/') {
            None => Ok(Self { name: build(text, &quoted)?, path: None }),
            Some(slash) => Ok(Self {
                name: build(text, &regex::escape(&wanted[slash..]))?,
                path: Some(build(text, &format!("{quoted}{IN_NAME}*$"))?),
            }),
        }
    }

    /// Finds what matches a shell pattern wholly: `*` and `?` are any characters and any one character of a
    /// name, `[a-z]` one of these, `[!a-z]` none of them, `**` any characters of a path. With a slash in
    /// front the path begins at the root of the backup.
    pub fn glob(text: &str) -> Result<Self> {
        let folded = fold::text(text);
        let wanted = folded.trim_end_matches('/');
        if wanted.is_empty() {
            return Err(fail(text, "it is empty"));
        }
        let whole = translate(wanted);
        let Some(slash) = wanted.rfind('/') else {
            // What may be anything at its ends is searched for as a part, which is quicker.
            let middle = wanted.trim_start_matches('*');
            let start = if middle.len() == wanted.len() { "/" } else { "" };
            let inner = middle.trim_end_matches('*');
            let end = if inner.len() == middle.len() { "\\x00" } else { "" };
            let name = if inner.is_empty() {
                format!("/{IN_NAME}")
            } else {
                format!("{start}{}{end}", translate(inner).replace(ANY_PATH, &format!("{IN_NAME}*")))
            };
            return Ok(Self { name: build(text, &name)?, path: None });
        };
        let last = &wanted[slash + 1..];
        let name =
            if last.contains("**") { format!("/{IN_NAME}") } else { format!("/{}\\x00", translate(last)) };
        let path = if wanted.starts_with('/') { format!("^{whole}$") } else { format!("/{whole}$") };
        Ok(Self { name: build(text, &name)?, path: Some(build(text, &path)?) })
    }

    /// Whether the pattern has to see the path of what its name fits.
    pub(super) fn needs_path(&self) -> bool {
        self.path.is_some()
    }

    /// Whether the path of an entry, whose name fits, fits too.
    pub(super) fn fits(&self, path: &EntryPath) -> bool {
        let Some(pattern) = &self.path else { return true };
        let mut folded = vec![b'/'];
        fold::append(path.as_bytes(), &mut folded);
        pattern.is_match(&folded)
    }
}

const ANY_PATH: &str = "(?-u:[^\\x00])*";

/// A shell pattern as a regular expression without anchors.
fn translate(pattern: &str) -> String {
    let mut source = String::new();
    let mut rest = pattern;
    while let Some(character) = rest.chars().next() {
        let mut taken = character.len_utf8();
        match character {
            '*' if rest.starts_with("**") => {
                source.push_str(ANY_PATH);
                taken = 2;
            }
            '*' => {
                source.push_str(IN_NAME);
                source.push('*');
            }
            // A character, or a byte that is none.
            '?' => source.push_str("(?:[^/\\x00]|(?-u:[\\x80-\\xff]))"),
            '[' => match class(rest) {
                Some((class, length)) => {
                    source.push_str(&class);
                    taken = length;
                }
                None => source.push_str("\\["),
            },
            other => source.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
        rest = &rest[taken..];
    }
    source
}

/// The class of characters that a text begins with, and its length in bytes; an unclosed one stands for
/// itself.
fn class(text: &str) -> Option<(String, usize)> {
    let inner = text.strip_prefix('[')?;
    let (negated, members) = match inner.strip_prefix(['!', '^']) {
        Some(rest) => (true, rest),
        None => (false, inner),
    };
    // A bracket that comes first is a member.
    let first = members.chars().next()?.len_utf8();
    let length = first + members[first..].find(']')?;
    let mut class = String::from(if negated { "[^/\\x00" } else { "[" });
    for member in members[..length].chars() {
        if matches!(member, '\\' | '[' | ']' | '&' | '~' | '^') {
            class.push('\\');
        }
        class.push(member);
    }
    class.push(']');
    Some((class, text.len() - members.len() + length + 1))
}

fn build(pattern: &str, source: &str) -> Result<Regex> {
    // A class such as [z-a] is refused here.
    RegexBuilder::new(source)
        .dot_matches_new_line(true)
        .build()
        .map_err(|_| fail(pattern, "it makes no sense"))
}

fn fail(pattern: &str, reason: &str) -> Error {
    Error::Pattern { pattern: pattern.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(pattern: &str, path: &[u8]) -> bool {
        let pattern = Pattern::new(pattern).unwrap();
        let path = EntryPath::from_bytes(path).unwrap();
        let mut name = vec![b'/'];
        fold::append(path.file_name(), &mut name);
        name.push(0);
        pattern.name.is_match(&name) && pattern.fits(&path)
    }

    #[test]
    fn a_text_is_a_part_of_a_name() {
        for (text, path) in [
            ("report", &b"docs/Annual Report.odt"[..]),
            ("REPORT", b"report"),
            ("\u{c4}rger", b"gro\xc3\x9fer \xc3\xa4rger"),
            ("a.b", b"xa.bx"),
            ("docs/ann", b"My Docs/annual"),
            ("/docs/ann", b"docs/annual"),
            ("ort", b"\xffreport"),
            ("a/b/c", b"x/a/b/cd"),
        ] {
            assert!(finds(text, path), "{text} in {}", path.escape_ascii());
        }
        for (text, path) in [
            ("docs", &b"docs/annual"[..]),
            ("a.b", b"axb"),
            ("docs/ann", b"docs/x/annual"),
            ("docs/ann", b"docs/an annual"),
            ("/docs/ann", b"my/xdocs/annual"),
        ] {
            assert!(!finds(text, path), "{text} in {}", path.escape_ascii());
        }
    }

    #[test]
    fn a_shell_pattern_is_a_whole_name() {
        for (text, path) in [
            ("*.jpg", &b"a/b/IMG.JPG"[..]),
            ("img*", b"a/IMG_1.jpg"),
            ("*mg_*", b"IMG_1.jpg"),
            ("i?g", b"img"),
            ("i?g", b"i\xc3\xa4g"),
            ("i?g", b"i\xffg"),
            ("img_[0-9].jpg", b"img_7.jpg"),
            ("[!a]bc", b"xbc"),
            ("[]x]", b"]"),
            ("x[", b"x["),
            ("*", b"anything"),
            ("**", b"anything"),
            ("docs/*.pdf", b"my/docs/x.pdf"),
            ("/docs/*.pdf", b"docs/x.pdf"),
            ("docs/**/x.pdf", b"docs/1/2/x.pdf"),
            ("docs/**", b"docs/1/2/x.pdf"),
            ("a*\nb", b"a\n\nb"),
        ] {
            assert!(finds(text, path), "{text} on {}", path.escape_ascii());
        }
        for (text, path) in [
            ("*.jpg", &b"x.jpg.txt"[..]),
            ("img*", b"my img"),
            ("i?g", b"iaag"),
            ("[!a]bc", b"abc"),
            ("docs/*.pdf", b"docs/1/x.pdf"),
            ("docs/*.pdf", b"mydocs/x.pdf"),
            ("/docs/*.pdf", b"my/docs/x.pdf"),
        ] {
            assert!(!finds(text, path), "{text} on {}", path.escape_ascii());
        }
        for bad in ["", "/", "[z-a]"] {
            assert!(matches!(Pattern::new(bad), Err(Error::Pattern { .. })), "{bad}");
        }
    }
}
