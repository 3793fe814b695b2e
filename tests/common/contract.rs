//! What every storage promises. Each is put through all of it, against the real server.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::sync::Arc;

use souvenir::engine::storage::{Lock, Storage, StorageErrorKind, StorageResult};

use super::tree::noise;

/// What differs from place to place.
pub struct Place {
    /// An empty place, or one that does not exist yet.
    pub storage: Arc<dyn Storage>,
    /// The same place once more, as another process would come to it.
    pub second: Arc<dyn Storage>,
    /// Files to list; 100,000 unless making them takes minutes.
    pub many: usize,
    /// Length of the longest name to try, in bytes.
    pub longest_name: usize,
    /// Characters that no name at this place can have. None of them is in a name that we give.
    pub refused: &'static str,
    /// Puts so many empty files into the place, without the storage. The names are up to it.
    pub fill: Box<dyn Fn(usize)>,
    /// Names of all files that really are there, also those that are not whole, without the storage.
    pub really_there: Box<dyn Fn() -> BTreeSet<String>>,
}

/// Puts a place through everything.
pub fn keeps_the_contract(place: &Place) {
    an_empty_place_is_empty(place);
    what_is_put_can_be_read(place);
    ranges_are_read(place);
    nothing_is_replaced(place);
    what_is_dropped_leaves_nothing(place);
    names_are_any_that_we_give(place);
    renaming_moves_and_never_replaces(place);
    what_is_not_there_is_said(place);
    many_may_work_at_once(place);
    one_holds_the_lock(place);
    very_many_are_listed(place);
}

fn put(storage: &dyn Storage, name: &str, bytes: &[u8]) -> StorageResult<()> {
    let mut upload = storage.create(name)?;
    for part in bytes.chunks(70_001) {
        upload.write_all(part).unwrap();
    }
    upload.finish()
}

