//! The keys of servers that a person has accepted: the files of ssh, read as sshd(8) describes them.
//!
//! libssh2 has a reader of its own, which knows neither wildcards nor revoked keys, and stops at the first
//! line that it does not understand; and it cannot say of what kinds the known keys of a host are.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use super::config::matches_any;

/// What the files say of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the server's.
    Known,
    /// Nothing is known of the server.
    Unknown,
    /// The server has another key.
    Changed,
    /// It must not be trusted any more.
    Revoked,
}

/// The files, read once.
#[derive(Debug)]
pub struct KnownHosts {
    /// The file that new keys are added to.
    own: PathBuf,
    entries: Vec<Entry>,
    /// Whether the files have hashed names.
    has_hashes: bool,
}

#[derive(Debug)]
struct Entry {
    is_revoked: bool,
    /// The names as they stand in the file.
    hosts: String,
    algorithm: String,
    key: String,
}

impl KnownHosts {
    /// Reads the files; those that are not there are empty. New keys go to the first.
    pub fn read(own: &[PathBuf], others: &[&Path]) -> io::Result<Self> {
        let Some(first) = own.first() else { return Err(io::ErrorKind::NotFound.into()) };
        let mut entries = Vec::new();
        for path in own.iter().map(PathBuf::as_path).chain(others.iter().copied()) {
            match fs::read(path) {
                Ok(text) => entries.extend(String::from_utf8_lossy(&text).lines().filter_map(Entry::parse)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        let has_hashes = entries.iter().any(|entry| entry.hosts.starts_with("|1|"));
        Ok(Self { own: first.clone(), entries, has_hashes })
    }

    /// What is known of a key that a server shows.
    pub fn verdict(&self, host: &str, port: u16, algorithm: &str, key: &[u8]) -> Verdict {
        let key = STANDARD.encode(key);
        let name = full_name(host, port);
        if self.of(&name).any(|entry| entry.is_revoked && entry.key == key) {
            return Verdict::Revoked;
        }
        let is_it = |entry: &Entry| !entry.is_revoked && entry.algorithm == algorithm && entry.key == key;
        if self.of(&name).any(is_it) {
            return Verdict::Known;
        }
        if self.of(&name).any(|entry| !entry.is_revoked) {
            return Verdict::Changed;
        }
        // As with ssh, a key that is known for the host at its usual port will do at another one.
        if name != host && self.of(host).any(is_it) { Verdict::Known } else { Verdict::Unknown }
    }

    /// The kinds of keys that are known of a server. It should show one of these, if it has several.
    pub fn algorithms(&self, host: &str, port: u16) -> Vec<String> {
        let name = full_name(host, port);
        let mut found: Vec<String> = Vec::new();
        for entry in self.of(&name).chain(self.of(host)).filter(|entry| !entry.is_revoked) {
            if !found.contains(&entry.algorithm) {
                found.push(entry.algorithm.clone());
            }
        }
        found
    }

    /// Adds a key to the end of the first file, which is made if it is missing. Names are hashed if
    /// `hash` says so, or else if some are already.
    pub fn add(
        &self,
        host: &str,
        port: u16,
        algorithm: &str,
        key: &[u8],
        hash: Option<bool>,
    ) -> io::Result<()> {
        let name = full_name(host, port).to_lowercase();
        let name = if hash.unwrap_or(self.has_hashes) { hashed(&name, &salt()) } else { name };
        if let Some(folder) = self.own.parent().filter(|folder| !folder.exists()) {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&self.own)?;
        let mut line = format!("{name} {algorithm} {}\n", STANDARD.encode(key));
        if file.seek(SeekFrom::End(0))? > 0 {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                line.insert(0, '\n');
            }
        }
        file.write_all(line.as_bytes())
    }

    fn of(&self, name: &str) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.is_of(name))
    }
}

impl Entry {
    /// A line. Those about certificate authorities are none: libssh2 knows no certificates.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace().peekable();
        let is_revoked = words.next_if_eq(&"@revoked").is_some();
        let hosts = words.next().filter(|word| !word.starts_with(['#', '@']))?.to_owned();
        let (algorithm, key) = (words.next()?.to_owned(), words.next()?.to_owned());
        Some(Self { is_revoked, hosts, algorithm, key })
    }

    fn is_of(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        if let Some(rest) = self.hosts.strip_prefix("|1|") {
            let salt = rest.split('|').next().and_then(|salt| STANDARD.decode(salt).ok());
            return salt.is_some_and(|salt| hashed(&name, &salt) == self.hosts);
        }
        let patterns: Vec<_> = self.hosts.split(',').collect();
        matches_any(&patterns, &name)
    }
}

