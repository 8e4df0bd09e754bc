//! The fuzz target's property of filters, on a bounded number of mutated inputs; `PROPTEST_CASES` raises it, and `fuzz/`
//! runs the same without bound.

#[path = "../../../fuzz/edits.rs"]
mod edits;
#[path = "../../../fuzz/filter_property.rs"]
mod filter_property;

use proptest::prelude::*;
use proptest::sample::select;

use self::edits::{edits, text};

const RECORD: &str = r#"{"eventID":"1","eventName":"MODIFY","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"us-east-1","userIdentity":{"type":"Service","principalId":"dynamodb.amazonaws.com"},"eventSourceARN":"arn:aws:dynamodb:us-east-1:123456789012:table/t/stream/2026-01-01T00:00:00.000","dynamodb":{"ApproximateCreationDateTime":1767225600.5,"Keys":{"id":{"S":"a"},"n":{"N":"-1.5e2"}},"NewImage":{"id":{"S":"\u00e9\ud83d\ude00"},"b":{"B":"AAE="},"l":{"L":[{"NULL":true},{"M":{"x":{"BOOL":false}}}]}},"OldImage":{"ss":{"SS":["x","y"]},"ns":{"NS":["1","2.50"]}},"SequenceNumber":"4421584500000000017450439091","SizeBytes":59,"StreamViewType":"NEW_AND_OLD_IMAGES"}}"#;
const PATTERNS: [&str; 4] = [
    r#"{"eventName":["MODIFY",{"anything-but":["INSERT"]}]}"#,
    r#"{"dynamodb":{"SizeBytes":[{"numeric":[">",0,"<=",59]}],"Keys":{"id":{"S":[{"prefix":"a"},{"suffix":"b"}]}}}}"#,
    r#"{"$or":[{"userIdentity":{"type":[{"equals-ignore-case":"service"}]}},{"dynamodb":{"NewImage":{"x":{"S":[{"exists":false}]}}}}]}"#,
    r#"{"dynamodb":{"OldImage":{"ss":{"SS":["x",null,true,1.5e3]}}}}"#,
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_filter_pattern_is_compiled_or_refused(pattern in select(&PATTERNS[..]), edits in edits(), changes in edits()) {
        filter_property::filter(&text(pattern, &edits), &text(RECORD, &changes));
    }
}
