//! The delivery with functions that a test makes up, on a paused clock.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use futures::stream;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::*;

type Answering = dyn Fn(&[String], usize) -> Response + Send + Sync;

/// Answers as the closure says; it gets the names of the records, and how often it was called before.
struct Scripted {
    answer: Box<Answering>,
    /// How long each invocation takes.
    takes: Duration,
    /// The names of each invocation's records.
    calls: Mutex<Vec<Vec<String>>>,
    in_flight: Mutex<HashSet<String>>,
}

impl Scripted {
    fn new(answer: impl Fn(&[String], usize) -> Response + Send + Sync + 'static) -> Self {
        let takes = Duration::from_millis(10);
        Self { answer: Box::new(answer), takes, calls: Mutex::default(), in_flight: Mutex::default() }
    }

    fn calls(&self) -> Vec<Vec<String>> {
        self.calls.lock().unwrap().clone()
    }
}

impl Function for Scripted {
    async fn invoke(&self, payload: String, _: Duration) -> Result<Response, InvokeError> {
        let event: Value = serde_json::from_str(&payload).unwrap();
        let names = event["Records"].as_array().unwrap().iter();
        let names: Vec<String> =
            names.map(|record| record["dynamodb"]["SequenceNumber"].as_str().unwrap().into()).collect();
        let items: Vec<String> = names.iter().map(|name| item_of(name).to_string()).collect();
        for item in items.iter().collect::<HashSet<_>>() {
            assert!(self.in_flight.lock().unwrap().insert(item.clone()), "item {item} is in two invocations at once");
        }
        let before = self.calls.lock().unwrap().len();
        self.calls.lock().unwrap().push(names.clone());
        tokio::time::sleep(self.takes).await;
        self.in_flight.lock().unwrap().retain(|item| !items.contains(item));
        Ok((self.answer)(&names, before))
    }

    fn function_arn(&self) -> String {
        "arn:aws:lambda:eu-central-1:123456789012:function:orders".to_owned()
    }
}

/// Record 107 is of item 7.
fn item_of(name: &str) -> u64 {
    name.parse::<u64>().unwrap() % 100
}

fn parcel(number: u64) -> Parcel {
    let json = json!({"eventSource": "aws:dynamodb", "eventName": "INSERT", "dynamodb": {"SequenceNumber": number.to_string()}});
    Parcel { json: json.to_string(), name: number.to_string(), item: number % 100, tag: number }
}

/// The answer of a function of this crate that leaves these.
fn listed<'a>(left: impl IntoIterator<Item = &'a str>) -> Response {
    let left: Vec<Value> = left.into_iter().map(|name| json!({"itemIdentifier": name})).collect();
    let answer = json!({"batchItemFailures": left, "lambdaStreams": {"everyFailureIsListed": true, "succeeded": 1}});
    Response::Returned(answer.to_string())
}

/// The answer of any other function that stops at this record.
fn checkpoint(name: &str) -> Response {
    Response::Returned(json!({"batchItemFailures": [{"itemIdentifier": name}]}).to_string())
}

fn error() -> Response {
    Response::FunctionError { error_type: "Oh".to_owned(), message: "no".to_owned() }
}

struct Ran {
    outcomes: BTreeMap<u64, Outcome>,
    delivered: Delivered,
}

impl Ran {
    fn done(&self) -> usize {
        self.outcomes.values().filter(|outcome| **outcome == Outcome::Done).count()
    }
}

async fn run_until(
    function: &Scripted,
    numbers: impl IntoIterator<Item = u64>,
    (batch_size, concurrency): (usize, usize),
    stop: impl Future<Output = ()>,
) -> Ran {
    let size = |size| NonZeroUsize::new(size).unwrap();
    let limits = Limits {
        batch_size: size(batch_size),
        concurrency: size(concurrency),
        attempts: 3,
        timeout: Duration::from_secs(30),
    };
    let delivery = Delivery { function, form: Form::Replay { stale: None }, limits, observe: &|_| {} };
    let mut outcomes = BTreeMap::new();
    let parcels = stream::iter(numbers.into_iter().map(|number| Ok(parcel(number))));
    let settle = async |settled: Vec<Settled>| {
        for Settled { tag, outcome, .. } in settled {
            assert_eq!(outcomes.insert(tag, outcome), None, "{tag} is settled twice");
        }
        Ok(())
    };
    let delivered = delivery.run(parcels, settle, stop).await.unwrap();
    Ran { outcomes, delivered }
}

