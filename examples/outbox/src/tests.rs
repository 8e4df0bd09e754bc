//! The run as a user makes it, that its check can fail, and how much of it is not business.

use super::*;

#[tokio::test]
async fn every_event_arrives_in_order_and_a_wrong_one_is_reported() {
    let check = run().await.expect("the run ends");
    println!("{check}");
    assert!(check.holds(), "{check}");
    assert!(check.deliveries.killed > 0 && check.log.failed_requests > 0, "the world was kind: {check}");

    type Break = fn(&mut Check);
    let breaks: [(&str, Break); 6] = [
        ("an event is lost", |check| check.log.arrivals.retain(|resources| resources[0] != "order-03/7")),
        ("two events are swapped", |check| check.log.arrivals.reverse()),
        ("an event comes from nowhere", |check| check.log.arrivals.push(vec!["order-99/1".to_owned()])),
        ("the malformed event is lost", |check| check.letters.clear()),
        ("the malformed event arrives", |check| check.log.arrivals.push(vec!["order-17/5".to_owned()])),
        ("the bus was asked for too much", |check| check.log.violations.push("11 entries".to_owned())),
    ];
    for (what, breaks) in breaks {
        let mut check = check.clone();
        breaks(&mut check);
        assert!(!check.holds(), "{what}: {check}");
    }
}

/// Counted are the lines of `main.rs` that are neither empty nor comments: imports, `main` and its setup. The business is in
/// `handler.rs`, and the other files are the world, which a function on Lambda does not bring along.
#[test]
fn at_most_40_lines_are_not_business() {
    let count = example_world::lines_of_code(include_str!("main.rs"));
    println!("{count} lines are not business");
    assert!(count <= 40, "{count}");
}
