//! The assistant's page after a key was chosen: a copy of it in another place. It is made when the assistant
//! ends, like everything else.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::OnceLock;

use adw::prelude::*;
use adw::subclass::prelude::*;
use glib::subclass::Signal;

use crate::i18n::gettext;
use crate::kit::Keep;
use crate::ui::safekeeping::beside_backups;
use crate::ui::widgets::{PathRow, show_hint};

/// A copy of a key to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeepWish {
    /// Where.
    pub folder: PathBuf,
    /// What of it.
    pub what: Keep,
}

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "keep_key_page.ui")]
    pub struct KeepKeyPage {
        #[template_child]
        pub copy_group: TemplateChild<adw::PreferencesGroup>,
        #[template_child]
        pub folder_row: TemplateChild<PathRow>,
        #[template_child]
        pub kit_row: TemplateChild<adw::SwitchRow>,
        #[template_child]
        pub without_row: TemplateChild<adw::SwitchRow>,
        #[template_child]
        pub hint_label: TemplateChild<gtk::Label>,
        /// Where the backups are, if that is a folder of this computer.
        pub backups: RefCell<Option<PathBuf>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for KeepKeyPage {
        const NAME: &'static str = "SouvenirKeepKeyPage";
        type Type = super::KeepKeyPage;
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

    impl ObjectImpl for KeepKeyPage {
        fn signals() -> &'static [Signal] {
            static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
            SIGNALS.get_or_init(|| vec![Signal::builder("done").build()])
        }
    }

    impl WidgetImpl for KeepKeyPage {}
    impl NavigationPageImpl for KeepKeyPage {}

    #[gtk::template_callbacks]
    impl KeepKeyPage {
        #[template_callback]
        fn on_changed(&self) {
            show_hint(&self.hint_label, "");
        }

        #[template_callback]
        fn on_without(&self) {
            show_hint(&self.hint_label, "");
            self.folder_row.remove_css_class("error");
            self.copy_group.set_sensitive(!self.without_row.is_active());
        }

        #[template_callback]
        async fn on_continue(&self) {
            if let Some(problem) = self.obj().problem() {
                self.folder_row.refuse(&self.hint_label, &problem);
                return;
            }
            let is_good = self.without_row.is_active()
                || self.folder_row.writable_folder(&self.hint_label).await.is_some();
            // The page may have been left meanwhile.
            if is_good && self.obj().is_mapped() {
                self.obj().emit_by_name::<()>("done", &[]);
            }
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct KeepKeyPage(ObjectSubclass<imp::KeepKeyPage>)
        @extends adw::NavigationPage, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl KeepKeyPage {
    /// Tells the page where the backups will be.
    pub fn set_backups(&self, folder: Option<PathBuf>) {
        self.imp().backups.replace(folder);
    }

    /// The copy that is to be made; none if the person goes on without.
    pub fn wish(&self) -> Option<KeepWish> {
        let imp = self.imp();
        if imp.without_row.is_active() {
            return None;
        }
        let what = if imp.kit_row.is_active() { Keep::FilesAndKit } else { Keep::Files };
        imp.folder_row.path().map(|folder| KeepWish { folder, what })
    }

    /// Calls `handler` when the page is filled in.
    pub fn connect_done(&self, handler: impl Fn() + 'static) -> glib::SignalHandlerId {
        self.connect_local("done", false, move |_| {
            handler();
            None
        })
    }

    /// Why the person cannot go on, in words.
    fn problem(&self) -> Option<String> {
        let imp = self.imp();
        if imp.without_row.is_active() {
            return None;
        }
        let Some(folder) = imp.folder_row.path() else {
            return if imp.folder_row.text().trim().is_empty() {
                Some(gettext("Choose a folder for the copy, or go on without one."))
            } else {
                imp.folder_row.problem()
            };
        };
        let backups = imp.backups.borrow();
        backups.as_ref().and_then(|backups| beside_backups(&folder, backups))
    }
}
