//! How fast it may go to a destination and from there.

use std::num::NonZeroU64;
use std::sync::OnceLock;

use adw::prelude::*;
use adw::subclass::prelude::*;
use glib::subclass::Signal;

use crate::i18n::{gettext, gettext_f};
use crate::plan::Rates;
use crate::ui::words;

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "speed_group.ui")]
    pub struct SpeedGroup {
        #[template_child]
        pub upload_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub upload_spin: TemplateChild<gtk::SpinButton>,
        #[template_child]
        pub download_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub download_spin: TemplateChild<gtk::SpinButton>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for SpeedGroup {
        const NAME: &'static str = "SouvenirSpeedGroup";
        type Type = super::SpeedGroup;
        type ParentType = adw::PreferencesGroup;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
            class.bind_template_callbacks();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for SpeedGroup {
        fn signals() -> &'static [Signal] {
            static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
            SIGNALS.get_or_init(|| vec![Signal::builder("changed").build()])
        }
    }

    impl WidgetImpl for SpeedGroup {}
    impl PreferencesGroupImpl for SpeedGroup {}

    #[gtk::template_callbacks]
    impl SpeedGroup {
        #[template_callback]
        fn on_changed(&self) {
            self.obj().explain();
            self.obj().emit_by_name::<()>("changed", &[]);
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct SpeedGroup(ObjectSubclass<imp::SpeedGroup>)
        @extends adw::PreferencesGroup, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl SpeedGroup {
    /// Fills in what holds.
    pub fn fill(&self, rates: Rates) {
        let imp = self.imp();
        for (spin, limit) in
            [(&imp.upload_spin, rates.upload_limit), (&imp.download_spin, rates.download_limit)]
        {
            let kibibytes = limit.map_or(0.0, |limit| limit.get() as f64);
            // Who wrote a larger one into the file of the plans meant it.
            let bounds = spin.adjustment();
            bounds.set_upper(bounds.upper().max(kibibytes));
            spin.set_value(kibibytes);
        }
        self.explain();
    }

    /// What is filled in.
    pub fn rates(&self) -> Rates {
        let imp = self.imp();
        let limit = |spin: &gtk::SpinButton| NonZeroU64::new(spin.value() as u64);
        Rates { upload_limit: limit(&imp.upload_spin), download_limit: limit(&imp.download_spin) }
    }

    /// Says what a limit amounts to.
    fn explain(&self) {
        let imp = self.imp();
        let rates = self.rates();
        for (row, limit) in [(&imp.upload_row, rates.upload_limit), (&imp.download_row, rates.download_limit)]
        {
            row.set_subtitle(&match limit {
                None => gettext("As fast as it goes"),
                Some(limit) => {
                    let an_hour = limit.get().saturating_mul(1024 * 60 * 60);
                    gettext_f("At most {size} an hour", &[("size", &words::size(an_hour))])
                }
            });
        }
    }
}
