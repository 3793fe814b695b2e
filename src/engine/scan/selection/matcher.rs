//! What one rule looks at, and what it says of an entry.

use std::cell::OnceCell;
use std::io::Read;

use regex::Regex;

use super::text::text;
use super::{Candidate, CandidateKind, glob};
use crate::engine::path::EntryPath;
use crate::engine::scan::tree::Tree;

/// What marks a folder as a cache, as <https://bford.info/cachedir/> has it.
const CACHE_TAG: &[u8] = b"CACHEDIR.TAG";
const CACHE_SIGNATURE: &[u8; 43] = b"Signature: 8a477f597d28d172789f06886806bc55";

/// What one rule looks at.
#[derive(Debug)]
pub enum Matcher {
    /// Everything.
    Everything,
    /// This very path and everything below it.
    Literal(Vec<u8>),
    /// The same for rules, whose paths are text. With the second, a file of that very path is not meant.
    Path(String, bool),
    /// What a pattern describes.
    Shape(Shape),
    /// What an expression is found in.
    Regexp(Regex),
    /// A folder of that shape, if something says that it is what it looks like.
    Marked(Shape, Marker),
    /// A folder that holds an entry of that name.
    Holding(Vec<u8>),
    /// A folder that is tagged as a cache.
    TaggedAsCache,
    /// What lies on another file system than the root.
    OtherFilesystem,
    /// A character or block device.
    Device,
    /// A regular file that was last modified before then, in seconds since 1970.
    OlderThan(i64),
}

/// The paths that a pattern describes.
#[derive(Debug)]
pub struct Shape {
    /// The paths themselves, and beginnings of what lies below them.
    pub whole: Regex,
    /// What lies below them; only for a pattern that means no file of such a path.
    pub below: Option<Regex>,
    /// Folders that may hold one of them, where that matters.
    pub parents: Option<Regex>,
}

/// What makes sure that a folder is what its name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// An entry of this name in it.
    Holds(&'static str),
    /// An entry of this name beside it.
    Beside(&'static str),
    /// Its tag.
    CacheTag,
}

/// What a rule says of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// It is meant.
    Yes,
    /// Only something below it may be meant.
    Below,
    /// It is not meant.
    No,
}

/// The path that rules see: of the root and the entry in one, as bytes and as text.
#[derive(Debug)]
pub struct FullPath {
    bytes: Vec<u8>,
    text: OnceCell<String>,
}

impl FullPath {
    /// The path of an entry below a root, whose own path has no slash at its end.
    pub fn new(root: &[u8], path: &EntryPath) -> Self {
        let slash: &[u8] = if path.is_root() && !root.is_empty() { b"" } else { b"/" };
        Self { bytes: [root, slash, path.as_bytes()].concat(), text: OnceCell::new() }
    }

    /// The one folder that a matcher names.
    pub fn of(folder: &Matcher) -> Option<Self> {
        let path = folder.named()?;
        let bytes = if path.is_empty() { b"/".to_vec() } else { path.to_vec() };
        Some(Self { bytes, text: OnceCell::new() })
    }

    /// Whether it is the one folder that a matcher names.
    pub fn is_named_by(&self, folder: &Matcher) -> bool {
        folder.named().is_some_and(|path| self.bytes == path)
    }

    /// The path below the one folder that a matcher names; as it is if it lies elsewhere.
    pub fn below(&self, folder: &Matcher) -> Self {
        let below = folder.named().and_then(|path| self.bytes.strip_prefix(path));
        Self { bytes: below.unwrap_or(&self.bytes).to_vec(), text: OnceCell::new() }
    }

    fn text(&self) -> &str {
        self.text.get_or_init(|| text(&self.bytes).into_owned())
    }
}

impl Matcher {
    /// What a shell pattern describes; with a marker only folders that have it.
    pub fn glob(pattern: &str, ignore_case: bool, marker: Option<Marker>) -> Result<Self, String> {
        let (pattern, prefixed) = glob::split_prefix(pattern);
        let ignore_case = ignore_case || prefixed;
        check(pattern)?;
        if let Some(marker) = marker {
            return Ok(Self::Marked(glob::compile(pattern, ignore_case)?, marker));
        }
        if pattern == "**" {
            Ok(Self::Everything)
        } else if pattern != "/" && !ignore_case && glob::is_plain(pattern) {
            let folder = pattern.strip_suffix('/');
            Ok(Self::Path(folder.unwrap_or(pattern).to_owned(), folder.is_some()))
        } else {
            glob::compile(pattern, ignore_case).map(Self::Shape)
        }
    }

    /// A path that is taken as it is, below a root.
    pub fn literal(path: &str, ignore_case: bool, root: &[u8]) -> Result<Self, String> {
        check(path)?;
        let path = path.strip_suffix('/').unwrap_or(path);
        if path.is_empty() && (root.is_empty() || root.starts_with(b"/")) {
            Ok(Self::Everything)
        } else if ignore_case {
            glob::compile_literal(path).map(Self::Shape)
        } else {
            Ok(Self::Path(path.to_owned(), false))
        }
    }

