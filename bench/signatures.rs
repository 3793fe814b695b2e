//! Which blocks and which strong sum to sign files with: `cargo bench --bench signatures -- FOLDER` prints,
//! for each choice, the bytes of all signatures of the files below the folder, how fast they are made, and
//! the bytes of the deltas after a few bytes were inserted in the middle of each file.

#![allow(clippy::print_stdout, reason = "it prints a table")]

use std::error::Error;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use librsync::{Delta, Signature, SignatureType};

type Rule = fn(u64) -> u64;

/// Names of the choices: the block length in bytes for a file's size, the kind of strong sum and its length.
const CHOICES: [(&str, Rule, SignatureType, usize); 8] = [
    ("duplicity 3, MD4, 8 bytes", duplicity, SignatureType::MD4, 8),
    ("power of two, 512 at least, MD4, 8 bytes", |size| power(size, 512), SignatureType::MD4, 8),
    ("power of two, 1024 at least, MD4, 8 bytes", |size| power(size, 1024), SignatureType::MD4, 8),
    ("power of two, 2048 at least, MD4, 8 bytes", |size| power(size, 2048), SignatureType::MD4, 8),
    ("power of two, 4096 at least, MD4, 8 bytes", |size| power(size, 4096), SignatureType::MD4, 8),
    ("power of two, 512 at least, BLAKE2, 8 bytes", |size| power(size, 512), SignatureType::Blake2, 8),
    ("power of two, 1024 at least, BLAKE2, 16 bytes", |size| power(size, 1024), SignatureType::Blake2, 16),
    ("power of two, 1024 at least, BLAKE2, 32 bytes", |size| power(size, 1024), SignatureType::Blake2, 32),
];

/// What duplicity 3.0.3 and later do: the square root, rounded up to a multiple of 512.
fn duplicity(size: u64) -> u64 {
    size.isqrt().next_multiple_of(512).max(512)
}

fn power(size: u64, least: u64) -> u64 {
    size.isqrt().next_power_of_two().max(least)
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let Some(folder) = folder else {
        println!("usage: cargo bench --bench signatures -- FOLDER");
        return Ok(());
    };
    let mut files = Vec::new();
    find(Path::new(&folder), &mut files)?;
    println!("| signed with | signatures, MB | signing, MB/s | deltas of an insertion, MB |");
    println!("|---|---|---|---|");
    for (name, rule, kind, strong_len) in CHOICES {
        let (mut signature_bytes, mut file_bytes, mut delta_bytes) = (0, 0, 0);
        let mut signing = Duration::ZERO;
        for path in &files {
            let mut contents = std::fs::read(path)?;
            let size = contents.len() as u64;
            let block_len = usize::try_from(rule(size))?;
            let started = Instant::now();
            let mut signature = Vec::new();
            Signature::with_buf_read(&contents[..], block_len, strong_len, kind)?
                .read_to_end(&mut signature)?;
            signing += started.elapsed();
            file_bytes += size;
            signature_bytes += signature.len() as u64;
            let middle = contents.len() / 2;
            contents.splice(middle..middle, *b"a few bytes");
            let mut delta = Delta::with_buf_read(&contents[..], &mut &signature[..])?;
            delta_bytes += io::copy(&mut delta, &mut io::sink())?;
        }
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        println!(
            "| {name} | {:.1} | {:.0} | {:.1} |",
            megabytes(signature_bytes),
            megabytes(file_bytes) / signing.as_secs_f64(),
            megabytes(delta_bytes),
        );
    }
    Ok(())
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            find(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}
