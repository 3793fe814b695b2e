//! The sets of a chain side by side: what each path was, put together from what they say of it.
//!
//! The newest word that is no difference counts; the differences after it are applied in order; the
//! attributes are those of the newest. No path is looked at twice, since all sets are in one order.

use super::stream::{SetStream, Word};
use crate::engine::error::Result;
use crate::engine::format::entry::{Entry, EntryKind};
use crate::engine::job::Job;
use crate::engine::path::EntryPath;

/// Where the contents of a file are.
pub struct FileParts<'a, 'scope, 'env> {
    /// The sets, the oldest first, each of which has come to the file or passed it.
    pub streams: &'a mut [SetStream<'scope, 'env>],
    /// The set that has the whole of an earlier state.
    pub base: usize,
    /// The sets after it that have differences.
    pub diffs: Vec<usize>,
}

/// Where entries go.
pub trait Sink {
    /// Whether a path is asked for.
    fn wants(&self, path: &EntryPath) -> bool;

    /// Whether nothing that comes later is asked for.
    fn is_done(&self) -> bool {
        false
    }

    /// Takes a regular file.
    fn file(&mut self, entry: Entry, parts: FileParts<'_, '_, '_>) -> Result<()>;

    /// Takes anything but a regular file. Of a damaged volume only the signatures tell of it.
    fn other(&mut self, entry: Entry, is_hearsay: bool) -> Result<()>;

    /// Is told of an entry that is asked for, but cannot be had.
    fn not_restored(&mut self, path: EntryPath, reason: String);
}

/// Hands over everything that the streams, from the oldest set to the newest, come to.
pub fn restore(streams: &mut [SetStream<'_, '_>], sink: &mut impl Sink, job: &Job) -> Result<()> {
    while !sink.is_done()
        && let Some(path) = next_path(streams)?
    {
        job.check()?;
        restore_path(streams, &path, sink)?;
    }
    Ok(())
}

fn next_path(streams: &mut [SetStream<'_, '_>]) -> Result<Option<EntryPath>> {
    let mut next: Option<&EntryPath> = None;
    for stream in streams {
        if let Some(head) = stream.head()?
            && next.is_none_or(|next| head.entry.path < *next)
        {
            next = Some(&head.entry.path);
        }
    }
    Ok(next.cloned())
}

fn restore_path(streams: &mut [SetStream<'_, '_>], path: &EntryPath, sink: &mut impl Sink) -> Result<()> {
    // What the sets say of the path, from the newest that says anything.
    let mut newest = None;
    let mut base = None;
    let mut diffs = Vec::new();
    let mut is_uncertain = false;
    let mut is_hearsay = false;
    for (index, stream) in streams.iter_mut().enumerate().rev() {
        is_uncertain |= base.is_none() && stream.is_blind_at(path);
        if stream.head()?.is_none_or(|head| head.entry.path != *path) {
            continue;
        }
        let Some(head) = stream.take()? else { continue };
        is_hearsay |= newest.is_none() && head.is_hearsay;
        if base.is_none() {
            match head.word {
                Word::Diff => diffs.push(index),
                word => base = Some((index, word, head.entry.kind.clone())),
            }
        }
        newest.get_or_insert(head.entry);
    }
    let Some(entry) = newest else { return Ok(()) };
    if !sink.wants(path) {
        return Ok(());
    }
    diffs.reverse();
    let reason = match base {
        _ if is_uncertain => "a newer state of it may have been in a damaged volume",
        Some((0, Word::Deleted, _)) => "a full set should hold nothing but whole files",
        Some((_, Word::Deleted, _)) if diffs.is_empty() => return Ok(()),
        Some((_, Word::Lost, _)) => "it was in a damaged volume and cannot be recovered from there",
        Some((base, Word::Snapshot, EntryKind::File)) if entry.kind == EntryKind::File => {
            return sink.file(entry, FileParts { streams, base, diffs });
        }
        Some((_, Word::Snapshot, _)) if diffs.is_empty() => return sink.other(entry, is_hearsay),
        _ => "the state that it builds on is not in the backup",
    };
    sink.not_restored(path.clone(), reason.to_owned());
    Ok(())
}
