//! The run as a user makes it, that its check can fail, and how much of it is not business.

use super::*;

#[tokio::test]
async fn totals_are_exact_and_a_wrong_one_is_reported() {
    let check = run().await.expect("the run ends");
    println!("{check}");
    assert!(check.holds(), "{check}");
    assert!(check.deliveries.killed > 0 && check.poison == 1, "the world was kind: {check}");

    type Break = fn(&mut Check);
    let breaks: [(&str, Break); 5] = [
        ("a cent too much", |check| check.totals.values_mut().for_each(|(cents, _)| *cents += 1)),
        ("a total is lost", |check| drop(check.totals.pop_first())),
        ("a total of nothing", |check| _ = check.totals.insert(("nobody".to_owned(), "-".to_owned()), (1, 1))),
        ("a change is added twice", |check| check.guards += 1),
        ("the order without a customer is lost", |check| check.letters.clear()),
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
