//! What is left of damaged volumes, and of sets whose manifest is damaged: all of it comes back, nothing wrong does, and
//! each file that is lost is named.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use common::duplicity::{url, versions};
use common::engine::{Backup, Options, PASSPHRASE, names, to_key};
use common::gpg::Home;
use common::tree::noise;
use souvenir::engine::Error;
use souvenir::engine::crypto::Protection;
use souvenir::engine::format::time::SetTime;
use souvenir::engine::job::{self, Event, Question, Warning};
use souvenir::engine::path::EntryPath;
use souvenir::engine::restore::{Conflict, ReadRequest, RestoreRequest, read_file, restore};

const FIRST: i64 = 1_700_000_000;

/// Contents by names.
type Files = BTreeMap<String, Vec<u8>>;

/// A tree that was backed up three times, and what was in it each time.
struct Story {
    scratch: tempfile::TempDir,
    backup: Backup,
    states: Vec<Files>,
}

impl Story {
    fn new(protection: Protection, home: &Home) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let source = scratch.path().join("source");
        fs::create_dir(&source).unwrap();
        let backup =
            Backup::new(&source, &scratch.path().join("destination")).protected(protection, home.keyring());
        let mut story = Self { scratch, backup, states: Vec::new() };
        for state in 0..3 {
            story.change(state);
            let at = story.backup.clone().at(FIRST + state * 1000);
            if state == 0 {
                at.back_up()
            } else {
                at.incremental().back_up()
            };
            story.states.push(read(&story.backup.root));
        }
        story
    }

    /// Files that compress and files that do not, some within a volume and one over several, which change.
    fn change(&self, state: i64) {
        let root = &self.backup.root;
        let folder = root.join("folder");
        fs::create_dir_all(&folder).unwrap();
        for number in 0..30_u64 {
            // A third of them changes each time.
            if state > 0 && number % 3 != state as u64 {
                continue;
            }
            let mut contents = if number % 2 == 0 {
                noise(number, 120_000)
            } else {
                format!("{number} and some words; ").into_bytes().repeat(8_000)
            };
            contents.splice(50_000..50_000, format!("changed {state}").into_bytes());
            let parent = if number < 15 { &folder } else { root };
            fs::write(parent.join(format!("f{number:02}")), contents).unwrap();
        }
        if state != 1 {
            let mut large = noise(99, 4_000_000);
            large[1_000_000] ^= state as u8;
            fs::write(root.join("large"), large).unwrap();
        }
        fs::write(root.join(format!("new in {state}")), noise(200 + state as u64, 5_000)).unwrap();
    }

    fn destination(&self) -> PathBuf {
        self.scratch.path().join("destination")
    }

    /// Stored files whose names have all these parts.
    fn stored(&self, parts: &[&str]) -> Vec<PathBuf> {
        let names = names(&self.destination()).into_iter();
        let fits = |name: &String| parts.iter().all(|part| name.contains(part));
        names.filter(fits).map(|name| self.destination().join(name)).collect()
    }

    /// Restores each state: what comes back is right, and what does not is named. Gives the names of the files that
    /// are lost.
    fn lost(&self) -> Vec<BTreeSet<String>> {
        let stored_before = read(&self.destination());
        let mut lost = Vec::new();
        for (number, state) in self.states.iter().enumerate() {
            let target = tempfile::tempdir().unwrap();
            let time = SetTime::from_epoch(FIRST + number as i64 * 1000);
            let options = Options { time, ..Options::default() };
            let (result, warnings) = self.backup.try_restore(target.path(), options);
            result.unwrap();
            let restored = read(target.path());
            for (name, contents) in &restored {
                assert!(state.get(name) == Some(contents), "{name} of state {number} is wrong");
            }
            let named: BTreeSet<String> = warnings
                .iter()
                .filter_map(|warning| match warning {
                    Warning::NotRestored { path, .. } => Some(path.to_string()),
                    _ => None,
                })
                .collect();
            let missing: BTreeSet<String> =
                state.keys().filter(|name| !restored.contains_key(*name)).cloned().collect();
            assert_eq!(named, missing, "state {number}: {warnings:?}");
            lost.push(missing);
        }
        assert!(read(&self.destination()) == stored_before, "nothing stored may change");
        lost
    }
}

