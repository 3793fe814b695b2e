//! The rows of the browser: how they are drawn, sorted and selected.

use adw::prelude::*;
use adw::subclass::prelude::*;

use super::browser_page::BrowserPage;
use super::columns;
use crate::i18n::{gettext_f, ngettext_f};
use crate::ui::model::{FileNode, SortBy};
use crate::ui::words;

impl BrowserPage {
    pub(super) fn set_up_view(&self) {
        let imp = self.imp();
        let selection = gtk::MultiSelection::new(Some(imp.model.clone()));
        let page = self.downgrade();
        selection.connect_selection_changed(move |_, _, _| {
            if let Some(page) = page.upgrade() {
                page.refresh_selection();
            }
        });
        columns::set_up_checks(&imp.check_column, &selection);
        columns::set_up_names(&imp.name_column);
        columns::set_up_text(&imp.size_column, 1.0, FileNode::size);
        columns::set_up_text(&imp.modified_column, 0.0, FileNode::modified);
        for column in [&imp.name_column, &imp.size_column, &imp.modified_column] {
            columns::make_sortable(column);
        }
        // The list of all snapshots keeps whole dates; the button gives way where there is little room.
        imp.snapshot_drop_down
            .set_list_factory(Some(&columns::date_factory(gtk::pango::EllipsizeMode::None)));
        imp.snapshot_drop_down.set_factory(Some(&columns::date_factory(gtk::pango::EllipsizeMode::End)));
        imp.view.set_row_factory(Some(&columns::row_factory()));
        imp.view.set_model(Some(&selection));
        imp.view.sort_by_column(Some(&*imp.name_column), gtk::SortType::Ascending);
        if let Some(sorter) = imp.view.sorter().and_downcast::<gtk::ColumnViewSorter>() {
            let page = self.downgrade();
            sorter.connect_changed(move |sorter, _| {
                if let Some(page) = page.upgrade() {
                    page.take_sorting(sorter);
                }
            });
        }
        imp.selection.replace(Some(selection));
        imp.search_bar.connect_entry(&*imp.search_entry);
        imp.search_bar.set_key_capture_widget(Some(&*imp.view));
        let page = self.downgrade();
        imp.breadcrumb.connect_chosen(move |index| {
            if let Some(page) = page.upgrade() {
                page.enter(index);
            }
        });
    }

    fn take_sorting(&self, sorter: &gtk::ColumnViewSorter) {
        let imp = self.imp();
        let column = sorter.primary_sort_column();
        let by = if column.as_ref() == Some(&*imp.size_column) {
            SortBy::Size
        } else if column.as_ref() == Some(&*imp.modified_column) {
            SortBy::Modified
        } else {
            SortBy::Name
        };
        imp.model.set_sort(by, sorter.primary_sort_order() == gtk::SortType::Descending);
    }

    pub(super) fn refresh_selection(&self) {
        let imp = self.imp();
        let Some(tree) = imp.tree.borrow().clone() else { return };
        let chosen = self.chosen();
        let bytes: u64 = chosen.iter().map(|index| tree.size_bytes(*index)).sum();
        let count = chosen.len() as u64;
        let text = if count == 0 {
            let folder = imp.folder.get();
            gettext_f(
                "Nothing selected: the whole folder, {size}",
                &[("size", &words::size(tree.size_bytes(folder)))],
            )
        } else {
            ngettext_f(
                "{count} selected, {size}",
                "{count} selected, {size}",
                count,
                &[("count", &words::count(count)), ("size", &words::size(bytes))],
            )
        };
        imp.selection_label.set_label(&text);
    }

    /// The indexes of the selected entries.
    pub(super) fn chosen(&self) -> Vec<usize> {
        let imp = self.imp();
        let selection = imp.selection.borrow();
        let Some(selection) = &*selection else { return Vec::new() };
        let bits = selection.selection();
        (0..bits.size()).filter_map(|nth| imp.model.index_at(bits.nth(u32::try_from(nth).ok()?))).collect()
    }
}
