//! The README's "Partial batch response": the partial batch response names the earliest unfinished record, by position.

use lambda_streams::{Outcome, StreamProcessor};
use serde_json::{Value, json};

use crate::support::{Act, Change, Script, TestQueue, change, event, inserts, outcomes, process, sequence_number};

fn failing(ids: &[&str]) -> Script {
    let mut acts = [("-", Act::FailPermanently); 3];
    for (act, id) in acts.iter_mut().zip(ids) {
        act.0 = id;
    }
    Script::new(acts)
}

async fn answer(processor: &StreamProcessor, changes: &[Change]) -> Value {
    let response = process(processor, changes).await.response().expect("an answer");
    let json = serde_json::to_value(&response).expect("JSON");
    assert_eq!(response.checkpoint(), json["batchItemFailures"][0]["itemIdentifier"].as_str());
    json
}

fn naming(number: usize) -> Value {
    json!({"batchItemFailures": [{"itemIdentifier": sequence_number(number)}]})
}

fn nothing() -> Value {
    json!({"batchItemFailures": []})
}

#[tokio::test(start_paused = true)]
async fn the_response_names_the_first_failed_record() {
    for concurrency in [1, 10] {
        for (ids, expected) in [
            (&[][..], nothing()),
            (&["item-1"], naming(1)),
            (&["item-2"], naming(2)),
            (&["item-0", "item-2"], naming(0)),
            (&["item-0", "item-1", "item-2"], naming(0)),
        ] {
            let processor =
                StreamProcessor::builder().on_record(failing(ids)).concurrency(concurrency).build().unwrap();
            assert_eq!(answer(&processor, &inserts(3)).await, expected, "{ids:?} with {concurrency}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_batch_succeeds() {
    let processor = StreamProcessor::builder().on_record(Script::default()).build().unwrap();
    assert_eq!(answer(&processor, &[]).await, nothing());
}

#[tokio::test(start_paused = true)]
async fn the_response_names_exactly_one_record() {
    let processor = StreamProcessor::builder().on_record(failing(&["item-7", "item-2", "item-9"])).build().unwrap();
    assert_eq!(answer(&processor, &inserts(10)).await, naming(2));
}

#[tokio::test(start_paused = true)]
async fn the_checkpoint_goes_by_position_not_number() {
    // 21 digits and then 22: as strings the later ones are smaller. And a batch out of order.
    for numbers in
        [["999999999999999999999", "1000000000000000000000"], ["300000000000000000000", "200000000000000000000"]]
    {
        let changes: Vec<Change> = inserts(2)
            .into_iter()
            .zip(numbers)
            .map(|(change, number)| change.with("/dynamodb/SequenceNumber", number))
            .collect();
        let processor = StreamProcessor::builder().on_record(failing(&["item-0", "item-1"])).build().unwrap();
        let expected = json!({"batchItemFailures": [{"itemIdentifier": numbers[0]}]});
        assert_eq!(answer(&processor, &changes).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_40_digit_sequence_number_is_returned_unchanged() {
    let number = "9".repeat(40);
    let changes = [inserts(1)[0].clone().with("/dynamodb/SequenceNumber", number.clone())];
    let processor = StreamProcessor::builder().on_record(failing(&["item-0"])).build().unwrap();
    assert_eq!(answer(&processor, &changes).await, json!({"batchItemFailures": [{"itemIdentifier": number}]}));
}

fn unusable_sequence_numbers() -> Vec<Change> {
    let path = "/dynamodb/SequenceNumber";
    let record = || change(2, "item-2", 0);
    vec![
        record().without(path),
        record().with(path, Value::Null),
        record().with(path, ""),
        record().with(path, "9".repeat(45)),
        record().with(path, "12a"),
        record().with(path, 7),
        record().with(path, sequence_number(1)),
        Change::raw("null"),
        Change::raw("[]"),
        Change::raw("\"record\""),
    ]
}

#[tokio::test(start_paused = true)]
async fn an_unusable_sequence_number_moves_the_checkpoint_back() {
    for bad in unusable_sequence_numbers() {
        let changes = [change(0, "item-0", 0), change(1, "item-1", 0), bad.clone(), change(3, "item-3", 0)];
        let processor = StreamProcessor::builder().on_record(Script::default()).build().unwrap();
        let report = process(&processor, &changes).await;
        assert_eq!(report.checkpoint().map(|record| record.position), Some(2), "{bad:?}");
        assert_eq!(serde_json::to_value(report.response().unwrap()).unwrap(), naming(1), "{bad:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unusable_sequence_number_allows_a_dead_letter() {
    for bad in unusable_sequence_numbers() {
        let queue = TestQueue::default();
        let processor =
            StreamProcessor::builder().on_record(Script::default()).dead_letter_queue(queue.clone()).build().unwrap();
        let changes = [change(0, "item-0", 0), change(1, "item-1", 0), bad.clone(), change(3, "item-3", 0)];
        assert_eq!(answer(&processor, &changes).await, nothing(), "{bad:?}");
        assert_eq!(queue.letters().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_invocation_fails_if_no_record_can_be_named() {
    let first = change(0, "item-0", 0).without("/dynamodb/SequenceNumber");
    let processor = StreamProcessor::builder().on_record(Script::default()).build().unwrap();
    let error = process(&processor, &[first, change(1, "item-1", 0)]).await.response().unwrap_err();
    assert!(error.is_unreportable());
    assert!(error.to_string().contains("2 of 2 records") && error.to_string().contains("event-0"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_malformed_record_can_be_the_checkpoint() {
    let changes = [change(0, "a", 0), change(1, "b", 0).with("/eventName", Value::Null), change(2, "c", 0)];
    let processor = StreamProcessor::builder().on_record(Script::default()).build().unwrap();
    assert_eq!(answer(&processor, &changes).await, naming(1));
}

#[tokio::test(start_paused = true)]
async fn reported_records_fail_the_batch_without_partial_responses() {
    let builder = || StreamProcessor::builder().report_batch_item_failures(false);
    let processor = builder().on_record(failing(&["item-1"])).build().unwrap();
    let error = process(&processor, &inserts(3)).await.response().unwrap_err();
    assert!(error.is_batch_failed());
    assert!(error.to_string().contains("ReportBatchItemFailures"), "{error}");

    let processor = builder().on_record(Script::default()).build().unwrap();
    assert_eq!(answer(&processor, &inserts(3)).await, nothing());
    let processor = builder().on_record(failing(&["item-1"])).dead_letter_queue(TestQueue::default()).build().unwrap();
    assert_eq!(answer(&processor, &inserts(3)).await, nothing(), "a dead letter is done");
}

#[tokio::test(start_paused = true)]
async fn a_windows_state_is_returned_unchanged() {
    let mut payload: Value = serde_json::from_str(&crate::support::payload(&inserts(2))).unwrap();
    payload["window"] = json!({"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:05:00Z"});
    payload["state"] = json!({"total": 12});
    payload["shardId"] = json!("shardId-1");
    payload["isFinalInvokeForWindow"] = json!(false);
    payload["isWindowTerminatedEarly"] = json!(false);
    let event: lambda_streams::StreamEvent = serde_json::from_value(payload).unwrap();
    let processor = StreamProcessor::builder().on_record(failing(&["item-1"])).build().unwrap();
    let debug = format!("{event:?}");
    let report = processor.process(event, lambda_streams::Deadline::none()).await;
    let response = report.response().unwrap();
    assert!(!format!("{debug} {report:?} {response:?}").contains("total"), "the state is the user's data");
    let mut expected = naming(1);
    expected["state"] = json!({"total": 12});
    assert_eq!(serde_json::to_value(response).unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn the_report_counts_every_outcome() {
    let script = Script::new([("item-1", Act::FailTimes(1)), ("item-3", Act::FailPermanently)]);
    let processor = StreamProcessor::builder().on_record(script).concurrency(1).build().unwrap();
    let report = processor.process(event(&inserts(6)), lambda_streams::Deadline::none()).await;
    let counts = report.counts();
    assert_eq!((counts.received, counts.succeeded, counts.retries), (6, 3, 1));
    assert_eq!((counts.reported, counts.held_back), (1, 2));
    assert_eq!(outcomes(&report)[3..], [Outcome::Reported, Outcome::HeldBack, Outcome::HeldBack]);
}
