//! The assistant's third page: who can read the backups.

use std::cell::{Cell, RefCell};
use std::sync::OnceLock;

use adw::prelude::*;
use adw::subclass::prelude::*;
use glib::subclass::Signal;

use super::key_row::KeyRow;
use super::new_key_page::KeyWish;
use crate::engine::crypto::{CryptoError, Encryption, Key, Keyring, Protection, Recipient, Secret};
use crate::i18n::gettext;
use crate::ui::describe::Signing;
use crate::ui::error_text;
use crate::ui::widgets::{NewPassphrase, show_hint};

/// How the backups are to be protected. A key that does not exist yet is made at the very end.
#[derive(Debug, Clone)]
pub enum ProtectionChoice {
    /// By a key of the keyring.
    Key {
        /// The key.
        key: Key,
        /// Who signs.
        signer: Signer,
    },
    /// By a key that is yet to be made.
    NewKey {
        /// What it is to be.
        wish: KeyWish,
        /// Who signs.
        signer: Signer,
    },
    /// By a passphrase.
    Passphrase {
        /// The passphrase.
        secret: Secret,
        /// Whether the Secret Service is to keep it.
        remember: bool,
    },
    /// Not at all.
    None,
}

/// Who signs what a key protects.
#[derive(Debug, Clone)]
pub enum Signer {
    /// Nobody.
    Nobody,
    /// The key that protects.
    SameKey,
    /// Another one.
    Other(Key),
}

impl Signer {
    /// The same for words about it.
    pub fn as_signing(&self) -> Signing<'_> {
        match self {
            Self::Nobody => Signing::None,
            Self::SameKey => Signing::Same,
            Self::Other(key) => Signing::Other(Some(&key.user_id)),
        }
    }
}

impl ProtectionChoice {
    /// Whether there is a key of which a copy should be kept: not where its secret part is elsewhere.
    pub fn has_key_to_keep(&self) -> bool {
        match self {
            Self::Key { key, .. } => key.has_secret && !key.is_on_card,
            Self::NewKey { .. } => true,
            Self::Passphrase { .. } | Self::None => false,
        }
    }

