//! A look at a version of a file. Nothing is asked for it unless the person wants that.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use adw::prelude::*;
use adw::subclass::prelude::*;

use super::sight::{Sight, Version};
use crate::engine::crypto::{AgentTrouble, CryptoError, Keyring};
use crate::engine::error::{Error, Result};
use crate::engine::job::CancelReason;
use crate::i18n::gettext;
use crate::ui::error_text;
use crate::ui::model::{JobKind, JobModel, Repository};
use crate::ui::questions::{Answers, answer_unasked};
use crate::ui::window::Window;

/// So long one has to stay with a file before it is read.
const STAY: Duration = Duration::from_millis(150);

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "preview_view.ui")]
    pub struct PreviewView {
        #[template_child]
        pub stack: TemplateChild<gtk::Stack>,
        #[template_child]
        pub icon: TemplateChild<gtk::Image>,
        #[template_child]
        pub reason_label: TemplateChild<gtk::Label>,
        #[template_child]
        pub show_button: TemplateChild<gtk::Button>,
        #[template_child]
        pub text_view: TemplateChild<gtk::TextView>,
        #[template_child]
        pub picture: TemplateChild<gtk::Picture>,
        pub wish: RefCell<Option<(Repository, Version)>>,
        pub job: RefCell<Option<JobModel>>,
        /// Which wish it is: answers to others are not wanted.
        pub turn: Cell<u64>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for PreviewView {
        const NAME: &'static str = "SouvenirPreviewView";
        type Type = super::PreviewView;
        type ParentType = adw::Bin;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
            class.bind_template_callbacks();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for PreviewView {
        fn dispose(&self) {
            if let Some(job) = self.job.take() {
                job.stop(CancelReason::User);
            }
        }
    }

    impl WidgetImpl for PreviewView {}
    impl BinImpl for PreviewView {}

    #[gtk::template_callbacks]
    impl PreviewView {
        #[template_callback]
        fn on_show(&self) {
            self.obj().read(true);
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct PreviewView(ObjectSubclass<imp::PreviewView>)
        @extends adw::Bin, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl PreviewView {
    /// Shows no contents, only an icon and why.
    pub fn set_nothing(&self, icon: &str, reason: &str) {
        self.forget();
        self.imp().icon.set_icon_name(Some(icon));
        self.show_reason(reason, false);
    }

    /// Shows a version of a file once the person has stayed with it for a moment.
    pub fn set_version(&self, repository: &Repository, version: Version, icon: &str) {
        let imp = self.imp();
        self.forget();
        imp.icon.set_icon_name(Some(icon));
        imp.wish.replace(Some((repository.clone(), version)));
        imp.stack.set_visible_child_name("loading");
        let (view, turn) = (self.downgrade(), imp.turn.get());
        glib::timeout_add_local_once(STAY, move || {
            if let Some(view) = view.upgrade()
                && view.imp().turn.get() == turn
            {
                view.read(false);
            }
        });
    }

    fn forget(&self) {
        let imp = self.imp();
        imp.turn.set(imp.turn.get() + 1);
        imp.wish.take();
        if let Some(job) = imp.job.take() {
            job.stop(CancelReason::User);
        }
    }

    /// Reads the version. A passphrase or a PIN that nobody remembers is asked for only if the person wanted the preview.
    fn read(&self, may_ask: bool) {
        let imp = self.imp();
        let Some((repository, version)) = imp.wish.borrow().clone() else { return };
        imp.stack.set_visible_child_name("loading");
        let passphrases = repository.passphrases();
        let (view, turn) = (self.downgrade(), imp.turn.get());
        let job = JobModel::run(
            JobKind::Look,
            "preview",
            move |job| version.look(&Keyring::default().with_agent_asking(may_ask), &passphrases, job),
            move |_, sight| {
                if let Some(view) = view.upgrade()
                    && view.imp().turn.get() == turn
                {
                    view.take(sight);
                }
            },
        );
        match self.root().and_downcast::<Window>() {
            Some(window) if may_ask => window.watch(&job, &repository),
            _ => {
                let view = self.downgrade();
                let answers = Rc::new(Answers::default());
                job.connect_question(move |job| {
                    let (view, job) = (view.clone(), job.clone());
                    let (repository, answers) = (repository.clone(), answers.clone());
                    glib::spawn_future_local(async move {
                        if answer_unasked(&job, &repository, &answers).await {
                            return;
                        }
                        job.stop(CancelReason::User);
                        if let Some(view) = view.upgrade()
                            && view.imp().turn.get() == turn
                        {
                            view.imp().turn.set(turn + 1);
                            view.show_reason(&gettext("The preview needs the passphrase."), true);
                        }
                    });
                });
            }
        }
        imp.job.replace(Some(job));
    }

    fn take(&self, sight: Result<Sight>) {
        let imp = self.imp();
        imp.job.take();
        match sight {
            Ok(Sight::Text(text)) if text.is_empty() => {
                self.show_reason(&gettext("This version is empty."), false);
            }
            Ok(Sight::Text(text)) => {
                imp.text_view.buffer().set_text(&text);
                imp.stack.set_visible_child_name("text");
            }
            Ok(Sight::Picture(pixels)) => {
                imp.picture.set_paintable(Some(&pixels.texture()));
                imp.stack.set_visible_child_name("picture");
            }
            Ok(Sight::Nothing) => {
                self.show_reason(&gettext("Only texts and pictures have a preview."), false);
            }
            Ok(Sight::TooLarge) => self.show_reason(&gettext("Too large for a preview."), false),
            Err(Error::Crypto { source: CryptoError::AgentLocked(AgentTrouble::NoCard), .. }) => {
                self.show_reason(&gettext("The preview needs the card with the key, and its PIN."), true);
            }
            Err(Error::Crypto { source: CryptoError::AgentLocked(AgentTrouble::NotAsked), .. })
            | Err(Error::Cancelled(_)) => {
                self.show_reason(&gettext("The preview needs the passphrase."), true)
            }
            Err(error) => self.show_reason(&error_text::problem(&error).what, false),
        }
    }

    fn show_reason(&self, reason: &str, can_be_asked: bool) {
        let imp = self.imp();
        imp.reason_label.set_label(reason);
        imp.show_button.set_visible(can_be_asked);
        imp.stack.set_visible_child_name("nothing");
    }
}
