//! The function with this crate: from the bytes, or as a tower service with the argument `service`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let processor = lambda_streams_benches::processor(|builder| builder);
    match std::env::args().nth(1).as_deref() {
        Some("service") => lambda_runtime::run(processor).await,
        _ => lambda_streams::run(processor).await,
    }
}
