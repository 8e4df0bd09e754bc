//! `--pause-mapping`: the live mapping is enabled again however the run ends.

use futures::FutureExt;
use serde_json::json;
use tokio::process::Command;

use super::{Bench, SINK};
use crate::cli::interrupt::Running;
use crate::cli::{Ran, free_path};
use crate::fake_lambda::{FakeLambda, UUID};

async fn lambda(bench: &Bench) -> FakeLambda {
    let stream = bench.dynamo.stream_arn("orders").await;
    FakeLambda::start(&stream, |_| async { Ok(json!({"batchItemFailures": []})) }.boxed()).await
}

/// The backfill with the deployed function, its mapping paused.
fn deployed(bench: &Bench, lambda: &FakeLambda, arguments: &[&str]) -> Command {
    let mut command = bench.bare(&["--table", "orders", "--function", "orders", "--pause-mapping"]);
    with(&mut command, bench, lambda);
    command.args(arguments);
    command
}

/// The same with the function in Python.
fn local(bench: &Bench, lambda: &FakeLambda, mode: &str) -> Command {
    let mut command = bench.bare(&["--table", "orders", "--pause-mapping", "--mapping", UUID, "--attempts", "1"]);
    with(&mut command, bench, lambda);
    command.args(["--bootstrap", "python3", "--", SINK]).env("MODE", mode).env("SINK", &bench.sink);
    command
}

/// Two endpoints, in place of the flag for all.
fn with(command: &mut Command, bench: &Bench, lambda: &FakeLambda) {
    command.env("AWS_ENDPOINT_URL_LAMBDA", &lambda.endpoint).env("AWS_ENDPOINT_URL", &bench.dynamo.endpoint);
}

async fn ran(command: &mut Command) -> Ran {
    command.output().await.expect("the program can be started").into()
}

#[tokio::test]
async fn the_mapping_is_disabled_before_anything_is_sent_and_enabled_at_the_end() {
    let bench = Bench::new("pause", 20).await;
    let stream = bench.dynamo.stream_arn("orders").await;
    let (seen, states) = tokio::sync::mpsc::unbounded_channel();
    let state = std::sync::Arc::new(std::sync::OnceLock::<tokio::sync::watch::Receiver<&'static str>>::new());
    let asked = std::sync::Arc::clone(&state);
    let lambda = FakeLambda::start(&stream, move |_| {
        let _ = seen.send(*asked.get().expect("it is set before anything runs").borrow());
        async { Ok(json!({"batchItemFailures": []})) }.boxed()
    });
    let lambda = lambda.await;
    state.set(lambda.states()).expect("it was not set");
    let ran = ran(&mut deployed(&bench, &lambda, &["--batch-size", "5"])).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stderr, ran.stdout);
    let mut states = states;
    for _ in 0..4 {
        assert_eq!(states.try_recv(), Ok("Disabled"));
    }
    assert_eq!((lambda.updates(), lambda.state()), (vec![false, true], "Enabled"));
    assert!(
        ran.stderr.contains(&format!("{UUID} is disabled: its records wait for at most 24 h, until 20")),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("is enabled again after"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("note: the stream stays live"), "{}", ran.stderr);
    assert!(!bench.journal.exists());
}

#[tokio::test]
async fn a_dry_run_refuses_what_a_run_would_and_changes_nothing() {
    let bench = Bench::new("pause-dry", 3).await;
    let lambda = lambda(&bench).await;
    let good = ran(&mut deployed(&bench, &lambda, &["--dry-run"])).await;
    assert_eq!(good.code, Some(0), "{}{}", good.stderr, good.stdout);
    let function = "function    arn:aws:lambda:eu-central-1:123456789012:function:orders, timeout 30 s";
    let mapping =
        format!("mapping     {UUID} is enabled: a run would disable it, and its records would wait for at most 24 h");
    assert!(good.stdout.contains(function) && good.stdout.contains(&mapping), "{}", good.stdout);

    lambda.set_state("Disabled");
    let disabled = ran(&mut deployed(&bench, &lambda, &["--dry-run"])).await;
    assert_eq!(disabled.code, Some(2), "{}{}", disabled.stderr, disabled.stdout);
    assert!(disabled.stderr.contains("is already disabled, and not by this command"), "{}", disabled.stderr);
    assert!(disabled.stdout.is_empty(), "{}", disabled.stdout);
    assert!(lambda.updates().is_empty() && !bench.journal.exists());

    let mut nowhere = bench.bare(&["--table", "orders", "--function", "nowhere", "--dry-run"]);
    with(&mut nowhere, &bench, &lambda);
    let nowhere = ran(&mut nowhere).await;
    assert_eq!(nowhere.code, Some(2), "{}{}", nowhere.stderr, nowhere.stdout);
    assert!(nowhere.stderr.contains("nowhere"), "{}", nowhere.stderr);
}

#[tokio::test]
async fn a_mapping_that_discards_old_records_may_wait_for_less() {
    let bench = Bench::new("pause-age", 1).await;
    let lambda = lambda(&bench).await;
    lambda.set_record_age(3_600);
    let ran = ran(&mut deployed(&bench, &lambda, &[])).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stderr, ran.stdout);
    assert!(ran.stderr.contains("its records wait for at most 60 min, until 20"), "{}", ran.stderr);
    assert!(ran.stderr.contains("MaximumRecordAgeInSeconds"), "{}", ran.stderr);
}

