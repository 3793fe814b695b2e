//! What can be typed. The help, the man page and the completions are made from this.

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{ArgAction, Args, Parser, Subcommand, ValueHint};

use crate::browse_arguments::{CatalogOptions, ChangesOptions, HistoryOptions, SearchOptions};
use crate::copying::CopyOptions;
use crate::keys::KeyCommand;
use crate::plans::PlanCommand;
use crate::rules::RuleOptions;
use crate::secrets::PassphraseOptions;
use crate::stores::Destination;
use crate::upkeep::{
    CleanupOptions, CountOptions, DrillOptions, OlderThanOptions, PruneOptions, VerifyOptions,
};
use souvenir::engine::Result;
use souvenir::engine::backup::{BackupKind, DEFAULT_VOLUME_MIB};
use souvenir::engine::chain::FullPolicy;
use souvenir::engine::crypto::{Encryption, Protection, Recipient};
use souvenir::engine::format::moment::Moment;
use souvenir::engine::format::time::SetTime;
use souvenir::engine::restore::Conflict;
use souvenir::engine::storage::Address;

const EXAMPLES: &str = "\
Examples:
  Back up a folder, protected by a passphrase that is asked for:
    souvenir-cli backup ~/Documents /media/drive/backup
  The same for the owner of a key, signed by another:
    souvenir-cli backup --encrypt-key alice@example.org --sign-key 0123456789ABCDEF ~/Documents /media/drive/backup
  See what is there, and bring one folder back as it was in a certain backup:
    souvenir-cli status /media/drive/backup
    souvenir-cli list /media/drive/backup
    souvenir-cli restore --path Letters --time 20260301T120000Z /media/drive/backup ~/Letters-in-March

  Keep backups on a server that speaks SSH, and sign in without a password from then on:
    souvenir-cli ssh-setup sftp://alice@nas.example.org/backup
    souvenir-cli backup ~/Documents sftp://alice@nas.example.org/backup
  Keep them in an object store; AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY say who signs in:
    souvenir-cli backup --s3-endpoint-url https://s3.example.org ~/Documents s3://bucket/documents
  Run what the schedules of the plans want, from a timer:
    souvenir-cli plan run --due

Exit codes:
  0    finished
  1    finished, with warnings: something was left out or is damaged, and all of it was named
  2    the command line makes no sense
  3    failed
  130  stopped by Ctrl-C or another signal; the next backup goes on with what is finished

The backups are in the duplicity format: `duplicity restore file:///media/drive/backup FOLDER` opens
them too.";

/// Back up folders in the duplicity format, and bring them back.
#[derive(Debug, Parser)]
#[command(name = "souvenir-cli", version, after_help = EXAMPLES, arg_required_else_help = true)]
pub struct Arguments {
    /// Print results as JSON, warnings and progress as JSON lines on standard error
    #[arg(long, global = true)]
    pub json: bool,

    /// Print what is being done to standard error
    #[arg(long, short, global = true)]
    pub verbose: bool,

    /// The folder with gpg's keys, instead of its usual one
    #[arg(long, global = true, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub gnupg_home: Option<PathBuf>,

    /// What counts as now, in seconds since 1970; a new set gets this time
    #[arg(long, hide = true, global = true, value_name = "EPOCH", value_parser = epoch)]
    pub current_time: Option<SetTime>,

    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a backup of a folder
    Backup(Box<BackupOptions>),
    /// Show what files a backup holds
    List(ListOptions),
    /// Search the names in all backups, also those of deleted files
    Search(SearchOptions),
    /// Show every version of a file or folder
    History(HistoryOptions),
    /// Show what changed between two backups
    Changes(ChangesOptions),
    /// Show, empty or rebuild the local index of what the backups hold
    Catalog(CatalogOptions),
    /// Bring files back
    Restore(RestoreOptions),
    /// Show which backups are at a destination; needs no key and no passphrase
    Status {
        /// Where the backups are
        #[command(flatten)]
        destination: Destination,
    },
    /// Check whether the stored files are as they were written
    Verify(VerifyOptions),
    /// Really restore a random sample, compare it, and keep a dated report
    ///
    /// The files go to a scratch folder that is deleted again. Each is compared with the signature that was
    /// made of it when it was backed up.
    Drill(DrillOptions),
    /// Delete old backups, keeping some of each hour, day, week, month and year
    ///
    /// The newest backup always stays, and so does whatever one that is kept builds on.
    Prune(PruneOptions),
    /// Delete all chains (full backups with their incremental ones) that ended before a time
    ///
    /// A chain goes whole or stays whole. The newest chain always stays.
    RemoveOlderThan(OlderThanOptions),
    /// Delete all chains but the newest N
    RemoveAllButNFull(CountOptions),
    /// Delete the incremental backups of all chains but the newest N
    RemoveAllIncOfButNFull(CountOptions),
    /// Delete what runs that did not end well have left behind
    ///
    /// Unfinished backups that were written to a short while ago stay, since they may still be in the
    /// making.
    Cleanup(CleanupOptions),
    /// Copy backups to another place, as they are
    ///
    /// Stored files are not changed, and none is overwritten. A backup appears at TO once all its files are
    /// there; a copy that was interrupted is gone on with.
    Copy(CopyOptions),
    /// Show, make, export and import the keys that protect backups
    #[command(subcommand)]
    Key(KeyCommand),
    /// Show and run the plans that were set up in the window
    #[command(subcommand)]
    Plan(PlanCommand),
    /// Let this machine sign in to an SSH server without a password
    ///
    /// Makes a key, ~/.ssh/id_ed25519_souvenir, unless there is one, adds it to the keys that the server lets
    /// in, and signs in with it to see that it works. The password is asked for, or taken from
    /// FTP_PASSWORD; it is needed only this once. No key is ever replaced.
    SshSetup {
        /// The server, such as sftp://user@host/folder
        #[arg(value_name = "DEST", value_parser = OsStringValueParser::new().try_map(|text| Address::parse(&text)))]
        address: Address,
    },
    /// Print the completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a folder
    #[command(hide = true)]
    ManPages {
        /// The folder, made if it is missing
        folder: PathBuf,
    },
}

