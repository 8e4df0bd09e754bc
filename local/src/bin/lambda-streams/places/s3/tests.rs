//! Answers that a test makes up.

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use super::*;
use crate::args::AwsArgs;

#[test]
fn a_url_has_a_bucket_and_maybe_a_prefix() {
    let url = |bucket: &str, key: &str| Some(S3Url { bucket: bucket.to_owned(), key: key.to_owned() });
    assert_eq!(S3Url::parse("s3://discarded/aws/lambda/"), url("discarded", "aws/lambda/"));
    assert_eq!(S3Url::parse("s3://discarded"), url("discarded", ""));
    assert_eq!(S3Url::parse("arn:aws:s3:::discarded"), url("discarded", ""));
    assert_eq!(S3Url::parse("arn:aws-cn:s3:::discarded/a/b"), url("discarded", "a/b"));
    for other in ["s3://", "s3:///key", "discarded", "arn:aws:sqs:eu-central-1:1:q", "s3://a b/c", "https://x/y"] {
        assert_eq!(S3Url::parse(other), None, "{other}");
    }
}

#[test]
fn a_listing_is_read_in_either_encoding() {
    let page = |encoding: &str, key: &str| {
        format!(
            "<?xml version=\"1.0\"?><ListBucketResult><Name>b</Name>{encoding}<IsTruncated>true</IsTruncated>\
             <NextContinuationToken>1&amp;2</NextContinuationToken><Contents><Key>{key}</Key>\
             <LastModified>2026-01-01T00:00:00.000Z</LastModified><Size>7</Size></Contents></ListBucketResult>"
        )
    };
    let encoded = page("<EncodingType>url</EncodingType>", "a%2Fb+c%26%C3%BC%zz");
    for (xml, key) in [(encoded, "a/b c&ü%zz"), (page("", "a/b+c&amp;%41"), "a/b+c&%41")] {
        let object = Object { key: key.to_owned(), size: 7, last_modified: "2026-01-01T00:00:00.000Z".to_owned() };
        assert_eq!(listing(&xml), Listing { objects: vec![object], next: Some("1&2".to_owned()) });
    }
    assert_eq!(listing("<html>"), Listing { objects: Vec::new(), next: None });
}

fn args(endpoint: &str) -> AwsArgs {
    AwsArgs { region: Some("us-east-1".to_owned()), profile: None, endpoint_url: Some(endpoint.to_owned()) }
}

fn url(bucket: &str, key: &str) -> S3Url {
    S3Url { bucket: bucket.to_owned(), key: key.to_owned() }
}

/// Answers connection after connection with these texts; returns what was asked, without bodies.
async fn answered(answers: Vec<&'static str>) -> (String, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("it is bound"));
    let serving = tokio::spawn(async move {
        let mut heads = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.expect("it listens");
            let (read, mut write) = stream.split();
            let (mut lines, mut head) = (BufReader::new(read).lines(), String::new());
            while let Some(line) = lines.next_line().await.expect("UTF-8").filter(|line| !line.is_empty()) {
                head.push_str(&format!("{line}\n"));
            }
            heads.push(head);
            write.write_all(answer.as_bytes()).await.expect("it is read");
        }
        heads
    });
    (endpoint, serving)
}

const MOVED: &str =
    "HTTP/1.1 301 Moved\r\nx-amz-bucket-region: eu-west-3\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
const EMPTY: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
const GONE: &str = "HTTP/1.1 404 No\r\nconnection: close\r\ncontent-length: 67\r\n\r\n<Error><Code>NoSuchKey</Code>\
                    <Message>no such key</Message></Error>";
const DENIED: &str = "HTTP/1.1 403 No\r\nconnection: close\r\ncontent-length: 113\r\n\r\n<Error><Code>AccessDenied</Code>\
                      <Message>not authorized to perform: kms:Decrypt on the resource</Message></Error>";

#[tokio::test]
async fn a_bucket_in_another_region_is_found_there() {
    let (endpoint, serving) = answered(vec![MOVED, EMPTY, EMPTY]).await;
    let args = args(&endpoint);
    let s3 = S3::new(&Aws::new(&args)).await.expect("there are credentials");
    assert_eq!(s3.get(&url("far", "a b")).await.expect("it is there"), b"");
    s3.delete(&url("far", "a b")).await.expect("it is there");
    let heads = serving.await.expect("it does not panic");
    let regions = ["/us-east-1/s3/", "/eu-west-3/s3/", "/eu-west-3/s3/"];
    for (head, region) in heads.iter().zip(regions) {
        assert!(head.contains(region) && head.contains(" /far/a%20b"), "{region}: {head}");
    }
    assert!(heads[2].starts_with("DELETE "), "{}", heads[2]);
}

#[tokio::test]
async fn an_object_that_was_deleted_meanwhile_is_told() {
    let (endpoint, _serving) = answered(vec![GONE]).await;
    let args = args(&endpoint);
    let s3 = S3::new(&Aws::new(&args)).await.expect("there are credentials");
    let error = s3.get(&url("discarded", "k")).await.expect_err("it is deleted").to_string();
    assert!(error.contains("NoSuchKey") && error.ends_with("the object is not there any more"), "{error}");
}

#[tokio::test]
async fn a_missing_permission_on_the_key_is_told() {
    let (endpoint, _serving) = answered(vec![DENIED]).await;
    let args = args(&endpoint);
    let s3 = S3::new(&Aws::new(&args)).await.expect("there are credentials");
    let error = s3.get(&url("secret", "k")).await.expect_err("it is denied").to_string();
    assert!(error.contains("allow kms:Decrypt of that key"), "{error}");
}
