//! One look at a destination at a time, and whether what it saw is still so.

use std::cell::Cell;

/// A look that has begun.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// How many changes there had been.
    change_count: u64,
}

/// The looks at a destination.
#[derive(Debug, Default)]
pub struct Looks {
    under_way: Cell<bool>,
    /// Whether somebody wanted another one meanwhile.
    again: Cell<bool>,
    change_count: Cell<u64>,
    /// How many changes there had been when the last one began that saw something.
    seen_count: Cell<u64>,
}

impl Looks {
    /// Begins a look. None if one is under way: then there is to be another one after it.
    pub fn begin(&self) -> Option<Look> {
        if self.under_way.replace(true) {
            self.again.set(true);
            return None;
        }
        Some(Look { change_count: self.change_count.get() })
    }

    /// Notes that a look has seen what there is.
    pub fn saw(&self, look: Look) {
        self.seen_count.set(look.change_count);
    }

    /// Ends a look, also one whose place is another by now. Whether there is to be another one.
    pub fn end(&self) -> bool {
        self.under_way.set(false);
        self.again.take()
    }

    /// Notes that what is there may have changed.
    pub fn note_change(&self) {
        self.change_count.set(self.change_count.get() + 1);
    }

    /// Whether nothing has changed since the last look that saw something.
    pub fn is_current(&self) -> bool {
        self.seen_count.get() == self.change_count.get()
    }
}
