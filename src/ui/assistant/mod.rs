//! The assistant that sets up a plan: folders, destination, protection, a copy of the key, schedule, summary. Going back
//! always works, and nothing is written before the last page.

mod destination_page;
mod folder_sizes;
mod folders_page;
mod keep_key_page;
mod key_row;
mod left_out_group;
mod listed_row;
mod new_key_page;
mod protection_page;
mod schedule_page;
mod summary_page;

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::sync::OnceLock;

use adw::prelude::*;
use adw::subclass::prelude::*;
use glib::subclass::Signal;

use crate::engine::crypto::{Encryption, Key, Keyring, PassphraseFor, Passphrases, Protection, Secret};
use crate::engine::error::Error;
use crate::i18n::{gettext, gettext_f};
use crate::kit::{KeepRequest, KitPlace, keep as keep_key};
use crate::plan::history::Problem;
use crate::plan::{Destination, FullEvery, Keep, Plan};
use crate::platform::secrets::{self, Owner};
use crate::ui::dialogs;
use crate::ui::error_text;
use crate::ui::keys;
use crate::ui::model::{PlanObject, PlanStore};
use crate::ui::safekeeping;
use crate::ui::widgets::KeepingGroup;
use keep_key_page::{KeepKeyPage, KeepWish};
use protection_page::Signer;
use summary_page::SummaryPage;

pub use destination_page::DestinationPage;
pub use folders_page::FoldersPage;
pub use key_row::{algorithm, facts_with_address, key_facts, objection};
pub use new_key_page::{KeyWish, NewKeyPage};
pub use protection_page::{ProtectionChoice, ProtectionPage};
pub use schedule_page::SchedulePage;
pub use summary_page::Start;

