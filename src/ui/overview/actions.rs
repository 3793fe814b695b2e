//! What can be done with a plan from its overview.

use adw::prelude::*;
use adw::subclass::prelude::*;

use super::overview_page::OverviewPage;
use super::proofs;
use super::warnings_page::WarningsPage;
use crate::engine::crypto::{Encryption, PassphraseFor};
use crate::i18n::{gettext, gettext_f};
use crate::plan::{Destination, Keep};
use crate::platform::secrets::{self, Owner};
use crate::ui::dialogs;
use crate::ui::log::{LogPage, RunPage};
use crate::ui::model::PlanObject;
use crate::ui::plan_settings::PlanSettings;
use crate::ui::window::Window;

impl OverviewPage {
    /// Puts the actions named `overview.…` in place.
    pub(super) fn set_up_actions(&self) {
        self.add("back-up", |_, plan, window| {
            window.back_up(plan);
        });
        self.add("browse", |_, plan, window| window.browse(plan.repository(), None));
        self.add("warnings", |_, plan, window| {
            if let Some(run) = plan.last_run() {
                window.push(&WarningsPage::new(run.warnings, run.warning_count));
            }
        });
        self.add("open-destination", |_, plan, window| {
            let destination = plan.plan().destination;
            if let Destination::Network(address) = &destination {
                window.show_in_files(&gio::File::for_uri(&address.uri));
            } else if let Some(folder) = destination.folder() {
                window.open_folder(&folder);
            }
        });
        self.add("log", |_, plan, window| window.push(&LogPage::new(plan)));
        self.add("proof", |_, plan, window| {
            if let Some(run) = plan.last_proof() {
                window.push(&RunPage::new(plan, &run));
            }
        });
        self.add("verify", |_, plan, window| {
            let (plan, window) = (plan.clone(), window.clone());
            glib::spawn_future_local(async move { proofs::verify(&plan, &window).await });
        });
        self.add("drill", |_, plan, window| {
            let (plan, window) = (plan.clone(), window.clone());
            glib::spawn_future_local(async move { proofs::drill(&plan, &window).await });
        });
        self.add("keep-everything", |_, plan, window| {
            let (plan, window) = (plan.clone(), window.clone());
            glib::spawn_future_local(
                async move { answer_alarm(&plan, &window, Answer::KeepEverything).await },
            );
        });
        self.add("it-was-me", |_, plan, window| {
            let (plan, window) = (plan.clone(), window.clone());
            glib::spawn_future_local(async move { answer_alarm(&plan, &window, Answer::ItWasMe).await });
        });
        self.add("recall", |page, _, window| {
            let (page, window) = (page.clone(), window.clone());
            glib::spawn_future_local(async move { page.recall(&window).await });
        });
        self.add("forget-passphrase", |page, plan, window| {
            page.forget_unproved();
            let (plan, window) = (plan.clone(), window.clone());
            glib::spawn_future_local(async move { forget_passphrase(&plan, &window).await });
        });
        self.add("remove", |_, plan, window| {
            let (plan, window) = (plan.clone(), window.clone());
            glib::spawn_future_local(async move { remove(&plan, &window).await });
        });
        let browse_at = gio::SimpleAction::new("browse-at", Some(glib::VariantTy::INT64));
        let page = self.downgrade();
        browse_at.connect_activate(move |_, time| {
            let Some((page, plan, window)) = page.upgrade().and_then(|page| page.context()) else { return };
            drop(page);
            window.browse(plan.repository(), time.and_then(|time| time.get()));
        });
        self.imp().actions.add_action(&browse_at);
        let settings = gio::SimpleAction::new("settings", Some(glib::VariantTy::STRING));
        let page = self.downgrade();
        settings.connect_activate(move |_, at| {
            let Some((page, plan, window)) = page.upgrade().and_then(|page| page.context()) else { return };
            drop(page);
            if let Some(store) = window.store() {
                let dialog = PlanSettings::new(&store, &plan, &window);
                dialog.open_at(at.and_then(glib::Variant::str).unwrap_or_default(), &window);
            }
        });
        self.imp().actions.add_action(&settings);
        self.insert_action_group("overview", Some(&self.imp().actions));
    }

    fn add(&self, name: &str, act: impl Fn(&Self, &PlanObject, &Window) + 'static) {
        let action = gio::SimpleAction::new(name, None);
        let page = self.downgrade();
        action.connect_activate(move |_, _| {
            if let Some((page, plan, window)) = page.upgrade().and_then(|page| page.context()) {
                act(&page, &plan, &window);
            }
        });
        self.imp().actions.add_action(&action);
    }

    fn context(&self) -> Option<(Self, PlanObject, Window)> {
        Some((self.clone(), self.plan()?, self.root().and_downcast()?))
    }
}

/// What the person says to an alarm.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    KeepEverything,
    ItWasMe,
}

async fn answer_alarm(plan: &PlanObject, window: &Window, answer: Answer) {
    let (Some(store), Some(run)) = (window.store(), plan.alarm()) else { return };
    let mut facts = plan.plan();
    facts.alarm_answered = Some(run.ended_secs);
    let said = match answer {
        Answer::KeepEverything => {
            facts.keep = Keep::Everything;
            gettext("Nothing is deleted any more, until you change that in the plan settings")
        }
        Answer::ItWasMe => gettext("Old snapshots are deleted again after the next backup"),
    };
    match store.replace(facts).await {
        Ok(()) => window.toast(&said),
        Err(problem) => dialogs::show_problem(window, &problem),
    }
}

async fn forget_passphrase(plan: &PlanObject, window: &Window) {
    let facts = plan.plan();
    plan.repository().unlearn_all();
    let key = |id: &str| Owner::of(&PassphraseFor::Key { id: id.to_owned(), user_id: None }, None);
    let mut owners: Vec<_> = facts.protection.sign_key.as_deref().and_then(key).into_iter().collect();
    if let Encryption::Keys(recipients) = facts.protection.encryption {
        owners.extend(recipients.iter().filter_map(|recipient| key(&recipient.key)));
    }
    if let Err(error) = secrets::forget_plan(&facts.id).await {
        tracing::info!(%error, "there was nothing to forget");
    }
    for owner in owners {
        if let Err(error) = secrets::forget(&owner).await {
            tracing::info!(%error, "there was nothing to forget");
        }
    }
    window.toast(&gettext("The passphrase is forgotten"));
}

/// Asks whether a plan is to be forgotten, and does it. Whether it was.
pub async fn remove(plan: &PlanObject, window: &Window) -> bool {
    let heading = gettext_f("Remove “{name}”?", &[("name", &plan.name())]);
    let body = gettext(
        "Souvenir forgets what this plan backs up and where. Its backups stay at their destination, \
         and you can still restore from them.",
    );
    if !dialogs::confirm_destructive(window, &heading, &body, &gettext("_Remove Plan")).await {
        return false;
    }
    let Some(store) = window.store() else { return false };
    match store.remove(plan).await {
        Ok(()) => {
            window.toast(&gettext("Plan removed; its backups stay"));
            true
        }
        Err(problem) => {
            dialogs::show_problem(window, &problem);
            false
        }
    }
}
