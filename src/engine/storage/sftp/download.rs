//! A file on its way from a server. Requests are sent ahead of what is read, so that the distance to the
//! server does not matter.

use std::io::{self, Read, Seek, SeekFrom};

use super::connection::Handle;
use super::fault::of_stream;
use super::place::Place;
use crate::engine::storage::StorageResult;

/// What the first call asks for, in bytes. libssh2 asks for four times as much ahead. Most small files end
/// within this.
const FIRST_BYTES: usize = 128 << 10;

/// What later calls ask for, in bytes.
const MOST_BYTES: usize = 1 << 20;

/// A file that is being read.
pub struct Download {
    handle: Handle,
    location: String,
    buffer: Vec<u8>,
    /// What of the buffer is still to be handed over.
    ready: std::ops::Range<usize>,
    /// How much the next call asks for.
    size: usize,
}

impl Download {
    /// Opens a file at `offset`.
    pub fn open(place: &Place, name: &str, offset: u64) -> StorageResult<Self> {
        let mut handle = place.open(name)?;
        let location = place.location_of(name);
        if offset > 0 {
            // Nothing is sent for it.
            handle
                .run(|file, session| {
                    file.seek(SeekFrom::Start(offset)).map_err(|error| of_stream(&error, session))
                })
                .map_err(|fault| fault.into_error("reading", location.clone()))?;
        }
        Ok(Self { handle, location, buffer: Vec::new(), ready: 0..0, size: FIRST_BYTES })
    }
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ready.is_empty() && !buffer.is_empty() {
            let Self { handle, location, buffer: own, size, .. } = self;
            own.resize(*size, 0);
            let count = handle
                .run(|file, session| file.read(own).map_err(|error| of_stream(&error, session)))
                .map_err(|fault| fault.into_error("reading", location.clone()))?;
            self.ready = 0..count;
            self.size = (self.size * 2).min(MOST_BYTES);
        }
        let count = self.ready.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.buffer[self.ready.start..self.ready.start + count]);
        self.ready.start += count;
        Ok(count)
    }
}
