//! The queues in memory and in a file.

use std::error::Error;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lambda_streams::{
    DeadLetter, DeadLetterError, DeadLetterQueue, FileDeadLetterQueue, HandlerError, MemoryDeadLetterQueue, Record,
    StreamProcessor,
};

use crate::support::letters::{letter, record};
use crate::support::{inserts, process};

/// A file that is removed with the test.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let scratch = Self(std::env::temp_dir().join(format!("lambda-streams-{}-{name}", std::process::id())));
        std::fs::remove_file(&scratch.0).ok();
        scratch
    }

    fn letters(&self) -> Vec<DeadLetter> {
        let text = std::fs::read_to_string(&self.0).expect("the file is there");
        assert!(text.is_empty() || text.ends_with('\n'), "the last line is whole");
        text.lines().map(|line| DeadLetter::from_json(line).expect("each line is an envelope")).collect()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

#[tokio::test]
async fn the_memory_queue_is_shared_and_refuses_on_demand() {
    let queue = MemoryDeadLetterQueue::new();
    let letters: Vec<_> = (0..4).map(|n| letter(&n.to_string())).collect();
    queue.refuse_next(2);
    let answers = Arc::new(queue.clone()).send(&letters).await;
    let refused: Vec<bool> = answers.iter().map(Result::is_err).collect();
    assert_eq!(refused, [true, true, false, false]);
    let kept: Vec<_> = queue.letters().iter().map(|letter| letter.raw_json().to_owned()).collect();
    assert_eq!(kept, ["2", "3"]);
    assert_eq!(format!("{queue:?}"), "MemoryDeadLetterQueue { letters: 2, refusals: 0 }");
}

#[tokio::test]
async fn a_file_keeps_letters_as_readable_lines() -> Result<(), Box<dyn Error>> {
    let scratch = Scratch::new("lines");
    let queue = FileDeadLetterQueue::open(&scratch.0)?;
    let raws = ["null", "{\n \"a\": 1\r\n}", "\"\u{ffff}\"", r#"{"eventID": "1"}"#];
    let letters: Vec<_> = raws.iter().map(|raw| letter(raw)).collect();
    assert!(queue.send(&letters[..3]).await.iter().all(Result::is_ok));
    assert!(queue.clone().send(&letters[3..]).await.iter().all(Result::is_ok));
    let read: Vec<_> = scratch.letters().iter().map(|letter| letter.raw_json().to_owned()).collect();
    assert_eq!(read, raws);
    assert!(queue.send(&[]).await.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_file_survives_a_torn_line_and_its_removal() -> Result<(), Box<dyn Error>> {
    let scratch = Scratch::new("torn");
    let queue = FileDeadLetterQueue::open(&scratch.0)?;
    std::fs::write(&scratch.0, r#"{"version":1,"err"#)?;
    assert!(queue.send(&[letter("1")]).await[0].is_ok());
    let text = std::fs::read_to_string(&scratch.0)?;
    let lines: Vec<_> = text.lines().collect();
    assert_eq!((lines.len(), lines[0]), (2, r#"{"version":1,"err"#));
    assert_eq!(DeadLetter::from_json(lines[1])?.raw_json(), "1");

    std::fs::remove_file(&scratch.0)?;
    assert!(queue.send(&[letter("2")]).await[0].is_ok());
    assert_eq!(scratch.letters().len(), 1);
    Ok(())
}

#[tokio::test]
async fn an_unwritable_file_accepts_nothing() {
    let missing = std::env::temp_dir().join("lambda-streams-no-such-folder/letters.ndjson");
    assert!(FileDeadLetterQueue::open(&missing).is_err());
    if cfg!(target_os = "linux") {
        let full = FileDeadLetterQueue::open("/dev/full").expect("it opens");
        for answer in full.send(&[letter("1"), letter("2")]).await {
            let error = answer.expect_err("no byte fits").to_string();
            assert!(error.starts_with("the dead letter could not be written to /dev/full: "), "{error}");
        }
    }
}

#[tokio::test]
async fn a_file_has_a_record_as_text_only_if_it_has_lines() -> Result<(), Box<dyn Error>> {
    let scratch = Scratch::new("forms");
    let queue = FileDeadLetterQueue::open(&scratch.0)?;
    for (raw, member) in [("{}", "\"record\":{}"), ("{\n}", "\"recordText\":\"{"), ("{\r}", "\"recordText\":\"{")] {
        assert!(queue.send(&[letter(raw)]).await[0].is_ok());
        let text = std::fs::read_to_string(&scratch.0)?;
        let line = text.lines().last().expect("a line");
        assert!(line.contains(member), "{raw:?}: {line}");
    }
    Ok(())
}

#[test]
fn a_queues_error_is_transparent() {
    #[derive(Debug)]
    struct Refused(std::fmt::Error);
    impl std::fmt::Display for Refused {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("refused")
        }
    }
    impl Error for Refused {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }
    let error = lambda_streams::DeadLetterError::new(Refused(std::fmt::Error));
    assert_eq!(error.to_string(), "refused");
    assert!(error.source().is_some_and(|source| source.is::<std::fmt::Error>()), "{error:?}");
    let plain = lambda_streams::DeadLetterError::new("the bucket is gone");
    assert_eq!(format!("{plain:?}"), "DeadLetterError(\"the bucket is gone\")");
    assert!(plain.source().is_none());
}

/// Counts the calls that are in flight at once.
#[derive(Clone, Default)]
struct Counting {
    in_flight: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl DeadLetterQueue for Counting {
    async fn send(&self, letters: &[DeadLetter]) -> Vec<Result<(), DeadLetterError>> {
        let in_flight = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(in_flight, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        letters.iter().map(|_| Ok(())).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn at_most_eight_calls_are_in_flight() {
    let queue = Counting::default();
    let failing = |_: Record| async { Err(HandlerError::permanent("no such customer")) };
    let processor =
        StreamProcessor::builder().on_record(failing).dead_letter_queue(queue.clone()).concurrency(300).build();
    let report = process(&processor.unwrap(), &inserts(300)).await;
    assert_eq!(report.counts().dead_lettered, 300);
    assert_eq!(queue.most.load(Ordering::Relaxed), 8);
}

const CHILDREN: usize = 4;
const SENDS: usize = 25;

#[test]
fn processes_append_whole_lines_to_one_file() -> Result<(), Box<dyn Error>> {
    let scratch = Scratch::new("processes");
    let child = || {
        Command::new(std::env::current_exe()?)
            .args(["--exact", "dead_letter::queues::a_process_appends", "--ignored"])
            .env("DEAD_LETTER_FILE", &scratch.0)
            .stdout(std::process::Stdio::null())
            .spawn()
    };
    let children: Vec<_> = (0..CHILDREN).map(|_| child()).collect::<Result<_, _>>()?;
    for mut child in children {
        assert!(child.wait()?.success());
    }
    let letters = scratch.letters();
    assert_eq!(letters.len(), CHILDREN * SENDS * 8);
    Ok(())
}

#[test]
#[ignore = "runs as a child of the test above"]
fn a_process_appends() {
    let path = std::env::var("DEAD_LETTER_FILE").expect("the parent names the file");
    let queue = FileDeadLetterQueue::open(path).expect("the file opens");
    let text = "x".repeat(9000);
    std::thread::scope(|scope| {
        for task in 0..4 {
            let (queue, text) = (&queue, &text);
            scope.spawn(move || {
                let letters = [0, 1].map(|n| letter(&record("orders", &task.to_string(), n, text)));
                for _ in 0..SENDS {
                    let answers = futures::executor::block_on(queue.send(&letters));
                    assert!(answers.iter().all(Result::is_ok));
                }
            });
        }
    });
}
