//! The log has every failure, and never a value of an item.

use std::time::Duration;

use lambda_streams::{
    DeadLetterEvent, Deadline, FailurePolicy, HandlerError, Invocation, Lanes, LogFormat, Logs, Origin,
    ProcessorBuilder, Record, Remove, RetryPolicy, StreamProcessor,
};
use serde_json::{Value, json};
use tracing::{Level, subscriber::DefaultGuard};
use tracing_subscriber::layer::SubscriberExt;

use crate::support::emf::Written;
use crate::support::{Act, Change, Reply, Script, TestQueue, change, event, inserts, sequence_number};

fn logs(written: &Written) -> Logs {
    Logs::from_env().format(LogFormat::Json).function_name("orders").writer(written.clone())
}

fn listen(logs: Logs) -> DefaultGuard {
    crate::support::listen(tracing_subscriber::registry().with(logs.into_layer()))
}

/// The lines that were written, each in one piece.
fn lines(written: &Written) -> Vec<String> {
    let lines = written.take().into_iter();
    lines.inspect(|line| assert_eq!(line.find('\n'), Some(line.len() - 1), "one line, whole: {line}")).collect()
}

fn parse(written: &Written) -> Vec<Value> {
    lines(written).iter().map(|line| serde_json::from_str(line).expect("one JSON value a line")).collect()
}

fn invocation() -> Invocation {
    let mut invocation = Invocation::from(Deadline::none());
    invocation.request_id = "request-1".to_owned();
    invocation.trace_header =
        Some("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1".to_owned());
    invocation
}

/// The log of one batch.
async fn log(level: Level, builder: ProcessorBuilder, batch: &[Change]) -> Vec<Value> {
    let written = Written::default();
    let _guard = listen(logs(&written).level(level));
    builder.build().unwrap().process(event(batch), invocation()).await;
    parse(&written)
}

fn with(script: &Script) -> ProcessorBuilder {
    StreamProcessor::builder().on_record(script.clone()).without_dead_letter_queue()
}

/// The line has these members; `null` means that it lacks one.
fn assert_has(line: &Value, expected: Value) {
    for (name, value) in expected.as_object().expect("an object") {
        assert_eq!(&line[name], value, "{name} of {line}");
    }
}

fn failures(lines: &[Value]) -> Vec<&Value> {
    lines.iter().filter(|line| line["message"] == "record failed").collect()
}

