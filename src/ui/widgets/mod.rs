//! Small widgets that several pages use.

mod destination_chooser;
mod destination_report;
mod discovery_group;
mod drive_group;
mod drive_watch;
mod job_progress;
mod keeping_group;
mod key_sign_in;
mod menu_names;
mod network_row;
mod new_passphrase;
mod path_row;
mod problem_view;
mod toasts;

pub use destination_chooser::DestinationChooser;
pub use destination_report::{DestinationCheck, DestinationReport};
pub use discovery_group::DiscoveryGroup;
pub use job_progress::JobProgress;
pub use keeping_group::KeepingGroup;
pub use key_sign_in::key_sign_in_row;
pub use menu_names::name_menu_items;
pub use new_passphrase::NewPassphrase;
pub use path_row::{PathRow, clear_row};
pub use problem_view::{ProblemView, details_button};
pub use toasts::{show_toast, show_toast_with_folder};

use std::cell::Cell;

use gtk::prelude::*;

/// Shows what is missing below a field, where it can be seen, and says it to those who do not see it. An empty text
/// hides it.
pub fn show_hint(label: &gtk::Label, text: &str) {
    label.set_label(text);
    label.set_visible(!text.is_empty());
    if !text.is_empty() {
        label.announce(text, gtk::AccessibleAnnouncementPriority::Medium);
        // It has a place once a frame was drawn.
        let is_placed = Cell::new(false);
        label.add_tick_callback(move |label, _| {
            if !is_placed.replace(true) {
                return glib::ControlFlow::Continue;
            }
            if let Some(viewport) =
                label.ancestor(gtk::Viewport::static_type()).and_downcast::<gtk::Viewport>()
            {
                viewport.scroll_to(label, None);
            }
            glib::ControlFlow::Break
        });
    }
}
