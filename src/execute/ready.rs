//! The records that need not wait for another of their lane. The lowest position comes first, so that the checkpoint moves
//! forward.

use std::collections::VecDeque;

/// Positions that are ready to start, ascending.
///
/// Nearly all are pushed in this order, and there are few: no more records are read while one is ready. Only many retries that are
/// due at once make it long. A heap takes 60 more instructions a record (`make instructions`).
#[derive(Default)]
pub(super) struct Ready {
    positions: VecDeque<usize>,
}

impl Ready {
    pub(super) fn push(&mut self, position: usize) {
        if self.positions.back().is_none_or(|last| *last < position) {
            self.positions.push_back(position);
        } else {
            let place = self.positions.partition_point(|other| *other < position);
            self.positions.insert(place, position);
        }
    }

    pub(super) fn first(&self) -> Option<usize> {
        self.positions.front().copied()
    }

    pub(super) fn pop(&mut self) -> Option<usize> {
        self.positions.pop_front()
    }

    /// All of them, in stream order.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        self.positions.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_position_comes_first() {
        let mut ready = Ready::default();
        [4, 1, 5].into_iter().for_each(|position| ready.push(position));
        assert_eq!(ready.pop(), Some(1));
        [6, 2, 3].into_iter().for_each(|position| ready.push(position));
        assert_eq!(ready.first(), Some(2));
        assert_eq!(ready.iter().collect::<Vec<_>>(), [2, 3, 4, 5, 6]);
        assert_eq!(std::iter::from_fn(|| ready.pop()).collect::<Vec<_>>(), [2, 3, 4, 5, 6]);
        assert_eq!((ready.first(), ready.pop()), (None, None));
    }
}
