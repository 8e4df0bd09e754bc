//! The names that were seen so far in one object, to detect duplicates.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::json::end_of_plain_text;

/// Up to this many names are kept in place; more are hashed elsewhere, which needs an allocation.
const FEW: usize = 24;
const PLACES: usize = 32;

/// The names of an object of a text, each by where it stands there: a small table of open addressing.
pub(super) struct SeenNames<'de> {
    is_empty: bool,
    /// How many more are kept in place.
    room: usize,
    /// Where each name stands in the text, from 1; 0 for a free place.
    places: [u32; PLACES],
    many: Option<HashSet<Cow<'de, str>>>,
}

impl<'de> SeenNames<'de> {
    #[inline(always)]
    pub(super) fn of(text: &str) -> Self {
        let room = if text.len() < u32::MAX as usize { FEW } else { 0 };
        Self { is_empty: true, room, places: [0; PLACES], many: None }
    }

    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Takes a name that stands in the text without escapes, between its quotes from `start` to `end` and before a colon;
    /// `false` if it was there before.
    #[inline(always)]
    pub(super) fn insert_plain(&mut self, text: &'de str, start: usize, end: usize) -> bool {
        if self.room > 0 && start < end {
            let mut place = place(text.as_bytes(), start, end);
            while let Some(taken) = self.places.get_mut(place) {
                if *taken == 0 {
                    *taken = start as u32 + 1;
                    self.room -= 1;
                    self.is_empty = false;
                    return true;
                }
                if is_same(text.as_bytes(), *taken as usize - 1, start, end) {
                    return false;
                }
                place = (place + 1) % PLACES;
            }
        }
        self.insert_hashed(text, Cow::Borrowed(&text[start..end]))
    }

    /// Takes any name; `false` if it was there before.
    #[cold]
    pub(super) fn insert_hashed(&mut self, text: &'de str, name: Cow<'de, str>) -> bool {
        let few = self.places.iter().filter(|place| **place > 0).map(|place| {
            let start = *place as usize - 1;
            Cow::Borrowed(&text[start..end_of_plain_text(text.as_bytes(), start)])
        });
        (self.room, self.is_empty) = (0, false);
        self.many.get_or_insert_with(|| few.collect()).insert(name)
    }
}

/// One of the places, by the name's length, its first three bytes and its last.
#[inline(always)]
fn place(text: &[u8], start: usize, end: usize) -> usize {
    const SPREAD: [u32; 2] = [0x9E37_79B9, 0x85EB_CA6B];
    // Behind a shorter name stand its quote and its colon, which are always the same.
    let first = text.get(start..).and_then(<[u8]>::first_chunk).map_or(0, |chunk| u32::from_le_bytes(*chunk) << 8);
    let last = text.get(end.wrapping_sub(1)).map_or(0, |byte| u32::from(*byte));
    let mixed = (first ^ (end - start) as u32).wrapping_mul(SPREAD[0]) ^ last.wrapping_mul(SPREAD[1]);
    (mixed >> (u32::BITS - PLACES.trailing_zeros())) as usize
}

/// Whether the name at `other`, up to its quote, is the one from `start` to `end`.
#[inline(always)]
fn is_same(text: &[u8], other: usize, start: usize, end: usize) -> bool {
    let other_end = other + (end - start);
    text.get(other_end) == Some(&b'"') && text.get(other..other_end) == text.get(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Inserts each of the names that a text has, each between quotes and before a colon.
    fn insert_all<'de>(names: &mut SeenNames<'de>, text: &'de str, escaped: bool) -> Vec<bool> {
        let mut insert = |end: usize| {
            let start = text[..end].rfind('"').expect("a name begins with a quote") + 1;
            if escaped {
                names.insert_hashed(text, Cow::Owned(text[start..end].to_owned()))
            } else {
                names.insert_plain(text, start, end)
            }
        };
        text.match_indices("\":").map(|(end, _)| insert(end)).collect()
    }

    /// An object's text with these names, and then the same names once more before other values.
    fn twice(names: impl Iterator<Item = String> + Clone) -> String {
        names
            .clone()
            .map(|name| format!("\"{name}\":1,"))
            .chain(names.map(|name| format!("\"{name}\":{{}},")))
            .collect()
    }

    fn assert_found(text: &str, count: usize, escaped: bool) {
        let mut names = SeenNames::of(text);
        assert!(names.is_empty());
        let mut is_new = insert_all(&mut names, text, false);
        let second = is_new.split_off(count);
        assert!(is_new.into_iter().all(|is_new| is_new), "{text}");
        assert!(!second.into_iter().any(|is_new| is_new), "{text}");
        assert!(!names.is_empty());
        assert!(!insert_all(&mut names, text, escaped).into_iter().any(|is_new| is_new), "{text}");
    }

    #[test]
    fn a_second_name_is_found_among_few_and_many_plain_and_escaped() {
        for count in [1, FEW - 1, FEW, FEW + 1, 500] {
            for prefix in ["n", "a_long_name_with_the_same_first_letters_"] {
                for escaped in [false, true] {
                    let text = twice((0..count).map(|number| format!("{prefix}{number}")));
                    assert_found(&text, count, escaped);
                }
            }
        }
    }

    #[test]
    fn one_name_that_begins_like_another_is_another() {
        let names = ["a", "ab", "abc", "abcdefgh", "abcdefghi", "abcdefgi", "b", "é", "aabc", "axyzc"];
        for escaped in [false, true] {
            assert_found(&twice(names.iter().map(|name| (*name).to_owned())), names.len(), escaped);
            // The empty name is no three bytes long with its quote and colon, and the table never has it.
            assert_found(&twice(["", "a", "b"].iter().map(|name| (*name).to_owned())), 3, escaped);
            assert_found(&twice(["a", "b", ""].iter().map(|name| (*name).to_owned())), 3, escaped);
        }
    }
}
