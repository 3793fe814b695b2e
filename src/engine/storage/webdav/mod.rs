//! A folder on a WebDAV server, such as Nextcloud (RFC 4918).
//!
//! A file is sent under a name of its own and then moved to the one that it is to have, with the condition
//! that there is none of that name.

mod answers;
mod place;
mod transfer;

use std::io::Read;
use std::sync::Arc;
use std::time::SystemTime;

use super::lease::{self, LeaseTimes};
use super::retry::{Backoff, Retrying};
use super::{Credentials, HttpTimes, Lock, Storage, StorageResult, StoredFile, Upload, WebDavAddress};
use crate::engine::job::Job;

use place::Place;
use transfer::{DavUpload, Download};

/// How long to wait for what.
#[derive(Debug, Clone, Copy, Default)]
pub struct WebDavOptions {
    /// Time limits.
    pub times: HttpTimes,
    /// How often something is tried again.
    pub backoff: Backoff,
    /// How long the lock lives.
    pub lease: LeaseTimes,
}

/// Backups in a folder on a WebDAV server.
pub type WebDavStorage = Retrying<WebDavFolder>;

impl WebDavStorage {
    /// The server is reached at the first use. A password is asked for through `job` when the server wants
    /// one; the job also ends every wait when it is to stop. Fails if no thread can be started.
    pub fn at(
        address: &WebDavAddress,
        credentials: &Credentials,
        options: WebDavOptions,
        job: &Job,
    ) -> StorageResult<Self> {
        let folder = WebDavFolder(Arc::new(Place::new(address, credentials, options, job)?));
        Ok(Self::leased(folder, options.backoff, options.lease, job))
    }
}

/// The same with a single attempt for each operation.
#[derive(Debug)]
pub struct WebDavFolder(Arc<Place>);

impl Storage for WebDavFolder {
    fn location(&self) -> String {
        self.0.location()
    }

    fn list(&self) -> StorageResult<Vec<StoredFile>> {
        Ok(self.0.list()?.files)
    }

    fn list_folders(&self) -> StorageResult<Vec<String>> {
        Ok(self.0.list()?.folders)
    }

    fn open_from(&self, name: &str, offset: u64) -> StorageResult<Box<dyn Read + Send>> {
        Ok(Box::new(Download::begin(&self.0, name, offset)?))
    }

    fn create(&self, name: &str) -> StorageResult<Box<dyn Upload>> {
        Ok(Box::new(DavUpload::begin(&self.0, name)?))
    }

    fn rename(&self, from: &str, to: &str) -> StorageResult<()> {
        self.0.rename(from, to)
    }

    fn lock(&self, holder: &str) -> StorageResult<Lock> {
        lease::take(Arc::new(Self(Arc::clone(&self.0))), holder, self.0.options().lease)
    }

    fn delete(&self, name: &str) -> StorageResult<()> {
        self.0.delete(name)
    }

    fn modified(&self, name: &str) -> StorageResult<Option<SystemTime>> {
        self.0.modified(name)
    }

    fn free_bytes(&self) -> StorageResult<Option<u64>> {
        self.0.free_bytes()
    }
}
