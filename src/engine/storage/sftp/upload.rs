//! A file on its way to a server.
//!
//! What the server has not acknowledged yet is kept, a few MiB at most. libssh2 sends all of it without
//! waiting, and is told of it again until it is acknowledged. When the connection is lost, the file is opened
//! again and what was kept is sent once more from its place on. A file to which that happened is read back and
//! compared before it gets its name: what an old connection still had under way must not have spoiled it.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use super::connection::{Connection, Handle};
use super::download::Download;
use super::fault::{Fault, of_stream};
use super::outgoing::Outgoing;
use super::place::{Place, temporary_name};
use crate::engine::storage::{StorageError, StorageErrorKind, StorageResult, Upload};

/// What may be under way, in bytes. OpenSSH's server lets a channel have 2 MiB; the rest is ready when
/// there is room.
const WINDOW_BYTES: usize = 3 << 20;

/// What is worth a call, in bytes: a multiple of what libssh2 puts into one message.
const STEP_BYTES: usize = 8 * 30_000;

/// A file that is being written.
pub struct SftpUpload {
    place: Place,
    name: String,
    temporary: String,
    open: Option<(Handle, Arc<Connection>)>,
    outgoing: Arc<Mutex<Outgoing>>,
    hash: Sha256,
    was_cut_off: bool,
    is_gone: bool,
}

