//! The README's typed handlers: which handler a record goes to, and what it receives.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lambda_streams::{
    AfterDeadLetter, Change, DecodeError, ErrorKind, FailurePolicy, Handler, HandlerError, Insert, Lanes, Modify,
    Outcome, Record, Remove, StreamProcessor,
};
use serde_json::json;

use crate::support::{self, Order, TestQueue, change, outcomes, process};

type Seen = Arc<Mutex<Vec<String>>>;

fn note(seen: &Seen, what: String) {
    seen.lock().expect("no panic holds it").push(what);
}

fn noted(seen: &Seen) -> Vec<String> {
    seen.lock().expect("no panic holds it").clone()
}

fn removal(number: usize, id: &str, version: u32) -> support::Change {
    change(number, id, version).with("/eventName", "REMOVE").without("/dynamodb/NewImage")
}

struct Archive(Seen);

impl Handler<Remove<Order>> for Archive {
    async fn handle(&self, change: Remove<Order>) -> Result<(), HandlerError> {
        note(&self.0, format!("removed {} {}", change.old.id, change.old.version));
        Ok(())
    }
}

async fn created(_: Insert<Order>) -> Result<(), HandlerError> {
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn functions_closures_and_structs_are_handlers() {
    let seen = Seen::default();
    let modified = Arc::clone(&seen);
    let processor = StreamProcessor::builder()
        .on_insert(created)
        .on_modify(move |change: Modify<Order>| {
            let seen = Arc::clone(&modified);
            async move {
                let names: Vec<_> = change.changed()?.iter().map(str::to_owned).collect();
                note(&seen, format!("{} {} -> {} {names:?}", change.old.id, change.old.version, change.new.version));
                Ok(())
            }
        })
        .on_remove(Archive(Arc::clone(&seen)))
        .build()
        .unwrap();
    let report = process(&processor, &[change(0, "a", 0), change(1, "a", 1), removal(2, "a", 2)]).await;
    assert_eq!(outcomes(&report), [Outcome::Succeeded; 3]);
    assert_eq!(noted(&seen), ["a 0 -> 1 [\"version\"]", "removed a 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_record_handler_takes_the_remaining_kinds() {
    let seen = Seen::default();
    let others = Arc::clone(&seen);
    let processor = StreamProcessor::builder()
        .on_insert(created)
        .on_record(move |record: Record| {
            note(&others, record.kind().to_string());
            async { Ok(()) }
        })
        .build()
        .unwrap();
    process(&processor, &[change(0, "a", 0), change(1, "a", 1), removal(2, "a", 2)]).await;
    assert_eq!(noted(&seen), ["MODIFY", "REMOVE"]);
}

#[tokio::test(start_paused = true)]
async fn a_change_has_the_images_that_the_stream_has() {
    let seen = Seen::default();
    let changes = Arc::clone(&seen);
    let processor = StreamProcessor::builder()
        .on_change(move |change: Change<Order>| {
            note(&changes, format!("{} {} {}", change.kind(), change.old.is_some(), change.new.is_some()));
            async { Ok(()) }
        })
        .build()
        .unwrap();
    let keys_only = change(0, "a", 0).without("/dynamodb/NewImage").with("/dynamodb/StreamViewType", "KEYS_ONLY");
    let report = process(&processor, &[keys_only, change(1, "a", 1), removal(2, "a", 2)]).await;
    assert_eq!(outcomes(&report), [Outcome::Succeeded; 3]);
    assert_eq!(noted(&seen), ["INSERT false false", "MODIFY true true", "REMOVE true false"]);
}

#[tokio::test(start_paused = true)]
async fn a_missing_image_error_names_the_view_type() {
    let processor = StreamProcessor::builder().on_insert(created).build().unwrap();
    let keys_only = change(0, "a", 0).without("/dynamodb/NewImage").with("/dynamodb/StreamViewType", "KEYS_ONLY");
    let report = process(&processor, &[keys_only]).await;
    let failure = report.records()[0].failure.as_ref().unwrap();
    assert_eq!(failure.kind, ErrorKind::Decode);
    assert!(failure.message.contains("KEYS_ONLY") && failure.message.contains("NewImage"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn an_undecodable_old_image_fails_no_insert() {
    let processor = StreamProcessor::builder().on_insert(created).build().unwrap();
    let odd = change(0, "a", 0).with("/dynamodb/OldImage", json!({"id": {"S": "a"}}));
    assert_eq!(outcomes(&process(&processor, &[odd]).await), [Outcome::Succeeded]);
}

#[test]
fn contradictory_settings_fail_with_advice() {
    let record = |_: Record| async { Ok(()) };
    let with = || StreamProcessor::builder().on_record(record);
    for (builder, words) in [
        (StreamProcessor::builder(), "has no handler"),
        (with().on_record(record), "two handlers"),
        (StreamProcessor::builder().on_insert(created).on_insert(created), "`on_insert` once"),
        (with().concurrency(0), "`concurrency` is 0"),
        (with().concurrency(usize::MAX), "`concurrency` is"),
        (with().retry(lambda_streams::RetryPolicy::default().max_attempts(0)), "`max_attempts`"),
        (with().retry(lambda_streams::RetryPolicy::default().max_delay(Duration::ZERO)), "`base_delay`"),
        (with().handler_timeout(Duration::ZERO), "`handler_timeout` is zero"),
    ] {
        let error = builder.build().expect_err(words);
        assert!(error.is_configuration());
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn public_types_keep_their_auto_traits() {
    fn shareable<T: Send + Sync + 'static>() {}
    fn cloneable<T: Clone>() {}
    shareable::<StreamProcessor>();
    cloneable::<StreamProcessor>();
    shareable::<Record>();
    cloneable::<Record>();
    shareable::<lambda_streams::StreamEvent>();
    shareable::<lambda_streams::BatchReport>();
    shareable::<lambda_streams::Error>();
    shareable::<HandlerError>();
    shareable::<DecodeError>();
    shareable::<Insert<Order>>();
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let with = || StreamProcessor::builder().on_record(|_: Record| async { Ok(()) });
    let with_queue = || with().dead_letter_queue(TestQueue::default());
    let hour = Duration::from_secs(3_600);
    let no_queue = "but there is no dead-letter queue: set `DLQ_URL`";
    for (builder, words) in [
        (with().failure_policy(FailurePolicy::DeadLetterAll), no_queue),
        (with().failure_policy(FailurePolicy::DeadLetterPermanent), no_queue),
        (with().give_up_after(hour), no_queue),
        (with().give_up_after(hour).without_dead_letter_queue(), no_queue),
        (with_queue().without_dead_letter_queue().give_up_after(hour), no_queue),
        (with().after_dead_letter(AfterDeadLetter::FollowLane), no_queue),
        (with_queue().after_dead_letter(AfterDeadLetter::FollowLane).lanes(Lanes::Unordered), "`Lanes::Unordered`"),
        (with_queue().failure_policy(FailurePolicy::ReportAll), "which would get nothing"),
    ] {
        let error = builder.build().expect_err(words);
        assert!(error.is_configuration());
        assert!(error.to_string().contains(words), "{error}");
    }
    for builder in [
        with().failure_policy(FailurePolicy::ReportAll),
        with().permanent_if(|_| true),
        with_queue().failure_policy(FailurePolicy::DeadLetterAll).give_up_after(hour),
        with_queue().after_dead_letter(AfterDeadLetter::FollowLane).lanes(Lanes::WholeBatch),
        with_queue().lanes(Lanes::Unordered),
        with().without_dead_letter_queue().dead_letter_queue(TestQueue::default()).give_up_after(hour),
    ] {
        builder.build().expect("they go together");
    }
}
