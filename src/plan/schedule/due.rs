//! Whether a plan is to be run now.

use jiff::Zoned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Chore, Every, Schedule};
use crate::engine::job::CancelReason;
use crate::plan::Plan;
use crate::plan::history::{Cause, Outcome, Run, Task};

const HOUR_SECS: i64 = 3600;
const DAY_SECS: i64 = 24 * HOUR_SECS;

/// After how long it is looked again whether a condition holds that nobody tells of, in seconds.
pub const LOOK_AGAIN_SECS: i64 = 60;

/// How late what is not caught up may begin, in seconds.
const GRACE_SECS: i64 = HOUR_SECS;

/// Servers are not asked by everybody at the same second: by how much it may begin later, in seconds.
const JITTER_SECS: i64 = 600;

/// How long to wait after one failure, after two, and so on, in seconds.
const RETRY_SECS: [i64; 4] = [600, 1800, 2 * HOUR_SECS, 6 * HOUR_SECS];

/// How long what was stored is believed to be as it was written, in seconds.
const VERIFY_EVERY_SECS: i64 = 30 * DAY_SECS;

/// How long it is believed that it can be restored, in seconds.
const DRILL_EVERY_SECS: i64 = 60 * DAY_SECS;

/// What matters of the machine, as it is now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Machine {
    /// It runs on battery.
    pub on_battery: bool,
    /// It saves power.
    pub saves_power: bool,
    /// A game runs.
    pub plays: bool,
    /// There is no network.
    pub is_offline: bool,
    /// The network costs by what is sent.
    pub is_metered: bool,
    /// The network wants a person to sign in before it lets anything through.
    pub is_captive: bool,
    /// The drive that the backups are on is away.
    pub drive_is_away: bool,
}

/// What a run waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The machine to be plugged in.
    Battery,
    /// The machine to save no power.
    PowerSaver,
    /// The game to end.
    Game,
    /// A network.
    Offline,
    /// A network that does not cost.
    Metered,
    /// Somebody to sign in to the network.
    Captive,
    /// The drive.
    DriveAway,
    /// Some time, since the last run failed.
    Retry,
    /// A person, without whom the last run could not be done.
    Person,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Battery,
        Self::PowerSaver,
        Self::Game,
        Self::Offline,
        Self::Metered,
        Self::Captive,
        Self::DriveAway,
        Self::Retry,
        Self::Person,
    ];

    /// Its name between programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Battery => "battery",
            Self::PowerSaver => "power-saver",
            Self::Game => "game",
            Self::Offline => "offline",
            Self::Metered => "metered",
            Self::Captive => "captive",
            Self::DriveAway => "drive-away",
            Self::Retry => "retry",
            Self::Person => "person",
        }
    }

    /// The reason of that name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }

    /// Whether it is one of the machine's surroundings, not of the runs before.
    pub fn is_condition(self) -> bool {
        !matches!(self, Self::Retry | Self::Person)
    }

    /// Whether it is one of the network, which comes and goes quickly.
    pub fn is_of_network(self) -> bool {
        matches!(self, Self::Offline | Self::Metered | Self::Captive)
    }

    /// Why a run stops that is under way when this turns up; none where it may go on, or ends by itself.
    pub fn cancel_reason(self) -> Option<CancelReason> {
        match self {
            Self::Battery => Some(CancelReason::Battery),
            Self::PowerSaver => Some(CancelReason::PowerSaver),
            Self::Game => Some(CancelReason::Game),
            Self::Metered => Some(CancelReason::Metered),
            _ => None,
        }
    }
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing, for ever.
    Never,
    /// Nothing before that time, in seconds since 1970.
    At {
        /// The moment that the schedule names.
        slot_secs: i64,
        /// When it is to begin.
        begin_secs: i64,
    },
    /// Something is due, but not now.
    Wait {
        /// What.
        chore: Chore,
        /// Since when it is due, in seconds since 1970.
        slot_secs: i64,
        /// Why it does not begin; not empty.
        reasons: Vec<Reason>,
        /// When to look again at the latest, in seconds since 1970.
        look_again_secs: i64,
    },
    /// Something is to begin now.
    Run {
        /// What.
        chore: Chore,
        /// Since when it is due, in seconds since 1970.
        slot_secs: i64,
    },
}

