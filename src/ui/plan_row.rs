//! A plan in the sidebar.

use std::cell::{Cell, RefCell};

use gtk::prelude::*;
use gtk::subclass::prelude::*;

use super::model::PlanObject;
use super::overview::state_icon;

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "plan_row.ui")]
    pub struct PlanRow {
        #[template_child]
        pub icon: TemplateChild<gtk::Image>,
        #[template_child]
        pub name_label: TemplateChild<gtk::Label>,
        #[template_child]
        pub sentence_label: TemplateChild<gtk::Label>,
        #[template_child]
        pub next_label: TemplateChild<gtk::Label>,
        pub plan: RefCell<Option<PlanObject>>,
        pub coloured: Cell<Option<&'static str>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for PlanRow {
        const NAME: &'static str = "SouvenirPlanRow";
        type Type = super::PlanRow;
        type ParentType = gtk::ListBoxRow;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for PlanRow {}
    impl WidgetImpl for PlanRow {}
    impl ListBoxRowImpl for PlanRow {}
}

glib::wrapper! {
    /// See the module.
    pub struct PlanRow(ObjectSubclass<imp::PlanRow>)
        @extends gtk::ListBoxRow, gtk::Widget,
        @implements gtk::Accessible, gtk::Actionable, gtk::Buildable, gtk::ConstraintTarget;
}

impl PlanRow {
    /// A row that follows a plan.
    pub fn new(plan: &PlanObject) -> Self {
        let row: Self = glib::Object::new();
        row.imp().plan.replace(Some(plan.clone()));
        plan.bind_property("name", &*row.imp().name_label, "label").sync_create().build();
        plan.bind_property("sentence", &*row.imp().sentence_label, "label").sync_create().build();
        let weak = row.downgrade();
        plan.connect_changed(move |plan| {
            if let Some(row) = weak.upgrade() {
                row.refresh(plan);
            }
        });
        row.refresh(plan);
        row
    }

    /// The plan.
    pub fn plan(&self) -> Option<PlanObject> {
        self.imp().plan.borrow().clone()
    }

    fn refresh(&self, plan: &PlanObject) {
        let imp = self.imp();
        let next = plan.next();
        imp.next_label.set_label(&next);
        imp.next_label.set_visible(!next.is_empty());
        self.update_property(&[
            gtk::accessible::Property::Label(&plan.name()),
            gtk::accessible::Property::Description(format!("{}\n{next}", plan.sentence()).trim_end()),
        ]);
        let (icon, class) = state_icon(plan.state());
        imp.icon.set_icon_name(Some(icon));
        if let Some(old) = imp.coloured.replace(class) {
            imp.icon.remove_css_class(old);
        }
        if let Some(class) = class {
            imp.icon.add_css_class(class);
        }
    }
}
