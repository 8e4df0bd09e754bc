//! Where the decoder accepts more than `serde_dynamo`, and where less.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use lambda_streams::{from_image, from_keys};
use serde::{Deserialize, Deserializer};
use serde_bytes::ByteBuf;

#[derive(Debug, PartialEq, Deserialize)]
struct Big {
    u: u128,
    i: i128,
    all: Vec<u128>,
}

#[test]
fn numbers_of_128_bits_are_decoded() {
    let json = r#"{"u":{"N":"340282366920938463463374607431768211455"},"i":{"N":"-99999999999999999999999999999999999999"},
        "all":{"NS":["12345678901234567890123456789012345678"]}}"#;
    let big: Big = from_image(json).expect("the numbers fit");
    assert_eq!(big.u, u128::MAX);
    assert_eq!(big.i, -99_999_999_999_999_999_999_999_999_999_999_999_999);
    assert_eq!(big.all, [12_345_678_901_234_567_890_123_456_789_012_345_678]);

    let error = from_image::<BTreeMap<String, u128>>(r#"{"u":{"N":"340282366920938463463374607431768211456"}}"#);
    assert_eq!(
        error.expect_err("one more than fits").to_string(),
        "attribute `u`: wanted u128, found N with a value that does not fit"
    );
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "it is never decoded")]
struct Borrowed<'a> {
    id: &'a str,
}

#[derive(Debug, PartialEq, Deserialize)]
struct MaybeBorrowed<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, with = "serde_bytes")]
    data: Cow<'a, [u8]>,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "it is never decoded")]
struct BorrowsWithin {
    #[serde(deserialize_with = "length")]
    id: usize,
}

fn length<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    <&str>::deserialize(deserializer).map(str::len)
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind")]
#[expect(dead_code, reason = "it is never decoded")]
enum BorrowsBuffered {
    A(BorrowsWithin),
}

