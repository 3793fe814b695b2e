//! An object as it comes over the line.

use std::io::{self, Read};
use std::sync::Arc;

use futures_util::StreamExt;
use opendal::{Buffer, BufferStream, ErrorKind};

use super::place::Place;
use crate::engine::storage::StorageResult;

pub(super) struct Download {
    place: Arc<Place>,
    name: String,
    /// Bytes of the object that came before `current`.
    offset: u64,
    current: Buffer,
    /// None at the end.
    stream: Option<BufferStream>,
}

impl Download {
    /// Begins to read an object at `offset` bytes.
    pub fn begin(place: &Arc<Place>, name: &str, offset: u64) -> StorageResult<Self> {
        let (stream, current) = place.run("reading", &place.location_of(name), |store| async move {
            let reader = store.plain.reader(name).await?;
            let mut stream = reader.into_stream(offset..).await?;
            // So what is not there is known now.
            match stream.next().await.transpose() {
                Ok(first) => Ok((Some(stream), first.unwrap_or_default())),
                // At its end or behind it.
                Err(error) if error.kind() == ErrorKind::RangeNotSatisfied => Ok((None, Buffer::new())),
                Err(error) => Err(error),
            }
        })?;
        Ok(Self { place: Arc::clone(place), name: name.to_owned(), offset, current, stream })
    }

    /// Goes on where the line broke, if it does anything again.
    fn begin_again(&mut self) -> StorageResult<()> {
        *self = Self::begin(&self.place, &self.name, self.offset)?;
        Ok(())
    }
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.current.read(buffer)?;
            self.offset += count as u64;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let Some(stream) = &mut self.stream else { return Ok(0) };
            let next = async { stream.next().await.transpose() };
            match self.place.wait("reading", &self.place.location_of(&self.name), next) {
                Ok(Some(part)) => self.current = part,
                Ok(None) => self.stream = None,
                Err(error) if error.is_retryable() => self.begin_again()?,
                Err(error) => return Err(error.into()),
            }
        }
    }
}
