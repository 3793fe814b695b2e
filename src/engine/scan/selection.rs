//! Which entries of the source are backed up: rules in order, the first that matches decides.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use regex::bytes::{Regex, RegexBuilder};

use super::tree::Tree;
use crate::engine::error::{Error, Result};
use crate::engine::path::EntryPath;

/// Include or exclude.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleKind {
    /// What matches is backed up.
    Include,
    /// What matches is left out.
    Exclude,
}

/// One rule with its pattern in duplicity's grammar, matched against full paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Include or exclude.
    pub kind: RuleKind,
    /// A shell pattern: `*` and `?` stay within a component, `**` does not, `[…]` is one of, and
    /// `ignorecase:` in front does what it says. With a slash at its end it is for folders only.
    pub pattern: String,
}

/// What the rules say of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is backed up.
    Include,
    /// It is a folder that is left out unless something in it is let in.
    Search,
    /// It is left out, with everything in it.
    Exclude,
}

/// Rules in order. What no rule matches is backed up; so is the root, always.
#[derive(Debug)]
pub struct Selection {
    /// The root with which full paths begin, without a slash at its end.
    root: Vec<u8>,
    rules: Vec<Compiled>,
}

#[derive(Debug)]
struct Compiled {
    kind: RuleKind,
    matcher: Matcher,
}

#[derive(Debug)]
enum Matcher {
    /// This very path and everything below it.
    Literal(Vec<u8>),
    /// Everything.
    Everything,
    Glob {
        whole: Regex,
        /// Folders that may hold a match.
        parents: Regex,
        folders_only: bool,
    },
}

#[derive(PartialEq)]
enum Match {
    Yes,
    /// Only something below may match.
    Below,
    No,
}

impl Selection {
    /// Everything under the root.
    pub fn everything() -> Self {
        Self { root: Vec::new(), rules: Vec::new() }
    }

    /// Rules in duplicity's grammar, matched against `root` joined with the path of an entry.
    pub fn from_rules(root: &Path, rules: &[Rule]) -> Result<Self> {
        let bytes = root.as_os_str().as_bytes();
        let root = bytes.strip_suffix(b"/").unwrap_or(bytes).to_vec();
        let rules = rules.iter().map(Compiled::new).collect::<Result<_>>()?;
        Ok(Self { root, rules })
    }

    /// What a plan means, whose root is `/`: these folders without those, and nothing else. A deeper
    /// folder decides against the one it lies in. Paths are absolute and literal.
    pub fn from_folders(include: &[PathBuf], exclude: &[PathBuf]) -> Result<Self> {
        let literal = |kind| {
            move |folder: &PathBuf| -> Result<Compiled> {
                let path = EntryPath::from_user(folder).map_err(|error| Error::Pattern {
                    pattern: folder.display().to_string(),
                    reason: error.to_string(),
                })?;
                let matcher = if path.is_root() {
                    Matcher::Everything
                } else {
                    Matcher::Literal([b"/", path.as_bytes()].concat())
                };
                Ok(Compiled { kind, matcher })
            }
        };
        let mut rules: Vec<Compiled> = exclude
            .iter()
            .map(literal(RuleKind::Exclude))
            .chain(include.iter().map(literal(RuleKind::Include)))
            .collect::<Result<_>>()?;
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.matcher.depth()));
        rules.push(Compiled { kind: RuleKind::Exclude, matcher: Matcher::Everything });
        Ok(Self { root: Vec::new(), rules })
    }

    /// The folders that are named to be backed up but are not there.
    pub fn missing_folders(&self, tree: &Tree) -> Vec<EntryPath> {
        let named = self.rules.iter().filter(|rule| rule.kind == RuleKind::Include).filter_map(|rule| {
            match &rule.matcher {
                Matcher::Literal(path) => EntryPath::from_bytes(path.strip_prefix(b"/").unwrap_or(path)).ok(),
                _ => None,
            }
        });
        named.filter(|path| tree.root_path().join(path.as_path()).symlink_metadata().is_err()).collect()
    }

    /// What the rules say of an entry. An entry in an excluded folder is not asked for.
    pub fn verdict(&self, path: &EntryPath, is_folder: bool) -> Verdict {
        if path.is_root() || self.rules.is_empty() {
            return Verdict::Include;
        }
        let full = [&self.root, &b"/"[..], path.as_bytes()].concat();
        let mut search = false;
        for rule in &self.rules {
            match (rule.matcher.matches(&full, is_folder), rule.kind) {
                (Match::Yes, RuleKind::Include) => return Verdict::Include,
                (Match::Yes, RuleKind::Exclude) if search => return Verdict::Search,
                (Match::Yes, RuleKind::Exclude) => return Verdict::Exclude,
                (Match::Below, RuleKind::Include) => search |= is_folder,
                (Match::Below, RuleKind::Exclude) | (Match::No, _) => {}
            }
        }
        Verdict::Include
    }
}

