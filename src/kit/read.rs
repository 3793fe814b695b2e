//! A kit on its way back: pictures of its pages, the document itself, lines that were typed, and beside them
//! the ordinary files of exported keys. The only place that knows rxing and image.

use std::collections::BTreeSet;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use image::imageops::FilterType;
use image::{DynamicImage, ImageReader, Limits};
use rxing::common::HybridBinarizer;
use rxing::multi::MultipleBarcodeReader;
use rxing::qrcode::cpp_port::QrReader;
use rxing::{BarcodeFormat, BinaryBitmap, DecodeHints, Luma8LuminanceSource};

use super::codes::{Codes, Gap};
use super::lines::Lines;
use crate::engine::crypto::{KeyMaterial, read_key_file};
use crate::engine::error::Result;

/// A picture has at most that many pixels to a side, and takes at most that much memory.
const MAX_SIDE_PIXELS: u32 = 20_000;
const MAX_PICTURE_BYTES: u64 = 512 << 20;

/// Larger pictures are made smaller before they are read, in pixels of the longer side: on a page that fills one of that
/// size, a module of a code is a dozen pixels wide.
const LARGEST_SIDE: u32 = 8000;

/// In pixels of the longer side: up to which a picture is also read at twice its size, because it may be coarse, and
/// from which at half of it, because it may be blurred or have noise.
const COARSE_SIDE: u32 = 1400;
const FINE_SIDE: u32 = 2800;

/// The endings of pictures, in a folder that also holds others.
const PICTURE_ENDINGS: [&str; 4] = ["jpeg", "jpg", "pdf", "png"];

/// What was read so far.
#[derive(Default)]
pub struct KitReader {
    material: KeyMaterial,
    codes: Codes,
    lines: Lines,
    /// Pictures in which no code was found.
    without_codes: Vec<PathBuf>,
}

/// What is missing of a kit, or was no use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leftover {
    /// Parts of a key.
    Parts(Gap),
    /// Lines with a slip, and lines that are missing.
    Lines {
        /// The numbers of the lines with a slip.
        wrong: Vec<usize>,
        /// The numbers of the lines that are missing.
        missing: Vec<usize>,
    },
    /// A picture in which no code could be read.
    Picture(PathBuf),
}

impl KitReader {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing was found yet.
    pub fn is_empty(&self) -> bool {
        self.material.is_empty() && self.codes.is_empty() && self.lines.is_empty()
    }

    /// Forgets the keys that were no parts of a kit, and the pictures without codes.
    pub fn forget_files(&mut self) {
        self.material = KeyMaterial::new();
        self.without_codes.clear();
    }

    /// Reads a file of any kind that may hold a key, or if `path` is a folder all those in it.
    ///
    /// Fails with [`Error::KeyFileUnreadable`](crate::engine::Error::KeyFileUnreadable).
    pub fn add_path(&mut self, path: &Path) -> Result<()> {
        for file in crate::engine::crypto::key_files(path, &PICTURE_ENDINGS)? {
            self.add_file(&file)?;
        }
        Ok(())
    }

    fn add_file(&mut self, path: &Path) -> Result<()> {
        let bytes = read_key_file(path)?;
        if bytes.starts_with(b"%PDF-") {
            self.add_text(&String::from_utf8_lossy(&bytes));
        } else if image::guess_format(&bytes).is_ok() {
            if self.add_picture(&bytes) == 0 {
                self.without_codes.push(path.to_owned());
            }
        } else if std::str::from_utf8(&bytes).is_ok_and(|text| self.add_text(text)) {
            // Codes or lines as text.
        } else {
            self.material.add(bytes);
        }
        Ok(())
    }

    /// Reads what was typed or pasted: parts as a reader of codes shows them, lines, or an armoured key.
    /// Whether there was anything of the first two in it.
    pub fn add_text(&mut self, text: &str) -> bool {
        let before = (self.codes.found_count(), self.lines.is_empty());
        self.codes.add(text);
        self.lines.add(text);
        before != (self.codes.found_count(), self.lines.is_empty())
    }

    /// Adds a key as gpg exports it.
    pub fn add_key(&mut self, text: &str) {
        self.material.add(text.as_bytes().to_vec());
    }

    /// Reads the codes in a picture. Gives how many parts were in it.
    fn add_picture(&mut self, bytes: &[u8]) -> usize {
        let Some(picture) = decoded(bytes) else { return 0 };
        let mut found = 0;
        for text in texts(picture) {
            let mut own = Codes::default();
            found += own.add(&text);
            self.codes.add(&text);
        }
        found
    }

    /// What can be taken into a keyring: everything that is complete.
    pub fn material(&self) -> KeyMaterial {
        let mut material = self.material.clone();
        for key in self.codes.keys().into_iter().chain(self.lines.key()) {
            material.add(key.to_vec());
        }
        material
    }

    /// What is missing, or was no use.
    pub fn leftovers(&self) -> Vec<Leftover> {
        let mut leftovers: Vec<Leftover> = self.codes.gaps().into_iter().map(Leftover::Parts).collect();
        let (wrong, missing) = (self.lines.wrong().to_vec(), self.lines.missing());
        if !wrong.is_empty() || !missing.is_empty() {
            leftovers.push(Leftover::Lines { wrong, missing });
        }
        leftovers.extend(self.without_codes.iter().cloned().map(Leftover::Picture));
        leftovers
    }
}

fn decoded(bytes: &[u8]) -> Option<DynamicImage> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().ok()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE_PIXELS);
    limits.max_image_height = Some(MAX_SIDE_PIXELS);
    limits.max_alloc = Some(MAX_PICTURE_BYTES);
    reader.limits(limits);
    let picture = reader.decode().ok()?;
    let is_large = picture.width().max(picture.height()) > LARGEST_SIDE;
    let picture = if is_large { picture.thumbnail(LARGEST_SIDE, LARGEST_SIDE) } else { picture };
    Some(picture.into_luma8().into())
}

/// The texts of all codes in a picture.
fn texts(picture: DynamicImage) -> BTreeSet<String> {
    let (width, height) = (picture.width(), picture.height());
    let resized = match width.max(height) {
        ..=COARSE_SIDE => Some(picture.resize_exact(width * 2, height * 2, FilterType::CatmullRom)),
        FINE_SIDE.. => Some(picture.thumbnail(width / 2, height / 2)),
        _ => None,
    };
    [Some(picture), resized].into_iter().flatten().flat_map(texts_as_it_is).collect()
}

fn texts_as_it_is(picture: DynamicImage) -> BTreeSet<String> {
    let (width, height) = (picture.width(), picture.height());
    let Ok(source) = Luma8LuminanceSource::new(picture.into_luma8().into_raw(), width, height) else {
        return BTreeSet::new();
    };
    let hints = DecodeHints {
        PossibleFormats: Some([BarcodeFormat::QR_CODE].into()),
        TryHarder: Some(true),
        ..DecodeHints::default()
    };
    let mut bitmap = BinaryBitmap::new(HybridBinarizer::new(source));
    // Finding none is an error, too. Should a photograph be too much for the library, there is no code in it.
    let found = catch_unwind(AssertUnwindSafe(|| QrReader.decode_multiple_with_hints(&mut bitmap, &hints)));
    let found = found.ok().and_then(Result::ok).unwrap_or_default();
    found.iter().map(|code| code.getText().to_owned()).collect()
}
