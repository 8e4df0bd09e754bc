//! `explain`: dead letters and on-failure documents, in words.

use tokio::io::AsyncWriteExt;

use super::{Ran, event_file, free_path, program, run, run_python};

pub(super) const LETTER: &str = r#"{"version":1,"errorKind":"handler","errorMessage":"the index is down","errorSources":["refused"],
    "attempts":3,"firstSeen":"2026-01-01T00:00:00.000Z","deadLettered":"2026-01-01T00:00:01.000Z","record":{
    "eventID":"7","eventName":"MODIFY","eventSource":"aws:dynamodb",
    "eventSourceARN":"arn:aws:dynamodb:eu-central-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000",
    "dynamodb":{"Keys":{"id":{"S":"secret"}},"SequenceNumber":"111","ApproximateCreationDateTime":1767225600}}}"#;

async fn explain(input: &str, arguments: &[&str]) -> Ran {
    let mut child =
        program().arg("explain").args(arguments).stdin(std::process::Stdio::piped()).spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(input.as_bytes()).await.expect("it reads");
    drop(stdin);
    child.wait_with_output().await.expect("it can be waited for").into()
}

#[tokio::test]
async fn a_dead_letter_is_explained() {
    let ran = explain(LETTER, &[]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for expected in [
        "dead letter  a record (MODIFY)",
        "table        orders",
        "sequence     111",
        "failed       the handler returned an error: the index is down\nbecause      refused",
        "attempts     the handler was called 3 times",
        "where now    here, whole",
        "in the stream it was kept until 2026-01-02T00:00:00Z",
        "what to do   fix the cause",
        "command      delivers them again, until the function's answers say that they are done (--dry-run lists them):\n  \
         lambda-streams redrive document.json --function NAME --region eu-central-1\n",
        "NAME: the function that should process them, which the documents do not name\n",
        "document.json: save the standard input of this command there\n",
    ] {
        assert!(ran.stdout.contains(expected), "{expected}: {}", ran.stdout);
    }
    assert!(!ran.stdout.contains("secret"), "nothing of an item unless it is asked for: {}", ran.stdout);
    assert!(explain(LETTER, &["--record"]).await.stdout.contains("secret"));
}

#[tokio::test]
async fn letters_are_found_in_cli_output_and_sqs_events() {
    let body = serde_json::to_string(LETTER).expect("a text");
    let wrapped = [
        format!(r#"{{"Messages":[{{"MessageId":"1","Body":{body}}},{{"MessageId":"2","Body":{body}}}]}}"#),
        format!(
            r#"{{"Records":[{{"eventSource":"aws:sqs","body":{body}}},{{"eventSource":"aws:sqs","body":{body}}}]}}"#
        ),
        format!("{LETTER}\n{LETTER}\n"),
    ];
    for input in wrapped {
        let ran = explain(&input, &[]).await;
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert!(ran.stdout.starts_with("1 of 2\n") && ran.stdout.contains("\n2 of 2\n"), "{}", ran.stdout);
        assert_eq!(ran.stdout.matches("lambda-streams redrive").count(), 1, "one command for both: {}", ran.stdout);
    }
}

#[tokio::test]
async fn the_command_for_a_message_s_letter_takes_it_out_of_its_queue() {
    let function = r#""functionArn":"arn:aws:lambda:eu-west-1:123456789012:function:orders:$LATEST","#;
    let letter = LETTER.replacen('{', &format!("{{{function}"), 1);
    let body = serde_json::to_string(&letter).expect("a text");
    let output = format!(r#"{{"Messages":[{{"MessageId":"1","Body":{body}}}]}}"#);
    let ran = explain(&output, &[]).await;
    let flags = "--function arn:aws:lambda:eu-west-1:123456789012:function:orders --region eu-west-1\n";
    for expected in [
        &format!("\n  lambda-streams redrive --queue URL {flags}"),
        "URL: the URL of the queue that the messages came from\n",
        "where now    in the queue that the message came from, whole",
        "as long as the queue keeps its messages",
    ] {
        assert!(ran.stdout.contains(expected), "{expected}: {}", ran.stdout);
    }
    let queue = "arn:aws:sqs:eu-west-1:123456789012:dead";
    let event = format!(r#"{{"Records":[{{"messageId":"1","eventSourceARN":"{queue}","body":{body}}}]}}"#);
    let ran = explain(&event, &[]).await;
    assert!(ran.stdout.contains(&format!("\n  lambda-streams redrive --queue {queue} {flags}")), "{}", ran.stdout);
}

#[tokio::test]
async fn each_function_has_a_command_of_its_own() {
    let of = |name: &str| METADATA.replace(r#""functionArn":"f""#, &format!(r#""functionArn":"{name}""#));
    let recent = [of("a"), of("b"), of("a")].join("\n").replace("2019-11-14", "2199-11-14");
    let ran = explain(&format!("{recent}\n{LETTER}"), &[]).await;
    let commands: Vec<&str> = ran.stdout.lines().filter(|line| line.starts_with("  lambda-streams")).collect();
    let expected = [
        "  lambda-streams redrive document.json --function NAME --region eu-central-1",
        "  lambda-streams replay document.json --function a",
        "  lambda-streams replay document.json --function b",
    ];
    assert_eq!(commands, expected, "{}", ran.stdout);
}

#[tokio::test]
async fn what_is_skipped_is_reported() {
    let ran = explain(&format!("{LETTER}\n{{\"x\":1}}\n"), &[]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.stdout);
    assert!(ran.stderr.starts_with("warning: skipped in the standard input: neither a dead letter"), "{}", ran.stderr);
    assert!(ran.stdout.starts_with("dead letter  a record (MODIFY)"), "{}", ran.stdout);
}

#[tokio::test]
async fn a_pipe_s_document_is_explained() {
    let document = r#"{"context":{"partnerResourceArn":"arn:aws:pipes:eu-west-2:123456789012:pipe/orders",
        "condition":"RetryAttemptsExhausted"},"version":"1.0","timestamp":"2199-03-08T00:00:01Z","DDBStreamBatchInfo":{
        "shardId":"shardId-1","startSequenceNumber":"8","endSequenceNumber":"9",
        "approximateArrivalOfFirstRecord":"2199-03-08T00:00:00Z","approximateArrivalOfLastRecord":"2199-03-08T00:00:00.5Z",
        "batchSize":2,"streamArn":"arn:aws:dynamodb:eu-west-2:123456789012:table/orders/stream/2026-01-01T00:00:00.000"}}"#;
    let ran = explain(document, &[]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for expected in [
        "on failure   the pipe arn:aws:pipes:eu-west-2:123456789012:pipe/orders gave up 2 records, and good ones",
        "created      2199-03-08T00:00:00Z to 2199-03-08T00:00:00.500Z\n",
        "why          its MaximumRetryAttempts were exhausted\n",
        "\n  lambda-streams replay document.json --function NAME --region eu-west-2\n",
        "until 2199-03-09T00:00:00Z: the stream keeps a record for 24 hours\n",
    ] {
        assert!(ran.stdout.contains(expected), "{expected}: {}", ran.stdout);
    }
}

#[tokio::test]
async fn an_on_failure_document_is_explained_and_its_payload_invoked() {
    let (events, document) = (event_file("given-up", &["111", "112"]), free_path("on-failure"));
    let path = document.to_str().expect("UTF-8");
    let flags = ["run", "--events", &events, "--maximum-retry-attempts", "1", "--retry-max-delay", "0.01"];
    let ran = run_python(&[&flags[..], &["--on-failure", path]].concat(), "error").await;
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stdout.contains("2 discarded") && ran.stdout.contains("on failure    1 documents"), "{}", ran.stdout);

    let ran = run(&["explain", path]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for expected in [
        "on failure   the event source mapping gave up 2 records, and good ones may be among them",
        "sequence     111 to 112",
        "MaximumRetryAttempts: 2 invocations without progress, the last one ended in a function error",
        "where now    in this document, whole\n",
        &format!(
            "  lambda-streams replay {path} --function arn:aws:lambda:eu-central-1:123456789012:function:function --region \
             eu-central-1\n"
        ),
        "newer changes of the items may have been processed since: see --stale",
    ] {
        assert!(ran.stdout.contains(expected), "{expected}: {}", ran.stdout);
    }
    assert!(!ran.stdout.contains("secret") && !ran.stdout.contains("aws lambda invoke"), "{}", ran.stdout);
    let ran = run(&["explain", path, "--record"]).await;
    assert!(
        ran.stdout.contains(r#"records      {"Records":[{"eventID":"e111""#),
        "the event, not its escapes: {}",
        ran.stdout
    );

    // What is copied out of it can be sent as well.
    let ran = run_python(&["run", "--events", path, "--quiet"], "").await;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("2 read") && ran.stdout.contains("2 done"), "{}", ran.stdout);
    let text = std::fs::read_to_string(&document).expect("it was written");
    let mut parsed: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    let payload = parsed["payload"].as_str().expect("a JSON string").to_owned();
    let quoted = parsed["payload"].to_string();
    parsed["payload"] = serde_json::from_str(&payload).expect("it holds JSON");
    for form in [text, parsed.to_string(), payload, quoted] {
        std::fs::write(&document, &form).expect("it can be written");
        let ran = run_python(&["invoke", path, "--function-log", "/dev/null"], "").await;
        assert_eq!(ran.code, Some(0), "{form}: {}", ran.stderr);
        assert!(ran.stdout.contains("all 2 records are done"), "{form}: {}", ran.stdout);
    }
}

#[tokio::test]
async fn both_forms_of_a_payload_are_explained() {
    let (metadata, event) = (METADATA.trim_end_matches('}'), r#"{"Records":[{"eventID":"e1"}]}"#);
    for payload in [event.to_owned(), serde_json::to_string(event).expect("a text")] {
        let ran = explain(&format!(r#"{metadata}}},"payload":{payload}}}"#), &["--record"]).await;
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert!(ran.stdout.contains(&format!("records      {event}\n")), "{}", ran.stdout);
        assert!(
            ran.stdout.contains("lambda-streams replay document.json"),
            "the standard input has no name: {}",
            ran.stdout
        );
    }
}

#[tokio::test]
async fn a_document_without_records_cannot_be_invoked() {
    let path = free_path("metadata-alone");
    std::fs::write(&path, METADATA).expect("it can be written");
    let ran = run_python(&["invoke", path.to_str().expect("UTF-8")], "").await;
    assert_eq!((ran.code, ran.stderr.lines().count()), (Some(2), 1), "{}", ran.stderr);
    assert!(ran.stderr.contains("it is an on-failure document without a payload"), "{}", ran.stderr);
}

const METADATA: &str = r#"{"requestContext":{"requestId":"r","functionArn":"f","condition":"RecordAgeExceeded","approximateInvokeCount":1},
        "version":"1.0","timestamp":"2019-11-14T00:13:49.717Z","DDBStreamBatchInfo":{"shardId":"shardId-1",
        "startSequenceNumber":"8","endSequenceNumber":"9","approximateArrivalOfFirstRecord":"2019-11-14T00:13:19Z",
        "approximateArrivalOfLastRecord":"2019-11-14T00:13:19Z","batchSize":2,"streamArn":"arn"}}"#;

#[tokio::test]
async fn metadata_alone_says_that_the_records_are_gone() {
    let document = METADATA;
    let ran = explain(document, &[]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        ran.stdout.contains("why          MaximumRecordAgeInSeconds: the records became too old"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stdout.contains("where now    gone: the stream kept them until 2019-11-15T00:13:19Z"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("\n  lambda-streams backfill --table TABLE --function f\n"), "{}", ran.stdout);
    let ran = explain(&document.replace(r#""batchSize":2"#, r#""batchSize":1"#), &[]).await;
    assert!(ran.stdout.starts_with("on failure   the event source mapping gave up 1 record\n"), "{}", ran.stdout);
    let recent = document.replace("2019-11-14", "2199-11-14");
    let ran = explain(&recent, &[]).await;
    assert!(ran.stdout.contains("where now    only in the stream, until 2199-11-15T00:13:19Z"), "{}", ran.stdout);
    assert!(ran.stdout.contains("\n  lambda-streams replay document.json --function f\n"), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("until 2199-11-15T00:13:19Z: the stream keeps a record for 24 hours\n"),
        "{}",
        ran.stdout
    );
}

#[tokio::test]
async fn several_files_are_explained_and_each_command_has_its_own() {
    let write = |name: &str, text: &str| {
        let path = free_path(name);
        std::fs::write(&path, text).expect("it can be written");
        path.into_os_string().into_string().expect("UTF-8")
    };
    let recent = METADATA.replace("2019-11-14", "2199-11-14");
    let (one, other) = (write("several-1", LETTER), write("several-2", &format!("{LETTER}\n{recent}")));
    let empty = write("several-3", "");
    let ran = run(&["explain", &one, &other, &empty]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.stdout);
    for expected in [
        format!("1 of 3\nfile         {one}\n"),
        format!("3 of 3\nfile         {other}\n"),
        format!("\n  lambda-streams redrive {one} {other} --function NAME --region eu-central-1\n"),
        format!("\n  lambda-streams replay {other} --function f\n"),
    ] {
        assert!(ran.stdout.contains(&expected), "{expected}: {}", ran.stdout);
    }
    assert_eq!(ran.stderr, format!("warning: skipped in {empty}: it is empty\n"));
}

#[tokio::test]
async fn a_name_without_a_file_says_how_other_places_are_named() {
    let table: [(&[&str], &str); 4] = [
        (
            &["explain", "discarded"],
            "error: there is no file discarded: if it is a bucket, write `s3://discarded`; if it is a queue, ",
        ),
        (
            &["redrive", "dead-letters"],
            "error: there is no file dead-letters: if it is a queue, use `--queue dead-letters`\n",
        ),
        (&["redrive", "s3://bucket/x"], "error: s3://bucket/x is in a bucket, and `redrive` reads queues and files"),
        (
            &["replay", "discarded"],
            "error: there is no file discarded: if it is a bucket, write `s3://discarded`; if it is a queue, use `--queue \
             discarded`\n",
        ),
    ];
    for (arguments, expected) in table {
        let mut command = program();
        let ran: Ran = command
            .args(arguments)
            .env("XDG_STATE_HOME", free_path("no-file"))
            .output()
            .await
            .expect("it starts")
            .into();
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(ran.stderr.starts_with(expected), "{arguments:?}: {}", ran.stderr);
    }
}

#[tokio::test]
async fn what_is_neither_is_exit_code_2() {
    for (input, expected) in [
        ("{", "error: the standard input: it ends in the middle of a document, which begins at line 1"),
        ("", "error: the standard input: it is empty"),
        (r#"{"x":1}"#, "error: the standard input: neither a dead letter of lambda-streams nor"),
        (r#"{"errorKind":"handler"}"#, "error: the standard input: "),
    ] {
        let ran = explain(input, &[]).await;
        assert_eq!(ran.code, Some(2), "{input}: {}", ran.stdout);
        assert!(ran.stderr.starts_with(expected) && ran.stderr.lines().count() == 1, "{}", ran.stderr);
    }
}
