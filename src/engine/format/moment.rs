//! A moment as people type it. A text means the same to Souvenir and to duplicity, whose grammar this
//! is, or Souvenir refuses it and says how to write it instead.

use jiff::civil;
use jiff::tz::TimeZone;

use super::time::SetTime;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The units of intervals: their letters, whose case matters, and their seconds.
const UNITS: [(char, i64); 7] =
    [('s', 1), ('m', MINUTE), ('h', HOUR), ('D', DAY), ('W', 7 * DAY), ('M', 30 * DAY), ('Y', 365 * DAY)];

/// What was typed. Most forms mean a moment only together with a "now" and a time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Now.
    Now,
    /// Seconds since 1970.
    At(i64),
    /// So many seconds before now.
    Ago(i64),
    /// What a local clock that knows no summer time shows, as seconds since its own 1970.
    Local(i64),
}

/// Why a text is no moment, and how to write it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MomentError {
    /// An interval with a letter that is no unit, often only the wrong case of one.
    #[error(
        "\"{found}\" is no unit, and case matters: s, m, h, D, W, M (30 days) and Y (365 days) are; \
         write it like {example}"
    )]
    Unit {
        /// The letter.
        found: char,
        /// A text that is understood.
        example: String,
    },
    /// An interval that ends with a number.
    #[error("the last number has no unit; write it like {0}D")]
    NoUnit(String),
    /// An interval with a fraction.
    #[error("only whole numbers count; instead of 1.5h write 1h30m")]
    Fraction,
    /// Hours and minutes only.
    #[error("the seconds are missing; write {0}")]
    NoSeconds(String),
    /// A blank between date and time.
    #[error("between date and time there is a T and no blank; write {0}")]
    Blank(String),
    /// The compact form means UTC, and says so.
    #[error("Z (for UTC) is missing at the end; write {0}")]
    NoZone(String),
    /// A year of two digits.
    #[error("a year has four digits; write it like 2026-03-01")]
    ShortYear,
    /// A month 13, or the like.
    #[error("there is no {what} {value}; write it like {example}")]
    NoSuch {
        /// What the number is meant to be.
        what: &'static str,
        /// The number.
        value: u32,
        /// A text that is understood.
        example: &'static str,
    },
    /// Nothing of the above.
    #[error(
        "not a time; write it like now, 3D (three days ago), 2h30m, 2026-03-01, 2026-03-01T12:00:00, \
         20260301T120000Z or in seconds since 1970"
    )]
    Unknown,
    /// Before the year 0 or after the year 9999.
    #[error("this lies outside the years 0 to 9999")]
    TooFar,
}

/// The moment that a text means, where it is `now` in `zone`.
pub fn parse(text: &str, now: SetTime, zone: &TimeZone) -> Result<SetTime, MomentError> {
    Moment::parse(text)?.resolve(now, zone)
}

impl Moment {
    /// Reads what was typed:
    ///
    /// - `now`, or seconds since 1970;
    /// - `YYYYMMDDThhmmssZ`, and `YYYY-MM-DDThh:mm:ss` with `Z`, `±hh:mm` or nothing;
    /// - an interval back from now, `1h78m`: numbers with a [unit](UNITS), added up;
    /// - a date, which means its first second: `YYYY-MM-DD`, `MM-DD-YYYY`, both also with `/`, `YYYYMMDDZ`.
    ///
    /// Where no zone is given it is the local one, in which summer time never counts. A day that a
    /// month does not have is counted on into the next month.
    pub fn parse(text: &str) -> Result<Self, MomentError> {
        if text == "now" {
            return Ok(Self::Now);
        }
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().map(Self::At).map_err(|_| MomentError::TooFar);
        }
        if let Some(clock) = Clock::shaped(text, "YYYYMMDDThhmmssZ") {
            return Ok(Self::At(clock.seconds()?));
        }
        if let Some((clock, zone)) = text.split_at_checked(W3C.len())
            && let Some(clock) = Clock::shaped(clock, W3C)
        {
            return match (clock.seconds()?, zone) {
                (seconds, "") => Ok(Self::Local(seconds)),
                (seconds, zone) => Ok(Self::At(seconds - offset(zone)?)),
            };
        }
        if let Some(date) = date(text)? {
            return Ok(Self::Local(date.seconds()?));
        }
        interval(text).map(Self::Ago).map_err(|error| misspelt_clock(text).unwrap_or(error))
    }

    /// The moment that is meant, where it is `now` in `zone`.
    pub fn resolve(self, now: SetTime, zone: &TimeZone) -> Result<SetTime, MomentError> {
        let seconds = match self {
            Self::Now => Some(now.epoch()),
            Self::At(seconds) => Some(seconds),
            Self::Ago(seconds) => now.epoch().checked_sub(seconds),
            Self::Local(seconds) => seconds.checked_sub(standard_offset(now, zone)),
        };
        seconds.and_then(SetTime::from_epoch).ok_or(MomentError::TooFar)
    }
}

