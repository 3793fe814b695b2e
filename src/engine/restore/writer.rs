//! Puts entries, as they come in the order of the format, to their place.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{FileStat, Mode, UtimensatFlags, fchmod, fchmodat, fstat, fstatat, futimens, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchown, fchownat};

use super::place::{Place, Placed, Temporary, is_folder};
use super::{Conflict, RestoreRequest};
use crate::engine::error::{Error, Result};
use crate::engine::format::difftar::Record;
use crate::engine::format::entry::{Entry, EntryKind};
use crate::engine::job::{Job, Warning};
use crate::engine::path::EntryPath;
use crate::engine::scan::{OwnerNumbers, reason};

/// Buffer for contents, in bytes. A buffer of nothing but zeros becomes a hole in the file.
const COPY_BYTES: usize = 64 * 1024;

/// What ends the restore of a volume.
pub enum Failure {
    /// The volume could not be read on.
    Source(io::Error),
    /// The target is full or gone, or the job is to stop.
    Target(Error),
}

impl Failure {
    fn into_error(self) -> Error {
        match self {
            Self::Target(error) => error,
            Self::Source(source) => {
                Error::from_stream(source, |source| Error::Local { action: "restoring", source })
            }
        }
    }
}

/// Writes restored entries.
pub struct Writer<'a> {
    request: &'a RestoreRequest<'a>,
    job: &'a Job,
    place: Place,
    owners: OwnerNumbers,
    /// The last entry that was taken; entries ascend.
    last: Option<EntryPath>,
    /// A file whose chunks are still coming.
    open: Option<OpenFile>,
    /// A path whose further chunks are of no use.
    ignored: Option<EntryPath>,
    /// Folders that more may still come for; their attributes are set when they are left.
    folders: Vec<OpenFolder>,
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
    /// Entries left alone because something was there.
    pub skipped_count: u64,
    /// Bytes of contents written.
    pub written_bytes: u64,
}

