//! A new passphrase: typed twice, with a word on how strong it is.

use std::sync::OnceLock;

use adw::prelude::*;
use adw::subclass::prelude::*;
use glib::subclass::Signal;

use super::show_hint;
use crate::engine::crypto::Secret;
use crate::i18n::gettext;

/// More than this is not looked at: it is strong, and looking takes time.
const JUDGED_CHARACTERS: usize = 60;

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "new_passphrase.ui")]
    pub struct NewPassphrase {
        #[template_child]
        pub first_row: TemplateChild<adw::PasswordEntryRow>,
        #[template_child]
        pub second_row: TemplateChild<adw::PasswordEntryRow>,
        #[template_child]
        pub strength_box: TemplateChild<gtk::Box>,
        #[template_child]
        pub strength_bar: TemplateChild<gtk::LevelBar>,
        #[template_child]
        pub strength_label: TemplateChild<gtk::Label>,
        #[template_child]
        pub hint_label: TemplateChild<gtk::Label>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for NewPassphrase {
        const NAME: &'static str = "SouvenirNewPassphrase";
        type Type = super::NewPassphrase;
        type ParentType = adw::PreferencesGroup;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
            class.bind_template_callbacks();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for NewPassphrase {
        fn constructed(&self) {
            self.parent_constructed();
            // The bar's own names are for a battery: full is good here, too, but in five steps.
            self.strength_bar.remove_offset_value(Some(gtk::LEVEL_BAR_OFFSET_LOW));
            self.strength_bar.remove_offset_value(Some(gtk::LEVEL_BAR_OFFSET_HIGH));
            self.strength_bar.remove_offset_value(Some(gtk::LEVEL_BAR_OFFSET_FULL));
            for (name, value) in [("weak", 1.0), ("fair", 2.0), ("good", 3.0), ("strong", 4.0)] {
                self.strength_bar.add_offset_value(name, value);
            }
        }

        fn signals() -> &'static [Signal] {
            static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
            SIGNALS.get_or_init(|| vec![Signal::builder("entered").build()])
        }
    }

    impl WidgetImpl for NewPassphrase {}
    impl PreferencesGroupImpl for NewPassphrase {}

    #[gtk::template_callbacks]
    impl NewPassphrase {
        #[template_callback]
        fn on_changed(&self) {
            show_hint(&self.hint_label, "");
            self.first_row.remove_css_class("error");
            self.second_row.remove_css_class("error");
            let text = self.first_row.text();
            self.strength_box.set_visible(!text.is_empty());
            if !text.is_empty() {
                let score = strength(&text);
                self.strength_bar.set_value(f64::from(score.max(1)));
                self.strength_label.set_label(&describe(score));
            }
        }

        #[template_callback]
        fn on_first_activated(&self) {
            self.second_row.grab_focus();
        }

        #[template_callback]
        fn on_second_activated(&self) {
            self.obj().emit_by_name::<()>("entered", &[]);
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct NewPassphrase(ObjectSubclass<imp::NewPassphrase>)
        @extends adw::PreferencesGroup, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl NewPassphrase {
    /// The passphrase, if both fields agree. Else says beside them what is missing.
    pub fn secret(&self) -> Option<Secret> {
        let imp = self.imp();
        let (first, second) = (imp.first_row.text(), imp.second_row.text());
        let (row, problem) = if first.is_empty() {
            (&imp.first_row, gettext("Type a passphrase."))
        } else if second.is_empty() {
            (&imp.second_row, gettext("Type the passphrase once more, so that a slip is noticed."))
        } else if first != second {
            (&imp.second_row, gettext("The two passphrases differ. Type them again."))
        } else {
            return Some(Secret::from(first.as_str()));
        };
        show_hint(&imp.hint_label, &problem);
        row.add_css_class("error");
        row.grab_focus();
        None
    }

    /// Empties both fields.
    pub fn clear(&self) {
        self.imp().first_row.set_text("");
        self.imp().second_row.set_text("");
    }
}

/// From 0, guessed at once, to 4.
fn strength(text: &str) -> u8 {
    let judged: String = text.chars().take(JUDGED_CHARACTERS).collect();
    u8::from(zxcvbn::zxcvbn(&judged, &[]).score())
}

fn describe(score: u8) -> String {
    match score {
        0 | 1 => {
            gettext("Very weak: it would be guessed within minutes. Four or more random words are better.")
        }
        2 => gettext("Weak: it would be guessed within days. Four or more random words are better."),
        3 => gettext("Good"),
        _ => gettext("Strong"),
    }
}

#[cfg(test)]
mod tests {
    use super::strength;

    #[test]
    fn words_that_everybody_uses_are_weak() {
        assert_eq!(strength("password1"), 0);
        assert!(strength("anna1990") < 3);
        assert_eq!(strength("orbit canvas mellow thicket"), 4);
        assert_eq!(strength(&"x7!".repeat(500)).min(1), 1);
    }
}
