//! Regular expressions in Python's grammar, which is duplicity's, in the words of the crate `regex`.
//!
//! Most of both grammars is the same. What only looks the same is translated; what the crate lacks, or
//! Python does not know, is refused, so that no expression silently means something else here.

use std::iter::Peekable;
use std::str::Chars;

use regex::{Regex, RegexBuilder};

/// How an expression is understood.
#[derive(Debug, Clone, Copy)]
pub struct Build {
    /// Whether the case of letters does not matter.
    pub ignore_case: bool,
    /// Whether `.` stands for the end of a line too.
    pub dot_is_newline: bool,
}

impl Build {
    /// The expression, which is in the crate's grammar.
    pub fn regex(self, source: &str) -> Result<Regex, String> {
        RegexBuilder::new(source)
            .case_insensitive(self.ignore_case)
            .dot_matches_new_line(self.dot_is_newline)
            .build()
            .map_err(|error| reason(&error))
    }
}

/// An expression in Python's grammar, to be searched for in paths.
pub fn compile(expression: &str, ignore_case: bool) -> Result<Regex, String> {
    let source = Translation::of(expression)?;
    Build { ignore_case, dot_is_newline: false }.regex(&source)
}

/// A class of characters with these members, which are written as in Python: a `\` is one of them
/// and has no meaning.
pub fn class(negated: bool, members: &str) -> Result<String, String> {
    let mut members = members.chars().peekable();
    let mut source = String::from(if negated { "[^" } else { "[" });
    while let Some(first) = members.next() {
        source.push_str(&regex::escape(first.encode_utf8(&mut [0; 4])));
        push_range_end(&mut source, &mut members, |next, _| {
            Ok(regex::escape(next.encode_utf8(&mut [0; 4])))
        })?;
    }
    source.push(']');
    Ok(source)
}

/// After a member of a class: the rest of the range, if one begins there.
fn push_range_end(
    source: &mut String,
    members: &mut Peekable<Chars<'_>>,
    member: impl FnOnce(char, &mut Peekable<Chars<'_>>) -> Result<String, String>,
) -> Result<(), String> {
    let mut ahead = members.clone();
    if ahead.next() != Some('-') {
        return Ok(());
    }
    let Some(end) = ahead.next().filter(|end| *end != ']') else { return Ok(()) };
    *members = ahead;
    source.push('-');
    source.push_str(&member(end, members)?);
    Ok(())
}

/// An expression on its way from one grammar to the other.
struct Translation<'a> {
    rest: Peekable<Chars<'a>>,
    source: String,
    /// Whether what stands last is a quantifier, which only `?` may follow.
    quantified: bool,
}

impl<'a> Translation<'a> {
    fn of(expression: &'a str) -> Result<String, String> {
        let mut this = Self { rest: expression.chars().peekable(), source: String::new(), quantified: false };
        while let Some(character) = this.rest.next() {
            let quantified = std::mem::take(&mut this.quantified);
            match character {
                '\\' => {
                    let escape = escape(&mut this.rest, false)?;
                    this.source.push_str(&escape);
                }
                '[' => this.class()?,
                '(' => this.group()?,
                '*' | '+' | '?' => this.quantifier(character.to_string(), quantified)?,
                '{' => match counts(&mut this.rest) {
                    Some(counts) => this.quantifier(counts, quantified)?,
                    None => this.source.push_str("\\{"),
                },
                '}' | ']' => {
                    this.source.push('\\');
                    this.source.push(character);
                }
                _ => this.source.push(character),
            }
        }
        Ok(this.source)
    }

    fn quantifier(&mut self, text: String, after_another: bool) -> Result<(), String> {
        if after_another {
            return Err("two repetitions stand in a row".to_owned());
        }
        self.source.push_str(&text);
        match self.rest.peek() {
            Some('?') => {
                self.rest.next();
                self.source.push('?');
            }
            Some('+') => return Err("possessive repetitions are not supported".to_owned()),
            _ => {}
        }
        self.quantified = true;
        Ok(())
    }

    fn class(&mut self) -> Result<(), String> {
        self.source.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.source.push('^');
        }
        let mut is_first = true;
        loop {
            let first = self.rest.next().ok_or("a [ is not closed")?;
            if first == ']' && !is_first {
                break;
            }
            is_first = false;
            let member = member(first, &mut self.rest)?;
            self.source.push_str(&member);
            push_range_end(&mut self.source, &mut self.rest, member_at)?;
        }
        self.source.push(']');
        Ok(())
    }

    /// What follows an opening parenthesis.
    fn group(&mut self) -> Result<(), String> {
        let is_at_start = self.source.is_empty();
        self.source.push('(');
        if self.rest.next_if_eq(&'?').is_none() {
            return Ok(());
        }
        self.source.push('?');
        match self.rest.next() {
            Some(':') => self.source.push(':'),
            Some('P') if self.rest.next_if_eq(&'<').is_some() => self.source.push_str("P<"),
            Some('P') => return Err("references to groups are not supported".to_owned()),
            Some('=' | '!' | '<') => {
                return Err("looking ahead and behind, as in (?=…) and (?<!…), is not supported".to_owned());
            }
            Some(first @ ('i' | 'm' | 's' | 'u' | '-')) => self.flags(first, is_at_start)?,
            Some(other) => return Err(format!("(?{other} is not supported")),
            None => return Err("a ( is not closed".to_owned()),
        }
        Ok(())
    }

    fn flags(&mut self, first: char, is_at_start: bool) -> Result<(), String> {
        self.source.push(first);
        loop {
            match self.rest.next() {
                Some(flag @ ('i' | 'm' | 's' | 'u' | '-')) => self.source.push(flag),
                Some(')') if is_at_start => {
                    // Flags stand for themselves: a repetition has nothing to repeat.
                    self.source.push(')');
                    self.quantified = true;
                    return Ok(());
                }
                Some(')') => return Err("flags for the whole expression belong to its beginning".to_owned()),
                Some(':') => {
                    self.source.push(':');
                    return Ok(());
                }
                Some(other) => return Err(format!("the flag {other} is not supported")),
                None => return Err("a ( is not closed".to_owned()),
            }
        }
    }
}

