//! The selected file: what it looks like, and all versions of it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use adw::prelude::*;
use adw::subclass::prelude::*;
use glib::BoxedAnyObject;

use super::compare_dialog::CompareDialog;
use super::preview_view::PreviewView;
use super::restore_dialog::{RestoreDialog, RestoreWish};
use super::sight::Version;
use super::versions;
use crate::engine::catalog::{Change, MissingSet, PathVersion};
use crate::engine::error::{Error, Result};
use crate::engine::format::entry::EntryKind;
use crate::engine::format::time::SetTime;
use crate::engine::path::EntryPath;
use crate::i18n::{gettext, ngettext_f};
use crate::ui::model::{CatalogReader, Lane, Repository, display_name, icon_name};
use crate::ui::window::Window;
use crate::ui::{error_text, words};

/// What the pane is about.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Where the backups are.
    pub repository: Repository,
    /// Answers what the versions are.
    pub reader: Rc<CatalogReader>,
    /// Answers what takes longer.
    pub counter: Rc<CatalogReader>,
    /// The file, or whatever else it is.
    pub path: EntryPath,
    /// The snapshot that is shown.
    pub time: SetTime,
    /// Whether the paths in the backup are those of this computer.
    pub original_known: bool,
    /// Whether there is something to restore from.
    pub reachable: bool,
}

