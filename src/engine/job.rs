//! What every verb takes beside its own arguments: where events go, whether to stop, what time it is.
//!
//! Rare events (phase, warning, question, the end) travel on an unbounded channel and are never
//! lost. Progress travels on a channel of one place in which the newest wins, so that the engine
//! never waits for whoever draws it. Down comes a [`Control`]: cancel with a reason, pause, resume.
//! It is looked at for every buffer and during every wait.

mod control;
mod progress;
mod question;
mod warning;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use super::crypto::{PassphraseRequest, Secret};
use super::error::{Error, Result};
use super::path::EntryPath;
use super::storage::{CredentialRequest, HostKey, NetworkAddress, StorageResult};

pub use control::{CancelReason, Control};
pub use progress::{Phase, Progress};
pub use question::Question;
pub use warning::Warning;
pub(crate) use warning::amount;

/// What goes up from a job, apart from progress. `T` is the verb's summary.
#[derive(Debug)]
pub enum Event<T> {
    /// Another phase began.
    Phase(Phase),
    /// Something to know.
    Warning(Warning),
    /// Something to answer.
    Question(Question),
    /// The end; nothing comes after it.
    Finished(Result<T>),
}

enum Rare {
    Phase(Phase),
    Warning(Warning),
    Question(Question),
}

/// The context of one run of a verb. Clones belong to the same run.
#[derive(Clone)]
pub struct Job(Arc<Shared>);

struct Shared {
    control: Control,
    emit: Box<dyn Fn(Rare) + Send + Sync>,
    publish: async_channel::Sender<Progress>,
    counters: Counters,
    warnings: AtomicU64,
}

#[derive(Default)]
struct Counters {
    done_files: AtomicU64,
    total_files: AtomicU64,
    done_bytes: AtomicU64,
    total_bytes: AtomicU64,
    total_known: AtomicBool,
    stored_bytes: AtomicU64,
    /// Operations that are being tried again.
    trying_again: AtomicU64,
    slow: Mutex<SlowCounters>,
}

impl Counters {
    fn begin_anew(&self) {
        self.total_known.store(false, Ordering::Relaxed);
        for counter in
            [&self.done_files, &self.total_files, &self.done_bytes, &self.total_bytes, &self.stored_bytes]
        {
            counter.store(0, Ordering::Relaxed);
        }
    }
}

struct SlowCounters {
    phase: Phase,
    current_path: EntryPath,
    published: Option<Instant>,
}

impl Default for SlowCounters {
    fn default() -> Self {
        Self { phase: Phase::default(), current_path: EntryPath::root(), published: None }
    }
}

/// How often progress is published at most.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(100);

/// How long a wait for an answer lasts before the control is looked at again.
const ANSWER_POLL: Duration = Duration::from_millis(100);

