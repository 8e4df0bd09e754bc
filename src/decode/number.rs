//! Exact numbers: `#[serde(with = "lambda_streams::number")]` reads an `N` into your own decimal type, with all of its digits.
//!
//! DynamoDB's numbers have up to 38 digits, and serde's largest types have fewer: a decimal type that asks serde for *any*
//! number gets an `f64`, and `3804086584686624768.25` becomes 3804086584686625000. For money, use this module with the decimal
//! type of your choice, or [`Number`](crate::Number):
//!
//! ```
//! use lambda_streams::Number;
//!
//! # /// Stands for `rust_decimal::Decimal` or `bigdecimal::BigDecimal`.
//! # struct Decimal(String);
//! # impl std::str::FromStr for Decimal {
//! #     type Err = std::convert::Infallible;
//! #     fn from_str(text: &str) -> Result<Self, Self::Err> { Ok(Self(text.to_owned())) }
//! # }
//! # impl std::fmt::Display for Decimal {
//! #     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(&self.0) }
//! # }
//! #[derive(serde::Deserialize)]
//! struct Order {
//!     #[serde(with = "lambda_streams::number")]
//!     total: Decimal,
//!     #[serde(default, with = "lambda_streams::number::option")]
//!     discount: Option<Decimal>,
//!     weight: Number,
//! }
//!
//! let order: Order = lambda_streams::from_image(r#"{"total": {"N": "3804086584686624768.25"}, "weight": {"N": "0.5"}}"#)?;
//! assert_eq!(order.total.to_string(), "3804086584686624768.25");
//! assert!(order.discount.is_none());
//! assert_eq!(order.weight, "5E-1".parse()?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! It takes any type that is `FromStr` and `Display`, such as `rust_decimal::Decimal`, `bigdecimal::BigDecimal`, `u128` or
//! `f64`. The type gets the text of the number as DynamoDB spells it, and if it refuses that, the same number without an
//! exponent. Then its own `Display` must show the same number; a type that has dropped a digit is an error, never a rounded
//! value.
//!
//! It works wherever a field is: in nested types, in enums of every representation, and in flattened parts. Where serde
//! buffers values (`flatten`, `untagged`, `tag`), a number that neither `i64`, `u64` nor `f64` holds travels as text: see
//! [`from_image`](crate::from_image).
//!
//! Other formats: from JSON it reads a number. It serializes as `i64`, `u64` or `f64` if one of them is the same number,
//! otherwise as text, which it also reads back. Other text is refused.

mod exact;

use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{Deserializer, MapAccess, Unexpected, Visitor};
use serde::ser::{Error as _, Serializer};

pub use self::exact::{Number, NumberError};

use super::decimal::{self, AnyNumber};

/// The name of the newtype that asks the decoder for a number's text, and tells the encoder of tests that a text is a number. Other
/// formats take it for an ordinary newtype.
pub(crate) const TOKEN: &str = "lambda_streams::Number";

/// Deserializes a number exactly.
///
/// # Errors
/// If the value is not a number, or the type does not hold all of its digits.
pub fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: FromStr + Display,
    D: Deserializer<'de>,
{
    deserializer.deserialize_newtype_struct(TOKEN, NumberVisitor { is_strict: false, number: PhantomData })
}

/// Serializes a number as `i64`, `u64` or `f64`, or as text if none of them is the same number.
///
/// # Errors
/// If the type does not show itself as a decimal number, or the serializer refuses it.
pub fn serialize<T, S>(number: &T, serializer: S) -> Result<S::Ok, S::Error>
where
    T: Display,
    S: Serializer,
{
    let text = number.to_string();
    if !decimal::is_number(&text) {
        return Err(S::Error::custom("the value does not show itself as a decimal number"));
    }
    match decimal::any(&text) {
        AnyNumber::Signed(number) => serializer.serialize_i64(number),
        AnyNumber::Unsigned(number) => serializer.serialize_u64(number),
        AnyNumber::Float(number) => serializer.serialize_f64(number),
        AnyNumber::Text => serializer.serialize_newtype_struct(TOKEN, &text),
    }
}

/// Whether a text is one that [`serialize`] writes for a number, because no type of serde holds that number.
pub(super) fn is_written_as_text(text: &str) -> bool {
    decimal::is_number(text) && decimal::any(text) == AnyNumber::Text
}

/// The same for an `Option`: a `NULL` is `None`, and so is a missing attribute if the field has `#[serde(default)]`.
pub mod option {
    use super::{Deserializer, Display, FromStr, PhantomData, Serializer, Visitor, fmt};

