//! The plans that the window sets up, for people and timers without a desktop.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use jiff::Zoned;
use serde_json::{Value, json};

use crate::console::Console;
use crate::report::print;
use crate::report_plans as report;
use crate::secrets::{Environment, PassphraseOptions};
use crate::{EXIT_CANCELLED, EXIT_FAILED, EXIT_WARNINGS, in_job_noting};
use souvenir::engine::backup::BackupKind;
use souvenir::engine::copies::Copies;
use souvenir::engine::crypto::{Keyring, Passphrases};
use souvenir::engine::error::Error;
use souvenir::engine::job::Job;
use souvenir::engine::verify::Which;
use souvenir::plan::history::{Cause, History, KEPT_WARNINGS, Outcome, Problem, Run, RunWarning};
use souvenir::plan::lock::PlanLock;
use souvenir::plan::run::{Done, Means};
use souvenir::plan::schedule::{Chore, Decision, Machine, due};
use souvenir::plan::{Destination, Plan, Plans};

/// What to do with plans.
#[derive(Debug, Subcommand)]
pub enum PlanCommand {
    /// Show the plans, how their last runs ended, and when they are run by themselves
    List,
    /// Run plans: those that are named, or those that are due
    ///
    /// A backup is made as with Back Up Now in the window: with the plan's folders, destination, protection and rates;
    /// afterwards the snapshots that its rules let go are deleted. It is noted in the plan's log. A plan that another
    /// program runs at the moment is not run a second time.
    Run(RunOptions),
    /// Show what is due, and when something will be
    Next,
}

/// `plan run`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true))]
pub struct RunOptions {
    /// The plans, by their names
    #[arg(value_name = "NAME", group = "which")]
    names: Vec<String>,

    /// Run whatever is due by the schedules of the plans, backups and checks, and nothing else; for a timer.
    /// Whether the machine is on battery or in a metered network is not looked at
    #[arg(long, group = "which", conflicts_with = "task")]
    due: bool,

    /// What to run
    #[arg(long, value_enum, default_value_t = ChoreName::Backup)]
    task: ChoreName,

    /// Where passphrases come from
    #[command(flatten)]
    passphrase: PassphraseOptions,
}

/// What can be run for a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ChoreName {
    /// Make a backup
    Backup,
    /// Check the files of the newest snapshot
    Verify,
    /// Restore a sample of the newest snapshot, and compare it
    Drill,
}

impl From<ChoreName> for Chore {
    fn from(name: ChoreName) -> Self {
        match name {
            ChoreName::Backup => Self::Backup,
            ChoreName::Verify => Self::Verify,
            ChoreName::Drill => Self::Drill,
        }
    }
}

/// Who wants a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Person,
    Schedule,
}

/// How runs ended, the worst of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Worst {
    /// All did what they should.
    #[default]
    Done,
    /// Something was left out or is damaged.
    Warned,
    /// One failed.
    Failed,
    /// Stopped by a signal.
    Cancelled,
}

impl From<Worst> for ExitCode {
    fn from(worst: Worst) -> Self {
        match worst {
            Worst::Done => Self::SUCCESS,
            Worst::Warned => EXIT_WARNINGS.into(),
            Worst::Failed => EXIT_FAILED.into(),
            Worst::Cancelled => EXIT_CANCELLED.into(),
        }
    }
}

impl PlanCommand {
    /// Runs the verb.
    pub fn run(self, keyring: Keyring, environment: Environment, console: &Console) -> anyhow::Result<Worst> {
        let shelf = Shelf::open()?;
        match self {
            Self::List => {
                let plans = shelf.plans.iter().map(|plan| (plan, shelf.runs(plan)));
                report::list(console, plans)?;
                Ok(Worst::Done)
            }
            Self::Next => {
                let now = Zoned::now();
                let decide = |plan: &Plan| due(plan, &shelf.runs(plan), &now, &machine(plan));
                let decisions = shelf.plans.iter().map(|plan| {
                    let running = PlanLock::is_held(&plan.id);
                    (plan, (!running).then(|| decide(plan)))
                });
                report::next(console, decisions)?;
                Ok(Worst::Done)
            }
            Self::Run(options) => {
                let passphrases = options.passphrase.read(environment)?;
                let runner = Runner { shelf: &shelf, keyring, passphrases, console };
                if options.due {
                    return runner.run_due();
                }
                // All names are looked at before anything begins.
                let plans: Vec<_> =
                    options.names.iter().map(|name| shelf.find(name)).collect::<anyhow::Result<_>>()?;
                let mut worst = Worst::Done;
                for plan in plans {
                    worst = worst.max(runner.run(plan, options.task.into(), By::Person)?);
                    if worst == Worst::Cancelled {
                        break;
                    }
                }
                Ok(worst)
            }
        }
    }
}

/// The plans and their histories, where the window keeps them.
struct Shelf {
    plans: Vec<Plan>,
    history: History,
}

impl Shelf {
    fn open() -> anyhow::Result<Self> {
        let folders = Plans::default_folder().zip(History::default_folder());
        let (config, data) = folders.context("there is no home folder, and so there are no plans")?;
        let plans = Plans::look(&config).map_err(anyhow::Error::msg)?;
        Ok(Self { plans, history: History::open(&data) })
    }

