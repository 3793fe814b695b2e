//! A plan as widgets see it: its state in a sentence, its running job, its snapshots.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

use glib::prelude::*;
use glib::subclass::Signal;
use glib::subclass::prelude::*;

use super::looks::Looks;
use super::{JobKind, JobModel, Repository};
use crate::engine::status::{ChainStatus, SetStatus, Status, status_by};
use crate::i18n::{gettext, gettext_f};
use crate::plan::history::{History, Outcome, Problem, Run, Task};
use crate::plan::schedule::Machine;
use crate::plan::{Destination, Plan};
use crate::ui::questions::answer_quietly;
use crate::ui::{error_text, words};

/// How a plan fares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "SouvenirPlanState")]
pub enum PlanState {
    /// No backup yet.
    #[default]
    Never,
    /// The last run made a backup.
    Good,
    /// The last run made a backup, but left something out.
    Incomplete,
    /// What is at the destination is damaged, or some of it is gone.
    Damaged,
    /// The last run was stopped.
    Stopped,
    /// The last run failed.
    Failed,
    /// A job runs.
    Running,
    /// The drive went away before a backup was done; it goes on once the drive is back.
    Waiting,
}

mod imp {
    use super::*;
    use std::sync::OnceLock;

    #[derive(Default, glib::Properties)]
    #[properties(wrapper_type = super::PlanObject)]
    pub struct PlanObject {
        #[property(get)]
        pub name: RefCell<String>,
        #[property(get, builder(PlanState::default()))]
        pub state: Cell<PlanState>,
        /// How it fares, in a sentence.
        #[property(get)]
        pub sentence: RefCell<String>,
        /// When it is run by itself, or what that waits for; empty where neither is.
        #[property(get)]
        pub next: RefCell<String>,
        /// The running job, if there is one.
        #[property(get, nullable)]
        pub job: RefCell<Option<JobModel>>,

        pub plan: RefCell<Option<Plan>>,
        pub repository: RefCell<Option<Repository>>,
        pub history: OnceCell<History>,
        pub runs: RefCell<Vec<Run>>,
        pub status: RefCell<Option<Rc<Status>>>,
        pub status_problem: RefCell<Option<Problem>>,
        /// The looks that `status` comes from.
        pub looks: Looks,
        /// Whether a backup goes on once the drive is back.
        pub waiting: Cell<bool>,
        /// What the machine is like, as far as a schedule asks for it.
        pub machine: Cell<Machine>,
        /// Whether the desktop does not start, with the session, what runs plans by itself.
        pub starts_refused: Cell<bool>,
        /// The newest run on its way into the history.
        pub writing: RefCell<Option<glib::JoinHandle<()>>>,
        /// How many runs are not in the history yet.
        pub unwritten_count: Cell<u32>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for PlanObject {
        const NAME: &'static str = "SouvenirPlan";
        type Type = super::PlanObject;
    }

    #[glib::derived_properties]
    impl ObjectImpl for PlanObject {
        fn signals() -> &'static [Signal] {
            static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
            SIGNALS.get_or_init(|| vec![Signal::builder("changed").build()])
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct PlanObject(ObjectSubclass<imp::PlanObject>);
}

impl PlanObject {
    /// A plan and what is remembered of its runs.
    pub fn new(plan: Plan, runs: Vec<Run>, history: History) -> Self {
        let object: Self = glib::Object::new();
        let imp = object.imp();
        imp.runs.replace(runs);
        // Fails only when it is set already, which a new object is not.
        let _ = imp.history.set(history);
        object.set_plan(plan);
        object
    }

    /// The plan itself.
    pub fn plan(&self) -> Plan {
        self.imp().plan.borrow().clone().expect("new() sets the plan")
    }

    /// Its id.
    pub fn id(&self) -> String {
        self.plan().id
    }

    /// The place of its backups.
    pub fn repository(&self) -> Repository {
        self.imp().repository.borrow().clone().expect("new() sets the repository")
    }

