//! Real requests to a local AWS.

use lambda_streams_local::{SignedCall, Signer};

use super::super::local_signer;
use super::*;
use crate::ministack;

/// A new queue of the local AWS.
struct Local {
    signer: Signer,
    endpoint: &'static str,
    url: String,
}

impl Local {
    async fn new(name: &str, attributes: Value) -> Option<Self> {
        let endpoint = ministack::endpoint()?;
        let signer = local_signer();
        let mut local = Self { signer, endpoint, url: String::new() };
        let created = local.call("CreateQueue", json!({"QueueName": name, "Attributes": attributes})).await;
        local.url = created["QueueUrl"].as_str().expect("it has a URL").to_owned();
        Some(local)
    }

    async fn call(&self, operation: &str, input: Value) -> Value {
        let call = SignedCall::new("sqs", "us-east-1", self.endpoint)
            .method("POST")
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", &format!("AmazonSQS.{operation}"))
            .body(input.to_string());
        let response = call.send(&self.signer).await.unwrap_or_else(|error| panic!("{operation}: {error}"));
        serde_json::from_slice(response.bytes()).unwrap_or_default()
    }

    async fn send(&self, body: &str, group: Option<&str>) {
        let mut input = json!({"QueueUrl": self.url, "MessageBody": body});
        if let Some(group) = group {
            input["MessageGroupId"] = group.into();
            input["MessageDeduplicationId"] = event_id(body).into();
        }
        self.call("SendMessage", input).await;
    }

    /// How many messages can be received, and how many are in flight.
    async fn counts(&self) -> (String, String) {
        let state = self.call("GetQueueAttributes", json!({"QueueUrl": self.url, "AttributeNames": ["All"]})).await;
        let number = |name: &str| state["Attributes"][name].as_str().unwrap_or_default().to_owned();
        (number("ApproximateNumberOfMessages"), number("ApproximateNumberOfMessagesNotVisible"))
    }

    async fn redrive(&self, name: &str, flags: &[&str], fails: &str) -> (Ran, Vec<Vec<String>>) {
        let path = free_path(&format!("redrive-{name}-calls"));
        let mut command = program();
        command.args(["redrive", "--queue", &self.url, "--endpoint-url", self.endpoint, "--attempts", "1"]).args(flags);
        command.args(["--bootstrap", "python3", "--", FUNCTION]).env("CALLS", &path).env("FAILS", fails);
        let ran = command.output().await.expect("the program can be started").into();
        (ran, calls(&path))
    }
}

fn counts(visible: u64, in_flight: u64) -> (String, String) {
    (visible.to_string(), in_flight.to_string())
}

#[tokio::test]
async fn letters_are_listed_sent_kept_and_deleted() {
    let Some(local) = Local::new("redrive", json!({})).await else { return };
    for letter in shuffled(25) {
        local.send(&letter, None).await;
    }
    let (ran, _) = local.redrive("ministack-dry", &["--dry-run"], "").await;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("\n25 dead letters: 13 decode, 12 handler\n"), "{}", ran.stdout);
    assert_eq!(local.counts().await, counts(25, 0), "visible again at once");

    let (ran, calls) = local.redrive("ministack-fails", &[], "e23").await;
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.starts_with("25 dead letters: 24 done, 1 failed, 0 held back, 0 left\n"), "{}", ran.stdout);
    assert_eq!((calls.concat().len(), local.counts().await), (25, counts(1, 0)));

    let (ran, calls) = local.redrive("ministack-good", &[], "").await;
    assert_eq!(
        (ran.code, calls.concat(), local.counts().await),
        (Some(0), vec!["e23".to_owned()], counts(0, 0)),
        "{}",
        ran.stdout
    );
}

#[tokio::test]
async fn a_fifo_queue_keeps_its_order() {
    let Some(local) = Local::new("redrive.fifo", json!({"FifoQueue": "true"})).await else { return };
    for number in 1..=30 {
        let item = ["a", "b", "c"][number as usize % 3];
        local.send(&letter(number, item), Some(item)).await;
    }
    let (ran, calls) = local.redrive("ministack-fifo", &[], "").await;
    assert_eq!((ran.code, local.counts().await), (Some(0), counts(0, 0)), "{}{}", ran.stdout, ran.stderr);
    let numbers: Vec<u64> = calls.concat().iter().map(|event| event[1..].parse().expect("e1")).collect();
    assert_eq!(numbers.len(), 30);
    for item in 0..3 {
        assert!(numbers.iter().filter(|number| *number % 3 == item).is_sorted(), "{numbers:?}");
    }
}

#[tokio::test]
async fn a_missing_queue_begins_nothing() {
    let Some(endpoint) = ministack::endpoint() else { return };
    for queue in ["missing", &format!("{endpoint}/000000000000/missing")] {
        let ran = run(&["redrive", "--queue", queue, "--endpoint-url", endpoint, "--bootstrap", "x"]).await;
        assert_eq!((ran.code, ran.stderr.lines().count()), (Some(2), 1), "{}", ran.stderr);
        assert!(ran.stderr.contains("check its name, the region, the account and the endpoint"), "{}", ran.stderr);
    }
}
