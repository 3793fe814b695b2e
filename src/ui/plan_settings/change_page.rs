//! What another destination or another protection means for the backups that there are. Nothing is written
//! here: the change becomes part of what is saved.

use std::cell::RefCell;
use std::sync::OnceLock;

use adw::prelude::*;
use adw::subclass::prelude::*;
use glib::subclass::Signal;

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "change_page.ui")]
    pub struct ChangePage {
        #[template_child]
        pub before_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub after_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub ways_group: TemplateChild<adw::PreferencesGroup>,
        #[template_child]
        pub apply_button: TemplateChild<gtk::Button>,
        pub rows: RefCell<Vec<adw::ActionRow>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for ChangePage {
        const NAME: &'static str = "SouvenirChangePage";
        type Type = super::ChangePage;
        type ParentType = adw::NavigationPage;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
            class.bind_template_callbacks();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for ChangePage {
        fn signals() -> &'static [Signal] {
            static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
            SIGNALS.get_or_init(|| vec![Signal::builder("apply").build()])
        }
    }

    impl WidgetImpl for ChangePage {}
    impl NavigationPageImpl for ChangePage {}

    #[gtk::template_callbacks]
    impl ChangePage {
        #[template_callback]
        fn on_apply(&self) {
            self.obj().emit_by_name::<()>("apply", &[]);
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct ChangePage(ObjectSubclass<imp::ChangePage>)
        @extends adw::NavigationPage, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

/// A change in words.
#[derive(Debug)]
pub struct ChangeText {
    /// What held until now.
    pub before: String,
    /// What is to hold.
    pub after: String,
    /// What follows from it: an icon, a title and an explanation each.
    pub means: Vec<(&'static str, String, String)>,
    /// What the button says.
    pub verb: String,
}

impl ChangePage {
    /// Shows a change.
    pub fn show_change(&self, text: &ChangeText) {
        let imp = self.imp();
        imp.before_row.set_subtitle(&text.before);
        imp.after_row.set_subtitle(&text.after);
        for row in imp.rows.take() {
            imp.ways_group.remove(&row);
        }
        for (icon, title, subtitle) in &text.means {
            let row = adw::ActionRow::builder().use_markup(false).title(title).subtitle(subtitle).build();
            let image = gtk::Image::builder()
                .icon_name(*icon)
                .accessible_role(gtk::AccessibleRole::Presentation)
                .build();
            if *icon == "dialog-warning-symbolic" {
                image.add_css_class("warning");
            }
            row.add_prefix(&image);
            imp.ways_group.add(&row);
            imp.rows.borrow_mut().push(row);
        }
        imp.apply_button.set_label(&text.verb);
    }

    /// Calls `handler` when the change is wanted.
    pub fn connect_apply(&self, handler: impl Fn() + 'static) -> glib::SignalHandlerId {
        self.connect_local("apply", false, move |_| {
            handler();
            None
        })
    }
}
