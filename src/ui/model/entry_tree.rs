//! The entries of a snapshot as a tree that can be walked without building it.
//!
//! Entries stand in the format's order, so what a folder holds stands right behind it: one number for
//! each entry, where its contents end, is all that is needed.

use std::fmt::Debug;

use crate::engine::format::entry::{Entry, EntryKind};
use crate::engine::path::EntryPath;

/// The entries of a snapshot. Making one sorts and counts: not for the main loop.
#[derive(Debug)]
pub struct EntryTree {
    entries: Vec<Entry>,
    /// For each entry, the index behind the last entry below it.
    ends: Vec<usize>,
    /// For each entry, the bytes of all files in it.
    size_bytes: Vec<u64>,
}

impl EntryTree {
    /// The root's index.
    pub const ROOT: usize = 0;

    /// A tree of these entries. A missing root is added.
    pub fn new(mut entries: Vec<Entry>) -> Self {
        if !entries.is_sorted_by(|one, two| one.path <= two.path) {
            entries.sort_by(|one, two| one.path.cmp(&two.path));
        }
        if !entries.first().is_some_and(|entry| entry.path.is_root()) {
            entries.insert(0, root());
        }
        let mut ends = vec![entries.len(); entries.len()];
        let mut size_bytes: Vec<u64> = entries.iter().map(|entry| entry.size_bytes.unwrap_or(0)).collect();
        let mut open: Vec<usize> = Vec::new();
        for index in 0..=entries.len() {
            while let Some(&folder) = open.last() {
                if index < entries.len() && entries[index].path.starts_with(&entries[folder].path) {
                    break;
                }
                ends[folder] = index;
                open.pop();
                if let Some(&parent) = open.last() {
                    size_bytes[parent] = size_bytes[parent].saturating_add(size_bytes[folder]);
                }
            }
            open.push(index);
        }
        Self { entries, ends, size_bytes }
    }

    /// The entry at an index.
    pub fn entry(&self, index: usize) -> &Entry {
        &self.entries[index]
    }

    /// Bytes of the file, or of all files in the folder.
    pub fn size_bytes(&self, index: usize) -> u64 {
        self.size_bytes[index]
    }

    /// How many entries there are at and below an index.
    pub fn entry_count(&self, index: usize) -> u64 {
        (self.ends[index] - index) as u64
    }

    /// Whether the entry is a folder.
    pub fn is_folder(&self, index: usize) -> bool {
        self.entries[index].kind == EntryKind::Directory
    }

    /// What stands directly in a folder.
    pub fn children(&self, folder: usize) -> impl Iterator<Item = usize> {
        let end = self.ends[folder];
        let first = (folder + 1 < end).then_some(folder + 1);
        std::iter::successors(first, move |child| Some(self.ends[*child]).filter(|next| *next < end))
    }

    /// The index of a path.
    pub fn find(&self, path: &EntryPath) -> Option<usize> {
        self.entries.binary_search_by(|entry| entry.path.cmp(path)).ok()
    }

    /// The folder in which looking begins: the deepest one that holds all the rest.
    pub fn start(&self) -> usize {
        let mut folder = Self::ROOT;
        loop {
            let mut children = self.children(folder);
            match (children.next(), children.next()) {
                (Some(only), None) if self.is_folder(only) && self.children(only).next().is_some() => {
                    folder = only
                }
                _ => return folder,
            }
        }
    }

    /// The folders from the root down to an entry, which comes last.
    pub fn lineage(&self, index: usize) -> Vec<usize> {
        let mut lineage = vec![index];
        let mut path = self.entries[index].path.parent();
        while let Some(above) = path {
            lineage.extend(self.find(&above));
            path = above.parent();
        }
        lineage.reverse();
        lineage
    }
}

fn root() -> Entry {
    Entry {
        path: EntryPath::root(),
        kind: EntryKind::Directory,
        mode: 0o755,
        uid: 0,
        gid: 0,
        user: None,
        group: None,
        mtime: 0,
        size_bytes: Some(0),
        extras: None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn tree(paths: &[(&str, u64)]) -> EntryTree {
        let entry = |(path, size): &(&str, u64)| Entry {
            path: EntryPath::from_bytes(path.trim_end_matches('/').as_bytes()).unwrap(),
            kind: if path.ends_with('/') || path.is_empty() { EntryKind::Directory } else { EntryKind::File },
            size_bytes: Some(*size),
            extras: None,
            ..root()
        };
        EntryTree::new(paths.iter().map(entry).collect())
    }

    fn names(tree: &EntryTree, folder: usize) -> Vec<String> {
        tree.children(folder).map(|child| tree.entry(child).path.to_string()).collect()
    }

    #[test]
    fn children_sizes_and_lineage() {
        let tree = tree(&[("", 0), ("a/", 0), ("a/b/", 0), ("a/b/c", 5), ("a/d", 7), ("a b", 1), ("e/", 0)]);
        assert_eq!(names(&tree, EntryTree::ROOT), ["a", "a b", "e"]);
        let a = tree.find(&EntryPath::from_bytes(b"a").unwrap()).unwrap();
        assert_eq!(names(&tree, a), ["a/b", "a/d"]);
        assert_eq!(tree.size_bytes(a), 12);
        assert_eq!(tree.size_bytes(EntryTree::ROOT), 13);
        assert_eq!(tree.entry_count(a), 4);
        let c = tree.find(&EntryPath::from_bytes(b"a/b/c").unwrap()).unwrap();
        assert_eq!(tree.lineage(c), [0, 1, 2, 3]);
        assert_eq!(names(&tree, c), [""; 0]);
    }

    #[test]
    fn looking_begins_where_there_is_a_choice() {
        let deep = tree(&[("", 0), ("home/", 0), ("home/anna/", 0), ("home/anna/x", 1), ("home/anna/y", 1)]);
        assert_eq!(deep.entry(deep.start()).path.to_string(), "home/anna");
        let empty = tree(&[("", 0), ("home/", 0)]);
        assert_eq!(empty.start(), EntryTree::ROOT);
    }

    #[test]
    fn a_listing_without_root_or_order_is_mended() {
        let tree = tree(&[("b", 2), ("a/", 0), ("a/x", 1)]);
        assert_eq!(names(&tree, EntryTree::ROOT), ["a", "b"]);
        assert_eq!(tree.size_bytes(EntryTree::ROOT), 3);
        assert_eq!(names(&EntryTree::new(Vec::new()), EntryTree::ROOT), [""; 0]);
    }
}
