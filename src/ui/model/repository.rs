//! A place with backups, and what the person has told about it since the window was opened.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;

use crate::engine::crypto::{PassphraseFor, Passphrases, Secret};
use crate::engine::format::time::SetTime;
use crate::engine::storage::{CredentialRequest, WantedCredential};
use crate::plan::{Access, Destination, Plan, Rates};

/// A place with backups. Clones are the same place.
#[derive(Debug, Clone)]
pub struct Repository(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    title: String,
    access: Access,
    plan_id: Option<String>,
    folders: Vec<PathBuf>,
    sign_key: Option<String>,
    /// Until when other keys signed, and which; oldest first.
    earlier_sign_keys: Vec<(i64, Option<String>)>,
    /// Passphrases that were given and found right, until the program ends.
    known: RefCell<HashMap<PassphraseFor, Secret>>,
    /// The same of what the place itself wanted to know.
    credentials: RefCell<HashMap<(String, WantedCredential), Secret>>,
    /// The passphrase of the chain that is to be begun, until it is.
    next: RefCell<Option<Secret>>,
    /// Passphrases of chains before.
    earlier: RefCell<Vec<Secret>>,
    /// Whether a chain with another passphrase is being begun.
    renewing: Cell<bool>,
    /// Whether it was begun, and nobody has taken notice.
    renewed: Cell<bool>,
}

impl Repository {
    /// The place of a plan's backups.
    pub fn of_plan(plan: &Plan) -> Self {
        Self(Rc::new(Inner {
            title: plan.name.clone(),
            access: plan.access(),
            plan_id: Some(plan.id.clone()),
            folders: plan.folders.clone(),
            sign_key: plan.protection.sign_key.clone(),
            earlier_sign_keys: plan
                .earlier_protections
                .iter()
                .map(|earlier| (earlier.until, earlier.protection.sign_key.clone()))
                .collect(),
            known: RefCell::default(),
            credentials: RefCell::default(),
            next: RefCell::default(),
            earlier: RefCell::default(),
            renewing: Cell::default(),
            renewed: Cell::default(),
        }))
    }

    /// A place that no plan knows.
    pub fn elsewhere(title: String, destination: Destination) -> Self {
        Self(Rc::new(Inner {
            title,
            access: Access { destination, rates: Rates::default() },
            plan_id: None,
            folders: Vec::new(),
            sign_key: None,
            earlier_sign_keys: Vec::new(),
            known: RefCell::default(),
            credentials: RefCell::default(),
            next: RefCell::default(),
            earlier: RefCell::default(),
            renewing: Cell::default(),
            renewed: Cell::default(),
        }))
    }

    /// The place of a plan that was changed, with all that is known.
    pub fn changed(&self, plan: &Plan) -> Self {
        let Self(new) = Self::of_plan(plan);
        new.known.replace(self.0.known.borrow().clone());
        new.credentials.replace(self.0.credentials.borrow().clone());
        new.next.replace(self.0.next.borrow().clone());
        new.earlier.replace(self.0.earlier.borrow().clone());
        Self(new)
    }

    /// Whether there may be backups from before another protection, which have another passphrase.
    pub fn had_other_protection(&self) -> bool {
        !self.0.earlier_sign_keys.is_empty()
    }

    /// Keeps the passphrase of the chain that is to be begun next.
    pub fn learn_next(&self, secret: Secret) {
        self.0.next.replace(Some(secret));
    }

    /// Whether the backup that is made now begins a chain with another passphrase.
    pub fn is_renewing(&self) -> bool {
        self.0.renewing.get()
    }

    /// Says whether the backup that is made now begins a chain with another passphrase.
    pub fn set_renewing(&self, renewing: bool) {
        self.0.renewing.set(renewing);
    }

    /// Takes notice of the chain with another passphrase that was begun.
    pub fn take_renewal(&self) {
        self.0.renewing.set(false);
        self.0.renewed.set(true);
        let next = self.0.next.take();
        let mut known = self.0.known.borrow_mut();
        let before = known.remove(&PassphraseFor::Archive);
        self.0.earlier.borrow_mut().extend(before);
        if let Some(next) = next {
            known.insert(PassphraseFor::Archive, next);
        }
    }

