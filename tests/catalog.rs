//! The catalogue says of every time what the destination itself says.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::catalog::{Place, found, history, path, search};
use common::duplicity::versions;
use common::engine::names;
use common::gpg::Home;
use common::tree::{change_something, edit, make_everything, make_small};
use souvenir::engine::Error;
use souvenir::engine::catalog::{Change, SyncSummary};
use souvenir::engine::crypto::Protection;
use souvenir::engine::job::Job;
use souvenir::engine::restore::{ReadRequest, read_file};

#[test]
fn every_time_is_what_our_sets_say() {
    for (protection, home) in [(Protection::none(), Home::new()), (Protection::passphrase(), Home::new())] {
        let mut place = Place::new().protected(protection, &home);
        make_everything(&place.source());
        place.full();
        change_something(&place.source());
        place.incremental();
        place.check(&place.sync().0);
        edit(&place.source(), 1, 12);
        place.incremental();
        edit(&place.source(), 2, 12);
        place.full();
        edit(&place.source(), 3, 12);
        place.incremental();
        let (catalog, summary) = place.sync();
        assert_eq!((summary.taken_count, summary.forgotten_count), (3, 0));
        place.check(&catalog);
        let (_, summary) = place.sync();
        assert_eq!(summary, SyncSummary::default(), "there is nothing new");
    }
}

#[test]
fn every_time_is_what_duplicitys_sets_say() {
    let home = Home::new();
    for program in versions(home.path()) {
        let mut place = Place::new().protected(Protection::none(), &home);
        let options = ["--volsize", "1", "--no-encryption"];
        make_everything(&place.source());
        place.theirs(&program, "full", &options);
        change_something(&place.source());
        place.theirs(&program, "incremental", &options);
        edit(&place.source(), 4, 12);
        place.incremental();
        edit(&place.source(), 5, 12);
        place.theirs(&program, "incremental", &options);
        edit(&place.source(), 6, 12);
        place.theirs(&program, "full", &options);
        edit(&place.source(), 7, 12);
        place.theirs(&program, "incremental", &options);
        let (catalog, summary) = place.sync();
        assert_eq!(summary.taken_count, 6);
        place.check(&catalog);

        let mut place = Place::new().protected(Protection::passphrase(), &home);
        make_small(&place.source());
        place.theirs(&program, "full", &[]);
        edit(&place.source(), 8, 12);
        place.theirs(&program, "incremental", &[]);
        place.check(&place.sync().0);
    }
}

#[test]
fn random_chains_are_what_their_sets_say() {
    for seed in 0..4 {
        let mut place = Place::new();
        make_small(&place.source());
        place.full();
        for step in 0..6 {
            edit(&place.source(), seed * 100 + step, 8);
            if step == 3 {
                place.full()
            } else {
                place.incremental()
            };
            if step % 2 == 0 {
                place.check(&place.sync().0);
            }
        }
        place.check(&place.sync().0);
    }
}

#[test]
fn a_version_of_a_file_is_read_into_memory() {
    let home = Home::new();
    for protection in [Protection::none(), Protection::passphrase()] {
        let mut place = Place::new().protected(protection, &home);
        make_small(&place.source());
        // The second state is stored as a difference.
        let first: Vec<u8> = (0..2_000_000_u32).map(|number| (number % 251) as u8).collect();
        let mut second = first.clone();
        second[1_000_000..1_000_010].fill(0);
        fs::write(place.file("large"), &first).unwrap();
        let first_time = place.full();
        fs::write(place.file("large"), &second).unwrap();
        let second_time = place.incremental();
        let read = |time, limit_bytes, name: &str| {
            let request = ReadRequest {
                storage: &*place.backup.storage,
                keyring: &place.backup.keyring(),
                passphrases: &place.backup.passphrases(),
                sign_key: None,
                time: Some(time),
                path: path(name),
                limit_bytes,
            };
            read_file(&request, &Job::unattended())
        };
        assert!(read(first_time, 1 << 21, "large").unwrap().bytes == Some(first));
        let found = read(second_time, 2_000_000, "large").unwrap();
        assert!(found.bytes == Some(second));
        assert_eq!(found.entry.path, path("large"));
        assert_eq!(read(second_time, 1_999_999, "large").unwrap().bytes, None);
        for nothing in ["", "larger"] {
            assert!(matches!(read(first_time, 9, nothing), Err(Error::PathNotInBackup { .. })), "{nothing}");
        }
    }
}

