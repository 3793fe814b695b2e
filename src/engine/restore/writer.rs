//! Puts entries, as they come in the order of the format, to their place.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};

use super::attributes::{Attributes, time_of};
use super::merge::{FileParts, Sink};
use super::place::{Place, Placed, Temporary, is_folder};
use super::stream::SetStream;
use super::{COPY_BYTES, Conflict, RestoreRequest};
use crate::engine::delta::patch;
use crate::engine::error::{Error, Result};
use crate::engine::format::entry::{Entry, EntryKind};
use crate::engine::job::{Job, Warning};
use crate::engine::path::EntryPath;
use crate::engine::scan::reason;

/// Bytes that make a hole in a file that is known to have some.
const PAGE: usize = 4096;

/// Entries that are held back at most.
const MAX_HEARSAY: usize = 10_000;

/// Writes restored entries.
pub struct Writer<'a> {
    request: &'a RestoreRequest<'a>,
    job: &'a Job,
    place: Place,
    attributes: Attributes<'a>,
    /// Folders that more may still come for; their attributes are set when they are left.
    folders: Vec<OpenFolder>,
    /// Entries that only signatures tell of, as long as nothing else has come: if nothing does, they are
    /// not worth restoring.
    hearsay: Vec<Entry>,
    /// Files with several names, by what their names have in common, and where the first one went.
    linked: HashMap<Box<[u8]>, (Entry, EntryPath)>,
    buffer: Box<[u8]>,
    done: Done,
}

/// What has been restored.
#[derive(Default)]
pub struct Done {
    /// Entries that were asked for and found.
    pub found_count: u64,
    /// Entries written.
    pub entry_count: u64,
    /// Entries that were to be restored, but could not be.
    pub lost_count: u64,
    /// Entries left alone because something was there.
    pub skipped_count: u64,
    /// Bytes of contents written.
    pub written_bytes: u64,
}

/// Contents that are there, but not yet in their place.
struct Contents {
    temporary: Temporary,
    file: File,
    size: u64,
}

struct OpenFolder {
    entry: Entry,
    place: EntryPath,
    /// Whether the restore made it; another's attributes are set as far as that is allowed.
    is_new: bool,
}

impl<'a> Writer<'a> {
    /// A writer to the request's target.
    pub fn new(request: &'a RestoreRequest<'a>, job: &'a Job) -> Result<Self> {
        let failed = |source| Error::Target { path: request.target.clone(), source };
        Ok(Self {
            request,
            job,
            place: Place::open(&request.target).map_err(failed)?,
            attributes: Attributes::new(job),
            folders: Vec::new(),
            hearsay: Vec::new(),
            linked: HashMap::new(),
            buffer: vec![0; COPY_BYTES].into(),
            done: Done::default(),
        })
    }

    fn believe_hearsay(&mut self) -> Result<()> {
        std::mem::take(&mut self.hearsay).into_iter().try_for_each(|entry| self.other_now(entry))
    }

    fn other_now(&mut self, entry: Entry) -> Result<()> {
        let Some(place) = self.begin(&entry) else { return Ok(()) };
        let path = entry.path.clone();
        let result = match entry.kind {
            EntryKind::Directory => self.folder(entry, place),
            _ => self.special(entry, place),
        };
        self.settle(path, result.map_err(Trouble::Target))
    }

    /// Completes what is open. If everything but hearsay is lost, and that is known beforehand, nothing is restored.
    pub fn finish(mut self) -> Result<Done> {
        if self.done.lost_count == 0 {
            self.believe_hearsay()?;
        }
        self.leave_folders(None);
        Ok(self.done)
    }

    /// Where the entry goes. Entries come in order, so folders that do not hold it are left for good.
    fn begin(&mut self, entry: &Entry) -> Option<EntryPath> {
        let place = self.place.map(&self.request.relative(&entry.path)?);
        self.done.found_count += 1;
        self.job.entry_started(&entry.path);
        self.leave_folders(Some(&place));
        Some(place)
    }

