//! Records that are read back from a stream, and items that have changed since.

use aws_sdk_dynamodb::types::{AttributeValue, StreamViewType};

use super::*;
use crate::fake_server::FakeServer;
use crate::streams_source::{Dynamo, item};

/// A table with changes, and the place of its records.
struct Table {
    dynamo: Dynamo,
    stream: String,
    shard: String,
    numbers: Vec<String>,
}

impl Table {
    async fn with_changes(ids: &[&str]) -> Self {
        let dynamo = Dynamo::start().await;
        dynamo.create_table("orders", Some(StreamViewType::NewAndOldImages)).await;
        for (version, id) in ids.iter().enumerate() {
            dynamo.put("orders", item(id, [("version", AttributeValue::N(version.to_string()))])).await;
        }
        let (stream, shard, numbers) = dynamo.stream("orders").await;
        assert_eq!(numbers.len(), ids.len());
        Self { dynamo, stream, shard, numbers }
    }

    fn place(&self, first: usize, last: usize, size: usize) -> Value {
        place(&self.shard, &self.stream, &self.numbers[first], &self.numbers[last], size)
    }

    fn endpoint(&self) -> [&str; 2] {
        ["--endpoint-url", &self.dynamo.endpoint]
    }
}

#[tokio::test]
async fn a_document_without_records_is_read_back_from_the_stream() {
    let table = Table::with_changes(&["a", "b", "c", "d", "e"]).await;
    let replay = Replay::new("place").with("LISTS", "1");
    let file = replay.file(&[table.place(1, 3, 3)]);
    let ran = replay.run(&with(&file, &table.endpoint())).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(replay.seen(), table.numbers[1..=3]);
    assert!(ran.stderr.contains("none of 3 items has changed since"), "{}", ran.stderr);
}

