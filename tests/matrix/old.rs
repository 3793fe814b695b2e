//! Archives as old versions of duplicity wrote them under Python 3.7 and older, which can hardly be had any
//! more: GNU's dialect of tar, times with offsets in the names or short names, volumes that just end.
//! Today's duplicity reads them too, which shows that they are what they seem.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Cursor, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use librsync::SignatureType;
use sha1::{Digest, Sha1};

use crate::common::duplicity::{url, versions};
use crate::common::engine::{Backup, Options};
use crate::common::gpg::Home;
use crate::common::tree::{assert_same, look, noise};
use souvenir::engine::format::time::SetTime;
use souvenir::engine::job::Warning;

const FULL: i64 = 1_700_000_000;
const INCREMENTAL: i64 = 1_700_100_000;
const OURS: i64 = 1_700_200_000;
const WRITTEN: u64 = 1_600_000_000;
/// Too late for an octal field of tar.
const LATE: u64 = 9_000_000_000;
const CHUNK: usize = 65_536;

/// An entry of the tree; names and links are bytes.
#[derive(Clone)]
enum What {
    Folder,
    File(Vec<u8>),
    Link(Vec<u8>),
}

type Item = (Vec<u8>, What, u64);

fn folder(name: &[u8]) -> Item {
    (name.to_vec(), What::Folder, WRITTEN)
}

fn file(name: &[u8], contents: &[u8]) -> Item {
    (name.to_vec(), What::File(contents.to_vec()), WRITTEN)
}

fn long_name() -> Vec<u8> {
    [b"long/", &[b'n'; 150][..]].concat()
}

/// The tree of the full set, in the order of the format.
fn tree() -> Vec<Item> {
    vec![
        folder(b""),
        file(b"alpha", b"first"),
        file(b"gone", b"soon gone"),
        file(b"large", &noise(1, 3 * CHUNK + 10)),
        (b"late".to_vec(), What::File(b"from far ahead".to_vec()), LATE),
        (b"link".to_vec(), What::Link(vec![b't'; 180]), WRITTEN),
        folder(b"long"),
        file(&long_name(), b"longer than a header"),
        folder(b"names"),
        file(b"names/\xc3\xa9t\xc3\xa9", b"summer"),
        folder(b"order"),
        file(b"order/x", b"x"),
        file(b"order/\xff", b"comes before x by the name that it has in the tar"),
        folder(b"twice"),
        file(b"twice/\xff\xfd", b"one"),
        file(b"twice/\xff\xfe", b"two"),
        file(b"zero", b""),
    ]
}

/// What is left of a name in a tar of Python 3.7 and older: bytes that are not UTF-8 are lost. The
/// signatures have the real names.
fn as_old_python_writes(name: &[u8]) -> Vec<u8> {
    if str::from_utf8(name).is_ok() {
        return name.to_vec();
    }
    name.iter().map(|byte| if byte.is_ascii() { *byte } else { b'?' }).collect()
}

/// What comes back of the tree: the second of two files with one name, and one that stands in the wrong
/// place under its new name, are lost to every reader.
fn what_comes_back(items: &[Item]) -> Vec<Item> {
    let is_lost = |name: &[u8]| name == b"twice/\xff\xfe" || name == b"order/\xff";
    let kept = items.iter().filter(|(name, ..)| !is_lost(name)).cloned();
    kept.map(|(name, what, time)| (as_old_python_writes(&name), what, time)).collect()
}

/// Makes the tree.
fn lay(root: &Path, items: &[Item]) {
    let path =
        |name: &[u8]| if name.is_empty() { root.to_owned() } else { root.join(OsStr::from_bytes(name)) };
    for (name, what, _) in items {
        match what {
            What::Folder => fs::create_dir_all(path(name)).unwrap(),
            What::File(contents) => fs::write(path(name), contents).unwrap(),
            What::Link(target) => symlink(OsStr::from_bytes(target), path(name)).unwrap(),
        }
    }
    for (name, what, time) in items.iter().rev() {
        let mode = match what {
            What::Folder => 0o755,
            What::File(_) => 0o644,
            What::Link(_) => continue,
        };
        fs::set_permissions(path(name), fs::Permissions::from_mode(mode)).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(*time);
        File::open(path(name)).unwrap().set_modified(time).unwrap();
    }
}

