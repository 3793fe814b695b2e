//! Names for the items of menus. GTK leaves them without, so that a screen reader would have nothing to say.

use gtk::accessible::Property;
use gtk::prelude::*;

/// Gives the items of a button's menu the names that they show, whenever it opens.
pub fn name_menu_items(button: &gtk::MenuButton) {
    button.connect_active_notify(|button| {
        if let Some(popover) = button.popover().filter(|_| button.is_active()) {
            name_below(popover.upcast_ref());
        }
    });
}

fn name_below(widget: &gtk::Widget) {
    for child in children(widget) {
        if child.css_name() == "modelbutton" {
            if let Some(label) = first_label(&child) {
                // Which comes first, and leads to a label without a name.
                child.reset_relation(gtk::AccessibleRelation::LabelledBy);
                child.update_property(&[Property::Label(&label.text())]);
            }
        } else {
            name_below(&child);
        }
    }
}

fn first_label(widget: &gtk::Widget) -> Option<gtk::Label> {
    children(widget).find_map(|child| child.downcast().map_or_else(|other| first_label(&other), Some))
}

fn children(widget: &gtk::Widget) -> impl Iterator<Item = gtk::Widget> {
    std::iter::successors(widget.first_child(), gtk::Widget::next_sibling)
}
