//! Trying again what may work a little later: one layer for every place behind a line that can fail.
//!
//! Whether something is worth another attempt is told by the kind of its error alone. What an operation means
//! the second time is known here too: a deletion that finds nothing has been done by the first attempt, of
//! which only the answer was lost.

use std::fmt;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::lease::{self, LeaseTimes};
use super::{Lock, Storage, StorageError, StorageErrorKind, StorageResult, StoredFile, Upload};
use crate::engine::job::{CancelReason, Job};

/// How long a wait lasts before it is looked whether the job is to stop.
const POLL: Duration = Duration::from_millis(50);

/// How long to wait between attempts, and when to give up.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// The first wait; each further one is twice as long.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
    /// No new attempt is made when the first failure is so long ago.
    pub give_up_after: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            longest: Duration::from_secs(20),
            give_up_after: Duration::from_secs(180),
        }
    }
}

impl Backoff {
    /// For a person who waits for the answer: what fails is tried once more, and then told.
    pub fn brief() -> Self {
        Self { give_up_after: Duration::from_secs(1), ..Self::default() }
    }

    /// Makes attempts until one succeeds, fails in a way that will not pass, or it has taken too long. The
    /// operation is told how many attempts were made before. Once the job is to stop, nothing is tried again.
    pub fn run<T>(&self, job: &Job, mut operation: impl FnMut(u32) -> StorageResult<T>) -> StorageResult<T> {
        let mut delay = self.first;
        let mut failed_at = None;
        let mut attempt = 0;
        let mut trying_again = None;
        loop {
            let error = match operation(attempt) {
                Err(error) if error.is_retryable() => error,
                result => return result,
            };
            let failed_at: Instant = *failed_at.get_or_insert_with(Instant::now);
            if failed_at.elapsed() + delay > self.give_up_after {
                return Err(error);
            }
            tracing::warn!(%error, ?delay, "trying again");
            // Where the second attempt helps, nobody needs to know.
            if attempt > 0 {
                trying_again.get_or_insert_with(|| job.try_again());
            }
            let jitter = 0.75 + fastrand::f64() / 2.0;
            if let Err(reason) = pause(job, delay.mul_f64(jitter)) {
                let kind = StorageErrorKind::Cancelled(reason);
                return Err(StorageError { kind, ..error });
            }
            delay = (delay * 2).min(self.longest);
            attempt += 1;
        }
    }
}

/// Waits, unless the job is to stop.
fn pause(job: &Job, length: Duration) -> Result<(), CancelReason> {
    let end = Instant::now() + length;
    loop {
        if let Some(reason) = job.control().cancelled() {
            return Err(reason);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(POLL));
    }
}

/// A place in which everything that may work a little later is tried again. Uploads are only begun again:
/// what has become of one that was cut off, only the place itself can know.
pub struct Retrying<S: ?Sized> {
    inner: Arc<S>,
    backoff: Backoff,
    job: Job,
    lease: Option<LeaseTimes>,
}

impl<S: Storage + ?Sized> Retrying<S> {
    /// Wraps a place for one job.
    pub fn new(inner: Arc<S>, backoff: Backoff, job: &Job) -> Self {
        Self { inner, backoff, job: job.clone(), lease: None }
    }

    /// The same for a place without locks: a lease takes their part.
    pub(crate) fn leased(inner: S, backoff: Backoff, lease: LeaseTimes, job: &Job) -> Self
    where
        S: Sized,
    {
        Self { lease: Some(lease), ..Self::new(Arc::new(inner), backoff, job) }
    }

    fn run<T>(&self, operation: impl FnMut(u32) -> StorageResult<T>) -> StorageResult<T> {
        self.backoff.run(&self.job, operation)
    }

    fn has(&self, name: &str) -> StorageResult<bool> {
        Ok(self.inner.list()?.iter().any(|file| file.name == name))
    }
}

impl<S: ?Sized> Clone for Retrying<S> {
    fn clone(&self) -> Self {
        let (inner, job) = (Arc::clone(&self.inner), self.job.clone());
        Self { inner, job, backoff: self.backoff, lease: self.lease }
    }
}

impl<S: Storage + ?Sized> fmt::Debug for Retrying<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Retrying").field(&self.inner).finish()
    }
}

