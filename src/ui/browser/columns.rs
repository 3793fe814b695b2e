//! The columns of the browser: a check button, name, size, time, and what the snapshot changed. Most texts are
//! inscriptions, which are only laid out where they are seen: a list view has two hundred rows, and shows twenty.

use gtk::prelude::*;

use crate::i18n::gettext_f;
use crate::ui::model::{FileNode, FolderModel};

/// Fills a column with check buttons that follow the selection and change it.
pub fn set_up_checks(column: &gtk::ColumnViewColumn, selection: &FolderModel) {
    let factory = gtk::SignalListItemFactory::new();
    let selection = selection.downgrade();
    factory.connect_setup(move |_, object| {
        let Some(cell) = object.downcast_ref::<gtk::ColumnViewCell>() else { return };
        // It takes the focus: from a row in which nothing does, the Tab key never leaves the list.
        let check = gtk::CheckButton::builder().valign(gtk::Align::Center).build();
        cell.set_child(Some(&check));
        let weak = check.downgrade();
        cell.connect_selected_notify(move |cell| {
            if let Some(check) = weak.upgrade() {
                check.set_active(cell.is_selected());
            }
        });
        let (cell, selection) = (cell.downgrade(), selection.clone());
        check.connect_toggled(move |check| {
            let (Some(cell), Some(selection)) = (cell.upgrade(), selection.upgrade()) else { return };
            if cell.is_selected() == check.is_active() || cell.position() == gtk::INVALID_LIST_POSITION {
                return;
            }
            if check.is_active() {
                selection.select_item(cell.position(), false);
            } else {
                selection.unselect_item(cell.position());
            }
        });
    });
    // The name, which is all it shows of a row, stays with the row.
    factory.connect_bind(|_, object| {
        let Some(cell) = object.downcast_ref::<gtk::ColumnViewCell>() else { return };
        let (Some(node), Some(check)) = (node(cell), cell.child().and_downcast::<gtk::CheckButton>()) else {
            return;
        };
        check.set_active(cell.is_selected());
        let label = gettext_f("Select {name}", &[("name", &node.name())]);
        check.update_property(&[gtk::accessible::Property::Label(&label)]);
    });
    column.set_factory(Some(&factory));
}

/// Fills the column with icons and names, at which a row can be dragged.
pub fn set_up_names(
    column: &gtk::ColumnViewColumn,
    drag_source: impl Fn(&gtk::ColumnViewCell) -> gtk::DragSource + 'static,
) {
    let factory = gtk::SignalListItemFactory::new();
    factory.connect_setup(move |_, object| {
        let Some(cell) = object.downcast_ref::<gtk::ColumnViewCell>() else { return };
        let line = gtk::Box::builder().spacing(12).build();
        line.append(&gtk::Image::builder().accessible_role(gtk::AccessibleRole::Presentation).build());
        let name = inscription().text_overflow(gtk::InscriptionOverflow::EllipsizeMiddle).min_chars(3);
        line.append(&name.hexpand(true).build());
        line.add_controller(drag_source(cell));
        cell.set_child(Some(&line));
        show_always(cell, |cell, node| {
            let Some(line) = cell.child() else { return };
            if let Some(image) = line.first_child().and_downcast::<gtk::Image>() {
                image.set_icon_name(Some(node.icon_name()));
            }
            if let Some(name) = line.last_child().and_downcast::<gtk::Inscription>() {
                name.set_text(Some(&node.name()));
                set_class(&name, "dimmed", node.is_gone());
            }
        });
    });
    column.set_factory(Some(&factory));
}

/// Fills a column with a text of the node, to the right if it is a figure.
pub fn set_up_text(
    column: &gtk::ColumnViewColumn,
    xalign: f32,
    text: impl Fn(&FileNode) -> String + Copy + 'static,
) {
    let factory = gtk::SignalListItemFactory::new();
    factory.connect_setup(move |_, object| {
        let Some(cell) = object.downcast_ref::<gtk::ColumnViewCell>() else { return };
        cell.set_child(Some(&inscription().xalign(xalign).css_classes(["numeric", "dimmed"]).build()));
        show_always(cell, move |cell, node| {
            if let Some(told) = cell.child().and_downcast::<gtk::Inscription>() {
                told.set_text(Some(&text(node)));
            }
        });
    });
    column.set_factory(Some(&factory));
}

