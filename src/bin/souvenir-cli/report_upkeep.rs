//! What the verbs that look after what is stored have done, in words and as JSON.

use std::fmt::Write;
use std::path::Path;

use anyhow::Context;

use indicatif::HumanBytes;
use serde_json::{Value, json};

use crate::console::{Console, duration_text};
use crate::report::{counted, local_time, print};
use souvenir::engine::Result;
use souvenir::engine::chain::retention::Reason;
use souvenir::engine::drill::{DrillSummary, Failure};
use souvenir::engine::prune::{CleanupSummary, DeletedSet, KeptSet, Mode, PruneSummary};
use souvenir::engine::verify::{CompareSummary, Difference, DifferenceKind, VerifySummary};

/// What was deleted, and what stays.
pub fn prune(console: &Console, summary: &PruneSummary) -> Result<()> {
    if console.is_json() {
        return print(
            console,
            json!({
                "location": summary.location,
                "dry_run": summary.mode == Mode::DryRun,
                "deleted": summary.deleted.iter().map(deleted_json).collect::<Vec<_>>(),
                "kept": summary.kept.iter().map(kept_json).collect::<Vec<_>>(),
                "files": summary.file_count,
                "deleted_bytes": summary.deleted_bytes,
                "warnings": summary.warning_count,
                "elapsed_secs": summary.elapsed.as_secs_f64(),
            }),
        );
    }
    let mut text = String::new();
    for set in &summary.deleted {
        push_deleted(&mut text, summary.mode, "", set);
    }
    for set in &summary.kept {
        let reasons: Vec<String> = set.reasons.iter().map(reason_text).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:13}{} ({}) {}: {}",
            if summary.mode == Mode::DryRun { "would keep" } else { "kept" },
            set.time,
            local_time(set.time.epoch()),
            if set.full { "full" } else { "incremental" },
            reasons.join(", "),
        );
    }
    push_sum(&mut text, summary.mode, summary.deleted.len(), summary.file_count, summary.deleted_bytes);
    console.result(&text)
}

/// What was cleaned up.
pub fn cleanup(console: &Console, summary: &CleanupSummary) -> Result<()> {
    if console.is_json() {
        return print(
            console,
            json!({
                "location": summary.location,
                "dry_run": summary.mode == Mode::DryRun,
                "orphaned": summary.orphaned.iter().map(deleted_json).collect::<Vec<_>>(),
                "unfinished": summary.unfinished.iter().map(deleted_json).collect::<Vec<_>>(),
                "single_files": summary.single_files,
                "in_use": summary.in_use,
                "files": summary.file_count,
                "deleted_bytes": summary.deleted_bytes,
                "warnings": summary.warning_count,
                "elapsed_secs": summary.elapsed.as_secs_f64(),
            }),
        );
    }
    let mut text = String::new();
    for set in &summary.orphaned {
        push_deleted(&mut text, summary.mode, "follows no other: ", set);
    }
    for set in &summary.unfinished {
        push_deleted(&mut text, summary.mode, "not finished: ", set);
    }
    for name in &summary.single_files {
        let _ = writeln!(text, "{:13}{name}", done_text(summary.mode));
    }
    for name in &summary.in_use {
        let _ = writeln!(text, "{:13}{name}: a backup may still be writing to it", "left");
    }
    if !summary.in_use.is_empty() {
        text.push_str("If no backup is being made to this destination, add --untouched-for 0s.\n");
    }
    let set_count = summary.orphaned.len() + summary.unfinished.len();
    push_sum(&mut text, summary.mode, set_count, summary.file_count, summary.deleted_bytes);
    console.result(&text)
}

