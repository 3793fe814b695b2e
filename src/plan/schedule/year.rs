//! A year of a machine whose owner is hard on it, by the minute: nothing two times, nothing never, nothing that was
//! forbidden. What is expected is found here in another way than in the code: by going through the hours.

use std::collections::{BTreeSet, HashMap, HashSet};

use fastrand::Rng;
use jiff::Timestamp;
use jiff::civil::time;
use jiff::tz::TimeZone;

use super::tests::{berlin, finished, new_york, plan, server};
use super::*;
use crate::plan::history::{Cause, Outcome, Run, Task};
use crate::plan::{Destination, Plan};

const YEAR_SECS: i64 = 365 * 86_400;
/// The first minute of 2026 in Berlin.
const START: i64 = 1_767_222_000;

/// A run that is going on.
struct Going {
    task: Task,
    /// The moment that it is for, if it began by itself.
    slot: Option<i64>,
    /// On the wall clock.
    started_secs: i64,
    /// In true time.
    until_secs: i64,
    end: Run,
}

struct World {
    rng: Rng,
    plan: Plan,
    zones: [(TimeZone, BTreeSet<i64>); 2],
    zone: usize,
    /// True time, which nobody in there knows.
    true_secs: i64,
    /// How wrong the clock is.
    skew_secs: i64,
    machine: Machine,
    runs: Vec<Run>,
    going: Option<Going>,
    /// Since when, in true time, everything that can be known could be known.
    settled_secs: i64,
    /// When the moments were served, in true time.
    served: HashMap<i64, i64>,
    begun_count: u64,
}

impl World {
    fn new(schedule: Schedule, remote: bool, seed: u64) -> Self {
        let mut plan = plan(Schedule { since: Some(START), ..schedule });
        plan.id = format!("{seed:x}");
        if remote {
            plan.destination = server();
        }
        let zones = [berlin(), new_york()].map(|zone| {
            let moments = moments(&plan.schedule, &zone);
            (zone, moments)
        });
        Self {
            rng: Rng::with_seed(seed),
            plan,
            zones,
            zone: 0,
            true_secs: START,
            skew_secs: 0,
            machine: Machine::default(),
            runs: Vec::new(),
            going: None,
            settled_secs: START,
            served: HashMap::new(),
            begun_count: 0,
        }
    }

    fn clock(&self) -> i64 {
        self.true_secs + self.skew_secs
    }

    fn live(&mut self) {
        while self.true_secs < START + YEAR_SECS {
            let event_secs = self.true_secs + 60 + (self.rng.f64() * 90.0 * 60.0) as i64;
            while self.true_secs < event_secs {
                let wake_secs = self.look();
                let until = self.going.as_ref().map_or(wake_secs, |going| going.until_secs);
                self.true_secs = until.clamp(self.true_secs + 1, event_secs);
                self.end_run();
            }
            self.happen();
        }
    }

    /// Looks what is due, as the monitor does; when to look again, in true time.
    fn look(&mut self) -> i64 {
        if self.going.is_some() {
            return i64::MAX;
        }
        let clock = self.clock();
        let now = Timestamp::from_second(clock).unwrap().to_zoned(self.zones[self.zone].0.clone());
        let decision = due(&self.plan, &self.runs, &now, &self.machine);
        self.expect(&decision);
        match decision {
            Decision::Never => panic!("the schedule is on"),
            Decision::At { begin_secs, .. } => begin_secs - self.skew_secs,
            Decision::Wait { look_again_secs, reasons, .. } => {
                assert!(look_again_secs >= clock + LOOK_AGAIN_SECS, "nothing is looked at all the time");
                // Of what happens to the machine the monitor is told.
                let is_told = reasons.iter().any(|reason| reason.is_condition());
                if is_told { i64::MAX } else { look_again_secs - self.skew_secs }
            }
            Decision::Run { chore, slot_secs } => {
                assert!(!self.is_forbidden(), "{:?} forbids it", self.machine);
                self.begin(chore.into(), Some(slot_secs));
                i64::MAX
            }
        }
    }

