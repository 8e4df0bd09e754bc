//! The README's "Isolation", in the payload: a malformed record is one failed record, never a failed batch. A payload that is
//! not a stream event is rejected with what it looks like.

use lambda_streams::{Deadline, ErrorKind, EventKind, Outcome, PayloadKind, Record, StreamEvent, StreamProcessor};
use serde_json::{Value, json};

use crate::support::{Change, Script, TestQueue, change, event, inserts, outcomes, payload, process};

fn refused(body: &str) -> (PayloadKind, String) {
    let error = StreamEvent::from_slice(body.as_bytes()).expect_err(body);
    assert!(error.is_event());
    (error.payload_kind().expect("a shape"), error.to_string())
}

#[test]
fn a_non_stream_event_is_rejected_with_its_kind() {
    let record = payload(&inserts(1));
    let record: Value = serde_json::from_str(&record).unwrap();
    let record = &record["Records"][0];
    for (body, shape, words) in [
        (json!({"Records": [{"eventSource": "aws:sqs", "body": "x"}]}), PayloadKind::Sqs, "an SQS event"),
        (json!({"Records": [{"EventSource": "aws:sns", "Sns": {}}]}), PayloadKind::Sns, "an SNS event"),
        (json!({"Records": [{"eventSource": "aws:s3", "s3": {}}]}), PayloadKind::S3, "an S3 event"),
        (json!({"Records": [{"eventSource": "aws:kinesis", "kinesis": {}}]}), PayloadKind::Kinesis, "a Kinesis event"),
        (json!({"Records": [{"eventSource": "aws:ses", "ses": {}}]}), PayloadKind::Ses, "an SES event"),
        (json!({"Records": [{"eventSource": "aws:codecommit"}]}), PayloadKind::CodeCommit, "a CodeCommit event"),
        (json!({"Records": [{"cf": {"request": {}}}]}), PayloadKind::CloudFront, "a CloudFront event"),
        (
            json!({"Records": [{"eventSource": "aws:new"}, {"eventSource": "x"}]}),
            PayloadKind::OtherSource,
            "another source",
        ),
        (
            json!({"Records": [{"eventSource": "scylladb:alternator", "dynamodb": {}}]}),
            PayloadKind::OtherSource,
            "another source",
        ),
        (record.clone(), PayloadKind::SingleRecord, "a single record without the `Records` envelope"),
        (json!([record]), PayloadKind::RecordArray, "EventBridge Pipes"),
        (json!({"records": [record]}), PayloadKind::LowerCaseRecords, "in lower case"),
        (json!({"detail-type": "x", "source": "y"}), PayloadKind::EventBridge, "an EventBridge event"),
        (json!({"version": "2.0", "routeKey": "$default"}), PayloadKind::HttpApi, "HTTP API"),
        (json!({"httpMethod": "GET", "requestContext": {}}), PayloadKind::RestApi, "REST API"),
        (json!({}), PayloadKind::Object, "an object without `Records`"),
        (json!({"Records": null}), PayloadKind::Object, "an object without `Records`"),
        (json!({"Records": "x"}), PayloadKind::RecordsNoList, "not a list"),
        (json!([]), PayloadKind::Array, "an array"),
        (json!("Records"), PayloadKind::Scalar, "a bare JSON value"),
        (json!(7), PayloadKind::Scalar, "a bare JSON value"),
        (json!(true), PayloadKind::Scalar, "a bare JSON value"),
        (json!(null), PayloadKind::Scalar, "a bare JSON value"),
    ] {
        let (found, message) = refused(&body.to_string());
        assert_eq!(found, shape, "{body}");
        assert!(message.contains(words), "{message}");
        let through_serde = serde_json::from_str::<StreamEvent>(&body.to_string()).expect_err("refused as well");
        assert!(through_serde.to_string().contains(words), "{through_serde}");
    }
}

