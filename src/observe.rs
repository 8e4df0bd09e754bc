//! What an operator sees: metrics, log lines and traces. Nothing here decides anything, and no value of an item gets out.

#[cfg(feature = "emf")]
pub(crate) mod emf;
mod invocation_metrics;
pub(crate) mod log;
pub(crate) mod metrics;
#[cfg(feature = "otel")]
mod otel;
#[cfg(any(feature = "emf", feature = "logs"))]
mod render;

pub(crate) use self::invocation_metrics::InvocationMetrics;
