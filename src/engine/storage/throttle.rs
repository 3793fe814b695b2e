//! Holding transfers back to a number of bytes a second: one layer for every place, shared by all files that
//! are on their way.
//!
//! Bytes stand in a row, and each has its moment: so many after the first of them, at the rate that is wanted.
//! Whoever wants to send takes the next places in the row and waits for the moment of the last. Moments are
//! counted from where the row began and not from one wait to the next, so that short or long waits never add
//! up. Nothing is saved up while nobody sends, but for a blink.

use std::fmt;
use std::io::{self, Read, Write};
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::{Lock, Storage, StorageError, StorageErrorKind, StorageResult, StoredFile, Upload};
use crate::engine::job::Job;

/// How long a wait lasts at most before it is looked whether the job is to stop.
const POLL: Duration = Duration::from_millis(50);

/// What may go out at once after nobody sent for a while, as a time at the rate that is wanted.
const BLINK: Duration = Duration::from_millis(100);

/// How many bytes a second may go to a place, and how many may come from it. Clones share them: whatever is
/// changed in one counts for all, at once.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    upload: Arc<Row>,
    download: Arc<Row>,
}

impl Limits {
    /// Limits in bytes a second; none: as fast as it goes.
    pub fn new(upload: Option<NonZeroU64>, download: Option<NonZeroU64>) -> Self {
        let limits = Self::default();
        limits.set_upload(upload);
        limits.set_download(download);
        limits
    }

    /// Changes the limit on what goes to the place, in bytes a second.
    pub fn set_upload(&self, rate: Option<NonZeroU64>) {
        self.upload.set_rate(rate, Instant::now());
    }

    /// Changes the limit on what comes from the place, in bytes a second.
    pub fn set_download(&self, rate: Option<NonZeroU64>) {
        self.download.set_rate(rate, Instant::now());
    }

    /// The place, held back by these limits. A cancel of `job` ends every wait.
    pub fn hold(&self, inner: Box<dyn Storage>, job: &Job) -> Box<dyn Storage> {
        Box::new(Throttled { inner, limits: self.clone(), job: job.clone() })
    }
}

/// Bytes in one direction.
#[derive(Debug)]
struct Row {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    rate: Option<NonZeroU64>,
    /// When the byte at `begin` has its moment.
    begun: Instant,
    begin: u128,
    /// Where the row ends: the place of the next byte.
    end: u128,
}

impl Default for Row {
    fn default() -> Self {
        let state = State { rate: None, begun: Instant::now(), begin: 0, end: 0 };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }
}

impl State {
    /// The moment of the byte in front of `place`. `None`: now.
    fn moment(&self, place: u128) -> Option<Instant> {
        let rate = u128::from(self.rate?.get());
        let nanos = place.saturating_sub(self.begin) * NANOS / rate;
        // What lies behind the end of all times is never reached either.
        let wait = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.begun.checked_add(wait)
    }

    /// The place whose moment is `now`, or the end of the row if that is over.
    fn place(&self, now: Instant) -> u128 {
        let elapsed = now.saturating_duration_since(self.begun).as_nanos();
        let passed = self.rate.map_or(u128::MAX, |rate| elapsed * u128::from(rate.get()) / NANOS);
        self.begin.saturating_add(passed).min(self.end)
    }

    /// Takes the next `count` places, and gives the end of them.
    fn take(&mut self, count: u64, now: Instant) -> u128 {
        let is_idle = self.moment(self.end).is_none_or(|moment| moment + BLINK < now);
        if is_idle {
            self.begun = now.checked_sub(BLINK).unwrap_or(now);
            self.begin = self.end;
        }
        self.end += u128::from(count);
        self.end
    }
}

const NANOS: u128 = 1_000_000_000;

impl Row {
    /// Who waits has the same place in the row, but at another moment.
    fn set_rate(&self, rate: Option<NonZeroU64>, now: Instant) {
        let mut state = self.state();
        state.begin = state.place(now);
        state.begun = now;
        state.rate = rate;
        drop(state);
        self.changed.notify_all();
    }

    /// Bytes to move at once, so that no wait is long: those of a tenth of a second.
    fn portion(&self, wanted: usize) -> usize {
        let portion = self.state().rate.map_or(u64::MAX, |rate| (rate.get() / 10).max(1));
        wanted.min(usize::try_from(portion).unwrap_or(usize::MAX))
    }

