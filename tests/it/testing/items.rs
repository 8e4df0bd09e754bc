//! `testing::item`: what it encodes decodes to the same value.

use std::collections::BTreeMap;
use std::fmt::Debug;

use lambda_streams::testing::{TestStream, item};
use lambda_streams::{Insert, Number, from_image};
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use serde_json::{Value, json};

/// A value of every type that an attribute can have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Everything {
    text: String,
    letter: char,
    flag: bool,
    small: i8,
    signed: i64,
    unsigned: u64,
    huge: u128,
    negative: i128,
    single: f32,
    double: f64,
    exact: Number,
    bytes: ByteBuf,
    nothing: (),
    maybe: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    absent: Option<String>,
    list: Vec<Vec<i32>>,
    pair: (u8, String),
    map: BTreeMap<String, Option<bool>>,
    numbered: BTreeMap<u16, i16>,
    kinds: Vec<Kind>,
    nested: Option<Box<Everything>>,
    #[serde(flatten)]
    rest: BTreeMap<String, Number>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Kind {
    Plain,
    Newtype(u32),
    Wrapped(Inner),
    Tuple(i32, String),
    Struct { total: Number, note: Option<String> },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Inner(String);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entity")]
enum Entity {
    Order { id: String, total: Number },
    Customer(BTreeMap<String, String>),
}

/// A decimal of up to 38 digits.
fn number() -> impl Strategy<Value = Number> {
    ("-?(0|[1-9][0-9]{0,18})(\\.[0-9]{1,18})?(E-?[1-9][0-9]?)?").prop_map(|text| text.parse().expect("a number"))
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::Plain),
        any::<u32>().prop_map(Kind::Newtype),
        ".{0,9}".prop_map(|text| Kind::Wrapped(Inner(text))),
        (any::<i32>(), ".{0,9}").prop_map(|(number, text)| Kind::Tuple(number, text)),
        (number(), prop::option::of(".{0,9}")).prop_map(|(total, note)| Kind::Struct { total, note }),
    ]
}

fn everything() -> impl Strategy<Value = Everything> {
    let integers = any::<(i8, i64, u64, u128, i128)>();
    let floats = (-1e30..1e30_f32, -1e120..1e120_f64, number());
    let texts = (".{0,9}", any::<char>(), any::<bool>(), prop::collection::vec(any::<u8>(), 0..9));
    let lists = prop::collection::vec(prop::collection::vec(any::<i32>(), 0..3), 0..3);
    let some = (any::<Option<u32>>(), prop::option::of(".{0,9}"), lists, (any::<u8>(), ".{0,9}"));
    let maps = (
        prop::collection::btree_map(".{0,9}", any::<Option<bool>>(), 0..3),
        prop::collection::btree_map(any::<u16>(), any::<i16>(), 0..3),
    );
    let more = (prop::collection::vec(kind(), 0..4), prop::collection::btree_map("x[a-z]{1,4}", number(), 0..3));
    let flat = (integers, floats, texts, some, maps, more).prop_map(|(integers, floats, texts, some, maps, more)| {
        Everything {
            text: texts.0,
            letter: texts.1,
            flag: texts.2,
            small: integers.0,
            signed: integers.1,
            unsigned: integers.2,
            huge: integers.3,
            negative: integers.4,
            single: floats.0,
            double: floats.1,
            exact: floats.2,
            bytes: ByteBuf::from(texts.3),
            nothing: (),
            maybe: some.0,
            absent: some.1,
            list: some.2,
            pair: some.3,
            map: maps.0,
            numbered: maps.1,
            kinds: more.0,
            nested: None,
            rest: more.1,
        }
    });
    flat.prop_recursive(2, 4, 1, |inner| {
        (inner.clone(), inner).prop_map(|(outer, inner)| Everything { nested: Some(Box::new(inner)), ..outer })
    })
}

/// Encodes a value and decodes it again.
fn there_and_back<T: Serialize + DeserializeOwned>(value: &T) -> T {
    let json = serde_json::to_string(&item(value)).expect("it is encoded");
    from_image(&json).unwrap_or_else(|error| panic!("{error}: {json}"))
}

