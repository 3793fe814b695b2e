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
use crate::ui::error_text;
use crate::ui::widgets::{NewPassphrase, show_hint};

/// How the backups are to be protected. A key that does not exist yet is made at the very end.
#[derive(Debug, Clone)]
pub enum ProtectionChoice {
    /// By a key of the keyring.
    Key {
        /// The key.
        key: Key,
        /// Whether it signs as well.
        sign: bool,
    },
    /// By a key that is yet to be made.
    NewKey {
        /// What it is to be.
        wish: KeyWish,
        /// Whether it signs as well.
        sign: bool,
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
    pub fn by_key(key: &Key, sign: bool) -> Protection {
        Protection {
            encryption: Encryption::Keys(vec![Recipient { key: key.fingerprint.clone(), hidden: false }]),
            sign_key: sign.then(|| key.fingerprint.clone()),
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
        pub passphrase_group: TemplateChild<NewPassphrase>,
        #[template_child]
        pub remember_group: TemplateChild<adw::PreferencesGroup>,
        #[template_child]
        pub remember_row: TemplateChild<adw::SwitchRow>,
        #[template_child]
        pub none_group: TemplateChild<adw::PreferencesGroup>,
        pub rows: RefCell<Vec<KeyRow>>,
        pub wish: RefCell<Option<KeyWish>>,
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
        let sign = imp.sign_row.is_active() && imp.sign_group.is_visible();
        match self.chosen_row().map(|row| row.key()) {
            Some(Some(key)) => Some(ProtectionChoice::Key { key, sign }),
            Some(None) => {
                let wish = imp.wish.borrow().clone()?;
                Some(ProtectionChoice::NewKey { wish, sign })
            }
            None => {
                show_hint(&imp.keys_hint, &gettext("Choose a key, or create one."));
                imp.create_row.grab_focus();
                None
            }
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

    /// Signing is offered where the chosen key can do it.
    fn refresh_signing(&self) {
        let imp = self.imp();
        let can_sign =
            self.chosen_row().is_some_and(|row| row.key().is_none_or(|key| key.can_sign && key.has_secret));
        imp.sign_group.set_visible(imp.key_check.is_active() && can_sign);
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
    }

    fn show_key_problem(&self, error: CryptoError) {
        let missing = error == CryptoError::GpgMissing;
        let problem = error_text::problem(&error.into());
        let text = format!("{}. {}", problem.what, problem.advice);
        show_hint(&self.imp().keys_hint, &text);
        self.imp().create_row.set_visible(!missing);
    }
}
