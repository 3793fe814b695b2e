//! What is said in passing. A toast has one line, and in a narrow window about thirty characters.

use crate::i18n::gettext;

/// Says something in passing.
pub fn show_toast(overlay: &adw::ToastOverlay, text: &str) {
    overlay.add_toast(adw::Toast::builder().title(text).use_markup(false).build());
}

/// Says that something is in a folder, and offers to show it.
pub fn show_toast_with_folder(overlay: &adw::ToastOverlay, text: &str, show: impl Fn() + 'static) {
    let toast = adw::Toast::builder().title(text).use_markup(false).button_label(gettext("_Show")).build();
    toast.connect_button_clicked(move |_| show());
    overlay.add_toast(toast);
}
