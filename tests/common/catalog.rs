//! Trees, their backups, and catalogues of them.

use std::fs;
use std::path::PathBuf;

use souvenir::engine::Result;
use souvenir::engine::catalog::{Catalog, Change, Hit, Pattern, SyncRequest, SyncSummary};
use souvenir::engine::chain::Collection;
use souvenir::engine::copies::Copies;
use souvenir::engine::crypto::Protection;
use souvenir::engine::format::entry::{Entry, EntryKind};
use souvenir::engine::format::time::SetTime;
use souvenir::engine::job::Job;
use souvenir::engine::list::{ListRequest, list};
use souvenir::engine::path::EntryPath;

use super::duplicity::{Duplicity, url};
use super::engine::{Backup, Outcome, names, run};
use super::gpg::Home;

/// A tree, its backups, and a catalogue of them.
pub struct Place {
    pub scratch: tempfile::TempDir,
    pub backup: Backup,
    pub time: i64,
}

impl Place {
    pub fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let (source, destination) = (scratch.path().join("source"), scratch.path().join("destination"));
        fs::create_dir(&source).unwrap();
        Self { backup: Backup::new(&source, &destination), scratch, time: 1_700_000_000 }
    }

    pub fn protected(mut self, protection: Protection, home: &Home) -> Self {
        self.backup = self.backup.protected(protection, home.keyring());
        self
    }

    pub fn source(&self) -> PathBuf {
        self.scratch.path().join("source")
    }

    pub fn destination(&self) -> PathBuf {
        self.scratch.path().join("destination")
    }

    pub fn cache(&self) -> PathBuf {
        self.scratch.path().join("cache")
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.source().join(name)
    }

    /// The catalogue's own folder.
    pub fn folder(&self) -> PathBuf {
        let [name] = names(&self.cache()).try_into().unwrap();
        self.cache().join(name)
    }

    pub fn next_time(&mut self) -> i64 {
        self.time += 100_000;
        self.time
    }

    pub fn full(&mut self) -> SetTime {
        let time = self.next_time();
        self.backup.clone().at(time).back_up().set_time
    }

    pub fn incremental(&mut self) -> SetTime {
        let time = self.next_time();
        self.backup.clone().incremental().at(time).back_up().set_time
    }

    /// A set by duplicity.
    pub fn theirs(&mut self, program: &Duplicity, verb: &str, options: &[&str]) {
        let (time, place) = (self.next_time().to_string(), url(&self.destination()));
        let source = self.source();
        let arguments = [verb, "--current-time", &time, source.to_str().unwrap(), &place];
        program.run(&[&arguments[..1], options, &arguments[1..]].concat());
    }

    pub fn open(&self) -> Catalog {
        Catalog::open(&self.cache(), &*self.backup.storage).unwrap()
    }

    pub fn try_sync(&self) -> Outcome<SyncSummary> {
        let (backup, cache) = (self.backup.clone(), self.cache());
        run(move |job| {
            let mut catalog = Catalog::open(&cache, &*backup.storage)?;
            sync(&mut catalog, &backup, job)
        })
    }

    pub fn sync(&self) -> (Catalog, SyncSummary) {
        let (summary, warnings) = self.try_sync();
        assert_eq!(warnings, []);
        (self.open(), summary.unwrap())
    }

    /// All sets of the destination in order of their times.
    pub fn times(&self) -> Vec<SetTime> {
        let collection = Collection::new(self.backup.storage.list().unwrap());
        collection.chains.iter().flat_map(|chain| &chain.sets).map(|set| set.kind.time()).collect()
    }

    /// The state at a time, read from the destination.
    pub fn read(&self, time: SetTime) -> Result<Vec<Entry>> {
        let request = ListRequest {
            storage: &*self.backup.storage,
            keyring: &self.backup.keyring(),
            passphrases: &self.backup.passphrases(),
            time: Some(time),
        };
        list(&request, &Job::unattended()).map(|listing| listing.entries)
    }

    /// The catalogue says of every time what the destination says.
    pub fn check(&self, catalog: &Catalog) {
        for time in self.times() {
            let expected = self.read(time).unwrap();
            assert_eq!(below(catalog, "", time), expected, "{time}");
            for entry in &expected {
                let children =
                    expected.iter().filter(|child| child.path.parent().as_ref() == Some(&entry.path));
                let children: Vec<Entry> = children.cloned().collect();
                let directory = catalog.directory(&entry.path, Some(time)).unwrap();
                assert_eq!(directory.entries, children, "{} at {time}", entry.path);
                assert_eq!((directory.set_time, directory.missing), (time, vec![]));
                assert_eq!(catalog.entry(&entry.path, Some(time)).unwrap().as_ref(), Some(entry));
            }
        }
        self.check_contents(catalog);
    }

    /// So it is with what people see of folders: also what changed, and since when what was there is gone.
    fn check_contents(&self, catalog: &Catalog) {
        let states: Vec<_> = self.times().into_iter().map(|time| (time, self.read(time).unwrap())).collect();
        let find =
            |state: &[Entry], path: &EntryPath| state.iter().find(|entry| entry.path == *path).cloned();
        for (index, (time, state)) in states.iter().enumerate() {
            let earlier = &states[..index];
            for folder in state.iter().filter(|entry| entry.kind == EntryKind::Directory) {
                let contents = catalog.contents(&folder.path, Some(*time), &Job::unattended()).unwrap();
                let mut present = 0;
                for item in &contents.items {
                    let path = folder.path.join(&item.name);
                    let before = earlier.last().map(|(_, state)| find(state, &path));
                    let now = find(state, &path);
                    let Some(entry) = &now else {
                        let first_without =
                            earlier.iter().rposition(|(_, state)| find(state, &path).is_some());
                        let gone = states[first_without.unwrap() + 1].0;
                        assert_eq!(item.gone, Some(gone), "{path} at {time}");
                        continue;
                    };
                    present += 1;
                    assert_eq!(
                        (&item.kind, item.mode, item.mtime, item.size_bytes, item.gone),
                        (&entry.kind, entry.mode, entry.mtime, entry.size_bytes, None),
                        "{path} at {time}"
                    );
                    match before {
                        None => assert_eq!(item.change, None),
                        Some(None) => assert_eq!(item.change, Some(Change::Added), "{path} at {time}"),
                        Some(Some(before)) if before == *entry => {
                            assert_eq!(item.change, Some(Change::Unchanged), "{path} at {time}");
                        }
                        Some(Some(_)) => assert_ne!(item.change, Some(Change::Added), "{path} at {time}"),
                    }
                }
                let is_child = |entry: &&Entry| entry.path.parent().as_ref() == Some(&folder.path);
                assert_eq!(present, state.iter().filter(is_child).count(), "{} at {time}", folder.path);
            }
            let amount = catalog.amount(&[EntryPath::root()], Some(*time), &Job::unattended()).unwrap();
            assert_eq!(amount.entry_count, state.len() as u64);
        }
    }
}

