//! The records that one invocation at a time may be made with.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use super::answer::Answer;
use super::{Limits, Outcome, Parcel, Settled, backoff};

/// The most bytes of records in an invocation. A payload may have 6 MB
/// ([AWS: quotas](https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html)).
const MAX_BYTES: usize = 5_500_000;

/// Records whose items belong to no other bucket.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    queue: VecDeque<Parcel>,
    /// What was cut off already; the last is the next.
    pieces: Vec<Piece>,
    is_in_flight: bool,
    /// The items of which a record failed.
    failed: HashSet<u64>,
}

/// Records of one invocation.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) parcels: Vec<Parcel>,
    /// How often it was sent without progress.
    attempts: u32,
    /// How often it may be.
    allowed: u32,
    throttles: u32,
}

impl Piece {
    fn new(parcels: Vec<Parcel>, allowed: u32) -> Self {
        Self { parcels, attempts: 0, allowed, throttles: 0 }
    }
}

/// What a bucket does next.
#[derive(Debug)]
pub(super) enum Next {
    Nothing,
    /// These are not sent.
    HeldBack(Vec<Settled>),
    Send(Piece),
}

/// What an answer means for a bucket.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) settled: Vec<Settled>,
    /// The piece that is sent after a delay.
    pub(super) again: Option<(Piece, Duration)>,
}

impl Bucket {
    pub(super) fn push(&mut self, parcel: Parcel) {
        self.queue.push_back(parcel);
    }

    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// A piece that is not sent because of a stop.
    pub(super) fn put_back(&mut self, piece: Piece) {
        self.is_in_flight = false;
        self.pieces.push(piece);
    }

    fn is_ready(&self, limits: &Limits, is_last: bool) -> bool {
        let is_full = || {
            self.queue.len() >= limits.batch_size.get()
                || self.queue.iter().map(|parcel| parcel.json.len()).sum::<usize>() >= MAX_BYTES
        };
        !self.queue.is_empty() && (is_last || is_full())
    }

    /// The next piece to send. A batch that is not full waits for more records, unless none are read now (`is_last`).
    pub(super) fn next(&mut self, limits: &Limits, is_last: bool) -> Next {
        if self.is_in_flight {
            return Next::Nothing;
        }
        let piece = match self.pieces.pop() {
            Some(piece) => piece,
            None if self.is_ready(limits, is_last) => Piece::new(self.cut(limits.batch_size.get()), limits.attempts),
            None => return Next::Nothing,
        };
        let (held, parcels): (Vec<_>, Vec<_>) =
            piece.parcels.into_iter().partition(|parcel| self.failed.contains(&parcel.item));
        let piece = Piece { parcels, ..piece };
        if !held.is_empty() {
            if !piece.parcels.is_empty() {
                self.pieces.push(piece);
            }
            return Next::HeldBack(held.into_iter().map(|parcel| settled(parcel, Outcome::HeldBack)).collect());
        }
        self.is_in_flight = true;
        Next::Send(piece)
    }

    fn cut(&mut self, size: usize) -> Vec<Parcel> {
        let mut bytes = 0;
        let fits = |parcel: &&Parcel| {
            bytes += parcel.json.len();
            bytes <= MAX_BYTES
        };
        // A record that is larger than all of a payload is sent alone.
        let count = self.queue.iter().take(size).take_while(fits).count().max(1);
        self.queue.drain(..count).collect()
    }

    /// Takes the answer to a piece of this bucket.
    pub(super) fn landed(&mut self, mut piece: Piece, answer: Answer, limits: &Limits) -> Verdict {
        self.is_in_flight = false;
        match answer {
            Answer::Throttled => {
                piece.throttles += 1;
                let delay = backoff(piece.throttles);
                self.again(piece, delay)
            }
            Answer::Failed(reason) => self.failed_whole(piece, reason),
            Answer::Left { positions, is_exact, .. } => {
                // A list also has the records that the function did not reach before its deadline.
                let has_progress = positions.len() < piece.parcels.len();
                let (left, done) = split(piece.parcels, &positions);
                let attempts = if has_progress { 0 } else { piece.attempts };
                // What was halved because the function failed has all of its attempts once it does not.
                let allowed = limits.attempts;
                let piece = Piece { parcels: left, attempts: attempts + 1, allowed, throttles: 0 };
                let mut verdict = match is_exact {
                    _ if piece.parcels.is_empty() => Verdict::default(),
                    _ if (has_progress && !is_exact) || piece.attempts < piece.allowed => {
                        let delay = backoff(piece.attempts);
                        self.again(piece, delay)
                    }
                    true => self.all_failed(piece.parcels),
                    false => self.first_failed(piece.parcels, limits),
                };
                verdict.settled.splice(0..0, done.into_iter().map(|parcel| settled(parcel, Outcome::Done)));
                verdict
            }
        }
    }

    fn again(&mut self, piece: Piece, delay: Duration) -> Verdict {
        self.is_in_flight = true;
        Verdict { settled: Vec::new(), again: Some((piece, delay)) }
    }

    /// A failure of the whole says nothing of any one record: after all attempts the piece is halved until it is one record.
    fn failed_whole(&mut self, mut piece: Piece, reason: String) -> Verdict {
        piece.attempts += 1;
        if piece.attempts < piece.allowed {
            let delay = backoff(piece.attempts);
            return self.again(piece, delay);
        }
        let mut first = piece.parcels;
        if first.len() > 1 {
            let second = first.split_off(first.len() / 2);
            self.pieces.extend([Piece::new(second, 1), Piece::new(first, 1)]);
            return Verdict::default();
        }
        let settled = first.into_iter().map(|parcel| self.fail(parcel, reason.clone())).collect();
        Verdict { settled, again: None }
    }

    /// Every record of the piece is reported; of an item, the first has failed and the others follow it.
    fn all_failed(&mut self, parcels: Vec<Parcel>) -> Verdict {
        let settled = parcels.into_iter().map(|parcel| match self.failed.contains(&parcel.item) {
            true => settled(parcel, Outcome::HeldBack),
            false => self.fail(parcel, "the function reports it after every attempt".to_owned()),
        });
        Verdict { settled: settled.collect(), again: None }
    }

    /// The first record is the checkpoint, at which there is no progress; nothing is known of those after it.
    fn first_failed(&mut self, mut parcels: Vec<Parcel>, limits: &Limits) -> Verdict {
        let rest = parcels.split_off(1);
        let reason = "the function reports it after every attempt";
        let settled = parcels.into_iter().map(|parcel| self.fail(parcel, reason.to_owned())).collect();
        if !rest.is_empty() {
            self.pieces.push(Piece::new(rest, limits.attempts));
        }
        Verdict { settled, again: None }
    }

    fn fail(&mut self, parcel: Parcel, reason: String) -> Settled {
        self.failed.insert(parcel.item);
        settled(parcel, Outcome::Failed(reason))
    }
}

fn settled(parcel: Parcel, outcome: Outcome) -> Settled {
    Settled { tag: parcel.tag, name: parcel.name, outcome }
}

/// The parcels at these ascending positions, and the others.
fn split(parcels: Vec<Parcel>, positions: &[usize]) -> (Vec<Parcel>, Vec<Parcel>) {
    let mut positions = positions.iter().peekable();
    let (left, done): (Vec<_>, Vec<_>) =
        parcels.into_iter().enumerate().partition(|(position, _)| positions.next_if_eq(&position).is_some());
    let parcels = |numbered: Vec<(usize, Parcel)>| numbered.into_iter().map(|(_, parcel)| parcel).collect();
    (parcels(left), parcels(done))
}
