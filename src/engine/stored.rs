//! A stored file as a stream: compressed or sealed, hashed, counted on its way to the storage, and
//! checked and opened on its way back.

use std::io::{self, BufRead, BufReader, Read, Write};

use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use sha1::{Digest, Sha1};

use super::crypto::{DEFLATE_LEVEL, OpenReader, Opener, SealWriter, Sealer};
use super::error::{Damage, Error, Result};
use super::format::name::{Codec, FileName};
use super::job::Job;
use super::storage::{Storage, StorageError, StorageErrorKind, Upload};

mod hashed;
mod remains;
mod whole;

pub use whole::WholeFile;

/// Bytes that are read at once.
pub const BUFFER_BYTES: usize = 256 * 1024;

/// What became of a file that was stored.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its name at the storage.
    pub name: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Its SHA-1 in lower-case hexadecimal.
    pub sha1: String,
}

/// Writes one stored file. Dropped before [`StoredWriter::finish`], it leaves nothing behind.
pub struct StoredWriter {
    name: String,
    location: String,
    layer: Layer,
}

enum Layer {
    Nowhere,
    Plain(Sink),
    /// A new gzip member begins whenever the compression changes; readers take members as one.
    Gzip(Option<Box<GzEncoder<Sink>>>, Compression),
    OpenPgp(Box<SealWriter<Sink>>),
}

/// The end of the way: counts and hashes what is stored.
struct Sink {
    upload: Box<dyn Upload>,
    location: String,
    hash: Sha1,
    size_bytes: u64,
    job: Job,
}

impl Write for Sink {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.job.check().map_err(Error::into_stream)?;
        // gpg stands between here and whoever asks: the error has to know by itself what it is about.
        let count = self.upload.write(buffer).map_err(|error| failed(error, &self.location).into_stream())?;
        self.hash.update(&buffer[..count]);
        self.size_bytes += count as u64;
        self.job.bytes_stored(count as u64);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.upload.flush()
    }
}

impl StoredWriter {
    /// Begins a file, wrapped as `codec` says.
    pub fn create(
        storage: &dyn Storage,
        name: &str,
        codec: Codec,
        sealer: &Sealer,
        job: &Job,
    ) -> Result<Self> {
        let text = name.to_owned();
        let upload = storage.create(&text)?;
        let location = format!("{}/{text}", storage.location());
        let hash = Sha1::new();
        let sink = Sink { upload, location: location.clone(), hash, size_bytes: 0, job: job.clone() };
        let layer = match codec {
            Codec::Plain => Layer::Plain(sink),
            Codec::Gzip => {
                let level = Compression::new(DEFLATE_LEVEL);
                Layer::Gzip(Some(Box::new(GzEncoder::new(sink, level))), level)
            }
            Codec::OpenPgp => Layer::OpenPgp(Box::new(sealer.seal(sink)?)),
            Codec::Smime => return Err(Error::Internal("S/MIME is never written".to_owned())),
        };
        Ok(Self { location, name: text, layer })
    }

    /// A file that goes nowhere, for who wants only what comes of reading what would be in it.
    pub fn nowhere() -> Self {
        Self { name: String::new(), location: String::new(), layer: Layer::Nowhere }
    }

    /// Says whether what comes next is worth compressing.
    pub fn expect_compressible(&mut self, compressible: bool) -> Result<()> {
        match &mut self.layer {
            Layer::Nowhere | Layer::Plain(_) => {}
            Layer::Gzip(encoder, level) => {
                let wanted = if compressible { Compression::new(DEFLATE_LEVEL) } else { Compression::none() };
                if wanted != *level
                    && let Some(current) = encoder.take()
                {
                    let sink = current.finish().map_err(|error| failed(error, &self.location))?;
                    *encoder = Some(Box::new(GzEncoder::new(sink, wanted)));
                    *level = wanted;
                }
            }
            Layer::OpenPgp(sealed) => {
                sealed.expect_compressible(compressible).map_err(|error| failed(error, &self.location))?;
            }
        }
        Ok(())
    }

    /// The error of a write, with the file it was about.
    pub fn fail(&self, error: io::Error) -> Error {
        failed(error, &self.location)
    }

