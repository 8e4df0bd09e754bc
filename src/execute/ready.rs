//! The records that wait for nothing but a permit. The lowest position comes first, so that the checkpoint moves forward.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Positions that are ready to start.
#[derive(Default)]
pub(super) struct Ready {
    positions: BinaryHeap<Reverse<usize>>,
}

impl Ready {
    pub(super) fn push(&mut self, position: usize) {
        self.positions.push(Reverse(position));
    }

    pub(super) fn first(&self) -> Option<usize> {
        self.positions.peek().map(|Reverse(first)| *first)
    }

    pub(super) fn pop(&mut self) -> Option<usize> {
        self.positions.pop().map(|Reverse(first)| first)
    }

    /// All of them, in no particular order.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        self.positions.iter().map(|Reverse(position)| *position)
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
        assert_eq!(ready.iter().collect::<std::collections::BTreeSet<_>>(), (2..=6).collect());
        assert_eq!(std::iter::from_fn(|| ready.pop()).collect::<Vec<_>>(), [2, 3, 4, 5, 6]);
        assert_eq!((ready.first(), ready.pop()), (None, None));
    }
}
