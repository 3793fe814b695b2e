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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn one_look_at_a_time_and_another_after_it() {
        let looks = Looks::default();
        let first = looks.begin().unwrap();
        assert!(looks.begin().is_none());
        looks.saw(first);
        assert!(looks.end(), "somebody wanted another one");
        looks.begin().unwrap();
        assert!(!looks.end());
    }

    #[test]
    fn what_was_seen_before_a_change_is_not_current() {
        let looks = Looks::default();
        let look = looks.begin().unwrap();
        looks.note_change();
        looks.saw(look);
        assert!(!looks.is_current());
        looks.end();
        looks.saw(looks.begin().unwrap());
        assert!(looks.is_current());
    }
}
