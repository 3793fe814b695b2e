//! Where restored entries go: below the target's folder and nowhere else.
//!
//! Every folder on the way is opened without following links ([`Tree`]), names are single components,
//! and a file appears under its name only when it is whole.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, RenameFlags, openat, readlinkat, renameat, renameat2};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat, makedev, mkdirat, mknodat};
use nix::unistd::{UnlinkatFlags, linkat, symlinkat, unlinkat};

use super::COPY_BYTES;
use crate::engine::format::entry::EntryKind;
use crate::engine::path::EntryPath;
use crate::engine::scan::Tree;

/// Mode of folders and files until they are whole.
const PRIVATE_FOLDER: Mode = Mode::S_IRWXU;
const PRIVATE_FILE: Mode = Mode::S_IRUSR.union(Mode::S_IWUSR);

/// The folder that everything is restored below.
pub struct Place {
    tree: Tree,
    /// Where the restored root goes, below the tree's root.
    base: EntryPath,
    /// The folder that the last entry was in: most entries are in the same one.
    recent: Option<(EntryPath, Rc<OwnedFd>)>,
    next_temporary: u64,
}

/// Something new beside its final place.
pub struct Temporary {
    folder: Rc<OwnedFd>,
    name: String,
}

/// How a finished entry took its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    /// It is there.
    Done,
    /// Something else was there, which stays.
    Kept,
}

impl Place {
    /// The place for `target`, whose parent folder is made if it is missing. The target itself may be
    /// reached through links; below it none is followed.
    pub fn open(target: &Path) -> io::Result<Self> {
        let target = target.canonicalize().or_else(|_| std::path::absolute(target))?;
        let (folder, base) = match (target.parent(), target.file_name()) {
            (Some(parent), Some(name)) => (parent, EntryPath::root().join(name.as_bytes())),
            _ => (target.as_path(), EntryPath::root()),
        };
        std::fs::create_dir_all(folder)?;
        Ok(Self { tree: Tree::open(folder)?, base, recent: None, next_temporary: 0 })
    }

    /// Where an entry of the restored root goes.
    pub fn map(&self, path: &EntryPath) -> EntryPath {
        path.components().fold(self.base.clone(), |mapped, name| mapped.join(name))
    }

