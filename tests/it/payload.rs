//! Processing a payload has the same outcome as processing its event, and a payload that is not valid JSON fails as a whole,
//! wherever the error is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lambda_streams::{
    AfterDeadLetter, BatchReport, Change, Deadline, Error, ErrorKind, Failure, Handler, HandlerError, Insert, Lanes,
    Outcome, PayloadKind, Record, RetryPolicy, SkipReason, StreamEvent, StreamProcessor,
};

use crate::support::{Act, Order, Script, TestQueue, change, inserts, outcomes, payload};

/// The outcome of a batch, without the times.
#[derive(Debug, PartialEq)]
struct BatchOutcome {
    outcomes: Vec<(Outcome, u32, Option<String>)>,
    response: Result<String, String>,
}

impl BatchOutcome {
    fn of(report: Result<BatchReport, Error>) -> Self {
        let text = |failure: &Failure| format!("{:?}: {}", failure.kind, failure.message);
        let outcomes = report.iter().flat_map(BatchReport::records);
        let outcomes = outcomes.map(|record| (record.outcome, record.attempts, record.failure.as_ref().map(text)));
        let outcomes = outcomes.collect();
        let response = report.and_then(|report| report.response());
        Self { outcomes, response: response.map(|it| serde_json::to_string(&it).unwrap()).map_err(|it| it.to_string()) }
    }
}

async fn raw(record: Record) -> Result<(), HandlerError> {
    match record.keys_json() {
        keys if keys.contains("item-3") => Err(HandlerError::permanent("no")),
        keys if keys.contains("item-4") => Err("not now".into()),
        _ => Ok(()),
    }
}

/// Processors that read all, some or none of the images.
fn processors() -> Vec<StreamProcessor> {
    let builder = StreamProcessor::builder;
    let with_queue = || builder().dead_letter_queue(TestQueue::default());
    [
        builder().on_record(raw),
        builder().on_record(raw).retry(RetryPolicy::none()),
        with_queue().on_record(raw).lanes(Lanes::WholeBatch).after_dead_letter(AfterDeadLetter::FollowLane),
        with_queue().on_change(|_: Change<Order>| async { Ok(()) }),
        with_queue().on_insert(|_: Insert<Order>| async { Ok(()) }),
        builder().on_remove(|_: lambda_streams::Remove<Order>| async { Ok(()) }),
        builder().on_record(raw).filter(|record| !record.keys_json().contains("item-2")),
    ]
    .into_iter()
    .map(|builder| builder.build().unwrap())
    .collect()
}

/// Compact JSON, with the kind of change before the images, as Lambda writes it, or after them.
fn records(kind_first: bool) -> String {
    let image = serde_json::json!({
        "id": {"S": "with \"quotes\" and {braces}"}, "version": {"N": "1"}, "list": {"L": [{"S": "a\\"}, {"M": {}}]},
    });
    let mut changes = inserts(6);
    changes[1] = changes[1].clone().with("/eventName", "MODIFY").with("/dynamodb/OldImage", image.clone());
    changes[2] = changes[2].clone().with("/dynamodb/NewImage", image);
    changes[5] = changes[5].clone().with("/dynamodb/SequenceNumber", "111");
    let text = payload(&changes);
    if !kind_first {
        return text;
    }
    ["INSERT", "MODIFY"].into_iter().fold(text, |text, kind| {
        let member = format!(",\"eventName\":\"{kind}\"");
        let (first, rest) = text.split_once("{\"awsRegion\"").unwrap();
        let records = rest.split("{\"awsRegion\"").map(|record| match record.contains(&member) {
            true => format!("{{{},\"awsRegion\"{}", &member[1..], record.replace(&member, "")),
            false => format!("{{\"awsRegion\"{record}"),
        });
        first.to_owned() + &records.collect::<String>()
    })
}

