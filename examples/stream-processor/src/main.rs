//! The function of the documented system: it processes the changes of a DynamoDB table, and records that are posted to
//! its API.

mod api;
mod config;
mod counters;
mod function;
mod handlers;
mod item;
mod journal;
mod on_demand;
mod processor;

use std::process::ExitCode;
use std::sync::Arc;

use lambda_streams::{Emf, Logs, SqsDeadLetterQueue};
use tracing::Level;

use crate::config::Config;
use crate::function::Function;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let config = match Config::from_env() {
        Ok(config) => config,
        Err(error) => return refuse_to_start(&error),
    };
    log(config.log_level);
    match start(config) {
        Ok(function) => run(Arc::new(function)).await,
        Err(error) => refuse_to_start(&*error),
    }
}

fn start(config: Config) -> Result<Function, lambda_runtime::Error> {
    Emf::builder().install()?;
    let queue = SqsDeadLetterQueue::from_url(&config.dlq_url).map_err(|error| format!("DLQ_URL: {error}"))?;
    Ok(Function::new(config, queue)?)
}

async fn run(function: Arc<Function>) -> ExitCode {
    let service = lambda_runtime::service_fn(move |event| {
        let function = Arc::clone(&function);
        async move { function.call(event).await }
    });
    match lambda_runtime::run_concurrent(service).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the runtime stopped");
            ExitCode::FAILURE
        }
    }
}

fn refuse_to_start(error: &dyn std::error::Error) -> ExitCode {
    // The configuration is what says how to log: where it cannot be read, the default has to do.
    log(Level::INFO);
    tracing::error!("the function does not start: {error}");
    ExitCode::FAILURE
}

/// Writes the log of this process from now on; only the first call has an effect.
fn log(level: Level) {
    let _ = Logs::from_env().level(level).install();
}
