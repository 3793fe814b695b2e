//! Which entries of the source are backed up: rules in order, the first that matches decides.

mod glob;
mod lists;
mod matcher;
mod regexp;
mod rule;
mod text;

use std::path::{Path, PathBuf};

use super::tree::Tree;
use crate::engine::error::{Error, Result};
use crate::engine::path::{EntryPath, plain_root};
use lists::Listed;
use matcher::{FullPath, Match};
use rule::Compiler;

pub(super) use matcher::{Marker, Matcher};

pub use lists::Separator;
pub use rule::{Filter, Rule, RuleKind};

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

/// What rules can know of an entry.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Its path below the root.
    pub path: &'a EntryPath,
    /// What it is.
    pub kind: CandidateKind,
    /// When it was last modified, in seconds since 1970.
    pub mtime: i64,
    /// The number of the file system that it lies on.
    pub device: u64,
    /// The number of the root's.
    pub root_device: u64,
    /// Where it can be looked at more closely. That is done only for rules that need it.
    pub tree: &'a Tree,
}

/// What an entry is, as far as rules care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CandidateKind {
    /// A folder.
    Folder,
    /// A regular file.
    File,
    /// A character or block device.
    Device,
    /// Anything else.
    Other,
}

/// The rule that leaves out a folder around an entry, so that it need not be asked again of all that the folder
/// holds: a folder that is marked as a cache is left out with everything, though what it holds is not marked.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scope(Option<usize>);

/// Rules in order. What no rule matches is backed up; so is the root, always.
#[derive(Debug)]
pub struct Selection {
    /// The root with which full paths begin, without a slash at its end.
    root: Vec<u8>,
    rules: Vec<Compiled>,
    /// What is left out of the folders that the rules let in.
    within: Vec<Within>,
    /// All that is looked at, if it is not everything.
    listed: Option<Listed>,
    /// All that is looked at in folders that only lead to others, where these are known.
    leading: Option<Listed>,
}

/// A rule that is ready to be asked.
#[derive(Debug)]
struct Compiled {
    kind: RuleKind,
    matcher: Matcher,
}

/// Something that is left out of folders.
#[derive(Debug)]
struct Within {
    matcher: Matcher,
    /// Of which rules it would leave out the very folder that they let in. There it sees paths below that folder.
    itself: Vec<bool>,
}

impl Selection {
    /// Everything under the root.
    pub fn everything() -> Self {
        Self { root: Vec::new(), rules: Vec::new(), within: Vec::new(), listed: None, leading: None }
    }

    /// Rules in the meaning that duplicity gives them, matched against `root` joined with the path of an
    /// entry. Fails if one cannot be understood, or cannot match anything under the root, or if the last
    /// one lets something in, which then says nothing.
    pub fn from_rules(root: &Path, rules: &[Rule]) -> Result<Self> {
        let mut root = plain_root(root);
        if root.ends_with(b"/") {
            root.pop();
        }
        let mut compiler = Compiler::new(&root);
        rules.iter().try_for_each(|rule| compiler.add(rule))?;
        let (rules, listed) = compiler.finish()?;
        Ok(Self { root, rules, within: Vec::new(), listed, leading: None })
    }

