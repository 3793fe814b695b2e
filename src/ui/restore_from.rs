//! Opening a backup that no plan knows: on a new computer, or one that another program made.

use std::cell::Cell;
use std::sync::OnceLock;

use adw::prelude::*;
use adw::subclass::prelude::*;
use glib::BoxedAnyObject;
use glib::subclass::Signal;

use super::keys::{ImportPage, imported_text};
use super::model::Repository;
use super::widgets::{DestinationCheck, DestinationChooser, DestinationReport, DiscoveryGroup, show_hint};

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "restore_from.ui")]
    pub struct RestoreFromDialog {
        #[template_child]
        pub navigation: TemplateChild<adw::NavigationView>,
        #[template_child]
        pub imported_label: TemplateChild<gtk::Label>,
        #[template_child]
        pub discovery_group: TemplateChild<DiscoveryGroup>,
        #[template_child]
        pub chooser: TemplateChild<DestinationChooser>,
        #[template_child]
        pub report: TemplateChild<DestinationReport>,
        /// Counts up with every change, so that the answer to an older question is not shown.
        pub question: Cell<u32>,
        /// Whether the place of the last look can be opened.
        pub found: Cell<bool>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for RestoreFromDialog {
        const NAME: &'static str = "SouvenirRestoreFromDialog";
        type Type = super::RestoreFromDialog;
        type ParentType = adw::Dialog;

        fn class_init(class: &mut Self::Class) {
            DestinationChooser::ensure_type();
            DestinationReport::ensure_type();
            DiscoveryGroup::ensure_type();
            class.bind_template();
            class.bind_template_callbacks();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for RestoreFromDialog {
        fn constructed(&self) {
            self.parent_constructed();
            let dialog = self.obj().downgrade();
            self.discovery_group.connect_chosen(move |destination| {
                let Some(dialog) = dialog.upgrade() else { return };
                dialog.imp().chooser.fill(destination);
                glib::spawn_future_local(async move { dialog.open().await });
            });
            let dialog = self.obj().downgrade();
            self.chooser.connect_entered(move || {
                let Some(dialog) = dialog.upgrade() else { return };
                glib::spawn_future_local(async move {
                    if dialog.imp().found.get() {
                        dialog.open().await;
                    } else {
                        dialog.look().await;
                    }
                });
            });
            let dialog = self.obj().downgrade();
            self.chooser.connect_changed(move || {
                if let Some(dialog) = dialog.upgrade() {
                    let imp = dialog.imp();
                    imp.question.set(imp.question.get() + 1);
                    imp.found.set(false);
                    imp.report.clear();
                }
            });
        }

        fn signals() -> &'static [Signal] {
            static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
            SIGNALS.get_or_init(|| {
                vec![Signal::builder("opened").param_types([BoxedAnyObject::static_type()]).build()]
            })
        }
    }

    impl WidgetImpl for RestoreFromDialog {}
    impl AdwDialogImpl for RestoreFromDialog {}

    #[gtk::template_callbacks]
    impl RestoreFromDialog {
        #[template_callback]
        fn on_import(&self) {
            let dialog = self.obj().downgrade();
            ImportPage::show_over(&self.navigation, move |report| {
                if let Some(dialog) = dialog.upgrade() {
                    dialog.imp().navigation.pop();
                    show_hint(&dialog.imp().imported_label, &imported_text(report));
                }
            });
        }

        #[template_callback]
        async fn on_open(&self) {
            self.obj().open().await;
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct RestoreFromDialog(ObjectSubclass<imp::RestoreFromDialog>)
        @extends adw::Dialog, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget, gtk::ShortcutManager;
}

impl Default for RestoreFromDialog {
    fn default() -> Self {
        glib::Object::new()
    }
}

impl RestoreFromDialog {
    /// Calls `handler` with the backup to open.
    pub fn connect_opened(&self, handler: impl Fn(Repository) + 'static) -> glib::SignalHandlerId {
        self.connect_local("opened", false, move |values| {
            if let Some(Ok(boxed)) = values.get(1).map(glib::Value::get::<BoxedAnyObject>) {
                handler(boxed.borrow::<Repository>().clone());
            }
            None
        })
    }

    async fn open(&self) {
        if let Some(repository) = self.look().await {
            self.emit_by_name::<()>("opened", &[&BoxedAnyObject::new(repository)]);
            self.close();
        }
    }

    /// Looks at the place and shows what was found. The place, if there is something to restore in it.
    async fn look(&self) -> Option<Repository> {
        let imp = self.imp();
        imp.question.set(imp.question.get() + 1);
        let question = imp.question.get();
        let destination = imp.chooser.read().await?;
        if imp.question.get() != question {
            return None;
        }
        imp.report.set_looking();
        let check = DestinationCheck::run(destination, self).await;
        if imp.question.get() != question {
            return None;
        }
        imp.report.show_for_restore(&check);
        let good = check.restore_obstacle().is_none();
        imp.found.set(good);
        if !good {
            imp.chooser.mark();
        }
        good.then_some(check.repository)
    }
}
