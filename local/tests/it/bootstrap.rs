//! A program in another language than Rust, under the Runtime API that the bootstrap serves.
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lambda_streams_local::{Bootstrap, BootstrapBuilder, Function, Response};
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(60);

/// What the function wrote: for each line its environment and its text.
type Lines = Arc<Mutex<Vec<(u32, String)>>>;

fn python() -> BootstrapBuilder {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/bootstrap/function.py");
    Bootstrap::builder("python3").arg(script).init_timeout(LONG).on_output(|_| {})
}

fn recorded() -> (BootstrapBuilder, Lines) {
    let lines = Lines::default();
    let written = Arc::clone(&lines);
    let builder = python().on_output(move |output| {
        written.lock().expect("no test panics here").push((output.environment, output.line.to_owned()));
    });
    (builder, lines)
}

async fn call(function: &Bootstrap, event: Value) -> Response {
    function.invoke(event.to_string(), LONG).await.expect("the function can be invoked")
}

fn returned(response: Response) -> Value {
    match response {
        Response::Returned(json) => serde_json::from_str(&json).expect("the function responds with JSON"),
        other => panic!("the function did not answer: {other:?}"),
    }
}

fn error(response: Response) -> (String, String) {
    match response {
        Response::FunctionError { error_type, message } => (error_type, message),
        other => panic!("the function did not fail: {other:?}"),
    }
}

/// A path where nothing is.
fn free_path(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

#[tokio::test]
async fn the_function_gets_its_event_and_what_lambda_tells_it() {
    let function = python()
        .function_name("orders")
        .located("eu-central-1", "210987654321")
        .memory_mb(512)
        .env("MINE", "set")
        .start()
        .await
        .expect("it starts");
    let event = json!({"Records": [{"eventID": "é\u{1F600}"}]});
    let told = returned(call(&function, event.clone()).await);

    assert_eq!(told["event"], event);
    assert_eq!(told["arn"], "arn:aws:lambda:eu-central-1:210987654321:function:orders");
    assert_eq!(told["arn"], function.function_arn());
    assert!(told["trace"].as_str().is_some_and(|trace| trace.starts_with("Root=1-")), "{told}");
    let deadline = told["deadline"].as_f64().expect("a number");
    assert!((30_000.0..=60_000.0).contains(&deadline), "{deadline} ms are left of 60 s");
    let environment = &told["environment"];
    assert_eq!(environment["AWS_LAMBDA_FUNCTION_NAME"], "orders");
    assert_eq!(environment["AWS_LAMBDA_FUNCTION_VERSION"], "$LATEST");
    assert_eq!(environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"], "512");
    assert_eq!(environment["AWS_LAMBDA_LOG_GROUP_NAME"], "/aws/lambda/orders");
    assert_eq!(environment["AWS_LAMBDA_MAX_CONCURRENCY"], Value::Null);
    assert_eq!(environment["MINE"], "set");
}

#[tokio::test]
async fn an_environment_is_used_again() {
    let function = python().start().await.expect("it starts");
    let first = returned(call(&function, json!({})).await);
    let second = returned(call(&function, json!({})).await);
    assert_eq!(first["pid"], second["pid"]);
    assert_eq!(function.environments_started(), 1);
}

#[tokio::test]
async fn a_function_error_keeps_its_type_message_and_environment() {
    let function = python().start().await.expect("it starts");
    let response = call(&function, json!({"do": "error"})).await;
    assert_eq!(error(response), ("Down".to_owned(), "the index is down".to_owned()));
    returned(call(&function, json!({})).await);
    assert_eq!(function.environments_started(), 1);
}

#[tokio::test]
async fn a_crash_is_a_function_error_and_costs_the_environment() {
    let (builder, lines) = recorded();
    let function = builder.start().await.expect("it starts");
    for (action, status) in [("exit", "exit status: 3"), ("kill", "signal: 9")] {
        let before = returned(call(&function, json!({})).await);
        let (error_type, message) = error(call(&function, json!({"do": action})).await);
        assert_eq!(error_type, "Runtime.ExitError");
        assert!(message.contains(status), "{message}");
        let after = returned(call(&function, json!({})).await);
        assert_ne!(before["pid"], after["pid"]);
    }
    assert_eq!(function.environments_started(), 3);
    let lines = lines.lock().expect("no test panics here");
    assert!(
        lines.contains(&(1, "doing exit".to_owned())) && lines.contains(&(1, "out of luck".to_owned())),
        "{lines:?}"
    );
    assert!(lines.contains(&(2, "doing kill".to_owned())), "{lines:?}");
}

#[tokio::test]
async fn a_timeout_kills_the_environment_and_starts_a_fresh_one() {
    let function = python().start().await.expect("it starts");
    let before = returned(call(&function, json!({})).await);
    let pid = before["pid"].as_u64().expect("a number");
    let began = Instant::now();
    let hang = json!({"do": "hang"}).to_string();
    let response = function.invoke(hang, Duration::from_millis(300)).await.expect("the function can be invoked");
    let (error_type, message) = error(response);
    assert_eq!(error_type, "Sandbox.Timedout");
    assert!(message.ends_with("Task timed out after 0.30 seconds"), "{message}");
    assert!(began.elapsed() >= Duration::from_millis(300));

    let after = returned(call(&function, json!({})).await);
    assert_ne!(before["pid"], after["pid"]);
    assert!(!is_running(pid), "process {pid} must be gone");
}

/// Whether a process is there and not a zombie.
fn is_running(pid: u64) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains('Z'))
}

