//! What a folder of a snapshot holds, in the order in which it is shown. Made and sorted away from the main
//! loop.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use crate::engine::catalog::{Change, Contents, Item};
use crate::engine::format::entry::EntryKind;
use crate::engine::path::EntryPath;

/// Above this, names are compared without the rules of the language, which cost too much.
const COLLATED: usize = 5_000;

/// What rows are sorted by. Folders always stand first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SortBy {
    /// The name, numbers in it by value.
    #[default]
    Name,
    /// The size.
    Size,
    /// The time of the last change.
    Modified,
    /// What the snapshot changed, and what is gone.
    Change,
}

/// How a folder is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Arrangement {
    /// What the rows are sorted by.
    pub by: SortBy,
    /// Whether the other way round.
    pub descending: bool,
    /// Whether what is gone is left out.
    pub without_deleted: bool,
}

/// The rows of a folder.
#[derive(Debug, Clone)]
pub struct FolderRows {
    folder: EntryPath,
    items: Arc<Vec<Item>>,
    order: Vec<u32>,
}

impl FolderRows {
    /// The rows of a folder. Takes some time for very many: not for the main loop.
    pub fn new(folder: EntryPath, contents: Contents, arrangement: Arrangement) -> Self {
        let mut rows = Self { folder, items: Arc::new(contents.items), order: Vec::new() };
        rows.arrange(arrangement);
        rows
    }

    /// The same folder, shown in another way. Takes as long.
    pub fn arranged(&self, arrangement: Arrangement) -> Self {
        let mut rows = Self { folder: self.folder.clone(), items: self.items.clone(), order: Vec::new() };
        rows.arrange(arrangement);
        rows
    }

