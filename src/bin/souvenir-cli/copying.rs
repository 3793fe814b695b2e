//! `copy`: what can be typed, and what became of it in words and as JSON.

use std::fmt::Write;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, ValueHint};
use indicatif::HumanBytes;
use serde_json::json;

use crate::console::duration_text;
use crate::limits::LimitOptions;
use crate::report::{counted, local_time, print};
use crate::secrets::{Environment, PassphraseOptions};
use crate::stores::{StoreOptions, TargetStoreOptions};
use crate::{Console, in_job};
use souvenir::engine::Result;
use souvenir::engine::copy::{
    CopyRequest, CopySummary, Known, Mode, Outcome, SetCopied, Voucher, Which, copy,
};
use souvenir::engine::crypto::Keyring;
use souvenir::engine::storage::Address;

/// `copy`.
#[derive(Debug, Args)]
pub struct CopyOptions {
    /// Where the backups are: a folder, or a URL such as sftp://user@host/folder or s3://bucket/folder
    #[arg(value_name = "FROM", value_parser = OsStringValueParser::new().try_map(|text| Address::parse(&text)), value_hint = ValueHint::DirPath)]
    from: Address,

    /// Where they are copied to; a folder is made if it is missing
    #[arg(value_name = "TO", value_parser = OsStringValueParser::new().try_map(|text| Address::parse(&text)), value_hint = ValueHint::DirPath)]
    to: Address,

    /// Copy also what no state is made of: sets that follow no other, sets that were never finished, and
    /// files of a kind that cannot be read
    #[arg(long)]
    all: bool,

    /// Take a file that is at TO already for the same if its name and size are, instead of reading it and
    /// comparing its hash
    #[arg(long)]
    by_size: bool,

    /// Open no manifest, so that neither a key nor a passphrase is needed. The hashes of volumes are then not
    /// compared with those that were noted when they were made; what is written is read back instead
    #[arg(long)]
    without_key: bool,

    /// Copy nothing, and say what would be copied, going by names and sizes
    #[arg(long)]
    dry_run: bool,

    /// What the URL of a bucket does not say; if both are buckets, it counts for both
    #[command(flatten)]
    store: StoreOptions,

    /// The same for TO alone
    #[command(flatten)]
    target: TargetStoreOptions,

    /// How fast it may come from FROM and go to TO
    #[command(flatten)]
    limits: LimitOptions,

    /// Where passphrases come from
    #[command(flatten)]
    passphrase: PassphraseOptions,
}

impl CopyOptions {
    /// Runs the verb. Gives the number of warnings.
    pub fn run(self, keyring: Keyring, environment: Environment, console: &Console) -> anyhow::Result<u64> {
        let secret = environment.target_access_key();
        let passphrases = self.passphrase.read(environment)?;
        let summary = in_job(console, move |job| {
            let limits = self.limits.limits();
            let to = match self.target.open(&self.to, secret, &limits, job)? {
                Some(to) => to,
                None => self.store.open(&self.to, &limits, job)?,
            };
            let request = CopyRequest {
                from: &*self.store.open(&self.from, &limits, job)?,
                to: &*to,
                keyring: &keyring,
                passphrases: &passphrases,
                which: if self.all { Which::Everything } else { Which::Chains },
                known: if self.by_size { Known::BySize } else { Known::ByHash },
                voucher: if self.without_key { Voucher::ReadingBack } else { Voucher::Manifests },
                mode: if self.dry_run { Mode::DryRun } else { Mode::Copy },
            };
            copy(&request, job)
        })?;
        report(console, &summary)?;
        Ok(summary.warning_count)
    }
}

fn report(console: &Console, summary: &CopySummary) -> Result<()> {
    if console.is_json() {
        return print(
            console,
            json!({
                "from": summary.from,
                "to": summary.to,
                "dry_run": summary.mode == Mode::DryRun,
                "sets": summary.sets.iter().map(set_json).collect::<Vec<_>>(),
                "files": summary.file_count,
                "copied_bytes": summary.copied_bytes,
                "warnings": summary.warning_count,
                "elapsed_secs": summary.elapsed.as_secs_f64(),
            }),
        );
    }
    let mut text = String::new();
    let (copied, sum) = match summary.mode {
        Mode::Copy => ("copied", "Copied"),
        Mode::DryRun => ("would copy", "Would copy"),
    };
    for set in &summary.sets {
        let what = match set.outcome {
            Outcome::Copied => copied,
            Outcome::Present => "there",
            Outcome::NotCopied => "not copied",
        };
        let kind = if set.full { "full" } else { "incremental" };
        // Writing to a String cannot fail.
        let _ = write!(text, "{what:13}{} ({}) {kind}", set.time, local_time(set.time.epoch()));
        if set.outcome == Outcome::Copied {
            let files = counted(set.file_count, "file", "files");
            let _ = write!(text, ": {files}, {}", HumanBytes(set.copied_bytes));
        }
        text.push('\n');
    }
    let set_count = summary.sets.iter().filter(|set| set.outcome == Outcome::Copied).count();
    if summary.file_count == 0 {
        text.push_str("There was nothing to copy.\n");
    } else {
        let _ = writeln!(
            text,
            "{sum} {} with {}, {}, in {}.",
            counted(set_count as u64, "set", "sets"),
            counted(summary.file_count, "file", "files"),
            HumanBytes(summary.copied_bytes),
            duration_text(summary.elapsed),
        );
    }
    console.result(&text)
}

fn set_json(set: &SetCopied) -> serde_json::Value {
    let outcome = match set.outcome {
        Outcome::Copied => "copied",
        Outcome::Present => "present",
        Outcome::NotCopied => "not copied",
    };
    json!({
        "time": set.time.to_string(),
        "full": set.full,
        "outcome": outcome,
        "files": set.file_count,
        "copied_bytes": set.copied_bytes,
    })
}
