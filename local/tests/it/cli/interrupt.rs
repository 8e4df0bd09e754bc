//! Ctrl-C in the middle.

use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

use super::{FUNCTION, Ran, event_file, free_path, program};

/// Nothing here takes a tenth of it.
const LIMIT: Duration = Duration::from_secs(60);

/// A command that runs, and what it has written to the standard error.
pub(super) struct Running {
    child: Child,
    stderr: Lines<BufReader<ChildStderr>>,
    seen: String,
}

impl Running {
    /// Starts a run over two records, one a batch, whose function waits until `go` exists.
    fn start(name: &str, go: &Path) -> Self {
        let events = event_file(name, &["111", "112"]);
        let mut command = program();
        command.args(["run", "--events", &events, "--batch-size", "1", "--bootstrap", "python3", "--", FUNCTION]);
        Self::of(command.env("MODE", "waits").env("GO", go))
    }

    pub(super) fn of(command: &mut Command) -> Self {
        let mut child = command.spawn().expect("the program can be started");
        let stderr = child.stderr.take().expect("it is piped");
        Self { child, stderr: BufReader::new(stderr).lines(), seen: String::new() }
    }

    pub(super) async fn wait_for(&mut self, text: &str) {
        let found = async {
            while !self.seen.contains(text) {
                let line = self.stderr.next_line().await.expect("UTF-8").expect("it has not ended");
                self.seen.push_str(&format!("{line}\n"));
            }
        };
        tokio::time::timeout(LIMIT, found).await.unwrap_or_else(|_| panic!("{text:?} does not come"));
    }

    pub(super) fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    pub(super) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Holds the process until [`go_on`](Self::go_on).
    pub(super) fn stop(&self) {
        self.signal(Signal::STOP);
    }

    pub(super) fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let id = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)).expect("it runs");
        kill_process(id, signal).expect("it runs");
    }

    pub(super) async fn end(mut self) -> Ran {
        while let Some(line) = self.stderr.next_line().await.expect("UTF-8") {
            self.seen.push_str(&format!("{line}\n"));
        }
        let output = tokio::time::timeout(LIMIT, self.child.wait_with_output()).await.expect("it ends");
        Ran { stderr: self.seen, ..output.expect("it can be waited for").into() }
    }
}

#[tokio::test]
async fn the_first_ctrl_c_waits_for_what_is_in_flight() {
    let go = free_path("drain");
    let mut running = Running::start("drain-events", &go);
    running.wait_for("#1 sends 1 record").await;
    running.interrupt();
    running.wait_for("interrupted: waiting for the invocations in flight").await;
    std::fs::write(&go, "").expect("it can be written");
    let ran = running.end().await;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("#1 done") && !ran.stderr.contains("#2 sends"), "{}", ran.stderr);
    assert!(ran.stdout.contains("1 done, 0 discarded, 1 left"), "{}", ran.stdout);
}

#[tokio::test]
async fn the_second_stops_at_once() {
    let mut running = Running::start("stop-events", &free_path("never"));
    running.wait_for("#1 sends 1 record").await;
    running.interrupt();
    running.wait_for("interrupted: waiting").await;
    running.interrupt();
    let ran = running.end().await;
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let last = ran.stderr.lines().last().expect("it says something");
    assert_eq!(last, "error: stopped at once: the invocations in flight are abandoned");
    assert!(ran.stdout.contains("0 done"), "the summary is printed anyway: {}", ran.stdout);
}
