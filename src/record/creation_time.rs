//! `ApproximateCreationDateTime` in the forms that occur: whole seconds, fractions, exponents, milliseconds, the same as text,
//! and dates as the SDKs and tools print them. It is only information: what cannot be read counts as absent.

use std::time::{Duration, SystemTime};

/// From here on a number counts milliseconds: in seconds it would be the year 5138.
const FIRST_MILLISECONDS: f64 = 1e11;
/// From here on a number counts microseconds (Kinesis Data Streams for DynamoDB can).
const FIRST_MICROSECONDS: f64 = 1e14;

/// Parses the member's JSON text; `None` if it is not a point in time.
pub(super) fn parse(json: &str) -> Option<SystemTime> {
    match json.as_bytes() {
        [b'"', ..] if json.contains('\\') => from_text(&serde_json::from_str::<String>(json).ok()?),
        [b'"', .., b'"'] => from_text(json.get(1..json.len() - 1)?),
        // Half a string is not a number either.
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
        Err(_) => from_date(text.as_bytes()),
    }
}

/// Parses a date and a time of day as in RFC 3339. A blank may take the place of the `T`, and a time without a zone is UTC.
fn from_date(text: &[u8]) -> Option<SystemTime> {
    let (date_time, rest) = text.split_first_chunk::<19>()?;
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T' | b't' | b' ', h0, h1, b':', n0, n1, b':', s0, s1] =
        *date_time
    else {
        return None;
    };
    let days = days_since_epoch(decimal(&[y0, y1, y2, y3])?, decimal(&[m0, m1])?, decimal(&[d0, d1])?)?;
    let (hour, minute, second) = (decimal(&[h0, h1])?, decimal(&[n0, n1])?, decimal(&[s0, s1])?);
    // 60 is a leap second.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (nanos, zone) = fraction(rest)?;
    let seconds = days * 86_400 + (hour * 3_600 + minute * 60 + second) - offset(zone)?;
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let epoch = SystemTime::UNIX_EPOCH;
    let time = if seconds < 0 { epoch.checked_sub(whole) } else { epoch.checked_add(whole) };
    time?.checked_add(Duration::from_nanos(nanos))
}

/// The fraction of a second that the text begins with, in nanoseconds, and the text after it. Further digits are dropped.
fn fraction(text: &[u8]) -> Option<(u64, &[u8])> {
    let [b'.', rest @ ..] = text else { return Some((0, text)) };
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = rest.split_at_checked(count).filter(|_| count > 0)?;
    let zeros = std::iter::repeat(&b'0');
    let nanos = digits.iter().chain(zeros).take(9).fold(0, |nanos, digit| nanos * 10 + u64::from(digit - b'0'));
    Some((nanos, rest))
}

/// How many seconds a zone is ahead of UTC: `Z`, `+02:00`, `-0500`, `+02`, or nothing for UTC.
fn offset(zone: &[u8]) -> Option<i64> {
    let zone = zone.strip_prefix(b" ").unwrap_or(zone);
    let (sign, hour, minute) = match *zone {
        [] | [b'Z' | b'z'] => return Some(0),
        [sign, h0, h1] => (sign, [h0, h1], *b"00"),
        [sign, h0, h1, m0, m1] | [sign, h0, h1, b':', m0, m1] => (sign, [h0, h1], [m0, m1]),
        _ => return None,
    };
    let (hour, minute) = (decimal(&hour)?, decimal(&minute)?);
    let size = (hour <= 23 && minute <= 59).then_some(hour * 3_600 + minute * 60)?;
    match sign {
        b'+' => Some(size),
        b'-' => Some(-size),
        _ => None,
    }
}

fn decimal(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0')))
}

/// The days from 1970-01-01 to a date of the Gregorian calendar; `None` if there is no such date.
fn days_since_epoch(year: i64, month: i64, day: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    // Years are counted from March, so the leap day is the last of its year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    (1..=length).contains(&day).then(|| year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468)
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
            (r#""1731924555370""#, 1_731_924_555_370),
            (r#""1.4285376E9""#, 1_428_537_600_000),
            (r#""2026-01-01T00:00:00Z""#, 1_767_225_600_000),
            (r#""2026-01-01t00:00:00z""#, 1_767_225_600_000),
            (r#""2026-01-01T02:00:00+02:00""#, 1_767_225_600_000),
            (r#""2025-12-31T18:30:00.000000-05:30""#, 1_767_225_600_000),
            (r#""2026-01-01T02:00:00+0200""#, 1_767_225_600_000),
            (r#""2026-01-01T02:00:00+02""#, 1_767_225_600_000),
            (r#""2026-01-01T00:00:00""#, 1_767_225_600_000),
            (r#""2026-01-01 00:00:00""#, 1_767_225_600_000),
            (r#""2026-01-01 00:00:00.25 +00:00""#, 1_767_225_600_250),
            (r#""2026-01-01T00:00:00.1239999999999Z""#, 1_767_225_600_123),
            (r#""2026-01-01T00\u003a00:00Z""#, 1_767_225_600_000),
            (r#""2025-12-31T23:59:60Z""#, 1_767_225_600_000),
            (r#""2024-02-29T12:00:00Z""#, 1_709_208_000_000),
            (r#""2000-02-29T00:00:00Z""#, 951_782_400_000),
            (r#""2000-03-01T00:00:00Z""#, 951_868_800_000),
            (r#""1970-01-01T00:30:00+01:00""#, -1_800_000),
            (r#""1969-12-31T23:59:59.5Z""#, -500),
            (r#""0000-03-01T00:00:00Z""#, -62_162_035_200_000),
            (r#""9999-12-31T23:59:59Z""#, 253_402_300_799_000),
            ("-1", -1_000),
            ("0", 0),
        ] {
            assert_eq!(millis(json), Some(expected), "{json}");
        }
    }

    #[test]
    fn other_values_are_refused() {
        for json in [
            r#""yesterday""#,
            r#""""#,
            r#""inf""#,
            r#""-nan""#,
            "{}",
            "[]",
            "true",
            "1e999",
            "1e300",
            "18446744073709551616",
            r#"""#,
            r#""é""#,
        ] {
            assert_eq!(parse(json), None, "{json}");
        }
        for text in [
            "2026-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:61Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00+24:00",
            "2026-01-01T00:00:00+00:60",
            "2026-01-01T00:00:00*00:00",
            "2026-01-01T00:00:00ZZ",
            "2026-01-01T00:00Z",
            "2026-01-01",
            "2026-01-01_00:00:00",
            "2026-01-01T00:00:0é",
            "+026-01-01T00:00:00Z",
        ] {
            assert_eq!(parse(&format!("\"{text}\"")), None, "{text}");
        }
    }
}
