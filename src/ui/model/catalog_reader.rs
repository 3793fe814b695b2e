//! The catalogue on a thread of its own. Questions stand in lanes; in each the newest counts, and one that
//! it replaces is cancelled and never answered.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::engine::catalog::Catalog;
use crate::engine::error::{Error, Result};
use crate::engine::job::{CancelReason, Control, Job};

/// What a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// What a folder holds.
    Folder,
    /// Where a name is.
    Search,
    /// What became of a path.
    History,
    /// How much something is, or would cost.
    Amount,
}

type Work = Box<dyn FnOnce(&Catalog, &Job) + Send>;

struct Question {
    lane: Lane,
    job: Job,
    work: Work,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Question>,
    running: Option<(Lane, Control)>,
    is_closed: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks a catalogue. It is closed with the reader.
pub struct CatalogReader(Arc<Shared>);

impl std::fmt::Debug for CatalogReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CatalogReader").finish_non_exhaustive()
    }
}

impl CatalogReader {
    /// Takes a catalogue to a thread of its own.
    pub fn new(catalog: Catalog) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = shared.clone();
        std::thread::Builder::new()
            .name("catalogue".to_owned())
            .spawn(move || serve(&theirs, &catalog))
            .map_err(|source| Error::Local { action: "starting a thread", source })?;
        Ok(Self(shared))
    }

    /// Asks. Gives `None` if a newer question in the same lane came before the answer.
    pub fn ask<T, Q>(&self, lane: Lane, query: Q) -> impl Future<Output = Option<Result<T>>> + use<T, Q>
    where
        T: Send + 'static,
        Q: FnOnce(&Catalog, &Job) -> Result<T> + Send + 'static,
    {
        let (sender, receiver) = async_channel::bounded(1);
        let work = move |catalog: &Catalog, job: &Job| {
            let answer = catch_unwind(AssertUnwindSafe(|| query(catalog, job)));
            let answer = answer.unwrap_or_else(|_| Err(Error::Internal("a question panicked".to_owned())));
            if job.control().cancelled().is_none() {
                // Only fails when nobody waits any more.
                let _ = sender.try_send(answer);
            }
        };
        self.put(Question { lane, job: Job::unattended(), work: Box::new(work) });
        async move { receiver.recv().await.ok() }
    }

    /// Forgets what was asked in a lane.
    pub fn cancel(&self, lane: Lane) {
        cancel(&mut self.0.state(), lane);
    }

    fn put(&self, question: Question) {
        let mut state = self.0.state();
        cancel(&mut state, question.lane);
        state.waiting.push_back(question);
        drop(state);
        self.0.changed.notify_one();
    }
}

impl Drop for CatalogReader {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_closed = true;
        state.waiting.clear();
        if let Some((_, control)) = &state.running {
            control.cancel(CancelReason::User);
        }
        drop(state);
        self.0.changed.notify_one();
    }
}

fn cancel(state: &mut State, lane: Lane) {
    state.waiting.retain(|waiting| waiting.lane != lane);
    if let Some((running, control)) = &state.running
        && *running == lane
    {
        control.cancel(CancelReason::User);
    }
}

fn serve(shared: &Shared, catalog: &Catalog) {
    loop {
        let mut state = shared.state();
        let question = loop {
            if state.is_closed {
                return;
            }
            match state.waiting.pop_front() {
                Some(question) => break question,
                None => state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        };
        state.running = Some((question.lane, question.job.control().clone()));
        drop(state);
        (question.work)(catalog, &question.job);
        shared.state().running = None;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::engine::storage::LocalFolder;

    fn wait<T>(future: impl Future<Output = T>) -> T {
        glib::MainContext::new().block_on(future)
    }

    #[test]
    fn the_newest_question_of_a_lane_is_answered() {
        let folder = tempfile::tempdir().unwrap();
        let storage = LocalFolder::new(folder.path());
        let reader =
            CatalogReader::new(Catalog::open(&folder.path().join("cache"), &storage).unwrap()).unwrap();
        let (begun, has_begun) = mpsc::channel();
        let running = reader.ask(Lane::Search, move |_, job| {
            begun.send(()).unwrap();
            while job.check().is_ok() {
                std::thread::yield_now();
            }
            Ok(1)
        });
        has_begun.recv().unwrap();
        let other = reader.ask(Lane::Folder, |_, _| Ok(2));
        let replaced = reader.ask(Lane::Search, |_, _| Ok(3));
        let newest = reader.ask(Lane::Search, |_, _| Ok(4));
        assert!(wait(running).is_none());
        assert_eq!(wait(other).unwrap().unwrap(), 2);
        assert!(wait(replaced).is_none());
        assert_eq!(wait(newest).unwrap().unwrap(), 4);
        let panicking = reader.ask::<(), _>(Lane::Search, |_, _| panic!("on purpose"));
        assert!(matches!(wait(panicking), Some(Err(Error::Internal(_)))));
        drop(reader);
    }
}
