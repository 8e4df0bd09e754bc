//! The names that were seen so far in one object, to detect duplicates.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::json::end_of_plain_text;

/// How many names the table holds; an object with more of them allocates a set.
const MAX_IN_TABLE: usize = 24;
/// More than the table holds, so a search always ends at a free slot.
const SLOTS: usize = 32;

/// The names of one object of a text: a small hash table on the stack, with open addressing.
///
/// A linear search for each of the 13 names of the benchmarks' item takes 9 % more instructions per record
/// (`benches/instructions.sh`, *from the bytes*).
pub(super) struct SeenNames<'de> {
    is_empty: bool,
    refuses_plain: bool,
    /// How many more names the table takes; 0 from the first name on that went into `set`.
    room: usize,
    /// Where each name starts in the text, plus 1; 0 for a free slot.
    slots: [u32; SLOTS],
    /// All names, once there are too many for the table, or one that has escapes.
    set: Option<HashSet<Cow<'de, str>>>,
}

impl<'de> SeenNames<'de> {
    #[inline(always)]
    pub(super) fn of(text: &str) -> Self {
        let room = if text.len() < u32::MAX as usize { MAX_IN_TABLE } else { 0 };
        Self { is_empty: true, refuses_plain: false, room, slots: [0; SLOTS], set: None }
    }

    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Whether no name has needed the set.
    #[cfg(test)]
    pub(super) fn has_only_a_table(&self) -> bool {
        self.set.is_none()
    }

    /// Adds the name that is in the text from `start` to `end`, between quotes and before a colon; `false` if it was there
    /// already.
    #[inline(always)]
    pub(super) fn insert_plain(&mut self, text: &'de str, start: usize, end: usize) -> bool {
        if self.room > 0 && start < end {
            let mut slot = slot(text.as_bytes(), start, end);
            while let Some(taken) = self.slots.get_mut(slot) {
                if *taken == 0 {
                    *taken = start as u32 + 1;
                    self.room -= 1;
                    self.is_empty = false;
                    return true;
                }
                if is_same(text.as_bytes(), *taken as usize - 1, start, end) {
                    return false;
                }
                slot = (slot + 1) % SLOTS;
            }
        }
        self.insert_other(text, start, end)
    }

    /// No longer takes plain names: each name is looked at before it is inserted.
    pub(super) fn refuse_plain(&mut self) {
        self.room = 0;
        self.refuses_plain = true;
    }

    #[cold]
    fn insert_other(&mut self, text: &'de str, start: usize, end: usize) -> bool {
        !self.refuses_plain && self.insert_in_set(text, Cow::Borrowed(&text[start..end]))
    }

    /// Adds any name; `false` if it was there already.
    #[cold]
    pub(super) fn insert_in_set(&mut self, text: &'de str, name: Cow<'de, str>) -> bool {
        let in_table = self.slots.iter().filter(|slot| **slot > 0).map(|slot| {
            let start = *slot as usize - 1;
            Cow::Borrowed(&text[start..end_of_plain_text(text.as_bytes(), start)])
        });
        self.room = 0;
        self.is_empty = false;
        self.set.get_or_insert_with(|| in_table.collect()).insert(name)
    }
}

/// The slot at which the search for a name starts: a hash of its length, its first three bytes and its last, which distinguish most
/// names of an item apart.
#[inline(always)]
fn slot(text: &[u8], start: usize, end: usize) -> usize {
    /// Odd numbers whose bits are well mixed: the golden ratio in 32 bits, and a constant of MurmurHash3.
    const MULTIPLIERS: [u32; 2] = [0x9E37_79B9, 0x85EB_CA6B];
    // A shorter name is followed by its quote and its colon, which are the same wherever it occurs.
    let first = text.get(start..).and_then(<[u8]>::first_chunk).map_or(0, |chunk| u32::from_le_bytes(*chunk) << 8);
    let last = text.get(end.wrapping_sub(1)).map_or(0, |byte| u32::from(*byte));
    let mixed = (first ^ (end - start) as u32).wrapping_mul(MULTIPLIERS[0]) ^ last.wrapping_mul(MULTIPLIERS[1]);
    (mixed >> (u32::BITS - SLOTS.trailing_zeros())) as usize
}

