//! The folders and files of a snapshot.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use adw::prelude::*;
use adw::subclass::prelude::*;

use super::breadcrumb::Breadcrumb;
use super::columns;
use super::restore_dialog::{RestoreDialog, RestoreWish};
use crate::engine::crypto::Keyring;
use crate::engine::error::{Error, Result};
use crate::engine::job::{CancelReason, Job};
use crate::engine::list::{ListRequest, list};
use crate::engine::path::EntryPath;
use crate::engine::status::{SetStatus, Status, status};
use crate::i18n::{gettext, gettext_f, ngettext_f};
use crate::plan::history::Problem;
use crate::ui::model::{EntryTree, FileNode, FolderModel, JobKind, JobModel, Repository, SortBy};
use crate::ui::widgets::ProblemView;
use crate::ui::window::Window;
use crate::ui::{error_text, words};

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "browser_page.ui")]
    pub struct BrowserPage {
        #[template_child]
        pub window_title: TemplateChild<adw::WindowTitle>,
        #[template_child]
        pub search_button: TemplateChild<gtk::ToggleButton>,
        #[template_child]
        pub snapshot_drop_down: TemplateChild<gtk::DropDown>,
        #[template_child]
        pub breadcrumb: TemplateChild<Breadcrumb>,
        #[template_child]
        pub search_bar: TemplateChild<gtk::SearchBar>,
        #[template_child]
        pub search_entry: TemplateChild<gtk::SearchEntry>,
        #[template_child]
        pub stack: TemplateChild<gtk::Stack>,
        #[template_child]
        pub loading_label: TemplateChild<gtk::Label>,
        #[template_child]
        pub problem_view: TemplateChild<ProblemView>,
        #[template_child]
        pub view: TemplateChild<gtk::ColumnView>,
        #[template_child]
        pub check_column: TemplateChild<gtk::ColumnViewColumn>,
        #[template_child]
        pub name_column: TemplateChild<gtk::ColumnViewColumn>,
        #[template_child]
        pub size_column: TemplateChild<gtk::ColumnViewColumn>,
        #[template_child]
        pub modified_column: TemplateChild<gtk::ColumnViewColumn>,
        #[template_child]
        pub bottom_bar: TemplateChild<gtk::Box>,
        #[template_child]
        pub selection_label: TemplateChild<gtk::Label>,
        pub repository: RefCell<Option<Repository>>,
        pub actions: gio::SimpleActionGroup,
        pub model: FolderModel,
        pub selection: RefCell<Option<gtk::MultiSelection>>,
        /// Newest first, as in the drop-down.
        pub sets: RefCell<Vec<SetStatus>>,
        pub filling: Cell<bool>,
        pub tree: RefCell<Option<Arc<EntryTree>>>,
        pub folder: Cell<usize>,
        /// Where looking began: what lies above holds nothing else.
        pub top: Cell<usize>,
        pub job: RefCell<Option<JobModel>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for BrowserPage {
        const NAME: &'static str = "SouvenirBrowserPage";
        type Type = super::BrowserPage;
        type ParentType = adw::NavigationPage;

        fn class_init(class: &mut Self::Class) {
            Breadcrumb::ensure_type();
            ProblemView::ensure_type();
            class.bind_template();
            class.bind_template_callbacks();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for BrowserPage {
        fn constructed(&self) {
            self.parent_constructed();
            self.obj().set_up_view();
            self.obj().set_up_actions();
        }
    }

    impl WidgetImpl for BrowserPage {}

    impl NavigationPageImpl for BrowserPage {
        fn hidden(&self) {
            self.parent_hidden();
            // Nobody waits for the list any more.
            if let Some(job) = self.job.take() {
                job.stop(CancelReason::User);
            }
        }
    }

    #[gtk::template_callbacks]
    impl BrowserPage {
        #[template_callback]
        fn on_snapshot_selected(&self) {
            if !self.filling.get() {
                self.obj().load_selected();
            }
        }

        #[template_callback]
        fn on_search_changed(&self) {
            self.model.set_filter(&self.search_entry.text());
            self.obj().refresh_contents();
        }

        #[template_callback]
        fn on_activate(&self, position: u32) {
            if let Some(node) = self.model.item(position).and_downcast::<FileNode>()
                && node.is_folder()
            {
                self.obj().enter(node.index());
            }
        }

        #[template_callback]
        fn on_try_again(&self) {
            if self.sets.borrow().is_empty() {
                self.obj().open(None);
            } else {
                self.obj().load_selected();
            }
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct BrowserPage(ObjectSubclass<imp::BrowserPage>)
        @extends adw::NavigationPage, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl BrowserPage {
    /// A page for a place with backups.
    pub fn new(repository: Repository) -> Self {
        let page: Self = glib::Object::new();
        page.imp().window_title.set_subtitle(repository.title());
        page.imp().repository.replace(Some(repository));
        page
    }

    /// Looks which snapshots there are, and shows the one of that time or the newest.
    pub fn open(&self, time_secs: Option<i64>) {
        let Some(repository) = self.imp().repository.borrow().clone() else { return };
        let destination = repository.destination().clone();
        let page = self.downgrade();
        self.start(
            &gettext("Looking for snapshots…"),
            move |job| status(&*destination.storage(), job),
            move |found| {
                if let Some(page) = page.upgrade() {
                    page.take_status(found, time_secs);
                }
            },
        );
    }

    fn take_status(&self, found: Result<Status>, time_secs: Option<i64>) {
        let imp = self.imp();
        let status = match found {
            Ok(status) => status,
            Err(error) => return self.show_problem(&error_text::problem(&error)),
        };
        let sets: Vec<SetStatus> = status.chains.into_iter().flat_map(|chain| chain.sets).rev().collect();
        let times: Vec<_> = sets.iter().map(|set| set.time).collect();
        let names = words::set_dates(&times);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let position =
            time_secs.and_then(|time| sets.iter().position(|set| set.time.epoch() == time)).unwrap_or(0);
        if sets.is_empty() {
            self.show_problem(&Problem {
                what: gettext("There is no backup here"),
                subject: status.location,
                ..Problem::default()
            });
            return;
        }
        imp.sets.replace(sets);
        imp.filling.set(true);
        imp.snapshot_drop_down.set_model(Some(&gtk::StringList::new(&names)));
        imp.snapshot_drop_down.set_selected(u32::try_from(position).unwrap_or(0));
        imp.filling.set(false);
        self.load_selected();
    }

    /// Lists the snapshot that is chosen.
    pub(super) fn load_selected(&self) {
        let imp = self.imp();
        self.refresh_steps();
        let position = imp.snapshot_drop_down.selected() as usize;
        let time = imp.sets.borrow().get(position).map(|set| set.time);
        let (Some(time), Some(repository)) = (time, imp.repository.borrow().clone()) else { return };
        let destination = repository.destination().clone();
        let passphrases = repository.passphrases();
        let work = move |job: &Job| {
            let storage = destination.storage();
            let request = ListRequest {
                storage: &*storage,
                keyring: &Keyring::default(),
                passphrases: &passphrases,
                time: Some(time),
            };
            Ok(Arc::new(EntryTree::new(list(&request, job)?.entries)))
        };
        let page = self.downgrade();
        self.start(&gettext("Reading what the snapshot holds…"), work, move |listed| {
            let Some(page) = page.upgrade() else { return };
            match listed {
                Ok(tree) => page.take_tree(tree),
                Err(Error::Cancelled(_)) => page.show_problem(&Problem {
                    what: gettext("The snapshot was not opened"),
                    advice: gettext("Try again, and type the passphrase when you are asked for it."),
                    ..Problem::default()
                }),
                Err(error) => page.show_problem(&error_text::problem(&error)),
            }
        });
    }

    /// Runs a look in the place of one that still runs.
    fn start<T: Send + 'static>(
        &self,
        text: &str,
        work: impl FnOnce(&Job) -> Result<T> + Send + 'static,
        done: impl FnOnce(Result<T>) + 'static,
    ) {
        let imp = self.imp();
        if let Some(old) = imp.job.take() {
            old.stop(CancelReason::User);
        }
        imp.loading_label.set_label(text);
        self.show_state("loading");
        let page = self.downgrade();
        let job = JobModel::run(JobKind::Look, "look", work, move |job, result| {
            // The answer to a question that was replaced by another is not wanted.
            let is_wanted = |page: &Self| page.imp().job.borrow().as_ref() == Some(job);
            if page.upgrade().as_ref().is_some_and(is_wanted) {
                done(result);
            }
        });
        if let (Some(window), Some(repository)) =
            (self.root().and_downcast::<Window>(), &*imp.repository.borrow())
        {
            window.watch(&job, repository);
        }
        imp.job.replace(Some(job));
    }

    fn take_tree(&self, tree: Arc<EntryTree>) {
        let imp = self.imp();
        let repository = imp.repository.borrow().clone();
        let folders = repository.as_ref().map(Repository::folders).unwrap_or_default();
        let top = match folders {
            [only] => tree.find(only).filter(|index| tree.is_folder(*index)),
            _ => None,
        }
        .unwrap_or_else(|| tree.start());
        imp.top.set(top);
        // The folder that was open in the other snapshot, or what is left of the way to it.
        let before = imp.tree.borrow().as_ref().map(|old| old.entry(imp.folder.get()).path.clone());
        let folder =
            before.and_then(|path| nearest(&tree, path)).filter(|index| *index >= top).unwrap_or(top);
        imp.tree.replace(Some(tree));
        self.enter(folder);
    }

    /// Opens a folder.
    pub(super) fn enter(&self, folder: usize) {
        let imp = self.imp();
        let Some(tree) = imp.tree.borrow().clone() else { return };
        imp.folder.set(folder);
        imp.search_bar.set_search_mode(false);
        imp.search_entry.set_text("");
        imp.model.set_filter("");
        imp.model.show(&tree, folder);
        let top = imp.top.get();
        let lineage: Vec<(usize, String)> = tree
            .lineage(folder)
            .into_iter()
            .filter(|index| *index >= top)
            .map(|index| (index, folder_name(&tree.entry(index).path)))
            .collect();
        imp.breadcrumb.set_folders(&lineage);
        self.set_enabled("up", folder != top);
        self.refresh_contents();
        if imp.model.n_items() > 0 {
            imp.view.scroll_to(0, None, gtk::ListScrollFlags::FOCUS, None);
            imp.view.grab_focus();
        }
    }

    /// Opens the folder that holds the one that is open.
    pub(super) fn go_up(&self) {
        let imp = self.imp();
        let Some(tree) = imp.tree.borrow().clone() else { return };
        if imp.folder.get() != imp.top.get()
            && let [.., above, _] = tree.lineage(imp.folder.get())[..]
        {
            self.enter(above);
        }
    }

    fn refresh_contents(&self) {
        let imp = self.imp();
        self.show_state(match (imp.model.n_items(), imp.model.is_filtered()) {
            (0, true) => "not-found",
            (0, false) => "empty",
            _ => "files",
        });
        self.refresh_selection();
    }

    fn show_problem(&self, problem: &Problem) {
        self.imp().problem_view.set_problem(Some(problem));
        self.show_state("problem");
    }

    fn show_state(&self, name: &str) {
        let imp = self.imp();
        let has_files = matches!(name, "files" | "empty" | "not-found");
        imp.stack.set_visible_child_name(name);
        imp.bottom_bar.set_visible(has_files);
        imp.breadcrumb.set_visible(has_files);
        imp.search_button.set_sensitive(has_files);
        self.set_enabled("search", has_files);
        self.set_enabled("restore", has_files);
        self.refresh_steps();
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
    fn chosen(&self) -> Vec<usize> {
        let imp = self.imp();
        let selection = imp.selection.borrow();
        let Some(selection) = &*selection else { return Vec::new() };
        let bits = selection.selection();
        (0..bits.size()).filter_map(|nth| imp.model.index_at(bits.nth(u32::try_from(nth).ok()?))).collect()
    }

    /// Asks where to, and restores what is selected, or the open folder.
    pub(super) fn restore(&self) {
        let imp = self.imp();
        let (Some(tree), Some(repository)) = (imp.tree.borrow().clone(), imp.repository.borrow().clone())
        else {
            return;
        };
        let position = imp.snapshot_drop_down.selected() as usize;
        let Some(time) = imp.sets.borrow().get(position).map(|set| set.time) else { return };
        let folder = imp.folder.get();
        let mut chosen = self.chosen();
        // The names of what is selected go below the target; so does the name of a whole folder.
        let mut strip = tree.entry(folder).path.clone();
        if chosen.is_empty() {
            strip = strip.parent().unwrap_or_default();
            chosen.push(folder);
        }
        let home = EntryPath::from_user(&glib::home_dir()).unwrap_or_default();
        let dialog = RestoreDialog::new(RestoreWish {
            repository,
            time,
            entry_count: chosen.iter().map(|index| tree.entry_count(*index)).sum(),
            size_bytes: chosen.iter().map(|index| tree.size_bytes(*index)).sum(),
            paths: chosen.iter().map(|index| tree.entry(*index).path.clone()).collect(),
            strip,
            // Only a backup whose root is that of the file system knows where its files were.
            original_known: !home.is_root() && tree.find(&home).is_some(),
        });
        if let Some(window) = self.root().and_downcast::<Window>() {
            dialog.set_window(&window);
            dialog.present(Some(&window));
        }
    }

    fn set_up_view(&self) {
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

    fn refresh_steps(&self) {
        let imp = self.imp();
        let position = imp.snapshot_drop_down.selected();
        let count = u32::try_from(imp.sets.borrow().len()).unwrap_or(u32::MAX);
        imp.snapshot_drop_down.set_visible(count > 0);
        self.set_enabled("older", count > 0 && position < count - 1);
        self.set_enabled("newer", count > 0 && position > 0);
    }

    fn set_enabled(&self, action: &str, enabled: bool) {
        if let Some(action) = self.imp().actions.lookup_action(action).and_downcast::<gio::SimpleAction>() {
            action.set_enabled(enabled);
        }
    }

    fn set_up_actions(&self) {
        self.add("older", |page| page.step(1));
        self.add("newer", |page| page.step(-1));
        self.add("up", Self::go_up);
        self.add("restore", Self::restore);
        self.add("search", |page| {
            page.imp().search_bar.set_search_mode(true);
            page.imp().search_entry.grab_focus();
        });
        self.insert_action_group("browser", Some(&self.imp().actions));
    }

    fn add(&self, name: &str, act: impl Fn(&Self) + 'static) {
        let action = gio::SimpleAction::new(name, None);
        let page = self.downgrade();
        action.connect_activate(move |_, _| {
            if let Some(page) = page.upgrade() {
                act(&page);
            }
        });
        self.imp().actions.add_action(&action);
    }

    fn step(&self, by: i32) {
        let drop_down = &self.imp().snapshot_drop_down;
        if let Some(position) = drop_down.selected().checked_add_signed(by) {
            drop_down.set_selected(position);
        }
    }
}

/// The folder of that path, or the nearest one above it that exists.
fn nearest(tree: &EntryTree, path: EntryPath) -> Option<usize> {
    let mut path = Some(path);
    while let Some(wanted) = path {
        if let Some(index) = tree.find(&wanted).filter(|index| tree.is_folder(*index)) {
            return Some(index);
        }
        path = wanted.parent();
    }
    None
}

fn folder_name(path: &EntryPath) -> String {
    let home = glib::home_dir();
    if path.is_root() {
        gettext("All Folders")
    } else if EntryPath::from_user(&home).is_ok_and(|home| home == *path) {
        gettext("Home")
    } else {
        crate::ui::model::display_name(path)
    }
}