/// A passphrase that goes with a new plan.
#[derive(Debug, Clone)]
pub struct PlanSecret {
    /// What it is for.
    pub what: PassphraseFor,
    /// The passphrase.
    pub secret: Secret,
    /// Whether the Secret Service is to keep it.
    pub remember: bool,
}

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "assistant.ui")]
    pub struct Assistant {
        #[template_child]
        pub navigation: TemplateChild<adw::NavigationView>,
        #[template_child]
        pub folders_page: TemplateChild<FoldersPage>,
        #[template_child]
        pub destination_page: TemplateChild<DestinationPage>,
        #[template_child]
        pub protection_page: TemplateChild<ProtectionPage>,
        #[template_child]
        pub new_key_page: TemplateChild<NewKeyPage>,
        #[template_child]
        pub keep_key_page: TemplateChild<KeepKeyPage>,
        #[template_child]
        pub schedule_page: TemplateChild<SchedulePage>,
        #[template_child]
        pub summary_page: TemplateChild<SummaryPage>,
        pub keeping_group: KeepingGroup,
        pub store: RefCell<Option<PlanStore>>,
        /// The passphrase of a key that was made in an attempt that failed later.
        pub made: RefCell<Option<(Key, Option<PlanSecret>)>>,
        /// The copy that was made, possibly in an attempt that failed later.
        pub kept: RefCell<Option<(Key, KeepWish)>>,
        pub is_making: Cell<bool>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Assistant {
        const NAME: &'static str = "SouvenirAssistant";
        type Type = super::Assistant;
        type ParentType = adw::Dialog;

        fn class_init(class: &mut Self::Class) {
            FoldersPage::ensure_type();
            DestinationPage::ensure_type();
            ProtectionPage::ensure_type();
            NewKeyPage::ensure_type();
            KeepKeyPage::ensure_type();
            SchedulePage::ensure_type();
            SummaryPage::ensure_type();
            class.bind_template();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for Assistant {
        fn constructed(&self) {
            self.parent_constructed();
            self.keeping_group.set_title(&gettext("Keep"));
            self.keeping_group.fill(&Keep::default(), FullEvery::default());
            self.schedule_page.add_group(&self.keeping_group);
            self.obj().connect_pages();
            let assistant = self.obj().downgrade();
            self.navigation.connect_visible_page_notify(move |_| {
                if let Some(assistant) = assistant.upgrade() {
                    assistant.guard();
                }
            });
        }

        fn signals() -> &'static [Signal] {
            static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
            SIGNALS.get_or_init(|| {
                let types = [PlanObject::static_type(), bool::static_type(), String::static_type()];
                vec![Signal::builder("made").param_types(types).build()]
            })
        }
    }

    impl WidgetImpl for Assistant {}
    impl AdwDialogImpl for Assistant {
        fn close_attempt(&self) {
            if self.is_making.get() {
                return;
            }
            let assistant = self.obj().clone();
            glib::spawn_future_local(async move {
                let heading = gettext("Discard This Backup?");
                let body = gettext("Nothing is set up yet. What you have chosen so far is lost.");
                if dialogs::confirm_destructive(&assistant, &heading, &body, &gettext("_Discard")).await {
                    assistant.force_close();
                }
            });
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct Assistant(ObjectSubclass<imp::Assistant>)
        @extends adw::Dialog, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget, gtk::ShortcutManager;
}

impl Assistant {
    /// An assistant whose plan goes into `store`.
    pub fn new(store: &PlanStore) -> Self {
        let assistant: Self = glib::Object::new();
        let imp = assistant.imp();
        imp.store.replace(Some(store.clone()));
        let plans = || store.iter().map(|plan| plan.plan());
        imp.destination_page.set_taken(plans().map(|plan| (plan.destination, plan.name)).collect());
        imp.summary_page.set_taken(plans().map(|plan| plan.name).collect());
        assistant
    }

    /// Calls `handler` with the new plan, whether to back up at once, and a word about something that did
    /// not work but does not matter much; it may be empty.
    pub fn connect_made(
        &self,
        handler: impl Fn(&PlanObject, Start, &str) + 'static,
    ) -> glib::SignalHandlerId {
        self.connect_local("made", false, move |values| {
            if let [_, plan, now, remark] = values
                && let (Ok(plan), Ok(now), Ok(remark)) =
                    (plan.get::<PlanObject>(), now.get(), remark.get::<String>())
            {
                handler(&plan, if now { Start::Now } else { Start::Later }, &remark);
            }
            None
        })
    }

    fn connect_pages(&self) {
        let imp = self.imp();
        let with = |act: fn(&Self)| {
            let assistant = self.downgrade();
            move || {
                if let Some(assistant) = assistant.upgrade() {
                    act(&assistant);
                }
            }
        };
        imp.folders_page.connect_done(with(|assistant| {
            let imp = assistant.imp();
            imp.destination_page.set_folders(imp.folders_page.folders());
            imp.navigation.push_by_tag("destination");
        }));
        imp.destination_page
            .connect_done(with(|assistant| assistant.imp().navigation.push_by_tag("protection")));
        imp.new_key_page.connect_done(with(|assistant| {
            let imp = assistant.imp();
            if let Some(wish) = imp.new_key_page.wish() {
                imp.protection_page.set_wish(wish);
                imp.navigation.pop();
            }
        }));
        imp.protection_page.connect_done(with(|assistant| {
            let imp = assistant.imp();
            if imp.protection_page.choice().is_some_and(|choice| choice.has_key_to_keep()) {
                let destination = imp.destination_page.destination();
                imp.keep_key_page.set_backups(destination.and_then(|destination| destination.folder()));
                imp.navigation.push_by_tag("keep-key");
            } else {
                assistant.show_schedule();
            }
        }));
        imp.keep_key_page.connect_done(with(Self::show_schedule));
        imp.schedule_page.connect_done(with(Self::show_summary));
        let assistant = self.downgrade();
        imp.summary_page.connect_done(move |start| {
            let Some(assistant) = assistant.upgrade() else { return };
            glib::spawn_future_local(async move { assistant.finish(start).await });
        });
    }

    /// On the first page there is little to lose.
    fn guard(&self) {
        let navigation = &self.imp().navigation;
        let is_first = navigation.visible_page().is_none_or(|page| navigation.previous_page(&page).is_none());
        self.set_can_close(is_first);
    }

    fn show_schedule(&self) {
        let imp = self.imp();
        let lacks_passphrase = match imp.protection_page.choice() {
            Some(ProtectionChoice::Passphrase { remember, .. }) => !remember,
            Some(ProtectionChoice::NewKey { wish, signer: Signer::SameKey }) => !wish.remember,
            _ => false,
        };
        imp.schedule_page.set_lacks_passphrase(lacks_passphrase);
        imp.navigation.push_by_tag("schedule");
    }

    fn show_summary(&self) {
        let imp = self.imp();
        let (Some(destination), Some(choice)) =
            (imp.destination_page.destination(), imp.protection_page.choice())
        else {
            return;
        };
        let (folders, left_out) = (imp.folders_page.folders(), imp.folders_page.left_out());
        imp.summary_page.show_choices(&folders, &left_out, &destination, &choice);
        imp.summary_page.show_schedule(&imp.schedule_page.schedule());
        imp.summary_page.show_keep(&imp.keeping_group.keep());
        let keep = self.keep_wish(&choice);
        imp.summary_page.show_copy(keep.as_ref().map(|wish| &*wish.folder));
        imp.navigation.push_by_tag("summary");
    }

    /// The copy of the key that is to be made.
    fn keep_wish(&self, choice: &ProtectionChoice) -> Option<KeepWish> {
        choice.has_key_to_keep().then(|| self.imp().keep_key_page.wish()).flatten()
    }

    /// Where the copy of the key is, if one was made.
    pub fn kept_in(&self) -> Option<PathBuf> {
        self.imp().kept.borrow().as_ref().map(|(_, wish)| wish.folder.clone())
    }

    async fn finish(&self, start: Start) {
        let imp = self.imp();
        imp.summary_page.show_problem(None);
        imp.is_making.set(true);
        let made = self.make_plan().await;
        imp.is_making.set(false);
        imp.summary_page.set_busy(None);
        match made {
            Ok((plan, remark)) => {
                self.emit_by_name::<()>("made", &[&plan, &(start == Start::Now), &remark]);
                self.force_close();
            }
            Err(problem) => imp.summary_page.show_problem(Some(&problem)),
        }
    }

    async fn make_plan(&self) -> Result<(PlanObject, String), Problem> {
        let imp = self.imp();
        let missing = || Problem { what: gettext("Something is missing"), ..Problem::default() };
        let store = imp.store.borrow().clone().ok_or_else(missing)?;
        let destination = imp.destination_page.destination().ok_or_else(missing)?;
        let choice = imp.protection_page.choice().ok_or_else(missing)?;
        let wish = self.keep_wish(&choice);
        let (protection, key, secret) = self.protect(choice).await?;
        if let (Some(key), Some(wish)) = (key, wish) {
            self.keep(key, wish, &destination, secret.as_ref()).await?;
        }
        imp.summary_page.set_busy(Some(&gettext("Saving the plan…")));
        let mut plan =
            Plan::new(imp.summary_page.name(), imp.folders_page.folders(), destination, protection);
        plan.left_out = imp.folders_page.left_out();
        plan.schedule = imp.schedule_page.schedule();
        plan.keep = imp.keeping_group.keep();
        plan.full_every = imp.keeping_group.full_every();
        let plan = store.add(plan).await?;
        if let Some(tried) = imp.destination_page.repository() {
            plan.repository().learn_from(&tried);
        }
        let remark = match secret {
            Some(secret) => keep(&plan, secret).await,
            None => String::new(),
        };
        Ok((plan, remark))
    }

    /// Turns the choice into a protection, making the key if need be.
    async fn protect(&self, choice: ProtectionChoice) -> Result<Protected, Problem> {
        let imp = self.imp();
        match choice {
            ProtectionChoice::None => Ok((Protection::none(), None, None)),
            ProtectionChoice::Passphrase { secret, remember } => {
                let protection = Protection { encryption: Encryption::Passphrase, sign_key: None };
                Ok((protection, None, Some(PlanSecret { what: PassphraseFor::Archive, secret, remember })))
            }
            ProtectionChoice::Key { key, signer } => {
                let made = imp.made.borrow().clone().filter(|(made, _)| *made == key);
                Ok((ProtectionChoice::by_key(&key, &signer), Some(key), made.and_then(|(_, secret)| secret)))
            }
            ProtectionChoice::NewKey { wish, signer } => {
                imp.summary_page.set_busy(Some(&gettext("Creating the key…")));
                let (key, secret) = make_key(wish).await?;
                // Should saving fail, the next attempt must not make a second key.
                imp.protection_page.set_made(key.clone());
                imp.made.replace(Some((key.clone(), secret.clone())));
                Ok((ProtectionChoice::by_key(&key, &signer), Some(key), secret))
            }
        }
    }

    /// Makes the copy of the key, once.
    async fn keep(
        &self,
        key: Key,
        wish: KeepWish,
        destination: &Destination,
        secret: Option<&PlanSecret>,
    ) -> Result<(), Problem> {
        let imp = self.imp();
        let done = (key.clone(), wish.clone());
        if imp.kept.borrow().as_ref() == Some(&done) {
            return Ok(());
        }
        imp.summary_page.set_busy(Some(&gettext("Making a copy of the key…")));
        let plans: Vec<Plan> =
            imp.store.borrow().iter().flat_map(PlanStore::iter).map(|plan| plan.plan()).collect();
        let mut places = vec![KitPlace { name: imp.summary_page.name(), address: destination.address() }];
        places.extend(keys::places_of(&key, &plans));
        let passphrases = Passphrases::new();
        if let Some(PlanSecret { secret, .. }) = secret {
            passphrases.set_key(&key.fingerprint, secret.clone());
        }
        let owner = key.user_id.clone();
        let kept = keys::run(self, &owner, move |job| {
            let keyring = Keyring::default();
            let KeepWish { folder, what } = &wish;
            let request = KeepRequest { keyring: &keyring, key: &key, folder, what: *what, places: &places };
            keep_key(&request, &passphrases, job)
        });
        match kept.await {
            Ok(_) => {
                let (key, wish) = &done;
                safekeeping::note_kept(key.fingerprint.clone(), wish.what).await;
                imp.kept.replace(Some(done));
                Ok(())
            }
            Err(keys::Stopped::By(problem)) => Err(problem),
            Err(keys::Stopped::ByPerson) => Err(Problem {
                what: gettext("The copy of the key was not made"),
                advice: gettext("Try again and type the passphrase, or go back and go on without a copy."),
                ..Problem::default()
            }),
        }
    }
}

/// Makes a key. With it comes its passphrase.
pub async fn make_key(wish: KeyWish) -> Result<(Key, Option<PlanSecret>), Problem> {
    let new = wish.new.clone();
    let key = match gio::spawn_blocking(move || Keyring::default().generate(&new)).await {
        Ok(made) => made.map_err(|error| error_text::problem(&Error::from(error)))?,
        Err(panic) => std::panic::resume_unwind(panic),
    };
    let what = PassphraseFor::Key { id: key.fingerprint.clone(), user_id: Some(key.user_id.clone()) };
    let secret = wish.new.passphrase.map(|secret| PlanSecret { what, secret, remember: wish.remember });
    Ok((key, secret))
}

/// How a plan is protected, by which key, and with which passphrase.
type Protected = (Protection, Option<Key>, Option<PlanSecret>);

/// Keeps the passphrase as long as the person wants. The answer is what did not work.
pub async fn keep(plan: &PlanObject, secret: PlanSecret) -> String {
    let PlanSecret { what, secret, remember } = secret;
    let owner = Owner::of(&what, Some(&plan.id()));
    if let Some(owner) = &owner {
        safekeeping::note_typed(owner).await;
    }
    plan.repository().learn(what, secret.clone());
    let Some(owner) = owner.filter(|_| remember) else { return String::new() };
    let label = gettext_f("Souvenir: {name}", &[("name", &plan.name())]);
    match secrets::remember(&owner, &label, &secret).await {
        Ok(()) => String::new(),
        Err(error) => {
            tracing::warn!(%error, "the passphrase could not be remembered");
            gettext("The passphrase could not be remembered: there is no password storage on this computer.")
        }
    }
}
