use super::{BatchReport, Counts, Outcome};
use crate::event_kind::EventKind;
use crate::failure::ErrorKind;

/// What a batch came to, in the numbers that logs and metrics have.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) counts: Counts,
    /// In the order of [`KINDS`].
    pub(crate) by_kind: [KindTotals; KINDS.len()],
    /// Records that failed for good or are reported, in the order of [`ERROR_KINDS`].
    pub(crate) failed: [u64; ERROR_KINDS.len()],
    /// Records that the dead-letter queue did not accept.
    pub(crate) refused: u64,
}

/// The records of one kind of change.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct KindTotals {
    pub(crate) received: u64,
    pub(crate) succeeded: u64,
    pub(crate) skipped: u64,
}

/// The kinds of change, and the one of records whose kind could not be read.
pub(crate) const KINDS: [&str; 4] = ["INSERT", "MODIFY", "REMOVE", "unknown"];

pub(crate) const ERROR_KINDS: [&str; 7] =
    ["malformed", "decode", "handler", "panic", "timeout", "predecessor", "unknown"];

impl Totals {
    pub(crate) fn of(report: &BatchReport) -> Self {
        let mut totals = Self { counts: report.counts(), ..Self::default() };
        for record in report.records() {
            let of_kind = &mut totals.by_kind[place(record.kind)];
            of_kind.received += 1;
            totals.refused += u64::from(record.dead_letter_error.is_some());
            match record.outcome {
                Outcome::Succeeded => of_kind.succeeded += 1,
                Outcome::Skipped(_) => of_kind.skipped += 1,
                Outcome::DeadLettered | Outcome::Reported => {
                    totals.failed[error_place(record.failure.as_ref().map(|failure| failure.kind))] += 1;
                }
                Outcome::Unfinished | Outcome::HeldBack => {}
            }
        }
        totals
    }

    pub(crate) fn received(&self, kind: Option<EventKind>) -> u64 {
        self.by_kind[place(kind)].received
    }
}

fn place(kind: Option<EventKind>) -> usize {
    match kind {
        Some(EventKind::Insert) => 0,
        Some(EventKind::Modify) => 1,
        Some(EventKind::Remove) => 2,
        None => 3,
    }
}

fn error_place(kind: Option<ErrorKind>) -> usize {
    match kind {
        Some(ErrorKind::Malformed) => 0,
        Some(ErrorKind::Decode) => 1,
        Some(ErrorKind::Handler) => 2,
        Some(ErrorKind::Panic) => 3,
        Some(ErrorKind::Timeout) => 4,
        Some(ErrorKind::Predecessor) => 5,
        None => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_place() {
        for kind in [EventKind::Insert, EventKind::Modify, EventKind::Remove] {
            assert_eq!(KINDS[place(Some(kind))], kind.as_str());
        }
        for kind in [
            ErrorKind::Malformed,
            ErrorKind::Decode,
            ErrorKind::Handler,
            ErrorKind::Panic,
            ErrorKind::Timeout,
            ErrorKind::Predecessor,
        ] {
            assert_eq!(ERROR_KINDS[error_place(Some(kind))], kind.as_str());
        }
        assert_eq!((KINDS[place(None)], ERROR_KINDS[error_place(None)]), ("unknown", "unknown"));
    }
}
