//! Random chains of random sets: the catalogue answers as a model that keeps everything in memory.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use common::synthetic::{Said, file, folder, gone, kind, link, names, write_set};
use proptest::collection::vec;
use proptest::prelude::*;
use souvenir::engine::catalog::{Catalog, Change, Pattern, Span, SyncRequest};
use souvenir::engine::copies::Copies;
use souvenir::engine::crypto::{Keyring, Passphrases};
use souvenir::engine::format::entry::Entry;
use souvenir::engine::format::time::SetTime;
use souvenir::engine::job::Job;
use souvenir::engine::path::EntryPath;
use souvenir::engine::storage::LocalFolder;

/// Some that sort in the one way as paths and in another as bytes, and some that only differ in case.
const PATHS: [&[u8]; 16] = [
    b"",
    b"a",
    b"a/!",
    b"a/z",
    b"a/z/deep",
    b"a b",
    b"a!",
    b"A",
    b"ab",
    b"b",
    b"b/\xff",
    b"b/\xc3\x84\xc3\xb6",
    b"b/c/d/e",
    b"c",
    b"c/x",
    b"c/y",
];

/// What happens to a path in a set.
#[derive(Debug, Clone, Copy)]
enum Act {
    Nothing,
    Delete,
    File(u64),
    Folder,
    Link(u8),
}

#[derive(Debug, Clone)]
struct Step {
    is_full: bool,
    acts: Vec<Act>,
    /// Whether the catalogue is brought up to date after it.
    sync: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let act = prop_oneof![
        6 => Just(Act::Nothing),
        2 => Just(Act::Delete),
        2 => (0..3_u64).prop_map(Act::File),
        1 => Just(Act::Folder),
        1 => (0..2_u8).prop_map(Act::Link),
    ];
    (prop::bool::weighted(0.25), vec(act, PATHS.len()), any::<bool>())
        .prop_map(|(is_full, acts, sync)| Step { is_full, acts, sync })
}

type State = BTreeMap<EntryPath, Entry>;

/// What there was at each time.
struct Model {
    chains: Vec<Vec<(i64, State)>>,
}

impl Model {
    fn states(&self) -> impl Iterator<Item = &(i64, State)> {
        self.chains.iter().flatten()
    }
}

fn path(index: usize) -> EntryPath {
    EntryPath::from_bytes(PATHS[index]).unwrap()
}

fn time(epoch: i64) -> SetTime {
    SetTime::from_epoch(epoch).unwrap()
}

/// Stores what a step does, and what comes of it.
fn store(destination: &Path, model: &mut Model, step: &Step, now: i64) {
    let is_full = step.is_full || model.chains.is_empty();
    let (start, mut state) = match model.chains.last().and_then(|chain| chain.last()) {
        Some((start, state)) if !is_full => (Some(*start), state.clone()),
        _ => (None, State::new()),
    };
    let mut order: Vec<usize> = (0..PATHS.len()).collect();
    order.sort_by_key(|index| path(*index));
    let mut said: Vec<Said> = Vec::new();
    for index in order {
        let path = path(index);
        let record = match step.acts[index] {
            _ if is_full && index == 0 => folder(path.clone(), now),
            Act::Delete if !is_full => gone(path.clone()),
            Act::Nothing | Act::Delete => continue,
            Act::File(size) => file(path.clone(), size, 5),
            Act::Folder => folder(path.clone(), 6),
            Act::Link(target) => link(path.clone(), &[b'x', target + 1], 7),
        };
        match step.acts[index] {
            Act::Delete if !is_full => drop(state.remove(&path)),
            _ => drop(state.insert(path, record.1.clone())),
        }
        said.push(record);
    }
    write_set(destination, kind(start, now), said);
    if is_full {
        model.chains.push(Vec::new());
    }
    model.chains.last_mut().unwrap().push((now, state));
}

fn check(catalog: &Catalog, model: &Model) {
    let job = Job::unattended();
    for (now, state) in model.states() {
        let at = Some(time(*now));
        let mut listed = Vec::new();
        let take = |entry| {
            listed.push(entry);
            Ok(())
        };
        let (set_time, missing) = catalog.entries_below(&EntryPath::root(), at, &job, take).unwrap();
        assert_eq!((set_time, missing), (time(*now), vec![]));
        assert_eq!(listed, state.values().cloned().collect::<Vec<_>>(), "everything at {now}");
        for index in 0..PATHS.len() {
            let folder = path(index);
            assert_eq!(catalog.entry(&folder, at).unwrap().as_ref(), state.get(&folder));
            let children: Vec<Entry> = state
                .values()
                .filter(|entry| entry.path.parent().as_ref() == Some(&folder))
                .cloned()
                .collect();
            match catalog.directory(&folder, at) {
                Ok(directory) => assert_eq!(directory.entries, children, "{folder} at {now}"),
                Err(_) => assert!(!state.contains_key(&folder), "{folder} at {now}"),
            }
        }
    }
    let last = model.states().last().map_or(0, |(now, _)| *now);
    for index in 0..PATHS.len() {
        let path = path(index);
        check_path(catalog, model, &path, last);
    }
    for (from, before) in model.states() {
        for (to, after) in model.states() {
            let found = catalog.changes(time(*from), time(*to), &job).unwrap();
            let found: Vec<_> =
                found.changes.into_iter().map(|change| (change.path, change.before, change.after)).collect();
            let paths: BTreeSet<_> = before.keys().chain(after.keys()).cloned().collect();
            let expected: Vec<_> = paths
                .into_iter()
                .map(|path| (path.clone(), before.get(&path).cloned(), after.get(&path).cloned()))
                .filter(|(_, before, after)| before != after)
                .collect();
            assert_eq!(found, expected, "from {from} to {to}");
        }
    }
}

