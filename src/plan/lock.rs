//! One run of a plan at a time, whichever program it is that runs it.
//!
//! The lock is one of the system's on a file in the XDG state folder, so it ends with its holder. The file says
//! who holds it, and stays.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::Plan;
use crate::engine::error::{Error, Result};

/// How often it is tried to take a lock, and how long the pause is between two attempts.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(20);

/// A plan that nobody else may run. Dropping it lets go.
#[derive(Debug)]
pub struct PlanLock {
    _file: Flock<File>,
}

impl PlanLock {
    /// The folder for the locks under the XDG state folder, or under the data folder where there is none.
    pub fn default_folder() -> Option<PathBuf> {
        let folders = directories::ProjectDirs::from("", "", "souvenir")?;
        Some(folders.state_dir().unwrap_or_else(|| folders.data_dir()).join("locks"))
    }

    /// Takes the lock of a plan, or fails with [`Error::Busy`] where somebody has it.
    pub fn take(plan: &Plan) -> Result<Self> {
        let folder = Self::default_folder()
            .ok_or_else(|| local(io::Error::new(io::ErrorKind::NotFound, "there is no home folder")))?;
        Self::take_in(&folder, plan)
    }

    fn take_in(folder: &Path, plan: &Plan) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(local)?;
        let path = folder.join(&plan.id);
        let open = File::options().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = open.map_err(local)?;
        let mut attempt = 1;
        loop {
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(mut file) => {
                    file.set_len(0).and_then(|()| write!(file, "{}", std::process::id())).map_err(local)?;
                    return Ok(Self { _file: file });
                }
                // It may only be looked at just now.
                Err((back, Errno::EWOULDBLOCK)) if attempt < ATTEMPTS => {
                    file = back;
                    attempt += 1;
                    std::thread::sleep(PAUSE);
                }
                Err((mut file, Errno::EWOULDBLOCK)) => {
                    let mut holder = String::new();
                    // Whoever has just taken it may not have said so yet.
                    let _ = file.rewind().and_then(|()| file.read_to_string(&mut holder));
                    let holder = format!("process {}", if holder.is_empty() { "unknown" } else { &holder });
                    return Err(Error::Busy { location: plan.name.clone(), holder });
                }
                Err((_, errno)) => return Err(local(errno.into())),
            }
        }
    }

    /// Whether somebody runs the plan of that id. Where that cannot be found out, nobody does.
    pub fn is_held(plan_id: &str) -> bool {
        let open = |folder: PathBuf| File::open(folder.join(plan_id)).ok();
        let Some(file) = Self::default_folder().and_then(open) else { return false };
        matches!(Flock::lock(file, FlockArg::LockSharedNonblock), Err((_, Errno::EWOULDBLOCK)))
    }
}

fn local(source: io::Error) -> Error {
    Error::Local { action: "taking the lock of the plan", source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::crypto::Protection;
    use crate::plan::Destination;

    #[test]
    fn one_run_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let plan = |id: &str| {
            let destination = Destination::Folder { path: "/srv".into() };
            Plan { id: id.into(), ..Plan::new("Home", vec![], destination, Protection::none()) }
        };
        let held = PlanLock::take_in(folder.path(), &plan("a")).unwrap();
        let error = PlanLock::take_in(folder.path(), &plan("a")).unwrap_err().to_string();
        assert!(error.contains("Home") && error.contains(&std::process::id().to_string()), "{error}");
        PlanLock::take_in(folder.path(), &plan("b")).unwrap();
        drop(held);
        PlanLock::take_in(folder.path(), &plan("a")).unwrap();
    }
}
