//! Ganesha's NFS server, with one folder for everybody. It and the directory of such services use ports that are fixed, so
//! the test has a network of its own.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use souvenir::engine::storage::NetworkAddress;

use super::common::sshd::signal;

/// A running server.
pub struct Nfs {
    scratch: tempfile::TempDir,
    processes: Vec<Child>,
}

/// Whether it can run here: only root may open files by their handles.
pub fn can_run() -> bool {
    nix::unistd::getuid().is_root()
}

impl Nfs {
    pub fn start() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let (folder, log) = (scratch.path().join("export"), scratch.path().join("log"));
        fs::create_dir(&folder).unwrap();
        fs::create_dir_all("/run/ganesha").unwrap();
        // Tests put files there behind its back, so it keeps nothing in mind.
        let config = format!(
            "NFS_CORE_PARAM {{ Protocols = 3; Enable_NLM = false; Enable_RQUOTA = false; \
             allow_set_io_flusher_fail = true; }}\n\
             NFSV4 {{ RecoveryRoot = {}; }}\n\
             MDCACHE {{ Dir_Chunk = 0; }}\n\
             EXPORT {{ Export_Id = 1; Attr_Expiration_Time = 0; Path = {}; Pseudo = /export; Access_Type = RW; Squash = No_Root_Squash; \
             SecType = sys; Protocols = 3; Transports = TCP; FSAL {{ Name = VFS; }} }}\n",
            scratch.path().join("recovery").display(),
            folder.display(),
        );
        let file = scratch.path().join("ganesha.conf");
        fs::write(&file, config).unwrap();
        let directory = Command::new("rpcbind").args(["-f", "-h", "127.0.0.1"]).stdin(Stdio::null()).spawn();
        let mut server = Self { scratch, processes: vec![directory.unwrap()] };
        wait_for("rpcbind", || offers("portmapper"));
        let ganesha = Command::new("ganesha.nfsd")
            .args(["-F", "-f"])
            .arg(&file)
            .arg("-L")
            .arg(&log)
            .arg("-p")
            .arg(server.scratch.path().join("pid"))
            // It wants to have a name there.
            .env("DBUS_SYSTEM_BUS_ADDRESS", env::var_os("DBUS_SESSION_BUS_ADDRESS").unwrap())
            .stdin(Stdio::null())
            .spawn();
        server.processes.push(ganesha.unwrap());
        wait_for("ganesha.nfsd", || {
            fs::read_to_string(&log).is_ok_and(|log| log.contains("NFS SERVER INITIALIZED"))
        });
        server
    }

    /// What is offered, on the disk.
    pub fn folder(&self) -> PathBuf {
        self.scratch.path().join("export")
    }

    /// A folder of it.
    pub fn address(&self, path: &str) -> NetworkAddress {
        let text = format!("nfs://127.0.0.1{}/{path}", self.folder().display());
        NetworkAddress::parse(&text).unwrap()
    }
}

impl Drop for Nfs {
    fn drop(&mut self) {
        for process in &mut self.processes {
            signal("KILL", process.id());
            let _ = process.wait();
        }
    }
}

fn offers(service: &str) -> bool {
    let said = Command::new("rpcinfo").args(["-p", "127.0.0.1"]).output().unwrap();
    String::from_utf8_lossy(&said.stdout).contains(service)
}

fn wait_for(program: &str, is_there: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_there() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{program} did not start");
        std::thread::sleep(Duration::from_millis(50));
    }
}
