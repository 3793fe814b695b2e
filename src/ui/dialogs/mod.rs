//! Small dialogs: a question, a failure, a passphrase, the keyboard shortcuts.

mod passphrase;
mod shortcuts;

use adw::prelude::*;

use crate::engine::crypto::Secret;
use crate::engine::storage::HostKey;
use crate::i18n::{gettext, gettext_f};
use crate::plan::history::Problem;
use crate::ui::widgets::ProblemView;

pub use passphrase::{PassphraseDialog, Recall, Storage};
pub use shortcuts::show_shortcuts;

/// Asks before something that cannot be undone. `verb` is the label of the button that does it.
pub async fn confirm_destructive(
    parent: &impl IsA<gtk::Widget>,
    heading: &str,
    body: &str,
    verb: &str,
) -> bool {
    let dialog = adw::AlertDialog::new(Some(heading), Some(body));
    dialog.add_responses(&[("cancel", &gettext("_Cancel")), ("act", verb)]);
    dialog.set_response_appearance("act", adw::ResponseAppearance::Destructive);
    dialog.set_default_response(Some("cancel"));
    dialog.set_close_response("cancel");
    dialog.choose_future(Some(parent)).await == "act"
}

/// Asks whether a key that was just made is copied now.
pub async fn confirm_copy(parent: &impl IsA<gtk::Widget>) -> bool {
    let body = gettext(
        "The key is on this computer only. If the computer breaks or is stolen, nobody can open its backups any more, \
         you neither.",
    );
    let dialog = adw::AlertDialog::new(Some(&gettext("Copy the New Key?")), Some(&body));
    dialog.add_responses(&[("later", &gettext("_Later")), ("copy", &gettext("_Copy Key…"))]);
    dialog.set_response_appearance("copy", adw::ResponseAppearance::Suggested);
    dialog.set_default_response(Some("copy"));
    dialog.set_close_response("later");
    dialog.choose_future(Some(parent)).await == "copy"
}

/// Asks whether an unknown server is the right one.
pub async fn confirm_host_key(parent: &impl IsA<gtk::Widget>, key: &HostKey) -> bool {
    let body = gettext_f(
        "{server} is not known to this computer yet. Compare the fingerprint with what the owner of the server \
         tells you. Whoever pretends to be the server has another one.",
        &[("server", &key.host)],
    );
    let dialog = adw::AlertDialog::new(Some(&gettext("Is This the Right Server?")), Some(&body));
    let fingerprint = gtk::Label::builder()
        .label(&key.fingerprint)
        .tooltip_text(&key.algorithm)
        .selectable(true)
        .wrap(true)
        .wrap_mode(gtk::pango::WrapMode::Char)
        .justify(gtk::Justification::Center)
        .css_classes(["monospace"])
        .build();
    dialog.set_extra_child(Some(&fingerprint));
    dialog.add_responses(&[("cancel", &gettext("_Cancel")), ("trust", &gettext("_Trust Server"))]);
    dialog.set_response_appearance("trust", adw::ResponseAppearance::Suggested);
    dialog.set_default_response(Some("cancel"));
    dialog.set_close_response("cancel");
    dialog.choose_future(Some(parent)).await == "trust"
}

/// Asks whether to go on with the backups of a computer that is called `found`. None: neither that nor a full backup.
pub async fn ask_other_host(parent: &impl IsA<gtk::Widget>, found: &str) -> Option<bool> {
    let body = gettext_f(
        "The last backup was made on a computer called “{other}”, and this one is called “{this}”. If it is the same \
         computer, or its files were brought here, go on: only what has changed is stored. If it is another one, \
         make a full backup; the older backups stay as they are.",
        &[("other", found), ("this", &glib::host_name())],
    );
    let dialog = adw::AlertDialog::new(Some(&gettext("Is This the Same Computer?")), Some(&body));
    dialog.add_responses(&[
        ("cancel", &gettext("_Cancel")),
        ("full", &gettext("_Full Backup")),
        ("go-on", &gettext("_Go On")),
    ]);
    dialog.set_response_appearance("go-on", adw::ResponseAppearance::Suggested);
    dialog.set_close_response("cancel");
    match dialog.choose_future(Some(parent)).await.as_str() {
        "go-on" => Some(true),
        "full" => Some(false),
        _ => None,
    }
}

/// Asks whether to look at the backup of a computer that is called `found`.
pub async fn confirm_other_computer(parent: &impl IsA<gtk::Widget>, found: &str) -> bool {
    let body = gettext_f(
        "It was made on a computer called “{other}”, and this one is called “{this}”. If you expected that, open it: \
         its files can be restored here.",
        &[("other", found), ("this", &glib::host_name())],
    );
    let dialog = adw::AlertDialog::new(Some(&gettext("The Backup of Another Computer")), Some(&body));
    dialog.add_responses(&[("cancel", &gettext("_Cancel")), ("open", &gettext("_Open Backup"))]);
    dialog.set_response_appearance("open", adw::ResponseAppearance::Suggested);
    dialog.set_default_response(Some("open"));
    dialog.set_close_response("cancel");
    dialog.choose_future(Some(parent)).await == "open"
}

/// Shows a passphrase to somebody who has forgotten it.
pub fn show_passphrase(parent: &impl IsA<gtk::Widget>, secret: &Secret) {
    let body = gettext("Write it down, and keep it where it is not lost together with this computer.");
    let dialog = adw::AlertDialog::new(Some(&gettext("The Passphrase")), Some(&body));
    let label = gtk::Label::builder()
        .label(String::from_utf8_lossy(secret.expose()))
        .selectable(true)
        .wrap(true)
        .wrap_mode(gtk::pango::WrapMode::WordChar)
        .justify(gtk::Justification::Center)
        .css_classes(["monospace"])
        .build();
    dialog.set_extra_child(Some(&label));
    dialog.add_responses(&[("close", &gettext("_Close"))]);
    dialog.set_close_response("close");
    dialog.present(Some(parent));
}

/// Tells of a failure that belongs to no page.
pub fn show_problem(parent: &impl IsA<gtk::Widget>, problem: &Problem) {
    let view: ProblemView = glib::Object::new();
    view.set_problem(Some(problem));
    let dialog = adw::AlertDialog::new(Some(&problem.what), None);
    dialog.set_extra_child(Some(&view));
    view.hide_title();
    dialog.add_responses(&[("close", &gettext("_Close"))]);
    dialog.set_close_response("close");
    dialog.present(Some(parent));
}
