//! What is seen while a catalogue is opened: at once that something is being done, and after a second how
//! far it is.

use std::time::Duration;

use adw::prelude::*;
use adw::subclass::prelude::*;

use crate::ui::model::JobModel;
use crate::ui::widgets::JobProgress;

/// After this a bar says more than a spinner.
const LONG: Duration = Duration::from_secs(1);

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "loading_view.ui")]
    pub struct LoadingView {
        #[template_child]
        pub stack: TemplateChild<gtk::Stack>,
        #[template_child]
        pub progress: TemplateChild<JobProgress>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for LoadingView {
        const NAME: &'static str = "SouvenirLoadingView";
        type Type = super::LoadingView;
        type ParentType = adw::Bin;

        fn class_init(class: &mut Self::Class) {
            JobProgress::ensure_type();
            class.bind_template();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for LoadingView {}
    impl WidgetImpl for LoadingView {}
    impl BinImpl for LoadingView {}
}

glib::wrapper! {
    /// See the module.
    pub struct LoadingView(ObjectSubclass<imp::LoadingView>)
        @extends adw::Bin, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl LoadingView {
    /// Shows a job.
    pub fn set_job(&self, job: &JobModel) {
        self.imp().stack.set_visible_child_name("short");
        let (view, job) = (self.downgrade(), job.downgrade());
        glib::timeout_add_local_once(LONG, move || {
            if let (Some(view), Some(job)) = (view.upgrade(), job.upgrade())
                && job.is_running()
            {
                view.imp().progress.set_job(Some(&job));
                view.imp().stack.set_visible_child_name("long");
            }
        });
    }

    /// Shows that something is being looked up that no job stands for.
    pub fn set_waiting(&self) {
        self.imp().stack.set_visible_child_name("short");
    }
}
