//! The local event source mapping does what AWS's does.

mod batching;
mod failing;
mod filters;
mod idle;
mod on_failure;
mod processor;
mod responses;
mod running;
mod settings;
mod support;
mod windows;