#[tokio::test(start_paused = true)]
async fn every_line_has_time_level_invocation_and_message() {
    let script = Script::new([("item-0", Act::FailTimes(1)), ("item-1", Act::FailPermanently)]);
    let lines = log(Level::TRACE, with(&script), &inserts(3)).await;
    assert!(lines.len() >= 4);
    for line in &lines {
        let time = line["timestamp"].as_str().unwrap();
        assert_eq!(time.len(), "2026-01-01T00:00:00.000Z".len());
        humantime::parse_rfc3339(time).expect("RFC 3339");
        assert!(["INFO", "WARN", "DEBUG"].contains(&line["level"].as_str().unwrap()), "{line}");
        let trace = "1-5759e988-bd862e3fe1be46a994272793";
        assert_has(line, json!({"requestId": "request-1", "functionName": "orders", "xrayTraceId": trace}));
        assert_has(line, json!({"aws.dynamodb.table_names": "orders", "messaging.batch.message_count": 3}));
        assert!(!line["message"].as_str().unwrap().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_line_names_record_error_and_next_step() {
    let script = Script::new([("item-0", Act::FailPermanently), ("item-1", Act::FailTimes(1)), ("item-2", Act::Fail)]);
    let lines = log(Level::INFO, with(&script).dead_letter_queue(TestQueue::default()), &inserts(3)).await;
    let failures = failures(&lines);
    let of = |number: usize| -> Vec<&&Value> {
        failures.iter().filter(|line| line["event_id"] == format!("event-{number}")).collect()
    };
    let next = |number| of(number).iter().map(|line| line["next"].as_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(next(0), ["dead-lettered"]);
    assert_eq!(next(1), ["retried"]);
    assert_eq!(next(2), ["retried", "retried", "reported"]);
    assert_has(
        of(0)[0],
        json!({
            "level": "WARN", "sequence_number": sequence_number(0), "position": 0, "kind": "INSERT", "keys": "id",
            "error.type": "handler", "error": "no such customer", "attempts": 1, "delay_ms": null, "dead_letter_error": null,
        }),
    );
    assert_has(of(2)[2], json!({"error": "the index is down", "attempts": 3}));
    assert!(of(1)[0]["delay_ms"].as_f64().is_some_and(|delay| (0.0..=100.0).contains(&delay)));
}

#[tokio::test(start_paused = true)]
async fn a_failure_after_the_checkpoint_is_held_back() {
    let builder = StreamProcessor::builder().on_record(|record: lambda_streams::Record| async move {
        let first = record.event_id() == Some("event-0");
        tokio::time::sleep(Duration::from_secs(if first { 1 } else { 2 })).await;
        Err(if first { HandlerError::permanent("no such customer") } else { "the index is down".into() })
    });
    let lines = log(Level::INFO, builder, &inserts(2)).await;
    let nexts: Vec<_> = failures(&lines).iter().map(|line| line["next"].clone()).collect();
    assert_eq!(nexts, ["reported", "held back"]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_not_accepted_says_why() {
    let script = Script::new([("item-0", Act::FailPermanently)]);
    let lines = log(Level::INFO, with(&script).dead_letter_queue(TestQueue::new(Reply::Refuse)), &inserts(1)).await;
    assert_has(failures(&lines)[0], json!({"next": "reported", "dead_letter_error": "the queue is down"}));
}

#[tokio::test(start_paused = true)]
async fn a_malformed_record_logs_what_is_known() {
    let batch = [change(0, "a", 0).without("/eventName"), Change::raw("null")];
    let lines = log(Level::INFO, with(&Script::default()).dead_letter_queue(TestQueue::default()), &batch).await;
    let failures = failures(&lines);
    assert_has(failures[0], json!({"event_id": "event-0", "keys": "id", "error.type": "malformed", "attempts": 0}));
    assert_has(failures[0], json!({"error": "`eventName` is missing"}));
    assert_has(failures[1], json!({"event_id": null, "keys": null, "position": 1}));
}

#[tokio::test(start_paused = true)]
async fn lanes_by_an_attribute_that_is_not_a_key_are_logged_once() {
    let written = Written::default();
    let _guard = listen(logs(&written).level(Level::WARN));
    let processor = with(&Script::default()).lanes(Lanes::per_key_attribute("customer")).build().unwrap();
    for batch in [inserts(2), inserts(3)] {
        processor.clone().process(event(&batch), invocation()).await;
    }
    let lines = parse(&written);
    assert_eq!(lines.len(), 1, "{lines:?}");
    let message = "`Lanes::per_key_attribute` names an attribute that is not a key attribute of the table: its records run one \
                   after the other";
    assert_has(&lines[0], json!({"message": message, "attribute": "customer", "table": "orders", "keys": "id"}));
}

/// The warnings of three batches.
async fn warnings(builder: ProcessorBuilder, invocation: Invocation) -> Vec<Value> {
    let written = Written::default();
    let _guard = listen(logs(&written).level(Level::WARN));
    let processor = builder.build().unwrap();
    for _ in 0..3 {
        processor.clone().process(event(&inserts(1)), invocation.clone()).await;
    }
    parse(&written)
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_neither_set_nor_declined_is_warned_of_once() {
    let unsaid = || StreamProcessor::builder().on_record(Script::default());
    let lines = warnings(unsaid(), invocation()).await;
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_has(&lines[0], json!({"level": "WARN", "requestId": "request-1"}));
    let message = lines[0]["message"].as_str().unwrap();
    assert!(message.starts_with("there is no dead-letter queue: a record that keeps failing holds up its shard"));

    let said = [
        unsaid().without_dead_letter_queue(),
        unsaid().failure_policy(FailurePolicy::ReportAll),
        unsaid().dead_letter_queue(TestQueue::default()),
    ];
    for builder in said {
        assert_eq!(warnings(builder, invocation()).await, [Value::Null; 0]);
    }
    let mut on_demand = invocation();
    on_demand.origin = Origin::OnDemand;
    assert_eq!(warnings(unsaid(), on_demand).await, [Value::Null; 0], "it has no shard");
}

#[tokio::test(start_paused = true)]
async fn giving_up_after_the_stream_has_forgotten_the_record_is_warned_of_once() {
    let with_queue = || StreamProcessor::builder().on_record(Script::default()).dead_letter_queue(TestQueue::default());
    let day = Duration::from_secs(86_400);
    let lines = warnings(with_queue().give_up_after(day + Duration::from_secs(1)), invocation()).await;
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_has(&lines[0], json!({"level": "WARN", "give_up_after_seconds": 86_401}));
    assert_eq!(warnings(with_queue().give_up_after(day), invocation()).await, [Value::Null; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_margin_that_leaves_no_time_is_warned_of_once() {
    let with = || with(&Script::default());
    let second = Duration::from_secs(1);
    let mut invocation = invocation();
    invocation.deadline = Deadline::after(second);
    let lines = warnings(with().deadline_margin(second), invocation.clone()).await;
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_has(&lines[0], json!({"level": "WARN", "deadline_margin_ms": 1_000}));
    let shorter = second - Duration::from_nanos(1);
    for (builder, left) in
        [(with().deadline_margin(shorter), second), (with().deadline_margin(second), Duration::ZERO), (with(), second)]
    {
        invocation.deadline = Deadline::after(left);
        let lines = warnings(builder, invocation.clone()).await;
        assert!(lines.iter().all(|line| line["deadline_margin_ms"].is_null()), "{lines:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_logged_without_its_message() {
    let script = Script::new([("item-0", Act::Panic)]);
    let lines = log(Level::TRACE, with(&script).dead_letter_queue(TestQueue::default()), &inserts(1)).await;
    assert_has(
        failures(&lines)[0],
        json!({"error.type": "panic", "error": "the handler panicked", "next": "dead-lettered"}),
    );
    assert!(lines.iter().all(|line| !line.to_string().contains("a bug in the handler")));
}

#[tokio::test(start_paused = true)]
async fn a_batch_ends_with_one_line_of_counts() {
    let script = Script::new([("item-1", Act::FailPermanently), ("item-2", Act::FailTimes(1))]);
    let mut batch = inserts(4);
    batch.push(change(4, "item-0", 1));
    batch.push(Change::raw("null"));
    let lines = log(Level::INFO, with(&script).dead_letter_queue(TestQueue::default()), &batch).await;
    let ends: Vec<_> = lines.iter().filter(|line| line["message"] == "batch processed").collect();
    assert_eq!(ends.len(), 1);
    assert_has(
        ends[0],
        json!({
            "level": "INFO", "total": 6, "inserted": 4, "modified": 1, "removed": 0, "unreadable": 1, "succeeded": 4,
            "skipped": 0, "redelivered": 0, "failed": 2, "dead_lettered": 2, "reported": 0, "unfinished": 0,
            "held_back": 0, "retries": 1, "stopped_at_deadline": false,
        }),
    );
    assert!(ends[0]["duration_ms"].as_f64().is_some());
}

#[tokio::test(start_paused = true)]
async fn every_line_says_where_its_batch_comes_from() {
    let records = inserts(2).iter().map(Change::json).collect::<Vec<_>>().join(",");
    for (request, source) in [
        ("", "stream"),
        (r#""lambdaStreams":{"origin":"replay","answer":"list"},"#, "replay"),
        (r#""lambdaStreams":{"origin":"backfill","answer":"list"},"#, "backfill"),
    ] {
        let written = Written::default();
        let _guard = listen(logs(&written).level(Level::INFO));
        let processor = with(&Script::new([("item-1", Act::FailPermanently)])).build().unwrap();
        let payload = format!("{{{request}\"Records\":[{records}]}}").into_bytes();
        processor.process_invocation(payload, invocation()).await.unwrap();
        let lines = parse(&written);
        assert_eq!(lines.len(), 2, "a failure and the batch: {lines:?}");
        lines.iter().for_each(|line| assert_has(line, json!({"source": source})));
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_stop_warns_and_names_the_checkpoint() {
    let written = Written::default();
    let _guard = listen(logs(&written).level(Level::WARN));
    let processor = with(&Script::new([("item-1", Act::Hang)])).build().unwrap();
    processor.process(event(&inserts(3)), Deadline::after(Duration::from_secs(10))).await;
    let lines = parse(&written);
    assert_eq!(lines.len(), 1, "the level leaves out the line of the batch");
    assert_has(&lines[0], json!({"level": "WARN", "unfinished": 1, "checkpoint": "event-1"}));
}

/// The lines with this message: what they say, and the record that they name.
fn said(lines: &[Value], message: &str) -> Vec<(Value, Value)> {
    let own = lines.iter().filter(|line| line["message"] == message);
    own.map(|line| (line["said"].clone(), line["event_id"].clone())).collect()
}

#[tokio::test(start_paused = true)]
async fn handler_lines_name_the_invocation_and_the_record() {
    for (level, number) in [(Level::INFO, Value::Null), (Level::DEBUG, json!(sequence_number(0)))] {
        let builder = StreamProcessor::builder().on_record(|_| async {
            tracing::info!(step = 1, "handling");
            Ok(())
        });
        let lines = log(level, builder, &inserts(1)).await;
        let line = lines.iter().find(|line| line["message"] == "handling").unwrap();
        let expected = json!({"requestId": "request-1", "step": 1, "event_id": "event-0", "sequence_number": number});
        assert_has(line, expected);
        let line = lines.iter().find(|line| line["message"] == "batch processed").unwrap();
        assert_has(line, json!({"event_id": null}));
    }
}

#[tokio::test(start_paused = true)]
async fn lines_of_handlers_that_take_turns_name_the_right_record() {
    let builder = StreamProcessor::builder().on_record(|record: Record| async move {
        let id = record.event_id().unwrap_or_default().to_owned();
        for _ in 0..3 {
            tracing::info!(said = id, "handling");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let span = tracing::info_span!("inside");
        span.in_scope(|| tracing::info!(said = id, "handling"));
        Ok(())
    });
    let lines = log(Level::INFO, builder, &inserts(3)).await;
    let said = said(&lines, "handling");
    assert_eq!(said.len(), 12);
    assert!(said[..4].windows(2).all(|pair| pair[0] != pair[1]), "they take turns: {said:?}");
    for (said, event_id) in said {
        assert_eq!(said, event_id);
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_within_a_handler_leaves_the_handlers_record_as_it_was() {
    let inner = StreamProcessor::builder().on_record(|_| async {
        tracing::info!(said = "inner", "handling");
        tokio::time::sleep(Duration::from_millis(1)).await;
        tracing::info!(said = "inner", "handling");
        Ok(())
    });
    let inner = inner.build().unwrap();
    let builder = StreamProcessor::builder().on_record(move |_| {
        let inner = inner.clone();
        async move {
            tracing::info!(said = "outer", "handling");
            inner.process(event(&[change(7, "within", 0)]), Deadline::none()).await;
            tracing::info!(said = "outer", "handling");
            Ok(())
        }
    });
    let lines = log(Level::INFO, builder, &inserts(1)).await;
    let expected = [("outer", 0), ("inner", 7), ("inner", 7), ("outer", 0)];
    assert_eq!(
        said(&lines, "handling"),
        expected.map(|(said, number)| (json!(said), json!(format!("event-{number}"))))
    );
}

/// Says what its outcome is.
struct Says;

impl Drop for Says {
    fn drop(&mut self) {
        tracing::info!(said = "dropped", "handling");
    }
}

#[tokio::test(start_paused = true)]
async fn all_code_that_runs_for_a_record_names_it() {
    let acts = [
        ("panics", &["asked", "lane", "called", "own", "dropped"][..]),
        ("fails", &["asked", "lane", "called", "own", "dropped", "classified"]),
        ("hangs", &["asked", "lane", "called", "own", "dropped"]),
    ];
    for (act, expected) in acts {
        let builder = StreamProcessor::builder()
            .on_record(move |_| {
                tracing::info!(said = "called", "handling");
                async move {
                    let _says = Says;
                    tracing::info!(said = "own", event_id = "of the line", "handling");
                    match act {
                        "panics" => panic!("a bug in the handler"),
                        "fails" => Err("the index is down".into()),
                        _ => std::future::pending().await,
                    }
                }
            })
            .filter(|_| {
                tracing::info!(said = "asked", "handling");
                true
            })
            .lanes(Lanes::by_keys(|keys| {
                tracing::info!(said = "lane", "handling");
                keys.text("id").map(Into::into)
            }))
            .permanent_if(|_| {
                tracing::info!(said = "classified", "handling");
                true
            })
            .handler_timeout(Duration::from_secs(1))
            .retry(RetryPolicy::none());
        let lines = log(Level::INFO, builder, &inserts(1)).await;
        let of = |said: &str| if said == "own" { "of the line" } else { "event-0" };
        let expected: Vec<_> = expected.iter().map(|said| (json!(said), json!(of(said)))).collect();
        assert_eq!(said(&lines, "handling"), expected, "{act}");
    }
}

#[tokio::test(start_paused = true)]
async fn concurrent_invocations_keep_their_request_ids() {
    let written = Written::default();
    let _guard = listen(logs(&written));
    let script = Script::new([("slow", Act::Take(Duration::from_secs(1)))]);
    let processor = with(&script).build().unwrap();
    let batch = |id: usize| {
        let (processor, mut invocation) = (processor.clone(), invocation());
        invocation.request_id = format!("request-{id}");
        let records: Vec<Change> =
            (0..=id).map(|number| change(100 * id + number, "slow", 0).without("/eventID")).collect();
        async move { processor.process(event(&records), invocation).await }
    };
    tokio::join!(batch(0), batch(1), batch(2), batch(3));
    let lines = parse(&written);
    for id in 0..4 {
        let own = lines.iter().filter(|line| line["requestId"] == format!("request-{id}"));
        let own: Vec<_> = own.filter(|line| line["message"] == "batch processed").collect();
        assert_eq!(own.len(), 1);
        assert_has(own[0], json!({"total": id + 1, "messaging.batch.message_count": id + 1}));
    }
}

#[test]
fn transport_lines_stay_at_info_unless_named() {
    let emit = || {
        tracing::trace!(target: "hyper_util::client", "wire");
        tracing::debug!(target: "aws_sdk_sqs::operation", "wire");
        tracing::trace!(target: "lambda_runtime::requests", "wire");
        tracing::info!(target: "hyper_util::client", "news");
        tracing::trace!(target: "orders::handlers", "own");
    };
    let count = |logs: Logs, written: &Written| {
        let guard = listen(logs);
        emit();
        drop(guard);
        let lines = parse(written);
        ["wire", "news", "own"].map(|message| lines.iter().filter(|line| line["message"] == message).count())
    };
    let written = Written::default();
    assert_eq!(count(logs(&written).level(Level::TRACE), &written), [0, 1, 1]);
    assert_eq!(count(logs(&written).level(Level::INFO), &written), [0, 1, 0]);
    assert_eq!(count(logs(&written).level(Level::ERROR), &written), [0, 0, 0]);
    let named = logs(&written).level(Level::WARN).target("aws_sdk_sqs", Level::DEBUG).target("orders", Level::TRACE);
    assert_eq!(count(named, &written), [1, 0, 1]);
}

#[test]
fn lambdas_own_fields_are_written_once() {
    let written = Written::default();
    let guard = listen(logs(&written));
    let outer =
        tracing::info_span!("runtime", requestId = "outer", xrayTraceId = "Root=1-a-b;Sampled=0", color = "red");
    outer.in_scope(|| tracing::info!(color = "blue", timestamp = 1, ratio = 0.5, deep = ?Some(1), "said"));
    drop(guard);
    let line = &lines(&written)[0];
    assert_eq!(line.matches("timestamp").count(), 1);
    let line: Value = serde_json::from_str(line).unwrap();
    assert_has(
        &line,
        json!({"requestId": "outer", "xrayTraceId": "1-a-b", "color": "blue", "ratio": 0.5, "deep": "Some(1)"}),
    );
}

#[test]
fn text_format_writes_one_line_per_event() {
    let written = Written::default();
    let guard = listen(logs(&written).format(LogFormat::Text));
    tracing::warn!(count = 2, name = "a\nb", "two lines\nof text");
    drop(guard);
    let line = lines(&written).remove(0);
    assert!(line.ends_with(" WARN two lines of text count=2 name=a b\n"), "{line}");
}

/// The longest line that CloudWatch keeps in one piece, with its own 26 bytes.
const MAX_EVENT: usize = 256 * 1024 - 26;

#[tokio::test(start_paused = true)]
async fn a_long_error_is_cut() {
    let builder = StreamProcessor::builder()
        .on_record(|_| async { Err(HandlerError::permanent("x".repeat(300_000))) })
        .dead_letter_queue(TestQueue::default());
    let lines = log(Level::INFO, builder, &inserts(1)).await;
    let error = failures(&lines)[0]["error"].as_str().unwrap();
    assert!((4_000..=4_096).contains(&error.len()), "{} bytes", error.len());
    assert!(error.starts_with("xxx") && error.ends_with(" bytes in all]"), "{}", &error[4_000..]);
}

#[test]
fn no_line_is_too_long_for_cloudwatch() {
    for format in [LogFormat::Json, LogFormat::Text] {
        let written = Written::default();
        let guard = listen(logs(&written).format(format).function_name("f".repeat(300_000)));
        let long = ["plain ", "\u{1}\n\"\\", "ä€😀"].map(|part| part.repeat(2_000_000 / part.len()));
        let span = tracing::info_span!("outer", requestId = long[1], trace = long[2], color = "red");
        span.in_scope(|| {
            tracing::info!(first = long[1], second = 2, third = ?long[2], "{}", long[0]);
            tracing::info!(size = 300, "{}", long[2]);
        });
        drop(guard);
        for line in lines(&written) {
            assert!(line.len() <= MAX_EVENT && line.len() > MAX_EVENT / 2, "{} bytes", line.len());
            if format == LogFormat::Json {
                let line: Value = serde_json::from_str(&line).expect("it is still JSON");
                assert!(line["message"].as_str().unwrap().ends_with(" bytes in all]"));
                assert!(line["omittedFields"].is_null() || line["omittedFields"].as_u64() > Some(0));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_kept_dead_letter_says_why() {
    let queue = TestQueue::default();
    let failing = StreamProcessor::builder().on_record(Script::new([("item-0", Act::FailPermanently)]));
    failing.dead_letter_queue(queue.clone()).build().unwrap().process(event(&inserts(1)), Deadline::none()).await;
    let message = |body: String| json!({"messageId": "m-1", "eventSource": "aws:sqs", "body": body});
    let letters: Vec<Value> = queue.letters().iter().map(|letter| message(letter.to_json())).collect();
    let redriven = DeadLetterEvent::from_slice(json!({"Records": letters}).to_string().as_bytes()).unwrap();

    let written = Written::default();
    let _guard = listen(logs(&written));
    let processor = StreamProcessor::builder().on_remove(|_: Remove<Value>| async { Ok(()) }).build().unwrap();
    processor.redrive(redriven, invocation()).await;
    let lines = parse(&written);
    let line = lines.iter().find(|line| line["message_id"] == "m-1").expect("a line about the message");
    assert_has(
        line,
        json!({
            "level": "WARN", "event_id": "event-0", "kind": "INSERT", "next": "reported",
            "reason": "there is no handler for its kind of change", "message": "the dead letter was skipped and is kept",
        }),
    );
}
