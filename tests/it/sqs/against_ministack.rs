//! Real requests to a local AWS.

use std::collections::HashMap;
use std::error::Error;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{Message, QueueAttributeName};
use lambda_streams::DeadLetter;

use super::environment::in_environment;
use super::{all_accepted, letters, queue, send};
use crate::support::letters::{HARD, corpus, letter, noise, record};
use crate::support::ministack;
use crate::support::sqs_transport::client;

type Outcome = Result<(), Box<dyn Error>>;

/// A new queue, and a client of the server that it is on.
struct Local {
    client: Client,
    url: String,
}

impl Local {
    async fn new(name: &str, attributes: &[(QueueAttributeName, &str)]) -> Option<Self> {
        let client = client(ministack::endpoint()?);
        let attributes: HashMap<_, _> =
            attributes.iter().map(|(name, value)| (name.clone(), (*value).to_owned())).collect();
        let created = client.create_queue().queue_name(name).set_attributes(Some(attributes)).send().await;
        let url = created.expect("the queue can be created").queue_url.expect("it has a URL");
        Some(Self { client, url })
    }

    fn queue(&self) -> lambda_streams::SqsDeadLetterQueue {
        queue(self.client.clone(), &self.url)
    }

    /// Takes all messages out of the queue.
    async fn messages(&self) -> Result<Vec<Message>, Box<dyn Error>> {
        let mut messages = Vec::new();
        loop {
            let request = self.client.receive_message().queue_url(&self.url).max_number_of_messages(10);
            let names = [aws_sdk_sqs::types::MessageSystemAttributeName::All];
            let answer = request
                .set_message_system_attribute_names(Some(names.into()))
                .message_attribute_names("All")
                .send()
                .await?;
            if answer.messages().is_empty() {
                return Ok(messages);
            }
            for message in answer.messages() {
                let receipt = message.receipt_handle().expect("a received message has a receipt");
                self.client.delete_message().queue_url(&self.url).receipt_handle(receipt).send().await?;
                messages.push(message.clone());
            }
        }
    }
}

fn body(message: &Message) -> &str {
    message.body().expect("a message has a body")
}

fn attribute<'a>(message: &'a Message, name: &str) -> Option<&'a str> {
    message.message_attributes()?.get(name)?.string_value()
}

/// The records of the messages, in the order of their text.
fn records(messages: &[Message]) -> Result<Vec<String>, Box<dyn Error>> {
    let mut records = Vec::new();
    for message in messages {
        records.push(DeadLetter::from_json(body(message))?.raw_json().to_owned());
    }
    records.sort();
    Ok(records)
}

fn raw(letters: &[DeadLetter]) -> Vec<String> {
    let mut records: Vec<_> = letters.iter().map(|letter| letter.raw_json().to_owned()).collect();
    records.sort();
    records
}

#[tokio::test]
async fn letters_arrive_whole_with_their_attributes() -> Outcome {
    let Some(local) = Local::new("standard", &[]).await else { return Ok(()) };
    let letters = letters(25);
    assert!(all_accepted(&send(&local.queue(), &letters).await));
    let messages = local.messages().await?;
    assert_eq!(records(&messages)?, raw(&letters));
    for message in &messages {
        assert_eq!(attribute(message, "errorKind"), Some("handler"));
        assert_eq!(attribute(message, "eventKind"), Some("INSERT"));
        assert_eq!(attribute(message, "table"), Some("orders"));
        assert_eq!(attribute(message, "contentEncoding"), None);
    }
    Ok(())
}