/// `backup`.
#[derive(Debug, Args)]
pub struct BackupOptions {
    /// Make a full set, even if the newest chain could be extended
    #[arg(long, conflicts_with = "incremental")]
    pub full: bool,

    /// Extend the newest chain by an incremental set, or fail
    #[arg(long)]
    pub incremental: bool,

    /// Make a full set when that many incremental ones build on the last
    #[arg(long, value_name = "N", conflicts_with = "incremental")]
    full_if_increments: Option<u32>,

    /// Make a full set when the incremental ones on the last together have come to this share of it, in
    /// percent
    #[arg(long, value_name = "PERCENT", conflicts_with = "incremental")]
    full_if_share: Option<u32>,

    /// Read every file to find out whether it has changed, instead of going by size, time, mode and
    /// owner
    #[arg(long)]
    pub compare_contents: bool,

    /// Keep no copies of manifests and signatures in the cache folder. Without them an incremental backup
    /// to a key needs the secret key too
    #[arg(long)]
    pub no_cache: bool,

    /// Extend the chain even if another machine made it, or if it is of another folder
    #[arg(long)]
    pub allow_source_mismatch: bool,

    /// The folder to back up
    #[arg(value_name = "SOURCE", value_hint = ValueHint::DirPath)]
    pub source: PathBuf,

    /// Where to keep the backups
    #[command(flatten)]
    pub destination: Destination,

    /// Who can read them
    #[command(flatten)]
    pub protection: ProtectionOptions,

    /// Where passphrases come from
    #[command(flatten)]
    pub passphrase: PassphraseOptions,

    /// Size that a volume aims at, in MiB
    #[arg(long, value_name = "MB", default_value_t = DEFAULT_VOLUME_MIB, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    pub volume_size: u64,

    /// What of the folder is backed up
    #[command(flatten)]
    pub rules: RuleOptions,
}

/// `list`.
#[derive(Debug, Args)]
pub struct ListOptions {
    /// Where the backups are
    #[command(flatten)]
    pub destination: Destination,

    /// Only what is directly in this folder, relative to what was backed up; without it everything
    #[arg(value_name = "PATH")]
    pub path: Option<PathBuf>,

    /// With PATH: everything below it
    #[arg(long, short)]
    pub recursive: bool,

    /// The state of that time instead of the newest; `restore --help` says how to write it
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    pub time: Option<Moment>,

    /// Read the backup itself instead of the local index, and leave no names on this machine
    #[arg(long)]
    pub no_catalog: bool,

    /// Where passphrases come from
    #[command(flatten)]
    pub passphrase: PassphraseOptions,
}

/// `restore`.
#[derive(Debug, Args)]
pub struct RestoreOptions {
    /// Where the backups are
    #[command(flatten)]
    pub destination: Destination,

    /// Where the files go: a folder that is empty or does not exist yet
    #[arg(value_name = "TARGET", value_hint = ValueHint::AnyPath)]
    pub target: PathBuf,

