//! `ApproximateCreationDateTime` in the forms that occur: whole seconds, fractions, exponents, milliseconds, and the
//! same as text.

use std::time::{Duration, SystemTime};

/// From here on a number counts milliseconds: in seconds it would be the year 5138.
const FIRST_MILLISECONDS: f64 = 1e11;
/// From here on a number counts microseconds (Kinesis Data Streams for DynamoDB can).
const FIRST_MICROSECONDS: f64 = 1e14;

/// Parses the member's JSON text; `None` if it is not a point in time.
pub(super) fn parse(json: &str) -> Option<SystemTime> {
    match json.as_bytes() {
        [b'"', .., b'"'] => from_text(json.get(1..json.len() - 1)?),
        [b'"', ..] => None,
        _ => match json.strip_suffix(".0").unwrap_or(json).parse::<u32>() {
            // Streams write whole seconds.
            Ok(seconds) => Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.into())),
            Err(_) => from_number(json.parse().ok()?),
        },
    }
}

fn from_text(text: &str) -> Option<SystemTime> {
    if text.bytes().next()?.is_ascii_alphabetic() {
        return None; // `f64` would parse "inf" and "nan"
    }
    match text.parse() {
        Ok(number) => from_number(number),
        // The form in which the SDKs print a timestamp.
        Err(_) => humantime::parse_rfc3339(text).ok(),
    }
}

fn from_number(number: f64) -> Option<SystemTime> {
    let micros = match number.abs() {
        size if size >= FIRST_MICROSECONDS => number,
        size if size >= FIRST_MILLISECONDS => number * 1e3,
        _ => number * 1e6,
    };
    // Whole microseconds: the nearest `f64` to 1559320290.838 is a few nanoseconds off.
    let since = (micros.abs() < u64::MAX as f64).then(|| Duration::from_micros(micros.abs().round() as u64))?;
    if micros < 0.0 { SystemTime::UNIX_EPOCH.checked_sub(since) } else { SystemTime::UNIX_EPOCH.checked_add(since) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(json: &str) -> Option<i128> {
        parse(json).map(|time| match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => after.as_millis() as i128,
            Err(before) => -(before.duration().as_millis() as i128),
        })
    }

    #[test]
    fn every_form_that_occurs_is_parsed() {
        for (json, expected) in [
            ("1767225600", 1_767_225_600_000),
            ("1.4285376E9", 1_428_537_600_000),
            ("1480642020.0", 1_480_642_020_000),
            ("1559320290.838", 1_559_320_290_838),
            ("1731924555370", 1_731_924_555_370),
            ("1731924555370123", 1_731_924_555_370),
            (r#""1678831218.0""#, 1_678_831_218_000),
            (r#""2026-01-01T00:00:00Z""#, 1_767_225_600_000),
            ("-1", -1_000),
            ("0", 0),
        ] {
            assert_eq!(millis(json), Some(expected), "{json}");
        }
    }

    #[test]
    fn other_values_are_refused() {
        for json in
            [r#""yesterday""#, r#""""#, r#""inf""#, r#""-nan""#, "{}", "[]", "true", "1e999", "1e300", r#"""#, r#""é""#]
        {
            assert_eq!(parse(json), None, "{json}");
        }
    }
}
