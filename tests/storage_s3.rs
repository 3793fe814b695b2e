//! Backups in an object store, with a server that speaks S3 and checks signatures.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "common/s3.rs"]
mod s3;
#[path = "storage_s3/trouble.rs"]
mod trouble;
#[path = "storage_s3/whole.rs"]
mod whole;

use std::fs;
use std::sync::Arc;

use common::contract::{Place, keeps_the_contract};
use s3::Server;

#[test]
fn a_bucket_keeps_the_contract() {
    let server = Arc::new(Server::start());
    keeps_the_contract(&Place {
        storage: Arc::new(server.patient_storage("a/prefix")),
        second: Arc::new(server.patient_storage("a/prefix")),
        many: 100_000,
        // The server keeps a file beside each, with a longer name.
        longest_name: 150,
        refused: "",
        fill: Box::new({
            let folder = server.bucket().join("a/prefix");
            move |count| {
                (0..count).for_each(|number| fs::write(folder.join(format!("many-{number}")), "").unwrap())
            }
        }),
        really_there: Box::new(move || server.really_there("a/prefix")),
    });
}
