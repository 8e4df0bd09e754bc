//! Filter patterns: which records invoke the function at all.
//!
//! A pattern that could never match, or that AWS would refuse, is an error when it is compiled and not a silent drop later.

mod condition;
mod doubts;
mod number;

use serde_json::{Map, Value};

use self::condition::Condition;

/// The longest pattern that AWS takes.
const MAX_LENGTH: usize = 4_096;
/// What a stream's records may be filtered by.
const FILTERABLE: [&str; 3] = ["eventName", "userIdentity", "dynamodb"];

/// Compiled patterns: a record passes if one of them matches, or if there are none.
///
/// The rules are those of
/// [AWS: filter rule syntax](https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html#filtering-syntax).
/// DynamoDB's numbers are text (`{"N": ["42"]}`), so `numeric` matches real JSON numbers alone, such as `SizeBytes`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filters {
    patterns: Vec<Node>,
}

/// Why a pattern cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PatternError {
    /// The pattern's place in the list, from 0.
    pub(crate) index: usize,
    pub(crate) reason: String,
}

/// A pattern's object: every member must match.
#[derive(Debug, Clone)]
struct Node {
    members: Vec<(String, Rule)>,
    /// `$or`: in each list one of the objects must match.
    alternatives: Vec<Vec<Node>>,
}

#[derive(Debug, Clone)]
enum Rule {
    Inner(Node),
    /// One of these must hold.
    AnyOf(Vec<Condition>),
}

impl Filters {
    pub(crate) fn parse(patterns: &[String]) -> Result<Self, PatternError> {
        patterns
            .iter()
            .enumerate()
            .map(|(index, pattern)| parse(index, pattern))
            .collect::<Result<_, _>>()
            .map(|patterns| Self { patterns })
    }

    /// Whether a record, in Lambda's JSON, invokes the function.
    pub(crate) fn pass(&self, record: &str) -> bool {
        if self.patterns.is_empty() {
            return true;
        }
        let Ok(record) = serde_json::from_str::<Value>(record) else { return false };
        self.patterns.iter().any(|pattern| pattern.matches(Some(&record)))
    }
}

fn parse(index: usize, pattern: &str) -> Result<Node, PatternError> {
    let refuse = |reason: String| PatternError { index, reason };
    if pattern.len() > MAX_LENGTH {
        return Err(refuse(format!("it has {} bytes, and may have {MAX_LENGTH}", pattern.len())));
    }
    let value: Value =
        serde_json::from_str(pattern).map_err(|error| refuse(format!("it is not valid JSON: {error}")))?;
    let Value::Object(members) = value else { return Err(refuse("it is not an object".to_owned())) };
    let wrong = members.keys().find(|name| *name != "$or" && !FILTERABLE.contains(&name.as_str()));
    if let Some(name) = wrong {
        let known = "a stream's records are filtered by `eventName`, `userIdentity` and `dynamodb`";
        return Err(refuse(format!("`{name}` never matches: {known}")));
    }
    Node::parse(&members, "").map_err(refuse)
}

impl Node {
    fn parse(members: &Map<String, Value>, path: &str) -> Result<Self, String> {
        if members.is_empty() {
            return Err(format!("{} is an empty object", named(path)));
        }
        let mut node = Self { members: Vec::new(), alternatives: Vec::new() };
        for (name, value) in members {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            match value {
                Value::Array(alternatives) if name == "$or" && !alternatives.is_empty() => {
                    node.alternatives
                        .push(alternatives.iter().map(|inner| alternative(inner, &path)).collect::<Result<_, _>>()?);
                }
                _ if name == "$or" => return Err(format!("{} must be an array of at least one object", named(&path))),
                Value::Object(inner) => node.members.push((name.clone(), Rule::Inner(Self::parse(inner, &path)?))),
                Value::Array(conditions) if !conditions.is_empty() => {
                    let conditions = conditions.iter().map(|condition| Condition::parse(condition, &path));
                    node.members.push((name.clone(), Rule::AnyOf(conditions.collect::<Result<_, _>>()?)));
                }
                _ => return Err(format!("{} must be an object, or an array of at least one value", named(&path))),
            }
        }
        Ok(node)
    }

    fn matches(&self, value: Option<&Value>) -> bool {
        // Of an array of objects, one must match in every member.
        if let Some(Value::Array(elements)) = value {
            return elements.iter().any(|element| self.matches(Some(element)));
        }
        let member = |name: &str| value.and_then(Value::as_object).and_then(|object| object.get(name));
        let all = self.members.iter().all(|(name, rule)| match rule {
            Rule::Inner(node) => node.matches(member(name)),
            Rule::AnyOf(conditions) => conditions.iter().any(|condition| condition.matches(member(name))),
        });
        all && self.alternatives.iter().all(|nodes| nodes.iter().any(|node| node.matches(value)))
    }
}

fn alternative(value: &Value, path: &str) -> Result<Node, String> {
    let Value::Object(members) = value else { return Err(format!("{} must list objects", named(path))) };
    Node::parse(members, path)
}

fn named(path: &str) -> String {
    if path.is_empty() { "it".to_owned() } else { format!("`{path}`") }
}
