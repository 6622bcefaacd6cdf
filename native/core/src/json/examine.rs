//! The careful look: why a text is no JSON, or how it is written so that nothing in it is read inexactly.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use super::{MARK, MAX_DEPTH, canonical_number, needs_mark};

const BLANK: [char; 4] = [' ', '\t', '\n', '\r'];

const VALUE: u8 = 1;
const KEY: u8 = 2;
const COLON: u8 = 4;
const COMMA: u8 = 8;
const CLOSE: u8 = 16;
const END: u8 = 32;

/// The text to read from now on.
#[derive(Debug, PartialEq, Eq)]
pub enum Examined {
    AsItIs,
    Anew(String),
}

enum Token {
    Mark(u8),
    Text,
    Number,
    Word,
}

/// An open array (no members) or object; members: key -> its first and last token in the output.
struct Frame<'a> {
    close: u8,
    members: Option<HashMap<Cow<'a, str>, (usize, usize)>>,
    key: Cow<'a, str>,
    start: usize,
}

#[derive(Default)]
struct Scan<'a> {
    expect: u8,
    stack: Vec<Frame<'a>>,
    /// Each token with the blanks before it.
    out: Vec<Cow<'a, str>>,
    after_comma: bool,
    changed: bool,
}

/// Check a text against RFC 8259 and mark what DuckDB would read inexactly, or say why it is no JSON.
///
/// Numbers that a double may not keep, and objects with a key twice (the last wins), make the text be written anew.
pub fn examine(text: &str) -> Result<Examined, String> {
    let mut scan = Scan { expect: VALUE, ..Scan::default() };
    let mut at = 0;
    let refusal = loop {
        let Some((kind, span)) = next_token(text, at) else {
            match scan.finish(text, at) {
                Ok(()) => break None,
                Err(reason) => break Some(reason),
            }
        };
        let piece = &text[at..span.end];
        let blanks = span.start - at;
        let taken = match kind {
            Token::Mark(byte) => scan.punctuate(byte, piece),
            Token::Text => scan.take_string(piece, blanks),
            Token::Number => scan.take_number(piece, blanks),
            Token::Word => scan.take_value(Cow::Borrowed(piece)),
        };
        if let Err(reason) = taken {
            break Some(reason);
        }
        at = span.end;
    };
    if let Some(reason) = refusal {
        let rest = &text[at..];
        return Err(format!("{reason} at byte {}", at + rest.len() - rest.trim_start_matches(BLANK).len()));
    }
    Ok(if scan.changed { Examined::Anew(scan.out.concat()) } else { Examined::AsItIs })
}

/// Find the token behind the blanks at `at`; `None` where there is none.
fn next_token(text: &str, at: usize) -> Option<(Token, Range<usize>)> {
    let rest = text.get(at..)?;
    let start = at + rest.len() - rest.trim_start_matches(BLANK).len();
    let bytes = text.as_bytes();
    let (kind, length) = match *bytes.get(start)? {
        mark @ (b'[' | b']' | b'{' | b'}' | b',' | b':') => (Token::Mark(mark), 1),
        b'"' => (Token::Text, string_length(&bytes[start..])?),
        b'-' | b'0'..=b'9' => (Token::Number, number_length(&bytes[start..])?),
        _ => (Token::Word, ["true", "false", "null"].iter().find(|word| text[start..].starts_with(**word))?.len()),
    };
    Some((kind, start..start + length))
}

fn string_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match *bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => match *bytes.get(at + 1)? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => at += 2,
                b'u' if bytes.get(at + 2..at + 6)?.iter().all(u8::is_ascii_hexdigit) => at += 6,
                _ => return None,
            },
            0..32 => return None,
            _ => at += 1,
        }
    }
}

/// Measure the longest number that bytes begin with.
fn number_length(bytes: &[u8]) -> Option<usize> {
    let digits = |at: usize| bytes.get(at..).map_or(0, |rest| rest.iter().take_while(|b| b.is_ascii_digit()).count());
    let mut at = usize::from(bytes.first() == Some(&b'-'));
    at += match bytes.get(at)? {
        b'0' => 1,
        b'1'..=b'9' => digits(at),
        _ => return None,
    };
    if bytes.get(at) == Some(&b'.') && digits(at + 1) > 0 {
        at += 1 + digits(at + 1);
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at + 1 + sign);
        if exponent > 0 {
            at += 1 + sign + exponent;
        }
    }
    Some(at)
}

