//! What a new key is to be. It is not made here: in the assistant that comes last.

use std::sync::OnceLock;
use std::time::Duration;

use adw::prelude::*;
use adw::subclass::prelude::*;
use glib::subclass::Signal;

use crate::engine::crypto::{KeyAlgorithm, NewKey};
use crate::i18n::gettext;
use crate::ui::widgets::{NewPassphrase, show_hint};

/// The choices of the page in years; 0 is for ever.
const VALID_YEARS: [u32; 4] = [0, 1, 2, 5];

const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// A key to be made.
#[derive(Debug, Clone)]
pub struct KeyWish {
    /// The key.
    pub new: NewKey,
    /// Whether the Secret Service is to keep its passphrase.
    pub remember: bool,
}

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "new_key_page.ui")]
    pub struct NewKeyPage {
        #[template_child]
        pub name_row: TemplateChild<adw::EntryRow>,
        #[template_child]
        pub email_row: TemplateChild<adw::EntryRow>,
        #[template_child]
        pub hint_label: TemplateChild<gtk::Label>,
        #[template_child]
        pub passphrase_group: TemplateChild<NewPassphrase>,
        #[template_child]
        pub remember_row: TemplateChild<adw::SwitchRow>,
        #[template_child]
        pub algorithm_row: TemplateChild<adw::ComboRow>,
        #[template_child]
        pub validity_row: TemplateChild<adw::ComboRow>,
        #[template_child]
        pub create_button: TemplateChild<gtk::Button>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for NewKeyPage {
        const NAME: &'static str = "SouvenirNewKeyPage";
        type Type = super::NewKeyPage;
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

    impl ObjectImpl for NewKeyPage {
        fn constructed(&self) {
            self.parent_constructed();
            let name = glib::real_name();
            // What GLib answers where the account bears no name.
            if let Some(name) = name.to_str().filter(|name| *name != "Unknown") {
                self.name_row.set_text(name);
            }
        }

        fn signals() -> &'static [Signal] {
            static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
            SIGNALS.get_or_init(|| vec![Signal::builder("done").build()])
        }
    }

    impl WidgetImpl for NewKeyPage {}
    impl NavigationPageImpl for NewKeyPage {}

    #[gtk::template_callbacks]
    impl NewKeyPage {
        #[template_callback]
        fn on_changed(&self) {
            show_hint(&self.hint_label, "");
            self.name_row.remove_css_class("error");
            self.email_row.remove_css_class("error");
        }

        #[template_callback]
        fn on_create(&self) {
            if self.obj().wish().is_some() {
                self.obj().emit_by_name::<()>("done", &[]);
            }
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct NewKeyPage(ObjectSubclass<imp::NewKeyPage>)
        @extends adw::NavigationPage, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl NewKeyPage {
    /// The key that is wanted. If something is missing, the page says what.
    pub fn wish(&self) -> Option<KeyWish> {
        let imp = self.imp();
        let (name, email) = (imp.name_row.text(), imp.email_row.text());
        let (name, email) = (name.trim(), email.trim());
        let problem = if name.is_empty() {
            Some((&imp.name_row, gettext("Type the name of the owner.")))
        } else if has_odd_characters(name) {
            Some((&imp.name_row, gettext("A name cannot contain “<” or “>”.")))
        } else if !email.is_empty() && !is_address(email) {
            Some((&imp.email_row, gettext("This is no e-mail address. Mend it, or leave it empty.")))
        } else {
            None
        };
        if let Some((row, text)) = problem {
            show_hint(&imp.hint_label, &text);
            row.add_css_class("error");
            row.grab_focus();
            return None;
        }
        let passphrase = imp.passphrase_group.secret()?;
        let new = NewKey {
            name: name.to_owned(),
            email: email.to_owned(),
            algorithm: match imp.algorithm_row.selected() {
                1 => KeyAlgorithm::Rsa4096,
                _ => KeyAlgorithm::Ed25519,
            },
            expires: VALID_YEARS
                .get(imp.validity_row.selected() as usize)
                .filter(|years| **years > 0)
                .map(|years| YEAR * *years),
            passphrase: Some(passphrase),
        };
        Some(KeyWish { new, remember: imp.remember_row.is_active() })
    }

    /// Says what happens with the key when the page is filled in.
    pub fn set_action(&self, label: &str) {
        self.imp().create_button.set_label(label);
    }

    /// Calls `handler` when the page is filled in.
    pub fn connect_done(&self, handler: impl Fn() + 'static) -> glib::SignalHandlerId {
        self.connect_local("done", false, move |_| {
            handler();
            None
        })
    }
}

fn has_odd_characters(text: &str) -> bool {
    text.contains(['<', '>']) || text.contains(char::is_control)
}

fn is_address(text: &str) -> bool {
    let well_formed = text
        .split_once('@')
        .is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'));
    well_formed && !has_odd_characters(text) && !text.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::is_address;

    #[test]
    fn addresses() {
        for good in ["a@b", "anna.müller@example.org"] {
            assert!(is_address(good), "{good}");
        }
        for bad in ["a", "@b", "a@", "a@b@c", "a b@c", "<a@b>"] {
            assert!(!is_address(bad), "{bad}");
        }
    }
}
