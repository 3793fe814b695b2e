//! The keyboard shortcuts, as a list.

use adw::prelude::*;

use crate::i18n::gettext;
use crate::ui::accelerators::accelerators;

/// Shows every keyboard shortcut.
pub fn show_shortcuts(parent: &impl IsA<gtk::Widget>) {
    let page = adw::PreferencesPage::new();
    for section in accelerators() {
        let group = adw::PreferencesGroup::builder().title(section.title).build();
        for (title, keys) in section.shortcuts {
            let row = adw::ActionRow::builder().use_markup(false).title(title).build();
            for key in keys {
                row.add_suffix(&key_label(key));
            }
            group.add(&row);
        }
        page.add(&group);
    }
    let view = adw::ToolbarView::new();
    view.add_top_bar(&adw::HeaderBar::new());
    view.set_content(Some(&page));
    let dialog = adw::Dialog::builder()
        .title(gettext("Keyboard Shortcuts"))
        .content_width(480)
        .content_height(520)
        .child(&view)
        .build();
    dialog.present(Some(parent));
}

fn key_label(key: &str) -> gtk::Label {
    let text = gtk::accelerator_parse(key)
        .map_or_else(|| key.to_owned(), |(key, modifiers)| gtk::accelerator_get_label(key, modifiers).into());
    gtk::Label::builder().label(text).valign(gtk::Align::Center).css_classes(["keycap"]).build()
}
