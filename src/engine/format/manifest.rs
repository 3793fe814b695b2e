//! The manifest: what volumes a set has, what they hold and what their hashes are.

use super::quote::{quote, unquote};
use crate::engine::path::EntryPath;

/// A manifest. `host_name` and `local_dir` are what duplicity checks before it extends a chain.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Manifest {
    /// The machine that wrote the set.
    pub host_name: Option<Vec<u8>>,
    /// The root that was backed up, as it was given.
    pub local_dir: Option<Vec<u8>>,
    /// The volumes in order of their numbers.
    pub volumes: Vec<VolumeInfo>,
}

/// What the manifest says of one volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeInfo {
    /// Number of the volume; the first is 1.
    pub number: u32,
    /// The first entry in it.
    pub start: Boundary,
    /// The last entry in it.
    pub end: Boundary,
    /// Hash of the stored file: algorithm and lower-case hexadecimal digits.
    pub hash: Option<(HashAlgorithm, String)>,
}

/// An entry at the start or end of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boundary {
    /// The entry.
    pub path: EntryPath,
    /// The number of the 64 KiB chunk, if the entry is one of a file that is stored in chunks.
    pub block: Option<u64>,
}

/// A hash that duplicity checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashAlgorithm {
    /// SHA-1, which every version demands.
    Sha1,
    /// MD5, which is checked where it is the only one.
    Md5,
}

impl HashAlgorithm {
    /// The name in the manifest.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA1",
            Self::Md5 => "MD5",
        }
    }

    fn digit_count(self) -> usize {
        match self {
            Self::Sha1 => 40,
            Self::Md5 => 32,
        }
    }
}

/// A line that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct ManifestError {
    /// Number of the line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl Manifest {
    /// The manifest as it is stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = Vec::new();
        if let Some(host_name) = &self.host_name {
            put(&mut text, &[b"Hostname ", host_name]);
        }
        if let Some(local_dir) = &self.local_dir {
            put(&mut text, &[b"Localdir ", &quote(local_dir)]);
        }
        for volume in &self.volumes {
            put(&mut text, &[format!("Volume {}:", volume.number).as_bytes()]);
            put(&mut text, &[b"    StartingPath   ", &volume.start.to_bytes()]);
            put(&mut text, &[b"    EndingPath     ", &volume.end.to_bytes()]);
            if let Some((algorithm, digits)) = &volume.hash {
                put(&mut text, &[format!("    Hash {} {digits}", algorithm.name()).as_bytes()]);
            }
        }
        // The list of changed files is for people; its count has to be there for older versions.
        put(&mut text, &[b"Filelist 0"]);
        text
    }

    /// Reads a manifest as duplicity reads it: unknown fields are skipped, and of a volume that is
    /// named twice (after a resumed backup) the last block counts, which also ends the set there if
    /// its number is lower than one seen before.
    pub fn parse(text: &[u8]) -> Result<Self, ManifestError> {
        let mut manifest = Self::default();
        let mut lines =
            text.split(|byte| *byte == b'\n').enumerate().map(|(index, line)| (index + 1, line)).peekable();
        while let Some((line, text)) = lines.next() {
            let (field, value) = split_field(text);
            match field.as_str() {
                "hostname" => manifest.host_name = Some(value.to_vec()),
                "localdir" => {
                    let fail = ManifestError { line, reason: "the folder is not quoted rightly" };
                    manifest.local_dir = Some(unquote(value).ok_or(fail)?);
                }
                "volume" => {
                    let number = value
                        .strip_suffix(b":")
                        .and_then(|digits| str::from_utf8(digits).ok()?.parse().ok())
                        .filter(|number| *number > 0)
                        .ok_or(ManifestError { line, reason: "the volume has no number" })?;
                    let mut fields = Vec::new();
                    while let Some(field) = lines.next_if(|(_, text)| is_indented(text)) {
                        fields.push(field);
                    }
                    manifest.take_volume(VolumeInfo::parse(number, line, &fields)?);
                }
                // Unknown header lines, and the list of changed files with its indented lines.
                _ => {}
            }
        }
        manifest.volumes.sort_by_key(|volume| volume.number);
        Ok(manifest)
    }

    fn take_volume(&mut self, volume: VolumeInfo) {
        let number = volume.number;
        // They are in order at every moment.
        if self.volumes.last().is_some_and(|last| last.number >= number) {
            self.volumes.retain(|known| known.number < number);
        }
        self.volumes.push(volume);
    }
}

impl VolumeInfo {
    fn parse(number: u32, line: usize, fields: &[(usize, &[u8])]) -> Result<Self, ManifestError> {
        let (mut start, mut end, mut hash) = (None, None, None);
        for &(line, text) in fields {
            let (field, value) = split_field(text.trim_ascii_start());
            match field.as_str() {
                "startingpath" => start = Some(Boundary::parse(line, value)?),
                "endingpath" => end = Some(Boundary::parse(line, value)?),
                "hash" => hash = better_hash(line, hash, value)?,
                _ => {}
            }
        }
        Ok(Self {
            number,
            start: start.ok_or(ManifestError { line, reason: "the volume has no first path" })?,
            end: end.ok_or(ManifestError { line, reason: "the volume has no last path" })?,
            hash,
        })
    }
}

impl Boundary {
    /// A whole entry.
    pub fn entry(path: EntryPath) -> Self {
        Self { path, block: None }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut text = if self.path.is_root() { b".".to_vec() } else { quote(self.path.as_bytes()) };
        text.push(b' ');
        match self.block {
            Some(block) => text.extend_from_slice(block.to_string().as_bytes()),
            None => text.push(b' '),
        }
        text
    }

