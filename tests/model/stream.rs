//! The stream of a plan: its records as Lambda's JSON, in shards, read in pages.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use lambda_streams_local::{Page, Position, Shard, ShardIterator, Source, SourceError, SourceRecord};

use crate::plan::{Plan, RecordPlan, Shape};
use crate::routing::{PARTITION, Route, SORT, TYPE, WATCHED};

const STREAM: &str = "arn:aws:dynamodb:us-east-1:123456789012:table/t0/stream/2026-01-01T00:00:00.000";

/// What the judge knows of a record from the start.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) plan: RecordPlan,
    /// What comes of it, if its sequence number is its own.
    pub(crate) route: Route,
    /// The entity that reports name.
    pub(crate) entity: Option<usize>,
    /// Whether it decodes into what its handler takes.
    pub(crate) decodes: bool,
    pub(crate) json: Arc<str>,
    /// Table and item, where the record's keys can be read.
    pub(crate) item: Option<(u8, u8)>,
    /// The sequence number, where Lambda could name it.
    pub(crate) sequence_number: Option<String>,
    event_name: Option<&'static str>,
}

impl Known {
    /// Whether the mapping's filter pattern drops it.
    pub(crate) fn is_dropped(&self, plan: &Plan) -> bool {
        plan.mapping.filter && !matches!(self.event_name, Some("INSERT" | "MODIFY"))
    }

    /// Whether the processor rightly has nothing to do with it, if its sequence number is its own.
    pub(crate) fn is_skipped(&self) -> bool {
        matches!(self.route, Route::Skipped(_))
    }

    /// Whether its handler is ever called.
    pub(crate) fn is_well_formed(&self) -> bool {
        matches!(self.route, Route::To(_)) && self.decodes
    }
}

pub(crate) struct Stream {
    pub(crate) known: Vec<Known>,
    /// By the record's text, which is unique.
    by_json: HashMap<Arc<str>, usize>,
    shards: Vec<(Shard, Vec<usize>)>,
    page: usize,
}

impl Stream {
    pub(crate) fn new(plan: &Plan) -> Self {
        let lineages = 2;
        let mut shards = Vec::new();
        for lineage in 0..lineages {
            // An item stays in its lineage.
            let own: Vec<usize> =
                (0..plan.records.len()).filter(|at| plan.records[*at].item as usize % lineages == lineage).collect();
            let (first, second) = own.split_at(if plan.split_shards { own.len() / 2 } else { own.len() });
            let (parent, child) = (format!("shard-{lineage}"), format!("shard-{lineage}-child"));
            if plan.split_shards {
                shards.push((Shard { id: child, parent: Some(parent.clone()) }, second.to_vec()));
            }
            shards.push((Shard { id: parent, parent: None }, first.to_vec()));
        }
        let mut known: Vec<Option<Known>> = vec![None; plan.records.len()];
        for (_, records) in &shards {
            let mut last = None;
            for id in records {
                let record = build(*id, plan, last.as_deref());
                last = record.sequence_number.clone();
                known[*id] = Some(record);
            }
        }
        let known: Vec<Known> = known.into_iter().map(|record| record.expect("every record is in a shard")).collect();
        let by_json = known.iter().enumerate().map(|(id, record)| (Arc::clone(&record.json), id)).collect();
        Self { known, by_json, shards, page: plan.page }
    }

    pub(crate) fn id(&self, json: &str) -> Option<usize> {
        self.by_json.get(json).copied()
    }

    fn records(&self, shard: &str) -> &[usize] {
        let found = self.shards.iter().find(|(known, _)| known.id == shard);
        &found.expect("the mapping opens what was listed").1
    }
}

