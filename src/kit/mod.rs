//! The recovery kit: a secret key on paper, with all that is needed to restore from it when this computer,
//! and this program, are gone.
//!
//! The key stands in it three times: as codes that any reader of QR codes reads, as lines that can be typed,
//! and as an attachment of the document for as long as that is a file. It is locked with its passphrase,
//! which is not in the kit.

mod base32;
mod codes;
pub mod commands;
mod fonts;
mod keep;
mod lines;
mod paper;
mod read;

use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::engine::crypto::{Key, SecretKey, write_private};
use crate::engine::error::{Error, Result};
use crate::engine::storage::Address;
use crate::i18n::{gettext, gettext_f};
use fonts::{Fonts, Hand};
use paper::{Attachment, Paper};

pub use codes::{Codes, Gap};
pub use keep::{Keep, KeepRequest, Kept, keep, kit_path};
pub use lines::Lines;
pub use read::{KitReader, Leftover};

/// Where a command needs an address that the kit does not know.
const UNKNOWN_PLACE: &str = "file:///PLACE/OF/THE/BACKUP";

/// A kit to be made.
pub struct Kit<'a> {
    /// The key.
    pub key: &'a Key,
    /// Its secret part.
    pub secret: &'a SecretKey,
    /// The backups that it opens.
    pub places: &'a [KitPlace],
    /// When the kit is made.
    pub made: Timestamp,
}

/// A backup that the key opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KitPlace {
    /// What people call it; may be empty.
    pub name: String,
    /// Where it is.
    pub address: Address,
}

