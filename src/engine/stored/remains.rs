//! What is left of a stored file that is not what its manifest says.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::DeflateDecoder;

use super::{BUFFER_BYTES, Counts, ReadLayer, Source, StoredReader, codec_of};
use crate::engine::crypto::Opener;
use crate::engine::error::Result;
use crate::engine::format::name::Codec;
use crate::engine::job::Job;
use crate::engine::storage::Storage;

impl StoredReader {
    /// Opens a file in spite of a hash that is wrong or not known, for what is left of it: nothing vouches for what
    /// comes out. What is read counts as the work that is still to be done after its hash `was_compared`, if it was.
    pub fn open_unvouched(
        storage: &dyn Storage,
        name: &str,
        was_compared: bool,
        opener: &Opener,
        job: &Job,
    ) -> Result<Self> {
        let counts = match (was_compared, storage.local_folder()) {
            (false, _) => Counts::Done,
            (true, Some(_)) => Counts::SecondHalf,
            (true, None) => Counts::Stored,
        };
        let source = Source::new(storage.open(name)?, counts, job);
        let remains: Box<dyn Read + Send> = match codec_of(name) {
            Codec::OpenPgp => Box::new(opener.open_remains(source)?),
            Codec::Gzip => Box::new(UncheckedMembers::new(source)),
            codec => return Self::unwrap(source, name, codec, opener),
        };
        Ok(Self { name: name.to_owned(), layer: ReadLayer::Plain(remains) })
    }
}

/// The members of a gzip file (RFC 1952, 2.2) in a row, whatever their checksums say.
struct UncheckedMembers<R> {
    /// None once the end is reached.
    member: Option<DeflateDecoder<BufReader<R>>>,
    is_begun: bool,
}

impl<R: Read> UncheckedMembers<R> {
    fn new(source: R) -> Self {
        let source = BufReader::with_capacity(BUFFER_BYTES, source);
        Self { member: Some(DeflateDecoder::new(source)), is_begun: false }
    }
}

impl<R: Read> Read for UncheckedMembers<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            if self.is_begun {
                let count = member.read(buffer)?;
                if count > 0 || buffer.is_empty() {
                    return Ok(count);
                }
            }
            let Some(mut source) = self.member.take().map(DeflateDecoder::into_inner) else { break };
            if self.is_begun {
                skip(&mut source, CHECKSUM_BYTES)?;
            }
            if source.fill_buf()?.is_empty() {
                break;
            }
            skip_header(&mut source)?;
            self.is_begun = true;
            self.member = Some(DeflateDecoder::new(source));
        }
        Ok(0)
    }
}

/// The checksum and the length behind the data of a member.
const CHECKSUM_BYTES: u64 = 8;

/// The most that a name or a comment may have, in bytes.
const TEXT_LIMIT: u64 = 64 << 10;

/// `InvalidData` if it is none; what pads a file is none either.
fn skip_header(source: &mut impl BufRead) -> io::Result<()> {
    let mut header = [0; 10];
    source.read_exact(&mut header)?;
    let [0x1f, 0x8b, 8, flags, ..] = header else { return Err(io::ErrorKind::InvalidData.into()) };
    if flags & 4 != 0 {
        let mut length = [0; 2];
        source.read_exact(&mut length)?;
        skip(source, u16::from_le_bytes(length).into())?;
    }
    for text in [8, 16] {
        if flags & text != 0 {
            source.by_ref().take(TEXT_LIMIT).read_until(0, &mut Vec::new())?;
        }
    }
    if flags & 2 != 0 {
        skip(source, 2)?;
    }
    Ok(())
}

fn skip(source: &mut impl BufRead, bytes: u64) -> io::Result<()> {
    io::copy(&mut source.by_ref().take(bytes), &mut io::sink()).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(contents: &[u8], name: &str) -> Vec<u8> {
        let builder = flate2::GzBuilder::new().filename(name).comment("made for a test").extra("xyz");
        let mut member = Vec::new();
        builder.read(contents, flate2::Compression::none()).read_to_end(&mut member).unwrap();
        member
    }

    #[test]
    fn a_wrong_checksum_does_not_end_the_file() {
        let mut file = member(b"first contents", "first");
        let harmed = file.len() - CHECKSUM_BYTES as usize - 3;
        file[harmed] ^= 1;
        file.extend(member(b", second contents", ""));
        file.extend([0; 600]);
        let mut read = Vec::new();
        let error = UncheckedMembers::new(&file[..]).read_to_end(&mut read).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(read, b"first conteots, second contents");

        for length in 0..file.len() {
            let mut read = Vec::new();
            let _ = UncheckedMembers::new(&file[..length]).read_to_end(&mut read);
            assert!(b"first conteots, second contents".starts_with(&read[..]));
        }
    }
}
