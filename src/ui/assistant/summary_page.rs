//! The assistant's last page: what was chosen, and the only buttons that write anything.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use adw::prelude::*;
use adw::subclass::prelude::*;
use glib::subclass::Signal;

use super::protection_page::ProtectionChoice;
use crate::i18n::{gettext, gettext_f};
use crate::plan::history::Problem;
use crate::plan::{Destination, Keep, LeftOut, Schedule};
use crate::platform::folder;
use crate::ui::describe;
use crate::ui::widgets::{ProblemView, show_hint};

/// What is to happen with the new plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// A first backup at once.
    Now,
    /// Nothing for the moment.
    Later,
}

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "summary_page.ui")]
    pub struct SummaryPage {
        #[template_child]
        pub problem_group: TemplateChild<adw::PreferencesGroup>,
        #[template_child]
        pub problem_view: TemplateChild<ProblemView>,
        #[template_child]
        pub name_row: TemplateChild<adw::EntryRow>,
        #[template_child]
        pub name_hint: TemplateChild<gtk::Label>,
        #[template_child]
        pub folders_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub left_out_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub destination_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub protection_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub copy_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub schedule_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub keep_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub advice_group: TemplateChild<adw::PreferencesGroup>,
        #[template_child]
        pub advice_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub bottom_stack: TemplateChild<gtk::Stack>,
        #[template_child]
        pub busy_label: TemplateChild<gtk::Label>,
        /// The names of the other plans.
        pub taken: RefCell<Vec<String>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for SummaryPage {
        const NAME: &'static str = "SouvenirSummaryPage";
        type Type = super::SummaryPage;
        type ParentType = adw::NavigationPage;

        fn class_init(class: &mut Self::Class) {
            ProblemView::ensure_type();
            class.bind_template();
            class.bind_template_callbacks();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for SummaryPage {
        fn signals() -> &'static [Signal] {
            static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
            SIGNALS.get_or_init(|| vec![Signal::builder("done").param_types([bool::static_type()]).build()])
        }
    }

    impl WidgetImpl for SummaryPage {}
    impl NavigationPageImpl for SummaryPage {}

    #[gtk::template_callbacks]
    impl SummaryPage {
        #[template_callback]
        fn on_name_changed(&self) {
            show_hint(&self.name_hint, "");
            self.name_row.remove_css_class("error");
        }

        #[template_callback]
        fn on_now(&self) {
            self.finish(Start::Now);
        }

        #[template_callback]
        fn on_later(&self) {
            self.finish(Start::Later);
        }

        fn finish(&self, start: Start) {
            let name = self.obj().name();
            let problem = if name.is_empty() {
                gettext("Type a name, to tell this backup from others.")
            } else if self.taken.borrow().contains(&name) {
                gettext("Another backup has this name already. Choose another one.")
            } else {
                self.obj().emit_by_name::<()>("done", &[&(start == Start::Now)]);
                return;
            };
            show_hint(&self.name_hint, &problem);
            self.name_row.add_css_class("error");
            self.name_row.grab_focus();
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct SummaryPage(ObjectSubclass<imp::SummaryPage>)
        @extends adw::NavigationPage, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl SummaryPage {
    /// Tells the page the names of the other plans.
    pub fn set_taken(&self, names: Vec<String>) {
        self.imp().taken.replace(names);
    }

    /// Shows what was chosen.
    pub fn show_choices(
        &self,
        folders: &[PathBuf],
        left_out: &LeftOut,
        destination: &Destination,
        protection: &ProtectionChoice,
    ) {
        let imp = self.imp();
        self.show_problem(None);
        if imp.name_row.text().is_empty() {
            imp.name_row.set_text(&describe::plan_name(folders, &imp.taken.borrow()));
        }
        imp.folders_row.set_subtitle(&describe::path_lines(folders));
        let left_out = describe::left_out(left_out);
        imp.left_out_row.set_subtitle(&left_out);
        imp.left_out_row.set_visible(!left_out.is_empty());
        imp.destination_row.set_subtitle(&describe::destination(destination));
        let (text, advice) = protection_texts(protection);
        imp.protection_row.set_subtitle(&text);
        imp.advice_group.set_visible(advice.is_some());
        if let Some((title, subtitle)) = advice {
            imp.advice_row.set_title(&title);
            imp.advice_row.set_subtitle(&subtitle);
        }
    }

    /// Shows when it will be backed up by itself.
    pub fn show_schedule(&self, schedule: &Schedule) {
        self.imp().schedule_row.set_subtitle(&describe::schedule(schedule));
    }

    /// Shows how long snapshots are kept.
    pub fn show_keep(&self, keep: &Keep) {
        self.imp().keep_row.set_subtitle(&describe::keep(keep));
    }

    /// Shows where a copy of the key will be. Then nothing more needs to be said about losing it.
    pub fn show_copy(&self, folder: Option<&Path>) {
        let imp = self.imp();
        imp.copy_row.set_visible(folder.is_some());
        if let Some(folder) = folder {
            imp.copy_row.set_subtitle(&folder::to_shown(folder));
            imp.advice_group.set_visible(false);
        }
    }

    /// The name of the plan.
    pub fn name(&self) -> String {
        self.imp().name_row.text().trim().to_owned()
    }

    /// Shows that something is being done, or that it is no longer.
    pub fn set_busy(&self, text: Option<&str>) {
        let imp = self.imp();
        imp.name_row.set_sensitive(text.is_none());
        self.set_can_pop(text.is_none());
        imp.busy_label.set_label(text.unwrap_or_default());
        imp.bottom_stack.set_visible_child_name(if text.is_some() { "busy" } else { "buttons" });
    }

    /// Shows why it did not work.
    pub fn show_problem(&self, problem: Option<&Problem>) {
        self.imp().problem_group.set_visible(problem.is_some());
        self.imp().problem_view.set_problem(problem);
    }

    /// Calls `handler` when the plan is to be made.
    pub fn connect_done(&self, handler: impl Fn(Start) + 'static) -> glib::SignalHandlerId {
        self.connect_local("done", false, move |values| {
            let now = values.get(1).and_then(|value| value.get().ok()).unwrap_or(false);
            handler(if now { Start::Now } else { Start::Later });
            None
        })
    }
}

fn protection_texts(protection: &ProtectionChoice) -> (String, Option<(String, String)>) {
    let key_advice = || {
        Some((
            gettext("Keep a copy of the key elsewhere"),
            gettext("Without the key nobody can open the backup, you neither. It is on this computer only."),
        ))
    };
    match protection {
        ProtectionChoice::Key { key, signer } => {
            (describe::key(&key.user_id, signer.as_signing()), key_advice())
        }
        ProtectionChoice::NewKey { wish, signer } => {
            let text = describe::key(wish.new.name.trim(), signer.as_signing());
            (gettext_f("{key}, which will be created now", &[("key", &text)]), key_advice())
        }
        ProtectionChoice::Passphrase { .. } => (
            gettext("A passphrase"),
            Some((
                gettext("Do not lose the passphrase"),
                gettext("Without it nobody can open the backup, you neither."),
            )),
        ),
        ProtectionChoice::None => (
            gettext("None"),
            Some((
                gettext("Everybody can read this backup"),
                gettext(
                    "Whoever finds the drive, or has access to the destination, can open every file in it.",
                ),
            )),
        ),
    }
}
