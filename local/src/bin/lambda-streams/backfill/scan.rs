//! The items of a table: a parallel scan, each segment page by page.
//!
//! Reads are consistent. Under a limit of capacity, a page is small enough to cost at most about a second's units, so
//! the limit also holds over a second and not only on average.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::scan::ScanOutput;
use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use futures::Stream;
use serde_json::Value;

use super::rate::Rate;
use crate::failure::Failure;
use crate::table::attributes::{self, Item};
use crate::table::{Table, calls};

/// What one consistent read unit reads.
const UNIT_BYTES: f64 = 4096.0;
/// The most items of a page. What of a page is done is repeated when the run is stopped before all of it is.
pub(crate) const PAGE: i32 = 1_000;
/// The most segments that a flag may ask for.
pub(crate) const MOST_SEGMENTS: u32 = 256;
/// At this try of a page, throttling is reported. The client has tried several times in each.
const TOLD_AT: u32 = 2;
/// In place of a position: the segment was read to its end.
pub(crate) const END: &str = "end";

/// A table that is scanned in this many segments.
#[derive(Clone)]
pub(crate) struct Scan {
    pub(crate) client: Client,
    pub(crate) table: Arc<Table>,
    pub(crate) segments: u32,
    pub(crate) rate: Option<Arc<Rate>>,
    /// Told when a page is throttled for longer.
    pub(crate) throttled: Option<Arc<dyn Fn()>>,
}

/// What one read gave.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) segment: u32,
    pub(crate) items: Vec<Item>,
    /// Where the segment goes on after this page, as text for the journal.
    pub(crate) position: String,
    pub(crate) units: f64,
}

/// Where a segment is.
enum At {
    Start,
    After(Item),
    End,
}

impl At {
    /// Reads a [`Page::position`].
    fn read(position: Option<&str>) -> Result<Self, String> {
        match position {
            None => Ok(Self::Start),
            Some(END) => Ok(Self::End),
            Some(keys) => {
                let keys: Value = serde_json::from_str(keys).map_err(|error| error.to_string())?;
                attributes::from_json(&keys).map(Self::After)
            }
        }
    }
}

impl Scan {
    /// The pages of a segment, from its beginning or from after a page that was done.
    pub(crate) fn pages(&self, segment: u32, from: Option<&str>) -> impl Stream<Item = Result<Page, Failure>> + use<> {
        let at = At::read(from).map_err(|why| {
            Failure::failed(format!("the journal's position in segment {segment} cannot be read: {why}"))
        });
        let begun = (self.clone(), at, self.per_item());
        futures::stream::try_unfold(begun, move |(scan, at, per_item)| async move {
            let start = match at? {
                At::Start => None,
                At::After(keys) => Some(keys),
                At::End => return Ok(None),
            };
            let (page, next) = scan.page(segment, start, per_item).await?;
            let per_item = match page.items.len() {
                0 => per_item,
                items => page.units / items as f64,
            };
            Ok(Some((page, (scan, Ok(next.map_or(At::End, At::After)), per_item))))
        })
    }

    async fn page(&self, segment: u32, start: Option<Item>, per_item: f64) -> Result<(Page, Option<Item>), Failure> {
        let tries = Cell::new(0);
        let call = async || {
            tries.set(tries.get() + 1);
            if let Some(throttled) = self.throttled.as_ref().filter(|_| tries.get() == TOLD_AT) {
                throttled();
            }
            if let Some(rate) = &self.rate {
                rate.ready().await;
            }
            self.request(segment, start.clone(), per_item).send().await
        };
        let output = calls::patiently(call).await.map_err(|error| {
            Failure::failed(calls::explain(&format!("table `{}`", self.table.name), "dynamodb:Scan", &error))
        })?;
        let units = units(&output);
        if let Some(rate) = &self.rate {
            rate.used(units);
        }
        let next = output.last_evaluated_key.filter(|keys| !keys.is_empty());
        let position = match &next {
            None => END.to_owned(),
            Some(keys) => {
                let json = attributes::to_json(keys);
                json.map_err(|why| Failure::failed(format!("table `{}`: a key: {why}", self.table.name)))?.to_string()
            }
        };
        Ok((Page { segment, items: output.items.unwrap_or_default(), position, units }, next))
    }

    fn request(
        &self,
        segment: u32,
        start: Option<Item>,
        per_item: f64,
    ) -> aws_sdk_dynamodb::operation::scan::builders::ScanFluentBuilder {
        let share = self.rate.as_ref().map(|rate| rate.units_per_second() / f64::from(self.segments));
        // Floats saturate.
        let limit = share.map_or(PAGE, |share| ((share / per_item) as i32).clamp(1, PAGE));
        self.client
            .scan()
            .table_name(&self.table.name)
            .consistent_read(true)
            .segment(segment.cast_signed())
            .total_segments(self.segments.cast_signed())
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .limit(limit)
            .set_exclusive_start_key(start)
    }

    /// What an item costs, before any was read.
    fn per_item(&self) -> f64 {
        let bytes = self.table.bytes as f64 / (self.table.items.max(1) as f64);
        (bytes / UNIT_BYTES).max(0.01)
    }
}

/// What a page cost, or what it should have cost where the endpoint does not say.
fn units(output: &ScanOutput) -> f64 {
    let said = output.consumed_capacity.as_ref().and_then(|capacity| capacity.capacity_units);
    said.unwrap_or_else(|| {
        let bytes: usize = output.items().iter().map(size).sum();
        (bytes as f64 / UNIT_BYTES).ceil().max(1.0)
    })
}

/// About how large an item is.
fn size(item: &HashMap<String, aws_sdk_dynamodb::types::AttributeValue>) -> usize {
    attributes::to_json(item).map_or(0, |json| json.to_string().len())
}

/// What a scan of the whole table costs in consistent read units, about.
pub(crate) fn estimate(table: &Table) -> f64 {
    (table.bytes as f64 / UNIT_BYTES).ceil()
}
