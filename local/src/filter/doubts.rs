//! Conditions that AWS takes and that say nothing of a stream's records: they never hold, or always do.

use super::condition::Condition;
use super::{Filters, Node, Rule};

/// The only members of a record that are JSON numbers.
const NUMBERS: [[&str; 2]; 2] = [["dynamodb", "SizeBytes"], ["dynamodb", "ApproximateCreationDateTime"]];
const IMAGES: [&str; 3] = ["Keys", "NewImage", "OldImage"];

impl Filters {
    /// What is doubtful about the patterns, in words. AWS accepts them silently, and drops records by them.
    pub(crate) fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        for (index, pattern) in self.patterns.iter().enumerate() {
            let mut found = Vec::new();
            doubts_of(pattern, &mut Vec::new(), &mut found);
            doubts.extend(found.into_iter().map(|doubt| format!("the filter pattern at {index}: {doubt}")));
        }
        doubts
    }
}

fn doubts_of<'a>(node: &'a Node, path: &mut Vec<&'a str>, found: &mut Vec<String>) {
    for (name, rule) in &node.members {
        path.push(name);
        match rule {
            Rule::Inner(inner) => doubts_of(inner, path, found),
            Rule::AnyOf(conditions) => found.extend(doubt(path, conditions)),
        }
        path.pop();
    }
    node.alternatives.iter().flatten().for_each(|alternative| doubts_of(alternative, path, found));
}

fn doubt(path: &[&str], conditions: &[Condition]) -> Option<String> {
    let name = path.join(".");
    if matches!(path, ["dynamodb", image, _] if IMAGES.contains(image)) {
        return Some(format!(
            "`{name}` is an attribute without its type, such as `S` or `N`: it has no value to compare, so the condition \
             never holds (`exists: false` always does)"
        ));
    }
    if NUMBERS.iter().any(|number| path == number) {
        return None;
    }
    let is_number = |condition: &Condition| matches!(condition, Condition::Numeric(_) | Condition::Number(_));
    if conditions.iter().any(is_number) {
        return Some(format!(
            "`{name}` is compared as a number, but a DynamoDB number is text in the event: the condition never holds, and \
             AWS drops the records. Compare it as text, such as `[\"42\"]`"
        ));
    }
    let refuses_number =
        |condition: &Condition| matches!(condition, Condition::AnythingBut(refused) if refused.iter().any(is_number));
    conditions.iter().any(refuses_number).then(|| {
        format!(
            "`{name}` must be anything but a number, but a DynamoDB number is text in the event: the condition always \
             holds, and the number is not left out"
        )
    })
}
