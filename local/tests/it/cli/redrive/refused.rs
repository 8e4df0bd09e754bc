//! A queue that refuses, and a function that cannot say what is done.

use serde_json::json;

use super::*;

fn error(code: &str, message: &str) -> (u16, Value) {
    (400, json!({"__type": format!("com.amazonaws.sqs#{code}"), "message": message}))
}

#[tokio::test]
async fn a_queue_that_cannot_be_used_is_one_line_with_advice_and_exit_code_2() {
    let table = [
        ("GetQueueAttributes", "QueueDoesNotExist", "check its name, the region, the account and the endpoint"),
        ("ReceiveMessage", "AccessDenied", "allow sqs:ReceiveMessage on it for your identity"),
        ("ReceiveMessage", "KmsAccessDenied", "it is encrypted with a KMS key: allow kms:Decrypt on that key"),
        (
            "ReceiveMessage",
            "KMS.AccessDeniedException",
            "it is encrypted with a KMS key: allow kms:Decrypt on that key",
        ),
        (
            "ReceiveMessage",
            "KmsDisabled",
            "it is encrypted with a KMS key that cannot be used: check the state of the key",
        ),
    ];
    for (operation, code, advice) in table {
        let server = FakeServer::start([letter(1, "a")]).await;
        server.on_call(move |called, _| (called == operation).then(|| error(code, "No.")));
        let ended = Redrive::new("denied", &server, &["--quiet"]).run().await;
        assert_eq!(ended.ran.code, Some(2), "{code}: {}", ended.ran.stderr);
        let line = format!("error: {}: {code}: No (400): {advice}", server.url("dead-letters"));
        assert!(ended.ran.stderr.starts_with(&line), "{line}: {}", ended.ran.stderr);
        assert_eq!((ended.ran.stderr.lines().count(), ended.ran.stdout.as_str()), (1, ""), "{}", ended.ran.stderr);
        assert_eq!(ended.left, ["e1"]);
    }
}

#[tokio::test]
async fn a_queue_that_does_not_show_its_attributes_is_redriven_anyway() {
    let server = FakeServer::start(shuffled(3)).await;
    server.on_call(|called, _| (called == "GetQueueAttributes").then(|| error("AccessDenied", "No.")));
    let ended = Redrive::new("untold", &server, &[]).run().await;
    assert_eq!(ended.ran.code, Some(0), "{}{}", ended.ran.stdout, ended.ran.stderr);
    assert!(ended.ran.stderr.contains("which does not say how many messages it has"), "{}", ended.ran.stderr);
}

#[tokio::test]
async fn throttled_calls_and_entries_are_repeated() {
    let server = FakeServer::start(shuffled(3)).await;
    let (queue, counted) = (server.clone(), std::sync::Mutex::new(std::collections::HashMap::<String, usize>::new()));
    server.on_call(move |called, input| {
        let mut counted = counted.lock().expect("no test panics with it");
        let times = counted.entry(called.to_owned()).or_default();
        *times += 1;
        match (called, *times) {
            ("ReceiveMessage", 1) => Some(error("RequestThrottled", "Slow down.")),
            ("DeleteMessageBatch", 1) => {
                let entries = input["Entries"].as_array().expect("entries");
                let mut answer = queue.good_answer(called, &json!({"Entries": entries[1..]}));
                answer["Failed"] = json!([{"Id": entries[0]["Id"], "Code": "InternalError", "SenderFault": false}]);
                Some((200, answer))
            }
            _ => None,
        }
    });
    let ended = Redrive::new("throttled", &server, &[]).run().await;
    assert_eq!(ended.ran.code, Some(0), "{}{}", ended.ran.stdout, ended.ran.stderr);
    let sizes: Vec<usize> = server
        .calls("DeleteMessageBatch")
        .iter()
        .map(|call| call["Entries"].as_array().expect("entries").len())
        .collect();
    assert_eq!(sizes, [3, 1], "only what failed is deleted again");
}

