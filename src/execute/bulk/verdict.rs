//! What the answer of a bulk handler says of each record.

use super::super::call::Ended;
use super::super::disposition::{AttemptFailure, FailureClass};
use super::super::settings::PermanentIf;
use crate::failure::{ErrorKind, Failure};
use crate::guard::drop_guarded;
use crate::handler::HandlerError;
use crate::handler::bulk::Answer;

/// What the answer of a bulk handler says.
pub(super) enum Verdict {
    /// Of each record, why it failed, if it did.
    Each(Vec<Option<AttemptFailure>>),
    /// The bulk failed as a whole. It has more than one record.
    Whole(AttemptFailure),
    /// The answer does not fit the bulk, which has more than one record: a bug of the handler, and no record's fault.
    WrongCount(AttemptFailure),
}

impl Verdict {
    /// Reads the answer to a bulk of so many records. What a bulk of one says, it says of its record.
    pub(super) fn of(ended: Ended<Answer>, count: usize, permanent_if: Option<&PermanentIf>) -> Self {
        let verdict = match ended {
            Ended::Failed(failure) => Self::Whole(failure),
            Ended::Answered(answer) => Self::read(answer, count, permanent_if),
            Ended::AnsweredAndPanicked(answer, failure) => match Self::read(answer, count, permanent_if) {
                Self::Each(results) if results.iter().all(Option::is_none) => Self::Whole(failure),
                verdict => verdict,
            },
        };
        match verdict {
            Self::Whole(failure) | Self::WrongCount(failure) if count == 1 => Self::Each(vec![Some(failure)]),
            verdict => verdict,
        }
    }

    fn read(answer: Answer, count: usize, permanent_if: Option<&PermanentIf>) -> Self {
        let describe = |error: HandlerError| AttemptFailure::of(error, permanent_if);
        match answer {
            Answer::Done => Self::Each(std::iter::repeat_with(|| None).take(count).collect()),
            Answer::Failed(error) => Self::Whole(describe(error)),
            Answer::Each(results) if results.len() == count => {
                Self::Each(results.into_iter().map(|result| result.err().map(describe)).collect())
            }
            Answer::Each(results) => {
                let given = results.len();
                drop_guarded(results);
                Self::wrong(format!("the bulk handler returned {given} answers for a bulk of {count} records"))
            }
            Answer::Failures(failures) => {
                if let Some((outside, _)) = failures.iter().find(|(position, _)| *position >= count) {
                    let position = *outside;
                    drop_guarded(failures);
                    return Self::wrong(format!(
                        "the bulk handler named position {position}, counted from 0, of a bulk of {count} records"
                    ));
                }
                let mut results: Vec<Option<AttemptFailure>> = std::iter::repeat_with(|| None).take(count).collect();
                for (position, error) in failures {
                    let failure = describe(error);
                    results[position].get_or_insert(failure);
                }
                Self::Each(results)
            }
        }
    }

    fn wrong(message: String) -> Self {
        let class = FailureClass::Retryable { after: None };
        Self::WrongCount(AttemptFailure { failure: Failure::new(ErrorKind::Handler, message), class })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(text: &str) -> AttemptFailure {
        AttemptFailure::permanent(Failure::new(ErrorKind::Panic, text))
    }

    fn answered(results: Vec<Result<(), HandlerError>>) -> Ended<Answer> {
        Ended::AnsweredAndPanicked(Answer::Each(results), failed("dropped"))
    }

    #[test]
    fn a_panic_while_the_future_is_dropped_counts_where_nothing_else_failed() {
        let Verdict::Whole(failure) = Verdict::of(answered(vec![Ok(()), Ok(())]), 2, None) else {
            panic!("the bulk failed as a whole");
        };
        assert_eq!(failure.failure.message, "dropped");
        let some = answered(vec![Ok(()), Err(HandlerError::permanent("refused"))]);
        let Verdict::Each(results) = Verdict::of(some, 2, None) else { panic!("the answer names a record") };
        let messages = results.iter().map(|result| result.as_ref().map(|failed| failed.failure.message.as_str()));
        assert_eq!(messages.collect::<Vec<_>>(), [None, Some("refused")]);
    }

    #[test]
    fn what_a_bulk_of_one_says_it_says_of_its_record() {
        for ended in [
            Ended::Failed(failed("down")),
            Ended::Answered(Answer::Failed(HandlerError::permanent("down"))),
            Ended::Answered(Answer::Each(Vec::new())),
        ] {
            let Verdict::Each(results) = Verdict::of(ended, 1, None) else { panic!("it is the record's") };
            assert!(matches!(results.as_slice(), [Some(_)]));
        }
    }
}
