//! How fast it may go to and from a place.

use std::num::NonZeroU64;

use clap::Args;

use souvenir::engine::storage::Limits;

/// How fast it may go.
#[derive(Debug, Clone, Copy, Args)]
pub struct LimitOptions {
    /// Send that many bytes a second at most, on all connections together: a number, or one with k, M or G
    /// behind it for 1024 bytes and so on, such as 500k or 2.5M
    #[arg(long, value_name = "RATE", value_parser = rate)]
    limit_upload: Option<NonZeroU64>,

    /// Fetch that many bytes a second at most, written in the same way
    #[arg(long, value_name = "RATE", value_parser = rate)]
    limit_download: Option<NonZeroU64>,
}

impl LimitOptions {
    /// The limits of one job.
    pub fn limits(&self) -> Limits {
        Limits::new(self.limit_upload, self.limit_download)
    }
}

fn rate(text: &str) -> Result<NonZeroU64, String> {
    let (number, unit) = match text.char_indices().next_back() {
        Some((end, 'k' | 'K')) => (&text[..end], 1_u64 << 10),
        Some((end, 'M' | 'm')) => (&text[..end], 1 << 20),
        Some((end, 'G' | 'g')) => (&text[..end], 1 << 30),
        _ => (text, 1),
    };
    let is_decimal = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let value = number.parse::<f64>().ok().filter(|_| is_decimal).map(|number| number * unit as f64);
    // Whatever is too large for it becomes the largest number.
    let bytes = value.and_then(|value| NonZeroU64::new(value as u64));
    bytes.ok_or_else(|| "not a rate above zero; write it like 500k or 2M".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_numbers_with_a_unit() {
        for (text, bytes) in
            [("1", 1), ("500k", 512_000), ("2M", 2 << 20), ("2.5m", 5 << 19), ("1G", 1 << 30), ("0.5k", 512)]
        {
            assert_eq!(rate(text).map(NonZeroU64::get), Ok(bytes), "{text}");
        }
        for text in ["", "k", "0", "-1", "1e6", "inf", "nan", "2MB", "1 M", "0.1", "2é"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
