//! A failure on a page: what happened, to what, what to do, and the technical text to copy.

use std::cell::RefCell;

use adw::prelude::*;
use adw::subclass::prelude::*;

use crate::config;
use crate::i18n::gettext;
use crate::plan::history::Problem;

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "problem_view.ui")]
    pub struct ProblemView {
        #[template_child]
        pub what_label: TemplateChild<gtk::Label>,
        #[template_child]
        pub subject_label: TemplateChild<gtk::Label>,
        #[template_child]
        pub advice_label: TemplateChild<gtk::Label>,
        #[template_child]
        pub copy_button: TemplateChild<gtk::Button>,
        pub problem: RefCell<Problem>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for ProblemView {
        const NAME: &'static str = "SouvenirProblemView";
        type Type = super::ProblemView;
        type ParentType = gtk::Box;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
            class.bind_template_callbacks();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for ProblemView {}
    impl WidgetImpl for ProblemView {}
    impl BoxImpl for ProblemView {}

    #[gtk::template_callbacks]
    impl ProblemView {
        #[template_callback]
        fn on_copy(&self) {
            let text = details(&self.problem.borrow());
            self.obj().clipboard().set_text(&text);
            // What was pressed says that it worked, where the eye is.
            self.copy_button.set_label(&gettext("Copied"));
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct ProblemView(ObjectSubclass<imp::ProblemView>)
        @extends gtk::Box, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget, gtk::Orientable;
}

impl ProblemView {
    /// Shows a failure, or hides where there is none.
    pub fn set_problem(&self, problem: Option<&Problem>) {
        self.set_visible(problem.is_some());
        let Some(problem) = problem else { return };
        let imp = self.imp();
        imp.what_label.set_label(&problem.what);
        imp.subject_label.set_label(&problem.subject);
        imp.subject_label.set_visible(!problem.subject.is_empty());
        imp.advice_label.set_label(&problem.advice);
        imp.advice_label.set_visible(!problem.advice.is_empty());
        imp.copy_button.set_visible(!problem.details.is_empty());
        imp.copy_button.set_label(&gettext("_Copy Details"));
        imp.problem.replace(problem.clone());
    }

    /// Leaves out what happened, where a heading says it already.
    pub fn hide_title(&self) {
        self.imp().what_label.set_visible(false);
        self.remove_css_class("card");
        self.remove_css_class("problem");
    }
}

/// A button that copies the technical text of a failure, for where there is no room for more. None if there is no such
/// text.
pub fn details_button(problem: &Problem) -> Option<gtk::Button> {
    if problem.details.is_empty() {
        return None;
    }
    let button = gtk::Button::builder()
        .label(gettext("_Copy Details"))
        .use_underline(true)
        .halign(gtk::Align::Center)
        .valign(gtk::Align::Center)
        .build();
    let text = details(problem);
    button.connect_clicked(move |button| {
        button.clipboard().set_text(&text);
        button.set_label(&gettext("Copied"));
    });
    Some(button)
}

/// The technical text of a failure, as somebody who helps needs it.
fn details(problem: &Problem) -> String {
    format!("Souvenir {}\n{}\n{}\n{}\n", config::VERSION, problem.what, problem.subject, problem.details)
}
