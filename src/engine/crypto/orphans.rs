//! A way around a defect of gpgme (1.17 to at least 2.1).
//!
//! gpgme waits with poll(2) until it can write more to gpg, and overlooks that a full pipe whose reader
//! is gone only ever reports an error: when gpg ends before it took all of its input, gpgme turns in a
//! circle for ever and cannot be stopped from outside. An empty pipe without a reader reports that it
//! can be written to; gpgme then finds it broken and goes on. So such pipes are emptied here. Nobody
//! else can miss what was in them.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Weak;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// How often is looked. gpg may take a moment to go after it closed the pipe that tells of its end.
const INTERVAL: Duration = Duration::from_millis(10);

/// Empties the pipes of this process that have lost their reader, on a thread of its own, for as long as
/// `conversation` exists.
pub(super) fn release_during<T: Send + Sync + 'static>(conversation: Weak<T>) {
    let work = move || {
        while conversation.strong_count() > 0 {
            empty_all();
            std::thread::sleep(INTERVAL);
        }
    };
    if let Err(error) = std::thread::Builder::new().name("orphans".to_owned()).spawn(work) {
        tracing::warn!(%error, "cannot start a thread");
    }
}

fn empty_all() {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return };
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| is_orphan(path)) {
        if let Err(error) = empty(&path) {
            tracing::debug!(%error, "cannot empty a pipe");
        }
    }
}

/// Whether this is a pipe that nobody can read from.
fn is_orphan(path: &Path) -> bool {
    let is_pipe = std::fs::read_link(path)
        .is_ok_and(|target| target.as_os_str().as_encoded_bytes().starts_with(b"pipe:"));
    let Some(pipe) = is_pipe.then(|| open(path, OpenOptions::new().write(true)).ok()).flatten() else {
        return false;
    };
    let mut polled = [PollFd::new(pipe.as_fd(), PollFlags::POLLOUT)];
    poll(&mut polled, PollTimeout::ZERO).is_ok()
        && polled[0].revents().is_some_and(|events| events.contains(PollFlags::POLLERR))
}

fn empty(path: &Path) -> io::Result<()> {
    let mut pipe = open(path, OpenOptions::new().read(true))?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match pipe.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    options.custom_flags(OFlag::O_NONBLOCK.bits()).open(path)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsRawFd;

    use super::*;

    fn fill(writer: &mut io::PipeWriter) {
        let path = format!("/proc/self/fd/{}", writer.as_raw_fd());
        let mut writer = open(path.as_ref(), OpenOptions::new().write(true)).unwrap();
        while writer.write(&[0; 4096]).is_ok() {}
    }

    #[test]
    fn only_pipes_without_a_reader_are_emptied() {
        let (mut reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"kept").unwrap();
        empty_all();
        let mut kept = [0; 4];
        reader.read_exact(&mut kept).unwrap();
        assert_eq!(&kept, b"kept");

        let path = format!("/proc/self/fd/{}", writer.as_raw_fd());
        assert!(!is_orphan(path.as_ref()));
        fill(&mut writer);
        drop(reader);
        assert!(is_orphan(path.as_ref()));
        let mut polled = [PollFd::new(writer.as_fd(), PollFlags::POLLOUT)];
        poll(&mut polled, PollTimeout::ZERO).unwrap();
        assert!(!polled[0].revents().unwrap().contains(PollFlags::POLLOUT), "this is what gpgme waits for");
        empty_all();
        poll(&mut polled, PollTimeout::ZERO).unwrap();
        assert!(polled[0].revents().unwrap().contains(PollFlags::POLLOUT));
    }
}
