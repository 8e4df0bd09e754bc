//! What DynamoDB writes, without space and escapes, takes the decoder's shortcuts; everything else takes the long way, and
//! decodes to the same.

use super::cursor::{Cursor, after_plain_number};
use super::seen_names::SeenNames;

/// What a shortcut returns for a text, and how far it moves.
fn try_on<'a, T>(text: &'a str, shortcut: impl FnOnce(&mut Cursor<'a>) -> T) -> (T, usize) {
    let mut cursor = Cursor::new(text);
    let result = shortcut(&mut cursor);
    (result, cursor.at)
}

#[test]
fn a_plain_string_is_taken() {
    for (text, expected) in [
        (r#""ab":"#, (Some("ab"), 4)),
        (r#""""#, (Some(""), 2)),
        (r#" "ab""#, (None, 0)),
        (r#""a\n""#, (None, 0)),
        (r#""ab"#, (None, 0)),
        ("ab", (None, 0)),
        ("", (None, 0)),
    ] {
        assert_eq!(try_on(text, Cursor::plain_string), expected, "{text}");
    }
}

#[test]
fn a_plain_name_is_taken() {
    let text = r#""a":1,"bc":2,"a":3}"#;
    let (mut cursor, mut names) = (Cursor::new(text), SeenNames::of(text));
    for (expected, at) in [(Some("a"), 4), (Some("bc"), 11), (None, 12)] {
        assert_eq!(cursor.next_plain_member(&mut names), expected);
        assert_eq!(cursor.at, at);
        cursor.advance(usize::from(expected.is_some()));
    }
    for text in [r#" "a":"#, r#""a" :"#, r#""\u0061":"#, r#","a":"#, r#""a""#, r#""a"#, "a\":", "", "}"] {
        assert_eq!(try_on(text, |cursor| cursor.next_plain_member(&mut SeenNames::of(text))), (None, 0), "{text}");
    }
    assert_eq!(try_on("}", Cursor::eat_end), (true, 1));
    assert_eq!(try_on(" }", Cursor::eat_end), (false, 0));
}

#[test]
fn a_plain_number_is_taken() {
    for (text, start, end) in [
        ("12", 0, None),
        ("12\"", 0, Some(2)),
        ("\"-1.50\"", 1, Some(6)),
        ("1e5", 0, Some(1)),
        ("1.\"", 0, None),
        (".5\"", 0, None),
        ("-\"", 0, None),
        ("", 0, None),
    ] {
        assert_eq!(after_plain_number(text.as_bytes(), start), end, "{text}");
    }
}

#[test]
fn a_plain_value_is_taken_whole() {
    for (text, content) in [
        (r#"{"S":"ab"}"#, Some("ab")),
        (r#"{"S":""}"#, Some("")),
        (r#"{"S":"a\n"}"#, None),
        (r#"{"S": "ab"}"#, None),
        (r#"{"S":"ab" }"#, None),
        (r#"{"N":"1"}"#, None),
    ] {
        let expected = (content, content.map_or(0, |_| text.len()));
        assert_eq!(try_on(text, Cursor::plain_text), expected, "{text}");
    }
    for (text, content) in [
        (r#"{"N":"-1.50"}"#, Some("-1.50")),
        (r#"{"N":"1e5"}"#, None),
        (r#"{"N":""}"#, None),
        (r#"{"N" :"1"}"#, None),
        (r#"{"S":"1"}"#, None),
    ] {
        let expected = (content, content.map_or(0, |_| text.len()));
        assert_eq!(try_on(text, Cursor::plain_number), expected, "{text}");
    }
    for (text, expected) in [(r#"{"S":"a"}"#, true), (r#"{"B":"a"}"#, true), (r#"{"BOOL":true}"#, false), ("{", false)]
    {
        assert_eq!(try_on(text, |cursor| cursor.has_plain_type()), (expected, 0), "{text}");
    }
    let too_deep = |text| {
        let mut cursor = Cursor::new(text);
        cursor.depth = 32;
        cursor
    };
    assert_eq!(too_deep(r#"{"S":"ab"}"#).plain_text(), None);
    assert_eq!(too_deep(r#"{"N":"1"}"#).plain_number(), None);
}

#[test]
fn names_of_a_usual_item_need_no_set() {
    let text = r#""id":1,"timestamp":2,"status":3,"total":4,"currency":5,"customer":6,"#;
    let mut names = SeenNames::of(text);
    for (end, _) in text.match_indices("\":") {
        let start = text[..end].rfind('"').expect("a quote") + 1;
        assert!(names.insert_plain(text, start, end));
    }
    assert!(names.has_only_a_table());
}
