//! One execution environment: a process and its Runtime API.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::builder::Settings;
use super::process::{Exit, Process};
use crate::function::{InvokeError, Response};
use crate::runtime_api::{Invocation, Phase, RuntimeApi};

/// How long a process may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(1);

pub(super) struct Environment {
    api: RuntimeApi,
    process: Process,
    places: Arc<Semaphore>,
    is_killed: AtomicBool,
}

/// Why an environment did not ask for its first invocation.
#[derive(Debug)]
pub(super) enum StartError {
    NoApi(io::Error),
    NotStarted(io::Error),
    Exited(Exit),
    InitError { error_type: String, message: String },
    Silent(Duration),
}

impl Environment {
    /// Starts the process, and waits until it asks for an invocation.
    pub(super) async fn start(settings: &Settings, number: u32) -> Result<Self, StartError> {
        let api = RuntimeApi::serve().await.map_err(StartError::NoApi)?;
        let process = Process::start(settings, number, &api.address().to_string()).map_err(StartError::NotStarted)?;
        let places = Arc::new(Semaphore::new(settings.concurrency));
        let environment = Self { api, process, places, is_killed: AtomicBool::new(false) };
        match timeout(settings.init_timeout, environment.ready()).await {
            Ok(Ok(())) => Ok(environment),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(StartError::Silent(settings.init_timeout)),
        }
    }

    async fn ready(&self) -> Result<(), StartError> {
        let mut phase = self.api.phase();
        let left_start = phase.wait_for(|phase| *phase != Phase::Starting);
        tokio::select! {
            biased;
            // The sender lives in `self.api`: this cannot fail.
            Ok(phase) = left_start => match phase.clone() {
                Phase::InitError { error_type, message } => Err(StartError::InitError { error_type, message }),
                Phase::Starting | Phase::Ready => Ok(()),
            },
            exit = self.process.exited() => Err(StartError::Exited(exit)),
        }
    }

    pub(super) fn is_alive(&self) -> bool {
        !self.is_killed.load(Ordering::Relaxed) && !self.process.has_exited()
    }

    /// A place for one invocation, until the permit is dropped.
    pub(super) fn try_acquire(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// Invokes the function; whatever goes wrong is a function error, as Lambda names it.
    pub(super) async fn invoke(&self, payload: String, limit: Duration, settings: &Settings) -> Response {
        let invocation = Invocation::new(payload, limit, settings.function_arn());
        let id = invocation.id.clone();
        let response = self.api.invoke(invocation);
        tokio::select! {
            biased;
            // The sender is dropped only together with `self.api`.
            Ok(response) = response => response,
            exit = self.process.exited() => function_error(
                "Runtime.ExitError",
                format!("RequestId: {id} Error: Runtime exited with error: {}", exit.status),
            ),
            () = tokio::time::sleep(limit) => {
                self.kill();
                let seconds = limit.as_secs_f64();
                function_error("Sandbox.Timedout", format!("RequestId: {id} Error: Task timed out after {seconds:.2} seconds"))
            }
        }
    }

    /// Ends the process and what it started, at once.
    pub(super) fn kill(&self) {
        self.is_killed.store(true, Ordering::Relaxed);
        self.process.kill();
    }

    pub(super) async fn shutdown(&self) {
        self.process.terminate();
        if timeout(GRACE, self.process.exited()).await.is_err() {
            self.kill();
        }
    }
}

impl StartError {
    /// A function that has never started: nothing of it can be run.
    pub(super) fn into_invoke_error(self, settings: &Settings) -> InvokeError {
        let program = settings.shown_program();
        InvokeError::new(match self {
            Self::NoApi(error) => format!("the Runtime API cannot be served on 127.0.0.1: {error}"),
            Self::NotStarted(error) => {
                format!("the bootstrap `{program}` cannot be started: {error}{}", advice(&error))
            }
            Self::Exited(Exit { status, last_line }) => {
                let words =
                    last_line.map_or_else(|| "it wrote nothing".to_owned(), |line| format!("its last line: {line}"));
                format!("the bootstrap `{program}` ended before it asked for an invocation ({status}); {words}")
            }
            Self::InitError { error_type, message } => {
                format!("the function in `{program}` could not start: {error_type}: {message}")
            }
            Self::Silent(limit) => format!(
                "the bootstrap `{program}` did not ask for an invocation within {} s: does it use AWS_LAMBDA_RUNTIME_API?",
                limit.as_secs_f64()
            ),
        })
    }

    /// A function that has run before: on Lambda the invocation fails.
    pub(super) fn into_response(self) -> Response {
        match self {
            Self::NoApi(error) | Self::NotStarted(error) => function_error("Runtime.StartError", error.to_string()),
            Self::Exited(exit) => {
                function_error("Runtime.ExitError", format!("Runtime exited during initialization: {}", exit.status))
            }
            Self::InitError { error_type, message } => function_error(&error_type, message),
            Self::Silent(limit) => {
                function_error("Sandbox.Timedout", format!("Init timed out after {:.2} seconds", limit.as_secs_f64()))
            }
        }
    }
}

fn advice(error: &io::Error) -> &'static str {
    // "Exec format error" has no kind of its own.
    const ENOEXEC: i32 = 8;
    match error.kind() {
        io::ErrorKind::PermissionDenied => ": is it executable?",
        io::ErrorKind::NotFound => ": check the path, and for a script the interpreter in its first line",
        _ if error.raw_os_error() == Some(ENOEXEC) => {
            ": it was built for another system (lambda functions are often built for arm64), or is a script without `#!`"
        }
        _ => "",
    }
}

fn function_error(error_type: &str, message: String) -> Response {
    Response::FunctionError { error_type: error_type.to_owned(), message }
}
