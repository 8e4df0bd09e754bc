//! The fuzz targets' properties, on a bounded number of mutated inputs; `PROPTEST_CASES` raises it, and `fuzz/` runs
//! the same without bound.

#[path = "../../fuzz/edits.rs"]
mod edits;
#[path = "../../fuzz/properties.rs"]
mod properties;

use proptest::prelude::*;

use self::edits::{apply, edits, text};

const RECORD: &str = r#"{"eventID":"1","eventName":"MODIFY","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"us-east-1","userIdentity":{"type":"Service","principalId":"dynamodb.amazonaws.com"},"eventSourceARN":"arn:aws:dynamodb:us-east-1:123456789012:table/t/stream/2026-01-01T00:00:00.000","dynamodb":{"ApproximateCreationDateTime":1767225600.5,"Keys":{"id":{"S":"a"},"n":{"N":"-1.5e2"}},"NewImage":{"id":{"S":"\u00e9\ud83d\ude00"},"b":{"B":"AAE="},"l":{"L":[{"NULL":true},{"M":{"x":{"BOOL":false}}}]}},"OldImage":{"ss":{"SS":["x","y"]},"ns":{"NS":["1","2.50"]}},"SequenceNumber":"4421584500000000017450439091","SizeBytes":59,"StreamViewType":"NEW_AND_OLD_IMAGES"}}"#;
const WINDOW: &str = r#"{"Records":[],"window":{"start":"2020-07-30T17:00:00Z","end":"2020-07-30T17:05:00Z"},"state":{"a":1},"shardId":"s","eventSourceARN":"arn","isFinalInvokeForWindow":true,"isWindowTerminatedEarly":false}"#;
const LETTER: &str = r#"{"version":1,"errorKind":"handler","errorMessage":"down","errorSources":["refused"],"attempts":3,"firstSeen":"2026-01-01T00:00:00.000Z","deadLettered":"2026-01-01T00:00:00.120Z","requestId":"r","record":{"eventID":"7"}}"#;
const IMAGE: &str = r#"{"id":{"S":"a"},"total":{"N":"42"},"tags":{"SS":["x"]},"more":{"M":{"l":{"L":[{"N":"1.5"},{"S":""},{"NULL":true}]}}},"flag":{"BOOL":true},"ns":{"NS":["1","-2e3"]}}"#;
proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_envelope_is_read_or_refused(edits in edits(), records in 0..4_usize, window in any::<bool>()) {
        let event = format!(r#"{{"Records":[{}]}}"#, vec![RECORD; records].join(","));
        properties::envelope(&apply(if window { WINDOW } else { &event }, &edits));
    }

    #[test]
    fn any_invocation_is_processed_or_refused(edits in edits(), records in 0..4_usize, form in 0..3_u8) {
        let records = vec![RECORD; records].join(",");
        let payload = match form {
            0 => format!(r#"{{"lambdaStreams":{{"origin":"replay","stale":"process","answer":"list"}},"Records":[{records}]}}"#),
            1 => format!(r#"{{"requestContext":{{}},"DDBStreamBatchInfo":{{}},"payload":{{"Records":[{records}]}}}}"#),
            _ => format!(r#"{{"Records":[{{"messageId":"1","eventSource":"aws:sqs","body":{:?}}}]}}"#, LETTER),
        };
        properties::invocation(&apply(&payload, &edits));
    }

    #[test]
    fn any_image_is_decoded_as_serde_dynamo_does_or_refused(edits in edits()) {
        properties::decoder(&text(IMAGE, &edits));
    }

    #[test]
    fn any_dead_letter_is_read_or_refused(edits in edits()) {
        properties::dead_letter(&text(LETTER, &edits));
    }
}
