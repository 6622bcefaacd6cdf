//! The leaves of records and the nodes of the tree over them (RFC 6962, section 2.1).

use sha2::{Digest, Sha256};

use crate::columns::{Contents, Misfit, Numbers};

const HASH: usize = 32;
const WORDS: &[u8] = b"\0esctl/record/1\n";
const HEX: &[u8; 16] = b"0123456789abcdef";

/// What came with records: for each a list of names and values.
#[derive(Clone, Copy)]
pub struct Headers<'a> {
    valid: Option<&'a [u8]>,
    bounds: Numbers<'a>,
    names: Contents<'a>,
    values: Contents<'a>,
}

impl<'a> Headers<'a> {
    /// Take the headers of `rows` records: those of record `i` are `bounds[i]..bounds[i + 1]` of all.
    pub fn new(
        valid: Option<&'a [u8]>,
        bounds: &'a [u8],
        names: Contents<'a>,
        values: Contents<'a>,
        rows: usize,
    ) -> Result<Self, Misfit> {
        let bounds = Numbers::new(bounds)?;
        if bounds.len() != rows + 1 || valid.is_some_and(|valid| valid.len() != rows) || names.len() != values.len() {
            return Err(Misfit("columns are of different lengths"));
        }
        Ok(Self { valid, bounds, names, values })
    }

    /// Hash those of a record end to end, each part as `<length>:<bytes>`, a null one as `-:`; `None` without any.
    fn digest(&self, row: usize, salt: &[u8]) -> Result<Option<[u8; HASH]>, Misfit> {
        if self.valid.is_some_and(|valid| valid.get(row).is_none_or(|&there| there == 0)) {
            return Ok(None);
        }
        let outside = || Misfit("headers lie outside their buffer");
        let bound = |row| self.bounds.get(row).and_then(|at| usize::try_from(at).ok()).ok_or_else(outside);
        let mut hasher = Sha256::new().chain_update(salt);
        let mut length = Vec::with_capacity(24);
        for at in bound(row)?..bound(row + 1)? {
            if at >= self.names.len() {
                return Err(outside());
            }
            for part in [self.names.get(at)?, self.values.get(at)?] {
                length.clear();
                match part {
                    Some(bytes) => push_number(&mut length, bytes.len() as i64),
                    None => length.push(b'-'),
                }
                length.push(b':');
                hasher.update(&length);
                hasher.update(part.unwrap_or_default());
            }
        }
        Ok(Some(hasher.finalize().into()))
    }
}

/// The columns of records that leaves are made of; a column that is null throughout is `None`.
pub struct Records<'a> {
    pub positions: Numbers<'a>,
    pub recorded_at: Numbers<'a>,
    pub offsets: Numbers<'a>,
    pub times: Option<(&'a [u8], Numbers<'a>)>,
    pub keys: Option<Contents<'a>>,
    pub headers: Option<Headers<'a>>,
    pub raws: Option<Contents<'a>>,
    pub salts: Option<Contents<'a>>,
    /// Which of `names` each record's source is.
    pub sources: Numbers<'a>,
    pub names: Vec<&'a [u8]>,
}

/// Return the leaf hash of every record, end to end.
pub fn leaf_hashes(records: &Records) -> Result<Vec<u8>, Misfit> {
    let count = records.positions.len();
    let lengths = [records.recorded_at.len(), records.offsets.len(), records.sources.len()];
    if lengths.iter().any(|&length| length != count) {
        return Err(Misfit("columns are of different lengths"));
    }
    let named: Vec<[u8; HASH]> = records.names.iter().map(|name| Sha256::digest(name).into()).collect();
    let mut hashes = Vec::with_capacity(count * HASH);
    let mut leaf = Vec::with_capacity(512);
    for row in 0..count {
        leaf.clear();
        write_leaf(records, &named, row, &mut leaf)?;
        hashes.extend_from_slice(&Sha256::digest(&leaf));
    }
    Ok(hashes)
}

