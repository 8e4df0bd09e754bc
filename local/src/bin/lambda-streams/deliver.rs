//! Delivers records to a function until each is done or has failed: what `redrive`, `replay` and `backfill` share.
//!
//! *Invariants*: the records of an item are in one bucket, and a bucket has one invocation at a time, so that they are sent in order. A record
//! is only settled by an answer of the function. After a record that failed, no later record of its item is sent.

mod answer;
mod bucket;
mod event;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{FutureExt, Stream, StreamExt};
use lambda_streams_local::{Function, InvokeError, Response};

use crate::failure::Failure;

pub(crate) use self::answer::FunctionCounts;
pub(crate) use self::event::{Event, Form, Stale};

use self::answer::Answer;
use self::bucket::{Bucket, Next, Piece};

/// The delay before a second attempt; each further one waits twice as long.
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// The longest delay.
const MAX_DELAY: Duration = Duration::from_secs(30);
/// After so many records in a row that failed the function as a whole, each of them alone, the function is down and the run stops. (A batch
/// that fails says nothing: one of its records may be all of it.)
const MAX_LONE_FAILURES: usize = 8;

/// A record or a dead letter on its way to the function.
#[derive(Debug, Clone)]
pub(crate) struct Parcel {
    /// The record as the function receives it.
    pub(crate) json: String,
    /// What an answer calls it: its sequence number, else its event id; a message id. Empty where it can only call it by its position.
    pub(crate) name: String,
    /// Its item: such records stay in order.
    pub(crate) item: u64,
    /// Which one it is for the command.
    pub(crate) tag: u64,
}

/// How a record ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The function's answer says that it is done.
    Done,
    /// It was not done after all attempts, for this reason.
    Failed(String),
    /// An earlier record of its item failed, so that it was not sent.
    HeldBack,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) tag: u64,
    pub(crate) name: String,
    pub(crate) outcome: Outcome,
}

/// How much is sent at once, and how often.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Records in an invocation.
    pub(crate) batch_size: NonZeroUsize,
    /// Invocations at once.
    pub(crate) concurrency: NonZeroUsize,
    /// How often a record is sent that is not done.
    pub(crate) attempts: u32,
    /// The function's timeout.
    pub(crate) timeout: Duration,
}

/// How a delivery ended.
#[derive(Debug, Default)]
pub(crate) struct Delivered {
    /// What the function said of the records, if it is one of this crate.
    pub(crate) counts: FunctionCounts,
    /// Whether it was told to stop.
    pub(crate) is_stopped: bool,
    /// Why it gave up before the end: the function fails as a whole whatever it is sent.
    pub(crate) broken: Option<String>,
}

/// Sends records to a function.
pub(crate) struct Delivery<'a, F> {
    pub(crate) function: &'a F,
    pub(crate) form: Form,
    pub(crate) limits: Limits,
    /// Sees what happens.
    pub(crate) observe: &'a (dyn Fn(&Event<'_>) + Send + Sync),
}

/// An invocation that has ended, or has not begun because of the stop.
struct Landed {
    bucket: usize,
    piece: Piece,
    /// With how long it took.
    response: Option<Result<(Response, Duration), InvokeError>>,
}

