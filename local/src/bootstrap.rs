//! A function that is a program: runs its bootstrap under a Runtime API, in execution environments like Lambda's.
//!
//! *Invariant*: an environment whose invocation was abandoned, or exceeded its timeout, is killed and never used again.

mod builder;
mod environment;
mod output;
mod process;

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::function::{Function, InvokeError, Response};

pub use self::builder::BootstrapBuilder;
pub use self::output::FunctionOutput;

use self::builder::Settings;
use self::environment::{Environment, StartError};

/// Runs a Lambda function's program on this machine, in execution environments like Lambda's.
///
/// The program is what Lambda would start: the `bootstrap` of a Rust or Go function, or an interpreter with a script that
/// speaks the Runtime API. Each environment is a process with its own
/// [Runtime API](https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html) on loopback, and is used as long as it
/// lives: for one invocation at a time, or as many as
/// [`concurrency_per_environment`](BootstrapBuilder::concurrency_per_environment) says. More invocations start more
/// environments, up to [`max_environments`](BootstrapBuilder::max_environments); further invocations are throttled.
///
/// As on Lambda, an invocation that exceeds its timeout, or whose process ends, is a function error, and the next one gets
/// a fresh environment. Dropping the function, or an invocation's future, kills its processes at once;
/// [`shutdown`](Self::shutdown) lets them end.
///
/// ```no_run
/// use std::time::Duration;
/// use lambda_streams_local::{Bootstrap, Function, Response};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let function = Bootstrap::builder("target/lambda/orders/bootstrap").env("TABLE_NAME", "orders").start().await?;
/// let response = function.invoke(r#"{"Records": []}"#.to_owned(), Duration::from_secs(30)).await?;
/// assert_eq!(response, Response::Returned(r#"{"batchItemFailures":[]}"#.to_owned()));
/// # Ok(())
/// # }
/// ```
pub struct Bootstrap {
    settings: Arc<Settings>,
    pool: Mutex<Pool>,
    started: AtomicU32,
}

#[derive(Default)]
struct Pool {
    environments: Vec<Arc<Environment>>,
    /// Environments that are about to start.
    starting: usize,
}

impl Bootstrap {
    /// A builder for a function. Only the program is required.
    ///
    /// A program name without a path is searched in the current directory first, then in `PATH`.
    pub fn builder(program: impl Into<std::path::PathBuf>) -> BootstrapBuilder {
        BootstrapBuilder::new(program.into())
    }

    /// Starts the first environment, so a function that cannot start is an error before a record is read.
    async fn start(settings: Settings) -> Result<Self, InvokeError> {
        let bootstrap = Self { settings: Arc::new(settings), pool: Mutex::default(), started: AtomicU32::new(0) };
        let first =
            bootstrap.start_environment().await.map_err(|error| error.into_invoke_error(&bootstrap.settings))?;
        bootstrap.pool().environments.push(first);
        Ok(bootstrap)
    }

    /// How many processes were started so far.
    pub fn environments_started(&self) -> u32 {
        self.started.load(Ordering::Relaxed)
    }

    /// Asks every process to end (SIGTERM), and kills those that have not ended after one second.
    ///
    /// # Cancellation
    /// Dropping the future kills the processes at once.
    pub async fn shutdown(&self) {
        let environments = std::mem::take(&mut self.pool().environments);
        futures::future::join_all(environments.iter().map(|environment| environment.shutdown())).await;
    }

    /// Takes a living environment with a free place, or starts one.
    async fn lease(&self) -> Result<Lease<'_>, NoLease> {
        let start = {
            let mut pool = self.pool();
            pool.environments.retain(|environment| environment.is_alive());
            let leased = pool.environments.iter().find_map(|environment| {
                let permit = environment.try_acquire()?;
                Some((Arc::clone(environment), permit))
            });
            if let Some((environment, permit)) = leased {
                return Ok(Lease { bootstrap: self, environment, _permit: permit, is_done: false });
            }
            if pool.environments.len() + pool.starting >= self.settings.max_environments {
                return Err(NoLease::Throttled);
            }
            pool.starting += 1;
            Starting(self)
        };
        let environment = self.start_environment().await.map_err(NoLease::Failed)?;
        let permit = environment.try_acquire().ok_or(NoLease::Throttled)?;
        self.pool().environments.push(Arc::clone(&environment));
        drop(start);
        Ok(Lease { bootstrap: self, environment, _permit: permit, is_done: false })
    }

    async fn start_environment(&self) -> Result<Arc<Environment>, StartError> {
        let number = self.started.fetch_add(1, Ordering::Relaxed) + 1;
        Environment::start(&self.settings, number).await.map(Arc::new)
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Function for Bootstrap {
    async fn invoke(&self, payload: String, timeout: Duration) -> Result<Response, InvokeError> {
        if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&payload) {
            return Err(InvokeError::new(format!(
                "the payload is not valid JSON, which Lambda would refuse too: {error}"
            )));
        }
        let mut lease = match self.lease().await {
            Ok(lease) => lease,
            Err(NoLease::Throttled) => return Ok(Response::Throttled),
            Err(NoLease::Failed(error)) => return Ok(error.into_response()),
        };
        let response = lease.environment.invoke(payload, timeout, &self.settings).await;
        lease.is_done = true;
        Ok(response)
    }

    fn function_arn(&self) -> String {
        self.settings.function_arn()
    }
}

/// Why there is no environment for an invocation.
enum NoLease {
    Throttled,
    Failed(StartError),
}

/// Gives the place back when the start is over, however it ended.
struct Starting<'a>(&'a Bootstrap);

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        self.0.pool().starting -= 1;
    }
}

/// An environment's place for one invocation.
struct Lease<'a> {
    bootstrap: &'a Bootstrap,
    environment: Arc<Environment>,
    _permit: tokio::sync::OwnedSemaphorePermit,
    is_done: bool,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        // Abandoned: the process would continue, and its response would reach no one.
        if !self.is_done {
            self.environment.kill();
            self.bootstrap.pool().environments.retain(|environment| environment.is_alive());
        }
    }
}

impl fmt::Debug for Bootstrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bootstrap")
            .field("program", &self.settings.program)
            .field("environments", &self.pool().environments.len())
            .finish_non_exhaustive()
    }
}