fn get(storage: &dyn Storage, name: &str, offset: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    storage.open_from(name, offset).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

fn listed(storage: &dyn Storage) -> BTreeSet<String> {
    storage.list().unwrap().into_iter().map(|file| file.name).collect()
}

fn kind<T>(result: StorageResult<T>) -> StorageErrorKind {
    result.err().expect("it must fail").kind
}

fn an_empty_place_is_empty(place: &Place) {
    place.storage.free_bytes().unwrap();
    match place.storage.list() {
        Ok(files) => assert_eq!(files, []),
        Err(error) => assert_eq!(error.kind, StorageErrorKind::NotFound, "{error}"),
    }
}

fn what_is_put_can_be_read(place: &Place) {
    for (name, size) in [("empty", 0), ("one", 1), ("some", 70_001), ("large", 20_000_000)] {
        let bytes = noise(size as u64, size);
        put(&*place.storage, name, &bytes).unwrap();
        assert!(get(&*place.second, name, 0) == bytes, "{name}");
        let files = place.second.list().unwrap();
        let file = files.iter().find(|file| file.name == name).unwrap();
        assert_eq!(file.size_bytes, size as u64);
    }
    assert!(place.storage.free_bytes().unwrap().is_none_or(|bytes| bytes > 1 << 20));
    assert_eq!(place.storage.list_folders().unwrap(), Vec::<String>::new());
}

fn ranges_are_read(place: &Place) {
    let bytes = noise(70_001, 70_001);
    for offset in [0, 1, 32_768, 70_000, 70_001, 80_000] {
        let rest = bytes.get(offset..).unwrap_or_default();
        assert!(get(&*place.storage, "some", offset as u64) == rest, "from {offset}");
    }
    // Nobody has to read a file to its end.
    let mut reader = place.storage.open("large").unwrap();
    reader.read_exact(&mut [0; 10]).unwrap();
}

fn nothing_is_replaced(place: &Place) {
    let before = get(&*place.storage, "some", 0);
    assert_eq!(kind(put(&*place.storage, "some", b"other")), StorageErrorKind::AlreadyExists);
    // Two who begin before either is there: one of them hears that it is too late.
    let mut first = place.storage.create("race").unwrap();
    let mut second = place.second.create("race").unwrap();
    first.write_all(b"first").unwrap();
    second.write_all(b"second").unwrap();
    first.finish().unwrap();
    assert_eq!(kind(second.finish()), StorageErrorKind::AlreadyExists);
    assert_eq!(get(&*place.storage, "race", 0), b"first");
    assert!(get(&*place.storage, "some", 0) == before);
    place.storage.delete("race").unwrap();
}

fn what_is_dropped_leaves_nothing(place: &Place) {
    let before = (place.really_there)();
    for size in [0, 10, 9_000_000] {
        let mut upload = place.storage.create("never").unwrap();
        upload.write_all(&noise(1, size)).unwrap();
        assert!(!listed(&*place.second).contains("never"));
        drop(upload);
        assert_eq!((place.really_there)(), before);
    }
}

fn names_are_any_that_we_give(place: &Place) {
    let long = "x".repeat(place.longest_name);
    let names = [".souvenir-odd", "a b+c%20&d=e", "#?*[~]", "été-\u{1f4be}", "duplicity-full.x:y", &long];
    for name in names.into_iter().filter(|name| !name.contains(|c| place.refused.contains(c))) {
        put(&*place.storage, name, name.as_bytes()).unwrap();
        assert!(listed(&*place.second).contains(name), "{name}");
        assert_eq!(get(&*place.second, name, 0), name.as_bytes());
        place.storage.delete(name).unwrap();
        assert!(!listed(&*place.second).contains(name), "{name}");
    }
}

fn renaming_moves_and_never_replaces(place: &Place) {
    let storage = &*place.storage;
    put(storage, "from", b"it").unwrap();
    storage.rename("from", "to").unwrap();
    assert_eq!(get(&*place.second, "to", 0), b"it");
    assert!(!listed(storage).contains("from"));
    assert_eq!(kind(storage.rename("to", "some")), StorageErrorKind::AlreadyExists);
    assert_eq!(kind(storage.rename("from", "new")), StorageErrorKind::NotFound);
    assert_eq!(get(storage, "to", 0), b"it");
    storage.settle().unwrap();
    let modified = storage.modified("to").unwrap().expect("every place that we know has times");
    assert!(modified.elapsed().unwrap_or_default().as_secs() < 600);
    storage.delete("to").unwrap();
}

fn what_is_not_there_is_said(place: &Place) {
    let not_found = StorageErrorKind::NotFound;
    let read = place.storage.open("absent").and_then(|mut reader| {
        let read = reader.read(&mut [0; 1]);
        read.map_err(|error| souvenir::engine::storage::StorageError::from_io("reading", "", error))
    });
    assert_eq!(kind(read), not_found);
    assert_eq!(kind(place.storage.delete("absent")), not_found);
    assert_eq!(kind(place.storage.modified("absent")), not_found);
}

fn many_may_work_at_once(place: &Place) {
    std::thread::scope(|scope| {
        for number in 0..6_u64 {
            let storage = if number % 2 == 0 { &place.storage } else { &place.second };
            scope.spawn(move || {
                let bytes = noise(number, 1_500_000);
                for round in 0..3 {
                    let name = format!("at-once-{number}-{round}");
                    put(&**storage, &name, &bytes).unwrap();
                    assert!(get(&**storage, &name, 0) == bytes);
                    storage.delete(&name).unwrap();
                }
            });
        }
    });
    assert!(listed(&*place.storage).iter().all(|name| !name.starts_with("at-once")));
}

fn one_holds_the_lock(place: &Place) {
    let before = (place.really_there)();
    let Lock::Held(held) = place.storage.lock("the first").unwrap() else { panic!("nobody else is there") };
    held.check().unwrap();
    let Lock::Busy(holder) = place.second.lock("the second").unwrap() else {
        panic!("there can be only one")
    };
    assert!(holder.contains("the first"), "{holder}");
    drop(held);
    assert!(matches!(place.second.lock("the second").unwrap(), Lock::Held(_)));
    assert_eq!((place.really_there)(), before, "a lock that is let go of leaves nothing");
}

fn very_many_are_listed(place: &Place) {
    let before = place.storage.list().unwrap().len();
    (place.fill)(place.many);
    let files = place.storage.list().unwrap();
    assert_eq!(files.len(), before + place.many);
    let distinct: BTreeSet<_> = files.iter().map(|file| &file.name).collect();
    assert_eq!(distinct.len(), files.len());
}