    /// Waits until that many bytes, which were just moved, may have been moved.
    fn wait(&self, count: usize, job: &Job, location: &dyn Fn() -> String) -> io::Result<()> {
        let mut state = self.state();
        if state.rate.is_none() || count == 0 {
            return Ok(());
        }
        let place = state.take(count as u64, Instant::now());
        loop {
            let Some(moment) = state.moment(place) else { return Ok(()) };
            let left = moment.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            if let Some(reason) = job.control().cancelled() {
                let kind = StorageErrorKind::Cancelled(reason);
                let error = StorageError::new(kind, "waiting to go on with", location(), "it was stopped");
                return Err(error.into());
            }
            let woken = self.changed.wait_timeout(state, left.min(POLL));
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place that is held back. What is listed, renamed and deleted, and the lock, are not.
struct Throttled {
    inner: Box<dyn Storage>,
    limits: Limits,
    job: Job,
}

impl fmt::Debug for Throttled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Throttled").field(&self.inner).finish()
    }
}

impl Storage for Throttled {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn list(&self) -> StorageResult<Vec<StoredFile>> {
        self.inner.list()
    }

    fn list_folders(&self) -> StorageResult<Vec<String>> {
        self.inner.list_folders()
    }

    fn open_from(&self, name: &str, offset: u64) -> StorageResult<Box<dyn Read + Send>> {
        let inner = self.inner.open_from(name, offset)?;
        let (location, job) = (format!("{}/{name}", self.inner.location()), self.job.clone());
        Ok(Box::new(HeldBack { inner, row: Arc::clone(&self.limits.download), location, job }))
    }

    fn create(&self, name: &str) -> StorageResult<Box<dyn Upload>> {
        let inner = self.inner.create(name)?;
        let (location, job) = (format!("{}/{name}", self.inner.location()), self.job.clone());
        Ok(Box::new(HeldBack { inner, row: Arc::clone(&self.limits.upload), location, job }))
    }

    fn rename(&self, from: &str, to: &str) -> StorageResult<()> {
        self.inner.rename(from, to)
    }

    fn lock(&self, holder: &str) -> StorageResult<Lock> {
        self.inner.lock(holder)
    }

    fn delete(&self, name: &str) -> StorageResult<()> {
        self.inner.delete(name)
    }

    fn settle(&self) -> StorageResult<()> {
        self.inner.settle()
    }

    fn modified(&self, name: &str) -> StorageResult<Option<SystemTime>> {
        self.inner.modified(name)
    }

    fn free_bytes(&self) -> StorageResult<Option<u64>> {
        self.inner.free_bytes()
    }

    fn max_file_bytes(&self) -> Option<u64> {
        self.inner.max_file_bytes()
    }

    fn local_folder(&self) -> Option<&Path> {
        self.inner.local_folder()
    }
}

/// A file on its way.
struct HeldBack<T> {
    inner: T,
    row: Arc<Row>,
    location: String,
    job: Job,
}

impl<T> HeldBack<T> {
    fn wait(&self, count: usize) -> io::Result<()> {
        self.row.wait(count, &self.job, &|| self.location.clone())
    }
}

impl Read for HeldBack<Box<dyn Read + Send>> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let portion = self.row.portion(buffer.len());
        let count = self.inner.read(&mut buffer[..portion])?;
        self.wait(count)?;
        Ok(count)
    }
}

