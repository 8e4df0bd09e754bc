//! Appends numbers and strings to a line as JSON, for metrics and logs.

/// Every whole number below it is exactly representable as an `f64`.
const EXACT: f64 = 9e15;
const MILLION: u64 = 1_000_000;

/// Appends a finite number in its shortest form that reads back as the same.
///
/// Almost all metrics are whole millionths: counts, and milliseconds to the nanosecond. Their digits are written here: by
/// `serde_json`, a count of eight would be `8.0`, and the cost of metrics in a batch of 1,000 records would grow by a fifth (bench
/// `observability`).
pub(crate) fn number(line: &mut Vec<u8>, value: f64) {
    let millionths = value * MILLION as f64;
    if (0.0..EXACT).contains(&millionths) {
        let whole = (millionths + 0.5) as u64;
        if whole as f64 / MILLION as f64 == value {
            return decimal(line, whole / MILLION, (whole % MILLION) as u32);
        }
    }
    json(line, &value);
}

/// Appends a whole number.
pub(crate) fn whole(line: &mut Vec<u8>, value: u64) {
    decimal(line, value, 0);
}

/// Appends a number that is `wholes` and `millionths` of one, without trailing zeros.
fn decimal(line: &mut Vec<u8>, mut wholes: u64, mut millionths: u32) {
    const POINT: usize = 20;
    const END: usize = POINT + 7;
    let mut buffer = [b'0'; END];
    let mut end = POINT;
    if millionths > 0 {
        buffer[POINT] = b'.';
        for digit in buffer[POINT + 1..].iter_mut().rev() {
            *digit += (millionths % 10) as u8;
            millionths /= 10;
        }
        end = END;
        while buffer[end - 1] == b'0' {
            end -= 1;
        }
    }
    let mut start = POINT;
    loop {
        start -= 1;
        buffer[start] = b'0' + (wholes % 10) as u8;
        wholes /= 10;
        if wholes == 0 {
            break;
        }
    }
    line.extend_from_slice(&buffer[start..end]);
}

/// Appends a text in quotes, escaped.
pub(crate) fn text(line: &mut Vec<u8>, text: &str) {
    json(line, text);
}

fn json<T: serde::Serialize + ?Sized>(line: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(line, value)
        .expect("strings and finite numbers have a JSON form, and writing to a vector does not fail");
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::observe::metrics::millis;

    fn written(value: f64) -> String {
        let mut line = Vec::new();
        number(&mut line, value);
        String::from_utf8(line).expect("digits")
    }

    #[test]
    fn numbers_are_short_and_read_back_the_same() {
        for (value, expected) in [
            (0.0, "0"),
            (8.0, "8"),
            (100.0, "100"),
            (0.3, "0.3"),
            (0.000_001, "0.000001"),
            (0.112_974, "0.112974"),
            (1.000_001, "1.000001"),
            (2_214.413_345, "2214.413345"),
            (120_000.0, "120000"),
            (9_000_000_000.5, "9000000000.5"),
        ] {
            assert_eq!(written(value), expected);
        }
        let odd = [0.1 + 0.2, 1e-7, 1e300, f64::MIN_POSITIVE, f64::MAX, -5.0, -0.25, 9e15, 1.0 / 3.0, u64::MAX as f64];
        for value in odd {
            assert_eq!(written(value).parse::<f64>().map(f64::to_bits), Ok(value.to_bits()), "{value}");
        }
        for nanoseconds in (0..5_000_000_000_u64).step_by(777_777) {
            let value = millis(Duration::from_nanos(nanoseconds));
            assert_eq!(written(value).parse::<f64>().map(f64::to_bits), Ok(value.to_bits()), "{nanoseconds} ns");
        }
    }

    #[test]
    fn text_is_escaped_as_json_requires() {
        for known in ["", "orders", "Köln", "a\"b", "a\\b", "line\nbreak", "\u{1}"] {
            let mut line = Vec::new();
            text(&mut line, known);
            assert_eq!(serde_json::from_slice::<String>(&line).expect("a text"), known);
        }
    }
}
