//! `--pause-mapping`: the live mapping is enabled again whatever happens.

use super::*;
use crate::fake_lambda::FakeLambda;

/// A function that answers so.
async fn lambda(answer: Result<Value, Value>) -> FakeLambda {
    FakeLambda::start(STREAM, move |_| {
        let answer = answer.clone();
        Box::pin(async move { answer })
    })
    .await
}

fn done() -> Result<Value, Value> {
    Ok(json!({"batchItemFailures": []}))
}

async fn run(replay: &Replay, lambda: &FakeLambda, more: &[&str]) -> Ran {
    let file = replay.file(&[document(&[record("111", "a")])]);
    let mut command = program();
    command.args(["replay", &file, "--function", "orders", "--stale", "process", "--attempts", "1"]).args(more);
    command.arg("--journal").arg(&replay.journal).env("AWS_ENDPOINT_URL_LAMBDA", &lambda.endpoint);
    command.output().await.expect("the program can be started").into()
}

#[tokio::test]
async fn the_mapping_is_enabled_after_success_and_after_failure() {
    for (name, answer, code) in [("good", done(), 0), ("bad", Err(json!({"errorType": "Oh", "errorMessage": "no"})), 1)]
    {
        let (replay, lambda) = (Replay::new(name), lambda(answer).await);
        let ran = run(&replay, &lambda, &["--pause-mapping"]).await;
        assert_eq!(ran.code, Some(code), "{}{}", ran.stdout, ran.stderr);
        assert_eq!(lambda.updates(), [false, true], "{}", ran.stderr);
        assert_ne!(lambda.state(), "Disabled");
        assert!(ran.stderr.contains("its records wait for at most 24 h, until 20"), "{}", ran.stderr);
    }
}

#[tokio::test]
async fn a_mapping_that_somebody_else_has_disabled_is_left_alone() {
    let (replay, lambda) = (Replay::new("disabled"), lambda(done()).await);
    lambda.set_state("Disabled");
    let ran = run(&replay, &lambda, &["--pause-mapping"]).await;
    assert_eq!((ran.code, lambda.updates()), (Some(2), vec![]), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("already disabled, and not by this command"), "{}", ran.stderr);
}

#[tokio::test]
async fn a_mapping_that_a_killed_run_has_left_disabled_is_enabled_by_the_next() {
    let replay = Replay::new("killed");
    let lambda = FakeLambda::start(STREAM, |_| Box::pin(std::future::pending())).await;
    let file = replay.file(&[document(&[record("111", "a")])]);
    let mut command = program();
    command.args(["replay", &file, "--function", "orders", "--stale", "process", "--pause-mapping"]);
    command.arg("--journal").arg(&replay.journal).env("AWS_ENDPOINT_URL_LAMBDA", &lambda.endpoint);
    let mut running = Running::of(&mut command);
    running.wait_for("is disabled: its records wait").await;
    running.kill();
    drop(running.end().await);
    assert_eq!((lambda.updates(), lambda.state()), (vec![false], "Disabled"));
    // Even if there is nothing left to replay.
    std::fs::remove_file(&file).expect("it is there");
    let ran: Ran = command.output().await.expect("the program can be started").into();
    assert_eq!(ran.code, Some(2), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(lambda.updates(), [false, true], "{}", ran.stderr);
    assert_ne!(lambda.state(), "Disabled");
}

#[tokio::test]
async fn documents_of_another_function_are_refused() {
    let (replay, lambda) = (Replay::new("another"), lambda(done()).await);
    let mut other = document(&[record("111", "a")]);
    other["requestContext"]["functionArn"] = json!("arn:aws:lambda:eu-central-1:123456789012:function:invoices");
    let file = replay.file(&[document(&[record("110", "a")]), other]);
    let run = async |more: &[&str]| -> Ran {
        let mut command = program();
        command.args(["replay", &file, "--function", "orders", "--stale", "process"]).args(more);
        command.arg("--journal").arg(&replay.journal).env("AWS_ENDPOINT_URL_LAMBDA", &lambda.endpoint);
        command.output().await.expect("the program can be started").into()
    };
    let ran = run(&[]).await;
    assert_eq!(ran.code, Some(2), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("1 of 2 documents are of functions other than `orders`"), "{}", ran.stderr);
    let ran = run(&["--any-function"]).await;
    assert_eq!((ran.code, ran.stdout.contains("2 done")), (Some(0), true), "{}{}", ran.stdout, ran.stderr);
}
