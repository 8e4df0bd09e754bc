//! Decimal numbers of any precision, kept as text.

use std::hash::{Hash, Hasher};
use std::str::FromStr;

/// Whether the text is a decimal number as DynamoDB reads one: `-12.5E-3`.
#[inline]
pub(super) fn is_number(text: &str) -> bool {
    let rest = text.as_bytes();
    let rest = rest.strip_prefix(b"-").or_else(|| rest.strip_prefix(b"+")).unwrap_or(rest);
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

/// Why a number is not one of a type of whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotAnInteger {
    Fraction,
    OutOfRange,
}

/// Parses a whole number, however it is spelled: `150`, `00150`, `+150`, `150.0` and `1.5E2` are one number.
#[inline]
pub(super) fn integer<T: FromStr>(text: &str) -> Result<T, NotAnInteger> {
    text.parse().or_else(|_| respelled_integer(text))
}

#[cold]
fn respelled_integer<T: FromStr>(text: &str) -> Result<T, NotAnInteger> {
    /// No type of Rust holds a number with so many zeros.
    const MAX_ZEROS: usize = 40;
    let mut spelling = String::new();
    canonical(text, &mut spelling);
    if let Some((digits, exponent)) = spelling.split_once('e') {
        if exponent.starts_with('-') {
            return Err(NotAnInteger::Fraction);
        }
        let zeros = exponent.parse().ok().filter(|zeros| *zeros <= MAX_ZEROS).ok_or(NotAnInteger::OutOfRange)?;
        spelling = digits.to_owned() + &"0".repeat(zeros);
    }
    spelling.parse().map_err(|_| NotAnInteger::OutOfRange)
}

/// What a number is for a type that takes any value.
#[derive(Debug, PartialEq)]
pub(super) enum AnyNumber {
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    /// None of these is the same number, so it stays text.
    Text,
}

/// The number in the first of the types that hold it exactly.
pub(super) fn any(text: &str) -> AnyNumber {
    if let Ok(number) = text.parse() {
        return AnyNumber::Signed(number);
    }
    if let Ok(number) = text.parse() {
        return AnyNumber::Unsigned(number);
    }
    if is_spelled_as_fraction(text) {
        if let Ok(number) = integer(text) {
            return AnyNumber::Signed(number);
        }
        if let Ok(number) = integer(text) {
            return AnyNumber::Unsigned(number);
        }
    }
    match text.parse() {
        Ok(number) if is_exact(text, number) => AnyNumber::Float(number),
        _ => AnyNumber::Text,
    }
}

/// Whether a number with a fraction or an exponent may be whole.
fn is_spelled_as_fraction(text: &str) -> bool {
    text.contains(['e', 'E']) || text.trim_end_matches('0').ends_with('.')
}

/// Whether a number is the one that an `f64` shows, so no digit is lost.
fn is_exact(text: &str, number: f64) -> bool {
    /// An `f64` holds every number of 15 digits; one more place is for the point.
    const ALWAYS_EXACT: usize = 16;
    if text.len() <= ALWAYS_EXACT && !text.contains(['e', 'E']) {
        return true;
    }
    number.is_finite() && are_equal(text, &format!("{number:e}"))
}

/// Whether two strings are spellings of one number.
pub(super) fn are_equal(one: &str, other: &str) -> bool {
    let spelling = |text| {
        let mut spelling = String::new();
        canonical(text, &mut spelling);
        spelling
    };
    one == other || spelling(one) == spelling(other)
}

