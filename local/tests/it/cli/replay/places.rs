//! Documents in a queue and in a bucket: they are deleted once their records are done, and not before.

use futures::stream::{self, StreamExt};
use lambda_streams_local::{SignedCall, Signer};

use super::super::local_signer;
use super::*;
use crate::fake_server::FakeServer;
use crate::ministack;

fn bodies(server: &FakeServer) -> Vec<bool> {
    server.messages().iter().map(|message| message.is_visible()).collect()
}

#[tokio::test]
async fn messages_are_deleted_when_their_records_are_done_and_visible_again_if_not() {
    let one = document(&[record("111", "a"), record("112", "b")]).to_string();
    let notification =
        json!({"Type": "Notification", "Message": document(&[record("211", "c")]).to_string()}).to_string();
    let server = FakeServer::start([one, notification, "something else".to_owned()]).await;
    let replay = Replay::new("queue").with("LISTS", "1").with("FAILS", "112");
    let url = server.url("failed");
    let arguments = ["--queue", &url, "--stale", "process", "--attempts", "1"];
    let ran = replay.run(&arguments).await;
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(replay.seen(), ["111", "112", "211"]);
    assert_eq!(
        bodies(&server),
        [true, true],
        "the document that is done is deleted, and the others can be received at once"
    );
    assert!(ran.stderr.contains("not valid JSON at line 1: it stays in the queue"), "{}", ran.stderr);

    let replay = replay.with("FAILS", "");
    let ran = replay.run(&arguments).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(replay.seen(), ["112"]);
    assert_eq!(server.messages().len(), 1, "what is not a document stays");
    assert!(!replay.journal.exists(), "nothing is left to be remembered");
}

#[tokio::test]
async fn messages_that_stay_are_visible_and_what_an_earlier_run_has_done_is_deleted() {
    let server = FakeServer::start([document(&[record("111", "a")]).to_string()]).await;
    let replay = Replay::new("kept").with("LISTS", "1");
    let url = server.url("failed");
    let arguments = ["--queue", &url, "--stale", "process", "--attempts", "1"];
    for more in ["--keep", "--dry-run"] {
        let ran = replay.run(&[&arguments[..], &[more]].concat()).await;
        assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
        assert_eq!(bodies(&server), [true], "after {more}");
    }
    server.send(document(&[record("211", "b"), record("212", "c")]).to_string(), None);
    let replay = replay.with("FAILS", "212");
    let ran = replay.run(&arguments).await;
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(replay.seen(), ["111", "211", "212"]);
    assert_eq!(bodies(&server), [true], "the document that an earlier run has done is deleted");
    assert!(ran.stdout.contains("1 document deleted"), "{}", ran.stdout);
}

#[tokio::test]
async fn a_record_without_a_number_is_not_taken_for_one_of_another_document() {
    let torn = |id: &str| document(&[json!({"eventID": id})]).to_string();
    let server = FakeServer::start([torn("torn1"), torn("torn2")]).await;
    let replay = Replay::new("unnumbered").with("LISTS", "1").with("FAILS", "torn2");
    let url = server.url("failed");
    let arguments = ["--queue", &url, "--stale", "process", "--attempts", "1"];
    let ran = replay.run(&arguments).await;
    assert_eq!((ran.code, bodies(&server)), (Some(1), vec![true]), "{}{}", ran.stdout, ran.stderr);
    replay.seen();
    let replay = replay.with("FAILS", "");
    let ran = replay.run(&arguments).await;
    assert_eq!((ran.code, replay.seen()), (Some(0), vec!["torn2".to_owned()]), "{}{}", ran.stdout, ran.stderr);
}

#[tokio::test]
async fn a_queue_with_more_than_can_be_in_flight_is_replayed_in_parts() {
    let server =
        FakeServer::start((0..12).map(|number| document(&[record(&(100 + number).to_string(), "a")]).to_string()))
            .await;
    let full = server.clone();
    server.on_call(move |operation, _| {
        let is_full = operation == "ReceiveMessage" && full.calls("ReceiveMessage").len() == 1;
        is_full.then(|| (400, json!({"__type": "com.amazonaws.sqs#OverLimit", "message": "too many"})))
    });
    let replay = Replay::new("full").with("LISTS", "1");
    let url = server.url("failed");
    let ran = replay.run(&["--queue", &url, "--stale", "process"]).await;
    assert_eq!((ran.code, server.messages().len()), (Some(1), 2), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("the queue has more messages than one run can take: run it again"), "{}", ran.stdout);
}

