//! One conversation with gpg: gpgme's callbacks, and what they learned.

use std::ffi::{CStr, CString};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::panic::UnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gpgme::{Context, ContextWithCallbacks, PinentryMode, Protocol};

use super::error::{AgentTrouble, CryptoError};
use super::keys::Keyring;
use super::orphans;
use super::passphrases::{PassphraseFor, Passphrases, Purpose, Secret};
use super::status::{self, Facts};
use crate::engine::error::{Error, Result};
use crate::engine::job::Job;

/// Bytes that gpgme moves at once. Its own 512 take half as much CPU again; more than a pipe holds is
/// moved about in memory for each part that the pipe takes.
const IO_BUFFER_BYTES: &str = "65536";

/// The oldest that is tried; before 2.1 there was no loopback to ask for passphrases.
const OLDEST_GPG: &str = "2.2";

/// What gpg-agent takes.
const MAX_PASSPHRASE_BYTES: usize = 255;

/// Whether gpg could be given this passphrase.
pub(super) fn fits_agent(secret: &Secret) -> bool {
    secret.expose().len() <= MAX_PASSPHRASE_BYTES
}

/// The error for one that it could not.
pub(super) fn too_long(what: &PassphraseFor) -> CryptoError {
    CryptoError::Other(format!("the passphrase for {what} is longer than {MAX_PASSPHRASE_BYTES} bytes"))
}

impl Keyring {
    /// A context that works in this keyring and asks nobody.
    pub(super) fn context(&self) -> Result<Context, CryptoError> {
        let mut context = Context::from_protocol(Protocol::OpenPgp).map_err(status::plain)?;
        if let Some(home) = self.home() {
            let home = CString::new(home.as_os_str().as_bytes()).map_err(|_| {
                CryptoError::Other("the folder of the keyring has a NUL in its name".to_owned())
            })?;
            context.set_engine_home_dir(home).map_err(status::plain)?;
        }
        // gpgme itself would report missing keys, and worse.
        if !context.engine_info().check_version(OLDEST_GPG) {
            return Err(CryptoError::GpgMissing);
        }
        // Never fetch keys, and leave no passphrase of a file behind in the agent.
        context.set_offline(true);
        context.set_flag("no-symkey-cache", "1").map_err(status::plain)?;
        context.set_flag("full-status", "1").map_err(status::plain)?;
        Ok(context)
    }
}

/// Large buffers for a stream to or from gpg.
pub(super) fn enlarge(data: &mut gpgme::Data<'_>) -> Result<(), CryptoError> {
    data.set_flag("io-buffer-size", IO_BUFFER_BYTES).map_err(status::plain)
}

/// Who answers gpg's questions in an operation, and how.
#[derive(Clone)]
pub(super) struct Answers {
    pub(super) passphrases: Passphrases,
    pub(super) job: Job,
    pub(super) purpose: Purpose,
    /// Whether somebody may be asked for what is not known.
    asks: bool,
    /// Passphrases that do not open the file at hand.
    refused: Arc<Mutex<Vec<Secret>>>,
}

impl Answers {
    /// Of what is known, and of whoever can be asked.
    pub(super) fn new(passphrases: Passphrases, job: Job, purpose: Purpose) -> Self {
        Self { passphrases, job, purpose, asks: true, refused: Arc::default() }
    }

    /// The same, but nobody is asked, and nothing that is refused counts as wrong.
    pub(super) fn of_what_is_known(&self) -> Self {
        Self { asks: false, ..self.clone() }
    }

    /// The same for another file.
    pub(super) fn for_another_file(&self) -> Self {
        Self { refused: Arc::default(), ..self.clone() }
    }

    fn find(&self, what: &PassphraseFor) -> Result<Option<Secret>> {
        let refused = self.refused();
        if self.asks {
            self.passphrases.for_gpg(what, self.purpose, &refused, &self.job)
        } else {
            Ok(self.passphrases.known_for_gpg(what, self.purpose, &refused))
        }
    }

