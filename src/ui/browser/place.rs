//! Where in the backup the person is: a snapshot and a folder in it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use adw::prelude::*;
use adw::subclass::prelude::*;

use super::arrival::{Arrival, Way, arrive};
use super::browser_page::BrowserPage;
use super::restore_dialog::{RestoreDialog, RestoreWish};
use crate::engine::catalog::is_damage;
use crate::engine::error::Result;
use crate::engine::format::time::SetTime;
use crate::engine::path::EntryPath;
use crate::i18n::gettext;
use crate::plan::history::Problem;
use crate::platform::folder;
use crate::ui::log::RunPage;
use crate::ui::model::{Lane, PlanObject, display_name};
use crate::ui::window::Window;
use crate::ui::words;

/// What takes longer than this is seen to take its time.
const PROMPT: Duration = Duration::from_millis(200);

impl BrowserPage {
    /// Opens a folder of the snapshot that is shown.
    pub(super) fn enter(&self, folder: EntryPath) {
        if let Some(time) = self.imp().time.get() {
            self.go(time, Some(folder), None);
        }
    }

    /// Opens a folder that was gone at a time in the last snapshot that has it.
    pub(super) fn enter_before(&self, gone: SetTime, folder: EntryPath) {
        let before = self.imp().sets.borrow().iter().map(|set| set.kind.time()).find(|time| *time < gone);
        if let Some(time) = before {
            self.go(time, Some(folder), None);
        }
    }

    /// Opens the folder that holds the one that is open, and selects that.
    pub(super) fn go_up(&self) {
        let imp = self.imp();
        let Some(rows) = imp.model.rows() else { return };
        if let (Some(time), Some(above)) = (imp.time.get(), rows.folder().parent())
            && *rows.folder() != *imp.top.borrow()
        {
            self.go(time, Some(above), Some(rows.folder().file_name().into()));
        }
    }

    /// Opens a folder of a snapshot, and selects what has that name in it.
    pub(super) fn go(&self, time: SetTime, folder: Option<EntryPath>, select: Option<Box<[u8]>>) {
        let imp = self.imp();
        let (Some(reader), Some(repository)) = (imp.reader.borrow().clone(), imp.repository.borrow().clone())
        else {
            return;
        };
        let is_same = imp.time.get() == Some(time);
        let way = Way {
            time,
            folder,
            top: is_same.then(|| imp.top.borrow().clone()),
            roots: repository.folders().to_vec(),
            arrangement: imp.arrangement.get(),
        };
        imp.going.set(imp.going.get() + 1);
        imp.left.set(Some(Instant::now()));
        imp.was_sent.set(self.focus_in_bar());
        // Nobody wants to know any more how much the place is that is left.
        if let Some(counter) = imp.counter.borrow().as_ref() {
            counter.cancel(Lane::Amount);
        }
        let (page, turn) = (self.downgrade(), imp.going.get());
        glib::timeout_add_local_once(PROMPT, move || {
            if let Some(page) = page.upgrade()
                && page.imp().going.get() == turn
            {
                page.imp().loading_view.set_waiting();
                page.show_state("loading");
            }
        });
        let asked = reader.ask(Lane::Folder, move |catalog, job| arrive(way, catalog, job));
        let page = self.downgrade();
        glib::spawn_future_local(async move {
            if let (Some(arrival), Some(page)) = (asked.await, page.upgrade())
                // Who has gone on since does not come back to it.
                && page.imp().going.get() == turn
            {
                page.take_arrival(arrival, time, select.as_deref());
            }
        });
    }

