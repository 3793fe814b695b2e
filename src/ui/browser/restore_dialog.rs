//! Restoring: where to, how far it is, and what came of it.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use adw::prelude::*;
use adw::subclass::prelude::*;

use crate::engine::crypto::Keyring;
use crate::engine::format::time::SetTime;
use crate::engine::job::{CancelReason, Job};
use crate::engine::path::EntryPath;
use crate::engine::restore::{Conflict, RestorePreview, RestoreRequest, restore};
use crate::i18n::{gettext, gettext_f};
use crate::plan::ROOT;
use crate::platform::folder;
use crate::ui::dialogs;
use crate::ui::model::{CatalogReader, JobKind, JobModel, PlanObject, Repository};
use crate::ui::overview::{self, WarningsPage};
use crate::ui::widgets::{JobProgress, PathRow, ProblemView, show_hint};
use crate::ui::window::Window;
use crate::ui::words;

/// How long another program waits for files before anything is shown of it.
const A_WHILE: Duration = Duration::from_millis(500);

/// What is to be restored.
#[derive(Debug, Clone)]
pub struct RestoreWish {
    /// Where from.
    pub repository: Repository,
    /// The snapshot.
    pub time: SetTime,
    /// What, each with everything below it.
    pub paths: Vec<EntryPath>,
    /// What is cut off the paths below a folder of the person's choice.
    pub strip: EntryPath,
    /// Answers what it would cost.
    pub counter: Rc<CatalogReader>,
    /// Whether the paths in the backup are those of this computer.
    pub original_known: bool,
}

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "restore_dialog.ui")]
    pub struct RestoreDialog {
        #[template_child]
        pub stack: TemplateChild<gtk::Stack>,
        #[template_child]
        pub folder_check: TemplateChild<gtk::CheckButton>,
        #[template_child]
        pub original_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub original_check: TemplateChild<gtk::CheckButton>,
        #[template_child]
        pub folder_group: TemplateChild<adw::PreferencesGroup>,
        #[template_child]
        pub folder_row: TemplateChild<PathRow>,
        #[template_child]
        pub hint_label: TemplateChild<gtk::Label>,
        #[template_child]
        pub skip_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub both_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub newer_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub replace_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub both_check: TemplateChild<gtk::CheckButton>,
        #[template_child]
        pub newer_check: TemplateChild<gtk::CheckButton>,
        #[template_child]
        pub replace_check: TemplateChild<gtk::CheckButton>,
        #[template_child]
        pub amount_label: TemplateChild<gtk::Label>,
        #[template_child]
        pub cost_label: TemplateChild<gtk::Label>,
        #[template_child]
        pub loss_label: TemplateChild<gtk::Label>,
        #[template_child]
        pub progress: TemplateChild<JobProgress>,
        #[template_child]
        pub result_page: TemplateChild<adw::StatusPage>,
        #[template_child]
        pub problem_view: TemplateChild<ProblemView>,
        #[template_child]
        pub warnings_group: TemplateChild<adw::PreferencesGroup>,
        #[template_child]
        pub warnings_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub damage_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub show_button: TemplateChild<gtk::Button>,
        #[template_child]
        pub again_button: TemplateChild<gtk::Button>,
        pub wish: RefCell<Option<RestoreWish>>,
        pub window: glib::WeakRef<Window>,
        pub job: RefCell<Option<JobModel>>,
        pub target: RefCell<PathBuf>,
        /// Who waits for the files, if another program takes them from where they are restored to.
        pub taker: RefCell<Option<async_channel::Sender<Option<PathBuf>>>>,
        /// What the rows say as long as nothing is known of the target.
        pub plain_texts: RefCell<Vec<(adw::ActionRow, Conflict, String)>>,
        /// What the restore would do, once it is known.
        pub preview: RefCell<Option<RestorePreview>>,
        /// Changes with the target: what was found out about another is not wanted.
        pub turn: Cell<u64>,
        /// Whether it is looked whether the target can be written.
        pub is_looking: Cell<bool>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for RestoreDialog {
        const NAME: &'static str = "SouvenirRestoreDialog";
        type Type = super::RestoreDialog;
        type ParentType = adw::Dialog;

        fn class_init(class: &mut Self::Class) {
            PathRow::ensure_type();
            JobProgress::ensure_type();
            ProblemView::ensure_type();
            class.bind_template();
            class.bind_template_callbacks();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for RestoreDialog {}
    impl WidgetImpl for RestoreDialog {}

    impl AdwDialogImpl for RestoreDialog {
        fn close_attempt(&self) {
            let dialog = self.obj().clone();
            glib::spawn_future_local(async move { dialog.ask_to_stop().await });
        }
    }

    #[gtk::template_callbacks]
    impl RestoreDialog {
        #[template_callback]
        fn on_target_changed(&self) {
            self.folder_group.set_visible(self.folder_check.is_active());
            self.obj().think();
        }

        #[template_callback]
        fn on_folder_changed(&self) {
            show_hint(&self.hint_label, "");
            self.obj().think();
        }

        #[template_callback]
        async fn on_restore(&self) {
            self.obj().begin().await;
        }

        #[template_callback]
        fn on_warnings(&self) {
            let (Some(window), Some(job)) = (self.window.upgrade(), self.job.borrow().clone()) else {
                return;
            };
            window.push(&WarningsPage::new(job.warnings(), job.warning_count()));
            self.obj().close();
        }

        #[template_callback]
        fn on_damage(&self) {
            let (Some(window), Some(plan)) = (self.window.upgrade(), self.obj().plan()) else { return };
            self.obj().close();
            window.show_plan(&plan);
            glib::spawn_future_local(async move { overview::verify(&plan, &window).await });
        }

        #[template_callback]
        fn on_show(&self) {
            if let Some(window) = self.window.upgrade() {
                window.open_folder(&self.target.borrow());
            }
        }

        #[template_callback]
        fn on_again(&self) {
            self.stack.set_visible_child_name("choose");
        }

        #[template_callback]
        fn on_close(&self) {
            self.obj().close();
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct RestoreDialog(ObjectSubclass<imp::RestoreDialog>)
        @extends adw::Dialog, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget, gtk::ShortcutManager;
}

impl RestoreDialog {
    /// A dialog that restores what is wished.
    pub fn new(wish: RestoreWish) -> Self {
        let dialog: Self = glib::Object::new();
        let imp = dialog.imp();
        imp.original_row.set_visible(wish.original_known);
        imp.amount_label.set_label(&gettext_f("From {date}", &[("date", &words::set_date(wish.time))]));
        let rows = [
            (&imp.skip_row, Conflict::Skip),
            (&imp.both_row, Conflict::KeepBoth),
            (&imp.newer_row, Conflict::NewerWins),
            (&imp.replace_row, Conflict::Replace),
        ];
        let texts = rows.map(|(row, conflict)| {
            let text = row.subtitle().map(Into::into).unwrap_or_default();
            ((*row).clone(), conflict, text)
        });
        imp.plain_texts.replace(texts.into());
        imp.folder_row.set_path(&suggested_folder());
        imp.wish.replace(Some(wish));
        dialog.think();
        dialog
    }

    /// The window that cares for the job.
    pub fn set_window(&self, window: &Window) {
        self.imp().window.set(Some(window));
    }

    /// Restores into a new folder that another program takes the files from, and gives it once they are there; none if
    /// they never will be. The dialog is shown if that takes a while, or if there is something to say.
    pub(super) async fn hand_over(&self, folder: PathBuf) -> Option<PathBuf> {
        let imp = self.imp();
        let wish = imp.wish.borrow().clone()?;
        let (taker, restored) = async_channel::bounded(1);
        imp.target.replace(folder.clone());
        imp.taker.replace(Some(taker));
        let strip = wish.strip.clone();
        self.run(wish, folder, strip, Conflict::Skip);
        restored.recv().await.ok().flatten()
    }

    /// The plan whose backups it restores from, if one knows them.
    pub(super) fn plan(&self) -> Option<PlanObject> {
        self.imp().window.upgrade()?.plan_of(&self.imp().wish.borrow().as_ref()?.repository)
    }

    /// Whether the files go to where they were.
    pub(super) fn is_in_place(&self, wish: &RestoreWish) -> bool {
        self.imp().original_check.is_active() && wish.original_known
    }

    async fn begin(&self) {
        let imp = self.imp();
        let Some(wish) = imp.wish.borrow().clone() else { return };
        let in_place = self.is_in_place(&wish);
        let (target, strip) = if in_place {
            (PathBuf::from(ROOT), EntryPath::root())
        } else {
            if imp.is_looking.replace(true) {
                return;
            }
            let folder = imp.folder_row.writable_folder(&imp.hint_label).await;
            imp.is_looking.set(false);
            // The dialog may have been closed meanwhile, or another folder typed.
            let Some(path) =
                folder.filter(|path| self.is_mapped() && imp.folder_row.path().as_ref() == Some(path))
            else {
                return;
            };
            (path, wish.strip.clone())
        };
        let conflict = if imp.replace_check.is_active() {
            Conflict::Replace
        } else if imp.newer_check.is_active() {
            Conflict::NewerWins
        } else if imp.both_check.is_active() {
            Conflict::KeepBoth
        } else {
            Conflict::Skip
        };
        if self.may_lose_files(conflict) {
            let heading = gettext("Replace Files?");
            let folder = (!in_place).then_some(&*target);
            let body = replaced_text(conflict, folder);
            if !dialogs::confirm_destructive(self, &heading, &body, &gettext("_Replace")).await {
                return;
            }
        }
        let shown = if in_place { original_folder(&wish) } else { target.clone() };
        imp.target.replace(shown);
        self.run(wish, target, strip, conflict);
    }

    fn run(&self, wish: RestoreWish, target: PathBuf, strip: EntryPath, conflict: Conflict) {
        let imp = self.imp();
        let repository = wish.repository.clone();
        let passphrases = repository.passphrases();
        let access = repository.access().clone();
        let sign_key = repository.sign_key(wish.time).map(str::to_owned);
        let work = move |job: &Job| {
            let storage = access.open(job)?;
            let request = RestoreRequest {
                storage: &*storage,
                keyring: &Keyring::default(),
                passphrases: &passphrases,
                sign_key: sign_key.as_deref(),
                time: Some(wish.time),
                paths: wish.paths,
                target,
                strip,
                conflict,
            };
            restore(&request, job)
        };
        let dialog = self.downgrade();
        let job = JobModel::run(JobKind::Restore, "restore", work, move |job, result| {
            if let Some(dialog) = dialog.upgrade() {
                dialog.show_result(job, result);
            }
        });
        if imp.taker.borrow().is_some() {
            self.show_later(&job);
        }
        if let Some(window) = imp.window.upgrade() {
            window.watch(&job, &repository);
        }
        imp.progress.set_job(Some(&job));
        imp.job.replace(Some(job));
        imp.stack.set_visible_child_name("running");
        self.set_can_close(false);
    }

    /// Shows the dialog if the job takes a while, and before it asks something: what it asks is then on top.
    fn show_later(&self, job: &JobModel) {
        let dialog = self.downgrade();
        job.connect_question(move |_| {
            if let Some(dialog) = dialog.upgrade() {
                dialog.show();
            }
        });
        let (dialog, job) = (self.downgrade(), job.downgrade());
        glib::timeout_add_local_once(A_WHILE, move || {
            if let (Some(dialog), Some(job)) = (dialog.upgrade(), job.upgrade())
                && job.is_running()
            {
                dialog.show();
            }
        });
    }

    pub(super) fn show(&self) {
        if self.parent().is_none() {
            self.present(self.imp().window.upgrade().as_ref());
        }
    }

    async fn ask_to_stop(&self) {
        let Some(job) = self.imp().job.borrow().clone() else { return };
        let stop = dialogs::confirm_destructive(
            self,
            &gettext("Stop Restoring?"),
            &gettext("What was restored until now stays where it is."),
            &gettext("_Stop"),
        )
        .await;
        if stop {
            job.stop(CancelReason::User);
        }
    }
}

/// What happens to files in a folder, or in their original place.
fn replaced_text(conflict: Conflict, folder: Option<&Path>) -> String {
    match folder {
        None if conflict == Conflict::NewerWins => gettext(
            "Files in their original place that are older than those of the backup are replaced. What they contain now \
             is lost.",
        ),
        None => gettext(
            "Files in their original place are replaced by those of the backup. What they contain now is lost.",
        ),
        Some(folder) if conflict == Conflict::NewerWins => gettext_f(
            "Files of the same names in “{folder}” that are older are replaced. What they contain now is lost.",
            &[("folder", &folder::to_shown(folder))],
        ),
        Some(folder) => gettext_f(
            "Files of the same names in “{folder}” are replaced. What they contain now is lost.",
            &[("folder", &folder::to_shown(folder))],
        ),
    }
}

/// A new folder among the documents.
fn suggested_folder() -> PathBuf {
    let documents = glib::user_special_dir(glib::UserDirectory::Documents).unwrap_or_else(glib::home_dir);
    documents.join(gettext("Restored"))
}

/// The folder that a single restored entry is in, or that all of them are in.
fn original_folder(wish: &RestoreWish) -> PathBuf {
    PathBuf::from(ROOT).join(wish.strip.as_path())
}
