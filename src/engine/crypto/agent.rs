//! What is known of the gpg-agent of a keyring.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};

/// An agent, asked once for all clones.
#[derive(Debug, Clone, Default)]
pub(super) struct Agent {
    asks_alone: Arc<OnceLock<bool>>,
}

impl Agent {
    /// Whether nobody but its own pinentry may ask for passphrases (`no-allow-loopback-pinentry`). To sign, gpg then
    /// fails in the loopback mode, rather than to fall back as it does to decrypt.
    pub(super) fn asks_alone(&self, home: Option<&Path>) -> bool {
        *self.asks_alone.get_or_init(|| has_option(home, "no-allow-loopback-pinentry"))
    }
}

/// Whether an option of the agent is set. `gpgconf` lists one in a line, with its value in the last of the fields
/// between colons.
fn has_option(home: Option<&Path>, option: &str) -> bool {
    let mut command = Command::new("gpgconf");
    if let Some(home) = home {
        command.arg("--homedir").arg(home);
    }
    let listed = command.args(["--list-options", "gpg-agent"]).stdin(Stdio::null()).output();
    // Whatever is wrong with gpg is told where it is needed.
    listed.is_ok_and(|listed| is_set(&String::from_utf8_lossy(&listed.stdout), option))
}

fn is_set(listed: &str, option: &str) -> bool {
    let fields = listed.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let mut of_option = fields.filter(|fields| fields.first() == Some(&option));
    of_option.any(|fields| fields.last().is_some_and(|value| !value.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_set_if_it_has_a_value() {
        let listed = "Monitor:1:0:Options:0:0::::\nno-allow-loopback-pinentry:8:2:disallow:0:0::::1\n\
                      allow-emacs-pinentry:8:2:allow:0:0::::\n";
        assert!(is_set(listed, "no-allow-loopback-pinentry"));
        assert!(!is_set(listed, "allow-emacs-pinentry") && !is_set(listed, "allow") && !is_set("", ""));
    }
}