    /// Makes the file durable and visible.
    pub fn finish(self) -> Result<Stored> {
        let Self { name, location, layer } = self;
        let sink = match layer {
            Layer::Nowhere => return Ok(Stored { name, size_bytes: 0, sha1: String::new() }),
            Layer::Plain(sink) => Ok(sink),
            Layer::Gzip(Some(encoder), _) => encoder.finish(),
            Layer::Gzip(None, _) => Err(io::ErrorKind::BrokenPipe.into()),
            Layer::OpenPgp(sealed) => Ok(sealed.finish()?),
        };
        let sink = sink.map_err(|error| failed(error, &location))?;
        sink.upload.finish()?;
        Ok(Stored { name, size_bytes: sink.size_bytes, sha1: hexadecimal(&sink.hash.finalize()) })
    }
}

impl Write for StoredWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match &mut self.layer {
            Layer::Nowhere => Ok(buffer.len()),
            Layer::Plain(sink) => sink.write(buffer),
            Layer::Gzip(Some(encoder), _) => encoder.write(buffer),
            Layer::Gzip(None, _) => Err(io::ErrorKind::BrokenPipe.into()),
            Layer::OpenPgp(sealed) => sealed.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn failed(error: io::Error, location: &str) -> Error {
    Error::from_stream(error, |source| StorageError::from_io("writing", location, source).into())
}

/// Reads one stored file, unwrapped.
pub struct StoredReader {
    name: String,
    layer: ReadLayer,
}

enum ReadLayer {
    Plain(Box<dyn Read + Send>),
    Gzip(Box<Members>),
    OpenPgp(Box<OpenReader>),
}

impl StoredReader {
    /// Opens the file `name`, unwrapping it as the end of its name says.
    pub fn open(storage: &dyn Storage, name: &str, opener: &Opener, job: &Job) -> Result<Self> {
        Self::open_as(storage, name, codec_of(name), opener, job)
    }

    /// The same for a file that is verified: what is read of it counts as done.
    pub fn open_counted(storage: &dyn Storage, name: &str, opener: &Opener, job: &Job) -> Result<Self> {
        let source = Source::new(storage.open(name)?, Counts::Done, job);
        Self::unwrap(source, name, codec_of(name), opener)
    }

    /// The same for a file whose name does not tell how it is wrapped.
    pub fn open_as(
        storage: &dyn Storage,
        name: &str,
        codec: Codec,
        opener: &Opener,
        job: &Job,
    ) -> Result<Self> {
        let source = Source::new(storage.open(name)?, Counts::Stored, job);
        Self::unwrap(source, name, codec, opener)
    }

    fn unwrap(source: Source, name: &str, codec: Codec, opener: &Opener) -> Result<Self> {
        let source: Box<dyn Read + Send> = Box::new(source);
        let layer = match codec {
            Codec::Plain => ReadLayer::Plain(source),
            Codec::Gzip => {
                let source = BufReader::with_capacity(BUFFER_BYTES, source);
                ReadLayer::Gzip(Box::new(Members(Some(GzDecoder::new(source)))))
            }
            Codec::OpenPgp => ReadLayer::OpenPgp(Box::new(opener.open(source)?)),
            Codec::Smime => {
                return Err(Error::damaged(
                    name,
                    Damage::Malformed("S/MIME files cannot be read".to_owned()),
                ));
            }
        };
        Ok(Self { name: name.to_owned(), layer })
    }

    /// Reads what is left and checks what can only be checked at the end: that nothing is cut off, and
    /// the signature.
    pub fn finish(mut self) -> Result<()> {
        io::copy(&mut self, &mut io::sink()).map_err(|error| unreadable(&self.name, error))?;
        if let ReadLayer::OpenPgp(opened) = self.layer {
            opened.finish().map_err(|error| about(&self.name, error))?;
        }
        Ok(())
    }
}

impl Read for StoredReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.layer {
            ReadLayer::Plain(source) => source.read(buffer),
            ReadLayer::Gzip(members) => members.read(buffer),
            ReadLayer::OpenPgp(opened) => opened.read(buffer),
        }
    }
}

/// The members of a gzip file in a row. Zeros behind one are padding, as duplicity takes them.
struct Members(Option<GzDecoder<BufReader<Box<dyn Read + Send>>>>);

impl Read for Members {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.0 {
            let count = member.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let Some(mut source) = self.0.take().map(GzDecoder::into_inner) else { break };
            loop {
                let bytes = source.fill_buf()?;
                let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
                if bytes.is_empty() {
                    return Ok(0);
                }
                if zeros == 0 {
                    break;
                }
                source.consume(zeros);
            }
            self.0 = Some(GzDecoder::new(source));
        }
        Ok(0)
    }
}