#[tokio::test]
async fn it_is_enabled_after_failures_and_after_errors() {
    let bench = Bench::new("pause-fails", 5).await;
    let lambda = lambda(&bench).await;
    let ran = ran(&mut local(&bench, &lambda, "error")).await;
    assert_eq!(ran.code, Some(1), "{}{}", ran.stderr, ran.stdout);
    assert_eq!((lambda.updates(), lambda.state()), (vec![false, true], "Enabled"), "{}", ran.stderr);
}

#[tokio::test]
async fn it_is_enabled_after_one_ctrl_c_and_after_two() {
    for (name, times) in [("once", 1), ("twice", 2)] {
        let bench = Bench::new(&format!("pause-{name}"), 5).await;
        let lambda = lambda(&bench).await;
        let go = free_path(&format!("pause-{name}-go"));
        let mut running = Running::of(local(&bench, &lambda, "waits").env("GO", &go));
        running.wait_for("asked").await;
        running.interrupt();
        running.wait_for("interrupted: waiting").await;
        if times == 2 {
            running.interrupt();
        } else {
            std::fs::write(&go, "").expect("it can be written");
        }
        let ran = running.end().await;
        assert_eq!(lambda.updates(), [false, true], "{}", ran.stderr);
        assert_ne!(lambda.state(), "Disabled");
        assert!(ran.stderr.contains("is enabled again"), "{}", ran.stderr);
        assert_eq!(ran.code, Some(1), "{}{}", ran.stderr, ran.stdout);
    }
}

#[tokio::test]
async fn after_a_kill_the_next_run_enables_it() {
    for (name, pauses) in [("with", true), ("without", false)] {
        let bench = Bench::new(&format!("pause-kill-{name}"), 5).await;
        let lambda = lambda(&bench).await;
        let go = free_path(&format!("pause-kill-{name}-go"));
        let mut running = Running::of(local(&bench, &lambda, "waits").env("GO", &go));
        running.wait_for("asked").await;
        running.kill();
        drop(running.end().await);
        // The function that is left over ends.
        std::fs::write(&go, "").expect("it can be written");
        assert_eq!((lambda.updates(), lambda.state()), (vec![false], "Disabled"), "nobody could enable it");
        let mut again = match pauses {
            true => local(&bench, &lambda, ""),
            false => {
                let mut again = bench.bare(&["--table", "orders", "--bootstrap", "python3", "--", SINK]);
                with(&mut again, &bench, &lambda);
                again.env("SINK", &bench.sink);
                again
            }
        };
        // A dry run reports it, and leaves it.
        let mut dry = bench.bare(&["--dry-run", "--table", "orders", "--function", "orders"]);
        with(dry.args(pauses.then_some("--pause-mapping")), &bench, &lambda);
        let dry = ran(&mut dry).await;
        let said = if pauses {
            "was disabled by an earlier run of this command"
        } else {
            "was left disabled by an earlier run"
        };
        assert!(dry.code == Some(0) && dry.stdout.contains(said), "{}{}", dry.stderr, dry.stdout);
        assert_eq!((lambda.updates(), lambda.state()), (vec![false], "Disabled"));
        let ran = ran(&mut again).await;
        assert_eq!(ran.code, Some(0), "{}{}", ran.stderr, ran.stdout);
        assert_eq!((lambda.updates().last(), lambda.state() == "Disabled"), (Some(&true), false), "{}", ran.stderr);
        let said = if pauses {
            "was disabled by an earlier run of this command"
        } else {
            "an earlier run of this command had disabled it"
        };
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
        assert_eq!(bench.got().len(), 5);
    }
}

#[tokio::test]
async fn a_mapping_that_somebody_else_has_disabled_stays_so() {
    let bench = Bench::new("pause-foreign", 5).await;
    let lambda = lambda(&bench).await;
    lambda.set_state("Disabled");
    let ran = ran(&mut deployed(&bench, &lambda, &[])).await;
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("is already disabled, and not by this command"), "{}", ran.stderr);
    assert!(lambda.updates().is_empty());
}

