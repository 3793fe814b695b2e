//! What was said already, so that each thing is said once, whoever is told in which session.

use std::collections::HashMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use souvenir::plan::lock::PlanLock;
use souvenir::plan::schedule::Reason;
use souvenir::plan::store::write_whole;

/// A network that is not there when the machine wakes up mostly comes within this time, in seconds.
const NETWORK_SECS: i64 = 120;

/// What was said of each plan.
pub struct Told {
    file: Option<PathBuf>,
    plans: HashMap<String, Said>,
    /// Since when plans wait for what was not said yet.
    since: HashMap<(String, Reason), i64>,
}

/// What was said of one moment that a plan's schedule names.
#[derive(Default, Serialize, Deserialize)]
struct Said {
    slot_secs: i64,
    reasons: Vec<Reason>,
}

impl Told {
    /// What was said before. A file that cannot be read means that nothing was.
    pub fn open() -> Self {
        let file = PlanLock::default_folder().map(|folder| folder.with_file_name("told.json"));
        let bytes = file.as_ref().and_then(|file| std::fs::read(file).ok());
        let plans = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        Self { file, plans, since: HashMap::new() }
    }

    /// Those reasons that are to be said now. They count as said from then on.
    pub fn take_untold(
        &mut self,
        plan_id: &str,
        slot_secs: i64,
        reasons: &[Reason],
        now_secs: i64,
    ) -> Vec<Reason> {
        self.since.retain(|(id, reason), _| id != plan_id || reasons.contains(reason));
        let said = self.plans.entry(plan_id.to_owned()).or_default();
        if said.slot_secs != slot_secs {
            *said = Said { slot_secs, reasons: Vec::new() };
        }
        let mut untold = Vec::new();
        for reason in reasons.iter().copied().filter(|reason| reason.is_condition()) {
            let since = *self.since.entry((plan_id.to_owned(), reason)).or_insert(now_secs);
            let patience = if reason.is_of_network() { NETWORK_SECS } else { 0 };
            if now_secs - since >= patience && !said.reasons.contains(&reason) {
                said.reasons.push(reason);
                untold.push(reason);
            }
        }
        if !untold.is_empty() {
            self.save();
        }
        untold
    }

    fn save(&self) {
        let Some(file) = &self.file else { return };
        let saved =
            serde_json::to_vec(&self.plans).map_err(Into::into).and_then(|text| write_whole(file, &text));
        if let Err(error) = saved {
            tracing::warn!(%error, "what was said is said again in the next session");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_said_once_for_each_moment() {
        let mut told = Told { file: None, plans: HashMap::new(), since: HashMap::new() };
        let both = [Reason::Battery, Reason::Retry];
        assert_eq!(told.take_untold("a", 1000, &both, 1000), [Reason::Battery]);
        assert_eq!(told.take_untold("a", 1000, &both, 1060), []);
        assert_eq!(told.take_untold("a", 1000, &[Reason::Game, Reason::Battery], 1120), [Reason::Game]);
        assert_eq!(told.take_untold("b", 1000, &both, 1120), [Reason::Battery]);
        assert_eq!(told.take_untold("a", 2000, &both, 2000), [Reason::Battery]);
    }

    #[test]
    fn a_network_has_some_time_to_come() {
        let mut told = Told { file: None, plans: HashMap::new(), since: HashMap::new() };
        assert_eq!(told.take_untold("a", 1000, &[Reason::Offline], 1000), []);
        assert_eq!(told.take_untold("a", 1000, &[], 1060), [], "there it is");
        assert_eq!(told.take_untold("a", 1000, &[Reason::Offline], 1100), []);
        assert_eq!(told.take_untold("a", 1000, &[Reason::Offline], 1219), []);
        assert_eq!(told.take_untold("a", 1000, &[Reason::Offline], 1220), [Reason::Offline]);
    }
}
