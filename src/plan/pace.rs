//! How fast a destination is, judged by what was read from it and written to it before.

use super::Plan;
use super::history::{Outcome, Run};

/// Smaller amounts say more of how long it takes to begin, in bytes.
const TELLING: u64 = 10_000_000;

impl Plan {
    /// How many stored bytes a second come from the destination, as far as these runs tell. What was only read tells
    /// best; of what was written the fastest run does, since most others looked for changes in between. It is no more
    /// than the plan lets come.
    pub fn stored_bytes_per_sec(&self, runs: &[Run]) -> Option<u64> {
        let rate = |run: &Run, bytes: u64| {
            let secs = u64::try_from(run.ended_secs - run.started_secs).unwrap_or(0).max(1);
            (bytes >= TELLING).then_some(bytes / secs)
        };
        let read = |run: &Run| match &run.outcome {
            Outcome::Verified(verified) => rate(run, verified.checked_bytes),
            _ => None,
        };
        let written = |run: &Run| match run.outcome {
            Outcome::Finished { stored_bytes, .. } => rate(run, stored_bytes),
            _ => None,
        };
        let newest_read = self.runs_here(runs).rev().find_map(read);
        let rate = newest_read.or_else(|| self.runs_here(runs).filter_map(written).max())?;
        let limit = self.rates.download_limit.map_or(u64::MAX, |kib| kib.get().saturating_mul(1024));
        Some(rate.min(limit)).filter(|rate| *rate > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::crypto::Protection;
    use crate::plan::Destination;
    use crate::plan::proof::Verified;
    use std::num::NonZeroU64;

    fn run(started_secs: i64, secs: i64, outcome: Outcome) -> Run {
        Run { started_secs, ended_secs: started_secs + secs, outcome, ..Run::default() }
    }

    fn written(started_secs: i64, secs: i64, stored_bytes: u64) -> Run {
        let outcome =
            Outcome::Finished { full: None, entry_count: 1, deleted_count: 0, source_bytes: 0, stored_bytes };
        run(started_secs, secs, outcome)
    }

    #[test]
    fn the_pace_is_that_of_reading_or_of_the_fastest_writing() {
        let destination = Destination::Folder { path: "/backups".into() };
        let mut plan = Plan::new("Home", vec!["/home".into()], destination, Protection::none());
        let mut runs = vec![written(100, 0, 5_000)];
        assert_eq!(plan.stored_bytes_per_sec(&runs), None);
        runs.push(written(200, 10, 20_000_000));
        runs.push(written(300, 100, 20_000_000));
        assert_eq!(plan.stored_bytes_per_sec(&runs), Some(2_000_000));
        let checked = Verified { checked_bytes: 50_000_000, ..Verified::default() };
        runs.push(run(500, 10, Outcome::Verified(checked)));
        runs.push(written(600, 1, 90_000_000));
        assert_eq!(plan.stored_bytes_per_sec(&runs), Some(5_000_000));
        plan.rates.download_limit = NonZeroU64::new(1000);
        assert_eq!(plan.stored_bytes_per_sec(&runs), Some(1_024_000));
        // Of another destination nothing can be told.
        plan.destination_since = Some(700);
        assert_eq!(plan.stored_bytes_per_sec(&runs), None);
    }
}
