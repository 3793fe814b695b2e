//! Chains that we made: duplicity lists them as we do, restores any part of any time, deletes old ones,
//! and goes on with them as if they were its own.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::common::cases::{Case, case, duplicity};
use crate::common::duplicity::{Duplicity, statistic, url, versions};
use crate::common::engine::{Backup, names};
use crate::common::gpg::Home;
use crate::common::tree::{
    Tree, assert_same, below, change_something, edit, look, make_everything, make_small, noise,
};
use souvenir::engine::crypto::Keyring;
use souvenir::engine::format::name::FileName;

/// The time of a set, by its number.
pub fn time(number: usize) -> i64 {
    1_700_000_000 + number as i64 * 100_000
}

/// A tree, our backups of it, and what it was like at each of them.
pub struct Ours {
    pub scratch: tempfile::TempDir,
    pub source: PathBuf,
    pub stored: PathBuf,
    pub backup: Backup,
    pub states: Vec<Tree>,
}

impl Ours {
    pub fn new(make: impl FnOnce(&Path)) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let (source, stored) = (scratch.path().join("source"), scratch.path().join("stored"));
        make(&source);
        let backup = Backup::new(&source, &stored);
        Self { scratch, source, stored, backup, states: Vec::new() }
    }

    pub fn set(&mut self, is_full: bool) {
        let backup = self.backup.clone().at(time(self.states.len()));
        let summary = if is_full { backup.back_up() } else { backup.incremental().back_up() };
        assert_eq!(summary.is_full(), is_full);
        self.states.push(look(&self.source));
    }

    pub fn target(&self) -> PathBuf {
        // The folder stays as long as the scratch folder does.
        tempfile::tempdir_in(self.scratch.path()).unwrap().keep().join("restored")
    }

    pub fn duplicity_restores(&self, program: &Duplicity, at: i64, expected: &Tree) {
        let (target, at, place) = (self.target(), at.to_string(), url(&self.stored));
        program.run(&["restore", "--no-encryption", "--time", &at, &place, target.to_str().unwrap()]);
        assert_same(expected, &look(&target), &format!("{program:?} at {at}"));
    }
}

/// A file in the middle volumes, a folder over several of them, and names that are no text, at each time.
fn parts_come_back(program: &Duplicity) {
    let mut ours = Ours::new(make_everything);
    ours.set(true);
    change_something(&ours.source);
    ours.set(false);
    edit(&ours.source.join("sizes"), 5, 6);
    ours.set(false);
    let mut tried = 0;
    for (number, state) in ours.states.iter().enumerate() {
        for path in [
            &b"sizes/2500000"[..],
            b"sizes",
            b"names/\xff\xfe",
            &[&b"renamed/"[..], &[0xff; 255]].concat(),
            b"names/new\nline",
        ] {
            let expected = below(state, path);
            if expected.is_empty() || number == 2 && path != b"sizes" {
                continue;
            }
            let target = ours.target();
            let (at, place) = (time(number).to_string(), url(&ours.stored));
            let arguments: [&OsStr; 8] = [
                "restore".as_ref(),
                "--no-encryption".as_ref(),
                "--time".as_ref(),
                at.as_ref(),
                "--path-to-restore".as_ref(),
                OsStr::from_bytes(path),
                place.as_ref(),
                target.as_ref(),
            ];
            program.run(&arguments);
            let what = format!("{} of {number} by {program:?}", path.escape_ascii());
            assert_same(&expected, &look(&target), &what);
            tried += 1;
        }
    }
    assert_eq!(tried, 8);
}

#[test]
fn debians_duplicity_restores_parts_of_each_time() {
    parts_come_back(&versions(Home::new().path())[0]);
}

#[test]
fn the_newest_duplicity_restores_parts_of_each_time() {
    parts_come_back(&versions(Home::new().path())[1]);
}

/// The same paths at each time, and of each chain the same sets with the same number of volumes.
#[test]
fn duplicity_lists_and_counts_as_we_do() {
    let mut ours = Ours::new(make_small);
    ours.backup.volume_bytes = 1 << 19;
    for number in 0..5 {
        ours.set(number == 0 || number == 3);
        edit(&ours.source, number, 6);
    }
    let place = url(&ours.stored);
    let chains = ours.backup.status().chains;
    let counted: Vec<(bool, u32)> =
        chains.iter().flat_map(|chain| &chain.sets).map(|set| (set.full, set.volume_count)).collect();
    assert!(counted.iter().any(|(_, volumes)| *volumes > 2), "{counted:?}");
    for program in versions(Home::new().path()) {
        for (number, state) in ours.states.iter().enumerate() {
            let at = time(number).to_string();
            let text = program.run(&["list-current-files", "--no-encryption", "--time", &at, &place]);
            // `Tue Nov 14 22:13:20 2023 PATH`
            let is_line = |line: &&str| line.get(24..25) == Some(" ") && line.get(19..20) == Some(" ");
            let theirs: BTreeSet<&str> =
                text.lines().filter(is_line).filter_map(|line| line.get(25..)).collect();
            let listed = ours.backup.list_at(time(number)).entries;
            let mine: BTreeSet<String> = listed.iter().map(|entry| entry.path.to_string()).collect();
            assert_eq!(theirs, mine.iter().map(String::as_str).collect(), "{number}: {text}");
            assert_eq!(mine.len(), state.len());
        }
        let text = program.run(&["collection-status", "--no-encryption", &place]);
        assert!(text.contains("No orphaned or incomplete backup sets found"), "{text}");
        let theirs: Vec<(bool, u32)> = text
            .lines()
            .map(str::trim)
            .filter(|line| line.starts_with("Full ") || line.starts_with("Incremental "))
            .map(|line| (line.starts_with("Full "), line.rsplit(' ').next().unwrap().parse().unwrap()))
            .collect();
        assert_eq!(theirs, counted, "{text}");
        let sets = |line: &&str| line.starts_with("Number of contained backup sets:");
        assert_eq!(text.lines().filter(sets).count(), chains.len(), "{text}");
    }
}

