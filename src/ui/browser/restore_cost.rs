//! What a restore would cost and meet, in words. Found out on the catalogue's thread before it begins.

use std::path::PathBuf;
use std::time::Duration;

use adw::prelude::*;
use adw::subclass::prelude::*;

use super::restore_dialog::{RestoreDialog, RestoreWish};
use crate::engine::catalog::Catalog;
use crate::engine::copies::Copies;
use crate::engine::crypto::{Keyring, Passphrases};
use crate::engine::error::Result;
use crate::engine::format::time::SetTime;
use crate::engine::job::Job;
use crate::engine::path::EntryPath;
use crate::engine::restore::{Conflict, RestorePreview, RestoreRequest, preview_by};
use crate::i18n::{gettext, gettext_f, ngettext_f};
use crate::plan::{Access, ROOT};
use crate::ui::model::Lane;
use crate::ui::questions::answer_as_remembered;
use crate::ui::words;

/// So long the folder has to stay the same before it is looked at.
const STAY: Duration = Duration::from_millis(250);

/// A restore that is thought of.
#[derive(Debug, Clone)]
struct Thought {
    access: Access,
    passphrases: Passphrases,
    wish: (Vec<EntryPath>, SetTime),
    target: PathBuf,
    strip: EntryPath,
}

impl Thought {
    /// A restore of what is wished to a target.
    fn new(wish: &RestoreWish, target: PathBuf, strip: EntryPath) -> Self {
        Self {
            access: wish.repository.access().clone(),
            passphrases: wish.repository.passphrases(),
            wish: (wish.paths.clone(), wish.time),
            target,
            strip,
        }
    }

    /// Finds out what it would do. No passphrase is asked for: the catalogue tells the entries, and manifests come
    /// from copies where there are any.
    fn preview(self, catalog: &Catalog, job: &Job) -> Result<RestorePreview> {
        let storage = self.access.open_or_away(job)?;
        let copies = match Copies::usual_cache() {
            Some(cache) => Copies::of(&cache, &*storage).without_new(),
            None => Copies::none(),
        };
        let (paths, time) = self.wish;
        let request = RestoreRequest {
            storage: &*storage,
            keyring: &Keyring::default().with_agent_asking(false),
            passphrases: &self.passphrases,
            // A copy bears no signature; the restore itself demands one.
            sign_key: None,
            time: Some(time),
            paths: paths.clone(),
            target: self.target,
            strip: self.strip,
            conflict: Conflict::Skip,
        };
        preview_by(&request, &copies, job, |take| {
            for path in &paths {
                catalog.entries_below(path, Some(time), job, &mut *take)?;
            }
            Ok(())
        })
    }
}

impl RestoreDialog {
    /// Finds out what a restore to the chosen place would cost and meet there.
    pub(super) fn think(&self) {
        let imp = self.imp();
        let turn = imp.turn.get() + 1;
        imp.turn.set(turn);
        self.show_thought(None);
        imp.preview.replace(None);
        let dialog = self.downgrade();
        glib::spawn_future_local(async move {
            glib::timeout_future(STAY).await;
            let Some(asked) = dialog.upgrade().filter(|dialog| dialog.imp().turn.get() == turn) else {
                return;
            };
            let Some(wish) = asked.imp().wish.borrow().clone() else { return };
            let (target, strip) = if asked.is_in_place(&wish) {
                (PathBuf::from(ROOT), EntryPath::root())
            } else {
                match asked.imp().folder_row.path().filter(|_| asked.imp().folder_row.problem().is_none()) {
                    Some(folder) => (folder, wish.strip.clone()),
                    None => return,
                }
            };
            drop(asked);
            let thought = Thought::new(&wish, target, strip);
            let (asked, questions) = async_channel::unbounded();
            let place = wish.repository.clone();
            glib::spawn_future_local(async move {
                while let Ok(question) = questions.recv().await {
                    answer_as_remembered(question, &place).await;
                }
            });
            let look = move |catalog: &Catalog, job: &Job| {
                // Fails only when nobody is left to answer, and then the question is refused.
                let job = job.asking(move |question| _ = asked.try_send(question));
                thought.preview(catalog, &job)
            };
            let preview = wish.counter.ask(Lane::Amount, look).await;
            let Some(dialog) = dialog.upgrade().filter(|dialog| dialog.imp().turn.get() == turn) else {
                return;
            };
            match preview {
                Some(Ok(preview)) => {
                    dialog.show_thought(Some(&preview));
                    dialog.imp().preview.replace(Some(preview));
                }
                // The restore itself tells what is wrong, or asks for what is needed.
                Some(Err(error)) => tracing::info!(%error, "the restore could not be looked at"),
                None => {}
            }
        });
    }