async fn run(function: &Scripted, numbers: impl IntoIterator<Item = u64>, limits: (usize, usize)) -> Ran {
    run_until(function, numbers, limits, std::future::pending()).await
}

#[tokio::test(start_paused = true)]
async fn all_records_are_sent_once_in_the_order_of_their_items() {
    let function = Scripted::new(|_, _| listed([]));
    let ran = run(&function, 100..1_100, (7, 3)).await;
    assert_eq!(ran.done(), 1_000);
    assert_eq!(ran.delivered.counts.succeeded as usize, function.calls().len());
    let mut last: HashMap<u64, u64> = HashMap::new();
    for name in function.calls().concat() {
        let number = name.parse().unwrap();
        assert!(last.insert(number % 100, number).is_none_or(|last| last < number), "{name} comes after {last:?}");
    }
    assert!(function.calls().iter().all(|names| names.len() <= 7));
    assert_eq!(function.calls().concat().len(), 1_000);
}

#[tokio::test(start_paused = true)]
async fn only_what_a_function_lists_is_repeated() {
    let function = Scripted::new(|_, before| if before == 0 { listed(["102", "104"]) } else { listed([]) });
    let ran = run(&function, 101..=105, (10, 1)).await;
    assert_eq!(function.calls(), [vec!["101", "102", "103", "104", "105"], vec!["102", "104"]]);
    assert_eq!(ran.done(), 5);
}

