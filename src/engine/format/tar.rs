//! Tar as the format uses it: ustar headers with PAX extensions, written and read as a stream.
//!
//! Reading follows what duplicity writes and tolerates rather than the standard: a stream may end
//! without any end block, and after the first zero block anything may follow. The header block is
//! laid out by the `tar` crate; what a name of arbitrary bytes needs around it is done here.

mod pax;

use std::io::{self, Read, Write};

use pax::{Extended, add_name, add_record};

/// Size of a tar block in bytes.
pub const BLOCK: usize = 512;

/// Tar streams are padded to a multiple of this many bytes.
const RECORD: u64 = 10240;

/// Largest extended header that is believed, in bytes. Names and links take at most 4 KiB each on
/// Linux, but deeper trees exist; what is larger is an attack or damage.
const EXTENDED_LIMIT: u64 = 1 << 20;

/// Largest number that fits the octal field of twelve bytes.
const OCTAL_12_MAX: u64 = 0o77_777_777_777;

/// Largest number that fits the octal fields of eight bytes.
const OCTAL_8_MAX: u64 = 0o7_777_777;

/// One entry of a tar.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Header {
    /// Name as stored, bytes.
    pub name: Vec<u8>,
    /// Where a link points, bytes.
    pub link: Vec<u8>,
    /// Type flag of the tar format; `0` for regular files.
    pub type_flag: u8,
    /// Permission bits.
    pub mode: u32,
    /// Number of the owner.
    pub uid: u32,
    /// Number of the group.
    pub gid: u32,
    /// Name of the owner; empty if unknown.
    pub user: String,
    /// Name of the group; empty if unknown.
    pub group: String,
    /// Whole seconds since 1970.
    pub mtime: i64,
    /// Nanoseconds of the time; 0 if there is no fraction.
    pub mtime_nanos: u32,
    /// Bytes of data that follow.
    pub size: u64,
    /// Major and minor number of a device.
    pub device: (u32, u32),
    /// Further PAX records, keys and values: those of Souvenir, and extended attributes.
    pub records: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Writes entries to `W`.
#[derive(Debug)]
pub struct Writer<W> {
    inner: W,
    written: u64,
}

impl<W: Write> Writer<W> {
    /// A writer at the beginning of a tar.
    pub fn new(inner: W) -> Self {
        Self { inner, written: 0 }
    }

    /// Writes an entry with its data, whose length must be `header.size`.
    pub fn entry(&mut self, header: &Header, data: &[u8]) -> io::Result<()> {
        debug_assert_eq!(header.size, data.len() as u64);
        self.block(&encode(header)?)?;
        self.block(data)
    }

    /// Takes over blocks that another writer made without its end.
    pub fn raw_blocks(&mut self, blocks: &[u8]) -> io::Result<()> {
        debug_assert_eq!(blocks.len() % BLOCK, 0);
        self.block(blocks)
    }

    /// Ends the tar: two zero blocks, then zeros up to a whole record.
    pub fn end(&mut self) -> io::Result<()> {
        let end = (self.written + 2 * BLOCK as u64).next_multiple_of(RECORD);
        let zeros = vec![0; usize::try_from(end - self.written).map_err(io::Error::other)?];
        self.inner.write_all(&zeros)?;
        self.written = end;
        Ok(())
    }

    /// What the entries went to. Without [`Writer::end`] they are for [`Writer::raw_blocks`].
    pub fn into_inner(self) -> W {
        self.inner
    }

    /// What the entries go to.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.inner
    }

    fn block(&mut self, data: &[u8]) -> io::Result<()> {
        self.inner.write_all(data)?;
        let padding = data.len().next_multiple_of(BLOCK) - data.len();
        self.inner.write_all(&[0; BLOCK][..padding])?;
        self.written += (data.len() + padding) as u64;
        Ok(())
    }
}

