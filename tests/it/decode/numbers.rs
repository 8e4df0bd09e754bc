//! Numbers keep all of their digits, and a whole number is whole in every spelling.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;

use lambda_streams::{AttributeType, Number, from_image};
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::arbitrary::any_number;
use super::types::Any;

/// A number of 38 digits, the most that DynamoDB keeps.
const LONG: &str = "12345678901234567890.123456789012345678";

/// A decimal type like those of other crates: it knows no exponents, and drops digits after the 28th as `rust_decimal` does.
#[derive(Debug, Clone, PartialEq)]
struct Decimal(String);

impl FromStr for Decimal {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text.contains(['e', 'E', '+']) {
            return Err(());
        }
        Ok(Self(text.chars().take(29).collect()))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Price {
    amount: Number,
    #[serde(with = "lambda_streams::number")]
    units: u128,
    #[serde(default, with = "lambda_streams::number::option")]
    tax: Option<Decimal>,
    #[serde(default)]
    more: Vec<Number>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Flat {
    id: String,
    #[serde(flatten)]
    price: Price,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Price(Price),
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", content = "id")]
enum Adjacent {
    Text(Number),
    #[serde(rename = "Price")]
    Other(String),
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Price(Price),
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum NumberOrText {
    Number(Number),
    Text(String),
}

fn number(text: &str) -> Number {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn price(long: &str) -> String {
    format!(
        r#"{{"kind":{{"S":"Price"}},"id":{{"S":"a"}},"amount":{{"N":"{long}"}},"units":{{"N":"3.40282366920938463463374607431768211455E38"}},
            "tax":{{"N":"1.5E2"}},"more":{{"NS":["{long}","1"]}}}}"#
    )
}

#[test]
fn all_digits_arrive_in_every_kind_of_type() {
    for text in [
        LONG,
        "-3804086584686624768.25",
        "18446744073709551616",
        "0.1",
        "19.990",
        "1E-130",
        "9.9999999999999999999999999999999999999E+125",
    ] {
        let expected = || Price {
            amount: number(text),
            units: u128::MAX,
            tax: Some(Decimal("150".to_owned())),
            more: vec![number(text), number("1")],
        };
        let json = price(text);
        assert_eq!(from_image::<Price>(&json).unwrap(), expected(), "{text}");
        assert_eq!(from_image::<Price>(&json).unwrap().amount.as_str(), text, "as it was spelled");
        assert_eq!(from_image::<Flat>(&json).unwrap().price, expected(), "{text}");
        assert_eq!(from_image::<Tagged>(&json).unwrap(), Tagged::Price(expected()), "{text}");
        assert_eq!(from_image::<Untagged>(&json).unwrap(), Untagged::Price(expected()), "{text}");
        let nested = format!(r#"{{"all":{{"L":[{{"M":{json}}}]}}}}"#);
        let nested: HashMap<String, Vec<Tagged>> = from_image(&nested).unwrap();
        assert_eq!(nested["all"], [Tagged::Price(expected())], "{text}");
    }
    assert_eq!(from_image::<Adjacent>(&price("1")).unwrap(), Adjacent::Other("a".to_owned()));
    let optional: Price = from_image(r#"{"amount":{"N":"1"},"units":{"N":"+7.0"},"tax":{"NULL":true}}"#).unwrap();
    assert_eq!((optional.units, optional.tax), (7, None));
}

#[test]
fn a_dropped_digit_is_an_error() {
    let json = r#"{"amount":{"N":"1"},"units":{"N":"1"},"tax":{"N":"12345678901234567890.123456789012345678"}}"#;
    for (error, kind) in [
        (from_image::<Price>(json).unwrap_err(), "direct"),
        (from_image::<Tagged>(&json.replacen('{', r#"{"kind":{"S":"Price"},"#, 1)).unwrap_err(), "buffered"),
    ] {
        assert_eq!(
            error.to_string(),
            "attribute `tax`: wanted Decimal, found N with a value that does not fit",
            "{kind}"
        );
        assert_eq!(error.found(), Some(AttributeType::N));
    }
    let error = from_image::<Price>(r#"{"amount":{"N":"1"},"units":{"N":"0.5"}}"#).unwrap_err();
    assert_eq!(error.to_string(), "attribute `units`: wanted u128, found N with a value that does not fit");
}

#[test]
fn an_exact_number_is_not_read_from_other_text() {
    for text in ["12", "19.99", "a", "", "1e3"] {
        let json = format!(r#"{{"v":{{"S":"{text}"}}}}"#);
        let error = from_image::<HashMap<String, Number>>(&json).unwrap_err();
        assert_eq!(error.to_string(), "attribute `v`: wanted Number, found S", "{text}");
        let either: HashMap<String, NumberOrText> = from_image(&json).unwrap();
        assert_eq!(either["v"], NumberOrText::Text(text.to_owned()));
    }
    for text in ["12", "19.99", LONG] {
        let either: HashMap<String, NumberOrText> = from_image(&format!(r#"{{"v":{{"N":"{text}"}}}}"#)).unwrap();
        assert_eq!(either["v"], NumberOrText::Number(number(text)));
    }
}

#[test]
fn no_dynamic_target_gets_a_rounded_number() {
    #[derive(Debug, Deserialize)]
    struct Rest {
        #[serde(flatten)]
        rest: HashMap<String, Value>,
    }
    for (text, expected) in [
        (LONG, json!(LONG)),
        ("18446744073709551616", json!("18446744073709551616")),
        ("-9223372036854775809", json!("-9223372036854775809")),
        ("0.30000000000000000001", json!("0.30000000000000000001")),
        ("19.99", json!(19.99)),
        ("150.0", json!(150)),
        ("1.5E2", json!(150)),
        ("18446744073709551615", json!(u64::MAX)),
        ("1E+30", json!(1e30)),
    ] {
        let json = format!(r#"{{"v":{{"N":"{text}"}},"s":{{"NS":["{text}"]}}}}"#);
        let value: Value = from_image(&json).unwrap();
        assert_eq!(value, json!({"v": expected, "s": [expected]}));
        assert_eq!(from_image::<Rest>(&json).unwrap().rest["v"], expected);
    }
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(tag = "kind")]
enum Measured {
    A { one: f64, two: Option<f32>, whole: u32, text: Value },
}

#[test]
fn a_concrete_float_is_rounded_also_where_serde_buffers() {
    let json = format!(
        r#"{{"kind":{{"S":"A"}},"one":{{"N":"{LONG}"}},"two":{{"N":"0.30000000000000000001"}},"whole":{{"N":"1e2"}},"text":{{"N":"1{LONG}"}}}}"#
    );
    let Measured::A { one, two, whole, text } = from_image(&json).unwrap();
    assert_eq!((one, two, whole), (12345678901234567000.0, Some(0.3), 100));
    assert_eq!(text, json!(format!("1{LONG}")), "the dynamic one keeps its digits");
    let error = from_image::<Measured>(&json.replace("1e2", &format!("2{LONG}"))).unwrap_err();
    assert_eq!(error.to_string(), "attribute `whole`: wanted u32, found N");
}

#[test]
fn a_128_bit_integer_in_a_buffer_says_what_to_do() {
    #[derive(Debug, Deserialize)]
    #[serde(tag = "kind")]
    #[expect(dead_code, reason = "it is never decoded")]
    enum Big {
        A { id: u128 },
        B { id: i128 },
    }
    for (kind, number) in [("A", "u128"), ("B", "i128")] {
        let error = from_image::<Big>(&format!(r#"{{"kind":{{"S":"{kind}"}},"id":{{"N":"1"}}}}"#)).unwrap_err();
        assert!(error.to_string().ends_with(r#"use `#[serde(with = "lambda_streams::number")]`"#), "{error}");
        assert_eq!(error.expected(), Some(number));
    }
}

/// Each is found out by decoding the item once more.
#[test]
fn a_bounded_number_of_floats_is_rounded_where_serde_buffers() {
    #[derive(Debug, Deserialize)]
    struct Measures {
        #[serde(flatten)]
        all: BTreeMap<String, f64>,
    }
    let measures = |count: usize| {
        let all: Vec<_> = (0..count).map(|number| format!(r#""m{number:02}":{{"N":"{number}{LONG}"}}"#)).collect();
        from_image::<Measures>(&format!("{{{}}}", all.join(",")))
    };
    assert_eq!(measures(32).unwrap().all["m31"], 3112345678901234567890.0);
    assert_eq!(measures(33).unwrap_err().to_string(), "attribute `m32`: wanted f64, found N");
}

#[test]
fn an_optional_number_is_named_in_errors_of_other_formats() {
    use serde::de::IntoDeserializer;
    use serde::de::value::{Error, U64Deserializer};

    let other: U64Deserializer<Error> = 7_u64.into_deserializer();
    let error = lambda_streams::number::option::deserialize::<u64, _>(other).unwrap_err();
    assert_eq!(error.to_string(), "invalid type: integer `7`, expected an optional number");
}

fn whole<T: DeserializeOwned + PartialEq + fmt::Debug>(text: &str, expected: T) {
    for json in [r#"{"v":{"L":[{"N":"#, r#"{"v":{"NS":["#] {
        let (end, list) = if json.contains('L') { ("}]}}", true) } else { ("]}}", false) };
        let json = format!("{json}\"{text}\"{end}");
        let all: HashMap<String, Vec<T>> = from_image(&json).unwrap_or_else(|error| panic!("{json}: {error}"));
        assert_eq!(all["v"][0], expected, "{text} {list}");
    }
}

#[test]
fn a_whole_number_is_whole_in_every_spelling() {
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(tag = "kind")]
    enum Counted {
        A { count: u32 },
    }
    for text in ["150", "1.5E2", "150.0", "00150", "+150", "1.5e+2", "15000e-2"] {
        whole(text, 150_u8);
        whole(text, 150_i16);
        whole(text, 150_u32);
        whole(text, 150_i64);
        whole(text, 150_u64);
        whole(text, 150_i128);
        whole(text, 150_u128);
        whole(text, 150_usize);
        whole(text, std::num::NonZeroU8::new(150).unwrap());
        let tagged = format!(r#"{{"kind":{{"S":"A"}},"count":{{"N":"{text}"}}}}"#);
        assert_eq!(from_image::<Counted>(&tagged).unwrap(), Counted::A { count: 150 });
    }
    whole("-1.28E2", i8::MIN);
    whole("-0.0", 0_u8);
    for (text, why) in [
        ("1.5", "wanted u8, found N with a value that is not whole"),
        ("15E-1", "wanted u8, found N with a value that is not whole"),
        ("256.0", "wanted u8, found N with a value that does not fit"),
        ("1E+125", "wanted u8, found N with a value that does not fit"),
        ("-1.0", "wanted u8, found N with a value that does not fit"),
    ] {
        let error = from_image::<HashMap<String, u8>>(&format!(r#"{{"v":{{"N":"{text}"}}}}"#)).unwrap_err();
        assert_eq!(error.to_string(), format!("attribute `v`: {why}"), "{text}");
        assert_eq!((error.expected(), error.found()), (Some("u8"), Some(AttributeType::N)));
    }
}

#[test]
fn numbers_compare_and_hash_by_value() {
    let sorted = [
        "-1e20", "-12.5", "-12", "-0.5", "0", "1E-130", "0.1", "0.123", "0.13", "1", "9.99", "10", "12", "123", "1e20",
        "1E+125",
    ];
    for (index, one) in sorted.iter().enumerate() {
        for (other_index, other) in sorted.iter().enumerate() {
            assert_eq!(number(one).cmp(&number(other)), index.cmp(&other_index), "{one} {other}");
        }
    }
    let hasher = RandomState::new();
    for group in [&["1", "+1", "1.0", "01", "10e-1"][..], &["0", "-0", "0.00", "0e9", "-0e-9"], &["-12.50", "-1250E-2"]]
    {
        for text in group {
            assert_eq!(number(text), number(group[0]));
            assert_eq!(hasher.hash_one(number(text)), hasher.hash_one(number(group[0])));
            assert_eq!(number(text).to_string(), *text, "it shows its text");
        }
    }
    let map: BTreeMap<Number, u8> = from_image(r#"{"10":{"N":"1"},"9.5":{"N":"2"}}"#).unwrap();
    assert_eq!(map.into_iter().collect::<Vec<_>>(), [(number("9.5"), 2), (Number::from(10), 1)]);
}

#[test]
fn a_number_says_why_it_is_none() {
    for (text, why) in [
        ("", "the text of a number is empty"),
        ("12,5", "the text is not a decimal number such as `-12.5E-3`"),
        (" 1", "the text is not a decimal number such as `-12.5E-3`"),
        ("NaN", "the text is not a decimal number such as `-12.5E-3`"),
        ("1e123456789012345678", "the exponent of the number has more than 17 digits"),
    ] {
        assert_eq!(text.parse::<Number>().unwrap_err().to_string(), why);
    }
    assert_eq!(Number::try_from(f64::NAN).unwrap_err().to_string(), "infinity and NaN are not decimal numbers");
    assert_eq!(Number::try_from(0.1).unwrap(), number("1e-1"));
    assert_eq!(Number::from(-5_i8), number("-5.0"));
    assert_eq!(number("1.5E2").parse::<u8>(), Ok(150));
    assert!(number("1.5").parse::<u8>().is_err());
    assert_eq!(Number::default(), number("0"));
}

#[test]
fn numbers_go_through_json_and_serde_dynamo() {
    for text in ["1", "-5", "18446744073709551615", "19.99", "1E-7", LONG] {
        let price = Price {
            amount: number(text),
            units: u128::MAX,
            tax: Some(Decimal("0.5".to_owned())),
            more: vec![number(text)],
        };
        let json = serde_json::to_string(&price).unwrap();
        assert_eq!(json.contains(&format!("\"{text}\"")), text == LONG, "only a long number is text: {json}");
        assert_eq!(serde_json::from_str::<Price>(&json).unwrap(), price);
        assert_eq!(serde_json::from_value::<Price>(serde_json::to_value(&price).unwrap()).unwrap(), price);
        let item: serde_dynamo::Item = serde_dynamo::to_item(&price).unwrap();
        let image = serde_json::to_string(&item).unwrap();
        assert_eq!(from_image::<Price>(&image).unwrap(), price, "{image}");
    }
    assert!(serde_json::from_str::<Number>(r#""12""#).is_err());
    assert_eq!(serde_json::from_str::<Number>("0.1").unwrap(), number("0.1"));
}

proptest! {
    #[test]
    fn any_number_arrives_as_it_is(text in any_number(), other in any_number()) {
        let json = format!(r#"{{"kind":{{"S":"Price"}},"id":{{"S":"a"}},"amount":{{"N":"{text}"}},"units":{{"N":"1"}},"more":{{"L":[{{"N":"{other}"}}]}}}}"#);
        let direct: Price = from_image(&json).unwrap();
        prop_assert_eq!((direct.amount.as_str(), direct.more[0].as_str()), (&*text, &*other));
        let Tagged::Price(tagged) = from_image(&json).unwrap();
        prop_assert_eq!(&tagged, &direct);
        let Untagged::Price(untagged) = from_image(&json).unwrap();
        prop_assert_eq!(&untagged, &direct);
        prop_assert_eq!(from_image::<Flat>(&json).unwrap().price, direct);
        // Whatever takes any value gets the number or its text, and never another number.
        let Any::Map(map) = from_image(&json).unwrap() else { unreachable!("an item is a map") };
        let dynamic = match &map["amount"] {
            Any::I64(number) => number.to_string(),
            Any::U64(number) => number.to_string(),
            Any::F64(number) => format!("{number:e}"),
            Any::Text(text) => text.clone(),
            other => unreachable!("{other:?} is not a number"),
        };
        prop_assert_eq!(number(&dynamic), number(&text));
        prop_assert_eq!(number(&text).cmp(&number(&other)), number(&other).cmp(&number(&text)).reverse());
        if text.parse::<f64>().unwrap() < other.parse::<f64>().unwrap() {
            prop_assert_eq!(number(&text).cmp(&number(&other)), Ordering::Less);
        }
    }
}

#[test]
fn different_numbers_differ() {
    let ascending = ["-1e3", "-999.5", "-2", "-1.5", "0", "1e-9", "0.5", "1.5", "2", "10", "1e2"].map(|text| {
        let number: Number = text.parse().unwrap();
        assert_eq!(format!("{number:?}"), format!("Number({text})"));
        number
    });
    let hasher = RandomState::new();
    for (place, one) in ascending.iter().enumerate() {
        for (other_place, other) in ascending.iter().enumerate() {
            assert_eq!(one.partial_cmp(other), Some(place.cmp(&other_place)));
            assert_eq!(one == other, place == other_place);
            assert_eq!(hasher.hash_one(one) == hasher.hash_one(other), place == other_place);
        }
    }
    assert_eq!(format!("{:?}", "".parse::<Number>().unwrap_err()), "NumberError(the text of a number is empty)");
}