/// The beginning of the way back: counts, and stops when the job is to stop.
struct Source {
    inner: Box<dyn Read + Send>,
    counts: Counts,
    read_bytes: u64,
    job: Job,
}

/// As what the bytes that are read count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counts {
    /// They were counted, or will be.
    Nothing,
    /// As bytes that went to or came from the storage.
    Stored,
    /// As those, and as work that is done.
    Done,
    /// As half of the work, rounded down; the other half is done when they are read again.
    FirstHalf,
    /// As bytes from the storage, and as the other half of the work.
    SecondHalf,
}

impl Source {
    fn new(inner: Box<dyn Read + Send>, counts: Counts, job: &Job) -> Self {
        Self { inner, counts, read_bytes: 0, job: job.clone() }
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.job.check().map_err(Error::into_stream)?;
        let count = self.inner.read(buffer)?;
        let before = self.read_bytes;
        self.read_bytes += count as u64;
        if matches!(self.counts, Counts::Stored | Counts::Done | Counts::SecondHalf) {
            self.job.bytes_stored(count as u64);
        }
        match self.counts {
            Counts::Nothing | Counts::Stored => {}
            Counts::Done => self.job.bytes_done(count as u64),
            Counts::FirstHalf => self.job.bytes_done(self.read_bytes / 2 - before / 2),
            Counts::SecondHalf => self.job.bytes_done(self.read_bytes.div_ceil(2) - before.div_ceil(2)),
        }
        Ok(count)
    }
}

/// How a file is wrapped, told by its name.
fn codec_of(name: &str) -> Codec {
    FileName::parse(name).map_or(Codec::Plain, |name| name.codec)
}

/// Reads a small stored file, such as a manifest, wholly. `limit` bounds what is believed, in bytes.
pub fn read_small(name: &str, mut reader: StoredReader, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.by_ref().take(limit + 1).read_to_end(&mut bytes).map_err(|error| unreadable(name, error))?;
    if bytes.len() as u64 > limit {
        return Err(Error::damaged(
            name,
            Damage::Malformed("it is too large to be what it should be".to_owned()),
        ));
    }
    reader.finish()?;
    Ok(bytes)
}

/// The error for a stored file whose stream failed.
pub fn unreadable(name: &str, error: io::Error) -> Error {
    let ours = Error::from_stream(error, |error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::damaged(name, Damage::CutShort),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
            Error::damaged(name, Damage::Malformed(error.to_string()))
        }
        _ => StorageError::from_io("reading", name, error).into(),
    });
    about(name, ours)
}

/// Adds the file's name to an error of gpg, and says "missing" of a file that is not there.
pub fn about(name: &str, error: Error) -> Error {
    match error {
        Error::Crypto { file: None, source } => Error::crypto(name, source),
        Error::Storage(StorageError { kind: StorageErrorKind::NotFound, .. }) => {
            Error::damaged(name, Damage::Missing)
        }
        other => other,
    }
}

/// Lower-case hexadecimal digits.
pub fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Whether a piece of a file is worth compressing, told from a sample of 4 KiB in its middle.
///
/// The sum of the squared counts of each byte value is about `n²/256 + n` for random bytes, which is
/// what compressed and encrypted data look like, and several times that for everything else.
pub fn looks_compressible(data: &[u8]) -> bool {
    const SAMPLE: usize = 4096;
    if data.len() < SAMPLE {
        return true;
    }
    let middle = (data.len() - SAMPLE) / 2;
    let mut counts = [0_u64; 256];
    for byte in &data[middle..middle + SAMPLE] {
        counts[usize::from(*byte)] += 1;
    }
    let squares: u64 = counts.iter().map(|count| count * count).sum();
    const RANDOM: u64 = (SAMPLE * SAMPLE / 256 + SAMPLE) as u64;
    squares > RANDOM * 6 / 5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_worth_compressing_and_noise_is_not() {
        let text = "the quick brown fox jumps over the lazy dog. ".repeat(200);
        assert!(looks_compressible(text.as_bytes()));
        assert!(looks_compressible(&[0; 65536]));
        let mut state = 1_u64;
        let noise: Vec<u8> = (0..65536)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            })
            .collect();
        assert!(!looks_compressible(&noise));
        assert!(looks_compressible(&noise[..100]), "too little to tell");
    }
}
