//! The program `lambda-streams`, as a user meets it: exit codes, one clear line each, Ctrl-C.

mod backfill;
mod explain;
mod interrupt;
mod redrive;
mod replay;

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::types::StreamViewType;
use lambda_streams_local::Signer;
use tokio::process::Command;

use crate::streams_source::{Dynamo, item};

const FUNCTION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/cli/function.py");

/// How a command ended.
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }
}

/// The program without anything of the developer's own AWS configuration.
fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lambda-streams"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
        command.env_remove(name);
    }
    command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    command.env("AWS_EC2_METADATA_DISABLED", "true");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

async fn run(arguments: &[&str]) -> Ran {
    program().args(arguments).output().await.expect("the program can be started").into()
}

/// `arguments` followed by the function in Python.
async fn run_python(arguments: &[&str], mode: &str) -> Ran {
    let mut command = program();
    command.args(arguments).args(["--bootstrap", "python3", "--", FUNCTION]).env("MODE", mode);
    command.output().await.expect("the program can be started").into()
}

/// Signs calls of a local AWS, which takes any credentials.
fn local_signer() -> Signer {
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("test", "test", None, None, "tests")))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Signer::new(&config).expect("it has all that is needed")
}

/// A path of this test's own, at which nothing lies.
fn free_path(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cli-{name}-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

/// A file with an event of records that have these sequence numbers.
fn event_file(name: &str, numbers: &[&str]) -> String {
    let records: Vec<String> = numbers
        .iter()
        .map(|number| {
            format!(
                r#"{{"eventID":"e{number}","eventName":"INSERT","eventSource":"aws:dynamodb",
                "dynamodb":{{"Keys":{{"id":{{"S":"secret-{number}"}}}},"SequenceNumber":"{number}",
                "ApproximateCreationDateTime":1767225600}},
                "eventSourceARN":"arn:aws:dynamodb:eu-central-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000"}}"#
            )
        })
        .collect();
    let path = free_path(name);
    std::fs::write(&path, format!(r#"{{"Records":[{}]}}"#, records.join(","))).expect("it can be written");
    path.into_os_string().into_string().expect("UTF-8")
}

#[tokio::test]
async fn every_command_has_help_worth_reading() {
    for command in ["run", "invoke", "explain", "redrive", "replay", "backfill"] {
        let ran = run(&[command, "--help"]).await;
        assert_eq!(ran.code, Some(0));
        assert!(ran.stdout.contains("Examples:") && ran.stdout.contains("lambda-streams"), "{}", ran.stdout);
    }
}

#[tokio::test]
async fn missing_credentials_are_named_with_what_to_do() {
    let event = event_file("no-credentials", &["111"]);
    let table: [(&[&str], &str); 3] = [
        (&["run", "--table", "orders", "--bootstrap", "true"], "error: table `orders`: "),
        (&["invoke", &event, "--function", "orders"], "error: function `orders`: "),
        (&["explain", "s3://bucket/key"], "error: s3://bucket/key: "),
    ];
    for (arguments, what) in table {
        let ran = run(&[arguments, &["--region", "eu-central-1"]].concat()).await;
        assert_eq!(ran.code, Some(2), "{arguments:?}: {}", ran.stderr);
        let expected = format!("{what}there are no usable AWS credentials: sign in, or choose a profile (AWS_PROFILE)");
        assert!(ran.stderr.contains(&expected), "{arguments:?}: {}", ran.stderr);
    }
}

#[tokio::test]
async fn wrong_use_is_exit_code_2_and_says_what_is_wrong() {
    let table: [(&[&str], &str); 9] = [
        (&[], "Usage: lambda-streams <COMMAND>"),
        (&["run", "--tabel", "orders"], "error: unexpected argument '--tabel'"),
        (&["run", "--table", "a", "--stream", "b"], "error: the argument '--table <NAME>' cannot be used with"),
        (&["run", "--bootstrap", "true"], "error: say where the records come from: use --table"),
        (&["run", "--table", "a", "--bootstrap", "true"], "error: no AWS region is configured: set --region"),
        (
            &["run", "--events", "/no/such/file", "--bootstrap", "x"],
            "error: /no/such/file cannot be read: No such file",
        ),
        (
            &["run", "--items", "/dev/null", "--bootstrap", "x"],
            "error: the following required arguments were not provided",
        ),
        (&["run", "--events", "/dev/null", "--bootstrap", "x"], "error: there are no records in the input"),
        (&["run", "--events", "x", "--batch-size", "0"], "error: `BatchSize` is 0: it must be 1 to 10000"),
    ];
    for (arguments, expected) in table {
        let ran = run(arguments).await;
        assert_eq!(ran.code, Some(2), "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(expected), "{arguments:?}: {}", ran.stderr);
        assert!(ran.stdout.is_empty(), "{}", ran.stdout);
    }
}

#[tokio::test]
async fn what_is_not_there_is_one_clear_line_and_exit_code_2() {
    let dynamo = Dynamo::start().await;
    dynamo.create_table("plain", None).await;
    dynamo.create_table("orders", Some(StreamViewType::NewAndOldImages)).await;
    let here = dynamo.endpoint.as_str();
    let table: [(&str, &str, &[&str], &str); 6] = [
        (here, "nowhere", &[FUNCTION], "error: table `nowhere` does not exist here: check its name, the region"),
        (here, "plain", &[FUNCTION], "error: table `plain` has no stream: turn its stream on, with the view type"),
        (
            "http://127.0.0.1:1",
            "orders",
            &[FUNCTION],
            "error: table `orders`: the endpoint cannot be reached: Connection refused",
        ),
        (here, "orders", &[], "error: say which function to invoke: use --bootstrap or --function"),
        (
            here,
            "orders",
            &["no/such/program"],
            "error: the bootstrap `no/such/program` cannot be started: No such file",
        ),
        (
            here,
            "orders",
            &["false"],
            "error: the bootstrap `false` ended before it asked for an invocation (exit status: 1)",
        ),
    ];
    for (endpoint, table, program, expected) in table {
        let mut arguments = vec!["run", "--endpoint-url", endpoint, "--table", table];
        if !program.is_empty() {
            arguments.push("--bootstrap");
            arguments.extend(program);
        }
        let ran = run(&arguments).await;
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        assert!(ran.stderr.starts_with(expected), "{}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
        assert!(ran.stdout.is_empty(), "{}", ran.stdout);
    }
    let ran = run_python(&["run", "--endpoint-url", here, "--table", "orders"], "dead").await;
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    let expected = "KeyError: 'DLQ_URL'\nerror: the bootstrap `python3` ended before it asked for an invocation \
                    (exit status: 1); its last line: KeyError: 'DLQ_URL'\n";
    assert_eq!(ran.stderr, expected);
}

#[tokio::test]
async fn a_stream_is_run_over_a_function_that_fails_and_recovers() {
    let dynamo = Dynamo::start().await;
    dynamo.create_table("orders", Some(StreamViewType::NewAndOldImages)).await;
    for number in 0..25 {
        dynamo.put("orders", item(&format!("order-{number}"), [])).await;
    }
    let flags = ["run", "--table", "orders", "--batch-size", "10", "--until-idle", "0.5", "--retry-max-delay", "0.1"];
    let flags = [&flags[..], &["--endpoint-url", &dynamo.endpoint]].concat();
    let ran = run_python(&flags, "recovers").await;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("function error Down: the index is down"), "{}", ran.stderr);
    assert!(ran.stderr.contains("\n{\"level\""), "what the function writes, as it is: {}", ran.stderr);
    assert!(ran.stdout.contains("25 read") && ran.stdout.contains("25 done, 0 discarded, 0 left"), "{}", ran.stdout);
    assert!(ran.stdout.contains("2 function errors"), "{}", ran.stdout);
}

#[tokio::test]
async fn files_end_by_themselves_and_need_no_aws() {
    let items = free_path("items");
    std::fs::write(&items, "{\"id\": \"a\", \"n\": 1}\n{\"id\": \"a\", \"n\": 2}\n{\"id\": \"b\"}\n")
        .expect("it can be written");
    let items = items.to_str().expect("UTF-8");
    let ran = run_python(&["run", "--items", items, "--key", "id", "--maximum-record-age", "60"], "letter").await;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("3 done, 0 discarded, 0 left"), "{}", ran.stdout);
    assert!(ran.stdout.contains("dead letters  1 reported by the function"), "{}", ran.stdout);

    let events = event_file("old-events", &["111", "112"]);
    let ran = run_python(&["run", "--events", &events, "--maximum-record-age", "60", "--quiet"], "").await;
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "events of old are not too old");
    assert!(ran.stdout.contains("2 done"), "{}", ran.stdout);
}

