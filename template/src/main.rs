//! Processes the changes of the table of orders.

mod handlers;
mod mailer;
mod order;
#[cfg(test)]
mod tests;

use lambda_streams::StreamProcessor;

use crate::mailer::LogMailer;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    // Reads the dead-letter queue and the settings, which the CDK construct writes into the environment.
    let builder = StreamProcessor::builder_from_env()?;
    let processor = handlers::register(builder, &LogMailer).build()?;
    lambda_streams::run(processor).await
}
