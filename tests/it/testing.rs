//! `testing::TestStream`, with which users make events for tests of their own handlers.

mod items;

use std::time::Duration;

use lambda_streams::testing::TestStream;
use lambda_streams::{
    Change, Deadline, EventKind, Insert, MemoryDeadLetterQueue, Modify, Outcome, Record, Remove, SkipReason,
    StreamProcessor,
};
use serde_json::{Value, json};

use crate::support::Order;

fn order(id: &str, version: u32) -> Value {
    json!({"id": {"S": id}, "version": {"N": version.to_string()}})
}

fn records(stream: TestStream) -> Vec<Record> {
    stream.changes().expect("whole records")
}

fn stream() -> TestStream {
    TestStream::new("orders", &["id"])
}

#[test]
fn records_look_like_those_of_a_stream() {
    let all =
        stream().insert(order("a", 0)).modify(order("a", 0), order("a", 1)).remove(order("a", 1)).expire(order("b", 7));
    let all = records(all);
    let kinds: Vec<EventKind> = all.iter().map(Record::kind).collect();
    assert_eq!(kinds, [EventKind::Insert, EventKind::Modify, EventKind::Remove, EventKind::Remove]);
    assert_eq!(all.iter().map(Record::is_ttl_expiry).collect::<Vec<_>>(), [false, false, false, true]);
    let images = |record: &Record| [record.old_image_json().is_some(), record.new_image_json().is_some()];
    assert_eq!(all.iter().map(images).collect::<Vec<_>>(), [[false, true], [true, true], [true, false], [true, false]]);
    for (number, record) in all.iter().enumerate() {
        assert!(
            record.event_id().is_some_and(|id| id.starts_with("orders-") && id.ends_with(&format!("-{}", number + 1)))
        );
        assert_eq!((record.table_name(), record.view_type()), (Some("orders"), Some("NEW_AND_OLD_IMAGES")));
        assert!(
            record.created_at().is_some_and(|at| at.elapsed().expect("not in the future") < Duration::from_secs(60))
        );
    }
    assert!(all.windows(2).all(|pair| {
        pair[1]
            .sequence_number()
            .zip(pair[0].sequence_number())
            .is_some_and(|(later, earlier)| later.is_newer_than(earlier))
    }));
    assert_eq!(all[3].keys_json(), r#"{"id":{"S":"b"}}"#);
    assert_eq!(all[1].changed_attributes().unwrap().iter().collect::<Vec<_>>(), ["version"]);
}

#[test]
fn a_record_converts_only_to_its_own_kind() {
    let all = records(stream().insert(order("a", 0)).modify(order("a", 0), order("a", 1)).remove(order("a", 1)));
    let insert = Insert::<Order>::try_from(all[0].clone()).unwrap();
    let modify = Modify::<Order>::try_from(all[1].clone()).unwrap();
    let remove = Remove::<Order>::try_from(all[2].clone()).unwrap();
    assert_eq!((insert.new.version, modify.old.version, modify.new.version, remove.old.version), (0, 0, 1, 1));
    for record in &all {
        assert!(Change::<Order>::try_from(record.clone()).is_ok());
    }
    let error = Insert::<Order>::try_from(all[1].clone()).unwrap_err();
    assert_eq!(error.to_string(), "the item: its record is of the kind MODIFY, not `Insert`");
    assert!(Modify::<Order>::try_from(all[2].clone()).is_err() && Remove::<Order>::try_from(all[0].clone()).is_err());
    let odd = records(stream().insert(json!({"id": {"S": "a"}, "version": {"S": "a canary"}})));
    let error = Insert::<Order>::try_from(odd[0].clone()).unwrap_err().to_string();
    assert_eq!(error, "attribute `NewImage.version`: wanted u32, found S");
}

#[test]
fn the_view_type_decides_which_images_exist() {
    for (view_type, images) in
        [("KEYS_ONLY", [false, false]), ("OLD_IMAGE", [true, false]), ("NEW_IMAGE", [false, true])]
    {
        let all = records(stream().view_type(view_type).modify(order("a", 0), order("a", 1)));
        assert_eq!([all[0].old_image_json().is_some(), all[0].new_image_json().is_some()], images, "{view_type}");
        assert_eq!((all[0].view_type(), all[0].keys_json()), (Some(view_type), r#"{"id":{"S":"a"}}"#));
    }
}

#[test]
fn the_next_batch_continues_its_stream() {
    let first = stream().named("a").insert(order("a", 0)).insert(order("b", 0));
    let second = first.clone().next_batch().modify(order("a", 0), order("a", 1)).starting_at(9).remove(order("b", 0));
    let all = [records(first), records(second)].concat();
    assert_eq!(all.iter().filter_map(Record::event_id).collect::<Vec<_>>(), ["a-1", "a-2", "a-3", "a-9"]);
    assert!(all.windows(2).all(|pair| {
        pair[1]
            .sequence_number()
            .zip(pair[0].sequence_number())
            .is_some_and(|(later, earlier)| later.is_newer_than(earlier))
    }));
    assert!(all.iter().all(|record| record.stream_arn() == all[0].stream_arn()));
}

#[test]
fn no_two_streams_share_an_event_id() {
    let streams = ["orders", "orders", "customers"].map(|table| TestStream::new(table, &["id"]));
    let all: Vec<Record> = streams
        .into_iter()
        .flat_map(|stream| {
            let first = stream.insert(order("a", 0)).insert(order("b", 0));
            [records(first.clone()), records(first.next_batch().insert(order("c", 0)))].concat()
        })
        .collect();
    let ids: std::collections::HashSet<_> = all.iter().map(|record| record.event_id().expect("an id")).collect();
    assert_eq!(ids.len(), all.len());
}

#[test]
fn a_named_stream_is_the_same_in_every_run() {
    let payload = || {
        let stream = stream().named("snapshot").insert(order("a", 0)).with("/dynamodb/ApproximateCreationDateTime", 0);
        String::from_utf8(stream.payload().unwrap()).unwrap()
    };
    assert_eq!(payload(), payload());
    assert!(payload().contains(r#""eventID":"snapshot-1""#) && payload().contains(r#"/stream/snapshot""#));
}

#[test]
fn changes_come_decoded() {
    let stream = stream().insert(order("a", 0)).insert(order("b", 7));
    let versions: Vec<u32> =
        stream.changes::<Insert<Order>>().unwrap().iter().map(|change| change.new.version).collect();
    assert_eq!(versions, [0, 7]);
    for (error, words) in [
        (
            stream.changes::<Modify<Order>>().map(drop),
            "change 1 of the test stream: the item: its record is of the kind INSERT",
        ),
        (stream.change::<Insert<Order>>().map(drop), "the test stream has 2 changes, but `change` needs exactly one"),
        (
            stream.clone().next_batch().change::<Record>().map(drop),
            "the test stream has 0 changes, but `change` needs exactly one",
        ),
        (
            stream.clone().without("/dynamodb/Keys").changes::<Record>().map(drop),
            "change 2 of the test stream: `dynamodb.Keys` is missing",
        ),
        (stream.record("{").changes::<Record>().map(drop), "the payload is not valid JSON"),
    ] {
        let error = error.expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_report_gives_its_records() {
    let processor = StreamProcessor::builder().on_insert(|_: Insert<Order>| async { Ok(()) }).build().unwrap();
    let event = stream().insert(order("a", 7)).insert(order("b", 0)).without("/dynamodb/Keys").event().unwrap();
    let report = processor.process(event, Deadline::none()).await;
    assert_eq!(report.outcomes(), [Outcome::Succeeded, Outcome::Reported]);
    let [first, second] = report.records() else { panic!("{report:?}") };
    assert_eq!(first.record().unwrap().new_image::<Order>().unwrap(), Order { id: "a".to_owned(), version: 7 });
    assert_eq!(second.record().unwrap_err().to_string(), "`dynamodb.Keys` is missing");
}

#[test]
fn members_of_the_latest_record_can_be_edited() {
    let event = stream()
        .insert(order("a", 0))
        .insert(order("b", 0))
        .with("/eventID", "of my own")
        .with("/dynamodb/NewImage/a~1b~0c", json!({"N": "1"}))
        .without("/dynamodb/ApproximateCreationDateTime")
        .insert(order("c", 0))
        .without("/dynamodb/Keys")
        .event()
        .unwrap();
    let all: Vec<_> = event.records().collect();
    let [Ok(first), Ok(second), Err(_)] = &all[..] else { panic!("the third has no keys: {all:?}") };
    assert!(first.event_id().is_some_and(|id| id.ends_with("-1")) && second.event_id() == Some("of my own"));
    assert!(first.created_at().is_some() && second.created_at().is_none());
    assert!(second.new_image_json().is_some_and(|image| image.contains(r#""a/b~c":{"N":"1"}"#)));
}

#[tokio::test(start_paused = true)]
async fn malformed_and_old_records_are_dead_lettered() {
    let fail = |change: Insert<Order>| async move {
        if change.new.version == 0 { Ok(()) } else { Err("the index is down".into()) }
    };
    let queue = MemoryDeadLetterQueue::default();
    let processor = StreamProcessor::builder().on_insert(fail).dead_letter_queue(queue.clone()).build().unwrap();
    let day = Duration::from_secs(24 * 60 * 60);
    let event = stream().record(r#"{"eventName": 1}"#).insert(order("a", 0)).age(day).insert(order("b", 1)).event();
    let report = processor.process(event.unwrap(), Deadline::none()).await;
    assert_eq!(report.outcomes(), [Outcome::DeadLettered, Outcome::Succeeded, Outcome::DeadLettered]);
    assert_eq!(queue.letters().len(), 2);
}

#[test]
fn an_error_names_the_number_of_the_change() {
    for (stream, words) in [
        (stream().with("/eventID", 1), "change 1 of the test stream: there is no record yet to edit at `/eventID`"),
        (
            stream().insert(order("a", 0)).with("/no/where", 1),
            "change 1 of the test stream: its record has no object around `/no/where`",
        ),
        (stream().insert(order("a", 0)).with("eventID", 1), "its record has no object around `eventID`"),
        (stream().insert(order("a", 0)).without("/nothing"), "its record has no `/nothing`"),
        (
            stream().insert(order("a", 0)).with("/a", std::collections::HashMap::from([((1, 2), 3)])),
            "the value of `/a` does not serialize",
        ),
        (stream().record("{").without("/eventID"), "its record is not valid JSON"),
        (
            stream().insert(order("a", 0)).insert(json!({"version": {"N": "1"}})),
            "change 2 of the test stream: its item has no key attribute `id`",
        ),
        (
            stream().insert(json!({"id": "a"})),
            "change 1 of the test stream: its item is not DynamoDB JSON, which `testing::item` makes of a type of yours: attribute `id`:",
        ),
        (stream().remove(json!([])), "change 1 of the test stream: its item is not DynamoDB JSON"),
        (
            stream().remove(std::collections::HashMap::from([((1, 2), 3)])),
            "change 1 of the test stream: its item does not serialize",
        ),
        (stream().view_type("BOTH").expire(json!({})), "`BOTH` is not a view type of a stream"),
        (stream().record("{"), "the payload is not valid JSON"),
    ] {
        let error = stream.event().expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_cloned_event_counts_as_redelivered() {
    let fail = |change: Insert<Order>| async move {
        if change.new.id == "bad" { Err("the index is down".into()) } else { Ok(()) }
    };
    let processor = StreamProcessor::builder().on_insert(std::sync::Arc::new(fail)).build().unwrap();
    let first = stream().insert(order("bad", 0)).insert(order("good", 0)).event().unwrap();
    let report = processor.process(first.clone(), Deadline::none()).await;
    assert_eq!(report.outcomes(), [Outcome::Reported, Outcome::Succeeded]);
    let second = stream().insert(order("c", 0)).insert(order("d", 0)).event().unwrap();
    assert_eq!(processor.process(second, Deadline::none()).await.outcomes(), [Outcome::Succeeded; 2]);
    let report = processor.process(first, Deadline::none()).await;
    assert_eq!(report.outcomes(), [Outcome::Reported, Outcome::Skipped(SkipReason::Redelivered)]);
}
