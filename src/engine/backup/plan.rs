//! Cutting the walk into volumes before any file is read.
//!
//! A cut depends on paths and sizes only. A file that does not fit into one volume becomes a run of
//! volumes of its own, cut where both the format's chunks and the blocks of its signature end.

use std::sync::Arc;

use super::changes::Change;
use crate::engine::delta::block_len;
use crate::engine::error::Result;
use crate::engine::format::difftar::CHUNK;
use crate::engine::format::entry::EntryKind;
use crate::engine::scan::SourceEntry;

/// Entries in a volume at most, which bounds the memory of a plan and of the signatures of a volume.
const MAX_ENTRIES: usize = 4096;

/// What an entry costs in a volume beside its contents, in bytes: a header and its padding.
const ENTRY_BYTES: u64 = 1024;

/// How large a delta is taken to be before it is made: this part of its file. Few are larger; if one is,
/// so is its volume.
const DELTA_PART: u64 = 8;

/// What one volume is to hold.
#[derive(Debug)]
pub struct VolumePlan {
    /// Number of the volume, from 1.
    pub number: u32,
    /// What it holds.
    pub contents: Contents,
}

/// What a volume holds.
#[derive(Debug)]
pub enum Contents {
    /// Whole entries; none at all in the only volume of a set in which nothing has changed.
    Entries(Vec<Change>),
    /// A piece of a file that is larger than a volume.
    Piece(Piece),
}

/// A piece of a large file.
#[derive(Debug, Clone)]
pub struct Piece {
    /// The file.
    pub file: SourceEntry,
    /// What the file is stored as the difference to, if it is.
    pub basis: Option<Arc<[u8]>>,
    /// Where the piece begins in it, in bytes: a multiple of the chunk and of the signature's block.
    pub offset: u64,
    /// Its length in bytes.
    pub len: u64,
    /// Whether the file ends with it.
    pub is_last: bool,
}

/// Cuts changes into volumes of about `volume_bytes`.
pub struct Planner<I> {
    changes: I,
    volume_bytes: u64,
    /// A large file that is being cut.
    piece: Option<Piece>,
    /// A change that did not fit into the volume before.
    held: Option<Change>,
    next_number: u32,
}

impl<I: Iterator<Item = Result<Change>>> Planner<I> {
    /// A planner that numbers volumes from 1.
    pub fn new(changes: I, volume_bytes: u64) -> Self {
        Self {
            changes,
            volume_bytes: volume_bytes.max(CHUNK as u64),
            piece: None,
            held: None,
            next_number: 1,
        }
    }

    fn next_contents(&mut self) -> Result<Option<Contents>> {
        if let Some(piece) = self.piece.take() {
            return Ok(Some(self.cut(piece)));
        }
        let mut entries = Vec::new();
        let mut filled_bytes = 0;
        while let Some(change) = self.held.take().map(Ok).or_else(|| self.changes.next()).transpose()? {
            let bytes = expected_bytes(&change);
            if bytes > self.volume_bytes
                && let Some(piece) = Piece::whole(&change)
            {
                if entries.is_empty() {
                    return Ok(Some(self.cut(piece)));
                }
                self.piece = Some(piece);
                break;
            }
            let is_full =
                filled_bytes + bytes + ENTRY_BYTES > self.volume_bytes || entries.len() == MAX_ENTRIES;
            if is_full && !entries.is_empty() {
                self.held = Some(change);
                break;
            }
            filled_bytes += bytes + ENTRY_BYTES;
            entries.push(change);
        }
        // A set has one volume at least.
        let is_wanted = !entries.is_empty() || self.next_number == 1;
        Ok(is_wanted.then_some(Contents::Entries(entries)))
    }

    /// Cuts the next volume's piece off the front and keeps the rest.
    fn cut(&mut self, piece: Piece) -> Contents {
        let file_bytes = piece.offset + piece.len;
        let step = block_len(file_bytes).max(CHUNK as u64);
        let wanted_bytes = self.volume_bytes * if piece.basis.is_some() { DELTA_PART } else { 1 };
        let len = (wanted_bytes / step).max(1) * step;
        if len >= piece.len {
            return Contents::Piece(piece);
        }
        self.piece =
            Some(Piece { offset: piece.offset + len, len: piece.len - len, is_last: true, ..piece.clone() });
        Contents::Piece(Piece { len, is_last: false, ..piece })
    }
}

impl<I: Iterator<Item = Result<Change>>> Iterator for Planner<I> {
    type Item = Result<VolumePlan>;

