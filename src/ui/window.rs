//! The window: a welcome without plans, a plan's overview with one, a sidebar with several; other pages
//! are pushed over it.

use std::cell::{Cell, OnceCell, RefCell};
use std::path::Path;
use std::time::Duration;

use adw::prelude::*;
use adw::subclass::prelude::*;

use super::assistant::{Assistant, Start};
use super::browser::BrowserPage;
use super::dialogs;
use super::help::show_help;
use super::keys::KeysDialog;
use super::model::{JobModel, JobState, PlanObject, PlanStore, Repository};
use super::overview::OverviewPage;
use super::plan_row::PlanRow;
use super::restore_from::RestoreFromDialog;
use super::widgets::{name_menu_items, show_toast, show_toast_with_folder};
use crate::engine::crypto::Key;
use crate::i18n::{gettext, gettext_f};
use crate::plan::{Destination, Plan};
use crate::platform::settings;

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "window.ui")]
    pub struct Window {
        #[template_child]
        pub welcome_button: TemplateChild<gtk::MenuButton>,
        #[template_child]
        pub main_button: TemplateChild<gtk::MenuButton>,
        #[template_child]
        pub toasts: TemplateChild<adw::ToastOverlay>,
        #[template_child]
        pub navigation: TemplateChild<adw::NavigationView>,
        #[template_child]
        pub stack: TemplateChild<gtk::Stack>,
        #[template_child]
        pub set_up_button: TemplateChild<gtk::Button>,
        #[template_child]
        pub split_view: TemplateChild<adw::NavigationSplitView>,
        #[template_child]
        pub plans_list: TemplateChild<gtk::ListBox>,
        #[template_child]
        pub overview: TemplateChild<OverviewPage>,
        pub store: OnceCell<PlanStore>,
        pub settings: RefCell<Option<gio::Settings>>,
        pub narrow: Cell<bool>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Window {
        const NAME: &'static str = "SouvenirWindow";
        type Type = super::Window;
        type ParentType = adw::ApplicationWindow;

        fn class_init(class: &mut Self::Class) {
            OverviewPage::ensure_type();
            class.bind_template();
            class.bind_template_callbacks();
            class.install_action("win.set-up", None, |window, _, _| window.set_up());
            class.install_action("win.restore-from", None, |window, _, _| window.restore_from());
            class.install_action("win.keys", None, |window, _, _| window.show_keys());
            class.install_action("win.help", None, |window, _, _| show_help(window));
            class.install_action("win.shortcuts", None, |window, _, _| dialogs::show_shortcuts(window));
            class.install_action("win.back-up", None, |window, _, _| {
                if window.is_on_overview()
                    && let Some(plan) = window.imp().overview.plan()
                {
                    window.back_up(&plan);
                }
            });
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for Window {
        fn constructed(&self) {
            self.parent_constructed();
            name_menu_items(&self.welcome_button);
            name_menu_items(&self.main_button);
            self.obj().restore_size();
        }
    }

    impl WidgetImpl for Window {}

    impl WindowImpl for Window {
        fn close_request(&self) -> glib::Propagation {
            let window = self.obj();
            window.save_size();
            // A job goes on without its window; the application closes it when the job is over.
            if window
                .application()
                .and_downcast::<super::super::Application>()
                .is_some_and(|app| app.is_busy())
            {
                window.set_visible(false);
                return glib::Propagation::Stop;
            }
            self.parent_close_request()
        }
    }

    impl ApplicationWindowImpl for Window {}
    impl AdwApplicationWindowImpl for Window {}

    #[gtk::template_callbacks]
    impl Window {
        #[template_callback]
        fn on_narrow(&self) {
            self.narrow.set(true);
            self.overview.set_narrow(true);
            self.obj().refresh_layout();
        }

        #[template_callback]
        fn on_wide(&self) {
            self.narrow.set(false);
            self.overview.set_narrow(false);
            self.obj().refresh_layout();
        }

        #[template_callback]
        fn on_plan_selected(&self, row: Option<&gtk::ListBoxRow>) {
            if let Some(row) = row.and_then(|row| row.downcast_ref::<PlanRow>()) {
                self.overview.set_plan(row.plan().as_ref());
            }
        }

        #[template_callback]
        fn on_plan_activated(&self, row: &gtk::ListBoxRow) {
            self.on_plan_selected(Some(row));
            self.split_view.set_show_content(true);
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct Window(ObjectSubclass<imp::Window>)
        @extends adw::ApplicationWindow, gtk::ApplicationWindow, gtk::Window, gtk::Widget,
        @implements gio::ActionGroup, gio::ActionMap, gtk::Accessible, gtk::Buildable,
        gtk::ConstraintTarget, gtk::Native, gtk::Root, gtk::ShortcutManager;
}

impl Window {
    /// A window of the application, still without plans.
    pub fn new(application: &super::Application) -> Self {
        glib::Object::builder().property("application", application).build()
    }

    /// Shows the plans of a store from now on.
    pub fn set_store(&self, store: &PlanStore) {
        let imp = self.imp();
        if imp.store.set(store.clone()).is_err() {
            return;
        }
        imp.plans_list.bind_model(Some(store.list()), |object| match object.downcast_ref::<PlanObject>() {
            Some(plan) => PlanRow::new(plan).upcast(),
            None => gtk::ListBoxRow::new().upcast(),
        });
        let window = self.downgrade();
        store.list().connect_items_changed(move |_, _, _, _| {
            if let Some(window) = window.upgrade() {
                window.refresh_layout();
            }
        });
        self.refresh_layout();
    }

    /// The plans, once they are loaded.
    pub fn store(&self) -> Option<PlanStore> {
        self.imp().store.get().cloned()
    }

    /// The plan whose backups are at a place, if one knows it.
    pub fn plan_of(&self, place: &Repository) -> Option<PlanObject> {
        self.store()?.find(place.plan_id()?)
    }

    /// Brings a plan to the front.
    pub fn show_plan(&self, plan: &PlanObject) {
        let imp = self.imp();
        imp.navigation.pop_to_tag("main");
        let mut index = 0;
        while let Some(row) = imp.plans_list.row_at_index(index) {
            if row.downcast_ref::<PlanRow>().and_then(PlanRow::plan).as_ref() == Some(plan) {
                imp.plans_list.select_row(Some(&row));
                break;
            }
            index += 1;
        }
        imp.overview.set_plan(Some(plan));
        imp.split_view.set_show_content(true);
    }

    /// Starts a backup of a plan.
    pub fn back_up(&self, plan: &PlanObject) {
        if let Some(job) = plan.back_up() {
            self.watch(&job, &plan.repository());
        }
    }

    /// Starts a full backup of a plan.
    pub fn back_up_fully(&self, plan: &PlanObject) {
        if let Some(job) = plan.back_up_fully() {
            self.watch(&job, &plan.repository());
        }
    }

    /// Starts to move a plan's backups to another destination, where the plan goes on once all of them are there.
    /// False if something is running already.
    pub fn move_backups(&self, plan: &PlanObject, to: Destination) -> bool {
        let Some(job) = plan.move_to(to.clone()) else { return false };
        self.watch(&job, &plan.repository());
        let Some(application) = self.application().and_downcast::<super::Application>() else { return true };
        let (window, plan) = (self.clone(), plan.clone());
        job.connect_ended(move |job| {
            let Some(store) = window.store().filter(|_| job.state() == JobState::Finished) else { return };
            let (window, moved) = (window.clone(), Plan { destination: to.clone(), ..plan.plan() });
            application.before_the_end(async move {
                if let Err(problem) = store.replace(moved).await {
                    window.show_problem(&problem);
                }
            });
        });
        true
    }

    /// Lets the application care for a job: questions, inhibiting sleep, a notification at its end.
    pub fn watch(&self, job: &JobModel, repository: &Repository) {
        if let Some(application) = self.application().and_downcast::<super::Application>() {
            application.watch(job, repository);
        }
    }

    /// Opens the browser on a place with backups, at the snapshot of that time or the newest.
    pub fn browse(&self, repository: Repository, time_secs: Option<i64>) {
        let page = BrowserPage::new(repository);
        self.push(&page);
        let navigation = self.imp().navigation.clone();
        glib::spawn_future_local(async move {
            next_turn().await;
            // Who has left it already wants nothing opened.
            if navigation.visible_page().as_ref() == Some(page.upcast_ref()) {
                page.open(time_secs);
            }
        });
    }

    /// Pushes a page over what is shown.
    pub fn push(&self, page: &impl IsA<adw::NavigationPage>) {
        self.imp().navigation.push(page);
    }

    /// Says something in passing.
    pub fn toast(&self, text: &str) {
        show_toast(&self.imp().toasts, text);
    }

    /// Says that something is in a folder, and offers to show it.
    fn toast_with_folder(&self, text: &str, folder: &Path) {
        let (window, folder) = (self.downgrade(), folder.to_owned());
        show_toast_with_folder(&self.imp().toasts, text, move || {
            if let Some(window) = window.upgrade() {
                window.open_folder(&folder);
            }
        });
    }

    /// Shows a folder in the file manager.
    pub fn open_folder(&self, folder: &Path) {
        self.show_in_files(&gio::File::for_path(folder));
    }

    /// Shows a folder, also one on the network, in the file manager.
    pub fn show_in_files(&self, folder: &gio::File) {
        let window = self.clone();
        let launcher = gtk::FileLauncher::new(Some(folder));
        glib::spawn_future_local(async move {
            if let Err(error) = launcher.launch_future(Some(&window)).await
                && !error.matches(gtk::DialogError::Dismissed)
            {
                window.toast(&gettext_f(
                    "The folder could not be shown: {reason}",
                    &[("reason", error.message())],
                ));
            }
        });
    }

    fn set_up(&self) {
        let Some(store) = self.store() else { return };
        let assistant = Assistant::new(&store);
        let window = self.downgrade();
        let made_by = assistant.downgrade();
        assistant.connect_made(move |plan, start, remark| {
            let Some(window) = window.upgrade() else { return };
            window.show_plan(plan);
            if !remark.is_empty() {
                window.toast(remark);
            }
            if let Some(folder) = made_by.upgrade().and_then(|assistant| assistant.kept_in()) {
                window.toast_with_folder(&gettext("Key copied"), &folder);
            }
            if start == Start::Now {
                window.back_up(plan);
            }
        });
        assistant.present(Some(self));
    }

    fn restore_from(&self) {
        let dialog = RestoreFromDialog::default();
        let window = self.downgrade();
        dialog.connect_opened(move |repository| {
            if let Some(window) = window.upgrade() {
                window.browse(repository, None);
            }
        });
        let window = self.clone();
        glib::spawn_future_local(async move {
            next_turn().await;
            dialog.present(Some(&window));
        });
    }

    fn show_keys(&self) {
        if let Some(store) = self.store() {
            let dialog = KeysDialog::new(&store);
            let window = self.downgrade();
            dialog.connect_closed(move |_| {
                if let Some(window) = window.upgrade() {
                    window.imp().overview.refresh_key();
                }
            });
            dialog.present(Some(self));
        }
    }

    /// Leads to a copy of a key that was just made.
    pub(super) async fn ask_for_copy(&self, key: Key) {
        if dialogs::confirm_copy(self).await
            && let Some(store) = self.store()
        {
            let dialog = KeysDialog::new(&store);
            dialog.show_key(key);
            dialog.present(Some(self));
        }
    }

    fn is_on_overview(&self) -> bool {
        let imp = self.imp();
        let shown = imp.navigation.visible_page().and_then(|page| page.tag());
        shown.as_deref() == Some("main") && imp.stack.visible_child_name().as_deref() == Some("plans")
    }

    /// Welcome, one plan, or several.
    fn refresh_layout(&self) {
        let imp = self.imp();
        let Some(store) = imp.store.get() else { return };
        let count = store.list().n_items();
        let Some(first) = store.iter().next() else {
            imp.overview.set_plan(None);
            imp.stack.set_visible_child_name("welcome");
            imp.set_up_button.grab_focus();
            return;
        };
        let shown = imp.overview.plan().filter(|plan| store.list().find(plan).is_some()).unwrap_or(first);
        let several = count > 1;
        // With a single plan there is nothing to choose: the sidebar is folded away for good.
        imp.split_view.set_collapsed(imp.narrow.get() || !several);
        imp.overview.set_can_pop(several);
        imp.overview.set_menu_for(several);
        imp.stack.set_visible_child_name("plans");
        if !several {
            imp.split_view.set_show_content(true);
        }
        imp.overview.set_plan(Some(&shown));
        let position = store.list().find(&shown).and_then(|position| i32::try_from(position).ok());
        let row = position.and_then(|position| imp.plans_list.row_at_index(position));
        imp.plans_list.select_row(row.as_ref());
    }

    fn restore_size(&self) {
        let Some(settings) = settings::open() else { return };
        self.set_default_size(settings.int("window-width"), settings.int("window-height"));
        self.set_maximized(settings.boolean("window-maximized"));
        self.imp().settings.replace(Some(settings));
    }

    fn save_size(&self) {
        let settings = self.imp().settings.borrow();
        let Some(settings) = &*settings else { return };
        let (width, height) = self.default_size();
        let saved = settings
            .set_int("window-width", width)
            .and_then(|()| settings.set_int("window-height", height))
            .and_then(|()| settings.set_boolean("window-maximized", self.is_maximized()));
        if let Err(error) = saved {
            tracing::warn!(%error, "the size of the window could not be remembered");
        }
    }

    /// Says what is wrong with the file of the plans.
    pub fn show_problem(&self, problem: &crate::plan::history::Problem) {
        dialogs::show_problem(self, problem);
    }
}

/// Lets the main loop do what is due. Widgets that take half a frame to make and half a frame to show are not made
/// and shown at once.
async fn next_turn() {
    glib::timeout_future(Duration::ZERO).await;
}
