//! A lock for places that have none of their own: a file that its holder keeps fresh.
//!
//! The lock is a file that can be created only once. Its holder shows a sign of life every minute by a
//! second file, made anew. Both ages are told by the clock of the place alone, so that it does not matter
//! what the clocks of two machines say. A lock that had no sign of life for some minutes is taken over;
//! one whose holder ran on this machine and is gone, at once.

use std::io::{Read, Write};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{HeldLock, Lock, LockGuard, Storage, StorageError, StorageErrorKind, StorageResult};
use crate::engine::sandbox::process_namespace;

/// The file that keeps two runs apart.
pub(super) const LOCK_NAME: &str = ".souvenir-lock";

/// The file that its holder makes anew to show that it is still there.
const ALIVE_NAME: &str = ".souvenir-lock-alive";

/// What is read of a holder's word on itself, in bytes.
const HOLDER_LIMIT: u64 = 4096;

/// How often one tries to get a lock that somebody just lets go of.
const ATTEMPTS: u32 = 5;

/// How long one who takes over a lock waits before looking whether it is still theirs.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// How often a holder shows that it is there, and after what silence it is taken to be gone.
#[derive(Debug, Clone, Copy)]
pub struct LeaseTimes {
    /// Time between two signs of life.
    pub interval: Duration,
    /// The silence.
    pub expiry: Duration,
}

impl Default for LeaseTimes {
    fn default() -> Self {
        Self { interval: Duration::from_secs(60), expiry: Duration::from_secs(300) }
    }
}

