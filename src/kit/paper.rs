//! Sheets of paper on which lines and codes are set one below the other, and the PDF that they become. The
//! only place that draws with krilla.

use std::collections::HashMap;
use std::io;

use fontdb::ID;
use krilla::Document;
use krilla::color::luma;
use krilla::embed::{AssociationKind, EmbeddedFile};
use krilla::geom::{PathBuilder, Point, Rect};
use krilla::metadata::Metadata;
use krilla::num::NormalizedF32;
use krilla::page::PageSettings;
use krilla::paint::Fill;
use krilla::text::{Font, TextDirection};
use qrcode::{Color, QrCode};

use super::fonts::{Fonts, Hand};
use crate::engine::error::{Error, Result};

/// A4 in points.
const WIDTH: f32 = 595.276;
const HEIGHT: f32 = 841.89;
const MARGIN: f32 = 54.0;

/// White around a code, in modules (ISO 18004 asks for four).
const QUIET_MODULES: f32 = 4.0;

/// Below the margin there is still the line with the number of the page.
const FOOT: f32 = HEIGHT - 34.0;

enum Mark {
    Text { x: f32, baseline: f32, font: ID, size: f32, grey: u8, text: String },
    Box { x: f32, y: f32, width: f32, height: f32, grey: u8 },
    Code { x: f32, y: f32, size: f32, code: Box<QrCode> },
}

/// A file inside the document.
pub(super) struct Attachment {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

/// The sheets.
pub(super) struct Paper {
    fonts: Fonts,
    /// The sheets that are finished.
    pages: Vec<Vec<Mark>>,
    /// The one that is written on.
    page: Vec<Mark>,
    /// How far down that is used.
    y: f32,
}

impl Paper {
    pub(super) fn new(fonts: Fonts) -> Self {
        Self { fonts, pages: Vec::new(), page: Vec::new(), y: MARGIN }
    }

    /// The space between the margins.
    pub(super) fn width(&self) -> f32 {
        WIDTH - 2.0 * MARGIN
    }

    /// Leaves some space, unless that would be at the top of a sheet.
    pub(super) fn skip(&mut self, height: f32) {
        if self.y > MARGIN {
            self.y += height;
        }
    }

    /// Begins a new sheet.
    pub(super) fn turn(&mut self) {
        self.pages.push(std::mem::take(&mut self.page));
        self.y = MARGIN;
    }

    /// Begins a new sheet unless there is still that much space on this one.
    pub(super) fn need(&mut self, height: f32) {
        if self.y + height > HEIGHT - MARGIN {
            self.turn();
        }
    }

    /// A text over the whole width, in as many lines as it takes.
    pub(super) fn text(&mut self, hand: Hand, size: f32, grey: u8, text: &str) {
        self.column(0.0, self.width(), hand, size, grey, text);
    }

    /// A text that begins `indent` to the right of the margin.
    pub(super) fn column(&mut self, indent: f32, width: f32, hand: Hand, size: f32, grey: u8, text: &str) {
        let height = size * 1.4;
        for line in self.broken(hand, size, width, text) {
            self.need(height);
            self.put(MARGIN + indent, self.y + size, hand, size, grey, &line);
            self.y += height;
        }
    }

    /// A name and what it stands for, side by side.
    pub(super) fn fact(&mut self, name: &str, hand: Hand, value: &str) {
        const NAME_WIDTH: f32 = 118.0;
        const SIZE: f32 = 9.5;
        self.need(SIZE * 1.4);
        let top = self.y;
        self.put(MARGIN, top + SIZE, Hand::Plain, SIZE, 90, name);
        self.column(NAME_WIDTH, self.width() - NAME_WIDTH, hand, SIZE, 0, value);
        self.y += 1.5;
    }

    /// Texts on a grey ground, each line as it is if it fits.
    pub(super) fn panel(&mut self, hand: Hand, size: f32, text: &str) {
        const INSIDE: f32 = 7.0;
        let lines = self.broken(hand, size, self.width() - 2.0 * INSIDE, text);
        let height = lines.len() as f32 * size * 1.4 + 2.0 * INSIDE - size * 0.3;
        self.need(height);
        let (width, y) = (self.width(), self.y);
        self.page.push(Mark::Box { x: MARGIN, y, width, height, grey: 238 });
        let mut baseline = y + INSIDE + size;
        for line in lines {
            self.put(MARGIN + INSIDE, baseline, hand, size, 0, &line);
            baseline += size * 1.4;
        }
        self.y = y + height + 6.0;
    }

    /// Codes with a word below each, in rows.
    ///
    /// Fails if a text does not fit a code.
    pub(super) fn codes(&mut self, codes: &[(&str, String)]) -> Result<()> {
        const COLUMNS: usize = 2;
        const GAP: f32 = 18.0;
        const CAPTION: f32 = 16.0;
        // Three rows fit below a heading. The largest code then has modules of three quarters of a millimetre.
        let size = 190.0;
        let step = self.width() / COLUMNS as f32;
        for row in codes.chunks(COLUMNS) {
            self.need(size + CAPTION);
            let y = self.y;
            for (column, (text, caption)) in row.iter().enumerate() {
                let code = QrCode::with_error_correction_level(text.as_bytes(), qrcode::EcLevel::Q)
                    .map_err(|error| failed(error.to_string()))?;
                let x = MARGIN + step * column as f32 + (step - size) / 2.0;
                self.page.push(Mark::Code { x, y, size, code: Box::new(code) });
                let indent = (size - self.fonts.width(Hand::Plain, 9.0, caption)) / 2.0;
                self.put(x + indent, y + size + 11.0, Hand::Plain, 9.0, 0, caption);
            }
            self.y = y + size + CAPTION + GAP;
        }
        Ok(())
    }

