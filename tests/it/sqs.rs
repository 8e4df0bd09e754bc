//! The README's "Dead letters" on Amazon SQS: the queue confirms a dead letter before it counts as done. Tested against a
//! local AWS, and against a server that fails on purpose.

mod against_ministack;
mod environment;
mod faults;
mod fifo;
mod messages;

use aws_sdk_sqs::Client;
use lambda_streams::{DeadLetter, DeadLetterError, DeadLetterQueue, SqsDeadLetterQueue};

use crate::support::letters::{letter, record};
use crate::support::sqs_server::Script;
use crate::support::sqs_transport::scripted_client;

const URL: &str = "https://sqs.us-east-1.amazonaws.com/123456789012/dead-letters";
const FIFO_URL: &str = "https://sqs.us-east-1.amazonaws.com/123456789012/dead-letters.fifo";

fn queue(client: Client, url: &str) -> SqsDeadLetterQueue {
    SqsDeadLetterQueue::with_client(client, url).expect("the tests' URLs are those of queues")
}

/// A queue that asks the script, without a socket.
fn scripted(script: &Script, url: &str) -> SqsDeadLetterQueue {
    queue(scripted_client(script.clone()), url)
}

/// Letters of this many items.
fn letters(count: u64) -> Vec<DeadLetter> {
    (0..count).map(|n| letter(&record("orders", &n.to_string(), n, "text"))).collect()
}

/// The errors of a call, `None` for each letter that was accepted.
fn errors(answers: Vec<Result<(), DeadLetterError>>) -> Vec<Option<String>> {
    answers.into_iter().map(|answer| answer.err().map(|error| error.to_string())).collect()
}

async fn send(queue: &SqsDeadLetterQueue, letters: &[DeadLetter]) -> Vec<Option<String>> {
    let answers = errors(queue.send(letters).await);
    assert_eq!(answers.len(), letters.len(), "there is one answer for each letter");
    answers
}

fn all_accepted(answers: &[Option<String>]) -> bool {
    answers.iter().all(Option::is_none)
}
