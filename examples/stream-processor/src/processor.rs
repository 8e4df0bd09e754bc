//! The processor of the table's changes, as the function and the local run build it.

use lambda_streams::ProcessorBuilder;

use super::handlers::{Handlers, Journal};

/// Registers the handlers of all three kinds of change.
pub(crate) fn with_handlers<J: Journal>(builder: ProcessorBuilder, handlers: &Handlers<J>) -> ProcessorBuilder {
    builder.on_insert(handlers.clone()).on_modify(handlers.clone()).on_remove(handlers.clone())
}
