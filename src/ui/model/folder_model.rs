//! The contents of one folder of a snapshot and which of it is selected. Rows are made into objects only as
//! they are needed, and a selection is a set of positions, so that a folder with a hundred thousand entries
//! is shown, and selected, at once. `GtkMultiSelection` would make an object of each row that is selected,
//! and look for it among all new ones.

use std::cell::RefCell;
use std::sync::Arc;

use gtk::prelude::*;
use gtk::subclass::prelude::*;

use super::{FileNode, FolderRows};

mod imp {
    use super::*;

    pub struct FolderModel {
        pub rows: RefCell<Option<Arc<FolderRows>>>,
        pub selected: RefCell<gtk::Bitset>,
    }

    impl Default for FolderModel {
        fn default() -> Self {
            Self { rows: RefCell::default(), selected: RefCell::new(gtk::Bitset::new_empty()) }
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
            let count = self.rows.borrow().as_ref().map_or(0, |rows| rows.len());
            u32::try_from(count).unwrap_or(u32::MAX)
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
    pub fn set_rows(&self, rows: Option<Arc<FolderRows>>) {
        let imp = self.imp();
        let removed = self.n_items();
        imp.selected.replace(gtk::Bitset::new_empty());
        // In two steps: where some rows come in the place of others, a list view looks for the old ones
        // among all new ones.
        let old = imp.rows.take();
        self.items_changed(0, removed, 0);
        imp.rows.replace(rows);
        self.items_changed(0, 0, self.n_items());
        // To take very many apart takes time.
        drop(old.map(|old| gio::spawn_blocking(move || drop(old))));
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