    fn take_arrival(&self, arrival: Result<Arrival>, time: SetTime, select: Option<&[u8]>) {
        let imp = self.imp();
        // Nobody waits for it to take long any more.
        imp.going.set(imp.going.get() + 1);
        let left = imp.left.take();
        let arrival = match arrival {
            Ok(arrival) => arrival,
            // A new catalogue is begun; should that be damaged too, it is told.
            Err(error) if is_damage(&error) && !imp.was_damaged.replace(true) => {
                return self.open(Some(time.epoch()));
            }
            Err(error) => return self.show_error(&error),
        };
        let Arrival { time, top, rows, arrangement, missing, original_known } = arrival;
        if missing.iter().any(|set| set.is_full) {
            imp.time.set(Some(time));
            imp.snapshot_bar.set_selected(time);
            let reasons: Vec<_> = missing.iter().filter_map(|set| set.reason.clone()).collect();
            return self.show_problem(&Problem {
                what: gettext("This snapshot cannot be shown"),
                subject: words::set_date(time),
                advice: gettext("What it holds is damaged or cannot be opened. Choose another snapshot."),
                details: reasons.join("\n"),
            });
        }
        imp.time.set(Some(time));
        imp.original_known.set(original_known);
        imp.snapshot_bar.set_selected(time);
        imp.change_label.set_label(&self.snapshot_text(time));
        self.show_banner(missing.is_empty());
        self.set_enabled("up", *rows.folder() != top);
        imp.breadcrumb.set_folders(&lineage(&top, rows.folder()));
        imp.top.replace(top);
        let position = select.and_then(|name| rows.position(name));
        if let Some(left) = left {
            tracing::debug!("{} rows were there after {} ms", rows.len(), left.elapsed().as_millis());
        }
        let shown = imp.stack.visible_child_name();
        let was_in_sight = shown.as_deref() == Some("files");
        let was_searching = shown.as_deref() == Some("search");
        let stays = !was_searching && imp.model.rows().is_some_and(|before| before.folder() == rows.folder());
        imp.model.set_rows(Arc::new(rows));
        self.leave_search();
        self.refresh_contents();
        // Somebody has chosen another one on the way.
        if arrangement != imp.arrangement.get() {
            self.arrange(imp.arrangement.get());
        }
        if imp.model.n_items() > 0 {
            // Who goes through the snapshots keeps the button they press, as long as it can be pressed.
            let keeps_button = imp.was_sent.get() && self.focus_in_bar();
            let focus = if keeps_button { gtk::ListScrollFlags::NONE } else { gtk::ListScrollFlags::FOCUS };
            match position.and_then(|position| u32::try_from(position).ok()) {
                Some(position) => {
                    let view = imp.view.downgrade();
                    let flags = focus | gtk::ListScrollFlags::SELECT;
                    imp.model.when_told(move || {
                        if let Some(view) = view.upgrade() {
                            view.scroll_to(position, None, flags, None);
                        }
                    });
                }
                // The same rows as before are looked at.
                None if stays => {}
                None => imp.view.scroll_to(0, None, focus, None),
            }
            // What was hidden meanwhile has lost the focus to anything.
            let keeps_focus = keeps_button || (stays && was_in_sight && self.focused().is_some());
            if !keeps_focus {
                imp.view.grab_focus();
            }
        }
    }

    /// What has the focus and can be used.
    fn focused(&self) -> Option<gtk::Widget> {
        self.root().and_then(|root| root.focus()).filter(WidgetExt::is_sensitive)
    }

    fn focus_in_bar(&self) -> bool {
        self.focused().is_some_and(|widget| widget.is_ancestor(&*self.imp().snapshot_bar))
    }