/// The files below a folder.
fn read(root: &Path) -> Files {
    fn read_into(folder: &Path, prefix: &str, files: &mut Files) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().into_string().unwrap());
            if entry.file_type().unwrap().is_dir() {
                read_into(&entry.path(), &format!("{name}/"), files);
            } else {
                files.insert(name, fs::read(entry.path()).unwrap());
            }
        }
    }
    let mut files = Files::new();
    read_into(root, "", &mut files);
    files
}

/// Changes one bit at a place from 0 to 1 of the file, and gives what was there.
fn harm(file: &Path, place: f64) -> Vec<u8> {
    harm_at(file, (fs::metadata(file).unwrap().len() as f64 * place) as usize)
}

fn harm_at(file: &Path, offset: usize) -> Vec<u8> {
    let whole = fs::read(file).unwrap();
    let mut harmed = whole.clone();
    harmed[offset] ^= 0x10;
    fs::write(file, harmed).unwrap();
    whole
}

/// One bit in each volume in turn, before and behind most of what it holds. It costs hardly more than the file that it is in
/// where that was not compressed, as those are that take the most room here.
fn what_is_left_of_volumes_comes_back(protection: Protection, home: &Home) {
    let story = Story::new(protection, home);
    let volumes = story.stored(&[".vol"]);
    assert!(volumes.len() > 5, "{volumes:?}");
    assert!(story.lost().iter().all(BTreeSet::is_empty));
    for volume in &volumes {
        for place in [0.3, 0.95] {
            let whole = harm(volume, place);
            let lost = story.lost();
            let worst = lost.iter().map(BTreeSet::len).max().unwrap();
            assert!(worst <= 3, "{} at {place}: {lost:?}", volume.display());
            fs::write(volume, whole).unwrap();
        }
    }
}

#[test]
fn what_is_left_of_plain_volumes_comes_back() {
    what_is_left_of_volumes_comes_back(Protection::none(), &Home::new());
}

#[test]
fn what_is_left_of_volumes_sealed_and_signed_comes_back() {
    let home = Home::new();
    let key = home.key("reader", PASSPHRASE);
    what_is_left_of_volumes_comes_back(to_key(&key, false, Some(&key)), &home);
}

/// Nobody is asked for another passphrase where the packets in front of the data are damaged: the one that is known opens
/// all other files.
#[test]
fn a_volume_that_cannot_be_unlocked_is_lost_without_a_question() {
    let home = Home::new();
    let story = Story::new(Protection::passphrase(), &home);
    let volume = &story.stored(&["full", ".vol1."])[0];
    let whole = harm_at(volume, 12);
    let lost = &story.lost()[0];
    assert!(lost.contains("f15") && !lost.contains("large"), "{lost:?}");
    fs::write(volume, whole).unwrap();
    harm(volume, 0.6);
    let lost = &story.lost()[0];
    assert!(!lost.contains("f15") && lost.len() <= 7, "{lost:?}");
}

