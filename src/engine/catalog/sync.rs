//! Brings the catalogue in line with its destination.

use std::collections::{BTreeSet, HashMap};

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::failure::{Failure, WRITING};
use super::timeline::{Row, SetState, rows, signature_bytes};
use super::{Catalog, intake, names};
use crate::engine::chain::{Collection, Set};
use crate::engine::copies::Copies;
use crate::engine::crypto::{CryptoError, Keyring, Opener, Passphrases};
use crate::engine::error::{Error, Result};
use crate::engine::format::name::SetKind;
use crate::engine::format::time::SetTime;
use crate::engine::job::{Job, Phase, Warning};
use crate::engine::known::SetSignatures;
use crate::engine::storage::Storage;
use crate::engine::stored;

/// With what a catalogue is brought in line.
#[derive(Debug)]
pub struct SyncRequest<'a> {
    /// The destination.
    pub storage: &'a dyn Storage,
    /// Where gpg's keys are. Needed only if there are encrypted sets that the catalogue does not have.
    pub keyring: &'a Keyring,
    /// Passphrases that are known already; others are asked for.
    pub passphrases: &'a Passphrases,
    /// Copies of signatures on this machine, for which no key is needed.
    pub copies: &'a Copies,
}

/// What was done to bring a catalogue in line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncSummary {
    /// Sets that were taken in.
    pub taken_count: u64,
    /// What they say of how many paths.
    pub entry_count: u64,
    /// Sets that are not at the destination any more and were forgotten.
    pub forgotten_count: u64,
    /// Sets whose signatures turned out to be damaged or missing.
    pub unreadable_count: u64,
    /// Sets that no key or passphrase at hand opens. They are tried again the next time.
    pub locked_count: u64,
}

/// What became of one set.
enum Outcome {
    Taken(u64),
    /// Its signatures are damaged or missing.
    Unreadable(Error),
    /// It cannot be opened with what is at hand.
    Locked(Error),
}

impl Catalog {
    /// Takes in every complete set that the catalogue does not have, the newest chain first and each in one
    /// transaction, and forgets those that are gone. If the destination has no backup at all, nothing is
    /// forgotten: the drive may just not be there.
    ///
    /// A set whose signatures are damaged or missing is warned of and noted as unreadable. So, without the
    /// note, is an older chain that cannot be opened; if the newest cannot, this fails. Cancelled or failed,
    /// it keeps the sets that it had taken in. Another process that does the same is waited for.
    pub fn sync(&mut self, request: &SyncRequest<'_>, job: &Job) -> Result<SyncSummary> {
        job.phase(Phase::Listing);
        // Listed when nobody else is at it: an older list would forget what another one took in.
        let alone = self.folder.lock_sync(job)?;
        let collection = Collection::new(request.storage.list()?);
        if collection.chains.is_empty() {
            return Err(Error::NoBackup { location: request.storage.location() });
        }
        let result = self.bring_in_line(&collection, request, job);
        if !matches!(&result, Ok(summary) if *summary == SyncSummary::default()) {
            // Gives back what the log of the transactions took; readers may stand in the way of that.
            let _ = self.connection.pragma_query(None, "wal_checkpoint(TRUNCATE)", |_| Ok(()));
        }
        let summary = result.map_err(|failure| self.folder.failed(WRITING, failure))?;
        self.folder.note_synced(&alone)?;
        Ok(summary)
    }

    fn bring_in_line(
        &mut self,
        collection: &Collection,
        request: &SyncRequest<'_>,
        job: &Job,
    ) -> Result<SyncSummary, Failure> {
        let (waiting, forgotten_count) = self.note_sets(collection, job)?;
        let mut summary = SyncSummary { forgotten_count, ..SyncSummary::default() };
        if !waiting.is_empty() {
            let sets = || collection.chains.iter().flat_map(|chain| &chain.sets);
            let bytes = sets().filter(|set| waiting.contains_key(&set.kind)).map(signature_bytes).sum();
            job.add_total(0, bytes);
            job.total_is_known();
            let opener = Opener::new(request.keyring, request.passphrases, None, job)?;
            for (age, chain) in collection.chains.iter().rev().enumerate() {
                for set in &chain.sets {
                    let Some(id) = waiting.get(&set.kind) else { continue };
                    match self.take_set((*id, chain.start()), set, request, &opener, job)? {
                        Outcome::Taken(count) => {
                            summary.taken_count += 1;
                            summary.entry_count += count;
                        }
                        Outcome::Unreadable(error) => {
                            summary.unreadable_count += 1;
                            warn(set, &error, job);
                        }
                        Outcome::Locked(error) if age == 0 => return Err(error.into()),
                        Outcome::Locked(error) => {
                            summary.locked_count += 1;
                            warn(set, &error, job);
                            // The others of a chain are to the same keys.
                            break;
                        }
                    }
                }
            }
        }
        Ok(summary)
    }

    /// Makes the table of sets say what is at the destination. Gives the ids of the sets that wait to be
    /// taken in, and how many were forgotten.
    fn note_sets(
        &mut self,
        collection: &Collection,
        job: &Job,
    ) -> Result<(HashMap<SetKind, i64>, u64), Failure> {
        // Whoever else would write waits for the lock that is held by now.
        let mut known: HashMap<SetKind, Row> =
            rows(&self.connection)?.into_iter().map(|row| (row.set.kind, row)).collect();
        let mut waiting = HashMap::new();
        let mut gone = Vec::new();
        let mut new = Vec::new();
        for set in collection.chains.iter().flat_map(|chain| &chain.sets) {
            match known.remove(&set.kind) {
                Some(row) if row.is_of(set) => {
                    if row.set.state == SetState::Waiting {
                        waiting.insert(set.kind, row.id);
                    }
                }
                other => {
                    gone.extend(other.map(|row| row.id));
                    new.push(set);
                }
            }
        }
        let forgotten_count = known.len() as u64;
        gone.extend(known.into_values().map(|row| row.id));
        if gone.is_empty() && new.is_empty() {
            return Ok((waiting, 0));
        }
        let transaction = begin(&mut self.connection)?;
        forget(&transaction, &gone, job)?;
        for set in new {
            waiting.insert(set.kind, add(&transaction, set)?);
        }
        transaction.commit()?;
        Ok((waiting, forgotten_count))
    }

