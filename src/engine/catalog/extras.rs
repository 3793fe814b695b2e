//! What Souvenir keeps of an entry beyond what duplicity does, as bytes in one column.
//!
//! A byte of flags, then what they say is there: nanoseconds, time and number of the inode, hard link,
//! extended attributes. Numbers are little-endian; what has no fixed length has it in front.

use crate::engine::format::entry::{Extras, Touched};

const NANOS: u8 = 1;
const TOUCHED: u8 = 2;
const HARD_LINK: u8 = 4;
const SPARSE: u8 = 8;

/// The bytes of some extras.
pub(super) fn encode(extras: &Extras) -> Vec<u8> {
    let mut bytes = vec![0];
    if extras.mtime_nanos != 0 {
        bytes[0] |= NANOS;
        bytes.extend(extras.mtime_nanos.to_le_bytes());
    }
    if let Some(touched) = extras.touched {
        bytes[0] |= TOUCHED;
        bytes.extend(touched.ctime.0.to_le_bytes());
        bytes.extend(touched.ctime.1.to_le_bytes());
        bytes.extend(touched.inode.to_le_bytes());
    }
    if let Some(hard_link) = &extras.hard_link {
        bytes[0] |= HARD_LINK;
        append(hard_link, &mut bytes);
    }
    if extras.is_sparse {
        bytes[0] |= SPARSE;
    }
    for (name, value) in &extras.xattrs {
        append(name, &mut bytes);
        append(value, &mut bytes);
    }
    bytes
}

/// The extras of some bytes; none if they make no sense.
pub(super) fn decode(bytes: &[u8]) -> Option<Extras> {
    let (flags, mut rest) = bytes.split_first()?;
    let has = |flag| flags & flag != 0;
    let mut extras = Extras { is_sparse: has(SPARSE), ..Extras::default() };
    if has(NANOS) {
        extras.mtime_nanos = u32::from_le_bytes(take(&mut rest)?);
    }
    if has(TOUCHED) {
        let ctime = (i64::from_le_bytes(take(&mut rest)?), u32::from_le_bytes(take(&mut rest)?));
        extras.touched = Some(Touched { ctime, inode: u64::from_le_bytes(take(&mut rest)?) });
    }
    if has(HARD_LINK) {
        extras.hard_link = Some(take_long(&mut rest)?);
    }
    while !rest.is_empty() {
        extras.xattrs.push((take_long(&mut rest)?, take_long(&mut rest)?));
    }
    Some(extras)
}

/// Whether an entry with the one is as one with the other, as far as both are known: what is noted of the
/// inode says nothing of the entry itself.
pub(super) fn are_alike(one: Option<&[u8]>, other: Option<&[u8]>) -> bool {
    let (Some(one), Some(other)) = (one, other) else { return true };
    let told = |bytes| decode(bytes).map(|extras| Extras { touched: None, hard_link: None, ..extras });
    one == other || told(one) == told(other)
}

fn append(value: &[u8], bytes: &mut Vec<u8>) {
    // Nothing that a tar header holds is larger than 4 GiB.
    bytes.extend(u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(value);
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, behind) = rest.split_first_chunk::<N>()?;
    *rest = behind;
    Some(*first)
}

fn take_long(rest: &mut &[u8]) -> Option<Box<[u8]>> {
    let length = usize::try_from(u32::from_le_bytes(take(rest)?)).ok()?;
    let (value, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extras_come_back() {
        let bytes = |text: &str| text.as_bytes().into();
        let all = Extras {
            mtime_nanos: 999_999_999,
            touched: Some(Touched { ctime: (-1, 5), inode: u64::MAX }),
            hard_link: Some(bytes("1:2")),
            is_sparse: true,
            xattrs: vec![(bytes("user.a"), bytes("")), (bytes("user.b"), bytes("value"))],
        };
        for extras in [Extras::default(), all.clone(), Extras { touched: None, ..all.clone() }] {
            let encoded = encode(&extras);
            assert_eq!(decode(&encoded), Some(extras));
        }
        let encoded = encode(&all);
        assert!((0..encoded.len() - 1).all(|end| decode(&encoded[..end]) != Some(all.clone())));
        assert_eq!(decode(&[]), None);
    }

    #[test]
    fn the_inode_makes_no_difference() {
        let touched =
            |inode| encode(&Extras { touched: Some(Touched { ctime: (1, 2), inode }), ..Extras::default() });
        assert!(are_alike(Some(&touched(1)), Some(&touched(2))));
        assert!(are_alike(None, Some(&touched(2))));
        let later = encode(&Extras { mtime_nanos: 5, ..Extras::default() });
        assert!(!are_alike(Some(&touched(1)), Some(&later)));
    }
}
