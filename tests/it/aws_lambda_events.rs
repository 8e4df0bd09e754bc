//! Records that `aws_lambda_events` has read are the same as those that this crate reads.

use std::path::Path;
use std::time::{Duration, SystemTime};

use aws_lambda_events::event::dynamodb::{Event, EventRecord};
use lambda_streams::testing::TestStream;
use lambda_streams::{
    Change, Deadline, EventKind, Insert, Modify, Outcome, Record, Remove, StreamEvent, StreamProcessor,
};
use proptest::prelude::*;
use serde_dynamo::Item;
use serde_json::{Value, json};

use crate::decode::arbitrary::{Writer, item};
use crate::support::Order;

/// Everything that a record says, except for the spelling of its parts and the fraction of a second.
#[derive(Debug, PartialEq)]
struct Said {
    event_id: Option<String>,
    kind: EventKind,
    sequence_number: Option<String>,
    arn: Option<String>,
    region: Option<String>,
    created_at: Option<Duration>,
    size: Option<u64>,
    view_type: Option<String>,
    is_ttl_expiry: bool,
    group: String,
    items: [Option<Item>; 3],
}

impl Said {
    fn by(record: &Record) -> Self {
        let text = |text: Option<&str>| text.map(str::to_owned);
        let created_at = record.created_at().map(|at| at.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970"));
        Self {
            event_id: text(record.event_id()),
            kind: record.kind(),
            sequence_number: record.sequence_number().map(ToString::to_string),
            arn: text(record.stream_arn()),
            region: text(record.region()),
            created_at: created_at.map(|at| Duration::from_secs(at.as_secs())),
            size: record.size_bytes(),
            view_type: text(record.view_type()),
            is_ttl_expiry: record.is_ttl_expiry(),
            group: record.group_id(),
            items: [record.key_item(), record.new_item(), record.old_item()].map(Result::ok),
        }
    }
}

/// An event as another function receives it.
fn theirs(payload: &[u8]) -> Event {
    serde_json::from_slice(payload).expect("an event that they read")
}

/// The only record of a stream, read by them and by us.
fn both(stream: &TestStream) -> (Record, Record) {
    let event = StreamEvent::try_from(theirs(&stream.payload().expect("a record"))).expect("an event");
    let by_them = event.records().next().expect("a record").expect("well-formed");
    (by_them, stream.change().expect("well-formed"))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_record_is_the_same(old in item(), new in item(), kind in 0..4_usize, seed in any::<u64>()) {
        let image = |item| {
            let mut image: Value = serde_json::from_str(&Writer::write(item, seed)).expect("JSON");
            image["id"] = json!({"S": "a"});
            image
        };
        let (old, new, stream) = (image(&old), image(&new), TestStream::new("orders", &["id"]));
        let stream = match kind {
            0 => stream.insert(new),
            1 => stream.modify(old, new),
            2 => stream.remove(old),
            _ => stream.expire(old),
        };
        let (by_them, by_us) = both(&stream);
        prop_assert_eq!(Said::by(&by_them), Said::by(&by_us));
    }
}

#[test]
fn images_and_times_that_they_make_up_are_absent() {
    for view_type in ["NEW_AND_OLD_IMAGES", "NEW_IMAGE", "OLD_IMAGE", "KEYS_ONLY"] {
        let order = |version: u32| json!({"id": {"S": "a"}, "version": {"N": version.to_string()}});
        let stream = || TestStream::new("orders", &["id"]).view_type(view_type);
        for stream in [stream().insert(order(0)), stream().modify(order(0), order(1)), stream().remove(order(1))] {
            let stream = stream.without("/dynamodb/ApproximateCreationDateTime");
            let (by_them, by_us) = both(&stream);
            assert_eq!(by_them.created_at(), None);
            assert_eq!(Said::by(&by_them), Said::by(&by_us), "{view_type}");
            let (by_them, by_us) = both(&stream.without("/dynamodb/StreamViewType"));
            assert_eq!(Said::by(&by_them), Said::by(&by_us), "{view_type}, which is not said");
        }
    }
}

#[tokio::test]
async fn a_converted_event_is_processed() {
    let order = |version: u32| json!({"id": {"S": "a"}, "version": {"N": version.to_string()}});
    let stream = TestStream::new("orders", &["id"])
        .insert(order(0))
        .modify(order(0), order(1))
        .remove(order(1))
        .insert(order(2))
        .without("/dynamodb/SequenceNumber");
    let processor = StreamProcessor::builder()
        .on_insert(
            |change: Insert<Order>| async move { if change.new.version == 0 { Ok(()) } else { Err("odd".into()) } },
        )
        .on_modify(
            |change: Modify<Order>| async move { if change.new.version == 1 { Ok(()) } else { Err("odd".into()) } },
        )
        .on_remove(
            |change: Remove<Order>| async move { if change.old.version == 1 { Ok(()) } else { Err("odd".into()) } },
        )
        .build()
        .unwrap();
    let event = StreamEvent::try_from(theirs(&stream.payload().unwrap())).unwrap();
    let report = processor.process(event, Deadline::none()).await;
    let expected = [Outcome::Succeeded, Outcome::Succeeded, Outcome::Succeeded, Outcome::Reported];
    assert_eq!(report.outcomes(), expected);
}

#[test]
fn what_is_not_of_a_stream_is_refused() {
    let stream = TestStream::new("orders", &["id"]).insert(json!({"id": {"S": "a"}}));
    let mut record: EventRecord = theirs(&stream.payload().unwrap()).records.remove(0);
    assert!(Change::<Value>::try_from(Record::try_from(record.clone()).unwrap()).is_ok());
    record.event_name = "UPSERT".to_owned();
    let error = Record::try_from(record.clone()).unwrap_err();
    assert_eq!(error.to_string(), "`eventName` is not `INSERT`, `MODIFY` or `REMOVE`");
    record.event_source = Some("aws:kinesis".to_owned());
    let mut event = theirs(&stream.payload().unwrap());
    event.records = vec![record];
    assert!(StreamEvent::try_from(event).unwrap_err().is_event());
}

#[test]
fn the_corpus_is_read_the_same() {
    let neighbour = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let corpus = std::env::var_os("TEST_CORPUS").map_or(neighbour, Into::into);
    let Ok(files) = std::fs::read_dir(corpus.join("real")) else {
        println!("skipped: no corpus next to the repository (TEST_CORPUS names its folder)");
        return;
    };
    let mut records = 0;
    for file in files {
        let path = file.expect("an entry").path();
        let payload = std::fs::read(&path).expect("readable");
        let (Ok(event), Ok(ours)) = (serde_json::from_slice::<Event>(&payload), StreamEvent::from_slice(&payload))
        else {
            continue;
        };
        let by_them = StreamEvent::try_from(event).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(by_them.len(), ours.len());
        for (by_them, by_us) in by_them.records().zip(ours.records()) {
            let said = |record: &Result<Record, _>| record.as_ref().map(Said::by).ok();
            assert_eq!(said(&by_them), said(&by_us), "{}", path.display());
            records += 1;
        }
    }
    assert!(records > 30, "the real files were read: {records}");
}