    /// Whether the restore goes on after an entry.
    fn settle(&mut self, path: EntryPath, result: Result<(), Trouble>) -> Result<()> {
        let (error, is_of_target) = match result {
            Ok(()) => return Ok(()),
            Err(Trouble::Source(error)) => (error, false),
            Err(Trouble::Target(error)) => (error, true),
        };
        // Our own errors are of more than this entry; others say what is wrong with it.
        match error.downcast::<Error>() {
            Ok(ours) => Err(ours),
            Err(error) if is_of_target => self.refused(path, &error),
            Err(error) => {
                self.not_restored(path, reason(&error));
                Ok(())
            }
        }
    }

    fn folder(&mut self, entry: Entry, place: EntryPath) -> io::Result<()> {
        let is_new = self.place.make_folder(&place)?;
        self.done.entry_count += 1;
        self.folders.push(OpenFolder { entry, place, is_new });
        Ok(())
    }

    fn special(&mut self, entry: Entry, place: EntryPath) -> io::Result<()> {
        let Some((place, replaces)) = self.room_for(&entry, place)? else { return Ok(()) };
        let temporary = self.place.temporary_special(&place, &entry.kind)?;
        let (folder, name) = temporary.location();
        self.attributes.set_by_name(folder, name, &entry);
        self.put(temporary, &entry, place, replaces).map(drop)
    }

    /// Puts a file together: the whole of an earlier state, and the differences to it one by one.
    fn write_file(
        &mut self,
        entry: Entry,
        place: EntryPath,
        parts: &mut FileParts<'_, '_, '_>,
    ) -> Result<(), Trouble> {
        let room = self.room_for(&entry, place).map_err(Trouble::Target)?;
        let Some((place, replaces)) = room else { return Ok(()) };
        if self.link_to_other_name(&entry, &place, replaces).map_err(Trouble::Target)? {
            return Ok(());
        }
        let holes =
            if entry.extras.as_ref().is_some_and(|extras| extras.is_sparse) { PAGE } else { COPY_BYTES };
        let base = &mut parts.streams[parts.base];
        let mut contents = self.write(&place, &mut base.data(), holes)?;
        prove(&mut contents, base)?;
        for diff in &parts.diffs {
            let diff = &mut parts.streams[*diff];
            let Contents { temporary: _kept, mut file, .. } = contents;
            file.rewind().map_err(Trouble::Target)?;
            let delta = BufReader::with_capacity(COPY_BYTES, diff.data());
            contents = self.write(&place, &mut patch(file, delta).map_err(Trouble::Source)?, holes)?;
            prove(&mut contents, diff)?;
        }
        self.complete(entry, place, replaces, contents).map_err(Trouble::Target)
    }

    /// Another name for a file that was restored already, if that is what the entry is. False if it has to
    /// be restored by itself.
    fn link_to_other_name(&mut self, entry: &Entry, place: &EntryPath, replaces: bool) -> io::Result<bool> {
        let Some(hard_link) = entry.hard_link() else { return Ok(false) };
        let Some((first, first_place)) = self.linked.get(hard_link) else { return Ok(false) };
        // The number of a file that is gone may have been given to another one.
        if (Entry { path: entry.path.clone(), ..first.clone() }) != *entry {
            return Ok(false);
        }
        let first_place = first_place.clone();
        let Some(temporary) = self.place.temporary_link(&first_place, place)? else { return Ok(false) };
        let size = self.place.look(&first_place)?.map_or(0, |stat| stat.st_size);
        if self.put(temporary, entry, place.clone(), replaces)? == Placed::Done {
            self.done.written_bytes += u64::try_from(size).unwrap_or(0);
        }
        Ok(true)
    }

