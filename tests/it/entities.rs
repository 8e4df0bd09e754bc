//! A single table with several types of items, each with handlers of its own.

use std::sync::{Arc, Mutex};

use lambda_streams::Outcome::*;
use lambda_streams::{
    BulkFailures, Change, Deadline, Entity, EntityValue, ErrorKind, FailurePolicy, HandlerError, Insert,
    MemoryDeadLetterQueue, Modify, Number, ProcessorBuilder, Record, Remove, SkipReason, StreamProcessor, Unmatched,
    bulk,
};
use serde_json::{Value, json};

use crate::support::{self, change, outcomes, process};

#[derive(Debug, serde::Deserialize)]
struct Order {
    total: u32,
}

#[derive(Debug, serde::Deserialize)]
struct Customer {
    name: String,
}

type Seen = Arc<Mutex<Vec<String>>>;

/// An inserted item of the table, with these keys and attributes.
fn item(number: usize, sk: &str, attributes: Value) -> support::Change {
    let keys = json!({"pk": {"S": "TENANT#1"}, "sk": {"S": sk}});
    let mut image = keys.clone();
    image.as_object_mut().unwrap().extend(attributes.as_object().unwrap().clone());
    change(number, "a", 0).with("/dynamodb/Keys", keys).with("/dynamodb/NewImage", image)
}

fn order(number: usize) -> support::Change {
    item(number, &format!("ORDER#{number}"), json!({"total": {"N": "7"}, "entity": {"S": "order"}}))
}

fn customer(number: usize) -> support::Change {
    item(number, &format!("CUSTOMER#{number}"), json!({"name": {"S": "Ada"}, "entity": {"S": "customer"}}))
}

/// Handlers that write down what they get.
fn builder(seen: &Seen) -> lambda_streams::ProcessorBuilder {
    let (orders, customers) = (Arc::clone(seen), Arc::clone(seen));
    StreamProcessor::builder()
        .entity(Entity::key_prefix("sk", "ORDER#"), |order| {
            order.on_insert(move |change: Insert<Order>| {
                orders.lock().unwrap().push(format!("order of {}", change.new.total));
                async { Ok(()) }
            })
        })
        .entity(Entity::attribute("entity", "customer"), |customer| {
            customer.on_insert(move |change: Insert<Customer>| {
                customers.lock().unwrap().push(format!("customer {}", change.new.name));
                async { Ok(()) }
            })
        })
}

fn entities(report: &lambda_streams::BatchReport) -> Vec<Option<&str>> {
    report.records().iter().map(lambda_streams::RecordReport::entity).collect()
}

#[tokio::test(start_paused = true)]
async fn each_entity_is_decoded_into_its_own_type() {
    let seen = Seen::default();
    let processor = builder(&seen).build().unwrap();
    let report = process(&processor, &[order(0), customer(1), item(2, "LINE#1", json!({}))]).await;
    assert_eq!(outcomes(&report), [Succeeded, Succeeded, Skipped(SkipReason::Unmatched)]);
    assert_eq!(entities(&report), [Some("ORDER#"), Some("customer"), None]);
    assert_eq!(*seen.lock().unwrap(), ["order of 7", "customer Ada"]);
}

#[tokio::test(start_paused = true)]
async fn an_entity_takes_its_records_whether_or_not_it_has_a_handler_of_their_kind() {
    let fell_through = Seen::default();
    let keep = Arc::clone(&fell_through);
    let processor = StreamProcessor::builder()
        .entity(Entity::key_prefix("sk", "ORDER#"), |order| order.on_remove(|_: Remove<Order>| async { Ok(()) }))
        .on_record(move |record: Record| {
            keep.lock().unwrap().push(record.keys_json().to_owned());
            async { Ok(()) }
        })
        .build()
        .unwrap();
    let report = process(&processor, &[order(0), customer(1)]).await;
    assert_eq!(outcomes(&report), [Skipped(SkipReason::NoHandler), Succeeded]);
    assert_eq!(fell_through.lock().unwrap().len(), 1, "the top level serves what no entity takes");
}