impl Subject {
    fn is_of(&self, other: &Self) -> bool {
        (&self.path, self.time, self.reachable) == (&other.path, other.time, other.reachable)
            && Rc::ptr_eq(&self.reader, &other.reader)
    }
}

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "file_pane.ui")]
    pub struct FilePane {
        #[template_child]
        pub stack: TemplateChild<gtk::Stack>,
        #[template_child]
        pub none_page: TemplateChild<adw::StatusPage>,
        #[template_child]
        pub name_label: TemplateChild<gtk::Label>,
        #[template_child]
        pub preview: TemplateChild<PreviewView>,
        #[template_child]
        pub list: TemplateChild<gtk::ListView>,
        #[template_child]
        pub selection: TemplateChild<gtk::SingleSelection>,
        #[template_child]
        pub restore_button: TemplateChild<gtk::Button>,
        #[template_child]
        pub compare_button: TemplateChild<gtk::Button>,
        pub subject: RefCell<Option<Subject>>,
        /// Newest first.
        pub versions: RefCell<Vec<PathVersion>>,
        pub filling: Cell<bool>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for FilePane {
        const NAME: &'static str = "SouvenirFilePane";
        type Type = super::FilePane;
        type ParentType = adw::Bin;

        fn class_init(class: &mut Self::Class) {
            PreviewView::ensure_type();
            class.bind_template();
            class.bind_template_callbacks();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for FilePane {
        fn constructed(&self) {
            self.parent_constructed();
            self.list.set_factory(Some(&versions::row_factory()));
        }
    }

    impl WidgetImpl for FilePane {}
    impl BinImpl for FilePane {}

    #[gtk::template_callbacks]
    impl FilePane {
        #[template_callback]
        fn on_selected(&self) {
            if !self.filling.get() {
                self.obj().show_version();
            }
        }

        #[template_callback]
        fn on_restore(&self) {
            self.obj().restore();
        }

        #[template_callback]
        fn on_compare(&self) {
            self.obj().compare();
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct FilePane(ObjectSubclass<imp::FilePane>)
        @extends adw::Bin, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl FilePane {
    /// Shows nothing, because so many rows are selected.
    pub fn set_none(&self, selected_count: u64) {
        let imp = self.imp();
        imp.subject.take();
        imp.preview.set_nothing("text-x-generic-symbolic", "");
        if selected_count > 1 {
            imp.none_page.set_title(&ngettext_f(
                "{count} Selected",
                "{count} Selected",
                selected_count,
                &[("count", &words::count(selected_count))],
            ));
            imp.none_page.set_description(Some(&gettext("Select a single file to see its versions.")));
        } else {
            imp.none_page.set_title(&gettext("No File Selected"));
            imp.none_page.set_description(Some(&gettext("Select a file to see its versions.")));
        }
        imp.stack.set_visible_child_name("none");
    }

    /// What the pane is about.
    pub fn subject(&self) -> Option<Subject> {
        self.imp().subject.borrow().clone()
    }

    /// Shows a file.
    pub fn set_subject(&self, subject: Subject) {
        let imp = self.imp();
        if imp.subject.borrow().as_ref().is_some_and(|old| old.is_of(&subject)) {
            return;
        }
        imp.name_label.set_label(&display_name(&subject.path));
        let path = subject.path.clone();
        let asked = subject.reader.ask(Lane::History, move |catalog, _| catalog.history(&path));
        imp.subject.replace(Some(subject));
        let pane = self.downgrade();
        glib::spawn_future_local(async move {
            if let (Some(history), Some(pane)) = (asked.await, pane.upgrade()) {
                pane.take_history(history);
            }
        });
    }

    fn take_history(&self, history: Result<(Vec<PathVersion>, Vec<MissingSet>)>) {
        let imp = self.imp();
        let Some(subject) = imp.subject.borrow().clone() else { return };
        let mut versions = match history {
            Ok((versions, _)) => versions,
            Err(Error::Cancelled(_)) => return,
            Err(error) => {
                imp.preview.set_nothing("dialog-warning-symbolic", &error_text::problem(&error).what);
                Vec::new()
            }
        };
        // A full set that stored the same once more is no version.
        versions.retain(|version| version.change != Change::Unchanged);
        versions.reverse();
        let shown = versions.iter().position(|version| version.set_time <= subject.time);
        let times: Vec<_> = versions.iter().map(|version| version.set_time).collect();
        let rows: gio::ListStore = versions
            .iter()
            .zip(words::short_set_dates(&times))
            .enumerate()
            .map(|(index, (version, date))| {
                BoxedAnyObject::new(versions::Row::new(version, date, shown == Some(index)))
            })
            .collect();
        imp.versions.replace(versions);
        imp.filling.set(true);
        imp.selection.set_model(Some(&rows));
        imp.filling.set(false);
        let position = u32::try_from(shown.unwrap_or(0)).unwrap_or(0);
        imp.selection.set_selected(position);
        if rows.n_items() > 0 {
            imp.list.scroll_to(position, gtk::ListScrollFlags::NONE, None);
        }
        self.show_version();
        imp.stack.set_visible_child_name("file");
    }

    fn selected(&self) -> Option<PathVersion> {
        self.imp().versions.borrow().get(self.imp().selection.selected() as usize).cloned()
    }

    fn show_version(&self) {
        let imp = self.imp();
        let Some(subject) = imp.subject.borrow().clone() else { return };
        let version = self.selected();
        let has_contents = version.as_ref().is_some_and(|version| version.entry.is_some());
        imp.restore_button.set_sensitive(has_contents && subject.reachable);
        let why = gettext("The backups cannot be reached");
        imp.restore_button.set_tooltip_text((!subject.reachable).then_some(why.as_str()));
        imp.compare_button.set_visible(self.comparable().len() > 1);
        let Some(version) = version else { return };
        let Some(entry) = version.entry else {
            return imp.preview.set_nothing("user-trash-symbolic", &gettext("It was deleted."));
        };
        let icon = icon_name(&entry.kind, entry.mode, entry.path.file_name());
        match entry.kind {
            EntryKind::File if entry.size_bytes.is_some_and(|size| size > super::sight::MOST_BYTES) => {
                imp.preview.set_nothing(icon, &gettext("Too large for a preview."));
            }
            EntryKind::File => {
                let version = Version::new(&subject.repository, version.set_time, subject.path);
                imp.preview.set_version(&subject.repository, version, icon);
            }
            EntryKind::Directory => imp.preview.set_nothing(icon, &gettext("Folder")),
            EntryKind::Symlink(target) => {
                imp.preview.set_nothing(icon, &format!("→ {}", String::from_utf8_lossy(&target)));
            }
            _ => imp.preview.set_nothing(icon, ""),
        }
    }

    /// The versions that have contents, newest first.
    fn comparable(&self) -> Vec<PathVersion> {
        let is_file = |version: &&PathVersion| {
            version.entry.as_ref().is_some_and(|entry| entry.kind == EntryKind::File)
        };
        self.imp().versions.borrow().iter().filter(is_file).cloned().collect()
    }

    fn restore(&self) {
        let (Some(subject), Some(version)) = (self.subject(), self.selected()) else { return };
        let Some(window) = self.root().and_downcast::<Window>() else { return };
        let dialog = RestoreDialog::new(RestoreWish {
            repository: subject.repository,
            counter: subject.counter,
            time: version.set_time,
            strip: subject.path.parent().unwrap_or_default(),
            paths: vec![subject.path],
            original_known: subject.original_known,
        });
        dialog.set_window(&window);
        dialog.present(Some(&window));
    }

    fn compare(&self) {
        let Some(subject) = self.subject() else { return };
        let Some(window) = self.root().and_downcast::<Window>() else { return };
        let selected = self.selected().map(|version| version.set_time);
        let dialog =
            CompareDialog::new(&subject.repository, subject.path, self.comparable(), selected, &window);
        dialog.present(Some(&window));
    }
}
