//! A dead letter on its way back: which record it is, its place in the order, and whether it may be sent.

use std::cmp::Ordering;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::SystemTime;

use lambda_streams::{DeadLetter, ErrorKind, EventKind, SequenceNumber};

use crate::deliver::Parcel;
use crate::documents::{self, What};

/// What is known of a letter; nothing of its record's item.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    /// What the function calls it.
    pub(super) message_id: String,
    pub(super) event_id: Option<String>,
    pub(super) sequence_number: Option<SequenceNumber>,
    pub(super) kind: Option<EventKind>,
    pub(super) error_kind: ErrorKind,
    pub(super) given_up: SystemTime,
    /// The stream's ARN ends with the time of its creation. Sequence numbers are only compared within one stream.
    order: (String, Option<String>),
    /// The ARN by which the function was invoked that wrote it; empty outside of Lambda.
    function_arn: String,
    /// The same for all letters of an item.
    pub(super) item: u64,
}

/// Which record a letter is of, and whose letter it is. Two functions may have given up the same record for reasons of their own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Record {
    stream_arn: String,
    event_id: String,
    sequence_number: String,
    function: String,
}

impl Letter {
    pub(super) fn new(letter: &DeadLetter, message_id: String) -> Self {
        let mut item = DefaultHasher::new();
        letter.group_id().hash(&mut item);
        Self {
            message_id,
            event_id: letter.event_id().map(str::to_owned),
            sequence_number: letter.sequence_number().cloned(),
            kind: letter.kind(),
            error_kind: letter.error_kind(),
            given_up: letter.dead_lettered(),
            order: (
                letter.stream_arn().unwrap_or_default().to_owned(),
                letter.sequence_number().map(SequenceNumber::to_padded),
            ),
            function_arn: letter.function_arn().to_owned(),
            item: item.finish(),
        }
    }

    /// Names the record, and the message where that says more.
    pub(super) fn name(&self) -> String {
        match (&self.event_id, &self.sequence_number) {
            (None, None) => format!("message {}", self.message_id),
            (id, number) => {
                let number = number.as_ref().map_or("none", SequenceNumber::as_str);
                format!("event {}, sequence {number}", id.as_deref().unwrap_or("none"))
            }
        }
    }

    /// What the function may call it in its log, the most telling first.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let number = self.sequence_number.as_ref().map(SequenceNumber::as_str);
        number
            .into_iter()
            .chain(self.event_id.as_deref())
            .chain([self.message_id.as_str()])
            .filter(|name| !name.is_empty())
    }

    /// The order in which letters are sent: that of the stream. Those without a number come first, as they were given up.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        self.order.cmp(&other.order).then_with(|| self.given_up.cmp(&other.given_up))
    }

    /// Its record, if it is known well enough. A backfill's records have no sequence number, and the same event id for each image
    /// of an item.
    pub(super) fn record(&self) -> Option<Record> {
        let (stream_arn, sequence_number) = &self.order;
        Some(Record {
            stream_arn: stream_arn.clone(),
            event_id: self.event_id.clone()?,
            sequence_number: sequence_number.clone()?,
            function: function_name(&self.function_arn).to_owned(),
        })
    }

    /// The name of another function than `target` that wrote it.
    pub(super) fn other_function(&self, target: Option<&str>) -> Option<&str> {
        let (writer, target) = (function_name(&self.function_arn), function_name(target?));
        (!writer.is_empty() && writer != target).then_some(writer)
    }

    pub(super) fn parcel(&self, json: String, tag: u64) -> Parcel {
        Parcel { json, name: self.message_id.clone(), item: self.item, tag }
    }
}

/// The name in a function's ARN, a part of one, or a name, without its version or alias.
pub(super) fn function_name(function: &str) -> &str {
    let after =
        function.split_once(":function:").map_or_else(|| function.strip_prefix("function:"), |(_, name)| Some(name));
    after.unwrap_or(function).split(':').next().unwrap_or_default()
}

/// Reads the body of a message.
pub(super) fn read(body: &str) -> Result<DeadLetter, String> {
    DeadLetter::from_json(body).map_err(|error| match documents::find(body).first().map(|found| &found.what) {
        Some(What::OnFailure(_)) => "an on-failure document: use `lambda-streams replay`".to_owned(),
        Some(What::DeadLetter { .. }) => "a dead letter inside another message, where no function reads it".to_owned(),
        _ => error.to_string(),
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::redrive) fn letter(number: &str, function: &str) -> Letter {
        let json = format!(
            r#"{{"version":1,"errorKind":"handler","errorMessage":"","attempts":1,"firstSeen":"2026-01-01T00:00:00.000Z",
            "deadLettered":"2026-01-01T00:00:01.000Z","functionArn":"{function}",
            "record":{{"eventID":"e{number}","dynamodb":{{"SequenceNumber":"{number}"}}}}}}"#
        );
        Letter::new(&DeadLetter::from_json(&json).expect("it is one"), "m".to_owned())
    }

    #[test]
    fn letters_are_ordered_by_sequence_number() {
        let mut letters: Vec<Letter> = ["1000", "999", "", "100"].map(|number| letter(number, "")).into();
        letters.sort_by(Letter::order);
        let names: Vec<String> = letters.iter().map(Letter::name).collect();
        let expected = ["event e, sequence none", "event e100, sequence 100", "event e999, sequence 999"];
        assert_eq!(names[..3], expected, "{names:?}");
    }

    #[test]
    fn a_letter_of_another_function_is_recognised() {
        let arn = "arn:aws:lambda:eu-central-1:123456789012:function:orders:live";
        let letter = letter("1", arn);
        for same in ["orders", "orders:7", "123456789012:function:orders", "function:orders", arn] {
            assert_eq!(letter.other_function(Some(same)), None, "{same}");
        }
        assert_eq!(letter.other_function(Some("invoices")), Some("orders"));
        assert_eq!(letter.other_function(None), None);
    }
}