    /// Whether files at the target may be lost by a way of dealing with them.
    pub(super) fn may_lose_files(&self, conflict: Conflict) -> bool {
        let preview = self.imp().preview.borrow();
        let is_known_none = |count: fn(&RestorePreview) -> u64| preview.as_ref().map(count) == Some(0);
        match conflict {
            Conflict::Refuse | Conflict::Skip | Conflict::KeepBoth => false,
            Conflict::NewerWins => !is_known_none(|preview| preview.older_count),
            Conflict::Replace => !is_known_none(|preview| preview.differing_count),
        }
    }

    fn show_thought(&self, preview: Option<&RestorePreview>) {
        let imp = self.imp();
        for (row, conflict, plain) in &*imp.plain_texts.borrow() {
            let text = preview.map(|preview| conflict_text(*conflict, preview));
            row.set_subtitle(text.as_ref().unwrap_or(plain));
        }
        imp.cost_label.set_visible(false);
        imp.loss_label.set_visible(false);
        let (Some(preview), Some(wish)) = (preview, &*imp.wish.borrow()) else { return };
        imp.amount_label.set_label(&gettext_f(
            "{amount}, from {date}",
            &[("amount", &amount_text(preview)), ("date", &words::set_date(wish.time))],
        ));
        let plan = self.plan();
        if !preview.volumes.is_empty() {
            let rate = plan.as_ref().and_then(|plan| plan.plan().stored_bytes_per_sec(&plan.runs()));
            let time = rate.map(|rate| time_text(preview.volume_bytes / rate));
            let texts = [Some(cost_text(preview)), time];
            imp.cost_label.set_label(&texts.into_iter().flatten().collect::<Vec<_>>().join("\n"));
            imp.cost_label.set_visible(true);
        }
        let damaged = plan.map(|plan| plan.damaged_files()).unwrap_or_default();
        let damaged_count = preview.volumes.iter().filter(|volume| damaged.contains(*volume)).count() as u64;
        if let lost_count @ 1.. = preview.lost_count + damaged_count {
            imp.loss_label.set_label(&loss_text(lost_count));
            imp.loss_label.set_visible(true);
        }
    }
}

/// How much would be restored: “12 items, 48 kB”.
fn amount_text(preview: &RestorePreview) -> String {
    let count = ngettext_f(
        "{count} item",
        "{count} items",
        preview.entry_count,
        &[("count", &words::count(preview.entry_count))],
    );
    let size = words::size(preview.file_bytes);
    if preview.unknown_size_count > 0 {
        gettext_f("{items}, at least {size}", &[("items", &count), ("size", &size)])
    } else {
        gettext_f("{items}, {size}", &[("items", &count), ("size", &size)])
    }
}

/// What has to be read for it.
fn cost_text(preview: &RestorePreview) -> String {
    ngettext_f(
        "{count} stored volume with {size} has to be read.",
        "{count} stored volumes with {size} have to be read.",
        preview.volumes.len() as u64,
        &[
            ("count", &words::count(preview.volumes.len() as u64)),
            ("size", &words::size(preview.volume_bytes)),
        ],
    )
}

/// What cannot come back, as far as is known before.
fn loss_text(count: u64) -> String {
    ngettext_f(
        "{count} stored volume that is needed is missing or damaged. What cannot be brought back is named at the end.",
        "{count} stored volumes that are needed are missing or damaged. What cannot be brought back is named at the end.",
        count,
        &[("count", &words::count(count))],
    )
}

/// How long that may take.
fn time_text(secs: u64) -> String {
    if secs < 60 {
        return gettext("That takes less than a minute.");
    }
    gettext_f("Judged by earlier runs that takes about {time}.", &[("time", &words::duration(secs))])
}

/// What each way of dealing with files that are already there would do.
fn conflict_text(conflict: Conflict, preview: &RestorePreview) -> String {
    let (all, differing, older) = (preview.conflict_count, preview.differing_count, preview.older_count);
    if all == 0 {
        return gettext("No file is there yet.");
    }
    match conflict {
        Conflict::Refuse | Conflict::Skip => ngettext_f(
            "{count} file is there and stays as it is.",
            "{count} files are there and stay as they are.",
            all,
            &[("count", &words::count(all))],
        ),
        Conflict::KeepBoth => ngettext_f(
            "{count} file is there. If the restored one differs, it gets “(restored)” behind its name.",
            "{count} files are there. Restored ones that differ get “(restored)” behind their names.",
            all,
            &[("count", &words::count(all))],
        ),
        Conflict::NewerWins if older == 0 => {
            gettext("No file that is there is older than the restored one: all stay as they are.")
        }
        Conflict::NewerWins => ngettext_f(
            "{count} file that is there is older, and is lost.",
            "{count} files that are there are older, and are lost.",
            older,
            &[("count", &words::count(older))],
        ),
        Conflict::Replace if differing == 0 => gettext("Nothing that is there is lost."),
        Conflict::Replace => ngettext_f(
            "{count} file that is there now is lost.",
            "{count} files that are there now are lost.",
            differing,
            &[("count", &words::count(differing))],
        ),
    }
}
