//! The command line: a thin front of the engine.

mod arguments;
mod browse;
mod browse_arguments;
mod browse_report;
mod console;
mod copying;
mod keys;
mod limits;
mod plans;
mod report;
mod report_keys;
mod report_plans;
mod report_status;
mod report_upkeep;
mod rules;
mod secrets;
mod stores;
mod upkeep;

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::CommandFactory;

use arguments::{Arguments, Command};
use console::Console;
use jiff::tz::TimeZone;
use secrets::Environment;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use souvenir::config::LOG_VARIABLE;
use souvenir::engine::backup::{BackupRequest, Compare, backup};
use souvenir::engine::copies::Copies;
use souvenir::engine::crypto::{Keyring, end_own_agent};
use souvenir::engine::format::moment::Moment;
use souvenir::engine::format::time::SetTime;
use souvenir::engine::job::{self, CancelReason, Job, Warning};
use souvenir::engine::path::EntryPath;
use souvenir::engine::restore::{RestoreRequest, preview, restore};
use souvenir::engine::scan::Selection;
use souvenir::engine::status::status;
use souvenir::engine::storage::sftp::{SftpOptions, set_up_key};
use souvenir::engine::storage::{Address, Credentials};
use souvenir::engine::{Error, Result};

/// Finished, and something was left out or is not as it was.
const EXIT_WARNINGS: u8 = 1;
/// The command line makes no sense; clap uses the same number.
const EXIT_USAGE: u8 = 2;
/// Failed.
const EXIT_FAILED: u8 = 3;
/// Stopped by a signal; what a shell shows for Ctrl-C.
const EXIT_CANCELLED: u8 = 130;

fn main() -> ExitCode {
    let environment = Environment::take();
    let arguments = Arguments::parse();
    let console = Console::new(arguments.json, environment.places());
    start_log(arguments.verbose);
    let code = run_and_tell(arguments, environment, &console);
    end_own_agent();
    code
}

fn run_and_tell(arguments: Arguments, environment: Environment, console: &Console) -> ExitCode {
    if let Command::Plan(command) = arguments.command {
        let keyring = arguments.gnupg_home.map_or_else(Keyring::default, Keyring::at);
        return command
            .run(keyring, environment, console)
            .map_or_else(|error| end(&error, console), Into::into);
    }
    match run(arguments, environment, console) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => EXIT_WARNINGS.into(),
        Err(error) => end(&error, console),
    }
}

/// Says what went wrong. An error that is none of the engine's is one of usage.
fn end(error: &anyhow::Error, console: &Console) -> ExitCode {
    console.error(error);
    match error.downcast_ref::<Error>() {
        Some(Error::Cancelled(_)) => EXIT_CANCELLED,
        Some(Error::Pattern { .. }) | None => EXIT_USAGE,
        Some(_) => EXIT_FAILED,
    }
    .into()
}

