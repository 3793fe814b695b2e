//! duplicity remembers chains in a cache. What we add to them and delete of them meanwhile is no surprise
//! to it.

use std::process::Command;

use super::ours::{Ours, time};
use crate::common::duplicity::{url, versions};
use crate::common::gpg::Home;
use crate::common::tree::{assert_same, edit, look, make_small};

/// duplicity remembers a chain that it began. What we added to it, it copies into its memory, and goes on.
#[test]
fn duplicity_takes_our_sets_into_what_it_remembers() {
    for program in versions(Home::new().path()) {
        let mut ours = Ours::new(make_small);
        let cache = ours.scratch.path().join("cache");
        let (source, place) = (ours.source.to_str().unwrap().to_owned(), url(&ours.stored));
        let theirs = |ours: &mut Ours, verb: &str| {
            let at = time(ours.states.len()).to_string();
            let arguments = [verb, "--no-encryption", "--current-time", &at, &source, &place];
            ours.states.push(look(&ours.source));
            program.run_remembering(&cache, &arguments)
        };
        theirs(&mut ours, "full");
        edit(&ours.source, 1, 5);
        ours.set(false);
        edit(&ours.source, 2, 5);
        let told = theirs(&mut ours, "incremental");
        let copied = told.lines().filter(|line| line.starts_with("Copying ")).count();
        assert!(copied == 2 && told.contains(" to local cache"), "{told}");
        edit(&ours.source, 3, 5);
        // Without a word from us in between it has nothing to copy.
        let told = theirs(&mut ours, "incremental");
        assert!(!told.contains("Copying "), "{told}");
        edit(&ours.source, 4, 5);
        ours.set(false);
        // A memory that lasted, and none.
        let target = ours.target();
        let target_text = target.to_str().unwrap();
        program.run_remembering(&cache, &["restore", "--no-encryption", &place, target_text]);
        assert_same(&ours.states[4], &look(&target), "with the memory");
        for number in [1, 2, 4] {
            ours.duplicity_restores(&program, time(number), &ours.states[number]);
        }
        for (number, state) in ours.states.iter().enumerate() {
            let target = ours.target();
            ours.backup.restore_at(time(number), &target);
            assert_same(state, &look(&target), &format!("ours of {number}"));
        }
    }
}

/// What we delete, duplicity forgets, and goes on.
#[test]
fn duplicity_forgets_what_we_deleted() {
    for program in versions(Home::new().path()) {
        let mut ours = Ours::new(make_small);
        let cache = ours.scratch.path().join("cache");
        let (source, place) = (ours.source.to_str().unwrap().to_owned(), url(&ours.stored));
        let theirs = |ours: &mut Ours, verb: &str| {
            let at = time(ours.states.len()).to_string();
            let arguments = [verb, "--no-encryption", "--current-time", &at, &source, &place];
            ours.states.push(look(&ours.source));
            program.run_remembering(&cache, &arguments);
            edit(&ours.source, ours.states.len() as u64, 4);
        };
        for verb in ["full", "incremental", "full", "incremental"] {
            theirs(&mut ours, verb);
        }
        let arguments = ["remove-all-but-n-full", "1", ours.stored.to_str().unwrap()];
        let deleted = Command::new(env!("CARGO_BIN_EXE_souvenir-cli")).args(arguments).output().unwrap();
        assert!(deleted.status.success(), "{deleted:?}");
        theirs(&mut ours, "incremental");
        let status = ours.backup.status();
        let found: Vec<_> = status.chains.iter().flat_map(|chain| &chain.sets).collect();
        let times: Vec<_> = found.iter().map(|set| set.time.epoch()).collect();
        assert_eq!(times, [2, 3, 4].map(time));
        for number in 2..5 {
            let target = ours.target();
            ours.backup.restore_at(time(number), &target);
            assert_same(&ours.states[number], &look(&target), &format!("ours of {number}"));
        }
        ours.duplicity_restores(&program, time(4), &ours.states[4]);
    }
}