#[tokio::test]
async fn a_letter_that_is_done_and_cannot_be_deleted_is_told() {
    let server = FakeServer::start([letter(1, "a"), letter(2, "b")]).await;
    let thief = server.clone();
    server.on_call(move |called, _| {
        if called == "DeleteMessageBatch" {
            thief.steal(2);
        }
        None
    });
    let ended = Redrive::new("undeleted", &server, &[]).run().await;
    assert_eq!(ended.ran.code, Some(1), "{}{}", ended.ran.stdout, ended.ran.stderr);
    let expected = "done and still in the queue: 1\n  event e2, sequence 2: ReceiptHandleIsInvalid\n";
    assert!(ended.ran.stdout.contains(expected), "{}", ended.ran.stdout);
    assert_eq!(ended.left, ["e2"]);
}

#[tokio::test]
async fn without_the_permission_to_delete_the_run_ends_and_says_so() {
    let server = FakeServer::start(shuffled(25)).await;
    server.on_call(|called, _| (called == "DeleteMessageBatch").then(|| error("AccessDenied", "No.")));
    let ended = Redrive::new("undeletable", &server, &[]).run().await;
    assert_eq!((ended.ran.code, ended.calls.len(), ended.left.len()), (Some(1), 1, 25), "{}", ended.ran.stdout);
    let last = ended.ran.stderr.lines().last().expect("a line");
    assert!(
        last.starts_with("error: 10 dead letters done, but not deleted: ")
            && last.ends_with("allow sqs:DeleteMessage on it for your identity"),
        "{last}"
    );
}

#[tokio::test]
async fn a_function_that_is_not_the_processor_of_the_letters_is_told() {
    let server = FakeServer::start([letter(1, "a")]).await;
    let ended = Redrive::new("no-letters", &server, &["--attempts", "1"]).env("MODE", "no-letters").run().await;
    assert_eq!((ended.ran.code, ended.left.len()), (Some(1), 1), "{}", ended.ran.stdout);
    let expected = "LambdaStreams.Event: the function found no dead letter in the event.";
    assert!(ended.ran.stdout.contains(expected), "{}", ended.ran.stdout);
}

#[tokio::test]
async fn an_answer_that_does_not_say_what_is_done_deletes_nothing() {
    let server = FakeServer::start([letter(1, "a")]).await;
    let ended = Redrive::new("anything", &server, &["--attempts", "1"]).env("MODE", "anything").run().await;
    assert_eq!((ended.ran.code, ended.left.len()), (Some(1), 1), "{}", ended.ran.stdout);
    assert!(ended.ran.stdout.contains("the answer has no `batchItemFailures`"), "{}", ended.ran.stdout);
}

#[tokio::test]
async fn a_function_that_times_out_leaves_everything() {
    let server = FakeServer::start(shuffled(3)).await;
    let ended =
        Redrive::new("hangs", &server, &["--attempts", "1", "--timeout", "0.2"]).env("MODE", "hangs").run().await;
    assert_eq!((ended.ran.code, ended.left.len()), (Some(1), 3), "{}", ended.ran.stdout);
    assert!(ended.ran.stdout.contains("Sandbox.Timedout"), "{}", ended.ran.stdout);
}

#[tokio::test]
async fn wrong_use_starts_nothing() {
    let table: [(&[&str], &str); 6] = [
        (&["redrive", "--bootstrap", "x"], "error: say where the dead letters are: use --queue, or name files\n"),
        (
            &["redrive", "--queue", "a b", "--bootstrap", "x"],
            "error: \"a b\" is not a queue: expected a queue's URL, ARN or name",
        ),
        (
            &["redrive", "--queue", "https://example.com", "--bootstrap", "x"],
            "error: https://example.com is not a queue's URL",
        ),
        (&["redrive", "--queue", "q", "--journal", "j"], "error: --journal is only for files"),
        (&["redrive", "--queue", "q", "--visibility", "1"], "error: invalid value '1' for '--visibility"),
        (&["redrive", "--queue", "q", "letters.ndjson"], "error: the argument '--queue"),
    ];
    for (arguments, expected) in table {
        let ran = run(arguments).await;
        assert_eq!(ran.code, Some(2), "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.starts_with(expected), "{arguments:?}: {}", ran.stderr);
    }
    let server = FakeServer::start([letter(1, "a")]).await;
    let ran = run(&["redrive", "--queue", &server.url("q")]).await;
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("error: say which function to invoke: use --bootstrap or --function"),
        "{}",
        ran.stderr
    );
    assert_eq!(server.calls("ReceiveMessage").len(), 0, "nothing is received before the function is there");
}
