//! The rules for what is backed up, beside duplicity's: the same options in the same order let the same
//! paths in.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use common::duplicity::{Duplicity, url, versions};
use common::engine::Backup;
use common::gpg::Home;

/// Names in the source: patterns speak of characters, which may be of several bytes, or of none.
const NAMES: [&[u8]; 12] = [
    b"a",
    b"b",
    b"ab",
    b"B",
    "é".as_bytes(),
    "É".as_bytes(),
    b"a.tmp",
    b"b.TMP",
    b"[x]",
    b"x y",
    b"\xff",
    b"k\nl",
];

/// What `--exclude-if-present` looks for.
const MARK: &[u8] = b".mark";

type Paths = BTreeSet<Vec<u8>>;

struct Scratch {
    folder: tempfile::TempDir,
    duplicity: Duplicity,
    _gnupg: Home,
}

impl Scratch {
    fn new() -> Self {
        let gnupg = Home::new();
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("source")).unwrap();
        Self { duplicity: versions(gnupg.path()).remove(0), folder, _gnupg: gnupg }
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, contents: &[u8]) {
        let path = self.path("source").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }

    /// What duplicity stores; or its exit code.
    fn theirs(&self, source: &str, options: &[OsString]) -> Result<Paths, i32> {
        let to = tempfile::tempdir().unwrap();
        let mut arguments: Vec<OsString> = vec!["full".into(), "--no-encryption".into()];
        arguments.extend_from_slice(options);
        arguments.extend([source.into(), url(to.path()).into()]);
        let output = self.duplicity.try_run_in(self.folder.path(), &arguments);
        match output.status.code() {
            Some(0) => Ok(listed(to.path())),
            code => Err(code.unwrap()),
        }
    }

    /// What we store; or our exit code, and what was told.
    fn ours(&self, source: &str, options: &[OsString]) -> Result<Paths, (i32, String)> {
        let to = tempfile::tempdir().unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_souvenir-cli"))
            .current_dir(self.folder.path())
            .args(["backup", "--no-encryption", "--no-cache"])
            .args(options)
            .args([OsStr::new(source), to.path().as_os_str()])
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        match output.status.code() {
            // What is on a list and not there is warned of.
            Some(0 | 1) => Ok(listed(to.path())),
            // duplicity makes a set of the root alone; we would rather say that nothing is in it.
            Some(3) if told.contains("nothing to back up") => Ok(Paths::from([Vec::new()])),
            code => Err((code.unwrap(), told)),
        }
    }

    /// Both store the same, or both refuse the options.
    fn compare(&self, source: &str, options: &[OsString], what: &str) -> Option<Paths> {
        match (self.theirs(source, options), self.ours(source, options)) {
            (Ok(theirs), Ok(ours)) => {
                assert_same(&theirs, &ours, &format!("{what}: {source} {options:?}"));
                Some(ours)
            }
            (Err(14..=16 | 70..=73), Err((2, _))) => None,
            (theirs, ours) => panic!("{what}: {source} {options:?}\nthem {theirs:?}\nus {ours:?}"),
        }
    }
}

fn assert_same(theirs: &Paths, ours: &Paths, what: &str) {
    let only = |one: &Paths, other: &Paths| show(one.difference(other));
    assert!(theirs == ours, "{what}\nonly them {}\nonly us {}", only(theirs, ours), only(ours, theirs));
}

fn show<'a>(paths: impl Iterator<Item = &'a Vec<u8>>) -> String {
    format!("{:?}", paths.map(|path| path.escape_ascii().to_string()).collect::<Vec<_>>())
}

fn listed(destination: &Path) -> Paths {
    let listing = Backup::new(Path::new("/"), destination).list();
    listing.entries.iter().map(|entry| entry.path.as_bytes().to_vec()).collect()
}

fn options(texts: &[&str]) -> Vec<OsString> {
    texts.iter().map(OsString::from).collect()
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn one_in(&mut self, sides: usize) -> bool {
        self.roll(sides) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len())]
    }
}

