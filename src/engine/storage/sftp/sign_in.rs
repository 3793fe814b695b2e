//! Signing in, with what ssh would try in its order: the agent's keys, key files, questions of the server, a
//! password.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ssh2::{KeyboardInteractivePrompt, Prompt};

use super::config::HostConfig;
use super::connection::Line;
use super::fault::Fault;
use crate::engine::crypto::Secret;
use crate::engine::error::Error;
use crate::engine::job::Job;
use crate::engine::storage::{
    CredentialRequest, StorageError, StorageErrorKind, StorageResult, WantedCredential,
};

/// How often a wrong answer may be given.
const ANSWERS: u32 = 3;

/// The key that is made for signing in without a password.
pub const OWN_KEY: &str = "id_ed25519_souvenir";

/// Key files that are tried where the configuration names none.
const USUAL_KEYS: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];

/// What was learned of who signs in. Later connections do not ask again.
#[derive(Debug, Default)]
pub struct Known {
    secrets: Mutex<Secrets>,
}

#[derive(Debug, Default)]
struct Secrets {
    password: Option<Secret>,
    passphrases: Vec<(PathBuf, Secret)>,
    /// The server wanted something that may be used only once.
    asked_by_server: bool,
}

impl Known {
    /// Knows a password beforehand.
    pub fn new(password: Option<Secret>) -> Self {
        Self { secrets: Mutex::new(Secrets { password, ..Secrets::default() }) }
    }

    /// Whether each further sign-in would be a question to a person.
    pub fn asks_each_time(&self) -> bool {
        self.with(|secrets| secrets.asked_by_server)
    }

