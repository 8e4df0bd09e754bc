//! The settings of a function that runs as a program, and their defaults.

use std::ffi::OsString;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use super::output::{FunctionOutput, OnOutput, to_stderr};
use super::{Bootstrap, InvokeError};

/// A function that a [`Bootstrap`] is to run.
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

    /// Adds an argument of the program, such as an interpreter's script.
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.settings.arguments.push(argument.into());
        self
    }

    /// Sets an environment variable. The function inherits this process's own, Lambda's override those, and what is
    /// set here overrides all but `AWS_LAMBDA_RUNTIME_API`.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.settings.variables.push((name.into(), value.into()));
        self
    }

    /// The function's name: `function` by default.
    pub fn function_name(mut self, name: impl Into<String>) -> Self {
        self.settings.function_name = name.into();
        self
    }

    /// The region and the account in the function's ARN; `us-east-1` and `123456789012` by default.
    ///
    /// The region is also the function's `AWS_REGION`, unless this process has one itself.
    pub fn located(mut self, region: impl Into<String>, account: impl Into<String>) -> Self {
        self.settings.region = region.into();
        self.settings.account = account.into();
        self
    }

    /// What the function is told of its memory, in MB: 1024 by default. Nothing is limited.
    pub fn memory_mb(mut self, memory: u32) -> Self {
        self.settings.memory_mb = memory;
        self
    }

    /// How many invocations an environment takes at once: 1 by default. More is what Lambda Managed Instances do, and
    /// what the function is told in `AWS_LAMBDA_MAX_CONCURRENCY`; a timeout then ends all that run in the environment.
    pub fn concurrency_per_environment(mut self, concurrency: NonZeroUsize) -> Self {
        self.settings.concurrency = concurrency.get();
        self
    }

    /// How many environments may live at once: 10 by default. Like reserved concurrency: what exceeds it is throttled.
    pub fn max_environments(mut self, environments: NonZeroUsize) -> Self {
        self.settings.max_environments = environments.get();
        self
    }

    /// How long a program may take until it asks for its first invocation: 10 s by default, as on Lambda.
    pub fn init_timeout(mut self, timeout: Duration) -> Self {
        self.settings.init_timeout = timeout;
        self
    }

    /// What is done with each line that the function writes. By default it goes to the standard error, as
    /// [`FunctionOutput`] displays it.
    pub fn on_output(mut self, on_output: impl Fn(FunctionOutput<'_>) + Send + Sync + 'static) -> Self {
        self.settings.on_output = std::sync::Arc::new(Box::new(on_output));
        self
    }

    /// Starts the first environment, and waits until its function asks for an invocation.
    ///
    /// # Errors
    /// If the program cannot be started, ends or says that it cannot start, or does not ask in time.
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
