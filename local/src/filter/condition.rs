//! One condition of a filter pattern, and whether a value meets it.

use serde_json::{Number, Value};

use super::named;
use super::number::{Range, compare};

#[derive(Debug, Clone)]
pub(super) enum Condition {
    Null,
    Bool(bool),
    Text(String),
    Number(Number),
    EqualsIgnoreCase(String),
    Prefix(String),
    PrefixIgnoreCase(String),
    Suffix(String),
    SuffixIgnoreCase(String),
    AnythingBut(Vec<Condition>),
    Numeric(Range),
    Exists(bool),
}

impl Condition {
    pub(super) fn parse(value: &Value, path: &str) -> Result<Self, String> {
        match value {
            Value::Null => Ok(Self::Null),
            Value::Bool(value) => Ok(Self::Bool(*value)),
            Value::String(text) => Ok(Self::Text(text.clone())),
            Value::Number(number) => Ok(Self::Number(number.clone())),
            Value::Object(operator) => match operator.iter().next() {
                Some((name, operand)) if operator.len() == 1 => Self::operator(name, operand, path),
                _ => Err(format!("{} has an object that is not one operator", named(path))),
            },
            Value::Array(_) => Err(format!("{} has an array inside its array", named(path))),
        }
    }

    fn operator(name: &str, operand: &Value, path: &str) -> Result<Self, String> {
        let wrong = |wanted: &str| format!("`{name}` of {} needs {wanted}", named(path));
        let ignore_case =
            operand.as_object().filter(|object| object.len() == 1).and_then(|object| object.get("equals-ignore-case"));
        let text = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(|| wrong("a text"));
        match (name, ignore_case) {
            ("prefix", Some(operand)) => Ok(Self::PrefixIgnoreCase(text(operand)?.to_lowercase())),
            ("suffix", Some(operand)) => Ok(Self::SuffixIgnoreCase(text(operand)?.to_lowercase())),
            ("prefix", None) => Ok(Self::Prefix(text(operand)?)),
            ("suffix", None) => Ok(Self::Suffix(text(operand)?)),
            ("equals-ignore-case", _) => Ok(Self::EqualsIgnoreCase(text(operand)?.to_lowercase())),
            ("exists", _) => operand.as_bool().map(Self::Exists).ok_or_else(|| wrong("`true` or `false`")),
            ("numeric", _) => Range::parse(operand).map(Self::Numeric).map_err(|wanted| wrong(&wanted)),
            ("anything-but", _) => Self::anything_but(operand, path)
                .ok_or_else(|| wrong("strings or numbers, or one of `prefix`, `suffix` and `equals-ignore-case`")),
            _ => Err(format!("`{name}` of {} is not an operator that Lambda knows", named(path))),
        }
    }

    fn anything_but(operand: &Value, path: &str) -> Option<Self> {
        let refused = match operand {
            Value::Array(values) if !values.is_empty() => values.as_slice(),
            Value::Array(_) => return None,
            _ => std::slice::from_ref(operand),
        };
        let refused: Vec<Self> = refused.iter().map(|value| Self::parse(value, path)).collect::<Result<_, _>>().ok()?;
        let allowed = refused.iter().all(|condition| {
            matches!(
                condition,
                Self::Text(_) | Self::Number(_) | Self::Prefix(_) | Self::Suffix(_) | Self::EqualsIgnoreCase(_)
            )
        });
        allowed.then_some(Self::AnythingBut(refused))
    }

    /// Whether a record's member, or one element of it, meets the condition.
    pub(super) fn matches(&self, value: Option<&Value>) -> bool {
        match value {
            // Only a leaf exists: an object is a path on the way to one.
            None | Some(Value::Object(_)) => matches!(self, Self::Exists(false)),
            Some(Value::Array(elements)) if elements.is_empty() => matches!(self, Self::Exists(false)),
            Some(Value::Array(elements)) => elements.iter().any(|element| self.matches(Some(element))),
            Some(leaf) => self.matches_leaf(leaf),
        }
    }

    fn matches_leaf(&self, leaf: &Value) -> bool {
        let text = leaf.as_str();
        match self {
            Self::Null => leaf.is_null(),
            Self::Bool(wanted) => leaf.as_bool() == Some(*wanted),
            Self::Text(wanted) => text == Some(wanted),
            Self::Number(wanted) => {
                leaf.as_number().is_some_and(|number| compare(number, wanted).is_some_and(std::cmp::Ordering::is_eq))
            }
            Self::EqualsIgnoreCase(wanted) => text.is_some_and(|text| text.to_lowercase() == *wanted),
            Self::Prefix(wanted) => text.is_some_and(|text| text.starts_with(wanted)),
            Self::Suffix(wanted) => text.is_some_and(|text| text.ends_with(wanted)),
            Self::PrefixIgnoreCase(wanted) => text.is_some_and(|text| text.to_lowercase().starts_with(wanted)),
            Self::SuffixIgnoreCase(wanted) => text.is_some_and(|text| text.to_lowercase().ends_with(wanted)),
            Self::AnythingBut(refused) => {
                (leaf.is_string() || leaf.is_number()) && !refused.iter().any(|condition| condition.matches_leaf(leaf))
            }
            Self::Numeric(range) => leaf.as_number().is_some_and(|number| range.contains(number)),
            Self::Exists(wanted) => *wanted,
        }
    }
}
