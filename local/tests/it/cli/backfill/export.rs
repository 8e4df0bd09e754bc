//! Exports of a table as DynamoDB writes them, in a folder.

use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use futures::FutureExt;
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::process::Command;

use super::{SINK, got};
use crate::cli::{Ran, free_path, program};
use crate::fake_http::{Answer, FakeHttp};

const TABLE: &str = "arn:aws:dynamodb:eu-central-1:123456789012:table/orders";
const ID: &str = "01693685827463-2d8752fd";

/// An export in a folder of a test's own, and what goes with it.
struct Exported {
    folder: PathBuf,
    journal: PathBuf,
    sink: PathBuf,
}

impl Exported {
    /// Writes the files as DynamoDB does; `data` is where the data files are below `AWSDynamoDB`.
    fn write(name: &str, data: &str, summary: &Value, files: &[(&str, Vec<Value>)]) -> Self {
        let path = |kind: &str| free_path(&format!("export-{name}-{kind}"));
        let exported = Self { folder: path("folder"), journal: path("journal"), sink: path("sink") };
        let _ = std::fs::remove_dir_all(&exported.folder);
        let top = exported.folder.join("AWSDynamoDB");
        std::fs::create_dir_all(top.join(ID)).expect("it can be made");
        std::fs::create_dir_all(top.join(data)).expect("it can be made");
        let mut manifest = String::new();
        for (name, lines) in files {
            std::fs::write(top.join(data).join(name), gzip(lines)).expect("it can be written");
            let key = format!("prefix/AWSDynamoDB/{data}/{name}");
            let line = json!({"itemCount": lines.len(), "md5Checksum": "x", "etag": "x-1", "dataFileS3Key": key});
            manifest.push_str(&format!("{line}\n"));
        }
        std::fs::write(top.join(ID).join("manifest-files.json"), manifest).expect("it can be written");
        std::fs::write(top.join(ID).join("manifest-summary.json"), summary.to_string()).expect("it can be written");
        std::fs::write(top.join(ID).join("_started"), "").expect("it can be written");
        exported
    }

    /// 60 items in three files, of a full export.
    fn full(name: &str) -> Self {
        let lines = |range: std::ops::Range<usize>| range.map(item).collect::<Vec<_>>();
        let files = [("one.json.gz", lines(0..25)), ("two.json.gz", lines(25..60)), ("empty.json.gz", Vec::new())];
        let summary = json!({"version": "2020-06-30", "tableArn": TABLE, "itemCount": 60, "outputFormat": "DYNAMODB_JSON",
            "exportType": "FULL_EXPORT"});
        Self::write(name, &format!("{ID}/data"), &summary, &files)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join("AWSDynamoDB").join(ID).join("data").join(name)
    }

    fn command(&self, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = program();
        command.args(["backfill", "--plain", "--journal"]).arg(&self.journal).arg("--export").arg(folder);
        command.args(arguments).args(["--bootstrap", "python3", "--", SINK]).env("SINK", &self.sink);
        command
    }

    async fn run(&self, arguments: &[&str]) -> Ran {
        self.command(&self.folder, arguments).output().await.expect("the program can be started").into()
    }
}

fn item(number: usize) -> Value {
    json!({"Item": {"id": {"S": format!("order-{number:04}")}, "n": {"N": number.to_string()}}})
}

fn gzip(lines: &[Value]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    for line in lines {
        writeln!(encoder, "{line}").expect("a buffer can be written");
    }
    encoder.finish().expect("a buffer can be written")
}

#[tokio::test]
async fn a_full_export_needs_no_table() {
    let export = Exported::full("full");
    let ran = export.run(&["--key", "id", "--batch-size", "7"]).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stderr, ran.stdout);
    assert!(ran.stdout.contains("60 items: 60 done, 0 failed"), "{}", ran.stdout);
    let got = got(&export.sink);
    assert_eq!(got.len(), 60);
    let record = &got["order-0042"][0]["record"];
    assert_eq!((&record["eventName"], &record["eventSourceARN"]), (&json!("INSERT"), &json!(TABLE)));
    assert_eq!(record["dynamodb"]["Keys"], json!({"id": {"S": "order-0042"}}));
    assert_eq!(record["dynamodb"]["NewImage"], json!({"id": {"S": "order-0042"}, "n": {"N": "42"}}));
    assert!(!export.journal.exists());
}