/// Signatures that nobody signed vouch for nothing where a signature is demanded.
#[test]
fn what_nobody_signed_vouches_for_nothing() {
    let home = Home::new();
    let key = home.key("reader", "");
    let mut story = Story::new(to_key(&key, false, Some(&key)), &home);
    story.backup.sign_key = Some(key.clone());
    harm(&story.stored(&["full", ".vol1."])[0], 0.3);
    assert_eq!(story.lost()[0].len(), 1);
    let signatures = &story.stored(&["full", "sigtar"])[0];
    let plain = home.gpg(&["--decrypt"], &fs::read(signatures).unwrap());
    fs::write(signatures, home.gpg(&["--recipient", &key, "--encrypt"], &plain)).unwrap();
    let target = tempfile::tempdir().unwrap();
    let (result, warnings) = story.backup.try_restore(target.path(), Options::default());
    result.unwrap();
    assert!(warnings.iter().any(|warning| matches!(warning, Warning::Untold { .. })), "{warnings:?}");
    assert!(!target.path().join("f15").exists() && target.path().join("large").exists());
    // Neither do they for a file that goes on into a volume that is missing.
    fs::remove_file(&story.stored(&["full", ".vol5."])[0]).unwrap();
    let target = tempfile::tempdir().unwrap();
    let (result, _) = story.backup.try_restore(target.path(), Options::default());
    result.unwrap();
    assert!(!target.path().join("large").exists());
}

/// The passphrase is asked for, once, also where the first file that is read is damaged.
#[test]
fn the_passphrase_is_asked_for_although_the_manifest_is_damaged() {
    let home = Home::new();
    let story = Story::new(Protection::passphrase(), &home);
    for manifest in story.stored(&[".manifest"]) {
        fs::write(manifest, "nonsense").unwrap();
    }
    let mut backup = story.backup.clone();
    backup.passphrase = None;
    let target = tempfile::tempdir().unwrap();
    let folder = target.path().to_owned();
    let handle = job::spawn("test", move |job| {
        restore(
            &RestoreRequest {
                storage: &*backup.storage,
                keyring: &backup.keyring(),
                passphrases: &backup.passphrases(),
                sign_key: None,
                time: None,
                paths: Vec::new(),
                target: folder,
                strip: EntryPath::root(),
                conflict: Conflict::Refuse,
            },
            job,
        )
    })
    .unwrap();
    let mut asked_count = 0;
    let result = loop {
        match handle.events.recv_blocking().unwrap() {
            Event::Question(Question::Passphrase { reply, .. }) => {
                asked_count += 1;
                reply.send(Some(PASSPHRASE.into())).unwrap();
            }
            Event::Finished(result) => break result,
            _ => {}
        }
    };
    result.unwrap();
    assert_eq!(asked_count, 1);
    assert!(read(target.path()) == story.states[2]);
}

/// Of a difference in many parts, as duplicity makes them, one is missing or cut short.
#[test]
fn a_difference_with_a_gap_is_not_used() {
    let scratch = tempfile::tempdir().unwrap();
    let source = scratch.path().join("source");
    fs::create_dir(&source).unwrap();
    let destination = scratch.path().join("destination");
    let backup = Backup::new(&source, &destination);
    let story = Story { scratch, backup, states: Vec::new() };
    let mut contents = noise(1, 8_000_000);
    let arguments = ["--volsize", "1", "--no-encryption", source.to_str().unwrap(), &url(&destination)];
    let home = Home::new();
    let duplicity = versions(home.path()).remove(0);
    for action in ["full", "incremental"] {
        fs::write(source.join("file"), &contents).unwrap();
        duplicity.run(&[&[action], &arguments[..]].concat());
        for (number, piece) in contents.chunks_mut(300_000).enumerate() {
            if number % 2 == 1 {
                piece.copy_from_slice(&noise(number as u64 + 100, piece.len()));
            }
        }
        // Two sets of one second are none.
        std::thread::sleep(std::time::Duration::from_millis(1_100));
    }
    let restored = || {
        let target = tempfile::tempdir().unwrap();
        let (result, warnings) = story.backup.try_restore(target.path(), Options::default());
        result.unwrap();
        let is_named = warnings.iter().any(|warning| matches!(warning, Warning::NotRestored { .. }));
        (read(target.path()), is_named)
    };
    assert!(restored() == (read(&source), false));
    let volumes = story.stored(&["inc", ".vol"]);
    assert!(volumes.len() >= 3, "{volumes:?}");
    for volume in volumes {
        let whole = fs::read(&volume).unwrap();
        fs::remove_file(&volume).unwrap();
        assert!(restored() == (Files::new(), true), "{}", volume.display());
        fs::write(&volume, &whole[..whole.len() / 2]).unwrap();
        assert!(restored() == (Files::new(), true), "{}", volume.display());
        fs::write(&volume, whole).unwrap();
    }
}