/// A tar in GNU's dialect.
#[derive(Default)]
struct GnuTar(Vec<u8>);

impl GnuTar {
    fn put(&mut self, word: &str, item: &Item, data: &[u8]) {
        let (name, what, time) = item;
        let (kind, mode, link): (u8, u32, &[u8]) = match what {
            What::Folder => (b'5', 0o755, b""),
            What::File(_) => (b'0', 0o644, b""),
            What::Link(target) => (b'2', 0o777, target),
        };
        let mut whole = [word.as_bytes(), b"/", name].concat();
        if kind == b'5' && !name.is_empty() {
            whole.push(b'/');
        }
        for (long, kind) in [(&whole[..], b'L'), (link, b'K')] {
            if long.len() > 100 {
                self.block(b"././@LongLink", kind, b"", 0, 0, &[long, b"\0"].concat());
            }
        }
        self.block(&whole, kind, link, mode, *time, data);
    }

    fn deleted(&mut self, name: &str) {
        self.block(format!("deleted/{name}").as_bytes(), b'0', b"", 0, 0, b"");
    }

    fn block(&mut self, name: &[u8], kind: u8, link: &[u8], mode: u32, time: u64, data: &[u8]) {
        let mut header = tar::Header::new_gnu();
        let fields = header.as_gnu_mut().unwrap();
        let cut = |bytes: &[u8]| bytes[..bytes.len().min(100)].to_vec();
        fields.name[..name.len().min(100)].copy_from_slice(&cut(name));
        fields.linkname[..link.len().min(100)].copy_from_slice(&cut(link));
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_mode(mode);
        // Whoever runs the test, since not everybody may give files away.
        let is_real = kind != b'L' && kind != b'K';
        header.set_uid(if is_real { nix::unistd::getuid().as_raw().into() } else { 0 });
        header.set_gid(if is_real { nix::unistd::getgid().as_raw().into() } else { 0 });
        header.set_mtime(time);
        header.set_size(data.len() as u64);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
    }

    /// Signature tars end as tars do; volumes just end.
    fn ended(mut self) -> Vec<u8> {
        self.0.resize((self.0.len() + 1024).next_multiple_of(10_240), 0);
        self.0
    }
}

/// Of blocks as duplicity before 3.0.3 chose them for files of this size.
fn signature(contents: &[u8]) -> Vec<u8> {
    let mut signature = Vec::new();
    let kind = SignatureType::MD4;
    librsync::whole::signature_with_options(&mut &contents[..], &mut signature, 512, 8, kind).unwrap();
    signature
}

fn delta(from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut delta = Vec::new();
    librsync::whole::delta(&mut &to[..], &mut Cursor::new(signature(from)), &mut delta).unwrap();
    delta
}

fn put_signature(tar: &mut GnuTar, item: &Item) {
    match &item.1 {
        What::File(contents) => tar.put("signature", item, &signature(contents)),
        _ => tar.put("snapshot", item, b""),
    }
}

/// How old versions called their files.
#[derive(Debug, Clone, Copy)]
enum Names {
    /// With the time of the place, and how far that is from the world's.
    Offset,
    /// In base 36.
    Short,
}

#[derive(Clone, Copy)]
enum Part {
    Volume(u32),
    Signatures,
    Manifest,
}

