//! Recognizes what a payload is from a few members, so an error can say which event was received instead.
//!
//! Invariant: all records of an event decide what it is, never only the first.

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
    /// Records of more than one of these sources, which no event source mapping sends together.
    MixedSources,
    /// A document of records that Lambda has discarded, as an on-failure destination gets it.
    OnFailureDocument,
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
            Self::MixedSources => "an event whose records come from several sources",
            Self::OnFailureDocument => "an on-failure document of records that Lambda has discarded",
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
    #[serde(borrow, rename = "DDBStreamBatchInfo")]
    discarded: Option<&'a RawValue>,
}

impl Clues<'_> {
    fn kind(&self) -> PayloadKind {
        match self.records {
            Some(records) => serde_json::from_str(records.get())
                .map_or(PayloadKind::RecordsNoList, |sources: Sources| sources.kind()),
            None if self.request_context.is_some() && self.discarded.is_some() => PayloadKind::OnFailureDocument,
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

/// Whether a record names a source of AWS's that is not a stream of DynamoDB, and whose events have the same form. A name that is none of
/// these may be a garbled one.
#[cold]
pub(crate) fn names_another_source(record: &str) -> bool {
    let source = serde_json::from_str::<&RawValue>(record).map(source);
    matches!(source, Ok(Source::Foreign(kind)) if is_named(kind))
}

/// The sources of an event's records, and how many are of each, if there are several that no event has together: `a DynamoDB stream: 3, SQS: 2`.
pub(crate) fn mixed_sources(json: &str) -> Option<String> {
    let records = serde_json::from_str::<Clues<'_>>(json).ok()?.records?;
    let sources: Sources = serde_json::from_str(records.get()).ok().filter(Sources::are_mixed)?;
    Some(sources.to_string())
}

/// Whether the name that identifies a source of this kind is unlikely to be garbled.
fn is_named(kind: PayloadKind) -> bool {
    !matches!(kind, PayloadKind::DynamoDbStream | PayloadKind::OtherSource | PayloadKind::CloudFront)
}

/// The sources that the records of a list name. They are read one by one and not kept, however many there are.
#[derive(Default)]
struct Sources {
    /// How many records are of each source, in the order in which they occur first.
    counts: Vec<(PayloadKind, usize)>,
    unknown: usize,
}

impl Sources {
    fn add(&mut self, kind: PayloadKind) {
        match self.counts.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => self.counts.push((kind, 1)),
        }
    }

    /// Whether the records come from several sources. A record of a stream whose source is garbled or missing is malformed, and fails
    /// alone; one of another source has nothing to fail.
    fn are_mixed(&self) -> bool {
        let has = |kind| self.counts.iter().any(|(known, _)| *known == kind);
        let named = self.counts.iter().filter(|(kind, _)| is_named(*kind)).count();
        named > 1 || named == 1 && (has(PayloadKind::DynamoDbStream) || has(PayloadKind::OtherSource))
    }

    fn kind(&self) -> PayloadKind {
        let any_of_stream = || self.counts.iter().any(|(kind, _)| *kind == PayloadKind::DynamoDbStream);
        match self.counts.first() {
            None if self.unknown == 0 => PayloadKind::DynamoDbStream,
            None => PayloadKind::UnknownRecords,
            Some(_) if self.are_mixed() => PayloadKind::MixedSources,
            Some(_) if any_of_stream() => PayloadKind::DynamoDbStream,
            Some((first, _)) => *first,
        }
    }
}

/// How many records there are of each source.
impl fmt::Display for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (kind, count)) in self.counts.iter().enumerate() {
            let name = match kind {
                PayloadKind::DynamoDbStream => "a DynamoDB stream",
                PayloadKind::Sqs => "SQS",
                PayloadKind::Sns => "SNS",
                PayloadKind::S3 => "S3",
                PayloadKind::Kinesis => "Kinesis",
                PayloadKind::Ses => "SES",
                PayloadKind::CodeCommit => "CodeCommit",
                PayloadKind::CloudFront => "CloudFront",
                _ => "others",
            };
            f.write_str(if place > 0 { ", " } else { "" })?;
            write!(f, "{name}: {count}")?;
        }
        match self.unknown {
            0 => Ok(()),
            unknown => write!(f, ", none that is named: {unknown}"),
        }
    }
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
            match source(record) {
                Source::Stream => sources.add(PayloadKind::DynamoDbStream),
                Source::Foreign(kind) => sources.add(kind),
                Source::Unknown => sources.unknown += 1,
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
