//! What stands at some places of judged texts, as DuckDB's JSON functions tell it.

use std::borrow::Cow;

use super::examine::unescape;
use super::fields::{Field, Fields};
use super::places::{Node, Places};
use super::write::{number_kind, push_compact, push_number};
use super::{MARK, plain_length};
use crate::columns::{Contents, Misfit};

/// The type of a value as a number, of those that DuckDB tells: 0 is nothing there.
#[cfg(test)]
pub const KINDS: [&str; 8] = ["NULL", "BOOLEAN", "VARCHAR", "BIGINT", "UBIGINT", "DOUBLE", "OBJECT", "ARRAY"];
const NULL: u8 = 1;

/// The texts and types at one place, row by row: value `i` is `data[bounds[i]..bounds[i + 1]]` where `valid[i]`.
#[derive(Default)]
pub struct Column {
    pub valid: Vec<bool>,
    pub bounds: Vec<i32>,
    pub data: Vec<u8>,
    pub kinds: Vec<u8>,
    /// Whether some text is empty.
    pub is_blank: bool,
}

impl Column {
    fn end(&mut self) -> Result<(), Misfit> {
        self.bounds.push(i32::try_from(self.data.len()).map_err(|_| Misfit("the texts of a column are over 2 GiB"))?);
        Ok(())
    }
}

/// What was read: the texts at each pointer, and the payloads.
pub struct Read {
    pub columns: Vec<Column>,
    pub payloads: Fields,
}

/// Read texts, null ones aside, which `judge` has found to be JSON.
///
/// In rows that are `marked` a string is told without its mark. `fields` are those that `places` has pointers of.
pub fn read(texts: &Contents, marked: &[u8], places: &Places, fields: Vec<Field>) -> Result<Read, Misfit> {
    let rows = texts.len();
    if marked.len() != rows {
        return Err(Misfit("columns are of different lengths"));
    }
    let mut read = Read {
        columns: (0..places.columns)
            .map(|_| Column {
                valid: Vec::with_capacity(rows),
                bounds: Vec::with_capacity(rows + 1),
                data: Vec::with_capacity(rows * 12),
                kinds: Vec::with_capacity(rows),
                is_blank: false,
            })
            .collect(),
        payloads: Fields::new(fields, rows),
    };
    read.columns.iter_mut().for_each(|column| column.bounds.push(0));
    for (row, &mark) in marked.iter().enumerate() {
        let mut members = 0;
        if let Some(text) = texts.get(row)? {
            let whole = str::from_utf8(text).map_err(|_| Misfit("a text is no UTF-8"))?;
            let mut walk = Walk { whole, text, at: 0, places, read: &mut read, members, row, marked: mark != 0 };
            walk.visit(0).ok_or(Misfit("a text is no JSON"))?;
            members = walk.members;
        }
        read.payloads.end_row(members, mark != 0)?;
        for column in &mut read.columns {
            if column.kinds.len() == row {
                column.valid.push(false);
                column.kinds.push(0);
                column.end()?;
            }
        }
    }
    Ok(read)
}

struct Walk<'a, 'r> {
    whole: &'a str,
    text: &'a [u8],
    at: usize,
    places: &'a Places,
    read: &'r mut Read,
    members: i64,
    row: usize,
    marked: bool,
}