    /// Deserializes a number exactly, or a `NULL` as `None`.
    ///
    /// # Errors
    /// If the value is neither a number nor `NULL`, or the type does not hold all of its digits.
    pub fn deserialize<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
    where
        T: FromStr + Display,
        D: Deserializer<'de>,
    {
        deserializer.deserialize_option(OptionVisitor(PhantomData))
    }

    /// Serializes a number as [`number::serialize`](super::serialize) does.
    ///
    /// # Errors
    /// If the type does not show itself as a decimal number, or the serializer refuses it.
    pub fn serialize<T, S>(number: &Option<T>, serializer: S) -> Result<S::Ok, S::Error>
    where
        T: Display,
        S: Serializer,
    {
        match number {
            Some(number) => super::serialize(number, serializer),
            None => serializer.serialize_none(),
        }
    }

    struct OptionVisitor<T>(PhantomData<T>);

    impl<'de, T: FromStr + Display> Visitor<'de> for OptionVisitor<T> {
        type Value = Option<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an optional number")
        }

        fn visit_none<E>(self) -> Result<Option<T>, E> {
            Ok(None)
        }

        fn visit_unit<E>(self) -> Result<Option<T>, E> {
            Ok(None)
        }

        fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<T>, D::Error> {
            super::deserialize(deserializer).map(Some)
        }
    }
}

/// Receives a number: its text from the decoder, and whatever other deserializers make of it.
struct NumberVisitor<T> {
    /// Whether text may be the content of an `S`.
    is_strict: bool,
    number: PhantomData<T>,
}

impl<T: FromStr + Display> NumberVisitor<T> {
    /// The value of this number, if the type holds all of its digits.
    fn value<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        let parsed = text.parse::<T>().ok().or_else(|| decimal::plain(text)?.parse().ok());
        parsed.filter(|value| shows(value, text)).ok_or_else(|| E::invalid_value(unexpected(text), &self))
    }
}

/// The number as a type receives it that takes any value.
fn unexpected(text: &str) -> Unexpected<'_> {
    match decimal::any(text) {
        AnyNumber::Signed(number) => Unexpected::Signed(number),
        AnyNumber::Unsigned(number) => Unexpected::Unsigned(number),
        AnyNumber::Float(number) => Unexpected::Float(number),
        AnyNumber::Text => Unexpected::Str(text),
    }
}

/// Whether a value shows itself as this number.
fn shows(value: &impl Display, text: &str) -> bool {
    let shown = value.to_string();
    decimal::is_number(&shown) && decimal::are_equal(&shown, text)
}

impl<'de, T: FromStr + Display> Visitor<'de> for NumberVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = std::any::type_name::<T>();
        // A generic type is shown without its arguments, and every type without its path.
        let name = name.split('<').next().unwrap_or(name);
        f.write_str(name.rsplit("::").next().unwrap_or(name))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<T, E> {
        self.value(&number.to_string())
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<T, E> {
        self.value(&number.to_string())
    }

    fn visit_i128<E: serde::de::Error>(self, number: i128) -> Result<T, E> {
        self.value(&number.to_string())
    }

    fn visit_u128<E: serde::de::Error>(self, number: u128) -> Result<T, E> {
        self.value(&number.to_string())
    }

    fn visit_f32<E: serde::de::Error>(self, number: f32) -> Result<T, E> {
        // The `f64` of the same value has a longer spelling.
        if number.is_finite() { self.value(&number.to_string()) } else { self.visit_f64(number.into()) }
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<T, E> {
        if number.is_finite() {
            return self.value(&number.to_string());
        }
        Err(E::invalid_value(Unexpected::Float(number), &self))
    }

    /// From others than the decoder it takes text only where a number had to become text. Any other may be that of an `S`.
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        if if self.is_strict { is_written_as_text(text) } else { decimal::is_number(text) } {
            return self.value(text);
        }
        Err(E::invalid_type(Unexpected::Str(text), &self))
    }

    /// How `serde_json` passes on a number if its feature `arbitrary_precision` is on.
    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<T, A::Error> {
        self.is_strict = false;
        match map.next_entry::<String, String>() {
            Ok(Some((name, text))) if name == "$serde_json::private::Number" => self.visit_str(&text),
            _ => Err(serde::de::Error::invalid_type(Unexpected::Map, &self)),
        }
    }

    /// How a deserializer answers that does not know [`TOKEN`].
    fn visit_newtype_struct<D: Deserializer<'de>>(mut self, deserializer: D) -> Result<T, D::Error> {
        self.is_strict = true;
        deserializer.deserialize_any(self)
    }
}
