//! One backup plan: what is backed up, where to and how it is protected.
//!
//! A plan's backups have the root `/` and its folders as includes below it, so that any choice of
//! folders works and the original places are known. [`store`] keeps the plans, [`history`] what
//! became of their runs, [`run`] is what a run does, and [`schedule`] says when one is due.

pub mod alarm;
pub mod history;
pub mod keeping;
mod left_out;
pub mod lock;
mod pace;
mod path_text;
pub mod proof;
pub mod run;
pub mod safekeeping;
pub mod schedule;
pub mod store;
pub mod turn;

use std::io;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::engine::backup::{DEFAULT_VOLUME_MIB, resolve};
use crate::engine::chain::FullPolicy;
use crate::engine::crypto::Protection;
use crate::engine::error::{Error, Result};
use crate::engine::format::time::SetTime;
use crate::engine::job::Job;
use crate::engine::scan::Selection;
use crate::engine::storage::{
    Address, AwayDrive, Backoff, Credentials, DriveAddress, Limits, NetworkAddress, S3Address, SftpAddress,
    Storage, StorageError, StorageErrorKind, WebDavAddress,
};

pub use keeping::{FullEvery, Keep, Thinning};
pub use left_out::LeftOut;
pub use schedule::Schedule;
pub use store::{Plans, PlansProblem};

/// The folder that the paths in a plan's backups are relative to.
pub const ROOT: &str = "/";

/// What is backed up, where to, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Names the plan's history and its secrets; never changes.
    pub id: String,
    /// What the person calls it.
    pub name: String,
    /// The folders that are backed up, each with everything below it.
    #[serde(with = "path_text::list")]
    pub folders: Vec<PathBuf>,
    /// What is left out of them.
    #[serde(flatten)]
    pub left_out: LeftOut,
    /// Where the backups are kept.
    pub destination: Destination,
    /// Who can read them.
    pub protection: Protection,
    /// The size that a volume aims at, in mebibytes.
    #[serde(default = "default_volume_mib")]
    pub volume_mib: u64,
    /// How fast it may go to and from the destination.
    #[serde(flatten)]
    pub rates: Rates,
    /// How long snapshots are kept.
    #[serde(default)]
    pub keep: Keep,
    /// How often a full one begins a new chain.
    #[serde(default)]
    pub full_every: FullEvery,
    /// When it is backed up by itself.
    #[serde(default)]
    pub schedule: Schedule,
    /// When the person last said what to do about an [alarm], in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm_answered: Option<i64>,
    /// Since when backups are kept at this destination, in seconds since 1970; none: from the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_since: Option<i64>,
    /// Who could read older backups, oldest first. Their chains stay as they are, and the first backup
    /// after the change begins a new one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier_protections: Vec<EarlierProtection>,
}

/// A protection that a plan had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlierProtection {
    /// When another took its place, in seconds since 1970.
    pub until: i64,
    /// Who could read the backups.
    pub protection: Protection,
}

/// How many kibibytes a second may go to a destination and come from it; none: as many as can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rates {
    /// Those that go there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_limit: Option<NonZeroU64>,
    /// Those that come from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub download_limit: Option<NonZeroU64>,
}

impl Rates {
    /// The same as limits of one job.
    pub fn limits(&self) -> Limits {
        let bytes = |rate: NonZeroU64| rate.saturating_mul(NonZeroU64::new(1024).unwrap_or(NonZeroU64::MIN));
        Limits::new(self.upload_limit.map(bytes), self.download_limit.map(bytes))
    }
}

/// A destination, and how fast it may go to and from there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The place.
    pub destination: Destination,
    /// How fast.
    pub rates: Rates,
}

impl Access {
    /// The place, ready to be read and written, as [`Destination::open`] gives it.
    pub fn open(&self, job: &Job) -> Result<Box<dyn Storage>> {
        Ok(self.rates.limits().hold(self.destination.open(job)?, job))
    }

    /// The same, also while its drive is away: for who can do with what is kept of it on this computer.
    pub fn open_or_away(&self, job: &Job) -> Result<Box<dyn Storage>> {
        match (self.open(job), self.destination.address()) {
            (Err(Error::Storage(error)), Address::Drive(drive)) if error.kind == StorageErrorKind::Away => {
                Ok(Box::new(AwayDrive(drive)))
            }
            (opened, _) => opened,
        }
    }
}

