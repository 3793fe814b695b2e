//! What can be typed to look into backups by way of the catalogue.

use std::path::PathBuf;

use clap::Args;

use crate::secrets::PassphraseOptions;
use crate::stores::Destination;
use souvenir::engine::format::moment::Moment;

const CATALOG: &str = "\
The catalogue is a local index of what the backups hold, in ~/.cache/souvenir. It is brought up to date
before each answer, which needs a key or passphrase only if there is a new encrypted backup; afterwards
no key is needed, and not even the destination. It holds names in clear text, readable by you alone:
`souvenir-cli catalog --empty DEST` removes it.";

const SEARCH: &str = "\
Examples:
  Every file that has \"invoice\" in its name, large or small letters, also those deleted since:
    souvenir-cli search /media/drive/backup invoice
  Pictures below any folder called 2024:
    souvenir-cli search /media/drive/backup '2024/**/*.jpg'

Each line shows the size, from when until when it was in the backups, and the path.";

const HISTORY: &str = "\
Example:
  All versions of a letter, and in which backup it was deleted:
    souvenir-cli history /media/drive/backup Letters/1998.txt
  One of them back:
    souvenir-cli restore --time 20260301T120000Z --path Letters/1998.txt /media/drive/backup 1998.txt";

const CHANGES: &str = "\
Examples:
  What was added, modified and deleted from one backup to another:
    souvenir-cli changes /media/drive/backup 20260301T120000Z 20260308T120000Z
  What is not as it was a week ago:
    souvenir-cli changes /media/drive/backup 7D now

`souvenir-cli restore --help` says how to write times.";

/// `search`.
#[derive(Debug, Args)]
#[command(after_help = SEARCH, after_long_help = format!("{SEARCH}\n\n{CATALOG}"))]
pub struct SearchOptions {
    /// Where the backups are
    #[command(flatten)]
    pub destination: Destination,

    /// A part of a name; or a shell pattern for the whole name, if it has `*`, `?` or `[`. With a slash
    /// it is about the folders above as well
    #[arg(value_name = "PATTERN")]
    pub pattern: String,

    /// Take `*`, `?` and `[` for themselves
    #[arg(long)]
    pub literal: bool,

    /// Show at most this many paths
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub limit: usize,

    /// Where passphrases come from
    #[command(flatten)]
    pub passphrase: PassphraseOptions,
}

/// `history`.
#[derive(Debug, Args)]
#[command(after_help = HISTORY, after_long_help = format!("{HISTORY}\n\n{CATALOG}"))]
pub struct HistoryOptions {
    /// Where the backups are
    #[command(flatten)]
    pub destination: Destination,

    /// The file or folder, relative to what was backed up
    #[arg(value_name = "PATH")]
    pub path: PathBuf,

    /// Where passphrases come from
    #[command(flatten)]
    pub passphrase: PassphraseOptions,
}

/// `changes`.
#[derive(Debug, Args)]
#[command(after_help = CHANGES, after_long_help = format!("{CHANGES}\n\n{CATALOG}"))]
pub struct ChangesOptions {
    /// Where the backups are
    #[command(flatten)]
    pub destination: Destination,

    /// The state of that time is compared
    #[arg(value_name = "FROM", value_parser = Moment::parse)]
    pub from: Moment,

    /// With the state of that time
    #[arg(value_name = "TO", value_parser = Moment::parse)]
    pub to: Moment,

    /// Where passphrases come from
    #[command(flatten)]
    pub passphrase: PassphraseOptions,
}

/// `catalog`.
#[derive(Debug, Args)]
#[command(after_help = CATALOG)]
pub struct CatalogOptions {
    /// Where the backups are
    #[command(flatten)]
    pub destination: Destination,

    /// Remove it
    #[arg(long, conflicts_with = "rebuild")]
    pub empty: bool,

    /// Make it anew from what is at the destination
    #[arg(long)]
    pub rebuild: bool,

    /// From now on, let the catalogues of all destinations together take at most this much, in MiB; the one
    /// that was not used for longest goes first
    #[arg(long, value_name = "MB")]
    pub limit: Option<u32>,

    /// Where passphrases come from
    #[command(flatten)]
    pub passphrase: PassphraseOptions,
}
