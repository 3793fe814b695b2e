//! How fast a job goes, and how long it will still take: in bytes, or in whatever else is counted.

use std::time::{Duration, Instant};

/// How far back the rate remembers.
const MEMORY_SECS: f64 = 8.0;

/// How long a job must have run before its end is guessed.
const WARM_UP: Duration = Duration::from_secs(3);

/// A rate that forgets slowly: what happened longest ago counts least.
#[derive(Debug, Default)]
pub struct Rate {
    /// When something was done first.
    started: Option<Instant>,
    last: Option<(Instant, u64)>,
    /// What was done, and in how many seconds, as far as it is remembered.
    done: f64,
    secs: f64,
}

impl Rate {
    /// Notes how much was done at a moment. Less than before is the beginning of another count.
    pub fn note(&mut self, now: Instant, done: u64) {
        if self.last.is_some_and(|(_, before)| done < before) {
            *self = Self::default();
        }
        let Some((then, before)) = self.last else {
            self.last = Some((now, done));
            return;
        };
        let elapsed = now.saturating_duration_since(then).as_secs_f64();
        if elapsed < 0.2 {
            return;
        }
        self.last = Some((now, done));
        let added = done - before;
        // What was before the first work was no work.
        if added == 0 && self.started.is_none() {
            return;
        }
        self.started.get_or_insert(then);
        let kept = (-elapsed / MEMORY_SECS).exp();
        self.done = self.done * kept + added as f64;
        self.secs = self.secs * kept + elapsed;
    }

    /// Forgets the last moment, so that a pause does not count.
    pub fn interrupt(&mut self) {
        self.last = None;
    }

    /// How much is done in a second, once known.
    pub fn per_sec(&self) -> Option<u64> {
        self.started.map(|_| (self.done / self.secs).round() as u64)
    }

    /// Seconds that what is left will take, once that can be guessed.
    pub fn secs_left(&self, now: Instant, left: u64) -> Option<u64> {
        let is_warm = now.saturating_duration_since(self.started?) >= WARM_UP;
        let rate = self.per_sec().filter(|rate| is_warm && *rate > 0)?;
        Some(left.div_ceil(rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_job_is_guessed_right_and_a_pause_does_not_count() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut rate = Rate::default();
        for step in 0..=40 {
            rate.note(at(step * 250), step * 250_000);
        }
        assert_eq!(rate.per_sec(), Some(1_000_000));
        assert_eq!(rate.secs_left(at(10_000), 60_000_000), Some(60));
        rate.interrupt();
        rate.note(at(100_000), 10_000_000);
        rate.note(at(100_250), 10_250_000);
        assert_eq!(rate.per_sec(), Some(1_000_000));
    }

    #[test]
    fn another_count_has_a_rate_of_its_own() {
        let start = Instant::now();
        let at = |secs| start + Duration::from_secs(secs);
        let mut rate = Rate::default();
        (0..20).for_each(|secs| rate.note(at(secs), secs * 1_000_000));
        rate.note(at(20), 0);
        assert_eq!(rate.per_sec(), None);
        rate.note(at(21), 5);
        assert_eq!(rate.per_sec(), Some(5));
        assert_eq!(rate.secs_left(at(21), 5), None);
    }

    #[test]
    fn waiting_before_the_first_work_does_not_count() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut rate = Rate::default();
        (0..40).for_each(|step| rate.note(at(step * 250), 0));
        assert_eq!(rate.secs_left(at(9_750), 5), None);
        rate.note(at(10_000), 250_000);
        assert_eq!(rate.per_sec(), Some(1_000_000));
        assert_eq!(rate.secs_left(at(10_000), 5), None);
    }

    #[test]
    fn nothing_is_guessed_too_early() {
        let start = Instant::now();
        let mut rate = Rate::default();
        assert_eq!(rate.secs_left(start, 5), None);
        rate.note(start, 0);
        rate.note(start + Duration::from_secs(1), 100);
        assert_eq!(rate.per_sec(), Some(100));
        assert_eq!(rate.secs_left(start + Duration::from_secs(1), 100), None);
    }
}
