//! A secret key cut into numbered parts, each a line of text that a QR code holds.
//!
//! `SOUVENIR1:KEY-ID:SUM:02/07:BASE32`: the id of the key, the first eight digits of the SHA-256 of the
//! whole, the number of the part, and its share of the base32 text. Only characters of QR's alphanumeric
//! mode, so that a code stays small; and lines that sort into their order, so that the commands of any
//! system put them together again.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::base32;

/// What every part begins with.
const MARK: &str = "SOUVENIR1:";

/// Characters of base32 in one part. With what stands before them they fit a code of version 16 (81 × 81)
/// that stays readable when a quarter of it is damaged.
const PART_CHARS: usize = 400;

/// The most parts that a key is cut into, and that the number of a part is believed to be.
const MAX_PARTS: usize = 99;

/// The parts of a key, in their order. None if it is too large to be printed.
pub(super) fn cut(fingerprint: &str, key: &[u8]) -> Option<Vec<Zeroizing<String>>> {
    let text = base32::encode(key);
    let count = text.len().div_ceil(PART_CHARS);
    if count == 0 || count > MAX_PARTS {
        return None;
    }
    let (id, sum) = (key_id(fingerprint), sum(key));
    // Parts of about the same size look better than a last one with three characters; whole groups of eight,
    // so that each of them is base32 by itself.
    let share = text.len().div_ceil(count).next_multiple_of(8);
    let pieces: Vec<&str> =
        text.as_bytes().chunks(share).filter_map(|piece| std::str::from_utf8(piece).ok()).collect();
    let part = |(index, piece): (usize, &&str)| {
        Zeroizing::new(format!("{MARK}{id}:{sum}:{:02}/{:02}:{piece}", index + 1, pieces.len()))
    };
    Some(pieces.iter().enumerate().map(part).collect())
}

/// The long id of a key.
pub(super) fn key_id(fingerprint: &str) -> &str {
    &fingerprint[fingerprint.len().saturating_sub(16)..]
}

fn sum(key: &[u8]) -> String {
    Sha256::digest(key).iter().take(4).map(|byte| format!("{byte:02X}")).collect()
}

/// The parts that were found so far.
#[derive(Default)]
pub struct Codes {
    /// By key and sum.
    sets: BTreeMap<(String, String), Parts>,
}

#[derive(Default)]
struct Parts {
    count: usize,
    found: BTreeMap<usize, Zeroizing<String>>,
}

/// A key of which parts are missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The long id of the key.
    pub key_id: String,
    /// The numbers of the parts that are missing.
    pub missing: Vec<usize>,
    /// How many parts there are.
    pub count: usize,
}

impl Codes {
    /// Takes in every part that stands somewhere in `text`. Gives how many of them were new.
    pub fn add(&mut self, text: &str) -> usize {
        let mut new = 0;
        for found in text.split(MARK).skip(1) {
            new += usize::from(self.add_part(found).is_some());
        }
        new
    }

    fn add_part(&mut self, text: &str) -> Option<()> {
        let mut fields = text.splitn(4, ':');
        let (id, sum, number) = (fields.next()?, fields.next()?, fields.next()?);
        let is_hex =
            |text: &str, length| text.len() == length && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        if !is_hex(id, 16) || !is_hex(sum, 8) {
            return None;
        }
        let (number, count) = number.split_once('/')?;
        let (number, count): (usize, usize) = (number.parse().ok()?, count.parse().ok()?);
        if number == 0 || number > count || count > MAX_PARTS {
            return None;
        }
        let is_base32 = |c: char| c.is_ascii_uppercase() || ('2'..='7').contains(&c) || c == '=';
        let data = fields.next()?;
        let data = &data[..data.find(|c| !is_base32(c)).unwrap_or(data.len())];
        // A part that was cut off in the middle is none: each has whole groups.
        base32::decode(data).filter(|_| data.len().is_multiple_of(8))?;
        let parts = self.sets.entry((id.to_owned(), sum.to_owned())).or_default();
        if parts.count != count {
            *parts = Parts { count, found: BTreeMap::new() };
        }
        let is_new = parts.found.insert(number, Zeroizing::new(data.to_owned())).is_none();
        is_new.then_some(())
    }

    /// Whether no part was found.
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// How many parts were found.
    pub fn found_count(&self) -> usize {
        self.sets.values().map(|parts| parts.found.len()).sum()
    }