/// Fills a folder, and gives the paths of what is in it.
fn grow(dice: &mut Dice, folder: &Path, depth: usize, below: &[u8], paths: &mut Vec<Vec<u8>>) {
    let count = 2 + dice.roll(5);
    for _ in 0..count {
        let name = if dice.one_in(12) { MARK } else { dice.pick(&NAMES) };
        let path = folder.join(OsStr::from_bytes(name));
        if path.symlink_metadata().is_ok() {
            continue;
        }
        let relative = if below.is_empty() { name.to_vec() } else { [below, b"/", name].concat() };
        paths.push(relative.clone());
        match dice.roll(8) {
            0..=3 if depth < 3 => {
                fs::create_dir(&path).unwrap();
                if !dice.one_in(6) {
                    grow(dice, &path, depth + 1, &relative, paths);
                }
            }
            4 => symlink("a", &path).unwrap(),
            5 => nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap(),
            _ => {
                fs::write(&path, name).unwrap();
                if dice.one_in(2) {
                    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
                    File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
                }
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Glob,
    Literal,
    Regexp,
}

/// Makes options.
struct Maker<'a> {
    dice: &'a mut Dice,
    scratch: &'a Scratch,
    /// The source as it is given, as it stands in full paths.
    root: Vec<u8>,
    paths: &'a [Vec<u8>],
    mode: Mode,
    is_strict: bool,
    /// Whether there may be includes because of which folders are searched.
    searches: bool,
    separator: u8,
    files: usize,
    options: Vec<OsString>,
}

impl Maker<'_> {
    fn push(&mut self, option: &str, value: Option<Vec<u8>>) {
        self.options.push(option.into());
        self.options.extend(value.map(OsString::from_vec));
    }

    fn below_root(&mut self) -> Vec<u8> {
        let path = self.dice.pick(&(0..self.paths.len()).collect::<Vec<_>>());
        [&self.root, &b"/"[..], &self.paths[path]].concat()
    }

    fn pattern(&mut self) -> Vec<u8> {
        match self.mode {
            Mode::Glob => self.glob(),
            Mode::Literal => {
                let mut path = self.below_root();
                if self.dice.one_in(4) {
                    path.push(b'/');
                }
                path
            }
            Mode::Regexp => self.regexp(),
        }
    }

    fn glob(&mut self) -> Vec<u8> {
        let prefix: &[u8] = if self.dice.one_in(6) { b"ignorecase:" } else { b"" };
        if self.dice.one_in(3) {
            let tails = [
                "**.tmp",
                "**/b",
                "**/a/**",
                "**a",
                "**/[ab]",
                "**/*y",
                "**é",
                "**/?",
                "**/a/*",
                "**/[!a-b]",
                "**[x]",
                "**B**",
            ];
            return [prefix, self.dice.pick(&tails).as_bytes()].concat();
        }
        if self.dice.one_in(20) {
            // Mostly an error: nothing below the root can match.
            return [prefix, self.dice.pick(&["/other/**", "a", "/"]).as_bytes()].concat();
        }
        let path = self.below_root();
        let mut pattern = self.root.clone();
        let (mut crosses, below) = (false, &path[self.root.len() + 1..]);
        for component in below.split(|byte| *byte == b'/') {
            pattern.push(b'/');
            let instead: &[u8] = match self.dice.roll(12) {
                0 => b"*",
                1 => b"?",
                2 => b"*.*",
                3 => b"[aA]",
                4 => b"[!a]*",
                5 => b"[]x]*",
                6 => b"[^b-z]",
                7 => b"[[]x]",
                8 => b"**",
                9 => "[à-ý]".as_bytes(),
                _ => component,
            };
            crosses |= matches!(instead, b"**" | b"[!a]*" | b"[^b-z]");
            pattern.extend_from_slice(instead);
        }
        if !crosses && self.dice.one_in(4) {
            pattern.push(b'/');
        }
        [prefix, &pattern].concat()
    }

    fn regexp(&mut self) -> Vec<u8> {
        let all = [
            r"\.tmp$",
            "a",
            "(?i)b",
            "/a/?b",
            r"[^/]\.t",
            r"\bab\b",
            "^.*/[ab]$",
            "é|x y",
            "a{1,2}/",
            r"[[]x",
            r"\w\.",
            "k.l",
            "k(?s:.)l",
            "(?P<one>a|b)/(?:a|é)",
            r"\Z",
            "[]x]$",
            "/[^/]+?/[^/]+$",
            "y{,1}/b",
            r"\x61b",
        ];
        self.dice.pick(&all).as_bytes().to_vec()
    }

    fn kind(&mut self) -> &'static str {
        let is_harmless = self.searches || self.mode == Mode::Regexp;
        if is_harmless && self.dice.one_in(2) { "include" } else { "exclude" }
    }

    /// A list in a file.
    fn list(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        for _ in 0..1 + self.dice.roll(4) {
            let mut line: Vec<u8> = match self.dice.roll(10) {
                0 => b"# nothing".to_vec(),
                1 => b"  ".to_vec(),
                _ => {
                    let may_include = self.searches || self.mode == Mode::Regexp;
                    let kind: &[u8] = match self.dice.roll(4) {
                        0 if may_include => b"+ ",
                        1 => b"- ",
                        _ => b"",
                    };
                    let quote: &[u8] = self.dice.pick(&[&b""[..], b"", b"\"", b"'"]);
                    [kind, quote, &self.pattern(), quote, b" "].concat()
                }
            };
            // duplicity takes lists in UTF-8 only, and a line has an end.
            let is_line = std::str::from_utf8(&line).is_ok() && !line.contains(&self.separator);
            if is_line {
                line.push(self.separator);
                text.extend(line);
            }
        }
        text
    }

    fn in_file(&mut self, text: &[u8]) -> Vec<u8> {
        self.files += 1;
        let name = format!("list-{}", self.files);
        fs::write(self.scratch.path(&name), text).unwrap();
        name.into_bytes()
    }

    fn option(&mut self) {
        match self.dice.roll(20) {
            0 => {
                let expression = self.regexp();
                let kind = self.dice.pick(&["--include-regexp", "--exclude-regexp"]);
                self.push(kind, Some(expression));
            }
            1..=3 => {
                let kind = self.kind();
                let list = self.list();
                let file = self.in_file(&list);
                self.push(&format!("--{kind}-filelist"), Some(file));
            }
            4 => {
                let name = self.dice.pick(&[MARK, b"b", "é".as_bytes(), b"none"]);
                self.push("--exclude-if-present", Some(name.to_vec()));
            }
            5 => {
                let time = self.dice.pick(&["2020-01-01", "10D", "1000000000", "1000000001"]);
                self.push("--exclude-older-than", Some(time.into()));
            }
            6 => {
                let option = self.dice.pick(&["--exclude-device-files", "--exclude-other-filesystems"]);
                self.push(option, None);
            }
            7 => {
                let (option, mode) = self.dice.pick(&[
                    ("--filter-globbing", Mode::Glob),
                    ("--filter-literal", Mode::Literal),
                    ("--filter-regexp", Mode::Regexp),
                ]);
                self.mode = mode;
                self.push(option, None);
            }
            8 => {
                self.is_strict = !self.is_strict;
                let option = if self.is_strict { "--filter-strictcase" } else { "--filter-ignorecase" };
                self.push(option, None);
            }
            _ => {
                let kind = self.kind();
                let pattern = self.pattern();
                self.push(&format!("--{kind}"), Some(pattern));
            }
        }
    }

    /// Several options, perhaps with a list of what is looked at.
    fn several(&mut self) {
        if self.dice.one_in(6) {
            let mut text = Vec::new();
            for _ in 0..1 + self.dice.roll(8) {
                let path = self.below_root()[self.root.len() + 1..].to_vec();
                if std::str::from_utf8(&path).is_ok() && !path.contains(&self.separator) {
                    text.extend([&path, &[self.separator][..]].concat());
                }
            }
            text.extend([&b"a"[..], &[self.separator]].concat());
            let file = self.in_file(&text);
            self.push("--files-from", Some(file));
        }
        for _ in 0..1 + self.dice.roll(6) {
            self.option();
        }
        if self.separator == 0 {
            self.push("--null-separator", None);
        }
    }

    /// An exclude that matches nothing, for what must not end with an include.
    fn nothing(&mut self) {
        self.push("--exclude-regexp", Some(b"/never/".to_vec()));
    }

    /// An exclude for everything else.
    fn everything(&mut self) {
        let pattern = match self.mode {
            Mode::Glob => b"**".to_vec(),
            Mode::Literal => self.root.clone(),
            Mode::Regexp => b"(?s).".to_vec(),
        };
        self.push("--exclude", Some(pattern));
    }
}