    fn put(&mut self, x: f32, baseline: f32, hand: Hand, size: f32, grey: u8, text: &str) {
        let marks = self.marks(x, baseline, hand, size, grey, text);
        self.page.extend(marks);
    }

    fn marks(&self, x: f32, baseline: f32, hand: Hand, size: f32, grey: u8, text: &str) -> Vec<Mark> {
        let mut x = x;
        let mut marks = Vec::new();
        for (font, piece) in self.fonts.pieces(hand, text) {
            marks.push(Mark::Text { x, baseline, font, size, grey, text: piece.to_owned() });
            x += self.fonts.piece_width(font, size, piece);
        }
        marks
    }

    /// The text in lines that fit: broken at spaces, and where a word is too long, in the word.
    fn broken(&self, hand: Hand, size: f32, width: f32, text: &str) -> Vec<String> {
        let fits = |line: &str| self.fonts.width(hand, size, line) <= width;
        let mut lines = Vec::new();
        for paragraph in text.split('\n') {
            let mut line = String::new();
            for word in paragraph.split_inclusive(' ') {
                if !line.is_empty() && !fits(&format!("{line}{}", word.trim_end())) {
                    lines.push(std::mem::take(&mut line));
                }
                for character in word.chars() {
                    line.push(character);
                    if character != ' ' && !fits(&line) && line.chars().count() > 1 {
                        line.pop();
                        lines.push(std::mem::take(&mut line));
                        line.push(character);
                    }
                }
            }
            lines.push(line);
        }
        lines
    }

    /// The document. `foot` is a line for each sheet, by its number.
    pub(super) fn finish(
        mut self,
        title: &str,
        attachment: Attachment,
        foot: impl Fn(usize, usize) -> String,
    ) -> Result<Vec<u8>> {
        self.turn();
        let count = self.pages.len();
        for number in 1..=count {
            let text = foot(number, count);
            let x = WIDTH - MARGIN - self.fonts.width(Hand::Plain, 8.0, &text);
            let marks = self.marks(x, FOOT, Hand::Plain, 8.0, 110, &text);
            self.pages[number - 1].extend(marks);
        }
        let mut document = Document::new();
        let creator = format!("Souvenir {}", crate::config::VERSION);
        document.set_metadata(Metadata::new().title(title.to_owned()).creator(creator));
        document.embed_file(EmbeddedFile {
            path: attachment.name,
            mime_type: None,
            description: None,
            association_kind: AssociationKind::Data,
            data: attachment.bytes.into(),
            modification_date: None,
            // As it is, so that the codes are found in the file without a reader of PDF.
            compress: Some(false),
            location: None,
        });
        let mut fonts = HashMap::new();
        for marks in &self.pages {
            let settings = PageSettings::from_wh(WIDTH, HEIGHT)
                .ok_or_else(|| failed("a sheet has no size".to_owned()))?;
            let mut page = document.start_page_with(settings);
            let mut surface = page.surface();
            for mark in marks {
                draw(&mut surface, mark, |id| {
                    fonts.entry(id).or_insert_with(|| self.fonts.font(id)).clone()
                })?;
            }
            surface.finish();
            page.finish();
        }
        document.finish().map_err(|error| failed(format!("{error:?}")))
    }
}

fn draw(
    surface: &mut krilla::surface::Surface<'_>,
    mark: &Mark,
    mut font_of: impl FnMut(ID) -> Option<Font>,
) -> Result<()> {
    let mut path = PathBuilder::new();
    let mut add = |x: f32, y: f32, width: f32, height: f32| {
        if let Some(rect) = Rect::from_xywh(x, y, width, height) {
            path.push_rect(rect);
        }
    };
    let grey = match mark {
        Mark::Text { x, baseline, font, size, grey, text } => {
            let font = font_of(*font).ok_or_else(|| failed("a font cannot be used".to_owned()))?;
            surface.set_fill(Some(fill(*grey)));
            surface.draw_text(Point::from_xy(*x, *baseline), font, *size, text, false, TextDirection::Auto);
            return Ok(());
        }
        Mark::Box { x, y, width, height, grey } => {
            add(*x, *y, *width, *height);
            *grey
        }
        Mark::Code { x, y, size, code } => {
            let width = code.width();
            let module = size / (width as f32 + 2.0 * QUIET_MODULES);
            for (row, colors) in code.to_colors().chunks(width).enumerate() {
                // A run of dark modules is one rectangle, without seams.
                let mut column = 0;
                while column < width {
                    let run = colors[column..].iter().take_while(|color| **color == Color::Dark).count();
                    let at = |count: usize| (count as f32 + QUIET_MODULES) * module;
                    if run > 0 {
                        add(x + at(column), y + at(row), run as f32 * module, module);
                    }
                    column += run.max(1);
                }
            }
            0
        }
    };
    if let Some(path) = path.finish() {
        surface.set_fill(Some(fill(grey)));
        surface.draw_path(&path);
    }
    Ok(())
}

fn fill(grey: u8) -> Fill {
    Fill { paint: luma::Color::new(grey).into(), opacity: NormalizedF32::ONE, rule: Default::default() }
}

fn failed(reason: String) -> Error {
    Error::Local { action: "making the recovery kit", source: io::Error::other(reason) }
}