#[tokio::test]
async fn hard_records_arrive_byte_for_byte() -> Outcome {
    let Some(local) = Local::new("hard", &[]).await else { return Ok(()) };
    let mut letters: Vec<_> = HARD.iter().filter_map(|file| corpus(file)).flatten().map(|raw| letter(&raw)).collect();
    letters.push(letter(&format!(r#"{{"binary":"{}"}}"#, noise(1_000_000))));
    letters.push(letter(&format!(r#"{{"escapes":"{}"}}"#, r"\u0001".repeat(200_000))));
    letters.push(letter("{\"refused\": \"\u{fffe}\u{ffff}\", \"lone\": \"\\ud800\"}"));
    assert!(all_accepted(&send(&local.queue(), &letters).await));
    let messages = local.messages().await?;
    assert_eq!(records(&messages)?, raw(&letters));
    let compressed = messages.iter().filter(|message| attribute(message, "contentEncoding") == Some("gzip")).count();
    let larger = letters.iter().filter(|letter| letter.to_json().len() > 1024 * 1024).count();
    assert!(compressed == larger && larger >= 1, "{compressed} compressed of {larger}");
    Ok(())
}

#[tokio::test]
async fn large_letters_are_split_over_requests() -> Outcome {
    let Some(local) = Local::new("large", &[]).await else { return Ok(()) };
    let letters: Vec<_> =
        (0..10).map(|n| letter(&record("orders", &n.to_string(), n, &noise(300_000 + n as usize)))).collect();
    assert!(all_accepted(&send(&local.queue(), &letters).await));
    assert_eq!(records(&local.messages().await?)?, raw(&letters));
    Ok(())
}

#[tokio::test]
async fn oversized_letters_are_compressed_or_refused() -> Outcome {
    let limit = [(QueueAttributeName::MaximumMessageSize, "1536")];
    let Some(local) = Local::new("small", &limit).await else { return Ok(()) };
    let letters = [
        letter(&record("orders", "plain", 1, "x")),
        letter(&record("orders", "compressed", 2, &"x".repeat(5000))),
        letter(&record("orders", "refused", 3, &noise(5000))),
    ];
    let answers = send(&local.queue(), &letters).await;
    assert_eq!((&answers[0], &answers[1]), (&None, &None));
    let error = answers[2].as_deref().expect("it does not fit");
    assert!(error.contains("bytes too large") && error.contains("the queue takes at most 1536"), "{error}");
    let messages = local.messages().await?;
    assert_eq!(records(&messages)?, raw(&letters[..2]));
    assert_eq!(messages.iter().filter(|message| attribute(message, "contentEncoding").is_some()).count(), 1);
    Ok(())
}

#[tokio::test]
async fn a_fifo_queue_keeps_order_and_drops_repetitions() -> Outcome {
    let fifo = [(QueueAttributeName::FifoQueue, "true")];
    let Some(local) = Local::new("ordered.fifo", &fifo).await else { return Ok(()) };
    let letters: Vec<_> = (0..24).map(|n| letter(&record("orders", ["a", "b", "c"][n as usize % 3], n, "x"))).collect();
    assert!(all_accepted(&send(&local.queue(), &letters).await));
    assert!(all_accepted(&send(&local.queue(), &letters[..9]).await), "a repetition is accepted");
    let messages = local.messages().await?;
    assert_eq!(messages.len(), 24);
    for item in ["a", "b", "c"] {
        let group = letter(&record("orders", item, 0, "")).group_id();
        let id = aws_sdk_sqs::types::MessageSystemAttributeName::MessageGroupId;
        let of_item = messages.iter().filter(|message| message.attributes().and_then(|a| a.get(&id)) == Some(&group));
        let ids: Result<Vec<_>, _> = of_item
            .map(|message| DeadLetter::from_json(body(message)).map(|letter| letter.event_id().map(str::to_owned)))
            .collect();
        let expected: Vec<_> = letters
            .iter()
            .map(|letter| letter.event_id().map(str::to_owned))
            .filter(|id| id.as_deref().is_some_and(|id| id.starts_with(&format!("orders-{item}-"))))
            .collect();
        assert_eq!(ids?, expected);
    }
    Ok(())
}

#[tokio::test]
async fn a_missing_queue_is_named_with_advice() -> Outcome {
    let Some(endpoint) = ministack::endpoint() else { return Ok(()) };
    let url = format!("{endpoint}/000000000000/missing");
    for answer in send(&queue(client(endpoint), &url), &letters(2)).await {
        let error = answer.expect("there is no queue");
        assert!(error.starts_with(&format!("{url} refused the dead letter with ")), "{error}");
        assert!(error.ends_with(": check that the queue exists in the region of the client"), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn the_environment_alone_configures_a_function() -> Outcome {
    let Some(local) = Local::new("environment", &[]).await else { return Ok(()) };
    let endpoint = ministack::endpoint().expect("it runs");
    let down = format!("http://127.0.0.1:{}", ministack::free_port());
    let keys = [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"), ("AWS_REGION", "us-east-1")];
    for endpoints in [
        [("AWS_ENDPOINT_URL", ""), ("AWS_ENDPOINT_URL_SQS", "")],
        [("AWS_ENDPOINT_URL", endpoint), ("AWS_ENDPOINT_URL_SQS", "")],
        [("AWS_ENDPOINT_URL", &down), ("AWS_ENDPOINT_URL_SQS", endpoint)],
    ] {
        let variables = [&keys[..], &endpoints, &[("DLQ_URL", local.url.as_str())]].concat();
        assert_eq!(in_environment(&variables)?, "[None]");
        assert_eq!(local.messages().await?.len(), 1);
    }
    Ok(())
}
