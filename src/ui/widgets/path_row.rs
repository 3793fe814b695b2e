//! A row for a folder or a file: typed, pasted, or chosen in the file chooser.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use adw::prelude::*;
use adw::subclass::prelude::*;
use glib::subclass::Signal;

use crate::i18n::gettext;
use crate::platform::folder::{self, Closed};
use crate::ui::widgets::show_hint;

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate, glib::Properties)]
    #[template(file = "path_row.ui")]
    #[properties(wrapper_type = super::PathRow)]
    pub struct PathRow {
        /// Whether it is a file that is chosen.
        #[property(get, set)]
        pub for_files: Cell<bool>,
        #[template_child]
        pub browse_button: TemplateChild<gtk::Button>,
        /// What was chosen. The text is only its picture, which for a name that is no text does not
        /// lead back to it.
        pub chosen: RefCell<Option<PathBuf>>,
        pub setting: Cell<bool>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for PathRow {
        const NAME: &'static str = "SouvenirPathRow";
        type Type = super::PathRow;
        type ParentType = adw::EntryRow;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
            class.bind_template_callbacks();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    #[glib::derived_properties]
    impl ObjectImpl for PathRow {
        fn constructed(&self) {
            self.parent_constructed();
            self.obj().connect_for_files_notify(|row| {
                if row.for_files() {
                    row.imp().browse_button.set_tooltip_text(Some(&gettext("Choose a File")));
                }
            });
        }

        fn signals() -> &'static [Signal] {
            static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
            SIGNALS.get_or_init(|| vec![Signal::builder("chosen").build()])
        }
    }

    impl WidgetImpl for PathRow {}
    impl ListBoxRowImpl for PathRow {}
    impl PreferencesRowImpl for PathRow {}
    impl EntryRowImpl for PathRow {}

    #[gtk::template_callbacks]
    impl PathRow {
        #[template_callback]
        fn on_changed(&self) {
            if !self.setting.get() {
                self.chosen.replace(None);
            }
            self.obj().remove_css_class("error");
        }

        #[template_callback]
        async fn on_browse(&self) {
            let row = self.obj();
            let title = if row.for_files() { gettext("Choose a File") } else { gettext("Choose a Folder") };
            let dialog = gtk::FileDialog::builder().title(title).modal(true).build();
            let before = row.path().filter(|path| path.is_absolute()).map(gio::File::for_path);
            let window = row.root().and_downcast::<gtk::Window>();
            let chosen = if row.for_files() {
                dialog.set_initial_file(before.as_ref());
                dialog.open_future(window.as_ref()).await
            } else {
                dialog.set_initial_folder(before.as_ref());
                dialog.select_folder_future(window.as_ref()).await
            };
            // An error means that nothing was chosen.
            if let Some(path) = chosen.ok().and_then(|file| file.path()) {
                row.set_path(&path);
                row.emit_by_name::<()>("chosen", &[]);
            }
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct PathRow(ObjectSubclass<imp::PathRow>)
        @extends adw::EntryRow, adw::PreferencesRow, gtk::ListBoxRow, gtk::Widget,
        @implements gtk::Accessible, gtk::Actionable, gtk::Buildable, gtk::ConstraintTarget, gtk::Editable;
}

impl PathRow {
    /// The folder or file, if what is typed is an absolute path.
    pub fn path(&self) -> Option<PathBuf> {
        self.imp().chosen.borrow().clone().or_else(|| folder::from_typed(&self.text()))
    }

    /// Shows a folder or a file.
    pub fn set_path(&self, path: &Path) {
        let imp = self.imp();
        imp.setting.set(true);
        self.set_text(&folder::to_shown(path));
        imp.setting.set(false);
        imp.chosen.replace(Some(path.to_owned()));
    }

    /// Empties the row.
    pub fn clear(&self) {
        clear_row(self.upcast_ref());
    }

    /// Why there is no path, in words; none if there is one.
    pub fn problem(&self) -> Option<String> {
        if self.text().trim().is_empty() {
            Some(gettext("Choose a folder, or type its path."))
        } else if self.path().is_none() {
            Some(gettext("Type the whole path, beginning with “/” or “~”."))
        } else {
            None
        }
    }

    /// The folder, if something can be put into it. If not, it is said why in `hint`.
    pub async fn writable_folder(&self, hint: &gtk::Label) -> Option<PathBuf> {
        let problem = match self.path() {
            None => self.problem().unwrap_or_default(),
            Some(path) => {
                let asked = path.clone();
                match gio::spawn_blocking(move || folder::open_to(&asked)).await {
                    Ok(Err(Closed::File)) => gettext("This is a file. Choose a folder."),
                    Ok(Err(Closed::ReadOnly)) => gettext("This folder can only be read. Choose another one."),
                    Ok(Err(Closed::Forbidden)) => {
                        gettext("You may not write into this folder. Choose another one.")
                    }
                    Ok(Ok(())) => return Some(path),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        };
        self.refuse(hint, &problem);
        None
    }

    /// Says beside the row what is wrong with it.
    pub fn refuse(&self, hint: &gtk::Label, problem: &str) {
        show_hint(hint, problem);
        self.add_css_class("error");
        self.grab_focus();
    }

    /// Calls `handler` when a folder was chosen in the file chooser.
    pub fn connect_chosen(&self, handler: impl Fn(&Self) + 'static) -> glib::SignalHandlerId {
        self.connect_local("chosen", false, move |values| {
            if let Some(Ok(row)) = values.first().map(glib::Value::get::<Self>) {
                handler(&row);
            }
            None
        })
    }
}

/// Empties a row as applying it does: nothing is left that could be applied.
pub fn clear_row(row: &adw::EntryRow) {
    row.set_text("");
    if row.shows_apply_button() {
        row.set_show_apply_button(false);
        row.set_show_apply_button(true);
    }
}
