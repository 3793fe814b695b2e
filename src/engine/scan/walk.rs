//! The walk: every entry of a tree that the rules let in, in the order of the format.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, readlinkat};
use nix::sys::stat::{FileStat, SFlag, fstat, fstatat, major, minor};

use super::owners::OwnerNames;
use super::selection::{Candidate, CandidateKind, Scope, Selection, Verdict};
use super::tree::Tree;
use crate::engine::error::{Error, Result};
use crate::engine::format::entry::{Entry, EntryKind, Extras, Touched};
use crate::engine::job::{Job, Warning};
use crate::engine::path::EntryPath;

/// An entry of the source and how it looked when it was found.
#[derive(Debug, Clone)]
pub struct SourceEntry {
    /// What a backup keeps of it.
    pub entry: Entry,
    /// What shows whether it is still the same.
    pub stamp: Stamp,
}

/// What a walk comes to.
#[derive(Debug, Clone)]
pub enum Found {
    /// An entry that is to be backed up.
    Entry(SourceEntry),
    /// Nobody can tell what is at this path, or in it if it is a folder that was found. It was warned of.
    Unknown(EntryPath),
    /// A folder of a plan is not at this path, or not below it. It was not warned of, and comes before the folders
    /// that lead to it.
    Missing(EntryPath),
}

/// What shows whether a file is still as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: i64,
    mtime: (i64, i64),
    ctime: (i64, i64),
}

impl Stamp {
    /// The stamp of what the system says of a file.
    #[allow(clippy::unnecessary_cast, reason = "the fields' types differ between architectures")]
    pub fn of(stat: &FileStat) -> Self {
        Self {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            size: stat.st_size as i64,
            mtime: (stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            ctime: (stat.st_ctime as i64, stat.st_ctime_nsec as i64),
        }
    }

    /// All of it as numbers.
    pub fn numbers(&self) -> [u64; 7] {
        let bits = i64::cast_unsigned;
        let (mtime, ctime) = (self.mtime, self.ctime);
        [self.device, self.inode, bits(self.size), bits(mtime.0), bits(mtime.1), bits(ctime.0), bits(ctime.1)]
    }
}

/// Iterates over a tree. What cannot be read is warned of and left out; an error ends the walk.
pub struct Walk<'a> {
    tree: &'a Tree,
    selection: &'a Selection,
    /// Folders of the tree that are left out, with a word: the destination.
    left_out: &'a [EntryPath],
    job: &'a Job,
    /// Whether what is left out is warned of; a walk that only counts stays silent.
    warns: bool,
    root_device: u64,
    names: OwnerNames,
    /// One level for each open folder: what of it is still to come, last first.
    levels: Vec<Level>,
    ready: VecDeque<Found>,
}

struct Level {
    /// The folder's own entry, as long as nothing in it has made it part of the backup.
    pending: Option<SourceEntry>,
    path: EntryPath,
    scope: Scope,
    /// Whether it only leads to folders that are backed up.
    is_passage: bool,
    /// Names still to come, the last one first.
    names: Vec<Box<[u8]>>,
    /// Closed while the walk is far below, opened again on the way back.
    folder: Option<OwnedFd>,
}

/// Bytes in a block as `stat` counts them.
const STAT_BLOCK_BYTES: i64 = 512;

/// How many folders are kept open: a tree can be deeper than descriptors last.
const OPEN_LEVELS: usize = 64;

impl<'a> Walk<'a> {
    /// A walk over `tree`, beginning with its root.
    pub fn new(
        tree: &'a Tree,
        selection: &'a Selection,
        left_out: &'a [EntryPath],
        warns: bool,
        job: &'a Job,
    ) -> Result<Self> {
        let unreadable =
            |source: io::Error| Error::SourceUnreadable { path: tree.root_path().to_owned(), source };
        let stat = fstat(tree.root()).map_err(|errno| unreadable(errno.into()))?;
        let mut walk = Self {
            tree,
            selection,
            left_out,
            job,
            warns,
            root_device: device(&stat),
            names: OwnerNames::default(),
            levels: Vec::new(),
            ready: VecDeque::new(),
        };
        let root = walk.source_entry(EntryPath::root(), EntryKind::Directory, &stat);
        walk.ready.push_back(Found::Entry(root));
        walk.enter(EntryPath::root(), Scope::default(), None).map_err(unreadable)?;
        Ok(walk)
    }

