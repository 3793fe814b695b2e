//! The time of a set, as file names write it.

use std::fmt;

/// The time of a set: whole seconds since 1970, UTC. Its `Display` is the format's own writing,
/// `YYYYMMDDThhmmssZ`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetTime(i64);

impl SetTime {
    /// Seconds since 1970. `None` outside the years 0 to 9999, which a name cannot express.
    pub fn from_epoch(seconds: i64) -> Option<Self> {
        let stamp = jiff::Timestamp::from_second(seconds).ok()?;
        let year = stamp.to_zoned(jiff::tz::TimeZone::UTC).year();
        (0..=9999).contains(&year).then_some(Self(seconds))
    }

    /// Now.
    pub fn now() -> Self {
        Self(jiff::Timestamp::now().as_second())
    }

    /// Seconds since 1970.
    pub fn epoch(self) -> i64 {
        self.0
    }

    /// Reads `YYYYMMDDThhmmssZ`, and the older `YYYY-MM-DDThh:mm:ss` with `Z` or an offset.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let new_form = bytes.len() == 16 && bytes[8] == b'T' && bytes[15] == b'Z';
        let old_form = bytes.len() >= 20 && bytes[4] == b'-' && bytes[10] == b'T';
        if !new_form && !old_form {
            return None;
        }
        let stamp: jiff::Timestamp = text.parse().ok()?;
        (stamp.subsec_nanosecond() == 0).then_some(Self(stamp.as_second()))
    }
}

impl fmt::Display for SetTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = jiff::Timestamp::from_second(self.0)
            .map(|stamp| stamp.strftime("%Y%m%dT%H%M%SZ").to_string())
            .map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_seconds_agree() {
        let time = SetTime::parse("20231114T221320Z").unwrap();
        assert_eq!(time.epoch(), 1_700_000_000);
        assert_eq!(time.to_string(), "20231114T221320Z");
        assert_eq!(SetTime::parse("2023-11-14T22:13:20Z"), Some(time));
        assert_eq!(SetTime::parse("2023-11-15T00:13:20+02:00"), Some(time));
        for bad in ["", "20231114", "20231114T221320", "2023-02-31T00:00:00Z", "20231314T221320Z", "x"] {
            assert_eq!(SetTime::parse(bad), None, "{bad}");
        }
    }
}
