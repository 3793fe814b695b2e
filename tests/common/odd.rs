//! A storage that breaks its promises.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

use souvenir::engine::storage::{
    LocalFolder, Lock, Storage, StorageError, StorageResult, StoredFile, Upload,
};

/// A place that does not do what it should.
#[derive(Debug)]
pub struct Odd {
    pub inner: LocalFolder,
    /// Whether it stores something else than it is given, of signatures, without a word.
    pub is_lossy: bool,
    /// Renames before it is gone.
    pub renames: AtomicUsize,
}

struct LossyUpload(Box<dyn Upload>);

impl Write for LossyUpload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut other = bytes.to_vec();
        other[0] ^= 1;
        self.0.write(&other)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Upload for LossyUpload {
    fn finish(self: Box<Self>) -> StorageResult<()> {
        self.0.finish()
    }
}

impl Storage for Odd {
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
        let upload = self.inner.create(name)?;
        Ok(if self.is_lossy && name.contains("sigtar") { Box::new(LossyUpload(upload)) } else { upload })
    }

    fn rename(&self, from: &str, to: &str) -> StorageResult<()> {
        let spend = |left: usize| left.checked_sub(1);
        match self.renames.fetch_update(Ordering::SeqCst, Ordering::SeqCst, spend) {
            Ok(_) => self.inner.rename(from, to),
            Err(_) => Err(StorageError::from_io("writing", to, io::ErrorKind::HostUnreachable.into())),
        }
    }

    fn lock(&self, holder: &str) -> StorageResult<Lock> {
        self.inner.lock(holder)
    }

    fn delete(&self, name: &str) -> StorageResult<()> {
        self.inner.delete(name)
    }

    fn free_bytes(&self) -> StorageResult<Option<u64>> {
        self.inner.free_bytes()
    }
}
