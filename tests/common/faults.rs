//! A storage around a real one that fails as it is told: a seed decides what goes wrong, and when.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use souvenir::engine::storage::{
    Lock, Storage, StorageError, StorageErrorKind, StorageResult, StoredFile, Upload,
};

/// What may go wrong, each with how often it does among a thousand occasions.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// A connection is lost in the middle of a file.
    pub cut: u64,
    /// Something is done, and the answer is lost.
    pub lost_answer: u64,
    /// Something is not done, and may be tried again.
    pub refused: u64,
    /// Something is not allowed, for good.
    pub forbidden: u64,
    /// A list is the one before.
    pub stale: u64,
    /// What is read of a file has a bit that is not as it was written, this time.
    pub corrupt: u64,
    /// It takes a while.
    pub slow: u64,
    /// So many bytes fit; any number if it is zero.
    pub room: u64,
}

/// The storage.
#[derive(Debug)]
pub struct Faulty {
    inner: Arc<dyn Storage>,
    faults: Faults,
    random: Mutex<fastrand::Rng>,
    is_on: AtomicBool,
    written: AtomicU64,
    happened: Mutex<BTreeMap<&'static str, u64>>,
    last_list: Mutex<Option<Vec<StoredFile>>>,
}

impl Faulty {
    pub fn new(inner: Arc<dyn Storage>, faults: Faults, seed: u64) -> Arc<Self> {
        Arc::new(Self {
            inner,
            faults,
            random: Mutex::new(fastrand::Rng::with_seed(seed)),
            is_on: AtomicBool::new(true),
            written: AtomicU64::new(0),
            happened: Mutex::default(),
            last_list: Mutex::default(),
        })
    }

    /// From now on nothing goes wrong.
    pub fn calm(&self) {
        self.is_on.store(false, Ordering::SeqCst);
    }

    /// What went wrong, and how often.
    pub fn happened(&self) -> BTreeMap<&'static str, u64> {
        self.happened.lock().unwrap().clone()
    }

    fn strikes(&self, what: &'static str, per_thousand: u64) -> bool {
        let strikes = self.is_on.load(Ordering::SeqCst)
            && per_thousand > 0
            && self.random.lock().unwrap().u64(..1000) < per_thousand;
        if strikes {
            *self.happened.lock().unwrap().entry(what).or_default() += 1;
        }
        strikes
    }

    fn error(&self, kind: StorageErrorKind, what: &'static str) -> StorageError {
        StorageError::new(kind, "trying", self.inner.location(), what)
    }

    fn before(&self) -> StorageResult<()> {
        if self.strikes("slow", self.faults.slow) {
            std::thread::sleep(Duration::from_millis(2));
        }
        if self.strikes("refused", self.faults.refused) {
            return Err(self.error(StorageErrorKind::Timeout, "refused"));
        }
        if self.strikes("forbidden", self.faults.forbidden) {
            return Err(self.error(StorageErrorKind::Permission, "forbidden"));
        }
        Ok(())
    }

    /// Does something that may go wrong before and after.
    fn around<T>(&self, operation: impl FnOnce() -> StorageResult<T>) -> StorageResult<T> {
        self.before()?;
        let value = operation()?;
        if self.strikes("lost answer", self.faults.lost_answer) {
            return Err(self.error(StorageErrorKind::Unreachable, "the answer was lost"));
        }
        Ok(value)
    }
}

/// What is put around a place is asked for by several at once.
#[derive(Debug, Clone)]
pub struct Shared(pub Arc<Faulty>);

impl Storage for Shared {
    fn location(&self) -> String {
        self.0.inner.location()
    }

    fn list(&self) -> StorageResult<Vec<StoredFile>> {
        let mut last = self.0.last_list.lock().unwrap();
        if last.is_some() && self.0.strikes("stale list", self.0.faults.stale) {
            return Ok(last.clone().unwrap());
        }
        let files = self.0.around(|| self.0.inner.list())?;
        *last = Some(files.clone());
        Ok(files)
    }

    fn list_folders(&self) -> StorageResult<Vec<String>> {
        self.0.around(|| self.0.inner.list_folders())
    }

    fn open_from(&self, name: &str, offset: u64) -> StorageResult<Box<dyn Read + Send>> {
        let inner = self.0.around(|| self.0.inner.open_from(name, offset))?;
        let is_damaged = self.0.strikes("corrupt", self.0.faults.corrupt);
        let damage = is_damaged.then(|| self.0.random.lock().unwrap().u64(..4000));
        Ok(Box::new(FaultyReader { inner, place: Arc::clone(&self.0), position: offset, damage }))
    }

    fn create(&self, name: &str) -> StorageResult<Box<dyn Upload>> {
        self.0.before()?;
        let inner = self.0.inner.create(name)?;
        Ok(Box::new(FaultyUpload { inner, place: Arc::clone(&self.0) }))
    }

    fn rename(&self, from: &str, to: &str) -> StorageResult<()> {
        self.0.around(|| self.0.inner.rename(from, to))
    }

    fn lock(&self, holder: &str) -> StorageResult<Lock> {
        self.0.before()?;
        self.0.inner.lock(holder)
    }

    fn delete(&self, name: &str) -> StorageResult<()> {
        self.0.around(|| self.0.inner.delete(name))
    }

    fn settle(&self) -> StorageResult<()> {
        self.0.around(|| self.0.inner.settle())
    }

    fn modified(&self, name: &str) -> StorageResult<Option<SystemTime>> {
        self.0.around(|| self.0.inner.modified(name))
    }

    fn free_bytes(&self) -> StorageResult<Option<u64>> {
        self.0.around(|| self.0.inner.free_bytes())
    }
}

struct FaultyReader {
    inner: Box<dyn Read + Send>,
    place: Arc<Faulty>,
    position: u64,
    damage: Option<u64>,
}

impl Read for FaultyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let place = &self.place;
        if place.strikes("cut while reading", place.faults.cut) {
            return Err(place.error(StorageErrorKind::Unreachable, "cut").into());
        }
        // A line gives little at a time.
        let wanted = buffer.len().min(16 << 10);
        let count = self.inner.read(&mut buffer[..wanted])?;
        let damaged = self.damage.and_then(|at| at.checked_sub(self.position)).map(|index| index as usize);
        if let Some(byte) = damaged.and_then(|index| buffer[..count].get_mut(index)) {
            *byte ^= 0x10;
        }
        self.position += count as u64;
        Ok(count)
    }
}

struct FaultyUpload {
    inner: Box<dyn Upload>,
    place: Arc<Faulty>,
}

impl Write for FaultyUpload {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let place = &self.place;
        if place.strikes("cut while writing", place.faults.cut) {
            return Err(place.error(StorageErrorKind::Unreachable, "cut").into());
        }
        let count = self.inner.write(&buffer[..buffer.len().min(16 << 10)])?;
        let written = place.written.fetch_add(count as u64, Ordering::SeqCst);
        if place.faults.room > 0 && written > place.faults.room && place.strikes("full", 1000) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Upload for FaultyUpload {
    fn finish(self: Box<Self>) -> StorageResult<()> {
        let Self { inner, place } = *self;
        place.around(|| inner.finish())
    }
}
