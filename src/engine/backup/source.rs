//! The tree that is backed up, seen from outside: where it is, what it is called, and whether the
//! destination lies in it.

use std::path::{Path, PathBuf};

use super::BackupRequest;
use crate::engine::error::{Error, Result};
use crate::engine::path::EntryPath;
use crate::engine::scan::Tree;

/// Opens the root.
pub fn open_source(root: &Path) -> Result<Tree> {
    Tree::open(root).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => Error::SourceMissing(root.to_owned()),
        _ => Error::SourceUnreadable { path: root.to_owned(), source },
    })
}

/// The destination's folder where it lies in the source.
#[derive(Debug)]
pub struct LeftOut(pub Vec<EntryPath>);

impl LeftOut {
    /// Looks where the destination is. Fails if it is the root itself.
    pub fn find(request: &BackupRequest<'_>) -> Result<Self> {
        let Some(folder) = request.storage.local_folder() else { return Ok(Self(Vec::new())) };
        let unreadable = |source| Error::SourceUnreadable { path: request.root.to_owned(), source };
        let root = request.root.canonicalize().map_err(unreadable)?;
        let folder = resolve(folder)
            .map_err(|source| Error::Local { action: "looking at the destination", source })?;
        match folder.strip_prefix(&root) {
            Ok(inside) if inside.as_os_str().is_empty() => {
                Err(Error::DestinationIsSource(request.root.to_owned()))
            }
            Ok(inside) => Ok(Self(EntryPath::from_user(inside).into_iter().collect())),
            Err(_) => Ok(Self(Vec::new())),
        }
    }
}

/// The real path of a folder that may not exist yet.
pub fn resolve(folder: &Path) -> std::io::Result<PathBuf> {
    let absolute = std::path::absolute(folder)?;
    for ancestor in absolute.ancestors() {
        if let Ok(real) = ancestor.canonicalize() {
            let rest = absolute.strip_prefix(ancestor).unwrap_or(Path::new(""));
            return Ok(if rest.as_os_str().is_empty() { real } else { real.join(rest) });
        }
    }
    Ok(absolute)
}
