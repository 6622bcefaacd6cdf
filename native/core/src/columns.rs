//! Columns as they lie in Arrow's buffers: little-endian numbers, and bytes behind bounds.

/// What was handed over does not fit together.
#[derive(Debug, PartialEq, Eq)]
pub struct Misfit(pub &'static str);

/// A column of 64-bit numbers.
#[derive(Clone, Copy)]
pub struct Numbers<'a>(&'a [u8]);

impl<'a> Numbers<'a> {
    /// Take numbers that lie end to end.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Misfit> {
        if !bytes.len().is_multiple_of(8) {
            return Err(Misfit("a column of numbers is cut"));
        }
        Ok(Self(bytes))
    }

    pub fn len(&self) -> usize {
        self.0.len() / 8
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Return one, or `None` past the end.
    pub fn get(&self, row: usize) -> Option<i64> {
        let bytes = self.0.get(row * 8..row * 8 + 8)?;
        Some(i64::from_le_bytes(bytes.try_into().ok()?))
    }
}

/// A column of bytes: value `i` is `data[bounds[i]..bounds[i + 1]]`, null where `valid` has 0.
#[derive(Clone, Copy)]
pub struct Contents<'a> {
    valid: Option<&'a [u8]>,
    bounds: Numbers<'a>,
    data: &'a [u8],
}

impl<'a> Contents<'a> {
    /// Take a column of `rows` values; `valid` has a byte for each.
    pub fn new(valid: Option<&'a [u8]>, bounds: &'a [u8], data: &'a [u8], rows: usize) -> Result<Self, Misfit> {
        let bounds = Numbers::new(bounds)?;
        if bounds.len() != rows + 1 || valid.is_some_and(|valid| valid.len() != rows) {
            return Err(Misfit("columns are of different lengths"));
        }
        Ok(Self { valid, bounds, data })
    }

    pub fn len(&self) -> usize {
        self.bounds.len() - 1
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Return a value, or `None` where it is null.
    pub fn get(&self, row: usize) -> Result<Option<&'a [u8]>, Misfit> {
        if self.valid.is_some_and(|valid| valid.get(row).is_none_or(|&there| there == 0)) {
            return Ok(None);
        }
        let outside = Misfit("a value lies outside its buffer");
        let (Some(start), Some(end)) = (self.bounds.get(row), self.bounds.get(row + 1)) else {
            return Err(outside);
        };
        match (usize::try_from(start), usize::try_from(end)) {
            (Ok(start), Ok(end)) => self.data.get(start..end).map(Some).ok_or(outside),
            _ => Err(outside),
        }
    }
}
