//! Reads a stream's records through the Streams API, and turns them into Lambda's JSON.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use aws_sdk_dynamodbstreams::Client;
use aws_sdk_dynamodbstreams::types::{AttributeValue, Record, Shard, ShardIteratorType, StreamRecord};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::Failure;
use crate::database::cause;

/// How long the stream may stay silent before what is still missing counts as lost.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(200);

/// A stream, read from its beginning.
///
/// A shard is read when its parent is drained, so that the changes of an item keep their order also where shards were
/// split; an empty page is not the end of a shard
/// ([AWS: reading a stream](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html)).
#[derive(Debug)]
pub(crate) struct StreamReader<'a> {
    client: &'a Client,
    stream_arn: &'a str,
    shards: Vec<Shard>,
    /// Where to read on, in the shards that were begun.
    iterators: HashMap<String, String>,
    drained: HashSet<String>,
}

impl<'a> StreamReader<'a> {
    pub(crate) fn new(client: &'a Client, stream_arn: &'a str) -> Self {
        Self { client, stream_arn, shards: Vec::new(), iterators: HashMap::new(), drained: HashSet::new() }
    }

    /// Reads until so many records have come, each as Lambda would deliver it.
    pub(crate) async fn read(&mut self, expected: usize, mut tick: impl FnMut(u64)) -> Result<Vec<Value>, Failure> {
        let mut records = Vec::with_capacity(expected);
        let mut silent = Duration::ZERO;
        while records.len() < expected {
            let page = self.read_round().await?;
            if !page.is_empty() {
                silent = Duration::ZERO;
                tick(page.len() as u64);
                records.extend(page.into_iter().map(|record| to_lambda(record, self.stream_arn)));
            } else if silent < PATIENCE {
                silent += PAUSE;
                tokio::time::sleep(PAUSE).await;
            } else {
                let read = records.len();
                return Err(Failure::broken(format!("the stream gave {read} of {expected} records, and no more came")));
            }
        }
        Ok(records)
    }

    /// One page of every shard that may be read now.
    async fn read_round(&mut self) -> Result<Vec<Record>, Failure> {
        self.find_shards().await?;
        let mut records = Vec::new();
        for shard in self.readable() {
            records.extend(self.read_page(shard).await?);
        }
        Ok(records)
    }

    /// The shards that are not drained, and whose parent is, or is trimmed away.
    fn readable(&self) -> Vec<String> {
        let id = |shard: &Shard| shard.shard_id.clone().unwrap_or_default();
        let known: HashSet<_> = self.shards.iter().map(id).collect();
        let waits = |parent: &String| known.contains(parent) && !self.drained.contains(parent);
        let readable = self.shards.iter().filter(|shard| !shard.parent_shard_id.as_ref().is_some_and(waits));
        readable.map(id).filter(|shard| !self.drained.contains(shard)).collect()
    }

    async fn find_shards(&mut self) -> Result<(), Failure> {
        self.shards.clear();
        let mut last = None;
        loop {
            let page = self.client.describe_stream().stream_arn(self.stream_arn).set_exclusive_start_shard_id(last);
            let described = page.send().await.map_err(|error| unreadable(&error))?;
            let description =
                described.stream_description.ok_or_else(|| Failure::broken("the stream is not described"))?;
            self.shards.extend(description.shards.unwrap_or_default());
            last = description.last_evaluated_shard_id;
            if last.is_none() {
                return Ok(());
            }
        }
    }

    async fn read_page(&mut self, shard: String) -> Result<Vec<Record>, Failure> {
        let iterator = match self.iterators.remove(&shard) {
            Some(iterator) => Some(iterator),
            None => self.open(&shard).await?,
        };
        let page = self.client.get_records().set_shard_iterator(iterator).send().await;
        let page = page.map_err(|error| unreadable(&error))?;
        match page.next_shard_iterator {
            Some(next) => drop(self.iterators.insert(shard, next)),
            None => drop(self.drained.insert(shard)),
        }
        Ok(page.records.unwrap_or_default())
    }

    async fn open(&self, shard: &str) -> Result<Option<String>, Failure> {
        let request = self.client.get_shard_iterator().stream_arn(self.stream_arn).shard_id(shard);
        let opened = request.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await;
        Ok(opened.map_err(|error| unreadable(&error))?.shard_iterator)
    }
}

fn unreadable(error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::broken(format!("cannot read the stream: {}", cause(error)))
}

/// The record as Lambda's event carries it: other spellings than the Streams API has, and the stream's ARN.
fn to_lambda(record: Record, stream_arn: &str) -> Value {
    let mut json = json!({
        "eventID": record.event_id,
        "eventName": record.event_name.as_ref().map(|name| name.as_str()),
        "eventVersion": record.event_version,
        "eventSource": record.event_source,
        "awsRegion": record.aws_region,
        "dynamodb": record.dynamodb.map(change),
        "eventSourceARN": stream_arn,
    });
    if let Some(identity) = record.user_identity {
        json["userIdentity"] = json!({"type": identity.r#type, "principalId": identity.principal_id});
    }
    json
}

fn change(change: StreamRecord) -> Value {
    let mut json = Map::new();
    let images = [("Keys", change.keys), ("NewImage", change.new_image), ("OldImage", change.old_image)];
    let others = [
        ("ApproximateCreationDateTime", change.approximate_creation_date_time.map(|time| json!(time.as_secs_f64()))),
        ("SequenceNumber", change.sequence_number.map(Value::from)),
        ("SizeBytes", change.size_bytes.map(Value::from)),
        ("StreamViewType", change.stream_view_type.map(|view| view.as_str().into())),
    ];
    let images = images.into_iter().map(|(name, image)| (name, image.as_ref().map(item)));
    for (name, value) in images.chain(others) {
        json.extend(value.map(|value| (name.to_owned(), value)));
    }
    Value::Object(json)
}

fn item(item: &HashMap<String, AttributeValue>) -> Value {
    item.iter().map(|(name, value)| (name.clone(), attribute(value))).collect()
}

fn attribute(value: &AttributeValue) -> Value {
    let base64 = |blob: &aws_sdk_dynamodbstreams::primitives::Blob| STANDARD.encode(blob);
    match value {
        AttributeValue::S(text) => json!({"S": text}),
        AttributeValue::N(number) => json!({"N": number}),
        AttributeValue::B(blob) => json!({"B": base64(blob)}),
        AttributeValue::Bool(flag) => json!({"BOOL": flag}),
        AttributeValue::Null(flag) => json!({"NULL": flag}),
        AttributeValue::L(list) => json!({"L": list.iter().map(attribute).collect::<Vec<_>>()}),
        AttributeValue::M(map) => json!({"M": item(map)}),
        AttributeValue::Ss(texts) => json!({"SS": texts}),
        AttributeValue::Ns(numbers) => json!({"NS": numbers}),
        AttributeValue::Bs(blobs) => json!({"BS": blobs.iter().map(base64).collect::<Vec<_>>()}),
        // A type that this SDK does not know yet: the decoder refuses it by name.
        _ => json!({"unknown": null}),
    }
}
