//! The fuzz targets' properties, on a bounded number of mutated inputs; `PROPTEST_CASES` raises it, and `fuzz/` runs
//! the same without bound.

#[path = "../../fuzz/properties.rs"]
mod properties;

use proptest::prelude::*;
use proptest::sample::select;

const RECORD: &str = r#"{"eventID":"1","eventName":"MODIFY","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"us-east-1","userIdentity":{"type":"Service","principalId":"dynamodb.amazonaws.com"},"eventSourceARN":"arn:aws:dynamodb:us-east-1:123456789012:table/t/stream/2026-01-01T00:00:00.000","dynamodb":{"ApproximateCreationDateTime":1767225600.5,"Keys":{"id":{"S":"a"},"n":{"N":"-1.5e2"}},"NewImage":{"id":{"S":"\u00e9\ud83d\ude00"},"b":{"B":"AAE="},"l":{"L":[{"NULL":true},{"M":{"x":{"BOOL":false}}}]}},"OldImage":{"ss":{"SS":["x","y"]},"ns":{"NS":["1","2.50"]}},"SequenceNumber":"4421584500000000017450439091","SizeBytes":59,"StreamViewType":"NEW_AND_OLD_IMAGES"}}"#;
const WINDOW: &str = r#"{"Records":[],"window":{"start":"2020-07-30T17:00:00Z","end":"2020-07-30T17:05:00Z"},"state":{"a":1},"shardId":"s","eventSourceARN":"arn","isFinalInvokeForWindow":true,"isWindowTerminatedEarly":false}"#;
const LETTER: &str = r#"{"version":1,"errorKind":"handler","errorMessage":"down","errorSources":["refused"],"attempts":3,"firstSeen":"2026-01-01T00:00:00.000Z","deadLettered":"2026-01-01T00:00:00.120Z","requestId":"r","record":{"eventID":"7"}}"#;
const IMAGE: &str = r#"{"id":{"S":"a"},"total":{"N":"42"},"tags":{"SS":["x"]},"more":{"M":{"l":{"L":[{"N":"1.5"},{"S":""},{"NULL":true}]}}},"flag":{"BOOL":true},"ns":{"NS":["1","-2e3"]}}"#;
const PATTERNS: [&str; 4] = [
    r#"{"eventName":["MODIFY",{"anything-but":["INSERT"]}]}"#,
    r#"{"dynamodb":{"SizeBytes":[{"numeric":[">",0,"<=",59]}],"Keys":{"id":{"S":[{"prefix":"a"},{"suffix":"b"}]}}}}"#,
    r#"{"$or":[{"userIdentity":{"type":[{"equals-ignore-case":"service"}]}},{"dynamodb":{"NewImage":{"x":{"S":[{"exists":false}]}}}}]}"#,
    r#"{"dynamodb":{"OldImage":{"ss":{"SS":["x",null,true,1.5e3]}}}}"#,
];
/// What turns JSON into other JSON more often than a random byte does.
const PIECES: [&str; 24] = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\\",
    "null",
    "true",
    "0",
    "-1",
    "1e999",
    "\"S\"",
    "\"N\"",
    "\"Records\":[",
    "\"SequenceNumber\":\"\",",
    "\\ud800",
    "\u{fffe}",
    "\"state\":{},",
    "\"exists\"",
    "\"$or\":[",
    "\"record\":",
    "[[[[[[[[",
];

#[derive(Debug, Clone)]
enum Edit {
    Replace(usize, u8),
    Insert(usize, &'static str),
    Remove(usize, usize),
    Repeat(usize, usize),
    Truncate(usize),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let at = || any::<prop::sample::Index>().prop_map(|index| index.index(4_096));
    let edit = prop_oneof![
        2 => (at(), any::<u8>()).prop_map(|(at, byte)| Edit::Replace(at, byte)),
        4 => (at(), select(&PIECES[..])).prop_map(|(at, piece)| Edit::Insert(at, piece)),
        2 => (at(), 1..40_usize).prop_map(|(at, length)| Edit::Remove(at, length)),
        1 => (at(), 1..80_usize).prop_map(|(at, length)| Edit::Repeat(at, length)),
        1 => at().prop_map(Edit::Truncate),
    ];
    prop::collection::vec(edit, 0..5)
}

fn apply(seed: &str, edits: &[Edit]) -> Vec<u8> {
    let mut bytes = seed.as_bytes().to_vec();
    for edit in edits {
        let length = bytes.len();
        let at = |position: &usize| position % (length + 1);
        match edit {
            Edit::Replace(position, byte) if length > 0 => bytes[position % length] = *byte,
            Edit::Replace(..) => {}
            Edit::Insert(position, piece) => {
                let at = at(position);
                bytes.splice(at..at, piece.bytes());
            }
            Edit::Remove(position, count) => {
                let at = at(position);
                bytes.drain(at..length.min(at + count));
            }
            Edit::Repeat(position, count) => {
                let at = at(position);
                let again = bytes[at..length.min(at + count)].to_vec();
                bytes.splice(at..at, again);
            }
            Edit::Truncate(position) => bytes.truncate(at(position)),
        }
    }
    bytes
}

fn text(seed: &str, edits: &[Edit]) -> String {
    String::from_utf8_lossy(&apply(seed, edits)).into_owned()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_envelope_is_read_or_refused(edits in edits(), records in 0..4_usize, window in any::<bool>()) {
        let event = format!(r#"{{"Records":[{}]}}"#, vec![RECORD; records].join(","));
        properties::envelope(&apply(if window { WINDOW } else { &event }, &edits));
    }

    #[test]
    fn any_image_is_decoded_as_serde_dynamo_does_or_refused(edits in edits()) {
        properties::decoder(&text(IMAGE, &edits));
    }

    #[test]
    fn any_dead_letter_is_read_or_refused(edits in edits()) {
        properties::dead_letter(&text(LETTER, &edits));
    }

    #[test]
    fn any_filter_pattern_is_compiled_or_refused(pattern in select(&PATTERNS[..]), edits in edits(), changes in edits()) {
        properties::filter(&text(pattern, &edits), &text(RECORD, &changes));
    }
}
