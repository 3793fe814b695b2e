//! How large the backup will be, counted in the background while its folders are chosen.

use std::path::PathBuf;
use std::time::Duration;

use adw::prelude::*;
use adw::subclass::prelude::*;

use super::FoldersPage;
use crate::engine::error::Result;
use crate::engine::job::{CancelReason, Job};
use crate::engine::path::EntryPath;
use crate::engine::scan::{Sizes, reach};
use crate::i18n::{gettext, gettext_f, ngettext_f};
use crate::plan::{LeftOut, ROOT};
use crate::platform::folder;
use crate::ui::model::{JobKind, JobModel};
use crate::ui::{describe, words};

/// So long nothing has to change before it is counted.
const STAY: Duration = Duration::from_millis(300);

/// Below that, in bytes, nobody needs to think of what makes a backup big.
const BIG: u64 = 1_000_000_000;

/// How many large folders are named.
const NAMED: usize = 5;

impl FoldersPage {
    /// Counts as soon as nothing has changed for a moment.
    pub(super) fn count_soon(&self) {
        self.stop_counting();
        let turn = self.imp().turn.get();
        self.imp().spinner.set_visible(true);
        let page = self.downgrade();
        glib::spawn_future_local(async move {
            glib::timeout_future(STAY).await;
            let Some(counting) = page.upgrade().filter(|page| page.imp().turn.get() == turn) else { return };
            let (folders, left_out) = (counting.folders(), counting.left_out());
            let work = move |job: &Job| count(&folders, &left_out, job);
            let job = JobModel::run(JobKind::Look, "souvenir-sizes", work, move |_, result| {
                let Some(page) = page.upgrade().filter(|page| page.imp().turn.get() == turn) else { return };
                page.imp().spinner.set_visible(false);
                match result {
                    Ok(counted) => page.show_sizes(counted),
                    // The backup itself tells what is wrong.
                    Err(error) => tracing::info!(%error, "the folders could not be counted"),
                }
            });
            counting.imp().counting.replace(Some(job));
        });
    }

    /// What is being counted does not matter any more.
    pub(super) fn stop_counting(&self) {
        let imp = self.imp();
        imp.turn.set(imp.turn.get() + 1);
        imp.spinner.set_visible(false);
        if let Some(job) = imp.counting.take() {
            job.stop(CancelReason::User);
        }
    }

    fn show_sizes(&self, Counted { sizes, folders, largest }: Counted) {
        let imp = self.imp();
        for ((_, label), folder) in imp.sizes.borrow().iter().zip(&folders) {
            label.set_label(&words::size(sizes.of(folder)));
        }
        for row in imp.large_rows.take() {
            imp.large_group.remove(&row);
        }
        imp.large_group.set_visible(!largest.is_empty());
        imp.large_group.set_description(Some(&ngettext_f(
            "Together it is {size} in {count} file. Later backups only need what has changed.",
            "Together it is {size} in {count} files. Later backups only need what has changed.",
            sizes.file_count,
            &[("size", &words::size(sizes.total_bytes)), ("count", &words::count(sizes.file_count))],
        )));
        let rows = largest.into_iter().map(|(path, bytes)| {
            let row = self.large_row(path, bytes);
            imp.large_group.add(&row);
            row
        });
        imp.large_rows.replace(rows.collect());
    }

    fn large_row(&self, path: PathBuf, bytes: u64) -> adw::ActionRow {
        let title = describe::folder_name(&path);
        let row = adw::ActionRow::builder()
            .use_markup(false)
            .title(&title)
            .subtitle(folder::to_shown(&path))
            .build();
        row.add_suffix(&size_label(&words::size(bytes)));
        let verb = gettext_f("Leave Out {folder}", &[("folder", &title)]);
        // A label of the button itself would count for more than the verb.
        let button = gtk::Button::builder()
            .child(&gtk::Label::new(Some(&gettext("Leave Out"))))
            .tooltip_text(&verb)
            .valign(gtk::Align::Center)
            .css_classes(["text-button"])
            .build();
        button.update_property(&[gtk::accessible::Property::Label(&verb)]);
        let page = self.downgrade();
        button.connect_clicked(move |_| {
            if let Some(page) = page.upgrade() {
                page.imp().left_out_group.add_folder(path.clone());
            }
        });
        row.add_suffix(&button);
        row
    }
}

/// A label for the size of what a row is about.
pub fn size_label(text: &str) -> gtk::Label {
    gtk::Label::builder().label(text).css_classes(["dim-label", "numeric"]).build()
}

/// What was counted.
struct Counted {
    sizes: Sizes,
    /// The folders, as they are called in a backup.
    folders: Vec<EntryPath>,
    /// The large ones below them, as the person reaches them.
    largest: Vec<(PathBuf, u64)>,
}

fn count(folders: &[PathBuf], left_out: &LeftOut, job: &Job) -> Result<Counted> {
    let selection = left_out.of(folders)?;
    // A path that is none of a backup is refused by the line above.
    let real = |folder: &PathBuf| EntryPath::from_user(&reach(folder).folder).ok();
    let real_folders: Vec<_> = folders.iter().filter_map(real).collect();
    let sizes = Sizes::count(ROOT.as_ref(), &real_folders, &selection, job)?;
    // As the person reaches them.
    let chosen = |(path, bytes): (EntryPath, u64)| {
        let ways = real_folders.iter().zip(folders);
        let below = |(real, folder): (&EntryPath, &PathBuf)| {
            Some(folder.join(path.as_path().strip_prefix(real.as_path()).ok()?))
        };
        Some((ways.filter_map(below).next()?, bytes))
    };
    let largest = if sizes.total_bytes < BIG { Vec::new() } else { sizes.largest(&real_folders, NAMED) };
    let largest = largest.into_iter().filter_map(chosen).collect();
    Ok(Counted { sizes, folders: real_folders, largest })
}
