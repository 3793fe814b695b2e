//! The verbs that look after what is stored: what can be typed, and what it asks of the engine.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::{ArgGroup, Args, ValueHint};
use jiff::tz::TimeZone;

use crate::secrets::{Environment, PassphraseOptions};
use crate::stores::Destination;
use crate::{Clock, Console, in_job, report_upkeep as report};
use souvenir::engine::chain::removal::Policy;
use souvenir::engine::chain::retention::Rules;
use souvenir::engine::crypto::Keyring;
use souvenir::engine::drill::{DrillRequest, drill};
use souvenir::engine::format::moment::Moment;
use souvenir::engine::prune::{CleanupRequest, Mode, PruneRequest, cleanup, prune};
use souvenir::engine::verify::{CompareRequest, VerifyRequest, Which, compare, verify};

/// What all verbs that delete take.
#[derive(Debug, Args)]
pub struct DeleteOptions {
    /// Where the backups are
    #[command(flatten)]
    destination: Destination,

    /// Delete nothing, and say what would be deleted
    #[arg(long)]
    dry_run: bool,
}

/// `remove-older-than`.
#[derive(Debug, Args)]
pub struct OlderThanOptions {
    /// Chains that ended before this time go, such as 6M for six months; `restore --help` says how to
    /// write it
    #[arg(value_name = "TIME", value_parser = Moment::parse)]
    time: Moment,

    /// Where, and whether really
    #[command(flatten)]
    delete: DeleteOptions,
}

/// `remove-all-but-n-full` and `remove-all-inc-of-but-n-full`.
#[derive(Debug, Args)]
pub struct CountOptions {
    /// How many full backups are spared, counted from the newest
    #[arg(value_name = "N")]
    count: NonZeroU32,

    /// Where, and whether really
    #[command(flatten)]
    delete: DeleteOptions,
}

/// `prune`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("rules").multiple(true).required(true))]
pub struct PruneOptions {
    /// Keep the newest backup of each of the last N hours that have one
    #[arg(long, value_name = "N", group = "rules", default_value_t = 0, hide_default_value = true)]
    keep_hourly: u32,

    /// The same for days
    #[arg(long, value_name = "N", group = "rules", default_value_t = 0, hide_default_value = true)]
    keep_daily: u32,

    /// The same for weeks, which begin on Mondays
    #[arg(long, value_name = "N", group = "rules", default_value_t = 0, hide_default_value = true)]
    keep_weekly: u32,

    /// The same for months
    #[arg(long, value_name = "N", group = "rules", default_value_t = 0, hide_default_value = true)]
    keep_monthly: u32,

    /// The same for years
    #[arg(long, value_name = "N", group = "rules", default_value_t = 0, hide_default_value = true)]
    keep_yearly: u32,

    /// Keep all backups since this time, such as 7D for seven days; `restore --help` says how to write it
    #[arg(long, value_name = "TIME", group = "rules", value_parser = Moment::parse)]
    keep_within: Option<Moment>,

    /// Where, and whether really
    #[command(flatten)]
    delete: DeleteOptions,
}

/// `cleanup`.
#[derive(Debug, Args)]
pub struct CleanupOptions {
    /// For how long nothing must have been written to what is unfinished. 0s says that no backup is being
    /// made to this destination, by any machine
    #[arg(long, value_name = "INTERVAL", default_value = "1D", value_parser = interval)]
    untouched_for: Duration,

    /// Where, and whether really
    #[command(flatten)]
    delete: DeleteOptions,
}

/// `verify`.
#[derive(Debug, Args)]
pub struct VerifyOptions {
    /// Where the backups are
    #[command(flatten)]
    destination: Destination,

    /// Compare this folder, which was backed up, with the backup too: its attributes, and its contents
    /// with the signatures that were made of them
    #[arg(value_name = "SOURCE", value_hint = ValueHint::DirPath, conflicts_with = "all")]
    source: Option<PathBuf>,

    /// Check what makes up the state of that time instead of the newest; `restore --help` says how to
    /// write it
    #[arg(long, value_name = "TIME", value_parser = Moment::parse, conflicts_with = "all")]
    time: Option<Moment>,

    /// Check all backups that are there
    #[arg(long)]
    all: bool,

    /// Report files that are not signed by this key (fingerprint or key id)
    #[arg(long, value_name = "KEY")]
    sign_key: Option<String>,

    /// Where passphrases come from
    #[command(flatten)]
    passphrase: PassphraseOptions,
}

impl DeleteOptions {
    fn mode(&self) -> Mode {
        if self.dry_run { Mode::DryRun } else { Mode::Delete }
    }

    /// Deletes by a policy. Gives the number of warnings.
    fn prune(self, policy: Policy, console: &Console) -> anyhow::Result<u64> {
        let mode = self.mode();
        let summary = in_job(console, move |job| {
            let storage = self.destination.open(job)?;
            prune(&PruneRequest { storage: &*storage, policy: &policy, mode }, job)
        })?;
        report::prune(console, &summary)?;
        Ok(summary.warning_count)
    }
}

impl OlderThanOptions {
    /// Runs the verb. Gives the number of warnings, as all of these do.
    pub fn run(self, clock: &Clock, console: &Console) -> anyhow::Result<u64> {
        self.delete.prune(Policy::OlderThan(clock.time(self.time)?), console)
    }
}

