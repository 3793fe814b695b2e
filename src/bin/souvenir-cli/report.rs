//! Results in words and as JSON.

use std::fmt::Write;

use indicatif::{HumanBytes, HumanCount};
use serde_json::{Value, json};

use crate::console::{Console, duration_text};
use souvenir::engine::Result;
use souvenir::engine::backup::BackupSummary;
use souvenir::engine::chain::FullReason;
use souvenir::engine::format::entry::{Entry, EntryKind};
use souvenir::engine::format::time::SetTime;
use souvenir::engine::list::Listing;
use souvenir::engine::restore::{RestorePreview, RestoreSummary};
use souvenir::engine::storage::sftp::Setup;

/// What a backup did.
pub fn backup(console: &Console, summary: &BackupSummary) -> Result<()> {
    if console.is_json() {
        return print(
            console,
            json!({
                "set_time": summary.set_time.to_string(),
                "full": summary.is_full(),
                "full_because": summary.full_because.as_ref().map(ToString::to_string),
                "entries": summary.entry_count,
                "deltas": summary.delta_count,
                "deleted": summary.deleted_count,
                "source_bytes": summary.source_bytes,
                "stored_bytes": summary.stored_bytes,
                "volumes": summary.volume_count,
                "warnings": summary.warning_count,
                "elapsed_secs": summary.elapsed.as_secs_f64(),
            }),
        );
    }
    let what = match &summary.full_because {
        Some(FullReason::Asked | FullReason::First) => "A full backup".to_owned(),
        Some(reason) => format!("A full backup, since {reason}"),
        None => format!(
            "Changes since the backup before, with {}",
            counted(summary.deleted_count, "deletion", "deletions")
        ),
    };
    console.result(&format!(
        "Backed up {} with {} as {} in {}: {}, {}.\n{what}.\n",
        counted(summary.entry_count, "entry", "entries"),
        HumanBytes(summary.source_bytes),
        summary.set_time,
        duration_text(summary.elapsed),
        counted(summary.volume_count.into(), "volume", "volumes"),
        HumanBytes(summary.stored_bytes),
    ))
}

/// What became of a key for signing in.
pub fn ssh_setup(console: &Console, place: &str, done: &Setup) -> Result<()> {
    let Setup { key, made_key, installed } = done;
    if console.is_json() {
        return print(console, json!({ "key": key, "made_key": made_key, "installed": installed }));
    }
    let key = key.display();
    let what = match (made_key, installed) {
        (true, _) => format!("The new key {key} was added to those that the server lets in"),
        (false, true) => format!("The key {key} was added to those that the server lets in"),
        (false, false) => format!("The server lets in the key {key} already"),
    };
    console.result(&format!("{what}.\n{place} needs no password from now on.\n"))
}

/// What a restore did.
pub fn restore(console: &Console, summary: &RestoreSummary) -> Result<()> {
    if console.is_json() {
        return print(
            console,
            json!({
                "set_time": summary.set_time.to_string(),
                "entries": summary.entry_count,
                "skipped": summary.skipped_count,
                "written_bytes": summary.written_bytes,
                "volumes": summary.volume_count,
                "warnings": summary.warning_count,
                "elapsed_secs": summary.elapsed.as_secs_f64(),
            }),
        );
    }
    console.result(&format!(
        "Restored {} with {} of {} in {}, from {}.\n",
        counted(summary.entry_count, "entry", "entries"),
        HumanBytes(summary.written_bytes),
        summary.set_time,
        duration_text(summary.elapsed),
        counted(summary.volume_count.into(), "volume", "volumes"),
    ))
}

/// What a restore would do.
pub fn preview(console: &Console, preview: &RestorePreview) -> Result<()> {
    if console.is_json() {
        return print(
            console,
            json!({
                "set_time": preview.set_time.map(|time| time.to_string()),
                "entries": preview.entry_count,
                "files": preview.file_count,
                "file_bytes": preview.file_bytes,
                "files_of_unknown_size": preview.unknown_size_count,
                "conflicts": preview.conflict_count,
                "differing_there": preview.differing_count,
                "older_there": preview.older_count,
                "volumes": preview.volumes.len(),
                "volume_bytes": preview.volume_bytes,
                "lost_volumes": preview.lost_count,
            }),
        );
    }
    let size = match preview.unknown_size_count {
        0 => HumanBytes(preview.file_bytes).to_string(),
        unknown => format!(
            "{}, and {} of unknown size",
            HumanBytes(preview.file_bytes),
            counted(unknown, "file", "files")
        ),
    };
    let lost = match preview.lost_count {
        0 => String::new(),
        lost => format!("Missing or empty, with what they hold: {}.\n", counted(lost, "volume", "volumes")),
    };
    console.result(&format!(
        "Would restore {}, {} among them, with {size}; already there: {}.\n\
         For that, {} with {} would be read.\n{lost}",
        counted(preview.entry_count, "entry", "entries"),
        counted(preview.file_count, "file", "files"),
        HumanCount(preview.conflict_count),
        counted(preview.volumes.len() as u64, "volume", "volumes"),
        HumanBytes(preview.volume_bytes),
    ))
}

