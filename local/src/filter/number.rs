//! Compares the numbers of patterns and records exactly, whatever their notation.

use std::cmp::Ordering;

use serde_json::{Number, Value};

/// The comparisons of a `numeric` operator, all of which must hold: `[">", 0, "<=", 100]`.
#[derive(Debug, Clone)]
pub(super) struct Range(Vec<(Comparison, Number)>);

#[derive(Debug, Clone, Copy)]
enum Comparison {
    Equal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Comparison {
    fn parse(symbol: &Value) -> Option<Self> {
        match symbol.as_str()? {
            "=" => Some(Self::Equal),
            "<" => Some(Self::Less),
            "<=" => Some(Self::AtMost),
            ">" => Some(Self::Greater),
            ">=" => Some(Self::AtLeast),
            _ => None,
        }
    }

    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::Less => ordering.is_lt(),
            Self::AtMost => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::AtLeast => ordering.is_ge(),
        }
    }
}

impl Range {
    pub(super) fn parse(operand: &Value) -> Result<Self, String> {
        let wanted = || "one or two pairs of a comparison and a number, such as [\">\", 0, \"<=\", 100]".to_owned();
        let parts = operand.as_array().filter(|parts| matches!(parts.len(), 2 | 4)).ok_or_else(wanted)?;
        let pairs = parts.chunks_exact(2).map(|pair| match pair {
            [symbol, Value::Number(number)] => Some((Comparison::parse(symbol)?, number.clone())),
            _ => None,
        });
        pairs.collect::<Option<Vec<_>>>().map(Self).ok_or_else(wanted)
    }

    pub(super) fn contains(&self, number: &Number) -> bool {
        self.0.iter().all(|(comparison, bound)| compare(number, bound).is_some_and(|order| comparison.holds(order)))
    }
}

/// Compares integers as integers, and everything else as `f64`.
pub(super) fn compare(one: &Number, other: &Number) -> Option<Ordering> {
    match (one.as_i128(), other.as_i128()) {
        (Some(one), Some(other)) => Some(one.cmp(&other)),
        _ => one.as_f64()?.partial_cmp(&other.as_f64()?),
    }
}
