//! Writes a record of the Streams API as the JSON in which Lambda would deliver it.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodbstreams::types::{AttributeValue, Identity, Record, StreamRecord};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{Error, SerializeMap};
use serde::{Serialize, Serializer};

use crate::source::SourceError;

/// Writes Lambda's JSON of a record: the same members in Lambda's spelling, times in seconds, binary as base64.
pub(super) fn to_lambda_json(record: &Record, stream_arn: &str) -> Result<String, SourceError> {
    let lambda = LambdaRecord {
        event_id: record.event_id(),
        event_name: record.event_name().map(|name| name.as_str()),
        event_version: record.event_version(),
        // As Lambda writes it: emulators have names of their own.
        event_source: "aws:dynamodb",
        aws_region: record.aws_region(),
        dynamodb: record.dynamodb().map(Change),
        user_identity: record.user_identity().map(UserIdentity::of),
        event_source_arn: stream_arn,
    };
    serde_json::to_string(&lambda).map_err(|error| {
        let which = record.event_id().unwrap_or("without an id");
        SourceError::new(format!("record {which} cannot be written as JSON: {error}"))
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LambdaRecord<'a> {
    #[serde(rename = "eventID", skip_serializing_if = "Option::is_none")]
    event_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_version: Option<&'a str>,
    event_source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    aws_region: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dynamodb: Option<Change<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_identity: Option<UserIdentity<'a>>,
    #[serde(rename = "eventSourceARN")]
    event_source_arn: &'a str,
}

/// Lambda spells these members in lower case, the Streams API in upper case.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UserIdentity<'a> {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal_id: Option<&'a str>,
}

impl<'a> UserIdentity<'a> {
    fn of(identity: &'a Identity) -> Self {
        Self { kind: identity.r#type(), principal_id: identity.principal_id() }
    }
}

struct Change<'a>(&'a StreamRecord);

impl Serialize for Change<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(time) = self.0.approximate_creation_date_time() {
            match time.subsec_nanos() {
                0 => map.serialize_entry("ApproximateCreationDateTime", &time.secs())?,
                _ => map.serialize_entry("ApproximateCreationDateTime", &time.as_secs_f64())?,
            }
        }
        for (name, item) in
            [("Keys", self.0.keys()), ("NewImage", self.0.new_image()), ("OldImage", self.0.old_image())]
        {
            if let Some(item) = item {
                map.serialize_entry(name, &Item(item))?;
            }
        }
        if let Some(number) = self.0.sequence_number() {
            map.serialize_entry("SequenceNumber", number)?;
        }
        if let Some(size) = self.0.size_bytes() {
            map.serialize_entry("SizeBytes", &size)?;
        }
        if let Some(view_type) = self.0.stream_view_type() {
            map.serialize_entry("StreamViewType", view_type.as_str())?;
        }
        map.end()
    }
}

/// Sorted, so the same record is the same text each time it is read.
struct Item<'a>(&'a HashMap<String, AttributeValue>);

impl Serialize for Item<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let sorted: BTreeMap<&String, Attribute<'_>> =
            self.0.iter().map(|(name, value)| (name, Attribute(value))).collect();
        serializer.collect_map(sorted)
    }
}

struct Attribute<'a>(&'a AttributeValue);

impl Serialize for Attribute<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match self.0 {
            AttributeValue::S(text) => map.serialize_entry("S", text)?,
            AttributeValue::N(number) => map.serialize_entry("N", number)?,
            AttributeValue::B(bytes) => map.serialize_entry("B", &STANDARD.encode(bytes))?,
            AttributeValue::Ss(texts) => map.serialize_entry("SS", texts)?,
            AttributeValue::Ns(numbers) => map.serialize_entry("NS", numbers)?,
            AttributeValue::Bs(all) => {
                let all: Vec<String> = all.iter().map(|bytes| STANDARD.encode(bytes)).collect();
                map.serialize_entry("BS", &all)?;
            }
            AttributeValue::M(item) => map.serialize_entry("M", &Item(item))?,
            AttributeValue::L(list) => {
                let list: Vec<Attribute<'_>> = list.iter().map(Attribute).collect();
                map.serialize_entry("L", &list)?;
            }
            AttributeValue::Null(null) => map.serialize_entry("NULL", null)?,
            AttributeValue::Bool(flag) => map.serialize_entry("BOOL", flag)?,
            _ => return Err(S::Error::custom("it has an attribute of a type that this version does not know")),
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodbstreams::primitives::{Blob, DateTime};
    use aws_sdk_dynamodbstreams::types::{OperationType, StreamViewType};
    use serde_json::{Value, json};

