//! What running jobs ask, answered with what is remembered, else by asking the person.

use std::cell::{Cell, RefCell};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use adw::prelude::*;

use super::application::{Application, notification_id};
use super::dialogs::{self, PassphraseDialog, Storage};
use super::model::{JobKind, JobModel, JobState, Repository};
use super::mounting;
use super::safekeeping;
use super::window::Window;
use crate::engine::crypto::{PassphraseFor, PassphraseRequest, Secret};
use crate::engine::job::{CancelReason, Question};
use crate::engine::storage::CredentialRequest;
use crate::i18n::{gettext, gettext_f};
use crate::platform::secrets::{self, Owner, SecretsError};

/// How long the program stays for a password storage that has to be unlocked first.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

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

/// What a job was told.
#[derive(Debug, Default)]
pub struct Answers {
    given: RefCell<Vec<Given>>,
    /// How many of the remembered passphrases of the backups were tried.
    tried_count: Cell<usize>,
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
            Self::Passphrase(request) if request.confirm && place.is_renewing() => {
                place.plan_id().map(|id| Owner::NextOfPlan(id.to_owned()))
            }
            Self::Passphrase(request) => Owner::of(&request.what, place.plan_id()),
            Self::Credential(request) => Owner::of_credential(request),
        }
    }

    /// Whether it is the passphrase of backups that exist, which may have had several.
    fn is_of_several(&self, place: &Repository) -> bool {
        let is_archive = |request: &PassphraseRequest| {
            request.what == PassphraseFor::Archive && !request.confirm && place.plan_id().is_some()
        };
        matches!(self, Self::Passphrase(request) if is_archive(request)) && place.had_other_protection()
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
        if let Some(question) = job.take_question() {
            let place = place.clone();
            glib::spawn_future_local(async move { answer_as_remembered(question, &place).await });
        }
    });
}

/// Answers one question in that way. Dropping it is a refusal.
pub async fn answer_as_remembered(question: Question, place: &Repository) {
    let Question::Credential { request, reply } = question else { return };
    let mut known = place.credential(&request);
    if known.is_none()
        && let Some(owner) = Owner::of_credential(&request)
    {
        known = secrets::look_up(&owner).await.ok().flatten();
    }
    // Who is asked a second time has nothing better to say. Fails if the job is gone.
    let _ = reply.try_send(known.filter(|_| !request.previous_was_wrong));
}

/// Answers the question of a job that began by itself with what is remembered, and everything else with a refusal:
/// nobody is asked. Whether there was an answer.
pub async fn answer_unasked(job: &JobModel, place: &Repository, answers: &Answers) -> bool {
    let (wanted, reply) = match job.take_question() {
        Some(Question::Passphrase { request, reply }) => (Wanted::Passphrase(request), reply),
        Some(Question::Credential { request, reply }) => (Wanted::Credential(request), reply),
        // Dropping it is a no.
        Some(Question::HostKey { .. } | Question::OtherHost { .. } | Question::Mount { .. }) | None => {
            return false;
        }
    };
    let again = wanted.previous_was_wrong();
    let mut secret = match &wanted {
        Wanted::Credential(request) if !again => place.credential(request),
        _ => None,
    };
    if secret.is_none()
        && !again
        && let Some(owner) = wanted.owner(place)
    {
        secret = known_to_keyring(job, secrets::look_up_unlocked(&owner).await);
    }
    if secret.is_none() && wanted.is_of_several(place) {
        secret = match earlier(place, &answers.tried_count) {
            Some(Earlier::Known(secret)) => Some(secret),
            Some(Earlier::Of(owner)) => known_to_keyring(job, secrets::look_up_unlocked(&owner).await),
            None => None,
        };
    }
    let is_answered = secret.is_some();
    // Fails only when the job no longer waits, and then nobody needs the answer.
    let _ = reply.try_send(secret);
    is_answered
}

impl Application {
    /// Answers a job's question: with what is remembered, else by asking.
    pub(super) async fn answer(&self, job: &JobModel, place: &Repository, answers: &Answers) {
        match job.take_question() {
            Some(Question::Passphrase { request, reply }) => {
                self.answer_secret(job, place, answers, Wanted::Passphrase(request), reply).await;
            }
            Some(Question::Credential { request, reply }) => {
                self.answer_secret(job, place, answers, Wanted::Credential(request), reply).await;
            }
            Some(Question::HostKey { key, reply }) => {
                let Some(window) = self.wait_for_window(job, place).await else {
                    return job.stop(CancelReason::User);
                };
                let is_right = dialogs::confirm_host_key(&window, &key).await;
                // Fails only when the job no longer waits, and then nobody needs the answer.
                let _ = reply.try_send(is_right);
            }
            Some(Question::OtherHost { found, reply }) => {
                let Some(window) = self.wait_for_window(job, place).await else {
                    return job.stop(CancelReason::User);
                };
                match dialogs::ask_other_host(&window, &found).await {
                    // Fails as above.
                    Some(goes_on) => _ = reply.try_send(goes_on),
                    None => job.stop(CancelReason::User),
                }
            }
            Some(Question::Mount { address, reply }) => {
                let Some(window) = self.wait_for_window(job, place).await else {
                    return job.stop(CancelReason::User);
                };
                match mounting::mount(&window, job, &address).await {
                    // Fails as above.
                    Some(result) => _ = reply.try_send(result),
                    None => job.stop(CancelReason::User),
                }
            }
            None => {}
        }
    }

