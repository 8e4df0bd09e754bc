//! Random edits of JSON text, for the tests of what must hold for any input: the library's and `lambda-streams-local`'s.

use proptest::prelude::*;
use proptest::sample::select;

/// What turns JSON into other JSON more often than a random byte does.
const PIECES: [&str; 24] = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\\",
    "null",
    "true",
    "0",
    "-1",
    "1e999",
    "\"S\"",
    "\"N\"",
    "\"Records\":[",
    "\"SequenceNumber\":\"\",",
    "\\ud800",
    "\u{fffe}",
    "\"state\":{},",
    "\"exists\"",
    "\"$or\":[",
    "\"record\":",
    "[[[[[[[[",
];

#[derive(Debug, Clone)]
pub(crate) enum Edit {
    Replace(usize, u8),
    Insert(usize, &'static str),
    Remove(usize, usize),
    Repeat(usize, usize),
    Truncate(usize),
}

pub(crate) fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let at = || any::<prop::sample::Index>().prop_map(|index| index.index(4_096));
    let edit = prop_oneof![
        2 => (at(), any::<u8>()).prop_map(|(at, byte)| Edit::Replace(at, byte)),
        4 => (at(), select(&PIECES[..])).prop_map(|(at, piece)| Edit::Insert(at, piece)),
        2 => (at(), 1..40_usize).prop_map(|(at, length)| Edit::Remove(at, length)),
        1 => (at(), 1..80_usize).prop_map(|(at, length)| Edit::Repeat(at, length)),
        1 => at().prop_map(Edit::Truncate),
    ];
    prop::collection::vec(edit, 0..5)
}

pub(crate) fn apply(seed: &str, edits: &[Edit]) -> Vec<u8> {
    let mut bytes = seed.as_bytes().to_vec();
    for edit in edits {
        let length = bytes.len();
        let at = |position: &usize| position % (length + 1);
        match edit {
            Edit::Replace(position, byte) if length > 0 => bytes[position % length] = *byte,
            Edit::Replace(..) => {}
            Edit::Insert(position, piece) => {
                let at = at(position);
                bytes.splice(at..at, piece.bytes());
            }
            Edit::Remove(position, count) => {
                let at = at(position);
                bytes.drain(at..length.min(at + count));
            }
            Edit::Repeat(position, count) => {
                let at = at(position);
                let again = bytes[at..length.min(at + count)].to_vec();
                bytes.splice(at..at, again);
            }
            Edit::Truncate(position) => bytes.truncate(at(position)),
        }
    }
    bytes
}

pub(crate) fn text(seed: &str, edits: &[Edit]) -> String {
    String::from_utf8_lossy(&apply(seed, edits)).into_owned()
}
