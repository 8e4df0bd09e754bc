//! The function as Lambda runs it: the real program, with a Runtime API and an SQS that the tests serve on loopback.

mod api;
mod corpus;
mod events;
mod logs;
mod redrive;
mod start;
mod stream;
mod support;
