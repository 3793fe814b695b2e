//! The assistant that sets up a plan: folders, destination, protection, summary. Going back always
//! works, and nothing is written before the last page.

mod destination_page;
mod folders_page;
mod key_row;
mod new_key_page;
mod protection_page;
mod summary_page;

use std::cell::RefCell;
use std::sync::OnceLock;

use adw::prelude::*;
use adw::subclass::prelude::*;
use glib::subclass::Signal;

use crate::engine::crypto::{Encryption, Key, Keyring, PassphraseFor, Protection, Secret};
use crate::engine::error::Error;
use crate::i18n::{gettext, gettext_f};
use crate::plan::Plan;
use crate::plan::history::Problem;
use crate::platform::secrets::{self, Owner};
use crate::ui::error_text;
use crate::ui::model::{PlanObject, PlanStore};
use summary_page::SummaryPage;

pub use destination_page::DestinationPage;
pub use folders_page::FoldersPage;
pub use key_row::key_facts;
pub use new_key_page::{KeyWish, NewKeyPage};
pub use protection_page::{ProtectionChoice, ProtectionPage};
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
        pub summary_page: TemplateChild<SummaryPage>,
        pub store: RefCell<Option<PlanStore>>,
        /// The passphrase of a key that was made in an attempt that failed later.
        pub made: RefCell<Option<(Key, Option<PlanSecret>)>>,
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
            self.obj().connect_pages();
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
    impl AdwDialogImpl for Assistant {}
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
            if let (Some(destination), Some(choice)) =
                (imp.destination_page.destination(), imp.protection_page.choice())
            {
                let (folders, ignored) = (imp.folders_page.folders(), imp.folders_page.ignored());
                imp.summary_page.show_choices(&folders, &ignored, &destination, &choice);
                imp.navigation.push_by_tag("summary");
            }
        }));
        let assistant = self.downgrade();
        imp.summary_page.connect_done(move |start| {
            let Some(assistant) = assistant.upgrade() else { return };
            glib::spawn_future_local(async move { assistant.finish(start).await });
        });
    }

    async fn finish(&self, start: Start) {
        let imp = self.imp();
        imp.summary_page.show_problem(None);
        self.set_can_close(false);
        let made = self.make_plan().await;
        self.set_can_close(true);
        imp.summary_page.set_busy(None);
        match made {
            Ok((plan, remark)) => {
                self.emit_by_name::<()>("made", &[&plan, &(start == Start::Now), &remark]);
                self.close();
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
        let (protection, secret) = self.protect(choice).await?;
        imp.summary_page.set_busy(Some(&gettext("Saving the plan…")));
        let mut plan =
            Plan::new(imp.summary_page.name(), imp.folders_page.folders(), destination, protection);
        plan.ignored = imp.folders_page.ignored();
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
    async fn protect(&self, choice: ProtectionChoice) -> Result<(Protection, Option<PlanSecret>), Problem> {
        let imp = self.imp();
        match choice {
            ProtectionChoice::None => Ok((Protection::none(), None)),
            ProtectionChoice::Passphrase { secret, remember } => {
                let protection = Protection { encryption: Encryption::Passphrase, sign_key: None };
                Ok((protection, Some(PlanSecret { what: PassphraseFor::Archive, secret, remember })))
            }
            ProtectionChoice::Key { key, sign } => {
                let made = imp.made.take().filter(|(made, _)| *made == key);
                Ok((ProtectionChoice::by_key(&key, sign), made.and_then(|(_, secret)| secret)))
            }
            ProtectionChoice::NewKey { wish, sign } => {
                imp.summary_page.set_busy(Some(&gettext("Creating the key…")));
                let (key, secret) = make_key(wish).await?;
                // Should saving fail, the next attempt must not make a second key.
                imp.protection_page.set_made(key.clone());
                imp.made.replace(Some((key.clone(), secret.clone())));
                Ok((ProtectionChoice::by_key(&key, sign), secret))
            }
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

/// Keeps the passphrase as long as the person wants. The answer is what did not work.
pub async fn keep(plan: &PlanObject, secret: PlanSecret) -> String {
    let PlanSecret { what, secret, remember } = secret;
    let owner = Owner::of(&what, Some(&plan.id()));
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