    /// What a plan means, whose root is `/`: these folders without those, and nothing else. A deeper
    /// folder decides against the one it lies in. Paths are absolute and literal.
    pub fn from_folders(include: &[PathBuf], exclude: &[PathBuf]) -> Result<Self> {
        let entry_paths = |folders: &[PathBuf]| -> Result<Vec<EntryPath>> {
            let entry_path = |folder: &PathBuf| {
                EntryPath::from_user(folder).map_err(|error| Error::Pattern {
                    pattern: folder.display().to_string(),
                    reason: error.to_string(),
                })
            };
            folders.iter().map(entry_path).collect()
        };
        let literal = |kind| {
            move |path: &EntryPath| {
                let matcher = if path.is_root() {
                    Matcher::Everything
                } else {
                    Matcher::Literal([b"/", path.as_bytes()].concat())
                };
                Compiled { kind, matcher }
            }
        };
        let include = entry_paths(include)?;
        // Of the same folder, that it is backed up counts.
        let mut rules: Vec<Compiled> = include
            .iter()
            .map(literal(RuleKind::Include))
            .chain(entry_paths(exclude)?.iter().map(literal(RuleKind::Exclude)))
            .collect();
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.matcher.depth()));
        rules.push(Compiled { kind: RuleKind::Exclude, matcher: Matcher::Everything });
        let mut leading = Listed::default();
        include.into_iter().for_each(|path| leading.add(path));
        leading.retain(|folder| {
            let full = FullPath::new(&[], folder);
            let decides = |rule: &&Compiled| rule.matcher.matches_path(&full, true) == Match::Yes;
            rules.iter().find(decides).is_some_and(|rule| rule.kind == RuleKind::Exclude)
        });
        Ok(Self { root: Vec::new(), rules, within: Vec::new(), listed: None, leading: Some(leading) })
    }

    /// Leaves something out of what [`Selection::from_folders`] lets in, but never a folder that is named: what
    /// would do that is looked for below it.
    pub fn leaving_out(self, rules: &[Rule]) -> Result<Self> {
        let mut compiler = Compiler::new(&[]);
        rules.iter().try_for_each(|rule| compiler.add(rule))?;
        let named: Vec<_> = self.rules.iter().map(|rule| FullPath::of(&rule.matcher)).collect();
        let within = compiler.finish()?.0.into_iter().map(|Compiled { matcher, .. }| Within {
            itself: named.iter().map(|path| path.as_ref().is_some_and(|path| matcher.fits(path))).collect(),
            matcher,
        });
        Ok(Self { within: within.collect(), ..self })
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

    /// Whether a path lies in a folder of a plan, or leads to one.
    pub fn reaches(&self, path: &EntryPath) -> bool {
        let full = FullPath::new(&self.root, path);
        let names = |rule: &Compiled| rule.matcher.matches_path(&full, true) != Match::No;
        self.rules.iter().any(|rule| rule.kind == RuleKind::Include && names(rule))
    }

    /// Whether all that is looked at comes from a list, which may name what is not there.
    pub fn is_listed(&self) -> bool {
        self.listed.is_some()
    }

    /// Whether anything in a folder can be let in. It cannot if there is a list of what is backed up, and
    /// the list names nothing in that folder.
    pub fn looks_into(&self, folder: &EntryPath) -> bool {
        self.listed.as_ref().is_none_or(|listed| listed.names(folder).is_some())
    }

    /// The names in a folder that a list of what is backed up holds, in order; none if there is no such list,
    /// or nothing of that folder on it.
    pub fn listed_names(&self, folder: &EntryPath) -> Option<impl DoubleEndedIterator<Item = &Box<[u8]>>> {
        self.listed.as_ref()?.names(folder)
    }

    /// The names in a folder that lead to folders of a plan, in order, if nothing else in it is let in. What else
    /// it holds is not looked at: it may be a drive that does not answer.
    pub fn leading_names(&self, folder: &EntryPath) -> Option<impl DoubleEndedIterator<Item = &Box<[u8]>>> {
        self.leading.as_ref()?.names(folder)
    }

    /// What the rules say of an entry. An entry in an excluded folder is not asked for. `scope` is that of the
    /// folder that the entry lies in, and becomes the entry's own.
    pub fn verdict(&self, entry: &Candidate<'_>, scope: &mut Scope) -> Verdict {
        if entry.path.is_root() || self.rules.is_empty() {
            return Verdict::Include;
        }
        let full = FullPath::new(&self.root, entry.path);
        let is_folder = entry.kind == CandidateKind::Folder;
        let mut search = false;
        for (index, rule) in self.rules.iter().enumerate() {
            let is_around = scope.0 == Some(index);
            // What a rule for folders leaves out it has left out by the folder.
            let is_for_folders = rule.kind == RuleKind::Exclude && rule.matcher.is_for_folders();
            if is_for_folders && !is_folder && !is_around && !self.is_listed() {
                continue;
            }
            let matched = if is_around { Match::Yes } else { rule.matcher.matches(&full, entry) };
            if matched == Match::Yes && is_for_folders && is_folder {
                *scope = Scope(Some(index));
            }
            match (matched, rule.kind) {
                (Match::Yes, RuleKind::Include) if self.leaves_out(&full, index, entry, scope) => {
                    return if search { Verdict::Search } else { Verdict::Exclude };
                }
                (Match::Yes, RuleKind::Include) => return Verdict::Include,
                (Match::Yes, RuleKind::Exclude) if search => return Verdict::Search,
                (Match::Yes, RuleKind::Exclude) => return Verdict::Exclude,
                (Match::Below, RuleKind::Include) => search |= entry.kind == CandidateKind::Folder,
                (Match::Below, RuleKind::Exclude) | (Match::No, _) => {}
            }
        }
        // Also where an include might match something below: duplicity would leave it out.
        Verdict::Include
    }

    /// Whether an entry that a rule lets in is left out all the same. Of a folder everything is, so in it only
    /// what is for files needs to be asked.
    fn leaves_out(&self, full: &FullPath, rule: usize, entry: &Candidate<'_>, scope: &mut Scope) -> bool {
        if self.within.is_empty() {
            return false;
        }
        let named = &self.rules[rule].matcher;
        if full.is_named_by(named) {
            // Whatever it lies in.
            *scope = Scope::default();
            return false;
        }
        let is_folder = entry.kind == CandidateKind::Folder;
        for (index, within) in (self.rules.len()..).zip(&self.within) {
            if scope.0 == Some(index) {
                return true;
            }
            if !is_folder && within.matcher.is_for_folders() {
                continue;
            }
            let matched = if within.itself[rule] {
                within.matcher.matches(&full.below(named), entry)
            } else {
                within.matcher.matches(full, entry)
            };
            if matched == Match::Yes {
                if is_folder {
                    *scope = Scope(Some(index));
                }
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RuleKind::{Exclude, Include};

    fn rules(rules: &[(RuleKind, &str)]) -> Selection {
        let rules: Vec<_> = rules
            .iter()
            .map(|(kind, pattern)| Rule::Pattern(*kind, pattern.as_bytes().into()))
            .chain([Rule::Pattern(Exclude, b"/src/nothing/at/all".into())])
            .collect();
        Selection::from_rules(Path::new("/src/"), &rules).unwrap()
    }

    fn verdict(selection: &Selection, path: &str) -> Verdict {
        let kind = if path.ends_with('/') { CandidateKind::Folder } else { CandidateKind::File };
        let path = EntryPath::from_user(Path::new(path)).unwrap();
        let tree = Tree::open(Path::new("/")).unwrap();
        selection.verdict(&candidate(&path, kind, &tree), &mut Scope::default())
    }

    fn candidate<'a>(path: &'a EntryPath, kind: CandidateKind, tree: &'a Tree) -> Candidate<'a> {
        Candidate { path, kind, mtime: 0, device: 1, root_device: 1, tree }
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
        let tree = Tree::open(Path::new("/")).unwrap();
        let entry = candidate(&path, CandidateKind::File, &tree);
        assert_eq!(selection.verdict(&entry, &mut Scope::default()), Verdict::Exclude);
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
        for pattern in ["", "/a//b", "a", "./a", "ignorecase:", "/[z-a]"] {
            let rule = Rule::Pattern(Exclude, pattern.into());
            let selection = Selection::from_rules(Path::new("/"), &[rule]);
            assert!(matches!(selection, Err(Error::Pattern { .. })), "{pattern}");
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

    #[test]
    fn what_is_left_out_of_a_plans_folders_is_looked_for_below_them() {
        let preset = |id| Rule::ExcludePreset(crate::engine::scan::presets::Preset::find(id).unwrap());
        let include =
            ["/home/me", "/home/me/.cache/keep", "/data/.cache", "/data/.local/share"].map(PathBuf::from);
        let pattern = Rule::Pattern(Exclude, b"**/*.iso".into());
        let selection = Selection::from_folders(&include, &[PathBuf::from("/home/me/old")])
            .unwrap()
            .leaving_out(&[preset("caches"), preset("trash"), preset("virtual-machines"), pattern])
            .unwrap();
        for (path, expected) in [
            ("home/", Verdict::Search),
            ("home/me/", Verdict::Include),
            ("home/me/.cache/", Verdict::Search),
            ("home/me/.cache", Verdict::Include),
            ("home/me/.cache/keep/", Verdict::Include),
            ("home/me/.cache/keep/x", Verdict::Include),
            ("home/me/.cache/keep/.cache/", Verdict::Exclude),
            ("home/me/a/.cache/", Verdict::Exclude),
            ("home/me/a/x.iso", Verdict::Exclude),
            ("home/me/x.iso", Verdict::Exclude),
            ("home/me/x.iso/", Verdict::Exclude),
            ("home/me/x.isolated", Verdict::Include),
            ("home/me/disk.QCOW2", Verdict::Exclude),
            ("home/me/old/", Verdict::Exclude),
            ("data/.cache/", Verdict::Include),
            ("data/.cache/x", Verdict::Include),
            ("data/.cache/.cache/", Verdict::Exclude),
            ("data/.local/share/Trash/", Verdict::Exclude),
            ("data/.local/share/x", Verdict::Include),
            ("etc/x", Verdict::Exclude),
        ] {
            assert_eq!(verdict(&selection, path), expected, "{path}");
        }
        // The walk gets into the folder for what is kept of it; the rest stays out.
        let tree = Tree::open(Path::new("/")).unwrap();
        let mut scope = Scope::default();
        let mut ask = |path: &str, kind| {
            let path = EntryPath::from_user(Path::new(path)).unwrap();
            selection.verdict(&candidate(&path, kind, &tree), &mut scope)
        };
        assert_eq!(ask("home/me/.cache/", CandidateKind::Folder), Verdict::Search);
        assert_eq!(ask("home/me/.cache/x", CandidateKind::File), Verdict::Exclude);
        assert_eq!(ask("home/me/.cache/keep/", CandidateKind::Folder), Verdict::Include);
        assert_eq!(ask("home/me/.cache/keep/x", CandidateKind::File), Verdict::Include);
    }
}
