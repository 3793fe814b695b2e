//! Asking before backups are checked, since that takes time.

use adw::prelude::*;

use crate::engine::verify::Which;
use crate::i18n::{gettext, gettext_f, ngettext_f};
use crate::plan::run::SAMPLE_FILES;
use crate::ui::log::run_text;
use crate::ui::model::{JobModel, JobState, PlanObject};
use crate::ui::window::Window;
use crate::ui::words;

/// Checks what is stored, after asking how much of it.
pub async fn verify(plan: &PlanObject, window: &Window) {
    let Some(status) = plan.status() else { return };
    let size = |bytes: u64| words::size(bytes);
    let newest: u64 =
        status.chains.last().map_or(0, |chain| chain.sets.iter().map(|set| set.stored_bytes).sum());
    let all: u64 = plan.sets().iter().map(|set| set.stored_bytes).sum();
    let body = gettext_f(
        "Every stored file is read and compared with what was written. For the newest snapshot these are {newest}, for \
         all snapshots {all}. Nothing is changed.",
        &[("newest", &size(newest)), ("all", &size(all))],
    );
    let dialog = adw::AlertDialog::new(Some(&gettext("Verify the Backup")), Some(&body));
    dialog.add_responses(&[
        ("cancel", &gettext("_Cancel")),
        ("all", &gettext("_All Snapshots")),
        ("newest", &gettext("_Newest Snapshot")),
    ]);
    dialog.set_response_appearance("newest", adw::ResponseAppearance::Suggested);
    dialog.set_default_response(Some("newest"));
    dialog.set_close_response("cancel");
    let which = match dialog.choose_future(Some(window)).await.as_str() {
        "newest" => Which::At(None),
        "all" => Which::All,
        _ => return,
    };
    if let Some(job) = plan.verify(which) {
        follow(&job, plan, window);
    }
}

/// Tests a restore, after saying what that does.
pub async fn drill(plan: &PlanObject, window: &Window) {
    let count = SAMPLE_FILES as u64;
    let body = ngettext_f(
        "{count} file is chosen at random, really restored from the newest snapshot into a temporary folder, and \
         compared with what was backed up and with the files on this computer. Nothing of yours is changed.",
        "Up to {count} files are chosen at random, really restored from the newest snapshot into a temporary folder, and \
         compared with what was backed up and with the files on this computer. Nothing of yours is changed.",
        count,
        &[("count", &words::count(count))],
    );
    let dialog = adw::AlertDialog::new(Some(&gettext("Test a Restore")), Some(&body));
    dialog.add_responses(&[("cancel", &gettext("_Cancel")), ("test", &gettext("_Test"))]);
    dialog.set_response_appearance("test", adw::ResponseAppearance::Suggested);
    dialog.set_default_response(Some("test"));
    dialog.set_close_response("cancel");
    if dialog.choose_future(Some(window)).await == "test"
        && let Some(job) = plan.drill()
    {
        follow(&job, plan, window);
    }
}

/// Lets the application care for a job, and says in passing what came of it.
fn follow(job: &JobModel, plan: &PlanObject, window: &Window) {
    let (object, weak) = (plan.clone(), window.downgrade());
    job.connect_ended(move |job| {
        if let (JobState::Finished, Some(window), Some(run)) =
            (job.state(), weak.upgrade(), object.newest_run())
        {
            window.toast(&run_text::result(&run));
        }
    });
    window.watch(job, &plan.repository());
}
