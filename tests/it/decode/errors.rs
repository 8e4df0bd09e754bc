//! Errors say where, what was wanted, and what was found.

use std::collections::BTreeMap;

use lambda_streams::{AttributeType, DecodeError, from_image};
use serde::Deserialize;
use serde::de::DeserializeOwned;

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "only the errors count")]
struct Order {
    id: String,
    lines: Vec<Line>,
    status: Option<Status>,
    address: Option<Address>,
    price: Option<Price>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only the errors count")]
struct Line {
    price: u32,
    tags: Option<(String, u8)>,
    flags: Option<BTreeMap<u8, bool>>,
}

#[derive(Debug, Deserialize)]
enum Status {
    Open,
    Paid,
    #[expect(dead_code, reason = "only the errors count")]
    Sent(u8),
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind")]
#[expect(dead_code, reason = "only the errors count")]
enum Address {
    Street { number: u16 },
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
#[expect(dead_code, reason = "only the errors count")]
enum Price {
    Whole(u64),
    Parts { units: u64 },
}

fn error<T: DeserializeOwned>(json: &str) -> DecodeError {
    from_image::<T>(json).err().unwrap_or_else(|| panic!("decodes: {json}"))
}

/// An order with its id and these attributes.
fn order(more: &str) -> String {
    format!(r#"{{"id":{{"S":"a"}},{more}}}"#)
}

fn line(attributes: &str) -> String {
    let good = r#"{"M":{"price":{"N":"1"}}}"#;
    order(&format!(r#""lines":{{"L":[{good},{good},{{"M":{{{attributes}}}}}]}}"#))
}

fn with(attribute: &str) -> String {
    order(&format!(r#""lines":{{"L":[]}},{attribute}"#))
}

#[test]
fn an_error_names_its_path_and_reason() {
    for (json, text) in [
        (line(r#""price":{"S":"x"}"#), "attribute `lines[2].price`: wanted u32, found S"),
        (
            line(r#""price":{"N":"-1"}"#),
            "attribute `lines[2].price`: wanted u32, found N with a value that does not fit",
        ),
        (line(r#""price":{"NULL":true}"#), "attribute `lines[2].price`: wanted u32, found NULL"),
        (line(r#""tags":{"NULL":true}"#), "attribute `lines[2]`: `price` is missing"),
        (
            line(r#""price":{"N":"1"},"colour":{"S":"x"}"#),
            "attribute `lines[2].colour`: the type does not have this attribute, it has `price`, `tags`, `flags`",
        ),
        (
            line(r#""price":{"N":"1"},"tags":{"L":[{"S":"x"},{"BOOL":true}]}"#),
            "attribute `lines[2].tags[1]`: wanted u8, found BOOL",
        ),
        (line(r#""price":{"N":"1"},"tags":{"SS":["a","b"]}"#), "attribute `lines[2].tags[1]`: wanted u8, found S"),
        (
            line(r#""price":{"N":"1"},"tags":{"L":[{"S":"x"}]}"#),
            "attribute `lines[2].tags`: wanted a tuple of size 2, found 1 elements",
        ),
        (
            line(r#""price":{"N":"1"},"flags":{"M":{"1":{"BOOL":true},"300":{"BOOL":true}}}"#),
            "attribute `lines[2].flags.300`: wanted u8, found S with a value that does not fit",
        ),
        (line(r#""price":{"N":"one"}"#), "attribute `lines[2].price`: an N is not a decimal number"),
        (line(r#""price":{"N":"1"},"price":{"N":"1"}"#), "attribute `lines[2].price`: the attribute occurs twice"),
        (order(r#""lines":{"S":"x"}"#), "attribute `lines`: wanted a sequence, found S"),
        (order(r#""lines":{"L":[{"S":"x"}]}"#), "attribute `lines[0]`: wanted struct Line, found S"),
        (order(r#""extra":{"S":"x"}"#), "the item: `lines` is missing"),
        (
            with(r#""status":{"S":"Lost"}"#),
            "attribute `status`: wanted one of `Open`, `Paid`, `Sent`, found another variant",
        ),
        (with(r#""status":{"N":"1"}"#), "attribute `status`: wanted enum Status, found N"),
        (
            with(r#""status":{"M":{}}"#),
            "attribute `status`: wanted a map of one attribute, whose name is the variant, found M with a value that does not fit",
        ),
        (with(r#""status":{"M":{"Sent":{"S":"x"}}}"#), "attribute `status.Sent`: wanted u8, found S"),
        (
            with(r#""address":{"M":{"kind":{"S":"Street"},"number":{"S":"x"}}}"#),
            "attribute `address.number`: wanted u16, found S",
        ),
        (
            with(r#""address":{"M":{"kind":{"S":"Lane"}}}"#),
            "attribute `address.kind`: wanted one of `Street`, found another variant",
        ),
        (with(r#""address":{"M":{"number":{"N":"1"}}}"#), "attribute `address`: `kind` is missing"),
        (with(r#""price":{"S":"x"}"#), "attribute `price`: refused by the type's own deserialization, found S"),
        ("{}".to_owned(), "the item: `id` is missing"),
        ("[]".to_owned(), "the item: an M or the item itself is not an object"),
    ] {
        assert_eq!(error::<Order>(&json).to_string(), text, "{json}");
    }
}

#[derive(Debug, Deserialize)]
#[serde(tag = "entity")]
#[expect(dead_code, reason = "only the errors count")]
enum Row {
    Order(Box<Bill>),
    #[serde(rename = "Flat")]
    Flattened {
        #[serde(flatten)]
        bill: Box<Bill>,
    },
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "only the errors count")]
struct Bill {
    id: String,
    total: u64,
    paid: Option<bool>,
    count: Option<u8>,
    note: Option<String>,
    status: Option<Status>,
    lines: Option<Vec<Line>>,
    address: Option<Address>,
    tags: Option<Vec<String>>,
    data: Option<Vec<u8>>,
    sizes: Option<BTreeMap<String, i8>>,
}

#[derive(Debug, Deserialize)]
struct FlatRow {
    #[serde(rename = "entity")]
    _entity: String,
    #[serde(flatten)]
    _bill: Bill,
}

#[derive(Debug, Deserialize)]
struct Table {
    #[serde(rename = "rows")]
    _rows: Vec<Row>,
}

#[test]
fn an_error_in_a_buffer_names_its_path() {
    for (attributes, path, reason) in [
        (r#""total":{"S":"many"}"#, "total", "wanted u64, found S"),
        (r#""total":{"N":"-7"}"#, "total", "wanted u64, found N with a value that does not fit"),
        (r#""total":{"N":"1.5"}"#, "total", "wanted u64, found N"),
        (r#""total":{"N":"18446744073709551616"}"#, "total", "wanted u64, found N"),
        (r#""total":{"B":"YQ=="}"#, "total", "wanted u64, found B"),
        (r#""total":{"N":"1"},"count":{"N":"256"}"#, "count", "wanted u8, found N with a value that does not fit"),
        (
            r#""total":{"N":"1"},"status":{"S":"Lost"}"#,
            "status",
            "wanted one of `Open`, `Paid`, `Sent`, found another variant",
        ),
        (
            r#""total":{"N":"1"},"lines":{"L":[{"M":{"price":{"N":"1"}}},{"M":{"price":{"S":"x"}}}]}"#,
            "lines[1].price",
            "wanted u32, found S",
        ),
        (
            r#""total":{"N":"1"},"address":{"M":{"kind":{"S":"Street"},"number":{"S":"x"}}}"#,
            "address.number",
            "wanted u16, found S",
        ),
        (r#""total":{"N":"1"},"tags":{"NS":["5","6"]}"#, "tags[0]", "wanted a string, found N"),
        (
            r#""total":{"N":"1"},"data":{"B":"YQ=="}"#,
            "data",
            "wanted a sequence, found B; for bytes, use `serde_bytes`",
        ),
        (
            r#""total":{"N":"1"},"sizes":{"M":{"a b":{"N":"-129"}}}"#,
            r#"sizes["a b"]"#,
            "wanted i8, found N with a value that does not fit",
        ),
        // Other attributes have the same value.
        (r#""note":{"S":"many"},"total":{"S":"many"},"more":{"S":"many"}"#, "total", "wanted u64, found S"),
        (r#""total":{"NULL":true},"paid":{"NULL":true},"note":{"NULL":true}"#, "total", "wanted u64, found NULL"),
        (r#""total":{"N":"1"},"count":{"N":"1"},"paid":{"N":"1"}"#, "paid", "wanted a boolean, found N"),
        (r#""count":{"N":"1"},"paid":{"BOOL":true},"total":{"BOOL":true}"#, "total", "wanted u64, found BOOL"),
        (
            r#""total":{"M":{}},"address":{"M":{"kind":{"S":"Street"},"number":{"N":"1"}}}"#,
            "total",
            "wanted u64, found M",
        ),
        (r#""total":{"SS":["a"]},"tags":{"SS":["a"]}"#, "total", "wanted u64, found SS"),
        (
            r#""total":{"N":"1"},"note":{"S":"x"},"lines":{"L":[{"M":{"price":{"S":"x"}}}]}"#,
            "lines[0].price",
            "wanted u32, found S",
        ),
    ] {
        for kind in ["Order", "Flat"] {
            let row = format!(r#"{{"entity":{{"S":"{kind}"}},"id":{{"S":"a"}},{attributes}}}"#);
            assert_eq!(error::<Row>(&row).to_string(), format!("attribute `{path}`: {reason}"), "{row}");
            assert_eq!(error::<FlatRow>(&row).to_string(), format!("attribute `{path}`: {reason}"), "{row}");
            let table = format!(r#"{{"rows":{{"L":[{{"M":{row}}}]}}}}"#);
            assert_eq!(error::<Table>(&table).to_string(), format!("attribute `rows[0].{path}`: {reason}"), "{table}");
        }
    }
}

#[test]
fn an_error_in_a_buffer_is_found_among_many_values() {
    // More maps and lists lie before the value than levels may be open at once.
    let deep = |value: &str| format!(r#"{{"M":{{"m":{{"L":[{value}]}}}}}}"#);
    let many: String = (0..40).map(|number| format!(r#","n{number}":{}"#, deep(r#"{"N":"1"}"#))).collect();
    let row = format!(r#"{{"entity":{{"S":"Order"}},"id":{{"S":"a"}}{many},"total":{{"S":"x"}}}}"#);
    assert_eq!(error::<Row>(&row).to_string(), "attribute `total`: wanted u64, found S");
    // The value is one of eight candidates at most, and has no name of its own in a list.
    let row = |count: usize| {
        let others: String = (1..count).map(|number| format!(r#","n{number}":{{"S":"x"}}"#)).collect();
        format!(r#"{{"entity":{{"S":"Order"}},"id":{{"S":"a"}},"total":{{"S":"x"}}{others}}}"#)
    };
    assert_eq!(error::<Row>(&row(8)).to_string(), "attribute `total`: wanted u64, found S");
    assert_eq!(error::<Row>(&row(9)).to_string(), "inside the item: wanted u64, found S");
}

#[test]
fn an_error_that_cannot_be_located_says_inside() {
    // Two elements of one list have the value.
    let row = r#"{"entity":{"S":"Order"},"id":{"S":"a"},"total":{"N":"1"},"tags":{"NS":["5","5.0"]}}"#;
    assert_eq!(error::<Row>(row).to_string(), "inside the item: wanted a string, found N");
    // More attributes have it than are tried.
    let many: String = (0..20).map(|number| format!(r#","n{number}":{{"S":"x"}}"#)).collect();
    let row = format!(r#"{{"entity":{{"S":"Order"}},"id":{{"S":"a"}},"total":{{"S":"x"}}{many}}}"#);
    assert_eq!(error::<Row>(&row).to_string(), "inside the item: wanted u64, found S");
    // serde does not say what a list was, so the type of the value is not known either.
    let many: String = (0..20).map(|number| format!(r#","n{number}":{{"L":[]}}"#)).collect();
    let row = format!(r#"{{"entity":{{"S":"Order"}},"id":{{"S":"a"}},"total":{{"L":[]}}{many}}}"#);
    assert_eq!(error::<Row>(&row).to_string(), "inside the item: wanted u64, found something else");
    // serde's words for a missing field do not say of what.
    let row = r#"{"entity":{"S":"Order"},"total":{"N":"1"}}"#;
    assert_eq!(error::<Row>(row).to_string(), "the item: `id` is missing");
}

#[test]
fn an_error_exposes_its_path_and_types() {
    let wrong = error::<Order>(&line(r#""price":{"SS":["x"]}"#));
    assert_eq!(wrong.path(), "lines[2].price");
    assert_eq!((wrong.expected(), wrong.found()), (Some("u32"), Some(AttributeType::SS)));
    assert!(!wrong.is_malformed() && !wrong.is_missing_image());
    assert_eq!(wrong, error::<Order>(&line(r#""price":{"SS":[]}"#)));
    let status = |text: &str| error::<Order>(&with(&format!(r#""status":{{"S":"{text}"}}"#)));
    assert_eq!(status("Lost"), status("Found"), "nothing is kept of a value");
    assert_eq!(format!("{wrong:?}"), "DecodeError(attribute `lines[2].price`: wanted u32, found SS)");

    let malformed = error::<Order>(&line(r#""price":{"S":5}"#));
    assert_eq!((malformed.path(), malformed.expected(), malformed.found()), ("lines[2].price", None, None));
    assert!(malformed.is_malformed());

    let missing = error::<Order>("{}");
    assert_eq!((missing.path(), missing.is_malformed()), ("", false));
}

/// What a type's own `Deserialize` sees of an error.
#[derive(Debug, PartialEq)]
struct Seen(String);

impl<'de> Deserialize<'de> for Seen {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let error = u8::deserialize(deserializer).expect_err("the tests' values are not bytes");
        Ok(Self(format!("{error:?}")))
    }
}

#[test]
fn a_type_that_swallows_an_error_does_not_see_the_value() {
    let seen: BTreeMap<String, Seen> = from_image(r#"{"a":{"S":"secret"}}"#).expect("the error is swallowed");
    assert_eq!(seen["a"], Seen("the item: wanted u8, found S".to_owned()));
}

#[test]
fn a_malformed_unused_attribute_is_named() {
    let error = error::<Order>(&with(r#""other":{"M":{"a":{"L":[{"N":"1"},{"N":"x"}]}}}"#));
    assert_eq!(error.to_string(), "attribute `other.a[1]`: an N is not a decimal number");
}

#[test]
fn unusual_attribute_names_are_quoted_in_paths() {
    type Bools = BTreeMap<String, BTreeMap<String, bool>>;
    for (name, path) in [
        ("aws:rep:region", "m.aws:rep:region"),
        ("ünïcode-1_2", "m.ünïcode-1_2"),
        ("a.b", r#"m["a.b"]"#),
        ("a b[0]", r#"m["a b[0]"]"#),
        ("", r#"m[""]"#),
        (r"two\nlines", r#"m["two\nlines"]"#),
        (r#"say \"x\""#, r#"m["say \"x\""]"#),
    ] {
        assert_eq!(error::<Bools>(&format!(r#"{{"m":{{"M":{{"{name}":{{"S":"x"}}}}}}}}"#)).path(), path);
    }
    let long = "é".repeat(30_000);
    let path = error::<Bools>(&format!(r#"{{"m":{{"M":{{"{long}":{{"S":"x"}}}}}}}}"#)).path().to_owned();
    assert_eq!(path, format!("m.{}…", "é".repeat(120)));
}
