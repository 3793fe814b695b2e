//! Which rows were made into objects, as long as somebody has those: a row that only looks otherwise in another snapshot
//! keeps its object, and with it its widgets. To take those out of a list and put them back makes GTK work out the style
//! of all rows behind them.

use std::collections::HashMap;

use glib::WeakRef;
use glib::prelude::*;

use super::folder_rows::is_shown_alike;
use super::{FileNode, FolderRows};
use crate::engine::path::EntryPath;

/// Below so many it is not looked whether somebody has them still.
const FEW: usize = 512;

/// See the module.
#[derive(Debug, Default)]
pub struct Nodes {
    by_path: HashMap<EntryPath, WeakRef<FileNode>>,
    /// At how many those are dropped that nobody has.
    full_at: usize,
}

impl Nodes {
    /// The object of the row at a position: one that somebody has, if it shows the same. Of a path that has come with other
    /// rows, those decide which object is known.
    pub fn give(&mut self, rows: &FolderRows, position: usize, is_new: bool) -> Option<FileNode> {
        let (path, item) = rows.path(position).zip(rows.item(position))?;
        let known = self.known(&path);
        let is_known = known.is_some();
        if let Some(known) = known.filter(|known| is_shown_alike(&known.item(), item)) {
            return Some(known);
        }
        let node = FileNode::new(path.clone(), item.clone());
        if is_known && !is_new {
            return Some(node);
        }
        if self.by_path.len() >= self.full_at.max(FEW) {
            self.by_path.retain(|_, known| known.upgrade().is_some());
            self.full_at = 2 * self.by_path.len();
        }
        self.by_path.insert(path, node.downgrade());
        Some(node)
    }

    /// The object of a path that somebody has.
    pub fn known(&self, path: &EntryPath) -> Option<FileNode> {
        self.by_path.get(path)?.upgrade()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::catalog::{Contents, Item};
    use crate::engine::format::entry::EntryKind;
    use crate::engine::format::time::SetTime;
    use crate::ui::model::Arrangement;

    fn rows(count: u32, size: u64) -> FolderRows {
        let item = |number| Item {
            name: format!("{number:08}").into_bytes().into(),
            kind: EntryKind::File,
            mode: 0o644,
            mtime: 0,
            size_bytes: Some(size),
            change: None,
            gone: None,
        };
        let items = (0..count).map(item).collect();
        let contents = Contents { set_time: SetTime::now(), items, missing: Vec::new() };
        FolderRows::new(EntryPath::root(), contents, Arrangement::default())
    }

    #[test]
    fn an_object_is_given_again_as_long_as_it_shows_the_same() {
        let mut nodes = Nodes::default();
        let (before, after) = (rows(3, 1), rows(3, 2));
        let one = nodes.give(&before, 1, true).unwrap();
        assert_eq!(nodes.give(&before, 1, true).unwrap(), one);
        let other = nodes.give(&after, 1, true).unwrap();
        assert_ne!(other, one);
        assert_eq!(nodes.known(&one.path()).unwrap(), other);
        // A row that is about to go does not take its place.
        assert_ne!(nodes.give(&before, 1, false).unwrap(), other);
        assert_eq!(nodes.known(&one.path()).unwrap(), other);
        drop(other);
        assert_eq!(nodes.known(&one.path()), None);
        assert_eq!(nodes.give(&before, 9, true), None);
    }

    #[test]
    fn what_nobody_has_is_forgotten() {
        let mut nodes = Nodes::default();
        let rows = rows(10_000, 1);
        let kept: Vec<_> = (0..10_000).filter_map(|at| nodes.give(&rows, at, true)).step_by(100).collect();
        assert!(nodes.by_path.len() < 2 * FEW, "{}", nodes.by_path.len());
        assert!(kept.iter().all(|node| nodes.known(&node.path()).as_ref() == Some(node)));
    }
}
