use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The positions whose lane has come to them, the lowest first.
#[derive(Default)]
pub(super) struct Ready {
    /// Those that had nobody before them when they were read, ascending, from `next_head` on.
    heads: Vec<usize>,
    next_head: usize,
    /// The others.
    others: BinaryHeap<Reverse<usize>>,
}

impl Ready {
    /// Takes one that was just read, and so comes behind all that were read before.
    pub(super) fn push_last(&mut self, position: usize) {
        self.heads.push(position);
    }

    pub(super) fn push(&mut self, position: usize) {
        self.others.push(Reverse(position));
    }

    pub(super) fn first(&self) -> Option<usize> {
        let head = self.heads.get(self.next_head).copied();
        match self.others.peek() {
            Some(Reverse(other)) if head.is_none_or(|head| *other < head) => Some(*other),
            _ => head,
        }
    }

    /// All of them, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        self.heads.iter().skip(self.next_head).copied().chain(self.others.iter().map(|Reverse(other)| *other))
    }

    pub(super) fn pop(&mut self) -> Option<usize> {
        let first = self.first()?;
        if self.heads.get(self.next_head) == Some(&first) {
            self.next_head += 1;
        } else {
            self.others.pop();
        }
        Some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_comes_first_whether_it_is_a_head_or_not() {
        let mut ready = Ready::default();
        [1, 4, 5].into_iter().for_each(|position| ready.push_last(position));
        assert_eq!(ready.pop(), Some(1));
        ready.push(6);
        ready.push(2);
        ready.push(3);
        assert_eq!(ready.first(), Some(2));
        assert_eq!(ready.iter().collect::<std::collections::BTreeSet<_>>(), (2..=6).collect());
        assert_eq!(std::iter::from_fn(|| ready.pop()).collect::<Vec<_>>(), [2, 3, 4, 5, 6]);
        assert_eq!((ready.first(), ready.pop()), (None, None));
    }
}