#[test]
fn invalid_json_is_rejected() {
    for (body, words) in [
        (&b""[..], "it is empty"),
        (b" \n", "it is empty"),
        (b"{'Records': []}", "the payload is not valid JSON"),
        (b"{\"Records\": []} x", "trailing characters"),
        (b"{\"Records\": [", "EOF"),
        (b"\xEF\xBB\xBF{\"Records\": []}", "byte order mark"),
        (b"\xFF\xFE{\0", "the payload is not valid JSON"),
        (b"{\"Records\": [\"\xFF\"]}", "the payload is not valid JSON"),
    ] {
        let error = StreamEvent::from_slice(body).expect_err(words);
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(error.payload_kind(), Some(PayloadKind::NotJson));
    }
}

#[test]
fn a_second_records_member_is_rejected() {
    let error =
        StreamEvent::from_slice(br#"{"Records": [{"eventSource": "aws:dynamodb"}], "Records": []}"#).unwrap_err();
    assert!(error.is_event());
    assert!(error.to_string().contains("twice"), "{error}");
}

#[test]
fn an_incomplete_window_event_is_rejected() {
    let window = json!({"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:05:00Z"});
    let whole = json!({"Records": [], "window": window, "state": {}, "shardId": "s", "isFinalInvokeForWindow": true});
    assert!(serde_json::from_value::<StreamEvent>(whole.clone()).unwrap().is_empty());
    for (member, value) in [
        ("state", Value::Null),
        ("state", json!([])),
        ("shardId", json!(1)),
        ("isFinalInvokeForWindow", json!("true")),
        ("window", json!({"start": "x", "end": 5})),
        ("window", json!({"start": "x", "end": "y"})),
        ("window", json!([])),
    ] {
        let mut broken = whole.clone();
        broken[member] = value;
        let error = StreamEvent::from_slice(broken.to_string().as_bytes()).expect_err(member);
        assert!(
            error.is_event() && error.to_string().contains("window") || error.to_string().contains("`state`"),
            "{error}"
        );
    }
}

#[test]
fn a_record_exposes_its_metadata() {
    let odd = change(7, "a", 1).with("/surprise", json!({"new": true})).with("/dynamodb/later", 1);
    let changes = [odd.with("/dynamodb/SizeBytes", 59)];
    let record = event(&changes).records().next().unwrap().unwrap();
    assert_eq!(record.event_id(), Some("event-7"));
    assert_eq!(record.kind(), EventKind::Modify);
    assert_eq!(record.sequence_number().expect("it has one").as_str(), crate::support::sequence_number(7));
    assert_eq!(record.table_name(), Some("orders"));
    assert_eq!(record.region(), Some("us-east-1"));
    assert_eq!(record.size_bytes(), Some(59));
    assert_eq!(record.view_type(), Some("NEW_AND_OLD_IMAGES"));
    assert!(record.created_at().is_some() && !record.is_ttl_expiry());
    assert_eq!(record.raw_json(), changes[0].json(), "byte for byte");
    let keys: std::collections::HashMap<String, String> = record.keys().unwrap();
    assert_eq!(keys["id"], "a");
    let shown = format!("{record:?}");
    assert!(shown.contains("event-7") && !shown.contains("version"), "{shown}");
}

#[test]
fn optional_members_may_be_absent_null_or_odd() {
    let record = |change: Change| event(&[change]).records().next().unwrap();
    let usual = record(change(0, "a", 0)).unwrap();
    for path in [
        "/eventVersion",
        "/eventSourceARN",
        "/awsRegion",
        "/eventID",
        "/dynamodb/SizeBytes",
        "/dynamodb/StreamViewType",
        "/dynamodb/ApproximateCreationDateTime",
    ] {
        record(change(0, "a", 0).without(path)).expect(path);
        record(change(0, "a", 0).with(path, Value::Null)).expect(path);
    }
    let unreadable = [json!(true), json!({}), json!([1]), json!(-1.5e300), json!("\u{0}"), json!("")];
    for path in [
        "/eventVersion",
        "/eventSourceARN",
        "/awsRegion",
        "/eventID",
        "/userIdentity",
        "/dynamodb/SizeBytes",
        "/dynamodb/StreamViewType",
        "/dynamodb/ApproximateCreationDateTime",
    ] {
        for odd in &unreadable {
            let read = record(change(0, "a", 0).with(path, odd.clone()))
                .unwrap_or_else(|error| panic!("{path} {odd}: {error}"));
            assert_eq!(read.kind(), usual.kind());
            if path.ends_with("Time") {
                assert_eq!(read.created_at(), None, "{odd}");
            }
            if path.ends_with("Bytes") {
                assert_eq!(read.size_bytes(), None, "{odd}");
            }
            if !odd.is_string() {
                let texts = [read.event_id(), read.stream_arn(), read.region(), read.view_type()];
                assert_eq!(
                    texts.iter().filter(|text| text.is_none()).count(),
                    usize::from(
                        !path.contains("Version")
                            && !path.contains("Identity")
                            && !path.contains("Bytes")
                            && !path.contains("Time")
                    ),
                    "{path} {odd}"
                );
            }
            assert!(!read.is_ttl_expiry());
        }
        // Numbers and escapes that serde refuses.
        for odd in ["1e999", r#""\ud800""#] {
            let json = change(0, "a", 0).with(path, "HERE").json().replace("\"HERE\"", odd);
            Record::from_json(json).unwrap_or_else(|error| panic!("{path} {odd}: {error}"));
        }
    }
    let odd = record(change(0, "a", 0).with("/dynamodb/StreamViewType", json!("SOMETHING_NEW"))).unwrap();
    assert_eq!(odd.view_type(), Some("SOMETHING_NEW"));
}

#[test]
fn a_creation_time_is_read_in_every_form() {
    let time = |time: Value| {
        let record = event(&[change(0, "a", 0).with("/dynamodb/ApproximateCreationDateTime", time)]).records().next();
        record
            .unwrap()
            .unwrap()
            .created_at()
            .map(|time| time.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis())
    };
    for form in [
        json!(1_770_106_530),
        json!(1_770_106_530.0),
        json!(1_770_106_530_000_i64),
        json!(1_770_106_530_000_000_i64),
        json!("1770106530"),
        json!("2026-02-03T08:15:30Z"),
        json!("2026-02-03t08:15:30z"),
        json!("2026-02-03T10:15:30+02:00"),
        json!("2026-02-03T03:15:30-05:00"),
        json!("2026-02-03T08:15:30"),
        json!("2026-02-03 08:15:30+00:00"),
        json!("2026-02-03 08:15:30.000000"),
    ] {
        assert_eq!(time(form.clone()), Some(1_770_106_530_000), "{form}");
    }
    assert_eq!(time(json!("2026-02-03T08:15:30.250-00:00")), Some(1_770_106_530_250));
    for form in [json!("yesterday"), json!("2026-02-30T00:00:00Z"), json!(""), json!({})] {
        assert_eq!(time(form.clone()), None, "{form}");
    }
}

#[test]
fn an_image_without_a_member_is_absent_where_none_can_be() {
    use lambda_streams::{Change as AnyChange, Insert, Remove};

    type Item = std::collections::HashMap<String, serde_json::Value>;
    let read = |change: &Change, empty: &str| Record::from_json(change.json().replace("\"EMPTY\"", empty)).unwrap();
    for empty in ["{}", "{ }", "{\n}"] {
        let insert = read(&change(0, "a", 0).with("/dynamodb/OldImage", "EMPTY"), empty);
        assert_eq!((insert.old_image_json(), insert.new_image_json().is_some()), (None, true));
        assert!(insert.old_image::<Item>().unwrap_err().is_missing_image());
        assert!(insert.changed_attributes().unwrap_err().is_missing_image());
        assert!(Insert::<Item>::try_from(insert.clone()).is_ok());
        let any = AnyChange::<Item>::try_from(insert).unwrap();
        assert!(any.old.is_none() && any.new.is_some());

        let image = json!({"id": {"S": "a"}});
        let removed = change(0, "a", 1).with("/eventName", "REMOVE").with("/dynamodb/OldImage", image.clone());
        let remove = read(&removed.with("/dynamodb/NewImage", "EMPTY"), empty);
        assert_eq!((remove.new_image_json(), remove.old_image_json().is_some()), (None, true));
        assert!(remove.new_image::<Item>().unwrap_err().is_missing_image());
        assert!(Remove::<Item>::try_from(remove.clone()).is_ok());
        let any = AnyChange::<Item>::try_from(remove).unwrap();
        assert!(any.new.is_none() && any.old.is_some());

        let keys_only = change(0, "a", 1).with("/dynamodb/StreamViewType", "KEYS_ONLY");
        let keys_only = read(&keys_only.with("/dynamodb/NewImage", "EMPTY").with("/dynamodb/OldImage", "EMPTY"), empty);
        assert_eq!((keys_only.old_image_json(), keys_only.new_image_json()), (None, None));
        let new_only = change(0, "a", 1).with("/dynamodb/StreamViewType", "NEW_IMAGE");
        let new_only = read(&new_only.with("/dynamodb/OldImage", "EMPTY"), empty);
        assert_eq!((new_only.old_image_json(), new_only.new_image_json().is_some()), (None, true));
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_of_another_source_never_becomes_dead_letters() {
    for record in [
        json!({"eventSource": "aws:ses", "ses": {}}),
        json!({"eventSource": "aws:codecommit", "codecommit": {}}),
        json!({"cf": {"config": {}}}),
        json!({"eventSource": "aws:s3"}),
        json!({"EventSource": "aws:sns"}),
        json!({"eventSource": "aws:sqs"}),
        json!({"eventSource": "aws:kinesis"}),
        json!({"eventSource": "aws:rabbitmq"}),
        json!({"eventSource": "AWS:DynamoDB", "dynamodb": {"SequenceNumber": "1"}}),
    ] {
        for count in [1, 3, 200] {
            let body = json!({"Records": vec![&record; count]}).to_string();
            let queue = TestQueue::default();
            let processor = StreamProcessor::builder()
                .on_record(Script::default())
                .dead_letter_queue(queue.clone())
                .build()
                .unwrap();
            let error = processor.process_payload(body.clone().into_bytes(), Deadline::none()).await.unwrap_err();
            assert!(error.is_event() && error.to_string().contains("it looks like"), "{error}");
            assert_eq!(error.to_string(), refused(&body).1);
            assert!(queue.letters().is_empty());
        }
        // Among good records it is one malformed record, unless it names a source of AWS's that sends events of this form.
        let named = ["ses", "codecommit", "s3", "sns", "sqs", "kinesis"].map(|name| format!("\"aws:{name}\""));
        let is_named = named.iter().any(|name| record.to_string().contains(name));
        let body = format!("{{\"Records\":[{record},{}]}}", change(0, "a", 0).json());
        let processor = StreamProcessor::builder()
            .on_record(Script::default())
            .dead_letter_queue(TestQueue::default())
            .build()
            .unwrap();
        match processor.process_payload(body.into_bytes(), Deadline::none()).await {
            Ok(report) if !is_named => assert_eq!(outcomes(&report), [Outcome::DeadLettered, Outcome::Succeeded]),
            Ok(report) => panic!("{record}: {report:?}"),
            Err(error) => {
                assert!(is_named && error.payload_kind() == Some(PayloadKind::MixedSources), "{record}: {error}")
            }
        }
    }
    // Damaged beyond recognition is not of another source.
    let event = StreamEvent::from_slice(br#"{"Records":[{},7,{"eventName":"INSERT"}]}"#).unwrap();
    assert_eq!(event.records().filter(Result::is_err).count(), 3);
}

#[tokio::test(start_paused = true)]
async fn more_records_than_an_invocation_has_are_refused() {
    let good = change(0, "a", 0).json();
    for (record, count) in [("{}", 9_999), (&*good, 10_000)] {
        let body = |count: usize| format!("{{\"Records\":[{good}{}]}}", format!(",{record}").repeat(count));
        let whole = body(count.min(9_999));
        assert_eq!(StreamEvent::from_slice(whole.as_bytes()).unwrap().len(), 10_000);
        let (kind, message) = {
            let error = StreamEvent::from_slice(body(10_000).as_bytes()).unwrap_err();
            (error.is_event(), error.to_string())
        };
        assert!(kind && message.contains("more than 10,000 records"), "{message}");
        let processor = StreamProcessor::builder()
            .on_record(Script::default())
            .dead_letter_queue(TestQueue::default())
            .build()
            .unwrap();
        let report = processor.process_payload(body(10_000).into_bytes(), Deadline::none()).await;
        let error = report.and_then(|report| report.response()).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn more_messages_than_records_are_of_their_own_kind() {
    let body = format!("{{\"Records\":[{}]}}", vec![r#"{"eventSource":"aws:sqs"}"#; 10_001].join(","));
    assert_eq!(refused(&body).0, PayloadKind::Sqs);
}

#[test]
fn a_ttl_expiry_is_told_apart_from_a_removal() {
    let identity = json!({"type": "Service", "principalId": "dynamodb.amazonaws.com"});
    let removed = |identity: Value| change(0, "a", 1).with("/eventName", "REMOVE").with("/userIdentity", identity);
    let is_expiry = |change: Change| event(&[change]).records().next().unwrap().unwrap().is_ttl_expiry();
    assert!(is_expiry(removed(identity.clone())));
    assert!(!is_expiry(removed(Value::Null)));
    assert!(!is_expiry(removed(json!({"type": "Service", "principalId": "someone.else"}))));
    assert!(!is_expiry(change(0, "a", 1).with("/userIdentity", identity)), "a modification expires nothing");
}

#[tokio::test(start_paused = true)]
async fn a_malformed_record_affects_itself_alone() {
    let whole = || change(1, "bad", 0);
    let raw = |text: &str| text.to_owned();
    let mut bad: Vec<String> = [
        whole().with("/eventName", "insert"),
        whole().with("/eventName", Value::Null),
        whole().without("/eventName"),
        whole().with("/eventSource", "AWS:DynamoDB"),
        whole().without("/eventSource"),
        whole().with("/dynamodb", Value::Null),
        whole().with("/dynamodb", "text"),
        whole().with("/dynamodb", json!([])),
        whole().with("/dynamodb/Keys", Value::Null),
        whole().with("/dynamodb/Keys", json!({})),
        whole().with("/dynamodb/Keys", json!([])),
        whole().with("/dynamodb/Keys", json!({"id": {"M": {}}})),
        whole().with("/dynamodb/NewImage", json!([])),
        whole().with("/dynamodb/NewImage", json!("text")),
        whole().with("/dynamodb/NewImage/version", json!({"N": 1})),
        whole().with("/dynamodb/NewImage/other", json!({"N": "abc"})),
        whole().without("/dynamodb/SequenceNumber"),
        whole().with("/dynamodb/SequenceNumber", ""),
    ]
    .into_iter()
    .map(|change| change.json())
    .collect();
    let text = whole().json();
    bad.extend([
        raw("null"),
        raw("[]"),
        raw("\"record\""),
        raw("7"),
        raw("{}"),
        raw(r#"{"messageId": "1", "eventSource": "aws:sqs2"}"#),
        text.replacen("\"SequenceNumber\"", "\"SequenceNumber\":\"1\",\"SequenceNumber\"", 1),
        text.replacen("\"eventName\"", "\"eventName\":\"INSERT\",\"eventName\"", 1),
        text.replacen("\"S\":\"bad\"", r#""S":"\ud800""#, 2),
        format!("{}{}", "[".repeat(50_000), "]".repeat(50_000)),
        format!("{{\"a\":{}1{}}}", "[".repeat(50_000), "]".repeat(50_000)),
    ]);
    for bad in bad {
        let (first, last) = (change(0, "a", 0).json(), change(2, "c", 0).json());
        let body = format!("{{\"Records\":[{first},{bad},{last}]}}");
        let shown = &bad[..bad.len().min(300)];
        let event = StreamEvent::from_slice(body.as_bytes()).unwrap_or_else(|error| panic!("{error}: {shown}"));
        let queue = TestQueue::default();
        let processor =
            StreamProcessor::builder().on_record(Script::default()).dead_letter_queue(queue.clone()).build().unwrap();
        let report = processor.process(event, Deadline::none()).await;
        assert_eq!(outcomes(&report), [Outcome::Succeeded, Outcome::DeadLettered, Outcome::Succeeded], "{shown}");
        let kind = report.records()[1].failure.as_ref().unwrap().kind;
        assert!(matches!(kind, ErrorKind::Malformed | ErrorKind::Decode), "{shown}");
        assert_eq!(queue.letters()[0].raw_json(), bad, "the dead letter holds the record as received");
    }
}

#[test]
fn a_malformed_record_keeps_what_could_be_read() {
    let record = Record::from_json(change(1, "a", 0).json()).unwrap();
    let json = change(1, "a", 0).with("/eventName", "RENAME").json();
    let malformed = Record::from_json(&*json).expect_err("there is no such kind of change");
    assert_eq!(malformed.to_string(), "`eventName` is not `INSERT`, `MODIFY` or `REMOVE`");
    assert_eq!(malformed.raw_json(), json);
    assert_eq!(malformed.sequence_number(), record.sequence_number());
    assert_eq!(malformed.created_at(), record.created_at());
    assert!(record.created_at().is_some());
    assert_eq!(malformed.group_id(), record.group_id(), "it is still a record of the same item");
}

#[test]
fn a_group_id_is_the_items_alone() {
    let group = |change: Change| match Record::from_json(change.json()) {
        Ok(record) => record.group_id(),
        Err(malformed) => malformed.group_id(),
    };
    let arn = "arn:aws:dynamodb:us-east-1:123456789012:table/another/stream/2026-01-01T00:00:00.000";
    let first = group(change(1, "a", 0));
    assert_eq!(first.len(), 32);
    assert_eq!(group(change(2, "a", 1)), first, "a later change of the same item");
    assert_ne!(group(change(2, "b", 0)), first, "another item");
    assert_ne!(group(change(1, "a", 0).with("/eventSourceARN", arn)), first, "another table");
    let unreadable = |number| change(number, "a", 0).with("/dynamodb/Keys", json!({"id": {"BOOL": true}}));
    assert_ne!(group(unreadable(1)), group(unreadable(2)), "without readable keys, each is a group of its own");
}

#[tokio::test(start_paused = true)]
async fn a_repeated_sequence_number_is_malformed() {
    let changes = [change(0, "a", 0), change(0, "b", 0), change(2, "c", 0)];
    let queue = TestQueue::default();
    let processor = StreamProcessor::builder().on_record(Script::default()).dead_letter_queue(queue).build().unwrap();
    let report = process(&processor, &changes).await;
    assert_eq!(outcomes(&report), [Outcome::Succeeded, Outcome::DeadLettered, Outcome::Succeeded]);
    let message = &report.records()[1].failure.as_ref().unwrap().message;
    assert!(message.contains("position 0"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_records_and_a_megabyte_are_read() {
    let big = "x".repeat(1_090_000);
    let image = json!({"id": {"S": "item-0"}, "version": {"N": "0"}, "text": {"S": big}});
    let mut changes = inserts(10_000);
    changes[0] = changes[0].clone().with("/dynamodb/NewImage", image);
    let processor = StreamProcessor::builder().on_record(Script::default()).build().unwrap();
    assert_eq!(process(&processor, &changes).await.counts().succeeded, 10_000);
}

/// Everything that a record exposes, or why it is malformed.
fn all_of(event: &StreamEvent) -> Vec<String> {
    let all = event.records().map(|record| match record {
        Ok(record) => format!(
            "{record:?} {:?} {:?} {:?} {:?} {:?} {} {:?} {:?} {} {}",
            record.stream_arn(),
            record.region(),
            record.created_at(),
            record.size_bytes(),
            record.view_type(),
            record.keys_json(),
            record.new_image_json(),
            record.old_image_json(),
            record.is_ttl_expiry(),
            record.raw_json(),
        ),
        Err(error) => error.to_string(),
    });
    all.collect()
}

#[test]
fn a_record_is_read_independently_of_others() {
    // In the order in which Lambda writes the members.
    let usual = r#"{"eventID":"1","eventName":"INSERT","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"eu-west-1","dynamodb":{"ApproximateCreationDateTime":1767225600.0,"Keys":{"id":{"S":"a"}},"NewImage":{"id":{"S":"a"}},"SequenceNumber":"111","SizeBytes":26,"StreamViewType":"NEW_AND_OLD_IMAGES"},"eventSourceARN":"arn:aws:dynamodb:eu-west-1:1:table/t/stream/x"}"#;
    let mut records = vec![usual.to_owned()];
    for (from, to) in [
        ("\"eventID\":\"1\"", "\"eventID\":\"22\""),
        ("\"eventID\":\"1\"", "\"eventID\": \"\\u0033\" "),
        ("\"eventID\":\"1\"", "\"eventID\":null"),
        ("\"eventID\":\"1\"", "\"eventID\":{\"eventID\":\"1\"}"),
        ("\"eventID\":\"1\",", ""),
        ("\"eventID\":\"1\",", "\"eventID\":\"1\",\"eventID\":\"1\","),
        ("{\"eventID\"", "{ \"eventID\""),
        ("INSERT", "MODIFY"),
        ("INSERT", "UPSERT"),
        ("eu-west-1\"", "eu-west-2\""),
        (
            "\"dynamodb\":{",
            "\"userIdentity\":{\"type\":\"Service\",\"principalId\":\"dynamodb.amazonaws.com\"},\"dynamodb\":{",
        ),
        (",\"dynamodb\":{", ",\"dynamodb\":null,\"dynamodb\":{"),
        ("\"dynamodb\":{", "\"dynamodb\":7,\"other\":{"),
        ("\"Keys\"", "\"Keys\":{\"b\":{\"S\":\"b\"}},\"Keys\""),
        ("\"NewImage\":{\"id\":{\"S\":\"a\"}},", ""),
        ("\"NewImage\"", "\"OldImage\":{\"id\":{\"N\":\"1\"}},\"NewImage\""),
        ("\"SizeBytes\":26,", ""),
        ("\"SizeBytes\":26,", "\"SizeBytes\" : 26 , \"More\":[1], "),
        (",\"StreamViewType\":\"NEW_AND_OLD_IMAGES\"", ",\"StreamViewType\":\"KEYS_ONLY\""),
        ("table/t/", "table/other/"),
        ("},\"eventSourceARN\"", "},\"awsRegion\":\"eu-west-3\",\"eventSourceARN\""),
    ] {
        assert!(usual.contains(from), "{from}");
        records.push(usual.replacen(from, to, 1));
    }
    records.extend(["null".to_owned(), "[]".to_owned(), "{}".to_owned()]);
    let event = |records: &[&String]| {
        let records: Vec<&str> = records.iter().map(|record| record.as_str()).collect();
        StreamEvent::from_slice(format!("{{\"Records\":[{}]}}", records.join(",")).as_bytes()).unwrap()
    };
    let alone: Vec<String> = records.iter().map(|record| all_of(&event(&[record])).remove(0)).collect();
    assert_eq!(alone.iter().filter(|record| record.starts_with("Record")).count(), 16, "{alone:#?}");
    let count = records.len();
    for first in 0..count {
        for second in 0..count {
            for third in 0..count {
                let numbers = [0, first, second, third];
                let read = all_of(&event(&numbers.map(|number| &records[number])));
                assert_eq!(read, numbers.map(|number| alone[number].clone()), "{numbers:?}");
            }
        }
    }
}
