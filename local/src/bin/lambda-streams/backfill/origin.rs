//! Where the items come from, as the flags choose: a table, or an export of one.

use std::sync::Arc;

use super::args::ItemArgs;
use super::chunks::{self, Chunks};
use super::export::Export;
use super::files::{Files, Place};
use super::ledger;
use super::rate::Rate;
use super::scan::{self, END, Scan};
use crate::aws::Aws;
use crate::failure::Failure;
use crate::journal::Journal;
use crate::table::{Table, table_arn};
use crate::ui::{Ui, count};

/// Where the journal has the number of segments: another one has other positions.
const SEGMENTS: &str = "segments";

pub(crate) enum Origin {
    Table(Box<Scan>),
    Export(Box<Exported>),
}

/// An export, and what it is of.
pub(crate) struct Exported {
    pub(crate) export: Export,
    pub(crate) files: Arc<Place>,
    /// The flag's text.
    place: String,
    keys: Vec<String>,
    /// The stream of its table, or the table.
    arn: String,
}

impl Origin {
    /// Describes the table, or finds the export.
    pub(crate) async fn find(args: &ItemArgs, aws: &Aws<'_>) -> Result<Self, Failure> {
        let Some(place) = &args.export else {
            let client = aws.dynamodb().await?;
            let name = args.table.as_deref().unwrap_or_default();
            let table = Arc::new(Table::describe(&client, name).await?);
            let rate = args.read_units.map(|units| Arc::new(Rate::new(f64::from(units.get()))));
            return Ok(Self::Table(Box::new(Scan { client, table, segments: args.segments, rate, throttled: None })));
        };
        let files = Arc::new(Place::new(place, aws).await?);
        let export = Export::find(&*files).await?;
        let (keys, arn) = match (&args.table, export.summary.table_arn.clone()) {
            (Some(table), _) => of_table(&Table::describe(&aws.dynamodb().await?, table).await?, &args.key),
            (None, Some(arn)) if !args.key.is_empty() => (args.key.clone(), arn),
            (None, Some(arn)) => {
                let described = Table::describe(&aws.dynamodb().await?, &arn).await;
                let described = described.map_err(|failure| {
                    Failure::not_begun(format!("{failure}; or name the key attributes with --key"))
                })?;
                of_table(&described, &[])
            }
            (None, None) => {
                return Err(Failure::not_begun(format!(
                    "{}: there is no manifest-summary.json that says which table was exported: name the table with --table",
                    files.describe("")
                )));
            }
        };
        Ok(Self::Export(Box::new(Exported { export, files, place: place.clone(), keys, arn })))
    }

