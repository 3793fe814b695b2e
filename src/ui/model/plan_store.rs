//! All plans, and their file. Reading and writing happen off the main loop, one write at a time.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use gio::prelude::*;

use super::PlanObject;
use crate::i18n::{gettext, gettext_f};
use crate::plan::history::{History, Problem};
use crate::plan::schedule::Machine;
use crate::plan::{Plan, Plans, PlansProblem, Schedule};
use crate::platform::autostart;

/// How often sentences such as “2 hours ago” are brought up to date.
const REFRESH_INTERVAL: Duration = Duration::from_secs(60);

/// All plans. Clones are the same store.
#[derive(Debug, Clone)]
pub struct PlanStore(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    list: gio::ListStore,
    plans: RefCell<Plans>,
    history: History,
    saving: Cell<bool>,
    dirty: Cell<bool>,
    /// What the machine is like, as far as schedules ask for it.
    machine: Cell<Machine>,
    /// Whether the monitor was to run when that was looked at last.
    monitored: Cell<bool>,
    /// Whether the desktop does not start the monitor with the session.
    starts_refused: Cell<bool>,
    /// Tells of runs that other programs make.
    watch: RefCell<Option<gio::FileMonitor>>,
}

impl PlanStore {
    /// Reads the plans, and tells what is wrong with their file, if anything is.
    pub async fn load() -> (Self, Option<Problem>) {
        let loaded = gio::spawn_blocking(|| {
            let config = Plans::default_folder().unwrap_or_else(|| glib::user_config_dir().join("souvenir"));
            let data =
                History::default_folder().unwrap_or_else(|| glib::user_data_dir().join("souvenir/history"));
            let (plans, problem) = Plans::open(&config);
            let history = History::open(&data);
            let runs: Vec<_> = plans.iter().map(|plan| history.runs(&plan.id).unwrap_or_default()).collect();
            (plans, problem, history, data, runs)
        });
        let (plans, problem, history, data, runs) = match loaded.await {
            Ok(loaded) => loaded,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        let list = gio::ListStore::new::<PlanObject>();
        for (plan, runs) in plans.iter().zip(runs) {
            list.append(&PlanObject::new(plan.clone(), runs, history.clone()));
        }
        let store = Self(Rc::new(Inner {
            list,
            plans: RefCell::new(plans),
            history,
            saving: Cell::default(),
            dirty: Cell::default(),
            machine: Cell::default(),
            monitored: Cell::default(),
            starts_refused: Cell::default(),
            watch: RefCell::default(),
        }));
        store.refresh_now_and_then();
        store.watch_history(&data);
        store.care_for_monitor();
        (store, problem.map(describe))
    }

    /// The plans, as [`PlanObject`]s.
    pub fn list(&self) -> &gio::ListStore {
        &self.0.list
    }

    /// The plan of that id.
    pub fn find(&self, id: &str) -> Option<PlanObject> {
        self.iter().find(|plan| plan.id() == id)
    }

    /// The plans in their order.
    pub fn iter(&self) -> impl Iterator<Item = PlanObject> {
        self.0.list.iter::<PlanObject>().filter_map(Result::ok).collect::<Vec<_>>().into_iter()
    }

    /// Adds a plan and writes the file. On failure nothing is added.
    pub async fn add(&self, plan: Plan) -> Result<PlanObject, Problem> {
        let mut plan = plan;
        plan.schedule = Schedule::default().changed_to(plan.schedule, now_secs());
        let plan = self.0.plans.borrow_mut().add(plan).clone();
        if let Err(problem) = self.save().await {
            self.0.plans.borrow_mut().remove(&plan.id);
            return Err(problem);
        }
        let object = PlanObject::new(plan, Vec::new(), self.0.history.clone());
        object.set_machine(self.0.machine.get());
        object.set_starts_refused(self.0.starts_refused.get());
        self.0.list.append(&object);
        self.care_for_monitor();
        Ok(object)
    }

    /// Takes a changed plan and writes the file.
    pub async fn replace(&self, mut plan: Plan) -> Result<(), Problem> {
        let Some(object) = self.find(&plan.id) else { return Ok(()) };
        let before = object.plan();
        plan.schedule = before.schedule.changed_to(plan.schedule, now_secs());
        self.0.plans.borrow_mut().replace(plan.clone());
        if let Err(problem) = self.save().await {
            self.0.plans.borrow_mut().replace(before);
            return Err(problem);
        }
        object.set_plan(plan);
        self.care_for_monitor();
        Ok(())
    }

    /// Forgets a plan and its history, and writes the file. Its backups are not touched.
    pub async fn remove(&self, object: &PlanObject) -> Result<(), Problem> {
        let plan = object.plan();
        self.0.plans.borrow_mut().remove(&plan.id);
        if let Err(problem) = self.save().await {
            self.0.plans.borrow_mut().add(plan);
            return Err(problem);
        }
        if let Some(position) = self.0.list.find(object) {
            self.0.list.remove(position);
        }
        self.care_for_monitor();
        let history = self.0.history.clone();
        gio::spawn_blocking(move || {
            if let Err(error) = history.remove(&plan.id) {
                tracing::warn!(%error, "the history could not be removed");
            }
        });
        Ok(())
    }

    /// Tells the plans what the machine is like, so that they know what they wait for.
    pub fn set_machine(&self, machine: Machine) {
        self.0.machine.set(machine);
        self.iter().for_each(|plan| plan.set_machine(machine));
    }

    /// Sees to it that the monitor runs as long as there is something to be watched.
    fn care_for_monitor(&self) {
        let wanted = self.iter().any(|plan| plan.plan().schedule.is_on());
        if self.0.monitored.replace(wanted) == wanted {
            return;
        }
        let store = self.clone();
        glib::spawn_future_local(async move {
            let refused = !autostart::set(wanted).await;
            store.0.starts_refused.set(refused);
            store.iter().for_each(|plan| plan.set_starts_refused(refused));
        });
    }

    /// Takes note of the runs that other programs make, such as the command line.
    fn watch_history(&self, folder: &Path) {
        let files = gio::File::for_path(folder);
        let watch = match files.monitor_directory(gio::FileMonitorFlags::WATCH_MOVES, gio::Cancellable::NONE)
        {
            Ok(watch) => watch,
            Err(error) => {
                tracing::warn!(%error, "runs of other programs will not be seen");
                return;
            }
        };
        let store = Rc::downgrade(&self.0);
        watch.connect_changed(move |_, file, other, _| {
            let Some(store) = store.upgrade().map(Self) else { return };
            for path in [Some(file), other].into_iter().flatten().filter_map(gio::prelude::FileExt::path) {
                let id = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
                if let Some(plan) = store.find(&id) {
                    glib::spawn_future_local(async move { plan.reload_runs().await });
                }
            }
        });
        self.0.watch.replace(Some(watch));
    }

    async fn save(&self) -> Result<(), Problem> {
        self.0.dirty.set(true);
        // Whoever writes already takes the newest state with it.
        while self.0.saving.get() {
            glib::timeout_future(Duration::from_millis(10)).await;
        }
        if !self.0.dirty.replace(false) {
            return Ok(());
        }
        self.0.saving.set(true);
        let plans = self.0.plans.borrow().clone();
        let saved = gio::spawn_blocking(move || plans.save()).await;
        self.0.saving.set(false);
        match saved {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Problem {
                what: gettext("The plan could not be saved"),
                subject: String::new(),
                advice: gettext(
                    "Look whether your home folder is full or cannot be written, then try again.",
                ),
                details: error.to_string(),
            }),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    fn refresh_now_and_then(&self) {
        let store = Rc::downgrade(&self.0);
        glib::timeout_add_local(REFRESH_INTERVAL, move || match store.upgrade() {
            Some(inner) => {
                Self(inner).iter().for_each(|plan| plan.refresh());
                glib::ControlFlow::Continue
            }
            None => glib::ControlFlow::Break,
        });
    }
}

fn now_secs() -> i64 {
    glib::real_time() / 1_000_000
}

fn describe(problem: PlansProblem) -> Problem {
    let shown = |path: &std::path::Path| path.display().to_string();
    match problem {
        PlansProblem::Broken { kept_as, reason } => Problem {
            what: gettext("Your plans could not be read"),
            subject: shown(&kept_as),
            advice: gettext_f(
                "The file with your plans was damaged. It has been kept as “{file}”, and your backups are not touched. \
                 Repair the file and put it back, or set up your plans again.",
                &[("file", &shown(&kept_as))],
            ),
            details: reason,
        },
        PlansProblem::Unreadable { path, reason } => Problem {
            what: gettext("Your plans could not be read"),
            subject: shown(&path),
            advice: gettext_f(
                "Look whether you may read the file “{file}”, then start Souvenir again. Until then nothing can be set up.",
                &[("file", &shown(&path))],
            ),
            details: reason,
        },
        PlansProblem::Newer { path } => Problem {
            what: gettext("Your plans were made by a newer version of Souvenir"),
            subject: shown(&path),
            advice: gettext("Use the newer version. Nothing is changed by this one."),
            details: String::new(),
        },
    }
}