/// Without its manifest nothing says which volumes a set has, and what their hashes are. All of it comes back.
#[test]
fn sets_whose_manifest_is_damaged_come_back() {
    let home = Home::new();
    let key = home.key("reader", "");
    for protection in [Protection::none(), to_key(&key, false, None)] {
        let story = Story::new(protection, &home);
        for manifest in story.stored(&[".manifest"]) {
            let whole = fs::read(&manifest).unwrap();
            let mut locked = whole.clone();
            locked[8] ^= 1;
            for harmed in [&b""[..], b"nonsense", &whole[..whole.len() / 2], &locked] {
                fs::write(&manifest, harmed).unwrap();
                assert!(story.lost().iter().all(BTreeSet::is_empty), "{}", manifest.display());
            }
            fs::write(&manifest, whole).unwrap();
        }
        let manifest = &story.stored(&["full", ".manifest"])[0];
        fs::write(manifest, "nonsense").unwrap();
        // A second file claims to be a volume in the middle of a file.
        if !story.backup.protection.is_openpgp() {
            let volume = &story.stored(&["full", ".vol5."])[0];
            let mut plain = Vec::new();
            let stored = fs::read(volume).unwrap();
            flate2::read::MultiGzDecoder::new(&stored[..]).read_to_end(&mut plain).unwrap();
            let second = volume.with_extension("");
            fs::write(&second, plain).unwrap();
            assert!(story.lost().iter().all(BTreeSet::is_empty));
            fs::remove_file(second).unwrap();
        }
        // One volume is missing, too.
        fs::remove_file(&story.stored(&["full", ".vol5."])[0]).unwrap();
        assert_eq!(story.lost()[0], BTreeSet::from(["large".to_owned()]));
        // With the signatures everything is gone that is in no other set.
        for harmed in [&b""[..], b"nonsense"] {
            fs::write(&story.stored(&["full", "sigtar"])[0], harmed).unwrap();
            let restore = |state: i64, target: &Path| {
                let time = SetTime::from_epoch(FIRST + state * 1000);
                story.backup.try_restore(target, Options { time, ..Options::default() })
            };
            let target = tempfile::tempdir().unwrap();
            let failure = restore(0, target.path()).0.unwrap_err();
            assert!(failure.is_damage(), "{failure:?}");
            let (result, warnings) = restore(2, target.path());
            result.unwrap();
            assert_eq!(names(target.path()), ["new in 1", "new in 2"]);
            let is_untold = |warning: &Warning| matches!(warning, Warning::Untold { .. });
            assert!(warnings.iter().any(is_untold), "{warnings:?}");
        }
    }
}