/// Takes the lock of `storage`, or tells who has it.
pub fn take(storage: Arc<dyn Storage>, holder: &str, times: LeaseTimes) -> StorageResult<Lock> {
    let ours = Claim::ours(holder);
    let mut takes_over = false;
    for _ in 0..ATTEMPTS {
        match put(&*storage, LOCK_NAME, ours.to_text().as_bytes()) {
            Ok(()) if takes_over && !stays_ours(&*storage, &ours)? => continue,
            Ok(()) => return Lease::begin(storage, ours, times),
            Err(error) if error.kind == StorageErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        let theirs = match read_claim(&*storage) {
            Ok(claim) => claim,
            Err(error) if error.kind == StorageErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if !theirs.holder_is_gone() && is_fresh(&*storage, times.expiry)? {
            return Ok(Lock::Busy(theirs.holder));
        }
        // Of several who find that, one wins: the file can be given another name only once.
        takes_over = true;
        let aside = format!("{LOCK_NAME}-left-{}", ours.id);
        match storage.rename(LOCK_NAME, &aside) {
            Ok(()) => storage.delete(&aside)?,
            Err(error) if error.kind == StorageErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Lock::Busy("somebody who comes and goes".to_owned()))
}

/// Where a new name is a copy and a deletion, somebody who took the old lock aside at the same time may
/// delete the new one. That is over in a moment.
fn stays_ours(storage: &dyn Storage, ours: &Claim) -> StorageResult<bool> {
    std::thread::sleep(SETTLED_AFTER);
    match read_claim(storage) {
        Ok(claim) => Ok(claim == *ours),
        Err(error) if error.kind == StorageErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Who holds the lock: the first line is for people, the others tell whether they are still there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Claim {
    holder: String,
    /// Tells this claim from every other.
    id: String,
    /// Where its number means that process.
    place: String,
    process: u32,
}

impl Claim {
    fn ours(holder: &str) -> Self {
        Self {
            holder: holder.replace('\n', " "),
            id: format!("{:016x}", fastrand::u64(..)),
            place: place_of_processes(),
            process: std::process::id(),
        }
    }

    fn to_text(&self) -> String {
        format!("{}\n{}\n{}\n{}\n", self.holder, self.id, self.place, self.process)
    }

    /// What cannot be understood is somebody's all the same.
    fn parse(text: &str) -> Self {
        let mut lines = text.lines();
        let mut line = || lines.next().unwrap_or_default().to_owned();
        let (holder, id, place) = (line(), line(), line());
        Self { holder, id, place, process: line().parse().unwrap_or(0) }
    }

    /// Whether the holder ran among the processes that can be seen from here, and does not any more.
    fn holder_is_gone(&self) -> bool {
        let is_here = !self.place.is_empty() && self.place == place_of_processes();
        is_here && self.process != 0 && !std::path::Path::new(&format!("/proc/{}", self.process)).exists()
    }
}

/// Differs from machine to machine, from start to start, and between a sandbox and what is around it. Empty where it
/// cannot be known.
fn place_of_processes() -> String {
    match std::fs::read_to_string("/proc/sys/kernel/random/boot_id") {
        Ok(boot) => format!("{} {}", boot.trim(), process_namespace().display()),
        Err(_) => String::new(),
    }
}

/// A lock that is ours as long as this lives.
#[derive(Debug)]
struct Lease {
    storage: Arc<dyn Storage>,
    claim: Claim,
    times: LeaseTimes,
    /// Dropped to end the thread.
    stop: Option<mpsc::Sender<()>>,
    keeper: Option<JoinHandle<()>>,
    last_sign: Arc<Mutex<std::time::Instant>>,
}

impl Lease {
    fn begin(storage: Arc<dyn Storage>, claim: Claim, times: LeaseTimes) -> StorageResult<Lock> {
        let (stop, stopped) = mpsc::channel::<()>();
        let last_sign = Arc::new(Mutex::new(std::time::Instant::now()));
        let (kept, sign) = (Arc::clone(&storage), Arc::clone(&last_sign));
        let keep = move || {
            while stopped.recv_timeout(times.interval) == Err(RecvTimeoutError::Timeout) {
                match show_sign(&*kept) {
                    Ok(()) => {
                        *sign.lock().unwrap_or_else(PoisonError::into_inner) = std::time::Instant::now()
                    }
                    Err(error) => tracing::warn!(%error, "the lock could not be kept fresh"),
                }
            }
        };
        let keeper = std::thread::Builder::new().name("souvenir-lock".to_owned()).spawn(keep);
        let keeper = keeper.map_err(|source| StorageError::from_io("locking", storage.location(), source))?;
        let lease = Self { storage, claim, times, stop: Some(stop), keeper: Some(keeper), last_sign };
        Ok(Lock::Held(LockGuard::new(lease)))
    }
}

impl HeldLock for Lease {
    fn check(&self) -> StorageResult<()> {
        let silence = self.last_sign.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
        // `elapsed` stands still while the machine sleeps, so the place is asked too.
        let is_ours = read_claim(&*self.storage)? == self.claim;
        if is_ours && silence < self.times.expiry {
            return Ok(());
        }
        let location = self.storage.location();
        Err(StorageError::new(StorageErrorKind::Other, "keeping the lock of", location, LOST))
    }
}

const LOST: &str = "it was lost while the place could not be reached; somebody else may be at work there";

impl Drop for Lease {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(keeper) = self.keeper.take() {
            // It can only have panicked, and then there is nothing to wait for.
            let _ = keeper.join();
        }
        let is_ours = read_claim(&*self.storage).is_ok_and(|claim| claim == self.claim);
        let names = if is_ours { &[ALIVE_NAME, LOCK_NAME][..] } else { &[] };
        for name in names {
            match self.storage.delete(name) {
                Err(error) if error.kind != StorageErrorKind::NotFound => {
                    tracing::warn!(%error, "the lock stays until it is taken to be left behind");
                }
                _ => {}
            }
        }
    }
}

fn show_sign(storage: &dyn Storage) -> StorageResult<()> {
    match storage.delete(ALIVE_NAME) {
        Err(error) if error.kind != StorageErrorKind::NotFound => return Err(error),
        _ => {}
    }
    put(storage, ALIVE_NAME, b"")
}

/// Whether there was a sign of life, by the clock of the place. A place that has no times never lets a
/// lock grow old.
fn is_fresh(storage: &dyn Storage, expiry: Duration) -> StorageResult<bool> {
    let probe = format!("{LOCK_NAME}-now-{:016x}", fastrand::u64(..));
    put(storage, &probe, b"")?;
    let now = storage.modified(&probe);
    let deleted = storage.delete(&probe);
    let Some(now) = now? else { return Ok(true) };
    deleted?;
    for name in [ALIVE_NAME, LOCK_NAME] {
        match storage.modified(name) {
            Ok(Some(time)) if now.duration_since(time).unwrap_or_default() < expiry => return Ok(true),
            Ok(_) => {}
            Err(error) if error.kind == StorageErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

fn read_claim(storage: &dyn Storage) -> StorageResult<Claim> {
    let mut text = Vec::new();
    let location = || format!("{}/{LOCK_NAME}", storage.location());
    storage
        .open(LOCK_NAME)?
        .take(HOLDER_LIMIT)
        .read_to_end(&mut text)
        .map_err(|source| StorageError::from_io("reading", location(), source))?;
    Ok(Claim::parse(&String::from_utf8_lossy(&text)))
}

fn put(storage: &dyn Storage, name: &str, bytes: &[u8]) -> StorageResult<()> {
    let mut upload = storage.create(name)?;
    let location = || format!("{}/{name}", storage.location());
    upload.write_all(bytes).map_err(|source| StorageError::from_io("writing", location(), source))?;
    upload.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::storage::LocalFolder;

    const TIMES: LeaseTimes =
        LeaseTimes { interval: Duration::from_millis(50), expiry: Duration::from_millis(600) };

    fn place(folder: &tempfile::TempDir) -> Arc<dyn Storage> {
        Arc::new(LocalFolder::new(folder.path()))
    }

    fn names(folder: &tempfile::TempDir) -> usize {
        std::fs::read_dir(folder.path()).unwrap().count()
    }

    #[test]
    fn the_second_hears_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let Lock::Held(first) = take(place(&folder), "first", TIMES).unwrap() else { panic!() };
        // Long enough for the lock itself to be too old, were there no signs of life.
        std::thread::sleep(Duration::from_millis(900));
        let Lock::Busy(holder) = take(place(&folder), "second", TIMES).unwrap() else { panic!() };
        assert_eq!(holder, "first");
        first.check().unwrap();
        drop(first);
        assert_eq!(names(&folder), 0);
        assert!(matches!(take(place(&folder), "second", TIMES).unwrap(), Lock::Held(_)));
    }

    #[test]
    fn a_lock_without_a_sign_of_life_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        put(&*place(&folder), LOCK_NAME, b"elsewhere\nid\nother boot\n1\n").unwrap();
        assert!(matches!(take(place(&folder), "we", TIMES).unwrap(), Lock::Busy(_)));
        std::thread::sleep(Duration::from_millis(700));
        let Lock::Held(ours) = take(place(&folder), "we", TIMES).unwrap() else { panic!() };
        ours.check().unwrap();
        // Whose lock it was finds out.
        std::fs::write(folder.path().join(LOCK_NAME), "somebody\nelse\n").unwrap();
        assert!(ours.check().is_err());
        drop(ours);
        assert!(folder.path().join(LOCK_NAME).exists(), "the lock of somebody else stays");
    }

    #[test]
    fn a_holder_that_ended_on_this_machine_holds_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let gone = Claim { process: u32::MAX, ..Claim::ours("gone") };
        put(&*place(&folder), LOCK_NAME, gone.to_text().as_bytes()).unwrap();
        assert!(matches!(take(place(&folder), "we", TIMES).unwrap(), Lock::Held(_)));
    }

    #[test]
    fn a_holder_in_another_sandbox_of_this_machine_may_be_alive() {
        let folder = tempfile::tempdir().unwrap();
        let ours = Claim::ours("elsewhere");
        let namespace = process_namespace();
        let another = ours.place.replace(namespace.to_str().unwrap(), "pid:[1]");
        assert_ne!(another, ours.place);
        let elsewhere = Claim { place: another, process: u32::MAX, ..ours };
        put(&*place(&folder), LOCK_NAME, elsewhere.to_text().as_bytes()).unwrap();
        assert!(matches!(take(place(&folder), "we", TIMES).unwrap(), Lock::Busy(_)));
    }
}