impl<'a> Walk<'a, '_> {
    /// Read the value at `self.at`, which is at a node, and go behind it.
    fn visit(&mut self, node: usize) -> Option<()> {
        self.blanks();
        let start = self.at;
        let here = self.places.nodes.get(node)?;
        let escaped = match *self.text.get(start)? {
            b'{' if !here.children.is_empty() || here.counted.is_some() => self.object(here)?,
            b'[' if here.children.iter().any(|child| child.1.is_some()) => self.array(here)?,
            _ => self.skip()?,
        };
        if here.column.is_some() || here.field.is_some() {
            self.store(here, self.whole.get(start..self.at)?, escaped)?;
        }
        Some(())
    }

    fn object(&mut self, here: &'a Node) -> Option<bool> {
        self.at += 1;
        // Records are often alike: the child after the last one found is looked at first.
        let mut hint = 0;
        while self.token()? != b'}' {
            // Behind the first quote of a key: a comma before it was taken for the token.
            if self.text.get(self.at - 1) == Some(&b',') {
                self.token()?;
            }
            let start = self.at;
            let escaped = self.string()?;
            let name = self.whole.get(start..self.at - 1)?;
            let name = if escaped { unescape(name)? } else { Cow::Borrowed(name) };
            self.token()?;
            if let Some(excluded) = &here.counted {
                self.members += i64::from(!excluded.iter().any(|other| **other == *name));
            }
            let count = here.children.len();
            let found = (0..count).map(|i| (hint + i) % count).find(|&i| *here.children[i].0 == *name);
            match found {
                Some(i) => {
                    hint = i + 1;
                    self.visit(here.children[i].2)?;
                }
                None => {
                    self.blanks();
                    self.skip()?;
                }
            }
        }
        Some(false)
    }

    fn array(&mut self, here: &'a Node) -> Option<bool> {
        self.at += 1;
        self.blanks();
        if self.text.get(self.at) == Some(&b']') {
            self.at += 1;
            return Some(false);
        }
        for index in 0usize.. {
            match here.children.iter().find(|child| child.1 == Some(index)) {
                Some(child) => self.visit(child.2)?,
                None => {
                    self.blanks();
                    self.skip()?;
                }
            }
            if self.token()? == b']' {
                break;
            }
        }
        Some(false)
    }

    /// Go behind the value that begins here; true of a string in which something is escaped.
    fn skip(&mut self) -> Option<bool> {
        match *self.text.get(self.at)? {
            b'"' => {
                self.at += 1;
                return self.string();
            }
            b'{' | b'[' => {
                let mut depth = 0usize;
                loop {
                    let byte = *self.text.get(self.at)?;
                    self.at += 1;
                    match byte {
                        b'{' | b'[' => depth += 1,
                        b'}' | b']' => {
                            depth -= 1;
                            if depth == 0 {
                                break;
                            }
                        }
                        b'"' => {
                            self.string()?;
                        }
                        _ => {}
                    }
                }
            }
            _ => {
                while self
                    .text
                    .get(self.at)
                    .is_some_and(|byte| !matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r'))
                {
                    self.at += 1;
                }
            }
        }
        Some(false)
    }

    /// Go behind a string, from behind its first quote; true where something in it is escaped.
    fn string(&mut self) -> Option<bool> {
        let mut escaped = false;
        loop {
            self.at += plain_length(self.text.get(self.at..)?);
            match *self.text.get(self.at)? {
                b'"' => {
                    self.at += 1;
                    return Some(escaped);
                }
                b'\\' => {
                    escaped = true;
                    self.at += 2;
                }
                _ => self.at += 1,
            }
        }
    }

    fn token(&mut self) -> Option<u8> {
        self.blanks();
        self.at += 1;
        self.text.get(self.at - 1).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn store(&mut self, here: &Node, span: &str, escaped: bool) -> Option<()> {
        let (first, mut text) = (*span.as_bytes().first()?, Cow::Borrowed(span));
        if first == b'"' {
            let inside = span.get(1..span.len() - 1)?;
            text = if escaped { unescape(inside)? } else { Cow::Borrowed(inside) };
        }
        let told = if self.marked && first == b'"' { text.strip_prefix(MARK).unwrap_or(&text) } else { &text };
        let kind = match first {
            b'"' => 3,
            b'{' => 7,
            b'[' => 8,
            b'n' => NULL,
            b't' | b'f' => 2,
            _ => number_kind(span.as_bytes()),
        };
        if let Some(field) = here.field {
            self.read.payloads.fields.get_mut(field)?.take(kind, span, told)?;
        }
        let Some(column) = here.column.and_then(|column| self.read.columns.get_mut(column)) else {
            return Some(());
        };
        if column.kinds.len() != self.row {
            return Some(()); // the first of two equal keys, as DuckDB has it; judged texts have none
        }
        match kind {
            NULL => {}
            2 | 3 => column.data.extend_from_slice(told.as_bytes()),
            7 | 8 => push_compact(&mut column.data, span.as_bytes())?,
            _ => push_number(&mut column.data, span.as_bytes()),
        }
        column.is_blank |= kind == 3 && told.is_empty();
        column.valid.push(kind != NULL);
        column.kinds.push(kind);
        column.end().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::fields::Kind;
    use super::*;

    fn at(text: &str, pointers: &[&str], fields: &[(&str, Kind)]) -> Read {
        let bounds = [0i64.to_le_bytes(), (text.len() as i64).to_le_bytes()].concat();
        let texts = Contents::new(None, &bounds, text.as_bytes(), 1).unwrap();
        let places: Vec<&str> = fields.iter().map(|field| field.0).collect();
        let places = Places::new(pointers, &places, "", &["id"]).unwrap();
        read(&texts, &[0], &places, fields.iter().map(|field| Field::new(field.1, field.0)).collect()).unwrap()
    }

    #[test]
    fn texts_are_those_of_their_places() {
        let text = r#"{"id": "\u00e9", "a" : {"b": [1, {"c/d": 1.50}], "n":null}, "x": true}"#;
        let read = at(text, &["/id", "/a/b/1/c~1d", "/a/b/0", "/a/n", "/x", "/y", "/a"], &[]);
        let told = |column: &Column| column.valid[0].then(|| String::from_utf8(column.data.clone()).unwrap());
        let expected =
            [Some("é"), Some("1.5"), Some("1"), None, Some("true"), None, Some(r#"{"b":[1,{"c/d":1.5}],"n":null}"#)];
        assert_eq!(read.columns.iter().map(told).collect::<Vec<_>>(), expected.map(|text| text.map(str::to_owned)));
        assert!(!read.payloads.fits[0]);
    }

    #[test]
    fn a_payload_fits_its_columns_wholly_or_not_at_all() {
        let fields = [("/a", Kind::Bigint), ("/b", Kind::Container), ("/c", Kind::Text)];
        for (text, fits) in [
            (r#"{"a":1,"b":[2.0],"id":3}"#, true),
            (r#"{"a":1.5,"b":[2]}"#, false),
            (r#"{"a":1,"d":2}"#, false),
            ("{}", false),
            ("[1]", false),
            ("5", false),
        ] {
            assert_eq!(at(text, &["/a"], &fields).payloads.fits[0], fits, "{text}");
        }
        let read = at(r#"{"a":null,"b":[2.0],"c":"x"}"#, &[], &fields).payloads;
        assert_eq!(
            (read.nulls, &*read.fields[1].data, &*read.fields[2].data),
            (b"/a".to_vec(), &b"[2]"[..], &b"x"[..])
        );
    }
}
