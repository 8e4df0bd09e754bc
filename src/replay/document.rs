//! The other ways in which discarded records reach a function: on-failure documents, and messages and notifications of them. Where the
//! records are not there, the error says which command brings them.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::Error;
use crate::payload_kind::PayloadKind;

/// The event in an on-failure document of a bucket.
///
/// AWS writes it as a text ([AWS: discarded batches](https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html)).
/// Tools that print documents nicely make an object of it.
///
/// # Errors
/// If the document has none, as those of queues and topics, or something else in its place.
pub(crate) fn event_of(document: &str, function_arn: &str) -> Result<String, Error> {
    #[derive(Deserialize)]
    struct Document<'a> {
        #[serde(borrow)]
        payload: Option<&'a RawValue>,
    }
    let refuse = |message: String| Error::way_back(message, Some(PayloadKind::OnFailureDocument));
    let payload = serde_json::from_str::<Document<'_>>(document)
        .map_err(|_| refuse("the on-failure document has more than one `payload`".to_owned()))?
        .payload;
    let Some(payload) = payload.map(RawValue::get) else {
        return Err(refuse(format!(
            "the payload is an on-failure document without the records that it describes, as queues and topics get it: save it as a \
             file, and `lambda-streams replay FILE --function {}` reads the records from the stream while it has them",
            function(function_arn)
        )));
    };
    match payload.as_bytes().first() {
        Some(b'{') => Ok(payload.to_owned()),
        Some(b'"') => serde_json::from_str(payload).map_err(Error::not_json),
        _ => Err(refuse("`payload` of the on-failure document is neither an event nor the text of one".to_owned())),
    }
}

/// The error for a notification of a bucket, or of a topic if it holds an on-failure document; `None` for anything else.
pub(crate) fn refuse_notification(kind: PayloadKind, text: &str, function_arn: &str) -> Option<Error> {
    let (place, when) = match kind {
        PayloadKind::S3 => (object(text), "if it is about an on-failure document"),
        PayloadKind::Sns if text.contains("DDBStreamBatchInfo") => {
            ("FILE".into(), "with an on-failure document: save that as a file")
        }
        _ => return None,
    };
    let message = format!(
        "the payload is not the event of a DynamoDB stream, it looks like {kind}; {when}, `lambda-streams replay {place} --function {}` \
         brings the discarded records back",
        function(function_arn)
    );
    Some(Error::way_back(message, Some(kind)))
}

/// The object that an S3 event is about, as the command takes it.
fn object(text: &str) -> Cow<'static, str> {
    #[derive(Deserialize)]
    struct Event {
        #[serde(rename = "Records")]
        records: Vec<Notification>,
    }
    #[derive(Deserialize)]
    struct Notification {
        s3: Place,
    }
    #[derive(Deserialize)]
    struct Place {
        bucket: Bucket,
        object: Object,
    }
    #[derive(Deserialize)]
    struct Bucket {
        name: String,
    }
    #[derive(Deserialize)]
    struct Object {
        key: String,
    }
    // Other characters are escaped in an event, and would have to be quoted on a command line.
    let is_plain = |text: &str| text.chars().all(|it| it.is_ascii_alphanumeric() || "-._/".contains(it));
    let records = serde_json::from_str::<Event>(text).map(|event| event.records).unwrap_or_default();
    match &records[..] {
        [Notification { s3: Place { bucket, object } }] if is_plain(&bucket.name) && is_plain(&object.key) => {
            format!("s3://{}/{}", bucket.name, object.key).into()
        }
        [Notification { s3: Place { bucket, .. } }, ..] if is_plain(&bucket.name) => {
            format!("s3://{}/PREFIX", bucket.name).into()
        }
        _ => "s3://BUCKET/PREFIX".into(),
    }
}

/// The function's name, as the command takes it.
fn function(arn: &str) -> &str {
    let name = arn.split_once(":function:").map(|(_, name)| name.split(':').next().unwrap_or(name));
    name.filter(|name| !name.is_empty()).unwrap_or("NAME")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_named_as_the_command_takes_it() {
        let record = |bucket: &str, key: &str| {
            format!(r#"{{"eventSource":"aws:s3","s3":{{"bucket":{{"name":"{bucket}"}},"object":{{"key":"{key}"}}}}}}"#)
        };
        let event = |records: &[String]| format!("{{\"Records\":[{}]}}", records.join(","));
        let key = "aws/lambda/0c2b/shardId-00000001-a/2026/01/01/x.json";
        for (records, expected) in [
            (vec![record("discarded", key)], "s3://discarded/aws/lambda/0c2b/shardId-00000001-a/2026/01/01/x.json"),
            (vec![record("discarded", "a%2Cb")], "s3://discarded/PREFIX"),
            (vec![record("discarded", key), record("discarded", "b")], "s3://discarded/PREFIX"),
            (vec![record("$(rm)", key)], "s3://BUCKET/PREFIX"),
            (vec!["{}".to_owned()], "s3://BUCKET/PREFIX"),
        ] {
            assert_eq!(object(&event(&records)), expected);
        }
    }

    #[test]
    fn a_function_has_its_name_in_its_arn() {
        for (arn, name) in [
            ("arn:aws:lambda:eu-central-1:123456789012:function:orders", "orders"),
            ("arn:aws:lambda:eu-central-1:123456789012:function:orders:live", "orders"),
            ("", "NAME"),
            ("arn:aws:lambda:eu-central-1:123456789012:function:", "NAME"),
        ] {
            assert_eq!(function(arn), name);
        }
    }
}
