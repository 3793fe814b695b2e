//! Paths in files that must be UTF-8, which names of files need not be.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How a path stands in a file that must be UTF-8: as it is where that is possible, else with every
/// byte outside ASCII percent-encoded, in a form that no plain path can be taken for.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum PathText {
    Plain(String),
    Encoded {
        #[serde(rename = "percent-encoded")]
        percent_encoded: String,
    },
}

impl From<&Path> for PathText {
    fn from(path: &Path) -> Self {
        match path.to_str() {
            Some(text) => Self::Plain(text.to_owned()),
            None => Self::Encoded { percent_encoded: percent_encode(path.as_os_str().as_bytes()) },
        }
    }
}

impl TryFrom<PathText> for PathBuf {
    type Error = String;

    fn try_from(text: PathText) -> Result<Self, Self::Error> {
        match text {
            PathText::Plain(text) => Ok(text.into()),
            PathText::Encoded { percent_encoded } => percent_decode(&percent_encoded)
                .map(|bytes| OsString::from_vec(bytes).into())
                .ok_or_else(|| format!("\"{percent_encoded}\" is not percent-encoded")),
        }
    }
}

fn percent_encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        if byte.is_ascii_graphic() && *byte != b'%' {
            text.push(char::from(*byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

fn percent_decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    Some(bytes)
}

/// Writes one path.
pub fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    PathText::from(path).serialize(serializer)
}

/// Reads one path.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    PathText::deserialize(deserializer)?.try_into().map_err(D::Error::custom)
}

/// The same for a path that there may be.
pub mod optional {
    use super::{Deserialize, Deserializer, Error, PathBuf, PathText, Serialize, Serializer};

    /// Writes it.
    pub fn serialize<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
        path.as_deref().map(PathText::from).serialize(serializer)
    }

    /// Reads it.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
        let text = Option::<PathText>::deserialize(deserializer)?;
        text.map(PathBuf::try_from).transpose().map_err(D::Error::custom)
    }
}

/// The same for several paths.
pub mod list {
    use super::{Deserialize, Deserializer, Error, PathBuf, PathText, Serializer};

    /// Writes them.
    pub fn serialize<S: Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(paths.iter().map(|path| PathText::from(path.as_path())))
    }

    /// Reads them.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PathBuf>, D::Error> {
        Vec::<PathText>::deserialize(deserializer)?
            .into_iter()
            .map(|text| text.try_into().map_err(D::Error::custom))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_survives_percent_encoding() {
        let all: Vec<u8> = (1..=255).collect();
        assert_eq!(percent_decode(&percent_encode(&all)), Some(all));
        for bad in ["%", "%1", "%zz", "a%F"] {
            assert_eq!(percent_decode(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_plain_path_is_never_taken_for_an_encoded_one() {
        let path = Path::new("/home/100%FF");
        assert_eq!(PathBuf::try_from(PathText::from(path)).unwrap(), path);
        assert!(matches!(PathText::from(path), PathText::Plain(_)));
    }
}
