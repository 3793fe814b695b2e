//! The rows of the browser: how they are drawn, sorted and selected.

use std::sync::Arc;

use adw::prelude::*;
use adw::subclass::prelude::*;
use gtk::gdk;

use super::browser_page::BrowserPage;
use super::{columns, dragging};
use crate::engine::catalog::Amount;
use crate::engine::path::EntryPath;
use crate::i18n::{gettext, gettext_f, ngettext_f};
use crate::ui::model::{Arrangement, FileNode, FolderRows, Lane, SortBy};
use crate::ui::words;

impl BrowserPage {
    pub(super) fn set_up_view(&self) {
        let imp = self.imp();
        let page = self.downgrade();
        imp.model.connect_selection_changed(move |_, _, _| {
            if let Some(page) = page.upgrade() {
                page.refresh_selection();
            }
        });
        columns::set_up_checks(&imp.check_column, &imp.model);
        let page = self.downgrade();
        columns::set_up_names(&imp.name_column, move |cell| dragging::source(&page, cell));
        columns::set_up_text(&imp.size_column, 1.0, FileNode::size);
        columns::align_title_right(&imp.view, &imp.size_column);
        columns::set_up_text(&imp.modified_column, 0.0, FileNode::modified);
        columns::set_up_changes(&imp.change_column);
        for column in [&imp.name_column, &imp.size_column, &imp.modified_column, &imp.change_column] {
            columns::make_sortable(column);
        }
        self.fit_columns();
        // To the end means to that of all rows, also while they come.
        let keys =
            gtk::EventControllerKey::builder().propagation_phase(gtk::PropagationPhase::Capture).build();
        let page = self.downgrade();
        keys.connect_key_pressed(move |_, key, _, _| match (key, page.upgrade()) {
            (gdk::Key::End | gdk::Key::KP_End, Some(page)) => page.go_to_end(),
            _ => glib::Propagation::Proceed,
        });
        imp.view.add_controller(keys);
        let page = self.downgrade();
        // Narrow windows hide it.
        imp.modified_column.connect_visible_notify(move |_| {
            if let Some(page) = page.upgrade() {
                page.fit_columns();
            }
        });
        // They outlive the page.
        self.settings().connect_closure(
            "notify::gtk-xft-dpi",
            false,
            glib::closure_local!(
                #[watch(rename_to = page)]
                self,
                move |_: gtk::Settings, _: glib::ParamSpec| page.fit_columns()
            ),
        );
        imp.view.set_row_factory(Some(&columns::row_factory()));
        imp.view.set_model(Some(&imp.model));
        imp.view.sort_by_column(Some(&*imp.name_column), gtk::SortType::Ascending);
        if let Some(sorter) = imp.view.sorter().and_downcast::<gtk::ColumnViewSorter>() {
            let page = self.downgrade();
            sorter.connect_changed(move |sorter, _| {
                if let Some(page) = page.upgrade() {
                    page.take_sorting(sorter);
                }
            });
        }
    }

    /// Goes to the last row once all have come; leaves it to the view if they have.
    fn go_to_end(&self) -> glib::Propagation {
        let imp = self.imp();
        if imp.model.is_told() {
            return glib::Propagation::Proceed;
        }
        let view = imp.view.downgrade();
        imp.model.when_told(move || {
            if let Some(view) = view.upgrade()
                && let Some(last) = view.model().and_then(|model| model.n_items().checked_sub(1))
            {
                view.scroll_to(last, None, gtk::ListScrollFlags::FOCUS, None);
            }
        });
        glib::Propagation::Stop
    }

    /// Gives the columns the room that their texts need, however large text is.
    fn fit_columns(&self) {
        let imp = self.imp();
        let is_narrow = !imp.modified_column.is_visible();
        let (size_sp, change_sp) = if is_narrow { (90.0, 84.0) } else { (96.0, 112.0) };
        let settings = self.settings();
        for (column, width_sp) in
            [(&imp.size_column, size_sp), (&imp.modified_column, 170.0), (&imp.change_column, change_sp)]
        {
            let width_px = adw::LengthUnit::Sp.to_px(width_sp, Some(&settings));
            column.set_fixed_width(width_px.ceil() as i32);
        }
    }

    fn take_sorting(&self, sorter: &gtk::ColumnViewSorter) {
        let imp = self.imp();
        let column = sorter.primary_sort_column();
        let by = if column.as_ref() == Some(&*imp.size_column) {
            SortBy::Size
        } else if column.as_ref() == Some(&*imp.modified_column) {
            SortBy::Modified
        } else if column.as_ref() == Some(&*imp.change_column) {
            SortBy::Change
        } else {
            SortBy::Name
        };
        let descending = sorter.primary_sort_order() == gtk::SortType::Descending;
        self.arrange(Arrangement { by, descending, ..imp.arrangement.get() });
    }

