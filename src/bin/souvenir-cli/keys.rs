//! `key`: what is in the keyring, and keys on their way in and out of it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum, ValueHint};

use crate::console::Console;
use crate::secrets::{Environment, PassphraseOptions};
use crate::stores::Destination;
use crate::upkeep::interval;
use crate::{in_job, report_keys as report};
use souvenir::engine::crypto::{KeyAlgorithm, Keyring, NewKey, PassphraseFor, Passphrases};
use souvenir::engine::error::{Error, Result};
use souvenir::engine::job::Job;
use souvenir::kit::{Keep, KeepRequest, KitPlace, KitReader, Leftover, keep};

const KIT: &str = "\
It has the destination, the secret key as codes and as lines to type, still locked with its passphrase, and
the commands for gpg and duplicity that restore without Souvenir. Print it and keep the paper in another
place than this machine, and the passphrase apart from it.";

const EXPORT: &str = "\
Three files come out: the secret key, still locked with its passphrase, the public key, and the owner
trust. gpg takes them in without Souvenir:
  gpg --import NAME_FINGERPRINT.secret.asc
  gpg --import-ownertrust NAME_FINGERPRINT.ownertrust.txt

Whoever has the secret key and its passphrase can read all backups made for it. Keep it on a drive that
lies in another place than this machine.";

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Show the keys in the keyring
    List {
        /// Only this one (fingerprint, key id or e-mail address)
        #[arg(value_name = "KEY")]
        key: Option<String>,
    },
    /// Write a secret key, its public key and the owner trust into a folder
    Export(ExportOptions),
    /// Write a recovery kit: a document to print
    Kit(KitOptions),
    /// Take keys in
    ///
    /// Files that gpg exported, pictures (PNG, JPEG) of the pages of a recovery kit, the document itself, texts
    /// with its lines, or a folder with such files.
    Import(ImportOptions),
    /// Make a key to protect backups with
    Create(CreateOptions),
}

/// `key export`.
#[derive(Debug, Args)]
#[command(after_help = EXPORT)]
pub struct ExportOptions {
    /// The key (fingerprint, key id or e-mail address)
    #[arg(value_name = "KEY")]
    key: String,

    /// Where the files go; made if it is missing. Nothing in it is overwritten
    #[arg(value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    folder: PathBuf,

    /// Where passphrases come from
    #[command(flatten)]
    passphrase: PassphraseOptions,
}

/// `key kit`.
#[derive(Debug, Args)]
#[command(after_help = KIT)]
pub struct KitOptions {
    /// The key (fingerprint, key id or e-mail address)
    #[arg(value_name = "KEY")]
    key: String,

    /// Where the document goes; made if it is missing. Nothing in it is overwritten
    #[arg(value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    folder: PathBuf,

    /// The backups that the key opens, to be named in the kit
    #[command(flatten)]
    destination: Option<Destination>,

    /// Where passphrases come from
    #[command(flatten)]
    passphrase: PassphraseOptions,
}

/// `key import`.
#[derive(Debug, Args)]
pub struct ImportOptions {
    /// Files and folders
    #[arg(value_name = "FILE", required = true, value_hint = ValueHint::AnyPath)]
    files: Vec<PathBuf>,
}

/// `key create`.
#[derive(Debug, Args)]
pub struct CreateOptions {
    /// The name of the owner
    #[arg(value_name = "NAME")]
    name: String,

    /// The e-mail address of the owner
    #[arg(long, value_name = "ADDRESS", default_value = "", hide_default_value = true)]
    email: String,

    /// What kind of key
    #[arg(long, value_name = "KIND", default_value = "ed25519")]
    algorithm: Algorithm,

    /// How long it can be used for new backups, such as 2Y for two years; for ever without this. What was made
    /// for it before can be read ever after
    #[arg(long, value_name = "INTERVAL", value_parser = validity)]
    expires: Option<Duration>,

    /// Leave the secret key unlocked on the disk
    #[arg(long, conflicts_with_all = ["passphrase_file", "passphrase_fd"])]
    no_passphrase: bool,

    /// Where passphrases come from
    #[command(flatten)]
    passphrase: PassphraseOptions,
}

/// The kinds of key.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Algorithm {
    /// Ed25519 and Curve25519: quick and short
    Ed25519,
    /// RSA with 4096 bits, for programs that know nothing newer
    Rsa4096,
}

impl KeyCommand {
    /// Runs the command. Gives the number of warnings.
    pub fn run(self, keyring: Keyring, environment: Environment, console: &Console) -> anyhow::Result<u64> {
        match self {
            Self::List { key } => {
                let keys = in_job(console, move |_| match key {
                    Some(key) => Ok(vec![keyring.find(&key)?]),
                    None => Ok(keyring.list()?),
                })?;
                report::list(console, &keys)?;
            }
            Self::Export(options) => {
                let passphrases = options.passphrase.read(environment)?;
                let files = in_job(console, move |job| {
                    keyring.export_to(&options.key, &options.folder, &passphrases, job)
                })?;
                report::export(console, &files)?;
            }
            Self::Kit(options) => {
                let passphrases = options.passphrase.read(environment)?;
                let place = |destination: Destination| KitPlace {
                    name: String::new(),
                    address: destination.address(),
                };
                let places: Vec<KitPlace> = options.destination.into_iter().map(place).collect();
                let kept = in_job(console, move |job| {
                    let key = keyring.find(&options.key)?;
                    let request = KeepRequest {
                        keyring: &keyring,
                        key: &key,
                        folder: &options.folder,
                        what: Keep::Kit,
                        places: &places,
                    };
                    keep(&request, &passphrases, job)
                })?;
                report::kit(console, kept.kit.as_deref())?;
            }
            Self::Import(options) => {
                let (leftovers, imported) = in_job(console, move |_| {
                    let mut reader = KitReader::new();
                    for path in &options.files {
                        reader.add_path(path)?;
                    }
                    Ok((reader.leftovers(), keyring.import(&reader.material())))
                })?;
                // What is missing explains why there was nothing to take in.
                leftovers.iter().for_each(|leftover| console.warn(&report::leftover(leftover)));
                report::import(console, &imported.map_err(Error::from)?)?;
                // A page without codes is as it should be.
                let is_picture = |leftover: &&Leftover| matches!(leftover, Leftover::Picture(_));
                let missing = leftovers.iter().filter(|leftover| !is_picture(leftover)).count();
                return Ok(missing as u64);
            }
            Self::Create(options) => {
                let passphrases = options.passphrase.read(environment)?;
                let key = in_job(console, move |job| {
                    let new = options.new_key(&passphrases, job)?;
                    Ok(keyring.generate(&new)?)
                })?;
                report::create(console, &key)?;
            }
        }
        Ok(0)
    }
}

impl CreateOptions {
    fn new_key(self, passphrases: &Passphrases, job: &Job) -> Result<NewKey> {
        let what = PassphraseFor::Key { id: self.name.clone(), user_id: None };
        let passphrase = if self.no_passphrase { None } else { Some(passphrases.new_key(what, job)?) };
        Ok(NewKey {
            name: self.name,
            email: self.email,
            algorithm: match self.algorithm {
                Algorithm::Ed25519 => KeyAlgorithm::Ed25519,
                Algorithm::Rsa4096 => KeyAlgorithm::Rsa4096,
            },
            expires: self.expires,
            passphrase,
        })
    }
}

fn validity(text: &str) -> Result<Duration, String> {
    let written = interval(text)?;
    if written.is_zero() {
        return Err("a key that is not valid at all is of no use".to_owned());
    }
    Ok(written)
}
