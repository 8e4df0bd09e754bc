//! Failures of SQS: what is refused, what is resent, and that the other letters get through.

use std::error::Error;
use std::time::Duration;

use futures::FutureExt;
use lambda_streams::DeadLetterQueue;
use serde_json::json;
use tokio::time::Instant;

use super::{FIFO_URL, URL, all_accepted, letters, queue, scripted, send};
use crate::support::letters::{letter, noise, record};
use crate::support::ministack::free_port;
use crate::support::sqs_server::{Answer, Script, SqsServer};
use crate::support::sqs_transport::client;

#[tokio::test]
async fn only_transient_failures_are_resent() {
    let script = Script::batches(|call, earlier| {
        Answer::batch(call, |entry| match (entry["Id"].as_str(), earlier) {
            (Some("1"), 0) => Some(("RequestThrottled", true)),
            (Some("3"), 0) => Some(("InternalError", false)),
            (Some("0"), 1) => Some(("KmsThrottled", false)),
            _ => None,
        })
    });
    let server = SqsServer::start(script.clone()).await;
    let letters = letters(5);
    assert!(all_accepted(&send(&queue(client(&server.endpoint), URL), &letters).await));
    let calls = script.batch_calls();
    let bodies = |call: usize| -> Vec<_> { calls[call].entries().iter().map(|entry| &entry["MessageBody"]).collect() };
    assert_eq!(calls.len(), 3);
    assert_eq!(calls[0].ids(), ["0", "1", "2", "3", "4"]);
    assert_eq!(bodies(1), [bodies(0)[1], bodies(0)[3]]);
    assert_eq!(bodies(2), [bodies(0)[1]]);
}

#[tokio::test]
async fn permanent_failures_are_refused_at_once_and_alone() {
    let script = Script::batches(|call, _| {
        Answer::batch(call, |entry| match entry["Id"].as_str() {
            Some("0") => Some(("InvalidMessageContents", true)),
            Some("2") => Some(("KmsAccessDenied", false)),
            _ => None,
        })
    });
    let server = SqsServer::start(script.clone()).await;
    let answers = send(&queue(client(&server.endpoint), URL), &letters(4)).await;
    assert_eq!(answers[0].as_deref(), Some(&*format!("{URL} refused the dead letter with InvalidMessageContents")));
    let advice = "grant the function kms:GenerateDataKey and kms:Decrypt on the queue's key";
    assert_eq!(answers[2].as_deref(), Some(&*format!("{URL} refused the dead letter with KmsAccessDenied: {advice}")));
    assert_eq!((&answers[1], &answers[3]), (&None, &None));
    assert_eq!(script.batch_calls().len(), 1);
}

#[tokio::test]
async fn an_unmentioned_entry_is_not_accepted() {
    for text in [r#"{"Successful":[{"Id":"1","MessageId":"1","MD5OfMessageBody":"0"}],"Failed":[]}"#, "{}"] {
        let script = Script::batches(move |_, _| Answer::Http(200, text.to_owned()));
        let server = SqsServer::start(script.clone()).await;
        let answers = send(&queue(client(&server.endpoint), URL), &letters(2)).await;
        let expected = format!("{URL} did not mention the dead letter in its answer, so it does not count as accepted");
        assert_eq!(answers[0].as_ref(), Some(&expected));
        assert_eq!(answers[1].is_none(), text.len() > 2);
        assert_eq!(script.batch_calls().len(), 1);
    }
}

#[tokio::test]
async fn a_contradictory_entry_is_not_accepted() {
    let text = r#"{"Successful":[{"Id":"0","MessageId":"1","MD5OfMessageBody":"0"},{"Id":"9","MessageId":"1","MD5OfMessageBody":"0"}],
                   "Failed":[{"Id":"0","Code":"Odd","SenderFault":true}]}"#;
    let script = Script::batches(move |_, _| Answer::Http(200, text.to_owned()));
    let answers = send(&scripted(&script, URL), &letters(1)).await;
    assert_eq!(answers[0].as_deref(), Some(&*format!("{URL} refused the dead letter with Odd")));
}

