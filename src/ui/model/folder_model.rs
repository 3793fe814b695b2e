//! The contents of one folder of a snapshot and which of it is selected. Rows are made into objects only as
//! they are needed, and a selection is a set of positions, so that a folder with a hundred thousand entries
//! is shown, and selected, at once. `GtkMultiSelection` would make an object of each row that is selected,
//! and look for it among all new ones.
//!
//! A list view has the widgets of two hundred rows, and to make them or give them other rows at once takes longer than a
//! frame. So other rows come in steps, the first of them at once and the next frame by frame; behind
//! them are the rows from before meanwhile. Of rows that are as before, as most are in another snapshot of a folder, a
//! view is told nothing; of rows that only look otherwise, their objects tell it.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gtk::prelude::*;
use gtk::subclass::prelude::*;

use super::exchange::{Edit, Exchange};
use super::nodes::Nodes;
use super::{FileNode, FolderRows};

/// How many more rows a list view is told of at a time: about as many as a window shows. In fewer pieces if that takes
/// long; a frame for them takes about as long again.
const STEP: usize = 24;
const PIECE: usize = 6;
const STEP_TIME: Duration = Duration::from_millis(8);

/// How long to wait after such a step, so that a frame lays out the rows of one.
pub const FRAME: Duration = Duration::from_millis(20);

/// How many rows are compared with those from before at a time.
const COMPARED: usize = 10_000;

/// Of how many rows a list view has widgets at most (`GTK_LIST_VIEW_MAX_LIST_ITEMS`). Those beyond cost nothing.
pub const MOST_WIDGETS: u32 = 200;

mod imp {
    use super::*;

    pub struct FolderModel {
        pub exchange: RefCell<Exchange>,
        pub nodes: RefCell<Nodes>,
        /// What is to be done once all rows have come.
        pub then: RefCell<Option<Box<dyn FnOnce()>>>,
        pub selected: RefCell<gtk::Bitset>,
    }

    impl Default for FolderModel {
        fn default() -> Self {
            Self {
                exchange: RefCell::default(),
                nodes: RefCell::default(),
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
            count(self.exchange.borrow().len())
        }

        fn item(&self, position: u32) -> Option<glib::Object> {
            let exchange = self.exchange.borrow();
            let is_new = exchange.is_new(position as usize);
            let (rows, position) = exchange.at(position as usize)?;
            Some(self.nodes.borrow_mut().give(rows, position, is_new)?.upcast())
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
        self.imp().exchange.borrow().rows().cloned()
    }

    /// Shows other rows, of which none is selected.
    pub fn set_rows(&self, rows: Arc<FolderRows>) {
        self.imp().then.take();
        self.unselect_all();
        if !self.is_told() {
            self.edit(Exchange::break_off);
        }
        take_apart(self.imp().exchange.borrow_mut().begin(rows));
        self.tell_more();
        self.tell_rest();
    }

    /// Calls `then` once the view was told of all rows; never, if others come first.
    pub fn when_told(&self, then: impl FnOnce() + 'static) {
        self.imp().then.replace(Some(Box::new(then)));
        self.end_if_told();
    }

    /// Tells the view of the other rows, as long as they are those of now.
    fn tell_rest(&self) {
        let Some(rows) = self.rows() else { return };
        let model = self.downgrade();
        glib::spawn_future_local(async move {
            let mut pause = FRAME;
            loop {
                glib::timeout_future_with_priority(glib::Priority::DEFAULT_IDLE, pause).await;
                let Some(model) = model.upgrade() else { return };
                if !model.rows().is_some_and(|now| Arc::ptr_eq(&now, &rows)) || model.is_told() {
                    return;
                }
                pause = if model.tell_more() { FRAME } else { Duration::ZERO };
            }
        });
    }

    /// Tells the view of all rows at once.
    fn tell_all(&self) {
        if !self.is_told() {
            self.edit(Exchange::replace_all);
            self.end_if_told();
        }
    }

    /// Whether the view was told of all rows.
    pub fn is_told(&self) -> bool {
        self.imp().exchange.borrow().is_over()
    }

    /// Tells the view of some more rows. Whether there was something to tell.
    fn tell_more(&self) -> bool {
        let exchange = &self.imp().exchange;
        if exchange.borrow().replaced_count() >= MOST_WIDGETS as usize {
            self.tell_all();
            return true;
        }
        let (mut told, mut compared) = (0, 0);
        let begun = Instant::now();
        while told < STEP && compared < COMPARED && begun.elapsed() < STEP_TIME && !self.is_told() {
            let same = exchange.borrow_mut().pass_over(COMPARED - compared);
            let renewed = exchange.borrow_mut().renew(PIECE);
            compared += same + renewed.len();
            if same == 0 && renewed.is_empty() {
                let edit = self.edit(|exchange| exchange.replace(PIECE));
                told += edit.come.max(edit.gone);
            } else {
                told += self.renew(renewed);
            }
        }
        self.end_if_told();
        told > 0
    }

    /// Lets the objects of some rows show what those hold now. Gives how many there were.
    fn renew(&self, positions: Range<usize>) -> usize {
        let Some(rows) = self.rows() else { return 0 };
        let known = |path| self.imp().nodes.borrow().known(&path);
        let nodes = positions.filter_map(|at| rows.path(at).and_then(known).zip(rows.item(at)));
        nodes.map(|(node, item)| node.renew(item.clone())).count()
    }

    /// Changes what is shown, and tells the view.
    fn edit(&self, change: impl FnOnce(&mut Exchange) -> Edit) -> Edit {
        let edit = change(&mut self.imp().exchange.borrow_mut());
        let (position, gone, come) = (count(edit.position), count(edit.gone), count(edit.come));
        // A row that is selected meanwhile stays so where it moves to.
        self.imp().selected.borrow().splice(position, gone, come);
        self.items_changed(position, gone, come);
        edit
    }

    fn end_if_told(&self) {
        let imp = self.imp();
        if !self.is_told() {
            return;
        }
        take_apart(imp.exchange.borrow_mut().end());
        if let Some(then) = imp.then.take() {
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
