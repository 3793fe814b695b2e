//! A row for something that was put on a list, with a button that takes it off again.

use adw::prelude::*;

/// Such a row, with a label in front of the button if there is one. `verb` is what the button does, for who only
/// hears of it.
pub fn listed_row(
    (icon, title, subtitle): (&str, &str, &str),
    label: Option<&gtk::Label>,
    verb: &str,
    on_remove: impl Fn(&adw::ActionRow) + 'static,
) -> adw::ActionRow {
    let row = adw::ActionRow::builder().use_markup(false).title(title).subtitle(subtitle).build();
    let image =
        gtk::Image::builder().icon_name(icon).accessible_role(gtk::AccessibleRole::Presentation).build();
    row.add_prefix(&image);
    if let Some(label) = label {
        row.add_suffix(label);
    }
    let button = gtk::Button::builder()
        .icon_name("list-remove-symbolic")
        .tooltip_text(verb)
        .valign(gtk::Align::Center)
        .css_classes(["flat"])
        .build();
    let listed = row.downgrade();
    button.connect_clicked(move |_| {
        if let Some(row) = listed.upgrade() {
            on_remove(&row);
        }
    });
    row.add_suffix(&button);
    row
}

/// Takes all such rows off a list.
pub fn clear_listed(list: &gtk::ListBox) {
    let is_listed = |row: &gtk::ListBoxRow| row.type_() == adw::ActionRow::static_type();
    while let Some(row) = (0..).map_while(|at| list.row_at_index(at)).find(is_listed) {
        list.remove(&row);
    }
}
