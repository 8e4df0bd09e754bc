//! Ctrl-C in the middle, and two runs at the same time.

use super::super::interrupt::Running;
use super::*;

/// A run whose function waits until `go` exists; two letters an invocation.
fn start(name: &str, server: &FakeServer, go: &Path) -> Running {
    let mut run = Redrive::new(name, server, &["--batch-size", "2"]).env("MODE", "waits").env("GO", go);
    Running::of(&mut run.command)
}

/// Waits until the function has begun with so many invocations.
async fn until_called(name: &str, times: usize) {
    let file = free_path_kept(&format!("redrive-{name}-calls"));
    let wait = async {
        while calls(&file).len() < times {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), wait).await.expect("the function is called");
}

/// Where `free_path` put it.
fn free_path_kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cli-{name}-{}", std::process::id()))
}

#[tokio::test]
async fn what_is_in_flight_is_waited_for_and_the_rest_becomes_visible() {
    let server = FakeServer::start(shuffled(7)).await;
    let go = free_path("redrive-drain-go");
    let mut running = start("drain", &server, &go);
    until_called("drain", 1).await;
    running.interrupt();
    running.wait_for("interrupted: waiting for the invocations in flight").await;
    std::fs::write(&go, "").expect("it can be written");
    let ran = running.end().await;
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.starts_with("7 dead letters: 2 done, 0 failed, 0 held back, 5 left\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains(": run it again to continue\n"), "nothing has failed: {}", ran.stdout);
    let mut rest = left(&server);
    rest.sort();
    assert_eq!(rest, ["e3", "e4", "e5", "e6", "e7"]);

    let ended = Redrive::new("begun-again", &server, &[]).run().await;
    assert_eq!((ended.ran.code, ended.calls.concat()), (Some(0), rest), "{}", ended.ran.stdout);
    assert!(ended.left.is_empty());
}

#[tokio::test]
async fn a_second_ctrl_c_stops_at_once() {
    let server = FakeServer::start(shuffled(7)).await;
    let mut running = start("stop", &server, &free_path("redrive-never"));
    until_called("stop", 1).await;
    running.interrupt();
    running.wait_for("interrupted: waiting").await;
    running.interrupt();
    let ran = running.end().await;
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert!(
        ran.stderr.lines().last().is_some_and(|last| last.starts_with("error: stopped at once: ")),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stdout.contains("0 done, 0 failed, 0 held back, 7 left"),
        "the summary is printed anyway: {}",
        ran.stdout
    );
    assert!(ran.stdout.contains("the messages that were received become visible by 20"), "{}", ran.stdout);
    assert_eq!(server.messages().len(), 7);
}

#[tokio::test]
async fn a_second_run_at_the_same_time_gets_nothing_of_the_first() {
    let server = FakeServer::start(shuffled(7)).await;
    let go = free_path("redrive-two-go");
    let running = start("first", &server, &go);
    until_called("first", 1).await;
    let mut second = Redrive::new("second", &server, &[]);
    let ran: Ran = second.command.output().await.expect("it starts").into();
    assert_eq!((ran.code, calls(&second.calls).len()), (Some(1), 0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("about 7 messages were in flight when this run began"), "{}", ran.stdout);
    std::fs::write(&go, "").expect("it can be written");
    let ran = running.end().await;
    assert_eq!((ran.code, left(&server).len()), (Some(0), 0), "{}{}", ran.stdout, ran.stderr);
}
