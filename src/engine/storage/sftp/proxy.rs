//! A way to a server that leads through a program: `ProxyJump` and `ProxyCommand` of ssh_config(5). The program's input and
//! output are the line to the server.

use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How much of what a program says is kept, in bytes: its last words matter.
const KEPT_BYTES: usize = 4_096;

/// How long a program whose line has ended may take to say why.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What leads to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proxy {
    /// Hosts to go through with ssh, one after the other, separated by commas.
    Jump(String),
    /// A command of a shell.
    Command(String),
}

/// The server, and what a program on the way to it has to know.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The name that somebody typed.
    pub original_host: &'a str,
    /// The name or address of the server.
    pub host: &'a str,
    /// Its port.
    pub port: u16,
    /// Who signs in there.
    pub user: &'a str,
    /// The home folder with the folder `.ssh`.
    pub home: &'a Path,
    /// The socket of the agent that has keys.
    pub agent: Option<&'a Path>,
    /// How long to try to reach the first host.
    pub patience: Duration,
}

impl Proxy {
    /// Starts the program, and gives our end of the line.
    pub fn start(&self, target: &Target<'_>) -> io::Result<(UnixStream, Guide)> {
        let mut command = match self {
            Self::Jump(hops) => jump(hops, target)?,
            Self::Command(template) => {
                let mut command = Command::new("/bin/sh");
                command.arg("-c").arg(format!("exec {}", expanded(template, target)?));
                command
            }
        };
        match target.agent {
            Some(agent) => command.env("SSH_AUTH_SOCK", agent),
            None => command.env_remove("SSH_AUTH_SOCK"),
        };
        let name = PathBuf::from(command.get_program());
        let (ours, theirs) = UnixStream::pair()?;
        let mut child = command
            // Ctrl+C in a terminal is for us: what was begun is put in order by this line.
            .process_group(0)
            // What it says is looked at.
            .env("LC_ALL", "C")
            .stdin(OwnedFd::from(theirs.try_clone()?))
            .stdout(OwnedFd::from(theirs))
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", name.display())))?;
        let said = Arc::default();
        if let Some(errors) = child.stderr.take() {
            let said = Arc::clone(&said);
            std::thread::Builder::new()
                .name("souvenir-proxy".to_owned())
                .spawn(move || keep_last_words(errors, &said))?;
        }
        Ok((ours, Guide { child, said }))
    }
}

impl std::fmt::Display for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Jump(hops) => f.write_str(hops),
            Self::Command(command) => f.write_str(command),
        }
    }
}

/// A program that leads to a server. It is ended when this is dropped.
#[derive(Debug)]
pub struct Guide {
    child: Child,
    said: Arc<Mutex<Vec<u8>>>,
}