    fn with<T>(&self, look: impl FnOnce(&mut Secrets) -> T) -> T {
        look(&mut self.secrets.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Everything that signing in takes.
pub struct SignIn<'a> {
    pub line: &'a Line,
    pub user: &'a str,
    pub home: &'a Path,
    /// The agent's socket.
    pub agent: Option<&'a Path>,
    pub config: &'a HostConfig,
    pub known: &'a Known,
    /// Only this key is tried.
    pub only_key: Option<&'a Path>,
    pub location: String,
    pub job: &'a Job,
}

/// What came of one way to sign in.
enum Way {
    In,
    Refused,
    /// A person did not want to answer, and is not to be asked in another way.
    Declined,
}

impl SignIn<'_> {
    /// Signs in, or says what was tried.
    pub fn run(&self) -> StorageResult<()> {
        let mut tried = Vec::new();
        let result = self.try_all(&mut tried);
        match result {
            Ok(Way::In) => Ok(()),
            Ok(Way::Refused | Way::Declined) => {
                let tried =
                    if tried.is_empty() { "nothing that it offers".to_owned() } else { tried.join(", ") };
                Err(self.refused(format!("the server does not let {} in; tried: {tried}", self.user)))
            }
            Err(error) if error.kind == StorageErrorKind::Unreachable && tried.len() > 1 => {
                // Servers hang up after a number of wrong attempts; during the first it is the line.
                let text = format!("the server hung up; tried: {}: {}", tried.join(", "), error.source);
                Err(self.refused(text))
            }
            Err(error) => Err(error),
        }
    }

    fn try_all(&self, tried: &mut Vec<String>) -> StorageResult<Way> {
        let Some(mut offered) = self.offered()? else { return Ok(Way::In) };
        let offers = |offered: &str, way: &str| offered.split(',').any(|offer| offer == way);
        if offers(&offered, "publickey") {
            if self.only_key.is_none()
                && let Way::In = self.with_agent(tried)?
            {
                return Ok(Way::In);
            }
            for path in self.key_files() {
                if let Way::In = self.with_key_file(&path, tried)? {
                    return Ok(Way::In);
                }
            }
        }
        if self.only_key.is_some() {
            return Ok(Way::Refused);
        }
        if offered == "publickey" {
            // What it wants besides the key it may say once it has seen that.
            let Some(then) = self.offered()? else { return Ok(Way::In) };
            offered = then;
        }
        if offers(&offered, "keyboard-interactive") {
            match self.with_questions(tried)? {
                Way::Refused => {}
                way => return Ok(way),
            }
        }
        if offers(&offered, "password") { self.with_password(tried) } else { Ok(Way::Refused) }
    }

    /// What the server would take, separated by commas; nothing if it lets in whoever comes.
    fn offered(&self) -> StorageResult<Option<String>> {
        let offered = self.call(|session| session.auth_methods(self.user).map(str::to_owned));
        match offered {
            _ if self.line.session.authenticated() => Ok(None),
            Ok(offered) => Ok(Some(offered)),
            Err(fault) => Err(self.failed(fault)),
        }
    }

    fn with_agent(&self, tried: &mut Vec<String>) -> StorageResult<Way> {
        let path = match self.config.identity_agent.as_deref() {
            Some("none") => return Ok(Way::Refused),
            Some("SSH_AUTH_SOCK") | None => self.agent.map(Path::to_owned),
            Some(path) => {
                Some(path.strip_prefix("~/").map_or_else(|| path.into(), |path| self.home.join(path)))
            }
        };
        let Some(path) = path else { return Ok(Way::Refused) };
        let connect = || {
            let mut agent = self.line.session.agent()?;
            agent.set_identity_path(&path)?;
            agent.connect()?;
            agent.list_identities()?;
            let identities = agent.identities()?;
            Ok::<_, ssh2::Error>((agent, identities))
        };
        let (agent, identities) = match connect() {
            Ok(connected) => connected,
            Err(error) => {
                tracing::debug!(%error, "no agent");
                return Ok(Way::Refused);
            }
        };
        let wanted: Vec<_> = self.key_files().iter().filter_map(|path| public_key(path)).collect();
        let only_wanted = self.config.identities_only == Some(true);
        for identity in &identities {
            if only_wanted && !wanted.iter().any(|key| key == identity.blob()) {
                continue;
            }
            tried.push(format!("the agent's key {}", identity.comment()));
            match self.call(|_| agent.userauth(self.user, identity)) {
                Ok(()) => return Ok(Way::In),
                Err(fault) if fault.kind() == StorageErrorKind::Unreachable && self.is_connected() => {
                    tracing::debug!(?fault, "the agent did not sign");
                }
                Err(fault) if fault.is_refusal() => {}
                Err(fault) => return Err(self.failed(fault)),
            }
        }
        Ok(Way::Refused)
    }

    fn with_key_file(&self, path: &Path, tried: &mut Vec<String>) -> StorageResult<Way> {
        let Ok(text) = fs::read(path) else { return Ok(Way::Refused) };
        tried.push(format!("the key {}", path.display()));
        if !is_encrypted(&text) {
            return self.key_attempt(path, None).map(|way| way.unwrap_or(Way::Refused));
        }
        let known = self.known.with(|secrets| {
            secrets.passphrases.iter().find(|(known, _)| known == path).map(|(_, secret)| secret.clone())
        });
        if let Some(passphrase) = known {
            return self.key_attempt(path, Some(&passphrase)).map(|way| way.unwrap_or(Way::Refused));
        }
        for attempt in 0..ANSWERS {
            let wanted = WantedCredential::KeyPassphrase { path: path.to_owned() };
            let Some(passphrase) = self.ask(wanted, attempt > 0)? else { break };
            if let Some(way) = self.key_attempt(path, Some(&passphrase))? {
                self.known.with(|secrets| secrets.passphrases.push((path.to_owned(), passphrase)));
                return Ok(way);
            }
        }
        Ok(Way::Refused)
    }

    /// `None` if the key could not be opened.
    fn key_attempt(&self, path: &Path, passphrase: Option<&Secret>) -> StorageResult<Option<Way>> {
        let passphrase = match passphrase.map(text_of) {
            Some(None) => return Ok(None),
            passphrase => passphrase.flatten(),
        };
        match self.call(|session| session.userauth_pubkey_file(self.user, None, path, passphrase)) {
            Ok(()) => Ok(Some(Way::In)),
            Err(fault) if fault.is_about_the_key_file() => Ok(None),
            Err(fault) if fault.is_refusal() => Ok(Some(Way::Refused)),
            Err(fault) if self.is_connected() && matches!(fault, Fault::Ssh(_)) => {
                tracing::debug!(?fault, path = %path.display(), "the key cannot be used");
                Ok(None)
            }
            Err(fault) => Err(self.failed(fault)),
        }
    }

    fn with_questions(&self, tried: &mut Vec<String>) -> StorageResult<Way> {
        for attempt in 0..ANSWERS {
            let mut prompter = Prompter { sign_in: self, attempt, declined: None, answered: None, asked: 0 };
            let result = self.call(|session| session.userauth_keyboard_interactive(self.user, &mut prompter));
            let Prompter { declined, answered, asked, .. } = prompter;
            if let Some(error) = declined {
                return error.map_or(Ok(Way::Declined), Err);
            }
            match result {
                Ok(()) => {
                    if let Some(password) = answered {
                        self.known.with(|secrets| secrets.password = Some(password));
                    }
                    return Ok(Way::In);
                }
                Err(fault) if fault.is_refusal() => {
                    self.known.with(|secrets| secrets.password = None);
                    if attempt == 0 {
                        tried.push("answers to the server's questions".to_owned());
                    }
                    // A server that asks nothing has no answers to refuse.
                    if asked == 0 {
                        return Ok(Way::Refused);
                    }
                }
                Err(fault) => return Err(self.failed(fault)),
            }
        }
        Ok(Way::Declined)
    }

    fn with_password(&self, tried: &mut Vec<String>) -> StorageResult<Way> {
        let mut was_wrong = false;
        for _ in 0..ANSWERS {
            let known = self.known.with(|secrets| secrets.password.take());
            let wanted = WantedCredential::Password { user: self.user.to_owned() };
            let password = match known {
                Some(password) => password,
                None => match self.ask(wanted, was_wrong)? {
                    Some(password) => password,
                    None => break,
                },
            };
            if !was_wrong {
                tried.push("a password".to_owned());
            }
            was_wrong = true;
            let Some(text) = text_of(&password) else { continue };
            match self.call(|session| session.userauth_password(self.user, text)) {
                Ok(()) => {
                    self.known.with(|secrets| secrets.password = Some(password));
                    return Ok(Way::In);
                }
                Err(fault) if fault.is_refusal() => {}
                Err(fault) => return Err(self.failed(fault)),
            }
        }
        Ok(Way::Refused)
    }

    /// Key files to try: those of the configuration, else the usual ones; always the one of this program.
    fn key_files(&self) -> Vec<PathBuf> {
        if let Some(only) = self.only_key {
            return vec![only.to_owned()];
        }
        let folder = self.home.join(".ssh");
        let mut paths = match &self.config.identity_files[..] {
            [] => USUAL_KEYS.map(|name| folder.join(name)).to_vec(),
            named => named.to_vec(),
        };
        let own = folder.join(OWN_KEY);
        if !paths.contains(&own) {
            paths.push(own);
        }
        // Those that can be used without a question come first.
        paths.sort_by_key(|path| fs::read(path).is_ok_and(|text| is_encrypted(&text)));
        paths
    }

    fn ask(&self, wanted: WantedCredential, previous_was_wrong: bool) -> StorageResult<Option<Secret>> {
        let request = CredentialRequest { location: self.location.clone(), wanted, previous_was_wrong };
        self.job.ask_credential(request).map_err(|error| self.stopped(&error))
    }

    fn stopped(&self, error: &Error) -> StorageError {
        let kind = match error {
            Error::Cancelled(reason) => StorageErrorKind::Cancelled(*reason),
            _ => StorageErrorKind::Credentials,
        };
        StorageError::new(kind, "signing in to", self.location.clone(), error.to_string())
    }

    fn call<T>(&self, call: impl FnMut(&ssh2::Session) -> Result<T, ssh2::Error>) -> Result<T, Fault> {
        self.line.run(call)
    }

    /// Whether the trouble is not one of the line.
    fn is_connected(&self) -> bool {
        self.line.run(|session| session.keepalive_send()).is_ok()
    }

    fn failed(&self, fault: Fault) -> StorageError {
        fault.into_error("signing in to", self.location.clone())
    }

    fn refused(&self, reason: String) -> StorageError {
        StorageError::new(StorageErrorKind::Credentials, "signing in to", self.location.clone(), reason)
    }
}

/// Answers the server's questions.
struct Prompter<'a> {
    sign_in: &'a SignIn<'a>,
    attempt: u32,
    /// Set once a question was not answered; with the reason, if that ends everything.
    declined: Option<Option<StorageError>>,
    /// The answer, if it was to the question for the password.
    answered: Option<Secret>,
    asked: usize,
}

