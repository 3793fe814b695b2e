//! Whether a volume of an interrupted run holds what one of this run would hold.

use data_encoding::BASE32_DNSSEC;
use sha1::{Digest, Sha1};

use super::changes::Change;
use super::plan::{Contents, VolumePlan};
use super::staging::{FINGERPRINT_BYTES, Fingerprint};
use crate::engine::crypto::{Encryption, Protection};
use crate::engine::scan::SourceEntry;

/// The fingerprint of a volume: equal only if the same entries, in the same state, were to be sealed for
/// the same people. The passphrase is not in it, since a hash of it would help to guess it.
pub fn fingerprint(plan: &VolumePlan, protection: &Protection) -> Fingerprint {
    let mut hash = Fields(Sha1::new());
    hash.protection(protection);
    match &plan.contents {
        Contents::Entries(changes) => changes.iter().for_each(|change| hash.change(change)),
        Contents::Piece(piece) => {
            hash.source(b"piece", &piece.file, piece.basis.as_deref());
            hash.numbers(&[piece.offset, piece.len, piece.is_last.into()]);
        }
    }
    BASE32_DNSSEC.encode(&hash.0.finalize()[..FINGERPRINT_BYTES])
}

/// Fields one after the other, each with its length, so that no two rows of fields look the same.
struct Fields(Sha1);

impl Fields {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    fn numbers(&mut self, numbers: &[u64]) {
        for number in numbers {
            self.0.update(number.to_le_bytes());
        }
    }

    fn protection(&mut self, protection: &Protection) {
        match &protection.encryption {
            Encryption::None => self.bytes(b"none"),
            Encryption::Passphrase => self.bytes(b"passphrase"),
            Encryption::Keys(keys) => {
                for key in keys {
                    self.bytes(key.key.as_bytes());
                    self.numbers(&[key.hidden.into()]);
                }
            }
        }
        self.bytes(protection.sign_key.as_deref().unwrap_or_default().as_bytes());
    }

    fn change(&mut self, change: &Change) {
        match change {
            Change::Whole(source) => self.source(b"whole", source, None),
            Change::Delta(source, basis) => self.source(b"delta", source, Some(basis)),
            Change::Attributes(source, signature) => self.source(b"attributes", source, Some(signature)),
            Change::Deleted(path) => {
                self.bytes(b"deleted");
                self.bytes(path.as_bytes());
            }
        }
    }

    fn source(&mut self, how: &[u8], source: &SourceEntry, signature: Option<&[u8]>) {
        self.bytes(how);
        self.bytes(source.entry.path.as_bytes());
        self.numbers(&source.stamp.numbers());
        self.bytes(signature.unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::path::EntryPath;

    fn deleted(names: &[&str]) -> VolumePlan {
        let path = |name: &&str| EntryPath::from_bytes(name.as_bytes()).unwrap();
        let changes = names.iter().map(|name| Change::Deleted(path(name))).collect();
        VolumePlan { number: 1, contents: Contents::Entries(changes) }
    }

    #[test]
    fn what_differs_has_another_fingerprint() {
        let of = |names: &[&str]| fingerprint(&deleted(names), &Protection::none());
        assert_eq!(of(&["a", "b"]), of(&["a", "b"]));
        assert_ne!(of(&["a", "b"]), of(&["a"]));
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_ne!(of(&["a"]), fingerprint(&deleted(&["a"]), &Protection::passphrase()));
    }
}