impl<S: Storage + ?Sized + 'static> Storage for Retrying<S> {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn list(&self) -> StorageResult<Vec<StoredFile>> {
        self.run(|_| self.inner.list())
    }

    fn list_folders(&self) -> StorageResult<Vec<String>> {
        self.run(|_| self.inner.list_folders())
    }

    fn open_from(&self, name: &str, offset: u64) -> StorageResult<Box<dyn Read + Send>> {
        let reader = self.run(|_| self.inner.open_from(name, offset))?;
        let (place, name) = (self.clone(), name.to_owned());
        Ok(Box::new(RetryingReader { place, name, offset, reader: Some(reader) }))
    }

    fn create(&self, name: &str) -> StorageResult<Box<dyn Upload>> {
        self.run(|_| self.inner.create(name))
    }

    fn rename(&self, from: &str, to: &str) -> StorageResult<()> {
        self.run(|attempt| match self.inner.rename(from, to) {
            // The attempt before may have done it, and only its answer was lost.
            Err(error) if attempt > 0 && error.kind == StorageErrorKind::NotFound && self.has(to)? => Ok(()),
            result => result,
        })
    }

    fn lock(&self, holder: &str) -> StorageResult<Lock> {
        match self.lease {
            Some(times) => lease::take(Arc::new(self.clone()), holder, times),
            None => self.run(|_| self.inner.lock(holder)),
        }
    }

    fn delete(&self, name: &str) -> StorageResult<()> {
        self.run(|attempt| match self.inner.delete(name) {
            Err(error) if attempt > 0 && error.kind == StorageErrorKind::NotFound => Ok(()),
            result => result,
        })
    }

    fn settle(&self) -> StorageResult<()> {
        self.run(|_| self.inner.settle())
    }

    fn modified(&self, name: &str) -> StorageResult<Option<SystemTime>> {
        self.run(|_| self.inner.modified(name))
    }

    fn free_bytes(&self) -> StorageResult<Option<u64>> {
        self.run(|_| self.inner.free_bytes())
    }

    fn max_file_bytes(&self) -> Option<u64> {
        self.inner.max_file_bytes()
    }

    fn local_folder(&self) -> Option<&Path> {
        self.inner.local_folder()
    }
}

/// A file that is opened again where it was cut off.
struct RetryingReader<S: ?Sized> {
    place: Retrying<S>,
    name: String,
    offset: u64,
    reader: Option<Box<dyn Read + Send>>,
}

impl<S: Storage + ?Sized> Read for RetryingReader<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Self { place, name, offset, reader } = self;
        let count = place.run(|_| {
            let mut open = match reader.take() {
                Some(open) => open,
                None => place.inner.open_from(name, *offset)?,
            };
            let count = loop {
                match open.read(buffer) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    result => break result.map_err(|error| into_storage_error(error, place, name))?,
                }
            };
            *reader = Some(open);
            Ok(count)
        })?;
        self.offset += count as u64;
        Ok(count)
    }
}

fn into_storage_error<S: Storage + ?Sized>(
    error: io::Error,
    place: &Retrying<S>,
    name: &str,
) -> StorageError {
    error.downcast().unwrap_or_else(|error| {
        StorageError::from_io("reading", format!("{}/{name}", place.inner.location()), error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Backoff = Backoff {
        first: Duration::from_millis(1),
        longest: Duration::from_millis(4),
        give_up_after: Duration::from_millis(60),
    };

    fn error(kind: StorageErrorKind) -> StorageError {
        StorageError::new(kind, "trying", "a place", "no")
    }

    #[test]
    fn what_may_pass_is_tried_again_and_nothing_else() {
        let job = Job::unattended();
        let result = QUICK.run(&job, |attempt| {
            if attempt < 3 { Err(error(StorageErrorKind::Unreachable)) } else { Ok(attempt) }
        });
        assert_eq!(result.unwrap(), 3);
        let mut attempts = 0;
        let result: StorageResult<()> = QUICK.run(&job, |_| {
            attempts += 1;
            Err(error(StorageErrorKind::Permission))
        });
        assert_eq!((result.unwrap_err().kind, attempts), (StorageErrorKind::Permission, 1));
        let result: StorageResult<()> = QUICK.run(&job, |_| Err(error(StorageErrorKind::Timeout)));
        assert_eq!(result.unwrap_err().kind, StorageErrorKind::Timeout);
    }

    #[test]
    fn a_cancel_ends_the_wait() {
        let job = Job::unattended();
        let slow =
            Backoff { first: Duration::from_secs(60), give_up_after: Duration::from_secs(600), ..QUICK };
        let control = job.control().clone();
        let begun = Instant::now();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            control.cancel(CancelReason::Metered);
        });
        let result: StorageResult<()> = slow.run(&job, |_| Err(error(StorageErrorKind::Unreachable)));
        assert_eq!(result.unwrap_err().kind, StorageErrorKind::Cancelled(CancelReason::Metered));
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}
