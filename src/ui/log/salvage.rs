//! What can still be restored when stored files are damaged, in words.

use crate::i18n::{gettext, gettext_f, ngettext_f};
use crate::plan::proof::{DamagedStored, Drilled, Reach};
use crate::ui::{error_text, words};

/// What damage means: a title and an explanation each.
pub fn explain(reach: &Reach) -> Vec<(String, String)> {
    let mut said = Vec::new();
    if let (Some(first), Some(last)) = (reach.touched.first(), reach.touched.last()) {
        let count = reach.touched.len() as u64;
        said.push((
            ngettext_f(
                "{count} snapshot may have lost something",
                "{count} snapshots may have lost something",
                count,
                &[("count", &words::count(count))],
            ),
            gettext_f(
                "From {first} to {last}. A restore brings back what other files hold and what can still be read of the \
                 damaged ones, and names each file that it cannot bring back. No file comes back in a wrong state.",
                &[("first", &words::short_date(*first)), ("last", &words::short_date(*last))],
            ),
        ));
    }
    let count = reach.whole.len() as u64;
    if count > 0 {
        said.push((
            ngettext_f(
                "{count} snapshot is not touched",
                "{count} snapshots are not touched",
                count,
                &[("count", &words::count(count))],
            ),
            gettext("Everything in them can be restored, as far as their files are as they were written."),
        ));
    }
    said.push(if reach.is_of_newest() {
        (
            gettext("A full backup makes you safe again"),
            gettext("It stores everything anew and needs nothing of what is damaged."),
        )
    } else {
        (
            gettext("The newest snapshot needs nothing of what is damaged"),
            gettext("Backups go on from there. What was lost of the older ones stays lost."),
        )
    });
    said
}

/// What it means that a test of a restore met damage: a title and an explanation.
pub fn explain_test(drilled: &Drilled) -> (String, String) {
    let text = if drilled.failure_count == 0 {
        gettext(
            "What was tried came back all the same, but other files may be lost. Choose “Verify…” to learn what can \
             still be restored.",
        )
    } else {
        gettext("Other files may be lost, too. Choose “Verify…” to learn what can still be restored.")
    };
    (gettext("Stored files are damaged"), text)
}

/// What a damaged file holds.
pub fn held(damaged: &DamagedStored) -> String {
    let date = words::short_date(damaged.set_secs);
    let reason = error_text::damage(damaged);
    match &damaged.held {
        Some((first, last)) if first == last => gettext_f(
            "{reason}. Of the snapshot of {date}; it holds {file}.",
            &[("reason", &reason), ("date", &date), ("file", first)],
        ),
        Some((first, last)) => gettext_f(
            "{reason}. Of the snapshot of {date}; it holds what lies between {first} and {last}.",
            &[("reason", &reason), ("date", &date), ("first", first), ("last", last)],
        ),
        None => gettext_f("{reason}. Of the snapshot of {date}.", &[("reason", &reason), ("date", &date)]),
    }
}
