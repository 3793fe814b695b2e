//! What is backed up, and what is left out of it: the assistant's first page, and one of the settings.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use adw::prelude::*;
use adw::subclass::prelude::*;
use glib::subclass::Signal;

use crate::i18n::{gettext, gettext_f};
use crate::platform::folder;
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
        pub ignored_list: TemplateChild<gtk::ListBox>,
        #[template_child]
        pub caches_row: TemplateChild<adw::SwitchRow>,
        #[template_child]
        pub trash_row: TemplateChild<adw::SwitchRow>,
        #[template_child]
        pub downloads_row: TemplateChild<adw::SwitchRow>,
        #[template_child]
        pub ignore_row: TemplateChild<PathRow>,
        #[template_child]
        pub ignored_hint: TemplateChild<gtk::Label>,
        #[template_child]
        pub done_button: TemplateChild<gtk::Button>,
        pub folders: RefCell<Vec<PathBuf>>,
        pub ignored: RefCell<Vec<PathBuf>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for FoldersPage {
        const NAME: &'static str = "SouvenirFoldersPage";
        type Type = super::FoldersPage;
        type ParentType = adw::NavigationPage;

        fn class_init(class: &mut Self::Class) {
            PathRow::ensure_type();
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
            for preset in Preset::all(self) {
                preset.row.set_subtitle(&preset.subtitle);
            }
            let page = self.obj().downgrade();
            self.include_row.connect_chosen(move |_| {
                if let Some(page) = page.upgrade() {
                    page.imp().on_include();
                }
            });
            let page = self.obj().downgrade();
            self.ignore_row.connect_chosen(move |_| {
                if let Some(page) = page.upgrade() {
                    page.imp().on_ignore();
                }
            });
            self.obj().include(glib::home_dir());
        }

        fn signals() -> &'static [Signal] {
            static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
            SIGNALS.get_or_init(|| vec![Signal::builder("done").build()])
        }
    }

    impl WidgetImpl for FoldersPage {}
    impl NavigationPageImpl for FoldersPage {}

    #[gtk::template_callbacks]
    impl FoldersPage {
        #[template_callback]
        pub fn on_include(&self) {
            if !self.include_row.text().is_empty() {
                self.take_included();
            }
        }

        #[template_callback]
        fn on_include_changed(&self) {
            show_hint(&self.included_hint, "");
        }

        #[template_callback]
        pub fn on_ignore(&self) {
            if !self.ignore_row.text().is_empty() {
                self.take_ignored();
            }
        }

        #[template_callback]
        fn on_ignore_changed(&self) {
            show_hint(&self.ignored_hint, "");
        }

        /// Whether what is typed could be added.
        fn take_included(&self) -> bool {
            let problem = self.include_row.problem().or_else(|| {
                let path = self.include_row.path()?;
                self.obj().objection(&path)
            });
            self.take(&self.include_row, &self.included_hint, problem, |path| self.obj().include(path))
        }

        /// Whether what is typed could be added.
        fn take_ignored(&self) -> bool {
            let problem = self.ignore_row.problem().or_else(|| {
                let path = self.ignore_row.path()?;
                let inside =
                    self.folders.borrow().iter().any(|folder| path.starts_with(folder) && path != *folder);
                (!inside).then(|| gettext("This is not inside a folder that is backed up."))
            });
            self.take(&self.ignore_row, &self.ignored_hint, problem, |path| self.obj().ignore(path))
        }

        /// Moves what is typed in a row into its list, or says what is wrong with it.
        fn take(
            &self,
            row: &PathRow,
            hint: &gtk::Label,
            problem: Option<String>,
            add: impl FnOnce(PathBuf),
        ) -> bool {
            match (problem, row.path()) {
                (None, Some(path)) => {
                    show_hint(hint, "");
                    row.clear();
                    add(path);
                    true
                }
                (problem, _) => {
                    show_hint(hint, &problem.unwrap_or_default());
                    row.add_css_class("error");
                    row.grab_focus();
                    false
                }
            }
        }

        #[template_callback]
        fn on_continue(&self) {
            // What was typed but not applied was meant.
            if !self.include_row.text().is_empty() && !self.take_included() {
                return;
            }
            if !self.ignore_row.text().is_empty() && !self.take_ignored() {
                return;
            }
            if self.folders.borrow().is_empty() {
                show_hint(&self.included_hint, &gettext("Add at least one folder to back up."));
                self.include_row.grab_focus();
                return;
            }
            self.obj().emit_by_name::<()>("done", &[]);
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct FoldersPage(ObjectSubclass<imp::FoldersPage>)
        @extends adw::NavigationPage, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

/// A folder that is left out by a switch.
struct Preset {
    row: adw::SwitchRow,
    path: Option<PathBuf>,
    subtitle: String,
}

impl Preset {
    fn all(page: &imp::FoldersPage) -> [Self; 3] {
        let caches = glib::user_cache_dir();
        let trash = glib::user_data_dir().join("Trash");
        let downloads = glib::user_special_dir(glib::UserDirectory::Downloads);
        let named = |path: &Path, text: &str| {
            gettext_f(
                "{folder}: {explanation}",
                &[("folder", &folder::to_shown(path)), ("explanation", text)],
            )
        };
        [
            Self {
                row: page.caches_row.get(),
                subtitle: named(&caches, &gettext("copies that programs make again")),
                path: Some(caches),
            },
            Self {
                row: page.trash_row.get(),
                subtitle: named(&trash, &gettext("what you have thrown away")),
                path: Some(trash),
            },
            Self {
                row: page.downloads_row.get(),
                subtitle: downloads
                    .as_deref()
                    .map(|path| named(path, &gettext("what can be downloaded again")))
                    .unwrap_or_default(),
                // Where there is no such folder of its own, it is the home folder.
                path: downloads.filter(|path| *path != glib::home_dir()),
            },
        ]
    }
}

impl FoldersPage {
    /// Fills in what was chosen before, and what the button says that is pressed when all is right.
    pub fn set_choices(&self, folders: &[PathBuf], ignored: &[PathBuf], verb: &str) {
        let imp = self.imp();
        imp.done_button.set_label(verb);
        imp.folders.take();
        imp.ignored.take();
        for row in [&imp.include_row, &imp.ignore_row] {
            row.clear();
        }
        remove_before(&imp.included_list, &imp.include_row);
        remove_before(&imp.ignored_list, &imp.ignore_row);
        for folder in folders {
            self.include(folder.clone());
        }
        let presets = Preset::all(imp);
        for preset in &presets {
            preset.row.set_active(preset.path.as_ref().is_some_and(|path| ignored.contains(path)));
        }
        let is_preset = |path: &PathBuf| presets.iter().any(|preset| preset.path.as_ref() == Some(path));
        for path in ignored.iter().filter(|path| !is_preset(path)) {
            self.ignore(path.clone());
        }
    }

    /// The folders to back up.
    pub fn folders(&self) -> Vec<PathBuf> {
        self.imp().folders.borrow().clone()
    }

    /// The folders below them to leave out.
    pub fn ignored(&self) -> Vec<PathBuf> {
        let imp = self.imp();
        let folders = imp.folders.borrow();
        let own = imp.ignored.borrow().clone();
        let presets = Preset::all(imp).into_iter().filter(|preset| preset.row.is_active());
        let paths = presets.filter_map(|preset| preset.path).chain(own);
        let mut ignored: Vec<PathBuf> = Vec::new();
        for path in paths {
            let inside = folders.iter().any(|folder| path.starts_with(folder) && path != *folder);
            if inside && !ignored.contains(&path) {
                ignored.push(path);
            }
        }
        ignored
    }

    /// Calls `handler` when the page is filled in and the person wants to go on.
    pub fn connect_done(&self, handler: impl Fn() + 'static) -> glib::SignalHandlerId {
        self.connect_local("done", false, move |_| {
            handler();
            None
        })
    }

    fn objection(&self, path: &Path) -> Option<String> {
        let folders = self.imp().folders.borrow();
        let holder = folders.iter().find(|folder| path.starts_with(folder))?;
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
        let title = if path == glib::home_dir() { gettext("Home") } else { shown_name(&path) };
        let row = folder_row(&title, &path);
        let button = remove_button(&gettext_f("Do Not Back Up {folder}", &[("folder", &title)]));
        let (page, list_row, listed) = (self.downgrade(), row.clone(), path.clone());
        button.connect_clicked(move |_| {
            let Some(page) = page.upgrade() else { return };
            page.imp().folders.borrow_mut().retain(|folder| *folder != listed);
            page.imp().included_list.remove(&list_row);
            page.imp().include_row.grab_focus();
            page.refresh_presets();
        });
        row.add_suffix(&button);
        let position = imp.folders.borrow().len();
        imp.included_list.insert(&row, i32::try_from(position).unwrap_or(0));
        imp.folders.borrow_mut().push(path);
        show_hint(&imp.included_hint, "");
        self.refresh_presets();
    }

    fn ignore(&self, path: PathBuf) {
        let imp = self.imp();
        if imp.ignored.borrow().contains(&path) {
            return;
        }
        let title = shown_name(&path);
        let row = folder_row(&title, &path);
        let button = remove_button(&gettext_f("Do Not Leave Out {folder}", &[("folder", &title)]));
        let (page, list_row, listed) = (self.downgrade(), row.clone(), path.clone());
        button.connect_clicked(move |_| {
            let Some(page) = page.upgrade() else { return };
            page.imp().ignored.borrow_mut().retain(|folder| *folder != listed);
            page.imp().ignored_list.remove(&list_row);
            page.imp().ignore_row.grab_focus();
        });
        row.add_suffix(&button);
        imp.ignored_list.insert(&row, imp.ignore_row.index());
        imp.ignored.borrow_mut().push(path);
    }

    /// A switch for a folder that is not backed up anyway would only confuse.
    fn refresh_presets(&self) {
        let imp = self.imp();
        let folders = imp.folders.borrow();
        for preset in Preset::all(imp) {
            let inside =
                |path: &PathBuf| folders.iter().any(|folder| path.starts_with(folder) && path != folder);
            preset.row.set_visible(preset.path.as_ref().is_some_and(inside));
        }
    }
}

/// Removes the rows of folders that stand before a row.
fn remove_before(list: &gtk::ListBox, last: &PathRow) {
    let is_folder = |row: &gtk::ListBoxRow| row.type_() == adw::ActionRow::static_type();
    while let Some(row) = (0..last.index()).filter_map(|at| list.row_at_index(at)).find(is_folder) {
        list.remove(&row);
    }
}

fn shown_name(path: &Path) -> String {
    path.file_name().map_or_else(|| "/".to_owned(), |name| glib::filename_display_name(name).into())
}

fn folder_row(title: &str, path: &Path) -> adw::ActionRow {
    let row =
        adw::ActionRow::builder().use_markup(false).title(title).subtitle(folder::to_shown(path)).build();
    let icon = gtk::Image::builder()
        .icon_name("folder-symbolic")
        .accessible_role(gtk::AccessibleRole::Presentation)
        .build();
    row.add_prefix(&icon);
    row
}

fn remove_button(label: &str) -> gtk::Button {
    gtk::Button::builder()
        .icon_name("list-remove-symbolic")
        .tooltip_text(label)
        .valign(gtk::Align::Center)
        .css_classes(["flat"])
        .build()
}