const W3C: &str = "YYYY-MM-DDThh:mm:ss";

/// What a clock shows.
#[derive(Debug, Default, Clone, Copy)]
struct Clock {
    year: u32,
    month: u32,
    day: u32,
    hour: u32,
    minute: u32,
    second: u32,
}

impl Clock {
    /// Reads a text of that shape, in which `Y`, `M`, `D`, `h`, `m` and `s` stand for digits.
    fn shaped(text: &str, shape: &str) -> Option<Self> {
        if text.len() != shape.len() {
            return None;
        }
        let mut clock = Self::default();
        for (byte, mark) in text.bytes().zip(shape.bytes()) {
            let field = match mark {
                b'Y' => &mut clock.year,
                b'M' => &mut clock.month,
                b'D' => &mut clock.day,
                b'h' => &mut clock.hour,
                b'm' => &mut clock.minute,
                b's' => &mut clock.second,
                _ if byte == mark => continue,
                _ => return None,
            };
            *field = *field * 10 + char::from(byte).to_digit(10)?;
        }
        Some(clock)
    }

    /// Seconds since this clock's own 1970. The years are those that duplicity allows.
    fn seconds(self) -> Result<i64, MomentError> {
        for (what, value, least, most, example) in [
            ("year", self.year, 1901, 2099, "2026-03-01"),
            ("month", self.month, 1, 12, "2026-03-01 or 03/01/2026"),
            ("day", self.day, 1, 31, "2026-03-01 or 03/01/2026"),
            ("hour", self.hour, 0, 23, "2026-03-01T12:00:00"),
            ("minute", self.minute, 0, 59, "2026-03-01T12:00:00"),
            ("second", self.second, 0, 61, "2026-03-01T12:00:00"),
        ] {
            if !(least..=most).contains(&value) {
                return Err(MomentError::NoSuch { what, value, example });
            }
        }
        let first_of_month = civil::Date::new(self.year as i16, self.month as i8, 1)
            .and_then(|date| date.to_zoned(TimeZone::UTC))
            .map_err(|_| MomentError::TooFar)?;
        let [day, hour, minute, second] = [self.day, self.hour, self.minute, self.second].map(i64::from);
        let in_month = (day - 1) * DAY + hour * HOUR + minute * MINUTE + second;
        Ok(first_of_month.timestamp().as_second() + in_month)
    }
}

/// Seconds that a zone, `Z` or `±hh:mm`, is ahead of UTC.
fn offset(zone: &str) -> Result<i64, MomentError> {
    if zone == "Z" {
        return Ok(0);
    }
    let (sign, rest) = match zone.split_at_checked(1) {
        Some(("+", rest)) => (1, rest),
        Some(("-", rest)) => (-1, rest),
        _ => return Err(MomentError::Unknown),
    };
    let clock = Clock::shaped(rest, "hh:mm").ok_or(MomentError::Unknown)?;
    Ok(sign * (i64::from(clock.hour) * HOUR + i64::from(clock.minute) * MINUTE))
}

/// A date with a year of four digits at its beginning or end, and the month before the day.
fn date(text: &str) -> Result<Option<Clock>, MomentError> {
    if let Some(clock) = Clock::shaped(text, "YYYYMMDDZ") {
        return Ok(Some(clock));
    }
    let fields: Vec<&str> = text.split(['-', '/']).collect();
    let [first, second, third] = fields[..] else { return Ok(None) };
    if ![first, second, third].iter().all(|field| is_number(field)) {
        return Ok(None);
    }
    let (year, month, day) = match (first.len(), second.len(), third.len()) {
        (4, 1 | 2, 1 | 2) => (first, second, third),
        (1 | 2, 1 | 2, 4) => (third, first, second),
        _ => return Err(MomentError::ShortYear),
    };
    let number = |digits: &str| digits.parse().map_err(|_| MomentError::Unknown);
    Ok(Some(Clock { year: number(year)?, month: number(month)?, day: number(day)?, ..Clock::default() }))
}