    /// Leaves out what only an include needs to know.
    pub fn for_exclude(mut self) -> Self {
        if let Self::Shape(shape) | Self::Marked(shape, _) = &mut self {
            shape.parents = None;
        }
        self
    }

    /// What the rule says of an entry.
    pub fn matches(&self, full: &FullPath, entry: &Candidate<'_>) -> Match {
        let is_folder = entry.kind == CandidateKind::Folder;
        let matches = match self {
            Self::Literal(_) | Self::Path(..) | Self::Shape(_) => return self.matches_path(full, is_folder),
            Self::Everything => true,
            Self::Regexp(regex) => regex.is_match(full.text()),
            Self::Marked(shape, marker) => {
                is_folder
                    && shape.matches(full.text(), true) == Match::Yes
                    && marker.marks(entry.tree, entry.path)
            }
            Self::Holding(name) => is_folder && entry.tree.holds(entry.path, name),
            Self::TaggedAsCache => is_folder && is_tagged_as_cache(entry.tree, entry.path),
            Self::OtherFilesystem => entry.device != entry.root_device,
            Self::Device => entry.kind == CandidateKind::Device,
            Self::OlderThan(time) => entry.kind == CandidateKind::File && entry.mtime < *time,
        };
        if matches { Match::Yes } else { Match::No }
    }

    /// What a rule that looks at paths only says.
    pub fn matches_path(&self, full: &FullPath, is_folder: bool) -> Match {
        match self {
            Self::Everything => Match::Yes,
            Self::Literal(path) => compare(&full.bytes, path, true),
            Self::Path(path, folders_only) => {
                compare(full.text().as_bytes(), path.as_bytes(), is_folder || !folders_only)
            }
            Self::Shape(shape) => shape.matches(full.text(), is_folder),
            _ => Match::No,
        }
    }

    /// The one folder that is named, without a slash at its end.
    fn named(&self) -> Option<&[u8]> {
        match self {
            Self::Everything => Some(b""),
            Self::Literal(path) => Some(path),
            _ => None,
        }
    }

    /// Whether a folder of this path could be meant, as far as the path tells.
    pub fn fits(&self, folder: &FullPath) -> bool {
        match self {
            Self::Marked(shape, _) => shape.matches(folder.text(), true) == Match::Yes,
            _ => self.matches_path(folder, true) == Match::Yes,
        }
    }

    /// Whether it is for folders with all they hold, which does not show by the paths.
    fn marks_folders(&self) -> bool {
        matches!(self, Self::Marked(..) | Self::Holding(_) | Self::TaggedAsCache)
    }

    /// Whether it means nothing but folders, and what they hold.
    pub fn is_for_folders(&self) -> bool {
        match self {
            Self::Path(_, folders_only) => *folders_only,
            Self::Shape(shape) => shape.below.is_some(),
            _ => self.marks_folders(),
        }
    }

    /// How many folders deep a literal path lies.
    pub fn depth(&self) -> usize {
        match self {
            Self::Literal(path) => path.iter().filter(|byte| **byte == b'/').count(),
            _ => 0,
        }
    }
}

impl Shape {
    fn matches(&self, path: &str, is_folder: bool) -> Match {
        // Of a pattern for folders, a file of that very name is not meant; what lies below is.
        let is_meant = |below: &Regex| is_folder || below.is_match(path);
        if self.whole.is_match(path) && self.below.as_ref().is_none_or(is_meant) {
            Match::Yes
        } else if self.parents.as_ref().is_some_and(|parents| parents.is_match(path)) {
            Match::Below
        } else {
            Match::No
        }
    }
}

impl Marker {
    fn marks(self, tree: &Tree, folder: &EntryPath) -> bool {
        match self {
            Self::Holds(name) => tree.holds(folder, name.as_bytes()),
            Self::Beside(name) => folder.parent().is_some_and(|parent| tree.holds(&parent, name.as_bytes())),
            Self::CacheTag => is_tagged_as_cache(tree, folder),
        }
    }
}

/// Whether the folder holds the file that marks a cache, and the file begins as it must. What cannot be
/// looked at is none: the walk itself will say so.
fn is_tagged_as_cache(tree: &Tree, folder: &EntryPath) -> bool {
    let Ok(mut file) = tree.open_file(&folder.join(CACHE_TAG)) else { return false };
    let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
    let mut found = [0; CACHE_SIGNATURE.len()];
    is_file && file.read_exact(&mut found).is_ok() && found == *CACHE_SIGNATURE
}

/// What a rule for `meant` and all below it says of a path; `itself` is whether that counts too.
fn compare(path: &[u8], meant: &[u8], itself: bool) -> Match {
    match path.strip_prefix(meant) {
        Some([]) if itself => return Match::Yes,
        Some([b'/', ..]) => return Match::Yes,
        _ => {}
    }
    match meant.strip_prefix(path) {
        Some([b'/', ..]) => Match::Below,
        Some([_, ..]) if path == b"/" => Match::Below,
        _ => Match::No,
    }
}

fn check(pattern: &str) -> Result<(), String> {
    if pattern.is_empty() {
        return Err("it is empty".to_owned());
    }
    if pattern.contains("//") {
        return Err("it has two slashes in a row".to_owned());
    }
    Ok(())
}
