//! A JSON scanner that validates text and locates the values in it, without copying or decoding them.
//!
//! Invariant: everything before the scanner's position is valid JSON, except for objects that it was told to skip by their
//! braces alone, because they are validated when they are decoded.
//!
//! `decode` has a reader of its own, its `Cursor`. This one takes any JSON and fails without a reason, since `serde_json` is
//! asked for one afterwards. The cursor takes DynamoDB JSON alone, and must say what is wrong with it and in which attribute.
//! The two share [`end_of_plain_text`], where most of the time goes.

mod braces;
mod grammar;
mod member_order;
mod members;
mod raw;
mod scanner;

pub(crate) use self::braces::after_object;
pub(crate) use self::grammar::end_of_plain_text;
pub(crate) use self::member_order::MemberOrder;
pub(crate) use self::members::{BadMember, MemberName, Members, Object, Problem, member_names};
pub(crate) use self::raw::{JsonStr, RawJson, Span};
pub(crate) use self::scanner::Scanner;

/// The text is not valid JSON. [`syntax_error`] says why.
#[derive(Debug)]
pub(crate) struct InvalidJson;

/// What is wrong with a text that is not valid JSON, in the words of `serde_json`; `None` if the text is valid.
#[cold]
pub(crate) fn syntax_error(text: &str) -> Option<serde_json::Error> {
    serde_json::from_str::<&serde_json::value::RawValue>(text).err()
}

/// Whether a text is one JSON value, with any space around it.
pub(crate) fn is_valid(text: &str) -> bool {
    let mut scanner = Scanner::new(text);
    scanner.value().is_ok() && scanner.end().is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    proptest! {
        #[test]
        fn is_valid_agrees_with_serde_json(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "{", "}", "[", "]", ",", ":", "\"", "\\", "\\\"", "\\u00e9", "\\ud800", "\\u12", "\\x", "\"a\"", "\"a\":", "0",
                    "1", "-", ".5", "e1", "E+", "01", "true", "false", "null", "nul", " ", "\n", "\u{1}", "é", "{}", "[]",
                    "{\"a\":1}", "[1,2]", "\"long enough for a word\"",
                ]),
                0..12,
            )
        ) {
            let text = parts.concat();
            prop_assert_eq!(is_valid(&text), serde_json::from_str::<&RawValue>(&text).is_ok(), "{}", text);
        }

        #[test]
        fn is_valid_agrees_about_damaged_documents(at in 0..200_usize, byte in 0..128_u8, cut in any::<bool>()) {
            let mut text = r#"{"Records": [{"a\u0062": {"S": "x\n\ud83d\ude00"}, "n": [-1.5e-7, 0, true, null]}, {}, []], "z": "0123456789"}"#.to_owned();
            let at = at % text.len();
            let byte = char::from(byte).to_string();
            text.replace_range(at..=at, if cut { "" } else { &byte });
            prop_assert_eq!(is_valid(&text), serde_json::from_str::<&RawValue>(&text).is_ok(), "{}", text);
        }
    }

    #[test]
    fn deep_nesting_does_not_overflow_the_stack() {
        let deep = "[".repeat(1_000_000);
        assert!(!is_valid(&deep));
        assert!(is_valid(&(deep + &"]".repeat(1_000_000))));
    }
}
