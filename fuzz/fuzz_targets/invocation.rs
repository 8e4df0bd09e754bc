//! `cargo +nightly fuzz run invocation`
#![no_main]
#![allow(dead_code)]

#[path = "../properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|payload: &[u8]| properties::invocation(payload));