/// The difference of a file larger than eight volumes is made in pieces, side by side. duplicity takes them
/// for one, and goes on from there.
#[test]
fn a_difference_in_pieces_comes_back() {
    let mut ours = Ours::new(make_small);
    ours.backup.volume_bytes = 1 << 20;
    let large = ours.source.join("large");
    let mut contents = noise(5, 12_000_000);
    fs::write(&large, &contents).unwrap();
    ours.set(true);
    // Here and there another byte, so that there is something to say in every piece, and an insertion.
    for at in (0..contents.len()).step_by(700_001) {
        contents[at] ^= 1;
    }
    contents.splice(5_000_000..5_000_000, noise(6, 1_500_000));
    fs::write(&large, &contents).unwrap();
    let summary = ours.backup.clone().at(time(1)).incremental().back_up();
    assert!(summary.delta_count >= 1 && summary.volume_count > 1, "{summary:?}");
    ours.states.push(look(&ours.source));
    let place = url(&ours.stored);
    for (index, program) in versions(Home::new().path()).iter().enumerate() {
        for (number, state) in ours.states.clone().iter().enumerate().skip(index) {
            ours.duplicity_restores(program, time(number), state);
        }
        let target = ours.target();
        let part = ["--no-encryption", "--path-to-restore", "large", &place, target.to_str().unwrap()];
        program.run(&[&["restore"], &part[..]].concat());
        assert_same(&look(&large), &look(&target), "the file alone");
        // Another time to the second than before, whenever this runs.
        contents[3_000_000 + index] ^= 1;
        fs::write(&large, &contents).unwrap();
        let later = SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000 + index as u64);
        File::open(&large).unwrap().set_modified(later).unwrap();
        let at = time(2 + index).to_string();
        let source = ours.source.to_str().unwrap();
        let arguments = ["incremental", "--no-encryption", "--current-time", &at, source, &place];
        let told = program.run(&arguments);
        assert!(statistic(&told, "RawDeltaSize") < 50_000, "{told}");
        ours.states.push(look(&ours.source));
    }
    for (number, state) in ours.states.iter().enumerate() {
        let target = ours.target();
        ours.backup.restore_at(time(number), &target);
        assert_same(state, &look(&target), &format!("ours of {number}"));
    }
}

/// Makes a test of every protection, with each of the versions that it is tried with.
macro_rules! in_every_protection {
    ($check:ident: $($name:ident = $protection:literal;)*) => {$(
        #[test]
        fn $name() {
            let home = Home::new();
            let case = case(&home, $protection);
            for program in &versions(home.path())[case.versions.clone()] {
                println!("{program:?}");
                $check(&case, program, home.keyring());
            }
        }
    )*};
}

in_every_protection! {
    a_byte_makes_a_block:
    one_byte_makes_one_block = "none";
    one_byte_makes_one_block_with_a_passphrase = "passphrase";
    one_byte_makes_one_block_with_a_signed_passphrase = "signed passphrase";
    one_byte_makes_one_block_signed_to_a_key = "signed to a key";
    one_byte_makes_one_block_to_a_hidden_key = "hidden key";
}

