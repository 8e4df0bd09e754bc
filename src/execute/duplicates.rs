//! Finds sequence numbers that occur twice in a batch: they cannot name the later record in a partial batch response.

use std::collections::HashMap;

use crate::record::SequenceNumber;

/// The sequence numbers of the records read so far.
#[derive(Default)]
pub(super) struct SequenceNumbers {
    last: Option<SequenceNumber>,
    /// Where each occurred first. Filled only once a number does not ascend: a stream's do, and what ascends does not repeat.
    first: Option<HashMap<SequenceNumber, usize>>,
}

impl SequenceNumbers {
    /// Adds the number at this position; returns the earlier position that has the same number.
    ///
    /// `earlier` are the numbers of all positions before this one.
    pub(super) fn insert<I: Iterator<Item = Option<SequenceNumber>>>(
        &mut self,
        number: SequenceNumber,
        position: usize,
        earlier: impl FnOnce() -> I,
    ) -> Option<usize> {
        let ascends = self.last.replace(number).is_none_or(|last| last.is_below(&number));
        if ascends && self.first.is_none() {
            return None;
        }
        let first = self.first.get_or_insert_with(|| {
            let numbers = earlier().enumerate();
            numbers.filter_map(|(position, number)| Some((number?, position))).collect()
        });
        let first = *first.entry(number).or_insert(position);
        (first < position).then_some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The earlier position of each number that repeats one, by its own position.
    fn duplicates(numbers: &[&str]) -> Vec<(usize, usize)> {
        let numbers: Vec<_> = numbers.iter().map(|number| SequenceNumber::new(number)).collect();
        let mut seen = SequenceNumbers::default();
        let found = numbers.iter().enumerate().filter_map(|(position, number)| {
            let earlier = || numbers[..position].iter().copied();
            Some((position, seen.insert((*number)?, position, earlier)?))
        });
        found.collect()
    }

    #[test]
    fn each_repetition_names_the_first_occurrence() {
        assert_eq!(duplicates(&["1", "2", "3"]), []);
        assert_eq!(duplicates(&["1", "1", "2", "1"]), [(1, 0), (3, 0)]);
        assert_eq!(duplicates(&["9", "10", "7", "10", "8"]), [(3, 1)]);
        assert_eq!(duplicates(&["2", "", "1", "2"]), [(3, 0)], "a record without a number has none to repeat");
    }
}
