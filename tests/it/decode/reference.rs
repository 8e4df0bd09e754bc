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
    sets: SetForm,
}

/// What a set is. The elements of lists may be newtypes and options.
#[derive(Clone, Copy, PartialEq)]
enum SetForm {
    Unchanged,
    Lists,
    /// Those of texts are lists of bytes, and the reverse: of the elements of sets, `serde_dynamo` reads one as the other.
    ListsOfTheOther,
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
            AttributeValue::Ns(set)
                if self.sets != SetForm::Unchanged || self.long_as_text && has_long_numbers([value]) =>
            {
                AttributeValue::L(set.iter().map(|text| self.number(text)).collect())
            }
            AttributeValue::Ns(set) => AttributeValue::Ns(set.iter().map(|text| respelled(text)).collect()),
            AttributeValue::Ss(set) if self.sets != SetForm::Unchanged => {
                let element = |text: &String| match self.sets {
                    SetForm::ListsOfTheOther => AttributeValue::B(text.clone().into_bytes()),
                    _ => AttributeValue::S(text.clone()),
                };
                AttributeValue::L(set.iter().map(element).collect())
            }
            AttributeValue::Bs(set) if self.sets != SetForm::Unchanged => {
                let element = |bytes: &Vec<u8>| match (self.sets, String::from_utf8(bytes.clone())) {
                    (SetForm::ListsOfTheOther, Ok(text)) => AttributeValue::S(text),
                    _ => AttributeValue::B(bytes.clone()),
                };
                AttributeValue::L(set.iter().map(element).collect())
            }
            other => other.clone(),
        }
    }

    fn number(self, text: &str) -> AttributeValue {
        match Number::of(text) {
            Number::Long if self.long_as_text => AttributeValue::S(text.to_owned()),
            _ => AttributeValue::N(respelled(text)),
        }
    }
}

fn respelled(text: &str) -> String {
    match Number::of(text) {
        Number::Whole(whole) => whole,
        Number::Float | Number::Long => text.to_owned(),
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

/// The results that are right for an item.
#[derive(Debug)]
pub(super) struct Expected<T>(Vec<Way<T>>);

/// The results that are right for one way to pass on long numbers.
#[derive(Debug)]
struct Way<T> {
    usual: Option<T>,
    /// If that is none: those with lists in place of sets.
    with_lists: Vec<T>,
}

impl<T: DeserializeOwned + PartialEq + Debug> Expected<T> {
    /// A type gets the text of a long number if it takes any, and otherwise the nearest of its own numbers, or refuses it.
    pub(super) fn of(item: &Item) -> Self {
        let ways: &[bool] = if has_long_numbers(item.values()) { &[true, false] } else { &[false] };
        let of = |long_as_text: &bool| {
            let of = |sets| from_item(Changes { long_as_text: *long_as_text, sets }.item(item)).ok();
            let usual = of(SetForm::Unchanged);
            let with_lists = match usual {
                Some(_) => Vec::new(),
                None => [SetForm::Lists, SetForm::ListsOfTheOther].into_iter().filter_map(of).collect(),
            };
            Way { usual, with_lists }
        };
        Self(ways.iter().map(of).collect())
    }

    pub(super) fn admits(&self, ours: Option<&T>) -> bool {
        self.0.iter().any(|way| way.usual.as_ref() == ours || way.with_lists.iter().any(|right| Some(right) == ours))
    }
}
