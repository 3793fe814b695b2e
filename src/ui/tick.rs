//! How long the main loop was kept from its work, for those who measure the window:
//! `SOUVENIR_LOG=souvenir::ui::tick=debug` says each time it was noticeable.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// How often is looked.
const INTERVAL: Duration = Duration::from_millis(5);

/// Less than that is nobody's loss.
const NOTICEABLE: Duration = Duration::from_millis(10);

/// Begins to watch, if that is wanted.
pub fn watch() {
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    let last = Cell::new(Instant::now());
    glib::timeout_add_local_full(INTERVAL, glib::Priority::HIGH, move || {
        let late = last.replace(Instant::now()).elapsed().saturating_sub(INTERVAL);
        if late > NOTICEABLE {
            tracing::debug!("the main loop was blocked for {} ms", late.as_millis());
        }
        glib::ControlFlow::Continue
    });
}
