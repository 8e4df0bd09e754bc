//! The promises of the crate, a module each.
#![allow(clippy::unwrap_used, reason = "a test that unwraps an error fails, as it should")]

mod support;
mod testing;

mod adapters;
mod any_input;
mod attempts;
#[cfg(feature = "serde_dynamo")]
mod attribute_values;
#[cfg(feature = "aws-errors")]
mod aws_errors;
#[cfg(feature = "aws_lambda_events")]
mod aws_lambda_events;
mod bulk;
mod bulk_model_finds;
mod computing;
mod concurrency;
mod context;
mod corpus;
mod dead_letter;
mod deadline;
mod decode;
#[cfg(feature = "emf")]
mod emf;
mod entities;
#[cfg(all(feature = "sqs", feature = "emf", feature = "logs"))]
mod environment;
mod failures;
mod fairness;
mod idempotency;
#[cfg(feature = "dynamodb")]
mod idempotency_table;
#[cfg(feature = "logs")]
mod logs;
#[cfg(feature = "emf")]
mod metrics;
mod order;
mod payload;
mod reading;
mod record;
mod redelivery;
mod redrive;
mod response;
mod routing;
mod runtime;
mod service;
#[cfg(feature = "sqs")]
mod sqs;
#[cfg(all(feature = "otel", feature = "logs"))]
mod traces;
mod ways_back;
mod when_changed;