impl Kit<'_> {
    /// Writes the kit into a file that only its owner may read. Nothing is overwritten.
    ///
    /// Fails as [`Kit::pdf`] does, and with [`Error::KeyFileExists`] or [`Error::KeyFileUnwritable`].
    pub fn save(&self, path: &Path) -> Result<()> {
        write_private(path, &self.pdf()?)
    }

    /// The kit as a PDF document of A4 sheets.
    ///
    /// Fails with [`Error::Local`] if there is no font, or if the key is too large to be printed.
    pub fn pdf(&self) -> Result<Vec<u8>> {
        let parts = codes::cut(&self.key.fingerprint, self.secret.expose()).ok_or_else(|| Error::Local {
            action: "making the recovery kit",
            source: std::io::Error::other("the key is too large to be printed"),
        })?;
        let mut paper = Paper::new(Fonts::load()?);
        self.write_facts(&mut paper)?;
        self.write_ways(&mut paper);
        paper.turn();
        heading(&mut paper, &gettext("The Secret Key as Codes"));
        let id = codes::key_id(&self.key.fingerprint);
        let caption = |number: usize| {
            let (number, count) = (number.to_string(), parts.len().to_string());
            gettext_f(
                "Part {number} of {count} · Key {id}",
                &[("number", &number), ("count", &count), ("id", id)],
            )
        };
        let numbered: Vec<(&str, String)> =
            parts.iter().enumerate().map(|(index, part)| (part.as_str(), caption(index + 1))).collect();
        paper.codes(&numbered)?;
        self.write_lines(&mut paper);
        let title = gettext("Recovery Kit");
        let attached: String = parts.iter().map(|part| format!("{}\n", **part)).collect();
        let attachment = Attachment { name: "codes.txt".to_owned(), bytes: attached.into_bytes() };
        paper.finish(&title, attachment, |number, count| {
            let (number, count) = (number.to_string(), count.to_string());
            gettext_f(
                "Recovery kit · Key {id} · Page {number} of {count}",
                &[("id", id), ("number", &number), ("count", &count)],
            )
        })
    }

    fn write_facts(&self, paper: &mut Paper) -> Result<()> {
        let key = self.key;
        paper.text(Hand::Bold, 24.0, 0, &gettext("Recovery Kit"));
        let date = day(self.made);
        paper.text(Hand::Plain, 9.5, 90, &gettext_f("Made by Souvenir on {date}", &[("date", &date)]));
        paper.skip(8.0);
        let warning = if self.secret.is_locked()? {
            gettext(
                "Whoever has this paper and the passphrase of the key can open the backups. Keep it in a safe place \
                 away from your computer, and the passphrase somewhere else: it is not on this paper.",
            )
        } else {
            gettext(
                "This key has no passphrase. Whoever has this paper can open the backups. Keep it in a safe place \
                 away from your computer.",
            )
        };
        paper.panel(Hand::Plain, 9.5, &warning);
        paper.skip(4.0);
        for place in self.places {
            let address = place.address.to_string();
            if !place.name.is_empty() {
                paper.fact(&gettext("Backup"), Hand::Plain, &place.name);
            }
            paper.fact(&gettext("Destination"), Hand::Plain, &address);
        }
        paper.fact(&gettext("Key of"), Hand::Plain, &key.user_id);
        paper.fact(&gettext("Key ID"), Hand::Mono, codes::key_id(&key.fingerprint));
        paper.fact(&gettext("Fingerprint"), Hand::Mono, &grouped(&key.fingerprint));
        paper.fact(&gettext("Kind"), Hand::Plain, &key.algorithm);
        if let Some(created) = key.created {
            paper.fact(&gettext("Created"), Hand::Plain, &day(created));
        }
        if let Some(expires) = key.expires {
            let text = gettext_f("{date}; restoring works after that, too", &[("date", &day(expires))]);
            paper.fact(&gettext("Expires"), Hand::Plain, &text);
        }
        Ok(())
    }

    /// How to restore, with this program and without.
    fn write_ways(&self, paper: &mut Paper) {
        heading(paper, &gettext("Restore With Souvenir"));
        paper.text(
            Hand::Plain,
            9.5,
            0,
            &gettext(
                "Choose “Restore From a Backup”, then “Import a Key”. Take pictures of the pages with codes and \
                 choose the picture files. Then open the destination.",
            ),
        );
        heading(paper, &gettext("Restore Without Souvenir"));
        paper.text(
            Hand::Plain,
            9.5,
            0,
            &gettext(
                "Every Linux system has the programs zbarimg, gpg and duplicity to install. Put the pictures of the pages \
                 with codes into an empty folder, as PNG files, open a terminal there and type:",
            ),
        );
        paper.skip(3.0);
        let fingerprint = &self.key.fingerprint;
        command(paper, &format!("{}\n{}", commands::IMPORT_PICTURES, commands::trust(fingerprint)));
        paper.text(Hand::Plain, 9.5, 0, &gettext("See which backups there are, and bring everything back:"));
        paper.skip(3.0);
        let unknown = [UNKNOWN_PLACE.to_owned()];
        let known: Vec<String> = self.places.iter().map(|place| commands::place(&place.address)).collect();
        let places: &[String] = if known.is_empty() { &unknown } else { &known };
        for place in places {
            command(paper, &format!("{}\n{}", commands::status(place), commands::restore(place)));
        }
        paper.text(
            Hand::Plain,
            9.5,
            0,
            &gettext(
                "If the drive or the server has another address by now, use that one. Only one file or folder, as it \
                 was three days ago:",
            ),
        );
        paper.skip(3.0);
        command(paper, &commands::restore_one(&places[0]));
        paper.text(
            Hand::Plain,
            9.5,
            0,
            &gettext("Where this document is still there as a file, the codes are attached to it:"),
        );
        paper.skip(3.0);
        command(paper, &format!("{}\n{}", commands::DETACH, commands::IMPORT_CODES));
        paper.text(
            Hand::Plain,
            9.5,
            0,
            &gettext("Without duplicity, each volume of the backup is a sealed tar archive:"),
        );
        paper.skip(3.0);
        command(paper, commands::LOOK);
    }

    fn write_lines(&self, paper: &mut Paper) {
        paper.turn();
        heading(paper, &gettext("The Secret Key to Type"));
        paper.text(
            Hand::Plain,
            9.5,
            0,
            &gettext(
                "Only if no code can be read. Souvenir takes these lines where it imports a key, and tells in which of \
                 them there is a slip. Without Souvenir, type them into the file key.txt, and then:",
            ),
        );
        paper.skip(3.0);
        command(paper, commands::IMPORT_LINES);
        for line in lines::print(self.secret.expose()) {
            paper.text(Hand::Mono, 7.8, 0, &line);
        }
    }
}

fn heading(paper: &mut Paper, text: &str) {
    paper.skip(14.0);
    paper.need(60.0);
    paper.text(Hand::Bold, 13.0, 0, text);
    paper.skip(3.0);
}

fn command(paper: &mut Paper, text: &str) {
    paper.panel(Hand::Mono, 8.2, text);
}

/// A fingerprint as people compare it.
fn grouped(fingerprint: &str) -> String {
    let groups: Vec<&str> =
        fingerprint.as_bytes().chunks(4).filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(" ")
}

/// The date in the one way of writing that every country reads alike.
fn day(time: Timestamp) -> String {
    time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d").to_string()
}
