//! The README's "Dead letters", and back: a dead letter holds the whole record, so it can be processed again.

use lambda_streams::{DeadLetterEvent, Deadline, Insert, MemoryDeadLetterQueue, Outcome, SkipReason, StreamProcessor};
use serde_json::{Value, json};

use crate::support::{Act, Change, Order, Script, change, inserts, outcomes, process};

/// Makes dead letters of these changes.
async fn dead_letters(changes: &[Change]) -> Vec<String> {
    let queue = MemoryDeadLetterQueue::new();
    let processor = StreamProcessor::builder()
        .on_record(|_: lambda_streams::Record| async {
            Err(lambda_streams::HandlerError::permanent("no such customer"))
        })
        .dead_letter_queue(queue.clone())
        .build()
        .unwrap();
    process(&processor, changes).await;
    let mut letters = queue.letters();
    letters.sort_by_key(|letter| letter.sequence_number().map(ToString::to_string));
    letters.iter().map(|letter| letter.to_json()).collect()
}

fn sqs_event(bodies: &[String]) -> DeadLetterEvent {
    let message = |(number, body)| json!({"messageId": format!("m-{number}"), "body": body, "eventSource": "aws:sqs"});
    let messages: Vec<Value> = bodies.iter().enumerate().map(message).collect();
    DeadLetterEvent::from_slice(json!({"Records": messages}).to_string().as_bytes()).unwrap()
}

fn named(report: &lambda_streams::RedriveReport) -> Vec<String> {
    let failures = report.response().unwrap().batch_item_failures;
    failures.into_iter().map(|failure| failure.item_identifier.expect("an identifier")).collect()
}

