//! Lists of rules and lists of paths, as they stand in files.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::RuleKind;
use super::text::text;
use crate::engine::error::{Error, Result};
use crate::engine::path::EntryPath;

/// What ends a line in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Separator {
    /// The end of a line as any system writes it.
    Newline,
    /// A NUL byte, so that every name can be written.
    Nul,
}

impl Separator {
    fn ends_line(self, byte: u8) -> bool {
        match self {
            Self::Newline => matches!(byte, b'\n' | b'\r'),
            Self::Nul => byte == 0,
        }
    }

    fn lines(self, list: &[u8]) -> impl Iterator<Item = &[u8]> {
        list.split(move |byte| self.ends_line(*byte)).filter(|line| !line.is_empty())
    }
}

/// The patterns of a list, as text, each with its kind. Blanks around a line do not count, nor do lines
/// that begin with `#`; `+ ` and `- ` in front say the kind, and quotes around the rest keep its
/// blanks.
pub fn rules(list: &[u8], kind: RuleKind, separator: Separator) -> Vec<(RuleKind, String)> {
    separator.lines(list).filter_map(|line| rule(&text(line), kind)).collect()
}

fn rule(line: &str, kind: RuleKind) -> Option<(RuleKind, String)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (kind, pattern) = if let Some(rest) = line.strip_prefix("+ ") {
        (RuleKind::Include, rest)
    } else if let Some(rest) = line.strip_prefix("- ") {
        (RuleKind::Exclude, rest)
    } else {
        (kind, line)
    };
    let quoted = ['"', '\''].iter().find_map(|quote| pattern.strip_prefix(*quote)?.strip_suffix(*quote));
    let pattern = quoted.unwrap_or(pattern);
    (!pattern.is_empty()).then(|| (kind, pattern.to_owned()))
}

/// What of each folder is backed up, where that is said by a list: folders that are not named here,
/// nor lead to something that is, are not looked into.
#[derive(Debug, Default)]
pub struct Listed {
    folders: HashMap<EntryPath, BTreeSet<Box<[u8]>>>,
}

impl Listed {
    /// Reads paths relative to the root, each taken as it is.
    pub fn read(list: &[u8], separator: Separator) -> Result<Self> {
        let mut listed = Self::default();
        for line in separator.lines(list) {
            let fail = |reason: String| Error::Pattern {
                pattern: String::from_utf8_lossy(line).into_owned(),
                reason,
            };
            if line.starts_with(b"/") {
                return Err(fail("paths in a list of what is backed up are relative to its root".to_owned()));
            }
            let path = EntryPath::from_user(Path::new(OsStr::from_bytes(line)))
                .map_err(|error| fail(error.to_string()))?;
            listed.add(path);
        }
        if listed.folders.is_empty() {
            let reason = "the list of what is backed up names nothing".to_owned();
            return Err(Error::Pattern { pattern: String::new(), reason });
        }
        Ok(listed)
    }

    /// Adds a path, with the folders that lead to it.
    pub fn add(&mut self, mut path: EntryPath) {
        while let Some(parent) = path.parent() {
            let name = path.file_name().into();
            self.folders.entry(parent.clone()).or_default().insert(name);
            path = parent;
        }
    }

    /// Forgets folders, but not what lies deeper.
    pub fn retain(&mut self, is_kept: impl Fn(&EntryPath) -> bool) {
        self.folders.retain(|folder, _| is_kept(folder));
    }

    /// What of a folder is to be backed up; none if nothing in it is.
    pub fn names(&self, folder: &EntryPath) -> Option<impl DoubleEndedIterator<Item = &Box<[u8]>>> {
        self.folders.get(folder).map(BTreeSet::iter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RuleKind::{Exclude, Include};

    #[test]
    fn a_line_has_a_kind_quotes_and_comments() {
        let list = b" a \r\n# no\n\n- b c\n+ ' d '\n-e\n\"f\n'\n''\n+ \"#g\"\n";
        let found = rules(list, Exclude, Separator::Newline);
        let expected = [
            (Exclude, "a"),
            (Exclude, "b c"),
            (Include, " d "),
            (Exclude, "-e"),
            (Exclude, "\"f"),
            (Exclude, "'"),
            (Include, "#g"),
        ];
        assert_eq!(found, expected.map(|(kind, pattern)| (kind, pattern.to_owned())));
        let found = rules(b"a\nb\0\xff\0", Include, Separator::Nul);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].1, "a\nb");
        assert_eq!(found[1].1, text(b"\xff"));
    }

    #[test]
    fn listed_paths_bring_their_folders() {
        let listed = Listed::read(b"a/b/c\na/d\n\n./e/\n", Separator::Newline).unwrap();
        let names = |path: &str| {
            let path = EntryPath::from_bytes(path.as_bytes()).unwrap();
            listed.names(&path).map(|names| names.map(|name| &**name).collect::<Vec<_>>())
        };
        assert_eq!(names(""), Some(vec![&b"a"[..], b"e"]));
        assert_eq!(names("a"), Some(vec![&b"b"[..], b"d"]));
        assert_eq!(names("a/b"), Some(vec![&b"c"[..]]));
        assert_eq!(names("e"), None);
        for wrong in ["/a", "a/../b", "", "\n"] {
            assert!(Listed::read(wrong.as_bytes(), Separator::Newline).is_err(), "{wrong}");
        }
    }
}
