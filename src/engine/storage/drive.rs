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
    /// What udev knows of each device, in a file named after its number. In a sandbox there are no devices, but this.
    udev: PathBuf,
    /// What the kernel tells of each device, in a folder named after its number: see sysfs(5).
    block: PathBuf,
    /// The mounts of this process: see proc_pid_mountinfo(5).
    mounts: PathBuf,
}

/// Folders below which the desktop, or an administrator, mounts what comes and goes.
const MOUNTED_BELOW: [&str; 3] = ["/run/media", "/media", "/mnt"];

/// How udev's files say which file system is on a device, as in the names of the links.
const UDEV_UUID: &str = "E:ID_FS_UUID_ENC=";

impl Default for Drives {
    fn default() -> Self {
        Self {
            by_uuid: "/dev/disk/by-uuid".into(),
            udev: "/run/udev/data".into(),
            block: "/sys/dev/block".into(),
            mounts: "/proc/self/mountinfo".into(),
        }
    }
}

impl Drives {
    /// The root of the drive whose file system has this UUID; none if it is not mounted.
    pub fn mount_point(&self, uuid: &str) -> io::Result<Option<PathBuf>> {
        let devices: Vec<_> = self.devices()?.into_iter().filter(|device| device.uuid == uuid).collect();
        if devices.is_empty() {
            return Ok(None);
        }
        let mut mounts = self.mounts()?.into_iter();
        Ok(mounts.find(|mount| devices.iter().any(|device| device.carries(mount))).map(|mount| mount.point))
    }

    /// The drives that come and go and are mounted now: their roots, by name.
    pub fn mounted(&self) -> io::Result<Vec<DriveAddress>> {
        let devices = self.devices()?;
        let mut found: Vec<DriveAddress> = Vec::new();
        for mount in self.mounts()?.iter().filter(|mount| comes_and_goes(&mount.point)) {
            let device = devices.iter().find(|device| device.carries(mount));
            if let Some(device) = device.filter(|device| found.iter().all(|other| other.uuid != device.uuid))
            {
                found.push(device.address(mount, &mount.point));
            }
        }
        found.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(found)
    }

    /// On which drive a folder, which may not exist yet, is; none if it is on no drive that comes and goes.
    pub fn drive_of(&self, folder: &Path) -> io::Result<Option<DriveAddress>> {
        if comes_and_goes(folder) { self.device_of(folder) } else { Ok(None) }
    }

    fn device_of(&self, folder: &Path) -> io::Result<Option<DriveAddress>> {
        let mounts = self.mounts()?;
        let around = mounts.iter().filter(|mount| folder.starts_with(&mount.point));
        let Some(mount) = around.max_by_key(|mount| mount.point.components().count()) else {
            return Ok(None);
        };
        let device = self.devices()?.into_iter().find(|device| device.carries(mount));
        Ok(device.map(|device| device.address(mount, folder)))
    }

    fn mounts(&self) -> io::Result<Vec<Mount>> {
        Ok(fs::read(&self.mounts)?.split(|byte| *byte == b'\n').filter_map(Mount::parse).collect())
    }

    /// The devices with a file system that has a UUID.
    fn devices(&self) -> io::Result<Vec<Device>> {
        let Some(links) = entries(&self.by_uuid)? else { return self.devices_of_udev() };
        let device =
            |(uuid, link): (String, PathBuf)| Some(Device { uuid, paths: vec![link.canonicalize().ok()?] });
        Ok(links.into_iter().filter_map(device).collect())
    }

    fn devices_of_udev(&self) -> io::Result<Vec<Device>> {
        let files = entries(&self.udev)?.unwrap_or_default();
        // Block devices have a "b" before their numbers.
        let device = |(name, file): (String, PathBuf)| {
            let number = name.strip_prefix('b')?;
            let text = fs::read(file).ok()?;
            let text = String::from_utf8_lossy(&text);
            let uuid = text.lines().find_map(|line| line.strip_prefix(UDEV_UUID))?.to_owned();
            Some(Device { uuid, paths: self.names_of(number) })
        };
        Ok(files.into_iter().filter_map(device).collect())
    }

    /// What the device with this number is called in /dev; one that was unlocked has a name of its owner's choice, too.
    fn names_of(&self, number: &str) -> Vec<PathBuf> {
        let folder = self.block.join(number);
        let name = fs::read_link(&folder).ok();
        let name = name.as_deref().and_then(Path::file_name).map(|name| Path::new("/dev").join(name));
        let mapped = fs::read_to_string(folder.join("dm/name")).ok();
        let mapped = mapped.map(|name| Path::new("/dev/mapper").join(name.trim_end()));
        name.into_iter().chain(mapped).collect()
    }
}