#[test]
fn text_is_never_borrowed() {
    const ADVICE: &str =
        "attribute `id`: wanted a borrowed string, found S; text cannot be borrowed, use `String` or `Cow<str>`";
    for text in ["plain", "", r"two\nlines", r"\u0061"] {
        let json = format!(r#"{{"kind":{{"S":"A"}},"id":{{"S":"{text}"}},"data":{{"B":"YQ=="}}}}"#);
        assert_eq!(from_image::<Borrowed<'_>>(&json).unwrap_err().to_string(), ADVICE);
        assert_eq!(from_image::<BorrowsWithin>(&json).unwrap_err().to_string(), ADVICE);
        assert_eq!(from_image::<BorrowsBuffered>(&json).unwrap_err().to_string(), ADVICE);
        let either: MaybeBorrowed<'_> = from_image(&json).expect("it owns what cannot be borrowed");
        assert_eq!(
            (either.id.len(), &*either.data),
            (serde_json::from_str::<String>(&format!("\"{text}\"")).unwrap().len(), &b"a"[..])
        );
        let set = format!(r#"{{"id":{{"SS":["{text}"]}}}}"#);
        let error = from_image::<BTreeMap<String, Vec<&str>>>(&set).unwrap_err();
        assert_eq!(error.to_string(), ADVICE.replace("`id`", "`id[0]`"));
        let error = from_image::<BTreeMap<&str, u8>>(&format!(r#"{{"{text}":{{"N":"1"}}}}"#)).unwrap_err();
        assert!(error.to_string().contains("use `String` or `Cow<str>`"), "{error}");
    }
    let error = from_image::<BTreeMap<String, &[u8]>>(r#"{"b":{"B":"YQ=="}}"#).unwrap_err();
    assert!(error.to_string().ends_with("bytes cannot be borrowed, use `Vec<u8>` with `serde_bytes`"), "{error}");
    let error = from_image::<BTreeMap<String, &std::path::Path>>(r#"{"p":{"S":"/srv"}}"#).unwrap_err();
    assert!(error.to_string().ends_with("text cannot be borrowed, use `PathBuf`"), "{error}");
}

#[test]
fn bytes_without_serde_bytes_name_it() {
    for error in [
        from_image::<BTreeMap<String, Vec<u8>>>(r#"{"b":{"B":"YQ=="}}"#).unwrap_err(),
        from_image::<BTreeMap<String, Option<[u8; 1]>>>(r#"{"b":{"B":"YQ=="}}"#).unwrap_err(),
    ] {
        assert_eq!(error.path(), "b");
        assert!(error.to_string().ends_with(", found B; for bytes, use `serde_bytes`"), "{error}");
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
struct New<T>(T);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
enum Flag {
    Hot,
}

#[test]
fn a_set_of_newtypes_decodes() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Item {
        tags: HashSet<New<String>>,
        zones: BTreeSet<New<New<u8>>>,
        blobs: Vec<New<ByteBuf>>,
        flags: Vec<New<Option<New<Flag>>>>,
    }
    let json = r#"{"tags":{"SS":["fragile","co\u006cd"]},"zones":{"NS":["3","7.0"]},"blobs":{"BS":["YQ=="]},"flags":{"SS":["Hot"]}}"#;
    let item: Item = from_image(json).expect("elements are read as those of a list");
    assert_eq!(item.tags, ["fragile", "cold"].map(|tag| New(tag.to_owned())).into());
    assert_eq!(item.zones, [New(New(3)), New(New(7))].into());
    assert_eq!((item.blobs, item.flags), (vec![New(ByteBuf::from("a"))], vec![New(Some(New(Flag::Hot)))]));
    let error = from_image::<BTreeMap<String, BTreeSet<New<u8>>>>(r#"{"zones":{"NS":["3","300"]}}"#).unwrap_err();
    assert_eq!(error.to_string(), "attribute `zones[1]`: wanted u8, found N with a value that does not fit");
}

/// So are a `B`, an `S` and an `N` of a list, whereas `serde_dynamo` reads bytes of a set as text, and text as bytes.
#[test]
fn an_element_of_a_set_is_not_read_as_another_type() {
    fn refused<T: serde::de::DeserializeOwned>(json: &str, wanted: &str, found: &str) {
        let of_list = match found {
            "B" => r#"{"L":[{"B":"YQ=="},{"B":"YQ=="}]}"#,
            "S" => r#"{"L":[{"S":"a"},{"S":"a"}]}"#,
            _ => r#"{"L":[{"N":"12345678901234567890123"}]}"#,
        };
        for value in [json, of_list] {
            let error = from_image::<BTreeMap<String, Vec<T>>>(&format!(r#"{{"v":{value}}}"#)).map(drop).unwrap_err();
            assert_eq!(error.to_string(), format!("attribute `v[0]`: wanted {wanted}, found {found}"), "{value}");
        }
    }
    refused::<String>(r#"{"BS":["YQ=="]}"#, "a string", "B");
    refused::<Option<String>>(r#"{"BS":["YQ=="]}"#, "a string", "B");
    refused::<New<String>>(r#"{"BS":[""]}"#, "a string", "B");
    refused::<Flag>(r#"{"BS":["SG90"]}"#, "enum Flag", "B");
    refused::<ByteBuf>(r#"{"SS":["a"]}"#, "byte array", "S");
    refused::<Option<New<ByteBuf>>>(r#"{"SS":["a"]}"#, "byte array", "S");
    refused::<String>(r#"{"NS":["12345678901234567890123"]}"#, "a string", "N");
}

/// `serde_dynamo` passes a number's text to Rust's parsers, which accept more than DynamoDB ever writes.
#[test]
fn numbers_dynamodb_never_writes_are_malformed() {
    for number in ["+-1", ".5", "1.", "inf", "-inf", "NaN", "infinity", "1e", ""] {
        let json = format!(r#"{{"v":{{"N":"{number}"}}}}"#);
        assert!(from_image::<BTreeMap<String, f64>>(&json).expect_err(number).is_malformed(), "{number}");
    }
}

#[test]
fn only_possible_primary_keys_decode() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Key {
        pk: String,
        sk: Option<i64>,
    }
    assert_eq!(from_keys(r#"{"sk":{"N":"-5"},"pk":{"S":"a"}}"#), Ok(Key { pk: "a".into(), sk: Some(-5) }));
    assert_eq!(from_keys(r#"{"pk":{"S":"a"}}"#), Ok(Key { pk: "a".into(), sk: None }));
    let error = from_keys::<Key>(r#"{"pk":{"N":"1"}}"#).expect_err("a number is not text");
    assert_eq!(error.to_string(), "attribute `pk`: wanted a string, found N");
    for json in ["{}", r#"{"pk":{"S":"a"},"sk":{"NULL":true}}"#, r#"{"pk":{"S":"a"},"more":{"M":{}}}"#] {
        assert!(from_keys::<Key>(json).expect_err(json).is_malformed(), "{json}");
    }
}