/// The number without an exponent, `-0.0125`; `None` if its exponent is far from all that DynamoDB has.
pub(super) fn plain(text: &str) -> Option<String> {
    const MAX_EXPONENT: i64 = 400;
    let mut spelling = String::new();
    canonical(text, &mut spelling);
    let Some((mantissa, exponent)) = spelling.split_once('e') else { return Some(spelling) };
    let exponent = exponent.parse::<i64>().ok().filter(|exponent| exponent.abs() <= MAX_EXPONENT)?;
    let (sign, digits) = mantissa.strip_prefix('-').map_or(("", mantissa), |digits| ("-", digits));
    if exponent >= 0 {
        return Some(format!("{sign}{digits}{}", "0".repeat(exponent as usize)));
    }
    let places = exponent.unsigned_abs() as usize;
    let digits = format!("{}{digits}", "0".repeat((places + 1).saturating_sub(digits.len())));
    let (whole, fraction) = digits.split_at(digits.len() - places);
    Some(format!("{sign}{whole}.{fraction}"))
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
        None => ("", text.strip_prefix('+').unwrap_or(text)),
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

/// Hashes a number by its canonical spelling, so all spellings of it have one hash, and other numbers others.
#[inline]
pub(super) fn hash<H: Hasher>(text: &str, state: &mut H) {
    if is_plain(text.as_bytes()) {
        let significant = text.trim_end_matches('0');
        significant.hash(state);
        return ((text.len() - significant.len()) as i64).hash(state);
    }
    let mut spelling = String::new();
    canonical(text, &mut spelling);
    let (digits, exponent) = spelling.split_once('e').unwrap_or((&spelling, ""));
    digits.hash(state);
    match exponent.parse::<i64>() {
        Ok(exponent) => exponent.hash(state),
        Err(_) => exponent.hash(state),
    }
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
        for text in ["0", "-0", "+1", "007", "1.50", "1e5", "1E+126", "-12.5e-3", "9".repeat(40).as_str()] {
            assert!(is_number(text), "{text}");
        }
        for text in [
            "", "-", "+", "+-1", " 1", "1 ", ".5", "1.", "1.e3", "1e", "1e+", "1e+-1", "0x10", "1_000", "--1", "1.2.3",
            "NaN", "inf", "Infinity", "1e1.5", "١",
        ] {
            assert!(!is_number(text), "{text}");
        }
    }

    #[test]
    fn a_whole_number_is_one_in_every_spelling() {
        for text in ["150", "+150", "00150", "150.0", "1.5E2", "1.5e+2", "15000e-2", "0.00015e6", "150.000e0"] {
            assert_eq!(integer(text), Ok(150_u8), "{text}");
            assert_eq!(any(text), AnyNumber::Signed(150), "{text}");
        }
        assert_eq!(integer("-0.0"), Ok(0_u8));
        assert_eq!(integer("-1.0E2"), Ok(-100_i8));
        assert_eq!(integer("3.40282366920938463463374607431768211455E38"), Ok(u128::MAX));
        for text in ["1.5", "1e-1", "-0.001", "1e-99999999999999999999"] {
            assert_eq!(integer::<i64>(text), Err(NotAnInteger::Fraction), "{text}");
        }
        for text in ["256", "-1", "1e3", "25600e-2", "1e999999999", "1e99999999999999999999"] {
            assert_eq!(integer::<u8>(text), Err(NotAnInteger::OutOfRange), "{text}");
        }
    }

    #[test]
    fn any_number_keeps_all_its_digits() {
        assert_eq!(any("9223372036854775808"), AnyNumber::Unsigned(1 << 63));
        assert_eq!(any("1.8446744073709551615E19"), AnyNumber::Unsigned(u64::MAX));
        for (text, number) in
            [("19.99", 19.99), ("-1.25E-3", -0.00125), ("1E+126", 1e126), ("0.1000000000000000000", 0.1)]
        {
            assert_eq!(any(text), AnyNumber::Float(number), "{text}");
        }
        for text in [
            "3804086584686624768.25",
            "18446744073709551616",
            "-9223372036854775809",
            "0.30000000000000000001",
            "1e400",
            "-1e-400",
            "12345678901234567890123456789012345678",
        ] {
            assert_eq!(any(text), AnyNumber::Text, "{text}");
        }
    }

    #[test]
    fn a_plain_number_has_no_exponent() {
        for (text, expected) in [
            ("1.5E2", "150"),
            ("-12.50e-3", "-0.0125"),
            ("0.00", "0"),
            ("1e-1", "0.1"),
            ("+12.5", "12.5"),
            ("1234e-4", "0.1234"),
        ] {
            assert_eq!(plain(text).as_deref(), Some(expected));
        }
        assert_eq!(plain("1e401"), None);
        assert_eq!(plain("1e-99999999999999999999"), None);
    }

    #[test]
    fn equal_numbers_have_one_canonical_spelling() {
        for group in [
            &["1", "+1", "1.0", "1e0", "01", "10e-1", "0.1E1", "1.000e+00", "0.0001e4", "100e-02"][..],
            &["0", "-0", "0.00", "0e99", "-0.0e-999999999999999999999999999999999999999999"],
            &["-125e-4", "-0.0125", "-1.25e-2", "-00.01250"],
            &["1e999999999", "10e999999998", "0.1e1000000000"],
            &["1e10000000000000000", "10e9999999999999999"],
            &["12345678901234567890123456789012345678", "1.2345678901234567890123456789012345678e37"],
        ] {
            assert!(group.iter().all(|text| spelling(text) == spelling(group[0])), "{group:?}");
            let hash = |text: &str| {
                let mut hasher = std::hash::DefaultHasher::new();
                hash(text, &mut hasher);
                hasher.finish()
            };
            assert!(group.iter().all(|text| hash(text) == hash(group[0])), "{group:?}");
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
            format!("110e{huge}"),
            format!("-1e{huge}"),
        ];
        for (index, one) in texts.iter().enumerate() {
            for other in &texts[index + 1..] {
                assert_ne!(spelling(one), spelling(other), "{one} {other}");
            }
        }
    }
}