/// What a list of rules comes to.
#[derive(Clone, Copy, PartialEq)]
enum End {
    /// Everything is decided by a rule, the last of which is for everything else.
    Everything,
    /// No rule makes folders be searched.
    NoSearch,
    /// Some entries are matched by no rule, and might lead to what an include is for.
    Open,
}

fn random_rules(end: End, seeds: u64) {
    let seeds = if std::env::var_os("SOUVENIR_TEST_ALL").is_some() { seeds * 10 } else { seeds };
    let (mut used, mut understood) = (BTreeSet::new(), 0);
    for seed in 0..seeds {
        let mut dice = Dice(seed * 3 + end as u64);
        let scratch = Scratch::new();
        let mut paths = Vec::new();
        grow(&mut dice, &scratch.path("source"), 0, b"", &mut paths);
        let absolute = scratch.path("source").display().to_string();
        let source = dice.pick(&[&*absolute, "source", "./source/"]);
        let root = if source == absolute { source } else { "source" };
        let mut maker = Maker {
            root: root.into(),
            scratch: &scratch,
            paths: &paths,
            mode: Mode::Glob,
            is_strict: true,
            searches: end != End::NoSearch,
            separator: if dice.one_in(4) { 0 } else { b'\n' },
            files: 0,
            options: Vec::new(),
            dice: &mut dice,
        };
        maker.several();
        let what = format!("seed {seed}");
        if end == End::Everything {
            maker.everything();
            understood += usize::from(scratch.compare(source, &maker.options, &what).is_some());
        } else {
            let common = maker.options.clone();
            maker.nothing();
            let open = std::mem::replace(&mut maker.options, common);
            if end == End::NoSearch {
                understood += usize::from(scratch.compare(source, &open, &what).is_some());
            } else {
                maker.everything();
                understood += usize::from(compare_open(&scratch, source, &open, &maker.options, &what));
            }
        }
        used.extend(maker.options.into_iter().filter(|option| option.as_bytes().starts_with(b"--")));
    }
    println!("{understood} of {seeds} were no errors; used: {used:?}");
    assert!(understood * 2 > usize::try_from(seeds).unwrap(), "most options can be understood");
}