    fn reject(&self, what: &PassphraseFor, secret: Secret) {
        match what {
            // Right for other files, perhaps.
            PassphraseFor::Archive => lock(&self.refused).push(secret),
            PassphraseFor::Key { .. } if self.asks => self.passphrases.reject(what, &secret),
            PassphraseFor::Key { .. } => lock(&self.refused).push(secret),
        }
    }

    fn refused(&self) -> Vec<Secret> {
        lock(&self.refused).clone()
    }
}

/// What gpg may want to be told in an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The passphrase of the backup itself, which the agent's pinentry must not ask for.
    Archive,
    /// The passphrase of a secret key in the keyring.
    Key,
    /// The PIN of the card that has the secret key, or the card itself.
    Pin,
}

/// One run of gpg.
pub(super) struct Talk {
    answers: Answers,
    notes: Arc<Mutex<Notes>>,
    /// Whether gpg's input is still open.
    has_input: Arc<AtomicBool>,
}

#[derive(Default)]
struct Notes {
    facts: Facts,
    /// Passphrases that were given to gpg.
    given: Vec<(PassphraseFor, Secret)>,
    /// What nobody had a passphrase for.
    refused: Option<PassphraseFor>,
    /// What ended the operation from our side.
    failure: Option<Error>,
}

impl Talk {
    pub(super) fn new(answers: Answers) -> Self {
        Self { answers, notes: Arc::default(), has_input: Arc::default() }
    }

    /// The stream that is gpg's input.
    pub(super) fn input<R>(&self, inner: R) -> Input<R> {
        self.has_input.store(true, Ordering::Release);
        Input { inner, is_open: Arc::clone(&self.has_input) }
    }

    /// A context whose questions come here, but for those of an agent that asks alone, and those about a card. gpg would
    /// ask here for a card that is away again and again, without end; and a few wrong answers block a card, so that
    /// nothing must be tried. The agent's pinentry says how many are left.
    ///
    /// Fails where the passphrase of a backup is wanted and the agent would not take it.
    pub(super) fn context(
        &self,
        keyring: &Keyring,
        wanted: Wanted,
    ) -> Result<ContextWithCallbacks<'static>, CryptoError> {
        let mut context = ContextWithCallbacks::from(keyring.context()?);
        context.set_status_handler(Listener {
            notes: Arc::clone(&self.notes),
            has_input: Arc::clone(&self.has_input),
        });
        let unasked = match wanted {
            Wanted::Pin => Some(AgentTrouble::NoCard),
            Wanted::Key if keyring.agent_asks_alone() => Some(AgentTrouble::NotAsked),
            // It would ask for each file anew.
            Wanted::Archive if keyring.agent_asks_alone() => {
                return Err(CryptoError::AgentLocked(AgentTrouble::TakesNoPassphrase));
            }
            Wanted::Archive | Wanted::Key => None,
        };
        let mode = match unasked {
            None => PinentryMode::Loopback,
            Some(_) if keyring.agent_asks() && self.answers.asks => PinentryMode::Default,
            Some(_) => PinentryMode::Error,
        };
        self.notes().facts.unasked = unasked.filter(|_| mode == PinentryMode::Error);
        context.set_pinentry_mode(mode).map_err(status::plain)?;
        if mode == PinentryMode::Loopback {
            context.set_passphrase_provider(Answerer {
                answers: self.answers.clone(),
                notes: Arc::clone(&self.notes),
            });
        }
        Ok(context)
    }

    /// What the status lines said. gpg must have ended.
    pub(super) fn facts(&self) -> Facts {
        std::mem::take(&mut self.notes().facts)
    }

    /// What ended the operation from our side.
    pub(super) fn failure(&self) -> Option<Error> {
        self.notes().failure.take()
    }

    /// Whether the operation was ended from our side.
    pub(super) fn has_failed(&self) -> bool {
        self.notes().failure.is_some()
    }

    /// Why gpg failed to seal or to sign. `what` is the passphrase that it needed, unless it said so.
    pub(super) fn seal_failure(&self, facts: &Facts, error: gpgme::Error, what: PassphraseFor) -> Error {
        if let Some(failure) = self.failure() {
            return failure;
        }
        if let Some(reason) = self.answers.job.control().cancelled() {
            return Error::Cancelled(reason);
        }
        if let Some(refusal) = self.refusal() {
            return refusal.into();
        }
        if facts.is_passphrase_wrong() {
            let what = facts.needs.clone().unwrap_or(what);
            return CryptoError::WrongPassphrase { what }.into();
        }
        facts.seal_error(error).into()
    }

    /// Whether nobody had a passphrase that gpg wanted.
    pub(super) fn is_refused(&self) -> bool {
        self.notes().refused.is_some()
    }

    /// After a failure over a wrong passphrase: forgets what gpg refused. True if it is worth another
    /// try, because there is another passphrase or somebody to ask.
    pub(super) fn learn_from_refusal(&self) -> bool {
        let mut notes = self.notes();
        let given = std::mem::take(&mut notes.given);
        // Whatever was refused once is refused again; only other answers can help.
        let is_any = !given.is_empty();
        given.into_iter().for_each(|(what, secret)| self.answers.reject(&what, secret));
        is_any
    }

    /// After a success: keeps in mind which passphrase of the archive it was.
    pub(super) fn learn_from_success(&self) {
        if let Some((PassphraseFor::Archive, secret)) = self.notes().given.pop() {
            self.answers.passphrases.accept(secret);
        }
    }

    /// The error for passphrases that were wrong or missing.
    pub(super) fn refusal(&self) -> Option<CryptoError> {
        let what = self.notes().refused.clone()?;
        let refused = if what == PassphraseFor::Archive { self.answers.refused() } else { Vec::new() };
        Some(self.answers.passphrases.refusal(what, &refused))
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        lock(&self.notes)
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gpg's input, which remembers whether it came to its end.
pub(super) struct Input<R> {
    inner: R,
    is_open: Arc<AtomicBool>,
}

impl<R: Read> Read for Input<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(bytes);
        if !matches!(count, Ok(1..)) {
            self.is_open.store(false, Ordering::Release);
        }
        count
    }
}