#[tokio::test(start_paused = true)]
async fn the_first_entity_that_matches_takes_the_record() {
    let took = |entity: fn(&str) -> Entity| async move {
        let first = Seen::default();
        let keep = Arc::clone(&first);
        let processor = StreamProcessor::builder()
            .entity(entity("first"), |it| {
                it.on_record(move |_: Record| {
                    keep.lock().unwrap().push(String::new());
                    async { Ok(()) }
                })
            })
            .entity(Entity::attribute("entity", "order"), |it| it.on_record(|_: Record| async { Ok(()) }))
            .build()
            .unwrap();
        let report = process(&processor, &[order(3)]).await;
        entities(&report)[0].map(str::to_owned)
    };
    type Named = fn(&str) -> Entity;
    let cases: [(&str, Named); 8] = [
        ("first", |name| Entity::key_prefix("sk", "ORDER#").named(name)),
        ("first", |name| Entity::key_prefix("sk", "").named(name)),
        ("order", |name| Entity::key_prefix("sk", "order#").named(name)),
        ("order", |name| Entity::key_prefix("nosuch", "").named(name)),
        ("first", |name| Entity::key_equals("sk", "ORDER#3").named(name)),
        ("order", |name| Entity::key_equals("sk", "ORDER#").named(name)),
        ("first", |name| Entity::table("orders").named(name)),
        ("order", |name| Entity::table("order").named(name)),
    ];
    for (expected, entity) in cases {
        assert_eq!(took(entity).await.as_deref(), Some(expected), "{}", entity("first"));
    }
}

#[tokio::test(start_paused = true)]
async fn values_are_matched_as_values() {
    let number = |text: &str| EntityValue::N(text.parse::<Number>().unwrap());
    let processor = StreamProcessor::builder()
        .entity(Entity::attribute("version", number("2")), |it| it.on_record(|_: Record| async { Ok(()) }))
        .entity(Entity::attribute("type", "ä\"b"), |it| it.on_record(|_: Record| async { Ok(()) }))
        .build()
        .unwrap();
    let changes = [
        item(0, "a", json!({"version": {"N": "2.0"}})),
        item(1, "b", json!({"version": {"S": "2"}})),
        item(2, "c", json!({"type": {"S": "ä\"b"}})),
        item(3, "d", json!({"type": {"L": [{"S": "ä\"b"}]}})),
        item(4, "e", json!({"nested": {"M": {"type": {"S": "ä\"b"}}}})),
    ];
    let report = process(&processor, &changes).await;
    assert_eq!(entities(&report), [Some("2"), None, Some("ä\"b"), None, None]);
}

#[tokio::test(start_paused = true)]
async fn the_image_is_the_one_after_the_change_or_before_a_removal() {
    let of = |entity: &str| json!({"pk": {"S": "a"}, "entity": {"S": entity}, "total": {"N": "1"}, "name": {"S": "x"}});
    let moved = change(0, "a", 1).with("/dynamodb/OldImage", of("order")).with("/dynamodb/NewImage", of("customer"));
    let removed = change(1, "b", 1)
        .with("/eventName", "REMOVE")
        .without("/dynamodb/NewImage")
        .with("/dynamodb/OldImage", of("customer"));
    let processor = StreamProcessor::builder()
        .entity(Entity::attribute("entity", "order"), |it| it.on_modify(|_: Modify<Order>| async { Ok(()) }))
        .entity(Entity::attribute("entity", "customer"), |it| it.on_change(|_: Change<Customer>| async { Ok(()) }))
        .build()
        .unwrap();
    let report = process(&processor, &[moved, removed]).await;
    assert_eq!(entities(&report), [Some("customer"), Some("customer")]);
    assert_eq!(outcomes(&report), [Succeeded, Succeeded]);
}

#[tokio::test(start_paused = true)]
async fn entities_may_look_at_several_attributes_and_keys_in_turn() {
    let of = |entity: &str, name: &str| json!({"entity": {"S": entity}, "name": {"S": name}});
    let record = |number: usize, entity: &str, name: &str| {
        change(number, "a", 0).with("/dynamodb/OldImage", json!({})).with("/dynamodb/NewImage", of(entity, name))
    };
    let entities = [
        Entity::attribute("entity", "one"),
        Entity::key_equals("pk", "one").named("pk"),
        Entity::attribute("name", "two"),
        Entity::key_equals("sk", "two").named("sk"),
        Entity::attribute("entity", "three"),
        Entity::attribute("name", "four"),
        Entity::table("another"),
        Entity::attribute("name", "five"),
    ];
    let add =
        |builder: ProcessorBuilder, entity| builder.entity(entity, |it| it.on_record(|_: Record| async { Ok(()) }));
    let processor = entities.into_iter().fold(StreamProcessor::builder(), add).build().unwrap();
    let values = [("one", "two"), ("-", "two"), ("three", "four"), ("two", "four"), ("two", "five")];
    let records: Vec<_> = (0..).zip(values).map(|(number, (entity, name))| record(number, entity, name)).collect();
    let report = process(&processor, &records).await;
    assert_eq!(self::entities(&report), ["one", "two", "three", "four", "five"].map(Some));
}

