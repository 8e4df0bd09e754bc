//! The local event source mapping does what AWS's does.

mod answers;
mod batching;
mod failing;
mod filters;
mod on_failure;
mod processor;
mod running;
mod settings;
mod support;
mod windows;