/// duplicity leaves out what no rule matches if an include might match below it, files too. We do not:
/// what we have beyond it is matched by no rule.
fn compare_open(scratch: &Scratch, source: &str, open: &[OsString], closed: &[OsString], what: &str) -> bool {
    let Some(matched) = scratch.compare(source, closed, what) else { return false };
    let theirs = scratch.theirs(source, open).unwrap();
    let ours = scratch.ours(source, open).unwrap();
    assert!(theirs.is_subset(&ours), "{what}: {open:?}: {}", show(theirs.difference(&ours)));
    let more: Paths = ours.difference(&theirs).cloned().collect();
    assert!(more.is_disjoint(&matched), "{what}: {open:?}: {}", show(more.intersection(&matched)));
    true
}

#[test]
fn random_rules_with_an_end_mean_what_they_mean_to_duplicity() {
    random_rules(End::Everything, 40);
}

#[test]
fn random_rules_without_a_search_mean_what_they_mean_to_duplicity() {
    random_rules(End::NoSearch, 20);
}

#[test]
fn random_rules_without_an_end_lose_nothing_that_duplicity_keeps() {
    random_rules(End::Open, 15);
}

impl Scratch {
    /// A source with something for every rule.
    fn with_something_of_everything() -> Self {
        let scratch = Self::new();
        for name in [
            "a/b/c",
            "a/b.tmp",
            "a/keep.tmp",
            "a/[x]",
            "a/é",
            "a/x y",
            "ab/c",
            "B/c",
            "cache/cache",
            "marked/in/it",
            "d.tmp",
            "linked/in",
            "plain",
            "x[y",
        ] {
            scratch.file(name, name.as_bytes());
        }
        let source = scratch.path("source");
        fs::create_dir_all(source.join("marked/.mark")).unwrap();
        symlink("nowhere", source.join("linked/.mark")).unwrap();
        symlink("a", source.join("link")).unwrap();
        let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        for name in ["d.tmp", "a/b/c"] {
            File::options().write(true).open(source.join(name)).unwrap().set_modified(old).unwrap();
        }
        scratch
    }
}