    /// If a backup is to run by all that is known here, it must have been told in time.
    fn expect(&self, decision: &Decision) {
        let clock = self.clock();
        let moments = &self.zones[self.zone].1;
        // Those of servers may come ten minutes later.
        let lateness = if self.plan.destination.is_local() { 0 } else { 600 };
        let Some(&slot) = moments.range(..=clock - lateness).next_back().filter(|slot| **slot >= START)
        else {
            return;
        };
        let is_dealt_with = |run: &Run| {
            let by_person = run.outcome == Outcome::Stopped && run.cause.is_none();
            let made = matches!(run.outcome, Outcome::Finished { .. });
            run.task == Task::Backup && (made || by_person) && run.started_secs.max(run.ended_secs) >= slot
        };
        let resting = match self.runs.iter().rev().find(|run| run.task == Task::Backup) {
            Some(Run { outcome: Outcome::Failed(_), cause: Some(Cause::Person), ended_secs, .. }) => {
                *ended_secs + 86_400 > clock - 120 || *ended_secs >= slot
            }
            Some(Run { outcome: Outcome::Failed(_), ended_secs, .. }) => *ended_secs + 21_600 > clock - 120,
            _ => false,
        };
        if self.runs.iter().any(is_dealt_with) || resting || self.is_forbidden() {
            return;
        }
        assert!(
            matches!(decision, Decision::Run { chore: Chore::Backup, .. }),
            "{slot} is open: {decision:?}"
        );
        let open_secs = self.settled_secs.max(slot + lateness - self.skew_secs);
        let late_secs = self.true_secs - open_secs;
        assert!(late_secs <= LOOK_AGAIN_SECS + 1, "{slot} was told {late_secs} s late");
    }

    fn is_forbidden(&self) -> bool {
        let Machine { on_battery, saves_power, plays, is_offline, is_metered, is_captive, drive_is_away } =
            self.machine;
        let remote = matches!(self.plan.destination, Destination::Sftp(_));
        on_battery
            || saves_power
            || plays
            || drive_is_away
            || remote && (is_offline || is_metered || is_captive)
    }

    fn begin(&mut self, task: Task, slot: Option<i64>) {
        let started_secs = self.clock();
        let length_secs = 20 + (self.rng.f64().powi(4) * 20_000.0) as i64;
        let stopped = |cause| Run { outcome: Outcome::Stopped, cause, ..Run::default() };
        let failed = |cause| Run { outcome: Outcome::Failed(Default::default()), cause, ..Run::default() };
        let end = match self.rng.u8(..100) {
            0..4 => failed(None),
            4..6 => failed(Some(Cause::Person)),
            6..8 => stopped(None),
            _ => {
                if let Some(slot) = slot.filter(|_| task == Task::Backup) {
                    // With a clock that was wrong it may have been served before it had come.
                    let came_secs = slot - self.skew_secs;
                    let before = self.served.insert(slot, self.true_secs);
                    assert!(before.is_none_or(|before| before < came_secs), "{slot} was served already");
                }
                let outcome = match task {
                    Task::Verify => Outcome::Verified(Default::default()),
                    Task::Drill => Outcome::Drilled(Default::default()),
                    _ => finished(0, 0).outcome,
                };
                Run { outcome, ..Run::default() }
            }
        };
        self.begun_count += 1;
        self.going = Some(Going {
            task,
            slot,
            started_secs,
            until_secs: self.true_secs + length_secs,
            end: Run { automatic: slot.is_some(), ..end },
        });
        if slot.is_none() {
            self.settled_secs = self.true_secs;
        }
    }

    fn end_run(&mut self) {
        if let Some(going) = self.going.take_if(|going| going.until_secs <= self.true_secs) {
            let ended_secs = self.clock();
            self.record(going, ended_secs);
        }
    }

    fn record(&mut self, going: Going, ended_secs: i64) {
        self.runs.push(Run { task: going.task, started_secs: going.started_secs, ended_secs, ..going.end });
        // As the history does it.
        let surplus = self.runs.len().saturating_sub(400);
        let newest =
            |is_proof: fn(&Outcome) -> bool| self.runs.iter().rposition(|run| is_proof(&run.outcome));
        let proofs = [
            newest(|outcome| matches!(outcome, Outcome::Verified(_))),
            newest(|outcome| matches!(outcome, Outcome::Drilled(_))),
        ];
        let mut index = 0;
        self.runs.retain(|_| {
            index += 1;
            index > surplus || proofs.contains(&Some(index - 1))
        });
        self.settled_secs = self.true_secs;
    }

    /// Ends a run before it is done.
    fn interrupt(&mut self, cause: Option<Cause>, is_remembered: bool) {
        let Some(mut going) = self.going.take() else { return };
        // It was counted when it began.
        if let (Outcome::Finished { .. }, Some(slot)) = (&going.end.outcome, going.slot) {
            self.served.remove(&slot);
        }
        self.settled_secs = self.true_secs;
        if is_remembered {
            going.end =
                Run { outcome: Outcome::Stopped, cause, automatic: going.end.automatic, ..Run::default() };
            let ended_secs = self.clock();
            self.record(going, ended_secs);
        }
    }

