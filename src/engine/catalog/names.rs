//! All names in a few long rows, to be searched from one end to the other.
//!
//! An index of trigrams (FTS5) answers some milliseconds sooner where a pattern is rare, and takes about the
//! same room; but it is no help for a pattern of two letters, and takes none but UTF-8. A million names are
//! gone through in some ten milliseconds, whatever the pattern: see docs/performance.md.
//!
//! Block N has the names of the paths N * 8192 and following by their ids, each between a slash and a NUL,
//! which no name has. The name of a path that is not there any more is empty. Beside them stand the folders
//! that the paths are in, each as its difference from the one before, since neighbours have mostly the same.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use regex::bytes::Regex;
use rusqlite::{Connection, params};

use super::failure::Failure;
use super::fold;
use crate::engine::job::Job;

/// How many names a block has.
const BLOCK: i64 = 8192;

/// The block that a path is in.
pub(super) fn block_of(path: i64) -> i64 {
    path / BLOCK
}

/// Brings the blocks in line with the paths from `first` on.
pub(super) fn refresh_from(connection: &Connection, first: i64, job: &Job) -> Result<(), Failure> {
    let last: i64 = connection.query_row("SELECT max(id) FROM paths", [], |row| row.get(0))?;
    refresh(connection, &(block_of(first)..=block_of(last)).collect(), job)
}

/// Brings some blocks in line with the paths.
pub(super) fn refresh(connection: &Connection, blocks: &BTreeSet<i64>, job: &Job) -> Result<(), Failure> {
    let mut paths =
        connection.prepare("SELECT id, parent, name FROM paths WHERE id >= ?1 AND id < ?2 ORDER BY id")?;
    let mut write = connection.prepare("INSERT OR REPLACE INTO names VALUES (?1, ?2, ?3)")?;
    let mut remove = connection.prepare("DELETE FROM names WHERE block = ?1")?;
    for block in blocks {
        job.check()?;
        let (mut names, mut parents, mut previous) = (Vec::new(), Vec::new(), 0);
        let mut next = block * BLOCK;
        let mut rows = paths.query(params![next, next + BLOCK])?;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            for _ in next..id {
                names.extend_from_slice(b"/\0");
                append_difference(0, &mut parents);
            }
            let parent: i64 = row.get(1)?;
            append_difference(parent - previous, &mut parents);
            previous = parent;
            names.push(b'/');
            let name = row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
            fold::append(name, &mut names);
            names.push(0);
            next = id + 1;
        }
        if names.is_empty() {
            remove.execute([block])?;
        } else {
            write.execute(params![block, names, parents])?;
        }
    }
    Ok(())
}

/// Finds the paths whose names match, in the order of their ids, and the folders that they are in. The
/// pattern sees `/name\0`, in which it must not match more than one name.
pub(super) fn search(
    connection: &Connection,
    pattern: &Regex,
    job: &Job,
    mut found: impl FnMut(i64, i64) -> Result<ControlFlow<()>, Failure>,
) -> Result<(), Failure> {
    let mut blocks = connection.prepare("SELECT block, names, parents FROM names ORDER BY block")?;
    let mut rows = blocks.query([])?;
    while let Some(row) = rows.next()? {
        job.check()?;
        let first = row.get::<_, i64>(0)? * BLOCK;
        let names = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
        let (mut start, mut passed) = (0, 0);
        let mut parents = None;
        while let Some(hit) = pattern.find_at(names, start) {
            passed += ends(&names[start..hit.start()]);
            let name_start =
                names[..hit.start()].iter().rposition(|byte| *byte == 0).map_or(0, |end| end + 1);
            let is_empty = names[name_start..].starts_with(b"/\0");
            if !is_empty {
                let parents = match &mut parents {
                    Some(parents) => parents,
                    none => {
                        none.insert(parents_in(row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?))
                    }
                };
                let parent = usize::try_from(passed).ok().and_then(|number| parents.get(number));
                let parent = *parent.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
                if found(first + passed, parent)?.is_break() {
                    return Ok(());
                }
            }
            // On behind the end of this name.
            let rest = names[hit.start()..].iter().position(|byte| *byte == 0);
            let Some(length) = rest else { break };
            start = hit.start() + length + 1;
            passed += 1;
        }
    }
    Ok(())
}

/// Whether any name matches.
pub(super) fn has(connection: &Connection, pattern: &Regex, job: &Job) -> Result<bool, Failure> {
    let mut is_found = false;
    search(connection, pattern, job, |_, _| {
        is_found = true;
        Ok(ControlFlow::Break(()))
    })?;
    Ok(is_found)
}

/// The paths whose names match.
pub(super) fn all(connection: &Connection, pattern: &Regex, job: &Job) -> Result<PathSet, Failure> {
    let mut paths = PathSet::default();
    search(connection, pattern, job, |id, _| {
        paths.insert(id);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(paths)
}

/// Paths by their ids, a bit each.
#[derive(Debug, Default)]
pub(super) struct PathSet(Vec<u64>);

impl PathSet {
    fn insert(&mut self, id: i64) {
        let Ok(id) = usize::try_from(id) else { return };
        let word = id / 64;
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (id % 64);
    }

    /// Whether a path is among them.
    pub fn contains(&self, id: i64) -> bool {
        usize::try_from(id).is_ok_and(|id| self.0.get(id / 64).is_some_and(|word| word >> (id % 64) & 1 == 1))
    }
}

/// Seven bits a byte, the lowest first; the lowest of all is the sign.
fn append_difference(difference: i64, bytes: &mut Vec<u8>) {
    let mut rest = ((difference << 1) ^ (difference >> 63)) as u64;
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

fn parents_in(bytes: &[u8]) -> Vec<i64> {
    let mut parents = Vec::with_capacity(bytes.len());
    let (mut parent, mut value, mut shift) = (0_i64, 0_u64, 0);
    for byte in bytes {
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        shift += 7;
        if byte & 0x80 == 0 {
            parent = parent.wrapping_add((value >> 1) as i64 ^ -((value & 1) as i64));
            parents.push(parent);
            (value, shift) = (0, 0);
        }
    }
    parents
}

/// How many names end in these bytes.
fn ends(bytes: &[u8]) -> i64 {
    // In small sums, which the processor adds up many at a time.
    let zeros = bytes.chunks(255).map(|chunk| chunk.iter().map(|byte| u8::from(*byte == 0)).sum::<u8>());
    zeros.map(i64::from).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_read_as_they_were_written() {
        let parents = [1, 1, 2, 1, 8191, 1 << 40, 7, i64::MAX, 0];
        let (mut bytes, mut previous) = (Vec::new(), 0);
        for parent in parents {
            append_difference(parent - previous, &mut bytes);
            previous = parent;
        }
        assert_eq!(parents_in(&bytes), parents);
    }

    #[test]
    fn paths_are_the_ones_that_were_put_in() {
        let mut paths = PathSet::default();
        let some = [1, 63, 64, 8192];
        some.into_iter().for_each(|id| paths.insert(id));
        assert_eq!((-1..10_000).filter(|&id| paths.contains(id)).collect::<Vec<_>>(), some);
    }
}
