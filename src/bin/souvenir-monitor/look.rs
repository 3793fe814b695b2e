//! Looking what is due.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::SystemTime;

use jiff::Zoned;

use souvenir::plan::history::{History, Run};
use souvenir::plan::lock::PlanLock;
use souvenir::plan::schedule::{Decision, LOOK_AGAIN_SECS, Machine, due};
use souvenir::plan::{Plan, Plans};
use souvenir::platform::machine::for_plan;

use crate::monitor::Monitor;

/// After how long a run is asked again to stop, in seconds.
const ASK_AGAIN_SECS: i64 = 5;

/// The runs of all plans, read again where they have changed. Their warnings are left out: nothing depends on them, and
/// they may be many.
pub struct Runs {
    history: History,
    known: RefCell<HashMap<String, Known>>,
}

/// The runs of a plan, and when they were written.
struct Known {
    changed_at: Option<SystemTime>,
    runs: Rc<[Run]>,
}

impl Runs {
    /// The runs of a history.
    pub fn new(history: History) -> Self {
        Self { history, known: RefCell::default() }
    }

    /// The runs of the plan of that id, oldest first.
    pub fn of(&self, plan_id: &str) -> Rc<[Run]> {
        let changed_at = self.history.changed_at(plan_id);
        if let Some(known) = self.known.borrow().get(plan_id).filter(|known| known.changed_at == changed_at) {
            return known.runs.clone();
        }
        let runs = self.history.runs(plan_id).unwrap_or_else(|error| {
            tracing::warn!(%error, plan_id, "the history cannot be read");
            Vec::new()
        });
        let runs: Rc<[Run]> = runs.into_iter().map(|run| Run { warnings: Vec::new(), ..run }).collect();
        let known = Known { changed_at, runs: runs.clone() };
        self.known.borrow_mut().insert(plan_id.to_owned(), known);
        runs
    }
}

impl Monitor {
    /// Looks at all plans, and starts what is due. After how many seconds to look again at the latest; none if nothing
    /// is left to be watched.
    pub fn look(self: &Rc<Self>) -> Option<i64> {
        let plans = match Plans::look(&self.config) {
            Ok(plans) => plans,
            Err(error) => {
                tracing::warn!(error, "the plans cannot be read");
                return Some(LOOK_AGAIN_SECS);
            }
        };
        let plans: Vec<_> = plans.into_iter().filter(|plan| plan.schedule.is_on()).collect();
        if plans.is_empty() && self.going.borrow().is_none() {
            return None;
        }
        let machine = self.watch.borrow().as_ref().filter(|watch| watch.is_known()).map(|watch| watch.now());
        // Its news is looked at.
        let Some(machine) = machine else { return Some(LOOK_AGAIN_SECS) };
        let now = Zoned::now();
        let waits = plans.iter().map(|plan| self.look_at(plan, &now, &for_plan(machine, plan)));
        Some(waits.min().unwrap_or(LOOK_AGAIN_SECS))
    }

    fn look_at(self: &Rc<Self>, plan: &Plan, now: &Zoned, machine: &Machine) -> i64 {
        let now_secs = now.timestamp().as_second();
        if self.going.borrow().as_deref() == Some(&plan.id) || PlanLock::is_held(&plan.id) {
            return self.stop_where_forbidden(plan, machine);
        }
        match due(plan, &self.runs.of(&plan.id), now, machine) {
            Decision::Never => LOOK_AGAIN_SECS,
            Decision::At { begin_secs, .. } => begin_secs - now_secs,
            Decision::Wait { chore, slot_secs, reasons, look_again_secs } => {
                for reason in self.told.borrow_mut().take_untold(&plan.id, slot_secs, &reasons, now_secs) {
                    self.tell(plan, chore, reason);
                }
                look_again_secs - now_secs
            }
            Decision::Run { chore, .. } => {
                let rests = self.resting.borrow().get(&plan.id).is_some_and(|until| now_secs < *until);
                // One after the other: the end of the one is looked at.
                if !rests && self.going.borrow().is_none() {
                    self.begin(plan, chore, now_secs);
                }
                LOOK_AGAIN_SECS
            }
        }
    }

    /// Asks a run to stop that is forbidden by now; after how many seconds to look again. What was not begun yet when it
    /// was asked did not hear it, so it is asked until it has ended.
    fn stop_where_forbidden(&self, plan: &Plan, machine: &Machine) -> i64 {
        let reasons = plan.schedule.forbids(machine, plan.destination.is_local());
        let Some(reason) = reasons.into_iter().find(|reason| reason.cancel_reason().is_some()) else {
            return LOOK_AGAIN_SECS;
        };
        self.ask_to_stop(plan, reason);
        ASK_AGAIN_SECS
    }
}