/// What was found, and how the source differs if that was asked for.
pub fn verify(console: &Console, summary: &VerifySummary, compared: Option<&CompareSummary>) -> Result<()> {
    if console.is_json() {
        let damaged: Vec<Value> = summary
            .damaged
            .iter()
            .map(|damaged| {
                json!({
                    "file": damaged.file,
                    "set_time": damaged.set_time.to_string(),
                    "reason": damaged.reason,
                    "first": damaged.held.as_ref().map(|(first, _)| first.to_string()),
                    "last": damaged.held.as_ref().map(|(_, last)| last.to_string()),
                })
            })
            .collect();
        return print(
            console,
            json!({
                "location": summary.location,
                "set_times": summary.set_times.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "files": summary.file_count,
                "checked_bytes": summary.checked_bytes,
                "entries": summary.entry_count,
                "damaged": damaged,
                "compared": compared.map(compared_json),
                "warnings": summary.warning_count,
                "elapsed_secs": summary.elapsed.as_secs_f64(),
            }),
        );
    }
    let verdict = match summary.damaged.len() {
        0 => "Everything is as it was written.".to_owned(),
        count => format!("Found {}.", counted(count as u64, "problem", "problems")),
    };
    let mut text = format!(
        "Checked {} of {}, {}, in {}. {verdict}\n",
        counted(summary.file_count, "file", "files"),
        counted(summary.set_times.len() as u64, "set", "sets"),
        HumanBytes(summary.checked_bytes),
        duration_text(summary.elapsed),
    );
    if let Some(compared) = compared {
        for difference in &compared.differences {
            let _ = writeln!(text, "{}: {}", difference.path, difference_text(difference.kind));
        }
        let _ = writeln!(
            text,
            "Compared {} with {} in {}: {}.",
            counted(compared.entry_count, "entry", "entries"),
            compared.set_time,
            duration_text(compared.elapsed),
            counted(compared.difference_count, "difference", "differences"),
        );
    }
    console.result(&text)
}

fn difference_text(kind: DifferenceKind) -> &'static str {
    match kind {
        DifferenceKind::Missing => "is in the backup, but not there",
        DifferenceKind::Contents => "has other contents",
        DifferenceKind::Attributes => "has another owner, mode, time or other attribute",
        DifferenceKind::New => "is not in the backup, or not of this kind",
    }
}

fn compared_json(compared: &CompareSummary) -> Value {
    let difference = |difference: &Difference| {
        let kind = match difference.kind {
            DifferenceKind::Missing => "missing",
            DifferenceKind::Contents => "contents",
            DifferenceKind::Attributes => "attributes",
            DifferenceKind::New => "new",
        };
        json!({ "path": difference.path.to_string(), "kind": kind })
    };
    json!({
        "set_time": compared.set_time.to_string(),
        "entries": compared.entry_count,
        "differences": compared.differences.iter().map(difference).collect::<Vec<_>>(),
        "difference_count": compared.difference_count,
        "elapsed_secs": compared.elapsed.as_secs_f64(),
    })
}

/// What a restore drill came to. The report is also added to a file, with its date.
pub fn drill(
    console: &Console,
    location: &str,
    summary: &DrillSummary,
    report: Option<&Path>,
) -> anyhow::Result<()> {
    let failure = |failed: &Failure| json!({ "path": failed.path.to_string(), "reason": failed.to_string() });
    let value = json!({
        "date": jiff::Timestamp::now().to_string(),
        "location": location,
        "set_time": summary.set_time.to_string(),
        "files": summary.sample_count,
        "restored_bytes": summary.restored_bytes,
        "as_backed_up": summary.proved_count,
        "equal_to_source": summary.equal_to_source_count,
        "failures": summary.failures.iter().map(failure).collect::<Vec<_>>(),
        "volumes": summary.volume_count,
        "damaged_files": summary.damaged_count,
        "warnings": summary.warning_count,
        "elapsed_secs": summary.elapsed.as_secs_f64(),
    });
    if let Some(path) = report {
        append(path, &value).with_context(|| format!("the report cannot be added to {}", path.display()))?;
    }
    if console.is_json() {
        return Ok(print(console, value)?);
    }
    let mut text = String::new();
    for failed in &summary.failures {
        let _ = writeln!(text, "{}: {failed}", failed.path);
    }
    let _ = writeln!(
        text,
        "Restored {} with {} of {} in {}: {} as when they were backed up, {} of them equal to the unchanged \
         originals, {} failed.",
        counted(summary.sample_count, "file", "files"),
        HumanBytes(summary.restored_bytes),
        summary.set_time,
        duration_text(summary.elapsed),
        summary.proved_count,
        summary.equal_to_source_count,
        summary.failures.len(),
    );
    if let Some(path) = report {
        let _ = writeln!(text, "The report is in {}.", path.display());
    }
    Ok(console.result(&text)?)
}

