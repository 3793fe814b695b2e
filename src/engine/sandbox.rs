//! Whether this program runs in a sandbox, where it has processes, and a gpg, of its own.

use std::path::{Path, PathBuf};

/// What the sandbox of Flatpak leaves in its root.
const MARK: &str = "/.flatpak-info";

/// Whether this program runs inside a sandbox.
pub fn is_sandboxed() -> bool {
    Path::new(MARK).exists()
}

/// Which processes can be seen from here, as the kernel names it: what is a number of a process in one sandbox, is
/// another one, or none, outside of it (see pid_namespaces(7)). Empty where it cannot be known.
pub fn process_namespace() -> PathBuf {
    std::fs::read_link("/proc/self/ns/pid").unwrap_or_default()
}
