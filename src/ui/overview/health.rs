//! How sure one can be of a plan's backups: the chain, the last proof, the key.

use adw::prelude::*;
use adw::subclass::prelude::*;

use super::overview_page::OverviewPage;
use crate::engine::chain::{FullReason, Outlook};
use crate::engine::crypto::Key;
use crate::engine::status::{Status, Weakness};
use crate::i18n::{gettext, gettext_f, ngettext_f};
use crate::plan::history::Run;
use crate::plan::safekeeping::KeyCare;
use crate::ui::dialogs::{PassphraseDialog, Recall, show_passphrase};
use crate::ui::log::run_text;
use crate::ui::model::PlanObject;
use crate::ui::safekeeping::Unproved;
use crate::ui::window::Window;
use crate::ui::{assistant, words};

impl OverviewPage {
    pub(super) fn refresh_health(&self, plan: &PlanObject) {
        let imp = self.imp();
        let status = plan.status();
        let has_sets = !plan.sets().is_empty();
        imp.health_group.set_visible(has_sets || !plan.runs().is_empty());
        imp.chain_row.set_visible(has_sets);
        imp.proof_row.set_visible(has_sets);
        imp.proof_buttons.set_visible(has_sets);
        if let Some(status) = &status {
            let weakness = weakness(status, plan.unexplained_gap().is_none());
            imp.chain_icon.set_visible(weakness.is_some());
            // What is gone on with comes first; what older snapshots lack is beside it.
            let newest = weakness.as_ref().is_none_or(|weakness| !weakness.is_of_newest);
            let newest = newest.then(|| chain_text(status, plan.awaits_protection()));
            let lines = [newest, weakness.map(|weakness| weakness.text)];
            imp.chain_row.set_subtitle(&lines.into_iter().flatten().collect::<Vec<_>>().join("\n"));
        }
        let proof = plan.last_proof();
        imp.proof_row.set_activatable(proof.is_some());
        imp.proof_arrow.set_visible(proof.is_some());
        imp.proof_icon.set_visible(proof.as_ref().is_some_and(run_text::is_bad));
        imp.proof_row.set_subtitle(&proof.map_or_else(
            || gettext("Never: nobody has looked yet whether these backups can be restored"),
            |run| proof_text(&run),
        ));
        let runs = plan.runs();
        self.refresh_recall(plan, &runs);
        imp.log_row.set_subtitle(&match runs.last() {
            Some(run) => gettext_f(
                "{task}, {when}",
                &[("task", &run_text::task(run)), ("when", &words::ago(run.ended_secs))],
            ),
            None => String::new(),
        });
    }

    /// Shows what is known of the key that protects, and what was done so that it is not lost.
    pub(super) fn show_key(&self, key: Option<(&Key, KeyCare)>) {
        let imp = self.imp();
        imp.key_row.set_visible(key.is_some());
        let Some((key, care)) = key else { return };
        let (facts, objection) = assistant::key_facts(key);
        imp.key_icon.set_visible(objection.is_some());
        let care = (key.has_secret && !key.is_on_card).then(|| care_text(care));
        let parts: Vec<_> = [Some(facts), care, objection].into_iter().flatten().collect();
        imp.key_row.set_subtitle(&parts.join("\n"));
    }

    /// Looks whether the person should show that they still know the passphrase.
    fn refresh_recall(&self, plan: &PlanObject, runs: &[Run]) {
        let imp = self.imp();
        let begun_secs = runs.first().map(|run| run.started_secs);
        let newest_secs = runs.last().map(|run| run.ended_secs);
        let question = (plan.id(), newest_secs, plan.plan().protection);
        if imp.recall_question.borrow().as_ref() == Some(&question) {
            return;
        }
        self.forget_unproved();
        imp.recall_question.replace(Some(question.clone()));
        let (page, plan) = (self.downgrade(), plan.plan());
        glib::spawn_future_local(async move {
            let unproved = Unproved::of(&plan, begun_secs).await;
            let Some(page) = page.upgrade() else { return };
            if page.imp().recall_question.borrow().as_ref() == Some(&question) {
                page.take_unproved(unproved);
            }
        });
    }

    /// Knows of no passphrase that has to be shown to be known.
    pub(super) fn forget_unproved(&self) {
        self.imp().recall_question.replace(None);
        self.take_unproved(None);
    }

    fn take_unproved(&self, unproved: Option<Unproved>) {
        let imp = self.imp();
        imp.recall_row.set_visible(unproved.is_some());
        if let Some(unproved) = &unproved {
            imp.recall_row.set_subtitle(&gettext_f(
                "You typed it {when}. Do you still know it?",
                &[("when", &words::ago(unproved.since_secs))],
            ));
        }
        imp.unproved.replace(unproved);
    }