#[tokio::test]
async fn an_abandoned_invocation_ends_its_environment() {
    let (builder, lines) = recorded();
    let function = builder.start().await.expect("it starts");
    let pid = returned(call(&function, json!({})).await)["pid"].as_u64().expect("a number");
    let abandoned = call(&function, json!({"do": "hang"}));
    let has_begun = async {
        while !lines.lock().expect("no test panics here").contains(&(1, "doing hang".to_owned())) {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = abandoned => panic!("it hangs"),
        () = has_begun => {}
    }
    returned(call(&function, json!({})).await);
    assert_eq!(function.environments_started(), 2);
    assert!(!is_running(pid), "process {pid} must be gone");
}

#[tokio::test]
async fn concurrent_invocations_have_their_own_environments() {
    let two = NonZeroUsize::new(2).expect("not zero");
    let function = python().max_environments(two).start().await.expect("it starts");
    let file = free_path("concurrent");
    let event = json!({"do": "wait-for", "file": file});
    let both = async { tokio::join!(call(&function, event.clone()), call(&function, event.clone())) };
    let third = async {
        while function.environments_started() < 2 {
            tokio::task::yield_now().await;
        }
        let third = call(&function, json!({})).await;
        std::fs::write(&file, "").expect("the folder can be written");
        third
    };
    let ((one, other), third) = tokio::join!(both, third);
    assert_eq!(third, Response::Throttled);
    assert_ne!(returned(one), returned(other), "one process each");
    assert_eq!(function.environments_started(), 2);
}

#[tokio::test]
async fn a_response_beyond_lambdas_limit_is_refused() {
    let (builder, lines) = recorded();
    let function = builder.start().await.expect("it starts");
    let (error_type, _) = error(call(&function, json!({"do": "big"})).await);
    assert_eq!(error_type, "Function.ResponseSizeTooLarge");
    returned(call(&function, json!({})).await);
    let lines = lines.lock().expect("no test panics here");
    assert!(lines.contains(&(1, "refused 413".to_owned())), "{lines:?}");
}

#[tokio::test]
async fn a_program_that_cannot_start_is_one_clear_line() {
    let table = [
        ("exit", "ended before it asked for an invocation (exit status: 1); its last line: no configuration found"),
        ("init-error", "could not start: Config: DLQ_URL is missing"),
        ("silent", "did not ask for an invocation within 0.5 s: does it use AWS_LAMBDA_RUNTIME_API?"),
    ];
    for (start, expected) in table {
        let limit = if start == "silent" { Duration::from_millis(500) } else { LONG };
        let error = python().env("START", start).init_timeout(limit).start().await.expect_err(start).to_string();
        assert!(error.ends_with(expected) && error.contains("`python3`"), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
    let missing = Bootstrap::builder("no/such/bootstrap").start().await.expect_err("nothing is there").to_string();
    assert!(missing.starts_with("the bootstrap `no/such/bootstrap` cannot be started: No such file"), "{missing}");
    let data = Bootstrap::builder(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    let error = data.start().await.expect_err("it is not a program").to_string();
    assert!(error.contains("is it executable?"), "{error}");
    let name = python().function_name("a/b").start().await.expect_err("no name").to_string();
    assert!(name.starts_with(r#""a/b" is not a function name"#), "{name}");
}

#[tokio::test]
async fn a_later_start_that_fails_is_a_function_error() {
    let mark = free_path("once");
    let function = python().env("START", "once").env("MARK", &mark).start().await.expect("it starts once");
    error(call(&function, json!({"do": "exit"})).await);
    let (error_type, message) = error(call(&function, json!({})).await);
    assert_eq!(error_type, "Runtime.ExitError");
    assert!(message.contains("during initialization"), "{message}");
}

#[tokio::test]
async fn a_payload_that_is_not_json_is_refused() {
    let function = python().start().await.expect("it starts");
    for payload in ["", "{", "{} {}", "{'do': 'exit'}"] {
        let error = function.invoke(payload.to_owned(), LONG).await.expect_err(payload).to_string();
        assert!(error.starts_with("the payload is not valid JSON, which Lambda would refuse too"), "{error}");
    }
    returned(call(&function, json!({})).await);
}

#[tokio::test]
async fn shutdown_ends_the_processes() {
    let function = python().start().await.expect("it starts");
    let pid = returned(call(&function, json!({})).await)["pid"].as_u64().expect("a number");
    function.shutdown().await;
    assert!(!is_running(pid), "process {pid} must be gone");
}

#[tokio::test]
async fn each_call_has_an_id_that_the_function_sends_back() {
    let function = python().start().await.expect("it starts");
    let mut ids = Vec::new();
    for (ids_sent, expected) in [(json!(["mine"]), json!([])), (json!(["other", "mine"]), json!([410]))] {
        let told = returned(call(&function, json!({"do": "echo", "ids": ids_sent})).await);
        assert_eq!(told["statuses"], expected, "a response of another call is refused");
        ids.push(told["id"].as_str().expect("it was sent").to_owned());
    }
    assert_ne!(ids[0], ids[1]);
    assert_eq!(ids[0].len(), 36);
}
