//! What is due when, as tables.

use jiff::civil::{DateTime, time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::*;
use crate::engine::crypto::Protection;
use crate::engine::storage::Address;
use crate::plan::history::{Cause, Outcome, Run, Task};
use crate::plan::{Destination, Plan, SftpAccount};

/// Central Europe by its rule, so that no database of zones is needed.
pub fn berlin() -> TimeZone {
    TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
}

/// The east of North America.
pub fn new_york() -> TimeZone {
    TimeZone::posix("EST5EDT,M3.2.0,M11.1.0").unwrap()
}

pub fn plan(schedule: Schedule) -> Plan {
    let folder = Destination::Folder { path: "/srv/backups".into() };
    Plan { schedule, ..Plan::new("Home", vec!["/home".into()], folder, Protection::none()) }
}

/// A destination that is reached over the network.
pub fn server() -> Destination {
    match Address::parse("sftp://nas/backups".as_ref()).unwrap() {
        Address::Sftp(address) => Destination::Sftp(SftpAccount { address, key_file: None }),
        other => panic!("{other:?}"),
    }
}

/// A backup that came to its end.
pub fn finished(started_secs: i64, ended_secs: i64) -> Run {
    let outcome = Outcome::Finished {
        full: Some(false),
        entry_count: 1,
        deleted_count: 0,
        source_bytes: 1,
        stored_bytes: 1,
    };
    Run { started_secs, ended_secs, outcome, ..Run::default() }
}

fn failed(ended_secs: i64, cause: Option<Cause>) -> Run {
    let outcome = Outcome::Failed(Default::default());
    Run { started_secs: ended_secs - 5, ended_secs, outcome, cause, ..Run::default() }
}

fn daily() -> Schedule {
    Schedule { every: Every::Day, time: time(20, 0, 0, 0), ..Schedule::default() }
}

fn local(text: &str) -> Zoned {
    text.parse::<DateTime>().unwrap().to_zoned(berlin()).unwrap()
}

fn secs(text: &str) -> i64 {
    local(text).timestamp().as_second()
}

fn utc(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_second()
}

fn decide(plan: &Plan, runs: &[Run], now: &str) -> Decision {
    due(plan, runs, &local(now), &Machine::default())
}

fn runs_backup(decision: &Decision, slot: &str) -> bool {
    *decision == Decision::Run { chore: Chore::Backup, slot_secs: secs(slot) }
}

fn at(slot: &str) -> Decision {
    Decision::At { slot_secs: secs(slot), begin_secs: secs(slot) }
}

fn waits_for(decision: &Decision) -> Vec<Reason> {
    match decision {
        Decision::Wait { reasons, .. } => reasons.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn moments_are_on_the_local_clock() {
    let weekly = Schedule { every: Every::Week, weekday: Weekday::Sunday, ..daily() };
    let monthly = |day| Schedule { every: Every::Month, day, ..daily() };
    let hourly = Schedule { every: Every::Hour, time: time(0, 15, 0, 0), ..daily() };
    for (schedule, now, last, next) in [
        (daily(), "2026-11-24T21:00", "2026-11-24T20:00", "2026-11-25T20:00"),
        (daily(), "2026-11-24T20:00", "2026-11-24T20:00", "2026-11-25T20:00"),
        (daily(), "2026-11-24T19:59:59", "2026-11-23T20:00", "2026-11-24T20:00"),
        (hourly, "2026-11-24T00:10", "2026-11-23T23:15", "2026-11-24T00:15"),
        (weekly.clone(), "2026-11-24T00:10", "2026-11-22T20:00", "2026-11-29T20:00"),
        (weekly, "2026-11-29T20:00", "2026-11-29T20:00", "2026-12-06T20:00"),
        (monthly(1), "2026-11-24T00:10", "2026-11-01T20:00", "2026-12-01T20:00"),
        (monthly(31), "2026-03-01T12:00", "2026-02-28T20:00", "2026-03-31T20:00"),
        (monthly(31), "2028-03-01T12:00", "2028-02-29T20:00", "2028-03-31T20:00"),
        (monthly(31), "2026-04-30T19:00", "2026-03-31T20:00", "2026-04-30T20:00"),
        (monthly(30), "2026-02-28T20:00", "2026-02-28T20:00", "2026-03-30T20:00"),
    ] {
        assert_eq!(schedule.last_slot(secs(now), &berlin()), Some(secs(last)), "{schedule:?} {now}");
        assert_eq!(schedule.next_slot(secs(now), &berlin()), Some(secs(next)), "{schedule:?} {now}");
    }
    assert_eq!(Schedule::default().next_slot(0, &berlin()), None);
}

#[test]
fn clocks_that_are_put_forward_and_back() {
    let night = Schedule { time: time(2, 30, 0, 0), ..daily() };
    // There is no half past two: it is moved to half past three, summer time.
    let moved = utc("2026-03-29T01:30:00Z");
    assert_eq!(night.next_slot(secs("2026-03-28T12:00"), &berlin()), Some(moved));
    assert_eq!(night.last_slot(moved, &berlin()), Some(moved));
    assert_eq!(night.next_slot(moved, &berlin()), Some(utc("2026-03-30T00:30:00Z")));
    // Half past two comes twice, and only the first one counts.
    let first = utc("2026-10-25T00:30:00Z");
    assert_eq!(night.next_slot(secs("2026-10-24T12:00"), &berlin()), Some(first));
    assert_eq!(night.next_slot(first, &berlin()), Some(utc("2026-10-26T01:30:00Z")));
    assert_eq!(night.last_slot(first + 3600, &berlin()), Some(first));
    // Each hour is an hour, whatever the clock calls it.
    let hourly = Schedule { every: Every::Hour, ..night };
    for start in ["2026-03-28T22:00:00Z", "2026-10-24T22:00:00Z"].map(utc) {
        let mut slot = hourly.next_slot(start, &berlin()).unwrap();
        for _ in 0..8 {
            let next = hourly.next_slot(slot, &berlin()).unwrap();
            assert_eq!(next - slot, 3600);
            slot = next;
        }
    }
    // Half an hour's difference, as on Lord Howe Island: never two within half an hour, never none for long.
    let lord_howe = TimeZone::posix("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0").unwrap();
    let mut slot = utc("2026-04-03T00:00:00Z");
    while slot < utc("2026-04-06T00:00:00Z") {
        let next = hourly.next_slot(slot, &lord_howe).unwrap();
        assert!((1800..=5400).contains(&(next - slot)), "{slot}");
        slot = next;
    }
}

#[test]
fn what_was_missed_is_caught_up_once() {
    let plan = plan(daily());
    let run = finished(secs("2026-11-17T20:00"), secs("2026-11-17T20:10"));
    // A week without the machine.
    let now = "2026-11-24T09:00";
    assert!(runs_backup(&decide(&plan, std::slice::from_ref(&run), now), "2026-11-23T20:00"));
    let caught_up = finished(secs(now), secs("2026-11-24T09:05"));
    assert_eq!(decide(&plan, &[run, caught_up], "2026-11-24T09:06"), at("2026-11-24T20:00"));
}

#[test]
fn what_is_not_caught_up_begins_soon_or_not_at_all() {
    let plan = plan(Schedule { catch_up: false, prove: false, ..daily() });
    let run = [finished(secs("2026-11-17T20:00"), secs("2026-11-17T20:10"))];
    assert!(runs_backup(&decide(&plan, &run, "2026-11-24T20:59"), "2026-11-24T20:00"));
    assert_eq!(decide(&plan, &run, "2026-11-24T21:01"), at("2026-11-25T20:00"));
}

#[test]
fn moments_before_the_schedule_are_not_missed() {
    let mut schedule = daily();
    schedule.since = Some(secs("2026-11-24T21:00"));
    let set = plan(schedule.clone());
    assert_eq!(decide(&set, &[], "2026-11-24T21:00"), at("2026-11-25T20:00"));
    assert!(runs_backup(&decide(&set, &[], "2026-11-25T20:00"), "2026-11-25T20:00"));
    // Other conditions are no other moments.
    let calm = Schedule { on_battery: true, day: 9, ..schedule.clone() };
    assert_eq!(schedule.changed_to(calm.clone(), 7), calm);
    let earlier = Schedule { time: time(19, 0, 0, 0), ..schedule.clone() };
    assert_eq!(schedule.changed_to(earlier, 7).since, Some(7));
    let hourly = Schedule { every: Every::Hour, ..schedule };
    let same = Schedule { time: time(3, 0, 0, 0), ..hourly.clone() };
    assert_eq!(hourly.changed_to(same, 7).since, hourly.since);
}

#[test]
fn each_condition_holds_a_run_back() {
    let mut remote = plan(daily());
    remote.destination = server();
    let local_plan = plan(daily());
    let on = Machine::default();
    let battery = Machine { on_battery: true, ..on };
    let saver = Machine { saves_power: true, ..on };
    let game = Machine { plays: true, ..on };
    let offline = Machine { is_offline: true, ..on };
    let metered = Machine { is_metered: true, ..on };
    let captive = Machine { is_captive: true, ..on };
    let away = Machine { drive_is_away: true, ..on };
    let now = local("2026-11-24T20:30");
    for (machine, here, there) in [
        (battery, vec![Reason::Battery], vec![Reason::Battery]),
        (saver, vec![Reason::PowerSaver], vec![Reason::PowerSaver]),
        (game, vec![Reason::Game], vec![Reason::Game]),
        (offline, vec![], vec![Reason::Offline]),
        (metered, vec![], vec![Reason::Metered]),
        (captive, vec![], vec![Reason::Captive]),
        (away, vec![Reason::DriveAway], vec![Reason::DriveAway]),
        // Whoever has no network is not told that it costs.
        (Machine { is_metered: true, is_captive: true, ..offline }, vec![], vec![Reason::Offline]),
    ] {
        for (plan, expected) in [(&local_plan, here), (&remote, there)] {
            let decision = due(plan, &[], &now, &machine);
            if expected.is_empty() {
                assert!(matches!(decision, Decision::Run { .. }), "{machine:?} {decision:?}");
                continue;
            }
            assert_eq!(waits_for(&decision), expected, "{machine:?}");
            let Decision::Wait { look_again_secs, .. } = decision else { unreachable!() };
            assert_eq!(look_again_secs, now.timestamp().as_second() + LOOK_AGAIN_SECS);
        }
    }
    remote.schedule = Schedule {
        on_battery: true,
        on_metered: true,
        in_power_saver: true,
        during_games: true,
        ..remote.schedule
    };
    let everything = Machine { on_battery: true, saves_power: true, plays: true, is_metered: true, ..on };
    assert!(matches!(due(&remote, &[], &now, &everything), Decision::Run { .. }));
    assert_eq!(remote.schedule.forbids(&captive, false), [Reason::Captive]);
}

#[test]
fn servers_are_asked_a_little_later_and_always_as_much() {
    let mut remote = plan(daily());
    remote.destination = server();
    let mut seen = std::collections::BTreeSet::new();
    for id in 0..50 {
        remote.id = format!("{id}");
        let Decision::At { slot_secs, begin_secs } = due(
            &remote,
            &[finished(0, secs("2026-11-24T01:00"))],
            &local("2026-11-24T19:00"),
            &Machine::default(),
        ) else {
            panic!("it is not due yet");
        };
        assert_eq!(slot_secs, secs("2026-11-24T20:00"));
        assert!((0..600).contains(&(begin_secs - slot_secs)));
        seen.insert(begin_secs);
        let runs = [finished(0, secs("2026-11-24T01:00"))];
        for (now_secs, begins) in [(begin_secs - 1, false), (begin_secs, true)] {
            let now = Timestamp::from_second(now_secs).unwrap().to_zoned(berlin());
            let decision = due(&remote, &runs, &now, &Machine::default());
            assert_eq!(matches!(decision, Decision::Run { .. }), begins, "{decision:?}");
        }
    }
    assert!(seen.len() > 30, "they are spread: {seen:?}");
}

#[test]
fn failures_are_tried_again_less_and_less_often() {
    let plan = plan(daily());
    let mut runs = vec![finished(secs("2026-11-23T20:00"), secs("2026-11-23T20:10"))];
    let mut now = secs("2026-11-24T20:00");
    for wait_secs in [600, 1800, 7200, 21_600, 21_600] {
        runs.push(failed(now, None));
        for (then, begins) in [(now + wait_secs - 1, false), (now + wait_secs, true)] {
            let at = Timestamp::from_second(then).unwrap().to_zoned(berlin());
            let decision = due(&plan, &runs, &at, &Machine::default());
            assert_eq!(matches!(decision, Decision::Run { .. }), begins, "{wait_secs}: {decision:?}");
        }
        now += wait_secs;
    }
    // A backup that was made by hand is one.
    runs.push(finished(now, now + 5));
    let at = Timestamp::from_second(now + 6).unwrap().to_zoned(berlin());
    assert!(matches!(due(&plan, &runs, &at, &Machine::default()), Decision::At { .. }));
}

#[test]
fn what_needs_a_person_is_not_tried_again_and_again() {
    let hourly = plan(Schedule { every: Every::Hour, ..daily() });
    let runs = [failed(secs("2026-11-24T20:00:10"), Some(Cause::Person))];
    for now in ["2026-11-24T20:30", "2026-11-24T23:30", "2026-11-25T20:00"] {
        assert_eq!(waits_for(&decide(&hourly, &runs, now)), [Reason::Person], "{now}");
    }
    assert!(runs_backup(&decide(&hourly, &runs, "2026-11-25T20:01"), "2026-11-25T20:00"));
    let monthly = plan(Schedule { every: Every::Month, day: 24, ..daily() });
    assert_eq!(waits_for(&decide(&monthly, &runs, "2026-12-20T20:00")), [Reason::Person]);
    assert!(runs_backup(&decide(&monthly, &runs, "2026-12-24T20:00"), "2026-12-24T20:00"));
}

#[test]
fn a_run_that_was_stopped_goes_on_unless_a_person_stopped_it() {
    let plan = plan(daily());
    let stopped = |cause| Run {
        outcome: Outcome::Stopped,
        cause,
        ..finished(secs("2026-11-24T20:00"), secs("2026-11-24T20:05"))
    };
    for cause in [Cause::Battery, Cause::PowerSaver, Cause::Game, Cause::Metered, Cause::Shutdown] {
        assert!(runs_backup(&decide(&plan, &[stopped(Some(cause))], "2026-11-24T20:06"), "2026-11-24T20:00"));
    }
    assert_eq!(decide(&plan, &[stopped(None)], "2026-11-24T20:06"), at("2026-11-25T20:00"));
    let pulled_out = failed(secs("2026-11-24T20:05"), Some(Cause::DriveAway));
    assert!(runs_backup(&decide(&plan, &[pulled_out], "2026-11-24T20:06"), "2026-11-24T20:00"));
}

#[test]
fn a_clock_that_is_put_back_neither_repeats_nor_stops_anything() {
    let plan = plan(daily());
    // It was put back by an hour while the backup ran.
    let odd = finished(secs("2026-11-24T20:00"), secs("2026-11-24T19:10"));
    assert_eq!(decide(&plan, std::slice::from_ref(&odd), "2026-11-24T20:01"), at("2026-11-25T20:00"));
    // It was a year fast when the last backup was made.
    let future = finished(secs("2027-11-24T20:00"), secs("2027-11-24T20:10"));
    assert!(runs_backup(
        &decide(&plan, std::slice::from_ref(&future), "2026-11-24T20:01"),
        "2026-11-24T20:00"
    ));
    let failed_then = failed(secs("2026-11-25T08:00"), None);
    let Decision::Wait { look_again_secs, .. } = decide(&plan, &[failed_then], "2026-11-24T20:01") else {
        panic!("it waits a little");
    };
    assert!(look_again_secs <= secs("2026-11-24T20:11"));
}

#[test]
fn another_zone_changes_when_the_day_ends() {
    let plan = plan(daily());
    let runs = [finished(secs("2026-11-24T20:00"), secs("2026-11-24T20:10"))];
    // Two hours later in Berlin, it is four in the afternoon in New York, and eight is still to come.
    let now = local("2026-11-24T22:00").timestamp().to_zoned(new_york());
    let expected = "2026-11-24T20:00".parse::<DateTime>().unwrap().to_zoned(new_york()).unwrap().timestamp();
    let Decision::At { slot_secs, .. } = due(&plan, &runs, &now, &Machine::default()) else {
        panic!("nothing is due");
    };
    assert_eq!(slot_secs, expected.as_second());
}

#[test]
fn proofs_come_at_their_pace() {
    let plan = plan(Schedule { since: Some(secs("2026-01-01T12:00")), ..daily() });
    let backup = |day: &str| finished(secs(&format!("{day}T20:00")), secs(&format!("{day}T20:10")));
    let proof =
        |day: &str, task, outcome| Run { task, outcome, ..finished(0, secs(&format!("{day}T21:00"))) };
    let mut runs = vec![backup("2026-01-01"), backup("2026-01-30")];
    let due_of = |runs: &[Run], now: &str| match decide(&plan, runs, now) {
        Decision::Run { chore, .. } => Some(chore),
        _ => None,
    };
    assert_eq!(due_of(&runs, "2026-01-30T20:11"), None, "29 days");
    assert_eq!(due_of(&runs, "2026-01-31T20:00"), Some(Chore::Backup), "the backup comes first");
    runs.push(backup("2026-01-31"));
    assert_eq!(due_of(&runs, "2026-01-31T20:11"), Some(Chore::Verify));
    runs.push(proof("2026-01-31", Task::Verify, Outcome::Verified(Default::default())));
    assert_eq!(due_of(&runs, "2026-01-31T21:11"), None);
    runs.push(proof("2026-03-01", Task::Verify, Outcome::Stopped));
    runs.push(backup("2026-03-03"));
    assert_eq!(due_of(&runs, "2026-03-03T20:11"), Some(Chore::Verify));
    runs.push(proof("2026-03-03", Task::Verify, Outcome::Stopped));
    assert_eq!(due_of(&runs, "2026-03-03T21:11"), Some(Chore::Drill), "a person stopped the other one");
    runs.push(proof("2026-03-03", Task::Drill, Outcome::Drilled(Default::default())));
    assert_eq!(due_of(&runs, "2026-03-03T22:11"), None);
    let mut quiet = plan.clone();
    quiet.schedule.prove = false;
    assert!(matches!(
        decide(&quiet, &[backup("2026-01-01"), backup("2026-11-24")], "2026-11-24T20:11"),
        Decision::At { .. }
    ));
}

#[test]
fn a_schedule_is_kept_as_people_write_it() {
    let mut plan = plan(Schedule { every: Every::Week, weekday: Weekday::Sunday, ..daily() });
    let text = toml::to_string_pretty(&plan).unwrap();
    for line in
        ["[schedule]", "every = \"week\"", "time = \"20:00:00\"", "weekday = \"sunday\"", "catch_up = true"]
    {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
    assert_eq!(toml::from_str::<Plan>(&text).unwrap(), plan);
    let (before, _) = text.split_once("[schedule]").unwrap();
    plan.schedule = Schedule::default();
    assert_eq!(toml::from_str::<Plan>(before).unwrap().schedule, plan.schedule, "an old file has none");
}
