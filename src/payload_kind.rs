//! Recognizes what a payload is from a few members, so that an error can say which event was received instead.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};

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
    /// Mails received by SES.
    Ses,
    /// Pushes to a CodeCommit repository.
    CodeCommit,
    /// Requests to CloudFront (Lambda@Edge).
    CloudFront,
    /// Records that name a source other than these, and none that is a DynamoDB stream's.
    OtherSource,
    /// An event of an EventBridge bus.
    EventBridge,
    /// A request through a REST API of API Gateway.
    RestApi,
    /// A request through an HTTP API of API Gateway, or a function URL.
    HttpApi,
    /// An object whose `Records` name no source.
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
            Some(b'[') if begins_with_a_record(json) => Self::RecordArray,
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
            Self::Ses => "an SES event",
            Self::CodeCommit => "a CodeCommit event",
            Self::CloudFront => "a CloudFront event",
            Self::OtherSource => "an event whose records name another source than `aws:dynamodb`",
            Self::EventBridge => "an EventBridge event",
            Self::RestApi => "an API Gateway REST API event",
            Self::HttpApi => "an API Gateway HTTP API event",
            Self::UnknownRecords => "an event whose records name no source",
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
            Some(records) => serde_json::from_str(records.get()).map_or(PayloadKind::RecordsNoList, kind_of_records),
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

fn kind_of_records(Sources { count, any_of_stream, foreign }: Sources) -> PayloadKind {
    if count == 0 || any_of_stream {
        return PayloadKind::DynamoDbStream;
    }
    foreign.unwrap_or(PayloadKind::UnknownRecords)
}

/// The sources that the records of a list name. They are read one by one and not kept, however many there are.
#[derive(Default)]
struct Sources {
    count: usize,
    any_of_stream: bool,
    /// What the first record that names another source looks like.
    foreign: Option<PayloadKind>,
}

impl<'de> Deserialize<'de> for Sources {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(SourcesVisitor)
    }
}

struct SourcesVisitor;

impl<'de> Visitor<'de> for SourcesVisitor {
    type Value = Sources;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut records: A) -> Result<Sources, A::Error> {
        let mut sources = Sources::default();
        while let Some(record) = records.next_element::<&RawValue>()? {
            sources.count += 1;
            match source(record) {
                Source::Stream => sources.any_of_stream = true,
                Source::Foreign(kind) => sources.foreign = sources.foreign.or(Some(kind)),
                Source::Unknown => {}
            }
        }
        Ok(sources)
    }
}

/// Where a record comes from.
enum Source {
    Stream,
    Foreign(PayloadKind),
    Unknown,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RecordClues<'a> {
    /// SNS writes it with a capital letter.
    #[serde(borrow, alias = "EventSource")]
    event_source: Option<&'a RawValue>,
    #[serde(borrow)]
    dynamodb: Option<&'a RawValue>,
    /// CloudFront names no source.
    #[serde(borrow)]
    cf: Option<&'a RawValue>,
}

fn clues(record: &RawValue) -> Option<RecordClues<'_>> {
    let json = record.get();
    json.starts_with('{').then(|| serde_json::from_str(json).ok()).flatten()
}

fn source(record: &RawValue) -> Source {
    let Some(clues) = clues(record) else { return Source::Unknown };
    let name = clues.event_source.and_then(|source| serde_json::from_str::<Cow<'_, str>>(source.get()).ok());
    match name.as_deref() {
        Some("aws:dynamodb") => Source::Stream,
        Some("aws:sqs") => Source::Foreign(PayloadKind::Sqs),
        Some("aws:sns") => Source::Foreign(PayloadKind::Sns),
        Some("aws:s3") => Source::Foreign(PayloadKind::S3),
        Some("aws:kinesis") => Source::Foreign(PayloadKind::Kinesis),
        Some("aws:ses") => Source::Foreign(PayloadKind::Ses),
        Some("aws:codecommit") => Source::Foreign(PayloadKind::CodeCommit),
        Some(_) => Source::Foreign(PayloadKind::OtherSource),
        None if clues.dynamodb.is_some() => Source::Stream,
        None if clues.cf.is_some() => Source::Foreign(PayloadKind::CloudFront),
        None => Source::Unknown,
    }
}

/// Whether the first element of an array is a record of a stream.
fn begins_with_a_record(json: &str) -> bool {
    struct First;

    impl<'de> Visitor<'de> for First {
        type Value = bool;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<bool, A::Error> {
            let first = elements.next_element::<&RawValue>()?;
            while elements.next_element::<IgnoredAny>()?.is_some() {}
            Ok(first.is_some_and(|first| matches!(source(first), Source::Stream)))
        }
    }

    serde_json::Deserializer::from_str(json).deserialize_seq(First).unwrap_or(false)
}
