//! The promises of the crate, a module each.
#![allow(clippy::unwrap_used, reason = "a test that unwraps an error fails, as it should")]

mod support;

mod concurrency;
mod corpus;
mod dead_letter;
mod deadline;
mod decode;
mod failures;
mod order;
mod reading;
mod redelivery;
mod redrive;
mod response;
mod routing;
mod runtime;
mod service;
#[cfg(feature = "sqs")]
mod sqs;
