//! A number as its text, with the order and the equality of numbers.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::decode::decimal;

/// A decimal number with any number of digits, such as the 38 of DynamoDB: the exact text of an `N`.
///
/// It compares and hashes as a number, however it is spelled, and displays its text. [`parse`](Self::parse) converts it to another type of
/// number. With serde it is read and written as [`number`](crate::number) describes.
///
/// ```
/// use lambda_streams::Number;
///
/// let price: Number = "3804086584686624768.25".parse()?;
/// assert_eq!(price.as_str(), "3804086584686624768.25");
/// assert!(price > Number::from(3_804_086_584_686_624_768_u64));
/// assert_eq!("1.50".parse::<Number>()?, "15E-1".parse()?);
/// assert_eq!("1.5E2".parse::<Number>()?.parse::<u32>(), Ok(150));
/// # Ok::<(), lambda_streams::NumberError>(())
/// ```
#[derive(Clone)]
pub struct Number(Box<str>);

impl Number {
    /// Takes the text of a decimal number: digits with an optional sign, an optional point between digits, and an optional exponent.
    ///
    /// ```
    /// use lambda_streams::Number;
    ///
    /// assert_eq!(Number::new("-12.5E-3")?.as_str(), "-12.5E-3");
    /// assert!(Number::new("12,50").is_err());
    /// # Ok::<(), lambda_streams::NumberError>(())
    /// ```
    ///
    /// # Errors
    /// If the text is not such a number, or the exponent has more than 17 digits.
    pub fn new(text: impl Into<String>) -> Result<Self, NumberError> {
        let text = text.into();
        if text.is_empty() {
            return Err(NumberError(Reason::Empty));
        }
        if !decimal::is_number(&text) {
            return Err(NumberError(Reason::NotDecimal));
        }
        if Canonical::of(&text).is_none() {
            return Err(NumberError(Reason::Exponent));
        }
        Ok(Self(text.into()))
    }

    /// The number as it was spelled.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Parses the number as another type, such as a decimal type or an integer.
    ///
    /// The type gets the number as it is spelled. If it refuses that, it gets the same number without an exponent and without trailing zeros:
    /// `1.5E2` is 150 for an integer as well. A type that rounds, such as `f64`, rounds here.
    ///
    /// ```
    /// use lambda_streams::Number;
    ///
    /// assert_eq!(Number::new("1.5E2")?.parse::<u32>(), Ok(150));
    /// assert!(Number::new("1.5")?.parse::<u32>().is_err());
    /// # Ok::<(), lambda_streams::NumberError>(())
    /// ```
    ///
    /// # Errors
    /// The type's own error, if it takes neither spelling.
    pub fn parse<T: FromStr>(&self) -> Result<T, T::Err> {
        self.0.parse().or_else(|error| decimal::plain(&self.0).and_then(|plain| plain.parse().ok()).ok_or(error))
    }

    fn canonical(&self) -> Canonical {
        Canonical::of(&self.0).expect("a number has been checked to have a canonical spelling")
    }
}

/// A number apart: its sign, its digits without zeros around them, and the power of ten of the place before the first digit.
#[derive(PartialEq, Eq, Hash)]
struct Canonical {
    is_negative: bool,
    magnitude: i64,
    /// Empty for zero.
    digits: String,
}

impl Canonical {
    /// `None` if the exponent is out of range.
    fn of(text: &str) -> Option<Self> {
        let mut spelling = String::new();
        decimal::canonical(text, &mut spelling);
        let Some((mantissa, exponent)) = spelling.split_once('e') else {
            return Some(Self { is_negative: false, magnitude: 0, digits: String::new() });
        };
        let digits = mantissa.strip_prefix('-').unwrap_or(mantissa);
        let exponent: i64 = exponent.parse().ok()?;
        Some(Self {
            is_negative: digits.len() < mantissa.len(),
            magnitude: exponent.checked_add(digits.len() as i64)?,
            digits: digits.to_owned(),
        })
    }

    fn signum(&self) -> i8 {
        match (self.is_negative, self.digits.is_empty()) {
            (_, true) => 0,
            (true, false) => -1,
            (false, false) => 1,
        }
    }

    fn compare(&self, other: &Self) -> Ordering {
        let of_size = |other: &Self| (self.magnitude, &self.digits).cmp(&(other.magnitude, &other.digits));
        self.signum().cmp(&other.signum()).then_with(|| match self.is_negative {
            true => of_size(other).reverse(),
            false => of_size(other),
        })
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || self.canonical() == other.canonical()
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        self.canonical().compare(&other.canonical())
    }
}

impl Hash for Number {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.canonical().hash(state);
    }
}

impl Default for Number {
    /// Zero.
    fn default() -> Self {
        Self::from(0_u8)
    }
}

impl FromStr for Number {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, NumberError> {
        Self::new(text)
    }
}

macro_rules! from_integer {
    ($($integer:ident)*) => {$(
        impl From<$integer> for Number {
            fn from(number: $integer) -> Self {
                Self(number.to_string().into())
            }
        }
    )*};
}

from_integer! { i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize }

impl TryFrom<f64> for Number {
    type Error = NumberError;

    /// Takes the shortest number that is this `f64` again: `0.1` is 0.1.
    ///
    /// # Errors
    /// If it is not finite.
    fn try_from(number: f64) -> Result<Self, NumberError> {
        if number.is_finite() { Ok(Self(number.to_string().into())) } else { Err(NumberError(Reason::NotFinite)) }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Number({self})")
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::deserialize(deserializer)
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        super::serialize(self, serializer)
    }
}

/// Why a text or an `f64` is not a [`Number`].
///
/// ```
/// let error = "12,50".parse::<lambda_streams::Number>().unwrap_err();
/// assert_eq!(error.to_string(), "the text is not a decimal number such as `-12.5E-3`");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct NumberError(Reason);

#[derive(Clone, PartialEq, Eq)]
enum Reason {
    Empty,
    NotDecimal,
    Exponent,
    NotFinite,
}

impl fmt::Display for NumberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Reason::Empty => "the text of a number is empty",
            Reason::NotDecimal => "the text is not a decimal number such as `-12.5E-3`",
            Reason::Exponent => "the exponent of the number has more than 17 digits",
            Reason::NotFinite => "infinity and NaN are not decimal numbers",
        })
    }
}

impl fmt::Debug for NumberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NumberError({self})")
    }
}

impl std::error::Error for NumberError {}