#[tokio::test]
async fn an_incremental_export_gives_the_kinds_that_its_images_say() {
    let (keys, image) = (json!({"id": {"S": "a"}}), json!({"id": {"S": "a"}, "n": {"N": "1"}}));
    let named = |name: &str, value: &Value| {
        let mut value = value.clone();
        value["id"]["S"] = name.into();
        value
    };
    let at = json!({"WriteTimestampMicros": {"N": "1767225600500000"}});
    let lines = vec![
        json!({"Metadata": at, "Keys": named("new", &keys), "NewImage": named("new", &image)}),
        json!({"Metadata": at, "Keys": named("changed", &keys), "NewImage": named("changed", &image), "OldImage": named("changed", &image)}),
        json!({"Metadata": at, "Keys": named("removed", &keys), "OldImage": named("removed", &image)}),
        json!({"Metadata": at, "Keys": named("came-and-went", &keys)}),
    ];
    let summary = json!({"tableArn": TABLE, "outputFormat": "DYNAMODB_JSON", "exportType": "INCREMENTAL_EXPORT",
        "outputView": "NEW_AND_OLD_IMAGES"});
    let export = Exported::write("incremental", "data", &summary, &[("a.json.gz", lines)]);
    // The folder of the export alone is named, and its data is in a folder next to it.
    let folder = export.folder.join("AWSDynamoDB").join(ID);
    let ran: Ran = export.command(&folder, &["--key", "id"]).output().await.expect("it runs").into();
    assert_eq!(ran.code, Some(0), "{}{}", ran.stderr, ran.stdout);
    let got = got(&export.sink);
    for (name, kind) in [("new", "INSERT"), ("changed", "MODIFY"), ("removed", "REMOVE"), ("came-and-went", "REMOVE")] {
        let record = &got[name][0]["record"];
        assert_eq!(record["eventName"], kind, "{name}");
        assert_eq!(record["dynamodb"]["ApproximateCreationDateTime"], json!(1_767_225_600.5));
        assert_eq!(record["dynamodb"].get("OldImage").is_some(), ["changed", "removed"].contains(&name), "{name}");
    }
}

#[tokio::test]
async fn a_corrupt_or_cut_file_is_named_and_sends_nothing_and_the_rest_goes_on_when_it_is_whole() {
    let export = Exported::full("corrupt");
    let whole = std::fs::read(export.file("two.json.gz")).expect("it was written");
    let flags = ["--key", "id"];
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x55;
    for broken in [whole[..whole.len() - 9].to_vec(), flipped] {
        std::fs::write(export.file("two.json.gz"), broken).expect("it can be written");
        let ran = export.run(&flags).await;
        assert_eq!(ran.code, Some(1), "{}{}", ran.stderr, ran.stdout);
        assert!(ran.stderr.contains("two.json.gz: it is corrupt or was cut"), "{}", ran.stderr);
        assert!(ran.stderr.contains("Nothing of this file was sent"), "{}", ran.stderr);
        assert!(!ran.stderr.contains("order-"), "{}", ran.stderr);
        assert_eq!(got(&export.sink).len(), 25, "the file before it was sent");
    }
    std::fs::write(export.file("two.json.gz"), whole).expect("it can be written");
    let ran = export.run(&flags).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stderr, ran.stdout);
    let got = got(&export.sink);
    assert_eq!(got.len(), 60);
    assert!(got.values().all(|records| records.len() == 1), "the first file was not sent again");
}

#[tokio::test]
async fn a_file_that_is_missing_or_shorter_than_the_manifest_says_is_named() {
    let export = Exported::full("short");
    std::fs::write(export.file("two.json.gz"), gzip(&[item(25)])).expect("it can be written");
    let ran = export.run(&["--key", "id"]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("two.json.gz: it has 1 lines and the manifest says 35"), "{}", ran.stderr);
    std::fs::remove_file(export.file("two.json.gz")).expect("it was written");
    let ran = export.run(&["--key", "id"]).await;
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("two.json.gz is missing"), "{}", ran.stderr);
}

#[tokio::test]
async fn a_line_that_failed_is_sent_again_alone() {
    let export = Exported::full("again");
    let mut command = export.command(&export.folder, &["--key", "id", "--attempts", "1", "--batch-size", "20"]);
    let ran: Ran =
        command.env("MODE", "list").env("FAIL", "order-0003,order-0059").output().await.expect("it runs").into();
    assert_eq!(ran.code, Some(1), "{}{}", ran.stderr, ran.stdout);
    std::fs::remove_file(&export.sink).expect("it was written");
    let other = Exported::write("again-other", "data", &json!({"tableArn": TABLE}), &[("x.json.gz", vec![item(1)])]);
    let ran: Ran = export.command(&other.folder, &["--key", "id"]).output().await.expect("it runs").into();
    assert_eq!(ran.code, Some(2), "{}{}", ran.stderr, ran.stdout);
    assert!(ran.stderr.contains("which is not in this export"), "{}", ran.stderr);

    let ran = export.run(&["--key", "id"]).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stderr, ran.stdout);
    assert_eq!(got(&export.sink).keys().collect::<Vec<_>>(), ["order-0003", "order-0059"]);
}

