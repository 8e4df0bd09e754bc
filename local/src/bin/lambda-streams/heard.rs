//! What the function writes about single records while it is invoked.

use std::collections::VecDeque;

use serde_json::Value;

/// Of more output than this, the beginning is forgotten.
const MAX_BYTES: usize = 16 * 1_048_576;
/// How much of a line is shown, in characters.
const MAX_SHOWN: usize = 300;

/// The lines that the function wrote, as far as they may name a record.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    lines: VecDeque<String>,
    bytes: usize,
}

/// What a line says of a record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Succeeded,
    Failed(String),
}

impl Heard {
    pub(crate) fn line(&mut self, line: &str) {
        if !line.bytes().any(|byte| byte.is_ascii_digit()) {
            return;
        }
        self.bytes += line.len();
        self.lines.push_back(line.to_owned());
        while self.bytes > MAX_BYTES {
            self.bytes -= self.lines.pop_front().map_or(self.bytes, |line| line.len());
        }
    }

    /// The last that the function wrote of a record that has one of these names.
    pub(crate) fn of(&self, names: &[&str]) -> Option<Said> {
        let names_it = |line: &&String| names.iter().any(|name| has_word(line, name));
        self.lines.iter().rev().filter(names_it).find_map(|line| said(line))
    }
}

/// Whether the text has the word, and not as a part of a longer one.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |char: Option<char>| char.is_some_and(char::is_alphanumeric);
    text.match_indices(word).any(|(start, _)| {
        !is_part(text[..start].chars().next_back()) && !is_part(text[start + word.len()..].chars().next())
    })
}

fn said(line: &str) -> Option<Said> {
    let Ok(Value::Object(members)) = serde_json::from_str::<Value>(line) else { return said_in_text(line) };
    let member = |name: &str| members.get(name).or_else(|| members.get("fields")?.get(name));
    let text = |name: &str| member(name).and_then(Value::as_str);
    let message = text("message").or_else(|| text("msg"));
    if message == Some("record succeeded") {
        return Some(Said::Succeeded);
    }
    let error = ["error", "errorMessage", "exception", "err"].iter().find_map(|name| member(name));
    let error = error.filter(|error| !error.is_null());
    let level = text("level").unwrap_or("WARN").to_uppercase();
    if error.is_none() && !matches!(level.as_str(), "WARN" | "WARNING" | "ERROR" | "FATAL" | "CRITICAL") {
        return None;
    }
    let error = match error {
        Some(Value::String(error)) => error.clone(),
        Some(other) => other.to_string(),
        None => message.map_or_else(|| line.to_owned(), str::to_owned),
    };
    let kind = text("error.type").map(|kind| format!("{kind}: ")).unwrap_or_default();
    let attempts = member("attempts").and_then(Value::as_u64);
    let attempts =
        attempts.map(|attempts| crate::ui::count(usize::try_from(attempts).unwrap_or(usize::MAX), "attempt"));
    let details: Vec<String> = attempts.into_iter().chain(text("next").map(str::to_owned)).collect();
    let details = if details.is_empty() { String::new() } else { format!(" ({})", details.join(", ")) };
    let letter = text("dead_letter_error").map(|error| format!("; dead letter: {error}")).unwrap_or_default();
    let reason = text("reason").map(|reason| format!(": {reason}")).unwrap_or_default();
    Some(Said::Failed(shown(&format!("{kind}{error}{reason}{details}{letter}"))))
}

fn said_in_text(line: &str) -> Option<Said> {
    if line.contains("record succeeded") {
        return Some(Said::Succeeded);
    }
    let mut words = line.split_whitespace().take(4);
    let is_harmless = words.any(|word| matches!(word.trim_matches(['[', ']', ':']), "TRACE" | "DEBUG" | "INFO"));
    (!is_harmless).then(|| Said::Failed(shown(line)))
}

fn shown(text: &str) -> String {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match one_line.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", &one_line[..end]),
        None => one_line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_that_names_a_record_tells() {
        let mut heard = Heard::default();
        for line in [
            r#"{"level":"WARN","message":"record failed","event_id":"e1","sequence_number":"111","error.type":"handler","error":"down","attempts":1,"next":"retried"}"#,
            r#"{"level":"WARN","message":"record failed","event_id":"e1","sequence_number":"111","error.type":"handler","error":"down","attempts":3,"next":"reported"}"#,
            r#"{"level":"DEBUG","fields":{"message":"record succeeded","sequence_number":"112"}}"#,
            "2026-01-01T00:00:00.000Z  WARN record failed event_id=e3 sequence_number=113 error=no such index",
            "2026-01-01T00:00:00.000Z  INFO looked at 114",
            r#"{"level":"INFO","message":"handling 115"}"#,
            r#"{"level":"INFO","message":"batch of 1161"}"#,
            "Traceback: record 117",
            r#"{"level":"WARN","message":"the dead letter was skipped and is kept","message_id":"m118","reason":"there is no handler"}"#,
        ] {
            heard.line(line);
        }
        let failed = |text: &str| Some(Said::Failed(text.to_owned()));
        let table = [
            ("111", failed("handler: down (3 attempts, reported)")),
            ("112", Some(Said::Succeeded)),
            (
                "113",
                failed(
                    "2026-01-01T00:00:00.000Z WARN record failed event_id=e3 sequence_number=113 error=no such index",
                ),
            ),
            ("114", None),
            ("115", None),
            ("116", None),
            ("117", failed("Traceback: record 117")),
            ("m118", failed("the dead letter was skipped and is kept: there is no handler")),
        ];
        for (number, expected) in table {
            assert_eq!(heard.of(&["none", number]), expected, "{number}");
        }
    }
}