    fn take_set(
        &mut self,
        (id, chain_start): (i64, SetTime),
        set: &Set,
        request: &SyncRequest<'_>,
        opener: &Opener,
        job: &Job,
    ) -> Result<Outcome, Failure> {
        let transaction = begin(&mut self.connection)?;
        let taken = SetSignatures::open(request.storage, request.copies, set, opener, job)
            .map_err(|error| Failure::Engine(stored::about(&set.name(), error)))
            .and_then(|signatures| {
                intake::take_in(&transaction, (id, chain_start, set.kind.time()), signatures, job)
            });
        match taken {
            Ok(taken) => {
                if let Some(first) = taken.first_new {
                    names::refresh_from(&transaction, first, job)?;
                }
                transaction.execute(
                    "UPDATE sets SET state = 1, entries = ?2, changes = ?3 WHERE id = ?1",
                    params![id, taken.entry_count.cast_signed(), taken.change_count.cast_signed()],
                )?;
                transaction.commit()?;
                Ok(Outcome::Taken(taken.entry_count))
            }
            Err(Failure::Engine(error)) if is_unreadable(&error) => {
                transaction.rollback()?;
                self.connection.execute(
                    "UPDATE sets SET state = 2, reason = ?2 WHERE id = ?1",
                    params![id, error.to_string()],
                )?;
                Ok(Outcome::Unreadable(error))
            }
            Err(Failure::Engine(error @ Error::Crypto { .. })) => Ok(Outcome::Locked(error)),
            Err(failure) => Err(failure),
        }
    }
}

fn begin(connection: &mut Connection) -> Result<Transaction<'_>, Failure> {
    Ok(connection.transaction_with_behavior(TransactionBehavior::Immediate)?)
}

fn warn(set: &Set, error: &Error, job: &Job) {
    let file = set.signatures.as_ref().map_or_else(|| set.name(), |file| file.name.clone());
    job.warn(Warning::damaged(file, error, None));
}

/// Whether the stored file is at fault, and not who reads it.
fn is_unreadable(error: &Error) -> bool {
    match error {
        Error::Damaged { .. } => true,
        Error::Crypto { source, .. } => {
            matches!(source, CryptoError::Damaged(_) | CryptoError::BadSignature { .. })
        }
        _ => false,
    }
}

fn add(connection: &Connection, set: &Set) -> Result<i64, Failure> {
    let (start, time) = match set.kind {
        SetKind::Full { time } => (time, time),
        SetKind::Incremental { start, end } => (start, end),
    };
    connection.execute(
        "INSERT INTO sets
           (is_full, start, time, manifest, signatures, signature_bytes, state, entries, changes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, 0, 0)",
        params![
            set.kind.is_full(),
            start.epoch(),
            time.epoch(),
            set.manifest.as_ref().map(|file| &file.name),
            set.signatures.as_ref().map(|file| &file.name),
            signature_bytes(set).cast_signed(),
        ],
    )?;
    Ok(connection.last_insert_rowid())
}

/// Removes all that some sets said, and the paths of which nobody else says anything.
fn forget(connection: &Connection, sets: &[i64], job: &Job) -> Result<(), Failure> {
    if sets.is_empty() {
        return Ok(());
    }
    connection.execute_batch(
        "CREATE TEMP TABLE left_over (path INTEGER PRIMARY KEY);
         CREATE TEMP TABLE above (path INTEGER PRIMARY KEY);",
    )?;
    for set in sets {
        job.check()?;
        connection
            .execute("INSERT OR IGNORE INTO left_over SELECT path FROM versions WHERE set_id = ?1", [set])?;
        connection.execute("DELETE FROM versions WHERE set_id = ?1", [set])?;
        connection.execute("DELETE FROM sets WHERE id = ?1", [set])?;
    }
    let mut blocks = BTreeSet::new();
    loop {
        job.check()?;
        // From the leaves upwards: a folder goes once nothing is left in it.
        let mut unused = connection.prepare(
            "DELETE FROM paths WHERE id > 1 AND id IN (
                SELECT path FROM left_over
                WHERE NOT EXISTS (SELECT 1 FROM versions v WHERE v.path = left_over.path)
                  AND NOT EXISTS (SELECT 1 FROM paths c WHERE c.parent = left_over.path))
             RETURNING id, parent",
        )?;
        let mut note = connection.prepare("INSERT OR IGNORE INTO above VALUES (?1)")?;
        let mut removed = unused.query([])?;
        let mut count = 0;
        while let Some(row) = removed.next()? {
            blocks.insert(names::block_of(row.get(0)?));
            note.execute([row.get::<_, i64>(1)?])?;
            count += 1;
        }
        if count == 0 {
            break;
        }
        connection.execute_batch(
            "DELETE FROM left_over; INSERT INTO left_over SELECT path FROM above; DELETE FROM above;",
        )?;
    }
    connection.execute_batch("DROP TABLE left_over; DROP TABLE above;")?;
    names::refresh(connection, &blocks, job)
}
