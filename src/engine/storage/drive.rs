//! Drives that come and go: known by the UUID of their file system, wherever they are mounted.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::{Lock, Storage, StorageError, StorageErrorKind, StorageResult, StoredFile, Upload};

/// A folder on a drive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriveAddress {
    /// The UUID of the file system, as udev writes it: `0a1b2c3d-…`, or `1234-ABCD` of a FAT.
    pub uuid: String,
    /// What people call the drive.
    pub name: String,
    /// The folder, relative to the root of the drive.
    pub path: PathBuf,
}

impl DriveAddress {
    /// The folder as it can be reached now. [`StorageErrorKind::Away`] if the drive is not connected.
    pub fn folder(&self) -> StorageResult<PathBuf> {
        let failed = |source| StorageError::from_io("looking for the drive", &self.name, source);
        match Drives::default().mount_point(&self.uuid).map_err(failed)? {
            Some(root) => Ok(root.join(&self.path)),
            None => Err(self.away()),
        }
    }

    /// The same for every mount point, and different from every path: for what is kept of the folder elsewhere.
    pub(crate) fn key(&self) -> PathBuf {
        Path::new("drive:").join(&self.uuid).join(&self.path)
    }

    fn away(&self) -> StorageError {
        StorageError::new(
            StorageErrorKind::Away,
            "looking for the drive",
            &self.name,
            "it is not connected, or not mounted",
        )
    }
}

/// A folder on a drive that is not connected. Whatever is asked of it fails with [`StorageErrorKind::Away`];
/// it stands for its place where something is looked up that is kept elsewhere.
#[derive(Debug, Clone)]
pub struct AwayDrive(pub DriveAddress);

impl Storage for AwayDrive {
    fn location(&self) -> String {
        self.0.name.clone()
    }

    fn list(&self) -> StorageResult<Vec<StoredFile>> {
        Err(self.0.away())
    }

    fn list_folders(&self) -> StorageResult<Vec<String>> {
        Err(self.0.away())
    }

    fn open_from(&self, _name: &str, _offset: u64) -> StorageResult<Box<dyn Read + Send>> {
        Err(self.0.away())
    }

    fn create(&self, _name: &str) -> StorageResult<Box<dyn Upload>> {
        Err(self.0.away())
    }

    fn rename(&self, _from: &str, _to: &str) -> StorageResult<()> {
        Err(self.0.away())
    }

    fn lock(&self, _holder: &str) -> StorageResult<Lock> {
        Err(self.0.away())
    }

    fn delete(&self, _name: &str) -> StorageResult<()> {
        Err(self.0.away())
    }

    fn free_bytes(&self) -> StorageResult<Option<u64>> {
        Err(self.0.away())
    }

    fn key(&self) -> PathBuf {
        self.0.key()
    }
}

/// What is mounted, and which devices it is on.
#[derive(Debug, Clone)]
pub struct Drives {
    /// Links that have UUIDs for names and lead to devices.
    by_uuid: PathBuf,
    /// The mounts of this process: see proc_pid_mountinfo(5).
    mounts: PathBuf,
}

/// Folders below which the desktop, or an administrator, mounts what comes and goes.
const MOUNTED_BELOW: [&str; 3] = ["/run/media", "/media", "/mnt"];

impl Default for Drives {
    fn default() -> Self {
        Self { by_uuid: "/dev/disk/by-uuid".into(), mounts: "/proc/self/mountinfo".into() }
    }
}

impl Drives {
    /// The root of the drive whose file system has this UUID; none if it is not mounted.
    pub fn mount_point(&self, uuid: &str) -> io::Result<Option<PathBuf>> {
        let device = match self.by_uuid.join(uuid).canonicalize() {
            Ok(device) => device,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mounts = self.mounts()?;
        Ok(mounts.into_iter().find(|mount| mount.is_of(&device)).map(|mount| mount.point))
    }

    /// On which drive a folder, which may not exist yet, is; none if it is on no drive that comes and goes.
    pub fn drive_of(&self, folder: &Path) -> io::Result<Option<DriveAddress>> {
        let comes_and_goes = MOUNTED_BELOW.iter().any(|place| folder.starts_with(place));
        if comes_and_goes { self.device_of(folder) } else { Ok(None) }
    }

    fn device_of(&self, folder: &Path) -> io::Result<Option<DriveAddress>> {
        let mounts = self.mounts()?;
        let around = mounts.iter().filter(|mount| folder.starts_with(&mount.point));
        let Some(mount) = around.max_by_key(|mount| mount.point.components().count()) else {
            return Ok(None);
        };
        let entries = match fs::read_dir(&self.by_uuid) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let is_it = entry.path().canonicalize().is_ok_and(|device| mount.is_of(&device));
            if let (true, Ok(uuid)) = (is_it, entry.file_name().into_string()) {
                let name = mount.point.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let path = folder.strip_prefix(&mount.point).unwrap_or(Path::new("")).to_owned();
                return Ok(Some(DriveAddress { uuid, name, path }));
            }
        }
        Ok(None)
    }