/// Names the rows for those who do not see them.
pub fn row_factory() -> gtk::SignalListItemFactory {
    let factory = gtk::SignalListItemFactory::new();
    factory.connect_setup(|_, object| {
        let Some(row) = object.downcast_ref::<gtk::ColumnViewRow>() else { return };
        show_always(row, |row, node| {
            row.set_accessible_label(&node.name());
            let told = [node.kind(), node.size(), node.modified(), node.change()];
            let told: Vec<_> = told.into_iter().filter(|part| !part.is_empty()).collect();
            row.set_accessible_description(&told.join(", "));
        });
    });
    factory
}

/// Fills the column with marks of what the snapshot changed.
pub fn set_up_changes(column: &gtk::ColumnViewColumn) {
    let factory = gtk::SignalListItemFactory::new();
    factory.connect_setup(|_, object| {
        let Some(cell) = object.downcast_ref::<gtk::ColumnViewCell>() else { return };
        // A date that does not fit goes into a second line.
        // The row grows with it, which an inscription cannot ask for.
        let change = gtk::Label::builder()
            .xalign(0.0)
            .wrap(true)
            .lines(2)
            .ellipsize(gtk::pango::EllipsizeMode::End)
            .css_classes(["caption"])
            .build();
        cell.set_child(Some(&change));
        show_always(cell, |cell, node| {
            let Some(change) = cell.child().and_downcast::<gtk::Label>() else { return };
            change.set_label(&node.change());
            set_class(&change, "dimmed", node.is_gone());
            set_class(&change, "change", !node.is_gone());
        });
    });
    column.set_factory(Some(&factory));
}

/// Shows the dates of snapshots.
pub fn date_factory() -> gtk::SignalListItemFactory {
    let factory = gtk::SignalListItemFactory::new();
    factory.connect_setup(move |_, object| {
        let Some(item) = object.downcast_ref::<gtk::ListItem>() else { return };
        item.set_child(Some(&gtk::Label::builder().xalign(0.0).css_classes(["numeric"]).build()));
    });
    factory.connect_bind(|_, object| {
        let Some(item) = object.downcast_ref::<gtk::ListItem>() else { return };
        let text = item.item().and_downcast::<gtk::StringObject>();
        if let (Some(text), Some(label)) = (text, item.child().and_downcast::<gtk::Label>()) {
            label.set_label(&text.string());
            item.set_accessible_label(&text.string());
        }
    });
    factory
}

/// Lets a click on a column's title sort by it. The sorting itself is the model's.
pub fn make_sortable(column: &gtk::ColumnViewColumn) {
    column.set_sorter(Some(&gtk::CustomSorter::new(|_, _| gtk::Ordering::Equal)));
}

/// Puts the title of a column to the right, above figures. GTK has no property for that: the title is found by its place
/// in the view, and stays to the left where that is another one.
pub fn align_title_right(view: &gtk::ColumnView, column: &gtk::ColumnViewColumn) {
    let columns = view.columns();
    let position =
        (0..columns.n_items()).find(|position| columns.item(*position).as_ref() == Some(column.upcast_ref()));
    let titles = view.first_child().map(|header| header.observe_children());
    let title = position.zip(titles).and_then(|(position, titles)| titles.item(position));
    if let Some(line) = title.and_downcast::<gtk::Widget>().and_then(|title| title.first_child()) {
        line.set_halign(gtk::Align::End);
    }
}

/// Calls `show` with every node that a cell or a row comes to stand for, and whenever that node changes.
fn show_always<T: IsA<glib::Object>>(place: &T, show: impl Fn(&T, &FileNode) + Copy + 'static) {
    let group = glib::SignalGroup::new::<FileNode>();
    let weak = place.downgrade();
    group.connect_local("changed", false, move |values| {
        let node = values.first()?.get::<FileNode>().ok()?;
        show(&weak.upgrade()?, &node);
        None
    });
    place.connect_notify_local(Some("item"), move |place, _| {
        let node = place.property::<Option<glib::Object>>("item").and_downcast::<FileNode>();
        group.set_target(node.as_ref());
        if let Some(node) = node {
            show(place, &node);
        }
    });
}

/// Adds or removes a class, unless it is so already: all that hangs on it would be worked out again.
fn set_class(widget: &impl IsA<gtk::Widget>, class: &str, wanted: bool) {
    if widget.has_css_class(class) == wanted {
        return;
    }
    if wanted {
        widget.add_css_class(class);
    } else {
        widget.remove_css_class(class);
    }
}

/// A text that takes the width of its column.
fn inscription() -> gtk::builders::InscriptionBuilder {
    gtk::Inscription::builder().xalign(0.0).yalign(0.5).min_chars(0).nat_chars(0)
}

fn node(cell: &gtk::ColumnViewCell) -> Option<FileNode> {
    cell.item().and_downcast()
}