impl Job {
    fn new(
        control: Control,
        publish: async_channel::Sender<Progress>,
        emit: impl Fn(Rare) + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Shared {
            control,
            emit: Box::new(emit),
            publish,
            counters: Counters::default(),
            warnings: AtomicU64::new(0),
        }))
    }

    /// A job that nobody watches: questions are refused, events are dropped.
    pub fn unattended() -> Self {
        let (publish, _) = async_channel::bounded(1);
        Self::new(Control::new(), publish, |_| {})
    }

    /// A part of this job whose questions go to `answer`, and of which nothing else is seen.
    pub fn asking(&self, answer: impl Fn(Question) + Send + Sync + 'static) -> Self {
        let (publish, _) = async_channel::bounded(1);
        Self::new(self.control().clone(), publish, move |rare| {
            if let Rare::Question(question) = rare {
                answer(question);
            }
        })
    }

    /// The control that this job obeys.
    pub fn control(&self) -> &Control {
        &self.0.control
    }

    /// See [`Control::check`].
    pub fn check(&self) -> Result<()> {
        self.0.control.check()
    }

    /// Begins a phase. Each counts its own work, but [`Phase::Finishing`] goes on with that of the phase before.
    pub fn phase(&self, phase: Phase) {
        let mut slow = self.slow();
        slow.phase = phase;
        if phase != Phase::Finishing {
            self.0.counters.begin_anew();
        }
        drop(slow);
        (self.0.emit)(Rare::Phase(phase));
        self.publish();
    }

    /// Tells of something that does not end the job.
    pub fn warn(&self, warning: Warning) {
        tracing::warn!(%warning);
        self.0.warnings.fetch_add(1, Ordering::Relaxed);
        (self.0.emit)(Rare::Warning(warning));
    }

    /// How many warnings there were so far.
    pub fn warning_count(&self) -> u64 {
        self.0.warnings.load(Ordering::Relaxed)
    }

    /// Adds to the totals while they are being counted.
    pub fn add_total(&self, files: u64, bytes: u64) {
        self.0.counters.total_files.fetch_add(files, Ordering::Relaxed);
        self.0.counters.total_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Says that the totals are final.
    pub fn total_is_known(&self) {
        self.0.counters.total_known.store(true, Ordering::Relaxed);
    }

    /// Notes the entry that is being worked on.
    pub fn entry_started(&self, path: &EntryPath) {
        let mut slow = self.slow();
        slow.current_path = path.clone();
        let is_due = slow.is_due();
        drop(slow);
        if is_due {
            self.publish();
        }
    }

    /// Counts an entry as done.
    pub fn entry_done(&self) {
        self.0.counters.done_files.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts bytes of file contents as done.
    pub fn bytes_done(&self, bytes: u64) {
        self.0.counters.done_bytes.fetch_add(bytes, Ordering::Relaxed);
        if self.slow().is_due() {
            self.publish();
        }
    }

    /// Counts bytes that went to or came from the destination.
    pub fn bytes_stored(&self, bytes: u64) {
        self.0.counters.stored_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Where the job stands.
    pub fn progress(&self) -> Progress {
        self.progress_of(&self.slow())
    }

    fn progress_of(&self, slow: &SlowCounters) -> Progress {
        let counters = &self.0.counters;
        Progress {
            phase: slow.phase,
            done_files: counters.done_files.load(Ordering::Relaxed),
            total_files: counters.total_files.load(Ordering::Relaxed),
            done_bytes: counters.done_bytes.load(Ordering::Relaxed),
            total_bytes: counters.total_bytes.load(Ordering::Relaxed),
            total_known: counters.total_known.load(Ordering::Relaxed),
            stored_bytes: counters.stored_bytes.load(Ordering::Relaxed),
            current_path: slow.current_path.clone(),
            trying_again: counters.trying_again.load(Ordering::Relaxed) > 0,
        }
    }

    /// Tells that something at the destination has failed and is tried again, for as long as the value lives.
    pub fn try_again(&self) -> TryingAgain {
        self.0.counters.trying_again.fetch_add(1, Ordering::Relaxed);
        self.publish();
        TryingAgain(self.clone())
    }

    /// Asks for a passphrase and waits for the answer. `None` means that nobody is there to answer
    /// or that the person declined.
    pub fn ask_passphrase(&self, request: PassphraseRequest) -> Result<Option<Secret>> {
        self.ask(|reply| Question::Passphrase { request, reply }).map(Option::flatten)
    }

    /// Asks for what a place wants to know and waits for the answer. `None` means that nobody is there
    /// to answer or that the person declined.
    pub fn ask_credential(&self, request: CredentialRequest) -> Result<Option<Secret>> {
        self.ask(|reply| Question::Credential { request, reply }).map(Option::flatten)
    }

    /// Asks whether a server's key is the right one and waits for the answer. Nobody being there is a no.
    pub fn ask_host_key(&self, key: HostKey) -> Result<bool> {
        self.ask(|reply| Question::HostKey { key, reply }).map(|answer| answer.unwrap_or(false))
    }

    /// Asks whether to go on with the chain of a machine of another name. `None` means that nobody is there.
    pub fn ask_other_host(&self, found: String) -> Result<Option<bool>> {
        self.ask(|reply| Question::OtherHost { found, reply })
    }

    /// Asks somebody to sign in to the server of a network folder, and waits until that is done or has failed.
    /// `None` means that nobody is there.
    pub fn ask_mount(&self, address: NetworkAddress) -> Result<Option<StorageResult<()>>> {
        self.ask(|reply| Question::Mount { address, reply })
    }

    /// Asks and waits. `None` if the question was dropped.
    fn ask<T>(&self, question: impl FnOnce(mpsc::SyncSender<T>) -> Question) -> Result<Option<T>> {
        let (reply, answer) = mpsc::sync_channel(1);
        (self.0.emit)(Rare::Question(question(reply)));
        loop {
            if let Some(reason) = self.0.control.cancelled() {
                return Err(Error::Cancelled(reason));
            }
            match answer.recv_timeout(ANSWER_POLL) {
                Ok(answer) => return Ok(Some(answer)),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                // Whoever stops the job no longer answers.
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    let cancelled = self.0.control.cancelled();
                    return cancelled.map_or(Ok(None), |reason| Err(Error::Cancelled(reason)));
                }
            }
        }
    }

    fn publish(&self) {
        let mut slow = self.slow();
        slow.published = Some(Instant::now());
        // Under the lock, so that what one thread says is not followed by what another one has seen before. Only fails
        // when nobody watches, and never waits.
        let _ = self.0.publish.force_send(self.progress_of(&slow));
    }

    fn slow(&self) -> MutexGuard<'_, SlowCounters> {
        self.0.counters.slow.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An operation of a job that is being tried again.
pub struct TryingAgain(Job);

impl Drop for TryingAgain {
    fn drop(&mut self) {
        self.0.0.counters.trying_again.fetch_sub(1, Ordering::Relaxed);
        self.0.publish();
    }
}

impl SlowCounters {
    fn is_due(&self) -> bool {
        self.published.is_none_or(|at| at.elapsed() >= PUBLISH_INTERVAL)
    }
}

/// A running job, as its owner sees it.
#[derive(Debug)]
pub struct JobHandle<T> {
    /// Phases, warnings, questions, and exactly one [`Event::Finished`] as the last.
    pub events: async_channel::Receiver<Event<T>>,
    /// The newest progress.
    pub progress: async_channel::Receiver<Progress>,
    /// The way down.
    pub control: Control,
}

/// Runs `work` on a thread called `name`. Whatever happens in it, a panic too, exactly one
/// [`Event::Finished`] comes out.
pub fn spawn<T, F>(name: &str, work: F) -> Result<JobHandle<T>>
where
    T: Send + 'static,
    F: FnOnce(&Job) -> Result<T> + Send + 'static,
{
    let (event_sender, events) = async_channel::unbounded();
    let (publish, progress) = async_channel::bounded(1);
    let control = Control::new();
    let rare_sender = event_sender.clone();
    let job = Job::new(control.clone(), publish, move |rare| {
        let event = match rare {
            Rare::Phase(phase) => Event::Phase(phase),
            Rare::Warning(warning) => Event::Warning(warning),
            Rare::Question(question) => Event::Question(question),
        };
        // Only fails when the owner is gone, and then nobody is left to tell.
        let _ = rare_sender.try_send(event);
    });
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            let result =
                catch_unwind(AssertUnwindSafe(|| work(&job))).unwrap_or_else(|panic| Err(panicked(&*panic)));
            job.publish();
            let _ = event_sender.try_send(Event::Finished(result));
        })
        .map_err(|source| Error::Local { action: "starting a thread", source })?;
    Ok(JobHandle { events, progress, control })
}

