//! How much room all catalogues together may take.

use std::fs;
use std::io;
use std::path::Path;

use super::failure::WRITING;
use super::folder;
use crate::engine::error::{Error, Result};

/// What all catalogues together may take unless told otherwise, in bytes: some five million paths.
pub const DEFAULT_LIMIT_BYTES: u64 = 1 << 30;

/// Empties catalogues below `cache` until those that are left take at most `limit_bytes`, the one that was
/// not used for longest first. What somebody has open stays, though it alone be larger than that. Gives
/// the bytes that were freed.
pub fn enforce_limit(cache: &Path, limit_bytes: u64) -> Result<u64> {
    let failed = |source| Error::Local { action: WRITING, source };
    let folders = match fs::read_dir(cache) {
        Ok(folders) => folders,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(failed(error)),
    };
    let mut catalogs = Vec::new();
    for entry in folders {
        let path = entry.map_err(failed)?.path();
        if folder::is_catalog(&path) {
            // One whose time cannot be told goes first.
            catalogs.push((folder::last_used(&path).ok(), folder::size_bytes(&path), path));
        }
    }
    catalogs.sort();
    let mut total_bytes: u64 = catalogs.iter().map(|(_, size, _)| size).sum();
    let mut freed_bytes = 0;
    for (_, size, path) in catalogs {
        if total_bytes <= limit_bytes {
            break;
        }
        if folder::clear_unused(&path).map_err(failed)? {
            total_bytes -= size;
            freed_bytes += size;
        }
    }
    Ok(freed_bytes)
}
