//! What the catalogue says, in words and as JSON.

use std::fmt::Write;

use indicatif::{HumanBytes, HumanCount};
use serde_json::{Value, json};

use crate::browse::Answer;
use crate::console::Console;
use crate::report::{self, entry_json, local_time, print};
use souvenir::engine::catalog::{Change, Changes, Found, MissingSet, Overview, PathVersion, SetState, Span};
use souvenir::engine::format::entry::Entry;
use souvenir::engine::list::Listing;
use souvenir::engine::path::EntryPath;

/// The entries of a state; gives the number of warnings, as the others do.
pub fn list(console: &Console, answer: Answer<(Listing, Vec<MissingSet>)>) -> anyhow::Result<u64> {
    let (listing, missing) = &answer.value;
    report::list(console, listing)?;
    Ok(warn(console, &answer, missing))
}

/// What was found.
pub fn search(console: &Console, answer: Answer<Found>) -> anyhow::Result<u64> {
    let found = &answer.value;
    if console.is_json() {
        let hits: Vec<Value> = found
            .hits
            .iter()
            .map(|hit| {
                let mut value = entry_json(&hit.entry);
                value["spans"] = hit.spans.iter().map(span_json).collect();
                value
            })
            .collect();
        print(
            console,
            json!({ "hits": hits, "cut": found.is_cut, "missing": missing_json(&found.missing) }),
        )?;
    } else {
        let mut text = String::new();
        for hit in &found.hits {
            let spans: Vec<String> = hit.spans.iter().map(span_text).collect();
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{:>12} {}  {}", size(Some(&hit.entry)), spans.join("; "), hit.entry.path);
        }
        console.result(&text)?;
        if found.is_cut {
            console.warn("there are more; --limit shows them");
        }
    }
    Ok(warn(console, &answer, &found.missing))
}

/// Every version of a path.
pub fn history(
    console: &Console,
    path: &EntryPath,
    answer: Answer<(Vec<PathVersion>, Vec<MissingSet>)>,
) -> anyhow::Result<u64> {
    let (versions, missing) = &answer.value;
    if console.is_json() {
        let versions: Vec<Value> = versions
            .iter()
            .map(|version| {
                json!({
                    "set_time": version.set_time.to_string(),
                    "full": version.is_full,
                    "change": change_text(version.change),
                    "entry": version.entry.as_ref().map(entry_json),
                })
            })
            .collect();
        let missing = missing_json(missing);
        print(console, json!({ "path": path.to_string(), "versions": versions, "missing": missing }))?;
    } else {
        let mut text = String::new();
        for version in versions {
            let kind = if version.is_full { "full" } else { "incremental" };
            let mtime = version.entry.as_ref().map_or_else(String::new, |entry| local_time(entry.mtime));
            let line = format!(
                "{} ({}) {kind:11} {:9} {:>12} {mtime}",
                version.set_time,
                local_time(version.set_time.epoch()),
                change_text(version.change),
                size(version.entry.as_ref()),
            );
            let _ = writeln!(text, "{}", line.trim_end());
        }
        console.result(&text)?;
    }
    Ok(warn(console, &answer, missing))
}

/// What changed between two times.
pub fn changes(console: &Console, answer: Answer<Changes>) -> anyhow::Result<u64> {
    let found = &answer.value;
    if console.is_json() {
        let changes: Vec<Value> = found
            .changes
            .iter()
            .map(|change| {
                json!({
                    "path": change.path.to_string(),
                    "change": change_text(change.change),
                    "before": change.before.as_ref().map(entry_json),
                    "after": change.after.as_ref().map(entry_json),
                })
            })
            .collect();
        print(
            console,
            json!({
                "from": found.from.to_string(),
                "to": found.to.to_string(),
                "changes": changes,
                "missing": missing_json(&found.missing),
            }),
        )?;
    } else {
        let mut text = String::new();
        for change in &found.changes {
            let sizes = match (&change.before, &change.after) {
                (Some(before), Some(after)) if size(Some(before)) != size(Some(after)) => {
                    format!("{} -> {}", size(Some(before)), size(Some(after)))
                }
                (before, after) => size(after.as_ref().or(before.as_ref())),
            };
            let _ = writeln!(text, "{:9} {sizes:>24}  {}", change_text(change.change), change.path);
        }
        console.result(&text)?;
    }
    Ok(warn(console, &answer, &found.missing))
}

