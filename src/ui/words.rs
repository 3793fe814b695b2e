//! Sizes, times and durations as people read them.

use glib::DateTime;

use crate::engine::format::time::SetTime;
use crate::i18n::{gettext, gettext_f, ngettext_f, pgettext};

/// A number of bytes.
pub fn size(bytes: u64) -> String {
    glib::format_size(bytes).into()
}

/// A number, grouped as the locale does it.
pub fn count(number: u64) -> String {
    let separator = pgettext("between groups of three digits", ",");
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push_str(&separator);
        }
        text.push(digit);
    }
    text
}

/// How much is left, such as “about 3 minutes left”.
pub fn time_left(seconds: u64) -> String {
    match seconds {
        0..10 => gettext("a few seconds left"),
        10..60 => gettext("less than a minute left"),
        60..3600 => {
            let minutes = seconds.div_ceil(60);
            ngettext_f(
                "about {count} minute left",
                "about {count} minutes left",
                minutes,
                &[("count", &count(minutes))],
            )
        }
        _ => {
            let hours = (seconds + 1800) / 3600;
            ngettext_f(
                "about {count} hour left",
                "about {count} hours left",
                hours,
                &[("count", &count(hours))],
            )
        }
    }
}

/// How long something took.
pub fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => ngettext_f(
            "{count} second",
            "{count} seconds",
            seconds.max(1),
            &[("count", &count(seconds.max(1)))],
        ),
        60..3600 => {
            let minutes = seconds / 60;
            ngettext_f("{count} minute", "{count} minutes", minutes, &[("count", &count(minutes))])
        }
        _ => {
            let hours = seconds / 3600;
            ngettext_f("{count} hour", "{count} hours", hours, &[("count", &count(hours))])
        }
    }
}

/// When something was, seen from now, inside a sentence: “2 hours ago”, “yesterday at 22:00”.
pub fn ago(then_secs: i64) -> String {
    match (DateTime::from_unix_local(then_secs), DateTime::now_local()) {
        (Ok(then), Ok(now)) => ago_from(&then, &now),
        _ => gettext("at an unknown time"),
    }
}

fn ago_from(then: &DateTime, now: &DateTime) -> String {
    let seconds = now.to_unix() - then.to_unix();
    let days = day_number(now) - day_number(then);
    if (-60..60).contains(&seconds) {
        gettext("just now")
    } else if (60..3600).contains(&seconds) {
        let minutes = (seconds / 60).unsigned_abs();
        ngettext_f("{count} minute ago", "{count} minutes ago", minutes, &[("count", &count(minutes))])
    } else if seconds > 0 && (days == 0 || seconds < 6 * 3600) {
        let hours = (seconds / 3600).unsigned_abs();
        ngettext_f("{count} hour ago", "{count} hours ago", hours, &[("count", &count(hours))])
    } else if days == 1 {
        gettext_f("yesterday at {time}", &[("time", &clock(then))])
    } else if (2..7).contains(&days) {
        let days = days.unsigned_abs();
        ngettext_f("{count} day ago", "{count} days ago", days, &[("count", &count(days))])
    } else {
        gettext_f("on {date}", &[("date", &date(then))])
    }
}

/// When something will be, seen from now, inside a sentence: “today at 22:00”, “on Monday at 22:00”.
pub fn ahead(then_secs: i64) -> String {
    match (DateTime::from_unix_local(then_secs), DateTime::now_local()) {
        (Ok(then), Ok(now)) => ahead_from(&then, &now),
        _ => gettext("at an unknown time"),
    }
}

fn ahead_from(then: &DateTime, now: &DateTime) -> String {
    let time = clock(then);
    match day_number(then) - day_number(now) {
        ..0 => gettext("now"),
        0 => gettext_f("today at {time}", &[("time", &time)]),
        1 => gettext_f("tomorrow at {time}", &[("time", &time)]),
        2..7 => {
            // Translators: a day of the week such as Monday; see g_date_time_format().
            let day = format_date(then, &gettext("%A"));
            gettext_f("on {weekday} at {time}", &[("weekday", &day), ("time", &time)])
        }
        _ => gettext_f("on {date} at {time}", &[("date", &date(then)), ("time", &time)]),
    }
}

/// A time of the day: “22:00”.
pub fn time_of_day(hour: i8, minute: i8) -> String {
    let time = DateTime::from_utc(2000, 1, 1, hour.into(), minute.into(), 0.0);
    time.map(|time| clock(&time)).unwrap_or_default()
}

/// Days since some day, in the time zone of the date.
fn day_number(date: &DateTime) -> i64 {
    (date.to_unix() + date.utc_offset().as_seconds()).div_euclid(86_400)
}

fn clock(time: &DateTime) -> String {
    format_date(time, &gettext("%H:%M"))
}

fn date(time: &DateTime) -> String {
    // Translators: a date such as 3 November 2025; see g_date_time_format().
    format_date(time, &gettext("%-d %B %Y"))
}

fn format_date(time: &DateTime, format: &str) -> String {
    time.format(format).map(Into::into).unwrap_or_default()
}

/// A point in time in full: “Tuesday 17 November 2026, 22:00”.
pub fn full_date(secs: i64) -> String {
    // Translators: a date and time such as Tuesday 17 November 2026, 22:00; see g_date_time_format().
    local(secs, &gettext("%A %-d %B %Y, %H:%M"))
}

