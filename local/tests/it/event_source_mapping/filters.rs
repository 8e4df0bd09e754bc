//! Filter patterns.

use lambda_streams_local::{Settings, WarningKind};

use super::support::{Scripted, records, run, source};

const RECORD: &str = r#"{
    "eventID": "1", "eventName": "REMOVE", "userIdentity": {"type": "Service", "principalId": "dynamodb.amazonaws.com"},
    "dynamodb": {
        "Keys": {"id": {"S": "order-17"}}, "SequenceNumber": "1", "SizeBytes": 42,
        "OldImage": {"id": {"S": "order-17"}, "price": {"N": "100"}, "note": {"S": ""}, "gone": {"NULL": true},
                     "tags": {"SS": ["red", "blue"]}, "lines": {"L": [{"M": {"sku": {"S": "x"}}}, {"M": {"sku": {"S": "y"}}}]}}
    }
}"#;

async fn passes(patterns: &[&str]) -> bool {
    let settings = Settings {
        filter_patterns: patterns.iter().map(|pattern| (*pattern).to_owned()).collect(),
        ..Settings::default()
    };
    let ran = run(settings, source(vec![RECORD.to_owned()]), &Scripted::new([])).await;
    assert_eq!(ran.summary.done + ran.summary.filtered, 1);
    ran.summary.done == 1
}

