//! When a plan is backed up by itself.
//!
//! Everything here is pure: whoever asks brings the time, the history and the machine's state, and gets a
//! [`Decision`]. [`slots`] knows the moments that a schedule names, [`due`] decides at one of them or between two.
//!
//! A *slot* is a moment at which a backup is wanted. It is dealt with once a backup came to its end at or after it,
//! or once a person stopped one. Nothing else is remembered, so it does not matter who was running
//! meanwhile, how often, or what the clock did.

mod due;
mod slots;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod year;

use jiff::civil::Time;
use serde::{Deserialize, Serialize};

use super::history::Task;

pub use due::{Decision, LOOK_AGAIN_SECS, Machine, Reason, due};

/// When a plan is backed up by itself, and when rather not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Schedule {
    /// How often.
    pub every: Every,
    /// At what time of the day, on the clock of this machine. Of an hourly schedule only the minute counts.
    pub time: Time,
    /// On which day, of a weekly schedule.
    pub weekday: Weekday,
    /// On which day of the month, of a monthly one. A month that is shorter has it on its last day.
    pub day: u8,
    /// Whether what was missed is caught up. Else it begins within an hour or not at all.
    pub catch_up: bool,
    /// Whether it may run on battery.
    pub on_battery: bool,
    /// Whether it may run over a network that costs by what is sent.
    pub on_metered: bool,
    /// Whether it may run while the machine saves power.
    pub in_power_saver: bool,
    /// Whether it may run while a game does.
    pub during_games: bool,
    /// Whether the backups are looked at now and then: read, and a sample restored.
    pub prove: bool,
    /// Since when the moments hold, in seconds since 1970: earlier ones were not missed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
}

/// What a schedule sees to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chore {
    /// A backup.
    Backup,
    /// Reading what is stored.
    Verify,
    /// Restoring a sample.
    Drill,
}

impl Chore {
    /// All of them, in the order in which they are done.
    pub const ALL: [Self; 3] = [Self::Backup, Self::Verify, Self::Drill];

    /// Its name between programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Verify => "verify",
            Self::Drill => "drill",
        }
    }

    /// The one of that name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|chore| chore.name() == name)
    }
}

impl From<Chore> for Task {
    fn from(chore: Chore) -> Self {
        match chore {
            Chore::Backup => Self::Backup,
            Chore::Verify => Self::Verify,
            Chore::Drill => Self::Drill,
        }
    }
}

/// How often.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Every {
    /// Only when a person wants it.
    #[default]
    Never,
    /// Each hour.
    Hour,
    /// Each day.
    Day,
    /// Each week.
    Week,
    /// Each month.
    Month,
}

impl Every {
    /// All of them, in the order in which people choose.
    pub const ALL: [Self; 5] = [Self::Never, Self::Hour, Self::Day, Self::Week, Self::Month];
}

/// A day of the week.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "they are what they are called")]
pub enum Weekday {
    #[default]
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl Weekday {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Monday,
        Self::Tuesday,
        Self::Wednesday,
        Self::Thursday,
        Self::Friday,
        Self::Saturday,
        Self::Sunday,
    ];
}

impl From<jiff::civil::Weekday> for Weekday {
    fn from(day: jiff::civil::Weekday) -> Self {
        Self::ALL[day.to_monday_zero_offset().unsigned_abs() as usize % 7]
    }
}

impl Default for Schedule {
    /// None, and what most people want once they choose one.
    fn default() -> Self {
        Self {
            every: Every::Never,
            time: Time::constant(20, 0, 0, 0),
            weekday: Weekday::Monday,
            day: 1,
            catch_up: true,
            on_battery: false,
            on_metered: false,
            in_power_saver: false,
            during_games: false,
            prove: true,
            since: None,
        }
    }
}

impl Schedule {
    /// Whether anything happens by itself.
    pub fn is_on(&self) -> bool {
        self.every != Every::Never
    }

    /// Whether both name the same moments.
    pub fn has_moments_of(&self, other: &Self) -> bool {
        let moments = |of: &Self| {
            let hour = (of.every != Every::Hour).then(|| of.time.hour());
            let weekday = (of.every == Every::Week).then_some(of.weekday);
            let day = (of.every == Every::Month).then_some(of.day);
            (of.every, hour, of.time.minute(), weekday, day)
        };
        moments(self) == moments(other)
    }

    /// What another one becomes in the place of this one at `now`: moments that have changed hold from now on.
    pub fn changed_to(&self, mut new: Self, now: i64) -> Self {
        new.since = if self.has_moments_of(&new) { self.since } else { Some(now) };
        new
    }
}
