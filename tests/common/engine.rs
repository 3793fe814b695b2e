//! The engine's verbs with everything they take, run as jobs whose warnings are collected.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::gpg::Home;

use souvenir::engine::backup::{BackupKind, BackupRequest, BackupSummary, Compare, backup};
use souvenir::engine::copies::Copies;
use souvenir::engine::crypto::{Encryption, Keyring, Passphrases, Protection, Recipient, Secret};
use souvenir::engine::format::time::SetTime;
use souvenir::engine::job::{self, CancelReason, Event, Job, Warning};
use souvenir::engine::list::{ListRequest, Listing, list};
use souvenir::engine::path::EntryPath;
use souvenir::engine::restore::{Conflict, RestoreRequest, RestoreSummary, restore};
use souvenir::engine::scan::{Rule, RuleKind, Selection};
use souvenir::engine::status::{Status, status};
use souvenir::engine::storage::{LocalFolder, Storage};
use souvenir::engine::verify::{VerifyRequest, VerifySummary, Which, verify};
use souvenir::engine::{Error, Result};

/// Small enough for several volumes of a small tree, in bytes.
pub const SMALL_VOLUMES: u64 = 3 << 19;

/// The passphrase of everything in the tests.
pub const PASSPHRASE: &str = "correct horse";

/// Everything a verb needs to know of a backup.
#[derive(Clone)]
pub struct Backup {
    pub root: PathBuf,
    pub storage: Arc<dyn Storage>,
    pub protection: Protection,
    keyring: Option<Keyring>,
    /// Made where no other keyring is given: nobody's own is touched.
    home: Arc<OnceLock<Home>>,
    pub passphrase: Option<String>,
    pub sign_key: Option<String>,
    pub volume_bytes: u64,
    pub set_time: Option<SetTime>,
    pub kind: BackupKind,
    pub compare: Compare,
    pub cache: Option<PathBuf>,
    pub rules: Vec<Rule>,
}

/// What a verb came to, and what it warned of.
pub type Outcome<T> = (Result<T>, Vec<Warning>);

impl Backup {
    /// An unencrypted one.
    pub fn new(root: &Path, destination: &Path) -> Self {
        Self {
            root: root.to_owned(),
            storage: Arc::new(LocalFolder::new(destination)),
            protection: Protection::none(),
            keyring: None,
            home: Arc::default(),
            passphrase: Some(PASSPHRASE.to_owned()),
            sign_key: None,
            volume_bytes: SMALL_VOLUMES,
            set_time: None,
            kind: BackupKind::Full,
            compare: Compare::Attributes,
            cache: None,
            rules: Vec::new(),
        }
    }

    pub fn protected(mut self, protection: Protection, keyring: Keyring) -> Self {
        self.protection = protection;
        self.keyring = Some(keyring);
        self
    }

    pub fn keyring(&self) -> Keyring {
        match &self.keyring {
            Some(keyring) => keyring.clone(),
            None if self.protection.is_openpgp() => self.home.get_or_init(Home::new).keyring(),
            None => Keyring::default(),
        }
    }

    pub fn stored_in(mut self, storage: Arc<dyn Storage>) -> Self {
        self.storage = storage;
        self
    }

    pub fn at(mut self, epoch: i64) -> Self {
        self.set_time = SetTime::from_epoch(epoch);
        self
    }

    /// Extends the newest chain, which must be possible.
    pub fn incremental(mut self) -> Self {
        self.kind = BackupKind::Incremental;
        self
    }

    pub fn rule(mut self, kind: RuleKind, pattern: impl Into<String>) -> Self {
        self.rules.push(Rule::Pattern(kind, pattern.into().into_bytes()));
        self
    }

    pub fn passphrases(&self) -> Passphrases {
        let passphrases = Passphrases::new();
        if let Some(text) = &self.passphrase {
            passphrases.set_archive(Secret::new(text.as_str()));
        }
        passphrases
    }

    pub fn try_back_up(&self) -> Outcome<BackupSummary> {
        let this = self.clone();
        run(move |job| {
            let selection = Selection::from_rules(&this.root, &this.rules)?;
            let request = BackupRequest {
                root: &this.root,
                selection: &selection,
                storage: &*this.storage,
                protection: &this.protection,
                keyring: &this.keyring(),
                passphrases: &this.passphrases(),
                volume_bytes: this.volume_bytes,
                set_time: this.set_time,
                kind: this.kind,
                compare: this.compare,
                copies: &this
                    .cache
                    .as_ref()
                    .map_or_else(Copies::none, |cache| Copies::of(cache, &*this.storage)),
                allow_source_mismatch: false,
            };
            backup(&request, job)
        })
    }

    /// Backs up, which must succeed without a warning.
    pub fn back_up(&self) -> BackupSummary {
        clean(self.try_back_up())
    }