struct OpenFile {
    entry: Entry,
    place: EntryPath,
    temporary: Temporary,
    file: File,
    next_chunk: u64,
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
            owners: OwnerNumbers::default(),
            last: None,
            open: None,
            ignored: None,
            folders: Vec::new(),
            buffer: vec![0; COPY_BYTES].into(),
            done: Done::default(),
        })
    }

    /// Takes the next entry with the `size` bytes of `data` behind it.
    pub fn take(
        &mut self,
        record: Record,
        entry: Entry,
        size: u64,
        data: &mut impl Read,
    ) -> Result<(), Failure> {
        self.job.check().map_err(Failure::Target)?;
        let chunk = match record {
            Record::Snapshot => None,
            Record::SnapshotChunk(number) => Some(number),
            Record::Deleted | Record::Diff | Record::DiffChunk(_) | Record::Signature => {
                self.not_restored(entry.path, "a full set should hold nothing but whole files".to_owned());
                return Ok(());
            }
        };
        if let Some(number) = chunk
            && self.last.as_ref() == Some(&entry.path)
            && (self.open.is_some() || self.ignored.as_ref() == Some(&entry.path))
        {
            return self.continue_file(number, size, data);
        }
        self.close_file()?;
        if self.last.as_ref().is_some_and(|last| *last >= entry.path) {
            self.not_restored(entry.path, "it comes twice or out of order in the backup".to_owned());
            return Ok(());
        }
        self.last = Some(entry.path.clone());
        self.ignored = None;
        let Some(relative) = self.wanted(&entry.path) else {
            self.ignored = Some(entry.path);
            return Ok(());
        };
        self.done.found_count += 1;
        self.job.entry_started(&entry.path);
        let place = self.place.map(&relative);
        self.leave_folders(Some(&place));
        let path = entry.path.clone();
        let result = match entry.kind {
            EntryKind::Directory => self.folder(entry, place).map_err(Trouble::Target),
            EntryKind::File => self.begin_file(entry, place, chunk, data),
            _ => self.special(entry, place).map_err(Trouble::Target),
        };
        match result {
            Ok(()) => Ok(()),
            Err(Trouble::Source(error)) => Err(Failure::Source(error)),
            Err(Trouble::Target(error)) => {
                self.ignored = Some(path.clone());
                self.refused(path, &error)
            }
        }
    }

    /// A volume that begins with `first` ended early or is missing: a file that was to go on in it
    /// cannot be restored.
    pub fn broken_off(&mut self, first: &EntryPath) -> Result<()> {
        let goes_on = |open: &mut OpenFile| open.entry.path >= *first;
        match self.open.take_if(goes_on) {
            Some(open) => {
                self.ignored = Some(open.entry.path.clone());
                self.not_restored(open.entry.path, "a part of it is in a damaged volume".to_owned());
                Ok(())
            }
            None => self.close_file().map_err(Failure::into_error),
        }
    }

    /// Completes what is open.
    pub fn finish(mut self) -> Result<Done> {
        self.close_file().map_err(Failure::into_error)?;
        self.leave_folders(None);
        Ok(self.done)
    }

    /// The path relative to what the target stands for, if the entry is to be restored.
    fn wanted(&self, path: &EntryPath) -> Option<EntryPath> {
        let paths = &self.request.paths;
        let asked_for = paths.is_empty() || paths.iter().any(|wanted| path.starts_with(wanted));
        path.strip_prefix(&self.request.strip).filter(|_| asked_for)
    }

    fn folder(&mut self, entry: Entry, place: EntryPath) -> io::Result<()> {
        let is_new = self.place.make_folder(&place)?;
        self.done.entry_count += 1;
        self.job.entry_done();
        self.folders.push(OpenFolder { entry, place, is_new });
        Ok(())
    }

    fn special(&mut self, entry: Entry, place: EntryPath) -> io::Result<()> {
        if self.keeps(&place)? {
            return Ok(());
        }
        let temporary = self.place.temporary_special(&place, &entry.kind)?;
        let (folder, name) = temporary.location();
        let now = fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        let (uid, gid) = self.owner(&entry, &now);
        let owned = owner_result(fchownat(folder, name, uid, gid, AtFlags::AT_SYMLINK_NOFOLLOW));
        let mut result = owned.map(drop);
        if !matches!(entry.kind, EntryKind::Symlink(_)) {
            let mode = Mode::from_bits_truncate(entry.mode);
            result = result.and(fchmodat(folder, name, mode, nix::sys::stat::FchmodatFlags::FollowSymlink));
        }
        let time = TimeSpec::new(entry.mtime, 0);
        result = result.and(utimensat(folder, name, &time, &time, UtimensatFlags::NoFollowSymlink));
        if let Err(errno) = result {
            self.attribute_not_set(entry.path.clone(), errno);
        }
        let placed = temporary.put(&place, self.replaces())?;
        self.count(placed);
        Ok(())
    }

    fn begin_file(
        &mut self,
        entry: Entry,
        place: EntryPath,
        chunk: Option<u64>,
        data: &mut impl Read,
    ) -> Result<(), Trouble> {
        if chunk.is_some_and(|number| number != 1) {
            self.ignored = Some(entry.path.clone());
            self.not_restored(entry.path, "its beginning is in a damaged volume".to_owned());
            return Ok(());
        }
        if self.keeps(&place).map_err(Trouble::Target)? {
            self.ignored = Some(entry.path);
            return Ok(());
        }
        let (temporary, file) = self.place.temporary_file(&place).map_err(Trouble::Target)?;
        let mut open = OpenFile { entry, place, temporary, file, next_chunk: 2, size: 0 };
        self.copy(&mut open, data)?;
        if chunk.is_some() {
            self.open = Some(open);
            return Ok(());
        }
        self.complete(open).map_err(Trouble::Target)
    }

    fn continue_file(&mut self, number: u64, size: u64, data: &mut impl Read) -> Result<(), Failure> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        let path = open.entry.path.clone();
        if number != open.next_chunk {
            self.ignored = Some(path.clone());
            self.not_restored(path, "a part of it is missing".to_owned());
            return Ok(());
        }
        open.next_chunk += 1;
        debug_assert!(size <= u64::MAX - open.size);
        match self.copy(&mut open, data) {
            Ok(()) => {
                self.open = Some(open);
                Ok(())
            }
            Err(Trouble::Source(error)) => {
                self.open = Some(open);
                Err(Failure::Source(error))
            }
            Err(Trouble::Target(error)) => {
                self.ignored = Some(path.clone());
                self.refused(path, &error)
            }
        }
    }

    fn close_file(&mut self) -> Result<(), Failure> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let path = open.entry.path.clone();
        match self.complete(open) {
            Ok(()) => Ok(()),
            Err(error) => self.refused(path, &error),
        }
    }

    fn copy(&mut self, open: &mut OpenFile, data: &mut impl Read) -> Result<(), Trouble> {
        loop {
            let count = fill(data, &mut self.buffer).map_err(Trouble::Source)?;
            if count == 0 {
                return Ok(());
            }
            let bytes = &self.buffer[..count];
            let is_hole = count == COPY_BYTES && bytes.iter().all(|byte| *byte == 0);
            let written = if is_hole {
                open.file.seek(SeekFrom::Current(count as i64)).map(drop)
            } else {
                open.file.write_all(bytes)
            };
            written.map_err(Trouble::Target)?;
            open.size += count as u64;
            self.done.written_bytes += count as u64;
        }
    }

    fn complete(&mut self, open: OpenFile) -> io::Result<()> {
        let OpenFile { entry, place, temporary, file, size, .. } = open;
        // Ends that are holes are not there yet.
        if file.metadata()?.len() != size {
            file.set_len(size)?;
        }
        if let Err(errno) = self.set_attributes(&file, &entry, fstat(&file)?, true) {
            self.attribute_not_set(entry.path, errno);
        }
        drop(file);
        let placed = temporary.put(&place, self.replaces())?;
        self.count(placed);
        Ok(())
    }

    /// Sets the attributes of folders that nothing more can come for.
    fn leave_folders(&mut self, next: Option<&EntryPath>) {
        while let Some(folder) = self.folders.pop() {
            if next.is_some_and(|next| next.starts_with(&folder.place)) {
                self.folders.push(folder);
                return;
            }
            let result = self.place.open_folder(&folder.place).and_then(|opened| {
                let now = fstat(&opened)?;
                Ok(self.set_attributes(&opened, &folder.entry, now, folder.is_new)?)
            });
            if let Err(error) = result {
                let reason = reason(&error);
                self.job.warn(Warning::AttributeNotSet { path: folder.entry.path, reason });
            }
        }
    }

    /// Owner, mode and time of an open file or folder. What belongs to another and was there before
    /// stays as it is.
    fn set_attributes(
        &mut self,
        file: &impl AsFd,
        entry: &Entry,
        now: FileStat,
        is_new: bool,
    ) -> nix::Result<()> {
        let (uid, gid) = self.owner(entry, &now);
        let mut mode = entry.mode;
        let result = match owner_result(fchown(file, uid, gid)) {
            Ok(owned) => {
                // The right to act as another must not go to whoever restores.
                if !owned {
                    mode &= 0o1777;
                }
                Ok(())
            }
            Err(errno) => Err(errno),
        };
        let time = TimeSpec::new(entry.mtime, 0);
        let result = result
            .and_then(|()| {
                if now.st_mode & 0o7777 == mode {
                    Ok(())
                } else {
                    fchmod(file, Mode::from_bits_truncate(mode))
                }
            })
            .and_then(|()| futimens(file, &time, &time));
        if is_new || result != Err(Errno::EPERM) { result } else { Ok(()) }
    }

    /// The owner to set: the one whose name was stored, or the number. None where it is right already.
    fn owner(&mut self, entry: &Entry, now: &FileStat) -> (Option<Uid>, Option<Gid>) {
        let uid = self.owners.user(entry.user.as_deref(), entry.uid);
        let gid = self.owners.group(entry.group.as_deref(), entry.gid);
        ((uid != now.st_uid).then(|| Uid::from_raw(uid)), (gid != now.st_gid).then(|| Gid::from_raw(gid)))
    }

    fn replaces(&self) -> bool {
        self.request.conflict == Conflict::Replace
    }

    /// Whether something at the place stays, so that nothing has to be read for it.
    fn keeps(&mut self, place: &EntryPath) -> io::Result<bool> {
        let Some(stat) = self.place.look(place)? else { return Ok(false) };
        if self.replaces() {
            return if is_folder(&stat) { Err(io::ErrorKind::IsADirectory.into()) } else { Ok(false) };
        }
        self.count(Placed::Kept);
        Ok(true)
    }

    fn count(&mut self, placed: Placed) {
        match placed {
            Placed::Done => self.done.entry_count += 1,
            Placed::Kept => self.done.skipped_count += 1,
        }
        self.job.entry_done();
    }

    /// An entry that the target would not take: a warning, unless nothing else would be taken either.
    fn refused(&mut self, path: EntryPath, error: &io::Error) -> Result<(), Failure> {
        use io::ErrorKind as K;
        if matches!(error.kind(), K::StorageFull | K::QuotaExceeded | K::ReadOnlyFilesystem) {
            let source =
                error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error);
            return Err(Failure::Target(Error::Target { path: self.request.target.clone(), source }));
        }
        self.not_restored(path, reason(error));
        Ok(())
    }

    fn not_restored(&self, path: EntryPath, reason: String) {
        self.job.warn(Warning::NotRestored { path, reason });
    }

    fn attribute_not_set(&self, path: EntryPath, errno: Errno) {
        self.job.warn(Warning::AttributeNotSet { path, reason: errno.desc().to_owned() });
    }
}

/// Where copying failed.
enum Trouble {
    Source(io::Error),
    Target(io::Error),
}

/// Only root gives files away: for others it is no failure that the owner stays. Tells whether the
/// owner is the stored one.
fn owner_result(result: nix::Result<()>) -> nix::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(Errno::EPERM) if !Uid::effective().is_root() => Ok(false),
        Err(errno) => Err(errno),
    }
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
