//! `StreamProcessor::filter_criteria` is sound: what the event source mapping filters out, the processor would have skipped.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lambda_streams::{
    Change, Deadline, Entity, EntityValue, HandlerError, Number, Outcome, ProcessorBuilder, Record, SkipReason,
    StreamEvent, StreamProcessor,
};
use lambda_streams_local::{EventSourceMapping, Function, InvokeError, MemorySource, Response, Settings};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::{Config, TestRunner};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

/// An entity, and the kinds of change that it has handlers for; all three are `on_record`.
#[derive(Debug, Clone)]
struct EntityPlan {
    entity: Entity,
    kinds: Vec<&'static str>,
}

#[derive(Debug, Clone)]
struct Plan {
    entities: Vec<EntityPlan>,
    top_level: Vec<&'static str>,
    records: Vec<Value>,
}

const KINDS: [&str; 3] = ["INSERT", "MODIFY", "REMOVE"];
/// Short strings with much in common, some of which a pattern must escape.
const TEXTS: [&str; 8] = ["A#", "A#1", "A#\"", "B#é", "B#é\u{1f600}", "a#", "", "7"];

fn entities() -> impl Strategy<Value = Entity> {
    let key = || select(&["pk", "sk", "missing"][..]);
    prop_oneof![
        6 => (key(), select(&TEXTS[..])).prop_map(|(key, prefix)| Entity::key_prefix(key, prefix)),
        4 => (key(), select(&TEXTS[..])).prop_map(|(key, text)| Entity::key_equals(key, text)),
        1 => key().prop_map(|key| Entity::key_equals(key, EntityValue::N(Number::from(7_u64)))),
        1 => select(&TEXTS[..]).prop_map(|text| Entity::attribute("entity", text)),
        1 => select(&["orders", "others"][..]).prop_map(Entity::table),
    ]
}

fn kinds() -> impl Strategy<Value = Vec<&'static str>> {
    subsequence(&KINDS[..], 0..=3)
}

fn records() -> impl Strategy<Value = Value> {
    let key = || {
        prop_oneof![
            8 => select(&TEXTS[..]).prop_map(|text| json!({"S": text})),
            1 => select(&["7", "7.0", "8"][..]).prop_map(|number| json!({"N": number})),
            1 => Just(json!({"B": "QSM="})),
        ]
    };
    let entity = option::weighted(0.7, select(&TEXTS[..]));
    (select(&KINDS[..]), key(), option::weighted(0.9, key()), entity, any::<bool>()).prop_map(
        |(kind, pk, sk, entity, has_image)| {
            let mut keys = json!({"pk": pk});
            if let Some(sk) = sk {
                keys["sk"] = sk;
            }
            let mut image = keys.clone();
            if let Some(entity) = entity {
                image["entity"] = json!({"S": entity});
            }
            let mut dynamodb = json!({"Keys": keys, "StreamViewType": "KEYS_ONLY"});
            if has_image {
                let member = if kind == "REMOVE" { "OldImage" } else { "NewImage" };
                dynamodb[member] = image;
            }
            json!({"eventName": kind, "eventSource": "aws:dynamodb", "dynamodb": dynamodb})
        },
    )
}

fn plans() -> impl Strategy<Value = Plan> {
    let entity = (entities(), kinds()).prop_map(|(entity, kinds)| EntityPlan { entity, kinds });
    let top_level = prop_oneof![3 => Just(Vec::new()), 1 => kinds()];
    (vec(entity, 1..8), top_level, vec(records(), 1..24)).prop_map(|(entities, top_level, records)| Plan {
        entities,
        top_level,
        records,
    })
}

async fn one<T>(_: T) -> Result<(), HandlerError> {
    Ok(())
}

/// The processor of a plan; `None` if `build` refuses it.
fn processor(plan: &Plan) -> Option<StreamProcessor> {
    let mut builder = StreamProcessor::builder();
    for (number, EntityPlan { entity, kinds }) in plan.entities.iter().enumerate() {
        let entity = entity.clone().named(number.to_string());
        builder = builder.entity(entity, |mut it| {
            if kinds.len() == KINDS.len() {
                return it.on_record(one::<Record>);
            }
            for kind in kinds {
                it = match *kind {
                    "INSERT" => it.on_insert(one::<lambda_streams::Insert<IgnoredAny>>),
                    "MODIFY" => it.on_modify(one::<lambda_streams::Modify<IgnoredAny>>),
                    _ => it.on_remove(one::<lambda_streams::Remove<IgnoredAny>>),
                };
            }
            it
        });
    }
    let with_kind = |builder: ProcessorBuilder, kind: &&str| match *kind {
        "INSERT" => builder.on_insert(one::<lambda_streams::Insert<IgnoredAny>>),
        "MODIFY" => builder.on_modify(one::<lambda_streams::Modify<IgnoredAny>>),
        _ => builder.on_remove(one::<lambda_streams::Remove<IgnoredAny>>),
    };
    let builder = match plan.top_level.len() {
        3 => builder.on_change(one::<Change<IgnoredAny>>),
        _ => plan.top_level.iter().fold(builder, with_kind),
    };
    builder.build().ok()
}