fn encoded(value: impl Serialize) -> Value {
    serde_json::to_value(item(value)).expect("it is encoded")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_value_round_trips(value in everything()) {
        prop_assert_eq!(there_and_back(&value), value);
    }
}

#[test]
fn each_type_becomes_that_of_dynamodb() {
    #[derive(Serialize)]
    struct Unit;
    #[derive(Serialize)]
    struct Pair(u8, bool);
    #[derive(Serialize)]
    struct Item<T> {
        value: T,
    }
    fn attribute(value: impl Serialize) -> Value {
        encoded(Item { value })["value"].take()
    }
    let exact: Number = "3804086584686624768.25".parse().unwrap();
    for (found, wanted) in [
        (attribute("a"), json!({"S": "a"})),
        (attribute('a'), json!({"S": "a"})),
        (attribute(Kind::Plain), json!({"S": "Plain"})),
        (attribute(-7_i8), json!({"N": "-7"})),
        (attribute(u128::MAX), json!({"N": "340282366920938463463374607431768211455"})),
        (attribute(0.1_f32), json!({"N": "0.1"})),
        (attribute(19.95), json!({"N": "19.95"})),
        (attribute(2.0), json!({"N": "2"})),
        (attribute(1e100), json!({"N": "1e+100"})),
        (attribute(exact), json!({"N": "3804086584686624768.25"})),
        (attribute(true), json!({"BOOL": true})),
        (attribute(serde_bytes::Bytes::new(&[0, 255])), json!({"B": "AP8="})),
        (attribute(()), json!({"NULL": true})),
        (attribute(Unit), json!({"NULL": true})),
        (attribute(None::<u8>), json!({"NULL": true})),
        (attribute(Some(1)), json!({"N": "1"})),
        (attribute([1, 2]), json!({"L": [{"N": "1"}, {"N": "2"}]})),
        (attribute(Pair(1, true)), json!({"L": [{"N": "1"}, {"BOOL": true}]})),
        (attribute(Kind::Newtype(1)), json!({"M": {"Newtype": {"N": "1"}}})),
        (attribute(Kind::Tuple(1, "a".to_owned())), json!({"M": {"Tuple": {"L": [{"N": "1"}, {"S": "a"}]}}})),
        (
            attribute(Kind::Struct { total: 5.into(), note: None }),
            json!({"M": {"Struct": {"M": {"total": {"N": "5"}, "note": {"NULL": true}}}}}),
        ),
        (attribute(BTreeMap::from([(1, "a")])), json!({"M": {"1": {"S": "a"}}})),
        (attribute(BTreeMap::from([(true, "a")])), json!({"M": {"true": {"S": "a"}}})),
    ] {
        assert_eq!(found, wanted);
    }
}

#[test]
fn tagged_enums_are_items() {
    let exact: Number = "12345678901234567890123456789.5".parse().unwrap();
    let order = Entity::Order { id: "a".to_owned(), total: exact };
    assert_eq!(
        encoded(&order),
        json!({"entity": {"S": "Order"}, "id": {"S": "a"}, "total": {"N": "12345678901234567890123456789.5"}})
    );
    let customer = Entity::Customer(BTreeMap::from([("name".to_owned(), "b".to_owned())]));
    assert_eq!((there_and_back(&order), there_and_back(&customer)), (order, customer));
}

#[test]
fn what_is_not_an_item_is_refused() {
    let refused = |stream: TestStream| stream.change::<Insert<Entity>>().expect_err("it is refused").to_string();
    let stream = || TestStream::new("orders", &["id"]);
    for (error, words) in [
        (refused(stream().insert(item("text"))), "an item is a struct or a map"),
        (refused(stream().insert(item(Kind::Plain))), "an item is a struct or a map"),
        (refused(stream().insert(item(BTreeMap::from([("id", f64::NAN)])))), "a number of DynamoDB is finite"),
        (refused(stream().insert(item(BTreeMap::from([((), 1)])))), "an attribute's name is neither text"),
        (refused(stream().insert(item(BTreeMap::from([("key", 1)])))), "its item has no key attribute `id`"),
    ] {
        assert!(error.contains(words), "{error}");
    }
}