#[tokio::test]
async fn a_range_with_records_of_other_batches_is_refused_until_somebody_decides() {
    let table = Table::with_changes(&["a", "b", "c", "d"]).await;
    let replay = Replay::new("superset").with("LISTS", "1");
    let file = replay.file(&[table.place(0, 3, 2)]);
    let ran = replay.run(&with(&file, &table.endpoint())).await;
    assert_eq!((ran.code, replay.seen().len()), (Some(2), 0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("the batch had 2 records, but the stream has 4"), "{}", ran.stderr);
    for flag in ["--all", "--stale skip", "--filter"] {
        assert!(ran.stderr.contains(flag), "{}", ran.stderr);
    }
    let ids = r#"{"dynamodb":{"Keys":{"id":{"S":["a","c"]}}}}"#;
    let ran = replay.run(&[&[file.as_str(), "--filter", ids], &table.endpoint()[..]].concat()).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(replay.seen(), [table.numbers[0].clone(), table.numbers[2].clone()]);
    let ran = replay.run(&[&[file.as_str(), "--all"], &table.endpoint()[..]].concat()).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(
        replay.seen(),
        [table.numbers[1].clone(), table.numbers[3].clone()],
        "the others are done by an earlier run"
    );
}

/// A stream that has trimmed what is older than its record 200, on an endpoint that is made up.
async fn trimmed() -> FakeServer {
    let server = FakeServer::start([]).await;
    server.on_call(|operation, input| {
        let trimmed = || (400, json!({"__type": "com.amazonaws#TrimmedDataAccessException", "message": "trimmed"}));
        let shard = json!({"ShardId": "shard", "SequenceNumberRange": {"StartingSequenceNumber": "200"}});
        Some(match operation {
            "DescribeStream" => (200, json!({"StreamDescription": {"StreamArn": STREAM, "Shards": [shard]}})),
            "GetShardIterator" if input["ShardIteratorType"] == "AT_SEQUENCE_NUMBER" => match input["SequenceNumber"].as_str() {
                Some("150") => trimmed(),
                _ => (200, json!({"ShardIterator": "begin"})),
            },
            "GetShardIterator" => (200, json!({"ShardIterator": "begin"})),
            "GetRecords" if input["ShardIterator"] == "begin" => {
                let record = |number: &str| json!({
                    "eventID": number, "eventName": "INSERT",
                    "dynamodb": {"Keys": {"id": {"S": number}}, "SequenceNumber": number, "ApproximateCreationDateTime": 1},
                });
                let records = ["200", "201", "300"].map(record);
                (200, json!({"Records": records, "NextShardIterator": "end"}))
            }
            "GetRecords" => (200, json!({"Records": [], "NextShardIterator": "end"})),
            _ => return None,
        })
    });
    server
}

#[tokio::test]
async fn what_the_stream_has_trimmed_is_reported_and_the_document_stays() {
    let server = trimmed().await;
    let replay = Replay::new("trimmed").with("LISTS", "1");
    let file = replay.file(&[place("shard", STREAM, "150", "201", 3)]);
    let arguments = [file.as_str(), "--stale", "process", "--until-idle", "0.1", "--endpoint-url", &server.endpoint];
    let ran = replay.run(&arguments).await;
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("trimmed the records from 150 up to before 200: they are lost"), "{}", ran.stderr);
    assert_eq!(replay.seen(), ["200", "201"], "what is left of it is sent");
    assert!(ran.stdout.contains("1 document with records that are lost or missing"), "{}", ran.stdout);

    let replay = Replay::new("all-trimmed").with("LISTS", "1");
    let file = replay.file(&[place("shard", STREAM, "150", "160", 2)]);
    let arguments = [file.as_str(), "--stale", "process", "--until-idle", "0.1", "--endpoint-url", &server.endpoint];
    let ran = replay.run(&arguments).await;
    assert_eq!((ran.code, replay.seen().len()), (Some(1), 0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("the stream has trimmed all records from 150 to 160"), "{}", ran.stderr);
}

#[tokio::test]
async fn where_items_have_changed_since_a_script_has_to_say_what_to_do() {
    let table = Table::with_changes(&["a", "b", "a"]).await;
    let replay = Replay::new("late").with("LISTS", "1");
    let file = replay.file(&[table.place(0, 1, 2)]);
    let ran = replay.run(&with(&file, &table.endpoint())).await;
    assert_eq!((ran.code, replay.seen().len()), (Some(2), 0), "{}{}", ran.stdout, ran.stderr);
    for said in ["1 of 2 items have changed since", "--stale process", "--stale skip", "--compare-with-table"] {
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
    }
    let ran = replay.run(&[&[file.as_str(), "--compare-with-table"], &table.endpoint()[..]].concat()).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(replay.seen(), [table.numbers[1].clone()]);
    assert!(
        ran.stdout.contains(
            "1 record not sent, because its item has changed since. To send such records, use --stale process"
        ),
        "{}",
        ran.stdout
    );
    let dry = replay.run(&[&[file.as_str(), "--dry-run"], &table.endpoint()[..]].concat()).await;
    assert!(dry.stdout.contains("a run would ask what to do"), "{}", dry.stdout);
    let dry =
        replay.run(&[&[file.as_str(), "--dry-run", "--compare-with-table"], &table.endpoint()[..]].concat()).await;
    assert!(dry.stdout.contains("1 of them would be skipped"), "{}", dry.stdout);
    let process = [&[file.as_str(), "--stale", "process"], &table.endpoint()[..]].concat();
    let ran = replay.run(&process).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(replay.seen(), table.numbers[..1], "what was skipped is not done");
}

#[tokio::test]
async fn stale_records_are_only_left_to_a_function_that_can_tell_them() {
    let table = Table::with_changes(&["a", "a"]).await;
    let replay = Replay::new("stale").with("LISTS", "1");
    let file = replay.file(&[table.place(0, 0, 1)]);
    let arguments = [&[file.as_str(), "--stale", "skip"], &table.endpoint()[..]].concat();
    let ran = replay.run(&arguments).await;
    assert_eq!((ran.code, replay.seen().len()), (Some(2), 0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("the function's processor has no marks"), "{}", ran.stderr);
    let replay = replay.with("MARKS", "1");
    let ran = replay.run(&arguments).await;
    assert_eq!((ran.code, replay.seen().len()), (Some(0), 1), "{}{}", ran.stdout, ran.stderr);
}

#[tokio::test]
async fn a_stretch_of_the_stream_is_replayed() {
    let table = Table::with_changes(&["a", "b", "a"]).await;
    let replay = Replay::new("stretch").with("LISTS", "1");
    let stretch = ["--table", "orders", "--from", "1h", "--until-idle", "0.1"];
    let ran = replay.run(&[&stretch[..], &table.endpoint()[..], &["--stale", "process"]].concat()).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(replay.seen(), table.numbers);
    let nothing = ["--table", "orders", "--from", "3h", "--until", "2h", "--until-idle", "0.1", "--again"];
    let ran = replay.run(&[&nothing[..], &table.endpoint()[..]].concat()).await;
    assert_eq!((ran.code, replay.seen().len()), (Some(0), 0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("nothing is left to be sent"), "{}", ran.stdout);
}

#[tokio::test]
async fn a_dry_run_lists_and_sends_nothing() {
    let (dynamo, replay) = (Dynamo::start().await, Replay::new("dry"));
    let file = replay.file(&[document(&[record("111", "secret"), record("112", "b")])]);
    let ran =
        replay.run(&with(&file, &["--dry-run", "--region", "eu-central-1", "--endpoint-url", &dynamo.endpoint])).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(replay.seen().is_empty());
    assert!(ran.stderr.contains("it is unknown whether items have changed since: table `orders`"), "{}", ran.stderr);
    assert!(ran.stdout.contains("2 of 2 records to send"), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("nothing was sent: a run would send 2 records in at least 1 invocation"),
        "{}",
        ran.stdout
    );
    assert!(!ran.stdout.contains("secret") && !ran.stderr.contains("secret"), "nothing of an item is printed");
}

#[tokio::test]
async fn ctrl_c_ends_a_replay_that_reads_the_stream() {
    let server = trimmed().await;
    let replay = Replay::new("reading");
    let stretch = ["--stream", STREAM, "--from", "1h", "--until-idle", "3600", "--endpoint-url", &server.endpoint];
    let mut running = Running::of(&mut replay.command(&[&stretch[..], &PROCESS].concat()));
    server.called("GetRecords", 3).await;
    running.wait_for("reading").await;
    running.interrupt();
    let ran = running.end().await;
    assert_eq!(ran.code, Some(2), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("interrupted while the stream was read"), "{}", ran.stderr);
}

#[tokio::test]
async fn a_record_whose_keys_cannot_be_read_does_not_stop_a_comparison() {
    let table = Table::with_changes(&["a"]).await;
    let replay = Replay::new("keys").with("LISTS", "1");
    let mut torn = record("112", "b");
    torn["dynamodb"]["Keys"] = json!({"id": "secret"});
    let file = replay.file(&[elsewhere(document(&[torn]), &table.stream)]);
    let ran = replay.run(&[&[file.as_str(), "--compare-with-table"], &table.endpoint()[..]].concat()).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(replay.seen(), ["112"]);
    assert!(!ran.stderr.contains("secret"), "{}", ran.stderr);
}

#[tokio::test]
async fn a_stretch_begins_with_its_second() {
    let server = trimmed().await;
    let replay = Replay::new("second").with("LISTS", "1");
    let times = ["--from", "1970-01-01T00:00:01.7Z", "--until", "1970-01-01T00:00:02Z"];
    let more = ["--stream", STREAM, "--until-idle", "0.1", "--endpoint-url", &server.endpoint];
    let ran = replay.run(&[&times[..], &more, &PROCESS].concat()).await;
    assert_eq!((ran.code, replay.seen().len()), (Some(0), 3), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("a stream keeps its records for 24 hours"), "{}", ran.stderr);
}
