//! What `serde_dynamo` makes of an item, with the differences that the documentation of `from_image` lists.

use std::collections::HashMap;
use std::fmt::Debug;

use serde::de::DeserializeOwned;
use serde_dynamo::{AttributeValue, from_item};

type Item = HashMap<String, AttributeValue>;

/// A number as this crate passes it to a type that takes any.
#[derive(Debug, PartialEq)]
pub(super) enum Number {
    /// It is whole, and fits an `i64` or `u64`, which this spelling does.
    Whole(String),
    /// An `f64` is the same number.
    Float,
    /// Neither is.
    Long,
}

impl Number {
    pub(super) fn of(text: &str) -> Self {
        let parts = Parts::of(text);
        let (is_negative, digits, exponent) = (parts.is_negative, &parts.digits, parts.exponent);
        if digits.is_empty() {
            return Self::Whole("0".to_owned());
        }
        if (0..=20).contains(&exponent) && digits.len() <= 20 {
            let whole = format!("{}{digits}{}", if is_negative { "-" } else { "" }, "0".repeat(exponent as usize));
            if whole.parse::<i64>().is_ok() || whole.parse::<u64>().is_ok() {
                return Self::Whole(whole);
            }
        }
        let float: f64 = text.parse().expect("a number");
        if float.is_finite() && Parts::of(&format!("{float:e}")) == parts { Self::Float } else { Self::Long }
    }
}

#[derive(PartialEq)]
struct Parts {
    is_negative: bool,
    digits: String,
    exponent: i64,
}

impl Parts {
    fn of(text: &str) -> Self {
        let magnitude = text.trim_start_matches(['-', '+']);
        let (mantissa, exponent) = magnitude.split_once(['e', 'E']).unwrap_or((magnitude, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        let digits = digits.trim_start_matches('0');
        let significant = digits.trim_end_matches('0');
        // With an exponent out of range, a number is as far from all others.
        let exponent: i64 = exponent.parse().unwrap_or(if exponent.starts_with('-') { -1 << 40 } else { 1 << 40 });
        let exponent = exponent + (digits.len() - significant.len()) as i64 - fraction.len() as i64;
        Self { is_negative: text.starts_with('-'), digits: significant.to_owned(), exponent }
    }
}

/// How an item is changed for `serde_dynamo`.
#[derive(Clone, Copy)]
struct Changes {
    /// Numbers that no type holds are text, as for a type that takes any.
    long_as_text: bool,
    /// Sets are lists, since their elements are read as those of a list.
    sets_as_lists: bool,
}

impl Changes {
    fn item(self, item: &Item) -> Item {
        item.iter().map(|(name, value)| (name.clone(), self.value(value))).collect()
    }

    fn value(self, value: &AttributeValue) -> AttributeValue {
        match value {
            AttributeValue::N(text) => self.number(text),
            AttributeValue::L(list) => AttributeValue::L(list.iter().map(|value| self.value(value)).collect()),
            AttributeValue::M(map) => AttributeValue::M(self.item(map)),
            _ if !self.sets_as_lists => value.clone(),
            AttributeValue::Ss(set) => AttributeValue::L(set.iter().cloned().map(AttributeValue::S).collect()),
            AttributeValue::Ns(set) => AttributeValue::L(set.iter().map(|text| self.number(text)).collect()),
            AttributeValue::Bs(set) => AttributeValue::L(set.iter().cloned().map(AttributeValue::B).collect()),
            other => other.clone(),
        }
    }

    fn number(self, text: &str) -> AttributeValue {
        match Number::of(text) {
            Number::Long if self.long_as_text => AttributeValue::S(text.to_owned()),
            Number::Whole(whole) => AttributeValue::N(whole),
            Number::Float | Number::Long => AttributeValue::N(text.to_owned()),
        }
    }
}

/// Whether an item has a number that neither `i64`, `u64` nor `f64` holds.
fn has_long_numbers<'a>(values: impl IntoIterator<Item = &'a AttributeValue>) -> bool {
    values.into_iter().any(|value| match value {
        AttributeValue::N(text) => Number::of(text) == Number::Long,
        AttributeValue::Ns(set) => set.iter().any(|text| Number::of(text) == Number::Long),
        AttributeValue::L(list) => has_long_numbers(list),
        AttributeValue::M(map) => has_long_numbers(map.values()),
        _ => false,
    })
}

/// The results that are right for an item; `None` if it is refused.
#[derive(Debug)]
pub(super) struct Expected<T>(Vec<Option<T>>);

impl<T: DeserializeOwned + PartialEq + Debug> Expected<T> {
    /// A type gets the text of a long number if it takes any, and otherwise the nearest of its own numbers, or refuses it.
    pub(super) fn of(item: &Item) -> Self {
        let of = |long_as_text, sets_as_lists| from_item(Changes { long_as_text, sets_as_lists }.item(item)).ok();
        let ways: &[bool] = if has_long_numbers(item.values()) { &[true, false] } else { &[false] };
        let mut right: Vec<Option<T>> = ways.iter().map(|long_as_text| of(*long_as_text, true)).collect();
        // A struct is read from a list, and not from a set.
        right.extend(of(false, false).is_none().then_some(None));
        Self(right)
    }

    pub(super) fn admits(&self, ours: Option<&T>) -> bool {
        self.0.iter().any(|right| right.as_ref() == ours)
    }
}
