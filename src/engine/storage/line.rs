//! What places have in common whose requests other threads carry, while the engine's own wait for them: all
//! waits have limits and end with a cancel.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

use super::{CredentialRequest, StorageError, StorageErrorKind, StorageResult, WantedCredential};
use crate::engine::crypto::Secret;
use crate::engine::job::{CancelReason, Job};

/// Threads that carry what goes over the line. They hardly compute.
const THREADS: usize = 2;

/// How often a wait looks whether the job is to stop.
const POLL: Duration = Duration::from_millis(50);

/// How long what is begun after a cancel may take: a lock is to be let go of.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The slowest line that is waited for, in bytes a second.
const SLOWEST_BYTES_PER_SEC: u64 = 8 << 10;

/// How long to wait.
#[derive(Debug, Clone, Copy)]
pub struct HttpTimes {
    /// For a connection.
    pub connect: Duration,
    /// For the next byte; for an answer to what is sent, so much longer as it takes to send it.
    pub silence: Duration,
}

impl Default for HttpTimes {
    fn default() -> Self {
        Self { connect: Duration::from_secs(20), silence: Duration::from_secs(60) }
    }
}

impl HttpTimes {
    /// A client that keeps to them.
    pub(super) fn client(&self) -> Result<reqwest::Client, reqwest::Error> {
        reqwest::Client::builder()
            .connect_timeout(self.connect)
            .user_agent(concat!("souvenir/", env!("CARGO_PKG_VERSION")))
            // Who signs in here does not want to be known elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .build()
    }

    /// How long the answer to so many bytes may take.
    pub(super) fn answer_to(&self, bytes: u64) -> Duration {
        self.silence + Duration::from_secs(bytes / SLOWEST_BYTES_PER_SEC)
    }
}

/// Carries the requests of one place for one job.
pub(crate) struct Line {
    threads: Threads,
    job: Job,
}

/// The threads of a line. Nobody waits for what one of them does when the line is given up: an answer that never
/// comes may hold it for ever.
struct Threads {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Threads {
    fn new(runtime: Runtime) -> Self {
        Self { handle: runtime.handle().clone(), runtime: Some(runtime) }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Line {
    /// Fails if no thread can be started.
    pub fn new(location: &str, job: &Job) -> StorageResult<Self> {
        let threads =
            Builder::new_multi_thread().worker_threads(THREADS).thread_name("line").enable_all().build();
        let runtime = threads.map_err(|source| StorageError::from_io("opening", location, source))?;
        Ok(Self { threads: Threads::new(runtime), job: job.clone() })
    }

    /// The job that the requests are for.
    pub fn job(&self) -> &Job {
        &self.job
    }

    /// Waits for what goes on there, unless the job is to stop; what is begun after that still has a second. Both
    /// results, one in the other, so that only the inner one knows whose error it is.
    pub fn wait<T, E>(
        &self,
        action: &'static str,
        location: &str,
        work: impl Future<Output = Result<T, E>>,
    ) -> StorageResult<Result<T, E>> {
        let grace = if self.job.control().cancelled().is_some() { LAST_WORDS } else { Duration::ZERO };
        let result = self.threads.handle.block_on(async {
            tokio::select! {
                biased;
                reason = stopped(&self.job, grace) => Err(reason),
                result = work => Ok(result),
            }
        });
        result.map_err(|reason| cancelled(reason, action, location))
    }

    /// The same, for so long at most.
    pub fn wait_at_most<T, E>(
        &self,
        limit: Duration,
        action: &'static str,
        location: &str,
        work: impl Future<Output = Result<T, E>>,
    ) -> StorageResult<Result<T, E>> {
        // A timer can only be made where there are threads to wake it.
        let limited = async { tokio::time::timeout(limit, work).await };
        self.wait(action, location, limited)?.map_err(|_| {
            let reason = format!("no answer for {} seconds", limit.as_secs());
            StorageError::new(StorageErrorKind::Timeout, action, location, reason)
        })
    }

    /// Does something there even if the job is to stop, for so long at most. What fails is only noted.
    pub fn tidy<E>(&self, limit: Duration, location: &str, work: impl Future<Output = Result<(), E>>) {
        let result = self.threads.handle.block_on(async { tokio::time::timeout(limit, work).await });
        if !matches!(result, Ok(Ok(()))) {
            tracing::warn!(location, "what was begun there could not be taken back");
        }
    }

    /// Asks for a secret. Nobody giving one is an error.
    pub fn ask(
        &self,
        location: &str,
        wanted: WantedCredential,
        previous_was_wrong: bool,
    ) -> StorageResult<Secret> {
        let request = CredentialRequest { location: location.to_owned(), wanted, previous_was_wrong };
        let reason = match self.job.ask_credential(request) {
            Ok(Some(secret)) => return Ok(secret),
            Ok(None) => "what it asks for was not given".to_owned(),
            Err(error) => error.to_string(),
        };
        Err(match self.job.control().cancelled() {
            Some(reason) => cancelled(reason, "signing in to", location),
            None => StorageError::new(StorageErrorKind::Credentials, "signing in to", location, reason),
        })
    }
}

fn cancelled(reason: CancelReason, action: &'static str, location: &str) -> StorageError {
    StorageError::new(StorageErrorKind::Cancelled(reason), action, location, "the job was stopped")
}

/// Returns once the job is to stop and so much time has passed.
async fn stopped(job: &Job, grace: Duration) -> CancelReason {
    loop {
        if let Some(reason) = job.control().cancelled() {
            tokio::time::sleep(grace).await;
            return reason;
        }
        tokio::time::sleep(POLL).await;
    }
}

/// What an HTTP client could not do: the kind, and the words of the innermost error, which say most.
pub(super) fn client_failure(error: &dyn Error) -> (StorageErrorKind, String) {
    let mut reason = error.to_string();
    let mut is_certificate = false;
    let mut source = error.source();
    while let Some(error) = source {
        reason = error.to_string();
        is_certificate |= reason.contains("certificate");
        source = error.source();
    }
    let kind = if is_certificate { StorageErrorKind::Certificate } else { StorageErrorKind::Unreachable };
    (kind, reason)
}