    async fn answer_secret(
        &self,
        job: &JobModel,
        place: &Repository,
        answers: &Answers,
        wanted: Wanted,
        reply: SyncSender<Option<Secret>>,
    ) {
        let owner = wanted.owner(place);
        let mut storage = if owner.is_some() { Storage::Present } else { Storage::NotWanted };
        // Fails only when the job no longer waits, and then nobody needs the answer.
        let answer = |secret| _ = reply.try_send(Some(secret));
        let of_several = wanted.is_of_several(place);
        if wanted.previous_was_wrong() {
            // Of several passphrases each is right for some of the backups.
            if !of_several {
                wanted.unlearn(place);
            }
            answers.given.borrow_mut().retain(|given| !given.wanted.is_for_the_same(&wanted));
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
        if of_several && let Some(secret) = recall_earlier(place, &answers.tried_count).await {
            return answer(secret);
        }
        // Who does not want to answer wants the job to end, which is no failure of it.
        let Some((secret, remember)) = self.ask(job, &wanted, place, storage).await else {
            return job.stop(CancelReason::User);
        };
        let owner = owner.filter(|_| remember);
        answers.given.borrow_mut().push(Given { wanted, secret: secret.clone(), owner });
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
            Wanted::Passphrase(request) => {
                PassphraseDialog::new(request, place.title(), wanted.is_of_several(place), storage)
            }
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
    pub(super) fn keep_answers(&self, job: &JobModel, place: &Repository, answers: &Answers) {
        if job.state() != JobState::Finished {
            return;
        }
        let (mut lasting, mut typed) = (Vec::new(), Vec::new());
        for Given { wanted, secret, owner } in answers.given.take() {
            // What opens a snapshot need not be what the next one is sealed with.
            let is_earlier = wanted.is_of_several(place) && job.kind() != JobKind::Backup;
            if is_earlier {
                place.learn_earlier(secret.clone());
            } else {
                typed.extend(wanted.owner(place).filter(|_| matches!(wanted, Wanted::Passphrase(_))));
                wanted.learn(place, secret.clone());
            }
            lasting.extend(owner.map(|owner| (owner, secret, is_earlier)));
        }
        let renewed = place.plan_id().filter(|_| place.take_notice()).map(str::to_owned);
        let label = gettext_f("Souvenir: {name}", &[("name", place.title())]);
        let application = self.clone();
        self.before_the_end(async move {
            for owner in &typed {
                safekeeping::note_typed(owner).await;
            }
            let remembered = remember_all(lasting, renewed, &label);
            let remembered = glib::future_with_timeout(PATIENCE, remembered).await;
            if let Err(error) =
                remembered.unwrap_or_else(|_| Err(SecretsError::Refused("no answer".to_owned())))
            {
                tracing::warn!(%error, "the secret could not be remembered");
                if let Some(window) = application.window() {
                    window.toast(&gettext("The passphrase could not be remembered"));
                }
            }
        });
    }
}

/// Remembers secrets, and then that the plan of that id has begun a chain with another passphrase.
async fn remember_all(
    secrets: Vec<(Owner, Secret, bool)>,
    renewed: Option<String>,
    label: &str,
) -> Result<(), SecretsError> {
    for (owner, secret, is_earlier) in secrets {
        match owner {
            Owner::Plan(id) if is_earlier => secrets::remember_earlier(&id, label, &secret).await?,
            owner => secrets::remember(&owner, label, &secret).await?,
        }
    }
    match renewed {
        // Where there is no password storage, nothing is in it that had to be moved.
        Some(id) => match secrets::renew(&id, label).await {
            Err(SecretsError::Unavailable(_)) => Ok(()),
            done => done,
        },
        None => Ok(()),
    }
}

/// A passphrase of older backups.
enum Earlier {
    /// This one.
    Known(Secret),
    /// What is remembered under this, if anything is.
    Of(Owner),
}

/// The next passphrase of older backups to be tried.
fn earlier(place: &Repository, tried_count: &Cell<usize>) -> Option<Earlier> {
    let index = tried_count.get();
    tried_count.set(index + 1);
    let known = place.earlier();
    match known.get(index) {
        Some(secret) => Some(Earlier::Known(secret.clone())),
        None => Some(Earlier::Of(Owner::earlier(place.plan_id()?, index - known.len() + 1))),
    }
}

async fn recall_earlier(place: &Repository, tried_count: &Cell<usize>) -> Option<Secret> {
    match earlier(place, tried_count)? {
        Earlier::Known(secret) => Some(secret),
        Earlier::Of(owner) => secrets::look_up(&owner).await.ok().flatten(),
    }
}

/// What was found in the password storage. That it could not be looked into, the job remembers.
fn known_to_keyring(job: &JobModel, found: Result<Option<Secret>, SecretsError>) -> Option<Secret> {
    found.unwrap_or_else(|error| {
        job.set_keyring_error(error);
        None
    })
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
