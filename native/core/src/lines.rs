//! Where lines end.

use memchr::memchr_iter;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// Return where the complete records of a piece of a stream end; blank lines belong to the record after them.
///
/// A piece that `begins` its stream may have a byte order mark, which is no part of its first line. `blank` tells whether
/// the line is blank so far that was open before the piece, and the second result that of the one behind it.
pub fn record_ends(piece: &[u8], begins: bool, blank: bool) -> (Vec<i64>, bool) {
    let mut ends = Vec::with_capacity(piece.len() / 128);
    let mut start = if begins && piece.starts_with(BOM) { BOM.len() } else { 0 };
    let mut blank = blank;
    let is_blank = |line: &[u8]| line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r'));
    for newline in memchr_iter(b'\n', piece) {
        if !(blank && is_blank(piece.get(start..newline).unwrap_or_default())) {
            ends.push(newline as i64 + 1);
        }
        start = newline + 1;
        blank = true;
    }
    (ends, blank && is_blank(piece.get(start..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(piece: &[u8], begins: bool) -> Vec<i64> {
        record_ends(piece, begins, true).0
    }

    #[test]
    fn blank_lines_belong_to_what_follows() {
        assert_eq!(ends(b"a\n\n \t\r\nb\nc", false), [2, 9]);
        assert_eq!(ends(b"", false), []);
        assert_eq!(ends(b"\n\n", false), []);
    }

    #[test]
    fn a_mark_at_the_beginning_is_no_content() {
        assert_eq!(ends(b"\xef\xbb\xbf\na\n", true), [6]);
        assert_eq!(ends(b"\xef\xbb\xbf\na\n", false), [4, 6]);
    }

    #[test]
    fn a_line_may_lie_in_several_pieces() {
        assert_eq!(record_ends(b" a", false, true), (vec![], false));
        assert_eq!(record_ends(b" \n ", false, false), (vec![2], true));
        assert_eq!(record_ends(b" \n ", false, true), (vec![], true));
    }
}
