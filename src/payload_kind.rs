//! Recognizes what a payload is from a few members, so that an error can say which event was received instead.

use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

/// What a payload looks like, judging by a few members that are specific to each source.
///
/// A function with several event sources can route by it before it decodes anything:
///
/// ```
/// use lambda_streams::PayloadKind;
///
/// let kind = PayloadKind::of(br#"{"version": "2.0", "routeKey": "POST /orders"}"#);
/// assert_eq!(kind, PayloadKind::HttpApi);
/// assert_eq!(kind.to_string(), "an API Gateway HTTP API event");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PayloadKind {
    /// Records of a DynamoDB stream, or an empty list of records.
    DynamoDbStream,
    /// One record of a DynamoDB stream, without the `Records` envelope.
    SingleRecord,
    /// A bare array of records of a stream, as EventBridge Pipes sends them.
    RecordArray,
    /// Messages of an SQS queue.
    Sqs,
    /// Notifications of an SNS topic.
    Sns,
    /// Notifications of an S3 bucket.
    S3,
    /// Records of a Kinesis stream.
    Kinesis,
    /// An event of an EventBridge bus.
    EventBridge,
    /// A request through a REST API of API Gateway.
    RestApi,
    /// A request through an HTTP API of API Gateway, or a function URL.
    HttpApi,
    /// An object whose `Records` are of none of these sources.
    UnknownRecords,
    /// An object whose `Records` is not a list.
    RecordsNoList,
    /// An object with `records` in lower case.
    LowerCaseRecords,
    /// An object without `Records`.
    Object,
    /// An array without records of a stream.
    Array,
    /// A bare string, number or boolean, or `null`.
    Scalar,
    /// Text that is not valid JSON.
    NotJson,
}

impl PayloadKind {
    /// Recognizes the payload of an invocation.
    pub fn of(payload: &[u8]) -> Self {
        match serde_json::from_slice::<&RawValue>(payload) {
            Ok(json) => Self::of_json(json.get()),
            Err(_) => Self::NotJson,
        }
    }

    pub(crate) fn of_json(json: &str) -> Self {
        match json.trim_start().as_bytes().first() {
            Some(b'{') => serde_json::from_str::<Clues<'_>>(json).map_or(Self::Object, |clues| clues.kind()),
            Some(b'[') if first_element(json).is_some_and(is_stream_record) => Self::RecordArray,
            Some(b'[') => Self::Array,
            _ => Self::Scalar,
        }
    }
}

impl fmt::Display for PayloadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DynamoDbStream => "a DynamoDB stream event",
            Self::SingleRecord => "a single record without the `Records` envelope",
            Self::RecordArray => {
                "a bare array of records without the `Records` envelope, as EventBridge Pipes sends it"
            }
            Self::Sqs => "an SQS event",
            Self::Sns => "an SNS event",
            Self::S3 => "an S3 event",
            Self::Kinesis => "a Kinesis event",
            Self::EventBridge => "an EventBridge event",
            Self::RestApi => "an API Gateway REST API event",
            Self::HttpApi => "an API Gateway HTTP API event",
            Self::UnknownRecords => "an event whose records are of no known source",
            Self::RecordsNoList => "an object whose `Records` is not a list",
            Self::LowerCaseRecords => "an object with `records` in lower case, as some serializers rewrite `Records`",
            Self::Object => "an object without `Records`",
            Self::Array => "an array",
            Self::Scalar => "a bare JSON value",
            Self::NotJson => "text that is not valid JSON",
        })
    }
}

/// Top-level members that are specific to a source.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Clues<'a> {
    #[serde(borrow, rename = "Records")]
    records: Option<&'a RawValue>,
    #[serde(borrow, rename = "records")]
    lower_case_records: Option<&'a RawValue>,
    #[serde(borrow)]
    dynamodb: Option<&'a RawValue>,
    #[serde(borrow, rename = "detail-type")]
    detail_type: Option<&'a RawValue>,
    #[serde(borrow)]
    http_method: Option<&'a RawValue>,
    #[serde(borrow)]
    route_key: Option<&'a RawValue>,
    #[serde(borrow)]
    request_context: Option<&'a RawValue>,
}

impl Clues<'_> {
    fn kind(&self) -> PayloadKind {
        match self.records {
            Some(records) => match serde_json::from_str::<Vec<&RawValue>>(records.get()) {
                Ok(records) => kind_of_records(&records),
                Err(_) => PayloadKind::RecordsNoList,
            },
            None if self.http_method.is_some() && self.request_context.is_some() => PayloadKind::RestApi,
            None if self.route_key.is_some() => PayloadKind::HttpApi,
            None if self.detail_type.is_some() => PayloadKind::EventBridge,
            None if self.dynamodb.is_some() => PayloadKind::SingleRecord,
            None if self.lower_case_records.is_some() => PayloadKind::LowerCaseRecords,
            None => PayloadKind::Object,
        }
    }
}

/// Whether an event of this kind is known to come from another source.
pub(crate) fn is_foreign(kind: PayloadKind) -> bool {
    !matches!(kind, PayloadKind::DynamoDbStream | PayloadKind::UnknownRecords)
}

fn kind_of_records(records: &[&RawValue]) -> PayloadKind {
    if records.is_empty() || records.iter().any(|record| is_stream_record(record)) {
        return PayloadKind::DynamoDbStream;
    }
    records.iter().find_map(|record| foreign_source(record)).unwrap_or(PayloadKind::UnknownRecords)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RecordClues<'a> {
    /// SNS writes it with a capital letter.
    #[serde(borrow, alias = "EventSource")]
    event_source: Option<&'a RawValue>,
    #[serde(borrow)]
    dynamodb: Option<&'a RawValue>,
}

fn clues(record: &RawValue) -> Option<RecordClues<'_>> {
    let json = record.get();
    json.starts_with('{').then(|| serde_json::from_str(json).ok()).flatten()
}

fn is_stream_record(record: &RawValue) -> bool {
    clues(record).is_some_and(|clues| {
        clues.dynamodb.is_some() || clues.event_source.is_some_and(|source| source.get() == r#""aws:dynamodb""#)
    })
}

fn foreign_source(record: &RawValue) -> Option<PayloadKind> {
    match clues(record)?.event_source?.get() {
        r#""aws:sqs""# => Some(PayloadKind::Sqs),
        r#""aws:sns""# => Some(PayloadKind::Sns),
        r#""aws:s3""# => Some(PayloadKind::S3),
        r#""aws:kinesis""# => Some(PayloadKind::Kinesis),
        _ => None,
    }
}

fn first_element(json: &str) -> Option<&RawValue> {
    serde_json::from_str::<Vec<&RawValue>>(json).ok()?.first().copied()
}
