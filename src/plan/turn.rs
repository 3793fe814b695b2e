//! Runs of several plans in one program take turns: the disk that they read and the line that they write to are the
//! same.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::engine::error::Result;
use crate::engine::job::{Control, Job, Phase};

/// How often a run that waits looks whether it is to stop, or whether the others are paused.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

static TURNS: Turns =
    Turns { queue: Mutex::new(Queue { entries: Vec::new(), next_number: 0 }), moved: Condvar::new() };

struct Turns {
    queue: Mutex<Queue>,
    moved: Condvar,
}

struct Queue {
    /// The run whose turn it is, and those that wait, in their order.
    entries: Vec<Entry>,
    next_number: u64,
}

struct Entry {
    number: u64,
    /// What people call it.
    name: String,
    control: Control,
}

/// The turn of a run, until it is dropped.
#[derive(Debug)]
pub struct Turn(u64);

impl Turn {
    /// Waits until all runs that came before have ended. Those that are paused are not waited for.
    ///
    /// Fails with [`crate::engine::Error::Cancelled`] when the job is to stop.
    pub fn take(name: &str, job: &Job) -> Result<Self> {
        let mut queue = TURNS.queue();
        let number = queue.next_number;
        queue.next_number += 1;
        queue.entries.push(Entry { number, name: name.to_owned(), control: job.control().clone() });
        let turn = Self(number);
        let must_wait = |queue: &Queue| {
            queue.entries.iter().any(|other| other.number < number && !other.control.is_paused())
        };
        while must_wait(&queue) {
            job.phase(Phase::Waiting);
            let (released, _) =
                TURNS.moved.wait_timeout(queue, LOOK_INTERVAL).unwrap_or_else(PoisonError::into_inner);
            drop(released);
            job.check()?;
            queue = TURNS.queue();
        }
        Ok(turn)
    }

    /// The name of the run that the one with this control waits for.
    pub fn before(control: &Control) -> Option<String> {
        let queue = TURNS.queue();
        let mut before = queue.entries.iter().take_while(|entry| !entry.control.is_same(control));
        before.find(|entry| !entry.control.is_paused()).map(|entry| entry.name.clone())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        TURNS.queue().entries.retain(|entry| entry.number != self.0);
        TURNS.moved.notify_all();
    }
}

impl Turns {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};
    use std::thread;

    use super::*;
    use crate::engine::job::CancelReason;

    /// A run on a thread of its own, which ends when it is told to; and the news of its turn.
    fn run(name: &'static str, job: &Job) -> (Receiver<Result<()>>, impl FnOnce() + use<>) {
        let (begun, news) = channel();
        let (end, wait) = channel::<()>();
        let job = job.clone();
        thread::spawn(move || {
            let turn = Turn::take(name, &job);
            begun
                .send(
                    turn.as_ref().map(drop).map_err(|_| crate::engine::Error::Cancelled(CancelReason::User)),
                )
                .unwrap();
            // Ends when the other side goes.
            let _ = wait.recv();
        });
        (news, move || drop(end))
    }

    #[test]
    fn one_comes_after_the_other_unless_it_is_paused_or_stopped() {
        let soon = Duration::from_secs(20);
        let not_yet = LOOK_INTERVAL * 3;
        let [first, second, third] = [(); 3].map(|()| Job::unattended());
        let (first_news, end_first) = run("first", &first);
        assert!(first_news.recv_timeout(soon).unwrap().is_ok());
        let (second_news, end_second) = run("second", &second);
        assert!(second_news.recv_timeout(not_yet).is_err());
        assert_eq!(second.progress().phase, Phase::Waiting);
        assert_eq!(Turn::before(second.control()).as_deref(), Some("first"));
        let (third_news, end_third) = run("third", &third);
        assert!(third_news.recv_timeout(not_yet).is_err());

        // Who is stopped waits no longer, and nobody waits for it.
        second.control().cancel(CancelReason::User);
        assert!(second_news.recv_timeout(soon).unwrap().is_err());
        end_second();
        assert!(third_news.recv_timeout(not_yet).is_err());
        first.control().pause();
        assert!(third_news.recv_timeout(soon).unwrap().is_ok());
        assert_eq!(Turn::before(third.control()), None);

        let (last_news, end_last) = run("last", &Job::unattended());
        assert!(last_news.recv_timeout(not_yet).is_err());
        end_third();
        assert!(last_news.recv_timeout(soon).unwrap().is_ok());
        end_first();
        end_last();
    }
}
