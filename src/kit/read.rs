//! A kit on its way back: pictures of its pages, the document itself, lines that were typed, and beside them
//! the ordinary files of exported keys. The only place that knows rqrr and image.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::imageops::FilterType;
use image::{DynamicImage, GrayImage, ImageReader, Limits};
use rqrr::PreparedImage;

use super::codes::{Codes, Gap};
use super::lines::Lines;
use super::regions::{Region, regions};
use crate::engine::crypto::{KeyMaterial, read_key_file};
use crate::engine::error::Result;

/// A picture has at most that many pixels to a side, and takes at most that much memory.
const MAX_SIDE_PIXELS: u32 = 20_000;
const MAX_PICTURE_BYTES: u64 = 512 << 20;

/// How many times as large, in halves, a code is tried to be read. Each size succeeds with most codes of a page
/// of 100 dots to the inch, with which ones is chance; so there are many.
const ENLARGED_HALVES: [u32; 3] = [7, 5, 9];

/// The sizes in pixels in which it is tried after that.
const SIDES: [u32; 6] = [500, 700, 900, 1100, 1300, 1600];

/// No code is made larger than that many pixels to a side, nor than that many times its size.
const LARGEST_TRIED_SIDE: u32 = 2000;
const LARGEST_ENLARGEMENT: u32 = 5;

/// The size of a picture in which no place of a code is known.
const LARGEST_SIDE: u32 = 1600;

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
        for text in texts(&picture) {
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

fn decoded(bytes: &[u8]) -> Option<GrayImage> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().ok()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE_PIXELS);
    limits.max_image_height = Some(MAX_SIDE_PIXELS);
    limits.max_alloc = Some(MAX_PICTURE_BYTES);
    reader.limits(limits);
    reader.decode().ok().map(|picture: DynamicImage| picture.to_luma8())
}

/// The texts of all codes in a picture.
fn texts(picture: &GrayImage) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    let mut read: Vec<Region> = Vec::new();
    for region in regions(picture) {
        if read.iter().any(|other| other.is_about(&region)) {
            continue;
        }
        let Region { x, y, width, height } = region;
        if let Some(text) = read_one(&image::imageops::crop_imm(picture, x, y, width, height).to_image()) {
            texts.push(text);
            read.push(region);
        }
    }
    if texts.is_empty() {
        texts.extend(read_as_it_is(limited(picture)));
    }
    texts
}

/// The text of the code in a picture of it. Where a photograph is too coarse or has noise, it may be read when it
/// is made larger or smaller.
fn read_one(picture: &GrayImage) -> Option<String> {
    let longest = picture.width().max(picture.height()).max(1);
    let enlarged = ENLARGED_HALVES.map(|halves| longest.saturating_mul(halves) / 2);
    let is_tried =
        |side: &u32| *side <= LARGEST_TRIED_SIDE && *side <= longest.saturating_mul(LARGEST_ENLARGEMENT);
    let sides = enlarged.into_iter().chain(SIDES).filter(is_tried);
    std::iter::once(longest).chain(sides).find_map(|side| {
        read_as_it_is(if side == longest { picture.clone() } else { resized(picture, side) })
    })
}

fn read_as_it_is(picture: GrayImage) -> Option<String> {
    let mut prepared = PreparedImage::prepare(picture);
    prepared.detect_grids().iter().find_map(|grid| grid.decode().ok()).map(|(_, text)| text)
}

/// A picture that is not larger than a reader needs.
fn limited(picture: &GrayImage) -> GrayImage {
    if picture.width().max(picture.height()) > LARGEST_SIDE {
        resized(picture, LARGEST_SIDE)
    } else {
        picture.clone()
    }
}

fn resized(picture: &GrayImage, side: u32) -> GrayImage {
    let longest = picture.width().max(picture.height()).max(1);
    let scaled = |length: u32| (u64::from(length) * u64::from(side) / u64::from(longest)).max(1) as u32;
    let (width, height) = (scaled(picture.width()), scaled(picture.height()));
    let picture = DynamicImage::ImageLuma8(picture.clone());
    let resized = if side < longest {
        picture.thumbnail_exact(width, height)
    } else {
        picture.resize_exact(width, height, FilterType::CatmullRom)
    };
    resized.into_luma8()
}
