//! Values at the edges of their type: what is nested, escaped or of one character.

use std::collections::{BTreeMap, HashMap};

use lambda_streams::from_image;
use serde::Deserialize;
use serde_json::{Value, json};

/// One attribute `a` of this value.
fn image(value: Value) -> String {
    json!({ "a": value }).to_string()
}

#[test]
fn siblings_do_not_add_to_the_depth() {
    type Nested = HashMap<String, Vec<Vec<BTreeMap<String, u32>>>>;
    let map = json!({"M": {"n": {"N": "1"}}});
    let list = json!({"L": [map, map]});
    let all = image(json!({"L": vec![list; 100]}));
    let decoded: Nested = from_image(&all).expect("it is five levels deep");
    assert_eq!(decoded["a"].len(), 100);
    assert!(decoded["a"].iter().flatten().all(|map| map["n"] == 1));
}

#[test]
fn every_escape_is_read() {
    for (json, text) in [
        (r#"\""#, "\""),
        (r"\\", "\\"),
        (r"\/", "/"),
        (r"\b", "\u{8}"),
        (r"\f", "\u{c}"),
        (r"\n", "\n"),
        (r"\r", "\r"),
        (r"\t", "\t"),
        (r"\u00e9", "é"),
        (r"\uD83E\uDD8A", "🦊"),
        (r"a\tb\u0041", "a\tbA"),
    ] {
        let decoded: HashMap<String, String> = from_image(&format!(r#"{{"{json}":{{"S":"{json}"}}}}"#)).expect(json);
        assert_eq!(decoded, HashMap::from([(text.to_owned(), text.to_owned())]), "{json}");
    }
}

#[test]
fn a_char_is_text_of_one_character() {
    let char = |text: &str| from_image::<HashMap<String, char>>(&image(json!({ "S": text }))).map(|item| item["a"]);
    assert_eq!(char("x").expect("one character"), 'x');
    assert_eq!(char("🦊").expect("one character"), '🦊');
    for text in ["", "xy"] {
        let error = char(text).expect_err(text).to_string();
        assert!(error.starts_with("attribute `a`: ") && !error.contains("xy"), "{error}");
    }
}

#[test]
fn names_of_attributes_can_be_booleans() {
    let decoded: BTreeMap<bool, u32> = from_image(r#"{"true":{"N":"1"},"false":{"N":"0"}}"#).expect("both names are");
    assert_eq!(decoded, BTreeMap::from([(false, 0), (true, 1)]));
    assert!(from_image::<BTreeMap<bool, u32>>(r#"{"yes":{"N":"1"}}"#).is_err());
}

#[derive(Debug, PartialEq, Deserialize)]
struct Point(u32, u32);

#[derive(Debug, PartialEq, Deserialize)]
struct Named {
    x: u32,
    y: u32,
}

#[derive(Debug, PartialEq, Deserialize)]
enum Shape {
    Round(u32),
    Square { side: u32 },
}

#[test]
fn a_struct_is_a_map_or_a_list() {
    let list = image(json!({"L": [{"N": "1"}, {"N": "2"}]}));
    let map = image(json!({"M": {"x": {"N": "1"}, "y": {"N": "2"}}}));
    let [of_list, of_map] = [&list, &map].map(|json| from_image::<HashMap<String, Named>>(json).expect("a struct"));
    assert_eq!((&of_list["a"], &of_map["a"]), (&Named { x: 1, y: 2 }, &Named { x: 1, y: 2 }));
    let point: HashMap<String, Point> = from_image(&list).expect("a tuple struct");
    assert_eq!(point["a"], Point(1, 2));
    assert!(from_image::<HashMap<String, Point>>(&map).is_err());
}

#[test]
fn a_variant_is_the_only_attribute() {
    let shape = |value: Value| from_image::<HashMap<String, Shape>>(&image(value)).map(|mut item| item.remove("a"));
    let round = json!({"N": "1"});
    assert_eq!(shape(json!({"M": {"Round": round}})).expect("a variant"), Some(Shape::Round(1)));
    let square = json!({"M": {"side": {"N": "2"}}});
    assert_eq!(shape(json!({"M": {"Square": square}})).expect("a variant"), Some(Shape::Square { side: 2 }));
    for other in [json!({"M": {"Round": round, "Square": square}}), json!({"M": {"Square": square, "other": round}})] {
        let error = shape(other).expect_err("two attributes").to_string();
        assert!(error.contains("a map of one attribute"), "{error}");
    }
}
