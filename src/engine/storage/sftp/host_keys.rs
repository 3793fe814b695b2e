//! Whether a server is the one that it says it is. Nothing is sent to one that may not be.

use std::path::{Path, PathBuf};

use ssh2::{MethodType, Session};

use super::config::HostConfig;
use super::known_hosts::{KnownHosts, Verdict, fingerprint, full_name};
use crate::engine::error::Error;
use crate::engine::job::Job;
use crate::engine::storage::{HostKey, StorageError, StorageErrorKind, StorageResult};

/// The file that is for all users of this machine.
const EVERYBODYS: &str = "/etc/ssh/ssh_known_hosts";

/// Signatures that a kind of key can make, where they have other names. RFC 8332.
const RSA_SIGNATURES: [&str; 3] = ["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"];

/// Everything that checking takes.
pub struct Check<'a> {
    pub host: &'a str,
    pub port: u16,
    pub home: &'a Path,
    pub config: &'a HostConfig,
    pub job: &'a Job,
    pub location: String,
}

impl Check<'_> {
    /// Asks a server that has several keys for one that is known, so that it is not taken for another.
    /// Before the handshake.
    pub fn prefer_known(&self, session: &Session) -> StorageResult<()> {
        let known = self.known_hosts()?.algorithms(self.host, self.port);
        let fail = |error: ssh2::Error| self.error(StorageErrorKind::Other, error.message().to_owned());
        let supported = session.supported_algs(MethodType::HostKey).map_err(fail)?;
        let (first, then): (Vec<&str>, Vec<&str>) =
            supported.into_iter().partition(|name| known.iter().any(|known| is_made_by(name, known)));
        if !first.is_empty() {
            let all: Vec<_> = first.into_iter().chain(then).collect();
            session.method_pref(MethodType::HostKey, &all.join(",")).map_err(fail)?;
        }
        Ok(())
    }

    /// Checks the key that the server has shown. After the handshake, which has proved that the server has
    /// its secret half.
    pub fn run(&self, session: &Session) -> StorageResult<()> {
        let Some((key, _)) = session.host_key() else {
            return Err(self.error(StorageErrorKind::HostKey, "the server shows no key".to_owned()));
        };
        let algorithm = algorithm_of(key).ok_or_else(|| {
            self.error(StorageErrorKind::HostKey, "the server's key makes no sense".to_owned())
        })?;
        let known = self.known_hosts()?;
        let shown = fingerprint(key);
        match known.verdict(self.host, self.port, &algorithm, key) {
            Verdict::Known => Ok(()),
            Verdict::Changed => {
                let name = full_name(self.host, self.port);
                let reason = format!(
                    "the server shows another key than before: {shown} ({algorithm}). Either it was set up \
                     anew, or somebody pretends to be it. If you know that the new key is right, \
                     remove the old one with: ssh-keygen -R '{name}'"
                );
                Err(self.error(StorageErrorKind::HostKey, reason))
            }
            Verdict::Revoked => {
                let reason =
                    format!("the server's key {shown} is marked as revoked; somebody may have stolen it");
                Err(self.error(StorageErrorKind::HostKey, reason))
            }
            Verdict::Unknown => self.ask(&known, &algorithm, key, shown),
        }
    }

    fn ask(&self, known: &KnownHosts, algorithm: &str, key: &[u8], fingerprint: String) -> StorageResult<()> {
        let host = full_name(self.host, self.port);
        let question = HostKey { host, algorithm: algorithm.to_owned(), fingerprint: fingerprint.clone() };
        let accepted = self.job.ask_host_key(question).map_err(|error| match error {
            Error::Cancelled(reason) => self.error(StorageErrorKind::Cancelled(reason), "stopped".to_owned()),
            error => self.error(StorageErrorKind::HostKey, error.to_string()),
        })?;
        if !accepted {
            let reason = format!("nobody said that its key {fingerprint} ({algorithm}) is the right one");
            return Err(self.error(StorageErrorKind::HostKey, reason));
        }
        let added = known.add(self.host, self.port, algorithm, key, self.config.hash_known_hosts);
        if let Err(error) = added {
            // It was accepted all the same; next time it is asked again.
            tracing::warn!(%error, "the server's key could not be noted");
        }
        Ok(())
    }

    fn known_hosts(&self) -> StorageResult<KnownHosts> {
        let usual = || ["known_hosts", "known_hosts2"].map(|name| self.home.join(".ssh").join(name)).to_vec();
        let own: Vec<PathBuf> = self.config.known_hosts.clone().unwrap_or_else(usual);
        KnownHosts::read(&own, &[Path::new(EVERYBODYS)]).map_err(|error| {
            let reason = format!("the list of known servers cannot be read: {error}");
            self.error(StorageErrorKind::HostKey, reason)
        })
    }

    fn error(&self, kind: StorageErrorKind, reason: String) -> StorageError {
        StorageError::new(kind, "connecting to", self.location.clone(), reason)
    }
}

/// Whether a method of signing is one of a kind of key.
fn is_made_by(method: &str, algorithm: &str) -> bool {
    method == algorithm || (algorithm == "ssh-rsa" && RSA_SIGNATURES.contains(&method))
}

/// The kind of a key: it begins with its name, with the length of that in front. RFC 4253, section 6.6.
fn algorithm_of(key: &[u8]) -> Option<String> {
    let (length, rest) = key.split_first_chunk::<4>()?;
    let name = rest.get(..u32::from_be_bytes(*length) as usize)?;
    std::str::from_utf8(name).ok().map(str::to_owned)
}
