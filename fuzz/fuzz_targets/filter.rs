//! `cargo +nightly fuzz run filter`
#![no_main]

#[path = "../filter_property.rs"]
mod filter_property;

libfuzzer_sys::fuzz_target!(|parts: (String, String)| filter_property::filter(&parts.0, &parts.1));
