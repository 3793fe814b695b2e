//! Volumes side by side: one thread plans, some make volumes, and the caller puts their signatures in
//! a row and collects what the manifest will say.

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::changes::Changes;
use super::new_set::NewSet;
use super::plan::{Planner, VolumePlan};
use super::room;
use super::volume::{Counts, Signatures, VolumeMade, make_volume};
use crate::engine::copies::NewCopy;
use crate::engine::delta::join_signatures;
use crate::engine::error::{Error, Result};
use crate::engine::format::difftar::{Place, Record, header};
use crate::engine::format::entry::EntryKind;
use crate::engine::format::manifest::VolumeInfo;
use crate::engine::format::name::Part;
use crate::engine::format::tar;
use crate::engine::job::{Phase, panicked};
use crate::engine::scan::{Found, Walk};
use crate::engine::stored::StoredWriter;

/// What the volumes and signatures of a set came to.
pub struct Made {
    /// What the manifest says of the volumes, in order.
    pub volumes: Vec<VolumeInfo>,
    /// What is in them.
    pub counts: Counts,
    /// Bytes of volumes and signatures.
    pub stored_bytes: u64,
    /// The copy of the signatures, and their size in bytes at the destination.
    pub copy: Option<(NewCopy, u64)>,
}

impl NewSet<'_> {
    /// Stores volumes and signatures.
    pub fn store(&self, changes: Changes<'_>) -> Result<Made> {
        let worker_count = std::thread::available_parallelism().map_or(1, usize::from);
        let window = Window::new(worker_count * 2);
        let (plan_sender, plans) = async_channel::bounded(1);
        let (made_sender, made) = async_channel::unbounded();
        let is_over = AtomicBool::new(false);
        let storage = self.request.storage;
        let volume_bytes = room::volume_bytes(self.request.volume_bytes, storage.max_file_bytes());
        std::thread::scope(|scope| {
            let window = &window;
            scope.spawn(|| self.count(&is_over));
            let planned_sender = made_sender.clone();
            scope.spawn(move || {
                for plan in Planner::new(changes, volume_bytes) {
                    match plan {
                        // Only fails when the others have given up.
                        Ok(plan) => {
                            if plan_sender.send_blocking(plan).is_err() {
                                return;
                            }
                        }
                        Err(error) => {
                            let _ = planned_sender.try_send(Err(error));
                            return;
                        }
                    }
                }
            });
            for _ in 0..worker_count {
                let (plans, made_sender) = (plans.clone(), made_sender.clone());
                scope.spawn(move || {
                    while let Ok(plan) = plans.recv_blocking() {
                        if !window.wait_for(plan.number) {
                            return;
                        }
                        let result = self.make(plan);
                        let failed = result.is_err();
                        if made_sender.try_send(result).is_err() || failed {
                            return;
                        }
                    }
                });
            }
            drop(made_sender);
            let result = self.collect(&made, window);
            // After a failure nobody may wait for anybody any more.
            is_over.store(true, Ordering::Relaxed);
            window.close();
            plans.close();
            made.close();
            result
        })
    }

    fn make(&self, plan: VolumePlan) -> Result<VolumeMade> {
        catch_unwind(AssertUnwindSafe(|| make_volume(self, plan)))
            .unwrap_or_else(|panic| Err(panicked(&*panic)))
    }

    /// Counts what there is to do, for the progress; the walk that plans is never far ahead of the work.
    fn count(&self, is_over: &AtomicBool) {
        let walk = Walk::new(self.tree, self.request.selection, self.left_out, false, self.job);
        for found in walk.into_iter().flatten() {
            match found {
                _ if is_over.load(Ordering::Relaxed) => return,
                Ok(Found::Entry(source)) => {
                    let entry = source.entry;
                    let is_folder = entry.kind == EntryKind::Directory;
                    self.job.add_total(u64::from(!is_folder), entry.size_bytes.unwrap_or(0));
                }
                Ok(Found::Unknown(_) | Found::Missing(_)) => {}
                Err(_) => return,
            }
        }
        self.job.total_is_known();
        self.room.mind(self.job.progress().total_bytes, self.job);
    }

    /// Takes volumes as they are finished, in the order of their numbers.
    fn collect(&self, made: &async_channel::Receiver<Result<VolumeMade>>, window: &Window) -> Result<Made> {
        let mut total = Made { volumes: Vec::new(), counts: Counts::default(), stored_bytes: 0, copy: None };
        let copy = self.request.copies.begin();
        let mut signatures = SignatureTar::new(self.create(Part::Signatures)?, copy);
        let mut waiting = BTreeMap::new();
        let mut next = 1;
        while let Ok(volume) = made.recv_blocking() {
            let volume = volume?;
            waiting.insert(volume.info.number, volume);
            while let Some(volume) = waiting.remove(&next) {
                signatures.take(volume.signatures)?;
                total.volumes.push(volume.info);
                total.counts += volume.counts;
                total.stored_bytes += volume.stored_bytes;
                next += 1;
                window.advance(next);
            }
        }
        if !waiting.is_empty() {
            return Err(Error::Internal(format!("volume {next} was never made")));
        }
        self.job.phase(Phase::Finishing);
        let (writer, copy) = signatures.finish()?;
        let size_bytes = self.finish_signatures(writer)?.size_bytes;
        total.stored_bytes += size_bytes;
        total.copy = copy.map(|copy| (copy, size_bytes));
        Ok(total)
    }
}

