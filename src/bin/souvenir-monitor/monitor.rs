//! What the monitor does about what it sees: programs that it starts, timers, and files that it watches.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use gio::prelude::*;
use glib::variant::ToVariant;

use souvenir::config::{APP_ID, WINDOW_PROGRAM};
use souvenir::plan::history::{History, Run, Task};
use souvenir::plan::schedule::{Chore, LOOK_AGAIN_SECS, Reason};
use souvenir::plan::{Plan, Plans};
use souvenir::platform::autostart::sibling;
use souvenir::platform::machine::MachineWatch;

use crate::look::Runs;
use crate::told::Told;

/// How long after a change it is looked, so that several changes are one.
const SETTLE: Duration = Duration::from_millis(300);

/// How long a plan rests whose run left no trace, in seconds.
const REST_SECS: i64 = 600;

/// See the crate. Everything happens on the main loop.
pub struct Monitor {
    pub config: PathBuf,
    pub runs: Runs,
    pub told: RefCell<Told>,
    pub watch: RefCell<Option<Rc<MachineWatch>>>,
    /// The plan whose run was started from here and has not ended.
    pub going: RefCell<Option<String>>,
    /// Until when plans rest, in seconds since 1970.
    pub resting: RefCell<HashMap<String, i64>>,
    bus: gio::DBusConnection,
    program: PathBuf,
    main_loop: glib::MainLoop,
    timer: RefCell<Option<glib::SourceId>>,
    will_look: Cell<bool>,
    files: RefCell<Vec<gio::FileMonitor>>,
}

impl Monitor {
    /// Begins to watch, until nothing is left to be watched.
    pub fn start(bus: gio::DBusConnection, main_loop: &glib::MainLoop) -> io::Result<()> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, "there is no home folder");
        let config = Plans::default_folder().ok_or_else(missing)?;
        let history = History::default_folder().ok_or_else(missing)?;
        let monitor = Rc::new(Self {
            config: config.clone(),
            runs: Runs::new(History::open(&history)),
            told: RefCell::new(Told::open()),
            watch: RefCell::default(),
            going: RefCell::default(),
            resting: RefCell::default(),
            bus,
            program: sibling(WINDOW_PROGRAM)?,
            main_loop: main_loop.clone(),
            timer: RefCell::default(),
            will_look: Cell::default(),
            files: RefCell::default(),
        });
        for folder in [config, history] {
            std::fs::create_dir_all(&folder)?;
            let files = gio::File::for_path(&folder)
                .monitor_directory(gio::FileMonitorFlags::WATCH_MOVES, gio::Cancellable::NONE)
                .map_err(io::Error::other)?;
            let on_change = monitor.on_change();
            files.connect_changed(move |_, _, _, _| on_change());
            monitor.files.borrow_mut().push(files);
        }
        monitor.watch.replace(Some(MachineWatch::start(monitor.on_change())));
        // What the machine is like becomes known within a moment.
        monitor.look_soon();
        // The loop is what keeps it.
        let kept = monitor.clone();
        glib::spawn_future_local(async move {
            std::future::pending::<()>().await;
            drop(kept);
        });
        Ok(())
    }

    fn on_change(self: &Rc<Self>) -> impl Fn() + Clone + 'static {
        let monitor = Rc::downgrade(self);
        move || {
            if let Some(monitor) = monitor.upgrade() {
                monitor.look_soon();
            }
        }
    }

    /// Looks in a moment.
    pub fn look_soon(self: &Rc<Self>) {
        if self.will_look.replace(true) {
            return;
        }
        let monitor = self.clone();
        glib::timeout_add_local_once(SETTLE, move || {
            monitor.will_look.set(false);
            monitor.look_now();
        });
    }

    fn look_now(self: &Rc<Self>) {
        if let Some(timer) = self.timer.take() {
            timer.remove();
        }
        let Some(wait_secs) = self.look() else { return self.main_loop.quit() };
        // The clock may be set and the machine be suspended meanwhile, and timers know nothing of either.
        let wait_secs = wait_secs.clamp(1, LOOK_AGAIN_SECS);
        let monitor = self.clone();
        let timer = glib::timeout_add_local_once(Duration::from_secs(wait_secs.unsigned_abs()), move || {
            monitor.timer.take();
            monitor.look_now();
        });
        self.timer.replace(Some(timer));
    }

    /// Starts a run. The program shows it in its window where there is one, and waits in any case until it is over.
    pub fn begin(self: &Rc<Self>, plan: &Plan, chore: Chore, now_secs: i64) {
        tracing::info!(plan = plan.name, chore = chore.name(), "is due");
        self.going.replace(Some(plan.id.clone()));
        let run =
            self.start_program(vec![format!("--scheduled={}", plan.id), format!("--task={}", chore.name())]);
        let (monitor, id) = (self.clone(), plan.id.clone());
        glib::spawn_future_local(async move {
            let ended = run.await;
            tracing::info!(id, ended, "the run is over");
            monitor.going.replace(None);
            let is_trace = |run: &Run| run.started_secs >= now_secs && run.task != Task::Restore;
            let left_trace = monitor.runs.of(&id).iter().any(is_trace);
            if !left_trace {
                tracing::info!(id, seconds = REST_SECS, "the run left no trace, the plan rests");
                monitor.resting.borrow_mut().insert(id, now_secs + REST_SECS);
            }
            monitor.look_soon();
        });
    }

    /// Says, by the window's program, that a plan waits for something.
    pub fn tell(&self, plan: &Plan, chore: Chore, reason: Reason) {
        let told = self.start_program(vec![
            format!("--waits={}", plan.id),
            format!("--task={}", chore.name()),
            format!("--reason={}", reason.name()),
        ]);
        glib::spawn_future_local(async move {
            if !told.await {
                tracing::warn!("nothing could be said");
            }
        });
    }

    /// Asks the run of a plan to stop, if it began by itself.
    pub fn ask_to_stop(&self, plan: &Plan, reason: Reason) {
        tracing::info!(plan = plan.name, reason = reason.name(), "is asked to stop");
        let target = (plan.id.as_str(), reason.name()).to_variant();
        let no_data: HashMap<String, glib::Variant> = HashMap::new();
        let parameters = ("stop-scheduled", vec![target], no_data).to_variant();
        let call = self.bus.call_future(
            Some(APP_ID),
            "/io/github/souvenir_backup/Souvenir",
            "org.gtk.Actions",
            "Activate",
            Some(&parameters),
            None,
            gio::DBusCallFlags::NO_AUTO_START,
            -1,
        );
        glib::spawn_future_local(async move {
            // A run of the command line has nobody who could be asked.
            if let Err(error) = call.await {
                tracing::info!(%error, "nobody could be asked to stop");
            }
        });
    }

    /// Runs the window's program. Whether it did what it should.
    fn start_program(&self, arguments: Vec<String>) -> impl Future<Output = bool> + 'static {
        let mut command = vec![self.program.clone().into_os_string()];
        command.extend(arguments.into_iter().map(OsString::from));
        let command: Vec<_> = command.iter().map(OsString::as_os_str).collect();
        let started = gio::Subprocess::newv(&command, gio::SubprocessFlags::NONE);
        async move {
            let ended = match started {
                Ok(program) => program.wait_check_future().await,
                Err(error) => Err(error),
            };
            if let Err(error) = &ended {
                tracing::warn!(%error, "the program did not do it");
            }
            ended.is_ok()
        }
    }
}
