//! Every kind of place that keeps backups, put through what they all promise.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::sync::Arc;

use common::contract::{Place, keeps_the_contract};
use common::engine::names;
use souvenir::engine::storage::LocalFolder;

#[test]
fn a_local_folder_keeps_the_contract() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("not yet").join("there");
    keeps_the_contract(&Place {
        storage: Arc::new(LocalFolder::new(&folder)),
        second: Arc::new(LocalFolder::new(&folder)),
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
}