    /// Says what is not as it should be.
    fn show_banner(&self, is_complete: bool) {
        let imp = self.imp();
        let unreachable = imp.unreachable_text.borrow().clone();
        let incomplete =
            || gettext("Parts of this snapshot are damaged: some of it may be shown as it was before.");
        let lossy = || gettext("Stored files are missing or damaged: some of this snapshot may be lost.");
        let has_lost_part = self.has_lost_part();
        let text =
            unreachable.or_else(|| (!is_complete).then(incomplete)).or_else(|| has_lost_part.then(lossy));
        imp.banner.set_title(&glib::markup_escape_text(text.as_deref().unwrap_or_default()));
        imp.banner.set_revealed(text.is_some());
        let is_reachable = self.is_reachable();
        let button = if !is_reachable {
            Some(gettext("_Try Again"))
        } else {
            let damage = || self.plan().and_then(|plan| plan.damage());
            has_lost_part.then(damage).flatten().map(|_| gettext("_Show Damage"))
        };
        imp.banner.set_button_label(button.as_deref());
        let why = gettext("The backups cannot be reached");
        imp.restore_button.set_tooltip_text((!is_reachable).then_some(why.as_str()));
    }

    /// Does what the button of the banner says.
    pub(super) fn use_banner(&self) {
        if !self.is_reachable() {
            return self.open(self.imp().time.get().map(SetTime::epoch));
        }
        let (Some(window), Some(plan)) = (self.window(), self.plan()) else { return };
        if let Some(proof) = plan.damage() {
            window.push(&RunPage::new(&plan, &proof));
        }
    }

    pub(super) fn window(&self) -> Option<Window> {
        self.root().and_downcast()
    }

    /// The plan whose backups are looked at.
    fn plan(&self) -> Option<PlanObject> {
        self.window()?.plan_of(self.imp().repository.borrow().as_ref()?)
    }

    /// Whether it is known that something of the snapshot that is shown cannot be restored.
    fn has_lost_part(&self) -> bool {
        let time = self.imp().time.get();
        time.zip(self.plan()).is_some_and(|(time, plan)| plan.has_lost_part_of(time.epoch()))
    }

    pub(super) fn refresh_contents(&self) {
        self.show_state(if self.imp().model.n_items() == 0 { "empty" } else { "files" });
        self.refresh_selection();
    }

    pub(super) fn step(&self, by: isize) {
        if let Some(time) = self.imp().snapshot_bar.step(by) {
            self.show_snapshot(time);
        }
    }

    /// Asks where to, and restores what is selected, or the open folder.
    pub(super) fn restore(&self) {
        let imp = self.imp();
        let (Some((paths, strip)), Some(time)) = (self.chosen(), imp.time.get()) else { return };
        if paths.is_empty() {
            return;
        }
        let (Some(repository), Some(counter)) =
            (imp.repository.borrow().clone(), imp.counter.borrow().clone())
        else {
            return;
        };
        let original_known = imp.original_known.get();
        self.show_restore(RestoreWish { repository, counter, time, paths, strip, original_known });
    }

    pub(super) fn show_restore(&self, wish: RestoreWish) {
        if let Some(window) = self.window() {
            let dialog = RestoreDialog::new(wish);
            dialog.set_window(&window);
            dialog.present(Some(&window));
        }
    }
}

/// The folders from where looking began down to the open one.
fn lineage(top: &EntryPath, folder: &EntryPath) -> Vec<(EntryPath, String)> {
    let mut lineage = Vec::new();
    let mut at = Some(folder.clone());
    while let Some(path) = at.filter(|path| path.starts_with(top)) {
        at = path.parent();
        lineage.push((path.clone(), folder_name(&path)));
    }
    lineage.reverse();
    lineage
}

/// A folder as people call it.
pub(super) fn folder_name(path: &EntryPath) -> String {
    if path.is_root() {
        gettext("All Folders")
    } else if path == folder::home_in_backups() {
        gettext("Home")
    } else {
        display_name(path)
    }
}

/// A folder with those above it, as people call them: “Home › Documents”.
pub(super) fn folder_line(path: &EntryPath) -> String {
    if path.is_root() {
        return folder_name(path);
    }
    let mut names = Vec::new();
    let mut at = Some(path.clone());
    while let Some(path) = at.filter(|path| !path.is_root()) {
        names.push(folder_name(&path));
        at = if path == *folder::home_in_backups() { None } else { path.parent() };
    }
    names.reverse();
    names.join(" › ")
}
