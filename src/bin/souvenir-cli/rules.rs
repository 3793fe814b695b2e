//! The rules for what is backed up: duplicity's options, and some of our own.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Args, ValueHint};
use souvenir::engine::format::moment::Moment;
use souvenir::engine::scan::presets::{PRESETS, Preset};
use souvenir::engine::scan::{Filter, Rule, RuleKind, Separator};

use crate::Clock;

/// Rules. Their order decides, so what counts is [`RuleOptions::read`].
#[derive(Debug, Args)]
#[command(next_help_heading = "Rules: the first that matches decides, and what none matches is backed up")]
pub struct RuleOptions {
    /// Back up what matches this shell pattern of full paths, even if a later rule leaves it out. `*` and
    /// `?` stay within a folder and `**` does not, `[…]` is one of, a slash at the end means folders
    #[arg(long, value_name = "PATTERN", action = ArgAction::Append)]
    include: Vec<OsString>,

    /// Leave out what matches this shell pattern
    #[arg(long, value_name = "PATTERN", action = ArgAction::Append)]
    exclude: Vec<OsString>,

    /// Back up each path in which this regular expression is found
    #[arg(long, value_name = "REGEX", action = ArgAction::Append)]
    include_regexp: Vec<OsString>,

    /// Leave out each path in which this regular expression is found
    #[arg(long, value_name = "REGEX", action = ArgAction::Append)]
    exclude_regexp: Vec<OsString>,

    /// Like --include for each line of a file; "- " in front makes a line an --exclude
    #[arg(long, value_name = "FILE", action = ArgAction::Append, value_hint = ValueHint::FilePath)]
    include_filelist: Vec<PathBuf>,

    /// Like --exclude for each line of a file; "+ " in front makes a line an --include
    #[arg(long, value_name = "FILE", action = ArgAction::Append, value_hint = ValueHint::FilePath)]
    exclude_filelist: Vec<PathBuf>,

    /// Look only at the paths in this file, relative to SOURCE and one a line, and at the folders that lead to
    /// them; nothing else in a folder is backed up, not even of one that is listed
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    files_from: Option<PathBuf>,

    /// In all these files a NUL byte ends a line, and not a newline
    #[arg(long)]
    null_separator: bool,

    /// Leave out folders that hold an entry of this name. Counts before all other rules
    #[arg(long, value_name = "NAME", action = ArgAction::Append)]
    exclude_if_present: Vec<OsString>,

    /// Leave out folders that are tagged as caches by a CACHEDIR.TAG. Counts before all other rules
    #[arg(long, action = ArgAction::Append, num_args = 0, default_missing_value = "true")]
    exclude_caches: Vec<bool>,

    /// Leave out device files. Counts before all other rules
    #[arg(long, action = ArgAction::Append, num_args = 0, default_missing_value = "true")]
    exclude_device_files: Vec<bool>,

    /// Leave out what lies on another file system than SOURCE
    #[arg(long, action = ArgAction::Append, num_args = 0, default_missing_value = "true")]
    exclude_other_filesystems: Vec<bool>,

    /// Leave out files that were last modified before that time; `restore --help` says how to write it
    #[arg(long, value_name = "TIME", action = ArgAction::Append, value_parser = Moment::parse)]
    exclude_older_than: Vec<Moment>,

    /// Leave out what is often left out
    #[arg(long, value_name = "NAME", action = ArgAction::Append, value_parser = presets())]
    exclude_preset: Vec<&'static Preset>,

    /// The patterns of later options are shell patterns, as they are without such an option
    #[arg(long, action = ArgAction::Append, num_args = 0, default_missing_value = "true")]
    filter_globbing: Vec<bool>,

    /// The patterns of later options are paths, taken as they are
    #[arg(long, action = ArgAction::Append, num_args = 0, default_missing_value = "true")]
    filter_literal: Vec<bool>,

    /// The patterns of later options are regular expressions
    #[arg(long, action = ArgAction::Append, num_args = 0, default_missing_value = "true")]
    filter_regexp: Vec<bool>,

    /// In later options the case of letters means nothing
    #[arg(long, action = ArgAction::Append, num_args = 0, default_missing_value = "true")]
    filter_ignorecase: Vec<bool>,

    /// In later options the case of letters means something, as it does without such an option
    #[arg(long, action = ArgAction::Append, num_args = 0, default_missing_value = "true")]
    filter_strictcase: Vec<bool>,

    /// All of the above in the order in which they were typed
    #[arg(skip)]
    typed: Vec<Typed>,
}

/// One option as it was typed.
#[derive(Debug, Clone)]
enum Typed {
    Rule(Rule),
    List(RuleKind, PathBuf),
    FilesFrom(PathBuf),
    OlderThan(Moment),
}