impl Schedule {
    /// What forbids a run now. A destination on this computer needs no network.
    pub fn forbids(&self, machine: &Machine, is_local: bool) -> Vec<Reason> {
        let remote = !is_local;
        let conditions = [
            (machine.on_battery && !self.on_battery, Reason::Battery),
            (machine.saves_power && !self.in_power_saver, Reason::PowerSaver),
            (machine.plays && !self.during_games, Reason::Game),
            (machine.is_offline && remote, Reason::Offline),
            (machine.is_metered && !self.on_metered && remote && !machine.is_offline, Reason::Metered),
            (machine.is_captive && remote && !machine.is_offline, Reason::Captive),
            (machine.drive_is_away, Reason::DriveAway),
        ];
        conditions.into_iter().filter_map(|(holds, reason)| holds.then_some(reason)).collect()
    }
}

/// Whether something is to be run for a plan, which nobody may be running. `runs` are all that are remembered, oldest
/// first.
pub fn due(plan: &Plan, runs: &[Run], now: &Zoned, machine: &Machine) -> Decision {
    let schedule = &plan.schedule;
    let now_secs = now.timestamp().as_second();
    // From here on a moment is what it is with the jitter.
    let jitter_secs = jitter_secs(plan);
    let clock_secs = now_secs - jitter_secs;
    let zone = now.time_zone();
    let Some(next_secs) = schedule.next_slot(clock_secs, zone) else { return Decision::Never };
    let later = Decision::At { slot_secs: next_secs, begin_secs: next_secs + jitter_secs };
    let since = schedule.since.unwrap_or(i64::MIN);
    let Some(slot_secs) = schedule.last_slot(clock_secs, zone).filter(|slot| *slot >= since) else {
        return later;
    };
    let known = Known { schedule, runs: believable(plan, runs, now_secs), now_secs, slot_secs, jitter_secs };
    let Some(chore) = Chore::ALL.into_iter().find(|chore| known.is_open(*chore)) else {
        return later;
    };
    let mut reasons = schedule.forbids(machine, plan.destination.is_local());
    let mut look_again_secs = now_secs + LOOK_AGAIN_SECS;
    if let Some((reason, until_secs)) = known.rest(chore) {
        // Whatever else forbids it does not matter before.
        look_again_secs = until_secs.min(next_secs + jitter_secs).max(look_again_secs);
        reasons.push(reason);
    }
    if reasons.is_empty() {
        Decision::Run { chore, slot_secs }
    } else {
        Decision::Wait { chore, slot_secs, reasons, look_again_secs }
    }
}

/// By how much a plan's runs begin later than the schedule says: always as much for one plan. Only servers
/// are spared.
fn jitter_secs(plan: &Plan) -> i64 {
    if plan.destination.is_local() {
        return 0;
    }
    let digest: [u8; 32] = Sha256::digest(plan.id.as_bytes()).into();
    i64::from(u16::from_be_bytes([digest[0], digest[1]])) % JITTER_SECS
}

/// The runs at the plan's destination, without those that ended much later than now: the clock was wrong then. A clock
/// that was put back a little does not make anything run twice.
fn believable<'a>(plan: &Plan, runs: &'a [Run], now_secs: i64) -> Vec<&'a Run> {
    let is_hourly = plan.schedule.every == Every::Hour;
    let tolerance_secs = |run: &Run| if is_hourly && run.task == Task::Backup { HOUR_SECS } else { DAY_SECS };
    plan.runs_here(runs).filter(|run| last_secs(run) <= now_secs + tolerance_secs(run)).collect()
}

