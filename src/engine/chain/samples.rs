//! Names of stored files for the tests: day N is a day in January.

use super::{Collection, Set};
use crate::engine::format::time::SetTime;
use crate::engine::storage::StoredFile;

pub fn day(number: u32) -> SetTime {
    SetTime::parse(&format!("202401{number:02}T000000Z")).unwrap()
}

/// The files of a full set with two volumes.
pub fn full(number: u32) -> Vec<String> {
    let time = day(number);
    vec![
        format!("duplicity-full.{time}.vol1.difftar.gz"),
        format!("duplicity-full.{time}.vol2.difftar.gz"),
        format!("duplicity-full-signatures.{time}.sigtar.gz"),
        format!("duplicity-full.{time}.manifest"),
    ]
}

/// The files of an incremental set.
pub fn incremental(from: u32, to: u32) -> Vec<String> {
    let (start, end) = (day(from), day(to));
    vec![
        format!("duplicity-inc.{start}.to.{end}.vol1.difftar.gz"),
        format!("duplicity-new-signatures.{start}.to.{end}.sigtar.gz"),
        format!("duplicity-inc.{start}.to.{end}.manifest"),
    ]
}

pub fn collection(names: impl IntoIterator<Item = String>) -> Collection {
    Collection::new(names.into_iter().map(|name| StoredFile { name, size_bytes: 10 }))
}

/// The days of sets.
pub fn days<'a>(sets: impl IntoIterator<Item = &'a Set>) -> Vec<u32> {
    sets.into_iter().map(|set| set.kind.time().to_string()[6..8].parse().unwrap()).collect()
}