    fn next(&mut self) -> Option<Self::Item> {
        let contents = self.next_contents().transpose()?;
        Some(contents.map(|contents| {
            let number = self.next_number;
            self.next_number += 1;
            VolumePlan { number, contents }
        }))
    }
}

impl Piece {
    /// A whole file as one piece; `None` for what has no contents to be cut.
    fn whole(change: &Change) -> Option<Self> {
        let (file, basis) = match change {
            Change::Whole(file) => (file, None),
            Change::Delta(file, basis) => (file, Some(basis.as_slice().into())),
            Change::Attributes(..) | Change::Deleted(_) => return None,
        };
        Some(Self { file: file.clone(), basis, offset: 0, len: contents_bytes(file), is_last: true })
    }
}

/// Bytes that a change is expected to take in its volume.
fn expected_bytes(change: &Change) -> u64 {
    match change {
        Change::Whole(source) => contents_bytes(source),
        Change::Delta(source, _) => contents_bytes(source) / DELTA_PART,
        Change::Attributes(..) | Change::Deleted(_) => 0,
    }
}

fn contents_bytes(source: &SourceEntry) -> u64 {
    match source.entry.kind {
        EntryKind::File => source.entry.size_bytes.unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::format::entry::Entry;
    use crate::engine::path::EntryPath;
    use crate::engine::scan::Stamp;
    use proptest::prelude::*;

    fn file(name: &str, size: u64) -> SourceEntry {
        let path = EntryPath::from_bytes(name.as_bytes()).unwrap();
        let entry = Entry {
            path,
            kind: EntryKind::File,
            mode: 0o644,
            uid: 0,
            gid: 0,
            user: None,
            group: None,
            mtime: 0,
            size_bytes: Some(size),
            extras: None,
        };
        let stamp = Stamp::of(&nix::sys::stat::stat("/").unwrap());
        SourceEntry { entry, stamp }
    }

    fn plan(changes: &[(u64, bool)], volume_bytes: u64) -> Vec<VolumePlan> {
        let changes = changes.iter().enumerate().map(|(index, (size, is_delta))| {
            let file = file(&format!("{index:06}"), *size);
            Ok(if *is_delta { Change::Delta(file, vec![1, 2, 3]) } else { Change::Whole(file) })
        });
        Planner::new(changes, volume_bytes).collect::<Result<_>>().unwrap()
    }

    #[test]
    fn a_set_in_which_nothing_has_changed_has_one_volume() {
        let volumes = plan(&[], 1 << 20);
        assert!(
            matches!(&volumes[..], [VolumePlan { number: 1, contents: Contents::Entries(none) }] if none.is_empty())
        );
    }

    #[test]
    fn a_large_file_is_a_run_of_volumes() {
        let volumes = plan(&[(10, false), (2_500_000, false), (10, true)], 1 << 20);
        let shapes: Vec<_> = volumes
            .iter()
            .map(|volume| match &volume.contents {
                Contents::Entries(entries) => (entries.len() as u64, 0, true),
                Contents::Piece(piece) => (piece.offset, piece.len, piece.is_last),
            })
            .collect();
        let mib = 1 << 20;
        assert_eq!(
            shapes,
            [
                (1, 0, true),
                (0, mib, false),
                (mib, mib, false),
                (2 * mib, 2_500_000 - 2 * mib, true),
                (1, 0, true)
            ]
        );
        assert_eq!(volumes.iter().map(|volume| volume.number).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_out_of_place(
            changes in prop::collection::vec((0_u64..5_000_000, any::<bool>()), 1..60),
            volume_bytes in 1_u64..3_000_000,
        ) {
            let mut seen = Vec::new();
            let mut next_offset = 0;
            for volume in plan(&changes, volume_bytes) {
                match volume.contents {
                    Contents::Entries(entries) => {
                        prop_assert!(!entries.is_empty());
                        for entry in &entries {
                            match entry {
                                Change::Whole(file) => seen.push((contents_bytes(file), false)),
                                Change::Delta(file, _) => seen.push((contents_bytes(file), true)),
                                other => prop_assert!(false, "{other:?}"),
                            }
                        }
                    }
                    Contents::Piece(piece) => {
                        prop_assert_eq!(piece.offset, next_offset);
                        let size = contents_bytes(&piece.file);
                        prop_assert_eq!(piece.offset % block_len(size).max(CHUNK as u64), 0);
                        next_offset = if piece.is_last { 0 } else { piece.offset + piece.len };
                        if piece.is_last {
                            prop_assert_eq!(piece.offset + piece.len, size);
                            seen.push((size, piece.basis.is_some()));
                        }
                    }
                }
            }
            prop_assert_eq!(seen, changes);
        }
    }
}
