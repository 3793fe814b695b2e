//! What another destination or another protection means for the backups that there are, and what can be done with
//! them. Nothing is written here: the change becomes part of what is saved.

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
        pub means_group: TemplateChild<adw::PreferencesGroup>,
        #[template_child]
        pub apply_button: TemplateChild<gtk::Button>,
        pub ways: RefCell<Vec<(adw::ActionRow, gtk::CheckButton)>>,
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

/// One of several things that can be done: a title and an explanation.
pub type Way = (String, String);

/// What follows from a change: an icon, a title and an explanation.
pub type Meaning = (&'static str, String, String);

/// A change in words.
#[derive(Debug)]
pub struct ChangeText {
    /// What held until now.
    pub before: String,
    /// What is to hold.
    pub after: String,
    /// Between what there is a choice. The first is chosen.
    pub ways: Vec<Way>,
    /// What follows from it.
    pub means: Vec<Meaning>,
    /// What the button says.
    pub verb: String,
}

impl ChangePage {
    /// Shows a change.
    pub fn show_change(&self, text: &ChangeText) {
        let imp = self.imp();
        imp.before_row.set_subtitle(&text.before);
        imp.after_row.set_subtitle(&text.after);
        for (row, _) in imp.ways.take() {
            imp.ways_group.remove(&row);
        }
        imp.ways_group.set_visible(!text.ways.is_empty());
        for (title, subtitle) in &text.ways {
            let first = imp.ways.borrow().first().map(|(_, button)| button.clone());
            let button = gtk::CheckButton::builder().valign(gtk::Align::Center).build();
            button.set_group(first.as_ref());
            button.set_active(first.is_none());
            button.update_property(&[
                gtk::accessible::Property::Label(title),
                gtk::accessible::Property::Description(subtitle),
            ]);
            let row = adw::ActionRow::builder()
                .use_markup(false)
                .title(title)
                .subtitle(subtitle)
                .subtitle_lines(0)
                .activatable_widget(&button)
                .build();
            row.add_prefix(&button);
            imp.ways_group.add(&row);
            imp.ways.borrow_mut().push((row, button));
        }
        for row in imp.rows.take() {
            imp.means_group.remove(&row);
        }
        imp.means_group.set_visible(!text.means.is_empty());
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
            imp.means_group.add(&row);
            imp.rows.borrow_mut().push(row);
        }
        imp.apply_button.set_label(&text.verb);
    }

    /// Which of the ways is chosen; none if there is no choice.
    pub fn way(&self) -> Option<usize> {
        self.imp().ways.borrow().iter().position(|(_, button)| button.is_active())
    }

    /// Calls `handler` when the change is wanted.
    pub fn connect_apply(&self, handler: impl Fn() + 'static) -> glib::SignalHandlerId {
        self.connect_local("apply", false, move |_| {
            handler();
            None
        })
    }
}
