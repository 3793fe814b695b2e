//! What is at a destination, in words and as JSON.

use std::fmt::Write;

use indicatif::HumanBytes;
use serde_json::{Value, json};

use crate::console::Console;
use crate::report::{counted, local_time, print};
use souvenir::engine::Result;
use souvenir::engine::chain::Outlook;
use souvenir::engine::status::{ChainStatus, Leftover, SetStatus, Status, Unused, Weakness};

/// What is at a destination.
pub fn status(console: &Console, status: &Status) -> Result<()> {
    if console.is_json() {
        return print(
            console,
            json!({
                "location": status.location,
                "chains": status.chains.iter().map(chain_json).collect::<Vec<_>>(),
                "incomplete": status.incomplete,
                "leftovers": status.leftovers.iter().map(leftover_json).collect::<Vec<_>>(),
                "next_full": status.outlook.as_ref().map(outlook_json),
                "resumable": { "files": status.resumable_count, "bytes": status.resumable_bytes },
                "foreign": status.foreign.map(|kind| kind.to_string()),
                "free_bytes": status.free_bytes,
            }),
        );
    }
    let mut text = format!("{}\n", status.location);
    if let Some(foreign) = status.foreign {
        let _ = writeln!(text, "This is {foreign}, which Souvenir neither reads nor writes.");
    }
    if status.chains.is_empty() {
        text.push_str("There is no backup here.\n");
    }
    for chain in &status.chains {
        for set in &chain.sets {
            push_set(&mut text, set);
        }
        if let Some((set, weakness)) = chain.weakest_link() {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  the weakest link is {}: {}", set.time, weakness_text(weakness));
        }
    }
    for leftover in &status.leftovers {
        let _ = writeln!(
            text,
            "not used, {}: {} ({}, {})",
            unused_text(leftover.why),
            leftover.name,
            counted(leftover.file_count, "file", "files"),
            HumanBytes(leftover.stored_bytes),
        );
    }
    let is_for_cleanup = |leftover: &Leftover| match leftover.why {
        Unused::Orphaned { .. } | Unused::Replaced | Unused::Unfinished | Unused::Upload => true,
        Unused::OnlySignatures | Unused::Unreadable => false,
    };
    if status.leftovers.iter().any(is_for_cleanup) {
        text.push_str("`souvenir-cli cleanup` deletes what is not used, unless it may be in the making.\n");
    }
    let sets = status.chains.iter().flat_map(|chain| &chain.sets);
    if !status.chains.is_empty() {
        let _ = writeln!(
            text,
            "{} in {} with {}",
            counted(sets.clone().count() as u64, "set", "sets"),
            counted(status.chains.len() as u64, "chain", "chains"),
            HumanBytes(sets.map(|set| set.stored_bytes).sum()),
        );
    }
    if let Some(outlook) = &status.outlook {
        push_outlook(&mut text, outlook);
    }
    if status.resumable_count > 0 {
        let _ = writeln!(
            text,
            "An interrupted backup left {} with {}; the next one goes on with them.",
            counted(status.resumable_count, "file", "files"),
            HumanBytes(status.resumable_bytes),
        );
    }
    if let Some(free) = status.free_bytes {
        let _ = writeln!(text, "{} free", HumanBytes(free));
    }
    console.result(&text)
}

/// When the next full set comes, unless something else is asked for.
fn push_outlook(text: &mut String, outlook: &Outlook) {
    let _ = match (&outlook.due, outlook.due_by) {
        (Some(reason), _) => writeln!(text, "The next backup will be a full one: {reason}."),
        (None, due_by) => writeln!(
            text,
            "The next backup will be incremental; so far there are {} with {} % of the full one's size.{}",
            counted(outlook.increment_count.into(), "increment", "increments"),
            outlook.delta_percent,
            due_by.map_or_else(String::new, |by| {
                let date = local_time(by.epoch());
                format!(" A full one is due on {} at the latest.", date.split(' ').next().unwrap_or(&date))
            }),
        ),
    };
}

