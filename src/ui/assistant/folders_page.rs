//! What is backed up, and what is left out of it: the assistant's first page, and one of the settings.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use adw::prelude::*;
use adw::subclass::prelude::*;
use glib::subclass::Signal;

use super::folder_sizes::size_label;
use super::left_out_group::LeftOutGroup;
use super::listed_row::{clear_listed, listed_row};
use crate::i18n::{gettext, gettext_f};
use crate::plan::LeftOut;
use crate::platform::folder;
use crate::ui::describe;
use crate::ui::model::JobModel;
use crate::ui::widgets::{PathRow, show_hint};

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "folders_page.ui")]
    pub struct FoldersPage {
        #[template_child]
        pub included_list: TemplateChild<gtk::ListBox>,
        #[template_child]
        pub include_row: TemplateChild<PathRow>,
        #[template_child]
        pub included_hint: TemplateChild<gtk::Label>,
        #[template_child]
        pub spinner: TemplateChild<adw::Spinner>,
        #[template_child]
        pub left_out_group: TemplateChild<LeftOutGroup>,
        #[template_child]
        pub large_group: TemplateChild<adw::PreferencesGroup>,
        #[template_child]
        pub done_button: TemplateChild<gtk::Button>,
        /// The folders, and where the size of each is shown.
        pub sizes: RefCell<Vec<(PathBuf, gtk::Label)>>,
        pub large_rows: RefCell<Vec<adw::ActionRow>>,
        /// Counts the changes.
        pub turn: Cell<u64>,
        pub counting: RefCell<Option<JobModel>>,
        pub is_checking: Cell<bool>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for FoldersPage {
        const NAME: &'static str = "SouvenirFoldersPage";
        type Type = super::FoldersPage;
        type ParentType = adw::NavigationPage;

        fn class_init(class: &mut Self::Class) {
            PathRow::ensure_type();
            LeftOutGroup::ensure_type();
            class.bind_template();
            class.bind_template_callbacks();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for FoldersPage {
        fn constructed(&self) {
            self.parent_constructed();
            let page = self.obj().downgrade();
            self.include_row.connect_chosen(move |_| {
                let Some(page) = page.upgrade() else { return };
                glib::spawn_future_local(async move { page.imp().on_include().await });
            });
            let page = self.obj().downgrade();
            self.left_out_group.connect_changed(move || {
                if let Some(page) = page.upgrade().filter(WidgetExt::is_mapped) {
                    page.count_soon();
                }
            });
            self.obj().include(glib::home_dir());
        }

        fn signals() -> &'static [Signal] {
            static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
            SIGNALS.get_or_init(|| vec![Signal::builder("done").build()])
        }
    }

    impl WidgetImpl for FoldersPage {
        fn map(&self) {
            self.parent_map();
            self.obj().count_soon();
        }

        fn unmap(&self) {
            self.obj().stop_counting();
            self.parent_unmap();
        }
    }
    impl NavigationPageImpl for FoldersPage {}

    #[gtk::template_callbacks]
    impl FoldersPage {
        #[template_callback]
        pub async fn on_include(&self) {
            if !self.include_row.text().is_empty() {
                self.take_included().await;
            }
        }

        #[template_callback]
        fn on_include_changed(&self) {
            show_hint(&self.included_hint, "");
        }

        /// Whether the folder that is typed could be added.
        async fn take_included(&self) -> bool {
            let path = self.include_row.path();
            let is_folder = match path.clone() {
                Some(path) => gio::spawn_blocking(move || path.is_dir()).await.unwrap_or(true),
                None => true,
            };
            if self.include_row.path() != path {
                // It was added meanwhile, or something else is being typed.
                return self.include_row.text().is_empty();
            }
            let problem = self.include_row.problem().or_else(|| {
                let path = path.as_ref()?;
                let is_none = || (!is_folder).then(|| gettext("There is no folder at this place."));
                self.obj().objection(path).or_else(is_none)
            });
            match (problem, path) {
                (None, Some(path)) => {
                    self.include_row.clear();
                    self.obj().include(path);
                    true
                }
                (problem, _) => {
                    show_hint(&self.included_hint, &problem.unwrap_or_default());
                    self.include_row.add_css_class("error");
                    self.include_row.grab_focus();
                    false
                }
            }
        }

        #[template_callback]
        async fn on_continue(&self) {
            if self.is_checking.replace(true) {
                return;
            }
            let can_go_on = self.take_typed().await;
            self.is_checking.set(false);
            // Whoever went back meanwhile does not want to go on.
            if can_go_on && self.obj().is_mapped() {
                self.obj().emit_by_name::<()>("done", &[]);
            }
        }

        /// Whether all is right, with what was typed but not applied: that was meant.
        async fn take_typed(&self) -> bool {
            if !self.include_row.text().is_empty() && !self.take_included().await {
                return false;
            }
            if !self.left_out_group.take_typed().await {
                return false;
            }
            if self.sizes.borrow().is_empty() {
                show_hint(&self.included_hint, &gettext("Add at least one folder to back up."));
                self.include_row.grab_focus();
                return false;
            }
            true
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct FoldersPage(ObjectSubclass<imp::FoldersPage>)
        @extends adw::NavigationPage, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl FoldersPage {
    /// Fills in what was chosen before, and what the button says that is pressed when all is right.
    pub fn set_choices(&self, folders: &[PathBuf], left_out: &LeftOut, verb: &str) {
        let imp = self.imp();
        imp.done_button.set_label(verb);
        imp.sizes.take();
        imp.include_row.clear();
        clear_listed(&imp.included_list);
        for folder in folders {
            self.include(folder.clone());
        }
        imp.left_out_group.set_choice(left_out);
    }

    /// The folders to back up.
    pub fn folders(&self) -> Vec<PathBuf> {
        self.imp().sizes.borrow().iter().map(|(folder, _)| folder.clone()).collect()
    }

    /// What of them to leave out.
    pub fn left_out(&self) -> LeftOut {
        self.imp().left_out_group.choice()
    }

    /// Says what is wrong with the folders.
    pub fn show_problem(&self, text: &str) {
        show_hint(&self.imp().included_hint, text);
    }

    /// Calls `handler` when the page is filled in and the person wants to go on.
    pub fn connect_done(&self, handler: impl Fn() + 'static) -> glib::SignalHandlerId {
        self.connect_local("done", false, move |_| {
            handler();
            None
        })
    }

    fn objection(&self, path: &Path) -> Option<String> {
        let folders = self.folders();
        let holder = folders.iter().find(|folder| path.starts_with(folder))?;
        // A part of what is left out can be backed up all the same.
        if path != holder && self.left_out().folders.iter().any(|folder| path.starts_with(folder)) {
            return None;
        }
        Some(if path == holder {
            gettext("This folder is in the list already.")
        } else {
            gettext_f(
                "This folder is backed up already, with “{folder}”.",
                &[("folder", &folder::to_shown(holder))],
            )
        })
    }

    fn include(&self, path: PathBuf) {
        let imp = self.imp();
        let title = describe::folder_name(&path);
        let verb = gettext_f("Do Not Back Up {folder}", &[("folder", &title)]);
        let (page, listed) = (self.downgrade(), path.clone());
        let (label, facts) = (size_label(""), ("folder-symbolic", &*title, &*folder::to_shown(&path)));
        let row = listed_row(facts, Some(&label), &verb, move |row| {
            let Some(page) = page.upgrade() else { return };
            page.imp().sizes.borrow_mut().retain(|(folder, _)| *folder != listed);
            page.imp().included_list.remove(row);
            page.imp().include_row.grab_focus();
            page.have_changed();
        });
        imp.included_list.insert(&row, imp.include_row.index());
        imp.sizes.borrow_mut().push((path, label));
        show_hint(&imp.included_hint, "");
        self.have_changed();
    }

    /// What follows when the folders are others.
    fn have_changed(&self) {
        self.imp().left_out_group.set_included(&self.folders());
        if self.is_mapped() {
            self.count_soon();
        }
    }
}