/// The entries of a backup, a line each.
pub fn list(console: &Console, listing: &Listing) -> Result<()> {
    if console.is_json() {
        let entries: Vec<Value> = listing.entries.iter().map(entry_json).collect();
        return print(console, json!({ "set_time": listing.set_time.to_string(), "entries": entries }));
    }
    let mut text = String::new();
    for entry in &listing.entries {
        let size = size_text(entry);
        // Writing to a String cannot fail.
        let _ = write!(text, "{} {size:>12} {} {}", mode_text(entry), local_time(entry.mtime), entry.path);
        if let EntryKind::Symlink(target) = &entry.kind {
            let _ = write!(text, " -> {}", target.escape_ascii());
        }
        text.push('\n');
    }
    console.result(&text)
}

/// A number with what it counts.
pub fn counted(count: u64, one: &str, several: &str) -> String {
    format!("{} {}", HumanCount(count), if count == 1 { one } else { several })
}

/// Prints a value as a line of JSON.
pub fn print(console: &Console, value: Value) -> Result<()> {
    console.result(&format!("{value}\n"))
}

/// The size of an entry in bytes, if it has one.
pub fn size_text(entry: &Entry) -> String {
    match (&entry.kind, entry.size_bytes) {
        (EntryKind::File, Some(size)) => size.to_string(),
        (EntryKind::File, None) => "?".to_owned(),
        _ => "-".to_owned(),
    }
}

/// An entry as JSON.
pub fn entry_json(entry: &Entry) -> Value {
    let kind = match &entry.kind {
        EntryKind::File => "file",
        EntryKind::Directory => "directory",
        EntryKind::Symlink(_) => "symlink",
        EntryKind::Fifo => "fifo",
        EntryKind::CharDevice(..) => "character device",
        EntryKind::BlockDevice(..) => "block device",
    };
    let mut value = json!({
        "path": entry.path.to_string(),
        "kind": kind,
        "mode": format!("{:04o}", entry.mode),
        "uid": entry.uid,
        "gid": entry.gid,
        "user": entry.user,
        "group": entry.group,
        "mtime": entry.mtime,
        "size_bytes": entry.size_bytes,
    });
    // A name that is not UTF-8 is given in full as hexadecimal digits.
    if str::from_utf8(entry.path.as_bytes()).is_err() {
        let digits: String = entry.path.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        value["path_hex"] = digits.into();
    }
    if let EntryKind::Symlink(target) = &entry.kind {
        value["target"] = String::from_utf8_lossy(target).into_owned().into();
    }
    value
}

fn mode_text(entry: &Entry) -> String {
    let kind = match entry.kind {
        EntryKind::File => '-',
        EntryKind::Directory => 'd',
        EntryKind::Symlink(_) => 'l',
        EntryKind::Fifo => 'p',
        EntryKind::CharDevice(..) => 'c',
        EntryKind::BlockDevice(..) => 'b',
    };
    let bit = |shift: u32, letter: char| if entry.mode >> shift & 1 == 1 { letter } else { '-' };
    let mut text = String::from(kind);
    for (shift, special, marked, unmarked) in [(6, 11, 's', 'S'), (3, 10, 's', 'S'), (0, 9, 't', 'T')] {
        text.push(bit(shift + 2, 'r'));
        text.push(bit(shift + 1, 'w'));
        text.push(match (entry.mode >> special & 1 == 1, entry.mode >> shift & 1 == 1) {
            (true, true) => marked,
            (true, false) => unmarked,
            (false, _) => bit(shift, 'x'),
        });
    }
    text
}

/// A time as a clock here shows it.
pub fn local_time(epoch: i64) -> String {
    SetTime::from_epoch(epoch).and_then(|time| jiff::Timestamp::from_second(time.epoch()).ok()).map_or_else(
        || epoch.to_string(),
        |stamp| stamp.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string(),
    )
}