pub fn sync(catalog: &mut Catalog, backup: &Backup, job: &Job) -> Result<SyncSummary> {
    let request = SyncRequest {
        storage: &*backup.storage,
        keyring: &backup.keyring(),
        passphrases: &backup.passphrases(),
        copies: &Copies::none(),
    };
    catalog.sync(&request, job)
}

pub fn path(text: impl AsRef<[u8]>) -> EntryPath {
    EntryPath::from_bytes(text.as_ref()).unwrap()
}

pub fn below(catalog: &Catalog, at: &str, time: SetTime) -> Vec<Entry> {
    let mut entries = Vec::new();
    let take = |entry| {
        entries.push(entry);
        Ok(())
    };
    let (set_time, missing) = catalog.entries_below(&path(at), Some(time), &Job::unattended(), take).unwrap();
    assert_eq!((set_time, missing), (time, vec![]));
    entries
}

pub fn search(catalog: &Catalog, pattern: &str) -> Vec<Hit> {
    let found = catalog.search(&Pattern::new(pattern).unwrap(), 1000, &Job::unattended()).unwrap();
    assert!(!found.is_cut);
    found.hits
}

pub fn found(catalog: &Catalog, pattern: &str) -> Vec<String> {
    search(catalog, pattern).iter().map(|hit| hit.entry.path.to_string()).collect()
}

/// Time, kind of change and size of each version.
pub fn history(catalog: &Catalog, of: impl AsRef<[u8]>) -> Vec<(SetTime, Change, Option<u64>)> {
    let (versions, missing) = catalog.history(&path(of)).unwrap();
    assert_eq!(missing, []);
    let size = |entry: &Entry| entry.size_bytes.filter(|_| entry.kind == EntryKind::File);
    versions
        .iter()
        .map(|version| (version.set_time, version.change, version.entry.as_ref().and_then(size)))
        .collect()
}
