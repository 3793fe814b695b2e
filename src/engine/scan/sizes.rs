//! How much there is to back up, and which folders make it so much.

use std::collections::HashMap;
use std::path::Path;

use super::{Found, Selection, Tree, Walk};
use crate::engine::error::{Error, Result};
use crate::engine::format::entry::EntryKind;
use crate::engine::job::Job;
use crate::engine::path::EntryPath;

/// How far below a folder that is backed up others are told apart.
const LEVELS: usize = 3;

/// A folder is large if it holds at least this part of everything.
const LARGE_PART: u64 = 20;

/// The sizes of folders, as far as they would be backed up.
#[derive(Debug, Clone, Default)]
pub struct Sizes {
    /// Files in all of them.
    pub file_count: u64,
    /// Bytes in all of them.
    pub total_bytes: u64,
    folders: HashMap<EntryPath, u64>,
}

impl Sizes {
    /// Looks through `folders`, which lie below `root`. What one of them holds that lies in another counts for that
    /// one alone, and what cannot be read counts nothing.
    pub fn count(root: &Path, folders: &[EntryPath], selection: &Selection, job: &Job) -> Result<Self> {
        let mut sizes = Self::default();
        let folders: Vec<_> = folders.iter().map(|folder| (folder, folder.components().count())).collect();
        let tree =
            Tree::open(root).map_err(|source| Error::SourceUnreadable { path: root.to_owned(), source })?;
        for found in Walk::new(&tree, selection, &[], false, job)? {
            let Found::Entry(source) = found? else { continue };
            let (path, bytes) = (source.entry.path, source.entry.size_bytes.unwrap_or(0));
            if source.entry.kind != EntryKind::File {
                continue;
            }
            let holders = folders.iter().filter(|(folder, _)| path.starts_with(folder));
            let Some(base_depth) = holders.map(|(_, depth)| *depth).max() else { continue };
            sizes.file_count += 1;
            sizes.total_bytes += bytes;
            sizes.add(&path, base_depth, bytes);
        }
        Ok(sizes)
    }

    /// Adds a file to the folders that it lies in.
    fn add(&mut self, file: &EntryPath, base_depth: usize, bytes: u64) {
        let mut depth = file.components().count();
        let mut around = file.parent();
        while let Some(folder) = around.take_if(|_| depth > base_depth) {
            depth -= 1;
            around = folder.parent();
            if depth <= base_depth + LEVELS {
                *self.folders.entry(folder).or_default() += bytes;
            }
        }
    }

    /// What a folder comes to, in bytes; 0 where it lies too deep to be told.
    pub fn of(&self, folder: &EntryPath) -> u64 {
        self.folders.get(folder).copied().unwrap_or(0)
    }

    /// The largest folders below those that are backed up, the largest first, none of them in another one. A folder
    /// of which most lies in one folder is not named; that one is.
    pub fn largest(&self, folders: &[EntryPath], most: usize) -> Vec<(EntryPath, u64)> {
        let mut candidates: Vec<_> = self
            .folders
            .iter()
            .filter(|(path, bytes)| {
                **bytes > 0 && **bytes >= self.total_bytes / LARGE_PART && !folders.contains(path)
            })
            .filter(|(path, bytes)| !self.lies_in_one(path, **bytes))
            .map(|(path, bytes)| (path.clone(), *bytes))
            .collect();
        candidates.sort_by(|(a, a_bytes), (b, b_bytes)| {
            b_bytes.cmp(a_bytes).then_with(|| a.as_bytes().cmp(b.as_bytes()))
        });
        let mut largest: Vec<(EntryPath, u64)> = Vec::new();
        for (path, bytes) in candidates {
            if largest.len() < most
                && !largest.iter().any(|(other, _)| other.starts_with(&path) || path.starts_with(other))
            {
                largest.push((path, bytes));
            }
        }
        largest
    }

    fn lies_in_one(&self, folder: &EntryPath, bytes: u64) -> bool {
        self.folders.iter().any(|(path, part)| {
            path.parent().is_some_and(|parent| parent == *folder) && *part >= bytes - bytes / 4
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::scan::{Rule, RuleKind};
    use std::fs;

    #[test]
    fn the_folders_that_make_it_big_are_named() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path();
        let put = |path: &str, bytes: u64| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::File::create(path).unwrap().set_len(bytes).unwrap();
        };
        put("home/me/.local/share/Games/a/b/c/d", 50_000);
        put("home/me/.local/share/small", 1_000);
        put("home/me/Videos/one", 9_000);
        put("home/me/Videos/trip/two", 9_000);
        put("home/me/Documents/letter", 2_000);
        put("home/me/Downloads/huge", 900_000);
        put("home/you/other", 900_000);
        let entry = |path: &str| EntryPath::from_user(Path::new(path)).unwrap();
        let folders = [entry("home/me")];
        // The rules are those of a plan whose root this is not, so they are made of patterns.
        let rule = |kind, pattern: String| Rule::Pattern(kind, pattern.into_bytes());
        let here = |path: &str| root.join(path).display().to_string();
        let rules =
            [rule(RuleKind::Exclude, here("home/me/Downloads")), rule(RuleKind::Exclude, here("home/you"))];
        let selection = Selection::from_rules(root, &rules).unwrap();
        let sizes = Sizes::count(root, &folders, &selection, &Job::unattended()).unwrap();
        assert_eq!((sizes.file_count, sizes.total_bytes), (5, 71_000));
        assert_eq!(sizes.of(&entry("home/me")), 71_000);
        let largest = sizes.largest(&folders, 5);
        let expected = [("home/me/.local/share/Games", 50_000), ("home/me/Videos", 18_000)];
        assert_eq!(largest, expected.map(|(path, bytes)| (entry(path), bytes)));
        assert_eq!(sizes.largest(&folders, 1).len(), 1);
        assert_eq!(Sizes::default().largest(&folders, 5), []);
    }
}
