//! The fonts of this computer, so that every name and every language can be printed. The only place that
//! knows fontdb.

use std::io;

use fontdb::{Database, Family, ID, Query, Style, Weight};
use krilla::text::Font;
use ttf_parser::Face;

use crate::engine::error::{Error, Result};

/// Families that read well on paper and know many scripts. Where none is there, any other is taken.
const SANS: [&str; 5] = ["DejaVu Sans", "Noto Sans", "Liberation Sans", "Adwaita Sans", "Cantarell"];
const MONO: [&str; 4] = ["DejaVu Sans Mono", "Noto Sans Mono", "Liberation Mono", "Adwaita Mono"];

/// How a text is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hand {
    Plain,
    Bold,
    Mono,
}

/// The fonts in use.
pub(super) struct Fonts {
    database: Database,
    plain: ID,
    bold: ID,
    mono: ID,
}

impl Fonts {
    /// Looks for them.
    ///
    /// Fails if this computer has none.
    pub(super) fn load() -> Result<Self> {
        let mut database = Database::new();
        database.load_system_fonts();
        Self::from_database(database)
    }

    fn from_database(database: Database) -> Result<Self> {
        let find = |names: &[&str], fallback: Family<'_>, weight: Weight| {
            let families: Vec<Family<'_>> =
                names.iter().map(|name| Family::Name(name)).chain([fallback]).collect();
            let query = Query { families: &families, weight, style: Style::Normal, ..Query::default() };
            let found = database.query(&query).filter(|id| Self::is_usable(&database, *id));
            found.or_else(|| {
                let mut upright = database.faces().filter(|face| face.style == Style::Normal);
                upright.find(|face| Self::is_usable(&database, face.id)).map(|face| face.id)
            })
        };
        let fonts = find(&SANS, Family::SansSerif, Weight::NORMAL)
            .zip(find(&SANS, Family::SansSerif, Weight::BOLD))
            .zip(find(&MONO, Family::Monospace, Weight::NORMAL));
        match fonts {
            Some(((plain, bold), mono)) => Ok(Self { plain, bold, mono, database }),
            None => {
                let reason = "this computer has no font to print with; install one, such as the package fonts-dejavu-core";
                Err(Error::Local {
                    action: "making the recovery kit",
                    source: io::Error::new(io::ErrorKind::NotFound, reason),
                })
            }
        }
    }

    fn is_usable(database: &Database, id: ID) -> bool {
        Self::covers(database, id, "Aa0")
    }

    fn covers(database: &Database, id: ID, text: &str) -> bool {
        let covers = |bytes: &[u8], index| {
            Face::parse(bytes, index)
                .is_ok_and(|face| text.chars().all(|character| face.glyph_index(character).is_some()))
        };
        database.with_face_data(id, covers).unwrap_or(false)
    }

    fn usual(&self, hand: Hand) -> ID {
        match hand {
            Hand::Plain => self.plain,
            Hand::Bold => self.bold,
            Hand::Mono => self.mono,
        }
    }

    /// The text in pieces, each with the font that has its characters: the usual one wherever it does.
    pub(super) fn pieces<'a>(&self, hand: Hand, text: &'a str) -> Vec<(ID, &'a str)> {
        let usual = self.usual(hand);
        if Self::covers(&self.database, usual, text) {
            return vec![(usual, text)];
        }
        let mut pieces: Vec<(ID, usize)> = Vec::new();
        for (start, character) in text.char_indices() {
            let last = pieces.last().map_or(usual, |(id, _)| *id);
            let mut buffer = [0; 4];
            let font = self.font_for(usual, last, character.encode_utf8(&mut buffer));
            if pieces.is_empty() || font != last {
                pieces.push((font, start));
            }
        }
        let ends = pieces.iter().skip(1).map(|(_, start)| *start).chain([text.len()]);
        pieces.iter().zip(ends).map(|((font, start), end)| (*font, &text[*start..end])).collect()
    }

    fn font_for(&self, usual: ID, last: ID, character: &str) -> ID {
        let has = |id: &ID| Self::covers(&self.database, *id, character);
        let others = || self.database.faces().map(|face| face.id);
        // A character that no font has is an empty box, as everywhere.
        [usual, last].into_iter().find(has).or_else(|| others().find(has)).unwrap_or(usual)
    }

    /// The width of a text in points.
    pub(super) fn width(&self, hand: Hand, size: f32, text: &str) -> f32 {
        self.pieces(hand, text).into_iter().map(|(font, piece)| self.piece_width(font, size, piece)).sum()
    }

    /// The width of a piece in points. Kerning is left out: it makes a line shorter, if anything.
    pub(super) fn piece_width(&self, font: ID, size: f32, piece: &str) -> f32 {
        let width = |bytes: &[u8], index| {
            let face = Face::parse(bytes, index).ok()?;
            let advance = |character| face.glyph_hor_advance(face.glyph_index(character)?);
            let units: f32 = piece.chars().filter_map(advance).map(f32::from).sum();
            Some(units * size / f32::from(face.units_per_em()))
        };
        self.database.with_face_data(font, width).flatten().unwrap_or(0.0)
    }

    /// The font for the document.
    pub(super) fn font(&self, font: ID) -> Option<Font> {
        let read = |bytes: &[u8], index| Font::new(bytes.to_vec().into(), index);
        self.database.with_face_data(font, read).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_font_the_error_says_what_to_do() {
        let error = Fonts::from_database(Database::new()).err().unwrap().to_string();
        assert!(error.contains("install one"), "{error}");
    }

    #[test]
    fn a_longer_text_is_wider_and_nothing_of_it_is_lost() {
        let fonts = Fonts::load().unwrap();
        for hand in [Hand::Plain, Hand::Bold, Hand::Mono] {
            assert!(fonts.width(hand, 10.0, "Recovery") > fonts.width(hand, 10.0, "Rec"));
            let text = "Zoë Пётр \u{1f512} 山田";
            let pieces: String = fonts.pieces(hand, text).into_iter().map(|(_, piece)| piece).collect();
            assert_eq!(pieces, text);
        }
        assert_eq!(fonts.width(Hand::Mono, 10.0, "iiii"), fonts.width(Hand::Mono, 10.0, "MMMM"));
    }
}
