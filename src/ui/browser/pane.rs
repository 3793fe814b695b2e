//! The file that is selected, beside the folder or on a page of its own.

use adw::prelude::*;
use adw::subclass::prelude::*;

use super::browser_page::BrowserPage;
use super::file_pane::{FilePane, Subject};
use crate::engine::format::time::SetTime;
use crate::engine::path::EntryPath;
use crate::i18n::gettext;
use crate::ui::model::FolderRows;
use crate::ui::window::Window;

impl BrowserPage {
    /// Shows the single entry that is selected.
    pub(super) fn refresh_pane(&self, rows: &FolderRows, positions: &[usize]) {
        let single = match positions {
            [only] => self.imp().time.get().and_then(|time| self.subject(rows.path(*only)?, time)),
            _ => None,
        };
        self.show_subject(single, positions.len() as u64);
    }

    /// Shows something in the pane, or nothing because so many rows are selected.
    pub(super) fn show_subject(&self, subject: Option<Subject>, selected_count: u64) {
        let imp = self.imp();
        self.set_enabled("details", subject.is_some() || !imp.split_view.is_collapsed());
        imp.subject.replace(subject.clone());
        match subject {
            // Nobody sees it on a narrow page, so nothing is read for it.
            Some(subject) if !imp.split_view.is_collapsed() && imp.split_view.shows_sidebar() => {
                imp.file_pane.set_subject(subject);
            }
            Some(_) => {}
            None => imp.file_pane.set_none(selected_count),
        }
    }

    /// Shows or hides the pane, or where there is no room for it, opens the page of the file.
    pub(super) fn show_details(&self) {
        let imp = self.imp();
        if !imp.split_view.is_collapsed() {
            return imp.split_view.set_show_sidebar(!imp.split_view.shows_sidebar());
        }
        let (Some(subject), Some(window)) =
            (imp.subject.borrow().clone(), self.root().and_downcast::<Window>())
        else {
            return;
        };
        let pane: FilePane = glib::Object::new();
        pane.set_subject(subject);
        let view = adw::ToolbarView::new();
        view.add_top_bar(&adw::HeaderBar::new());
        view.set_content(Some(&pane));
        let page = adw::NavigationPage::builder().title(gettext("Versions")).child(&view).build();
        window.push(&page);
    }

    pub(super) fn subject(&self, path: EntryPath, time: SetTime) -> Option<Subject> {
        let imp = self.imp();
        Some(Subject {
            repository: imp.repository.borrow().clone()?,
            reader: imp.reader.borrow().clone()?,
            counter: imp.counter.borrow().clone()?,
            path,
            time,
            original_known: imp.original_known.get(),
            reachable: self.is_reachable(),
        })
    }

    pub(super) fn set_up_pane(&self) {
        let page = self.downgrade();
        self.imp().split_view.connect_show_sidebar_notify(move |_| {
            let Some(page) = page.upgrade() else { return };
            let subject = page.imp().subject.borrow().clone();
            if let Some(subject) = subject.filter(|_| page.imp().split_view.shows_sidebar()) {
                page.imp().file_pane.set_subject(subject);
            }
        });
    }
}
