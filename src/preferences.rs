//! What holds for all plans and for the command line: `preferences.toml` beside the plans.
//!
//! A file that cannot be read counts as one without any wishes; it is not overwritten until somebody wishes
//! for something else, and what a newer version wrote into it stays.

use std::io;
use std::path::{Path, PathBuf};

use crate::engine::catalog::DEFAULT_LIMIT_BYTES;
use crate::plan::{Plans, store};

const FILE_NAME: &str = "preferences.toml";

/// What all catalogues together may take, in mebibytes.
const CATALOG_LIMIT: &str = "catalog-limit-mib";

/// The preferences, and the file that they are kept in.
#[derive(Debug, Clone)]
pub struct Preferences {
    path: PathBuf,
    table: toml::Table,
}

impl Preferences {
    /// Those of whoever runs this, if they have a home.
    pub fn open_usual() -> Option<Self> {
        Plans::default_folder().map(|folder| Self::open(&folder))
    }

    /// Reads the preferences in `folder`.
    pub fn open(folder: &Path) -> Self {
        let path = folder.join(FILE_NAME);
        let table = match std::fs::read_to_string(&path) {
            Ok(text) => text.parse().unwrap_or_else(|error| {
                tracing::warn!(%error, path = %path.display(), "the preferences cannot be understood");
                toml::Table::new()
            }),
            Err(_) => toml::Table::new(),
        };
        Self { path, table }
    }

    /// What all catalogues together may take, in bytes.
    pub fn catalog_limit_bytes(&self) -> u64 {
        let limit = self.table.get(CATALOG_LIMIT).and_then(toml::Value::as_integer);
        let limit = limit.and_then(|mebibytes| u64::try_from(mebibytes).ok());
        limit.map_or(DEFAULT_LIMIT_BYTES, |mebibytes| mebibytes.saturating_mul(1 << 20))
    }

    /// Sets what all catalogues together may take, in mebibytes, and writes the file.
    pub fn set_catalog_limit(&mut self, mebibytes: u32) -> io::Result<()> {
        self.table.insert(CATALOG_LIMIT.to_owned(), i64::from(mebibytes).into());
        let text = toml::to_string_pretty(&self.table).map_err(io::Error::other)?;
        store::write_whole(&self.path, text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_lasts_and_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Preferences::open(folder.path()).catalog_limit_bytes(), DEFAULT_LIMIT_BYTES);
        std::fs::write(folder.path().join(FILE_NAME), "later = true\n").unwrap();
        Preferences::open(folder.path()).set_catalog_limit(7).unwrap();
        let preferences = Preferences::open(folder.path());
        assert_eq!(preferences.catalog_limit_bytes(), 7 << 20);
        assert_eq!(preferences.table.get("later"), Some(&true.into()));
    }
}
