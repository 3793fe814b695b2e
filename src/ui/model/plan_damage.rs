//! What is wrong with the backups of a plan that are stored, as far as a check or the names of the files tell.

use std::collections::HashSet;

use glib::subclass::prelude::*;

use super::PlanObject;
use crate::engine::format::name::{FileName, Part};
use crate::engine::status::{ChainStatus, SetStatus, Status, Weakness};
use crate::i18n::{gettext, gettext_f};
use crate::plan::history::{Outcome, Run};
use crate::plan::proof::{Reach, Verified};
use crate::ui::words;

impl PlanObject {
    /// The last proof, if it found damage of which something is still stored.
    pub fn damage(&self) -> Option<Run> {
        let proof = self.last_proof().filter(Run::found_damage)?;
        let remains = match &proof.outcome {
            Outcome::Verified(found) if found.is_all_named() => !self.reach_of(found).touched.is_empty(),
            Outcome::Drilled(found) if self.status().is_some() => {
                self.sets().iter().any(|set| set.time.epoch() == found.set_secs)
            }
            _ => true,
        };
        remains.then_some(proof)
    }

    /// Names of the stored files that the last check found to be missing or damaged, as far as they are remembered.
    pub fn damaged_files(&self) -> HashSet<String> {
        match self.last_proof().map(|proof| proof.outcome) {
            Some(Outcome::Verified(found)) => found.damaged.into_iter().map(|file| file.file).collect(),
            _ => HashSet::new(),
        }
    }

    /// Whether something of the snapshot of a time, in seconds since 1970, cannot be restored, as far as is known.
    pub fn has_lost_part_of(&self, secs: i64) -> bool {
        let by_check = match self.damage().map(|proof| proof.outcome) {
            Some(Outcome::Verified(mut found)) => {
                // A restore needs no signatures.
                found.damaged.retain(|file| !is_signatures(&file.file));
                self.reach_of(&found).touched.contains(&secs)
            }
            Some(Outcome::Drilled(found)) => found.set_secs == secs,
            _ => false,
        };
        let is_behind_gap = |chain: &ChainStatus| {
            let mut touched = chain.sets.iter().skip_while(|set| set.missing_volumes.is_empty());
            touched.any(|set| set.time.epoch() == secs)
        };
        by_check || self.status().is_some_and(|status| status.chains.iter().any(is_behind_gap))
    }

    /// How far the damage reaches that a check has found. Where it is not known what is stored, all that was checked may
    /// build on what is damaged.
    pub fn reach_of(&self, found: &Verified) -> Reach {
        let times = |chain: &ChainStatus| chain.sets.iter().map(|set| set.time.epoch()).collect();
        let chains: Vec<Vec<i64>> = match self.status() {
            Some(status) => status.chains.iter().map(times).collect(),
            None => vec![found.set_secs.clone()],
        };
        Reach::of(&found.damaged, &chains)
    }

    /// Whether there were backups at the destination, and no complete one is there any more.
    pub fn has_lost_all(&self) -> bool {
        self.expects_backups() && self.current_status().is_some_and(|status| status.chains.is_empty())
    }

    /// Whether something is left of backups that are not complete.
    pub fn has_remains(&self) -> bool {
        self.status().is_some_and(|status| !status.incomplete.is_empty() || !status.leftovers.is_empty())
    }

    /// The newest snapshot of the newest chain whose files are missing, if no check has told yet what that means.
    pub fn unexplained_gap(&self) -> Option<SetStatus> {
        let status = self.current_status()?;
        let (set, weakness) = status.chains.last()?.weakest_link()?;
        let is_named = || match self.last_proof().map(|proof| proof.outcome) {
            Some(Outcome::Verified(found)) => {
                found.damaged.iter().any(|file| file.set_secs == set.time.epoch())
            }
            _ => false,
        };
        (weakness == Weakness::MissingVolumes && !is_named()).then(|| set.clone())
    }

    /// What is wrong, in a sentence. It matters more than how the last run went.
    pub(super) fn describe_damage(&self) -> Option<String> {
        if self.has_lost_all() {
            let text = if self.has_remains() {
                gettext("No complete backup is left")
            } else {
                gettext("The backups are gone")
            };
            return Some(text);
        }
        if self.unexplained_gap().is_some() {
            return Some(gettext("Stored files are missing"));
        }
        let proof = self.damage().filter(|proof| self.concerns_newest(proof))?;
        Some(gettext_f("Damage was found {when}", &[("when", &words::ago(proof.ended_secs))]))
    }

    /// Whether the newest snapshot needs something of the damage that a proof has found, as far as is known.
    fn concerns_newest(&self, proof: &Run) -> bool {
        let is_newer_full = |run: &Run| {
            matches!(run.outcome, Outcome::Finished { full: Some(true), .. })
                && run.started_secs >= proof.ended_secs
        };
        if self.runs_here().iter().any(is_newer_full) {
            return false;
        }
        match &proof.outcome {
            Outcome::Verified(found) if found.is_all_named() => self.reach_of(found).is_of_newest(),
            _ => true,
        }
    }

    /// What is at the destination, unless a run may have changed it since it was looked at.
    fn current_status(&self) -> Option<std::rc::Rc<Status>> {
        self.status().filter(|_| self.imp().looks.is_current())
    }
}

fn is_signatures(file: &str) -> bool {
    FileName::parse(file).is_some_and(|name| name.part == Part::Signatures)
}
