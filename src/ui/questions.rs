//! What running jobs ask, answered with what is remembered, else by asking the person.

use std::cell::RefCell;
use std::sync::mpsc::SyncSender;

use adw::prelude::*;

use super::application::{Application, notification_id};
use super::dialogs::{self, PassphraseDialog, Storage};
use super::model::{JobModel, JobState, Repository};
use super::window::Window;
use crate::engine::crypto::{PassphraseRequest, Secret};
use crate::engine::job::{CancelReason, Question};
use crate::engine::storage::CredentialRequest;
use crate::i18n::{gettext, gettext_f};
use crate::platform::secrets::{self, Owner, SecretsError};

/// A secret that somebody wants to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// A passphrase, for the engine.
    Passphrase(PassphraseRequest),
    /// What a place asks for.
    Credential(CredentialRequest),
}

/// A secret that was typed, not yet known to be right.
#[derive(Debug)]
pub struct Given {
    wanted: Wanted,
    secret: Secret,
    owner: Option<Owner>,
}

impl Wanted {
    fn previous_was_wrong(&self) -> bool {
        match self {
            Self::Passphrase(request) => request.previous_was_wrong,
            Self::Credential(request) => request.previous_was_wrong,
        }
    }

    /// Under what it is remembered.
    fn owner(&self, place: &Repository) -> Option<Owner> {
        match self {
            Self::Passphrase(request) => Owner::of(&request.what, place.plan_id()),
            Self::Credential(request) => Owner::of_credential(request),
        }
    }

    fn is_for_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Passphrase(one), Self::Passphrase(other)) => one.what == other.what,
            (Self::Credential(one), Self::Credential(other)) => one.wanted == other.wanted,
            _ => false,
        }
    }

    fn learn(&self, place: &Repository, secret: Secret) {
        match self {
            Self::Passphrase(request) => place.learn(request.what.clone(), secret),
            Self::Credential(request) => place.learn_credential(request, secret),
        }
    }

    fn unlearn(&self, place: &Repository) {
        match self {
            Self::Passphrase(request) => place.unlearn(&request.what),
            Self::Credential(request) => place.unlearn_credential(request),
        }
    }
}

/// Answers what a place asks with what is remembered, and everything else with a refusal: for looks that
/// nobody asked for.
pub fn answer_quietly(job: &JobModel, place: &Repository) {
    let place = place.clone();
    job.connect_question(move |job| {
        let Some(Question::Credential { request, reply }) = job.take_question() else { return };
        let place = place.clone();
        glib::spawn_future_local(async move {
            let mut known = place.credential(&request);
            if known.is_none()
                && let Some(owner) = Owner::of_credential(&request)
            {
                known = secrets::look_up(&owner).await.ok().flatten();
            }
            // Who is asked a second time has nothing better to say. Fails if the job is gone.
            let _ = reply.try_send(known.filter(|_| !request.previous_was_wrong));
        });
    });
}

impl Application {
    /// Answers a job's question: with what is remembered, else by asking.
    pub(super) async fn answer(&self, job: &JobModel, place: &Repository, given: &RefCell<Vec<Given>>) {
        match job.take_question() {
            Some(Question::Passphrase { request, reply }) => {
                self.answer_secret(job, place, given, Wanted::Passphrase(request), reply).await;
            }
            Some(Question::Credential { request, reply }) => {
                self.answer_secret(job, place, given, Wanted::Credential(request), reply).await;
            }
            Some(Question::HostKey { key, reply }) => {
                let Some(window) = self.wait_for_window(job, place).await else {
                    return job.stop(CancelReason::User);
                };
                let is_right = dialogs::confirm_host_key(&window, &key).await;
                // Fails only when the job no longer waits, and then nobody needs the answer.
                let _ = reply.try_send(is_right);
            }
            None => {}
        }
    }

