//! Everything that a run warned of.

use std::cell::RefCell;

use adw::prelude::*;
use adw::subclass::prelude::*;
use glib::BoxedAnyObject;

use crate::i18n::ngettext_f;
use crate::plan::history::RunWarning;
use crate::ui::{error_text, words};

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "warnings_page.ui")]
    pub struct WarningsPage {
        #[template_child]
        pub list: TemplateChild<gtk::ListView>,
        #[template_child]
        pub selection: TemplateChild<gtk::NoSelection>,
        #[template_child]
        pub more_label: TemplateChild<gtk::Label>,
        pub warnings: RefCell<Vec<RunWarning>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for WarningsPage {
        const NAME: &'static str = "SouvenirWarningsPage";
        type Type = super::WarningsPage;
        type ParentType = adw::NavigationPage;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
            class.bind_template_callbacks();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for WarningsPage {
        fn constructed(&self) {
            self.parent_constructed();
            let factory = gtk::SignalListItemFactory::new();
            factory.connect_setup(|_, item| {
                if let Some(item) = item.downcast_ref::<gtk::ListItem>() {
                    item.set_activatable(false);
                    item.set_child(Some(&line()));
                }
            });
            factory.connect_bind(|_, item| {
                if let Some(item) = item.downcast_ref::<gtk::ListItem>() {
                    bind(item);
                }
            });
            self.list.set_factory(Some(&factory));
        }
    }

    impl WidgetImpl for WarningsPage {}
    impl NavigationPageImpl for WarningsPage {}

    #[gtk::template_callbacks]
    impl WarningsPage {
        #[template_callback]
        fn on_copy(&self) {
            let lines = self.warnings.borrow();
            let text: Vec<_> = lines
                .iter()
                .map(|line| format!("{}\t{}", line.subject, error_text::warning_in_full(line)))
                .collect();
            self.obj().clipboard().set_text(&text.join("\n"));
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct WarningsPage(ObjectSubclass<imp::WarningsPage>)
        @extends adw::NavigationPage, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl WarningsPage {
    /// A page with these warnings, which are the first of `count`.
    pub fn new(warnings: Vec<RunWarning>, count: u64) -> Self {
        let page: Self = glib::Object::new();
        let imp = page.imp();
        let more = count.saturating_sub(warnings.len() as u64);
        if more > 0 {
            imp.more_label.set_label(&ngettext_f(
                "And {count} more.",
                "And {count} more.",
                more,
                &[("count", &words::count(more))],
            ));
            imp.more_label.set_visible(true);
        }
        let model: gio::ListStore = warnings.iter().cloned().map(BoxedAnyObject::new).collect();
        imp.selection.set_model(Some(&model));
        imp.warnings.replace(warnings);
        page
    }
}

fn line() -> gtk::Box {
    let subject =
        gtk::Label::builder().xalign(0.0).wrap(true).wrap_mode(gtk::pango::WrapMode::WordChar).build();
    let text = gtk::Label::builder().xalign(0.0).wrap(true).css_classes(["caption", "dimmed"]).build();
    let line = gtk::Box::builder()
        .orientation(gtk::Orientation::Vertical)
        .spacing(6)
        .margin_top(6)
        .margin_bottom(6)
        .margin_start(6)
        .margin_end(6)
        .build();
    line.append(&subject);
    line.append(&text);
    line
}

fn bind(item: &gtk::ListItem) {
    let (Some(line), Some(object)) = (item.child(), item.item().and_downcast::<BoxedAnyObject>()) else {
        return;
    };
    let warning = object.borrow::<RunWarning>();
    let text = error_text::warning(&warning);
    if let Some(label) = line.first_child().and_downcast::<gtk::Label>() {
        label.set_label(&warning.subject);
    }
    if let Some(label) = line.last_child().and_downcast::<gtk::Label>() {
        label.set_label(&text);
    }
    item.set_accessible_label(&format!("{}: {text}", warning.subject));
}