    fn step(&mut self) -> Result<Option<Found>> {
        loop {
            if let Some(found) = self.ready.pop_front() {
                return Ok(Some(found));
            }
            let Some(level) = self.levels.last_mut() else { return Ok(None) };
            let Some(name) = level.names.pop() else {
                self.levels.pop();
                continue;
            };
            self.job.check()?;
            let path = level.path.join(&name);
            match level.stat(self.tree, &name) {
                Ok(stat) => self.visit(path, &name, &stat),
                Err(error) if level.is_passage && error.kind() == io::ErrorKind::NotFound => {
                    self.ready.push_back(Found::Missing(path));
                }
                Err(error) => self.leave_out(path, &error),
            }
        }
    }

    /// What is gone is known to be gone; of everything else nothing is known.
    fn leave_out(&mut self, path: EntryPath, error: &io::Error) {
        let warning = match left_out_because(path, error) {
            Warning::Vanished { path } if self.selection.is_listed() => Warning::FolderMissing { path },
            warning => warning,
        };
        if let Warning::Unreadable { path, .. } = &warning {
            self.ready.push_back(Found::Unknown(path.clone()));
        }
        self.warn(warning);
    }

    fn visit(&mut self, path: EntryPath, name: &[u8], stat: &FileStat) {
        let kind = match self.kind(name, stat) {
            Ok(Some(kind)) => kind,
            Ok(None) => {
                if self.verdict(&path, CandidateKind::Other, stat).0 == Verdict::Include {
                    self.warn(Warning::SocketLeftOut { path });
                }
                return;
            }
            Err(errno) => return self.leave_out(path, &errno.into()),
        };
        let is_folder = kind == EntryKind::Directory;
        let (verdict, scope) = self.verdict(&path, candidate_kind(&kind), stat);
        if is_folder && self.left_out.contains(&path) {
            if verdict == Verdict::Include {
                self.warn(Warning::DestinationLeftOut { path });
            }
            return;
        }
        if verdict == Verdict::Exclude {
            return;
        }
        let entry = self.source_entry(path.clone(), kind, stat);
        let pending = if verdict == Verdict::Include {
            self.let_in(entry);
            None
        } else {
            Some(entry)
        };
        let looks_inside = is_folder && self.selection.looks_into(&path);
        if looks_inside && let Err(error) = self.enter(path.clone(), scope, pending) {
            self.leave_out(path, &error);
        }
    }

    #[allow(clippy::unnecessary_cast, reason = "the fields' types differ between architectures")]
    fn verdict(&self, path: &EntryPath, kind: CandidateKind, stat: &FileStat) -> (Verdict, Scope) {
        let mut scope = self.levels.last().map(|level| level.scope).unwrap_or_default();
        let entry = Candidate {
            path,
            kind,
            mtime: stat.st_mtime as i64,
            device: device(stat),
            root_device: self.root_device,
            tree: self.tree,
        };
        (self.selection.verdict(&entry, &mut scope), scope)
    }

    /// Makes an entry part of the backup, after the folders that lead to it.
    fn let_in(&mut self, entry: SourceEntry) {
        let parents = self.levels.iter_mut().filter_map(|level| level.pending.take());
        self.ready.extend(parents.map(Found::Entry));
        self.ready.push_back(Found::Entry(entry));
    }

    fn enter(&mut self, path: EntryPath, scope: Scope, pending: Option<SourceEntry>) -> io::Result<()> {
        let (is_passage, folder, names) = if let Some(names) = self.selection.leading_names(&path) {
            (true, self.tree.open_passage(&path)?, names.rev().cloned().collect())
        } else {
            let folder = self.tree.open_folder(&path)?;
            let names = match self.selection.listed_names(&path) {
                Some(names) => names.rev().cloned().collect(),
                None => names_in(&folder)?,
            };
            (false, folder, names)
        };
        self.levels.push(Level { pending, path, scope, is_passage, names, folder: Some(folder) });
        if let Some(far) = self.levels.len().checked_sub(OPEN_LEVELS + 1) {
            self.levels[far].folder = None;
        }
        Ok(())
    }

    /// What an entry is; `None` for a socket.
    fn kind(&self, name: &[u8], stat: &FileStat) -> Result<Option<EntryKind>, Errno> {
        let device = || {
            let number = |part: u64| u32::try_from(part).unwrap_or(u32::MAX);
            (number(major(stat.st_rdev)), number(minor(stat.st_rdev)))
        };
        Ok(Some(match file_type(stat) {
            SFlag::S_IFREG => EntryKind::File,
            SFlag::S_IFDIR => EntryKind::Directory,
            SFlag::S_IFLNK => {
                let folder =
                    self.levels.last().and_then(|level| level.folder.as_ref()).ok_or(Errno::ENOENT)?;
                let target = readlinkat(folder, OsStr::from_bytes(name))?;
                EntryKind::Symlink(target.as_bytes().into())
            }
            SFlag::S_IFIFO => EntryKind::Fifo,
            SFlag::S_IFCHR => EntryKind::CharDevice(device().0, device().1),
            SFlag::S_IFBLK => EntryKind::BlockDevice(device().0, device().1),
            _ => return Ok(None),
        }))
    }

