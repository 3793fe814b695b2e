//! What every place promises, and what a folder on a server promises besides.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use souvenir::engine::storage::{Address, Storage, StorageErrorKind};

use crate::common::contract::{Place, keeps_the_contract};
use crate::common::engine::names;
use crate::common::sshd::Sshd;

#[test]
fn a_folder_on_a_server_keeps_the_contract() {
    let server = Sshd::start();
    let folder = server.folder().join("not yet/there");
    keeps_the_contract(&Place {
        storage: Arc::new(server.patient_storage("not yet/there")),
        second: Arc::new(server.patient_storage(folder.to_str().unwrap())),
        many: 100_000,
        longest_name: 200,
        refused: "",
        fill: Box::new({
            let folder = folder.clone();
            move |count| {
                (0..count).for_each(|number| fs::write(folder.join(format!("many-{number}")), "").unwrap())
            }
        }),
        really_there: Box::new({
            let folder = folder.clone();
            move || names(&folder).into_iter().collect()
        }),
    });
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&folder.join("some"))), (0o700, 0o600));
}

#[test]
fn addresses_lead_where_they_lead_duplicity() {
    let server = Sshd::start();
    let put = |path: &str, name: &str| {
        let storage = server.storage(path);
        storage.create(name).unwrap().finish().unwrap();
    };
    put("", "a");
    put("~/sub/deep", "b");
    put(&format!("{}/sub", server.folder().display()), "c");
    assert_eq!(names(&server.folder().join("sub")), ["c", "deep"]);
    assert_eq!(names(&server.folder().join("sub/deep")), ["b"]);
    assert!(server.folder().join("a").exists());
    assert_eq!(server.storage("sub").list_folders().unwrap(), ["deep"]);
    assert!(server.storage("").free_bytes().unwrap().unwrap() > 1 << 20);
    fs::create_dir(server.folder().join("empty")).unwrap();
    assert!(server.storage("empty").free_bytes().unwrap().unwrap() > 1 << 20);
    assert_eq!(names(&server.folder().join("empty")), [""; 0]);
    assert_eq!(server.storage("absent").free_bytes().unwrap(), None);
    assert!(!server.folder().join("absent").exists());
}

#[test]
fn a_wrong_folder_is_said() {
    let server = Sshd::start();
    fs::write(server.folder().join("file"), "x").unwrap();
    let storage = server.storage("file");
    assert_eq!(storage.list().unwrap_err().kind, StorageErrorKind::NotAFolder);
    assert_eq!(storage.create("a").err().unwrap().kind, StorageErrorKind::NotAFolder);
    let storage = server.storage("file/below");
    assert_eq!(storage.create("a").err().unwrap().kind, StorageErrorKind::NotAFolder);
    assert_eq!(server.storage("absent").list().unwrap_err().kind, StorageErrorKind::NotFound);
    // Even root may not write there.
    let error = server.storage("/proc/self").create("a").err().unwrap();
    assert!(matches!(error.kind, StorageErrorKind::NotFound | StorageErrorKind::Permission), "{error}");
}

#[test]
fn an_address_alone_is_enough() {
    // Nothing is connected before the first use, so this needs no server.
    let address = Address::parse("sftp://nobody@host.invalid/a".as_ref()).unwrap();
    let job = souvenir::engine::job::Job::unattended();
    let storage = address.open(&Default::default(), Default::default(), &job).unwrap();
    assert_eq!(storage.location(), "sftp://nobody@host.invalid/a");
    assert!(storage.local_folder().is_none());
    // A name that nobody knows is said at once, and not tried for minutes.
    let begun = std::time::Instant::now();
    assert_eq!(storage.list().unwrap_err().kind, StorageErrorKind::NoSuchHost);
    assert!(begun.elapsed() < std::time::Duration::from_secs(30));
}
