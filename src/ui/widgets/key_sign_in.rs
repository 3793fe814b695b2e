//! Signing in to an SSH server without a password: a key for this computer, made and installed with one
//! click.

use adw::prelude::*;

use crate::engine::storage::sftp::{SftpOptions, set_up_key};
use crate::engine::storage::{Credentials, SftpAddress};
use crate::i18n::gettext;
use crate::ui::error_text;
use crate::ui::model::{JobKind, JobModel, Repository};
use crate::ui::window::Window;

/// A row that offers it. `repository` knows the password if it was typed a moment ago.
pub fn key_sign_in_row(address: &SftpAddress, repository: &Repository) -> adw::ActionRow {
    let row = adw::ActionRow::builder()
        .use_markup(false)
        .title(gettext("Sign In Without a Password"))
        .subtitle(gettext(
            "Makes a key for this computer and has the server let it in. Backups then need nobody who types a password.",
        ))
        .activatable(false)
        .build();
    let icon = gtk::Image::builder()
        .icon_name("dialog-password-symbolic")
        .accessible_role(gtk::AccessibleRole::Presentation)
        .build();
    row.add_prefix(&icon);
    let button = gtk::Button::builder()
        .label(gettext("_Set Up"))
        .use_underline(true)
        .valign(gtk::Align::Center)
        .build();
    row.add_suffix(&button);
    let (address, repository) = (address.clone(), repository.clone());
    let weak = row.downgrade();
    button.connect_clicked(move |button| {
        if let Some(row) = weak.upgrade() {
            begin(&row, button, &icon, &address, &repository);
        }
    });
    row
}

fn begin(
    row: &adw::ActionRow,
    button: &gtk::Button,
    icon: &gtk::Image,
    address: &SftpAddress,
    repository: &Repository,
) {
    let Some(window) = row.root().and_downcast::<Window>() else { return };
    row.set_subtitle(&gettext("The key is made, installed and tried."));
    button.set_sensitive(false);
    let spinner = adw::Spinner::new();
    row.add_suffix(&spinner);
    let address = address.clone();
    let work =
        move |job: &_| Ok(set_up_key(&address, &Credentials::default(), &SftpOptions::default(), job)?);
    let (row, button, icon) = (row.downgrade(), button.downgrade(), icon.downgrade());
    let job = JobModel::run(JobKind::Look, "sign in", work, move |_, result| {
        let (Some(row), Some(button), Some(icon)) = (row.upgrade(), button.upgrade(), icon.upgrade()) else {
            return;
        };
        row.remove(&spinner);
        let (title, subtitle, name, class) = match result {
            Ok(done) => (
                gettext("This computer signs in with a key"),
                match (done.made_key, done.installed) {
                    (true, _) => gettext("The key is new, and the server lets it in."),
                    (false, true) => {
                        gettext("The key that was made before is now let in by this server too.")
                    }
                    (false, false) => gettext("The server let the key in already."),
                },
                "object-select-symbolic",
                "success",
            ),
            Err(error) => {
                let problem = error_text::problem(&error);
                let text = if problem.details.is_empty() { problem.advice } else { problem.details };
                (gettext("The key could not be set up"), text, "dialog-warning-symbolic", "warning")
            }
        };
        row.set_title(&title);
        row.set_subtitle(&subtitle);
        icon.set_icon_name(Some(name));
        icon.add_css_class(class);
        button.set_visible(class != "success");
        button.set_sensitive(true);
        icon.announce(&title, gtk::AccessibleAnnouncementPriority::Medium);
    });
    window.watch(&job, repository);
}