    /// Writes data into a new file beside `place`. Zeros that fill a piece of `holes` bytes become a hole.
    fn write(&mut self, place: &EntryPath, data: &mut impl Read, holes: usize) -> Result<Contents, Trouble> {
        let (temporary, mut file) = self.place.temporary_file(place).map_err(Trouble::Target)?;
        let mut size = 0;
        loop {
            self.job.check().map_err(|error| Trouble::Source(error.into_stream()))?;
            let count = fill(data, &mut self.buffer).map_err(Trouble::Source)?;
            if count == 0 {
                // An end that is a hole is not there yet.
                if file.metadata().map_err(Trouble::Target)?.len() != size {
                    file.set_len(size).map_err(Trouble::Target)?;
                }
                return Ok(Contents { temporary, file, size });
            }
            for piece in self.buffer[..count].chunks(holes) {
                let is_hole = piece.len() == holes && piece.iter().all(|byte| *byte == 0);
                let written = if is_hole {
                    file.seek(SeekFrom::Current(holes as i64)).map(drop)
                } else {
                    file.write_all(piece)
                };
                written.map_err(Trouble::Target)?;
            }
            size += count as u64;
        }
    }

    fn complete(
        &mut self,
        entry: Entry,
        place: EntryPath,
        replaces: bool,
        contents: Contents,
    ) -> io::Result<()> {
        let Contents { temporary, file, size } = contents;
        self.attributes.set(&file, &entry, true);
        drop(file);
        if self.put(temporary, &entry, place, replaces)? == Placed::Done {
            self.done.written_bytes += size;
        }
        Ok(())
    }

    /// Gives something whole its name; another one, if both are to be kept and differ.
    fn put(
        &mut self,
        temporary: Temporary,
        entry: &Entry,
        mut place: EntryPath,
        replaces: bool,
    ) -> io::Result<Placed> {
        if self.request.conflict == Conflict::KeepBoth && self.place.look(&place)?.is_some() {
            let go_on = || self.job.check().map_err(Error::into_stream);
            if temporary.equals(&place, go_on)? {
                self.count(Placed::Kept);
                return Ok(Placed::Kept);
            }
            place = self.free_name(&place)?;
        }
        let placed = temporary.put(&place, replaces)?;
        if placed == Placed::Done
            && let Some(hard_link) = entry.hard_link()
        {
            self.linked.entry(hard_link.into()).or_insert_with(|| (entry.clone(), place));
        }
        self.count(placed);
        Ok(placed)
    }

    /// Sets the attributes of folders that nothing more can come for.
    fn leave_folders(&mut self, next: Option<&EntryPath>) {
        while let Some(folder) = self.folders.pop() {
            if next.is_some_and(|next| next.starts_with(&folder.place)) {
                self.folders.push(folder);
                return;
            }
            // Of a folder that was there only the contents were asked for, unless it was to be replaced.
            if !folder.is_new && !matches!(self.request.conflict, Conflict::Refuse | Conflict::Replace) {
                continue;
            }
            match self.place.open_folder(&folder.place) {
                Ok(opened) => self.attributes.set(&File::from(opened), &folder.entry, folder.is_new),
                Err(error) => {
                    let reason = reason(&error);
                    self.job.warn(Warning::AttributeNotSet { path: folder.entry.path, reason });
                }
            }
        }
    }

    /// Where an entry goes and whether it may take the place of something. None if what is there stays, so
    /// that nothing has to be read for it. If both are to be kept, it is compared first.
    fn room_for(&mut self, entry: &Entry, place: EntryPath) -> io::Result<Option<(EntryPath, bool)>> {
        let Some(stat) = self.place.look(&place)? else { return Ok(Some((place, false))) };
        let is_older = || {
            let time = time_of(entry);
            (stat.st_mtime, stat.st_mtime_nsec) < (time.tv_sec(), time.tv_nsec())
        };
        match self.request.conflict {
            Conflict::KeepBoth => return Ok(Some((place, false))),
            Conflict::Replace => {}
            Conflict::NewerWins if is_older() => {}
            Conflict::Refuse | Conflict::Skip | Conflict::NewerWins => {
                self.count(Placed::Kept);
                return Ok(None);
            }
        }
        if is_folder(&stat) { Err(io::ErrorKind::IsADirectory.into()) } else { Ok(Some((place, true))) }
    }