#[tokio::test]
async fn an_encrypted_queue_that_is_denied_says_which_permission_is_missing() {
    let server = FakeServer::start([]).await;
    server.on_call(|operation, _| {
        let denied = json!({"__type": "com.amazonaws.sqs#KMS.AccessDeniedException", "message": "no"});
        (operation == "ReceiveMessage").then_some((400, denied))
    });
    let ran = Replay::new("denied").run(&["--queue", &server.url("failed"), "--stale", "process"]).await;
    assert_eq!(ran.code, Some(2), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("kms:Decrypt"), "{}", ran.stderr);
}

#[tokio::test]
async fn a_queue_of_dead_letters_is_for_another_command() {
    let server = FakeServer::start([super::super::explain::LETTER.to_owned(), "something else".to_owned()]).await;
    let url = server.url("dead-letters");
    let ran = Replay::new("letters").run(&["--queue", &url]).await;
    assert_eq!(ran.code, Some(2), "{}{}", ran.stdout, ran.stderr);
    let expected = format!("no on-failure document: `lambda-streams redrive --queue {url}` takes them");
    assert!(ran.stderr.contains(&expected), "{}", ran.stderr);
    assert_eq!(bodies(&server), [true, true]);
    let server = FakeServer::start(["something else".to_owned()]).await;
    let ran = Replay::new("others").run(&["--queue", &server.url("failed")]).await;
    assert_eq!(ran.code, Some(2), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("has 1 message and no on-failure document"), "{}", ran.stderr);
}

#[tokio::test]
async fn an_empty_queue_is_told() {
    let server = FakeServer::start([]).await;
    let ran = Replay::new("empty").run(&["--queue", &server.url("failed")]).await;
    assert_eq!(ran.code, Some(2), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("has no message with an on-failure document now"), "{}", ran.stderr);
}

/// A new bucket of the local AWS.
struct Bucket {
    signer: Signer,
    endpoint: &'static str,
    name: &'static str,
}

impl Bucket {
    async fn new(name: &'static str) -> Option<Self> {
        let endpoint = ministack::endpoint()?;
        let signer = local_signer();
        let bucket = Self { signer, endpoint, name };
        bucket.put("", String::new()).await;
        Some(bucket)
    }

    async fn put(&self, key: &str, body: String) {
        let call =
            SignedCall::new("s3", "us-east-1", self.endpoint).method("PUT").path(&format!("/{}{key}", self.name));
        call.body(body).send(&self.signer).await.expect("it can be put");
    }

    async fn keys(&self) -> usize {
        let call = SignedCall::new("s3", "us-east-1", self.endpoint).method("GET").path(&format!("/{}", self.name));
        let listed = call.send(&self.signer).await.expect("it can be listed");
        String::from_utf8_lossy(listed.bytes()).matches("-x</Key>").count()
    }
}

#[tokio::test]
async fn objects_are_deleted_when_their_records_are_done() {
    let Some(bucket) = Bucket::new("replay-discarded").await else { return };
    let folder = "/aws/lambda/uuid/shardId-1/2026/01/01/2026-01-01T00.00.0";
    for number in 0..3 {
        let (first, second) = (format!("{number}11"), format!("{number}12"));
        bucket
            .put(&format!("{folder}{number}-x"), document(&[record(&first, "a"), record(&second, &second)]).to_string())
            .await;
    }
    // As a console makes it.
    bucket.put("/aws/lambda/", String::new()).await;
    let replay = Replay::new("bucket").with("LISTS", "1").with("FAILS", "212");
    let arguments =
        ["s3://replay-discarded/aws/", "--stale", "process", "--attempts", "1", "--endpoint-url", bucket.endpoint];
    let dry = replay.run(&[&arguments[..], &["--dry-run"]].concat()).await;
    assert_eq!((dry.code, bucket.keys().await), (Some(0), 3), "{}{}", dry.stdout, dry.stderr);
    assert!(dry.stdout.contains("and 3 documents deleted when their records are done"), "{}", dry.stdout);
    let ran = replay.run(&arguments).await;
    assert_eq!((ran.code, bucket.keys().await), (Some(1), 1), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("2 documents deleted, as all of their records are done"), "{}", ran.stdout);
    assert_eq!(replay.seen(), ["011", "012", "111", "112", "211", "212"]);
    let replay = replay.with("FAILS", "");
    let kept = replay.run(&[&arguments[..], &["--keep"]].concat()).await;
    assert_eq!((kept.code, bucket.keys().await), (Some(0), 1), "{}{}", kept.stdout, kept.stderr);
    assert_eq!(replay.seen(), ["212"]);
    let ran = replay.run(&arguments).await;
    assert_eq!(
        (ran.code, bucket.keys().await),
        (Some(0), 0),
        "a place that is done is deleted by the next run: {}",
        ran.stdout
    );
    assert!(replay.seen().is_empty());
    let none = replay.run(&arguments).await;
    assert_eq!(none.code, Some(2), "{}{}", none.stdout, none.stderr);
    assert!(none.stderr.contains("there is nothing at s3://replay-discarded/aws/"), "{}", none.stderr);
}