impl Compiled {
    fn new(rule: &Rule) -> Result<Self> {
        let fail = |reason: &str| Error::Pattern { pattern: rule.pattern.clone(), reason: reason.to_owned() };
        let (pattern, ignore_case) = rule
            .pattern
            .strip_prefix("ignorecase:")
            .map_or((rule.pattern.as_str(), false), |rest| (rest, true));
        if pattern.is_empty() {
            return Err(fail("it is empty"));
        }
        if pattern.contains("//") {
            return Err(fail("it has two slashes in a row"));
        }
        if matches!(pattern, "/" | "**") {
            return Ok(Self { kind: rule.kind, matcher: Matcher::Everything });
        }
        let folders_only = pattern.ends_with('/');
        let pattern = pattern.trim_end_matches('/');
        let build = |source: String| {
            RegexBuilder::new(&source)
                .case_insensitive(ignore_case)
                .dot_matches_new_line(true)
                .unicode(false)
                .build()
                .map_err(|error| fail(&error.to_string()))
        };
        let whole = build(format!("^{}(/|$)", glob_to_regex(pattern)))?;
        let prefixes: Vec<_> = parent_patterns(pattern).iter().map(|prefix| glob_to_regex(prefix)).collect();
        let parents = build(format!("^({})$", prefixes.join("|")))?;
        Ok(Self { kind: rule.kind, matcher: Matcher::Glob { whole, parents, folders_only } })
    }
}

impl Matcher {
    fn matches(&self, full: &[u8], is_folder: bool) -> Match {
        match self {
            Self::Everything => Match::Yes,
            Self::Literal(path) => {
                if is_at_or_below(full, path) {
                    Match::Yes
                } else if is_at_or_below(path, full) {
                    Match::Below
                } else {
                    Match::No
                }
            }
            Self::Glob { whole, parents, folders_only } => {
                // Of a pattern for folders, a file of that very name is not meant; what lies below is.
                let meant = whole
                    .find(full)
                    .is_some_and(|hit| !folders_only || is_folder || hit.as_bytes().ends_with(b"/"));
                if meant {
                    Match::Yes
                } else if parents.is_match(full) {
                    Match::Below
                } else {
                    Match::No
                }
            }
        }
    }

    fn depth(&self) -> usize {
        match self {
            Self::Literal(path) => path.iter().filter(|byte| **byte == b'/').count(),
            _ => 0,
        }
    }
}

fn is_at_or_below(path: &[u8], ancestor: &[u8]) -> bool {
    path.strip_prefix(ancestor).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// The patterns of the folders that lead to a match, up to the first `**`, below which every folder does.
fn parent_patterns(pattern: &str) -> Vec<String> {
    let mut parents = vec!["/".to_owned()];
    let components: Vec<&str> = pattern.split('/').collect();
    for end in 1..components.len() {
        let parent = components[..end].join("/");
        let reaches_everywhere = parent.contains("**");
        parents.push(parent);
        if reaches_everywhere {
            return parents;
        }
    }
    if pattern.contains("**") {
        parents.push(pattern[..pattern.find("**").unwrap_or(0) + 2].to_owned());
    }
    parents
}

/// duplicity's grammar: there is no escape character, and an unclosed `[` stands for itself.
fn glob_to_regex(pattern: &str) -> String {
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
                    source.push_str(if negated { "[^" } else { "[" });
                    for member in members.chars() {
                        if matches!(member, '\\' | '[' | ']' | '&' | '~' | '^') {
                            source.push('\\');
                        }
                        source.push(member);
                    }
                    source.push(']');
                    taken = length;
                }
                None => source.push_str("\\["),
            },
            _ => source.push_str(&regex::escape(&rest[..taken])),
        }
        rest = &rest[taken..];
    }
    source
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

#[cfg(test)]
mod tests {
    use super::*;
    use RuleKind::{Exclude, Include};

