//! What is chosen on the other pages, and what it means for the backups that there are.

use std::path::{Path, PathBuf};

use adw::prelude::*;
use adw::subclass::prelude::*;

use super::change_page::{ChangeText, Meaning, Way};
use super::{Draft, PlanSettings};
use crate::engine::crypto::{Encryption, Keyring, Protection};
use crate::i18n::{gettext, gettext_f, ngettext_f};
use crate::plan::Destination;
use crate::ui::assistant::ProtectionChoice;
use crate::ui::model::PlanObject;
use crate::ui::widgets::DestinationCheck;
use crate::ui::{describe, words};

/// The place of moving among the ways.
const MOVE: usize = 0;

impl PlanSettings {
    /// Takes the folders and goes back, unless one of them would be left out because the backups lie around it.
    pub(super) async fn take_folders(&self) {
        let imp = self.imp();
        let Some(destination) = imp.draft.borrow().as_ref().map(|draft| draft.plan.destination.clone())
        else {
            return;
        };
        match held_text(destination, imp.folders_page.folders()).await {
            Some(objection) => imp.folders_page.show_problem(&objection),
            None => _ = imp.navigation.pop_to_tag("settings"),
        }
    }

    fn keep_folders(&self) {
        let imp = self.imp();
        let chosen = (imp.folders_page.folders(), imp.folders_page.left_out());
        let plan = imp.plan.borrow().as_ref().map(PlanObject::plan);
        if let (Some(draft), Some(plan)) = (&mut *imp.draft.borrow_mut(), plan) {
            // The page has an order of its own, and who has only looked has changed nothing.
            let is_as_before = *imp.first_choice.borrow() == chosen;
            let (folders, left_out) = if is_as_before { (plan.folders, plan.left_out) } else { chosen };
            draft.plan.folders = folders;
            draft.plan.left_out = left_out;
        }
        imp.destination_page.set_folders(imp.folders_page.folders());
    }

    /// Takes what was chosen on a page that has no consequences to be shown, as it is left or the dialog is closed over
    /// it. Without any folder those from before stay.
    pub(super) fn take_left(&self, page: &adw::NavigationPage) {
        let imp = self.imp();
        match page.tag().as_deref() {
            Some("schedule") => {
                if let Some(draft) = &mut *imp.draft.borrow_mut() {
                    draft.plan.schedule = imp.schedule_page.schedule();
                }
            }
            Some("folders") if imp.folders_page.folders().is_empty() => {
                if let Some(Draft { plan, .. }) = &*imp.draft.borrow() {
                    imp.folders_page.set_choices(&plan.folders, &plan.left_out, &gettext("_Done"));
                }
            }
            Some("folders") => self.keep_folders(),
            _ => return,
        }
        self.refresh();
    }

    /// Shows what another destination means.
    pub(super) fn consider_destination(&self) {
        let imp = self.imp();
        let (Some(plan), Some(new)) = (imp.plan.borrow().clone(), imp.destination_page.destination()) else {
            return;
        };
        let before = plan.plan().destination;
        // Only who signs in, or the name of the drive, may be another one.
        if before.is_same_place(&new) {
            return self.take_destination();
        }
        let Some(found) = imp.destination_page.check() else { return };
        let (ways, means) = destination_choice(&plan, &found);
        imp.destination_change_page.show_change(&ChangeText {
            before: describe::destination(&before),
            after: describe::destination(&new),
            ways,
            means,
            verb: gettext("_Use This Destination"),
        });
        imp.navigation.push_by_tag("destination-change");
    }

    pub(super) fn take_destination(&self) {
        let imp = self.imp();
        if let (Some(draft), Some(new)) = (&mut *imp.draft.borrow_mut(), imp.destination_page.destination()) {
            let is_other =
                imp.plan.borrow().as_ref().is_some_and(|plan| !plan.plan().destination.is_same_place(&new));
            draft.moves = is_other && imp.destination_change_page.way() == Some(MOVE);
            draft.plan.destination = new;
            draft.tried = imp.destination_page.repository();
        }
        imp.navigation.pop_to_tag("settings");
        self.refresh();
    }

