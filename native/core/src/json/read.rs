//! What stands at some places of judged texts, as DuckDB's JSON functions tell it.

use std::borrow::Cow;

use super::MARK;
use super::examine::unescape;
use super::write::{push_compact, push_number};
use crate::columns::{Contents, Misfit};

/// Tokens that a pointer may have: the walk down is a recursion.
const MOST_TOKENS: usize = 64;

/// The type of a value, as a number: 0 is nothing there.
pub const KINDS: [&str; 8] = ["NULL", "BOOLEAN", "VARCHAR", "BIGINT", "UBIGINT", "DOUBLE", "OBJECT", "ARRAY"];
const NULL: u8 = 1;

/// The texts and types at one place, row by row: value `i` is `data[bounds[i]..bounds[i + 1]]` where `valid[i]`.
#[derive(Default)]
pub struct Column {
    pub valid: Vec<bool>,
    pub bounds: Vec<i32>,
    pub data: Vec<u8>,
    pub kinds: Vec<u8>,
}

impl Column {
    fn end(&mut self) -> Result<(), Misfit> {
        self.bounds.push(i32::try_from(self.data.len()).map_err(|_| Misfit("the texts of a column are over 2 GiB"))?);
        Ok(())
    }
}

/// What was read: a column for each pointer, and how many members the payload of each row has.
pub struct Read {
    pub columns: Vec<Column>,
    pub members: Vec<i64>,
}

/// The places to look at, as a tree.
pub struct Places {
    nodes: Vec<Node>,
    count: usize,
}

#[derive(Default)]
struct Node {
    children: Vec<(Box<str>, Option<usize>, usize)>,
    column: Option<usize>,
    /// Whether the members of an object here are counted, and the names of those that are not.
    counted: Option<Vec<Box<str>>>,
}

impl Places {
    /// Take JSON Pointers, each of a column; the object at `payload` has its members counted, but for some names.
    pub fn new(pointers: &[&str], payload: &str, excluded: &[&str]) -> Result<Self, Misfit> {
        let mut places = Self { nodes: vec![Node::default()], count: pointers.len() };
        for (column, pointer) in pointers.iter().enumerate() {
            let at = places.node(pointer)?;
            if places.nodes[at].column.replace(column).is_some() {
                return Err(Misfit("a place is asked for twice"));
            }
        }
        let at = places.node(payload)?;
        places.nodes[at].counted = Some(excluded.iter().map(|&name| name.into()).collect());
        Ok(places)
    }

    fn node(&mut self, pointer: &str) -> Result<usize, Misfit> {
        let mut at = 0;
        let mut tokens = pointer.split('/');
        if tokens.next() != Some("") || pointer.matches('/').count() > MOST_TOKENS {
            return Err(Misfit("no JSON Pointer"));
        }
        for token in tokens {
            let name = token.replace("~1", "/").replace("~0", "~");
            at = match self.nodes[at].children.iter().find(|child| *child.0 == *name) {
                Some(child) => child.2,
                None => {
                    let next = self.nodes.len();
                    let is_index = name == "0" || (!name.starts_with('0') && name.bytes().all(|b| b.is_ascii_digit()));
                    let index = if is_index { name.parse().ok() } else { None };
                    self.nodes[at].children.push((name.into(), index, next));
                    self.nodes.push(Node::default());
                    next
                }
            };
        }
        Ok(at)
    }
}

/// Read texts, null ones aside, which `judge` has found to be JSON.
///
/// In rows that are `marked` a string is told without its mark.
pub fn read(texts: &Contents, marked: &[u8], places: &Places) -> Result<Read, Misfit> {
    let rows = texts.len();
    if marked.len() != rows {
        return Err(Misfit("columns are of different lengths"));
    }
    let mut read = Read {
        columns: (0..places.count)
            .map(|_| Column {
                valid: Vec::with_capacity(rows),
                bounds: Vec::with_capacity(rows + 1),
                data: Vec::with_capacity(rows * 12),
                kinds: Vec::with_capacity(rows),
            })
            .collect(),
        members: Vec::with_capacity(rows),
    };
    read.columns.iter_mut().for_each(|column| column.bounds.push(0));
    for (row, &mark) in marked.iter().enumerate() {
        if let Some(text) = texts.get(row)? {
            let whole = str::from_utf8(text).map_err(|_| Misfit("a text is no UTF-8"))?;
            let columns = &mut read.columns;
            let mut walk = Walk { whole, text, at: 0, places, columns, members: 0, row, marked: mark != 0 };
            walk.visit(0).ok_or(Misfit("a text is no JSON"))?;
            read.members.push(walk.members);
        } else {
            read.members.push(0);
        }
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
    columns: &'r mut [Column],
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
        if let Some(column) = here.column {
            self.store(column, self.whole.get(start..self.at)?, escaped)?;
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

    fn store(&mut self, column: usize, span: &str, escaped: bool) -> Option<()> {
        let column = self.columns.get_mut(column)?;
        if column.kinds.len() != self.row {
            return Some(()); // the first of two equal keys, as DuckDB has it; judged texts have none
        }
        let kind = match *span.as_bytes().first()? {
            b'"' => {
                let inside = span.get(1..span.len() - 1)?;
                let text = if escaped { unescape(inside)? } else { Cow::Borrowed(inside) };
                let told = if self.marked { text.strip_prefix(MARK).unwrap_or(&text) } else { &text };
                column.data.extend_from_slice(told.as_bytes());
                3
            }
            b'{' | b'[' => {
                push_compact(&mut column.data, span.as_bytes())?;
                if span.starts_with('{') { 7 } else { 8 }
            }
            b'n' => NULL,
            b't' | b'f' => {
                column.data.extend_from_slice(span.as_bytes());
                2
            }
            _ => push_number(&mut column.data, span.as_bytes()),
        };
        column.valid.push(kind != NULL);
        column.kinds.push(kind);
        column.end().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, pointers: &[&str]) -> (Vec<Option<String>>, i64) {
        let bounds = [0i64.to_le_bytes(), (text.len() as i64).to_le_bytes()].concat();
        let texts = Contents::new(None, &bounds, text.as_bytes(), 1).unwrap();
        let read = read(&texts, &[0], &Places::new(pointers, "", &["id"]).unwrap()).unwrap();
        let told = |column: &Column| column.valid[0].then(|| String::from_utf8(column.data.clone()).unwrap());
        (read.columns.iter().map(told).collect(), read.members[0])
    }

    #[test]
    fn texts_are_those_of_their_places() {
        let text = r#"{"id": "\u00e9", "a" : {"b": [1, {"c/d": 1.50}], "n":null}, "x": true}"#;
        let (found, members) = at(text, &["/id", "/a/b/1/c~1d", "/a/b/0", "/a/n", "/x", "/y", "/a"]);
        let expected =
            [Some("é"), Some("1.5"), Some("1"), None, Some("true"), None, Some(r#"{"b":[1,{"c/d":1.5}],"n":null}"#)];
        assert_eq!(found, expected.map(|text| text.map(str::to_owned)));
        assert_eq!(members, 2);
    }

    #[test]
    fn what_is_no_object_has_no_members() {
        for text in ["5", "[]", "[ ]", "\"x\"", "{}", "{ }"] {
            assert_eq!(at(text, &["/a", "/0"]), (vec![None, None], 0), "{text}");
        }
    }
}
