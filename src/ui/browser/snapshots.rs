//! Which snapshots there are, and what the chosen one holds: looked up by jobs.

use std::sync::Arc;

use adw::prelude::*;
use adw::subclass::prelude::*;

use super::browser_page::BrowserPage;
use crate::engine::crypto::Keyring;
use crate::engine::error::{Error, Result};
use crate::engine::job::{CancelReason, Job};
use crate::engine::list::{ListRequest, list};
use crate::engine::path::EntryPath;
use crate::engine::status::{SetStatus, Status, status};
use crate::i18n::gettext;
use crate::plan::history::Problem;
use crate::ui::model::{EntryTree, JobKind, JobModel, Repository};
use crate::ui::window::Window;
use crate::ui::{error_text, words};

impl BrowserPage {
    /// Looks which snapshots there are, and shows the one of that time or the newest.
    pub fn open(&self, time_secs: Option<i64>) {
        let Some(repository) = self.imp().repository.borrow().clone() else { return };
        let destination = repository.destination().clone();
        let page = self.downgrade();
        self.start(
            &gettext("Looking for snapshots…"),
            move |job| status(&*destination.open(job)?, job),
            move |found| {
                if let Some(page) = page.upgrade() {
                    page.take_status(found, time_secs);
                }
            },
        );
    }

    fn take_status(&self, found: Result<Status>, time_secs: Option<i64>) {
        let imp = self.imp();
        let status = match found {
            Ok(status) => status,
            Err(error) => return self.show_problem(&error_text::problem(&error)),
        };
        let sets: Vec<SetStatus> = status.chains.into_iter().flat_map(|chain| chain.sets).rev().collect();
        let times: Vec<_> = sets.iter().map(|set| set.time).collect();
        let names = words::set_dates(&times);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let position =
            time_secs.and_then(|time| sets.iter().position(|set| set.time.epoch() == time)).unwrap_or(0);
        if sets.is_empty() {
            self.show_problem(&Problem {
                what: gettext("There is no backup here"),
                subject: status.location,
                ..Problem::default()
            });
            return;
        }
        imp.sets.replace(sets);
        imp.filling.set(true);
        imp.snapshot_drop_down.set_model(Some(&gtk::StringList::new(&names)));
        imp.snapshot_drop_down.set_selected(u32::try_from(position).unwrap_or(0));
        imp.filling.set(false);
        self.load_selected();
    }

    /// Lists the snapshot that is chosen.
    pub(super) fn load_selected(&self) {
        let imp = self.imp();
        self.refresh_steps();
        let position = imp.snapshot_drop_down.selected() as usize;
        let time = imp.sets.borrow().get(position).map(|set| set.time);
        let (Some(time), Some(repository)) = (time, imp.repository.borrow().clone()) else { return };
        let destination = repository.destination().clone();
        let passphrases = repository.passphrases();
        let work = move |job: &Job| {
            let storage = destination.open(job)?;
            let request = ListRequest {
                storage: &*storage,
                keyring: &Keyring::default(),
                passphrases: &passphrases,
                time: Some(time),
            };
            Ok(Arc::new(EntryTree::new(list(&request, job)?.entries)))
        };
        let page = self.downgrade();
        self.start(&gettext("Reading what the snapshot holds…"), work, move |listed| {
            let Some(page) = page.upgrade() else { return };
            match listed {
                Ok(tree) => page.take_tree(tree),
                Err(Error::Cancelled(_)) => page.show_problem(&Problem {
                    what: gettext("The snapshot was not opened"),
                    advice: gettext("Try again, and type the passphrase when you are asked for it."),
                    ..Problem::default()
                }),
                Err(error) => page.show_problem(&error_text::problem(&error)),
            }
        });
    }

    /// Runs a look in the place of one that still runs.
    fn start<T: Send + 'static>(
        &self,
        text: &str,
        work: impl FnOnce(&Job) -> Result<T> + Send + 'static,
        done: impl FnOnce(Result<T>) + 'static,
    ) {
        let imp = self.imp();
        if let Some(old) = imp.job.take() {
            old.stop(CancelReason::User);
        }
        imp.loading_label.set_label(text);
        self.show_state("loading");
        let page = self.downgrade();
        let job = JobModel::run(JobKind::Look, "look", work, move |job, result| {
            // The answer to a question that was replaced by another is not wanted.
            let is_wanted = |page: &Self| page.imp().job.borrow().as_ref() == Some(job);
            if page.upgrade().as_ref().is_some_and(is_wanted) {
                done(result);
            }
        });
        if let (Some(window), Some(repository)) =
            (self.root().and_downcast::<Window>(), &*imp.repository.borrow())
        {
            window.watch(&job, repository);
        }
        imp.job.replace(Some(job));
    }

    fn take_tree(&self, tree: Arc<EntryTree>) {
        let imp = self.imp();
        let repository = imp.repository.borrow().clone();
        let folders = repository.as_ref().map(Repository::folders).unwrap_or_default();
        let top = match folders {
            [only] => tree.find(only).filter(|index| tree.is_folder(*index)),
            _ => None,
        }
        .unwrap_or_else(|| tree.start());
        imp.top.set(top);
        // The folder that was open in the other snapshot, or what is left of the way to it.
        let before = imp.tree.borrow().as_ref().map(|old| old.entry(imp.folder.get()).path.clone());
        let folder =
            before.and_then(|path| nearest(&tree, path)).filter(|index| *index >= top).unwrap_or(top);
        imp.tree.replace(Some(tree));
        self.enter(folder);
    }

    pub(super) fn refresh_steps(&self) {
        let imp = self.imp();
        let position = imp.snapshot_drop_down.selected();
        let count = u32::try_from(imp.sets.borrow().len()).unwrap_or(u32::MAX);
        imp.snapshot_drop_down.set_visible(count > 0);
        self.set_enabled("older", count > 0 && position < count - 1);
        self.set_enabled("newer", count > 0 && position > 0);
    }

    pub(super) fn step(&self, by: i32) {
        let drop_down = &self.imp().snapshot_drop_down;
        if let Some(position) = drop_down.selected().checked_add_signed(by) {
            drop_down.set_selected(position);
        }
    }
}

/// The folder of that path, or the nearest one above it that exists.
fn nearest(tree: &EntryTree, path: EntryPath) -> Option<usize> {
    let mut path = Some(path);
    while let Some(wanted) = path {
        if let Some(index) = tree.find(&wanted).filter(|index| tree.is_folder(*index)) {
            return Some(index);
        }
        path = wanted.parent();
    }
    None
}