/// Whether a path is where drives that come and go are mounted.
fn comes_and_goes(path: &Path) -> bool {
    MOUNTED_BELOW.iter().any(|place| path.starts_with(place))
}

/// The names in a folder that are text, with their paths; none where there is no such folder.
fn entries(folder: &Path) -> io::Result<Option<Vec<(String, PathBuf)>>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let named = |entry: io::Result<fs::DirEntry>| {
        entry.map(|entry| Some((entry.file_name().into_string().ok()?, entry.path()))).transpose()
    };
    entries.filter_map(named).collect::<io::Result<_>>().map(Some)
}

/// A device with a file system.
#[derive(Debug)]
struct Device {
    uuid: String,
    /// Its names.
    paths: Vec<PathBuf>,
}

impl Device {
    /// A folder below where it is mounted.
    fn address(&self, mount: &Mount, folder: &Path) -> DriveAddress {
        DriveAddress {
            uuid: self.uuid.clone(),
            name: mount.point.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            path: folder.strip_prefix(&mount.point).unwrap_or(Path::new("")).to_owned(),
        }
    }

    fn carries(&self, mount: &Mount) -> bool {
        let is_it = |path: &Path| self.paths.iter().any(|own| own == path);
        is_it(&mount.source) || mount.source.canonicalize().is_ok_and(|source| is_it(&source))
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
        let nowhere = folder.path().join("nowhere");
        (folder, Drives { by_uuid, udev: nowhere.clone(), block: nowhere, mounts })
    }

    /// The same without a device to be seen, as in a sandbox. The drive is locked with a passphrase.
    fn sandbox() -> (tempfile::TempDir, Drives) {
        let folder = tempfile::tempdir().unwrap();
        let (udev, block) = (folder.path().join("udev"), folder.path().join("block"));
        let mounts = folder.path().join("mountinfo");
        fs::create_dir_all(block.join("253:0/dm")).unwrap();
        fs::write(block.join("253:0/dm/name"), "luks-1234\n").unwrap();
        std::os::unix::fs::symlink("../../devices/pci/block/sdb/sdb1", block.join("8:17")).unwrap();
        fs::create_dir(&udev).unwrap();
        fs::write(udev.join("b253:0"), "S:disk/by-uuid/0a1b\nE:ID_FS_UUID=0a1b\nE:ID_FS_UUID_ENC=0a1b\n")
            .unwrap();
        fs::write(udev.join("b8:17"), "E:ID_FS_TYPE=vfat\nE:ID_FS_UUID_ENC=1234-ABCD\n").unwrap();
        fs::write(udev.join("c13:64"), "E:ID_INPUT=1\n").unwrap();
        let text = "22 1 8:1 / /run/host rw - ext4 /dev/sda1 rw\n\
                    41 22 253:0 / /run/media/me/Locked rw - ext4 /dev/mapper/luks-1234 rw\n\
                    42 22 8:17 / /run/media/me/Stick rw - vfat /dev/sdb1 rw\n";
        fs::write(&mounts, text).unwrap();
        let by_uuid = folder.path().join("by-uuid");
        (folder, Drives { by_uuid, udev, block, mounts })
    }

    #[test]
    fn a_drive_is_found_where_no_device_can_be_seen() {
        let (_folder, drives) = sandbox();
        for (uuid, point) in [("0a1b", "/run/media/me/Locked"), ("1234-ABCD", "/run/media/me/Stick")] {
            assert_eq!(drives.mount_point(uuid).unwrap(), Some(point.into()));
            let drive = drives.drive_of(&Path::new(point).join("Backups")).unwrap().unwrap();
            assert_eq!((drive.uuid.as_str(), drive.path.as_path()), (uuid, Path::new("Backups")));
        }
        assert_eq!(drives.mount_point("5678").unwrap(), None);
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
    fn drives_that_are_mounted_are_listed() {
        let names = |drives: &Drives| -> Vec<(String, PathBuf)> {
            drives.mounted().unwrap().into_iter().map(|drive| (drive.name, drive.path)).collect()
        };
        let (_folder, drives) = machine(true);
        assert_eq!(names(&drives), [("My Drive".to_owned(), PathBuf::new())], "neither / nor the bind mount");
        let (_folder, drives) = machine(false);
        assert_eq!(names(&drives), []);
        let (_folder, drives) = sandbox();
        let [locked, stick] = ["Locked", "Stick"].map(|name| (name.to_owned(), PathBuf::new()));
        assert_eq!(names(&drives), [locked, stick]);
    }

    #[test]
    fn this_machine_can_be_asked() {
        assert!(!Drives::default().mounts().unwrap().is_empty());
        assert_eq!(unescaped(b"a\\134\\040b\\9"), Path::new("a\\ b\\9"));
        assert!(unescaped(b"\\377").as_os_str().as_encoded_bytes() == b"\xff");
    }
}
