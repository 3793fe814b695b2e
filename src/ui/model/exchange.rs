//! Rows of a folder that take the place of others bit by bit. At the front are the new ones as far as they have
//! come, behind them what is left of the old ones. Where both are alike nothing changes.

use std::ops::Range;
use std::sync::Arc;

use super::FolderRows;

/// Rows in the middle of an exchange, or after it.
#[derive(Debug, Default)]
pub struct Exchange {
    rows: Option<Arc<FolderRows>>,
    /// How many of them have come.
    come: usize,
    old: Option<Arc<FolderRows>>,
    /// How many of the old ones have gone, and how many there were.
    gone: usize,
    old_len: usize,
    /// How many new rows are others than before.
    replaced: usize,
}

/// Some rows in the place of others, as `items-changed` tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edit {
    /// The first of them.
    pub position: usize,
    /// How many went.
    pub gone: usize,
    /// How many came in their place.
    pub come: usize,
}

impl Exchange {
    /// The rows that come, or came last.
    pub fn rows(&self) -> Option<&Arc<FolderRows>> {
        self.rows.as_ref()
    }

    /// How many rows there are now.
    pub fn len(&self) -> usize {
        self.come + self.old_left()
    }

    /// Which rows hold what stands at a position now, and where.
    pub fn at(&self, position: usize) -> Option<(&FolderRows, usize)> {
        if self.is_new(position) {
            Some((self.rows.as_ref()?, position))
        } else if position < self.len() {
            Some((self.old.as_ref()?, position - self.come + self.gone))
        } else {
            None
        }
    }

    /// Whether one of the rows that come stands at a position already.
    pub fn is_new(&self, position: usize) -> bool {
        position < self.come
    }

    /// Whether all have come, and all old ones have gone.
    pub fn is_over(&self) -> bool {
        self.old_left() == 0 && self.rows.as_ref().is_none_or(|rows| rows.len() == self.come)
    }

    /// How many rows came so far that were not there before.
    pub fn replaced_count(&self) -> usize {
        self.replaced
    }

    /// Takes leave of the old rows that an exchange has not come to.
    pub fn break_off(&mut self) -> Edit {
        let edit = Edit { position: self.come, gone: self.old_left(), come: 0 };
        self.old_len = self.gone;
        edit
    }

    /// Begins to bring other rows, after an exchange that is over or was broken off. Gives rows that are not needed
    /// any more.
    pub fn begin(&mut self, rows: Arc<FolderRows>) -> Option<Arc<FolderRows>> {
        let unneeded = std::mem::replace(&mut self.old, self.rows.replace(rows));
        (self.old_len, self.gone, self.come, self.replaced) = (self.come, 0, 0, 0);
        unneeded
    }

    /// Ends an exchange that is over. Gives rows that are not needed any more.
    pub fn end(&mut self) -> Option<Arc<FolderRows>> {
        self.old.take()
    }

    /// Goes over rows that are as before. Gives how many, of at most `most`.
    pub fn pass_over(&mut self, most: usize) -> usize {
        let (Some(rows), Some(old)) = (&self.rows, self.of_same_folder()) else { return 0 };
        let same = rows.same_count(self.come, old, self.gone..self.old_len.min(self.gone + most));
        self.come += same;
        self.gone += same;
        same
    }

    /// Goes over rows that have the names of those from before, but look otherwise. Gives where they stand: at most
    /// `most`.
    pub fn renew(&mut self, most: usize) -> Range<usize> {
        let first = self.come;
        if let (Some(rows), Some(old)) = (&self.rows, self.of_same_folder()) {
            let renewed = rows.renewed_count(first, old, self.gone..self.old_len.min(self.gone + most));
            self.come += renewed;
            self.gone += renewed;
        }
        first..self.come
    }

    /// Brings the next rows in the place of old ones: at most `most`, until the names are as before again.
    pub fn replace(&mut self, most: usize) -> Edit {
        let Some(rows) = &self.rows else { return Edit { position: 0, gone: 0, come: 0 } };
        let (come, gone) = match self.of_same_folder() {
            Some(old) => rows.difference(self.come, old, self.gone..self.old_len, most),
            None => (most, most),
        };
        let rest = rows.len() - self.come;
        // Nothing old is seen behind the last of them.
        if come < rest {
            self.edit(come, gone.min(self.old_left()))
        } else {
            self.edit(rest, self.old_left())
        }
    }

    /// Brings all the rows that are left.
    pub fn replace_all(&mut self) -> Edit {
        let rest = self.rows.as_ref().map_or(0, |rows| rows.len() - self.come);
        self.edit(rest, self.old_left())
    }

    fn edit(&mut self, come: usize, gone: usize) -> Edit {
        let edit = Edit { position: self.come, gone, come };
        self.come += come;
        self.gone += gone;
        self.replaced += come;
        edit
    }