    fn parse(line: usize, value: &[u8]) -> Result<Self, ManifestError> {
        let mut words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let fail = |reason| ManifestError { line, reason };
        let written = words.next().ok_or(fail("the path is missing"))?;
        let path = if written == b"." {
            EntryPath::root()
        } else {
            let bytes = unquote(written).ok_or(fail("the path is not quoted rightly"))?;
            EntryPath::from_bytes(&bytes).map_err(|_| fail("the path leads out of the backup"))?
        };
        let block = words
            .next()
            .map(|word| str::from_utf8(word).ok().and_then(|digits| digits.parse().ok()))
            .map(|block| block.ok_or(fail("the chunk is not a number")))
            .transpose()?;
        Ok(Self { path, block })
    }
}

fn put(text: &mut Vec<u8>, pieces: &[&[u8]]) {
    for piece in pieces {
        text.extend_from_slice(piece);
    }
    text.push(b'\n');
}

fn is_indented(text: &[u8]) -> bool {
    text.first().is_some_and(u8::is_ascii_whitespace)
}

/// The field's name in lower case, and its value.
fn split_field(text: &[u8]) -> (String, &[u8]) {
    let end = text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len());
    let (name, value) = text.split_at(end);
    (String::from_utf8_lossy(name).to_ascii_lowercase(), value.trim_ascii())
}

/// SHA-1 if there is one, else MD5; hashes that duplicity does not check are passed over.
fn better_hash(
    line: usize,
    known: Option<(HashAlgorithm, String)>,
    value: &[u8],
) -> Result<Option<(HashAlgorithm, String)>, ManifestError> {
    let text = String::from_utf8_lossy(value);
    let (name, digits) = text.split_once(' ').unwrap_or((&text, ""));
    let Some(algorithm) =
        [HashAlgorithm::Sha1, HashAlgorithm::Md5].into_iter().find(|hash| hash.name() == name)
    else {
        return Ok(known);
    };
    let digits = digits.trim();
    if digits.len() != algorithm.digit_count() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(ManifestError { line, reason: "the hash is not whole" });
    }
    if algorithm == HashAlgorithm::Md5 && matches!(known, Some((HashAlgorithm::Sha1, _))) {
        return Ok(known);
    }
    Ok(Some((algorithm, digits.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REAL: &str = "Hostname vm\nLocaldir /srv/data\nVolume 1:\n    StartingPath   .  \n    \
        EndingPath     rnd 10\n    Hash SHA1 ef7113f946913bc38fd10672be31d51d28650dae\nVolume 2:\n    \
        StartingPath   rnd 11\n    EndingPath     \"ze\\x20ro\"  \n    \
        Hash SHA1 456a2a9d488ee0772743a6f6679d3505148ef8c8\nFilelist 0\n";

    #[test]
    fn what_duplicity_wrote_is_what_is_written() {
        let manifest = Manifest::parse(REAL.as_bytes()).unwrap();
        assert_eq!(manifest.volumes[0].end.block, Some(10));
        assert_eq!(manifest.volumes[1].end, Boundary::entry(EntryPath::from_bytes(b"ze ro").unwrap()));
        assert_eq!(String::from_utf8(manifest.to_bytes()).unwrap(), REAL);
    }

    #[test]
    fn file_list_before_or_after_is_skipped() {
        let list = "Filelist 2\n    new      a.txt\n    deleted  \"sp\\x20ace/old\"\n";
        let after = format!("{REAL}{list}");
        let before = REAL.replace("Volume 1:", &format!("{list}Volume 1:"));
        for text in [after, before] {
            assert_eq!(Manifest::parse(text.as_bytes()).unwrap(), Manifest::parse(REAL.as_bytes()).unwrap());
        }
    }

    #[test]
    fn of_a_volume_named_twice_the_last_counts() {
        let block = |number: u32, path: &str| {
            format!(
                "Volume {number}:\n    StartingPath {path}\n    EndingPath {path}\n    Hash MD5 {}\n",
                "0".repeat(32)
            )
        };
        let text = [block(1, "a"), block(2, "b"), block(3, "c"), block(2, "d")].concat();
        let manifest = Manifest::parse(text.as_bytes()).unwrap();
        let seen: Vec<_> =
            manifest.volumes.iter().map(|volume| (volume.number, volume.start.path.to_string())).collect();
        assert_eq!(seen, [(1, "a".to_owned()), (2, "d".to_owned())]);
    }

    #[test]
    fn as_many_volumes_as_ten_terabytes_have_are_read_at_once() {
        let volume = |number| VolumeInfo {
            number,
            start: Boundary::entry(EntryPath::root()),
            end: Boundary::entry(EntryPath::root()),
            hash: None,
        };
        let manifest = Manifest { volumes: (1..=150_000).map(volume).collect(), ..Manifest::default() };
        // Looking at all volumes before for each one took longer than any test may.
        assert_eq!(Manifest::parse(&manifest.to_bytes()).unwrap(), manifest);
    }

    #[test]
    fn nonsense_names_its_line() {
        let error = Manifest::parse(b"Hostname x\nVolume one:\n").unwrap_err();
        assert_eq!(error.line, 2);
        let error = Manifest::parse(b"Volume 1:\n    StartingPath ../x\n    EndingPath a\n").unwrap_err();
        assert_eq!(error.line, 2);
        assert!(Manifest::parse(b"Volume 1:\n").is_err());
        let cut = REAL.find("ef7113").unwrap() + 10;
        assert_eq!(Manifest::parse(&REAL.as_bytes()[..cut]).unwrap_err().line, 6);
        assert_eq!(Manifest::parse(b"").unwrap().volumes, []);
    }
}
