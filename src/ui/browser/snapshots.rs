//! Which snapshots there are: the catalogue is brought in line with the destination by a job, and opened.

use std::rc::Rc;

use adw::prelude::*;
use adw::subclass::prelude::*;

use super::browser_page::BrowserPage;
use crate::engine::catalog::{
    Catalog, DEFAULT_LIMIT_BYTES, IndexedSet, SyncRequest, enforce_limit, is_damage,
};
use crate::engine::copies::Copies;
use crate::engine::crypto::{Keyring, Passphrases};
use crate::engine::error::{Error, Result};
use crate::engine::format::time::SetTime;
use crate::engine::job::{CancelReason, Job};
use crate::engine::origin::Origin;
use crate::engine::storage::Storage;
use crate::i18n::{gettext, gettext_f, ngettext_f};
use crate::plan::history::Problem;
use crate::plan::safekeeping::Safekeeping;
use crate::ui::model::{CatalogReader, JobKind, JobModel};
use crate::ui::{dialogs, error_text, safekeeping, words};

/// Another computer whose backups are at a place.
#[derive(Debug, Clone)]
struct Stranger {
    /// The place, as notes have it.
    place: String,
    /// The name of the computer.
    host: String,
}

impl Stranger {
    /// The computer that was backed up at a place, unless it is the one that was accepted. Without new snapshots the
    /// same is as before, so what the catalogue knows opens without a key.
    fn at(request: &SyncRequest<'_>, is_new: bool, job: &Job) -> Result<Option<Self>> {
        let Some(folder) = Safekeeping::default_folder() else { return Ok(None) };
        let notes = Safekeeping::open(&folder);
        let place = request.storage.key().display().to_string();
        let accepted = notes.accepted_host(&place);
        if accepted.is_some() && !is_new {
            return Ok(None);
        }
        let SyncRequest { storage, keyring, passphrases, copies } = *request;
        let Some(origin) = Origin::newest(storage, keyring, passphrases, copies, job)? else {
            return Ok(None);
        };
        match (origin.other_host(), origin.host()) {
            (Some(host), _) if accepted != Some(&host) => return Ok(Some(Self { place, host })),
            (None, Some(host)) if accepted != Some(&host) => {
                if let Err(error) = Safekeeping::change(&folder, |notes| notes.accept_host(&place, &host)) {
                    tracing::warn!(%error, "whose backups were opened is not noted");
                }
            }
            _ => {}
        }
        Ok(None)
    }
}

/// An open catalogue.
struct Opened {
    /// For what is waited for.
    reader: CatalogReader,
    /// For what may take seconds.
    counter: CatalogReader,
    sets: Vec<IndexedSet>,
    /// The other computer that was backed up, if nobody has accepted that yet. None at the place of a plan.
    stranger: Option<Stranger>,
    /// Why the destination could not be looked at, if it could not, and when that was last possible.
    unreachable: Option<(Error, Option<SetTime>)>,
}

impl BrowserPage {
    /// Looks which snapshots there are, and shows the one of that time or the newest.
    pub fn open(&self, time_secs: Option<i64>) {
        let imp = self.imp();
        let Some(repository) = imp.repository.borrow().clone() else { return };
        if let Some(old) = imp.job.take() {
            old.stop(CancelReason::User);
        }
        self.show_state("loading");
        let (access, passphrases) = (repository.access().clone(), repository.passphrases());
        let has_plan = repository.plan_id().is_some();
        let work = move |job: &Job| {
            let storage = access.open_or_away(job)?;
            let open = || open_catalog(&*storage, &passphrases, has_plan, job);
            match open() {
                // The next time it is a new one.
                Err(error) if is_damage(&error) => open(),
                result => result,
            }
        };
        let page = self.downgrade();
        let job = JobModel::run(JobKind::Look, "look", work, move |job, opened| {
            let Some(page) = page.upgrade() else { return };
            // The answer to a question that was replaced by another is not wanted.
            if page.imp().job.borrow().as_ref() == Some(job) {
                page.take_opened(opened, time_secs);
            }
        });
        if let Some(window) = self.window() {
            window.watch(&job, &repository);
        }
        imp.loading_view.set_job(&job);
        imp.job.replace(Some(job));
    }