    fn mounts(&self) -> io::Result<Vec<Mount>> {
        Ok(fs::read(&self.mounts)?.split(|byte| *byte == b'\n').filter_map(Mount::parse).collect())
    }
}

/// A whole file system that is mounted.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    point: PathBuf,
    source: PathBuf,
}

impl Mount {
    /// A line of mountinfo. None of a bind mount, which shows only a part of a file system.
    fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b' ');
        let (root, point) = (fields.nth(3)?, fields.next()?);
        let source = fields.skip_while(|field| *field != b"-").nth(2)?;
        (root == b"/").then(|| Self { point: unescaped(point), source: unescaped(source) })
    }

    fn is_of(&self, device: &Path) -> bool {
        self.source == device || self.source.canonicalize().is_ok_and(|source| source == device)
    }
}

/// The kernel writes a space, a tab, a newline and a backslash as a backslash and three octal digits.
fn unescaped(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, after @ ..] = rest {
        let digits = after.get(..3).filter(|_| *first == b'\\');
        let code = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &after[3..] } else { after };
    }
    OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine with a drive at `/media/me/My Drive`, and a bind mount of a part of it.
    fn machine(is_mounted: bool) -> (tempfile::TempDir, Drives) {
        let folder = tempfile::tempdir().unwrap();
        let (by_uuid, device) = (folder.path().join("by-uuid"), folder.path().join("sdb1"));
        fs::create_dir(&by_uuid).unwrap();
        fs::write(&device, "").unwrap();
        std::os::unix::fs::symlink("../sdb1", by_uuid.join("1234-ABCD")).unwrap();
        let device = device.canonicalize().unwrap();
        let mut text = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n".to_owned();
        if is_mounted {
            let device = device.display();
            text += &format!("40 22 8:17 /part /srv/part rw shared:7 - vfat {device} rw\n");
            text += &format!("41 22 8:17 / /media/me/My\\040Drive rw shared:8 master:1 - vfat {device} rw\n");
        }
        let mounts = folder.path().join("mountinfo");
        fs::write(&mounts, text).unwrap();
        (folder, Drives { by_uuid, mounts })
    }

    #[test]
    fn a_drive_is_found_by_its_uuid() {
        let (_folder, drives) = machine(true);
        assert_eq!(drives.mount_point("1234-ABCD").unwrap(), Some("/media/me/My Drive".into()));
        assert_eq!(drives.mount_point("5678-ABCD").unwrap(), None);
        let (_folder, drives) = machine(false);
        assert_eq!(drives.mount_point("1234-ABCD").unwrap(), None, "it is connected, but not mounted");
    }

    #[test]
    fn a_folder_tells_its_drive() {
        let (_folder, drives) = machine(true);
        let found = drives.drive_of(Path::new("/media/me/My Drive/Backups/new")).unwrap().unwrap();
        let expected =
            DriveAddress { uuid: "1234-ABCD".into(), name: "My Drive".into(), path: "Backups/new".into() };
        assert_eq!(found, expected);
        for other in ["/home/me", "/media/me/Other", "/srv/part/x"] {
            assert_eq!(drives.drive_of(Path::new(other)).unwrap(), None, "{other}");
        }
    }

    #[test]
    fn this_machine_can_be_asked() {
        assert!(!Drives::default().mounts().unwrap().is_empty());
        assert_eq!(unescaped(b"a\\134\\040b\\9"), Path::new("a\\ b\\9"));
        assert!(unescaped(b"\\377").as_os_str().as_encoded_bytes() == b"\xff");
    }
}
