//! The translation of what people read.
//!
//! Whole sentences with named placeholders: `gettext_f("Restored to {folder}", &[("folder", name)])`.
//! A value is put in as it is, also when it contains braces itself.

use std::path::Path;

use crate::config::GETTEXT_DOMAIN;

/// Sets the locale of the process and where its translations are. Called once, before any thread.
pub fn init(locale_folder: &Path) {
    // A locale that the system does not have leaves the "C" one: English.
    gettextrs::setlocale(gettextrs::LocaleCategory::LcAll, "");
    let bound = gettextrs::bindtextdomain(GETTEXT_DOMAIN, locale_folder)
        .and_then(|_| gettextrs::bind_textdomain_codeset(GETTEXT_DOMAIN, "UTF-8"))
        .and_then(|_| gettextrs::textdomain(GETTEXT_DOMAIN));
    if let Err(error) = bound {
        tracing::warn!(%error, "translations cannot be used");
    }
}

/// The translation of a text.
pub fn gettext(text: &str) -> String {
    gettextrs::gettext(text)
}

/// The translation of a text whose meaning depends on where it stands.
pub fn pgettext(context: &str, text: &str) -> String {
    gettextrs::pgettext(context, text)
}

/// The translation of a text, with `{name}` replaced by the value of that name.
pub fn gettext_f(text: &str, values: &[(&str, &str)]) -> String {
    fill(&gettext(text), values)
}

/// The translation for a number, with `{name}` replaced by the value of that name.
pub fn ngettext_f(singular: &str, plural: &str, number: u64, values: &[(&str, &str)]) -> String {
    // The rules of all languages repeat long before this, and the C type may be narrower.
    let selecting = if number > 1_000_000 { number % 1_000_000 + 1_000_000 } else { number };
    fill(&gettextrs::ngettext(singular, plural, selecting as u32), values)
}

fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(start) = rest.find('{') {
        let (before, from) = rest.split_at(start);
        text.push_str(before);
        let known = from.find('}').and_then(|end| {
            let value = values.iter().find(|(name, _)| *name == &from[1..end])?.1;
            Some((value, end + 1))
        });
        match known {
            Some((value, length)) => {
                text.push_str(value);
                rest = &from[length..];
            }
            None => {
                text.push('{');
                rest = &from[1..];
            }
        }
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_once() {
        assert_eq!(fill("{a} and {b}", &[("a", "{b}"), ("b", "2")]), "{b} and 2");
        assert_eq!(fill("{unknown} {", &[("a", "1")]), "{unknown} {");
        assert_eq!(fill("", &[]), "");
    }

    #[test]
    fn numbers_choose_their_form() {
        let files =
            |number| ngettext_f("{count} file", "{count} files", number, &[("count", &number.to_string())]);
        assert_eq!(files(1), "1 file");
        assert_eq!(files(0), "0 files");
        assert_eq!(files(5_000_000_001), "5000000001 files");
    }
}
