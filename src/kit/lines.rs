//! A secret key as lines to type, for the day on which no code can be read.
//!
//! `03/15: ABCDE FGHIJ … : 6A3F`: the number of the line, its base32 text in groups, and the first four
//! digits of the SHA-256 of that text without spaces, so that a slip is found in its line.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::base32;

/// Characters of base32 in a line, and in a group of it.
const LINE_CHARS: usize = 60;
const GROUP_CHARS: usize = 5;

/// The most lines that are taken in.
const MAX_LINES: usize = 999;

/// The lines of a key.
pub(super) fn print(key: &[u8]) -> Vec<Zeroizing<String>> {
    let text = base32::encode(key);
    let chunks: Vec<&[u8]> = text.as_bytes().chunks(LINE_CHARS).collect();
    let digits = chunks.len().to_string().len();
    let line = |(index, chunk): (usize, &&[u8])| {
        let groups: Vec<&str> =
            chunk.chunks(GROUP_CHARS).filter_map(|group| std::str::from_utf8(group).ok()).collect();
        let (number, count) = (index + 1, chunks.len());
        Zeroizing::new(format!("{number:0digits$}/{count}: {} : {}", groups.join(" "), sum(&groups.concat())))
    };
    chunks.iter().enumerate().map(line).collect()
}

fn sum(text: &str) -> String {
    Sha256::digest(text).iter().take(2).map(|byte| format!("{byte:02X}")).collect()
}

/// The lines that were typed so far.
#[derive(Default)]
pub struct Lines {
    count: usize,
    found: BTreeMap<usize, Zeroizing<String>>,
    wrong: Vec<usize>,
}

impl Lines {
    /// Takes in every line of that kind in `text`. Small letters count like large ones, and spaces do not.
    pub fn add(&mut self, text: &str) {
        for line in text.lines() {
            self.add_line(line);
        }
    }

    fn add_line(&mut self, line: &str) -> Option<()> {
        let mut fields = line.split(':');
        let (number, text, wanted) = (fields.next()?, fields.next()?, fields.next()?);
        let (number, count) = number.trim().split_once('/')?;
        let (number, count): (usize, usize) = (number.trim().parse().ok()?, count.trim().parse().ok()?);
        if fields.next().is_some() || number == 0 || number > count || count > MAX_LINES {
            return None;
        }
        self.count = count;
        let typed: Zeroizing<String> = Zeroizing::new(
            text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_uppercase()).collect(),
        );
        self.wrong.retain(|other| *other != number);
        if sum(&typed) == wanted.trim().to_ascii_uppercase() {
            self.found.insert(number, typed);
        } else {
            self.found.remove(&number);
            self.wrong.push(number);
        }
        Some(())
    }

    /// Whether no line was found.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The lines with a slip in them.
    pub fn wrong(&self) -> &[usize] {
        &self.wrong
    }

    /// The lines that are not there, apart from those with a slip.
    pub fn missing(&self) -> Vec<usize> {
        (1..=self.count)
            .filter(|number| !self.found.contains_key(number) && !self.wrong.contains(number))
            .collect()
    }

    /// The key, if all lines are there and right.
    pub fn key(&self) -> Option<Zeroizing<Vec<u8>>> {
        if self.is_empty() || self.found.len() != self.count {
            return None;
        }
        let mut text = Zeroizing::new(String::new());
        for line in self.found.values() {
            text.push_str(line);
        }
        base32::decode(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(length: usize) -> Vec<u8> {
        (0..length).map(|index| (index * 7 % 253) as u8).collect()
    }

    #[test]
    fn what_is_typed_becomes_the_key() {
        for length in [1, 37, 38, 560] {
            let printed = print(&key(length));
            let mut lines = Lines::default();
            for line in printed.iter().rev() {
                lines.add(&format!("  {}", line.to_lowercase().replace(' ', "  ")));
            }
            assert_eq!(**lines.key().unwrap(), key(length));
            assert!(lines.missing().is_empty() && lines.wrong().is_empty());
        }
    }

    #[test]
    fn a_slip_is_found_in_its_line() {
        let printed = print(&key(200));
        let mut lines = Lines::default();
        lines.add(&printed[0]);
        let slip = printed[1].replacen('A', "B", 1);
        assert_ne!(slip, *printed[1]);
        lines.add(&slip);
        assert_eq!((lines.wrong(), &lines.missing()[..]), (&[2][..], &[3, 4, 5, 6][..]));
        assert!(lines.key().is_none());
        lines.add(&printed.iter().map(|line| line.to_string()).collect::<Vec<_>>().join("\n"));
        assert!(lines.wrong().is_empty() && lines.key().is_some());
    }

    #[test]
    fn other_texts_are_no_lines() {
        let mut lines = Lines::default();
        lines.add("Dear Ada,\nat 12:30: come in 1/2 hour: yes\nSOUVENIR1:00:00:01/02:AAAA\n0/0: A : B\n");
        assert!(lines.is_empty() && lines.key().is_none());
    }
}