#[tokio::test]
async fn what_is_lost_is_warned_of_and_exit_code_1() {
    let events = event_file("misspelt", &["111", "112"]);
    let ran = run_python(&["run", "--events", &events, "--quiet"], "misspelt").await;
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("warning: ") && ran.stderr.contains("`batchItemFailure`"), "{}", ran.stderr);

    let ran = run_python(&["run", "--events", &events, "--report-batch-item-failures=false"], "second").await;
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("ReportBatchItemFailures is off"), "{}", ran.stderr);
}

#[tokio::test]
async fn the_function_s_output_can_go_to_a_file() {
    let (events, log) = (event_file("logged", &["111"]), free_path("log"));
    let ran = run_python(&["run", "--events", &events, "--function-log", log.to_str().expect("UTF-8")], "letter").await;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(!ran.stderr.contains("dead_lettered"), "{}", ran.stderr);
    assert!(ran.stdout.contains("dead letters  1 "), "{}", ran.stdout);
    let log = std::fs::read_to_string(log).expect("it was written");
    assert_eq!(log, "{\"level\": \"INFO\", \"records\": 1, \"dead_lettered\": 1}\n", "plain lines, for jq");
}

#[tokio::test]
async fn invoke_explains_the_response() {
    let event = event_file("invoke", &["111", "112", "113"]);
    let invoke = async |mode| run_python(&["invoke", &event, "--function-log", "/dev/null"], mode).await;

    let ran = invoke("").await;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("a DynamoDB stream event\nresponse {\"batchItemFailures\": []}"), "{}", ran.stdout);
    assert!(ran.stdout.contains("outcome  success: all 3 records are done"), "{}", ran.stdout);

    let ran = invoke("second").await;
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stdout.contains("the checkpoint is record 2 of 3"), "{}", ran.stdout);
    assert!(ran.stdout.contains("takes 1 record as done, and delivers 2 records again"), "{}", ran.stdout);
    assert!(ran.stdout.contains("2  INSERT e112 112  the checkpoint: delivered again"), "{}", ran.stdout);
    assert!(ran.stdout.contains("3  INSERT e113 113  delivered again, whether or not it is done"), "{}", ran.stdout);
    let unknown = "why      the function did not log why record 2 failed";
    assert!(ran.stdout.contains(unknown), "{}", ran.stdout);
    assert!(!ran.stdout.contains("secret"), "{}", ran.stdout);

    let ran = invoke("explains").await;
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    for expected in [
        "1  INSERT e111 111  done\n",
        "2  INSERT e112 112  the checkpoint: delivered again\n         failed: handler: the index is down (3 attempts, \
         reported)\n",
        "3  INSERT e113 113  done, and delivered again anyway\n",
    ] {
        assert!(ran.stdout.contains(expected), "{expected}: {}", ran.stdout);
    }

    let ran = invoke("dead-letters").await;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let expected = "1  INSERT e111 111\n         failed: decode: no such field (1 attempt, dead-lettered)\n";
    assert!(ran.stdout.contains("all 3 records are done") && ran.stdout.contains(expected), "{}", ran.stdout);

    let ran = invoke("error").await;
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stdout.contains("outcome  the invocation has failed: Down"), "{}", ran.stdout);

    let ran = invoke("misspelt").await;
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stdout.contains("warning  the response has `batchItemFailure`"), "{}", ran.stdout);

    let ran = run_python(&["invoke", "/no/such/event"], "").await;
    assert_eq!((ran.code, ran.stderr.lines().count()), (Some(2), 1), "{}", ran.stderr);
}

