//! Rules as they are given, and what becomes of them: matchers in the order in which they are asked.

use super::lists::{self, Listed, Separator};
use super::matcher::{Match, Matcher};
use super::text::{readable, text};
use super::{Compiled, FullPath, glob, regexp};
use crate::engine::error::{Error, Result};
use crate::engine::path::EntryPath;
use crate::engine::scan::presets::Preset;

/// Include or exclude.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleKind {
    /// What matches is backed up.
    Include,
    /// What matches is left out.
    Exclude,
}

/// One rule, or a word on how later ones are meant. Patterns are matched against full paths: the root
/// as it was given and the path of the entry below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// A pattern, which is a [shell pattern](Filter::Globbing) unless a filter before it says otherwise.
    Pattern(RuleKind, Vec<u8>),
    /// A regular expression in Python's grammar that is found anywhere in the path.
    Regexp(RuleKind, Vec<u8>),
    /// The contents of a list: one pattern a line, each with `+ ` or `- ` in front or of this kind.
    List(RuleKind, Vec<u8>, Separator),
    /// The contents of a list of paths below the root, each taken as it is: nothing else is looked at,
    /// and of these what the rules let in is backed up.
    FilesFrom(Vec<u8>, Separator),
    /// Leaves out folders that hold an entry of this name. Asked before all rules of other kinds.
    ExcludeIfPresent(Vec<u8>),
    /// Leaves out folders that are tagged as caches by a `CACHEDIR.TAG`. Asked before all others too.
    ExcludeCaches,
    /// Leaves out character and block devices. Asked before all others too.
    ExcludeDeviceFiles,
    /// Leaves out what lies on another file system than the root.
    ExcludeOtherFilesystems,
    /// Leaves out regular files that were last modified before a time, in seconds since 1970.
    ExcludeOlderThan(i64),
    /// Leaves out what a preset describes.
    ExcludePreset(&'static Preset),
    /// How the patterns after this one are meant.
    Filter(Filter),
}

impl Rule {
    /// Leaves out what a shell pattern of a name, or of a path, matches in any folder.
    pub fn exclude_anywhere(pattern: &str) -> Self {
        let (pattern, ignores_case) = glob::split_prefix(pattern);
        let prefix = if ignores_case { glob::IGNORE_CASE } else { "" };
        Self::Pattern(RuleKind::Exclude, format!("{prefix}**/{pattern}").into_bytes())
    }
}

/// How patterns are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// As shell patterns: `*` and `?` stay within a component, `**` does not, `[…]` is one of, and
    /// `ignorecase:` in front does what it says. With a slash at its end one is for folders only.
    Globbing,
    /// As they are.
    Literal,
    /// As regular expressions.
    Regexp,
    /// With the case of letters meaning nothing.
    IgnoreCase,
    /// With the case of letters meaning something.
    StrictCase,
}

/// Rules on their way to matchers.
pub struct Compiler<'a> {
    root: &'a [u8],
    mode: Filter,
    ignore_case: bool,
    /// What is asked first; of these the last that was given comes first.
    front: Vec<Compiled>,
    rules: Vec<Compiled>,
    listed: Option<Listed>,
    /// The last pattern that was read, for the error that it is for nothing.
    last_pattern: String,
}

impl<'a> Compiler<'a> {
    /// For rules on paths that begin with that root.
    pub fn new(root: &'a [u8]) -> Self {
        Self {
            root,
            mode: Filter::Globbing,
            ignore_case: false,
            front: Vec::new(),
            rules: Vec::new(),
            listed: None,
            last_pattern: String::new(),
        }
    }

