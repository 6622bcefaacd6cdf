//! JSON text, read strictly (RFC 8259) and kept exactly: what `index/decode/strict_json.py` does.

mod check;
mod examine;
mod fields;
mod numbers;
mod places;
mod read;
mod write;

use crate::columns::{Contents, Misfit};
pub use check::{Keys, is_plain};
pub use examine::{Examined, examine};
pub use fields::{Field, Fields, Kind};
pub use numbers::{canonical_number, needs_mark};
pub use places::Places;
pub use read::{Column, Read, read};

/// First character of a string that stands for an exact number.
pub const MARK: &str = "\u{e000}";
/// Levels of arrays and objects that a record may have.
pub const MAX_DEPTH: usize = 10_000;

const ONES: u64 = u64::from_ne_bytes([1; 8]);
const HIGHEST: u64 = ONES << 7;

/// Return how many bytes come before the first quote, backslash or control character.
fn plain_length(text: &[u8]) -> usize {
    let below = |word: u64, byte: u8| word.wrapping_sub(ONES * u64::from(byte)) & !word & HIGHEST;
    let (words, rest) = text.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // Of each, the lowest bit that is set is right: what is borrowed goes up.
        let found =
            below(word, 32) | below(word ^ (ONES * u64::from(b'"')), 1) | below(word ^ (ONES * u64::from(b'\\')), 1);
        if found != 0 {
            return 8 * at + (found.trailing_zeros() / 8) as usize;
        }
    }
    let is_special = |byte: &u8| matches!(byte, 0..32 | b'"' | b'\\');
    text.len() - rest.len() + rest.iter().position(is_special).unwrap_or(rest.len())
}

/// What is to be said of some texts: only of those that do not stay as they are.
#[derive(Default)]
pub struct Judged {
    /// Rows that are written anew, ascending, and their texts end to end behind `bounds`.
    pub rows: Vec<i64>,
    pub bounds: Vec<i64>,
    pub text: Vec<u8>,
    /// Rows that are no JSON, ascending, and why.
    pub invalid: Vec<(i64, String)>,
}

/// Judge texts, null ones aside; they are UTF-8, without blanks around them.
pub fn judge(texts: &Contents) -> Result<Judged, Misfit> {
    let mut judged = Judged { bounds: vec![0], ..Judged::default() };
    let mut keys = Keys::default();
    for row in 0..texts.len() {
        let Some(bytes) = texts.get(row)? else {
            continue;
        };
        if is_plain(bytes, &mut keys) {
            continue;
        }
        let text = str::from_utf8(bytes).map_err(|_| Misfit("a text is no UTF-8"))?;
        match examine(text) {
            Ok(Examined::AsItIs) => {}
            Ok(Examined::Anew(written)) => {
                judged.rows.push(row as i64);
                judged.text.extend_from_slice(written.as_bytes());
                judged.bounds.push(judged.text.len() as i64);
            }
            Err(reason) => judged.invalid.push((row as i64, reason)),
        }
    }
    Ok(judged)
}

#[cfg(test)]
mod tests {
    use super::plain_length;

    #[test]
    fn plain_bytes_are_counted_up_to_the_first_that_is_not() {
        for special in [b'"', b'\\', 0, 9, 31] {
            for length in 0..20 {
                for first in ["a".repeat(20).into_bytes(), "é€\u{7f} !#[]".repeat(3).into_bytes()] {
                    let mut text = first[..length.min(first.len())].to_vec();
                    text.push(special);
                    text.extend_from_slice(b"\"\\\x1f!!!!!!!!!!!!!!");
                    assert_eq!(plain_length(&text), length.min(first.len()), "{text:?}");
                }
            }
        }
        assert_eq!((plain_length(b""), plain_length(b" 12345678 ")), (0, 10));
    }
}
