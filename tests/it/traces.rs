//! Each invocation's span is a part of its own X-Ray trace.

use lambda_streams::{Deadline, Invocation, LogFormat, Logs, StreamProcessor};
use opentelemetry::trace::TracerProvider;
use opentelemetry::{Key, Value};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use tracing_subscriber::layer::SubscriberExt;

use crate::support::emf::Written;
use crate::support::{event, inserts};

fn invocation(trace: &str, parent: &str) -> Invocation {
    let mut invocation = Invocation::from(Deadline::none());
    invocation.request_id = format!("request-{parent}");
    invocation.function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:orders".to_owned();
    invocation.trace_header = Some(format!("Root=1-{}-{};Parent={parent};Sampled=1", &trace[..8], &trace[8..]));
    invocation
}

fn attribute(span: &SpanData, name: &'static str) -> Option<Value> {
    let found = span.attributes.iter().find(|attribute| attribute.key == Key::from_static_str(name));
    found.map(|attribute| attribute.value.clone())
}

#[tokio::test(start_paused = true)]
async fn each_invocations_span_is_a_child_of_its_trace_header() {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let logs = Logs::from_env().format(LogFormat::Json).writer(Written::default());
    let traces = tracing_opentelemetry::layer().with_tracer(provider.tracer("tests"));
    let _guard = crate::support::listen(tracing_subscriber::registry().with(logs.into_layer()).with(traces));
    let processor = StreamProcessor::builder()
        .on_record(|_| async {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            tracing::info_span!("query").in_scope(|| {});
            Ok(())
        })
        .build()
        .unwrap();
    let parents = [
        ("5759e988bd862e3fe1be46a994272793", "53995c3f42cd8ad8"),
        ("6743c1d40a1b2c3d4e5f60718293a4b5", "0102030405060708"),
    ];
    let [first, second] =
        parents.map(|(trace, parent)| processor.process(event(&inserts(2)), invocation(trace, parent)));
    tokio::join!(first, second);

    let spans = exporter.get_finished_spans().unwrap();
    for (trace, parent) in parents {
        let of_trace: Vec<_> = spans.iter().filter(|span| span.span_context.trace_id().to_string() == trace).collect();
        let batch = of_trace.iter().find(|span| span.name == "process batch").unwrap();
        assert_eq!(batch.parent_span_id.to_string(), parent);
        assert_eq!(attribute(batch, "faas.invocation_id"), Some(format!("request-{parent}").into()));
        assert_eq!(attribute(batch, "faas.trigger"), Some("datasource".into()));
        assert_eq!(attribute(batch, "aws.dynamodb.table_names"), Some("orders".into()));
        let queries = of_trace.iter().filter(|span| span.name == "query");
        let ids =
            [batch.span_context.span_id()].into_iter().chain(of_trace.iter().map(|span| span.span_context.span_id()));
        let ids: Vec<_> = ids.collect();
        assert_eq!(
            queries.filter(|span| ids.contains(&span.parent_span_id)).count(),
            2,
            "what handlers do is below it"
        );
    }
}