/// Runs the command and returns the number of warnings. An error that is none of the engine's is one
/// of usage.
fn run(arguments: Arguments, environment: Environment, console: &Console) -> anyhow::Result<u64> {
    let command = match arguments.command {
        Command::Completions { shell } => {
            let mut command = Arguments::command();
            clap_complete::generate(shell, &mut command, "souvenir-cli", &mut std::io::stdout());
            return Ok(0);
        }
        Command::ManPages { folder } => {
            std::fs::create_dir_all(&folder).map_err(failed)?;
            clap_mangen::generate_to(Arguments::command(), &folder).map_err(failed)?;
            return Ok(0);
        }
        command => command,
    };
    let clock = Clock { fixed: arguments.current_time };
    let keyring = arguments.gnupg_home.map_or_else(Keyring::default, Keyring::at);
    match command {
        Command::Backup(options) => {
            let protection = options.protection.protection();
            let passphrases = options.passphrase.read(environment)?;
            let rules = options.rules.read(&clock)?;
            let volume_bytes = options.volume_size.saturating_mul(1 << 20);
            let kind = options.kind();
            let compare = if options.compare_contents { Compare::Contents } else { Compare::Attributes };
            let summary = in_job(console, move |job| {
                let storage = options.destination.open(job)?;
                let copies = Copies::usual_cache()
                    .filter(|_| !options.no_cache)
                    .map_or_else(Copies::none, |cache| Copies::of(&cache, &*storage));
                let selection = Selection::from_rules(&options.source, &rules)?;
                backup(
                    &BackupRequest {
                        root: &options.source,
                        selection: &selection,
                        storage: &*storage,
                        protection: &protection,
                        keyring: &keyring,
                        passphrases: &passphrases,
                        volume_bytes,
                        set_time: arguments.current_time,
                        kind,
                        compare,
                        copies: &copies,
                        allow_source_mismatch: options.allow_source_mismatch,
                    },
                    job,
                )
            })?;
            report::backup(console, &summary)?;
            Ok(summary.warning_count)
        }
        Command::Restore(options) => {
            let passphrases = options.passphrase.read(environment)?;
            let time = clock.time_of(options.time)?;
            let paths = options
                .path
                .iter()
                .map(|path| EntryPath::from_user(path).context("--path leads out of the backup"))
                .collect::<anyhow::Result<Vec<_>>>()?;
            // One path becomes the target itself; several keep their places below it.
            let strip = if let [only] = &paths[..] { only.clone() } else { EntryPath::root() };
            let (conflict, dry_run) = (options.conflict(), options.dry_run);
            let with_request = move |job: &Job| {
                let storage = options.destination.open(job)?;
                let request = RestoreRequest {
                    storage: &*storage,
                    keyring: &keyring,
                    passphrases: &passphrases,
                    sign_key: options.sign_key.as_deref(),
                    time,
                    strip,
                    paths,
                    target: options.target,
                    conflict,
                };
                if dry_run { preview(&request, job).map(Err) } else { restore(&request, job).map(Ok) }
            };
            let summary = match in_job(console, with_request)? {
                Ok(summary) => summary,
                Err(previewed) => {
                    report::preview(console, &previewed)?;
                    return Ok(0);
                }
            };
            report::restore(console, &summary)?;
            Ok(summary.warning_count)
        }
        Command::List(options) => browse::list(console, options, keyring, environment, &clock),
        Command::Search(options) => browse::search(console, options, keyring, environment),
        Command::History(options) => browse::history(console, options, keyring, environment),
        Command::Changes(options) => browse::changes(console, options, keyring, environment, &clock),
        Command::Catalog(options) => browse::catalog(console, options, keyring, environment),
        Command::Status { destination } => {
            let found = in_job(console, move |job| status(&*destination.open(job)?, job))?;
            report_status::status(console, &found)?;
            Ok(0)
        }
        Command::Verify(options) => options.run(keyring, environment, &clock, console),
        Command::Drill(options) => options.run(keyring, environment, &clock, console),
        Command::Prune(options) => options.run(&clock, console),
        Command::RemoveOlderThan(options) => options.run(&clock, console),
        Command::RemoveAllButNFull(options) => options.run_all(console),
        Command::RemoveAllIncOfButNFull(options) => options.run_incremental(console),
        Command::Cleanup(options) => options.run(console),
        Command::Copy(options) => options.run(keyring, environment, console),
        Command::Key(command) => command.run(keyring, environment, console),
        Command::SshSetup { address } => {
            let place = address.to_string();
            let Address::Sftp(address) = address else {
                bail!("{place} is not on an SSH server; its address begins with sftp://");
            };
            let work = move |job: &Job| {
                Ok(set_up_key(&address, &Credentials::default(), &SftpOptions::default(), job)?)
            };
            let done = in_job(console, work)?;
            report::ssh_setup(console, &place, &done)?;
            Ok(0)
        }
        Command::Plan(_) | Command::Completions { .. } | Command::ManPages { .. } => Ok(0),
    }
}

/// What counts as now.
struct Clock {
    fixed: Option<SetTime>,
}

impl Clock {
    fn now(&self) -> SetTime {
        self.fixed.unwrap_or_else(SetTime::now)
    }

    /// The time that was typed, if any.
    fn time_of(&self, moment: Option<Moment>) -> anyhow::Result<Option<SetTime>> {
        moment.map(|moment| self.time(moment)).transpose()
    }

    fn time(&self, moment: Moment) -> anyhow::Result<SetTime> {
        moment.resolve(self.now(), &TimeZone::system()).context("the time cannot be used")
    }
}

/// Runs a verb as a job that Ctrl-C cancels and that asks on the terminal.
fn in_job<T: Send + 'static>(
    console: &Console,
    work: impl FnOnce(&Job) -> Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    Ok(in_job_noting(console, work, |_| {})?)
}

/// The same, and tells each warning.
fn in_job_noting<T: Send + 'static>(
    console: &Console,
    work: impl FnOnce(&Job) -> Result<T> + Send + 'static,
    note: impl FnMut(&Warning),
) -> Result<T> {
    // Before the work begins: a signal that comes at once must not just end the process.
    let signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).map_err(failed)?;
    let handle = job::spawn("souvenir-work", work)?;
    cancel_on(signals, handle.control.clone())?;
    console.watch(&handle, note)
}

fn cancel_on(mut signals: Signals, control: job::Control) -> Result<()> {
    let wait = move || {
        for signal in signals.forever() {
            control.cancel(if signal == SIGINT { CancelReason::User } else { CancelReason::Shutdown });
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(wait).map_err(failed)?;
    Ok(())
}

/// An error of the system that is no mistake of whoever typed the command.
fn failed(source: std::io::Error) -> Error {
    Error::Local { action: "running the command", source }
}

/// The log goes to standard error; `SOUVENIR_LOG` or `--verbose` turn it on.
fn start_log(verbose: bool) {
    use tracing_subscriber::EnvFilter;
    let fallback = if verbose { "souvenir=debug" } else { "off" };
    let filter = EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new(fallback));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}
