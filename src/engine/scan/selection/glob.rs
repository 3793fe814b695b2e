//! Shell patterns in duplicity's grammar, as regular expressions.

use super::matcher::Shape;
use super::regexp::{Build, class};

/// What stands in front of a pattern for which the case of letters does not matter.
pub const IGNORE_CASE: &str = "ignorecase:";

/// The pattern without what may stand in front of it, and whether it says that case does not matter.
pub fn split_prefix(pattern: &str) -> (&str, bool) {
    match pattern.split_at_checked(IGNORE_CASE.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(IGNORE_CASE) => (rest, true),
        _ => (pattern, false),
    }
}

/// What a pattern, as text, matches. It is not empty and has no two slashes in a row.
pub fn compile(pattern: &str, ignore_case: bool) -> Result<Shape, String> {
    let (pattern, folders_only) = match pattern {
        "/" => ("/**", false),
        _ => pattern.strip_suffix('/').map_or((pattern, false), |folder| (folder, true)),
    };
    let whole = to_regex(pattern)?;
    let parents =
        parent_patterns(pattern).iter().map(|parent| to_regex(parent)).collect::<Result<Vec<_>, _>>()?;
    Shape::new(&whole, &parents, folders_only, ignore_case)
}

/// A path that is meant as it is, with what lies below it, whatever the case of its letters.
pub fn compile_literal(path: &str) -> Result<Shape, String> {
    let parents: Vec<_> = beginnings(path).map(regex::escape).collect();
    Shape::new(&regex::escape(path), &parents, false, true)
}

/// Whether a pattern is nothing but a path: most lines of long lists are.
pub fn is_plain(pattern: &str) -> bool {
    !pattern.contains(['*', '?', '['])
}

impl Shape {
    fn new(whole: &str, parents: &[String], folders_only: bool, ignore_case: bool) -> Result<Self, String> {
        let build = Build { ignore_case, dot_is_newline: true };
        Ok(Self {
            whole: build.regex(&format!(r"\A(?:{whole})(?:\z|/)"))?,
            below: folders_only.then(|| build.regex(&format!(r"\A(?:{whole})/"))).transpose()?,
            parents: Some(build.regex(&format!(r"\A(?:{})\z", parents.join("|")))?),
        })
    }
}

/// The patterns of the folders that may hold a match. Below the first `**` every folder may.
fn parent_patterns(pattern: &str) -> Vec<&str> {
    match pattern.find("**") {
        Some(at) => {
            let reaching = &pattern[..at + 2];
            beginnings(reaching).chain([reaching]).collect()
        }
        None => beginnings(pattern).collect(),
    }
}

/// The path up to each of its slashes; to the first, if it begins with one, up to and with it.
fn beginnings(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at.max(1)])
}

/// There is no escape character, and an unclosed `[` stands for itself.
fn to_regex(pattern: &str) -> Result<String, String> {
    let mut source = String::new();
    let mut rest = pattern;
    while let Some(character) = rest.chars().next() {
        let mut taken = character.len_utf8();
        match character {
            '*' if rest.starts_with("**") => {
                source.push_str(".*");
                taken = 2;
            }
            '*' => source.push_str("[^/]*"),
            '?' => source.push_str("[^/]"),
            '[' => match split_class(rest) {
                Some((negated, members, length)) => {
                    source.push_str(&class(negated, members)?);
                    taken = length;
                }
                None => source.push_str("\\["),
            },
            _ => source.push_str(&regex::escape(&rest[..taken])),
        }
        rest = &rest[taken..];
    }
    Ok(source)
}

/// Whether the class is negated, its members, and its length with the brackets.
fn split_class(text: &str) -> Option<(bool, &str, usize)> {
    let inner = &text[1..];
    let negated = inner.starts_with(['!', '^']);
    let start = 1 + usize::from(negated);
    // A bracket right at the beginning is a member.
    let search_from = start + usize::from(text[start..].starts_with(']'));
    let end = search_from + text.get(search_from..)?.find(']')?;
    Some((negated, &text[start..end], end + 1))
}