#[tokio::test]
async fn one_record_is_one_record() {
    let event = event_file("one", &["111"]);
    let ran = run_python(&["invoke", &event, "--function-log", "/dev/null"], "").await;
    assert!(ran.stdout.contains("outcome  success: the record is done\n"), "{}", ran.stdout);
    let ran = run_python(&["invoke", &event, "--function-log", "/dev/null"], "error").await;
    assert!(ran.stdout.contains("Lambda   delivers the record again, until it succeeds"), "{}", ran.stdout);
}

#[tokio::test]
async fn a_filter_that_never_matches_is_warned_of() {
    let events = event_file("filtered", &["111"]);
    let pattern = r#"{"dynamodb":{"NewImage":{"weight":{"N":[{"numeric":[">",1000]}]}}}}"#;
    let ran = run_python(&["run", "--events", &events, "--quiet", "--filter", pattern], "").await;
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(
        ran.stderr.starts_with("warning: the filter pattern at 0: `dynamodb.NewImage.weight.N` is"),
        "{}",
        ran.stderr
    );
    assert!(ran.stdout.contains("1 read, 1 filtered out"), "{}", ran.stdout);
}

#[tokio::test]
async fn several_events_are_not_one() {
    let event = event_file("several", &["111"]);
    let text = std::fs::read_to_string(&event).expect("it was written");
    std::fs::write(&event, format!("{text}\n{text}")).expect("it can be written");
    let ran = run_python(&["invoke", &event], "").await;
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stderr.contains("has several values: `invoke` sends one event, `run --events` sends them all"),
        "{}",
        ran.stderr
    );
}
