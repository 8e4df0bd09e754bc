//! Decimal numbers of any precision, kept as text.

use std::borrow::Cow;

use serde::de::Visitor;

use super::error::{AttributeType, ErrorImpl};

/// Whether the text is a decimal number as DynamoDB writes one: `-12.5E-3`.
#[inline]
pub(super) fn is_number(text: &str) -> bool {
    let rest = text.as_bytes();
    let rest = rest.strip_prefix(b"-").unwrap_or(rest);
    let Some(rest) = digits(rest) else { return false };
    let rest = match rest {
        [b'.', fraction @ ..] => match digits(fraction) {
            Some(rest) => rest,
            None => return false,
        },
        _ => rest,
    };
    match rest {
        [] => true,
        [b'e' | b'E', b'+' | b'-', exponent @ ..] | [b'e' | b'E', exponent @ ..] => digits(exponent) == Some(b""),
        _ => false,
    }
}

/// The text after one or more digits; `None` if it does not begin with one.
#[inline]
fn digits(text: &[u8]) -> Option<&[u8]> {
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (count > 0).then(|| &text[count..])
}

/// Passes the number to a type that takes any number: as an integer if it is written as one and fits, otherwise as the
/// nearest `f64`.
pub(super) fn any<'de, V: Visitor<'de>>(text: &str, visitor: V) -> Result<V::Value, ErrorImpl> {
    if let Ok(number) = text.parse() {
        return visitor.visit_i64(number);
    }
    if let Ok(number) = text.parse() {
        return visitor.visit_u64(number);
    }
    match text.parse() {
        Ok(number) => visitor.visit_f64(number),
        Err(_) => Err(ErrorImpl::wrong_value(&visitor, AttributeType::N)),
    }
}

/// Appends the canonical spelling of a number, `-125e-4`: digits without zeros around them, and a power of ten.
///
/// The text must be a number ([`is_number`]). The exponent is never expanded, however large it is.
pub(super) fn canonical(text: &str, out: &mut String) {
    if is_plain(text.as_bytes()) {
        let significant = text.trim_end_matches('0');
        out.push_str(significant);
        out.push('e');
        return push_decimal((text.len() - significant.len()) as u64, out);
    }
    let (sign, magnitude) = match text.strip_prefix('-') {
        Some(magnitude) => ("-", magnitude),
        None => ("", text),
    };
    let (mantissa, exponent) = magnitude.split_once(['e', 'E']).unwrap_or((magnitude, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let start = out.len();
    out.push_str(sign);
    let first = out.len();
    out.push_str(whole.trim_start_matches('0'));
    out.push_str(if out.len() == first { fraction.trim_start_matches('0') } else { fraction });
    if out.len() == first {
        out.replace_range(start.., "0");
        return;
    }
    let significant = out.trim_end_matches('0').len();
    let zeros = out.len() - significant;
    out.truncate(significant);
    push_exponent(exponent, zeros as i64 - fraction.len() as i64, out);
}

/// The sign and the digits of a number's canonical spelling, for a hash: all spellings of a number share them, with few other
/// numbers.
#[inline]
pub(super) fn significant_digits(text: &str) -> Cow<'_, str> {
    if is_plain(text.as_bytes()) {
        return Cow::Borrowed(text.trim_end_matches('0'));
    }
    let mut spelling = String::new();
    canonical(text, &mut spelling);
    spelling.truncate(spelling.find('e').unwrap_or(spelling.len()));
    Cow::Owned(spelling)
}

/// Whether it is a positive whole number without leading zeros, as most keys are.
fn is_plain(text: &[u8]) -> bool {
    let are_digits = text.iter().fold(true, |so_far, byte| so_far & byte.is_ascii_digit());
    are_digits && text.first().is_some_and(|first| *first != b'0')
}

fn push_exponent(exponent: &str, shift: i64, out: &mut String) {
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", exponent.strip_prefix('+').unwrap_or(exponent)),
    };
    let digits = digits.trim_start_matches('0');
    out.push('e');
    if digits.len() > 17 {
        // DynamoDB has no such number. Two spellings of it may differ here, but two numbers are never the same.
        out.extend([sign, digits, if shift < 0 { "-" } else { "+" }]);
        return push_decimal(shift.unsigned_abs(), out);
    }
    let power = digits.bytes().fold(0, |power, digit| power * 10 + i64::from(digit - b'0'));
    let power = if sign.is_empty() { power } else { -power } + shift;
    out.push_str(if power < 0 { "-" } else { "" });
    push_decimal(power.unsigned_abs(), out);
}

fn push_decimal(number: u64, out: &mut String) {
    if number >= 10 {
        push_decimal(number / 10, out);
    }
    out.push(char::from(b'0' + (number % 10) as u8));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelling(text: &str) -> String {
        assert!(is_number(text), "{text}");
        let mut out = String::from("kept:");
        canonical(text, &mut out);
        out.strip_prefix("kept:").expect("the text before is kept").to_owned()
    }

    #[test]
    fn only_decimal_numbers_are_accepted() {
        for text in ["0", "-0", "007", "1.50", "1e5", "1E+126", "-12.5e-3", "9".repeat(40).as_str()] {
            assert!(is_number(text), "{text}");
        }
        for text in [
            "", "-", "+1", " 1", "1 ", ".5", "1.", "1.e3", "1e", "1e+", "1e+-1", "0x10", "1_000", "--1", "1.2.3",
            "NaN", "inf", "Infinity", "1e1.5", "١",
        ] {
            assert!(!is_number(text), "{text}");
        }
    }

    #[test]
    fn equal_numbers_have_one_canonical_spelling() {
        for group in [
            &["1", "1.0", "1e0", "01", "10e-1", "0.1E1", "1.000e+00", "0.0001e4", "100e-02"][..],
            &["0", "-0", "0.00", "0e99", "-0.0e-999999999999999999999999999999999999999999"],
            &["-125e-4", "-0.0125", "-1.25e-2", "-00.01250"],
            &["1e999999999", "10e999999998", "0.1e1000000000"],
            &["12345678901234567890123456789012345678", "1.2345678901234567890123456789012345678e37"],
        ] {
            assert!(group.iter().all(|text| spelling(text) == spelling(group[0])), "{group:?}");
            let digits = significant_digits(group[0]);
            assert!(group.iter().all(|text| significant_digits(text) == digits), "{group:?}");
        }
    }

    #[test]
    fn different_numbers_have_different_canonical_spellings() {
        let huge = "9".repeat(50);
        let texts = [
            "0".into(),
            "1".into(),
            "-1".into(),
            "10".into(),
            "0.1".into(),
            "1e999999999".into(),
            "1e-999999999".into(),
            "12345678901234567890123456789012345678".into(),
            "12345678901234567890123456789012345679".into(),
            format!("1e{huge}"),
            format!("1e-{huge}"),
            format!("1e{huge}1"),
            format!("1.1e{huge}"),
            format!("-1e{huge}"),
        ];
        for (index, one) in texts.iter().enumerate() {
            for other in &texts[index + 1..] {
                assert_ne!(spelling(one), spelling(other), "{one} {other}");
            }
        }
    }
}
