//! Owners, modes, times and extended attributes of what is restored. One that cannot be set is a warning: the
//! entry itself is there.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{
    FchmodatFlags, FileStat, Mode, UtimensatFlags, fchmod, fchmodat, fstat, fstatat, futimens, utimensat,
};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchown, fchownat};

use crate::engine::format::entry::{Entry, EntryKind};
use crate::engine::job::{Job, Warning};
use crate::engine::scan::{OwnerNumbers, reason, set_xattrs};

/// Sets attributes.
pub struct Attributes<'a> {
    job: &'a Job,
    owners: OwnerNumbers,
}

impl<'a> Attributes<'a> {
    /// Sets them in a job, which is told what cannot be set.
    pub fn new(job: &'a Job) -> Self {
        Self { job, owners: OwnerNumbers::default() }
    }

    /// All of an open file or folder. What belongs to another and was there before stays as it is.
    pub fn set(&mut self, file: &File, entry: &Entry, is_new: bool) {
        let result = fstat(file).and_then(|now| self.set_basic(file, entry, now, is_new));
        self.tell(entry, result);
    }

    /// Those of a link, a pipe or a device, which are set by its name.
    pub fn set_by_name(&mut self, folder: &OwnedFd, name: &OsStr, entry: &Entry) {
        let result = fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW).and_then(|now| {
            let (uid, gid) = self.owner(entry, &now);
            let owned = owner_result(fchownat(folder, name, uid, gid, AtFlags::AT_SYMLINK_NOFOLLOW));
            let mut result = owned.map(drop);
            if !matches!(entry.kind, EntryKind::Symlink(_)) {
                let mode = Mode::from_bits_truncate(entry.mode);
                result = result.and(fchmodat(folder, name, mode, FchmodatFlags::FollowSymlink));
            }
            let time = time_of(entry);
            result.and(utimensat(folder, name, &time, &time, UtimensatFlags::NoFollowSymlink))
        });
        self.tell(entry, result);
    }

    fn set_basic(&mut self, file: &File, entry: &Entry, now: FileStat, is_new: bool) -> nix::Result<()> {
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
        let time = time_of(entry);
        if let Err(error) = set_xattrs(file, entry.xattrs()) {
            let reason = format!("an extended attribute could not be set: {}", reason(&error));
            self.job.warn(Warning::AttributeNotSet { path: entry.path.clone(), reason });
        }
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

    fn tell(&self, entry: &Entry, result: nix::Result<()>) {
        if let Err(errno) = result {
            let reason = errno.desc().to_owned();
            self.job.warn(Warning::AttributeNotSet { path: entry.path.clone(), reason });
        }
    }
}

/// The modification time that an entry is to have.
pub fn time_of(entry: &Entry) -> TimeSpec {
    let nanos = entry.extras.as_ref().map_or(0, |extras| extras.mtime_nanos);
    TimeSpec::new(entry.mtime, nanos.into())
}

/// Only root gives files away: for others it is no failure that the owner stays. In a sandbox many
/// owners do not even exist, which the system calls an invalid argument. Tells whether the owner is the
/// stored one.
fn owner_result(result: nix::Result<()>) -> nix::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(Errno::EPERM | Errno::EINVAL) if !Uid::effective().is_root() => Ok(false),
        Err(errno) => Err(errno),
    }
}
