//! A function whose traces go to an OpenTelemetry collector on the same host, such as the one of AWS's Lambda layer (ADOT).
//!
//! Each batch is a span below the X-Ray trace that invoked the function, and what its handlers trace is below that. The
//! collector listens on `http://localhost:4318`, or where `OTEL_EXPORTER_OTLP_ENDPOINT` says.

use lambda_runtime::{LambdaEvent, service_fn};
use lambda_streams::{HandlerError, Insert, Logs, StreamEvent, StreamProcessor};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde::Deserialize;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Layer, SubscriberExt};

#[derive(Deserialize)]
struct Order {
    lines: Vec<String>,
}

#[tracing::instrument(skip_all, fields(event_id = change.record.event_id(), order.lines = change.new.lines.len() as i64))]
async fn created(change: Insert<Order>) -> Result<(), HandlerError> {
    tracing::info!("an order came in");
    Ok(())
}

fn main() -> Result<(), lambda_runtime::Error> {
    // Its HTTP client is built outside of the runtime, and works on a thread of its own.
    let exporter = SpanExporter::builder().with_http().build()?;
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).build();
    // Below this level, the runtime traces whole payloads, and so item data.
    let traces = tracing_opentelemetry::layer().with_tracer(provider.tracer("orders")).with_filter(LevelFilter::INFO);
    let log = Logs::from_env().into_layer();
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(traces).with(log))?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(provider))
}

async fn run(provider: SdkTracerProvider) -> Result<(), lambda_runtime::Error> {
    let processor = StreamProcessor::builder().on_insert(created).build()?;
    let service = service_fn(move |event: LambdaEvent<StreamEvent>| {
        let (processor, provider) = (processor.clone(), provider.clone());
        async move {
            let report = processor.process(event.payload, &event.context).await;
            // Lambda freezes the process as soon as it has the answer.
            match tokio::task::spawn_blocking(move || provider.force_flush()).await? {
                Ok(()) => {}
                Err(error) => tracing::warn!(%error, "the traces were not exported"),
            }
            Ok::<_, lambda_runtime::Error>(report.response()?)
        }
    });
    lambda_runtime::run(service).await
}