#[tokio::test(start_paused = true)]
async fn a_record_whose_entity_is_unknown_fails_and_names_the_view_type() {
    let keys_only = order(0).without("/dynamodb/NewImage").with("/dynamodb/StreamViewType", "KEYS_ONLY");
    let malformed = order(1).with("/dynamodb/NewImage/total", json!(7));
    let keys = order(2).with("/dynamodb/Keys/sk", json!({"BOOL": true}));
    let seen = Seen::default();
    let processor = StreamProcessor::builder()
        .entity(Entity::attribute("entity", "customer"), |it| it.on_record(|_: Record| async { Ok(()) }))
        .entity(Entity::key_prefix("sk", "ORDER#"), |it| it.on_record(|_: Record| async { Ok(()) }))
        .dead_letter_queue(MemoryDeadLetterQueue::new())
        .build()
        .unwrap();
    let report = process(&processor, &[keys_only, malformed, keys]).await;
    assert_eq!(outcomes(&report), [DeadLettered; 3]);
    let failures: Vec<_> = report.records().iter().map(|record| record.failure.as_ref().unwrap()).collect();
    assert!(failures.iter().all(|failure| failure.kind == ErrorKind::Decode));
    assert!(failures[0].message.contains("KEYS_ONLY"), "{}", failures[0]);
    assert!(failures[1].message.contains("NewImage.total"), "{}", failures[1]);
    assert!(failures[2].message.contains("Keys.sk"), "{}", failures[2]);

    // A value that is not well-formed is not one of another entity, which would be skipped.
    let of = |value| order(0).with("/dynamodb/NewImage/entity", value);
    let processor = StreamProcessor::builder()
        .entity(Entity::attribute("entity", "customer"), |it| it.on_record(|_: Record| async { Ok(()) }))
        .dead_letter_queue(MemoryDeadLetterQueue::new())
        .build()
        .unwrap();
    for value in [json!({"S": 5}), json!({"S": {}}), json!({"N": "many"}), json!({"X": "customer"}), json!({})] {
        let report = process(&processor, &[of(value)]).await;
        assert_eq!(outcomes(&report), [DeadLettered]);
        let failure = report.records()[0].failure.as_ref().unwrap();
        assert_eq!(failure.kind, ErrorKind::Decode);
        assert!(failure.message.contains("NewImage.entity"), "{failure}");
    }
    let report = process(&processor, &[of(json!({"M": {}}))]).await;
    assert_eq!(outcomes(&report), [Skipped(SkipReason::Unmatched)]);

    // A kind that nothing has a handler for is skipped before anything is looked at.
    let processor = builder(&seen).build().unwrap();
    let removed = order(0).with("/eventName", "REMOVE").without("/dynamodb/NewImage");
    let report = process(&processor, &[removed]).await;
    assert_eq!(outcomes(&report), [Skipped(SkipReason::NoHandler)]);
}

