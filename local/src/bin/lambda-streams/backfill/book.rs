//! The way of a chunk: checked, entered in the ledger, sent, and settled in the journal.

use std::sync::Mutex;

use futures::{Stream, StreamExt};

use super::checks::Checks;
use super::chunks::{Chunk, Chunks};
use super::ledger::{End, Ledger, Note};
use super::lock;
use super::record::Source;
use crate::deliver::{Outcome, Parcel, Settled};
use crate::failure::Failure;
use crate::journal::Journal;

/// What the stream of parcels and the answers share.
pub(super) struct Book<'a> {
    pub(super) journal: &'a Mutex<Journal>,
    pub(super) ledger: Mutex<Ledger>,
    /// Items that were read and not sent, because the table or the stream had newer ones, or none.
    pub(super) left_out: Mutex<u64>,
    /// Why reading has ended early.
    pub(super) unread: Mutex<Option<Failure>>,
}

impl Book<'_> {
    fn note(&self, notes: &[Note]) -> Result<(), Failure> {
        let mut journal = lock(self.journal);
        notes.iter().try_for_each(|(key, value)| journal.note(key, value))
    }

    /// Notes what the answers say.
    pub(super) fn settle(&self, settled: &[Settled]) -> Result<(), Failure> {
        for Settled { tag, outcome, .. } in settled {
            let end = match outcome {
                Outcome::Done => End::Done,
                Outcome::Failed(_) => End::Failed,
                Outcome::HeldBack => End::Left,
            };
            let notes = lock(&self.ledger).ended(*tag, end);
            self.note(&notes)?;
        }
        Ok(())
    }
}

/// The records of the chunks. When reading fails they end, so what is in flight is waited for, and the book has the reason.
pub(super) fn parcels<'a>(
    chunks: Chunks,
    checks: &'a Checks,
    source: &'a Source,
    book: &'a Book<'a>,
) -> impl Stream<Item = Result<Parcel, Failure>> + 'a {
    let chunks = chunks.then(async |chunk| admit(chunk?, checks, source, book).await);
    let whole = chunks.scan((), |(), admitted| {
        let admitted = admitted.map_err(|failure| *lock(&book.unread) = Some(failure)).ok();
        std::future::ready(admitted)
    });
    whole.flat_map(|parcels| futures::stream::iter(parcels.into_iter().map(Ok)))
}

/// Checks a chunk, and enters it in the ledger.
async fn admit(chunk: Chunk, checks: &Checks, source: &Source, book: &Book<'_>) -> Result<Vec<Parcel>, Failure> {
    let (mut parcels, mut entries) = (Vec::new(), Vec::new());
    for entry in chunk.entries {
        parcels.push(source.parcel(&entry.change, 0));
        entries.push((entry.name, entry.again));
    }
    let stays = checks.stay(&parcels).await?;
    *lock(&book.left_out) += (stays.iter().filter(|stays| !**stays).count() + chunk.gone.len()) as u64;
    let mut ledger = lock(&book.ledger);
    let mut notes = Vec::new();
    for place in chunk.gone {
        let tag = ledger.read_again(place);
        notes.extend(ledger.ended(tag, End::Done));
    }
    let mut admitted = Vec::new();
    let (mut new, mut names) = (Vec::new(), Vec::new());
    for ((mut parcel, (name, again)), stays) in parcels.into_iter().zip(entries).zip(stays) {
        match again {
            Some(place) => {
                parcel.tag = ledger.read_again(place);
                if stays { admitted.push(parcel) } else { notes.extend(ledger.ended(parcel.tag, End::Done)) }
            }
            None if stays => {
                new.push(parcel);
                names.push(name);
            }
            None => {}
        }
    }
    if let Some((lane, position)) = chunk.lane {
        let (tags, more) = ledger.read(&lane, position, names);
        notes.extend(more);
        for (parcel, tag) in new.iter_mut().zip(tags) {
            parcel.tag = tag;
        }
    }
    drop(ledger);
    book.note(&notes)?;
    admitted.extend(new);
    Ok(admitted)
}
