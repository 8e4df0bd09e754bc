//! The function's real program, under the Runtime API of `lambda-streams-local`, gives for every file of the corpus the
//! outcome that its processor gives in this process.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lambda_streams::{DeadLetter, Deadline, Error, HandlerError, MemoryDeadLetterQueue, Record, StreamProcessor};
use lambda_streams_local::{Bootstrap, Function, Response};
use serde_json::Value;

use self::sources::handlers::{Entry, Handlers, Journal};
use self::sources::processor;
use crate::support::Sqs;

/// The function's own files.
#[path = "../../src"]
mod sources {
    #[allow(dead_code, reason = "the comparison does not look at what the function's log shows")]
    pub(super) mod handlers;
    mod item;
    pub(super) mod processor;
}

/// The outcome of a file: the response's JSON or an error, and the records that became dead letters, in any order.
#[derive(Debug, PartialEq)]
struct Outcome {
    response: Result<Value, String>,
    dead_letters: Vec<(String, String)>,
}

/// The function's journal writes to its log; here there is nothing to write.
struct NoJournal;

impl Journal for NoJournal {
    async fn note(&self, _: &str, _: Entry, _: &Record) -> Result<(), HandlerError> {
        Ok(())
    }
}

async fn in_process(body: &str) -> Outcome {
    let queue = MemoryDeadLetterQueue::new();
    let processor = processor::with_handlers(StreamProcessor::builder(), &Handlers::new(NoJournal))
        .dead_letter_queue(queue.clone())
        .build()
        .expect("the function's own settings");
    let response = process(&processor, body).await;
    Outcome { response: response.map_err(|error| error.to_string()), dead_letters: sorted(&queue.letters()) }
}

async fn process(processor: &StreamProcessor, body: &str) -> Result<Value, Error> {
    let report = processor.process_invocation(body.as_bytes().to_vec(), Deadline::none()).await?;
    Ok(serde_json::to_value(report.response()?).expect("it is serializable"))
}

/// Each letter's error and record.
fn sorted(letters: &[DeadLetter]) -> Vec<(String, String)> {
    let mut letters: Vec<(String, String)> =
        letters.iter().map(|letter| (letter.error_message().to_owned(), letter.raw_json().to_owned())).collect();
    letters.sort();
    letters
}

async fn in_bootstrap(function: &Bootstrap, sqs: &Sqs, body: &str) -> Outcome {
    let sent_before = sqs.messages().len();
    let response = match function.invoke(body.to_owned(), Duration::from_secs(60)).await {
        Ok(Response::Returned(json)) => Ok(serde_json::from_str(&json).expect("it responds with JSON")),
        Ok(Response::FunctionError { message, .. }) => Err(message),
        Ok(Response::Throttled) => panic!("one invocation at a time is never throttled"),
        // What is not valid JSON never reaches the function, here as on Lambda.
        Err(refused) => Err(refused.to_string()),
    };
    let messages = sqs.messages().split_off(sent_before);
    let letters: Vec<DeadLetter> =
        messages.iter().map(|message| DeadLetter::from_json(message).expect("an envelope")).collect();
    Outcome { response, dead_letters: sorted(&letters) }
}

fn corpus() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let folder = std::env::var_os("TEST_CORPUS").map_or(beside, PathBuf::from);
    folder.join("MANIFEST.md").exists().then_some(folder)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let json = |dir: &str| {
        let entries = std::fs::read_dir(folder.join(dir)).expect("the corpus has this folder");
        entries
            .map(|entry| entry.expect("it can be listed").path())
            .filter(|path| path.extension().is_some_and(|e| e == "json"))
    };
    let mut files: Vec<PathBuf> = ["bad", "edge", "real"].into_iter().flat_map(json).collect();
    files.sort();
    files
}

#[tokio::test]
async fn the_program_agrees_with_its_processor_on_every_file_of_the_corpus() {
    let Some(folder) = corpus() else {
        println!("skipped: it needs the corpus");
        return;
    };
    let sqs = Sqs::serve();
    let function = Bootstrap::builder(env!("CARGO_BIN_EXE_stream-processor"))
        .env("DLQ_URL", format!("http://{}/123456789012/dead", sqs.address()))
        .env("TABLE_NAME", "orders")
        .env("AWS_ENDPOINT_URL_SQS", format!("http://{}", sqs.address()))
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "local")
        .env("AWS_SECRET_ACCESS_KEY", "local")
        .on_output(|_| {})
        .start()
        .await
        .expect("it starts");

    let (mut same, mut not_text, mut letters, mut wrong) = (0, 0, 0, Vec::new());
    for file in files(&folder) {
        // Lambda delivers JSON, which is UTF-8: what is not UTF-8 cannot be a payload.
        let Ok(body) = String::from_utf8(std::fs::read(&file).expect("it can be read")) else {
            not_text += 1;
            continue;
        };
        let here = in_process(&body).await;
        let there = in_bootstrap(&function, &sqs, &body).await;
        letters += here.dead_letters.len();
        let both_refuse = here.response.is_err() && there.response.is_err();
        if (here.response == there.response || both_refuse) && here.dead_letters == there.dead_letters {
            same += 1;
        } else {
            wrong.push(format!("{}: here {here:?}, there {there:?}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(same > 150 && letters > 100, "the corpus was read: {same} files, {letters} dead letters");
    assert_eq!(function.environments_started(), 1, "no file ended the function");
    println!("{same} files have the same outcome, with {letters} dead letters; {not_text} are not UTF-8");
}