    /// Shows what another protection means.
    pub(super) fn consider_protection(&self) {
        let imp = self.imp();
        let (Some(plan), Some(choice)) = (imp.plan.borrow().clone(), imp.protection_page.choice()) else {
            return;
        };
        let facts = plan.plan();
        if existing(&choice).is_some_and(|new| new == facts.protection) {
            return self.take_protection();
        }
        let mut means = vec![(
            "dialog-information-symbolic",
            gettext("The next backup is a full one"),
            gettext(
                "It takes as long as the first one did, and needs as much space. From it on, the new protection holds.",
            ),
        )];
        if !plan.sets().is_empty() {
            means.push(match facts.protection.encryption {
                Encryption::None => (
                    "dialog-warning-symbolic",
                    gettext("Older snapshots stay as they are"),
                    gettext("Everybody can still read them, until they are deleted."),
                ),
                Encryption::Passphrase => (
                    "dialog-warning-symbolic",
                    gettext("Older snapshots keep the old passphrase"),
                    gettext("Keep it: without it nobody can open them. You are asked for it when they are opened."),
                ),
                Encryption::Keys(_) => (
                    "dialog-warning-symbolic",
                    gettext("Older snapshots keep the old key"),
                    gettext("Keep it: without it nobody can open them."),
                ),
            });
        }
        means.extend(match choice {
            ProtectionChoice::None => Some((
                "dialog-warning-symbolic",
                gettext("Everybody can read new backups"),
                gettext(
                    "Whoever finds the drive, or has access to the destination, can open every file in it.",
                ),
            )),
            ProtectionChoice::Passphrase { .. } => Some((
                "dialog-warning-symbolic",
                gettext("Do not lose the passphrase"),
                gettext("Without it nobody can open the backup, you neither."),
            )),
            ProtectionChoice::Key { .. } | ProtectionChoice::NewKey { .. } => None,
        });
        imp.protection_change_page.show_change(&ChangeText {
            before: describe::protection(&facts.protection, imp.key_owner.borrow().as_deref()),
            after: in_words(&choice),
            ways: Vec::new(),
            means,
            verb: gettext("_Use This Protection"),
        });
        imp.navigation.push_by_tag("protection-change");
    }

    pub(super) fn take_protection(&self) {
        let imp = self.imp();
        let choice = imp.protection_page.choice();
        if let (Some(draft), Some(choice)) = (&mut *imp.draft.borrow_mut(), choice) {
            let is_same = existing(&choice).is_some_and(|new| new == draft.plan.protection);
            draft.protection = (!is_same).then_some(choice);
        }
        imp.navigation.pop_to_tag("settings");
        self.refresh();
    }

    /// The destination of a draft in words.
    pub(super) fn destination_text(&self, draft: &Draft) -> String {
        let destination = describe::destination(&draft.plan.destination);
        if draft.moves {
            gettext_f("{destination}, once the backups are moved there", &[("destination", &destination)])
        } else {
            destination
        }
    }

    /// The protection of a draft in words.
    pub(super) fn protection_text(&self, draft: &Draft) -> String {
        match &draft.protection {
            Some(choice) => {
                gettext_f("{protection}, from the next backup on", &[("protection", &in_words(choice))])
            }
            None => describe::protection(&draft.plan.protection, self.imp().key_owner.borrow().as_deref()),
        }
    }

    pub(super) fn look_up_key_owner(&self) {
        let Some(draft) = self.imp().draft.borrow().clone() else { return };
        let Encryption::Keys(recipients) = draft.plan.protection.encryption else { return };
        let Some(first) = recipients.into_iter().next() else { return };
        let dialog = self.downgrade();
        glib::spawn_future_local(async move {
            let found = gio::spawn_blocking(move || Keyring::default().find(&first.key)).await;
            if let (Ok(Ok(key)), Some(dialog)) = (found, dialog.upgrade()) {
                dialog.imp().key_owner.replace(Some(key.user_id));
                dialog.refresh();
            }
        });
    }
}

