//! An object on its way: small ones in one request, others in parts that become an object at the end.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use opendal::Writer;

use super::fault;
use super::place::{Conditions, Operators, Place, UPLOAD_MARK, mark_of};
use crate::engine::storage::{StorageError, StorageErrorKind, StorageResult, UPLOAD_PREFIX, Upload};

/// Size of a part in bytes: the smallest that the S3 API allows. There may be 10,000 of them, which makes
/// 50 GB; nothing that is stored is nearly as large. An upload keeps up to four of them in memory.
const PART_BYTES: usize = 5 << 20;

/// Parts that are under way at once.
const PARTS_AT_ONCE: usize = 2;

/// How long the end of an upload that nobody wants any more may take.
const ABORT_LIMIT: Duration = Duration::from_secs(20);

pub(super) struct ObjectUpload {
    place: Arc<Place>,
    name: String,
    location: String,
    /// What tells this upload's object from others.
    mark: String,
    /// What was not sent yet.
    waiting: Vec<u8>,
    /// None as long as it may all go in one request.
    writer: Option<Writer>,
}

impl ObjectUpload {
    /// Begins an object. Whether one of that name is there is found out first, to say so early.
    pub fn begin(place: &Arc<Place>, name: &str) -> StorageResult<Self> {
        let location = place.location_of(name);
        if place.metadata(name)?.is_some() {
            return Err(already_there(&location));
        }
        let (place, name) = (Arc::clone(place), name.to_owned());
        let mark = format!("{:032x}", fastrand::u128(..));
        Ok(Self { place, name, location, mark, waiting: Vec::new(), writer: None })
    }

    fn options(&self) -> opendal::options::WriteOptions {
        opendal::options::WriteOptions {
            if_not_exists: self.place.conditions() != Conditions::Unsupported,
            user_metadata: Some([(UPLOAD_MARK.to_owned(), self.mark.clone())].into()),
            concurrent: PARTS_AT_ONCE,
            ..Default::default()
        }
    }

    /// Sends a part.
    fn send(&mut self, part: Vec<u8>) -> StorageResult<()> {
        if self.writer.is_none() {
            self.find_out_about_conditions()?;
            let options = self.options();
            let begin = |store: Operators| {
                let (name, options) = (&self.name, options.clone());
                async move { store.plain.writer_options(name, options).await }
            };
            self.writer = Some(self.place.run("writing", &self.location, begin)?);
        }
        match &mut self.writer {
            Some(writer) => self.place.wait("writing", &self.location, writer.write(part)),
            None => Ok(()),
        }
    }

    /// Parts are all sent before a store says that it does not know the condition for what they become.
    fn find_out_about_conditions(&self) -> StorageResult<()> {
        if self.place.conditions() == Conditions::Unknown {
            let name = format!("{UPLOAD_PREFIX}{}", self.mark);
            self.send_whole(&name, Vec::new())?;
            self.place.delete(&name)?;
        }
        Ok(())
    }

    /// Sends everything in one request.
    fn send_whole(&self, name: &str, bytes: Vec<u8>) -> StorageResult<()> {
        let bytes = opendal::Buffer::from(bytes);
        let sent = self.place.run("writing", &self.place.location_of(name), |store| {
            let (bytes, options) = (bytes.clone(), self.options());
            async move {
                match store.plain.write_options(name, bytes.clone(), options.clone()).await {
                    Err(error) if options.if_not_exists && is_not_known(&error) => {
                        // There was nothing of that name a moment ago; the lock keeps others away.
                        self.place.learn(Conditions::Unsupported);
                        store.plain.write_options(name, bytes, self.options()).await.map(drop)
                    }
                    Ok(_) if options.if_not_exists => {
                        self.place.learn(Conditions::Kept);
                        Ok(())
                    }
                    result => result.map(drop),
                }
            }
        });
        self.unless_done(name, sent)
    }

    /// What did it already may be an attempt of which the answer was lost.
    fn unless_done(&self, name: &str, result: StorageResult<()>) -> StorageResult<()> {
        match result {
            Err(error) if !error.is_cancelled() && self.is_ours(name).unwrap_or(false) => {
                tracing::warn!(%error, name, "it is there all the same");
                Ok(())
            }
            result => result,
        }
    }

    fn is_ours(&self, name: &str) -> StorageResult<bool> {
        let metadata = self.place.metadata(name)?;
        Ok(metadata.is_some_and(|metadata| mark_of(&metadata) == Some(self.mark.as_str())))
    }
}

impl Write for ObjectUpload {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = buffer.len().min(PART_BYTES - self.waiting.len());
        self.waiting.extend_from_slice(&buffer[..count]);
        if self.waiting.len() == PART_BYTES {
            let part = std::mem::replace(&mut self.waiting, Vec::with_capacity(PART_BYTES));
            self.send(part)?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload for ObjectUpload {
    fn finish(mut self: Box<Self>) -> StorageResult<()> {
        let rest = std::mem::take(&mut self.waiting);
        if self.writer.is_none() {
            return self.send_whole(&self.name, rest);
        }
        if !rest.is_empty() {
            self.send(rest)?;
        }
        if let Some(writer) = &mut self.writer {
            let closed = self.place.wait("writing", &self.location, writer.close()).map(drop);
            self.unless_done(&self.name, closed)?;
        }
        self.writer = None;
        Ok(())
    }
}

impl Drop for ObjectUpload {
    /// What has not become an object is taken back: the store would keep its parts, and charge for them.
    fn drop(&mut self) {
        if let Some(writer) = &mut self.writer {
            self.place.tidy(ABORT_LIMIT, &self.location, writer.abort());
        }
    }
}

/// Whether the store says that it does not know requests with conditions.
fn is_not_known(error: &opendal::Error) -> bool {
    fault::fault_of(error).is_some_and(|fault| fault.code == "NotImplemented")
}

fn already_there(location: &str) -> StorageError {
    StorageError::new(StorageErrorKind::AlreadyExists, "writing", location, "there is one of that name")
}
