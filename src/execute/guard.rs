//! Keeps a panic of the user's code from leaving the record that it is about.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::failure::{Failure, panic_words};

/// Runs the user's code; a panic becomes a failure.
pub(super) fn guard<T>(what: &str, run: impl FnOnce() -> T) -> Result<T, Failure> {
    // A panic may leave state half-changed, but it is the user's own, as it is after a task that panics.
    catch_unwind(AssertUnwindSafe(run)).map_err(|payload| {
        let failure = Failure::panicked(what, panic_words(&*payload));
        // The payload's own drop may panic once more. It is a text nearly always, so that nothing is lost.
        std::mem::forget(payload);
        failure
    })
}
