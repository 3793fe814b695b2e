//! The way down to a running job: pause, resume, stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::engine::error::{Error, Result};

/// Why a job was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelReason {
    /// A person asked for it.
    User,
    /// The network became a metered one.
    Metered,
    /// The machine went on battery.
    Battery,
    /// The machine began to save power.
    PowerSaver,
    /// A game began.
    Game,
    /// The session or the machine ends.
    Shutdown,
}

/// The way down to a running job. Clones steer the same job.
#[derive(Debug, Clone, Default)]
pub struct Control(Arc<ControlState>);

#[derive(Debug, Default)]
struct ControlState {
    /// Set when there is anything to look at, so that the common check costs one load.
    attention: AtomicBool,
    wishes: Mutex<Wishes>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Wishes {
    cancel: Option<CancelReason>,
    paused: bool,
}

impl Control {
    /// A control that has asked for nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether both steer the same job.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Asks the job to stop. The first reason stays.
    pub fn cancel(&self, reason: CancelReason) {
        self.change(|wishes| {
            wishes.cancel.get_or_insert(reason);
        });
    }

    /// Asks the job to hold at the next buffer.
    pub fn pause(&self) {
        self.change(|wishes| wishes.paused = true);
    }

    /// Lets a paused job go on.
    pub fn resume(&self) {
        self.change(|wishes| wishes.paused = false);
    }

    /// Whether the job is asked to hold.
    pub fn is_paused(&self) -> bool {
        self.wishes().paused
    }

    /// Returns at once when the job may go on, waits while it is paused, and fails with
    /// [`Error::Cancelled`] when it is to stop.
    pub fn check(&self) -> Result<()> {
        if !self.0.attention.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut wishes = self.wishes();
        loop {
            if let Some(reason) = wishes.cancel {
                return Err(Error::Cancelled(reason));
            }
            if !wishes.paused {
                return Ok(());
            }
            wishes = self.0.changed.wait(wishes).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Why the job is to stop, if it is. Never waits.
    pub fn cancelled(&self) -> Option<CancelReason> {
        if !self.0.attention.load(Ordering::Acquire) {
            return None;
        }
        self.wishes().cancel
    }

    fn change(&self, set: impl FnOnce(&mut Wishes)) {
        let mut wishes = self.wishes();
        set(&mut wishes);
        self.0.attention.store(wishes.paused || wishes.cancel.is_some(), Ordering::Release);
        drop(wishes);
        self.0.changed.notify_all();
    }

    fn wishes(&self) -> MutexGuard<'_, Wishes> {
        self.0.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
