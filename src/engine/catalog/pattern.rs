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
    /// What is asked of the folders above; only where the pattern has a slash.
    above: Option<Above>,
    /// Sees `/name\0` of one of these folders, whatever else they are called. If no folder is called like that,
    /// nothing can be found.
    pub(super) needle: Option<Regex>,
    /// Sees `/name\0` of the folder that an entry is directly in; only where the pattern says something of it.
    pub(super) parent: Option<Regex>,
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
            None => Ok(Self { name: build(text, &quoted)?, above: None, needle: None, parent: None }),
            Some(slash) => {
                let folders = &wanted[..slash];
                // The whole name, if a slash is in front of it.
                let parent = &folders[folders.rfind('/').unwrap_or(0)..];
                let parent = (!parent.is_empty()).then(|| format!("{}\\x00", regex::escape(parent)));
                Ok(Self {
                    name: build(text, &regex::escape(&wanted[slash..]))?,
                    above: Some(Above::Folder(build(text, &format!("{}$", regex::escape(folders)))?)),
                    needle: needle(text, folders.split('/'))?,
                    parent: parent.map(|parent| build(text, &parent)).transpose()?,
                })
            }
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
            return Ok(Self { name: build(text, &name)?, above: None, needle: None, parent: None });
        };
        let (folders, last) = (&wanted[..slash], &wanted[slash + 1..]);
        let whole = |pattern: &str, end: &str| {
            let start = if wanted.starts_with('/') { "^" } else { "/" };
            build(text, &format!("{start}{}{end}$", translate(pattern)))
        };
        let (name, above) = match last {
            "**" => (format!("/{IN_NAME}"), Above::Folder(whole(folders, &format!("(?:/{ANY_PATH})?"))?)),
            last if last.contains("**") => (format!("/{IN_NAME}"), Above::Path(whole(wanted, "")?)),
            last => (format!("/{}\\x00", translate(last)), Above::Folder(whole(folders, "")?)),
        };
        // What stands in brackets is no text.
        let texts = folders.split('/').flat_map(|folder| {
            let text = folder.split('[').next().unwrap_or_default();
            text.split(['*', '?'])
        });
        let parent = folders.rsplit('/').next().unwrap_or_default();
        // Of what goes over several folders the last is not known, and any name is no help.
        let says_something = !last.contains("**") && !folders.contains(['[', ']']) && !parent.contains("**");
        let parent = (says_something && !parent.trim_matches('*').is_empty())
            .then(|| build(text, &format!("/{}\\x00", translate(parent))));
        Ok(Self {
            name: build(text, &name)?,
            above: Some(above),
            needle: needle(text, texts)?,
            parent: parent.transpose()?,
        })
    }

    /// Whether an entry whose name fits may be in this folder; none if that cannot be told without its name.
    pub(super) fn fits_in(&self, folder: &EntryPath) -> Option<bool> {
        match &self.above {
            None => Some(true),
            Some(Above::Folder(pattern)) => Some(pattern.is_match(&folded(folder))),
            Some(Above::Path(_)) => None,
        }
    }

    /// Whether the path of an entry, whose name and folder fit, fits too.
    pub(super) fn fits(&self, path: &EntryPath) -> bool {
        match &self.above {
            Some(Above::Path(pattern)) => pattern.is_match(&folded(path)),
            _ => true,
        }
    }
}

/// The longest of some texts that the names of folders must have in them.
fn needle<'t>(pattern: &str, texts: impl Iterator<Item = &'t str>) -> Result<Option<Regex>> {
    let longest = texts.filter(|text| !text.is_empty()).max_by_key(|text| text.len());
    longest.map(|text| build(pattern, &regex::escape(text))).transpose()
}

/// The path with a slash in front of each of its components.
fn folded(path: &EntryPath) -> Vec<u8> {
    let mut bytes = Vec::new();
    if !path.is_root() {
        bytes.push(b'/');
        fold::append(path.as_bytes(), &mut bytes);
    }
    bytes
}

/// What a pattern asks beyond the name of an entry.
#[derive(Debug, Clone)]
enum Above {
    /// Sees `/folder` that the entry is in, and nothing of the root.
    Folder(Regex),
    /// Sees `/path` of the entry itself, since a part of it may belong to its name or to the folders.
    Path(Regex),
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
        let folder = path.parent().unwrap_or_default();
        // What no folder above is called cannot be needed.
        let is_called = |needle: &Regex| {
            folder.as_bytes().split(|byte| *byte == b'/').any(|name| {
                let mut folded = vec![b'/'];
                fold::append(name, &mut folded);
                folded.push(0);
                needle.is_match(&folded)
            })
        };
        let is_parent_called = |wanted: &Regex| {
            let mut folded = vec![b'/'];
            fold::append(folder.file_name(), &mut folded);
            folded.push(0);
            wanted.is_match(&folded)
        };
        let may_be = pattern.needle.as_ref().is_none_or(is_called)
            && pattern.parent.as_ref().is_none_or(is_parent_called);
        let fits =
            pattern.name.is_match(&name) && pattern.fits_in(&folder) != Some(false) && pattern.fits(&path);
        assert!(may_be || !fits, "{path} would be missed");
        fits
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
            ("docs/**", b"my/docs/x"),
            ("/docs/**", b"docs/x"),
            ("/*.pdf", b"x.pdf"),
            ("d/a**b", b"d/a/x/b"),
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
            ("docs/**", b"docs"),
            ("/docs/**", b"my/docs/x"),
            ("/*.pdf", b"docs/x.pdf"),
            ("*/x.pdf", b"x.pdf"),
            ("d/a**b", b"e/a/x/b"),
        ] {
            assert!(!finds(text, path), "{text} on {}", path.escape_ascii());
        }
        for bad in ["", "/", "[z-a]"] {
            assert!(matches!(Pattern::new(bad), Err(Error::Pattern { .. })), "{bad}");
        }
    }
}
