//! How long the main loop was kept from its work, for those who measure the window:
//! `SOUVENIR_LOG=souvenir::ui::tick=debug` says each time it was noticeable.

use std::cell::Cell;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

/// How often is looked.
const INTERVAL: Duration = Duration::from_millis(5);

/// Less than that is nobody's loss.
const NOTICEABLE: Duration = Duration::from_millis(10);

/// Begins to watch, if that is wanted.
pub fn watch() {
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    let last = Cell::new((Instant::now(), work()));
    glib::timeout_add_local_full(INTERVAL, glib::Priority::HIGH, move || {
        let now = (Instant::now(), work());
        let before = last.replace(now);
        let late = (now.0 - before.0).saturating_sub(INTERVAL);
        if late > NOTICEABLE {
            let worked = now.1.saturating_sub(before.1);
            tracing::debug!(
                "the main loop was blocked for {} ms, {} ms of them at work",
                late.as_millis(),
                worked.as_millis()
            );
        }
        glib::ControlFlow::Continue
    });
}

/// How long this thread has had a processor so far. Where others wanted it too, that is less than has passed.
fn work() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}
