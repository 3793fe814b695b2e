//! The contents of one folder of a snapshot and which of it is selected. Rows are made into objects only as
//! they are needed, and a selection is a set of positions, so that a folder with a hundred thousand entries
//! is shown, and selected, at once. `GtkMultiSelection` would make an object of each row that is selected,
//! and look for it among all new ones.
//!
//! A list view has the widgets of two hundred rows, and to make them or give them other rows at once takes longer than a
//! frame. So other rows come in steps, the first of them at once and the next while nothing else is to be done; behind
//! them are the rows from before meanwhile.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use gtk::prelude::*;
use gtk::subclass::prelude::*;

use super::{FileNode, FolderRows};

/// How many more rows a list view is told of at a time: about as many as a window shows.
const STEP: usize = 24;

/// Of how many rows a list view has widgets at most (`GTK_LIST_VIEW_MAX_LIST_ITEMS`). Those beyond cost nothing.
const MOST_WIDGETS: usize = 200;

mod imp {
    use super::*;

    pub struct FolderModel {
        pub rows: RefCell<Option<Arc<FolderRows>>>,
        /// How many of them the view was told of.
        pub told: Cell<usize>,
        /// The rows from before, of which the last are still behind those that the view was told of.
        pub old: RefCell<Option<Arc<FolderRows>>>,
        pub old_left: Cell<usize>,
        /// How many of them there were.
        pub old_len: Cell<usize>,
        /// What is to be done once that is all of them.
        pub then: RefCell<Option<Box<dyn FnOnce()>>>,
        pub selected: RefCell<gtk::Bitset>,
    }

    impl Default for FolderModel {
        fn default() -> Self {
            Self {
                rows: RefCell::default(),
                told: Cell::default(),
                old: RefCell::default(),
                old_left: Cell::default(),
                old_len: Cell::default(),
                then: RefCell::default(),
                selected: RefCell::new(gtk::Bitset::new_empty()),
            }
        }
    }

    #[glib::object_subclass]
    impl ObjectSubclass for FolderModel {
        const NAME: &'static str = "SouvenirFolderModel";
        type Type = super::FolderModel;
        type Interfaces = (gio::ListModel, gtk::SelectionModel);
    }

    impl ObjectImpl for FolderModel {}

    impl ListModelImpl for FolderModel {
        fn item_type(&self) -> glib::Type {
            FileNode::static_type()
        }

        fn n_items(&self) -> u32 {
            count(self.told.get() + self.old_left.get())
        }

        fn item(&self, position: u32) -> Option<glib::Object> {
            let (position, told) = (position as usize, self.told.get());
            let (rows, position) = if position < told {
                (&self.rows, position)
            } else {
                (&self.old, position - told + self.old_len.get() - self.old_left.get())
            };
            Some(FileNode::new(rows.borrow().as_ref()?, position)?.upcast())
        }
    }

    impl SelectionModelImpl for FolderModel {
        fn is_selected(&self, position: u32) -> bool {
            self.selected.borrow().contains(position)
        }

        fn selection_in_range(&self, _position: u32, _n_items: u32) -> gtk::Bitset {
            // All of it may be given, whatever the range.
            self.selected.borrow().copy()
        }

        fn set_selection(&self, selected: &gtk::Bitset, mask: &gtk::Bitset) -> bool {
            self.change(|bits| {
                bits.subtract(mask);
                let wanted = selected.copy();
                wanted.intersect(mask);
                bits.union(&wanted);
            })
        }

        fn select_all(&self) -> bool {
            self.obj().tell_all();
            self.select_range(0, self.n_items(), true)
        }

        fn select_item(&self, position: u32, unselect_rest: bool) -> bool {
            self.select_range(position, 1, unselect_rest)
        }

        fn select_range(&self, position: u32, n_items: u32, unselect_rest: bool) -> bool {
            self.change(|bits| {
                if unselect_rest {
                    bits.remove_all();
                }
                bits.add_range(position, n_items);
            })
        }

        fn unselect_all(&self) -> bool {
            self.change(gtk::Bitset::remove_all)
        }

        fn unselect_item(&self, position: u32) -> bool {
            self.unselect_range(position, 1)
        }

        fn unselect_range(&self, position: u32, n_items: u32) -> bool {
            self.change(|bits| bits.remove_range(position, n_items))
        }
    }

