//! Work with a key, off the main loop. What it wants to know is asked in the window.

use adw::prelude::*;

use crate::engine::error::Result;
use crate::engine::job::Job;
use crate::plan::Destination;
use crate::plan::history::Problem;
use crate::ui::error_text;
use crate::ui::model::{JobKind, JobModel, Repository};
use crate::ui::window::Window;

/// Why there is no result.
#[derive(Debug, Clone)]
pub enum Stopped {
    /// The person did not want to answer.
    ByPerson,
    /// It did not work.
    By(Problem),
}

/// Runs `work` on a thread of its own. `owner` is whose key it is about.
pub async fn run<T: Send + 'static>(
    asker: &impl IsA<gtk::Widget>,
    owner: &str,
    work: impl FnOnce(&Job) -> Result<T> + Send + 'static,
) -> Result<T, Stopped> {
    let (sender, receiver) = async_channel::bounded(1);
    let job = JobModel::run(JobKind::Look, "key", work, move |_, result| {
        let result = result.map_err(|error| {
            if error.is_cancelled() { Stopped::ByPerson } else { Stopped::By(error_text::problem(&error)) }
        });
        // Fails only when nobody wants to know any more.
        let _ = sender.try_send(result);
    });
    if let Some(window) = asker.root().and_downcast::<Window>() {
        // A key lies in no place with backups; the answers only need its name.
        let nowhere = Destination::Folder { path: std::path::PathBuf::new() };
        window.watch(&job, &Repository::elsewhere(owner.to_owned(), nowhere));
    }
    receiver.recv().await.unwrap_or(Err(Stopped::ByPerson))
}
