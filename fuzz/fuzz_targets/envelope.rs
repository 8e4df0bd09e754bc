//! `cargo +nightly fuzz run envelope`
#![no_main]
#![allow(dead_code)]

#[path = "../properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|payload: &[u8]| properties::envelope(payload));
