//! What must hold for any input: for the fuzzer in `fuzz/`, and for the bounded run in `tests/it/any_input.rs`.

use std::collections::{BTreeMap, HashMap};

use lambda_streams::{
    Change, DeadLetter, Deadline, HandlerError, InvocationReport, Lanes, Number, StreamEvent, StreamProcessor,
    from_image,
};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_dynamo::AttributeValue;

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime can be made");
    runtime.block_on(future)
}

fn processor(lanes: Lanes) -> StreamProcessor {
    let handler = |_: Change<IgnoredAny>| async { Ok::<(), HandlerError>(()) };
    StreamProcessor::builder().on_change(handler).lanes(lanes).build().expect("it has a handler")
}

/// What a payload is answered with that is processed as received.
fn answer(payload: &[u8]) -> Result<String, String> {
    let report = block_on(processor(Lanes::PerItem).process_payload(payload.to_vec(), Deadline::none()));
    let response = report.and_then(|report| report.response()).map_err(|error| error.to_string())?;
    Ok(serde_json::to_string(&response).expect("a response is JSON"))
}

/// An envelope is read or refused; what is read has every record, and every record is accounted for.
pub(crate) fn envelope(payload: &[u8]) {
    let event = match StreamEvent::from_slice(payload) {
        Ok(event) => event,
        Err(error) => return assert_eq!(answer(payload), Err(error.to_string())),
    };
    let text = std::str::from_utf8(payload).expect("what was read is text");
    let deserialized: StreamEvent = serde_json::from_str(text).expect("the runtime reads it too");
    for event in [&event, &deserialized] {
        let response = block_on(processor(Lanes::PerItem).process(event.clone(), Deadline::none())).response();
        let response = response.map(|response| serde_json::to_string(&response).expect("a response is JSON"));
        assert_eq!(answer(payload), response.map_err(|error| error.to_string()));
    }
    assert_eq!(deserialized.len(), event.len());
    assert_eq!(event.records().count(), event.len());
    let readable = event.records().flatten().inspect(|record| assert!(text.contains(record.raw_json()))).count();
    for lanes in [Lanes::PerItem, Lanes::WholeBatch] {
        let report = block_on(processor(lanes).process(event.clone(), Deadline::none()));
        assert_eq!(report.records().len(), event.len());
        let counts = report.counts();
        assert!(counts.succeeded <= readable);
        assert_eq!(counts.succeeded + counts.reported + counts.held_back, event.len());
        match report.response() {
            Ok(response) => assert_eq!(response.checkpoint().is_some(), report.checkpoint().is_some()),
            Err(error) => assert!(error.is_unreportable(), "{error}"),
        }
    }
}

/// An invocation's payload, from any caller, is processed or refused; what a command is told adds up to its records.
pub(crate) fn invocation(payload: &[u8]) {
    let processor = processor(Lanes::PerItem);
    let Ok(report) = block_on(processor.process_invocation(payload.to_vec(), Deadline::none())) else { return };
    let InvocationReport::Replay(report) = report else { return };
    let Ok(response) = report.response() else { return };
    let unfinished = response.unfinished().count();
    let counts = report.batch().counts();
    assert_eq!(unfinished, counts.reported + counts.unfinished + counts.held_back);
    let response = serde_json::to_value(&response).expect("a response is JSON");
    assert_eq!(response["batchItemFailures"].as_array().map(Vec::len), Some(unfinished));
    let told = ["succeeded", "skipped", "alreadyDone", "stale", "deadLettered", "failed"];
    let told = told.map(|name| response["lambdaStreams"][name].as_u64().expect("a count"));
    assert_eq!(told.into_iter().sum::<u64>(), report.batch().records().len() as u64);
}

#[derive(Debug, PartialEq, Deserialize)]
struct Item {
    id: String,
    #[serde(default)]
    total: Option<i64>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(flatten)]
    rest: BTreeMap<String, serde_json::Value>,
}

/// An item's values as `serde_dynamo` decodes them to the same: whole numbers are spelled as integers, and a number that no type
/// of serde holds is text.
fn respelled(value: AttributeValue) -> AttributeValue {
    match value {
        AttributeValue::N(text) => respelled_number(text),
        AttributeValue::Ns(set) => AttributeValue::L(set.into_iter().map(respelled_number).collect()),
        AttributeValue::L(list) => AttributeValue::L(list.into_iter().map(respelled).collect()),
        AttributeValue::M(map) => {
            AttributeValue::M(map.into_iter().map(|(name, value)| (name, respelled(value))).collect())
        }
        other => other,
    }
}

fn respelled_number(text: String) -> AttributeValue {
    let Ok(number) = Number::new(&*text) else { return AttributeValue::S(text) };
    let whole = number.parse::<i64>().map(|whole| whole.to_string());
    let whole = whole.or_else(|_| number.parse::<u64>().map(|whole| whole.to_string()));
    match (whole, number.parse::<f64>().ok().and_then(|float| Number::try_from(float).ok())) {
        (Ok(whole), _) => AttributeValue::N(whole),
        (Err(_), Some(float)) if float == number => AttributeValue::N(text),
        _ => AttributeValue::S(text),
    }
}

/// What is decoded is what `serde_dynamo` decodes; what it refuses is refused.
pub(crate) fn decoder(image: &str) {
    fn same<T: for<'de> Deserialize<'de> + PartialEq + std::fmt::Debug>(image: &str) {
        let Ok(ours) = from_image::<T>(image) else { return };
        let item: HashMap<String, AttributeValue> = serde_json::from_str(image).expect("what we decode is an item");
        let item: HashMap<String, AttributeValue> =
            item.into_iter().map(|(name, value)| (name, respelled(value))).collect();
        let theirs: T = serde_dynamo::from_item(item).expect("what we decode, `serde_dynamo` decodes");
        assert_eq!(ours, theirs);
    }
    same::<Item>(image);
    same::<BTreeMap<String, serde_json::Value>>(image);
    same::<BTreeMap<String, Option<String>>>(image);
}

/// A dead letter is read or refused; what is read survives being written, record and all.
pub(crate) fn dead_letter(json: &str) {
    let Ok(letter) = DeadLetter::from_json(json) else { return };
    let written = letter.to_json();
    let again = DeadLetter::from_json(&written).expect("what was written is read");
    assert_eq!(again.raw_json(), letter.raw_json());
    assert_eq!(again.to_json(), written);
    assert_eq!((again.error_kind(), again.attempts()), (letter.error_kind(), letter.attempts()));
}
