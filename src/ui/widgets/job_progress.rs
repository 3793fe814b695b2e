//! What a running job does: phase, bar, figures, the current file, pause and stop.

use std::time::Duration;

use adw::prelude::*;
use adw::subclass::prelude::*;

use crate::engine::job::CancelReason;
use crate::i18n::gettext;
use crate::ui::model::JobModel;

/// How often the bar moves while it is not known how much there is to do.
const PULSE_INTERVAL: Duration = Duration::from_millis(80);

mod imp {
    use super::*;
    use std::cell::{Cell, OnceCell};

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "job_progress.ui")]
    pub struct JobProgress {
        #[template_child]
        pub title_label: TemplateChild<gtk::Label>,
        #[template_child]
        pub bar: TemplateChild<gtk::ProgressBar>,
        #[template_child]
        pub figures: TemplateChild<gtk::Box>,
        #[template_child]
        pub counts_label: TemplateChild<gtk::Label>,
        #[template_child]
        pub path_label: TemplateChild<gtk::Label>,
        #[template_child]
        pub pause_button: TemplateChild<gtk::Button>,
        #[template_child]
        pub stop_button: TemplateChild<gtk::Button>,
        pub job: OnceCell<glib::SignalGroup>,
        pub pulsing: Cell<bool>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for JobProgress {
        const NAME: &'static str = "SouvenirJobProgress";
        type Type = super::JobProgress;
        type ParentType = gtk::Box;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
            class.bind_template_callbacks();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for JobProgress {
        fn constructed(&self) {
            self.parent_constructed();
            let signals = glib::SignalGroup::new::<JobModel>();
            let widget = self.obj().downgrade();
            signals.connect_notify_local(None, move |_, _| {
                if let Some(widget) = widget.upgrade() {
                    widget.refresh();
                }
            });
            // Fails only when it is set already, which a new object is not.
            let _ = self.job.set(signals);
        }
    }

    impl WidgetImpl for JobProgress {}
    impl BoxImpl for JobProgress {}

    #[gtk::template_callbacks]
    impl JobProgress {
        #[template_callback]
        fn on_pause(&self) {
            if let Some(job) = self.obj().job() {
                job.set_paused(!job.paused());
            }
        }

        #[template_callback]
        fn on_stop(&self) {
            if let Some(job) = self.obj().job() {
                job.stop(CancelReason::User);
            }
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct JobProgress(ObjectSubclass<imp::JobProgress>)
        @extends gtk::Box, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget, gtk::Orientable;
}

impl JobProgress {
    /// The job that is shown.
    pub fn job(&self) -> Option<JobModel> {
        self.imp().job.get()?.target().and_downcast()
    }

    /// Shows a job.
    pub fn set_job(&self, job: Option<&JobModel>) {
        if self.job().as_ref() == job {
            return;
        }
        if let Some(signals) = self.imp().job.get() {
            signals.set_target(job);
        }
        self.imp().bar.set_fraction(0.0);
        self.refresh();
    }

    fn refresh(&self) {
        let Some(job) = self.job() else { return };
        let imp = self.imp();
        let title = if job.paused() && !job.stopping() { gettext("Paused") } else { job.title() };
        imp.title_label.set_label(&title);
        let parts = [job.files(), job.bytes(), job.rate(), job.time_left()];
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        imp.counts_label.set_label(&parts.join(" · "));
        imp.path_label.set_label(&job.current_path());
        // Nothing moves while others do.
        imp.bar.set_visible(!job.waits_for_turn());
        imp.figures.set_visible(!job.waits_for_turn());
        if job.measured() {
            imp.bar.set_fraction(job.fraction());
        } else if job.is_running() && !imp.pulsing.replace(true) {
            self.pulse();
        }
        imp.pause_button.set_label(&if job.paused() { gettext("_Continue") } else { gettext("_Pause") });
        imp.pause_button.set_sensitive(!job.stopping());
        imp.stop_button.set_sensitive(!job.stopping());
    }

    fn pulse(&self) {
        let widget = self.downgrade();
        glib::timeout_add_local(PULSE_INTERVAL, move || {
            let Some(widget) = widget.upgrade() else { return glib::ControlFlow::Break };
            let Some(job) = widget.job().filter(|job| job.is_running() && !job.measured()) else {
                widget.imp().pulsing.set(false);
                return glib::ControlFlow::Break;
            };
            // Who wants no motion reads what is being done.
            if !job.paused() && widget.is_mapped() && widget.settings().is_gtk_enable_animations() {
                widget.imp().bar.pulse();
            }
            glib::ControlFlow::Continue
        });
    }
}
