//! Cutting the walk into volumes before any file is read.
//!
//! A cut depends on paths and sizes only. A file that does not fit into one volume becomes a run of
//! volumes of its own, cut where both the format's chunks and the blocks of its signature end.

use crate::engine::delta::block_len;
use crate::engine::error::Result;
use crate::engine::format::difftar::CHUNK;
use crate::engine::format::entry::EntryKind;
use crate::engine::scan::{SourceEntry, Walk};

/// Entries in a volume at most, which bounds the memory of a plan and of the signatures of a volume.
const MAX_ENTRIES: usize = 4096;

/// What an entry costs in a volume beside its contents, in bytes: a header and its padding.
const ENTRY_BYTES: u64 = 1024;

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
    /// Whole entries; never empty.
    Entries(Vec<SourceEntry>),
    /// A piece of a file that is larger than a volume.
    Piece(Piece),
}

/// A piece of a large file.
#[derive(Debug, Clone)]
pub struct Piece {
    /// The file.
    pub file: SourceEntry,
    /// Where the piece begins in it, in bytes: a multiple of the chunk and of the signature's block.
    pub offset: u64,
    /// Its length in bytes.
    pub len: u64,
    /// Whether the file ends with it.
    pub is_last: bool,
}

/// Takes the root and the first entry below it off the walk; `None` if there is only the root, or
/// nothing but folders that lead to nothing.
pub fn first_volume_has_entries(walk: &mut Walk<'_>) -> Result<Option<Vec<SourceEntry>>> {
    let first: Vec<_> = walk.by_ref().take(2).collect::<Result<_>>()?;
    Ok((first.len() == 2).then_some(first))
}

/// Cuts entries into volumes of about `volume_bytes`.
pub struct Planner<I> {
    entries: I,
    volume_bytes: u64,
    /// A large file that is being cut.
    piece: Option<Piece>,
    /// An entry that did not fit into the volume before.
    held: Option<SourceEntry>,
    next_number: u32,
}

impl<I: Iterator<Item = Result<SourceEntry>>> Planner<I> {
    /// A planner that numbers volumes from 1.
    pub fn new(entries: I, volume_bytes: u64) -> Self {
        Self {
            entries,
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
        while let Some(entry) = self.held.take().map(Ok).or_else(|| self.entries.next()).transpose()? {
            let bytes = contents_bytes(&entry);
            if bytes > self.volume_bytes {
                let piece = Piece { file: entry, offset: 0, len: bytes, is_last: true };
                if entries.is_empty() {
                    return Ok(Some(self.cut(piece)));
                }
                self.piece = Some(piece);
                break;
            }
            let is_full =
                filled_bytes + bytes + ENTRY_BYTES > self.volume_bytes || entries.len() == MAX_ENTRIES;
            if is_full && !entries.is_empty() {
                self.held = Some(entry);
                break;
            }
            filled_bytes += bytes + ENTRY_BYTES;
            entries.push(entry);
        }
        Ok((!entries.is_empty()).then_some(Contents::Entries(entries)))
    }

    /// Cuts the next volume's piece off the front and keeps the rest.
    fn cut(&mut self, piece: Piece) -> Contents {
        let file_bytes = piece.offset + piece.len;
        let step = block_len(file_bytes).max(CHUNK as u64);
        let len = (self.volume_bytes / step).max(1) * step;
        if len >= piece.len {
            return Contents::Piece(piece);
        }
        self.piece = Some(Piece {
            file: piece.file.clone(),
            offset: piece.offset + len,
            len: piece.len - len,
            is_last: true,
        });
        Contents::Piece(Piece { len, is_last: false, ..piece })
    }
}

impl<I: Iterator<Item = Result<SourceEntry>>> Iterator for Planner<I> {
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

fn contents_bytes(entry: &SourceEntry) -> u64 {
    match entry.entry.kind {
        EntryKind::File => entry.entry.size_bytes.unwrap_or(0),
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
        };
        let stamp = Stamp::of(&nix::sys::stat::stat("/").unwrap());
        SourceEntry { entry, stamp }
    }

    fn plan(sizes: &[u64], volume_bytes: u64) -> Vec<VolumePlan> {
        let entries = sizes.iter().enumerate().map(|(index, size)| Ok(file(&format!("{index:06}"), *size)));
        Planner::new(entries, volume_bytes).collect::<Result<_>>().unwrap()
    }

    #[test]
    fn a_large_file_is_a_run_of_volumes() {
        let volumes = plan(&[10, 2_500_000, 10], 1 << 20);
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
            sizes in prop::collection::vec(0_u64..5_000_000, 0..60),
            volume_bytes in 1_u64..3_000_000,
        ) {
            let mut seen = Vec::new();
            let mut next_offset = 0;
            for volume in plan(&sizes, volume_bytes) {
                match volume.contents {
                    Contents::Entries(entries) => {
                        prop_assert!(!entries.is_empty());
                        seen.extend(entries.iter().map(contents_bytes));
                    }
                    Contents::Piece(piece) => {
                        prop_assert_eq!(piece.offset, next_offset);
                        let size = contents_bytes(&piece.file);
                        prop_assert_eq!(piece.offset % block_len(size).max(CHUNK as u64), 0);
                        next_offset = if piece.is_last { 0 } else { piece.offset + piece.len };
                        if piece.is_last {
                            prop_assert_eq!(piece.offset + piece.len, size);
                            seen.push(size);
                        }
                    }
                }
            }
            prop_assert_eq!(seen, sizes);
        }
    }
}