#[tokio::test(start_paused = true)]
async fn a_payload_has_the_same_outcome_as_its_event() {
    const PIECES: [&str; 12] =
        ["{", "}", "[", "]", ":", ",", "\"", "\\", "{}", "null", "\"a\":{\"S\":\"b\"},", "\u{1}"];
    let (records, mut random) = ([records(true), records(false)], fastrand::Rng::with_seed(11));
    let mut came_to = [0_usize; 2];
    for round in 0..3_000 {
        let mut text = records[round % 2].clone();
        for _ in 0..=random.usize(..2) {
            let at = loop {
                let at = random.usize(..text.len());
                if text.is_char_boundary(at) {
                    break at;
                }
            };
            let end = (at + random.usize(..3)).min(text.len());
            text.replace_range(at..end, PIECES[random.usize(..PIECES.len())]);
        }
        // Each has its own processors, since they remember their progress.
        for (one, other) in processors().into_iter().zip(processors()) {
            let event = StreamEvent::from_slice(text.as_bytes());
            let expected = match event {
                Ok(event) => BatchOutcome::of(Ok(one.process(event, Deadline::none()).await)),
                Err(error) => BatchOutcome::of(Err(error)),
            };
            let came = BatchOutcome::of(other.process_payload(text.clone().into_bytes(), Deadline::none()).await);
            assert_eq!(came.response, expected.response, "round {round}: {text:?}");
            if expected.response.as_ref().is_err_and(|error| error.starts_with("the payload is not valid JSON")) {
                came_to[1] += usize::from(!came.outcomes.is_empty());
            } else {
                assert_eq!(came, expected, "round {round}: {text}");
                came_to[0] += 1;
            }
        }
    }
    assert!(came_to.iter().all(|count| *count > 500), "both cases must occur often: {came_to:?}");
}

/// A record whose new image is this text.
fn with_image(record: &crate::support::Change, image: &str) -> String {
    record.clone().with("/dynamodb/NewImage", "HERE").json().replace("\"HERE\"", image)
}

#[tokio::test(start_paused = true)]
async fn an_image_of_invalid_json_fails_the_invocation() {
    let queue = TestQueue::default();
    for image in [
        r#"{"id":{"S":"a"},}"#,
        r#"{"id":{"S":"a"}"version":{"N":"1"}}"#,
        r#"{"id":{"S":"a"]}}"#,
        r#"{"id":{"S":"\x"}}"#,
        r#"{"id":{"S":a}}"#,
        r#"{id:{"S":"a"}}"#,
        "{\"id\":{\"S\":\"\u{1}\"}}",
        r#"{"id":{"N":"1"},"more":[1,2,,3]}"#,
    ] {
        let changes = inserts(3);
        let broken = with_image(&changes[1], image);
        let body = format!("{{\"Records\":[{},{broken},{}]}}", changes[0].json(), changes[2].json());
        let script = Script::default();
        let processor =
            StreamProcessor::builder().on_record(script.clone()).dead_letter_queue(queue.clone()).build().unwrap();
        let report = processor.process_payload(body.clone().into_bytes(), Deadline::none()).await.unwrap();
        let error = report.response().expect_err(image);
        assert_eq!(error.payload_kind(), Some(PayloadKind::NotJson), "{image}");
        assert_eq!(error.to_string(), StreamEvent::from_slice(body.as_bytes()).unwrap_err().to_string(), "{image}");
        assert_eq!(outcomes(&report), [Outcome::Succeeded, Outcome::Unfinished, Outcome::Unfinished], "{image}");
        assert_eq!(script.started(), [("item-0".to_owned(), 0)], "{image}");
    }
    assert!(queue.letters().is_empty(), "no record is dead-lettered for it");
}

