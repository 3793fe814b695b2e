//! The thread on which gpgme works, and how its owner waits for it without missing a cancel.

use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::engine::error::{Error, Result};
use crate::engine::job::{self, Control};

/// How long a wait lasts before the control is looked at again.
const CANCEL_POLL: Duration = Duration::from_millis(100);

/// How long a cancelled or abandoned thread is waited for. After that it ends by itself, as soon as gpg
/// or the storage answers.
const GRACE: Duration = Duration::from_millis(500);

/// A thread with a result.
pub(super) struct Worker<T> {
    result: mpsc::Receiver<T>,
    thread: Option<JoinHandle<()>>,
}

impl<T: Send + 'static> Worker<T> {
    pub(super) fn start(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Result<Self> {
        let (sender, result) = mpsc::sync_channel(1);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                // Only fails when nobody waits any more.
                let _ = sender.send(work());
            })
            .map_err(|source| Error::Local { action: "starting a thread", source })?;
        Ok(Self { result, thread: Some(thread) })
    }
}

impl<T> Worker<T> {
    /// Waits for the result, or for a cancel.
    pub(super) fn wait(mut self, control: &Control) -> Result<T> {
        loop {
            match self.result.recv_timeout(CANCEL_POLL) {
                Ok(result) => return Ok(result),
                Err(mpsc::RecvTimeoutError::Disconnected) => return Err(self.panicked()),
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    if let Some(reason) = control.cancelled() {
                        self.let_go();
                        return Err(Error::Cancelled(reason));
                    }
                }
            }
        }
    }

    /// Waits a little for a thread that was told to stop, so that what it holds is usually gone afterwards.
    pub(super) fn let_go(self) {
        let until = Instant::now() + GRACE;
        while Instant::now() < until {
            match self.result.recv_timeout(CANCEL_POLL) {
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                _ => return,
            }
        }
    }

    fn panicked(&mut self) -> Error {
        match self.thread.take().map(JoinHandle::join) {
            Some(Err(panic)) => job::panicked(&*panic),
            _ => Error::Internal("a worker ended without a result".to_owned()),
        }
    }
}