/// The signature tar of the set, written as the volumes come.
struct SignatureTar {
    tar: tar::Writer<WithCopy>,
    /// Signatures of the pieces of a large file, until its last one is there.
    pieces: Vec<Vec<u8>>,
}

impl SignatureTar {
    fn new(stored: StoredWriter, copy: Option<NewCopy>) -> Self {
        Self { tar: tar::Writer::new(WithCopy { stored, copy }), pieces: Vec::new() }
    }

    fn take(&mut self, signatures: Signatures) -> Result<()> {
        let result = match signatures {
            Signatures::Entries(blocks) => self.tar.raw_blocks(&blocks),
            Signatures::Piece { signature, file } => {
                self.pieces.push(signature);
                let Some(file) = file else { return Ok(()) };
                let whole = join_signatures(&std::mem::take(&mut self.pieces));
                let header = header(Place::Signatures, Record::Signature, &file, whole.len() as u64);
                self.tar.entry(&header, &whole)
            }
        };
        result.map_err(|error| self.tar.get_mut().stored.fail(error))
    }

    fn finish(mut self) -> Result<(StoredWriter, Option<NewCopy>)> {
        self.tar.end().map_err(|error| self.tar.get_mut().stored.fail(error))?;
        let WithCopy { stored, copy } = self.tar.into_inner();
        Ok((stored, copy))
    }
}

/// Writes to the destination and into the copy on this machine.
struct WithCopy {
    stored: StoredWriter,
    copy: Option<NewCopy>,
}

impl io::Write for WithCopy {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.stored.write(bytes)?;
        if let Some(copy) = &mut self.copy {
            copy.write_all(&bytes[..count])?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps those who make volumes from running far ahead of the one that is needed next, since what
/// they made waits in memory until its turn.
struct Window {
    size: u32,
    /// Number of the volume that is needed next; 0 when everybody is to stop.
    next: Mutex<u32>,
    moved: Condvar,
}

impl Window {
    fn new(size: usize) -> Self {
        Self { size: u32::try_from(size).unwrap_or(u32::MAX), next: Mutex::new(1), moved: Condvar::new() }
    }

    /// Waits until the volume `number` may be made; false if it is not wanted any more.
    fn wait_for(&self, number: u32) -> bool {
        let far_ahead = |next: &mut u32| *next != 0 && number >= next.saturating_add(self.size);
        let next = self.moved.wait_while(self.lock(), far_ahead).unwrap_or_else(PoisonError::into_inner);
        *next != 0
    }

    fn advance(&self, next: u32) {
        *self.lock() = next;
        self.moved.notify_all();
    }

    fn close(&self) {
        self.advance(0);
    }

    fn lock(&self) -> MutexGuard<'_, u32> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
