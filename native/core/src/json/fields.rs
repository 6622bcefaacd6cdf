//! Members of payloads as typed columns: a payload is in them wholly and exactly, or not at all.

use super::write::push_canonical;
use crate::columns::Misfit;

const NULL: u8 = 1;
const BOOLEAN: u8 = 2;
const TEXT: u8 = 3;
const DOUBLE: u8 = 6;
const OBJECT: u8 = 7;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Boolean,
    Bigint,
    /// Numbers of at most so many digits before and behind the point.
    Decimal {
        whole: usize,
        scale: usize,
    },
    Text,
    Container,
}

impl Kind {
    /// Take a kind by its name in `payload_columns.py`; digits are those of a decimal.
    pub fn new(name: &str, precision: usize, scale: usize) -> Result<Self, Misfit> {
        match name {
            "boolean" => Ok(Self::Boolean),
            "bigint" => Ok(Self::Bigint),
            "decimal" if scale <= precision && precision <= 38 => Ok(Self::Decimal { whole: precision - scale, scale }),
            "string" => Ok(Self::Text),
            "container" => Ok(Self::Container),
            _ => Err(Misfit("no such kind of column")),
        }
    }

    /// Bytes of a value, if all are as long.
    fn width(self) -> Option<usize> {
        match self {
            Self::Boolean => Some(1),
            Self::Bigint => Some(8),
            Self::Decimal { .. } => Some(16),
            Self::Text | Self::Container => None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Nothing,
    Null,
    Kept,
    Odd,
}

/// A column: values end to end, little-endian, or texts behind `bounds`; a boolean is a byte.
pub struct Field {
    kind: Kind,
    /// What `nulls` has for a null here.
    mark: Box<str>,
    pub valid: Vec<bool>,
    pub bounds: Vec<i32>,
    pub data: Vec<u8>,
    seen: Seen,
    start: usize,
}

impl Field {
    pub fn new(kind: Kind, mark: &str) -> Self {
        let bounds = if kind.width().is_none() { vec![0] } else { vec![] };
        Self { kind, mark: mark.into(), valid: vec![], bounds, data: vec![], seen: Seen::Nothing, start: 0 }
    }

    fn reserve(&mut self, rows: usize) {
        self.valid.reserve(rows);
        self.bounds.reserve(if self.bounds.is_empty() { 0 } else { rows });
        self.data.reserve(rows * self.kind.width().unwrap_or(0));
    }

    /// Take a value of a type as `read::KINDS` has it, as it stands; `text` is what it says if it is a string.
    pub fn take(&mut self, kind: u8, span: &str, text: &str) -> Option<()> {
        if self.seen != Seen::Nothing {
            return Some(()); // the first of two equal keys counts; judged texts have none
        }
        self.seen = Seen::Kept;
        match (self.kind, kind) {
            (_, NULL) => self.seen = Seen::Null,
            (Kind::Text, TEXT) => self.data.extend_from_slice(text.as_bytes()),
            (Kind::Container, OBJECT..) => push_canonical(&mut self.data, span.as_bytes())?,
            (Kind::Boolean, BOOLEAN) => self.data.push(u8::from(span == "true")),
            (Kind::Bigint, 4 | 5) => match span.parse::<i64>() {
                Ok(number) => self.data.extend_from_slice(&number.to_le_bytes()),
                Err(_) => self.seen = Seen::Odd,
            },
            (Kind::Decimal { whole, scale }, 4..=DOUBLE) => match scaled(span, whole, scale) {
                Some(number) => self.data.extend_from_slice(&number.to_le_bytes()),
                None => self.seen = Seen::Odd,
            },
            _ => self.seen = Seen::Odd,
        }
        Some(())
    }

    fn end_row(&mut self, fits: bool) -> Result<(), Misfit> {
        let there = fits && self.seen == Seen::Kept;
        if !there {
            self.data.truncate(self.start);
            self.data.resize(self.start + self.kind.width().unwrap_or(0), 0);
        }
        self.valid.push(there);
        self.start = self.data.len();
        self.seen = Seen::Nothing;
        if self.kind.width().is_none() {
            self.bounds.push(bound(self.start)?);
        }
        Ok(())
    }
}

/// The columns of payloads, which rows fit them, and for those that do the marks of what is null, as texts.
pub struct Fields {
    pub fields: Vec<Field>,
    pub fits: Vec<bool>,
    pub null_bounds: Vec<i32>,
    pub nulls: Vec<u8>,
}

impl Fields {
    pub fn new(mut fields: Vec<Field>, rows: usize) -> Self {
        fields.iter_mut().for_each(|field| field.reserve(rows));
        let (fits, mut null_bounds) = (Vec::with_capacity(rows), Vec::with_capacity(rows + 1));
        null_bounds.push(0);
        Self { fields, fits, null_bounds, nulls: vec![] }
    }

    /// End a row, whose payload has some members: it fits if all of them are kept. One with marks never does.
    pub fn end_row(&mut self, members: i64, marked: bool) -> Result<(), Misfit> {
        let kept = self.fields.iter().filter(|field| matches!(field.seen, Seen::Kept | Seen::Null)).count();
        let fits = !marked && members > 0 && kept as i64 == members;
        for field in &mut self.fields {
            if fits && field.seen == Seen::Null {
                self.nulls.extend_from_slice(field.mark.as_bytes());
            }
            field.end_row(fits)?;
        }
        self.fits.push(fits);
        self.null_bounds.push(bound(self.nulls.len())?);
        Ok(())
    }
}

fn bound(length: usize) -> Result<i32, Misfit> {
    i32::try_from(length).map_err(|_| Misfit("the texts of a column are over 2 GiB"))
}

/// Return a number without an exponent in units of its last place, if so many digits hold it exactly.
fn scaled(number: &str, whole: usize, scale: usize) -> Option<i128> {
    let digits = number.strip_prefix('-').unwrap_or(number);
    let (before, behind) = digits.split_once('.').unwrap_or((digits, ""));
    let (before, behind) = (before.trim_start_matches('0'), behind.trim_end_matches('0'));
    if before.len() > whole || behind.len() > scale {
        return None;
    }
    let zeros = std::iter::repeat_n(b'0', scale - behind.len());
    let mut value = 0i128;
    for digit in before.bytes().chain(behind.bytes()).chain(zeros) {
        value = value.checked_mul(10)?.checked_add(i128::from(digit.checked_sub(b'0').filter(|&digit| digit < 10)?))?;
    }
    Some(if digits.len() < number.len() { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_held_exactly_or_not() {
        for (number, whole, scale, held) in [
            ("1.50", 16, 2, Some(150)),
            ("-0.05", 16, 2, Some(-5)),
            ("100", 3, 2, Some(10000)),
            ("1000", 3, 2, None),
            ("0.125", 16, 2, None),
            ("0.50", 0, 2, Some(50)),
            ("1e5", 16, 2, None),
        ] {
            assert_eq!(scaled(number, whole, scale), held, "{number}");
        }
    }
}