/// Whether the name that starts at `other` and ends at a quote is the name from `start` to `end`.
#[inline(always)]
fn is_same(text: &[u8], other: usize, start: usize, end: usize) -> bool {
    let other_end = other + (end - start);
    text.get(other_end) == Some(&b'"') && text.get(other..other_end) == text.get(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy)]
    enum Spelling {
        Plain,
        /// Treats a name as one that had to be unescaped.
        Escaped,
    }

    /// Inserts all names of a text.
    fn insert_all<'de>(names: &mut SeenNames<'de>, text: &'de str, spelling: Spelling) -> Vec<bool> {
        let mut insert = |end: usize| {
            let start = text[..end].rfind('"').expect("a name begins with a quote") + 1;
            match spelling {
                Spelling::Plain => names.insert_plain(text, start, end),
                Spelling::Escaped => names.insert_in_set(text, Cow::Owned(text[start..end].to_owned())),
            }
        };
        text.match_indices("\":").map(|(end, _)| insert(end)).collect()
    }

    /// The members of an object with these names, and then with the same names again.
    fn twice(names: impl Iterator<Item = String> + Clone) -> String {
        names
            .clone()
            .map(|name| format!("\"{name}\":1,"))
            .chain(names.map(|name| format!("\"{name}\":{{}},")))
            .collect()
    }

    fn assert_found(text: &str, count: usize, spelling: Spelling) {
        let mut names = SeenNames::of(text);
        assert!(names.is_empty());
        let mut is_new = insert_all(&mut names, text, Spelling::Plain);
        let second = is_new.split_off(count);
        assert!(is_new.into_iter().all(|is_new| is_new), "{text}");
        assert!(!second.into_iter().any(|is_new| is_new), "{text}");
        assert!(!names.is_empty());
        assert!(!insert_all(&mut names, text, spelling).into_iter().any(|is_new| is_new), "{text}");
    }

    #[test]
    fn a_duplicate_is_found_in_the_table_and_in_the_set() {
        for count in [1, MAX_IN_TABLE - 1, MAX_IN_TABLE, MAX_IN_TABLE + 1, 500] {
            for prefix in ["n", "a_long_name_with_the_same_first_letters_"] {
                for spelling in [Spelling::Plain, Spelling::Escaped] {
                    let text = twice((0..count).map(|number| format!("{prefix}{number}")));
                    assert_found(&text, count, spelling);
                }
            }
        }
    }

    #[test]
    fn usual_names_have_slots_of_their_own() {
        let text = r#""id":"timestamp":"status":"total":"currency":"customer":"items":"address":"#;
        let slots = text.match_indices("\":").map(|(end, _)| {
            let start = text[..end].rfind('"').expect("a name begins with a quote") + 1;
            slot(text.as_bytes(), start, end)
        });
        let slots: HashSet<usize> = slots.collect();
        assert!(slots.len() >= 6 && slots.iter().all(|slot| *slot < SLOTS), "{slots:?}");
    }

    #[test]
    fn names_with_a_common_prefix_differ() {
        let names = ["a", "ab", "abc", "abcdefgh", "abcdefghi", "abcdefgi", "b", "é", "aabc", "axyzc"];
        for spelling in [Spelling::Plain, Spelling::Escaped] {
            assert_found(&twice(names.iter().map(|name| (*name).to_owned())), names.len(), spelling);
            // The empty name is shorter than three bytes even with its quote and colon, and never goes into the table.
            assert_found(&twice(["", "a", "b"].iter().map(|name| (*name).to_owned())), 3, spelling);
            assert_found(&twice(["a", "b", ""].iter().map(|name| (*name).to_owned())), 3, spelling);
        }
    }
}
