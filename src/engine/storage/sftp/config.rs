//! What `~/.ssh/config` says of a host: the part of ssh_config(5) that people rely on for a file server.

use std::fs;
use std::path::{Path, PathBuf};

use super::proxy::Proxy;

/// Files that include each other are followed so deep.
const INCLUDE_DEPTH: u32 = 8;

/// What is known of a host. As with ssh, of each setting the first value counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostConfig {
    /// The name or address to connect to.
    pub host_name: Option<String>,
    /// Who signs in.
    pub user: Option<String>,
    /// The port.
    pub port: Option<u16>,
    /// Key files, in the order in which they are tried.
    pub identity_files: Vec<PathBuf>,
    /// Whether of the agent's keys only those of the key files are tried.
    pub identities_only: Option<bool>,
    /// The agent's socket, or "none".
    pub identity_agent: Option<String>,
    /// Where the keys of servers are kept.
    pub known_hosts: Option<Vec<PathBuf>>,
    /// Whether the names of servers are kept as hashes.
    pub hash_known_hosts: Option<bool>,
    /// What leads there: the setting, whose value may be that nothing does.
    pub proxy: Option<Option<Proxy>>,
}

impl HostConfig {
    /// Reads what the configuration in `home` says of `host`.
    pub fn of(host: &str, home: &Path) -> Self {
        let mut reader = Reader { host, home, config: Self::default() };
        reader.file(&home.join(".ssh/config"), 0, true);
        if let Some(name) = &mut reader.config.host_name {
            *name = name.replace("%h", host).replace("%%", "%");
        }
        reader.config
    }
}

struct Reader<'a> {
    host: &'a str,
    home: &'a Path,
    config: HostConfig,
}

impl Reader<'_> {
    /// Reads a file. One that is not there or cannot be read says nothing.
    fn file(&mut self, path: &Path, depth: u32, applies: bool) {
        let Ok(text) = fs::read(path) else { return };
        let mut applies_now = applies;
        for line in String::from_utf8_lossy(&text).lines() {
            let words = words(line);
            let Some((keyword, arguments)) = words.split_first() else { continue };
            match keyword.to_ascii_lowercase().as_str() {
                "host" => applies_now = applies && matches_any(arguments, self.host),
                // What other conditions mean depends on more than the host.
                "match" => {
                    applies_now = applies && matches!(arguments, [all] if all.eq_ignore_ascii_case("all"));
                }
                "include" if applies_now && depth < INCLUDE_DEPTH => {
                    for pattern in arguments {
                        for path in self.included(pattern) {
                            self.file(&path, depth + 1, true);
                        }
                    }
                }
                "proxycommand" if applies_now => {
                    let command = rest(line);
                    let proxy = (!is_none(command)).then(|| Proxy::Command(command.to_owned()));
                    keep_first(&mut self.config.proxy, Some(proxy));
                }
                keyword if applies_now => self.setting(keyword, arguments),
                _ => {}
            }
        }
    }

    fn setting(&mut self, keyword: &str, arguments: &[String]) {
        let Some(first) = arguments.first() else { return };
        let yes = || Some(first.eq_ignore_ascii_case("yes"));
        let config = &mut self.config;
        match keyword {
            "hostname" => keep_first(&mut config.host_name, Some(first.clone())),
            "user" => keep_first(&mut config.user, Some(first.clone())),
            "port" => keep_first(&mut config.port, first.parse().ok()),
            "identitiesonly" => keep_first(&mut config.identities_only, yes()),
            "identityagent" => keep_first(&mut config.identity_agent, Some(first.clone())),
            "hashknownhosts" => keep_first(&mut config.hash_known_hosts, yes()),
            "identityfile" if !is_none(first) => {
                let path = expanded(first, self.home);
                if !config.identity_files.contains(&path) {
                    config.identity_files.push(path);
                }
            }
            "userknownhostsfile" => {
                let paths = arguments.iter().map(|path| expanded(path, self.home)).collect();
                keep_first(&mut config.known_hosts, Some(paths));
            }
            "proxyjump" => {
                let proxy = (!is_none(first)).then(|| Proxy::Jump(first.clone()));
                keep_first(&mut config.proxy, Some(proxy));
            }
            _ => {}
        }
    }

    /// The files that an `Include` names, in the order of their names.
    fn included(&self, pattern: &str) -> Vec<PathBuf> {
        let path = expanded(pattern, self.home);
        let path = if path.is_absolute() { path } else { self.home.join(".ssh").join(path) };
        let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str()))
        else {
            return Vec::new();
        };
        if !name.contains(['*', '?']) {
            return vec![path];
        }
        let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
        let mut found: Vec<_> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|found| !found.starts_with('.') && matches_pattern(name, found))
            .map(|found| folder.join(found))
            .collect();
        found.sort();
        found
    }
}

fn keep_first<T>(place: &mut Option<T>, value: Option<T>) {
    if place.is_none() {
        *place = value;
    }
}

fn is_none(value: &str) -> bool {
    value.eq_ignore_ascii_case("none")
}

/// What follows the keyword, as it is.
fn rest(line: &str) -> &str {
    let line = line.trim();
    let end = line.find([' ', '\t', '=']).unwrap_or(line.len());
    let rest = line[end..].trim_start();
    rest.strip_prefix('=').unwrap_or(rest).trim_start()
}

/// A path with `~` and `%d`, which both mean the home folder.
fn expanded(path: &str, home: &Path) -> PathBuf {
    let home_text = home.to_string_lossy();
    let path = path.replace("%d", &home_text);
    match path.strip_prefix("~/") {
        Some(rest) => home.join(rest),
        None if path == "~" => home.to_owned(),
        None => path.into(),
    }
}

