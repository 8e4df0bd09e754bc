//! `cargo +nightly fuzz run filter`
#![no_main]
#![allow(dead_code)]

#[path = "../properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|parts: (String, String)| properties::filter(&parts.0, &parts.1));