/// The seconds of an interval.
fn interval(text: &str) -> Result<i64, MomentError> {
    let mut total = 0_i64;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
        let (digits, behind) = rest.split_at(end);
        if digits.is_empty() {
            return Err(MomentError::Unknown);
        }
        let mut letters = behind.chars();
        let Some(letter) = letters.next() else { return Err(MomentError::NoUnit(text.to_owned())) };
        let Some((_, unit_secs)) = UNITS.iter().find(|(unit, _)| *unit == letter) else {
            return Err(no_unit(text, letter, letters.as_str()));
        };
        let count: i64 = digits.parse().map_err(|_| MomentError::TooFar)?;
        total = count
            .checked_mul(*unit_secs)
            .and_then(|seconds| total.checked_add(seconds))
            .ok_or(MomentError::TooFar)?;
        rest = letters.as_str();
    }
    if text.is_empty() { Err(MomentError::Unknown) } else { Ok(total) }
}

fn no_unit(text: &str, letter: char, behind: &str) -> MomentError {
    if matches!(letter, '.' | ',') && behind.starts_with(|next: char| next.is_ascii_digit()) {
        return MomentError::Fraction;
    }
    if !letter.is_ascii_alphabetic() {
        return MomentError::Unknown;
    }
    // `3d` means `3D`, and `2H` means `2h`.
    let right_case = |letter: char| {
        let is_unit = |letter: char| UNITS.iter().any(|(unit, _)| *unit == letter);
        let other = if letter.is_ascii_lowercase() {
            letter.to_ascii_uppercase()
        } else {
            letter.to_ascii_lowercase()
        };
        if !is_unit(letter) && is_unit(other) { other } else { letter }
    };
    let example: String = text.chars().map(right_case).collect();
    let is_right = example != text && interval(&example).is_ok();
    let example = if is_right { example } else { "3D or 2h30m".to_owned() };
    MomentError::Unit { found: letter, example }
}

