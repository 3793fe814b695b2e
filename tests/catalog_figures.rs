//! How large and how quick the catalogue is: a million paths in fifty sets, each of which changes one
//! percent. Takes a minute; the figures are in docs/performance.md.
//!
//! `./dev shell cargo test --release --no-default-features --test catalog_figures -- --ignored --nocapture`

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking")]

mod common;

use std::time::{Duration, Instant};

use common::synthetic::{Generated, Said, file, folder, gone, kind};
use souvenir::engine::catalog::{Catalog, Pattern, SyncRequest};
use souvenir::engine::copies::Copies;
use souvenir::engine::crypto::{Keyring, Passphrases};
use souvenir::engine::format::time::SetTime;
use souvenir::engine::job::Job;
use souvenir::engine::path::EntryPath;

const SETS: usize = 50;
const BEGIN: i64 = 1_700_000_000;
const DAY: i64 = 86_400;
const LEAVES: usize = 50_000;
const FILES: usize = 19;

/// Listing a folder and searching are to take no longer than this.
const PROMPT: Duration = Duration::from_millis(50);

/// Bytes of the database for each path.
const BYTES_A_PATH: u64 = 400;

const WORDS: [&str; 16] = [
    "annual", "backup", "chapter", "draft", "election", "figures", "garden", "harbour", "invoice", "journey",
    "kitchen", "letter", "meeting", "notes", "report", "summer",
];
const ENDINGS: [&str; 8] = ["jpg", "pdf", "odt", "txt", "png", "rs", "html", "mp3"];

