//! Searching all snapshots as the person types.

use std::time::Instant;

use adw::prelude::*;
use adw::subclass::prelude::*;

use super::browser_page::BrowserPage;
use crate::engine::catalog::{Hit, Pattern};
use crate::engine::error::Error;
use crate::engine::format::time::SetTime;
use crate::ui::model::Lane;

/// More than anybody looks through.
const MOST_HITS: usize = 500;

impl BrowserPage {
    pub(super) fn set_up_search(&self) {
        let imp = self.imp();
        imp.search_bar.connect_entry(&*imp.search_entry);
        imp.search_bar.set_key_capture_widget(Some(&*imp.view));
        let page = self.downgrade();
        imp.search_bar.connect_search_mode_enabled_notify(move |bar| {
            let Some(page) = page.upgrade() else { return };
            if bar.is_search_mode() {
                page.imp().search_view.set_direct(page.imp().split_view.is_collapsed());
                page.show_subject(None, 0);
                page.search();
                page.show_state("search");
            } else if page.is_searching() {
                page.refresh_contents();
            }
        });
        let page = self.downgrade();
        imp.search_view.connect_chosen(move |hit| {
            if let Some(page) = page.upgrade() {
                page.show_hit(&hit);
            }
        });
        let page = self.downgrade();
        imp.search_view.connect_selected(move |hit| {
            if let Some(page) = page.upgrade().filter(Self::is_searching) {
                page.show_hit_beside(hit.as_ref());
            }
        });
        // From the entry down into what was found.
        let keys = gtk::EventControllerKey::new();
        let page = self.downgrade();
        keys.connect_key_pressed(move |_, key, _, _| match (key, page.upgrade()) {
            (gtk::gdk::Key::Down | gtk::gdk::Key::KP_Down, Some(page)) => {
                page.imp().search_view.focus_rows();
                glib::Propagation::Stop
            }
            _ => glib::Propagation::Proceed,
        });
        imp.search_entry.add_controller(keys);
    }

    pub(super) fn is_searching(&self) -> bool {
        self.imp().stack.visible_child_name().as_deref() == Some("search")
    }

    /// Ends a search, if there is one.
    pub(super) fn leave_search(&self) {
        let imp = self.imp();
        if imp.search_bar.is_search_mode() {
            imp.search_bar.set_search_mode(false);
            imp.search_entry.set_text("");
        }
    }

    /// Looks for what is typed.
    pub(super) fn search(&self) {
        let imp = self.imp();
        let text = imp.search_entry.text().trim().to_owned();
        let Some(reader) = imp.reader.borrow().clone() else { return };
        let Ok(pattern) = Pattern::new(&text).or_else(|_| Pattern::part(&text)) else {
            reader.cancel(Lane::Search);
            return imp.search_view.set_found(None);
        };
        let asked = reader.ask(Lane::Search, move |catalog, job| catalog.search(&pattern, MOST_HITS, job));
        let (page, begun) = (self.downgrade(), Instant::now());
        glib::spawn_future_local(async move {
            let (Some(found), Some(page)) = (asked.await, page.upgrade()) else { return };
            tracing::debug!("the search was answered after {} ms", begun.elapsed().as_millis());
            match found {
                Ok(found) => page.imp().search_view.set_found(Some(found)),
                Err(Error::Cancelled(_)) => {}
                Err(error) => page.show_error(&error),
            }
        });
    }

    /// The snapshot that is shown, or the last one that has a path.
    fn time_of(&self, hit: &Hit) -> Option<SetTime> {
        let has = |time| hit.spans.iter().any(|span| span.first <= time && time <= span.last);
        let shown = self.imp().time.get().filter(|time| has(*time));
        shown.or_else(|| hit.spans.last().map(|span| span.last))
    }

    /// Opens the folder of a path.
    fn show_hit(&self, hit: &Hit) {
        let path = &hit.entry.path;
        if let Some(time) = self.time_of(hit) {
            self.go(time, path.parent(), Some(path.file_name().into()));
        }
    }

    /// Shows the versions of a path beside what was found.
    fn show_hit_beside(&self, hit: Option<&Hit>) {
        let subject = hit.and_then(|hit| self.subject(hit.entry.path.clone(), self.time_of(hit)?));
        self.show_subject(subject, 0);
    }
}
