//! The README's function. Its handler does what the order asks for, so each setting can be seen to act.

use std::sync::atomic::{AtomicUsize, Ordering};

use lambda_streams::{HandlerError, Insert, StreamProcessor};

/// How many handlers run now.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

#[derive(serde::Deserialize)]
struct Order {
    id: String,
    #[serde(default)]
    wish: String,
}

async fn created(change: Insert<Order>) -> Result<(), HandlerError> {
    match change.new.wish.as_str() {
        "fail" => return Err(HandlerError::retryable("the order asks for it")),
        "hang" => std::future::pending::<()>().await,
        _ => {}
    }
    let running = RUNNING.fetch_add(1, Ordering::SeqCst) + 1;
    tokio::task::yield_now().await;
    RUNNING.fetch_sub(1, Ordering::SeqCst);
    tracing::info!(order = change.new.id, running, "order created");
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let processor = StreamProcessor::builder_from_env()?.on_insert(created).build()?;
    lambda_streams::run(processor).await
}