/// The keyword and its arguments: separated by blanks or one `=`, with quotes around those that have blanks.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let (mut quoted, mut is_word) = (false, false);
    for letter in line.trim().chars() {
        match letter {
            '"' => {
                quoted = !quoted;
                is_word = true;
            }
            '#' if !quoted && !is_word => break,
            ' ' | '\t' if !quoted => {
                if std::mem::take(&mut is_word) {
                    words.push(std::mem::take(&mut word));
                }
            }
            '=' if !quoted && (words.is_empty() && is_word || words.len() == 1 && !is_word) => {
                if std::mem::take(&mut is_word) {
                    words.push(std::mem::take(&mut word));
                }
            }
            _ => {
                word.push(letter);
                is_word = true;
            }
        }
    }
    if is_word {
        words.push(word);
    }
    words
}

/// Whether one of the patterns fits, and none with an exclamation mark does.
pub fn matches_any<S: AsRef<str>>(patterns: &[S], host: &str) -> bool {
    let mut found = false;
    for pattern in patterns {
        match pattern.as_ref().strip_prefix('!') {
            Some(pattern) if matches_pattern(pattern, host) => return false,
            Some(_) => {}
            None => found |= matches_pattern(pattern.as_ref(), host),
        }
    }
    found
}

/// A pattern of ssh: `*` and `?`, large and small letters alike.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.to_lowercase().chars().collect();
    let text: Vec<char> = text.to_lowercase().chars().collect();
    // Where the last star stands, and how much of the text it takes.
    let (mut at, mut done, mut star) = (0, 0, None);
    while done < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, done));
                at += 1;
            }
            Some(letter) if *letter == '?' || *letter == text[done] => {
                at += 1;
                done += 1;
            }
            _ => match &mut star {
                Some((place, taken)) => {
                    *taken += 1;
                    (at, done) = (*place + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|letter| *letter == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str, host: &str) -> HostConfig {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir_all(home.path().join(".ssh/more")).unwrap();
        fs::write(home.path().join(".ssh/more/a.conf"), "Host nas\n  User included\nPort 7\n").unwrap();
        fs::write(home.path().join(".ssh/config"), text).unwrap();
        let mut config = HostConfig::of(host, home.path());
        for path in &mut config.identity_files {
            *path = path.strip_prefix(home.path()).map(Path::to_owned).unwrap_or(path.clone());
        }
        config
    }

    #[test]
    fn the_first_value_counts() {
        let text = "# a comment\nHost nas *.lan !old.lan\n\tHostName=%h.example.org\n  Port = 2222\nport 3\n\
                    IdentityFile ~/.ssh/a\nIdentityFile \"/keys/with blank\"\nHost *\n User ada\n Port 5\n\
                    IdentityFile %d/b\nIdentitiesOnly yes\n";
        let nas = config(text, "nas");
        assert_eq!(nas.host_name.as_deref(), Some("nas.example.org"));
        assert_eq!((nas.port, nas.user.as_deref()), (Some(2222), Some("ada")));
        let files = [".ssh/a", "/keys/with blank", "b"].map(PathBuf::from);
        assert_eq!((nas.identity_files.as_slice(), nas.identities_only), (&files[..], Some(true)));
        assert_eq!(config(text, "NAS.lan").port, Some(2222));
        let old = config(text, "old.lan");
        assert_eq!((old.port, old.host_name), (Some(5), None));
    }

    #[test]
    fn conditions_that_are_not_understood_do_not_apply() {
        let text = "Match exec \"true\"\n User wrong\nMatch all\n User right\nProxyJump gate\n";
        let found = config(text, "nas");
        let gate = Some(Some(Proxy::Jump("gate".to_owned())));
        assert_eq!((found.user.as_deref(), found.proxy), (Some("right"), gate));
    }

    #[test]
    fn the_first_way_counts_and_a_command_stays_as_it_is() {
        let command = |text: &str| Some(Some(Proxy::Command(text.to_owned())));
        for (text, expected) in [
            ("", None),
            ("ProxyJump none\nProxyJump gate\n", Some(None)),
            ("ProxyCommand=None\nProxyJump gate\n", Some(None)),
            ("ProxyJump = a,b\nProxyCommand x\n", Some(Some(Proxy::Jump("a,b".to_owned())))),
            ("  proxycommand   nc -X \"5\" '%h' # %p\n", command("nc -X \"5\" '%h' # %p")),
            ("ProxyCommand = a = b\n", command("a = b")),
        ] {
            assert_eq!(config(text, "nas").proxy, expected, "{text}");
        }
    }

    #[test]
    fn files_are_included() {
        let found = config("Include more/*.conf\nHost *\n User later\n", "nas");
        assert_eq!((found.user.as_deref(), found.port), (Some("included"), Some(7)));
        // After the host of an included file, the one of the file around it applies again.
        let found = config("Host nas\nInclude more/a.conf\nIdentitiesOnly no\n", "nas");
        assert_eq!(found.identities_only, Some(false));
        assert_eq!(config("", "nas"), HostConfig::default());
    }

    #[test]
    fn patterns_are_those_of_ssh() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abbd", false),
            ("?.example", "a.example", true),
            ("*.example", "example", false),
            ("192.168.0.?", "192.168.0.7", true),
            ("*a*b*", "xaxxb", true),
        ] {
            assert_eq!(matches_pattern(pattern, text), fits, "{pattern} {text}");
        }
    }
}