#[tokio::test(start_paused = true)]
async fn what_no_entity_takes_may_become_a_dead_letter() {
    let queue = MemoryDeadLetterQueue::new();
    let seen = Seen::default();
    let processor = builder(&seen).unmatched(Unmatched::DeadLetter).dead_letter_queue(queue.clone()).build().unwrap();
    let report = process(&processor, &[order(0), item(1, "LINE#1", json!({}))]).await;
    assert_eq!(outcomes(&report), [Succeeded, DeadLettered]);
    let letters = queue.letters();
    assert_eq!((letters[0].error_kind(), letters[0].attempts()), (ErrorKind::Unmatched, 0));
    assert_eq!(
        letters[0].error_message(),
        "no entity takes the record, and its kind of change has no handler at the top level"
    );
    let again = lambda_streams::DeadLetter::from_json(&letters[0].to_json()).unwrap();
    assert_eq!(again.error_kind(), ErrorKind::Unmatched);
    assert_eq!(processor.filter_criteria(), None, "nothing may be dropped before the function");

    // Also where no entity has a handler of its kind of change.
    let removed = |change: support::Change| {
        let image = json!({"entity": {"S": "line"}});
        change.with("/eventName", "REMOVE").without("/dynamodb/NewImage").with("/dynamodb/OldImage", image)
    };
    let report = process(&processor, &[removed(order(0)), removed(item(1, "LINE#1", json!({})))]).await;
    assert_eq!(outcomes(&report), [Skipped(SkipReason::NoHandler), DeadLettered]);
    assert_eq!(queue.letters()[1].error_kind(), ErrorKind::Unmatched);
}

#[tokio::test(start_paused = true)]
async fn without_entities_no_entity_takes_what_has_no_handler() {
    let processor = StreamProcessor::builder()
        .on_remove(|_: Remove<Order>| async { Ok(()) })
        .unmatched(Unmatched::DeadLetter)
        .dead_letter_queue(MemoryDeadLetterQueue::new())
        .build()
        .unwrap();
    let report = process(&processor, &[order(0)]).await;
    assert_eq!(outcomes(&report), [DeadLettered]);
    assert_eq!(report.records()[0].failure.as_ref().unwrap().kind, ErrorKind::Unmatched);
}

#[tokio::test(start_paused = true)]
async fn entities_have_bulks_of_their_own() {
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let (orders, customers) = (Arc::clone(&sizes), Arc::clone(&sizes));
    let processor = StreamProcessor::builder()
        .entity(Entity::key_prefix("sk", "ORDER#"), |it| {
            it.on_insert(bulk(move |changes: Vec<Insert<Order>>| {
                orders.lock().unwrap().push(("orders", changes.len()));
                async { BulkFailures::new() }
            }))
        })
        .entity(Entity::key_prefix("sk", "CUSTOMER#"), |it| {
            it.on_insert(bulk(move |changes: Vec<Insert<Customer>>| {
                customers.lock().unwrap().push(("customers", changes.len()));
                async { BulkFailures::new() }
            }))
        })
        .build()
        .unwrap();
    let changes: Vec<_> =
        (0..30).map(|number| if number % 3 == 0 { order(number) } else { customer(number) }).collect();
    let report = process(&processor, &changes).await;
    assert_eq!(*sizes.lock().unwrap(), [("orders", 10), ("customers", 20)]);
    assert_eq!(report.counts().succeeded, 30);
}

#[test]
fn entities_that_never_take_a_record_are_refused() {
    let fault = |entities: &[Entity]| {
        let builder = StreamProcessor::builder().on_record(|_: Record| async { Ok::<(), HandlerError>(()) });
        let builder = entities.iter().cloned().fold(builder, |builder, entity| builder.entity(entity, |it| it));
        builder.build().err().map(|error| error.to_string())
    };
    let prefix = |prefix: &str| Entity::key_prefix("sk", prefix);
    assert_eq!(
        fault(&[prefix("ORDER#"), prefix("ORDER#OPEN#")]).as_deref(),
        Some(
            "the entity `key attribute `sk` starts with \"ORDER#OPEN#\"` never takes a record, because `key attribute `sk` starts \
             with \"ORDER#\"` comes before it and takes them all"
        )
    );
    let shadowed: [&[Entity]; 4] = [
        &[prefix("ORDER#"), Entity::key_equals("sk", "ORDER#1")],
        &[Entity::table("a"), Entity::table("a").named("b")],
        &[Entity::attribute("entity", "a"), Entity::attribute("entity", "a").named("b")],
        &[prefix(""), prefix("A")],
    ];
    for entities in shadowed {
        assert!(fault(entities).is_some_and(|fault| fault.contains("never takes a record")), "{entities:?}");
    }
    assert_eq!(fault(&[prefix("ORDER#OPEN#"), prefix("ORDER#")]), None, "the longer one first");
    assert_eq!(
        fault(&[prefix("A"), Entity::key_prefix("pk", "A").named("of pk"), Entity::attribute("sk", "AB")]),
        None
    );
    assert_eq!(
        fault(&[prefix("A"), Entity::key_prefix("pk", "A")]).as_deref(),
        Some("two entities have the name `A`: name one of them differently with `Entity::named`")
    );
    let unmatched = StreamProcessor::builder().on_record(|_: Record| async { Ok(()) }).unmatched(Unmatched::DeadLetter);
    assert_eq!(
        unmatched.build().unwrap_err().to_string(),
        "`Unmatched::DeadLetter` makes dead letters, but there is no dead-letter queue: set `DLQ_URL` and start with \
         `builder_from_env`, or call `dead_letter_queue`"
    );
    let reporting = StreamProcessor::builder()
        .on_record(|_: Record| async { Ok(()) })
        .unmatched(Unmatched::DeadLetter)
        .dead_letter_queue(MemoryDeadLetterQueue::new())
        .failure_policy(FailurePolicy::ReportAll);
    assert_eq!(
        reporting.build().unwrap_err().to_string(),
        "`Unmatched::DeadLetter` makes dead letters, but the failure policy is `ReportAll`"
    );
    let twice = StreamProcessor::builder().entity(prefix("A"), |it| {
        it.on_insert(|_: Insert<Order>| async { Ok(()) }).on_insert(|_: Insert<Order>| async { Ok(()) })
    });
    assert_eq!(
        twice.build().unwrap_err().to_string(),
        "the entity `A` has two handlers for the same changes: call `on_insert` once"
    );
}

