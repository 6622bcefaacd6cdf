//! Where lines end.

use memchr::memchr_iter;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// Return where the complete records of a window end; blank lines belong to the record after them.
///
/// A window that `begins` its stream may have a byte order mark, which is no part of its first line.
pub fn record_ends(window: &[u8], begins: bool) -> Vec<i64> {
    let mut ends = Vec::with_capacity(window.len() / 128);
    let mut start = if begins && window.starts_with(BOM) { BOM.len() } else { 0 };
    for newline in memchr_iter(b'\n', window) {
        let line = window.get(start..newline).unwrap_or_default();
        if !line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r')) {
            ends.push(newline as i64 + 1);
        }
        start = newline + 1;
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_lines_belong_to_what_follows() {
        assert_eq!(record_ends(b"a\n\n \t\r\nb\nc", false), [2, 9]);
        assert_eq!(record_ends(b"", false), []);
        assert_eq!(record_ends(b"\n\n", false), []);
    }

    #[test]
    fn a_mark_at_the_beginning_is_no_content() {
        assert_eq!(record_ends(b"\xef\xbb\xbf\na\n", true), [6]);
        assert_eq!(record_ends(b"\xef\xbb\xbf\na\n", false), [4, 6]);
    }
}