#[tokio::test]
async fn objects_are_listed_page_by_page_whatever_their_names() {
    let Some(bucket) = Bucket::new("replay-pages").await else { return };
    // A page has a thousand objects. These are empty ones, as a console makes them, and the documents come after them.
    let folders = stream::iter(0..1_000).map(|number| {
        let bucket = &bucket;
        async move { bucket.put(&format!("/aws/lambda/{number:04}/"), String::new()).await }
    });
    folders.buffer_unordered(8).collect::<Vec<()>>().await;
    let names = ["a b+c", "d&e<f>", "g/\"h'", "i%20j", "ü😀"];
    let mut numbers = Vec::new();
    for (index, name) in names.into_iter().enumerate() {
        let number = format!("{index}11");
        bucket.put(&format!("/aws/lambda/{name}"), document(&[record(&number, &number)]).to_string()).await;
        numbers.push(number);
    }
    bucket.put("/other", document(&[record("911", "other")]).to_string()).await;
    let replay = Replay::new("pages").with("LISTS", "1");
    let run = async |url| replay.run(&[url, "--stale", "process", "--endpoint-url", bucket.endpoint]).await;
    let ran = run("s3://replay-pages/aws/lambda/").await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let mut seen = replay.seen();
    seen.sort();
    assert_eq!(seen, numbers);
    assert!(ran.stdout.contains("5 documents deleted"), "{}", ran.stdout);
    let none = run("s3://replay-pages/aws/lambda/").await;
    assert!(none.stderr.contains("there is nothing at s3://replay-pages/aws/lambda/"), "{}", none.stderr);
    let nowhere = run("s3://replay-nowhere/").await;
    assert_eq!(nowhere.code, Some(2), "{}{}", nowhere.stdout, nowhere.stderr);
    for expected in ["s3://replay-nowhere/: NoSuchBucket", "check its name, the region, the account and the endpoint"] {
        assert!(nowhere.stderr.contains(expected), "{expected}: {}", nowhere.stderr);
    }
    let ran = run("s3://replay-pages").await;
    assert_eq!((ran.code, replay.seen()), (Some(0), vec!["911".to_owned()]), "{}{}", ran.stdout, ran.stderr);
}

#[tokio::test]
async fn an_object_is_explained_with_the_command_that_replays_it() {
    let Some(bucket) = Bucket::new("replay-explained").await else { return };
    bucket.put("/aws/one of two", document(&[record("111", "a")]).to_string()).await;
    bucket.put("/aws/two", document(&[record("112", "b")]).to_string()).await;
    bucket.put("/empty", String::new()).await;
    let explain = async |url: &str| -> Ran {
        let mut command = program();
        command.args(["explain", url, "--endpoint-url", bucket.endpoint]);
        command.output().await.expect("the program can be started").into()
    };
    let flags = "--function arn:aws:lambda:eu-central-1:123456789012:function:orders --region eu-central-1\n";

    let one = explain("s3://replay-explained/aws/one of two").await;
    assert_eq!(one.code, Some(0), "{}", one.stderr);
    let command = format!("\n  lambda-streams replay 's3://replay-explained/aws/one of two' {flags}");
    assert!(one.stdout.contains(&command) && one.stdout.starts_with("on failure"), "{}", one.stdout);

    let all = explain("s3://replay-explained").await;
    assert_eq!(all.code, Some(1), "one of them is empty: {}", all.stdout);
    assert_eq!(all.stderr, "warning: passed over in s3://replay-explained/empty: it is empty\n");
    assert!(all.stdout.contains("2 of 2\nobject       s3://replay-explained/aws/two\n"), "{}", all.stdout);
    let command = format!("\n  lambda-streams replay s3://replay-explained {flags}");
    assert_eq!(all.stdout.matches(&command).count(), 1, "{}", all.stdout);

    let none = explain("s3://replay-explained/other").await;
    assert_eq!((none.code, none.stdout.as_str()), (Some(2), ""));
    assert!(none.stderr.starts_with("error: there is nothing at s3://replay-explained/other: "), "{}", none.stderr);
}

#[tokio::test]
async fn a_dead_letter_in_a_bucket_is_saved_before_it_is_redriven() {
    let Some(bucket) = Bucket::new("replay-letter").await else { return };
    bucket.put("/letter", crate::cli::explain::LETTER.to_owned()).await;
    let mut command = program();
    command.args(["explain", "s3://replay-letter/letter", "--endpoint-url", bucket.endpoint]);
    let ran: Ran = command.output().await.expect("the program can be started").into();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for expected in ["\n  lambda-streams redrive document.json ", "document.json is what is there, saved"] {
        assert!(ran.stdout.contains(expected), "{expected}: {}", ran.stdout);
    }
}