    /// What the journal calls it.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Table(scan) => &scan.table.arn,
            Self::Export(exported) => &exported.place,
        }
    }

    /// The stream of the table, or the table.
    pub(crate) fn arn(&self) -> &str {
        match self {
            Self::Table(scan) => scan.table.source_arn(),
            Self::Export(exported) => &exported.arn,
        }
    }

    /// Whether a stream may bring changes meanwhile.
    pub(crate) fn may_be_live(&self) -> bool {
        match self {
            Self::Table(scan) => scan.table.stream_arn.is_some(),
            Self::Export(_) => true,
        }
    }

    /// The name that calls use for the table.
    pub(crate) fn table_name(&self) -> &str {
        match self {
            Self::Table(scan) => &scan.table.name,
            Self::Export(exported) => {
                let arn = table_arn(&exported.arn);
                arn.rsplit_once(":table/").map_or(arn, |(_, name)| name)
            }
        }
    }

    /// How many items there are, about.
    pub(crate) fn items(&self) -> Option<u64> {
        match self {
            Self::Table(scan) => Some(scan.table.items).filter(|items| *items > 0),
            Self::Export(exported) => exported.export.items(),
        }
    }

    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Table(scan) => {
                format!(
                    "table {}, about {} items, keys {}",
                    scan.table.arn,
                    scan.table.items,
                    scan.table.keys.join(", ")
                )
            }
            Self::Export(exported) => {
                let items = match exported.export.items() {
                    Some(items) => format!("{items} items"),
                    None => "without a manifest: the number of items is unknown, and files may be missing".to_owned(),
                };
                let files = count(exported.export.files.len(), "file");
                format!("export {} of {}: {files}, {items}", exported.place, table_arn(&exported.arn))
            }
        }
    }

    /// What the run after an interrupted one does again.
    pub(crate) fn repeated(&self, done: &str) -> String {
        match self {
            Self::Table(_) => repeated_of_table(done),
            Self::Export(_) => format!(
                "the journal keeps the place in each file up to which everything is done. Lines after it that are done too, \
                 usually up to {}, are {done} again",
                chunks::LINES
            ),
        }
    }

    /// The progress of an earlier run of this work, if there was one.
    pub(crate) fn progress(&self, journal: &Journal) -> Option<String> {
        let (failed, _) = ledger::failures(|key| journal.value(key));
        let (lanes, what): (Vec<String>, _) = match self {
            Self::Table(_) => ((0..segments(journal)?.min(scan::MOST_SEGMENTS)).map(chunks::lane).collect(), "segment"),
            Self::Export(exported) => (exported.export.files.iter().map(chunks::file_lane).collect(), "file"),
        };
        let values: Vec<&str> = lanes.iter().filter_map(|lane| journal.value(&ledger::lane_key(lane))).collect();
        if values.is_empty() && failed.is_empty() && segments(journal).is_none() {
            return None;
        }
        let done = values.iter().filter(|value| **value == END).count();
        Some(format!(
            "of {}, {done} read to the end and {} in part; {} to be tried again",
            count(lanes.len(), what),
            values.len() - done,
            count(failed.len(), "failed item")
        ))
    }

    /// What an earlier run has not done.
    pub(crate) fn chunks(
        &self,
        journal: &mut Journal,
        failed: Vec<(usize, String)>,
        ui: &Arc<Ui>,
    ) -> Result<Chunks, Failure> {
        match self {
            Self::Table(scan) => {
                let scan = resumed(scan, journal, ui)?;
                Ok(chunks::of_table(&scan, journal, failed))
            }
            Self::Export(exported) => {
                let files = Arc::clone(&exported.files);
                chunks::of_export(files, &exported.export, exported.keys.clone(), journal, &failed)
            }
        }
    }
}

/// What the run after an interrupted scan does again.
pub(crate) fn repeated_of_table(done: &str) -> String {
    format!(
        "the journal keeps the place in each segment up to which everything is done. Pages after it that are done too, \
         usually one per segment with up to {} items, are {done} again",
        scan::PAGE
    )
}

/// In how many segments an earlier run has begun the scan.
fn segments(journal: &Journal) -> Option<u32> {
    journal.value(SEGMENTS).and_then(|segments| segments.parse().ok())
}

/// The scan in as many segments as an earlier run has begun it, which reports throttling.
pub(crate) fn resumed(scan: &Scan, journal: &mut Journal, ui: &Arc<Ui>) -> Result<Scan, Failure> {
    let segments = segments(journal).unwrap_or(scan.segments);
    journal.note(SEGMENTS, &segments.to_string())?;
    let (ui, table) = (Arc::clone(ui), scan.table.name.clone());
    let throttled = move || {
        ui.line(&format!("table `{table}` throttles the scan or is failing: waiting. --read-units slows the scan down"))
    };
    Ok(Scan { segments, throttled: Some(Arc::new(throttled)), ..scan.clone() })
}

fn of_table(table: &Table, keys: &[String]) -> (Vec<String>, String) {
    let keys = if keys.is_empty() { table.keys.clone() } else { keys.to_vec() };
    (keys, table.source_arn().to_owned())
}