#[test]
fn looking_begins_where_there_is_a_choice() {
    let mut place = Place::new();
    fs::create_dir_all(place.file("home/ada/empty")).unwrap();
    fs::write(place.file("home/ada/gone"), "1").unwrap();
    let first = place.full();
    fs::remove_file(place.file("home/ada/gone")).unwrap();
    let second = place.incremental();
    let (catalog, _) = place.sync();
    let choice = |time| catalog.first_choice(Some(time), &Job::unattended()).unwrap();
    assert_eq!(choice(first), path("home/ada"));
    // A folder with nothing in it is no place to begin.
    assert_eq!(choice(second), path("home/ada"));
}

#[test]
fn a_history_tells_each_change_and_a_search_finds_what_is_gone() {
    let mut place = Place::new();
    let strange = std::ffi::OsStr::from_bytes(b"N\xc4\xffme");
    let write = |name: &str, contents: &str| {
        fs::create_dir_all(place.file(name).parent().unwrap()).unwrap();
        fs::write(place.file(name), contents).unwrap();
    };
    write("docs/Letter.txt", "1");
    write("docs/steady", "same");
    fs::write(place.source().join(strange), "12345").unwrap();
    let mut times = vec![place.full()];
    fs::write(place.file("docs/Letter.txt"), "22").unwrap();
    times.push(place.incremental());
    fs::rename(place.file("docs/Letter.txt"), place.file("docs/Renamed.txt")).unwrap();
    fs::remove_file(place.source().join(strange)).unwrap();
    times.push(place.incremental());
    fs::write(place.file("docs/Letter.txt"), "4444").unwrap();
    times.push(place.incremental());
    fs::remove_dir_all(place.file("docs")).unwrap();
    fs::write(place.file("docs"), "now a file").unwrap();
    times.push(place.full());
    let (catalog, _) = place.sync();
    let [first, second, third, fourth, fifth] = times[..].try_into().unwrap();

    use Change::{Added, Deleted, Modified};
    assert_eq!(
        history(&catalog, "docs/Letter.txt"),
        [
            (first, Added, Some(1)),
            (second, Modified, Some(2)),
            (third, Deleted, None),
            (fourth, Added, Some(4)),
            (fifth, Deleted, None)
        ]
    );
    assert_eq!(history(&catalog, "docs/Renamed.txt"), [(third, Added, Some(2)), (fifth, Deleted, None)]);
    assert_eq!(history(&catalog, "docs/steady"), [(first, Added, Some(4)), (fifth, Deleted, None)]);
    assert_eq!(history(&catalog, b"N\xc4\xffme"), [(first, Added, Some(5)), (third, Deleted, None)]);
    let docs = history(&catalog, "docs");
    assert_eq!(docs.last(), Some(&(fifth, Modified, Some(10))));
    assert!(matches!(catalog.history(&path("nothing")), Err(Error::PathNotInBackup { .. })));

    assert_eq!(found(&catalog, "letter"), ["docs/Letter.txt"]);
    assert_eq!(found(&catalog, "*.TXT"), ["docs/Letter.txt", "docs/Renamed.txt"]);
    assert_eq!(found(&catalog, "docs/*"), ["docs/Letter.txt", "docs/Renamed.txt", "docs/steady"]);
    assert_eq!(found(&catalog, "n?\u{fffd}"), [] as [&str; 0]);
    assert_eq!(search(&catalog, "n??me")[0].entry.path.as_bytes(), b"N\xc4\xffme");
    let letter = &search(&catalog, "letter")[0];
    assert_eq!(letter.entry.size_bytes, Some(4), "the newest version");
    let spans: Vec<_> = letter.spans.iter().map(|span| (span.first, span.last, span.gone)).collect();
    assert_eq!(spans, [(first, second, Some(third)), (fourth, fourth, Some(fifth))]);
    assert_eq!(search(&catalog, "docs")[0].spans[0].gone, None);

    let changes = |from, to| -> Vec<(String, Change)> {
        let found = catalog.changes(from, to, &Job::unattended()).unwrap();
        assert_eq!((found.from, found.to, found.missing), (from, to, vec![]));
        found
            .changes
            .into_iter()
            .filter(|change| !change.path.is_root())
            .map(|change| (change.path.to_string(), change.change))
            .collect()
    };
    assert_eq!(changes(first, second), [("docs/Letter.txt".to_owned(), Modified)]);
    let of_files = |from, to| {
        let mut found = changes(from, to);
        found.retain(|(path, _)| path.contains('/'));
        found
    };
    let renamed = ("docs/Renamed.txt".to_owned(), Added);
    assert_eq!(of_files(second, third), [("docs/Letter.txt".to_owned(), Deleted), renamed.clone()]);
    assert_eq!(of_files(second, fourth), [("docs/Letter.txt".to_owned(), Modified), renamed.clone()]);
    assert_eq!(of_files(first, first), []);
    let back = of_files(fifth, second);
    let added = |name: &str| (name.to_owned(), Added);
    assert_eq!(back, [added("docs/Letter.txt"), added("docs/steady")]);
}