    /// Something happens to the machine.
    fn happen(&mut self) {
        let holds = self.rng.u8(..100) < 15;
        self.settled_secs = self.true_secs;
        match self.rng.u8(..40) {
            0..6 => self.machine.on_battery = holds,
            6..9 => self.machine.saves_power = holds,
            9..12 => self.machine.plays = holds,
            12..15 => self.machine.is_offline = holds,
            15..18 => self.machine.is_metered = holds,
            18..20 => self.machine.is_captive = holds,
            20..23 => self.machine.drive_is_away = holds,
            23..30 => self.sleep(),
            30 => self.skew_secs = self.rng.i64(-3 * 3600..3 * 3600),
            31..34 => self.skew_secs = 0,
            34 => self.zone = 1 - self.zone,
            35..37 if self.going.is_none() => self.begin(Task::Backup, None),
            _ => {}
        }
        if self.is_forbidden() && self.going.as_ref().is_some_and(|going| going.end.automatic) {
            self.interrupt(Some(Cause::Battery), true);
        }
    }

    /// The machine is suspended, or off: then what runs is stopped in time, or dies.
    fn sleep(&mut self) {
        let length_secs = (60.0 + self.rng.f64().powi(6) * 6.0 * 86_400.0) as i64;
        match self.rng.u8(..3) {
            0 => self.interrupt(Some(Cause::Shutdown), true),
            1 => self.interrupt(None, false),
            _ => {
                if let Some(going) = &mut self.going {
                    going.until_secs += length_secs;
                }
            }
        }
        self.true_secs += length_secs;
        self.settled_secs = self.true_secs;
    }
}

/// All moments of a schedule in this year, by looking at every half hour of it.
fn moments(schedule: &Schedule, zone: &TimeZone) -> BTreeSet<i64> {
    let mut days = HashSet::new();
    let mut moments = BTreeSet::new();
    for secs in (START - 86_400 * 40..START + YEAR_SECS + 86_400).step_by(1800) {
        let local = Timestamp::from_second(secs).unwrap().to_zoned(zone.clone());
        let is_minute = local.minute() == schedule.time.minute();
        let is_time = is_minute && local.hour() == schedule.time.hour();
        let is_last_day = local.tomorrow().unwrap().day() == 1;
        let is_moment = match schedule.every {
            Every::Never => false,
            Every::Hour => is_minute,
            Every::Day => is_time,
            Every::Week => is_time && local.strftime("%A").to_string().to_lowercase() == "thursday",
            Every::Month => is_time && is_last_day,
        };
        if is_moment && (schedule.every == Every::Hour || days.insert(local.date())) {
            moments.insert(secs);
        }
    }
    moments
}

#[test]
fn a_year_with_everything_that_happens_to_a_machine() {
    // `./dev test --all` tries more.
    let many = std::env::var_os("SOUVENIR_TEST_ALL").is_some();
    for seed in 0..if many { 40 } else { 2 } {
        for every in [Every::Hour, Every::Day, Every::Week, Every::Month] {
            let hour = if seed % 2 == 0 { 20 } else { 0 };
            let schedule = Schedule {
                every,
                time: time(hour, 30, 0, 0),
                weekday: Weekday::Thursday,
                day: 31,
                ..Schedule::default()
            };
            let mut world = World::new(schedule, seed % 3 == 0, seed);
            world.live();
            let proofs = |task| world.runs.iter().filter(|run| run.task == task).count();
            let made =
                world.runs.iter().filter(|run| matches!(run.outcome, Outcome::Finished { .. })).count();
            assert!(
                world.begun_count >= 12 && made >= 10,
                "{every:?} {seed}: {made} of {}",
                world.begun_count
            );
            if every != Every::Hour {
                assert!(proofs(Task::Verify) >= 6, "{every:?} {seed}: {} proofs", proofs(Task::Verify));
                assert!(proofs(Task::Drill) >= 3, "{every:?} {seed}: {} drills", proofs(Task::Drill));
            }
            let verified = |run: &&Run| matches!(run.outcome, Outcome::Verified(_));
            let ends: Vec<_> = world.runs.iter().filter(verified).map(|run| run.ended_secs).collect();
            assert!(
                ends.windows(2).all(|pair| pair[1] - pair[0] > 28 * 86_400),
                "{every:?} {seed}: {ends:?}"
            );
        }
    }
}
