//! The question for a passphrase.

use adw::prelude::*;
use adw::subclass::prelude::*;

use crate::engine::crypto::{PassphraseFor, PassphraseRequest, Secret};
use crate::engine::storage::{CredentialRequest, WantedCredential};
use crate::i18n::{gettext, gettext_f};
use crate::platform::folder;
use crate::ui::widgets::NewPassphrase;

/// A passphrase that was typed.
#[derive(Debug)]
pub struct Answer {
    /// The passphrase.
    pub secret: Secret,
    /// Whether the Secret Service is to keep it.
    pub remember: bool,
}

/// What somebody says who is asked whether they still know a passphrase.
#[derive(Debug)]
pub enum Recall {
    /// This is it.
    Typed(Secret),
    /// They do not, and want to see it.
    Forgotten,
    /// Not now.
    Later,
}

/// The response of who wants to see a passphrase.
const SHOW: &str = "show";

/// Whether a passphrase could be remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// It could.
    Present,
    /// There is nothing that would keep it.
    Missing,
    /// There is no name to keep it under.
    NotWanted,
}

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "passphrase.ui")]
    pub struct PassphraseDialog {
        #[template_child]
        pub wrong_label: TemplateChild<gtk::Label>,
        #[template_child]
        pub known_group: TemplateChild<adw::PreferencesGroup>,
        #[template_child]
        pub known_row: TemplateChild<adw::PasswordEntryRow>,
        #[template_child]
        pub new_group: TemplateChild<NewPassphrase>,
        #[template_child]
        pub remember_group: TemplateChild<adw::PreferencesGroup>,
        #[template_child]
        pub remember_row: TemplateChild<adw::SwitchRow>,
        #[template_child]
        pub no_storage_label: TemplateChild<gtk::Label>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for PassphraseDialog {
        const NAME: &'static str = "SouvenirPassphraseDialog";
        type Type = super::PassphraseDialog;
        type ParentType = adw::AlertDialog;

        fn class_init(class: &mut Self::Class) {
            NewPassphrase::ensure_type();
            class.bind_template();
            class.bind_template_callbacks();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for PassphraseDialog {}
    impl WidgetImpl for PassphraseDialog {}
    impl AdwDialogImpl for PassphraseDialog {}
    impl AdwAlertDialogImpl for PassphraseDialog {}

    #[gtk::template_callbacks]
    impl PassphraseDialog {
        #[template_callback]
        fn on_changed(&self) {
            self.obj().set_response_enabled("unlock", !self.known_row.text().is_empty());
        }

        #[template_callback]
        fn on_entered(&self) {
            if self.obj().is_response_enabled("unlock") {
                self.obj().activate_default();
            }
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct PassphraseDialog(ObjectSubclass<imp::PassphraseDialog>)
        @extends adw::AlertDialog, adw::Dialog, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget, gtk::ShortcutManager;
}

impl PassphraseDialog {
    /// A dialog that asks what a job wants to know. `is_of_several` says that the backups have had several passphrases.
    pub fn new(request: &PassphraseRequest, title: &str, is_of_several: bool, storage: Storage) -> Self {
        let dialog: Self = glib::Object::new();
        let imp = dialog.imp();
        dialog.set_body(&match &request.what {
            PassphraseFor::Archive if request.confirm => {
                gettext_f("Choose the passphrase for the backup “{name}”. Without it nobody can open the backup, you neither.", &[(
                    "name", title,
                )])
            }
            PassphraseFor::Archive if is_of_several => gettext_f(
                "Type a passphrase of the backup “{name}”. It has had several, and each opens the snapshots of its time.",
                &[("name", title)],
            ),
            PassphraseFor::Archive => gettext_f("Type the passphrase of the backup “{name}”.", &[("name", title)]),
            PassphraseFor::Key { id, user_id } => {
                let owner = user_id.as_deref().unwrap_or(id);
                gettext_f("Type the passphrase of the key of {owner}.", &[("owner", owner)])
            }
        });
        if request.confirm {
            dialog.set_heading(Some(&gettext("New Passphrase")));
            dialog.set_response_label("unlock", &gettext("_Use Passphrase"));
        }
        imp.wrong_label.set_visible(request.previous_was_wrong);
        if is_of_several || request.opened_others {
            imp.wrong_label.set_label(&gettext(
                "That does not open all snapshots. Type another passphrase that this backup has had, and check the \
                 keyboard layout and Caps Lock.",
            ));
        }
        imp.known_group.set_visible(!request.confirm);
        imp.new_group.set_visible(request.confirm);
        imp.remember_group.set_visible(storage == Storage::Present);
        imp.no_storage_label.set_visible(storage == Storage::Missing);
        dialog.set_response_enabled("unlock", request.confirm);
        if !request.confirm {
            dialog.set_focus(Some(&*imp.known_row));
        }
        dialog
    }

    /// A dialog that asks what a place wants to know.
    pub fn for_place(request: &CredentialRequest, storage: Storage) -> Self {
        let dialog: Self = glib::Object::new();
        let imp = dialog.imp();
        let (heading, body, title) = match &request.wanted {
            WantedCredential::Password { user } => (
                gettext("Password Needed"),
                gettext_f(
                    "Type the password of {user} for {place}.",
                    &[("user", user), ("place", &request.location)],
                ),
                gettext("_Password"),
            ),
            WantedCredential::SecretKey { key_id } => (
                gettext("Secret Needed"),
                gettext_f(
                    "Type the secret that belongs to the access key {key} for {place}.",
                    &[("key", key_id), ("place", &request.location)],
                ),
                gettext("_Secret"),
            ),
            WantedCredential::KeyPassphrase { path } => (
                gettext("Passphrase Needed"),
                gettext_f("Type the passphrase of the key {file}.", &[("file", &folder::to_shown(path))]),
                gettext("_Passphrase"),
            ),
            WantedCredential::Prompt { text, .. } => (
                gettext("The Server Asks"),
                gettext_f("{place} asks: {question}", &[("place", &request.location), ("question", text)]),
                gettext("_Answer"),
            ),
        };
        dialog.set_heading(Some(&heading));
        dialog.set_body(&body);
        dialog.set_response_label("unlock", &gettext("_Sign In"));
        imp.known_row.set_title(&title);
        imp.wrong_label.set_label(&gettext(
            "That was not right. Check the keyboard layout and Caps Lock, and try again.",
        ));
        imp.wrong_label.set_visible(request.previous_was_wrong);
        imp.remember_row.set_title(&gettext("Re_member"));
        imp.remember_group.set_visible(storage == Storage::Present);
        imp.no_storage_label.set_label(&gettext(
            "There is no password storage on this computer, so this will be asked for again next time.",
        ));
        imp.no_storage_label.set_visible(storage == Storage::Missing);
        dialog.set_response_enabled("unlock", false);
        dialog.set_focus(Some(&*imp.known_row));
        dialog
    }

    /// A dialog that asks whether somebody still knows what opens the backup of that name.
    pub fn to_recall(name: &str, previous_was_wrong: bool) -> Self {
        let dialog: Self = glib::Object::new();
        let imp = dialog.imp();
        dialog.set_heading(Some(&gettext("Do You Still Know the Passphrase?")));
        dialog.set_body(&gettext_f(
            "What opens the backup “{name}” is a passphrase that this computer remembers for you. On another computer \
             you need it yourself. Type it to see whether you still know it.",
            &[("name", name)],
        ));
        dialog.set_response_label("cancel", &gettext("_Later"));
        dialog.set_response_label("unlock", &gettext("_Check"));
        imp.wrong_label.set_visible(previous_was_wrong);
        imp.remember_group.set_visible(false);
        if previous_was_wrong {
            dialog.add_response(SHOW, &gettext("_Show Passphrase"));
        }
        dialog.set_response_enabled("unlock", false);
        dialog.set_focus(Some(&*imp.known_row));
        dialog
    }

    /// Asks somebody whether they still know it.
    pub async fn recall(self, parent: &impl IsA<gtk::Widget>) -> Recall {
        match self.clone().choose_future(Some(parent)).await.as_str() {
            "unlock" => Recall::Typed(Secret::from(self.imp().known_row.text().as_str())),
            SHOW => Recall::Forgotten,
            _ => Recall::Later,
        }
    }

    /// Asks; for a new passphrase if `is_new`. None if the person does not want to answer.
    pub async fn ask(&self, parent: &impl IsA<gtk::Widget>, is_new: bool) -> Option<Answer> {
        let imp = self.imp();
        loop {
            if self.clone().choose_future(Some(parent)).await != "unlock" {
                return None;
            }
            let remember = imp.remember_row.is_active() && imp.remember_group.is_visible();
            if !is_new {
                return Some(Answer { secret: Secret::from(imp.known_row.text().as_str()), remember });
            }
            // The dialog closes with every answer; one that is not good brings it back with a word about it.
            if let Some(secret) = imp.new_group.secret() {
                return Some(Answer { secret, remember });
            }
        }
    }
}
