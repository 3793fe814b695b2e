//! A bounded pipe of large buffers between two threads of this process.
//!
//! Unlike a channel it tells a clean end from an abandoned one, gives buffers back for reuse, and wakes
//! up from every wait when the job is cancelled.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::engine::error::Error;
use crate::engine::job::Control;

/// Bytes in one buffer. Much smaller ones cost a thread switch too often, larger ones only memory.
const BUFFER_BYTES: usize = 128 * 1024;

/// Buffers on their way at most.
const BUFFERS: usize = 4;

/// How long a wait lasts before the control is looked at again.
const CANCEL_POLL: Duration = Duration::from_millis(100);

/// Makes a pipe that holds at most about half a mebibyte.
pub(super) fn pipe(control: &Control) -> (PipeWriter, PipeReader) {
    let shared = Arc::new(Shared::default());
    let writer = PipeWriter { shared: Arc::clone(&shared), control: control.clone(), current: Vec::new() };
    let reader = PipeReader { shared, control: control.clone(), current: Vec::new(), position: 0 };
    (writer, reader)
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    full: VecDeque<Vec<u8>>,
    spare: Vec<Vec<u8>>,
    writer: End,
    reader_gone: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum End {
    #[default]
    Open,
    Finished,
    Abandoned,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `ready` or a cancel.
    fn wait(&self, control: &Control, ready: impl Fn(&State) -> bool) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        loop {
            if let Some(reason) = control.cancelled() {
                return Err(io::Error::other(Error::Cancelled(reason)));
            }
            if ready(&state) {
                return Ok(state);
            }
            state = self.changed.wait_timeout(state, CANCEL_POLL).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn end(&self, end: End) {
        let mut state = self.state();
        if state.writer == End::Open {
            state.writer = end;
        }
        drop(state);
        self.changed.notify_all();
    }
}

/// The end that bytes go in. Dropped without [`PipeWriter::finish`], the reader gets an error.
pub(super) struct PipeWriter {
    shared: Arc<Shared>,
    control: Control,
    current: Vec<u8>,
}

impl PipeWriter {
    /// Hands over what is buffered and tells the reader that this is all.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.hand_over()?;
        self.shared.end(End::Finished);
        Ok(())
    }

    fn hand_over(&mut self) -> io::Result<()> {
        if self.current.is_empty() {
            return Ok(());
        }
        let mut state =
            self.shared.wait(&self.control, |state| state.reader_gone || state.full.len() < BUFFERS)?;
        if state.reader_gone {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let spare = state.spare.pop().unwrap_or_default();
        state.full.push_back(std::mem::replace(&mut self.current, spare));
        drop(state);
        self.shared.changed.notify_all();
        Ok(())
    }
}

impl Write for PipeWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.current.capacity() < BUFFER_BYTES {
            self.current.reserve_exact(BUFFER_BYTES - self.current.len());
        }
        let room = BUFFER_BYTES - self.current.len();
        let taken = room.min(bytes.len());
        self.current.extend_from_slice(&bytes[..taken]);
        if self.current.len() == BUFFER_BYTES {
            self.hand_over()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        self.shared.end(End::Abandoned);
    }
}

/// The end that bytes come out of.
pub(super) struct PipeReader {
    shared: Arc<Shared>,
    control: Control,
    current: Vec<u8>,
    position: usize,
}

impl Read for PipeReader {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.position == self.current.len() {
            let mut state = self
                .shared
                .wait(&self.control, |state| !state.full.is_empty() || state.writer != End::Open)?;
            let Some(next) = state.full.pop_front() else {
                return match state.writer {
                    End::Finished => Ok(0),
                    _ => Err(io::ErrorKind::BrokenPipe.into()),
                };
            };
            let mut used = std::mem::replace(&mut self.current, next);
            used.clear();
            state.spare.push(used);
            drop(state);
            self.shared.changed.notify_all();
            self.position = 0;
        }
        let taken = bytes.len().min(self.current.len() - self.position);
        bytes[..taken].copy_from_slice(&self.current[self.position..self.position + taken]);
        self.position += taken;
        Ok(taken)
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        self.shared.state().reader_gone = true;
        self.shared.changed.notify_all();
    }
}