    /// Takes a changed plan.
    pub fn set_plan(&self, plan: Plan) {
        let imp = self.imp();
        imp.name.replace(plan.name.clone());
        let repository = match &*imp.repository.borrow() {
            Some(known) => known.changed(&plan),
            None => Repository::of_plan(&plan),
        };
        imp.repository.replace(Some(repository));
        let before = imp.plan.replace(Some(plan.clone()));
        self.notify_name();
        let Some(before) = before else { return self.refresh() };
        if before.destination != plan.destination {
            imp.status.replace(None);
            imp.status_problem.replace(None);
            imp.waiting.set(false);
            // A look that is under way is one at the old place.
            imp.looks.end();
        }
        self.refresh();
        let runs = self.runs();
        if before.destination != plan.destination || before.full_policy(&runs) != plan.full_policy(&runs) {
            self.look();
        }
    }

    /// The last run that was to make a backup at this destination, if one is remembered.
    pub fn last_run(&self) -> Option<Run> {
        self.runs_here().into_iter().rev().find(|run| run.task == Task::Backup)
    }

    /// The last run at this destination that cared for the backups.
    pub fn newest_run(&self) -> Option<Run> {
        self.runs_here().last().cloned()
    }

    /// All runs that are remembered, oldest first.
    pub fn runs(&self) -> Vec<Run> {
        self.imp().runs.borrow().clone()
    }

    /// That much more has changed than ever before, as long as nobody has said what to do.
    pub fn alarm(&self) -> Option<Run> {
        self.plan().open_alarm(&self.imp().runs.borrow()).cloned()
    }

    /// The runs that cared for the backups at this destination, oldest first.
    pub fn runs_here(&self) -> Vec<Run> {
        self.plan().runs_here(&self.imp().runs.borrow()).cloned().collect()
    }

    /// Whether the next backup begins a new chain because the protection was changed.
    pub fn awaits_protection(&self) -> bool {
        let Some(since) = self.plan().protection_since() else { return false };
        let chain = self.status().and_then(|status| status.chains.last().and_then(ChainStatus::begun));
        chain.map_or_else(|| !self.has_backup_since(since), |time| time.epoch() < since)
    }

    /// Whether no backup was made yet since the protection was changed, wherever.
    pub(super) fn awaits_passphrase(&self) -> bool {
        let since = self.plan().protection_since();
        self.awaits_protection() && since.is_some_and(|since| !self.has_backup_since(since))
    }

    fn has_backup_since(&self, since: i64) -> bool {
        let is_such = |run: &Run| matches!(run.outcome, Outcome::Finished { .. }) && run.ended_secs >= since;
        self.imp().runs.borrow().iter().any(is_such)
    }

    /// What is at the destination, once it was looked at.
    pub fn status(&self) -> Option<Rc<Status>> {
        self.imp().status.borrow().clone()
    }

    /// Why the destination could not be looked at.
    pub fn status_problem(&self) -> Option<Problem> {
        self.imp().status_problem.borrow().clone()
    }

    /// The complete sets at the destination, oldest first.
    pub fn sets(&self) -> Vec<SetStatus> {
        let status = self.status();
        status.iter().flat_map(|status| &status.chains).flat_map(|chain| chain.sets.clone()).collect()
    }

    /// Calls `handler` when the last run, the snapshots or the plan changed.
    pub fn connect_changed(&self, handler: impl Fn(&Self) + 'static) -> glib::SignalHandlerId {
        self.connect_local("changed", false, move |values| {
            if let Some(Ok(plan)) = values.first().map(glib::Value::get::<Self>) {
                handler(&plan);
            }
            None
        })
    }

    /// Looks at the destination, on a thread.
    pub fn look(&self) {
        let Some(look) = self.imp().looks.begin() else { return };
        let facts = self.plan();
        let (destination, policy) = (facts.destination.clone(), facts.full_policy(&self.runs()));
        let expected = self.expects_backups();
        let plan = self.downgrade();
        let job = JobModel::run(
            JobKind::Look,
            "status",
            move |job| {
                destination.expect_present(expected)?;
                status_by(&*destination.open(job)?, &policy, job)
            },
            move |_, result| {
                let Some(plan) = plan.upgrade() else { return };
                let imp = plan.imp();
                // Backups are kept elsewhere by now.
                if plan.plan().destination != facts.destination {
                    return;
                }
                let wants_another = imp.looks.end();
                match result {
                    Ok(status) => {
                        imp.status.replace(Some(Rc::new(status)));
                        imp.looks.saw(look);
                        imp.status_problem.replace(None);
                    }
                    Err(error) => {
                        imp.status.replace(None);
                        imp.status_problem.replace(Some(error_text::problem(&error)));
                    }
                }
                plan.refresh();
                if wants_another {
                    plan.look();
                }
            },
        );
        // Nobody asked for this look, so nobody is asked.
        answer_quietly(&job, &self.repository());
    }