    /// The state of that time instead of the newest.
    ///
    /// As `status` prints it (20260301T120000Z), YYYY-MM-DDThh:mm:ss with Z, an offset such as +02:00 or
    /// nothing; a date (2026-03-01 or 03/01/2026); an interval back from now, such as 3D or 1h30m (s, m, h,
    /// D, W, M for 30 days and Y for 365 days); seconds since 1970; or now. Where no zone is given, it is
    /// the local one without summer time
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    pub time: Option<Moment>,

    /// Only this file, or this folder with what it holds, becomes TARGET; given several times, each goes
    /// to its path below TARGET
    #[arg(long, value_name = "PATH", action = ArgAction::Append)]
    pub path: Vec<PathBuf>,

    /// Restore into a folder that is not empty; what to do where a file is already
    #[arg(long, value_name = "WHAT")]
    conflict: Option<OnConflict>,

    /// The same as --conflict replace
    #[arg(long, conflicts_with = "conflict")]
    force: bool,

    /// Only say what would be restored, and how much would have to be read for it
    #[arg(long)]
    pub dry_run: bool,

    /// Refuse backups that are not signed by this key (fingerprint or key id)
    #[arg(long, value_name = "KEY")]
    pub sign_key: Option<String>,

    /// Where passphrases come from
    #[command(flatten)]
    pub passphrase: PassphraseOptions,
}

/// What to do where a file is already.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum OnConflict {
    /// Leave what is there
    Skip,
    /// Restore beside it, as "NAME (restored)", unless both are the same
    KeepBoth,
    /// Replace what is older than the restored file
    NewerWins,
    /// Replace what is there
    Replace,
}

impl RestoreOptions {
    /// What to do where a file is already.
    pub fn conflict(&self) -> Conflict {
        match self.conflict {
            None if self.force => Conflict::Replace,
            None => Conflict::Refuse,
            Some(OnConflict::Skip) => Conflict::Skip,
            Some(OnConflict::KeepBoth) => Conflict::KeepBoth,
            Some(OnConflict::NewerWins) => Conflict::NewerWins,
            Some(OnConflict::Replace) => Conflict::Replace,
        }
    }
}

/// Who can read a backup.
#[derive(Debug, Args)]
pub struct ProtectionOptions {
    /// Encrypt to this key (fingerprint, key id or e-mail address); may be given several times
    #[arg(long, value_name = "KEY", action = ArgAction::Append, conflicts_with = "no_encryption")]
    encrypt_key: Vec<String>,

    /// Encrypt to this key without saying in the files whose it is
    #[arg(long, value_name = "KEY", action = ArgAction::Append, conflicts_with = "no_encryption")]
    hidden_encrypt_key: Vec<String>,

    /// Sign with this key
    #[arg(long, value_name = "KEY", conflicts_with = "no_encryption")]
    sign_key: Option<String>,

    /// Do not encrypt: whoever can read the destination can read the backup
    #[arg(long)]
    no_encryption: bool,
}

impl ProtectionOptions {
    /// The protection that was asked for: without any word on it, a passphrase.
    pub fn protection(&self) -> Protection {
        let recipient = |hidden| move |key: &String| Recipient { key: key.clone(), hidden };
        let keys: Vec<_> = self
            .encrypt_key
            .iter()
            .map(recipient(false))
            .chain(self.hidden_encrypt_key.iter().map(recipient(true)))
            .collect();
        let encryption = if self.no_encryption {
            Encryption::None
        } else if keys.is_empty() {
            Encryption::Passphrase
        } else {
            Encryption::Keys(keys)
        };
        Protection { encryption, sign_key: self.sign_key.clone() }
    }
}

impl BackupOptions {
    /// Full or incremental.
    pub fn kind(&self) -> BackupKind {
        if self.full {
            return BackupKind::Full;
        } else if self.incremental {
            return BackupKind::Incremental;
        }
        let usual = FullPolicy::default();
        BackupKind::Auto(FullPolicy {
            max_increments: self.full_if_increments.or(usual.max_increments),
            max_delta_percent: self.full_if_share.or(usual.max_delta_percent),
            ..usual
        })
    }
}

impl Arguments {
    /// Reads the command line, with the order of the rules, which clap does not keep by itself.
    pub fn parse() -> Self {
        let matches = <Self as clap::CommandFactory>::command().get_matches();
        let mut arguments =
            <Self as clap::FromArgMatches>::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        if let (Command::Backup(options), Some(matches)) =
            (&mut arguments.command, matches.subcommand_matches("backup"))
        {
            options.rules.put_in_order(matches);
        }
        arguments
    }
}

fn epoch(text: &str) -> Result<SetTime, String> {
    text.parse()
        .ok()
        .and_then(SetTime::from_epoch)
        .ok_or_else(|| "not a number of seconds since 1970".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definitions_are_sound() {
        Arguments::command().debug_assert();
    }
}