impl Write for HeldBack<Box<dyn Upload>> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let portion = self.row.portion(buffer.len());
        let count = self.inner.write(&buffer[..portion])?;
        self.wait(count)?;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Upload for HeldBack<Box<dyn Upload>> {
    fn finish(self: Box<Self>) -> StorageResult<()> {
        self.inner.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::job::CancelReason;
    use crate::engine::storage::LocalFolder;

    fn rate(bytes: u64) -> Option<NonZeroU64> {
        NonZeroU64::new(bytes)
    }

    fn state(rate: u64) -> State {
        State { rate: NonZeroU64::new(rate), begun: Instant::now(), begin: 0, end: 0 }
    }

    #[test]
    fn moments_do_not_drift() {
        // A rate that no number of nanoseconds divides, in portions of no round size, for weeks.
        let mut state = state(7_777_777);
        let begun = state.begun;
        let (mut now, mut bytes) = (begun, 0_u64);
        for _ in 0..10_000_000 {
            let place = state.take(777_773, now);
            bytes += 777_773;
            now = state.moment(place).unwrap();
        }
        let expected = u128::from(bytes) * NANOS / 7_777_777;
        assert!((now - begun).as_nanos().abs_diff(expected) < 2, "{:?} {expected}", now - begun);
    }

    #[test]
    fn nothing_is_saved_up_but_a_blink() {
        let mut state = state(1000);
        let later = state.begun + Duration::from_secs(3600);
        let place = state.take(1100, later);
        assert_eq!(state.moment(place).unwrap(), later + Duration::from_secs(1));
    }

    #[test]
    fn who_waits_keeps_the_place_when_the_rate_changes() {
        let row = Row::default();
        let begun = Instant::now();
        row.set_rate(rate(1000), begun);
        let place = row.state().take(10_000, begun);
        // After a second a thousand bytes are over; nine thousand are to come, ten times as fast.
        row.set_rate(rate(10_000), begun + Duration::from_secs(1));
        assert_eq!(row.state().moment(place).unwrap(), begun + Duration::from_millis(1900));
        row.set_rate(None, begun + Duration::from_secs(1));
        assert_eq!(row.state().moment(place), None);
    }

    fn write(storage: &dyn Storage, name: &str, count: usize) -> io::Result<()> {
        let mut upload = storage.create(name)?;
        upload.write_all(&vec![7; count])?;
        Ok(upload.finish()?)
    }

    fn place(limits: &Limits, job: &Job) -> (tempfile::TempDir, Box<dyn Storage>) {
        let folder = tempfile::tempdir().unwrap();
        let storage = limits.hold(Box::new(LocalFolder::new(folder.path())), job);
        (folder, storage)
    }

    /// Seconds that something takes.
    fn seconds(work: impl FnOnce()) -> f64 {
        let begun = Instant::now();
        work();
        begun.elapsed().as_secs_f64()
    }

    #[test]
    fn all_files_share_a_rate_and_each_direction_has_its_own() {
        let job = Job::unattended();
        let (_folder, storage) = place(&Limits::new(rate(1_000_000), rate(4_000_000)), &job);
        let storage = &*storage;
        let up = seconds(|| {
            std::thread::scope(|scope| {
                for name in ["a", "b", "c", "d"] {
                    scope.spawn(move || write(storage, name, 400_000).unwrap());
                }
            });
        });
        assert!((1.3..4.0).contains(&up), "{up} s for 1.6 MB at 1 MB/s");
        let down = seconds(|| {
            for name in ["a", "b", "c", "d"] {
                let mut bytes = Vec::new();
                storage.open(name).unwrap().read_to_end(&mut bytes).unwrap();
                assert_eq!(bytes, vec![7; 400_000]);
            }
        });
        assert!((0.25..1.5).contains(&down), "{down} s for 1.6 MB at 4 MB/s");
    }

    #[test]
    fn the_rate_can_be_changed_while_a_file_is_under_way() {
        let job = Job::unattended();
        let limits = Limits::new(rate(1000), None);
        let (_folder, storage) = place(&limits, &job);
        let elapsed = seconds(|| {
            std::thread::scope(|scope| {
                scope.spawn(|| write(&*storage, "file", 2_000_000).unwrap());
                std::thread::sleep(Duration::from_millis(300));
                limits.set_upload(rate(2_000_000));
                std::thread::sleep(Duration::from_millis(300));
                limits.set_upload(None);
            });
        });
        // At its first rate it would take half an hour, at its second a second more.
        assert!((0.6..1.3).contains(&elapsed), "{elapsed}");
    }

    #[test]
    fn a_cancel_ends_the_wait() {
        let job = Job::unattended();
        let (folder, storage) = place(&Limits::new(rate(10), None), &job);
        let control = job.control().clone();
        let elapsed = seconds(|| {
            std::thread::scope(|scope| {
                let waiting = scope.spawn(|| write(&*storage, "file", 1_000_000).unwrap_err());
                std::thread::sleep(Duration::from_millis(100));
                control.cancel(CancelReason::Battery);
                let kind = StorageErrorKind::of(&waiting.join().unwrap());
                assert_eq!(kind, StorageErrorKind::Cancelled(CancelReason::Battery));
            });
        });
        assert!(elapsed < 2.0, "{elapsed}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
