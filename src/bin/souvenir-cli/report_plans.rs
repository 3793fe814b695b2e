//! Plans and their runs in words and as JSON.

use std::fmt::Write;

use indicatif::HumanBytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::console::Console;
use crate::plans::print_all;
use crate::report::{counted, print};
use souvenir::engine::Result;
use souvenir::plan::Plan;
use souvenir::plan::history::{Outcome, Run, Task};
use souvenir::plan::schedule::{Decision, Every, Reason, Schedule};

/// The plans, and how their last runs ended.
pub fn list<'a>(console: &Console, plans: impl Iterator<Item = (&'a Plan, Vec<Run>)>) -> Result<()> {
    if console.is_json() {
        return print_all(console, plans.map(|(plan, runs)| plan_json(plan, &runs)));
    }
    let mut text = String::new();
    for (plan, runs) in plans {
        let last = plan.runs_here(&runs).rev().find(|run| run.task == Task::Backup);
        let last = last.map_or_else(|| "not backed up yet".to_owned(), ended);
        let place = plan.destination.address();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{}\n  to      {place}\n  when    {}\n  last    {last}",
            plan.name,
            schedule(&plan.schedule)
        );
    }
    if text.is_empty() {
        text.push_str("There are no plans. They are set up in the window.\n");
    }
    console.result(&text)
}

fn plan_json(plan: &Plan, runs: &[Run]) -> Value {
    let last = plan.runs_here(runs).rev().find(|run| run.task == Task::Backup);
    json!({
        "name": plan.name,
        "destination": plan.destination.address().to_string(),
        "schedule": plan.schedule,
        "last": last,
    })
}

/// What is due, and when something will be; of plans that are being run there is no decision.
pub fn next<'a>(
    console: &Console,
    decisions: impl Iterator<Item = (&'a Plan, Option<Decision>)>,
) -> Result<()> {
    if console.is_json() {
        return print_all(console, decisions.map(|(plan, decision)| next_json(plan, decision.as_ref())));
    }
    let mut text = String::new();
    for (plan, decision) in decisions {
        let what = match decision {
            None => "is being run".to_owned(),
            Some(Decision::Never) => "only by hand".to_owned(),
            Some(Decision::At { begin_secs, .. }) => format!("backup at {}", moment(begin_secs)),
            Some(Decision::Run { chore, slot_secs }) => {
                format!("{} is due since {}", chore.name(), moment(slot_secs))
            }
            Some(Decision::Wait { chore, reasons, look_again_secs, .. }) => {
                let reasons: Vec<_> =
                    reasons.into_iter().map(|reason| wait(reason, look_again_secs)).collect();
                format!("{} {}", chore.name(), reasons.join(", "))
            }
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}: {what}", plan.name);
    }
    if text.is_empty() {
        text.push_str("There are no plans. They are set up in the window.\n");
    }
    console.result(&text)
}

fn next_json(plan: &Plan, decision: Option<&Decision>) -> Value {
    let name = &plan.name;
    match decision {
        None => json!({ "name": name, "state": "running" }),
        Some(Decision::Never) => json!({ "name": name, "state": "by hand" }),
        Some(Decision::At { begin_secs, .. }) => {
            json!({ "name": name, "state": "planned", "begin": begin_secs })
        }
        Some(Decision::Run { chore, slot_secs }) => {
            json!({ "name": name, "state": "due", "task": chore.name(), "since": slot_secs })
        }
        Some(Decision::Wait { chore, slot_secs, reasons, look_again_secs }) => json!({
            "name": name,
            "state": "waiting",
            "task": chore.name(),
            "since": slot_secs,
            "reasons": reasons,
            "look_again": look_again_secs,
        }),
    }
}

/// What came of a run.
pub fn run(console: &Console, plan: &Plan, run: &Run) -> Result<()> {
    if console.is_json() {
        // Warnings were printed as they came.
        return print(
            console,
            json!({ "name": plan.name, "run": Run { warnings: Vec::new(), ..run.clone() } }),
        );
    }
    let mut text = format!("{}: {}", plan.name, outcome(run));
    if let Some(removed) = run.removed.as_ref().filter(|removed| !removed.set_secs.is_empty()) {
        let count = counted(removed.set_secs.len() as u64, "old backup", "old backups");
        // Writing to a String cannot fail.
        let _ = write!(text, "; {count} deleted, {} freed", HumanBytes(removed.deleted_bytes));
    }
    text.push('\n');
    if let Some(alarm) = run.alarm {
        let _ = writeln!(
            text,
            "{} of about {} entries changed, came or went, more than ever before. No old backup is deleted until you \
             have said in the window that this is well.",
            alarm.changed_count, alarm.total_count
        );
    }
    console.result(&text)
}

fn outcome(run: &Run) -> String {
    match &run.outcome {
        Outcome::Finished { full, entry_count, stored_bytes, .. } => {
            let kind = if *full == Some(true) { "a full backup" } else { "changes" };
            format!(
                "{kind}, {}, {} stored",
                counted(*entry_count, "entry", "entries"),
                HumanBytes(*stored_bytes)
            )
        }
        Outcome::Verified(found) => {
            let files = counted(found.file_count, "stored file", "stored files");
            format!("{files} checked, {} damaged", found.damaged_count)
        }
        Outcome::Drilled(found) => {
            let files = counted(found.sample_count, "file", "files");
            let damaged = match found.damaged_count {
                0 => String::new(),
                count => format!(", {} damaged", counted(count, "stored file", "stored files")),
            };
            format!("{files} restored, {} not as it was{damaged}", found.failure_count)
        }
        Outcome::Moved(moved) => {
            let sets = counted(moved.snapshot_count, "set", "sets");
            format!("{sets} moved to {}", moved.to.address())
        }
        Outcome::Restored(restored) => {
            let entries = counted(restored.entry_count, "entry", "entries");
            format!("{entries} restored to {}", restored.folder.display())
        }
        Outcome::Stopped => "stopped".to_owned(),
        Outcome::Failed(problem) => format!("failed: {}", problem.what),
    }
}

fn ended(run: &Run) -> String {
    let by = if run.automatic { ", by itself" } else { "" };
    format!("{}{by}: {}", moment(run.ended_secs), outcome(run))
}

fn schedule(schedule: &Schedule) -> String {
    let time = schedule.time.strftime("%H:%M");
    match schedule.every {
        Every::Never => "only by hand".to_owned(),
        Every::Hour => format!(
            "every hour, {} past",
            counted(schedule.time.minute().unsigned_abs().into(), "minute", "minutes")
        ),
        Every::Day => format!("every day at {time}"),
        Every::Week => format!("every {:?} at {time}", schedule.weekday),
        Every::Month => format!("every month on day {} at {time}", schedule.day),
    }
}

fn wait(reason: Reason, again_secs: i64) -> String {
    match reason {
        Reason::DriveAway => "waits for the drive".to_owned(),
        Reason::Retry => format!("is tried again at {}, since it failed", moment(again_secs)),
        Reason::Person => "waits for you: run it once by hand".to_owned(),
        // Not looked at here.
        other => format!("waits: {}", other.name()),
    }
}

fn moment(secs: i64) -> String {
    Timestamp::from_second(secs).map_or_else(
        |_| secs.to_string(),
        |time| time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string(),
    )
}
