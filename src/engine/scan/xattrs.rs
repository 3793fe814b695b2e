//! Extended attributes, with the access control lists and the capabilities among them.

use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;

use xattr::FileExt;

use crate::engine::format::entry::{Xattr, Xattrs};

/// Most that is kept of one entry, in bytes: what a reader believes of a header is limited.
const MAX_BYTES: usize = 512 * 1024;

/// Names that are kept. Others belong to this machine (labels of security modules) or to a file system.
const KEPT: [&[u8]; 5] =
    [b"user.", b"trusted.", b"system.posix_acl_access", b"system.posix_acl_default", b"security.capability"];

/// The extended attributes of an open file or folder, in the order of their names. None where the file
/// system has none. Fails if they are too large to be kept.
pub fn xattrs(file: &File) -> io::Result<Xattrs> {
    let names = match file.list_xattr() {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::Unsupported => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Xattrs::new();
    let mut total_bytes = 0;
    for name in names {
        let bytes = name.as_bytes();
        if !KEPT.iter().any(|kept| bytes.starts_with(kept)) {
            continue;
        }
        // Gone between being listed and being read, if there is none.
        let Some(value) = file.get_xattr(&name)? else { continue };
        total_bytes += bytes.len() + value.len();
        if total_bytes > MAX_BYTES {
            return Err(io::Error::other("the extended attributes are too large"));
        }
        found.push((bytes.into(), value.into()));
    }
    found.sort();
    Ok(found)
}

/// Sets extended attributes; those that are there and not named stay.
pub fn set_xattrs(file: &File, xattrs: &[Xattr]) -> io::Result<()> {
    xattrs.iter().try_for_each(|(name, value)| file.set_xattr(std::ffi::OsStr::from_bytes(name), value))
}
