//! Owner trust: how far gpg's owner trusts a key's owner. Without it the gpg command line hesitates to
//! encrypt to a key that came from a file, one's own included.
//!
//! gpgme has no words for it in files, so gpg itself is run here.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::Write;
use std::process::{Command, Stdio};

use gpgme::Validity;

use super::error::CryptoError;
use super::keys::Keyring;

/// The owner trust of a key as `gpg --export-ownertrust` writes it.
pub(super) fn line_of(key: &gpgme::Key) -> String {
    let mut text = String::from("# Owner trust. Take it in with: gpg --import-ownertrust\n");
    // As in GnuPG's g10/trust.h; zero would be "not known".
    let value = match key.owner_trust() {
        Validity::Undefined => 2,
        Validity::Never => 3,
        Validity::Marginal => 4,
        Validity::Full => 5,
        Validity::Ultimate => 6,
        _ => return text,
    };
    if let Ok(fingerprint) = key.fingerprint() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{fingerprint}:{value}:");
    }
    text
}

/// Whether a text is what `gpg --export-ownertrust` writes.
pub(super) fn is_trust(text: &str) -> bool {
    let mut lines = text.lines().filter(|line| !is_remark(line)).peekable();
    let is_empty = lines.peek().is_none();
    lines.all(|line| entry(line).is_some()) && (!is_empty || text.contains("trust"))
}

fn is_remark(line: &str) -> bool {
    line.starts_with('#') || line.trim().is_empty()
}

/// The fingerprint and the value of a line.
fn entry(line: &str) -> Option<(&str, u8)> {
    let (fingerprint, rest) = line.trim().split_once(':')?;
    let value = rest.strip_suffix(':')?.parse().ok()?;
    let is_fingerprint =
        matches!(fingerprint.len(), 40 | 64) && fingerprint.bytes().all(|digit| digit.is_ascii_hexdigit());
    (is_fingerprint && (2..=6).contains(&value)).then_some((fingerprint, value))
}

impl Keyring {
    /// Takes in the owner trust of some keys, and of no others that the text may name. Gives those whose
    /// trust it told.
    pub(super) fn import_trust(
        &self,
        text: &str,
        keys: &HashSet<String>,
    ) -> Result<HashSet<String>, CryptoError> {
        let mut wanted = String::new();
        let mut told = HashSet::new();
        for (fingerprint, value) in text.lines().filter_map(entry) {
            let fingerprint = fingerprint.to_ascii_uppercase();
            if keys.contains(&fingerprint) {
                // Writing to a String cannot fail.
                let _ = writeln!(wanted, "{fingerprint}:{value}:");
                told.insert(fingerprint);
            }
        }
        if !told.is_empty() {
            self.run_gpg(&["--import-ownertrust"], wanted.as_bytes())?;
        }
        Ok(told)
    }

    /// Runs the gpg that gpgme uses, which must succeed. For what cannot ask anything.
    fn run_gpg(&self, arguments: &[&str], input: &[u8]) -> Result<(), CryptoError> {
        let failed = |error: std::io::Error| CryptoError::Other(format!("running gpg: {error}"));
        let context = self.context()?;
        let info = context.engine_info();
        let mut command = Command::new(info.path().map_err(|_| CryptoError::GpgMissing)?);
        if let Some(home) = self.home() {
            command.arg("--homedir").arg(home);
        }
        let mut child = command
            .args(["--batch", "--no-tty"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            // If gpg ends before it read everything, its status tells.
            let _ = stdin.write_all(input);
        }
        let output = child.wait_with_output().map_err(failed)?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().last().unwrap_or("it said nothing");
        Err(CryptoError::Other(last.trim_start_matches("gpg: ").to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINGERPRINT: &str = "02C5C5CFDE1BDB89FA0B122AEA3D4B480588A413";

    #[test]
    fn trust_is_told_from_other_texts() {
        assert!(is_trust(&format!("# List of assigned trustvalues, created 2026\n{FINGERPRINT}:6:\n")));
        assert!(is_trust("# Owner trust. Take it in with: gpg --import-ownertrust\n"));
        for other in ["", "-----BEGIN PGP PUBLIC KEY BLOCK-----", "02C5:6:", "# remarks\n"] {
            assert!(!is_trust(other), "{other:?}");
        }
        assert_eq!(entry(&format!("{FINGERPRINT}:7:")), None);
    }
}
