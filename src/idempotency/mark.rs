//! The high-water mark of an item: two numbers that only ever rise.

use std::time::SystemTime;

use crate::record::SequenceNumber;

/// The high-water mark of an item: up to where its changes are done.
///
/// ```
/// use lambda_streams::{Mark, SequenceNumber};
///
/// let number = |text| SequenceNumber::new(text).expect("digits");
/// let mut mark = Mark::default();
/// mark.raise(&Mark { applied: Some(number("1000")), ..Mark::default() });
/// mark.raise(&Mark { applied: Some(number("999")), ..Mark::default() });
/// assert_eq!(mark.applied, Some(number("1000")), "a mark only rises");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mark {
    /// The latest change that the stream has passed: its handler succeeded, or the queue accepted its dead letter.
    pub passed: Option<SequenceNumber>,
    /// When that change was made; `None` if its record does not say.
    pub passed_created_at: Option<SystemTime>,
    /// The latest change whose handler succeeded, wherever it came from.
    pub applied: Option<SequenceNumber>,
}

impl Mark {
    /// Raises each number for which `to` has a newer one. The others stay.
    pub fn raise(&mut self, to: &Self) {
        if is_newer(to.passed.as_ref(), self.passed.as_ref()) {
            self.passed = to.passed;
            self.passed_created_at = to.passed_created_at;
        }
        if is_newer(to.applied.as_ref(), self.applied.as_ref()) {
            self.applied = to.applied;
        }
    }
}

fn is_newer(number: Option<&SequenceNumber>, kept: Option<&SequenceNumber>) -> bool {
    number.is_some_and(|number| kept.is_none_or(|kept| number.is_newer_than(kept)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_rises_by_itself() {
        let number = |text| SequenceNumber::new(text);
        let at = |seconds| Some(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds));
        let mut mark = Mark { passed: number("10"), passed_created_at: at(5), applied: number("7") };
        mark.raise(&Mark { passed: number("9"), passed_created_at: at(9), applied: number("9") });
        assert_eq!(mark, Mark { passed: number("10"), passed_created_at: at(5), applied: number("9") });
        mark.raise(&Mark { passed: number("11"), passed_created_at: None, applied: None });
        assert_eq!(mark, Mark { passed: number("11"), passed_created_at: None, applied: number("9") });
        mark.raise(&Mark::default());
        assert_eq!(mark.applied, number("9"));
    }
}