#[test]
fn every_kind_of_rule_means_what_it_means_to_duplicity() {
    let scratch = Scratch::with_something_of_everything();
    let list = " source/a/b \r\n# no comment\n\n+ source/a/keep.tmp\n- '**.tmp'\n\"source/a/x y\"\n";
    fs::write(scratch.path("list"), list).unwrap();
    fs::write(scratch.path("nul"), "source/a/b\0+ source/a/keep.tmp\0- **.tmp\0 'source/a/x y' \0").unwrap();
    fs::write(scratch.path("paths"), "a/b/c\nab\nlink\nmissing\nmarked\nmarked/in/it\n").unwrap();
    fs::write(scratch.path("paths-nul"), "a/b/c\0d.tmp\0").unwrap();
    fs::write(scratch.path("expressions"), "\\.tmp$\n# no\n+ /b/\n- /a/").unwrap();
    let tables: &[&[&str]] = &[
        &["--exclude", "source/a"],
        &["--exclude", "source/a/"],
        &["--exclude", "source/link/"],
        &["--exclude", "source/plain/"],
        &["--exclude", "/**/source"],
        &["--exclude", "**"],
        &["--exclude", "source"],
        &["--exclude", "source/?"],
        &["--exclude", "source/*/?"],
        &["--exclude", "source/**/?"],
        &["--exclude", "source/**c"],
        &["--exclude", "source/a/[[]x]"],
        &["--exclude", "source/x[y"],
        &["--exclude", "source/[!a-b]*"],
        &["--exclude", "source/[^a]*"],
        &["--exclude", "**e[/x]a"],
        &["--exclude", "ignorecase:SOURCE/b"],
        &["--exclude", "IgnoreCase:**/É"],
        &["--include", "source/a/b", "--exclude", "source/a"],
        &["--exclude", "source/a", "--include", "source/a/b", "--exclude", "**"],
        &["--include", "source/*/keep.tmp", "--exclude", "**"],
        &["--include", "source/**/keep.tmp", "--exclude", "**"],
        &["--include", "source/a/b/", "--include", "source/plain/", "--exclude", "**"],
        &["--exclude-regexp", r"\.tmp$"],
        &["--exclude-regexp", "^source/a"],
        &["--include-regexp", "keep", "--exclude-regexp", "(?i)TMP"],
        &["--exclude-filelist", "list"],
        &["--include-filelist", "list", "--exclude", "**"],
        &["--null-separator", "--exclude-filelist", "nul"],
        &["--exclude-filelist", "nul", "--null-separator"],
        &["--files-from", "paths"],
        &["--files-from", "paths", "--exclude", "source/a/b/c", "--exclude", "source/ab"],
        &["--files-from", "paths-nul", "--null-separator"],
        &["--exclude-if-present", ".mark"],
        &["--include", "source/marked", "--exclude-if-present", ".mark", "--exclude", "**"],
        &["--exclude-if-present", "b", "--exclude-if-present", "in"],
        &["--exclude-if-present", "plain"],
        &["--exclude-older-than", "2010-01-01"],
        &["--include", "source/a/b", "--exclude-older-than", "1000000001"],
        &["--exclude-older-than", "1000000000"],
        &["--filter-literal", "--exclude", "source/a/[x]", "--exclude", "source/plain/"],
        &["--filter-literal", "--include", "source/a/x y", "--exclude", "source/a"],
        &["--filter-literal", "--filter-ignorecase", "--exclude", "source/A/É"],
        &["--filter-regexp", "--exclude-filelist", "expressions"],
        &["--filter-regexp", "--include", "keep", "--filter-globbing", "--exclude", "**.tmp"],
        &["--filter-ignorecase", "--exclude", "**.TMP", "--filter-strictcase", "--exclude", "source/b"],
        &["--filter-ignorecase", "--exclude-regexp", "TMP", "--filter-strictcase", "--exclude-regexp", "C$"],
    ];
    for table in tables {
        let stored = scratch.compare("source", &options(table), "table");
        // One that has no effect or is refused proves nothing, unless it is to have none.
        assert!(stored.is_some() || table[1].starts_with('/'), "{table:?}");
    }
    for from in [".", "./source/../source"] {
        let rule = format!("{}/a", if from == "." { "./source" } else { from.trim_start_matches("./") });
        assert!(scratch.compare(from, &options(&["--exclude", &rule]), "root").is_some());
    }
}