    /// Shows the open folder in another way.
    pub(super) fn arrange(&self, arrangement: Arrangement) {
        let imp = self.imp();
        imp.arrangement.set(arrangement);
        // It is looked for at the arrival.
        if imp.left.get().is_some() {
            return;
        }
        let (Some(rows), Some(reader)) = (imp.model.rows(), imp.reader.borrow().clone()) else { return };
        // Sorting very many takes longer than a frame.
        let sorted = reader.ask(Lane::Folder, move |_, _| Ok(rows.arranged(arrangement)));
        let page = self.downgrade();
        glib::spawn_future_local(async move {
            if let (Some(Ok(rows)), Some(page)) = (sorted.await, page.upgrade()) {
                let imp = page.imp();
                imp.model.set_rows(Arc::new(rows));
                page.refresh_contents();
                if imp.model.n_items() > 0 {
                    imp.view.scroll_to(0, None, gtk::ListScrollFlags::NONE, None);
                }
            }
        });
    }

    /// What is to be restored: the selected entries that are there, or the open folder if none is selected. And
    /// what is cut off their paths: the names of what is selected go below the target; so does the name of a
    /// whole folder.
    pub(super) fn chosen(&self) -> Option<(Vec<EntryPath>, EntryPath)> {
        let rows = self.imp().model.rows()?;
        let positions = self.imp().model.selected();
        let folder = rows.folder().clone();
        let strip = if is_whole(&rows, &positions) { folder.parent().unwrap_or_default() } else { folder };
        Some((paths(&rows, &positions), strip))
    }

    /// The selected entries that are there, and the folder that is cut off their paths.
    pub(super) fn chosen_rows(&self) -> Option<(Vec<EntryPath>, EntryPath)> {
        let rows = self.imp().model.rows()?;
        Some((paths(&rows, &self.imp().model.selected()), rows.folder().clone()))
    }

    /// Shows what is selected, and how much it is once that is counted.
    pub(super) fn refresh_selection(&self) {
        let imp = self.imp();
        let Some(rows) = imp.model.rows() else { return };
        let question = imp.amount_question.get() + 1;
        imp.amount_question.set(question);
        let positions = imp.model.selected();
        self.refresh_pane(&rows, &positions);
        let has_any = is_whole(&rows, &positions) || positions.iter().any(|at| is_there(&rows, *at));
        self.set_enabled("restore", has_any && self.is_reachable());
        let text = if positions.is_empty() {
            gettext("Nothing selected: the whole folder")
        } else if !has_any {
            gettext("Not in this snapshot any more")
        } else {
            let count = positions.len() as u64;
            ngettext_f("{count} selected", "{count} selected", count, &[("count", &words::count(count))])
        };
        imp.selection_label.set_label(&text);
        let (Some(counter), Some(time)) = (imp.counter.borrow().clone(), imp.time.get()) else { return };
        if !has_any {
            return counter.cancel(Lane::Amount);
        }
        let counted = counter.ask(Lane::Amount, move |catalog, job| {
            catalog.amount(&paths(&rows, &positions), Some(time), job)
        });
        let page = self.downgrade();
        glib::spawn_future_local(async move {
            let (Some(Ok(amount)), Some(page)) = (counted.await, page.upgrade()) else { return };
            if page.imp().amount_question.get() == question {
                page.imp().selection_label.set_label(&gettext_f(
                    "{what}, {size}",
                    &[("what", &text), ("size", &amount_text(amount))],
                ));
            }
        });
    }
}

fn is_there(rows: &FolderRows, position: usize) -> bool {
    rows.item(position).is_some_and(|item| item.gone.is_none())
}

/// Whether some positions stand for the whole folder.
fn is_whole(rows: &FolderRows, positions: &[usize]) -> bool {
    positions.is_empty() || positions.len() == rows.len()
}

/// The paths that some positions stand for. Of very many not for the main loop, unless a person waits for it.
fn paths(rows: &FolderRows, positions: &[usize]) -> Vec<EntryPath> {
    if is_whole(rows, positions) {
        return vec![rows.folder().clone()];
    }
    positions.iter().filter(|at| is_there(rows, **at)).filter_map(|at| rows.path(*at)).collect()
}

/// Bytes, as far as they are known.
fn amount_text(amount: Amount) -> String {
    let size = words::size(amount.file_bytes);
    if amount.unknown_size_count > 0 { gettext_f("at least {size}", &[("size", &size)]) } else { size }
}