    async fn answer_secret(
        &self,
        job: &JobModel,
        place: &Repository,
        given: &RefCell<Vec<Given>>,
        wanted: Wanted,
        reply: SyncSender<Option<Secret>>,
    ) {
        let owner = wanted.owner(place);
        let mut storage = if owner.is_some() { Storage::Present } else { Storage::NotWanted };
        // Fails only when the job no longer waits, and then nobody needs the answer.
        let answer = |secret| _ = reply.try_send(Some(secret));
        if wanted.previous_was_wrong() {
            wanted.unlearn(place);
            given.borrow_mut().retain(|given| !given.wanted.is_for_the_same(&wanted));
        } else if let Wanted::Credential(request) = &wanted
            && let Some(secret) = place.credential(request)
        {
            return answer(secret);
        }
        if let Some(owner) = &owner {
            match secrets::look_up(owner).await {
                Ok(Some(secret)) if !wanted.previous_was_wrong() => return answer(secret),
                Ok(_) => {}
                Err(error) => {
                    tracing::info!(%error, "nothing could be looked up");
                    if matches!(error, SecretsError::Unavailable(_)) {
                        storage = Storage::Missing;
                    }
                }
            }
        }
        // Who does not want to answer wants the job to end, which is no failure of it.
        let Some((secret, remember)) = self.ask(job, &wanted, place, storage).await else {
            return job.stop(CancelReason::User);
        };
        let owner = owner.filter(|_| remember);
        given.borrow_mut().push(Given { wanted, secret: secret.clone(), owner });
        answer(secret);
    }

    async fn ask(
        &self,
        job: &JobModel,
        wanted: &Wanted,
        place: &Repository,
        storage: Storage,
    ) -> Option<(Secret, bool)> {
        let window = self.wait_for_window(job, place).await?;
        let dialog = match wanted {
            Wanted::Passphrase(request) => PassphraseDialog::new(request, place.title(), storage),
            Wanted::Credential(request) => PassphraseDialog::for_place(request, storage),
        };
        let is_new = matches!(wanted, Wanted::Passphrase(request) if request.confirm);
        let weak = dialog.downgrade();
        // A job that is stopped no longer waits for its answer.
        let handler = job.connect_ended(move |_| {
            if let Some(dialog) = weak.upgrade() {
                dialog.force_close();
            }
        });
        let answer = dialog.ask(&window, is_new).await;
        job.disconnect(handler);
        answer.map(|answer| (answer.secret, answer.remember))
    }

    /// The window, once it is shown: a dialog cannot be shown on a window that is not there. None if the job
    /// ends before.
    async fn wait_for_window(&self, job: &JobModel, place: &Repository) -> Option<Window> {
        let window = self.window()?;
        if !window.is_visible() {
            let notification =
                gio::Notification::new(&gettext_f("“{name}” needs an answer", &[("name", place.title())]));
            notification.set_body(Some(&gettext("The backup waits until you give it.")));
            notification.set_priority(gio::NotificationPriority::High);
            self.send_notification(Some(&notification_id(place)), &notification);
            until_visible(&window, job).await;
            self.withdraw_notification(&notification_id(place));
        }
        job.is_running().then_some(window)
    }

    /// What a job was told and found right is kept: until the program ends, or longer if the person
    /// wants.
    pub(super) fn keep_answers(&self, job: &JobModel, place: &Repository, answers: Vec<Given>) {
        if job.state() != JobState::Finished {
            return;
        }
        for Given { wanted, secret, owner } in answers {
            wanted.learn(place, secret.clone());
            let Some(owner) = owner else { continue };
            let label = gettext_f("Souvenir: {name}", &[("name", place.title())]);
            let application = self.clone();
            glib::spawn_future_local(async move {
                if let Err(error) = secrets::remember(&owner, &label, &secret).await {
                    tracing::warn!(%error, "the secret could not be remembered");
                    if let Some(window) = application.window() {
                        window.toast(&gettext("The passphrase could not be remembered"));
                    }
                }
            });
        }
    }
}

/// Waits until the window is shown again, or the job no longer needs it.
async fn until_visible(window: &Window, job: &JobModel) {
    let (sender, receiver) = async_channel::bounded::<()>(1);
    let shown = sender.clone();
    // A full channel has the news already.
    let on_window = window.connect_visible_notify(move |_| _ = shown.try_send(()));
    let on_job = job.connect_ended(move |_| _ = sender.try_send(()));
    // Fails only when both senders are gone, and then there is nothing to wait for.
    let _ = receiver.recv().await;
    window.disconnect(on_window);
    job.disconnect(on_job);
}