#[test]
fn an_entity_says_how_it_is_told() {
    let seven = EntityValue::N(Number::from(7_u64));
    for (entity, text) in [
        (Entity::key_prefix("sk", "A#"), r##"key attribute `sk` starts with "A#""##),
        (Entity::key_equals("sk", "A"), r#"key attribute `sk` is "A""#),
        (Entity::key_equals("sk", seven.clone()), "key attribute `sk` is 7"),
        (Entity::attribute("entity", "a"), r#"attribute `entity` is "a""#),
        (Entity::table("orders"), "table `orders`"),
    ] {
        assert_eq!(entity.to_string(), text);
    }
    assert_eq!((seven.to_string(), EntityValue::from("a").to_string()), ("7".to_owned(), r#""a""#.to_owned()));
}

fn patterns(processor: &StreamProcessor) -> Option<Vec<Value>> {
    let criteria: Value = serde_json::from_str(&processor.filter_criteria()?).unwrap();
    let filters = criteria["Filters"].as_array().unwrap().iter();
    Some(filters.map(|filter| serde_json::from_str(filter["Pattern"].as_str().unwrap()).unwrap()).collect())
}

#[test]
fn filter_criteria_let_through_what_has_a_handler() {
    let on = |_: Record| async { Ok::<(), HandlerError>(()) };
    let orders = |_: Insert<Order>| async { Ok::<(), HandlerError>(()) };
    let prefix = |prefix: &str| Entity::key_prefix("sk", prefix);
    let criteria = |builder: lambda_streams::ProcessorBuilder| patterns(&builder.build().unwrap());
    let builder = StreamProcessor::builder;

    assert_eq!(criteria(builder().on_record(on)), None, "a catch-all takes everything");
    assert_eq!(criteria(builder().on_insert(orders)), Some(vec![json!({"eventName": ["INSERT"]})]));
    let of_key = |condition: Value| json!({"dynamodb": {"Keys": {"sk": {"S": condition}}}});
    assert_eq!(
        criteria(
            builder()
                .entity(prefix("A#"), |it| it.on_record(on))
                .entity(Entity::key_equals("sk", "B"), |it| it.on_record(on))
        ),
        Some(vec![of_key(json!([{"prefix": "A#"}, "B"]))])
    );
    let mut inserts = of_key(json!([{"prefix": "A#"}]));
    inserts["eventName"] = json!(["INSERT"]);
    assert_eq!(criteria(builder().entity(prefix("A#"), |it| it.on_insert(orders))), Some(vec![inserts.clone()]));
    // The top level takes removals of anything.
    assert_eq!(
        criteria(
            builder()
                .entity(prefix("A#"), |it| it.on_insert(orders))
                .on_remove(|_: Remove<Order>| async { Ok::<(), HandlerError>(()) })
        ),
        Some(vec![json!({"eventName": ["REMOVE"]}), inserts])
    );
    // An attribute, a number, a table and an empty prefix cannot be expressed as a pattern: only the kind is.
    for entity in [
        Entity::attribute("entity", "a"),
        Entity::key_equals("sk", EntityValue::N(Number::from(7_u64))),
        Entity::table("orders"),
        prefix("").named("all"),
    ] {
        let builder = builder()
            .entity(entity, |it| it.on_insert(orders))
            .entity(Entity::key_prefix("x", "A#"), |it| it.on_insert(orders));
        assert_eq!(criteria(builder), Some(vec![json!({"eventName": ["INSERT"]})]));
    }
    // A record without the image that an entity looks at fails, whatever its keys: the stream does not carry it.
    let kinds = json!({"eventName": ["INSERT", "MODIFY"]});
    let looks_at_image = builder()
        .on_insert(orders)
        .entity(Entity::attribute("entity", "a"), |it| it.on_insert(orders))
        .entity(prefix("A#"), |it| it.on_modify(|_: Modify<Order>| async { Ok::<(), HandlerError>(()) }));
    assert_eq!(criteria(looks_at_image), Some(vec![kinds]));
    // More than five patterns, and more than 4,096 bytes.
    let many = (0..6).fold(builder(), |builder, number| {
        builder.entity(Entity::key_prefix(format!("k{number}"), format!("A{number}")), |it| it.on_insert(orders))
    });
    assert_eq!(criteria(many), Some(vec![json!({"eventName": ["INSERT"]})]));
    let long = builder().entity(prefix(&"A".repeat(5_000)), |it| it.on_record(on));
    assert_eq!(criteria(long), None);
}

#[cfg(feature = "emf")]
#[tokio::test(start_paused = true)]
async fn metrics_name_the_entity_without_a_further_dimension() {
    use crate::support::emf::{Written, sum};

    let written = Written::default();
    let emf =
        lambda_streams::Emf::builder().namespace("Orders").service("stream").writer(written.clone()).build().unwrap();
    let seen = Seen::default();
    let processor = builder(&seen).build().unwrap();
    let recorder = metrics::set_default_local_recorder(&emf);
    let undecodable = customer(4).with("/dynamodb/NewImage/name", json!({"N": "1"}));
    process(&processor, &[order(0), order(1), customer(2), item(3, "LINE#1", json!({})), undecodable]).await;
    emf.flush();
    drop(recorder);
    let documents = written.documents();
    let of = |entity: Option<&str>, metric: &str| -> f64 {
        let of_entity = documents.iter().filter(|document| document.member("entity") == entity).cloned();
        sum(&of_entity.collect::<Vec<_>>(), metric, &["service"])
    };
    assert_eq!((of(Some("ORDER#"), "RecordsReceived"), of(Some("ORDER#"), "RecordsSucceeded")), (2.0, 2.0));
    assert_eq!((of(Some("customer"), "RecordsReceived"), of(Some("customer"), "RecordsFailed")), (2.0, 1.0));
    assert_eq!((of(None, "RecordsReceived"), of(None, "RecordsSkipped")), (1.0, 1.0));
    assert_eq!(sum(&documents, "RecordsReceived", &["service", "kind"]), 5.0);
    assert!(documents.iter().flat_map(|document| &document.dimensions).flatten().all(|name| name != "entity"));
}

#[cfg(feature = "logs")]
#[tokio::test(start_paused = true)]
async fn log_lines_name_the_entity() {
    let written = crate::support::emf::Written::default();
    let logs = lambda_streams::Logs::from_env().format(lambda_streams::LogFormat::Json).writer(written.clone());
    let layers = tracing_subscriber::layer::SubscriberExt::with(tracing_subscriber::registry(), logs.into_layer());
    let guard = crate::support::listen(layers);
    let seen = Seen::default();
    let processor = builder(&seen).build().unwrap();
    let event = support::event(&[customer(0).with("/dynamodb/NewImage/name", json!({"N": "1"}))]);
    processor.process(event, Deadline::none()).await;
    drop(guard);
    let lines = written.take().concat();
    let line = lines.lines().find(|line| line.contains("record failed")).expect("a line about the record");
    assert!(line.contains(r#""entity":"customer""#), "{line}");
}
