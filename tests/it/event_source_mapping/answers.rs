//! The answer table, row by row, also the rows that lose data on AWS.

use lambda_streams::local::{Answer, Settings, WarningKind};

use super::support::{Scripted, failures, partial, records, run, source};

/// What the mapping sends after this first answer to a batch of the records 1, 2 and 3.
async fn after(settings: Settings, answer: &str) -> (Vec<Vec<u64>>, Vec<WarningKind>) {
    let target = Scripted::new([Answer::Returned(answer.to_owned())]);
    let ran = run(settings, source(records(3)), &target).await;
    assert_eq!(ran.summary.done, 3, "{answer}");
    (target.batches()[1..].to_vec(), ran.warnings())
}

#[tokio::test(start_paused = true)]
async fn an_empty_answer_is_a_success() {
    for answer in ["[]", "null", "{}", r#"{"batchItemFailures":[]}"#, r#"{"batchItemFailures":null}"#] {
        assert_eq!(after(partial(), answer).await, (vec![], vec![]), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_with_another_or_misspelt_key_is_a_success_and_warned_of() {
    for answer in [
        r#"{"batchItemFailure":[{"itemIdentifier":"2"}]}"#,
        r#"{"BatchItemFailures":[{"itemIdentifier":"2"}]}"#,
        r#"{"statusCode":500}"#,
        r#""processed""#,
        "false",
        r#"[{"itemIdentifier":"2"}]"#,
    ] {
        assert_eq!(after(partial(), answer).await, (vec![], vec![WarningKind::AnswerNotUnderstood]), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_identifier_that_is_none_fails_the_whole_batch() {
    for answer in [
        r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#,
        r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#,
        r#"{"batchItemFailures":[{"itemIdentifier":2}]}"#,
        r#"{"batchItemFailures":[{"itemidentifier":"2"}]}"#,
        r#"{"batchItemFailures":["2"]}"#,
        r#"{"batchItemFailures":[{"itemIdentifier":"9"}]}"#,
        r#"{"batchItemFailures":[{"itemIdentifier":"3"},{"itemIdentifier":""}]}"#,
        r#"{"batchItemFailures":"2"}"#,
    ] {
        assert_eq!(after(partial(), answer).await, (vec![vec![1, 2, 3]], vec![]), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_lowest_identifier_is_the_checkpoint_and_all_from_there_comes_again() {
    for (answer, rest) in [(&[2][..], vec![2, 3]), (&[3, 2], vec![2, 3]), (&[3], vec![3]), (&[1, 3], vec![1, 2, 3])] {
        let target = Scripted::new([failures(answer)]);
        let ran = run(partial(), source(records(3)), &target).await;
        assert_eq!(target.batches(), [vec![1, 2, 3], rest], "{answer:?}");
        assert_eq!((ran.summary.done, ran.summary.partial_responses), (3, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_feature_the_answer_is_ignored_and_what_it_loses_warned_of() {
    let off = Settings { report_batch_item_failures: false, ..partial() };
    let lost = r#"{"batchItemFailures":[{"itemIdentifier":"2"}]}"#;
    assert_eq!(after(off.clone(), lost).await, (vec![], vec![WarningKind::AnswerIgnored]));
    for answer in ["null", "not even JSON", r#"{"batchItemFailures":[]}"#, r#""done""#] {
        assert_eq!(after(off.clone(), answer).await, (vec![], vec![]), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_repeated_sequence_number_the_first_is_meant() {
    let mut records = records(3);
    records[2] = records[1].clone();
    let target = Scripted::new([failures(&[2])]);
    let ran = run(partial(), source(records), &target).await;
    assert_eq!(target.batches(), [vec![1, 2, 2], vec![2, 2]]);
    assert_eq!(ran.summary.done, 3);
}
