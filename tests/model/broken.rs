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
        let handled = AssertUnwindSafe(world.handle(environment, record.get())).catch_unwind();
        let fine = known.is_skipped()
            || known.is_well_formed()
                && tokio::time::timeout_at(stop, handled).await.is_ok_and(|ended| matches!(ended, Ok(Ok(()))));
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