#[test]
fn rules_that_cannot_be_meant_are_refused() {
    let scratch = Scratch::with_something_of_everything();
    for (name, text) in [
        ("absolute", "a\n/b\n"),
        ("empty", "\n\n"),
        ("elsewhere", "# first\nother/a\n"),
        ("includes", "source/a\n"),
    ] {
        fs::write(scratch.path(name), text).unwrap();
    }
    let tables: &[(i32, &[&str])] = &[
        (14, &["--exclude", "other/a"]),
        (14, &["--exclude", "a"]),
        (14, &["--exclude", "/"]),
        (14, &["--include", "sourc/a", "--exclude", "**"]),
        (14, &["--filter-literal", "--exclude", "**"]),
        (14, &["--exclude-filelist", "elsewhere"]),
        (15, &["--exclude", "source//a"]),
        (16, &["--include", "source/a"]),
        (16, &["--exclude", "**", "--include", "source/a"]),
        (16, &["--include-regexp", "a"]),
        (16, &["--include-filelist", "includes"]),
        (16, &["--include", "source/a", "--exclude-if-present", ".mark"]),
        (16, &["--include", "source/a", "--exclude-device-files"]),
        (70, &["--filter-globbing", "--exclude", "**"]),
        (70, &["--filter-strictcase", "--filter-globbing", "--exclude", "**"]),
        (71, &["--exclude", "**", "--filter-regexp"]),
        (72, &["--files-from", "absolute"]),
        (73, &["--files-from", "empty"]),
        (30, &["--exclude-regexp", "("]),
        (30, &["--exclude", "source/[z-a]"]),
        (23, &["--exclude", ""]),
        (23, &["--exclude-filelist", "missing"]),
        (23, &["--exclude-older-than", "yesterday"]),
    ];
    for (code, table) in tables {
        let given = options(table);
        assert_eq!(scratch.theirs("source", &given), Err(*code), "{table:?}");
        let (code, told) = scratch.ours("source", &given).unwrap_err();
        assert_eq!(code, 2, "{table:?}: {told}");
    }
    // Python's expressions can do more; a name is no path; presets have names.
    for table in [
        ["--exclude-regexp", "a(?!b)"],
        ["--exclude-regexp", r"(a)\1"],
        ["--exclude-if-present", "a/b"],
        ["--exclude", "**//a"],
        ["--exclude-preset", "everything"],
    ] {
        let (code, told) = scratch.ours("source", &options(&table)).unwrap_err();
        assert_eq!(code, 2, "{table:?}: {told}");
    }
    let (_, told) = scratch.ours("source", &options(&["--exclude-filelist", "elsewhere"])).unwrap_err();
    assert!(told.contains("\"other/a\"") && told.contains("source"), "{told}");
}

#[test]
fn what_duplicity_loses_is_kept() {
    let scratch = Scratch::with_something_of_everything();
    scratch.file("end\n", b"");
    fs::write(scratch.path("source").join(OsStr::from_bytes(b"\xff")), "").unwrap();
    fs::write(scratch.path("bytes"), b"source/\xff\n").unwrap();
    fs::write(scratch.path("slash"), "a/\n./ab\n").unwrap();
    // The rules, what is in question, whether duplicity has it, and whether we have it.
    let tables: &[(&[&str], &str, Option<bool>, bool)] = &[
        // What an include might reach, but no rule matches.
        (&["--include", "source/**/keep.tmp", "--exclude", "**.tmp"], "plain", Some(false), true),
        (&["--include", "source/**/keep.tmp", "--exclude", "**.tmp"], "d.tmp", Some(false), false),
        (&["--include", "source/plain/in", "--exclude", "**.tmp"], "plain", Some(false), true),
        // A file in a folder of the same name.
        (&["--include", "**/cache/", "--exclude", "**"], "cache/cache", Some(false), true),
        // A name with a newline at its end is not the name without it.
        (&["--exclude", "source/end"], "end\n", Some(false), true),
        (&["--exclude-regexp", "end$"], "end\n", Some(false), true),
        // A list of names that are not UTF-8.
        (&["--exclude-filelist", "bytes"], "plain", None, true),
    ];
    for (given, path, theirs, ours) in tables {
        let given = options(given);
        let found = scratch.theirs("source", &given).ok().map(|paths| paths.contains(path.as_bytes()));
        assert_eq!(found, *theirs, "duplicity, {path:?}: {given:?}");
        let found = scratch.ours("source", &given).unwrap().contains(path.as_bytes());
        assert_eq!(found, *ours, "{path:?}: {given:?}");
    }
    let bytes = scratch.ours("source", &options(&["--exclude-filelist", "bytes"])).unwrap();
    assert!(!bytes.contains(&b"\xff"[..]) && bytes.contains(&b"end\n"[..]));

    // Of "./ab" duplicity makes an entry that it does not find again, and that we refuse to read.
    let found = scratch.ours("source", &options(&["--files-from", "slash"])).unwrap();
    assert_eq!(found, ["", "a", "ab"].map(|path| path.as_bytes().to_vec()).into());

    // Paths that are taken as they are, below the root of everything.
    let source = scratch.path("source/ab").display().to_string();
    let given = options(&["--filter-literal", "--include", &source, "--exclude", "/"]);
    assert_eq!(scratch.theirs("/", &given), Err(14));
    let found = scratch.ours("/", &given).unwrap();
    assert!(found.contains(format!("{}/c", &source[1..]).as_bytes()), "{}", show(found.iter()));
    assert!(!found.contains(&b"etc"[..]));
}

