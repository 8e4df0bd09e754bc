//! The function of the documented system: it processes the changes of a DynamoDB table, and records that are posted to
//! its API.
//!
//! A function without an API needs none of this file: `lambda_streams::run` is its `main`.

mod api;
mod counters;
mod function;
mod handlers;
mod item;
mod journal;
mod on_demand;
mod processor;
mod table;

use std::process::ExitCode;
use std::sync::Arc;

use crate::function::Function;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let ended = match start() {
        Ok(function) => run(Arc::new(function)).await,
        Err(error) => Err(format!("the function does not start: {error}").into()),
    };
    let Err(error) = ended else { return ExitCode::SUCCESS };
    tracing::error!("{error}");
    ExitCode::FAILURE
}

fn start() -> Result<Function, lambda_runtime::Error> {
    lambda_streams::observe()?;
    Function::from_env()
}

async fn run(function: Arc<Function>) -> Result<(), lambda_runtime::Error> {
    let service = lambda_runtime::service_fn(move |event| {
        let function = Arc::clone(&function);
        async move { function.call(event).await }
    });
    lambda_runtime::run_concurrent(service).await
}
