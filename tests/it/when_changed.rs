//! `when_changed`: a handler that is called only where something relevant has changed.

use std::sync::{Arc, Mutex};

use lambda_streams::Outcome::*;
use lambda_streams::{
    BulkFailures, Change, ErrorKind, HandlerError, Insert, Modify, SkipReason, StreamProcessor, bulk, when_changed,
    with,
};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::support::{self, change, outcomes, process};

const UNCHANGED: lambda_streams::Outcome = Skipped(SkipReason::Unchanged);

/// A modification from these attributes to those.
fn modified(number: usize, old: &Value, new: &Value) -> support::Change {
    change(number, &format!("item-{number}"), 1).with("/dynamodb/OldImage", old).with("/dynamodb/NewImage", new)
}

fn changes() -> [support::Change; 6] {
    let status = |status: &str| json!({"id": {"S": "a"}, "status": {"S": status}, "tags": {"SS": ["x", "y"]}});
    let other = json!({"tags": {"SS": ["y", "x"]}, "status": {"S": "open"}, "id": {"S": "a"}, "note": {"S": "new"}});
    [
        modified(0, &status("open"), &status("paid")),
        modified(1, &status("open"), &status("open")),
        modified(2, &status("open"), &other),
        modified(3, &status("open"), &json!({"id": {"S": "a"}})),
        modified(4, &json!({"id": {"S": "a"}}), &json!({"id": {"S": "a"}})),
        change(5, "b", 0),
    ]
}

#[tokio::test(start_paused = true)]
async fn only_changes_of_the_attributes_reach_the_handler() {
    let processor = StreamProcessor::builder()
        .on_modify(when_changed(["status", "tags"], |_: Modify<IgnoredAny>| async { Ok(()) }))
        .on_insert(|_: Insert<IgnoredAny>| async { Ok(()) })
        .build()
        .unwrap();
    let report = process(&processor, &changes()).await;
    assert_eq!(outcomes(&report), [Succeeded, UNCHANGED, UNCHANGED, Succeeded, UNCHANGED, Succeeded]);
    assert_eq!(report.counts().skipped, 3);
    assert_eq!(report.records()[1].attempts, 0);
}

#[tokio::test(start_paused = true)]
async fn inserts_and_removals_always_pass() {
    let processor = StreamProcessor::builder()
        .on_change(when_changed(["status"], |_: Change<IgnoredAny>| async { Ok(()) }))
        .build()
        .unwrap();
    let removed = change(9, "c", 1).with("/eventName", "REMOVE").without("/dynamodb/NewImage");
    let report = process(&processor, &[changes()[1].clone(), changes()[5].clone(), removed]).await;
    assert_eq!(outcomes(&report), [UNCHANGED, Succeeded, Succeeded]);
}

#[tokio::test(start_paused = true)]
async fn it_goes_around_bulks_functions_with_clients_and_itself() {
    let sizes = Arc::new(Mutex::new(Vec::new()));
    async fn take(sizes: Arc<Mutex<Vec<usize>>>, changes: Vec<Modify<IgnoredAny>>) -> BulkFailures {
        sizes.lock().unwrap().push(changes.len());
        BulkFailures::new()
    }
    let handler = when_changed(["status", "note"], bulk(with(Arc::clone(&sizes), take)));
    let processor = StreamProcessor::builder().on_modify(handler).build().unwrap();
    let report = process(&processor, &changes()[..5]).await;
    assert_eq!(*sizes.lock().unwrap(), [3], "what has not changed enters no bulk");
    assert_eq!(outcomes(&report), [Succeeded, UNCHANGED, Succeeded, Succeeded, UNCHANGED]);

    let both = when_changed(["note"], when_changed(["status"], |_: Modify<IgnoredAny>| async { Ok(()) }));
    let processor = StreamProcessor::builder().on_modify(both).build().unwrap();
    let report = process(&processor, &changes()[..4]).await;
    assert_eq!(outcomes(&report), [UNCHANGED; 4], "both conditions must hold");
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_both_images_fails_the_record_and_names_its_view_type() {
    let processor = StreamProcessor::builder()
        .on_change(when_changed(["status"], |_: Change<IgnoredAny>| async { Ok(()) }))
        .dead_letter_queue(lambda_streams::MemoryDeadLetterQueue::new())
        .build()
        .unwrap();
    let new_image = changes()[1].clone().without("/dynamodb/OldImage").with("/dynamodb/StreamViewType", "NEW_IMAGE");
    let malformed = changes()[2].clone().with("/dynamodb/NewImage/status", json!("open"));
    let report = process(&processor, &[new_image, malformed]).await;
    assert_eq!(outcomes(&report), [DeadLettered; 2], "never skipped");
    let failures: Vec<_> = report.records().iter().map(|record| record.failure.as_ref().unwrap()).collect();
    assert!(failures.iter().all(|failure| failure.kind == ErrorKind::Decode));
    assert!(failures[0].message.contains("NEW_IMAGE") && failures[0].message.contains("OldImage"), "{}", failures[0]);
    assert!(failures[1].message.contains("NewImage.status"), "{}", failures[1]);
}

#[test]
fn naming_no_attribute_is_refused() {
    let handler = |_: Modify<IgnoredAny>| async { Ok::<(), HandlerError>(()) };
    let error = StreamProcessor::builder().on_modify(when_changed(Vec::<String>::new(), handler)).build().unwrap_err();
    assert_eq!(
        error.to_string(),
        "`when_changed` names no attribute, so its handler would never be called for a modification"
    );
}

#[test]
fn a_condition_shows_its_attributes() {
    let condition = when_changed(["status", "total"], |_: Modify<Value>| async { Ok::<(), HandlerError>(()) });
    assert_eq!(format!("{condition:?}"), r#"WhenChanged { attributes: ["status", "total"], .. }"#);
}