#[test]
fn what_is_listed_and_not_there_is_named() {
    let scratch = Scratch::with_something_of_everything();
    fs::write(scratch.path("paths"), "plain\na/none\n").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_souvenir-cli"))
        .current_dir(scratch.folder.path())
        .args(["backup", "--no-encryption", "--no-cache", "--files-from", "paths", "source", "to"])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("a/none: is not there"), "{told}");
    assert_eq!(listed(&scratch.path("to")), ["", "a", "plain"].map(|path| path.as_bytes().to_vec()).into());
}

/// A tree of devices that is there everywhere, with other file systems in it where there are some.
#[test]
fn devices_and_other_filesystems_are_left_out_as_by_duplicity() {
    let scratch = Scratch::new();
    let device = |path: &str| fs::metadata(path).map(|metadata| metadata.dev()).ok();
    let mut common = options(&["--exclude", "/dev/tty**"]);
    // A folder that we may not read is stored without what it holds; duplicity does not store it.
    for entry in fs::read_dir("/dev").unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && fs::read_dir(&path).is_err() {
            common.extend(["--exclude".into(), path.into_os_string()]);
        }
    }
    let restless = options(&["--exclude", "/dev/pts", "--exclude", "/dev/shm", "--exclude-device-files"]);
    let found = scratch.compare("/dev", &[common.clone(), restless].concat(), "devices").unwrap();
    assert!(!found.contains(&b"null"[..]), "{}", show(found.iter()));
    let given = [common, options(&["--exclude-other-filesystems"])].concat();
    let found = scratch.compare("/dev", &given, "file systems").unwrap();
    assert!(found.contains(&b"null"[..]), "{}", show(found.iter()));
    for name in ["pts", "shm"] {
        let path = format!("/dev/{name}");
        let is_other = device(&path).is_some_and(|number| Some(number) != device("/dev"));
        assert!(!is_other || !found.contains(name.as_bytes()), "{path}");
    }
}

#[test]
fn folders_tagged_as_caches_are_left_out() {
    let scratch = Scratch::new();
    const TAG: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55\n# This is a cache";
    scratch.file("tagged/CACHEDIR.TAG", TAG);
    scratch.file("tagged/data", b"");
    scratch.file("bare/CACHEDIR.TAG", &TAG[..43]);
    scratch.file("short/CACHEDIR.TAG", &TAG[..42]);
    scratch.file("wrong/CACHEDIR.TAG", b"Signature: 00000000000000000000000000000000");
    fs::create_dir_all(scratch.path("source/folder/CACHEDIR.TAG")).unwrap();
    fs::create_dir(scratch.path("source/link")).unwrap();
    symlink("../tagged/CACHEDIR.TAG", scratch.path("source/link/CACHEDIR.TAG")).unwrap();
    for given in [
        &["--exclude-caches"][..],
        &["--include", "source/tagged", "--exclude-caches", "--exclude", "source/no"],
    ] {
        let found = scratch.ours("source", &options(given)).unwrap();
        let folders: Vec<_> = found.iter().filter(|path| !path.is_empty() && !path.contains(&b'/')).collect();
        assert_eq!(folders, [&b"folder"[..], b"link", b"short", b"wrong"], "{given:?}");
    }
}

