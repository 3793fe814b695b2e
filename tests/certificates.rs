//! Servers that are spoken with in secret: who can prove who they are, and who gets nothing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "common/dav.rs"]
#[allow(dead_code, reason = "other tests need the rest")]
mod dav;
#[path = "common/s3.rs"]
#[allow(dead_code, reason = "other tests need the rest")]
mod s3;
#[path = "common/tls.rs"]
mod tls;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::program::expect;
use common::tree::{assert_same, look, make_small};
use tls::{Authority, Front};

const LATER: &str = "20990101000000Z";
const THIS_MACHINE: &str = "IP:127.0.0.1";

/// A server without TLS, and how the command line signs in to it.
struct Kind {
    port: u16,
    place: fn(u16) -> String,
    environment: fn(u16) -> Vec<(&'static str, String)>,
}

fn webdav(server: &dav::Server) -> Kind {
    Kind {
        port: server.address("").port.unwrap(),
        place: |port| format!("webdavs://{}@127.0.0.1:{port}/backups", dav::USER),
        environment: |_| vec![("FTP_PASSWORD", dav::PASSWORD.to_owned())],
    }
}

fn object_store(server: &s3::Server) -> Kind {
    Kind {
        port: server.endpoint().rsplit_once(':').unwrap().1.parse().unwrap(),
        place: |_| format!("s3://{}/backups", s3::BUCKET),
        environment: |port| {
            vec![
                ("AWS_ENDPOINT_URL", format!("https://127.0.0.1:{port}")),
                ("AWS_ACCESS_KEY_ID", s3::KEY_ID.to_owned()),
                ("AWS_SECRET_ACCESS_KEY", s3::SECRET.to_owned()),
                ("AWS_REGION", "us-east-1".to_owned()),
            ]
        },
    }
}

fn command(kind: &Kind, port: u16, trusted: Option<&Path>, home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_souvenir-cli"));
    command
        .args(arguments)
        .env("HOME", home)
        .env("XDG_CACHE_HOME", home.join("cache"))
        .envs((kind.environment)(port));
    if let Some(certificate) = trusted {
        command.env("SSL_CERT_FILE", certificate);
    }
    command
}

fn is_spoken_with(kind: &Kind) {
    let (authority, scratch) = (Authority::new(), tempfile::tempdir().unwrap());
    let front = Front::before(kind.port, &authority, THIS_MACHINE, LATER);
    let (source, target) = (scratch.path().join("source"), scratch.path().join("target"));
    make_small(&source);
    let place = (kind.place)(front.port);
    let run = |arguments: &[&str]| {
        expect(0, command(kind, front.port, Some(&authority.certificate()), scratch.path(), arguments));
    };
    run(&["backup", "--no-encryption", source.to_str().unwrap(), &place]);
    run(&["restore", &place, target.to_str().unwrap()]);
    assert_same(&look(&source), &look(&target), "the restore");
    assert!(front.let_in() > 0);
}

fn gets_nothing(kind: &Kind, there: &Path) {
    let (authority, other, scratch) = (Authority::new(), Authority::new(), tempfile::tempdir().unwrap());
    let source = scratch.path().join("source");
    make_small(&source);
    for (whom, end, trusted) in [
        (THIS_MACHINE, LATER, None),
        (THIS_MACHINE, LATER, Some(&other)),
        (THIS_MACHINE, "20210101000000Z", Some(&authority)),
        ("DNS:example.org", LATER, Some(&authority)),
    ] {
        let front = Front::before(kind.port, &authority, whom, end);
        let place = (kind.place)(front.port);
        let trusted = trusted.map(Authority::certificate);
        let arguments = ["backup", "--no-encryption", source.to_str().unwrap(), &place];
        let (_, said) = expect(3, command(kind, front.port, trusted.as_deref(), scratch.path(), &arguments));
        assert!(said.contains("certificate"), "{whom}, {end}: {said}");
        assert_eq!(front.let_in(), 0, "{whom}, {end}: {said}");
    }
    assert!(!there.exists() || fs::read_dir(there).unwrap().next().is_none());
}

#[test]
fn a_webdav_server_that_proves_who_it_is_is_spoken_with() {
    is_spoken_with(&webdav(&dav::Server::start()));
}

#[test]
fn an_object_store_that_proves_who_it_is_is_spoken_with() {
    is_spoken_with(&object_store(&s3::Server::start()));
}

#[test]
fn a_webdav_server_that_cannot_prove_who_it_is_gets_nothing() {
    let server = dav::Server::start();
    gets_nothing(&webdav(&server), &server.folder().join("backups"));
}

#[test]
fn an_object_store_that_cannot_prove_who_it_is_gets_nothing() {
    let server = s3::Server::start();
    gets_nothing(&object_store(&server), &server.bucket().join("backups"));
}