/// The header block, with an extended header in front where it cannot hold everything.
fn encode(header: &Header) -> io::Result<Vec<u8>> {
    let mut records = Vec::new();
    let fits = |value: &[u8], limit: usize| value.len() <= limit && value.is_ascii();
    if !fits(&header.name, 100) {
        add_name(&mut records, "path", &header.name);
    }
    if !fits(&header.link, 100) {
        add_name(&mut records, "linkpath", &header.link);
    }
    for (key, value) in [("uname", &header.user), ("gname", &header.group)] {
        if !fits(value.as_bytes(), 31) {
            add_record(&mut records, key.as_bytes(), value.as_bytes());
        }
    }
    let mtime = u64::try_from(header.mtime).unwrap_or(0);
    if header.mtime_nanos > 0 {
        let text = format!("{mtime}.{:09}", header.mtime_nanos);
        add_record(&mut records, b"mtime", text.trim_end_matches('0').as_bytes());
    }
    for (key, value, limit) in [
        ("uid", u64::from(header.uid), OCTAL_8_MAX),
        ("gid", u64::from(header.gid), OCTAL_8_MAX),
        ("mtime", if header.mtime_nanos > 0 { 0 } else { mtime }, OCTAL_12_MAX),
        ("size", header.size, OCTAL_12_MAX),
    ] {
        if value > limit {
            add_record(&mut records, key.as_bytes(), value.to_string().as_bytes());
        }
    }
    for (key, value) in &header.records {
        add_record(&mut records, key, value);
    }
    let mut blocks = Vec::with_capacity(BLOCK);
    if !records.is_empty() {
        let extended = Header {
            name: b"././@PaxHeader".to_vec(),
            type_flag: b'x',
            size: records.len() as u64,
            ..Header::default()
        };
        blocks.extend_from_slice(plain_block(&extended)?.as_bytes());
        blocks.extend_from_slice(&records);
        blocks.resize(blocks.len().next_multiple_of(BLOCK), 0);
    }
    blocks.extend_from_slice(plain_block(header)?.as_bytes());
    Ok(blocks)
}

/// The ustar block: what is too long is cut, what is too large is 0, as Python's tarfile does it.
fn plain_block(header: &Header) -> io::Result<tar::Header> {
    let mut block = tar::Header::new_ustar();
    let ascii = |value: &[u8], limit: usize| -> Vec<u8> {
        value.iter().take(limit).map(|byte| if byte.is_ascii() { *byte } else { b'?' }).collect()
    };
    let field = |value: u64, limit: u64| if value > limit { 0 } else { value };
    {
        let ustar = block.as_ustar_mut().ok_or_else(|| io::Error::other("not a ustar header"))?;
        let name = ascii(&header.name, 100);
        ustar.name[..name.len()].copy_from_slice(&name);
        let link = ascii(&header.link, 100);
        ustar.linkname[..link.len()].copy_from_slice(&link);
        let user = ascii(header.user.as_bytes(), 31);
        ustar.uname[..user.len()].copy_from_slice(&user);
        let group = ascii(header.group.as_bytes(), 31);
        ustar.gname[..group.len()].copy_from_slice(&group);
    }
    block.set_entry_type(tar::EntryType::new(header.type_flag));
    block.set_mode(header.mode);
    block.set_uid(field(header.uid.into(), OCTAL_8_MAX));
    block.set_gid(field(header.gid.into(), OCTAL_8_MAX));
    block.set_mtime(field(u64::try_from(header.mtime).unwrap_or(0), OCTAL_12_MAX));
    block.set_size(field(header.size, OCTAL_12_MAX));
    block.set_device_major(header.device.0)?;
    block.set_device_minor(header.device.1)?;
    block.set_cksum();
    Ok(block)
}

/// Reads entries from `R`. The data of the entry that [`Reader::next_entry`] gave is read through
/// [`Read`]; what is not read is skipped.
#[derive(Debug)]
pub struct Reader<R> {
    inner: R,
    /// Bytes of data of the current entry that are still to come, and the padding behind them.
    data_left: u64,
    padding: u64,
    /// Whether a block of zeros ends the tar.
    zeros_end: bool,
    ended: bool,
}

impl<R: Read> Reader<R> {
    /// A reader at the beginning of a tar.
    pub fn new(inner: R) -> Self {
        Self { inner, data_left: 0, padding: 0, zeros_end: true, ended: false }
    }

    /// A reader of what is left of a tar: it ends with the stream. After `InvalidData` it may be asked on: whatever is a
    /// header next is one.
    pub fn of_remains(inner: R) -> Self {
        Self { zeros_end: false, ..Self::new(inner) }
    }

    /// The next entry, or `None` at the end: the end of the stream or a zero block. What follows a
    /// zero block means nothing and is not looked at.
    ///
    /// `InvalidData` if the headers break the rules, `UnexpectedEof` if the stream ends inside an entry.
    pub fn next_entry(&mut self) -> io::Result<Option<Header>> {
        let mut extended = Extended::default();
        loop {
            self.skip_data()?;
            let Some(block) = self.header_block()? else {
                return if extended.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            };
            let mut header = decode(&block)?;
            if matches!(header.type_flag, b'x' | b'g' | b'L' | b'K') {
                self.start_data(header.size);
                let data = self.extended_data(header.size)?;
                match header.type_flag {
                    b'x' => extended.add_records(&data)?,
                    // Global headers carry nothing that the format uses.
                    b'g' => {}
                    b'L' => extended.name = Some(until_nul(&data)),
                    _ => extended.link = Some(until_nul(&data)),
                }
                continue;
            }
            extended.apply(&mut header);
            if i64::try_from(header.size).is_err() {
                return Err(invalid("an entry is too large"));
            }
            self.start_data(header.size);
            return Ok(Some(header));
        }
    }

