//! FIFO queues: groups, deduplication, and no letter that overtakes an earlier one of its item.

use lambda_streams::DeadLetter;
use serde_json::{Value, json};

use super::{FIFO_URL, all_accepted, scripted, send};
use crate::support::letters::{letter, noise, record};
use crate::support::sqs_server::{Answer, Script};

/// The letter of one change of one item.
fn change(item: &str, position: u64) -> DeadLetter {
    letter(&record("orders", item, position, "x"))
}

fn event_ids(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["MessageDeduplicationId"].as_str().expect("a FIFO entry has one")).collect()
}

#[tokio::test]
async fn letters_group_by_item_and_deduplicate_by_event_id() {
    let script = Script::batches(|call, _| Answer::batch(call, |_| None));
    let letters = [change("a", 1), change("b", 2)];
    assert!(all_accepted(&send(&scripted(&script, FIFO_URL), &letters).await));
    let calls = script.batch_calls();
    assert_eq!(event_ids(calls[0].entries()), ["orders-a-1", "orders-b-2"]);
    for (entry, letter) in calls[0].entries().iter().zip(&letters) {
        assert_eq!(entry["MessageGroupId"], letter.group_id());
    }
}

#[tokio::test]
async fn letters_without_event_id_deduplicate_by_place_or_bytes() {
    let place = json!({"eventSourceARN": "arn:x", "dynamodb": {"SequenceNumber": "111"}});
    let named = |id: &str| {
        let mut record = place.clone();
        record["eventID"] = id.into();
        letter(&record.to_string())
    };
    let letters =
        [letter(&place.to_string()), named("two words"), named(&"x".repeat(129)), letter("null"), letter("[]")];
    let script = Script::batches(|call, _| Answer::batch(call, |_| None));
    assert!(all_accepted(&send(&scripted(&script, FIFO_URL), &letters).await));
    let ids: Vec<String> = script
        .batch_calls()
        .iter()
        .flat_map(|call| event_ids(call.entries()).into_iter().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    assert_eq!(ids[0], "arn:x/111");
    let hashes: std::collections::HashSet<_> = ids[1..].iter().collect();
    assert!(hashes.len() == 4 && hashes.iter().all(|id| id.len() == 32), "{ids:?}");
}

#[tokio::test]
async fn letters_of_one_item_never_share_a_request() {
    let script = Script::batches(|call, _| Answer::batch(call, |_| None));
    let letters = [change("a", 1), change("b", 2), change("a", 3), change("c", 4), change("a", 5)];
    assert!(all_accepted(&send(&scripted(&script, FIFO_URL), &letters).await));
    let calls = script.batch_calls();
    let sent: Vec<_> = calls.iter().map(|call| event_ids(call.entries())).collect();
    assert_eq!(sent, [vec!["orders-a-1", "orders-b-2"], vec!["orders-a-3", "orders-c-4"], vec!["orders-a-5"]]);
}

#[tokio::test]
async fn a_refused_letter_blocks_later_ones_of_its_item() {
    let script = Script::batches(|call, _| {
        Answer::batch(call, |entry| (entry["MessageDeduplicationId"] == "orders-a-1").then_some(("Odd", true)))
    });
    let too_large = letter(&record("orders", "b", 2, &noise(3 * 1024 * 1024)));
    let letters = [change("b", 0), change("a", 1), too_large, change("a", 3), change("b", 4), change("c", 5)];
    let answers = send(&scripted(&script, FIFO_URL), &letters).await;
    assert_eq!((&answers[0], &answers[5]), (&None, &None));
    assert!(answers[1].as_deref().is_some_and(|error| error.ends_with("Odd")), "{answers:?}");
    assert!(answers[2].as_deref().is_some_and(|error| error.contains("too large")), "{answers:?}");
    for later in [&answers[3], &answers[4]] {
        assert_eq!(later.as_deref(), Some("an earlier dead letter of the same item was not accepted"));
    }
    let sent: Vec<_> = script.batch_calls().iter().map(|call| call.entries().len()).collect();
    assert_eq!(sent, [2, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_resent_letter_is_not_overtaken() {
    let script = Script::batches(|call, earlier| {
        Answer::batch(call, |entry| {
            (earlier == 0 && entry["MessageDeduplicationId"] == "orders-a-1").then_some(("RequestThrottled", false))
        })
    });
    let letters = [change("a", 1), change("b", 2), change("a", 3)];
    assert!(all_accepted(&send(&scripted(&script, FIFO_URL), &letters).await));
    let calls = script.batch_calls();
    let sent: Vec<_> = calls.iter().map(|call| event_ids(call.entries())).collect();
    assert_eq!(sent, [vec!["orders-a-1", "orders-b-2"], vec!["orders-a-1"], vec!["orders-a-3"]]);
}
