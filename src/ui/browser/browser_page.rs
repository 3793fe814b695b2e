//! The folders and files of a snapshot.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use adw::prelude::*;
use adw::subclass::prelude::*;

use super::breadcrumb::Breadcrumb;
use super::file_pane::{FilePane, Subject};
use super::loading_view::LoadingView;
use super::search_view::SearchView;
use super::snapshot_bar::SnapshotBar;
use crate::engine::catalog::IndexedSet;
use crate::engine::error::Error;
use crate::engine::format::time::SetTime;
use crate::engine::job::CancelReason;
use crate::engine::path::EntryPath;
use crate::plan::history::Problem;
use crate::ui::error_text;
use crate::ui::model::{Arrangement, CatalogReader, FileNode, FolderModel, JobModel, Repository};
use crate::ui::widgets::{ProblemView, name_menu_items};

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
        pub pane_button: TemplateChild<gtk::ToggleButton>,
        #[template_child]
        pub menu_button: TemplateChild<gtk::MenuButton>,
        #[template_child]
        pub banner: TemplateChild<adw::Banner>,
        #[template_child]
        pub snapshot_line: TemplateChild<gtk::Box>,
        #[template_child]
        pub snapshot_bar: TemplateChild<SnapshotBar>,
        #[template_child]
        pub change_label: TemplateChild<gtk::Label>,
        #[template_child]
        pub breadcrumb: TemplateChild<Breadcrumb>,
        #[template_child]
        pub search_bar: TemplateChild<gtk::SearchBar>,
        #[template_child]
        pub search_entry: TemplateChild<gtk::SearchEntry>,
        #[template_child]
        pub split_view: TemplateChild<adw::OverlaySplitView>,
        #[template_child]
        pub stack: TemplateChild<gtk::Stack>,
        #[template_child]
        pub loading_view: TemplateChild<LoadingView>,
        #[template_child]
        pub problem_view: TemplateChild<ProblemView>,
        #[template_child]
        pub keys_button: TemplateChild<gtk::Button>,
        #[template_child]
        pub search_view: TemplateChild<SearchView>,
        #[template_child]
        pub file_pane: TemplateChild<FilePane>,
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
        pub change_column: TemplateChild<gtk::ColumnViewColumn>,
        #[template_child]
        pub bottom_bar: TemplateChild<gtk::Box>,
        #[template_child]
        pub selection_label: TemplateChild<gtk::Label>,
        #[template_child]
        pub details_button: TemplateChild<gtk::Button>,
        #[template_child]
        pub restore_button: TemplateChild<gtk::Button>,
        pub repository: RefCell<Option<Repository>>,
        pub actions: gio::SimpleActionGroup,
        pub model: FolderModel,
        /// Newest first.
        pub sets: RefCell<Vec<IndexedSet>>,
        pub reader: RefCell<Option<Rc<CatalogReader>>>,
        pub counter: RefCell<Option<Rc<CatalogReader>>>,
        pub arrangement: Cell<Arrangement>,
        /// The snapshot that is shown.
        pub time: Cell<Option<SetTime>>,
        /// Where looking began: what lies above holds nothing else.
        pub top: RefCell<EntryPath>,
        pub original_known: Cell<bool>,
        /// The single entry that is selected.
        pub subject: RefCell<Option<Subject>>,
        /// Changes whenever the page goes somewhere, or has come there.
        pub going: Cell<u64>,
        /// When it began to.
        pub left: Cell<Option<Instant>>,
        /// Whether a button of the snapshots sent it.
        pub was_sent: Cell<bool>,
        /// Counts up with every selection, so that the amount of an older one is not told.
        pub amount_question: Cell<u32>,
        pub was_damaged: Cell<bool>,
        pub unreachable_text: RefCell<Option<String>>,
        pub job: RefCell<Option<JobModel>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for BrowserPage {
        const NAME: &'static str = "SouvenirBrowserPage";
        type Type = super::BrowserPage;
        type ParentType = adw::NavigationPage;

        fn class_init(class: &mut Self::Class) {
            Breadcrumb::ensure_type();
            FilePane::ensure_type();
            LoadingView::ensure_type();
            ProblemView::ensure_type();
            SearchView::ensure_type();
            SnapshotBar::ensure_type();
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
            let page = self.obj();
            name_menu_items(&self.menu_button);
            page.set_up_view();
            page.set_up_search();
            page.set_up_pane();
            page.set_up_actions();
        }
    }

    impl WidgetImpl for BrowserPage {}

    impl NavigationPageImpl for BrowserPage {
        fn hidden(&self) {
            self.parent_hidden();
            // Nobody waits for the catalogue any more.
            if let Some(job) = self.job.take() {
                job.stop(CancelReason::User);
            }
        }
    }

    #[gtk::template_callbacks]
    impl BrowserPage {
        #[template_callback]
        fn on_search_changed(&self) {
            if self.search_bar.is_search_mode() {
                self.obj().search();
            }
        }

        #[template_callback]
        fn on_search_activated(&self) {
            self.search_view.choose_first();
        }

        #[template_callback]
        fn on_activate(&self, position: u32) {
            let Some(node) = self.model.item(position).and_downcast::<FileNode>() else { return };
            if node.is_folder() {
                match node.gone() {
                    None => self.obj().enter(node.path()),
                    Some(gone) => self.obj().enter_before(gone, node.path()),
                }
            } else if self.split_view.is_collapsed() || !self.split_view.shows_sidebar() {
                self.obj().show_details();
            }
        }

        #[template_callback]
        fn on_try_again(&self) {
            self.obj().open(self.time.get().map(SetTime::epoch));
        }

        #[template_callback]
        fn on_banner_button(&self) {
            self.obj().use_banner();
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

    /// Goes back to where the page was opened, if it is still what is looked at.
    pub(super) fn leave(&self) {
        let navigation = self.ancestor(adw::NavigationView::static_type());
        if let Some(navigation) = navigation.and_downcast::<adw::NavigationView>()
            && navigation.visible_page().as_ref() == Some(self.upcast_ref())
        {
            navigation.pop();
        }
    }

    pub(super) fn show_error(&self, error: &Error) {
        self.show_problem(&error_text::problem(error));
        self.imp().keys_button.set_visible(error.is_missing_key());
    }

    pub(super) fn show_problem(&self, problem: &Problem) {
        self.imp().keys_button.set_visible(false);
        self.imp().problem_view.set_problem(Some(problem));
        self.leave_search();
        self.show_state("problem");
    }

    pub(super) fn show_state(&self, name: &str) {
        let imp = self.imp();
        // While something is typed, only its end brings the folder back.
        if imp.search_bar.is_search_mode() && matches!(name, "files" | "empty") {
            return;
        }
        let has_files = matches!(name, "files" | "empty");
        imp.stack.set_visible_child_name(name);
        imp.bottom_bar.set_visible(has_files);
        imp.breadcrumb.set_visible(has_files);
        imp.snapshot_line.set_visible(name != "search");
        imp.search_button.set_sensitive(has_files || name == "search");
        self.set_enabled("search", has_files || name == "search");
        self.set_enabled("restore", has_files && self.is_reachable());
        let bar = &imp.snapshot_bar;
        self.set_enabled("older", bar.step(1).is_some());
        self.set_enabled("newer", bar.step(-1).is_some());
    }

    /// Whether there is something to restore from. What the catalogue knows can be looked at in any case.
    pub(super) fn is_reachable(&self) -> bool {
        self.imp().unreachable_text.borrow().is_none()
    }

    pub(super) fn set_enabled(&self, action: &str, enabled: bool) {
        if let Some(action) = self.imp().actions.lookup_action(action).and_downcast::<gio::SimpleAction>() {
            action.set_enabled(enabled);
        }
    }

    fn set_up_actions(&self) {
        let imp = self.imp();
        self.add("older", |page| page.step(1));
        self.add("newer", |page| page.step(-1));
        self.add("up", Self::go_up);
        self.add("restore", Self::restore);
        self.add("details", Self::show_details);
        self.add("search", |page| {
            page.imp().search_bar.set_search_mode(true);
            page.imp().search_entry.grab_focus();
        });
        let show_deleted = gio::SimpleAction::new_stateful("show-deleted", None, &true.to_variant());
        let page = self.downgrade();
        show_deleted.connect_change_state(move |action, state| {
            let (Some(page), Some(state)) = (page.upgrade(), state) else { return };
            action.set_state(state);
            let without_deleted = state.get() == Some(false);
            page.arrange(Arrangement { without_deleted, ..page.imp().arrangement.get() });
        });
        imp.actions.add_action(&show_deleted);
        let page = self.downgrade();
        imp.breadcrumb.connect_chosen(move |folder| {
            if let Some(page) = page.upgrade() {
                page.enter(folder);
            }
        });
        let page = self.downgrade();
        imp.snapshot_bar.connect_chosen(move |time| {
            if let Some(page) = page.upgrade() {
                page.show_snapshot(time);
            }
        });
        self.insert_action_group("browser", Some(&imp.actions));
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
