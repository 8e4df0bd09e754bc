//! The checks before the act: which records are sent at all.

use std::collections::HashSet;

use lambda_streams_local::DynamoDbStreams;

use super::args::CheckArgs;
use super::origin::Origin;
use super::{changed, record};
use crate::aws::Aws;
use crate::deliver::Parcel;
use crate::failure::Failure;
use crate::table::compare::{Comparison, Currency};

/// How many records are compared with the table at once.
const COMPARED: usize = 100;

/// The checks before the act.
pub(super) struct Checks {
    comparison: Option<Comparison>,
    changed: HashSet<u128>,
}

impl Checks {
    pub(super) async fn new(args: &CheckArgs, origin: &Origin, aws: &Aws<'_>) -> Result<Self, Failure> {
        let comparison = match args.compare_with_table {
            true => Some(Comparison::new(aws.dynamodb().await?, origin.table_name())),
            false => None,
        };
        let changed = match args.skip_changed_since {
            None => HashSet::new(),
            Some(since) => {
                let (tables, streams) = (aws.dynamodb().await?, aws.streams().await?);
                let stream = DynamoDbStreams::connect_to_table(&tables, streams, origin.table_name()).await;
                changed::since(&stream.map_err(Failure::not_begun)?, since).await?
            }
        };
        Ok(Self { comparison, changed })
    }

    /// Whether each record is sent.
    pub(super) async fn stay(&self, parcels: &[Parcel]) -> Result<Vec<bool>, Failure> {
        let mut stay = vec![true; parcels.len()];
        if !self.changed.is_empty() {
            for (stays, parcel) in stay.iter_mut().zip(parcels) {
                *stays = !self.changed.contains(&record::group_of_record(&parcel.json));
            }
        }
        let Some(comparison) = &self.comparison else { return Ok(stay) };
        for (parcels, stay) in parcels.chunks(COMPARED).zip(stay.chunks_mut(COMPARED)) {
            let records: Vec<&str> = parcels.iter().map(|parcel| parcel.json.as_str()).collect();
            for (stays, currency) in stay.iter_mut().zip(comparison.of(&records).await?) {
                *stays &= currency != Currency::MovedOn;
            }
        }
        Ok(stay)
    }
}
