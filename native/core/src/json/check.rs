//! The fast look: whether a text is JSON in which nothing has to be cared for.

use std::collections::HashSet;

use super::{MARK, MAX_DEPTH, needs_mark, plain_length};

/// Keys of an object up to which each is compared with all others.
const FEW: usize = 24;

/// The keys of the objects that are open, of one text after the other: kept to save making it each time.
#[derive(Default)]
pub struct Keys {
    spans: Vec<(usize, usize)>,
    /// Of each open object, where its keys begin in `spans`; of an open array, nothing.
    open: Vec<Option<usize>>,
}

/// Return whether a text is JSON that stays as it is. Where the answer is no, `examine` knows better.
///
/// Left to it are, beside errors: numbers that may not come back as they are, strings with a mark or half of a
/// surrogate pair, keys with an escape or twice in an object.
pub fn is_plain(text: &[u8], keys: &mut Keys) -> bool {
    keys.spans.clear();
    keys.open.clear();
    Check { text, at: 0, keys }.run().is_some()
}

struct Check<'a, 'k> {
    text: &'a [u8],
    at: usize,
    keys: &'k mut Keys,
}

impl Check<'_, '_> {
    fn run(&mut self) -> Option<()> {
        loop {
            // A value is expected.
            match self.token()? {
                b'{' => {
                    if self.keys.open.len() >= MAX_DEPTH {
                        return None;
                    }
                    self.keys.open.push(Some(self.keys.spans.len()));
                    match self.token()? {
                        b'"' => {
                            self.member()?;
                            continue;
                        }
                        b'}' => self.close()?,
                        _ => return None,
                    }
                }
                b'[' => {
                    if self.keys.open.len() >= MAX_DEPTH {
                        return None;
                    }
                    self.keys.open.push(None);
                    if self.peek()? != b']' {
                        continue;
                    }
                    self.at += 1;
                    self.close()?;
                }
                b'"' => {
                    self.string()?;
                }
                first => self.scalar(first)?,
            }
            if !self.after_value()? {
                return Some(());
            }
        }
    }

    /// Go on behind a value: true where another is to come, false at the end of the text.
    fn after_value(&mut self) -> Option<bool> {
        loop {
            let Some(&innermost) = self.keys.open.last() else {
                self.skip();
                return (self.at == self.text.len()).then_some(false);
            };
            match (self.token()?, innermost) {
                (b',', None) => return Some(true),
                (b',', Some(_)) => {
                    if self.token()? != b'"' {
                        return None;
                    }
                    self.member()?;
                    return Some(true);
                }
                (b']', None) | (b'}', Some(_)) => self.close()?,
                _ => return None,
            }
        }
    }

    /// Close what is innermost; an object has each key once.
    fn close(&mut self) -> Option<()> {
        let Some(start) = self.keys.open.pop()? else {
            return Some(());
        };
        let own = self.keys.spans.get(start..)?;
        let key = |span: &(usize, usize)| self.text.get(span.0..span.1);
        if own.len() <= FEW {
            for (i, one) in own.iter().enumerate() {
                let one = key(one)?;
                for other in own.get(..i)? {
                    if key(other)? == one {
                        return None;
                    }
                }
            }
        } else {
            let mut seen = HashSet::with_capacity(own.len());
            for span in own {
                if !seen.insert(key(span)?) {
                    return None;
                }
            }
        }
        self.keys.spans.truncate(start);
        Some(())
    }

    /// Read a key, behind its first quote, and the colon.
    fn member(&mut self) -> Option<()> {
        let start = self.at;
        if self.string()? {
            return None;
        }
        self.keys.spans.push((start, self.at - 1));
        (self.token()? == b':').then_some(())
    }

    /// Read a string behind its first quote; true where something in it is escaped.
    fn string(&mut self) -> Option<bool> {
        if self.text.get(self.at..)?.starts_with(MARK.as_bytes()) {
            return None;
        }
        let mut escaped = false;
        loop {
            self.at += plain_length(self.text.get(self.at..)?);
            let byte = *self.text.get(self.at)?;
            self.at += 1;
            match byte {
                b'"' => return Some(escaped),
                b'\\' => {
                    escaped = true;
                    let first = *self.text.get(self.at)?;
                    self.at += 1;
                    match first {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                        b'u' => self.unit()?,
                        _ => return None,
                    }
                }
                _ => return None,
            }
        }
    }

    /// Read four hexadecimal digits; those of surrogates and of the mark are left to another.
    fn unit(&mut self) -> Option<()> {
        let digits = self.text.get(self.at..self.at + 4)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let is_surrogate = matches!(digits, [b'd' | b'D', b'8'..=b'9' | b'a'..=b'f' | b'A'..=b'F', ..]);
        if is_surrogate || matches!(digits, [b'e' | b'E', b'0', b'0', b'0']) {
            return None;
        }
        self.at += 4;
        Some(())
    }

    fn scalar(&mut self, first: u8) -> Option<()> {
        let word: &[u8] = match first {
            b't' => b"rue",
            b'f' => b"alse",
            b'n' => b"ull",
            _ => return self.number(first),
        };
        self.at += word.len();
        (self.text.get(self.at - word.len()..self.at)? == word).then_some(())
    }

    /// Read a number behind its first character: one that a double, or 64 bits, surely keep.
    fn number(&mut self, first: u8) -> Option<()> {
        let lead = if first == b'-' { self.token_byte()? } else { first };
        let start = self.at - 1;
        match lead {
            b'0' => {}
            b'1'..=b'9' => self.digits(),
            _ => return None,
        }
        let whole = self.at - start;
        if self.text.get(self.at) != Some(&b'.') {
            let is_plain = whole <= 19 && !(first == b'-' && lead == b'0');
            return (is_plain && !self.at_exponent()).then_some(());
        }
        self.at += 1;
        let point = self.at;
        self.digits();
        let fraction = self.at - point;
        if fraction == 0 || self.at_exponent() {
            return None;
        }
        let is_small = lead == b'0' && (first == b'-' || self.text.get(point..)?.starts_with(b"0000"));
        if whole + fraction <= 15 && !is_small {
            return Some(());
        }
        let number = str::from_utf8(self.text.get(start - usize::from(first == b'-')..self.at)?).ok()?;
        (!needs_mark(number)).then_some(())
    }

    fn digits(&mut self) {
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
    }

    fn at_exponent(&self) -> bool {
        matches!(self.text.get(self.at), Some(b'e' | b'E'))
    }

    fn token_byte(&mut self) -> Option<u8> {
        let byte = *self.text.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn token(&mut self) -> Option<u8> {
        self.skip();
        self.token_byte()
    }

    fn peek(&mut self) -> Option<u8> {
        self.skip();
        self.text.get(self.at).copied()
    }

    fn skip(&mut self) {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }
}