    /// What is at a place, without following it.
    pub fn look(&mut self, place: &EntryPath) -> io::Result<Option<FileStat>> {
        if place.is_root() {
            return Ok(Some(nix::sys::stat::fstat(self.tree.root())?));
        }
        let folder = self.folder_of(place)?;
        match fstatat(&folder, name_of(place), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Makes a folder. False if one was there already.
    pub fn make_folder(&mut self, place: &EntryPath) -> io::Result<bool> {
        if place.is_root() {
            return Ok(false);
        }
        let folder = self.folder_of(place)?;
        match mkdirat(&folder, name_of(place), PRIVATE_FOLDER) {
            Ok(()) => Ok(true),
            Err(Errno::EEXIST) if self.look(place)?.is_some_and(|stat| is_folder(&stat)) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Opens a folder below the place, to set its attributes.
    pub fn open_folder(&self, place: &EntryPath) -> io::Result<OwnedFd> {
        self.tree.open_folder(place)
    }

    /// Makes a new, private file beside `place`.
    pub fn temporary_file(&mut self, place: &EntryPath) -> io::Result<(Temporary, File)> {
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        self.temporary(place, |folder, name| openat(folder, name, flags, PRIVATE_FILE).map(File::from))
    }

    /// Makes a link, pipe or device beside `place`.
    pub fn temporary_special(&mut self, place: &EntryPath, kind: &EntryKind) -> io::Result<Temporary> {
        let node = |folder: &OwnedFd, name: &str, kind, (major, minor): (u32, u32)| {
            mknodat(folder, name, kind, PRIVATE_FILE, makedev(major.into(), minor.into()))
        };
        let (temporary, ()) = self.temporary(place, |folder, name| match kind {
            EntryKind::Symlink(target) => symlinkat(OsStr::from_bytes(target), folder, name),
            EntryKind::Fifo => node(folder, name, SFlag::S_IFIFO, (0, 0)),
            EntryKind::CharDevice(major, minor) => node(folder, name, SFlag::S_IFCHR, (*major, *minor)),
            EntryKind::BlockDevice(major, minor) => node(folder, name, SFlag::S_IFBLK, (*major, *minor)),
            EntryKind::File | EntryKind::Directory => Err(Errno::EINVAL),
        })?;
        Ok(temporary)
    }

    /// Makes another name for the file at `existing`, beside `place`. `None` if that cannot be, for instance
    /// because the file is not there any more, or the file system has no such links.
    pub fn temporary_link(
        &mut self,
        existing: &EntryPath,
        place: &EntryPath,
    ) -> io::Result<Option<Temporary>> {
        let from = self.tree.open_folder(&existing.parent().unwrap_or_default())?;
        let linked = self.temporary(place, |folder, name| {
            linkat(&from, name_of(existing), folder, name, AtFlags::empty())
        });
        Ok(linked.ok().map(|(temporary, ())| temporary))
    }

    fn temporary<T>(
        &mut self,
        place: &EntryPath,
        make: impl Fn(&OwnedFd, &str) -> nix::Result<T>,
    ) -> io::Result<(Temporary, T)> {
        let folder = self.folder_of(place)?;
        loop {
            let name = format!(".souvenir-restore-{}-{}", std::process::id(), self.next_temporary);
            self.next_temporary += 1;
            match make(&folder, &name) {
                Ok(made) => return Ok((Temporary { folder, name }, made)),
                Err(Errno::EEXIST) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// The folder that holds `place`, made if it is missing.
    fn folder_of(&mut self, place: &EntryPath) -> io::Result<Rc<OwnedFd>> {
        let parent = place.parent().unwrap_or_default();
        if let Some((path, folder)) = &self.recent
            && *path == parent
        {
            return Ok(Rc::clone(folder));
        }
        let folder = match self.tree.open_folder(&parent) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make_folders(&parent)?;
                self.tree.open_folder(&parent)?
            }
            result => result?,
        };
        let folder = Rc::new(folder);
        self.recent = Some((parent, Rc::clone(&folder)));
        Ok(folder)
    }

    fn make_folders(&self, path: &EntryPath) -> io::Result<()> {
        let mut above = EntryPath::root();
        for name in path.components() {
            let folder = self.tree.open_folder(&above)?;
            match mkdirat(&folder, OsStr::from_bytes(name), PRIVATE_FOLDER) {
                Ok(()) | Err(Errno::EEXIST) => above = above.join(name),
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }
}

impl Temporary {
    /// Its name and the folder it is in.
    pub fn location(&self) -> (&OwnedFd, &OsStr) {
        (&self.folder, OsStr::new(&self.name))
    }

    /// Whether it has the same contents as what is at `place`, which is in the same folder; of a link, whether it leads
    /// to the same. What cannot be looked at or read counts as something else. Fails only if `go_on` does, which is
    /// asked now and then.
    pub fn equals(&self, place: &EntryPath, go_on: impl Fn() -> io::Result<()>) -> io::Result<bool> {
        let names = [OsStr::new(&self.name), name_of(place)];
        let [ours, theirs] = names.map(|name| fstatat(&self.folder, name, AtFlags::AT_SYMLINK_NOFOLLOW));
        let (Ok(ours), Ok(theirs)) = (ours, theirs) else { return Ok(false) };
        let kind = |stat: &FileStat| SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits());
        if kind(&ours) != kind(&theirs) || ours.st_size != theirs.st_size {
            return Ok(false);
        }
        match kind(&ours) {
            SFlag::S_IFLNK => {
                let [ours, theirs] = names.map(|name| readlinkat(&self.folder, name));
                Ok(ours.is_ok() && ours == theirs)
            }
            SFlag::S_IFREG => {
                let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
                let open = |name| openat(&self.folder, name, flags, Mode::empty());
                match (open(names[0]), open(names[1])) {
                    (Ok(ours), Ok(theirs)) => same_contents([ours, theirs].map(File::from), go_on),
                    _ => Ok(false),
                }
            }
            _ => Ok(false),
        }
    }

    /// Gives it the name of `place`, which is in the same folder.
    pub fn put(self, place: &EntryPath, replaces: bool) -> io::Result<Placed> {
        let name = name_of(place);
        let result = if replaces {
            renameat(&self.folder, self.name.as_str(), &self.folder, name)
        } else {
            let flags = RenameFlags::RENAME_NOREPLACE;
            match renameat2(&self.folder, self.name.as_str(), &self.folder, name, flags) {
                // A file system that cannot refuse to replace: look first.
                Err(Errno::EINVAL | Errno::ENOSYS) => {
                    match fstatat(&self.folder, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
                        Err(Errno::ENOENT) => renameat(&self.folder, self.name.as_str(), &self.folder, name),
                        Ok(_) => Err(Errno::EEXIST),
                        Err(errno) => Err(errno),
                    }
                }
                result => result,
            }
        };
        match result {
            Ok(()) => Ok(Placed::Done),
            Err(Errno::EEXIST) if !replaces => Ok(Placed::Kept),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// What was not put into its place goes away.
impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = unlinkat(self.folder.as_fd(), self.name.as_str(), UnlinkatFlags::NoRemoveDir);
    }
}

/// Whether the system says that it is a folder.
pub fn is_folder(stat: &FileStat) -> bool {
    stat.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits()
}

fn same_contents(files: [File; 2], go_on: impl Fn() -> io::Result<()>) -> io::Result<bool> {
    let [mut ours, mut theirs] = files.map(|file| BufReader::with_capacity(COPY_BYTES, file));
    loop {
        go_on()?;
        let (Ok(left), Ok(right)) = (ours.fill_buf(), theirs.fill_buf()) else { return Ok(false) };
        let count = left.len().min(right.len());
        if count == 0 {
            return Ok(left.len() == right.len());
        }
        if left[..count] != right[..count] {
            return Ok(false);
        }
        ours.consume(count);
        theirs.consume(count);
    }
}

fn name_of(place: &EntryPath) -> &OsStr {
    OsStr::from_bytes(place.file_name())
}