    /// Whether a chain with another passphrase was begun since this was asked last.
    pub fn take_notice(&self) -> bool {
        self.0.renewed.take()
    }

    /// Keeps a passphrase that opens some of the backups.
    pub fn learn_earlier(&self, secret: Secret) {
        let mut earlier = self.0.earlier.borrow_mut();
        if !earlier.contains(&secret) {
            earlier.push(secret);
        }
    }

    /// Passphrases that open some of the backups.
    pub fn earlier(&self) -> Vec<Secret> {
        self.0.earlier.borrow().clone()
    }

    /// The key that must have signed a snapshot of that time.
    pub fn sign_key(&self, time: SetTime) -> Option<&str> {
        let earlier = self.0.earlier_sign_keys.iter().find(|(until, _)| time.epoch() < *until);
        earlier.map_or(self.0.sign_key.as_deref(), |(_, key)| key.as_deref())
    }

    /// What the person calls it.
    pub fn title(&self) -> &str {
        &self.0.title
    }

    /// The place itself.
    pub fn destination(&self) -> &Destination {
        &self.0.access.destination
    }

    /// The place, and how fast it may go to and from there.
    pub fn access(&self) -> &Access {
        &self.0.access
    }

    /// The plan whose backups are here.
    pub fn plan_id(&self) -> Option<&str> {
        self.0.plan_id.as_deref()
    }

    /// The folders that the plan backs up.
    pub fn folders(&self) -> &[PathBuf] {
        &self.0.folders
    }

    /// Everything known, for one operation: a wrong answer in it must not spoil the next.
    pub fn passphrases(&self) -> Passphrases {
        let passphrases = Passphrases::new();
        if let Some(next) = self.0.next.borrow().as_ref().filter(|_| self.is_renewing()) {
            passphrases.set_archive(next.clone());
        }
        for (what, secret) in &*self.0.known.borrow() {
            match what {
                PassphraseFor::Archive if self.is_renewing() => {}
                PassphraseFor::Archive => passphrases.set_archive(secret.clone()),
                PassphraseFor::Key { id, .. } => passphrases.set_key(id, secret.clone()),
            }
        }
        passphrases
    }

    /// Keeps a passphrase until the program ends.
    pub fn learn(&self, what: PassphraseFor, secret: Secret) {
        self.0.known.borrow_mut().insert(what, secret);
    }

    /// Forgets all passphrases and passwords.
    pub fn unlearn_all(&self) {
        self.0.known.borrow_mut().clear();
        self.0.next.take();
        self.0.earlier.borrow_mut().clear();
        self.0.credentials.borrow_mut().clear();
    }

    /// What the place wants to know, if it was told before.
    pub fn credential(&self, request: &CredentialRequest) -> Option<Secret> {
        self.0.credentials.borrow().get(&credential_key(request)).cloned()
    }

    /// Keeps what a place was told until the program ends; one-time codes are good for once.
    pub fn learn_credential(&self, request: &CredentialRequest, secret: Secret) {
        if !matches!(request.wanted, WantedCredential::Prompt { .. }) {
            self.0.credentials.borrow_mut().insert(credential_key(request), secret);
        }
    }

    /// Forgets what a place refused.
    pub fn unlearn_credential(&self, request: &CredentialRequest) {
        self.0.credentials.borrow_mut().remove(&credential_key(request));
    }

    /// Takes over what another was told, such as while a destination was tried.
    pub fn learn_from(&self, other: &Self) {
        self.0.credentials.borrow_mut().extend(other.0.credentials.borrow().clone());
    }

    /// Forgets a passphrase that was wrong.
    pub fn unlearn(&self, what: &PassphraseFor) {
        self.0.known.borrow_mut().remove(what);
    }
}

fn credential_key(request: &CredentialRequest) -> (String, WantedCredential) {
    (request.location.clone(), request.wanted.clone())
}
