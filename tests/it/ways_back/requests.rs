//! What a command may ask, and how it is answered.

use lambda_runtime::{Context, LambdaEvent};
use lambda_streams::{Deadline, InvocationReport, Origin, Outcome, PayloadKind, Record, StreamEvent, StreamProcessor};
use serde_json::{Value, json};
use tower_service::Service;

use super::{BACKFILL, REPLAY, by_command, process, records, refused, replay, response, unfinished};
use crate::support::{Act, Change, Script, change, inserts, outcomes, sequence_number};

fn processor(script: &Script) -> StreamProcessor {
    StreamProcessor::builder().on_record(script.clone()).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn every_record_that_is_not_finished_is_named_and_the_others_are_counted() {
    let script = Script::new([("item-1", Act::FailPermanently), ("item-3", Act::Panic)]);
    let builder = StreamProcessor::builder().on_record(script).filter(|record| !record.keys_json().contains("item-4"));
    let report = process(&builder.build().unwrap(), by_command(REPLAY, &inserts(5))).await.unwrap();
    let expected = json!({
        "batchItemFailures": [{"itemIdentifier": sequence_number(1)}, {"itemIdentifier": sequence_number(3)}],
        "lambdaStreams": {
            "everyFailureIsListed": true, "succeeded": 2, "skipped": 1, "alreadyDone": 0, "stale": 0, "deadLettered": 0,
            "failed": 2, "marks": false,
        },
    });
    assert_eq!(response(&report), expected);
    assert_eq!(report.batch().counts().reported, 2);
}

#[tokio::test(start_paused = true)]
async fn an_event_without_records_asks_whether_the_function_can_be_reached() {
    let script = Script::default();
    for request in [REPLAY, BACKFILL, r#"{"origin":"replay"}"#] {
        let report = process(&processor(&script), by_command(request, &[])).await.unwrap();
        let expected = json!({
            "batchItemFailures": [],
            "lambdaStreams": {
                "everyFailureIsListed": true, "succeeded": 0, "skipped": 0, "alreadyDone": 0, "stale": 0, "deadLettered": 0,
                "failed": 0, "marks": false,
            },
        });
        assert_eq!(response(&report), expected);
    }
    assert_eq!(script.started(), []);
}

#[cfg(feature = "emf")]
#[tokio::test(start_paused = true)]
async fn a_probe_is_not_measured() {
    let written = crate::support::emf::Written::default();
    let emf = lambda_streams::Emf::builder().service("probe").writer(written.clone()).build().unwrap();
    let _recorder = metrics::set_default_local_recorder(&emf);
    for (changes, is_measured) in [(vec![], false), (inserts(1), true)] {
        replay(&processor(&Script::default()), REPLAY, &changes).await;
        emf.flush();
        assert_eq!(!written.documents().is_empty(), is_measured);
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_is_named_by_its_number_or_its_event_id_or_its_position() {
    let changes = [
        change(0, "a", 0),
        change(1, "bad", 0),
        change(2, "bad", 0).without("/dynamodb/SequenceNumber"),
        change(3, "bad", 0).without("/dynamodb/SequenceNumber").without("/eventID"),
        change(4, "bad", 0).without("/dynamodb/SequenceNumber").with("/eventID", ""),
        Change::raw("null"),
    ];
    let script = Script::new([("bad", Act::FailPermanently)]);
    let report = replay(&processor(&script), REPLAY, &changes).await;
    assert_eq!(unfinished(&report), [&sequence_number(1), "event-2", "#3", "#4", "#5"]);
}

#[tokio::test(start_paused = true)]
async fn records_with_one_number_are_all_processed_and_named() {
    let twice = [change(0, "a", 0), change(0, "a", 0), change(1, "b", 0), change(1, "b", 0)];
    let script = Script::new([("b", Act::Fail)]);
    let report = replay(&processor(&script), REPLAY, &twice).await;
    assert_eq!(
        outcomes(report.batch()),
        [Outcome::Succeeded, Outcome::Succeeded, Outcome::Reported, Outcome::HeldBack]
    );
    assert_eq!(unfinished(&report), [sequence_number(1), sequence_number(1)]);
}

#[tokio::test(start_paused = true)]
async fn without_a_list_a_record_that_is_not_finished_fails_the_invocation() {
    let script = Script::new([("item-1", Act::FailPermanently), ("item-3", Act::Fail)]);
    for (request, origin) in
        [(r#"{"origin":"replay"}"#, Origin::Replay), (r#"{"origin":"backfill"}"#, Origin::Backfill)]
    {
        let report = replay(&processor(&script), request, &inserts(4)).await;
        assert_eq!(report.origin(), origin);
        let error = report.response().unwrap_err();
        assert!(error.is_unfinished() && !error.is_event() && !error.is_batch_failed());
        let expected = "2 of 4 records are not finished, the first of them at position 1 (event id event-1): the invocation fails, so \
                        Lambda repeats it if it is asynchronous";
        assert_eq!(error.to_string(), expected);
        let diagnostic = lambda_runtime::Diagnostic::from(error);
        assert_eq!(diagnostic.error_type, "LambdaStreams.Unfinished");
        let report = replay(&processor(&script), request, &inserts(1)).await;
        assert_eq!(unfinished(&report), [""; 0]);
    }
}

/// The setting is about the event source mapping, which has no part in this.
#[tokio::test(start_paused = true)]
async fn the_list_does_not_depend_on_the_mapping() {
    let script = Script::new([("item-0", Act::Fail)]);
    let builder = StreamProcessor::builder().on_record(script).report_batch_item_failures(false);
    let report = replay(&builder.build().unwrap(), REPLAY, &inserts(2)).await;
    assert_eq!(unfinished(&report), [sequence_number(0)]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_not_understood_is_refused_and_nothing_runs() {
    let script = Script::default();
    for request in [
        r#"{"origin":"rewind"}"#,
        r#"{"origin":"replay","until":"now"}"#,
        r#"{"origin":"replay","answer":"table"}"#,
        r#"{"origin":"replay","stale":"forget"}"#,
        "{}",
        "null",
        "\"replay\"",
    ] {
        let error = refused(&processor(&script), by_command(request, &inserts(1))).await;
        assert!(error.is_event(), "{error}");
        let text = error.to_string();
        assert!(text.starts_with("`lambdaStreams` of the payload is not understood ("), "{text}");
        assert!(text.contains(concat!(
            "version ",
            env!("CARGO_PKG_VERSION"),
            " of lambda-streams, which may be too old"
        )));
    }
    assert_eq!(script.started(), []);
}

#[tokio::test(start_paused = true)]
async fn a_commands_event_is_told_however_it_is_spaced() {
    let body = format!(" {{\n  \"lambdaStreams\" : {REPLAY},\n \"Records\": [{}] }}", records(&inserts(1)));
    let report = process(&processor(&Script::default()), body).await.unwrap();
    assert!(matches!(report, InvocationReport::Replay(_)), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_commands_event_is_never_taken_for_a_streams() {
    let script = Script::default();
    let body = by_command(REPLAY, &inserts(1));
    let expected = "a command of `lambda-streams` has made the payload, and its records must not be processed as a stream's: the function \
                    must be run by `lambda_streams::run`, or call `StreamProcessor::process_invocation`";
    let payload = processor(&script).process_payload(body.clone().into_bytes(), Deadline::none()).await.unwrap_err();
    let event = StreamEvent::from_slice(body.as_bytes()).unwrap_err();
    let of_service = serde_json::from_str::<StreamEvent>(&body).unwrap_err();
    assert_eq!(
        (payload.to_string(), event.to_string(), of_service.to_string()),
        (expected.to_owned(), expected.to_owned(), expected.to_owned())
    );
    // Somebody has sorted the members.
    let sorted = format!("{{\"Records\":[{}],\"lambdaStreams\":{REPLAY}}}", records(&inserts(1)));
    let error = refused(&processor(&script), sorted).await;
    assert_eq!(error.to_string(), "the event's envelope is broken: `lambdaStreams` must be its first member");
    assert_eq!(script.started(), []);
    // What others put into an event's other members is theirs.
    let other = format!("{{\"lambdastreams\":{REPLAY},\"Records\":[{}]}}", records(&inserts(1)));
    assert!(matches!(process(&processor(&script), other).await, Ok(InvocationReport::Stream(_))));
    let mut service = processor(&script);
    let event = StreamEvent::from_slice(br#"{"Records":[]}"#).unwrap();
    assert!(service.call(LambdaEvent::new(event, Context::default())).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_commands_event_that_is_broken_fails_the_invocation() {
    let script = Script::default();
    let whole = by_command(REPLAY, &inserts(200));
    for (broken, kind) in [
        (whole[..whole.len() - 1].to_owned(), Some(PayloadKind::NotJson)),
        (format!("{whole}x"), Some(PayloadKind::NotJson)),
        (format!("{{\"lambdaStreams\":{REPLAY}}}"), Some(PayloadKind::Object)),
        (format!("{{\"lambdaStreams\":{REPLAY},\"Records\":{{}}}}"), Some(PayloadKind::RecordsNoList)),
        (
            format!("{{\"lambdaStreams\":{REPLAY},\"Records\":[{{\"eventSource\":\"aws:sqs\"}}]}}"),
            Some(PayloadKind::Sqs),
        ),
        ("{\"lambdaStreams\"".to_owned(), Some(PayloadKind::NotJson)),
        ("{\"lambdaStreams\":".to_owned(), Some(PayloadKind::NotJson)),
        ("{\"lambdaStreams\":{\"origin\"".to_owned(), Some(PayloadKind::NotJson)),
    ] {
        let error = refused(&processor(&script), broken.clone()).await;
        assert!(error.is_event() && error.payload_kind() == kind, "{error}: {:?}", &broken[..broken.len().min(80)]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_replay_has_done_is_not_remembered_for_the_stream() {
    let script = Script::new([("item-0", Act::Fail)]);
    let processor = processor(&script);
    replay(&processor, REPLAY, &inserts(2)).await;
    let report = crate::support::process(&processor, &inserts(2)).await;
    assert_eq!(outcomes(&report), [Outcome::Reported, Outcome::Succeeded]);
    assert_eq!(script.succeeded().len(), 2);
    // What the stream has done after its checkpoint is no reason to skip it in a replay, either.
    let report = replay(&processor, REPLAY, &inserts(2)).await;
    assert_eq!(outcomes(report.batch()), [Outcome::Reported, Outcome::Succeeded]);
}

#[tokio::test(start_paused = true)]
async fn a_handler_sees_where_its_record_comes_from() {
    let origins = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = std::sync::Arc::clone(&origins);
    let handler = move |record: Record| {
        seen.lock().unwrap().push(record.context().origin());
        async { Ok(()) }
    };
    let processor = StreamProcessor::builder().on_record(handler).build().unwrap();
    replay(&processor, REPLAY, &inserts(1)).await;
    replay(&processor, BACKFILL, &inserts(1)).await;
    assert_eq!(*origins.lock().unwrap(), [Origin::Replay, Origin::Backfill]);
}

#[test]
fn a_response_shows_no_names() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let script = Script::new([("item-0", Act::FailPermanently)]);
    let report = runtime.block_on(replay(&processor(&script), REPLAY, &inserts(1)));
    let shown = format!("{:?}", report.response().unwrap());
    assert!(shown.starts_with("ReplayResponse { unfinished: 1, counts: Counts {"), "{shown}");
    let _: Value = serde_json::to_value(report.response().unwrap()).unwrap();
}
