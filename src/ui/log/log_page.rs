//! All runs of a plan that are remembered, the newest first.

use std::cell::{OnceCell, RefCell};

use adw::prelude::*;
use adw::subclass::prelude::*;

use super::{RunPage, run_text};
use crate::plan::history::Run;
use crate::ui::model::PlanObject;
use crate::ui::window::Window;
use crate::ui::words;

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "log_page.ui")]
    pub struct LogPage {
        #[template_child]
        pub stack: TemplateChild<gtk::Stack>,
        #[template_child]
        pub list: TemplateChild<gtk::ListBox>,
        pub plan: OnceCell<PlanObject>,
        /// In the order of the rows.
        pub runs: RefCell<Vec<Run>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for LogPage {
        const NAME: &'static str = "SouvenirLogPage";
        type Type = super::LogPage;
        type ParentType = adw::NavigationPage;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
            class.bind_template_callbacks();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for LogPage {}
    impl WidgetImpl for LogPage {}
    impl NavigationPageImpl for LogPage {}

    #[gtk::template_callbacks]
    impl LogPage {
        #[template_callback]
        fn on_activated(&self, row: &gtk::ListBoxRow) {
            let position = usize::try_from(row.index()).unwrap_or(0);
            let (Some(run), Some(plan)) = (self.runs.borrow().get(position).cloned(), self.plan.get()) else {
                return;
            };
            if let Some(window) = self.obj().root().and_downcast::<Window>() {
                window.push(&RunPage::new(plan, &run));
            }
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct LogPage(ObjectSubclass<imp::LogPage>)
        @extends adw::NavigationPage, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl LogPage {
    /// The log of a plan. It grows with it.
    pub fn new(plan: &PlanObject) -> Self {
        let page: Self = glib::Object::new();
        // Fails only when it is set already, which a new object is not.
        let _ = page.imp().plan.set(plan.clone());
        page.refresh(plan);
        let weak = page.downgrade();
        plan.connect_changed(move |plan| {
            if let Some(page) = weak.upgrade() {
                page.refresh(plan);
            }
        });
        page
    }

    fn refresh(&self, plan: &PlanObject) {
        let imp = self.imp();
        let mut runs = plan.runs();
        runs.reverse();
        imp.stack.set_visible_child_name(if runs.is_empty() { "empty" } else { "runs" });
        if *imp.runs.borrow() == runs {
            return;
        }
        imp.list.remove_all();
        for run in &runs {
            imp.list.append(&row(run));
        }
        imp.runs.replace(runs);
    }
}

fn row(run: &Run) -> adw::ActionRow {
    let row = adw::ActionRow::builder()
        .use_markup(false)
        .title(words::short_date(run.started_secs))
        .subtitle(run_text::line(run))
        .activatable(true)
        .build();
    row.add_prefix(&run_text::image(run));
    let arrow = gtk::Image::builder()
        .icon_name("go-next-symbolic")
        .accessible_role(gtk::AccessibleRole::Presentation)
        .build();
    row.add_suffix(&arrow);
    row
}