struct Listener {
    notes: Arc<Mutex<Notes>>,
    has_input: Arc<AtomicBool>,
}

impl UnwindSafe for Listener {}

impl gpgme::StatusHandler for Listener {
    fn handle(&mut self, first: Option<&CStr>, second: Option<&CStr>) -> gpgme::Result<()> {
        let first = first.unwrap_or_default().to_string_lossy();
        let second = second.unwrap_or_default().to_string_lossy();
        if first.is_empty() && second.is_empty() {
            // gpg is gone. If it did not take all of its input, gpgme would now wait for ever.
            if self.has_input.load(Ordering::Acquire) {
                orphans::release_during(Arc::downgrade(&self.notes));
            }
            return Ok(());
        }
        // gpgme 0.11 hands keyword and arguments over the wrong way round.
        let (keyword, arguments) = if Facts::knows(&second) { (second, first) } else { (first, second) };
        tracing::trace!(%keyword, "gpg");
        lock(&self.notes).facts.note(&keyword, &arguments);
        Ok(())
    }
}

struct Answerer {
    answers: Answers,
    notes: Arc<Mutex<Notes>>,
}

impl UnwindSafe for Answerer {}

impl gpgme::PassphraseProvider for Answerer {
    fn get_passphrase(&mut self, _: gpgme::PassphraseRequest<'_>, out: &mut dyn Write) -> gpgme::Result<()> {
        let what = lock(&self.notes).facts.needs.clone().unwrap_or(PassphraseFor::Archive);
        match self.answers.find(&what) {
            Ok(Some(secret)) if !fits_agent(&secret) => {
                lock(&self.notes).failure.get_or_insert(too_long(&what).into());
                Err(gpgme::Error::CANCELED)
            }
            Ok(Some(secret)) => {
                out.write_all(secret.expose())?;
                lock(&self.notes).given.push((what, secret));
                Ok(())
            }
            // An empty passphrase lets gpg go on to the next key, of which one may need none.
            Ok(None) => {
                lock(&self.notes).refused.get_or_insert(what);
                Ok(())
            }
            Err(error) => {
                lock(&self.notes).failure.get_or_insert(error);
                Err(gpgme::Error::CANCELED)
            }
        }
    }
}
