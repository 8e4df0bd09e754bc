//! Delivers records to a function until each is done or has failed: what `redrive`, `replay` and `backfill` share.
//!
//! *Invariants*: the records of an item are in one bucket, and a bucket has one invocation at a time, so they are sent in order. A record
//! is only settled by an answer of the function. After a record that failed, no later record of its item is sent.

mod answer;
mod bucket;
mod course;
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
use self::bucket::{Next, Piece};
use self::course::Course;

/// The delay before a second attempt; each further one waits twice as long.
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// The longest delay.
const MAX_DELAY: Duration = Duration::from_secs(30);

/// A record or a dead letter on its way to the function.
#[derive(Debug, Clone)]
pub(crate) struct Parcel {
    /// The record as the function receives it.
    pub(crate) json: String,
    /// What an answer calls it: its sequence number, otherwise its event id, or a message id. Empty if an answer can only
    /// give its position.
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
    /// An earlier record of its item failed, so it was not sent.
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
    /// Why it gave up before the end: the function fails every invocation.
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
        let mut course = Course::new(&self.limits);
        let mut in_flight = FuturesUnordered::new();
        let (mut parcels, stop) = (pin!(parcels.fuse()), stop.shared());
        let mut stopped = pin!(stop.clone().fuse());
        let mut has_input = true;
        loop {
            let reads = has_input && course.has_room(&self.limits);
            let begins = if course.is_over() { 0 } else { course.buckets.len() };
            for index in 0..begins {
                loop {
                    match course.buckets[index].next(&self.limits, !reads) {
                        Next::Nothing => break,
                        Next::HeldBack(held) => settle(held).await?,
                        Next::Send(piece) => {
                            in_flight.push(self.fly(index, piece, Duration::ZERO, stop.clone()));
                            break;
                        }
                    }
                }
            }
            if in_flight.is_empty() && (course.is_over() || !has_input) {
                let settled = course.settled_at_end();
                if !settled.is_empty() {
                    settle(settled).await?;
                }
                return course.failure.map_or(Ok(course.delivered), Err);
            }
            // Records that were held back have made room.
            let reads = has_input && course.has_room(&self.limits) && !course.is_over();
            tokio::select! {
                biased;
                () = &mut stopped, if !course.delivered.is_stopped => course.delivered.is_stopped = true,
                Some(landed) = in_flight.next() => {
                    let Landed { bucket, piece, response } = landed;
                    let (response, took) = match response {
                        Some(Ok(response)) => response,
                        not_invoked => {
                            let error = not_invoked.and_then(Result::err);
                            course.not_sent(bucket, piece, error, in_flight.is_empty());
                            continue;
                        }
                    };
                    let answer = Answer::read(response, &self.form, &piece.parcels);
                    (self.observe)(&Event::Answered { records: piece.parcels.len(), answer: &answer, took });
                    let (settled, again) = course.answered(bucket, piece, answer, &self.limits);
                    if !settled.is_empty() {
                        settle(settled).await?;
                    }
                    if let Some((piece, delay)) = again {
                        if !delay.is_zero() {
                            (self.observe)(&Event::Waiting { records: piece.parcels.len(), delay });
                        }
                        in_flight.push(self.fly(bucket, piece, delay, stop.clone()));
                    }
                }
                parcel = parcels.next(), if reads => match parcel {
                    Some(Ok(parcel)) => course.push(parcel),
                    Some(Err(error)) => course.failure = Some(error),
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

/// How long to wait before an attempt after this many failures. Half of it is random, so several runs do not come at once.
fn backoff(failures: u32) -> Duration {
    let doubled = FIRST_DELAY.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
    doubled.min(MAX_DELAY).mul_f64(0.5 + 0.5 * fastrand::f64())
}
