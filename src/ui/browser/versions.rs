//! The rows of a file's history.

use gtk::prelude::*;

use crate::engine::catalog::{Change, PathVersion};
use crate::engine::format::entry::EntryKind;
use crate::i18n::{gettext, gettext_f};
use crate::ui::words;

/// What a row says of a version.
#[derive(Debug, Clone)]
pub struct Row {
    date: String,
    facts: String,
    is_shown: bool,
}

impl Row {
    /// The row of a version with its date; whether it is the one in the snapshot that is shown.
    pub fn new(version: &PathVersion, date: String, is_shown: bool) -> Self {
        let change = change_text(version.change);
        // Of a folder it would be that of its list of names.
        let file = version.entry.as_ref().filter(|entry| entry.kind == EntryKind::File);
        let size = file.and_then(|entry| entry.size_bytes).map(words::size);
        let facts = match size {
            Some(size) => gettext_f("{change}, {size}", &[("change", &change), ("size", &size)]),
            None => change,
        };
        Self { date, facts, is_shown }
    }
}

/// What happened to a file, as a word that stands alone.
fn change_text(change: Change) -> String {
    match change {
        Change::Added => gettext("New"),
        Change::Modified => gettext("Changed"),
        Change::Deleted => gettext("Deleted"),
        Change::Unchanged => gettext("Unchanged"),
    }
}

/// Draws the rows.
pub fn row_factory() -> gtk::SignalListItemFactory {
    let factory = gtk::SignalListItemFactory::new();
    factory.connect_setup(|_, object| {
        let Some(item) = object.downcast_ref::<gtk::ListItem>() else { return };
        let line = gtk::Box::builder().spacing(12).build();
        let texts = gtk::Box::builder().orientation(gtk::Orientation::Vertical).hexpand(true).build();
        texts.append(&gtk::Label::builder().xalign(0.0).css_classes(["numeric"]).build());
        let facts = gtk::Label::builder()
            .xalign(0.0)
            .ellipsize(gtk::pango::EllipsizeMode::End)
            .css_classes(["dimmed", "caption", "numeric"])
            .build();
        texts.append(&facts);
        line.append(&texts);
        let mark = gtk::Image::builder()
            .icon_name("object-select-symbolic")
            .accessible_role(gtk::AccessibleRole::Presentation)
            .build();
        mark.set_tooltip_text(Some(&gettext("In the snapshot that is shown")));
        line.append(&mark);
        item.set_child(Some(&line));
    });
    factory.connect_bind(|_, object| {
        let Some(item) = object.downcast_ref::<gtk::ListItem>() else { return };
        let (Some(line), Some(boxed)) = (item.child(), item.item().and_downcast::<glib::BoxedAnyObject>())
        else {
            return;
        };
        let row = boxed.borrow::<Row>();
        if let Some(texts) = line.first_child() {
            if let Some(label) = texts.first_child().and_downcast::<gtk::Label>() {
                label.set_label(&row.date);
            }
            if let Some(label) = texts.last_child().and_downcast::<gtk::Label>() {
                label.set_label(&row.facts);
            }
        }
        if let Some(mark) = line.last_child() {
            mark.set_visible(row.is_shown);
        }
        item.set_accessible_label(&row.date);
        let told = if row.is_shown {
            gettext_f("{facts}, in the snapshot that is shown", &[("facts", &row.facts)])
        } else {
            row.facts.clone()
        };
        item.set_accessible_description(&told);
    });
    factory
}
