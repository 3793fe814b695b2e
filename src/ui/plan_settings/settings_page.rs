//! Everything about a plan at a glance, as it is going to be once it is saved.

use std::cell::{Cell, RefCell};
use std::sync::OnceLock;

use adw::prelude::*;
use adw::subclass::prelude::*;
use glib::subclass::Signal;

use super::speed_group::SpeedGroup;
use crate::engine::format::time::SetTime;
use crate::i18n::gettext;
use crate::plan::Plan;
use crate::plan::history::Problem;
use crate::ui::describe;
use crate::ui::widgets::{KeepingGroup, ProblemView, show_hint};

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "settings_page.ui")]
    pub struct SettingsPage {
        #[template_child]
        pub cancel_button: TemplateChild<gtk::Button>,
        #[template_child]
        pub save_button: TemplateChild<gtk::Button>,
        #[template_child]
        pub content: TemplateChild<adw::PreferencesPage>,
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
        pub destination_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub protection_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub schedule_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub keeping_group: TemplateChild<KeepingGroup>,
        #[template_child]
        pub speed_group: TemplateChild<SpeedGroup>,
        #[template_child]
        pub volume_spin: TemplateChild<gtk::SpinButton>,
        /// The names of the other plans.
        pub taken: RefCell<Vec<String>>,
        pub filling: Cell<bool>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for SettingsPage {
        const NAME: &'static str = "SouvenirSettingsPage";
        type Type = super::SettingsPage;
        type ParentType = adw::NavigationPage;

        fn class_init(class: &mut Self::Class) {
            KeepingGroup::ensure_type();
            SpeedGroup::ensure_type();
            ProblemView::ensure_type();
            class.bind_template();
            class.bind_template_callbacks();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for SettingsPage {
        fn signals() -> &'static [Signal] {
            static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
            SIGNALS.get_or_init(|| {
                ["changed", "cancel", "save", "remove"].map(|name| Signal::builder(name).build()).into()
            })
        }
    }

    impl WidgetImpl for SettingsPage {}
    impl NavigationPageImpl for SettingsPage {}

    #[gtk::template_callbacks]
    impl SettingsPage {
        #[template_callback]
        fn on_name_changed(&self) {
            show_hint(&self.name_hint, "");
            self.name_row.remove_css_class("error");
            self.on_changed();
        }

        #[template_callback]
        fn on_changed(&self) {
            if !self.filling.get() {
                self.obj().emit_by_name::<()>("changed", &[]);
            }
        }

        #[template_callback]
        fn on_cancel(&self) {
            self.obj().emit_by_name::<()>("cancel", &[]);
        }

        #[template_callback]
        fn on_save(&self) {
            if self.save_button.is_sensitive() && self.obj().is_good() {
                self.obj().emit_by_name::<()>("save", &[]);
            }
        }

        #[template_callback]
        fn on_remove(&self) {
            self.obj().emit_by_name::<()>("remove", &[]);
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct SettingsPage(ObjectSubclass<imp::SettingsPage>)
        @extends adw::NavigationPage, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl SettingsPage {
    /// The rows of what is kept.
    pub fn keeping_group(&self) -> KeepingGroup {
        self.imp().keeping_group.get()
    }

    /// Tells the page the names of the other plans.
    pub fn set_taken(&self, names: Vec<String>) {
        self.imp().taken.replace(names);
    }

    /// Tells the page which snapshots there are.
    pub fn set_chains(&self, chains: Vec<Vec<SetTime>>) {
        self.imp().keeping_group.set_chains(chains);
    }

    /// Fills in what is typed here.
    pub fn fill(&self, plan: &Plan) {
        let imp = self.imp();
        imp.filling.set(true);
        imp.name_row.set_text(&plan.name);
        imp.keeping_group.fill(&plan.keep, plan.full_every);
        imp.speed_group.fill(plan.rates);
        // Who wrote a larger one into the file of the plans meant it.
        let volume_mib = plan.volume_mib.max(1) as f64;
        let limits = imp.volume_spin.adjustment();
        limits.set_upper(limits.upper().max(volume_mib));
        imp.volume_spin.set_value(volume_mib);
        imp.filling.set(false);
    }

    /// Takes over what is typed here.
    pub fn read(&self, plan: &mut Plan) {
        let imp = self.imp();
        imp.name_row.text().trim().clone_into(&mut plan.name);
        plan.keep = imp.keeping_group.keep();
        plan.full_every = imp.keeping_group.full_every();
        plan.rates = imp.speed_group.rates();
        plan.volume_mib = imp.volume_spin.value() as u64;
    }

    /// Shows what is chosen on other pages. `destination` and `protection` are in words.
    pub fn show_choices(&self, plan: &Plan, destination: &str, protection: &str) {
        let imp = self.imp();
        imp.folders_row.set_subtitle(&describe::folders(&plan.folders, &plan.left_out));
        imp.destination_row.set_subtitle(destination);
        imp.protection_row.set_subtitle(protection);
        imp.schedule_row.set_subtitle(&describe::schedule(&plan.schedule));
    }

    /// Offers to save, where there is something to be saved.
    pub fn set_changed(&self, changed: bool) {
        self.imp().save_button.set_sensitive(changed);
    }

    /// Whether everything is filled in well; else it is said beside it.
    pub fn is_good(&self) -> bool {
        let imp = self.imp();
        let name = imp.name_row.text().trim().to_owned();
        let problem = if name.is_empty() {
            gettext("Type a name, to tell this backup from others.")
        } else if imp.taken.borrow().contains(&name) {
            gettext("Another backup has this name already. Choose another one.")
        } else {
            return true;
        };
        show_hint(&imp.name_hint, &problem);
        imp.name_row.add_css_class("error");
        imp.name_row.grab_focus();
        false
    }

    /// Shows that it is being saved, or no longer.
    pub fn set_busy(&self, busy: bool) {
        let imp = self.imp();
        imp.content.set_sensitive(!busy);
        imp.cancel_button.set_sensitive(!busy);
        imp.save_button.set_sensitive(!busy);
    }

    /// Shows why it did not work.
    pub fn show_problem(&self, problem: Option<&Problem>) {
        self.imp().problem_group.set_visible(problem.is_some());
        self.imp().problem_view.set_problem(problem);
        if problem.is_some() {
            self.imp().content.scroll_to_top();
        }
    }

    /// Calls `handler` on a signal of that name.
    pub fn connect_plain(&self, name: &str, handler: impl Fn() + 'static) -> glib::SignalHandlerId {
        self.connect_local(name, false, move |_| {
            handler();
            None
        })
    }
}