/// When a run was over; a clock that was put back meanwhile does not make it end before it began.
fn last_secs(run: &Run) -> i64 {
    run.ended_secs.max(run.started_secs)
}

/// What is known of one moment.
struct Known<'a> {
    schedule: &'a Schedule,
    runs: Vec<&'a Run>,
    now_secs: i64,
    slot_secs: i64,
    jitter_secs: i64,
}

impl Known<'_> {
    fn is_open(&self, chore: Chore) -> bool {
        let settles =
            |run: &&&Run| run.task == chore.into() && last_secs(run) >= self.slot_secs && settles(run);
        if self.runs.iter().any(|run| settles(&run)) {
            return false;
        }
        let begin_secs = match chore {
            Chore::Backup => self.slot_secs,
            // They follow the backup, however long it took.
            _ => self.runs.iter().map(|run| last_secs(run)).fold(self.slot_secs, i64::max),
        };
        if !self.schedule.catch_up && self.now_secs > begin_secs + self.jitter_secs + GRACE_SECS {
            return false;
        }
        match chore {
            Chore::Backup => true,
            Chore::Verify => {
                self.is_unproved(VERIFY_EVERY_SECS, |outcome| matches!(outcome, Outcome::Verified(_)))
            }
            Chore::Drill => {
                self.is_unproved(DRILL_EVERY_SECS, |outcome| matches!(outcome, Outcome::Drilled(_)))
            }
        }
    }

    /// Whether the last proof is too old; without any, whether there are backups that could have been proved.
    fn is_unproved(&self, every_secs: i64, is_proof: impl Fn(&Outcome) -> bool) -> bool {
        if !self.schedule.prove {
            return false;
        }
        let first = |run: &&&Run| matches!(run.outcome, Outcome::Finished { .. });
        let Some(first_secs) = self.runs.iter().find(first).map(|run| last_secs(run)) else { return false };
        let last = self.runs.iter().rev().find(|run| is_proof(&run.outcome)).map(|run| last_secs(run));
        // Old runs are forgotten, the schedule is not.
        let known_since = || self.schedule.since.map_or(first_secs, |since| since.min(first_secs));
        last.unwrap_or_else(known_since) + every_secs <= self.slot_secs
    }

    /// Whether it is not yet time to try again, why, and when it is.
    fn rest(&self, chore: Chore) -> Option<(Reason, i64)> {
        let of_task = self.runs.iter().rev().filter(|run| run.task == chore.into());
        let failures: Vec<_> = of_task.take_while(|run| matches!(run.outcome, Outcome::Failed(_))).collect();
        let newest = failures.first()?;
        // The clock may have been put back since.
        let failed_secs = last_secs(newest).min(self.now_secs);
        let (reason, until_secs) = match newest.cause {
            // That is looked at anyway.
            Some(Cause::DriveAway) => return None,
            Some(Cause::Person) => {
                let next_day = failed_secs + DAY_SECS;
                if last_secs(newest) < self.slot_secs && next_day <= self.now_secs {
                    return None;
                }
                (Reason::Person, next_day)
            }
            _ => (Reason::Retry, failed_secs + RETRY_SECS[failures.len().min(RETRY_SECS.len()) - 1]),
        };
        (self.now_secs < until_secs || reason == Reason::Person).then_some((reason, until_secs))
    }
}

/// Whether nothing more is to be done for a moment after such a run. One that a condition or the end of the
/// session stopped is gone on with; a person who stopped one meant it.
fn settles(run: &Run) -> bool {
    match run.outcome {
        Outcome::Finished { .. } | Outcome::Verified(_) | Outcome::Drilled(_) => true,
        Outcome::Stopped => run.cause.is_none(),
        Outcome::Failed(_) | Outcome::Moved(_) | Outcome::Restored(_) => false,
    }
}
