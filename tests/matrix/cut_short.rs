//! Runs that were killed, duplicity's and ours: we read what the others went on with, do without what nobody
//! went on with, and clear it away.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::place::{FIRST, Place, SECOND, THIRD, grow};
use crate::common::duplicity::{Duplicity, url, versions};
use crate::common::engine::{Options, error, names};
use crate::common::gpg::Home;
use crate::common::tree::{assert_same, edit, look};
use souvenir::engine::Error;
use souvenir::engine::backup::BackupKind;
use souvenir::engine::chain::{FullPolicy, FullReason};
use souvenir::engine::format::time::SetTime;
use souvenir::engine::job::Warning;
use souvenir::engine::status::Unused;

/// duplicity is killed and goes on. It makes the last volume again, and unless it was killed just then,
/// that one stands twice in the manifest: the last word counts. It is tried until that has happened.
fn what_duplicity_went_on_with_is_read(program: &Duplicity) {
    let is_seen = |_| {
        let place = Place::new();
        duplicity_goes_on(&place, program);
        let found = names(&place.stored);
        let manifests = found.iter().filter(|name| name.ends_with(".manifest"));
        manifests.filter(|name| names_a_volume_twice(&place.stored.join(name))).count() > 0
    };
    assert!((0..15).any(is_seen), "no volume ever stands twice in a manifest");
}

fn names_a_volume_twice(manifest: &Path) -> bool {
    let text = fs::read_to_string(manifest).unwrap();
    let mut volumes: Vec<_> = text.lines().filter(|line| line.starts_with("Volume ")).collect();
    let count = volumes.len();
    volumes.sort_unstable();
    volumes.dedup();
    volumes.len() < count
}

fn duplicity_goes_on(place: &Place, program: &Duplicity) {
    grow(&place.source, 1);
    place.kill_duplicity(program, "full", FIRST);
    place.duplicity(program, "backup", FIRST + 100);
    let first = look(&place.source);
    grow(&place.source, 2);
    edit(&place.source.join("folder"), 1, 5);
    place.kill_duplicity(program, "incremental", SECOND);
    place.duplicity(program, "backup", SECOND + 100);
    let second = look(&place.source);

    let backup = place.backup();
    let status = backup.status();
    assert_eq!((status.chains.len(), status.chains[0].sets.len(), status.leftovers.len()), (1, 2, 0));
    backup.verify();
    for (set, expected) in status.chains[0].sets.iter().zip([&first, &second]) {
        let time = set.time.epoch();
        let target = place.target(&time.to_string());
        backup.restore_at(time, &target);
        assert_same(expected, &look(&target), "our restore");
        assert_eq!(backup.list_at(time).entries.len(), expected.len());
    }
    // And we go on with it.
    edit(&place.source, 3, 5);
    backup.at(THIRD).incremental().back_up();
    place.duplicity_restores(program, None, &look(&place.source));
}

#[test]
fn what_debians_duplicity_went_on_with_is_read() {
    what_duplicity_went_on_with_is_read(&versions(Home::new().path())[0]);
}

#[test]
fn what_the_newest_duplicity_went_on_with_is_read() {
    what_duplicity_went_on_with_is_read(&versions(Home::new().path())[1]);
}

/// duplicity is killed and nobody goes on: that is said, everything else comes back, and our next backup
/// builds on what is whole. After a cleanup both duplicities read and extend all of it.
fn what_nobody_went_on_with_is_no_obstacle(program: &Duplicity) {
    let home = Home::new();
    let place = Place::new();
    place.duplicity(program, "full", FIRST);
    let first = look(&place.source);
    grow(&place.source, 1);
    edit(&place.source.join("folder"), 1, 5);
    place.kill_duplicity(program, "incremental", SECOND);

    let backup = place.backup();
    let status = backup.status();
    assert_eq!((status.chains.len(), status.chains[0].sets.len()), (1, 1));
    let [leftover] = &status.leftovers[..] else { panic!("{:?}", status.leftovers) };
    assert_eq!((leftover.why, leftover.time.unwrap().epoch()), (Unused::Unfinished, SECOND));
    assert!(leftover.file_count >= 4);
    backup.restore(&place.target("first"));
    assert_same(&first, &look(&place.target("first")), "what is whole");
    assert_eq!(backup.list().entries.len(), first.len());
    backup.verify();

    let (result, warnings) = backup.clone().at(THIRD).incremental().try_back_up();
    assert_eq!(result.unwrap().set_time.epoch(), THIRD);
    assert!(matches!(&warnings[..], [Warning::Incomplete { .. }]), "{warnings:?}");
    let third = look(&place.source);
    backup.restore(&place.target("third"));
    assert_same(&third, &look(&place.target("third")), "our set beside the leftover");
    place.clean_up();
    assert_eq!(backup.status().leftovers, []);
    for (index, program) in versions(home.path()).iter().enumerate() {
        place.duplicity_restores(program, Some(FIRST), &first);
        place.duplicity_restores(program, Some(THIRD), &third);
        let status = program.run(&["collection-status", "--no-encryption", &url(&place.stored)]);
        assert!(status.contains("No orphaned or incomplete backup sets found"), "{status}");
        edit(&place.source, 9 + index as u64, 3);
        program.run(&place.arguments("incremental", THIRD + 100 * (index as i64 + 1)));
    }
    backup.restore(&place.target("last"));
    assert_same(&look(&place.source), &look(&place.target("last")), "what both duplicities added");
}

#[test]
fn what_nobody_went_on_with_is_no_obstacle_after_debians_duplicity() {
    what_nobody_went_on_with_is_no_obstacle(&versions(Home::new().path())[0]);
}