#[tokio::test]
async fn a_dry_run_lists_the_files() {
    let export = Exported::full("dry");
    let ran = export.run(&["--key", "id", "--dry-run"]).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stderr, ran.stdout);
    for expected in ["3 files, 60 items", "one.json.gz", "about 1 of up to 100 records", "nothing was sent"] {
        assert!(ran.stdout.contains(expected), "{expected}: {}", ran.stdout);
    }
    assert!(got(&export.sink).is_empty());
}

/// A bucket that has the folder's files, in pages of two keys.
async fn bucket(folder: &Path) -> FakeHttp {
    let folder = folder.to_owned();
    FakeHttp::start(move |parts, _| {
        let answer = s3(&folder, parts.uri.path(), parts.uri.query().unwrap_or_default());
        async move { answer }.boxed()
    })
    .await
}

fn s3(folder: &Path, path: &str, query: &str) -> Answer {
    let reply = |status: u16, body: Vec<u8>| {
        hyper::Response::builder().status(status).body(Full::new(body.into())).expect("a response")
    };
    let path = path.strip_prefix("/exports").expect("the bucket's name").trim_start_matches('/');
    if !path.is_empty() {
        let key = path.strip_prefix("prefix/").unwrap_or(path);
        return match std::fs::read(folder.join(key)) {
            Ok(bytes) => reply(200, bytes),
            Err(_) => reply(404, b"<Error><Code>NoSuchKey</Code><Message>no such key</Message></Error>".to_vec()),
        };
    }
    let parameter = |name: &str| {
        let value = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")))?;
        Some(value.replace("%2F", "/"))
    };
    let prefix = parameter("prefix").unwrap_or_default();
    let mut keys = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else {
                keys.push(format!("prefix/{}", entry.strip_prefix(folder).expect("it is in there").display()));
            }
        }
    }
    keys.retain(|key| key.starts_with(&prefix));
    keys.sort();
    let first: usize = parameter("continuation-token").map_or(0, |token| token.parse().expect("a number"));
    let contents: String =
        keys.iter().skip(first).take(2).map(|key| format!("<Contents><Key>{key}</Key></Contents>")).collect();
    let is_truncated = first + 2 < keys.len();
    let next = format!("<NextContinuationToken>{}</NextContinuationToken>", first + 2);
    let next = if is_truncated { next } else { String::new() };
    reply(
        200,
        format!("<ListBucketResult><IsTruncated>{is_truncated}</IsTruncated>{next}{contents}</ListBucketResult>")
            .into_bytes(),
    )
}

#[tokio::test]
async fn an_export_is_read_from_its_bucket() {
    let export = Exported::full("bucket");
    let bucket = bucket(&export.folder).await;
    let url = format!("s3://exports/prefix/AWSDynamoDB/{ID}");
    let mut command = export.command(Path::new(&url), &["--key", "id"]);
    let ran: Ran = command.env("AWS_ENDPOINT_URL_S3", &bucket.endpoint).output().await.expect("it runs").into();
    assert_eq!(ran.code, Some(0), "{}{}", ran.stderr, ran.stdout);
    assert_eq!(got(&export.sink).len(), 60);
}

#[tokio::test]
async fn an_incremental_export_in_a_bucket_has_its_data_next_to_its_folder() {
    let line = json!({"Metadata": {"WriteTimestampMicros": {"N": "1"}}, "Keys": {"id": {"S": "a"}}, "NewImage": {"id": {"S": "a"}}});
    let summary = json!({"tableArn": TABLE, "outputFormat": "DYNAMODB_JSON", "outputView": "NEW_IMAGE"});
    let export = Exported::write("bucket-incremental", "data", &summary, &[("a.json.gz", vec![line])]);
    let bucket = bucket(&export.folder).await;
    for (at, code) in [(format!("s3://exports/prefix/AWSDynamoDB/{ID}"), 0), ("s3://exports/nothing".to_owned(), 2)] {
        let mut command = export.command(Path::new(&at), &["--key", "id"]);
        let ran: Ran = command.env("AWS_ENDPOINT_URL_S3", &bucket.endpoint).output().await.expect("it runs").into();
        assert_eq!(ran.code, Some(code), "{}{}", ran.stderr, ran.stdout);
    }
    assert_eq!(got(&export.sink)["a"][0]["record"]["dynamodb"]["StreamViewType"], "NEW_IMAGE");
}