/// A place that keeps backups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Destination {
    /// A folder that this computer can reach by its path.
    Folder {
        /// The folder.
        #[serde(with = "path_text")]
        path: PathBuf,
    },
    /// A folder on a drive that comes and goes.
    Drive {
        /// The UUID of its file system.
        uuid: String,
        /// What people call it.
        name: String,
        /// The folder, relative to the root of the drive.
        #[serde(with = "path_text")]
        path: PathBuf,
    },
    /// A folder on an SSH server.
    Sftp(SftpAccount),
    /// A part of a bucket of an object store that speaks S3.
    S3(S3Account),
    /// A folder on a WebDAV server.
    WebDav(WebDavAddress),
    /// A folder on the network that the desktop reaches.
    Network(NetworkAddress),
}

/// A folder on an SSH server, and with what somebody signs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SftpAccount {
    /// The folder.
    #[serde(flatten)]
    pub address: SftpAddress,
    /// The private key that the server knows; none: those that ssh would use.
    #[serde(default, with = "path_text::optional", skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
}

/// A part of a bucket, and who signs in. The secret that belongs to it is kept elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct S3Account {
    /// The bucket.
    #[serde(flatten)]
    pub address: S3Address,
    /// The access key id.
    pub key_id: String,
}

impl Plan {
    /// A new plan with the default volume size.
    pub fn new(
        name: impl Into<String>,
        folders: Vec<PathBuf>,
        destination: Destination,
        protection: Protection,
    ) -> Self {
        Self {
            id: new_id(),
            name: name.into(),
            folders,
            left_out: LeftOut::default(),
            destination,
            protection,
            volume_mib: DEFAULT_VOLUME_MIB,
            rates: Rates::default(),
            keep: Keep::default(),
            full_every: FullEvery::default(),
            schedule: Schedule::default(),
            alarm_answered: None,
            destination_since: None,
            earlier_protections: Vec::new(),
        }
    }

    /// Since when the protection holds, in seconds since 1970; none: from the beginning.
    pub fn protection_since(&self) -> Option<i64> {
        self.earlier_protections.last().map(|earlier| earlier.until)
    }

    /// Protects backups in another way from the next one on.
    pub fn change_protection(&mut self, protection: Protection, since: i64) {
        let protection = std::mem::replace(&mut self.protection, protection);
        self.earlier_protections.push(EarlierProtection { until: since, protection });
    }

    /// When the next backup is a full one though the chain could be extended, after these runs.
    pub fn full_policy(&self, runs: &[history::Run]) -> FullPolicy {
        let damaged_secs = self.last_proof(runs).and_then(history::Run::newest_damaged_secs);
        FullPolicy {
            protected_since: self.protection_since().and_then(SetTime::from_epoch),
            damaged: damaged_secs.and_then(SetTime::from_epoch),
            ..self.full_every.policy()
        }
    }

    /// The key that must have signed a snapshot of that time.
    pub fn sign_key_at(&self, time: SetTime) -> Option<&str> {
        let earlier = self.earlier_protections.iter().find(|earlier| time.epoch() < earlier.until);
        earlier.map_or(&self.protection, |earlier| &earlier.protection).sign_key.as_deref()
    }

    /// Its destination, and how fast it may go there.
    pub fn access(&self) -> Access {
        Access { destination: self.destination.clone(), rates: self.rates }
    }

    /// The rules that the folders amount to.
    pub fn selection(&self) -> Result<Selection> {
        self.left_out.of(&self.folders)
    }

    /// The size that a volume aims at, in bytes.
    pub fn volume_bytes(&self) -> u64 {
        self.volume_mib.max(1).saturating_mul(1 << 20)
    }
}

impl Destination {
    /// The place, ready to be read and written. What it wants to know is asked through `job`.
    /// A network folder can only be opened by a program that is a part of the desktop.
    pub fn open(&self, job: &Job) -> Result<Box<dyn Storage>> {
        self.open_with(Backoff::default(), job)
    }

    /// The same, where it is decided how often something is tried again.
    pub fn open_with(&self, backoff: Backoff, job: &Job) -> Result<Box<dyn Storage>> {
        #[cfg(feature = "desktop")]
        if let Self::Network(address) = self {
            return Ok(crate::platform::network::open(address, backoff, job)?);
        }
        Ok(self.address().open(&self.credentials(), backoff, job)?)
    }

    /// What is known of signing in there.
    pub fn credentials(&self) -> Credentials {
        match self {
            Self::S3(account) => {
                Credentials { key_id: Some(account.key_id.clone()), ..Credentials::default() }
            }
            Self::Sftp(account) => {
                Credentials { key_file: account.key_file.clone(), ..Credentials::default() }
            }
            _ => Credentials::default(),
        }
    }

