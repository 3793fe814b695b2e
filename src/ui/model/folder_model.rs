//! The contents of one folder of a snapshot and which of it is selected. Rows are made into objects only as
//! they are needed, and a selection is a set of positions, so that a folder with a hundred thousand entries
//! is shown, and selected, at once. `GtkMultiSelection` would make an object of each row that is selected,
//! and look for it among all new ones.
//!
//! A list view makes the widgets of two hundred rows at once, which takes longer than a frame. So it is told of the
//! first rows, and of the others while nothing else is to be done.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use gtk::prelude::*;
use gtk::subclass::prelude::*;

use super::{FileNode, FolderRows};

/// How many more rows a list view is told of at a time: more than a window shows.
const STEP: usize = 48;

/// Of how many rows a list view has widgets at most (`GTK_LIST_VIEW_MAX_LIST_ITEMS`). Those beyond cost nothing.
const MOST_WIDGETS: usize = 200;

mod imp {
    use super::*;

    pub struct FolderModel {
        pub rows: RefCell<Option<Arc<FolderRows>>>,
        /// How many of them the view was told of.
        pub told: Cell<usize>,
        /// What is to be done once that is all of them.
        pub then: RefCell<Option<Box<dyn FnOnce()>>>,
        pub selected: RefCell<gtk::Bitset>,
    }

    impl Default for FolderModel {
        fn default() -> Self {
            Self {
                rows: RefCell::default(),
                told: Cell::default(),
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
            count(self.told.get())
        }

        fn item(&self, position: u32) -> Option<glib::Object> {
            let rows = self.rows.borrow();
            Some(FileNode::new(rows.as_ref()?, position as usize)?.upcast())
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
        let removed = imp.told.get();
        imp.selected.replace(gtk::Bitset::new_empty());
        imp.then.take();
        // The widgets of the rows before are used again, which takes less time than to make them. A list view looks for
        // the old rows among those that come in their place, so these must not be very many.
        let told = rows.len().min(removed.clamp(STEP, MOST_WIDGETS));
        let old = imp.rows.replace(Some(rows));
        imp.told.set(told);
        self.items_changed(0, count(removed), count(told));
        self.tell_rest();
        // To take very many apart takes time.
        drop(old.map(|old| gio::spawn_blocking(move || drop(old))));
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
            let told = model.imp().told.get();
            if !model.rows().is_some_and(|now| Arc::ptr_eq(&now, &rows)) || told == rows.len() {
                return glib::ControlFlow::Break;
            }
            model.tell(if told < MOST_WIDGETS { rows.len().min(told + STEP) } else { rows.len() });
            glib::ControlFlow::Continue
        });
    }

    /// Tells the view of all rows at once.
    pub fn tell_all(&self) {
        if let Some(rows) = self.rows() {
            self.tell(rows.len());
        }
    }

    fn tell(&self, told: usize) {
        let before = self.imp().told.replace(told);
        if told > before {
            self.items_changed(count(before), 0, count(told - before));
        }
        self.call_if_told();
    }

    fn call_if_told(&self) {
        let imp = self.imp();
        if self.rows().is_some_and(|rows| rows.len() == imp.told.get())
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

fn count(rows: usize) -> u32 {
    u32::try_from(rows).unwrap_or(u32::MAX)
}
