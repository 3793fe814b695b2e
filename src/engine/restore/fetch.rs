//! Volumes on their way in: each is checked against its hash, opened and read ahead on a thread of
//! its own, a few at a time.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;

use crate::engine::crypto::Opener;
use crate::engine::error::{Damage, Error, Result};
use crate::engine::format::manifest::HashAlgorithm;
use crate::engine::job::{Job, panicked};
use crate::engine::path::EntryPath;
use crate::engine::storage::Storage;
use crate::engine::stored::{BUFFER_BYTES, StoredReader, unreadable};

/// How far volumes are prepared ahead of the one that is in use.
#[derive(Debug, Clone, Copy)]
pub struct Ahead {
    /// Volumes that are checked and opened beside the one in use.
    pub volumes: usize,
    /// Buffers of [`BUFFER_BYTES`] that a volume is read ahead.
    pub buffers: usize,
}

impl Ahead {
    /// For a set that most of the data comes from: as many volumes as there are processors, each read
    /// 4 MiB ahead.
    pub fn far() -> Self {
        Self { volumes: std::thread::available_parallelism().map_or(1, usize::from), buffers: 16 }
    }

    /// For one of many sets that are read side by side.
    pub const NEAR: Self = Self { volumes: 0, buffers: 2 };
}

/// A volume that is to be read.
#[derive(Debug, Clone)]
pub struct Volume {
    /// Its name at the storage.
    pub name: String,
    /// Names of further files that claim to be it.
    pub others: Vec<String>,
    /// Its size there, in bytes.
    pub stored_bytes: u64,
    /// Its hash in the manifest.
    pub hash: Option<(HashAlgorithm, String)>,
    /// The first and the last entry in it.
    pub range: (EntryPath, EntryPath),
}

/// Opens volumes in order, some of them ahead.
pub struct Fetcher<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    storage: &'env dyn Storage,
    opener: &'env Opener,
    job: &'env Job,
    to_open: VecDeque<Volume>,
    open: VecDeque<OpenVolume>,
    ahead: Ahead,
}

impl<'scope, 'env> Fetcher<'scope, 'env> {
    /// A fetcher of `volumes`.
    pub fn new(
        scope: &'scope Scope<'scope, 'env>,
        storage: &'env dyn Storage,
        opener: &'env Opener,
        job: &'env Job,
        volumes: Vec<Volume>,
        ahead: Ahead,
    ) -> Self {
        Self { scope, storage, opener, job, to_open: volumes.into(), open: VecDeque::new(), ahead }
    }

    /// The next volume in order.
    pub fn next_volume(&mut self) -> Result<Option<OpenVolume>> {
        self.job.check()?;
        while self.open.len() <= self.ahead.volumes {
            let Some(volume) = self.to_open.pop_front() else { break };
            let (sender, buffers) = sync_channel(self.ahead.buffers);
            self.open.push_back(OpenVolume {
                volume: volume.clone(),
                buffers,
                current: io::Cursor::new(Vec::new()),
                ended: false,
            });
            let (storage, opener, job) = (self.storage, self.opener, self.job);
            std::thread::Builder::new()
                .name("fetch".to_owned())
                .spawn_scoped(self.scope, move || {
                    let read = || read_volume(storage, opener, job, &volume, &sender);
                    let result =
                        catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic| Err(panicked(&*panic)));
                    // Only fails when nobody wants the volume any more.
                    let _ = sender.send(Message::End(result));
                })
                .map_err(|source| Error::Local { action: "starting a thread", source })?;
        }
        Ok(self.open.pop_front())
    }
}

enum Message {
    Data(Vec<u8>),
    End(Result<()>),
}

fn read_volume(
    storage: &dyn Storage,
    opener: &Opener,
    job: &Job,
    volume: &Volume,
    sender: &SyncSender<Message>,
) -> Result<()> {
    let name = &volume.name;
    let (algorithm, hash) = volume.hash.as_ref().ok_or_else(|| {
        Error::damaged(name, Damage::Malformed("its manifest has no hash of it".to_owned()))
    })?;
    let hash = (*algorithm, hash.as_str());
    let (name, mut reader) = StoredReader::open_by_hash(storage, name, &volume.others, hash, opener, job)?;
    loop {
        job.check()?;
        let mut buffer = Vec::with_capacity(BUFFER_BYTES);
        let count = (&mut reader)
            .take(BUFFER_BYTES as u64)
            .read_to_end(&mut buffer)
            .map_err(|error| unreadable(name, error))?;
        if count == 0 {
            return reader.finish();
        }
        if sender.send(Message::Data(buffer)).is_err() {
            return Ok(());
        }
    }
}

/// A volume that is being read ahead.
pub struct OpenVolume {
    /// Which one.
    pub volume: Volume,
    buffers: Receiver<Message>,
    current: io::Cursor<Vec<u8>>,
    ended: bool,
}

impl OpenVolume {
    /// Reads what is left and tells whether the volume was what it should be.
    pub fn finish(mut self) -> Result<()> {
        let name = self.volume.name.clone();
        io::copy(&mut self, &mut io::sink()).map(drop).map_err(|error| unreadable(&name, error))
    }
}

impl Read for OpenVolume {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.current.read(buffer)?;
            if count > 0 || self.ended || buffer.is_empty() {
                return Ok(count);
            }
            match self.buffers.recv() {
                Ok(Message::Data(data)) => self.current = io::Cursor::new(data),
                Ok(Message::End(Ok(()))) => self.ended = true,
                Ok(Message::End(Err(error))) => {
                    self.ended = true;
                    return Err(error.into_stream());
                }
                Err(_) => return Err(io::ErrorKind::BrokenPipe.into()),
            }
        }
    }
}
