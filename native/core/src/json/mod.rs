//! JSON text, read strictly (RFC 8259) and kept exactly: what `index/decode/strict_json.py` does.

mod check;
mod examine;
mod numbers;
mod read;
mod write;

use crate::columns::{Contents, Misfit};
pub use check::{Keys, is_plain};
pub use examine::{Examined, examine};
pub use numbers::{canonical_number, needs_mark};
pub use read::{Column, KINDS, Places, Read, read};

/// First character of a string that stands for an exact number.
pub const MARK: &str = "\u{e000}";
/// Levels of arrays and objects that a record may have.
pub const MAX_DEPTH: usize = 10_000;

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