#[tokio::test(start_paused = true)]
async fn no_handler_runs_if_an_unhandled_image_is_invalid_json() {
    let changes = inserts(2);
    let unhandled = with_image(&changes[1].clone().with("/eventName", "REMOVE"), r#"{"id":{"S":"a"},}"#);
    let body = format!("{{\"Records\":[{},{unhandled}]}}", changes[0].json());
    let processor =
        StreamProcessor::builder().on_insert(|_: Insert<Order>| async { panic!("called") }).build().unwrap();
    let report = processor.process_payload(body.clone().into_bytes(), Deadline::none()).await.unwrap();
    assert!(report.response().unwrap_err().is_event());
    assert_eq!(report.records().iter().map(|record| record.attempts).sum::<u32>(), 0);

    // As Lambda writes it, with the kind of change before the images.
    let body = body
        .replace(",\"eventName\":\"REMOVE\"", "")
        .replace(&format!(",{}", &unhandled[..10]), &format!(",{{\"eventName\":\"REMOVE\",{}", &unhandled[1..10]));
    let error = processor.process_payload(body.into_bytes(), Deadline::none()).await.unwrap_err();
    assert_eq!(error.payload_kind(), Some(PayloadKind::NotJson));
}

#[tokio::test(start_paused = true)]
async fn the_image_of_a_held_back_record_is_still_checked() {
    let first = change(0, "item-4", 0);
    let body =
        format!("{{\"Records\":[{},{}]}}", first.json(), with_image(&change(1, "item-4", 1), r#"{"id":{"S":"a"},}"#));
    let processor = StreamProcessor::builder().on_record(raw).retry(RetryPolicy::none()).build().unwrap();
    let report = processor.process_payload(body.into_bytes(), Deadline::none()).await.unwrap();
    assert_eq!(outcomes(&report), [Outcome::Reported, Outcome::HeldBack]);
    assert!(report.response().unwrap_err().is_event());
}

#[tokio::test(start_paused = true)]
async fn an_invalid_image_drops_handlers_but_keeps_progress() {
    let changes = [change(0, "done", 0), change(1, "slow", 0), change(2, "broken", 0)];
    let ended = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&ended);
    let handler = move |record: Record| {
        let counter = Arc::clone(&counter);
        async move {
            if record.keys_json().contains("slow") {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            counter.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    };
    let processor = StreamProcessor::builder().on_record(handler).build().unwrap();
    let broken = with_image(&changes[2], r#"{"id":{"S":"a"},}"#);
    let body = format!("{{\"Records\":[{},{},{broken}]}}", changes[0].json(), changes[1].json());
    let report = processor.process_payload(body.into_bytes(), Deadline::none()).await.unwrap();
    assert!(report.response().unwrap_err().is_event());
    assert_eq!(outcomes(&report), [Outcome::Succeeded, Outcome::Unfinished, Outcome::Unfinished]);
    assert_eq!(ended.load(Ordering::Relaxed), 1);

    // The whole batch is delivered again, with the image fixed.
    let report = processor.process_payload(payload(&changes).into_bytes(), Deadline::none()).await.unwrap();
    let redelivered = Outcome::Skipped(SkipReason::Redelivered);
    assert_eq!(outcomes(&report), [redelivered, Outcome::Succeeded, Outcome::Succeeded]);
    assert_eq!(ended.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn an_invalid_image_in_a_malformed_record_is_found() {
    let good = change(0, "a", 0).json();
    let broken = with_image(&change(1, "b", 0), r#"{"id":{"S":"a"},}"#);
    for malformed in [
        broken.replacen("\"eventID\"", "\"dynamodb\":{},\"eventID\"", 1),
        broken.replacen("\"eventID\"", "\"dynamodb\":7,\"eventID\"", 1),
        broken.replacen("\"NewImage\"", "\"NewImage\":{},\"NewImage\"", 1),
        broken.replacen(",\"SequenceNumber\"", ",\"NewImage\":{},\"SequenceNumber\"", 1),
        broken.replacen("\"SequenceNumber\"", "\"Number\"", 1),
        broken.replacen("aws:dynamodb", "aws:other", 1),
    ] {
        let body = format!("{{\"Records\":[{good},{malformed},{good}]}}");
        let processor = StreamProcessor::builder().on_record(Script::default()).build().unwrap();
        let error = processor.process_payload(body.clone().into_bytes(), Deadline::none()).await.err();
        let expected = StreamEvent::from_slice(body.as_bytes()).unwrap_err().to_string();
        assert_eq!(error.map(|error| error.to_string()), Some(expected), "{malformed}");
    }
}

#[tokio::test(start_paused = true)]
async fn invalid_json_after_started_records_fails_the_invocation() {
    let changes = inserts(200);
    let text = payload(&changes);
    let (from, _) = text.match_indices("{\"awsRegion\"").nth(150).unwrap();
    for broken in [
        text[..from].to_owned(),
        format!("{}]}}", &text[..from]),
        format!("{}7{}", &text[..from], &text[from..]),
        format!("{text}}}"),
        format!("{}x", &text[..text.len() - 2]),
        format!("{},\"Records\":[]}}", &text[..text.len() - 1]),
        format!("{},\"Records\":[{}]}}", &text[..text.len() - 1], change(200, "a", 0).json()),
        format!("{},\"window\":{{}}}}", &text[..text.len() - 1]),
    ] {
        let expected = StreamEvent::from_slice(broken.as_bytes()).expect_err(&broken[from..]);
        let script = Script::default();
        let processor = StreamProcessor::builder().on_record(script.clone()).build().unwrap();
        let report = processor.process_payload(broken.clone().into_bytes(), Deadline::none()).await.unwrap();
        let error = report.response().expect_err(&broken[from..]);
        assert!(error.is_event());
        assert_eq!(error.to_string(), expected.to_string());
        let count = report.records().len();
        assert!((150..=200).contains(&count), "{count}");
        assert!((100..=count).contains(&script.started().len()), "{}", script.started().len());

        // The fixed payload is processed from where the broken one stopped.
        let done = report.counts().succeeded;
        let report = processor.process_payload(text.clone().into_bytes(), Deadline::none()).await.unwrap();
        assert_eq!((report.counts().redelivered, report.counts().succeeded), (done, 200 - done));
    }
}

#[tokio::test(start_paused = true)]
async fn a_windows_state_is_read_before_or_after_the_records() {
    let records = payload(&inserts(100));
    let records = &records[1..records.len() - 1];
    let window = r#""window":{"start":"2026-01-01T00:00:00Z","end":"2026-01-01T00:05:00Z"},"state":{"sum":7},"shardId":"s","isFinalInvokeForWindow":false"#;
    for body in [format!("{{{records},{window}}}"), format!("{{{window},{records}}}")] {
        let processor = StreamProcessor::builder().on_record(Script::default()).build().unwrap();
        let report = processor.process_payload(body.into_bytes(), Deadline::none()).await.unwrap();
        let response = serde_json::to_value(report.response().unwrap()).unwrap();
        assert_eq!(response["state"], serde_json::json!({"sum": 7}));
        assert_eq!(report.counts().succeeded, 100);
    }
}

#[tokio::test(start_paused = true)]
async fn no_handler_runs_before_a_stream_record_is_found() {
    let script = Script::default();
    let processor = StreamProcessor::builder().on_record(script.clone()).build().unwrap();
    let foreign = vec![r#"{"messageId":"1","eventSource":"aws:sqs","body":"x"}"#; 200].join(",");
    let error = processor.process_payload(format!("{{\"Records\":[{foreign}]}}").into_bytes(), Deadline::none()).await;
    assert_eq!(error.unwrap_err().payload_kind(), Some(PayloadKind::Sqs));
    assert!(script.started().is_empty());

    let garbled = foreign.replace("aws:sqs", "aws:dynamo");
    let body = format!("{{\"Records\":[{garbled},{}]}}", change(0, "a", 0).json());
    let queue = TestQueue::default();
    let processor = StreamProcessor::builder().on_record(Script::default()).dead_letter_queue(queue.clone());
    let report = processor.build().unwrap().process_payload(body.into_bytes(), Deadline::none()).await.unwrap();
    assert_eq!((report.counts().dead_lettered, report.counts().succeeded), (200, 1));
    assert_eq!(queue.letters().len(), 200);
}

#[tokio::test(start_paused = true)]
async fn records_after_a_stop_are_read_but_not_started() {
    let mut changes = inserts(200);
    changes[120] = changes[120].clone().with("/eventName", "UPSERT");
    let script = Script::new([("item-7", Act::FailPermanently)]);
    let processor = StreamProcessor::builder().on_insert(script_of_orders(script.clone())).build().unwrap();
    let report = processor.process_payload(payload(&changes).into_bytes(), Deadline::none()).await.unwrap();
    let counts = report.counts();
    assert_eq!((counts.received, counts.succeeded, counts.reported, counts.held_back), (200, 7, 1, 192));
    let later = &report.records()[120];
    assert_eq!((later.attempts, later.failure.as_ref().map(|failure| failure.kind)), (0, Some(ErrorKind::Malformed)));
    assert_eq!(report.response().unwrap().checkpoint(), Some(&*crate::support::sequence_number(7)));

    let slow = StreamProcessor::builder().on_record(|_: Record| async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(())
    });
    let deadline = Deadline::after(Duration::from_millis(3_500));
    let processor = slow.deadline_margin(Duration::from_millis(200)).build().unwrap();
    let report = processor.process_payload(payload(&inserts(200)).into_bytes(), deadline).await.unwrap();
    assert_eq!((report.counts().succeeded, report.counts().unfinished), (30, 170));
    assert!(report.stopped_at_deadline());
}

/// The script as a handler of inserts.
fn script_of_orders(script: Script) -> impl Handler<Insert<Order>> {
    move |change: Insert<Order>| {
        let script = script.clone();
        async move { script.handle(change.record).await }
    }
}
