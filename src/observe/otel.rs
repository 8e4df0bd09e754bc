//! Makes the invocation's span a part of its X-Ray trace, for OpenTelemetry.

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::invocation::Invocation;

/// Sets the parent of the invocation's span from its trace header, and adds attributes that only traces need.
pub(crate) fn set_parent(span: &Span, invocation: &Invocation) {
    if let Some(parent) = invocation.trace_header.as_deref().and_then(parse) {
        // Fails only if no OpenTelemetry layer is installed, and then there is no trace to belong to.
        let _ = span.set_parent(Context::new().with_remote_span_context(parent));
    }
    for KeyValue { key, value, .. } in [
        KeyValue::new("faas.trigger", "datasource"),
        KeyValue::new("messaging.operation.type", "process"),
        KeyValue::new("cloud.resource_id", invocation.function_arn.clone()),
    ] {
        span.set_attribute(key, value);
    }
}

/// Reads `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1`
/// ([AWS: tracing header](https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader)).
fn parse(header: &str) -> Option<SpanContext> {
    let part = |name: &str| {
        let parts = header.split(';').filter_map(|part| part.trim().split_once('='));
        parts.into_iter().find_map(|(known, value)| (known == name).then_some(value))
    };
    let (seconds, unique) = part("Root")?.strip_prefix("1-")?.split_once('-')?;
    if (seconds.len(), unique.len()) != (8, 24) {
        return None;
    }
    let trace = TraceId::from_hex(&format!("{seconds}{unique}")).ok()?;
    let span = SpanId::from_hex(part("Parent").filter(|parent| parent.len() == 16)?).ok()?;
    let flags = if part("Sampled") == Some("1") { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let context = SpanContext::new(trace, span, flags, true, TraceState::default());
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trace_headers_are_read_in_any_order() {
        for (header, sampled) in [
            ("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1", true),
            ("Sampled=0; Parent=53995c3f42cd8ad8; Root=1-5759e988-bd862e3fe1be46a994272793;Lineage=a:0", false),
        ] {
            let context = parse(header).expect("a trace header");
            assert_eq!(context.trace_id().to_string(), "5759e988bd862e3fe1be46a994272793");
            assert_eq!(context.span_id().to_string(), "53995c3f42cd8ad8");
            assert_eq!((context.is_sampled(), context.is_remote()), (sampled, true));
        }
    }

    #[test]
    fn malformed_trace_headers_are_ignored() {
        for header in [
            "",
            "Root=1-5759e988-bd862e3fe1be46a994272793",
            "Root=2-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8",
            "Root=1-5759e988-bd862e3fe1be46a99427279;Parent=53995c3f42cd8ad8",
            "Root=1-00000000-000000000000000000000000;Parent=53995c3f42cd8ad8",
            "Root=1-5759e988-xx862e3fe1be46a994272793;Parent=53995c3f42cd8ad8",
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=1",
        ] {
            assert!(parse(header).is_none(), "{header}");
        }
    }
}
