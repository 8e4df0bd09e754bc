//! `cargo +nightly fuzz run dead_letter`
#![no_main]
#![allow(dead_code)]

#[path = "../properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|json: &str| properties::dead_letter(json));
