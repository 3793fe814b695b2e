//! What a folder is like as a place for backups: can it be written, how much fits, what is there.

use std::path::PathBuf;
use std::time::Duration;

use adw::prelude::*;
use adw::subclass::prelude::*;

use crate::engine::format::time::SetTime;
use crate::engine::job::Job;
use crate::engine::status::{Status, status};
use crate::engine::storage::{Backoff, DriveAddress, Drives, LocalFolder, Storage, try_writing};
use crate::i18n::{gettext, gettext_f, ngettext_f};
use crate::plan::history::Problem;
use crate::plan::{Destination, SftpAccount};
use crate::platform::folder::{self, FolderFacts, FolderState};
use crate::ui::model::{JobKind, JobModel, Repository};
use crate::ui::widgets::{details_button, key_sign_in_row};
use crate::ui::window::Window;
use crate::ui::{describe, error_text, words};

/// Below this, a full backup of anything is unlikely to fit.
const LITTLE_BYTES: u64 = 1_000_000_000;

/// How long rows that were added take to have their places.
const LAYOUT_TIME: Duration = Duration::from_millis(100);

/// What was found at a place.
#[derive(Debug, Clone)]
pub struct DestinationCheck {
    /// The place, with what was answered while it was looked at.
    pub repository: Repository,
    /// What the system says of a folder.
    pub facts: Option<FolderFacts>,
    /// What backups are there; none if the folder does not exist yet.
    pub status: Option<Result<Status, Problem>>,
    /// Whether a folder is on the same file system as the home folder.
    pub beside_home: bool,
    /// Bytes of the largest file that a folder takes, where that is less than anybody stores.
    pub max_file_bytes: Option<u64>,
}

impl DestinationCheck {
    /// Looks at a place, off the main loop. Nothing is left there; only a server is tried by beginning a
    /// file, since nothing else tells whether it may be written. What the place wants to know is asked in
    /// the window of `asker`.
    pub async fn run(destination: Destination, asker: &impl IsA<gtk::Widget>) -> Self {
        let repository = Repository::elsewhere(describe::destination(&destination), destination.clone());
        match destination.folder() {
            Some(path) => Self::of_folder(path, repository).await,
            None => Self::of_server(destination, repository, asker.upcast_ref()).await,
        }
    }

