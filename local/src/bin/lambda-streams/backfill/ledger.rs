//! What is done of a backfill, as the journal should know it.
//!
//! Items come in lanes (a segment of the table, a file of an export), in chunks that each end at a position from which the lane
//! can be read again. *Invariant*: a position is noted when every item before it is done, or noted as failed. So a run that is
//! killed repeats the chunks that were in flight, and loses nothing.

use std::collections::{HashMap, VecDeque};

/// What the journal should note: a key and a value.
pub(crate) type Note = (String, String);

/// How an item ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Done,
    /// The next run tries it again.
    Failed,
    /// It was not sent, and the next run reads it again.
    Left,
}

/// The lanes of a backfill, and the items in flight.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// The chunks of each lane that are not noted yet, in the order in which they were read.
    lanes: HashMap<String, VecDeque<Chunk>>,
    /// What was read and has not ended, by its tag.
    items: HashMap<u64, Item>,
    next_tag: u64,
    next_chunk: u64,
    /// The place of the next failure in the journal.
    next_failure: usize,
}

#[derive(Debug)]
struct Chunk {
    number: u64,
    /// The lane's position after it.
    position: String,
    /// How many of its items have not ended.
    open: usize,
}

#[derive(Debug)]
enum Item {
    /// One of a chunk, with the name by which it can be read again.
    Of { lane: String, chunk: u64, name: String },
    /// One that an earlier run has noted as failed, at this place.
    Again(usize),
}

impl Ledger {
    /// Goes on after the failures that are noted already, of which the last is before this place.
    pub(crate) fn after_failures(next_failure: usize) -> Self {
        Self { next_failure, ..Self::default() }
    }

    /// Takes a chunk that was read. Gives the tags of its items, in their order, and what is to be noted if it has none.
    pub(crate) fn read(&mut self, lane: &str, position: String, names: Vec<String>) -> (Vec<u64>, Vec<Note>) {
        let number = self.next_chunk;
        self.next_chunk += 1;
        let chunk = Chunk { number, position, open: names.len() };
        self.lanes.entry(lane.to_owned()).or_default().push_back(chunk);
        let tags = names.into_iter().map(|name| self.tag(Item::Of { lane: lane.to_owned(), chunk: number, name }));
        (tags.collect(), self.noted(lane))
    }

    /// Takes an item that an earlier run has noted as failed.
    pub(crate) fn read_again(&mut self, place: usize) -> u64 {
        self.tag(Item::Again(place))
    }

    fn tag(&mut self, item: Item) -> u64 {
        let tag = self.next_tag;
        self.next_tag += 1;
        self.items.insert(tag, item);
        tag
    }

    /// An item has ended. Gives what is to be noted, in this order.
    pub(crate) fn ended(&mut self, tag: u64, end: End) -> Vec<Note> {
        let Some(item) = self.items.remove(&tag) else { return Vec::new() };
        let (lane, number, name) = match (item, end) {
            (Item::Again(place), End::Done) => return vec![(failure_key(place), String::new())],
            (Item::Again(_), _) | (Item::Of { .. }, End::Left) => return Vec::new(),
            (Item::Of { lane, chunk, name }, _) => (lane, chunk, name),
        };
        let mut notes = Vec::new();
        if end == End::Failed {
            notes.push((failure_key(self.next_failure), name));
            self.next_failure += 1;
        }
        let chunks = self.lanes.entry(lane.clone()).or_default();
        if let Some(chunk) = chunks.iter_mut().find(|chunk| chunk.number == number) {
            chunk.open -= 1;
        }
        notes.extend(self.noted(&lane));
        notes
    }

    /// How many items were read and have not ended.
    pub(crate) fn open(&self) -> usize {
        self.items.len()
    }

