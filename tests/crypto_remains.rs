//! Sealed files that are damaged: what is left of them is read, whoever sealed them and however.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::io::{Cursor, Read};

use common::gpg::Home;
use common::sealing::{crypto_error, ours, seal, secrets, signed, to_keys};
use common::tree::noise;
use souvenir::engine::crypto::{CryptoError, Opener, Passphrases, Protection, SealDamage};
use souvenir::engine::error::{Error, Result};
use souvenir::engine::job::Job;

/// What is left, and how that ends.
fn remains(home: &Home, passphrases: &Passphrases, sealed: &[u8]) -> Result<(Vec<u8>, Option<Error>)> {
    let opener = Opener::new(&home.keyring(), passphrases, None, &Job::unattended())?.without_questions();
    let mut reader = opener.open_remains(Cursor::new(sealed.to_vec()))?;
    let mut found = Vec::new();
    let end = reader.read_to_end(&mut found).err().map(ours);
    Ok((found, end))
}

fn flipped(sealed: &[u8], place: usize) -> Vec<u8> {
    let mut damaged = sealed.to_vec();
    damaged[place] ^= 0x10;
    damaged
}

/// How many bytes are as they were, from the beginning on.
fn equal_bytes(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

#[test]
fn what_is_left_of_files_sealed_here_is_read() {
    let home = Home::new();
    let alice = home.key("Alice <alice@example.org>", "");
    let plain = noise(1, 300_000);
    let known = secrets("pass");
    for protection in [Protection::passphrase(), signed(to_keys(&[&alice]), &alice)] {
        let sealed = seal(&home.keyring(), &protection, &known, &plain).unwrap();
        assert_eq!(remains(&home, &known, &sealed).unwrap().0, plain);
        // One block and one bit of the next, and everything behind them.
        let (found, end) = remains(&home, &known, &flipped(&sealed, sealed.len() / 2)).unwrap();
        assert_eq!(found.len(), plain.len(), "{end:?}");
        let different = found.iter().zip(&plain).filter(|(found, plain)| found != plain).count();
        assert!((1..=17).contains(&different), "{different}");
        // The checksum.
        assert_eq!(remains(&home, &known, &flipped(&sealed, sealed.len() - 3)).unwrap().0, plain);

        for kept in [sealed.len() - 1, sealed.len() / 2, 20_000, 1_000] {
            let (found, _) = remains(&home, &known, &sealed[..kept]).unwrap();
            assert!(plain.starts_with(&found), "{kept}");
            assert!(found.len() + 20_000 > kept, "{} of {kept}", found.len());
        }
        for kept in [0, 5, 30, 120] {
            let error = crypto_error(remains(&home, &known, &sealed[..kept]));
            assert!(matches!(error, CryptoError::Damaged(_)), "{kept}: {error:?}");
        }
        // Nobody could be asked, and nobody is.
        let wrong = remains(&home, &secrets("wrong"), &sealed);
        assert_eq!(wrong.is_err(), protection == Protection::passphrase());
    }
    let altered = CryptoError::Damaged(SealDamage::Altered);
    for other in [&b"just a text"[..], &[0; 5000]] {
        assert_eq!(crypto_error(remains(&home, &known, other)), altered);
    }
}

#[test]
fn what_is_left_of_files_that_gpg_sealed_is_read() {
    let home = Home::new();
    let known = secrets("pass");
    let text = b"the quick brown fox jumps over the lazy dog, and ".repeat(40);
    let plain: Vec<u8> = (0..20).flat_map(|number| [noise(number, 20_000), text.clone()].concat()).collect();
    for options in [
        &[][..],
        &["--compress-algo", "zlib"],
        &["--compress-algo", "none"],
        &["--cipher-algo", "CAST5", "--allow-old-cipher-algos"],
        &["--cipher-algo", "AES"],
        &["--force-ocb", "--chunk-size", "16"],
    ] {
        let batch = ["--batch", "--pinentry-mode", "loopback", "--passphrase", "pass", "--symmetric"];
        let sealed = home.gpg(&[&batch[..], options].concat(), &plain);
        assert!(remains(&home, &known, &sealed).unwrap().0 == plain, "{options:?}");
        let (found, _) = remains(&home, &known, &flipped(&sealed, sealed.len() * 3 / 4)).unwrap();
        let right = equal_bytes(&found, &plain);
        assert!(right < plain.len(), "{options:?}");
        // The last buffer, and the part with a checksum of its own.
        assert!(right + (100 << 10) > plain.len() * 3 / 4, "{options:?}: {right}");
    }
}
