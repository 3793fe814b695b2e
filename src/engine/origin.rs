//! Where backups come from: what a manifest says of the machine and the folder that were backed up.

use std::os::unix::ffi::OsStringExt;

use super::chain::{Collection, Set};
use super::copies::Copies;
use super::crypto::{Keyring, Opener, Passphrases};
use super::error::Result;
use super::job::Job;
use super::restore::parse_manifest;
use super::storage::Storage;

/// The machine and the folder that a set was made of, as far as its manifest names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The name of the machine.
    pub host_name: Option<Vec<u8>>,
    /// The folder, as `Localdir` has it.
    pub folder: Option<Vec<u8>>,
}

impl Origin {
    /// Where the newest set of the newest chain at a place comes from. None if there is no set, or if what it says
    /// is damaged.
    pub fn newest(
        storage: &dyn Storage,
        keyring: &Keyring,
        passphrases: &Passphrases,
        copies: &Copies,
        job: &Job,
    ) -> Result<Option<Self>> {
        let collection = Collection::new(storage.list()?);
        let Some(set) = collection.chains.last().and_then(|chain| chain.sets.last()) else { return Ok(None) };
        let opener = Opener::new(keyring, passphrases, None, job)?;
        Self::of_set(set, storage, &opener, copies, job)
    }

    /// Where a set comes from. None if there is no manifest, or if it is damaged.
    pub(crate) fn of_set(
        set: &Set,
        storage: &dyn Storage,
        opener: &Opener,
        copies: &Copies,
        job: &Job,
    ) -> Result<Option<Self>> {
        let Some(file) = &set.manifest else { return Ok(None) };
        let read = copies.open(storage, file, opener, job);
        match read.and_then(|reader| parse_manifest(file, reader)) {
            Ok(manifest) => Ok(Some(Self { host_name: manifest.host_name, folder: manifest.local_dir })),
            Err(error) if error.is_damage() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The machine's name, if it is another one than that of this machine.
    pub fn other_host(&self) -> Option<String> {
        let ours = host_name()?;
        self.host().filter(|_| self.host_name.as_ref() != Some(&ours))
    }

    /// The machine's name, as people read it.
    pub fn host(&self) -> Option<String> {
        self.host_name.as_ref().map(|name| String::from_utf8_lossy(name).into_owned())
    }
}

/// The name of this machine, as manifests have it.
pub fn host_name() -> Option<Vec<u8>> {
    nix::unistd::gethostname().ok().map(OsStringExt::into_vec)
}
