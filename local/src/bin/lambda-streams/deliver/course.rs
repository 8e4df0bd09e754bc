//! How far a delivery has come: what each answer means for its bucket, and for the run as a whole.

use std::time::Duration;

use lambda_streams_local::InvokeError;

use super::answer::Answer;
use super::bucket::{Bucket, Piece, Verdict};
use super::{Delivered, Limits, Parcel, Settled};
use crate::failure::Failure;

/// After this many records in a row that each failed the function alone, the function is down and the run stops.
const MAX_LONE_FAILURES: usize = 8;

#[derive(Debug)]
pub(super) struct Course {
    pub(super) buckets: Vec<Bucket>,
    pub(super) delivered: Delivered,
    /// Why the run cannot go on. What is in flight is waited for first.
    pub(super) failure: Option<Failure>,
    has_answers: bool,
    /// They have failed the function alone. Either it is their fault, or the function is down: the next answer tells.
    suspects: Vec<Settled>,
}

impl Course {
    pub(super) fn new(limits: &Limits) -> Self {
        let buckets = (0..limits.concurrency.get()).map(|_| Bucket::default()).collect();
        Self { buckets, delivered: Delivered::default(), failure: None, has_answers: false, suspects: Vec::new() }
    }

    /// Whether the run ends early, and not because it was told to.
    pub(super) fn is_broken(&self) -> bool {
        self.delivered.broken.is_some() || self.failure.is_some()
    }

    /// Whether no further invocation begins.
    pub(super) fn is_over(&self) -> bool {
        self.delivered.is_stopped || self.is_broken()
    }

    /// Whether more records are to be read.
    pub(super) fn has_room(&self, limits: &Limits) -> bool {
        let room = limits.concurrency.get().saturating_mul(limits.batch_size.get()).saturating_mul(2);
        self.buckets.iter().map(Bucket::queued).sum::<usize>() < room
    }

    pub(super) fn push(&mut self, parcel: Parcel) {
        let bucket = parcel.item % self.buckets.len() as u64;
        self.buckets[usize::try_from(bucket).expect("it is less than a `usize`")].push(parcel);
    }

    /// Takes back a piece that was not sent: because of the stop, or as the function cannot be invoked. `is_alone` says that no other
    /// invocation is in flight.
    pub(super) fn not_sent(&mut self, bucket: usize, piece: Piece, error: Option<InvokeError>, is_alone: bool) {
        self.buckets[bucket].put_back(piece);
        let is_begun = self.has_answers || !is_alone;
        let failure = error.map(|error| match error.is_refused() && !is_begun {
            true => Failure::not_begun(error),
            false => Failure::failed(error),
        });
        self.failure = self.failure.take().or(failure);
    }

    /// Takes an answer: what is settled by it, and the piece that is sent again after a delay.
    pub(super) fn answered(
        &mut self,
        bucket: usize,
        piece: Piece,
        answer: Answer,
        limits: &Limits,
    ) -> (Vec<Settled>, Option<(Piece, Duration)>) {
        self.has_answers = true;
        let mut settled = Vec::new();
        if let Answer::Left { counts, positions, .. } = &answer {
            self.delivered.counts.add(counts);
            if positions.len() < piece.parcels.len() {
                settled.append(&mut self.suspects);
            }
        }
        let reason = if let Answer::Failed(reason) = &answer { Some(reason.clone()) } else { None };
        let Verdict { settled: mut of_piece, again } = self.buckets[bucket].landed(piece, answer, limits);
        match reason {
            Some(reason) => {
                self.suspects.append(&mut of_piece);
                if self.suspects.len() >= MAX_LONE_FAILURES {
                    self.delivered.broken.get_or_insert(reason);
                }
            }
            None => settled.append(&mut of_piece),
        }
        match again {
            Some((piece, _)) if self.is_broken() => {
                self.buckets[bucket].put_back(piece);
                (settled, None)
            }
            again => (settled, again),
        }
    }

    /// What is settled by the end of the run: nothing else was wrong than the suspects.
    pub(super) fn settled_at_end(&mut self) -> Vec<Settled> {
        if self.delivered.broken.is_some() { Vec::new() } else { std::mem::take(&mut self.suspects) }
    }
}
