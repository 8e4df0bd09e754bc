//! Every type of the table against every value of the table.

use std::fmt::Debug;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::compare;
use super::types::{Visit, each_type};

/// Attribute values of every kind, at the edges of what types take.
pub(super) const VALUES: &[&str] = &[
    // text
    r#"{"S":""}"#,
    r#"{"S":"a"}"#,
    r#"{"S":"é"}"#,
    r#"{"S":"ab"}"#,
    r#"{"S":"7"}"#,
    r#"{"S":"true"}"#,
    r#"{"S":"Unit"}"#,
    r#"{"S":"Newtype"}"#,
    r#"{"S":"Unknown to all"}"#,
    r#"{"S":"127.0.0.1"}"#,
    r#"{"S":"\u0055\u006eit"}"#,
    r#"{"S":"\ud83d\ude00\n\/\"\\"}"#,
    r#"{"S":"😀 and more than eight bytes \" of it"}"#,
    r#" { "S" : "spaced" } "#,
    // numbers
    r#"{"N":"0"}"#,
    r#"{"N":"-0"}"#,
    r#"{"N":"1"}"#,
    r#"{"N":"-1"}"#,
    r#"{"N":"007"}"#,
    r#"{"N":"127"}"#,
    r#"{"N":"128"}"#,
    r#"{"N":"255"}"#,
    r#"{"N":"256"}"#,
    r#"{"N":"-129"}"#,
    r#"{"N":"65536"}"#,
    r#"{"N":"4294967296"}"#,
    r#"{"N":"9223372036854775807"}"#,
    r#"{"N":"9223372036854775808"}"#,
    r#"{"N":"-9223372036854775808"}"#,
    r#"{"N":"-9223372036854775809"}"#,
    r#"{"N":"18446744073709551615"}"#,
    r#"{"N":"18446744073709551616"}"#,
    r#"{"N":"12345678901234567890123456789012345678"}"#,
    r#"{"N":"1.5"}"#,
    r#"{"N":"1.0"}"#,
    r#"{"N":"0.1"}"#,
    r#"{"N":"1e3"}"#,
    r#"{"N":"-1.25E-3"}"#,
    r#"{"N":"1E+126"}"#,
    r#"{"N":"1e999999999"}"#,
    r#"{"N":"\u0031"}"#,
    // binary
    r#"{"B":""}"#,
    r#"{"B":"AA=="}"#,
    r#"{"B":"YQ=="}"#,
    r#"{"B":"Zm9v"}"#,
    r#"{"B":"+/\/\u002b"}"#,
    r#"{"B":"/w=="}"#,
    // null and booleans
    r#"{"NULL":true}"#,
    r#"{"BOOL":true}"#,
    r#"{"BOOL":false}"#,
    // sets
    r#"{"SS":[]}"#,
    r#"{"SS":["a"]}"#,
    r#"{"SS":["a","b"]}"#,
    r#"{"SS":["Unit"]}"#,
    r#"{"SS":["\u0061","1"]}"#,
    r#"{"NS":[]}"#,
    r#"{"NS":["1"]}"#,
    r#"{"NS":["1","2"]}"#,
    r#"{"NS":["1","300"]}"#,
    r#"{"NS":["1.5","-2"]}"#,
    r#"{"NS":["18446744073709551615"]}"#,
    r#"{"BS":[]}"#,
    r#"{"BS":["YQ=="]}"#,
    r#"{"BS":["YQ==","/w=="]}"#,
    // lists
    r#"{"L":[]}"#,
    r#"{"L":[{"N":"1"}]}"#,
    r#"{"L":[{"N":"1"},{"N":"2"}]}"#,
    r#"{"L":[{"N":"1"},{"S":"b"}]}"#,
    r#"{"L":[{"N":"1"},{"S":"b"},{"BOOL":true}]}"#,
    r#"{"L":[{"S":"a"},{"N":"1"}]}"#,
    r#"{"L":[{"N":"1"},{"NULL":true}]}"#,
    r#"{"L":[{"NULL":true},{"NULL":true}]}"#,
    r#"{"L":[{"S":"Unit"}]}"#,
    r#"{"L":[{"S":"Newtype"},{"N":"1"}]}"#,
    r#"{"L":[{"L":[{"N":"1"}]},{"L":[]}]}"#,
    r#"{"L":[{"M":{"a":{"N":"1"}}},{"M":{"a":{"N":"2"},"b":{"S":"b"}}}]}"#,
    r#"{"L":[{"M":{"a":{"N":"1"}}},{"M":{"a":{"S":"no"}}},{"M":{}},{"M":{"a":{"N":"3"}}}]}"#,
    r#"{"L":[{"B":"AA=="},{"B":""}]}"#,
    r#"{"L":[{"N":"9"},{"M":{"a":{"L":[{"S":"deep"}]}}},{"SS":["x"]}]}"#,
    // maps
    r#"{"M":{}}"#,
    r#"{"M":{"a":{"N":"1"}}}"#,
    r#"{"M":{"a":{"S":"text"}}}"#,
    r#"{"M":{"a":{"N":"1"},"b":{"S":"b"}}}"#,
    r#"{"M":{"a":{"N":"1"},"b":{"NULL":true}}}"#,
    r#"{"M":{"b":{"L":[{"S":"x"}]},"\u0061":{"N":"-5"},"c":{"N":"0.5"}}}"#,
    r#"{"M":{"a":{"N":"1"},"unknown":{"M":{"a":{"L":[{"NS":["1"]}]}}}}}"#,
    r#"{"M":{"a":{"B":"AA=="},"b":{"B":"/w=="}}}"#,
    r#"{"M":{"FIRST":{"S":"x"}}}"#,
    r#"{"M":{"a":{"M":{"a":{"NULL":true}}},"c":{"L":[{"M":{"a":{"N":"1"}}}]}}}"#,
    r#"{"M":{"a":{"NULL":true},"b":{"M":{"Tuple":{"L":[{"N":"1"},{"N":"2"}]}}}}}"#,
    r#"{"M":{"a":{"NULL":true},"b":{"S":"Unit"}}}"#,
    r#"{"M":{"1":{"S":"one"}}}"#,
    r#"{"M":{"-1":{"S":"x"},"2":{"N":"2"}}}"#,
    r#"{"M":{"true":{"S":"x"}}}"#,
    r#"{"M":{"é":{"S":"x"}}}"#,
    r#"{"M":{"340282366920938463463374607431768211455":{"S":"x"}}}"#,
    r#"{"M":{"":{"NULL":true}}}"#,
    r#"{"M":{"+1":{"S":"x"}}}"#,
    // enums
    r#"{"M":{"Unit":{"NULL":true}}}"#,
    r#"{"M":{"Unit":{"L":[{"M":{}}]}}}"#,
    r#"{"M":{"Newtype":{"N":"1"}}}"#,
    r#"{"M":{"Newtype":{"S":"x"}}}"#,
    r#"{"M":{"New\u0074ype":{"N":"1"}}}"#,
    r#"{"M":{"Text":{"S":"x"}}}"#,
    r#"{"M":{"Tuple":{"L":[{"N":"1"},{"N":"2"}]}}}"#,
    r#"{"M":{"Tuple":{"NS":["1","2"]}}}"#,
    r#"{"M":{"Tuple":{"L":[{"N":"1"}]}}}"#,
    r#"{"M":{"Struct":{"M":{"a":{"N":"1"}}}}}"#,
    r#"{"M":{"Struct":{"L":[{"N":"1"}]}}}"#,
    r#"{"M":{"Map":{"M":{"x":{"N":"1"}}}}}"#,
    r#"{"M":{"Inner":{"S":"Unit"}}}"#,
    r#"{"M":{"Inner":{"M":{"Unit":{"NULL":true}}}}}"#,
    r#"{"M":{"Nobody":{"N":"1"}}}"#,
    r#"{"M":{"Newtype":{"N":"1"},"x":{"N":"1"}}}"#,
    r#"{"M":{"Ok":{"N":"1"}}}"#,
    r#"{"M":{"Err":{"S":"x"}}}"#,
    r#"{"M":{"type":{"S":"Unit"}}}"#,
    r#"{"M":{"type":{"S":"Unit"},"a":{"NULL":true}}}"#,
    r#"{"M":{"type":{"S":"Struct"},"a":{"N":"1"}}}"#,
    r#"{"M":{"a":{"N":"1"},"type":{"S":"Struct"}}}"#,
    r#"{"M":{"a":{"M":{"a":{"N":"1"}}},"type":{"S":"Struct"}}}"#,
    r#"{"M":{"type":{"S":"Newtype"},"a":{"N":"1"},"b":{"S":"b"}}}"#,
    r#"{"M":{"type":{"S":"Newtype"},"a":{"N":"1"}}}"#,
    r#"{"M":{"type":{"S":"Map"},"x":{"L":[{"B":"AA=="}]}}}"#,
    r#"{"M":{"type":{"S":"Tuple"},"a":{"L":[{"N":"1"},{"S":"x"}]}}}"#,
    r#"{"M":{"type":{"S":"Nobody"}}}"#,
    r#"{"M":{"type":{"N":"1"},"a":{"N":"1"}}}"#,
    // types of the standard library
    r#"{"M":{"secs":{"N":"1"},"nanos":{"N":"5"}}}"#,
    r#"{"M":{"secs_since_epoch":{"N":"1"},"nanos_since_epoch":{"N":"5"}}}"#,
    r#"{"M":{"start":{"N":"1"},"end":{"N":"5"}}}"#,
];