/// A point in time for a list: “17 Nov 2026, 22:00”.
pub fn short_date(secs: i64) -> String {
    // Translators: a date and time such as 17 Nov 2026, 22:00; see g_date_time_format().
    local(secs, &gettext("%-d %b %Y, %H:%M"))
}

/// A day: “3 November 2026”.
pub fn day(secs: i64) -> String {
    DateTime::from_unix_local(secs).map(|time| date(&time)).unwrap_or_default()
}

/// A day beside others: “3 Nov”, with the year if it is not this one.
pub fn day_near(secs: i64) -> String {
    let this_year = DateTime::now_local().map(|now| now.year()).ok();
    match DateTime::from_unix_local(secs) {
        // Translators: a day such as 3 Nov; see g_date_time_format().
        Ok(time) if Some(time.year()) == this_year => format_date(&time, &gettext("%-d %b")),
        // Translators: a day such as 3 Nov 2025; see g_date_time_format().
        Ok(time) => format_date(&time, &gettext("%-d %b %Y")),
        Err(_) => String::new(),
    }
}

/// The time of a set in full.
pub fn set_date(time: SetTime) -> String {
    full_date(time.epoch())
}

/// The times of sets, each different from its neighbours: with seconds where the minutes do not tell
/// them apart.
pub fn set_dates(times: &[SetTime]) -> Vec<String> {
    // Translators: a date and time such as Tue 17 Nov 2026, 22:00; see g_date_time_format().
    let minutes = gettext("%a %-d %b %Y, %H:%M");
    // Translators: a date and time such as Tue 17 Nov 2026, 22:00:30; see g_date_time_format().
    tell_apart(times, &minutes, &gettext("%a %-d %b %Y, %H:%M:%S"))
}

/// The same, shorter: “17 Nov 2026, 22:00”.
pub fn short_set_dates(times: &[SetTime]) -> Vec<String> {
    // Translators: a date and time such as 17 Nov 2026, 22:00; see g_date_time_format().
    let minutes = gettext("%-d %b %Y, %H:%M");
    // Translators: a date and time such as 17 Nov 2026, 22:00:30; see g_date_time_format().
    tell_apart(times, &minutes, &gettext("%-d %b %Y, %H:%M:%S"))
}

fn tell_apart(times: &[SetTime], minutes: &str, seconds: &str) -> Vec<String> {
    let minutes: Vec<_> = times.iter().map(|time| local(time.epoch(), minutes)).collect();
    let is_same = |index: usize| {
        let text = &minutes[index];
        minutes.get(index + 1) == Some(text)
            || index.checked_sub(1).is_some_and(|before| minutes[before] == *text)
    };
    let dates = times.iter().enumerate();
    dates
        .map(
            |(index, time)| {
                if is_same(index) { local(time.epoch(), seconds) } else { minutes[index].clone() }
            },
        )
        .collect()
}

fn local(secs: i64, format: &str) -> String {
    DateTime::from_unix_local(secs).map(|time| format_date(&time, format)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_ago() {
        let utc = |day, hour, minute| DateTime::from_utc(2026, 11, day, hour, minute, 0.0).unwrap();
        let now = utc(23, 12, 30);
        let ago = |then: &DateTime| ago_from(then, &now);
        assert_eq!(ago(&utc(23, 12, 30)), "just now");
        assert_eq!(ago(&utc(23, 12, 29)), "1 minute ago");
        assert_eq!(ago(&utc(23, 11, 31)), "59 minutes ago");
        assert_eq!(ago(&utc(23, 10, 0)), "2 hours ago");
        assert_eq!(ago(&utc(22, 22, 5)), "yesterday at 22:05");
        assert_eq!(ago(&utc(20, 13, 0)), "3 days ago");
        assert_eq!(ago(&utc(1, 13, 0)), "on 1 November 2026");
        assert_eq!(ago(&utc(24, 13, 0)), "on 24 November 2026");
        let early = DateTime::from_utc(2026, 11, 23, 1, 0, 0.0).unwrap();
        assert_eq!(ago_from(&utc(22, 23, 0), &early), "2 hours ago");
    }

    #[test]
    fn times_ahead() {
        let utc = |day, hour, minute| DateTime::from_utc(2026, 11, day, hour, minute, 0.0).unwrap();
        let now = utc(23, 12, 30);
        for (then, text) in [
            (utc(23, 22, 0), "today at 22:00"),
            (utc(24, 8, 0), "tomorrow at 08:00"),
            (utc(25, 8, 0), "on Wednesday at 08:00"),
            (utc(30, 8, 0), "on 30 November 2026 at 08:00"),
            (utc(22, 8, 0), "now"),
        ] {
            assert_eq!(ahead_from(&then, &now), text);
        }
        assert_eq!(time_of_day(7, 5), "07:05");
    }

    #[test]
    fn sets_of_one_minute_are_told_apart() {
        let times = [0, 30, 600].map(|secs| SetTime::from_epoch(1_700_000_000 + secs).unwrap());
        let dates = set_dates(&times);
        assert_ne!(dates[0], dates[1]);
        assert_eq!(dates[0].len(), dates[2].len() + 3);
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(48_210), "48,210");
        assert_eq!(count(1_000_000), "1,000,000");
    }

    #[test]
    fn time_left_is_rounded_as_people_do() {
        assert_eq!(time_left(3), "a few seconds left");
        assert_eq!(time_left(61), "about 2 minutes left");
        assert_eq!(time_left(5_500), "about 2 hours left");
    }
}