    /// The keys of which all parts are there, and which are what was printed.
    pub fn keys(&self) -> Vec<Zeroizing<Vec<u8>>> {
        self.sets.iter().filter_map(|((_, sum), parts)| parts.join(sum)).collect()
    }

    /// The keys of which something is missing. One whose parts do not fit together misses all of them.
    pub fn gaps(&self) -> Vec<Gap> {
        let gap = |((id, sum), parts): (&(String, String), &Parts)| {
            let mut missing: Vec<usize> =
                (1..=parts.count).filter(|number| !parts.found.contains_key(number)).collect();
            if missing.is_empty() && parts.join(sum).is_none() {
                missing = (1..=parts.count).collect();
            }
            let gap = Gap { key_id: id.clone(), missing, count: parts.count };
            (!gap.missing.is_empty()).then_some(gap)
        };
        self.sets.iter().filter_map(gap).collect()
    }
}

impl Parts {
    fn join(&self, expected: &str) -> Option<Zeroizing<Vec<u8>>> {
        if self.found.len() != self.count {
            return None;
        }
        let mut text = Zeroizing::new(String::new());
        for part in self.found.values() {
            text.push_str(part);
        }
        base32::decode(&text).filter(|key| sum(key) == expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINGERPRINT: &str = "02C5C5CFDE1BDB89FA0B122AEA3D4B480588A413";

    fn key(length: usize) -> Vec<u8> {
        (0..length).map(|index| (index * index % 251) as u8).collect()
    }

    #[test]
    fn parts_in_any_order_with_anything_between_become_the_key() {
        for length in [1, 5, 249, 250, 251, 560, 5000] {
            let key = key(length);
            let mut parts = cut(FINGERPRINT, &key).unwrap();
            assert!(parts.iter().all(|part| part.len() < 460), "{length}");
            parts.reverse();
            let mut codes = Codes::default();
            for part in &parts {
                assert_eq!(codes.add(&format!("QR-Code:{}\r\n", **part)), 1);
            }
            assert_eq!(codes.add(&parts[0]), 0, "twice the same");
            assert!(codes.gaps().is_empty());
            assert_eq!(codes.keys().len(), 1);
            assert_eq!(*codes.keys()[0], key);
        }
        assert!(cut(FINGERPRINT, &[]).is_none() && cut(FINGERPRINT, &key(50_000)).is_none());
    }

    #[test]
    fn what_is_missing_is_told() {
        let parts = cut(FINGERPRINT, &key(2000)).unwrap();
        let mut codes = Codes::default();
        codes.add(&format!("{} {}", *parts[0], *parts[3]));
        assert!(codes.keys().is_empty());
        let gap = Gap { key_id: FINGERPRINT[24..].to_owned(), missing: vec![2, 3, 5, 6, 7, 8], count: 8 };
        assert_eq!(codes.gaps(), [gap]);
    }

    #[test]
    fn parts_of_another_key_do_not_mix_in() {
        let (one, two) = (cut(FINGERPRINT, &key(2000)).unwrap(), cut(FINGERPRINT, &key(2001)).unwrap());
        let mut codes = Codes::default();
        for part in one.iter().chain(&two) {
            codes.add(part);
        }
        assert_eq!(codes.keys().len(), 2);
        // The same head over other contents.
        let mut forged = Codes::default();
        let head = one[0].rfind(':').unwrap();
        for (mine, other) in one.iter().zip(&two) {
            forged.add(&format!("{}{}", &mine[..=head], &other[head + 1..]));
        }
        assert!(forged.keys().is_empty() && forged.gaps()[0].missing.len() == one.len());
    }

    #[test]
    fn what_is_no_part_is_left_out() {
        let part = &cut(FINGERPRINT, &key(100)).unwrap()[0];
        let mut codes = Codes::default();
        for other in [
            "",
            "SOUVENIR1:",
            "SOUVENIR1:xyz",
            &part[..part.len() - 3],
            &part.replace("01/01", "00/01"),
            &part.replace("01/01", "02/01"),
            &part.replace("01/01", "01/9999999"),
            &part.replace(&FINGERPRINT[24..], "no hex digits at"),
        ] {
            assert_eq!(codes.add(other), 0, "{other}");
        }
        assert!(codes.is_empty() && codes.found_count() == 0);
    }
}
