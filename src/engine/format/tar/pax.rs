//! The records of PAX extended headers: what a ustar header has no room for.

use std::io;

use super::{Header, invalid};

/// Beginnings of the PAX keys that are handed through. duplicity skips keys that it does not know.
const HANDED_THROUGH: [&[u8]; 2] = [b"SOUVENIR.", b"SCHILY.xattr."];

/// What extended headers said of the entry that follows them.
#[derive(Default)]
pub(super) struct Extended {
    pub(super) name: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    user: Option<String>,
    group: Option<String>,
    uid: Option<u32>,
    gid: Option<u32>,
    mtime: Option<(i64, u32)>,
    size: Option<u64>,
    handed_through: Vec<(Vec<u8>, Vec<u8>)>,
    any: bool,
}

impl Extended {
    pub(super) fn is_empty(&self) -> bool {
        !self.any && self.name.is_none() && self.link.is_none()
    }

    pub(super) fn add_records(&mut self, mut data: &[u8]) -> io::Result<()> {
        self.any = true;
        while !data.is_empty() {
            let (key, value, rest) =
                split_record(data).ok_or_else(|| invalid("an extended header is malformed"))?;
            data = rest;
            let text = || String::from_utf8_lossy(value).into_owned();
            match key {
                b"path" => self.name = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"uname" => self.user = Some(text()),
                b"gname" => self.group = Some(text()),
                b"uid" => self.uid = number(value),
                b"gid" => self.gid = number(value),
                b"size" => self.size = number(value),
                b"mtime" => self.mtime = seconds(value),
                key if HANDED_THROUGH.iter().any(|beginning| key.starts_with(beginning)) => {
                    self.handed_through.push((key.to_vec(), value.to_vec()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn apply(self, header: &mut Header) {
        if let Some(name) = self.name {
            header.name = name;
        }
        if let Some(link) = self.link {
            header.link = link;
        }
        header.user = self.user.unwrap_or_else(|| std::mem::take(&mut header.user));
        header.group = self.group.unwrap_or_else(|| std::mem::take(&mut header.group));
        header.uid = self.uid.unwrap_or(header.uid);
        header.gid = self.gid.unwrap_or(header.gid);
        (header.mtime, header.mtime_nanos) = self.mtime.unwrap_or((header.mtime, 0));
        header.size = self.size.unwrap_or(header.size);
        header.records = self.handed_through;
    }
}

/// `LENGTH KEY=VALUE\n` at the beginning, and what follows it.
fn split_record(data: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = data.iter().position(|byte| *byte == b' ')?;
    let length: usize = number(&data[..space])?;
    let (record, rest) = data.split_at_checked(length)?;
    let record = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    Some((&record[..equals], &record[equals + 1..], rest))
}

fn number<N: std::str::FromStr>(digits: &[u8]) -> Option<N> {
    str::from_utf8(digits).ok()?.parse().ok()
}

/// Whole seconds, rounded down, and the nanoseconds on top of them, of a decimal number of seconds.
fn seconds(value: &[u8]) -> Option<(i64, u32)> {
    let text = str::from_utf8(value).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).chain(std::iter::repeat(b'0')).take(9);
    let nanos = digits.fold(0, |nanos, digit| nanos * 10 + u32::from(digit - b'0'));
    Some(if whole.starts_with('-') && nanos > 0 {
        (seconds.saturating_sub(1), 1_000_000_000 - nanos)
    } else {
        (seconds, nanos)
    })
}

/// A name of arbitrary bytes. Python decodes names that are not UTF-8 rightly only with `hdrcharset`
/// in front.
pub(super) fn add_name(records: &mut Vec<u8>, key: &str, value: &[u8]) {
    if str::from_utf8(value).is_err() && !records.starts_with(b"21 hdrcharset") {
        let mut first = Vec::new();
        add_record(&mut first, b"hdrcharset", b"BINARY");
        records.splice(0..0, first);
    }
    add_record(records, key.as_bytes(), value);
}

/// `LENGTH KEY=VALUE\n`, where the length counts its own digits.
pub(super) fn add_record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = 1 + key.len() + 1 + value.len() + 1;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    records.extend_from_slice(format!("{length} ").as_bytes());
    records.extend_from_slice(key);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_of_seconds_are_read() {
        assert_eq!(seconds(b"-1.25"), Some((-2, 750_000_000)));
        assert_eq!(seconds(b"12.9990000001"), Some((12, 999_000_000)));
        assert_eq!(seconds(b"12"), Some((12, 0)));
    }
}