/// Takes every batch, and remembers which records it got.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<HashSet<String>>>);

impl Function for Recorder {
    async fn invoke(&self, payload: String, _timeout: Duration) -> Result<Response, InvokeError> {
        let payload: Value = serde_json::from_str(&payload).expect("the mapping sends JSON");
        let records = payload["Records"].as_array().expect("an event").iter();
        let numbers = records.map(|record| record["dynamodb"]["SequenceNumber"].as_str().expect("a number").to_owned());
        self.0.lock().expect("no panic holds it").extend(numbers);
        Ok(Response::Returned("null".to_owned()))
    }

    fn function_arn(&self) -> String {
        "arn:aws:lambda:eu-central-1:123456789012:function:recorder".to_owned()
    }
}

const ARN: &str = "arn:aws:dynamodb:eu-central-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000";

#[derive(Debug, Default)]
struct Counts {
    processors: usize,
    without_criteria: usize,
    records: usize,
    needed: usize,
    filtered: usize,
    let_through_and_skipped: usize,
}

async fn check(plan: &Plan, counts: &mut Counts) -> Result<(), TestCaseError> {
    let Some(processor) = processor(plan) else { return Ok(()) };
    counts.processors += 1;
    let records: Vec<String> = (0..plan.records.len())
        .map(|number| {
            let mut record = plan.records[number].clone();
            record["eventID"] = json!(format!("e-{number}"));
            record["eventSourceARN"] = json!(ARN);
            record["dynamodb"]["SequenceNumber"] = json!((1_000 + number).to_string());
            record.to_string()
        })
        .collect();
    let event = StreamEvent::from_vec(format!(r#"{{"Records":[{}]}}"#, records.join(",")).into_bytes());
    let report = processor.process(event.expect("an event"), Deadline::none()).await;
    let criteria = processor.filter_criteria();
    counts.without_criteria += usize::from(criteria.is_none());
    let filter_patterns = criteria.map_or(Vec::new(), |criteria| {
        let criteria: Value = serde_json::from_str(&criteria).expect("the criteria are JSON");
        let filters = criteria["Filters"].as_array().expect("a list").iter();
        filters.map(|filter| filter["Pattern"].as_str().expect("a text").to_owned()).collect()
    });
    let settings = Settings { filter_patterns, ..Settings::default() };
    let source = MemorySource::new(ARN).shard("shard", None, records).expect("JSON");
    let function = Recorder::default();
    let mapping = EventSourceMapping::new(settings, source, function.clone()).expect("AWS takes the patterns");
    mapping.run(std::future::pending()).await.expect("the run ends");
    let got = function.0.lock().expect("no panic holds it");
    for (number, record) in report.records().iter().enumerate() {
        let has_no_handler = matches!(record.outcome, Outcome::Skipped(SkipReason::NoHandler | SkipReason::Unmatched));
        let is_filtered = !got.contains(&(1_000 + number).to_string());
        counts.records += 1;
        counts.filtered += usize::from(is_filtered);
        counts.needed += usize::from(!has_no_handler);
        counts.let_through_and_skipped += usize::from(!is_filtered && has_no_handler);
        prop_assert!(
            !is_filtered || has_no_handler,
            "record {number} is filtered out, and would have been {:?}, by {:?}",
            record.outcome,
            processor.filter_criteria()
        );
    }
    Ok(())
}

#[test]
fn what_is_filtered_out_would_have_been_skipped() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("tokio");
    let counts = std::cell::RefCell::new(Counts::default());
    let config = Config { cases: 2_000, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let result = runner.run(&plans(), |plan| runtime.block_on(check(&plan, &mut counts.borrow_mut())));
    result.unwrap_or_else(|error| panic!("{error}"));
    let counts = counts.into_inner();
    println!("{counts:?}");
    assert!(counts.processors > 500 && counts.filtered > 1_000 && counts.needed > 1_000, "{counts:?}");
    assert!(counts.let_through_and_skipped > 0, "sound, and not exact: {counts:?}");
}