    /// The last position of the lane before which everything has ended, if that is news.
    fn noted(&mut self, lane: &str) -> Vec<Note> {
        let Some(chunks) = self.lanes.get_mut(lane) else { return Vec::new() };
        let mut position = None;
        while chunks.front().is_some_and(|chunk| chunk.open == 0) {
            position = chunks.pop_front().map(|chunk| chunk.position);
        }
        position.map(|position| (lane_key(lane), position)).into_iter().collect()
    }
}

/// Where the journal has a lane's position.
pub(crate) fn lane_key(lane: &str) -> String {
    format!("after {lane}")
}

fn failure_key(place: usize) -> String {
    format!("failed {place}")
}

/// What earlier runs have noted as failed, with its place, and the place of the next failure.
pub(crate) fn failures<'a>(value: impl Fn(&str) -> Option<&'a str>) -> (Vec<(usize, String)>, usize) {
    let mut failed = Vec::new();
    let mut place = 0;
    while let Some(name) = value(&failure_key(place)) {
        // An empty one was done since.
        if !name.is_empty() {
            failed.push((place, name.to_owned()));
        }
        place += 1;
    }
    (failed, place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn note(key: &str, value: &str) -> Note {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn a_position_is_noted_when_everything_before_it_is_done() {
        let mut ledger = Ledger::default();
        let (first, none) = ledger.read("segment 0", "p1".to_owned(), names(&["a", "b"]));
        assert!(none.is_empty());
        let (second, _) = ledger.read("segment 0", "p2".to_owned(), names(&["c"]));
        let (other, _) = ledger.read("segment 1", "q1".to_owned(), names(&["d"]));
        assert!(ledger.ended(second[0], End::Done).is_empty(), "the first chunk is in flight");
        assert!(ledger.ended(first[1], End::Done).is_empty());
        assert_eq!(ledger.ended(other[0], End::Done), [note("after segment 1", "q1")]);
        assert_eq!(ledger.ended(first[0], End::Done), [note("after segment 0", "p2")]);
        assert_eq!(ledger.open(), 0);
    }

    #[test]
    fn an_empty_page_is_done_at_once_and_holds_nothing_up() {
        let mut ledger = Ledger::default();
        let (none, notes) = ledger.read("segment 0", "p1".to_owned(), Vec::new());
        assert_eq!((none.len(), notes), (0, vec![note("after segment 0", "p1")]));
        let (first, _) = ledger.read("segment 0", "p2".to_owned(), names(&["a"]));
        assert!(ledger.read("segment 0", "end".to_owned(), Vec::new()).1.is_empty());
        assert_eq!(ledger.ended(first[0], End::Done), [note("after segment 0", "end")]);
    }

    #[test]
    fn a_failure_is_noted_before_the_position_that_passes_it() {
        let mut ledger = Ledger::after_failures(2);
        let (tags, _) = ledger.read("f", "1".to_owned(), names(&["a"]));
        assert_eq!(ledger.ended(tags[0], End::Failed), [note("failed 2", "a"), note("after f", "1")]);
        let again = ledger.read_again(2);
        assert!(ledger.ended(again, End::Failed).is_empty(), "it is noted already");
        let again = ledger.read_again(2);
        assert_eq!(ledger.ended(again, End::Done), [note("failed 2", "")]);
    }

    #[test]
    fn what_was_left_is_read_again() {
        let mut ledger = Ledger::default();
        let (tags, _) = ledger.read("f", "2".to_owned(), names(&["a", "b"]));
        assert!(ledger.ended(tags[0], End::Left).is_empty());
        assert!(ledger.ended(tags[1], End::Done).is_empty(), "the position stays before what was left");
        assert!(ledger.ended(tags[1], End::Done).is_empty(), "an item ends once");
    }

    #[test]
    fn failures_are_found_until_they_are_done() {
        let journal: HashMap<&str, &str> = HashMap::from([("failed 0", ""), ("failed 1", "b"), ("failed 2", "c")]);
        let (failed, next) = failures(|key| journal.get(key).copied());
        assert_eq!((failed, next), (vec![(1, "b".to_owned()), (2, "c".to_owned())], 3));
    }
}