fn check_path(catalog: &Catalog, model: &Model, path: &EntryPath, last: i64) {
    // Spans by looking at every state.
    let mut spans: Vec<Span> = Vec::new();
    let mut is_there = false;
    for (now, state) in model.states() {
        let now = time(*now);
        match (is_there, state.contains_key(path)) {
            (false, true) => spans.push(Span { first: now, last: now, gone: None }),
            (true, true) => spans.last_mut().unwrap().last = now,
            (true, false) => spans.last_mut().unwrap().gone = Some(now),
            (false, false) => {}
        }
        is_there = state.contains_key(path);
    }
    if !path.is_root() {
        let name = String::from_utf8_lossy(path.file_name()).into_owned();
        let hits = catalog.search(&Pattern::part(&name).unwrap(), 100, &Job::unattended()).unwrap().hits;
        // A name that is no UTF-8 cannot be typed.
        let hit = hits.iter().find(|hit| hit.entry.path == *path);
        if !name.contains('\u{fffd}') {
            assert_eq!(hit.map(|hit| hit.spans.clone()).unwrap_or_default(), spans, "{path}");
        }
        for hit in &hits {
            let found = String::from_utf8_lossy(hit.entry.path.file_name()).to_lowercase();
            assert!(found.contains(&name.to_lowercase()), "{name:?} in {found:?}");
        }
    }
    // The newest version before each time of the history is what there was.
    let history = catalog.history(path).map_or_else(|_| Vec::new(), |(versions, _)| versions);
    assert_eq!(history.is_empty(), spans.is_empty(), "{path}");
    for (now, state) in model.states() {
        let version = history.iter().rfind(|version| version.set_time <= time(*now));
        assert_eq!(version.and_then(|version| version.entry.as_ref()), state.get(path), "{path} at {now}");
    }
    let gone: Vec<_> = spans.iter().filter_map(|span| span.gone).collect();
    let deleted: Vec<_> = history
        .iter()
        .filter(|version| version.change == Change::Deleted)
        .map(|version| version.set_time)
        .collect();
    assert_eq!(gone, deleted, "{path}");
    let began: Vec<_> = spans.iter().map(|span| span.first).collect();
    let added: Vec<_> = history
        .iter()
        .filter(|version| version.change == Change::Added)
        .map(|version| version.set_time)
        .collect();
    assert_eq!(began, added, "{path}");
    assert!(spans.iter().all(|span| span.last <= time(last)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn it_answers_as_the_model(steps in vec(step(), 1..9), cut in 0..9_usize) {
        let scratch = tempfile::tempdir().unwrap();
        let (destination, cache) = (scratch.path().join("destination"), scratch.path().join("cache"));
        let storage = LocalFolder::new(&destination);
        let (keyring, passphrases) = (Keyring::default(), Passphrases::new());
        let job = Job::unattended();
        let sync = || {
            let mut catalog = Catalog::open(&cache, &storage).unwrap();
            let request = SyncRequest { storage: &storage, keyring: &keyring, passphrases: &passphrases, copies: &Copies::none() };
            catalog.sync(&request, &job).unwrap();
            catalog
        };
        let mut model = Model { chains: Vec::new() };
        for (index, step) in steps.iter().enumerate() {
            store(&destination, &mut model, step, 1_700_000_000 + index as i64 * 1000);
            if step.sync {
                sync();
            }
        }
        check(&sync(), &model);
        // The ends of chains go, and whole chains.
        for chain in &mut model.chains {
            for (index, (now, _)) in chain.clone().iter().enumerate().skip(cut % 4) {
                let start = (index > 0).then(|| chain[index - 1].0);
                for name in names(kind(start, *now)) {
                    fs::remove_file(destination.join(name)).unwrap();
                }
            }
            chain.truncate(cut % 4);
        }
        model.chains.retain(|chain| !chain.is_empty());
        if !model.chains.is_empty() {
            check(&sync(), &model);
        }
    }
}
