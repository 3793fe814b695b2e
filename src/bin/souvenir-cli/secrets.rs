//! Where passphrases come from: a file, an open descriptor, the environment as duplicity has it, or
//! the terminal.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueHint};

use souvenir::engine::crypto::{PassphraseRequest, Passphrases, Secret};
use souvenir::engine::storage::{CredentialRequest, HostKey, WantedCredential};

/// Where passphrases come from. Without any of these, PASSPHRASE and SIGN_PASSPHRASE in the
/// environment are read, and what is still missing is asked for on the terminal.
#[derive(Debug, Args)]
pub struct PassphraseOptions {
    /// Read the passphrase from the first line of this file. Without this and --passphrase-fd,
    /// PASSPHRASE and, for the signing key, SIGN_PASSPHRASE in the environment are read; what is still
    /// missing is asked for on the terminal
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "passphrase_fd")]
    passphrase_file: Option<PathBuf>,

    /// Read the passphrase from the first line of this open file descriptor
    #[arg(long, value_name = "N")]
    passphrase_fd: Option<u32>,
}

/// The secrets that the environment held.
#[derive(Debug)]
pub struct Environment {
    archive: Option<Secret>,
    sign: Option<Secret>,
    places: PlaceSecrets,
    /// The secret of the access key for the place that is copied to.
    target_access_key: Option<Secret>,
}

/// Secrets that places ask for, known beforehand.
#[derive(Debug, Clone)]
pub struct PlaceSecrets {
    /// The password of a server.
    server: Option<Secret>,
    /// The secret of an access key of an object store.
    access_key: Option<Secret>,
}

impl Environment {
    /// Takes them out of the environment, which every program that is started from here would
    /// otherwise inherit. To be called first of all, while there is one thread.
    pub fn take() -> Self {
        let take = |name| {
            let secret = std::env::var_os(name).map(|text| Secret::new(text.into_vec()));
            // SAFETY: nothing else runs yet that could read the environment at the same time.
            #[allow(unsafe_code, reason = "a passphrase must not stand in the environment of a child")]
            unsafe {
                std::env::remove_var(name);
            }
            secret
        };
        Self {
            archive: take("PASSPHRASE"),
            sign: take("SIGN_PASSPHRASE"),
            places: PlaceSecrets {
                // As duplicity has it for all servers, whatever they speak.
                server: take("FTP_PASSWORD"),
                access_key: take("AWS_SECRET_ACCESS_KEY"),
            },
            target_access_key: take("TO_AWS_SECRET_ACCESS_KEY"),
        }
    }

    /// The secret of the access key for the place that is copied to.
    pub fn target_access_key(&self) -> Option<Secret> {
        self.target_access_key.clone()
    }

    /// What places may ask for.
    pub fn places(&self) -> PlaceSecrets {
        self.places.clone()
    }
}

impl PassphraseOptions {
    /// The passphrases that need not be asked for.
    pub fn read(&self, environment: Environment) -> anyhow::Result<Passphrases> {
        let passphrases = Passphrases::new();
        if let Some(path) = &self.passphrase_file {
            let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
            let secret =
                Secret::from_reader(file).with_context(|| format!("cannot read {}", path.display()))?;
            passphrases.set_archive(secret);
        } else if let Some(number) = self.passphrase_fd {
            let file =
                descriptor(number).with_context(|| format!("descriptor {number} is not open for reading"))?;
            let secret =
                Secret::from_reader(file).with_context(|| format!("cannot read descriptor {number}"))?;
            passphrases.set_archive(secret);
        } else if let Some(secret) = environment.archive {
            passphrases.set_archive(secret);
        }
        if let Some(secret) = environment.sign {
            passphrases.set_sign(secret);
        }
        Ok(passphrases)
    }
}

/// A descriptor that whoever started the program left open. Opening it through `/proc` gives one of
/// our own without taking the number on trust.
fn descriptor(number: u32) -> std::io::Result<File> {
    File::open(format!("/proc/self/fd/{number}"))
}

/// Asks on the terminal. `None` if there is none, or nothing was typed.
pub fn ask(request: &PassphraseRequest) -> Option<Secret> {
    if request.previous_was_wrong && request.opened_others {
        say("That passphrase does not open all of it. Some of it may have another one.");
    } else if request.previous_was_wrong {
        say("That passphrase is not right.");
    }
    loop {
        let first = read_hidden(&format!("Passphrase for {}: ", request.what))?;
        if !request.confirm {
            return Some(first);
        }
        let second = read_hidden("The same again: ")?;
        if first.expose() == second.expose() {
            return Some(first);
        }
        say("The two are not the same.");
    }
}

/// Asks on the terminal for what a place wants to know. What is known beforehand is the first answer.
pub fn ask_credential(request: &CredentialRequest, known: &PlaceSecrets) -> Option<Secret> {
    let known = match &request.wanted {
        _ if request.previous_was_wrong => &None,
        WantedCredential::Password { .. } => &known.server,
        // It belongs to the key that the environment names, if it names one.
        WantedCredential::SecretKey { key_id }
            if std::env::var("AWS_ACCESS_KEY_ID").is_ok_and(|own| own != *key_id) =>
        {
            &None
        }
        WantedCredential::SecretKey { .. } => &known.access_key,
        WantedCredential::KeyPassphrase { .. } | WantedCredential::Prompt { .. } => &None,
    };
    if known.is_some() {
        return known.clone();
    }
    if request.previous_was_wrong {
        say("That is not right.");
    }
    match &request.wanted {
        WantedCredential::Password { user } => {
            read_hidden(&format!("Password of {user} for {}: ", request.location))
        }
        WantedCredential::SecretKey { key_id } => {
            read_hidden(&format!("Secret of the access key {key_id} for {}: ", request.location))
        }
        WantedCredential::KeyPassphrase { path } => {
            read_hidden(&format!("Passphrase for the key {}: ", path.display()))
        }
        WantedCredential::Prompt { text, echo: true } => read_line(text).map(Secret::new),
        WantedCredential::Prompt { text, echo: false } => read_hidden(text),
    }
}

/// Asks on the terminal whether a server is the right one. Without a terminal it is not.
pub fn confirm_host_key(key: &HostKey) -> bool {
    let HostKey { host, algorithm, fingerprint } = key;
    say(&format!("{host} is not known yet. It shows the key {fingerprint} ({algorithm})."));
    read_line("Is that the right server? [yes/no] ").is_some_and(|answer| answer.trim() == "yes")
}

/// Asks whether to go on with the backups of a machine of another name.
pub fn confirm_other_host(found: &str) -> bool {
    say(&format!("The last backup was made on a machine called {found}."));
    read_line("Is it the same one, so that only what has changed is stored? Else it will be a full backup. [yes/no] ")
        .is_some_and(|answer| answer.trim() == "yes")
}

/// A line from the terminal, wherever standard input comes from.
fn read_line(prompt: &str) -> Option<String> {
    let mut terminal = File::options().read(true).write(true).open("/dev/tty").ok()?;
    terminal.write_all(prompt.as_bytes()).ok()?;
    let mut line = String::new();
    BufReader::new(terminal).read_line(&mut line).ok()?;
    Some(line.trim_end_matches(['\n', '\r']).to_owned())
}

fn read_hidden(prompt: &str) -> Option<Secret> {
    // Fails where there is no terminal, and then nobody is there to answer.
    let text = rpassword::prompt_password(prompt).ok()?;
    (!text.is_empty()).then(|| Secret::new(text))
}

#[allow(clippy::print_stderr, reason = "a word to whoever is typing")]
fn say(text: &str) {
    eprintln!("{text}");
}