impl<'a> Scan<'a> {
    fn finish(&self, text: &str, at: usize) -> Result<(), &'static str> {
        let rest = text[at..].trim_start_matches(BLANK);
        match (self.expect == END, rest.as_bytes().first()) {
            (true, None) => Ok(()),
            (true, Some(_)) => Err("something follows the JSON value"),
            (false, None) if at > 0 => Err("the JSON text ends too early"),
            (false, None) => Err("no JSON: empty"),
            (false, Some(b'"')) => Err("a string has no end, a control character or an unknown escape"),
            (false, Some(_)) => Err("no JSON: unexpected character"),
        }
    }

    fn punctuate(&mut self, mark: u8, piece: &'a str) -> Result<(), &'static str> {
        match mark {
            b'[' | b'{' => {
                self.require(VALUE, "a value is not expected here")?;
                if self.stack.len() >= MAX_DEPTH {
                    return Err("nested over 10000 levels");
                }
                let is_array = mark == b'[';
                let members = if is_array { None } else { Some(HashMap::new()) };
                self.stack.push(Frame {
                    close: if is_array { b']' } else { b'}' },
                    members,
                    key: Cow::Borrowed(""),
                    start: 0,
                });
                self.expect = CLOSE | if is_array { VALUE } else { KEY };
            }
            b']' | b'}' => {
                let fits = self.expect & CLOSE != 0 && self.stack.last().is_some_and(|frame| frame.close == mark);
                if !fits {
                    return Err(if self.after_comma {
                        "a comma before a closing bracket"
                    } else {
                        "a closing bracket is not expected here"
                    });
                }
                self.stack.pop();
                self.after_value();
            }
            b',' => {
                self.require(COMMA, "a comma is not expected here")?;
                let last = self.out.len();
                self.expect = VALUE;
                if let Some(frame) = self.stack.last_mut()
                    && let Some(members) = &mut frame.members
                {
                    members.insert(std::mem::take(&mut frame.key), (frame.start, last));
                    self.expect = KEY;
                }
            }
            _ => {
                self.require(COLON, "a colon is not expected here")?;
                self.expect = VALUE;
            }
        }
        self.push(Cow::Borrowed(piece));
        self.after_comma = mark == b',';
        Ok(())
    }

    fn take_string(&mut self, piece: &'a str, blanks: usize) -> Result<(), &'static str> {
        if self.expect & (KEY | VALUE) == 0 {
            return Err("a string is not expected here");
        }
        let inside = &piece[blanks + 1..piece.len() - 1];
        let unescaped = unescape(inside).ok_or("a string has half of a surrogate pair")?;
        let starts =
            inside.starts_with(MARK) || inside.get(..6).is_some_and(|first| first.eq_ignore_ascii_case("\\ue000"));
        if self.expect & KEY != 0 {
            self.open_member(unescaped);
        } else {
            self.after_value();
        }
        self.push(if starts {
            Cow::Owned(format!("{}{MARK}{inside}\"", &piece[..blanks + 1]))
        } else {
            Cow::Borrowed(piece)
        });
        self.changed |= starts;
        Ok(())
    }

    fn open_member(&mut self, key: Cow<'a, str>) {
        let here = self.out.len();
        if let Some(frame) = self.stack.last_mut() {
            if let Some(&(first, last)) = frame.members.as_ref().and_then(|members| members.get(&key)) {
                for gone in self.out.iter_mut().take(last + 1).skip(first) {
                    *gone = Cow::Borrowed("");
                }
                self.changed = true;
            }
            frame.key = key;
            frame.start = here;
        }
        self.expect = COLON;
    }

    fn take_number(&mut self, piece: &'a str, blanks: usize) -> Result<(), &'static str> {
        self.require(VALUE, "a value is not expected here")?;
        let (before, number) = piece.split_at(blanks);
        if !needs_mark(number) {
            return self.take_value(Cow::Borrowed(piece));
        }
        let marked = format!("{before}\"{MARK}{}\"", canonical_number(number)?);
        self.changed = true;
        self.take_value(Cow::Owned(marked))
    }

    fn take_value(&mut self, piece: Cow<'a, str>) -> Result<(), &'static str> {
        self.require(VALUE, "a value is not expected here")?;
        self.push(piece);
        self.after_value();
        Ok(())
    }

    fn push(&mut self, piece: Cow<'a, str>) {
        self.out.push(piece);
        self.after_comma = false;
    }

    fn after_value(&mut self) {
        self.expect = if self.stack.is_empty() { END } else { COMMA | CLOSE };
    }

    fn require(&self, what: u8, otherwise: &'static str) -> Result<(), &'static str> {
        if self.expect & what == 0 { Err(otherwise) } else { Ok(()) }
    }
}

/// Read the escapes of a string whose shape is right; `None` where half of a surrogate pair is among them.
pub fn unescape(inside: &str) -> Option<Cow<'_, str>> {
    if !inside.contains('\\') {
        return Some(Cow::Borrowed(inside));
    }
    let mut text = String::with_capacity(inside.len());
    let mut rest = inside;
    while let Some((before, after)) = rest.split_once('\\') {
        text.push_str(before);
        let (kind, mut behind) = (after.as_bytes().first()?, after.get(1..)?);
        text.push(match kind {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let mut unit = u32::from_str_radix(behind.get(..4)?, 16).ok()?;
                behind = &behind[4..];
                if (0xd800..0xdc00).contains(&unit) {
                    let low = u32::from_str_radix(behind.strip_prefix("\\u")?.get(..4)?, 16).ok()?;
                    if !(0xdc00..0xe000).contains(&low) {
                        return None;
                    }
                    unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                    behind = &behind[6..];
                }
                char::from_u32(unit)?
            }
            &other => char::from(other),
        });
        rest = behind;
    }
    text.push_str(rest);
    Some(Cow::Owned(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anew(text: &str) -> String {
        match examine(text) {
            Ok(Examined::Anew(written)) => written.replace(MARK, "#"),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn what_is_kept_exactly_stays() {
        for text in ["1", "\"x\"", "[]", "{}", r#"{"a": [1.5, true, null], "b": "\u00e9\ud83d\ude00"}"#] {
            assert_eq!(examine(text), Ok(Examined::AsItIs), "{text}");
        }
    }

    #[test]
    fn numbers_are_marked_and_the_last_of_equal_keys_wins() {
        assert_eq!(anew("[1e2,  -0 ]"), "[\"#100\",  \"#0\" ]");
        assert_eq!(anew(r#"{"a":1, "b":2, "\u0061":3}"#), r#"{ "b":2, "\u0061":3}"#);
        assert_eq!(anew(r#"{"a":1,"a":2,"a":3}"#), r#"{"a":3}"#);
        assert_eq!(anew("\"\u{e000}\""), "\"##\"");
        assert_eq!(anew(r#""\uE0005""#), r##""#\uE0005""##);
    }

    #[test]
    fn what_is_no_json_is_told_with_its_place() {
        for (text, reason) in [
            ("", "no JSON: empty at byte 0"),
            ("[1,]", "a comma before a closing bracket at byte 3"),
            ("01", "a value is not expected here at byte 1"),
            ("{\"a\" 1}", "a value is not expected here at byte 5"),
            ("[1] x", "something follows the JSON value at byte 4"),
            ("[NaN]", "no JSON: unexpected character at byte 1"),
            ("\"é\\q\"", "a string has no end, a control character or an unknown escape at byte 0"),
            ("[ \"\\ud800\"]", "a string has half of a surrogate pair at byte 2"),
            ("{\"a\":", "the JSON text ends too early at byte 5"),
            ("]", "a closing bracket is not expected here at byte 0"),
            ("1e9999999999999999999", "a number has an exponent of over 18 digits at byte 0"),
        ] {
            assert_eq!(examine(text), Err(reason.to_owned()), "{text}");
        }
        assert!(examine(&"[".repeat(MAX_DEPTH + 1)).unwrap_err().starts_with("nested over 10000 levels"));
    }
}
