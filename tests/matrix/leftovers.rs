//! What is left of runs that ended badly, made by hand: nothing of it stops a backup, a restore, or duplicity
//! after our cleanup.

use std::fs;

use super::place::{FIRST, Place, SECOND, THIRD, souvenir_cli};
use crate::common::duplicity::versions;
use crate::common::engine::{Options, names};
use crate::common::gpg::Home;
use crate::common::tree::{assert_same, edit, look, noise};
use souvenir::engine::backup::BackupKind;
use souvenir::engine::chain::{FullPolicy, FullReason};
use souvenir::engine::format::time::SetTime;
use souvenir::engine::status::Unused;
use souvenir::engine::verify::Which;

/// A manifest that is all there is of a set: of a later full one, and of an incremental one.
#[test]
fn a_bare_manifest_is_said_and_not_built_on() {
    let home = Home::new();
    let program = &versions(home.path())[0];
    for verb in ["full", "incremental"] {
        let place = Place::new();
        place.duplicity(program, "full", FIRST);
        let first = look(&place.source);
        edit(&place.source, 1, 5);
        place.duplicity(program, verb, SECOND);
        let second = SetTime::from_epoch(SECOND).unwrap().to_string();
        for name in names(&place.stored) {
            if name.contains(&second) && !name.ends_with("manifest") {
                fs::remove_file(place.stored.join(name)).unwrap();
            }
        }
        let mut backup = place.backup();
        let weak = backup.status().chains.iter().flat_map(|chain| chain.sets.clone()).last().unwrap();
        assert_eq!((weak.missing_volumes, weak.has_signatures), (vec![1], false));
        backup.restore_at(FIRST, &place.target("first"));
        assert_same(&first, &look(&place.target("first")), "what is whole");
        let (result, warnings) = backup.try_restore(&place.target("second"), Options::default());
        assert!(result.is_err() || !warnings.is_empty(), "{verb}: {result:?}");
        backup.kind = BackupKind::Auto(FullPolicy::default());
        let made = backup.clone().at(THIRD).back_up();
        assert!(matches!(made.full_because, Some(FullReason::MissingVolumes { .. })), "{made:?}");
        backup.restore(&place.target("third"));
        assert_same(&look(&place.source), &look(&place.target("third")), "our next set");
        place.duplicity_restores(program, None, &look(&place.source));
        // It says that it exists, so it goes as a backup goes, once it is old.
        place.clean_up();
        assert!(names(&place.stored).iter().any(|name| name.contains(&second)));
        souvenir_cli(&["remove-all-but-n-full", "1", place.stored.to_str().unwrap()]);
        assert!(!names(&place.stored).iter().any(|name| name.contains(&second)));
        place.duplicity_restores(program, None, &look(&place.source));
    }
}

/// What is left when a full disk or a power cut ends a run: volumes that end early, files that are not
/// whole, locks of nobody. Nothing of it stops a restore, a backup or duplicity after our cleanup.
#[test]
fn scraps_are_said_skipped_and_cleared_away() {
    let home = Home::new();
    let programs = versions(home.path());
    let place = Place::new();
    place.duplicity(&programs[1], "full", FIRST);
    let first = look(&place.source);
    let (start, end) = (SetTime::from_epoch(FIRST).unwrap(), SetTime::from_epoch(SECOND).unwrap());
    let scraps = [
        (format!("duplicity-inc.{start}.to.{end}.vol1.difftar.gz"), &noise(1, 5000)[..]),
        (format!("duplicity-inc.{start}.to.{end}.vol2.difftar.gz"), b""),
        (format!("duplicity-inc.{start}.to.{end}.vol2.difftar.gpg"), b"\x85"),
        (format!("duplicity-new-signatures.{start}.to.{end}.sigtar.gz"), b"\x1f\x8b"),
        (format!("duplicity-full.{end}.vol1.difftar.gz"), b"\x1f\x8b\x08"),
        (".souvenir-upload-abc".to_owned(), b"half a volume"),
        (".souvenir-lock".to_owned(), b"process 1 on another machine"),
        ("lockfile".to_owned(), b""),
    ];
    for (name, contents) in &scraps {
        fs::write(place.stored.join(name), contents).unwrap();
    }
    let backup = place.backup();
    let status = backup.status();
    assert_eq!((status.chains.len(), status.chains[0].sets.len()), (1, 1));
    let mut why: Vec<_> = status.leftovers.iter().map(|found| (found.why, found.file_count)).collect();
    why.sort_by_key(|(_, count)| *count);
    assert_eq!(why.len(), 3, "{why:?}");
    assert_eq!(why[2], (Unused::Unfinished, 4));
    backup.restore(&place.target("first"));
    assert_same(&first, &look(&place.target("first")), "beside the scraps");
    backup.verify();
    edit(&place.source, 1, 5);
    let (result, warnings) = backup.clone().at(THIRD).incremental().try_back_up();
    assert_eq!(result.unwrap().set_time.epoch(), THIRD);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    place.clean_up();
    let left = names(&place.stored);
    // What is nobody's stays.
    let scraps: Vec<_> = left.iter().filter(|name| scraps.iter().any(|(scrap, _)| scrap == *name)).collect();
    assert_eq!(scraps, ["lockfile"], "{left:?}");
    backup.restore(&place.target("third"));
    assert_same(&look(&place.source), &look(&place.target("third")), "our set");
    for program in &programs {
        place.duplicity_restores(program, Some(FIRST), &first);
        place.duplicity_restores(program, None, &look(&place.source));
    }
}

/// One volume lies there twice, once sealed and once not: the one whose hash the manifest has is it,
/// whatever the order of their names.
#[test]
fn of_two_files_for_one_volume_the_right_one_is_taken() {
    for (added, is_first) in [("difftar", true), ("difftar.gpg", false), ("difftar.z", false)] {
        let place = Place::new();
        let backup = place.backup();
        backup.clone().at(FIRST).back_up();
        let stored = names(&place.stored);
        let volume = stored.iter().find(|name| name.contains(".vol2.")).unwrap();
        let other = volume.replace("difftar.gz", added);
        assert_eq!(other < *volume, is_first || added == "difftar.gpg");
        fs::write(place.stored.join(&other), noise(3, 70_000)).unwrap();
        let target = place.target("restored");
        backup.restore(&target);
        assert_same(&look(&place.source), &look(&target), added);
        assert_eq!(backup.try_verify(Which::All).0.unwrap().damaged, []);
        edit(&place.source, 1, 5);
        backup.clone().at(SECOND).incremental().back_up();
        backup.restore(&place.target("second"));
        assert_same(&look(&place.source), &look(&place.target("second")), added);
    }
}