    fn old_left(&self) -> usize {
        self.old_len - self.gone
    }

    fn of_same_folder(&self) -> Option<&FolderRows> {
        let (rows, old) = (self.rows.as_ref()?, self.old.as_deref()?);
        (rows.folder() == old.folder()).then_some(old)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::catalog::{Contents, Item};
    use crate::engine::format::entry::EntryKind;
    use crate::engine::format::time::SetTime;
    use crate::engine::path::EntryPath;
    use crate::ui::model::Arrangement;

    fn rows(folder: &str, items: &[(u32, u64)]) -> Arc<FolderRows> {
        let item = |(number, size): &(u32, u64)| Item {
            name: format!("{number:08}").into_bytes().into(),
            kind: EntryKind::File,
            mode: 0o644,
            mtime: 0,
            size_bytes: Some(*size),
            change: None,
            gone: None,
        };
        let items = items.iter().map(item).collect();
        let contents = Contents { set_time: SetTime::now(), items, missing: Vec::new() };
        let folder = EntryPath::from_bytes(folder.as_bytes()).unwrap();
        Arc::new(FolderRows::new(folder, contents, Arrangement::default()))
    }

    /// What a view shows that is told of every edit, and reads only what came.
    #[derive(Default)]
    struct View(Vec<Item>);

    impl View {
        fn take(&mut self, exchange: &Exchange, edit: Edit) {
            let shown =
                |position| exchange.at(position).and_then(|(rows, at)| rows.item(at)).cloned().unwrap();
            let come = (edit.position..edit.position + edit.come).map(shown);
            self.0.splice(edit.position..edit.position + edit.gone, come);
            assert_eq!(self.0.len(), exchange.len());
            assert!((0..exchange.len()).all(|position| shown(position) == self.0[position]));
        }

        /// Gives how many rows the view was told of.
        fn show(&mut self, exchange: &mut Exchange, rows: &Arc<FolderRows>, steps: usize) -> usize {
            let edit = exchange.break_off();
            self.take(exchange, edit);
            exchange.begin(rows.clone());
            for _ in 0..steps {
                if exchange.is_over() {
                    break;
                }
                if exchange.pass_over(5) > 0 {
                    continue;
                }
                let renewed = exchange.renew(3);
                if renewed.is_empty() {
                    let edit = exchange.replace(4);
                    self.take(exchange, edit);
                } else {
                    // The rows stay; what they show is read anew.
                    self.take(
                        exchange,
                        Edit { position: renewed.start, gone: renewed.len(), come: renewed.len() },
                    );
                }
            }
            exchange.replaced_count()
        }

        fn shows(&self, rows: &FolderRows) -> bool {
            self.0.len() == rows.len() && (0..rows.len()).all(|at| rows.item(at) == self.0.get(at))
        }
    }

    #[test]
    fn only_what_differs_is_told() {
        let (mut exchange, mut view) = (Exchange::default(), View::default());
        let before: Vec<(u32, u64)> = (0..100).map(|number| (number, 1)).collect();
        assert_eq!(view.show(&mut exchange, &rows("a", &before), usize::MAX), 100);
        let mut after = before.clone();
        after[10].1 = 2;
        after[90].1 = 2;
        after.splice(40..43, []);
        after.splice(60..60, [(1000, 1)]);
        after.push((2000, 1));
        after.sort_unstable();
        let after = rows("a", &after);
        assert!(view.show(&mut exchange, &after, usize::MAX) <= 4);
        assert!(view.shows(&after) && exchange.is_over());
        // The same names elsewhere are others.
        let elsewhere = rows("b", &before);
        assert_eq!(view.show(&mut exchange, &elsewhere, usize::MAX), 100);
        assert!(view.shows(&elsewhere));
        view.show(&mut exchange, &rows("b", &[]), usize::MAX);
        assert!(view.0.is_empty() && exchange.is_over());
    }

    #[test]
    fn whatever_comes_is_what_is_shown_in_the_end() {
        let mut seed = 7_u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        let (mut exchange, mut view) = (Exchange::default(), View::default());
        for _ in 0..500 {
            let count = random(40);
            let mut items: Vec<(u32, u64)> = (0..count).map(|_| (random(60) as u32, random(2))).collect();
            items.sort_unstable();
            items.dedup_by_key(|item| item.0);
            let next = rows(if random(4) == 0 { "other" } else { "same" }, &items);
            // Some are broken off in the middle.
            let steps = if random(2) == 0 { random(6) as usize } else { usize::MAX };
            view.show(&mut exchange, &next, steps);
            if steps == usize::MAX {
                assert!(view.shows(&next) && exchange.is_over());
            } else if random(2) == 0 {
                let edit = exchange.replace_all();
                view.take(&exchange, edit);
                assert!(view.shows(&next) && exchange.is_over());
            }
        }
    }
}
