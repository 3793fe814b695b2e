//! The moments that a schedule names, on the clock of a time zone.
//!
//! A time that a day has twice, where clocks are put back, counts the first time; one that it does not have,
//! where they are put forward, is moved by as much as the clocks are.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::{Every, Schedule, Weekday};

const HOUR_SECS: i64 = 3600;
/// Two months: no two moments are further apart.
const FARTHEST_DAYS: i32 = 63;

impl Schedule {
    /// The last moment at or before `now`, in seconds since 1970.
    pub fn last_slot(&self, now: i64, zone: &TimeZone) -> Option<i64> {
        match self.every {
            Every::Never => None,
            Every::Hour => self.hour_before(now, zone),
            _ => self.days(now, zone, -1).find(|slot| *slot <= now),
        }
    }

    /// The first moment after `now`, in seconds since 1970.
    pub fn next_slot(&self, now: i64, zone: &TimeZone) -> Option<i64> {
        match self.every {
            Every::Never => None,
            Every::Hour => self.hour_before(now, zone).map(|slot| slot + HOUR_SECS),
            _ => self.days(now, zone, 1).find(|slot| *slot > now),
        }
    }

    /// The moment of the running hour. Offsets need not be whole hours, so it is counted on the local clock.
    fn hour_before(&self, now: i64, zone: &TimeZone) -> Option<i64> {
        let offset = zone.to_offset(Timestamp::from_second(now).ok()?).seconds();
        let minute_secs = i64::from(self.time.minute()) * 60;
        Some(now - (now + i64::from(offset) - minute_secs).rem_euclid(HOUR_SECS))
    }

    /// The moments of the days around `now`, one after another in the direction of `step`. They begin on the
    /// far side of it, since midnight may be elsewhere by then.
    fn days<'a>(&'a self, now: i64, zone: &'a TimeZone, step: i32) -> impl Iterator<Item = i64> + 'a {
        let today = Timestamp::from_second(now).ok().map(|now| zone.to_datetime(now).date());
        let days = (-1..FARTHEST_DAYS).map(move |distance| distance * step);
        days.filter_map(move |distance| today?.checked_add(distance.days()).ok())
            .filter(move |date| self.is_day(*date))
            .filter_map(move |date| {
                Some(date.to_datetime(self.time).to_zoned(zone.clone()).ok()?.timestamp().as_second())
            })
    }

    fn is_day(&self, date: Date) -> bool {
        match self.every {
            Every::Never => false,
            Every::Hour | Every::Day => true,
            Every::Week => Weekday::from(date.weekday()) == self.weekday,
            Every::Month => {
                i16::from(date.day()) == i16::from(self.day.max(1)).min(date.days_in_month().into())
            }
        }
    }
}