    /// Asks whether the person still knows the passphrase. Who does not may see it.
    pub(super) async fn recall(&self, window: &Window) {
        let (Some(unproved), Some(plan)) = (self.imp().unproved.borrow().clone(), self.plan()) else {
            return;
        };
        let mut was_wrong = false;
        loop {
            match PassphraseDialog::to_recall(&plan.name(), was_wrong).recall(window).await {
                Recall::Typed(secret) if secret == unproved.secret => {
                    unproved.prove().await;
                    if self.plan().is_some_and(|shown| shown == plan) {
                        self.take_unproved(None);
                    }
                    return window.toast(&gettext("That is right"));
                }
                Recall::Typed(_) => was_wrong = true,
                Recall::Forgotten => return show_passphrase(window, &unproved.secret),
                Recall::Later => return,
            }
        }
    }

    /// Asks what to do where much more has changed than ever before.
    pub(super) fn refresh_alarm(&self, plan: &PlanObject) {
        let imp = self.imp();
        let alarm = plan.alarm().and_then(|run| Some((run.ended_secs, run.alarm?)));
        imp.alarm_group.set_visible(alarm.is_some());
        let Some((when, alarm)) = alarm else { return };
        imp.alarm_row.set_subtitle(&gettext_f(
            "{changed} of about {total} entries changed, came or went in the backup of {date}; never before was it \
             more than {usual}. If that was not you, a program may have spoilt your files. Until you say, no old \
             snapshot is deleted.",
            &[
                ("changed", &words::count(alarm.changed_count)),
                ("total", &words::count(alarm.total_count)),
                ("date", &words::short_date(when)),
                ("usual", &words::count(alarm.usual_count)),
            ],
        ));
    }
}

/// What was done so that a key is not lost.
fn care_text(care: KeyCare) -> String {
    let (kit, copied) = (care.kit_secs.map(words::day_near), care.copied_secs.map(words::day_near));
    match (kit, copied) {
        (Some(kit), Some(copied)) if kit == copied => {
            gettext_f("Copied, with a recovery kit, on {date}", &[("date", &kit)])
        }
        (Some(kit), Some(copied)) => {
            gettext_f("Recovery kit of {kit}, copied on {copied}", &[("kit", &kit), ("copied", &copied)])
        }
        (Some(kit), None) => gettext_f("Recovery kit of {date}", &[("date", &kit)]),
        (None, Some(copied)) => gettext_f("Copied on {date}, without a recovery kit", &[("date", &copied)]),
        (None, None) => gettext("No copy of it was made here: see Keys in the menu"),
    }
}

/// The newest chain: “7 increments since 3 Nov, next full by 1 Dec”.
fn chain_text(status: &Status, awaits_protection: bool) -> String {
    let (Some(chain), Some(outlook)) = (status.chains.last(), &status.outlook) else { return String::new() };
    let begun = chain.begun().map(|time| words::day_near(time.epoch())).unwrap_or_default();
    let count = u64::from(outlook.increment_count);
    let chain = if count == 0 {
        gettext_f("A full snapshot of {date}", &[("date", &begun)])
    } else {
        ngettext_f(
            "{count} increment since {date}",
            "{count} increments since {date}",
            count,
            &[("count", &words::count(count)), ("date", &begun)],
        )
    };
    let next = if awaits_protection { gettext("the next is a full one") } else { next_full(outlook) };
    if next.is_empty() { chain } else { gettext_f("{chain}, {next}", &[("chain", &chain), ("next", &next)]) }
}

fn next_full(outlook: &Outlook) -> String {
    match (&outlook.due, outlook.due_by) {
        (
            Some(FullReason::MissingVolumes { .. } | FullReason::NoSignatures { .. } | FullReason::Damaged),
            _,
        ) => gettext("which cannot be gone on with: the next is a full one"),
        (Some(_), _) => gettext("the next is a full one"),
        (None, Some(time)) => gettext_f("next full by {date}", &[("date", &words::day_near(time.epoch()))]),
        (None, None) => String::new(),
    }
}

/// What the names of the stored files tell of damage.
struct Told {
    text: String,
    /// Whether the newest chain is damaged.
    is_of_newest: bool,
}

/// What the names of the stored files tell of damage, and whether a check has told already what it means.
fn weakness(status: &Status, is_explained: bool) -> Option<Told> {
    let chains = status.chains.iter().rev().enumerate();
    let (age, (set, weakness)) =
        chains.filter_map(|(age, chain)| Some((age, chain.weakest_link()?))).next()?;
    let date = words::short_date(set.time.epoch());
    let text = match weakness {
        Weakness::MissingVolumes if is_explained => {
            gettext_f("Files of the snapshot of {date} are missing.", &[("date", &date)])
        }
        Weakness::MissingVolumes => gettext_f(
            "Files of the snapshot of {date} are missing. Choose “Verify…” to learn what can still be restored.",
            &[("date", &date)],
        ),
        Weakness::NoSignatures => gettext_f(
            "The snapshot of {date} has no signatures: it can be restored, but not be gone on with.",
            &[("date", &date)],
        ),
        Weakness::NotEncrypted => return None,
    };
    Some(Told { text, is_of_newest: age == 0 })
}

/// The last proof: “yesterday at 22:00: 200 files restored and equal”.
fn proof_text(run: &Run) -> String {
    gettext_f(
        "{result}, {when}",
        &[("result", &run_text::result(run)), ("when", &words::ago(run.ended_secs))],
    )
}