#[test]
fn what_nobody_went_on_with_is_no_obstacle_after_the_newest_duplicity() {
    what_nobody_went_on_with_is_no_obstacle(&versions(Home::new().path())[1]);
}

/// The very first backup was killed: there is none, and the next run begins with a full set.
#[test]
fn a_first_backup_that_duplicity_did_not_finish_is_none() {
    let home = Home::new();
    let programs = versions(home.path());
    let place = Place::new();
    grow(&place.source, 1);
    place.kill_duplicity(&programs[0], "full", FIRST);
    let mut backup = place.backup();
    assert!(backup.status().chains.is_empty());
    let failure = error(backup.try_restore(&place.target("none"), Options::default()));
    assert!(matches!(failure, Error::NoBackup { .. }), "{failure}");
    backup.kind = BackupKind::Auto(FullPolicy::default());
    let (result, warnings) = backup.clone().at(SECOND).try_back_up();
    assert_eq!(result.unwrap().full_because, Some(FullReason::First));
    assert!(matches!(&warnings[..], [Warning::Incomplete { .. }]), "{warnings:?}");
    backup.restore(&place.target("ours"));
    assert_same(&look(&place.source), &look(&place.target("ours")), "our restore");
    place.clean_up();
    for program in &programs {
        place.duplicity_restores(program, None, &look(&place.source));
    }
}

/// duplicity is killed, we back up or clean up, and then it runs again and still remembers what it had
/// begun. Whatever it makes of that, the next set of either has everything.
fn duplicity_remembers_what_we_passed_over(program: &Duplicity, cleaned: bool) {
    let place = Place::new();
    place.duplicity(program, "full", FIRST);
    let first = look(&place.source);
    grow(&place.source, 1);
    place.kill_duplicity(program, "incremental", SECOND);
    let backup = place.backup();
    let mut third = None;
    if cleaned {
        place.clean_up();
    } else {
        let (result, _) = backup.clone().at(THIRD).incremental().try_back_up();
        result.unwrap();
        third = Some(look(&place.source));
    }
    edit(&place.source, 1, 5);
    place.duplicity(program, "backup", THIRD + 100);
    edit(&place.source, 2, 5);
    let (result, _) = backup.clone().at(THIRD + 200).incremental().try_back_up();
    result.unwrap();
    let newest = look(&place.source);
    place.clean_up();
    for (time, expected) in
        [(Some(FIRST), Some(&first)), (Some(THIRD), third.as_ref()), (None, Some(&newest))]
    {
        let Some(expected) = expected else { continue };
        let target = place.target(&format!("ours-{time:?}"));
        let at = Options { time: time.and_then(SetTime::from_epoch), ..Options::default() };
        let (result, warnings) = backup.try_restore(&target, at);
        result.unwrap();
        assert_eq!(warnings, [], "{time:?}");
        assert_same(expected, &look(&target), &format!("our restore of {time:?}"));
        place.duplicity_restores(program, time, expected);
    }
    place.duplicity(program, "incremental", THIRD + 300);
    backup.verify();
}

#[test]
fn debians_duplicity_remembers_what_we_passed_over() {
    duplicity_remembers_what_we_passed_over(&versions(Home::new().path())[0], false);
}

#[test]
fn the_newest_duplicity_remembers_what_we_passed_over() {
    duplicity_remembers_what_we_passed_over(&versions(Home::new().path())[1], false);
}

#[test]
fn debians_duplicity_remembers_what_we_cleared_away() {
    duplicity_remembers_what_we_passed_over(&versions(Home::new().path())[0], true);
}

#[test]
fn the_newest_duplicity_remembers_what_we_cleared_away() {
    duplicity_remembers_what_we_passed_over(&versions(Home::new().path())[1], true);
}

/// A full set of ours, and an incremental one that we are killed at when three volumes of it are finished;
/// none if it was too quick.
fn killed_in_the_middle() -> Option<Place> {
    let place = Place::new();
    place.backup().at(FIRST).back_up();
    grow(&place.source, 1);
    let mut child = Command::new(env!("CARGO_BIN_EXE_souvenir-cli"))
        .args(["backup", "--incremental", "--no-encryption", "--volume-size", "1"])
        .args([&place.source, &place.stored])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let is_ours = |name: &&String| name.starts_with(".unfinished-");
    let finished_count = || names(&place.stored).iter().filter(is_ours).count();
    while finished_count() < 3 && child.try_wait().unwrap().is_none() {}
    child.kill().unwrap();
    child.wait().unwrap();
    (finished_count() >= 3).then_some(place)
}

/// Our own run is killed half-way. Before and after our cleanup, both duplicities see a whole chain and
/// extend it, and our next run does not mind what they did.
#[test]
fn duplicity_extends_a_chain_on_which_we_were_killed() {
    let home = Home::new();
    for (program, cleaned) in versions(home.path()).iter().zip([false, true]) {
        let killed = (0..5).find_map(|_| killed_in_the_middle());
        let place = killed.expect("it always ends before it is killed");
        if cleaned {
            place.clean_up();
        }
        let status = program.run(&["collection-status", "--no-encryption", &url(&place.stored)]);
        assert!(status.contains("No orphaned or incomplete backup sets found"), "{status}");
        place.duplicity(program, "incremental", SECOND);
        place.duplicity_restores(program, None, &look(&place.source));
        edit(&place.source, 1, 5);
        let backup = place.backup();
        backup.clone().at(THIRD).incremental().back_up();
        let left = names(&place.stored);
        assert!(left.iter().all(|name| name.starts_with("duplicity-")), "{left:?}");
        backup.restore(&place.target("ours"));
        assert_same(&look(&place.source), &look(&place.target("ours")), "our restore");
        place.duplicity_restores(program, None, &look(&place.source));
    }
}