fn mix(number: usize, seed: usize) -> usize {
    let mut state = (number as u64) ^ (seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for _ in 0..2 {
        state = (state ^ (state >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    }
    (state ^ (state >> 29)) as usize
}

fn leaf(number: usize) -> EntryPath {
    let (top, middle, low) = (number / 1250, number / 50 % 25, number % 50);
    let path = format!("home/{} {top:02}/{}-{middle:02}/{low:03}", WORDS[top % 16], WORDS[middle % 16]);
    sorted(&path)
}

/// The words come in no order, so the numbers go first.
fn sorted(path: &str) -> EntryPath {
    let turn = |component: &str| match component.rsplit_once([' ', '-']) {
        Some((word, number)) => format!("{number} {word}"),
        None => component.to_owned(),
    };
    EntryPath::from_bytes(path.split('/').map(turn).collect::<Vec<_>>().join("/").as_bytes()).unwrap()
}

fn file_name(leaf: usize, index: usize) -> String {
    let random = mix(leaf * FILES + index, 0);
    let (word, ending) = (WORDS[random % 16], ENDINGS[random / 16 % 8]);
    format!("{index:02} {word} {:05}.{ending}", random / 128 % 100_000)
}

/// The set with that number: everything, or a percent of it.
fn said(set: usize) -> Box<dyn Iterator<Item = Said> + Send> {
    let time = BEGIN + set as i64 * DAY;
    let mut last = EntryPath::root();
    let above = move |leaf: &EntryPath| {
        // The folders that the leaf before was not in.
        let mut folders = Vec::new();
        let mut at = leaf.parent();
        while let Some(path) = at.filter(|path| !path.is_root() && !last.starts_with(path)) {
            at = path.parent();
            folders.push(folder(path, BEGIN));
        }
        last = leaf.clone();
        folders.reverse();
        folders
    };
    let mut above = above;
    let leaves = (0..LEAVES).flat_map(move |number| {
        let path = leaf(number);
        let mut records = Vec::new();
        if set == 0 {
            records.extend(above(&path));
            records.push(folder(path.clone(), BEGIN));
        }
        for index in 0..FILES {
            let random = mix(number * FILES + index, set);
            let name = path.join(file_name(number, index).as_bytes());
            let size = random as u64 % 1_000_000;
            match (set, random / 1000 % 2000) {
                (0, _) => records.push(file(name, size, BEGIN - random as i64 % 100_000_000)),
                (_, 0..18) => records.push(file(name, size, time)),
                (_, 18) => records.push(gone(name)),
                _ => {}
            }
        }
        if set > 0 && mix(number, set + 1000).is_multiple_of(100) {
            records.push(file(path.join(format!("new {set:02}.txt").as_bytes()), 1, time));
        }
        records
    });
    let large = EntryPath::from_bytes(b"large").unwrap();
    let below = large.clone();
    let many = (0..if set == 0 { 10_000 } else { 0 })
        .map(move |number| file(below.join(format!("IMG_{number:05}.jpg").as_bytes()), 1_000_000, BEGIN));
    let begin = (set == 0).then(|| folder(EntryPath::root(), BEGIN));
    let large = (set == 0).then(|| folder(large, BEGIN));
    Box::new(begin.into_iter().chain(leaves).chain(large).chain(many))
}

/// The middle one of some runs.
fn time<T>(mut run: impl FnMut() -> T) -> (Duration, T) {
    let mut runs: Vec<(Duration, T)> = (0..5)
        .map(|_| {
            let begun = Instant::now();
            let result = run();
            (begun.elapsed(), result)
        })
        .collect();
    runs.sort_by_key(|(elapsed, _)| *elapsed);
    runs.swap_remove(2)
}

#[test]
#[ignore = "measures; to be run with --release"]
fn a_million_paths_in_fifty_sets() {
    let cache = tempfile::tempdir().unwrap();
    let sets = (0..SETS as i64).map(|set| {
        let time = BEGIN + set * DAY;
        kind((set > 0).then_some(time - DAY), time)
    });
    let storage = Generated { sets: sets.collect(), said };
    let job = Job::unattended();
    let request = SyncRequest {
        storage: &storage,
        keyring: &Keyring::default(),
        passphrases: &Passphrases::new(),
        copies: &Copies::none(),
    };
    let mut catalog = Catalog::open(cache.path(), &storage).unwrap();
    let begun = Instant::now();
    let summary = catalog.sync(&request, &job).unwrap();
    println!("building: {:.1?}, {} entries", begun.elapsed(), summary.entry_count);
    let (again, _) = time(|| catalog.sync(&request, &job).unwrap());
    println!("nothing new: {again:.1?}");
    let overview = catalog.overview().unwrap();
    let bytes_a_path = overview.size_bytes / overview.path_count;
    println!("{} paths, {} bytes, {bytes_a_path} a path", overview.path_count, overview.size_bytes);
    println!("memory at its peak: {}", peak_memory());
    assert_eq!(summary.taken_count, SETS as u64);
    assert!(overview.path_count > 1_000_000 && bytes_a_path < BYTES_A_PATH);
    drop(catalog);

    // As the command line does: opened for one answer.
    let open = || Catalog::open(cache.path(), &storage).unwrap();
    let (opening, _) = time(open);
    println!("opening: {opening:.1?}");
    let mut slow = Vec::new();
    let mut note = |what: &str, (elapsed, count): (Duration, usize)| {
        println!("{what}: {elapsed:.1?}, {count} found");
        if elapsed > PROMPT {
            slow.push(what.to_owned());
        }
    };
    let newest = None;
    let middle = SetTime::from_epoch(BEGIN + 25 * DAY);
    for (what, path, time_of) in [
        ("folder of 20", leaf(31_234), newest),
        ("folder of 20, in the middle", leaf(31_234), middle),
        ("folder of 50 folders", leaf(31_234).parent().unwrap(), newest),
        ("folder of 10,000", EntryPath::from_bytes(b"large").unwrap(), newest),
    ] {
        note(what, time(|| open().directory(&path, time_of).unwrap().entries.len()));
    }
    for (text, limit) in [
        ("invoice 01234", 1000),
        ("voice", 1000),
        ("in", 1000),
        ("no such name", 1000),
        ("*.jpg", 1000),
        ("* letter 123*.odt", 1000),
        ("[0-9]? report*7.p?f", 1000),
        ("*x*y*z*", 1000),
        ("new 49", 1000),
        ("letter/000/07 report", 1000),
        // Fifty thousand names fit the last part, and of each the folder has to be looked at.
        ("letter/000/00", 1000),
        ("11 letter/**", 1000),
        ("no such folder/**", 1000),
    ] {
        let pattern = Pattern::new(text).unwrap();
        note(&format!("search {text:?}"), time(|| open().search(&pattern, limit, &job).unwrap().hits.len()));
    }
    let path = leaf(31_234).join(file_name(31_234, 3).as_bytes());
    note("history", time(|| open().history(&path).unwrap().0.len()));
    let at = |set: i64| SetTime::from_epoch(BEGIN + set * DAY).unwrap();
    let (elapsed, changes) = time(|| open().changes(at(48), at(49), &job).unwrap().changes.len());
    println!("changes of a day: {elapsed:.1?}, {changes} found");
    let (elapsed, changes) = time(|| open().changes(at(0), at(49), &job).unwrap().changes.len());
    println!("changes of all days: {elapsed:.1?}, {changes} found");
    let begun = Instant::now();
    let mut count = 0;
    let count_it = |_| {
        count += 1;
        Ok(())
    };
    open().entries_below(&EntryPath::root(), newest, &job, count_it).unwrap();
    println!("everything: {:.1?}, {count} entries", begun.elapsed());
    assert_eq!(slow, [] as [String; 0], "slower than {PROMPT:?}");
}

/// What the system says this process took at most.
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim().to_owned()
}
