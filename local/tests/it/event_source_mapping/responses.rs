//! What each response means, row by row, also the rows that lose data on AWS.

use lambda_streams_local::{Response, Settings, WarningKind};

use super::support::{Scripted, failures, partial, records, run, source};

/// What the mapping sends after this first response to a batch of the records 1, 2 and 3.
async fn after(settings: Settings, response: &str) -> (Vec<Vec<u64>>, Vec<WarningKind>) {
    let function = Scripted::new([Response::Returned(response.to_owned())]);
    let ran = run(settings, source(records(3)), &function).await;
    assert_eq!(ran.summary.done, 3, "{response}");
    (function.batches()[1..].to_vec(), ran.warnings())
}

#[tokio::test(start_paused = true)]
async fn an_empty_response_is_a_success() {
    for response in ["[]", "null", "{}", r#"{"batchItemFailures":[]}"#, r#"{"batchItemFailures":null}"#] {
        assert_eq!(after(partial(), response).await, (vec![], vec![]), "{response}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_misspelled_response_is_a_success_and_warned_of() {
    for response in [
        r#"{"batchItemFailure":[{"itemIdentifier":"2"}]}"#,
        r#"{"BatchItemFailures":[{"itemIdentifier":"2"}]}"#,
        r#"{"statusCode":500}"#,
        r#""processed""#,
        "false",
        r#"[{"itemIdentifier":"2"}]"#,
    ] {
        assert_eq!(after(partial(), response).await, (vec![], vec![WarningKind::ResponseNotUnderstood]), "{response}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_identifier_fails_the_whole_batch() {
    for response in [
        r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#,
        r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#,
        r#"{"batchItemFailures":[{"itemIdentifier":2}]}"#,
        r#"{"batchItemFailures":[{"itemidentifier":"2"}]}"#,
        r#"{"batchItemFailures":["2"]}"#,
        r#"{"batchItemFailures":[{"itemIdentifier":"9"}]}"#,
        r#"{"batchItemFailures":[{"itemIdentifier":"3"},{"itemIdentifier":""}]}"#,
        r#"{"batchItemFailures":"2"}"#,
    ] {
        assert_eq!(after(partial(), response).await, (vec![vec![1, 2, 3]], vec![]), "{response}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_lowest_identifier_is_the_checkpoint() {
    for (response, rest) in [(&[2][..], vec![2, 3]), (&[3, 2], vec![2, 3]), (&[3], vec![3]), (&[1, 3], vec![1, 2, 3])] {
        let function = Scripted::new([failures(response)]);
        let ran = run(partial(), source(records(3)), &function).await;
        assert_eq!(function.batches(), [vec![1, 2, 3], rest], "{response:?}");
        assert_eq!((ran.summary.done, ran.summary.partial_responses), (3, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn an_ignored_response_is_warned_of() {
    let off = Settings { report_batch_item_failures: false, ..partial() };
    let lost = r#"{"batchItemFailures":[{"itemIdentifier":"2"}]}"#;
    assert_eq!(after(off.clone(), lost).await, (vec![], vec![WarningKind::ResponseIgnored]));
    for response in ["null", "not even JSON", r#"{"batchItemFailures":[]}"#, r#""done""#] {
        assert_eq!(after(off.clone(), response).await, (vec![], vec![]), "{response}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_repeated_sequence_number_means_the_first() {
    let mut records = records(3);
    records[2] = records[1].clone();
    let function = Scripted::new([failures(&[2])]);
    let ran = run(partial(), source(records), &function).await;
    assert_eq!(function.batches(), [vec![1, 2, 2], vec![2, 2]]);
    assert_eq!(ran.summary.done, 3);
}
