//! The deliberately broken parts.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use lambda_streams::{HandlerError, Record};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::bulk::Said;
use crate::environment::{Ran, Subject};
use crate::routing::{Fault, Kind, Route};
use crate::world::World;

/// The classic loop: every record is tried, every failure is named, and nothing is remembered.
pub(crate) async fn goes_on_behind_failures(
    world: Arc<World>,
    environment: usize,
    payload: String,
    timeout: Duration,
) -> Ran {
    #[derive(serde::Deserialize)]
    struct Event {
        #[serde(rename = "Records")]
        records: Vec<Box<RawValue>>,
    }
    let event: Event = serde_json::from_str(&payload).expect("the mapping sends events");
    let stop = Instant::now() + timeout * 9 / 10;
    let mut failures = Vec::new();
    for record in event.records {
        let id = world.stream.id(record.get()).expect("the mapping sends what the stream has");
        let known = &world.stream.known[id];
        let fine = match known.route {
            Route::To(at) if known.decodes => {
                let handled = AssertUnwindSafe(world.handle(environment, at, record.get())).catch_unwind();
                tokio::time::timeout_at(stop, handled).await.is_ok_and(|ended| matches!(ended, Ok(Ok(()))))
            }
            Route::Skipped(_) => true,
            _ => false,
        };
        if !fine {
            failures.extend(known.sequence_number.as_ref().map(|number| json!({"itemIdentifier": number})));
        }
    }
    Ran { answer: Ok(json!({"batchItemFailures": failures}).to_string()), outcomes: None }
}

/// What `unwrap_or_default` makes of an identifier.
pub(crate) fn empty_identifier(answer: String) -> String {
    let mut answer: Value = serde_json::from_str(&answer).expect("our own answer");
    for failure in answer["batchItemFailures"].as_array_mut().into_iter().flatten() {
        failure["itemIdentifier"] = Value::from("");
    }
    answer.to_string()
}

/// Gives a record to the handler that it would have if the old image decided a modification's entity.
pub(crate) async fn by_old_image(world: Arc<World>, environment: usize, record: Record) -> Result<(), HandlerError> {
    let id = world.stream.id(record.raw_json()).expect("a handler gets the record as received");
    let known = &world.stream.known[id];
    let mut plan = known.plan.clone();
    if plan.kind() == Some(Kind::Modify) {
        plan.images.new_type = plan.images.old_type;
    }
    match world.plan.processor.route(&plan) {
        Route::To(at) if known.decodes => world.handle(environment, at, record.raw_json()).await,
        _ => Ok(()),
    }
}

/// Whether the record lacks an image that its handler's condition needs.
pub(crate) fn has_untold_condition(world: &World, record: &Record) -> bool {
    let id = world.stream.id(record.raw_json()).expect("a filter gets the record as received");
    world.stream.known[id].route == Route::Fails(Fault::ConditionUntold)
}

/// A call of the bulk handler, and what the subject makes of the answer.
pub(crate) fn bulk(
    subject: Subject,
    world: &Arc<World>,
    environment: usize,
    mut records: Vec<Record>,
) -> impl Future<Output = Said> + Send + use<> {
    let (count, mut kept) = (records.len(), Vec::new());
    if subject == Subject::CountsSupersededAtOnce {
        kept = newest(world, &records);
        records = kept.iter().map(|position| records[*position].clone()).collect();
    }
    let said = world.handle_bulk(environment, &records);
    async move {
        match (subject, said.await) {
            (Subject::SwallowsErrorsOfBulks, _) => Ok(successes(count)),
            (Subject::PadsAnswers, Ok(mut each)) => {
                each.resize_with(count, || Ok(()));
                Ok(each)
            }
            (Subject::CondemnsInnocents, Err(error)) => {
                Ok((0..count).map(|_| Err(HandlerError::permanent(error.to_string()))).collect())
            }
            (Subject::RepeatsSuccesses, Ok(each)) if each.len() == count && count > 1 => {
                each.into_iter().collect::<Result<Vec<()>, _>>().map(|_| successes(count))
            }
            (Subject::CountsSupersededAtOnce, Ok(each)) if each.len() == kept.len() => {
                let mut all = successes(count);
                kept.into_iter().zip(each).for_each(|(position, result)| all[position] = result);
                Ok(all)
            }
            (_, said) => said,
        }
    }
}

fn successes(count: usize) -> Vec<Result<(), HandlerError>> {
    (0..count).map(|_| Ok(())).collect()
}

/// The positions of the newest change of each item.
fn newest(world: &World, records: &[Record]) -> Vec<usize> {
    let item = |record: &Record| world.stream.id(record.raw_json()).and_then(|id| world.stream.known[id].item);
    let is_newest = |position: &usize| {
        let own = item(&records[*position]);
        records[position + 1..].iter().all(|later| item(later) != own)
    };
    (0..records.len()).filter(is_newest).collect()
}