    fn rules(rules: &[(RuleKind, &str)]) -> Selection {
        let rules: Vec<_> = rules
            .iter()
            .map(|(kind, pattern)| Rule { kind: *kind, pattern: (*pattern).to_owned() })
            .collect();
        Selection::from_rules(Path::new("/src"), &rules).unwrap()
    }

    fn verdict(selection: &Selection, path: &str) -> Verdict {
        let is_folder = path.ends_with('/');
        selection.verdict(&EntryPath::from_user(Path::new(path)).unwrap(), is_folder)
    }

    #[test]
    fn the_first_match_decides() {
        let selection = rules(&[(Include, "/src/a/b"), (Exclude, "/src/a")]);
        assert_eq!(verdict(&selection, "a/b"), Verdict::Include);
        assert_eq!(verdict(&selection, "a/b/c"), Verdict::Include);
        assert_eq!(verdict(&selection, "a/"), Verdict::Search);
        assert_eq!(verdict(&selection, "a/x"), Verdict::Exclude);
        assert_eq!(verdict(&selection, "z"), Verdict::Include);
        let selection = rules(&[(Exclude, "/src/a"), (Include, "/src/a/b")]);
        assert_eq!(verdict(&selection, "a/"), Verdict::Exclude);
    }

    #[test]
    fn stars_stay_within_a_component_unless_doubled() {
        let selection = rules(&[(Include, "/src/*/keep?.[ch]"), (Include, "/src/**/deep"), (Exclude, "**")]);
        assert_eq!(verdict(&selection, "x/keep1.c"), Verdict::Include);
        assert_eq!(verdict(&selection, "x/y/keep1.c"), Verdict::Exclude);
        assert_eq!(verdict(&selection, "x/keep1.o"), Verdict::Exclude);
        assert_eq!(verdict(&selection, "x/y/z/deep"), Verdict::Include);
        assert_eq!(verdict(&selection, "x/y/"), Verdict::Search);
        assert_eq!(verdict(&selection, "x/"), Verdict::Search);
    }

    #[test]
    fn a_slash_at_the_end_means_folders() {
        let selection = rules(&[(Exclude, "**/cache/")]);
        assert_eq!(verdict(&selection, "x/cache/"), Verdict::Exclude);
        assert_eq!(verdict(&selection, "x/cache"), Verdict::Include);
        assert_eq!(verdict(&selection, "x/cachet/"), Verdict::Include);
    }

    #[test]
    fn names_that_are_not_utf8_match_too() {
        let selection = rules(&[(Exclude, "/src/?*.tmp"), (Exclude, "ignorecase:/src/B")]);
        let path = EntryPath::from_bytes(b"\xff\n.tmp").unwrap();
        assert_eq!(selection.verdict(&path, false), Verdict::Exclude);
        assert_eq!(verdict(&selection, "b"), Verdict::Exclude);
    }

    #[test]
    fn an_unclosed_class_is_literal() {
        let selection = rules(&[(Exclude, "/src/a[b"), (Exclude, "/src/[!x]y")]);
        assert_eq!(verdict(&selection, "a[b"), Verdict::Exclude);
        assert_eq!(verdict(&selection, "zy"), Verdict::Exclude);
        assert_eq!(verdict(&selection, "xy"), Verdict::Include);
    }

    #[test]
    fn patterns_that_mean_nothing_are_refused() {
        for pattern in ["", "/a//b"] {
            let rule = Rule { kind: Include, pattern: pattern.to_owned() };
            assert!(matches!(Selection::from_rules(Path::new("/"), &[rule]), Err(Error::Pattern { .. })));
        }
    }

    #[test]
    fn of_a_plans_folders_the_deepest_decides() {
        let folders = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
        let selection = Selection::from_folders(
            &folders(&["/home/me", "/home/me/.cache/keep"]),
            &folders(&["/home/me/.cache"]),
        )
        .unwrap();
        assert_eq!(verdict(&selection, "home/"), Verdict::Search);
        assert_eq!(verdict(&selection, "home/me/"), Verdict::Include);
        assert_eq!(verdict(&selection, "home/me/x"), Verdict::Include);
        assert_eq!(verdict(&selection, "home/me/.cache/"), Verdict::Search);
        assert_eq!(verdict(&selection, "home/me/.cache/x"), Verdict::Exclude);
        assert_eq!(verdict(&selection, "home/me/.cache/keep/x"), Verdict::Include);
        assert_eq!(verdict(&selection, "etc/"), Verdict::Exclude);
        assert_eq!(verdict(&selection, "home/meg/"), Verdict::Exclude);
    }
}