    async fn of_folder(path: PathBuf, repository: Repository) -> Self {
        let looked = gio::spawn_blocking(move || {
            let facts = folder::inspect(&path);
            let status = (facts.state == FolderState::Present).then(|| {
                status(&LocalFolder::new(&path), &Job::unattended())
                    .map_err(|error| error_text::problem(&error))
            });
            let home = folder::file_system_of(&glib::home_dir());
            let beside_home = facts.file_system.is_some() && facts.file_system == home;
            let drive = Drives::default().drive_of(&path).unwrap_or_else(|error| {
                tracing::info!(%error, "the drives could not be looked at");
                None
            });
            let max_file_bytes = LocalFolder::new(&path).max_file_bytes();
            let can_be_made = folder::open_to(&path).is_ok();
            (facts, status, beside_home, max_file_bytes, drive, can_be_made)
        });
        let (facts, status, beside_home, max_file_bytes, drive, can_be_made) = match looked.await {
            Ok(found) => found,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        // All folders on a drive that is there are made.
        let facts = match facts.state {
            FolderState::Missing if drive.is_some() && can_be_made => {
                FolderFacts { state: FolderState::Creatable, writable: true, ..facts }
            }
            _ => facts,
        };
        let repository = match drive {
            Some(DriveAddress { uuid, name, path }) => {
                let destination = Destination::Drive { uuid, name, path };
                Repository::elsewhere(describe::destination(&destination), destination)
            }
            None => repository,
        };
        Self { repository, facts: Some(facts), status, beside_home, max_file_bytes }
    }

    async fn of_server(destination: Destination, repository: Repository, asker: &gtk::Widget) -> Self {
        let (sender, receiver) = async_channel::bounded(1);
        let look = move |job: &Job| {
            let storage = destination.open_with(Backoff::brief(), job)?;
            let found = status(&*storage, job)?;
            if found.foreign.is_none() {
                try_writing(&*storage)?;
            }
            Ok(found)
        };
        let job = JobModel::run(JobKind::Look, "test", look, move |_, result| {
            // Fails only when nobody wants to know any more.
            let _ = sender.try_send(result.map_err(|error| error_text::problem(&error)));
        });
        if let Some(window) = asker.root().and_downcast::<Window>() {
            window.watch(&job, &repository);
        }
        let gone = || Problem { what: gettext("The place was not looked at"), ..Problem::default() };
        let status = receiver.recv().await.unwrap_or_else(|_| Err(gone()));
        Self { repository, facts: None, status: Some(status), beside_home: false, max_file_bytes: None }
    }

    /// How many complete backups are there.
    pub fn set_count(&self) -> u64 {
        self.set_times().len() as u64
    }

    /// When the complete backups were made that are there.
    pub fn set_times(&self) -> Vec<SetTime> {
        let chains = self.found().into_iter().flat_map(|status| &status.chains);
        chains.flat_map(|chain| &chain.sets).map(|set| set.time).collect()
    }

    /// Bytes that can still be written, where known.
    pub fn free_bytes(&self) -> Option<u64> {
        match &self.facts {
            Some(facts) => facts.free_bytes,
            None => self.found()?.free_bytes,
        }
    }

    fn found(&self) -> Option<&Status> {
        self.status.as_ref()?.as_ref().ok()
    }

    /// Why no backup can be made here, in words.
    pub fn obstacle(&self) -> Option<String> {
        let text = match self.facts.as_ref().map_or(FolderState::Present, |facts| facts.state) {
            FolderState::Missing => gettext(
                "This folder does not exist, nor does the one that would hold it. Connect the drive, or check the path.",
            ),
            FolderState::NotAFolder => gettext("This is a file. Choose a folder."),
            _ if self.facts.as_ref().is_some_and(|facts| facts.read_only) => {
                gettext("This folder can only be read. Choose another one.")
            }
            _ if self.facts.as_ref().is_some_and(|facts| !facts.writable) => {
                gettext("You may not write into this folder. Choose another one.")
            }
            _ => match &self.status {
                Some(Ok(Status { foreign: Some(kind), .. })) => {
                    return Some(gettext_f(
                        "{what}. {advice}",
                        &[
                            ("what", &error_text::foreign(*kind)),
                            ("advice", &error_text::foreign_advice(*kind)),
                        ],
                    ));
                }
                Some(Err(problem)) => return Some(format!("{}. {}", problem.what, problem.advice)),
                _ => return None,
            },
        };
        Some(text)
    }

    /// Why nothing can be restored from here, in words.
    pub fn restore_obstacle(&self) -> Option<String> {
        match (self.facts.as_ref().map(|facts| facts.state), &self.status) {
            (Some(FolderState::NotAFolder), _) => {
                Some(gettext("This is a file. Choose the folder that holds the backup."))
            }
            (Some(FolderState::Missing | FolderState::Creatable), _) => {
                Some(gettext("This folder does not exist. Connect the drive, or check the path."))
            }
            (_, Some(Err(problem))) => Some(format!("{}. {}", problem.what, problem.advice)),
            (_, Some(Ok(Status { foreign: Some(kind), .. }))) => Some(gettext_f(
                "{what}. {advice}",
                &[("what", &error_text::foreign(*kind)), ("advice", &error_text::foreign_advice(*kind))],
            )),
            _ if self.set_count() == 0 => Some(gettext(
                "There is no backup in this folder. Choose the folder whose files have names that begin with “duplicity”.",
            )),
            _ => None,
        }
    }
}

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "destination_report.ui")]
    pub struct DestinationReport {
        #[template_child]
        pub stack: TemplateChild<gtk::Stack>,
        #[template_child]
        pub list: TemplateChild<gtk::ListBox>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for DestinationReport {
        const NAME: &'static str = "SouvenirDestinationReport";
        type Type = super::DestinationReport;
        type ParentType = gtk::Box;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for DestinationReport {}
    impl WidgetImpl for DestinationReport {}
    impl BoxImpl for DestinationReport {}
}

glib::wrapper! {
    /// See the module.
    pub struct DestinationReport(ObjectSubclass<imp::DestinationReport>)
        @extends gtk::Box, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget, gtk::Orientable;
}

/// How good or bad a finding is.
#[derive(Clone, Copy)]
enum Tone {
    Good,
    Plain,
    Warning,
    Bad,
}

impl DestinationReport {
    /// Shows nothing.
    pub fn clear(&self) {
        self.imp().stack.set_visible_child_name("nothing");
    }

    /// Shows that something is being looked at.
    pub fn set_looking(&self) {
        self.imp().stack.set_visible_child_name("looking");
    }

    /// Shows what matters for making backups there. `folders` are those to back up.
    pub fn show_for_backup(&self, check: &DestinationCheck, folders: &[PathBuf]) {
        self.begin();
        if let Some(obstacle) = check.obstacle() {
            self.add_obstacle(&gettext("Backups cannot be kept here"), &obstacle, check);
            return;
        }
        match check.facts.as_ref().map(|facts| facts.state) {
            None => self.add(Tone::Good, &gettext("The place answers and can be written"), ""),
            Some(FolderState::Creatable) => self.add(
                Tone::Good,
                &gettext("The folder will be made"),
                &gettext("It does not exist yet, and you may make it."),
            ),
            _ => self.add(Tone::Good, &gettext("The folder can be written"), ""),
        }
        self.add_free_space(check);
        self.add_contents(check);
        if let Some(most) = check.max_file_bytes {
            self.add(
                Tone::Warning,
                &gettext_f("Files of {size} at most", &[("size", &words::size(most))]),
                &gettext(
                    "The drive has a FAT file system. That is enough for backups of about 300 GB. For larger ones use a \
                     drive with another file system, such as exFAT or ext4.",
                ),
            );
        }
        if let Destination::Sftp(SftpAccount { address, key_file: None }) = check.repository.destination() {
            self.imp().list.append(&key_sign_in_row(address, &check.repository));
        }
        if let Destination::Drive { name, .. } = check.repository.destination() {
            self.add(
                Tone::Good,
                &gettext_f("On the drive “{name}”", &[("name", name)]),
                &gettext("It is known again wherever it is connected, and waited for while it is away."),
            );
        }
        if check.beside_home {
            self.add(
                Tone::Warning,
                &gettext("On the same disk as your home folder"),
                &gettext("If this disk fails, your files and the backup are lost together. Another drive is safer."),
            );
        }
        let place = check.repository.destination().folder();
        if place.as_ref().is_some_and(|place| folders.iter().any(|folder| place.starts_with(folder))) {
            self.add(
                Tone::Plain,
                &gettext("Inside a folder that is backed up"),
                &gettext("The backups themselves are left out."),
            );
        }
    }

    /// Shows what matters for restoring from there.
    pub fn show_for_restore(&self, check: &DestinationCheck) {
        self.begin();
        match check.restore_obstacle() {
            Some(obstacle) => {
                self.add_obstacle(&gettext("Nothing can be restored from here"), &obstacle, check);
            }
            None => self.add_contents(check),
        }
    }

    fn begin(&self) {
        let imp = self.imp();
        imp.list.remove_all();
        imp.stack.set_visible_child_name("result");
        self.come_into_view();
    }

    /// Below a long form nobody would see that something was found.
    fn come_into_view(&self) {
        let report = self.downgrade();
        glib::timeout_add_local_once(LAYOUT_TIME, move || {
            let Some(report) = report.upgrade() else { return };
            let viewport = report.ancestor(gtk::Viewport::static_type()).and_downcast::<gtk::Viewport>();
            if let Some(viewport) = viewport.filter(|_| report.is_mapped()) {
                viewport.scroll_to(&report, None);
            }
        });
    }

    fn add_free_space(&self, check: &DestinationCheck) {
        let Some(free) = check.free_bytes() else { return };
        let title = gettext_f("{size} free", &[("size", &words::size(free))]);
        if free < LITTLE_BYTES {
            self.add(Tone::Warning, &title, &gettext("That is very little for a backup."));
        } else {
            self.add(Tone::Good, &title, "");
        }
    }

    fn add_contents(&self, check: &DestinationCheck) {
        let Some(Ok(status)) = &check.status else { return };
        let count = check.set_count();
        if count == 0 {
            self.add(Tone::Plain, &gettext("No backup is here yet"), "");
        } else {
            self.add(
                Tone::Good,
                &ngettext_f(
                    "{count} backup is here",
                    "{count} backups are here",
                    count,
                    &[("count", &words::count(count))],
                ),
                &dates_text(&check.set_times()),
            );
        }
        if !status.incomplete.is_empty() {
            self.add(
                Tone::Warning,
                &gettext("There is an unfinished backup"),
                &gettext("Its files are not used, and are left as they are."),
            );
        }
    }

    fn add_obstacle(&self, title: &str, obstacle: &str, check: &DestinationCheck) {
        let row = finding(Tone::Bad, title, obstacle);
        self.imp().list.append(&row);
        let problem = check.status.as_ref().and_then(|status| status.as_ref().err());
        if let Some(button) = problem.and_then(details_button) {
            // Beside the text there is no room for it in a narrow window.
            button.set_margin_top(9);
            button.set_margin_bottom(9);
            let row = gtk::ListBoxRow::builder().activatable(false).focusable(false).child(&button).build();
            self.imp().list.append(&row);
        }
    }

    fn add(&self, tone: Tone, title: &str, subtitle: &str) {
        self.imp().list.append(&finding(tone, title, subtitle));
    }
}

/// When backups were made. Of none it says nothing.
pub fn dates_text(times: &[SetTime]) -> String {
    let (Some(oldest), Some(newest)) = (times.iter().min(), times.iter().max()) else { return String::new() };
    let [oldest, newest] = [oldest, newest].map(|time| words::full_date(time.epoch()));
    if times.len() == 1 {
        return gettext_f("It was made on {date}.", &[("date", &newest)]);
    }
    let dates = [("oldest", oldest.as_str()), ("newest", newest.as_str())];
    gettext_f("The oldest was made on {oldest}, the newest on {newest}.", &dates)
}

fn finding(tone: Tone, title: &str, subtitle: &str) -> adw::ActionRow {
    let (icon, class) = match tone {
        Tone::Good => ("object-select-symbolic", Some("success")),
        Tone::Plain => ("dialog-information-symbolic", None),
        Tone::Warning => ("dialog-warning-symbolic", Some("warning")),
        Tone::Bad => ("dialog-error-symbolic", Some("error")),
    };
    let image =
        gtk::Image::builder().icon_name(icon).accessible_role(gtk::AccessibleRole::Presentation).build();
    if let Some(class) = class {
        image.add_css_class(class);
    }
    let row = adw::ActionRow::builder()
        .use_markup(false)
        .title(title)
        .subtitle(subtitle)
        .activatable(false)
        .build();
    row.add_prefix(&image);
    row
}