fn build(id: usize, Plan { records, processor, .. }: &Plan, last: Option<&str>) -> Known {
    use Shape::*;
    let plan = &records[id];
    // Lengths vary as DynamoDB's do: 21 and 22 digits.
    let own = format!("{}", 999_999_999_999_999_999_990_u128 + 3 * id as u128);
    let (number, sequence_number) = match plan.shape {
        SequenceMissing => (String::new(), None),
        SequenceNull => (r#""SequenceNumber":null,"#.to_owned(), None),
        SequenceEmpty => (r#""SequenceNumber":"","#.to_owned(), None),
        SequenceNotDigits => (r#""SequenceNumber":"x1","#.to_owned(), None),
        SequenceRepeated => {
            let number = last.unwrap_or(&own).to_owned();
            (format!(r#""SequenceNumber":"{number}","#), Some(number))
        }
        _ => (format!(r#""SequenceNumber":"{own}","#), Some(own)),
    };
    let event_name = match plan.shape {
        EventNameMissing => None,
        EventNameUnknown => Some("UPSERT"),
        Removed => Some("REMOVE"),
        Modified | FilteredOut => Some("MODIFY"),
        _ => Some("INSERT"),
    };
    let named = event_name.map(|name| format!(r#""eventName":"{name}","#)).unwrap_or_default();
    let RecordPlan { table, item, shape, .. } = plan;
    let keys = match shape {
        KeysMissing => String::new(),
        KeysNotScalar => format!(r#""Keys":{{"{PARTITION}":{{"M":{{}}}},"{SORT}":{{"S":"{item}"}}}},"#),
        // The order of the keys varies, as it does in streams.
        _ if id.is_multiple_of(2) => {
            format!(r#""Keys":{{"{PARTITION}":{{"S":"{}"}},"{SORT}":{{"N":"{item}"}}}},"#, item % 2)
        }
        _ => format!(r#""Keys":{{"{SORT}":{{"N":"{item}.0"}},"{PARTITION}":{{"S":"{}"}}}},"#, item % 2),
    };
    let images = images(plan, event_name);
    let created = SystemTime::now().duration_since(UNIX_EPOCH).expect("after the epoch").as_millis() as f64 / 1e3;
    let change = match shape {
        DynamodbNull => "null".to_owned(),
        _ => format!(
            r#"{{"ApproximateCreationDateTime":{created},{keys}{images}{number}"StreamViewType":"NEW_AND_OLD_IMAGES"}}"#
        ),
    };
    let record = format!(
        r#"{{"eventID":"e{id}",{named}"eventSource":"aws:dynamodb","eventSourceARN":"{}","dynamodb":{change}}}"#,
        STREAM.replace("t0", &format!("t{table}"))
    );
    let json = match shape {
        Text => format!(r#""record {id}""#),
        List => format!("[{id}]"),
        Number => format!("{id}"),
        _ => record,
    };
    let bare = matches!(shape, Text | List | Number);
    let keyless = bare || matches!(shape, KeysMissing | KeysNotScalar | DynamodbNull);
    Known {
        plan: plan.clone(),
        route: processor.route(plan),
        entity: processor.entity_of(plan),
        decodes: processor.decodes(plan),
        json: json.into(),
        item: (!keyless).then_some((*table, *item)),
        sequence_number: sequence_number.filter(|_| !bare && *shape != DynamodbNull),
        event_name: event_name.filter(|_| !bare),
    }
}

/// The images that a change has, unless they are missing.
fn images(plan: &RecordPlan, event_name: Option<&str>) -> String {
    let RecordPlan { shape, images, .. } = plan;
    let item_type = |of: Option<u8>| match (shape, of) {
        (Shape::TypeMalformed, _) => format!(r#","{TYPE}":{{"S":{{}}}}"#),
        (_, Some(of)) => format!(r#","{TYPE}":{{"S":"{of}"}}"#),
        (_, None) => String::new(),
    };
    let image = |member: &str, number: &str, watched: &str, of: Option<u8>| {
        format!(r#""{member}":{{"n":{{"N":"{number}"}},"{WATCHED}":{{"N":"{watched}"}}{}}},"#, item_type(of))
    };
    let number = if *shape == Shape::ImageMalformed { "many" } else { "1" };
    // What has not changed may be spelled in another way.
    let watched = if images.watched_changes { "2" } else { "1.0" };
    let old = Some(image("OldImage", "0", "1", images.old_type)).filter(|_| images.missing.has_old());
    let new = Some(image("NewImage", number, watched, images.new_type)).filter(|_| images.missing.has_new());
    let (old, new) = match event_name {
        Some("REMOVE") => (old, None),
        Some("MODIFY") => (old, new),
        _ => (None, new),
    };
    new.into_iter().chain(old).collect()
}

/// Shared with the judge.
pub(crate) struct Shared(pub(crate) Arc<Stream>);

impl Source for Shared {
    fn stream_arn(&self) -> String {
        STREAM.to_owned()
    }

    async fn shards(&self) -> Result<Vec<Shard>, SourceError> {
        Ok(self.0.shards.iter().map(|(shard, _)| shard.clone()).collect())
    }

    async fn open(&self, shard: &str, _: &Position) -> Result<ShardIterator, SourceError> {
        Ok(ShardIterator { shard: shard.to_owned(), token: "0".to_owned(), last: None })
    }

    /// Every other page is empty.
    async fn read(&self, iterator: ShardIterator) -> Result<Page, SourceError> {
        let reads: usize = iterator.token.parse().expect("our own token");
        let records = self.0.records(&iterator.shard);
        let (start, empty) = (reads / 2 * self.0.page, reads.is_multiple_of(2));
        let end = if empty { start } else { records.len().min(start + self.0.page) };
        let page = records.get(start..end).unwrap_or_default();
        let records_of_page =
            page.iter().map(|id| SourceRecord::from_json(&*self.0.known[*id].json)).collect::<Result<_, _>>()?;
        let more = empty || end < records.len();
        let next = more.then(|| ShardIterator { token: (reads + 1).to_string(), ..iterator });
        Ok(Page { records: records_of_page, next })
    }
}
