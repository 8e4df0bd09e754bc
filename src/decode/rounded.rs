//! Passes numbers to types that take any value, and remembers which of them may be rounded.
//!
//! A number that neither `i64`, `u64` nor `f64` holds is passed on as text. If serde buffered it and then wants an `f64`, that
//! fails, although the type asked for a rounded number. Then the item is decoded again, with this one number rounded.

use serde::de::Visitor;

use super::decimal::{self, AnyNumber};
use super::error::{ErrorImpl, Fingerprint};

/// The numbers of an item that are rounded where a type takes any value.
#[derive(Default)]
pub(super) struct Rounded(Vec<Fingerprint>);

impl Rounded {
    /// Adds the number that an error is about; `false` if rounding does not help, or has been tried too often.
    #[cold]
    pub(super) fn add(&mut self, error: &ErrorImpl) -> bool {
        /// So that an item of many such numbers is not decoded as many times.
        const MAX: usize = 32;
        let Some(number) = error.wanted_float() else { return false };
        if self.0.len() == MAX || self.0.contains(&number) {
            return false;
        }
        self.0.push(number);
        true
    }

    /// Passes a number to a type that takes any value.
    pub(super) fn pass_on<'de, V: Visitor<'de>>(&self, text: &str, visitor: V) -> Result<V::Value, ErrorImpl> {
        match decimal::any(text) {
            AnyNumber::Signed(number) => visitor.visit_i64(number),
            AnyNumber::Unsigned(number) => visitor.visit_u64(number),
            AnyNumber::Float(number) => visitor.visit_f64(number),
            AnyNumber::Text => match self.get(text) {
                Some(number) => visitor.visit_f64(number),
                None => visitor.visit_str(text),
            },
        }
    }

    /// The nearest `f64` of a number, if the number is to be rounded.
    pub(super) fn get(&self, text: &str) -> Option<f64> {
        text.parse().ok().filter(|_| self.0.contains(&Fingerprint::text(text)))
    }
}