    /// Brings the state and its sentence up to date; called now and then, for time passes.
    pub fn refresh(&self) {
        let imp = self.imp();
        let (state, sentence) = self.describe();
        if imp.state.replace(state) != state {
            self.notify_state();
        }
        if *imp.sentence.borrow() != sentence {
            imp.sentence.replace(sentence);
            self.notify_sentence();
        }
        let next = self.describe_next();
        if *imp.next.borrow() != next {
            imp.next.replace(next);
            self.notify_next();
        }
        self.emit_by_name::<()>("changed", &[]);
    }

    /// The time of the newest backup that is known of.
    pub fn newest_secs(&self) -> Option<i64> {
        let newest_set = self.sets().last().map(|set| set.time.epoch());
        let finished = |run: &Run| matches!(run.outcome, Outcome::Finished { .. });
        let newest_run = self.runs_here().iter().rev().find(|run| finished(run)).map(|run| run.ended_secs);
        // What is at the destination decides, once it is known; the run ended a little after the time
        // that its set bears.
        match (newest_set, newest_run) {
            (Some(set), Some(run)) => Some(set.max(run)),
            (None, Some(run)) if self.status().is_none() => Some(run),
            (set, _) => set,
        }
    }

    /// Whether a backup goes on once the drive is back.
    pub fn is_waiting(&self) -> bool {
        self.imp().waiting.get()
    }

    /// Whether there must be something at the destination.
    pub fn expects_backups(&self) -> bool {
        self.plan().expects_backups(&self.imp().runs.borrow())
    }

    /// See [`Plan::last_proof`].
    pub fn last_proof(&self) -> Option<Run> {
        self.plan().last_proof(&self.imp().runs.borrow()).cloned()
    }

    fn describe(&self) -> (PlanState, String) {
        if let Some(job) = &*self.imp().job.borrow() {
            let sentence = match job.kind() {
                _ if job.paused() && !job.stopping() => gettext("Paused"),
                _ if job.waits_for_turn() => job.title(),
                JobKind::Verify => gettext("Checking the backup"),
                JobKind::Drill => gettext("Testing a restore"),
                JobKind::Move => gettext("Moving the backups"),
                _ => gettext("Backing up"),
            };
            return (PlanState::Running, sentence);
        }
        if self.is_waiting()
            && let Destination::Drive { name, .. } = self.plan().destination
        {
            let sentence = gettext_f("Waiting for the drive “{name}”", &[("name", &name)]);
            return (PlanState::Waiting, sentence);
        }
        if let Some(sentence) = self.describe_damage() {
            return (PlanState::Damaged, sentence);
        }
        let backed_up =
            self.newest_secs().map(|secs| gettext_f("Backed up {when}", &[("when", &words::ago(secs))]));
        match (self.last_run(), backed_up) {
            (Some(Run { outcome: Outcome::Failed(_), ended_secs, .. }), _) => {
                (PlanState::Failed, gettext_f("Failed {when}", &[("when", &words::ago(ended_secs))]))
            }
            (Some(Run { outcome: Outcome::Stopped, ended_secs, .. }), _) => {
                (PlanState::Stopped, gettext_f("Stopped {when}", &[("when", &words::ago(ended_secs))]))
            }
            (_, Some(sentence)) if self.damage().is_some() => (PlanState::Incomplete, sentence),
            (Some(run), Some(sentence)) if run.warnings.iter().any(|warning| warning.kind.is_loss()) => {
                (PlanState::Incomplete, sentence)
            }
            (_, Some(sentence)) => (PlanState::Good, sentence),
            (_, None) => (PlanState::Never, gettext("Not backed up yet")),
        }
    }
}