/// What a catalogue holds; gives the number of sets that are not in it.
pub fn catalog(console: &Console, overview: &Overview, limit_bytes: u64) -> anyhow::Result<u64> {
    let state = |state: &SetState| match state {
        SetState::Waiting => "not read yet".to_owned(),
        SetState::Taken => "indexed".to_owned(),
        SetState::Unreadable(reason) => format!("cannot be read: {reason}"),
    };
    if console.is_json() {
        let sets: Vec<Value> = overview
            .sets
            .iter()
            .map(|set| {
                json!({
                    "time": set.kind.time().to_string(),
                    "full": set.kind.is_full(),
                    "indexed": set.state == SetState::Taken,
                    "reason": match &set.state { SetState::Unreadable(reason) => Some(reason), _ => None },
                    "entries": set.entry_count,
                })
            })
            .collect();
        print(
            console,
            json!({
                "location": overview.location,
                "synced": overview.synced.map(|time| time.to_string()),
                "paths": overview.path_count,
                "size_bytes": overview.size_bytes,
                "limit_bytes": limit_bytes,
                "sets": sets,
            }),
        )?;
    } else {
        let mut text = format!("{}\n", overview.location);
        for set in &overview.sets {
            let kind = if set.kind.is_full() { "full" } else { "incremental" };
            let _ = writeln!(
                text,
                "{} ({}) {kind:11} {:>9} entries, {}",
                set.kind.time(),
                local_time(set.kind.time().epoch()),
                HumanCount(set.entry_count).to_string(),
                state(&set.state),
            );
        }
        let _ = writeln!(
            text,
            "{} paths in {} (all catalogues may take {}), {}",
            HumanCount(overview.path_count),
            HumanBytes(overview.size_bytes),
            HumanBytes(limit_bytes),
            match overview.synced {
                Some(time) => format!("as of {}", local_time(time.epoch())),
                None => "never brought up to date".to_owned(),
            }
        );
        console.result(&text)?;
    }
    Ok(overview.sets.iter().filter(|set| matches!(set.state, SetState::Unreadable(_))).count() as u64)
}

/// Says what an answer could not take into account, and how much that was.
fn warn<T>(console: &Console, answer: &Answer<T>, missing: &[MissingSet]) -> u64 {
    if let Some(error) = &answer.unreachable {
        console.warn(&format!("this is what was known before: {error}"));
    }
    for set in missing {
        let reason = set.reason.as_deref().unwrap_or("its signatures have not been read");
        console.warn(&format!("what the backup of {} says is left out: {reason}", set.time));
    }
    u64::from(answer.unreachable.is_some()) + missing.len() as u64
}

fn missing_json(missing: &[MissingSet]) -> Value {
    missing.iter().map(|set| json!({ "time": set.time.to_string(), "reason": set.reason })).collect()
}

fn span_json(span: &Span) -> Value {
    json!({
        "first": span.first.to_string(),
        "last": span.last.to_string(),
        "gone": span.gone.map(|time| time.to_string()),
    })
}

fn span_text(span: &Span) -> String {
    let (first, last) = (local_time(span.first.epoch()), local_time(span.last.epoch()));
    match span.gone {
        None => format!("{first} until now"),
        Some(_) if first == last => format!("{first} only"),
        Some(_) => format!("{first} until {last}"),
    }
}

fn change_text(change: Change) -> &'static str {
    match change {
        Change::Added => "added",
        Change::Modified => "modified",
        Change::Deleted => "deleted",
        Change::Unchanged => "unchanged",
    }
}

fn size(entry: Option<&Entry>) -> String {
    entry.map_or_else(|| "-".to_owned(), report::size_text)
}
