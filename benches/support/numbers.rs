//! Numbers as a person reads them.

/// A ratio, which is rarely sure of more than two digits.
pub(crate) fn times(ratio: f64) -> String {
    format!("{}×", significant(ratio, 2))
}

pub(crate) fn bytes(bytes: usize) -> String {
    match bytes as f64 {
        kilobytes if kilobytes < 1e6 => format!("{} KB", significant(kilobytes / 1e3, 3)),
        megabytes => format!("{} MB", significant(megabytes / 1e6, 3)),
    }
}

/// A positive number rounded to this many digits, with at most two decimals.
pub(crate) fn significant(value: f64, digits: i32) -> String {
    let magnitude = |value: f64| value.log10().floor() as i32 + 1;
    let unit = 10_f64.powi(magnitude(value) - digits);
    // Rounding may add a digit: 9.96 becomes 10.
    let rounded = (value / unit).round() * unit;
    grouped(rounded, (digits - magnitude(rounded)).clamp(0, 2) as usize)
}

/// With this many decimals, and commas between thousands.
pub(crate) fn grouped(value: f64, decimals: usize) -> String {
    let plain = format!("{value:.decimals$}");
    let integer = plain.split('.').next().map_or(0, str::len);
    let mut text = String::new();
    for (position, digit) in plain.char_indices() {
        if position > 0 && position < integer && (integer - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_significant_digits() {
        for (value, expected) in [(0.0643, "0.06"), (0.999, "1.00"), (7.246, "7.25"), (51.46, "51.5"), (99.96, "100")] {
            assert_eq!(significant(value, 3), expected);
        }
        for (value, expected) in [(0.994, "0.99×"), (0.996, "1.0×"), (7.246, "7.2×"), (9.96, "10×"), (15.8, "16×")]
        {
            assert_eq!(times(value), expected);
        }
    }

    #[test]
    fn thousands_are_separated() {
        for (value, expected) in [(1.0, "1"), (999.0, "999"), (1_000.0, "1,000"), (1_234_567.0, "1,234,567")] {
            assert_eq!(grouped(value, 0), expected);
        }
        assert_eq!(significant(643_210.0, 3), "643,000");
    }

    #[test]
    fn bytes_are_kilobytes_or_megabytes() {
        assert_eq!([bytes(1_556), bytes(154_973), bytes(15_528_473)], ["1.56 KB", "155 KB", "15.5 MB"]);
    }
}
