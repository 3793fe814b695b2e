//! What is left out of the folders that are backed up: by a switch, by its place, or by its name.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use adw::prelude::*;
use adw::subclass::prelude::*;
use glib::subclass::Signal;

use super::listed_row::{clear_listed, listed_row};
use crate::i18n::{gettext, gettext_f};
use crate::plan::LeftOut;
use crate::platform::folder;
use crate::ui::describe;
use crate::ui::widgets::{PathRow, clear_row, show_hint};

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "left_out_group.ui")]
    pub struct LeftOutGroup {
        #[template_child]
        pub list: TemplateChild<gtk::ListBox>,
        #[template_child]
        pub caches_row: TemplateChild<adw::SwitchRow>,
        #[template_child]
        pub app_caches_row: TemplateChild<adw::SwitchRow>,
        #[template_child]
        pub trash_row: TemplateChild<adw::SwitchRow>,
        #[template_child]
        pub downloads_row: TemplateChild<adw::SwitchRow>,
        #[template_child]
        pub builds_row: TemplateChild<adw::SwitchRow>,
        #[template_child]
        pub machines_row: TemplateChild<adw::SwitchRow>,
        #[template_child]
        pub folder_row: TemplateChild<PathRow>,
        #[template_child]
        pub pattern_row: TemplateChild<adw::EntryRow>,
        #[template_child]
        pub hint: TemplateChild<gtk::Label>,
        /// The folders of which something is left out.
        pub included: RefCell<Vec<PathBuf>>,
        pub folders: RefCell<Vec<PathBuf>>,
        pub patterns: RefCell<Vec<String>>,
        /// Presets of a later version, which have no switch.
        pub unknown_presets: RefCell<Vec<String>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for LeftOutGroup {
        const NAME: &'static str = "SouvenirLeftOutGroup";
        type Type = super::LeftOutGroup;
        type ParentType = adw::PreferencesGroup;

        fn class_init(class: &mut Self::Class) {
            PathRow::ensure_type();
            class.bind_template();
            class.bind_template_callbacks();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for LeftOutGroup {
        fn constructed(&self) {
            self.parent_constructed();
            if let Some(downloads) = downloads() {
                self.downloads_row.set_subtitle(&gettext_f(
                    "{folder}: {explanation}",
                    &[
                        ("folder", &folder::to_shown(&downloads)),
                        ("explanation", &gettext("what can be downloaded again")),
                    ],
                ));
            }
            let group = self.obj().downgrade();
            self.folder_row.connect_chosen(move |_| {
                let Some(group) = group.upgrade() else { return };
                glib::spawn_future_local(async move { group.imp().on_folder().await });
            });
        }

        fn signals() -> &'static [Signal] {
            static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
            SIGNALS.get_or_init(|| vec![Signal::builder("changed").build()])
        }
    }

    impl WidgetImpl for LeftOutGroup {}
    impl PreferencesGroupImpl for LeftOutGroup {}

    #[gtk::template_callbacks]
    impl LeftOutGroup {
        /// The switches, and the presets that they stand for.
        pub fn presets(&self) -> [(&'static str, &adw::SwitchRow); 5] {
            [
                ("caches", &self.caches_row),
                ("app-caches", &self.app_caches_row),
                ("trash", &self.trash_row),
                ("build-folders", &self.builds_row),
                ("virtual-machines", &self.machines_row),
            ]
        }

        #[template_callback]
        fn on_switched(&self) {
            self.obj().tell();
        }

        #[template_callback]
        fn on_changed(&self) {
            show_hint(&self.hint, "");
            self.pattern_row.remove_css_class("error");
        }

        #[template_callback]
        pub async fn on_folder(&self) {
            if !self.folder_row.text().is_empty() {
                self.take_folder().await;
            }
        }

        #[template_callback]
        fn on_pattern(&self) {
            if !self.pattern_row.text().is_empty() {
                self.take_pattern();
            }
        }

        /// Whether the folder that is typed could be added.
        pub async fn take_folder(&self) -> bool {
            let path = self.folder_row.path();
            let is_there = match path.clone() {
                Some(path) => exists(path).await,
                None => true,
            };
            if self.folder_row.path() != path {
                // It was added meanwhile, or something else is being typed.
                return self.folder_row.text().is_empty();
            }
            let group = self.obj();
            let problem = self.folder_row.problem().or_else(|| {
                if !group.is_inside(path.as_ref()?) {
                    return Some(gettext("This is not inside a folder that is backed up."));
                }
                (!is_there).then(|| gettext("There is nothing at this place."))
            });
            match (problem, path) {
                (None, Some(path)) => {
                    self.folder_row.clear();
                    group.add_folder(path);
                    true
                }
                (problem, _) => group.refuse(self.folder_row.upcast_ref(), &problem.unwrap_or_default()),
            }
        }

        /// Whether the pattern that is typed could be added.
        pub fn take_pattern(&self) -> bool {
            let group = self.obj();
            let pattern = self.pattern_row.text().trim().to_owned();
            match pattern_problem(&pattern) {
                None => {
                    clear_row(&self.pattern_row);
                    group.add_pattern(pattern);
                    true
                }
                Some(problem) => group.refuse(self.pattern_row.upcast_ref(), &problem),
            }
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct LeftOutGroup(ObjectSubclass<imp::LeftOutGroup>)
        @extends adw::PreferencesGroup, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl LeftOutGroup {
    /// Fills in what was chosen before.
    pub fn set_choice(&self, choice: &LeftOut) {
        let imp = self.imp();
        imp.folders.take();
        imp.patterns.take();
        imp.folder_row.clear();
        clear_row(&imp.pattern_row);
        clear_listed(&imp.list);
        for (id, row) in imp.presets() {
            row.set_active(choice.presets.iter().any(|preset| preset == id));
        }
        let is_known = |preset: &&String| imp.presets().iter().any(|(id, _)| id == preset);
        imp.unknown_presets.replace(choice.presets.iter().filter(|id| !is_known(id)).cloned().collect());
        let downloads = downloads();
        imp.downloads_row.set_active(downloads.as_ref().is_some_and(|path| choice.folders.contains(path)));
        for path in choice.folders.iter().filter(|path| Some(*path) != downloads.as_ref()) {
            self.add_folder(path.clone());
        }
        for pattern in &choice.patterns {
            self.add_pattern(pattern.clone());
        }
    }

    /// What is chosen.
    pub fn choice(&self) -> LeftOut {
        let imp = self.imp();
        let downloads = downloads().filter(|_| imp.downloads_row.is_active());
        let mut folders: Vec<PathBuf> = Vec::new();
        for path in downloads.into_iter().chain(imp.folders.borrow().iter().cloned()) {
            if self.is_inside(&path) && !folders.contains(&path) {
                folders.push(path);
            }
        }
        let switched = imp.presets().into_iter().filter(|(_, row)| row.is_active());
        let mut presets: Vec<_> = switched.map(|(id, _)| id.to_owned()).collect();
        presets.extend(imp.unknown_presets.borrow().iter().cloned());
        LeftOut { folders, presets, patterns: imp.patterns.borrow().clone() }
    }

    /// Says of which folders something is left out.
    pub fn set_included(&self, included: &[PathBuf]) {
        let imp = self.imp();
        imp.included.replace(included.to_owned());
        // A switch for a folder that is not backed up anyway would only confuse.
        imp.downloads_row.set_visible(downloads().is_some_and(|path| self.is_inside(&path)));
    }

    /// Adds what is typed but was not applied: it was meant. False if that is not possible, which is said.
    pub async fn take_typed(&self) -> bool {
        let imp = self.imp();
        (imp.folder_row.text().is_empty() || imp.take_folder().await)
            && (imp.pattern_row.text().is_empty() || imp.take_pattern())
    }

    /// Leaves out a folder.
    pub fn add_folder(&self, path: PathBuf) {
        let imp = self.imp();
        if imp.folders.borrow().contains(&path) {
            return;
        }
        let title = describe::folder_name(&path);
        let verb = gettext_f("Do Not Leave Out {folder}", &[("folder", &title)]);
        let (group, listed) = (self.downgrade(), path.clone());
        let row =
            listed_row(("folder-symbolic", &title, &folder::to_shown(&path)), None, &verb, move |row| {
                let Some(group) = group.upgrade() else { return };
                group.imp().folders.borrow_mut().retain(|folder| *folder != listed);
                group.take_off(row, group.imp().folder_row.upcast_ref());
            });
        imp.list.insert(&row, imp.folder_row.index());
        imp.folders.borrow_mut().push(path);
        self.tell();
    }

    fn add_pattern(&self, pattern: String) {
        let imp = self.imp();
        if imp.patterns.borrow().contains(&pattern) {
            return;
        }
        let verb = gettext_f("Do Not Leave Out {pattern}", &[("pattern", &pattern)]);
        let (group, listed) = (self.downgrade(), pattern.clone());
        let subtitle = gettext("In every folder that is backed up");
        let row = listed_row(("edit-find-symbolic", &pattern, &subtitle), None, &verb, move |row| {
            let Some(group) = group.upgrade() else { return };
            group.imp().patterns.borrow_mut().retain(|pattern| *pattern != listed);
            group.take_off(row, group.imp().pattern_row.upcast_ref());
        });
        imp.list.insert(&row, imp.pattern_row.index());
        imp.patterns.borrow_mut().push(pattern);
        self.tell();
    }

    fn take_off(&self, row: &adw::ActionRow, next: &gtk::Widget) {
        self.imp().list.remove(row);
        next.grab_focus();
        self.tell();
    }

    /// Says what is wrong with what is typed in a row. Always false.
    fn refuse(&self, row: &gtk::Widget, problem: &str) -> bool {
        show_hint(&self.imp().hint, problem);
        row.add_css_class("error");
        row.grab_focus();
        false
    }

    fn is_inside(&self, path: &Path) -> bool {
        self.imp().included.borrow().iter().any(|folder| path.starts_with(folder) && path != folder)
    }

    fn tell(&self) {
        self.emit_by_name::<()>("changed", &[]);
    }

    /// Calls `handler` whenever something else is left out.
    pub fn connect_changed(&self, handler: impl Fn() + 'static) -> glib::SignalHandlerId {
        self.connect_local("changed", false, move |_| {
            handler();
            None
        })
    }
}

/// The folder for downloads. Where there is none of its own, it is the home folder.
fn downloads() -> Option<PathBuf> {
    glib::user_special_dir(glib::UserDirectory::Downloads).filter(|path| *path != glib::home_dir())
}

/// Whether there is something at a path. Where it cannot be told, there may be.
async fn exists(path: PathBuf) -> bool {
    gio::spawn_blocking(move || path.symlink_metadata().is_ok()).await.unwrap_or(true)
}

/// What is wrong with a pattern, in words; none if it can be used.
fn pattern_problem(pattern: &str) -> Option<String> {
    if pattern.starts_with(['/', '~']) {
        return Some(gettext(
            "A pattern is looked for in every folder, such as “*.iso” or “build/*.o”. A single folder is left out above.",
        ));
    }
    if pattern.to_lowercase().trim_start_matches("ignorecase:").trim_matches(['*', '/']).is_empty() {
        return Some(gettext("This pattern would leave out everything."));
    }
    let pattern = LeftOut { patterns: vec![pattern.to_owned()], ..LeftOut::default() };
    pattern.of(&[]).err().map(|error| {
        tracing::info!(%error, "a pattern is refused");
        gettext("This is no pattern. “*” stands for any part of a name, “?” for one character, “[abc]” for one of these.")
    })
}