impl Names {
    fn of(self, is_full: bool, part: Part) -> String {
        match (self, is_full) {
            (Self::Offset, true) => {
                let time = "2023-11-14T23:13:20+01:00";
                match part {
                    Part::Volume(number) => format!("duplicity-full.{time}.vol{number}.difftar.gz"),
                    Part::Signatures => format!("duplicity-full-signatures.{time}.sigtar.gz"),
                    Part::Manifest => format!("duplicity-full.{time}.manifest"),
                }
            }
            (Self::Offset, false) => {
                let times = "2023-11-14T23:13:20+01:00.to.2023-11-15T19:00:00-07:00";
                match part {
                    Part::Volume(number) => format!("duplicity-inc.{times}.vol{number}.difftar.gz"),
                    Part::Signatures => format!("duplicity-new-signatures.{times}.sigtar.gz"),
                    Part::Manifest => format!("duplicity-inc.{times}.manifest"),
                }
            }
            (Self::Short, _) => {
                let (letter, times) = if is_full { ('f', "s44we8") } else { ('i', "s44we8.s471k0") };
                match part {
                    Part::Volume(number) => format!("d{letter}.{times}.{number}.dt.z"),
                    Part::Signatures if is_full => format!("dfs.{times}.st.z"),
                    Part::Signatures => format!("dns.{times}.st.z"),
                    Part::Manifest => format!("d{letter}.{times}.m"),
                }
            }
        }
    }
}

struct Destination<'a> {
    stored: &'a Path,
    source: &'a Path,
    names: Names,
}

impl Destination<'_> {
    fn put(&self, is_full: bool, part: Part, contents: &[u8]) -> String {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(contents).unwrap();
        let contents = gzip.finish().unwrap();
        fs::write(self.stored.join(self.names.of(is_full, part)), &contents).unwrap();
        Sha1::digest(&contents).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn set(&self, is_full: bool, volumes: Vec<(GnuTar, &str, &str)>, signatures: GnuTar) {
        let host = nix::unistd::gethostname().unwrap().into_string().unwrap();
        let mut text = format!("Hostname {host}\nLocaldir {}\n", self.source.display());
        for (number, (volume, start, end)) in (1..).zip(volumes) {
            let hash = self.put(is_full, Part::Volume(number), &volume.0);
            text += &format!("Volume {number}:\n    StartingPath   {start}\n    EndingPath     {end}\n");
            text += &format!("    Hash SHA1 {hash}\n");
        }
        self.put(is_full, Part::Signatures, &signatures.ended());
        fs::write(self.stored.join(self.names.of(is_full, Part::Manifest)), text).unwrap();
    }

    /// The full set; the large file begins in one volume and ends in the next.
    fn full(&self) {
        let (mut first, mut second, mut signatures) =
            (GnuTar::default(), GnuTar::default(), GnuTar::default());
        for item in tree() {
            put_signature(&mut signatures, &item);
            let written = as_old_python_writes(&item.0);
            let entry: Item = (written, item.1.clone(), item.2);
            match &item.1 {
                What::File(contents) if item.0 == b"large" => {
                    for (number, chunk) in (1..).zip(contents.chunks(CHUNK)) {
                        let tar = if number < 3 { &mut first } else { &mut second };
                        let chunk_name = [b"large/", format!("{number}").as_bytes()].concat();
                        tar.put("multivol_snapshot", &(chunk_name, item.1.clone(), item.2), chunk);
                    }
                }
                What::File(contents) => {
                    let tar = if item.0 < b"large".to_vec() { &mut first } else { &mut second };
                    tar.put("snapshot", &entry, contents);
                }
                _ if item.0.is_empty() => first.put("snapshot", &(b".".to_vec(), What::Folder, item.2), b""),
                _ => second.put("snapshot", &entry, b""),
            }
        }
        let volumes = vec![(first, ".  ", "large 2"), (second, "large 3", "zero  ")];
        self.set(true, volumes, signatures);
    }

    /// What is changed, new and gone.
    fn incremental(&self) {
        let (mut volume, mut signatures) = (GnuTar::default(), GnuTar::default());
        let large = |items: &[Item]| match items.iter().find(|(name, ..)| name == b"large") {
            Some((_, What::File(contents), _)) => contents.clone(),
            _ => panic!("no large file"),
        };
        let changed = changed_tree();
        for (name, item) in [(&b"gone"[..], None), (b"large", Some(())), (b"new", Some(()))] {
            let Some(()) = item else {
                volume.deleted("gone");
                signatures.deleted("gone");
                continue;
            };
            let item = changed.iter().find(|(other, ..)| other == name).unwrap();
            let What::File(contents) = &item.1 else { panic!("no file") };
            match name {
                b"large" => volume.put("diff", item, &delta(&large(&tree()), contents)),
                _ => volume.put("snapshot", item, contents),
            }
            put_signature(&mut signatures, item);
        }
        self.set(false, vec![(volume, "gone  ", "new  ")], signatures);
    }
}