#[tokio::test(start_paused = true)]
async fn redriven_dead_letters_are_processed() {
    let bodies = dead_letters(&inserts(3)).await;
    let script = Script::default();
    let processor = StreamProcessor::builder().on_record(script.clone()).build().unwrap();
    let report = processor.redrive(sqs_event(&bodies), Deadline::none()).await;
    assert_eq!(outcomes(report.batch()), [Outcome::Succeeded; 3]);
    assert_eq!(serde_json::to_value(report.response().unwrap()).unwrap(), json!({"batchItemFailures": []}));
    assert_eq!(script.succeeded().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_redriven_record_keeps_its_idempotency_key() {
    let changes = [
        change(0, "a", 0),
        change(1, "b", 0).without("/eventID"),
        change(2, "c", 0).without("/eventID").without("/eventSourceARN"),
    ];
    let keys = |report: &lambda_streams::BatchReport| -> Vec<String> {
        report.records().iter().map(|record| record.record().unwrap().idempotency_key().into_owned()).collect()
    };
    let processor = StreamProcessor::builder().on_record(Script::default()).build().unwrap();
    let delivered = keys(&process(&processor, &changes).await);
    let redriven = processor.redrive(sqs_event(&dead_letters(&changes).await), Deadline::none()).await;
    assert_eq!((delivered.len(), &delivered), (3, &keys(redriven.batch())));
}

#[test]
fn an_event_says_how_many_messages_it_has() {
    for count in [1, 3] {
        let event = sqs_event(&vec!["{\"secret\": 1}".to_owned(); count]);
        assert_eq!((event.len(), event.is_empty()), (count, false));
        let shown = format!("{event:?}");
        assert!(shown.contains(&format!("messages: {count}")) && !shown.contains("secret"), "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_message_is_named_and_holds_back_only_its_item() {
    let changes = [change(0, "a", 0), change(1, "b", 0), change(2, "a", 1), change(3, "c", 0)];
    let bodies = dead_letters(&changes).await;
    let script = Script::new([("a", Act::FailPermanently)]);
    let processor = StreamProcessor::builder().on_record(script).concurrency(1).build().unwrap();
    let report = processor.redrive(sqs_event(&bodies), Deadline::none()).await;
    let expected = [Outcome::Reported, Outcome::Succeeded, Outcome::HeldBack, Outcome::Succeeded];
    assert_eq!(outcomes(report.batch()), expected);
    assert_eq!(named(&report), ["m-0", "m-2"]);
}

#[tokio::test(start_paused = true)]
async fn a_failure_holds_back_its_item_at_any_distance() {
    let others = (1..150).map(|number| change(number, "b", number as u32));
    let changes: Vec<Change> = [change(0, "a", 0)].into_iter().chain(others).chain([change(150, "a", 1)]).collect();
    let bodies = dead_letters(&changes).await;
    let script = Script::new([("a", Act::FailPermanently)]);
    let processor = StreamProcessor::builder().on_record(script.clone()).concurrency(1).build().unwrap();
    let report = processor.redrive(sqs_event(&bodies), Deadline::none()).await;
    assert_eq!(named(&report), ["m-0", "m-150"]);
    assert_eq!(report.batch().records()[150].attempts, 0);
    assert_eq!(script.succeeded().len(), 149);
}

#[tokio::test(start_paused = true)]
async fn a_failed_redrive_sends_no_second_dead_letter() {
    let bodies = dead_letters(&inserts(1)).await;
    let queue = MemoryDeadLetterQueue::new();
    let script = Script::new([("item-0", Act::FailPermanently)]);
    let processor = StreamProcessor::builder().on_record(script).dead_letter_queue(queue.clone()).build().unwrap();
    let report = processor.redrive(sqs_event(&bodies), Deadline::none()).await;
    assert_eq!(named(&report), ["m-0"]);
    assert!(queue.letters().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_message_without_a_dead_letter_fails_alone() {
    let mut bodies = dead_letters(&inserts(2)).await;
    bodies.insert(1, "something else".to_owned());
    bodies.insert(2, String::new());
    let processor = StreamProcessor::builder().on_record(Script::default()).build().unwrap();
    let report = processor.redrive(sqs_event(&bodies), Deadline::none()).await;
    assert_eq!(named(&report), ["m-1", "m-2"]);
    assert_eq!(report.unreadable().map(|(id, _)| id).collect::<Vec<_>>(), ["m-1", "m-2"]);
    assert_eq!(outcomes(report.batch()), [Outcome::Succeeded; 2]);
}

#[tokio::test(start_paused = true)]
async fn an_event_without_a_dead_letter_is_refused() {
    let processor = StreamProcessor::builder().on_record(Script::default()).build().unwrap();
    let report = processor.redrive(sqs_event(&["something else".to_owned(), String::new()]), Deadline::none()).await;
    let error = report.response().unwrap_err();
    assert!(error.is_event());
    assert_eq!(error.payload_kind(), Some(lambda_streams::PayloadKind::Sqs));
    assert_eq!(error.to_string(), "no message of the SQS event holds a dead letter");
}

#[tokio::test(start_paused = true)]
async fn without_partial_batch_responses_a_kept_message_fails_the_redrive() {
    let bodies = dead_letters(&inserts(2)).await;
    let script = Script::new([("item-0", Act::FailPermanently)]);
    let builder = StreamProcessor::builder().on_record(script).report_batch_item_failures(false);
    let processor = builder.build().unwrap();
    let error = processor.redrive(sqs_event(&bodies), Deadline::none()).await.response().unwrap_err();
    assert!(error.is_batch_failed());
    let expected = "1 of 2 messages must be kept, and `report_batch_item_failures` is off: SQS keeps all of them";
    assert_eq!(error.to_string(), expected);
    let done = processor.redrive(sqs_event(&bodies[1..]), Deadline::none()).await;
    assert_eq!(done.response().unwrap().batch_item_failures.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_redriven_malformed_record_fails_alone() {
    let queue = MemoryDeadLetterQueue::new();
    let processor =
        StreamProcessor::builder().on_record(Script::default()).dead_letter_queue(queue.clone()).build().unwrap();
    process(&processor, &[Change::raw("null"), change(1, "a", 0).without("/dynamodb/SequenceNumber")]).await;
    let mut bodies: Vec<String> = queue.letters().iter().map(|letter| letter.to_json()).collect();
    bodies.extend(dead_letters(&inserts(1)).await);
    let report = processor.redrive(sqs_event(&bodies), Deadline::none()).await;
    assert_eq!(named(&report), ["m-0", "m-1"]);
}

#[tokio::test(start_paused = true)]
async fn a_redrive_is_not_remembered_as_the_streams() {
    let bodies = dead_letters(&inserts(2)).await;
    let script = Script::new([("item-0", Act::Fail)]);
    let processor = StreamProcessor::builder().on_record(script.clone()).build().unwrap();
    processor.redrive(sqs_event(&bodies), Deadline::none()).await;
    let report = process(&processor, &inserts(2)).await;
    assert_eq!(outcomes(&report), [Outcome::Reported, Outcome::Succeeded]);
    assert_eq!(script.succeeded().len(), 2);
}

/// The same change of another table's stream.
fn of_table(table: &str, change: Change) -> Change {
    change
        .with("/eventSourceARN", format!("arn:aws:dynamodb:eu-central-1:123456789012:table/{table}/stream/2026-01-01"))
}

#[tokio::test(start_paused = true)]
async fn a_message_that_came_twice_is_redriven_twice() {
    let letter = dead_letters(&inserts(1)).await;
    let script = Script::default();
    let processor = StreamProcessor::builder().on_record(script.clone()).build().unwrap();
    let report = processor.redrive(sqs_event(&[letter.clone(), letter].concat()), Deadline::none()).await;
    assert_eq!(named(&report), [""; 0]);
    assert_eq!((outcomes(report.batch()), script.most_running()), (vec![Outcome::Succeeded; 2], 1));
}

#[tokio::test(start_paused = true)]
async fn dead_letters_of_two_streams_may_have_one_sequence_number() {
    let mut bodies = dead_letters(&[change(0, "a", 0)]).await;
    bodies.extend(dead_letters(&[of_table("customers", change(0, "a", 0))]).await);
    let processor = StreamProcessor::builder().on_record(Script::default()).build().unwrap();
    let report = processor.redrive(sqs_event(&bodies), Deadline::none()).await;
    assert_eq!(outcomes(report.batch()), [Outcome::Succeeded; 2]);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_a_redrive_holds_back_only_the_lane_of_a_failure() {
    let changes = [change(0, "a", 0), change(1, "b", 0), change(2, "a", 1), change(3, "c", 0), change(4, "a", 2)];
    let bodies = dead_letters(&changes).await;
    let script = Script::new([("a", Act::FailPermanently), ("b", Act::Hang), ("c", Act::Hang)]);
    let processor = StreamProcessor::builder().on_record(script).build().unwrap();
    let report = processor.redrive(sqs_event(&bodies), Deadline::after(std::time::Duration::from_secs(30))).await;
    use Outcome::{HeldBack, Reported, Unfinished};
    assert_eq!(outcomes(report.batch()), [Reported, Unfinished, HeldBack, Unfinished, HeldBack]);
    assert_eq!(report.batch().counts().unfinished, 2);
    assert_eq!(named(&report), ["m-0", "m-1", "m-2", "m-3", "m-4"]);
}

#[cfg(feature = "emf")]
#[tokio::test(start_paused = true)]
async fn a_redrive_is_measured_by_table() {
    use crate::support::emf::{Written, numbers, sum};

    let of_customers = |number: usize| of_table("customers", change(number, "bad", 0));
    let mut bodies = dead_letters(&[change(0, "a", 0), change(1, "b", 0), change(2, "c", 0)]).await;
    bodies.extend(dead_letters(&[of_customers(0), of_customers(1)]).await);
    let written = Written::default();
    let emf = lambda_streams::Emf::builder().service("redrive").writer(written.clone()).build().unwrap();
    let _recorder = metrics::set_default_local_recorder(&emf);
    let script = Script::new([("bad", Act::FailPermanently)]);
    let processor = StreamProcessor::builder().on_record(script).build().unwrap();
    processor.redrive(sqs_event(&bodies), Deadline::none()).await;
    emf.flush();
    let documents = written.documents();
    for (table, received, succeeded, attempts) in [("orders", 3.0, 3.0, 3), ("customers", 2.0, 0.0, 1)] {
        let of_table: Vec<_> =
            documents.iter().filter(|document| document.member("table") == Some(table)).cloned().collect();
        let sum = |name: &str| sum(&of_table, name, &["service"]);
        assert_eq!((sum("RecordsReceived"), sum("RecordsSucceeded")), (received, succeeded), "{table}");
        assert_eq!(
            (sum("BatchSize"), sum("RecordsFailed")),
            (received, f64::from(u8::from(succeeded == 0.0))),
            "{table}"
        );
        assert_eq!(numbers(&of_table, "HandlerDuration", &["service"]).len(), attempts, "{table}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_skipped_dead_letter_is_kept_unless_told_otherwise() {
    let mut batch = inserts(2);
    batch.push(change(2, "a", 1));
    let bodies = dead_letters(&batch).await;
    for (deletes, kept) in [(false, vec!["m-1", "m-2"]), (true, vec![])] {
        let processor = StreamProcessor::builder()
            .on_insert(|_: Insert<Order>| async { Ok(()) })
            .filter(|record| record.event_id() != Some("event-1"))
            .delete_skipped_on_redrive(deletes)
            .build()
            .unwrap();
        let report = processor.redrive(sqs_event(&bodies), Deadline::none()).await;
        let skipped = [SkipReason::Filtered, SkipReason::NoHandler].map(Outcome::Skipped);
        assert_eq!(outcomes(report.batch()), [Outcome::Succeeded, skipped[0], skipped[1]]);
        assert_eq!(named(&report), kept);
    }
}

#[tokio::test(start_paused = true)]
async fn a_redrive_is_bounded_in_memory_and_in_number() {
    // 15 MiB of blanks in a record become a letter of a few kilobytes.
    let record = change(0, "a", 0).json().replacen('{', &format!("{{{}", " ".repeat(15 << 20)), 1);
    let compressed = letter("recordGzip", gzip(&record).into());
    assert!(compressed.len() < 100_000, "{}", compressed.len());
    let processor = StreamProcessor::builder().on_record(Script::default()).build().unwrap();
    let report = processor.redrive(sqs_event(&vec![compressed; 6]), Deadline::none()).await;
    assert_eq!(named(&report), ["m-4", "m-5"], "four fit into 64 MiB, and the others are redelivered");
    assert!(report.unreadable().all(|(_, error)| error.to_string().contains("is left for another delivery")));
    let message = r#"{"messageId": "1", "eventSource": "aws:sqs", "body": ""}"#;
    for (count, is_refused) in [(10_000, false), (10_001, true)] {
        let event = format!(r#"{{"Records": [{}]}}"#, vec![message; count].join(","));
        let event = DeadLetterEvent::from_slice(event.as_bytes());
        assert_eq!(event.is_err_and(|error| error.to_string().contains("more than 10,000 messages")), is_refused);
    }
}

fn gzip(text: &str) -> String {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut encoder, text.as_bytes()).unwrap();
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, encoder.finish().unwrap())
}

/// A letter with this record.
fn letter(member: &str, record: Value) -> String {
    json!({
        "version": 1, "errorKind": "decode", "errorMessage": "m", "attempts": 1,
        "firstSeen": "2026-01-01T00:00:00.000Z", "deadLettered": "2026-01-01T00:00:00.120Z",
        member: record,
    })
    .to_string()
}

fn raw_letter(record: &str) -> String {
    letter("record", json!(null)).replace(r#""record":null"#, &format!(r#""record":{record}"#))
}

#[tokio::test(start_paused = true)]
async fn one_message_does_not_keep_the_others_from_being_redriven() {
    let good = || raw_letter(&change(0, "a", 0).json());
    for record in [
        "null",
        "0",
        "[]",
        r#""text""#,
        "1e999999",
        "-0",
        r#"{"\ud800": 1}"#,
        r#"{"eventID": "\ud800"}"#,
        r#"{"eventID": "a", "eventID": "b"}"#,
        r#"{"eventSource": "aws:ses"}"#,
        r#"{"eventSource":"aws:dynamodb","eventName":"INSERT","dynamodb":{"Keys":{"id":{"S":"\ud800"}},"NewImage":{"id":{"S":"\udc00"}},"SequenceNumber":"1"}}"#,
        r#"{"dynamodb":{"Keys":0,"NewImage":0,"SequenceNumber":0}}"#,
        &format!("{}{}", "[".repeat(5_000), "]".repeat(5_000)),
        &format!("{}1{}", r#"{"a":"#.repeat(5_000), "}".repeat(5_000)),
        &format!(
            r#"{{"eventSource":"aws:dynamodb","eventName":"INSERT","dynamodb":{{"Keys":{{"id":{{"S":"a"}}}},"NewImage":{}1{},"SequenceNumber":"1"}}}}"#,
            r#"{"a":"#.repeat(5_000),
            "}".repeat(5_000)
        ),
    ] {
        let bodies = [good(), raw_letter(record), good()];
        let processor =
            StreamProcessor::builder().on_record(|_: lambda_streams::Record| async { Ok(()) }).build().unwrap();
        let report = processor.redrive(sqs_event(&bodies), Deadline::none()).await;
        let named = named(&report);
        let start: String = record.chars().take(80).collect();
        assert!(!named.contains(&"m-0".to_owned()) && !named.contains(&"m-2".to_owned()), "{start}: {named:?}");
    }
}

#[test]
fn a_non_sqs_event_is_rejected_with_its_kind() {
    for (body, words) in [
        ("", "not valid JSON"),
        ("{", "not valid JSON"),
        (r#"{"Records": [{"eventSource": "aws:dynamodb", "dynamodb": {}}]}"#, "a DynamoDB stream event"),
        (r#"{"Records": [{"eventSource": "aws:sqs", "body": "x"}]}"#, "messageId"),
        ("[]", "an array"),
    ] {
        let error = DeadLetterEvent::from_slice(body.as_bytes()).expect_err(body);
        assert!(error.is_event() && error.to_string().contains(words), "{error}");
    }
}
