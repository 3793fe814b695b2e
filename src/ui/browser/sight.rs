//! What a version of a file looks like: its contents, read into memory by the engine and made into a text or
//! a picture on the job's thread.

use gtk::gdk;
use gtk::gdk_pixbuf::PixbufLoader;
use gtk::gdk_pixbuf::prelude::*;

use crate::engine::crypto::{Keyring, Passphrases};
use crate::engine::error::Result;
use crate::engine::format::time::SetTime;
use crate::engine::job::Job;
use crate::engine::path::EntryPath;
use crate::engine::restore::{ReadRequest, read_file};
use crate::plan::Access;
use crate::ui::model::Repository;

/// The largest file that is looked into, in bytes.
pub const MOST_BYTES: u64 = 4 << 20;

/// So much of a text is shown: a text view lays out every line at once.
const SHOWN_LINES: usize = 400;
const SHOWN_COLUMNS: usize = 400;

/// Pictures are made no wider and higher than this, in pixels.
const SHOWN_PIXELS: i32 = 720;

/// Pictures with more pixels are not opened: unpacked they would fill the memory.
const MOST_PIXELS: i64 = 60_000_000;

/// What is seen of a file.
#[derive(Debug)]
pub enum Sight {
    /// The beginning of a text.
    Text(String),
    /// A picture.
    Picture(Pixels),
    /// Neither of them.
    Nothing,
    /// It is larger than [`MOST_BYTES`].
    TooLarge,
}

/// A picture, unpacked.
#[derive(Debug, Clone)]
pub struct Pixels {
    size: (i32, i32),
    stride: usize,
    has_alpha: bool,
    bytes: glib::Bytes,
}

impl Pixels {
    /// What is drawn. Textures are for the main loop; making one of these copies nothing.
    pub fn texture(&self) -> gdk::Texture {
        let format = if self.has_alpha { gdk::MemoryFormat::R8g8b8a8 } else { gdk::MemoryFormat::R8g8b8 };
        let (width, height) = self.size;
        gdk::MemoryTexture::new(width, height, format, &self.bytes, self.stride).upcast()
    }
}

/// A version of a file.
#[derive(Debug, Clone)]
pub struct Version {
    access: Access,
    sign_key: Option<String>,
    /// The snapshot.
    pub time: SetTime,
    /// The file.
    pub path: EntryPath,
}

impl Version {
    /// The file in a snapshot.
    pub fn new(repository: &Repository, time: SetTime, path: EntryPath) -> Self {
        let (access, sign_key) = (repository.access().clone(), repository.sign_key(time));
        Self { access, sign_key: sign_key.map(str::to_owned), time, path }
    }

    /// What is in it; none if that is more than [`MOST_BYTES`].
    pub fn read(&self, keyring: &Keyring, passphrases: &Passphrases, job: &Job) -> Result<Option<Vec<u8>>> {
        let storage = self.access.open(job)?;
        let request = ReadRequest {
            storage: &*storage,
            keyring,
            passphrases,
            sign_key: self.sign_key.as_deref(),
            time: Some(self.time),
            path: self.path.clone(),
            limit_bytes: MOST_BYTES,
        };
        Ok(read_file(&request, job)?.bytes)
    }

    /// Looks at it.
    pub fn look(&self, keyring: &Keyring, passphrases: &Passphrases, job: &Job) -> Result<Sight> {
        Ok(match self.read(keyring, passphrases, job)? {
            Some(bytes) => sight_of(&bytes, self.path.file_name()),
            None => Sight::TooLarge,
        })
    }
}

fn sight_of(bytes: &[u8], name: &[u8]) -> Sight {
    if is_picture(bytes, name) {
        return picture(bytes).map_or(Sight::Nothing, Sight::Picture);
    }
    match as_text(bytes) {
        Some(text) => Sight::Text(beginning(text)),
        None => Sight::Nothing,
    }
}

/// The text that bytes are, if they are one.
pub fn as_text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let is_odd =
        |letter: char| letter.is_control() && !matches!(letter, '\n' | '\r' | '\t' | '\x0c' | '\x1b');
    (!text.chars().take(10_000).any(is_odd)).then_some(text)
}

fn beginning(text: &str) -> String {
    let mut shown = String::new();
    let mut lines = text.lines();
    for line in lines.by_ref().take(SHOWN_LINES) {
        shown.extend(line.chars().take(SHOWN_COLUMNS));
        if line.chars().nth(SHOWN_COLUMNS).is_some() {
            shown.push('…');
        }
        shown.push('\n');
    }
    if lines.next().is_some() {
        shown.push('…');
    }
    shown
}

fn is_picture(bytes: &[u8], name: &[u8]) -> bool {
    let starts: [&[u8]; 7] = [b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*", b"BM", b"\0\0\x01\0"];
    let is_web = bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP");
    let is_drawing = name.to_ascii_lowercase().ends_with(b".svg");
    is_web || is_drawing || starts.iter().any(|start| bytes.starts_with(start))
}

/// Unpacks a picture in the size in which it is shown.
fn picture(bytes: &[u8]) -> Option<Pixels> {
    let loader = PixbufLoader::new();
    let is_too_large = std::rc::Rc::new(std::cell::Cell::new(false));
    let too_large = is_too_large.clone();
    loader.connect_size_prepared(move |loader, width, height| {
        too_large.set(i64::from(width) * i64::from(height) > MOST_PIXELS);
        let longest = width.max(height);
        if longest > SHOWN_PIXELS {
            let scaled = |length: i32| {
                let length = i64::from(length) * i64::from(SHOWN_PIXELS) / i64::from(longest);
                i32::try_from(length).unwrap_or(1).max(1)
            };
            loader.set_size(scaled(width), scaled(height));
        }
    });
    let mut loaded = Ok(());
    for chunk in bytes.chunks(16 * 1024) {
        loaded = loader.write(chunk);
        if loaded.is_err() || is_too_large.get() {
            break;
        }
    }
    // A loader has to be closed, also where nothing came of it.
    let closed = loader.close();
    if is_too_large.get() {
        return None;
    }
    loaded.and(closed).ok()?;
    let pixbuf = loader.pixbuf()?;
    let pixbuf = pixbuf.apply_embedded_orientation().unwrap_or(pixbuf);
    Some(Pixels {
        size: (pixbuf.width(), pixbuf.height()),
        stride: usize::try_from(pixbuf.rowstride()).ok()?,
        has_alpha: pixbuf.has_alpha(),
        bytes: pixbuf.read_pixel_bytes(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_told_from_other_files() {
        assert!(as_text("Grüße\r\n\tan alle".as_bytes()).is_some());
        assert!(as_text(b"").is_some());
        assert!(as_text(b"\0\0\0").is_none());
        assert!(as_text(b"\xff\xfe").is_none());
        assert_eq!(beginning("a\nb"), "a\nb\n");
        let long = "x".repeat(1_000);
        assert!(beginning(&long).ends_with("…\n"));
        assert!(beginning(&"line\n".repeat(1_000)).ends_with("line\n…"));
        assert!(matches!(sight_of(b"\x89PNG but nothing more", b"a.png"), Sight::Nothing));
    }
}