    fn take_opened(&self, opened: Result<Opened>, time_secs: Option<i64>) {
        let imp = self.imp();
        imp.job.take();
        let opened = match opened {
            Ok(opened) => opened,
            Err(Error::Cancelled(_)) => {
                return self.show_problem(&Problem {
                    what: gettext("The snapshots were not opened"),
                    advice: gettext("It was stopped before they were read. Try again to see them."),
                    ..Problem::default()
                });
            }
            Err(error) => return self.show_error(&error),
        };
        if let Some(Stranger { place, host }) = opened.stranger.clone() {
            let page = self.clone();
            glib::spawn_future_local(async move {
                if dialogs::confirm_other_computer(&page, &host).await {
                    safekeeping::accept_host(place, host).await;
                    page.show_opened(opened, time_secs);
                } else {
                    page.leave();
                }
            });
            return;
        }
        self.show_opened(opened, time_secs);
    }

    fn show_opened(&self, opened: Opened, time_secs: Option<i64>) {
        let imp = self.imp();
        let mut sets = opened.sets;
        sets.sort_by_key(|set| std::cmp::Reverse(set.kind.time()));
        let times: Vec<_> = sets.iter().map(|set| set.kind.time()).collect();
        let position =
            time_secs.and_then(|time| times.iter().position(|set| set.epoch() == time)).unwrap_or(0);
        imp.reader.replace(Some(Rc::new(opened.reader)));
        imp.counter.replace(Some(Rc::new(opened.counter)));
        imp.sets.replace(sets);
        imp.unreachable_text.replace(opened.unreachable.map(|(error, synced)| unreachable(&error, synced)));
        imp.snapshot_bar.set_snapshots(&times);
        match times.get(position) {
            Some(time) => self.show_snapshot(*time),
            None => {
                self.show_problem(&Problem { what: gettext("There is no backup here"), ..Problem::default() })
            }
        }
    }

    /// Shows the snapshot of that time, in the folder that is open.
    pub(super) fn show_snapshot(&self, time: SetTime) {
        self.imp().snapshot_bar.set_selected(time);
        let folder = self.imp().model.rows().map(|rows| rows.folder().clone());
        // Who looks at a file wants to see it there too.
        let selected = self.imp().subject.borrow().as_ref().map(|subject| subject.path.file_name().into());
        self.go(time, folder, selected);
    }

    /// What a snapshot changed, in words. Of a full one everything is new, so that says nothing.
    pub(super) fn snapshot_text(&self, time: SetTime) -> String {
        let sets = self.imp().sets.borrow();
        let Some(set) = sets.iter().find(|set| set.kind.time() == time) else { return String::new() };
        if set.kind.is_full() {
            return gettext("Full snapshot");
        }
        ngettext_f(
            "{count} change in this snapshot",
            "{count} changes in this snapshot",
            set.change_count,
            &[("count", &words::count(set.change_count))],
        )
    }
}

fn unreachable(error: &Error, synced: Option<SetTime>) -> String {
    let what = error_text::problem(error).what;
    match synced {
        Some(time) => gettext_f(
            "{what}. You see what was there {when}; restoring has to wait.",
            &[("what", &what), ("when", &words::ago(time.epoch()))],
        ),
        None => what,
    }
}

fn open_catalog(
    storage: &dyn Storage,
    passphrases: &Passphrases,
    has_plan: bool,
    job: &Job,
) -> Result<Opened> {
    let cache = Copies::usual_cache().ok_or_else(|| Error::Local {
        action: "finding the cache folder",
        source: std::io::Error::new(std::io::ErrorKind::NotFound, "there is no home folder"),
    })?;
    // None is begun of a place that is not there.
    if !Catalog::exists(&cache, storage) {
        storage.list()?;
    }
    let mut catalog = Catalog::open(&cache, storage)?;
    // What was backed up from this machine needs no key.
    let copies = Copies::of(&cache, storage).without_new();
    let request = SyncRequest { storage, keyring: &Keyring::default(), passphrases, copies: &copies };
    let mut stranger = None;
    let unreachable = match catalog.sync(&request, job) {
        Ok(summary) => {
            if summary.taken_count > 0
                && let Err(error) = enforce_limit(&cache, DEFAULT_LIMIT_BYTES)
            {
                tracing::warn!(%error, "the size of the catalogues could not be looked at");
            }
            if !has_plan {
                stranger = Stranger::at(&request, summary.taken_count > 0, job)?;
            }
            None
        }
        Err(error @ Error::Storage(_)) if !catalog.sets()?.is_empty() => Some((error, catalog.synced())),
        Err(error) => return Err(error),
    };
    let sets = catalog.sets()?;
    let counter = CatalogReader::new(Catalog::open(&cache, storage)?)?;
    Ok(Opened { reader: CatalogReader::new(catalog)?, counter, sets, stranger, unreachable })
}
