//! What is done is not done again, in any environment: the memory after a checkpoint, and marks of items.

mod after_checkpoint;
mod breaks;
mod marks;
mod store;

use std::time::Duration;

use lambda_streams::{Idempotency, IdempotencyStore, MemoryIdempotencyStore, ProcessorBuilder, StreamProcessor};

use crate::support::Script;

/// A processor of a new execution environment.
fn environment(script: &Script, store: impl IdempotencyStore) -> ProcessorBuilder {
    StreamProcessor::builder().on_record(script.clone()).idempotency(Idempotency::new("tests", store))
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let why = |builder: ProcessorBuilder| builder.build().expect_err("it cannot work").to_string();
    let store = MemoryIdempotencyStore::new;
    let with = |idempotency| StreamProcessor::builder().on_record(Script::default()).idempotency(idempotency);
    let long = "x".repeat(256);
    for (name, expected) in [("", "has 0 bytes"), (&long, "has 256 bytes"), ("a\nb", "no control characters")] {
        let error = why(with(Idempotency::new(name, store())));
        assert!(error.contains("the consumer's name") && error.contains(expected), "{error}");
    }
    assert!(with(Idempotency::new("x".repeat(255), store())).build().is_ok());
    let error = why(with(Idempotency::new("tests", store()).budget(Duration::ZERO)));
    assert!(error.starts_with("`budget` of `Idempotency` is zero"), "{error}");
    let error = why(environment(&Script::default(), store()).skip_redelivered(false));
    assert!(error.starts_with("`skip_redelivered` is off"), "{error}");
}