impl Guide {
    /// What a program said at its end, once the line has ended; none if it goes on or said nothing.
    pub fn last_words(&mut self) -> Option<String> {
        let begun = Instant::now();
        while self.child.try_wait().ok()?.is_none() {
            if begun.elapsed() > LAST_WORDS {
                return None;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        loop {
            let said = self.said.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let text = String::from_utf8_lossy(&said);
            if let Some(line) = text.lines().rev().map(str::trim).find(|line| !line.is_empty()) {
                return Some(line.to_owned());
            }
            if begun.elapsed() > LAST_WORDS {
                return None;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Guide {
    fn drop(&mut self) {
        // It fails if the program has ended, and then there is nothing to wait for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn keep_last_words(mut errors: ChildStderr, said: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 1_024];
    while let Ok(count @ 1..) = errors.read(&mut buffer) {
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        said.extend_from_slice(&buffer[..count]);
        let surplus = said.len().saturating_sub(KEPT_BYTES);
        said.drain(..surplus);
    }
}

/// As ssh does it itself: the last host is asked to connect, by way of those before it.
fn jump(hops: &str, target: &Target<'_>) -> io::Result<Command> {
    let (before, last) = match hops.rsplit_once(',') {
        Some((before, last)) => (Some(before.trim()), last.trim()),
        None => (None, hops.trim()),
    };
    let last = last.strip_prefix("ssh://").unwrap_or(last);
    let (user, host) = last.rsplit_once('@').map_or((None, last), |(user, host)| (Some(user), host));
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) if host.starts_with('[') || !host.contains(':') => (host, Some(port)),
        _ => (host, None),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let mut command = Command::new("ssh");
    // Nobody is there to be asked.
    command.args([
        "-o",
        "BatchMode=yes",
        "-o",
        &format!("ConnectTimeout={}", target.patience.as_secs().max(1)),
    ]);
    // ssh looks into the home folder that the system knows.
    let system_home = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten().map(|user| user.dir);
    if system_home.as_deref() != Some(target.home) {
        command.arg("-F").arg(target.home.join(".ssh/config"));
    }
    for (option, value) in [("-J", before), ("-l", user), ("-p", port)] {
        if let Some(value) = value {
            command.args([option, harmless(value)?]);
        }
    }
    command.args(["-W", &format!("[{}]:{}", target.host, target.port), "--", harmless(host)?]);
    Ok(command)
}

/// A command with what ssh_config(5) lists under TOKENS for it.
fn expanded(template: &str, target: &Target<'_>) -> io::Result<String> {
    let mut command = String::new();
    let mut letters = template.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            command.push(letter);
            continue;
        }
        match letters.next() {
            Some('%') => command.push('%'),
            Some('h') => command.push_str(harmless(target.host)?),
            Some('n') => command.push_str(harmless(target.original_host)?),
            Some('p') => command.push_str(&target.port.to_string()),
            Some('r') => command.push_str(harmless(target.user)?),
            other => {
                let token = other.map(String::from).unwrap_or_default();
                return Err(io::Error::other(format!("%{token} in ProxyCommand is not known")));
            }
        }
    }
    Ok(command)
}

/// A name that means nothing to a shell and is no option.
fn harmless(name: &str) -> io::Result<&str> {
    let is_harmless = |letter: char| letter.is_alphanumeric() || "._-:@%+,[]/~".contains(letter);
    if name.is_empty() || name.starts_with('-') || !name.chars().all(is_harmless) {
        return Err(io::Error::other(format!("{name:?} cannot be given to a program on the way")));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target<'static> {
        Target {
            original_host: "nas",
            host: "fe80::1%eth0",
            port: 2_222,
            user: "ada",
            home: Path::new("/nobody"),
            agent: None,
            patience: Duration::from_secs(20),
        }
    }

    fn arguments(hops: &str) -> Vec<String> {
        let command = jump(hops, &target()).unwrap();
        command.get_args().skip(4).map(|argument| argument.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_last_host_connects_by_way_of_the_others() {
        let home = ["-F", "/nobody/.ssh/config"];
        let to = ["-W", "[fe80::1%eth0]:2222", "--"];
        for (hops, options, host) in [
            ("gate", &[][..], "gate"),
            ("bob@gate:99", &["-l", "bob", "-p", "99"], "gate"),
            ("ssh://bob@gate:99", &["-l", "bob", "-p", "99"], "gate"),
            ("one, bob@[::1]:99", &["-J", "one", "-l", "bob", "-p", "99"], "::1"),
            ("a@one:1,two,::1", &["-J", "a@one:1,two"], "::1"),
        ] {
            let expected = [&home, options, &to, &[host]].concat();
            assert_eq!(arguments(hops), expected, "{hops}");
        }
    }

    #[test]
    fn a_command_is_told_where_to() {
        let command = expanded("corkscrew p 80 %h %p # 100%% of %n for %r", &target()).unwrap();
        assert_eq!(command, "corkscrew p 80 fe80::1%eth0 2222 # 100% of nas for ada");
        assert!(expanded("nc %d", &target()).is_err());
        assert!(expanded("nc %", &target()).is_err());
    }

    #[test]
    fn a_name_is_never_a_command_or_an_option() {
        for name in ["$(reboot)", "a;b", "`a`", "a b", "-oProxyCommand=x", "a\nb", "'", ""] {
            assert!(expanded("nc %h", &Target { host: name, ..target() }).is_err(), "{name:?}");
            assert!(jump(name, &target()).is_err(), "{name:?}");
        }
    }
}