fn write_leaf(records: &Records, named: &[[u8; HASH]], row: usize, leaf: &mut Vec<u8>) -> Result<(), Misfit> {
    let short = || Misfit("columns are of different lengths");
    leaf.extend_from_slice(WORDS);
    for column in [&records.positions, &records.recorded_at, &records.offsets] {
        push_number(leaf, column.get(row).ok_or_else(short)?);
        leaf.push(b'\n');
    }
    match records.times {
        Some((valid, times)) if valid.get(row).is_some_and(|&there| there != 0) => {
            push_number(leaf, times.get(row).ok_or_else(short)?);
        }
        _ => leaf.push(b'-'),
    }
    leaf.push(b'\n');
    let salt = match records.salts {
        Some(salts) => salts.get(row)?.unwrap_or_default(),
        None => &[],
    };
    let of = |column: Option<Contents>| -> Result<Option<[u8; HASH]>, Misfit> {
        let content = column.map_or(Ok(None), |column| column.get(row))?;
        Ok(content.map(|content| digest(salt, content)))
    };
    let headers = records.headers.map_or(Ok(None), |headers| headers.digest(row, salt));
    for hash in [of(records.keys)?, headers?, of(records.raws)?] {
        match hash {
            Some(hash) => push_hex(leaf, &hash),
            None => leaf.push(b'-'),
        }
        leaf.push(b'\n');
    }
    let source = records.sources.get(row).and_then(|code| usize::try_from(code).ok());
    match source.and_then(|code| Some((named.get(code)?, records.names.get(code)?))) {
        Some((hash, _)) if salt.is_empty() => push_hex(leaf, hash),
        Some((_, name)) => push_hex(leaf, &digest(salt, name)),
        None => return Err(Misfit("a record is of no source")),
    }
    leaf.push(b'\n');
    Ok(())
}

fn digest(salt: &[u8], content: &[u8]) -> [u8; HASH] {
    if salt.is_empty() {
        return Sha256::digest(content).into();
    }
    Sha256::new().chain_update(salt).chain_update(content).finalize().into()
}

fn push_hex(text: &mut Vec<u8>, hash: &[u8; HASH]) {
    let mut hex = [0u8; 2 * HASH];
    for (pair, byte) in hex.chunks_exact_mut(2).zip(hash) {
        pair[0] = HEX[usize::from(byte >> 4)];
        pair[1] = HEX[usize::from(byte & 15)];
    }
    text.extend_from_slice(&hex);
}

fn push_number(text: &mut Vec<u8>, number: i64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = number.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        text.push(b'-');
    }
    text.extend_from_slice(&digits[at..]);
}

/// Hash neighbouring nodes two by two; one that is left over at the end has no part.
pub fn pair_up(nodes: &[u8]) -> Vec<u8> {
    let mut above = Vec::with_capacity(nodes.len() / 2);
    let mut marked = [1u8; 1 + 2 * HASH];
    for pair in nodes.chunks_exact(2 * HASH) {
        marked[1..].copy_from_slice(pair);
        above.extend_from_slice(&Sha256::digest(marked));
    }
    above
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn numbers_are_written_as_decimal_text() {
        for number in [0, 7, -1, 10, i64::MAX, i64::MIN] {
            let mut text = Vec::new();
            push_number(&mut text, number);
            assert_eq!(text, number.to_string().into_bytes());
        }
    }

    #[test]
    fn a_node_is_the_hash_of_one_and_both_below_it() {
        let nodes = [[1u8; 32], [2u8; 32], [3u8; 32]].concat();
        let expected = Sha256::new().chain_update([1u8]).chain_update([1u8; 32]).chain_update([2u8; 32]).finalize();
        assert_eq!(pair_up(&nodes), expected.to_vec());
        assert!(pair_up(&[0; 63]).is_empty());
    }

    #[test]
    fn a_leaf_has_what_is_there_and_a_dash_for_the_rest() {
        let one = 1i64.to_le_bytes();
        let zero = 0i64.to_le_bytes();
        let bounds = [0i64.to_le_bytes(), 2i64.to_le_bytes()].concat();
        let numbers = |bytes| Numbers::new(bytes).unwrap();
        let records = Records {
            positions: numbers(&one),
            recorded_at: numbers(&one),
            offsets: numbers(&zero),
            times: None,
            keys: None,
            headers: None,
            raws: Some(Contents::new(None, &bounds, b"{}", 1).unwrap()),
            salts: None,
            sources: numbers(&zero),
            names: vec![b"a"],
        };
        let (raw, source) = (hex(&Sha256::digest(b"{}")), hex(&Sha256::digest(b"a")));
        let leaf = format!("\0esctl/record/1\n1\n1\n0\n-\n-\n-\n{raw}\n{source}\n");
        assert_eq!(leaf_hashes(&records).unwrap(), Sha256::digest(leaf).to_vec());
    }

    #[test]
    fn bounds_outside_the_buffer_are_an_error() {
        let bounds = [0i64.to_le_bytes(), 9i64.to_le_bytes()].concat();
        assert!(Contents::new(None, &bounds, b"{}", 1).unwrap().get(0).is_err());
        assert!(Contents::new(None, &bounds, b"{}", 2).is_err());
    }
}
