//! When a plan is backed up by itself; for the assistant and for the settings of a plan.

use std::cell::{Cell, RefCell};
use std::sync::OnceLock;

use adw::prelude::*;
use adw::subclass::prelude::*;
use glib::subclass::Signal;
use jiff::civil::Time;

use crate::plan::schedule::{Every, Schedule, Weekday};
use crate::ui::describe;

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "schedule_page.ui")]
    pub struct SchedulePage {
        #[template_child]
        pub content: TemplateChild<adw::PreferencesPage>,
        #[template_child]
        pub every_row: TemplateChild<adw::ComboRow>,
        #[template_child]
        pub weekday_row: TemplateChild<adw::ComboRow>,
        #[template_child]
        pub day_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub day_spin: TemplateChild<gtk::SpinButton>,
        #[template_child]
        pub hour_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub hour_spin: TemplateChild<gtk::SpinButton>,
        #[template_child]
        pub minute_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub minute_spin: TemplateChild<gtk::SpinButton>,
        #[template_child]
        pub catch_up_row: TemplateChild<adw::SwitchRow>,
        #[template_child]
        pub passphrase_hint: TemplateChild<gtk::Label>,
        #[template_child]
        pub conditions_group: TemplateChild<adw::PreferencesGroup>,
        #[template_child]
        pub battery_row: TemplateChild<adw::SwitchRow>,
        #[template_child]
        pub metered_row: TemplateChild<adw::SwitchRow>,
        #[template_child]
        pub saver_row: TemplateChild<adw::SwitchRow>,
        #[template_child]
        pub game_row: TemplateChild<adw::SwitchRow>,
        #[template_child]
        pub prove_group: TemplateChild<adw::PreferencesGroup>,
        #[template_child]
        pub prove_row: TemplateChild<adw::SwitchRow>,
        #[template_child]
        pub done_button: TemplateChild<gtk::Button>,
        /// What was filled in, with what is not on the page.
        pub before: RefCell<Schedule>,
        pub lacks_passphrase: Cell<bool>,
        pub filling: Cell<bool>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for SchedulePage {
        const NAME: &'static str = "SouvenirSchedulePage";
        type Type = super::SchedulePage;
        type ParentType = adw::NavigationPage;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
            class.bind_template_callbacks();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for SchedulePage {
        fn constructed(&self) {
            self.parent_constructed();
            self.filling.set(true);
            let names = Every::ALL.map(describe::every);
            self.every_row.set_model(Some(&list(&names)));
            let names = Weekday::ALL.map(describe::weekday);
            self.weekday_row.set_model(Some(&list(&names)));
            for spin in [&self.hour_spin, &self.minute_spin] {
                spin.connect_output(|spin| {
                    let text = format!("{:02}", spin.value_as_int());
                    if spin.text() != text {
                        spin.set_text(&text);
                    }
                    glib::Propagation::Stop
                });
            }
            self.filling.set(false);
            // What a new plan is offered.
            self.obj().fill(&Schedule { every: Every::Day, ..Schedule::default() });
        }

        fn signals() -> &'static [Signal] {
            static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
            SIGNALS.get_or_init(|| vec![Signal::builder("done").build()])
        }
    }

    impl WidgetImpl for SchedulePage {}
    impl NavigationPageImpl for SchedulePage {}

    #[gtk::template_callbacks]
    impl SchedulePage {
        #[template_callback]
        fn on_changed(&self) {
            if !self.filling.get() {
                self.obj().refresh();
            }
        }

        #[template_callback]
        fn on_done(&self) {
            self.obj().emit_by_name::<()>("done", &[]);
        }
    }

    fn list(names: &[String]) -> gtk::StringList {
        gtk::StringList::new(&names.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

glib::wrapper! {
    /// See the module.
    pub struct SchedulePage(ObjectSubclass<imp::SchedulePage>)
        @extends adw::NavigationPage, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl SchedulePage {
    /// Puts another group below the others.
    pub fn add_group(&self, group: &impl IsA<adw::PreferencesGroup>) {
        self.imp().content.add(group);
    }

    /// Fills in what was chosen before.
    pub fn fill(&self, schedule: &Schedule) {
        let imp = self.imp();
        imp.filling.set(true);
        let every = Every::ALL.iter().position(|every| *every == schedule.every).unwrap_or(0);
        imp.every_row.set_selected(u32::try_from(every).unwrap_or(0));
        let weekday = Weekday::ALL.iter().position(|day| *day == schedule.weekday).unwrap_or(0);
        imp.weekday_row.set_selected(u32::try_from(weekday).unwrap_or(0));
        imp.day_spin.set_value(schedule.day.into());
        imp.hour_spin.set_value(schedule.time.hour().into());
        imp.minute_spin.set_value(schedule.time.minute().into());
        imp.catch_up_row.set_active(schedule.catch_up);
        imp.battery_row.set_active(!schedule.on_battery);
        imp.metered_row.set_active(!schedule.on_metered);
        imp.saver_row.set_active(!schedule.in_power_saver);
        imp.game_row.set_active(!schedule.during_games);
        imp.prove_row.set_active(schedule.prove);
        imp.before.replace(schedule.clone());
        imp.filling.set(false);
        self.refresh();
    }

    /// Says what the button at the end does.
    pub fn set_action(&self, label: &str) {
        self.imp().done_button.set_label(label);
    }

    /// Says whether a passphrase will be missing when nobody is there to type it.
    pub fn set_lacks_passphrase(&self, lacks: bool) {
        self.imp().lacks_passphrase.set(lacks);
        self.refresh();
    }

    /// What is chosen.
    pub fn schedule(&self) -> Schedule {
        let imp = self.imp();
        let number = |spin: &gtk::SpinButton| i8::try_from(spin.value_as_int()).unwrap_or(0);
        Schedule {
            every: Every::ALL.get(imp.every_row.selected() as usize).copied().unwrap_or_default(),
            time: Time::new(number(&imp.hour_spin), number(&imp.minute_spin), 0, 0).unwrap_or_default(),
            weekday: Weekday::ALL.get(imp.weekday_row.selected() as usize).copied().unwrap_or_default(),
            day: number(&imp.day_spin).unsigned_abs(),
            catch_up: imp.catch_up_row.is_active(),
            on_battery: !imp.battery_row.is_active(),
            on_metered: !imp.metered_row.is_active(),
            in_power_saver: !imp.saver_row.is_active(),
            during_games: !imp.game_row.is_active(),
            prove: imp.prove_row.is_active(),
            since: imp.before.borrow().since,
        }
    }

    /// Calls `handler` when the page is filled in.
    pub fn connect_done(&self, handler: impl Fn() + 'static) -> glib::SignalHandlerId {
        self.connect_local("done", false, move |_| {
            handler();
            None
        })
    }

    fn refresh(&self) {
        let imp = self.imp();
        let every = self.schedule().every;
        let is_on = every != Every::Never;
        imp.weekday_row.set_visible(every == Every::Week);
        imp.day_row.set_visible(every == Every::Month);
        imp.hour_row.set_visible(is_on && every != Every::Hour);
        imp.minute_row.set_visible(is_on);
        imp.catch_up_row.set_visible(is_on);
        imp.conditions_group.set_visible(is_on);
        imp.prove_group.set_visible(is_on);
        imp.passphrase_hint.set_visible(is_on && imp.lacks_passphrase.get());
    }
}
