//! How fast a job goes, and how long it will still take.

use std::time::{Duration, Instant};

/// How far back the rate remembers.
const MEMORY_SECS: f64 = 8.0;

/// How long a job must have run before its end is guessed.
const WARM_UP: Duration = Duration::from_secs(3);

/// A rate that forgets slowly: what happened longest ago counts least.
#[derive(Debug, Default)]
pub struct Rate {
    started: Option<Instant>,
    last: Option<(Instant, u64)>,
    bytes_per_sec: Option<f64>,
}

impl Rate {
    /// Notes how many bytes were done at a moment.
    pub fn note(&mut self, now: Instant, done_bytes: u64) {
        self.started.get_or_insert(now);
        let Some((then, before)) = self.last else {
            self.last = Some((now, done_bytes));
            return;
        };
        let elapsed = now.saturating_duration_since(then).as_secs_f64();
        if elapsed < 0.2 {
            return;
        }
        let recent = done_bytes.saturating_sub(before) as f64 / elapsed;
        let weight = 1.0 - (-elapsed / MEMORY_SECS).exp();
        self.bytes_per_sec = Some(self.bytes_per_sec.map_or(recent, |rate| rate + (recent - rate) * weight));
        self.last = Some((now, done_bytes));
    }

    /// Forgets the last moment, so that a pause does not count.
    pub fn interrupt(&mut self) {
        self.last = None;
    }

    /// Bytes a second, once known.
    pub fn bytes_per_sec(&self) -> Option<u64> {
        self.bytes_per_sec.map(|rate| rate as u64)
    }

    /// Seconds that `left_bytes` will take, once that can be guessed.
    pub fn secs_left(&self, now: Instant, left_bytes: u64) -> Option<u64> {
        let warm = now.saturating_duration_since(self.started?) >= WARM_UP;
        let rate = self.bytes_per_sec.filter(|rate| warm && *rate >= 1.0)?;
        Some((left_bytes as f64 / rate).ceil() as u64)
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
        assert_eq!(rate.bytes_per_sec(), Some(1_000_000));
        assert_eq!(rate.secs_left(at(10_000), 60_000_000), Some(60));
        rate.interrupt();
        rate.note(at(100_000), 10_000_000);
        rate.note(at(100_250), 10_250_000);
        assert_eq!(rate.bytes_per_sec(), Some(1_000_000));
    }

    #[test]
    fn nothing_is_guessed_too_early() {
        let start = Instant::now();
        let mut rate = Rate::default();
        assert_eq!(rate.secs_left(start, 5), None);
        rate.note(start, 0);
        rate.note(start + Duration::from_secs(1), 100);
        assert_eq!(rate.bytes_per_sec(), Some(100));
        assert_eq!(rate.secs_left(start + Duration::from_secs(1), 100), None);
    }
}