#[derive(Debug, PartialEq, Deserialize)]
struct Holder<T> {
    v: T,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Between<T> {
    before: String,
    v: T,
    after: u8,
}

#[derive(Default)]
struct Table {
    same: usize,
    refused: usize,
    disagreements: Vec<String>,
}

impl Table {
    fn agree<T: DeserializeOwned + PartialEq + Debug>(&mut self, name: &str, json: &str) {
        match compare::<T>(json) {
            Ok(None) => self.same += 1,
            Ok(Some(_)) => self.refused += 1,
            Err(difference) => self.disagreements.push(format!("{name}: {difference}")),
        }
    }
}

impl Visit for Table {
    fn visit<T: DeserializeOwned + PartialEq + Debug>(&mut self, name: &'static str) {
        for value in VALUES {
            // Its neighbours are still read if the type stops early or swallows an error.
            self.agree::<Between<T>>(name, &format!(r#"{{"before":{{"S":"x"}},"v":{value},"after":{{"N":"1"}}}}"#));
            self.agree::<Holder<Vec<T>>>(name, &format!(r#"{{"v":{{"L":[{value},{value}]}}}}"#));
            if let Some(item) = value.strip_prefix(r#"{"M":"#).and_then(|value| value.strip_suffix('}')) {
                self.agree::<T>(name, item);
            }
        }
        self.agree::<Holder<Vec<T>>>(name, "{}");
        self.agree::<T>(name, "{}");
    }
}

#[test]
fn every_type_decodes_as_in_serde_dynamo() {
    let mut table = Table::default();
    each_type(&mut table);
    assert!(table.disagreements.is_empty(), "{}", table.disagreements.join("\n"));
    println!("{} decoded to the same value, {} refused by both", table.same, table.refused);
    // The table proves something only if both are plenty.
    assert!(table.same > 5_000 && table.refused > 20_000, "{} {}", table.same, table.refused);
}
