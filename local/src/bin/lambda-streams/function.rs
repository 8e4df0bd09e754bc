//! The function that the flags choose.

use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use lambda_streams_local::{
    Bootstrap, BootstrapBuilder, DeployedFunction, Function, FunctionOutput, InvokeError, Response,
};

use crate::args::FunctionArgs;
use crate::aws::Aws;
use crate::failure::Failure;
use crate::input;
use crate::signals::Signals;

/// The timeout of a function that is not deployed.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) enum AnyFunction {
    Bootstrap(Bootstrap),
    Deployed(DeployedFunction),
}

/// What is done with a line that the function wrote.
pub(crate) type OnOutput = Box<dyn Fn(FunctionOutput<'_>) + Send + Sync>;

impl AnyFunction {
    /// Starts the program's first environment, or looks the deployed function up.
    ///
    /// `stream_arn` gives the program's ARN its region and account.
    pub(crate) async fn start(
        args: &FunctionArgs,
        aws: &Aws<'_>,
        stream_arn: &str,
        signals: &Signals,
        print: OnOutput,
    ) -> Result<Self, Failure> {
        if let Some(name) = &args.function {
            let connected = DeployedFunction::connect(aws.lambda().await?, name).await;
            return connected.map(Self::Deployed).map_err(Failure::not_begun);
        }
        let Some(program) = &args.bootstrap else {
            return Err(Failure::not_begun("say which function to invoke: use --bootstrap or --function"));
        };
        let mut builder = Bootstrap::builder(program)
            .function_name(&args.function_name)
            .memory_mb(args.memory)
            .max_environments(args.max_environments)
            .concurrency_per_environment(args.environment_concurrency)
            .on_output(log_to(args.function_log.as_deref(), print)?);
        for argument in &args.arguments {
            builder = builder.arg(argument);
        }
        builder = located(builder, stream_arn);
        for (name, value) in variables(args.env_file.as_deref())?.into_iter().chain(args.env.clone()) {
            builder = builder.env(name, value);
        }
        tokio::select! {
            started = builder.start() => started.map(Self::Bootstrap).map_err(Failure::not_begun),
            () = signals.reached(1) => Err(Failure::not_begun("interrupted before the function had started")),
        }
    }

    /// The timeout where no flag says one.
    pub(crate) fn default_timeout(&self) -> Duration {
        match self {
            Self::Bootstrap(_) => DEFAULT_TIMEOUT,
            Self::Deployed(function) => function.timeout(),
        }
    }

    /// The log group of a deployed function.
    pub(crate) fn log_group(&self) -> Option<&str> {
        match self {
            Self::Bootstrap(_) => None,
            Self::Deployed(function) => Some(function.log_group()),
        }
    }

    /// Lets the program's processes end.
    pub(crate) async fn shutdown(&self) {
        if let Self::Bootstrap(bootstrap) = self {
            bootstrap.shutdown().await;
        }
    }
}

/// Finds out whether a deployed function is there, for what sends nothing, or has much to do before it sends.
///
/// # Errors
/// If it does not exist, or cannot be asked for (lambda:GetFunctionConfiguration).
pub(crate) async fn look_up(args: &FunctionArgs, aws: &Aws<'_>) -> Result<(), Failure> {
    let Some(name) = &args.function else { return Ok(()) };
    let found = DeployedFunction::connect(aws.lambda().await?, name).await;
    found.map(drop).map_err(Failure::not_begun)
}

/// The region and the account of an ARN.
fn located(builder: BootstrapBuilder, arn: &str) -> BootstrapBuilder {
    let parts: Vec<&str> = arn.split(':').collect();
    match parts.as_slice() {
        ["arn", _, _, region, account, ..] if !region.is_empty() && !account.is_empty() => {
            builder.located(*region, *account)
        }
        _ => builder,
    }
}

/// The lines of a file of variables; empty lines and those that begin with `#` mean nothing.
fn variables(file: Option<&Path>) -> Result<Vec<(String, String)>, Failure> {
    let Some(file) = file else { return Ok(Vec::new()) };
    let text = input::read(file)?;
    let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line.trim()));
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(number, line)| match line.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.trim().to_owned())),
            _ => Err(Failure::not_begun(format!("{}, line {number}: expected NAME=VALUE", input::name(file)))),
        })
        .collect()
}

/// Lines go to the file, if there is one; `print` sees them in any case, for what they say of dead letters.
fn log_to(file: Option<&Path>, print: OnOutput) -> Result<OnOutput, Failure> {
    let Some(path) = file else { return Ok(print) };
    let opened = std::fs::OpenOptions::new().create(true).append(true).open(path);
    let log = opened.map_err(|error| Failure::not_begun(format!("{} cannot be written: {error}", path.display())))?;
    let log = Mutex::new(log);
    Ok(Box::new(move |output| {
        print(output);
        if let Ok(mut log) = log.lock() {
            // A full disk must not end the run: the lines are the function's, not the run's result.
            let _ = writeln!(log, "{}", output.line);
        }
    }))
}

impl Function for AnyFunction {
    async fn invoke(&self, payload: String, timeout: Duration) -> Result<Response, InvokeError> {
        match self {
            Self::Bootstrap(bootstrap) => bootstrap.invoke(payload, timeout).await,
            Self::Deployed(function) => function.invoke(payload, timeout).await,
        }
    }

    fn function_arn(&self) -> String {
        match self {
            Self::Bootstrap(bootstrap) => bootstrap.function_arn(),
            Self::Deployed(function) => function.function_arn(),
        }
    }
}
