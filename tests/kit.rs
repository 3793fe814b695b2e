//! The recovery kit as paper: what is printed is rendered, and the key that other programs read from it opens
//! a backup in an empty keyring.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::gpg::Home;
use jiff::Timestamp;
use souvenir::engine::crypto::{Key, KeyAlgorithm, NewKey, Passphrases, Secret, SecretKey};
use souvenir::engine::error::Error;
use souvenir::engine::job::Job;
use souvenir::engine::storage::Address;
use souvenir::kit::{Gap, Kit, KitPlace, KitReader, Leftover, commands};

const PASSPHRASE: &str = "four slow snails";

/// A keyring with a key, something that is sealed for it, and its kit.
struct Owner {
    home: Home,
    key: Key,
    secret: SecretKey,
    sealed: Vec<u8>,
    folder: tempfile::TempDir,
}

impl Owner {
    fn new(algorithm: KeyAlgorithm, passphrase: Option<&str>) -> Self {
        let home = Home::new();
        let new = NewKey {
            name: "Zoë Пётр Lovelace".to_owned(),
            email: "zoe@example.org".to_owned(),
            algorithm,
            expires: None,
            passphrase: passphrase.map(Secret::from),
        };
        let key = home.keyring().generate(&new).unwrap();
        let sealed = home.gpg(&["--encrypt", "--recipient", &key.fingerprint], b"contents");
        let passphrases = Passphrases::new();
        passphrases.set_archive(Secret::from(passphrase.unwrap_or_default()));
        let secret =
            home.keyring().export_secret(&key.fingerprint, &passphrases, &Job::unattended()).unwrap();
        Self { home, key, secret, sealed, folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes the kit for backups in these places, as `kit.pdf`.
    fn kit(&self, places: &[&str]) -> PathBuf {
        let places: Vec<KitPlace> = places
            .iter()
            .map(|place| KitPlace {
                name: "Documents".to_owned(),
                address: Address::parse(OsStr::new(place)).unwrap(),
            })
            .collect();
        let made = Timestamp::from_second(1_795_000_000).unwrap();
        let kit = Kit { key: &self.key, secret: &self.secret, places: &places, made };
        let path = self.path("kit.pdf");
        kit.save(&path).unwrap();
        path
    }

    /// The pages as pictures of that resolution.
    fn pictures(&self, format: &str, resolution: u32) -> Vec<PathBuf> {
        let folder = self.path("pictures");
        fs::create_dir_all(&folder).unwrap();
        let resolution = resolution.to_string();
        run(
            "pdftoppm",
            &[
                format.as_ref(),
                "-r".as_ref(),
                resolution.as_ref(),
                self.path("kit.pdf").as_ref(),
                folder.join("page").as_ref(),
            ],
        );
        let mut files: Vec<PathBuf> =
            fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }
}

fn run(program: &str, arguments: &[&OsStr]) -> Output {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// The words of a document.
fn words(pdf: &Path) -> String {
    let output = run("pdftotext", &["-layout".as_ref(), pdf.as_ref(), "-".as_ref()]);
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn assert_opens(home: &Home, sealed: &[u8], passphrase: &str) {
    let output = home.try_gpg(&["--passphrase", passphrase, "--decrypt"], sealed);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && output.stdout == b"contents", "{said}");
}

/// Types a command into a shell in a folder, for that keyring.
fn shell(command: &str, folder: &Path, home: &Home) -> Output {
    let output = Command::new("bash")
        .args(["-c", command])
        .current_dir(folder)
        .env("GNUPGHOME", home.path())
        .env("HOME", folder)
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .env("PASSPHRASE", PASSPHRASE)
        .output()
        .unwrap();
    assert!(output.status.success(), "{command}\n{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn every_key(test: impl Fn(&Owner, &str)) {
    test(&Owner::new(KeyAlgorithm::Ed25519, Some(PASSPHRASE)), PASSPHRASE);
    test(&Owner::new(KeyAlgorithm::Rsa4096, Some(PASSPHRASE)), PASSPHRASE);
    test(&Owner::new(KeyAlgorithm::Ed25519, None), "");
}

#[test]
fn the_commands_on_the_paper_bring_the_key_back() {
    every_key(|owner, passphrase| {
        owner.kit(&[]);
        owner.pictures("-png", 150);
        let other = Home::new();
        shell(commands::IMPORT_PICTURES, &owner.path("pictures"), &other);
        shell(&commands::trust(&owner.key.fingerprint), owner.folder.path(), &other);
        assert_opens(&other, &owner.sealed, passphrase);

        let third = Home::new();
        shell(&commands::DETACH.replace("KIT.pdf", "kit.pdf"), owner.folder.path(), &third);
        shell(commands::IMPORT_CODES, owner.folder.path(), &third);
        assert_opens(&third, &owner.sealed, passphrase);
    });
}

#[test]
fn pictures_of_the_paper_bring_the_key_back() {
    every_key(|owner, passphrase| {
        owner.kit(&[]);
        // The large key has many pages; once is enough.
        let manners = [("-png", 110), ("-png", 80), ("-jpeg", 200)];
        let manners = if owner.secret.expose().len() > 1000 { &manners[..1] } else { &manners };
        for (format, resolution) in manners.iter().copied() {
            let pictures = owner.pictures(format, resolution);
            let mut reader = KitReader::new();
            reader.add_path(&owner.path("pictures")).unwrap();
            let parts = |leftover: &Leftover| matches!(leftover, Leftover::Parts(_));
            assert!(!reader.leftovers().iter().any(parts), "{format} {:?}", reader.leftovers());
            let other = Home::new();
            let report = other.keyring().import(&reader.material()).unwrap();
            assert!(report.keys[0].secret_is_new && report.keys[0].key.fingerprint == owner.key.fingerprint);
            assert_opens(&other, &owner.sealed, passphrase);
            pictures.iter().for_each(|picture| fs::remove_file(picture).unwrap());
        }
    });
}

/// As a telephone takes them by lamplight: askew, a little blurred, dark to one side and with noise.
#[test]
fn photographs_of_the_paper_bring_the_key_back() {
    let owner = Owner::new(KeyAlgorithm::Ed25519, Some(PASSPHRASE));
    owner.kit(&[]);
    for page in owner.pictures("-png", 150) {
        let page = page.into_os_string().into_string().unwrap();
        let photograph = page.replace(".png", ".jpg");
        let taken = "-background gray -rotate 6 -blur 0x0.7 ( +clone -sparse-color Barycentric \
                     0,0,gray25,%w,%h,white ) -compose multiply -composite -attenuate 0.25 +noise Gaussian -quality 80";
        let words: Vec<&str> =
            [&*page].into_iter().chain(taken.split_whitespace()).chain([&*photograph]).collect();
        run("convert", &words.iter().map(OsStr::new).collect::<Vec<_>>());
        fs::remove_file(page).unwrap();
    }
    let mut reader = KitReader::new();
    reader.add_path(&owner.path("pictures")).unwrap();
    let other = Home::new();
    let report = other.keyring().import(&reader.material()).unwrap();
    assert_eq!(report.keys[0].key.fingerprint, owner.key.fingerprint);
    assert_opens(&other, &owner.sealed, PASSPHRASE);
}

#[test]
fn the_document_itself_and_its_typed_lines_bring_the_key_back() {
    every_key(|owner, passphrase| {
        let pdf = owner.kit(&[]);
        let mut reader = KitReader::new();
        reader.add_path(&pdf).unwrap();
        assert!(reader.leftovers().is_empty());
        let other = Home::new();
        other.keyring().import(&reader.material()).unwrap();
        assert_opens(&other, &owner.sealed, passphrase);

        let text = words(&pdf);
        let typed: String = text
            .lines()
            .filter(|line| line.matches(':').count() == 2 && line.contains('/'))
            .fold(String::new(), |typed, line| typed + &line.trim().to_lowercase() + "\n");
        let mut reader = KitReader::new();
        assert!(reader.add_text(&typed), "{text}");
        assert!(reader.leftovers().is_empty(), "{:?}", reader.leftovers());
        let third = Home::new();
        third.keyring().import(&reader.material()).unwrap();
        assert_opens(&third, &owner.sealed, passphrase);

        fs::write(owner.path("key.txt"), typed.to_uppercase()).unwrap();
        let fourth = Home::new();
        shell(commands::IMPORT_LINES, owner.folder.path(), &fourth);
        assert_opens(&fourth, &owner.sealed, passphrase);
    });
}

/// The whole way back: the paper, gpg and duplicity, and a backup that this program made.
#[test]
fn the_commands_on_the_paper_restore_a_backup() {
    let owner = Owner::new(KeyAlgorithm::Ed25519, Some(PASSPHRASE));
    let (source, place) = (owner.path("source"), owner.path("My 100% Drive"));
    fs::create_dir_all(source.join("home/me")).unwrap();
    fs::write(source.join("home/me/letter.txt"), "dear me").unwrap();
    let backup = Command::new(env!("CARGO_BIN_EXE_souvenir-cli"))
        .arg("--gnupg-home")
        .arg(owner.home.path())
        .args(["backup", "--no-cache", "--encrypt-key", &owner.key.fingerprint])
        .args([&source, &place])
        .output()
        .unwrap();
    assert!(backup.status.success(), "{}", String::from_utf8_lossy(&backup.stderr));

    let pdf = owner.kit(&[place.to_str().unwrap()]);
    owner.pictures("-png", 150);
    let paper = words(&pdf);
    let url = commands::place(&Address::Folder(place));
    let other = Home::new();
    shell(commands::IMPORT_PICTURES, &owner.path("pictures"), &other);
    shell(&commands::trust(&owner.key.fingerprint), owner.folder.path(), &other);
    let (status, restore) = (commands::status(&url), commands::restore(&url));
    for command in [&status, &restore] {
        // The paper may break a long line.
        let squeezed = |text: &str| text.split_whitespace().collect::<String>();
        assert!(squeezed(&paper).contains(&squeezed(command)), "{command}\n{paper}");
    }
    let told = shell(&status, owner.folder.path(), &other).stdout;
    assert!(String::from_utf8_lossy(&told).contains("Full"), "{}", String::from_utf8_lossy(&told));
    shell(&restore, owner.folder.path(), &other);
    assert_eq!(fs::read(owner.path("restored/home/me/letter.txt")).unwrap(), b"dear me");
    shell(&commands::restore_one(&url).replace("--time 3D ", ""), owner.folder.path(), &other);
    assert_eq!(fs::read(owner.path("letter.txt")).unwrap(), b"dear me");
}

#[test]
fn the_paper_says_what_it_is_for() {
    let owner = Owner::new(KeyAlgorithm::Ed25519, Some(PASSPHRASE));
    let places = ["/media/Blue Drive/backup", "sftp://ada@nas.example.org//srv/backup"];
    let pdf = owner.kit(&places);
    assert_eq!(pdf.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let text = words(&pdf);
    let fingerprint: Vec<String> = owner
        .key
        .fingerprint
        .as_bytes()
        .chunks(4)
        .map(|group| String::from_utf8_lossy(group).into())
        .collect();
    for expected in [
        "Recovery Kit",
        places[0],
        places[1],
        "Zoë Пётр Lovelace <zoe@example.org>",
        &owner.key.fingerprint[24..],
        &fingerprint.join(" "),
        "2026-11-1",
        "the passphrase somewhere else",
        "Part 1 of 3",
        "Part 3 of 3",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    let open = Owner::new(KeyAlgorithm::Ed25519, None);
    assert!(words(&open.kit(&[])).contains("This key has no passphrase"));

    // Never over another file.
    let kit = Kit { key: &owner.key, secret: &owner.secret, places: &[], made: Timestamp::now() };
    assert!(matches!(kit.save(&pdf), Err(Error::KeyFileExists(_))));
}

#[test]
fn what_is_missing_of_a_kit_is_told() {
    let owner = Owner::new(KeyAlgorithm::Rsa4096, Some(PASSPHRASE));
    owner.kit(&[]);
    let pictures = owner.pictures("-png", 110);
    let mut reader = KitReader::new();
    // The first page has no codes, the second those that come first.
    reader.add_path(&pictures[0]).unwrap();
    reader.add_path(&pictures[1]).unwrap();
    let leftovers = reader.leftovers();
    assert!(leftovers.contains(&Leftover::Picture(pictures[0].clone())), "{leftovers:?}");
    let Some(Leftover::Parts(Gap { key_id, missing, count })) = leftovers.first() else {
        panic!("{leftovers:?}")
    };
    assert!(owner.key.fingerprint.ends_with(key_id.as_str()));
    assert_eq!(*missing, (7..=*count).collect::<Vec<_>>());
    assert!(reader.material().is_empty());
}