    /// What the entries come from.
    pub fn get_ref(&self) -> &R {
        &self.inner
    }

    /// What the entries come from.
    pub fn into_inner(self) -> R {
        self.inner
    }

    fn start_data(&mut self, size: u64) {
        self.data_left = size;
        self.padding = size.next_multiple_of(BLOCK as u64) - size;
    }

    fn skip_data(&mut self) -> io::Result<()> {
        let to_skip = self.data_left + self.padding;
        let skipped = io::copy(&mut (&mut self.inner).take(to_skip), &mut io::sink())?;
        // Python leaves the padding of the very last entry out when nothing follows.
        if skipped < self.data_left {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        (self.data_left, self.padding) = (0, 0);
        Ok(())
    }

    fn header_block(&mut self) -> io::Result<Option<[u8; BLOCK]>> {
        while !self.ended {
            let block = self.block()?;
            if block.is_some() {
                return Ok(block);
            }
        }
        Ok(None)
    }

    /// The next block, unless it is one of zeros or the last one.
    fn block(&mut self) -> io::Result<Option<[u8; BLOCK]>> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.inner.read(&mut block[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if filled == BLOCK && block.iter().any(|byte| *byte != 0) {
            return Ok(Some(block));
        }
        self.ended = self.zeros_end || filled < BLOCK;
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        Err(io::ErrorKind::UnexpectedEof.into())
    }

    fn extended_data(&mut self, size: u64) -> io::Result<Vec<u8>> {
        if size > EXTENDED_LIMIT {
            return Err(invalid("an extended header is too large"));
        }
        let mut data = Vec::new();
        self.read_to_end(&mut data)?;
        Ok(data)
    }
}

impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.data_left).unwrap_or(usize::MAX));
        if most == 0 {
            return Ok(0);
        }
        let count = self.inner.read(&mut buffer[..most])?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.data_left -= count as u64;
        Ok(count)
    }
}

fn decode(block: &[u8; BLOCK]) -> io::Result<Header> {
    let stored = octal(&block[148..156]).ok_or_else(|| invalid("a header has no checksum"))?;
    let sum: i64 = block
        .iter()
        .enumerate()
        .map(|(index, byte)| if (148..156).contains(&index) { i64::from(b' ') } else { i64::from(*byte) })
        .sum();
    if stored != sum {
        return Err(invalid("a header's checksum is wrong"));
    }
    let field =
        |range: std::ops::Range<usize>| octal(&block[range]).ok_or_else(|| invalid("a number is malformed"));
    let small = |range| field(range).map(|number| u32::try_from(number).unwrap_or(0));
    let text =
        |range: std::ops::Range<usize>| String::from_utf8_lossy(&until_nul(&block[range])).into_owned();
    let mut name = until_nul(&block[..100]);
    let is_posix = &block[257..263] == b"ustar\0";
    if is_posix && block[345] != 0 {
        let mut whole = until_nul(&block[345..500]);
        whole.push(b'/');
        whole.append(&mut name);
        name = whole;
    }
    Ok(Header {
        name,
        link: until_nul(&block[157..257]),
        type_flag: if block[156] == 0 { b'0' } else { block[156] },
        mode: small(100..108)? & 0o7777,
        uid: small(108..116)?,
        gid: small(116..124)?,
        user: text(265..297),
        group: text(297..329),
        mtime: field(136..148)?,
        size: u64::try_from(field(124..136)?).map_err(|_| invalid("a size is negative"))?,
        device: (small(329..337)?, small(337..345)?),
        mtime_nanos: 0,
        records: Vec::new(),
    })
}

/// An octal field, or GNU's base 256 when the first bit is set. An empty field is 0.
fn octal(field: &[u8]) -> Option<i64> {
    if field[0] & 0x80 != 0 {
        let negative = field[0] & 0x40 != 0;
        let first = if negative { i64::from(field[0]) - 256 } else { i64::from(field[0] & 0x7f) };
        return field[1..]
            .iter()
            .try_fold(first, |sum, byte| sum.checked_mul(256)?.checked_add(i64::from(*byte)));
    }
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    let digits = field[..end].trim_ascii();
    if digits.is_empty() {
        return Some(0);
    }
    i64::from_str_radix(str::from_utf8(digits).ok()?, 8).ok()
}

