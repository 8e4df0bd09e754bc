//! What the mark of an item says of a record: a pure decision.

use std::time::SystemTime;

use crate::idempotency::{Mark, Marks, OnMarksUnavailable, Stale};
use crate::record::SequenceNumber;

/// What the mark of an item says of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::execute) enum MarkVerdict {
    /// It is to be processed.
    Open,
    /// It is to be processed although its number is not above the mark, because it was made after the change that the mark names.
    Regressed,
    /// It is to be processed, and is older than what is applied.
    Stale,
    /// It is done.
    Done { was_dead_lettered: bool },
    /// It is older than what is applied, and such records are to be skipped.
    SkipStale,
    /// It is to be reported, because the mark cannot be read or is too young to decide.
    Unknown,
}

/// A record whose mark is asked.
pub(super) struct Question<'a> {
    pub(super) number: &'a SequenceNumber,
    pub(super) created_at: Option<SystemTime>,
    pub(super) from_stream: bool,
    pub(super) settings: &'a Marks,
    /// Whether marks were kept when the record was made, and none of that time has expired.
    pub(super) is_memorable: bool,
}

impl Question<'_> {
    /// The verdict by the item's mark; `None` if that could not be read.
    pub(super) fn verdict(&self, mark: Option<&Mark>) -> MarkVerdict {
        match mark {
            None => self.without_mark(),
            Some(mark) if self.from_stream => self.of_stream(mark),
            Some(mark) => self.of_elsewhere(mark),
        }
    }

    fn without_mark(&self) -> MarkVerdict {
        let must_not_be_stale = !self.from_stream && self.settings.stale == Stale::Skip;
        if must_not_be_stale || self.settings.on_unavailable == OnMarksUnavailable::Report {
            MarkVerdict::Unknown
        } else {
            MarkVerdict::Open
        }
    }

    fn of_stream(&self, mark: &Mark) -> MarkVerdict {
        let Some(passed) = mark.passed.filter(|passed| !self.number.is_newer_than(passed)) else {
            return MarkVerdict::Open;
        };
        let was_made_after = passed.is_newer_than(self.number)
            && self.created_at.zip(mark.passed_created_at).is_some_and(|(made, then)| made > then);
        if was_made_after {
            return MarkVerdict::Regressed;
        }
        let was_applied = mark.applied.is_some_and(|applied| !self.number.is_newer_than(&applied));
        MarkVerdict::Done { was_dead_lettered: !was_applied }
    }

    /// Being below what the stream has passed proves nothing: discarded batches, dead letters and filters leave holes below it.
    fn of_elsewhere(&self, mark: &Mark) -> MarkVerdict {
        match mark.applied {
            None if self.settings.stale == Stale::Skip && !self.is_memorable => MarkVerdict::Unknown,
            None => MarkVerdict::Open,
            Some(applied) if self.number.is_newer_than(&applied) => MarkVerdict::Open,
            Some(applied) if applied.is_newer_than(self.number) => match self.settings.stale {
                Stale::Process => MarkVerdict::Stale,
                Stale::Skip => MarkVerdict::SkipStale,
            },
            Some(_) => MarkVerdict::Done { was_dead_lettered: false },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::MarkVerdict::{Done, Open, Regressed, SkipStale, Unknown};
    use super::*;

    fn number(number: u32) -> SequenceNumber {
        SequenceNumber::new(&number.to_string()).expect("digits")
    }

    fn at(seconds: u64) -> Option<SystemTime> {
        Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }

    /// A mark that has passed 10, which was made at 10 seconds, and of which this is applied.
    fn mark(applied: Option<u32>) -> Mark {
        Mark { passed: Some(number(10)), passed_created_at: at(10), applied: applied.map(number) }
    }

    #[test]
    fn the_stream_is_done_up_to_what_it_has_passed() {
        let done = |was_dead_lettered| Done { was_dead_lettered };
        for (of, created_at, mark, expected) in [
            (11, at(11), mark(Some(10)), Open),
            (11, at(5), mark(Some(10)), Open),
            (10, at(10), mark(Some(10)), done(false)),
            (9, at(9), mark(Some(10)), done(false)),
            (9, None, mark(Some(10)), done(false)),
            (9, at(10), mark(Some(10)), done(false)),
            (9, at(11), mark(Some(10)), Regressed),
            (10, at(11), mark(Some(10)), done(false)),
            (9, at(11), Mark { passed_created_at: None, ..mark(Some(10)) }, done(false)),
            (10, at(10), mark(Some(7)), done(true)),
            (8, at(8), mark(Some(7)), done(true)),
            (7, at(7), mark(Some(7)), done(false)),
            (10, at(10), mark(None), done(true)),
            (9, at(9), Mark { applied: Some(number(20)), ..Mark::default() }, Open),
            (9, at(9), Mark::default(), Open),
        ] {
            let settings = &Marks::new(Stale::Skip);
            let question =
                Question { number: &number(of), created_at, from_stream: true, settings, is_memorable: false };
            assert_eq!(question.verdict(Some(&mark)), expected, "{of} {created_at:?} {mark:?}");
        }
    }

    #[test]
    fn elsewhere_only_what_is_applied_counts() {
        for (of, applied, is_memorable, process, skip) in [
            (9, Some(10), true, MarkVerdict::Stale, SkipStale),
            (10, Some(10), true, Done { was_dead_lettered: false }, Done { was_dead_lettered: false }),
            (11, Some(10), true, Open, Open),
            (11, Some(10), false, Open, Open),
            // What the stream has passed without success is a hole.
            (9, None, true, Open, Open),
            (9, None, false, Open, Unknown),
        ] {
            for (stale, expected) in [(Stale::Process, process), (Stale::Skip, skip)] {
                let settings = &Marks::new(stale);
                let question =
                    Question { number: &number(of), created_at: at(1), from_stream: false, settings, is_memorable };
                assert_eq!(question.verdict(Some(&mark(applied))), expected, "{of} {applied:?} {stale:?}");
            }
        }
    }

    #[test]
    fn without_a_mark_the_settings_decide() {
        use OnMarksUnavailable::{Proceed, Report};
        for (from_stream, stale, on_unavailable, expected) in [
            (true, Stale::Skip, Proceed, Open),
            (true, Stale::Process, Report, Unknown),
            (false, Stale::Process, Proceed, Open),
            (false, Stale::Process, Report, Unknown),
            (false, Stale::Skip, Proceed, Unknown),
        ] {
            let settings = &Marks::new(stale).on_unavailable(on_unavailable);
            let question = Question { number: &number(1), created_at: None, from_stream, settings, is_memorable: true };
            assert_eq!(question.verdict(None), expected, "{from_stream} {settings:?}");
        }
    }
}
