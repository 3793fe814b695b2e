//! A sealed file as it is written: the message of RFC 4880, 11.3, packet in packet.
//!
//! ```text
//! session key packets, protected data ( compressed data ( one-pass signature, literal data, signature ) )
//! ```
//!
//! Everything happens in the call that writes. About 200 KiB are held, besides the 300 KiB of the compressor.

use std::io::{self, Write};

use pgp::composed::RawSessionKey;
use pgp::types::Tag;

use super::deflate::Deflater;
use super::packet_writer::PacketWriter;
use super::protect::Protector;

/// The compression algorithm "ZIP" (RFC 4880, 9.3).
const ZIP: u8 = 1;

/// Binary data without a name and a time (RFC 4880, 5.9).
const LITERAL_HEADER: [u8; 6] = [b'b', 0, 0, 0, 0, 0];

/// Writes one sealed file. After an error it is broken and must be given up.
pub(super) struct Message<W> {
    literal: PacketWriter<Deflater<PacketWriter<Protector<PacketWriter<W>>>>>,
}

impl<W: Write> Message<W> {
    /// Begins a file whose session key is locked in `packets`. `one_pass` announces the signature that
    /// will come at the end, or is empty. Nothing reaches the sink yet.
    pub(super) fn begin(sink: W, packets: Vec<u8>, key: RawSessionKey, one_pass: &[u8]) -> io::Result<Self> {
        let protected = PacketWriter::behind(packets, sink, Tag::SymEncryptedProtectedData);
        let mut compressed = PacketWriter::new(Protector::new(protected, key)?, Tag::CompressedData);
        compressed.write_all(&[ZIP])?;
        let mut deflater = Deflater::new(compressed);
        deflater.write_all(one_pass)?;
        let mut literal = PacketWriter::new(deflater, Tag::LiteralData);
        literal.write_all(&LITERAL_HEADER)?;
        Ok(Self { literal })
    }

    /// Says whether what comes next is worth compressing. Up to 8 KiB of what was written before are
    /// taken for the same.
    pub(super) fn expect_compressible(&mut self, compressible: bool) -> io::Result<()> {
        self.literal.get_mut().expect_compressible(compressible)
    }

    /// Ends the file, with the signature that was announced, and gives the sink back.
    pub(super) fn finish(self, signature: &[u8]) -> io::Result<W> {
        let mut deflater = self.literal.finish()?;
        deflater.write_all(signature)?;
        deflater.finish()?.finish()?.finish()?.finish()
    }
}

impl<W: Write> Write for Message<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.literal.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
