//! Which snapshot is shown: its date, the one before and after it, and a calendar of all.

use std::cell::{Cell, RefCell};
use std::sync::OnceLock;

use glib::subclass::Signal;
use gtk::prelude::*;
use gtk::subclass::prelude::*;

use super::columns;
use crate::engine::format::time::SetTime;
use crate::i18n::gettext_f;
use crate::ui::words;

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate, glib::Properties)]
    #[properties(wrapper_type = super::SnapshotBar)]
    #[template(file = "snapshot_bar.ui")]
    pub struct SnapshotBar {
        #[template_child]
        pub date_button: TemplateChild<gtk::MenuButton>,
        #[template_child]
        pub date_label: TemplateChild<gtk::Label>,
        #[template_child]
        pub popover: TemplateChild<gtk::Popover>,
        #[template_child]
        pub calendar: TemplateChild<gtk::Calendar>,
        #[template_child]
        pub list: TemplateChild<gtk::ListView>,
        /// Newest first, as in the list.
        pub times: RefCell<Vec<SetTime>>,
        pub names: RefCell<Vec<String>>,
        pub selection: gtk::SingleSelection,
        pub position: Cell<Option<usize>>,
        /// Whether the time stands below the date, where a line has no room for both.
        #[property(get, set = Self::set_two_lines)]
        pub two_lines: Cell<bool>,
        pub filling: Cell<bool>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for SnapshotBar {
        const NAME: &'static str = "SouvenirSnapshotBar";
        type Type = super::SnapshotBar;
        type ParentType = gtk::Box;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
            class.bind_template_callbacks();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    #[glib::derived_properties]
    impl ObjectImpl for SnapshotBar {
        fn constructed(&self) {
            self.parent_constructed();
            self.list.set_factory(Some(&columns::date_factory()));
            self.list.set_model(Some(&self.selection));
        }

        fn signals() -> &'static [Signal] {
            static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
            SIGNALS.get_or_init(|| vec![Signal::builder("chosen").param_types([u32::static_type()]).build()])
        }
    }

    impl WidgetImpl for SnapshotBar {}
    impl BoxImpl for SnapshotBar {}

    #[gtk::template_callbacks]
    impl SnapshotBar {
        fn set_two_lines(&self, two_lines: bool) {
            self.two_lines.set(two_lines);
            self.obj().show_date();
        }

        #[template_callback]
        fn on_popover_shown(&self) {
            let Some(position) = self.position.get() else { return };
            let time = self.times.borrow()[position];
            if let Ok(day) = glib::DateTime::from_unix_local(time.epoch()) {
                self.filling.set(true);
                self.calendar.select_day(&day);
                self.filling.set(false);
            }
            self.on_month_changed();
            self.obj().bring_into_view(position);
        }

        #[template_callback]
        fn on_month_changed(&self) {
            self.calendar.clear_marks();
            let (year, month) = (self.calendar.year(), self.calendar.month() + 1);
            for time in &*self.times.borrow() {
                if let Ok(day) = glib::DateTime::from_unix_local(time.epoch())
                    && (day.year(), day.month()) == (year, month)
                {
                    self.calendar.mark_day(u32::try_from(day.day_of_month()).unwrap_or(1));
                }
            }
        }

        #[template_callback]
        fn on_day_selected(&self) {
            if self.filling.get() {
                return;
            }
            // The last one of the day, or else what there was by then.
            let Ok(end) = self.calendar.date().add_days(1) else { return };
            let times = self.times.borrow();
            let position = times.iter().position(|time| time.epoch() < end.to_unix());
            let position = position.unwrap_or(times.len().saturating_sub(1));
            drop(times);
            self.obj().bring_into_view(position);
        }

        #[template_callback]
        fn on_activate(&self, position: u32) {
            self.popover.popdown();
            self.obj().emit_by_name::<()>("chosen", &[&position]);
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct SnapshotBar(ObjectSubclass<imp::SnapshotBar>)
        @extends gtk::Box, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget, gtk::Orientable;
}

impl SnapshotBar {
    /// Offers these snapshots, the newest first.
    pub fn set_snapshots(&self, times: &[SetTime]) {
        let imp = self.imp();
        let names = words::set_dates(times);
        let list: Vec<&str> = names.iter().map(String::as_str).collect();
        imp.selection.set_model(Some(&gtk::StringList::new(&list)));
        imp.names.replace(names);
        imp.times.replace(times.to_vec());
        imp.position.set(None);
        self.set_visible(!times.is_empty());
    }

    /// Shows which snapshot is seen.
    pub fn set_selected(&self, time: SetTime) {
        let imp = self.imp();
        let position = imp.times.borrow().iter().position(|other| *other == time);
        imp.position.set(position);
        self.show_date();
    }

    fn show_date(&self) {
        let imp = self.imp();
        let names = imp.names.borrow();
        let Some(name) = imp.position.get().and_then(|position| names.get(position)) else { return };
        match name.rsplit_once(", ").filter(|_| imp.two_lines.get()) {
            Some((date, time)) => imp.date_label.set_label(&format!("{date}\n{time}")),
            None => imp.date_label.set_label(name),
        }
        let label = gettext_f("Snapshot of {date}", &[("date", name)]);
        imp.date_button.update_property(&[gtk::accessible::Property::Label(&label)]);
    }

    /// The time of the snapshot so many steps older, or newer if the number is negative.
    pub fn step(&self, by: isize) -> Option<SetTime> {
        let imp = self.imp();
        let position = imp.position.get()?.checked_add_signed(by)?;
        imp.times.borrow().get(position).copied()
    }

    /// Calls `handler` with the time of a snapshot that was chosen.
    pub fn connect_chosen(&self, handler: impl Fn(SetTime) + 'static) -> glib::SignalHandlerId {
        let bar = self.downgrade();
        self.connect_local("chosen", false, move |values| {
            let position = values.get(1).and_then(|value| value.get::<u32>().ok())?;
            let time = bar.upgrade()?.imp().times.borrow().get(position as usize).copied();
            if let Some(time) = time {
                handler(time);
            }
            None
        })
    }

    fn bring_into_view(&self, position: usize) {
        let position = u32::try_from(position).unwrap_or(0);
        self.imp().list.scroll_to(position, gtk::ListScrollFlags::SELECT, None);
    }
}