fn outlook_json(outlook: &Outlook) -> Value {
    json!({
        "due": outlook.due.as_ref().map(ToString::to_string),
        "due_by": outlook.due_by.map(|by| by.to_string()),
        "increments": outlook.increment_count,
        "delta_percent": outlook.delta_percent,
    })
}

fn push_set(text: &mut String, set: &SetStatus) {
    let kind = if set.full { "full       " } else { "incremental" };
    let protection = if set.encrypted { "encrypted" } else { "not encrypted" };
    let _ = write!(
        text,
        "{} ({}) {kind} {:>10} in {}, {protection}",
        set.time,
        local_time(set.time.epoch()),
        HumanBytes(set.stored_bytes).to_string(),
        counted(set.volume_count.into(), "volume", "volumes"),
    );
    if !set.missing_volumes.is_empty() {
        let _ = write!(text, ", without volume {}", ranges(&set.missing_volumes));
    }
    if !set.has_signatures {
        text.push_str(", without signatures");
    }
    text.push('\n');
}

/// `1, 3-5`.
fn ranges(numbers: &[u32]) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => ranges.push((*number, *number)),
        }
    }
    let text = |(first, last): (u32, u32)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    ranges.into_iter().map(text).collect::<Vec<_>>().join(", ")
}

fn weakness_text(weakness: Weakness) -> &'static str {
    match weakness {
        Weakness::MissingVolumes => {
            "volumes are missing, so that neither it nor what builds on it can be restored wholly"
        }
        Weakness::NoSignatures => {
            "it has no signatures, so that files cannot be listed from then on, and the chain not extended"
        }
        Weakness::NotEncrypted => "it is not encrypted, while others of the chain are",
    }
}

fn unused_text(why: Unused) -> String {
    match why {
        Unused::Orphaned { start } => format!("it builds on {start}, which is not there"),
        Unused::Replaced => "another set has its place".to_owned(),
        Unused::Unfinished => "it is not finished".to_owned(),
        Unused::OnlySignatures => "there are only signatures".to_owned(),
        Unused::Unreadable => "this kind of file cannot be read".to_owned(),
        Unused::Upload => "the file is not whole".to_owned(),
    }
}

fn chain_json(chain: &ChainStatus) -> Value {
    let set = |set: &SetStatus| {
        json!({
            "time": set.time.to_string(),
            "full": set.full,
            "volumes": set.volume_count,
            "missing_volumes": set.missing_volumes,
            "signatures": set.has_signatures,
            "stored_bytes": set.stored_bytes,
            "encrypted": set.encrypted,
        })
    };
    let weakest_link = chain.weakest_link().map(|(set, weakness)| {
        let weakness = match weakness {
            Weakness::MissingVolumes => "missing volumes",
            Weakness::NoSignatures => "no signatures",
            Weakness::NotEncrypted => "not encrypted",
        };
        json!({ "time": set.time.to_string(), "weakness": weakness })
    });
    json!({ "sets": chain.sets.iter().map(set).collect::<Vec<_>>(), "weakest_link": weakest_link })
}

fn leftover_json(leftover: &Leftover) -> Value {
    let kind = match leftover.why {
        Unused::Orphaned { .. } => "orphaned",
        Unused::Replaced => "replaced",
        Unused::Unfinished => "unfinished",
        Unused::OnlySignatures => "only signatures",
        Unused::Unreadable => "unreadable",
        Unused::Upload => "upload",
    };
    json!({
        "name": leftover.name,
        "kind": kind,
        "reason": unused_text(leftover.why),
        "time": leftover.time.map(|time| time.to_string()),
        "files": leftover.file_count,
        "stored_bytes": leftover.stored_bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_written_together() {
        assert_eq!(ranges(&[1, 3, 4, 5, 9]), "1, 3-5, 9");
        assert_eq!(ranges(&[2]), "2");
    }
}
