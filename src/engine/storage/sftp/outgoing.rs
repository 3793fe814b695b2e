//! The bytes of a file that are on their way to a server: all that it has not acknowledged yet.

use std::io::Write;

use ssh2::{File, Session};

use super::fault::of_stream;

/// From how many acknowledged bytes on it is worth moving the others.
const SPENT_BYTES: usize = 3 << 20;

/// What is kept of a file until the server has it.
#[derive(Default)]
pub struct Outgoing {
    /// Bytes from `start` on are kept.
    kept: Vec<u8>,
    start: usize,
    /// How many of them libssh2 has been told of.
    told: usize,
    /// How many bytes the server has acknowledged.
    acknowledged: u64,
}

impl Outgoing {
    /// Takes more of the file.
    pub fn add(&mut self, bytes: &[u8]) {
        self.kept.extend_from_slice(bytes);
    }

    /// How many bytes are kept.
    pub fn pending(&self) -> usize {
        self.kept.len() - self.start
    }

    /// How many bytes libssh2 has not been told of.
    pub fn untold(&self) -> usize {
        self.pending() - self.told
    }

    /// How many bytes of the file the server has acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Whether the server has acknowledged all that libssh2 was told of. As long as it has not, libssh2 may have
    /// sent half a message.
    pub fn is_settled(&self) -> bool {
        self.told == 0
    }

    /// On a new connection nothing has been told yet.
    pub fn begin_again(&mut self) {
        self.told = 0;
    }

    /// Tells libssh2 of all that is kept, and hears what the server has acknowledged.
    pub fn send(&mut self, file: &mut File, session: &Session) -> Result<(), ssh2::Error> {
        self.tell(self.pending(), file, session)
    }

    /// Tells of nothing new.
    pub fn settle(&mut self, file: &mut File, session: &Session) -> Result<(), ssh2::Error> {
        self.tell(self.told, file, session)
    }

    fn tell(&mut self, count: usize, file: &mut File, session: &Session) -> Result<(), ssh2::Error> {
        self.told = count;
        let bytes = &self.kept[self.start..self.start + count];
        let acknowledged = file.write(bytes).map_err(|error| of_stream(&error, session))?;
        self.told -= acknowledged;
        self.start += acknowledged;
        self.acknowledged += acknowledged as u64;
        if self.pending() == 0 || self.start >= SPENT_BYTES {
            self.kept.drain(..self.start);
            self.start = 0;
        }
        Ok(())
    }
}
