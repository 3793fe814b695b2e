//! A private keyring with a gpg-agent of its own, and the real gpg beside the library.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use souvenir::engine::crypto::Keyring;

/// A keyring in a temporary folder. Its agent ends with it.
pub struct Home(tempfile::TempDir);

/// Passphrases are stretched for next to no time, instead of a tenth of a second each.
const QUICK: &str = "s2k-count 65536\n";

impl Home {
    /// An empty keyring. The path is short, because sockets lie in it.
    pub fn new() -> Self {
        let private = std::fs::Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().prefix("gk").permissions(private).tempdir_in("/tmp").unwrap();
        let home = Self(folder);
        std::fs::write(home.file("gpg.conf"), QUICK).unwrap();
        home.agent_settings("");
        home
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn keyring(&self) -> Keyring {
        Keyring::at(self.path())
    }

    /// A path beside the keyring's own files.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Makes a key that signs and decrypts, and gives its fingerprint. `options` come before the command.
    pub fn key_with(&self, user_id: &str, passphrase: &str, expires: &str, options: &[&str]) -> String {
        let mut arguments = vec!["--passphrase", passphrase];
        arguments.extend(options);
        arguments.extend(["--quick-gen-key", user_id, "future-default", "default", expires]);
        self.gpg(&arguments, b"");
        self.fingerprints(user_id)[0].clone()
    }

    pub fn key(&self, user_id: &str, passphrase: &str) -> String {
        self.key_with(user_id, passphrase, "never", &[])
    }

    /// Fingerprints of the primary key and its subkeys.
    pub fn fingerprints(&self, user_id: &str) -> Vec<String> {
        let listing = self.gpg(&["--with-colons", "--list-keys", &format!("={user_id}")], b"");
        let text = String::from_utf8(listing).unwrap();
        text.lines()
            .filter_map(|line| line.strip_prefix("fpr:"))
            .map(|rest| rest.trim_matches(':').to_owned())
            .collect()
    }

    /// Runs gpg, which must succeed, and gives what it wrote.
    pub fn gpg(&self, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let output = self.try_gpg(arguments, input);
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "gpg {arguments:?}: {message}");
        output.stdout
    }

    pub fn try_gpg(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut child = Command::new("gpg")
            .arg("--homedir")
            .arg(self.path())
            .args(["--batch", "--no-tty", "--pinentry-mode", "loopback", "--trust-model", "always"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        std::thread::scope(|scope| {
            // gpg may end before it read everything.
            scope.spawn(move || drop(stdin.write_all(input)));
            child.wait_with_output().unwrap()
        })
    }

    /// Lets the agent forget every passphrase.
    pub fn forget(&self) {
        self.gpgconf(&["--kill", "gpg-agent"]);
    }

    /// Replaces the agent's settings.
    pub fn agent_settings(&self, text: &str) {
        std::fs::write(self.file("gpg-agent.conf"), format!("{QUICK}{text}")).unwrap();
        self.forget();
    }

    /// Process ids of gpg, not of its agent, that work in this keyring.
    pub fn running(&self) -> Vec<u32> {
        // As gpgme passes it.
        let home = format!("--homedir={}", self.path().display());
        let is_ours = |process: &Path| {
            let command = std::fs::read(process.join("cmdline")).unwrap_or_default();
            let mut words = command.split(|byte| *byte == 0);
            let program = words.next().unwrap_or_default();
            (program.ends_with(b"/gpg") || program == b"gpg") && words.any(|word| word == home.as_bytes())
        };
        std::fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter(|entry| is_ours(&entry.path()))
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect()
    }

    fn gpgconf(&self, arguments: &[&str]) {
        let status =
            Command::new("gpgconf").arg("--homedir").arg(self.path()).args(arguments).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.gpgconf(&["--kill", "all"]);
    }
}
