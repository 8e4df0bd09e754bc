//! Finds the event in a text that was copied from somewhere: as it is, as a JSON string, or in an on-failure document.

use std::borrow::Cow;

use lambda_streams::PayloadKind;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::source::SourceError;

/// How often a text is unwrapped: a document, its payload as a string, and one more quotation.
const MAX_DEPTH: usize = 4;

/// The event in a text: the text itself, or the event that is wrapped in it.
///
/// An event can be wrapped in a JSON string, as `jq .payload` prints it, or in the `payload` of an on-failure document, as
/// a JSON string (AWS writes it that way) or as an object. Any other text is returned as it is, valid or not.
///
/// # Errors
/// If the text is an on-failure document without a payload: only documents in a bucket have the records.
///
/// ```
/// use lambda_streams_local::event_in;
///
/// let event = r#"{"Records": []}"#;
/// assert_eq!(event_in(event)?, event);
/// assert_eq!(event_in(r#""{\"Records\": []}""#)?, event);
///
/// let document = r#"{"requestContext": {}, "DDBStreamBatchInfo": {}, "payload": "{\"Records\": []}"}"#;
/// assert_eq!(event_in(document)?, event);
/// # Ok::<(), lambda_streams_local::SourceError>(())
/// ```
pub fn event_in(text: &str) -> Result<Cow<'_, str>, SourceError> {
    let mut event = Cow::Borrowed(text);
    for _ in 0..MAX_DEPTH {
        match unwrapped(&event)? {
            Some(inner) => event = Cow::Owned(inner),
            None => break,
        }
    }
    Ok(event)
}

/// What gives a document away.
#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow, rename = "requestContext")]
    request: Option<&'a RawValue>,
    #[serde(borrow, rename = "DDBStreamBatchInfo")]
    batch: Option<&'a RawValue>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

fn unwrapped(text: &str) -> Result<Option<String>, SourceError> {
    let text = text.trim_start_matches('\u{FEFF}').trim_start();
    if text.starts_with('"') {
        // A string that holds no JSON is an event of its own kind.
        let inner = serde_json::from_str::<String>(text).ok();
        return Ok(inner.filter(|inner| PayloadKind::of(inner.as_bytes()) != PayloadKind::NotJson));
    }
    let Ok(Document { request: Some(_), batch: Some(_), payload }) = serde_json::from_str(text) else {
        return Ok(None);
    };
    let payload = payload.ok_or_else(|| {
        SourceError::new(
            "it is an on-failure document without a payload: a queue or a topic only gets the metadata of the records. \
             `lambda-streams explain` says where the records are",
        )
    })?;
    Ok(Some(payload.get().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"Records":[{"dynamodb":{"NewImage":{"s":{"S":"\"two\" \\ lines\n"}}}}]}"#;

    fn quoted(text: &str) -> String {
        serde_json::to_string(text).expect("a text")
    }

    #[test]
    fn every_wrapping_gives_the_same_event() {
        let document =
            |payload: &str| format!(r#"{{"requestContext":{{}},"DDBStreamBatchInfo":{{}},"payload":{payload}}}"#);
        let wrapped = [
            EVENT.to_owned(),
            quoted(EVENT),
            quoted(&quoted(EVENT)),
            document(EVENT),
            document(&quoted(EVENT)),
            quoted(&document(&quoted(EVENT))),
            format!("\u{FEFF}\n{}", document(&quoted(EVENT))),
        ];
        for text in wrapped {
            assert_eq!(event_in(&text).expect("it has one"), EVENT, "{text}");
        }
    }

    #[test]
    fn anything_else_is_an_event_as_it_is() {
        for text in ["", "{", "7", r#""order-1""#, r#"{"payload":"{}"}"#, "null"] {
            assert_eq!(event_in(text).expect("it is one"), text);
        }
        let error =
            event_in(r#"{"requestContext":{},"DDBStreamBatchInfo":{}}"#).expect_err("nothing is in it").to_string();
        assert!(error.starts_with("it is an on-failure document without a payload"), "{error}");
    }
}