    /// A name beside `place` that nothing has.
    fn free_name(&mut self, place: &EntryPath) -> io::Result<EntryPath> {
        let folder = place.parent().unwrap_or_default();
        for number in 1_u32.. {
            let beside = folder.join(&name_beside(place.file_name(), number));
            if self.place.look(&beside)?.is_none() {
                return Ok(beside);
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    fn count(&mut self, placed: Placed) {
        match placed {
            Placed::Done => self.done.entry_count += 1,
            Placed::Kept => self.done.skipped_count += 1,
        }
        self.job.entry_done();
    }

    /// An entry that the target would not take: a warning, unless nothing else would be taken either.
    fn refused(&mut self, path: EntryPath, error: &io::Error) -> Result<()> {
        use io::ErrorKind as K;
        if matches!(error.kind(), K::StorageFull | K::QuotaExceeded | K::ReadOnlyFilesystem) {
            let source =
                error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error);
            return Err(Error::Target { path: self.request.target.clone(), source });
        }
        self.done.lost_count += 1;
        self.job.warn(Warning::NotRestored { path, fault: None, reason: reason(error) });
        Ok(())
    }
}

impl Sink for Writer<'_> {
    fn wants(&self, path: &EntryPath) -> bool {
        self.request.relative(path).is_some()
    }

    fn file(&mut self, entry: Entry, mut parts: FileParts<'_, '_, '_>) -> Result<()> {
        self.believe_hearsay()?;
        let Some(place) = self.begin(&entry) else { return Ok(()) };
        let path = entry.path.clone();
        let result = self.write_file(entry, place, &mut parts);
        self.settle(path, result)
    }

    fn other(&mut self, entry: Entry, is_hearsay: bool) -> Result<()> {
        let is_held = is_hearsay && self.done.found_count == 0 && self.hearsay.len() < MAX_HEARSAY;
        if is_held {
            self.hearsay.push(entry);
            return Ok(());
        }
        self.believe_hearsay()?;
        self.other_now(entry)
    }

    fn not_restored(&mut self, path: EntryPath, reason: String) {
        self.done.lost_count += 1;
        self.job.warn(Warning::lost(path, reason));
    }
}

/// `a.txt` becomes `a (restored).txt`, then `a (restored 2).txt`, within what a name may have.
fn name_beside(name: &[u8], number: u32) -> Vec<u8> {
    const MOST_BYTES: usize = 255;
    let dot = name.iter().rposition(|byte| *byte == b'.').filter(|at| *at > 0);
    let (stem, extension) = name.split_at(dot.unwrap_or(name.len()));
    let extension = if extension.len() > 32 { &[][..] } else { extension };
    let word = if number == 1 { " (restored)".to_owned() } else { format!(" (restored {number})") };
    let mut room = stem.len().min(MOST_BYTES - word.len() - extension.len());
    // Not in the middle of a character.
    while room > 0 && room < stem.len() && stem[room] & 0xc0 == 0x80 {
        room -= 1;
    }
    [&stem[..room], word.as_bytes(), extension].concat()
}

/// Where copying failed.
enum Trouble {
    Source(io::Error),
    Target(io::Error),
}

/// Compares a file with its signature, if that is all that vouches for what the stream gave of it.
fn prove(contents: &mut Contents, stream: &mut SetStream<'_, '_>) -> Result<(), Trouble> {
    if stream.needs_proof() {
        contents.file.rewind().map_err(Trouble::Target)?;
        stream.prove(&mut contents.file).map_err(Trouble::Source)?;
    }
    Ok(())
}

/// Fills the buffer as far as there is data.
fn fill(data: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match data.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_beside_keeps_its_extension_and_fits() {
        let beside = |name: &str, number| String::from_utf8(name_beside(name.as_bytes(), number)).unwrap();
        assert_eq!(beside("a.txt", 1), "a (restored).txt");
        assert_eq!(beside("a.tar.gz", 2), "a.tar (restored 2).gz");
        assert_eq!(beside(".profile", 1), ".profile (restored)");
        let long = beside(&format!("{}.txt", "é".repeat(125)), 1);
        assert!(long.len() <= 255 && long.ends_with("é (restored).txt"), "{long}");
    }
}
