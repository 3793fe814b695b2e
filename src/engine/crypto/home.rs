//! Where gpg keeps its keys inside a sandbox.
//!
//! The agent of the person is out of reach there, since whoever may talk to it may leave the sandbox. A second agent on
//! the person's own keyring would not know of the first: gpg's locks name processes, and those of a sandbox are numbered
//! anew. So keys in a sandbox have a folder of their own, and an agent that ends with the program: as long as it ran,
//! the sandbox would stay.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::export::make_private_folder;
use crate::engine::sandbox::is_sandboxed;

/// The folder of gpg, where it is not the one that gpg itself would take: inside a sandbox, unless `GNUPGHOME` names one.
pub(super) fn own_home() -> Option<PathBuf> {
    let is_chosen = std::env::var_os("GNUPGHOME").is_some_and(|home| !home.is_empty());
    if is_chosen || !is_sandboxed() {
        return None;
    }
    Some(directories::BaseDirs::new()?.data_dir().join("gnupg"))
}

/// Makes the folder, for this person alone, where it is not there yet. What is wrong with it, gpg tells.
pub(super) fn make(home: &Path) {
    if let Err(error) = make_private_folder(home) {
        tracing::warn!(%error, "gpg has no folder for its keys");
    }
}

/// Ends what gpg left running for the sandbox's own keyring; does nothing outside. Called once, before the program ends.
pub fn end_own_agent() {
    let Some(home) = own_home().filter(|home| home.is_dir()) else { return };
    let status = Command::new("gpgconf")
        .arg("--homedir")
        .arg(home)
        .args(["--kill", "all"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => tracing::warn!(%status, "gpg-agent may still run"),
        Err(error) => tracing::warn!(%error, "gpg-agent may still run"),
    }
}
