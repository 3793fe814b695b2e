//! Signing in without a password: a key on this machine that the server lets in.

use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use ssh2::{OpenFlags, OpenType};

use super::SftpOptions;
use super::connection::{Handle, during};
use super::download::Download;
use super::fault::of_stream;
use super::place::Place;
use super::sign_in::OWN_KEY;
use super::ssh_folder;
use crate::engine::job::Job;
use crate::engine::storage::{Credentials, SftpAddress, StorageError, StorageErrorKind, StorageResult};

/// Where a server keeps the keys that it lets in, seen from where a sign-in ends up.
const AUTHORIZED: &str = ".ssh/authorized_keys";

/// Largest such file that is believed, in bytes.
const AUTHORIZED_LIMIT: u64 = 4 << 20;

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// The key file on this machine.
    pub key: PathBuf,
    /// Whether the key is new.
    pub made_key: bool,
    /// Whether the server did not know it yet.
    pub installed: bool,
}

/// Makes a key, unless there is one from an earlier time, has the server let it in, and signs in with this key
/// alone to see that it does. Only for the middle part a password is needed. A key that exists is never
/// replaced.
pub fn set_up_key(
    address: &SftpAddress,
    credentials: &Credentials,
    options: &SftpOptions,
    job: &Job,
) -> StorageResult<Setup> {
    let key = ssh_folder(&options.home).join(OWN_KEY);
    let (public, made_key) = public_key(&key)?;
    let address = SftpAddress { path: String::new(), ..address.clone() };
    let only_key = |job: &Job| Place::new(&address, &Credentials::default(), options, Some(&key), job);
    if !made_key {
        match only_key(job).connection() {
            Ok(_) => return Ok(Setup { key, made_key, installed: false }),
            Err(error) if error.kind == StorageErrorKind::Credentials => {}
            Err(error) => return Err(error),
        }
    }
    let place = Place::new(&address, credentials, options, None, job);
    let installed = install(&place, &public)?;
    only_key(job).connection().map_err(|error| match error.kind {
        StorageErrorKind::Credentials => {
            let reason = "the key was installed, but the server does not let it in. Its ~/.ssh and \
                          ~/.ssh/authorized_keys must belong to the user and be writable for nobody else, or its \
                          administrator allows no keys";
            StorageError::new(StorageErrorKind::Credentials, "signing in to", place.location(), reason)
        }
        _ => error,
    })?;
    Ok(Setup { key, made_key, installed })
}

/// The public half of a key file, which is made if it is missing.
fn public_key(key: &Path) -> StorageResult<(String, bool)> {
    let fail = |source| StorageError::from_io("making the key", key.display().to_string(), source);
    let mut public = key.as_os_str().to_owned();
    public.push(".pub");
    let made = !key.exists();
    if made {
        if let Some(folder) = key.parent().filter(|folder| !folder.exists()) {
            use std::os::unix::fs::DirBuilderExt;
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(fail)?;
        }
        let comment =
            format!("souvenir@{}", nix::unistd::gethostname().unwrap_or_default().to_string_lossy());
        let arguments = ["-q", "-t", "ed25519", "-N", "", "-C", &comment, "-f"];
        keygen(key, &arguments, "-")?;
    }
    let text = match fs::read_to_string(&public) {
        Ok(text) => text,
        // It can be told from the secret half.
        Err(_) => keygen(key, &["-y", "-P", "", "-f"], "the public half is missing")?,
    };
    match text.lines().next() {
        Some(line) if line.split_ascii_whitespace().count() >= 2 => Ok((line.trim().to_owned(), made)),
        _ => Err(fail(std::io::ErrorKind::InvalidData.into())),
    }
}

/// Runs `ssh-keygen`, which never gets a terminal: it would ask whether to replace a file.
fn keygen(key: &Path, arguments: &[&str], what: &str) -> StorageResult<String> {
    let output = Command::new("ssh-keygen").args(arguments).arg(key).stdin(Stdio::null()).output();
    let location = key.display().to_string();
    let output =
        output.map_err(|source| StorageError::from_io("starting ssh-keygen for", &*location, source))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let reason = if what == "-" { said } else { format!("{what}: {said}") };
    Err(StorageError::new(StorageErrorKind::Other, "making the key", location, reason))
}

/// Adds a line to the keys that the server lets in, unless it is there.
fn install(place: &Place, public: &str) -> StorageResult<bool> {
    let connection = place.connection()?;
    let location = place.location_of(AUTHORIZED);
    match connection.run(|live| live.sftp.stat(Path::new(".ssh"))) {
        Ok(_) => {}
        Err(fault) if fault.kind() == StorageErrorKind::NotFound => {
            let made = connection.run(|live| live.sftp.mkdir(Path::new(".ssh"), 0o700));
            during(made, "creating", &place.location_of(".ssh"))?;
        }
        Err(fault) => return Err(fault.into_error("reading", place.location_of(".ssh"))),
    }
    let mut text = Vec::new();
    match Download::open(place, AUTHORIZED, 0) {
        Ok(file) => {
            let read = file.take(AUTHORIZED_LIMIT).read_to_end(&mut text);
            read.map_err(|source| StorageError::from_io("reading", location.clone(), source))?;
        }
        Err(error) if error.kind == StorageErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    if text.len() as u64 == AUTHORIZED_LIMIT {
        let reason = "it is too large to be what it should be";
        return Err(StorageError::new(StorageErrorKind::Other, "reading", location, reason));
    }
    if has_key(&String::from_utf8_lossy(&text), public) {
        return Ok(false);
    }
    let mut line = format!("{public}\n");
    if text.last().is_some_and(|last| *last != b'\n') {
        line.insert(0, '\n');
    }
    let flags = OpenFlags::WRITE | OpenFlags::CREATE;
    let path = Path::new(AUTHORIZED);
    let opened =
        Handle::open(Arc::clone(&connection), |sftp| sftp.open_mode(path, flags, 0o600, OpenType::File));
    let mut handle = during(opened, "writing", &location)?;
    let end = SeekFrom::Start(text.len() as u64);
    let sought = handle.run(|file, session| file.seek(end).map_err(|error| of_stream(&error, session)));
    during(sought, "writing", &location)?;
    let mut rest = line.as_bytes();
    while !rest.is_empty() {
        let count = handle.run(|file, session| file.write(rest).map_err(|error| of_stream(&error, session)));
        rest = &rest[during(count, "writing", &location)?..];
    }
    during(handle.close(), "writing", &location)?;
    Ok(true)
}

/// Whether a key is among those that are let in, whatever comment or conditions stand beside it.
fn has_key(text: &str, public: &str) -> bool {
    let Some(key) = public.split_ascii_whitespace().nth(1) else { return false };
    let is_it = |line: &str| !line.starts_with('#') && line.split_ascii_whitespace().any(|word| word == key);
    text.lines().any(|line| is_it(line.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::has_key;

    #[test]
    fn a_key_is_found_whatever_stands_beside_it() {
        let public = "ssh-ed25519 AAAA me@here";
        for text in ["ssh-ed25519 AAAA", "x\n from=\"a b\" ssh-ed25519 AAAA other\n"] {
            assert!(has_key(text, public), "{text}");
        }
        for text in ["", "# ssh-ed25519 AAAA\n", "ssh-ed25519 AAAAB\n"] {
            assert!(!has_key(text, public), "{text}");
        }
    }
}
