//! The promises of the crate, a module each.
#![allow(clippy::unwrap_used, reason = "a test that unwraps an error fails, as it should")]

mod support;
mod testing;

#[cfg(feature = "local")]
mod any_input;
#[cfg(feature = "local")]
mod bootstrap;
#[cfg(feature = "local")]
mod cli;
mod concurrency;
mod corpus;
mod dead_letter;
mod deadline;
mod decode;
#[cfg(feature = "local")]
mod deployed;
#[cfg(feature = "emf")]
mod emf;
#[cfg(feature = "local")]
mod event_source_mapping;
mod failures;
#[cfg(feature = "local")]
mod fake_aws;
#[cfg(feature = "logs")]
mod logs;
#[cfg(feature = "emf")]
mod metrics;
mod order;
mod payload;
mod reading;
mod redelivery;
mod redrive;
mod response;
mod routing;
mod runtime;
mod service;
#[cfg(feature = "sqs")]
mod sqs;
#[cfg(feature = "local")]
mod streams_source;

// The example function's own files, for the comparison with its program.
#[cfg(all(feature = "local", feature = "sqs"))]
#[allow(dead_code, reason = "the comparison does not look at what the function's log shows")]
#[path = "../../examples/stream-processor/src/handlers.rs"]
mod handlers;
#[cfg(all(feature = "local", feature = "sqs"))]
#[path = "../../examples/stream-processor/src/item.rs"]
mod item;
#[cfg(all(feature = "local", feature = "sqs"))]
#[path = "../../examples/stream-processor/src/processor.rs"]
mod processor;

#[cfg(all(feature = "otel", feature = "logs"))]
mod traces;
