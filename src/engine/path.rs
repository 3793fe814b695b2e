//! The path of an entry inside a backup.
//!
//! Paths are bytes and are never decoded: what the file system allows as a name, the backup keeps.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A path relative to the root of a backup: components joined by `/`, without a leading or trailing
/// one. The root itself is the empty path.
///
/// The order is the format's: component by component as unsigned bytes, a parent before what it holds.
/// It is not the order of the joined bytes (`a/z` comes before `a b`).
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct EntryPath(Box<[u8]>);

/// Why bytes are no path of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A component `..`, `.` or an empty one: following it could leave the target of a restore.
    #[error("the path has a component that is empty, \".\" or \"..\"")]
    UnsafeComponent,
    /// A NUL byte, which no file system allows.
    #[error("the path has a NUL byte")]
    Nul,
}

/// A root as duplicity sees it, in manifests and in front of full paths: without doubled slashes, `.`
/// components and a slash at its end, but neither made absolute nor resolved.
pub fn plain_root(root: &Path) -> Vec<u8> {
    let bytes = root.as_os_str().as_bytes();
    let components: Vec<&[u8]> =
        bytes.split(|byte| *byte == b'/').filter(|component| !matches!(*component, b"" | b".")).collect();
    let joined = components.join(&b'/');
    if bytes.starts_with(b"/") {
        [b"/", &joined[..]].concat()
    } else if joined.is_empty() {
        b".".to_vec()
    } else {
        joined
    }
}

impl EntryPath {
    /// The root of the backup.
    pub fn root() -> Self {
        Self::default()
    }

    /// Takes joined components as they are stored, refusing everything that could point outside.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PathError> {
        if bytes.contains(&0) {
            return Err(PathError::Nul);
        }
        let safe = bytes.is_empty()
            || bytes.split(|byte| *byte == b'/').all(|component| !matches!(component, b"" | b"." | b".."));
        if safe { Ok(Self(bytes.into())) } else { Err(PathError::UnsafeComponent) }
    }

    /// What a person typed: leading `/` and `./`, doubled and trailing slashes do not matter.
    pub fn from_user(path: &Path) -> Result<Self, PathError> {
        let components: Vec<&[u8]> = path
            .as_os_str()
            .as_bytes()
            .split(|byte| *byte == b'/')
            .filter(|component| !matches!(*component, b"" | b"."))
            .collect();
        Self::from_bytes(&components.join(&b'/'))
    }

    /// The path of `name` in the folder that this path names.
    pub fn join(&self, name: &[u8]) -> Self {
        if self.is_root() {
            return Self(name.into());
        }
        let mut bytes = Vec::with_capacity(self.0.len() + 1 + name.len());
        bytes.extend_from_slice(&self.0);
        bytes.push(b'/');
        bytes.extend_from_slice(name);
        Self(bytes.into())
    }

    /// The joined bytes; empty for the root.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The path for the file system, relative to the root's folder.
    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }

    /// Whether this is the root of the backup.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The names from the root downwards; none for the root.
    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|byte| *byte == b'/').filter(|component| !component.is_empty())
    }

    /// The last component; empty for the root.
    pub fn file_name(&self) -> &[u8] {
        self.0.rsplit(|byte| *byte == b'/').next().unwrap_or(b"")
    }

    /// The folder that holds this entry; none for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        let end = self.0.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        Some(Self(self.0[..end].into()))
    }

    /// Whether this path is `ancestor` or lies somewhere below it.
    pub fn starts_with(&self, ancestor: &Self) -> bool {
        self.strip_prefix(ancestor).is_some()
    }

    /// What is left of this path below `ancestor`; none if it lies elsewhere.
    pub fn strip_prefix(&self, ancestor: &Self) -> Option<Self> {
        if ancestor.is_root() {
            return Some(self.clone());
        }
        let rest = self.0.strip_prefix(&*ancestor.0)?;
        match rest {
            [] => Some(Self::root()),
            [b'/', below @ ..] => Some(Self(below.into())),
            _ => None,
        }
    }
}

impl Ord for EntryPath {
    fn cmp(&self, other: &Self) -> Ordering {
        // A separator sorts before every byte that a name can have, since no name has a NUL.
        let rank = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
        self.0.iter().map(rank).cmp(other.0.iter().map(rank))
    }
}

impl PartialOrd for EntryPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// For people: the root is `.`, bytes that are not UTF-8 and control characters are escaped.
impl fmt::Display for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str(".");
        }
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                if character.is_control() {
                    write!(f, "{}", character.escape_default())?;
                } else {
                    write!(f, "{character}")?;
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> EntryPath {
        EntryPath::from_bytes(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_root_is_written_without_what_means_nothing() {
        for (root, plain) in [
            ("/", "/"),
            ("//./", "/"),
            ("/a//b/", "/a/b"),
            ("./a/./b", "a/b"),
            ("", "."),
            ("./", "."),
            ("../a", "../a"),
            ("a/../b", "a/../b"),
        ] {
            assert_eq!(plain_root(Path::new(root)), plain.as_bytes(), "{root}");
        }
    }

    #[test]
    fn order_goes_by_components() {
        let right = ["", "a", "a/!", "a/z", "a b", "a!", "a-dir", "a-dir/q", "ab"];
        let mut sorted: Vec<_> = right.iter().rev().map(|text| path(text)).collect();
        sorted.sort();
        let expected: Vec<_> = right.iter().map(|text| path(text)).collect();
        assert_eq!(sorted, expected);
    }

    #[test]
    fn ways_out_are_refused() {
        for bad in ["..", "a/../b", "/etc", "a//b", "a/", "./a", "a/."] {
            assert_eq!(EntryPath::from_bytes(bad.as_bytes()), Err(PathError::UnsafeComponent), "{bad}");
        }
        assert_eq!(EntryPath::from_bytes(b"a\0b"), Err(PathError::Nul));
        assert_eq!(EntryPath::from_user(Path::new("/a//b/./c/")).unwrap(), path("a/b/c"));
        assert!(EntryPath::from_user(Path::new("a/../b")).is_err());
    }

    #[test]
    fn prefixes_are_whole_components() {
        assert!(path("a/b").starts_with(&path("a")));
        assert!(!path("ab").starts_with(&path("a")));
        assert_eq!(path("a/b/c").strip_prefix(&path("a")), Some(path("b/c")));
        assert_eq!(path("a").parent(), Some(EntryPath::root()));
        assert_eq!(path("a/b").file_name(), b"b");
    }

    #[test]
    fn display_escapes_what_a_terminal_must_not_get() {
        assert_eq!(EntryPath::from_bytes(b"a\xff\n\x1bb").unwrap().to_string(), "a\\xff\\n\\u{1b}b");
        assert_eq!(EntryPath::root().to_string(), ".");
    }
}