    fn source_entry(&mut self, path: EntryPath, kind: EntryKind, stat: &FileStat) -> SourceEntry {
        let entry = Entry::from_stat(path, kind, stat, &mut self.names);
        SourceEntry { entry, stamp: Stamp::of(stat) }
    }

    fn warn(&self, warning: Warning) {
        if self.warns {
            self.job.warn(warning);
        }
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<Found>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}

impl Entry {
    /// The entry that the system describes.
    #[allow(clippy::unnecessary_cast, reason = "the fields' types differ between architectures")]
    pub fn from_stat(path: EntryPath, kind: EntryKind, stat: &FileStat, names: &mut OwnerNames) -> Self {
        let kind_is_file = kind == EntryKind::File;
        let size_bytes = if kind_is_file { u64::try_from(stat.st_size).unwrap_or(0) } else { 0 };
        Self {
            path,
            kind,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            user: names.user(stat.st_uid),
            group: names.group(stat.st_gid),
            mtime: stat.st_mtime as i64,
            size_bytes: Some(size_bytes),
            extras: Some(Box::new(extras_of(kind_is_file, stat))),
        }
    }
}

/// What the system says beyond the format. Extended attributes take more than that to find out.
#[allow(clippy::unnecessary_cast, reason = "the fields' types differ between architectures")]
pub(crate) fn extras_of(is_file: bool, stat: &FileStat) -> Extras {
    let nanos = |nanos: i64| u32::try_from(nanos).unwrap_or(0);
    let has_names = is_file && stat.st_nlink > 1;
    Extras {
        mtime_nanos: nanos(stat.st_mtime_nsec as i64),
        touched: Some(Touched {
            ctime: (stat.st_ctime as i64, nanos(stat.st_ctime_nsec as i64)),
            inode: stat.st_ino as u64,
        }),
        hard_link: has_names.then(|| format!("{:x}:{:x}", stat.st_dev, stat.st_ino).into_bytes().into()),
        is_sparse: is_file && (stat.st_blocks as i64) < (stat.st_size as i64) / STAT_BLOCK_BYTES,
        xattrs: Vec::new(),
    }
}

impl Level {
    fn stat(&mut self, tree: &Tree, name: &[u8]) -> io::Result<FileStat> {
        let folder = match self.folder.take() {
            Some(folder) => folder,
            None if self.is_passage => tree.open_passage(&self.path)?,
            None => tree.open_folder(&self.path)?,
        };
        let stat = fstatat(&folder, OsStr::from_bytes(name), AtFlags::AT_SYMLINK_NOFOLLOW);
        self.folder = Some(folder);
        Ok(stat?)
    }
}

/// The warning for an entry that could not be looked at or read.
pub(crate) fn left_out_because(path: EntryPath, error: &io::Error) -> Warning {
    if error.kind() == io::ErrorKind::NotFound {
        Warning::Vanished { path }
    } else {
        Warning::Unreadable { path, reason: reason(error) }
    }
}

/// The names in a folder, the last one first.
fn names_in(folder: &OwnedFd) -> io::Result<Vec<Box<[u8]>>> {
    let mut names: Vec<Box<[u8]>> = Vec::new();
    let mut listing = Dir::from_fd(folder.try_clone()?)?;
    for item in listing.iter() {
        let item = item?;
        let name = item.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        names.push(name.to_bytes().into());
    }
    names.sort_unstable_by(|one, other| other.cmp(one));
    Ok(names)
}

fn candidate_kind(kind: &EntryKind) -> CandidateKind {
    match kind {
        EntryKind::Directory => CandidateKind::Folder,
        EntryKind::File => CandidateKind::File,
        EntryKind::CharDevice(..) | EntryKind::BlockDevice(..) => CandidateKind::Device,
        _ => CandidateKind::Other,
    }
}

#[allow(clippy::unnecessary_cast, reason = "the fields' types differ between architectures")]
fn device(stat: &FileStat) -> u64 {
    stat.st_dev as u64
}

fn file_type(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

/// What the system said, without the number.
pub(crate) fn reason(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), |number| Errno::from_raw(number).desc().to_owned())
}
