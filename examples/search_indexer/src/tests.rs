//! The run as a user makes it, that its check can fail, that its filter is the processor's, and how much of it is not business.

use serde_json::json;

use super::*;

#[tokio::test]
async fn the_index_has_what_the_table_holds_and_a_difference_is_reported() {
    let check = run().await.expect("the run ends");
    println!("{check}");
    assert!(check.holds(), "{check}");
    let (deliveries, log) = (&check.deliveries, &check.log);
    assert!(deliveries.killed > 0 && deliveries.environments >= 2, "the world was kind: {check}");
    let troubles = [log.failed_requests, log.done_unanswered, log.throttled, log.conflicts, log.unfit];
    assert!(troubles.iter().all(|trouble| *trouble > 0), "the world was kind: {check}");
    assert!(log.largest > 50, "bulks are not filled: {check}");
    // A session begins and ends.
    assert_eq!(deliveries.summary.filtered, 2 * check.written.sessions, "{check}");

    type Break = fn(&mut Check);
    let breaks: [(&str, Break); 7] = [
        ("a document is lost", |check| check.log.set("orders", "order-01-1", None)),
        ("a document is old", |check| check.log.set("lines", "order-01-1/0", Some(json!({"id": "order-01-1/0"})))),
        ("a deleted document is back", |check| {
            check.log.set("orders", "order-03-3", Some(json!({"id": "order-03-3"})))
        }),
        ("a session was indexed", |check| check.log.set("sessions", "session-01", Some(json!({})))),
        ("the poison order is lost", |check| check.letters.clear()),
        ("the poison order is in the index", |check| check.log.set("orders", "order-17-3", Some(json!({})))),
        ("the engine was asked for too much", |check| check.log.violations.push("101 actions".to_owned())),
    ];
    for (what, breaks) in breaks {
        let mut check = check.clone();
        breaks(&mut check);
        assert!(!check.holds(), "{what}: {check}");
    }
}

/// The construct deploys this file (`filterFile`), and the mapping of this example drops by it. If the processor has changed, write
/// the left side into the file.
#[test]
fn the_filter_is_the_processors_own() {
    let search = Search { http: reqwest::Client::new(), url: String::new() };
    let processor = processor(&search, MemoryDeadLetterQueue::new()).expect("it is whole");
    assert_eq!(processor.filter_criteria().as_deref(), Some(FILTER.trim_end()));
}

/// Counted are the lines of `main.rs` that are neither empty nor comments: imports, `main` and its setup. The business is in
/// `handler.rs`, and the other files are the world, which a function on Lambda does not bring along.
#[test]
fn at_most_40_lines_are_not_business() {
    let count = example_world::lines_of_code(include_str!("main.rs"));
    println!("{count} lines are not business");
    assert!(count <= 40, "{count}");
}