#[tokio::test(start_paused = true)]
async fn after_a_checkpoint_everything_is_repeated() {
    let function = Scripted::new(|_, before| match before {
        0 => checkpoint("103"),
        _ => Response::Returned("null".to_owned()),
    });
    let ran = run(&function, 101..=105, (10, 1)).await;
    assert_eq!(function.calls()[1], ["103", "104", "105"]);
    assert_eq!(ran.done(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_stays_listed_fails_and_holds_back_its_item() {
    let function = Scripted::new(|names, _| listed(names.iter().map(String::as_str).filter(|name| *name == "102")));
    let ran = run(&function, [101, 102, 202, 103, 302], (2, 1)).await;
    assert!(matches!(&ran.outcomes[&102], Outcome::Failed(reason) if reason.contains("every attempt")));
    assert_eq!([&ran.outcomes[&202], &ran.outcomes[&302]], [&Outcome::HeldBack; 2]);
    assert_eq!([&ran.outcomes[&101], &ran.outcomes[&103]], [&Outcome::Done; 2]);
    let sent = function.calls().concat().iter().filter(|name| *name == "102").count();
    assert_eq!(sent, 3, "each attempt is made");
}

#[tokio::test(start_paused = true)]
async fn a_poison_pill_at_a_checkpoint_does_not_condemn_what_follows_it() {
    let function = Scripted::new(|names, _| match names.iter().any(|name| name == "103") {
        true => checkpoint("103"),
        false => Response::Returned(r#"{"batchItemFailures":[]}"#.to_owned()),
    });
    let ran = run(&function, [101, 102, 103, 104, 203, 105], (10, 1)).await;
    assert!(matches!(ran.outcomes[&103], Outcome::Failed(_)));
    assert_eq!(ran.outcomes[&203], Outcome::HeldBack);
    assert_eq!(ran.done(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_fails_as_a_whole_is_halved_to_the_record_that_fails_it() {
    let function = Scripted::new(|names, _| if names.iter().any(|name| name == "137") { error() } else { listed([]) });
    let ran = run(&function, 100..200, (100, 1)).await;
    assert_eq!(ran.outcomes[&137], Outcome::Failed("the function failed with Oh: no".to_owned()));
    assert_eq!(ran.done(), 99);
    assert_eq!(ran.delivered.broken, None);
}

#[tokio::test(start_paused = true)]
async fn a_function_that_always_fails_ends_the_run_and_nothing_is_settled() {
    let function = Scripted::new(|_, _| error());
    let ran = run(&function, 100..1_000, (100, 2)).await;
    assert_eq!(ran.delivered.broken.as_deref(), Some("the function failed with Oh: no"));
    assert!(ran.outcomes.is_empty(), "{:?}", ran.outcomes);
    assert!(function.calls().len() <= 60, "{} invocations", function.calls().len());
}

#[tokio::test(start_paused = true)]
async fn a_poison_pill_at_the_front_of_a_batch_does_not_end_the_run() {
    let is_poison = |name: &String| ["100", "101", "150"].contains(&name.as_str());
    let function = Scripted::new(move |names, _| if names.iter().any(is_poison) { error() } else { listed([]) });
    let ran = run(&function, 100..200, (100, 1)).await;
    assert_eq!(ran.delivered.broken, None);
    assert_eq!(ran.done(), 97);
    assert_eq!(ran.outcomes[&101], Outcome::Failed("the function failed with Oh: no".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn records_that_a_deadline_leaves_unread_cost_no_attempt_while_others_are_done() {
    // Of each invocation, the first ten are done in time.
    let function = Scripted::new(|names, _| listed(names.iter().skip(10).map(String::as_str)));
    let ran = run(&function, 100..200, (100, 1)).await;
    assert_eq!((ran.done(), function.calls().len()), (100, 10));
}

#[tokio::test(start_paused = true)]
async fn a_record_of_a_halved_batch_has_all_of_its_attempts() {
    let failures = std::sync::atomic::AtomicU32::new(0);
    let function = Scripted::new(move |names, _| {
        if names.iter().any(|name| name == "100") {
            return error();
        }
        // The first two of its attempts fail.
        let fails = names.iter().any(|name| name == "103") && failures.fetch_add(1, Ordering::Relaxed) < 2;
        listed(fails.then_some("103"))
    });
    let ran = run(&function, 100..104, (4, 1)).await;
    assert_eq!(ran.outcomes[&103], Outcome::Done);
    assert_eq!(ran.done(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_follows_many_held_back_records_is_sent() {
    let function = Scripted::new(|names, _| listed(names.iter().map(String::as_str).filter(|name| *name == "102")));
    let numbers = (0..20).map(|version| 102 + 100 * version).chain([103, 104]);
    let ran = run(&function, numbers, (1, 1)).await;
    assert_eq!((ran.outcomes.len(), ran.done()), (22, 2), "{:?}", ran.outcomes);
}

#[tokio::test(start_paused = true)]
async fn what_is_in_flight_is_waited_for_when_the_input_fails() {
    let function = Scripted::new(|_, _| listed([]));
    let limits = Limits {
        batch_size: NonZeroUsize::MIN,
        concurrency: NonZeroUsize::MIN,
        attempts: 3,
        timeout: Duration::from_secs(30),
    };
    let delivery = Delivery { function: &function, form: Form::Backfill, limits, observe: &|_| {} };
    let broken = stream::once(async { Err(Failure::failed("the table cannot be read")) });
    let parcels = stream::iter([Ok(parcel(101)), Ok(parcel(102))]).chain(broken);
    let mut done = Vec::new();
    let settle = async |settled: Vec<Settled>| {
        done.extend(settled.into_iter().map(|settled| settled.tag));
        Ok(())
    };
    let ended = delivery.run(parcels, settle, std::future::pending()).await;
    assert_eq!(ended.unwrap_err().to_string(), "the table cannot be read");
    assert_eq!(function.calls().len(), done.len(), "what was sent is settled: {done:?}");
}

#[tokio::test(start_paused = true)]
async fn throttles_cost_no_attempt() {
    let function = Scripted::new(|_, before| if before < 20 { Response::Throttled } else { listed([]) });
    let began = tokio::time::Instant::now();
    assert_eq!(run(&function, 100..105, (10, 1)).await.done(), 5);
    assert!(began.elapsed() > Duration::from_secs(4 * 60), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_say_what_is_done_settles_nothing_as_done() {
    let unclear = [
        r#"{"batchItemFailure":[]}"#,
        r#""ok""#,
        "{",
        r#"{"batchItemFailures":[{"itemIdentifier":"999"}]}"#,
        r#"{"batchItemFailures":[{"itemIdentifier":""}],"lambdaStreams":{"everyFailureIsListed":true}}"#,
        r#"{"batchItemFailures":[{"itemIdentifier":"7"}],"lambdaStreams":{"everyFailureIsListed":true}}"#,
        r##"{"batchItemFailures":[{"itemIdentifier":"#1"}],"lambdaStreams":{"everyFailureIsListed":true}}"##,
    ];
    for answer in unclear {
        let function = Scripted::new(move |_, _| Response::Returned(answer.to_owned()));
        let ran = run(&function, [101], (10, 1)).await;
        assert!(matches!(ran.outcomes[&101], Outcome::Failed(_)), "{answer}: {:?}", ran.outcomes);
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_without_a_name_is_listed_by_its_position() {
    let function = Scripted::new(|_, before| if before == 0 { listed(["#1"]) } else { listed([]) });
    let ran = run(&function, [101, 102, 103], (10, 1)).await;
    assert_eq!(function.calls()[1], ["102"]);
    assert_eq!(ran.done(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_what_is_in_flight_and_leaves_the_rest() {
    let (stop, stopping) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let inner = Arc::clone(&stopping);
    let function = Scripted::new(move |names, before| {
        if before == 1 {
            inner.notify_one();
        }
        listed(names.iter().map(String::as_str).filter(|name| *name == "105"))
    });
    let stops = async {
        stopping.notified().await;
        stop.notified().await;
    };
    stop.notify_one();
    let ran = run_until(&function, 100..200, (5, 1), stops).await;
    assert!(ran.delivered.is_stopped);
    assert_eq!(function.calls().len(), 2, "the piece that waits for its next attempt is left");
    assert_eq!(ran.outcomes.keys().copied().collect::<Vec<_>>(), (100..105).chain(106..110).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_function_that_cannot_be_invoked_ends_the_run() {
    struct Denied;
    impl Function for Denied {
        async fn invoke(&self, _: String, _: Duration) -> Result<Response, InvokeError> {
            Err(InvokeError::new("lambda:InvokeFunction is denied"))
        }
        fn function_arn(&self) -> String {
            String::new()
        }
    }
    let one = NonZeroUsize::MIN;
    let limits = Limits { batch_size: one, concurrency: one, attempts: 3, timeout: Duration::from_secs(1) };
    let delivery = Delivery { function: &Denied, form: Form::Backfill, limits, observe: &|_| {} };
    let parcels = stream::iter([Ok(parcel(101))]);
    let ended = delivery.run(parcels, async |_| panic!("nothing is settled"), std::future::pending()).await;
    assert_eq!(ended.unwrap_err().to_string(), "lambda:InvokeFunction is denied");
}

/// Cannot be invoked after so many invocations.
struct Closing {
    after: usize,
    error: InvokeError,
    calls: Mutex<usize>,
}

impl Function for Closing {
    async fn invoke(&self, _: String, _: Duration) -> Result<Response, InvokeError> {
        let mut calls = self.calls.lock().unwrap();
        *calls += 1;
        if *calls > self.after { Err(self.error.clone()) } else { Ok(listed([])) }
    }

    fn function_arn(&self) -> String {
        "arn:aws:lambda:eu-central-1:123456789012:function:orders".to_owned()
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_was_started_where_the_first_invocation_is_refused() {
    let table = [
        (0, InvokeError::refused("AccessDenied"), ExitCode::from(2)),
        (0, InvokeError::new("the connection was reset"), ExitCode::from(1)),
        (1, InvokeError::refused("AccessDenied"), ExitCode::from(1)),
    ];
    for (after, error, expected) in table {
        let function = Closing { after, error: error.clone(), calls: Mutex::default() };
        let one = NonZeroUsize::new(1).unwrap();
        let limits = Limits { batch_size: one, concurrency: one, attempts: 3, timeout: Duration::from_secs(30) };
        let delivery = Delivery { function: &function, form: Form::Backfill, limits, observe: &|_| {} };
        let parcels = stream::iter((0..3).map(|number| Ok(parcel(number))));
        let ended = delivery.run(parcels, async |_| Ok(()), std::future::pending()).await;
        let failure = ended.unwrap_err();
        assert_eq!((failure.to_string(), failure.exit_code()), (error.to_string(), expected), "after {after}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_function_s_message_is_shown_in_one_line_of_a_bounded_length() {
    let message = format!("it ended:\r\n\n  {{\"level\":\"ERROR\"}}\n{}", "ä".repeat(5_000));
    let function = Scripted::new(move |_, _| Response::FunctionError {
        error_type: "Runtime.ExitError".to_owned(),
        message: message.clone(),
    });
    let ran = run_until(&function, [1], (1, 1), std::future::pending()).await;
    let Some(Outcome::Failed(reason)) = ran.outcomes.get(&1) else { panic!("{:?}", ran.outcomes) };
    let begin = "the function failed with Runtime.ExitError: it ended: / {\"level\":\"ERROR\"} / ää";
    assert!(reason.starts_with(begin) && reason.ends_with("ä …") && reason.lines().count() == 1, "{reason}");
    assert!(reason.chars().count() < 1_100);
}
