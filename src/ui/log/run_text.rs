//! A run in words.

use std::fmt::Write;

use gtk::prelude::*;

use crate::config;
use crate::i18n::{gettext, gettext_f, ngettext_f, pgettext};
use crate::plan::history::{Cause, Outcome, Run, Task};
use crate::plan::proof::{Drilled, Verified};
use crate::ui::{describe, error_text, words};

/// What was run.
pub fn task(run: &Run) -> String {
    match (&run.outcome, run.task) {
        (Outcome::Finished { full: Some(true), .. }, _) => gettext("Full backup"),
        (Outcome::Finished { full: Some(false), .. }, _) => gettext("Incremental backup"),
        (_, Task::Backup) => gettext("Backup"),
        (_, Task::Verify) => gettext("Check of the backup"),
        (_, Task::Drill) => gettext("Test of a restore"),
        (_, Task::Move) => gettext("Move to another destination"),
        (_, Task::Restore) => pgettext("what was run", "Restore"),
    }
}

/// What came of it, in a sentence without its end.
pub fn result(run: &Run) -> String {
    match &run.outcome {
        Outcome::Finished { entry_count, stored_bytes, .. } => ngettext_f(
            "{count} entry, {size} stored",
            "{count} entries, {size} stored",
            *entry_count,
            &[("count", &words::count(*entry_count)), ("size", &words::size(*stored_bytes))],
        ),
        Outcome::Verified(verified) => verify_result(verified),
        Outcome::Drilled(drilled) => drill_result(drilled),
        Outcome::Moved(moved) => ngettext_f(
            "{count} snapshot is at {place}",
            "{count} snapshots are at {place}",
            moved.snapshot_count,
            &[("count", &words::count(moved.snapshot_count)), ("place", &describe::destination(&moved.to))],
        ),
        Outcome::Restored(restored) => ngettext_f(
            "{count} item, {size}",
            "{count} items, {size}",
            restored.entry_count,
            &[("count", &words::count(restored.entry_count)), ("size", &words::size(restored.written_bytes))],
        ),
        Outcome::Stopped => stopped(run.cause),
        Outcome::Failed(problem) => problem.what.clone(),
    }
}

/// Why it was stopped, if it was not a person who did it.
fn stopped(cause: Option<Cause>) -> String {
    match cause {
        Some(Cause::Battery) => gettext("Stopped when the computer went on battery"),
        Some(Cause::PowerSaver) => gettext("Stopped when the computer began to save power"),
        Some(Cause::Game) => gettext("Stopped when a game began"),
        Some(Cause::Metered) => gettext("Stopped when the network became a metered one"),
        Some(Cause::Shutdown) => gettext("Stopped when the session ended"),
        _ => gettext("Stopped"),
    }
}

fn verify_result(verified: &Verified) -> String {
    let files = verified.file_count;
    if verified.damaged_count == 0 {
        return ngettext_f(
            "{count} stored file is as it was written",
            "{count} stored files are as they were written",
            files,
            &[("count", &words::count(files))],
        );
    }
    ngettext_f(
        "{count} of {total} stored files is damaged",
        "{count} of {total} stored files are damaged",
        verified.damaged_count,
        &[("count", &words::count(verified.damaged_count)), ("total", &words::count(files))],
    )
}

fn drill_result(drilled: &Drilled) -> String {
    let tried = drilled.sample_count;
    if drilled.failure_count == 0 && drilled.damaged_count > 0 {
        return ngettext_f(
            "{count} file restored and equal, though stored files are damaged",
            "{count} files restored and equal, though stored files are damaged",
            tried,
            &[("count", &words::count(tried))],
        );
    }
    if drilled.failure_count == 0 {
        return ngettext_f(
            "{count} file restored and equal",
            "{count} files restored and equal",
            tried,
            &[("count", &words::count(tried))],
        );
    }
    ngettext_f(
        "{count} of {total} files could not be restored as it was",
        "{count} of {total} files could not be restored as they were",
        drilled.failure_count,
        &[("count", &words::count(drilled.failure_count)), ("total", &words::count(tried))],
    )
}

