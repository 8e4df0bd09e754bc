//! The records that need not wait for another of their lane. The lowest position comes first, so the checkpoint moves
//! forward.

use std::collections::{BTreeSet, VecDeque};

/// Positions that are ready to start, ascending.
///
/// Nearly all are pushed in this order. A heap for all of them takes 60 more instructions a record (`make instructions`).
#[derive(Default)]
pub(super) struct Ready {
    in_order: VecDeque<usize>,
    /// Those that were pushed after a higher position: retries that are due, and records that had to wait in their lane.
    late: BTreeSet<usize>,
}

impl Ready {
    pub(super) fn push(&mut self, position: usize) {
        if self.in_order.back().is_none_or(|last| *last < position) {
            self.in_order.push_back(position);
        } else {
            self.late.insert(position);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.in_order.len() + self.late.len()
    }

    pub(super) fn first(&self) -> Option<usize> {
        let (in_order, late) = (self.in_order.front(), self.late.first());
        in_order.into_iter().chain(late).min().copied()
    }

    pub(super) fn pop(&mut self) -> Option<usize> {
        match self.late.first() {
            Some(late) if self.in_order.front().is_none_or(|first| late < first) => self.late.pop_first(),
            _ => self.in_order.pop_front(),
        }
    }

    /// All of them, in no particular order.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        self.in_order.iter().chain(&self.late).copied()
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
        assert_eq!((ready.first(), ready.len()), (Some(2), 5));
        assert_eq!(ready.iter().collect::<BTreeSet<_>>(), BTreeSet::from([2, 3, 4, 5, 6]));
        assert_eq!(std::iter::from_fn(|| ready.pop()).collect::<Vec<_>>(), [2, 3, 4, 5, 6]);
        assert_eq!((ready.first(), ready.pop()), (None, None));
    }
}
