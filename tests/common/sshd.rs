//! The real OpenSSH server: one for each test, with a port, keys and a configuration of its own.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use souvenir::engine::job::{self, Event, Job, Question};
use souvenir::engine::storage::lease::LeaseTimes;
use souvenir::engine::storage::sftp::{SftpOptions, SftpStorage, Times};
use souvenir::engine::storage::{Backoff, Credentials, SftpAddress};

/// The password of whoever signs in, where passwords are possible.
pub const PASSWORD: &str = "open sesame";

/// What differs from the usual server.
#[derive(Debug, Clone, Default)]
pub struct Setting {
    /// Lines of the configuration, before all others: the first one counts.
    pub lines: Vec<String>,
    /// Whether it lets people in with [`PASSWORD`]. Needs root, for a list of passwords of its own.
    pub passwords: bool,
    /// Kinds of host keys; Ed25519 alone unless something is here.
    pub host_keys: Vec<&'static str>,
    /// The folder where a sign-in ends up, if it is not the usual one.
    pub folder: Option<PathBuf>,
}

/// A running server, and the home folder of who comes to it.
pub struct Sshd {
    pub scratch: tempfile::TempDir,
    pub port: u16,
    setting: Setting,
    child: Mutex<Option<Child>>,
}

/// Whether a server can be given passwords of its own.
pub fn can_have_passwords() -> bool {
    nix::unistd::getuid().is_root()
}

impl Sshd {
    /// A server that lets in who has the usual key, from a home folder that knows the server.
    pub fn start() -> Self {
        Self::with(Setting::default())
    }

    /// The same with another setting.
    pub fn with(setting: Setting) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path();
        for folder in ["home/.ssh", "server/.ssh"] {
            fs::create_dir_all(path.join(folder)).unwrap();
            fs::set_permissions(path.join(folder), PermissionsExt::from_mode(0o700)).unwrap();
        }
        let kinds = if setting.host_keys.is_empty() { vec!["ed25519"] } else { setting.host_keys.clone() };
        for kind in &kinds {
            make_key(&path.join(format!("host-{kind}")), kind, "");
        }
        let key = path.join("home/.ssh/id_ed25519");
        make_key(&key, "ed25519", "");
        fs::copy(key.with_extension("pub"), path.join("server/.ssh/authorized_keys")).unwrap();
        let server = Self { port: free_port(), scratch, setting, child: Mutex::new(None) };
        server.run();
        server.know(server.port, kinds[0]);
        server
    }

    /// Starts it, or starts it again at the same port.
    pub fn run(&self) {
        let path = self.scratch.path();
        let folder = self.folder();
        let mut config: Vec<String> = self.setting.lines.clone();
        for entry in fs::read_dir(path).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.starts_with("host-") && !name.ends_with(".pub") {
                config.push(format!("HostKey {}", path.join(name).display()));
            }
        }
        config.extend([
            format!("Port {}", self.port),
            "ListenAddress 127.0.0.1".to_owned(),
            format!("AuthorizedKeysFile {}", path.join("server/.ssh/authorized_keys").display()),
            "StrictModes no".to_owned(),
            "PermitRootLogin yes".to_owned(),
            "PidFile none".to_owned(),
            "PerSourcePenalties no".to_owned(),
            "UsePAM no".to_owned(),
            format!("PasswordAuthentication {}", if self.setting.passwords { "yes" } else { "no" }),
            "KbdInteractiveAuthentication no".to_owned(),
            format!("Subsystem sftp internal-sftp -d {}", folder.display()),
        ]);
        let config_file = path.join("sshd_config");
        fs::write(&config_file, config.join("\n") + "\n").unwrap();
        let server = format!("exec /usr/sbin/sshd -D -e -f {}", config_file.display());
        let mut command;
        if self.setting.passwords {
            self.write_passwords();
            let mounts = format!(
                "mount --bind {0}/shadow /etc/shadow && mount --bind {0}/pam /etc/pam.d/sshd && {server}",
                path.display()
            );
            command = Command::new("unshare");
            command.args(["--mount", "sh", "-c", &mounts]);
        } else {
            command = Command::new("sh");
            command.args(["-c", &server]);
        }
        let log = fs::File::options().create(true).append(true).open(path.join("log")).unwrap();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).process_group(0).spawn();
        *self.child.lock().unwrap() = Some(child.unwrap());
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "sshd did not start:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn write_passwords(&self) {
        let path = self.scratch.path();
        let output = Command::new("openssl").args(["passwd", "-6", PASSWORD]).output().unwrap();
        let hash = String::from_utf8(output.stdout).unwrap();
        fs::write(path.join("shadow"), format!("root:{}:20000:0:99999:7:::\n", hash.trim())).unwrap();
        fs::write(
            path.join("pam"),
            "auth required pam_unix.so nodelay\naccount required pam_permit.so\nsession required pam_permit.so\n",
        )
        .unwrap();
    }

    /// Kills the server and every connection to it, as a power cut would.
    pub fn kill(&self) {
        if let Some(mut child) = self.child.lock().unwrap().take() {
            signal("KILL", child.id());
            child.wait().unwrap();
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Stops the server and all that work for it from doing anything, or lets them go on.
    pub fn freeze(&self, frozen: bool) {
        let child = self.child.lock().unwrap();
        signal(if frozen { "STOP" } else { "CONT" }, child.as_ref().unwrap().id());
    }

    /// Where a sign-in ends up, on the server.
    pub fn folder(&self) -> PathBuf {
        self.setting.folder.clone().unwrap_or_else(|| self.scratch.path().join("server"))
    }

    /// The home folder of who comes to the server.
    pub fn home(&self) -> PathBuf {
        self.scratch.path().join("home")
    }

    /// A file in the folder `.ssh` of who comes to the server.
    pub fn ssh_file(&self, name: &str) -> PathBuf {
        self.home().join(".ssh").join(name)
    }

    /// Lets a key in, and no other.
    pub fn authorize(&self, key: &Path) {
        let mut public = key.as_os_str().to_owned();
        public.push(".pub");
        fs::copy(public, self.folder().join(".ssh/authorized_keys")).unwrap();
    }

    /// Notes the server's key of a kind, under a port, in the home folder.
    pub fn know(&self, port: u16, kind: &str) {
        let key = fs::read_to_string(self.scratch.path().join(format!("host-{kind}.pub"))).unwrap();
        fs::write(self.ssh_file("known_hosts"), format!("[127.0.0.1]:{port} {key}")).unwrap();
    }

    /// The same beside what is noted already.
    pub fn also_know(&self, port: u16) {
        let key = fs::read_to_string(self.scratch.path().join("host-ed25519.pub")).unwrap();
        let known = fs::read_to_string(self.ssh_file("known_hosts")).unwrap();
        fs::write(self.ssh_file("known_hosts"), format!("{known}[127.0.0.1]:{port} {key}")).unwrap();
    }

    /// What the server has said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.scratch.path().join("log")).unwrap_or_default()
    }

    /// A folder on the server.
    pub fn address(&self, path: &str) -> SftpAddress {
        let user = nix::unistd::User::from_uid(nix::unistd::getuid()).unwrap().unwrap().name;
        SftpAddress {
            user: Some(user),
            host: "127.0.0.1".to_owned(),
            port: Some(self.port),
            path: path.to_owned(),
        }
    }

    /// Who comes from the home folder, and does not wait long.
    pub fn options(&self) -> SftpOptions {
        SftpOptions {
            times: Times {
                connect: Duration::from_secs(5),
                silence: Duration::from_secs(2),
                patience: Duration::from_secs(60),
            },
            backoff: Backoff {
                first: Duration::from_millis(50),
                longest: Duration::from_millis(500),
                give_up_after: Duration::from_secs(8),
            },
            lease: LeaseTimes { interval: Duration::from_secs(5), expiry: Duration::from_secs(60) },
            ..SftpOptions::of_home(self.home())
        }
    }

    /// A folder on the server, as a place for backups that nobody watches.
    pub fn storage(&self, path: &str) -> SftpStorage {
        self.storage_at(self.port, path)
    }

    /// The same by way of another port.
    pub fn storage_at(&self, port: u16, path: &str) -> SftpStorage {
        let address = SftpAddress { port: Some(port), ..self.address(path) };
        SftpStorage::at(&address, &Credentials::default(), &self.options(), &Job::unattended())
    }

    /// A folder that waits for answers as long as it usually does.
    pub fn patient_storage(&self, path: &str) -> SftpStorage {
        let options = SftpOptions { times: Times::default(), ..self.options() };
        SftpStorage::at(&self.address(path), &Credentials::default(), &options, &Job::unattended())
    }
}

