//! Trees with everything in them, and a lister of our own to compare them by: exit codes of restores
//! say nothing.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, SystemTime};

use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{Mode, SFlag, UtimensatFlags, makedev, mknod, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Uid, mkfifo};
use sha1::{Digest, Sha1};

/// How an entry looks from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looks {
    kind: &'static str,
    mode: u32,
    owner: (u32, u32),
    /// Whole seconds, not below 0; nothing for links, whose times are not kept by duplicity.
    mtime: Option<i64>,
    /// Contents as a hash, where a link points, or the numbers of a device.
    contents: String,
}

/// What a tree looks like: its entries by their names relative to the root.
pub type Tree = BTreeMap<Vec<u8>, Looks>;

/// What lies at and below a path, by names relative to it.
pub fn below(tree: &Tree, path: &[u8]) -> Tree {
    let inside = |name: &[u8]| {
        let rest = name.strip_prefix(path)?;
        rest.is_empty().then(Vec::new).or_else(|| Some(rest.strip_prefix(b"/")?.to_vec()))
    };
    tree.iter().filter_map(|(name, looks)| Some((inside(name)?, looks.clone()))).collect()
}

/// Every entry below `root`, and the root itself as the empty path. Sockets are passed over.
pub fn look(root: &Path) -> BTreeMap<Vec<u8>, Looks> {
    let mut found = BTreeMap::new();
    // The walk goes by relative names, since paths can be longer than the system takes at once.
    look_into(root, Vec::new(), &mut found);
    found
}

fn look_into(path: &Path, name: Vec<u8>, found: &mut BTreeMap<Vec<u8>, Looks>) {
    let data = path.symlink_metadata().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let kind = data.file_type();
    let (kind, contents) = if kind.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            let mut below = name.clone();
            if !below.is_empty() {
                below.push(b'/');
            }
            below.extend(entry.file_name().into_vec());
            look_into(&entry.path(), below, found);
        }
        ("folder", String::new())
    } else if kind.is_symlink() {
        ("link", format!("{:?}", fs::read_link(path).unwrap()))
    } else if kind.is_file() {
        let mut hash = Sha1::new();
        std::io::copy(&mut File::open(path).unwrap(), &mut Hashing(&mut hash)).unwrap();
        ("file", format!("{} bytes {:x?}", data.len(), hash.finalize()))
    } else if kind.is_fifo() {
        ("fifo", String::new())
    } else if kind.is_char_device() {
        ("char device", data.rdev().to_string())
    } else if kind.is_block_device() {
        ("block device", data.rdev().to_string())
    } else {
        return;
    };
    let is_link = kind == "link";
    let looks = Looks {
        kind,
        mode: data.mode() & 0o7777,
        owner: (data.uid(), data.gid()),
        mtime: (!is_link).then(|| data.mtime().max(0)),
        contents,
    };
    found.insert(name, looks);
}

struct Hashing<'a>(&'a mut Sha1);

impl std::io::Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Fails with the differences if two trees do not look the same.
pub fn assert_same(expected: &BTreeMap<Vec<u8>, Looks>, found: &BTreeMap<Vec<u8>, Looks>, what: &str) {
    let mut differences = Vec::new();
    for (name, looks) in expected {
        if found.get(name) != Some(looks) {
            differences.push(format!("{}: {looks:?} became {:?}", name.escape_ascii(), found.get(name)));
        }
    }
    for name in found.keys().filter(|name| !expected.contains_key(*name)) {
        differences.push(format!("{}: is new", name.escape_ascii()));
    }
    assert!(differences.is_empty(), "{what}:\n{}", differences.join("\n"));
}