fn changed_tree() -> Vec<Item> {
    let mut items: Vec<Item> = tree().into_iter().filter(|(name, ..)| name != b"gone").collect();
    for (name, what, time) in &mut items {
        if let (b"large", What::File(contents)) = (&name[..], what) {
            contents[100_000] ^= 1;
            contents.extend_from_slice(b"and more");
            *time = WRITTEN + 5;
        }
    }
    let at = items.iter().position(|(name, ..)| name == b"order").unwrap();
    items.insert(at, file(b"new", b"new"));
    items.sort_by_key(|(name, ..)| souvenir::engine::path::EntryPath::from_bytes(name).unwrap());
    items
}

fn an_old_archive_comes_back(names: Names) {
    let home = Home::new();
    let scratch = tempfile::tempdir().unwrap();
    let path = |name: &str| scratch.path().join(name);
    let (source, stored) = (path("source"), path("stored"));
    fs::create_dir(&stored).unwrap();
    let destination = Destination { stored: &stored, source: &source, names };
    destination.full();
    destination.incremental();
    lay(&source, &changed_tree());
    lay(&path("then"), &what_comes_back(&tree()));
    lay(&path("now"), &what_comes_back(&changed_tree()));
    let (then, now) = (look(&path("then")), look(&path("now")));

    let backup = Backup::new(&source, &stored);
    let status = backup.status();
    let times: Vec<_> = status.chains[0].sets.iter().map(|set| set.time.epoch()).collect();
    assert_eq!((times, status.chains.len()), (vec![FULL, INCREMENTAL], 1));
    assert_eq!(status.leftovers, []);
    assert!(status.chains[0].weakest_link().is_none());
    let place = url(&stored);
    let check = |time: i64, expected, what: &str| {
        let target = path(&format!("ours-{what}"));
        let at = Options { time: SetTime::from_epoch(time), ..Options::default() };
        let (result, warnings) = backup.try_restore(&target, at);
        assert_eq!(result.unwrap().set_time.epoch(), time);
        // What the tar does not name any more is said.
        let is_lost = |warning: &Warning| {
            let Warning::NotRestored { path, .. } = warning else { return false };
            [&b"twice/??"[..], b"order/?"].contains(&path.as_bytes())
        };
        assert!(warnings.len() == 2 && warnings.iter().all(is_lost), "{warnings:?}");
        assert_same(expected, &look(&target), &format!("ours of {what}"));
        for (index, program) in versions(home.path()).iter().enumerate() {
            let target = path(&format!("theirs-{what}-{index}"));
            let time = time.to_string();
            let options = ["--no-encryption", "--time", &time, &place, target.to_str().unwrap()];
            program.run(&[&["restore"], &options[..]].concat());
            assert_same(expected, &look(&target), &format!("theirs of {what}"));
        }
    };
    check(FULL, &then, "then");
    check(INCREMENTAL, &now, "now");
    // The signatures have the real names, so lists do.
    let listed = backup.list().entries;
    let expected: Vec<_> = changed_tree().into_iter().map(|(name, ..)| name).collect();
    assert_eq!(listed.iter().map(|entry| entry.path.as_bytes().to_vec()).collect::<Vec<_>>(), expected);

    // It is gone on with: nothing is taken for changed, and a change is found.
    assert_eq!(backup.clone().at(OURS).incremental().back_up().entry_count, 0);
    fs::write(source.join("alpha"), "changed").unwrap();
    assert_eq!(backup.clone().at(OURS + 100).incremental().back_up().entry_count, 1);
    let mut expected = now.clone();
    let alpha = look(&source).remove(&b"alpha"[..]).unwrap();
    expected.insert(b"alpha".to_vec(), alpha);
    check(OURS + 100, &expected, "ours");
}

#[test]
fn an_archive_with_offsets_in_its_names_comes_back() {
    an_old_archive_comes_back(Names::Offset);
}

#[test]
fn an_archive_with_short_names_comes_back() {
    an_old_archive_comes_back(Names::Short);
}