impl<F: Function> Delivery<'_, F> {
    /// Sends all parcels. `settle` gets the outcomes after each answer, before anything more of these items is sent. Once `stop` is
    /// ready no invocation begins; those in flight are waited for. Parcels that were not settled by then are left.
    ///
    /// # Errors
    /// If the function cannot be invoked at all, or those of `parcels` and `settle`.
    ///
    /// # Cancellation
    /// Dropping the future abandons the invocations in flight; what they have done is not known.
    pub(crate) async fn run(
        &self,
        parcels: impl Stream<Item = Result<Parcel, Failure>>,
        mut settle: impl AsyncFnMut(Vec<Settled>) -> Result<(), Failure>,
        stop: impl Future<Output = ()>,
    ) -> Result<Delivered, Failure> {
        let count = self.limits.concurrency.get();
        let mut buckets: Vec<Bucket> = (0..count).map(|_| Bucket::default()).collect();
        let mut delivered = Delivered::default();
        let (mut failure, mut has_answers) = (None, false);
        // They have failed the function alone. Either it is their fault, or the function is down: the next answer tells.
        let mut suspects: Vec<Settled> = Vec::new();
        let mut in_flight = FuturesUnordered::new();
        let (mut parcels, stop) = (pin!(parcels.fuse()), stop.shared());
        let mut stopped = pin!(stop.clone().fuse());
        let room = count.saturating_mul(self.limits.batch_size.get()).saturating_mul(2);
        let has_room = |buckets: &[Bucket]| buckets.iter().map(Bucket::queued).sum::<usize>() < room;
        let mut has_input = true;
        loop {
            let reads = has_input && has_room(&buckets);
            let is_broken = delivered.broken.is_some() || failure.is_some();
            let is_over = delivered.is_stopped || is_broken;
            for (index, bucket) in buckets.iter_mut().enumerate().filter(|_| !is_over) {
                loop {
                    match bucket.next(&self.limits, !reads) {
                        Next::Nothing => break,
                        Next::HeldBack(held) => settle(held).await?,
                        Next::Send(piece) => {
                            in_flight.push(self.fly(index, piece, Duration::ZERO, stop.clone()));
                            break;
                        }
                    }
                }
            }
            if in_flight.is_empty() && (is_over || !has_input) {
                if delivered.broken.is_none() && !suspects.is_empty() {
                    settle(suspects).await?;
                }
                return failure.map_or(Ok(delivered), Err);
            }
            // Records that were held back have made room.
            let reads = has_input && has_room(&buckets);
            tokio::select! {
                biased;
                () = &mut stopped, if !delivered.is_stopped => delivered.is_stopped = true,
                Some(landed) = in_flight.next() => {
                    let Landed { bucket, piece, response } = landed;
                    let (response, took) = match response {
                        Some(Ok(response)) => response,
                        not_invoked => {
                            buckets[bucket].put_back(piece);
                            let is_begun = has_answers || !in_flight.is_empty();
                            failure = failure.or(not_invoked.and_then(Result::err).map(|error| {
                                if error.is_refused() && !is_begun { Failure::not_begun(error) } else { Failure::failed(error) }
                            }));
                            continue;
                        }
                    };
                    has_answers = true;
                    let answer = Answer::read(response, &self.form, &piece.parcels);
                    if let Answer::Left { counts, .. } = &answer {
                        delivered.counts.add(counts);
                    }
                    (self.observe)(&Event::Answered { records: piece.parcels.len(), answer: &answer, took });
                    let is_up = matches!(&answer, Answer::Left { positions, .. } if positions.len() < piece.parcels.len());
                    if is_up && !suspects.is_empty() {
                        settle(std::mem::take(&mut suspects)).await?;
                    }
                    let reason = if let Answer::Failed(reason) = &answer { Some(reason.clone()) } else { None };
                    let verdict = buckets[bucket].landed(piece, answer, &self.limits);
                    match reason {
                        Some(reason) => {
                            suspects.extend(verdict.settled);
                            if suspects.len() >= MAX_LONE_FAILURES {
                                delivered.broken.get_or_insert(reason);
                            }
                        }
                        None if verdict.settled.is_empty() => {}
                        None => settle(verdict.settled).await?,
                    }
                    match verdict.again {
                        Some((piece, _)) if is_broken => buckets[bucket].put_back(piece),
                        Some((piece, delay)) => {
                            if !delay.is_zero() {
                                (self.observe)(&Event::Waiting { records: piece.parcels.len(), delay });
                            }
                            in_flight.push(self.fly(bucket, piece, delay, stop.clone()));
                        }
                        None => {}
                    }
                }
                parcel = parcels.next(), if reads && !is_over => match parcel {
                    Some(Ok(parcel)) => {
                        let bucket = usize::try_from(parcel.item % count as u64).expect("it is less than a `usize`");
                        buckets[bucket].push(parcel);
                    }
                    // What is in flight is waited for first.
                    Some(Err(error)) => failure = Some(error),
                    None => has_input = false,
                },
            }
        }
    }

    /// Invokes the function with a piece, after a delay.
    async fn fly(&self, bucket: usize, piece: Piece, delay: Duration, stop: impl Future<Output = ()>) -> Landed {
        tokio::select! {
            biased;
            () = stop => return Landed { bucket, piece, response: None },
            () = tokio::time::sleep(delay) => {}
        }
        (self.observe)(&Event::Sent);
        let payload = self.form.payload(&piece.parcels);
        let began = tokio::time::Instant::now();
        let response = self.function.invoke(payload, self.limits.timeout).await;
        Landed { bucket, piece, response: Some(response.map(|response| (response, began.elapsed()))) }
    }
}

/// How long to wait before an attempt after so many failures. Half of it is random, so that several runs do not come at once.
fn backoff(failures: u32) -> Duration {
    let doubled = FIRST_DELAY.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
    doubled.min(MAX_DELAY).mul_f64(0.5 + 0.5 * fastrand::f64())
}
