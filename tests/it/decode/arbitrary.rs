//! Arbitrary items, and their text in arbitrary spelling.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use serde_dynamo::AttributeValue;

use super::reference::Number;

pub(crate) type Attributes = BTreeMap<String, AttributeValue>;

/// An item whose names, strings and numbers are often those that the types of the table look for.
pub(crate) fn item() -> impl Strategy<Value = Attributes> {
    btree_map(name(), value(), 0..6)
}

pub(super) fn name() -> impl Strategy<Value = String> {
    const KNOWN: &[&str] = &[
        "a", "b", "c", "v", "type", "Unit", "Newtype", "Text", "Tuple", "Struct", "Map", "Inner", "Nobody", "1",
        "true", "", "é\"\\", "FIRST",
    ];
    prop_oneof![9 => proptest::sample::select(KNOWN).prop_map(str::to_owned), 1 => ".{0,12}"]
}

/// A number of any length.
pub(super) fn any_number() -> impl Strategy<Value = String> {
    prop_oneof![number(), any::<u128>().prop_map(|number| number.to_string()), "-?[0-9]{1,30}\\.[0-9]{1,20}"]
}

/// A number that `i64`, `u64` or `f64` holds.
pub(super) fn number() -> impl Strategy<Value = String> {
    let spelling = prop_oneof![
        4 => (-3_i64..300).prop_map(|number| number.to_string()),
        1 => any::<i64>().prop_map(|number| number.to_string()),
        1 => any::<u64>().prop_map(|number| number.to_string()),
        1 => any::<f32>().prop_filter("a number", |number| number.is_finite()).prop_map(|number| number.to_string()),
        1 => "[-+]?[0-9]{1,4}(\\.[0-9]{1,3})?([eE][-+]?[0-9]{1,3})?",
    ];
    spelling.prop_filter("a number that a type holds", |text| Number::of(text) != Number::Long)
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![3 => name(), 2 => ".{0,20}", 1 => "[\\x00-\\x7f]{0,40}"]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..6)
}

pub(super) fn value() -> impl Strategy<Value = AttributeValue> {
    let leaf = prop_oneof![
        4 => text().prop_map(AttributeValue::S),
        4 => number().prop_map(AttributeValue::N),
        1 => bytes().prop_map(AttributeValue::B),
        1 => Just(AttributeValue::Null(true)),
        1 => any::<bool>().prop_map(AttributeValue::Bool),
        1 => btree_set(text(), 0..4).prop_map(|set| AttributeValue::Ss(set.into_iter().collect())),
        1 => btree_set(number(), 0..4).prop_map(|set| AttributeValue::Ns(set.into_iter().collect())),
        1 => btree_set(bytes(), 0..4).prop_map(|set| AttributeValue::Bs(set.into_iter().collect())),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            1 => vec(inner.clone(), 0..4).prop_map(AttributeValue::L),
            2 => btree_map(name(), inner, 0..4).prop_map(|map| AttributeValue::M(map.into_iter().collect())),
        ]
    })
}

/// Writes items as DynamoDB JSON, with the freedoms that JSON leaves: space and escapes, by a seed.
pub(crate) struct Writer {
    random: fastrand::Rng,
    free: bool,
    out: String,
}

impl Writer {
    pub(crate) fn write(item: &Attributes, seed: u64) -> String {
        let mut random = fastrand::Rng::with_seed(seed);
        let free = random.bool();
        let mut writer = Self { random, free, out: String::new() };
        writer.attributes(item);
        writer.out
    }

    fn token(&mut self, token: &str) {
        if self.free && self.random.u8(..8) == 0 {
            self.out.push_str([" ", "\n", "\t\r\n  ", "           "][self.random.usize(..4)]);
        }
        self.out.push_str(token);
    }

    fn string(&mut self, text: &str) {
        self.token("\"");
        for char in text.chars() {
            let escape = char < ' ' || (self.free && self.random.u8(..8) == 0);
            match char {
                '"' | '\\' => write!(self.out, "\\{char}"),
                '/' if escape => write!(self.out, "\\/"),
                '\n' if self.random.bool() => write!(self.out, "\\n"),
                '\u{8}' if self.random.bool() => write!(self.out, "\\b"),
                _ if escape => {
                    char.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(self.out, "\\u{unit:04x}"))
                }
                _ => write!(self.out, "{char}"),
            }
            .expect("writing to a string does not fail");
        }
        self.out.push('"');
    }

    fn separated<T>(&mut self, all: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut Self, T)) {
        for (index, one) in all.into_iter().enumerate() {
            if index > 0 {
                self.token(",");
            }
            write(self, one);
        }
    }

    fn attributes<'a>(&mut self, attributes: impl IntoIterator<Item = (&'a String, &'a AttributeValue)>) {
        self.token("{");
        self.separated(attributes, |writer, (name, value)| {
            writer.string(name);
            writer.token(":");
            writer.value(value);
        });
        self.token("}");
    }

    fn strings(&mut self, strings: impl IntoIterator<Item = String>) {
        self.token("[");
        self.separated(strings, |writer, text| writer.string(&text));
        self.token("]");
    }

    fn value(&mut self, value: &AttributeValue) {
        self.token("{");
        let (tag, base64) = (tag(value), |bytes: &Vec<u8>| STANDARD.encode(bytes));
        self.string(tag);
        self.token(":");
        match value {
            AttributeValue::S(text) | AttributeValue::N(text) => self.string(text),
            AttributeValue::B(bytes) => self.string(&base64(bytes)),
            AttributeValue::Bool(value) | AttributeValue::Null(value) => {
                self.token(if *value { "true" } else { "false" })
            }
            AttributeValue::M(attributes) => self.attributes(attributes),
            AttributeValue::Ss(set) | AttributeValue::Ns(set) => self.strings(set.iter().cloned()),
            AttributeValue::Bs(set) => self.strings(set.iter().map(base64)),
            AttributeValue::L(list) => {
                self.token("[");
                self.separated(list, Self::value);
                self.token("]");
            }
        }
        self.token("}");
    }
}

fn tag(value: &AttributeValue) -> &'static str {
    match value {
        AttributeValue::S(_) => "S",
        AttributeValue::N(_) => "N",
        AttributeValue::B(_) => "B",
        AttributeValue::Bool(_) => "BOOL",
        AttributeValue::Null(_) => "NULL",
        AttributeValue::M(_) => "M",
        AttributeValue::L(_) => "L",
        AttributeValue::Ss(_) => "SS",
        AttributeValue::Ns(_) => "NS",
        AttributeValue::Bs(_) => "BS",
    }
}
