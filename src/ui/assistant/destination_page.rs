//! Where the backups are kept: the assistant's second page, and one of the settings. Nothing is written by
//! looking.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use adw::prelude::*;
use adw::subclass::prelude::*;
use glib::subclass::Signal;

use crate::i18n::gettext_f;
use crate::plan::Destination;
use crate::ui::describe;
use crate::ui::model::Repository;
use crate::ui::widgets::{DestinationCheck, DestinationChooser, DestinationReport};

/// How long somebody must not have typed before the folder is looked at.
const TYPING_PAUSE: Duration = Duration::from_millis(800);

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "destination_page.ui")]
    pub struct DestinationPage {
        #[template_child]
        pub chooser: TemplateChild<DestinationChooser>,
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
            DestinationChooser::ensure_type();
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
            self.chooser.connect_entered(move || {
                let Some(page) = page.upgrade() else { return };
                glib::spawn_future_local(async move {
                    let is_known = page.imp().check.borrow().is_some();
                    if page.test().await && is_known {
                        page.emit_by_name::<()>("done", &[]);
                    }
                });
            });
            let page = self.obj().downgrade();
            self.chooser.connect_changed(move || {
                if let Some(page) = page.upgrade() {
                    page.take_change();
                }
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

    /// Fills in a place that was chosen before.
    pub fn fill(&self, destination: &Destination) {
        self.imp().chooser.fill(destination);
    }

    /// Tells the page where the other plans keep their backups.
    pub fn set_taken(&self, taken: Vec<(Destination, String)>) {
        self.imp().taken.replace(taken);
    }

    /// Whether another plan keeps its backups there, which is said: those of two plans in one folder would be taken
    /// for one another's.
    fn refuses(&self, destination: &Destination) -> bool {
        let imp = self.imp();
        let taken = imp.taken.borrow();
        let same = taken.iter().find(|(other, _)| other.is_same_place(destination));
        let Some((_, name)) = same else { return false };
        let text = gettext_f(
            "The plan “{name}” keeps its backups here. Every plan needs a folder of its own.",
            &[("name", name)],
        );
        imp.chooser.show_problem(&text);
        imp.chooser.mark();
        true
    }

    /// Whether one of the folders to back up is the place itself or lies in it, which is said: it would be left out
    /// together with the backups.
    async fn refuses_around(&self, destination: Destination) -> bool {
        let imp = self.imp();
        let folders = imp.folders.borrow().clone();
        let held = move || destination.holding(&folders).map(Path::to_owned);
        let held = gio::spawn_blocking(held).await.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let Some(folder) = held else { return false };
        imp.chooser.show_problem(&describe::held_folder(&folder));
        imp.chooser.mark();
        true
    }

    /// The destination, once it was found good.
    pub fn destination(&self) -> Option<Destination> {
        self.imp().check.borrow().as_ref().map(|check| check.repository.destination().clone())
    }

    /// The place as it was tried, with what was answered for it.
    pub fn repository(&self) -> Option<Repository> {
        self.imp().check.borrow().as_ref().map(|check| check.repository.clone())
    }

    /// What was found at the destination, once it was found good.
    pub fn check(&self) -> Option<DestinationCheck> {
        self.imp().check.borrow().clone()
    }

    /// Calls `handler` when the page is filled in and the person wants to go on.
    pub fn connect_done(&self, handler: impl Fn() + 'static) -> glib::SignalHandlerId {
        self.connect_local("done", false, move |_| {
            handler();
            None
        })
    }

    /// Forgets what was found. A folder is looked at again once nobody types any more; a server only when it
    /// is asked for, since every look is a sign-in.
    fn take_change(&self) {
        let imp = self.imp();
        imp.question.set(imp.question.get() + 1);
        imp.check.replace(None);
        imp.report.clear();
        let (page, question) = (self.downgrade(), imp.question.get());
        glib::timeout_add_local_once(TYPING_PAUSE, move || {
            let Some(page) = page.upgrade() else { return };
            let imp = page.imp();
            if imp.question.get() == question && imp.chooser.is_local_place() {
                glib::spawn_future_local(async move { page.test().await });
            }
        });
    }

    /// Looks at the place and shows what was found. Whether it is good.
    async fn test(&self) -> bool {
        let imp = self.imp();
        imp.question.set(imp.question.get() + 1);
        let question = imp.question.get();
        let Some(destination) = imp.chooser.read().await else { return false };
        if imp.question.get() != question || self.refuses(&destination) {
            return false;
        }
        // What was found good a moment ago need not be asked again.
        if self.destination().is_some_and(|known| known == destination) && !destination.is_local() {
            return true;
        }
        imp.report.set_looking();
        let check = DestinationCheck::run(destination, self).await;
        if imp.question.get() != question {
            return false;
        }
        // Only now it is known what drive a folder is on.
        if self.refuses(check.repository.destination()) {
            imp.report.clear();
            return false;
        }
        let holds_folder = self.refuses_around(check.repository.destination().clone()).await;
        if imp.question.get() != question {
            return false;
        }
        if holds_folder {
            imp.report.clear();
            return false;
        }
        imp.report.show_for_backup(&check, &imp.folders.borrow());
        let good = check.obstacle().is_none();
        imp.check.replace(good.then_some(check));
        if !good {
            imp.chooser.mark();
        }
        good
    }
}
