//! A function is configured by its environment alone: each in a process of its own, since the environment belongs to the whole
//! process.

use std::error::Error;
use std::process::Command;

use lambda_streams::SqsDeadLetterQueue;

use super::{letters, send};
use crate::support::sqs_server::{Answer, Script, SqsServer};

/// Runs the test below in a process of its own, since the environment belongs to the whole process.
pub(super) fn in_environment(variables: &[(&str, &str)]) -> Result<String, Box<dyn Error>> {
    let output = Command::new(std::env::current_exe()?)
        .args(["--exact", "sqs::environment::a_function_sends_one_letter", "--ignored", "--nocapture"])
        .env_clear()
        .envs(variables.iter().copied())
        .output()?;
    let printed = String::from_utf8(output.stdout)?;
    assert!(output.status.success(), "{printed}");
    let line = printed.lines().find_map(|line| line.split_once("sent: ")).expect("the child prints its answer").1;
    Ok(line.to_owned())
}

#[tokio::test]
#[ignore = "runs as a child of the tests below"]
async fn a_function_sends_one_letter() {
    match SqsDeadLetterQueue::from_env() {
        Ok(queue) => println!("sent: {:?}", send(&queue, &letters(1)).await),
        Err(error) => println!("sent: nothing, {error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_urls_host_gets_the_requests() -> Result<(), Box<dyn Error>> {
    let script = Script::batches(|call, earlier| match earlier {
        0 => Answer::error(503, "ServiceUnavailable"),
        _ => Answer::batch(call, |_| None),
    });
    let server = SqsServer::start(script.clone()).await;
    let url = format!("{}/000000000000/dead-letters", server.endpoint);
    let child = tokio::task::spawn_blocking(move || {
        let keys = [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"), ("AWS_REGION", "us-east-1")];
        in_environment(&[&keys[..], &[("DLQ_URL", url.as_str())]].concat()).map_err(|error| error.to_string())
    });
    assert_eq!(child.await??, "[None]");
    assert_eq!((script.calls("GetQueueAttributes").len(), script.batch_calls().len()), (1, 2));
    Ok(())
}

#[test]
fn missing_environment_variables_are_named() -> Result<(), Box<dyn Error>> {
    let unset = in_environment(&[])?;
    assert!(unset.starts_with("nothing, the environment variable `DLQ_URL` is not set: "), "{unset}");
    let malformed = in_environment(&[("DLQ_URL", "arn:aws:sqs:eu-central-1:1:q")])?;
    assert!(malformed.starts_with("nothing, the environment variable `DLQ_URL` is the queue's ARN; "), "{malformed}");
    let region = in_environment(&[("DLQ_URL", "http://127.0.0.1:1/1/q")])?;
    assert!(region.ends_with("set the environment variable `AWS_REGION` to that of the queue"), "{region}");
    let endpoint = in_environment(&[("DLQ_URL", super::URL), ("AWS_ENDPOINT_URL", "localhost")])?;
    assert!(endpoint.contains("`AWS_ENDPOINT_URL` is not the URL of an endpoint"), "{endpoint}");
    let keys = in_environment(&[("DLQ_URL", super::URL)])?;
    let expected = "there are no credentials for the dead-letter queue: the environment variable `AWS_ACCESS_KEY_ID` or \
                    `AWS_CONTAINER_CREDENTIALS_FULL_URI` is not set";
    assert_eq!(keys, format!("[Some({expected:?})]"));
    Ok(())
}
