//! What an update says, put together attribute by attribute. Every name is a placeholder, because some of ours are reserved words.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

/// The expressions of an update, and the names and values in them.
#[derive(Default)]
pub(crate) struct Expression {
    set: Vec<String>,
    remove: Vec<String>,
    conditions: Vec<String>,
    pub(crate) names: HashMap<String, String>,
    pub(crate) values: HashMap<String, AttributeValue>,
}

impl Expression {
    /// Sets an attribute.
    pub(crate) fn set(&mut self, name: &str, value: AttributeValue) {
        self.set.push(format!("#{name} = :{name}"));
        self.note(name, value);
    }

    /// Sets an attribute, if the row does not have it.
    pub(crate) fn set_once(&mut self, name: &str, value: AttributeValue) {
        self.set.push(format!("#{name} = if_not_exists(#{name}, :{name})"));
        self.note(name, value);
    }

    /// Sets an attribute, or removes it where there is no value.
    pub(crate) fn set_or_remove(&mut self, name: &str, value: Option<AttributeValue>) {
        match value {
            Some(value) => self.set(name, value),
            None => {
                self.remove.push(format!("#{name}"));
                self.names.insert(format!("#{name}"), name.to_owned());
            }
        }
    }

    /// Sets an attribute, on the condition that the row does not have it, or has a lower one.
    pub(crate) fn raise(&mut self, name: &str, value: AttributeValue) {
        self.conditions.push(format!("(attribute_not_exists(#{name}) OR #{name} < :{name})"));
        self.set(name, value);
    }

    pub(crate) fn update(&self) -> String {
        let clause = |keyword: &str, parts: &[String], separator: &str| match parts {
            [] => String::new(),
            parts => format!("{keyword} {}", parts.join(separator)),
        };
        let clauses = [clause("SET", &self.set, ", "), clause("REMOVE", &self.remove, ", ")];
        clauses.join(" ").trim().to_owned()
    }

    /// All conditions; `None` if there are none.
    pub(crate) fn condition(&self) -> Option<String> {
        (!self.conditions.is_empty()).then(|| self.conditions.join(" AND "))
    }

    fn note(&mut self, name: &str, value: AttributeValue) {
        self.names.insert(format!("#{name}"), name.to_owned());
        self.values.insert(format!(":{name}"), value);
    }
}