    /// Its address.
    pub fn address(&self) -> Address {
        match self {
            Self::Folder { path } => Address::Folder(path.clone()),
            Self::Drive { uuid, name, path } => {
                Address::Drive(DriveAddress { uuid: uuid.clone(), name: name.clone(), path: path.clone() })
            }
            Self::Sftp(account) => Address::Sftp(account.address.clone()),
            Self::S3(account) => Address::S3(account.address.clone()),
            Self::WebDav(address) => Address::WebDav(address.clone()),
            Self::Network(address) => Address::Network(address.clone()),
        }
    }

    /// Fails if a folder that holds backups is gone. A drive that is away must not be taken for a new
    /// destination: its folder would be made on the disk below.
    pub fn expect_present(&self, holds_backups: bool) -> Result<()> {
        match self.folder() {
            Some(path) if holds_backups && !path.exists() => {
                let missing = io::Error::from(io::ErrorKind::NotFound);
                Err(StorageError::from_io("opening", path.display().to_string(), missing).into())
            }
            _ => Ok(()),
        }
    }

    /// The first of some folders that is the destination itself or lies in it: there it would be left out together with
    /// the backups.
    pub fn holding<'a>(&self, folders: &'a [PathBuf]) -> Option<&'a Path> {
        let place = resolve(&self.folder()?).ok()?;
        let is_held = |folder: &&PathBuf| resolve(folder).is_ok_and(|folder| folder.starts_with(&place));
        folders.iter().find(is_held).map(PathBuf::as_path)
    }

    /// The folder on this computer, if that is what the destination is and it is there.
    pub fn folder(&self) -> Option<PathBuf> {
        self.address().local_folder()
    }

    /// Whether backups would lie in the same place. A drive may have got another name.
    pub fn is_same_place(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Drive { uuid, path, .. }, Self::Drive { uuid: other_uuid, path: other_path, .. }) => {
                uuid == other_uuid && path == other_path
            }
            _ => self.address() == other.address(),
        }
    }

    /// Whether a file manager can show it.
    pub fn is_in_files(&self) -> bool {
        self.is_local() || matches!(self, Self::Network(_))
    }

    /// Whether the destination is on this computer or connected to it.
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Folder { .. } | Self::Drive { .. })
    }
}

fn default_volume_mib() -> u64 {
    DEFAULT_VOLUME_MIB
}

/// The clock in hexadecimal: [`Plans::add`] sees to it that it is not used twice.
fn new_id() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:x}", since.as_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_remembers_its_protections() {
        let folder = Destination::Folder { path: "/srv/backups".into() };
        let mut plan = Plan::new("Home", vec!["/home".into()], folder, Protection::passphrase());
        assert_eq!(plan.full_policy(&[]), FullPolicy::default());
        plan.change_protection(Protection::none(), 1_000);
        plan.change_protection(Protection::passphrase(), 2_000);
        plan.keep = Keep::Thinned(Thinning { daily: 9, ..Thinning::default() });
        plan.full_every = FullEvery::Month;
        assert_eq!(plan.full_policy(&[]).protected_since, SetTime::from_epoch(2_000));
        let text = toml::to_string_pretty(&plan).unwrap();
        assert_eq!(toml::from_str::<Plan>(&text).unwrap(), plan);
    }

    #[test]
    fn a_server_may_want_a_key_of_its_own() {
        let address = SftpAddress { user: None, host: "nas".into(), port: None, path: "b".into() };
        let plain = Destination::Sftp(SftpAccount { address: address.clone(), key_file: None });
        let text = toml::to_string(&plain).unwrap();
        assert_eq!(text, "kind = \"sftp\"\nhost = \"nas\"\npath = \"b\"\n");
        assert_eq!(toml::from_str::<Destination>(&text).unwrap(), plain);
        let with_key = Destination::Sftp(SftpAccount { address, key_file: Some("/home/ada/nas.key".into()) });
        let text = toml::to_string(&with_key).unwrap();
        assert_eq!(toml::from_str::<Destination>(&text).unwrap(), with_key);
        assert!(plain.is_same_place(&with_key), "what is stored there does not depend on who signs in");
    }

    #[test]
    fn a_network_folder_is_kept_under_its_uri() {
        let destination = Destination::Network(NetworkAddress::parse(r"\\nas\share\Back ups").unwrap());
        let text = toml::to_string(&destination).unwrap();
        assert_eq!(text, "kind = \"network\"\nuri = \"smb://nas/share/Back%20ups\"\n");
        assert_eq!(toml::from_str::<Destination>(&text).unwrap(), destination);
        assert!(!destination.is_local() && destination.folder().is_none());
    }
}
