//! The function as Lambda runs it: the real program, with a Runtime API and a collector that the test serves on loopback.

mod exported;
mod runtime_api;
