//! The promises of the local event source mapping and of its program, a module each.

mod any_filter;
mod bootstrap;
mod cli;
mod deployed;
mod event_source_mapping;
mod fake_aws;
mod fake_http;
mod fake_lambda;
mod fake_server;
mod filter_criteria;
#[path = "../../../tests/it/support/ministack.rs"]
mod ministack;
mod streams_source;
