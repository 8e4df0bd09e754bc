//! Decides what happens to a failed record: classifies its error, then chooses between another attempt, the dead-letter
//! queue and Lambda. The decision changes nothing (a backoff is drawn at random); `Execution::fail` is the one
//! place that acts on it.

use std::time::Duration;

use super::settings::{FailureRules, PermanentIf};
use crate::decode::DecodeError;
use crate::failure::{ErrorKind, Failure};
use crate::guard::{drop_guarded, guard};
use crate::handler::HandlerError;
use crate::invocation::Origin;
use crate::policy::FailurePolicy;

/// What happens to a failed record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disposition {
    /// Another attempt is made after this delay.
    Retry(Duration),
    /// It goes to the dead-letter queue.
    DeadLetter,
    /// Lambda is told to deliver it again.
    Report,
    /// Lambda delivers it again anyway, because an earlier record is reported.
    HoldBack,
}

/// Whether another attempt may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FailureClass {
    Permanent,
    Retryable {
        /// The delay that the handler asked for, instead of the backoff.
        after: Option<Duration>,
    },
}

/// What the disposition of a record depends on, apart from the settings.
#[derive(Debug, Clone, Copy)]
pub(super) struct FailedRecord {
    pub(super) class: FailureClass,
    /// How many attempts were made in this invocation.
    pub(super) attempts: u32,
    /// How long ago the change was made; `None` where the record does not say.
    pub(super) age: Option<Duration>,
    pub(super) origin: Origin,
    /// Whether no record before it is reported. Once the deadline has stopped the batch, this no longer matters, and is true.
    pub(super) is_admitted: bool,
    /// How long attempts may still start; `None` where there is no deadline.
    pub(super) time_left: Option<Duration>,
}

impl FailureRules {
    pub(super) fn disposition(&self, failed: &FailedRecord) -> Disposition {
        let FailureClass::Retryable { after } = failed.class else {
            return self.without_retry(failed);
        };
        if !failed.is_admitted {
            return Disposition::HoldBack;
        }
        let delay = after.unwrap_or_else(|| self.retry.delay_after(failed.attempts));
        let is_in_time = failed.time_left.is_none_or(|left| delay < left);
        if failed.attempts < self.retry.max_attempts && is_in_time {
            Disposition::Retry(delay)
        } else {
            self.without_retry(failed)
        }
    }

    /// The failure policy, for a record that gets no further attempt in this invocation.
    fn without_retry(&self, failed: &FailedRecord) -> Disposition {
        if !self.has_queue {
            return Disposition::Report;
        }
        // On the stream, an old record is about to be discarded with those after it. What a command has brought, it brings again.
        let may_wait = match failed.origin {
            Origin::Stream => failed.age.is_none_or(|age| age < self.max_record_age),
            Origin::Replay | Origin::Backfill => true,
            // The record's own queue keeps it, or the response tells the caller.
            Origin::Redrive | Origin::OnDemand => return Disposition::Report,
        };
        let is_dead_letter = match self.policy {
            FailurePolicy::DeadLetterAll => true,
            FailurePolicy::ReportAll => false,
            FailurePolicy::DeadLetterPermanent => failed.class == FailureClass::Permanent || !may_wait,
        };
        if is_dead_letter { Disposition::DeadLetter } else { Disposition::Report }
    }
}

/// Why an attempt failed, and whether another one may help.
pub(super) struct AttemptFailure {
    pub(super) failure: Failure,
    pub(super) class: FailureClass,
}

impl AttemptFailure {
    pub(super) fn permanent(failure: Failure) -> Self {
        Self { failure, class: FailureClass::Permanent }
    }

    pub(super) fn timed_out(timeout: Duration) -> Self {
        let message = format!("the handler was not done after its timeout of {timeout:?}");
        Self { failure: Failure::new(ErrorKind::Timeout, message), class: FailureClass::Retryable { after: None } }
    }

    /// Classifies a handler's error, which may panic when its text is asked for, or when it is dropped.
    pub(super) fn of(error: HandlerError, permanent_if: Option<&PermanentIf>) -> Self {
        let failure = guard("handler's error", || Self::describe(&error, permanent_if));
        drop_guarded(error);
        failure.unwrap_or_else(Self::permanent)
    }

    /// The handler's own word counts first; an error that came by `?` is permanent if it is a decode error or `permanent_if` says
    /// so, and retryable otherwise.
    fn describe(error: &HandlerError, permanent_if: Option<&PermanentIf>) -> Self {
        let failure = |class| Self { failure: Failure::of(ErrorKind::Handler, error.source()), class };
        if !error.is_retryable() {
            return failure(FailureClass::Permanent);
        }
        let retryable = FailureClass::Retryable { after: error.delay() };
        if !error.is_unclassified() {
            return failure(retryable);
        }
        if let Some(undecoded) = error.source().downcast_ref::<DecodeError>() {
            return Self::from(undecoded.clone());
        }
        let Some(is_permanent) = permanent_if else { return failure(retryable) };
        match guard("`permanent_if`", || is_permanent(error.source())) {
            Ok(true) => failure(FailureClass::Permanent),
            Ok(false) => failure(retryable),
            Err(panic) => Self::permanent(panic),
        }
    }
}