/// Something else that can be read stands where a volume was.
#[test]
fn what_is_not_what_was_signed_is_not_used() {
    let story = Story::new(Protection::none(), &Home::new());
    let other = Story::new(Protection::none(), &Home::new());
    // The same names and sizes, with other contents.
    for name in names(&other.backup.root).iter().filter(|name| name.starts_with('f') && *name != "folder") {
        let path = other.backup.root.join(name);
        let mut contents = fs::read(&path).unwrap();
        contents[60_000] ^= 1;
        fs::write(&path, contents).unwrap();
    }
    fs::remove_dir_all(other.destination()).unwrap();
    other.backup.clone().at(FIRST).back_up();
    let volume = &story.stored(&["full", ".vol1."])[0];
    fs::copy(&other.stored(&["full", ".vol1."])[0], volume).unwrap();
    let lost = story.lost();
    assert!(lost[0].contains("f15") && lost[0].contains("f20"), "{lost:?}");

    // Where the signatures are damaged as well, nothing of the volume is used, even if it could be read.
    let story = Story::new(Protection::none(), &Home::new());
    harm(&story.stored(&["full", ".vol1."])[0], 0.95);
    harm(&story.stored(&["full", "sigtar"])[0], 0.9);
    let target = tempfile::tempdir().unwrap();
    let (result, _) = story.backup.try_restore(target.path(), Options::default());
    result.unwrap();
    assert!(!target.path().join("f15").exists());
    assert!(target.path().join("large").exists());

    // That they are not whole is not taken for a missing key.
    let home = Home::new();
    let key = home.key("reader", "");
    let story = Story::new(to_key(&key, false, None), &home);
    let signatures = &story.stored(&["full", "sigtar"])[0];
    let whole = fs::read(signatures).unwrap();
    fs::write(signatures, &whole[..whole.len() / 2]).unwrap();
    harm(&story.stored(&["full", ".vol1."])[0], 0.95);
    let target = tempfile::tempdir().unwrap();
    let (result, warnings) = story.backup.try_restore(target.path(), Options::default());
    result.unwrap();
    assert!(warnings.iter().any(|warning| matches!(warning, Warning::Untold { .. })), "{warnings:?}");
    assert!(!target.path().join("f15").exists());
    assert!(target.path().join("large").exists());
}

/// One file is read into memory by the same rules.
#[test]
fn one_file_of_a_damaged_volume_can_be_read() {
    let story = Story::new(Protection::none(), &Home::new());
    harm(&story.stored(&["full", ".vol1."])[0], 0.3);
    let read = |name: &str| {
        let backup = story.backup.clone();
        let path = EntryPath::from_bytes(name.as_bytes()).unwrap();
        common::engine::run(move |job| {
            let request = ReadRequest {
                storage: &*backup.storage,
                keyring: &backup.keyring(),
                passphrases: &backup.passphrases(),
                sign_key: None,
                time: None,
                path,
                limit_bytes: 1 << 20,
            };
            read_file(&request, job)
        })
        .0
    };
    // Its first state is in the damaged volume, the difference to it in a sound one.
    let contents = read("f16").unwrap();
    assert!(contents.bytes.as_deref() == story.states[2].get("f16").map(Vec::as_slice));
    assert!(matches!(read("f18"), Err(Error::Damaged { .. })));
}

/// Volumes and signatures of duplicity, whose sums are of another kind.
#[test]
fn what_is_left_of_volumes_of_duplicity_comes_back() {
    let home = Home::new();
    for duplicity in versions(home.path()) {
        for protection in [Protection::none(), Protection::passphrase()] {
            let mut story = Story::new(protection.clone(), &home);
            fs::remove_dir_all(story.destination()).unwrap();
            let volume_size = ["--volsize", "1"];
            let encryption: &[&str] = if protection.is_openpgp() { &[] } else { &["--no-encryption"] };
            let source = story.backup.root.to_str().unwrap().to_owned();
            let destination = url(&story.destination());
            let arguments = [&["full"], &volume_size[..], encryption, &[&source, &destination]].concat();
            duplicity.run(&arguments);
            story.states = vec![read(&story.backup.root)];
            let before = story.stored(&[".vol"]).len();
            assert!(before > 3);
            let volume = &story.stored(&[".vol1."])[0];
            harm(volume, 0.6);
            // The state of that time is the newest, whatever time that was.
            let target = tempfile::tempdir().unwrap();
            let (result, warnings) = story.backup.try_restore(target.path(), Options::default());
            result.unwrap();
            let restored = read(target.path());
            for (name, contents) in &restored {
                assert!(story.states[0].get(name) == Some(contents), "{name} is wrong");
            }
            let lost = story.states[0].len() - restored.len();
            let named = |warning: &&Warning| matches!(warning, Warning::NotRestored { .. });
            assert_eq!(warnings.iter().filter(named).count(), lost, "{warnings:?}");
            assert!(restored.contains_key("f15") && (1..8).contains(&lost), "{lost}: {warnings:?}");
        }
    }
}