#[tokio::test]
async fn a_throttled_request_is_resent() {
    let script = Script::new(|call, earlier| match (call.operation.as_str(), earlier) {
        (_, 0) => Answer::error(403, "RequestThrottled"),
        ("GetQueueAttributes", _) => Answer::limit(2048),
        (_, 1) => Answer::error(503, "ServiceUnavailable"),
        _ => Answer::batch(call, |_| None),
    });
    let server = SqsServer::start(script.clone()).await;
    assert!(all_accepted(&send(&queue(client(&server.endpoint), URL), &letters(1)).await));
    assert_eq!((script.calls("GetQueueAttributes").len(), script.batch_calls().len()), (2, 3));
}

#[tokio::test(start_paused = true)]
async fn a_garbled_response_accepts_nothing() {
    for (text, attempts) in [("", 1), ("<html>", 4), (r#"{"Successful": 7}"#, 4), (r#"{"Successful": [{"Id"#, 4)] {
        let script = Script::batches(move |_, _| Answer::Http(200, text.to_owned()));
        let answers = send(&scripted(&script, URL), &letters(3)).await;
        for answer in answers {
            let error = answer.expect("garbage accepts nothing");
            assert!(error.starts_with(URL) && error.contains("dead letter"), "{error}");
        }
        assert_eq!(script.batch_calls().len(), attempts, "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn backoff_has_full_jitter_and_ends_after_four_attempts() {
    fastrand::seed(7);
    let (mut least, mut most) = (Duration::MAX, Duration::ZERO);
    for _ in 0..60 {
        let script = Script::batches(|call, _| Answer::batch(call, |_| Some(("RequestThrottled", false))));
        let queue = scripted(&script, URL);
        let start = Instant::now();
        let answers = send(&queue, &letters(2)).await;
        assert_eq!(answers[1].as_deref(), Some(&*format!("{URL} refused the dead letter with RequestThrottled")));
        assert_eq!(script.batch_calls().len(), 4);
        (least, most) = (least.min(start.elapsed()), most.max(start.elapsed()));
    }
    // Uniform up to 100, 200 and 400 ms: of sixty sums of the three, some are below their mean and some above.
    assert!(least < Duration::from_millis(350) && most > Duration::from_millis(350), "{least:?}..{most:?}");
    assert!(most <= Duration::from_millis(703), "{most:?}");
}

#[tokio::test]
async fn the_queue_is_asked_for_its_limit_once() {
    let script = Script::batches(|call, _| Answer::batch(call, |_| None));
    let queue = scripted(&script, URL);
    let letters = letters(2);
    let (first, second) = futures::join!(send(&queue, &letters[..1]), send(&queue, &letters[1..]));
    assert!(all_accepted(&first) && all_accepted(&second) && all_accepted(&send(&queue, &letters).await));
    assert_eq!((script.calls("GetQueueAttributes").len(), script.batch_calls().len()), (1, 3));
}

#[tokio::test]
async fn the_limit_is_one_mebibyte_without_permission_to_ask() {
    for code in ["AccessDenied", "AccessDeniedException"] {
        let script = Script::new(move |call, _| match call.operation.as_str() {
            "GetQueueAttributes" => Answer::error(403, code),
            _ => Answer::batch(call, |_| None),
        });
        let queue = scripted(&script, URL);
        assert!(all_accepted(&send(&queue, &letters(1)).await));
        assert!(all_accepted(&send(&queue, &letters(1)).await));
        assert_eq!((script.calls("GetQueueAttributes").len(), script.batch_calls().len()), (1, 2));
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_limit_query_refuses_letters_and_is_repeated() {
    let script = Script::new(|call, earlier| match (call.operation.as_str(), earlier) {
        ("GetQueueAttributes", 0) => Answer::error(400, "QueueDoesNotExist"),
        ("GetQueueAttributes", _) => Answer::limit(1024 * 1024),
        _ => Answer::batch(call, |_| None),
    });
    let queue = scripted(&script, URL);
    let error = send(&queue, &letters(2)).await[1].clone().expect("the queue does not exist");
    assert!(error.contains("QueueDoesNotExist (no): check that the queue exists in the region"), "{error}");
    let error = send(&queue, &letters(2)).await[1].clone().expect("this is remembered");
    assert!(error.contains("because an earlier one failed less than 10 s ago: "), "{error}");
    assert_eq!((script.calls("GetQueueAttributes").len(), script.batch_calls().len()), (1, 0));
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(all_accepted(&send(&queue, &letters(2)).await));
}

#[tokio::test]
async fn an_unreachable_server_accepts_nothing() {
    let endpoint = format!("http://127.0.0.1:{}", free_port());
    for answer in send(&queue(client(&endpoint), URL), &letters(3)).await {
        let error = answer.expect("no server is listening");
        assert!(error.starts_with(&format!("{URL} gave no answer")) && error.contains("refused"), "{error}");
    }
}

/// A refusal as an emulator words it whose requests may have this many bytes in total.
fn too_long(limit: usize) -> Answer {
    let message = format!("Batch requests cannot be longer than {limit} bytes. You have sent more bytes.");
    let error = json!({"__type": "com.amazonaws.sqs#BatchRequestTooLong", "message": message});
    Answer::Http(400, error.to_string())
}

/// Accepts requests whose bodies have at most this many bytes in total.
fn with_request_limit(limit: usize) -> Script {
    Script::batches(move |call, _| {
        let bytes: usize = call.entries().iter().map(|entry| entry["MessageBody"].as_str().map_or(0, str::len)).sum();
        if bytes > limit { too_long(limit) } else { Answer::batch(call, |_| None) }
    })
}

#[tokio::test]
async fn a_request_that_is_too_long_is_sent_in_parts() {
    const LIMIT: usize = 262_144;
    for url in [URL, FIFO_URL] {
        let script = with_request_limit(LIMIT);
        let letters: Vec<_> = (0..7).map(|n| letter(&record("orders", &n.to_string(), n, &noise(120_000)))).collect();
        assert!(all_accepted(&send(&scripted(&script, url), &letters).await));
        let calls = script.batch_calls();
        let sizes: Vec<usize> = calls.iter().map(|call| call.entries().len()).collect();
        assert_eq!(sizes, [7, 3, 1, 2, 4, 2, 2], "in halves, the first one first");
    }
}

#[tokio::test]
async fn a_single_letter_that_is_too_long_is_compressed_or_measured() {
    let script = with_request_limit(10_000);
    let compressible = letter(&record("orders", "a", 1, &"x".repeat(20_000)));
    let noisy = letter(&record("orders", "b", 2, &noise(20_000)));
    let small = letter(&record("orders", "c", 3, "x"));
    let answers = send(&scripted(&script, URL), &[compressible, noisy, small]).await;
    assert_eq!((&answers[0], &answers[2]), (&None, &None));
    let error = answers[1].as_deref().expect("it does not fit");
    assert!(
        error.contains("bytes too large for the queue") && error.contains("the queue takes at most 10000"),
        "{error}"
    );
}

#[tokio::test]
async fn an_entry_that_is_too_long_is_compressed() {
    let reason = "One or more parameters are invalid. Reason: Message must be shorter than 4096 bytes.";
    let script = Script::batches(move |call, _| {
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for entry in call.entries() {
            if entry["MessageBody"].as_str().map_or(0, str::len) > 4096 {
                failed.push(
                    json!({"Id": entry["Id"], "Code": "InvalidParameterValue", "SenderFault": true, "Message": reason}),
                );
            } else {
                successful.push(json!({"Id": entry["Id"], "MessageId": "1", "MD5OfMessageBody": "0"}));
            }
        }
        Answer::Http(200, json!({"Successful": successful, "Failed": failed}).to_string())
    });
    let letters = [
        letter(&record("orders", "a", 1, "x")),
        letter(&record("orders", "b", 2, &"x".repeat(20_000))),
        letter(&record("orders", "c", 3, &noise(20_000))),
    ];
    let answers = send(&scripted(&script, URL), &letters).await;
    assert_eq!((&answers[0], &answers[1]), (&None, &None));
    assert!(answers[2].as_deref().is_some_and(|error| error.contains("the queue takes at most 4096")), "{answers:?}");
}

#[tokio::test]
async fn a_dropped_call_does_not_affect_the_next() -> Result<(), Box<dyn Error>> {
    for silent in ["GetQueueAttributes", "SendMessageBatch"] {
        let script = Script::new(move |call, earlier| match call.operation.as_str() {
            operation if operation == silent && earlier == 0 => Answer::Silence,
            "GetQueueAttributes" => Answer::limit(1024 * 1024),
            _ => Answer::batch(call, |_| None),
        });
        let queue = scripted(&script, URL);
        let letters = letters(1);
        assert!(queue.send(&letters).now_or_never().is_none(), "{silent} is not answered");
        assert_eq!(script.calls(silent).len(), 1);
        assert!(all_accepted(&send(&queue, &letters).await));
    }
    Ok(())
}
