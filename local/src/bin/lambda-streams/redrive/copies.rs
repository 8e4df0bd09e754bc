//! Letters of one record, as each failed replay leaves another: one of them is sent, and all share what comes of it.
//!
//! *Invariant*: a copy is never sent, and it leaves its place only once its record is done.

use std::collections::{HashMap, HashSet};

use super::letter::{Letter, Record};
use crate::ui::count;

/// The letters of each record of a run. `I` is how a place calls a letter.
#[derive(Debug)]
pub(super) struct Copies<I> {
    /// What is sent, or was, of each record.
    sent: HashMap<Record, I>,
    /// The copies of each.
    copies: HashMap<I, Vec<I>>,
    done: HashSet<I>,
    total: usize,
}

impl<I> Default for Copies<I> {
    fn default() -> Self {
        Self { sent: HashMap::new(), copies: HashMap::new(), done: HashSet::new(), total: 0 }
    }
}

impl<I: Clone + Eq + std::hash::Hash> Copies<I> {
    /// Whether the letter is a copy of an earlier one. The first letter of a record is the one that is sent.
    pub(super) fn add(&mut self, letter: &Letter, id: I) -> bool {
        let Some(record) = letter.record() else { return false };
        match self.sent.get(&record) {
            Some(first) => {
                self.copies.entry(first.clone()).or_default().push(id);
                self.total += 1;
                true
            }
            None => {
                self.sent.insert(record, id);
                false
            }
        }
    }

    /// The copies that are done with this letter.
    pub(super) fn done(&mut self, id: &I) -> Vec<I> {
        self.done.insert(id.clone());
        self.copies.get(id).cloned().unwrap_or_default()
    }

    /// Whether this letter, or the one that it is a copy of, is done.
    pub(super) fn is_done(&self, letter: &Letter) -> bool {
        let first = letter.record().and_then(|record| self.sent.get(&record));
        first.is_some_and(|first| self.done.contains(first))
    }

    /// How many letters are copies.
    pub(super) fn len(&self) -> usize {
        self.total
    }

    /// What is printed about the copies, if there are any.
    pub(super) fn describe(&self) -> Option<String> {
        let done = self.copies.iter().filter(|(first, _)| self.done.contains(first));
        let done: usize = done.map(|(_, copies)| copies.len()).sum();
        (self.total > 0).then(|| {
            let letters = count(self.total, "letter");
            format!(
                "in addition, {letters} of the same records, which are not sent: {done} done with them, {} left",
                self.total - done
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::letter::tests::letter;
    use super::*;

    #[test]
    fn copies_share_what_comes_of_their_record() {
        let mut copies = Copies::default();
        let (one, other) = (letter("1", ""), letter("2", ""));
        let added = [(&one, 'a'), (&one, 'b'), (&other, 'c'), (&one, 'd')].map(|(letter, id)| copies.add(letter, id));
        assert_eq!((added, copies.len()), ([false, true, false, true], 2));
        assert_eq!((copies.done(&'a'), copies.done(&'c')), (vec!['b', 'd'], vec![]));
        assert!(copies.is_done(&one));
    }

    #[test]
    fn what_may_be_another_record_is_not_a_copy() {
        let mut copies = Copies::default();
        let arn = |name: &str| format!("arn:aws:lambda:eu-central-1:123456789012:function:{name}");
        let letters = [letter("", ""), letter("", ""), letter("1", &arn("a")), letter("1", &arn("b"))];
        for (id, letter) in letters.iter().enumerate() {
            assert!(!copies.add(letter, id), "no sequence number, or the letter of another function");
        }
    }
}
