//! What it takes to look at a destination of a million stored files, as backups of ten terabytes come to after
//! some years. Takes seconds; the figures are in docs/scale.md.
//!
//! `./dev shell cargo test --release --no-default-features --test scale_figures -- --ignored --nocapture \
//! --test-threads 1`

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking")]

use std::io::Read;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use souvenir::engine::chain::Collection;
use souvenir::engine::chain::removal::Policy;
use souvenir::engine::format::manifest::{Boundary, HashAlgorithm, Manifest, VolumeInfo};
use souvenir::engine::format::name::{Codec, FileName, Part, SetKind};
use souvenir::engine::format::time::SetTime;
use souvenir::engine::job::Job;
use souvenir::engine::path::EntryPath;
use souvenir::engine::prune::{Mode, PruneRequest, prune};
use souvenir::engine::status::status;
use souvenir::engine::storage::{Lock, Storage, StorageResult, StoredFile, Upload};

const FILES: usize = 1_000_000;
const DAY: i64 = 86_400;

/// Volumes of ten terabytes, at 64 MiB each.
const FULL_VOLUMES: u32 = 149_012;

/// Volumes of a percent of that, which changes in a day.
const DAILY_VOLUMES: u32 = 1_491;

/// Incremental sets in a chain.
const INCREMENTS: u32 = 89;

/// A destination that is nothing but names.
#[derive(Debug)]
struct Names(Vec<StoredFile>);

impl Names {
    /// Chains of a full set and daily ones, until there are so many files, in no order.
    fn new() -> Self {
        let mut files = Vec::with_capacity(FILES);
        let mut time = 1_500_000_000;
        'all: loop {
            let full = SetKind::Full { time: SetTime::from_epoch(time).unwrap() };
            let mut sets = vec![(full, FULL_VOLUMES)];
            for _ in 0..INCREMENTS {
                let start = SetTime::from_epoch(time).unwrap();
                time += DAY;
                let end = SetTime::from_epoch(time).unwrap();
                sets.push((SetKind::Incremental { start, end }, DAILY_VOLUMES));
            }
            time += DAY;
            for (set, volumes) in sets {
                let parts = [Part::Manifest, Part::Signatures].into_iter();
                for part in parts.chain((1..=volumes).map(Part::Volume)) {
                    let name = FileName { set, part, codec: Codec::OpenPgp }.to_string();
                    files.push(StoredFile { name, size_bytes: 60_000_000 });
                    if files.len() == FILES {
                        break 'all;
                    }
                }
            }
        }
        fastrand::Rng::with_seed(1).shuffle(&mut files);
        Self(files)
    }
}

impl Storage for Names {
    fn location(&self) -> String {
        "names".to_owned()
    }

    fn list(&self) -> StorageResult<Vec<StoredFile>> {
        Ok(self.0.clone())
    }

    fn list_folders(&self) -> StorageResult<Vec<String>> {
        Ok(Vec::new())
    }

    fn open_from(&self, _: &str, _: u64) -> StorageResult<Box<dyn Read + Send>> {
        unreachable!("names are enough")
    }

    fn create(&self, _: &str) -> StorageResult<Box<dyn Upload>> {
        unreachable!("nothing is stored")
    }

    fn rename(&self, _: &str, _: &str) -> StorageResult<()> {
        unreachable!("nothing is stored")
    }

    fn lock(&self, _: &str) -> StorageResult<Lock> {
        unreachable!("nothing is stored")
    }

    fn delete(&self, _: &str) -> StorageResult<()> {
        unreachable!("nothing is deleted")
    }

    fn free_bytes(&self) -> StorageResult<Option<u64>> {
        Ok(None)
    }
}

/// What a step took, and how much memory was in use at most beside `beside`, in MB.
fn measured<T>(what: &str, beside: f64, work: impl FnOnce() -> T) -> (T, Duration, f64) {
    // Forgets how much it was before.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let begun = Instant::now();
    let result = work();
    let elapsed = begun.elapsed();
    let more = memory("VmHWM:") - beside;
    println!("{what}: {elapsed:.2?}, {more:.0} MB at most");
    (result, elapsed, more)
}

fn memory(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1000.0
}

#[test]
#[ignore = "measures; to be run with --release"]
fn a_million_stored_files() {
    let place = Names::new();
    let bytes: usize = place.0.iter().map(|file| file.name.len()).sum();
    println!("{} files, names of {bytes} bytes", place.0.len());
    let beside = memory("VmRSS:");
    let (files, ..) = measured("a list of them", beside, || place.list().unwrap());
    let (collection, elapsed, more) =
        measured("sets and chains from the list", beside, || Collection::new(files));
    assert!(elapsed < Duration::from_secs(10) && more < 1000.0);
    let sets: usize = collection.chains.iter().map(|chain| chain.sets.len()).sum();
    println!("{} chains with {sets} sets", collection.chains.len());
    assert!(collection.chains.len() >= 3 && sets > 200);
    drop(collection);
    let job = Job::unattended();
    let (found, elapsed, more) =
        measured("status, with its own list", beside, || status(&place, &job).unwrap());
    assert!(found.chains.len() >= 3 && elapsed < Duration::from_secs(20) && more < 1000.0);
    drop(found);
    let policy = Policy::AllButFull(NonZeroU32::new(1).unwrap());
    let request = PruneRequest { storage: &place, policy: &policy, mode: Mode::DryRun };
    let (summary, elapsed, more) =
        measured("what would be pruned", beside, || prune(&request, &job).unwrap());
    println!("{} files would go", summary.file_count);
    assert!(summary.file_count > 500_000 && elapsed < Duration::from_secs(20) && more < 1000.0);
}

#[test]
#[ignore = "measures; to be run with --release"]
fn a_manifest_of_ten_terabytes() {
    let boundary = |number: u32| {
        let path = format!("home/ada/Pictures/{}/IMG_{number:07}.jpg", number / 1000);
        Boundary { path: EntryPath::from_bytes(path.as_bytes()).unwrap(), block: None }
    };
    let volumes = (1..=FULL_VOLUMES).map(|number| VolumeInfo {
        number,
        start: boundary(number * 60),
        end: boundary(number * 60 + 59),
        hash: Some((HashAlgorithm::Sha1, format!("{number:040x}"))),
    });
    let manifest = Manifest { host_name: None, local_dir: None, volumes: volumes.collect() };
    let beside = memory("VmRSS:");
    let (text, ..) = measured("a manifest is written", beside, || manifest.to_bytes());
    println!("{} volumes, {} bytes", manifest.volumes.len(), text.len());
    let (parsed, elapsed, more) = measured("it is read", beside, || Manifest::parse(&text).unwrap());
    assert!(parsed == manifest && elapsed < Duration::from_secs(5) && more < 300.0);
}