/// What is wrong with a text that looks like a date with a time.
fn misspelt_clock(text: &str) -> Option<MomentError> {
    if Clock::shaped(text, "YYYY-MM-DDThh:mm").is_some() {
        return Some(MomentError::NoSeconds(format!("{text}:00")));
    }
    if Clock::shaped(text, "YYYYMMDDThhmmss").is_some() {
        return Some(MomentError::NoZone(format!("{text}Z")));
    }
    let (day, time) = text.split_once([' ', 't'])?;
    Clock::shaped(day, "YYYY-MM-DD")?;
    let seconds = if Clock::shaped(time, "hh:mm").is_some() { ":00" } else { "" };
    Some(MomentError::Blank(format!("{day}T{time}{seconds}")))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Seconds that the zone's standard time is ahead of UTC. As the C library has it, one number holds
/// for all times: this year's offset without summer time, the smaller one of January and July.
fn standard_offset(now: SetTime, zone: &TimeZone) -> i64 {
    let Ok(stamp) = jiff::Timestamp::from_second(now.epoch()) else { return 0 };
    let year = stamp.to_zoned(TimeZone::UTC).year();
    let offset = |month| {
        let first = civil::Date::new(year, month, 1).and_then(|date| date.to_zoned(TimeZone::UTC)).ok()?;
        Some(i64::from(zone.to_offset(first.timestamp()).seconds()))
    };
    [1, 7].into_iter().filter_map(offset).min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2023-11-14T22:13:20Z.
    const NOW: i64 = 1_700_000_000;

    fn zone(text: &str) -> TimeZone {
        TimeZone::posix(text).unwrap()
    }

    fn read(text: &str, zone: &TimeZone) -> Result<i64, String> {
        parse(text, SetTime::from_epoch(NOW).unwrap(), zone)
            .map(SetTime::epoch)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn every_form_is_read() {
        let berlin = zone("CET-1CEST,M3.5.0,M10.5.0/3");
        for (text, expected) in [
            ("now", NOW),
            ("0", 0),
            ("1700000000", NOW),
            ("20231114", 20_231_114),
            ("20231114T221320Z", NOW),
            ("2023-11-14T22:13:20Z", NOW),
            ("2023-11-15T00:13:20+02:00", NOW),
            ("2023-11-14T18:43:20-03:30", NOW),
            ("2023-11-14T23:13:20", NOW),
            // Summer time never counts: this is an hour later than a clock in Berlin showed it.
            ("2023-07-01T12:00:00", 1_688_209_200),
            ("1s", NOW - 1),
            ("1h78m", NOW - 3600 - 78 * 60),
            ("3D64s", NOW - 3 * DAY - 64),
            ("2W1D", NOW - 15 * DAY),
            ("1M", NOW - 30 * DAY),
            ("1m", NOW - 60),
            ("1Y", NOW - 365 * DAY),
            ("0s", NOW),
            ("2023/11/14", 1_699_916_400),
            ("2023-11-14", 1_699_916_400),
            ("11/14/2023", 1_699_916_400),
            ("11-14-2023", 1_699_916_400),
            ("20231114Z", 1_699_916_400),
            ("2023-1-4", 1_672_786_800),
            ("1/4/2023", 1_672_786_800),
            ("2023-1/4", 1_672_786_800),
            // Days are counted on, as the C library does it: 3 March.
            ("2023-02-31", 1_677_798_000),
            ("2023-02-31T00:00:00Z", 1_677_801_600),
        ] {
            assert_eq!(read(text, &berlin), Ok(expected), "{text}");
        }
    }

    #[test]
    fn standard_time_is_found_on_both_halves_of_the_earth() {
        let midnight_utc = 1_699_920_000;
        for (text, hours) in [
            ("UTC0", 0),
            ("CET-1CEST,M3.5.0,M10.5.0/3", 1),
            ("EST5EDT,M3.2.0,M11.1.0", -5),
            // In November it is summer there.
            ("AEST-10AEDT,M10.1.0,M4.1.0/3", 10),
            ("IST-5:30", 5),
        ] {
            let expected = midnight_utc - hours * HOUR - if text == "IST-5:30" { 1800 } else { 0 };
            assert_eq!(read("2023-11-14", &zone(text)), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_refused_says_why_and_how_to_write_it() {
        for (text, why, how) in [
            ("3d", "\"d\" is no unit", "like 3D"),
            ("2H30m", "\"H\" is no unit", "like 2h30m"),
            ("3x", "\"x\" is no unit", "like 3D or 2h30m"),
            ("1h30", "no unit", "like 1h30D"),
            ("1.5h", "whole numbers", "1h30m"),
            ("1,5D", "whole numbers", "1h30m"),
            ("2026-03-01T12:00", "seconds are missing", "2026-03-01T12:00:00"),
            ("2026-03-01 12:00:00", "no blank", "2026-03-01T12:00:00"),
            ("2026-03-01 12:00", "no blank", "2026-03-01T12:00:00"),
            ("20260301T120000", "Z (for UTC) is missing", "20260301T120000Z"),
            ("26-03-01", "four digits", "2026-03-01"),
            ("2026-13-01", "no month 13", "03/01/2026"),
            ("31/12/2026", "no month 31", "03/01/2026"),
            ("2026-00-01", "no month 0", "2026-03-01"),
            ("2026-12-32", "no day 32", "2026-03-01"),
            ("2026-03-01T24:00:00", "no hour 24", "T12:00:00"),
            ("2026-03-01T12:60:00", "no minute 60", "T12:00:00"),
            ("1899-03-01", "no year 1899", "2026-03-01"),
            ("9999999999999Y", "outside", "9999"),
            ("99999999999999999999", "outside", "9999"),
            ("9999Y", "outside", "9999"),
            ("", "not a time", "3D"),
            ("Now", "not a time", "now"),
            ("yesterday", "not a time", "3D"),
            ("-3D", "not a time", "3D"),
            ("s", "not a time", "3D"),
            ("3 D", "not a time", "3D"),
            ("2026-03-01T12:00:00+0200", "not a time", "T12:00:00"),
            ("2026-03-01T12:00:00z", "not a time", "T12:00:00"),
            ("２０２６-03-01", "not a time", "2026-03-01"),
        ] {
            let error = read(text, &TimeZone::UTC).unwrap_err();
            assert!(error.contains(why) && error.contains(how), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_printed_is_read() {
        let time = SetTime::from_epoch(NOW).unwrap();
        assert_eq!(parse(&time.to_string(), time, &TimeZone::UTC), Ok(time));
    }
}
