//! The example function's real program under the Runtime API gives, for every file of the corpus, the outcome that its
//! processor gives in this process.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lambda_streams::local::{Answer, Bootstrap, Target};
use lambda_streams::{
    DeadLetter, DeadLetterEvent, Deadline, Error, EventShape, HandlerError, MemoryDeadLetterQueue, Record, StreamEvent,
    StreamProcessor,
};
use serde_json::Value;

use crate::handlers::{Entry, Handlers, Journal};
use crate::processor::{self, Settings};
use crate::support::sqs_server::{Answer as SqsAnswer, Script, SqsServer};

/// What a file came to: the answer's JSON or an error, and the records that became dead letters, in any order.
#[derive(Debug, PartialEq)]
struct Outcome {
    answer: Result<Value, String>,
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
    let processor = processor::builder(&Settings::default(), &Handlers::new(NoJournal))
        .dead_letter_queue(queue.clone())
        .build()
        .expect("the function's own settings");
    let answer = process(&processor, body).await;
    Outcome { answer: answer.map_err(|error| error.to_string()), dead_letters: sorted(&queue.letters()) }
}

async fn process(processor: &StreamProcessor, body: &str) -> Result<Value, Error> {
    // The function's second event source: dead letters that are put back.
    if EventShape::of(body.as_bytes()) == EventShape::Sqs {
        let event = DeadLetterEvent::from_slice(body.as_bytes())?;
        let response = processor.redrive(event, Deadline::none()).await.response();
        return Ok(serde_json::to_value(response).expect("it is serializable"));
    }
    let event = StreamEvent::from_slice(body.as_bytes())?;
    let response = processor.process(event, Deadline::none()).await.response()?;
    Ok(serde_json::to_value(response).expect("it is serializable"))
}

/// Each letter's error and record.
fn sorted(letters: &[DeadLetter]) -> Vec<(String, String)> {
    let mut letters: Vec<(String, String)> =
        letters.iter().map(|letter| (letter.error_message().to_owned(), letter.raw_json().to_owned())).collect();
    letters.sort();
    letters
}

async fn in_bootstrap(function: &Bootstrap, messages: &Arc<Mutex<Vec<String>>>, body: &str) -> Outcome {
    let answer = match function.invoke(body.to_owned(), Duration::from_secs(60)).await {
        Ok(Answer::Returned(json)) => Ok(serde_json::from_str(&json).expect("it answers JSON")),
        Ok(Answer::FunctionError { message, .. }) => Err(message),
        Ok(Answer::Throttled) => panic!("one invocation at a time is never throttled"),
        // What is no JSON never reaches the function, here as on Lambda.
        Err(refused) => Err(refused.to_string()),
    };
    let messages = std::mem::take(&mut *messages.lock().expect("no test panics here"));
    let letters: Vec<DeadLetter> =
        messages.iter().map(|message| DeadLetter::from_json(message).expect("an envelope")).collect();
    Outcome { answer, dead_letters: sorted(&letters) }
}

/// The program beside this test's own folder, where `cargo test --workspace` builds it.
fn program() -> Option<PathBuf> {
    let test = std::env::current_exe().ok()?;
    let program = test.parent()?.parent()?.join("stream-processor");
    let is_required = std::env::var_os("LAMBDA_STREAMS_REQUIRE_BOOTSTRAP").is_some();
    assert!(program.exists() || !is_required, "{} is not built: `cargo test --workspace` does it", program.display());
    program.exists().then_some(program)
}

fn corpus() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let folder = std::env::var_os("LAMBDA_STREAMS_CORPUS").map_or(beside, PathBuf::from);
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
async fn the_example_function_gives_the_same_outcome_as_in_process_for_every_file_of_the_corpus() {
    let (Some(program), Some(folder)) = (program(), corpus()) else {
        println!("skipped: it needs the program `stream-processor` (cargo test --workspace) and the corpus");
        return;
    };
    let messages = Arc::<Mutex<Vec<String>>>::default();
    let inbox = Arc::clone(&messages);
    let script = Script::batches(move |call, _| {
        let bodies = call.entries().iter().map(|entry| entry["MessageBody"].as_str().expect("a text").to_owned());
        inbox.lock().expect("no test panics here").extend(bodies);
        SqsAnswer::batch(call, |_| None)
    });
    let sqs = SqsServer::start(script).await;
    let function = Bootstrap::builder(program)
        .env("DLQ_URL", format!("{}/123456789012/dead", sqs.endpoint))
        .env("TABLE_NAME", "orders")
        .env("AWS_ENDPOINT_URL_SQS", &sqs.endpoint)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "local")
        .env("AWS_SECRET_ACCESS_KEY", "local")
        .on_output(|_| {})
        .start()
        .await
        .expect("it starts");

    let (mut same, mut not_text, mut letters, mut wrong) = (0, 0, 0, Vec::new());
    for file in files(&folder) {
        // Lambda delivers JSON, which is UTF-8: what is not can be no payload.
        let Ok(body) = String::from_utf8(std::fs::read(&file).expect("it can be read")) else {
            not_text += 1;
            continue;
        };
        let here = in_process(&body).await;
        let there = in_bootstrap(&function, &messages, &body).await;
        letters += here.dead_letters.len();
        let both_refuse = here.answer.is_err() && there.answer.is_err();
        match (here.answer == there.answer || both_refuse) && here.dead_letters == there.dead_letters {
            true => same += 1,
            false => wrong.push(format!("{}: here {here:?}, there {there:?}", file.display())),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(same > 150 && letters > 100, "the corpus was read: {same} files, {letters} dead letters");
    assert_eq!(function.environments_started(), 1, "no file ended the function");
    println!("{same} files came to the same, with {letters} dead letters; {not_text} are not UTF-8");
}
