//! What Souvenir keeps beyond duplicity, as PAX records that duplicity skips.
//!
//! Every header that Souvenir writes into a signature tar has [`TOUCHED`], so entries of other programs
//! are told apart from those that have nothing more to say.

use super::difftar::{Place, Record};
use super::entry::{Entry, Extras, Touched};
use super::tar::Header;

/// In signature tars: size in bytes of the file that a signature is of.
const SIZE: &[u8] = b"SOUVENIR.size";

/// In signature tars: `SECONDS.NANOSECONDS INODE` of the last change of the inode.
const TOUCHED: &[u8] = b"SOUVENIR.touched";

/// The same value for all names of one file.
const HARD_LINK: &[u8] = b"SOUVENIR.link";

/// `1` for a file with holes.
const SPARSE: &[u8] = b"SOUVENIR.sparse";

/// Followed by the name of an extended attribute, as star and GNU tar have it.
const XATTR: &[u8] = b"SCHILY.xattr.";

/// Adds the records of `entry`.
pub fn write(place: Place, record: Record, entry: &Entry, header: &mut Header) {
    let mut add = |key: &[u8], value: &[u8]| header.records.push((key.to_vec(), value.to_vec()));
    if let (Record::Signature, Some(size)) = (record, entry.size_bytes) {
        add(SIZE, size.to_string().as_bytes());
    }
    let Some(extras) = &entry.extras else { return };
    if let (Place::Signatures, Some(Touched { ctime: (seconds, nanos), inode })) = (place, extras.touched) {
        add(TOUCHED, format!("{seconds}.{nanos} {inode}").as_bytes());
    }
    // Chunks after the first one are no entries of their own.
    if matches!(record, Record::SnapshotChunk(2..) | Record::DiffChunk(2..)) {
        return;
    }
    if let Some(hard_link) = &extras.hard_link {
        add(HARD_LINK, hard_link);
    }
    if extras.is_sparse {
        add(SPARSE, b"1");
    }
    for (name, value) in &extras.xattrs {
        add(&[XATTR, &escape(name)[..]].concat(), value);
    }
    if entry.mtime >= 0 {
        header.mtime_nanos = extras.mtime_nanos;
    }
}

/// The extras that a header tells of, and the size of the file that a signature is of.
pub fn read(header: &Header) -> (Option<Box<Extras>>, Option<u64>) {
    let mut extras = Extras { mtime_nanos: header.mtime_nanos, ..Extras::default() };
    let mut file_size = None;
    for (key, value) in &header.records {
        let text = || str::from_utf8(value).ok();
        match key.as_slice() {
            SIZE => file_size = text().and_then(|text| text.parse().ok()),
            TOUCHED => extras.touched = text().and_then(touched),
            HARD_LINK => extras.hard_link = Some(value.as_slice().into()),
            SPARSE => extras.is_sparse = value == b"1",
            key => {
                if let Some(name) = key.strip_prefix(XATTR) {
                    extras.xattrs.push((unescape(name).into(), value.as_slice().into()));
                }
            }
        }
    }
    let has_any = header.mtime_nanos > 0 || !header.records.is_empty();
    (has_any.then(|| Box::new(extras)), file_size)
}

fn touched(text: &str) -> Option<Touched> {
    let (time, inode) = text.split_once(' ')?;
    let (seconds, nanos) = time.split_once('.')?;
    Some(Touched { ctime: (seconds.parse().ok()?, nanos.parse().ok()?), inode: inode.parse().ok()? })
}

/// A PAX key has no `=`. GNU tar writes `%3D` for it, and `%25` for the percent sign.
fn escape(name: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(name.len());
    for byte in name {
        match byte {
            b'%' => escaped.extend_from_slice(b"%25"),
            b'=' => escaped.extend_from_slice(b"%3D"),
            other => escaped.push(*other),
        }
    }
    escaped
}

fn unescape(mut name: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(name.len());
    while let Some((first, rest)) = name.split_first() {
        let (byte, rest) = match name {
            [b'%', b'2', b'5', rest @ ..] => (b'%', rest),
            [b'%', b'3', b'D', rest @ ..] => (b'=', rest),
            _ => (*first, rest),
        };
        plain.push(byte);
        name = rest;
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::super::difftar;
    use super::*;
    use crate::engine::path::EntryPath;

    #[test]
    fn everything_comes_back() {
        let extras = Extras {
            mtime_nanos: 120,
            touched: Some(Touched { ctime: (-5, 999), inode: u64::MAX }),
            hard_link: Some(b"fd00:1a".as_slice().into()),
            is_sparse: true,
            xattrs: vec![(b"user.a=b%c".as_slice().into(), b"\0\xff\n".as_slice().into())],
        };
        let path = EntryPath::from_bytes(b"file").unwrap();
        let entry =
            Entry { size_bytes: Some(7), mtime: 5, extras: Some(Box::new(extras)), ..Entry::gone(path) };
        let header = difftar::header(Place::Signatures, Record::Signature, &entry, 12);
        assert_eq!(difftar::entry(header).unwrap(), (Record::Signature, entry.clone()));

        let chunk = difftar::header(Place::Volume, Record::SnapshotChunk(2), &entry, 1);
        assert_eq!(chunk.records, [], "said once is enough");
        let plain = Entry { extras: None, size_bytes: None, ..entry };
        let header = difftar::header(Place::Signatures, Record::Signature, &plain, 12);
        assert_eq!(difftar::entry(header).unwrap().1.extras, None, "duplicity says nothing of them");
    }
}