#[test]
fn presets_leave_out_what_they_say_and_nothing_else() {
    // The preset, what it leaves out, and what looks like it but stays.
    let tables: &[(&str, &[&str], &[&str])] = &[
        (
            "caches",
            &["me/.cache/x", "me/.thumbnails/x", "me/.gradle/caches/x"],
            &["me/cache/x", "me/.gradle/init"],
        ),
        (
            "app-caches",
            &[
                "me/.var/app/org.example/cache/x",
                "me/.mozilla/firefox/p.default/cache2/x",
                "me/.config/chromium/Default/Code Cache/x",
                "me/.config/chromium/Default/Cache/Cache_Data/x",
                "me/.config/chromium/Default/Service Worker/CacheStorage/x",
            ],
            &[
                "me/.var/app/org.example/data/x",
                "me/.mozilla/firefox/p.default/places.sqlite",
                "me/.config/app/Cache",
            ],
        ),
        (
            "trash",
            &["me/.local/share/Trash/files/x", ".Trash-1000/files/x"],
            &["me/Trash/x", ".Trash-mine/x", "me/.local/share/x"],
        ),
        (
            "build-folders",
            &[
                "web/node_modules/p/x",
                "java/target/x",
                "android/build/x",
                "c/builddir/x",
                "py/__pycache__/x.pyc",
                "py/.venv/x",
            ],
            &[
                "node_modules/x",
                "photos/target/x",
                "notes/build/x",
                "py/venv/x",
                "c/build.txt",
                "web/package.json",
            ],
        ),
        (
            "virtual-machines",
            &["vm/a.qcow2", "vm/B.VDI", "me/.local/share/gnome-boxes/images/x"],
            &["vm/a.iso", "vdi"],
        ),
    ];
    let scratch = Scratch::new();
    for (_, out, stay) in tables {
        for name in out.iter().chain(*stay) {
            scratch.file(name, b"");
        }
    }
    for name in
        ["java/pom.xml", "android/build.gradle.kts", "py/.venv/pyvenv.cfg", "c/builddir/meson-private/x"]
    {
        scratch.file(name, b"");
    }
    scratch.file("rust/target/CACHEDIR.TAG", b"Signature: 8a477f597d28d172789f06886806bc55\n");
    let all = scratch.ours("source", &[]).unwrap();
    for (preset, out, stay) in tables {
        let found = scratch.ours("source", &options(&["--exclude-preset", preset])).unwrap();
        for name in *out {
            assert!(!found.contains(name.as_bytes()), "{preset}: {name}");
        }
        for name in *stay {
            assert!(found.contains(name.as_bytes()), "{preset}: {name}");
        }
        let gone = all.difference(&found).filter(|path| !path.starts_with(b"rust/target"));
        let meant = |path: &Vec<u8>| {
            let path = String::from_utf8(path.clone()).unwrap();
            out.iter().any(|name| name.starts_with(&path))
                || path.starts_with("py/.venv")
                || path.starts_with("c/builddir")
        };
        let more: Paths = gone.filter(|path| !meant(path)).cloned().collect();
        assert!(more.is_empty(), "{preset} also leaves out {}", show(more.iter()));
        let is_tagged_out = matches!(*preset, "caches" | "build-folders");
        assert_eq!(found.contains(&b"rust/target"[..]), !is_tagged_out, "{preset}");
    }
    // What is searched for an include loses nothing else of what a preset leaves out.
    let kept =
        options(&["--include", "**/keep", "--exclude-preset", "build-folders", "--exclude-preset", "caches"]);
    for name in ["web/node_modules/p/q/keep", "rust/target/debug/keep"] {
        scratch.file(name, b"");
        scratch.file(&name.replace("keep", "other"), b"");
    }
    let found = scratch.ours("source", &kept).unwrap();
    let below =
        |folder: &str| found.iter().filter(|path| path.starts_with(folder.as_bytes())).cloned().collect();
    let keep: [Paths; 2] = [below("web/node_modules"), below("rust/target")];
    let web = ["", "/p", "/p/q", "/p/q/keep"].map(|path| format!("web/node_modules{path}").into_bytes());
    let rust = ["", "/debug", "/debug/keep"].map(|path| format!("rust/target{path}").into_bytes());
    assert_eq!(keep, [web.into(), rust.into()]);

    // A rule before it has its way.
    let kept = options(&["--include", "source/me/.cache", "--exclude-preset", "caches"]);
    assert!(scratch.ours("source", &kept).unwrap().contains(&b"me/.cache/x"[..]));
}