fn until_nul(field: &[u8]) -> Vec<u8> {
    field.split(|byte| *byte == 0).next().unwrap_or(field).to_vec()
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(name: &[u8], size: u64) -> Header {
        Header { name: name.to_vec(), type_flag: b'0', mode: 0o644, size, ..Header::default() }
    }

    fn read_all(bytes: &[u8]) -> io::Result<Vec<(Header, Vec<u8>)>> {
        let mut reader = Reader::new(bytes);
        let mut entries = Vec::new();
        while let Some(header) = reader.next_entry()? {
            let mut data = Vec::new();
            reader.read_to_end(&mut data)?;
            entries.push((header, data));
        }
        Ok(entries)
    }

    fn written(entries: &[(Header, Vec<u8>)]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new());
        for (header, data) in entries {
            writer.entry(header, data).unwrap();
        }
        writer.end().unwrap();
        writer.into_inner()
    }

    #[test]
    fn what_is_left_goes_on_behind_a_harmed_header_and_zeros() {
        let entries = vec![
            (file(b"a", 3), b"abc".to_vec()),
            (file(b"b", 2000), vec![0; 2000]),
            (file(b"c", 0), Vec::new()),
        ];
        let mut bytes = written(&entries);
        bytes[2 * BLOCK + 100] ^= 1;
        assert!(read_all(&bytes).is_err());
        let mut reader = Reader::of_remains(&bytes[..]);
        let mut names = Vec::new();
        loop {
            match reader.next_entry() {
                Ok(Some(header)) => names.push(header.name),
                Ok(None) => break,
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::InvalidData),
            }
        }
        assert_eq!(names, [b"a".to_vec(), b"c".to_vec()]);
    }

    #[test]
    fn a_size_without_measure_is_refused() {
        let record = b"29 size=18446744073709551615\n";
        let header = Header { type_flag: b'x', ..file(b"pax", record.len() as u64) };
        let bytes = written(&[(header, record.to_vec()), (file(b"a", 0), Vec::new())]);
        assert_eq!(read_all(&bytes).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn the_end_may_be_missing_or_be_followed_by_anything() {
        let entries = vec![(file(b"a", 3), b"abc".to_vec()), (file(b"b", 0), Vec::new())];
        let bytes = written(&entries);
        assert_eq!(bytes.len() as u64 % RECORD, 0);
        assert_eq!(read_all(&bytes).unwrap(), entries);
        let data_end = 3 * BLOCK;
        assert_eq!(read_all(&bytes[..data_end]).unwrap(), entries);
        let mut noisy = bytes[..data_end + BLOCK].to_vec();
        noisy.extend_from_slice(&[0xA5; 1000]);
        assert_eq!(read_all(&noisy).unwrap(), entries);
        assert_eq!(read_all(b"").unwrap(), []);
    }

    #[test]
    fn an_end_inside_an_entry_is_noticed() {
        let bytes = written(&[(file(b"a", 700), vec![7; 700])]);
        for cut in [1, 511, 513, BLOCK + 699] {
            let error = read_all(&bytes[..cut]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "cut at {cut}");
        }
        let mut flipped = bytes;
        flipped[0] ^= 1;
        assert_eq!(read_all(&flipped).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn gnu_numbers_are_read() {
        let mut field = [0xff_u8; 12];
        assert_eq!(octal(&field), Some(-1));
        field = *b"\x80\0\0\0\0\0\0\0\0\0\x01\x02";
        assert_eq!(octal(&field), Some(258));
        assert_eq!(octal(b"  644 \0\0"), Some(0o644));
        assert_eq!(octal(b"99      "), None);
    }

    #[test]
    fn a_hostile_extended_header_is_not_read_into_memory() {
        let mut header = file(b"././@PaxHeader", 0);
        header.type_flag = b'x';
        header.size = 4 << 30;
        let block = plain_block(&header).unwrap();
        assert_eq!(read_all(block.as_bytes()).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    proptest! {
        #[test]
        fn every_header_comes_back(
            name in prop::collection::vec(1_u8..=255, 1..300),
            link in prop::collection::vec(1_u8..=255, 0..300),
            user in "[a-zé]{0,40}",
            (uid, gid, mode) in (any::<u32>(), any::<u32>(), 0_u32..=0o7777),
            mtime in 0_i64..1 << 40,
            data in prop::collection::vec(any::<u8>(), 0..1500),
            mtime_nanos in 0_u32..1_000_000_000,
            value in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let records = vec![(b"SCHILY.xattr.user.x".to_vec(), value), (b"SOUVENIR.y".to_vec(), vec![b'1'])];
            let header = Header {
                name, link, user, uid, gid, mode, mtime, mtime_nanos, records,
                type_flag: b'0', size: data.len() as u64, ..Header::default()
            };
            let entries = vec![(header, data)];
            prop_assert_eq!(read_all(&written(&entries)).unwrap(), entries);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let _ = read_all(&bytes);
        }
    }
}