/// The error for a panic that was caught in a worker.
pub(crate) fn panicked(panic: &(dyn std::any::Any + Send)) -> Error {
    let message = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a worker panicked".to_owned());
    Error::Internal(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_still_finishes_once() {
        let handle = spawn::<(), _>("panics", |_| panic!("on purpose")).unwrap();
        let mut ends = 0;
        while let Ok(event) = handle.events.recv_blocking() {
            if let Event::Finished(result) = event {
                assert_eq!(result.unwrap_err().to_string(), "internal error: on purpose");
                ends += 1;
            }
        }
        assert_eq!(ends, 1);
    }

    #[test]
    fn cancel_ends_a_pause_and_a_question() {
        let handle = spawn("waits", |job| {
            job.control().pause();
            let first = job.check();
            assert!(matches!(first, Err(Error::Cancelled(CancelReason::Battery))));
            job.ask_passphrase(PassphraseRequest::archive())
        })
        .unwrap();
        std::thread::sleep(Duration::from_millis(20));
        handle.control.cancel(CancelReason::Battery);
        handle.control.cancel(CancelReason::User);
        let end = loop {
            match handle.events.recv_blocking().unwrap() {
                Event::Finished(result) => break result,
                _ => continue,
            }
        };
        assert!(matches!(end, Err(Error::Cancelled(CancelReason::Battery))));
    }

    #[test]
    fn the_newest_progress_wins() {
        let handle = spawn("counts", |job| {
            for _ in 0..10 {
                job.bytes_done(5);
                job.publish();
            }
            Ok(())
        })
        .unwrap();
        while !matches!(handle.events.recv_blocking().unwrap(), Event::Finished(_)) {}
        assert_eq!(handle.progress.recv_blocking().unwrap().done_bytes, 50);
    }
}
