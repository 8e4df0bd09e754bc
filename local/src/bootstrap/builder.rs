//! The settings of a function that runs as a program, and their defaults.

use std::ffi::OsString;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use super::output::{FunctionOutput, OnOutput, to_stderr};
use super::{Bootstrap, InvokeError};

/// Settings of a [`Bootstrap`], made by [`Bootstrap::builder`].
/// ```no_run
/// use lambda_streams_local::Bootstrap;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let function = Bootstrap::builder("python3")
///     .arg("function.py")
///     .function_name("orders")
///     .env("TABLE_NAME", "orders")
///     .memory_mb(512)
///     .start()
///     .await?;
/// function.shutdown().await;
/// # Ok(())
/// # }
/// ```
pub struct BootstrapBuilder {
    settings: Settings,
}

pub(super) struct Settings {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<OsString>,
    pub(super) variables: Vec<(OsString, OsString)>,
    pub(super) function_name: String,
    pub(super) region: String,
    pub(super) account: String,
    pub(super) memory_mb: u32,
    pub(super) concurrency: usize,
    pub(super) max_environments: usize,
    pub(super) init_timeout: Duration,
    pub(super) on_output: std::sync::Arc<OnOutput>,
}

impl Settings {
    pub(super) fn function_arn(&self) -> String {
        format!("arn:aws:lambda:{}:{}:function:{}", self.region, self.account, self.function_name)
    }

    /// The program as it is spoken of in messages.
    pub(super) fn shown_program(&self) -> std::path::Display<'_> {
        self.program.display()
    }
}

impl BootstrapBuilder {
    pub(super) fn new(program: PathBuf) -> Self {
        // Without a path, only `PATH` would be searched; but `bootstrap` is expected to mean the one in the current directory.
        let is_bare = program.components().count() == 1;
        let here = PathBuf::from(".").join(&program);
        Self {
            settings: Settings {
                program: if is_bare && here.is_file() { here } else { program },
                arguments: Vec::new(),
                variables: Vec::new(),
                function_name: "function".to_owned(),
                region: "us-east-1".to_owned(),
                account: "123456789012".to_owned(),
                memory_mb: 1024,
                concurrency: 1,
                max_environments: 10,
                init_timeout: Duration::from_secs(10),
                on_output: std::sync::Arc::new(Box::new(to_stderr)),
            },
        }
    }

    /// Adds an argument of the program, such as the script of an interpreter.
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.settings.arguments.push(argument.into());
        self
    }

    /// Sets an environment variable. The function inherits the variables of this process. Lambda's variables override
    /// those, and the ones that are set here override both, except `AWS_LAMBDA_RUNTIME_API`.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.settings.variables.push((name.into(), value.into()));
        self
    }

    /// The function's name: 1 to 64 letters, digits, hyphens and underscores. Default `function`.
    pub fn function_name(mut self, name: impl Into<String>) -> Self {
        self.settings.function_name = name.into();
        self
    }

    /// The region and the account in the function's ARN. Default `us-east-1` and `123456789012`.
    ///
    /// The region is also the function's `AWS_REGION`, unless this process has that variable.
    pub fn located(mut self, region: impl Into<String>, account: impl Into<String>) -> Self {
        self.settings.region = region.into();
        self.settings.account = account.into();
        self
    }

    /// The memory size that the function is told, in MB. It is not enforced. Default 1024.
    pub fn memory_mb(mut self, memory: u32) -> Self {
        self.settings.memory_mb = memory;
        self
    }

    /// The most concurrent invocations in one environment. Default 1. With more, as on Lambda Managed Instances, the
    /// function is told the number in `AWS_LAMBDA_MAX_CONCURRENCY`, and a timeout ends all invocations in the environment.
    pub fn concurrency_per_environment(mut self, concurrency: NonZeroUsize) -> Self {
        self.settings.concurrency = concurrency.get();
        self
    }

    /// The most environments at a time. Default 10. Further invocations are throttled, as by reserved concurrency.
    pub fn max_environments(mut self, environments: NonZeroUsize) -> Self {
        self.settings.max_environments = environments.get();
        self
    }

    /// How long the program may take until it asks for its first invocation. Default 10 s, as on Lambda.
    pub fn init_timeout(mut self, timeout: Duration) -> Self {
        self.settings.init_timeout = timeout;
        self
    }

    /// Calls `on_output` with each line that the function writes. By default lines go to standard error, as
    /// [`FunctionOutput`] displays them.
    pub fn on_output(mut self, on_output: impl Fn(FunctionOutput<'_>) + Send + Sync + 'static) -> Self {
        self.settings.on_output = std::sync::Arc::new(Box::new(on_output));
        self
    }

    /// Starts the first environment, and waits until its function asks for an invocation.
    ///
    /// # Errors
    /// If the function's name is not valid, if the program cannot be started, or if it ends, reports a failed start, or
    /// does not ask for an invocation in time.
    ///
    /// # Cancellation
    /// Dropping the future kills the process.
    pub async fn start(self) -> Result<Bootstrap, InvokeError> {
        let name = &self.settings.function_name;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if name.is_empty() || name.len() > 64 || !name.bytes().all(is_name) {
            return Err(InvokeError::new(format!(
                "{name:?} is not a function name: 1 to 64 letters, digits, hyphens and underscores"
            )));
        }
        Bootstrap::start(self.settings).await
    }
}

impl fmt::Debug for BootstrapBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BootstrapBuilder").field("program", &self.settings.program).finish_non_exhaustive()
    }
}
