//! Where in a picture codes may be.
//!
//! A reader of codes looks for their corner marks, and on a page with several codes and much text it finds so
//! many that it takes long and mixes them up. A code is however easily told from text from afar: it is about
//! half dark everywhere, while text is mostly white.

use std::collections::VecDeque;

use image::GrayImage;

/// A part of a picture, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) x: u32,
    pub(super) y: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

impl Region {
    /// Whether the middle of one lies in the other.
    pub(super) fn is_about(&self, other: &Self) -> bool {
        let (x, y) = (other.x + other.width / 2, other.y + other.height / 2);
        (self.x..self.x + self.width).contains(&x) && (self.y..self.y + self.height).contains(&y)
    }
}

/// Into how many cells the longer side of a picture is cut: small ones for whole pages, large ones for
/// codes that fill the picture.
const CELL_COUNTS: [u32; 2] = [80, 32];

/// The least difference between the brightest and the darkest pixel of a cell with a piece of a code.
const MIN_CONTRAST: u8 = 60;

/// Of a cell with a piece of a code that much is dark, in percent.
const DARK_PERCENT: std::ops::RangeInclusive<u64> = 24..=80;

/// A code is at least that many cells wide.
const MIN_CELLS: u32 = 4;

/// The regions of a picture that look like codes.
pub(super) fn regions(picture: &GrayImage) -> Vec<Region> {
    let longest = picture.width().max(picture.height());
    let mut regions = Vec::new();
    for count in CELL_COUNTS {
        let cell = (longest / count).max(4);
        let grid = Grid::of(picture, cell);
        for blob in grid.blobs() {
            let region = blob.region(cell, picture);
            if !regions.contains(&region) {
                regions.push(region);
            }
        }
    }
    regions
}

/// Which cells of a picture look like pieces of codes.
struct Grid {
    columns: u32,
    rows: u32,
    marked: Vec<bool>,
}

/// Cells that hang together, by their outermost ones.
struct Blob {
    left: u32,
    top: u32,
    right: u32,
    bottom: u32,
    cells: u32,
}

impl Grid {
    fn of(picture: &GrayImage, cell: u32) -> Self {
        let (columns, rows) = (picture.width() / cell, picture.height() / cell);
        let mut marked = Vec::with_capacity((columns * rows) as usize);
        for row in 0..rows {
            for column in 0..columns {
                marked.push(is_mixed(picture, column * cell, row * cell, cell));
            }
        }
        Self { columns, rows, marked }
    }

    fn is_marked(&self, column: u32, row: u32) -> bool {
        self.marked[(row * self.columns + column) as usize]
    }

    fn blobs(&self) -> Vec<Blob> {
        let mut seen = vec![false; self.marked.len()];
        let mut blobs = Vec::new();
        for row in 0..self.rows {
            for column in 0..self.columns {
                if self.is_marked(column, row) && !seen[(row * self.columns + column) as usize] {
                    let blob = self.blob(column, row, &mut seen);
                    if blob.is_like_a_code() {
                        blobs.push(blob);
                    }
                }
            }
        }
        blobs
    }

    fn blob(&self, column: u32, row: u32, seen: &mut [bool]) -> Blob {
        let mut blob = Blob { left: column, top: row, right: column, bottom: row, cells: 0 };
        let mut next = VecDeque::from([(column, row)]);
        seen[(row * self.columns + column) as usize] = true;
        while let Some((column, row)) = next.pop_front() {
            blob.left = blob.left.min(column);
            blob.right = blob.right.max(column);
            blob.top = blob.top.min(row);
            blob.bottom = blob.bottom.max(row);
            blob.cells += 1;
            let around = [
                (column.wrapping_sub(1), row),
                (column + 1, row),
                (column, row.wrapping_sub(1)),
                (column, row + 1),
            ];
            for (column, row) in around {
                if column < self.columns && row < self.rows && self.is_marked(column, row) {
                    let place = &mut seen[(row * self.columns + column) as usize];
                    if !std::mem::replace(place, true) {
                        next.push_back((column, row));
                    }
                }
            }
        }
        blob
    }
}

impl Blob {
    /// About as wide as high, and with few holes. A page that was photographed askew gives a diamond.
    fn is_like_a_code(&self) -> bool {
        let (width, height) = (self.right - self.left + 1, self.bottom - self.top + 1);
        let (short, long) = (width.min(height), width.max(height));
        short >= MIN_CELLS && long * 2 <= short * 3 && self.cells * 5 >= width * height * 2
    }

    /// The region with some space around it: a code needs white at its edges.
    fn region(&self, cell: u32, picture: &GrayImage) -> Region {
        let margin = cell + cell / 2;
        let (left, top) =
            ((self.left * cell).saturating_sub(margin), (self.top * cell).saturating_sub(margin));
        let right = ((self.right + 1) * cell + margin).min(picture.width());
        let bottom = ((self.bottom + 1) * cell + margin).min(picture.height());
        Region { x: left, y: top, width: right - left, height: bottom - top }
    }
}

fn is_mixed(picture: &GrayImage, x: u32, y: u32, cell: u32) -> bool {
    let width = picture.width() as usize;
    let (x, y, cell) = (x as usize, y as usize, cell as usize);
    let (mut darkest, mut brightest, mut sum) = (u8::MAX, 0, 0_u64);
    for row in picture.as_raw().chunks_exact(width).skip(y).take(cell) {
        for pixel in &row[x..x + cell] {
            darkest = darkest.min(*pixel);
            brightest = brightest.max(*pixel);
            sum += u64::from(*pixel);
        }
    }
    if brightest.saturating_sub(darkest) < MIN_CONTRAST {
        return false;
    }
    let count = (cell * cell) as u64;
    let dark_percent = (u64::from(brightest) * count - sum) * 100 / (u64::from(brightest - darkest) * count);
    DARK_PERCENT.contains(&dark_percent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Luma;

    /// A white page with a chessboard of dark modules.
    fn page(codes: &[(u32, u32)], text: bool) -> GrayImage {
        GrayImage::from_fn(600, 840, |x, y| {
            let in_code = codes
                .iter()
                .any(|(left, top)| (*left..left + 190).contains(&x) && (*top..top + 190).contains(&y));
            let dark = if in_code { (x / 3 + y / 3) % 2 == 0 } else { text && y % 11 < 5 && x % 5 < 2 };
            Luma([if dark { 20 } else { 240 }])
        })
    }

    #[test]
    fn each_code_of_a_page_is_one_region() {
        let places = [(60, 80), (330, 80), (60, 330), (330, 330), (60, 580)];
        let found = regions(&page(&places, false));
        for (x, y) in places {
            let holds = |region: &&Region| {
                region.x <= x
                    && region.y <= y
                    && region.x + region.width >= x + 190
                    && region.y + region.height >= y + 190
                    && region.width < 260
            };
            assert!(found.iter().any(|region| holds(&region)), "{x} {y} {found:?}");
        }
    }

    #[test]
    fn text_and_empty_pages_have_none() {
        assert_eq!(regions(&page(&[], false)), []);
        assert_eq!(regions(&page(&[], true)), []);
        assert_eq!(regions(&GrayImage::new(3, 3)), []);
    }
}