    /// The folder.
    pub fn folder(&self) -> &EntryPath {
        &self.folder
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// What stands at a position.
    pub fn item(&self, position: usize) -> Option<&Item> {
        self.items.get(*self.order.get(position)? as usize)
    }

    /// The path of what stands at a position.
    pub fn path(&self, position: usize) -> Option<EntryPath> {
        Some(self.folder.join(&self.item(position)?.name))
    }

    /// Where a name stands.
    pub fn position(&self, name: &[u8]) -> Option<usize> {
        self.order.iter().position(|index| &*self.items[*index as usize].name == name)
    }

    /// How many of the rows were there at the time.
    pub fn present_count(&self) -> usize {
        self.order.iter().filter(|index| self.items[**index as usize].gone.is_none()).count()
    }

    /// How many rows from a position on are as those of a range of `before`, rows of the same folder.
    pub fn same_count(&self, position: usize, before: &Self, range: Range<usize>) -> usize {
        range.zip(position..).take_while(|(old, new)| self.is_same(*new, before, *old)).count()
    }

    /// How many rows from a position on have the names of a range of `before`, but look otherwise.
    pub fn renewed_count(&self, position: usize, before: &Self, range: Range<usize>) -> usize {
        let is_renewed = |old, new| self.is_namesake(new, before, old) && !self.is_same(new, before, old);
        range.zip(position..).take_while(|(old, new)| is_renewed(*old, *new)).count()
    }

    /// How many rows from a position on come in the place of how many of a range of `before`, until the names in both go
    /// on alike. At most `most` each, should they not go on alike before; there may be fewer.
    pub fn difference(
        &self,
        position: usize,
        before: &Self,
        range: Range<usize>,
        most: usize,
    ) -> (usize, usize) {
        let ways = (1..=2 * most).flat_map(|rows| (0..=rows).map(move |come| (come, rows - come)));
        ways.filter(|(come, gone)| *come <= most && *gone <= most && range.contains(&(range.start + gone)))
            .find(|(come, gone)| self.is_namesake(position + come, before, range.start + gone))
            .unwrap_or((most, most))
    }

    fn is_same(&self, position: usize, before: &Self, before_position: usize) -> bool {
        let rows = self.item(position).zip(before.item(before_position));
        rows.is_some_and(|(row, before)| is_shown_alike(row, before))
    }

    fn is_namesake(&self, position: usize, before: &Self, before_position: usize) -> bool {
        let rows = self.item(position).zip(before.item(before_position));
        rows.is_some_and(|(row, before)| row.name == before.name)
    }

    fn arrange(&mut self, arrangement: Arrangement) {
        let items = &*self.items;
        let Arrangement { by, descending, without_deleted } = arrangement;
        let count = u32::try_from(items.len()).unwrap_or(u32::MAX);
        let item = |index: &u32| &items[*index as usize];
        let mut order: Vec<u32> =
            (0..count).filter(|index| !without_deleted || item(index).gone.is_none()).collect();
        let directed = |order: Ordering| if descending { order.reverse() } else { order };
        let files_last = |index: &u32| item(index).kind != EntryKind::Directory;
        // The name decides between equals, and stays ascending under the other columns.
        sort_by_name(items, &mut order, descending && by == SortBy::Name);
        match by {
            SortBy::Name => order.sort_by_key(files_last),
            SortBy::Size => order.sort_by(|one, two| {
                let sizes = item(one).size_bytes.cmp(&item(two).size_bytes);
                files_last(one).cmp(&files_last(two)).then(directed(sizes))
            }),
            SortBy::Modified => order.sort_by(|one, two| {
                let times = item(one).mtime.cmp(&item(two).mtime);
                files_last(one).cmp(&files_last(two)).then(directed(times))
            }),
            SortBy::Change => order.sort_by(|one, two| directed(rank(item(one)).cmp(&rank(item(two))))),
        }
        self.order = order;
    }
}

/// Whether two rows of a folder look the same: that there was no set before says as little as that nothing changed.
pub fn is_shown_alike(one: &Item, two: &Item) -> bool {
    let mark = |item: &Item| item.change.filter(|change| *change != Change::Unchanged);
    let Item { name, kind, mode, mtime, size_bytes, change: _, gone } = one;
    (name, kind, mode, mtime) == (&two.name, &two.kind, &two.mode, &two.mtime)
        && (size_bytes, gone) == (&two.size_bytes, &two.gone)
        && mark(one) == mark(two)
}

/// What changed comes before what is gone, and that before what stayed.
fn rank(item: &Item) -> u8 {
    match (item.change, item.gone) {
        (Some(Change::Added), _) => 0,
        (Some(Change::Modified), _) => 1,
        (Some(Change::Deleted), _) => 2,
        (_, Some(_)) => 3,
        _ => 4,
    }
}

fn sort_by_name(items: &[Item], order: &mut [u32], descending: bool) {
    let name = |index: &u32| String::from_utf8_lossy(&items[*index as usize].name).into_owned();
    if order.len() > COLLATED {
        order.sort_by_cached_key(|index| name(index).to_lowercase());
    } else {
        order.sort_by_cached_key(|index| glib::FilenameCollationKey::from(name(index)));
    }
    if descending {
        order.reverse();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::format::time::SetTime;

    fn contents(items: &[(&str, u64)]) -> Contents {
        let item = |(name, size): &(&str, u64)| Item {
            name: name.trim_end_matches('/').as_bytes().into(),
            kind: if name.ends_with('/') { EntryKind::Directory } else { EntryKind::File },
            mode: 0o644,
            mtime: 0,
            size_bytes: Some(*size),
            change: None,
            gone: name.contains("gone").then(SetTime::now),
        };
        Contents { set_time: SetTime::now(), items: items.iter().map(item).collect(), missing: Vec::new() }
    }

    fn names(rows: &FolderRows) -> Vec<String> {
        let name = |position| String::from_utf8_lossy(&rows.item(position).unwrap().name).into_owned();
        (0..rows.len()).map(name).collect()
    }

    #[test]
    fn sorts_and_leaves_out() {
        let found = contents(&[("b10", 1), ("b9", 3), ("c/", 0), ("A", 2), ("d/", 0), ("gone", 9)]);
        let by = |by, descending| Arrangement { by, descending, without_deleted: true };
        let rows = FolderRows::new(EntryPath::root(), found, by(SortBy::Name, false));
        assert_eq!(names(&rows), ["c", "d", "A", "b9", "b10"]);
        assert_eq!(names(&rows.arranged(by(SortBy::Name, true))), ["d", "c", "b10", "b9", "A"]);
        assert_eq!(names(&rows.arranged(by(SortBy::Size, false))), ["c", "d", "b10", "A", "b9"]);
        assert_eq!(names(&rows.arranged(by(SortBy::Size, true))), ["c", "d", "b9", "A", "b10"]);
        let all = rows.arranged(Arrangement::default());
        assert_eq!(names(&all), ["c", "d", "A", "b9", "b10", "gone"]);
        assert_eq!((all.len(), all.present_count(), all.position(b"b9")), (6, 5, Some(3)));
        let changed = all.arranged(Arrangement { by: SortBy::Change, ..Arrangement::default() });
        assert_eq!(names(&changed)[0], "gone");
    }

    #[test]
    fn finds_where_rows_go_on_as_before() {
        let rows = |items: &[(&str, u64)], change| {
            let mut contents = contents(items);
            contents.items.iter_mut().for_each(|item| item.change = change);
            FolderRows::new(EntryPath::root(), contents, Arrangement::default())
        };
        let before = rows(&[("a", 1), ("b", 1), ("d", 1), ("e", 1), ("f", 1)], None);
        let now = rows(&[("a", 1), ("c", 1), ("d", 1), ("e", 2), ("f", 1)], Some(Change::Unchanged));
        assert_eq!(now.same_count(0, &before, 0..5), 1);
        assert_eq!(now.difference(1, &before, 1..5, 3), (1, 1));
        assert_eq!(now.same_count(2, &before, 2..5), 1);
        assert_eq!((now.renewed_count(2, &before, 2..5), now.renewed_count(3, &before, 3..5)), (0, 1));
        assert_eq!(now.difference(1, &before, 0..1, 3), (3, 3));
        let marked = rows(&[("a", 1)], Some(Change::Added));
        assert_eq!((marked.same_count(0, &before, 0..5), before.same_count(0, &marked, 0..1)), (0, 0));
    }

    #[test]
    fn very_many_rows_are_arranged_soon() {
        let names: Vec<String> = (0..100_000).map(|number| format!("file-{number:06}")).collect();
        let items: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
        let start = std::time::Instant::now();
        let rows = FolderRows::new(EntryPath::root(), contents(&items), Arrangement::default());
        assert_eq!(rows.len(), 100_000);
        assert!(start.elapsed().as_secs_f32() < 2.0, "{:?}", start.elapsed());
    }
}
