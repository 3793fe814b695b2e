//! The folders and files of a snapshot.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use adw::prelude::*;
use adw::subclass::prelude::*;

use super::breadcrumb::Breadcrumb;
use super::restore_dialog::{RestoreDialog, RestoreWish};
use crate::engine::job::CancelReason;
use crate::engine::path::EntryPath;
use crate::engine::status::SetStatus;
use crate::i18n::gettext;
use crate::plan::history::Problem;
use crate::ui::model::{EntryTree, FileNode, FolderModel, JobModel, Repository};
use crate::ui::widgets::ProblemView;
use crate::ui::window::Window;

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

    pub(super) fn show_problem(&self, problem: &Problem) {
        self.imp().problem_view.set_problem(Some(problem));
        self.show_state("problem");
    }

    pub(super) fn show_state(&self, name: &str) {
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

    pub(super) fn set_enabled(&self, action: &str, enabled: bool) {
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
