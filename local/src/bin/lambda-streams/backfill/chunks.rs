//! The items to be sent, in chunks: of a table by its segments, of an export by its files.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::stream::{self, LocalBoxStream, StreamExt, TryStreamExt};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::export::{self, DataFile, Export};
use super::files::Files;
use super::ledger::lane_key;
use super::record::Change;
use super::scan::{END, Page, Scan};
use crate::failure::Failure;
use crate::journal::Journal;
use crate::table::attributes::{self, Item};
use crate::table::{Table, compare};

/// How many lines of a file are one chunk.
pub(crate) const LINES: usize = 500;

/// What was read at once.
pub(crate) struct Chunk {
    /// Where it was read, and the position after it. None of what an earlier run has left.
    pub(crate) lane: Option<(String, String)>,
    pub(crate) entries: Vec<Entry>,
    /// Those of the earlier failures in it whose item is gone.
    pub(crate) gone: Vec<usize>,
}

/// An item that was read.
pub(crate) struct Entry {
    /// The keys, to read it again.
    pub(crate) name: String,
    pub(crate) change: Change,
    /// Its place among the failures of earlier runs.
    pub(crate) again: Option<usize>,
}

pub(crate) type Chunks = LocalBoxStream<'static, Result<Chunk, Failure>>;

/// The name of an item: its keys.
pub(crate) fn name(table: &Table, item: &Item) -> Result<String, Failure> {
    let keys = table.keys.iter().filter_map(|key| Some((key.clone(), item.get(key)?.clone()))).collect();
    let keys = attributes::to_json(&keys).map_err(Failure::failed)?;
    Ok(keys.to_string())
}

/// The keys of a name.
fn keys(name: &str) -> Result<Item, Failure> {
    let keys: Option<Value> = serde_json::from_str(name).ok();
    let keys = keys.and_then(|keys| attributes::from_json(&keys).ok());
    keys.ok_or_else(|| Failure::failed("the journal names a failed item whose keys cannot be read"))
}

/// The pages of all segments, each from where an earlier run has come to.
pub(crate) fn pages(scan: &Scan, journal: &Journal) -> impl futures::Stream<Item = Result<Page, Failure>> + use<> {
    let segments = (0..scan.segments).map(|segment| {
        let position = journal.value(&lane_key(&lane(segment))).map(str::to_owned);
        scan.pages(segment, position.as_deref()).boxed_local()
    });
    stream::select_all(segments.collect::<Vec<_>>())
}

/// The lane of a segment.
pub(crate) fn lane(segment: u32) -> String {
    format!("segment {segment}")
}

/// The items that earlier runs have noted as failed, as they are now, and the places of those that are gone.
pub(crate) async fn again(
    scan: &Scan,
    failed: Vec<(usize, String)>,
) -> Result<(Vec<(usize, String, Item)>, Vec<usize>), Failure> {
    let mut by_name: BTreeMap<String, usize> = BTreeMap::new();
    let mut gone = Vec::new();
    for (place, name) in failed {
        // An item can have failed twice, when its chunk was read twice.
        gone.extend(by_name.insert(name, place));
    }
    let wanted = by_name.keys().map(|name| keys(name)).collect::<Result<Vec<_>, _>>()?;
    let mut items = Vec::new();
    for item in compare::get(&scan.client, &scan.table.name, wanted).await? {
        let name = name(&scan.table, &item)?;
        if let Some(place) = by_name.remove(&name) {
            items.push((place, name, item));
        }
    }
    gone.extend(by_name.into_values());
    Ok((items, gone))
}

/// A table: first what failed before, then what was not read yet.
pub(crate) fn of_table(scan: &Scan, journal: &Journal, failed: Vec<(usize, String)>) -> Chunks {
    let pages = pages(scan, journal);
    let table = Arc::clone(&scan.table);
    let pages = pages.and_then(move |page| {
        let table = Arc::clone(&table);
        async move {
            let entries = page.items.iter().map(|item| entry(&table, item, None)).collect::<Result<_, _>>()?;
            Ok(Chunk { lane: Some((lane(page.segment), page.position)), entries, gone: Vec::new() })
        }
    });
    if failed.is_empty() {
        return pages.boxed_local();
    }
    let scan = scan.clone();
    let first = stream::once(async move {
        let (items, gone) = again(&scan, failed).await?;
        let entries = items.iter().map(|(place, _, item)| entry(&scan.table, item, Some(*place)));
        Ok(Chunk { lane: None, entries: entries.collect::<Result<_, Failure>>()?, gone })
    });
    first.chain(pages).boxed_local()
}

