//! Saving the settings of a plan.

use adw::prelude::*;
use adw::subclass::prelude::*;

use super::changes::held_text;
use super::{Draft, PlanSettings};
use crate::engine::crypto::{Encryption, PassphraseFor, Protection};
use crate::i18n::{gettext, gettext_f};
use crate::plan::history::Problem;
use crate::platform::secrets::{self, Owner};
use crate::ui::assistant::{self, PlanSecret, ProtectionChoice};
use crate::ui::model::PlanObject;
use crate::ui::safekeeping;

impl PlanSettings {
    pub(super) async fn save(&self) {
        let imp = self.imp();
        imp.settings_page.show_problem(None);
        imp.settings_page.set_busy(true);
        self.set_can_close(false);
        let saved = self.write().await;
        imp.settings_page.set_busy(false);
        match saved {
            Ok(remark) => {
                self.force_close();
                let Some(window) = imp.window.upgrade() else { return };
                if !remark.is_empty() {
                    window.toast(&remark);
                }
                if let Some((key, _)) = imp.made.take() {
                    window.ask_for_copy(key).await;
                }
            }
            Err(problem) => {
                imp.settings_page.show_problem(Some(&problem));
                self.refresh();
            }
        }
    }

    /// Writes everything. The answer is a word about something that did not work but does not matter much; it may
    /// be empty.
    async fn write(&self) -> Result<String, Problem> {
        let imp = self.imp();
        let missing = || Problem { what: gettext("Something is missing"), ..Problem::default() };
        let Draft { plan: mut new, protection, tried, moves } = self.draft().ok_or_else(missing)?;
        let store = imp.store.borrow().clone().ok_or_else(missing)?;
        let plan = imp.plan.borrow().clone().ok_or_else(missing)?;
        if let Some(what) = held_text(new.destination.clone(), new.folders.clone()).await {
            return Err(Problem { what, ..Problem::default() });
        }
        let now = glib::real_time() / 1_000_000;
        let before = plan.plan();
        // The plan goes on at the other place once everything is there.
        let target = moves.then(|| std::mem::replace(&mut new.destination, before.destination.clone()));
        if !new.destination.is_same_place(&before.destination) {
            new.destination_since = Some(now);
        }
        let mut secret = None;
        if let Some(choice) = protection {
            let (protection, known) = self.protect(choice).await?;
            secret = known;
            // Later than every chain that there is, whatever the clock says, and not later than the next set.
            let newest = plan.sets().last().map_or(now, |set| set.time.epoch() + 1);
            new.change_protection(protection, now.max(newest));
        }
        store.replace(new).await?;
        if let Some(tried) = tried {
            plan.repository().learn_from(&tried);
        }
        if let (Some(target), Some(window)) = (target, imp.window.upgrade())
            && !window.move_backups(&plan, target)
        {
            return Err(Problem {
                what: gettext("The backups cannot be moved now"),
                advice: gettext("A backup or a check is running. Wait until it is done, then save again."),
                ..Problem::default()
            });
        }
        Ok(match secret {
            Some(secret) if secret.what == PassphraseFor::Archive => keep_next(&plan, secret).await,
            Some(secret) => assistant::keep(&plan, secret).await,
            None => String::new(),
        })
    }

    /// Turns the choice into a protection, making the key if need be.
    async fn protect(&self, choice: ProtectionChoice) -> Result<(Protection, Option<PlanSecret>), Problem> {
        let imp = self.imp();
        match choice {
            ProtectionChoice::None => Ok((Protection::none(), None)),
            ProtectionChoice::Passphrase { secret, remember } => {
                let protection = Protection { encryption: Encryption::Passphrase, sign_key: None };
                Ok((protection, Some(PlanSecret { what: PassphraseFor::Archive, secret, remember })))
            }
            ProtectionChoice::Key { key, signer } => {
                let made = imp.made.borrow().clone().filter(|(made, _)| *made == key);
                Ok((ProtectionChoice::by_key(&key, &signer), made.and_then(|(_, secret)| secret)))
            }
            ProtectionChoice::NewKey { wish, signer } => {
                let (key, secret) = assistant::make_key(wish).await?;
                // Should saving fail, the next attempt must not make a second key.
                imp.protection_page.set_made(key.clone());
                imp.made.replace(Some((key.clone(), secret.clone())));
                if let Some(draft) = &mut *imp.draft.borrow_mut() {
                    draft.protection =
                        Some(ProtectionChoice::Key { key: key.clone(), signer: signer.clone() });
                }
                Ok((ProtectionChoice::by_key(&key, &signer), secret))
            }
        }
    }
}

/// Keeps the passphrase for the chain that is begun next. The answer is what did not work.
async fn keep_next(plan: &PlanObject, secret: PlanSecret) -> String {
    let PlanSecret { secret, remember, .. } = secret;
    safekeeping::note_typed(&Owner::Plan(plan.id())).await;
    plan.repository().learn_next(secret.clone());
    let owner = Owner::NextOfPlan(plan.id());
    if !remember {
        // One from a change before that came to nothing.
        if let Err(error) = secrets::forget(&owner).await {
            tracing::info!(%error, "there was nothing to forget");
        }
        return String::new();
    }
    let label = gettext_f("Souvenir: {name}", &[("name", &plan.name())]);
    match secrets::remember(&owner, &label, &secret).await {
        Ok(()) => String::new(),
        Err(error) => {
            tracing::warn!(%error, "the passphrase could not be remembered");
            gettext("The passphrase could not be remembered: there is no password storage on this computer.")
        }
    }
}
