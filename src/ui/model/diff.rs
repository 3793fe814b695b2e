//! What is not the same in two versions of a text, line by line.

use std::time::Duration;

use similar::{ChangeTag, TextDiff};

/// Unchanged lines that are shown around a change.
const AROUND: usize = 3;

/// After so long the best comparison is given up for a good one.
const PATIENCE: Duration = Duration::from_secs(3);

/// Lines that are shown at most.
const MOST_LINES: usize = 20_000;

/// What a line of a comparison is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineKind {
    /// It is in both.
    Same,
    /// It is in the older version only.
    Removed,
    /// It is in the newer version only.
    Added,
    /// Lines that are in both are left out here; the text is empty.
    Gap,
}

/// A line of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What it is.
    pub kind: LineKind,
    /// Its number in the older version, counted from 1.
    pub old: Option<usize>,
    /// Its number in the newer version, counted from 1.
    pub new: Option<usize>,
    /// What it says, without its end.
    pub text: String,
}

/// Two versions of a text beside each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Changed lines and those around them.
    pub lines: Vec<Line>,
    /// Lines that only the newer version has.
    pub added_count: u64,
    /// Lines that only the older version has.
    pub removed_count: u64,
    /// Whether there are more lines than are shown.
    pub is_cut: bool,
}

/// Compares two versions. Takes up to some seconds for large ones.
pub fn compare(old: &str, new: &str) -> Comparison {
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(old, new);
    let mut comparison = Comparison::default();
    for (index, group) in diff.grouped_ops(AROUND).iter().enumerate() {
        if index > 0 {
            comparison.push(Line { kind: LineKind::Gap, old: None, new: None, text: String::new() });
        }
        for change in group.iter().flat_map(|operation| diff.iter_changes(operation)) {
            let kind = match change.tag() {
                ChangeTag::Equal => LineKind::Same,
                ChangeTag::Delete => LineKind::Removed,
                ChangeTag::Insert => LineKind::Added,
            };
            comparison.removed_count += u64::from(kind == LineKind::Removed);
            comparison.added_count += u64::from(kind == LineKind::Added);
            comparison.push(Line {
                kind,
                old: change.old_index().map(|index| index + 1),
                new: change.new_index().map(|index| index + 1),
                text: change.value().trim_end_matches(['\n', '\r']).to_owned(),
            });
        }
    }
    comparison
}

impl Comparison {
    fn push(&mut self, line: Line) {
        if self.lines.len() < MOST_LINES {
            self.lines.push(line);
        } else {
            self.is_cut = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(comparison: &Comparison) -> Vec<String> {
        let sign = |kind| match kind {
            LineKind::Same => ' ',
            LineKind::Removed => '-',
            LineKind::Added => '+',
            LineKind::Gap => '~',
        };
        comparison.lines.iter().map(|line| format!("{}{}", sign(line.kind), line.text)).collect()
    }

    #[test]
    fn changed_lines_stand_with_those_around_them() {
        let old: String = (1..=20).map(|number| format!("{number}\n")).collect();
        let new = old.replace("2\n", "two\n").replace("20\n", "");
        let comparison = compare(&old, &new);
        assert_eq!(comparison.lines[0].text, "1");
        assert!(shown(&comparison).contains(&"~".to_owned()));
        assert_eq!(compare("a\nb\n", "a\nc\r\nd").added_count, 2);
        assert_eq!(shown(&compare("a\nb\n", "a\nc\r\n")), [" a", "-b", "+c"]);
        let numbers = compare("a\nb\n", "b\n");
        assert_eq!((numbers.lines[1].old, numbers.lines[1].new), (Some(2), Some(1)));
        assert_eq!(compare("same", "same"), Comparison::default());
    }
}