/// With nothing changed duplicity finds nothing to do in our chain, and with one byte of a large file
/// changed it stores about one block of it: our signatures are what it would have made.
fn a_byte_makes_a_block(case: &Case, program: &Duplicity, keyring: Keyring) {
    const SIZE: usize = 4_000_000;
    let mut ours = Ours::new(make_small);
    ours.backup = ours.backup.protected(case.protection.clone(), keyring);
    let large = ours.source.join("large");
    let write = |seconds: u64, change: bool| {
        let file = File::options().create(true).truncate(false).write(true).open(&large).unwrap();
        if change {
            file.write_all_at(&[!noise(9, SIZE)[1_234_567]], 1_234_567).unwrap();
        } else {
            file.write_all_at(&noise(9, SIZE), 0).unwrap();
        }
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
    };
    write(1_600_000_000, false);
    ours.set(true);
    edit(&ours.source.join("folder"), 1, 4);
    ours.set(false);
    let extend = |at: i64| {
        let (at, place) = (at.to_string(), url(&ours.stored));
        let arguments = ["incremental", "--current-time", &at, ours.source.to_str().unwrap(), &place];
        duplicity(program, case, &arguments)
    };
    let unchanged = extend(time(2));
    for name in ["NewFiles", "DeletedFiles", "ChangedFiles", "DeltaEntries"] {
        assert_eq!(statistic(&unchanged, name), 0, "{unchanged}");
    }
    write(1_600_000_100, true);
    let changed = extend(time(3));
    for (name, count) in [("NewFiles", 0), ("DeletedFiles", 0), ("ChangedFiles", 1), ("DeltaEntries", 1)] {
        assert_eq!(statistic(&changed, name), count, "{changed}");
    }
    // A block is the square root of the size, and a delta says where the others are.
    let raw = statistic(&changed, "RawDeltaSize");
    assert!((1..=2 * 2048).contains(&raw), "{changed}");
    let target = ours.target();
    ours.backup.restore(&target);
    assert_same(&look(&ours.source), &look(&target), "our restore of what duplicity added");
}

/// Three chains of ours: duplicity deletes as if they were its own, and both restore what is left.
#[test]
fn duplicity_deletes_old_chains_of_ours() {
    let mut ours = Ours::new(make_small);
    for number in 0..9 {
        ours.set(number % 3 == 0);
        edit(&ours.source, number, 3);
    }
    let (after_the_second, whole) = ((time(5) + 1).to_string(), ours.stored.clone());
    for program in versions(Home::new().path()) {
        for (index, (verb, left)) in [
            (["remove-older-than", &after_the_second], &[6, 7, 8][..]),
            (["remove-all-but-n-full", "2"], &[3, 4, 5, 6, 7, 8]),
            (["remove-all-inc-of-but-n-full", "1"], &[0, 3, 6, 7, 8]),
        ]
        .into_iter()
        .enumerate()
        {
            ours.stored = ours.target();
            fs::create_dir(&ours.stored).unwrap();
            for name in names(&whole) {
                fs::copy(whole.join(&name), ours.stored.join(&name)).unwrap();
            }
            let place = url(&ours.stored);
            program.run(&[&verb[..], &["--force", "--no-encryption", &place]].concat());
            let backup = Backup::new(&ours.source, &ours.stored);
            let status = backup.status();
            let sets = status.chains.iter().flat_map(|chain| &chain.sets);
            let found: Vec<i64> = sets.map(|set| set.time.epoch()).collect();
            assert_eq!(found, left.iter().map(|number| time(*number)).collect::<Vec<_>>(), "{verb:?}");
            assert_eq!(status.leftovers, [], "{verb:?}");
            let stays = |name: &String| {
                let set_time = FileName::parse(name).unwrap().set.time().epoch();
                left.iter().any(|number| time(*number) == set_time)
            };
            let expected: Vec<_> = names(&whole).into_iter().filter(stays).collect();
            assert_eq!(names(&ours.stored), expected, "{verb:?}");
            for number in left {
                let target = ours.target();
                backup.restore_at(time(*number), &target);
                assert_same(&ours.states[*number], &look(&target), &format!("{number} after {verb:?}"));
            }
            let number = left[index];
            ours.duplicity_restores(&program, time(number), &ours.states[number]);
        }
    }
}

/// Volumes of a size, a tree that is mostly holes, and how many volumes it comes to.
fn volumes_come_back(volume_bytes: u64, hole_bytes: u64, volumes: std::ops::RangeInclusive<u32>) {
    let mut ours = Ours::new(make_small);
    File::create(ours.source.join("holes")).unwrap().set_len(hole_bytes).unwrap();
    fs::write(ours.source.join("noise"), noise(1, 2_500_000)).unwrap();
    ours.backup.volume_bytes = volume_bytes;
    ours.set(true);
    let count = ours.backup.status().chains[0].sets[0].volume_count;
    assert!(volumes.contains(&count), "{count} volumes of {volume_bytes} bytes");
    let target = ours.target();
    ours.backup.restore(&target);
    assert_same(&ours.states[0], &look(&target), "our restore");
    fs::remove_dir_all(target).unwrap();
    for program in versions(Home::new().path()) {
        ours.duplicity_restores(&program, time(0), &ours.states[0]);
    }
}

#[test]
fn volumes_of_one_mebibyte_come_back() {
    volumes_come_back(1 << 20, 3 << 20, 6..=12);
}

/// What is large takes a while; if everything is to be tested, volumes are filled.
#[test]
fn volumes_of_two_hundred_mebibytes_come_back() {
    match std::env::var_os("SOUVENIR_TEST_ALL") {
        Some(_) => volumes_come_back(200 << 20, 450 << 20, 3..=5),
        None => volumes_come_back(200 << 20, 20 << 20, 1..=1),
    }
}

#[test]
fn one_huge_volume_comes_back() {
    let holes = if std::env::var_os("SOUVENIR_TEST_ALL").is_some() { 1 << 30 } else { 40 << 20 };
    volumes_come_back(1 << 40, holes, 1..=1);
}