#[tokio::test]
async fn without_the_permission_nothing_is_begun_and_the_error_names_it() {
    let bench = Bench::new("pause-denied", 5).await;
    let lambda = lambda(&bench).await;
    lambda.refuse_updates("AccessDeniedException", usize::MAX);
    let ran = ran(&mut deployed(&bench, &lambda, &[])).await;
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("lack the permission lambda:UpdateEventSourceMapping"), "{}", ran.stderr);
    assert!(bench.got().is_empty());
}

#[tokio::test]
async fn a_mapping_that_cannot_be_enabled_again_is_shouted_about() {
    let bench = Bench::new("pause-stuck", 5).await;
    let lambda = lambda(&bench).await;
    let go = free_path("pause-stuck-go");
    let mut running = Running::of(local(&bench, &lambda, "waits").env("GO", &go));
    running.wait_for("asked").await;
    lambda.refuse_updates("AccessDeniedException", usize::MAX);
    std::fs::write(&go, "").expect("it can be written");
    let ended = running.end().await;
    assert_eq!(ended.code, Some(1), "{}{}", ended.stderr, ended.stdout);
    let expected = format!("the mapping {UUID} is STILL DISABLED");
    assert!(ended.stderr.contains(&expected), "{}", ended.stderr);
    assert!(
        ended.stderr.contains(&format!("aws lambda update-event-source-mapping --uuid {UUID} --enabled")),
        "{}",
        ended.stderr
    );
    assert!(ended.stdout.contains("5 done"), "{}", ended.stdout);

    lambda.refuse_updates("AccessDeniedException", 0);
    let ran = ran(&mut local(&bench, &lambda, "")).await;
    assert_eq!(ran.code, Some(0), "the journal has it, and the next run enables it: {}{}", ran.stderr, ran.stdout);
    assert_eq!(lambda.updates(), [false, true]);
}

#[tokio::test]
async fn ctrl_c_while_the_mapping_is_being_disabled_enables_it() {
    let bench = Bench::new("pause-stuck-disabling", 5).await;
    let lambda = lambda(&bench).await;
    lambda.stick();
    let mut running = Running::of(&mut deployed(&bench, &lambda, &[]));
    running.wait_for("mapping   disabling").await;
    running.interrupt();
    let ran = running.end().await;
    assert_eq!(ran.code, Some(2), "{}{}", ran.stderr, ran.stdout);
    assert!(ran.stderr.contains("interrupted while the mapping was being disabled"), "{}", ran.stderr);
    assert_eq!(lambda.updates().last(), Some(&true));
    assert_ne!(lambda.state(), "Disabled");
}

#[tokio::test]
async fn the_one_mapping_of_the_stream_is_chosen_and_several_are_listed() {
    let bench = Bench::new("pause-several", 5).await;
    let lambda = lambda(&bench).await;
    let stream = bench.dynamo.stream_arn("orders").await;
    let other = stream.replace(":table/orders/", ":table/other/");
    let mapping = |uuid: &str, arn: &str| json!({"UUID": uuid, "EventSourceArn": arn, "State": "Enabled"});
    lambda.list(vec![mapping("another-table", &other), mapping(UUID, &stream)]);
    let good = ran(&mut deployed(&bench, &lambda, &[])).await;
    assert_eq!((good.code, lambda.updates()), (Some(0), vec![false, true]), "{}{}", good.stderr, good.stdout);

    lambda.list(vec![mapping("second", &stream), mapping(UUID, &stream)]);
    let several = ran(&mut deployed(&bench, &lambda, &[])).await;
    assert_eq!(several.code, Some(2), "{}", several.stderr);
    assert!(several.stderr.contains("Choose one with --mapping: second, "), "{}", several.stderr);

    lambda.list(vec![mapping("another-table", &other)]);
    let none = ran(&mut deployed(&bench, &lambda, &[])).await;
    assert_eq!(none.code, Some(2), "{}", none.stderr);
    assert!(none.stderr.contains("has no event source mapping with"), "{}", none.stderr);
    assert_eq!(lambda.updates(), [false, true], "nothing was changed");
}

#[tokio::test]
async fn a_change_of_the_mapping_that_is_in_flight_is_waited_for() {
    let bench = Bench::new("pause-in-use", 5).await;
    let lambda = lambda(&bench).await;
    let go = free_path("pause-in-use-go");
    lambda.refuse_updates("ResourceInUseException", 3);
    let mut running = Running::of(local(&bench, &lambda, "waits").env("GO", &go));
    running.wait_for("asked").await;
    assert_eq!(lambda.updates(), [false]);
    lambda.refuse_updates("ResourceInUseException", 3);
    std::fs::write(&go, "").expect("it can be written");
    let ran = running.end().await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stderr, ran.stdout);
    assert_eq!(lambda.updates(), [false, true]);
}
