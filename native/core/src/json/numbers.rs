//! Numbers as text: which of them a reader would not give back, and the one form that equal ones share.

/// Digits a canonical number may have before it is written with an exponent.
const PLAIN_DIGITS: i64 = 100;

/// Return whether a JSON number may not come back from DuckDB's JSON functions as it was.
///
/// True: any exponent; over 15 significant digits with a fraction, unless a double prints the same; a fraction below
/// 1e-4 (printed with an exponent); 20 or more integer digits; a negative zero.
pub fn needs_mark(number: &str) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number);
    if digits.contains(['e', 'E']) {
        return true;
    }
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let zeros = digits.bytes().take_while(|byte| matches!(byte, b'0' | b'.')).filter(|&byte| byte == b'0').count();
    let significant = whole.len() + fraction.len() - zeros;
    if significant == 0 {
        return number.starts_with('-');
    }
    if !digits.contains('.') {
        return digits.len() > 19;
    }
    if whole == "0" && fraction.starts_with("0000") {
        return true;
    }
    significant > 15 && number.parse::<f64>().map_or(true, |double| shortest(double) != number)
}

/// Write a double as Python does: with the fewest digits, an exponent below 1e-4 and from 1e16 on.
///
/// So does Rust, but where two such texts are equally near it takes the larger, Python the one with an even digit.
fn shortest(double: f64) -> String {
    let written = format!("{double:?}");
    let places = written.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    if written.contains('e') || places == 0 {
        return written;
    }
    let nearest = format!("{double:.places$}");
    if nearest.parse() == Ok(double) { nearest } else { written }
}

/// Write a JSON number in the one form that equal numbers share, or say why there is none.
///
/// No exponent while that takes at most 100 digits, else `d.ddde+n`; no trailing zeros, no negative zero.
pub fn canonical_number(number: &str) -> Result<String, &'static str> {
    let (sign, rest) = number.strip_prefix('-').map_or(("", number), |rest| ("-", rest));
    let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Ok("0".to_owned());
    }
    if exponent.trim_start_matches(['+', '-', '0']).len() > 18 {
        return Err("a number has an exponent of over 18 digits");
    }
    let kept = digits.trim_end_matches('0');
    let written: i64 = exponent.trim_start_matches('+').parse().map_err(|_| "no number")?;
    let exponent = written - fraction.len() as i64 + (digits.len() - kept.len()) as i64;
    let count = kept.len() as i64;
    if (count + exponent.max(0)).max(-exponent) > PLAIN_DIGITS {
        let (first, others) = kept.split_at(1);
        let point = if others.is_empty() { "" } else { "." };
        return Ok(format!("{sign}{first}{point}{others}e{:+}", exponent + count - 1));
    }
    if exponent >= 0 {
        return Ok(format!("{sign}{kept}{}", "0".repeat(exponent as usize)));
    }
    let places = exponent.unsigned_abs() as usize;
    let padded = format!("{kept:0>width$}", width = places + 1);
    let (whole, fraction) = padded.split_at(padded.len() - places);
    Ok(format!("{sign}{whole}.{fraction}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_share_a_form() {
        for (number, canonical) in [
            ("1.50", "1.5"),
            ("-0.0", "0"),
            ("1e5", "100000"),
            ("1E-7", "0.0000001"),
            ("12.5e+1", "125"),
            ("1e100", "1e+100"),
            ("-12e300", "-1.2e+301"),
            ("1.5e-100", "1.5e-100"),
            ("0e99999999999999999999", "0"),
            ("1e-0000000000000000000005", "0.00001"),
        ] {
            assert_eq!(canonical_number(number).as_deref(), Ok(canonical), "{number}");
        }
        assert!(canonical_number("1e9999999999999999999").is_err());
    }

    #[test]
    fn what_a_double_prints_alike_needs_no_mark() {
        for number in ["0", "0.0", "1.5", "123456789012345678", "0.30000000000000004", "0.0001", "591426448792566.2"] {
            assert!(!needs_mark(number), "{number}");
        }
        for number in [
            "-0",
            "-0.0",
            "1e5",
            "0.00001",
            "0.12345678901234567890",
            "12345678901234567890",
            "10000000000000000.0",
            "591426448792566.3",
        ] {
            assert!(needs_mark(number), "{number}");
        }
    }
}