#[test]
fn sets_that_are_gone_are_forgotten_with_what_only_they_had() {
    let mut place = Place::new();
    make_small(&place.source());
    place.full();
    fs::create_dir_all(place.file("only/in/between")).unwrap();
    fs::write(place.file("only/in/between/unique"), "").unwrap();
    let between = place.incremental();
    fs::remove_dir_all(place.file("only")).unwrap();
    place.full();
    let (catalog, _) = place.sync();
    assert_eq!(found(&catalog, "unique"), ["only/in/between/unique"]);
    let count = catalog.overview().unwrap().path_count;
    drop(catalog);
    for name in names(&place.destination()).iter().filter(|name| name.contains(&between.to_string())) {
        fs::remove_file(place.destination().join(name)).unwrap();
    }
    let (catalog, summary) = place.sync();
    assert_eq!((summary.forgotten_count, summary.taken_count), (1, 0));
    assert_eq!(found(&catalog, "unique"), [] as [&str; 0]);
    assert_eq!(catalog.overview().unwrap().path_count, count - 4);
    place.check(&catalog);
    drop(catalog);
    // Nor does the row that is searched say that there was such a name.
    let tables = rusqlite::Connection::open(place.folder().join("catalog.sqlite")).unwrap();
    let searched: Vec<u8> = tables.query_row("SELECT names FROM names", [], |row| row.get(0)).unwrap();
    drop(tables);
    let holds = |name: &[u8]| searched.windows(name.len()).any(|window| window == name);
    assert!(holds(b"/folder\0") && !holds(b"unique"));

    // A set in the place of another one, under the same names.
    let stored = names(&place.destination());
    fs::remove_dir_all(place.destination()).unwrap();
    fs::write(place.file("another one"), "").unwrap();
    place.time -= 100_000;
    place.full();
    assert!(names(&place.destination()).iter().all(|name| stored.contains(name)));
    let (catalog, summary) = place.sync();
    assert_eq!((summary.forgotten_count, summary.taken_count), (1, 1));
    place.check(&catalog);
    drop(catalog);

    // The drive is not there.
    fs::remove_dir_all(place.destination()).unwrap();
    fs::create_dir(place.destination()).unwrap();
    assert!(matches!(place.try_sync().0, Err(Error::NoBackup { .. })));
    assert_eq!(found(&place.open(), "another"), ["another one"]);
}

#[test]
fn only_its_owner_may_read_it() {
    let mut place = Place::new();
    make_small(&place.source());
    place.full();
    let (catalog, _) = place.sync();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&place.folder()), 0o700);
    let files = names(&place.folder());
    assert!(files.iter().any(|name| name.ends_with("-wal")), "{files:?}");
    for name in files {
        assert_eq!(mode(&place.folder().join(&name)), 0o600, "{name}");
    }
    drop(catalog);
    fs::set_permissions(place.folder(), fs::Permissions::from_mode(0o755)).unwrap();
    place.open();
    assert_eq!(mode(&place.folder()), 0o700, "and remains so");
}
