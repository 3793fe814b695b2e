//! A storage around a real one, in which something happens while a file is being written.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::SystemTime;

use souvenir::engine::storage::{Lock, Storage, StorageResult, StoredFile, Upload};

/// Called before bytes are written, with the file's name and how many bytes it has by then.
pub type Hook = Arc<dyn Fn(&str, u64) -> io::Result<()> + Send + Sync>;

/// The storage.
pub struct Hooked {
    pub inner: Arc<dyn Storage>,
    pub hook: Hook,
}

impl std::fmt::Debug for Hooked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}

impl Storage for Hooked {
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
        Ok(Box::new(HookedUpload { upload, name: name.to_owned(), bytes: 0, hook: Arc::clone(&self.hook) }))
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
}

struct HookedUpload {
    upload: Box<dyn Upload>,
    name: String,
    bytes: u64,
    hook: Hook,
}

impl Write for HookedUpload {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        (self.hook)(&self.name, self.bytes)?;
        let count = self.upload.write(buffer)?;
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.upload.flush()
    }
}

impl Upload for HookedUpload {
    fn finish(self: Box<Self>) -> StorageResult<()> {
        self.upload.finish()
    }
}
