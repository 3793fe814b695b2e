//! How long snapshots are kept and how often a full one is made, with what that means for those that there are.

use std::cell::{Cell, RefCell};
use std::sync::OnceLock;

use adw::prelude::*;
use adw::subclass::prelude::*;
use glib::subclass::Signal;
use jiff::tz::TimeZone;

use crate::engine::format::time::SetTime;
use crate::i18n::{gettext, gettext_f, ngettext_f};
use crate::plan::keeping::Fate;
use crate::plan::{FullEvery, Keep, Thinning};
use crate::ui::{describe, words};

/// What is offered first to who wants to keep snapshots for some time.
const USUAL_DAYS: u32 = 365;

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "keeping_group.ui")]
    pub struct KeepingGroup {
        #[template_child]
        pub keep_row: TemplateChild<adw::ComboRow>,
        #[template_child]
        pub days_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub days_spin: TemplateChild<gtk::SpinButton>,
        #[template_child]
        pub hourly_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub hourly_spin: TemplateChild<gtk::SpinButton>,
        #[template_child]
        pub daily_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub daily_spin: TemplateChild<gtk::SpinButton>,
        #[template_child]
        pub weekly_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub weekly_spin: TemplateChild<gtk::SpinButton>,
        #[template_child]
        pub monthly_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub monthly_spin: TemplateChild<gtk::SpinButton>,
        #[template_child]
        pub yearly_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub yearly_spin: TemplateChild<gtk::SpinButton>,
        #[template_child]
        pub fate_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub full_row: TemplateChild<adw::ComboRow>,
        #[template_child]
        pub full_hint: TemplateChild<gtk::Label>,
        pub chains: RefCell<Vec<Vec<SetTime>>>,
        pub filling: Cell<bool>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for KeepingGroup {
        const NAME: &'static str = "SouvenirKeepingGroup";
        type Type = super::KeepingGroup;
        type ParentType = adw::PreferencesGroup;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
            class.bind_template_callbacks();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for KeepingGroup {
        fn constructed(&self) {
            self.parent_constructed();
            self.filling.set(true);
            let names = FullEvery::ALL.map(describe::full_every);
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            self.full_row.set_model(Some(&gtk::StringList::new(&names)));
            self.filling.set(false);
        }

        fn signals() -> &'static [Signal] {
            static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
            SIGNALS.get_or_init(|| vec![Signal::builder("changed").build()])
        }
    }

    impl WidgetImpl for KeepingGroup {}
    impl PreferencesGroupImpl for KeepingGroup {}

    #[gtk::template_callbacks]
    impl KeepingGroup {
        #[template_callback]
        fn on_changed(&self) {
            if !self.filling.get() {
                self.obj().refresh();
                self.obj().emit_by_name::<()>("changed", &[]);
            }
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct KeepingGroup(ObjectSubclass<imp::KeepingGroup>)
        @extends adw::PreferencesGroup, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl Default for KeepingGroup {
    fn default() -> Self {
        glib::Object::new()
    }
}

impl KeepingGroup {
    /// Tells the group which snapshots there are.
    pub fn set_chains(&self, chains: Vec<Vec<SetTime>>) {
        self.imp().chains.replace(chains);
    }

    /// Fills in what was chosen before.
    pub fn fill(&self, keep: &Keep, every: FullEvery) {
        let imp = self.imp();
        imp.filling.set(true);
        let (position, days, thinning) = match keep {
            Keep::Everything => (0, USUAL_DAYS, Thinning::default()),
            Keep::Days { days } => (1, *days, Thinning::default()),
            Keep::Thinned(thinning) => (2, USUAL_DAYS, *thinning),
        };
        imp.keep_row.set_selected(position);
        imp.days_spin.set_value(days.into());
        imp.hourly_spin.set_value(thinning.hourly.into());
        imp.daily_spin.set_value(thinning.daily.into());
        imp.weekly_spin.set_value(thinning.weekly.into());
        imp.monthly_spin.set_value(thinning.monthly.into());
        imp.yearly_spin.set_value(thinning.yearly.into());
        let position = FullEvery::ALL.iter().position(|other| *other == every).unwrap_or(0);
        imp.full_row.set_selected(u32::try_from(position).unwrap_or(0));
        imp.filling.set(false);
        self.refresh();
    }

    /// How long snapshots are kept.
    pub fn keep(&self) -> Keep {
        let imp = self.imp();
        let number = |spin: &gtk::SpinButton| spin.value() as u32;
        match imp.keep_row.selected() {
            1 => Keep::Days { days: number(&imp.days_spin) },
            2 => Keep::Thinned(Thinning {
                hourly: number(&imp.hourly_spin),
                daily: number(&imp.daily_spin),
                weekly: number(&imp.weekly_spin),
                monthly: number(&imp.monthly_spin),
                yearly: number(&imp.yearly_spin),
            }),
            _ => Keep::Everything,
        }
    }

    /// How often a full snapshot begins a new chain.
    pub fn full_every(&self) -> FullEvery {
        let position = self.imp().full_row.selected() as usize;
        FullEvery::ALL.get(position).copied().unwrap_or_default()
    }

    fn refresh(&self) {
        let imp = self.imp();
        let (keep, every) = (self.keep(), self.full_every());
        imp.days_row.set_visible(matches!(keep, Keep::Days { .. }));
        for row in [&imp.hourly_row, &imp.daily_row, &imp.weekly_row, &imp.monthly_row, &imp.yearly_row] {
            row.set_visible(matches!(keep, Keep::Thinned(_)));
        }
        let now = SetTime::now();
        let fate = keep.outcome(&imp.chains.borrow(), now, &TimeZone::system());
        let (title, subtitle) = match keep.rules(now) {
            None if keep == Keep::Everything => {
                (gettext("Nothing is deleted"), gettext("The destination fills up in the course of time."))
            }
            None => (gettext("Nothing is deleted"), gettext("Choose at least one number that is not zero.")),
            Some(_) => (fate_title(fate), fate_reason(fate)),
        };
        imp.fate_row.set_title(&title);
        imp.fate_row.set_subtitle(&subtitle);
        imp.full_hint.set_label(&full_text(every));
    }
}

/// What becomes of the snapshots that there are.
fn fate_title(fate: Fate) -> String {
    let Fate { kept_count, deleted_count, .. } = fate;
    if deleted_count == 0 {
        return gettext("Nothing is deleted after the next backup yet");
    }
    let total = words::count((kept_count + deleted_count) as u64);
    ngettext_f(
        "{count} of {total} snapshots is deleted after the next backup",
        "{count} of {total} snapshots are deleted after the next backup",
        deleted_count as u64,
        &[("count", &words::count(deleted_count as u64)), ("total", &total)],
    )
}

/// Why more stays than the rules say.
fn fate_reason(fate: Fate) -> String {
    let always = gettext(
        "A snapshot that others build on stays as long as they do, and the newest chain always stays: older ones go \
         only after a new full snapshot was made.",
    );
    if fate.needed_count == 0 {
        return always;
    }
    let count = fate.needed_count as u64;
    let needed = ngettext_f(
        "{count} of those that stay is only kept because newer ones build on it.",
        "{count} of those that stay are only kept because newer ones build on them.",
        count,
        &[("count", &words::count(count))],
    );
    gettext_f("{needed} {always}", &[("needed", &needed), ("always", &always)])
}

fn full_text(every: FullEvery) -> String {
    match every {
        FullEvery::Needed => gettext(
            "A full one begins a new chain: after three months, after a hundred snapshots, or when what was added has \
             become as large as the full one.",
        ),
        FullEvery::Never => gettext(
            "The chain becomes longer and longer: restoring takes longer, damage reaches further, and nothing old can be \
             deleted.",
        ),
        _ => gettext("It takes as long as the first one did, and needs as much space."),
    }
}
