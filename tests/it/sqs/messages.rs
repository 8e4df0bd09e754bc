//! What a message looks like, and how messages share requests.

use std::error::Error;

use lambda_streams::{DeadLetter, SqsDeadLetterQueue};
use serde_json::{Value, json};

use super::{URL, all_accepted, letters, scripted, send};
use crate::support::letters::{letter, letter_with, noise, record};
use crate::support::sqs_server::{Answer, Script};

const MEBIBYTE: usize = 1024 * 1024;

/// Accepts everything; the queue's limit is this.
fn accepting(limit: usize) -> Script {
    Script::new(move |call, _| match call.operation.as_str() {
        "GetQueueAttributes" => Answer::limit(limit),
        _ => Answer::batch(call, |_| None),
    })
}

/// The bytes that SQS counts.
fn size(entry: &Value) -> usize {
    let text = |value: &Value| value.as_str().map_or(0, str::len);
    let attributes = entry["MessageAttributes"].as_object().expect("there are attributes");
    let counted =
        attributes.iter().map(|(name, value)| name.len() + text(&value["DataType"]) + text(&value["StringValue"]));
    text(&entry["MessageBody"]) + counted.sum::<usize>()
}

#[tokio::test]
async fn a_message_is_the_envelope_with_attributes() {
    let script = accepting(MEBIBYTE);
    let trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
    let letter = letter_with(&record("orders", "a", 1, "x"), json!({"traceHeader": trace}));
    assert!(all_accepted(&send(&scripted(&script, URL), std::slice::from_ref(&letter)).await));
    let string = |value: &str| json!({"DataType": "String", "StringValue": value});
    assert_eq!(
        script.batch_calls()[0].body,
        json!({"QueueUrl": URL, "Entries": [{
            "Id": "0",
            "MessageBody": letter.to_json(),
            "MessageAttributes": {"errorKind": string("handler"), "eventKind": string("INSERT"), "table": string("orders")},
            "MessageSystemAttributes": {"AWSTraceHeader": string(trace)},
        }]})
    );
}

#[tokio::test]
async fn failures_of_earlier_attempts_are_the_first_to_go() {
    let raw = record("orders", "a", 1, &(noise(500) + &"x".repeat(3_000)));
    let bare = letter(&raw);
    let earlier = json!({"earlierErrors": [{"kind": "timeout", "message": noise(900)}]});
    let letter = letter_with(&raw, earlier);
    let complete = letter.to_json().len();
    let attributes = 200;
    for (limit, expected) in [(complete + attributes, letter.to_json()), (complete - 1, bare.to_json())] {
        let script = accepting(limit);
        assert!(all_accepted(&send(&scripted(&script, URL), std::slice::from_ref(&letter)).await));
        assert_eq!(script.batch_calls()[0].entries()[0]["MessageBody"], json!(expected));
    }
    // Compressed, there is no room for them either.
    let script = accepting(bare.to_json().len() - 1);
    assert!(all_accepted(&send(&scripted(&script, URL), std::slice::from_ref(&letter)).await));
    let body = script.batch_calls()[0].entries()[0]["MessageBody"].as_str().expect("a text").to_owned();
    assert!(body.contains("recordGzip") && !body.contains("earlierErrors"), "{body}");
}

#[tokio::test]
async fn unknown_and_unacceptable_values_are_not_attributes() {
    let arn = |table: &str| json!({"eventSourceARN": format!("arn:aws:dynamodb:r:1:table/{table}")}).to_string();
    let letters = [
        letter("null"),
        letter(&arn("a\u{ffff}")),
        letter(&arn(&"t".repeat(300))),
        letter_with("{}", json!({"traceHeader": "nonsense"})),
    ];
    let script = accepting(MEBIBYTE);
    assert!(all_accepted(&send(&scripted(&script, URL), &letters).await));
    for entry in script.batch_calls()[0].entries() {
        let names: Vec<_> = entry["MessageAttributes"].as_object().expect("attributes").keys().collect();
        assert_eq!(names, ["errorKind"]);
        assert_eq!(entry.get("MessageSystemAttributes"), None);
    }
}

#[tokio::test]
async fn up_to_ten_letters_share_a_request() {
    for count in [1, 10] {
        let script = accepting(MEBIBYTE);
        assert!(all_accepted(&send(&scripted(&script, URL), &letters(count)).await));
        assert_eq!(script.batch_calls().len(), 1);
    }
    let script = accepting(MEBIBYTE);
    assert!(all_accepted(&send(&scripted(&script, URL), &letters(25)).await));
    let sizes: Vec<_> = script.batch_calls().iter().map(|call| call.entries().len()).collect();
    assert_eq!(sizes, [10, 10, 5]);
    assert!(send(&scripted(&script, URL), &[]).await.is_empty());
}

