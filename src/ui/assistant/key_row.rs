//! A key to choose: whose it is, what it is, and what speaks against it.

use std::cell::RefCell;

use adw::prelude::*;
use adw::subclass::prelude::*;

use crate::engine::crypto::{Key, KeyAlgorithm, KeyState, NewKey};
use crate::i18n::{gettext, gettext_f};
use crate::ui::words;

mod imp {
    use super::*;

    #[derive(Default)]
    pub struct KeyRow {
        pub check: gtk::CheckButton,
        pub key: RefCell<Option<Key>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for KeyRow {
        const NAME: &'static str = "SouvenirKeyRow";
        type Type = super::KeyRow;
        type ParentType = adw::ActionRow;
    }

    impl ObjectImpl for KeyRow {
        fn constructed(&self) {
            self.parent_constructed();
            self.check.set_valign(gtk::Align::Center);
            self.obj().set_use_markup(false);
            self.obj().add_prefix(&self.check);
            self.obj().set_activatable_widget(Some(&self.check));
        }
    }

    impl WidgetImpl for KeyRow {}
    impl ListBoxRowImpl for KeyRow {}
    impl PreferencesRowImpl for KeyRow {}
    impl ActionRowImpl for KeyRow {}
}

glib::wrapper! {
    /// See the module.
    pub struct KeyRow(ObjectSubclass<imp::KeyRow>)
        @extends adw::ActionRow, adw::PreferencesRow, gtk::ListBoxRow, gtk::Widget,
        @implements gtk::Accessible, gtk::Actionable, gtk::Buildable, gtk::ConstraintTarget;
}

impl KeyRow {
    /// A key of the keyring.
    pub fn for_key(key: Key) -> Self {
        let row: Self = glib::Object::new();
        let title = if key.name.is_empty() { &key.user_id } else { &key.name };
        row.set_title(if title.is_empty() { &key.fingerprint } else { title });
        let mut subtitle = facts_with_address(&key);
        let objection = objection(&key);
        if let Some(objection) = &objection {
            subtitle.push('\n');
            subtitle.push_str(objection);
            let icon = gtk::Image::builder()
                .icon_name("dialog-warning-symbolic")
                .accessible_role(gtk::AccessibleRole::Presentation)
                .css_classes(["warning"])
                .build();
            row.add_suffix(&icon);
        }
        row.set_subtitle(&subtitle);
        row.set_sensitive(key.state.is_usable());
        row.name_check();
        row.imp().key.replace(Some(key));
        row
    }

    /// A key that is yet to be made.
    pub fn for_wish(new: &NewKey) -> Self {
        let row: Self = glib::Object::new();
        row.set_title(new.name.trim());
        let kind = match new.algorithm {
            KeyAlgorithm::Ed25519 => algorithm("ed25519"),
            KeyAlgorithm::Rsa4096 => algorithm("rsa4096"),
        };
        let facts = [new.email.trim().to_owned(), kind, gettext("will be created at the end")];
        let facts: Vec<_> = facts.into_iter().filter(|fact| !fact.is_empty()).collect();
        row.set_subtitle(&facts.join(" · "));
        row.name_check();
        row
    }

    /// The key, if it exists already.
    pub fn key(&self) -> Option<Key> {
        self.imp().key.borrow().clone()
    }

    /// Makes choosing this row take the choice from the others with that leader.
    pub fn join(&self, leader: &gtk::CheckButton) {
        self.imp().check.set_group(Some(leader));
    }

    /// Whether the person chose it.
    pub fn is_chosen(&self) -> bool {
        self.imp().check.is_active() && self.is_sensitive()
    }

    /// Chooses it.
    pub fn choose(&self) {
        self.imp().check.set_active(true);
    }

    /// Calls `handler` when it is chosen or no longer chosen.
    pub fn connect_chosen(&self, handler: impl Fn() + 'static) {
        self.imp().check.connect_toggled(move |_| handler());
    }

    fn name_check(&self) {
        self.imp().check.update_property(&[gtk::accessible::Property::Label(&self.title())]);
    }
}

/// What is known of a key in a line, and what speaks against it.
pub fn key_facts(key: &Key) -> (String, Option<String>) {
    (facts(key).join(", "), objection(key))
}

/// The address of a key's owner and what is known of the key, in a line.
pub fn facts_with_address(key: &Key) -> String {
    let mut facts = facts(key);
    if !key.email.is_empty() {
        facts.insert(0, key.email.clone());
    }
    facts.join(" · ")
}

fn facts(key: &Key) -> Vec<String> {
    let place = if key.is_on_card { gettext("on a smart card") } else { String::new() };
    let facts = [algorithm(&key.algorithm), expiry(key), place];
    facts.into_iter().filter(|fact| !fact.is_empty()).collect()
}

/// An algorithm as people write it.
pub fn algorithm(gpg_name: &str) -> String {
    let (name, bits) =
        gpg_name.split_at(gpg_name.find(|c: char| c.is_ascii_digit()).unwrap_or(gpg_name.len()));
    match name {
        "ed" => format!("Ed{bits}"),
        "rsa" | "dsa" | "elg" => format!("{} {bits}", name.to_uppercase()),
        _ => gpg_name.to_owned(),
    }
}

/// Until when a key is valid; nothing if it no longer is.
fn expiry(key: &Key) -> String {
    match key.expires {
        Some(_) if key.state == KeyState::Expired => String::new(),
        Some(time) => gettext_f("valid until {date}", &[("date", &words::day(time.as_second()))]),
        None => gettext("never expires"),
    }
}

/// What speaks against using a key.
pub fn objection(key: &Key) -> Option<String> {
    let text = match key.state {
        KeyState::Weak => gettext("Weak by today’s measure. A new key is safer."),
        KeyState::Expired => gettext("Has expired."),
        KeyState::Revoked => gettext("Was revoked."),
        KeyState::Disabled => gettext("Is switched off on this computer."),
        KeyState::Invalid => gettext("Is not valid."),
        KeyState::NoEncryption => gettext("Cannot encrypt."),
        KeyState::Usable if !key.has_secret => {
            gettext("Its secret part is not on this computer: you could not restore here.")
        }
        KeyState::Usable => return None,
    };
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::algorithm;

    #[test]
    fn algorithms_read_well() {
        assert_eq!(algorithm("ed25519"), "Ed25519");
        assert_eq!(algorithm("rsa4096"), "RSA 4096");
        assert_eq!(algorithm("dsa1024"), "DSA 1024");
        assert_eq!(algorithm("nistp256"), "nistp256");
        assert_eq!(algorithm(""), "");
    }
}