fn member_at(first: char, rest: &mut Peekable<Chars<'_>>) -> Result<String, String> {
    member(first, rest)
}

/// One member of a class.
fn member(first: char, rest: &mut Peekable<Chars<'_>>) -> Result<String, String> {
    if first == '\\' { escape(rest, true) } else { Ok(regex::escape(first.encode_utf8(&mut [0; 4]))) }
}

/// What follows a backslash.
fn escape(rest: &mut Peekable<Chars<'_>>, in_class: bool) -> Result<String, String> {
    let character = rest.next().ok_or("a \\ stands at the end")?;
    Ok(match character {
        'b' if in_class => r"\x08".to_owned(),
        'A' | 'b' | 'B' if !in_class => format!("\\{character}"),
        'Z' if !in_class => r"\z".to_owned(),
        'd' | 'D' | 's' | 'S' | 'w' | 'W' | 'a' | 'f' | 'n' | 'r' | 't' | 'v' => format!("\\{character}"),
        'x' => format!("\\x{{{}}}", digits(rest, 2)?),
        'u' => format!("\\x{{{}}}", digits(rest, 4)?),
        'U' => format!("\\x{{{}}}", digits(rest, 8)?),
        '1'..='9' if !in_class => return Err("references to groups are not supported".to_owned()),
        _ if character.is_ascii_alphanumeric() => return Err(format!("\\{character} is not supported")),
        _ => regex::escape(character.encode_utf8(&mut [0; 4])),
    })
}

fn digits(rest: &mut Peekable<Chars<'_>>, count: usize) -> Result<String, String> {
    let digits: String = rest.take(count).collect();
    let complete = digits.len() == count && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if complete { Ok(digits) } else { Err(format!("a \\x, \\u or \\U lacks one of its {count} digits")) }
}

/// The repetition that an opening brace begins; without one it is a brace like any other character.
fn counts(rest: &mut Peekable<Chars<'_>>) -> Option<String> {
    let mut ahead = rest.clone();
    let inner: String = ahead.by_ref().take_while(|character| *character != '}').collect();
    let is_closed = rest.clone().any(|character| character == '}');
    let (least, most) =
        inner.split_once(',').map_or((inner.as_str(), None), |(least, most)| (least, Some(most)));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_closed || inner.is_empty() || !are_digits(least) || !most.is_none_or(are_digits) {
        return None;
    }
    *rest = ahead;
    let least = if least.is_empty() { "0" } else { least };
    Some(most.map_or_else(|| format!("{{{least}}}"), |most| format!("{{{least},{most}}}")))
}

/// The last line of what the crate says; before it stands the whole expression, with marks under it.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(expression: &str, path: &str) -> bool {
        compile(expression, false).unwrap_or_else(|error| panic!("{expression}: {error}")).is_match(path)
    }

    #[test]
    fn what_is_written_as_in_python_means_the_same() {
        for (expression, path) in [
            (r"\.tmp$", "/a/b.tmp"),
            (r"\.tmp\Z", "/a/b.tmp"),
            ("[[]", "/["),
            ("[]x]", "/]"),
            ("[^]/a]", "/]b"),
            ("[a&&b]", "&"),
            ("[+--]", ","),
            ("[a-]", "-"),
            (r"[\]\-\b]", "-"),
            ("x{,2}y", "y"),
            ("{x}", "{x}"),
            ("a{", "a{"),
            (r"\<\ \é", "< é"),
            (r"\x41\u0042", "AB"),
            ("(?i)tmp", "TMP"),
            ("a(?i:b)", "aB"),
            ("(?P<name>a)+?", "a"),
            ("a]}", "a]}"),
            ("é.ü", "éöü"),
        ] {
            assert!(finds(expression, path), "{expression} in {path}");
        }
        assert!(!finds("^b", "/a/b"));
        assert!(!finds("[a&&b]", "c"));
        assert!(!finds(r"\.tmp$", "/b.tmp\n"), "the end of the path is its end");
        assert!(compile("TMP", true).unwrap().is_match("/a.tmp"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for expression in [
            "(?=a)",
            "(?!a)",
            "(?<=a)",
            "(?<!a)",
            "(?<n>a)",
            r"(a)\1",
            "(?P=n)",
            "a*+",
            "a++",
            "a?+",
            "a{2}+",
            "a**",
            "(?>a)",
            "(?x)a b",
            "(?U)a",
            "b(?i)a",
            r"\p{L}",
            r"\z",
            r"\0",
            r"\x4",
            "[z-a]",
            "[a--]",
            "[a",
            "(",
            "(?",
            "*",
            "a\\",
            "(?#c)",
            "(?i)*",
            "(a)(?(1)b)",
        ] {
            assert!(compile(expression, false).is_err(), "{expression}");
        }
    }
}
