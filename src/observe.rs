//! What an operator sees: metrics, log lines and traces.
//!
//! Invariant: nothing in here decides anything, and nothing in here writes a value of an item.

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
