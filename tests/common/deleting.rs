//! A storage around a real one that notes what is deleted, and in which deleting can fail.

use std::io::{self, Read};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use souvenir::engine::storage::{Lock, Storage, StorageError, StorageResult, StoredFile, Upload};

/// Asked before a file is deleted, with its name and how many are deleted already.
pub type Refusal = Box<dyn Fn(&str, usize) -> Option<io::ErrorKind> + Send + Sync>;

/// The storage.
pub struct Deleting {
    inner: Arc<dyn Storage>,
    refuse: Refusal,
    deleted: Mutex<Vec<String>>,
}

impl Deleting {
    pub fn new(inner: Arc<dyn Storage>, refuse: Refusal) -> Arc<Self> {
        Arc::new(Self { inner, refuse, deleted: Mutex::default() })
    }

    /// Deletes so many files, and then is gone.
    pub fn stopping_after(inner: Arc<dyn Storage>, count: usize) -> Arc<Self> {
        let refuse = move |_: &str, done| (done >= count).then_some(io::ErrorKind::HostUnreachable);
        Self::new(inner, Box::new(refuse))
    }

    /// What was deleted, in order.
    pub fn deleted(&self) -> Vec<String> {
        self.deleted.lock().unwrap().clone()
    }
}

impl std::fmt::Debug for Deleting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}

impl Storage for Deleting {
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
        self.inner.open_from(name, offset)
    }

    fn create(&self, name: &str) -> StorageResult<Box<dyn Upload>> {
        self.inner.create(name)
    }

    fn rename(&self, from: &str, to: &str) -> StorageResult<()> {
        self.inner.rename(from, to)
    }

    fn lock(&self, holder: &str) -> StorageResult<Lock> {
        self.inner.lock(holder)
    }

    fn delete(&self, name: &str) -> StorageResult<()> {
        let mut deleted = self.deleted.lock().unwrap();
        if let Some(kind) = (self.refuse)(name, deleted.len()) {
            return Err(StorageError::from_io("deleting", name, kind.into()));
        }
        self.inner.delete(name)?;
        deleted.push(name.to_owned());
        Ok(())
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
}