    impl FolderModel {
        fn change(&self, change: impl FnOnce(&gtk::Bitset)) -> bool {
            let bits = self.selected.borrow().copy();
            change(&bits);
            let changed = self.selected.replace(bits.copy());
            // What is only in one of them.
            changed.difference(&bits);
            if !changed.is_empty() {
                let first = changed.minimum();
                self.obj().selection_changed(first, changed.maximum() - first + 1);
            }
            true
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct FolderModel(ObjectSubclass<imp::FolderModel>) @implements gio::ListModel, gtk::SelectionModel;
}

impl Default for FolderModel {
    fn default() -> Self {
        glib::Object::new()
    }
}

impl FolderModel {
    /// The rows that are shown.
    pub fn rows(&self) -> Option<Arc<FolderRows>> {
        self.imp().rows.borrow().clone()
    }

    /// Shows other rows, of which none is selected.
    pub fn set_rows(&self, rows: Arc<FolderRows>) {
        let imp = self.imp();
        imp.selected.replace(gtk::Bitset::new_empty());
        imp.then.take();
        let (told, rest) = (imp.told.get(), imp.old_left.take());
        if rest > 0 {
            // They come in the place of others that had not all come.
            self.items_changed(count(told), count(rest), 0);
        }
        imp.told.set(0);
        imp.old_len.set(told);
        imp.old_left.set(told);
        take_apart(imp.old.replace(imp.rows.replace(Some(rows))));
        self.tell_more();
        self.tell_rest();
    }

    /// Calls `then` once the view was told of all rows; never, if others come first.
    pub fn when_told(&self, then: impl FnOnce() + 'static) {
        self.imp().then.replace(Some(Box::new(then)));
        self.call_if_told();
    }

    /// Tells the view of the other rows, as long as they are those of now.
    fn tell_rest(&self) {
        let Some(rows) = self.rows() else { return };
        let model = self.downgrade();
        glib::idle_add_local_full(glib::Priority::DEFAULT_IDLE, move || {
            let Some(model) = model.upgrade() else { return glib::ControlFlow::Break };
            if !model.rows().is_some_and(|now| Arc::ptr_eq(&now, &rows)) || model.is_told() {
                return glib::ControlFlow::Break;
            }
            model.tell_more();
            glib::ControlFlow::Continue
        });
    }

    /// Tells the view of all rows at once.
    fn tell_all(&self) {
        if let Some(rows) = self.rows().filter(|_| !self.is_told()) {
            self.tell(rows.len());
        }
    }

    /// Whether the view was told of all rows.
    pub fn is_told(&self) -> bool {
        let imp = self.imp();
        imp.old_left.get() == 0 && self.rows().is_none_or(|rows| rows.len() == imp.told.get())
    }

    /// Tells the view of some more rows.
    fn tell_more(&self) {
        if let Some(rows) = self.rows() {
            let told = self.imp().told.get();
            self.tell(if told < MOST_WIDGETS { rows.len().min(told + STEP) } else { rows.len() });
        }
    }

    /// Tells the view of the first rows, in the place of as many from before.
    fn tell(&self, told: usize) {
        let imp = self.imp();
        let Some(rows) = self.rows() else { return };
        let (before, left) = (imp.told.get(), imp.old_left.get());
        // Nothing old is seen behind the last of them.
        let gone = if told < rows.len() { left.min(told - before) } else { left };
        imp.told.set(told);
        imp.old_left.set(left - gone);
        self.items_changed(count(before), count(gone), count(told - before));
        if self.is_told() {
            take_apart(imp.old.take());
            self.call_if_told();
        }
    }

    fn call_if_told(&self) {
        let imp = self.imp();
        if self.is_told()
            && let Some(then) = imp.then.take()
        {
            then();
        }
    }

    /// The positions of what is selected.
    pub fn selected(&self) -> Vec<usize> {
        let bits = self.selection();
        match gtk::BitsetIter::init_first(&bits) {
            Some((rest, first)) => std::iter::once(first).chain(rest).map(|bit| bit as usize).collect(),
            None => Vec::new(),
        }
    }
}

/// Drops rows elsewhere: for very many that takes time.
fn take_apart(rows: Option<Arc<FolderRows>>) {
    drop(rows.map(|rows| gio::spawn_blocking(move || drop(rows))));
}

fn count(rows: usize) -> u32 {
    u32::try_from(rows).unwrap_or(u32::MAX)
}