/// Why folders cannot be backed up to a destination, if the backups lie around one of them.
pub(super) async fn held_text(destination: Destination, folders: Vec<PathBuf>) -> Option<String> {
    let held = move || destination.holding(&folders).map(Path::to_owned);
    let held = gio::spawn_blocking(held).await.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    held.map(|folder| {
        gettext_f(
            "“{folder}” cannot be backed up by this plan: the backups themselves are kept there, or around it.",
            &[("folder", &describe::folder_name(&folder))],
        )
    })
}

/// What can become of the backups that there are when they are to be kept elsewhere, and what that means.
fn destination_choice(plan: &PlanObject, found: &DestinationCheck) -> (Vec<Way>, Vec<Meaning>) {
    let (sets, there) = (plan.sets(), found.set_times());
    let (mut ways, mut means) = (Vec::new(), Vec::new());
    let anew = gettext("The next backup is a full one, and takes as long as the first one did.");
    // What a move left unfinished is gone on with.
    let can_move = !sets.is_empty() && there.iter().all(|time| sets.iter().any(|set| set.time == *time));
    if can_move {
        let bytes = sets.iter().map(|set| set.stored_bytes).sum();
        let count = sets.len() as u64;
        ways.push((
            gettext("Move Them There"),
            ngettext_f(
                "{count} snapshot, {size}, is copied and compared. The next backup goes on from it.",
                "{count} snapshots, {size}, are copied and compared. The next backup goes on from them.",
                count,
                &[("count", &words::count(count)), ("size", &words::size(bytes))],
            ),
        ));
        ways.push(if there.is_empty() {
            (gettext("Start Anew There"), anew)
        } else if there.len() == sets.len() {
            (
                gettext("Go On There"),
                gettext(
                    "All of them were found there. They are not compared; the next backup goes on from them.",
                ),
            )
        } else {
            (
                gettext("Go On There"),
                gettext("Only some of them are there. The next backup goes on from the newest of these."),
            )
        });
        if there.is_empty() && found.free_bytes().is_some_and(|free| free < bytes) {
            means.push((
                "dialog-warning-symbolic",
                gettext("They do not fit there"),
                gettext("There is too little space at the new destination to move the backups."),
            ));
        }
    } else if there.is_empty() {
        means.push(("dialog-information-symbolic", gettext("Backups start anew there"), anew));
    } else {
        means.push((
            "dialog-warning-symbolic",
            gettext("There are backups at the new destination already"),
            gettext("If they are of this computer, they are gone on with. Otherwise the next backup stands on its own."),
        ));
    }
    if !sets.is_empty() {
        means.push((
            "folder-symbolic",
            gettext("Nothing is deleted at the old destination"),
            gettext(
                "You can open the backups there with “Restore From a Backup…”, or choose their destination again.",
            ),
        ));
    } else if plan.expects_backups() {
        means.push((
            "dialog-information-symbolic",
            gettext("The existing backups cannot be moved now"),
            gettext(
                "Their destination cannot be reached. To move them, connect it, and choose the new destination then.",
            ),
        ));
    }
    (ways, means)
}

/// The protection, if nothing has to be made or learned for it. Another passphrase is always another protection.
fn existing(choice: &ProtectionChoice) -> Option<Protection> {
    match choice {
        ProtectionChoice::Key { key, signer } => Some(ProtectionChoice::by_key(key, signer)),
        ProtectionChoice::None => Some(Protection::none()),
        ProtectionChoice::NewKey { .. } | ProtectionChoice::Passphrase { .. } => None,
    }
}

fn in_words(choice: &ProtectionChoice) -> String {
    match choice {
        ProtectionChoice::Key { key, signer } => describe::key(&key.user_id, signer.as_signing()),
        ProtectionChoice::NewKey { wish, signer } => gettext_f(
            "{key}, which is created when you save",
            &[("key", &describe::key(wish.new.name.trim(), signer.as_signing()))],
        ),
        ProtectionChoice::Passphrase { .. } => gettext("A new passphrase"),
        ProtectionChoice::None => gettext("None: everybody can read it"),
    }
}
