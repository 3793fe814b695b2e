//! What happens to a plan by itself: when next, or what it waits for.

use glib::subclass::prelude::*;
use jiff::Zoned;

use super::PlanObject;
use crate::i18n::{gettext, gettext_f};
use crate::plan::schedule::{Chore, Decision, Machine, due};
use crate::platform::machine::for_plan;
use crate::ui::{describe, words};

impl PlanObject {
    /// Takes note of what the machine is like.
    pub fn set_machine(&self, machine: Machine) {
        if self.imp().machine.replace(machine) != machine || self.plan().schedule.is_on() {
            self.refresh();
        }
    }

    /// Takes note of whether the desktop does not start, with the session, what runs plans by itself.
    pub fn set_starts_refused(&self, refused: bool) {
        if self.imp().starts_refused.replace(refused) != refused {
            self.refresh();
        }
    }

    /// When the next run is, or what it waits for, in a sentence; empty where nothing happens by itself.
    pub(super) fn describe_next(&self) -> String {
        let imp = self.imp();
        let plan = self.plan();
        if !plan.schedule.is_on() || imp.job.borrow().is_some() {
            return String::new();
        }
        let machine = for_plan(imp.machine.get(), &plan);
        match due(&plan, &imp.runs.borrow(), &Zoned::now(), &machine) {
            Decision::Never => String::new(),
            Decision::At { slot_secs, .. } => {
                let next = gettext_f("Next: {when}", &[("when", &words::ahead(slot_secs))]);
                if !imp.starts_refused.get() {
                    return next;
                }
                let refused = gettext(
                    "After logging in, Souvenir has to be opened once: the desktop does not start it by itself.",
                );
                format!("{next}\n{refused}")
            }
            Decision::Run { chore: Chore::Backup, .. } => gettext("Begins in a moment"),
            Decision::Run { .. } => gettext("Is checked in a moment"),
            Decision::Wait { chore, reasons, look_again_secs, .. } => {
                let wait = |reason| describe::wait(reason, chore, &plan.destination, look_again_secs);
                reasons.into_iter().map(wait).collect::<Vec<_>>().join(" · ")
            }
        }
    }
}