#[tokio::test(start_paused = true)]
async fn every_operator_matches_what_it_should_and_nothing_else() {
    for (pattern, expected) in [
        (r#"{"eventName":["REMOVE"]}"#, true),
        (r#"{"eventName":["remove"]}"#, false),
        (r#"{"eventName":["INSERT","REMOVE"]}"#, true),
        (r#"{"eventName":["INSERT","MODIFY"]}"#, false),
        (r#"{"eventName":[{"equals-ignore-case":"remove"}]}"#, true),
        (r#"{"eventName":["REMOVE"],"userIdentity":{"type":["Service"]}}"#, true),
        (r#"{"eventName":["REMOVE"],"userIdentity":{"type":["User"]}}"#, false),
        (r#"{"dynamodb":{"Keys":{"id":{"S":[{"prefix":"order-"}]}}}}"#, true),
        (r#"{"dynamodb":{"Keys":{"id":{"S":[{"prefix":"Order-"}]}}}}"#, false),
        (r#"{"dynamodb":{"Keys":{"id":{"S":[{"prefix":{"equals-ignore-case":"ORDER-"}}]}}}}"#, true),
        (r#"{"dynamodb":{"Keys":{"id":{"S":[{"suffix":"17"}]}}}}"#, true),
        (r#"{"dynamodb":{"Keys":{"id":{"S":[{"suffix":"18"}]}}}}"#, false),
        (r#"{"dynamodb":{"Keys":{"id":{"S":[{"anything-but":["order-18"]}]}}}}"#, true),
        (r#"{"dynamodb":{"Keys":{"id":{"S":[{"anything-but":"order-17"}]}}}}"#, false),
        (r#"{"dynamodb":{"Keys":{"id":{"S":[{"anything-but":{"prefix":"order"}}]}}}}"#, false),
        (r#"{"dynamodb":{"OldImage":{"absent":{"S":[{"anything-but":["x"]}]}}}}"#, false),
        (r#"{"dynamodb":{"OldImage":{"price":{"N":[{"exists":true}]}}}}"#, true),
        (r#"{"dynamodb":{"NewImage":{"price":{"N":[{"exists":true}]}}}}"#, false),
        (r#"{"dynamodb":{"NewImage":{"price":{"N":[{"exists":false}]}}}}"#, true),
        (r#"{"dynamodb":{"OldImage":[{"exists":true}]}}"#, false),
        (r#"{"dynamodb":{"OldImage":[{"exists":false}]}}"#, true),
        (r#"{"dynamodb":{"OldImage":{"note":{"S":[""]}}}}"#, true),
        (r#"{"dynamodb":{"OldImage":{"gone":{"NULL":[true]}}}}"#, true),
        (r#"{"dynamodb":{"OldImage":{"gone":{"NULL":[null]}}}}"#, false),
        (r#"{"dynamodb":{"OldImage":{"tags":{"SS":["blue"]}}}}"#, true),
        (r#"{"dynamodb":{"OldImage":{"tags":{"SS":["green"]}}}}"#, false),
        (r#"{"dynamodb":{"OldImage":{"lines":{"L":{"M":{"sku":{"S":["y"]}}}}}}}"#, true),
        (r#"{"dynamodb":{"OldImage":{"lines":{"L":{"M":{"sku":{"S":["z"]}}}}}}}"#, false),
        (r#"{"$or":[{"eventName":["INSERT"]},{"userIdentity":{"type":["Service"]}}]}"#, true),
        (r#"{"$or":[{"eventName":["INSERT"]},{"userIdentity":{"type":["User"]}}]}"#, false),
        (r#"{"eventName":["INSERT"],"$or":[{"userIdentity":{"type":["Service"]}}]}"#, false),
        (r#"{"dynamodb":{"$or":[{"SizeBytes":[1]},{"Keys":{"id":{"S":["order-17"]}}}]}}"#, true),
    ] {
        assert_eq!(passes(&[pattern]).await, expected, "{pattern}");
    }
}

#[tokio::test(start_paused = true)]
async fn numeric_never_matches_dynamodbs_numbers() {
    for (pattern, expected) in [
        (r#"{"dynamodb":{"SizeBytes":[{"numeric":["=",42]}]}}"#, true),
        (r#"{"dynamodb":{"SizeBytes":[{"numeric":["=",42.0]}]}}"#, true),
        (r#"{"dynamodb":{"SizeBytes":[42]}}"#, true),
        (r#"{"dynamodb":{"SizeBytes":[4.2e1]}}"#, true),
        (r#"{"dynamodb":{"SizeBytes":[{"numeric":[">",0,"<=",42]}]}}"#, true),
        (r#"{"dynamodb":{"SizeBytes":[{"numeric":[">",0,"<",42]}]}}"#, false),
        (r#"{"dynamodb":{"SizeBytes":[{"numeric":[">=",43]}]}}"#, false),
        (r#"{"dynamodb":{"OldImage":{"price":{"N":[{"numeric":["=",100]}]}}}}"#, false),
        (r#"{"dynamodb":{"OldImage":{"price":{"N":[100]}}}}"#, false),
        (r#"{"dynamodb":{"OldImage":{"price":{"N":["100"]}}}}"#, true),
    ] {
        assert_eq!(passes(&[pattern]).await, expected, "{pattern}");
    }
}

#[tokio::test(start_paused = true)]
async fn up_to_five_patterns_are_ored() {
    assert!(passes(&[r#"{"eventName":["INSERT"]}"#, r#"{"eventName":["REMOVE"]}"#]).await);
    assert!(!passes(&[r#"{"eventName":["INSERT"]}"#; 5]).await);
}

#[tokio::test(start_paused = true)]
async fn filtered_records_do_not_invoke_the_function() {
    let settings = Settings {
        filter_patterns: vec![r#"{"dynamodb":{"SizeBytes":[{"numeric":[">",2]}]}}"#.to_owned()],
        ..Settings::default()
    };
    let function = Scripted::new([]);
    let ran = run(settings, source(records(4)), &function).await;
    assert_eq!(function.batches(), [vec![3, 4]]);
    assert_eq!((ran.summary.read, ran.summary.filtered, ran.summary.done), (4, 2, 2));
}

#[test]
fn a_wrong_pattern_is_refused_with_its_place() {
    for (pattern, why) in [
        ("{", "it is not valid JSON"),
        ("[]", "it is not an object"),
        ("{}", "it is an empty object"),
        (
            r#"{"body":["x"]}"#,
            "`body` never matches: a stream's records are filtered by `eventName`, `userIdentity` and `dynamodb`",
        ),
        (r#"{"eventName":"INSERT"}"#, "`eventName` must be an object, or an array of at least one value"),
        (r#"{"eventName":[]}"#, "`eventName` must be an object, or an array of at least one value"),
        (r#"{"dynamodb":{}}"#, "`dynamodb` is an empty object"),
        (r#"{"dynamodb":{"Keys":{"id":["a",["b"]]}}}"#, "`dynamodb.Keys.id` has an array inside its array"),
        (r#"{"eventName":[{"wildcard":"I*"}]}"#, "`wildcard` of `eventName` is not an operator that Lambda knows"),
        (r#"{"eventName":[{"prefix":1}]}"#, "`prefix` of `eventName` needs a text"),
        (r#"{"eventName":[{"exists":"yes"}]}"#, "`exists` of `eventName` needs `true` or `false`"),
        (
            r#"{"dynamodb":{"SizeBytes":[{"numeric":["<"]}]}}"#,
            "`numeric` of `dynamodb.SizeBytes` needs one or two pairs",
        ),
        (
            r#"{"dynamodb":{"SizeBytes":[{"numeric":["!",1]}]}}"#,
            "`numeric` of `dynamodb.SizeBytes` needs one or two pairs",
        ),
        (r#"{"$or":[]}"#, "`$or` must be an array of at least one object"),
        (r#"{"$or":{"eventName":["INSERT"]}}"#, "`$or` must be an array of at least one object"),
        (r#"{"$or":["x"]}"#, "`$or` must list objects"),
    ] {
        let settings = Settings { filter_patterns: vec![pattern.to_owned()], ..Settings::default() };
        let error = settings.validate().expect_err(pattern).to_string();
        let expected = format!("`FilterCriteria` has an invalid pattern at 0: {why}");
        assert!(error.starts_with(&expected), "{pattern}: {error}");
    }
}

/// What a run with this pattern warns of, before it invokes anything.
async fn doubts(pattern: &str) -> Vec<String> {
    let settings = Settings { filter_patterns: vec![pattern.to_owned()], ..Settings::default() };
    let ran = run(settings, source(vec![RECORD.to_owned()]), &Scripted::new([])).await;
    let of_filters = |warning: &&lambda_streams_local::Warning| warning.kind == WarningKind::FilterIneffective;
    ran.summary.warnings.iter().filter(of_filters).map(|warning| warning.message.clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_number_compared_with_text_is_warned_of() {
    for pattern in [
        r#"{"dynamodb":{"OldImage":{"price":{"N":[{"numeric":[">",1]}]}}}}"#,
        r#"{"dynamodb":{"OldImage":{"price":{"N":[100]}}}}"#,
        r#"{"dynamodb":{"OldImage":{"deep":{"M":{"price":{"N":[{"numeric":["=",1]}]}}}}}}"#,
        r#"{"dynamodb":{"OldImage":{"prices":{"NS":["1",{"numeric":["=",1]}]}}}}"#,
        r#"{"$or":[{"eventName":["INSERT"]},{"dynamodb":{"Keys":{"id":{"N":[{"numeric":["<",1]}]}}}}]}"#,
        r#"{"dynamodb":{"SequenceNumber":[{"numeric":[">",1]}]}}"#,
        r#"{"dynamodb":{"OldImage":{"price":{"N":[{"anything-but":[100]}]}}}}"#,
    ] {
        let found = doubts(pattern).await;
        assert!(
            found.len() == 1 && found[0].starts_with("the filter pattern at 0: `dynamodb."),
            "{pattern}: {found:?}"
        );
        assert!(found[0].contains("a DynamoDB number is text in the event"), "{found:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_attribute_without_its_type_is_warned_of() {
    for pattern in [
        r#"{"dynamodb":{"OldImage":{"price":[100]}}}"#,
        r#"{"dynamodb":{"NewImage":{"status":["paid"]}}}"#,
        r#"{"dynamodb":{"NewImage":{"status":[{"exists":false}]}}}"#,
    ] {
        let found = doubts(pattern).await;
        assert!(found.len() == 1 && found[0].contains("is an attribute without its type"), "{pattern}: {found:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pattern_that_can_match_has_no_warning() {
    for pattern in [
        r#"{"eventName":["REMOVE"],"userIdentity":{"type":["Service"]}}"#,
        r#"{"dynamodb":{"SizeBytes":[{"numeric":[">",1]}],"ApproximateCreationDateTime":[{"numeric":[">",1]}]}}"#,
        r#"{"dynamodb":{"OldImage":{"price":{"N":["100",{"anything-but":["7"]}]},"gone":{"NULL":[true]}}}}"#,
        r#"{"dynamodb":{"OldImage":[{"exists":false}]}}"#,
    ] {
        assert_eq!(doubts(pattern).await, Vec::<String>::new(), "{pattern}");
    }
}