impl From<DecodeError> for AttemptFailure {
    fn from(error: DecodeError) -> Self {
        Self::permanent(Failure::of(ErrorKind::Decode, &error))
    }
}

#[cfg(test)]
mod tests {
    use super::Disposition::*;
    use super::*;
    use crate::policy::RetryPolicy;

    const HOUR: Duration = Duration::from_secs(3_600);
    const SECOND: Duration = Duration::from_secs(1);
    const RETRYABLE: FailureClass = FailureClass::Retryable { after: Some(SECOND) };

    fn rules(policy: FailurePolicy) -> FailureRules {
        FailureRules { retry: RetryPolicy::default(), policy, max_record_age: HOUR, has_queue: true }
    }

    /// A fresh record of a stream, failed once by an error that may pass, with all the time in the world.
    fn failed() -> FailedRecord {
        FailedRecord {
            class: RETRYABLE,
            attempts: 1,
            age: Some(Duration::ZERO),
            origin: Origin::Stream,
            is_admitted: true,
            time_left: None,
        }
    }

    #[test]
    fn each_failed_record_has_one_disposition() {
        use FailureClass::Permanent;
        use FailurePolicy::{DeadLetterAll, DeadLetterPermanent, ReportAll};
        let exhausted = FailedRecord { attempts: 3, ..failed() };
        let old = Some(HOUR);
        let table = [
            ("a retryable error is retried", DeadLetterPermanent, failed(), Retry(SECOND)),
            ("whatever the policy", ReportAll, failed(), Retry(SECOND)),
            ("even if the record is old", DeadLetterPermanent, FailedRecord { age: old, ..failed() }, Retry(SECOND)),
            (
                "a permanent error is not",
                DeadLetterPermanent,
                FailedRecord { class: Permanent, ..failed() },
                DeadLetter,
            ),
            ("nor after a reported record", DeadLetterAll, FailedRecord { is_admitted: false, ..failed() }, HoldBack),
            (
                "where a permanent error is still a dead letter",
                DeadLetterPermanent,
                FailedRecord { class: Permanent, is_admitted: false, ..failed() },
                DeadLetter,
            ),
            ("nor at the deadline", ReportAll, FailedRecord { time_left: Some(SECOND), ..failed() }, Report),
            (
                "but just before it",
                ReportAll,
                FailedRecord { time_left: Some(SECOND + Duration::from_nanos(1)), ..failed() },
                Retry(SECOND),
            ),
            ("an exhausted record is reported", DeadLetterPermanent, exhausted, Report),
            ("until it is old", DeadLetterPermanent, FailedRecord { age: old, ..exhausted }, DeadLetter),
            ("whose age must be known", DeadLetterPermanent, FailedRecord { age: None, ..exhausted }, Report),
            ("or until the policy gives up at once", DeadLetterAll, exhausted, DeadLetter),
            ("or never", ReportAll, FailedRecord { age: old, class: Permanent, ..exhausted }, Report),
            (
                "a redriven record goes back to its own queue",
                DeadLetterAll,
                FailedRecord { origin: Origin::Redrive, class: Permanent, ..failed() },
                Report,
            ),
            (
                "and that of a request is in its response",
                DeadLetterAll,
                FailedRecord { origin: Origin::OnDemand, class: Permanent, ..failed() },
                Report,
            ),
        ];
        for (case, policy, failed, expected) in table {
            assert_eq!(rules(policy).disposition(&failed), expected, "{case}");
        }
    }

    #[test]
    fn what_a_command_brings_is_a_dead_letter_for_its_failure_and_never_for_its_age() {
        use FailureClass::Permanent;
        use FailurePolicy::{DeadLetterAll, DeadLetterPermanent, ReportAll};
        for origin in [Origin::Replay, Origin::Backfill] {
            let exhausted = FailedRecord { origin, attempts: 3, age: Some(1_000 * HOUR), ..failed() };
            let permanent = FailedRecord { class: Permanent, ..exhausted };
            for (policy, of_retryable, of_permanent) in [
                (DeadLetterPermanent, Report, DeadLetter),
                (DeadLetterAll, DeadLetter, DeadLetter),
                (ReportAll, Report, Report),
            ] {
                let rules = rules(policy);
                let dispositions = [exhausted, permanent].map(|failed| rules.disposition(&failed));
                assert_eq!(dispositions, [of_retryable, of_permanent], "{origin:?} {policy:?}");
                let rules = FailureRules { has_queue: false, ..rules };
                assert_eq!([exhausted, permanent].map(|failed| rules.disposition(&failed)), [Report; 2], "{origin:?}");
            }
        }
    }

    #[test]
    fn nothing_is_a_dead_letter_without_a_queue() {
        let rules = FailureRules { has_queue: false, ..rules(FailurePolicy::DeadLetterPermanent) };
        assert_eq!(rules.disposition(&FailedRecord { class: FailureClass::Permanent, ..failed() }), Report);
    }

    #[test]
    fn the_backoff_applies_where_the_handler_asks_for_no_delay() {
        let rules = rules(FailurePolicy::ReportAll);
        let failed = FailedRecord { class: FailureClass::Retryable { after: None }, ..failed() };
        let Retry(delay) = rules.disposition(&failed) else { panic!("the first failure is retried") };
        assert!(delay <= rules.retry.base_delay, "{delay:?}");
    }
}
