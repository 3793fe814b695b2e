//! The assistant's second page: where the backups are kept. Nothing is written by looking.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use adw::prelude::*;
use adw::subclass::prelude::*;
use glib::subclass::Signal;

use crate::i18n::gettext_f;
use crate::plan::Destination;
use crate::ui::widgets::{DestinationCheck, DestinationReport, PathRow, show_hint};

/// How long somebody must not have typed before the folder is looked at.
const TYPING_PAUSE: Duration = Duration::from_millis(800);

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "destination_page.ui")]
    pub struct DestinationPage {
        #[template_child]
        pub folder_row: TemplateChild<PathRow>,
        #[template_child]
        pub hint_label: TemplateChild<gtk::Label>,
        #[template_child]
        pub report: TemplateChild<DestinationReport>,
        pub folders: RefCell<Vec<PathBuf>>,
        /// The destinations of the other plans, and the names of these.
        pub taken: RefCell<Vec<(Destination, String)>>,
        pub check: RefCell<Option<DestinationCheck>>,
        /// Counts up with every change, so that the answer to an older question is not shown.
        pub question: Cell<u32>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for DestinationPage {
        const NAME: &'static str = "SouvenirDestinationPage";
        type Type = super::DestinationPage;
        type ParentType = adw::NavigationPage;

        fn class_init(class: &mut Self::Class) {
            PathRow::ensure_type();
            DestinationReport::ensure_type();
            class.bind_template();
            class.bind_template_callbacks();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for DestinationPage {
        fn constructed(&self) {
            self.parent_constructed();
            let page = self.obj().downgrade();
            self.folder_row.connect_chosen(move |_| {
                let Some(page) = page.upgrade() else { return };
                glib::spawn_future_local(async move { page.test().await });
            });
        }

        fn signals() -> &'static [Signal] {
            static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
            SIGNALS.get_or_init(|| vec![Signal::builder("done").build()])
        }
    }

    impl WidgetImpl for DestinationPage {}
    impl NavigationPageImpl for DestinationPage {}

    #[gtk::template_callbacks]
    impl DestinationPage {
        #[template_callback]
        fn on_changed(&self) {
            self.question.set(self.question.get() + 1);
            self.check.replace(None);
            self.report.clear();
            show_hint(&self.hint_label, "");
            let (page, question) = (self.obj().downgrade(), self.question.get());
            glib::timeout_add_local_once(TYPING_PAUSE, move || {
                let Some(page) = page.upgrade() else { return };
                let imp = page.imp();
                if imp.question.get() == question && imp.folder_row.problem().is_none() {
                    glib::spawn_future_local(async move { page.test().await });
                }
            });
        }

        #[template_callback]
        async fn on_test(&self) {
            self.obj().test().await;
        }

        #[template_callback]
        async fn on_continue(&self) {
            if self.obj().test().await {
                self.obj().emit_by_name::<()>("done", &[]);
            }
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct DestinationPage(ObjectSubclass<imp::DestinationPage>)
        @extends adw::NavigationPage, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl DestinationPage {
    /// Tells the page what is to be backed up.
    pub fn set_folders(&self, folders: Vec<PathBuf>) {
        let imp = self.imp();
        if *imp.folders.borrow() != folders {
            imp.folders.replace(folders);
            if let Some(check) = &*imp.check.borrow() {
                imp.report.show_for_backup(check, &imp.folders.borrow());
            }
        }
    }

    /// Tells the page where the other plans keep their backups.
    pub fn set_taken(&self, taken: Vec<(Destination, String)>) {
        self.imp().taken.replace(taken);
    }

    /// The plan that has this destination already.
    fn holder(&self, path: &Path) -> Option<String> {
        let taken = self.imp().taken.borrow();
        taken.iter().find(|(other, _)| other.folder() == Some(path)).map(|(_, name)| name.clone())
    }

    /// The destination, once it was found good.
    pub fn destination(&self) -> Option<Destination> {
        self.imp().check.borrow().as_ref().map(|check| Destination::Folder { path: check.path.clone() })
    }

    /// Whether backups are there already.
    pub fn has_backups(&self) -> bool {
        self.imp().check.borrow().as_ref().is_some_and(|check| check.set_count() > 0)
    }

    /// Calls `handler` when the page is filled in and the person wants to go on.
    pub fn connect_done(&self, handler: impl Fn() + 'static) -> glib::SignalHandlerId {
        self.connect_local("done", false, move |_| {
            handler();
            None
        })
    }

    /// Looks at the folder and shows what was found. Whether it is good.
    async fn test(&self) -> bool {
        let imp = self.imp();
        if let Some(problem) = imp.folder_row.problem() {
            show_hint(&imp.hint_label, &problem);
            imp.folder_row.add_css_class("error");
            imp.folder_row.grab_focus();
            return false;
        }
        let Some(path) = imp.folder_row.path() else { return false };
        if let Some(name) = self.holder(&path) {
            // The backups of two plans in one folder would be taken for one another's.
            let text = gettext_f(
                "The plan “{name}” keeps its backups here. Every plan needs a folder of its own.",
                &[("name", &name)],
            );
            show_hint(&imp.hint_label, &text);
            imp.folder_row.add_css_class("error");
            return false;
        }
        imp.question.set(imp.question.get() + 1);
        let question = imp.question.get();
        imp.report.set_looking();
        let check = DestinationCheck::run(path).await;
        if imp.question.get() != question {
            return false;
        }
        imp.report.show_for_backup(&check, &imp.folders.borrow());
        let good = check.obstacle().is_none();
        imp.check.replace(good.then_some(check));
        if !good {
            imp.folder_row.add_css_class("error");
        }
        good
    }
}
