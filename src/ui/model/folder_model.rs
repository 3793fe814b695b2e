//! The contents of one folder of a snapshot: sorted, filtered, and made into objects only as rows
//! need them, so that a folder with a hundred thousand entries opens at once.

use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::sync::Arc;

use gio::prelude::*;
use gio::subclass::prelude::*;

use super::{EntryTree, FileNode};

/// Above this, names are compared without the rules of the language, which cost too much.
const COLLATED: usize = 5_000;

/// What rows are sorted by. Folders always stand first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SortBy {
    /// The name, numbers in it by value.
    #[default]
    Name,
    /// The size; for folders, of all that is in them.
    Size,
    /// The time of the last change.
    Modified,
}

mod imp {
    use super::*;

    #[derive(Default)]
    pub struct FolderModel {
        pub tree: RefCell<Option<Arc<EntryTree>>>,
        pub folder: Cell<usize>,
        pub filter: RefCell<String>,
        pub sort: Cell<SortBy>,
        pub descending: Cell<bool>,
        pub rows: RefCell<Vec<usize>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for FolderModel {
        const NAME: &'static str = "SouvenirFolderModel";
        type Type = super::FolderModel;
        type Interfaces = (gio::ListModel,);
    }

    impl ObjectImpl for FolderModel {}

    impl ListModelImpl for FolderModel {
        fn item_type(&self) -> glib::Type {
            FileNode::static_type()
        }

        fn n_items(&self) -> u32 {
            u32::try_from(self.rows.borrow().len()).unwrap_or(u32::MAX)
        }

        fn item(&self, position: u32) -> Option<glib::Object> {
            let index = *self.rows.borrow().get(position as usize)?;
            let tree = self.tree.borrow();
            Some(FileNode::new(tree.as_ref()?, index).upcast())
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct FolderModel(ObjectSubclass<imp::FolderModel>) @implements gio::ListModel;
}

impl Default for FolderModel {
    fn default() -> Self {
        glib::Object::new()
    }
}

impl FolderModel {
    /// Shows a folder of a tree.
    pub fn show(&self, tree: &Arc<EntryTree>, folder: usize) {
        self.imp().tree.replace(Some(tree.clone()));
        self.imp().folder.set(folder);
        self.refill();
    }

    /// Shows only entries with this in their name.
    pub fn set_filter(&self, text: &str) {
        let text = text.trim().to_lowercase();
        if *self.imp().filter.borrow() != text {
            self.imp().filter.replace(text);
            self.refill();
        }
    }

    /// Sorts.
    pub fn set_sort(&self, by: SortBy, descending: bool) {
        self.imp().sort.set(by);
        self.imp().descending.set(descending);
        self.refill();
    }

    /// Whether the filter hides everything.
    pub fn is_filtered(&self) -> bool {
        !self.imp().filter.borrow().is_empty()
    }

    /// The index in the tree of the row at a position.
    pub fn index_at(&self, position: u32) -> Option<usize> {
        self.imp().rows.borrow().get(position as usize).copied()
    }

    fn refill(&self) {
        let imp = self.imp();
        let Some(tree) = imp.tree.borrow().clone() else { return };
        let filter = imp.filter.borrow().clone();
        let mut rows: Vec<usize> =
            tree.children(imp.folder.get()).filter(|index| matches(&tree, *index, &filter)).collect();
        sort(&tree, &mut rows, imp.sort.get(), imp.descending.get());
        let added = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        let removed = u32::try_from(imp.rows.replace(rows).len()).unwrap_or(u32::MAX);
        self.items_changed(0, removed, added);
    }
}

fn matches(tree: &EntryTree, index: usize, filter: &str) -> bool {
    filter.is_empty()
        || String::from_utf8_lossy(tree.entry(index).path.file_name()).to_lowercase().contains(filter)
}

fn sort(tree: &EntryTree, rows: &mut [usize], by: SortBy, descending: bool) {
    let directed = |order: Ordering| if descending { order.reverse() } else { order };
    let files_last = |index: &usize| !tree.is_folder(*index);
    // The name decides between equals, and stays ascending under the other columns.
    sort_by_name(tree, rows, descending && by == SortBy::Name);
    match by {
        SortBy::Name => rows.sort_by_key(files_last),
        SortBy::Size => rows.sort_by(|one, two| {
            let sizes = tree.size_bytes(*one).cmp(&tree.size_bytes(*two));
            files_last(one).cmp(&files_last(two)).then(directed(sizes))
        }),
        SortBy::Modified => rows.sort_by(|one, two| {
            let times = tree.entry(*one).mtime.cmp(&tree.entry(*two).mtime);
            files_last(one).cmp(&files_last(two)).then(directed(times))
        }),
    }
}

fn sort_by_name(tree: &EntryTree, rows: &mut [usize], descending: bool) {
    let name = |index: &usize| String::from_utf8_lossy(tree.entry(*index).path.file_name()).into_owned();
    if rows.len() > COLLATED {
        rows.sort_by_cached_key(|index| name(index).to_lowercase());
    } else {
        rows.sort_by_cached_key(|index| glib::FilenameCollationKey::from(name(index)));
    }
    if descending {
        rows.reverse();
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry_tree::tests::tree;
    use super::*;

    fn names(model: &FolderModel) -> Vec<String> {
        (0..model.n_items())
            .map(|position| model.item(position).unwrap().downcast::<FileNode>().unwrap().name())
            .collect()
    }

    #[test]
    fn sorts_and_filters() {
        let tree =
            Arc::new(tree(&[("", 0), ("b10", 1), ("b9", 3), ("c/", 0), ("c/x", 9), ("A", 2), ("d/", 0)]));
        let model = FolderModel::default();
        model.show(&tree, EntryTree::ROOT);
        assert_eq!(names(&model), ["c", "d", "A", "b9", "b10"]);
        model.set_sort(SortBy::Name, true);
        assert_eq!(names(&model), ["d", "c", "b10", "b9", "A"]);
        model.set_sort(SortBy::Size, false);
        assert_eq!(names(&model), ["d", "c", "b10", "A", "b9"]);
        model.set_sort(SortBy::Size, true);
        assert_eq!(names(&model), ["c", "d", "b9", "A", "b10"]);
        model.set_filter(" B");
        assert_eq!(names(&model), ["b9", "b10"]);
        model.set_filter("");
        assert_eq!(model.n_items(), 5);
    }

    #[test]
    fn a_folder_with_very_many_entries_opens_at_once() {
        let names: Vec<String> = (0..100_000).map(|number| format!("file-{number:06}")).collect();
        let entries: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
        let tree = Arc::new(tree(&entries));
        let model = FolderModel::default();
        let start = std::time::Instant::now();
        model.show(&tree, EntryTree::ROOT);
        assert_eq!(model.n_items(), 100_000);
        assert!(start.elapsed().as_secs_f32() < 2.0, "{:?}", start.elapsed());
    }
}