impl RuleOptions {
    /// Puts the options into the order in which they were typed. clap collects each by itself, and knows
    /// the places of their values.
    pub fn put_in_order(&mut self, matches: &ArgMatches) {
        use RuleKind::{Exclude, Include};
        let mut found = Found { matches, typed: Vec::new() };
        let bytes = |text: &OsString| text.as_bytes().to_vec();
        found.each("include", |text| Typed::Rule(Rule::Pattern(Include, bytes(text))));
        found.each("exclude", |text| Typed::Rule(Rule::Pattern(Exclude, bytes(text))));
        found.each("include_regexp", |text| Typed::Rule(Rule::Regexp(Include, bytes(text))));
        found.each("exclude_regexp", |text| Typed::Rule(Rule::Regexp(Exclude, bytes(text))));
        found.each("exclude_if_present", |text| Typed::Rule(Rule::ExcludeIfPresent(bytes(text))));
        found.each("include_filelist", |file: &PathBuf| Typed::List(Include, file.clone()));
        found.each("exclude_filelist", |file: &PathBuf| Typed::List(Exclude, file.clone()));
        found.each("files_from", |file: &PathBuf| Typed::FilesFrom(file.clone()));
        found.each("exclude_older_than", |time: &Moment| Typed::OlderThan(*time));
        found.each("exclude_preset", |preset: &&'static Preset| Typed::Rule(Rule::ExcludePreset(preset)));
        for (id, rule) in [
            ("exclude_caches", Rule::ExcludeCaches),
            ("exclude_device_files", Rule::ExcludeDeviceFiles),
            ("exclude_other_filesystems", Rule::ExcludeOtherFilesystems),
            ("filter_globbing", Rule::Filter(Filter::Globbing)),
            ("filter_literal", Rule::Filter(Filter::Literal)),
            ("filter_regexp", Rule::Filter(Filter::Regexp)),
            ("filter_ignorecase", Rule::Filter(Filter::IgnoreCase)),
            ("filter_strictcase", Rule::Filter(Filter::StrictCase)),
        ] {
            found.each(id, |_: &bool| Typed::Rule(rule.clone()));
        }
        found.typed.sort_by_key(|(at, _)| *at);
        self.typed = found.typed.into_iter().map(|(_, typed)| typed).collect();
    }

    /// The rules in the order in which they were typed, with the lists read.
    pub fn read(&self, clock: &Clock) -> anyhow::Result<Vec<Rule>> {
        check_filters(&self.typed)?;
        let separator = if self.null_separator { Separator::Nul } else { Separator::Newline };
        let rule = |typed: &Typed| {
            Ok(match typed {
                Typed::Rule(rule) => rule.clone(),
                Typed::List(kind, file) => Rule::List(*kind, contents(file)?, separator),
                Typed::FilesFrom(file) => Rule::FilesFrom(contents(file)?, separator),
                Typed::OlderThan(time) => Rule::ExcludeOlderThan(clock.time(*time)?.epoch()),
            })
        };
        self.typed.iter().map(rule).collect()
    }
}

/// What was found of the rules, with the places.
struct Found<'a> {
    matches: &'a ArgMatches,
    typed: Vec<(usize, Typed)>,
}

impl Found<'_> {
    fn each<T: Clone + Send + Sync + 'static>(&mut self, id: &str, typed: impl Fn(&T) -> Typed) {
        if self.matches.value_source(id) != Some(ValueSource::CommandLine) {
            return;
        }
        let places = self.matches.indices_of(id).into_iter().flatten();
        let values = self.matches.get_many::<T>(id).into_iter().flatten();
        self.typed.extend(places.zip(values).map(|(at, value)| (at, typed(value))));
    }
}

/// Refuses options that say how later ones are meant and mean nothing, as duplicity does: probably
/// something else was wanted.
fn check_filters(typed: &[Typed]) -> anyhow::Result<()> {
    if let Some(Typed::Rule(Rule::Filter(_))) = typed.last() {
        bail!("the last --filter-… option says how later rules are meant, but there are none");
    }
    let mut filters = typed.iter().filter_map(|typed| match typed {
        Typed::Rule(Rule::Filter(filter)) => Some(filter),
        _ => None,
    });
    let is_usual = |filter: &Filter| matches!(filter, Filter::Globbing | Filter::StrictCase);
    if filters.clone().next().is_some() && filters.all(is_usual) {
        bail!("the --filter-… options say what is so anyway: shell patterns in which case means something");
    }
    Ok(())
}

fn contents(file: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("the list {} cannot be read", file.display()))
}

fn presets() -> impl TypedValueParser<Value = &'static Preset> {
    let values = PRESETS.iter().map(|preset| PossibleValue::new(preset.id).help(preset.explanation));
    PossibleValuesParser::new(values)
        .map(|id| Preset::find(&id).expect("only the names of presets are possible values"))
}