/// Bytes that look random and are the same every time.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2) + 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&(state ^ (state >> 29)).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// A tree with every kind of entry that a backup keeps, as far as this user may make them.
pub fn make_everything(root: &Path) {
    let file = |name: &[u8], contents: &[u8]| {
        let path = root.join(OsStr::from_bytes(name));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
        path
    };
    file(b"a", b"");
    for name in [&b"a-dir/q"[..], b"ab", b"a b", b"a!", b"dir.d/!", b"dir.d/z", b"dir.d!"] {
        file(name, name);
    }
    // Around the chunk of the format, and over several volumes.
    for size in [1, 65_535, 65_536, 65_537, 131_072, 2_500_000] {
        file(format!("sizes/{size}").as_bytes(), &noise(size as u64, size));
    }
    file(b"sizes/text", "the same line again and again\n".repeat(20_000).as_bytes());
    // Numbers as names, which look like numbers of chunks; words of the format as names.
    file(b"big/1", &noise(1, 100_000));
    file(b"big/2/1", &noise(2, 200_000));
    for name in [&b"snapshot/x"[..], b"diff/snapshot/1", b"multivol_snapshot/1", b"deleted/y", b"signature"] {
        file(name, name);
    }
    for name in [
        &b"names/\xff\xfe"[..],
        b"names/\xc3\xa9t\xc3\xa9",
        b"names/new\nline",
        b"names/\"quoted\" 'twice'",
        b"names/back\\slash",
        b"names/ blanks ",
        b"names/\x01\x7f\xc2\xa0\xc2\x85",
        b"names/percent%20",
    ] {
        file(name, name);
    }
    file(&[&b"names/"[..], &[b'x'; 255]].concat(), b"longest component");
    file(&[&b"names/"[..], &[0xff; 255]].concat(), b"longest component that is not UTF-8");
    file(&[&[b'l'; 200][..], b"/", &[b'm'; 200]].concat(), b"longer than a tar header");
    fs::create_dir_all(root.join("empty/also empty")).unwrap();
    let sparse = File::create(root.join("sparse")).unwrap();
    sparse.set_len(1_500_000).unwrap();
    fs::create_dir(root.join("links")).unwrap();
    for (name, target) in [
        ("to-file", "../ab"),
        ("dangling", "nowhere"),
        ("loop", "loop"),
        ("to-root", "/"),
        ("to-dir", "../a-dir"),
    ] {
        symlink(target, root.join("links").join(name)).unwrap();
    }
    symlink(OsStr::from_bytes(&[b'\xfe'; 300]), root.join("links/long")).unwrap();
    fs::hard_link(root.join("ab"), root.join("links/hard")).unwrap();
    mkfifo(&root.join("fifo"), Mode::from_bits_truncate(0o640)).unwrap();

    let mode = |name: &str, mode: u32| {
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    if Uid::effective().is_root() {
        let node = |name: &str, kind, major, minor| {
            mknod(&root.join(name), kind, Mode::from_bits_truncate(0o600), makedev(major, minor)).unwrap();
        };
        node("null", SFlag::S_IFCHR, 1, 3);
        node("loop-device", SFlag::S_IFBLK, 7, 200);
        for (name, uid, gid) in
            [("ab", 1, 1), ("names", 2, 3), ("empty", 3_000_000, 4_000_000), ("fifo", 1, 2)]
        {
            std::os::unix::fs::chown(root.join(name), Some(uid), Some(gid)).unwrap();
        }
        std::os::unix::fs::lchown(root.join("links/loop"), Some(5), Some(6)).unwrap();
    }
    for (name, bits) in [
        ("ab", 0o4755),
        ("a b", 0o2711),
        // Only root reads what nobody may read.
        ("a!", if Uid::effective().is_root() { 0o000 } else { 0o400 }),
        ("empty", 0o1777),
        ("empty/also empty", 0o500),
        ("sizes/1", 0o444),
        ("dir.d", 0o2750),
    ] {
        mode(name, bits);
    }
    for (name, seconds, nanos) in [
        ("sizes/65535", -1000, 500_000_000),
        ("sizes/65536", 0, 0),
        ("sizes/65537", 1_234_567_890, 999_000_000),
        ("sizes/131072", 9_000_000_000, 0),
        ("links", 1_000_000_000, 0),
        ("empty/also empty", 86_400, 1),
        ("empty", 500_000_000, 0),
    ] {
        let time = TimeSpec::new(seconds, nanos);
        let path = root.join(name);
        utimensat(AT_FDCWD, &path, &time, &time, UtimensatFlags::NoFollowSymlink).unwrap();
    }
}

/// A socket, which no backup keeps.
pub fn make_socket(path: &Path) {
    drop(UnixListener::bind(path).unwrap());
}

/// Changes some of what [`make_everything`] made, in every way there is.
pub fn change_something(root: &Path) {
    let path = |name: &str| root.join(name);
    let mut contents = fs::read(path("sizes/2500000")).unwrap();
    contents[1_700_000] ^= 1;
    contents.extend_from_slice(b"and more");
    fs::write(path("sizes/2500000"), contents).unwrap();
    // duplicity takes a file for unchanged that has the same time to the second.
    set_modified(&path("sizes/2500000"), 1_750_000_000);
    fs::remove_dir_all(path("big")).unwrap();
    fs::write(path("big"), "a file where a folder was").unwrap();
    fs::remove_file(path("a")).unwrap();
    fs::create_dir(path("a")).unwrap();
    fs::write(path("a/new"), "in a folder where a file was").unwrap();
    fs::rename(path("names"), path("renamed")).unwrap();
    fs::set_permissions(path("a-dir/q"), fs::Permissions::from_mode(0o600)).unwrap();
    set_modified(&path("sizes/text"), 1_800_000_000);
    fs::remove_file(path("links/loop")).unwrap();
    symlink("elsewhere", path("links/loop")).unwrap();
}

fn set_modified(path: &Path, seconds: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    File::open(path).unwrap().set_modified(time).unwrap();
}

/// Lets whoever is not root write here.
fn open_up(path: &Path) {
    let data = path.symlink_metadata().unwrap();
    if !Uid::effective().is_root() && (data.is_dir() || data.is_file()) {
        fs::set_permissions(path, fs::Permissions::from_mode(data.mode() & 0o7777 | 0o700)).unwrap();
    }
}

/// A small tree that [`edit`] can work on.
pub fn make_small(root: &Path) {
    for (name, size) in
        [("one", 10), ("two", 70_000), ("folder/three", 200_000), ("folder/deep/four", 1), ("big", 1_500_000)]
    {
        fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
        fs::write(root.join(name), noise(size as u64, size)).unwrap();
    }
    fs::create_dir(root.join("empty")).unwrap();
    symlink("one", root.join("link")).unwrap();
}

/// Changes a tree at random, in `count` ways that `seed` decides on.
pub fn edit(root: &Path, seed: u64, count: usize) {
    let mut random = noise(seed.wrapping_mul(7919) + 1, count * 64).into_iter();
    let mut number = move |below: usize| {
        let high = random.next().unwrap_or(0) as usize;
        (high << 8 | random.next().unwrap_or(0) as usize) % below
    };
    for step in 0..count {
        let mut names: Vec<_> = look(root).into_iter().filter(|(name, _)| !name.is_empty()).collect();
        names.sort_by(|one, other| one.0.cmp(&other.0));
        let (name, looks) = names.swap_remove(number(names.len()));
        let path = root.join(OsStr::from_bytes(&name));
        open_up(path.parent().unwrap());
        open_up(&path);
        // Another time than every one before, to the second: duplicity does not look at anything finer.
        let now = 1_500_000_000 + seed * 1000 + step as u64;
        let fresh = format!("new-{seed}-{step}");
        let size = [0, 3, 5_000, 65_536, 131_072, 700_000][number(6)];
        match (number(9), looks.kind) {
            (0, "folder") => fs::write(path.join(fresh), noise(now, size)).unwrap(),
            (1, "folder") => fs::remove_dir_all(&path).unwrap(),
            (2, "folder") => {
                fs::remove_dir_all(&path).unwrap();
                fs::write(&path, noise(now, size)).unwrap();
                set_modified(&path, now);
            }
            (3, "folder") => fs::create_dir(path.join(fresh)).unwrap(),
            (0, "file") => fs::remove_file(&path).unwrap(),
            (1, "file") => {
                fs::remove_file(&path).unwrap();
                fs::create_dir(&path).unwrap();
                fs::write(path.join("inside"), fresh).unwrap();
            }
            (2, "file") => {
                fs::remove_file(&path).unwrap();
                symlink(fresh, &path).unwrap();
            }
            (3, "file") => {
                fs::write(&path, noise(now, size)).unwrap();
                set_modified(&path, now);
            }
            (4, "file") => set_modified(&path, now),
            (5 | 6, "file") => {
                let mut contents = fs::read(&path).unwrap();
                let at = number(contents.len() + 1);
                contents.splice(at..at, *b"an insertion");
                contents.truncate(contents.len() - number(20).min(contents.len()));
                fs::write(&path, contents).unwrap();
                set_modified(&path, now);
            }
            (0 | 1, _) => {
                fs::remove_file(&path).unwrap();
                fs::write(&path, fresh).unwrap();
            }
            (2..5, "link") => {
                fs::remove_file(&path).unwrap();
                symlink(fresh, &path).unwrap();
            }
            (7, _) => fs::rename(&path, root.join(fresh)).unwrap(),
            (_, "link") => {}
            _ => fs::set_permissions(&path, fs::Permissions::from_mode([0o700, 0o755, 0o750][number(3)]))
                .unwrap(),
        }
        if root.read_dir().unwrap().next().is_none() {
            fs::write(root.join("one"), "never quite empty").unwrap();
        }
    }
}