fn entry(table: &Table, item: &Item, again: Option<usize>) -> Result<Entry, Failure> {
    let refuse = |why: &dyn std::fmt::Display| Failure::failed(format!("table `{}`: an item: {why}", table.name));
    let json = attributes::to_json(item).map_err(|why| refuse(&why))?;
    let raw = to_raw_value(&json).map_err(|error| refuse(&error))?;
    let image: BTreeMap<String, &RawValue> = serde_json::from_str(raw.get()).map_err(|error| refuse(&error))?;
    let change = export::inserted(&image, &table.keys).map_err(|why| refuse(&why))?;
    Ok(Entry { name: name(table, item)?, change, again })
}

/// A file of an export, and what of it is to be sent.
struct Part {
    file: DataFile,
    /// This many lines are done; none is left after all.
    done: Option<usize>,
    /// The lines that failed, with their places.
    failed: BTreeMap<usize, usize>,
}

impl Part {
    fn is_done(&self) -> bool {
        self.done.is_none() && self.failed.is_empty()
    }
}

/// An export: of each file what failed before and what was not read yet.
pub(crate) fn of_export<F: Files + 'static>(
    files: Arc<F>,
    export: &Export,
    keys: Vec<String>,
    journal: &Journal,
    failed: &[(usize, String)],
) -> Result<Chunks, Failure> {
    let is_here = |name: &str| export.files.iter().any(|file| file.name == name);
    let names = failed.iter().filter_map(|(_, name)| name.split_once(' ')).map(|(_, name)| name);
    if let Some(missing) = names.into_iter().find(|name| !is_here(name)) {
        return Err(Failure::not_begun(format!(
            "the journal {} has failed items of {missing}, which is not in this export. It belongs to another export: use \
             --journal to name another file for this one",
            journal.path().display()
        )));
    }
    let mut parts = Vec::new();
    for file in &export.files {
        let done = match journal.value(&lane_key(&file_lane(file))) {
            None => Some(0),
            Some(END) => None,
            Some(lines) => Some(lines.parse().map_err(|_| {
                Failure::not_begun(format!("the journal's position in {} cannot be read", files.describe(&file.name)))
            })?),
        };
        let failed = failed.iter().filter_map(|(place, name)| {
            let (line, name) = name.split_once(' ')?;
            Some((line.parse().ok()?, *place)).filter(|_| name == file.name)
        });
        parts.push(Part { file: file.clone(), done, failed: failed.collect() });
    }
    let view_type = export.view_type();
    let parts = stream::iter(parts.into_iter().filter(|part| !part.is_done()));
    let chunks = parts.then(move |part| {
        let (files, keys) = (Arc::clone(&files), keys.clone());
        async move {
            let name = files.describe(&part.file.name);
            let bytes: Arc<[u8]> = files.read(&part.file.name).await?.into();
            let lines = whole_lines(part.file.clone(), bytes).await;
            let lines =
                lines.map_err(|why| Failure::failed(format!("{name}: {why}. Nothing of this file was sent")))?;
            let chunks = Lines { name, part, lines, keys, view_type, is_over: false };
            Ok::<_, Failure>(stream::iter(chunks))
        }
    });
    Ok(chunks.try_flatten().boxed_local())
}

type NumberedLines = Box<dyn Iterator<Item = (usize, Vec<u8>)> + Send>;

/// Reads a file as a whole on a thread of its own: a large one takes seconds, in which invocations are in flight.
async fn whole_lines(file: DataFile, bytes: Arc<[u8]>) -> Result<NumberedLines, String> {
    let read = move || {
        let lines = export::whole_lines(&file, &bytes)?;
        Ok(Box::new(lines.enumerate()) as NumberedLines)
    };
    tokio::task::spawn_blocking(read).await.map_err(|error| error.to_string())?
}

/// The lane of a file.
pub(crate) fn file_lane(file: &DataFile) -> String {
    format!("file {}", file.name)
}

/// The chunks of a file.
struct Lines {
    /// As messages call it.
    name: String,
    part: Part,
    lines: NumberedLines,
    keys: Vec<String>,
    view_type: &'static str,
    is_over: bool,
}

impl Iterator for Lines {
    type Item = Result<Chunk, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let mut entries = Vec::new();
        let mut position = END.to_owned();
        loop {
            let Some((number, line)) = self.lines.next() else {
                self.is_over = true;
                break;
            };
            let again = self.part.failed.get(&number).copied();
            if again.is_some() || self.part.done.is_some_and(|done| number >= done) {
                let change = match export::change(&line, &self.keys, self.view_type) {
                    Ok(change) => change,
                    Err(why) => {
                        self.is_over = true;
                        return Some(Err(Failure::failed(format!("{}, line {}: {why}", self.name, number + 1))));
                    }
                };
                entries.push(Entry { name: format!("{number} {}", self.part.file.name), change, again });
            }
            if entries.len() >= LINES {
                position = (number + 1).to_string();
                break;
            }
        }
        // Of a file that was read to its end before, only failures are sent, and its position stays.
        let lane = self.part.done.map(|_| (file_lane(&self.part.file), position));
        Some(Ok(Chunk { lane, entries, gone: Vec::new() }))
    }
}