    /// Takes the next rule.
    pub fn add(&mut self, rule: &Rule) -> Result<()> {
        match rule {
            Rule::Pattern(kind, pattern) => self.pattern(*kind, &text(pattern))?,
            Rule::Regexp(kind, expression) => {
                let expression = text(expression);
                let regex = regexp::compile(&expression, self.ignore_case)
                    .map_err(|reason| error(&expression, reason))?;
                self.push(*kind, Matcher::Regexp(regex), &expression);
            }
            Rule::List(kind, list, separator) => {
                for (kind, pattern) in lists::rules(list, *kind, *separator) {
                    self.pattern(kind, &pattern)?;
                }
            }
            Rule::FilesFrom(list, separator) => self.listed = Some(Listed::read(list, *separator)?),
            Rule::ExcludeIfPresent(name) => {
                if name.is_empty() || name.contains(&b'/') {
                    return Err(error(&text(name), "it is no name of a file".to_owned()));
                }
                self.in_front(Matcher::Holding(name.clone()));
            }
            Rule::ExcludeCaches => self.in_front(Matcher::TaggedAsCache),
            Rule::ExcludeDeviceFiles => self.in_front(Matcher::Device),
            Rule::ExcludeOtherFilesystems => self.exclude(Matcher::OtherFilesystem),
            Rule::ExcludeOlderThan(time) => self.exclude(Matcher::OlderThan(*time)),
            Rule::ExcludePreset(preset) => {
                for matcher in preset.matchers() {
                    self.exclude(matcher?);
                }
            }
            Rule::Filter(Filter::IgnoreCase) => self.ignore_case = true,
            Rule::Filter(Filter::StrictCase) => self.ignore_case = false,
            Rule::Filter(mode) => self.mode = *mode,
        }
        Ok(())
    }

    /// The matchers in the order in which they are asked, and the paths to which all is confined.
    pub fn finish(self) -> Result<(Vec<Compiled>, Option<Listed>)> {
        let mut rules = self.front;
        rules.reverse();
        rules.extend(self.rules);
        if rules.last().is_some_and(|rule| rule.kind == RuleKind::Include) {
            let reason = "it is the last rule and lets something in, which is let in anyway; something has to be \
                          left out after it, such as everything else with \"**\"";
            return Err(error(&self.last_pattern, reason.to_owned()));
        }
        Ok((rules, self.listed))
    }

    fn pattern(&mut self, kind: RuleKind, pattern: &str) -> Result<()> {
        let matcher = self.matcher(pattern).map_err(|reason| error(pattern, reason))?;
        if !matches!(matcher, Matcher::Regexp(_)) && !self.reaches(&matcher) {
            let root = String::from_utf8_lossy(if self.root.is_empty() { b"/" } else { self.root });
            let reason = format!(
                "nothing in {root} can match; a pattern begins with that folder, as typed, or with \"**\""
            );
            return Err(error(pattern, reason));
        }
        self.push(kind, matcher, pattern);
        Ok(())
    }

    fn matcher(&self, pattern: &str) -> Result<Matcher, String> {
        match self.mode {
            Filter::Regexp => regexp::compile(pattern, self.ignore_case).map(Matcher::Regexp),
            Filter::Literal => Matcher::literal(pattern, self.ignore_case, self.root),
            _ => Matcher::glob(pattern, self.ignore_case, None),
        }
    }

    /// Whether something at or under the root can match.
    fn reaches(&self, matcher: &Matcher) -> bool {
        matcher.matches_path(&FullPath::new(self.root, &EntryPath::root()), true) != Match::No
    }

    fn push(&mut self, kind: RuleKind, matcher: Matcher, pattern: &str) {
        self.last_pattern = readable(pattern);
        self.rules.push(Compiled {
            kind,
            matcher: if kind == RuleKind::Exclude { matcher.for_exclude() } else { matcher },
        });
    }

    fn exclude(&mut self, matcher: Matcher) {
        self.rules.push(Compiled { kind: RuleKind::Exclude, matcher: matcher.for_exclude() });
    }

    fn in_front(&mut self, matcher: Matcher) {
        self.front.push(Compiled { kind: RuleKind::Exclude, matcher });
    }
}

fn error(pattern: &str, reason: String) -> Error {
    Error::Pattern { pattern: readable(pattern), reason }
}
