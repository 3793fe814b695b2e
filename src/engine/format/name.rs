//! The names of stored files, which alone tell what sets a destination holds.

use std::fmt;

use super::time::SetTime;

/// What a set is and the times it goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SetKind {
    /// A set that stands on its own.
    Full {
        /// When it was made.
        time: SetTime,
    },
    /// A set that holds what changed since another one.
    Incremental {
        /// The time of the set that it builds on.
        start: SetTime,
        /// When it was made.
        end: SetTime,
    },
}

impl SetKind {
    /// The moment whose state the set completes.
    pub fn time(self) -> SetTime {
        match self {
            Self::Full { time } => time,
            Self::Incremental { end, .. } => end,
        }
    }

    /// Whether the set stands on its own.
    pub fn is_full(self) -> bool {
        matches!(self, Self::Full { .. })
    }
}

/// Which part of a set a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// A volume; the first has number 1.
    Volume(u32),
    /// The list of volumes. A set without it does not exist.
    Manifest,
    /// The signatures of the files in the set.
    Signatures,
    /// Statistics, which duplicity may leave.
    Statistics,
}

/// How the contents of a stored file are wrapped, told by the end of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// As they are.
    Plain,
    /// gzip (RFC 1952).
    Gzip,
    /// OpenPGP (RFC 4880), compressed inside.
    OpenPgp,
    /// S/MIME, which duplicity writes with `--use-gpgsm` and which is not read here.
    Smime,
}

impl Codec {
    fn of(name: &str) -> Self {
        if name.ends_with(".gz") || name.ends_with(".z") {
            Self::Gzip
        } else if name.ends_with(".gpg") || name.ends_with(".g") {
            Self::OpenPgp
        } else if name.ends_with(".p7m") {
            Self::Smime
        } else {
            Self::Plain
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Gzip => ".gz",
            Self::OpenPgp => ".gpg",
            Self::Smime => ".p7m",
        }
    }
}

/// The name of a stored file, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileName {
    /// The set it belongs to.
    pub set: SetKind,
    /// What it is in the set.
    pub part: Part,
    /// How it is wrapped.
    pub codec: Codec,
}

impl FileName {
    /// Takes a name apart. `None` for everything that is no file of a duplicity backup.
    ///
    /// Current names, the W3C times and the short names of old versions are read.
    pub fn parse(name: &str) -> Option<Self> {
        let (set, part) = parse_short(name).or_else(|| parse_long(name))?;
        Some(Self { set, part, codec: Codec::of(name) })
    }

    /// Takes a name apart that has something in front, as duplicity's `--file-prefix` options put it
    /// there. Short names are too short for that.
    pub fn parse_prefixed(name: &str) -> Option<Self> {
        let (start, _) = name.char_indices().skip(1).find(|(at, _)| name[*at..].starts_with(LONG))?;
        Self::parse(&name[start..])
    }
}

/// The current form of the name; manifests are never compressed.
impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.set, self.part) {
            (SetKind::Full { time }, Part::Signatures) => write!(f, "duplicity-full-signatures.{time}")?,
            (SetKind::Full { time }, _) => write!(f, "duplicity-full.{time}")?,
            (SetKind::Incremental { start, end }, Part::Signatures) => {
                write!(f, "duplicity-new-signatures.{start}.to.{end}")?;
            }
            (SetKind::Incremental { start, end }, _) => write!(f, "duplicity-inc.{start}.to.{end}")?,
        }
        match self.part {
            Part::Volume(number) => write!(f, ".vol{number}.difftar")?,
            Part::Manifest => f.write_str(".manifest")?,
            Part::Signatures => f.write_str(".sigtar")?,
            Part::Statistics => f.write_str(".jsonstat")?,
        }
        f.write_str(self.codec.suffix())
    }
}

/// How all names begin, apart from the short ones of old versions.
const LONG: &str = "duplicity-";

/// After the word that says what the file is, only a dot and anything may follow.
fn ends_or_dot(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('.')
}

fn parse_long(name: &str) -> Option<(SetKind, Part)> {
    let rest = name.strip_prefix(LONG)?;
    let (signatures, full, rest) = if let Some(rest) = rest.strip_prefix("full-signatures.") {
        (true, true, rest)
    } else if let Some(rest) = rest.strip_prefix("new-signatures.") {
        (true, false, rest)
    } else if let Some(rest) = rest.strip_prefix("full.") {
        (false, true, rest)
    } else {
        (false, false, rest.strip_prefix("inc.")?)
    };
    let (first, rest) = rest.split_once('.')?;
    let (set, rest) = if full {
        (SetKind::Full { time: SetTime::parse(first)? }, rest)
    } else {
        let (second, rest) = rest.strip_prefix("to.")?.split_once('.')?;
        (SetKind::Incremental { start: SetTime::parse(first)?, end: SetTime::parse(second)? }, rest)
    };
    let part = if signatures {
        rest.strip_prefix("sigtar").filter(|rest| ends_or_dot(rest)).map(|_| Part::Signatures)?
    } else if let Some(rest) = rest.strip_prefix("vol") {
        let (number, rest) = rest.split_once('.')?;
        rest.strip_prefix("difftar").filter(|rest| ends_or_dot(rest))?;
        Part::Volume(decimal(number)?)
    } else if let Some(rest) = rest.strip_prefix("manifest") {
        ends_or_dot(rest).then_some(Part::Manifest)?
    } else {
        rest.strip_prefix("jsonstat").filter(|rest| ends_or_dot(rest)).map(|_| Part::Statistics)?
    };
    Some((set, part))
}