impl SftpUpload {
    /// Begins a file.
    pub fn begin(place: &Place, name: &str) -> StorageResult<Self> {
        match place.stat(name) {
            Ok(_) => return Err(place.taken(name)),
            Err(error) if error.kind == StorageErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let temporary = temporary_name();
        let open = match place.make(&temporary) {
            Ok(open) => open,
            Err(error) => {
                // The answer may be lost, and the file there.
                if error.is_retryable() {
                    let _ = place.delete(&temporary);
                }
                return Err(error);
            }
        };
        Ok(Self {
            place: place.clone(),
            name: name.to_owned(),
            temporary,
            open: Some(open),
            outgoing: Arc::default(),
            hash: Sha256::new(),
            was_cut_off: false,
            is_gone: false,
        })
    }

    fn outgoing(&self) -> MutexGuard<'_, Outgoing> {
        self.outgoing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs what needs the open file, and after the loss of a connection again, with the file open where it
    /// was.
    fn with_file<T>(
        &mut self,
        mut operation: impl FnMut(&mut Self, &mut Handle) -> Result<T, Fault>,
    ) -> StorageResult<T> {
        let (backoff, job) = (self.place.options().backoff, self.place.job().clone());
        backoff.run(&job, |_| {
            let (mut handle, connection) = match self.open.take() {
                Some(open) => open,
                None => self.go_on()?,
            };
            match operation(self, &mut handle) {
                Ok(value) => {
                    self.open = Some((handle, connection));
                    Ok(value)
                }
                Err(fault) => {
                    let error = self.place.write_error(&connection, Some(&mut handle), fault, &self.name);
                    if error.is_retryable() {
                        connection.give_up();
                        self.was_cut_off = true;
                    }
                    Err(error)
                }
            }
        })
    }

    /// Opens the file again after a connection was lost.
    fn go_on(&mut self) -> StorageResult<(Handle, Arc<Connection>)> {
        self.was_cut_off = true;
        let found = self.place.stat(&self.temporary)?.size.unwrap_or(0);
        let acknowledged = self.outgoing().acknowledged();
        if found < acknowledged {
            let reason =
                format!("the server has lost what it had acknowledged: {found} of {acknowledged} bytes");
            return Err(StorageError::new(
                StorageErrorKind::Other,
                "writing",
                self.place.location_of(&self.name),
                reason,
            ));
        }
        let (mut handle, connection) = self.place.reopen(&self.temporary)?;
        let offset = SeekFrom::Start(acknowledged);
        handle
            .run(|file, session| file.seek(offset).map_err(|error| of_stream(&error, session)))
            .map_err(|fault| fault.into_error("writing", self.place.location_of(&self.name)))?;
        self.outgoing().begin_again();
        tracing::info!(name = self.name, offset = acknowledged, "going on with an upload");
        Ok((handle, connection))
    }

    /// Tells of all that is kept, and waits until the server has acknowledged some of it.
    fn send(&mut self) -> StorageResult<()> {
        self.with_file(|upload, handle| handle.send(&upload.outgoing))
    }

    fn complete(&mut self) -> StorageResult<()> {
        while self.outgoing().pending() > 0 {
            self.send()?;
        }
        self.with_file(|_, handle| match handle.run(|file, _| file.fsync()) {
            // Where the server does not offer it, it is left to the server.
            Err(fault) if fault.is_unsupported() => Ok(()),
            result => result,
        })?;
        if let Some((handle, _)) = self.open.take()
            && let Err(fault) = handle.close()
        {
            // Everything is durable by now; what is there is looked at below.
            tracing::debug!(?fault, "a file was not closed");
            self.was_cut_off = true;
        }
        let (backoff, job) = (self.place.options().backoff, self.place.job().clone());
        if self.was_cut_off && !backoff.run(&job, |_| self.is_ours(&self.temporary))? {
            return Err(StorageError::new(
                StorageErrorKind::Other,
                "writing",
                self.place.location_of(&self.name),
                "what the server has is not what was sent",
            ));
        }
        backoff.run(&job, |attempt| match self.place.rename(&self.temporary, &self.name) {
            // The attempt before may have got as far as that, and only its answer was lost.
            Err(error)
                if attempt > 0
                    && matches!(error.kind, StorageErrorKind::NotFound | StorageErrorKind::AlreadyExists)
                    && self.is_ours(&self.name)? =>
            {
                // It may have two names by now.
                match self.place.delete(&self.temporary) {
                    Err(error) if error.kind != StorageErrorKind::NotFound => Err(error),
                    _ => Ok(()),
                }
            }
            result => result,
        })
    }

    /// Whether a stored file is what was sent. One that is not there is not.
    fn is_ours(&self, name: &str) -> StorageResult<bool> {
        let size = match self.place.stat(name) {
            Ok(stat) => stat.size,
            Err(error) if error.kind == StorageErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        if size.is_some_and(|size| size != self.outgoing().acknowledged()) {
            return Ok(false);
        }
        let mut stored = Download::open(&self.place, name, 0)?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 64 << 10];
        loop {
            match stored.read(&mut buffer) {
                Ok(0) => return Ok(hash.finalize() == self.hash.clone().finalize()),
                Ok(count) => hash.update(&buffer[..count]),
                Err(error) => {
                    let location = self.place.location_of(name);
                    return Err(error
                        .downcast()
                        .unwrap_or_else(|error| StorageError::from_io("reading", location, error)));
                }
            }
        }
    }
}

impl Write for SftpUpload {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        while self.outgoing().pending() >= WINDOW_BYTES {
            self.send()?;
        }
        let mut outgoing = self.outgoing();
        let count = buffer.len().min(WINDOW_BYTES - outgoing.pending());
        outgoing.add(&buffer[..count]);
        // Before the window is full there is no need to wait for anything; but the server should have
        // something to do.
        let is_worth_a_call = outgoing.untold() >= STEP_BYTES && outgoing.acknowledged() > 0;
        drop(outgoing);
        self.hash.update(&buffer[..count]);
        if is_worth_a_call {
            self.send()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload for SftpUpload {
    fn finish(mut self: Box<Self>) -> StorageResult<()> {
        self.complete()?;
        self.is_gone = true;
        Ok(())
    }
}

impl Drop for SftpUpload {
    fn drop(&mut self) {
        if self.is_gone {
            return;
        }
        drop(self.open.take());
        match self.place.delete(&self.temporary) {
            Err(error) if error.kind != StorageErrorKind::NotFound => {
                tracing::warn!(%error, "an unfinished upload stays");
            }
            _ => {}
        }
    }
}
