//! A command says what happens to stale records; what it brings never moves the mark by which the stream's records are skipped.

use lambda_streams::Outcome::{Skipped, Succeeded};
use lambda_streams::SkipReason::{AlreadyDone, Stale as SkippedStale};
use lambda_streams::{Idempotency, Marks, MemoryIdempotencyStore, Record, SequenceNumber, Stale, StreamProcessor};
use serde_json::json;

use super::{by_command, process, refused, replay, response};
use crate::support::{Script, TestQueue, change, inserts, outcomes, sequence_number};

fn marked(script: &Script, store: &MemoryIdempotencyStore, stale: Stale) -> StreamProcessor {
    let builder = StreamProcessor::builder().on_record(script.clone()).dead_letter_queue(TestQueue::default());
    builder.idempotency(Idempotency::new("tests", store.clone())).marks(Marks::new(stale)).build().unwrap()
}

fn request(stale: Option<&str>) -> String {
    let stale = stale.map(|stale| format!(",\"stale\":\"{stale}\"")).unwrap_or_default();
    format!("{{\"origin\":\"replay\"{stale},\"answer\":\"list\"}}")
}

#[tokio::test(start_paused = true)]
async fn a_command_overrides_what_happens_to_stale_records() {
    use Stale::{Process, Skip};
    for (setting, asked, is_processed) in [
        (Skip, None, false),
        (Process, None, true),
        (Skip, Some("process"), true),
        (Process, Some("skip"), false),
        (Skip, Some("skip"), false),
        (Process, Some("process"), true),
    ] {
        let (script, store) = (Script::default(), MemoryIdempotencyStore::new());
        let processor = marked(&script, &store, setting);
        // Without a mark of its item, a record is only known not to be stale if marks had begun when it was made.
        let later = change(6, "b", 0).with("/dynamodb/ApproximateCreationDateTime", 4_000_000_000_u64);
        crate::support::process(&processor, &[change(5, "a", 1)]).await;
        let report = replay(&processor, &request(asked), &[change(1, "a", 0), change(5, "a", 1), later]).await;
        let stale = if is_processed { Succeeded } else { Skipped(SkippedStale) };
        assert_eq!(outcomes(report.batch()), [stale, Skipped(AlreadyDone), Succeeded], "{setting:?} {asked:?}");
        let response = serde_json::to_value(report.response().unwrap()).unwrap();
        let expected = json!({
            "everyFailureIsListed": true, "succeeded": 1 + usize::from(is_processed), "skipped": 0, "alreadyDone": 1,
            "stale": usize::from(!is_processed), "deadLettered": 0, "failed": 0, "marks": true,
        });
        assert_eq!(response["lambdaStreams"], expected);
        // It holds for one invocation.
        let report = replay(&processor, &request(None), &[change(2, "a", 0)]).await;
        let stale = if setting == Process { Succeeded } else { Skipped(SkippedStale) };
        assert_eq!(outcomes(report.batch()), [stale], "{setting:?} {asked:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_replay_moves_no_mark_of_the_stream() {
    let (script, store) = (Script::default(), MemoryIdempotencyStore::new());
    let processor = marked(&script, &store, Stale::Process);
    let report = replay(&processor, &request(None), &[change(7, "a", 1)]).await;
    assert_eq!(outcomes(report.batch()), [Succeeded]);
    let marks = store.marks();
    assert_eq!((marks[0].1.passed, marks[0].1.applied), (None, SequenceNumber::new(&sequence_number(7))));
    let report = crate::support::process(&processor, &[change(3, "a", 0), change(7, "a", 1)]).await;
    assert_eq!(outcomes(&report)[0], Succeeded, "the stream had not come there");
}

#[tokio::test(start_paused = true)]
async fn stale_records_cannot_be_skipped_without_marks() {
    let script = Script::default();
    let without = StreamProcessor::builder().on_record(script.clone()).build().unwrap();
    let error = refused(&without, by_command(&request(Some("skip")), &inserts(1))).await;
    assert!(error.is_event() && error.payload_kind().is_none());
    let expected = "the replay is to skip stale records, but this function keeps no marks, which decide what is stale: use \
                    `--compare-with-table`, or `--stale process` to process all records";
    assert_eq!(error.to_string(), expected);
    assert_eq!(script.started(), []);
    let report = process(&without, by_command(&request(Some("process")), &inserts(1))).await.unwrap();
    assert_eq!(response(&report)["lambdaStreams"]["succeeded"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_backfill_cannot_skip_stale_items() {
    let (script, store) = (Script::default(), MemoryIdempotencyStore::new());
    let skip = r#"{"origin":"backfill","stale":"skip"}"#;
    for processor in
        [marked(&script, &store, Stale::Skip), StreamProcessor::builder().on_record(script.clone()).build().unwrap()]
    {
        let error = refused(&processor, by_command(skip, &inserts(1))).await.to_string();
        assert!(
            error.contains("has no sequence number that a mark") && error.contains("`--compare-with-table`"),
            "{error}"
        );
    }
    assert_eq!(script.started(), []);
}

#[tokio::test(start_paused = true)]
async fn a_handler_sees_that_a_replayed_record_is_stale() {
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let handler = {
        let seen = std::sync::Arc::clone(&seen);
        move |record: Record| {
            seen.lock().unwrap().push(record.context().is_stale());
            async { Ok(()) }
        }
    };
    let store = MemoryIdempotencyStore::new();
    let builder = StreamProcessor::builder().on_record(handler).idempotency(Idempotency::new("tests", store));
    let processor = builder.marks(Marks::new(Stale::Skip)).build().unwrap();
    crate::support::process(&processor, &[change(5, "a", 1)]).await;
    replay(&processor, &request(Some("process")), &[change(1, "a", 0), change(6, "a", 1)]).await;
    assert_eq!(*seen.lock().unwrap(), [false, true, false]);
}