/// How long it took.
pub fn duration(run: &Run) -> String {
    words::duration(u64::try_from(run.ended_secs - run.started_secs).unwrap_or(0))
}

/// Task, result and duration in a line.
pub fn line(run: &Run) -> String {
    let mut parts = vec![task(run), result(run)];
    if run.warning_count > 0 && !matches!(run.outcome, Outcome::Verified(_)) {
        parts.push(ngettext_f(
            "{count} warning",
            "{count} warnings",
            run.warning_count,
            &[("count", &words::count(run.warning_count))],
        ));
    }
    if let Some(removed) = run.removed.as_ref().filter(|removed| !removed.set_secs.is_empty()) {
        parts.push(deleted(removed.set_secs.len() as u64));
    }
    if run.automatic {
        parts.push(gettext("by itself"));
    }
    parts.push(duration(run));
    parts.join(" · ")
}

/// How many snapshots were deleted.
pub fn deleted(count: u64) -> String {
    ngettext_f(
        "{count} old snapshot deleted",
        "{count} old snapshots deleted",
        count,
        &[("count", &words::count(count))],
    )
}

/// Whether it brought to light that something is wrong.
pub fn is_bad(run: &Run) -> bool {
    matches!(run.outcome, Outcome::Failed(_)) || run.found_anything_wrong()
}

/// A picture of what came of it.
pub fn image(run: &Run) -> gtk::Image {
    let has_loss = run.warnings.iter().any(|warning| warning.kind.is_loss());
    let (icon, class) = match &run.outcome {
        _ if is_bad(run) => ("dialog-error-symbolic", Some("error")),
        Outcome::Stopped => ("souvenir-stopped-symbolic", None),
        _ if has_loss => ("dialog-warning-symbolic", Some("warning")),
        _ => ("souvenir-good-symbolic", Some("success")),
    };
    let image =
        gtk::Image::builder().icon_name(icon).accessible_role(gtk::AccessibleRole::Presentation).build();
    if let Some(class) = class {
        image.add_css_class(class);
    }
    image
}

/// Everything about it, for whoever helps.
pub fn details(run: &Run) -> String {
    let mut text = format!("Souvenir {}\n", config::VERSION);
    let mut line = |words: &str| {
        // Writing into a string does not fail.
        let _ = writeln!(text, "{words}");
    };
    line(&gettext_f(
        "{task}, {date}, {duration}",
        &[("task", &task(run)), ("date", &words::full_date(run.started_secs)), ("duration", &duration(run))],
    ));
    line(&result(run));
    match &run.outcome {
        Outcome::Failed(problem) => {
            for part in [&problem.subject, &problem.advice, &problem.details] {
                if !part.is_empty() {
                    line(part);
                }
            }
        }
        Outcome::Verified(verified) => {
            for damaged in &verified.damaged {
                let held = damaged.held.as_ref();
                let held = held.map(|(first, last)| format!("\t{first}\t{last}")).unwrap_or_default();
                line(&format!("{}\t{}{held}", damaged.file, damaged.reason));
            }
        }
        Outcome::Drilled(drilled) => {
            for failed in &drilled.failed {
                line(&format!("{}\t{}", failed.path, error_text::mismatch(failed)));
            }
        }
        Outcome::Moved(moved) => {
            line(&format!("{}\t{}", moved.from.address(), moved.to.address()));
        }
        Outcome::Restored(restored) => {
            line(&format!("{}\t{}", words::full_date(restored.set_secs), restored.folder.display()));
        }
        Outcome::Finished { .. } | Outcome::Stopped => {}
    }
    if let Some(removed) = run.removed.as_ref().filter(|removed| !removed.set_secs.is_empty()) {
        line(&deleted(removed.set_secs.len() as u64));
        for time in &removed.set_secs {
            line(&words::full_date(*time));
        }
    }
    for warning in &run.warnings {
        line(&format!("{}\t{}", warning.subject, error_text::warning_in_full(warning)));
    }
    text
}
