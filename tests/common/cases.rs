//! Every protection that a backup can have, as we and as duplicity are told of it.

use std::ops::Range;

use super::duplicity::Duplicity;
use super::engine::{PASSPHRASE, to_key};
use super::gpg::Home;
use souvenir::engine::crypto::{Encryption, Protection};

/// A protection, what duplicity has to be told of it, and which versions of it are tried.
pub struct Case {
    pub protection: Protection,
    pub options: Vec<String>,
    pub versions: Range<usize>,
}

const BOTH: Range<usize> = 0..2;
const DEBIANS: Range<usize> = 0..1;
const NEWEST: Range<usize> = 1..2;

/// The protection of that name. Every one meets one version at least, the extremes meet both.
pub fn case(home: &Home, name: &str) -> Case {
    let key = |name: &str, passphrase: &str| {
        let key = home.key(name, passphrase);
        // duplicity itself encrypts only to keys that are trusted.
        home.gpg(&["--import-ownertrust"], format!("{key}:6:\n").as_bytes());
        key
    };
    let (protection, options, versions): (_, Vec<String>, _) = match name {
        "none" => (Protection::none(), vec!["--no-encryption".into()], BOTH),
        "passphrase" => (Protection::passphrase(), vec![], DEBIANS),
        "signed passphrase" => {
            let signer = key("signer", PASSPHRASE);
            let options = vec!["--sign-key".into(), signer[24..].into()];
            (Protection { encryption: Encryption::Passphrase, sign_key: Some(signer) }, options, NEWEST)
        }
        "signed to a key" => {
            let (reader, signer) = (key("reader", ""), key("signer", PASSPHRASE));
            let options =
                vec!["--encrypt-key".into(), reader.clone(), "--sign-key".into(), signer[24..].into()];
            (to_key(&reader, false, Some(&signer)), options, BOTH)
        }
        _ => {
            let reader = key("reader", PASSPHRASE);
            (to_key(&reader, true, None), vec!["--hidden-encrypt-key".into(), reader], NEWEST)
        }
    };
    Case { protection, options, versions }
}

/// Runs duplicity with the options of the protection; it must succeed. Gives what was printed.
pub fn duplicity(program: &Duplicity, case: &Case, arguments: &[&str]) -> String {
    let options: Vec<&str> = case.options.iter().map(String::as_str).collect();
    let (verb, rest) = arguments.split_first().unwrap();
    program.run(&[&[*verb], &options[..], rest].concat())
}