impl Prompter<'_> {
    fn answer(&mut self, prompt: &Prompt<'_>) -> String {
        let known = &self.sign_in.known;
        let is_password = !prompt.echo && prompt.text.to_lowercase().contains("password");
        self.asked += 1;
        if is_password && let Some(password) = known.with(|secrets| secrets.password.clone()) {
            return String::from_utf8_lossy(password.expose()).into_owned();
        }
        let wanted = if is_password {
            WantedCredential::Password { user: self.sign_in.user.to_owned() }
        } else {
            known.with(|secrets| secrets.asked_by_server = true);
            WantedCredential::Prompt { text: prompt.text.clone().into_owned(), echo: prompt.echo }
        };
        match self.sign_in.ask(wanted, self.attempt > 0) {
            Ok(Some(answer)) => {
                let text = String::from_utf8_lossy(answer.expose()).into_owned();
                if is_password {
                    self.answered = Some(answer);
                }
                text
            }
            Ok(None) => {
                self.declined = Some(None);
                String::new()
            }
            Err(error) => {
                self.declined = Some(Some(error));
                String::new()
            }
        }
    }
}

impl KeyboardInteractivePrompt for Prompter<'_> {
    fn prompt<'b>(&mut self, _user: &str, _instructions: &str, prompts: &[Prompt<'b>]) -> Vec<String> {
        let mut answers = Vec::new();
        for prompt in prompts {
            let answer = if self.declined.is_none() { self.answer(prompt) } else { String::new() };
            answers.push(answer);
        }
        answers
    }
}

/// libssh2 takes text only.
fn text_of(secret: &Secret) -> Option<&str> {
    std::str::from_utf8(secret.expose()).ok()
}

/// The public key beside a key file, as the protocol has it.
fn public_key(path: &Path) -> Option<Vec<u8>> {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    let text = fs::read_to_string(name).ok()?;
    STANDARD.decode(text.split_ascii_whitespace().nth(1)?).ok()
}

/// Whether a key file can only be opened with a passphrase.
fn is_encrypted(file: &[u8]) -> bool {
    let text = String::from_utf8_lossy(file);
    if text.contains("ENCRYPTED") {
        return true;
    }
    let Some((_, rest)) = text.split_once("-----BEGIN OPENSSH PRIVATE KEY-----") else { return false };
    let body: String = rest.split("-----END").next().unwrap_or_default().split_ascii_whitespace().collect();
    let Ok(key) = STANDARD.decode(body) else { return false };
    // PROTOCOL.key of OpenSSH: a magic word, then the name of the cipher with its length.
    key.strip_prefix(b"openssh-key-v1\0\0\0\0").is_some_and(|rest| !rest.starts_with(b"\x04none"))
}
