//! A file, or a piece of one, on its way into a volume: read chunk by chunk, counted and signed.

use std::fs::File;
use std::io::{self, BufRead, Read};

use crate::engine::delta::SignatureWriter;
use crate::engine::error::Error;
use crate::engine::format::difftar::CHUNK;
use crate::engine::job::Job;

/// The bytes of a file from where it stands. What goes wrong with reading does not end the stream in an
/// error: the volume that it goes into has to be sound, so it is noted.
pub struct Intake<'a> {
    job: &'a Job,
    file: &'a File,
    /// Bytes that are still to come.
    to_read: u64,
    /// Whether what the file has too little is made up for by zeros.
    pads: bool,
    chunk: Vec<u8>,
    /// Bytes of the chunk that were taken.
    taken: usize,
    signature: SignatureWriter,
    /// Bytes that came, padding and all.
    read_bytes: u64,
    failure: Option<io::Error>,
}

impl<'a> Intake<'a> {
    /// The next `to_read` bytes of `file`, or less if it ends before.
    pub fn new(job: &'a Job, file: &'a File, to_read: u64, block_len: u64) -> io::Result<Self> {
        Ok(Self {
            job,
            file,
            to_read,
            pads: false,
            chunk: Vec::new(),
            taken: 0,
            signature: SignatureWriter::new(block_len)?,
            read_bytes: 0,
            failure: None,
        })
    }

    /// Makes up for what is missing by zeros, from the beginning if `failure` came before.
    pub fn padded(self, failure: Option<io::Error>) -> Self {
        Self { pads: true, failure, ..self }
    }

    /// Reads the first chunk. If that fails, and only then, the file can still be left out.
    pub fn begin(&mut self) -> io::Result<Option<io::Error>> {
        self.read_chunk()?;
        Ok(self.failure.take())
    }

    /// The signature of what came, how many bytes that were, and what went wrong with reading.
    pub fn finish(self) -> io::Result<(Vec<u8>, u64, Option<io::Error>)> {
        Ok((self.signature.finish()?, self.read_bytes, self.failure))
    }

    fn read_chunk(&mut self) -> io::Result<()> {
        self.job.check().map_err(Error::into_stream)?;
        self.chunk.clear();
        self.taken = 0;
        let wanted = CHUNK.min(usize::try_from(self.to_read).unwrap_or(CHUNK));
        if self.failure.is_none()
            && let Err(error) = read_up_to(&mut self.file, wanted, &mut self.chunk)
        {
            self.failure = Some(error);
        }
        if self.pads {
            self.chunk.resize(wanted, 0);
        }
        self.to_read = if self.chunk.len() < wanted { 0 } else { self.to_read - wanted as u64 };
        self.read_bytes += self.chunk.len() as u64;
        self.job.bytes_done(self.chunk.len() as u64);
        self.signature.push(&self.chunk)
    }
}

impl Read for Intake<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Intake<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.taken == self.chunk.len() && self.to_read > 0 {
            self.read_chunk()?;
        }
        Ok(&self.chunk[self.taken..])
    }

    fn consume(&mut self, amount: usize) {
        self.taken += amount;
    }
}

/// Reads until `wanted` bytes are there or the source ends.
pub fn read_up_to(source: &mut impl Read, wanted: usize, chunk: &mut Vec<u8>) -> io::Result<()> {
    source.take(wanted as u64).read_to_end(chunk).map(drop)
}