impl CountOptions {
    /// Runs `remove-all-but-n-full`.
    pub fn run_all(self, console: &Console) -> anyhow::Result<u64> {
        self.delete.prune(Policy::AllButFull(self.count), console)
    }

    /// Runs `remove-all-inc-of-but-n-full`.
    pub fn run_incremental(self, console: &Console) -> anyhow::Result<u64> {
        self.delete.prune(Policy::IncrementalOfAllButFull(self.count), console)
    }
}

impl PruneOptions {
    /// Runs the verb.
    pub fn run(self, clock: &Clock, console: &Console) -> anyhow::Result<u64> {
        let rules = Rules {
            hourly: self.keep_hourly,
            daily: self.keep_daily,
            weekly: self.keep_weekly,
            monthly: self.keep_monthly,
            yearly: self.keep_yearly,
            within: clock.time_of(self.keep_within)?,
        };
        self.delete.prune(Policy::Retention { rules, zone: TimeZone::system() }, console)
    }
}

impl CleanupOptions {
    /// Runs the verb.
    pub fn run(self, console: &Console) -> anyhow::Result<u64> {
        let (mode, untouched_for) = (self.delete.mode(), self.untouched_for);
        let summary = in_job(console, move |job| {
            let storage = self.delete.destination.open(job)?;
            let now = SystemTime::now();
            cleanup(&CleanupRequest { storage: &*storage, mode, untouched_for, now }, job)
        })?;
        report::cleanup(console, &summary)?;
        Ok(summary.warning_count)
    }
}

impl VerifyOptions {
    /// Runs the verb.
    pub fn run(
        self,
        keyring: Keyring,
        environment: Environment,
        clock: &Clock,
        console: &Console,
    ) -> anyhow::Result<u64> {
        let passphrases = self.passphrase.read(environment)?;
        let time = clock.time_of(self.time)?;
        let which = if self.all { Which::All } else { Which::At(time) };
        let (summary, compared) = in_job(console, move |job| {
            let storage = &*self.destination.open(job)?;
            let request = VerifyRequest {
                storage,
                keyring: &keyring,
                passphrases: &passphrases,
                sign_key: self.sign_key.as_deref(),
                which,
            };
            let summary = verify(&request, job)?;
            let compare = |root: PathBuf| {
                let (keyring, passphrases) = (&keyring, &passphrases);
                compare(&CompareRequest { storage, keyring, passphrases, time, root: &root }, job)
            };
            Ok((summary, self.source.map(compare).transpose()?))
        })?;
        report::verify(console, &summary, compared.as_ref())?;
        let differences = compared.map_or(0, |compared| compared.difference_count + compared.warning_count);
        Ok(summary.warning_count + differences)
    }
}

/// `drill`.
#[derive(Debug, Args)]
pub struct DrillOptions {
    /// Where the backups are
    #[command(flatten)]
    destination: Destination,

    /// The folder that was backed up: restored files are compared with those that have not changed
    #[arg(value_name = "SOURCE", value_hint = ValueHint::DirPath)]
    source: Option<PathBuf>,

    /// How many files are tried
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    files: u32,

    /// Larger files are passed over, in MiB
    #[arg(long, value_name = "MB", default_value_t = 256)]
    max_file_size: u64,

    /// Where the scratch folder is made, which is deleted again [default: the folder for temporary files]
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    scratch: Option<PathBuf>,

    /// The dated reports go to the end of this file, a line of JSON each [default: drills.jsonl in the
    /// data folder of Souvenir]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    report: Option<PathBuf>,

    /// Restore from that time instead of the newest; `restore --help` says how to write it
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    time: Option<Moment>,

    /// Refuse backups that are not signed by this key (fingerprint or key id)
    #[arg(long, value_name = "KEY")]
    sign_key: Option<String>,

    /// Where passphrases come from
    #[command(flatten)]
    passphrase: PassphraseOptions,
}

impl DrillOptions {
    /// Runs the verb.
    pub fn run(
        self,
        keyring: Keyring,
        environment: Environment,
        clock: &Clock,
        console: &Console,
    ) -> anyhow::Result<u64> {
        let passphrases = self.passphrase.read(environment)?;
        let time = clock.time_of(self.time)?;
        let scratch = self.scratch.unwrap_or_else(std::env::temp_dir);
        let (location, summary) = in_job(console, move |job| {
            let storage = self.destination.open(job)?;
            let request = DrillRequest {
                storage: &*storage,
                keyring: &keyring,
                passphrases: &passphrases,
                sign_key: self.sign_key.as_deref(),
                time,
                sample_count: self.files as usize,
                max_file_bytes: self.max_file_size.saturating_mul(1 << 20),
                root: self.source.as_deref(),
                scratch: &scratch,
                seed: None,
            };
            Ok((storage.location(), drill(&request, job)?))
        })?;
        let report = self.report.or_else(|| {
            let folders = directories::ProjectDirs::from("", "", "souvenir")?;
            Some(folders.data_dir().join("drills.jsonl"))
        });
        report::drill(console, &location, &summary, report.as_deref())?;
        Ok(summary.failures.len() as u64 + summary.warning_count)
    }
}

/// How long something is.
pub fn interval(text: &str) -> Result<Duration, String> {
    match Moment::parse(text) {
        Ok(Moment::Ago(seconds)) => Ok(Duration::from_secs(seconds.unsigned_abs())),
        Ok(_) => Err("not an interval; write it like 1D or 2h30m".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
