//! Values as DuckDB writes them: compact, strings with the fewest escapes, numbers without zeros that say nothing.

use super::examine::unescape;

/// Write the text of an array or object without blanks; `None` where it is no JSON.
pub fn push_compact(out: &mut Vec<u8>, text: &[u8]) -> Option<()> {
    push_json(out, text, false)
}

/// Write the same with no zeros behind the point that say nothing: `1.0` as `1`.
pub fn push_canonical(out: &mut Vec<u8>, text: &[u8]) -> Option<()> {
    push_json(out, text, true)
}

fn push_json(out: &mut Vec<u8>, text: &[u8], canonical: bool) -> Option<()> {
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let length = match byte {
            b' ' | b'\t' | b'\n' | b'\r' => 1,
            b'"' => {
                let length = string_length(text.get(at..)?)?;
                push_string(out, text.get(at..at + length)?)?;
                length
            }
            b'-' | b'0'..=b'9' => {
                let is_part = |byte: &&u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
                let length = text.get(at..)?.iter().take_while(is_part).count();
                push_number(out, text.get(at..at + length)?);
                if canonical && out.ends_with(b".0") {
                    out.truncate(out.len() - 2);
                }
                length
            }
            _ => {
                out.push(byte);
                1
            }
        };
        at += length;
    }
    Some(())
}

fn string_length(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

fn push_string(out: &mut Vec<u8>, quoted: &[u8]) -> Option<()> {
    let inside = quoted.get(1..quoted.len().checked_sub(1)?)?;
    if !inside.contains(&b'\\') {
        out.extend_from_slice(quoted);
        return Some(());
    }
    out.push(b'"');
    for &byte in unescape(str::from_utf8(inside).ok()?)?.as_bytes() {
        let short = match byte {
            b'"' | b'\\' => byte,
            8 => b'b',
            9 => b't',
            10 => b'n',
            12 => b'f',
            13 => b'r',
            0..32 => {
                out.extend_from_slice(format!("\\u{byte:04X}").as_bytes());
                continue;
            }
            _ => {
                out.push(byte);
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', short]);
    }
    out.push(b'"');
    Some(())
}

/// Return the type of a number that needs no mark, as `read::KINDS` has it.
pub fn number_kind(number: &[u8]) -> u8 {
    if number.contains(&b'.') {
        return 6;
    }
    let is_negative = number.first() == Some(&b'-');
    let fits = || str::from_utf8(number).is_ok_and(|text| text.parse::<i64>().is_ok());
    match is_negative {
        false => 5,
        true if fits() => 4,
        true => 6,
    }
}

/// Write a number that needs no mark.
pub fn push_number(out: &mut Vec<u8>, number: &[u8]) {
    let kept = number
        .iter()
        .position(|&byte| byte == b'.')
        .map_or(number.len(), |point| number.iter().rposition(|&byte| byte != b'0').unwrap_or(0).max(point + 1) + 1);
    out.extend_from_slice(number.get(..kept).unwrap_or(number));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_duckdb_does() {
        let mut out = Vec::new();
        push_compact(&mut out, br#"[ 1.50, 2.00 , -3, {"a" : "x\/\u001f\u007f\u00e9\n"}, "\\ " ]"#).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "[1.5,2.0,-3,{\"a\":\"x/\\u001F\u{7f}é\\n\"},\"\\\\ \"]");
    }

    #[test]
    fn the_last_zero_goes_where_it_says_nothing() {
        let mut out = Vec::new();
        push_canonical(&mut out, br#"[1.50, 2.00, 10, {"a": "3.0"}]"#).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), r#"[1.5,2,10,{"a":"3.0"}]"#);
    }

    #[test]
    fn numbers_have_the_types_that_duckdb_gives_them() {
        let kind = |text: &str| super::super::read::KINDS[usize::from(number_kind(text.as_bytes())) - 1];
        assert_eq!(kind("0"), "UBIGINT");
        assert_eq!(kind("-9223372036854775808"), "BIGINT");
        assert_eq!(kind("-9223372036854775809"), "DOUBLE");
        assert_eq!(kind("1.0"), "DOUBLE");
    }
}
