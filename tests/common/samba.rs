//! Samba's server, with a share that one user may use: a process of its own for each test.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use souvenir::engine::storage::NetworkAddress;

use super::common::sshd::{free_port, signal};

pub const PASSWORD: &str = "a share's password";

/// A running server.
pub struct Samba {
    scratch: tempfile::TempDir,
    port: u16,
    child: Child,
}

/// Whether it can run here: it changes to the user who signs in, which only root may.
pub fn can_run() -> bool {
    nix::unistd::getuid().is_root()
}

impl Samba {
    pub fn start() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path();
        for folder in ["share", "state"] {
            fs::create_dir(path.join(folder)).unwrap();
        }
        let (state, port) = (path.join("state"), free_port());
        let state = state.display();
        let config = format!(
            "[global]\nserver role = standalone\nsmb ports = {port}\ninterfaces = 127.0.0.1\n\
             bind interfaces only = yes\ndisable netbios = yes\nload printers = no\nprintcap name = /dev/null\n\
             passdb backend = tdbsam:{state}/passdb.tdb\nprivate dir = {state}\nlock directory = {state}\n\
             state directory = {state}\ncache directory = {state}\npid directory = {state}\n\
             ncalrpc dir = {state}/ncalrpc\nlog file = {state}/log\n\
             [share]\npath = {}\nread only = no\nvalid users = root\n",
            path.join("share").display()
        );
        let file = path.join("smb.conf");
        fs::write(&file, config).unwrap();
        let mut add = Command::new("smbpasswd")
            .args(["-s", "-a", "root", "-c"])
            .arg(&file)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        write!(add.stdin.take().unwrap(), "{PASSWORD}\n{PASSWORD}\n").unwrap();
        assert!(add.wait().unwrap().success());
        let child = Command::new("smbd")
            .args(["--foreground", "--no-process-group", "--configfile"])
            .arg(&file)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(30), "smbd did not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { scratch, port, child }
    }

    /// The share on the disk.
    pub fn folder(&self) -> PathBuf {
        self.scratch.path().join("share")
    }

    /// A folder of the share.
    pub fn address(&self, path: &str) -> NetworkAddress {
        NetworkAddress::parse(&format!("smb://root@127.0.0.1:{}/share/{path}", self.port)).unwrap()
    }
}

impl Drop for Samba {
    fn drop(&mut self) {
        signal("KILL", self.child.id());
        let _ = self.child.wait();
    }
}