/// A server as these files name it.
pub fn full_name(host: &str, port: u16) -> String {
    if port == 22 { host.to_owned() } else { format!("[{host}]:{port}") }
}

/// The fingerprint of a key as ssh prints it.
pub fn fingerprint(key: &[u8]) -> String {
    use sha2::{Digest as _, Sha256};
    let hash = base64::engine::general_purpose::STANDARD_NO_PAD.encode(Sha256::digest(key));
    format!("SHA256:{hash}")
}

fn salt() -> [u8; 20] {
    let mut salt = [0; 20];
    salt.fill_with(|| fastrand::u8(..));
    salt
}

/// `|1|salt|hash`, where the hash is HMAC-SHA1 of the name with the salt as its key.
fn hashed(name: &str, salt: &[u8]) -> String {
    format!("|1|{}|{}", STANDARD.encode(salt), STANDARD.encode(hmac_sha1(salt, name.as_bytes())))
}

/// HMAC as RFC 2104 defines it, for keys that are not longer than a block.
fn hmac_sha1(key: &[u8], text: &[u8]) -> Vec<u8> {
    let padded =
        |with: u8| -> [u8; 64] { std::array::from_fn(|index| key.get(index).copied().unwrap_or(0) ^ with) };
    let inner = Sha1::new().chain_update(padded(0x36)).chain_update(text).finalize();
    Sha1::new().chain_update(padded(0x5c)).chain_update(inner).finalize().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(text: &str) -> (tempfile::TempDir, KnownHosts) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".ssh/known_hosts");
        if !text.is_empty() {
            fs::create_dir(folder.path().join(".ssh")).unwrap();
            fs::write(&path, text).unwrap();
        }
        let hosts = KnownHosts::read(&[path], &[]).unwrap();
        (folder, hosts)
    }

    #[test]
    fn a_hash_is_the_one_of_ssh() {
        // Made by `ssh-keygen -H` of OpenSSH 10.0.
        let salt = STANDARD.decode("5S+0UOSu+fSnBmxBs3ZzdAaSGmg=").unwrap();
        assert_eq!(
            hashed("nas.example.org", &salt),
            "|1|5S+0UOSu+fSnBmxBs3ZzdAaSGmg=|5FOck0WfWSKVpT75uQrn8N9hDII="
        );
    }

    #[test]
    fn keys_are_told_apart() {
        let key = STANDARD.encode(b"right");
        let other = STANDARD.encode(b"other");
        let text = format!(
            "# comment\n\nnas,*.lan ssh-ed25519 {key} comment\n[nas]:2222 ssh-rsa {other}\nodd line\n\
             @revoked * ssh-ed25519 {}\n@cert-authority * ssh-rsa {other}\n",
            STANDARD.encode(b"stolen")
        );
        let (_folder, hosts) = known(&text);
        let verdict = |host, port, key: &[u8]| hosts.verdict(host, port, "ssh-ed25519", key);
        assert_eq!(verdict("nas", 22, b"right"), Verdict::Known);
        assert_eq!(verdict("NAS", 22, b"right"), Verdict::Known);
        assert_eq!(verdict("a.lan", 22, b"other"), Verdict::Changed);
        assert_eq!(verdict("nas", 2222, b"right"), Verdict::Changed);
        assert_eq!(verdict("nas", 7, b"right"), Verdict::Known);
        assert_eq!(verdict("nas", 7, b"other"), Verdict::Unknown);
        assert_eq!(verdict("else", 22, b"right"), Verdict::Unknown);
        assert_eq!(verdict("else", 22, b"stolen"), Verdict::Revoked);
        assert_eq!(hosts.algorithms("nas", 2222), ["ssh-rsa", "ssh-ed25519"]);
    }

    #[test]
    fn what_is_added_is_known_and_nothing_is_lost() {
        for hash in [Some(true), Some(false), None] {
            let (folder, hosts) = known("");
            let path = folder.path().join(".ssh/known_hosts");
            hosts.add("nas", 2222, "ssh-ed25519", b"right", hash).unwrap();
            fs::write(&path, format!("{}last line without its end", fs::read_to_string(&path).unwrap()))
                .unwrap();
            hosts.add("::1", 22, "ssh-rsa", b"other", hash).unwrap();
            let again = KnownHosts::read(std::slice::from_ref(&path), &[]).unwrap();
            assert_eq!(again.verdict("nas", 2222, "ssh-ed25519", b"right"), Verdict::Known);
            assert_eq!(again.verdict("::1", 22, "ssh-rsa", b"other"), Verdict::Known);
            let text = fs::read_to_string(&path).unwrap();
            assert_eq!(text.lines().count(), 3, "{text}");
            assert_eq!(text.starts_with("|1|"), hash == Some(true));
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
            assert_eq!(path.parent().unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o700);
        }
    }
}