    fn find(&self, name: &str) -> anyhow::Result<&Plan> {
        let found: Vec<_> = self.plans.iter().filter(|plan| plan.name == name).collect();
        match found[..] {
            [plan] => Ok(plan),
            [] => bail!("there is no plan \"{name}\"; `souvenir-cli plan list` shows those that there are"),
            _ => bail!("several plans are called \"{name}\"; give them other names in the window"),
        }
    }

    /// A history that cannot be read is an empty one, as in the window.
    fn runs(&self, plan: &Plan) -> Vec<Run> {
        self.history.runs(&plan.id).unwrap_or_default()
    }
}

/// Of the machine only the drives are looked at here.
fn machine(plan: &Plan) -> Machine {
    let is_drive = matches!(plan.destination, Destination::Drive { .. });
    Machine { drive_is_away: is_drive && plan.destination.folder().is_none(), ..Machine::default() }
}

struct Runner<'a> {
    shelf: &'a Shelf,
    keyring: Keyring,
    passphrases: Passphrases,
    console: &'a Console,
}

impl Runner<'_> {
    /// Runs what is due, of each plan one thing after the other.
    fn run_due(&self) -> anyhow::Result<Worst> {
        let mut worst = Worst::Done;
        for plan in &self.shelf.plans {
            // What somebody runs already is cared for. A run that leaves no trace would be due for ever.
            let mut left_trace = true;
            while left_trace && worst != Worst::Cancelled && !PlanLock::is_held(&plan.id) {
                let runs = self.shelf.runs(plan);
                let Decision::Run { chore, .. } = due(plan, &runs, &Zoned::now(), &machine(plan)) else {
                    break;
                };
                worst = worst.max(self.run(plan, chore, By::Schedule)?);
                left_trace = self.shelf.runs(plan) != runs;
            }
        }
        Ok(worst)
    }

    /// Runs something for a plan, prints what came of it and notes it in the log.
    fn run(&self, plan: &Plan, chore: Chore, by: By) -> anyhow::Result<Worst> {
        let started_secs = now_secs();
        let runs = self.shelf.runs(plan);
        // Nothing comes up by itself.
        let keyring = self.keyring.clone().with_agent_asking(by != By::Schedule);
        let (passphrases, of) = (self.passphrases.clone(), plan.clone());
        let work = move |job: &Job| {
            let means = Means { runs: &runs, keyring: &keyring, passphrases: &passphrases };
            match chore {
                Chore::Backup => of.back_up(BackupKind::Auto(of.full_policy(means.runs)), &means, job),
                Chore::Verify => of.verify(Which::At(None), &means, job),
                Chore::Drill => of.drill(&scratch(), &means, job),
            }
        };
        let (mut warnings, mut warning_count) = (Vec::new(), 0);
        let result = in_job_noting(self.console, work, |warning| {
            warning_count += 1;
            if warnings.len() < KEPT_WARNINGS || warning.is_kept_always() {
                warnings.push(RunWarning::from(warning));
            }
        });
        let run = Run {
            task: chore.into(),
            started_secs,
            ended_secs: now_secs(),
            warning_count,
            warnings,
            automatic: by == By::Schedule,
            ..Run::default()
        };
        let (run, error) = match result {
            Ok(Done { outcome, removed, alarm }) => (Run { outcome, removed, alarm, ..run }, None),
            // It is not a run of this program.
            Err(error @ Error::Busy { .. }) => return self.fail(plan, error),
            Err(error) => {
                let cause = Cause::of(&error).filter(|cause| by == By::Schedule || *cause != Cause::Person);
                let outcome = if error.is_cancelled() { Outcome::Stopped } else { failed(&error) };
                (Run { outcome, cause, ..run }, Some(error))
            }
        };
        if let Err(error) = self.shelf.history.append(&plan.id, &run) {
            self.console
                .warn(&format!("the run could not be noted in the log of \"{}\": {error}", plan.name));
        }
        match error {
            Some(error) => self.fail(plan, error),
            None => {
                report::run(self.console, plan, &run)?;
                let is_warned = run.warning_count > 0 || run.found_anything_wrong();
                Ok(if is_warned { Worst::Warned } else { Worst::Done })
            }
        }
    }

    fn fail(&self, plan: &Plan, error: Error) -> anyhow::Result<Worst> {
        let worst = if error.is_cancelled() { Worst::Cancelled } else { Worst::Failed };
        self.console.error(&anyhow::anyhow!("{}: {error}", plan.name));
        Ok(worst)
    }
}

fn failed(error: &Error) -> Outcome {
    Outcome::Failed(Problem { what: error.to_string(), ..Problem::default() })
}

/// Where samples are restored to.
fn scratch() -> PathBuf {
    Copies::usual_cache().unwrap_or_else(std::env::temp_dir)
}

fn now_secs() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// Prints a list of values, one JSON line for each.
pub fn print_all(console: &Console, values: impl IntoIterator<Item = Value>) -> souvenir::engine::Result<()> {
    print(console, json!(values.into_iter().collect::<Vec<_>>()))
}