    /// Protection by an existing key.
    pub fn by_key(key: &Key, signer: &Signer) -> Protection {
        let sign_key = match signer {
            Signer::Nobody => None,
            Signer::SameKey => Some(key.fingerprint.clone()),
            Signer::Other(signer) => Some(signer.fingerprint.clone()),
        };
        Protection {
            encryption: Encryption::Keys(vec![Recipient { key: key.fingerprint.clone(), hidden: false }]),
            sign_key,
        }
    }
}

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "protection_page.ui")]
    pub struct ProtectionPage {
        #[template_child]
        pub key_check: TemplateChild<gtk::CheckButton>,
        #[template_child]
        pub passphrase_check: TemplateChild<gtk::CheckButton>,
        #[template_child]
        pub none_check: TemplateChild<gtk::CheckButton>,
        #[template_child]
        pub keys_group: TemplateChild<adw::PreferencesGroup>,
        #[template_child]
        pub keys_list: TemplateChild<gtk::ListBox>,
        #[template_child]
        pub create_row: TemplateChild<adw::ButtonRow>,
        #[template_child]
        pub keys_spinner: TemplateChild<gtk::Box>,
        #[template_child]
        pub keys_hint: TemplateChild<gtk::Label>,
        #[template_child]
        pub sign_group: TemplateChild<adw::PreferencesGroup>,
        #[template_child]
        pub sign_row: TemplateChild<adw::SwitchRow>,
        #[template_child]
        pub signer_row: TemplateChild<adw::ComboRow>,
        #[template_child]
        pub passphrase_group: TemplateChild<NewPassphrase>,
        #[template_child]
        pub remember_group: TemplateChild<adw::PreferencesGroup>,
        #[template_child]
        pub remember_row: TemplateChild<adw::SwitchRow>,
        #[template_child]
        pub none_group: TemplateChild<adw::PreferencesGroup>,
        pub rows: RefCell<Vec<KeyRow>>,
        pub wish: RefCell<Option<KeyWish>>,
        /// What the rows of `signer_row` stand for.
        pub signers: RefCell<Vec<Signer>>,
        /// What was chosen before, until the keys are known.
        pub filled: RefCell<Option<Protection>>,
        pub loaded: Cell<bool>,
        /// Never shown: a single key is a choice, too, and looks like one only in a group.
        pub leader: gtk::CheckButton,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for ProtectionPage {
        const NAME: &'static str = "SouvenirProtectionPage";
        type Type = super::ProtectionPage;
        type ParentType = adw::NavigationPage;

        fn class_init(class: &mut Self::Class) {
            NewPassphrase::ensure_type();
            class.bind_template();
            class.bind_template_callbacks();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for ProtectionPage {
        fn signals() -> &'static [Signal] {
            static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
            SIGNALS.get_or_init(|| vec![Signal::builder("done").build()])
        }
    }

    impl WidgetImpl for ProtectionPage {}

    impl NavigationPageImpl for ProtectionPage {
        fn showing(&self) {
            self.parent_showing();
            if !self.loaded.replace(true) {
                let page = self.obj().clone();
                glib::spawn_future_local(async move { page.load_keys().await });
            }
        }
    }

    #[gtk::template_callbacks]
    impl ProtectionPage {
        #[template_callback]
        fn on_kind_changed(&self) {
            let (key, passphrase) = (self.key_check.is_active(), self.passphrase_check.is_active());
            self.keys_group.set_visible(key);
            self.passphrase_group.set_visible(passphrase);
            self.remember_group.set_visible(passphrase);
            self.none_group.set_visible(self.none_check.is_active());
            show_hint(&self.keys_hint, "");
            self.obj().refresh_signing();
        }

        #[template_callback]
        fn on_sign_changed(&self) {
            self.obj().refresh_signer();
        }

        #[template_callback]
        fn on_continue(&self) {
            if self.obj().choice().is_some() {
                self.obj().emit_by_name::<()>("done", &[]);
            }
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct ProtectionPage(ObjectSubclass<imp::ProtectionPage>)
        @extends adw::NavigationPage, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl ProtectionPage {
    /// What was chosen. If something is missing, the page says what.
    pub fn choice(&self) -> Option<ProtectionChoice> {
        let imp = self.imp();
        if imp.none_check.is_active() {
            return Some(ProtectionChoice::None);
        }
        if imp.passphrase_check.is_active() {
            let secret = imp.passphrase_group.secret()?;
            return Some(ProtectionChoice::Passphrase { secret, remember: imp.remember_row.is_active() });
        }
        match self.chosen_row().map(|row| row.key()) {
            Some(Some(key)) => Some(ProtectionChoice::Key { key, signer: self.signer() }),
            Some(None) => {
                let wish = imp.wish.borrow().clone()?;
                Some(ProtectionChoice::NewKey { wish, signer: self.signer() })
            }
            None => {
                show_hint(&imp.keys_hint, &gettext("Choose a key, or create one."));
                imp.create_row.grab_focus();
                None
            }
        }
    }

    /// Fills in a protection that was chosen before.
    pub fn fill(&self, protection: &Protection) {
        let imp = self.imp();
        match &protection.encryption {
            Encryption::Keys(_) => imp.key_check.set_active(true),
            Encryption::Passphrase => imp.passphrase_check.set_active(true),
            Encryption::None => imp.none_check.set_active(true),
        }
        imp.filled.replace(Some(protection.clone()));
    }

    /// Chooses the keys of the protection that was filled in, once they are known.
    fn choose_filled(&self) {
        let imp = self.imp();
        let Some(protection) = imp.filled.take() else { return };
        let Encryption::Keys(recipients) = &protection.encryption else { return };
        let rows = imp.rows.borrow().clone();
        let of =
            |id: &str| rows.iter().find(|row| row.key().is_some_and(|key| key.fingerprint.ends_with(id)));
        if let Some(row) = recipients.first().and_then(|recipient| of(&recipient.key)) {
            row.choose();
        }
        self.refresh_signing();
        let signer = protection.sign_key.as_deref().and_then(of).and_then(KeyRow::key);
        imp.sign_row.set_active(protection.sign_key.is_some());
        let chosen = self.chosen_row().and_then(|row| row.key());
        let is_signer = |offered: &Signer| match offered {
            Signer::Nobody => false,
            Signer::SameKey => chosen == signer,
            Signer::Other(key) => Some(key) == signer.as_ref(),
        };
        let position = imp.signers.borrow().iter().position(is_signer);
        if let Some(position) = position.and_then(|position| u32::try_from(position).ok()) {
            imp.signer_row.set_selected(position);
        }
    }

    /// Offers a key that is to be made, and chooses it.
    pub fn set_wish(&self, wish: KeyWish) {
        let row = KeyRow::for_wish(&wish.new);
        self.imp().wish.replace(Some(wish));
        if let Some(old) = self.wished_row() {
            self.imp().keys_list.remove(&old);
            self.imp().rows.borrow_mut().retain(|other| *other != old);
        }
        self.add_row(&row);
        row.choose();
    }

    /// Replaces the key that was to be made by the one that was made.
    pub fn set_made(&self, key: Key) {
        if let Some(old) = self.wished_row() {
            self.imp().keys_list.remove(&old);
            self.imp().rows.borrow_mut().retain(|other| *other != old);
        }
        self.imp().wish.replace(None);
        let row = KeyRow::for_key(key);
        self.add_row(&row);
        row.choose();
    }

    /// Calls `handler` when the page is filled in and the person wants to go on.
    pub fn connect_done(&self, handler: impl Fn() + 'static) -> glib::SignalHandlerId {
        self.connect_local("done", false, move |_| {
            handler();
            None
        })
    }

    fn chosen_row(&self) -> Option<KeyRow> {
        self.imp().rows.borrow().iter().find(|row| row.is_chosen()).cloned()
    }

    fn wished_row(&self) -> Option<KeyRow> {
        self.imp().rows.borrow().iter().find(|row| row.key().is_none()).cloned()
    }

    fn add_row(&self, row: &KeyRow) {
        let imp = self.imp();
        row.join(&imp.leader);
        let page = self.downgrade();
        row.connect_chosen(move || {
            let Some(page) = page.upgrade() else { return };
            show_hint(&page.imp().keys_hint, "");
            page.refresh_signing();
        });
        imp.keys_list.insert(row, imp.create_row.index());
        imp.rows.borrow_mut().push(row.clone());
    }

    /// Signing is offered where there is a key that can do it: the chosen one first, then the others.
    fn refresh_signing(&self) {
        let imp = self.imp();
        let row = self.chosen_row();
        imp.sign_group.set_visible(imp.key_check.is_active() && row.is_some());
        // Between two choices there is none, and who signs stays.
        if row.is_none() {
            return;
        }
        let chosen = row.as_ref().and_then(KeyRow::key);
        let own = row.filter(|_| chosen.as_ref().is_none_or(can_sign)).map(|_| Signer::SameKey);
        let others: Vec<Key> = imp.rows.borrow().iter().filter_map(KeyRow::key).filter(can_sign).collect();
        let others = others.into_iter().filter(|key| chosen.as_ref() != Some(key)).map(Signer::Other);
        let signers: Vec<Signer> = own.into_iter().chain(others).collect();
        let names: Vec<String> = signers.iter().map(|signer| signer_name(signer, &signers)).collect();
        let before = self.signer();
        imp.signer_row
            .set_model(Some(&gtk::StringList::new(&names.iter().map(String::as_str).collect::<Vec<_>>())));
        if let Signer::Other(before) = before
            && let Some(position) =
                signers.iter().position(|signer| matches!(signer, Signer::Other(key) if *key == before))
        {
            imp.signer_row.set_selected(u32::try_from(position).unwrap_or(0));
        }
        imp.sign_group.set_visible(imp.key_check.is_active() && !signers.is_empty());
        imp.signers.replace(signers);
        self.refresh_signer();
    }

    /// Which key signs is only a question where there are several, or where it cannot be the chosen one.
    fn refresh_signer(&self) {
        let imp = self.imp();
        let is_choice = !matches!(&imp.signers.borrow()[..], [] | [Signer::SameKey]);
        imp.signer_row.set_visible(imp.sign_row.is_active() && is_choice);
    }

    fn signer(&self) -> Signer {
        let imp = self.imp();
        if !imp.sign_row.is_active() {
            return Signer::Nobody;
        }
        let selected = imp.signer_row.selected() as usize;
        imp.signers.borrow().get(selected).cloned().unwrap_or(Signer::Nobody)
    }

    async fn load_keys(&self) {
        let imp = self.imp();
        let listed = gio::spawn_blocking(|| Keyring::default().list()).await;
        imp.keys_spinner.set_visible(false);
        let mut keys = match listed {
            Ok(Ok(keys)) => keys,
            Ok(Err(error)) => {
                self.show_key_problem(error);
                return;
            }
            Err(panic) => std::panic::resume_unwind(panic),
        };
        keys.sort_by_key(|key| (!key.state.is_usable(), !key.has_secret, key.user_id.to_lowercase()));
        for key in keys {
            self.add_row(&KeyRow::for_key(key));
        }
        self.refresh_signing();
        self.choose_filled();
    }

    fn show_key_problem(&self, error: CryptoError) {
        let missing = error == CryptoError::GpgMissing;
        let problem = error_text::problem(&error.into());
        let text = format!("{}. {}", problem.what, problem.advice);
        show_hint(&self.imp().keys_hint, &text);
        self.imp().create_row.set_visible(!missing);
    }
}

fn can_sign(key: &Key) -> bool {
    key.can_sign && key.has_secret && key.state.is_usable()
}

/// Whose key signs; of several keys of one person with the end of the fingerprint.
fn signer_name(signer: &Signer, all: &[Signer]) -> String {
    let Signer::Other(key) = signer else { return gettext("The same key") };
    let is_of_same_person =
        |other: &&Signer| matches!(other, Signer::Other(other) if other.user_id == key.user_id);
    if all.iter().filter(is_of_same_person).count() < 2 {
        return key.user_id.clone();
    }
    let end = key.fingerprint.len().saturating_sub(8);
    format!("{} …{}", key.user_id, key.fingerprint.get(end..).unwrap_or_default())
}