#[tokio::test]
async fn attributes_count_towards_the_request_limit() {
    let base = one_entry(0).await;
    // Four messages of exactly a quarter share a request; one byte more, and only three do.
    for (more, expected) in [(0, vec![4, 4]), (1, vec![3, 3, 2])] {
        let script = accepting(MEBIBYTE);
        let letters: Vec<_> = (0..8).map(|_| sized(MEBIBYTE / 4 - base + more)).collect();
        assert!(all_accepted(&send(&scripted(&script, URL), &letters).await));
        let calls = script.batch_calls();
        assert_eq!(calls.iter().map(|call| call.entries().len()).collect::<Vec<_>>(), expected);
        for call in calls {
            assert!(call.entries().iter().map(size).sum::<usize>() <= MEBIBYTE);
        }
    }
}

/// A letter with this many bytes of text.
fn sized(text: usize) -> DeadLetter {
    letter(&record("orders", "a", 1, &"x".repeat(text)))
}

/// What a letter with this many bytes of text counts.
async fn one_entry(text: usize) -> usize {
    let script = accepting(MEBIBYTE);
    assert!(all_accepted(&send(&scripted(&script, URL), &[sized(text)]).await));
    size(&script.batch_calls()[0].entries()[0])
}

#[tokio::test]
async fn a_letter_is_compressed_only_beyond_the_limit() -> Result<(), Box<dyn Error>> {
    const LIMIT: usize = 16 * 1024;
    let base = one_entry(0).await;
    let script = accepting(LIMIT);
    let letters = [sized(LIMIT - base), sized(LIMIT - base + 1)];
    assert!(all_accepted(&send(&scripted(&script, URL), &letters).await));
    let calls = script.batch_calls();
    let [plain, compressed] = calls[0].entries() else { panic!("two entries") };
    assert_eq!(size(plain), LIMIT);
    assert_eq!(plain["MessageAttributes"].get("contentEncoding"), None);
    assert_eq!(compressed["MessageAttributes"]["contentEncoding"]["StringValue"], "gzip");
    let body = compressed["MessageBody"].as_str().expect("text");
    let envelope: Value = serde_json::from_str(body)?;
    assert_eq!((&envelope["errorMessage"], &envelope["table"]), (&json!("no stock"), &json!("orders")));
    assert!(envelope.get("record").is_none() && envelope["recordGzip"].is_string());
    assert_eq!(DeadLetter::from_json(body)?.raw_json(), letters[1].raw_json());
    Ok(())
}

#[tokio::test]
async fn an_oversized_letter_is_refused_with_the_excess_bytes() {
    const LIMIT: usize = 4096;
    let script = accepting(LIMIT);
    // The noise alone would only grow; the rest makes compression pay.
    let text = noise(9000) + &"x".repeat(1000);
    let letters = [letter("1"), letter(&record("orders", "a", 1, &text)), letter("2")];
    let answers = send(&scripted(&script, URL), &letters).await;
    assert_eq!((&answers[0], &answers[2]), (&None, &None));
    let error = answers[1].as_deref().expect("it does not fit");
    let numbers: Vec<usize> =
        error.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect();
    let [over, plain, compressed, limit] = numbers[..] else { panic!("{error}") };
    assert_eq!((over, limit), (compressed - LIMIT, LIMIT));
    assert!(compressed < plain && plain > 10_000, "{error}");
    assert!(error.starts_with("the dead letter is ") && error.contains("bytes too large for the queue"), "{error}");
    assert_eq!(script.batch_calls()[0].entries().len(), 2);
}

#[tokio::test]
async fn the_limit_is_one_mebibyte_unless_the_queue_says_less() {
    for text in
        [r#"{"Attributes":{"MaximumMessageSize":"99999999"}}"#, "{}", r#"{"Attributes":{"MaximumMessageSize":"?"}}"#]
    {
        let script = Script::new(move |call, _| match call.operation.as_str() {
            "GetQueueAttributes" => Answer::Http(200, text.to_owned()),
            _ => Answer::batch(call, |_| None),
        });
        let answers =
            send(&scripted(&script, URL), &[letter("1"), letter(&format!("\"{}\"", noise(3 * MEBIBYTE)))]).await;
        assert_eq!(answers[0], None);
        assert!(answers[1].as_deref().is_some_and(|error| error.contains("at most 1048576")), "{:?}", answers[1]);
    }
}

#[test]
fn a_queue_is_named_by_its_url() {
    let error = |url: &str| SqsDeadLetterQueue::from_url(url).err().map(|error| error.to_string());
    assert_eq!(error(URL), None);
    assert_eq!(error("http://sqs.us-east-1.localhost:4566/000000000000/q.fifo"), None);
    let text = error("dead-letters").expect("that is a name");
    assert!(text.starts_with("this is not the URL of an SQS queue, such as https://sqs."), "{text}");
    let shown = format!("{:?}", SqsDeadLetterQueue::from_url(URL).expect("a URL"));
    assert_eq!(shown, format!("SqsDeadLetterQueue {{ url: \"{URL}\", .. }}"));
}
