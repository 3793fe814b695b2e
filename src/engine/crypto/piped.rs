//! Work of gpg on a stream that is pushed into it: a thread behind a pipe, and how its errors come back.

use std::io::{self, Write};

use super::pipe::{self, PipeReader, PipeWriter};
use super::worker::Worker;
use crate::engine::error::{Error, Result};
use crate::engine::job::Control;

/// Feeds a thread. Dropped before [`Piped::finish`], the thread's input breaks off.
///
/// Errors are the thread's own. They may be of earlier bytes.
pub(super) struct Piped<T> {
    /// None once something failed.
    input: Option<PipeWriter>,
    worker: Option<Worker<io::Result<T>>>,
    control: Control,
}

impl<T: Send + 'static> Piped<T> {
    pub(super) fn start(
        name: &str,
        control: &Control,
        work: impl FnOnce(PipeReader) -> io::Result<T> + Send + 'static,
    ) -> Result<Self> {
        let (input, source) = pipe::pipe(control);
        let worker = Worker::start(name, move || work(source))?;
        Ok(Self { input: Some(input), worker: Some(worker), control: control.clone() })
    }
}

impl<T> Piped<T> {
    /// Waits until the thread has done its work.
    pub(super) fn finish(mut self) -> io::Result<T> {
        match self.input.as_mut().map_or_else(|| Err(failed_before()), PipeWriter::finish) {
            Ok(()) => self.outcome(),
            Err(error) => Err(self.explain(error)),
        }
    }

    fn outcome(&mut self) -> io::Result<T> {
        match self.worker.take() {
            Some(worker) => worker.wait(&self.control).unwrap_or_else(|error| Err(error.into_stream())),
            None => Err(failed_before()),
        }
    }

    /// The reason behind an error of the pipe.
    fn explain(&mut self, error: io::Error) -> io::Error {
        self.input = None;
        if error.kind() != io::ErrorKind::BrokenPipe {
            return error;
        }
        match self.outcome() {
            Err(error) => error,
            Ok(_) => Error::Internal("gpg was done before its input was".to_owned()).into_stream(),
        }
    }
}

/// The error of whatever is done after an error.
pub(super) fn failed_before() -> io::Error {
    Error::Internal("the sealed file has failed before".to_owned()).into_stream()
}

impl<T> Write for Piped<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(input) = self.input.as_mut() else { return Err(failed_before()) };
        input.write(bytes).map_err(|error| self.explain(error))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<T> Drop for Piped<T> {
    fn drop(&mut self) {
        self.input = None;
        if let Some(worker) = self.worker.take() {
            worker.let_go();
        }
    }
}