    pub fn try_restore(&self, target: &Path, options: Options) -> Outcome<RestoreSummary> {
        let (this, target) = (self.clone(), target.to_owned());
        run(move |job| {
            let request = RestoreRequest {
                storage: &*this.storage,
                keyring: &this.keyring(),
                passphrases: &this.passphrases(),
                sign_key: this.sign_key.as_deref(),
                time: options.time,
                strip: options.strip,
                paths: options.paths,
                target,
                conflict: options.conflict,
            };
            restore(&request, job)
        })
    }

    /// Restores everything into a new folder, which must succeed without a warning.
    pub fn restore(&self, target: &Path) -> RestoreSummary {
        clean(self.try_restore(target, Options::default()))
    }

    pub fn try_list(&self, time: Option<SetTime>) -> Outcome<Listing> {
        let this = self.clone();
        run(move |job| {
            let request = ListRequest {
                storage: &*this.storage,
                keyring: &this.keyring(),
                passphrases: &this.passphrases(),
                time,
            };
            list(&request, job)
        })
    }

    pub fn list(&self) -> Listing {
        clean(self.try_list(None))
    }

    /// Lists the state of a time, which must succeed without a warning.
    pub fn list_at(&self, epoch: i64) -> Listing {
        clean(self.try_list(SetTime::from_epoch(epoch)))
    }

    /// Restores the state of a time into a new folder, which must succeed without a warning.
    pub fn restore_at(&self, epoch: i64, target: &Path) -> RestoreSummary {
        clean(self.try_restore(target, Options { time: SetTime::from_epoch(epoch), ..Options::default() }))
    }

    pub fn try_verify(&self, which: Which) -> Outcome<VerifySummary> {
        let this = self.clone();
        run(move |job| {
            let request = VerifyRequest {
                storage: &*this.storage,
                keyring: &this.keyring(),
                passphrases: &this.passphrases(),
                sign_key: this.sign_key.as_deref(),
                which,
            };
            verify(&request, job)
        })
    }

    /// Verifies all sets, which must be as they were written.
    pub fn verify(&self) -> VerifySummary {
        let summary = clean(self.try_verify(Which::All));
        assert_eq!(summary.damaged, []);
        summary
    }

    pub fn status(&self) -> Status {
        status(&*self.storage, &Job::unattended()).unwrap()
    }
}

/// What a restore may be told beside its target.
pub struct Options {
    pub time: Option<SetTime>,
    pub strip: EntryPath,
    pub paths: Vec<EntryPath>,
    pub conflict: Conflict,
}

impl Default for Options {
    fn default() -> Self {
        Self { time: None, strip: EntryPath::root(), paths: Vec::new(), conflict: Conflict::Refuse }
    }
}

impl Options {
    /// Only this path, which becomes the target.
    pub fn only(path: &[u8]) -> Self {
        let path = EntryPath::from_bytes(path).unwrap();
        Self { strip: path.clone(), paths: vec![path], ..Self::default() }
    }
}

/// Runs a verb to its end; questions are refused.
pub fn run<T: Send + 'static>(work: impl FnOnce(&Job) -> Result<T> + Send + 'static) -> Outcome<T> {
    run_with(work, |_| {})
}

/// The same, with the job's control handed to `begun` once it runs.
pub fn run_with<T: Send + 'static>(
    work: impl FnOnce(&Job) -> Result<T> + Send + 'static,
    begun: impl FnOnce(job::Control),
) -> Outcome<T> {
    let handle = job::spawn("test", work).unwrap();
    begun(handle.control.clone());
    let mut warnings = Vec::new();
    loop {
        match handle.events.recv_blocking().unwrap() {
            Event::Warning(warning) => warnings.push(warning),
            Event::Finished(result) => return (result, warnings),
            Event::Phase(_) | Event::Question(_) => {}
        }
    }
}

fn clean<T>((result, warnings): Outcome<T>) -> T {
    let value = result.unwrap();
    assert_eq!(warnings, []);
    value
}

/// The error of a verb that must fail.
pub fn error<T: std::fmt::Debug>((result, _): Outcome<T>) -> Error {
    result.unwrap_err()
}

/// Whether the verb was stopped for that reason.
pub fn is_cancelled<T>(outcome: &Outcome<T>, reason: CancelReason) -> bool {
    matches!(&outcome.0, Err(Error::Cancelled(found)) if *found == reason)
}

/// Encrypted to one key.
pub fn to_key(key: &str, hidden: bool, sign_key: Option<&str>) -> Protection {
    Protection {
        encryption: Encryption::Keys(vec![Recipient { key: key.to_owned(), hidden }]),
        sign_key: sign_key.map(str::to_owned),
    }
}

/// The names at a destination, sorted.
pub fn names(destination: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(destination)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