    use super::*;

    const ARN: &str = "arn:aws:dynamodb:us-east-1:123456789012:table/T/stream/2026-01-01T00:00:00.000";

    fn lambda(record: &Record) -> Value {
        serde_json::from_str(&to_lambda_json(record, ARN).expect("it is serializable")).expect("it is JSON")
    }

    fn removal(time: DateTime) -> Record {
        let change = StreamRecord::builder()
            .approximate_creation_date_time(time)
            .keys("pk", AttributeValue::S("p1".to_owned()))
            .old_image("pk", AttributeValue::S("p1".to_owned()))
            .sequence_number("100000000008367680596")
            .size_bytes(30)
            .stream_view_type(StreamViewType::NewAndOldImages)
            .build();
        Record::builder()
            .event_id("1")
            .event_name(OperationType::Remove)
            .event_version("1.1")
            .event_source("aws:dynamodb")
            .aws_region("us-east-1")
            .dynamodb(change)
            .user_identity(Identity::builder().r#type("Service").principal_id("dynamodb.amazonaws.com").build())
            .build()
    }

    #[test]
    fn a_record_is_lambdas_json_member_for_member() {
        let expected = json!({
            "eventID": "1",
            "eventName": "REMOVE",
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "awsRegion": "us-east-1",
            "dynamodb": {
                "ApproximateCreationDateTime": 1_767_225_600,
                "Keys": {"pk": {"S": "p1"}},
                "OldImage": {"pk": {"S": "p1"}},
                "SequenceNumber": "100000000008367680596",
                "SizeBytes": 30,
                "StreamViewType": "NEW_AND_OLD_IMAGES"
            },
            "userIdentity": {"type": "Service", "principalId": "dynamodb.amazonaws.com"},
            "eventSourceARN": ARN
        });
        assert_eq!(lambda(&removal(DateTime::from_secs(1_767_225_600))), expected);
    }

    #[test]
    fn a_fraction_of_a_second_is_kept() {
        let record = lambda(&removal(DateTime::from_millis(1_559_320_290_838)));
        assert_eq!(record["dynamodb"]["ApproximateCreationDateTime"], json!(1_559_320_290.838));
    }

    #[test]
    fn what_is_absent_stays_so_and_the_source_is_lambdas() {
        let record = Record::builder().event_id("1").event_source("scylladb:alternator").build();
        let expected = json!({"eventID": "1", "eventSource": "aws:dynamodb", "eventSourceARN": ARN});
        assert_eq!(lambda(&record), expected);
    }

    #[test]
    fn every_attribute_type_has_lambdas_form() {
        let text = |text: &str| text.to_owned();
        let table = [
            (AttributeValue::S(text("é\u{1}")), json!({"S": "é\u{1}"})),
            (AttributeValue::N(text("1.50")), json!({"N": "1.50"})),
            (AttributeValue::B(Blob::new([0xfb, 0xff])), json!({"B": "+/8="})),
            (AttributeValue::Ss(vec![text("b"), text("a")]), json!({"SS": ["b", "a"]})),
            (AttributeValue::Ns(vec![text("1e3")]), json!({"NS": ["1e3"]})),
            (AttributeValue::Bs(vec![Blob::new([0]), Blob::new([])]), json!({"BS": ["AA==", ""]})),
            (AttributeValue::Null(true), json!({"NULL": true})),
            (AttributeValue::Bool(false), json!({"BOOL": false})),
            (AttributeValue::L(vec![AttributeValue::Bool(true)]), json!({"L": [{"BOOL": true}]})),
            (
                AttributeValue::M(HashMap::from([(text("n"), AttributeValue::N(text("-0")))])),
                json!({"M": {"n": {"N": "-0"}}}),
            ),
        ];
        for (value, expected) in table {
            assert_eq!(serde_json::to_value(Attribute(&value)).expect("it is serializable"), expected);
        }
    }

    #[test]
    fn the_same_record_is_the_same_text() {
        let names = ["c", "a", "d", "b"];
        let item = names.iter().map(|name| ((*name).to_owned(), AttributeValue::Null(true))).collect();
        let text = serde_json::to_string(&Item(&item)).expect("it is serializable");
        assert_eq!(text, r#"{"a":{"NULL":true},"b":{"NULL":true},"c":{"NULL":true},"d":{"NULL":true}}"#);
    }
}