fn decimal(digits: &str) -> Option<u32> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// `df.T.N.dt`, `df.T.m`, `di.T0.T1.N.dt`, `di.T0.T1.m`, `dfs.T.st`, `dns.T0.T1.st`, numbers in base 36.
fn parse_short(name: &str) -> Option<(SetKind, Part)> {
    let mut fields = name.split('.');
    let kind = fields.next()?;
    let mut time =
        || base36(fields.next()?).and_then(|seconds| SetTime::from_epoch(seconds.try_into().ok()?));
    let set = match kind {
        "df" | "dfs" => SetKind::Full { time: time()? },
        "di" | "dns" => SetKind::Incremental { start: time()?, end: time()? },
        _ => return None,
    };
    let part = match (kind, fields.next()?) {
        ("dfs" | "dns", "st") => Part::Signatures,
        ("df" | "di", "m") => Part::Manifest,
        ("df" | "di", number) if fields.next()? == "dt" => Part::Volume(base36(number)?.try_into().ok()?),
        _ => return None,
    };
    Some((set, part))
}

fn base36(digits: &str) -> Option<u64> {
    let known =
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase());
    known.then(|| u64::from_str_radix(digits, 36).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(part: Part, codec: Codec) -> FileName {
        let time = SetTime::parse("20231114T221320Z").unwrap();
        FileName { set: SetKind::Full { time }, part, codec }
    }

    #[test]
    fn current_names_go_both_ways() {
        for (text, name) in [
            ("duplicity-full.20231114T221320Z.vol1.difftar.gz", full(Part::Volume(1), Codec::Gzip)),
            ("duplicity-full.20231114T221320Z.vol12.difftar.gpg", full(Part::Volume(12), Codec::OpenPgp)),
            ("duplicity-full.20231114T221320Z.vol3.difftar", full(Part::Volume(3), Codec::Plain)),
            ("duplicity-full.20231114T221320Z.manifest", full(Part::Manifest, Codec::Plain)),
            ("duplicity-full-signatures.20231114T221320Z.sigtar.gpg", full(Part::Signatures, Codec::OpenPgp)),
            ("duplicity-full.20231114T221320Z.jsonstat.gz", full(Part::Statistics, Codec::Gzip)),
        ] {
            assert_eq!(FileName::parse(text), Some(name), "{text}");
            assert_eq!(name.to_string(), text);
        }
        let text = "duplicity-inc.20231114T221320Z.to.20231115T221320Z.vol1.difftar.gpg";
        assert_eq!(FileName::parse(text).unwrap().to_string(), text);
        let text = "duplicity-new-signatures.20231114T221320Z.to.20231115T221320Z.sigtar.gz";
        assert_eq!(FileName::parse(text).unwrap().to_string(), text);
    }

    #[test]
    fn old_names_are_read() {
        assert_eq!(
            FileName::parse("duplicity-full.2023-11-14T22:13:20Z.vol1.difftar.gz"),
            Some(full(Part::Volume(1), Codec::Gzip))
        );
        assert_eq!(FileName::parse("df.s44we8.1.dt.z"), Some(full(Part::Volume(1), Codec::Gzip)));
        assert_eq!(FileName::parse("df.s44we8.m"), Some(full(Part::Manifest, Codec::Plain)));
        assert_eq!(FileName::parse("dfs.s44we8.st.g"), Some(full(Part::Signatures, Codec::OpenPgp)));
        assert!(matches!(
            FileName::parse("di.s44we8.s44we9.1.dt.g").unwrap().set,
            SetKind::Incremental { .. }
        ));
    }

    #[test]
    fn prefixes_are_seen() {
        let text = "duplicity-full.20231114T221320Z.manifest";
        let name = full(Part::Manifest, Codec::Plain);
        assert_eq!(FileName::parse_prefixed(&format!("my-ärchive_{text}")), Some(name));
        assert_eq!(FileName::parse_prefixed(text), None, "there is nothing in front of it");
        assert_eq!(FileName::parse_prefixed("about duplicity-full"), None);
    }

    #[test]
    fn other_files_are_none_of_ours() {
        for other in [
            "notes.txt",
            ".upload-1",
            "duplicity-full.20231114T221320Z.vol1.difftarx",
            "duplicity-full.20231114T221320Z.volx.difftar.gz",
            "duplicity-full.2023.manifest",
            "Duplicity-full.20231114T221320Z.manifest",
            "duplicity-inc.20231114T221320Z.manifest",
            "df.S44.1.dt",
        ] {
            assert_eq!(FileName::parse(other), None, "{other}");
        }
    }
}