fn append(path: &Path, value: &Value) -> std::io::Result<()> {
    use std::io::Write as _;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(format!("{value}\n").as_bytes())
}

fn done_text(mode: Mode) -> &'static str {
    match mode {
        Mode::Delete => "deleted",
        Mode::DryRun => "would delete",
    }
}

fn push_deleted(text: &mut String, mode: Mode, why: &str, set: &DeletedSet) {
    let _ = writeln!(
        text,
        "{:13}{} ({}) {}: {why}{}, {}",
        done_text(mode),
        set.time,
        local_time(set.time.epoch()),
        if set.start.is_none() { "full" } else { "incremental" },
        counted(set.file_count, "file", "files"),
        HumanBytes(set.deleted_bytes),
    );
}

fn push_sum(text: &mut String, mode: Mode, set_count: usize, file_count: u64, bytes: u64) {
    if file_count == 0 {
        text.push_str("There is nothing to delete.\n");
        return;
    }
    let what = match mode {
        Mode::Delete => "Deleted",
        Mode::DryRun => "Would delete",
    };
    let _ = writeln!(
        text,
        "{what} {}: {} with {}.",
        counted(set_count as u64, "set", "sets"),
        counted(file_count, "file", "files"),
        HumanBytes(bytes)
    );
}

fn deleted_json(set: &DeletedSet) -> Value {
    json!({
        "time": set.time.to_string(),
        "full": set.start.is_none(),
        "start": set.start.map(|start| start.to_string()),
        "files": set.file_count,
        "deleted_bytes": set.deleted_bytes,
    })
}

fn kept_json(set: &KeptSet) -> Value {
    let needed_by = set.reasons.iter().find_map(|reason| match reason {
        Reason::Needed { by } => Some(by.to_string()),
        _ => None,
    });
    json!({
        "time": set.time.to_string(),
        "full": set.full,
        "reasons": set.reasons.iter().map(reason_name).collect::<Vec<_>>(),
        "needed_by": needed_by,
    })
}

fn reason_name(reason: &Reason) -> &'static str {
    match reason {
        Reason::Newest => "newest",
        Reason::Within => "within",
        Reason::Hourly => "hourly",
        Reason::Daily => "daily",
        Reason::Weekly => "weekly",
        Reason::Monthly => "monthly",
        Reason::Yearly => "yearly",
        Reason::Needed { .. } => "needed",
        Reason::Young => "young",
        Reason::Active => "active",
        Reason::Full => "full",
        Reason::PartlyHidden => "partly hidden",
    }
}

fn reason_text(reason: &Reason) -> String {
    match reason {
        Reason::Newest => "the newest of all".to_owned(),
        Reason::Within => "in the time in which all are kept".to_owned(),
        Reason::Hourly => "for its hour".to_owned(),
        Reason::Daily => "for its day".to_owned(),
        Reason::Weekly => "for its week".to_owned(),
        Reason::Monthly => "for its month".to_owned(),
        Reason::Yearly => "for its year".to_owned(),
        Reason::Needed { by } => format!("{by} needs it"),
        Reason::Young => "not old enough".to_owned(),
        Reason::Active => "old, but of the newest chain".to_owned(),
        Reason::Full => "only incremental ones go".to_owned(),
        Reason::PartlyHidden => "not all of its files can be told".to_owned(),
    }
}