impl Drop for Sshd {
    #[allow(clippy::print_stdout, reason = "what a failed test leaves to be looked at")]
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            println!("what the server said:\n{}", self.log());
        }
    }
}

/// Sends a signal to a process and all that came of it.
pub fn signal(name: &str, process: u32) {
    let mut family = vec![process];
    for index in 0.. {
        let Some(parent) = family.get(index).copied() else { break };
        family.extend(children(parent));
    }
    // Some of them may be gone by now.
    let ids = family.iter().map(u32::to_string);
    let output = Command::new("kill").arg(format!("-{name}")).args(ids).output().unwrap();
    assert!(output.status.code().is_some());
}

fn children(parent: u32) -> Vec<u32> {
    let processes =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    let is_child = |process: &u32| {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        // The name in brackets may hold anything; behind it come the state and the parent.
        let after = stat.rsplit(')').next().unwrap_or_default();
        after.split_ascii_whitespace().nth(1) == Some(&parent.to_string())
    };
    processes.filter_map(|name| name.parse().ok()).filter(is_child).collect()
}

/// A port that nobody uses.
pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// Makes a key with `ssh-keygen`.
pub fn make_key(path: &Path, kind: &str, passphrase: &str) {
    let status = Command::new("ssh-keygen")
        .args(["-q", "-t", kind, "-N", passphrase, "-C", "test", "-f"])
        .arg(path)
        .status()
        .unwrap();
    assert!(status.success());
}

/// Runs something as a job, and answers its questions.
pub fn attended<T: Send + 'static>(
    work: impl FnOnce(&Job) -> T + Send + 'static,
    mut answer: impl FnMut(Question),
) -> T {
    let handle = job::spawn("test", move |job| Ok(work(job))).unwrap();
    loop {
        match handle.events.recv_blocking().unwrap() {
            Event::Question(question) => answer(question),
            Event::Finished(result) => return result.unwrap(),
            Event::Phase(_) | Event::Warning(_) => {}
        }
    }
}

/// For whoever must not be asked.
pub fn nobody_is_asked(question: Question) {
    panic!("an unexpected question: {question:?}");
}
